//! GitHub: reads the state of secrets and writes them.
//!
//! octocrab provides types of GitHub's replies; every request goes through
//! [`client::Client`]. [`crate::rotation`] decides when to write what. Imports point down
//! this list:
//!
//! - [`GitHub`]: what the rest of the program calls
//! - `write`, `evidence`, `preflight`, `secrets`, `workflows`, `repositories`, `identity`,
//!   `issues`: one task each
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

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, join3};
use jiff::Timestamp;
use secrecy::SecretString;

pub(crate) use error::WriteError;
pub use error::{Error, ErrorKind};
pub(crate) use evidence::Evidence;
pub(crate) use identity::{CredentialKind, Identity};
pub(crate) use issues::{IssueChange, IssueState, IssueToken, Issues, ListedIssue, NewState};
pub(crate) use pace::Pace;
pub(crate) use permission::needed as needed_permission;
pub(crate) use repositories::Expansion;
pub(crate) use settings::{GithubCredential, GithubOptions, GithubSettings, Mode, site_url};

use crate::config::{ConfiguredSecret, Destination, Repository, Scope, SecretPattern, Store, Workflow};
use crate::http::Http;
use crate::progress::Progress;
use auth::Auth;
use client::Client;
use error::Subject;
use evidence::WriteAccess;
use pace::Pacer;
use preflight::Preflight;
use repositories::Repositories;
use secrets::Secrets;
use transport::Transport;
use workflows::Workflows;

/// The state of one secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretState {
    /// Its scope exists, and has no such secret.
    Missing,
    /// When the secret was last written.
    UpdatedAt(Timestamp),
}

/// The GitHub client of one run. Each result is fetched once.
pub(crate) struct GitHub {
    client: Arc<Client<Auth>>,
    progress: Progress,
    pacer: Arc<Pacer>,
    secrets: Arc<Secrets>,
    repositories: Arc<Repositories>,
    preflight: Arc<Preflight>,
    access: WriteAccess,
    workflows: Workflows,
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
    ) -> Result<Self, Error> {
        let GithubOptions { concurrency, pace, mode, announce, progress } = options;
        let pacer = Pacer::new(pace, concurrency, progress.clone());
        let rate_limiter = Arc::new(Arc::clone(&pacer));
        let transport = Arc::new(Transport::new(http, settings.api_url.clone(), rate_limiter));
        let credentials = Auth::new(&settings.credential, &transport, mode, announce)?;
        let client = Arc::new(Client { transport, credentials });
        let secrets = Arc::new(Secrets::new(&client));
        let repositories = Arc::new(Repositories::new(&client));
        let preflight = Arc::new(Preflight::new(&client, &secrets, mode));
        let access = WriteAccess::new(&client, &repositories, &preflight, mode);
        let workflows = Workflows::new(&client, &repositories);
        Ok(Self { client, progress, pacer, secrets, repositories, preflight, access, workflows })
    }

    /// Announces what will be read and written. A GitHub App requests tokens with only
    /// the permissions for that, and lists are read in as few requests as possible.
    pub(crate) fn expect<'a>(&self, targets: impl IntoIterator<Item = &'a ConfiguredSecret>) {
        let targets: Vec<&ConfiguredSecret> = targets.into_iter().collect();
        self.progress.expect(targets.len());
        self.secrets.expect(targets.iter().map(|target| &target.destination));
        self.client.credentials.expect(targets);
    }

    /// Announces which workflows may be started, for a GitHub App's tokens.
    pub(crate) fn expect_workflows<'a>(&self, workflows: impl IntoIterator<Item = &'a Workflow>) {
        self.client.credentials.expect_workflows(workflows);
    }

    /// Waits while GitHub has asked for a pause. A delivery window must not begin in one.
    pub(crate) async fn ready(&self) {
        self.pacer.reopened().await;
    }

    /// When the GitHub credential expires. `None`: GitHub has not reported it, or the
    /// credential is an App.
    #[must_use]
    pub(crate) fn credential_expires_at(&self) -> Option<Timestamp> {
        self.client.credentials.expires_at()
    }

    /// Whose the GitHub credential is, as far as GitHub tells. `owners`: where an App is
    /// looked up.
    ///
    /// # Errors
    /// When GitHub rejects the credential, or cannot be reached.
    pub(crate) async fn identity(&self, owners: &[&str]) -> Result<Identity, Error> {
        identity::identity(&self.client, owners).await
    }

    /// Whether everybody can see a repository; `None`: unknown.
    pub(crate) async fn is_public(&self, repository: &Repository) -> Option<bool> {
        self.repositories.is_public(repository).await
    }

    /// The issues of a repository, for a while: every request gives up after `patience`.
    pub(crate) fn issues(&self, repository: &Repository, token: &IssueToken, patience: Duration) -> Issues {
        Issues {
            client: Client { transport: Arc::clone(&self.client.transport), credentials: token.clone() },
            repository: repository.clone(),
            deadline: Instant::now() + patience,
        }
    }

    /// The repositories that a pattern stands for; each owner is asked once in a run.
    ///
    /// # Errors
    /// When an owner's repositories cannot be listed completely.
    pub(crate) async fn expand(&self, pattern: &SecretPattern) -> Result<Expansion, Error> {
        self.repositories.expand(pattern).await
    }

    /// The state of each secret, in order. Secrets of one scope share a list, in this
    /// call and in later ones.
    ///
    /// A secret in an environment that is still to be created is
    /// [`SecretState::Missing`] too.
    pub(crate) async fn observe(&self, targets: &[ConfiguredSecret]) -> Vec<Result<SecretState, Error>> {
        join_all(targets.iter().map(|target| self.observe_one(target))).await
    }

    async fn observe_one(&self, target: &ConfiguredSecret) -> Result<SecretState, Error> {
        let found = match self.client.credentials.has_permissions_for(target).await {
            Ok(_) => self.secrets.find(&target.destination).await,
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

    /// The names of a repository's Actions secrets.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub(crate) async fn secret_names(&self, repository: &Repository) -> Result<Vec<String>, Error> {
        let scope = Scope::Repository(repository.clone());
        let destination = Destination { store: Store::Actions, scope, name: String::new() };
        let any = ConfiguredSecret { destination, create_environment: false, visibility: None };
        self.expect([&any]);
        self.client.credentials.has_permissions_for(&any).await?;
        self.secrets.names(&any.destination).await
    }

    /// Fetches what a write will need, and finds out whether it would be accepted. With
    /// [`Mode::Apply`], creates a missing environment if the configuration asks for
    /// that: the only change that this makes.
    ///
    /// # Errors
    /// When the secret could not be written either.
    pub(crate) async fn preflight(&self, target: &ConfiguredSecret) -> Result<Evidence, Error> {
        let (key, readers, evidence) =
            join3(self.preflight.key(target), self.preflight.readers(target), self.access.evidence(target))
                .await;
        readers?;
        let key = key?;
        let lacks_environment = key.is_none();
        if let Some(key) = key {
            seal::key(&key.key).map_err(|error| {
                let subject = Subject::Secrets(self.client.purpose(&target.destination));
                Error::new(ErrorKind::Unreadable, subject, error.to_string())
            })?;
        }
        Ok(Evidence { lacks_environment, ..evidence? })
    }

    /// Seals a value and writes it. Repeated until `until` while that may help; a key
    /// that GitHub no longer accepts is fetched again once.
    ///
    /// # Errors
    /// Unless GitHub acknowledged the write within the window. The secret may
    /// still have been written, except where [`WriteError::refused`].
    pub(crate) async fn write(
        &self,
        target: &ConfiguredSecret,
        value: &SecretString,
        until: Timestamp,
    ) -> Result<(), WriteError> {
        let written = write::write(&self.client, &self.preflight, target, value, until).await;
        self.progress.wrote(written.is_ok());
        written
    }

    /// Whether a workflow can be started, as far as GitHub tells without starting it; asked
    /// once in a run. That it has a `workflow_dispatch` trigger, and which permissions a
    /// token has, shows only at the start.
    ///
    /// # Errors
    /// Why it cannot be started, or why that is not known.
    pub(crate) async fn check_workflow(&self, workflow: &Workflow) -> Result<(), Error> {
        self.workflows.check(workflow).await
    }

    /// Whether a run of a workflow was created at this second or later.
    ///
    /// # Errors
    /// When GitHub does not tell.
    pub(crate) async fn has_run_since(&self, workflow: &Workflow, since: Timestamp) -> Result<bool, Error> {
        self.workflows.has_run_since(workflow, since).await
    }

    /// Starts a workflow. If the reply is lost, starts it again only if no run of it was
    /// created since `since`.
    ///
    /// # Errors
    /// Unless it certainly runs. It may still run if the kind is
    /// [`ErrorKind::Unavailable`] or [`ErrorKind::Unreadable`].
    pub(crate) async fn start_workflow(&self, workflow: &Workflow, since: Timestamp) -> Result<(), Error> {
        self.workflows.start(workflow, since).await
    }
}

impl fmt::Debug for GitHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitHub").finish_non_exhaustive()
    }
}
