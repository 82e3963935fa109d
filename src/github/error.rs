//! Errors of GitHub: a few kinds, each with its cause and often with a remedy.

mod subject;

use std::fmt;

use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use super::peer::is_rate_limit;
use crate::config::Scope;
use crate::error_code::ErrorCode;
use crate::http::{HttpError, Reply, text_of_page};
use crate::redact::Redactor;
pub(super) use subject::Subject;

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

/// What a request to GitHub came to.
pub(super) type Result<T, E = Error> = std::result::Result<T, E>;

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
    /// The delivery window was over before a write, or before its acknowledgement: in the
    /// latter case the secret *is* written.
    Late,
}

impl ErrorKind {
    /// Whether GitHub refused, and will refuse again.
    pub(crate) fn is_refusal(self) -> bool {
        matches!(self, Self::Unauthenticated | Self::Forbidden | Self::NotFound | Self::Invalid)
    }
}

/// Why a write failed.
#[derive(Debug, Clone)]
pub(crate) struct WriteError {
    /// Certainly not written, and GitHub will refuse it again.
    pub refused: bool,
    pub error: Error,
}

/// The credential of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignedWith {
    /// `CROSSFADE_GITHUB_TOKEN`.
    Token,
    /// `CROSSFADE_ISSUE_TOKEN`.
    IssueToken,
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
    pub fn new(kind: ErrorKind, about: impl fmt::Display, cause: impl Into<String>) -> Self {
        Self { kind, about: about.to_string(), cause: cause.into(), remedy: None }
    }

    /// The same with a remedy.
    pub(crate) fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// Whether GitHub may have applied the request all the same.
    pub(crate) fn may_have_been_applied(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::Unreadable)
    }

    /// Whether one sentence about both would do.
    pub(crate) fn has_same_cause(&self, other: &Self) -> bool {
        self.kind == other.kind && self.cause == other.cause && self.remedy == other.remedy
    }

    /// The code, whose section in the docs explains the error.
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
            _ => ErrorKind::Unavailable,
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
                let (cause, remedy) = unauthenticated(refusal.signed_with, &reason);
                (ErrorKind::Unauthenticated, cause, Some(remedy))
            }
            _ if is_rate_limit(refusal.reply) => {
                (ErrorKind::RateLimited, format!("GitHub's rate limit is used up ({reason})"), None)
            }
            StatusCode::FORBIDDEN | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => {
                let is_permitted = subject.is_of_a_secret() && refusal.is_about_the_repository();
                let kind = if is_permitted { ErrorKind::Invalid } else { ErrorKind::Forbidden };
                (kind, format!("{} ({reason})", subject.refusal()), subject.hint(refusal))
            }
            StatusCode::GONE if matches!(subject, Subject::Issues(_)) => {
                let cause = format!("issues are disabled there, or the issue was deleted ({reason})");
                let remedy = "Enable them in the repository's settings, or name another repository with \
                              `--report-issue`.";
                (ErrorKind::Invalid, cause, Some(remedy.to_owned()))
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                let (cause, remedy) = subject.not_found(&refusal.reply.url);
                (ErrorKind::NotFound, format!("{cause} ({reason})"), remedy.map(str::to_owned))
            }
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => (
                ErrorKind::Invalid,
                format!("{} ({reason})", subject.refusal()),
                subject.invalid_hint(refusal),
            ),
            status if status.is_server_error() => {
                (ErrorKind::Unavailable, format!("GitHub server error ({reason})"), None)
            }
            _ => (ErrorKind::Unavailable, format!("GitHub answered {reason}"), None),
        };
        Self { remedy, ..Self::new(kind, subject, cause) }
    }
}

/// The cause and the remedy of a 401.
fn unauthenticated(signed_with: SignedWith, reason: &str) -> (String, String) {
    let renew = |what, variable, input| {
        (
            format!(
                "GitHub rejected the credential in `{variable}` ({reason}): it is wrong, expired or revoked"
            ),
            format!("Renew the {what} in `{variable}` (input `{input}`)."),
        )
    };
    match signed_with {
        SignedWith::Token => renew("GitHub credential", "CROSSFADE_GITHUB_TOKEN", "github-token"),
        SignedWith::IssueToken => renew("credential", "CROSSFADE_ISSUE_TOKEN", "issue-token"),
        SignedWith::AppKey => (
            format!(
                "GitHub rejected the GitHub App ({reason}): its id and its private key do not belong together, or the key \
                 was deleted"
            ),
            "Check `CROSSFADE_GITHUB_APP_ID` and renew `CROSSFADE_GITHUB_APP_PRIVATE_KEY` (inputs `github-app-id` and \
             `github-app-private-key`)."
                .to_owned(),
        ),
        SignedWith::InstallationToken => (
            format!("GitHub rejected the token that it had given the GitHub App ({reason})"),
            "Check that the GitHub App is still installed.".to_owned(),
        ),
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

/// Text from outside, in quotes: one line without control characters, at most 300
/// characters, without anything that looks like a credential. The report removes the
/// secrets of this run when it is printed.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", Redactor::new().line(text).replace('"', "'"))
}

/// Why a request was refused: GitHub's `message` and what its `errors` add, or the
/// text of a page or of any other answer, which a proxy may have given.
pub(super) fn reason_of(body: &[u8]) -> String {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return text_of_page(body);
    };
    let Some(message) = answer.get("message").and_then(Value::as_str) else {
        let is_empty = answer.is_null() || answer.as_object().is_some_and(Map::is_empty);
        return if is_empty { String::new() } else { text_of_page(body) };
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
