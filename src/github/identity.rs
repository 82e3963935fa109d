//! Whose the GitHub credential is: a user's, or a GitHub App's.

use serde::Deserialize;
use serde_json::Value;

use super::auth::Auth;
use super::error::{Error, ErrorKind, Subject};
use super::{GitHub, paths};

/// What GitHub tells of its credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// That it was accepted, which kind it is, and whose, as far as GitHub tells.
    pub(crate) description: String,
    /// The scopes of a classic token.
    pub(crate) scopes: Option<String>,
    /// Where the App is installed, of the owners that were asked for, and whether it
    /// covers all of their repositories.
    pub(crate) installations: Vec<(String, bool)>,
}

impl GitHub {
    /// Whose the GitHub credential is, as far as GitHub tells. `owners`: where an App is
    /// looked up.
    ///
    /// # Errors
    /// When GitHub rejects the credential, or cannot be reached.
    pub(crate) async fn identity(&self, owners: &[&str]) -> Result<Identity, Error> {
        let (description, installations) = match &self.client.credentials {
            Auth::App(app) => {
                let (mut name, mut installations) = (None, Vec::new());
                for owner in owners {
                    match app.installation(owner).await {
                        Ok(installed) => {
                            name = name.or_else(|| installed.app_slug.clone());
                            let covers_all = installed.repository_selection.as_deref() == Some("all");
                            installations.push(((*owner).to_owned(), covers_all));
                        }
                        // The secrets of this owner report the others.
                        Err(error) if is_of_the_credential(error.kind) => return Err(error),
                        Err(_) => {}
                    }
                }
                let description =
                    name.map_or("accepted: GitHub App".to_owned(), |name| format!("GitHub App {name}"));
                (description, installations)
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
                (format!("accepted: {}{user}", token.kind()), Vec::new())
            }
        };
        Ok(Identity { description, scopes: self.client.credentials.scopes(), installations })
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
