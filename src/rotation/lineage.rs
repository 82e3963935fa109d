//! Which of the provider's tokens belong to a rotation, and which destinations hold
//! them.
//!
//! A pure function of the provider's list and GitHub's timestamps. [`super::plan`]
//! decides what to do.

use jiff::{SignedDuration, Timestamp};

use super::error::RotationError;
use super::marker::{self, Marker, MarkerKeys};
use super::trust::{self, Believed, Ignored};
use crate::config::Rotation;
use crate::provider::Token;

/// How far the clocks of different servers may be apart.
pub const TOLERANCE: SignedDuration = SignedDuration::from_mins(2);

/// GitHub's clock and the provider's may be this far apart.
pub const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// One token of a rotation.
#[derive(Debug, Clone)]
pub struct Member {
    /// As the provider shows it.
    pub token: Token,
    /// Its marker; `None`: the original that the user named.
    pub marker: Option<Marker>,
    /// crossfade certainly wrote its marker: it is signed, or written by this run.
    pub is_proven: bool,
}

impl Member {
    /// Whether it is valid at `now`, according to the provider.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        !self.token.disabled && self.token.expires_at.is_none_or(|end| end > now)
    }

    /// When it was minted: by its marker, else by the provider's record.
    #[must_use]
    pub fn minted_at(&self) -> Option<Timestamp> {
        self.marker.as_ref().map(|marker| marker.minted_at).or(self.token.created_at)
    }

    /// Whether its run may still be delivering at `now`.
    #[must_use]
    pub fn window_is_open(&self, now: Timestamp) -> bool {
        self.marker.as_ref().is_some_and(|marker| now <= after(marker.until, TOLERANCE))
    }

    fn window_contains(&self, at: Timestamp) -> bool {
        self.marker
            .as_ref()
            .is_some_and(|m| before(m.minted_at, TOLERANCE) <= at && at <= after(m.until, TOLERANCE))
    }
}

/// What GitHub reports of one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// There is no such secret.
    Missing,
    /// The secret was last written then.
    UpdatedAt(Timestamp),
    /// It could not be read, and why.
    Unreadable(String),
}

/// The token that a destination holds, according to its timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// No secret, so no token.
    Nothing,
    /// The member with this index in the [`Lineage`].
    Member(usize),
    /// Written outside every window, or in more than one; or not readable.
    Unknown,
}

/// All tokens of one rotation, newest first; the original, if any, last.
#[derive(Debug, Clone, Default)]
pub struct Lineage {
    /// Newest first.
    pub members: Vec<Member>,
    /// Tokens with this rotation's marker that no run may act on.
    pub ignored: Vec<Ignored>,
    /// Whether a listed token carries a signature that one of the keys made.
    pub is_signed: bool,
    /// Whether the token is listed that the rotation's `trusted` names.
    pub has_trusted: bool,
}

impl Lineage {
    /// Picks a rotation's tokens out of everything that a credential can see.
    ///
    /// # Errors
    /// When a marker cannot be trusted, when several tokens match the name that
    /// the user gave, or when the named token belongs to another rotation.
    pub fn trace(
        rotation: &Rotation,
        tokens: &[Token],
        keys: &MarkerKeys,
        now: Timestamp,
    ) -> Result<Self, RotationError> {
        let mut marked: Vec<(&Token, Marker)> = Vec::new();
        let mut others: Vec<(&Token, Option<Marker>)> = Vec::new();
        for token in tokens {
            match Marker::find(&token.note) {
                Some(marker) if rotation.has_key(&marker.key) => marked.push((token, marker)),
                marker => others.push((token, marker)),
            }
        }
        let Believed { mut members, ignored, is_signed } = trust::believe(marked, keys, now)?;
        members.sort_by(|one, other| order(other).cmp(&order(one)));
        if let Some(original) = original(rotation, &others, members.is_empty())? {
            members.push(Member { token: original.clone(), marker: None, is_proven: false });
        }
        let mut lineage = Self { members, ignored, is_signed, has_trusted: false };
        trust::keep_trusted(rotation, &mut lineage, now);
        Ok(lineage)
    }

    /// A destination holds a token if it was written in that token's window and in no
    /// other's. The attempts of one run share a window; the last of them was delivered.
    #[must_use]
    pub fn holder(&self, observation: &Observation) -> Holder {
        let at = match observation {
            Observation::Missing => return Holder::Nothing,
            Observation::Unreadable(_) => return Holder::Unknown,
            Observation::UpdatedAt(at) => *at,
        };
        let mut candidates =
            self.members.iter().enumerate().filter(|(_, member)| member.window_contains(at)).map(|(i, _)| i);
        let Some(first) = candidates.next() else { return Holder::Unknown };
        let run = self.run(first);
        if candidates.any(|other| self.run(other) != run) {
            return Holder::Unknown;
        }
        // Only the last attempt of a run is delivered: an earlier write came from
        // elsewhere.
        match self.members.iter().position(|member| run_of(member) == run) {
            Some(last) if self.members[last].window_contains(at) && !self.is_copied(last) => {
                Holder::Member(last)
            }
            _ => Holder::Unknown,
        }
    }

    /// Whether a destination was written in the delivery window of a live token.
    pub(super) fn is_claimed(&self, observation: &Observation, now: Timestamp) -> bool {
        let Observation::UpdatedAt(at) = observation else { return false };
        self.members.iter().any(|member| member.is_live(now) && member.window_contains(*at))
    }

    /// Whether another token carries the same marker, such as a copy that a user made in
    /// the provider's pages.
    fn is_copied(&self, index: usize) -> bool {
        let Member { token, marker, .. } = &self.members[index];
        self.members.iter().any(|other| other.token.id != token.id && other.marker == *marker)
    }

    /// The other attempts of the run that minted this member.
    pub(super) fn siblings(&self, index: usize) -> impl Iterator<Item = &Member> {
        let others = self.members.iter().enumerate().filter(move |(other, _)| *other != index);
        others.map(|(_, other)| other).filter(move |other| run_of(other) == self.run(index))
    }

    /// Whether a destination may hold this member. `false` only when that is
    /// certain: it holds another, or it was last written before this was minted.
    #[must_use]
    pub fn may_hold(&self, observation: &Observation, index: usize) -> bool {
        let at = match observation {
            Observation::Missing => return false,
            Observation::Unreadable(_) => return true,
            Observation::UpdatedAt(at) => *at,
        };
        match self.holder(observation) {
            Holder::Nothing => false,
            Holder::Member(held) => held == index,
            Holder::Unknown => {
                let minted = self.members[index].marker.as_ref().map(|marker| marker.minted_at);
                minted.is_none_or(|minted| before(minted, TOLERANCE) <= at)
            }
        }
    }

    /// Whether no destination ever held this member: every one was last written before
    /// it was minted, or has no secret.
    #[must_use]
    pub fn never_taken(&self, observations: &[Observation], index: usize) -> bool {
        let Some(marker) = &self.members[index].marker else { return false };
        observations.iter().all(|observation| match observation {
            Observation::Missing => true,
            Observation::Unreadable(_) => false,
            Observation::UpdatedAt(at) => *at < before(marker.minted_at, TOLERANCE),
        })
    }

    /// The orphans according to the timestamps: live tokens newer than every delivered
    /// one that no destination received. A missing secret proves nothing (it may have
    /// been deleted or renamed), and neither do secrets that no earlier token of the
    /// rotation was written to, if there is one: the list of destinations may have
    /// changed.
    #[must_use]
    pub fn orphans(&self, observations: &[Observation], now: Timestamp) -> Vec<usize> {
        let is_there = |observation: &Observation| matches!(observation, Observation::UpdatedAt(_));
        let unreceived =
            (0..self.members.len()).take_while(|index| self.never_taken(observations, *index)).count();
        let is_delivered = |observation: &Observation| matches!(self.holder(observation), Holder::Member(held) if held >= unreceived);
        let is_first =
            self.members.iter().all(|other| other.marker.is_none() || run_of(other) == self.run(0));
        if !observations.iter().all(is_there) || !(is_first || observations.iter().any(is_delivered)) {
            return Vec::new();
        }
        (0..unreceived).filter(|index| self.members[*index].is_live(now)).collect()
    }

    /// Whether this member certainly belongs to this rotation: it carries its marker, or
    /// it is the original, named by its id or by a successor's marker. A name alone
    /// proves nothing: a user may have created another token of that name.
    #[must_use]
    pub fn is_ours(&self, rotation: &Rotation, index: usize) -> bool {
        let member = &self.members[index];
        let counts = |other: &&Member| other.is_proven || !self.is_signed;
        let named = |marker: &Marker| marker.names_original(&member.token.id);
        member.marker.is_some()
            || member.token.id == rotation.token
            || self.members.iter().filter(counts).filter_map(|other| other.marker.as_ref()).any(named)
    }

    /// The original, while the provider still shows it.
    #[must_use]
    pub fn original(&self) -> Option<&Token> {
        self.members.last().filter(|member| member.marker.is_none()).map(|member| &member.token)
    }

    fn run(&self, index: usize) -> Option<&str> {
        run_of(&self.members[index])
    }
}

/// The run that minted a token.
pub(super) fn run_of(member: &Member) -> Option<&str> {
    member.marker.as_ref().map(|marker| marker.run.as_str())
}

/// Newest last: by the second of the mint, then by attempt, then by run.
fn order(member: &Member) -> Option<(Timestamp, u32, &str)> {
    member.marker.as_ref().map(|marker| (marker.minted_at, marker.attempt, marker.run.as_str()))
}

/// The token that the user named, as it was before the first rotation.
fn original<'a>(
    rotation: &Rotation,
    others: &[(&'a Token, Option<Marker>)],
    must_exist: bool,
) -> Result<Option<&'a Token>, RotationError> {
    let named = &rotation.token;
    let taken_by = |token: &Token| {
        let markers = others.iter().filter_map(|(_, marker)| marker.as_ref());
        markers.into_iter().find(|marker| marker.names_original(&token.id))
    };
    if let Some((token, foreign)) = others.iter().find(|(token, _)| token.id == *named) {
        return match foreign {
            // It may be the original of a rotation that `formerly` does not list.
            None => match taken_by(token).filter(|_| must_exist) {
                None => Ok(Some(token)),
                Some(marker) => {
                    Err(RotationError::BelongsToAnother { id: token.id.clone(), marker: marker.to_string() })
                }
            },
            // Once this rotation has tokens of its own, those of others do not matter.
            Some(_) if !must_exist => Ok(None),
            Some(marker) => {
                Err(RotationError::BelongsToAnother { id: token.id.clone(), marker: marker.to_string() })
            }
        };
    }
    let by_name = || others.iter().filter(|(token, _)| marker::strip(&token.name) == *named);
    let unmarked: Vec<&'a Token> =
        by_name().filter(|(_, marker)| marker.is_none()).map(|(token, _)| *token).collect();
    match unmarked.as_slice() {
        [one] => match taken_by(one) {
            None => Ok(Some(one)),
            Some(_) if !must_exist => Ok(None),
            Some(marker) => {
                Err(RotationError::BelongsToAnother { id: one.id.clone(), marker: marker.to_string() })
            }
        },
        [] => match by_name().find_map(|(token, marker)| Some((token, marker.as_ref()?))) {
            Some((token, marker)) if must_exist => {
                Err(RotationError::BelongsToAnother { id: token.id.clone(), marker: marker.to_string() })
            }
            _ => Ok(None),
        },
        // After the first rotation, the name alone does not identify the original.
        _ if !must_exist => Ok(None),
        several => Err(RotationError::SeveralMatch {
            name: named.clone(),
            ids: several.iter().map(|token| token.id.clone()).collect(),
        }),
    }
}

/// `at + by`, or the end of time.
pub(super) fn after(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// `at - by`, or the beginning of time.
pub(super) fn before(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests;
