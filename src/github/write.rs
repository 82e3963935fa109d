//! Writes a secret: seals it, sends a PUT, and accepts only 201 and 204.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use octocrab::models::PublicKey;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::error::{Error, ErrorKind, Subject, WriteError};
use super::preflight::Readers;
use super::seal::seal;
use super::{GitHub, paths};
use crate::clock::Clock;
use crate::config::{ConfiguredSecret, Store};
use crate::http::{Call, Reply};

/// How far an acknowledgement may lie behind the window's end, because servers'
/// clocks differ.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(2);

impl GitHub {
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
        let written = self.try_to_write(target, value, until).await;
        self.progress.wrote(written.is_ok());
        written
    }

    async fn try_to_write(
        &self,
        target: &ConfiguredSecret,
        value: &SecretString,
        until: Timestamp,
    ) -> Result<(), WriteError> {
        let before = |error: Error| WriteError { refused: error.kind.is_refusal(), error };
        let subject = Subject::Secrets(&target.destination);
        let readers = self.readers(target).await.map_err(before)?;
        let key =
            self.public_key(target).await.and_then(|key| key.ok_or_else(not_writing)).map_err(before)?;
        let put = async |key: &PublicKey| {
            let sealed = seal(&key.key, value)
                .map_err(|error| before(Error::new(ErrorKind::Invalid, subject, error.to_string())))?;
            let body = body(target.destination.store, &sealed, &key.key_id, readers.as_ref());
            let call = Call {
                is_valid_body: acknowledges,
                deadline: moment(self.client.transport.http.clock(), until),
                until: Some(until),
                ..self.client.call(Method::PUT, &paths::secret(&target.destination)).json(&body)
            };
            self.client.send(&subject, call).await.map_err(|error| WriteError { refused: false, error })
        };
        let mut reply: Reply = put(&key).await?;
        if may_mean_another_key(reply.status) {
            self.forget_key(target, &key);
            // Without a new key there is nothing to try, and the refusal stands.
            if let Some(new) = self.public_key(target).await.ok().flatten().filter(|new| *new != key) {
                let may_have_been_applied = reply.may_have_been_applied;
                reply = put(&new).await?;
                reply.may_have_been_applied |= may_have_been_applied;
            }
        }
        if let Err(error) = self.client.success(&subject, &reply) {
            // Rate limits, conflicts and server errors may be over at the next run.
            let refused = error.kind.is_refusal() && !reply.may_have_been_applied;
            return Err(WriteError { refused, error });
        }
        if reply.date.is_some_and(|date| date.duration_since(until) > TOLERANCE) {
            let cause = "written, but after the end of the delivery window";
            return Err(WriteError { refused: false, error: Error::new(ErrorKind::Late, subject, cause) });
        }
        Ok(())
    }
}

fn body(store: Store, sealed: &str, key_id: &str, readers: Option<&Readers>) -> Value {
    let mut body = json!({ "encrypted_value": sealed, "key_id": key_id });
    if let Some(readers) = readers {
        body["visibility"] = json!(readers.visibility.to_string());
        if let Some(ids) = &readers.selected {
            body["selected_repository_ids"] = repository_ids(store, ids);
        }
    }
    body
}

/// `until` by this machine's monotonic clock.
fn moment(clock: &Clock, until: Timestamp) -> Option<Instant> {
    let left = until.duration_since(clock.latest()?);
    Some(Instant::now() + Duration::try_from(left).unwrap_or_default())
}

/// Dependabot's operation takes numbers or strings by GitHub's description, and
/// strings alone at older servers; the other stores take numbers alone.
fn repository_ids(store: Store, ids: &[u64]) -> Value {
    match store {
        Store::Dependabot => ids.iter().map(u64::to_string).collect(),
        Store::Actions | Store::Codespaces | Store::Agents => json!(ids),
    }
}

/// A write without `Mode::Apply`.
fn not_writing() -> Error {
    Error::new(ErrorKind::Invalid, "", "this run may not change anything at GitHub")
}

/// Only these two statuses mean that a secret was written.
fn acknowledges(status: StatusCode, _: &[u8]) -> bool {
    matches!(status, StatusCode::CREATED | StatusCode::NO_CONTENT)
}

/// GitHub does not say by which status it refuses a key that it has replaced.
fn may_mean_another_key(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY)
}
