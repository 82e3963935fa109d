//! From keys to a checked [`Config`]: selection, flags over file over defaults,
//! one [`Rotation`] after the other.
//!
//! [`super::validate`] checks values and rotations against each other.

use std::collections::BTreeMap;

use super::file::{self, DefaultsKeys, Field, FileKeys, RotationKeys, given};
use super::selection::Selection;
use super::validate::{self, Claims};
use super::{Config, Policy, Repository, Rotation, RotationKey, address, reach};
use crate::diagnostic::{Invalid, Origin, Problems, quoted};
use crate::provider::{Kind, ProviderSettings};
use crate::redact::looks_like_a_secret;

/// The variable that holds the provider credential unless a rotation names another.
pub const DEFAULT_CREDENTIAL: &str = "CROSSFADE_PROVIDER_TOKEN";

/// What the file, flags and variables say about rotations.
#[derive(Debug)]
pub(crate) struct Request {
    /// The configuration file's text; `None`: the flags describe the one rotation.
    pub(crate) file: Option<String>,
    /// What flags and variables say.
    pub(crate) flags: RotationKeys,
    /// Which of the file's rotations.
    pub(crate) selection: Selection,
    /// The repository that rotates.
    pub(crate) repository: Repository,
}

/// The selected rotations, checked. Everything that is wrong with any of the
/// rotations, selected or not, is noted; with an error among it there is no result.
pub(crate) fn load(request: &Request, problems: &mut Problems) -> Option<Config> {
    let before = problems.errors();
    let FileKeys { defaults, rotations } = match &request.file {
        Some(text) => file::read(text, problems),
        None => FileKeys {
            defaults: None,
            rotations: Some(Field { origin: Origin::Missing, value: Some(vec![by_flags(&request.flags)]) }),
        },
    };
    let defaults = defaults.and_then(|field| field.value).unwrap_or_default();
    let rotations = match rotations {
        Some(Field { value, .. }) => value.unwrap_or_default(),
        None => Vec::new(),
    };
    if rotations.is_empty() && problems.errors() == before {
        problems.error(Origin::Missing, Invalid::new("the configuration file has no `rotations`"));
    }
    let names: Vec<&str> =
        rotations.iter().filter_map(|r| given(&r.value.as_ref()?.name).map(String::as_str)).collect();
    request.selection.check(&names, problems);
    let selected: Vec<&str> = names.iter().copied().filter(|name| request.selection.takes(name)).collect();
    if request.file.is_some() {
        flags_fit(&request.flags, &selected, problems);
    }

    let is_selected =
        |keys: &RotationKeys| given(&keys.name).is_some_and(|name| request.selection.takes(name));
    let configured: Vec<reach::ConfiguredRotation<'_>> = rotations
        .iter()
        .filter_map(|Field { origin, value }| {
            let keys = value.as_ref()?;
            Some(reach::ConfiguredRotation { keys, origin: *origin, is_selected: is_selected(keys) })
        })
        .collect();
    let flags = request.file.is_some().then_some(&request.flags);
    let resolved = reach::decide(&configured, &defaults, flags, problems);
    let mut claims = Vec::new();
    let mut config = Config { rotations: Vec::new(), unselected: Vec::new() };
    for (reach::ConfiguredRotation { origin, is_selected, .. }, keys) in configured.iter().zip(&resolved) {
        let mut builder = RotationBuilder { origin: *origin, by_flags: request.file.is_none(), problems };
        let (rotation, origins) = builder.rotation(keys, &request.repository);
        claims.push(origins);
        let group = if *is_selected { &mut config.rotations } else { &mut config.unselected };
        group.extend(rotation);
    }
    validate::together(&claims, problems);
    (problems.errors() == before).then_some(config)
}

/// Without a file: a rotation is called what its token is called.
fn by_flags(flags: &RotationKeys) -> Field<RotationKeys> {
    let mut keys = flags.clone();
    keys.name = keys.name.or_else(|| keys.token.clone());
    Field { origin: Origin::Missing, value: Some(keys) }
}

/// Flags that describe one rotation need exactly one.
fn flags_fit(flags: &RotationKeys, selected: &[&str], problems: &mut Problems) {
    if let Some(name) = &flags.name {
        let invalid =
            Invalid::new("a name is for the rotation that flags describe, and here is a configuration file");
        problems.error(name.origin, invalid.help("choose a rotation of the file with --only"));
    }
    let token = flags.token.as_ref().map(|f| f.origin);
    let secrets = flags.secrets.as_ref().map(|f| f.origin);
    for origin in [token, secrets].into_iter().flatten() {
        if selected.len() > 1 {
            let count = selected.len();
            let invalid =
                Invalid::new(format!("this belongs to one rotation, and {count} of the file are selected"));
            problems.error(origin, invalid.help("choose one with --only"));
        }
    }
}

/// Flags override the file.
pub(super) fn over(flags: &RotationKeys, file: &RotationKeys) -> RotationKeys {
    let RotationKeys {
        name: _,
        provider,
        provider_url,
        credential,
        org_id,
        token,
        formerly,
        trusted,
        lifetime,
        overlap,
        rotate_before,
        delete_after,
        create,
        verify,
        secrets,
    } = flags.clone();
    let file = file.clone();
    RotationKeys {
        name: file.name,
        provider: provider.or(file.provider),
        provider_url: provider_url.or(file.provider_url),
        credential: credential.or(file.credential),
        org_id: org_id.or(file.org_id),
        token: token.or(file.token),
        formerly: formerly.or(file.formerly),
        trusted: trusted.or(file.trusted),
        lifetime: lifetime.or(file.lifetime),
        overlap: overlap.or(file.overlap),
        rotate_before: rotate_before.or(file.rotate_before),
        delete_after: delete_after.or(file.delete_after),
        create: create.or(file.create),
        verify: verify.or(file.verify),
        secrets: secrets.or(file.secrets),
    }
}

/// `defaults` fill what a rotation does not say.
pub(super) fn under(keys: RotationKeys, defaults: &DefaultsKeys) -> RotationKeys {
    let DefaultsKeys {
        provider,
        provider_url,
        credential,
        org_id,
        lifetime,
        overlap,
        rotate_before,
        delete_after,
    } = defaults.clone();
    RotationKeys {
        provider: keys.provider.or(provider),
        provider_url: keys.provider_url.or(provider_url),
        credential: keys.credential.or(credential),
        org_id: keys.org_id.or(org_id),
        lifetime: keys.lifetime.or(lifetime),
        overlap: keys.overlap.or(overlap),
        rotate_before: keys.rotate_before.or(rotate_before),
        delete_after: keys.delete_after.or(delete_after),
        ..keys
    }
}

/// Builds one rotation from its keys, and collects the problems.
pub(super) struct RotationBuilder<'a> {
    pub(super) origin: Origin,
    pub(super) by_flags: bool,
    pub(super) problems: &'a mut Problems,
}

impl RotationBuilder<'_> {
    fn rotation(&mut self, keys: &RotationKeys, repository: &Repository) -> (Option<Rotation>, Claims) {
        let name = self
            .required(&keys.name, "name", "--name")
            .and_then(|name| self.legal(&keys.name, validate::rotation_name(name)));
        let kind = self.required(&keys.provider, "provider", "--provider").cloned();
        let token = self
            .required(&keys.token, "token", "--token")
            .and_then(|token| self.legal(&keys.token, token_name(token)));
        let trusted = given(&keys.trusted).and_then(|id| self.legal(&keys.trusted, token_name(id)));
        let credential = match given(&keys.credential) {
            // Its line is not shown.
            Some(variable) if validate::could_be_a_credential(variable) => self.problems.note(self.origin, Err(
                Invalid::new("`credential` of this rotation looks like a credential itself, and is not shown here")
                    .help("write the name of the environment variable that holds it, like AXIOM_ADMIN_TOKEN; replace a credential that was written down"),
            )),
            Some(variable) => self.legal(&keys.credential, validate::credential(variable)),
            None => Some((DEFAULT_CREDENTIAL.to_owned(), self.origin)),
        };
        let verify = given(&keys.verify).and_then(|path| self.legal(&keys.verify, address::path(path)));
        let policy = self.policy(keys);
        let (secrets, patterns) = self.secrets(keys, repository);

        let key = name.clone().map(|(name, _)| RotationKey::new(repository, &name));
        let formerly: Vec<(RotationKey, Origin)> = given(&keys.formerly)
            .into_iter()
            .flat_map(|keys| &keys.0)
            .filter_map(|f| Some((f.value.clone()?, f.origin)))
            .collect();
        let provider = kind.zip(credential).map(|(kind, (credential, _))| ProviderSettings {
            with: with(&kind, keys),
            kind,
            url: given(&keys.provider_url).cloned(),
            credential,
        });
        let claims = Claims {
            name: name.clone(),
            formerly: formerly.clone(),
            key: key.clone(),
            token: provider
                .clone()
                .zip(token.clone())
                .map(|(provider, (token, origin))| (provider, token, origin)),
            destinations: secrets
                .iter()
                .map(|(target, origin)| (target.destination.clone(), *origin))
                .collect(),
        };
        let rotation = (|| {
            Some(Rotation {
                name: name?.0,
                key: key?,
                formerly: formerly.into_iter().map(|(key, _)| key).collect(),
                provider: provider?,
                token: token?.0,
                trusted: trusted.map(|(id, _)| id),
                policy,
                create: given(&keys.create).map(|create| create.0.clone()),
                verify: verify.map(|(path, _)| path),
                secrets: secrets.into_iter().map(|(target, _)| target).collect(),
                patterns,
            })
        })();
        (rotation, claims)
    }

    /// A key without which there is no rotation.
    fn required<'k, T>(&mut self, field: &'k Option<Field<T>>, key: &str, flag: &str) -> Option<&'k T> {
        if field.is_none() {
            let invalid = if self.by_flags {
                // A rotation takes its name from its token.
                let key = if key == "name" { return None } else { key };
                let variable = format!("CROSSFADE_{}", key.to_uppercase());
                Invalid::new(format!("no {key} is given"))
                    .help(format!("give {flag}, the variable {variable} or the action's input `{key}`"))
            } else {
                Invalid::new(format!("this rotation has no `{key}`"))
            };
            self.problems.error(self.origin, invalid);
        }
        given(field)
    }

    /// A checked value with its origin, or `None` and a problem.
    fn legal<T, U>(&mut self, field: &Option<Field<T>>, result: Result<U, Invalid>) -> Option<(U, Origin)> {
        let origin = field.as_ref().map_or(self.origin, |f| f.origin);
        self.problems.note(origin, result).map(|value| (value, origin))
    }

    fn policy(&mut self, keys: &RotationKeys) -> Policy {
        let fields = [&keys.lifetime, &keys.overlap, &keys.rotate_before, &keys.delete_after];
        let standard = Policy::default();
        let value = |field: &Option<Field<super::Period>>, default| given(field).copied().unwrap_or(default);
        let policy = Policy {
            lifetime: value(&keys.lifetime, standard.lifetime),
            overlap: value(&keys.overlap, standard.overlap),
            rotate_before: value(&keys.rotate_before, standard.rotate_before),
            delete_after: given(&keys.delete_after).copied(),
        };
        // A value that could not be read is no reason to complain about the others.
        if fields.iter().all(|f| f.as_ref().is_none_or(|f| f.value.is_some())) {
            let origin = |field: &Option<Field<super::Period>>| field.as_ref().map(|f| f.origin);
            let origins = validate::PolicyOrigins {
                lifetime: origin(&keys.lifetime),
                overlap: origin(&keys.overlap),
                rotate_before: origin(&keys.rotate_before),
                rotation: self.origin,
            };
            validate::policy(policy, origins, self.problems);
        }
        policy
    }
}

/// What a rotation sets of its provider's variables.
pub(super) fn with(kind: &Kind, keys: &RotationKeys) -> BTreeMap<String, String> {
    let is_declared = |name: &str| kind.file().variables.contains_key(name);
    let org_id = given(&keys.org_id).filter(|_| is_declared("org_id"));
    org_id.map(|id| ("org_id".to_owned(), id.clone())).into_iter().collect()
}

/// The name or id of a token, never its value.
fn token_name(text: &str) -> Result<String, Invalid> {
    if looks_like_a_secret(text) {
        return Err(file::secret_in_file());
    }
    if text.chars().any(char::is_control) || text.chars().count() > 500 {
        return Err(Invalid::new(format!("{} is no name or id of a token", quoted(text))));
    }
    Ok(text.to_owned())
}

/// Notes what is wrong with a file, as the command `check` does.
#[cfg(test)]
pub(crate) fn read_for_tests(text: &str, problems: &mut Problems) {
    let repository = Repository { owner: "acme".to_owned(), name: "home".to_owned() };
    let (flags, selection) = (RotationKeys::default(), Selection::default());
    load(&Request { file: Some(text.to_owned()), flags, selection, repository }, problems);
}

#[cfg(test)]
mod tests;
