//! The advice after a failure: which token each destination holds, until when it is
//! valid, and what the next run will do.
//!
//! Formats what a [`RotationRun`] knows, and claims nothing beyond its timestamps.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::apply::RotationRun;
use super::error::{RotationError, some};
use super::lineage::Member;
use super::secret::{Holder, Secret, Write};
use crate::config::Rotation;
use crate::provider::{self, ErrorKind};

/// Groups of destinations described, so that what to do is not cut off.
const GROUPS: usize = 3;

/// How far it is known what a destination holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Holds {
    /// By its timestamp, or because it acknowledged the write.
    Certainly,
    /// crossfade never wrote it; the user's configuration says that it holds the
    /// original.
    Presumably,
    /// A write was not acknowledged: it holds the new token, or what it held before.
    NewTokenOrBefore,
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
        // By how far it is known, then by token, the newest first.
        let mut groups: BTreeMap<(Holds, Option<usize>), Vec<String>> = BTreeMap::new();
        for (index, secret) in rotation.secrets.iter().enumerate() {
            let (holds, token) = holds(run, index);
            let age = token.and_then(|token| members.iter().position(|member| member.is(token)));
            groups.entry((holds, age)).or_default().push(secret.destination.to_string());
        }
        let token = |age: &Option<usize>| members.get((*age)?);
        for ((holds, age), names) in groups.iter().take(GROUPS) {
            said.push(sentence(*holds, token(age), names, now));
        }
        let rest: usize = groups.values().skip(GROUPS).map(Vec::len).sum();
        if rest > 0 {
            said.push(format!("{rest} more secrets hold something else: see the report"));
        }
        let is_named =
            |member: &Member| groups.keys().filter_map(|(_, age)| token(age)).any(|one| one.is(member));
        let others = members.iter().filter(|member| member.is_live(now) && !is_named(member));
        let others: Vec<String> = others.map(|member| described(member, now)).collect();
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
fn sentence(holds: Holds, token: Option<&Member>, names: &[String], now: Timestamp) -> String {
    let hold = if names.len() == 1 { "holds" } else { "hold" };
    let token = token.map(|member| described(member, now)).unwrap_or_default();
    let names = some(names);
    match holds {
        Holds::Certainly => format!("{names} {hold} {token}"),
        Holds::Presumably => {
            format!("{names} {hold} what was there before the first rotation, presumably {token}")
        }
        Holds::NewTokenOrBefore => format!("{names} {hold} {token} or what was there before"),
        Holds::Nothing => format!("{names} {hold} nothing yet"),
        Holds::Unknown => format!("What {names} {hold} cannot be told"),
    }
}

fn holds(run: &RotationRun, index: usize) -> (Holds, Option<&Member>) {
    let secret = run.secrets.get(index);
    let minted = run.lineage.minted();
    if let Some(Secret { write: Some(Write::Unconfirmed(_)), .. }) = secret {
        return (Holds::NewTokenOrBefore, minted);
    }
    let is_older = |member: &&Member| minted.is_none_or(|minted| !minted.is(member));
    let mut older = run.lineage.members.iter().filter(is_older);
    let only = older.next().filter(|member| older.next().is_none() && member.marker.is_none());
    let is_changing = run.error.as_ref().is_some_and(RotationError::is_another_run);
    let is_there = secret
        .is_some_and(|secret| !secret.is_written() && run.lineage.holder(secret).written_at().is_some());
    match run.holder(index) {
        _ if is_there && !is_changing && only.is_some() => (Holds::Presumably, only),
        Holder::Token(member, _) => (Holds::Certainly, Some(member)),
        Holder::Missing => (Holds::Nothing, None),
        Holder::Unknown(_) | Holder::NotRead => (Holds::Unknown, None),
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
