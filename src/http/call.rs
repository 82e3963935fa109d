//! A request as callers describe it, and the reply as they get it.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::body::LIMIT;
use super::{HttpError, JSON, Peer, Retry, Values, origin};

/// Counts as one request under way until it is dropped.
pub(crate) type Permit = Box<dyn Send + Sync>;

/// Decides when a request may be sent. Applies to every attempt and every redirect; no
/// permit is held while waiting for the next one.
#[async_trait]
pub(crate) trait RateLimiter: Send + Sync {
    /// Waits until one more request may be under way.
    async fn acquire(&self, method: &Method) -> Permit;

    /// Called with every reply, before its permit is dropped.
    fn record(&self, _: &Reply) {}
}

#[derive(Clone)]
pub(crate) struct Call {
    /// Whom it is sent to.
    pub peer: Peer,
    pub method: Method,
    pub url: Url,
    /// Headers besides those that the client adds.
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
    /// Whether it may be sent again.
    pub retry: Retry,
    /// Whether the body of a success reply has the expected form. Otherwise the reply is
    /// treated like a broken connection.
    pub is_valid_body: fn(StatusCode, &[u8]) -> bool,
    /// No further attempt after this moment; `None`: as the retry policy says.
    pub deadline: Option<Instant>,
    /// No attempt is started once the servers' clocks show this time.
    pub until: Option<Timestamp>,
    /// The longest body that is read, in bytes.
    pub longest_body: usize,
    /// Bounds how many requests are under way.
    pub rate_limiter: Option<Arc<dyn RateLimiter>>,
    /// The new secrets that its replies may hold.
    pub values: Option<Values>,
}

impl Call {
    /// A request that may not be repeated, and whose reply may be anything.
    pub(crate) fn new(peer: Peer, method: Method, url: Url) -> Self {
        Self {
            peer,
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            retry: Retry::Never,
            is_valid_body: anything,
            deadline: None,
            until: None,
            longest_body: LIMIT,
            rate_limiter: None,
            values: None,
        }
    }

    /// The same request, which may be repeated.
    #[must_use]
    pub(crate) fn idempotent(self) -> Self {
        Self { retry: Retry::Idempotent, ..self }
    }

    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Adds `Authorization: Bearer`.
    ///
    /// # Errors
    /// When the credential cannot stand in a header.
    pub(crate) fn bearer(self, credential: &SecretString) -> Result<Self, HttpError> {
        let text = Zeroizing::new(format!("Bearer {}", credential.expose_secret()));
        let mut value = HeaderValue::from_str(&text).map_err(|_| HttpError::Credential)?;
        value.set_sensitive(true);
        Ok(self.header(header::AUTHORIZATION, value))
    }

    /// Adds a body, as JSON unless the headers name another media type.
    #[must_use]
    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string().into());
        self.headers.entry(header::CONTENT_TYPE).or_insert(JSON);
        self
    }
}

/// What came back. Its body is wiped when it is dropped, and there is no `Debug` to print it.
pub(crate) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// This reply's own `Date`.
    pub date: Option<Timestamp>,
    /// An earlier attempt of the same call may have been applied, even if this reply is
    /// a refusal.
    pub may_have_been_applied: bool,
    /// Who answered, after redirects.
    pub url: Url,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Reply {
    /// The whole body, no longer than [`Call::longest_body`].
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`HttpError::Garbled`], without a word of what the body holds.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        serde_json::from_slice(self.body()).map_err(|_| HttpError::Garbled {
            origin: origin(&self.url),
            status: self.status,
            said: String::new(),
        })
    }
}

/// Every reply of success is as good as any other.
pub(crate) fn anything(_: StatusCode, _: &[u8]) -> bool {
    true
}

/// A reply of success is whole JSON, or has no content by its status.
pub(crate) fn json(status: StatusCode, body: &[u8]) -> bool {
    status == StatusCode::NO_CONTENT || serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

/// A header that holds a number.
pub(crate) fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// The `Date` header.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(header::DATE)?)
}

/// A date as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn http_date(value: &HeaderValue) -> Option<Timestamp> {
    static PARSER: rfc2822::DateTimeParser = rfc2822::DateTimeParser::new().relaxed_weekday(true);
    PARSER.parse_timestamp(value.to_str().ok()?.trim()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::LENIENT;
    use super::*;

    #[test]
    fn reads_http_dates() {
        let read = |text: &str| http_date(&HeaderValue::from_str(text).unwrap());
        let expected: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(expected));
        assert_eq!(read("soon"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn json_is_whole_or_absent() {
        assert!(json(StatusCode::OK, b"{\"a\": [1]} "));
        assert!(json(StatusCode::NO_CONTENT, b""));
        assert!(!json(StatusCode::OK, b""));
        assert!(!json(StatusCode::OK, b"{\"a\": [1"));
        assert!(!json(StatusCode::OK, b"<html>"));
    }

    #[test]
    fn a_line_break_in_a_credential_is_refused() {
        let url = Url::parse("https://api.example/").unwrap();
        let call = Call::get(LENIENT, url).bearer(&SecretString::from("token\n"));
        assert!(matches!(call, Err(HttpError::Credential)));
    }

    proptest! {
        #[test]
        fn dates_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                http_date(&value);
            }
        }

        #[test]
        fn dates_round_trip(second in 0_i64..4_000_000_000) {
            let time = Timestamp::from_second(second).unwrap();
            let text = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap();
            prop_assert_eq!(http_date(&HeaderValue::from_str(&text).unwrap()), Some(time));
        }
    }
}
