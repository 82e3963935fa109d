//! What all requests to GitHub's API share: the address, two headers and the rate
//! limiter.

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderName, HeaderValue, Method, header};
use jiff::Timestamp;
use url::Url;

use super::error;
use crate::clock::Peer;
use crate::http::{Call, Http, HttpError, RateLimiter, Reply, json};

/// The media type that GitHub's API asks for.
const ACCEPT: HeaderValue = HeaderValue::from_static("application/vnd.github+json");
/// The version of the REST API that this program was written against.
const API_VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-github-api-version"), HeaderValue::from_static("2022-11-28"));

/// The header with the expiry of the request's token. Source: GitHub's pages on personal
/// access tokens.
const EXPIRATION: &str = "github-authentication-token-expiration";

/// GitHub's API at one server.
pub(super) struct Api {
    pub(super) http: Arc<Http>,
    pub(super) url: Url,
    pub(super) rate_limiter: Arc<dyn RateLimiter>,
    earliest_end: Mutex<Option<Timestamp>>,
    scopes: Mutex<Option<String>>,
}

impl Api {
    /// The API at `url`.
    pub(super) fn new(http: Arc<Http>, url: Url, rate_limiter: Arc<dyn RateLimiter>) -> Self {
        Self { http, url, rate_limiter, earliest_end: Mutex::new(None), scopes: Mutex::new(None) }
    }

    /// A request without a credential that may be repeated and expects JSON. Every
    /// request to GitHub may be sent twice: reads, writes by PUT, and requests for an
    /// installation token.
    pub(super) fn call(&self, method: Method, path: &str) -> Result<Call, HttpError> {
        let mut call = Call::new(Peer::Github, method, address(&self.url, path)?)
            .header(header::ACCEPT, ACCEPT)
            .header(API_VERSION.0, API_VERSION.1)
            .idempotent();
        call.is_valid_body = json;
        call.rate_limiter = Some(Arc::clone(&self.rate_limiter));
        Ok(call)
    }

    /// Boxed, because the future of every caller would grow by it.
    pub(super) async fn send(&self, call: Call) -> Result<Reply, HttpError> {
        let reply = Box::pin(self.http.send(call)).await?;
        if let Some(end) = reply.headers.get(EXPIRATION).and_then(|value| expiration(value.to_str().ok()?)) {
            let mut earliest = self.earliest_end.lock().unwrap_or_else(PoisonError::into_inner);
            *earliest = Some(earliest.map_or(end, |known| known.min(end)));
        }
        if let Some(scopes) = error::scopes(&reply.headers) {
            *self.scopes.lock().unwrap_or_else(PoisonError::into_inner) = Some(scopes);
        }
        Ok(reply)
    }

    /// The scopes of a classic token, from the last reply; `None`: another kind of
    /// credential.
    pub(super) fn scopes(&self) -> Option<String> {
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When the GitHub credential expires, as far as GitHub has reported it.
    pub(super) fn earliest_end(&self) -> Option<Timestamp> {
        *self.earliest_end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `2026-03-10 08:00:00 UTC`, or with an offset in place of UTC.
fn expiration(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    match text.strip_suffix(" UTC") {
        Some(utc) => format!("{utc}Z").parse().ok(),
        None => Timestamp::strptime("%Y-%m-%d %H:%M:%S %z", text).ok(),
    }
}

/// A path of the API under the API's own address, which may have a path itself
/// (`/api/v3`).
fn address(api_url: &Url, path: &str) -> Result<Url, HttpError> {
    let base = api_url.as_str().trim_end_matches('/');
    Url::parse(&format!("{base}{path}"))
        .ok()
        .filter(|url| url.origin() == api_url.origin())
        .ok_or_else(|| HttpError::Setup { cause: "GitHub's API URL cannot be used".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_tokens_are_read() {
        let end = |text: &str| expiration(text).map(|end| end.to_string());
        assert_eq!(end("2026-03-10 08:00:00 UTC").as_deref(), Some("2026-03-10T08:00:00Z"));
        assert_eq!(end("2026-03-10 08:00:00 +0200").as_deref(), Some("2026-03-10T06:00:00Z"));
        for text in ["", "soon", "UTC", "2026-03-10 08:00:00", "2026-13-10 08:00:00 UTC"] {
            assert_eq!(end(text), None, "{text}");
        }
    }

    #[test]
    fn the_api_may_live_under_a_path() {
        let at = |base: &str| address(&Url::parse(base).unwrap(), "/repos/a/b?page=2").unwrap().to_string();
        assert_eq!(at("https://api.github.com"), "https://api.github.com/repos/a/b?page=2");
        assert_eq!(at("https://ghes.example/api/v3"), "https://ghes.example/api/v3/repos/a/b?page=2");
        assert_eq!(at("https://ghes.example/api/v3/"), "https://ghes.example/api/v3/repos/a/b?page=2");
    }
}
