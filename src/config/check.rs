//! What must hold between the values of a rotation, and between rotations.

use std::collections::HashMap;

use super::diagnostic::{Invalid, Place, Problems, quoted, suspicious};
use super::{Destination, Period, Policy, RotationKey};
use crate::provider::ProviderSettings;
use crate::redact::looks_like_a_secret;

/// Below this, a run that is cut off may not be finished in time by the next one.
const SHORTEST_COMFORTABLE_OVERLAP: Period = Period::from_hours(24);

/// Where each part of a policy was written; `None`: it is the default.
#[derive(Debug, Clone, Copy)]
pub(super) struct PolicyPlaces {
    pub(super) lifetime: Option<Place>,
    pub(super) overlap: Option<Place>,
    pub(super) rotate_before: Option<Place>,
    /// Where the rotation itself stands.
    pub(super) rotation: Place,
}

/// Notes a policy that cannot work.
pub(super) fn policy(policy: Policy, at: PolicyPlaces, problems: &mut Problems) {
    let Policy { lifetime, overlap, rotate_before, .. } = policy;
    let told = |value: Period, place: Option<Place>| match place {
        Some(_) => value.to_string(),
        None => format!("{value}, the default"),
    };
    let first = |places: [Option<Place>; 3]| places.into_iter().flatten().next().unwrap_or(at.rotation);
    let overlap_told = told(overlap, at.overlap);
    let before_told = told(rotate_before, at.rotate_before);
    if overlap >= rotate_before {
        let invalid = Invalid::new(format!(
            "the overlap ({overlap_told}) must be shorter than rotate_before ({before_told})"
        ));
        problems.error(
            first([at.overlap, at.rotate_before, None]),
            invalid.help("else the old token dies inside its overlap"),
        );
    } else if rotate_before.duration() + overlap.duration() >= lifetime.duration() {
        let invalid = Invalid::new(format!(
            "rotate_before ({before_told}) and overlap ({overlap_told}) together must be shorter than the lifetime ({})",
            told(lifetime, at.lifetime)
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
pub(super) fn may_be_a_value(variable: &str) -> bool {
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

/// What a rotation says that others may say too, and where.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) name: Option<(String, Place)>,
    pub(super) key: Option<RotationKey>,
    pub(super) formerly: Vec<(RotationKey, Place)>,
    pub(super) token: Option<(ProviderSettings, String, Place)>,
    pub(super) destinations: Vec<(Destination, Place)>,
}

/// Notes what several rotations, or one of them twice, lay claim to.
pub(super) fn together(rotations: &[Written], problems: &mut Problems) {
    let mut names: HashMap<&str, Place> = HashMap::new();
    let mut destinations: HashMap<&Destination, (usize, Place)> = HashMap::new();
    let mut tokens: HashMap<(&ProviderSettings, &str), Place> = HashMap::new();
    for (index, rotation) in rotations.iter().enumerate() {
        if let Some((name, place)) = &rotation.name
            && let Some(first) = names.insert(name, *place)
        {
            let invalid = Invalid::new(format!("a second rotation is called {}", quoted(name)));
            problems.error(*place, at(invalid, first));
        }
        for (destination, place) in &rotation.destinations {
            let Some((owner, first)) = destinations.insert(destination, (index, *place)) else { continue };
            let text = quoted(&destination.to_string());
            let invalid = if owner == index {
                Invalid::new(format!("{text} is listed twice"))
            } else {
                Invalid::new(format!("{text} belongs to another rotation already: it can hold one token"))
            };
            problems.error(*place, at(invalid, first));
        }
        if let Some((provider, token, place)) = &rotation.token
            && let Some(first) = tokens.insert((provider, token), *place)
        {
            let invalid = Invalid::new(format!("two rotations keep the token {} fresh", quoted(token)));
            problems.warning(*place, at(invalid, first));
        }
        for (former, place) in &rotation.formerly {
            let taken = rotations.iter().any(|other| other.key.as_ref() == Some(former));
            if taken {
                let invalid = Invalid::new("this is the key of a rotation of this file");
                problems.error(*place, invalid.help("its tokens cannot belong to two rotations"));
            }
        }
    }
}

/// Says where something stands for the first time.
fn at(invalid: Invalid, first: Place) -> Invalid {
    match first {
        Place::File(position) => invalid.help(format!("it stands on line {} already", position.line)),
        Place::Input(_) | Place::Missing => invalid,
    }
}
