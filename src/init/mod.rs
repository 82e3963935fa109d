//! `crossfade init`: from answers to a configuration file and a workflow.
//!
//! [`setup`] checks the answers as the configuration is checked; [`files`] and [`steps`] make
//! texts of them, without I/O. [`dialog`] asks, with [`choices`] that [`lookup`] reads;
//! [`mod@write`] writes.

pub(crate) mod choices;
pub(crate) mod dialog;
pub(crate) mod files;
pub(crate) mod lookup;
pub(crate) mod steps;
pub(crate) mod write;

use std::collections::BTreeMap;

use url::Url;

use crate::config::{
    Destination, ProviderName, Repository, Request, Rotation, RotationKeys, SecretEntry, Selection, load,
    rotation_name,
};
use crate::diagnostic::{Invalid, Origin, Problems, suspicious};
use crate::provider::Kind;
use crate::yaml::keys::Field;

/// What is known so far, from flags and answers.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// The repository that will run crossfade.
    pub(crate) repository: Option<Repository>,
    pub(crate) provider: Option<Kind>,
    pub(crate) provider_url: Option<Url>,
    pub(crate) with: BTreeMap<String, String>,
    /// Name or id.
    pub(crate) token: Option<String>,
    /// What the rotation is named after; otherwise after `token`.
    pub(crate) name: Option<String>,
    /// In the short form.
    pub(crate) secrets: Vec<String>,
    pub(crate) extras: Extras,
}

/// What is left out unless a user asks for it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extras {
    pub(crate) app: bool,
    pub(crate) sign: bool,
    /// A second workflow, which fails if a token would expire.
    pub(crate) monitor: bool,
}

/// Checked answers.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) rotation: Rotation,
    pub(crate) extras: Extras,
}

impl Setup {
    /// Every secret that holds the token.
    pub(crate) fn destinations(&self) -> impl Iterator<Item = &Destination> {
        self.rotation.secrets.iter().map(|secret| &secret.destination)
    }
}

/// The variable with the provider credential, which the pages of the providers name too.
pub(crate) fn credential_variable(provider: &Kind) -> String {
    format!("{}_ADMIN_TOKEN", provider.name().to_uppercase().replace('-', "_"))
}

/// The variables that a rotation must set.
pub(crate) fn required_variables(provider: &Kind) -> impl Iterator<Item = &String> {
    provider.file().variables.iter().filter(|(_, one)| one.is_required()).map(|(name, _)| name)
}

/// The answers, checked. With an error among the problems there is no result.
pub(crate) fn setup(answers: &Answers, problems: &mut Problems) -> Option<Setup> {
    note_missing(answers, problems);
    let (repository, provider, token) =
        (answers.repository.as_ref()?, answers.provider.as_ref()?, answers.token.as_ref()?);
    if problems.has_errors() {
        return None;
    }
    let with = |(name, value): (&String, &String)| {
        (name.clone(), Origin::Input("--with"), by_flag("--with", value.clone()))
    };
    let secret = |text: &String| {
        let destination = problems.note(Origin::Input("--secret"), Destination::parse(text, repository));
        destination.map(|destination| by_flag("--secret", SecretEntry::from(destination)))
    };
    let secrets = answers.secrets.iter().filter_map(secret).collect();
    let name = rotation_named_after(answers.name.as_ref().unwrap_or(token));
    let flags = RotationKeys {
        name: Some(Field { origin: Origin::Missing, value: Some(name) }),
        provider: Some(by_flag("--provider", ProviderName(provider.name().to_owned()))),
        provider_url: answers.provider_url.clone().map(|url| by_flag("--provider-url", url)),
        credential: Some(Field { origin: Origin::Missing, value: Some(credential_variable(provider)) }),
        with: Some(by_flag("--with", answers.with.iter().map(with).collect())),
        token: Some(by_flag("--token", token.clone())),
        secrets: Some(by_flag("--secret", secrets)),
        ..RotationKeys::default()
    };
    let request =
        Request { file: None, flags, selection: Selection::default(), repository: repository.clone() };
    let rotation = load(&request, problems)?.rotations.into_iter().next()?;
    Some(Setup { rotation, extras: answers.extras })
}

fn by_flag<T>(flag: &'static str, value: T) -> Field<T> {
    Field { origin: Origin::Input(flag), value: Some(value) }
}

/// Notes every answer that is missing, with the flag that gives it.
fn note_missing(answers: &Answers, problems: &mut Problems) {
    let Answers { repository, provider, token, secrets, .. } = answers;
    let mut note = |is_missing: bool, what: &str, help: &str| {
        if is_missing {
            problems.error(Origin::Missing, Invalid::new(what).help(help));
        }
    };
    note(
        repository.is_none(),
        "no repository is given",
        "give --repository owner/name: the repository that will run crossfade",
    );
    note(provider.is_none(), "no provider is given", "give --provider; `crossfade provider list` shows them");
    if let Some(provider) = provider {
        note(
            provider.origin().is_none() && answers.provider_url.is_none(),
            &format!("the provider `{provider}` has no public address"),
            "give --provider-url: where your installation is, with the API's path",
        );
        for name in required_variables(provider).filter(|name| !answers.with.contains_key(*name)) {
            let about = &provider.file().variables[name].about;
            note(
                true,
                &format!("the provider `{provider}` needs the variable `{name}`"),
                &format!("give --with {name}=…: {about}"),
            );
        }
    }
    note(
        token.is_none(),
        "no token is given",
        "give --token: the name or id of the token at the provider, never its value",
    );
    note(
        secrets.is_empty(),
        "no secret is given",
        "give --secret, once for each secret that holds the token",
    );
}

/// A rotation's name in which nothing is left that such a name may not hold.
fn rotation_named_after(text: &str) -> String {
    let legal = |c: char| if suspicious(c) || matches!(c, '[' | ']') { '-' } else { c };
    let name: String = text.trim().chars().map(legal).take(100).collect();
    let name = name.trim();
    if name.is_empty() || rotation_name(name).is_err() { "token".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests;
