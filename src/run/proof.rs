//! `crossfade provider check` and `prove`.

use std::io::Write as _;
use std::sync::Arc;

use tracing::instrument::WithSubscriber as _;

use super::host::Host;
use super::{FAILED, INTERRUPTED, USAGE, session};
use crate::cli::{Action, ProviderRun, Verbosity};
use crate::clock::{Clock, ClockId};
use crate::http::{Http, HttpSettings};
use crate::progress::Progress;
use crate::report::provider::{Outcome, proof as steps_as_text, tokens};
use crate::rotation;
use crate::rotation::proof::{Proof, is_ours};
use crate::rotation::stop_signal::StopSignal;

/// Runs the command, prints what came of it, and returns the exit code.
pub(super) async fn run(run: &ProviderRun, host: &Host<'_>, mut stop: impl AsyncFnMut()) -> u8 {
    if let Some(note) = run.note.as_ref().filter(|_| run.options.verbosity > Verbosity::Quiet) {
        host.note(note);
    }
    let log = host.log(run.options.verbosity, Progress::default());
    let options = &run.options;
    let stop_signal = StopSignal::new(options.deadline.unsigned(), options.request_timeout.unsigned());
    let mut stderr = host.streams.stderr.clone();
    let stopped = async {
        stop().await;
        stop_signal.stop();
        if run.action == Action::Prove {
            let _ = writeln!(stderr, "Stopping. A token that was created is still being deleted.");
        }
        stop().await;
        if run.action == Action::Prove {
            let _ = writeln!(
                stderr,
                "Stopped at once. If a token was created, it may be left.\n\
                 Run `crossfade provider prove` again: it deletes what an earlier one left."
            );
        }
    };
    let outcome = tokio::select! {
        biased;
        () = stopped => return INTERRUPTED,
        outcome = carry_out(run, host, &stop_signal).with_subscriber(log) => outcome,
    };
    match outcome {
        Ok((text, code)) => host.print(&text).map_or(FAILED, |()| code),
        Err((error, code)) => {
            host.error(&error);
            code
        }
    }
}

async fn carry_out(
    run: &ProviderRun,
    host: &Host<'_>,
    stop_signal: &StopSignal,
) -> Result<(String, u8), (String, u8)> {
    let clock = Arc::new(Clock::default());
    let request_timeout = run.options.request_timeout.unsigned();
    let http = Arc::new(Http::new(HttpSettings::new(request_timeout), Arc::clone(&clock)));
    let settings = &run.rotation.provider;
    // Nothing is asked of GitHub, so the provider's clock is the one that counts.
    let session = session(settings, &run.credentials, &http, ClockId::Github, &host.announce());
    let session = session.map_err(|error| (error, USAGE))?;
    match run.action {
        Action::Check => {
            let listed = stop_signal.unless_stopped(session.tokens()).await;
            let listed = listed.map_err(|why| (format!("not checked, because {why}"), FAILED))?;
            let listed = listed.map_err(|error| (error.to_string(), FAILED))?;
            let warnings = settings.kind.file().token.absent_from(listed);
            let listed: Vec<_> = listed.iter().map(|token| (token, is_ours(&run.rotation, token))).collect();
            Ok((tokens(&listed, &warnings, &host.redactor), 0))
        }
        Action::Prove => {
            let file = settings.kind.file();
            let proof = Proof {
                session: &session,
                rotation: &run.rotation,
                shortest: file.shortest,
                patience: rotation::patience(request_timeout).max(file.eventual),
                stop_signal,
                now: &|| clock.now(),
            };
            let steps = Box::pin(proof.run()).await;
            let is_wrong = steps.iter().any(|step| matches!(step.outcome, Outcome::Failed(_)));
            Ok((steps_as_text(&steps, &host.redactor), if is_wrong { FAILED } else { 0 }))
        }
    }
}
