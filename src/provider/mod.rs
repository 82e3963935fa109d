//! The services that issue tokens: each is a file, and [`engine`] runs all of them.
//!
//! [`mod@file`] is what a file may say, [`catalogue()`] the files that ship with crossfade.
//! [`crate::rotation`] decides when to mint, what to retire and what a lost reply means.
//! `docs/providers.md` says how to write a file.

mod catalogue;
mod connection;
mod engine;
pub(crate) mod file;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value};
use url::Url;

use crate::diagnostic::{Invalid, named};

#[cfg(test)]
pub(crate) use catalogue::all_but_axiom_left_out;
pub(crate) use catalogue::{built_in, catalogue, origins};
pub(crate) use engine::Provider;
use file::ProviderFile;

/// The most characters of a marker: every field that carries one must hold so many.
pub(crate) const LONGEST_MARKER: usize = 64;

/// The variable by which a rotation says that its provider was proved, and its value.
pub(crate) const PROVED: &str = "proved";
pub(crate) const YES: &str = "yes";

/// Which service issues a token.
#[derive(Debug, Clone)]
pub(crate) struct Kind(Arc<ProviderFile>);

impl Kind {
    pub(crate) fn new(file: ProviderFile) -> Self {
        Self(Arc::new(file))
    }

    /// What the configuration calls it.
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn file(&self) -> &ProviderFile {
        &self.0
    }

    /// Whether a user wrote the file.
    pub(crate) fn is_own(&self) -> bool {
        self.0.source.is_none()
    }

    /// Whether the service itself shows that a token was replaced: by a creation date, or
    /// by the end of the previous token.
    pub(crate) fn shows_replacement(&self) -> bool {
        self.0.token.created.is_some() || self.0.regenerate.is_some() || self.0.set_expiry.is_some()
    }

    /// The origin of the public service, if there is one.
    pub(crate) fn origin(&self) -> Option<String> {
        self.0.api.as_ref().map(|api| api.origin().ascii_serialization())
    }
}

/// How to reach the service that issues a rotation's token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ProviderSettings {
    pub kind: Kind,
    /// Its origin, with or without the API's path; `None`: the public service.
    pub url: Option<Url>,
    /// What the rotation sets of the provider's variables. Of a secret one it is the
    /// environment variable that holds the value.
    pub with: BTreeMap<String, String>,
    pub credential: String,
}

impl ProviderSettings {
    /// The origin that the credential is sent to.
    pub(crate) fn origin(&self) -> String {
        let public = || self.kind.origin().unwrap_or_default();
        self.url.as_ref().map_or_else(public, |url| url.origin().ascii_serialization())
    }

    /// What no source states about the service, unless the rotation says that it was proved.
    pub(crate) fn unproved(&self) -> Option<&str> {
        self.kind.file().unproved.as_deref().filter(|_| !self.is_proved())
    }

    pub(crate) fn is_proved(&self) -> bool {
        self.with.get(PROVED).is_some_and(|value| value == YES)
    }

    /// The environment variables whose values are sent to the service.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = &String> {
        let is_secret = |name: &String| self.kind.file().variables.get(name).is_some_and(|one| one.is_secret);
        let further = self.with.iter().filter(move |(name, _)| is_secret(name)).map(|(_, variable)| variable);
        std::iter::once(&self.credential).chain(further)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let known: Vec<_> = catalogue().iter().map(|kind| (kind.name(), kind.clone())).collect();
        named("provider", &known, text)
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Kind {}

impl Hash for Kind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

/// What the tokens of a provider can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Profile {
    /// The mint sets the expiry of the previous token. Otherwise that stays valid until a later
    /// run retires it.
    pub has_native_overlap: bool,
    /// The provider ends a token at a date that it reports. Otherwise a token does not expire,
    /// and is replaced by its age.
    pub expires: bool,
    /// The marker stands in the name, because there is no description.
    pub marks_the_name: bool,
    /// The most characters that the marker's field holds; `None`: no limit is known.
    pub marker_max: Option<usize>,
    pub can_disable: bool,
    pub can_set_expiry: bool,
    /// The privileges change without the token being changed, so they are compared at the
    /// mint alone.
    pub has_effective_rights: bool,
}

/// A credential at the provider. Its value is known only when it is minted and
/// is never part of this type.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub id: String,
    /// As the provider keeps it.
    pub name: String,
    /// The text that may hold a marker: the description, or the name once more
    /// where the provider has no description.
    pub note: String,
    /// `None`, as of the dates below: the provider reports none.
    pub expires_at: Option<Timestamp>,
    pub created_at: Option<Timestamp>,
    /// When a user last changed it.
    pub changed_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    /// Disabled; can be enabled again.
    pub disabled: bool,
    /// Its privileges, canonicalized so that equal privileges compare equal.
    pub privileges: Value,
    /// The provider's own JSON, without any secret, to build the successor from.
    pub raw: Value,
}

/// The token to mint.
#[derive(Debug)]
pub(crate) struct Mint<'a> {
    /// The token that the new one succeeds; `None`: create from `template`.
    pub previous: Option<&'a Token>,
    /// Make the successor by creation even where the provider can regenerate.
    pub by_creation: bool,
    /// The rotation's `create`, for a token that is missing.
    pub template: Option<&'a Map<String, Value>>,
    /// The new token's name, where the provider keeps the marker elsewhere.
    pub name: &'a str,
    /// The new token's note, marker included: its description, or its whole name
    /// where the provider has no description.
    pub note: &'a str,
    /// By GitHub's clock.
    pub minted_at: Timestamp,
    /// `None` where the provider has no expiry.
    pub expires_at: Option<Timestamp>,
    /// `None` if the mint creates a token.
    pub previous_ends_at: Option<Timestamp>,
}

/// The result of a mint.
#[derive(Debug)]
pub(crate) struct Minted {
    pub token: Token,
    pub value: SecretString,
}

/// Whether the provider accepts a new value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verification {
    Verified,
    /// The reply does not distinguish *not accepted* from *accepted, not permitted*.
    Unverified,
    /// The provider does not accept the value (yet).
    Rejected,
}

/// How a token is retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetireAction {
    Disable,
    Delete,
}

/// What a request to a provider came to.
type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of any provider.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What callers branch on.
    pub kind: ErrorKind,
    /// One sentence for users; never contains part of a reply that may carry a value.
    pub message: String,
    /// How long the provider asks to wait before the next request.
    pub retry_after: Option<std::time::Duration>,
}

/// The kinds of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The credential is not accepted.
    Unauthenticated,
    /// The credential may not do this.
    Forbidden,
    /// No such token.
    NotFound,
    /// Conflict with something that exists.
    Conflict,
    /// The provider rejects the request as invalid.
    Invalid,
    /// Too many requests.
    RateLimited,
    /// No reply, or a server error; the request may have been processed.
    Unavailable,
    /// An unexpected reply; the request may have been processed.
    Unreadable,
}

impl Error {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None }
    }

    /// The request cannot be made as it stands.
    fn invalid(message: &str) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// The reply has an unexpected content.
    fn unreadable(what: &str) -> Self {
        Self::new(ErrorKind::Unreadable, format!("the provider's reply holds {what}"))
    }

    /// A success that does not mean that the request was carried out.
    fn unexpected(status: u16) -> Self {
        let message =
            format!("the provider answered {status} with an unexpected body; the token may still be valid");
        Self::new(ErrorKind::Unreadable, message)
    }

    /// The same error, for a request that followed a processed one, so it is no refusal
    /// of the whole.
    fn after_the_fact(self) -> Self {
        Self { kind: ErrorKind::Unreadable, ..self }
    }

    /// The same error, saying which request it is about, unless it is about the credential
    /// or the service as a whole.
    fn to(self, request: &str) -> Self {
        match self.kind {
            ErrorKind::Unauthenticated | ErrorKind::RateLimited | ErrorKind::Unavailable => self,
            _ => Self { message: format!("{request}: {}", self.message), ..self },
        }
    }
}

impl ErrorKind {
    /// Whether the error is about the token that the request names, and not about the
    /// credential.
    pub fn is_about_the_token(self) -> bool {
        matches!(self, Self::NotFound | Self::Conflict | Self::Invalid)
    }

    /// Whether the provider has certainly *not* processed the request.
    pub fn is_refusal(self) -> bool {
        !matches!(self, Self::RateLimited | Self::Unavailable | Self::Unreadable)
    }
}
