//! The one list of words for what a secret holds and what became of a rotation.

use super::super::format::Format;
use super::super::model::{Reporter, RotationOutcome, RotationReport, SecretState, Verdict};
use super::super::paint::Role;

/// What a secret holds; JSON has the same words.
pub(super) fn state_word(state: SecretState) -> &'static str {
    match state {
        SecretState::Current => "current",
        SecretState::Previous => "previous",
        SecretState::Unknown => "unknown",
        SecretState::Missing => "missing",
        SecretState::NotRead => "not read",
    }
}

pub(super) fn state_role(state: SecretState) -> Role {
    match state {
        SecretState::Current => Role::Good,
        SecretState::Previous | SecretState::Missing => Role::Change,
        SecretState::Unknown => Role::Quiet,
        SecretState::NotRead => Role::Bad,
    }
}

/// What became of a rotation; for `status` what a run would find.
pub(super) fn word(rotation: &RotationReport, command: Reporter) -> (&'static str, Role) {
    match (rotation.outcome, command, rotation.reason) {
        (RotationOutcome::Failed, ..) => ("FAILED", Role::Bad),
        (RotationOutcome::Rotated, ..) => ("rotated", Role::Good),
        (RotationOutcome::Planned, Reporter::Status, Some(Verdict::Due)) => ("due", Role::Change),
        (RotationOutcome::Planned, Reporter::Status, Some(Verdict::Forced)) => ("forced", Role::Change),
        (RotationOutcome::Planned, Reporter::Status, Some(Verdict::Undelivered)) => {
            ("undelivered", Role::Change)
        }
        (RotationOutcome::Planned, Reporter::Status, Some(Verdict::Missing)) => ("missing", Role::Change),
        (RotationOutcome::Planned, Reporter::Rotate, _) if mints(rotation) => ("would rotate", Role::Change),
        (RotationOutcome::Planned, Reporter::Rotate, _) if rotation.retired.is_empty() => {
            ("would start", Role::Change)
        }
        (RotationOutcome::Planned, Reporter::Rotate, _) => ("would retire", Role::Change),
        (RotationOutcome::Planned | RotationOutcome::Fresh, ..) => ("fresh", Role::Good),
    }
}

/// Whether the verdict is to create a token.
pub(super) fn mints(rotation: &RotationReport) -> bool {
    match rotation.reason {
        Some(Verdict::Due | Verdict::Forced | Verdict::Undelivered | Verdict::Missing) => true,
        Some(Verdict::Fresh | Verdict::InFlight) | None => false,
    }
}

/// Why the verdict is what it is; reads on from "because". `None`: there is no verdict.
pub(in crate::report) fn because(rotation: &RotationReport, format: &Format) -> Option<String> {
    let text = rotation.reason_text.as_ref().map(|text| format.sentence(text));
    let reason = match rotation.reason? {
        Verdict::Fresh => return Some(text.unwrap_or("nothing is due".to_owned())),
        Verdict::Due => "it is due",
        Verdict::Forced => return Some("it is forced".to_owned()),
        Verdict::Undelivered => "the current token is not everywhere",
        Verdict::InFlight => "another run is at work, or ended a moment ago",
        Verdict::Missing => "there is no such token",
    };
    Some(text.map_or_else(|| reason.to_owned(), |text| format!("{reason}: {text}")))
}
