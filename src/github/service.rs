//! The way from octocrab to the one HTTP client: a relative request becomes a
//! [`Call`] with address, credential and rules.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use jiff::Timestamp;
use octocrab::OctoBody;
use secrecy::SecretString;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;
use url::Url;

use crate::clock::Side;
use crate::http::{Call, Gate, Http, HttpError, JSON, json};

/// The media type that GitHub's API asks for.
const ACCEPT: HeaderValue = HeaderValue::from_static("application/vnd.github+json");
/// The version of the REST API that this program was written against.
const API_VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-github-api-version"), HeaderValue::from_static("2022-11-28"));

/// Rules for one request, put into its extensions. Without: those of a read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// See [`Call::intact`].
    pub(super) intact: fn(StatusCode, &[u8]) -> bool,
    /// See [`Call::deadline`].
    pub(super) deadline: Option<Instant>,
    /// See [`Call::until`].
    pub(super) until: Option<Timestamp>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { intact: json, deadline: None, until: None }
    }
}

/// In a response's extensions: what [`crate::http::Reply`] says beyond status,
/// headers and body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances {
    /// The reply's own date.
    pub(super) date: Option<Timestamp>,
    /// See [`crate::http::Reply::doubtful`].
    pub(super) doubtful: bool,
}

/// Sends what octocrab wants sent.
#[derive(Clone)]
pub(super) struct GithubService {
    pub(super) http: Arc<Http>,
    pub(super) api_url: Url,
    pub(super) token: SecretString,
    pub(super) gate: Arc<dyn Gate>,
}

impl Service<Request<OctoBody>> for GithubService {
    type Response = Response<Full<Bytes>>;
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), HttpError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<OctoBody>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { this.send(request).await })
    }
}

impl GithubService {
    async fn send(self, request: Request<OctoBody>) -> Result<Response<Full<Bytes>>, HttpError> {
        let (parts, body) = request.into_parts();
        let rules = parts.extensions.get::<Rules>().copied().unwrap_or_default();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        // A body in memory cannot fail to be read.
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();

        let mut call = Call::new(Side::Github, parts.method, address(&self.api_url, path)?)
            .header(header::ACCEPT, ACCEPT)
            .header(API_VERSION.0, API_VERSION.1)
            .bearer(&self.token)?
            // Everything that is sent to GitHub may be sent twice: reads, and writes by PUT.
            .idempotent();
        if !body.is_empty() {
            call = call.header(header::CONTENT_TYPE, JSON);
            call.body = Some(body);
        }
        call.intact = rules.intact;
        call.deadline = rules.deadline;
        call.until = rules.until;
        call.gate = Some(self.gate);

        let reply = self.http.send(call).await?;
        let mut response = Response::new(Full::new(Bytes::copy_from_slice(reply.body())));
        *response.status_mut() = reply.status;
        response.extensions_mut().insert(Circumstances { date: reply.date, doubtful: reply.doubtful });
        *response.headers_mut() = reply.headers;
        Ok(response)
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

/// At most so many requests are under way.
pub(super) struct Concurrency(Arc<Semaphore>);

impl Concurrency {
    pub(super) fn of(requests: usize) -> Self {
        Self(Arc::new(Semaphore::new(requests.clamp(1, Semaphore::MAX_PERMITS))))
    }
}

#[async_trait]
impl Gate for Concurrency {
    async fn enter(&self, _: &Method) -> Option<OwnedSemaphorePermit> {
        // `None` only when the semaphore is closed, which never happens.
        Arc::clone(&self.0).acquire_owned().await.ok()
    }
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
