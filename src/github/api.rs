//! What every request to GitHub's API has in common: the address, two headers,
//! and the gate that it waits at.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, header};
use url::Url;

use crate::clock::Side;
use crate::http::{Call, Gate, Http, HttpError, Reply, json};

/// The media type that GitHub's API asks for.
const ACCEPT: HeaderValue = HeaderValue::from_static("application/vnd.github+json");
/// The version of the REST API that this program was written against.
const API_VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-github-api-version"), HeaderValue::from_static("2022-11-28"));

/// GitHub's API at one server.
pub(super) struct Api {
    pub(super) http: Arc<Http>,
    pub(super) url: Url,
    pub(super) gate: Arc<dyn Gate>,
}

impl Api {
    /// A request that may be repeated and is answered with JSON; still without a
    /// credential. Everything that is sent to GitHub may be sent twice: reads,
    /// writes by PUT, and the wish for one more installation token.
    pub(super) fn call(&self, method: Method, path: &str) -> Result<Call, HttpError> {
        let mut call = Call::new(Side::Github, method, address(&self.url, path)?)
            .header(header::ACCEPT, ACCEPT)
            .header(API_VERSION.0, API_VERSION.1)
            .idempotent();
        call.intact = json;
        call.gate = Some(Arc::clone(&self.gate));
        Ok(call)
    }

    /// Sends it.
    pub(super) async fn send(&self, call: Call) -> Result<Reply, HttpError> {
        self.http.send(call).await
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
    fn the_api_may_live_under_a_path() {
        let at = |base: &str| address(&Url::parse(base).unwrap(), "/repos/a/b?page=2").unwrap().to_string();
        assert_eq!(at("https://api.github.com"), "https://api.github.com/repos/a/b?page=2");
        assert_eq!(at("https://ghes.example/api/v3"), "https://ghes.example/api/v3/repos/a/b?page=2");
        assert_eq!(at("https://ghes.example/api/v3/"), "https://ghes.example/api/v3/repos/a/b?page=2");
    }
}
