//! Addresses that requests may go to: origins of services, and paths on them.

use url::Url;

use crate::diagnostic::{Invalid, suspicious};
use crate::http::is_loopback;

/// The address of a service. Its text is never part of an error: it may hold a
/// password.
///
/// # Errors
/// Unless it is `https`, or `http` to a literal loopback address (`127.0.0.1`,
/// `[::1]`; not `localhost`, which a resolver may answer with anything), without
/// user, query and fragment.
pub(crate) fn origin(text: &str) -> Result<Url, Invalid> {
    if text.chars().any(|c| suspicious(c) || c.is_whitespace()) {
        return Err(Invalid::new("an address may not contain spaces or control characters"));
    }
    let url: Url =
        text.parse().map_err(|_| Invalid::new("invalid address").help("try https://api.example.com"))?;
    if url.host().is_none() {
        return Err(Invalid::new("the address has no host").help("try https://api.example.com"));
    }
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        return Err(Invalid::new("an address must begin with https://")
            .help("http:// is allowed only for literal loopback addresses: 127.0.0.1 or [::1]"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Invalid::new("an address may not contain a user name or a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Invalid::new("the address of a service may not contain a query or a fragment"));
    }
    Ok(url)
}

/// A path on a service's own origin, perhaps with a query.
///
/// # Errors
/// When it could lead anywhere else.
pub(crate) fn path(text: &str) -> Result<String, Invalid> {
    let leaves =
        text.contains("//") || text.contains(['\\', '#']) || text.split(['/', '?']).any(|part| part == "..");
    let legal = text.starts_with('/') && !leaves && text.bytes().all(|b| b.is_ascii_graphic());
    Invalid::unless(legal, "path", text).map_err(|e| {
        e.help("expected a path on the provider's own origin, such as /v1/user, without spaces, // and ..")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_or_a_literal_loopback_address() {
        for good in [
            "https://api.axiom.co",
            "https://ghe.acme.com/api/v3",
            "http://127.0.0.1:8080/",
            "http://127.9.9.9",
            "http://[::1]:1",
        ] {
            assert!(origin(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "api.axiom.co",
            "http://api.axiom.co",
            "http://localhost:8080",
            "http://127.0.0.1.example.com",
            "http://[::2]",
            "ftp://127.0.0.1",
            "file:///etc/passwd",
            "https://user@api.axiom.co",
            "https://user:hunter2@api.axiom.co",
            "https://api.axiom.co?x=1",
            "https://api.axiom.co#x",
            "https://api.axiom.co\n",
            "data:text/plain,x",
        ] {
            let refused = origin(bad).expect_err(bad);
            assert!(!refused.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn a_path_stays_on_its_origin() {
        for good in ["/", "/v1/user", "/v1/user?limit=1", "/a%20b"] {
            assert!(path(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "v1",
            "//evil.example",
            "/\\evil.example",
            "/a//b",
            "https://x/",
            "/a b",
            "/a\nb",
            "/../x",
            "/x#y",
            "/é",
        ] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }
}
