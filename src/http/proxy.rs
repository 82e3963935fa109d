//! The proxy that the environment names, found as the HTTP library finds it.
//!
//! The library ignores a proxy URL that it cannot use and connects directly, and
//! reports a failing proxy as a failing server. Here both become errors that name
//! the proxy.

use std::env;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use super::HttpError;

/// The variables that name a proxy for HTTPS. Of each pair the first one that is
/// set counts; the second pair stands in where the first has none.
const VARIABLES: [[&str; 2]; 2] = [["HTTPS_PROXY", "https_proxy"], ["ALL_PROXY", "all_proxy"]];

/// Which requests go through which proxy.
#[derive(Debug)]
pub(super) struct Proxies(Matcher);

impl Proxies {
    /// The proxies that the environment names.
    ///
    /// # Errors
    /// When it names one that cannot be used.
    pub(super) fn of_environment() -> Result<Self, HttpError> {
        for pair in VARIABLES {
            let Some((name, value)) = pair.into_iter().find_map(|name| Some((name, env::var_os(name)?)))
            else {
                continue;
            };
            if let Some(wrong) = value.to_str().map_or(Some(NOT_A_URL), what_is_wrong_with) {
                return Err(HttpError::Setup { cause: format!("`{name}` {wrong}") });
            }
        }
        Ok(Self(Matcher::from_system()))
    }

    /// Scheme, host and port of the proxy on the way to a server.
    pub(super) fn on_the_way_to(&self, url: &Url) -> Option<String> {
        let proxy = self.0.intercept(&super::origin(url).parse().ok()?)?;
        shown(proxy.uri())
    }
}

// Values are not shown: a proxy's URL may hold a password.
const NOT_A_URL: &str = "is not a valid proxy URL; expected one like http://proxy.example:3128";
const SOCKS: &str =
    "names a SOCKS proxy, which is not supported; expected one like http://proxy.example:3128";

/// Why a proxy's URL cannot be used; an empty one means none.
fn what_is_wrong_with(value: &str) -> Option<&'static str> {
    if value.is_empty() {
        return None;
    }
    let matcher = Matcher::builder().https(value).build();
    match matcher.intercept(&Uri::from_static("https://server.invalid/")) {
        None => Some(NOT_A_URL),
        Some(proxy) if proxy.uri().scheme_str().is_some_and(|scheme| scheme.starts_with("socks")) => {
            Some(SOCKS)
        }
        Some(_) => None,
    }
}

/// Without user and password, which the library has taken out already.
fn shown(proxy: &Uri) -> Option<String> {
    Some(format!("{}://{}", proxy.scheme_str()?, proxy.authority()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_would_be_ignored_is_an_error() {
        for good in ["", "http://proxy.example:3128", "proxy.example:3128", "https://u:p@[::1]:3128/"] {
            assert_eq!(what_is_wrong_with(good), None, "{good}");
        }
        for bad in ["http://[", "ftp://proxy.example", "http://", "http://a b", "://", "/path"] {
            assert_eq!(what_is_wrong_with(bad), Some(NOT_A_URL), "{bad}");
        }
        for socks in ["socks5://proxy.example:1080", "socks4a://proxy.example"] {
            assert_eq!(what_is_wrong_with(socks), Some(SOCKS), "{socks}");
        }
    }

    #[test]
    fn the_proxy_on_the_way_is_named_without_its_password() {
        let matcher =
            Matcher::builder().https("http://user:secret@proxy.example:3128/x").no("b.example").build();
        let proxies = Proxies(matcher);
        let to = |url: &str| proxies.on_the_way_to(&Url::parse(url).unwrap());
        assert_eq!(to("https://a.example/path").as_deref(), Some("http://proxy.example:3128"));
        assert_eq!(to("https://b.example/"), None);
        assert_eq!(to("http://127.0.0.1/"), None);
    }
}
