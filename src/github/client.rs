//! The one way to call GitHub: signs a request, sends it, and reads its reply or its
//! pages.

use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::{Error, ErrorKind, Refusal, Result, SignedWith, Subject};
use super::transport::Transport;
use crate::http::{Call, Reply};

/// Repositories per page: their descriptions are long, and a page must stay below the
/// limit for a body.
const PAGE: usize = 50;
/// More pages than an organization of 100 000 repositories has.
const MOST_PAGES: usize = 2000;

/// Where the tokens of requests come from.
pub(super) trait Credentials {
    /// The token for requests about a subject.
    async fn token(&self, subject: &Subject<'_>) -> Result<SecretString>;

    /// Drops a token that GitHub rejected; returns whether there can be another.
    async fn forget(&self, _subject: &Subject<'_>, _token: &SecretString) -> bool {
        false
    }

    /// Called with the headers of every reply, which tell about the credential.
    fn observe(&self, _headers: &HeaderMap) {}

    /// The kind of these tokens, for errors.
    fn signed_with(&self) -> SignedWith;
}

/// One token for all requests.
#[derive(Debug, Clone)]
pub(crate) struct BearerToken {
    pub(crate) token: SecretString,
    pub(crate) signed_with: SignedWith,
}

impl Credentials for BearerToken {
    async fn token(&self, _: &Subject<'_>) -> Result<SecretString> {
        Ok(self.token.clone())
    }

    fn signed_with(&self) -> SignedWith {
        self.signed_with
    }
}

/// A client with one source of tokens.
pub(super) struct Client<C> {
    pub(super) transport: Arc<Transport>,
    pub(super) credentials: C,
}

impl<C: Credentials> Client<C> {
    pub(super) fn call(&self, method: Method, path: &str) -> Call {
        self.transport.call(method, path)
    }

    /// Signs and sends a request. A failure status is no error here: see
    /// [`Self::success`].
    pub(super) async fn send(&self, subject: &Subject<'_>, call: Call) -> Result<Reply> {
        let token = self.credentials.token(subject).await?;
        let first = self.send_with(&token, subject, call.clone()).await?;
        if first.status != StatusCode::UNAUTHORIZED || !self.credentials.forget(subject, &token).await {
            return Ok(first);
        }
        // The token may have expired while its request waited for the rate limiter.
        let token = self.credentials.token(subject).await?;
        let mut reply = self.send_with(&token, subject, call).await?;
        reply.may_have_been_applied |= first.may_have_been_applied;
        Ok(reply)
    }

    async fn send_with(&self, token: &SecretString, subject: &Subject<'_>, call: Call) -> Result<Reply> {
        let call = call.bearer(token).map_err(|error| Error::of_http(subject, &error))?;
        let reply = self.transport.send(subject, call).await?;
        self.credentials.observe(&reply.headers);
        Ok(reply)
    }

    /// # Errors
    /// The reason, if a reply refuses the request.
    pub(super) fn success(&self, subject: &Subject<'_>, reply: &Reply) -> Result<()> {
        match reply.status.is_success() {
            true => Ok(()),
            false => Err(Error::refused(subject, &self.refusal(reply))),
        }
    }

    pub(super) fn refusal<'r>(&self, reply: &'r Reply) -> Refusal<'r> {
        Refusal { reply, signed_with: self.credentials.signed_with() }
    }

    /// Reads what a request was answered with.
    pub(super) fn read<T: DeserializeOwned>(&self, subject: &Subject<'_>, reply: &Reply) -> Result<T> {
        self.success(subject, reply)?;
        reply.json().map_err(|_| Error::unreadable(subject))
    }

    /// Sends a request that must be accepted.
    pub(super) async fn perform(&self, subject: &Subject<'_>, call: Call) -> Result<()> {
        let reply = self.send(subject, call).await?;
        self.success(subject, &reply)
    }

    /// Sends a request and reads its reply.
    pub(super) async fn fetch<T: DeserializeOwned>(&self, subject: &Subject<'_>, call: Call) -> Result<T> {
        let reply = self.send(subject, call).await?;
        self.read(subject, &reply)
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, subject: &Subject<'_>, path: &str) -> Result<T> {
        self.fetch(subject, self.call(Method::GET, path)).await
    }

    /// All pages of a list of repositories, and how many GitHub says there are.
    pub(super) async fn pages<T: DeserializeOwned>(
        &self,
        subject: &Subject<'_>,
        path: &str,
    ) -> Result<(Vec<T>, Option<usize>)> {
        let mut items = Vec::new();
        for number in 1..=MOST_PAGES {
            let separator = if path.contains('?') { '&' } else { '?' };
            let path = format!("{path}{separator}per_page={PAGE}&page={number}");
            let (page, total) = match self.get(subject, &path).await? {
                Page::Bare(page) => (page, None),
                Page::Counted { total_count, repositories } => (repositories, total_count),
            };
            let is_short = page.len() < PAGE;
            items.extend(page);
            if is_short || total == Some(items.len()) {
                return Ok((items, total));
            }
        }
        Err(Error::new(ErrorKind::Unreadable, subject, "the list does not end"))
    }
}

/// A page is a bare list, or one with a count beside it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Page<T> {
    Bare(Vec<T>),
    Counted { total_count: Option<usize>, repositories: Vec<T> },
}
