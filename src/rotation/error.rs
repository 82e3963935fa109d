//! Every error that stops a rotation: what failed, why, and what was not done because of it.
//!
//! [`super::steps`] says what to do, [`super::advice`] what is still valid.

use jiff::Timestamp;

pub use super::causes::Causes;
use super::names::{secrets, some};
use crate::github;
use crate::provider;
use crate::report::format::counted;

/// Why a rotation stopped.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "the messages tell what the variants and their fields are")]
pub enum RotationError {
    #[error(
        "Token {id} carries this rotation's marker with a date in the future ({minted_at}; it is now {now}). \
         No token was created or ended."
    )]
    FutureMarker { id: String, minted_at: Timestamp, now: Timestamp },
    /// Such a window would block the rotation for days.
    #[error(
        "Token {id} carries this rotation's marker with a delivery window until {until}, longer than any that \
         crossfade writes. No token was created or ended."
    )]
    ImplausibleWindow { id: String, until: Timestamp },
    #[error(
        "Token {id} carries this rotation's marker, which says that it was created at {minted_at}, but the provider \
         created it at {created_at}: the marker was copied or forged. No token was created or ended."
    )]
    ContradictedMarker { id: String, minted_at: Timestamp, created_at: Timestamp },
    #[error(
        "Token {id} carries a signed marker, and CROSSFADE_MARKER_KEY is not set. Without the key crossfade cannot \
         tell its own tokens from forged ones. No token was created or ended."
    )]
    MarkerKeyMissing { id: String },
    #[error(
        "Token {id} carries a signed marker, and no key in CROSSFADE_MARKER_KEY made its signature. No token was \
         created or ended."
    )]
    MarkerKeyUnknown { id: String },
    #[error(
        "Tokens {newest} and {other} of this rotation have different privileges. No token was created or ended."
    )]
    DifferentPrivileges {
        newest: String,
        /// The newest that differs from it.
        other: String,
        /// The only one of both with this rotation's marker, if that is not on both.
        marked: Option<String>,
    },
    /// `token` names a token that this rotation neither began with nor created.
    #[error(
        "`token` names `{named}` ({id}), but this rotation has rotated `{own}` ({own_id}) until now, and their \
         privileges differ. No token was created or ended."
    )]
    TokenChanged { named: String, id: String, own: String, own_id: String },
    #[error("{} tokens are named `{name}`: {}. Nothing was changed.", ids.len(), some(ids))]
    SeveralMatch { name: String, ids: Vec<String> },
    #[error(
        "Token {id} belongs to another rotation than {rotation} of {repository} (marker {marker}, not verified). \
         Nothing was changed."
    )]
    BelongsToAnother {
        /// The token that carries the marker.
        id: String,
        rotation: String,
        repository: String,
        marker: String,
    },
    #[error("{}", no_such_token(token, nearest.as_deref(), *visible))]
    NoSuchToken {
        token: String,
        /// The name or id that was probably meant.
        nearest: Option<String>,
        /// How many tokens the provider credential sees.
        visible: Option<usize>,
    },
    /// The provider's file depends on something that no source states.
    #[error(
        "No token was created: the provider `{provider}` depends on something that is not published ({what}), and \
         the rotation does not say that it was proved."
    )]
    Unproved { provider: String, what: String },
    #[error("{} No token was created.", in_flight(id, *minted_at, *until, *is_delivered))]
    InFlight {
        id: String,
        minted_at: Timestamp,
        /// The end of its window, tolerance included.
        until: Timestamp,
        /// Whether every secret holds it.
        is_delivered: bool,
    },
    /// Minting for *undelivered* is suspended, because earlier runs minted often enough.
    #[error(
        "Not every secret holds the current token, but no new one is created before {until}: each attempt \
         needs a new token, and earlier runs have created as many as the limit for repeated deliveries allows ({live} are \
         valid). {}",
        why_undelivered(failing, overwritten)
    )]
    HeldBack {
        /// Live tokens with this rotation's marker.
        live: usize,
        until: Timestamp,
        failing: Vec<String>,
        /// Secrets that were written since, but not by crossfade.
        overwritten: Vec<String>,
    },
    #[error("The repositories of {pattern} could not be listed: {}. No token was created.", error.cause)]
    PatternUnreadable {
        /// As the user wrote it.
        pattern: String,
        error: github::Error,
    },
    #[error("No repository matches {pattern}{}. No token was created.", left_out(*archived))]
    PatternEmpty {
        /// As the user wrote it.
        pattern: String,
        /// Archived repositories that match.
        archived: usize,
    },
    #[error(
        "The patterns match {count} secrets, and one rotation can write {} in time. No token was created.",
        crate::limits::MOST_WRITES
    )]
    TooManySecrets { count: usize },
    #[error(
        "{destination}, found by a pattern, belongs to the rotation {other} too, and a secret can hold only one \
         token. No token was created."
    )]
    Claimed { destination: String, other: String },
    /// A destination could not be read or prepared.
    #[error("{} No token was created.", causes.sentence("cannot be read or written"))]
    Unreadable { causes: Causes },
    #[error(
        "GitHub's replies have no `Date` header, so crossfade does not know the time. No token was created."
    )]
    NoClock,
    #[error(
        "The provider's clock is {minutes} minutes {direction} GitHub's, so expiry dates cannot be trusted. No token \
         was created."
    )]
    ClocksDiffer {
        minutes: i64,
        /// "ahead of" or "behind".
        direction: &'static str,
    },
    /// The run was stopped, or its deadline is near.
    #[error("No token was created, because {0}.")]
    Stopped(String),
    #[error("Not confirmed; nothing was changed.")]
    NotConfirmed,
    #[error("The provider's tokens could not be read: {0}. Nothing was changed.")]
    Observe(provider::Error),
    #[error("The provider refused to create the new token: {0}. No secret was changed.")]
    MintRefused(provider::Error),
    /// Every reply to the mint was lost; a token may exist.
    #[error(
        "The provider did not confirm a new token after {}: {last}. No secret was changed. If the provider created \
         one all the same, its value is lost, and a later run ends it.",
        counted(*attempts as usize, "attempt")
    )]
    MintLost { attempts: u32, last: provider::Error },
    #[error("The new token {id} cannot be used: {why}. {cleanup} No secret was changed.")]
    Unfit { id: String, why: String, cleanup: Cleanup },
    #[error(
        "Another run created token {rival} at {minted_at} and may be writing it, so the new token {id} of this run is \
         not used. {cleanup} This run changed no secret."
    )]
    Overtaken { id: String, rival: String, minted_at: Timestamp, cleanup: Cleanup },
    #[error("The new token {id} was not written to any secret. {} {cleanup}", causes.reasons())]
    RefusedEverywhere { id: String, causes: Causes, cleanup: Cleanup },
    #[error(
        "The new token {id} was not written to {} of {}. {}",
        causes.count(),
        counted(*of, "secret"),
        causes.reasons()
    )]
    Undelivered {
        id: String,
        causes: Causes,
        of: usize,
        /// The end of the delivery window, tolerance included.
        until: Timestamp,
    },
    /// Nothing is due, but a destination could not be read.
    #[error("{}", causes.sentence("could not be read"))]
    DestinationNotRead { causes: Causes },
}

impl RotationError {
    pub(crate) fn is_another_run(&self) -> bool {
        matches!(self, Self::InFlight { .. } | Self::Overtaken { .. })
    }
}

/// What happened to a new token that is not used.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "the messages tell what the variants and their fields are")]
pub enum Cleanup {
    #[error("The new token was revoked.")]
    Revoked,
    #[error("The new token could not be revoked ({why}){}", left_valid(*until))]
    Failed { until: Option<Timestamp>, why: String },
}

fn left_valid(until: Option<Timestamp>) -> String {
    match until {
        Some(until) => format!(": it is valid until {until:.0}, unless the next run ends it."),
        None => " and does not expire. The next run ends it, or delete it by hand.".to_owned(),
    }
}

/// Why secrets lack the current token.
fn why_undelivered(failing: &[String], overwritten: &[String]) -> String {
    let failing = (!failing.is_empty()).then(|| format!("Not written with it: {}.", secrets(failing)));
    let overwritten = (!overwritten.is_empty())
        .then(|| format!("Overwritten since by something other than crossfade: {}.", secrets(overwritten)));
    failing.into_iter().chain(overwritten).collect::<Vec<_>>().join(" ")
}

fn in_flight(id: &str, minted_at: Timestamp, until: Timestamp, is_delivered: bool) -> String {
    if is_delivered {
        format!(
            "Token {id} was created at {minted_at}, and every secret holds it. The run that created it may be at work until {until}."
        )
    } else {
        format!("Another run created token {id} at {minted_at} and may still be writing it.")
    }
}

fn no_such_token(token: &str, nearest: Option<&str>, visible: Option<usize>) -> String {
    let nearest = match nearest {
        Some(nearest) => format!("No token named `{token}`. Did you mean `{nearest}`?"),
        None => format!("No token named `{token}`, and none with that id."),
    };
    let visible = visible
        .map(|count| format!(" The provider credential sees {}.", counted(count, "token")))
        .unwrap_or_default();
    format!("{nearest}{visible} Nothing was changed.")
}

fn left_out(archived: usize) -> String {
    match archived {
        0 => String::new(),
        1 => " (1 archived one is left out)".to_owned(),
        count => format!(" ({count} archived ones are left out)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::Error;

    #[test]
    fn a_long_list_hides_no_reason() {
        let many = |what: &str| (0..300).map(|n| format!("{what}-{n:03}")).collect::<Vec<String>>();
        let secrets = || many("acme/a-repository-with-a-long-name:TOKEN");
        let error = |about: &str| Error::new(github::ErrorKind::Forbidden, about, "no access");
        let causes = || Causes::new(secrets().into_iter().map(|name| (name.clone(), error(&name))));
        let until = "2026-03-02T08:00:00Z".parse().unwrap();
        let held_back =
            RotationError::HeldBack { live: 9, until, failing: secrets(), overwritten: secrets() };
        for (error, wanted) in [
            (RotationError::Unreadable { causes: causes() }, "no access"),
            (RotationError::DestinationNotRead { causes: causes() }, "no access"),
            (
                RotationError::Undelivered { id: "x".into(), causes: causes(), of: 301, until },
                "300 of 301 secrets",
            ),
            (held_back, "other than crossfade"),
            (RotationError::SeveralMatch { name: "ci".into(), ids: many("id") }, "Nothing was changed"),
        ] {
            let text = error.to_string();
            assert!(
                text.contains(wanted) && (text.contains("297 more") || text.contains("295 more")),
                "{text}"
            );
            assert!(text.len() < 1000, "{} bytes: {text}", text.len());
        }
    }
}
