//! Writes a secret: seals it, sends a PUT, and accepts only 201 and 204.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use octocrab::models::PublicKey;
use secrecy::SecretString;
use serde::Serialize;

use super::octocrab_service::Rules;
use super::preflight::Readers;
use super::seal::seal;
use super::{Error, ErrorKind, GitHub, GithubReply, WriteError, paths};
use crate::config::{ConfiguredSecret, Store, Visibility};

/// How far an acknowledgement may lie behind the window's end, because servers'
/// clocks differ.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(2);

/// The body of the PUT, for every store and scope.
#[derive(Serialize)]
struct Body<'a> {
    encrypted_value: &'a str,
    key_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    visibility: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    selected_repository_ids: Option<RepositoryIds<'a>>,
}

/// Dependabot's operation takes numbers or strings by GitHub's description, and
/// strings alone at older servers; the other stores take numbers alone.
#[derive(Serialize)]
#[serde(untagged)]
enum RepositoryIds<'a> {
    Numbers(&'a [u64]),
    Strings(Vec<String>),
}

impl<'a> RepositoryIds<'a> {
    fn of(store: Store, ids: &'a [u64]) -> Self {
        match store {
            Store::Dependabot => Self::Strings(ids.iter().map(u64::to_string).collect()),
            Store::Actions | Store::Codespaces | Store::Agents => Self::Numbers(ids),
        }
    }
}

impl GitHub {
    /// Seals a value and writes it. Repeated until `until` while that may help; a key
    /// that GitHub no longer accepts is fetched again once.
    ///
    /// # Errors
    /// Unless GitHub acknowledged the write within the window. The secret may
    /// still have been written, except where [`WriteError::refused`].
    pub async fn write(
        &self,
        target: &ConfiguredSecret,
        value: &SecretString,
        until: Timestamp,
    ) -> Result<(), WriteError> {
        let before = |error: Error| WriteError { refused: error.kind.is_refusal(), late: false, error };
        let readers = self.readers(target).await.map_err(before)?;
        let key = self.key(target).await.and_then(|key| key.ok_or_else(not_writing)).map_err(before)?;
        let mut answer = self.put(target, value, &key, readers.as_ref(), until).await?;
        let mut may_have_been_applied = answer.may_have_been_applied();
        if may_mean_another_key(answer.status) {
            let scope_key = super::scope_key(target.destination.store, &target.destination.scope);
            self.keys.forget(&scope_key, |known| known.as_ref() == Some(&key));
            // Without a new key there is nothing to try, and the refusal stands.
            if let Some(new) = self.key(target).await.ok().flatten().filter(|new| *new != key) {
                answer = self.put(target, value, &new, readers.as_ref(), until).await?;
                may_have_been_applied |= answer.may_have_been_applied();
            }
        }
        self.acknowledged(target, &answer, may_have_been_applied, until)?;
        self.progress.wrote();
        Ok(())
    }

    async fn put(
        &self,
        target: &ConfiguredSecret,
        value: &SecretString,
        key: &PublicKey,
        readers: Option<&Readers>,
        until: Timestamp,
    ) -> Result<GithubReply, WriteError> {
        let destination = &target.destination;
        let purpose = self.purpose(destination.store, &destination.scope);
        let sealed = seal(&key.key, value).map_err(|error| WriteError {
            refused: true,
            late: false,
            error: Error::new(ErrorKind::Invalid, format!("{purpose}: {error}")),
        })?;
        let body = Body {
            encrypted_value: sealed.as_str(),
            key_id: &key.key_id,
            visibility: readers.map(|readers| visibility_name(readers.visibility)),
            selected_repository_ids: readers
                .and_then(|readers| readers.selected.as_deref())
                .map(|ids| RepositoryIds::of(destination.store, ids)),
        };
        let rules = Rules { is_valid_body: acknowledges, deadline: self.moment(until), until: Some(until) };
        self.request(&purpose, Method::PUT, &paths::secret(destination), Some(&body), rules)
            .await
            .map_err(|error| WriteError { refused: false, late: error.kind == ErrorKind::Late, error })
    }

    fn acknowledged(
        &self,
        target: &ConfiguredSecret,
        answer: &GithubReply,
        may_have_been_applied: bool,
        until: Timestamp,
    ) -> Result<(), WriteError> {
        let purpose = self.purpose(target.destination.store, &target.destination.scope);
        if let Err(error) = answer.success(&purpose) {
            // Rate limits, conflicts and server errors may be over at the next run.
            let refused = error.kind.is_refusal() && !may_have_been_applied;
            return Err(WriteError { refused, late: false, error });
        }
        if answer.date().is_some_and(|date| date.duration_since(until) > TOLERANCE) {
            let message = format!("{purpose}: written, but after the end of the delivery window");
            let error = Error::new(ErrorKind::Late, message);
            return Err(WriteError { refused: false, late: true, error });
        }
        Ok(())
    }

    /// `until` by this machine's monotonic clock.
    fn moment(&self, until: Timestamp) -> Option<Instant> {
        let left = until.duration_since(self.http.clock().latest()?);
        Some(Instant::now() + Duration::try_from(left).unwrap_or_default())
    }
}

/// A write without `Mode::Apply`.
fn not_writing() -> Error {
    Error::new(ErrorKind::Invalid, "this run may not change anything at GitHub")
}

/// Only these two statuses mean that a secret was written.
fn acknowledges(status: StatusCode, _: &[u8]) -> bool {
    matches!(status, StatusCode::CREATED | StatusCode::NO_CONTENT)
}

/// GitHub does not say by which status it refuses a key that it has replaced.
fn may_mean_another_key(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY)
}

fn visibility_name(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::All => "all",
        Visibility::Private => "private",
        Visibility::Selected => "selected",
    }
}
