//! What went wrong at GitHub, in few kinds and in words that say what to do.

use http::{HeaderMap, StatusCode};

use super::permission::{ADMINISTRATION, Permission};
use crate::config::{Scope, Store};
use crate::http::retry::is_rate_limit;
use crate::http::{HttpError, Reply};

/// A request to GitHub that did not do what it was for.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What callers branch on.
    pub kind: ErrorKind,
    /// One or two sentences for people: the scope, what is wrong, what to do.
    pub message: String,
}

/// The kinds of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The token is not accepted.
    Unauthenticated,
    /// The token may not do this.
    Forbidden,
    /// No such place, or none that the token can see.
    NotFound,
    /// GitHub refuses the request as it stands, or it cannot be made.
    Invalid,
    /// Too many requests.
    RateLimited,
    /// No answer, or one of a server in trouble.
    Unavailable,
    /// An answer that was not understood.
    Unreadable,
    /// The delivery window is over.
    Late,
}

impl ErrorKind {
    /// Whether GitHub has said no, and will say it again.
    #[must_use]
    pub(super) fn is_refusal(self) -> bool {
        matches!(self, Self::Unauthenticated | Self::Forbidden | Self::NotFound | Self::Invalid)
    }
}

/// Whether a write failed for good, and how.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{error}")]
pub struct WriteError {
    /// Certainly not written, and GitHub will refuse it again.
    pub refused: bool,
    /// The delivery window was over before the write, or before its
    /// acknowledgement: in the latter case the secret *is* written.
    pub late: bool,
    /// Why.
    #[source]
    pub error: Error,
}

/// What a request is for; errors name it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Purpose<'a> {
    pub(super) store: Store,
    pub(super) scope: &'a Scope,
    /// Making the environment itself, which takes another permission.
    pub(super) creates_environment: bool,
    /// The server is GitHub's own, which has every store.
    pub(super) has_every_store: bool,
}

/// What a reply of failure says.
pub(super) struct Refusal<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    /// GitHub's own words.
    pub(super) message: &'a str,
}

impl Error {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// No whole reply came. `about` begins the message.
    pub(super) fn of_http(about: &dyn std::fmt::Display, error: &HttpError) -> Self {
        let kind = match error {
            HttpError::Late => ErrorKind::Late,
            HttpError::Credential => ErrorKind::Unauthenticated,
            HttpError::Insecure { .. } | HttpError::Redirect { .. } => ErrorKind::Invalid,
            HttpError::Garbled { .. } | HttpError::TooLarge { .. } => ErrorKind::Unreadable,
            HttpError::Connect { .. }
            | HttpError::Tls { .. }
            | HttpError::Setup { .. }
            | HttpError::Timeout { .. }
            | HttpError::Dropped { .. } => ErrorKind::Unavailable,
        };
        Self::new(kind, format!("{about}: {error}"))
    }

    /// A reply of failure to what is about no secret. `about` begins the message,
    /// `refusal` is what a refusal means.
    pub(super) fn answered(about: &dyn std::fmt::Display, reply: &Reply, refusal: &str) -> Self {
        let status = reply.status;
        let (kind, text) = match status {
            status if is_rate_limit(status, &reply.headers, reply.body()) => {
                (ErrorKind::RateLimited, "GitHub's rate limit is used up; try again later".to_owned())
            }
            StatusCode::UNAUTHORIZED => (ErrorKind::Unauthenticated, refusal.to_owned()),
            StatusCode::FORBIDDEN => (ErrorKind::Forbidden, refusal.to_owned()),
            StatusCode::NOT_FOUND => (ErrorKind::NotFound, refusal.to_owned()),
            status if status.is_client_error() => (ErrorKind::Invalid, format!("{refusal} ({status})")),
            status => (ErrorKind::Unavailable, format!("GitHub is in trouble (it answered {status})")),
        };
        Self::new(kind, format!("{about}: {text}"))
    }

    /// A reply of success that is not what it should be.
    pub(super) fn unreadable(purpose: &Purpose<'_>) -> Self {
        Self::new(ErrorKind::Unreadable, format!("{purpose}: GitHub's answer was not understood"))
    }

    /// A reply of failure.
    pub(super) fn refused(purpose: &Purpose<'_>, refusal: &Refusal<'_>) -> Self {
        let Refusal { status, headers, message } = refusal;
        let words = quoted(message);
        let (kind, text) = match *status {
            StatusCode::UNAUTHORIZED => (
                ErrorKind::Unauthenticated,
                "GitHub does not accept the token: it is wrong, expired or revoked".to_owned(),
            ),
            status if is_rate_limit(status, headers, message.as_bytes()) => {
                (ErrorKind::RateLimited, format!("GitHub's rate limit is used up ({words}); try again later"))
            }
            StatusCode::FORBIDDEN => (ErrorKind::Forbidden, purpose.forbidden(headers, message)),
            StatusCode::NOT_FOUND => (ErrorKind::NotFound, purpose.not_found()),
            status if status.is_server_error() => {
                (ErrorKind::Unavailable, format!("GitHub is in trouble (it answered {status})"))
            }
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
                (ErrorKind::Invalid, format!("GitHub refuses the request ({status}: {words})"))
            }
            status => (ErrorKind::Unavailable, format!("GitHub answered {status}: {words}")),
        };
        Self::new(kind, format!("{purpose}: {text}"))
    }
}

impl std::fmt::Display for Purpose<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let store = store_name(self.store);
        match self.scope {
            Scope::Repository(repository) => {
                write!(f, "{store} secrets of {}/{}", repository.owner, repository.name)
            }
            Scope::Environment { repository, environment } => write!(
                f,
                "secrets of environment {} of {}/{}",
                quoted(environment),
                repository.owner,
                repository.name
            ),
            Scope::Organization(name) => write!(f, "{store} secrets of organization {name}"),
        }
    }
}

impl Purpose<'_> {
    fn forbidden(&self, headers: &HeaderMap, message: &str) -> String {
        if headers.contains_key("x-github-sso") {
            return "the token is not authorized for the organization's single sign-on: open \
                    the token's settings on GitHub and choose \"Configure SSO\""
                .to_owned();
        }
        let mut text = format!("the token may not do this. It needs the {}", self.permission());
        text.push_str(if self.creates_environment { ": write" } else { ": read and write" });
        if let Some(asked) = accepted_permissions(headers) {
            text.push_str(&format!(" (GitHub asks for {asked})"));
        }
        if headers.contains_key("x-oauth-scopes") {
            let scope = if matches!(self.scope, Scope::Organization(_)) { "admin:org" } else { "repo" };
            text.push_str(&format!("; a classic token needs the scope \"{scope}\""));
        }
        if message.contains("Resource not accessible by integration") {
            text.push_str(
                ". The workflow's own GITHUB_TOKEN can never have it: use a fine-grained personal \
                 access token or a GitHub App",
            );
        }
        text
    }

    fn not_found(&self) -> String {
        let mut text = match self.scope {
            Scope::Repository(_) => "the repository does not exist, or the token cannot see it".to_owned(),
            Scope::Environment { .. } => "the environment does not exist, or the token cannot see the \
                 repository; `create_environment: true` has a missing environment made"
                .to_owned(),
            Scope::Organization(_) => {
                "the organization does not exist, or the token cannot see its secrets".to_owned()
            }
        };
        if !self.has_every_store && self.store != Store::Actions {
            text.push_str(&format!("; or this GitHub server has no {} secrets", store_name(self.store)));
        }
        text
    }

    /// The permission to tick.
    fn permission(&self) -> Permission {
        if self.creates_environment { ADMINISTRATION } else { Permission::of(self.store, self.scope) }
    }
}

fn store_name(store: Store) -> &'static str {
    match store {
        Store::Actions => "Actions",
        Store::Dependabot => "Dependabot",
        Store::Codespaces => "Codespaces",
        Store::Agents => "Agents",
    }
}

/// What GitHub itself names, in its API's words: `secrets=write`.
fn accepted_permissions(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("x-accepted-github-permissions")?.to_str().ok()?;
    let harmless = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '=' | ';' | ',' | ' ');
    let text: String = value.chars().filter(harmless).take(200).collect();
    (!text.is_empty()).then_some(text)
}

/// Words from outside, in quotes: printable ASCII, short.
// PLACEHOLDER: becomes `crate::redact`, the one gate for such words.
fn quoted(text: &str) -> String {
    let text: String = text.chars().filter(|c| matches!(c, ' '..='~') && *c != '"').take(200).collect();
    format!("\"{}\"", text.replace("::", ": :").replace("##[", "# #["))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Repository;

    fn scopes() -> [Scope; 3] {
        let repository = Repository { owner: "acme".to_owned(), name: "api".to_owned() };
        [
            Scope::Repository(repository.clone()),
            Scope::Environment { repository, environment: "my env".to_owned() },
            Scope::Organization("acme".to_owned()),
        ]
    }

    fn purpose(store: Store, scope: &Scope) -> Purpose<'_> {
        Purpose { store, scope, creates_environment: false, has_every_store: true }
    }

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn refused(purpose: &Purpose<'_>, status: u16, list: &[(&'static str, &str)], message: &str) -> Error {
        let status = StatusCode::from_u16(status).unwrap();
        Error::refused(purpose, &Refusal { status, headers: &headers(list), message })
    }

    #[test]
    fn statuses_have_their_kinds() {
        let [repository, ..] = &scopes();
        let purpose = purpose(Store::Actions, repository);
        let kinds = [
            (400, ErrorKind::Invalid),
            (401, ErrorKind::Unauthenticated),
            (403, ErrorKind::Forbidden),
            (404, ErrorKind::NotFound),
            (409, ErrorKind::Unavailable),
            (422, ErrorKind::Invalid),
            (429, ErrorKind::RateLimited),
            (500, ErrorKind::Unavailable),
            (503, ErrorKind::Unavailable),
            (418, ErrorKind::Unavailable),
        ];
        for (status, kind) in kinds {
            assert_eq!(refused(&purpose, status, &[], "").kind, kind, "{status}");
        }
        assert_eq!(refused(&purpose, 403, &[("retry-after", "60")], "").kind, ErrorKind::RateLimited);
    }

    #[test]
    fn the_permission_to_tick_is_named() {
        let [repository, environment, organization] = &scopes();
        let needed = [
            (Store::Actions, repository, "repository permission \"Secrets\": read and write"),
            (Store::Dependabot, repository, "repository permission \"Dependabot secrets\""),
            (Store::Codespaces, repository, "repository permission \"Codespaces secrets\""),
            (Store::Agents, repository, "repository permission \"Agent secrets\""),
            (Store::Actions, environment, "repository permission \"Environments\""),
            (Store::Actions, organization, "organization permission \"Secrets\""),
            (Store::Dependabot, organization, "\"Organization dependabot secrets\""),
        ];
        for (store, scope, expected) in needed {
            let text = refused(&purpose(store, scope), 403, &[], "").to_string();
            assert!(text.contains(expected), "{text}");
        }
        let create = Purpose { creates_environment: true, ..purpose(Store::Actions, environment) };
        let text = refused(&create, 403, &[], "").to_string();
        assert!(text.contains("\"Administration\": write"), "{text}");
    }

    #[test]
    fn github_s_own_hints_are_used() {
        let [repository, _, organization] = &scopes();
        let asked = [("x-accepted-github-permissions", "secrets=write")];
        let text = refused(&purpose(Store::Actions, repository), 403, &asked, "").to_string();
        assert!(text.contains("(GitHub asks for secrets=write)"), "{text}");

        let classic = [("x-oauth-scopes", "gist")];
        let text = refused(&purpose(Store::Actions, organization), 403, &classic, "").to_string();
        assert!(text.contains("admin:org"), "{text}");

        let sso =
            [("x-github-sso", "required; url=https://github.com/orgs/acme/sso?authorization_request=x")];
        let text = refused(&purpose(Store::Actions, organization), 403, &sso, "").to_string();
        assert!(text.contains("single sign-on") && !text.contains("authorization_request"), "{text}");

        let message = "Resource not accessible by integration";
        let text = refused(&purpose(Store::Actions, repository), 403, &[], message).to_string();
        assert!(text.contains("GITHUB_TOKEN can never"), "{text}");
    }

    #[test]
    fn a_server_without_the_store_is_a_possible_reason() {
        let [repository, ..] = &scopes();
        let own = Purpose { has_every_store: false, ..purpose(Store::Codespaces, repository) };
        let text = refused(&own, 404, &[], "").to_string();
        assert!(text.contains("no Codespaces secrets"), "{text}");
        let text = refused(&purpose(Store::Codespaces, repository), 404, &[], "").to_string();
        assert!(!text.contains("no Codespaces secrets"), "{text}");
    }

    #[test]
    fn words_from_outside_are_harmless() {
        let [repository, ..] = &scopes();
        let hostile = "\n::set-output name=x::y\u{1b}[31m##[group]\u{202e}\"";
        let text = refused(&purpose(Store::Actions, repository), 422, &[], hostile).to_string();
        assert!(!text.contains("::") && !text.contains("##[") && !text.contains('\n'), "{text}");
        assert!(text.chars().all(|c| matches!(c, ' '..='~')), "{text}");
    }
}
