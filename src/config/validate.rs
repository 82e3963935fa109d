//! What must hold between the values of a rotation, and between rotations.

use std::collections::HashMap;

use super::{Destination, Period, Policy, RotationKey};
use crate::diagnostic::{Invalid, Origin, Problems, quoted, suspicious};
use crate::provider::ProviderSettings;
use crate::redact::looks_like_a_secret;

/// Below this, a run that is cut off may not be finished in time by the next one.
const SHORTEST_COMFORTABLE_OVERLAP: Period = Period::from_hours(24);

/// Where each part of a policy was written; `None`: it is the default.
#[derive(Debug, Clone, Copy)]
pub(super) struct PolicyOrigins {
    pub(super) lifetime: Option<Origin>,
    pub(super) overlap: Option<Origin>,
    pub(super) rotate_before: Option<Origin>,
    /// Where the rotation itself stands.
    pub(super) rotation: Origin,
}

/// Notes a policy that cannot work.
pub(super) fn policy(policy: Policy, at: PolicyOrigins, problems: &mut Problems) {
    let Policy { lifetime, overlap, rotate_before, .. } = policy;
    let shown = |value: Period, origin: Option<Origin>| match origin {
        Some(_) => value.to_string(),
        None => format!("{value}, the default"),
    };
    let first = |origins: [Option<Origin>; 3]| origins.into_iter().flatten().next().unwrap_or(at.rotation);
    let overlap_shown = shown(overlap, at.overlap);
    let before_shown = shown(rotate_before, at.rotate_before);
    if overlap >= rotate_before {
        let invalid = Invalid::new(format!(
            "the overlap ({overlap_shown}) must be shorter than rotate_before ({before_shown})"
        ));
        problems.error(
            first([at.overlap, at.rotate_before, None]),
            invalid.help("else the old token dies inside its overlap"),
        );
    } else if rotate_before.duration() + overlap.duration() >= lifetime.duration() {
        let invalid = Invalid::new(format!(
            "rotate_before ({before_shown}) and overlap ({overlap_shown}) together must be shorter than the lifetime ({})",
            shown(lifetime, at.lifetime)
        ));
        problems.error(
            first([at.lifetime, at.rotate_before, at.overlap]),
            invalid.help("else every run would rotate"),
        );
    } else if overlap < SHORTEST_COMFORTABLE_OVERLAP {
        let invalid = Invalid::new(format!("an overlap of {overlap} is shorter than a day"));
        problems.warning(
            first([at.overlap, None, None]),
            invalid.help("a run that is cut off is finished by the next one, which must come inside the overlap; jobs that wait in a queue keep the old token"),
        );
    }
}

/// A rotation's name: part of the marker on its tokens.
pub(super) fn rotation_name(name: &str) -> Result<String, Invalid> {
    let legal = name.chars().count() <= 100
        && name.trim() == name
        && !name.contains(['[', ']'])
        && !name.chars().any(suspicious);
    if legal {
        Ok(name.to_owned())
    } else {
        Err(Invalid::new(format!("{} is no name for a rotation", quoted(name)))
            .help("at most 100 characters, no [ and ], no space around it, no control characters; with --token alone, give --name too"))
    }
}

/// Whether what stands where a variable's name belongs may be a value of unknown
/// form: long, with digits among small letters, and not made of words.
pub(super) fn could_be_a_credential(variable: &str) -> bool {
    let has = |is: fn(&char) -> bool| variable.chars().any(|c| is(&c));
    let is_run = |run: &str| run.len() >= 12 && run.bytes().any(|b| b.is_ascii_digit());
    has(char::is_ascii_digit) && has(char::is_ascii_lowercase) && variable.split(['_', '-', '.']).any(is_run)
}

/// An environment variable that may hold a provider credential.
pub(super) fn credential(variable: &str) -> Result<String, Invalid> {
    if looks_like_a_secret(variable) {
        return Err(super::file::secret_in_file());
    }
    let legal = variable.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && variable.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    if !legal {
        return Err(Invalid::new(format!("{} is no name of an environment variable", quoted(variable)))
            .help("write the variable's name here, never its value: letters, digits and _"));
    }
    let upper = variable.to_ascii_uppercase();
    let of_github = ["CROSSFADE_GITHUB_", "GITHUB_", "GH_", "ACTIONS_", "RUNNER_"];
    if upper == "CROSSFADE_MARKER_KEY" {
        return Err(Invalid::new(format!("{} holds the key that signs markers", quoted(variable)))
            .help("it is never sent to anybody; use another variable"));
    }
    if of_github.iter().any(|prefix| upper.starts_with(prefix)) {
        return Err(Invalid::new(format!("{} is a variable of GitHub's", quoted(variable)))
            .help("a credential of GitHub is never sent to a provider; use another variable"));
    }
    Ok(variable.to_owned())
}

/// What a rotation claims for itself, and where: no other rotation may claim the same.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) name: Option<(String, Origin)>,
    pub(super) key: Option<RotationKey>,
    pub(super) formerly: Vec<(RotationKey, Origin)>,
    pub(super) token: Option<(ProviderSettings, String, Origin)>,
    pub(super) destinations: Vec<(Destination, Origin)>,
}

/// Adds problems for what several rotations, or one of them twice, claim.
pub(super) fn together(rotations: &[Claims], problems: &mut Problems) {
    let mut names: HashMap<&str, Origin> = HashMap::new();
    let mut destinations: HashMap<&Destination, (usize, Origin)> = HashMap::new();
    let mut tokens: HashMap<(&ProviderSettings, &str), Origin> = HashMap::new();
    for (index, rotation) in rotations.iter().enumerate() {
        if let Some((name, origin)) = &rotation.name
            && let Some(first) = names.insert(name, *origin)
        {
            let invalid = Invalid::new(format!("a second rotation is called {}", quoted(name)));
            problems.error(*origin, at(invalid, first));
        }
        for (destination, origin) in &rotation.destinations {
            let Some((owner, first)) = destinations.insert(destination, (index, *origin)) else { continue };
            let text = quoted(&destination.to_string());
            let invalid = if owner == index {
                Invalid::new(format!("{text} is listed twice"))
            } else {
                Invalid::new(format!("{text} belongs to another rotation already: it can hold one token"))
            };
            problems.error(*origin, at(invalid, first));
        }
        if let Some((provider, token, origin)) = &rotation.token
            && let Some(first) = tokens.insert((provider, token), *origin)
        {
            let invalid = Invalid::new(format!("two rotations keep the token {} fresh", quoted(token)));
            problems.warning(*origin, at(invalid, first));
        }
        for (former, origin) in &rotation.formerly {
            let taken = rotations.iter().any(|other| other.key.as_ref() == Some(former));
            if taken {
                let invalid = Invalid::new("this is the key of a rotation of this file");
                problems.error(*origin, invalid.help("its tokens cannot belong to two rotations"));
            }
        }
    }
}

/// Adds a help text with the first origin.
fn at(invalid: Invalid, first: Origin) -> Invalid {
    match first {
        Origin::File(position) => invalid.help(format!("it stands on line {} already", position.line)),
        Origin::Input(_) | Origin::Missing => invalid,
    }
}
