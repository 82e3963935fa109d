//! Everything that a plan is made of, and what follows from it.

use jiff::SignedDuration;

use super::PlanInput;
use crate::provider::Token;
use crate::rotation::lineage::{Lineage, Member, after};
use crate::rotation::secret::{Holder, Secret};
use crate::rotation::trust::{self, Support};

pub(crate) struct Situation<'a> {
    pub(crate) input: PlanInput<'a>,
    pub(crate) lineage: &'a Lineage,
    /// In the order of the rotation's secrets, like the holders.
    pub(crate) secrets: &'a [Secret],
    pub(crate) holders: Vec<Holder<'a>>,
}

impl<'a> Situation<'a> {
    pub(crate) fn new(input: PlanInput<'a>, lineage: &'a Lineage, secrets: &'a [Secret]) -> Self {
        let holders = secrets.iter().map(|secret| lineage.holder(secret)).collect();
        Self { input, lineage, secrets, holders }
    }

    /// The newest token, except ended ones that no destination received. Where markers are
    /// signed, only a signed one counts.
    pub(super) fn current(&self) -> Option<&'a Member> {
        let is_leftover = |member: &&Member| !member.is_live(self.input.now) && self.never_held(member);
        let mut counting = self.lineage.members.iter().filter(|member| self.counts(member));
        let newest = counting.clone().next();
        counting.find(|member| !is_leftover(member)).or(newest)
    }

    fn counts(&self, member: &Member) -> bool {
        member.is_proven || !self.lineage.is_signed
    }

    /// Whether no destination ever held this token.
    fn never_held(&self, member: &Member) -> bool {
        member.marker.is_some() && self.holders.iter().all(|holder| holder.never_was(member))
    }

    /// The orphans according to the timestamps: live tokens newer than every delivered
    /// one that no destination received. A missing secret proves nothing (it may have
    /// been deleted or renamed), and neither do secrets that no earlier token of the
    /// rotation was written to, if there is one: the list of destinations may have
    /// changed.
    pub(super) fn orphans(&self) -> Vec<&'a Member> {
        let members = &self.lineage.members;
        let count = members.iter().take_while(|member| self.never_held(member)).count();
        let (unreceived, received) = members.split_at(count);
        let is_there = |holder: &Holder<'_>| holder.written_at().is_some();
        let is_delivered = |holder: &Holder<'_>| received.iter().any(|member| holder.is(member));
        let newest_run = members.first().and_then(Member::run);
        let is_first = members.iter().all(|other| other.marker.is_none() || other.run() == newest_run);
        if !self.holders.iter().all(is_there) || !(is_first || self.holders.iter().any(is_delivered)) {
            return Vec::new();
        }
        unreceived.iter().filter(|member| member.is_live(self.input.now)).collect()
    }

    /// The token that the new one copies, and that a native overlap ends: a live one, if
    /// there is one, because an ended token may be forged. A token that only shares the
    /// original's name is not used unless it is the only one.
    pub(super) fn token_to_replace(
        &self,
        orphans: &[&Member],
        current: Option<&'a Member>,
    ) -> Option<&'a Member> {
        let is_fit = |member: &&Member| {
            member.is_live(self.input.now)
                && self.lineage.is_ours(self.input.rotation, member)
                && self.counts(member)
        };
        // A creation needs no orphan, so orphans can be ended before it.
        let is_wanted = |member: &&Member| {
            self.input.profile.has_native_overlap || !orphans.iter().any(|orphan| orphan.is(member))
        };
        let fit = || self.lineage.members.iter().filter(is_fit);
        fit().find(is_wanted).or_else(|| fit().next()).or(current)
    }

    /// Ended tokens that a destination may hold although a live token claims it: the live
    /// one may be forged. An ended token newer than the original is no reason to doubt the
    /// original, unless only its name says that it is the original.
    pub(super) fn ended_to_compare(&self) -> Vec<&'a Member> {
        let Self { input, lineage, holders, .. } = self;
        let Some(newest) = lineage.members.iter().find(|member| member.is_live(input.now)) else {
            return Vec::new();
        };
        let is_original = newest.marker.is_none() && lineage.is_ours(input.rotation, newest);
        let is_doubtful = |member: &&Member| {
            if lineage.is_newer(member, newest) {
                !is_original && member.marker.is_some() && !self.never_held(member)
            } else {
                holders
                    .iter()
                    .any(|holder| lineage.is_claimed(*holder, input.now) && self.may_hold(*holder, member))
            }
        };
        lineage.members.iter().filter(|member| !member.is_live(input.now)).filter(is_doubtful).collect()
    }

    /// Whether a destination may hold this token. `false` only when that is certain: it
    /// holds another one, on more evidence than that one's own marker, or it was last
    /// written before this one was minted.
    pub(crate) fn may_hold(&self, holder: Holder<'_>, member: &Member) -> bool {
        match holder.token().filter(|held| self.lineage.is_newer(held, member)) {
            Some(newer) => self.support(newer, member) == Support::None,
            None => holder.may_be(member),
        }
    }

    /// What supports the claim that one token replaced an older one.
    pub(super) fn support(&self, successor: &Member, previous: &Member) -> Support {
        trust::support(self.lineage, self.input, successor, previous)
    }

    /// The valid tokens that each of these destinations may hold, if it could be read.
    fn live_holdings<'b>(
        &'b self,
        holders: impl Iterator<Item = &'b Holder<'b>>,
    ) -> impl Iterator<Item = Vec<&'b Token>> {
        holders.filter(|holder| holder.written_at().is_some()).map(|holder| {
            let live = self.lineage.members.iter().filter(|member| member.is_live(self.input.now));
            live.filter(|member| self.may_hold(*holder, member)).map(|member| &member.token).collect()
        })
    }

    /// Whether a live token that one of these destinations may hold ends within this time.
    pub(super) fn would_expire<'b>(
        &'b self,
        holders: impl Iterator<Item = &'b Holder<'b>>,
        within: SignedDuration,
    ) -> bool {
        let horizon = after(self.input.now, within);
        let ends = |token: &&Token| token.expires_at.is_some_and(|end| end <= horizon);
        self.live_holdings(holders).any(|tokens| tokens.iter().any(ends))
    }

    /// Whether a readable destination holds no valid token, or will hold none before the
    /// overlap is over. Then the rotation goes on although another destination is blocked.
    pub(super) fn must_be_served(&self) -> bool {
        self.live_holdings(self.holders.iter()).any(|tokens| tokens.is_empty())
            || self.would_expire(self.holders.iter(), self.input.rotation.policy.overlap.duration())
    }
}
