//! When a previous token is ended: pure, like the rest of the plan.

use jiff::Timestamp;

use super::super::lineage::{Holder, Lineage, Reading, after};
use super::{Circumstances, may_hold};
use crate::config::Policy;
use crate::provider::Ending;

/// A previous token to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retirement {
    /// Index in the lineage.
    pub member: usize,
    /// How it is ended.
    pub ending: Ending,
    /// From when on.
    pub from: Timestamp,
}

/// Previous tokens that can be ended now: those that [wait](waiting), their
/// overlap over.
#[must_use]
pub fn retirements(at: &Circumstances<'_>, lineage: &Lineage, readings: &[Reading]) -> Vec<Retirement> {
    waiting(at, lineage, readings).into_iter().filter(|one| at.now >= one.from).collect()
}

/// Previous tokens that are to be ended now or later: ours, held by no destination
/// and by no unknown one, replaced by a token that lives.
#[must_use]
pub fn waiting(at: &Circumstances<'_>, lineage: &Lineage, readings: &[Reading]) -> Vec<Retirement> {
    let Policy { overlap, delete_after, .. } = at.rotation.policy;
    let retirement = |member: usize| {
        let ended_at = after(replaced_at(at, lineage, readings, member)?, overlap.duration());
        let is_disabled = lineage.members[member].token.disabled;
        let (ending, from) = match (at.profile.can_disable, is_disabled) {
            (true, false) => (Ending::Disable, ended_at),
            (true, true) => (Ending::Delete, after(ended_at, delete_after.duration())),
            (false, _) => (Ending::Delete, ended_at),
        };
        Some(Retirement { member, ending, from })
    };
    (0..lineage.members.len()).filter_map(retirement).collect()
}

/// When a previous token was last used, if that was after the last destination
/// took its successor: somebody else still has it, or a job that waited long.
#[must_use]
pub fn used_since_replaced(
    at: &Circumstances<'_>,
    lineage: &Lineage,
    readings: &[Reading],
    member: usize,
) -> Option<Timestamp> {
    let replaced_at = replaced_at(at, lineage, readings, member)?;
    lineage.members[member].token.last_used_at.filter(|used_at| *used_at > replaced_at)
}

/// When the last destination took a successor of a token that nobody holds any
/// more; `None`: it must not be ended, or has ended by itself.
fn replaced_at(
    at: &Circumstances<'_>,
    lineage: &Lineage,
    readings: &[Reading],
    member: usize,
) -> Option<Timestamp> {
    let candidate = &lineage.members[member];
    let has_ended = candidate.token.expires_at.is_some_and(|end| end <= at.now);
    let is_gone = has_ended || (candidate.token.disabled && !at.profile.can_disable);
    // A token that was given a new value in place is its own successor.
    let is_its_successor = lineage.members[..member].iter().any(|m| m.token.id == candidate.token.id);
    if is_gone || is_its_successor || !lineage.is_ours(at.rotation, member) {
        return None;
    }
    let mut last = None;
    for reading in readings {
        if may_hold(at, lineage, reading, member) {
            return None;
        }
        if let (Reading::UpdatedAt(written), Holder::Member(held)) = (reading, lineage.holder(reading))
            && held < member
            && lineage.members[held].is_live(at.now)
        {
            last = last.max(Some(*written));
        }
    }
    last
}
