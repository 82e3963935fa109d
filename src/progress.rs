//! What a run is doing, while it does it: counts, and what it waits for.
//!
//! A terminal shows one line, removed at the end. A log gets a line when something takes
//! long. Retries are counted, and logged once for each cause.

mod state;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use state::{Cause, State, Wait};

/// Redraw interval of the spinner.
const TICK: Duration = Duration::from_millis(100);

/// How often the line's text is made anew: it counts seconds.
const SECOND: Duration = Duration::from_secs(1);

/// A shorter wait is no news for a log.
const LONG: Duration = Duration::from_secs(10);

/// How often a log hears of one wait.
const INTERVAL: Duration = Duration::from_secs(30);

/// The progress of a run. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Progress(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    line: ProgressBar,
    is_terminal: bool,
}

/// Something that is waited for, until this is dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    progress: Progress,
    id: u64,
}

/// Something else is on the terminal until this is dropped.
#[derive(Debug)]
pub(crate) struct Paused(Progress);

/// The writes of one rotation, from the decision to mint to the last answer.
#[derive(Debug)]
pub(crate) struct Writes {
    progress: Progress,
    count: usize,
    /// `None`: announced.
    stage: Option<Stage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The new token is requested from the provider.
    Creating,
    /// The new token is written to the secrets.
    Delivering,
}

impl Default for Progress {
    /// Progress that nothing shows.
    fn default() -> Self {
        Self::with_line(ProgressBar::hidden(), false)
    }
}

impl Progress {
    /// Progress that is shown on standard error: as a line on a terminal, else as an
    /// entry of the log now and then.
    pub(crate) fn new(is_terminal: bool) -> Self {
        if !is_terminal {
            return Self::default();
        }
        let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        // A template that cannot be read leaves the usual one.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            line.set_style(style);
        }
        line.enable_steady_tick(TICK);
        Self::with_line(line, true)
    }

    fn with_line(line: ProgressBar, is_terminal: bool) -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), line, is_terminal }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known, and shows it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.show();
        changed
    }

    fn show(&self) {
        let state = self.state();
        if self.0.is_terminal && !state.is_paused {
            self.0.line.set_message(state.line(Instant::now()));
        }
    }

    /// Announces secrets that will be read.
    pub(crate) fn expect(&self, secrets: usize) {
        self.change(|state| state.read.of += secrets);
    }

    /// A secret was read.
    pub(crate) fn looked(&self) {
        self.change(|state| state.read.done += 1);
    }

    /// Announces secrets that a rotation will write.
    pub(crate) fn announce_writes(&self, count: usize) -> Writes {
        self.change(|state| state.written.of += count);
        Writes { progress: self.clone(), count, stage: None }
    }

    /// A secret was written, or could not be.
    pub(crate) fn wrote(&self, is_written: bool) {
        self.change(|state| {
            *(if is_written { &mut state.written.done } else { &mut state.written.failed }) += 1;
        });
    }

    /// The requests of a period are used up.
    pub(crate) fn wait_for_limit(&self, until: Instant, writes_a_period: usize, period: Duration) -> Waiting {
        self.wait(Some(until), Cause::Limit { writes_a_period, period })
    }

    /// A request was sent.
    pub(crate) fn wait_for_answer(&self, who: &str) -> Waiting {
        self.wait(None, Cause::Answer { who: who.to_owned() })
    }

    /// A request failed, and its next attempt follows after `wait`. It is logged once for
    /// each host and cause.
    pub(crate) fn wait_to_retry(
        &self,
        host: &str,
        failure: String,
        attempt: u32,
        of: usize,
        wait: Duration,
    ) -> Waiting {
        let is_first = {
            let mut state = self.state();
            let count = state.retries.entry((host.to_owned(), failure.clone())).or_default();
            *count += 1;
            *count == 1
        };
        if is_first {
            tracing::warn!(host, "{failure}; try {attempt} of {of} in {}", state::length(wait));
        }
        self.wait(Some(Instant::now() + wait), Cause::Retry { failure, attempt, of })
    }

    fn wait(&self, until: Option<Instant>, cause: Cause) -> Waiting {
        let wait = Wait { began: Instant::now(), until, cause };
        let id = self.change(|state| {
            state.next_wait += 1;
            state.waits.insert(state.next_wait, wait);
            state.next_wait
        });
        Waiting { progress: self.clone(), id }
    }

    /// Keeps what is shown up to date. Never ends.
    pub(crate) async fn watch(&self) -> Infallible {
        let mut last: Option<(Instant, u64)> = None;
        loop {
            tokio::time::sleep(SECOND).await;
            if self.0.is_terminal {
                self.show();
                continue;
            }
            let now = Instant::now();
            let state = self.state();
            let Some((id, wait)) = state.longest_wait(now) else { continue };
            let is_new = last.is_none_or(|(at, known)| known != id && now - at >= LONG);
            let is_time = last.is_none_or(|(at, _)| now - at >= INTERVAL);
            if wait.length(now) >= LONG && (is_new || is_time) {
                last = Some((now, id));
                tracing::info!("{}", state.line(now));
            }
        }
    }

    /// What to say when the run is stopped.
    pub(crate) fn stopping(&self) -> String {
        let again = " Press Ctrl-C again to stop at once: secrets that are not written yet keep the \
                     previous token, and the next run has to finish.";
        let state = self.state();
        let is_busy = state.creating + state.delivering > 0;
        format!("{}{}", state.stopping(), if self.0.is_terminal && is_busy { again } else { "" })
    }

    /// What a run leaves that ends at once.
    pub(crate) fn stopped(&self) -> String {
        self.state().stopped()
    }

    /// Takes the line away until the result is dropped.
    pub(crate) fn pause(&self) -> Paused {
        self.state().is_paused = true;
        self.0.line.finish_and_clear();
        Paused(self.clone())
    }

    /// Prints something else in between.
    pub(crate) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.line.suspend(print)
    }

    /// Takes the line away, and says how often requests were repeated.
    pub(crate) fn end(&self) {
        self.0.line.finish_and_clear();
        let retries = std::mem::take(&mut self.state().retries);
        for ((host, failure), count) in retries.into_iter().filter(|(_, count)| *count > 1) {
            tracing::warn!(host, "{failure}: requests were repeated {count} times");
        }
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        let Shared { line, is_terminal, .. } = &*self.0.0;
        if *is_terminal {
            line.reset();
            line.enable_steady_tick(TICK);
        }
        self.0.state().is_paused = false;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.progress.change(|state| state.waits.remove(&self.id));
    }
}

impl Writes {
    pub(crate) fn enter(&mut self, stage: Stage) {
        let before = self.stage.replace(stage);
        self.progress.change(|state| {
            if let Some(before) = before {
                *before.rotations(state) -= 1;
            }
            *stage.rotations(state) += 1;
        });
    }
}

impl Drop for Writes {
    fn drop(&mut self) {
        self.progress.change(|state| {
            if let Some(stage) = self.stage {
                *stage.rotations(state) -= 1;
            }
            if self.stage != Some(Stage::Delivering) {
                state.written.of -= self.count;
            }
        });
    }
}

impl Stage {
    /// How many rotations are in it.
    fn rotations(self, state: &mut State) -> &mut usize {
        match self {
            Self::Creating => &mut state.creating,
            Self::Delivering => &mut state.delivering,
        }
    }
}

#[cfg(test)]
mod tests;
