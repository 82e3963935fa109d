//! Small builders for replies, and the record of a request.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use super::clock::ServerClock;

/// A fake's reply.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The JSON body; `None`: no body.
    pub body: Option<Value>,
    /// The headers but for the body's.
    pub headers: Vec<(String, String)>,
    /// How long the server takes to send it, in real time.
    pub delay: Duration,
}

impl Reply {
    /// A reply with a JSON body.
    #[must_use]
    pub fn json(status: u16, body: Value) -> Self {
        Self { body: Some(body), ..Self::empty(status) }
    }

    /// A reply without a body.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self { status, body: None, headers: Vec::new(), delay: Duration::ZERO }
    }

    /// `{"message": …}`.
    #[must_use]
    pub fn message(status: u16, message: &str) -> Self {
        Self::json(status, json!({ "message": message }))
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The reply as it goes out: with the server's date, and as late as the clock says.
    #[must_use]
    pub(super) fn sent_at(mut self, clock: &ServerClock) -> Self {
        self.headers.extend(clock.date().map(|date| ("date".to_owned(), date)));
        self.delay = clock.latency();
        self
    }
}

/// A request as a fake sees it.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: http::Method,
    /// Where it was sent.
    pub url: Url,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// A request that a fake received, and what it answered.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The virtual time at that server.
    pub at: Timestamp,
    /// The method, upper case.
    pub method: String,
    /// The path as sent, still percent-encoded, without the query.
    pub path: String,
    /// The query as sent; empty if there was none.
    pub query: String,
    /// The headers as sent. Holds credentials: not for printing.
    pub headers: http::HeaderMap,
    /// The body. May hold what was sealed: not for printing.
    pub body: Vec<u8>,
    /// The status of the answer.
    pub status: u16,
}

impl Recorded {
    /// The record of a request before it is answered.
    #[must_use]
    pub fn new(request: &Request, at: Timestamp) -> Self {
        Self {
            at,
            method: request.method.as_str().to_owned(),
            path: request.url.path().to_owned(),
            query: request.url.query().unwrap_or_default().to_owned(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            status: 0,
        }
    }

    /// `GET /v2/tokens`: what may be printed of it.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Splits a path into its segments and takes the percent-encoding off each.
#[must_use]
pub fn segments(path: &str) -> Vec<String> {
    let decode = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
    path.trim_matches('/').split('/').map(decode).collect()
}

/// One parameter of a query.
#[must_use]
pub fn query(request: &Request, name: &str) -> Option<String> {
    request.url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The origin under which the client reached the server: one fake can have several, and
/// links lead back to the same.
#[must_use]
pub fn origin(request: &Request) -> String {
    let host = request.headers.get("host").and_then(|h| h.to_str().ok()).unwrap_or("localhost");
    format!("http://{host}")
}
