//! What to do about one rotation: a pure function of what was observed and now.
//!
//! Exactly one [`Verdict`], with a reason that a person understands; the mint, if
//! there is to be one; and the previous tokens that can be retired. Nothing here
//! contacts anybody; what is planned is carried out in [`super::apply`].

use jiff::{SignedDuration, Timestamp};

use super::lineage::{Holder, Lineage, Member, Reading, SKEW, TOLERANCE, after, before};
use super::trouble::Trouble;
use super::window::delivery_window;
use crate::config::{Policy, Rotation};
use crate::provider::{Expiry, Overlap, Profile, Token};

pub use retire::{Retirement, retirements, used_since_replaced, waiting};

mod retire;

/// An expiry may lie this much beyond the policy's lifetime: providers round.
const ROUNDING: SignedDuration = SignedDuration::from_hours(24);

/// With so many live tokens of a rotation, a failing destination breeds no more.
const ENOUGH: usize = 3;

/// Why a rotation is, or is not, to be rotated now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Nothing to do.
    Fresh,
    /// The token ends soon, is too old, or lives longer than the policy allows.
    Due,
    /// The user asked for it.
    Forced,
    /// A destination does not hold the current token.
    Undelivered,
    /// Another run is at work, or ended a moment ago.
    InFlight,
    /// There is no such token.
    Missing,
}

/// What everything depends on, besides the user's own words.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// The rotation.
    pub rotation: &'a Rotation,
    /// What is true of the provider's tokens.
    pub profile: Profile,
    /// GitHub's clock.
    pub now: Timestamp,
    /// Rotate even if nothing is due.
    pub force: bool,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The one verdict.
    pub verdict: Verdict,
    /// The verdict's reason, for people.
    pub why: String,
    /// Index of the current token in the lineage.
    pub current: Option<usize>,
    /// The token that each destination holds.
    pub holders: Vec<Holder>,
    /// The mint, none, or what forbids it.
    pub step: Step,
    /// Previous tokens that can be retired now.
    pub retire: Vec<Retirement>,
}

/// Whether something is minted.
#[derive(Debug, Clone)]
pub enum Step {
    /// Nothing needs to be minted.
    Nothing,
    /// A successor is to be minted.
    Mint(MintPlan),
    /// Nothing may be minted.
    Refuse(Trouble),
}

/// The mint that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintPlan {
    /// Index of the token to succeed; `None`: create from the rotation's `create`.
    pub predecessor: Option<usize>,
    /// The successor is made by creation: the predecessor is not ended by the mint.
    pub by_creation: bool,
    /// Nobody ever took the predecessor: it is ended by this mint.
    pub predecessor_is_orphan: bool,
    /// The mint leaves the predecessor its own end, where it has one: it is not known
    /// that every destination will take the successor.
    pub keeps_predecessor: bool,
    /// Other tokens that nobody ever took; ended once their successor is delivered.
    pub orphans: Vec<usize>,
    /// The most that may pass from the mint to the last write.
    pub window: SignedDuration,
}

/// Decides.
///
/// # Errors
/// When the newest token cannot be trusted.
pub fn plan(at: &Circumstances<'_>, lineage: &Lineage, readings: &[Reading]) -> Result<Plan, Trouble> {
    let holders: Vec<Holder> = readings.iter().map(|reading| lineage.holder(reading)).collect();
    let current = current(at, lineage, readings);
    if let Some(current) = current {
        check_privileges(lineage, &holders, current)?;
    }
    let (mut verdict, mut why) = verdict(at, lineage, readings, &holders, current);
    let would_mint = verdict != Verdict::Fresh;
    let open = lineage.members.iter().find(|member| member.window_is_open(at.now));
    let mut step = Step::Nothing;
    if let (true, Some((member, marker))) = (would_mint, open.and_then(|m| Some((m, m.marker.as_ref()?)))) {
        verdict = Verdict::InFlight;
        why = format!("token {} was minted at {} and its window is open", member.token.id, marker.minted_at);
        step = Step::Refuse(Trouble::InFlight {
            id: member.token.id.clone(),
            minted_at: marker.minted_at,
            until: after(marker.until, TOLERANCE),
        });
    } else if would_mint {
        step = mint_or_refuse(at, lineage, readings, &holders, verdict, current);
    }
    if matches!(step, Step::Nothing) {
        step = unreadable(at, readings).map_or(Step::Nothing, |(destinations, reasons)| {
            Step::Refuse(Trouble::DeadDestination { destinations, reasons })
        });
    }
    let retire = retirements(at, lineage, readings);
    Ok(Plan { verdict, why, current, holders, step, retire })
}

/// The newest token, but for dead ones that nobody ever took.
fn current(at: &Circumstances<'_>, lineage: &Lineage, readings: &[Reading]) -> Option<usize> {
    let is_leftover = |(index, member): (usize, &Member)| {
        !member.is_live(at.now) && never_taken(at, lineage, readings, index)
    };
    let leftover = lineage.members.iter().enumerate().take_while(|entry| is_leftover(*entry)).count();
    let last = lineage.members.len().checked_sub(1)?;
    Some(if leftover > last { 0 } else { leftover })
}

/// An undelivered newest token must be able to do just what the one in use can.
fn check_privileges(lineage: &Lineage, holders: &[Holder], current: usize) -> Result<(), Trouble> {
    let newest = &lineage.members[current];
    if newest.marker.is_none() {
        return Ok(());
    }
    let is_other = |other: &&Member| other.token.privileges != newest.token.privileges;
    // A higher attempt of a run that delivered is easily made up.
    if let Some(sibling) = lineage.siblings(current).find(is_other) {
        return Err(Trouble::DifferentPrivileges {
            id: newest.token.id.clone(),
            held: sibling.token.id.clone(),
        });
    }
    // A run that delivers has compared them, and what a person changed since is theirs.
    if holders.contains(&Holder::Member(current)) {
        return Ok(());
    }
    let held = holders.iter().find_map(|holder| match holder {
        Holder::Member(index) => Some(*index),
        _ => None,
    });
    let Some(reference) = held.or(Some(current + 1)).and_then(|index| lineage.members.get(index)) else {
        return Ok(());
    };
    if reference.token.privileges == newest.token.privileges {
        return Ok(());
    }
    Err(Trouble::DifferentPrivileges { id: newest.token.id.clone(), held: reference.token.id.clone() })
}

/// The verdict as if no other run were at work.
fn verdict(
    at: &Circumstances<'_>,
    lineage: &Lineage,
    readings: &[Reading],
    holders: &[Holder],
    current: Option<usize>,
) -> (Verdict, String) {
    let Some(current) = current else {
        return (Verdict::Missing, format!("there is no token \"{}\"", at.rotation.token));
    };
    let member = &lineage.members[current];
    if at.force {
        return (Verdict::Forced, "it was asked for".to_owned());
    }
    if let Some(why) = due(at, member) {
        return (Verdict::Due, why);
    }
    let waiting: Vec<String> = at
        .rotation
        .secrets
        .iter()
        .zip(readings.iter().zip(holders))
        .filter(|(_, (reading, holder))| lacks(member, current, reading, **holder))
        .map(|(secret, (reading, _))| match reading {
            Reading::Missing => format!("{} does not exist", secret.destination),
            _ => format!("{} was not written with token {}", secret.destination, member.token.id),
        })
        .collect();
    if !waiting.is_empty() {
        return (Verdict::Undelivered, waiting.join("; "));
    }
    let why = match next_rotation_at(at.rotation.policy, at.profile, member) {
        Some(next) => format!("due from {next} on"),
        None => "it has no end".to_owned(),
    };
    (Verdict::Fresh, why)
}

/// Whether a readable destination is without the current token. Before the first
/// rotation there are no windows: then only a missing secret tells.
fn lacks(member: &Member, current: usize, reading: &Reading, holder: Holder) -> bool {
    match reading {
        Reading::Missing => true,
        Reading::Unreadable(_) => false,
        Reading::UpdatedAt(_) => member.marker.is_some() && holder != Holder::Member(current),
    }
}

/// Why a token must be replaced now, whoever holds it; `None`: it need not.
#[must_use]
pub fn due(at: &Circumstances<'_>, member: &Member) -> Option<String> {
    let Policy { lifetime, rotate_before, .. } = at.rotation.policy;
    if member.token.disabled {
        return Some(format!("token {} is disabled", member.token.id));
    }
    if at.profile.expiry == Expiry::ByAge {
        let Some(minted) = member.minted_at() else {
            return Some(format!("nobody knows how old token {} is", member.token.id));
        };
        let replace_at = after(minted, lifetime.duration() - rotate_before.duration());
        return (at.now >= replace_at)
            .then(|| format!("it was made at {minted}, its time was up at {replace_at}"));
    }
    let Some(end) = member.token.expires_at else {
        return Some(format!("it never ends, and the policy allows {lifetime}"));
    };
    if end <= at.now {
        return Some(format!("it ended at {end}"));
    }
    if end <= after(at.now, rotate_before.duration()) {
        return Some(format!("it ends at {end}, less than {rotate_before} from now"));
    }
    let latest = after(after(at.now, lifetime.duration()), ROUNDING);
    (end > latest).then(|| format!("it ends at {end}, later than the policy's {lifetime} allow"))
}

/// When a token will be due; `None`: already, or nobody knows.
#[must_use]
pub fn next_rotation_at(policy: Policy, profile: Profile, member: &Member) -> Option<Timestamp> {
    match profile.expiry {
        Expiry::Native => Some(before(member.token.expires_at?, policy.rotate_before.duration())),
        Expiry::ByAge => {
            Some(after(member.minted_at()?, policy.lifetime.duration() - policy.rotate_before.duration()))
        }
    }
}

/// When the predecessor, or its value, ends where the mint says so: its life is
/// never extended, and never ends inside the delivery, by the clock of the
/// provider either. `ahead` is how far that one is ahead of GitHub's.
#[must_use]
pub fn predecessor_ends_at(
    at: &Circumstances<'_>,
    now: Timestamp,
    ahead: SignedDuration,
    plan: &MintPlan,
    old: &Member,
) -> Option<Timestamp> {
    (!plan.by_creation).then(|| {
        let overlap = at.rotation.policy.overlap.duration().max(plan.window + ahead);
        let end = if plan.predecessor_is_orphan { now } else { after(now, overlap) };
        let keeps = plan.keeps_predecessor && !plan.predecessor_is_orphan;
        old.token.expires_at.map_or(end, |expiry| if keeps { expiry } else { expiry.min(end) })
    })
}

fn mint_or_refuse(
    at: &Circumstances<'_>,
    lineage: &Lineage,
    readings: &[Reading],
    holders: &[Holder],
    verdict: Verdict,
    current: Option<usize>,
) -> Step {
    if current.is_none() && at.rotation.create.is_none() {
        return Step::Refuse(Trouble::NoSuchToken { token: at.rotation.token.clone() });
    }
    if let Some((destinations, reasons)) = unreadable(at, readings)
        && !would_die(at, lineage, readings)
    {
        return Step::Refuse(Trouble::Unreadable { destinations, reasons });
    }
    let live = |index: &usize| lineage.members[*index].is_live(at.now);
    let is_untaken = |index: &usize| never_taken(at, lineage, readings, *index);
    let orphans: Vec<usize> = (0..lineage.members.len())
        .filter(live)
        .filter(|index| is_untaken(index) && lineage.is_orphan(readings, *index, at.now))
        .collect();
    let marked = (0..lineage.members.len())
        .filter(live)
        .filter(|index| lineage.members[*index].marker.is_some() && !is_untaken(index))
        .count();
    if verdict == Verdict::Undelivered && marked >= ENOUGH {
        let destinations = at.rotation.secrets.iter().zip(holders);
        let destinations = destinations
            .filter(|(_, holder)| current.is_none_or(|current| **holder != Holder::Member(current)))
            .map(|(secret, _)| secret.destination.to_string())
            .collect();
        return Step::Refuse(Trouble::TooMany { count: marked, destinations });
    }
    // A namesake of the original is nobody's predecessor, unless it is all there is,
    // and neither is an older token that can do something else.
    let ours = |index: &usize| lineage.is_ours(at.rotation, *index);
    let privileges = |index: usize| &lineage.members[index].token.privileges;
    let is_equal = |index: &usize| current.is_none_or(|current| privileges(*index) == privileges(current));
    let predecessor =
        (0..lineage.members.len()).find(|index| live(index) && ours(index) && is_equal(index)).or(current);
    let predecessor_is_orphan = predecessor.is_some_and(|index| orphans.contains(&index));
    let by_creation = match at.profile.overlap {
        Overlap::Native => false,
        Overlap::InPlace => predecessor.is_some_and(|index| has_earlier_value(at, &lineage.members[index])),
        Overlap::AcrossRuns => true,
    };
    Step::Mint(MintPlan {
        predecessor,
        by_creation,
        predecessor_is_orphan,
        keeps_predecessor: false,
        orphans,
        window: delivery_window(at.rotation.secrets.len()),
    })
}

/// Whether a token that was given a new value in place may still be accepted by
/// an earlier one: until the overlap is over. Nobody knows what yet another value
/// does to that, and a destination may hold it.
fn has_earlier_value(at: &Circumstances<'_>, member: &Member) -> bool {
    member.marker.as_ref().is_some_and(|marker| {
        let window = marker.until.duration_since(marker.minted_at);
        let overlap = at.rotation.policy.overlap.duration().max(window + SKEW);
        at.now <= after(after(marker.minted_at, overlap), TOLERANCE)
    })
}

/// Whether nobody ever took this member. Of a token that is given new values in
/// place that is never certain: a destination may hold an earlier one.
fn never_taken(at: &Circumstances<'_>, lineage: &Lineage, readings: &[Reading], index: usize) -> bool {
    at.profile.overlap != Overlap::InPlace && lineage.never_taken(readings, index)
}

/// Whether a destination may hold this member, or an earlier value of it.
fn may_hold(at: &Circumstances<'_>, lineage: &Lineage, reading: &Reading, index: usize) -> bool {
    lineage.may_hold(reading, index) || may_hold_earlier_value(at, lineage, reading, index)
}

/// Whether a destination may hold a value that a member had before its marker.
fn may_hold_earlier_value(
    at: &Circumstances<'_>,
    lineage: &Lineage,
    reading: &Reading,
    index: usize,
) -> bool {
    at.profile.overlap == Overlap::InPlace
        && lineage.members[index].marker.is_some()
        && lineage.holder(reading) == Holder::Unknown
}

/// The destinations that could not be read, and why; `None`: all could.
fn unreadable(at: &Circumstances<'_>, readings: &[Reading]) -> Option<(Vec<String>, Vec<String>)> {
    let dead: (Vec<String>, Vec<String>) = at
        .rotation
        .secrets
        .iter()
        .zip(readings)
        .filter_map(|(secret, reading)| match reading {
            Reading::Unreadable(why) => Some((secret.destination.to_string(), why.clone())),
            _ => None,
        })
        .unzip();
    (!dead.0.is_empty()).then_some(dead)
}

/// Whether a destination that can be served holds a token that would die within
/// the overlap: then it is served although another one is unreadable.
fn would_die(at: &Circumstances<'_>, lineage: &Lineage, readings: &[Reading]) -> bool {
    let horizon = after(at.now, at.rotation.policy.overlap.duration());
    let ends = |index: usize| {
        let Token { disabled, expires_at, .. } = &lineage.members[index].token;
        *disabled || expires_at.is_some_and(|end| end <= horizon)
    };
    let readable = readings.iter().filter(|reading| matches!(reading, Reading::UpdatedAt(_)));
    readable.into_iter().any(|reading| {
        let all = || 0..lineage.members.len();
        // An earlier value ends within an overlap of the mint that replaced it.
        if all().any(|index| may_hold_earlier_value(at, lineage, reading, index)) {
            return true;
        }
        if let Holder::Member(held) = lineage.holder(reading) {
            return ends(held);
        }
        // Records of tokens that ended long ago say nothing, unless there is nothing else.
        let mut live = all()
            .filter(|index| lineage.members[*index].is_live(at.now) && may_hold(at, lineage, reading, *index))
            .peekable();
        live.peek().is_none() || live.any(ends)
    })
}

#[cfg(test)]
mod tests;
