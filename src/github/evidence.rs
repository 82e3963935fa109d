//! Finds out whether a secret may be written before a token is minted, with as few
//! requests as possible.
//!
//! Whether a repository is archived comes from a pattern's list, or from one read. An
//! App's permissions come with its installation, a classic token's scopes with every
//! reply. Other tokens need a *write check*: a write whose body no server can store. One
//! check for each owner and permission is enough, because such a token has the same
//! permissions everywhere.

use futures_util::future::join;
use http::{Method, StatusCode};
use serde_json::json;

use super::auth::Need;
use super::error::{Error, ErrorKind, Result, Subject, missing_scope};
use super::peer::is_rate_limit;
use super::permission::Permission;
use super::{GitHub, Mode, paths};
use crate::config::{ConfiguredSecret, Destination, Scope};
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
pub(super) struct Checked {
    /// The repository or the organization in which it was made.
    place: String,
    /// What it shows of every scope of this owner.
    found: Result<Evidence>,
    /// It was refused for a reason of this repository's own.
    is_about_the_place: bool,
}

impl GitHub {
    /// Whether a destination may be written.
    ///
    /// # Errors
    /// When it was shown that it may not, with the reason.
    pub(super) async fn evidence(&self, target: &ConfiguredSecret) -> Result<Evidence> {
        let (is_open, permitted) = join(self.is_open(target), self.is_permitted(target)).await;
        let (is_open, permitted) = (is_open?, permitted?);
        Ok(Evidence { is_writable: is_open && permitted.is_writable, ..permitted })
    }

    /// Whether the destination's repository is known to accept writes.
    async fn is_open(&self, target: &ConfiguredSecret) -> Result<bool> {
        let Some(repository) = target.destination.scope.repository() else { return Ok(true) };
        let subject = Subject::Secrets(&target.destination);
        let Ok(record) = self.repository(&subject, repository).await else { return Ok(false) };
        let why = match (record.archived, record.disabled) {
            (Some(true), _) => "archived",
            (_, Some(true)) => "disabled",
            (known, _) => return Ok(known.is_some()),
        };
        let cause = format!("the repository is {why}, so nothing in it can be written");
        Err(Error::new(ErrorKind::Invalid, subject, cause)
            .with_remedy("Change that on GitHub, or remove the repository's secrets from the rotation."))
    }

    /// Whether the credential is known to have the permission to write.
    async fn is_permitted(&self, target: &ConfiguredSecret) -> Result<Evidence> {
        let writable = Evidence { is_writable: true, ..Evidence::default() };
        if self.client.credentials.has_permissions_for(Need::Secret(target)).await? {
            return Ok(writable);
        }
        if let Some(scopes) = self.client.credentials.scopes() {
            let subject = Subject::Secrets(&target.destination);
            return match missing_scope(&scopes, &target.destination.scope) {
                None => Ok(writable),
                Some((lack, remedy)) => {
                    Err(Error::new(ErrorKind::Forbidden, subject, lack).with_remedy(remedy))
                }
            };
        }
        if !matches!(self.mode, Mode::Apply | Mode::Doctor) {
            return Ok(Evidence::default());
        }
        // Boxed: thousands of destinations may wait for one check.
        Box::pin(self.checked(target)).await
    }

    /// Whether a write check at the destination's owner has shown that it may be
    /// written.
    async fn checked(&self, target: &ConfiguredSecret) -> Result<Evidence> {
        let Destination { store, scope, .. } = &target.destination;
        // In an environment that is still to be created nothing can be tried.
        if target.create_environment && matches!(self.public_key(target).await, Ok(None)) {
            return Ok(Evidence::default());
        }
        let key = format!("{}/{}", scope.owner().to_ascii_lowercase(), Permission::of(*store, scope).key);
        let check = async || Ok(self.write_check(target).await);
        let Checked { place, found, is_about_the_place } = self.write_checks.get(&key, check).await?;
        let is_here = place.eq_ignore_ascii_case(&scope.place());
        match found {
            Ok(evidence) => Ok(Evidence { warning: evidence.warning.filter(|_| is_here), ..evidence }),
            // GitHub warns of repeated validation errors, so no other repository is tried.
            Err(_) if is_about_the_place && !is_here => Ok(Evidence::default()),
            Err(error) => Err(error),
        }
    }

    /// One write that no server can store.
    async fn write_check(&self, target: &ConfiguredSecret) -> Checked {
        let scope = &target.destination.scope;
        let result = |found| Checked { place: scope.place(), found, is_about_the_place: false };
        // A missing environment accepts no write. Creating it reports its own errors.
        if target.create_environment && self.public_key(target).await.is_err() {
            return result(Ok(Evidence::default()));
        }
        let mut body = json!({ "encrypted_value": "(no base64: only a check)", "key_id": "0" });
        if matches!(scope, Scope::Organization(_)) {
            body["visibility"] = json!("private");
        }
        let secret = Destination { name: WRITE_CHECK.to_owned(), ..target.destination.clone() };
        let subject = Subject::WriteCheck(&secret);
        let call = self.client.call(Method::PUT, &paths::secret(&secret)).json(&body);
        let call = Call { retry: Retry::AfterLimit, is_valid_body: anything, ..call };
        let Ok(reply) = self.client.send(&subject, call).await else {
            return result(Ok(Evidence::default()));
        };
        let refusal = self.client.refusal(&reply);
        let found = self.judge_check(&reply, &secret, &subject).await;
        let is_about_the_place = refusal.is_about_the_repository() && reply.status == StatusCode::FORBIDDEN;
        Checked { is_about_the_place, ..result(found) }
    }

    /// What a write check shows; the default: nothing.
    async fn judge_check(
        &self,
        reply: &Reply,
        secret: &Destination,
        subject: &Subject<'_>,
    ) -> Result<Evidence> {
        let warning = match reply.status {
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => None,
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND if !is_rate_limit(reply) => {
                return Err(Error::refused(subject, &self.client.refusal(reply)));
            }
            StatusCode::CREATED => Some(self.take_back(secret, subject).await),
            StatusCode::NO_CONTENT => Some(format!(
                "GitHub stored a write check, which it should have refused, in {secret}. That secret existed \
                 before and was left alone; nothing of crossfade's needs it"
            )),
            _ => return Ok(Evidence::default()),
        };
        Ok(Evidence { is_writable: true, warning, ..Evidence::default() })
    }

    /// Deletes what a write check has made.
    async fn take_back(&self, secret: &Destination, subject: &Subject<'_>) -> String {
        let call = self.client.call(Method::DELETE, &paths::secret(secret));
        let call = Call { is_valid_body: anything, ..call };
        let failed = |why: &str| format!("It could not be deleted ({why}): delete it by hand");
        let end = match self.client.send(subject, call).await {
            Ok(reply) if reply.status.is_success() || reply.status == StatusCode::NOT_FOUND => {
                "It was deleted again".to_owned()
            }
            Ok(reply) => failed(&self.client.refusal(&reply).reason()),
            Err(error) => failed(&error.cause),
        };
        format!("GitHub stored a write check, which it should have refused, as {secret}. {end}")
    }
}
