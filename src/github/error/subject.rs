//! What a request to GitHub is about: the words for it, and what its refusal means.

use std::fmt;

use http::HeaderMap;
use url::Url;

use super::{Refusal, SignedWith, missing_scope, quoted, scopes};
use crate::config::{Destination, Repository, Scope, Store, Workflow};
use crate::github::permission::{ACTIONS, ADMINISTRATION, ISSUES, METADATA, Permission};
use crate::github::transport::has_every_store;
use crate::github::workflows::ENABLE;

/// What a request is about. Errors begin with it, and the advice after a refusal depends
/// on it.
#[derive(Debug, Clone, Copy)]
pub(in crate::github) enum Subject<'a> {
    /// The secrets of this one's scope.
    Secrets(&'a Destination),
    /// Creating the environment that will hold them, which takes another permission.
    Environment(&'a Destination),
    /// A write check, which holds for all of the owner's repositories.
    WriteCheck(&'a Destination),
    /// Whose the credential is.
    Credential,
    /// The repositories of this owner.
    Repositories(&'a str),
    /// The issues of this repository.
    Issues(&'a Repository),
    /// The App's installation at this owner.
    Installation(&'a str),
    /// A token for that installation.
    InstallationToken(&'a str),
    /// A workflow and its runs.
    Workflow(&'a Workflow),
    /// Starting it, which takes the right to write.
    Start(&'a Workflow),
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secrets(secret) | Self::Environment(secret) => f.write_str(&secrets_like(secret)),
            Self::WriteCheck(secret) => write!(f, "write check for {}", secrets_like(secret)),
            Self::Credential => f.write_str("GitHub credential"),
            Self::Repositories(owner) => write!(f, "repositories of {owner}"),
            Self::Issues(repository) => write!(f, "issues of {repository}"),
            Self::Installation(owner) | Self::InstallationToken(owner) => write!(f, "GitHub App at {owner}"),
            Self::Workflow(workflow) | Self::Start(workflow) => write!(f, "workflow {workflow}"),
        }
    }
}

/// All secrets of the same store and scope.
fn secrets_like(secret: &Destination) -> String {
    let store = store_name(secret.store);
    match &secret.scope {
        Scope::Repository(repository) => format!("{store} secrets of {repository}"),
        Scope::Environment { repository, environment } => {
            format!("secrets of environment {} of {repository}", quoted(environment))
        }
        Scope::Organization(name) => format!("{store} secrets of organization {name}"),
    }
}

impl Subject<'_> {
    pub(super) fn is_of_a_secret(&self) -> bool {
        matches!(self, Self::Secrets(_) | Self::Environment(_) | Self::WriteCheck(_))
    }

    /// The user or organization that it belongs to.
    pub(in crate::github) fn owner(&self) -> &str {
        match self {
            Self::Secrets(secret) | Self::Environment(secret) | Self::WriteCheck(secret) => {
                secret.scope.owner()
            }
            Self::Credential => "",
            Self::Issues(repository) => &repository.owner,
            Self::Repositories(owner) | Self::Installation(owner) | Self::InstallationToken(owner) => owner,
            Self::Workflow(workflow) | Self::Start(workflow) => &workflow.repository.owner,
        }
    }

    /// What a refusal means, without its reason.
    pub(super) fn refusal(&self) -> &'static str {
        match self {
            Self::Secrets(_) | Self::Environment(_) | Self::Issues(_) | Self::Workflow(_) => {
                "GitHub refused the request"
            }
            Self::WriteCheck(_) => "GitHub refused to write",
            Self::Credential => "GitHub refused to say whose it is",
            Self::Repositories(_) => "GitHub refused to list them",
            Self::Installation(_) => "GitHub refused to show the installation of the GitHub App",
            Self::InstallationToken(_) => "GitHub refused the GitHub App a token for its installation",
            Self::Start(_) => "GitHub refused to start it",
        }
    }

    /// The cause and the remedy of a 404.
    pub(super) fn not_found(&self, server: &Url) -> (String, Option<&'static str>) {
        match self {
            Self::Secrets(secret) | Self::Environment(secret) => scope_not_found(secret, server),
            Self::WriteCheck(_) => {
                let remedy = "Grant the GitHub credential the permission to write these secrets.";
                ("the GitHub credential can read there, but not write".to_owned(), Some(remedy))
            }
            Self::Credential => ("GitHub does not say whose it is".to_owned(), None),
            Self::Repositories(_) => {
                ("the owner does not exist, or the GitHub credential cannot see it".to_owned(), None)
            }
            Self::Issues(_) => (
                "the repository does not exist, or the credential cannot see it".to_owned(),
                Some("Check the spelling of the repository, and give the credential access to it."),
            ),
            Self::Installation(owner) => (
                format!("the GitHub App is not installed at {owner}"),
                Some("Install the GitHub App, from its page on GitHub."),
            ),
            Self::InstallationToken(owner) => (
                format!("the installation of the GitHub App at {owner} is gone"),
                Some("Install the GitHub App again, from its page on GitHub."),
            ),
            Self::Workflow(_) | Self::Start(_) => (
                "the repository has no such workflow, or the GitHub credential cannot see it".to_owned(),
                Some(
                    "Check `repository` and `workflow` under `after`, and that the file is on the repository's default \
                     branch.",
                ),
            ),
        }
    }

    /// What to do about a 403, as far as GitHub's message gives the cause.
    pub(super) fn hint(&self, refusal: &Refusal<'_>) -> Option<String> {
        let headers = &refusal.reply.headers;
        if refusal.requires_sso() {
            return Some(
                "Authorize the GitHub credential for the organization's single sign-on: open its settings on GitHub \
                 and choose \"Configure SSO\"."
                    .to_owned(),
            );
        }
        let permission = refusal.mentions("not accessible by").then(|| self.permission_hint(refusal));
        let scope = self.missing_scope(headers).map(|(_, remedy)| remedy);
        let hints: Vec<String> = permission.into_iter().chain(scope).collect();
        (!hints.is_empty()).then(|| hints.join(" "))
    }

    /// What to do about a 422, as far as GitHub's message gives the cause.
    pub(super) fn invalid_hint(&self, refusal: &Refusal<'_>) -> Option<String> {
        let Self::Start(_) = self else { return None };
        let hints = [
            (
                "does not have 'workflow_dispatch'",
                "Add `workflow_dispatch:` to the workflow's `on:`, on the ref.",
            ),
            ("no ref found", "Correct `ref` under `after`: a branch or a tag."),
            ("input", "Give every input of the workflow a default: crossfade sends none."),
            ("disabled", ENABLE),
        ];
        hints.into_iter().find(|(part, _)| refusal.mentions(part)).map(|(_, hint)| hint.to_owned())
    }

    fn permission_hint(&self, refusal: &Refusal<'_>) -> String {
        let (permission, right) = match self {
            Self::Environment(_) => (ADMINISTRATION, "write"),
            Self::Secrets(secret) | Self::WriteCheck(secret) => {
                (Permission::of(secret.store, &secret.scope), "read and write")
            }
            Self::Issues(_) => (ISSUES, "read and write"),
            Self::Credential | Self::Repositories(_) | Self::Installation(_) | Self::InstallationToken(_) => {
                (METADATA, "read")
            }
            Self::Workflow(_) | Self::Start(_) => (ACTIONS, "read and write"),
        };
        let asked = accepted_permissions(&refusal.reply.headers);
        let asked = asked.map(|asked| format!(" (GitHub asks for {asked})")).unwrap_or_default();
        match refusal.signed_with {
            SignedWith::Token | SignedWith::IssueToken
                if matches!(self, Self::Issues(_)) && refusal.mentions("by integration") =>
            {
                format!(
                    "Give the job `issues: write` under `permissions`{asked}; the workflow's own token covers only \
                     its own repository."
                )
            }
            SignedWith::Token if refusal.mentions("by integration") && permission != ACTIONS => format!(
                "Use a fine-grained personal access token or a GitHub App with the {permission}: {right}{asked}. The \
                 workflow's own GITHUB_TOKEN can never have it."
            ),
            SignedWith::Token | SignedWith::IssueToken | SignedWith::AppKey => {
                format!("Grant the GitHub credential the {permission}: {right}{asked}.")
            }
            SignedWith::InstallationToken => format!(
                "Grant the GitHub App the {permission}: {right}{asked}, in its settings, and accept the change where \
                 it is installed."
            ),
        }
    }

    /// The scope that a classic token lacks; GitHub sends its scopes with every reply.
    fn missing_scope(&self, headers: &HeaderMap) -> Option<(String, String)> {
        let scopes = scopes(headers)?;
        match self {
            Self::Secrets(secret) | Self::Environment(secret) | Self::WriteCheck(secret) => {
                missing_scope(&scopes, &secret.scope)
            }
            Self::Start(workflow) => missing_scope(&scopes, &Scope::Repository(workflow.repository.clone())),
            _ => None,
        }
    }
}

/// The cause and the remedy of a scope that GitHub does not show. A GitHub Enterprise Server may
/// lack a store.
fn scope_not_found(secret: &Destination, server: &Url) -> (String, Option<&'static str>) {
    let (cause, remedy) = match secret.scope {
        Scope::Repository(_) => {
            ("the repository does not exist, or the GitHub credential cannot see it", None)
        }
        Scope::Environment { .. } => (
            "the environment does not exist, or the GitHub credential cannot see its repository",
            Some(
                "Check the spelling, and that the GitHub credential has access; or set `create_environment: true` \
                 to have a missing environment created.",
            ),
        ),
        Scope::Organization(_) => {
            ("the organization does not exist, or the GitHub credential cannot see its secrets", None)
        }
    };
    let store = match secret.store == Store::Actions || has_every_store(server) {
        true => String::new(),
        false => format!(", or this GitHub server has no {} secrets", store_name(secret.store)),
    };
    (format!("{cause}{store}"), remedy)
}

/// A store's name at the beginning of a sentence.
fn store_name(store: Store) -> String {
    let name = store.to_string();
    let (first, rest) = name.split_at(1);
    format!("{}{rest}", first.to_ascii_uppercase())
}

/// The permission that GitHub's reply names, in its API's form: `secrets=write`.
fn accepted_permissions(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("x-accepted-github-permissions")?.to_str().ok()?;
    let harmless = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '=' | ';' | ',' | ' ');
    let text: String = value.chars().filter(harmless).take(200).collect();
    (!text.is_empty()).then_some(text)
}
