//! Paces requests: below the limits that GitHub publishes, and slower after a rate limit
//! reply.
//!
//! Source: GitHub's page on secondary rate limits: 900 points a minute, 5 for a
//! write and 1 for a read, and 100 requests at once, for each token.
//!
//! The limit holds for every minute, wherever it begins. So each request counts until a
//! minute after its *reply*: the server saw it before that. A token bucket would be
//! simpler, but one that is safe in every minute must be small, and would spread a burst
//! over most of a minute while a new token waits for its delivery.
//!
//! A server that publishes no limits (GitHub Enterprise Server by default) is not paced.
//! Writes go before reads, because a new token waits for them.

use std::collections::VecDeque;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::peer::is_rate_limit;
use crate::diagnostic::{Invalid, quoted};
use crate::http::retry::requested_wait;
use crate::http::{Permit, RateLimiter, Reply, number};
use crate::limits::{POINTS_A_MINUTE, READ_POINTS, USED_OF_100, WRITE_POINTS};
use crate::period::Period;
use crate::progress::{self, Progress};

/// The rate limit of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Points, in every period of this length.
    points: u32,
    period: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { points: POINTS_A_MINUTE, period: Duration::from_secs(60) }
    }
}

impl Pace {
    /// Points that are used of those allowed.
    fn most(self) -> u32 {
        (self.points / 100 * USED_OF_100 + self.points % 100 * USED_OF_100 / 100).max(WRITE_POINTS)
    }
}

impl FromStr for Pace {
    type Err = Invalid;

    /// `900/1m`. Never less than GitHub's own limit, because delivery windows rely on
    /// it.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parse = || {
            let (points, period) = text.split_once('/')?;
            let period = period.trim().parse::<Period>().ok()?.duration().unsigned_abs();
            Some(Self { points: points.trim().parse().ok()?, period })
        };
        let pace: Self = parse().ok_or_else(|| {
            Invalid::new(format!("{} is no pace: write points and period, like 900/1m", quoted(text)))
        })?;
        let is_enough = !pace.period.is_zero()
            && pace.period <= Duration::from_secs(60)
            && u64::from(pace.points) * 60_000 >= u64::from(POINTS_A_MINUTE) * pace.period.as_millis() as u64;
        is_enough.then_some(pace).ok_or_else(|| {
            Invalid::new(format!("{} is slower than GitHub's own 900/1m", quoted(text)))
                .help("a slower pace would not fit into the delivery windows; use --concurrency")
        })
    }
}

/// Limits the rate of requests.
pub(super) struct Pacer {
    pace: Pace,
    progress: Progress,
    at_once: usize,
    state: Mutex<State>,
    writes_waiting: AtomicUsize,
    /// Held by the next request of each kind; the others wait in order.
    next_read: tokio::sync::Mutex<()>,
    next_write: tokio::sync::Mutex<()>,
    changed: Notify,
}

/// What was sent within the last period, and what the server reported.
#[derive(Default)]
struct State {
    under_way: usize,
    points_under_way: u32,
    /// Points of answered requests, and until when they count.
    spent: VecDeque<(Instant, u32)>,
    /// Whether the server publishes limits; `None`: not known yet.
    is_limited: Option<bool>,
    /// Points that may be spent in a period at present, as far as replies show.
    allowance: u32,
    /// The percentage of those that the hourly limit leaves.
    left_in_100: u32,
    /// After a rate limit reply: nothing is sent before this time.
    closed_until: Option<Instant>,
    /// When the allowance was last changed.
    changed_at: Option<Instant>,
}

/// One request under way.
struct Passage {
    pacer: Arc<Pacer>,
    points: u32,
}

impl Pacer {
    /// Lets `at_once` requests be under way.
    pub(super) fn new(pace: Pace, at_once: usize, progress: Progress) -> Arc<Self> {
        Arc::new(Self {
            pace,
            progress,
            at_once: at_once.max(1),
            state: Mutex::new(State { allowance: pace.most(), left_in_100: 100, ..State::default() }),
            writes_waiting: AtomicUsize::new(0),
            next_read: tokio::sync::Mutex::new(()),
            next_write: tokio::sync::Mutex::new(()),
            changed: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pass(self: &Arc<Self>, points: u32, is_write: bool) -> Passage {
        let _waiting = is_write.then(|| Waiting::new(self));
        let next = if is_write { &self.next_write } else { &self.next_read };
        let _front = next.lock().await;
        let mut shown = None;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let admission = match is_write || self.writes_waiting.load(Ordering::Relaxed) == 0 {
                true => self.lock().admit(&self.pace, self.at_once, points, Instant::now()),
                false => Admission::AfterAChange,
            };
            match admission {
                Admission::Now => return Passage { pacer: Arc::clone(self), points },
                Admission::At(moment) => {
                    if shown.as_ref().is_none_or(|(until, _)| *until != moment) {
                        shown = Some((moment, self.wait_until(moment)));
                    }
                    // Check again, whichever of the two happened.
                    let _ = tokio::time::timeout_at(moment, changed).await;
                }
                Admission::AfterAChange => changed.await,
            }
        }
    }

    /// Waits while nothing may be sent after a rate limit reply.
    pub(super) async fn reopened(&self) {
        loop {
            let closed_until = self.lock().closed_until.filter(|moment| Instant::now() < *moment);
            let Some(moment) = closed_until else { return };
            let _shown = self.wait_until(moment);
            tokio::time::sleep_until(moment).await;
        }
    }

    fn wait_until(&self, moment: Instant) -> progress::Waiting {
        let writes = self.lock().allowed() / WRITE_POINTS;
        self.progress.wait_for_limit(moment, usize::try_from(writes).unwrap_or(1), self.pace.period)
    }
}

/// Whether a request may be sent.
enum Admission {
    Now,
    /// Look again then, or when something changes.
    At(Instant),
    /// When something changes.
    AfterAChange,
}

impl State {
    fn admit(&mut self, pace: &Pace, at_once: usize, points: u32, now: Instant) -> Admission {
        if self.under_way >= at_once {
            return Admission::AfterAChange;
        }
        if let Some(moment) = self.closed_until.filter(|moment| now < *moment) {
            return Admission::At(moment);
        }
        if self.is_limited == Some(false) {
            self.spent.clear();
        } else {
            self.recover(pace, now);
            while self.spent.front().is_some_and(|(end, _)| *end <= now) {
                self.spent.pop_front();
            }
            let used = self.points_under_way + self.spent.iter().map(|(_, points)| points).sum::<u32>();
            if used + points > self.allowed() {
                return self.spent.front().map_or(Admission::AfterAChange, |(end, _)| Admission::At(*end));
            }
        }
        self.under_way += 1;
        self.points_under_way += points;
        Admission::Now
    }

    /// Points that may be spent in a period at present.
    fn allowed(&self) -> u32 {
        (self.allowance.saturating_mul(self.left_in_100) / 100).max(WRITE_POINTS)
    }

    /// Raises the allowance by a tenth for every period without a rate limit reply.
    fn recover(&mut self, pace: &Pace, now: Instant) {
        if let Some(changed_at) = self.changed_at
            && now.duration_since(changed_at) >= pace.period
        {
            self.allowance = (self.allowance + pace.most() / 10).min(pace.most());
            self.changed_at = (self.allowance < pace.most()).then_some(now);
        }
    }

    /// Halves the allowance and pauses, unless a pause is under way already.
    fn slow_down(&mut self, pace: &Pace, rest: Duration, now: Instant) {
        if self.closed_until.is_some_and(|moment| now < moment) {
            return;
        }
        self.is_limited = Some(true);
        self.allowance = (self.allowance / 2).max(pace.most() / 10);
        self.changed_at = Some(now + rest);
        self.closed_until = Some(now + rest);
    }
}

#[async_trait]
impl RateLimiter for Arc<Pacer> {
    async fn acquire(&self, method: &Method) -> Permit {
        let is_write = *method != Method::GET;
        Box::new(self.pass(if is_write { WRITE_POINTS } else { READ_POINTS }, is_write).await)
    }

    fn record(&self, reply: &Reply) {
        let mut state = self.lock();
        let limit = number(&reply.headers, "x-ratelimit-limit");
        match (limit, state.is_limited) {
            (Some(limit), _) => {
                state.is_limited = Some(true);
                let left = number(&reply.headers, "x-ratelimit-remaining").unwrap_or(limit);
                // Down to a tenth as the last tenth of the hour's requests goes.
                state.left_in_100 =
                    u32::try_from(left.saturating_mul(1000).checked_div(limit).unwrap_or(100).clamp(10, 100))
                        .unwrap_or(100);
            }
            (None, None) if reply.status.is_success() => state.is_limited = Some(false),
            (None, _) => {}
        }
        if is_rate_limit(reply) {
            // GitHub's rule where it names no time is a minute. Where it names a
            // very long one, each call decides for itself.
            let rest = requested_wait(reply).unwrap_or(self.pace.period);
            if rest <= 2 * self.pace.period {
                state.slow_down(&self.pace, rest, Instant::now());
            }
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let mut state = self.pacer.lock();
        state.under_way -= 1;
        state.points_under_way -= self.points;
        if state.is_limited != Some(false) {
            state.spent.push_back((Instant::now() + self.pacer.pace.period, self.points));
        }
        drop(state);
        self.pacer.changed.notify_waiters();
    }
}

/// A waiting write, for which reads wait.
struct Waiting<'a>(&'a Pacer);

impl<'a> Waiting<'a> {
    fn new(pacer: &'a Pacer) -> Self {
        pacer.writes_waiting.fetch_add(1, Ordering::Relaxed);
        Self(pacer)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.0.writes_waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
