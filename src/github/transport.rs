//! What all requests to GitHub's API share: the address, two headers and the rate
//! limiter. Knows nothing of credentials.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, header};
use jiff::Timestamp;
use url::Url;

use super::error::{Error, ErrorKind, Result, Subject};
use super::paths;
use super::peer::PEER;
use crate::http::{Call, Http, RateLimiter, Reply, json};

/// The media type that GitHub's API asks for.
const ACCEPT: HeaderValue = HeaderValue::from_static("application/vnd.github+json");
/// The version of the REST API that this program was written against.
const API_VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-github-api-version"), HeaderValue::from_static("2022-11-28"));

/// GitHub's API at one server.
pub(super) struct Transport {
    pub(super) http: Arc<Http>,
    pub(super) url: Url,
    pub(super) rate_limiter: Arc<dyn RateLimiter>,
}

impl Transport {
    /// A request that may be repeated and expects JSON. Every request to GitHub may be sent
    /// twice (reads, writes by PUT, requests for an installation token), except where a
    /// caller says otherwise.
    pub(super) fn call(&self, method: Method, path: &str) -> Call {
        let mut call = Call::new(PEER, method, address(&self.url, path))
            .header(header::ACCEPT, ACCEPT)
            .header(API_VERSION.0, API_VERSION.1)
            .idempotent();
        call.is_valid_body = json;
        call.rate_limiter = Some(Arc::clone(&self.rate_limiter));
        call
    }

    /// Sends a request. A failure status is no error here.
    pub(super) async fn send(&self, subject: &Subject<'_>, call: Call) -> Result<Reply> {
        // Boxed, because the future of every caller would grow by it.
        Box::pin(self.http.send(call)).await.map_err(|error| Error::of_http(subject, &error))
    }

    /// GitHub's time. If it is not known yet, a request without a credential that counts
    /// towards no limit fetches it; any reply has a date.
    pub(super) async fn now(&self, subject: &Subject<'_>) -> Result<Timestamp> {
        if let Some(now) = self.http.clock().now() {
            return Ok(now);
        }
        let call = self.call(Method::GET, paths::RATE_LIMIT);
        // The status does not matter, so the request is not repeated.
        let once = Call::new(PEER, Method::GET, call.url.clone());
        if self.send(subject, once).await.is_err() {
            self.send(subject, call).await?;
        }
        self.http.clock().now().ok_or_else(|| {
            let cause = "GitHub's reply has no `Date` header, and a GitHub App cannot sign in without it";
            Error::new(ErrorKind::Unreadable, subject, cause)
        })
    }
}

/// Whether every store exists: true for github.com and ghe.com tenants. A GitHub Enterprise
/// Server may lack some.
pub(super) fn has_every_store(api_url: &Url) -> bool {
    api_url.domain().is_some_and(|host| host == "api.github.com" || host.ends_with(".ghe.com"))
}

/// A path of the API under the API's own address, which may have a path itself
/// (`/api/v3`).
fn address(api_url: &Url, path: &str) -> Url {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut url = api_url.clone();
    url.set_path(&format!("{}{path}", api_url.path().trim_end_matches('/')));
    url.set_query(query);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_may_live_under_a_path() {
        let at = |base: &str| address(&Url::parse(base).unwrap(), "/repos/a%2Fb?page=2").to_string();
        assert_eq!(at("https://api.github.com"), "https://api.github.com/repos/a%2Fb?page=2");
        assert_eq!(at("https://ghes.example/api/v3"), "https://ghes.example/api/v3/repos/a%2Fb?page=2");
        assert_eq!(at("https://ghes.example/api/v3/"), "https://ghes.example/api/v3/repos/a%2Fb?page=2");
    }

    #[test]
    fn only_a_server_of_one_s_own_may_lack_a_store() {
        let has = |url: &str| has_every_store(&Url::parse(url).unwrap());
        assert!(has("https://api.github.com") && has("https://api.acme.ghe.com"));
        assert!(!has("https://github.acme.example/api/v3") && !has("https://fake-ghe.com/api/v3"));
    }
}
