//! The HTTP side of a provider: addresses, and the mapping of replies to errors.
//!
//! An error quotes the provider only where it refused a request; the body of a reply
//! that may contain a token's value is never quoted.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, Method, StatusCode, header};
use secrecy::SecretString;
use serde::de::IgnoredAny;
use serde_json::Value;
use url::Url;

use super::{Error, ErrorKind, Verification};
use crate::http::retry::{Repetitions, requested_wait};
use crate::http::{Announce, Call, Http, HttpError, Peer, PeerPolicy, Reply, Values, json};

/// How replies of providers are treated: no redirects; the ids are for the log alone.
pub(super) static POLICY: PeerPolicy =
    PeerPolicy { request_ids: &["x-axiom-trace-id", "x-request-id"], ..PeerPolicy::STRICT };

/// The API of one provider: its endpoint and base URL.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    endpoint: Endpoint,
    base: Url,
}

/// The HTTP client, and whose clock its replies set.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(super) http: Arc<Http>,
    pub(super) peer: Peer,
    /// Called with every token value that a reply contains.
    pub(super) announce: Announce,
    /// The fields that may contain one.
    pub(super) value_fields: Arc<[String]>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// One request to a provider.
pub(super) struct ProviderRequest<'a> {
    /// Path segments below the API's base; encoded when they are sent.
    pub(super) path: Vec<String>,
    /// Query parameters.
    pub(super) query: Vec<(String, String)>,
    /// Credential and whatever else the provider wants.
    pub(super) headers: HeaderMap,
    /// What the credential must be allowed to do, for the error that says it is not.
    pub(super) needs: &'a str,
}

impl Connection {
    /// A connection to `url` if the user gave one, else to the public `api`, whose path is
    /// added to a URL that does not end in it.
    pub(super) fn new(endpoint: Endpoint, url: Option<&Url>, api: Option<&Url>) -> Result<Self, Error> {
        let given = url.or(api).ok_or_else(|| {
            Error::invalid("this provider has no public address: `provider_url` must say where it is")
        })?;
        let mut base = given.clone();
        let path = api.map_or("", |api| api.path().trim_end_matches('/'));
        let own = base.path().trim_end_matches('/').to_owned();
        let whole = if own.ends_with(path) { own } else { format!("{own}{path}") };
        base.set_path(&whole);
        Ok(Self { endpoint, base })
    }

    /// The address that every request is below.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// Registers a value that no reply holds as it is.
    pub(super) fn announce(&self, value: &SecretString) {
        (self.endpoint.announce)(value);
    }

    /// The waits between attempts of something that is repeated by hand.
    pub(super) fn repetitions(&self) -> Repetitions {
        self.endpoint.http.retry_policy().repetitions()
    }

    /// Reads. Repeated as the retry policy allows.
    pub(super) async fn get(&self, request: ProviderRequest<'_>) -> Result<Reply, Error> {
        self.repeatable(Method::GET, request, None).await
    }

    /// Reads an address that the provider named, on the same origin.
    pub(super) async fn get_url(&self, url: Url, request: ProviderRequest<'_>) -> Result<Reply, Error> {
        let call = self.call_to(url, Method::GET, request.headers).idempotent();
        self.send(Call { is_valid_body: json, ..call }, request.needs).await
    }

    /// Reads, or changes what another attempt would change to the same.
    pub(super) async fn repeatable(
        &self,
        method: Method,
        request: ProviderRequest<'_>,
        body: Option<&Value>,
    ) -> Result<Reply, Error> {
        let needs = request.needs;
        let call = with_body(self.call(method, request)?.idempotent(), body);
        self.send(Call { is_valid_body: json, ..call }, needs).await
    }

    /// Reads, whatever the answer is.
    pub(super) async fn any(&self, request: ProviderRequest<'_>) -> Result<Reply, Error> {
        let call = self.call(Method::GET, request)?.idempotent();
        let call = Call { is_valid_body: json, ..call };
        self.endpoint.http.send(call).await.map_err(|error| unsent(&error))
    }

    /// Mints: sent exactly once. An error's [`ErrorKind`] tells whether the request may
    /// have been processed.
    pub(super) async fn mint(
        &self,
        method: Method,
        request: ProviderRequest<'_>,
        body: &Value,
        done: &[u16],
    ) -> Result<Value, Error> {
        let needs = request.needs;
        let reply = self.send(with_body(self.call(method, request)?, Some(body)), needs).await?;
        if !done.contains(&reply.status.as_u16()) {
            return Err(Error::unexpected(reply.status.as_u16()));
        }
        reply.json().map_err(|error| unsent(&error))
    }

    /// Disables or deletes a token. Sent once, because the token must be read again
    /// before a repetition.
    pub(super) async fn once(
        &self,
        method: Method,
        request: ProviderRequest<'_>,
        body: Option<&Value>,
    ) -> Result<Reply, Error> {
        let needs = request.needs;
        let mut call = with_body(self.call(method, request)?, body);
        // Not repeated even if the connection fails.
        call.deadline = Some(Instant::now());
        self.send(call, needs).await
    }

    /// Verifies that `headers` may GET a path on the provider's own origin. A success
    /// reply that is not JSON may come from a proxy: it verifies nothing.
    pub(super) async fn verify(&self, path: &str, headers: HeaderMap) -> Result<Verification, Error> {
        let url = self.base.join(path).ok().filter(|url| url.origin() == self.base.origin());
        let url = url.ok_or_else(|| Error::invalid("`verify` is no path on the provider's origin"))?;
        let mut headers = headers;
        headers.remove(header::ACCEPT);
        let call = self.call_to(url, Method::GET, headers).idempotent();
        match self.send(call, "what `verify` names").await {
            Ok(reply) if json(reply.status, reply.body()) => Ok(Verification::Verified),
            Ok(_) => Ok(Verification::Unverified),
            Err(error) if error.kind.is_refusal() => Ok(Verification::Rejected),
            Err(error) => Err(error),
        }
    }

    fn call(&self, method: Method, request: ProviderRequest<'_>) -> Result<Call, Error> {
        let mut url = self.base.clone();
        // Dot segments would be resolved away, and the request with them. `Url` drops
        // tabs and line breaks, which would make one id of another.
        let is_unsafe =
            |segment: &str| matches!(segment, "" | "." | "..") || segment.contains(char::is_control);
        if request.path.iter().any(|segment| is_unsafe(segment)) {
            // Not a refusal: that could mean that there is no such token.
            let message = "the id of a token cannot be part of an address, so nothing was sent".to_owned();
            return Err(Error { kind: ErrorKind::Unreadable, message, retry_after: None });
        }
        url.path_segments_mut()
            .map_err(|()| Error::invalid("the provider's address is no base for paths"))?
            .pop_if_empty()
            .extend(&request.path);
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        Ok(self.call_to(url, method, request.headers))
    }

    /// Any reply may contain a token's value.
    fn call_to(&self, url: Url, method: Method, headers: HeaderMap) -> Call {
        let Endpoint { peer, announce, value_fields, .. } = &self.endpoint;
        let mut call = Call::new(*peer, method, url);
        call.headers = headers;
        call.values = Some(Values { fields: Arc::clone(value_fields), announce: Arc::clone(announce) });
        call
    }

    async fn send(&self, call: Call, needs: &str) -> Result<Reply, Error> {
        let what = format!("{} {}", call.method, call.url.path());
        let reply = self.endpoint.http.send(call).await.map_err(|error| unsent(&error))?;
        if reply.status.is_success() { Ok(reply) } else { Err(explain(&reply, needs).to(&what)) }
    }

    /// Method and path of a request, for errors.
    pub(super) fn described(&self, method: &Method, path: &[String]) -> String {
        format!("{method} {}/{}", self.base.path().trim_end_matches('/'), path.join("/"))
    }
}

/// The call with a JSON body, in a media type that the file may have chosen.
fn with_body(call: Call, body: Option<&Value>) -> Call {
    let Some(body) = body else { return call };
    let own = call.headers.get(header::CONTENT_TYPE).cloned();
    let call = call.json(body);
    match own {
        Some(own) => call.header(header::CONTENT_TYPE, own),
        None => call,
    }
}

fn unsent(error: &HttpError) -> Error {
    let kind = match error {
        HttpError::Garbled { .. } | HttpError::TooLarge { .. } | HttpError::Redirect { .. } => {
            ErrorKind::Unreadable
        }
        HttpError::Credential => ErrorKind::Unauthenticated,
        HttpError::Insecure { .. } | HttpError::Setup { .. } => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    };
    Error { kind, message: error.to_string(), retry_after: None }
}

/// Maps a failure reply to an error.
pub(super) fn explain(reply: &Reply, needs: &str) -> Error {
    let kind = match reply.status {
        StatusCode::UNAUTHORIZED => ErrorKind::Unauthenticated,
        StatusCode::FORBIDDEN => ErrorKind::Forbidden,
        StatusCode::NOT_FOUND | StatusCode::GONE => ErrorKind::NotFound,
        StatusCode::CONFLICT => ErrorKind::Conflict,
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::RateLimited,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => ErrorKind::Unavailable,
        status if status.is_client_error() => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    };
    let status = reply.status.as_u16();
    let mut message = match kind {
        ErrorKind::Unauthenticated => format!("the provider rejected the credential (HTTP {status})"),
        ErrorKind::Forbidden => {
            format!("the credential is not permitted to do this; it needs {needs} (HTTP {status})")
        }
        ErrorKind::NotFound => {
            format!("not found, or not visible to the credential (HTTP {status})")
        }
        ErrorKind::Conflict => format!("conflict with something that exists (HTTP {status})"),
        ErrorKind::RateLimited => format!("the provider's rate limit is used up (HTTP {status})"),
        ErrorKind::Unavailable => format!("provider server error (HTTP {status})"),
        ErrorKind::Invalid | ErrorKind::Unreadable => {
            format!("the provider refused the request (HTTP {status})")
        }
    };
    // A provider's API explains itself in JSON. A proxy's page does not mean that a
    // token is gone, or that a request was refused.
    if kind.is_about_the_token() && reply.json::<IgnoredAny>().is_err() {
        let message = format!(
            "something other than the provider's API seems to have answered (HTTP {status}, and the body is not JSON)"
        );
        return Error { kind: ErrorKind::Unreadable, message, retry_after: requested_wait(reply) };
    }
    // Below 500 nothing was minted, so the body holds no value of a new token.
    if reply.status.is_client_error()
        && let Some(said) = explanation(&reply.json().unwrap_or_default())
    {
        message = format!("{message}: {said}");
    }
    Error { kind, message, retry_after: requested_wait(reply) }
}

/// What the provider said, in any of the forms that providers use: a `message`, a
/// ProblemDetails (RFC 9457, with or without `errors` by field), a list of `errors` (as
/// JSON:API has them), or a list of validation errors.
fn explanation(body: &Value) -> Option<String> {
    let text = |field: &str| body.get(field).and_then(Value::as_str);
    if let Some(problems) = body.get("detail").and_then(Value::as_array) {
        let said = problems.iter().filter_map(|problem| {
            let place = problem.get("loc").and_then(Value::as_array).into_iter().flatten();
            let place: Vec<&str> = place.filter_map(Value::as_str).collect();
            Some(format!("{}: {}", place.join("."), problem.get("msg")?.as_str()?))
        });
        return Some(said.take(3).collect::<Vec<_>>().join("; "));
    }
    if let Some(problems) = body.get("errors").and_then(Value::as_object) {
        let said = problems.iter().filter_map(|(field, problems)| {
            let problems = problems.as_array()?.iter().filter_map(Value::as_str);
            Some(format!("{field}: {}", problems.collect::<Vec<_>>().join(" ")))
        });
        return Some(said.take(3).collect::<Vec<_>>().join("; ")).filter(|said| !said.is_empty());
    }
    if let Some(problems) = body.get("errors").and_then(Value::as_array) {
        let fields = ["message", "detail", "title"];
        let of =
            |problem: &Value| fields.iter().find_map(|field| problem.get(field)?.as_str()).map(str::to_owned);
        let said =
            problems.iter().filter_map(|problem| problem.as_str().map(str::to_owned).or_else(|| of(problem)));
        return Some(said.take(3).collect::<Vec<_>>().join("; ")).filter(|said| !said.is_empty());
    }
    let said = text("message").or_else(|| text("detail")).or_else(|| text("title")).or_else(|| text("error"));
    said.filter(|said| !said.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
