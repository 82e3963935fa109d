//! A rotation: its outcome, its verdict, its tokens, and the workflows that it starts.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::{DestinationOutcome, DestinationReport, optional_time};
use crate::redact::Redactor;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(crate) struct RotationReport {
    pub name: String,
    pub outcome: RotationOutcome,
    /// The verdict; `None` when the run failed before it had one.
    pub reason: Option<Verdict>,
    /// The token that destinations should hold after the run: the new token unless it
    /// was revoked, else the previous one.
    pub token: Option<TokenReport>,
    /// The token before that, if it is valid or was until this run.
    pub previous: Option<TokenEnd>,
    /// Whether the provider accepted the new value before it was delivered.
    #[serde(rename = "probe")]
    pub verification: VerificationOutcome,
    /// Every destination of the rotation, in the user's order.
    pub destinations: Vec<DestinationReport>,
    /// Ids of the tokens that were ended; in a dry run, that would be.
    pub retired: Vec<String>,
    /// When a run will find this rotation due; `None`: the next one does.
    #[serde(serialize_with = "optional_time")]
    pub next_rotation_at: Option<Timestamp>,
    /// What went wrong, in one sentence; `None` unless the outcome is *failed*.
    pub error: Option<String>,
    /// The kind of the error: the anchor of its section in the docs; `None`: it has none.
    pub error_code: Option<String>,
    pub provider: String,
    /// What the verdict rests on, such as `12 days left, rotates at 14`. Reads on
    /// from "because it is due: ".
    pub reason_text: Option<String>,
    /// In a dry run.
    pub planned: Option<PlannedMint>,
    /// What is safe and what to do, after an error.
    pub next_step: Option<String>,
    /// What to do after an error, one instruction each.
    pub steps: Vec<String>,
    /// What did not stop the rotation but should be known.
    pub warnings: Vec<String>,
    /// What was found on the way and is as it should be.
    pub notes: Vec<String>,
    /// The rotation's tokens that are valid, or were until this run; newest first.
    pub tokens: Vec<TokenSpan>,
    pub after: Vec<WorkflowReport>,
}

/// In the order of importance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RotationOutcome {
    /// It is not as it should be, or nothing is known of it yet.
    #[default]
    Failed,
    /// Every destination acknowledged the new value.
    Rotated,
    /// A dry run: something would be done.
    Planned,
    /// Nothing had to be minted.
    Fresh,
}

/// Why a rotation is rotated now, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Fresh,
    /// The token ends soon, is too old, or is valid for longer than the policy allows.
    Due,
    Forced,
    /// A destination does not hold the current token.
    Undelivered,
    /// Another run is at work, or ended a moment ago.
    InFlight,
    Missing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VerificationOutcome {
    Verified,
    /// The provider's reply does not tell.
    Unverified,
    /// Nothing was minted, or the run did not get that far.
    #[default]
    Skipped,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TokenReport {
    pub id: String,
    /// The name as people know it.
    pub name: String,
    /// When it expires; `None`: the provider reports no expiry.
    #[serde(serialize_with = "optional_time")]
    pub expires_at: Option<Timestamp>,
}

/// A token, and until when it can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TokenEnd {
    pub id: String,
    /// When it ends; `None`: the provider reports no expiry.
    #[serde(serialize_with = "optional_time")]
    pub valid_until: Option<Timestamp>,
}

/// One token of a rotation, from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TokenSpan {
    pub id: String,
    /// When it was minted; `None`: unknown.
    #[serde(serialize_with = "optional_time")]
    pub minted_at: Option<Timestamp>,
    /// When it ends by itself, or was ended by this run; `None`: never.
    #[serde(serialize_with = "optional_time")]
    pub ends_at: Option<Timestamp>,
    /// From when on a run retires it; `None`: none will, as things are.
    #[serde(serialize_with = "optional_time")]
    pub retire_at: Option<Timestamp>,
    /// Disabled at the provider: not accepted, and not yet deleted.
    pub disabled: bool,
    /// How many destinations hold it according to their timestamps.
    pub held_by: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PlannedMint {
    /// When the new token would end; `None`: never by itself.
    #[serde(serialize_with = "optional_time")]
    pub expires_at: Option<Timestamp>,
    /// Until when the token of today would stay valid; `None`: not limited.
    #[serde(serialize_with = "optional_time")]
    pub previous_valid_until: Option<Timestamp>,
}

/// What became of one workflow of `after`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WorkflowReport {
    pub repository: String,
    /// Its file, or its id.
    pub workflow: String,
    /// The branch or tag; `None`: the repository's default branch.
    #[serde(rename = "ref")]
    pub git_ref: Option<String>,
    pub outcome: WorkflowOutcome,
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WorkflowOutcome {
    Started,
    Planned,
    /// It has run since the last secret was written.
    HasRun,
    /// It starts once every secret holds the new token.
    Waiting,
    /// No overlap is open, so nothing is to be started.
    NotDue,
    /// It was not started, or that is not known.
    Failed,
}

impl fmt::Display for WorkflowReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.workflow, self.repository)
    }
}

impl RotationReport {
    /// The outcome, unless a destination failed; and *rotated* only if every
    /// destination acknowledged.
    pub(super) fn proven_outcome(&self) -> RotationOutcome {
        let written = self.count(DestinationOutcome::Written);
        let acknowledged = written > 0 && written == self.destinations.len();
        let claims_too_much = self.count(DestinationOutcome::Failed) > 0
            || self.count(DestinationOutcome::NotRead) > 0
            || (self.outcome == RotationOutcome::Rotated && !acknowledged);
        if claims_too_much { RotationOutcome::Failed } else { self.outcome }
    }

    /// How many destinations ended so.
    pub(in crate::report) fn count(&self, outcome: DestinationOutcome) -> usize {
        self.destinations.iter().filter(|destination| destination.outcome == outcome).count()
    }

    /// Redacts every string. Names all fields, so that a new one cannot be forgotten.
    pub(super) fn pass(&mut self, redactor: &Redactor) {
        let Self {
            name,
            outcome: _,
            reason: _,
            token,
            previous,
            verification: _,
            destinations,
            retired,
            next_rotation_at: _,
            error,
            error_code,
            provider,
            reason_text,
            planned: _,
            next_step,
            steps,
            warnings,
            notes,
            tokens,
            after,
        } = self;
        let line = |text: &mut String| *text = redactor.line(text);
        let message = |text: &mut String| *text = redactor.message(text);
        line(name);
        line(provider);
        error_code.iter_mut().for_each(line);
        if let Some(TokenReport { id, name, expires_at: _ }) = token {
            line(id);
            line(name);
        }
        if let Some(TokenEnd { id, valid_until: _ }) = previous {
            line(id);
        }
        for DestinationReport {
            destination,
            outcome: _,
            state: _,
            error,
            holds,
            presumed,
            updated_at: _,
            why_unknown: _,
            settings_path,
        } in destinations
        {
            line(destination);
            line(settings_path);
            error.iter_mut().for_each(message);
            holds.iter_mut().chain(presumed).for_each(|token| line(&mut token.id));
        }
        retired.iter_mut().for_each(line);
        tokens.iter_mut().for_each(|span| line(&mut span.id));
        for WorkflowReport { repository, workflow, git_ref, outcome: _, error } in after {
            [repository, workflow].into_iter().chain(git_ref).for_each(line);
            error.iter_mut().for_each(message);
        }
        let sentences = [error, reason_text, next_step].into_iter().flatten();
        sentences.chain(steps).chain(warnings).chain(notes).for_each(message);
    }
}
