//! The report: what happened to each rotation.
//!
//! `--format json` prints this document, field by field as docs/report.md says; the other
//! forms are made from it.
//! [`crate::rotation`] fills it in. It never claims more than happened: a new
//! [`RotationReport`] is *failed* until its outcome is set, and *rotated* counts only if
//! every destination acknowledged the write.

mod destination;
mod monitor;
mod rotation;

use std::ops::Deref;

use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};

use crate::redact::Redactor;

pub(crate) use destination::{DestinationOutcome, DestinationReport, SecretState, WhyUnknown};
pub(crate) use monitor::{Condition, Finding, UnmanagedToken};
pub(crate) use rotation::{
    PlannedMint, RotationOutcome, RotationReport, TokenEnd, TokenReport, TokenSpan, Verdict,
    VerificationOutcome, WorkflowOutcome, WorkflowReport,
};

/// What a run did or would do, or the current state.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(crate) struct Report {
    /// GitHub's clock at the end of the run; `None` if GitHub sent no date.
    #[serde(serialize_with = "optional_time")]
    pub now: Option<Timestamp>,
    /// Nothing was written: what is reported is what a run would do.
    pub dry_run: bool,
    /// In the order in which the user wrote them.
    pub rotations: Vec<RotationReport>,
    pub command: Reporter,
    /// When the GitHub credential expires; `None`: never, or GitHub does not report it.
    #[serde(serialize_with = "optional_time")]
    pub github_credential_expires_at: Option<Timestamp>,
    /// What ends within the time that `status --fail-within` names.
    pub expiring: Vec<Expiring>,
    /// What `status --fail-on` found.
    pub fail_on: Vec<Finding>,
    /// The provider's tokens that no rotation covers; `None`: this was not asked for.
    pub unmanaged: Option<Vec<UnmanagedToken>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reporter {
    /// What was done, or with `--dry-run` would be.
    #[default]
    Rotate,
    /// The current state, and what a run would do.
    Status,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Expiring {
    /// The rotation whose token it is; `None`: it is the GitHub credential.
    pub rotation: Option<String>,
    pub id: Option<String>,
    #[serde(serialize_with = "optional_time")]
    pub expires_at: Option<Timestamp>,
}

impl Report {
    /// The process's exit code: 1 if a rotation failed, something is
    /// [`expiring`](Self::expiring), or `--fail-on` [found](Self::fail_on) something; else 0.
    pub(crate) fn exit_code(&self) -> u8 {
        let failed = |rotation: &RotationReport| rotation.proven_outcome() == RotationOutcome::Failed;
        let is_bad =
            !self.expiring.is_empty() || !self.fail_on.is_empty() || self.rotations.iter().any(failed);
        u8::from(is_bad)
    }

    /// Whether a run would do something: the report is of a dry run.
    pub(crate) fn has_something_to_do(&self) -> bool {
        self.rotations.iter().any(|rotation| rotation.proven_outcome() == RotationOutcome::Planned)
    }

    /// Fills in the rotations that are in one of these states.
    pub(crate) fn look_for(&mut self, conditions: &[Condition]) {
        let rotations = self.rotations.iter();
        self.fail_on = rotations
            .flat_map(|rotation| conditions.iter().filter_map(move |condition| condition.find(rotation)))
            .collect();
    }

    /// Fills in what ends within this time: tokens that destinations hold or
    /// should hold, and the GitHub credential. A disabled token has ended.
    pub(crate) fn look_ahead(&mut self, within: SignedDuration) {
        let Some(now) = self.now else { return };
        let horizon = now.checked_add(within).unwrap_or(Timestamp::MAX);
        let credential = Expiring { rotation: None, id: None, expires_at: self.github_credential_expires_at };
        let tokens = self.rotations.iter().flat_map(|rotation| {
            let current = rotation.token.as_ref().map(|token| token.id.as_str());
            let is_in_use = move |span: &&TokenSpan| span.held_by > 0 || current == Some(span.id.as_str());
            rotation.tokens.iter().filter(is_in_use).map(move |span| {
                let expires_at = if span.disabled { Some(now) } else { span.ends_at };
                Expiring { rotation: Some(rotation.name.clone()), id: Some(span.id.clone()), expires_at }
            })
        });
        let is_soon = |one: &Expiring| one.expires_at.is_some_and(|end| end <= horizon);
        self.expiring = tokens.chain([credential]).filter(is_soon).collect();
    }

    /// The report that may be printed: every string is redacted, and no outcome claims
    /// more than the destinations show.
    pub(crate) fn redacted(&self, redactor: &Redactor) -> RedactedReport {
        let mut report = self.clone();
        for rotation in &mut report.rotations {
            rotation.outcome = rotation.proven_outcome();
            if rotation.outcome == RotationOutcome::Failed && rotation.error.is_none() {
                rotation.error = Some("not every destination was served".to_owned());
            }
            rotation.pass(redactor);
        }
        for Expiring { rotation, id, expires_at: _ } in &mut report.expiring {
            rotation.iter_mut().chain(id).for_each(|text| *text = redactor.line(text));
        }
        for Finding { rotation, condition: _, destinations } in &mut report.fail_on {
            std::iter::once(rotation).chain(destinations).for_each(|text| *text = redactor.line(text));
        }
        for token in report.unmanaged.iter_mut().flatten() {
            let UnmanagedToken { provider, id, name, expires_at: _, disabled: _, marker } = token;
            [provider, id, name].into_iter().chain(marker).for_each(|text| *text = redactor.line(text));
        }
        RedactedReport(report)
    }
}

/// A [`Report`] whose strings are single lines without secrets. Every output is made
/// from one of these.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct RedactedReport(Report);

impl Deref for RedactedReport {
    type Target = Report;

    fn deref(&self) -> &Report {
        &self.0
    }
}

/// RFC 3339 in UTC, in whole seconds: what is past is not shown as yet to come.
pub(super) fn rfc3339(time: Timestamp) -> String {
    format!("{time:.0}")
}

/// The same for what may be unknown: `null`.
fn optional_time<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(serializer)
}

#[cfg(test)]
mod tests;
