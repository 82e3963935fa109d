//! `crossfade init`.

use std::io::Write as _;

use tracing::instrument::WithSubscriber as _;

use super::host::Host;
use super::{FAILED, INTERRUPTED};
use crate::cli::{EarlyExit, InitRun, Verbosity};
use crate::diagnostic::Problems;
use crate::init::dialog::{Closed, Dialog};
use crate::init::lookup::Lookup;
use crate::init::steps::{self, Steps};
use crate::init::{files, setup, write};
use crate::progress::Progress;

/// Asks for what is missing, writes the files, and prints what is left to do.
pub(super) async fn run(mut run: InitRun, host: &Host<'_>, mut stop: impl AsyncFnMut()) -> u8 {
    let (redactor, mut stderr) = (&*host.redactor, host.streams.stderr.clone());
    if let Some(note) = &run.note {
        host.note(note);
    }
    let lookup = Lookup {
        environment: host.environment,
        github: run.github.as_ref(),
        redactor,
        announce: host.announce(),
    };
    if let Some(stdin) = host.streams.stdin.clone().filter(|_| !run.yes && host.has_user()) {
        let dialog = Dialog { stderr: stderr.clone(), stdin, lookup: &lookup };
        let is_there = |path: &str| write::existing(&run.folder, [path]).next().is_some();
        let log = host.log(Verbosity::Normal, Progress::default());
        let asking = Box::pin(dialog.complete(&mut run.answers, is_there));
        let ended = tokio::select! {
            biased;
            () = stop() => Some(INTERRUPTED),
            outcome = asking.with_subscriber(log) => outcome.err().map(|Closed| FAILED),
        };
        if let Some(exit_code) = ended {
            let _ = writeln!(stderr, "\nStopped. Nothing was written.");
            return exit_code;
        }
        let _ = writeln!(stderr);
    }
    let mut problems = Problems::default();
    let Some(setup) = setup(&run.answers, &mut problems) else {
        return host.exit_early(EarlyExit::of(problems));
    };
    let files = files::all(&setup);
    if let Err(error) = write::write(&run.folder, &files) {
        host.error(&error);
        return FAILED;
    }
    let steps = Steps {
        setup: &setup,
        site: run.site.as_deref().unwrap_or(steps::GITHUB),
        credential: lookup.credential(&setup.rotation.provider.kind),
        has_github: run.github.is_some(),
    };
    let Err(error) = host.print(&redactor.scrub(&steps.text())) else { return 0 };
    let paths: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
    host.error(&format!(
        "the next steps could not be printed: {error}. These files were written: {}. To see the steps, \
         move them away and run `crossfade init` again.",
        paths.join(", ")
    ));
    FAILED
}
