//! Errors before a complete reply arrived.

use http::StatusCode;
use url::Url;

use super::origin;

/// No complete reply. Messages name only the origin: paths and queries may contain ids
/// from outside.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum HttpError {
    /// No connection: refused, unknown host, or none in time.
    #[error("{origin} cannot be reached: {cause}")]
    Connect { origin: String, cause: String },
    /// The proxy that the environment names gave no way through.
    #[error("{origin} cannot be reached through the proxy {proxy}: {cause}")]
    Proxy { origin: String, proxy: String, cause: String },
    /// A connection, but no trust.
    #[error("no secure connection to {origin}: {cause}{}", help_with_trust(cause))]
    Tls { origin: String, cause: String },
    /// The client could not be made.
    #[error("HTTPS cannot be used: {cause}")]
    Setup { cause: String },
    /// The credential cannot be put into a header.
    #[error(
        "the credential contains a character that is not allowed in an HTTP header (a line break at its end?)"
    )]
    Credential,
    /// Plain HTTP to another machine.
    #[error("{origin} was not called: plain http is allowed to a loopback address only")]
    Insecure { origin: String },
    /// The delivery window ended before the request was sent.
    #[error("not sent, because the delivery window is over")]
    Late,
    /// Sent, and no answer in time.
    #[error("{origin} did not answer in time")]
    Timeout { origin: String },
    /// Sent, and the connection ended before the whole reply was there.
    #[error("the connection to {origin} was lost before the whole reply arrived ({cause})")]
    Dropped { origin: String, cause: String },
    /// A reply of success that does not have the form it must have. `said`: what a page in
    /// its place says, for the end of a sentence; or nothing.
    #[error("{origin} answered {status} with an unexpected body{said}")]
    Garbled { origin: String, status: StatusCode, said: String },
    /// A reply longer than any that is expected.
    #[error("the reply of {origin} is longer than expected")]
    TooLarge { origin: String },
    /// A redirect that is not followed.
    #[error(
        "{from} redirects to {to_origin}, which is not followed: set the URL to where the service is now"
    )]
    Redirect { from: String, to_origin: String },
}

impl HttpError {
    /// Whether the other side has certainly not seen the request. If not, it may
    /// have processed it.
    pub fn certainly_not_sent(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. }
                | Self::Proxy { .. }
                | Self::Tls { .. }
                | Self::Setup { .. }
                | Self::Credential
                | Self::Insecure { .. }
                | Self::Late
        )
    }

    /// What happened, to follow the service's name.
    pub(super) fn brief(&self) -> String {
        match self {
            Self::Connect { cause, .. } => format!("could not be reached ({})", plain(cause)),
            Self::Proxy { proxy, cause, .. } => {
                format!("could not be reached through the proxy {proxy} ({})", plain(cause))
            }
            Self::Timeout { .. } => "did not answer in time".to_owned(),
            Self::Dropped { cause, .. } => format!("broke off its answer ({})", plain(cause)),
            Self::Garbled { status, .. } => format!("answered {status} with something unreadable"),
            _ => self.to_string(),
        }
    }

    /// Whether another attempt may do better.
    pub(super) fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. }
                | Self::Proxy { .. }
                | Self::Timeout { .. }
                | Self::Dropped { .. }
                | Self::Garbled { .. }
        )
    }

    /// Sorts what the HTTP library says. Its own text is not used: it holds the URL.
    /// `proxy`: what stands between here and there, if anything does.
    pub(super) fn of(url: &Url, proxy: Option<String>, error: &reqwest::Error) -> Self {
        let origin = origin(url);
        let cause = root_cause(error);
        if error.is_connect() {
            let through = proxy.as_ref().map(|proxy| format!(", through the proxy {proxy}"));
            let without_kind = || cause.trim_start_matches("tunnel error: ").to_owned();
            return match proxy {
                _ if is_tls(error) => Self::Tls { origin, cause: cause + &through.unwrap_or_default() },
                Some(proxy) => Self::Proxy { origin, proxy, cause: without_kind() },
                None => Self::Connect { origin, cause },
            };
        }
        if error.is_timeout() {
            return Self::Timeout { origin };
        }
        if error.is_builder() {
            return Self::Setup { cause };
        }
        Self::Dropped { origin, cause }
    }
}

/// The system's words without its number: `connection refused`.
fn plain(cause: &str) -> String {
    let words = cause.split(" (os error ").next().unwrap_or(cause);
    let mut letters = words.chars();
    let is_word = words.chars().nth(1).is_some_and(char::is_lowercase);
    match letters.next().filter(|_| is_word) {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => words.to_owned(),
    }
}

/// The innermost error's text; a certificate may put its own words into it.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let innermost = std::iter::successors(Some(error), |error| error.source()).last();
    // Without a source this is the HTTP library's own error, whose text has the URL.
    match innermost.filter(|error| !error.is::<reqwest::Error>()) {
        Some(error) => error.to_string().chars().filter(|c| matches!(c, ' '..='~')).take(200).collect(),
        None => "no reason given".to_owned(),
    }
}

/// What to do about an untrusted certificate: most often the server is a company's own.
fn help_with_trust(cause: &str) -> &'static str {
    match cause.contains("UnknownIssuer") {
        true => {
            " (if its CA is private, add it to the system's, or set SSL_CERT_FILE to a file with all of them)"
        }
        false => "",
    }
}

/// Whether the TLS library refused. An I/O error hides what it wraps from `source`,
/// and one may wrap another.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(this) = next {
        if this.is::<rustls::Error>() {
            return true;
        }
        next = match this.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => this.source(),
        };
    }
    false
}
