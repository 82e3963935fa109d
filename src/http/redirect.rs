//! Which redirects are followed: those within the service's origin, if its policy allows
//! any.

use http::{Method, StatusCode, header};
use url::Url;

use super::{HttpError, PeerPolicy, Reply, origin};

/// How many redirects in a row are followed.
pub(super) const MOST: usize = 5;

/// Where to send the same request again; `None`: the reply is not a redirect.
///
/// Method, body and credential are kept, so the target must be of the same
/// origin, and what redirects "by GET" is only followed by a GET.
pub(super) fn target(policy: &PeerPolicy, method: &Method, reply: &Reply) -> Result<Option<Url>, HttpError> {
    let keeps_method = match reply.status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => {
            true
        }
        StatusCode::FOUND | StatusCode::SEE_OTHER => method == Method::GET,
        status if status.is_redirection() && reply.headers.contains_key(header::LOCATION) => false,
        _ => return Ok(None),
    };
    let from = origin(&reply.url);
    let location = reply.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let Some(next) = location.and_then(|location| reply.url.join(location).ok()) else {
        return Err(HttpError::Redirect { from, to_origin: "nowhere".to_owned() });
    };
    let same_origin = next.origin() == reply.url.origin() && next.origin().is_tuple();
    let bare = next.username().is_empty() && next.password().is_none();
    if policy.follows_redirects && keeps_method && same_origin && bare {
        return Ok(Some(next));
    }
    Err(HttpError::Redirect { from, to_origin: origin(&next) })
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::super::tests::{LENIENT, STRICT};
    use super::*;

    fn answer(status: u16, location: Option<&str>) -> Reply {
        let mut headers = HeaderMap::new();
        if let Some(location) = location {
            headers.insert(header::LOCATION, location.parse().unwrap());
        }
        let url = Url::parse("https://api.example/repos/old/name?per_page=100").unwrap();
        Reply { url, ..Reply::of(StatusCode::from_u16(status).unwrap(), headers) }
    }

    fn followed(method: &Method, status: u16, location: &str) -> Option<String> {
        target(LENIENT.policy, method, &answer(status, Some(location))).ok().flatten().map(String::from)
    }

    #[test]
    fn a_renamed_repository_is_followed_by_reads_and_writes() {
        let to = "https://api.example/repositories/7/actions/secrets/A";
        for status in [301, 307, 308] {
            for method in [Method::GET, Method::PUT, Method::DELETE] {
                assert_eq!(followed(&method, status, to).as_deref(), Some(to), "{method} {status}");
            }
        }
        assert_eq!(followed(&Method::GET, 302, "/x").as_deref(), Some("https://api.example/x"));
    }

    #[test]
    fn a_redirect_by_get_is_no_place_to_put_to() {
        for status in [302, 303] {
            assert!(target(LENIENT.policy, &Method::PUT, &answer(status, Some("/x"))).is_err());
        }
    }

    #[test]
    fn nothing_leaves_the_origin() {
        let elsewhere = [
            "https://evil.example/",
            "http://api.example/",
            "https://api.example:8443/",
            "//evil.example/",
            "https://user:pass@api.example/",
            "https://api.example.evil.example/",
            "data:text/plain,x",
        ];
        for location in elsewhere {
            assert_eq!(followed(&Method::GET, 301, location), None, "{location}");
        }
    }

    #[test]
    fn without_leave_no_redirect_is_followed() {
        let error = target(STRICT.policy, &Method::GET, &answer(307, Some("/x?token=1"))).unwrap_err();
        assert!(matches!(error, HttpError::Redirect { .. }));
        assert!(!error.to_string().contains("token"));
    }

    #[test]
    fn other_replies_are_no_redirects() {
        for status in [200, 204, 304, 404, 500] {
            assert!(target(LENIENT.policy, &Method::GET, &answer(status, None)).unwrap().is_none());
        }
        assert!(target(LENIENT.policy, &Method::GET, &answer(301, None)).is_err());
    }
}
