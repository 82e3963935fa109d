//! The only source of time: what servers say in their `Date` headers.
//!
//! GitHub's clock is the one that a secret's `updated_at` is written by, so it
//! is *now*. The runner's own clocks are never asked for a date; they only measure
//! how long ago the last header was seen. What is decided with a time lives in
//! [`crate::rotation`], not here.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};

/// Who sent a `Date` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The GitHub API.
    Github,
    /// The service that issues the token.
    Provider,
}

/// Time as the servers tell it. One per run, shared by every request.
#[derive(Debug, Default)]
pub struct Clock {
    github: Mutex<Option<Anchor>>,
    provider: Mutex<Option<Anchor>>,
    /// The skew when it was first known.
    first_skew: Mutex<Option<SignedDuration>>,
}

/// A date and the moment at which it was read.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    date: Timestamp,
    seen: Instant,
    /// Goes on while the machine sleeps, but may be set by hand.
    seen_on_wall: SystemTime,
}

impl Anchor {
    fn new(date: Timestamp) -> Self {
        Self { date, seen: Instant::now(), seen_on_wall: SystemTime::now() }
    }

    fn now(self) -> Timestamp {
        self.after(self.seen.elapsed())
    }

    /// As [`Self::now`], and also right after the machine has slept.
    fn latest(self) -> Timestamp {
        self.after(self.seen.elapsed().max(self.seen_on_wall.elapsed().unwrap_or_default()))
    }

    fn after(self, elapsed: Duration) -> Timestamp {
        let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
        self.date.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }
}

impl Clock {
    /// Takes note of a `Date` header. A date older than what the clock already
    /// shows (a cached reply, a server that lags) does not turn it back.
    pub fn observe(&self, side: Side, date: Timestamp) {
        {
            let mut anchor = self.side(side).lock().unwrap_or_else(|e| e.into_inner());
            if anchor.is_none_or(|known| known.now() < date) {
                *anchor = Some(Anchor::new(date));
            }
        }
        let mut first_skew = self.first_skew.lock().unwrap_or_else(|e| e.into_inner());
        *first_skew = first_skew.or_else(|| self.skew());
    }

    /// *Now*: GitHub's clock, in whole seconds, as `Date` headers and `updated_at`
    /// count. `None` until GitHub has sent a date.
    #[must_use]
    pub fn now(&self) -> Option<Timestamp> {
        let now = self.read(Side::Github)?.now();
        Timestamp::from_second(now.as_second()).ok()
    }

    /// How far the provider's clock is ahead of GitHub's (negative: behind).
    /// `None` until both have sent a date.
    #[must_use]
    pub fn skew(&self) -> Option<SignedDuration> {
        Some(self.read(Side::Provider)?.now().duration_since(self.read(Side::Github)?.now()))
    }

    /// GitHub's clock, or later if there are signs that more time has passed. A run
    /// that was frozen notices by it that its window is over: by the first answer
    /// of whichever server, and even before that if the machine slept.
    #[must_use]
    pub fn latest(&self) -> Option<Timestamp> {
        let github = self.read(Side::Github)?.latest();
        let skew = *self.first_skew.lock().unwrap_or_else(|e| e.into_inner());
        // The provider's clock tells how much time passed, not what time it is.
        let provider = self
            .read(Side::Provider)
            .zip(skew)
            .and_then(|(anchor, skew)| anchor.latest().checked_sub(skew).ok());
        Some(provider.map_or(github, |provider| provider.max(github)))
    }

    fn read(&self, side: Side) -> Option<Anchor> {
        *self.side(side).lock().unwrap_or_else(|e| e.into_inner())
    }

    fn side(&self, side: Side) -> &Mutex<Option<Anchor>> {
        match side {
            Side::Github => &self.github,
            Side::Provider => &self.provider,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minute: i64) -> Timestamp {
        let start: Timestamp = "2026-03-02T08:00:00Z".parse().unwrap();
        start + SignedDuration::from_mins(minute)
    }

    fn is_about(shown: Option<Timestamp>, expected: Timestamp) -> bool {
        shown.is_some_and(|shown| shown.duration_since(expected).abs() < SignedDuration::from_secs(30))
    }

    #[test]
    fn github_tells_the_time_and_nobody_turns_it_back() {
        let clock = Clock::default();
        clock.observe(Side::Provider, minute(3));
        assert_eq!((clock.now(), clock.skew(), clock.latest()), (None, None, None));
        clock.observe(Side::Github, minute(1));
        clock.observe(Side::Github, minute(0));
        assert!(is_about(clock.now(), minute(1)));
        assert_eq!(clock.skew().map(|skew| skew.as_mins()), Some(2));
    }

    #[test]
    fn a_provider_that_is_ahead_makes_it_no_later() {
        for (first, second) in [(Side::Github, Side::Provider), (Side::Provider, Side::Github)] {
            let clock = Clock::default();
            for side in [first, second] {
                clock.observe(side, minute(if side == Side::Provider { 4 } else { 0 }));
            }
            assert!(is_about(clock.latest(), minute(0)), "{:?}", clock.latest());
            clock.observe(Side::Provider, minute(4 + 60));
            assert!(is_about(clock.latest(), minute(60)), "an hour has passed: {:?}", clock.latest());
            assert!(is_about(clock.now(), minute(0)), "and is still not a date of GitHub's");
        }
    }

    #[test]
    fn a_machine_that_slept_knows_that_it_is_late() {
        let mut anchor = Anchor::new(minute(0));
        anchor.seen_on_wall -= Duration::from_secs(3600);
        let clock = Clock { github: Mutex::new(Some(anchor)), ..Clock::default() };
        assert!(is_about(clock.now(), minute(0)));
        assert!(is_about(clock.latest(), minute(60)));
    }
}
