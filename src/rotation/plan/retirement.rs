//! Decides when a previous token is retired.

use jiff::Timestamp;

use super::Situation;
use crate::config::Policy;
use crate::provider::RetireAction;
use crate::rotation::lineage::{Member, TOLERANCE, after};
use crate::rotation::secret::Holder;
use crate::rotation::trust::Support;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retirement {
    pub(crate) token: String,
    pub(crate) action: RetireAction,
    pub(crate) from: Timestamp,
    /// The evidence that every destination holds a newer token.
    pub(crate) support: Support,
    /// When it was last used, if that was after every destination had its successor: a
    /// copy is in use elsewhere, or a job waited long.
    pub(crate) used_at: Option<Timestamp>,
}

impl Situation<'_> {
    /// Previous tokens to retire now or later: they belong to this rotation, no destination
    /// can hold them, and a valid token replaced them.
    pub(crate) fn retirements(&self) -> Vec<Retirement> {
        self.lineage.members.iter().filter_map(|member| self.retirement(member)).collect()
    }

    /// Those of them whose time has come.
    pub(crate) fn retirements_now(&self) -> Vec<Retirement> {
        let mut retirements = self.retirements();
        retirements.retain(|one| one.from <= self.input.now);
        retirements
    }

    fn retirement(&self, member: &Member) -> Option<Retirement> {
        let Policy { overlap, delete_after, .. } = self.input.rotation.policy;
        let (replaced_at, support) = self.replaced(member)?;
        let token = &member.token;
        let expired_at = token.expires_at.filter(|end| *end <= self.input.now);
        if support == Support::None && expired_at.is_none() {
            return None;
        }
        let overlap_ends_at = after(replaced_at, overlap.duration());
        // A user who enables it again needs it; and it is kept as long as announced when
        // it was disabled, however late that was.
        let changed_at = token.changed_at.unwrap_or(replaced_at);
        let (action, from) = match (expired_at, self.input.profile.can_disable, token.disabled) {
            // An ended token is deleted only if the user asks for it.
            (Some(expired_at), ..) => (RetireAction::Delete, after(expired_at, delete_after?.duration())),
            (None, true, false) => {
                (RetireAction::Disable, overlap_ends_at.max(after(changed_at, overlap.duration())))
            }
            (None, true, true) => {
                let kept_for = self.input.rotation.policy.delete_disabled_after();
                (RetireAction::Delete, after(overlap_ends_at.max(changed_at), kept_for.duration()))
            }
            (None, false, _) => (RetireAction::Delete, overlap_ends_at),
        };
        let used_at = token.last_used_at.filter(|used_at| expired_at.is_none() && *used_at > replaced_at);
        Some(Retirement { token: member.id(), action, from, support, used_at })
    }

    /// Previous tokens to give an expiry, because they would otherwise stay valid after
    /// their overlap. `from` is the expiry to set.
    pub(crate) fn expiries_to_set(&self) -> Vec<Retirement> {
        if !self.input.profile.can_set_expiry {
            return Vec::new();
        }
        let outlives = |one: &Retirement| {
            // The run that set it went by the time of its writes, this one by GitHub's records.
            let latest = after(one.from, TOLERANCE);
            let member = self.lineage.get(&one.token);
            member.is_some_and(|member| member.token.expires_at.is_none_or(|end| end > latest))
        };
        let mut retirements = self.retirements();
        retirements.retain(|one| self.input.now < one.from && outlives(one));
        retirements
    }

    /// Live previous tokens that are not retired because nothing but an unsigned marker
    /// says that they were replaced.
    pub(crate) fn withheld(&self) -> Vec<String> {
        let is_withheld = |member: &&Member| {
            member.is_live(self.input.now)
                && self.replaced(member).is_some_and(|(_, support)| support == Support::None)
        };
        self.lineage.members.iter().filter(is_withheld).map(Member::id).collect()
    }

    /// When the last destination took a successor of a token that no destination holds any
    /// more, and the evidence for it; `None`: it must not be retired, or was by the user.
    fn replaced(&self, member: &Member) -> Option<(Timestamp, Support)> {
        let is_gone = member.token.disabled && !self.input.profile.can_disable;
        // Without the trusted token, the comparison that it ended would begin anew.
        let is_needed = !self.lineage.ignored.is_empty()
            && Some(&member.token.id) == self.input.rotation.trusted.as_ref();
        if is_gone || is_needed || !self.lineage.is_ours(self.input.rotation, member) {
            return None;
        }
        let mut last: Option<(Timestamp, Support)> = None;
        for holder in &self.holders {
            match *holder {
                Holder::Token(held, written) if self.lineage.is_newer(held, member) => {
                    let support = self.support(held, member);
                    let (known_at, known_support) = last.unwrap_or((Timestamp::MIN, support));
                    // A successor that has ended replaces nothing.
                    let written = if held.is_live(self.input.now) { written } else { Timestamp::MIN };
                    last = Some((known_at.max(written), known_support.min(support)));
                }
                holder if self.may_hold(holder, member) => return None,
                _ => {}
            }
        }
        last.filter(|(at, _)| *at > Timestamp::MIN)
    }
}
