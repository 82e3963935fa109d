//! Everything that can stop a rotation, and the one place for its words.
//!
//! Each text says what failed and what to do; the report adds which token is
//! still valid until when. What a provider or GitHub said arrives as one
//! sentence, already without any reply's body.

use jiff::Timestamp;

use crate::config::RotationKey;
use crate::{github, provider};

/// Why a rotation stopped.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Trouble {
    /// A marker from the future.
    #[error(
        "token {id} carries this rotation's marker with a date in the future ({minted_at}, now is {now}). \
         crossfade never writes that, so it is not trusted and nothing is minted. \
         Delete that token at the provider, or find out whose clock is wrong"
    )]
    FutureMarker {
        /// The token.
        id: String,
        /// What its marker says.
        minted_at: Timestamp,
        /// GitHub's clock.
        now: Timestamp,
    },
    /// A marker that would block the rotation for days.
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
    /// An undelivered newest token that may do other things than the one in use.
    #[error(
        "the newest token, {id}, was never delivered everywhere and its privileges differ from those of {held}, \
         which is in use. Whoever may create tokens could have forged it, so nothing is built from it. \
         Delete the token that should not exist, then run again"
    )]
    DifferentPrivileges {
        /// The newest token.
        id: String,
        /// The token it is compared with.
        held: String,
    },
    /// The name is not unique.
    #[error("{} tokens are called \"{name}\": {}. Name the one to rotate by its id", ids.len(), ids.join(", "))]
    SeveralMatch {
        /// What the user gave.
        name: String,
        /// The ids of all that match.
        ids: Vec<String>,
    },
    /// The named token is another rotation's.
    #[error(
        "token {id} belongs to the rotation {}/{}. If that is this rotation under an earlier name, \
         add `formerly: [{}/{}]`; else give each rotation a token of its own",
        key.repository, key.name, key.repository, key.name
    )]
    BelongsToAnother {
        /// The token.
        id: String,
        /// The rotation that its marker names.
        key: RotationKey,
    },
    /// No token and no `create`.
    #[error(
        "the provider shows no token whose name or id is \"{token}\". Check the name and what the credential \
         may see, or say with `create` what to create"
    )]
    NoSuchToken {
        /// What the user gave.
        token: String,
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
    /// Too many undelivered attempts.
    #[error(
        "{count} live tokens of this rotation exist and not every destination takes them, so no more are minted. \
         Mend the destinations that do not hold the newest token ({}), then run with --force", destinations.join(", ")
    )]
    TooMany {
        /// Live marked tokens.
        count: usize,
        /// Those that do not hold the newest.
        destinations: Vec<String>,
    },
    /// What a pattern stands for is not known.
    #[error("nothing was minted, because it is not known what {pattern} stands for: {error}")]
    PatternUnreadable {
        /// As the user wrote it.
        pattern: String,
        /// Why.
        error: github::Error,
    },
    /// A pattern that stands for nothing.
    #[error(
        "nothing was minted, because no repository fits {pattern} ({archived} archived ones are left out). \
         Check the pattern, and what the GitHub credential may see"
    )]
    PatternEmpty {
        /// As the user wrote it.
        pattern: String,
        /// Repositories that would fit, if they could be written.
        archived: usize,
    },
    /// More secrets than can be written in time.
    #[error(
        "nothing was minted, because the patterns stand for {count} secrets, and {} are the most that one \
         rotation can deliver to in time. Give some of them a token of their own",
        super::window::MOST_WRITES
    )]
    TooManySecrets {
        /// How many.
        count: usize,
    },
    /// A pattern that takes in what belongs to another rotation.
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
    /// A destination that cannot be read or prepared.
    #[error(
        "nothing was minted, because {} could not be read or prepared: {}",
        list(destinations),
        distinct(reasons)
    )]
    Unreadable {
        /// Their short forms.
        destinations: Vec<String>,
        /// Why, one each.
        reasons: Vec<String>,
    },
    /// GitHub did not say what time it is.
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
    /// The run may not start a mint any more.
    #[error("nothing was minted, because {0}")]
    Stopped(String),
    /// The provider could not be asked.
    #[error("the provider's tokens could not be read: {0}")]
    Observe(provider::Error),
    /// The provider refused to mint.
    #[error("the provider refused to mint the successor: {0}. No secret was changed")]
    MintRefused(provider::Error),
    /// Nobody knows whether something was minted.
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
    /// The newborn is not what was asked for.
    #[error("the new token {id} is not used: {why}. {fate}. No secret was changed")]
    Unfit {
        /// The newborn.
        id: String,
        /// What is wrong with it.
        why: String,
        /// What became of it.
        fate: Fate,
    },
    /// Another run minted, too.
    #[error(
        "another run minted token {rival} at {minted_at} and may be delivering it, so the new token {id} is not \
         used. {fate}. This run changed no secret"
    )]
    Overtaken {
        /// The newborn.
        id: String,
        /// The other run's.
        rival: String,
        /// When that was minted.
        minted_at: Timestamp,
        /// What became of the newborn.
        fate: Fate,
    },
    /// No destination took the new token, and none will.
    #[error("every destination refused the new token {id}. {fate}")]
    RefusedEverywhere {
        /// The newborn.
        id: String,
        /// What became of it.
        fate: Fate,
    },
    /// Some destinations did not take the new token.
    #[error(
        "token {id} was minted, but {} did not take it. Its delivery window is open until {until}",
        list(destinations)
    )]
    Undelivered {
        /// The newborn.
        id: String,
        /// Those that failed.
        destinations: Vec<String>,
        /// The end of the delivery window, tolerance included.
        until: Timestamp,
    },
    /// Everything is fresh, but a destination is dead.
    #[error("{} could not be read: {}", list(destinations), distinct(reasons))]
    DeadDestination {
        /// Their short forms.
        destinations: Vec<String>,
        /// Why, one each.
        reasons: Vec<String>,
    },
}

impl Trouble {
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
            | Self::DifferentPrivileges { .. }
            | Self::SeveralMatch { .. }
            | Self::BelongsToAnother { .. }
            | Self::NoSuchToken { .. }
            | Self::PatternEmpty { .. }
            | Self::TooManySecrets { .. }
            | Self::Claimed { .. }
            | Self::ClocksDiffer { .. } => "Until that is mended, every run stops here and changes nothing",
            Self::InFlight { .. } | Self::Overtaken { .. } => {
                "A later run delivers what the other one has left undone"
            }
            Self::TooMany { .. } => "Until that is mended, every run stops here, unless the token is due",
            Self::PatternUnreadable { .. }
            | Self::Unreadable { .. }
            | Self::NoClock
            | Self::Stopped(_)
            | Self::Observe(_) => "The next run tries again from the beginning",
            Self::MintRefused(_) | Self::Unfit { .. } | Self::RefusedEverywhere { .. } => {
                "The next run mints again, so mend the cause first"
            }
            Self::MintLost { .. } => {
                "The next run mints again as soon as the window of what may have been minted is closed"
            }
            Self::Undelivered { .. } => {
                "A run after the window mints a successor for all destinations; what is held until then stays valid"
            }
            Self::DeadDestination { .. } => "The next run serves it as soon as it can be reached",
        }
    }
}

/// What became of a newborn that is not used.
#[derive(Debug, Clone)]
pub enum Fate {
    /// It was deleted.
    Withdrawn,
    /// It is the same token as before with a new value: there is nothing to delete.
    Kept {
        /// Until when the value before is valid.
        until: Option<Timestamp>,
    },
    /// It could not be deleted.
    Lives {
        /// Until when, if it ends at all.
        until: Option<Timestamp>,
        /// Why it could not be deleted.
        why: String,
    },
}

impl std::fmt::Display for Fate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Withdrawn => f.write_str("It was withdrawn"),
            Self::Kept { until: Some(until) } => write!(
                f,
                "It is the same token as before with a new value that nobody has; the value before it is valid \
                 until {until}. The next run makes a successor"
            ),
            Self::Kept { until: None } => f.write_str(
                "It is the same token as before with a new value that nobody has. The next run makes a successor",
            ),
            Self::Lives { until: Some(until), why } => {
                write!(
                    f,
                    "It could not be withdrawn ({why}) and lives until {until} unless the next run ends it"
                )
            }
            Self::Lives { until: None, why } => {
                write!(f, "It could not be withdrawn ({why}); the next run ends it, or delete it by hand")
            }
        }
    }
}

/// "1 request" and "2 requests".
fn counted(attempts: u32) -> String {
    format!("{attempts} {}", if attempts == 1 { "request" } else { "requests" })
}

/// The reasons, each once: one cause may hit many destinations.
fn distinct(reasons: &[String]) -> String {
    let mut seen = std::collections::HashSet::new();
    let once: Vec<&str> = reasons.iter().map(String::as_str).filter(|reason| seen.insert(*reason)).collect();
    once.join("; ")
}

/// More names than this would hide the reason behind them.
const MOST_NAMES: usize = 12;

/// "a", "a and b", "a, b and c"; of many names the first ones.
pub(super) fn list(names: &[String]) -> String {
    match names {
        many if many.len() > MOST_NAMES => {
            let (first, rest) = many.split_at(MOST_NAMES - 2);
            format!("{} and {} more", first.join(", "), rest.len())
        }
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}
