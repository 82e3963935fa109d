//! The secrets of one rotation: short forms and mappings, made into destinations
//! and patterns.

use super::destination::{environment_name, owner_name, secret_name};
use super::diagnostic::{Invalid, Place, one_of};
use super::file::{Field, RotationKeys, SecretKeys, SecretMappingKeys};
use super::load::{Source, given};
use super::{Destination, Repository, Scope, SecretPattern, SecretTarget};
use crate::rotation::window::{MOST_WRITES, fits};

impl Source<'_> {
    pub(super) fn secrets(
        &mut self,
        keys: &RotationKeys,
        repository: &Repository,
    ) -> (Vec<(SecretTarget, Place)>, Vec<SecretPattern>) {
        let (mut targets, mut patterns) = (Vec::new(), Vec::new());
        match &keys.secrets {
            None if self.by_flags => {
                let invalid = Invalid::new("no secret is given");
                self.problems.error(
                    self.place,
                    invalid.help(
                        "give --secret, the variable CROSSFADE_SECRETS or the action's input `secrets`",
                    ),
                );
            }
            None => self.problems.error(self.place, Invalid::new("this rotation has no `secrets`")),
            Some(Field { place, value: Some(list) }) if list.is_empty() => {
                self.problems.error(*place, Invalid::new("a rotation needs at least one secret"));
            }
            Some(Field { place, value }) => {
                if value.as_ref().is_some_and(|list| !fits(list.len())) {
                    let invalid = Invalid::new(format!(
                        "{MOST_WRITES} secrets are the most that one rotation can deliver to in time"
                    ));
                    self.problems.error(
                        *place,
                        invalid.help(
                            "GitHub takes about 178 writes a minute; give some of them a token of their own",
                        ),
                    );
                }
                for Field { place, value } in value.iter().flatten() {
                    match value {
                        Some(SecretKeys::Short(text)) => {
                            let destination =
                                self.problems.note(*place, Destination::parse(text, Some(repository)));
                            targets.extend(destination.map(|destination| {
                                (
                                    SecretTarget { destination, create_environment: false, visibility: None },
                                    *place,
                                )
                            }));
                        }
                        Some(SecretKeys::Mapping(keys)) => match self.mapping(keys, *place, repository) {
                            Some(Secret::One(target)) => targets.push((target, *place)),
                            Some(Secret::Many(pattern)) => patterns.push(pattern),
                            None => {}
                        },
                        None => {}
                    }
                }
            }
        }
        (targets, patterns)
    }

    fn mapping(&mut self, keys: &SecretMappingKeys, place: Place, default: &Repository) -> Option<Secret> {
        let at = |field: Option<Place>| field.unwrap_or(place);
        let environment_place = keys.environment.as_ref().map(|f| f.place);
        let organization_place = keys.organization.as_ref().map(|f| f.place);
        let patterns_place = keys.repositories.as_ref().map(|f| f.place);
        let visibility_place = keys.visibility.as_ref().map(|f| f.place);
        let repository_place = keys.repository.as_ref().map(|f| f.place);

        let homes = [repository_place, patterns_place, organization_place];
        let one_home = homes.iter().flatten().count() <= 1;
        if !one_home {
            let all = one_of(["repository", "repositories", "organization"]);
            self.problems.error(place, Invalid::new(format!("a secret belongs to one of {all}")));
        }
        if organization_place.is_some() && environment_place.is_some() {
            self.problems.error(at(environment_place), Invalid::new("an organization has no environments"));
        }
        if given(&keys.create_environment) == Some(&true) && environment_place.is_none() {
            let place = at(keys.create_environment.as_ref().map(|f| f.place));
            self.problems.error(place, Invalid::new("`create_environment` needs an `environment`"));
        }
        if visibility_place.is_some() && organization_place.is_none() {
            let invalid = Invalid::new("`visibility` is for organization secrets alone");
            self.problems.error(at(visibility_place), invalid.help("name the `organization`"));
        }
        let store = given(&keys.store).copied().unwrap_or_default();
        let name = match &keys.name {
            Some(name) => given(&keys.name).and_then(|n| self.problems.note(name.place, secret_name(n))),
            None => self.problems.note(place, Err(Invalid::new("this secret has no `name`"))),
        };
        let environment = match given(&keys.environment) {
            Some(name) => Some(self.problems.note(at(environment_place), environment_name(name, store))?),
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
                self.problems.error(field.place, invalid.help("begin with a pattern like acme/*"));
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
                Scope::Organization(self.problems.note(organization.place, owner_name(name))?)
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
