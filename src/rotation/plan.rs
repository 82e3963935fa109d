//! Plans one rotation: a pure function of the observations and the time.
//!
//! Gives exactly one [`Verdict`] with a reason for users; the mint, if there is one; and
//! the previous tokens that can be retired. [`super::apply`] carries the plan out.

mod limit;
mod retirement;
mod situation;

use jiff::{SignedDuration, Timestamp};

use super::error::{Causes, RotationError};
use super::lineage::{Member, TOLERANCE, after, before};
use super::secret::{Holder, Secret};
use super::trust;
use crate::config::{Policy, Rotation};
use crate::limits::delivery_window;
use crate::provider::Profile;
use crate::report::{PlannedMint, Verdict};

pub(super) use retirement::Retirement;
pub(super) use situation::Situation;

/// Providers round expiries, so one may exceed the policy's lifetime by this much.
const ROUNDING: SignedDuration = SignedDuration::from_hours(24);

/// How long after its delivery window an orphan is kept: GitHub's timestamps may lag.
const ORPHAN_AGE: SignedDuration = SignedDuration::from_hours(1);

#[derive(Debug, Clone, Copy)]
pub(super) struct PlanInput<'a> {
    pub(super) rotation: &'a Rotation,
    /// What the provider's tokens can do.
    pub(super) profile: Profile,
    pub(super) now: Timestamp,
    pub(super) force: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) verdict: Verdict,
    pub(super) why: String,
    /// The token that the secrets should hold until there is a new one.
    pub(super) current: Option<String>,
    pub(super) step: Step,
    /// Previous tokens to retire now.
    pub(super) retire: Vec<Retirement>,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Nothing,
    Mint(MintPlan),
    Refuse(RotationError),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MintPlan {
    /// The token to succeed; `None`: create from the rotation's `create`.
    pub(super) previous: Option<String>,
    /// No destination ever held the previous token: this mint ends it.
    pub(super) previous_is_orphan: bool,
    /// Keep the previous token's expiry if it has one, because it is not known whether
    /// every destination accepts writes.
    pub(super) keeps_previous: bool,
    /// Other tokens that no destination ever held.
    pub(super) orphans: Vec<String>,
    /// The most time from the mint to the last write.
    pub(super) window: SignedDuration,
}

/// Makes the plan. Fails when the newest token cannot be trusted.
pub(super) fn plan(situation: &Situation<'_>) -> Result<Plan, RotationError> {
    let Situation { input, lineage, .. } = situation;
    let current = situation.current();
    // Effective rights change with their owner's, so those of two tokens may differ.
    if !input.profile.has_effective_rights {
        trust::compare_privileges(lineage, input.now, &situation.ended_to_compare())?;
    }
    let (mut verdict, mut why) = verdict(situation, current);
    let would_mint = verdict != Verdict::Fresh;
    let open = lineage.members.iter().find(|member| member.window_is_open(input.now));
    let mut step = Step::Nothing;
    if let (true, Some((member, marker))) = (would_mint, open.and_then(|m| Some((m, m.marker.as_ref()?)))) {
        verdict = Verdict::InFlight;
        let (id, minted_at) = (member.id(), marker.minted_at);
        why = format!("token {id} was created at {minted_at} and its delivery window is open");
        step = Step::Refuse(RotationError::InFlight {
            id,
            minted_at,
            until: after(marker.until, TOLERANCE),
            is_delivered: situation.holders.iter().all(|holder| holder.is(member)),
        });
    } else if would_mint {
        step = mint_or_refuse(situation, verdict, current);
    }
    if matches!(step, Step::Nothing) {
        step = Causes::of(input.rotation, situation.secrets)
            .map_or(Step::Nothing, |causes| Step::Refuse(RotationError::DestinationNotRead { causes }));
    }
    Ok(Plan { verdict, why, current: current.map(Member::id), step, retire: situation.retirements_now() })
}

/// From when on a later run mints unless forced; `None`: the next one does, or it is unknown.
/// `current`: the token that the secrets should hold.
pub(super) fn next_rotation_at(situation: &Situation<'_>, current: Option<&Member>) -> Option<Timestamp> {
    let lacks_new_token =
        situation.lineage.minted().is_some() && !situation.secrets.iter().all(Secret::is_written);
    let mints = lacks_new_token || verdict(situation, current).0 != Verdict::Fresh;
    current.filter(|_| !mints).and_then(|member| situation.input.next_rotation_at(member))
}

/// The verdict as if no other run were at work.
fn verdict(situation: &Situation<'_>, current: Option<&Member>) -> (Verdict, String) {
    let Situation { input, lineage, holders, .. } = situation;
    let Some(current) = current else {
        return (Verdict::Missing, format!("there is no token \"{}\"", input.rotation.token));
    };
    if input.force {
        return (Verdict::Forced, "it was asked for".to_owned());
    }
    // Of two attempts of a run an attacker may have added the later one, so the other counts, too.
    let attempts = lineage.siblings(current).filter(|other| other.is_live(input.now));
    if let Some(why) = std::iter::once(current).chain(attempts).find_map(|member| input.due(member)) {
        return (Verdict::Due, why);
    }
    // Before the first rotation, only a missing secret shows that it lacks the token.
    let has_window = current.marker.is_some();
    let secrets = input.rotation.secrets.iter().zip(holders);
    let waiting: Vec<String> = secrets
        .filter_map(|(secret, holder)| match holder {
            Holder::Missing => Some(format!("{} does not exist", secret.destination)),
            Holder::Token(..) | Holder::Unknown(_) if has_window && !holder.is(current) => {
                Some(format!("{} was not written with token {}", secret.destination, current.token.id))
            }
            _ => None,
        })
        .collect();
    if !waiting.is_empty() {
        return (Verdict::Undelivered, waiting.join("; "));
    }
    let why = match input.next_rotation_at(current) {
        Some(next) => format!("due from {next} on"),
        None => "the token does not expire".to_owned(),
    };
    (Verdict::Fresh, why)
}

fn mint_or_refuse(situation: &Situation<'_>, verdict: Verdict, current: Option<&Member>) -> Step {
    let Situation { input, .. } = situation;
    if current.is_none() && input.rotation.create.is_none() {
        return Step::Refuse(RotationError::NoSuchToken {
            token: input.rotation.token.clone(),
            nearest: None,
            visible: None,
        });
    }
    if let Some(causes) = Causes::of(input.rotation, situation.secrets)
        && !situation.must_be_served()
    {
        return Step::Refuse(RotationError::Unreadable { causes });
    }
    if verdict == Verdict::Undelivered
        && let Some(error) = limit::held_back(situation, current)
    {
        return Step::Refuse(error);
    }
    let is_old = |orphan: &&Member| {
        let marker = orphan.marker.as_ref();
        marker.is_some_and(|marker| after(marker.until, ORPHAN_AGE) <= input.now)
    };
    let mut orphans: Vec<&Member> = situation.orphans().into_iter().filter(is_old).collect();
    let previous = situation.token_to_replace(&orphans, current);
    let count = orphans.len();
    orphans.retain(|orphan| previous.is_none_or(|previous| !previous.is(orphan)));
    Step::Mint(MintPlan {
        previous: previous.map(Member::id),
        previous_is_orphan: orphans.len() < count,
        keeps_previous: false,
        orphans: orphans.into_iter().map(Member::id).collect(),
        window: delivery_window(input.rotation.secrets.len()),
    })
}

impl PlanInput<'_> {
    /// Why a token must be replaced now; `None`: not yet.
    pub(super) fn due(&self, member: &Member) -> Option<String> {
        let Policy { lifetime, rotate_before, .. } = self.rotation.policy;
        if member.token.disabled {
            return Some(format!("token {} is disabled", member.token.id));
        }
        if !self.profile.expires {
            let Some(minted) = member.minted_at() else {
                return Some(format!(
                    "the age of token {} is unknown: the provider reports no creation date and it carries no \
                     crossfade marker",
                    member.token.id
                ));
            };
            let replace_at = after(minted, lifetime.duration() - rotate_before.duration());
            return (self.now >= replace_at)
                .then(|| format!("it was created on {minted} and was due on {replace_at}"));
        }
        let Some(end) = member.token.expires_at else {
            return Some(format!("it does not expire, and the policy allows {lifetime}"));
        };
        if end <= self.now {
            return Some(format!("it expired on {end}"));
        }
        if end <= after(self.now, rotate_before.duration()) {
            return Some(format!("it expires on {end}, less than {rotate_before} from now"));
        }
        let latest = after(after(self.now, lifetime.duration()), ROUNDING);
        (end > latest).then(|| format!("it expires on {end}, later than the policy's {lifetime} allow"))
    }

    /// When a token will be due; `None`: it is due already, or unknown.
    pub(super) fn next_rotation_at(&self, member: &Member) -> Option<Timestamp> {
        let Policy { lifetime, rotate_before, .. } = self.rotation.policy;
        match self.profile.expires {
            true => Some(before(member.token.expires_at?, rotate_before.duration())),
            false => Some(after(member.minted_at()?, lifetime.duration() - rotate_before.duration())),
        }
    }

    /// The expiry that a mint sets for the previous token: never later than its own, and
    /// never inside the delivery window, not even by the provider's clock. `ahead`: how far
    /// that clock is ahead of GitHub's.
    pub(super) fn previous_ends_at(
        &self,
        now: Timestamp,
        ahead: SignedDuration,
        plan: &MintPlan,
        old: &Member,
    ) -> Option<Timestamp> {
        self.profile.has_native_overlap.then(|| {
            let overlap = self.rotation.policy.overlap.duration().max(plan.window + ahead);
            let end = if plan.previous_is_orphan { now } else { after(now, overlap) };
            let keeps = plan.keeps_previous && !plan.previous_is_orphan;
            old.token.expires_at.map_or(end, |expiry| if keeps { expiry } else { expiry.min(end) })
        })
    }

    /// What a dry run would mint.
    pub(super) fn planned(
        &self,
        mint: &MintPlan,
        old: Option<&Member>,
        ahead: SignedDuration,
    ) -> PlannedMint {
        let Policy { lifetime, overlap, .. } = self.rotation.policy;
        let previous_valid_until = old.map(|old| {
            let overlap_ends_at = after(self.now, overlap.duration());
            let own_end = old.token.expires_at.map_or(overlap_ends_at, |end| end.min(overlap_ends_at));
            // Without an overlap, the token is ended explicitly, after the last delivery.
            let set_by_mint = self.previous_ends_at(self.now, ahead, mint, old);
            set_by_mint.filter(|_| !overlap.duration().is_zero()).unwrap_or(own_end)
        });
        let expires_at = self.profile.expires.then(|| after(self.now, lifetime.duration()));
        PlannedMint { expires_at, previous_valid_until }
    }
}

#[cfg(test)]
mod tests;
