//! Which permission a scope needs, as GitHub's settings and its API name it.
//!
//! Sources: GitHub's pages on permissions of fine-grained tokens and of Apps.

use std::fmt;

use serde::Serialize;

use crate::config::{Destination, Scope, Store};

/// A permission of a token or an App.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Permission {
    /// The API's name.
    pub(super) key: &'static str,
    /// The group in the settings: `repository` or `organization`.
    pub(super) group: &'static str,
    /// The name in the settings.
    pub(super) label: &'static str,
}

/// Making an environment.
pub(super) const ADMINISTRATION: Permission = repository("administration", "Administration");

/// Looking whether an environment exists; workflows and their runs.
pub(super) const ACTIONS: Permission = repository("actions", "Actions");

/// Seeing that repositories exist; every token may have it.
pub(super) const METADATA: Permission = repository("metadata", "Metadata");

/// Issues and their comments.
pub(super) const ISSUES: Permission = repository("issues", "Issues");

/// Codespaces' secrets of a repository, which take the right to write even from
/// those who only list them. Source: GitHub's page on the permissions of Apps.
const CODESPACES: Permission = repository("codespaces_secrets", "Codespaces secrets");

const fn repository(key: &'static str, label: &'static str) -> Permission {
    Permission { key, group: "repository", label }
}

const fn organization(key: &'static str, label: &'static str) -> Permission {
    Permission { key, group: "organization", label }
}

impl Permission {
    /// The one that reading and writing a scope's secrets takes.
    pub(super) fn of(store: Store, scope: &Scope) -> Self {
        match (scope, store) {
            (Scope::Environment { .. }, _) => repository("environments", "Environments"),
            (Scope::Repository(_), Store::Actions) => repository("secrets", "Secrets"),
            (Scope::Repository(_), Store::Dependabot) => {
                repository("dependabot_secrets", "Dependabot secrets")
            }
            (Scope::Repository(_), Store::Codespaces) => CODESPACES,
            (Scope::Repository(_), Store::Agents) => repository("agent_secrets", "Agent secrets"),
            (Scope::Organization(_), Store::Actions) => organization("organization_secrets", "Secrets"),
            (Scope::Organization(_), Store::Dependabot) => {
                organization("organization_dependabot_secrets", "Organization dependabot secrets")
            }
            (Scope::Organization(_), Store::Codespaces) => {
                organization("organization_codespaces_secrets", "Organization codespaces secrets")
            }
            (Scope::Organization(_), Store::Agents) => {
                organization("organization_agent_secrets", "Agent secrets")
            }
        }
    }

    /// What listing takes.
    pub(super) fn to_list(self) -> Right {
        if self == CODESPACES { Right::Write } else { Right::Read }
    }
}

/// The permission that a secret takes, in GitHub's words.
pub(crate) fn needed(destination: &Destination) -> String {
    Permission::of(destination.store, &destination.scope).to_string()
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} permission \"{}\"", self.group, self.label)
    }
}

/// How far a permission goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Right {
    Read,
    Write,
}

impl Right {
    /// What the API says was granted.
    pub(super) fn granted(level: &str) -> Option<Self> {
        match level {
            "write" | "admin" => Some(Self::Write),
            "read" => Some(Self::Read),
            _ => None,
        }
    }
}
