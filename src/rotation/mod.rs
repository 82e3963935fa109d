//! Decides what a rotation needs, and does it.
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

use std::time::Duration;

use futures_util::future::join_all;
use jiff::SignedDuration;

use crate::clock::{Clock, ClockId};
use crate::config::Config;
use crate::github::{GitHub, Mode};
use crate::progress::Progress;
use crate::question::Question;
use crate::report::{Report, Reporter, RotationReport};
use delivery_slots::DeliverySlots;
use error::RotationError;
pub(crate) use examine::{Examination, Failure, clock_failure, examine, provider_failure};
use expand::Expanded;
use marker::MarkerKeys;
use session::Sessions;
use stop_signal::StopSignal;
pub(crate) use unmanaged::unmanaged;
pub(crate) use unproved::{Unproved, unproved};

pub(crate) struct RunContext<'a> {
    pub github: &'a GitHub,
    pub progress: &'a Progress,
    /// The servers' time.
    pub clock: &'a Clock,
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

/// How long the provider may take to accept a new token: with a shorter timeout of
/// requests, the user wants shorter waits.
pub(crate) fn patience(request_timeout: Duration) -> Duration {
    Duration::from_secs(60).min(request_timeout * 2)
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
pub(crate) async fn run(context: &RunContext<'_>, config: &Config, sessions: &Sessions) -> Report {
    let expanded = expand::expand(context, config).await;
    let (share, put) = confirmation::prepare(context.question);
    let reports = expanded.into_iter().filter_map(|Expanded { rotation, notes, error }| {
        let session = sessions.get(&rotation.provider)?;
        let share = share.clone();
        Some(async move {
            let mut run = apply::apply(context, session, &rotation, error, share).await;
            let request = workflows::Request::new(&rotation, &mut run);
            let report = report::report(&rotation, run, context.mode);
            (request, RotationReport { notes, ..report })
        })
    });
    let reports = join_all(reports);
    drop(share);
    let done = tokio::select! {
        // A run that is stopped asks nothing more.
        biased;
        done = reports => done,
        never = put => match never {},
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
