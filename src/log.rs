//! The log on standard error.
//!
//! One redacted line per event. This module decides which levels are shown.

use std::io;
use std::sync::Arc;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

use crate::cli::Verbosity;
use crate::progress::Progress;
use crate::redact::Redactor;
use crate::streams::Stream;

/// Shows this crate's events on `stream`.
pub(crate) fn subscriber(
    verbosity: Verbosity,
    redactor: Arc<Redactor>,
    stream: Stream,
    progress: Progress,
) -> impl Subscriber + Send + Sync {
    let level = match verbosity {
        Verbosity::Quiet => LevelFilter::ERROR,
        Verbosity::Normal => LevelFilter::INFO,
        Verbosity::Verbose => LevelFilter::DEBUG,
        Verbosity::Trace => LevelFilter::TRACE,
    };
    let lines = tracing_subscriber::fmt::layer()
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .with_writer(RedactingWriter { redactor, stream, progress });
    tracing_subscriber::registry()
        .with(lines.with_filter(Targets::new().with_target(env!("CARGO_CRATE_NAME"), level)))
}

/// Writes an event as one redacted line.
#[derive(Clone)]
struct RedactingWriter {
    redactor: Arc<Redactor>,
    stream: Stream,
    progress: Progress,
}

impl io::Write for RedactingWriter {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = self.redactor.message(&String::from_utf8_lossy(event));
        let Self { stream, progress, .. } = self;
        progress.aside(|| writeln!(stream, "{line}"))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<'a> MakeWriter<'a> for RedactingWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
