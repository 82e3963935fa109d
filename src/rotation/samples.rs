//! Rotations, tokens and observations for unit tests.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::lineage::{Lineage, Member};
use super::marker::Marker;
use super::plan::PlanInput;
use super::secret::Secret;
use crate::config::{ConfiguredSecret, Destination, Policy, Repository, Rotation, RotationKey};
use crate::github;
use crate::provider::{Profile, ProviderSettings, Token};

pub(super) fn epoch() -> Timestamp {
    "2026-03-02T08:00:00Z".parse().unwrap()
}

/// So many minutes after the epoch of these tests.
pub(super) fn minute(minutes: i64) -> Timestamp {
    epoch() + SignedDuration::from_mins(minutes)
}

pub(super) fn day(days: i64) -> Timestamp {
    minute(days * 24 * 60)
}

pub(super) fn key() -> RotationKey {
    key_of("infra")
}

/// The key of the rotation of this name in another repository.
pub(super) fn key_of(repository: &str) -> RotationKey {
    RotationKey::new(&Repository { owner: "acme".into(), name: repository.into() }, "ci")
}

pub(super) fn rotation(secrets: usize) -> Rotation {
    let secret = |n: usize| ConfiguredSecret {
        destination: Destination::parse(&format!("acme/app-{n}:TOKEN"), &"acme/home".parse().unwrap())
            .unwrap(),
        create_environment: false,
        visibility: None,
    };
    Rotation {
        name: "ci".into(),
        repository: "acme/infra".parse().unwrap(),
        key: key(),
        formerly: Vec::new(),
        provider: ProviderSettings {
            kind: "axiom".parse().unwrap(),
            url: None,
            with: std::collections::BTreeMap::new(),
            credential: "CROSSFADE_PROVIDER_TOKEN".into(),
        },
        token: "ci-ingest".into(),
        trusted: None,
        policy: Policy::default(),
        create: None,
        verify: None,
        secrets: (0..secrets).map(secret).collect(),
        patterns: Vec::new(),
        after: Vec::new(),
    }
}

pub(super) fn token(id: &str, expires_at: Option<Timestamp>) -> Token {
    Token {
        id: id.into(),
        name: "ci-ingest".into(),
        note: String::new(),
        expires_at,
        created_at: None,
        changed_at: None,
        last_used_at: None,
        disabled: false,
        privileges: Value::Null,
        raw: Value::Null,
    }
}

/// The named token before the first rotation.
pub(super) fn original(expires_at: Option<Timestamp>) -> Member {
    Member { token: token("original", expires_at), marker: None, is_proven: false }
}

/// A token minted by a run of its own.
pub(super) fn minted(id: &str, at: Timestamp, expires_at: Option<Timestamp>) -> Member {
    let run = format!("{:0<12.12}", id.replace(|c: char| !c.is_ascii_alphanumeric(), ""));
    let marker = Marker::new(key(), at, SignedDuration::from_mins(2), run);
    Member { token: token(id, expires_at), marker: Some(marker), is_proven: false }
}

/// The rotation's tokens as they are listed, newest first, none of them signed.
pub(super) fn lineage(members: Vec<Member>) -> Lineage {
    Lineage { members, ..Lineage::default() }
}

/// A provider whose mint ends the previous token.
pub(super) const NATIVE: Profile = Profile {
    has_native_overlap: true,
    expires: true,
    marks_the_name: false,
    can_disable: false,
    can_set_expiry: false,
    marker_max: None,
    has_effective_rights: false,
};

/// What a plan is made for, at this time.
pub(super) fn input(rotation: &Rotation, now: Timestamp) -> PlanInput<'_> {
    PlanInput { rotation, profile: NATIVE, now, force: false }
}

pub(super) fn written(at: Timestamp) -> Secret {
    Secret::new(Ok(Some(at)))
}

pub(super) fn missing() -> Secret {
    Secret::new(Ok(None))
}

pub(super) fn not_read() -> Secret {
    Secret::new(Err(github_error("503")))
}

/// An error of GitHub's with this cause.
pub(super) fn github_error(cause: &str) -> github::Error {
    github::Error::new(github::ErrorKind::Unavailable, "Actions secrets of acme/api", cause)
}
