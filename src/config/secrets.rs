//! The secrets of one rotation: short forms and mappings, made into destinations
//! and patterns.

use super::destination::{environment_name, owner_name, secret_name};
use super::file::given;
use super::file::{Field, RotationKeys, SecretKeys, SecretMappingKeys};
use super::load::RotationBuilder;
use super::{Destination, Repository, Scope, SecretPattern, SecretTarget};
use crate::diagnostic::{Invalid, Origin, one_of};
use crate::limits::{MOST_WRITES, fits};

impl RotationBuilder<'_> {
    pub(super) fn secrets(
        &mut self,
        keys: &RotationKeys,
        repository: &Repository,
    ) -> (Vec<(SecretTarget, Origin)>, Vec<SecretPattern>) {
        let (mut secrets, mut patterns) = (Vec::new(), Vec::new());
        match &keys.secrets {
            None if self.by_flags => {
                let invalid = Invalid::new("no secret is given");
                self.problems.error(
                    self.origin,
                    invalid.help(
                        "give --secret, the variable CROSSFADE_SECRETS or the action's input `secrets`",
                    ),
                );
            }
            None => self.problems.error(self.origin, Invalid::new("this rotation has no `secrets`")),
            Some(Field { origin, value: Some(list) }) if list.is_empty() => {
                self.problems.error(*origin, Invalid::new("a rotation needs at least one secret"));
            }
            Some(Field { origin, value }) => {
                if value.as_ref().is_some_and(|list| !fits(list.len())) {
                    let invalid = Invalid::new(format!(
                        "{MOST_WRITES} secrets are the most that one rotation can deliver to in time"
                    ));
                    self.problems.error(
                        *origin,
                        invalid.help(
                            "GitHub takes about 178 writes a minute; give some of them a token of their own",
                        ),
                    );
                }
                for Field { origin, value } in value.iter().flatten() {
                    match value {
                        Some(SecretKeys::Short(text)) => {
                            let destination =
                                self.problems.note(*origin, Destination::parse(text, Some(repository)));
                            secrets.extend(destination.map(|destination| {
                                (
                                    SecretTarget { destination, create_environment: false, visibility: None },
                                    *origin,
                                )
                            }));
                        }
                        Some(SecretKeys::Mapping(keys)) => match self.mapping(keys, *origin, repository) {
                            Some(Secret::One(secret)) => secrets.push((secret, *origin)),
                            Some(Secret::Many(pattern)) => patterns.push(pattern),
                            None => {}
                        },
                        None => {}
                    }
                }
            }
        }
        (secrets, patterns)
    }

    fn mapping(&mut self, keys: &SecretMappingKeys, origin: Origin, default: &Repository) -> Option<Secret> {
        let at = |field: Option<Origin>| field.unwrap_or(origin);
        let environment_origin = keys.environment.as_ref().map(|f| f.origin);
        let organization_origin = keys.organization.as_ref().map(|f| f.origin);
        let patterns_origin = keys.repositories.as_ref().map(|f| f.origin);
        let visibility_origin = keys.visibility.as_ref().map(|f| f.origin);
        let repository_origin = keys.repository.as_ref().map(|f| f.origin);

        let homes = [repository_origin, patterns_origin, organization_origin];
        let one_home = homes.iter().flatten().count() <= 1;
        if !one_home {
            let all = one_of(["repository", "repositories", "organization"]);
            self.problems.error(origin, Invalid::new(format!("a secret belongs to one of {all}")));
        }
        if organization_origin.is_some() && environment_origin.is_some() {
            self.problems.error(at(environment_origin), Invalid::new("an organization has no environments"));
        }
        if given(&keys.create_environment) == Some(&true) && environment_origin.is_none() {
            let origin = at(keys.create_environment.as_ref().map(|f| f.origin));
            self.problems.error(origin, Invalid::new("`create_environment` needs an `environment`"));
        }
        if visibility_origin.is_some() && organization_origin.is_none() {
            let invalid = Invalid::new("`visibility` is for organization secrets alone");
            self.problems.error(at(visibility_origin), invalid.help("name the `organization`"));
        }
        let store = given(&keys.store).copied().unwrap_or_default();
        let name = match &keys.name {
            Some(name) => given(&keys.name).and_then(|n| self.problems.note(name.origin, secret_name(n))),
            None => self.problems.note(origin, Err(Invalid::new("this secret has no `name`"))),
        };
        let environment = match given(&keys.environment) {
            Some(name) => Some(self.problems.note(at(environment_origin), environment_name(name, store))?),
            None => None,
        };
        let create_environment = given(&keys.create_environment).copied().unwrap_or_default();
        if let Some(field) = &keys.repositories {
            let signed = field.value.as_ref()?;
            let of = |leaves_out: bool| {
                let patterns = signed.iter().filter_map(|f| f.value.as_ref());
                patterns.filter(|p| p.leaves_out == leaves_out).map(|p| p.pattern.clone()).collect::<Vec<_>>()
            };
            let include = of(false);
            if include.is_empty() {
                let invalid = Invalid::new("`repositories` takes in no repository");
                self.problems.error(field.origin, invalid.help("begin with a pattern like acme/*"));
            }
            return Some(Secret::Many(SecretPattern {
                include,
                exclude: of(true),
                store,
                name: name?,
                environment,
                create_environment,
            }));
        }
        let scope = match (&keys.organization, &keys.repository) {
            (Some(organization), _) => {
                let name = organization.value.as_deref()?;
                Scope::Organization(self.problems.note(organization.origin, owner_name(name))?)
            }
            (None, Some(repository)) => repository_scope(repository.value.clone()?, environment),
            (None, None) => repository_scope(default.clone(), environment),
        };
        one_home.then_some(Secret::One(SecretTarget {
            destination: Destination { store, scope, name: name? },
            create_environment,
            visibility: given(&keys.visibility).copied(),
        }))
    }
}

/// What a mapping under `secrets` stands for.
enum Secret {
    One(SecretTarget),
    Many(SecretPattern),
}

fn repository_scope(repository: Repository, environment: Option<String>) -> Scope {
    match environment {
        Some(environment) => Scope::Environment { repository, environment },
        None => Scope::Repository(repository),
    }
}
