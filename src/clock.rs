//! The only source of time: what servers say in their `Date` headers.
//!
//! GitHub's clock is the one that a secret's `updated_at` is written by, so it
//! is *now*. The runner's own clock is never asked for a date; it only measures
//! how long ago the last header was seen. What is decided with a time lives in
//! [`crate::rotation`], not here.

use std::sync::Mutex;
use std::time::Instant;

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
}

/// A date and the moment at which it was read.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    date: Timestamp,
    seen: Instant,
}

impl Anchor {
    fn now(self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.seen.elapsed()).unwrap_or(SignedDuration::MAX);
        self.date.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }
}

impl Clock {
    /// Takes note of a `Date` header. A date older than what the clock already
    /// shows (a cached reply, a server that lags) does not turn it back.
    pub fn observe(&self, side: Side, date: Timestamp) {
        let mut anchor = self.side(side).lock().unwrap_or_else(|e| e.into_inner());
        if anchor.is_none_or(|known| known.now() < date) {
            *anchor = Some(Anchor { date, seen: Instant::now() });
        }
    }

    /// *Now*: GitHub's clock, in whole seconds, as `Date` headers and `updated_at`
    /// count. `None` until GitHub has sent a date.
    #[must_use]
    pub fn now(&self) -> Option<Timestamp> {
        let now = self.read(Side::Github)?;
        Timestamp::from_second(now.as_second()).ok()
    }

    /// How far the provider's clock is ahead of GitHub's (negative: behind).
    /// `None` until both have sent a date.
    #[must_use]
    pub fn skew(&self) -> Option<SignedDuration> {
        Some(self.read(Side::Provider)?.duration_since(self.read(Side::Github)?))
    }

    /// The latest time that any server has shown. A run that was frozen notices
    /// by it that its window is over, whoever answers first.
    #[must_use]
    pub fn latest(&self) -> Option<Timestamp> {
        self.read(Side::Github).max(self.read(Side::Provider))
    }

    fn read(&self, side: Side) -> Option<Timestamp> {
        self.side(side).lock().unwrap_or_else(|e| e.into_inner()).map(Anchor::now)
    }

    fn side(&self, side: Side) -> &Mutex<Option<Anchor>> {
        match side {
            Side::Github => &self.github,
            Side::Provider => &self.provider,
        }
    }
}
