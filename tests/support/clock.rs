//! The virtual time that all fakes share, and each server's own view of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};

/// Time that moves only when a test says so. Clones share it.
#[derive(Debug, Clone)]
pub struct VirtualClock(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    now: Timestamp,
    per_request: SignedDuration,
    latency: Duration,
}

/// Where every virtual clock starts.
pub const START: &str = "2026-03-02T08:00:00Z";

impl VirtualClock {
    /// A clock that shows [`START`].
    #[must_use]
    pub fn new() -> Self {
        Self::at(START.parse().unwrap())
    }

    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Inner { now, per_request: SignedDuration::ZERO, latency: Duration::ZERO })))
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.lock().unwrap().now
    }

    /// Moves time on (a negative duration: back).
    pub fn advance(&self, by: SignedDuration) {
        let mut inner = self.0.lock().unwrap();
        inner.now = inner.now.checked_add(by).unwrap();
    }

    /// Sets the time.
    pub fn set(&self, now: Timestamp) {
        self.0.lock().unwrap().now = now;
    }

    /// Lets every request at a fake cost so much virtual time. Default: none.
    pub fn set_per_request(&self, cost: SignedDuration) {
        self.0.lock().unwrap().per_request = cost;
    }

    /// Lets every answer come so much later, in real time. Default: not at all.
    pub fn set_latency(&self, latency: Duration) {
        self.0.lock().unwrap().latency = latency;
    }

    /// Called by a fake for each request.
    pub fn tick(&self) {
        let mut inner = self.0.lock().unwrap();
        inner.now = inner.now.checked_add(inner.per_request).unwrap();
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

/// What a server's `Date` header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DateHeader {
    /// The server's time.
    #[default]
    Right,
    /// Something that is no date.
    Garbled,
    /// There is no such header.
    Missing,
}

/// One server's view of the time: the virtual clock, and how wrong it is.
#[derive(Debug, Clone)]
pub struct ServerClock {
    clock: VirtualClock,
    /// How far this server is ahead (negative: behind). It lives by that time:
    /// its dates, timestamps and expiries all follow it.
    pub skew: SignedDuration,
    /// What it sends as `Date`.
    pub header: DateHeader,
}

impl ServerClock {
    /// A server whose clock is right.
    #[must_use]
    pub fn new(clock: VirtualClock) -> Self {
        Self { clock, skew: SignedDuration::ZERO, header: DateHeader::Right }
    }

    /// The time at this server.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now().checked_add(self.skew).unwrap()
    }

    /// One request's worth of time passes.
    pub fn tick(&self) {
        self.clock.tick();
    }

    /// How long an answer takes, in real time.
    #[must_use]
    pub fn latency(&self) -> Duration {
        self.clock.0.lock().unwrap().latency
    }

    /// The value of the `Date` header, if there is one.
    #[must_use]
    pub fn date(&self) -> Option<String> {
        match self.header {
            DateHeader::Right => Some(http_date(self.now())),
            DateHeader::Garbled => Some("the day after tomorrow".to_owned()),
            DateHeader::Missing => None,
        }
    }
}

/// A time as HTTP writes it: `Mon, 02 Mar 2026 08:00:00 GMT`.
#[must_use]
pub fn http_date(time: Timestamp) -> String {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap()
}

/// A time in whole seconds, as GitHub and Axiom write it in JSON.
#[must_use]
pub fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap()
}
