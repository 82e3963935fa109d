//! Authentication: which token goes with a request.

mod app;
mod jwt;

use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use super::client::Credentials;
use super::error::{self, Error, ErrorKind, Result, SignedWith, Subject};
use super::settings::{GithubCredential, Mode};
use super::transport::Transport;
use crate::http::Announce;
use app::App;
pub(super) use app::Need;

/// The header with the expiry of the request's token. Source: GitHub's pages on personal
/// access tokens.
const EXPIRATION: &str = "github-authentication-token-expiration";

/// How installation tokens begin.
const INSTALLATION: &str = "ghs_";

pub(super) enum Auth {
    /// One token for all owners.
    Token(UserToken),
    /// A GitHub App: a token for each owner.
    App(Box<App>),
}

/// `CROSSFADE_GITHUB_TOKEN`, and what GitHub has reported about it.
#[derive(Default)]
pub(super) struct UserToken {
    token: SecretString,
    expires_at: Mutex<Option<Timestamp>>,
    scopes: Mutex<Option<String>>,
}

impl Auth {
    /// Checks that the credential can be sent; sends no request.
    pub(super) fn new(
        credential: &GithubCredential,
        transport: &Arc<Transport>,
        mode: Mode,
        announce: Announce,
    ) -> Result<Self> {
        match credential {
            GithubCredential::Token(token) => {
                transport
                    .call(http::Method::GET, "/")
                    .bearer(token)
                    .map_err(|error| Error::new(ErrorKind::Unauthenticated, "GitHub", error.to_string()))?;
                Ok(Self::Token(UserToken { token: token.clone(), ..UserToken::default() }))
            }
            GithubCredential::App { id, private_key } => {
                App::new(id, private_key, Arc::clone(transport), mode, announce)
                    .map(|app| Self::App(Box::new(app)))
            }
        }
    }

    /// Announces what tokens will be used for: an App's get only the permissions for that.
    pub(super) fn expect<'a>(&self, needs: impl IntoIterator<Item = Need<'a>>) {
        if let Self::App(app) = self {
            app.expect(needs);
        }
    }

    /// Whether the credential is known to have the permissions that something needs;
    /// `false`: it is a token, whose permissions GitHub does not list.
    ///
    /// # Errors
    /// When an App lacks one of them, or is not installed there.
    pub(super) async fn has_permissions_for(&self, need: Need<'_>) -> Result<bool> {
        match self {
            Self::Token(_) => Ok(false),
            Self::App(app) => app.check(need).await.map(|()| true),
        }
    }

    /// The scopes of a classic token, from the last reply; `None`: another kind of
    /// credential.
    pub(super) fn scopes(&self) -> Option<String> {
        match self {
            Self::Token(user) => user.scopes.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Self::App(_) => None,
        }
    }

    /// Whether it is an installation token, which sees only the installation's
    /// repositories.
    pub(super) fn is_installation(&self) -> bool {
        match self {
            Self::Token(user) => user.token.expose_secret().starts_with(INSTALLATION),
            Self::App(_) => true,
        }
    }

    /// See [`super::GitHub::credential_expires_at`].
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Token(user) => *user.expires_at.lock().unwrap_or_else(PoisonError::into_inner),
            Self::App(_) => None,
        }
    }
}

impl UserToken {
    /// Which kind it is, in words. Source: GitHub's page on the formats of its tokens.
    pub(super) fn kind(&self) -> &'static str {
        let kinds = [
            ("github_pat_", "fine-grained personal access token"),
            ("ghp_", "classic personal access token"),
            ("gho_", "OAuth token"),
            (INSTALLATION, "installation token, as a workflow or a GitHub App has it"),
        ];
        let value = self.token.expose_secret();
        kinds.into_iter().find(|(prefix, _)| value.starts_with(prefix)).map_or("token", |(_, kind)| kind)
    }
}

impl Credentials for Auth {
    async fn token(&self, subject: &Subject<'_>) -> Result<SecretString> {
        match (self, subject) {
            (Self::Token(user), _) => Ok(user.token.clone()),
            (Self::App(app), Subject::Repositories(owner)) => app.metadata_token(owner).await,
            (Self::App(app), _) => app.token(subject.owner()).await,
        }
    }

    async fn forget(&self, subject: &Subject<'_>, token: &SecretString) -> bool {
        match (self, subject) {
            (Self::Token(_), _) | (Self::App(_), Subject::Repositories(_)) => false,
            (Self::App(app), _) => {
                app.forget(subject.owner(), token);
                true
            }
        }
    }

    fn observe(&self, headers: &HeaderMap) {
        let Self::Token(user) = self else { return };
        if let Some(end) = headers.get(EXPIRATION).and_then(|value| expiration(value.to_str().ok()?)) {
            let mut earliest = user.expires_at.lock().unwrap_or_else(PoisonError::into_inner);
            *earliest = Some(earliest.map_or(end, |known| known.min(end)));
        }
        if let Some(scopes) = error::scopes(headers) {
            *user.scopes.lock().unwrap_or_else(PoisonError::into_inner) = Some(scopes);
        }
    }

    fn signed_with(&self) -> SignedWith {
        match self {
            Self::Token(_) => SignedWith::Token,
            Self::App(_) => SignedWith::InstallationToken,
        }
    }
}

/// `2026-03-10 08:00:00 UTC`, or with an offset in place of UTC.
fn expiration(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    match text.strip_suffix(" UTC") {
        Some(utc) => format!("{utc}Z").parse().ok(),
        None => Timestamp::strptime("%Y-%m-%d %H:%M:%S %z", text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_tokens_are_read() {
        let end = |text: &str| expiration(text).map(|end| end.to_string());
        assert_eq!(end("2026-03-10 08:00:00 UTC").as_deref(), Some("2026-03-10T08:00:00Z"));
        assert_eq!(end("2026-03-10 08:00:00 +0200").as_deref(), Some("2026-03-10T06:00:00Z"));
        for text in ["", "soon", "UTC", "2026-03-10 08:00:00", "2026-13-10 08:00:00 UTC"] {
            assert_eq!(end(text), None, "{text}");
        }
    }
}
