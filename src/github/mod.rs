//! GitHub: reads the state of secrets and writes them.
//!
//! octocrab provides types of GitHub's replies; every request goes through
//! [`client::Client`]. [`crate::rotation`] decides when to write what.
//!
//! - [`GitHub`]: what the rest of the program calls. Each of `write`, `evidence`,
//!   `preflight`, `secrets`, `workflows`, `repositories` and `identity` adds one task to it
//! - `issues`: the issues of one repository
//! - `auth`: which token goes with a request; a GitHub App signs in here
//! - `client`: signs, sends and reads requests
//! - `transport`: address, headers and pacing of every request
//! - `error`, `permission`, `peer`, `pace`, `paths`, `seal`, `cache`, `settings`

mod auth;
mod cache;
mod client;
mod error;
mod evidence;
mod identity;
mod issues;
mod pace;
mod paths;
mod peer;
mod permission;
mod preflight;
mod repositories;
#[expect(unreachable_pub, reason = "tests/libsodium compiles this file by itself")]
mod seal;
mod secrets;
mod settings;
#[cfg(test)]
mod tests;
mod transport;
mod workflows;
mod write;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use octocrab::models::PublicKey;

pub(crate) use client::BearerToken;
use error::Result;
pub use error::{Error, ErrorKind};
pub(crate) use error::{SignedWith, WriteError};
pub(crate) use evidence::Evidence;
pub(crate) use issues::{IssueChange, IssueState, Issues, ListedIssue};
pub(crate) use pace::Pace;
pub(crate) use permission::needed as needed_permission;
pub(crate) use settings::{GithubCredential, GithubOptions, GithubSettings, Mode, site_url};

use crate::config::{ConfiguredSecret, Repository, Workflow};
use crate::http::Http;
use crate::progress::Progress;
use auth::{Auth, Need};
use cache::Cache;
use client::Client;
use pace::Pacer;
use transport::Transport;

/// The GitHub client of one run. Each result is fetched once.
pub(crate) struct GitHub {
    client: Client<Auth>,
    mode: Mode,
    progress: Progress,
    pacer: Arc<Pacer>,
    /// The names of the secrets that will be read, by scope.
    expected: Mutex<HashMap<String, HashSet<String>>>,
    listings: Cache<Arc<secrets::Listing>>,
    repositories_of_owners: Cache<Arc<Vec<repositories::ListedRepository>>>,
    repositories: Cache<repositories::Record>,
    public_keys: Cache<Option<PublicKey>>,
    readers: Cache<preflight::Readers>,
    write_checks: Cache<evidence::Checked>,
    workflow_checks: Cache<()>,
}

impl GitHub {
    /// Builds the client without sending a request. Must be called from within the
    /// runtime.
    ///
    /// # Errors
    /// When the credential cannot be sent at all.
    pub(crate) fn connect(
        http: Arc<Http>,
        settings: &GithubSettings,
        options: GithubOptions,
    ) -> Result<Self> {
        let GithubOptions { concurrency, pace, mode, announce, progress } = options;
        let pacer = Pacer::new(pace, concurrency, progress.clone());
        let rate_limiter = Arc::new(Arc::clone(&pacer));
        let transport = Arc::new(Transport { http, url: settings.api_url.clone(), rate_limiter });
        let credentials = Auth::new(&settings.credential, &transport, mode, announce)?;
        Ok(Self {
            client: Client { transport, credentials },
            mode,
            progress,
            pacer,
            expected: Mutex::default(),
            listings: Cache::new(),
            repositories_of_owners: Cache::new(),
            repositories: Cache::new(),
            public_keys: Cache::new(),
            readers: Cache::new(),
            write_checks: Cache::new(),
            workflow_checks: Cache::new(),
        })
    }

    /// Announces what will be read, written and started. A GitHub App requests tokens with
    /// only the permissions for that, and lists are read in as few requests as possible.
    pub(crate) fn expect<'a>(
        &self,
        targets: impl IntoIterator<Item = &'a ConfiguredSecret>,
        workflows: impl IntoIterator<Item = &'a Workflow>,
    ) {
        let targets: Vec<&ConfiguredSecret> = targets.into_iter().collect();
        self.progress.expect(targets.len());
        self.expect_secrets(&targets);
        let needs = targets.into_iter().map(Need::Secret);
        self.client.credentials.expect(needs.chain(workflows.into_iter().map(Need::Start)));
    }

    /// Waits while GitHub has asked for a pause. A delivery window must not begin in one.
    pub(crate) async fn ready(&self) {
        self.pacer.reopened().await;
    }

    /// When the GitHub credential expires. `None`: GitHub has not reported it, or the
    /// credential is an App.
    pub(crate) fn credential_expires_at(&self) -> Option<Timestamp> {
        self.client.credentials.expires_at()
    }

    /// The issues of a repository, for a while: every request gives up after `patience`.
    pub(crate) fn issues(&self, repository: &Repository, token: &BearerToken, patience: Duration) -> Issues {
        Issues {
            client: Client { transport: Arc::clone(&self.client.transport), credentials: token.clone() },
            repository: repository.clone(),
            deadline: Instant::now() + patience,
        }
    }
}
