//! What is reported of a rotation: the truth, as far as it is known.
//!
//! Turns a [`Story`] into a [`RotationReport`]; how that is printed is decided in
//! [`crate::report`].

use jiff::Timestamp;

use super::Tools;
use super::advice::advice;
use super::apply::{Story, Write};
use super::lineage::{Holder, Member, Reading, after};
use super::plan::{self, Circumstances, Plan, Step, Verdict};
use super::session::Session;
use super::trouble::Trouble;
use crate::config::Rotation;
use crate::provider::{Expiry, Probe, Token};
use crate::report::{
    DestinationOutcome, DestinationReport, PlannedMint, ProbeOutcome, Reason, RotationOutcome,
    RotationReport, TokenEnd, TokenLife, TokenReport,
};

/// Tells a story's end.
pub(super) fn report(
    rotation: &Rotation,
    session: &Session,
    story: Story,
    tools: &Tools<'_>,
) -> RotationReport {
    let teller = Teller { rotation, session, story: &story, tools };
    let mut report = RotationReport::new(&rotation.name, rotation.provider.kind.to_string());
    if let Some(plan) = &story.plan {
        report.reason = Some(reason(plan.verdict));
        report.reason_text = Some(plan.why.clone());
    }
    report.outcome = teller.outcome();
    let token = teller.token().map(|index| &story.lineage.members[index]);
    report.token = token.map(|member| TokenReport {
        id: member.token.id.clone(),
        name: super::marker::strip(&member.token.name),
        expires_at: member.token.expires_at,
    });
    report.previous = teller.previous();
    report.planned = teller.planned();
    report.probe = match &story.delivery {
        Some(delivery) if delivery.probe == Probe::Verified => ProbeOutcome::Verified,
        Some(_) => ProbeOutcome::Unverified,
        None => ProbeOutcome::Skipped,
    };
    report.destinations = (0..rotation.secrets.len()).map(|index| teller.destination(index)).collect();
    report.next_rotation_at = token
        .filter(|_| !teller.next_run_mints())
        .and_then(|member| plan::next_rotation_at(rotation.policy, session.provider.profile(), member));
    if let Some(Trouble::HeldBack { until, .. }) = &story.trouble {
        report.next_rotation_at = Some(*until);
    }
    report.error = story.trouble.as_ref().map(ToString::to_string);
    report.next_step = story.trouble.as_ref().map(|trouble| advice(rotation, &story, trouble));
    report.tokens = teller.lives();
    let emergency = teller.emergency();
    report.retired = story.retired;
    report.warnings = story.warnings;
    report.warnings.extend(emergency);
    report
}

struct Teller<'a> {
    rotation: &'a Rotation,
    session: &'a Session,
    story: &'a Story,
    tools: &'a Tools<'a>,
}

impl Teller<'_> {
    fn outcome(&self) -> RotationOutcome {
        let mints = self.mint().is_some();
        match self.story {
            Story { trouble: Some(_), .. } => RotationOutcome::Failed,
            story if self.tools.dry_run && (mints || !story.retired.is_empty()) => RotationOutcome::Planned,
            Story { delivery: Some(_), .. } => RotationOutcome::Rotated,
            _ => RotationOutcome::Fresh,
        }
    }

    /// What the plan was made for; whether it was forced does not matter here.
    fn circumstances(&self, now: Timestamp) -> Circumstances<'_> {
        let profile = self.session.provider.profile();
        Circumstances { rotation: self.rotation, profile, now, force: false }
    }

    fn mint(&self) -> Option<(&Plan, &plan::MintPlan)> {
        match &self.story.plan {
            Some(plan @ Plan { step: Step::Mint(mint), .. }) => Some((plan, mint)),
            _ => None,
        }
    }

    fn newborn_lives(&self) -> bool {
        self.story.delivery.as_ref().is_some_and(|delivery| !delivery.withdrawn)
    }

    /// The token that destinations should hold now: the newborn if it lives.
    fn token(&self) -> Option<usize> {
        if self.newborn_lives() { Some(0) } else { self.story.plan.as_ref()?.current }
    }

    /// The one before it, if it still lives or lived until this run: what jobs at work
    /// may carry, so not an orphan, which nobody ever had.
    fn previous(&self) -> Option<TokenEnd> {
        let now = self.story.now?;
        let mint = self.mint().map(|(_, mint)| mint);
        let own = mint.filter(|mint| mint.predecessor_is_orphan).and_then(|mint| mint.predecessor);
        let mut orphans = mint.into_iter().flat_map(|mint| &mint.orphans).chain(&own);
        let members = &self.story.lineage.members;
        let newborn = usize::from(self.newborn_lives());
        let mut is_orphan = |index: usize| orphans.any(|orphan| orphan + newborn == index);
        let mut older = self.token()? + 1..members.len();
        let previous = older.find(|index| members[*index].is_live(now) && !is_orphan(*index))?;
        Some(self.end(&members[previous], now))
    }

    /// Until when a token can be used, as far as crossfade has a say in it.
    fn end(&self, member: &Member, now: Timestamp) -> TokenEnd {
        let token = &member.token;
        let valid_until = if !self.tools.dry_run && self.story.retired.contains(&token.id) {
            Some(now)
        } else {
            // The provider ends it, or a later run does: whichever comes first.
            [token.expires_at, self.retired_from(token, now)].into_iter().flatten().min()
        };
        TokenEnd { id: token.id.clone(), valid_until }
    }

    /// Every token that lives, or lived until this run.
    fn lives(&self) -> Vec<TokenLife> {
        let Some(now) = self.story.now else { return Vec::new() };
        let Story { lineage, readings, retired, .. } = self.story;
        let at = self.circumstances(now);
        let waiting = plan::waiting(&at, lineage, readings);
        let holders: Vec<Holder> = readings.iter().map(|reading| lineage.holder(reading)).collect();
        let has_ended = |member: &Member| member.token.expires_at.is_some_and(|end| end <= now);
        let life = |(index, member): (usize, &Member)| {
            let was_ended = !self.tools.dry_run && retired.contains(&member.token.id);
            let ends_at = if was_ended { Some(now) } else { member.token.expires_at };
            let retirement = waiting.iter().find(|one| one.member == index && !was_ended);
            TokenLife {
                id: member.token.id.clone(),
                minted_at: member.minted_at(),
                ends_at,
                retire_at: retirement
                    .map(|one| one.from)
                    .filter(|from| ends_at.is_none_or(|end| end > *from)),
                disabled: member.token.disabled,
                held_by: holders.iter().filter(|holder| **holder == Holder::Member(index)).count(),
            }
        };
        let shown = |(index, member): &(usize, &Member)| !has_ended(member) || self.token() == Some(*index);
        lineage.members.iter().enumerate().filter(shown).map(life).collect()
    }

    /// What breaks when the old token does not outlive the mint.
    fn emergency(&self) -> Option<String> {
        if !self.rotation.policy.overlap.duration().is_zero() {
            return None;
        }
        if self.tools.dry_run {
            let old = self.mint()?.1.predecessor?;
            let id = &self.story.lineage.members[old].token.id;
            return Some(format!(
                "with an overlap of 0h, token {id} is ended as soon as every destination has confirmed its \
                 successor: runs and jobs that are queued or at work then still carry it, and fail. Start them again"
            ));
        }
        let old = self.story.delivery.as_ref()?.predecessor.as_ref()?;
        let id = &old.id;
        if self.story.retired.contains(id) {
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
            let holders = super::trouble::some(&holders);
            format!("{holders} may still hold it. A run ends it once every secret holds a newer token")
        };
        Some(format!(
            "token {id} was NOT ended at once, although the overlap is 0h. It is valid{until}. {why}"
        ))
    }

    /// The destinations that may hold a token of this rotation. While there is one,
    /// no advice says to end the token.
    fn possible_holders(&self, id: &str) -> Option<Vec<String>> {
        let Story { lineage, readings, .. } = self.story;
        let member = lineage.members.iter().position(|member| member.token.id == id)?;
        let at = self.circumstances(self.story.now?);
        let secrets = self.rotation.secrets.iter().zip(readings);
        let may_hold = secrets.filter(|(_, reading)| plan::may_hold(&at, lineage, reading, member));
        Some(may_hold.map(|(secret, _)| secret.destination.to_string()).collect())
    }

    /// How a person ends a token that no destination can hold.
    fn way_to_end(&self, token: &Token) -> String {
        if self.session.provider.may_be(token, &self.session.credential) {
            let variable = &self.rotation.provider.credential;
            return format!("It may be the credential in use: put another one into {variable} and run again");
        }
        "The next run tries again; or end it at the provider by hand".to_owned()
    }

    /// From when on a later run ends a token, if it need not wait for anything else.
    fn retired_from(&self, token: &Token, now: Timestamp) -> Option<Timestamp> {
        let Story { lineage, readings, .. } = self.story;
        let at = self.circumstances(now);
        let member = lineage.members.iter().rposition(|member| member.token.id == token.id)?;
        plan::waiting(&at, lineage, readings).iter().find(|one| one.member == member).map(|one| one.from)
    }

    fn planned(&self) -> Option<PlannedMint> {
        let (_, mint) = self.mint().filter(|_| self.tools.dry_run)?;
        let now = self.story.now?;
        let at = self.circumstances(now);
        let old = mint.predecessor.map(|index| &self.story.lineage.members[index]);
        let overlap = after(now, self.rotation.policy.overlap.duration());
        let at_once = self.rotation.policy.overlap.duration().is_zero();
        Some(PlannedMint {
            expires_at: (at.profile.expiry == Expiry::Native)
                .then(|| after(now, self.rotation.policy.lifetime.duration())),
            previous_valid_until: old.map(|old| {
                // An overlap of nothing is ended explicitly, after the last delivery.
                let overlap = if at_once { now } else { overlap };
                let ends_at =
                    plan::predecessor_ends_at(&at, now, self.tools.ahead(self.session.side), mint, old);
                let ends_at = ends_at.filter(|_| !at_once);
                ends_at.unwrap_or_else(|| old.token.expires_at.map_or(overlap, |end| end.min(overlap)))
            }),
        })
    }

    /// Whether the next run mints, forced or not: as things are, or because a
    /// destination did not take the new token.
    fn next_run_mints(&self) -> bool {
        let Story { now: Some(now), lineage, readings, delivery, .. } = self.story else { return false };
        let profile = self.session.provider.profile();
        let at = Circumstances { rotation: self.rotation, profile, now: *now, force: false };
        let lacks_it = |write: &Write| !matches!(write, Write::Written);
        self.newborn_lives() && delivery.iter().any(|delivery| delivery.writes.iter().any(lacks_it))
            || plan::next_run_mints(&at, lineage, readings, self.token())
    }

    fn destination(&self, index: usize) -> DestinationReport {
        let name = self.rotation.secrets[index].destination.to_string();
        let reading = self.story.readings.get(index);
        let first_reading = self.story.first_readings.get(index);
        let write = self.story.delivery.as_ref().and_then(|delivery| delivery.writes.get(index));
        let holder = self.story.holder(index);
        let (outcome, error) = match (write, first_reading, reading) {
            (Some(Write::Written), ..) => (DestinationOutcome::Written, None),
            (Some(Write::Failed { why, .. }), ..) => (DestinationOutcome::Failed, Some(why.clone())),
            (_, None, _) => (DestinationOutcome::NotRead, None),
            (_, Some(Reading::Unreadable(why)), _) => (DestinationOutcome::NotRead, Some(why.clone())),
            // It was read, and could not be prepared.
            (_, _, Some(Reading::Unreadable(why))) => (DestinationOutcome::Failed, Some(why.clone())),
            _ if self.tools.dry_run && !self.tools.look_only && self.mint().is_some() => {
                (DestinationOutcome::Planned, None)
            }
            _ => match (holder, self.token()) {
                (Holder::Member(held), Some(token)) if held == token => (DestinationOutcome::Held, None),
                _ => (DestinationOutcome::Unknown, None),
            },
        };
        let mut report = DestinationReport::new(name, outcome);
        report.error = error;
        report.updated_at = match (reading, first_reading) {
            (Some(Reading::UpdatedAt(at)), _) => Some(*at),
            (Some(Reading::Unreadable(_)), Some(Reading::UpdatedAt(at)))
                if !matches!(write, Some(Write::Failed { .. })) =>
            {
                Some(*at)
            }
            (Some(Reading::Missing | Reading::Unreadable(_)) | None, _) => None,
        };
        if let (Holder::Member(held), Some(now)) = (holder, self.story.now)
            && (self.token() != Some(held) || outcome == DestinationOutcome::Planned)
        {
            report.holds = Some(self.end(&self.story.lineage.members[held], now));
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
