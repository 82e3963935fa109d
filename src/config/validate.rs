//! What must hold between the values of a rotation, and between rotations.

use std::collections::HashMap;

use super::destination::is_variable_name;
use super::file::RotationKeys;
use super::providers::Providers;
use super::secrets::SecretEntry;
use super::{ConfiguredSecret, Destination, Policy, Repository, RotationKey, Workflow, reach};
use crate::diagnostic::{Invalid, Origin, Problems, quoted, suspicious};
use crate::period::Period;
use crate::provider::ProviderSettings;
use crate::redact::looks_like_a_secret;
use crate::yaml::keys::{Field, all, given};

/// Below this, a run that is cut off may not be finished in time by the next one.
const SHORTEST_COMFORTABLE_OVERLAP: Period = Period::from_days(1);

/// Notes a policy that cannot work.
pub(super) fn policy(policy: Policy, keys: &RotationKeys, rotation: Origin, problems: &mut Problems) {
    let Policy { lifetime, overlap, rotate_before, .. } = policy;
    let shown = |value: Period, field: &Option<Field<Period>>| match field {
        Some(_) => value.to_string(),
        None => format!("{value}, the default"),
    };
    let first = |fields: &[&Option<Field<Period>>]| {
        fields.iter().find_map(|field| Some(field.as_ref()?.origin)).unwrap_or(rotation)
    };
    let overlap_shown = shown(overlap, &keys.overlap);
    let before_shown = shown(rotate_before, &keys.rotate_before);
    if overlap >= rotate_before {
        let invalid = Invalid::new(format!(
            "the overlap ({overlap_shown}) must be shorter than rotate_before ({before_shown})"
        ));
        let help = "otherwise the previous token expires before its overlap ends";
        problems.error(first(&[&keys.overlap, &keys.rotate_before]), invalid.help(help));
    } else if rotate_before.duration() + overlap.duration() >= lifetime.duration() {
        let invalid = Invalid::new(format!(
            "rotate_before ({before_shown}) and overlap ({overlap_shown}) together must be shorter than the lifetime ({})",
            shown(lifetime, &keys.lifetime)
        ));
        let fields = [&keys.lifetime, &keys.rotate_before, &keys.overlap];
        problems.error(first(&fields), invalid.help("otherwise every run would rotate"));
    } else if overlap < SHORTEST_COMFORTABLE_OVERLAP {
        let invalid = Invalid::new(format!("an overlap of {overlap} is shorter than a day"));
        problems.warning(first(&[&keys.overlap]), invalid.help("a run that is cut off is finished by the next one, which must come inside the overlap; jobs that wait in a queue keep the old token"));
    }
}

/// A rotation's name: part of the marker on its tokens.
pub(crate) fn rotation_name(name: &str) -> Result<String, Invalid> {
    let legal = name.chars().count() <= 100
        && name.trim() == name
        && !name.contains(['[', ']'])
        && !name.chars().any(suspicious);
    Invalid::unless(legal, "rotation name", name).map_err(|e| {
        e.help("at most 100 characters, without [, ], control characters or spaces around it; if --token is the name, give --name too")
    })
}

/// Whether a variable's name may be a credential of unknown form instead: long, with
/// digits among lower-case letters, and not made of words.
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
    if !is_variable_name(variable) {
        return Err(Invalid::text("environment variable name", variable)
            .help("write the variable's name here, never its value: letters, digits and _"));
    }
    let upper = variable.to_ascii_uppercase();
    let of_github = ["CROSSFADE_GITHUB_", "CROSSFADE_ISSUE_TOKEN", "GITHUB_", "GH_", "ACTIONS_", "RUNNER_"];
    if upper == "CROSSFADE_MARKER_KEY" {
        return Err(Invalid::new(format!("{} holds the key that signs markers", quoted(variable)))
            .help("it is never sent anywhere; use another variable"));
    }
    if of_github.iter().any(|prefix| upper.starts_with(prefix)) {
        return Err(Invalid::new(format!("{} is one of GitHub's own variables", quoted(variable)))
            .help("a GitHub credential is never sent to a provider; use another variable"));
    }
    Ok(variable.to_owned())
}

/// Adds problems for what several rotations, or one of them twice, claim.
pub(super) fn together(
    rotations: &[RotationKeys],
    repository: &Repository,
    providers: &Providers,
    problems: &mut Problems,
) {
    let mut names: HashMap<&str, Origin> = HashMap::new();
    let mut destinations: HashMap<&Destination, (usize, Origin)> = HashMap::new();
    let mut tokens: HashMap<(ProviderSettings, &str), Origin> = HashMap::new();
    let mut workflows: HashMap<(&Repository, &str), (&Option<String>, usize, Origin)> = HashMap::new();
    let keys: Vec<RotationKey> =
        rotations.iter().filter_map(|r| Some(RotationKey::new(repository, given(&r.name)?))).collect();
    for (index, rotation) in rotations.iter().enumerate() {
        if let Some(Field { origin, value: Some(name) }) = &rotation.name
            && let Some(first) = names.insert(name, *origin)
        {
            let invalid = Invalid::new(format!("two rotations have the name {}", quoted(name)));
            problems.error(*origin, invalid.stands_at(first));
        }
        for Field { origin, value } in all(&rotation.secrets) {
            let Some(SecretEntry::One(ConfiguredSecret { destination, .. })) = value else { continue };
            let Some((owner, first)) = destinations.insert(destination, (index, *origin)) else { continue };
            let text = quoted(&destination.to_string());
            let invalid = if owner == index {
                Invalid::new(format!("{text} is listed twice"))
            } else {
                Invalid::new(format!("{text} belongs to another rotation already: it can hold one token"))
            };
            problems.error(*origin, invalid.stands_at(first));
        }
        if let (Some(settings), Some(Field { origin, value: Some(token) })) =
            (reach::settings(rotation, providers), &rotation.token)
            && let Some(first) = tokens.insert((settings, token), *origin)
        {
            let invalid = Invalid::new(format!("two rotations keep the token {} fresh", quoted(token)));
            problems.warning(*origin, invalid.stands_at(first));
        }
        for Field { origin, value } in all(&rotation.after) {
            let Some(workflow @ Workflow { repository, file, git_ref }) = value else { continue };
            let known = workflows.insert((repository, file), (git_ref, index, *origin));
            let Some((known_ref, owner, first)) = known else { continue };
            let text = quoted(&workflow.to_string());
            if owner == index {
                problems.error(*origin, Invalid::new(format!("{text} is listed twice")).stands_at(first));
            } else if known_ref != git_ref {
                let invalid = Invalid::new(format!(
                    "{text} has another `ref` at another rotation: it is started once for both"
                ));
                problems.error(*origin, invalid.stands_at(first));
            }
        }
        for Field { origin, value } in given(&rotation.formerly).into_iter().flat_map(|keys| &keys.0) {
            if value.as_ref().is_some_and(|former| keys.contains(former)) {
                let invalid = Invalid::new("this is the key of a rotation of this file");
                problems.error(*origin, invalid.help("its tokens cannot belong to two rotations"));
            }
        }
    }
}
