//! The advice after a failure: which token each destination holds, until when it is
//! valid, and what the next run will do.
//!
//! Formats what a [`RotationRun`] knows, and claims nothing beyond its timestamps.

use jiff::Timestamp;

use super::apply::RotationRun;
use super::error::{RotationError, some};
use super::lineage::Member;
use super::secret::{Holder, Write};
use crate::config::Rotation;
use crate::provider::{self, ErrorKind};

/// Groups of destinations described, so that what to do is not cut off.
const GROUPS: usize = 3;

/// What a destination holds, as far as it is known.
#[derive(Debug, Clone, Copy)]
enum Holds<'a> {
    /// By its timestamp, or because it acknowledged the write.
    Certainly(&'a Member),
    /// crossfade never wrote it; the user's configuration says that it holds the
    /// original.
    Presumably(&'a Member),
    /// A write was not acknowledged: it holds the new token, or what it held before.
    NewTokenOrBefore(&'a Member),
    /// There is no such secret.
    Nothing,
    /// It could not be read, or something other than crossfade wrote it.
    Unknown,
}

/// The advice that follows a failure.
pub(super) fn advice(rotation: &Rotation, run: &RotationRun, error: &RotationError) -> String {
    let mut said = Vec::new();
    if let Some(now) = run.now {
        let members = &run.lineage.members;
        let mut groups: Vec<(Holds<'_>, Vec<String>)> = Vec::new();
        for (index, secret) in rotation.secrets.iter().enumerate() {
            let (holds, name) = (holds(run, index), secret.destination.to_string());
            match groups.iter_mut().find(|(other, _)| other.is(holds)) {
                Some((_, names)) => names.push(name),
                None => groups.push((holds, vec![name])),
            }
        }
        // By kind, and each kind by its token, the newest first.
        groups.sort_by_key(|(holds, _)| {
            let is_held = |member: &Member| holds.token().is_some_and(|held| held.is(member));
            (holds.rank(), members.iter().position(is_held))
        });
        let is_named = |member: &Member| {
            groups.iter().filter_map(|(holds, _)| holds.token()).any(|named| named.is(member))
        };
        let others = members.iter().filter(|member| member.is_live(now) && !is_named(member));
        let others: Vec<String> = others.map(|member| described(member, now)).collect();
        let sentences = groups.iter().take(GROUPS).map(|(holds, names)| sentence(*holds, names, now));
        said.extend(sentences);
        let rest: usize = groups.iter().skip(GROUPS).map(|(_, names)| names.len()).sum();
        if rest > 0 {
            said.push(format!("{rest} more secrets hold something else: see the report"));
        }
        if !others.is_empty() {
            said.push(format!("Besides, valid: {}", some(&others)));
        } else if !members.is_empty() && !members.iter().any(|member| member.is_live(now)) {
            said.push("No token of this rotation is valid any more".to_owned());
        }
    } else {
        said.push(
            "Nothing was changed: what the secrets hold stays valid until it ends by itself".to_owned(),
        );
    }
    said.extend(remedy(rotation, error));
    said.push(error.next_run().to_owned());
    said.join(". ")
}

/// What the user can do, where the error itself does not say it.
fn remedy(rotation: &Rotation, error: &RotationError) -> Option<String> {
    match error {
        RotationError::Observe(error) | RotationError::MintRefused(error) => {
            remedy_at_provider(rotation, error)
        }
        RotationError::NoClock => {
            Some("Try again; a proxy in between must pass on the header `Date`".to_owned())
        }
        RotationError::ClocksDiffer { .. } => Some("Set the clock that is wrong, then run again".to_owned()),
        RotationError::Unreadable { .. }
        | RotationError::DestinationNotRead { .. }
        | RotationError::Undelivered { .. } => {
            Some("Mend what GitHub says of the destination, or take it out of the rotation".to_owned())
        }
        RotationError::PatternUnreadable { .. } => Some("Mend what GitHub says, then run again".to_owned()),
        _ => None,
    }
}

fn remedy_at_provider(rotation: &Rotation, error: &provider::Error) -> Option<String> {
    let variable = &rotation.provider.credential;
    Some(match error.kind {
        ErrorKind::Unauthenticated => format!("Put a credential that the provider accepts into {variable}"),
        ErrorKind::Forbidden => format!("Give the credential in {variable} what it needs"),
        ErrorKind::NotFound => "Check `provider_url` and what the credential may see".to_owned(),
        ErrorKind::RateLimited | ErrorKind::Unavailable => {
            "Wait for the next scheduled run, or try again in a few minutes".to_owned()
        }
        ErrorKind::Unreadable => "Check `provider_url`: something else seems to answer there".to_owned(),
        ErrorKind::Conflict | ErrorKind::Invalid => return None,
    })
}

/// What a group of destinations holds.
fn sentence(holds: Holds<'_>, names: &[String], now: Timestamp) -> String {
    let hold = if names.len() == 1 { "holds" } else { "hold" };
    let token = holds.token().map(|member| described(member, now)).unwrap_or_default();
    let names = some(names);
    match holds {
        Holds::Certainly(_) => format!("{names} {hold} {token}"),
        Holds::Presumably(_) => {
            format!("{names} {hold} what was there before the first rotation, presumably {token}")
        }
        Holds::NewTokenOrBefore(_) => format!("{names} {hold} {token} or what was there before"),
        Holds::Nothing => format!("{names} {hold} nothing yet"),
        Holds::Unknown => format!("What {names} {hold} cannot be told"),
    }
}

impl<'a> Holds<'a> {
    fn token(self) -> Option<&'a Member> {
        match self {
            Self::Certainly(member) | Self::Presumably(member) | Self::NewTokenOrBefore(member) => {
                Some(member)
            }
            Self::Nothing | Self::Unknown => None,
        }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Certainly(_) => 0,
            Self::Presumably(_) => 1,
            Self::NewTokenOrBefore(_) => 2,
            Self::Nothing => 3,
            Self::Unknown => 4,
        }
    }

    fn is(self, other: Self) -> bool {
        let id = |holds: Self| holds.token().map(Member::id);
        self.rank() == other.rank() && id(self) == id(other)
    }
}

fn holds(run: &RotationRun, index: usize) -> Holds<'_> {
    let minted = run.lineage.minted();
    let secret = run.secrets.get(index);
    match (secret.and_then(|secret| secret.write.as_ref()), minted) {
        (Some(Write::Written(_)), Some(minted)) => return Holds::Certainly(minted),
        (Some(Write::Unconfirmed(_)), Some(minted)) => return Holds::NewTokenOrBefore(minted),
        _ => {}
    }
    let is_older = |member: &&Member| minted.is_none_or(|minted| !minted.is(member));
    let older: Vec<&Member> = run.lineage.members.iter().filter(is_older).collect();
    let is_changing = run.error.as_ref().is_some_and(RotationError::is_another_run);
    let is_there = secret.is_some_and(|secret| run.lineage.holder(secret).written_at().is_some());
    if let ([original], true, false) = (older.as_slice(), is_there, is_changing)
        && original.marker.is_none()
    {
        return Holds::Presumably(original);
    }
    match run.holder(index) {
        Holder::Token(member, _) => Holds::Certainly(member),
        Holder::Missing => Holds::Nothing,
        Holder::Unknown(_) | Holder::NotRead => Holds::Unknown,
    }
}

fn described(member: &Member, now: Timestamp) -> String {
    let id = &member.token.id;
    match member.token.expires_at {
        _ if member.token.disabled => format!("token {id} (disabled)"),
        Some(end) if end <= now => format!("token {id} (ended at {end:.0})"),
        Some(end) => format!("token {id} (until {end:.0})"),
        None => format!("token {id} (without an end)"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{day, minted};
    use super::*;

    #[test]
    fn a_token_is_described_with_its_expiry() {
        let sentences = |end, disabled| {
            let mut member = minted("tok", day(0), end);
            member.token.disabled = disabled;
            described(&member, day(10))
        };
        assert_eq!(sentences(Some(day(20)), false), "token tok (until 2026-03-22T08:00:00Z)");
        assert_eq!(sentences(Some(day(10)), false), "token tok (ended at 2026-03-12T08:00:00Z)");
        assert_eq!(sentences(None, false), "token tok (without an end)");
        assert_eq!(sentences(None, true), "token tok (disabled)");
    }
}
