//! Small builders for replies, and the record of a request.

use super::clock::ServerClock;
use jiff::Timestamp;
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

/// A reply before the headers that every reply of a fake has.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The JSON body; `None`: no body.
    pub body: Option<Value>,
    /// Headers of this reply alone.
    pub headers: Vec<(String, String)>,
}

impl Reply {
    /// A reply with a JSON body.
    #[must_use]
    pub fn json(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), headers: Vec::new() }
    }

    /// A reply without a body.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self { status, body: None, headers: Vec::new() }
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

    /// The reply as the server library wants it.
    #[must_use]
    pub fn into_template(self, clock: &ServerClock) -> ResponseTemplate {
        let mut template = ResponseTemplate::new(self.status).insert_header("date", clock.date());
        if !clock.latency().is_zero() {
            template = template.set_delay(clock.latency());
        }
        if let Some(body) = &self.body {
            template = template.set_body_raw(body.to_string(), "application/json; charset=utf-8");
        }
        for (name, value) in &self.headers {
            template = template.append_header(name.as_str(), value.as_str());
        }
        template
    }
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

/// The origin under which the client reached the server. Behind a proxy this is
/// the proxy's, so that links lead back through it.
#[must_use]
pub fn origin(request: &Request) -> String {
    let host = request.headers.get("host").and_then(|h| h.to_str().ok()).unwrap_or("localhost");
    format!("http://{host}")
}
