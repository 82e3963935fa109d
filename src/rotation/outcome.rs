//! Turns a [`RotationRun`] into a [`RotationReport`] that claims no more than is known.
//!
//! [`crate::report`] decides how it is printed.

use jiff::Timestamp;

use super::RunContext;
use super::advice::{advice, steps};
use super::apply::{RotationRun, Write};
use super::error::RotationError;
use super::lineage::{Holder, Member, Observation, after};
use super::plan::{self, Plan, PlanInput, Step, Verdict};
use super::session::ProviderSession;
use crate::config::Rotation;
use crate::provider::{Expiry, Token, Verification};
use crate::report::{
    DestinationOutcome, DestinationReport, PlannedMint, Reason, RotationOutcome, RotationReport, SecretState,
    TokenEnd, TokenReport, TokenSpan, VerificationOutcome,
};

pub(super) fn report(
    rotation: &Rotation,
    session: &ProviderSession,
    run: RotationRun,
    context: &RunContext<'_>,
) -> RotationReport {
    let builder = ReportBuilder { rotation, session, run: &run, context };
    let mut report = RotationReport::new(&rotation.name, rotation.provider.kind.to_string());
    if let Some(plan) = &run.plan {
        report.reason = Some(reason(plan.verdict));
        report.reason_text = Some(plan.why.clone());
    }
    report.outcome = builder.outcome();
    let token = builder.token().map(|index| &run.lineage.members[index]);
    report.token = token.map(|member| TokenReport {
        id: member.token.id.clone(),
        name: super::marker::strip(&member.token.name),
        expires_at: member.token.expires_at,
    });
    report.previous = builder.previous();
    report.planned = builder.planned();
    report.verification = match &run.delivery {
        Some(delivery) if delivery.verification == Verification::Verified => VerificationOutcome::Verified,
        Some(_) => VerificationOutcome::Unverified,
        None => VerificationOutcome::Skipped,
    };
    report.destinations = (0..rotation.secrets.len()).map(|index| builder.destination(index)).collect();
    report.next_rotation_at = token
        .filter(|_| !builder.next_run_mints())
        .and_then(|member| plan::next_rotation_at(rotation.policy, session.provider.profile(), member));
    if let Some(RotationError::HeldBack { until, .. }) = &run.error {
        report.next_rotation_at = Some(*until);
    }
    report.error = run.error.as_ref().map(ToString::to_string);
    report.next_step = run.error.as_ref().map(|error| advice(rotation, &run, error));
    report.steps = run.error.iter().flat_map(|error| steps(rotation, error)).collect();
    report.tokens = builder.token_spans();
    let emergency = builder.emergency();
    report.retired = run.retired;
    report.warnings = run.warnings;
    report.warnings.extend(emergency);
    report
}

struct ReportBuilder<'a> {
    rotation: &'a Rotation,
    session: &'a ProviderSession,
    run: &'a RotationRun,
    context: &'a RunContext<'a>,
}

impl ReportBuilder<'_> {
    fn outcome(&self) -> RotationOutcome {
        let mints = self.mint().is_some();
        match self.run {
            RotationRun { error: Some(_), .. } => RotationOutcome::Failed,
            run if self.context.dry_run && (mints || !run.retired.is_empty()) => RotationOutcome::Planned,
            RotationRun { delivery: Some(_), .. } => RotationOutcome::Rotated,
            _ => RotationOutcome::Fresh,
        }
    }

    /// The input of the plan; whether it was forced does not matter here.
    fn plan_input(&self, now: Timestamp) -> PlanInput<'_> {
        let profile = self.session.provider.profile();
        PlanInput { rotation: self.rotation, profile, now, force: false }
    }

    fn mint(&self) -> Option<(&Plan, &plan::MintPlan)> {
        match &self.run.plan {
            Some(plan @ Plan { step: Step::Mint(mint), .. }) => Some((plan, mint)),
            _ => None,
        }
    }

    fn new_token_is_valid(&self) -> bool {
        self.run.delivery.as_ref().is_some_and(|delivery| !delivery.revoked)
    }

    /// The token that destinations should hold now: the new token unless it was revoked.
    fn token(&self) -> Option<usize> {
        if self.new_token_is_valid() { Some(0) } else { self.run.plan.as_ref()?.current }
    }

    /// The one before it, if it is valid or was until this run: running jobs may use it.
    /// Not an orphan, which no destination ever held.
    fn previous(&self) -> Option<TokenEnd> {
        let now = self.run.now?;
        let mint = self.mint().map(|(_, mint)| mint);
        let own = mint.filter(|mint| mint.previous_is_orphan).and_then(|mint| mint.previous);
        let mut orphans = mint.into_iter().flat_map(|mint| &mint.orphans).chain(&own);
        let members = &self.run.lineage.members;
        let new_token = usize::from(self.new_token_is_valid());
        let mut is_orphan = |index: usize| orphans.any(|orphan| orphan + new_token == index);
        let mut older = self.token()? + 1..members.len();
        let previous = older.find(|index| members[*index].is_live(now) && !is_orphan(*index))?;
        Some(self.end(&members[previous], now))
    }

    /// Until when a token can be used, as far as crossfade decides it.
    fn end(&self, member: &Member, now: Timestamp) -> TokenEnd {
        let token = &member.token;
        let valid_until = if !self.context.dry_run && self.run.retired.contains(&token.id) {
            Some(now)
        } else {
            // The provider ends it, or a later run does: whichever comes first.
            [token.expires_at, self.retired_from(token, now)].into_iter().flatten().min()
        };
        TokenEnd { id: token.id.clone(), valid_until }
    }

    /// Every token that is valid, or was until this run.
    fn token_spans(&self) -> Vec<TokenSpan> {
        let Some(now) = self.run.now else { return Vec::new() };
        let RotationRun { lineage, observations, retired, .. } = self.run;
        let input = self.plan_input(now);
        let waiting = plan::waiting(&input, lineage, observations);
        let holders: Vec<Holder> =
            observations.iter().map(|observation| lineage.holder(observation)).collect();
        let has_ended = |member: &Member| member.token.expires_at.is_some_and(|end| end <= now);
        let span = |(index, member): (usize, &Member)| {
            let was_ended = !self.context.dry_run && retired.contains(&member.token.id);
            let ends_at = if was_ended { Some(now) } else { member.token.expires_at };
            let retirement = waiting.iter().find(|one| one.member == index && !was_ended);
            TokenSpan {
                id: member.token.id.clone(),
                minted_at: member.minted_at(),
                ends_at,
                retire_at: retirement
                    .map(|one| one.from)
                    .filter(|from| ends_at.is_none_or(|end| end > *from)),
                disabled: member.token.disabled,
                marked: member.marker.is_some(),
                held_by: holders.iter().filter(|holder| **holder == Holder::Member(index)).count(),
            }
        };
        let shown = |(index, member): &(usize, &Member)| !has_ended(member) || self.token() == Some(*index);
        lineage.members.iter().enumerate().filter(shown).map(span).collect()
    }

    /// What breaks when the previous token has no overlap.
    fn emergency(&self) -> Option<String> {
        if !self.rotation.policy.overlap.duration().is_zero() {
            return None;
        }
        if self.context.dry_run {
            let old = self.mint()?.1.previous?;
            let id = &self.run.lineage.members[old].token.id;
            return Some(format!(
                "with an overlap of 0h, token {id} is ended as soon as every destination has confirmed its \
                 successor: runs and jobs that are queued or at work then still carry it, and fail. Start them again"
            ));
        }
        let old = self.run.delivery.as_ref()?.previous.as_ref()?;
        let id = &old.id;
        if self.run.retired.contains(id) {
            return Some(format!(
                "token {id} was ended at once, as an overlap of 0h asks for: runs and jobs that were queued or at \
                 work before this still carry it, and fail. Start them again"
            ));
        }
        let until = old.expires_at.map(|end| format!(" until {end:.0}")).unwrap_or_default();
        let holders = self.possible_holders(id)?;
        let why = if holders.is_empty() {
            format!("No secret of this rotation holds it any more. {}", self.way_to_end(old))
        } else {
            let holders = super::error::some(&holders);
            format!("{holders} may still hold it. A run ends it once every secret holds a newer token")
        };
        Some(format!(
            "token {id} was NOT ended at once, although the overlap is 0h. It is valid{until}. {why}"
        ))
    }

    /// The destinations that may hold a token of this rotation. While there is one,
    /// no advice says to end the token.
    fn possible_holders(&self, id: &str) -> Option<Vec<String>> {
        let RotationRun { lineage, observations, .. } = self.run;
        let member = lineage.members.iter().position(|member| member.token.id == id)?;
        let input = self.plan_input(self.run.now?);
        let secrets = self.rotation.secrets.iter().zip(observations);
        let may_hold =
            secrets.filter(|(_, observation)| plan::may_hold(&input, lineage, observation, member));
        Some(may_hold.map(|(secret, _)| secret.destination.to_string()).collect())
    }

    /// How a user ends a token that no destination can hold.
    fn way_to_end(&self, token: &Token) -> String {
        if self.session.provider.could_be_value_of(token, &self.session.credential) {
            let variable = &self.rotation.provider.credential;
            return format!("It may be the credential in use: put another one into {variable} and run again");
        }
        "The next run tries again; or end it at the provider by hand".to_owned()
    }

    /// When a later run retires a token, unless it must wait for something else.
    fn retired_from(&self, token: &Token, now: Timestamp) -> Option<Timestamp> {
        let RotationRun { lineage, observations, .. } = self.run;
        let input = self.plan_input(now);
        let member = lineage.members.iter().rposition(|member| member.token.id == token.id)?;
        plan::waiting(&input, lineage, observations)
            .iter()
            .find(|one| one.member == member)
            .map(|one| one.from)
    }

    fn planned(&self) -> Option<PlannedMint> {
        let (_, mint) = self.mint().filter(|_| self.context.dry_run)?;
        let now = self.run.now?;
        let input = self.plan_input(now);
        let old = mint.previous.map(|index| &self.run.lineage.members[index]);
        let overlap = after(now, self.rotation.policy.overlap.duration());
        let at_once = self.rotation.policy.overlap.duration().is_zero();
        Some(PlannedMint {
            expires_at: (input.profile.expiry == Expiry::Native)
                .then(|| after(now, self.rotation.policy.lifetime.duration())),
            previous_valid_until: old.map(|old| {
                // An overlap of nothing is ended explicitly, after the last delivery.
                let overlap = if at_once { now } else { overlap };
                let ends_at =
                    plan::previous_ends_at(&input, now, self.context.ahead(self.session.peer), mint, old);
                let ends_at = ends_at.filter(|_| !at_once);
                ends_at.unwrap_or_else(|| old.token.expires_at.map_or(overlap, |end| end.min(overlap)))
            }),
        })
    }

    /// Whether the next run mints, forced or not: as things are, or because a
    /// destination did not take the new token.
    fn next_run_mints(&self) -> bool {
        let RotationRun { now: Some(now), lineage, observations, delivery, .. } = self.run else {
            return false;
        };
        let profile = self.session.provider.profile();
        let input = PlanInput { rotation: self.rotation, profile, now: *now, force: false };
        let lacks_it = |write: &Write| !matches!(write, Write::Written);
        self.new_token_is_valid() && delivery.iter().any(|delivery| delivery.writes.iter().any(lacks_it))
            || plan::next_run_mints(&input, lineage, observations, self.token())
    }

    fn destination(&self, index: usize) -> DestinationReport {
        let name = self.rotation.secrets[index].destination.to_string();
        let observation = self.run.observations.get(index);
        let first_observation = self.run.first_observations.get(index);
        let write = self.run.delivery.as_ref().and_then(|delivery| delivery.writes.get(index));
        let holder = self.run.holder(index);
        let (outcome, error) = match (write, first_observation, observation) {
            (Some(Write::Written), ..) => (DestinationOutcome::Written, None),
            (Some(Write::Failed { why, .. }), ..) => (DestinationOutcome::Failed, Some(why.clone())),
            (_, None, _) => (DestinationOutcome::NotRead, None),
            (_, Some(Observation::Unreadable(why)), _) => (DestinationOutcome::NotRead, Some(why.clone())),
            // It was read, and could not be prepared.
            (_, _, Some(Observation::Unreadable(why))) => (DestinationOutcome::Failed, Some(why.clone())),
            _ if self.context.dry_run && !self.context.read_only && self.mint().is_some() => {
                (DestinationOutcome::Planned, None)
            }
            _ => match (holder, self.token()) {
                (Holder::Member(held), Some(token)) if held == token => (DestinationOutcome::Held, None),
                _ => (DestinationOutcome::Unknown, None),
            },
        };
        let mut report = DestinationReport::new(name, outcome);
        report.state = match (write, holder) {
            (Some(Write::Written), _) => SecretState::Current,
            (Some(Write::Failed { refused: false, .. }), _) => SecretState::Unknown,
            _ if outcome == DestinationOutcome::NotRead => SecretState::NotRead,
            (_, Holder::Member(held)) if self.token() == Some(held) => SecretState::Current,
            (_, Holder::Member(_)) => SecretState::Previous,
            (_, Holder::Nothing) => SecretState::Missing,
            (_, Holder::Unknown) => SecretState::Unknown,
        };
        report.settings_path = self.rotation.secrets[index].destination.settings_path();
        report.error = error;
        report.updated_at = match (observation, first_observation) {
            (Some(Observation::UpdatedAt(at)), _) => Some(*at),
            (Some(Observation::Unreadable(_)), Some(Observation::UpdatedAt(at)))
                if !matches!(write, Some(Write::Failed { .. })) =>
            {
                Some(*at)
            }
            (Some(Observation::Missing | Observation::Unreadable(_)) | None, _) => None,
        };
        if let (Holder::Member(held), Some(now)) = (holder, self.run.now)
            && (self.token() != Some(held) || outcome == DestinationOutcome::Planned)
        {
            report.holds = Some(self.end(&self.run.lineage.members[held], now));
        }
        report
    }
}

fn reason(verdict: Verdict) -> Reason {
    match verdict {
        Verdict::Fresh => Reason::Fresh,
        Verdict::Due => Reason::Due,
        Verdict::Forced => Reason::Forced,
        Verdict::Undelivered => Reason::Undelivered,
        Verdict::InFlight => Reason::InFlight,
        Verdict::Missing => Reason::Missing,
    }
}
