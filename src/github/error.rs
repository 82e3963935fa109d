//! Errors of GitHub: a few kinds, each with its cause and often with a remedy.

use std::fmt;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::peer::is_rate_limit;
use super::permission::{ADMINISTRATION, METADATA, Permission};
use crate::config::{Scope, Store};
use crate::error_code::ErrorCode;
use crate::http::{HttpError, Reply, text_of_page};
use crate::redact::Redactor;

/// A failed request to GitHub.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{about}{}{cause}", if about.is_empty() { "" } else { ": " })]
pub struct Error {
    /// What callers branch on.
    pub kind: ErrorKind,
    /// What was read or written.
    pub about: String,
    /// What went wrong, with GitHub's own reason, but without what it is about: the same
    /// for every secret that one cause hits.
    pub cause: String,
    /// What to do, if more is known than the kind tells: a whole sentence.
    pub remedy: Option<String>,
}

/// The kinds of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// GitHub rejected the credential, or it cannot be sent.
    Unauthenticated,
    /// The credential lacks a permission.
    Forbidden,
    /// The scope does not exist, or the credential cannot see it.
    NotFound,
    /// GitHub refused this request, whatever the credential: it is invalid, or its
    /// repository is archived.
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
    /// Whose the credential is.
    Credential,
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
    /// An error without a remedy of its own.
    #[must_use]
    pub fn new(kind: ErrorKind, about: impl fmt::Display, cause: impl Into<String>) -> Self {
        Self { kind, about: about.to_string(), cause: cause.into(), remedy: None }
    }

    /// The same with a remedy.
    pub(super) fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// Whether one sentence about both would do.
    pub(crate) fn has_same_cause(&self, other: &Self) -> bool {
        self.kind == other.kind && self.cause == other.cause && self.remedy == other.remedy
    }

    /// The code, whose section in the docs explains the error.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self.kind {
            ErrorKind::Unauthenticated => ErrorCode::GithubCredential,
            ErrorKind::Forbidden => ErrorCode::GithubPermission,
            ErrorKind::NotFound => ErrorCode::SecretNotFound,
            ErrorKind::Invalid => ErrorCode::SecretRefused,
            ErrorKind::RateLimited => ErrorCode::GithubLimit,
            ErrorKind::Unavailable => ErrorCode::GithubUnreachable,
            ErrorKind::Unreadable => ErrorCode::GithubReply,
            ErrorKind::Late => ErrorCode::Undelivered,
        }
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
        Self::new(kind, about, error.to_string())
    }

    /// A success reply with an unexpected body.
    pub(super) fn unreadable(about: &dyn fmt::Display) -> Self {
        Self::new(ErrorKind::Unreadable, about, "GitHub's reply is not what its API documents")
    }

    /// The one place that explains a failure status. GitHub uses one status for many
    /// causes, and proxies use the same ones, so the message of the reply is always
    /// shown.
    pub(super) fn refused(subject: &Subject<'_>, refusal: &Refusal<'_>) -> Self {
        let reason = refusal.reason();
        let (kind, cause, remedy) = match refusal.reply.status {
            StatusCode::UNAUTHORIZED => {
                let (cause, remedy) = refusal.unauthenticated();
                (ErrorKind::Unauthenticated, cause, Some(remedy.to_owned()))
            }
            _ if is_rate_limit(refusal.reply) => {
                (ErrorKind::RateLimited, format!("GitHub's rate limit is used up ({reason})"), None)
            }
            StatusCode::FORBIDDEN | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => {
                let is_permitted = subject.is_of_a_secret() && refusal.is_about_the_repository();
                let kind = if is_permitted { ErrorKind::Invalid } else { ErrorKind::Forbidden };
                (kind, format!("{} ({reason})", subject.refusal()), subject.hint(refusal))
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                let (cause, remedy) = subject.not_found();
                (ErrorKind::NotFound, format!("{cause} ({reason})"), remedy.map(str::to_owned))
            }
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
                (ErrorKind::Invalid, format!("{} ({reason})", subject.refusal()), None)
            }
            status if status.is_server_error() => {
                (ErrorKind::Unavailable, format!("GitHub server error ({reason})"), None)
            }
            _ => (ErrorKind::Unavailable, format!("GitHub answered {reason}"), None),
        };
        Self { remedy, ..Self::new(kind, subject, cause) }
    }
}

impl Refusal<'_> {
    /// The cause and the remedy of a 401.
    fn unauthenticated(&self) -> (String, &'static str) {
        let reason = self.reason();
        match self.signed_with {
            SignedWith::Token => (
                format!(
                    "GitHub rejected the credential in `CROSSFADE_GITHUB_TOKEN` ({reason}): it is wrong, expired or \
                     revoked"
                ),
                "Renew the GitHub credential in `CROSSFADE_GITHUB_TOKEN` (input `github-token`).",
            ),
            SignedWith::AppKey => (
                format!(
                    "GitHub rejected the GitHub App ({reason}): its id and its private key do not belong together, or \
                     the key was deleted"
                ),
                "Check `CROSSFADE_GITHUB_APP_ID` and renew `CROSSFADE_GITHUB_APP_PRIVATE_KEY` (inputs `github-app-id` \
                 and `github-app-private-key`).",
            ),
            SignedWith::InstallationToken => (
                format!("GitHub rejected the token that it had given the GitHub App ({reason})"),
                "Check that the GitHub App is still installed.",
            ),
        }
    }
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secrets(purpose) | Self::Environment(purpose) => purpose.fmt(f),
            Self::WriteCheck(purpose) => write!(f, "write check for {purpose}"),
            Self::Credential => f.write_str("GitHub credential"),
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
    fn is_of_a_secret(&self) -> bool {
        matches!(self, Self::Secrets(_) | Self::Environment(_) | Self::WriteCheck(_))
    }

    /// The user or organization that it belongs to.
    pub(super) fn owner(&self) -> &str {
        match self {
            Self::Secrets(purpose) | Self::Environment(purpose) | Self::WriteCheck(purpose) => {
                purpose.scope.owner()
            }
            Self::Credential => "",
            Self::Repositories(owner) | Self::Installation(owner) | Self::InstallationToken(owner) => owner,
        }
    }

    /// What a refusal means, without its reason.
    fn refusal(&self) -> &'static str {
        match self {
            Self::Secrets(_) | Self::Environment(_) => "GitHub refused the request",
            Self::WriteCheck(_) => "GitHub refused to write",
            Self::Credential => "GitHub refused to say whose it is",
            Self::Repositories(_) => "GitHub refused to list them",
            Self::Installation(_) => "GitHub refused to show the installation of the GitHub App",
            Self::InstallationToken(_) => "GitHub refused the GitHub App a token for its installation",
        }
    }

    /// The cause and the remedy of a 404.
    fn not_found(&self) -> (String, Option<&'static str>) {
        match self {
            Self::Secrets(purpose) | Self::Environment(purpose) => purpose.not_found(),
            Self::WriteCheck(_) => {
                let remedy = "Grant the GitHub credential the permission to write these secrets.";
                ("the GitHub credential can read there, but not write".to_owned(), Some(remedy))
            }
            Self::Credential => ("GitHub does not say whose it is".to_owned(), None),
            Self::Repositories(_) => {
                ("the owner does not exist, or the GitHub credential cannot see it".to_owned(), None)
            }
            Self::Installation(owner) => (
                format!("the GitHub App is not installed at {owner}"),
                Some("Install the GitHub App, from its page on GitHub."),
            ),
            Self::InstallationToken(owner) => (
                format!("the installation of the GitHub App at {owner} is gone"),
                Some("Install the GitHub App again, from its page on GitHub."),
            ),
        }
    }

    /// What to do about a 403, as far as GitHub's message gives the cause.
    fn hint(&self, refusal: &Refusal<'_>) -> Option<String> {
        let headers = &refusal.reply.headers;
        if refusal.requires_sso() {
            return Some(
                "Authorize the GitHub credential for the organization's single sign-on: open its settings on GitHub \
                 and choose \"Configure SSO\"."
                    .to_owned(),
            );
        }
        let permission = refusal.mentions("not accessible by").then(|| self.permission_hint(refusal));
        let scope = self.missing_scope(headers).map(|(_, remedy)| remedy);
        let hints: Vec<String> = permission.into_iter().chain(scope).collect();
        (!hints.is_empty()).then(|| hints.join(" "))
    }

    fn permission_hint(&self, refusal: &Refusal<'_>) -> String {
        let (permission, right) = match self {
            Self::Environment(_) => (ADMINISTRATION, "write"),
            Self::Secrets(Purpose { store, scope, .. }) | Self::WriteCheck(Purpose { store, scope, .. }) => {
                (Permission::of(*store, scope), "read and write")
            }
            Self::Credential | Self::Repositories(_) | Self::Installation(_) | Self::InstallationToken(_) => (METADATA, "read"),
        };
        let asked = accepted_permissions(&refusal.reply.headers);
        let asked = asked.map(|asked| format!(" (GitHub asks for {asked})")).unwrap_or_default();
        match refusal.signed_with {
            SignedWith::Token if refusal.mentions("by integration") => format!(
                "Use a fine-grained personal access token or a GitHub App with the {permission}: {right}{asked}. The \
                 workflow's own GITHUB_TOKEN can never have it."
            ),
            SignedWith::Token | SignedWith::AppKey => {
                format!("Grant the GitHub credential the {permission}: {right}{asked}.")
            }
            SignedWith::InstallationToken => format!(
                "Grant the GitHub App the {permission}: {right}{asked}, in its settings, and accept the change where \
                 it is installed."
            ),
        }
    }

    /// The scope that a classic token lacks; GitHub sends its scopes with every reply.
    fn missing_scope(&self, headers: &HeaderMap) -> Option<(String, String)> {
        let (Self::Secrets(purpose) | Self::Environment(purpose) | Self::WriteCheck(purpose)) = self else {
            return None;
        };
        missing_scope(&scopes(headers)?, purpose.scope)
    }
}

impl Purpose<'_> {
    fn not_found(&self) -> (String, Option<&'static str>) {
        let (cause, remedy) = match self.scope {
            Scope::Repository(_) => {
                ("the repository does not exist, or the GitHub credential cannot see it", None)
            }
            Scope::Environment { .. } => (
                "the environment does not exist, or the GitHub credential cannot see its repository",
                Some(
                    "Check the spelling, and that the GitHub credential has access; or set `create_environment: true` \
                     to have a missing environment created.",
                ),
            ),
            Scope::Organization(_) => {
                ("the organization does not exist, or the GitHub credential cannot see its secrets", None)
            }
        };
        let store = match self.has_every_store || self.store == Store::Actions {
            true => String::new(),
            false => format!(", or this GitHub server has no {} secrets", store_name(self.store)),
        };
        (format!("{cause}{store}"), remedy)
    }
}

/// The scopes of a classic token; `None`: it is another kind of credential, or has none.
pub(super) fn scopes(headers: &HeaderMap) -> Option<String> {
    let scopes = headers.get("x-oauth-scopes")?.to_str().ok()?.trim();
    (!scopes.is_empty()).then(|| scopes.to_owned())
}

/// Why a classic token with these scopes may not write there, and what to do; `None`: it
/// may. Source: GitHub's pages on the REST API for secrets.
pub(super) fn missing_scope(scopes: &str, scope: &Scope) -> Option<(String, String)> {
    let needed = if matches!(scope, Scope::Organization(_)) { "admin:org" } else { "repo" };
    if scopes.split(',').any(|one| one.trim() == needed) {
        return None;
    }
    Some((
        format!("the classic token in `CROSSFADE_GITHUB_TOKEN` lacks the scope \"{needed}\""),
        format!("Give the classic token the scope \"{needed}\"; its scopes are {}.", quoted(scopes)),
    ))
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
