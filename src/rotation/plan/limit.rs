//! Limits how often *undelivered* alone may mint: a destination that keeps failing must
//! neither cause a new token in every run nor prevent the others from being repaired.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{PlanInput, Situation};
use crate::rotation::error::RotationError;
use crate::rotation::lineage::{Lineage, Member, TOLERANCE, after};
use crate::rotation::secret::Holder;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Runs that may mint in any 24 hours.
const RUNS_A_DAY: usize = 3;

/// With so many live tokens, one run in 24 hours.
const MANY: usize = 8;

/// With so many live tokens, one run in an overlap.
const TOO_MANY: usize = 16;

/// Why *undelivered* alone mints nothing now; `None`: it may. It always may while a token
/// that a destination may hold is about to expire.
pub(super) fn held_back(situation: &Situation<'_>, current: Option<&Member>) -> Option<RotationError> {
    let Situation { input, lineage, holders, .. } = situation;
    // What something else has written since the newest token was delivered is not among
    // the tokens that a mint could replace in time.
    let newest = lineage.members.first().and_then(|member| member.marker.as_ref());
    let delivered_by = newest.map(|marker| after(marker.until, TOLERANCE));
    let is_overwritten =
        |holder: &&Holder<'_>| holder.written_at().zip(delivered_by).is_some_and(|(at, by)| at > by);
    if situation.would_expire(holders.iter().filter(|holder| !is_overwritten(holder)), DAY) {
        return None;
    }
    let until = held_back_until(input, lineage)?;
    let minted_at = current.and_then(Member::minted_at);
    let (mut failing, mut overwritten) = (Vec::new(), Vec::new());
    for (secret, holder) in input.rotation.secrets.iter().zip(holders) {
        let name = secret.destination.to_string();
        match holder {
            Holder::Token(held, _) if current.is_some_and(|current| current.is(held)) => {}
            Holder::Unknown(Some(written)) if minted_at.is_some_and(|at| *written > at) => {
                overwritten.push(name);
            }
            _ => failing.push(name),
        }
    }
    Some(RotationError::HeldBack { live: live_marked(input, lineage), until, failing, overwritten })
}

/// Until when *undelivered* alone does not mint; `None`: no limit applies. Every run
/// whose marker the provider still shows counts once.
fn held_back_until(input: &PlanInput<'_>, lineage: &Lineage) -> Option<Timestamp> {
    let mut runs: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for marker in lineage.members.iter().filter_map(|member| member.marker.as_ref()) {
        let minted_at = runs.entry(&marker.run).or_insert(marker.minted_at);
        *minted_at = (*minted_at).max(marker.minted_at);
    }
    let mut minted: Vec<Timestamp> = runs.into_values().collect();
    minted.sort_unstable_by(|one, other| other.cmp(one));
    let live = live_marked(input, lineage);
    let overlap = input.rotation.policy.overlap.duration();
    let limits = [(true, RUNS_A_DAY, DAY), (live >= MANY, 1, DAY), (live >= TOO_MANY, 1, overlap)];
    let applying = limits.into_iter().filter(|(applies, ..)| *applies);
    let ends = applying.filter_map(|(_, runs, within)| Some(after(*minted.get(runs - 1)?, within)));
    ends.max().filter(|end| *end > input.now)
}

/// How many tokens of the rotation with a marker are valid.
fn live_marked(input: &PlanInput<'_>, lineage: &Lineage) -> usize {
    lineage.members.iter().filter(|member| member.marker.is_some() && member.is_live(input.now)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::samples::{day, input, lineage, minted, minute, rotation};

    /// Until when a run at `now` is held back, in minutes, after runs at these.
    fn held_back(now: i64, runs: &[i64], live: bool) -> Option<i64> {
        let rotation = rotation(1);
        let end = if live { Some(day(99)) } else { Some(minute(now)) };
        let members = runs.iter().rev().map(|at| minted(&format!("{at}"), minute(*at), end)).collect();
        let lineage = lineage(members);
        let until = held_back_until(&input(&rotation, minute(now)), &lineage)?;
        Some(until.duration_since(minute(0)).as_mins())
    }

    #[test]
    fn three_runs_in_any_24_hours() {
        let hours = |hours: i64| hours * 60;
        assert_eq!(held_back(10, &[], true), None);
        assert_eq!(held_back(hours(3), &[hours(1), hours(2)], true), None);
        let three = [hours(1), hours(2), hours(3)];
        assert_eq!(held_back(hours(4), &three, true), Some(hours(25)));
        assert_eq!(held_back(hours(4), &three, false), Some(hours(25)), "what has expired counts, too");
        assert_eq!(held_back(hours(25), &three, true), None);
        assert_eq!(held_back(hours(25), &[hours(1), hours(2), hours(3), hours(25)], true), Some(hours(26)));
    }

    #[test]
    fn many_live_tokens_hold_back_for_longer() {
        let daily = |count: i64| (0..count).map(|n| n * 24 * 60).collect::<Vec<_>>();
        let an_hour_later = |runs: &[i64]| runs.last().unwrap() + 60;
        for (count, live, expected) in
            [(7, true, None), (8, true, Some(1)), (8, false, None), (15, true, Some(1)), (16, true, Some(7))]
        {
            let runs = daily(count);
            let until = held_back(an_hour_later(&runs), &runs, live);
            assert_eq!(until, expected.map(|days| runs.last().unwrap() + days * 24 * 60), "{count} {live}");
        }
    }

    #[test]
    fn the_attempts_of_a_run_count_once() {
        let rotation = rotation(1);
        let mut members: Vec<_> = (0..4).rev().map(|at| minted(&format!("{at}"), minute(at), None)).collect();
        for (member, attempt) in members.iter_mut().zip([4, 3, 2, 1]) {
            let marker = member.marker.as_mut().unwrap();
            (marker.run, marker.attempt) = ("0a1b2c3d4e5f".to_owned(), attempt);
        }
        let lineage = lineage(members);
        assert_eq!(held_back_until(&input(&rotation, minute(60)), &lineage), None);
    }
}
