//! One invocation, from arguments to exit code.
//!
//! Connects the parts without any policy: [`crate::rotation`] decides what is done,
//! [`crate::report`] what is printed. Does not use the process's own state, so that
//! tests and the sandbox can run many invocations side by side.

mod host;
mod init;
mod issue;
mod proof;

use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::OnceCell;
use tracing::instrument::WithSubscriber as _;

use crate::cli::{self, Command, Invocation, Run, Verbosity};
use crate::clock::{Clock, ClockId};
use crate::diagnostic::{Invalid, Problems};
use crate::doctor::{self, Diagnosis, workflow};
use crate::environment::Environment;
use crate::github::{GitHub, GithubOptions, Issues, Mode};
use crate::http::{Announce, Http, HttpSettings};
use crate::progress::Progress;
use crate::provider::{Provider, ProviderSettings};
use crate::question::Question;
use crate::redact::Redactor;
use crate::report::{self, ActionsFiles, Format, Outputs, Report, actions};
use crate::rotation::delivery_slots::DeliverySlots;
use crate::rotation::marker::MarkerKeys;
use crate::rotation::session::{ProviderSession, Sessions};
use crate::rotation::stop_signal::StopSignal;
use crate::rotation::{self, RunContext};
use crate::streams::Streams;
use host::Host;

/// Exit code of an invalid command line or configuration; no request was sent.
const USAGE: u8 = 2;
const FAILED: u8 = 1;
/// Exit code of a dry run with `--detailed-exitcode` if there is something to do.
const SOMETHING_TO_DO: u8 = 3;
/// The time for the issue, in request timeouts.
const ISSUE_PATIENCE: u32 = 4;
/// Exit code after a second stop signal, as a shell reports a process that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// Runs one invocation to its end and returns the exit code: 0 all is well,
/// 1 a rotation failed, 2 usage or configuration, 3 something to do (if asked for).
///
/// When `stop` resolves for the first time, no new mint is started; a new token is still
/// delivered. When it resolves again, the run ends at once, with 130.
pub async fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
    streams: Streams,
    mut stop: impl AsyncFnMut(),
) -> u8 {
    let (on_actions, redactor) = (environment.is_on_actions(), Arc::new(Redactor::new()));
    let mut host = Host { environment, on_actions, redactor: Arc::clone(&redactor), streams };
    let run = match cli::invocation(arguments, environment, &redactor) {
        Ok(Invocation::Rotations(run)) => run,
        Ok(Invocation::Provider(run)) => return Box::pin(proof::run(&run, &host, stop)).await,
        Ok(Invocation::Init(run)) => return Box::pin(init::run(*run, &host, stop)).await,
        Err(early_exit) => return host.exit_early(early_exit),
    };
    let verbosity = run.options.verbosity;
    let progress = match verbosity {
        Verbosity::Quiet => Progress::default(),
        _ => Progress::new(host.streams.stderr.is_terminal()),
    };
    for note in run.notes.iter().filter(|_| verbosity > Verbosity::Quiet) {
        host.note(note);
    }
    // A doctor reports them itself.
    if !run.warnings.is_empty() && verbosity > Verbosity::Quiet && run.command != Command::Doctor {
        let _ = writeln!(host.streams.stderr, "{}", redactor.scrub(&run.warnings.to_string()));
    }
    if on_actions {
        let _ = actions::annotate_problems(&run.warnings, &redactor, &mut host.streams.stderr);
    }
    // One line per request makes a long log, so the runner folds it.
    let is_folded = on_actions && verbosity > Verbosity::Normal;
    if is_folded {
        let _ = actions::group("crossfade: what was asked and answered", &mut host.streams.stderr);
    }
    let log = host.log(verbosity, progress.clone());
    let outcome = carry_out(&run, &host, &progress, &mut stop).with_subscriber(log.clone()).await;
    progress.end();
    if is_folded {
        let _ = actions::end_group(&mut host.streams.stderr);
    }
    let terminal = host.streams.stdout.terminal(environment, verbosity > Verbosity::Normal);
    let (report, issues) = match outcome {
        Ok(Outcome::Report { report, issues }) => (*report, issues),
        Ok(Outcome::Diagnosis(diagnosis)) => {
            let page = match run.options.format {
                Format::Json => doctor::page::json(&diagnosis, &redactor),
                Format::Text => doctor::page::text(&diagnosis, terminal, &redactor),
            };
            return host.after_report(host.print(&page), diagnosis.exit_code());
        }
        Err(Abort::AtOnce(left)) => {
            let _ = writeln!(host.streams.stderr, "{left}");
            return INTERRUPTED;
        }
        Err(Abort::Usage(usage)) => {
            host.error(&usage);
            if on_actions {
                let problems = Problems::of(Invalid::new(usage));
                let _ = actions::annotate_problems(&problems, &redactor, &mut host.streams.stderr);
            }
            return USAGE;
        }
    };
    let links = issue::links(&run, environment);
    let files = on_actions.then(|| ActionsFiles {
        output: environment.get("GITHUB_OUTPUT").map(PathBuf::from),
        summary: environment.get("GITHUB_STEP_SUMMARY").map(PathBuf::from),
        server_url: links.server.clone(),
    });
    let Streams { stdout, stderr, stdin: _ } = &mut host.streams;
    let format = run.options.format;
    let mut outputs = Outputs { format, terminal, stdout, stderr, actions: files };
    let published = report::publish(&report, &redactor, &mut outputs);
    let exit_code = match report.exit_code() {
        0 if run.options.detailed_exitcode && report.has_something_to_do() => SOMETHING_TO_DO,
        code => code,
    };
    let exit_code = host.after_report(published, exit_code);
    if let Some(issues) = issues {
        let kept = issue::keep(&run, &issues, &report, &links, &redactor, stop).with_subscriber(log);
        if let Some(warning) = kept.await {
            issue::warn(&warning, on_actions, verbosity, &mut host.streams.stderr);
        }
    }
    exit_code
}

enum Outcome {
    Report {
        report: Box<Report>,
        /// Where an issue is to be kept.
        issues: Option<Box<Issues>>,
    },
    Diagnosis(Diagnosis),
}

/// Why there is no report.
enum Abort {
    Usage(String),
    /// A second stop signal, and what it leaves.
    AtOnce(String),
}

async fn carry_out(
    run: &Run,
    host: &Host<'_>,
    progress: &Progress,
    mut stop: impl AsyncFnMut(),
) -> Result<Outcome, Abort> {
    let options = &run.options;
    let clock = Arc::new(Clock::default());
    let request_timeout = options.request_timeout.unsigned();
    let mut settings = HttpSettings::new(request_timeout);
    settings.retry.is_impatient = host.has_user();
    let http = Arc::new(Http::new(settings, Arc::clone(&clock)).with_progress(progress.clone()));
    let mode = match run.command {
        Command::Status { .. } => Mode::ReadOnly,
        Command::Doctor => Mode::Doctor,
        Command::Rotate if options.dry_run => Mode::DryRun,
        Command::Rotate => Mode::Apply,
    };
    let announce = host.announce();
    let github_options = GithubOptions {
        concurrency: options.concurrency,
        pace: options.pace,
        mode,
        announce: Arc::clone(&announce),
        progress: progress.clone(),
    };
    // Boxed, because the future of a run would grow by it.
    let github = GitHub::connect(Arc::clone(&http), &run.github, github_options)
        .map(Box::new)
        .map_err(|error| Abort::Usage(error.to_string()))?;
    let sessions = sessions(run, &http, &announce).map_err(Abort::Usage)?;
    let stop_signal = StopSignal::new(options.deadline.unsigned(), request_timeout);
    let delivery_slots = DeliverySlots::new(options.concurrency);
    let asks = mode == Mode::Apply && !options.yes && host.has_user();
    let question = host.streams.stdin.clone().filter(|_| asks).map(|stdin| Question {
        stderr: host.streams.stderr.clone(),
        stdin,
        redactor: Arc::clone(&host.redactor),
        progress: progress.clone(),
    });
    let context = RunContext {
        github: &github,
        progress,
        clock: &clock,
        stop_signal: &stop_signal,
        delivery_slots: &delivery_slots,
        first_wait: settings.retry.first_wait,
        patience: rotation::patience(request_timeout),
        force: options.force,
        question: question.as_ref(),
        mode,
        marker_keys: MarkerKeys(run.marker_keys.clone()),
    };
    let work = async {
        if run.command == Command::Doctor {
            let workflows = workflow::read(&run.checkout);
            let Run { config, warnings, repository, .. } = run;
            let diagnose = || doctor::diagnose(&context, config, warnings, repository, &sessions, &workflows);
            // Nothing is changed, so nothing has to be finished.
            let diagnosis = Box::pin(stop_signal.unless_stopped(diagnose())).await;
            return Outcome::Diagnosis(diagnosis.unwrap_or_else(|why| Diagnosis::stopped(&why)));
        }
        let mut report = Box::new(rotation::run(&context, &run.config, &sessions).await);
        if let Command::Status { fail_within, fail_on, unmanaged } = &run.command {
            if let Some(within) = fail_within {
                report.look_ahead(within.duration());
            }
            report.look_for(fail_on);
            report.unmanaged = unmanaged.then(|| rotation::unmanaged(&run.config, &sessions));
        }
        let settings = run.issue.as_ref().filter(|_| mode != Mode::DryRun);
        let issues = settings.map(|settings| {
            let patience = request_timeout * ISSUE_PATIENCE;
            Box::new(github.issues(&settings.repository, &settings.token, patience))
        });
        Outcome::Report { report, issues }
    };
    let stopped = async {
        stop().await;
        tracing::warn!("{}", progress.stopping());
        stop_signal.stop();
        stop().await;
        progress.stopped()
    };
    let outcome = tokio::select! {
        // A signal that arrived already is handled first.
        biased;
        left = stopped => Err(Abort::AtOnce(left)),
        outcome = work => Ok(outcome),
        never = progress.watch() => match never {},
    };
    progress.end();
    outcome
}

fn sessions(run: &Run, http: &Arc<Http>, announce: &Announce) -> Result<Sessions, String> {
    let mut sessions = Sessions::new();
    for settings in run.config.rotations.iter().map(|rotation| &rotation.provider) {
        let clock = ClockId::Provider(sessions.len());
        if let Entry::Vacant(vacant) = sessions.entry(settings.clone()) {
            vacant.insert(session(settings, &run.credentials, http, clock, announce)?);
        }
    }
    Ok(sessions)
}

fn session(
    settings: &ProviderSettings,
    credentials: &BTreeMap<String, SecretString>,
    http: &Arc<Http>,
    clock: ClockId,
    announce: &Announce,
) -> Result<ProviderSession, String> {
    let provider = Provider::new(settings, credentials, Arc::clone(http), clock, Arc::clone(announce))
        .map_err(|error| error.to_string())?;
    let credential = credentials.get(&settings.credential).cloned().unwrap_or_default();
    let (retry, listed) = (http.retry_policy(), OnceCell::new());
    Ok(ProviderSession { provider, credential, clock, retry, listed })
}
