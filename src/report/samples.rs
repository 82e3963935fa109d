//! Reports that the tests of every form share.

use jiff::Timestamp;

use super::model::{
    DestinationOutcome, DestinationReport, PlannedMint, Report, RotationOutcome, RotationReport, TokenEnd,
    TokenReport, TokenSpan, Verdict, VerificationOutcome,
};

/// A string that tries to be obeyed by everything that may read a report.
pub(super) const HOSTILE: &str = "a\n::set-output name=rotated::true\r\n%0A::error::x ##[error]y \u{1b}[31m\u{1b}]0;t\u{7} \
     | `b` [c](http://evil.example) <img src=x onerror=alert(1)> \u{202e}txt @octocat #1 &amp; \\| *d* _e_";

pub(super) fn time(text: &str) -> Option<Timestamp> {
    Some(text.parse().expect("a time"))
}

pub(super) fn report(rotations: Vec<RotationReport>) -> Report {
    let (now, end) = (time("2026-09-01T06:00:00Z"), time("2026-12-01T06:00:00Z"));
    Report { now, rotations, github_credential_expires_at: end, ..Report::default() }
}

fn token(id: &str, expires_at: &str) -> Option<TokenReport> {
    Some(TokenReport { id: id.to_owned(), name: "ci-ingest".to_owned(), expires_at: time(expires_at) })
}

fn end(id: &str) -> Option<TokenEnd> {
    Some(TokenEnd { id: id.to_owned(), valid_until: time("2026-09-08T06:00:00Z") })
}

pub(super) fn span(id: &str, minted: &str, ends: Option<&str>, held_by: usize) -> TokenSpan {
    TokenSpan {
        id: id.to_owned(),
        minted_at: time(minted),
        ends_at: ends.and_then(time),
        retire_at: None,
        disabled: false,
        held_by,
    }
}

pub(super) fn rotated() -> RotationReport {
    RotationReport {
        outcome: RotationOutcome::Rotated,
        reason: Some(Verdict::Due),
        reason_text: Some("12 days left, rotates at 14".to_owned()),
        token: token("tok-2", "2026-11-30T06:00:00Z"),
        previous: end("tok-1"),
        verification: VerificationOutcome::Verified,
        destinations: vec![
            DestinationReport::new("acme/api@production:AXIOM_TOKEN", DestinationOutcome::Written),
            DestinationReport::new("dependabot+org:acme:AXIOM_TOKEN", DestinationOutcome::Written),
        ],
        retired: vec!["tok-0".to_owned()],
        tokens: vec![
            span("tok-2", "2026-09-01T06:00:00Z", Some("2026-11-30T06:00:00Z"), 2),
            span("tok-1", "2026-06-15T06:00:00Z", Some("2026-09-08T06:00:00Z"), 0),
        ],
        next_rotation_at: time("2026-11-16T06:00:00Z"),
        ..RotationReport::new("ci-ingest", "axiom")
    }
}

pub(super) fn fresh() -> RotationReport {
    RotationReport {
        outcome: RotationOutcome::Fresh,
        reason: Some(Verdict::Fresh),
        reason_text: Some("60 days left, rotates at 14".to_owned()),
        token: token("tok-7", "2026-10-31T06:00:00Z"),
        destinations: vec![
            DestinationReport::new("acme/api:AXIOM_TOKEN", DestinationOutcome::Held),
            DestinationReport::new("acme/web:AXIOM_TOKEN", DestinationOutcome::Unknown),
        ],
        next_rotation_at: time("2026-10-17T06:00:00Z"),
        warnings: vec!["acme/web:AXIOM_TOKEN was written by somebody else".to_owned()],
        ..RotationReport::new("nightly", "axiom")
    }
}

pub(super) fn planned() -> RotationReport {
    RotationReport {
        outcome: RotationOutcome::Planned,
        token: token("tok-1", "2026-09-13T06:00:00Z"),
        previous: None,
        verification: VerificationOutcome::Skipped,
        destinations: vec![
            DestinationReport {
                updated_at: time("2026-06-15T06:00:00Z"),
                holds: end("tok-1"),
                ..DestinationReport::new("acme/api@production:AXIOM_TOKEN", DestinationOutcome::Planned)
            },
            DestinationReport::new("dependabot+org:acme:AXIOM_TOKEN", DestinationOutcome::Planned),
        ],
        tokens: vec![span("tok-1", "2026-06-15T06:00:00Z", Some("2026-09-13T06:00:00Z"), 2)],
        planned: Some(PlannedMint {
            expires_at: time("2026-11-30T06:00:00Z"),
            previous_valid_until: time("2026-09-08T06:00:00Z"),
        }),
        ..rotated()
    }
}

pub(super) fn failed() -> RotationReport {
    RotationReport {
        outcome: RotationOutcome::Failed,
        destinations: vec![
            DestinationReport::new("acme/api:AXIOM_TOKEN", DestinationOutcome::Written),
            DestinationReport {
                error: Some(
                    "GitHub answers 404: the repository does not exist, or is not shown to us".to_owned(),
                ),
                holds: end("tok-1"),
                ..DestinationReport::new("acme/gone:AXIOM_TOKEN", DestinationOutcome::Failed)
            },
        ],
        error: Some("1 of 2 destinations does not hold the new token".to_owned()),
        next_step: Some("remove the destination or grant access; the next run tries again".to_owned()),
        retired: Vec::new(),
        ..rotated()
    }
}

/// [`failed`], with [`HOSTILE`] wherever a string goes.
pub(super) fn hostile() -> Report {
    let hostile = || HOSTILE.to_owned();
    let mut rotation = failed();
    rotation.name = hostile();
    rotation.provider = hostile();
    rotation.reason_text = Some(hostile());
    rotation.error = Some(hostile());
    rotation.next_step = Some(hostile());
    rotation.token =
        Some(TokenReport { id: hostile(), name: hostile(), expires_at: time("2026-11-30T06:00:00Z") });
    rotation.previous = Some(TokenEnd { id: hostile(), valid_until: None });
    rotation.tokens.iter_mut().for_each(|span| span.id = hostile());
    for destination in &mut rotation.destinations {
        destination.destination = hostile();
        destination.error.iter_mut().for_each(|error| *error = hostile());
        destination.holds.iter_mut().for_each(|holds| holds.id = hostile());
    }
    report(vec![rotation])
}
