//! One invocation, from arguments to exit code.
//!
//! Connects the parts without any policy: [`crate::rotation`] decides what is done,
//! [`crate::report`] what is printed. Does not use the process's own state, so that
//! tests and the sandbox can run many invocations side by side.

mod init;
mod issue;
mod proof;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;

use crate::cli::{self, Command, EarlyExit, Invocation, Run, Verbosity};
use crate::clock::{Clock, ClockId};
use crate::diagnostic::{Invalid, Problems};
use crate::doctor::{self, Diagnosis, Subject, workflow};
use crate::environment::Environment;
use crate::github::{GitHub, GithubOptions, Issues, Mode};
use crate::http::{Announce, Http, HttpSettings};
use crate::log;
use crate::progress::Progress;
use crate::provider::{Provider, ProviderSettings};
use crate::question::Question;
use crate::redact::Redactor;
use crate::report::{self, ActionsFiles, Format, Outputs, Report, actions};
use crate::rotation::delivery_slots::DeliverySlots;
use crate::rotation::marker::MarkerKeys;
use crate::rotation::session::ProviderSession;
use crate::rotation::stop_signal::StopSignal;
use crate::rotation::{self, Ask, RunContext};
use crate::streams::Streams;

/// Exit code of an invalid command line or configuration; no request was sent.
const USAGE: u8 = 2;
/// Exit code of a failed rotation.
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
    mut streams: Streams,
    mut stop: impl AsyncFnMut(),
) -> u8 {
    let on_actions = environment.is_on_actions();
    let redactor = Arc::new(Redactor::new());
    let run = match cli::invocation(arguments, environment, &redactor) {
        Ok(Invocation::Rotations(run)) => run,
        Ok(Invocation::Provider(run)) => {
            return Box::pin(proof::run(&run, &redactor, on_actions, streams, stop)).await;
        }
        Ok(Invocation::Init(run)) => {
            return Box::pin(init::run(*run, &redactor, environment, streams, stop)).await;
        }
        Err(early_exit) => return exit_early(early_exit, &redactor, on_actions, streams),
    };
    let verbosity = run.options.verbosity;
    let progress = match verbosity {
        Verbosity::Quiet => Progress::default(),
        _ => Progress::new(streams.stderr.is_terminal()),
    };
    let log = log::subscriber(verbosity, Arc::clone(&redactor), streams.stderr.clone(), progress.clone());
    for note in run.notes.iter().filter(|_| verbosity > Verbosity::Quiet) {
        let _ = writeln!(streams.stderr, "{}", redactor.message(note));
    }
    // A doctor reports them itself.
    if !run.warnings.is_empty() && verbosity > Verbosity::Quiet && run.command != Command::Doctor {
        let _ = writeln!(streams.stderr, "{}", redactor.scrub(&run.warnings.to_string()));
    }
    if on_actions {
        let _ = actions::annotate_problems(&run.warnings, &redactor, &mut streams.stderr);
    }
    // One line per request makes a long log, so the runner folds it.
    let is_folded = on_actions && verbosity > Verbosity::Normal;
    if is_folded {
        let _ = actions::group("crossfade: what was asked and answered", &mut streams.stderr);
    }
    let log = Dispatch::new(log);
    let outcome = carry_out(&run, &redactor, on_actions, &streams, &progress, &mut stop)
        .with_subscriber(log.clone())
        .await;
    progress.end();
    if is_folded {
        let _ = actions::end_group(&mut streams.stderr);
    }
    let (report, issues) = match outcome {
        Ok(Outcome::Report { report, issues }) => (*report, issues),
        Ok(Outcome::Diagnosis(diagnosis)) => return print(&diagnosis, &run, &redactor, environment, streams),
        Err(Abort::AtOnce(left)) => {
            let _ = writeln!(streams.stderr, "{left}");
            return INTERRUPTED;
        }
        Err(Abort::Usage(usage)) => {
            let _ = writeln!(streams.stderr, "error: {}", redactor.message(&usage));
            if on_actions {
                let problems = Problems::of(Invalid::new(usage));
                let _ = actions::annotate_problems(&problems, &redactor, &mut streams.stderr);
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
    let terminal = streams.stdout.terminal(environment, verbosity > Verbosity::Normal);
    let Streams { stdout, stderr, stdin: _ } = &mut streams;
    let format = run.options.format;
    let mut outputs = Outputs { format, terminal, stdout, stderr, actions: files };
    let exit_code = match report::publish(&report, &redactor, &mut outputs) {
        Ok(()) => match report.exit_code() {
            0 if run.options.detailed_exitcode && report.has_something_to_do() => SOMETHING_TO_DO,
            code => code,
        },
        Err(error) => {
            let error = redactor.message(&error.to_string());
            let _ = writeln!(streams.stderr, "error: the report could not be written: {error}");
            FAILED
        }
    };
    if let Some(issues) = issues {
        let kept = issue::keep(&run, &issues, &report, &links, &redactor, stop).with_subscriber(log);
        if let Some(warning) = kept.await {
            issue::warn(&warning, on_actions, verbosity, &mut streams.stderr);
        }
    }
    exit_code
}

/// Prints what needs no request, and returns the exit code.
fn exit_early(early_exit: EarlyExit, redactor: &Redactor, on_actions: bool, mut streams: Streams) -> u8 {
    let EarlyExit { stdout, stderr, exit_code, problems } = early_exit;
    // A closed pipe is not an error.
    let (stdout, stderr) = (redactor.scrub(&stdout), redactor.scrub(&stderr));
    let _ = streams.stdout.write_all(stdout.as_bytes()).and_then(|()| streams.stdout.flush());
    let _ = streams.stderr.write_all(stderr.as_bytes()).and_then(|()| streams.stderr.flush());
    if on_actions {
        let _ = actions::annotate_problems(&problems, redactor, &mut streams.stderr);
    }
    exit_code
}

/// Prints a diagnosis, and returns the exit code.
fn print(
    diagnosis: &Diagnosis,
    run: &Run,
    redactor: &Redactor,
    environment: &Environment,
    mut streams: Streams,
) -> u8 {
    let terminal = streams.stdout.terminal(environment, run.options.verbosity > Verbosity::Normal);
    let page = match run.options.format {
        Format::Json => doctor::page::json(diagnosis, redactor),
        Format::Text => doctor::page::text(diagnosis, terminal, redactor),
    };
    let printed = streams.stdout.write_all(page.as_bytes()).and_then(|()| streams.stdout.flush());
    match printed {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let error = redactor.message(&error.to_string());
            let _ = writeln!(streams.stderr, "error: the report could not be written: {error}");
            FAILED
        }
        _ => diagnosis.exit_code(),
    }
}

/// What an invocation found.
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
    redactor: &Arc<Redactor>,
    on_actions: bool,
    streams: &Streams,
    progress: &Progress,
    mut stop: impl AsyncFnMut(),
) -> Result<Outcome, Abort> {
    let options = &run.options;
    let clock = Arc::new(Clock::default());
    let request_timeout = options.request_timeout.unsigned();
    let mut settings = HttpSettings::new(request_timeout);
    if streams.stderr.is_terminal() && !on_actions {
        settings.retry = settings.retry.impatient();
    }
    let http = Arc::new(Http::new(settings, Arc::clone(&clock)).with_progress(progress.clone()));
    let mode = match run.command {
        Command::Status { .. } => Mode::ReadOnly,
        Command::Doctor => Mode::Doctor,
        Command::Rotate if options.dry_run => Mode::DryRun,
        Command::Rotate => Mode::Apply,
    };
    let announce = announce(redactor, on_actions, streams);
    let github_options = GithubOptions {
        concurrency: options.concurrency,
        pace: options.pace,
        mode,
        announce: Arc::clone(&announce),
        progress: progress.clone(),
    };
    let github = GitHub::connect(Arc::clone(&http), &run.github, github_options)
        .map_err(|error| Abort::Usage(error.to_string()))?;
    let sessions = sessions(run, &http, &announce).map_err(Abort::Usage)?;
    let stop_signal = StopSignal::of_run(options.deadline.unsigned(), request_timeout);
    let delivery_slots = DeliverySlots::new(options.concurrency);
    let question =
        streams.stdin.clone().filter(|_| asks(run, mode, on_actions, streams)).map(|stdin| Question {
            stderr: streams.stderr.clone(),
            stdin,
            redactor: Arc::clone(redactor),
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
        ask: question.as_ref().map(|question| question as &dyn Ask),
        mode,
        marker_keys: MarkerKeys::new(run.marker_keys.clone()),
    };
    let work = async {
        if run.command == Command::Doctor {
            let workflows = workflow::read(&run.checkout);
            let subject = Subject {
                config: &run.config,
                warnings: &run.warnings,
                repository: &run.repository,
                sessions: &sessions,
                workflows: &workflows,
            };
            // Nothing is changed, so nothing has to be finished.
            let diagnosis = Box::pin(stop_signal.unless_stopped(doctor::diagnose(&context, &subject))).await;
            return Outcome::Diagnosis(diagnosis.unwrap_or_else(|why| Diagnosis::stopped(&why)));
        }
        let report = rotation::run(&context, &run.config, &sessions).await;
        let report = Box::new(complete(report, run, &sessions));
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

/// Whether a user is there to confirm something, and wants to.
fn asks(run: &Run, mode: Mode, on_actions: bool, streams: &Streams) -> bool {
    mode == Mode::Apply && !run.options.yes && !on_actions && streams.stderr.is_terminal()
}

/// Adds what concerns the run as a whole.
fn complete(
    mut report: Report,
    run: &Run,
    sessions: &HashMap<ProviderSettings, Arc<ProviderSession>>,
) -> Report {
    if let Command::Status { fail_within, fail_on, unmanaged } = &run.command {
        if let Some(within) = fail_within {
            report.look_ahead(within.duration());
        }
        report.look_for(fail_on);
        report.unmanaged = unmanaged.then(|| rotation::unmanaged(&run.config, sessions));
    }
    report
}

/// Masks and registers every new value before any output can contain it.
fn announce(redactor: &Arc<Redactor>, on_actions: bool, streams: &Streams) -> Announce {
    let (redactor, stderr) = (Arc::clone(redactor), streams.stderr.clone());
    Arc::new(move |value: &SecretString| {
        if on_actions && actions::add_mask(value, &mut stderr.clone()).is_err() {
            tracing::warn!("a new value could not be masked: standard error cannot be written");
        }
        redactor.register(value);
    })
}

/// One session for each provider and credential.
fn sessions(
    run: &Run,
    http: &Arc<Http>,
    announce: &Announce,
) -> Result<HashMap<ProviderSettings, Arc<ProviderSession>>, String> {
    let mut sessions = HashMap::new();
    for settings in run.config.rotations.iter().map(|rotation| &rotation.provider) {
        if sessions.contains_key(settings) {
            continue;
        }
        let clock = ClockId::Provider(sessions.len());
        let provider =
            Provider::new(settings, &run.credentials, Arc::clone(http), clock, Arc::clone(announce))
                .map_err(|error| error.to_string())?;
        let credential = run.credentials.get(&settings.credential).cloned().unwrap_or_default();
        sessions.insert(
            settings.clone(),
            Arc::new(ProviderSession::new(provider, credential, clock, http.retry_policy())),
        );
    }
    Ok(sessions)
}
