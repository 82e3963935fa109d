//! The way from octocrab to the one HTTP client: a relative request becomes a
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
use super::signin::Signin;
use crate::http::{HttpError, JSON, json};

/// Rules for one request, put into its extensions. Without: those of a read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// See [`crate::http::Call::intact`].
    pub(super) intact: fn(StatusCode, &[u8]) -> bool,
    /// See [`crate::http::Call::deadline`].
    pub(super) deadline: Option<Instant>,
    /// See [`crate::http::Call::until`].
    pub(super) until: Option<Timestamp>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { intact: json, deadline: None, until: None }
    }
}

/// In a request's extensions: the user or organization that it is about.
#[derive(Debug, Clone)]
pub(super) struct Owner(pub(super) String);

/// In a response's extensions: what [`crate::http::Reply`] says beyond
/// status, headers and body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances {
    /// The reply's own date.
    pub(super) date: Option<Timestamp>,
    /// See [`crate::http::Reply::doubtful`].
    pub(super) doubtful: bool,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoReply {
    /// No whole one came.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// There is nothing to sign in with.
    #[error(transparent)]
    Signin(Error),
}

/// Sends what octocrab wants sent.
#[derive(Clone)]
pub(super) struct GithubService {
    pub(super) api: Arc<Api>,
    pub(super) signin: Arc<Signin>,
}

impl Service<Request<OctoBody>> for GithubService {
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

impl GithubService {
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
        call.intact = rules.intact;
        call.deadline = rules.deadline;
        call.until = rules.until;

        let token = self.signin.token(owner).await.map_err(NoReply::Signin)?;
        let reply = self.api.send(call.clone().bearer(&token)?).await?;
        // Whoever waits long for its turn may come with a token that has ended.
        let mut doubtful = reply.doubtful;
        let reply = match reply.status == StatusCode::UNAUTHORIZED && self.signin.forget(owner, &token).await
        {
            true => {
                let token = self.signin.token(owner).await.map_err(NoReply::Signin)?;
                self.api.send(call.bearer(&token)?).await?
            }
            false => reply,
        };
        doubtful |= reply.doubtful;

        let mut response = Response::new(Full::new(Bytes::copy_from_slice(reply.body())));
        *response.status_mut() = reply.status;
        response.extensions_mut().insert(Circumstances { date: reply.date, doubtful });
        *response.headers_mut() = reply.headers;
        Ok(response)
    }
}
