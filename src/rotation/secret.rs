//! What is known of one secret: GitHub's report, this run's write, and the token that it
//! holds as far as both tell.

use jiff::Timestamp;

use super::lineage::{Member, TOLERANCE, before};
use crate::github::{Error, Evidence, WriteError};

#[derive(Debug, Clone)]
pub(super) struct Secret {
    /// When it was last written, by GitHub before this run wrote; `Ok(None)`: it does not exist.
    pub(super) observation: Result<Option<Timestamp>, Error>,
    /// What the preflight found; an error if the secret cannot be written.
    pub(super) preflight: Result<Evidence, Error>,
    /// `None`: no write was tried. A success has the time at which GitHub had acknowledged it.
    pub(super) write: Option<Result<Timestamp, WriteError>>,
}

impl Secret {
    pub(super) fn new(observation: Result<Option<Timestamp>, Error>) -> Self {
        Self { observation, preflight: Ok(Evidence::default()), write: None }
    }

    /// Why it is not written: it could not be read, or cannot be written.
    pub(super) fn blocked(&self) -> Option<&Error> {
        self.observation.as_ref().err().or(self.preflight.as_ref().err())
    }

    /// Why it was not read or not written.
    pub(super) fn failure(&self) -> Option<&Error> {
        match &self.write {
            Some(written) => written.as_ref().err().map(|failed| &failed.error),
            None => self.blocked(),
        }
    }

    pub(super) fn is_written(&self) -> bool {
        matches!(self.write, Some(Ok(_)))
    }
}

/// The state of a secret: the token that it holds, as far as that is known.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holder<'a> {
    /// This one, written at that time in its delivery window and in no other's.
    Token(&'a Member, Timestamp),
    /// Last written at that time, outside every window or in more than one. Without a
    /// time: this run's write may have taken place.
    Unknown(Option<Timestamp>),
    Missing,
    /// It could not be read, or cannot be written.
    NotRead,
}

impl<'a> Holder<'a> {
    pub(super) fn token(self) -> Option<&'a Member> {
        if let Self::Token(member, _) = self { Some(member) } else { None }
    }

    pub(super) fn is(self, member: &Member) -> bool {
        self.token().is_some_and(|held| held.is(member))
    }

    /// When the secret was last written, if that is known.
    pub(super) fn written_at(self) -> Option<Timestamp> {
        match self {
            Self::Token(_, at) => Some(at),
            Self::Unknown(at) => at,
            Self::Missing | Self::NotRead => None,
        }
    }

    /// Whether the secret may hold this token. `false` only when that is certain: it holds
    /// another, or it was last written before this one was minted.
    pub(super) fn may_be(self, member: &Member) -> bool {
        match self {
            Self::Missing => false,
            Self::NotRead | Self::Unknown(None) => true,
            Self::Token(held, _) => held.is(member),
            Self::Unknown(Some(at)) => {
                let minted = member.marker.as_ref().map(|marker| marker.minted_at);
                minted.is_none_or(|minted| before(minted, TOLERANCE) <= at)
            }
        }
    }

    /// Whether the secret certainly never held this token: it was last written before the
    /// token was minted, or does not exist.
    pub(super) fn never_was(self, member: &Member) -> bool {
        match (self, &member.marker) {
            (_, None) => false,
            (Self::Missing, _) => true,
            (_, Some(marker)) => self.written_at().is_some_and(|at| at < before(marker.minted_at, TOLERANCE)),
        }
    }
}
