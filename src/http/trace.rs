//! What `-vv` adds to the line of a request: connections, and headers that hold no
//! secret.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use http::HeaderMap;
use hyper_util::client::legacy::connect::HttpInfo;

/// The headers of a reply that are shown.
const SHOWN: [&str; 15] = [
    "content-length",
    "content-type",
    "date",
    "github-authentication-token-expiration",
    "retry-after",
    "server",
    "via",
    "x-accepted-github-permissions",
    "x-accepted-oauth-scopes",
    "x-github-api-version-selected",
    "x-oauth-scopes",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-ratelimit-resource",
];

/// A longer value is left out.
const LONGEST: usize = 200;

/// The headers, as `name: value; …`. A value with other than harmless characters is left
/// out: a secret without some of its characters would not be recognised.
pub(super) fn headers(headers: &HeaderMap) -> String {
    let is_harmless = |c: char| c.is_ascii_alphanumeric() || " ,:/=+._-".contains(c);
    let shown = SHOWN.iter().filter_map(|name| {
        let value = headers.get(*name)?.to_str().ok()?;
        (value.len() <= LONGEST && value.chars().all(is_harmless)).then(|| format!("{name}: {value}"))
    });
    shown.collect::<Vec<_>>().join("; ")
}

/// The connections that were seen.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<HashSet<[SocketAddr; 2]>>);

impl Connections {
    /// `HTTP/1.1 to 127.0.0.1:80 over a new connection`; with a proxy, its address.
    pub(super) fn describe(&self, response: &reqwest::Response) -> String {
        let version = response.version();
        let Some(info) = response.extensions().get::<HttpInfo>() else { return format!("{version:?}") };
        let ends = [info.local_addr(), info.remote_addr()];
        let is_new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(ends);
        let kind = if is_new { "a new" } else { "a known" };
        format!("{version:?} to {} over {kind} connection", info.remote_addr())
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn only_harmless_headers_with_harmless_values_are_shown() {
        let all = [
            ("x-ratelimit-remaining", "58"),
            ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("set-cookie", "session=1"),
            ("x-token", "xaat-1"),
            ("server", "a\"b"),
            ("via", "\u{e9}"),
        ];
        let all = all.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        });
        let mut all: HeaderMap = all.collect();
        all.insert("content-type", HeaderValue::from_str(&"a".repeat(LONGEST + 1)).unwrap());
        assert_eq!(headers(&all), "date: Sun, 06 Nov 1994 08:49:37 GMT; x-ratelimit-remaining: 58");
    }
}
