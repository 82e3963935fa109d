//! The policies against the schedules of the workflows that run crossfade.

use jiff::{SignedDuration, Timestamp};

use super::cron::{Cron, longest_gap};
use super::workflow::{Workflow, Workflows};
use super::{Check, State};
use crate::config::Config;
use crate::period::Period;
use crate::report::format::counted;

/// GitHub disables the schedules of a public repository after so much time without
/// activity. Source: GitHub's page on disabling workflows.
const QUIET_DAYS: i64 = 60;

/// `is_public`: the repository, asked only where a workflow has a schedule.
pub(super) fn checks(
    workflows: &Workflows,
    config: &Config,
    now: Option<Timestamp>,
    is_public: Option<bool>,
) -> Vec<Check> {
    let unreadable = workflows.unreadable.iter().map(|file| {
        let message = format!("{file} mentions crossfade, and is not valid YAML");
        Check::new("schedule", "schedule", State::Warning, message)
    });
    let mut checks: Vec<Check> = unreadable.collect();
    if workflows.found.is_empty() {
        let message = "no workflow of this folder runs crossfade, so the schedule was not checked";
        let check = Check::new("schedule", "schedule", State::Unknown, message);
        checks.push(check.fix("Run `doctor` in the checkout that has the workflow."));
        return checks;
    }
    if workflows.found.iter().all(|workflow| workflow.crons.is_empty()) {
        let files: Vec<&str> = workflows.found.iter().map(|workflow| workflow.file.as_str()).collect();
        let message =
            format!("{} has no schedule: tokens are replaced only when a person starts it", files.join(", "));
        let check = Check::new("schedule", "schedule", State::Warning, message);
        checks.push(check.fix("Add `on: schedule:` to the workflow, as in examples/workflows/rotate.yml."));
    }
    for workflow in &workflows.found {
        checks.extend(interval(workflow, config, now));
        if !workflow.has_concurrency {
            let message = "has no `concurrency`: of two runs at the same time one fails";
            let check = Check::new(subject(workflow), "concurrency", State::Warning, message);
            checks.push(check.fix("Add `concurrency: crossfade` to the workflow."));
        }
    }
    if is_public == Some(true) {
        checks.push(quiet(config));
    }
    checks
}

fn subject(workflow: &Workflow) -> String {
    format!("workflow {}", workflow.file)
}

/// Whether its runs are close enough for every rotation.
fn interval(workflow: &Workflow, config: &Config, now: Option<Timestamp>) -> Option<Check> {
    if workflow.crons.is_empty() {
        return None;
    }
    let check = |state, message: String| Check::new(subject(workflow), "schedule", state, message);
    let crons: Vec<Option<Cron>> = workflow.crons.iter().map(|cron| Cron::parse(cron)).collect();
    if let Some(at) = crons.iter().position(Option::is_none) {
        let message = format!("`{}` is not a schedule of five fields", workflow.crons[at]);
        return Some(check(State::Warning, message).fix("Write it like `17 5 * * *`: daily at 05:17 UTC."));
    }
    let crons: Vec<Cron> = crons.into_iter().flatten().collect();
    let gap = longest_gap(&crons, now?);
    let policies = config.rotations.iter().map(|rotation| rotation.policy);
    // One run may be late or fail: two must fit.
    let is_short = |period: &Period| !period.is_zero() && gap * 2 > period.duration();
    let overlap = policies.clone().map(|policy| policy.overlap).filter(is_short).min();
    let rotate_before = policies.map(|policy| policy.rotate_before).filter(is_short).min();
    let runs = format!("runs every {}", every(gap));
    Some(match (overlap, rotate_before) {
        (None, None) => check(State::Ok, format!("{runs}: often enough for every policy")),
        (Some(overlap), _) => check(
            State::Warning,
            format!(
                "{runs} and an overlap is {overlap}: if a run is cut off, the next one may come after the previous token \
                 has ended"
            ),
        )
        .fix(format!(
            "Run at least every {}, or make the overlap at least {}.",
            every(overlap.duration() / 2),
            every(gap * 2)
        )),
        (None, Some(before)) => check(
            State::Warning,
            format!("{runs} and tokens are replaced {before} before their end: a run that fails leaves little time"),
        )
        .fix(format!("Run at least every {}, or raise `rotate_before`.", every(before.duration() / 2))),
    })
}

/// Public repositories lose their schedules.
fn quiet(config: &Config) -> Check {
    let first_due = config.rotations.iter().map(|rotation| {
        (rotation.policy.lifetime.duration() - rotation.policy.rotate_before.duration()).as_hours() / 24
    });
    let due = match first_due.max() {
        Some(days) if days > QUIET_DAYS => format!(", and a new token is due after {days} days"),
        _ => String::new(),
    };
    let message = format!(
        "the repository is public: GitHub disables its schedules after {QUIET_DAYS} days without a commit{due}"
    );
    Check::new("schedule", "quiet_repository", State::Warning, message).fix(
        "Commit to the repository at least every 60 days, or enable the workflow again when GitHub mails that it was \
         disabled; or keep the workflow in a private repository. `crossfade status --fail-within 7d`, scheduled in \
         another repository, tells when tokens are not replaced.",
    )
}

/// `24 hours`, `7 days`
fn every(gap: SignedDuration) -> String {
    let minutes = usize::try_from(gap.as_mins()).unwrap_or_default();
    match minutes {
        0..120 => counted(minutes.max(1), "minute"),
        120..2880 => counted(minutes / 60, "hour"),
        _ => counted(minutes / 1440, "day"),
    }
}
