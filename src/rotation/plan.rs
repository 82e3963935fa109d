//! Plans one rotation: a pure function of the observations and the time.
//!
//! Gives exactly one [`Verdict`] with a reason for users; the mint, if there is one; and
//! the previous tokens that can be retired. Sends no requests; [`super::apply`] carries
//! the plan out.

use jiff::{SignedDuration, Timestamp};

use super::error::RotationError;
use super::lineage::{Holder, Lineage, Member, Observation, TOLERANCE, after, before};
use super::trust::{self, Support};
use crate::config::{Policy, Rotation};
use crate::limits::delivery_window;
use crate::provider::{Expiry, Overlap, Profile, Token};
use crate::report::Verdict;

pub use retire::{Retirement, expiries_to_set, retirements, used_since_replaced, waiting, withheld};

mod limit;
mod retire;

/// Providers round expiries, so one may exceed the policy's lifetime by this much.
const ROUNDING: SignedDuration = SignedDuration::from_hours(24);

/// How long after its delivery window an orphan is ended at once: GitHub's timestamps
/// may lag.
const ORPHAN_AGE: SignedDuration = SignedDuration::from_hours(1);

/// What a plan depends on besides tokens and observations.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// The rotation.
    pub rotation: &'a Rotation,
    /// What the provider's tokens can do.
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
    /// The verdict's reason, for users.
    pub why: String,
    /// Index of the current token in the lineage.
    pub current: Option<usize>,
    /// The token that each destination holds.
    pub holders: Vec<Holder>,
    /// Whether to mint.
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
    Refuse(RotationError),
}

/// How to mint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintPlan {
    /// Index of the token to succeed; `None`: create from the rotation's `create`.
    pub previous: Option<usize>,
    /// Create the successor: the mint does not end the previous token.
    pub by_creation: bool,
    /// No destination ever held the previous token: this mint ends it.
    pub previous_is_orphan: bool,
    /// Keep the previous token's expiry if it has one, because it is not known whether
    /// every destination accepts writes.
    pub keeps_previous: bool,
    /// Other tokens that no destination ever held.
    pub orphans: Vec<usize>,
    /// The most time from the mint to the last write.
    pub window: SignedDuration,
}

/// Makes the plan.
///
/// # Errors
/// When the newest token cannot be trusted.
pub fn plan(
    input: &PlanInput<'_>,
    lineage: &Lineage,
    observations: &[Observation],
) -> Result<Plan, RotationError> {
    let holders: Vec<Holder> = observations.iter().map(|observation| lineage.holder(observation)).collect();
    let current = current(input, lineage, observations);
    trust::compare_privileges(lineage, input.now, &ended_to_compare(input, lineage, observations))?;
    let (mut verdict, mut why) = verdict(input, lineage, observations, &holders, current);
    let would_mint = verdict != Verdict::Fresh;
    let open = lineage.members.iter().find(|member| member.window_is_open(input.now));
    let mut step = Step::Nothing;
    if let (true, Some((member, marker))) = (would_mint, open.and_then(|m| Some((m, m.marker.as_ref()?)))) {
        verdict = Verdict::InFlight;
        why = format!("token {} was minted at {} and its window is open", member.token.id, marker.minted_at);
        step = Step::Refuse(RotationError::InFlight {
            id: member.token.id.clone(),
            minted_at: marker.minted_at,
            until: after(marker.until, TOLERANCE),
        });
    } else if would_mint {
        step = mint_or_refuse(input, lineage, observations, &holders, verdict, current);
    }
    if matches!(step, Step::Nothing) {
        step = unreadable(input, observations).map_or(Step::Nothing, |(destinations, reasons)| {
            Step::Refuse(RotationError::DestinationNotRead { destinations, reasons })
        });
    }
    let retire = retirements(input, lineage, observations);
    Ok(Plan { verdict, why, current, holders, step, retire })
}

/// The newest token, except ended ones that no destination received. Where markers are
/// signed, only a signed one counts.
fn current(input: &PlanInput<'_>, lineage: &Lineage, observations: &[Observation]) -> Option<usize> {
    let is_leftover = |index: &usize| {
        !lineage.members[*index].is_live(input.now) && lineage.never_taken(observations, *index)
    };
    let counts = |index: &usize| lineage.members[*index].is_proven || !lineage.is_signed;
    let mut counting = (0..lineage.members.len()).filter(counts);
    let newest = counting.clone().next();
    counting.find(|index| !is_leftover(index)).or(newest)
}

/// Whether the next run would mint, as things are and unless it is forced.
#[must_use]
pub fn next_run_mints(
    input: &PlanInput<'_>,
    lineage: &Lineage,
    observations: &[Observation],
    current: Option<usize>,
) -> bool {
    let input = PlanInput { force: false, ..*input };
    let holders: Vec<Holder> = observations.iter().map(|observation| lineage.holder(observation)).collect();
    verdict(&input, lineage, observations, &holders, current).0 != Verdict::Fresh
}

/// The verdict as if no other run were at work.
fn verdict(
    input: &PlanInput<'_>,
    lineage: &Lineage,
    observations: &[Observation],
    holders: &[Holder],
    current: Option<usize>,
) -> (Verdict, String) {
    let Some(current) = current else {
        return (Verdict::Missing, format!("there is no token \"{}\"", input.rotation.token));
    };
    let member = &lineage.members[current];
    if input.force {
        return (Verdict::Forced, "it was asked for".to_owned());
    }
    // Of two attempts of a run an attacker may have added the later one, so the other counts, too.
    let attempts = lineage.siblings(current).filter(|other| other.is_live(input.now));
    if let Some(why) = std::iter::once(member).chain(attempts).find_map(|member| due(input, member)) {
        return (Verdict::Due, why);
    }
    let waiting: Vec<String> = input
        .rotation
        .secrets
        .iter()
        .zip(observations.iter().zip(holders))
        .filter(|(_, (observation, holder))| lacks(member, current, observation, **holder))
        .map(|(secret, (observation, _))| match observation {
            Observation::Missing => format!("{} does not exist", secret.destination),
            _ => format!("{} was not written with token {}", secret.destination, member.token.id),
        })
        .collect();
    if !waiting.is_empty() {
        return (Verdict::Undelivered, waiting.join("; "));
    }
    let why = match next_rotation_at(input.rotation.policy, input.profile, member) {
        Some(next) => format!("due from {next} on"),
        None => "it has no end".to_owned(),
    };
    (Verdict::Fresh, why)
}

/// Whether a readable destination lacks the current token. Before the first rotation
/// there are no windows: then only a missing secret shows it.
fn lacks(member: &Member, current: usize, observation: &Observation, holder: Holder) -> bool {
    match observation {
        Observation::Missing => true,
        Observation::Unreadable(_) => false,
        Observation::UpdatedAt(_) => member.marker.is_some() && holder != Holder::Member(current),
    }
}

/// Why a token must be replaced now; `None`: not yet.
#[must_use]
pub fn due(input: &PlanInput<'_>, member: &Member) -> Option<String> {
    let Policy { lifetime, rotate_before, .. } = input.rotation.policy;
    if member.token.disabled {
        return Some(format!("token {} is disabled", member.token.id));
    }
    if input.profile.expiry == Expiry::ByAge {
        let Some(minted) = member.minted_at() else {
            return Some(format!("nobody knows how old token {} is", member.token.id));
        };
        let replace_at = after(minted, lifetime.duration() - rotate_before.duration());
        return (input.now >= replace_at)
            .then(|| format!("it was made at {minted}, its time was up at {replace_at}"));
    }
    let Some(end) = member.token.expires_at else {
        return Some(format!("it never ends, and the policy allows {lifetime}"));
    };
    if end <= input.now {
        return Some(format!("it ended at {end}"));
    }
    if end <= after(input.now, rotate_before.duration()) {
        return Some(format!("it ends at {end}, less than {rotate_before} from now"));
    }
    let latest = after(after(input.now, lifetime.duration()), ROUNDING);
    (end > latest).then(|| format!("it ends at {end}, later than the policy's {lifetime} allow"))
}

/// When a token will be due; `None`: it is due already, or unknown.
#[must_use]
pub fn next_rotation_at(policy: Policy, profile: Profile, member: &Member) -> Option<Timestamp> {
    match profile.expiry {
        Expiry::Native => Some(before(member.token.expires_at?, policy.rotate_before.duration())),
        Expiry::ByAge => {
            Some(after(member.minted_at()?, policy.lifetime.duration() - policy.rotate_before.duration()))
        }
    }
}

/// The expiry that a mint sets for the previous token: never later than its own, and
/// never inside the delivery window, not even by the provider's clock. `ahead`: how far
/// that clock is ahead of GitHub's.
#[must_use]
pub fn previous_ends_at(
    input: &PlanInput<'_>,
    now: Timestamp,
    ahead: SignedDuration,
    plan: &MintPlan,
    old: &Member,
) -> Option<Timestamp> {
    (!plan.by_creation).then(|| {
        let overlap = input.rotation.policy.overlap.duration().max(plan.window + ahead);
        let end = if plan.previous_is_orphan { now } else { after(now, overlap) };
        let keeps = plan.keeps_previous && !plan.previous_is_orphan;
        old.token.expires_at.map_or(end, |expiry| if keeps { expiry } else { expiry.min(end) })
    })
}

fn mint_or_refuse(
    input: &PlanInput<'_>,
    lineage: &Lineage,
    observations: &[Observation],
    holders: &[Holder],
    verdict: Verdict,
    current: Option<usize>,
) -> Step {
    if current.is_none() && input.rotation.create.is_none() {
        return Step::Refuse(RotationError::NoSuchToken {
            token: input.rotation.token.clone(),
            nearest: None,
        });
    }
    if let Some((destinations, reasons)) = unreadable(input, observations)
        && !must_be_served(input, lineage, observations)
    {
        return Step::Refuse(RotationError::Unreadable { destinations, reasons });
    }
    if verdict == Verdict::Undelivered
        && let Some(error) = limit::held_back(input, lineage, observations, holders, current)
    {
        return Step::Refuse(error);
    }
    let is_old = |index: &usize| {
        let marker = lineage.members[*index].marker.as_ref();
        marker.is_some_and(|marker| after(marker.until, ORPHAN_AGE) <= input.now)
    };
    let mut orphans: Vec<usize> =
        lineage.orphans(observations, input.now).into_iter().filter(is_old).collect();
    let previous = token_to_replace(input, lineage, &orphans, current);
    let is_predecessor = |index: &usize| Some(*index) == previous;
    let previous_is_orphan = orphans.iter().any(is_predecessor);
    orphans.retain(|index| !is_predecessor(index));
    Step::Mint(MintPlan {
        previous,
        by_creation: input.profile.overlap == Overlap::AcrossRuns,
        previous_is_orphan,
        keeps_previous: false,
        orphans,
        window: delivery_window(input.rotation.secrets.len()),
    })
}

/// The token that the new one copies, and that a native overlap ends: one that lives, if
/// there is one, because an ended token may be forged. A token that only shares the
/// original's name is not used unless it is the only one.
fn token_to_replace(
    input: &PlanInput<'_>,
    lineage: &Lineage,
    orphans: &[usize],
    current: Option<usize>,
) -> Option<usize> {
    let is_fit = |index: &usize| {
        lineage.members[*index].is_live(input.now)
            && lineage.is_ours(input.rotation, *index)
            && (lineage.members[*index].is_proven || !lineage.is_signed)
    };
    let fit = || (0..lineage.members.len()).filter(is_fit);
    // A creation needs no orphan, so orphans can be ended before it.
    let is_wanted = |index: &usize| input.profile.overlap == Overlap::Native || !orphans.contains(index);
    fit().find(is_wanted).or_else(|| fit().next()).or(current)
}

/// Ended tokens that a destination may hold although a live token claims it: the live one
/// may be forged. An ended token newer than the original is
/// no reason to doubt the original, unless only its name says that it is the original.
fn ended_to_compare(input: &PlanInput<'_>, lineage: &Lineage, observations: &[Observation]) -> Vec<usize> {
    let members = &lineage.members;
    let Some(newest) = members.iter().position(|member| member.is_live(input.now)) else { return Vec::new() };
    let is_original = members[newest].marker.is_none() && lineage.is_ours(input.rotation, newest);
    let is_doubtful = |index: &usize| {
        let is_held = |observation| lineage.holder(observation) == Holder::Member(*index);
        let may_be_held = |observation: &Observation| {
            lineage.is_claimed(observation, input.now) && may_hold(input, lineage, observation, *index)
        };
        if *index < newest {
            !is_original && observations.iter().any(is_held)
        } else {
            observations.iter().any(may_be_held)
        }
    };
    (0..members.len()).filter(|index| !members[*index].is_live(input.now)).filter(is_doubtful).collect()
}

/// Whether a destination may hold this member. `false` only when that is certain: it
/// holds another one, on more evidence than that one's own marker, or it was last
/// written before this one was minted.
pub(super) fn may_hold(
    input: &PlanInput<'_>,
    lineage: &Lineage,
    observation: &Observation,
    index: usize,
) -> bool {
    match lineage.holder(observation) {
        Holder::Member(held) if held < index => support(input, lineage, held, index) == Support::None,
        _ => lineage.may_hold(observation, index),
    }
}

/// What supports the claim that one member replaced an older one.
fn support(input: &PlanInput<'_>, lineage: &Lineage, successor: usize, previous: usize) -> Support {
    let [successor, previous] = [successor, previous].map(|index| &lineage.members[index]);
    trust::support(lineage, input.profile, input.rotation.policy.overlap.duration(), successor, previous)
}

/// The destinations that could not be read, and why; `None`: all could.
fn unreadable(input: &PlanInput<'_>, observations: &[Observation]) -> Option<(Vec<String>, Vec<String>)> {
    let unreadable: (Vec<String>, Vec<String>) = input
        .rotation
        .secrets
        .iter()
        .zip(observations)
        .filter_map(|(secret, observation)| match observation {
            Observation::Unreadable(why) => Some((secret.destination.to_string(), why.clone())),
            _ => None,
        })
        .unzip();
    (!unreadable.0.is_empty()).then_some(unreadable)
}

/// The valid tokens that a readable destination may hold.
fn live_holdings<'a>(
    input: &'a PlanInput<'_>,
    lineage: &'a Lineage,
    observations: &'a [Observation],
) -> impl Iterator<Item = Vec<&'a Token>> {
    let readable = observations.iter().filter(|observation| matches!(observation, Observation::UpdatedAt(_)));
    readable.map(|observation| {
        let members = lineage.members.iter().enumerate();
        let may_be_held = members.filter(|(index, _)| may_hold(input, lineage, observation, *index));
        may_be_held.filter(|(_, member)| member.is_live(input.now)).map(|(_, member)| &member.token).collect()
    })
}

/// Whether a live token that a readable destination may hold ends within this time.
fn would_expire(
    input: &PlanInput<'_>,
    lineage: &Lineage,
    observations: &[Observation],
    within: SignedDuration,
) -> bool {
    let horizon = after(input.now, within);
    let ends = |token: &&Token| token.expires_at.is_some_and(|end| end <= horizon);
    live_holdings(input, lineage, observations).any(|tokens| tokens.iter().any(ends))
}

/// Whether a readable destination holds no valid token, or will hold none before the
/// overlap is over. Then the rotation goes on although another destination is
/// unreadable.
fn must_be_served(input: &PlanInput<'_>, lineage: &Lineage, observations: &[Observation]) -> bool {
    live_holdings(input, lineage, observations).any(|tokens| tokens.is_empty())
        || would_expire(input, lineage, observations, input.rotation.policy.overlap.duration())
}

#[cfg(test)]
mod tests;
