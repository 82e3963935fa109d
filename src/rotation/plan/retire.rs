//! Decides when a previous token is retired.

use jiff::Timestamp;

use super::super::lineage::{Holder, Lineage, Observation, TOLERANCE, after};
use super::super::trust::Support;
use super::{PlanInput, may_hold, support};
use crate::config::Policy;
use crate::provider::Ending;

/// A previous token to retire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retirement {
    /// Index in the lineage.
    pub member: usize,
    /// Whether to disable or delete it.
    pub ending: Ending,
    /// The earliest time.
    pub from: Timestamp,
    /// The evidence that every destination holds a newer token.
    pub support: Support,
}

/// Previous tokens that can be ended now: those that [wait](waiting), their
/// overlap over.
#[must_use]
pub fn retirements(
    input: &PlanInput<'_>,
    lineage: &Lineage,
    observations: &[Observation],
) -> Vec<Retirement> {
    waiting(input, lineage, observations).into_iter().filter(|one| input.now >= one.from).collect()
}

/// Previous tokens to retire now or later: they belong to this rotation, no destination
/// can hold them, and a valid token replaced them.
#[must_use]
pub fn waiting(input: &PlanInput<'_>, lineage: &Lineage, observations: &[Observation]) -> Vec<Retirement> {
    let Policy { overlap, delete_after, .. } = input.rotation.policy;
    let retirement = |member: usize| {
        let Replaced { at: replaced_at, support } = replaced(input, lineage, observations, member)?;
        let expired_at = expired_at(input, lineage, member);
        if support == Support::None && expired_at.is_none() {
            return None;
        }
        let token = &lineage.members[member].token;
        let overlap_ends_at = after(replaced_at, overlap.duration());
        // A user who enables it again needs it; and it is kept as long as announced when
        // it was disabled, however late that was.
        let changed_at = token.changed_at.unwrap_or(replaced_at);
        let (ending, from) = match (expired_at, input.profile.can_disable, token.disabled) {
            // An ended token is deleted only if the user asks for it.
            (Some(expired_at), ..) => (Ending::Delete, after(expired_at, delete_after?.duration())),
            (None, true, false) => {
                (Ending::Disable, overlap_ends_at.max(after(changed_at, overlap.duration())))
            }
            (None, true, true) => {
                let kept_for = input.rotation.policy.delete_disabled_after();
                (Ending::Delete, after(overlap_ends_at.max(changed_at), kept_for.duration()))
            }
            (None, false, _) => (Ending::Delete, overlap_ends_at),
        };
        Some(Retirement { member, ending, from, support })
    };
    (0..lineage.members.len()).filter_map(retirement).collect()
}

/// Previous tokens to give an expiry: those that [wait](waiting) and would otherwise
/// stay valid after their overlap. `from` is the expiry to set.
#[must_use]
pub fn expiries_to_set(
    input: &PlanInput<'_>,
    lineage: &Lineage,
    observations: &[Observation],
) -> Vec<Retirement> {
    if !input.profile.can_set_expiry {
        return Vec::new();
    }
    let outlives = |one: &Retirement| {
        // The run that set it went by the time of its writes, this one by GitHub's records.
        let latest = after(one.from, TOLERANCE);
        lineage.members[one.member].token.expires_at.is_none_or(|end| end > latest)
    };
    waiting(input, lineage, observations)
        .into_iter()
        .filter(|one| input.now < one.from && outlives(one))
        .collect()
}

/// When a previous token was last used, if that was after every destination had its
/// successor: a copy is in use elsewhere, or a job waited long.
#[must_use]
pub fn used_since_replaced(
    input: &PlanInput<'_>,
    lineage: &Lineage,
    observations: &[Observation],
    member: usize,
) -> Option<Timestamp> {
    let replaced_at = replaced(input, lineage, observations, member)?.at;
    if expired_at(input, lineage, member).is_some() {
        return None;
    }
    lineage.members[member].token.last_used_at.filter(|used_at| *used_at > replaced_at)
}

/// Live previous tokens that are not ended because nothing but an unsigned marker says
/// that they were replaced.
#[must_use]
pub fn withheld(input: &PlanInput<'_>, lineage: &Lineage, observations: &[Observation]) -> Vec<usize> {
    let is_withheld = |member: &usize| {
        lineage.members[*member].is_live(input.now)
            && replaced(input, lineage, observations, *member)
                .is_some_and(|replaced| replaced.support == Support::None)
    };
    (0..lineage.members.len()).filter(is_withheld).collect()
}

/// When every destination held a newer token, and the evidence for it.
struct Replaced {
    at: Timestamp,
    support: Support,
}

/// When the last destination took a successor of a token that no destination holds
/// any more; `None`: it must not be ended, or was ended by hand.
fn replaced(
    input: &PlanInput<'_>,
    lineage: &Lineage,
    observations: &[Observation],
    member: usize,
) -> Option<Replaced> {
    let candidate = &lineage.members[member];
    let is_gone = candidate.token.disabled && !input.profile.can_disable;
    // Without the trusted token, the comparison that it ended would begin anew.
    let is_needed =
        !lineage.ignored.is_empty() && Some(&candidate.token.id) == input.rotation.trusted.as_ref();
    if is_gone || is_needed || !lineage.is_ours(input.rotation, member) {
        return None;
    }
    let mut last: Option<Replaced> = None;
    for observation in observations {
        match (observation, lineage.holder(observation)) {
            (Observation::UpdatedAt(written), Holder::Member(held)) if held < member => {
                let support = support(input, lineage, held, member);
                let known = last.take().unwrap_or(Replaced { at: Timestamp::MIN, support });
                // A successor that has ended replaces nothing.
                let written =
                    if lineage.members[held].is_live(input.now) { *written } else { Timestamp::MIN };
                last = Some(Replaced { at: known.at.max(written), support: known.support.min(support) });
            }
            _ if may_hold(input, lineage, observation, member) => return None,
            _ => {}
        }
    }
    last.filter(|replaced| replaced.at > Timestamp::MIN)
}

/// When the provider ended a token by itself.
fn expired_at(input: &PlanInput<'_>, lineage: &Lineage, member: usize) -> Option<Timestamp> {
    lineage.members[member].token.expires_at.filter(|end| *end <= input.now)
}
