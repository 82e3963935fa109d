//! The issue of `--report-issue`, after the report was printed: a cancelled job is killed
//! seconds later, and the report comes first.

use std::io::Write as _;

use crate::cli::{Run, Verbosity};
use crate::config::Repository;
use crate::config::address::origin;
use crate::environment::Environment;
use crate::github::{Issues, site_url};
use crate::issue::{self, IssueSettings, Links};
use crate::redact::Redactor;
use crate::report::{Report, actions};
use crate::streams::Stream;

/// Keeps the issue up to date. What fails is a warning; a stop signal ends it.
pub(super) async fn keep(
    run: &Run,
    issues: &Issues,
    report: &Report,
    links: &Links,
    redactor: &Redactor,
    mut stop: impl AsyncFnMut(),
) -> Option<String> {
    let settings = run.issue.as_ref()?;
    let settings = &IssueSettings { about: redactor.line(&settings.about), ..settings.clone() };
    let report = report.redacted(redactor);
    let kept = async { Box::pin(issue::keep(issues, settings, &report, links)).await };
    let warning = tokio::select! {
        biased;
        () = stop() => Some(issue::stopped(settings)),
        warning = kept => warning,
    };
    warning.map(|warning| redactor.message(&warning))
}

/// Prints a warning that concerns no rotation.
pub(super) fn warn(warning: &str, on_actions: bool, verbosity: Verbosity, stderr: &mut Stream) {
    // A closed pipe is not an error.
    let _ = match on_actions {
        true => actions::warn(warning, stderr),
        false if verbosity > Verbosity::Quiet => writeln!(stderr, "warning: {warning}"),
        false => Ok(()),
    };
}

pub(super) fn links(run: &Run, environment: &Environment) -> Links {
    let of_runner = |name| environment.get(name).filter(|_| environment.is_on_actions());
    let server = site_url(&run.github.api_url).or_else(|| of_runner("GITHUB_SERVER_URL").map(str::to_owned));
    let server = server.filter(|server| origin(server).is_ok());
    let is_number = |id: &&str| id.bytes().all(|b| b.is_ascii_digit());
    let repository = of_runner("GITHUB_REPOSITORY").and_then(|text| text.parse::<Repository>().ok());
    let id = of_runner("GITHUB_RUN_ID").filter(is_number);
    let run = server.as_ref().zip(repository).zip(id);
    Links {
        run: run.map(|((server, repository), id)| format!("{server}/{repository}/actions/runs/{id}")),
        server,
    }
}
