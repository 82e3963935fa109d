//! Errors of GitHub: a few kinds, and messages that say what to do.

use std::fmt;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::peer::is_rate_limit;
use super::permission::{ADMINISTRATION, METADATA, Permission};
use crate::config::{Scope, Store};
use crate::http::{HttpError, Reply, text_of_page};
use crate::redact::Redactor;

/// A failed request to GitHub.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What callers branch on.
    pub kind: ErrorKind,
    /// One or two sentences for users: the scope, what is wrong, what to do.
    pub message: String,
}

/// The kinds of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The token is not accepted.
    Unauthenticated,
    /// The token may not do this.
    Forbidden,
    /// The scope does not exist, or the token cannot see it.
    NotFound,
    /// GitHub rejects the request as invalid, or it cannot be built.
    Invalid,
    /// Too many requests.
    RateLimited,
    /// No reply, or a server error.
    Unavailable,
    /// An unexpected reply.
    Unreadable,
    /// The delivery window is over.
    Late,
}

impl ErrorKind {
    /// Whether GitHub refused, and will refuse again.
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
    /// The server is GitHub's own, which has every store.
    pub(super) has_every_store: bool,
}

/// What a request is about. Errors begin with it, and the advice after a refusal depends
/// on it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'a> {
    /// The secrets of a scope.
    Secrets(Purpose<'a>),
    /// Creating the environment that will hold them, which takes another permission.
    Environment(Purpose<'a>),
    /// A write check, which holds for all of the owner's repositories.
    WriteCheck(Purpose<'a>),
    /// The repositories of this owner.
    Repositories(&'a str),
    /// The App's installation at this owner.
    Installation(&'a str),
    /// A token for that installation.
    InstallationToken(&'a str),
}

/// The credential of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignedWith {
    /// `CROSSFADE_GITHUB_TOKEN`.
    Token,
    /// The App's private key.
    AppKey,
    /// A token that the App was given for an installation.
    InstallationToken,
}

/// A failure reply.
pub(super) struct Refusal<'a> {
    pub(super) reply: &'a Reply,
    pub(super) signed_with: SignedWith,
}

impl Refusal<'_> {
    /// The status, and the message that came with it from GitHub or a proxy.
    pub(super) fn reason(&self) -> String {
        let status = self.reply.status;
        match reason_of(self.reply.body()) {
            reason if reason.is_empty() => format!("{status}, without a reason"),
            reason => format!("{status}: {}", quoted(&reason)),
        }
    }

    /// Whether the message is about this repository, and not about the credential or the
    /// whole organization.
    pub(super) fn is_about_the_repository(&self) -> bool {
        ["archived", "read-only", "locked", "disabled", "access blocked"]
            .iter()
            .any(|word| self.mentions(word))
    }

    fn requires_sso(&self) -> bool {
        let value = self.reply.headers.get("x-github-sso").and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.trim_start().starts_with("required"))
    }

    fn mentions(&self, part: &str) -> bool {
        reason_of(self.reply.body()).to_ascii_lowercase().contains(part)
    }
}

impl Error {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The message without its subject.
    pub(super) fn cause(&self, subject: &Subject<'_>) -> &str {
        self.message.strip_prefix(&format!("{subject}: ")).unwrap_or(&self.message)
    }

    /// No whole reply came. `about` begins the message.
    pub(super) fn of_http(about: &dyn fmt::Display, error: &HttpError) -> Self {
        let kind = match error {
            HttpError::Late => ErrorKind::Late,
            HttpError::Credential => ErrorKind::Unauthenticated,
            HttpError::Insecure { .. } | HttpError::Redirect { .. } => ErrorKind::Invalid,
            HttpError::Garbled { .. } | HttpError::TooLarge { .. } => ErrorKind::Unreadable,
            HttpError::Connect { .. }
            | HttpError::Proxy { .. }
            | HttpError::Tls { .. }
            | HttpError::Setup { .. }
            | HttpError::Timeout { .. }
            | HttpError::Dropped { .. } => ErrorKind::Unavailable,
        };
        Self::new(kind, format!("{about}: {error}"))
    }

    /// A success reply with an unexpected body.
    pub(super) fn unreadable(about: &dyn fmt::Display) -> Self {
        Self::new(ErrorKind::Unreadable, format!("{about}: GitHub's answer was not understood"))
    }

    /// The one place that explains a failure status. GitHub uses one status for many
    /// causes, and proxies use the same ones, so the message of the reply is always
    /// shown.
    pub(super) fn refused(subject: &Subject<'_>, refusal: &Refusal<'_>) -> Self {
        let reason = refusal.reason();
        let (kind, text) = match refusal.reply.status {
            StatusCode::UNAUTHORIZED => (ErrorKind::Unauthenticated, refusal.unauthenticated()),
            _ if is_rate_limit(refusal.reply) => (
                ErrorKind::RateLimited,
                format!("GitHub's rate limit is used up ({reason}); try again later"),
            ),
            StatusCode::FORBIDDEN | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => {
                let hint = subject.hint(refusal).map_or(String::new(), |hint| format!(". {hint}"));
                (ErrorKind::Forbidden, format!("{} ({reason}){hint}", subject.refusal()))
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                (ErrorKind::NotFound, format!("{} ({reason})", subject.not_found()))
            }
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
                (ErrorKind::Invalid, format!("{} ({reason})", subject.refusal()))
            }
            status if status.is_server_error() => {
                (ErrorKind::Unavailable, format!("GitHub server error ({reason})"))
            }
            _ => (ErrorKind::Unavailable, format!("GitHub answered {reason}")),
        };
        Self::new(kind, format!("{subject}: {text}"))
    }
}

impl Refusal<'_> {
    fn unauthenticated(&self) -> String {
        let reason = self.reason();
        match self.signed_with {
            SignedWith::Token => format!(
                "GitHub rejected the credential in `CROSSFADE_GITHUB_TOKEN` ({reason}). It is wrong, expired or \
                 revoked: renew it"
            ),
            SignedWith::AppKey => format!(
                "GitHub does not accept the App ({reason}): its id and its private key do not belong together, or \
                 the key was deleted"
            ),
            SignedWith::InstallationToken => {
                format!("GitHub rejected the token that it gave the App ({reason})")
            }
        }
    }
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secrets(purpose) | Self::Environment(purpose) => purpose.fmt(f),
            Self::WriteCheck(purpose) => write!(f, "a write was tried for {purpose}"),
            Self::Repositories(owner) => write!(f, "repositories of {owner}"),
            Self::Installation(owner) | Self::InstallationToken(owner) => write!(f, "GitHub App at {owner}"),
        }
    }
}

impl fmt::Display for Purpose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

impl Subject<'_> {
    /// The user or organization that it belongs to.
    pub(super) fn owner(&self) -> &str {
        match self {
            Self::Secrets(purpose) | Self::Environment(purpose) | Self::WriteCheck(purpose) => {
                purpose.scope.owner()
            }
            Self::Repositories(owner) | Self::Installation(owner) | Self::InstallationToken(owner) => owner,
        }
    }

    /// What a refusal means, without its reason.
    fn refusal(&self) -> &'static str {
        match self {
            Self::Secrets(_) | Self::Environment(_) | Self::WriteCheck(_) => "GitHub refuses the request",
            Self::Repositories(_) => "GitHub does not list them",
            Self::Installation(_) => "GitHub does not show the App's installation",
            Self::InstallationToken(_) => "GitHub does not give the App a token for its installation",
        }
    }

    fn not_found(&self) -> String {
        match self {
            Self::Secrets(purpose) | Self::Environment(purpose) => purpose.not_found(),
            Self::WriteCheck(_) => "the credential may read there and not write".to_owned(),
            Self::Repositories(_) => "there is no such owner, or the token cannot see it".to_owned(),
            Self::Installation(_) => {
                "the App is not installed there; install it from its page on GitHub".to_owned()
            }
            Self::InstallationToken(_) => "the App's installation is gone; install it again".to_owned(),
        }
    }

    /// What to do about a 403, as far as GitHub's message gives the cause.
    fn hint(&self, refusal: &Refusal<'_>) -> Option<String> {
        let headers = &refusal.reply.headers;
        if refusal.requires_sso() {
            return Some(
                "Authorize the token for the organization's single sign-on: open the token's settings on GitHub \
                 and choose \"Configure SSO\""
                    .to_owned(),
            );
        }
        let mut hint = String::new();
        if refusal.mentions("not accessible by") {
            hint.push_str(&self.permission_hint(refusal));
        }
        if let Some(lack) = self.missing_scope(headers) {
            if !hint.is_empty() {
                hint.push_str(". ");
            }
            hint.push_str(&lack);
        }
        (!hint.is_empty()).then_some(hint)
    }

    fn permission_hint(&self, refusal: &Refusal<'_>) -> String {
        let (permission, right) = match self {
            Self::Environment(_) => (ADMINISTRATION, "write"),
            Self::Secrets(Purpose { store, scope, .. }) | Self::WriteCheck(Purpose { store, scope, .. }) => {
                (Permission::of(*store, scope), "read and write")
            }
            Self::Repositories(_) | Self::Installation(_) | Self::InstallationToken(_) => (METADATA, "read"),
        };
        let mut text = format!("It needs the {permission}: {right}");
        if let Some(asked) = accepted_permissions(&refusal.reply.headers) {
            text.push_str(&format!(" (GitHub asks for {asked})"));
        }
        match refusal.signed_with {
            SignedWith::Token if refusal.mentions("by integration") => text.push_str(
                ". The workflow's own GITHUB_TOKEN can never have it: use a fine-grained personal \
                 access token or a GitHub App",
            ),
            SignedWith::Token | SignedWith::AppKey => {}
            SignedWith::InstallationToken => {
                text.push_str(". Tick that in the App's settings, and accept it where it is installed");
            }
        }
        text
    }

    /// The scope that a classic token lacks; GitHub sends its scopes with every reply.
    fn missing_scope(&self, headers: &HeaderMap) -> Option<String> {
        let (Self::Secrets(purpose) | Self::Environment(purpose) | Self::WriteCheck(purpose)) = self else {
            return None;
        };
        missing_scope(&scopes(headers)?, purpose.scope)
    }
}

impl Purpose<'_> {
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
}

/// The scopes of a classic token; `None`: it is another kind of credential, or has none.
pub(super) fn scopes(headers: &HeaderMap) -> Option<String> {
    let scopes = headers.get("x-oauth-scopes")?.to_str().ok()?.trim();
    (!scopes.is_empty()).then(|| scopes.to_owned())
}

/// Why a classic token with these scopes may not write there; `None`: it may.
/// Source: GitHub's pages on the REST API for secrets.
pub(super) fn missing_scope(scopes: &str, scope: &Scope) -> Option<String> {
    let needed = if matches!(scope, Scope::Organization(_)) { "admin:org" } else { "repo" };
    if scopes.split(',').any(|one| one.trim() == needed) {
        return None;
    }
    Some(format!("The classic token needs the scope \"{needed}\"; its scopes are {}", quoted(scopes)))
}

/// A store's name at the beginning of a sentence.
fn store_name(store: Store) -> String {
    let name = store.to_string();
    let (first, rest) = name.split_at(1);
    format!("{}{rest}", first.to_ascii_uppercase())
}

/// The permission that GitHub's reply names, in its API's form: `secrets=write`.
fn accepted_permissions(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("x-accepted-github-permissions")?.to_str().ok()?;
    let harmless = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '=' | ';' | ',' | ' ');
    let text: String = value.chars().filter(harmless).take(200).collect();
    (!text.is_empty()).then_some(text)
}

/// Text from outside, in quotes: one line without control characters, at most 300
/// characters, without anything that looks like a credential. The report removes the
/// secrets of this run when it is printed.
fn quoted(text: &str) -> String {
    format!("\"{}\"", Redactor::new().line(text).replace('"', "'"))
}

/// Why a request was refused: GitHub's `message` and what its `errors` add, or the
/// text of a page or of any other answer, which a proxy may have given.
pub(super) fn reason_of(body: &[u8]) -> String {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return text_of_page(body);
    };
    let Some(message) = answer.get("message").and_then(Value::as_str) else {
        return match &answer {
            Value::Null => String::new(),
            Value::Object(fields) if fields.is_empty() => String::new(),
            _ => text_of_page(body),
        };
    };
    let mut parts = vec![message.to_owned()];
    match answer.get("errors") {
        Some(Value::String(one)) => parts.push(one.clone()),
        Some(Value::Array(all)) => parts.extend(all.iter().take(5).filter_map(detail)),
        _ => {}
    }
    parts.join("; ")
}

/// One of GitHub's `errors`: a sentence, or what is wrong with which field.
fn detail(error: &Value) -> Option<String> {
    let text = |key: &str| error.get(key).and_then(Value::as_str);
    if let Some(sentence) = error.as_str().or_else(|| text("message")) {
        return Some(sentence.to_owned());
    }
    let parts: Vec<&str> = ["resource", "field", "code"].into_iter().filter_map(text).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

#[cfg(test)]
mod tests;
