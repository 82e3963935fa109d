//! What is still valid after a failure: which token each destination holds, and until when.
//!
//! Formats what a [`RotationRun`] knows, and claims nothing beyond its timestamps.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::apply::RotationRun;
use super::error::RotationError;
use super::lineage::Member;
use super::names::{secrets, some};
use super::secret::{Holder, Secret};
use crate::config::Rotation;
use crate::github::WriteError;
use crate::report::format::counted;

/// Groups of destinations described, so that what to do is not cut off.
const GROUPS: usize = 3;

/// How far it is known what a destination holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Holds {
    /// By its timestamp, or because it acknowledged the write.
    Certainly,
    /// crossfade never wrote it; the user's configuration says that it holds the original.
    Presumably,
    /// A write was not acknowledged: it holds the new token, or what it held before.
    NewTokenOrBefore,
    Nothing,
    /// It was written by something other than crossfade, or may be written right now.
    Unknown,
    /// It could not be read; the error says so.
    NotRead,
}

/// What the destinations hold after a failure, and until when it is valid, in sentences.
pub(super) fn still_valid(rotation: &Rotation, run: &RotationRun, error: &RotationError) -> Vec<String> {
    let Some(now) = run.now else {
        return vec!["Every secret keeps the token that it holds.".to_owned()];
    };
    let members = &run.lineage.members;
    if members.is_empty() {
        return Vec::new();
    }
    // By how far it is known, then by token, the newest first.
    let mut groups: BTreeMap<(Holds, Option<usize>), Vec<String>> = BTreeMap::new();
    for (index, secret) in rotation.secrets.iter().enumerate() {
        let (holds, token) = holds(run, index);
        let age = token.and_then(|token| members.iter().position(|member| member.is(token)));
        groups.entry((holds, age)).or_default().push(secret.destination.to_string());
    }
    let token = |age: &Option<usize>| members.get((*age)?);
    let known: Vec<_> = groups.iter().filter(|((holds, _), _)| *holds != Holds::NotRead).collect();
    let (known, rest) = known.split_at(known.len().min(GROUPS));
    let mut said: Vec<String> =
        known.iter().map(|((holds, age), names)| sentence(*holds, token(age), names, now)).collect();
    let rest: usize = rest.iter().map(|(_, names)| names.len()).sum();
    if rest > 0 {
        said.push(format!("{} hold other tokens: see the report.", counted(rest, "more secret")));
    }
    let is_named =
        |member: &Member| groups.keys().filter_map(|(_, age)| token(age)).any(|one| one.is(member));
    let others = members.iter().filter(|member| member.is_live(now) && !is_named(member));
    let others: Vec<String> = others.map(|member| described(member, now)).collect();
    if !others.is_empty() {
        let also = if said.is_empty() { "Still" } else { "Also" };
        said.push(format!("{also} valid: {}.", some(&others)));
    } else if !members.iter().any(|member| member.is_live(now)) {
        said.push("No token of this rotation is valid any more.".to_owned());
    }
    if let RotationError::Undelivered { until, .. } = error
        && groups.keys().all(|(holds, age)| {
            *holds == Holds::Certainly && token(age).is_some_and(|token| token.is_live(*until))
        })
    {
        said.push(format!("Until {until} every secret holds a valid token."));
    }
    said
}

fn sentence(holds: Holds, token: Option<&Member>, names: &[String], now: Timestamp) -> String {
    let [hold, were, do_not] = match names.len() {
        1 => ["holds", "was", "does not"],
        _ => ["hold", "were", "do not"],
    };
    let token = token.map(|member| described(member, now)).unwrap_or_default();
    let names = secrets(names);
    match holds {
        Holds::Certainly => format!("{names} {hold} {token}."),
        Holds::Presumably => {
            format!("{names} {were} never written by crossfade, and presumably {hold} {token}.")
        }
        Holds::NewTokenOrBefore => {
            format!("{names} {hold} {token} or what was there before: GitHub did not confirm the write.")
        }
        Holds::Nothing => format!("{names} {do_not} exist yet."),
        Holds::Unknown => format!("It is not known which token {names} {hold}."),
        Holds::NotRead => format!("{names} could not be read."),
    }
}

/// The token that a secret presumably holds: crossfade never wrote it.
pub(super) fn presumed(run: &RotationRun, index: usize) -> Option<&Member> {
    match holds(run, index) {
        (Holds::Presumably, original) => original,
        _ => None,
    }
}

fn holds(run: &RotationRun, index: usize) -> (Holds, Option<&Member>) {
    let secret = run.secrets.get(index);
    let minted = run.lineage.minted();
    if let Some(Secret { write: Some(Err(WriteError { refused: false, .. })), .. }) = secret
        && minted.is_some()
    {
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
        Holder::NotRead if secret.is_some_and(|secret| secret.observation.is_err()) => (Holds::NotRead, None),
        Holder::Unknown(_) | Holder::NotRead => (Holds::Unknown, None),
    }
}

fn described(member: &Member, now: Timestamp) -> String {
    let id = &member.token.id;
    match member.token.expires_at {
        _ if member.token.disabled => format!("token {id} (disabled)"),
        Some(end) if end <= now => format!("token {id} (expired at {end:.0})"),
        Some(end) => format!("token {id} (until {end:.0})"),
        None => format!("token {id} (does not expire)"),
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
        assert_eq!(sentences(Some(day(10)), false), "token tok (expired at 2026-03-12T08:00:00Z)");
        assert_eq!(sentences(None, false), "token tok (does not expire)");
        assert_eq!(sentences(None, true), "token tok (disabled)");
    }
}
