//! Before anything else: patterns become destinations.
//!
//! Which repositories there are is GitHub's to say, so this takes requests; what
//! the configuration already ruled out for written destinations is ruled out here
//! for those found.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use futures_util::future::join_all;

use super::Tools;
use super::trouble::Trouble;
use super::window::fits;
use crate::config::{Destination, Rotation, Scope, SecretPattern, SecretTarget};
use crate::github::GitHub;

/// A rotation with all its destinations.
pub(super) struct Expanded<'a> {
    /// Its secrets are complete, unless there is trouble.
    pub(super) rotation: Cow<'a, Rotation>,
    /// What was found, one line for each pattern.
    pub(super) notes: Vec<String>,
    /// Why it is not to be rotated.
    pub(super) trouble: Option<Trouble>,
}

/// Expands all patterns of all rotations.
pub(super) async fn expand<'a>(tools: &Tools<'_>, rotations: &'a [Rotation]) -> Vec<Expanded<'a>> {
    let expanding = rotations.iter().map(async |rotation| {
        let expanded = tools.brake.hold(expand_one(tools.github, rotation)).await;
        expanded.unwrap_or_else(|why| Expanded {
            rotation: Cow::Borrowed(rotation),
            notes: Vec::new(),
            trouble: Some(Trouble::Stopped(why)),
        })
    });
    let mut expanded = join_all(expanding).await;
    refuse_shared(&mut expanded);
    expanded
}

async fn expand_one<'a>(github: &GitHub, rotation: &'a Rotation) -> Expanded<'a> {
    let mut expanded = Expanded { rotation: Cow::Borrowed(rotation), notes: Vec::new(), trouble: None };
    let mut known: HashSet<Destination> = HashSet::new();
    if !rotation.patterns.is_empty() {
        known.extend(rotation.secrets.iter().map(|secret| secret.destination.clone()));
    }
    for pattern in &rotation.patterns {
        let found = match github.expand(pattern).await {
            Ok(found) => found,
            Err(error) => {
                expanded.trouble = Some(Trouble::PatternUnreadable { pattern: pattern.to_string(), error });
                return expanded;
            }
        };
        if found.repositories.is_empty() {
            let pattern = pattern.to_string();
            expanded.trouble = Some(Trouble::PatternEmpty { pattern, archived: found.archived });
            return expanded;
        }
        let archived = match found.archived {
            0 => String::new(),
            count => format!("; {count} archived left out"),
        };
        expanded.notes.push(format!(
            "{pattern}: {} {}{archived}",
            found.repositories.len(),
            if found.repositories.len() == 1 { "repository" } else { "repositories" }
        ));
        for repository in found.repositories {
            let target = target(pattern, repository);
            if known.insert(target.destination.clone()) {
                expanded.rotation.to_mut().secrets.push(target);
            }
        }
    }
    let count = expanded.rotation.secrets.len();
    if !fits(count) {
        expanded.trouble = Some(Trouble::TooManySecrets { count });
    }
    expanded
}

/// The secret that a pattern stands for in one repository.
fn target(pattern: &SecretPattern, repository: crate::config::Repository) -> SecretTarget {
    let scope = match &pattern.environment {
        Some(environment) => Scope::Environment { repository, environment: environment.clone() },
        None => Scope::Repository(repository),
    };
    SecretTarget {
        destination: Destination { store: pattern.store, scope, name: pattern.name.clone() },
        create_environment: pattern.create_environment,
        visibility: None,
    }
}

/// A secret can hold one token: whoever lays claim to another rotation's secret
/// by a pattern is not rotated.
fn refuse_shared(expanded: &mut [Expanded<'_>]) {
    if expanded.iter().all(|one| one.rotation.patterns.is_empty()) {
        return;
    }
    let mut claims: HashMap<Destination, Vec<usize>> = HashMap::new();
    for (index, one) in expanded.iter().enumerate() {
        for secret in &one.rotation.secrets {
            claims.entry(secret.destination.clone()).or_default().push(index);
        }
    }
    for (destination, claimants) in claims.into_iter().filter(|(_, claimants)| claimants.len() > 1) {
        for (place, index) in claimants.iter().enumerate() {
            let other = claimants[if place == 0 { 1 } else { 0 }];
            let other = expanded[other].rotation.name.clone();
            let one = &mut expanded[*index];
            if matches!(one.rotation, Cow::Owned(_)) && one.trouble.is_none() {
                one.trouble = Some(Trouble::Claimed { destination: destination.to_string(), other });
            }
        }
    }
}
