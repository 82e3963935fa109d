//! The secrets of a rotation: a short form or a mapping, read as a destination or as a
//! pattern.

use super::destination::{environment_name, owner_name, secret_name};
use super::file::SecretMappingKeys;
use super::{ConfiguredSecret, Destination, Repository, Scope, SecretPattern};
use crate::diagnostic::{Invalid, Origin, Problems, one_of};
use crate::yaml::keys::{Read, checked, given, origin_of, text};
use crate::yaml::{Node, Value};

/// One entry of `secrets`.
#[derive(Debug, Clone)]
pub(crate) enum SecretEntry {
    One(ConfiguredSecret),
    Many(SecretPattern),
}

impl SecretEntry {
    /// The one repository that it is about.
    pub(super) fn repository(&mut self) -> Option<&mut Repository> {
        let Self::One(secret) = self else { return None };
        match &mut secret.destination.scope {
            Scope::Repository(repository) | Scope::Environment { repository, .. } => Some(repository),
            Scope::Organization(_) => None,
        }
    }
}

impl From<Destination> for SecretEntry {
    fn from(destination: Destination) -> Self {
        Self::One(ConfiguredSecret { destination, create_environment: false, visibility: None })
    }
}

impl Read for SecretEntry {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        if matches!(node.value, Value::Map(_)) {
            return mapping(&SecretMappingKeys::read(node, problems)?, node.origin, problems);
        }
        text(node, problems, |text| Destination::parse(text, &Repository::that_rotates())).map(Self::from)
    }
}

fn mapping(keys: &SecretMappingKeys, origin: Origin, problems: &mut Problems) -> Option<SecretEntry> {
    let scopes = [origin_of(&keys.repository), origin_of(&keys.repositories), origin_of(&keys.organization)];
    let has_one_scope = scopes.iter().flatten().count() <= 1;
    if !has_one_scope {
        let all = one_of(["repository", "repositories", "organization"]);
        problems.error(origin, Invalid::new(format!("a secret belongs to one of {all}")));
    }
    if let (Some(_), Some(environment)) = (&keys.organization, origin_of(&keys.environment)) {
        problems.error(environment, Invalid::new("an organization has no environments"));
    }
    if let (Some(true), Some(create), None) =
        (given(&keys.create_environment), origin_of(&keys.create_environment), &keys.environment)
    {
        problems.error(create, Invalid::new("`create_environment` requires `environment`"));
    }
    if let (Some(visibility), None) = (origin_of(&keys.visibility), &keys.organization) {
        let invalid = Invalid::new("`visibility` is only for organization secrets");
        problems.error(visibility, invalid.help("name the `organization`"));
    }
    let store = given(&keys.store).copied().unwrap_or_default();
    if keys.name.is_none() {
        problems.error(origin, Invalid::new("this secret has no `name`"));
    }
    let name = checked(&keys.name, problems, secret_name);
    let environment = checked(&keys.environment, problems, |name| environment_name(name, store));
    if environment.is_none() && given(&keys.environment).is_some() {
        return None;
    }
    let create_environment = given(&keys.create_environment).copied().unwrap_or_default();
    if let Some(field) = &keys.repositories {
        let patterns = field.value.as_ref()?.iter().filter_map(|pattern| pattern.value.clone());
        let (exclude, include): (Vec<_>, Vec<_>) = patterns.partition(|pattern| pattern.leaves_out);
        if include.is_empty() {
            let invalid = Invalid::new("`repositories` includes no repository");
            problems.error(field.origin, invalid.help("begin with a pattern like acme/*"));
        }
        let name = name?;
        let pattern = SecretPattern { include, exclude, store, name, environment, create_environment };
        return Some(SecretEntry::Many(pattern));
    }
    let scope = match (&keys.organization, &keys.repository) {
        (Some(_), _) => Scope::Organization(checked(&keys.organization, problems, owner_name)?),
        (None, Some(repository)) => Scope::of(repository.value.clone()?, environment),
        (None, None) => Scope::of(Repository::that_rotates(), environment),
    };
    has_one_scope.then_some(SecretEntry::One(ConfiguredSecret {
        destination: Destination { store, scope, name: name? },
        create_environment,
        visibility: given(&keys.visibility).copied(),
    }))
}
