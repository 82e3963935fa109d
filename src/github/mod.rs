//! GitHub: reads the state of secrets and writes them.
//!
//! octocrab provides GitHub's types; every request goes through the one client in
//! [`crate::http`]. [`crate::rotation`] decides when to write what.

mod api;
mod app;
mod auth;
mod cache;
mod error;
mod evidence;
mod jwt;
mod list;
mod octocrab_service;
mod pace;
mod paths;
mod permission;
mod preflight;
mod repositories;
mod seal;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use octocrab::models::PublicKey;
use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

pub use error::{Error, ErrorKind, WriteError};
pub use evidence::Evidence;
pub use pace::Pace;
pub use repositories::Expansion;
pub use seal::{SealError, Sealed, seal};

use crate::config::{Scope, SecretTarget, Store};
use crate::http::{Announce, Http};
use crate::progress::Progress;
use crate::redact::{Body, TokenShape};
use api::Api;
use auth::Auth;
use cache::Cache;
use error::{Purpose, Refusal, SignedWith, Subject};
use evidence::{Checked, Condition};
use list::{Expected, Listing};
use octocrab_service::{NoReply, OctocrabService, Owner, ReplyDetails, Rules};
use pace::Pacer;
use preflight::Readers;

/// The address of GitHub's API and the GitHub credential.
#[derive(Debug, Clone)]
pub struct GithubSettings {
    /// The REST API, with its path where it has one (`/api/v3`).
    pub api_url: Url,
    /// The GitHub credential.
    pub credential: GithubCredential,
}

/// The GitHub credential.
#[derive(Debug, Clone)]
pub enum GithubCredential {
    /// A personal access token, or an installation token that the workflow created.
    Token(SecretString),
    /// A GitHub App, which makes its own tokens.
    App {
        /// The App's id or client id.
        id: String,
        /// Its private key, PEM.
        private_key: SecretString,
    },
}

/// What a run may do at GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Read only (`crossfade status`).
    ReadOnly,
    /// Read, and check whether writes would be accepted (`--dry-run`).
    DryRun,
    /// Read and write.
    Apply,
}

/// What the table of token shapes calls this service.
pub const SERVICE: &str = "github";

/// What GitHub's tokens look like: personal, OAuth, user, server and refresh tokens.
pub const TOKENS: &[TokenShape] = &[
    TokenShape { prefix: "ghp_", body: Body::DottedWord(16) },
    TokenShape { prefix: "github_pat_", body: Body::DottedWord(16) },
    TokenShape { prefix: "gho_", body: Body::DottedWord(16) },
    TokenShape { prefix: "ghu_", body: Body::DottedWord(16) },
    TokenShape { prefix: "ghs_", body: Body::DottedWord(16) },
    TokenShape { prefix: "ghr_", body: Body::DottedWord(16) },
];

/// Options of the GitHub client.
pub struct GithubOptions {
    /// The most requests under way at a time.
    pub concurrency: usize,
    /// What the server allows, if it publishes limits.
    pub pace: Pace,
    /// Nothing is changed without [`Mode::Apply`].
    pub mode: Mode,
    /// Called with every installation token that is created.
    pub announce: Announce,
    /// Counts every secret that was read or written.
    pub progress: Progress,
}

/// The state of one secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretState {
    /// Its scope exists, and has no such secret.
    Missing,
    /// When the secret was last written.
    UpdatedAt(Timestamp),
}

/// The GitHub client of one run. Each result is fetched once.
pub struct GitHub {
    octocrab: Octocrab,
    http: Arc<Http>,
    api: Arc<Api>,
    auth: Arc<Auth>,
    mode: Mode,
    progress: Progress,
    /// Whether every store exists: true for github.com and ghe.com tenants.
    has_every_store: bool,
    expected: Expected,
    listings: Cache<Arc<Listing>>,
    keys: Cache<Option<PublicKey>>,
    readers: Cache<Readers>,
    repositories: Cache<Arc<Vec<repositories::ListedRepository>>>,
    conditions: Cache<Condition>,
    checks: Cache<Checked>,
}

impl GitHub {
    /// Builds the client without sending a request. Must be called from within the
    /// runtime.
    ///
    /// # Errors
    /// When the credential cannot be sent at all.
    pub fn connect(
        http: Arc<Http>,
        settings: &GithubSettings,
        options: GithubOptions,
    ) -> Result<Self, Error> {
        let GithubOptions { concurrency, pace, mode, announce, progress } = options;
        let rate_limiter = Arc::new(Pacer::new(pace, concurrency));
        let api = Arc::new(Api::new(Arc::clone(&http), settings.api_url.clone(), rate_limiter));
        let auth = Arc::new(Auth::new(&settings.credential, &api, mode, announce)?);
        let service = OctocrabService { api: Arc::clone(&api), auth: Arc::clone(&auth) };
        let built = OctocrabBuilder::new_empty().with_service(service).with_auth(AuthState::None).build();
        let Ok(octocrab) = built;
        Ok(Self {
            octocrab,
            http,
            api,
            auth,
            mode,
            progress,
            has_every_store: has_every_store(&settings.api_url),
            expected: Expected::default(),
            listings: Cache::new(),
            keys: Cache::new(),
            readers: Cache::new(),
            repositories: Cache::new(),
            conditions: Cache::new(),
            checks: Cache::new(),
        })
    }

    /// Announces what will be read and written. A GitHub App requests tokens with only
    /// the permissions for that, and lists are read in as few requests as possible.
    pub fn expect<'a>(&self, targets: impl IntoIterator<Item = &'a SecretTarget>) {
        let targets: Vec<&SecretTarget> = targets.into_iter().collect();
        self.progress.expect(targets.len());
        self.expected.add(targets.iter().map(|target| &target.destination));
        self.auth.expect(targets);
    }

    /// When the GitHub credential expires. `None`: GitHub has not reported it, or the
    /// credential is an App.
    #[must_use]
    pub fn credential_expires_at(&self) -> Option<Timestamp> {
        match &*self.auth {
            Auth::Token(_) => self.api.earliest_end(),
            Auth::App(_) => None,
        }
    }

    /// The state of each secret, in order. Secrets of one scope share a list, in this
    /// call and in later ones.
    ///
    /// A secret in an environment that is still to be created is
    /// [`SecretState::Missing`] too.
    pub async fn observe(&self, targets: &[SecretTarget]) -> Vec<Result<SecretState, Error>> {
        join_all(targets.iter().map(|target| self.observe_one(target))).await
    }

    async fn observe_one(&self, target: &SecretTarget) -> Result<SecretState, Error> {
        let found = match &*self.auth {
            Auth::App(app) => app.check(target).await,
            Auth::Token(_) => Ok(()),
        };
        let found = match found {
            Ok(()) => self.find(&target.destination).await,
            Err(error) => Err(error),
        };
        self.progress.looked();
        match found {
            Ok(Some(secret)) => Ok(SecretState::UpdatedAt(secret.updated_at)),
            Ok(None) => Ok(SecretState::Missing),
            Err(error) if error.kind == ErrorKind::NotFound && target.create_environment => {
                Ok(SecretState::Missing)
            }
            Err(error) => Err(error),
        }
    }

    /// Fetches what a write will need, and finds out whether it would be accepted. With
    /// [`Mode::Apply`], creates a missing environment if the configuration asks for
    /// that: the only change that this makes.
    ///
    /// # Errors
    /// When the secret could not be written either.
    pub async fn preflight(&self, target: &SecretTarget) -> Result<Evidence, Error> {
        let (key, readers, evidence) =
            futures_util::future::join3(self.key(target), self.readers(target), self.evidence(target)).await;
        readers?;
        if let Some(key) = key? {
            seal::key(&key.key).map_err(|error| {
                let purpose = self.purpose(target.destination.store, &target.destination.scope);
                Error::new(ErrorKind::Unreadable, format!("{purpose}: {error}"))
            })?;
        }
        evidence
    }

    fn purpose<'a>(&self, store: Store, scope: &'a Scope) -> Purpose<'a> {
        Purpose { store, scope, creates_environment: false, has_every_store: self.has_every_store }
    }

    async fn read<T: DeserializeOwned>(&self, purpose: &Purpose<'_>, path: &str) -> Result<T, Error> {
        let answer = self.request(purpose, Method::GET, path, None::<&()>, Rules::default()).await?;
        answer.success(purpose)?;
        serde_json::from_slice(&answer.body).map_err(|_| Error::unreadable(purpose))
    }

    /// Any request. A failure status is no error here: see [`GithubReply::success`].
    async fn request(
        &self,
        purpose: &Purpose<'_>,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
        rules: Rules,
    ) -> Result<GithubReply, Error> {
        let owner = Owner(purpose.scope.owner().to_owned());
        let request = Request::builder().method(method).uri(path).extension(rules).extension(owner);
        let failed = |error| of_octocrab(purpose, error);
        let request = self.octocrab.build_request(request, body).map_err(failed)?;
        let (parts, body) = self.octocrab.execute(request).await.map_err(failed)?.into_parts();
        let body = body.collect().await.map_err(failed)?.to_bytes();
        Ok(GithubReply {
            status: parts.status,
            reply_details: parts.extensions.get::<ReplyDetails>().copied(),
            headers: parts.headers,
            body,
            signed_with: self.auth.signed_with(),
        })
    }
}

impl fmt::Debug for GitHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitHub").finish_non_exhaustive()
    }
}

struct GithubReply {
    status: StatusCode,
    headers: HeaderMap,
    reply_details: Option<ReplyDetails>,
    body: Bytes,
    signed_with: SignedWith,
}

impl GithubReply {
    fn success(&self, purpose: &Purpose<'_>) -> Result<(), Error> {
        if self.status.is_success() {
            return Ok(());
        }
        let Self { status, headers, body, signed_with, .. } = self;
        let refusal = Refusal { status: *status, headers, body, signed_with: *signed_with };
        Err(Error::refused(&Subject::Secrets(*purpose), &refusal))
    }

    fn date(&self) -> Option<Timestamp> {
        self.reply_details?.date
    }

    /// Whether GitHub may have applied an earlier attempt; true if unknown.
    fn may_have_been_applied(&self) -> bool {
        self.reply_details.is_none_or(|reply_details| reply_details.may_have_been_applied)
    }
}

fn of_octocrab(purpose: &Purpose<'_>, error: octocrab::Error) -> Error {
    match error {
        octocrab::Error::Service { source, .. } => match source.downcast::<NoReply>().map(|error| *error) {
            Ok(NoReply::Http(error)) => Error::of_http(purpose, &error),
            Ok(NoReply::Auth(error)) => error,
            Err(_) => Error::new(ErrorKind::Unavailable, format!("{purpose}: the request was not sent")),
        },
        _ => Error::unreadable(purpose),
    }
}

/// Identifies a store in a scope. Owners, repositories and environments ignore case.
fn scope_key(store: Store, scope: &Scope) -> String {
    paths::secrets(store, scope).to_ascii_lowercase()
}

/// The address of the site that belongs to an API; `None` if the API's own does not tell.
#[must_use]
pub(crate) fn site_url(api_url: &Url) -> Option<String> {
    match api_url.domain().and_then(|host| host.strip_prefix("api.")) {
        Some(host) => Some(format!("https://{host}")),
        None if api_url.path().trim_end_matches('/') == "/api/v3" => {
            Some(api_url.origin().ascii_serialization())
        }
        None => None,
    }
}

/// GitHub's own servers have every store; a GitHub Enterprise Server may lack some.
fn has_every_store(api_url: &Url) -> bool {
    api_url.domain().is_some_and(|host| host == "api.github.com" || host.ends_with(".ghe.com"))
}
