//! What an invocation runs in, and how it prints there.

use std::io::{self, ErrorKind, Write as _};
use std::sync::Arc;

use secrecy::SecretString;
use tracing::Dispatch;

use super::FAILED;
use crate::cli::{EarlyExit, Verbosity};
use crate::environment::Environment;
use crate::http::Announce;
use crate::log;
use crate::progress::Progress;
use crate::redact::Redactor;
use crate::report::actions;
use crate::streams::Streams;

pub(super) struct Host<'a> {
    pub(super) environment: &'a Environment,
    pub(super) on_actions: bool,
    pub(super) redactor: Arc<Redactor>,
    pub(super) streams: Streams,
}

// What cannot be printed on standard error is lost: there is no other place for it.
impl Host<'_> {
    /// The log on standard error.
    pub(super) fn log(&self, verbosity: Verbosity, progress: Progress) -> Dispatch {
        let (redactor, stderr) = (Arc::clone(&self.redactor), self.streams.stderr.clone());
        Dispatch::new(log::subscriber(verbosity, redactor, stderr, progress))
    }

    /// Masks and registers every new value before any output can contain it.
    pub(super) fn announce(&self) -> Announce {
        let (redactor, stderr) = (Arc::clone(&self.redactor), self.streams.stderr.clone());
        let on_actions = self.on_actions;
        Arc::new(move |value: &SecretString| {
            if on_actions && actions::add_mask(value, &mut stderr.clone()).is_err() {
                tracing::warn!("a new value could not be masked: standard error cannot be written");
            }
            redactor.register(value);
        })
    }

    /// Whether a user can be asked.
    pub(super) fn has_user(&self) -> bool {
        !self.on_actions && self.streams.stderr.is_terminal()
    }

    pub(super) fn note(&self, note: &str) {
        let _ = writeln!(self.streams.stderr.clone(), "{}", self.redactor.message(note));
    }

    pub(super) fn error(&self, error: &str) {
        let _ = writeln!(self.streams.stderr.clone(), "error: {}", self.redactor.message(error));
    }

    /// Writes a whole page to standard output.
    pub(super) fn print(&self, page: &str) -> io::Result<()> {
        let mut stdout = self.streams.stdout.clone();
        stdout.write_all(page.as_bytes()).and_then(|()| stdout.flush())
    }

    /// The exit code, unless the report could not be written. A closed pipe is not an error.
    pub(super) fn after_report(&self, written: io::Result<()>, exit_code: u8) -> u8 {
        match written {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                self.error(&format!("the report could not be written: {error}"));
                FAILED
            }
            _ => exit_code,
        }
    }

    /// Prints what needs no request, and returns the exit code.
    pub(super) fn exit_early(&self, early_exit: EarlyExit) -> u8 {
        let EarlyExit { stdout, stderr, exit_code, problems } = early_exit;
        // A closed pipe is not an error.
        let _ = self.print(&self.redactor.scrub(&stdout));
        let mut to = self.streams.stderr.clone();
        let _ = to.write_all(self.redactor.scrub(&stderr).as_bytes()).and_then(|()| to.flush());
        if self.on_actions {
            let _ = actions::annotate_problems(&problems, &self.redactor, &mut to);
        }
        exit_code
    }
}
