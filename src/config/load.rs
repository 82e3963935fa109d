//! From keys to a checked [`Config`]: selection, flags over file over defaults,
//! one [`Rotation`] after the other.
//!
//! [`super::validate`] checks values and rotations against each other.

use super::file::{self, FileKeys, RotationKeys};
use super::providers::{self, Providers};
use super::secrets::SecretEntry;
use super::selection::Selection;
use super::{Config, Policy, Repository, Rotation, RotationKey};
use super::{address, reach, validate};
use crate::diagnostic::{Invalid, Origin, Problems};
use crate::limits::{MOST_WRITES, fits};
use crate::redact::looks_like_a_secret;
use crate::yaml::keys::{Field, all, checked, given, origin_of};

/// What the file, flags and variables say about rotations.
#[derive(Debug)]
pub(crate) struct Request {
    /// The configuration file's text; `None`: the flags describe the one rotation.
    pub(crate) file: Option<String>,
    pub(crate) flags: RotationKeys,
    pub(crate) selection: Selection,
    pub(crate) repository: Repository,
}

/// The selected rotations, checked. Everything that is wrong with any of the
/// rotations, selected or not, is noted; with an error among it there is no result.
pub(crate) fn load(request: &Request, problems: &mut Problems) -> Option<Config> {
    let Request { file, flags, selection, repository } = request;
    let before = problems.errors();
    let FileKeys { defaults, providers: own, rotations } = match file {
        Some(text) => file::read(text, problems),
        None => {
            // Without a file, a rotation takes its name from its token.
            let name = flags.name.clone().or_else(|| flags.token.clone());
            let rotation = missing(RotationKeys { name, ..flags.clone() });
            FileKeys { rotations: Some(missing(vec![rotation])), ..FileKeys::default() }
        }
    };
    let defaults = defaults.and_then(|field| field.value).unwrap_or_default();
    let mut rotations = rotations.and_then(|field| field.value).unwrap_or_default();
    for keys in rotations.iter_mut().filter_map(|rotation| rotation.value.as_mut()) {
        let secrets = keys.secrets.iter_mut().filter_map(|field| field.value.as_mut()).flatten();
        let secrets = secrets.filter_map(|secret| secret.value.as_mut()?.repository());
        let workflows = keys.after.iter_mut().filter_map(|field| field.value.as_mut()).flatten();
        let workflows = workflows.filter_map(|workflow| Some(&mut workflow.value.as_mut()?.repository));
        secrets.chain(workflows).for_each(|one| one.settle(repository));
    }
    if rotations.is_empty() && problems.errors() == before {
        problems.error(Origin::Missing, Invalid::new("the configuration file has no `rotations`"));
    }
    let names: Vec<&str> =
        rotations.iter().filter_map(|r| given(&r.value.as_ref()?.name).map(String::as_str)).collect();
    selection.check(&names, problems);
    if file.is_some() {
        let selected = names.iter().filter(|name| selection.takes(name)).count();
        flags_fit(flags, selected, problems);
    }
    let configured: Vec<reach::ConfiguredRotation<'_>> = rotations
        .iter()
        .filter_map(|Field { origin, value }| {
            let keys = value.as_ref()?;
            let is_selected = given(&keys.name).is_some_and(|name| selection.takes(name));
            Some(reach::ConfiguredRotation { keys, origin: *origin, is_selected })
        })
        .collect();
    let own = all(&own);
    let providers = Providers::read(own, problems);
    let all_keys = configured.iter().map(|one| one.keys).chain([&defaults.0, flags]);
    for field in all_keys.filter_map(|keys| keys.provider.as_ref()) {
        providers::check_name(field, own, problems);
    }
    let in_file = file.is_some().then_some(flags);
    let resolved = reach::decide(&configured, &defaults, in_file, &providers, problems);
    let mut config = Config { rotations: Vec::new(), unselected: Vec::new() };
    for (reach::ConfiguredRotation { origin, is_selected, .. }, keys) in configured.iter().zip(&resolved) {
        let mut builder =
            RotationBuilder { origin: *origin, by_flags: file.is_none(), providers: &providers, problems };
        let group = if *is_selected { &mut config.rotations } else { &mut config.unselected };
        group.extend(builder.rotation(keys, repository));
    }
    validate::together(&resolved, repository, &providers, problems);
    (problems.errors() == before).then_some(config)
}

/// A value that the user has not written as such.
fn missing<T>(value: T) -> Field<T> {
    Field { origin: Origin::Missing, value: Some(value) }
}

/// Flags that describe one rotation need exactly one.
fn flags_fit(flags: &RotationKeys, selected: usize, problems: &mut Problems) {
    if let Some(name) = &flags.name {
        let invalid =
            Invalid::new("a name is only for a rotation that flags describe, not for a configuration file");
        problems.error(name.origin, invalid.help("choose a rotation of the file with --only"));
    }
    let origins = [origin_of(&flags.token), origin_of(&flags.secrets)];
    for origin in origins.into_iter().flatten().filter(|_| selected > 1) {
        let invalid =
            Invalid::new(format!("this belongs to one rotation, and {selected} of the file are selected"));
        problems.error(origin, invalid.help("choose one with --only"));
    }
}

/// Builds one rotation from its keys, and collects the problems.
struct RotationBuilder<'a> {
    origin: Origin,
    by_flags: bool,
    providers: &'a Providers,
    problems: &'a mut Problems,
}

impl RotationBuilder<'_> {
    fn rotation(&mut self, keys: &RotationKeys, repository: &Repository) -> Option<Rotation> {
        let required = [
            ("name", "--name", keys.name.is_some()),
            ("provider", "--provider", keys.provider.is_some()),
            ("token", "--token", keys.token.is_some()),
            ("secrets", "--secret", keys.secrets.is_some()),
        ];
        for (key, flag, _) in required.into_iter().filter(|(.., is_given)| !is_given) {
            if !self.by_flags {
                self.problems.error(self.origin, Invalid::new(format!("this rotation has no `{key}`")));
            } else if key != "name" {
                // A name that is missing was to come from the token, which is missing too.
                let invalid = Invalid::new(format!("no {} is given", flag.trim_start_matches('-')));
                let variable = format!("CROSSFADE_{}", key.to_uppercase());
                let help = format!("give {flag}, the variable {variable} or the action's input `{key}`");
                self.problems.error(self.origin, invalid.help(help));
            }
        }
        let name = checked(&keys.name, self.problems, validate::rotation_name);
        let token = checked(&keys.token, self.problems, token_name);
        let trusted = checked(&keys.trusted, self.problems, token_name);
        let verify = checked(&keys.verify, self.problems, address::path);
        let has_credential = self.has_credential(keys);
        let provider = reach::settings(keys, self.providers);
        if let Some(provider) = &provider {
            providers::check_variables(&provider.kind, keys, self.origin, self.problems);
        }
        let policy = self.policy(keys);
        let (mut secrets, mut patterns) = (Vec::new(), Vec::new());
        for secret in self.secrets(keys).iter().filter_map(|field| field.value.clone()) {
            match secret {
                SecretEntry::One(secret) => secrets.push(secret),
                SecretEntry::Many(pattern) => patterns.push(pattern),
            }
        }
        let formerly = given(&keys.formerly).into_iter().flat_map(|keys| &keys.0);
        let name = name?;
        Some(Rotation {
            key: RotationKey::new(repository, &name),
            repository: repository.clone(),
            name,
            formerly: formerly.filter_map(|key| key.value.clone()).collect(),
            provider: provider.filter(|_| has_credential)?,
            token: token?,
            trusted,
            policy,
            create: given(&keys.create).map(|create| create.0.clone()),
            verify,
            secrets,
            patterns,
            after: all(&keys.after).iter().filter_map(|one| one.value.clone()).collect(),
        })
    }

    /// Whether the variable with the credential is known and may be one.
    fn has_credential(&mut self, keys: &RotationKeys) -> bool {
        if given(&keys.credential).is_some_and(|variable| validate::could_be_a_credential(variable)) {
            // At the rotation's origin: the credential's own line is not shown.
            self.problems.error(self.origin,
                Invalid::new("`credential` of this rotation looks like a credential itself, and is not shown here")
                    .help("write the name of the environment variable that holds it, like AXIOM_ADMIN_TOKEN; replace a credential that was written down"),
            );
            return false;
        }
        checked(&keys.credential, self.problems, validate::credential).is_some()
            || given(&keys.credential).is_none()
    }

    fn policy(&mut self, keys: &RotationKeys) -> Policy {
        let standard = Policy::default();
        let policy = Policy {
            lifetime: given(&keys.lifetime).copied().unwrap_or(standard.lifetime),
            overlap: given(&keys.overlap).copied().unwrap_or(standard.overlap),
            rotate_before: given(&keys.rotate_before).copied().unwrap_or(standard.rotate_before),
            delete_after: given(&keys.delete_after).copied(),
        };
        let fields = [&keys.lifetime, &keys.overlap, &keys.rotate_before, &keys.delete_after];
        // A value that could not be read is no reason to complain about the others.
        if fields.iter().all(|f| f.as_ref().is_none_or(|f| f.value.is_some())) {
            validate::policy(policy, keys, self.origin, self.problems);
        }
        policy
    }

    fn secrets<'k>(&mut self, keys: &'k RotationKeys) -> &'k [Field<SecretEntry>] {
        let Some(Field { origin, value: Some(secrets) }) = &keys.secrets else { return &[] };
        if secrets.is_empty() {
            self.problems.error(*origin, Invalid::new("a rotation needs at least one secret"));
        }
        if !fits(secrets.len()) {
            let invalid = Invalid::new(format!(
                "a rotation can deliver to at most {MOST_WRITES} secrets in time, found {}",
                secrets.len()
            ));
            let help = "GitHub takes about 178 writes a minute; give some of them a token of their own";
            self.problems.error(*origin, invalid.help(help));
        }
        secrets
    }
}

/// The name or id of a token, never its value.
pub(crate) fn token_name(text: &str) -> Result<String, Invalid> {
    if looks_like_a_secret(text) {
        return Err(file::secret_in_file());
    }
    if text.trim().is_empty() || text.chars().any(char::is_control) || text.chars().count() > 500 {
        return Err(Invalid::text("token name or id", text));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
pub(crate) mod tests;
