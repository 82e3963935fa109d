//! Runs one rotation from beginning to end: the only place where a plan is carried out.
//!
//! *Observe, plan, preflight, mint, verify, deliver, retire.* A dry run stops after the
//! preflight. [`super::report`] turns the resulting [`RotationRun`] into a report.

use futures_util::future::{join, join_all};
use jiff::{SignedDuration, Timestamp};

use super::RunContext;
use super::confirmation::Share;
use super::error::{Causes, Cleanup, RotationError};
use super::lineage::{Lineage, Member, SKEW, TOLERANCE, after};
use super::mint::{MintAttempt, MintFailure, NewToken};
use super::plan::{self, MintPlan, Plan, PlanInput, Retirement, Situation, Step};
use super::retire::retire;
use super::secret::{Holder, Secret};
use super::session::{CredentialFallback, ProviderSession};
use super::workflows;
use crate::config::Rotation;
use crate::github::{self, Evidence, Mode, WriteError};
use crate::progress::Stage;
use crate::provider::{ErrorKind, Minted, RetireAction, Token};
use crate::report::{PlannedMint, VerificationOutcome};

/// What one rotation observed, planned and did, up to the point that it reached.
#[derive(Debug, Default)]
pub(super) struct RotationRun {
    /// GitHub's time when the plan was made.
    pub(super) now: Option<Timestamp>,
    /// The rotation's tokens, with the new one after a mint.
    pub(super) lineage: Lineage,
    /// One for each destination; empty if nothing was read.
    pub(super) secrets: Vec<Secret>,
    /// `None` if the run failed before it had a plan.
    pub(super) plan: Option<Plan>,
    /// What would be minted, in a dry run.
    pub(super) planned: Option<PlannedMint>,
    pub(super) delivery: Option<Delivery>,
    /// The ids of the tokens that this run ended.
    pub(super) retired: Vec<String>,
    /// Workflows, by their index, that the preflight found cannot be started.
    pub(super) obstacles: Vec<(usize, github::Error)>,
    /// Previous tokens that this run or a later one retires.
    pub(super) retirements: Vec<Retirement>,
    /// From when on a later run mints; `None`: the next one does, or it is unknown.
    pub(super) next_rotation_at: Option<Timestamp>,
    /// Problems that did not fail the rotation.
    pub(super) warnings: Vec<String>,
    pub(super) error: Option<RotationError>,
}

#[derive(Debug)]
pub(super) struct Delivery {
    minted: Minted,
    pub(super) verification: VerificationOutcome,
    /// The previous token, with its new expiry.
    pub(super) previous: Option<Token>,
}

/// `error`: why the rotation cannot be run at all.
pub(super) async fn apply(
    context: &RunContext<'_>,
    session: &ProviderSession,
    rotation: &Rotation,
    error: Option<RotationError>,
    share: Share,
) -> RotationRun {
    let mut run = RotationRun::default();
    run.error = match error {
        Some(error) => Some(error),
        None => Box::pin(execute(context, session, rotation, share, &mut run)).await.err(),
    };
    if let Some(now) = run.now {
        let input = PlanInput { rotation, profile: session.provider.profile(), now, force: false };
        run.retirements = run.situation(input).retirements();
        run.next_rotation_at = match run.error {
            Some(RotationError::HeldBack { until, .. }) => Some(until),
            _ => plan::next_rotation_at(&run.situation(input), run.current()),
        };
        run.warn_of_no_overlap(session, input, context.mode);
    }
    run
}

async fn execute(
    context: &RunContext<'_>,
    session: &ProviderSession,
    rotation: &Rotation,
    share: Share,
    run: &mut RotationRun,
) -> Result<(), RotationError> {
    let now = context.unless_stopped(observe(context, session, rotation, run)).await??;
    run.now = Some(now);
    let input = PlanInput { rotation, profile: session.provider.profile(), now, force: context.force };
    let mut plan = plan::plan(&run.situation(input))?;
    let confirmed = share.confirm(input, &plan, &run.lineage);
    if let Err(error) = context.unless_stopped(confirmed).await.flatten() {
        run.plan = Some(plan);
        return Err(error);
    }
    if matches!(plan.step, Step::Mint(_)) && matches!(context.mode, Mode::DryRun | Mode::Apply) {
        let prepared = join(
            preflight(context, rotation, &mut run.secrets, &mut run.warnings),
            workflows::check(context, rotation),
        );
        let (all_writable, obstacles) = context.unless_stopped(prepared).await?;
        run.obstacles = obstacles;
        plan = plan::plan(&run.situation(input))?;
        if let Step::Mint(mint) = &mut plan.step {
            // A dry run sends no write check, so it reports the most likely result.
            mint.keeps_previous = !all_writable && context.mode == Mode::Apply;
        }
    }
    if let (Step::Mint(_), Some(what)) = (&plan.step, rotation.provider.unproved()) {
        let (provider, what) = (rotation.provider.kind.to_string(), what.to_owned());
        plan.step = Step::Refuse(RotationError::Unproved { provider, what });
    }
    if let (Step::Refuse(RotationError::NoSuchToken { token, nearest, visible }), Ok(all)) =
        (&mut plan.step, session.tokens().await)
    {
        let names: Vec<String> = all.iter().map(|token| super::marker::strip(&token.name)).collect();
        let known = names.iter().chain(all.iter().map(|token| &token.id)).map(String::as_str);
        *nearest = crate::diagnostic::nearest(token, known).map(str::to_owned);
        *visible = Some(all.len());
    }
    run.warn_of_doubts(input, &plan);
    if let Ok(tokens) = session.tokens().await {
        run.warn_of_named_token(rotation, tokens, &session.provider);
    }
    let (step, retirements) = (plan.step.clone(), plan.retire.clone());
    run.plan = Some(plan);
    let is_dry = context.mode != Mode::Apply;
    let refused = match step {
        Step::Nothing => None,
        Step::Refuse(error) => Some(error),
        Step::Mint(mint) if is_dry => {
            let previous = mint.previous.as_ref().and_then(|id| run.lineage.get(id));
            run.planned = Some(input.planned(&mint, previous, context.ahead(session.clock)));
            None
        }
        // On the heap: of a thousand rotations few mint on the same day.
        Step::Mint(mint) => Box::pin(rotate(context, session, input, &mint, run)).await?,
    };
    if is_dry {
        retirements.iter().for_each(|one| run.warn_of_use(input, one));
    } else if run.delivery.is_none() {
        run.retire_previous(session, input).await;
    }
    refused.map_or(Ok(()), Err)
}

/// Reads the provider's tokens and GitHub's timestamps in parallel, then compares the
/// clocks. Returns GitHub's time.
async fn observe(
    context: &RunContext<'_>,
    session: &ProviderSession,
    rotation: &Rotation,
    run: &mut RotationRun,
) -> Result<Timestamp, RotationError> {
    let (tokens, observations) = tokio::join!(session.tokens(), context.github.observe(&rotation.secrets));
    run.secrets = observations.into_iter().map(Secret::new).collect();
    let tokens = tokens.map_err(RotationError::Observe)?;
    let Some(now) = context.clock.now() else {
        // Without any readable destination there is no GitHub date either: report the cause.
        return Err(Causes::of(rotation, &run.secrets)
            .map_or(RotationError::NoClock, |causes| RotationError::Unreadable { causes }));
    };
    match context.clock.skew(session.clock) {
        Some(skew) => check_clocks(skew)?,
        None => run.warnings.push("the provider sends no date, so its clock could not be checked".to_owned()),
    }
    run.lineage = Lineage::trace(rotation, tokens, &context.marker_keys, now)?;
    if run.lineage.members.is_empty() && session.provider.could_be_id(&rotation.token) {
        // A list may leave out a token that can be read directly by its id.
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
    Ok(now)
}

/// Expiry dates cannot be compared across clocks that differ much. `skew`: how far the
/// provider's clock is ahead of GitHub's.
pub(super) fn check_clocks(skew: SignedDuration) -> Result<(), RotationError> {
    if skew.abs() <= SKEW {
        return Ok(());
    }
    let direction = if skew.is_negative() { "behind" } else { "ahead of" };
    Err(RotationError::ClocksDiffer { minutes: skew.abs().as_mins(), direction })
}

/// Fetches what the writes will need, and notes what stands in the way of a write.
/// Returns whether all destinations are known to accept writes.
pub(super) async fn preflight(
    context: &RunContext<'_>,
    rotation: &Rotation,
    secrets: &mut [Secret],
    warnings: &mut Vec<String>,
) -> bool {
    let prepared =
        rotation.secrets.iter().zip(&*secrets).map(async |(target, secret)| match secret.blocked() {
            Some(_) => Ok(Evidence::default()),
            None => context.github.preflight(target).await,
        });
    let prepared = join_all(prepared).await;
    for (secret, found) in secrets.iter_mut().zip(prepared) {
        let warning = found.as_ref().ok().and_then(|evidence| evidence.warning.as_ref());
        warnings.extend(warning.filter(|warning| !warnings.contains(warning)).cloned());
        secret.preflight = found;
    }
    secrets.iter().all(|secret| matches!(secret.preflight, Ok(Evidence { is_writable: true, .. })))
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
    let mut writes = context.progress.announce_writes(input.rotation.secrets.len());
    let slot = context.delivery_slots.acquire(input.rotation.secrets.len());
    let _slot = context.unless_stopped(slot).await?;
    context.unless_stopped(context.github.ready()).await?;
    if context.stop_signal.check().is_ok() {
        let orphans = plan.orphans.iter().filter_map(|id| run.lineage.get(id));
        for orphan in orphans.map(|member| member.token.clone()).collect::<Vec<_>>() {
            run.retire(session, &orphan, RetireAction::Delete).await;
        }
    }
    context.stop_signal.check().map_err(RotationError::Stopped)?;
    writes.enter(Stage::Creating);
    let attempt = MintAttempt { context, session, input, lineage: &run.lineage };
    let new_token = match attempt.mint(plan).await {
        Ok(new_token) => new_token,
        Err(MintFailure { error, previous }) => {
            run.lineage.set_expiry_of(previous.as_ref());
            return Err(error);
        }
    };
    let NewToken { member, value, until, verification, previous, lost_attempts, warning } = new_token;
    run.warnings.extend(warning);
    writes.enter(Stage::Delivering);
    let written_at = deliver(context, input, &value, until, &mut run.secrets).await;
    let minted = Minted { token: member.token.clone(), value };
    let error = delivery_error(&attempt, &minted, previous.as_ref(), until, &run.secrets).await;
    run.lineage.set_expiry_of(previous.as_ref());
    if !matches!(error, Some(RotationError::RefusedEverywhere { cleanup: Cleanup::Revoked, .. })) {
        run.lineage.add_minted(member);
    }
    run.delivery = Some(Delivery { minted, verification, previous });
    if run.secrets.iter().any(Secret::is_written) {
        for lost_attempt in &lost_attempts {
            run.retire(session, lost_attempt, RetireAction::Delete).await;
        }
        run.retire_previous(session, PlanInput { now: written_at, ..input }).await;
    }
    Ok(error)
}

/// Writes to all destinations at once, and returns when the last write was answered. One
/// failure does not stop the others.
async fn deliver(
    context: &RunContext<'_>,
    input: PlanInput<'_>,
    value: &secrecy::SecretString,
    until: Timestamp,
    secrets: &mut [Secret],
) -> Timestamp {
    let writes =
        input.rotation.secrets.iter().zip(&*secrets).map(async |(target, secret)| match secret.blocked() {
            Some(_) => {
                context.progress.wrote(false);
                None
            }
            None => Some(context.github.write(target, value, until).await),
        });
    let results = join_all(writes).await;
    let written_at = context.clock.now().unwrap_or(input.now);
    for (secret, result) in secrets.iter_mut().zip(results) {
        secret.write = result.map(|written| written.map(|()| written_at.min(until)));
    }
    written_at
}

/// The error of an incomplete delivery. A token that every destination refused is revoked.
async fn delivery_error(
    attempt: &MintAttempt<'_>,
    minted: &Minted,
    previous: Option<&Token>,
    until: Timestamp,
    secrets: &[Secret],
) -> Option<RotationError> {
    let id = minted.token.id.clone();
    let causes = Causes::of(attempt.input.rotation, secrets)?;
    if secrets.iter().all(|secret| matches!(secret.write, None | Some(Err(WriteError { refused: true, .. }))))
    {
        let cleanup = attempt.revoke(minted, previous).await;
        return Some(RotationError::RefusedEverywhere { id, causes, cleanup });
    }
    if secrets.iter().all(|secret| secret.write.is_none() || secret.is_written()) {
        return Some(RotationError::DestinationNotRead { causes });
    }
    Some(RotationError::Undelivered { id, causes, of: secrets.len(), until: after(until, TOLERANCE) })
}

impl RotationRun {
    pub(super) fn situation<'a>(&'a self, input: PlanInput<'a>) -> Situation<'a> {
        Situation::new(input, &self.lineage, &self.secrets)
    }

    /// Retires the previous tokens that no destination can hold, except the credential in use.
    async fn retire_previous(&mut self, session: &ProviderSession, input: PlanInput<'_>) {
        for one in self.situation(input).retirements_now() {
            let Some(member) = self.lineage.get(&one.token) else { continue };
            let token = member.token.clone();
            if self.retired.contains(&one.token) {
                continue;
            }
            // An ended token cannot be the credential in use.
            if member.is_live(input.now) && session.provider.is_value_of(&token, &session.credential).await {
                let until =
                    token.expires_at.map(|end| format!("; it ends by itself at {end}")).unwrap_or_default();
                let id = token.id;
                self.warnings
                    .push(format!("token {id} may be the credential in use and was not ended{until}"));
                continue;
            }
            self.retire(session, &token, one.action).await;
            if self.retired.contains(&one.token) {
                self.warn_of_use(input, &one);
            }
        }
        for one in self.situation(input).expiries_to_set() {
            self.set_expiry(session, &one).await;
        }
    }

    /// Sets the expiry of a previous token. If that fails, a run after the overlap retires it.
    async fn set_expiry(&mut self, session: &ProviderSession, one: &Retirement) {
        let expires_at = one.from;
        let Some(Member { token, .. }) = self.lineage.get(&one.token) else { return };
        let is_credential = session.provider.is_value_of(token, &session.credential).await;
        if is_credential || self.retired.contains(&one.token) {
            return;
        }
        let set = async |credential: &_| session.provider.set_expiry(credential, token, expires_at).await;
        match self.credentials(session).call(set).await {
            Ok(()) => {
                let token = Token { expires_at: Some(expires_at), ..token.clone() };
                self.lineage.set_expiry_of(Some(&token));
            }
            Err(error) => self.warnings.push(format!(
                "the expiry of token {} could not be set: {error}. A run after {expires_at:.0} retires it",
                token.id
            )),
        }
    }

    async fn retire(&mut self, session: &ProviderSession, token: &Token, action: RetireAction) {
        match retire(session, &self.credentials(session), token, action).await {
            Ok(()) => self.retired.push(token.id.clone()),
            Err(why) => self.warnings.push(format!("token {} could not be ended: {why}", token.id)),
        }
    }

    fn credentials<'a>(&'a self, session: &'a ProviderSession) -> CredentialFallback<'a> {
        match &self.delivery {
            Some(Delivery { minted, previous, .. }) => {
                CredentialFallback::after_mint(session, &minted.value, previous.as_ref())
            }
            None => CredentialFallback::before_mint(session),
        }
    }

    /// Whether this run ended this token. The new one may have got the id of a token that
    /// was ended before it was minted.
    pub(super) fn has_retired(&self, member: &Member) -> bool {
        let id = &member.token.id;
        self.retired.contains(id) && self.lineage.minted.as_ref() != Some(id)
    }

    /// The token that destinations should hold now.
    pub(super) fn current(&self) -> Option<&Member> {
        self.lineage.minted().or_else(|| self.lineage.get(self.plan.as_ref()?.current.as_ref()?))
    }

    /// What a destination holds. While another run delivers, only the holders of the newest
    /// token are known: the others may be written at any moment.
    pub(super) fn holder(&self, index: usize) -> Holder<'_> {
        let holder = self.secrets.get(index).map_or(Holder::NotRead, |secret| self.lineage.holder(secret));
        let holds_newest = self.lineage.members.first().is_some_and(|newest| holder.is(newest));
        match &self.error {
            Some(RotationError::InFlight { .. }) if holds_newest || matches!(holder, Holder::Missing) => {
                holder
            }
            Some(error) if error.is_another_run() => Holder::Unknown(None),
            _ => holder,
        }
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
