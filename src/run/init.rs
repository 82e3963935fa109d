//! `crossfade init`.

use std::io::Write as _;
use std::sync::Arc;

use tracing::instrument::WithSubscriber as _;

use super::{FAILED, INTERRUPTED, announce, exit_early};
use crate::cli::{EarlyExit, InitRun, Verbosity};
use crate::diagnostic::Problems;
use crate::environment::Environment;
use crate::github::GithubCredential;
use crate::init::dialog::{Closed, Dialog};
use crate::init::lookup::Lookup;
use crate::init::steps::{self, Steps};
use crate::init::{files, setup, write};
use crate::log;
use crate::progress::Progress;
use crate::redact::Redactor;
use crate::streams::Streams;

/// Asks for what is missing, writes the files, prints what is left to do, and returns the
/// exit code.
pub(super) async fn run(
    mut run: InitRun,
    redactor: &Arc<Redactor>,
    environment: &Environment,
    mut streams: Streams,
    mut stop: impl AsyncFnMut(),
) -> u8 {
    let on_actions = environment.is_on_actions();
    if let Some(note) = &run.note {
        let _ = writeln!(streams.stderr, "{}", redactor.message(note));
    }
    if let Some(github) = &run.github {
        match &github.credential {
            GithubCredential::Token(token) => redactor.register(token),
            GithubCredential::App { private_key, .. } => redactor.register(private_key),
        }
    }
    let lookup = Lookup {
        environment,
        github: run.github.as_ref(),
        redactor,
        announce: announce(redactor, on_actions, &streams),
    };
    let user = streams.stdin.clone().filter(|_| !run.yes && !on_actions && streams.stderr.is_terminal());
    if let Some(stdin) = user {
        let dialog = Dialog { stderr: streams.stderr.clone(), stdin, lookup: &lookup };
        let is_there = |path: &str| write::existing(&run.folder, [path]).next().is_some();
        let log = log::subscriber(
            Verbosity::Normal,
            Arc::clone(redactor),
            streams.stderr.clone(),
            Progress::new(false),
        );
        let asking = Box::pin(dialog.complete(&mut run.answers, is_there));
        let ended = tokio::select! {
            biased;
            () = stop() => Some(INTERRUPTED),
            outcome = asking.with_subscriber(log) => match outcome {
                Ok(()) => None,
                Err(Closed) => Some(FAILED),
            },
        };
        if let Some(exit_code) = ended {
            let _ = writeln!(streams.stderr, "\nStopped. Nothing was written.");
            return exit_code;
        }
        let _ = writeln!(streams.stderr);
    }
    let mut problems = Problems::default();
    let Some(setup) = setup(&run.answers, &mut problems) else {
        return exit_early(EarlyExit::of(problems), redactor, on_actions, streams);
    };
    let files = files::all(&setup);
    if let Err(error) = write::write(&run.folder, &files) {
        let _ = writeln!(streams.stderr, "error: {}", redactor.message(&error));
        return FAILED;
    }
    let steps = Steps {
        setup: &setup,
        site: run.site.as_deref().unwrap_or(steps::GITHUB),
        credential: lookup.credential(&setup.rotation.provider.kind),
        has_github: run.github.is_some(),
    };
    let text = redactor.scrub(&steps.text());
    let printed = streams.stdout.write_all(text.as_bytes()).and_then(|()| streams.stdout.flush());
    let Err(error) = printed else { return 0 };
    let paths: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
    let error = format!(
        "the next steps could not be printed: {error}. These files were written: {}. To see the steps, \
         move them away and run `crossfade init` again.",
        paths.join(", ")
    );
    let _ = writeln!(streams.stderr, "error: {}", redactor.message(&error));
    FAILED
}
