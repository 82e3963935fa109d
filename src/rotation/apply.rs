//! Runs one rotation from beginning to end: the only place where a plan is carried out.
//!
//! *Observe, plan, preflight, mint, verify, deliver, retire.* A dry run stops after the
//! preflight. [`super::outcome`] turns the resulting [`RotationRun`] into a report.

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::RunContext;
use super::error::{Cleanup, RotationError};
use super::lineage::{Holder, Lineage, Observation, SKEW};
use super::mint::{MintAttempt, MintFailure, NewToken};
use super::plan::{self, MintPlan, Plan, PlanInput, Retirement, Step};
use super::retire;
use super::session::{CredentialFallback, ProviderSession};
use crate::config::Rotation;
use crate::github::{self, Evidence, WriteError};
use crate::provider::{Ending, ErrorKind, Minted, Token, Verification};

/// What one rotation observed, planned and did, up to the point that it reached.
#[derive(Debug, Default)]
pub(super) struct RotationRun {
    /// GitHub's time when the plan was made.
    pub(super) now: Option<Timestamp>,
    /// The rotation's tokens, newest first; after a mint, the new token is the first.
    pub(super) lineage: Lineage,
    /// One for each destination, updated after the delivery.
    pub(super) observations: Vec<Observation>,
    /// The same as first read; empty if nothing was read.
    pub(super) first_observations: Vec<Observation>,
    /// `None` if the run failed before it had a plan.
    pub(super) plan: Option<Plan>,
    pub(super) delivery: Option<Delivery>,
    /// Ids of the retired tokens; in a dry run, of those that would be.
    pub(super) retired: Vec<String>,
    /// Problems that did not fail the rotation.
    pub(super) warnings: Vec<String>,
    pub(super) error: Option<RotationError>,
}

/// The delivery of a new token.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) verification: Verification,
    /// The previous token, with its new expiry.
    pub(super) previous: Option<Token>,
    /// For each destination: written, not tried, or why not.
    pub(super) writes: Vec<Write>,
    /// Every destination refused it, so it was revoked.
    pub(super) revoked: bool,
}

/// The result of the write to one destination.
#[derive(Debug, Clone)]
pub(super) enum Write {
    /// GitHub acknowledged it.
    Written,
    /// Not tried, because the destination could not be read or prepared.
    Skipped,
    /// The write failed. Unless `refused`, GitHub may still have applied it.
    Failed {
        /// GitHub certainly did not apply it, and will refuse it again.
        refused: bool,
        /// Why.
        why: String,
    },
}

pub(super) async fn apply(
    context: &RunContext<'_>,
    session: &ProviderSession,
    rotation: &Rotation,
) -> RotationRun {
    let mut run = RotationRun::default();
    if let Err(error) = execute(context, session, rotation, &mut run).await {
        run.error = Some(error);
    }
    run
}

async fn execute(
    context: &RunContext<'_>,
    session: &ProviderSession,
    rotation: &Rotation,
    run: &mut RotationRun,
) -> Result<(), RotationError> {
    context
        .stop_signal
        .unless_stopped(observe(context, session, rotation, run))
        .await
        .map_err(RotationError::Stopped)??;
    let now = context.now()?;
    run.now = Some(now);
    let input = PlanInput { rotation, profile: session.provider.profile(), now, force: context.force };
    let mut plan = plan::plan(&input, &run.lineage, &run.observations)?;
    if matches!(plan.step, Step::Mint(_)) && !context.read_only {
        let prepared = preflight(context, rotation, &mut run.observations, &mut run.warnings);
        let all_writable =
            context.stop_signal.unless_stopped(prepared).await.map_err(RotationError::Stopped)?;
        plan = plan::plan(&input, &run.lineage, &run.observations)?;
        if let Step::Mint(mint) = &mut plan.step {
            // A dry run sends no write check, so it reports the most likely result.
            mint.keeps_previous = !all_writable && !context.dry_run;
        }
    }
    if let (Step::Refuse(RotationError::NoSuchToken { token, nearest }), Ok(all)) =
        (&mut plan.step, session.tokens().await)
    {
        let names: Vec<String> = all.iter().map(|token| super::marker::strip(&token.name)).collect();
        let known = names.iter().chain(all.iter().map(|token| &token.id)).map(String::as_str);
        *nearest = crate::diagnostic::nearest(token, known).map(str::to_owned);
    }
    let step = plan.step.clone();
    run.warn_of_doubts(&input, &plan);
    run.retired = plan.retire.iter().map(|one| run.lineage.members[one.member].token.id.clone()).collect();
    if context.dry_run {
        plan.retire.iter().for_each(|one| run.warn_of_use(&input, *one));
    }
    run.plan = Some(plan);
    if context.dry_run {
        return match step {
            Step::Refuse(error) => Err(error),
            Step::Nothing | Step::Mint(_) => Ok(()),
        };
    }
    run.retired.clear();
    let refused = match step {
        Step::Nothing => None,
        Step::Refuse(error) => Some(error),
        // On the heap: of a thousand rotations few mint on the same day.
        Step::Mint(mint) => Box::pin(rotate(context, session, input, &mint, run)).await?,
    };
    if run.delivery.is_none() {
        retire_previous(session, input, run, None).await;
    }
    refused.map_or(Ok(()), Err)
}

/// Reads the provider's tokens and GitHub's timestamps in parallel, then compares the
/// clocks.
async fn observe(
    context: &RunContext<'_>,
    session: &ProviderSession,
    rotation: &Rotation,
    run: &mut RotationRun,
) -> Result<(), RotationError> {
    let (tokens, observations) = tokio::join!(session.tokens(), context.github.observe(&rotation.secrets));
    run.observations = observations
        .into_iter()
        .map(|observation| match observation {
            Ok(github::SecretState::Missing) => Observation::Missing,
            Ok(github::SecretState::UpdatedAt(at)) => Observation::UpdatedAt(at),
            Err(error) => Observation::Unreadable(error.to_string()),
        })
        .collect();
    run.first_observations.clone_from(&run.observations);
    let tokens = tokens.map_err(RotationError::Observe)?;
    let Some(now) = context.clock.now() else {
        return Err(run.unreadable_destinations(rotation).unwrap_or(RotationError::NoClock));
    };
    match context.clock.skew(session.clock) {
        Some(skew) => check_clocks(skew)?,
        None => run.warnings.push("the provider sends no date, so its clock could not be checked".to_owned()),
    }
    run.lineage = Lineage::trace(rotation, tokens, &context.marker_keys, now)?;
    if run.lineage.members.is_empty() && session.provider.could_be_id(&rotation.token) {
        // A list may leave a token out; one that is named by its id can be read
        // directly.
        let found = session.provider.get(&session.credential, &rotation.token).await;
        match found {
            Ok(Some(token)) => {
                run.lineage = Lineage::trace(rotation, &[token], &context.marker_keys, now)?;
            }
            // A name where an id belongs is refused as invalid.
            Err(error) if error.kind != ErrorKind::Invalid => return Err(RotationError::Observe(error)),
            Ok(None) | Err(_) => {}
        }
    }
    Ok(())
}

/// Expiry dates cannot be compared across clocks that differ much. `skew`: how far the
/// provider's clock is ahead of GitHub's.
fn check_clocks(skew: SignedDuration) -> Result<(), RotationError> {
    if skew.abs() <= SKEW {
        return Ok(());
    }
    let direction = if skew.is_negative() { "behind" } else { "ahead of" };
    Err(RotationError::ClocksDiffer { minutes: skew.abs().as_mins(), direction })
}

/// Fetches what the writes will need. A destination that cannot be prepared, or is known
/// to refuse writes, becomes unreadable. Returns whether all destinations are known to
/// accept writes.
async fn preflight(
    context: &RunContext<'_>,
    rotation: &Rotation,
    observations: &mut [Observation],
    warnings: &mut Vec<String>,
) -> bool {
    let prepared =
        rotation.secrets.iter().zip(observations.iter()).map(
            async |(secret, observation)| match observation {
                Observation::Unreadable(_) => Ok(Evidence::default()),
                _ => context.github.preflight(secret).await,
            },
        );
    let prepared = join_all(prepared).await;
    let mut all_writable = true;
    for (observation, result) in observations.iter_mut().zip(prepared) {
        match result {
            Ok(Evidence { is_writable, warning }) => {
                all_writable &= is_writable;
                warnings.extend(warning.filter(|warning| !warnings.contains(warning)));
            }
            Err(error) => {
                all_writable = false;
                *observation = Observation::Unreadable(error.to_string());
            }
        }
    }
    all_writable
}

/// Mints, verifies, delivers and retires. `Ok` with an error: the delivery was
/// incomplete, and its state is in `run`. `Err`: no secret was changed.
async fn rotate(
    context: &RunContext<'_>,
    session: &ProviderSession,
    input: PlanInput<'_>,
    plan: &MintPlan,
    run: &mut RotationRun,
) -> Result<Option<RotationError>, RotationError> {
    let slot = context
        .stop_signal
        .unless_stopped(context.delivery_slots.acquire(input.rotation.secrets.len()))
        .await;
    let _slot = slot.map_err(RotationError::Stopped)?;
    if !plan.orphans.is_empty() && context.stop_signal.check().is_ok() {
        let orphans = plan.orphans.iter().map(|index| run.lineage.members[*index].token.clone());
        for orphan in orphans.collect::<Vec<_>>() {
            end(session, run, &orphan, Ending::Delete, None).await;
        }
    }
    let attempt = MintAttempt { context, session, input, lineage: &run.lineage };
    let new_token = match attempt.mint(plan).await {
        Ok(new_token) => new_token,
        Err(MintFailure { error, previous }) => {
            run.set_end(previous.as_ref());
            return Err(error);
        }
    };
    let NewToken { member, value, until, verification, previous, lost_attempts, warnings } = new_token;
    run.warnings.extend(warnings);
    let writes = deliver(context, input.rotation, &value, until, &run.observations).await;
    let minted = Minted { token: member.token.clone(), value };
    let error = delivery_error(&attempt, &minted, previous.as_ref(), until, &writes, &run.observations).await;
    let revoked = matches!(error, Some(RotationError::RefusedEverywhere { cleanup: Cleanup::Revoked, .. }));
    let written_at = context.now().unwrap_or(input.now);
    for (observation, write) in run.observations.iter_mut().zip(&writes) {
        match write {
            Write::Written => *observation = Observation::UpdatedAt(written_at.min(until)),
            Write::Failed { refused: false, why } => *observation = Observation::Unreadable(why.clone()),
            Write::Skipped | Write::Failed { refused: true, .. } => {}
        }
    }
    run.set_end(previous.as_ref());
    if !revoked {
        run.lineage.members.insert(0, member);
        run.doubt_refused(&writes);
    }
    let is_delivered = writes.iter().any(|write| matches!(write, Write::Written));
    run.delivery = Some(Delivery { verification, previous, writes, revoked });
    if is_delivered {
        for lost_attempt in &lost_attempts {
            end(session, run, lost_attempt, Ending::Delete, Some(&minted)).await;
        }
        let input = PlanInput { now: written_at, ..input };
        retire_previous(session, input, run, Some(&minted)).await;
    }
    Ok(error)
}

/// Writes to all destinations at once. One failure does not stop the others.
async fn deliver(
    context: &RunContext<'_>,
    rotation: &Rotation,
    value: &secrecy::SecretString,
    until: Timestamp,
    observations: &[Observation],
) -> Vec<Write> {
    let writes = rotation.secrets.iter().zip(observations).map(async |(secret, observation)| {
        if matches!(observation, Observation::Unreadable(_)) {
            return Write::Skipped;
        }
        match context.github.write(secret, value, until).await {
            Ok(()) => Write::Written,
            Err(WriteError { refused, error, .. }) => Write::Failed { refused, why: error.to_string() },
        }
    });
    join_all(writes).await
}

/// The error of an incomplete delivery. If every destination refused the token, it is
/// revoked.
async fn delivery_error(
    attempt: &MintAttempt<'_>,
    minted: &Minted,
    previous: Option<&Token>,
    until: Timestamp,
    writes: &[Write],
    observations: &[Observation],
) -> Option<RotationError> {
    let id = minted.token.id.clone();
    let is_refused = |write: &Write| matches!(write, Write::Skipped | Write::Failed { refused: true, .. });
    if !writes.is_empty() && writes.iter().all(is_refused) {
        let cleanup = attempt.revoke(minted, previous).await;
        return Some(RotationError::RefusedEverywhere { id, cleanup });
    }
    let secrets = attempt.input.rotation.secrets.iter();
    let (mut failed, mut not_read, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    for ((secret, write), observation) in secrets.zip(writes).zip(observations) {
        match (write, observation) {
            (Write::Written, _) => {}
            (Write::Skipped, Observation::Unreadable(why)) => {
                not_read.push(secret.destination.to_string());
                reasons.push(why.clone());
            }
            _ => failed.push(secret.destination.to_string()),
        }
    }
    if !failed.is_empty() {
        failed.extend(not_read);
        let until = super::lineage::after(until, super::lineage::TOLERANCE);
        return Some(RotationError::Undelivered { id, destinations: failed, until });
    }
    (!not_read.is_empty()).then_some(RotationError::DestinationNotRead { destinations: not_read, reasons })
}

/// Retires the previous tokens that no destination can hold any more, except the
/// provider credential in use.
async fn retire_previous(
    session: &ProviderSession,
    input: PlanInput<'_>,
    run: &mut RotationRun,
    minted: Option<&Minted>,
) {
    for one in plan::retirements(&input, &run.lineage, &run.observations) {
        let member = &run.lineage.members[one.member];
        let token = member.token.clone();
        if run.retired.contains(&token.id) {
            continue;
        }
        // An ended token cannot be the credential in use.
        if member.is_live(input.now) && session.provider.could_be_value_of(&token, &session.credential) {
            let until =
                token.expires_at.map(|end| format!("; it ends by itself at {end}")).unwrap_or_default();
            run.warnings
                .push(format!("token {} may be the credential in use and was not ended{until}", token.id));
            continue;
        }
        end(session, run, &token, one.ending, minted).await;
        if run.retired.contains(&token.id) {
            run.warn_of_use(&input, one);
        }
    }
    for one in plan::expiries_to_set(&input, &run.lineage, &run.observations) {
        set_expiry(session, run, one, minted).await;
    }
}

/// Sets the expiry of a previous token. If that fails, a run after the overlap retires
/// it.
async fn set_expiry(
    session: &ProviderSession,
    run: &mut RotationRun,
    one: Retirement,
    minted: Option<&Minted>,
) {
    let Retirement { member, from: expires_at, .. } = one;
    let token = &run.lineage.members[member].token;
    let is_credential = session.provider.could_be_value_of(token, &session.credential);
    if is_credential || run.retired.contains(&token.id) {
        return;
    }
    let credentials = credentials(session, run, minted);
    let set = async |credential: &_| session.provider.set_expiry(credential, token, expires_at).await;
    match credentials.call(set).await {
        Ok(()) => run.lineage.members[member].token.expires_at = Some(expires_at),
        Err(error) => run.warnings.push(format!(
            "the expiry of token {} could not be set: {error}. A run after {expires_at:.0} retires it",
            token.id
        )),
    }
}

fn credentials<'a>(
    session: &'a ProviderSession,
    run: &RotationRun,
    minted: Option<&'a Minted>,
) -> CredentialFallback<'a> {
    let previous = run.delivery.as_ref().and_then(|delivery| delivery.previous.as_ref());
    match minted {
        Some(minted) => CredentialFallback::after_mint(session, &minted.value, previous),
        None => CredentialFallback::before_mint(session),
    }
}

async fn end(
    session: &ProviderSession,
    run: &mut RotationRun,
    token: &Token,
    ending: Ending,
    minted: Option<&Minted>,
) {
    let credentials = credentials(session, run, minted);
    match retire::retire(session, &credentials, token, ending).await {
        Ok(()) => run.retired.push(token.id.clone()),
        Err(error) => run.warnings.push(format!("token {} could not be ended: {error}", token.id)),
    }
}

impl RotationRun {
    /// The token that a destination holds. While another run delivers, only the holders
    /// of the newest token are known: the others may be written at any moment.
    pub(super) fn holder(&self, index: usize) -> Holder {
        let holder = self
            .observations
            .get(index)
            .map_or(Holder::Unknown, |observation| self.lineage.holder(observation));
        match (&self.error, holder) {
            (Some(RotationError::InFlight { .. }), Holder::Member(0)) => holder,
            (Some(error), _) if error.is_another_run() => Holder::Unknown,
            _ => holder,
        }
    }

    /// Records the expiry that a mint gave to the previous token.
    fn set_end(&mut self, previous: Option<&Token>) {
        let Some(ended) = previous else { return };
        for old in self.lineage.members.iter_mut().filter(|old| old.token.id == ended.id) {
            old.token.expires_at = ended.expires_at;
        }
    }

    /// A secret that was written right before the mint, and refused the new token, has a
    /// timestamp as if it held that token. Its content is unknown.
    fn doubt_refused(&mut self, writes: &[Write]) {
        for (observation, write) in self.observations.iter_mut().zip(writes) {
            if let Write::Failed { refused: true, why } = write
                && self.lineage.holder(observation) == Holder::Member(0)
            {
                *observation = Observation::Unreadable(why.clone());
            }
        }
    }

    /// Without any readable destination there is no GitHub date either: reports the
    /// cause.
    fn unreadable_destinations(&self, rotation: &Rotation) -> Option<RotationError> {
        let (mut destinations, mut reasons) = (Vec::new(), Vec::new());
        for (secret, observation) in rotation.secrets.iter().zip(&self.observations) {
            if let Observation::Unreadable(why) = observation {
                destinations.push(secret.destination.to_string());
                reasons.push(why.clone());
            }
        }
        (!destinations.is_empty()).then_some(RotationError::Unreadable { destinations, reasons })
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
            let Err(RotationError::ClocksDiffer { minutes: 5, direction }) = check_clocks(skew) else {
                panic!("{skew} is too much")
            };
            assert_eq!(direction, expected);
        }
    }
}
