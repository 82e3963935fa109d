//! Would a rotation work today? `crossfade doctor` asks everything that a run would ask,
//! and reports each answer as a [`Check`].
//!
//! Sends what a run sends before it creates a token, for every selected rotation, due or
//! not. Nothing is created, written or ended; the write check is a write that GitHub
//! refuses (see `docs/github.md`).
//!
//! - `providers`: each provider credential, and the clocks
//! - `rotations`: the token of each rotation, and its secrets
//! - `schedule`: the policies against the workflows that run crossfade
//! - [`workflow`]: reads these workflows; [`cron`]: how far apart runs are
//! - [`page`]: how all this is printed

pub(crate) mod cron;
pub(crate) mod page;
mod providers;
mod rotations;
mod schedule;
pub(crate) mod workflow;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::config::{Config, Repository};
use crate::diagnostic::{Problems, Severity};
use crate::error_code::ErrorCode;
use crate::github::Error;
use crate::report::format::counted;
use crate::rotation::error::RotationError;
use crate::rotation::session::Sessions;
use crate::rotation::{self, Examination, Failure, RunContext, Unproved};
use workflow::Workflows;

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    /// What was checked: `GitHub credential`, `rotation ci-ingest`.
    pub(crate) subject: String,
    /// Which check, for programs: `credential`, `token`, `secrets`.
    pub(crate) check: &'static str,
    pub(crate) state: State,
    /// What was found.
    pub(crate) message: String,
    /// What to do, in this order.
    pub(crate) fix: Vec<String>,
    /// The section of `docs/errors.md` about it.
    pub(crate) code: Option<ErrorCode>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// All is well.
    Ok,
    /// It is not known.
    Unknown,
    /// A rotation would work today, but something is likely to go wrong later.
    Warning,
    /// It would stop a rotation.
    Failed,
}

/// All checks of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnosis {
    /// GitHub's time; `None`: GitHub never answered.
    pub(crate) now: Option<Timestamp>,
    /// In the order in which they are printed.
    pub(crate) checks: Vec<Check>,
}

/// How long before its expiry a credential is reported.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

impl Check {
    fn new(
        subject: impl Into<String>,
        check: &'static str,
        state: State,
        message: impl Into<String>,
    ) -> Self {
        Self { subject: subject.into(), check, state, message: message.into(), fix: Vec::new(), code: None }
    }

    fn fix(mut self, step: impl Into<String>) -> Self {
        self.fix.push(step.into());
        self
    }

    /// The end of a credential, and how to renew it if that is near.
    fn expiry(
        subject: impl Into<String>,
        message: String,
        end: Timestamp,
        now: Option<Timestamp>,
        renew: impl Into<String>,
    ) -> Self {
        match now.is_some_and(|now| end.duration_since(now) <= SOON) {
            true => Self::new(subject, "expiry", State::Warning, message).fix(renew),
            false => Self::new(subject, "expiry", State::Ok, message),
        }
    }

    fn failed(subject: impl Into<String>, check: &'static str, failure: Failure) -> Self {
        let Failure { message, steps, code } = failure;
        Self { fix: steps, code: Some(code), ..Self::new(subject, check, State::Failed, message) }
    }
}

impl Diagnosis {
    /// Of an invocation that was stopped.
    pub(crate) fn stopped(why: &str) -> Self {
        let stopped = Check::new("doctor", "doctor", State::Failed, format!("not finished: {why}"));
        Self { now: None, checks: vec![Check { code: Some(ErrorCode::Stopped), ..stopped }] }
    }

    /// How many checks ended so.
    pub(crate) fn count(&self, state: State) -> usize {
        self.checks.iter().filter(|check| check.state == state).count()
    }

    /// 1 if something would stop a rotation.
    pub(crate) fn exit_code(&self) -> u8 {
        u8::from(self.count(State::Failed) > 0)
    }
}

/// Asks everything, and reports all answers. `warnings`: of the configuration; `workflows`:
/// of the checkout; `repository`: the one that rotates.
pub(crate) async fn diagnose(
    context: &RunContext<'_>,
    config: &Config,
    warnings: &Problems,
    repository: &Repository,
    sessions: &Sessions,
    workflows: &Workflows,
) -> Diagnosis {
    let owners = owners(config);
    let runs_here = workflows.found.iter().any(|workflow| !workflow.crons.is_empty());
    let is_public =
        Box::pin(async { if runs_here { context.github.is_public(repository).await } else { None } });
    let (identity, examined, listed, is_public) = futures_util::future::join4(
        Box::pin(context.github.identity(&owners)),
        Box::pin(rotation::examine(context, config, sessions)),
        providers::listed(config, sessions),
        is_public,
    )
    .await;
    let now = context.clock.now();
    let mut checks = vec![configuration(config)];
    checks.extend(warnings.sorted().into_iter().filter(|one| one.severity == Severity::Warning).map(|one| {
        let check = Check::new("configuration", "configuration", State::Warning, &one.message);
        Check { fix: one.help.iter().cloned().collect(), ..check }
    }));
    let is_accepted = identity.is_ok();
    checks.extend(github_credential(identity.as_ref(), context.github.credential_expires_at(), now));
    checks.extend(listed.iter().flat_map(|one| providers::checks(one, now)));
    let unproved = rotation::unproved(config, sessions);
    checks.extend(unproved.into_iter().filter(|one| !is_refused(one, &examined)).map(providers::proof));
    checks.push(providers::clocks(context.clock, &listed, is_accepted));
    let mut said = BTreeSet::new();
    for one in &examined {
        let checks_of_one = rotations::checks(one, is_accepted);
        // What is the same for every rotation is said once.
        checks.extend(
            checks_of_one
                .into_iter()
                .filter(|check| check.state != State::Warning || said.insert(check.message.clone())),
        );
    }
    checks.extend(providers::signing_key(config, context.marker_keys.is_empty()));
    checks.extend(schedule::checks(workflows, config, now, is_public));
    Diagnosis { now, checks }
}

fn github_credential(
    identity: Result<&String, &Error>,
    expires_at: Option<Timestamp>,
    now: Option<Timestamp>,
) -> Vec<Check> {
    const SUBJECT: &str = "GitHub credential";
    let identity = match identity {
        Ok(identity) => identity,
        Err(error) => return vec![Check::failed(SUBJECT, "credential", Failure::of_github(error, None))],
    };
    let mut checks = vec![Check::new(SUBJECT, "credential", State::Ok, identity)];
    let renew = "Renew it before: crossfade does not rotate it, and cannot write secrets without it.";
    checks.extend(expires_at.map(|end| Check::expiry(SUBJECT, format!("expires {end}"), end, now, renew)));
    checks
}

/// Whether the check of a rotation says the same.
fn is_refused(unproved: &Unproved, examined: &[Examination<'_>]) -> bool {
    let is_same = |one: &Examination<'_>| matches!(&one.error, Some(RotationError::Unproved { provider, .. }) if provider == unproved.kind.name());
    examined.iter().any(is_same)
}

/// What was selected.
fn configuration(config: &Config) -> Check {
    let secrets: usize = config.rotations.iter().map(|rotation| rotation.secrets.len()).sum();
    let patterns: usize = config.rotations.iter().map(|rotation| rotation.patterns.len()).sum();
    let mut message =
        format!("valid: {}, {}", counted(config.rotations.len(), "rotation"), counted(secrets, "secret"));
    if patterns > 0 {
        message.push_str(&format!(" and {}", counted(patterns, "pattern")));
    }
    if !config.unselected.is_empty() {
        message.push_str(&format!("; {} not selected", counted(config.unselected.len(), "rotation")));
    }
    Check::new("configuration", "configuration", State::Ok, message)
}

/// The owners of all secrets, each once, in lower case.
fn owners(config: &Config) -> BTreeSet<String> {
    let listed = config.rotations.iter().flat_map(|rotation| &rotation.secrets);
    let listed = listed.map(|secret| secret.destination.scope.owner());
    let patterns = config.rotations.iter().flat_map(|rotation| &rotation.patterns);
    let patterns = patterns.flat_map(|pattern| &pattern.include).map(|include| include.owner.as_str());
    listed.chain(patterns).map(str::to_ascii_lowercase).collect()
}
