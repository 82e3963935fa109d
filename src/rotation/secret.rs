//! What is known of one secret: GitHub's report, this run's write, and the token that it
//! holds as far as both tell.

use jiff::Timestamp;

use super::lineage::{Member, TOLERANCE, before};
use crate::github::Error;

/// What GitHub reports of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Observation {
    Missing,
    UpdatedAt(Timestamp),
    /// It could not be read, and why.
    NotRead(Error),
}

/// The result of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Write {
    /// GitHub acknowledged it, at this time at the latest.
    Written(Timestamp),
    /// GitHub did not apply it, and will refuse it again.
    Refused(Error),
    /// It failed, but GitHub may have applied it.
    Unconfirmed(Error),
}

/// One secret in this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Secret {
    /// As GitHub reported it before anything was written.
    pub(super) observation: Observation,
    /// Why it cannot be written, if the preflight found a reason.
    pub(super) obstacle: Option<Error>,
    /// The preflight showed that it can be written.
    pub(super) is_writable: bool,
    /// Its environment does not exist yet.
    pub(super) lacks_environment: bool,
    /// `None`: no write was tried.
    pub(super) write: Option<Write>,
}

impl Secret {
    pub(super) fn new(observation: Observation) -> Self {
        Self { observation, obstacle: None, is_writable: false, lacks_environment: false, write: None }
    }

    /// Why it is not written: it could not be read, or cannot be written.
    pub(super) fn blocked(&self) -> Option<&Error> {
        match &self.observation {
            Observation::NotRead(why) => Some(why),
            _ => self.obstacle.as_ref(),
        }
    }

    /// Why it was not read or not written.
    pub(super) fn failure(&self) -> Option<&Error> {
        match &self.write {
            Some(Write::Written(_)) => None,
            Some(Write::Refused(why) | Write::Unconfirmed(why)) => Some(why),
            None => self.blocked(),
        }
    }

    pub(super) fn is_written(&self) -> bool {
        matches!(self.write, Some(Write::Written(_)))
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
    /// There is no such secret.
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
