//! `crossfade provider check` and `prove`.

use std::io::Write as _;
use std::sync::Arc;

use tracing::instrument::WithSubscriber as _;

use super::{FAILED, INTERRUPTED, USAGE, announce};
use crate::cli::{Action, ProviderRun, Verbosity};
use crate::clock::{Clock, ClockId};
use crate::http::{Http, HttpSettings};
use crate::log;
use crate::progress::Progress;
use crate::provider::Provider;
use crate::redact::Redactor;
use crate::report::provider::{Outcome, proof as steps_as_text, tokens};
use crate::rotation;
use crate::rotation::proof::{Proof, is_ours};
use crate::rotation::session::ProviderSession;
use crate::rotation::stop_signal::StopSignal;
use crate::streams::Streams;

/// Runs the command, prints what came of it, and returns the exit code.
pub(super) async fn run(
    run: &ProviderRun,
    redactor: &Arc<Redactor>,
    on_actions: bool,
    mut streams: Streams,
    mut stop: impl AsyncFnMut(),
) -> u8 {
    if let Some(note) = run.note.as_ref().filter(|_| run.options.verbosity > Verbosity::Quiet) {
        let _ = writeln!(streams.stderr, "{}", redactor.message(note));
    }
    let log = log::subscriber(
        run.options.verbosity,
        Arc::clone(redactor),
        streams.stderr.clone(),
        Progress::new(false),
    );
    let options = &run.options;
    let stop_signal = StopSignal::of_run(options.deadline.unsigned(), options.request_timeout.unsigned());
    let mut stderr = streams.stderr.clone();
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
        outcome = carry_out(run, redactor, on_actions, &streams, &stop_signal).with_subscriber(log) => outcome,
    };
    let (text, code) = match outcome {
        Ok((text, is_right)) => (text, if is_right { 0 } else { FAILED }),
        Err((error, code)) => {
            let _ = writeln!(streams.stderr, "error: {}", redactor.message(&error));
            return code;
        }
    };
    let written = streams.stdout.write_all(text.as_bytes()).and_then(|()| streams.stdout.flush());
    if written.is_ok() { code } else { FAILED }
}

async fn carry_out(
    run: &ProviderRun,
    redactor: &Arc<Redactor>,
    on_actions: bool,
    streams: &Streams,
    stop_signal: &StopSignal,
) -> Result<(String, bool), (String, u8)> {
    let clock = Arc::new(Clock::default());
    let request_timeout = run.options.request_timeout.unsigned();
    let http = Arc::new(Http::new(HttpSettings::new(request_timeout), Arc::clone(&clock)));
    let settings = &run.rotation.provider;
    let announce = announce(redactor, on_actions, streams);
    // Nothing is asked of GitHub, so the provider's clock is the one that counts.
    let provider = Provider::new(settings, &run.credentials, Arc::clone(&http), ClockId::Github, announce)
        .map_err(|error| (error.to_string(), USAGE))?;
    let credential = run.credentials.get(&settings.credential).cloned().unwrap_or_default();
    let session = ProviderSession::new(provider, credential, ClockId::Github, http.retry_policy());
    match run.action {
        Action::Check => {
            let listed = stop_signal.unless_stopped(session.tokens()).await;
            let listed = listed.map_err(|why| (format!("not checked, because {why}"), FAILED))?;
            let listed = listed.map_err(|error| (error.to_string(), FAILED))?;
            let warnings = settings.kind.file().token.absent_from(listed);
            let listed: Vec<_> = listed.iter().map(|token| (token, is_ours(&run.rotation, token))).collect();
            Ok((tokens(&listed, &warnings, redactor), true))
        }
        Action::Prove => {
            let file = settings.kind.file();
            let proof = Proof {
                session: &session,
                rotation: &run.rotation,
                repository: &run.repository,
                shortest: file.shortest,
                patience: rotation::patience(request_timeout).max(file.eventual),
                stop_signal,
                now: &|| clock.now(),
            };
            let steps = Box::pin(proof.run()).await;
            let is_right = !steps.iter().any(|step| matches!(step.outcome, Outcome::Failed(_)));
            Ok((steps_as_text(&steps, redactor), is_right))
        }
    }
}
