//! Authentication: which token goes with a request for an owner.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use super::api::Api;
use super::app::App;
use super::error::SignedWith;
use super::{Error, ErrorKind, GithubCredential, Mode};
use crate::config::ConfiguredSecret;
use crate::http::{Announce, Call};

pub(super) enum Auth {
    /// One token for all owners.
    Token(SecretString),
    /// A GitHub App: a token for each owner.
    App(Box<App>),
}

impl Auth {
    /// Checks that the credential can be sent; sends no request.
    pub(super) fn new(
        credential: &GithubCredential,
        api: &Arc<Api>,
        mode: Mode,
        announce: Announce,
    ) -> Result<Self, Error> {
        match credential {
            GithubCredential::Token(token) => {
                Call::get(crate::clock::Peer::Github, api.url.clone())
                    .bearer(token)
                    .map_err(|error| Error::new(ErrorKind::Unauthenticated, format!("GitHub: {error}")))?;
                Ok(Self::Token(token.clone()))
            }
            GithubCredential::App { id, private_key } => {
                App::new(id, private_key, Arc::clone(api), mode, announce).map(|app| Self::App(Box::new(app)))
            }
        }
    }

    /// Announces what will be read and written: an App's tokens get only the permissions
    /// for that.
    pub(super) fn expect<'a>(&self, targets: impl IntoIterator<Item = &'a ConfiguredSecret>) {
        if let Self::App(app) = self {
            app.expect(targets);
        }
    }

    /// The token for requests about an owner.
    pub(super) async fn token(&self, owner: &str) -> Result<SecretString, Error> {
        match self {
            Self::Token(token) => Ok(token.clone()),
            Self::App(app) => app.token(owner).await,
        }
    }

    /// Drops a token that GitHub rejected; returns whether there can be another.
    pub(super) async fn forget(&self, owner: &str, token: &SecretString) -> bool {
        match self {
            Self::Token(_) => false,
            Self::App(app) => app.forget(owner, token).await,
        }
    }

    /// The kind of credential that requests about secrets and repositories use.
    pub(super) fn signed_with(&self) -> SignedWith {
        match self {
            Self::Token(_) => SignedWith::Token,
            Self::App(_) => SignedWith::InstallationToken,
        }
    }

    /// Whether it is an installation token, which sees only the installation's
    /// repositories.
    pub(super) fn is_installation(&self) -> bool {
        match self {
            Self::Token(token) => token.expose_secret().starts_with("ghs_"),
            Self::App(_) => true,
        }
    }
}
