//! What a secret belongs to, and the short forms that tests write.
//!
//! Written anew here, not taken from the crate: an oracle that shares the
//! parser of what it judges would share its mistakes.

use std::fmt;

/// Which of GitHub's secret stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Store {
    /// GitHub Actions.
    Actions,
    /// Dependabot.
    Dependabot,
    /// Codespaces.
    Codespaces,
    /// The Copilot agent.
    Agents,
}

impl Store {
    /// By its name in paths and short forms.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "actions" => Self::Actions,
            "dependabot" => Self::Dependabot,
            "codespaces" => Self::Codespaces,
            "agents" => Self::Agents,
            _ => return None,
        })
    }

    /// Its name in paths and short forms.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Actions => "actions",
            Self::Dependabot => "dependabot",
            Self::Codespaces => "codespaces",
            Self::Agents => "agents",
        }
    }
}

/// A place as people name it, lower case but for environments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// `owner/repo`.
    Repository(String),
    /// `owner/repo@environment`.
    Environment(String, String),
    /// `org:acme`.
    Organization(String),
}

/// Reads `owner/repo`, `owner/repo@env` or `org:acme`, with an optional store
/// and `+` in front.
///
/// # Panics
/// On anything else: short forms are written by tests.
#[must_use]
pub fn parse_scope(short: &str) -> (Store, Named) {
    let (store, rest) = match short.split_once('+') {
        Some((store, rest)) if Store::named(store).is_some() => (Store::named(store).unwrap(), rest),
        _ => (Store::Actions, short),
    };
    let named = if let Some(org) = rest.strip_prefix("org:") {
        Named::Organization(org.to_ascii_lowercase())
    } else if let Some((repository, environment)) = rest.split_once('@') {
        Named::Environment(repository.to_ascii_lowercase(), environment.to_owned())
    } else {
        assert_eq!(rest.matches('/').count(), 1, "{short:?} is no scope");
        Named::Repository(rest.to_ascii_lowercase())
    };
    (store, named)
}

/// Reads a scope followed by `:NAME`; gives the name in upper case.
///
/// # Panics
/// On anything else: short forms are written by tests.
#[must_use]
pub fn parse_destination(short: &str) -> (Store, Named, String) {
    let (scope, name) = short.rsplit_once(':').unwrap_or_else(|| panic!("{short:?} names no secret"));
    let (store, named) = parse_scope(scope);
    (store, named, name.to_ascii_uppercase())
}

/// A place as the fake keeps it: a repository keeps its id over a rename.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A repository, by its id.
    Repository(u64),
    /// An environment of a repository.
    Environment(u64, String),
    /// An organization, lower case.
    Organization(String),
}

/// A store in a place: what has its own public key and its own secrets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// Which store.
    pub store: Store,
    /// Where.
    pub place: Place,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of ", self.store.name())?;
        match &self.place {
            Place::Repository(id) => write!(f, "repository {id}"),
            Place::Environment(id, name) => write!(f, "repository {id}, environment {name:?}"),
            Place::Organization(org) => write!(f, "organization {org}"),
        }
    }
}
