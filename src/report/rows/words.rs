//! The one list of words for what a secret holds and what became of a rotation.

use super::super::format::Format;
use super::super::model::{Reporter, RotationOutcome, RotationReport, SecretState, Verdict};
use super::super::paint::Role;

/// What a secret holds; JSON has the same words.
pub(super) fn state(state: SecretState) -> (&'static str, Role) {
    match state {
        SecretState::Current => ("current", Role::Good),
        SecretState::Previous => ("previous", Role::Change),
        SecretState::Unknown => ("unknown", Role::Quiet),
        SecretState::Missing => ("missing", Role::Change),
        SecretState::NotRead => ("not read", Role::Bad),
    }
}

/// What became of a rotation; for `status` what a run would find.
pub(super) fn word(rotation: &RotationReport, command: Reporter) -> (&'static str, Role) {
    let planned = match (rotation.outcome, command, rotation.reason) {
        (RotationOutcome::Failed, ..) => return ("FAILED", Role::Bad),
        (RotationOutcome::Rotated, ..) => return ("rotated", Role::Good),
        (RotationOutcome::Planned, Reporter::Status, Some(Verdict::Due)) => "due",
        (RotationOutcome::Planned, Reporter::Status, Some(Verdict::Forced)) => "forced",
        (RotationOutcome::Planned, Reporter::Status, Some(Verdict::Undelivered)) => "undelivered",
        (RotationOutcome::Planned, Reporter::Status, Some(Verdict::Missing)) => "missing",
        (RotationOutcome::Planned, Reporter::Rotate, _) if mints(rotation) => "would rotate",
        (RotationOutcome::Planned, Reporter::Rotate, _) if rotation.retired.is_empty() => "would start",
        (RotationOutcome::Planned, Reporter::Rotate, _) => "would retire",
        (RotationOutcome::Planned | RotationOutcome::Fresh, ..) => return ("fresh", Role::Good),
    };
    (planned, Role::Change)
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
