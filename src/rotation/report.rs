//! Turns a [`RotationRun`] into a [`RotationReport`] that claims no more than is known.

use jiff::Timestamp;

use super::advice::{presumed, still_valid};
use super::apply::RotationRun;
use super::error::RotationError;
use super::lineage::Member;
use super::plan::{Plan, Step};
use super::secret::{Holder, Secret};
use crate::config::Rotation;
use crate::github::{Mode, WriteError};
use crate::provider::Token;
use crate::report::{
    DestinationOutcome, DestinationReport, RotationOutcome, RotationReport, SecretState, TokenEnd,
    TokenReport, TokenSpan, VerificationOutcome, WhyUnknown,
};

pub(super) fn report(rotation: &Rotation, run: RotationRun, mode: Mode) -> RotationReport {
    let steps = |error: &RotationError| error.steps(&rotation.provider.credential);
    let planned = run.plan.iter().filter(|_| mode != Mode::Apply).flat_map(|plan| &plan.retire);
    let retired = run.retired.iter().chain(planned.map(|one| &one.token));
    RotationReport {
        name: rotation.name.clone(),
        provider: rotation.provider.kind.to_string(),
        outcome: run.outcome(mode),
        reason: run.plan.as_ref().map(|plan| plan.verdict),
        reason_text: run.plan.as_ref().map(|plan| plan.why.clone()),
        token: run.current().map(Member::report),
        previous: run.previous(),
        verification: run.delivery.as_ref().map_or(VerificationOutcome::Skipped, |made| made.verification),
        destinations: (0..rotation.secrets.len())
            .map(|index| run.destination(rotation, index, mode))
            .collect(),
        next_rotation_at: run.next_rotation_at,
        error: run.error.as_ref().map(ToString::to_string),
        error_code: run.error.as_ref().map(|error| error.code().to_string()),
        next_step: run
            .error
            .as_ref()
            .map(|error| [still_valid(rotation, &run, error), steps(error)].concat().join(" ")),
        steps: run.error.iter().flat_map(steps).collect(),
        tokens: run.token_spans(),
        retired: retired.cloned().collect(),
        planned: run.planned,
        warnings: run.warnings,
        ..RotationReport::default()
    }
}

impl Member {
    pub(super) fn report(&self) -> TokenReport {
        let Token { id, name, expires_at, .. } = &self.token;
        TokenReport { id: id.clone(), name: super::marker::strip(name), expires_at: *expires_at }
    }
}

impl RotationRun {
    fn outcome(&self, mode: Mode) -> RotationOutcome {
        if self.error.is_some() {
            RotationOutcome::Failed
        } else if self.delivery.is_some() {
            RotationOutcome::Rotated
        } else if self.planned.is_some()
            || mode != Mode::Apply && self.plan.iter().any(|plan| !plan.retire.is_empty())
        {
            RotationOutcome::Planned
        } else {
            RotationOutcome::Fresh
        }
    }

    /// The token before the current one, if it is valid or was until this run: running jobs
    /// may use it. Not an orphan, which no destination ever held.
    fn previous(&self) -> Option<TokenEnd> {
        let now = self.now?;
        let mut orphans: Vec<&String> = Vec::new();
        if let Some(Plan { step: Step::Mint(mint), .. }) = &self.plan {
            orphans.extend(&mint.orphans);
            orphans.extend(mint.previous.iter().filter(|_| mint.previous_is_orphan));
        }
        let current = self.current()?;
        let older = self.lineage.members.iter().skip_while(|member| !member.is(current)).skip(1);
        let mut previous = older.filter(|member| member.is_live(now) && !orphans.contains(&&member.token.id));
        Some(self.end(previous.next()?, now))
    }

    /// When a later run retires a token, unless it must wait for something else.
    fn retire_at(&self, member: &Member) -> Option<Timestamp> {
        let mut retirements = self.retirements.iter();
        retirements.find(|one| one.token == member.token.id).map(|one| one.from)
    }

    /// Until when a token can be used, as far as crossfade decides it.
    fn end(&self, member: &Member, now: Timestamp) -> TokenEnd {
        let valid_until = if self.has_retired(member) {
            Some(now)
        } else {
            // The provider ends it, or a later run does: whichever comes first.
            [member.token.expires_at, self.retire_at(member)].into_iter().flatten().min()
        };
        TokenEnd { id: member.id(), valid_until }
    }

    /// Every token that is valid, or was until this run.
    fn token_spans(&self) -> Vec<TokenSpan> {
        let Some(now) = self.now else { return Vec::new() };
        let holders: Vec<Holder<'_>> =
            self.secrets.iter().map(|secret| self.lineage.holder(secret)).collect();
        let has_ended = |member: &Member| member.token.expires_at.is_some_and(|end| end <= now);
        let is_current = |member: &Member| self.current().is_some_and(|current| current.is(member));
        let span = |member: &Member| {
            let was_retired = self.has_retired(member);
            let ends_at = if was_retired { Some(now) } else { member.token.expires_at };
            let retire_at = self.retire_at(member).filter(|from| ends_at.is_none_or(|end| end > *from));
            TokenSpan {
                id: member.id(),
                minted_at: member.minted_at(),
                ends_at,
                retire_at: retire_at.filter(|_| !was_retired),
                disabled: member.token.disabled,
                held_by: holders.iter().filter(|holder| holder.is(member)).count(),
            }
        };
        let shown = |member: &&Member| !has_ended(member) || is_current(member);
        self.lineage.members.iter().filter(shown).map(span).collect()
    }

    fn destination(&self, rotation: &Rotation, index: usize, mode: Mode) -> DestinationReport {
        let destination = &rotation.secrets[index].destination;
        let secret = self.secrets.get(index);
        let holder = self.holder(index);
        let holds_current = self.current().is_some_and(|current| holder.is(current));
        // A run that failed before it had a plan judged no token, so the newest counts.
        let newest = self.lineage.members.first().filter(|_| self.plan.is_none());
        let holds_newest = newest.is_some_and(|newest| holder.is(newest));
        let (outcome, error) = match secret {
            None => (DestinationOutcome::NotRead, None),
            Some(Secret { write: Some(Ok(_)), .. }) => (DestinationOutcome::Written, None),
            Some(
                Secret { write: Some(Err(WriteError { error: why, .. })), .. }
                | Secret { preflight: Err(why), .. },
            ) => (DestinationOutcome::Failed, Some(why.to_string())),
            Some(Secret { observation: Err(why), .. }) => {
                (DestinationOutcome::NotRead, Some(why.to_string()))
            }
            _ if mode == Mode::DryRun && self.planned.is_some() => (DestinationOutcome::Planned, None),
            _ if holds_current => (DestinationOutcome::Held, None),
            _ => (DestinationOutcome::Unknown, None),
        };
        let updated_at = secret.and_then(|secret| match (&secret.write, &secret.observation) {
            (Some(_), _) => self.lineage.holder(secret).written_at(),
            (None, Ok(Some(at))) => Some(*at),
            (None, _) => None,
        });
        let held = holder.token().filter(|_| !holds_current || outcome == DestinationOutcome::Planned);
        let holds = held.zip(self.now).map(|(held, now)| self.end(held, now));
        let state = match holder {
            _ if holds_current || holds_newest => SecretState::Current,
            Holder::Token(..) => SecretState::Previous,
            Holder::Missing => SecretState::Missing,
            Holder::NotRead if outcome == DestinationOutcome::NotRead => SecretState::NotRead,
            Holder::Unknown(_) | Holder::NotRead => SecretState::Unknown,
        };
        let why_unknown = match &self.error {
            Some(error) if error.is_another_run() => WhyUnknown::AnotherRun,
            Some(_) if self.lineage.members.is_empty() && self.plan.is_none() => WhyUnknown::NotCompared,
            _ => WhyUnknown::Overwritten,
        };
        let presumed = presumed(self, index).filter(|_| state == SecretState::Unknown);
        DestinationReport {
            destination: destination.to_string(),
            outcome,
            state,
            error,
            holds,
            presumed: presumed.zip(self.now).map(|(original, now)| self.end(original, now)),
            updated_at,
            why_unknown,
            settings_path: destination.settings_path(),
        }
    }
}
