//! The HTTP side of a provider: addresses, and the mapping of replies to errors.
//!
//! An error quotes the provider only where it refused a request; the body of a reply
//! that may contain a token's value is never quoted.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, Method, StatusCode, header};
use serde::de::IgnoredAny;
use serde_json::Value;
use url::Url;

use super::{Error, ErrorKind, Result, Verification};
use crate::clock::ClockId;
use crate::http::retry::requested_wait;
use crate::http::{Call, Http, HttpError, Peer, PeerPolicy, Reply, Values, json};

/// The API of one provider.
pub(super) struct Connection {
    pub(super) http: Arc<Http>,
    peer: Peer,
    /// Any reply may contain a token's value.
    pub(super) values: Values,
    /// The address that every request is below.
    pub(super) base: Url,
}

impl Connection {
    /// A connection to `url` if the user gave one, else to the public `api`, whose path is
    /// added to a URL that does not end in it. Its replies set `clock`.
    pub(super) fn new(
        http: Arc<Http>,
        clock: ClockId,
        values: Values,
        url: Option<&Url>,
        api: Option<&Url>,
    ) -> Result<Self> {
        let given = url.or(api).ok_or_else(|| {
            Error::invalid("this provider has no public address: `provider_url` must say where it is")
        })?;
        let mut base = given.clone();
        let path = api.map_or("", |api| api.path().trim_end_matches('/'));
        let own = base.path().trim_end_matches('/').to_owned();
        let whole = if own.ends_with(path) { own } else { format!("{own}{path}") };
        base.set_path(&whole);
        Ok(Self { http, peer: Peer { clock, policy: &PeerPolicy::STRICT }, values, base })
    }

    /// Reads, or changes what another attempt would change to the same. Repeated as the
    /// retry policy allows. `needs`: what the credential must be allowed to do, for the error
    /// that says it is not.
    pub(super) async fn repeatable(&self, call: Call, needs: &str) -> Result<Reply> {
        self.send(Call { is_valid_body: json, ..call.idempotent() }, needs).await
    }

    /// The same, whatever the answer is.
    pub(super) async fn any(&self, call: Call) -> Result<Reply> {
        let call = Call { is_valid_body: json, ..call.idempotent() };
        self.http.send(call).await.map_err(|error| unsent(&error))
    }

    /// Mints: sent exactly once. An error's [`ErrorKind`] tells whether the request may
    /// have been processed.
    pub(super) async fn mint(&self, call: Call, needs: &str, done: &[u16]) -> Result<Value> {
        let reply = self.send(call, needs).await?;
        if !done.contains(&reply.status.as_u16()) {
            return Err(Error::unexpected(reply.status.as_u16()));
        }
        reply.json().map_err(|error| unsent(&error))
    }

    /// Disables or deletes a token. Sent once, because the token must be read again
    /// before a repetition.
    pub(super) async fn once(&self, call: Call, needs: &str) -> Result<Reply> {
        // Not repeated even if the connection fails.
        self.send(Call { deadline: Some(Instant::now()), ..call }, needs).await
    }

    /// Verifies that `headers` may GET a path on the provider's own origin. A success
    /// reply that is not JSON may come from a proxy: it verifies nothing.
    pub(super) async fn verify(&self, path: &str, mut headers: HeaderMap) -> Result<Verification> {
        let url = self.base.join(path).ok().filter(|url| url.origin() == self.base.origin());
        let url = url.ok_or_else(|| Error::invalid("`verify` is no path on the provider's origin"))?;
        headers.remove(header::ACCEPT);
        let call = self.call(Method::GET, url, headers).idempotent();
        match self.send(call, "what `verify` names").await {
            Ok(reply) if json(reply.status, reply.body()) => Ok(Verification::Verified),
            Ok(_) => Ok(Verification::Unverified),
            Err(error) if error.kind.is_refusal() => Ok(Verification::Rejected),
            Err(error) => Err(error),
        }
    }

    /// The address of a path below the base; its segments are encoded here.
    pub(super) fn url(&self, path: &[String], query: &[(String, String)]) -> Result<Url> {
        let mut url = self.base.clone();
        // Dot segments would be resolved away, and the request with them. `Url` drops
        // tabs and line breaks, which would make one id of another.
        let is_unsafe =
            |segment: &String| matches!(&**segment, "" | "." | "..") || segment.contains(char::is_control);
        if path.iter().any(is_unsafe) {
            // Not a refusal: that could mean that there is no such token.
            let message = "the id of a token cannot be part of an address, so nothing was sent";
            return Err(Error::new(ErrorKind::Unreadable, message));
        }
        url.path_segments_mut()
            .map_err(|()| Error::invalid("the provider's address is no base for paths"))?
            .pop_if_empty()
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    pub(super) fn call(&self, method: Method, url: Url, headers: HeaderMap) -> Call {
        Call { headers, values: Some(self.values.clone()), ..Call::new(self.peer, method, url) }
    }

    async fn send(&self, call: Call, needs: &str) -> Result<Reply> {
        let what = described(&call);
        let reply = self.http.send(call).await.map_err(|error| unsent(&error))?;
        if reply.status.is_success() { Ok(reply) } else { Err(explain(&reply, needs).to(&what)) }
    }
}

/// Method and path of a request, for errors.
pub(super) fn described(call: &Call) -> String {
    format!("{} {}", call.method, call.url.path())
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
    Error::new(kind, error.to_string())
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
    let (status, retry_after) = (reply.status.as_u16(), requested_wait(reply));
    // A provider's API explains itself in JSON. A proxy's page does not mean that a
    // token is gone, or that a request was refused.
    if kind.is_about_the_token() && reply.json::<IgnoredAny>().is_err() {
        let message = format!(
            "something other than the provider's API seems to have answered (HTTP {status}, and the body is not JSON)"
        );
        return Error { kind: ErrorKind::Unreadable, message, retry_after };
    }
    let not_permitted = format!("the credential is not permitted to do this; it needs {needs}");
    let problem = match kind {
        ErrorKind::Unauthenticated => "the provider rejected the credential",
        ErrorKind::Forbidden => &not_permitted,
        ErrorKind::NotFound => "not found, or not visible to the credential",
        ErrorKind::Conflict => "conflict with something that exists",
        ErrorKind::RateLimited => "the provider's rate limit is used up",
        ErrorKind::Unavailable => "provider server error",
        ErrorKind::Invalid | ErrorKind::Unreadable => "the provider refused the request",
    };
    // Below 500 nothing was minted, so the body holds no value of a new token.
    let body = reply.status.is_client_error().then(|| reply.json().unwrap_or_default());
    let said = body.and_then(|body| explanation(&body)).map(|said| format!(": {said}")).unwrap_or_default();
    Error { kind, message: format!("{problem} (HTTP {status}){said}"), retry_after }
}

/// What the provider said, in any of the forms that providers use: a `message`, a
/// ProblemDetails (RFC 9457, with or without `errors` by field), a list of `errors` (as
/// JSON:API has them), or a list of validation errors.
fn explanation(body: &Value) -> Option<String> {
    let text = |of: &Value, fields: &[&str]| {
        fields.iter().find_map(|field| of.get(field)?.as_str()).map(str::to_owned)
    };
    let validation = |problem: &Value| {
        let place = problem.get("loc").and_then(Value::as_array).into_iter().flatten();
        let place: Vec<&str> = place.filter_map(Value::as_str).collect();
        Some(format!("{}: {}", place.join("."), problem.get("msg")?.as_str()?))
    };
    let of_field = |(field, problems): (&String, &Value)| {
        let problems = problems.as_array()?.iter().filter_map(Value::as_str);
        Some(format!("{field}: {}", problems.collect::<Vec<_>>().join(" ")))
    };
    let listed = |problem: &Value| {
        problem.as_str().map(str::to_owned).or_else(|| text(problem, &["message", "detail", "title"]))
    };
    let said: Vec<String> = match (body.get("detail"), body.get("errors")) {
        (Some(Value::Array(all)), _) => all.iter().filter_map(validation).take(3).collect(),
        (_, Some(Value::Object(all))) => all.iter().filter_map(of_field).take(3).collect(),
        (_, Some(Value::Array(all))) => all.iter().filter_map(listed).take(3).collect(),
        _ => text(body, &["message", "detail", "title", "error"]).into_iter().collect(),
    };
    Some(said.join("; ")).filter(|said| !said.is_empty())
}

#[cfg(test)]
mod tests;
