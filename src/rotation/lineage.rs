//! Which of the provider's tokens belong to a rotation, and which destinations hold them.
//!
//! A pure function of the provider's list and GitHub's timestamps. [`super::plan`]
//! decides what to do.

use jiff::{SignedDuration, Timestamp};

use super::error::RotationError;
use super::marker::{self, Marker, MarkerKeys};
use super::secret::{Holder, Secret};
use super::trust::{self, Ignored};
use crate::config::Rotation;
use crate::github::WriteError;
use crate::provider::Token;

/// How far the clocks of different servers may be apart.
pub(super) const TOLERANCE: SignedDuration = SignedDuration::from_mins(2);

/// GitHub's clock and the provider's may be this far apart.
pub(super) const SKEW: SignedDuration = SignedDuration::from_mins(5);

#[derive(Debug, Clone)]
pub(super) struct Member {
    /// As the provider shows it.
    pub(super) token: Token,
    /// `None`: the original that the user named.
    pub(super) marker: Option<Marker>,
    /// crossfade certainly wrote its marker: it is signed, or written by this run.
    pub(super) is_proven: bool,
}

impl Member {
    pub(super) fn id(&self) -> String {
        self.token.id.clone()
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.token.id == other.token.id
    }

    /// Whether it is valid at `now`, according to the provider.
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        !self.token.disabled && self.token.expires_at.is_none_or(|end| end > now)
    }

    /// When it was minted: by its marker, else by the provider's record.
    pub(super) fn minted_at(&self) -> Option<Timestamp> {
        self.marker.as_ref().map(|marker| marker.minted_at).or(self.token.created_at)
    }

    /// Whether its run may still be delivering at `now`.
    pub(super) fn window_is_open(&self, now: Timestamp) -> bool {
        self.marker.as_ref().is_some_and(|marker| now <= after(marker.until, TOLERANCE))
    }

    fn window_contains(&self, at: Timestamp) -> bool {
        let begins_by = |marker: &Marker| before(marker.minted_at, TOLERANCE) <= at;
        self.marker.as_ref().is_some_and(begins_by) && self.window_is_open(at)
    }

    pub(super) fn run(&self) -> Option<&str> {
        self.marker.as_ref().map(|marker| marker.run.as_str())
    }
}

/// All tokens of one rotation, newest first; the original, if any, last.
#[derive(Debug, Clone, Default)]
pub(super) struct Lineage {
    pub(super) members: Vec<Member>,
    /// Tokens with this rotation's marker that no run may act on.
    pub(super) ignored: Vec<Ignored>,
    /// Whether a listed token carries a signature that one of the keys made.
    pub(super) is_signed: bool,
    /// Whether the token is listed that the rotation's `trusted` names.
    pub(super) has_trusted: bool,
    /// The token that this run minted.
    pub(super) minted: Option<String>,
}

impl Lineage {
    /// Picks a rotation's tokens out of everything that a credential can see. Fails when a
    /// marker cannot be trusted, when several tokens match the name that the user gave, or
    /// when the named token belongs to another rotation.
    pub(super) fn trace(
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
        let mut lineage = trust::believe(marked, keys, now)?;
        lineage.members.sort_by(|one, other| order(other).cmp(&order(one)));
        if let Some(original) = original(rotation, &others, lineage.members.is_empty())? {
            lineage.members.push(Member { token: original.clone(), marker: None, is_proven: false });
        }
        trust::keep_trusted(rotation, &mut lineage, now);
        Ok(lineage)
    }

    /// Adds the token that this run minted. A token that this run ended may have had the
    /// same id, which the provider used again.
    pub(super) fn add_minted(&mut self, member: Member) {
        self.members.retain(|other| !other.is(&member));
        self.minted = Some(member.id());
        self.members.insert(0, member);
    }

    /// Records the expiry that this run gave to a previous token.
    pub(super) fn set_expiry_of(&mut self, previous: Option<&Token>) {
        let Some(previous) = previous else { return };
        for member in self.members.iter_mut().filter(|member| member.token.id == previous.id) {
            member.token.expires_at = previous.expires_at;
        }
    }

    /// The token that this run minted, if it can be used.
    pub(super) fn minted(&self) -> Option<&Member> {
        self.get(self.minted.as_ref()?)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.token.id == id)
    }

    pub(super) fn is_newer(&self, one: &Member, other: &Member) -> bool {
        let mut both = self.members.iter().filter(|member| member.is(one) || member.is(other));
        !one.is(other) && both.next().is_some_and(|newer| newer.is(one))
    }

    /// The token that a secret holds: the one that this run wrote, or the one in whose
    /// delivery window alone it was last written.
    pub(super) fn holder(&self, secret: &Secret) -> Holder<'_> {
        let at = match (&secret.write, &secret.observation) {
            (Some(Ok(at)), _) => {
                return self.minted().map_or(Holder::Unknown(Some(*at)), |minted| Holder::Token(minted, *at));
            }
            (Some(Err(WriteError { refused: false, .. })), _) => return Holder::Unknown(None),
            _ if secret.blocked().is_some() => return Holder::NotRead,
            (_, Ok(Some(at))) => *at,
            _ => return Holder::Missing,
        };
        match self.written_at(at) {
            // It was written right before the mint, and refused the new token.
            Some(member) if secret.write.is_some() && self.minted.as_ref() == Some(&member.token.id) => {
                Holder::Unknown(None)
            }
            Some(member) => Holder::Token(member, at),
            None => Holder::Unknown(Some(at)),
        }
    }

    /// The token in whose window alone this time lies. The attempts of one run share a window.
    fn written_at(&self, at: Timestamp) -> Option<&Member> {
        let mut candidates = self.members.iter().filter(|member| member.window_contains(at));
        let run = candidates.next()?.run();
        if candidates.any(|other| other.run() != run) {
            return None;
        }
        // Only the last attempt of a run is delivered: an earlier write came from elsewhere.
        let last = self.members.iter().find(|member| member.run() == run)?;
        (last.window_contains(at) && !self.is_copied(last)).then_some(last)
    }

    /// Whether a secret was written in the delivery window of a live token.
    pub(super) fn is_claimed(&self, holder: Holder<'_>, now: Timestamp) -> bool {
        let Some(at) = holder.written_at() else { return false };
        self.members.iter().any(|member| member.is_live(now) && member.window_contains(at))
    }

    /// Whether another token carries the same marker: a user may copy a token at the provider.
    fn is_copied(&self, member: &Member) -> bool {
        self.members.iter().any(|other| !other.is(member) && other.marker == member.marker)
    }

    /// The other attempts of the run that minted this token.
    pub(super) fn siblings(&self, member: &Member) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |other| !other.is(member) && other.run() == member.run())
    }

    /// Whether this member certainly belongs to this rotation: it carries its marker, or
    /// it is the original, named by its id or by a successor's marker. A name alone
    /// proves nothing: a user may have created another token of that name.
    pub(super) fn is_ours(&self, rotation: &Rotation, member: &Member) -> bool {
        let counts = |other: &&Member| other.is_proven || !self.is_signed;
        let named = |marker: &Marker| marker.names_original(&member.token.id);
        member.marker.is_some()
            || member.token.id == rotation.token
            || self.members.iter().filter(counts).filter_map(|other| other.marker.as_ref()).any(named)
    }

    /// The newest token of the rotation, if `named` is another token that the user's `token`
    /// names since: it has another name and no marker, and no marker names it as the original.
    pub(super) fn renamed_from(&self, named: &Member) -> Option<&Member> {
        let own = self.members.iter().find(|member| member.marker.is_some())?;
        let markers = || self.members.iter().filter_map(|member| member.marker.as_ref());
        let is_another = named.marker.is_none()
            && marker::strip(&named.token.name) != marker::strip(&own.token.name)
            && !markers().any(|marker| marker.names_original(&named.token.id));
        is_another.then_some(own)
    }

    /// The original, while the provider still shows it.
    pub(super) fn original(&self) -> Option<&Token> {
        let is_original = |member: &&Member| member.marker.is_none() && self.renamed_from(member).is_none();
        self.members.last().filter(is_original).map(|member| &member.token)
    }
}

/// Newest last: by the second of the mint, then by attempt, then by run.
fn order(member: &Member) -> Option<(Timestamp, u32, &str)> {
    member.marker.as_ref().map(|marker| (marker.minted_at, marker.attempt, marker.run.as_str()))
}

/// The token that the user named, as it was before the first rotation. An id comes before
/// a name, and a token without a marker before one of another rotation.
fn original<'a>(
    rotation: &Rotation,
    others: &[(&'a Token, Option<Marker>)],
    must_exist: bool,
) -> Result<Option<&'a Token>, RotationError> {
    let named = &rotation.token;
    // The token whose marker says that it belongs to another rotation, and that marker.
    let taken_by = |token: &'a Token, marker: &Option<Marker>| {
        let own = marker.clone().map(|marker| (token, marker));
        let mut marked = others.iter().filter_map(|(other, marker)| Some((*other, marker.as_ref()?)));
        own.or_else(|| {
            marked
                .find(|(_, marker)| marker.names_original(&token.id))
                .map(|(other, marker)| (other, marker.clone()))
        })
    };
    let by_id = others.iter().find(|(token, _)| token.id == *named);
    let by_name = || others.iter().filter(|(token, _)| marker::strip(&token.name) == *named);
    let unmarked = by_name().filter(|(_, marker)| marker.is_none());
    let mut candidates: Vec<_> = by_id.map_or_else(|| unmarked.collect(), |one| vec![one]);
    if candidates.is_empty() {
        candidates.extend(by_name().next());
    }
    match candidates.as_slice() {
        [(token, marker)] => match taken_by(token, marker) {
            None => Ok(Some(token)),
            Some((marked, foreign)) if must_exist => Err(RotationError::BelongsToAnother {
                id: marked.id.clone(),
                rotation: rotation.name.clone(),
                repository: rotation.repository.to_string(),
                marker: foreign.to_string(),
            }),
            // Once this rotation has tokens of its own, those of others do not matter.
            Some(_) => Ok(by_id.filter(|_| marker.is_none()).map(|_| *token)),
        },
        [_, ..] if must_exist => Err(RotationError::SeveralMatch {
            name: named.clone(),
            ids: candidates.iter().map(|(token, _)| token.id.clone()).collect(),
        }),
        // After the first rotation, the name alone does not identify the original.
        _ => Ok(None),
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
