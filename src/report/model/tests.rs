//! What a report claims, what its strings pass, and the form of the document.

use secrecy::SecretString;
use serde_json::{Value, json};

use super::super::samples;
use super::*;

fn rotated() -> RotationReport {
    RotationReport {
        outcome: RotationOutcome::Rotated,
        destinations: vec![DestinationReport::new("acme/api:T", DestinationOutcome::Written)],
        ..RotationReport::new("ci", "axiom")
    }
}

fn report(rotations: Vec<RotationReport>) -> Report {
    Report { rotations, ..Report::default() }
}

#[test]
fn a_new_rotation_claims_nothing() {
    assert_eq!(report(vec![RotationReport::new("ci", "axiom")]).exit_code(), 1);
    assert_eq!(report(vec![rotated()]).exit_code(), 0);
    assert_eq!(report(Vec::new()).exit_code(), 0);
}

#[test]
fn rotated_is_believed_only_if_every_destination_acknowledged() {
    for outcome in [DestinationOutcome::Failed, DestinationOutcome::Held, DestinationOutcome::Unknown] {
        let mut rotation = rotated();
        rotation.destinations.push(DestinationReport::new("acme/web:T", outcome));
        let report = report(vec![rotated(), rotation]);
        assert_eq!(report.exit_code(), 1);
        let redacted = report.redacted(&Redactor::new());
        assert_eq!(redacted.rotations[0].outcome, RotationOutcome::Rotated);
        assert_eq!(redacted.rotations[1].outcome, RotationOutcome::Failed);
        assert!(redacted.rotations[1].error.is_some());
    }
    let unread = RotationReport {
        outcome: RotationOutcome::Fresh,
        destinations: vec![DestinationReport::new("acme/web:T", DestinationOutcome::Failed)],
        ..rotated()
    };
    assert_eq!(report(vec![unread]).exit_code(), 1);
    let nowhere = RotationReport { destinations: Vec::new(), ..rotated() };
    assert_eq!(report(vec![nowhere]).exit_code(), 1);
}

#[test]
fn every_string_passes_the_gate() {
    let evil = || "\n::error::\u{1b}[1m##[x] 0123456789abcdef".to_owned();
    let end = || Some(TokenEnd { id: evil(), valid_until: None });
    let rotation = RotationReport {
        name: evil(),
        token: Some(TokenReport { id: evil(), name: evil(), expires_at: None }),
        previous: end(),
        destinations: vec![DestinationReport {
            error: Some(evil()),
            holds: end(),
            presumed: end(),
            ..DestinationReport::new(evil(), DestinationOutcome::Failed)
        }],
        retired: vec![evil()],
        error: Some(evil()),
        provider: evil(),
        reason_text: Some(evil()),
        next_step: Some(evil()),
        steps: vec![evil()],
        error_code: Some(evil()),
        warnings: vec![evil()],
        notes: vec![evil()],
        tokens: vec![TokenSpan {
            id: evil(),
            minted_at: None,
            ends_at: None,
            retire_at: None,
            disabled: false,
            held_by: 0,
        }],
        after: vec![WorkflowReport {
            repository: evil(),
            workflow: evil(),
            git_ref: Some(evil()),
            outcome: WorkflowOutcome::Failed,
            error: Some(evil()),
        }],
        ..RotationReport::new("", "")
    };
    let redactor = Redactor::new();
    redactor.register(&SecretString::from("0123456789abcdef"));
    let expiring = Expiring { rotation: Some(evil()), id: Some(evil()), expires_at: None };
    let finding = Finding { rotation: evil(), condition: Condition::Due, destinations: vec![evil()] };
    let token = UnmanagedToken {
        provider: evil(),
        id: evil(),
        name: evil(),
        expires_at: None,
        disabled: false,
        marker: Some(evil()),
    };
    let report = Report {
        expiring: vec![expiring],
        fail_on: vec![finding],
        unmanaged: Some(vec![token]),
        ..report(vec![rotation])
    };
    let json = serde_json::to_string(&report.redacted(&redactor)).unwrap();
    assert_eq!(json.matches(": :error::## [x] ***").count(), 30, "{json}");
    assert!(!json.contains("\\n") && !json.contains("\\u001b") && !json.contains("##["), "{json}");
}

#[test]
fn times_are_whole_seconds_in_utc() {
    let time = |text: &str| rfc3339(text.parse().unwrap());
    assert_eq!(time("2026-09-01T08:00:00.999+02:00"), "2026-09-01T06:00:00Z");
    assert_eq!(time("2026-09-01T08:00:00Z"), "2026-09-01T08:00:00Z");
}

fn written(report: &Report) -> String {
    serde_json::to_string_pretty(&report.redacted(&Redactor::new())).unwrap()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn has_the_published_shape() {
    let document: Value = serde_json::from_str(&written(&samples::report(vec![samples::rotated()]))).unwrap();
    assert_eq!(
        keys(&document),
        [
            "now",
            "dry_run",
            "rotations",
            "command",
            "github_credential_expires_at",
            "expiring",
            "fail_on",
            "unmanaged"
        ]
    );
    assert_eq!(document["now"], "2026-09-01T06:00:00Z");
    assert_eq!(document["dry_run"], false);
    let rotation = &document["rotations"][0];
    let published = [
        "name",
        "outcome",
        "reason",
        "token",
        "previous",
        "probe",
        "destinations",
        "retired",
        "next_rotation_at",
        "error",
    ];
    let added = [
        "error_code",
        "provider",
        "reason_text",
        "planned",
        "next_step",
        "steps",
        "warnings",
        "notes",
        "tokens",
        "after",
    ];
    assert_eq!(keys(rotation), [&published[..], &added[..]].concat());
    let expected = json!({
        "name": "ci-ingest", "outcome": "rotated", "reason": "due",
        "token": {"id": "tok-2", "name": "ci-ingest", "expires_at": "2026-11-30T06:00:00Z"},
        "previous": {"id": "tok-1", "valid_until": "2026-09-08T06:00:00Z"},
        "probe": "verified",
        "destinations": [
            {"destination": "acme/api@production:AXIOM_TOKEN", "outcome": "written", "state": "current", "error": null, "holds": null, "presumed": null, "updated_at": null},
            {"destination": "dependabot+org:acme:AXIOM_TOKEN", "outcome": "written", "state": "current", "error": null, "holds": null, "presumed": null, "updated_at": null},
        ],
        "retired": ["tok-0"], "next_rotation_at": "2026-11-16T06:00:00Z", "error": null, "error_code": null,
        "provider": "axiom", "reason_text": "12 days left, rotates at 14", "planned": null,
        "next_step": null, "steps": [], "warnings": [], "notes": [],
        "tokens": [
            {"id": "tok-2", "minted_at": "2026-09-01T06:00:00Z", "ends_at": "2026-11-30T06:00:00Z",
             "retire_at": null, "disabled": false, "held_by": 2},
            {"id": "tok-1", "minted_at": "2026-06-15T06:00:00Z", "ends_at": "2026-09-08T06:00:00Z",
             "retire_at": null, "disabled": false, "held_by": 0},
        ],
        "after": [
            {"repository": "acme/api", "workflow": "deploy.yml", "ref": "main", "outcome": "started", "error": null},
        ],
    });
    assert_eq!(*rotation, expected);
}

#[test]
fn words_are_the_published_ones() {
    use crate::report::{
        DestinationOutcome as D, RotationOutcome as O, SecretState as S, Verdict as R,
        VerificationOutcome as P, WorkflowOutcome as W,
    };
    let word = |value: Value| value.as_str().unwrap().to_owned();
    let of = |values: &[Value]| values.iter().cloned().map(word).collect::<Vec<_>>().join("|");
    assert_eq!(
        of(&[O::Rotated, O::Fresh, O::Planned, O::Failed].map(|o| json!(o))),
        "rotated|fresh|planned|failed"
    );
    assert_eq!(
        of(&[R::Fresh, R::Due, R::Forced, R::Undelivered, R::InFlight, R::Missing].map(|r| json!(r))),
        "fresh|due|forced|undelivered|in_flight|missing"
    );
    assert_eq!(
        of(&[P::Verified, P::Unverified, P::Skipped].map(|p| json!(p))),
        "verified|unverified|skipped"
    );
    assert_eq!(
        of(&[D::Written, D::Failed, D::Planned, D::Held, D::Unknown, D::NotRead].map(|d| json!(d))),
        "written|failed|planned|held|unknown|not_read"
    );
    assert_eq!(
        of(&[S::Current, S::Previous, S::Unknown, S::Missing, S::NotRead].map(|s| json!(s))),
        "current|previous|unknown|missing|not_read"
    );
    assert_eq!(
        of(&[W::Started, W::Planned, W::HasRun, W::Waiting, W::NotDue, W::Failed].map(|w| json!(w))),
        "started|planned|has_run|waiting|not_due|failed"
    );
}

#[test]
fn is_one_document_that_no_runner_obeys() {
    let text = written(&samples::hostile());
    serde_json::from_str::<Value>(&text).unwrap();
    assert!(text.lines().all(|line| !line.trim_start().starts_with("::") && !line.contains("##[")));
}

#[test]
fn what_is_not_known_is_null() {
    let rotation = crate::report::RotationReport::new("ci", "axiom");
    let text = written(&Report { dry_run: true, rotations: vec![rotation], ..Report::default() });
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["now"], Value::Null);
    for key in ["reason", "token", "previous", "next_rotation_at"] {
        assert_eq!(document["rotations"][0][key], Value::Null);
    }
}
