//! Whose the GitHub credential is: a user's, or a GitHub App's.

use serde::Deserialize;
use serde_json::Value;

use super::auth::Auth;
use super::client::Client;
use super::error::{Error, ErrorKind, Subject};
use super::paths;

/// Which kind of GitHub credential it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CredentialKind {
    /// A fine-grained personal access token.
    FineGrained,
    /// A classic personal access token.
    Classic,
    /// A token of an OAuth App, such as that of `gh auth token`.
    Oauth,
    /// An installation token, such as the workflow's own `GITHUB_TOKEN`.
    InstallationToken,
    /// A GitHub App.
    App,
    /// A token of an unknown form.
    Other,
}

/// What GitHub tells of its credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Which kind it is.
    pub(crate) kind: CredentialKind,
    /// The user, or the App; `None`: GitHub does not tell.
    pub(crate) name: Option<String>,
    /// The scopes of a classic token.
    pub(crate) scopes: Option<String>,
    /// Where the App is installed, of the owners that were asked for, and whether it
    /// covers all of their repositories.
    pub(crate) installations: Vec<(String, bool)>,
}

impl CredentialKind {
    /// Source: GitHub's page on the formats of its tokens.
    pub(super) fn of_token(value: &str) -> Self {
        let kinds = [
            ("github_pat_", Self::FineGrained),
            ("ghp_", Self::Classic),
            ("gho_", Self::Oauth),
            ("ghs_", Self::InstallationToken),
        ];
        kinds.into_iter().find(|(prefix, _)| value.starts_with(prefix)).map_or(Self::Other, |(_, kind)| kind)
    }
}

/// See [`super::GitHub::identity`].
pub(super) async fn identity(client: &Client<Auth>, owners: &[&str]) -> Result<Identity, Error> {
    let kind = client.credentials.kind();
    let mut identity = Identity { kind, name: None, scopes: None, installations: Vec::new() };
    match kind {
        CredentialKind::App => {
            for owner in owners {
                match client.credentials.installation(owner).await {
                    Ok(installed) => {
                        identity.name = identity.name.or(installed.app);
                        identity.installations.push(((*owner).to_owned(), installed.covers_all));
                    }
                    // The secrets of this owner report the others.
                    Err(error) if is_of_the_credential(error.kind) => return Err(error),
                    Err(_) => {}
                }
            }
        }
        // It belongs to no user, so GitHub refuses to name one. Every credential may see the limits.
        CredentialKind::InstallationToken => {
            client.get::<Value>(&Subject::Credential, paths::RATE_LIMIT).await?;
        }
        CredentialKind::FineGrained
        | CredentialKind::Classic
        | CredentialKind::Oauth
        | CredentialKind::Other => {
            #[derive(Deserialize)]
            struct User {
                login: String,
            }
            match client.get::<User>(&Subject::Credential, paths::USER).await {
                Ok(user) => identity.name = Some(user.login),
                Err(error) if is_of_the_credential(error.kind) => return Err(error),
                Err(_) => {}
            }
            identity.scopes = client.credentials.scopes();
        }
    }
    Ok(identity)
}

/// Whether an error means that nothing else can be known either.
fn is_of_the_credential(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unauthenticated | ErrorKind::Unavailable | ErrorKind::RateLimited)
}
