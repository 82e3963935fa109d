//! The report: what happened to each rotation, as people and machines are told.
//!
//! This is the document that `--format json` prints; the other forms are made
//! from it. It is filled in by [`crate::rotation`] and never claims more than
//! happened: a new [`RotationReport`] has failed until somebody says otherwise,
//! and *rotated* is believed only if every destination acknowledged the write.

use std::ops::Deref;

use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};

use crate::redact::Redactor;

/// What a run did, or would do; or how things are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// GitHub's clock at the end of the run; `None` if GitHub never told.
    #[serde(serialize_with = "optional_time")]
    pub now: Option<Timestamp>,
    /// Nothing was written: what is reported is what a run would do.
    pub dry_run: bool,
    /// In the order in which the user wrote them.
    pub rotations: Vec<RotationReport>,
    /// Which command reports.
    pub command: Reporter,
    /// When GitHub ends the credential that reads and writes the secrets; `None`:
    /// never, or GitHub does not tell.
    #[serde(serialize_with = "optional_time")]
    pub github_credential_expires_at: Option<Timestamp>,
    /// What ends within the time that `status --fail-within` names. Whatever is
    /// in it makes the exit code 1.
    pub expiring: Vec<Expiring>,
}

/// The command that a report is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reporter {
    /// What was done, or with `--dry-run` would be.
    #[default]
    Rotate,
    /// How things are, and what a run would do.
    Status,
}

/// Something that ends soon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expiring {
    /// The rotation whose token it is; `None`: it is the GitHub credential.
    pub rotation: Option<String>,
    /// The provider's id of the token.
    pub id: Option<String>,
    /// When it ends.
    #[serde(serialize_with = "optional_time")]
    pub expires_at: Option<Timestamp>,
}

/// What happened to one rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RotationReport {
    /// The rotation's name.
    pub name: String,
    /// What became of it.
    pub outcome: RotationOutcome,
    /// The verdict; `None` when the run failed before it had one.
    pub reason: Option<Reason>,
    /// The token that destinations should hold after the run: the newborn if it
    /// lives, else the old one.
    pub token: Option<TokenReport>,
    /// The token before that, if it still lives or lived until this run.
    pub previous: Option<TokenEnd>,
    /// Whether the provider accepted the new value before it was delivered.
    pub probe: ProbeOutcome,
    /// Every destination of the rotation, in the user's order.
    pub destinations: Vec<DestinationReport>,
    /// Ids of the tokens that were ended; in a dry run, that would be.
    pub retired: Vec<String>,
    /// When a run will find this rotation due.
    #[serde(serialize_with = "optional_time")]
    pub next_rotation_at: Option<Timestamp>,
    /// What went wrong, in one sentence; `None` unless the outcome is *failed*.
    pub error: Option<String>,
    /// The service that issues the token.
    pub provider: String,
    /// What the verdict rests on, such as `12 days left, rotates at 14`. Reads on
    /// from "because it is due: ".
    pub reason_text: Option<String>,
    /// What a dry run would mint; `None` where nothing would be.
    pub planned: Option<PlannedMint>,
    /// What is safe and what to do, after an error.
    pub next_step: Option<String>,
    /// What did not stop the rotation but should be known.
    pub warnings: Vec<String>,
    /// What was found on the way and is as it should be.
    pub notes: Vec<String>,
    /// The rotation's tokens that live, or lived until this run; newest first.
    pub tokens: Vec<TokenLife>,
}

/// What became of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RotationOutcome {
    /// Every destination acknowledged the new value.
    Rotated,
    /// Nothing had to be minted.
    Fresh,
    /// A dry run: something would be done.
    Planned,
    /// It is not as it should be.
    Failed,
}

/// The verdict on a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nothing to mint.
    Fresh,
    /// The token ends soon, or is too old.
    Due,
    /// The user asked for it.
    Forced,
    /// A destination does not hold the current token.
    Undelivered,
    /// Another run is at work, or ended a moment ago.
    InFlight,
    /// There is no such token.
    Missing,
}

/// What the probe of a new value told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeOutcome {
    /// The provider accepts the value.
    Verified,
    /// The provider's answer could not tell.
    Unverified,
    /// Nothing was minted, or the run did not get that far.
    Skipped,
}

/// A token at the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenReport {
    /// The provider's id.
    pub id: String,
    /// The name as people know it.
    pub name: String,
    /// When the provider ends it; `None`: never, as far as it tells.
    #[serde(serialize_with = "optional_time")]
    pub expires_at: Option<Timestamp>,
}

/// A token, and until when it can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenEnd {
    /// The provider's id.
    pub id: String,
    /// When it ends; `None`: not by itself, as far as the provider tells.
    #[serde(serialize_with = "optional_time")]
    pub valid_until: Option<Timestamp>,
}

/// One token of a rotation, from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenLife {
    /// The provider's id.
    pub id: String,
    /// When it was minted; `None`: nobody knows.
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
    /// How many destinations hold it, as far as their timestamps tell.
    pub held_by: usize,
}

/// What a dry run would mint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedMint {
    /// When the new token would end; `None`: never by itself.
    #[serde(serialize_with = "optional_time")]
    pub expires_at: Option<Timestamp>,
    /// Until when the token of today would stay valid; `None`: not limited.
    #[serde(serialize_with = "optional_time")]
    pub previous_valid_until: Option<Timestamp>,
}

/// What happened at one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DestinationReport {
    /// Its short form.
    pub destination: String,
    /// What became of it.
    pub outcome: DestinationOutcome,
    /// Why it failed; `None` unless it did.
    pub error: Option<String>,
    /// The token that it holds after the run, if its timestamp tells, and if that
    /// is another than `token` or would be overwritten.
    pub holds: Option<TokenEnd>,
    /// When GitHub says that it was last written; `None`: there is no such secret
    /// yet, or it could not be read.
    #[serde(serialize_with = "optional_time")]
    pub updated_at: Option<Timestamp>,
}

/// What became of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DestinationOutcome {
    /// Acknowledged the new value.
    Written,
    /// Could not be read, or did not acknowledge the new value.
    Failed,
    /// A dry run: would be written.
    Planned,
    /// Holds the token, as far as its timestamp tells; not written now.
    Held,
    /// Somebody else wrote it, or it is not known what it holds; not written now.
    Unknown,
}

impl Report {
    /// The process's exit code: 1 if a rotation failed or something is
    /// [`expiring`](Self::expiring), else 0.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let failed = |rotation: &RotationReport| rotation.proven_outcome() == RotationOutcome::Failed;
        u8::from(!self.expiring.is_empty() || self.rotations.iter().any(failed))
    }

    /// Fills in what ends within this time: tokens that destinations hold or
    /// should hold, and the GitHub credential. A disabled token has ended.
    pub fn look_ahead(&mut self, within: SignedDuration) {
        let Some(now) = self.now else { return };
        let horizon = now.checked_add(within).unwrap_or(Timestamp::MAX);
        let credential = self.github_credential_expires_at.map(|end| (None, None, end));
        let tokens = self.rotations.iter().flat_map(|rotation| {
            let current = rotation.token.as_ref().map(|token| token.id.as_str());
            let is_in_use = move |life: &&TokenLife| life.held_by > 0 || current == Some(life.id.as_str());
            rotation.tokens.iter().filter(is_in_use).filter_map(move |life| {
                let end = if life.disabled { Some(now) } else { life.ends_at };
                Some((Some(rotation.name.clone()), Some(life.id.clone()), end?))
            })
        });
        self.expiring = tokens
            .chain(credential)
            .filter(|(_, _, end)| *end <= horizon)
            .map(|(rotation, id, end)| Expiring { rotation, id, expires_at: Some(end) })
            .collect();
    }

    /// The report as it may be printed: every string past the gate, and no
    /// outcome beyond what the destinations bear out.
    #[must_use]
    pub fn printable(&self, redactor: &Redactor) -> Printable {
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
        Printable(report)
    }
}

impl RotationReport {
    /// A rotation of which nothing is known yet. It has failed, until somebody
    /// says otherwise.
    #[must_use]
    pub fn new(name: impl Into<String>, provider: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            outcome: RotationOutcome::Failed,
            reason: None,
            token: None,
            previous: None,
            probe: ProbeOutcome::Skipped,
            destinations: Vec::new(),
            retired: Vec::new(),
            next_rotation_at: None,
            error: None,
            provider: provider.into(),
            reason_text: None,
            planned: None,
            next_step: None,
            warnings: Vec::new(),
            notes: Vec::new(),
            tokens: Vec::new(),
        }
    }

    /// The outcome, unless a destination failed; and *rotated* only if every
    /// destination acknowledged.
    fn proven_outcome(&self) -> RotationOutcome {
        let written = self.count(DestinationOutcome::Written);
        let acknowledged = written > 0 && written == self.destinations.len();
        let claims_too_much = self.count(DestinationOutcome::Failed) > 0
            || (self.outcome == RotationOutcome::Rotated && !acknowledged);
        if claims_too_much { RotationOutcome::Failed } else { self.outcome }
    }

    /// How many destinations ended so.
    pub(super) fn count(&self, outcome: DestinationOutcome) -> usize {
        self.destinations.iter().filter(|destination| destination.outcome == outcome).count()
    }

    /// Sends every string through the gate. Names all fields, so that a new one
    /// cannot be forgotten.
    fn pass(&mut self, redactor: &Redactor) {
        let Self {
            name,
            outcome: _,
            reason: _,
            token,
            previous,
            probe: _,
            destinations,
            retired,
            next_rotation_at: _,
            error,
            provider,
            reason_text,
            planned: _,
            next_step,
            warnings,
            notes,
            tokens,
        } = self;
        let line = |text: &mut String| *text = redactor.line(text);
        let message = |text: &mut String| *text = redactor.message(text);
        line(name);
        line(provider);
        if let Some(TokenReport { id, name, expires_at: _ }) = token {
            line(id);
            line(name);
        }
        if let Some(TokenEnd { id, valid_until: _ }) = previous {
            line(id);
        }
        for DestinationReport { destination, outcome: _, error, holds, updated_at: _ } in destinations {
            line(destination);
            error.iter_mut().for_each(message);
            holds.iter_mut().for_each(|holds| line(&mut holds.id));
        }
        retired.iter_mut().for_each(line);
        tokens.iter_mut().for_each(|life| line(&mut life.id));
        [error, reason_text, next_step].into_iter().flatten().chain(warnings).chain(notes).for_each(message);
    }
}

impl DestinationReport {
    /// A destination with nothing to add to its outcome.
    #[must_use]
    pub fn new(destination: impl Into<String>, outcome: DestinationOutcome) -> Self {
        Self { destination: destination.into(), outcome, error: None, holds: None, updated_at: None }
    }
}

/// A [`Report`] that has passed the gate: its strings are single lines without
/// secrets. Every output is made from one of these.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Printable(Report);

impl Deref for Printable {
    type Target = Report;

    fn deref(&self) -> &Report {
        &self.0
    }
}

/// RFC 3339 in UTC, in whole seconds: what is past is not shown as yet to come.
pub(super) fn rfc3339(time: Timestamp) -> String {
    format!("{time:.0}")
}

fn optional_time<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

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
            let printable = report.printable(&Redactor::new());
            assert_eq!(printable.rotations[0].outcome, RotationOutcome::Rotated);
            assert_eq!(printable.rotations[1].outcome, RotationOutcome::Failed);
            assert!(printable.rotations[1].error.is_some());
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
                ..DestinationReport::new(evil(), DestinationOutcome::Failed)
            }],
            retired: vec![evil()],
            error: Some(evil()),
            provider: evil(),
            reason_text: Some(evil()),
            next_step: Some(evil()),
            warnings: vec![evil()],
            notes: vec![evil()],
            tokens: vec![TokenLife {
                id: evil(),
                minted_at: None,
                ends_at: None,
                retire_at: None,
                disabled: false,
                held_by: 0,
            }],
            ..RotationReport::new("", "")
        };
        let redactor = Redactor::new();
        redactor.register(&SecretString::from("0123456789abcdef"));
        let expiring = Expiring { rotation: Some(evil()), id: Some(evil()), expires_at: None };
        let report = Report { expiring: vec![expiring], ..report(vec![rotation]) };
        let json = serde_json::to_string(&report.printable(&redactor)).unwrap();
        assert_eq!(json.matches(": :error::## [x] ***").count(), 17, "{json}");
        assert!(!json.contains("\\n") && !json.contains("\\u001b") && !json.contains("##["), "{json}");
    }

    #[test]
    fn times_are_whole_seconds_in_utc() {
        let time = |text: &str| rfc3339(text.parse().unwrap());
        assert_eq!(time("2026-09-01T08:00:00.999+02:00"), "2026-09-01T06:00:00Z");
        assert_eq!(time("2026-09-01T08:00:00Z"), "2026-09-01T08:00:00Z");
    }
}
