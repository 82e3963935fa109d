//! Writes a secret: seals it, sends a PUT, and accepts only 201 and 204.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use octocrab::models::PublicKey;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::auth::Auth;
use super::client::Client;
use super::error::{Error, ErrorKind, Subject, WriteError};
use super::paths;
use super::preflight::{Preflight, Readers};
use super::seal::seal;
use crate::clock::Clock;
use crate::config::{ConfiguredSecret, Destination, Store};
use crate::http::{Call, Reply};

/// How far an acknowledgement may lie behind the window's end, because servers'
/// clocks differ.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(2);

/// See [`super::GitHub::write`].
pub(super) async fn write(
    client: &Client<Auth>,
    preflight: &Preflight,
    target: &ConfiguredSecret,
    value: &SecretString,
    until: Timestamp,
) -> Result<(), WriteError> {
    let before = |error: Error| WriteError { refused: error.kind.is_refusal(), late: false, error };
    let readers = preflight.readers(target).await.map_err(before)?;
    let key = preflight.key(target).await.and_then(|key| key.ok_or_else(not_writing)).map_err(before)?;
    let put =
        async |key: &PublicKey| put(client, &target.destination, value, key, readers.as_ref(), until).await;
    let mut reply = put(&key).await?;
    if may_mean_another_key(reply.status) {
        preflight.forget_key(target, &key);
        // Without a new key there is nothing to try, and the refusal stands.
        if let Some(new) = preflight.key(target).await.ok().flatten().filter(|new| *new != key) {
            let may_have_been_applied = reply.may_have_been_applied;
            reply = put(&new).await?;
            reply.may_have_been_applied |= may_have_been_applied;
        }
    }
    acknowledged(client, &target.destination, &reply, until)
}

async fn put(
    client: &Client<Auth>,
    destination: &Destination,
    value: &SecretString,
    key: &PublicKey,
    readers: Option<&Readers>,
    until: Timestamp,
) -> Result<Reply, WriteError> {
    let subject = Subject::Secrets(client.purpose(destination));
    let sealed = seal(&key.key, value).map_err(|error| WriteError {
        refused: true,
        late: false,
        error: Error::new(ErrorKind::Invalid, subject, error.to_string()),
    })?;
    let mut body = json!({ "encrypted_value": sealed.as_str(), "key_id": key.key_id });
    if let Some(readers) = readers {
        body["visibility"] = json!(readers.visibility.to_string());
        if let Some(ids) = &readers.selected {
            body["selected_repository_ids"] = repository_ids(destination.store, ids);
        }
    }
    let call = Call {
        is_valid_body: acknowledges,
        deadline: moment(client.transport.clock(), until),
        until: Some(until),
        ..client.call(Method::PUT, &paths::secret(destination)).json(&body)
    };
    client.send(&subject, call).await.map_err(|error| WriteError {
        refused: false,
        late: error.kind == ErrorKind::Late,
        error,
    })
}

fn acknowledged(
    client: &Client<Auth>,
    destination: &Destination,
    reply: &Reply,
    until: Timestamp,
) -> Result<(), WriteError> {
    let subject = Subject::Secrets(client.purpose(destination));
    if let Err(error) = client.success(&subject, reply) {
        // Rate limits, conflicts and server errors may be over at the next run.
        let refused = error.kind.is_refusal() && !reply.may_have_been_applied;
        return Err(WriteError { refused, late: false, error });
    }
    if reply.date.is_some_and(|date| date.duration_since(until) > TOLERANCE) {
        let error = Error::new(ErrorKind::Late, subject, "written, but after the end of the delivery window");
        return Err(WriteError { refused: false, late: true, error });
    }
    Ok(())
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
