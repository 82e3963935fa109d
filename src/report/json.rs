//! The report for machines: the document of [`super::model`], as it is.

use std::io::{self, Write};

use super::model::RedactedReport;

/// Writes one indented document and a newline.
///
/// # Errors
/// When `output` cannot be written.
pub(crate) fn write(report: &RedactedReport, output: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *output, report)?;
    writeln!(output)
}

/// The document on one line.
///
/// # Errors
/// Never, as far as is known: the document consists of strings, numbers and lists.
pub(super) fn compact(report: &RedactedReport) -> io::Result<String> {
    Ok(serde_json::to_string(report)?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::samples;
    use super::*;
    use crate::redact::Redactor;
    use crate::report::Report;

    fn written(report: &Report) -> String {
        let mut output = Vec::new();
        write(&report.redacted(&Redactor::new()), &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn has_the_published_shape() {
        let document: Value =
            serde_json::from_str(&written(&samples::report(vec![samples::rotated()]))).unwrap();
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
        assert!(text.ends_with("}\n"));
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
}
