//! Connects octocrab to the one HTTP client: turns a relative request into a
//! [`crate::http::Call`] with address, credential and rules.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use jiff::Timestamp;
use octocrab::OctoBody;
use tower::Service;

use super::Error;
use super::api::Api;
use super::auth::Auth;
use crate::http::{HttpError, JSON, json};

/// Rules for one request, in its extensions. The default is for reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// See [`crate::http::Call::is_valid_body`].
    pub(super) is_valid_body: fn(StatusCode, &[u8]) -> bool,
    /// See [`crate::http::Call::deadline`].
    pub(super) deadline: Option<Instant>,
    /// See [`crate::http::Call::until`].
    pub(super) until: Option<Timestamp>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { is_valid_body: json, deadline: None, until: None }
    }
}

/// In a request's extensions: the user or organization that it is about.
#[derive(Debug, Clone)]
pub(super) struct Owner(pub(super) String);

/// In a response's extensions: what [`crate::http::Reply`] says beyond
/// status, headers and body.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReplyDetails {
    /// The reply's own date.
    pub(super) date: Option<Timestamp>,
    /// See [`crate::http::Reply::may_have_been_applied`].
    pub(super) may_have_been_applied: bool,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoReply {
    /// No complete reply arrived.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// No token could be obtained.
    #[error(transparent)]
    Auth(Error),
}

/// The service through which octocrab sends its requests.
#[derive(Clone)]
pub(super) struct OctocrabService {
    pub(super) api: Arc<Api>,
    pub(super) auth: Arc<Auth>,
}

impl Service<Request<OctoBody>> for OctocrabService {
    type Response = Response<Full<Bytes>>;
    type Error = NoReply;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoReply>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<OctoBody>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { this.send(request).await })
    }
}

impl OctocrabService {
    async fn send(self, request: Request<OctoBody>) -> Result<Response<Full<Bytes>>, NoReply> {
        let (parts, body) = request.into_parts();
        let rules = parts.extensions.get::<Rules>().copied().unwrap_or_default();
        let owner = parts.extensions.get::<Owner>().map_or("", |owner| owner.0.as_str());
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        // A body in memory cannot fail to be read.
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();

        let mut call = self.api.call(parts.method, path)?;
        if !body.is_empty() {
            call = call.header(header::CONTENT_TYPE, JSON);
            call.body = Some(body);
        }
        call.is_valid_body = rules.is_valid_body;
        call.deadline = rules.deadline;
        call.until = rules.until;

        let token = self.auth.token(owner).await.map_err(NoReply::Auth)?;
        let reply = self.api.send(call.clone().bearer(&token)?).await?;
        // A token may expire while its request waits for the rate limiter.
        let mut may_have_been_applied = reply.may_have_been_applied;
        let reply = match reply.status == StatusCode::UNAUTHORIZED && self.auth.forget(owner, &token).await {
            true => {
                let token = self.auth.token(owner).await.map_err(NoReply::Auth)?;
                self.api.send(call.bearer(&token)?).await?
            }
            false => reply,
        };
        may_have_been_applied |= reply.may_have_been_applied;

        let mut response = Response::new(Full::new(Bytes::copy_from_slice(reply.body())));
        *response.status_mut() = reply.status;
        response.extensions_mut().insert(ReplyDetails { date: reply.date, may_have_been_applied });
        *response.headers_mut() = reply.headers;
        Ok(response)
    }
}
