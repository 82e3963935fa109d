//! Finds out what a run would meet, for `crossfade doctor`: the observation and the plan of a
//! run, and the preflight of every secret, due or not. Nothing is created, written or ended.

use std::borrow::Cow;

use futures_util::future::{join, join_all};
use jiff::SignedDuration;

use super::apply;
use super::causes::{Cause, Causes};
use super::error::RotationError;
use super::expand::{self, Expanded};
use super::secret::Secret;
use super::session::{ProviderSession, Sessions};
use super::{RunContext, confirmation, names, report, steps, workflows};
use crate::config::{Config, Rotation};
use crate::error_code::ErrorCode;
use crate::github::{self, Evidence};
use crate::provider;
use crate::report::RotationReport;

pub(crate) struct Examination<'a> {
    /// With all its secrets.
    pub(crate) rotation: Cow<'a, Rotation>,
    /// What a run would decide. Its errors are in the fields below.
    pub(crate) report: RotationReport,
    /// How many secrets are readable, and shown to be writable.
    pub(crate) writable: usize,
    /// Of all readable ones, those that do not exist yet.
    pub(crate) missing: Vec<String>,
    /// Secrets whose environment does not exist; the first run creates it.
    pub(crate) lacking_environment: Vec<String>,
    /// Secrets of which it is not known whether they can be written.
    pub(crate) unproven: Vec<String>,
    /// Why secrets cannot be read or written, each cause once.
    pub(crate) blocked: Vec<Failure>,
    /// What else would stop the rotation.
    pub(crate) error: Option<RotationError>,
}

/// Something that would stop a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What is wrong, and where.
    pub(crate) message: String,
    /// What to do, in this order.
    pub(crate) steps: Vec<String>,
    pub(crate) code: ErrorCode,
}

pub(crate) async fn examine<'a>(
    context: &RunContext<'_>,
    config: &'a Config,
    sessions: &Sessions,
) -> Vec<Examination<'a>> {
    let expanded = expand::expand(context, config).await;
    let examined = expanded.into_iter().filter_map(|one| {
        let session = sessions.get(&one.rotation.provider)?;
        Some(examine_one(context, session, one))
    });
    join_all(examined).await
}

async fn examine_one<'a>(
    context: &RunContext<'_>,
    session: &ProviderSession,
    Expanded { rotation, notes, error }: Expanded<'a>,
) -> Examination<'a> {
    // Nothing is changed, so there is nothing to confirm.
    let (share, _) = confirmation::prepare(None);
    let mut run = apply::apply(context, session, &rotation, error, share).await;
    let prepared = join(
        apply::preflight(context, &rotation, &mut run.secrets, &mut run.warnings),
        workflows::check(context, &rotation),
    );
    match context.unless_stopped(prepared).await {
        Ok((_, obstacles)) => run.warnings.extend(
            obstacles.iter().map(|(index, error)| workflows::obstacle_text(&rotation.after[*index], error)),
        ),
        Err(stopped) => run.error = run.error.or(Some(stopped)),
    }
    let named = |is: &dyn Fn(&Secret) -> bool| -> Vec<String> {
        let secrets = rotation.secrets.iter().zip(&run.secrets).filter(|(_, secret)| is(secret));
        secrets.map(|(target, _)| target.destination.to_string()).collect()
    };
    let is_free = |secret: &Secret| secret.blocked().is_none();
    let finds = |secret: &Secret, is: fn(&Evidence) -> bool| {
        is_free(secret) && secret.preflight.as_ref().is_ok_and(is)
    };
    let writable = run.secrets.iter().filter(|secret| finds(secret, |found| found.is_writable)).count();
    let causes = Causes::of(&rotation, &run.secrets);
    Examination {
        writable,
        missing: named(&|secret| is_free(secret) && secret.observation == Ok(None)),
        lacking_environment: named(&|secret| finds(secret, |found| found.lacks_environment)),
        unproven: named(&|secret| finds(secret, |found| !found.is_writable && !found.lacks_environment)),
        blocked: causes
            .iter()
            .flat_map(|causes| &causes.0)
            .map(|Cause { error, secrets }| Failure::of_github(error, Some(secrets)))
            .collect(),
        error: run.error.take(),
        report: RotationReport { notes, ..report::report(&rotation, run, context.mode) },
        rotation,
    }
}

impl Failure {
    /// Of an error that stops a rotation. `credential`: the provider credential's variable.
    pub(crate) fn of(error: &RotationError, credential: &str) -> Self {
        let mut steps = error.steps(credential);
        // There was no run.
        steps.retain(|step| step != steps::RUN_AGAIN);
        Self { message: error.to_string(), steps, code: error.code() }
    }

    /// Of an error of GitHub, and the secrets that it hit.
    pub(crate) fn of_github(error: &github::Error, secrets: Option<&[String]>) -> Self {
        let about = secrets.map(|secrets| format!("{}: ", names::secrets(secrets))).unwrap_or_default();
        Self {
            message: format!("{about}{}", error.cause),
            steps: steps::fix(error, secrets).into_iter().collect(),
            code: error.code(),
        }
    }
}

/// The provider's tokens cannot be read.
pub(crate) fn provider_failure(error: &provider::Error, credential: &str) -> Failure {
    Failure {
        message: error.message.clone(),
        ..Failure::of(&RotationError::Observe(error.clone()), credential)
    }
}

/// Whether a provider's clock differs too much from GitHub's. `skew`: how far it is ahead.
pub(crate) fn clock_failure(skew: SignedDuration) -> Option<Failure> {
    apply::check_clocks(skew).err().map(|error| Failure::of(&error, ""))
}
