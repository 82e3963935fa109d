//! The only source of time: the `Date` headers of the servers.
//!
//! *Now* is GitHub's clock, which also sets a secret's `updated_at`. The runner's own
//! clocks only measure how long ago the last header was seen. [`crate::rotation`]
//! decides what follows from a time.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};

/// Whose clock a `Date` header shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockId {
    /// GitHub's, which counts.
    Github,
    /// A provider's. Each provider of a run has a number.
    Provider(usize),
}

/// The servers' time; one per run, shared by every request.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    github: Mutex<Option<Anchor>>,
    /// By their numbers.
    providers: Mutex<Vec<Other>>,
}

/// A provider's clock.
#[derive(Debug, Clone, Copy, Default)]
struct Other {
    anchor: Option<Anchor>,
    /// How far it was ahead of GitHub's when that was first known.
    first_skew: Option<SignedDuration>,
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
    /// Records a `Date` header. A date older than the clock (a cached reply, a server
    /// that lags) is ignored.
    pub(crate) fn observe(&self, clock: ClockId, date: Timestamp) {
        let mut github = self.github.lock().unwrap_or_else(|e| e.into_inner());
        let mut providers = self.providers.lock().unwrap_or_else(|e| e.into_inner());
        let anchor = match clock {
            ClockId::Github => &mut *github,
            ClockId::Provider(number) => {
                let known = providers.len().max(number + 1);
                providers.resize(known, Other::default());
                &mut providers[number].anchor
            }
        };
        if anchor.is_none_or(|known| known.now() < date) {
            *anchor = Some(Anchor::new(date));
        }
        for provider in providers.iter_mut() {
            provider.first_skew = provider.first_skew.or_else(|| skew(*github, provider.anchor));
        }
    }

    /// *Now*: GitHub's clock, in whole seconds, as `Date` headers and `updated_at`
    /// count. `None` until GitHub has sent a date.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        let now = self.github()?.now();
        Timestamp::from_second(now.as_second()).ok()
    }

    /// How far a clock is ahead of GitHub's (negative: behind). `None` until both
    /// have sent a date.
    pub(crate) fn skew(&self, clock: ClockId) -> Option<SignedDuration> {
        let github = self.github();
        match clock {
            ClockId::Github => skew(github, github),
            ClockId::Provider(number) => skew(github, self.providers().get(number)?.anchor),
        }
    }

    /// GitHub's clock, or later if there is evidence that more time has passed. A run
    /// that was suspended notices in this way that its delivery window is over: from the
    /// first reply of any server, or before that if the machine slept.
    pub(crate) fn latest(&self) -> Option<Timestamp> {
        let github = self.github()?.latest();
        // Providers' clocks show how much time has passed, not what time it is.
        let by_provider = |provider: Other| provider.anchor?.latest().checked_sub(provider.first_skew?).ok();
        Some(self.providers().into_iter().filter_map(by_provider).fold(github, Timestamp::max))
    }

    fn github(&self) -> Option<Anchor> {
        *self.github.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn providers(&self) -> Vec<Other> {
        self.providers.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
}

/// How far the other clock is ahead of GitHub's.
fn skew(github: Option<Anchor>, other: Option<Anchor>) -> Option<SignedDuration> {
    Some(other?.now().duration_since(github?.now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROVIDER: ClockId = ClockId::Provider(0);

    fn minute(minute: i64) -> Timestamp {
        let start: Timestamp = "2026-03-02T08:00:00Z".parse().unwrap();
        start + SignedDuration::from_mins(minute)
    }

    fn is_about(shown: Option<Timestamp>, expected: Timestamp) -> bool {
        shown.is_some_and(|shown| shown.duration_since(expected).abs() < SignedDuration::from_secs(30))
    }

    #[test]
    fn github_s_clock_never_goes_back() {
        let clock = Clock::default();
        clock.observe(PROVIDER, minute(3));
        assert_eq!((clock.now(), clock.skew(PROVIDER), clock.latest()), (None, None, None));
        clock.observe(ClockId::Github, minute(1));
        clock.observe(ClockId::Github, minute(0));
        assert!(is_about(clock.now(), minute(1)));
        assert_eq!(clock.skew(PROVIDER).map(|skew| skew.as_mins()), Some(2));
    }

    #[test]
    fn a_provider_that_is_ahead_makes_it_no_later() {
        for (first, second) in [(ClockId::Github, PROVIDER), (PROVIDER, ClockId::Github)] {
            let clock = Clock::default();
            for of in [first, second] {
                clock.observe(of, minute(if of == PROVIDER { 4 } else { 0 }));
            }
            assert!(is_about(clock.latest(), minute(0)), "{:?}", clock.latest());
            clock.observe(PROVIDER, minute(4 + 60));
            assert!(is_about(clock.latest(), minute(60)), "an hour has passed: {:?}", clock.latest());
            assert!(is_about(clock.now(), minute(0)), "and is still not a date of GitHub's");
        }
    }

    #[test]
    fn each_provider_has_a_clock_of_its_own() {
        let clock = Clock::default();
        clock.observe(ClockId::Github, minute(0));
        clock.observe(ClockId::Provider(2), minute(20));
        clock.observe(ClockId::Provider(0), minute(-1));
        let minutes = |skew: SignedDuration| (skew.as_secs_f64() / 60.0).round();
        let skews = [0, 1, 2, 3].map(|n| clock.skew(ClockId::Provider(n)).map(minutes));
        assert_eq!(skews, [Some(-1.0), None, Some(20.0), None]);
        assert!(is_about(clock.latest(), minute(0)));
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
