//! Where an invocation prints: streams that are passed in, never the process's own.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;

use crate::environment::Environment;

/// The terminal that standard output is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Terminal {
    /// Its width; `None`: not a terminal, so nothing is wrapped or drawn.
    pub columns: Option<usize>,
    /// Whether to use colors.
    pub colors: bool,
    /// It shows ASCII alone.
    pub ascii: bool,
    /// Nothing is folded: `-v`.
    pub verbose: bool,
}

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

    /// Its terminal, or the log of a runner, as the environment describes it: its width, its
    /// colors (see no-color.org and bixense.com/clicolors), its characters. `verbose`:
    /// nothing is folded.
    pub(crate) fn terminal(&self, environment: &Environment, verbose: bool) -> Terminal {
        let get = |name| environment.get(name).filter(|value| !value.is_empty());
        let on_actions = get("GITHUB_ACTIONS") == Some("true");
        let is_dumb = get("TERM") == Some("dumb");
        let asked = || get("COLUMNS")?.parse().ok();
        let columns = self.columns.map(|columns| asked().unwrap_or(columns));
        let is_forced = get("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let is_colored = is_forced || on_actions || (columns.is_some() && !is_dumb);
        let locale = get("LC_ALL").or(get("LC_CTYPE")).or(get("LANG")).unwrap_or_default().to_lowercase();
        let has_unicode = locale.contains("utf-8") || locale.contains("utf8") || on_actions || cfg!(windows);
        Terminal {
            columns,
            colors: is_colored && get("NO_COLOR").is_none(),
            ascii: is_dumb || !has_unicode,
            verbose,
        }
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

/// The streams of an invocation.
#[derive(Clone)]
pub struct Streams {
    /// The report, and nothing else.
    pub stdout: Stream,
    /// Workflow commands, progress and logs.
    pub stderr: Stream,
    /// The user, if standard input is a terminal.
    pub stdin: Option<Input>,
}
