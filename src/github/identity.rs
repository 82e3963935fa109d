//! Whose the GitHub credential is: a user's, or a GitHub App's.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::auth::Auth;
use super::error::{ErrorKind, Result, Subject};
use super::{GitHub, paths};

impl GitHub {
    /// That the GitHub credential was accepted, which kind it is, and whose, as far as GitHub
    /// tells: `accepted: classic personal access token of octocat, scopes repo`. `owners`:
    /// where an App is looked up.
    ///
    /// # Errors
    /// When GitHub rejects the credential, or cannot be reached.
    pub(crate) async fn identity(&self, owners: &BTreeSet<String>) -> Result<String> {
        match &self.client.credentials {
            Auth::App(app) => {
                let (mut name, mut installed) = (None, Vec::new());
                for owner in owners {
                    match app.installation(owner).await {
                        Ok(found) => {
                            name = name.or_else(|| found.app_slug.clone());
                            let covers_all = found.repository_selection.as_deref() == Some("all");
                            let covered = if covers_all { "all" } else { "selected" };
                            installed.push(format!("{owner} ({covered} repositories)"));
                        }
                        // The secrets of this owner report the others.
                        Err(error) if is_of_the_credential(error.kind) => return Err(error),
                        Err(_) => {}
                    }
                }
                let app = name.map_or("accepted: GitHub App".to_owned(), |name| format!("GitHub App {name}"));
                Ok(match installed.is_empty() {
                    true => app,
                    false => format!("{app}, installed at {}", installed.join(", ")),
                })
            }
            Auth::Token(token) => {
                let user = if self.client.credentials.is_installation() {
                    // It belongs to no user, so GitHub refuses to name one. Every credential may see the limits.
                    self.client.get::<Value>(&Subject::Credential, paths::RATE_LIMIT).await?;
                    String::new()
                } else {
                    match self.client.get::<User>(&Subject::Credential, paths::USER).await {
                        Ok(user) => format!(" of {}", user.login),
                        Err(error) if is_of_the_credential(error.kind) => return Err(error),
                        Err(_) => String::new(),
                    }
                };
                let scopes = self.client.credentials.scopes().map(|scopes| format!(", scopes {scopes}"));
                Ok(format!("accepted: {}{user}{}", token.kind(), scopes.unwrap_or_default()))
            }
        }
    }
}

#[derive(Deserialize)]
struct User {
    login: String,
}

/// Whether an error means that nothing else can be known either.
fn is_of_the_credential(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unauthenticated | ErrorKind::Unavailable | ErrorKind::RateLimited)
}
