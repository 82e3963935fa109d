//! Decides when a request is sent again, and after which wait.
//!
//! A request is repeated only if sending it twice does no harm, and only after a result
//! that another attempt may change. The wait comes from the server if it names one, else
//! from an exponential back-off with jitter.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use http::{StatusCode, header};
use jiff::Timestamp;

use super::call::{http_date, number};
use super::{HttpError, PeerPolicy, Reply};

/// Attempts to reach a host that has not answered in this run, while a user waits.
pub(super) const ATTEMPTS_TO_REACH: usize = 3;

/// Whether a request may be sent twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Safe to repeat: a read, the write of a secret, a deletion.
    Idempotent,
    /// Not safe to repeat (a mint): repeated only if the server cannot have received it.
    Never,
    /// Repeated when nothing can have arrived, or after a rate limit reply; the caller handles
    /// the rest.
    AfterLimit,
}

/// How long to wait and when to give up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryPolicy {
    /// The wait before the second attempt; doubles from there.
    pub first_wait: Duration,
    /// Where doubling ends. Jitter adds up to as much again to every wait.
    pub max_wait: Duration,
    /// Time for all attempts of a call that has no deadline of its own, and the longest
    /// wait that a server may ask for. If it asks for more, the call fails: an attempt that
    /// comes too early would only prolong the limit.
    pub budget: Duration,
    /// A user waits. Gives up soon on a host that cannot be reached at all, with a usual timeout
    /// after some 5 s: the user may have misspelt its name.
    pub is_impatient: bool,
}

impl RetryPolicy {
    /// Waits in proportion to the request timeout: with 30 s, from 1 s to 15 s,
    /// 2 minutes in all.
    pub(crate) fn for_timeout(timeout: Duration) -> Self {
        Self { first_wait: timeout / 30, max_wait: timeout / 2, budget: timeout * 4, is_impatient: false }
    }

    /// The attempts that a call may take, the first one included. A deadline comes first
    /// with the usual request timeout.
    pub(super) fn attempts(has_deadline: bool) -> usize {
        if has_deadline { 12 } else { 8 }
    }

    /// The waits of a caller that repeats a request itself, because something must
    /// be looked at before each repetition.
    pub(crate) fn repetitions(&self) -> Repetitions {
        Repetitions { policy: *self, waits: self.backoff(false).build(), began: Instant::now() }
    }

    /// The waits between attempts.
    pub(super) fn backoff(&self, has_deadline: bool) -> ExponentialBuilder {
        ExponentialBuilder::new()
            .with_min_delay(self.first_wait)
            .with_max_delay(self.max_wait)
            .with_max_times(Self::attempts(has_deadline) - 1)
            .with_jitter()
    }
}

/// See [`RetryPolicy::repetitions`].
#[derive(Debug)]
pub(crate) struct Repetitions {
    policy: RetryPolicy,
    waits: ExponentialBackoff,
    began: Instant,
}

impl Repetitions {
    /// How long to wait before the next attempt, at least as long as the server
    /// `asked`; `None`: there is none.
    pub(crate) fn next_wait(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let wait = self.waits.next()?.max(asked.unwrap_or_default());
        let left = self.policy.budget.saturating_sub(self.began.elapsed());
        (wait < left).then_some(wait)
    }
}

/// An attempt without success.
pub(super) enum Failed {
    /// A reply, and its status is not one of success.
    Reply(Box<Reply>),
    /// No whole reply.
    Error(HttpError),
}

impl Failed {
    /// Whether the server may have processed the request. A server error does not tell;
    /// any other failure status is a refusal.
    pub(super) fn may_have_been_processed(&self) -> bool {
        match self {
            Self::Reply(reply) => reply.status.is_server_error(),
            Self::Error(error) => !error.certainly_not_sent(),
        }
    }

    /// Whether nothing answered at the host's address, or it has none.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Error(HttpError::Connect { .. } | HttpError::Proxy { .. }))
    }

    /// What happened, to follow the service's name.
    pub(super) fn brief(&self, peer: &PeerPolicy) -> String {
        match self {
            Self::Reply(reply) if (peer.is_rate_limit)(reply) => {
                format!("reported a rate limit ({})", reply.status.as_u16())
            }
            Self::Reply(reply) => format!("answered {}", reply.status),
            Self::Error(error) => error.brief(),
        }
    }
}

/// How long to wait before the next attempt; `None`: there is none.
///
/// `backoff` is the next wait of the back-off, `left` the time that the call
/// still has.
pub(super) fn wait(
    policy: &RetryPolicy,
    peer: &PeerPolicy,
    retry: Retry,
    failed: &Failed,
    backoff: Duration,
    left: Duration,
) -> Option<Duration> {
    let asked = match failed {
        Failed::Error(error) if retry == Retry::Idempotent || error.certainly_not_sent() => {
            error.may_pass().then_some(Duration::ZERO)?
        }
        Failed::Reply(reply)
            if retry == Retry::Idempotent || retry == Retry::AfterLimit && (peer.is_rate_limit)(reply) =>
        {
            requested_by(policy, peer, reply)?
        }
        Failed::Error(_) | Failed::Reply(_) => return None,
    };
    let wait = asked.max(backoff);
    (asked <= policy.budget && wait < left).then_some(wait)
}

/// The wait that a reply asks for, zero if it names none; `None`: no reply to
/// try again after.
fn requested_by(policy: &RetryPolicy, peer: &PeerPolicy, reply: &Reply) -> Option<Duration> {
    let asked = requested_wait(reply);
    match reply.status {
        StatusCode::INTERNAL_SERVER_ERROR
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Some(asked.unwrap_or_default()),
        _ if !(peer.is_rate_limit)(reply) => None,
        _ if peer.rests_after_rate_limit => Some(asked.unwrap_or(policy.budget / 2)),
        _ => Some(asked.unwrap_or_default()),
    }
}

/// How long a reply asks to wait, if it says: `Retry-After` in seconds or as a date, else
/// the end of a limit that is used up. Dates count from the reply's own.
pub(crate) fn requested_wait(reply: &Reply) -> Option<Duration> {
    let Reply { headers, date, .. } = reply;
    let until = |end: Timestamp| {
        let wait = end.duration_since((*date)?);
        Some(Duration::try_from(wait).unwrap_or_default())
    };
    if let Some(value) = headers.get(header::RETRY_AFTER) {
        return match number(headers, "retry-after") {
            Some(seconds) => Some(Duration::from_secs(seconds)),
            None => until(http_date(value)?),
        };
    }
    if number(headers, "x-ratelimit-remaining") == Some(0) {
        let reset = i64::try_from(number(headers, "x-ratelimit-reset")?).ok()?;
        // One second more: the header is cut to whole seconds.
        return until(Timestamp::from_second(reset.checked_add(1)?).ok()?);
    }
    None
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
