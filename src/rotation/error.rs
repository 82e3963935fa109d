//! Every error that stops a rotation, with its message.
//!
//! Each message says what failed and what to do; the report adds which tokens are valid
//! until when. Errors of providers and GitHub arrive as one sentence without any reply's
//! body.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::{github, provider};

/// Why a rotation stopped.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RotationError {
    /// A marker has a date in the future.
    #[error(
        "token {id} carries this rotation's marker with a date in the future ({minted_at}, now is {now}). \
         Nothing was minted or ended. Check the clocks first: if one was wrong, wait until {minted_at}. Otherwise \
         the marker is forged: delete that token at the provider"
    )]
    FutureMarker {
        /// The token.
        id: String,
        /// What its marker says.
        minted_at: Timestamp,
        /// GitHub's clock.
        now: Timestamp,
    },
    /// A marker's delivery window is longer than any run, and would block the rotation
    /// for days.
    #[error(
        "token {id} carries this rotation's marker with a delivery window until {until}, longer than any \
         run of crossfade. It is not trusted and nothing is minted. Delete that token at the provider"
    )]
    ImplausibleWindow {
        /// The token.
        id: String,
        /// What its marker says.
        until: Timestamp,
    },
    /// The provider's creation date contradicts the marker.
    #[error(
        "token {id} carries this rotation's marker, which says that it was minted at {minted_at}, but the provider \
         created it at {created_at}. The marker was copied or forged, so nothing was minted or ended. \
         Make sure that no secret or job uses that token, then delete it at the provider"
    )]
    ContradictedMarker {
        /// The token.
        id: String,
        /// What its marker says.
        minted_at: Timestamp,
        /// What the provider says.
        created_at: Timestamp,
    },
    /// A marker is signed, and there is no key to verify it.
    #[error(
        "token {id} carries a signed marker, and CROSSFADE_MARKER_KEY is not set. Without the key crossfade cannot \
         tell its own tokens from forged ones, so nothing was minted or ended. \
         Set CROSSFADE_MARKER_KEY (input `marker-key`) to the key of the earlier runs. If no run ever had a key, \
         the marker is forged: make sure that nothing uses that token, then delete it at the provider"
    )]
    MarkerKeyMissing {
        /// A signed token.
        id: String,
    },
    /// A marker is signed by an unknown key.
    #[error(
        "token {id} carries a signed marker, and no key in CROSSFADE_MARKER_KEY made its signature, so nothing was \
         minted or ended. If you replaced the key, add the earlier one on a second line. If you lost it, do not delete \
         the token: see \"A lost key\" in docs/reliability.md. If no run of yours signed it, the marker is forged"
    )]
    MarkerKeyUnknown {
        /// The token.
        id: String,
    },
    /// Valid tokens of one rotation have different privileges.
    #[error(
        "tokens {newest} and {other} of this rotation have different privileges, so nothing was minted or ended. \
         If somebody changed one of them on purpose, add the right one to the rotation: `trusted: {newest}` or \
         `trusted: {other}`. Otherwise the one that no run of yours created is forged: delete it at the provider"
    )]
    DifferentPrivileges {
        /// The newest live token.
        newest: String,
        /// The newest that differs from it.
        other: String,
    },
    /// Several tokens have the name.
    #[error("{} tokens are called \"{name}\": {}. Name the one to rotate by its id", ids.len(), some(ids))]
    SeveralMatch {
        /// What the user gave.
        name: String,
        /// The ids of all that match.
        ids: Vec<String>,
    },
    /// The named token belongs to another rotation.
    #[error(
        "token {id} carries the marker of another rotation ({marker}, not verified). If that is this rotation under \
         an earlier name, add `formerly: [{}]`; otherwise give each rotation a token of its own",
        key_of(marker)
    )]
    BelongsToAnother {
        /// The token.
        id: String,
        /// The marker.
        marker: String,
    },
    /// There is no such token, and the rotation has no `create`.
    #[error("{}", no_such_token(token, nearest.as_deref()))]
    NoSuchToken {
        /// What the user gave.
        token: String,
        /// The name or id that was probably meant.
        nearest: Option<String>,
    },
    /// Another run is at work, or ended a moment ago.
    #[error(
        "another run minted token {id} at {minted_at} and may still be delivering it. Nothing was minted. \
         Try again after {until}"
    )]
    InFlight {
        /// The newest token.
        id: String,
        /// When it was minted.
        minted_at: Timestamp,
        /// The end of its window, tolerance included.
        until: Timestamp,
    },
    /// Minting for *undelivered* is suspended, because earlier runs minted often enough.
    #[error(
        "not every secret holds the current token, but no new one is created before {until}: earlier runs have created \
         as many as the limit for repeated deliveries allows ({live} are live). {}. Fix that, or run with --force to \
         create one now",
        why_undelivered(failing, overwritten)
    )]
    HeldBack {
        /// Live tokens with this rotation's marker.
        live: usize,
        /// From when on a run mints again.
        until: Timestamp,
        /// Secrets that were not written with the current token.
        failing: Vec<String>,
        /// Secrets that were written since, but not by crossfade.
        overwritten: Vec<String>,
    },
    /// The repositories of a pattern could not be listed.
    #[error("nothing was minted, because it is not known what {pattern} stands for: {error}")]
    PatternUnreadable {
        /// As the user wrote it.
        pattern: String,
        /// Why.
        error: github::Error,
    },
    /// No repository matches a pattern.
    #[error(
        "nothing was minted, because no repository fits {pattern} ({archived} archived ones are left out). \
         Check the pattern, and what the GitHub credential may see"
    )]
    PatternEmpty {
        /// As the user wrote it.
        pattern: String,
        /// Archived repositories that match.
        archived: usize,
    },
    /// More secrets than one delivery window allows.
    #[error(
        "nothing was minted, because the patterns stand for {count} secrets, and {} are the most that one \
         rotation can deliver to in time. Give some of them a token of their own",
        crate::limits::MOST_WRITES
    )]
    TooManySecrets {
        /// How many.
        count: usize,
    },
    /// A pattern matches a secret of another rotation.
    #[error(
        "nothing was minted, because {destination}, found by a pattern, belongs to the rotation {other} too: \
         it can hold one token. Leave it out by a pattern with ! in front"
    )]
    Claimed {
        /// The secret.
        destination: String,
        /// The other rotation's name.
        other: String,
    },
    /// A destination could not be read or prepared.
    #[error(
        "nothing was minted, because {} could not be read or prepared: {}",
        some(destinations),
        causes(reasons)
    )]
    Unreadable {
        /// Their short forms.
        destinations: Vec<String>,
        /// Why, one each.
        reasons: Vec<String>,
    },
    /// GitHub sent no date.
    #[error("GitHub sent no date, so there is no clock to go by and nothing was minted")]
    NoClock,
    /// The clocks of GitHub and the provider are too far apart.
    #[error(
        "the provider's clock is {minutes} minutes {direction} GitHub's. Expiry dates cannot be trusted across that, \
         so nothing was minted"
    )]
    ClocksDiffer {
        /// How far.
        minutes: i64,
        /// "ahead of" or "behind".
        direction: &'static str,
    },
    /// The run was stopped, or its deadline is near.
    #[error("nothing was minted, because {0}")]
    Stopped(String),
    /// The provider's tokens could not be read.
    #[error("the provider's tokens could not be read: {0}")]
    Observe(provider::Error),
    /// The provider refused to mint.
    #[error("the provider refused to mint the successor: {0}. No secret was changed")]
    MintRefused(provider::Error),
    /// Every reply to the mint was lost; a token may exist.
    #[error(
        "no successor came of {attempts} ({last}). No secret was changed. If the provider made one all the \
         same, it carries this rotation's marker, nobody has its value, and a later run ends it",
        attempts = counted(*attempts)
    )]
    MintLost {
        /// How often it was tried.
        attempts: u32,
        /// The last error.
        last: provider::Error,
    },
    /// The new token differs from the request, or is not accepted.
    #[error("the new token {id} is not used: {why}. {cleanup}. No secret was changed")]
    Unfit {
        /// The new token.
        id: String,
        /// What is wrong with it.
        why: String,
        /// Whether it was revoked.
        cleanup: Cleanup,
    },
    /// Another run minted a token too.
    #[error(
        "another run minted token {rival} at {minted_at} and may be delivering it, so the new token {id} is not \
         used. {cleanup}. This run changed no secret"
    )]
    Overtaken {
        /// The new token.
        id: String,
        /// The other run's.
        rival: String,
        /// When that was minted.
        minted_at: Timestamp,
        /// Whether the new token was revoked.
        cleanup: Cleanup,
    },
    /// Every destination refused the new token.
    #[error("every destination refused the new token {id}. {cleanup}")]
    RefusedEverywhere {
        /// The new token.
        id: String,
        /// Whether it was revoked.
        cleanup: Cleanup,
    },
    /// Some destinations did not take the new token.
    #[error(
        "token {id} was minted, but {} did not take it. Its delivery window is open until {until}",
        some(destinations)
    )]
    Undelivered {
        /// The new token.
        id: String,
        /// Those that failed.
        destinations: Vec<String>,
        /// The end of the delivery window, tolerance included.
        until: Timestamp,
    },
    /// Nothing is due, but a destination could not be read.
    #[error("{} could not be read: {}", some(destinations), causes(reasons))]
    DestinationNotRead {
        /// Their short forms.
        destinations: Vec<String>,
        /// Why, one each.
        reasons: Vec<String>,
    },
}

impl RotationError {
    /// Whether another run may be writing secrets right now.
    #[must_use]
    pub fn is_another_run(&self) -> bool {
        matches!(self, Self::InFlight { .. } | Self::Overtaken { .. })
    }

    /// What the next run will do about it.
    #[must_use]
    pub fn next_run(&self) -> &'static str {
        match self {
            Self::FutureMarker { .. }
            | Self::ImplausibleWindow { .. }
            | Self::ContradictedMarker { .. }
            | Self::MarkerKeyMissing { .. }
            | Self::MarkerKeyUnknown { .. }
            | Self::DifferentPrivileges { .. }
            | Self::SeveralMatch { .. }
            | Self::BelongsToAnother { .. }
            | Self::NoSuchToken { .. }
            | Self::PatternEmpty { .. }
            | Self::TooManySecrets { .. }
            | Self::Claimed { .. }
            | Self::ClocksDiffer { .. } => "Every run stops here, and changes nothing, until this is fixed",
            Self::InFlight { .. } | Self::Overtaken { .. } => {
                "A run after that time writes the secrets that the other run did not"
            }
            Self::HeldBack { .. } => {
                "A run after that time, or one that finds the token due, creates a new one"
            }
            Self::PatternUnreadable { .. }
            | Self::Unreadable { .. }
            | Self::NoClock
            | Self::Stopped(_)
            | Self::Observe(_) => "The next run tries again from the beginning",
            Self::MintRefused(_) | Self::Unfit { .. } | Self::RefusedEverywhere { .. } => {
                "The next run mints again, so mend the cause first"
            }
            Self::MintLost { .. } => {
                "A run after the delivery window of what may have been minted tries again"
            }
            Self::Undelivered { .. } => {
                "A run after that time creates one new token and writes it to all secrets"
            }
            Self::DestinationNotRead { .. } => "The next run serves it as soon as it can be reached",
        }
    }
}

/// What happened to a new token that is not used.
#[derive(Debug, Clone)]
pub enum Cleanup {
    /// It was deleted.
    Revoked,
    /// It could not be deleted.
    Failed {
        /// Until when, if it ends at all.
        until: Option<Timestamp>,
        /// Why it could not be deleted.
        why: String,
    },
}

impl std::fmt::Display for Cleanup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Revoked => f.write_str("It was withdrawn"),
            Self::Failed { until: Some(until), why } => {
                write!(
                    f,
                    "It could not be withdrawn ({why}) and lives until {until} unless the next run ends it"
                )
            }
            Self::Failed { until: None, why } => {
                write!(f, "It could not be withdrawn ({why}); the next run ends it, or delete it by hand")
            }
        }
    }
}

fn key_of(marker: &str) -> &str {
    marker.split('.').nth(1).unwrap_or_default()
}

/// Why secrets lack the current token.
fn why_undelivered(failing: &[String], overwritten: &[String]) -> String {
    let failing = (!failing.is_empty()).then(|| format!("Not written with it: {}", some(failing)));
    let overwritten = (!overwritten.is_empty())
        .then(|| format!("Overwritten since by something other than crossfade: {}", some(overwritten)));
    failing.into_iter().chain(overwritten).collect::<Vec<_>>().join(". ")
}

fn no_such_token(token: &str, nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => {
            format!("No token named `{token}`; did you mean `{nearest}`? Nothing was changed.")
        }
        None => format!(
            "No token named `{token}`, and none with that id. Check the name and what the credential may see, \
             or say with `create` what to create. Nothing was changed."
        ),
    }
}

/// "1 request" and "2 requests".
fn counted(attempts: u32) -> String {
    format!("{attempts} {}", if attempts == 1 { "request" } else { "requests" })
}

/// Names shown of a list; the rest are counted.
const NAMED: usize = 5;

/// Characters shown of a list, so that the text after it is not cut off.
const SHOWN: usize = 300;

/// The first few, and how many more there are.
pub(super) fn some(names: &[String]) -> String {
    let mut shown: Vec<String> = Vec::new();
    let mut left = SHOWN;
    for name in names.iter().take(NAMED) {
        let length = name.chars().count();
        if length > left && !shown.is_empty() {
            break;
        }
        shown.push(if length > left {
            format!("{}…", name.chars().take(left).collect::<String>())
        } else {
            name.clone()
        });
        left = left.saturating_sub(length);
    }
    match names.len() - shown.len() {
        0 => list(&shown),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Why destinations failed: each reason once, however many destinations it hit.
fn causes(reasons: &[String]) -> String {
    // GitHub's messages begin with the scope; the cause follows.
    let cause = |reason: &'_ str| reason.split_once(": ").map_or(reason.to_owned(), |(_, it)| it.to_owned());
    let mut known = HashSet::new();
    let distinct: Vec<String> =
        reasons.iter().filter(|reason| known.insert(cause(reason))).cloned().collect();
    match distinct.len().checked_sub(NAMED) {
        None | Some(0) => distinct.join("; "),
        Some(more) => format!("{}; and {more} more reasons", distinct[..NAMED].join("; ")),
    }
}

/// "a", "a and b", "a, b and c".
fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(what: &str) -> Vec<String> {
        (0..300).map(|n| format!("{what}-{n:03}")).collect()
    }

    #[test]
    fn a_long_list_hides_no_reason() {
        let reasons = |said: &str| -> Vec<String> {
            (0..300).map(|n| format!("acme/service-{n}: secrets: {said}")).collect()
        };
        let destinations = || many("acme/a-repository-with-a-long-name:TOKEN");
        let until = "2026-03-02T08:00:00Z".parse().unwrap();
        for (error, wanted) in [
            (
                RotationError::Unreadable { destinations: destinations(), reasons: reasons("no access") },
                "no access",
            ),
            (
                RotationError::DestinationNotRead { destinations: destinations(), reasons: many("why") },
                "why-000",
            ),
            (
                RotationError::Undelivered { id: "x".into(), destinations: destinations(), until },
                "did not take it",
            ),
            (
                RotationError::HeldBack {
                    live: 9,
                    until,
                    failing: destinations(),
                    overwritten: destinations(),
                },
                "--force",
            ),
            (RotationError::SeveralMatch { name: "ci".into(), ids: many("id") }, "by its id"),
        ] {
            let text = error.to_string();
            assert!(text.contains(wanted) && text.contains("295 more"), "{text}");
            assert!(text.len() < 1000, "{} bytes: {text}", text.len());
        }
    }

    #[test]
    fn one_cause_is_reported_once() {
        let text = |reasons: [&str; 3]| causes(&reasons.map(str::to_owned));
        assert_eq!(text(["a: no", "b: no", "c: no"]), "a: no");
        assert_eq!(text(["a: no", "b: down", "c: no"]), "a: no; b: down");
        assert_eq!(text(["no", "no", "down"]), "no; down");
        assert_eq!(text(["a: casino", "b: no", "b: no"]), "a: casino; b: no");
    }

    #[test]
    fn the_first_five_are_named() {
        let names = |count: usize| some(&(1..=count).map(|n| n.to_string()).collect::<Vec<_>>());
        assert_eq!((names(1).as_str(), names(2).as_str()), ("1", "1 and 2"));
        assert_eq!((names(5).as_str(), names(7).as_str()), ("1, 2, 3, 4 and 5", "1, 2, 3, 4, 5 and 2 more"));
        let long: Vec<String> = ["a", "b", "c"].map(|name| name.repeat(300)).to_vec();
        assert_eq!(some(&long), format!("{} and 2 more", long[0]));
        assert_eq!(some(&["é".repeat(1000)]), format!("{}…", "é".repeat(300)));
    }
}
