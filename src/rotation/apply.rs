//! One rotation from beginning to end: the only place where a plan is acted on.
//!
//! *Observe, plan, preflight, mint, probe, deliver, retire.* What a dry run leaves
//! out is everything after the preflight. The [`Story`] that comes out is turned
//! into a report by [`super::outcome`].

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::Tools;
use super::lineage::{Holder, Lineage, Reading, SKEW};
use super::mint::{Case, Miscarriage, Newborn};
use super::plan::{self, Circumstances, MintPlan, Plan, Retirement, Step};
use super::retire;
use super::session::{Keyring, Session};
use super::trouble::{Fate, Trouble};
use super::trust::Support;
use crate::config::Rotation;
use crate::github::{self, Evidence, WriteError};
use crate::provider::{Ending, ErrorKind, Minted, Probe, Token};

/// What happened to one rotation, as far as it came.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// GitHub's time when the plan was made.
    pub(super) now: Option<Timestamp>,
    /// The rotation's tokens; after a mint with the newborn in front.
    pub(super) lineage: Lineage,
    /// One for each destination, as they are known at the end.
    pub(super) readings: Vec<Reading>,
    /// The same as they were first read; empty: none was.
    pub(super) first_readings: Vec<Reading>,
    /// The verdict, if it came to one.
    pub(super) plan: Option<Plan>,
    /// What was minted and offered to the destinations.
    pub(super) delivery: Option<Delivery>,
    /// Ids of the tokens that were ended; in a dry run, that would be.
    pub(super) retired: Vec<String>,
    /// What went less well than it should, without failing the rotation.
    pub(super) warnings: Vec<String>,
    /// Why the rotation failed.
    pub(super) trouble: Option<Trouble>,
}

/// A newborn's way to the destinations.
#[derive(Debug)]
pub(super) struct Delivery {
    /// Whether the provider was seen to accept it.
    pub(super) probe: Probe,
    /// Its predecessor, its new end included.
    pub(super) predecessor: Option<Token>,
    /// For each destination: written, not tried, or why not.
    pub(super) writes: Vec<Write>,
    /// It was refused everywhere and ended again.
    pub(super) withdrawn: bool,
}

/// What became of the write to one destination.
#[derive(Debug, Clone)]
pub(super) enum Write {
    /// GitHub acknowledged it.
    Written,
    /// It was not tried, because the destination could not be read or prepared.
    Skipped,
    /// It failed; whether it took place nobody knows unless it was `refused`.
    Failed {
        /// Certainly not written, and never will be.
        refused: bool,
        /// Why.
        why: String,
    },
}

/// Carries a rotation as far as it goes.
pub(super) async fn apply(tools: &Tools<'_>, session: &Session, rotation: &Rotation) -> Story {
    let mut story = Story::default();
    if let Err(trouble) = tell(tools, session, rotation, &mut story).await {
        story.trouble = Some(trouble);
    }
    story
}

async fn tell(
    tools: &Tools<'_>,
    session: &Session,
    rotation: &Rotation,
    story: &mut Story,
) -> Result<(), Trouble> {
    tools.brake.hold(observe(tools, session, rotation, story)).await.map_err(Trouble::Stopped)??;
    let now = tools.now()?;
    story.now = Some(now);
    let at = Circumstances { rotation, profile: session.provider.profile(), now, force: tools.force };
    let mut plan = plan::plan(&at, &story.lineage, &story.readings)?;
    if matches!(plan.step, Step::Mint(_)) && !tools.look_only {
        let prepared = preflight(tools, rotation, &mut story.readings, &mut story.warnings);
        let all_writable = tools.brake.hold(prepared).await.map_err(Trouble::Stopped)?;
        plan = plan::plan(&at, &story.lineage, &story.readings)?;
        if let Step::Mint(mint) = &mut plan.step {
            // A dry run sends no write check, and tells what a run will find most likely.
            mint.keeps_predecessor = !all_writable && !tools.dry_run;
        }
    }
    if let (Step::Refuse(Trouble::NoSuchToken { token, nearest }), Ok(all)) =
        (&mut plan.step, session.tokens().await)
    {
        let names: Vec<String> = all.iter().map(|token| super::marker::strip(&token.name)).collect();
        let known = names.iter().chain(all.iter().map(|token| &token.id)).map(String::as_str);
        *nearest = crate::config::diagnostic::nearest(token, known).map(str::to_owned);
    }
    let step = plan.step.clone();
    story.warn_of_doubts(&at, &plan);
    story.retired =
        plan.retire.iter().map(|one| story.lineage.members[one.member].token.id.clone()).collect();
    if tools.dry_run {
        plan.retire.iter().for_each(|one| story.warn_of_use(&at, *one));
    }
    story.plan = Some(plan);
    if tools.dry_run {
        return match step {
            Step::Refuse(trouble) => Err(trouble),
            Step::Nothing | Step::Mint(_) => Ok(()),
        };
    }
    story.retired.clear();
    let refused = match step {
        Step::Nothing => None,
        Step::Refuse(trouble) => Some(trouble),
        // On the heap: of a thousand rotations few mint on the same day.
        Step::Mint(mint) => Box::pin(rotate(tools, session, at, &mint, story)).await?,
    };
    if story.delivery.is_none() {
        retire_previous(session, at, story, None).await;
    }
    refused.map_or(Ok(()), Err)
}

/// The provider's tokens and GitHub's timestamps, in parallel; then the clocks.
async fn observe(
    tools: &Tools<'_>,
    session: &Session,
    rotation: &Rotation,
    story: &mut Story,
) -> Result<(), Trouble> {
    let (tokens, readings) = tokio::join!(session.tokens(), tools.github.observe(&rotation.secrets));
    story.readings = readings
        .into_iter()
        .map(|reading| match reading {
            Ok(github::Reading::Missing) => Reading::Missing,
            Ok(github::Reading::UpdatedAt(at)) => Reading::UpdatedAt(at),
            Err(error) => Reading::Unreadable(error.to_string()),
        })
        .collect();
    story.first_readings.clone_from(&story.readings);
    let tokens = tokens.map_err(Trouble::Observe)?;
    let Some(now) = tools.clock.now() else {
        return Err(story.dead_destination(rotation).unwrap_or(Trouble::NoClock));
    };
    match tools.clock.skew(session.side) {
        Some(skew) => check_clocks(skew)?,
        None => {
            story.warnings.push("the provider sends no date, so its clock could not be checked".to_owned())
        }
    }
    story.lineage = Lineage::trace(rotation, tokens, &tools.marker_keys, now)?;
    if story.lineage.members.is_empty() && session.provider.may_be_id(&rotation.token) {
        // A list may leave a token out; one that was named by its id can be asked for.
        let found = session.provider.get(&session.credential, &rotation.token).await;
        match found {
            Ok(Some(token)) => {
                story.lineage = Lineage::trace(rotation, &[token], &tools.marker_keys, now)?;
            }
            // A name where an id belongs is refused as invalid.
            Err(error) if error.kind != ErrorKind::Invalid => return Err(Trouble::Observe(error)),
            Ok(None) | Err(_) => {}
        }
    }
    Ok(())
}

/// Expiry dates mean nothing across clocks that differ much. `skew`: how far the
/// provider's is ahead of GitHub's.
fn check_clocks(skew: SignedDuration) -> Result<(), Trouble> {
    if skew.abs() <= SKEW {
        return Ok(());
    }
    let direction = if skew.is_negative() { "behind" } else { "ahead of" };
    Err(Trouble::ClocksDiffer { minutes: skew.abs().as_mins(), direction })
}

/// Whatever the writes will need is fetched; a destination that cannot be
/// prepared, or is known to refuse writes, counts as unreadable. Tells whether all
/// were shown to take them.
async fn preflight(
    tools: &Tools<'_>,
    rotation: &Rotation,
    readings: &mut [Reading],
    warnings: &mut Vec<String>,
) -> bool {
    let prepared =
        rotation.secrets.iter().zip(readings.iter()).map(async |(secret, reading)| match reading {
            Reading::Unreadable(_) => Ok(Evidence::default()),
            _ => tools.github.prepare(secret).await,
        });
    let prepared = join_all(prepared).await;
    let mut all_writable = true;
    for (reading, result) in readings.iter_mut().zip(prepared) {
        match result {
            Ok(Evidence { is_writable, warning }) => {
                all_writable &= is_writable;
                warnings.extend(warning.filter(|warning| !warnings.contains(warning)));
            }
            Err(error) => {
                all_writable = false;
                *reading = Reading::Unreadable(error.to_string());
            }
        }
    }
    all_writable
}

/// Mint, probe, deliver, retire. The trouble that it returns leaves everything
/// in order; the one that it fails with leaves nothing changed.
async fn rotate(
    tools: &Tools<'_>,
    session: &Session,
    at: Circumstances<'_>,
    plan: &MintPlan,
    story: &mut Story,
) -> Result<Option<Trouble>, Trouble> {
    let berth = tools.brake.hold(tools.berths.enter(at.rotation.secrets.len())).await;
    let _berth = berth.map_err(Trouble::Stopped)?;
    if !plan.orphans.is_empty() && tools.brake.pass().is_ok() {
        let orphans = plan.orphans.iter().map(|index| story.lineage.members[*index].token.clone());
        for orphan in orphans.collect::<Vec<_>>() {
            end(session, story, &orphan, Ending::Delete, None).await;
        }
    }
    let case = Case { tools, session, at, lineage: &story.lineage };
    let newborn = match case.mint(plan).await {
        Ok(newborn) => newborn,
        Err(Miscarriage { trouble, predecessor }) => {
            story.set_end(predecessor.as_ref());
            return Err(trouble);
        }
    };
    let Newborn { member, value, until, probe, predecessor, twins, warnings } = newborn;
    story.warnings.extend(warnings);
    let writes = deliver(tools, at.rotation, &value, until, &story.readings).await;
    let minted = Minted { token: member.token.clone(), value };
    let trouble = verdict(&case, &minted, predecessor.as_ref(), until, &writes, &story.readings).await;
    let withdrawn = matches!(trouble, Some(Trouble::RefusedEverywhere { fate: Fate::Withdrawn, .. }));
    let written_at = tools.now().unwrap_or(at.now);
    for (reading, write) in story.readings.iter_mut().zip(&writes) {
        match write {
            Write::Written => *reading = Reading::UpdatedAt(written_at.min(until)),
            Write::Failed { refused: false, why } => *reading = Reading::Unreadable(why.clone()),
            Write::Skipped | Write::Failed { refused: true, .. } => {}
        }
    }
    story.set_end(predecessor.as_ref());
    if !withdrawn {
        story.lineage.members.insert(0, member);
        story.doubt_refused(&writes);
    }
    let is_delivered = writes.iter().any(|write| matches!(write, Write::Written));
    story.delivery = Some(Delivery { probe, predecessor, writes, withdrawn });
    if is_delivered {
        for twin in &twins {
            end(session, story, twin, Ending::Delete, Some(&minted)).await;
        }
        let at = Circumstances { now: written_at, ..at };
        retire_previous(session, at, story, Some(&minted)).await;
    }
    Ok(trouble)
}

/// To every destination at once. One that fails does not stop the others.
async fn deliver(
    tools: &Tools<'_>,
    rotation: &Rotation,
    value: &secrecy::SecretString,
    until: Timestamp,
    readings: &[Reading],
) -> Vec<Write> {
    let writes = rotation.secrets.iter().zip(readings).map(async |(secret, reading)| {
        if matches!(reading, Reading::Unreadable(_)) {
            return Write::Skipped;
        }
        match tools.github.write(secret, value, until).await {
            Ok(()) => Write::Written,
            Err(WriteError { refused, error, .. }) => Write::Failed { refused, why: error.to_string() },
        }
    });
    join_all(writes).await
}

/// Whether every destination took the token; if none did and none will, it is
/// withdrawn.
async fn verdict(
    case: &Case<'_>,
    minted: &Minted,
    predecessor: Option<&Token>,
    until: Timestamp,
    writes: &[Write],
    readings: &[Reading],
) -> Option<Trouble> {
    let id = minted.token.id.clone();
    let is_refused = |write: &Write| matches!(write, Write::Skipped | Write::Failed { refused: true, .. });
    if !writes.is_empty() && writes.iter().all(is_refused) {
        let fate = case.fate(minted, predecessor).await;
        return Some(Trouble::RefusedEverywhere { id, fate });
    }
    let secrets = case.at.rotation.secrets.iter();
    let (mut failed, mut dead, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    for ((secret, write), reading) in secrets.zip(writes).zip(readings) {
        match (write, reading) {
            (Write::Written, _) => {}
            (Write::Skipped, Reading::Unreadable(why)) => {
                dead.push(secret.destination.to_string());
                reasons.push(why.clone());
            }
            _ => failed.push(secret.destination.to_string()),
        }
    }
    if !failed.is_empty() {
        failed.extend(dead);
        let until = super::lineage::after(until, super::lineage::TOLERANCE);
        return Some(Trouble::Undelivered { id, destinations: failed, until });
    }
    (!dead.is_empty()).then_some(Trouble::DeadDestination { destinations: dead, reasons })
}

/// Ends the previous tokens that nobody can hold any more, but not the credential
/// that all this is done with.
async fn retire_previous(
    session: &Session,
    at: Circumstances<'_>,
    story: &mut Story,
    minted: Option<&Minted>,
) {
    for one in plan::retirements(&at, &story.lineage, &story.readings) {
        let member = &story.lineage.members[one.member];
        let token = member.token.clone();
        if story.retired.contains(&token.id) {
            continue;
        }
        // Nothing works with one that has ended.
        if member.is_live(at.now) && session.provider.may_be(&token, &session.credential) {
            let until =
                token.expires_at.map(|end| format!("; it ends by itself at {end}")).unwrap_or_default();
            story
                .warnings
                .push(format!("token {} may be the credential in use and was not ended{until}", token.id));
            continue;
        }
        end(session, story, &token, one.ending, minted).await;
        if story.retired.contains(&token.id) {
            story.warn_of_use(&at, one);
        }
    }
    for one in plan::expiries_to_set(&at, &story.lineage, &story.readings) {
        set_expiry(session, story, one, minted).await;
    }
}

/// Tells the provider when to end a previous token. Where that fails, a run after the
/// overlap retires the token.
async fn set_expiry(session: &Session, story: &mut Story, one: Retirement, minted: Option<&Minted>) {
    let Retirement { member, from: expires_at, .. } = one;
    let token = &story.lineage.members[member].token;
    let is_credential = session.provider.may_be(token, &session.credential);
    if is_credential || story.retired.contains(&token.id) {
        return;
    }
    let keys = keyring(session, story, minted);
    let set = async |credential: &_| session.provider.set_expiry(credential, token, expires_at).await;
    match keys.call(set).await {
        Ok(()) => story.lineage.members[member].token.expires_at = Some(expires_at),
        Err(error) => story.warnings.push(format!(
            "the expiry of token {} could not be set: {error}. A run after {expires_at:.0} retires it",
            token.id
        )),
    }
}

fn keyring<'a>(session: &'a Session, story: &Story, minted: Option<&'a Minted>) -> Keyring<'a> {
    let predecessor = story.delivery.as_ref().and_then(|delivery| delivery.predecessor.as_ref());
    match minted {
        Some(minted) => Keyring::after_mint(session, &minted.value, predecessor),
        None => Keyring::before_mint(session),
    }
}

/// Ends one token.
async fn end(session: &Session, story: &mut Story, token: &Token, ending: Ending, minted: Option<&Minted>) {
    let keys = keyring(session, story, minted);
    match retire::retire(session, &keys, token, ending).await {
        Ok(()) => story.retired.push(token.id.clone()),
        Err(error) => story.warnings.push(format!("token {} could not be ended: {error}", token.id)),
    }
}

impl Story {
    /// The token that a destination holds. While another run is at work, only what
    /// holds the newest token is known: the others may be written at any moment.
    pub(super) fn holder(&self, index: usize) -> Holder {
        let holder = self.readings.get(index).map_or(Holder::Unknown, |reading| self.lineage.holder(reading));
        match (&self.trouble, holder) {
            (Some(Trouble::InFlight { .. }), Holder::Member(0)) => holder,
            (Some(trouble), _) if trouble.is_another_run() => Holder::Unknown,
            _ => holder,
        }
    }

    /// Takes note of the end that a mint gave to the predecessor.
    fn set_end(&mut self, predecessor: Option<&Token>) {
        let Some(ended) = predecessor else { return };
        for old in self.lineage.members.iter_mut().filter(|old| old.token.id == ended.id) {
            old.token.expires_at = ended.expires_at;
        }
    }

    /// A secret that was written just before the mint, and refused since, looks as if
    /// it held the newborn. It does not, so nobody knows what it holds.
    fn doubt_refused(&mut self, writes: &[Write]) {
        for (reading, write) in self.readings.iter_mut().zip(writes) {
            if let Write::Failed { refused: true, why } = write
                && self.lineage.holder(reading) == Holder::Member(0)
            {
                *reading = Reading::Unreadable(why.clone());
            }
        }
    }

    /// Says which tokens are left alone because of their markers, and which are ended
    /// although little supports that they were replaced.
    fn warn_of_doubts(&mut self, at: &Circumstances<'_>, plan: &Plan) {
        self.warnings.extend(self.lineage.ignored.iter().map(ToString::to_string));
        let id = |member: usize| self.lineage.members[member].token.id.as_str();
        let kept = plan::withheld(at, &self.lineage, &self.readings);
        let mut doubts: Vec<String> = kept
            .into_iter()
            .map(|member| {
                format!(
                    "token {} is not retired: only an unsigned marker says that it was replaced. If crossfade made \
                     the newer token, delete this one at the provider",
                    id(member)
                )
            })
            .collect();
        for one in plan.retire.iter().filter(|one| self.lineage.members[one.member].is_live(at.now)) {
            if let Some(newer) = self.lineage.siblings(one.member).next() {
                doubts.push(format!(
                    "token {} is retired because token {} has the marker of a later attempt of the same run. If crossfade \
                     did not make that one, replace the token now with --force",
                    id(one.member),
                    newer.token.id
                ));
            } else if one.support == Support::EqualPrivileges {
                doubts.push(format!(
                    "token {} is retired although only an unsigned marker says that it was replaced",
                    id(one.member)
                ));
            }
        }
        if let Some(last) = doubts.last_mut() {
            last.push_str(". Set CROSSFADE_MARKER_KEY to sign the markers of new tokens");
        }
        self.warnings.extend(doubts);
    }

    /// Says who may miss a token that is ended: whoever used it of late.
    fn warn_of_use(&mut self, at: &Circumstances<'_>, one: Retirement) {
        let Some(used_at) = plan::used_since_replaced(at, &self.lineage, &self.readings, one.member) else {
            return;
        };
        let id = &self.lineage.members[one.member].token.id;
        let what = match one.ending {
            Ending::Disable => format!(
                "It is disabled, and deleted {} later: enable it at the provider if it is needed",
                at.rotation.policy.delete_disabled_after()
            ),
            // It was disabled a while ago, and that was said then.
            Ending::Delete if at.profile.can_disable => return,
            Ending::Delete => "It is deleted".to_owned(),
        };
        self.warnings.push(format!(
            "token {id} was last used at {used_at}, after every destination had its successor: a copy of it is in \
             use elsewhere, or a job waited long. {what}"
        ));
    }

    /// Every destination is unreadable: the reason why there is no clock.
    fn dead_destination(&self, rotation: &Rotation) -> Option<Trouble> {
        let (mut destinations, mut reasons) = (Vec::new(), Vec::new());
        for (secret, reading) in rotation.secrets.iter().zip(&self.readings) {
            if let Reading::Unreadable(why) = reading {
                destinations.push(secret.destination.to_string());
                reasons.push(why.clone());
            }
        }
        (!destinations.is_empty()).then_some(Trouble::Unreadable { destinations, reasons })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_be_five_minutes_apart() {
        let second = SignedDuration::from_secs(1);
        for skew in [SKEW, -SKEW, second] {
            assert!(check_clocks(skew).is_ok(), "{skew}");
        }
        for (skew, expected) in [(SKEW + second, "ahead of"), (-SKEW - second, "behind")] {
            let Err(Trouble::ClocksDiffer { minutes: 5, direction }) = check_clocks(skew) else {
                panic!("{skew} is too much")
            };
            assert_eq!(direction, expected);
        }
    }
}
