//! Progress of a run: one line on a terminal, removed at the end.
//!
//! Off a terminal there is nothing to see here; what must be known is in the report.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Redraw interval.
const TICK: Duration = Duration::from_millis(100);

/// The line. Clones share it.
#[derive(Debug, Clone)]
pub struct Progress {
    line: ProgressBar,
    written: ProgressBar,
}

impl Progress {
    /// A line on standard error, or none.
    #[must_use]
    pub fn new(is_shown: bool) -> Self {
        let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let line = ProgressBar::with_draw_target(Some(0), target);
        // A template that cannot be read leaves the usual one.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} of {len} secrets looked at{msg}") {
            line.set_style(style);
        }
        if is_shown {
            line.enable_steady_tick(TICK);
        }
        Self { line, written: ProgressBar::hidden() }
    }

    /// Announces secrets that will be read.
    pub(crate) fn expect(&self, secrets: usize) {
        self.line.inc_length(u64::try_from(secrets).unwrap_or_default());
    }

    /// A secret was read.
    pub(crate) fn looked(&self) {
        self.line.inc(1);
    }

    /// A secret was written.
    pub(crate) fn wrote(&self) {
        self.written.inc(1);
        self.line.set_message(format!(", {} written", self.written.position()));
    }

    /// Prints something else in between.
    pub(crate) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.line.suspend(print)
    }

    /// Takes the line away.
    pub(crate) fn end(&self) {
        self.line.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_secrets() {
        let progress = Progress::new(false);
        let clone = progress.clone();
        clone.expect(3);
        clone.looked();
        clone.wrote();
        clone.wrote();
        assert_eq!((progress.line.length(), progress.line.position()), (Some(3), 1));
        assert_eq!(progress.line.message(), ", 2 written");
        assert_eq!(progress.aside(|| 7), 7);
    }
}
