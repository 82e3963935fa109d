//! Runs one rotation from beginning to end: the only place where a plan is carried out.
//!
//! *Observe, plan, preflight, mint, verify, deliver, retire.* A dry run stops after the
//! preflight. [`super::report`] turns the resulting [`RotationRun`] into a report.

use futures_util::future::{join, join_all};
use jiff::{SignedDuration, Timestamp};

use super::RunContext;
use super::confirmation::Share;
use super::error::{Causes, Cleanup, RotationError};
use super::lineage::{Lineage, Member, SKEW, TOLERANCE, TokenId, after};
use super::mint::{MintAttempt, MintFailure, NewToken};
use super::plan::{self, MintPlan, Outlook, Plan, PlanInput, Retirement, Situation, Step};
use super::retire;
use super::secret::{Holder, Observation, Secret, Write};
use super::session::{CredentialFallback, ProviderSession};
use super::workflows;
use crate::config::Rotation;
use crate::github::{self, Evidence, Mode, WriteError};
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
    pub(super) retired: Vec<TokenId>,
    /// Workflows, by their index, that the preflight found cannot be started.
    pub(super) obstacles: Vec<(usize, github::Error)>,
    /// What later runs will do.
    pub(super) outlook: Outlook,
    /// Problems that did not fail the rotation.
    pub(super) warnings: Vec<String>,
    pub(super) error: Option<RotationError>,
}

/// The delivery of a new token.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) verification: VerificationOutcome,
    /// The previous token, with its new expiry.
    pub(super) previous: Option<Token>,
}

pub(super) async fn apply(
    context: &RunContext<'_>,
    session: &ProviderSession,
    rotation: &Rotation,
    share: Share<'_>,
) -> RotationRun {
    let mut run = RotationRun::default();
    run.error = execute(context, session, rotation, share, &mut run).await.err();
    if let Some(now) = run.now {
        let input = PlanInput { rotation, profile: session.provider.profile(), now, force: false };
        run.outlook = plan::outlook(&run.situation(input), run.current());
        if let Some(RotationError::HeldBack { until, .. }) = &run.error {
            run.outlook.next_rotation_at = Some(*until);
        }
        run.warn_of_no_overlap(session, input, context.mode);
    }
    run
}

async fn execute(
    context: &RunContext<'_>,
    session: &ProviderSession,
    rotation: &Rotation,
    share: Share<'_>,
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
    let mut plan = plan::plan(&run.situation(input))?;
    let confirmed = share.confirm(input, &plan, &run.lineage);
    let confirmed = context.stop_signal.unless_stopped(confirmed).await.map_err(RotationError::Stopped);
    if let Err(error) = confirmed.flatten() {
        run.plan = Some(plan);
        return Err(error);
    }
    if matches!(plan.step, Step::Mint(_)) && matches!(context.mode, Mode::DryRun | Mode::Apply) {
        let prepared = join(
            preflight(context, rotation, &mut run.secrets, &mut run.warnings),
            workflows::check(context, rotation),
        );
        let (all_writable, obstacles) =
            context.stop_signal.unless_stopped(prepared).await.map_err(RotationError::Stopped)?;
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
    run.warn_of_doubts(now, &plan);
    if let Ok(tokens) = session.tokens().await {
        run.warn_of_named_token(rotation, tokens, &session.provider);
    }
    if context.mode != Mode::Apply {
        return run.rehearse(input, plan, context.ahead(session.clock));
    }
    let step = plan.step.clone();
    run.plan = Some(plan);
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
    run.secrets = observations
        .into_iter()
        .map(|observation| {
            Secret::new(match observation {
                Ok(github::SecretState::Missing) => Observation::Missing,
                Ok(github::SecretState::UpdatedAt(at)) => Observation::UpdatedAt(at),
                Err(error) => Observation::NotRead(error),
            })
        })
        .collect();
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
    let mut all_writable = true;
    for (secret, result) in secrets.iter_mut().zip(prepared) {
        match result {
            Ok(Evidence { is_writable, lacks_environment, warning }) => {
                (secret.is_writable, secret.lacks_environment) = (is_writable, lacks_environment);
                all_writable &= is_writable;
                warnings.extend(warning.filter(|warning| !warnings.contains(warning)));
            }
            Err(error) => {
                all_writable = false;
                secret.obstacle = Some(error);
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
    let mut writes = context.progress.announce_writes(input.rotation.secrets.len());
    let slot = context
        .stop_signal
        .unless_stopped(context.delivery_slots.acquire(input.rotation.secrets.len()))
        .await;
    let _slot = slot.map_err(RotationError::Stopped)?;
    context.stop_signal.unless_stopped(context.github.ready()).await.map_err(RotationError::Stopped)?;
    if context.stop_signal.check().is_ok() {
        let orphans = plan.orphans.iter().filter_map(|id| run.lineage.get(id));
        for orphan in orphans.map(|member| member.token.clone()).collect::<Vec<_>>() {
            retire(session, run, &orphan, RetireAction::Delete, None).await;
        }
    }
    writes.creating();
    let attempt = MintAttempt { context, session, input, lineage: &run.lineage };
    let new_token = match attempt.mint(plan).await {
        Ok(new_token) => new_token,
        Err(MintFailure { error, previous }) => {
            run.lineage.set_expiry_of(previous.as_ref());
            return Err(error);
        }
    };
    let NewToken { member, value, until, verification, previous, lost_attempts, warnings } = new_token;
    run.warnings.extend(warnings);
    writes.delivering();
    let written_at = deliver(context, input, &value, until, &mut run.secrets).await;
    let minted = Minted { token: member.token.clone(), value };
    let error = delivery_error(&attempt, &minted, previous.as_ref(), until, &run.secrets).await;
    run.lineage.set_expiry_of(previous.as_ref());
    if !matches!(error, Some(RotationError::RefusedEverywhere { cleanup: Cleanup::Revoked, .. })) {
        run.lineage.add_minted(member);
    }
    run.delivery = Some(Delivery { verification, previous });
    if run.secrets.iter().any(Secret::is_written) {
        for lost_attempt in &lost_attempts {
            retire(session, run, lost_attempt, RetireAction::Delete, Some(&minted)).await;
        }
        let input = PlanInput { now: written_at, ..input };
        retire_previous(session, input, run, Some(&minted)).await;
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
    let written_at = context.now().unwrap_or(input.now);
    for (secret, result) in secrets.iter_mut().zip(results) {
        secret.write = result.map(|result| match result {
            Ok(()) => Write::Written(written_at.min(until)),
            Err(WriteError { refused: true, error, .. }) => Write::Refused(error),
            Err(WriteError { error, .. }) => Write::Unconfirmed(error),
        });
    }
    written_at
}

/// The error of an incomplete delivery. If every destination refused the token, it is
/// revoked.
async fn delivery_error(
    attempt: &MintAttempt<'_>,
    minted: &Minted,
    previous: Option<&Token>,
    until: Timestamp,
    secrets: &[Secret],
) -> Option<RotationError> {
    let id = minted.token.id.clone();
    let causes = Causes::of(attempt.input.rotation, secrets)?;
    if secrets.iter().all(|secret| matches!(secret.write, None | Some(Write::Refused(_)))) {
        let cleanup = attempt.revoke(minted, previous).await;
        return Some(RotationError::RefusedEverywhere { id, causes, cleanup });
    }
    if secrets.iter().all(|secret| secret.write.is_none() || secret.is_written()) {
        return Some(RotationError::DestinationNotRead { causes });
    }
    Some(RotationError::Undelivered { id, causes, of: secrets.len(), until: after(until, TOLERANCE) })
}

/// Retires the previous tokens that no destination can hold any more, except the
/// provider credential in use.
async fn retire_previous(
    session: &ProviderSession,
    input: PlanInput<'_>,
    run: &mut RotationRun,
    minted: Option<&Minted>,
) {
    for one in run.situation(input).retirements_now() {
        let Some(member) = run.lineage.get(&one.token) else { continue };
        let token = member.token.clone();
        if run.retired.contains(&one.token) {
            continue;
        }
        // An ended token cannot be the credential in use.
        if member.is_live(input.now) && session.provider.is_value_of(&token, &session.credential).await {
            let until =
                token.expires_at.map(|end| format!("; it ends by itself at {end}")).unwrap_or_default();
            run.warnings
                .push(format!("token {} may be the credential in use and was not ended{until}", token.id));
            continue;
        }
        retire(session, run, &token, one.action, minted).await;
        if run.retired.contains(&one.token) {
            run.warn_of_use(input, &one);
        }
    }
    for one in run.situation(input).expiries_to_set() {
        set_expiry(session, run, &one, minted).await;
    }
}

/// Sets the expiry of a previous token. If that fails, a run after the overlap retires
/// it.
async fn set_expiry(
    session: &ProviderSession,
    run: &mut RotationRun,
    one: &Retirement,
    minted: Option<&Minted>,
) {
    let expires_at = one.from;
    let Some(Member { token, .. }) = run.lineage.get(&one.token) else { return };
    let is_credential = session.provider.is_value_of(token, &session.credential).await;
    if is_credential || run.retired.contains(&one.token) {
        return;
    }
    let credentials = credentials(session, run, minted);
    let set =
        async |credential: &_| Box::pin(session.provider.set_expiry(credential, token, expires_at)).await;
    match credentials.call(set).await {
        Ok(()) => {
            let token = Token { expires_at: Some(expires_at), ..token.clone() };
            run.lineage.set_expiry_of(Some(&token));
        }
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

async fn retire(
    session: &ProviderSession,
    run: &mut RotationRun,
    token: &Token,
    action: RetireAction,
    minted: Option<&Minted>,
) {
    let credentials = credentials(session, run, minted);
    match retire::retire(session, &credentials, token, action).await {
        Ok(()) => run.retired.push(TokenId::from(token)),
        Err(error) => run.warnings.push(format!("token {} could not be ended: {error}", token.id)),
    }
}

impl RotationRun {
    pub(super) fn situation<'a>(&'a self, input: PlanInput<'a>) -> Situation<'a> {
        Situation::new(input, &self.lineage, &self.secrets)
    }

    /// A dry run: records what would be done.
    fn rehearse(
        &mut self,
        input: PlanInput<'_>,
        plan: Plan,
        ahead: SignedDuration,
    ) -> Result<(), RotationError> {
        for one in &plan.retire {
            self.warn_of_use(input, one);
        }
        let plan = self.plan.insert(plan);
        match &plan.step {
            Step::Nothing => {}
            Step::Refuse(error) => return Err(error.clone()),
            Step::Mint(mint) => {
                let previous = mint.previous.as_ref().and_then(|id| self.lineage.get(id));
                self.planned = Some(input.planned(mint, previous, ahead));
            }
        }
        Ok(())
    }

    /// Whether this run ended this token. The new one may have got the id of a token that
    /// was ended before it was minted.
    pub(super) fn has_retired(&self, member: &Member) -> bool {
        self.retired.contains(&member.id()) && self.lineage.minted.as_ref() != Some(&member.id())
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
