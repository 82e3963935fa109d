//! Decides what a rotation needs, and does it.
//!
//! - `lineage`: which tokens belong to a rotation, and which secrets hold them (pure)
//! - `secret`: what is known of one secret (pure)
//! - `plan`: the verdict and what follows from it (pure)
//! - [`marker`]: the text by which crossfade recognises its tokens
//! - `trust`: which markers are believed, and what may be retired because of them (pure)
//! - `confirmation`: one question before tokens are ended at once
//! - `expand`: from patterns to destinations
//! - `examine`: what a run would meet, of every secret, for `crossfade doctor`
//! - `apply`: one rotation from the first observation to the last retirement
//! - `mint`: creating and checking the new token, with lost replies and concurrent runs
//! - `warnings`: doubts about tokens, in words
//! - `unproved`: providers that were not shown to work as their files say
//! - `workflows`: which workflows are started after the rotations, and starting them
//! - `retire`: the only place where a token is disabled or deleted
//! - `unmanaged`: the provider's tokens that no rotation covers
//! - [`session`]: a provider with its credential, shared by the rotations that use it
//! - [`delivery_slots`]: how many rotations may deliver at once
//! - [`stop_signal`]: whether a mint may still be started
//! - [`error`]: every error that stops a rotation; `causes`: why secrets failed
//! - `advice`: what is still valid after an error; `steps`: its code, and what to do
//! - `report`: the report of a rotation; `names`: lists of names in its sentences
//!
//! Requests to providers and to GitHub are built in [`crate::provider`] and
//! [`crate::github`].

pub(crate) mod delivery_slots;
pub(crate) mod error;
pub(crate) mod marker;
pub(crate) mod session;
pub(crate) mod stop_signal;

mod advice;
mod apply;
mod causes;
mod confirmation;
mod examine;
mod expand;
mod lineage;
mod mint;
pub(crate) mod names;
mod plan;
pub(crate) mod proof;
mod report;
mod retire;
#[cfg(test)]
mod samples;
mod secret;
mod steps;
mod trust;
mod unmanaged;
mod unproved;
mod warnings;
mod workflows;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::SignedDuration;

use crate::clock::{Clock, ClockId};
use crate::config::Config;
use crate::github::{GitHub, Mode};
use crate::progress::Progress;
use crate::provider::ProviderSettings;
use crate::question::Question;
use crate::report::{Report, Reporter, RotationReport};
use apply::RotationRun;
use confirmation::Confirmation;
use delivery_slots::DeliverySlots;
use error::RotationError;
pub(crate) use examine::{Examination, Failure, clock_failure, examine, provider_failure};
use expand::Expanded;
use marker::MarkerKeys;
use session::ProviderSession;
use stop_signal::StopSignal;
pub(crate) use unmanaged::unmanaged;
pub(crate) use unproved::{Unproved, unproved};

/// What all rotations of a run share.
pub(crate) struct RunContext<'a> {
    /// The client that reads and writes the secrets.
    pub github: &'a GitHub,
    /// Told what is created and written.
    pub progress: &'a Progress,
    /// The servers' time.
    pub clock: &'a Clock,
    /// Whether a mint may still be started.
    pub stop_signal: &'a StopSignal,
    /// Limits how many rotations deliver at once: the more there are, the longer each
    /// new token waits.
    pub delivery_slots: &'a DeliverySlots,
    /// The first wait before a check that may need seconds is repeated.
    pub first_wait: Duration,
    /// How long the provider may take to accept a new token.
    pub patience: Duration,
    /// Rotate even if nothing is due.
    pub force: bool,
    /// Asked before tokens are ended at once; `None`: that needs no confirmation.
    pub question: Option<&'a Question>,
    /// Whether anything may be changed, and whether the preflight takes place.
    pub mode: Mode,
    /// Signs the markers of new tokens and verifies those of listed tokens.
    pub marker_keys: MarkerKeys,
}

/// The longest wait until the provider accepts a new token.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the provider may take to accept a new token: with a shorter timeout of
/// requests, the user wants shorter waits.
#[must_use]
pub(crate) fn patience(request_timeout: Duration) -> Duration {
    PATIENCE.min(request_timeout * 2)
}

impl RunContext<'_> {
    /// Waits for work that may be abandoned once the run is stopped.
    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, RotationError> {
        self.stop_signal.unless_stopped(work).await.map_err(RotationError::Stopped)
    }

    /// How far the provider's clock is ahead of GitHub's; the largest tolerated skew if
    /// unknown. `Date` headers have whole seconds, so a difference of one second counts
    /// as none.
    fn ahead(&self, provider: ClockId) -> SignedDuration {
        let skew = self.clock.skew(provider).unwrap_or(lineage::SKEW);
        if skew.as_secs() <= 1 { SignedDuration::ZERO } else { skew }
    }
}

/// Rotates everything that is due, all rotations at once.
pub(crate) async fn run(
    context: &RunContext<'_>,
    config: &Config,
    sessions: &HashMap<ProviderSettings, Arc<ProviderSession>>,
) -> Report {
    let expanded = expand::expand(context, config).await;
    expand::announce(context.github, &expanded);
    let confirmation = &Confirmation::new(context.question);
    let reports = expanded.into_iter().filter_map(|Expanded { rotation, notes, error }| {
        let session = sessions.get(&rotation.provider)?;
        let share = confirmation.share();
        Some(async move {
            let mut run = match error {
                Some(error) => RotationRun { error: Some(error), ..RotationRun::default() },
                None => apply::apply(context, session, &rotation, share).await,
            };
            let request = workflows::Request::new(&rotation, &mut run);
            let report = report::report(&rotation, run, context.mode);
            (request, RotationReport { notes, ..report })
        })
    });
    let done = tokio::select! {
        // A run that is stopped asks nothing more.
        biased;
        done = join_all(reports) => done,
        never = confirmation.put() => match never {},
    };
    let (requests, mut rotations): (Vec<_>, Vec<_>) = done.into_iter().unzip();
    workflows::settle(context, &requests, &mut rotations).await;
    warnings::say_once(&mut rotations);
    unproved::warn(&mut rotations, unproved(config, sessions));
    Report {
        now: context.clock.now(),
        dry_run: context.mode != Mode::Apply,
        rotations,
        command: if context.mode == Mode::ReadOnly { Reporter::Status } else { Reporter::Rotate },
        github_credential_expires_at: context.github.credential_expires_at(),
        ..Report::default()
    }
}
