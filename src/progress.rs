//! What a run is doing, while it does it: counts, and what it waits for.
//!
//! A terminal shows one line, removed at the end. A log gets a line when something takes
//! long. Retries are counted, and logged once for each cause.

mod state;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
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
    retries: Mutex<BTreeMap<(String, String), usize>>,
    line: ProgressBar,
    is_terminal: bool,
    is_paused: AtomicBool,
}

/// A request that will be tried again.
#[derive(Debug)]
pub(crate) struct Retrying<'a> {
    /// The service, as users call it: `GitHub`, or its host.
    pub(crate) who: &'a str,
    pub(crate) host: &'a str,
    /// What happened, to follow the service's name: `answered 503`.
    pub(crate) failure: &'a str,
    /// The next attempt, from 2.
    pub(crate) attempt: u32,
    /// Attempts in all.
    pub(crate) of: usize,
    pub(crate) wait: Duration,
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
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Announced,
    Creating,
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
    #[must_use]
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
        Self(Arc::new(Shared {
            state: Mutex::default(),
            retries: Mutex::default(),
            line,
            is_terminal,
            is_paused: AtomicBool::new(false),
        }))
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
        if self.0.is_terminal && !self.0.is_paused.load(Ordering::Relaxed) {
            self.0.line.set_message(self.state().line(Instant::now()));
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
        Writes { progress: self.clone(), count, stage: Stage::Announced }
    }

    /// A secret was written, or could not be.
    pub(crate) fn wrote(&self, is_written: bool) {
        self.change(|state| {
            *(if is_written { &mut state.written.done } else { &mut state.written.failed }) += 1;
        });
    }

    /// The requests of a period are used up.
    pub(crate) fn wait_for_limit(&self, until: Instant, writes_a_period: usize, period: Duration) -> Waiting {
        self.wait(Cause::Limit { until, writes_a_period, period })
    }

    /// A request was sent.
    pub(crate) fn wait_for_answer(&self, who: &str) -> Waiting {
        self.wait(Cause::Answer { who: who.to_owned() })
    }

    /// A request failed, and is tried again later. It is logged once for each host
    /// and cause.
    pub(crate) fn wait_to_retry(&self, retrying: &Retrying<'_>) -> Waiting {
        let Retrying { who, host, failure, attempt, of, wait } = *retrying;
        let failure = format!("{who} {failure}");
        let is_first = {
            let mut retries = self.0.retries.lock().unwrap_or_else(PoisonError::into_inner);
            let count = retries.entry((host.to_owned(), failure.clone())).or_default();
            *count += 1;
            *count == 1
        };
        if is_first {
            tracing::warn!(host, "{failure}; try {attempt} of {of} in {}", state::length(wait));
        }
        let until = Instant::now() + wait;
        self.wait(Cause::Retry { failure, attempt, of, until })
    }

    fn wait(&self, cause: Cause) -> Waiting {
        let wait = Wait { began: Instant::now(), cause };
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

    #[cfg(test)]
    pub(crate) fn line(&self) -> String {
        self.state().line(Instant::now())
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
        self.0.is_paused.store(true, Ordering::Relaxed);
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
        let retries = std::mem::take(&mut *self.0.retries.lock().unwrap_or_else(PoisonError::into_inner));
        for ((host, failure), count) in retries.into_iter().filter(|(_, count)| *count > 1) {
            tracing::warn!(host, "{failure}: requests were repeated {count} times");
        }
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        let Shared { line, is_paused, is_terminal, .. } = &*self.0.0;
        if *is_terminal {
            line.reset();
            line.enable_steady_tick(TICK);
        }
        is_paused.store(false, Ordering::Relaxed);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.progress.change(|state| state.waits.remove(&self.id));
    }
}

impl Writes {
    /// The new token is requested from the provider.
    pub(crate) fn creating(&mut self) {
        self.enter(Stage::Creating);
    }

    /// The new token is written to the secrets.
    pub(crate) fn delivering(&mut self) {
        self.enter(Stage::Delivering);
    }

    fn enter(&mut self, stage: Stage) {
        let before = std::mem::replace(&mut self.stage, stage);
        self.progress.change(|state| {
            before.leave(state);
            match stage {
                Stage::Announced => {}
                Stage::Creating => state.creating += 1,
                Stage::Delivering => state.delivering += 1,
            }
        });
    }
}

impl Drop for Writes {
    fn drop(&mut self) {
        self.progress.change(|state| {
            self.stage.leave(state);
            if self.stage != Stage::Delivering {
                state.written.of -= self.count;
            }
        });
    }
}

impl Stage {
    fn leave(self, state: &mut State) {
        match self {
            Self::Announced => {}
            Self::Creating => state.creating -= 1,
            Self::Delivering => state.delivering -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::cli::Verbosity;
    use crate::redact::Redactor;
    use crate::streams::Stream;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        fn take(&self) -> Vec<String> {
            let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
            text.lines().map(|line| line.trim().to_owned()).collect()
        }
    }

    /// Progress whose log is a file, and what is in it.
    fn logged(is_terminal: bool) -> (Progress, Log, tracing::subscriber::DefaultGuard) {
        let log = Log::default();
        let progress = Progress::with_line(ProgressBar::hidden(), is_terminal);
        let subscriber = crate::log::subscriber(
            Verbosity::Normal,
            Arc::new(Redactor::new()),
            Stream::new(log.clone()),
            progress.clone(),
        );
        (progress, log, tracing::subscriber::set_default(subscriber))
    }

    fn refused(seconds: u64) -> Retrying<'static> {
        let wait = Duration::from_secs(seconds);
        Retrying {
            who: "GitHub",
            host: "api.github.com",
            failure: "could not be reached (connection refused)",
            attempt: 4,
            of: 8,
            wait,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_gets_a_line_when_a_long_wait_begins_and_then_now_and_then() {
        let (progress, log, _guard) = logged(false);
        let writes = &mut progress.announce_writes(300);
        writes.delivering();
        let pass = async |seconds| {
            tokio::time::timeout(Duration::from_secs(seconds), progress.watch()).await.unwrap_err();
        };
        let until = Instant::now() + Duration::from_secs(9);
        let short = progress.wait_for_limit(until, 178, Duration::from_secs(60));
        pass(9).await;
        assert_eq!(log.take(), Vec::<String>::new(), "a short wait is no news");
        drop(short);
        let until = Instant::now() + Duration::from_secs(95);
        let _long = progress.wait_for_limit(until, 178, Duration::from_secs(60));
        let waiting = |seconds: &str| {
            format!("INFO 0 of 300 written · waiting {seconds} s for GitHub's limit · about 3 min left")
        };
        pass(2).await;
        assert_eq!(log.take(), [waiting("94")]);
        pass(1).await;
        let watched = log.take();
        assert_eq!(watched.len(), 1, "each call of `watch` begins anew: {watched:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_is_not_flooded() {
        let (progress, log, _guard) = logged(false);
        let run = async {
            // Eight requests that fail and wait again and again.
            for _ in 0..8 {
                let waits: Vec<Waiting> = (0..8).map(|_| progress.wait_to_retry(&refused(15))).collect();
                tokio::time::sleep(Duration::from_secs(15)).await;
                drop(waits);
            }
        };
        tokio::select! {
            never = progress.watch() => match never {},
            () = run => {}
        }
        let lines = log.take();
        assert_eq!(
            lines[0],
            "WARN GitHub could not be reached (connection refused); try 4 of 8 in 15 s host=\"api.github.com\""
        );
        let news = lines.iter().filter(|line| line.starts_with("INFO")).count();
        assert!((4..=8).contains(&news) && lines.len() == news + 1, "{lines:#?}");
        progress.end();
        assert_eq!(
            log.take(),
            [
                "WARN GitHub could not be reached (connection refused): requests were repeated 64 times host=\"api.github.com\""
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_terminal_s_line_counts_the_seconds() {
        let (progress, log, _guard) = logged(true);
        progress.expect(2);
        let _waiting = progress.wait_to_retry(&refused(12));
        let shown = || progress.0.line.message();
        assert_eq!(
            shown(),
            "0 of 2 read · GitHub could not be reached (connection refused) · try 4 of 8 in 12 s"
        );
        tokio::time::timeout(Duration::from_secs(3), progress.watch()).await.unwrap_err();
        assert!(shown().ends_with("in 9 s"), "{}", shown());
        assert_eq!(log.take().len(), 1, "the warning alone");
    }

    #[test]
    fn writes_that_will_not_be_tried_are_forgotten() {
        let progress = Progress::default();
        let given_up = progress.announce_writes(5);
        let mut done = progress.announce_writes(2);
        done.creating();
        assert!(progress.stopping().contains("A new token is being created"));
        done.delivering();
        progress.wrote(true);
        drop(given_up);
        assert!(progress.stopping().contains("(1 of 2)"), "{}", progress.stopping());
        drop(done);
        assert_eq!(progress.stopping(), "Stopping. Nothing else is started.");
        assert_eq!(progress.aside(|| 7), 7);
    }

    #[test]
    fn a_terminal_is_told_what_the_next_ctrl_c_does() {
        let progress = Progress::with_line(ProgressBar::hidden(), true);
        assert!(!progress.stopping().contains("Ctrl-C"), "it ends by itself");
        let mut writes = progress.announce_writes(300);
        writes.delivering();
        assert!(progress.stopping().contains("Press Ctrl-C again to stop at once:"));
    }
}
