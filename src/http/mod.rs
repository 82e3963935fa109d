//! The one HTTP client, for every service.
//!
//! All requests share time limits, bounded bodies, retries ([`retry`]), redirects, dates
//! for the [`Clock`], and one log line each. What differs between services is in the
//! [`PeerPolicy`] that a request brings along. Callers interpret the status.

mod body;
mod call;
mod client;
mod error;
mod page;
mod peer;
mod proxy;
mod redirect;
pub(crate) mod retry;
#[cfg(test)]
mod tests;
mod trace;
mod values;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use backon::Retryable as _;
use http::{HeaderMap, header};
use url::Url;
use zeroize::Zeroizing;

pub(crate) use call::number;
pub(crate) use call::{Call, Permit, RateLimiter, Reply, anything, json};
pub use error::HttpError;
pub(crate) use page::text_of_page;
pub(crate) use peer::{Peer, PeerPolicy};
pub(crate) use retry::{Retry, RetryPolicy};
pub(crate) use values::{Announce, Values};

use crate::clock::Clock;
use crate::progress::{Progress, Waiting};
use crate::redact::Redactor;
use proxy::Proxies;
use retry::Failed;

/// How the client behaves, for the whole run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpSettings {
    /// The longest that one attempt may take, from connecting to the body's last byte.
    pub request_timeout: Duration,
    /// When and how often an attempt is repeated.
    pub retry: RetryPolicy,
}

impl HttpSettings {
    /// Settings for a request timeout; the waits between attempts follow from it.
    pub(crate) fn new(request_timeout: Duration) -> Self {
        Self { request_timeout, retry: RetryPolicy::for_timeout(request_timeout) }
    }
}

/// The client; one per run.
#[derive(Debug)]
pub(crate) struct Http {
    settings: HttpSettings,
    clock: Arc<Clock>,
    progress: Progress,
    /// Origins that have answered.
    reached: Mutex<HashSet<String>>,
    connections: trace::Connections,
    /// For the world: TLS with the system's roots, proxies as the environment says.
    /// Made when first needed, because reading the roots takes a while.
    public: OnceLock<Result<(reqwest::Client, Proxies), HttpError>>,
    /// For plain HTTP to this machine: no roots needed, never through a proxy.
    loopback: OnceLock<Result<reqwest::Client, HttpError>>,
}

impl Http {
    /// A client that sets `clock` from every reply. Sends no request.
    pub(crate) fn new(settings: HttpSettings, clock: Arc<Clock>) -> Self {
        Self {
            settings,
            clock,
            progress: Progress::default(),
            reached: Mutex::default(),
            connections: trace::Connections::default(),
            public: OnceLock::new(),
            loopback: OnceLock::new(),
        }
    }

    /// The same, which tells what it waits for.
    #[must_use]
    pub(crate) fn with_progress(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }

    /// The clock that this client's replies set.
    pub(crate) fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// When requests are sent again.
    pub(crate) fn retry_policy(&self) -> RetryPolicy {
        self.settings.retry
    }

    /// Sends a request, again where that is safe and may help, and returns the
    /// last reply, whatever its status.
    ///
    /// # Errors
    /// When no complete reply arrived. [`HttpError::certainly_not_sent`] tells whether
    /// the server can have seen the request.
    pub(crate) async fn send(&self, call: Call) -> Result<Reply, HttpError> {
        let began = OnceLock::new();
        let attempts = AtomicU32::new(0);
        let may_have_been_applied = AtomicBool::new(false);
        let policy = &self.settings.retry;
        let waiting = Mutex::new(None);
        let shown = |wait| *waiting.lock().unwrap_or_else(PoisonError::into_inner) = wait;
        let attempt = || {
            shown(None);
            self.attempt(&call, attempts.fetch_add(1, Ordering::Relaxed) + 1, &began)
        };
        let outcome = attempt
            .retry(policy.backoff(call.deadline.is_some()))
            .adjust(|failed, backoff| {
                let began = *began.get()?;
                if attempts.load(Ordering::Relaxed) as usize >= self.attempts(&call, failed)
                    || self.is_hopeless(&call, failed) && began.elapsed() >= policy.max_wait / 3
                {
                    return None;
                }
                let end = call.deadline.unwrap_or(began + policy.budget);
                let left = end.saturating_duration_since(Instant::now());
                retry::wait(policy, call.peer.policy, call.retry, failed, backoff?, left)
            })
            .notify(|failed, wait| {
                may_have_been_applied.fetch_or(failed.may_have_been_processed(), Ordering::Relaxed);
                shown(Some(self.wait_to_retry(&call, failed, attempts.load(Ordering::Relaxed) + 1, wait)));
            })
            .await;
        let reply = match outcome {
            Ok(reply) => reply,
            Err(Failed::Reply(reply)) => *reply,
            Err(Failed::Error(error)) => return Err(error),
        };
        Ok(Reply { may_have_been_applied: may_have_been_applied.into_inner(), ..reply })
    }

    /// Logs and shows the wait before an attempt.
    fn wait_to_retry(&self, call: &Call, failed: &Failed, attempt: u32, wait: Duration) -> Waiting {
        let host = call.url.host_str().unwrap_or_default();
        let (path, wait_ms) = (shown_path(&call.url), wait.as_millis());
        let failure = format!("{} {}", call.peer.policy.name.unwrap_or(host), failed.brief(call.peer.policy));
        tracing::debug!(method = %call.method, host, path, wait_ms, attempt, "will try again: {failure}");
        self.progress.wait_to_retry(host, failure, attempt, self.attempts(call, failed), wait)
    }

    /// The attempts that a call may take after such a failure.
    fn attempts(&self, call: &Call, failed: &Failed) -> usize {
        match self.is_hopeless(call, failed) {
            true => retry::ATTEMPTS_TO_REACH,
            false => RetryPolicy::attempts(call.deadline.is_some()),
        }
    }

    /// Whether a user waits for a host that nothing in this run has ever reached.
    fn is_hopeless(&self, call: &Call, failed: &Failed) -> bool {
        self.settings.retry.is_impatient
            && failed.is_unreachable()
            && !self.reached.lock().unwrap_or_else(PoisonError::into_inner).contains(&origin(&call.url))
    }

    /// One attempt: wait for the rate limiter, send, follow redirects, check the reply.
    async fn attempt(&self, call: &Call, number: u32, began: &OnceLock<Instant>) -> Result<Reply, Failed> {
        let mut url = call.url.clone();
        for _ in 0..=redirect::MOST {
            let permit = self.acquire(call).await;
            // The wait for the rate limiter does not count towards the timeout.
            let _ = began.set(Instant::now());
            let reply = self.exchange(call, &url, number).await.map_err(Failed::Error)?;
            if let Some(rate_limiter) = &call.rate_limiter {
                rate_limiter.record(&reply);
            }
            drop(permit);
            match redirect::target(call.peer.policy, &call.method, &reply).map_err(Failed::Error)? {
                Some(next) => url = next,
                None => return judge(call, reply),
            }
        }
        Err(Failed::Error(HttpError::Redirect { from: origin(&call.url), to_origin: origin(&url) }))
    }

    async fn acquire(&self, call: &Call) -> Option<Permit> {
        let asked = Instant::now();
        let permit = call.rate_limiter.as_ref()?.acquire(&call.method).await;
        let waited = asked.elapsed().as_millis();
        let host = call.url.host_str().unwrap_or_default();
        tracing::trace!(method = %call.method, host, path = shown_path(&call.url), waited_ms = waited, "may be sent");
        Some(permit)
    }

    /// One request and its reply, body included.
    async fn exchange(&self, call: &Call, url: &Url, attempt: u32) -> Result<Reply, HttpError> {
        if call.until.is_some_and(|until| self.clock.latest().is_none_or(|now| now >= until)) {
            return Err(HttpError::Late);
        }
        let client = self.client_for(url)?;
        let mut request = client
            .request(call.method.clone(), url.clone())
            .headers(call.headers.clone())
            .timeout(self.time_limit(call));
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        let began = Instant::now();
        let host = url.host_str().unwrap_or_default();
        let bytes = call.body.as_ref().map_or(0, bytes::Bytes::len);
        let within = self.time_limit(call).as_millis();
        tracing::trace!(method = %call.method, host, path = shown_path(url), bytes, within_ms = within, attempt, "sending");
        let waiting = self.progress.wait_for_answer(call.peer.policy.name.unwrap_or(host));
        let outcome = self.receive(call, url, request).await;
        drop(waiting);
        let took = began.elapsed().as_millis();
        let (method, path) = (&call.method, shown_path(url));
        match &outcome {
            Ok(reply) => {
                let status = reply.status.as_u16();
                let id = request_id(&reply.headers);
                tracing::debug!(%method, host, path, status, took_ms = took, attempt, id, "request");
                tracing::trace!(%method, host, path, status, "headers: {}", trace::headers(&reply.headers));
            }
            Err(error) => {
                tracing::debug!(%method, host, path, took_ms = took, attempt, "request failed: {error}")
            }
        }
        outcome
    }

    async fn receive(
        &self,
        call: &Call,
        url: &Url,
        request: reqwest::RequestBuilder,
    ) -> Result<Reply, HttpError> {
        let mut response = request.send().await.map_err(|error| {
            let public = self.public.get().and_then(|made| made.as_ref().ok());
            let proxy = public.and_then(|(_, proxies)| proxies.on_the_way_to(url));
            HttpError::of(url, proxy, &error)
        })?;
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).insert(origin(url));
        let host = url.host_str().unwrap_or_default();
        tracing::trace!(host, path = shown_path(url), "{}", self.connections.describe(&response));
        let date = call::date(response.headers());
        if let Some(date) = date {
            self.clock.observe(call.peer.clock, date);
        }
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let mut body = Zeroizing::new(Vec::new());
        let read = body::read(url, response, call.longest_body, &mut body).await;
        // Before any log line or error, even one about an incomplete body, can contain
        // it.
        if let Some(values) = &call.values {
            values.announce_in(&body);
        }
        read?;
        Ok(Reply { status, headers, date, may_have_been_applied: false, url: url.clone(), body })
    }

    /// A mint may always use its whole timeout: ending it early loses the reply.
    fn time_limit(&self, call: &Call) -> Duration {
        let most = self.settings.request_timeout;
        match (call.retry, call.deadline) {
            (Retry::Idempotent, Some(deadline)) => {
                most.min(deadline.saturating_duration_since(Instant::now()))
            }
            (Retry::Idempotent | Retry::Never | Retry::AfterLimit, _) => most,
        }
    }

    fn client_for(&self, url: &Url) -> Result<&reqwest::Client, HttpError> {
        match (url.scheme(), is_loopback(url)) {
            ("https", _) => {
                let make = || Ok((client::public()?, Proxies::of_environment()?));
                self.public.get_or_init(make).as_ref().map(|(client, _)| client).map_err(Clone::clone)
            }
            ("http", true) => self.loopback.get_or_init(client::loopback).as_ref().map_err(Clone::clone),
            _ => Err(HttpError::Insecure { origin: origin(url) }),
        }
    }
}

/// Separates replies that are used from those that lead to another attempt.
fn judge(call: &Call, reply: Reply) -> Result<Reply, Failed> {
    if !reply.status.is_success() {
        return Err(Failed::Reply(Box::new(reply)));
    }
    if !(call.is_valid_body)(reply.status, reply.body()) {
        let is_page = reply
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        let said = match call.peer.policy.quotes_pages && is_page {
            true => format!(": \"{}\"", Redactor::new().line(&text_of_page(reply.body()))),
            false => String::new(),
        };
        let (origin, status) = (origin(&reply.url), reply.status);
        return Err(Failed::Error(HttpError::Garbled { origin, status, said }));
    }
    Ok(reply)
}

/// Whether the host is a literal loopback address, the only one to which plain
/// HTTP is spoken.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(_)) | None => false,
    }
}

/// Scheme, host and port: all of a URL that messages show.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The path without its query, short. A parsed URL's path is percent-encoded
/// ASCII, so no control character, space or non-ASCII letter is in it.
fn shown_path(url: &Url) -> &str {
    let path = url.path();
    path.get(..path.len().min(200)).unwrap_or(path)
}

/// The headers with the request's id for a service's support; the first one that is there counts.
const REQUEST_IDS: [&str; 3] = ["x-github-request-id", "x-axiom-trace-id", "x-request-id"];

/// What a service's support asks for. One with other than harmless characters is
/// left out: a secret without some of its characters would not be recognised.
fn request_id(headers: &HeaderMap) -> &str {
    let is_harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    REQUEST_IDS
        .iter()
        .find_map(|name| headers.get(*name)?.to_str().ok())
        .filter(|id| id.len() <= 128 && id.chars().all(is_harmless))
        .unwrap_or_default()
}

/// The content type of everything that is sent.
pub(crate) const JSON: header::HeaderValue = header::HeaderValue::from_static("application/json");
