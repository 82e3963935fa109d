//! What all providers' calls share: addresses, headers, and the mapping of replies to
//! errors.
//!
//! An error quotes the provider only where it refused a request; the body of a reply
//! that may contain a token's value is never quoted.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value};
use url::Url;
use zeroize::Zeroizing;

use super::{Error, ErrorKind, Provider, Verification};
use crate::http::retry::requested_wait;
use crate::http::{Announce, Call, Http, HttpError, Peer, Reply, Values, json};

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
    pub(super) value_fields: &'static [&'static str],
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("side", &self.peer).finish_non_exhaustive()
    }
}

/// One request to a provider.
pub(super) struct ProviderRequest<'a> {
    /// Path segments below the API's base; encoded when they are sent.
    pub(super) path: &'a [&'a str],
    /// Query parameters.
    pub(super) query: &'a [(&'a str, &'a str)],
    /// Credential and whatever else the provider wants.
    pub(super) headers: HeaderMap,
    /// What the credential must be allowed to do, for the error that says it is not.
    pub(super) needs: &'a str,
}

impl Connection {
    /// A connection to `url` if the user gave one, else to the `public` origin.
    /// `path` is the API's path, added unless the URL ends in it already.
    pub(super) fn new(
        endpoint: Endpoint,
        url: Option<&Url>,
        public: &str,
        path: &str,
    ) -> Result<Self, Error> {
        let mut base = match url {
            Some(url) => url.clone(),
            None => Url::parse(public).map_err(|_| Error::invalid("the provider's address is no URL"))?,
        };
        let given = base.path().trim_end_matches('/').to_owned();
        let whole = if given.ends_with(&format!("/{path}")) { given } else { format!("{given}/{path}") };
        base.set_path(&whole);
        Ok(Self { endpoint, base })
    }

    /// Reads. Repeated as the retry policy allows.
    pub(super) async fn get<T: DeserializeOwned>(&self, request: ProviderRequest<'_>) -> Result<T, Error> {
        let call = self.call(Method::GET, &request)?.idempotent();
        read(&self.send(Call { is_valid_body: json, ..call }, request.needs).await?)
    }

    /// Mints: sent exactly once. Returns the new token's value, and the reply without
    /// it. An error's [`ErrorKind`] tells whether the request may have been processed.
    pub(super) async fn mint(
        &self,
        request: ProviderRequest<'_>,
        body: &Value,
    ) -> Result<(SecretString, Map<String, Value>), Error> {
        let call = self.call(Method::POST, &request)?.json(body);
        self.take_value(read(&self.send(call, request.needs).await?)?)
    }

    /// Takes a token's value out of the reply that minted it. It was announced when
    /// the reply arrived.
    fn take_value(&self, mut raw: Map<String, Value>) -> Result<(SecretString, Map<String, Value>), Error> {
        let values: Vec<Value> =
            self.endpoint.value_fields.iter().filter_map(|field| raw.remove(*field)).collect();
        let value = values.into_iter().find_map(|value| match value {
            Value::String(value) => Some(SecretString::from(value)),
            _ => None,
        });
        value
            .map(|value| (value, raw))
            .ok_or_else(|| Error::unreadable("a mint without the new token's value"))
    }

    /// Changes a token. May be repeated: the same change twice is one change. `None`:
    /// there is no such token.
    pub(super) async fn patch(
        &self,
        request: ProviderRequest<'_>,
        body: &Value,
    ) -> Result<Option<Map<String, Value>>, Error> {
        let call = self.call(Method::PATCH, &request)?.idempotent().json(body);
        match self.send(Call { is_valid_body: json, ..call }, request.needs).await {
            Ok(reply) => read(&reply).map(Some),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes a token, where the provider documents 204 for that. Sent once.
    pub(super) async fn delete(&self, request: ProviderRequest<'_>) -> Result<(), Error> {
        self.end(Method::DELETE, request, |status, _| status == StatusCode::NO_CONTENT).await
    }

    /// Disables or deletes a token. Sent once, because the token must be read again
    /// before a repetition. Only an answer that `is_documented` accepts counts: a
    /// proxy may answer 200 to anything.
    pub(super) async fn end(
        &self,
        method: Method,
        request: ProviderRequest<'_>,
        is_documented: impl Fn(StatusCode, &[u8]) -> bool,
    ) -> Result<(), Error> {
        let mut call = self.call(method, &request)?;
        // Not repeated even if the connection fails.
        call.deadline = Some(Instant::now());
        let reply = self.send(call, request.needs).await?;
        if is_documented(reply.status, reply.body()) {
            return Ok(());
        }
        let message = format!(
            "the provider answered {} with an unexpected body; the token may still be valid",
            reply.status.as_u16()
        );
        Err(Error { kind: ErrorKind::Unreadable, message, retry_after: None })
    }

    /// Verifies a new value by reading a token that `is_meant` recognises. A reply
    /// without that token is no evidence: it may come from something else.
    pub(super) async fn identify(
        &self,
        request: ProviderRequest<'_>,
        is_meant: impl Fn(&Map<String, Value>) -> bool,
    ) -> Result<Verification, Error> {
        let shown: Value = self.get(request).await?;
        let is_meant = shown.as_object().is_some_and(is_meant);
        Ok(if is_meant { Verification::Verified } else { Verification::Unverified })
    }

    /// Verifies that `headers` may GET a path on the provider's own origin. A success
    /// reply that is not JSON may come from a proxy: it verifies nothing.
    pub(super) async fn verify(&self, path: &str, headers: HeaderMap) -> Result<Verification, Error> {
        let url = self.base.join(path).ok().filter(|url| url.origin() == self.base.origin());
        let url = url.ok_or_else(|| Error::invalid("`verify` is no path on the provider's origin"))?;
        let mut call = Call::new(self.endpoint.peer, Method::GET, url).idempotent();
        call.headers = headers;
        call.values = Some(self.values());
        match self.send(call, "what `verify` names").await {
            Ok(reply) if json(reply.status, reply.body()) => Ok(Verification::Verified),
            Ok(_) => Ok(Verification::Unverified),
            Err(error) if error.kind.is_refusal() => Ok(Verification::Rejected),
            Err(error) => Err(error),
        }
    }

    fn call(&self, method: Method, request: &ProviderRequest<'_>) -> Result<Call, Error> {
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
            .extend(request.path);
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(request.query);
        }
        let mut call = Call::new(self.endpoint.peer, method, url);
        call.headers = request.headers.clone();
        call.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        call.values = Some(self.values());
        Ok(call)
    }

    /// Any reply may contain a token's value.
    fn values(&self) -> Values {
        Values { fields: self.endpoint.value_fields, announce: Arc::clone(&self.endpoint.announce) }
    }

    async fn send(&self, call: Call, needs: &str) -> Result<Reply, Error> {
        let reply = self.endpoint.http.send(call).await.map_err(|error| unsent(&error))?;
        if reply.status.is_success() { Ok(reply) } else { Err(refusal(&reply, needs)) }
    }
}

/// The most pages that a list of tokens may have.
const MOST_PAGES: usize = 100;

/// A list that comes in pages.
#[derive(Debug)]
pub(super) struct Pages {
    /// What all pages so far held.
    pub(super) items: Vec<Map<String, Value>>,
    /// How many there were.
    pub(super) count: usize,
    id: &'static str,
    ids: HashSet<String>,
}

impl Pages {
    /// No page yet; `id` is the field that tells its items apart.
    pub(super) fn by(id: &'static str) -> Self {
        Self { items: Vec::new(), count: 0, id, ids: HashSet::new() }
    }

    /// Adds a page; returns whether to request another. `more`: whether the service says
    /// that there is one. A page without new items ends the list, and an item that moved
    /// to the next page counts once.
    pub(super) fn add(&mut self, page: Vec<Map<String, Value>>, more: bool) -> Result<bool, Error> {
        self.count += 1;
        if self.count > MOST_PAGES {
            return Err(Error::unreadable("a list of tokens without an end"));
        }
        let known = self.items.len();
        for item in page {
            let id = item.get(self.id).map(Value::to_string).unwrap_or_default();
            if self.ids.insert(id) {
                self.items.push(item);
            }
        }
        Ok(self.items.len() > known && more)
    }
}

/// `Authorization: Bearer …`, never shown by `Debug`.
pub(super) fn bearer(credential: &SecretString) -> Result<HeaderMap, Error> {
    authorization(&Zeroizing::new(format!("Bearer {}", credential.expose_secret())))
}

/// `Authorization` with this value.
pub(super) fn authorization(value: &str) -> Result<HeaderMap, Error> {
    let value = HeaderValue::from_str(value);
    let mut value =
        value.map_err(|_| Error::invalid("the credential holds characters that no header can carry"))?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
}

/// Whether a field of a token grants something, also one that this version has never
/// heard of. Such a field is carried over to the next token. A field that records
/// something (who made the token, when it was used) has another ending.
pub(super) fn grants(field: &str) -> bool {
    let field = field.to_ascii_lowercase();
    ["capabilities", "permissions", "privileges", "scopes"].iter().any(|ending| field.ends_with(ending))
}

/// The fields of a token that grant something.
pub(super) fn granted(raw: &Map<String, Value>) -> Map<String, Value> {
    let granted = raw.iter().filter(|(field, _)| grants(field));
    granted.map(|(field, value)| (field.clone(), value.clone())).collect()
}

/// A creation body without what the published creation schema does not name; `None`
/// if it holds nothing else.
pub(super) fn published(body: &Map<String, Value>, schema: &[&str]) -> Option<Map<String, Value>> {
    let mut published = body.clone();
    published.retain(|field, _| schema.contains(&field.as_str()));
    (published.len() < body.len()).then_some(published)
}

/// Makes sure that a `refused` mint created no token, before it is sent again in another
/// form. `note`: the note of the new token.
///
/// # Errors
/// The refusal, if the provider shows such a token or cannot be asked.
pub(super) async fn made_nothing(
    provider: &dyn Provider,
    credential: &SecretString,
    note: &str,
    refused: Error,
) -> Result<(), Error> {
    match provider.list(credential).await {
        Ok(tokens) if tokens.iter().any(|token| token.note == note) => Err(refused.after_the_fact()),
        Ok(_) => Ok(()),
        Err(_) => Err(refused),
    }
}

/// A time as services write it: RFC 3339, and UTC where there is no offset. The end
/// of the year 9999, which some write for "never", is the last moment that there is.
pub(super) fn timestamp(text: &str) -> Option<Timestamp> {
    let pieces = Pieces::parse(text).ok()?;
    let at = pieces.date().to_datetime(pieces.time().unwrap_or_default());
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
    let end = if at.year() == 9999 { Some(Timestamp::MAX) } else { None };
    offset.to_timestamp(at).ok().or(end)
}

/// Canonical form of privileges: sets sorted, empty parts removed.
pub(super) fn canonicalize(value: Value) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        _ => false,
    };
    match value {
        Value::Array(all) => {
            let mut all: Vec<Value> = all.into_iter().map(canonicalize).collect();
            all.sort_by_cached_key(Value::to_string);
            all.dedup();
            Value::Array(all)
        }
        Value::Object(all) => {
            let mut all: Vec<(String, Value)> = all
                .into_iter()
                .map(|(key, value)| (key, canonicalize(value)))
                .filter(|(_, v)| !is_empty(v))
                .collect();
            all.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(all.into_iter().collect())
        }
        other => other,
    }
}

fn read<T: DeserializeOwned>(reply: &Reply) -> Result<T, Error> {
    reply.json().map_err(|error| unsent(&error))
}

fn unsent(error: &HttpError) -> Error {
    let kind = match error {
        HttpError::Garbled { .. } | HttpError::TooLarge { .. } | HttpError::Redirect { .. } => {
            ErrorKind::Unreadable
        }
        HttpError::Credential | HttpError::Insecure { .. } | HttpError::Setup { .. } => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    };
    Error { kind, message: error.to_string(), retry_after: None }
}

/// Maps a failure reply to an error.
fn refusal(reply: &Reply, needs: &str) -> Error {
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
        ErrorKind::Unauthenticated => format!("the credential is not accepted (HTTP {status})"),
        ErrorKind::Forbidden => {
            format!("the credential is not permitted to do this; it needs {needs} (HTTP {status})")
        }
        ErrorKind::NotFound => {
            format!("there is no such token, or `provider_url` does not lead to the API (HTTP {status})")
        }
        ErrorKind::Conflict => format!("it collides with something that exists (HTTP {status})"),
        ErrorKind::RateLimited => format!("too many requests (HTTP {status})"),
        ErrorKind::Unavailable => format!("the provider is in trouble (HTTP {status})"),
        ErrorKind::Invalid | ErrorKind::Unreadable => {
            format!("the provider refuses the request (HTTP {status})")
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
/// ProblemDetails (RFC 9457, with or without `errors` by field), or a list of
/// validation errors.
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
    let said = text("message").or_else(|| text("detail")).or_else(|| text("title")).or_else(|| text("error"));
    said.filter(|said| !said.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
