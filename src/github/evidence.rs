//! Finds out whether a secret may be written before a token is minted, with as few
//! requests as possible.
//!
//! Whether a repository is archived comes from a pattern's list, or from one read. An
//! App's permissions come with its installation, a classic token's scopes with every
//! reply. Other tokens need a *write check*: a write whose body no server can store. One
//! check for each owner and permission is enough, because such a token has the same
//! permissions everywhere.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::json;

use super::auth::Auth;
use super::cache::Cache;
use super::client::Client;
use super::error::{Error, ErrorKind, Subject, missing_scope};
use super::peer::is_rate_limit;
use super::permission::Permission;
use super::preflight::Preflight;
use super::repositories::{Condition, Repositories};
use super::{paths, settings::Mode};
use crate::config::{ConfiguredSecret, Destination, Repository, Scope};
use crate::http::{Call, Reply, Retry, anything};

/// The name that the write check writes to.
const WRITE_CHECK: &str = "CROSSFADE_WRITE_CHECK";

/// What is known of a secret before it is written. A secret that may not be written is
/// an error instead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The secret is known to be writable; `false`: unknown.
    pub is_writable: bool,
    /// Its environment does not exist, and this run creates none.
    pub lacks_environment: bool,
    /// An unexpected result of the write check.
    pub warning: Option<String>,
}

/// The result of a write check.
#[derive(Debug, Clone)]
struct Checked {
    /// Where it was made: a repository, or an organization.
    scope_key: String,
    outcome: Outcome,
}

#[derive(Debug, Clone)]
enum Outcome {
    Writable,
    /// Writable, and the secret was stored all the same.
    Stored(String),
    /// This credential is refused, so everywhere at this owner.
    Refused(Error),
    /// This repository refuses writes, for a reason of its own.
    RefusedHere(Error),
    NotKnown,
}

/// Finds out whether secrets may be written; each owner and permission is tried once.
pub(super) struct WriteAccess {
    client: Arc<Client<Auth>>,
    repositories: Arc<Repositories>,
    preflight: Arc<Preflight>,
    mode: Mode,
    checks: Cache<Checked>,
}

impl WriteAccess {
    pub(super) fn new(
        client: &Arc<Client<Auth>>,
        repositories: &Arc<Repositories>,
        preflight: &Arc<Preflight>,
        mode: Mode,
    ) -> Self {
        Self {
            client: Arc::clone(client),
            repositories: Arc::clone(repositories),
            preflight: Arc::clone(preflight),
            mode,
            checks: Cache::new(),
        }
    }

    /// Whether a destination may be written.
    ///
    /// # Errors
    /// When it was shown that it may not, with the reason.
    pub(super) async fn evidence(&self, target: &ConfiguredSecret) -> Result<Evidence, Error> {
        let (is_open, permitted) =
            futures_util::future::join(self.is_open(target), self.is_permitted(target)).await;
        let (is_open, permitted) = (is_open?, permitted?);
        Ok(Evidence { is_writable: is_open && permitted.is_writable, ..permitted })
    }

    /// Whether the destination's repository is known to accept writes.
    async fn is_open(&self, target: &ConfiguredSecret) -> Result<bool, Error> {
        let Some(repository) = repository_of(&target.destination.scope) else { return Ok(true) };
        let subject = Subject::Secrets(self.client.purpose(&target.destination));
        let refused = |why: &str| {
            let cause = format!("the repository is {why}, so nothing in it can be written");
            Err(Error::new(ErrorKind::Invalid, subject, cause)
                .with_remedy("Change that on GitHub, or remove the repository's secrets from the rotation."))
        };
        match self.repositories.condition(&subject, repository).await {
            Condition::Open => Ok(true),
            Condition::Archived => refused("archived"),
            Condition::Disabled => refused("disabled"),
            Condition::NotKnown => Ok(false),
        }
    }

    /// Whether the credential is known to have the permission to write.
    async fn is_permitted(&self, target: &ConfiguredSecret) -> Result<Evidence, Error> {
        let scope = &target.destination.scope;
        let shown = Evidence { is_writable: true, ..Evidence::default() };
        if self.client.credentials.has_permissions_for(target).await? {
            return Ok(shown);
        }
        if let Some(scopes) = self.client.credentials.scopes() {
            let subject = Subject::Secrets(self.client.purpose(&target.destination));
            let refused = |(lack, remedy): (String, String)| {
                Err(Error::new(ErrorKind::Forbidden, subject, lack).with_remedy(remedy))
            };
            return missing_scope(&scopes, scope).map_or(Ok(shown), refused);
        }
        if !matches!(self.mode, Mode::Apply | Mode::Doctor) {
            return Ok(Evidence::default());
        }
        // Boxed: thousands of destinations may wait for one check.
        Box::pin(self.written_to(target)).await
    }

    /// Whether a write check at the destination's owner has shown that it may be
    /// written.
    async fn written_to(&self, target: &ConfiguredSecret) -> Result<Evidence, Error> {
        let Destination { store, scope, .. } = &target.destination;
        let scope_key = place_of(scope);
        let permission = Permission::of(*store, scope).key;
        let key = format!("{}/{permission}", scope.owner().to_ascii_lowercase());
        // In an environment that is still to be created nothing can be tried.
        if target.create_environment && matches!(self.preflight.key(target).await, Ok(None)) {
            return Ok(Evidence::default());
        }
        let checked = self.checks.get(&key, async || Ok(self.write_check(target).await)).await?;
        match checked.outcome {
            Outcome::Writable => Ok(Evidence { is_writable: true, ..Evidence::default() }),
            Outcome::Stored(warning) => {
                let warning = (checked.scope_key == scope_key).then_some(warning);
                Ok(Evidence { is_writable: true, warning, ..Evidence::default() })
            }
            Outcome::Refused(error) => Err(error),
            Outcome::RefusedHere(error) if checked.scope_key == scope_key => Err(error),
            // GitHub warns of repeated validation errors, so no other repository is tried.
            Outcome::RefusedHere(_) | Outcome::NotKnown => Ok(Evidence::default()),
        }
    }

    /// One write that no server can store.
    async fn write_check(&self, target: &ConfiguredSecret) -> Checked {
        let scope = &target.destination.scope;
        let scope_key = place_of(scope);
        // A missing environment accepts no write. Creating it reports its own errors.
        if target.create_environment && self.preflight.key(target).await.is_err() {
            return Checked { scope_key, outcome: Outcome::NotKnown };
        }
        let mut body = json!({ "encrypted_value": "(no base64: only a check)", "key_id": "0" });
        if matches!(scope, Scope::Organization(_)) {
            body["visibility"] = json!("private");
        }
        let secret = Destination { name: WRITE_CHECK.to_owned(), ..target.destination.clone() };
        let subject = Subject::WriteCheck(self.client.purpose(&secret));
        let call = self.client.call(Method::PUT, &paths::secret(&secret)).json(&body);
        let call = Call { retry: Retry::AfterLimit, is_valid_body: anything, ..call };
        let outcome = match self.client.send(&subject, call).await {
            Ok(reply) => self.judge_check(&reply, &secret, &subject).await,
            Err(_) => Outcome::NotKnown,
        };
        Checked { scope_key, outcome }
    }

    async fn judge_check(&self, reply: &Reply, secret: &Destination, subject: &Subject<'_>) -> Outcome {
        let refusal = self.client.refusal(reply);
        match reply.status {
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => Outcome::Writable,
            _ if is_rate_limit(reply) => Outcome::NotKnown,
            StatusCode::FORBIDDEN => {
                let error = Error::refused(subject, &refusal);
                match refusal.is_about_the_repository() {
                    true => Outcome::RefusedHere(error),
                    false => Outcome::Refused(error),
                }
            }
            StatusCode::NOT_FOUND => Outcome::Refused(Error::refused(subject, &refusal)),
            StatusCode::CREATED => Outcome::Stored(self.take_back(secret, subject).await),
            StatusCode::NO_CONTENT => Outcome::Stored(format!(
                "GitHub stored a write check, which it should have refused, in {secret}. That secret existed \
                 before and was left alone; nothing of crossfade's needs it"
            )),
            _ => Outcome::NotKnown,
        }
    }

    /// Deletes what a write check has made.
    async fn take_back(&self, secret: &Destination, subject: &Subject<'_>) -> String {
        let call = self.client.call(Method::DELETE, &paths::secret(secret));
        let call = Call { is_valid_body: anything, ..call };
        let why = match self.client.send(subject, call).await {
            Ok(reply) if reply.status.is_success() || reply.status == StatusCode::NOT_FOUND => None,
            Ok(reply) => Some(self.client.refusal(&reply).reason()),
            Err(error) => Some(error.cause),
        };
        let end = match why {
            None => "It was deleted again".to_owned(),
            Some(why) => format!("It could not be deleted ({why}): delete it by hand"),
        };
        format!("GitHub stored a write check, which it should have refused, as {secret}. {end}")
    }
}

/// The repository that a scope belongs to.
fn repository_of(scope: &Scope) -> Option<&Repository> {
    match scope {
        Scope::Repository(repository) | Scope::Environment { repository, .. } => Some(repository),
        Scope::Organization(_) => None,
    }
}

fn place_of(scope: &Scope) -> String {
    repository_of(scope).map_or_else(|| scope.owner().to_owned(), ToString::to_string).to_ascii_lowercase()
}
