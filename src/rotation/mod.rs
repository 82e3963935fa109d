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
//! - [`berths`]: how many rotations may deliver at once
//! - [`brake`]: whether a mint may still be started
//! - [`trouble`]: everything that stops a rotation, in words
//! - `outcome`: what is reported of it; `advice`: what is said after a failure
//!
//! How to speak to a provider or to GitHub is not known here.

pub mod berths;
pub mod brake;
pub mod lineage;
pub mod marker;
pub mod plan;
pub mod session;
pub mod trouble;
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

use crate::clock::{Clock, Side};
use crate::config::Config;
use crate::github::GitHub;
use crate::provider::ProviderSettings;
use crate::report::{Report, Reporter, RotationReport};
use apply::Story;
use berths::Berths;
use brake::Brake;
use expand::Expanded;
use marker::MarkerKeys;
use session::Session;
use trouble::Trouble;

/// What every rotation of a run works with.
pub struct Tools<'a> {
    /// Where secrets are kept.
    pub github: &'a GitHub,
    /// The servers' time.
    pub clock: &'a Clock,
    /// Whether a mint may still be started.
    pub brake: &'a Brake,
    /// How many rotations may be between mint and delivery at once: the more
    /// there are, the longer each new token waits for its turn.
    pub berths: &'a Berths,
    /// The wait before something is asked again that may need seconds.
    pub first_wait: Duration,
    /// How long a newborn may take to be accepted.
    pub patience: Duration,
    /// Rotate even if nothing is due.
    pub force: bool,
    /// Change nothing.
    pub dry_run: bool,
    /// Only look: a dry run that leaves out the preflight as well.
    pub look_only: bool,
    /// What signs the markers of new tokens, and verifies those that are listed.
    pub marker_keys: MarkerKeys,
}

impl Tools<'_> {
    fn now(&self) -> Result<Timestamp, Trouble> {
        self.clock.now().ok_or(Trouble::NoClock)
    }

    /// How far the provider's clock is ahead of GitHub's; as far as it may be, if
    /// it is not known. Headers count whole seconds, so one is nothing.
    fn ahead(&self, provider: Side) -> SignedDuration {
        let skew = self.clock.skew(provider).unwrap_or(lineage::SKEW);
        if skew.as_secs() <= 1 { SignedDuration::ZERO } else { skew }
    }
}

/// Rotates everything that is due, all rotations at once.
pub async fn run(
    tools: &Tools<'_>,
    config: &Config,
    sessions: &HashMap<ProviderSettings, Arc<Session>>,
) -> Report {
    let expanded = expand::expand(tools, config).await;
    let served = expanded.iter().filter(|one| one.trouble.is_none());
    tools.github.expect(served.flat_map(|one| &one.rotation.secrets));
    let told = expanded.into_iter().filter_map(|Expanded { rotation, notes, trouble }| {
        let session = sessions.get(&rotation.provider)?;
        Some(async move {
            let story = match trouble {
                Some(trouble) => Story { trouble: Some(trouble), ..Story::default() },
                None => apply::apply(tools, session, &rotation).await,
            };
            let report = outcome::report(&rotation, session, story, tools);
            RotationReport { notes, ..report }
        })
    });
    let rotations: Vec<RotationReport> = join_all(told).await;
    Report {
        now: tools.clock.now(),
        dry_run: tools.dry_run,
        rotations,
        command: if tools.look_only { Reporter::Status } else { Reporter::Rotate },
        github_credential_expires_at: tools.github.token_expires_at(),
        ..Report::default()
    }
}
