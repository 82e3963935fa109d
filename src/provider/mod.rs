//! The services that issue tokens: one trait, one file each.
//!
//! A provider file holds the service's types and calls and nothing else. When
//! to mint, what to retire and what a lost reply means is policy, and lives in
//! [`crate::rotation`].
//!
//! To add a provider: one file, and one line in [`Kind`]'s table below.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::config::diagnostic::{Invalid, name_of, named};

/// Which service issues a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Axiom.
    Axiom,
}

impl Kind {
    /// Every provider with the name that it is written by.
    pub const NAMES: &[(&'static str, Self)] = &[("axiom", Self::Axiom)];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(Self::NAMES, *self))
    }
}

impl FromStr for Kind {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        named("provider", Self::NAMES, text)
    }
}

/// How the previous token stays alive after a mint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// The mint itself says when the previous token ends.
    Native,
    /// The previous token lives on until a later run retires it.
    AcrossRuns,
}

/// How a token of this provider comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// The provider ends it at a date that it reports.
    Native,
    /// Never by itself: it is replaced by its age.
    ByAge,
}

/// What is true of every token of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// How the previous token stays alive.
    pub overlap: Overlap,
    /// How a token comes to its end.
    pub expiry: Expiry,
    /// Whether a token can be disabled, and enabled again, before it is deleted.
    pub can_disable: bool,
}

/// A credential at the provider. Its value is known only when it is minted and
/// is never part of this type.
#[derive(Debug, Clone)]
pub struct Token {
    /// The provider's id.
    pub id: String,
    /// The name as people know it, without a marker.
    pub name: String,
    /// The text that may hold a marker: description, or the full name where the
    /// provider has no description.
    pub note: String,
    /// When the provider ends it; `None`: never, as far as it tells.
    pub expires_at: Option<Timestamp>,
    /// When it was made, where the provider tells.
    pub created_at: Option<Timestamp>,
    /// When it was last used, where the provider tells.
    pub last_used_at: Option<Timestamp>,
    /// Disabled by somebody, and can be enabled again.
    pub disabled: bool,
    /// Everything that it may do, normalised so that equal rights compare equal.
    pub privileges: Value,
    /// The provider's own JSON, without any secret, to build the successor from.
    pub raw: Map<String, Value>,
}

/// What a provider is asked to mint.
#[derive(Debug)]
pub struct Mint<'a> {
    /// The token that the new one succeeds; `None`: create from `template`.
    pub predecessor: Option<&'a Token>,
    /// Make the successor by creation even where the provider can regenerate.
    pub by_creation: bool,
    /// The rotation's `create`, for a token that is missing.
    pub template: Option<&'a Map<String, Value>>,
    /// The new token's name as people know it, without a marker.
    pub name: &'a str,
    /// The marker to put where this provider's tokens carry one.
    pub marker: &'a str,
    /// When the new token ends; `None` where the provider has no expiry.
    pub expires_at: Option<Timestamp>,
    /// When the predecessor ends, where overlap is native.
    pub predecessor_ends_at: Option<Timestamp>,
}

/// What a mint gave.
#[derive(Debug)]
pub struct Minted {
    /// The newborn.
    pub token: Token,
    /// Its value.
    pub value: SecretString,
}

/// What a probe of a new value told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// The provider accepts the value.
    Verified,
    /// The answer cannot tell *not accepted* from *accepted, not permitted*.
    Unverified,
    /// The provider does not accept the value (yet).
    Rejected,
}

/// How a token is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Can be undone.
    Disable,
    /// Cannot be undone.
    Delete,
}

/// A service that issues tokens.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What is true of all its tokens.
    fn profile(&self) -> Profile;

    /// Every token that the credential can see.
    async fn list(&self, credential: &SecretString) -> Result<Vec<Token>, Error>;

    /// One token by its id; `None` if there is no such token.
    async fn get(&self, credential: &SecretString, id: &str) -> Result<Option<Token>, Error>;

    /// Makes the successor. Sent once: the caller decides what a lost reply means.
    async fn mint(&self, credential: &SecretString, mint: &Mint<'_>) -> Result<Minted, Error>;

    /// Asks the provider whether it accepts a new value.
    async fn probe(&self, minted: &Minted, verify: Option<&str>) -> Result<Probe, Error>;

    /// Ends a token. A token that is already gone is no error.
    async fn end(&self, credential: &SecretString, token: &Token, ending: Ending) -> Result<(), Error>;

    /// Whether `credential` may be the value of `token`. `false` only when that
    /// is certain.
    fn may_be(&self, token: &Token, credential: &SecretString) -> bool;
}

/// What went wrong at a provider: one of a few kinds, whoever the provider is.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What callers branch on.
    pub kind: ErrorKind,
    /// One sentence for people; never part of a reply that may carry a value.
    pub message: String,
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
    /// The request collides with something that exists.
    Conflict,
    /// The provider refuses the request as it stands.
    Invalid,
    /// Too many requests.
    RateLimited,
    /// No answer, or one of a server in trouble; the request may have been processed.
    Unavailable,
    /// An answer that was not understood; the request may have been processed.
    Unreadable,
}

impl ErrorKind {
    /// Whether the provider has certainly *not* done what it was asked.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        !matches!(self, Self::RateLimited | Self::Unavailable | Self::Unreadable)
    }
}
