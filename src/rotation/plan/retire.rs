//! Which previous tokens can be ended.

use jiff::Timestamp;

use super::{Circumstances, Retirement};
use crate::config::Policy;
use crate::provider::Ending;
use crate::rotation::lineage::{Holder, Lineage, Reading, after};

/// Previous tokens that can be ended now: ours, held by no destination and by no
/// unknown one, replaced by a token that lives, and their overlap over.
#[must_use]
pub fn retirements(at: &Circumstances<'_>, lineage: &Lineage, readings: &[Reading]) -> Vec<Retirement> {
    let Policy { overlap, delete_after, .. } = at.rotation.policy;
    (0..lineage.members.len())
        .filter_map(|member| {
            let replaced_at = replaced_at(at, lineage, readings, member)?;
            let ended_at = after(replaced_at, overlap.duration());
            let token = &lineage.members[member].token;
            let (ending, from) = match (at.profile.can_disable, token.disabled) {
                (true, false) => (Ending::Disable, ended_at),
                (true, true) => (Ending::Delete, after(ended_at, delete_after.duration())),
                (false, _) => (Ending::Delete, ended_at),
            };
            (at.now >= from).then_some(Retirement { member, ending })
        })
        .collect()
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
    if is_gone || !lineage.is_ours(at.rotation, member) {
        return None;
    }
    let mut last = None;
    for reading in readings {
        if lineage.may_hold(reading, member) {
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
