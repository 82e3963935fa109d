//! One GitHub secret: store × scope × name, and its short form.
//!
//! ```text
//! NAME                             a secret of the repository that rotates
//! owner/repo:NAME                  of another repository
//! owner/repo@environment:NAME      of a deployment environment
//! org:acme:NAME                    of an organization
//! dependabot+owner/repo:NAME       each with another store in front
//! ```
//!
//! An environment's name may contain anything, so it starts at the first `@` and
//! ends at the last `:`; neither can be part of what surrounds it.
//!
//! The paths of the REST API that belong to a destination live in
//! [`crate::github`].

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::diagnostic::{Invalid, name_of, named, quoted, suspicious};

/// Which of GitHub's secret stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Store {
    #[default]
    Actions,
    Dependabot,
    Codespaces,
    /// Of the Copilot agent.
    Agents,
}

impl Store {
    pub(crate) const NAMES: [(&'static str, Self); 4] = [
        ("actions", Self::Actions),
        ("dependabot", Self::Dependabot),
        ("codespaces", Self::Codespaces),
        ("agents", Self::Agents),
    ];

    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        named("store", &Self::NAMES, text)
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(&Self::NAMES, *self))
    }
}

/// `owner/name`. Compared without case, as GitHub does; printed as written.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    /// The user or organization.
    pub owner: String,
    pub name: String,
}

impl Repository {
    /// Stands for the repository that rotates while a file is read; no repository has an
    /// empty name.
    pub(super) fn that_rotates() -> Self {
        Self { owner: String::new(), name: String::new() }
    }

    /// Fills in the repository that rotates where none is written.
    pub(super) fn settle(&mut self, rotating: &Self) {
        if *self == Self::that_rotates() {
            *self = rotating.clone();
        }
    }

    /// Both parts lower case: what equality, hash and order go by.
    pub(crate) fn folded(&self) -> (String, String) {
        (self.owner.to_ascii_lowercase(), self.name.to_ascii_lowercase())
    }
}

impl PartialEq for Repository {
    fn eq(&self, other: &Self) -> bool {
        self.owner.eq_ignore_ascii_case(&other.owner) && self.name.eq_ignore_ascii_case(&other.name)
    }
}

impl Eq for Repository {}

impl Hash for Repository {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().hash(state);
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl FromStr for Repository {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (owner, name) = text
            .split_once('/')
            .ok_or_else(|| Invalid::text("repository", text).hint("expected owner/name"))?;
        Ok(Self { owner: owner_name(owner)?, name: repository_name(name)? })
    }
}

/// What a secret belongs to. Compared without case, as GitHub does.
#[derive(Debug, Clone)]
pub(crate) enum Scope {
    Repository(Repository),
    /// A deployment environment of a repository (Actions only).
    Environment {
        repository: Repository,
        /// May contain spaces and slashes.
        environment: String,
    },
    Organization(String),
}

impl Scope {
    /// The repository, or an environment of it.
    pub(crate) fn of(repository: Repository, environment: Option<String>) -> Self {
        match environment {
            Some(environment) => Self::Environment { repository, environment },
            None => Self::Repository(repository),
        }
    }

    /// What equality and hash go by: the printed form, in which `:` and `@` tell the kinds apart.
    fn folded(&self) -> String {
        self.to_string().to_lowercase()
    }

    /// The repository that it is, or that the environment is of; `None`: an organization.
    pub(crate) fn repository(&self) -> Option<&Repository> {
        match self {
            Self::Repository(repository) | Self::Environment { repository, .. } => Some(repository),
            Self::Organization(_) => None,
        }
    }

    /// The repository, or the organization, without an environment.
    pub(crate) fn place(&self) -> String {
        self.repository().map_or_else(|| self.owner().to_owned(), ToString::to_string)
    }

    /// The user or organization that everything in this scope belongs to.
    pub(crate) fn owner(&self) -> &str {
        match self {
            Self::Repository(repository) | Self::Environment { repository, .. } => &repository.owner,
            Self::Organization(name) => name,
        }
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.folded() == other.folded()
    }
}

impl Eq for Scope {}

impl Hash for Scope {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().hash(state);
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository(repository) => write!(f, "{repository}"),
            Self::Environment { repository, environment } => write!(f, "{repository}@{environment}"),
            Self::Organization(name) => write!(f, "org:{name}"),
        }
    }
}

/// One GitHub secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Destination {
    pub store: Store,
    pub scope: Scope,
    /// Upper case, as GitHub keeps it.
    pub name: String,
}

impl Destination {
    /// Reads the short form. `default_repository` is the one that a bare `NAME`
    /// belongs to.
    pub(crate) fn parse(text: &str, default_repository: &Repository) -> Result<Self, Invalid> {
        let (store, rest) = match text.split_once('+') {
            // A `+` further on belongs to an environment's name.
            Some((store, rest)) if !store.contains(['/', ':', '@']) => (Store::parse(store)?, rest),
            _ => (Store::default(), text),
        };
        let Some((owner, name)) = rest.rsplit_once(':') else {
            if rest.contains('/') {
                let invalid = Invalid::new(format!("{} has no secret name", quoted(rest)));
                return Err(invalid.hint("expected owner/repo:NAME"));
            }
            let scope = Scope::Repository(default_repository.clone());
            return Ok(Self { store, scope, name: secret_name(rest)? });
        };
        let scope = if let Some(organization) = owner.strip_prefix("org:") {
            Scope::Organization(owner_name(organization)?)
        } else if let Some((repository, environment)) = owner.split_once('@') {
            Scope::Environment {
                repository: repository.parse()?,
                environment: environment_name(environment, store)?,
            }
        } else {
            Scope::Repository(owner.parse()?)
        };
        Ok(Self { store, scope, name: secret_name(name)? })
    }

    /// The path of the page on GitHub that lists this secret, for people. Every
    /// character in it is legal in a URL.
    pub(crate) fn settings_path(&self) -> String {
        let store = self.store;
        match &self.scope {
            Scope::Repository(repository) => format!("/{repository}/settings/secrets/{store}"),
            // An environment's own page goes by a number that no list of secrets has.
            Scope::Environment { repository, .. } => format!("/{repository}/settings/environments"),
            Scope::Organization(name) => format!("/organizations/{name}/settings/secrets/{store}"),
        }
    }
}

impl fmt::Display for Destination {
    /// The full short form: always with the repository, with the store unless it
    /// is the one of Actions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.store != Store::default() {
            write!(f, "{}+", self.store)?;
        }
        write!(f, "{}:{}", self.scope, self.name)
    }
}

/// Secrets of crossfade's own, as the action and the documentation name them.
const OWN_SECRETS: &[&str] = &[
    "CROSSFADE_GITHUB_TOKEN",
    "CROSSFADE_GITHUB_APP_ID",
    "CROSSFADE_GITHUB_APP_PRIVATE_KEY",
    "CROSSFADE_ISSUE_TOKEN",
    "CROSSFADE_MARKER_KEY",
];

/// A legal secret name, upper case as GitHub keeps it.
pub(crate) fn secret_name(name: &str) -> Result<String, Invalid> {
    if !is_variable_name(name) {
        return Err(Invalid::text("secret name", name)
            .help("only letters, digits and _ are allowed, and no digit at the start"));
    }
    let upper = name.to_ascii_uppercase();
    if OWN_SECRETS.contains(&upper.as_str()) {
        return Err(Invalid::new(format!(
            "{} is a secret that crossfade itself signs in with",
            quoted(name)
        ))
        .help("it would be overwritten with a provider's token; name the secret that holds the token"));
    }
    if upper.starts_with("GITHUB_") {
        return Err(Invalid::new(format!("GitHub refuses the secret name {}", quoted(name)))
            .help("names may not start with GITHUB_"));
    }
    Ok(upper)
}

/// Whether an environment variable, or a secret, may have this name.
pub(super) fn is_variable_name(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

/// The name of a user or an organization.
pub(crate) fn owner_name(name: &str) -> Result<String, Invalid> {
    let legal = (1..=100).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        && !name.starts_with('-');
    Invalid::unless(legal, "user or organization name", name)
}

/// The name of a repository, without its owner.
pub(super) fn repository_name(name: &str) -> Result<String, Invalid> {
    let legal = (1..=100).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && !matches!(name, "." | "..");
    Invalid::unless(legal, "repository name", name)
}

/// The name of a deployment environment in `store`.
pub(crate) fn environment_name(name: &str, store: Store) -> Result<String, Invalid> {
    if store != Store::Actions {
        return Err(Invalid::new(format!("the {store} store has no environments"))
            .help("only the actions store has environments"));
    }
    let legal =
        (1..=255).contains(&name.chars().count()) && name.trim() == name && !name.chars().any(suspicious);
    Invalid::unless(legal, "environment name", name)
        .map_err(|e| e.help("1 to 255 characters, without control characters or spaces around it"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn home() -> Repository {
        "acme/home".parse().unwrap()
    }

    fn printed(text: &str) -> String {
        Destination::parse(text, &home()).map_or_else(|e| format!("error: {e}"), |d| d.to_string())
    }

    #[test]
    fn short_forms() {
        for (read, full) in [
            ("NAME", "acme/home:NAME"),
            ("name", "acme/home:NAME"),
            ("acme/api:NAME", "acme/api:NAME"),
            ("actions+acme/api:NAME", "acme/api:NAME"),
            ("dependabot+NAME", "dependabot+acme/home:NAME"),
            ("codespaces+org:acme:NAME", "codespaces+org:acme:NAME"),
            ("agents+acme/api:NAME", "agents+acme/api:NAME"),
            ("acme/api@production:NAME", "acme/api@production:NAME"),
            ("acme/api@eu/blue + green: a@b:NAME", "acme/api@eu/blue + green: a@b:NAME"),
        ] {
            assert_eq!(printed(read), full, "{read}");
        }
    }

    #[test]
    fn refusals() {
        insta::assert_snapshot!(
            [
                "", "1NAME", "github_token", "acme/api", "acme/api:", "acme:NAME", "../x:NAME", "acme/..:NAME",
                "a b/c:NAME", "acme/api@:NAME", "dependabot+acme/api@prod:NAME", "dependbot+NAME", "org::NAME",
                "acme/api@a\u{202e}b:NAME", "NA\u{1b}[2JME", "crossfade_github_token",
            ]
            .map(printed)
            .join("\n"),
            @r#"
            error: secret name is empty
            error: invalid secret name `1NAME`
            error: GitHub refuses the secret name `github_token`
            error: `acme/api` has no secret name (expected owner/repo:NAME)
            error: secret name is empty
            error: invalid repository `acme` (expected owner/name)
            error: invalid user or organization name `..`
            error: invalid repository name `..`
            error: invalid user or organization name `a b`
            error: environment name is empty
            error: the dependabot store has no environments
            error: unknown store `dependbot`
            error: user or organization name is empty
            error: invalid environment name `a�b`
            error: invalid secret name `NA�[2JME`
            error: `crossfade_github_token` is a secret that crossfade itself signs in with
            "#
        );
    }

    #[test]
    fn equality_ignores_case_as_github_does() {
        let one = Destination::parse("Acme/API@Prod:name", &home()).unwrap();
        let two = Destination::parse("acme/api@prod:NAME", &home()).unwrap();
        assert_eq!(one, two);
        assert_eq!(std::collections::HashSet::from([one, two]).len(), 1);
    }

    fn destinations() -> impl Strategy<Value = Destination> {
        let repository = ("[a-zA-Z0-9][a-zA-Z0-9_-]{0,8}", "[a-zA-Z0-9_.-]{0,6}[a-z]")
            .prop_map(|(owner, name)| Repository { owner, name });
        let environment = "[a-z@:/+ é#]{1,20}".prop_filter("trimmed", |e| e.trim() == e);
        let scope = prop_oneof![
            repository.clone().prop_map(Scope::Repository),
            (repository, environment)
                .prop_map(|(repository, environment)| Scope::Environment { repository, environment }),
            "[a-zA-Z0-9][a-zA-Z0-9_-]{0,8}".prop_map(Scope::Organization),
        ];
        let store = prop::sample::select(Store::NAMES.map(|(_, store)| store).to_vec());
        let name = "[A-Z_][A-Z0-9_]{0,9}".prop_filter("legal", |n| !n.starts_with("GITHUB_"));
        (store, scope, name).prop_filter_map("legal", |(store, scope, name)| {
            let legal = store == Store::Actions || !matches!(scope, Scope::Environment { .. });
            legal.then_some(Destination { store, scope, name })
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(destination in destinations()) {
            let read = Destination::parse(&destination.to_string(), &home()).unwrap();
            prop_assert_eq!(read.to_string(), destination.to_string());
            prop_assert_eq!(read, destination);
        }

        #[test]
        fn whatever_is_read_is_printed_and_read_back(text in "[a-zA-Z/@:+._ é-]{0,24}|\\PC*") {
            let other = "other/default".parse().unwrap();
            if let Ok(read) = Destination::parse(&text, &home()) {
                prop_assert_eq!(Destination::parse(&read.to_string(), &other), Ok(read));
            }
        }
    }
}
