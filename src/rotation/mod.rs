//! The job: what is done to keep a rotation's token alive.
//!
//! - [`lineage`]: which tokens are the rotation's, and who holds them (pure)
//! - [`plan`]: the verdict and what follows from it (pure)
//! - [`window`]: how long a delivery may take (pure)
//! - [`marker`]: what a minted token is recognised by
//! - [`trust`]: which markers are believed, and what may be ended on their word (pure)
//! - `expand`: from patterns to destinations
//! - `apply`: one rotation from the first reading to the last retirement
//! - `mint`: the part of it in which replies get lost and rivals appear
//! - `retire`: the only place where a token is disabled or deleted
//! - [`session`]: a provider credential, shared by the rotations that use it
//! - [`delivery_slots`]: how many rotations may deliver at once
//! - [`stop_signal`]: whether a mint may still be started
//! - [`error`]: everything that stops a rotation, in words
//! - `outcome`: what is reported of it; `advice`: what is said after a failure
//!
//! How to speak to a provider or to GitHub is not known here.

pub mod delivery_slots;
pub mod error;
pub mod lineage;
pub mod marker;
pub mod plan;
pub mod session;
pub mod stop_signal;
pub mod trust;
pub mod window;

mod advice;
mod apply;
mod expand;
mod mint;
mod outcome;
mod retire;
#[cfg(test)]
mod samples;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use crate::clock::{Clock, Peer};
use crate::config::Config;
use crate::github::GitHub;
use crate::provider::ProviderSettings;
use crate::report::{Report, Reporter, RotationReport};
use apply::RotationRun;
use delivery_slots::DeliverySlots;
use error::RotationError;
use expand::Expanded;
use marker::MarkerKeys;
use session::ProviderSession;
use stop_signal::StopSignal;

/// What every rotation of a run works with.
pub struct RunContext<'a> {
    /// Where secrets are kept.
    pub github: &'a GitHub,
    /// The servers' time.
    pub clock: &'a Clock,
    /// Whether a mint may still be started.
    pub stop_signal: &'a StopSignal,
    /// How many rotations may be between mint and delivery at once: the more
    /// there are, the longer each new token waits for its turn.
    pub delivery_slots: &'a DeliverySlots,
    /// The wait before something is asked again that may need seconds.
    pub first_wait: Duration,
    /// How long a newborn may take to be accepted.
    pub patience: Duration,
    /// Rotate even if nothing is due.
    pub force: bool,
    /// Change nothing.
    pub dry_run: bool,
    /// Only look: a dry run that leaves out the preflight as well.
    pub read_only: bool,
    /// What signs the markers of new tokens, and verifies those that are listed.
    pub marker_keys: MarkerKeys,
}

impl RunContext<'_> {
    fn now(&self) -> Result<Timestamp, RotationError> {
        self.clock.now().ok_or(RotationError::NoClock)
    }

    /// How far the provider's clock is ahead of GitHub's; as far as it may be, if
    /// it is not known. Headers count whole seconds, so one is nothing.
    fn ahead(&self, provider: Peer) -> SignedDuration {
        let skew = self.clock.skew(provider).unwrap_or(lineage::SKEW);
        if skew.as_secs() <= 1 { SignedDuration::ZERO } else { skew }
    }
}

/// Rotates everything that is due, all rotations at once.
pub async fn run(
    context: &RunContext<'_>,
    config: &Config,
    sessions: &HashMap<ProviderSettings, Arc<ProviderSession>>,
) -> Report {
    let expanded = expand::expand(context, config).await;
    let served = expanded.iter().filter(|one| one.error.is_none());
    context.github.expect(served.flat_map(|one| &one.rotation.secrets));
    let reports = expanded.into_iter().filter_map(|Expanded { rotation, notes, error }| {
        let session = sessions.get(&rotation.provider)?;
        Some(async move {
            let run = match error {
                Some(error) => RotationRun { error: Some(error), ..RotationRun::default() },
                None => apply::apply(context, session, &rotation).await,
            };
            let report = outcome::report(&rotation, session, run, context);
            RotationReport { notes, ..report }
        })
    });
    let rotations: Vec<RotationReport> = join_all(reports).await;
    Report {
        now: context.clock.now(),
        dry_run: context.dry_run,
        rotations,
        command: if context.read_only { Reporter::Status } else { Reporter::Rotate },
        github_credential_expires_at: context.github.token_expires_at(),
        ..Report::default()
    }
}
