//! Rotations, tokens and readings for the tests of what is pure here.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::lineage::{Member, Reading};
use super::marker::{Marker, Nonce};
use crate::config::{Destination, Policy, Repository, Rotation, RotationKey, SecretTarget};
use crate::provider::{ProviderSettings, Token};

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
    RotationKey { repository: Repository { owner: "acme".into(), name: "infra".into() }, name: "ci".into() }
}

pub(super) fn rotation(secrets: usize) -> Rotation {
    let secret = |n: usize| SecretTarget {
        destination: Destination::parse(&format!("acme/app-{n}:TOKEN"), None).unwrap(),
        create_environment: false,
        visibility: None,
    };
    Rotation {
        name: "ci".into(),
        key: key(),
        formerly: Vec::new(),
        provider: ProviderSettings {
            kind: "axiom".parse().unwrap(),
            url: None,
            org_id: None,
            credential: "CROSSFADE_PROVIDER_TOKEN".into(),
        },
        token: "ci-ingest".into(),
        policy: Policy::default(),
        create: None,
        verify: None,
        secrets: (0..secrets).map(secret).collect(),
        patterns: Vec::new(),
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
        raw: Map::new(),
    }
}

/// The named token before the first rotation.
pub(super) fn original(expires_at: Option<Timestamp>) -> Member {
    Member { token: token("original", expires_at), marker: None }
}

/// A token minted by a run of its own.
pub(super) fn minted(id: &str, at: Timestamp, expires_at: Option<Timestamp>) -> Member {
    let nonce = Nonce { stem: format!("run-of-{id}"), attempt: 1 };
    let marker = Marker::new(key(), at, SignedDuration::from_mins(2), nonce);
    Member { token: token(id, expires_at), marker: Some(marker) }
}

pub(super) fn written(at: Timestamp) -> Reading {
    Reading::UpdatedAt(at)
}
