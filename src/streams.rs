//! Where an invocation prints: streams that are passed in, never the process's own.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;

use crate::cli::Environment;
use crate::report::Terminal;

/// A stream that several writers share.
#[derive(Clone)]
pub struct Stream {
    sink: Arc<Mutex<dyn Write + Send>>,
    columns: Option<usize>,
}

impl Stream {
    /// A stream that ends in `sink`, which is no terminal.
    pub fn new(sink: impl Write + Send + 'static) -> Self {
        Self { sink: Arc::new(Mutex::new(sink)), columns: None }
    }

    /// The same stream, which ends in a terminal so wide.
    #[must_use]
    pub fn on_terminal(self, columns: usize) -> Self {
        Self { columns: Some(columns), ..self }
    }

    /// Whether it ends in a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        self.columns.is_some()
    }

    /// Its terminal. The environment may set another width, or disable colors (see
    /// no-color.org).
    pub(crate) fn terminal(&self, environment: &Environment) -> Terminal {
        let asked = || environment.get("COLUMNS")?.parse().ok();
        let columns = self.columns.map(|columns| asked().unwrap_or(columns));
        let is_plain = environment.get("NO_COLOR").is_some() || environment.get("TERM") == Some("dumb");
        Terminal { columns, colors: columns.is_some() && !is_plain }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

/// A user at a terminal who can be asked.
#[derive(Clone)]
pub struct Input(Arc<dyn Fn() -> BoxFuture<'static, Option<String>> + Send + Sync>);

impl Input {
    /// Answers that `read` gets, line by line; `None` at the end.
    pub fn new(read: impl Fn() -> BoxFuture<'static, Option<String>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The next line.
    pub(crate) async fn line(&self) -> Option<String> {
        (self.0)().await
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Input")
    }
}

/// The streams of an invocation.
#[derive(Debug, Clone)]
pub struct Streams {
    /// The report, and nothing else.
    pub stdout: Stream,
    /// Workflow commands, progress and logs.
    pub stderr: Stream,
    /// The user, if standard input is a terminal.
    pub stdin: Option<Input>,
}
