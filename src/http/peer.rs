//! The other side of a request: whose clock its replies set, and how it is treated.

use http::StatusCode;

use super::Reply;
use crate::clock::ClockId;

/// A service that requests are sent to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    /// The clock that its `Date` headers set.
    pub clock: ClockId,
    /// What differs between services.
    pub policy: &'static PeerPolicy,
}

/// How requests to a service, and its replies, are treated.
#[derive(Debug)]
pub(crate) struct PeerPolicy {
    /// What users call the service; `None`: by its host.
    pub name: Option<&'static str>,
    /// Whether redirects within its origin are followed.
    pub follows_redirects: bool,
    /// Recognises a reply that refuses because of too many requests, and not for good.
    pub is_rate_limit: fn(&Reply) -> bool,
    /// Whether a rate limit reply that names no time asks for a long rest: half of
    /// [`super::RetryPolicy::budget`]. Otherwise the usual back-off applies.
    pub rests_after_rate_limit: bool,
    /// Whether an HTML page in place of a reply may be quoted. Not if a reply may contain
    /// a token's value.
    pub quotes_pages: bool,
}

impl PeerPolicy {
    /// The usual rules, and nothing beyond them.
    pub(crate) const STRICT: Self = Self {
        name: None,
        follows_redirects: false,
        is_rate_limit: |reply| matches!(reply.status, StatusCode::TOO_MANY_REQUESTS),
        rests_after_rate_limit: false,
        quotes_pages: false,
    };
}
