//! GitHub as the HTTP client sees it: redirects, rate limits, request ids.

use http::{StatusCode, header};

use crate::clock::ClockId;
use crate::http::{Peer, PeerPolicy, Reply, number};

/// GitHub's API.
pub(super) const PEER: Peer = Peer { clock: ClockId::Github, policy: &POLICY };

const POLICY: PeerPolicy = PeerPolicy {
    name: Some("GitHub"),
    // A renamed repository answers with one.
    follows_redirects: true,
    is_rate_limit,
    // GitHub's rule for a limit without a time is "at least one minute".
    rests_after_rate_limit: true,
    quotes_pages: true,
};

/// Whether GitHub refuses because of too many requests, and not for good.
///
/// It uses 403 for this too, as it does for a missing permission; the hints that
/// tell them apart are those of GitHub's page on rate limits.
pub(super) fn is_rate_limit(reply: &Reply) -> bool {
    let Reply { status, headers, .. } = reply;
    let says =
        |text: &str| reply.body().windows(text.len()).any(|part| part.eq_ignore_ascii_case(text.as_bytes()));
    *status == StatusCode::TOO_MANY_REQUESTS
        || *status == StatusCode::FORBIDDEN
            && (headers.contains_key(header::RETRY_AFTER)
                || number(headers, "x-ratelimit-remaining") == Some(0)
                || says("secondary rate limit")
                || says("abuse detection"))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_missing_permission_is_no_rate_limit() {
        let is_limit = |status: u16, header: Option<(&'static str, &'static str)>, body: &str| {
            let headers =
                header.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            let headers: HeaderMap = headers.into_iter().collect();
            let reply = Reply::of(StatusCode::from_u16(status).unwrap(), headers);
            is_rate_limit(&reply.with_body(body.as_bytes()))
        };
        let permission = r#"{"message": "Resource not accessible by personal access token"}"#;
        assert!(!is_limit(403, Some(("x-ratelimit-remaining", "4000")), permission));
        assert!(!is_limit(403, None, permission));
        assert!(!is_limit(404, Some(("retry-after", "7")), ""));
        assert!(is_limit(403, None, r#"{"message": "You have exceeded a Secondary Rate Limit"}"#));
        assert!(is_limit(403, None, "You have triggered an abuse detection mechanism"));
        assert!(is_limit(403, Some(("retry-after", "7")), ""));
        assert!(is_limit(403, Some(("x-ratelimit-remaining", "0")), ""));
        assert!(is_limit(429, None, ""));
    }
}
