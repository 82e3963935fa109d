//! Expands patterns into destinations, before anything else.
//!
//! The repositories come from GitHub, so this sends requests. The checks that the
//! configuration makes of listed destinations are repeated here for those found.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use futures_util::future::join_all;

use super::RunContext;
use super::error::RotationError;
use super::names::some;
use crate::config::{Config, ConfiguredSecret, Destination, Rotation, Scope, SecretPattern, Store};
use crate::github::GitHub;
use crate::limits::fits;

/// A rotation with all its destinations.
pub(super) struct Expanded<'a> {
    /// Its secrets are complete unless there is an error.
    pub(super) rotation: Cow<'a, Rotation>,
    /// What was found, one line for each pattern.
    pub(super) notes: Vec<String>,
    /// Why it is not rotated.
    pub(super) error: Option<RotationError>,
}

/// Expands all patterns of the selected rotations, and announces what will be read, written
/// and started at GitHub.
pub(super) async fn expand<'a>(context: &RunContext<'_>, config: &'a Config) -> Vec<Expanded<'a>> {
    let expanding = config.rotations.iter().map(async |rotation| {
        let unexpanded = |error| Expanded { rotation: Cow::Borrowed(rotation), notes: Vec::new(), error };
        let mut one = unexpanded(None);
        match context.unless_stopped(expand_one(context.github, rotation, &mut one)).await {
            Ok(result) => Expanded { error: result.err(), ..one },
            Err(stopped) => unexpanded(Some(stopped)),
        }
    });
    let mut expanded = join_all(expanding).await;
    refuse_shared(&mut expanded, config);
    let served = || expanded.iter().filter(|one| one.error.is_none());
    context
        .github
        .expect(served().flat_map(|one| &one.rotation.secrets), served().flat_map(|one| &one.rotation.after));
    expanded
}

async fn expand_one(
    github: &GitHub,
    rotation: &Rotation,
    expanded: &mut Expanded<'_>,
) -> Result<(), RotationError> {
    let mut known: HashSet<Destination> = HashSet::new();
    if !rotation.patterns.is_empty() {
        known.extend(rotation.secrets.iter().map(|secret| secret.destination.clone()));
    }
    for pattern in &rotation.patterns {
        let found = github.expand(pattern).await;
        let found =
            found.map_err(|error| RotationError::PatternUnreadable { pattern: shown(pattern), error })?;
        if found.repositories.is_empty() {
            let pattern = shown(pattern);
            return Err(RotationError::PatternEmpty { pattern, archived: found.archived });
        }
        let archived = match found.archived {
            0 => String::new(),
            count => format!("; {count} archived left out"),
        };
        expanded.notes.push(format!(
            "{}: {} {}{archived}",
            shown(pattern),
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
    match expanded.rotation.secrets.len() {
        count if fits(count) => Ok(()),
        count => Err(RotationError::TooManySecrets { count }),
    }
}

/// A pattern as the user wrote it; of a long list the first few, so that it is not cut off.
fn shown(pattern: &SecretPattern) -> String {
    let whole = pattern.to_string();
    let parts: Vec<String> = whole.split(", ").map(str::to_owned).collect();
    if parts.len() > 5 { some(&parts) } else { whole }
}

/// The secret that a pattern stands for in one repository.
fn target(pattern: &SecretPattern, repository: crate::config::Repository) -> ConfiguredSecret {
    let scope = Scope::of(repository, pattern.environment.clone());
    ConfiguredSecret {
        destination: Destination { store: pattern.store, scope, name: pattern.name.clone() },
        create_environment: pattern.create_environment,
        visibility: None,
    }
}

/// A secret can hold one token: a rotation is refused if its pattern matches a secret of
/// another rotation. Decided over the whole file, so that the selection does not matter,
/// and without requests.
fn refuse_shared(expanded: &mut [Expanded<'_>], config: &Config) {
    if config.rotations.iter().all(|rotation| rotation.patterns.is_empty()) {
        return;
    }
    let owners = SecretOwners::of(config);
    for (one, written) in expanded.iter_mut().zip(&config.rotations) {
        // Listed secrets come first; the rest was found by patterns.
        let found = one.rotation.secrets.iter().skip(written.secrets.len());
        let shared = found.map(|secret| &secret.destination).find_map(|destination| {
            let other = owners.other_than(written, destination)?;
            Some(RotationError::Claimed { destination: destination.to_string(), other: other.name.clone() })
        });
        one.error = one.error.take().or(shared);
    }
}

/// Which rotation of the file owns which secret.
struct SecretOwners<'a> {
    named: HashMap<&'a Destination, &'a Rotation>,
    /// By the secret's store and name.
    patterns: HashMap<(Store, &'a str), Vec<(&'a Rotation, &'a SecretPattern)>>,
}

impl<'a> SecretOwners<'a> {
    fn of(config: &'a Config) -> Self {
        let mut owners = Self { named: HashMap::new(), patterns: HashMap::new() };
        for rotation in config.rotations.iter().chain(&config.unselected) {
            owners.named.extend(rotation.secrets.iter().map(|secret| (&secret.destination, rotation)));
            for pattern in &rotation.patterns {
                let key = (pattern.store, pattern.name.as_str());
                owners.patterns.entry(key).or_default().push((rotation, pattern));
            }
        }
        owners
    }

    /// A rotation other than `own` that owns the secret.
    fn other_than(&self, own: &Rotation, destination: &Destination) -> Option<&'a Rotation> {
        if let Some(named) = self.named.get(destination).filter(|named| named.key != own.key) {
            return Some(named);
        }
        let repository = destination.scope.repository()?;
        let patterns = self.patterns.get(&(destination.store, destination.name.as_str()))?;
        let takes = |(rotation, pattern): &&(&Rotation, &SecretPattern)| {
            rotation.key != own.key
                && pattern.takes(repository)
                && target(pattern, repository.clone()).destination == *destination
        };
        patterns.iter().find(takes).map(|(rotation, _)| *rotation)
    }
}
