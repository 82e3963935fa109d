//! Starts the workflows of `after` once every secret of a rotation holds the new token.
//!
//! [`decide`] is pure. Its state is GitHub's: when the secrets were written, and when the
//! workflow ran. It runs after all rotations, so that each workflow is started once.

use std::collections::HashMap;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::RunContext;
use super::apply::RotationRun;
use super::lineage::after;
use super::secret::{Holder, Secret};
use crate::config::{Rotation, Workflow};
use crate::github::{Error, ErrorKind, Mode};
use crate::report::{RotationOutcome, RotationReport, SecretState, WorkflowOutcome, WorkflowReport};

/// How far the delivery of a rotation's current token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeliveryState {
    /// This run wrote every secret, the last one at this time.
    Written(Timestamp),
    /// Every secret already held it; the last one was written at this time.
    Held(Timestamp),
    /// The same, and this run retires a previous token.
    Retiring(Timestamp),
    /// A run would create and deliver a new one.
    Planned,
    /// Not every secret is known to hold it.
    Incomplete,
}

pub(super) struct Request {
    workflows: Vec<Workflow>,
    state: DeliveryState,
    overlap: SignedDuration,
    /// Why the workflow at this index cannot be started, as the preflight found.
    obstacles: Vec<(usize, Error)>,
}

impl Request {
    pub(super) fn new(rotation: &Rotation, run: &mut RotationRun) -> Self {
        Self {
            workflows: rotation.after.clone(),
            state: run.delivery_state(),
            overlap: rotation.policy.overlap.duration(),
            obstacles: std::mem::take(&mut run.obstacles),
        }
    }
}

impl DeliveryState {
    /// When the last secret was written.
    fn written_at(self) -> Option<Timestamp> {
        match self {
            Self::Written(at) | Self::Held(at) | Self::Retiring(at) => Some(at),
            Self::Planned | Self::Incomplete => None,
        }
    }
}

impl RotationRun {
    fn delivery_state(&self) -> DeliveryState {
        if self.planned.is_some() {
            return DeliveryState::Planned;
        }
        let Some(current) = self.current() else { return DeliveryState::Incomplete };
        let written_at = |index| match self.holder(index) {
            Holder::Token(held, at) if held.is(current) => Some(at),
            _ => None,
        };
        let writes: Option<Vec<Timestamp>> = (0..self.secrets.len()).map(written_at).collect();
        match writes.and_then(|writes| writes.into_iter().max()) {
            Some(last) if self.secrets.iter().all(Secret::is_written) => DeliveryState::Written(last),
            Some(last) if self.plan.iter().any(|plan| !plan.retire.is_empty()) => {
                DeliveryState::Retiring(last)
            }
            Some(last) => DeliveryState::Held(last),
            None => DeliveryState::Incomplete,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// Start it: this run delivered a token.
    Start { since: Timestamp },
    /// Start it unless it has run since.
    StartUnlessRun { since: Timestamp },
    /// The overlap is over and a previous token is retired: say whether it has run since.
    LookOnce { since: Timestamp },
    /// Nothing, and this is what is reported.
    Leave(WorkflowOutcome),
}

/// Decides about one workflow from the deliveries, each with its overlap, of all rotations
/// that name it. One that is not delivered does not hold back the others.
fn decide(now: Timestamp, deliveries: &[(DeliveryState, SignedDuration)]) -> Decision {
    let any = |is: fn(&DeliveryState) -> bool| deliveries.iter().any(|(state, _)| is(state));
    let last = deliveries.iter().filter_map(|(state, overlap)| {
        let counts =
            |at: &Timestamp| matches!(state, DeliveryState::Written(_)) || now <= after(*at, *overlap);
        state.written_at().filter(counts)
    });
    let retiring = deliveries.iter().filter(|(state, _)| matches!(state, DeliveryState::Retiring(_)));
    let retiring = retiring.filter_map(|(state, _)| state.written_at());
    match last.max() {
        Some(since) if any(|state| matches!(state, DeliveryState::Written(_))) => Decision::Start { since },
        _ if any(|state| *state == DeliveryState::Planned) => Decision::Leave(WorkflowOutcome::Planned),
        Some(since) => Decision::StartUnlessRun { since },
        None => match retiring.max() {
            Some(since) => Decision::LookOnce { since },
            None if any(|state| *state == DeliveryState::Incomplete) => {
                Decision::Leave(WorkflowOutcome::Waiting)
            }
            None => Decision::Leave(WorkflowOutcome::NotDue),
        },
    }
}

/// Why a workflow was not started, as far as is known.
enum Failure {
    /// Whether it has run is not known.
    Look(Error),
    /// It was to be started.
    Start(Error),
    /// It has not run since the last write, and the overlap is over.
    Missed(Timestamp),
}

struct Settled {
    result: Result<WorkflowOutcome, Failure>,
    /// Until when later runs try again.
    until: Option<Timestamp>,
    /// A daily schedule may have no further run before that.
    is_near: bool,
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Looks which of a rotation's workflows cannot be started.
pub(super) async fn check(context: &RunContext<'_>, rotation: &Rotation) -> Vec<(usize, Error)> {
    let checks =
        join_all(rotation.after.iter().map(|workflow| context.github.check_workflow(workflow))).await;
    checks.into_iter().enumerate().filter_map(|(index, checked)| Some((index, checked.err()?))).collect()
}

/// Starts what is to be started, and adds it to the reports, which are in the order of the
/// requests.
pub(super) async fn settle(context: &RunContext<'_>, requests: &[Request], reports: &mut [RotationReport]) {
    let mut deliveries: HashMap<&Workflow, Vec<(DeliveryState, SignedDuration)>> = HashMap::new();
    for Request { workflows, state, overlap, .. } in requests {
        for workflow in workflows {
            deliveries.entry(workflow).or_default().push((*state, *overlap));
        }
    }
    let now = context.clock.now();
    let settled = deliveries.iter().map(async |(workflow, deliveries)| {
        // Without GitHub's time nothing was read.
        let decision = now.map_or(Decision::Leave(WorkflowOutcome::Waiting), |now| decide(now, deliveries));
        let ends =
            deliveries.iter().filter_map(|(state, overlap)| Some(after(state.written_at()?, *overlap)));
        let result = carry_out(context, workflow, decision).await;
        let until = ends.max().filter(|end| now.is_some_and(|now| *end > now));
        let is_near = until.is_some_and(|end| now.is_some_and(|now| end <= after(now, DAY)));
        (*workflow, Settled { result, until, is_near })
    });
    let settled: HashMap<&Workflow, Settled> = join_all(settled).await.into_iter().collect();
    for (request, report) in requests.iter().zip(reports) {
        for (index, workflow) in request.workflows.iter().enumerate() {
            let Some(settled) = settled.get(workflow) else { continue };
            let obstacle = request.obstacles.iter().find(|(at, _)| *at == index).map(|(_, error)| error);
            report.warnings.extend(warning(workflow, settled, obstacle));
            report.warnings.extend(waiting(workflow, settled, report));
            report.after.push(WorkflowReport {
                repository: workflow.repository.to_string(),
                workflow: workflow.file.clone(),
                git_ref: workflow.git_ref.clone(),
                outcome: *settled.result.as_ref().unwrap_or(&WorkflowOutcome::Failed),
                error: settled.result.as_ref().err().map(|failure| match failure {
                    Failure::Look(error) | Failure::Start(error) => error.cause.clone(),
                    Failure::Missed(_) => MISSED.to_owned(),
                }),
            });
        }
        let is_planned = report.after.iter().any(|one| one.outcome == WorkflowOutcome::Planned);
        if is_planned && report.outcome == RotationOutcome::Fresh {
            report.outcome = RotationOutcome::Planned;
        }
    }
}

async fn carry_out(
    context: &RunContext<'_>,
    workflow: &Workflow,
    decision: Decision,
) -> Result<WorkflowOutcome, Failure> {
    let (since, must_look, may_start) = match decision {
        Decision::Start { since } => (since, false, true),
        Decision::StartUnlessRun { since } => (since, true, true),
        Decision::LookOnce { since } => (since, true, false),
        Decision::Leave(outcome) => return Ok(outcome),
    };
    let work = async {
        if must_look && context.github.has_run_since(workflow, since).await.map_err(Failure::Look)? {
            return Ok(WorkflowOutcome::HasRun);
        }
        if !may_start {
            return Err(Failure::Missed(since));
        }
        if context.mode != Mode::Apply {
            return Ok(WorkflowOutcome::Planned);
        }
        context.github.start_workflow(workflow, since).await.map_err(Failure::Start)?;
        Ok(WorkflowOutcome::Started)
    };
    let failure = if must_look { Failure::Look } else { Failure::Start };
    let stopped = |why| failure(Error::new(ErrorKind::Unavailable, workflow, why));
    // Boxed, because the future of the whole run would grow by it.
    Box::pin(context.stop_signal.unless_stopped(work)).await.map_err(stopped).flatten()
}

/// What is wrong with a workflow that was not started, or will not be.
fn warning(workflow: &Workflow, settled: &Settled, obstacle: Option<&Error>) -> Option<String> {
    let failure = match &settled.result {
        Err(failure) => failure,
        Ok(WorkflowOutcome::Planned | WorkflowOutcome::Waiting) => {
            return obstacle.map(|error| obstacle_text(workflow, error));
        }
        Ok(_) => return None,
    };
    let what = match failure {
        Failure::Look(error) => {
            let cause = cause(error);
            format!("it is not known whether workflow {workflow} has run since the last write: {cause}")
        }
        // GitHub may have accepted the request.
        Failure::Start(error) if matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Unreadable) => {
            format!("GitHub did not confirm that workflow {workflow} was started: {}", cause(error))
        }
        Failure::Start(error) => {
            // GitHub's refusal does not always say that a workflow is disabled.
            let disabled =
                obstacle.filter(|found| found.kind == ErrorKind::Invalid && found.remedy != error.remedy);
            let why = match disabled {
                Some(found) => format!("{}; {}", error.cause, cause(found)),
                None => cause(error),
            };
            format!("workflow {workflow} was not started: {why}")
        }
        Failure::Missed(since) => format!("workflow {workflow}: {MISSED}, at {since:.0}"),
    };
    Some(match settled.until {
        Some(until) if settled.is_near => {
            format!("{what}. The overlap ends at {until:.0}, perhaps before the next run: start it by hand")
        }
        Some(until) => format!("{what}. A run before {until:.0} tries again"),
        None => format!("{what}. The overlap is over, so no run tries again: start it by hand"),
    })
}

const MISSED: &str = "it has not run since the secrets were last written";

/// Until when the previous token is valid, if a workflow waits while some secrets hold the new
/// one already.
fn waiting(workflow: &Workflow, settled: &Settled, report: &RotationReport) -> Option<String> {
    let is_partly_delivered = report.destinations.iter().any(|one| one.state == SecretState::Current);
    let previous = report.previous.as_ref().filter(|_| is_partly_delivered)?;
    let until = previous.valid_until?;
    matches!(settled.result, Ok(WorkflowOutcome::Waiting)).then(|| {
        format!(
            "workflow {workflow} is not started before every secret holds the new token. The previous \
             token {} is valid until {until:.0}: if a secret still cannot be written by then, start it by hand",
            previous.id
        )
    })
}

pub(super) fn obstacle_text(workflow: &Workflow, error: &Error) -> String {
    let cause = cause(error);
    match error.kind.is_refusal() {
        true => format!("workflow {workflow} cannot be started after the rotation: {cause}"),
        false => {
            format!("it is not known whether workflow {workflow} can be started after the rotation: {cause}")
        }
    }
}

/// The cause, and what to do.
fn cause(Error { cause, remedy, .. }: &Error) -> String {
    match remedy {
        Some(remedy) => format!("{cause}. {}", remedy.trim_end_matches('.')),
        None => cause.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::day;
    use super::*;

    const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

    fn decided(now: i64, states: &[DeliveryState]) -> Decision {
        let deliveries: Vec<_> = states.iter().map(|state| (*state, WEEK)).collect();
        decide(day(now), &deliveries)
    }

    #[test]
    fn a_workflow_is_started_by_the_run_that_delivers() {
        use DeliveryState::*;
        assert_eq!(decided(0, &[Written(day(0))]), Decision::Start { since: day(0) });
        assert_eq!(decided(0, &[Planned]), Decision::Leave(WorkflowOutcome::Planned));
        assert_eq!(decided(0, &[Incomplete]), Decision::Leave(WorkflowOutcome::Waiting));
        assert_eq!(decided(0, &[]), Decision::Leave(WorkflowOutcome::NotDue));
    }

    #[test]
    fn a_later_run_looks_within_the_overlap_alone() {
        use DeliveryState::*;
        for now in [1, 7] {
            assert_eq!(decided(now, &[Held(day(0))]), Decision::StartUnlessRun { since: day(0) });
        }
        assert_eq!(decided(8, &[Held(day(0))]), Decision::Leave(WorkflowOutcome::NotDue));
        assert_eq!(
            decide(day(1), &[(Held(day(0)), SignedDuration::ZERO)]),
            Decision::Leave(WorkflowOutcome::NotDue)
        );
    }

    #[test]
    fn the_run_that_retires_the_previous_token_looks_once_more() {
        use DeliveryState::*;
        assert_eq!(decided(8, &[Retiring(day(0))]), Decision::LookOnce { since: day(0) });
        assert_eq!(decided(8, &[Retiring(day(0)), Incomplete]), Decision::LookOnce { since: day(0) });
        assert_eq!(decided(3, &[Retiring(day(0))]), Decision::StartUnlessRun { since: day(0) });
        let another = [Retiring(day(0)), Held(day(5))];
        assert_eq!(decided(8, &another), Decision::StartUnlessRun { since: day(5) });
        assert_eq!(decided(8, &[Retiring(day(0)), Planned]), Decision::Leave(WorkflowOutcome::Planned));
    }

    #[test]
    fn of_several_rotations_the_last_write_counts_and_none_holds_back_another() {
        use DeliveryState::*;
        let week = decided(3, &[Held(day(1)), Held(day(2)), Incomplete]);
        assert_eq!(week, Decision::StartUnlessRun { since: day(2) });
        let now = decided(3, &[Held(day(1)), Written(day(3)), Incomplete]);
        assert_eq!(now, Decision::Start { since: day(3) });
        assert_eq!(decided(9, &[Held(day(0)), Incomplete]), Decision::Leave(WorkflowOutcome::Waiting));
        assert_eq!(decided(9, &[Held(day(0)), Held(day(8))]), Decision::StartUnlessRun { since: day(8) });
        assert_eq!(decided(3, &[Held(day(1)), Planned]), Decision::Leave(WorkflowOutcome::Planned));
    }
}
