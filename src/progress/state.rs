//! What a run has done and what it waits for, and the sentences about it (pure).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// A request without an answer counts as a wait only after this time.
const SLOW: Duration = Duration::from_secs(5);

/// Everything that a sentence about the run is made of.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) read: Count,
    pub(super) written: Count,
    /// Rotations whose new token is being created.
    pub(super) creating: usize,
    /// Rotations whose new token is being delivered.
    pub(super) delivering: usize,
    pub(super) waits: BTreeMap<u64, Wait>,
    pub(super) next_wait: u64,
    /// How often requests were repeated, by host and failure.
    pub(super) retries: BTreeMap<(String, String), usize>,
    /// Something else is on the terminal.
    pub(super) is_paused: bool,
}

/// How many of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) done: usize,
    /// Those that will not be done.
    pub(super) failed: usize,
    pub(super) of: usize,
}

impl Count {
    fn left(self) -> usize {
        self.of.saturating_sub(self.done + self.failed)
    }
}

/// Something that is waited for.
#[derive(Debug, Clone)]
pub(super) struct Wait {
    pub(super) began: Instant,
    /// When it ends; `None`: it is not known.
    pub(super) until: Option<Instant>,
    pub(super) cause: Cause,
}

/// Why something waits.
#[derive(Debug, Clone)]
pub(super) enum Cause {
    /// The next try of a request that failed.
    Retry { failure: String, attempt: u32, of: usize },
    /// The requests that GitHub allows in a period are used up.
    Limit { writes_a_period: usize, period: Duration },
    /// An answer.
    Answer { who: String },
}

impl Wait {
    /// How long it takes or has taken, whichever is more.
    pub(super) fn length(&self, now: Instant) -> Duration {
        let end = self.until.map_or(now, |until| until.max(now));
        end.saturating_duration_since(self.began)
    }

    fn is_worth_a_word(&self, now: Instant) -> bool {
        match self.until {
            Some(until) => until > now,
            None => now.saturating_duration_since(self.began) >= SLOW,
        }
    }
}

impl State {
    /// The wait that ends last; an answer only if nothing else is waited for.
    pub(super) fn longest_wait(&self, now: Instant) -> Option<(u64, &Wait)> {
        let waits = self.waits.iter().filter(|(_, wait)| wait.is_worth_a_word(now));
        waits.max_by_key(|(_, wait)| (wait.until, wait.length(now))).map(|(id, wait)| (*id, wait))
    }

    /// `58 of 300 written · waiting 54 s for GitHub's limit · about 2 min left`
    pub(super) fn line(&self, now: Instant) -> String {
        let mut parts = vec![self.counts()];
        if let Some((_, wait)) = self.longest_wait(now) {
            parts.extend(self.wait(wait, now));
        }
        parts.join(" · ")
    }

    fn counts(&self) -> String {
        let Self { read, written, .. } = self;
        let mut parts = Vec::new();
        if written.of == 0 || read.left() > 0 {
            parts.push(format!("{} of {} read", read.done, read.of));
        }
        if written.of > 0 {
            parts.push(format!("{} of {} written", written.done, written.of));
        }
        parts.join(", ")
    }

    fn wait(&self, wait: &Wait, now: Instant) -> Vec<String> {
        let rest = wait.until.map(|until| until.saturating_duration_since(now)).unwrap_or_default();
        match &wait.cause {
            Cause::Retry { failure, attempt, of } => {
                vec![failure.clone(), format!("try {attempt} of {of} in {}", length(rest))]
            }
            Cause::Limit { writes_a_period, period } => {
                let left = self.written.left();
                let periods = left.saturating_sub(1) / (*writes_a_period).max(1);
                let all = rest + *period * u32::try_from(periods).unwrap_or(u32::MAX);
                let waiting = format!("waiting {} for GitHub's limit", length(rest));
                let left = (left > 0).then(|| format!("about {} left", length(all)));
                [Some(waiting), left].into_iter().flatten().collect()
            }
            Cause::Answer { who } => {
                vec![format!("waiting for an answer from {who} for {}", length(now - wait.began))]
            }
        }
    }

    /// What is said when a run is stopped.
    pub(super) fn stopping(&self) -> String {
        let Count { done, of, .. } = self.written;
        let under_way = match (self.delivering, self.creating) {
            (0, 0) => return "Stopping. Nothing else is started.".to_owned(),
            (0, 1) => "A new token is being created and will be delivered".to_owned(),
            (0, several) => format!("{several} new tokens are being created and will be delivered"),
            (1, 0) => format!("The new token is still being delivered ({done} of {of})"),
            (some, more) => format!("{} new tokens are still being delivered ({done} of {of})", some + more),
        };
        format!("Stopping. {under_way}; nothing else is started.")
    }

    /// What a run leaves that ends at once.
    pub(super) fn stopped(&self) -> String {
        let Count { done, of, .. } = self.written;
        let left = match (self.delivering, self.creating) {
            (0, 0) => return "Stopped at once. No new token was being created or delivered.".to_owned(),
            (0, _) => "A new token may have been created that no secret holds".to_owned(),
            _ => format!(
                "{done} of {of} secrets hold their new token; each of the others holds that or the previous one"
            ),
        };
        format!(
            "Stopped at once. {left}. Previous tokens stay valid for their overlap.\n\
             Run crossfade again within the overlap: it replaces what is incomplete."
        )
    }
}

/// `54 s`, `2 min`: rounded up, because what is waited for does not come earlier.
pub(super) fn length(time: Duration) -> String {
    let seconds = time.as_millis().div_ceil(1000);
    match seconds {
        0..100 => format!("{seconds} s"),
        _ => format!("{} min", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn state(waits: impl IntoIterator<Item = Wait>) -> State {
        State { waits: (0..).zip(waits).collect(), ..State::default() }
    }

    fn limit(now: Instant, seconds: u32) -> Wait {
        let cause = Cause::Limit { writes_a_period: 178, period: SECOND * 60 };
        Wait { began: now, until: Some(now + SECOND * seconds), cause }
    }

    fn refused(now: Instant, seconds: u32) -> Wait {
        let failure = "GitHub could not be reached (connection refused)".to_owned();
        let cause = Cause::Retry { failure, attempt: 4, of: 8 };
        Wait { began: now, until: Some(now + SECOND * seconds), cause }
    }

    #[test]
    fn a_retry_is_told_with_its_cause_and_its_time() {
        let now = Instant::now();
        let state = State { read: Count { of: 2, ..Count::default() }, ..state([refused(now, 12)]) };
        assert_eq!(
            state.line(now),
            "0 of 2 read · GitHub could not be reached (connection refused) · try 4 of 8 in 12 s"
        );
        assert_eq!(state.line(now + SECOND * 11), state.line(now).replace("12 s", "1 s"));
        assert_eq!(state.line(now + SECOND * 12), "0 of 2 read", "it is being tried");
    }

    #[test]
    fn a_limit_is_told_with_the_time_that_all_writes_take() {
        let now = Instant::now();
        let at = |done, failed, of| State { written: Count { done, failed, of }, ..state([limit(now, 54)]) };
        let line = |done, failed, of| at(done, failed, of).line(now);
        assert_eq!(
            line(58, 0, 300),
            "58 of 300 written · waiting 54 s for GitHub's limit · about 2 min left",
            "178 in a minute, then 64 more"
        );
        assert_eq!(line(122, 0, 300), line(58, 0, 300).replace("58", "122").replace("2 min", "54 s"));
        assert!(line(121, 0, 300).ends_with("about 2 min left"));
        assert!(line(121, 1, 300).ends_with("about 54 s left"), "what failed is not waited for");
        assert!(line(0, 0, 1000).ends_with("about 6 min left"));
        let reading = State { read: Count { done: 7, failed: 0, of: 9 }, ..state([limit(now, 60)]) };
        assert_eq!(reading.line(now), "7 of 9 read · waiting 60 s for GitHub's limit");
    }

    #[test]
    fn an_answer_is_a_wait_only_when_it_is_late_and_nothing_else_is() {
        let now = Instant::now();
        let answer =
            Wait { began: now, until: None, cause: Cause::Answer { who: "api.axiom.co".to_owned() } };
        let one = state([answer.clone()]);
        assert_eq!(one.line(now + SECOND), "0 of 0 read");
        assert_eq!(
            one.line(now + SECOND * 7),
            "0 of 0 read · waiting for an answer from api.axiom.co for 7 s"
        );
        let both = state([answer, refused(now, 20), refused(now, 3)]);
        assert!(both.line(now + SECOND * 7).contains("in 13 s"), "{}", both.line(now + SECOND * 7));
    }

    #[test]
    fn reading_and_writing_may_go_on_side_by_side() {
        let count = |done, of| Count { done, failed: 0, of };
        let both = |read, written| State { read, written, ..State::default() }.line(Instant::now());
        assert_eq!(both(count(3, 9), count(1, 2)), "3 of 9 read, 1 of 2 written");
        assert_eq!(both(count(9, 9), count(1, 2)), "1 of 2 written");
        assert_eq!(both(count(9, 9), count(0, 0)), "9 of 9 read");
    }

    #[test]
    fn a_stop_says_what_still_happens_and_a_second_one_what_it_leaves() {
        let said = |creating, delivering| {
            let written = Count { done: 24, failed: 0, of: 300 };
            let state = State { creating, delivering, written, ..State::default() };
            format!("{}\n{}", state.stopping(), state.stopped())
        };
        insta::assert_snapshot!(
            [said(0, 0), said(1, 0), said(2, 0), said(0, 1), said(1, 2)].join("\n\n"),
            @"
        Stopping. Nothing else is started.
        Stopped at once. No new token was being created or delivered.

        Stopping. A new token is being created and will be delivered; nothing else is started.
        Stopped at once. A new token may have been created that no secret holds. Previous tokens stay valid for their overlap.
        Run crossfade again within the overlap: it replaces what is incomplete.

        Stopping. 2 new tokens are being created and will be delivered; nothing else is started.
        Stopped at once. A new token may have been created that no secret holds. Previous tokens stay valid for their overlap.
        Run crossfade again within the overlap: it replaces what is incomplete.

        Stopping. The new token is still being delivered (24 of 300); nothing else is started.
        Stopped at once. 24 of 300 secrets hold their new token; each of the others holds that or the previous one. Previous tokens stay valid for their overlap.
        Run crossfade again within the overlap: it replaces what is incomplete.

        Stopping. 3 new tokens are still being delivered (24 of 300); nothing else is started.
        Stopped at once. 24 of 300 secrets hold their new token; each of the others holds that or the previous one. Previous tokens stay valid for their overlap.
        Run crossfade again within the overlap: it replaces what is incomplete.
        "
        );
    }
}
