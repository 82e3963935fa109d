//! What is reported of a rotation: the truth, as far as it is known.
//!
//! Turns a [`Story`] into a [`RotationReport`]; how that is printed is decided in
//! [`crate::report`].

use jiff::Timestamp;

use super::advice::advice;
use super::apply::{Story, Write};
use super::lineage::{Holder, Member, Reading, after};
use super::plan::{self, Circumstances, Plan, Step, Verdict};
use super::session::Session;
use crate::config::Rotation;
use crate::provider::{Expiry, Overlap, Probe};
use crate::report::{
    DestinationOutcome, DestinationReport, PlannedMint, ProbeOutcome, Reason, RotationOutcome,
    RotationReport, TokenEnd, TokenReport,
};

/// Tells a story's end.
pub(super) fn report(rotation: &Rotation, session: &Session, story: Story, dry_run: bool) -> RotationReport {
    let teller = Teller { rotation, session, story: &story, dry_run };
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
    report.next_rotation_at =
        token.and_then(|member| plan::next_rotation_at(rotation.policy, session.provider.profile(), member));
    report.error = story.trouble.as_ref().map(ToString::to_string);
    report.next_step = story.trouble.as_ref().map(|trouble| advice(rotation, &story, trouble));
    report.retired = story.retired;
    report.warnings = story.warnings;
    report
}

struct Teller<'a> {
    rotation: &'a Rotation,
    session: &'a Session,
    story: &'a Story,
    dry_run: bool,
}

impl Teller<'_> {
    fn outcome(&self) -> RotationOutcome {
        let mints = self.mint().is_some();
        match self.story {
            Story { trouble: Some(_), .. } => RotationOutcome::Failed,
            story if self.dry_run && (mints || !story.retired.is_empty()) => RotationOutcome::Planned,
            Story { delivery: Some(_), .. } => RotationOutcome::Rotated,
            _ => RotationOutcome::Fresh,
        }
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

    /// The one before it, if it still lives or lived until this run.
    fn previous(&self) -> Option<TokenEnd> {
        let now = self.story.now?;
        let of_this_run = self.story.delivery.as_ref().filter(|delivery| !delivery.withdrawn);
        if let Some(old) = of_this_run.and_then(|delivery| delivery.predecessor.as_ref()) {
            let member = Member { token: old.clone(), marker: None };
            return Some(self.end(&member, now));
        }
        let token = self.token()?;
        let older = self.story.lineage.members.iter().skip(token + 1).find(|member| member.is_live(now))?;
        Some(self.end(older, now))
    }

    /// Until when a token can be used, as far as crossfade has a say in it.
    fn end(&self, member: &Member, now: Timestamp) -> TokenEnd {
        let token = &member.token;
        let valid_until = if !self.dry_run && self.story.retired.contains(&token.id) {
            Some(now)
        } else {
            token.expires_at
        };
        TokenEnd { id: token.id.clone(), valid_until }
    }

    fn planned(&self) -> Option<PlannedMint> {
        let (_, mint) = self.mint().filter(|_| self.dry_run)?;
        let now = self.story.now?;
        let profile = self.session.provider.profile();
        let at = Circumstances { rotation: self.rotation, profile, now, force: false };
        let old = mint.predecessor.map(|index| &self.story.lineage.members[index]);
        let overlap = after(now, self.rotation.policy.overlap.duration());
        Some(PlannedMint {
            expires_at: (profile.expiry == Expiry::Native)
                .then(|| after(now, self.rotation.policy.lifetime.duration())),
            previous_valid_until: match profile.overlap {
                Overlap::Native => old.and_then(|old| plan::predecessor_ends_at(&at, now, mint, old)),
                Overlap::AcrossRuns => {
                    old.map(|old| old.token.expires_at.map_or(overlap, |end| end.min(overlap)))
                }
            },
        })
    }

    fn destination(&self, index: usize) -> DestinationReport {
        let name = self.rotation.secrets[index].destination.to_string();
        let reading = self.story.readings.get(index);
        let write = self.story.delivery.as_ref().and_then(|delivery| delivery.writes.get(index));
        let holder = self.story.holder(index);
        let (outcome, error) = match (write, reading) {
            (Some(Write::Written), _) => (DestinationOutcome::Written, None),
            (Some(Write::Failed { why, .. }), _) | (_, Some(Reading::Unreadable(why))) => {
                (DestinationOutcome::Failed, Some(why.clone()))
            }
            _ if self.dry_run && self.mint().is_some() => (DestinationOutcome::Planned, None),
            _ => match (holder, self.token()) {
                (Holder::Member(held), Some(token)) if held == token => (DestinationOutcome::Held, None),
                _ => (DestinationOutcome::Unknown, None),
            },
        };
        let mut report = DestinationReport::new(name, outcome);
        report.error = error;
        if let (Holder::Member(held), Some(now)) = (holder, self.story.now)
            && self.token() != Some(held)
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
