//! Where an error leads: its code, and what to do in short instructions.

use super::causes::{Cause, Causes};
use super::error::RotationError;
use super::names::secrets;
use super::session::is_about_the_credential;
use crate::error_code::ErrorCode;
use crate::github;
use crate::provider::ErrorKind;

pub(super) const RUN_AGAIN: &str = "Run crossfade again, or wait for the schedule.";
const NEXT_RUN: &str = "Wait for the next scheduled run, which tries again; or run again in a few minutes.";
const ONE_RUN: &str = "Set `concurrency` in the workflow, so that two runs never overlap.";
const GITHUB_ADDRESS: &str =
    "Check `--github-api-url` and any proxy in between: something else may have answered.";

impl RotationError {
    /// The code, whose section in the docs explains the error.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::FutureMarker { .. } | Self::ImplausibleWindow { .. } | Self::ContradictedMarker { .. } => {
                ErrorCode::MarkerForged
            }
            Self::MarkerKeyMissing { .. } | Self::MarkerKeyUnknown { .. } => ErrorCode::MarkerKey,
            Self::DifferentPrivileges { .. } | Self::TokenChanged { .. } => ErrorCode::PrivilegesDiffer,
            Self::SeveralMatch { .. } => ErrorCode::TokenAmbiguous,
            Self::BelongsToAnother { .. } => ErrorCode::TokenOfAnotherRotation,
            Self::NoSuchToken { .. } => ErrorCode::TokenNotFound,
            Self::Unproved { .. } => ErrorCode::Unproved,
            Self::InFlight { .. } | Self::Overtaken { .. } => ErrorCode::AnotherRun,
            Self::HeldBack { .. } => ErrorCode::HeldBack,
            Self::PatternUnreadable { error, .. } if error.kind != github::ErrorKind::NotFound => {
                error.code()
            }
            Self::PatternUnreadable { .. }
            | Self::PatternEmpty { .. }
            | Self::TooManySecrets { .. }
            | Self::Claimed { .. } => ErrorCode::Pattern,
            Self::Unreadable { causes } | Self::DestinationNotRead { causes } => causes.code(),
            Self::NoClock | Self::ClocksDiffer { .. } => ErrorCode::Clocks,
            Self::Stopped(_) => ErrorCode::Stopped,
            Self::NotConfirmed => ErrorCode::NotConfirmed,
            Self::MintRefused(error) if !is_about_the_credential(error) => ErrorCode::TokenRefused,
            Self::Observe(error) | Self::MintRefused(error) => match error.kind {
                ErrorKind::Unauthenticated => ErrorCode::ProviderCredential,
                ErrorKind::Forbidden => ErrorCode::ProviderPermission,
                ErrorKind::RateLimited => ErrorCode::ProviderLimit,
                ErrorKind::Unavailable => ErrorCode::ProviderUnreachable,
                ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Invalid | ErrorKind::Unreadable => {
                    ErrorCode::ProviderReply
                }
            },
            Self::MintLost { .. } => ErrorCode::TokenLost,
            Self::Unfit { .. } => ErrorCode::TokenUnfit,
            Self::RefusedEverywhere { .. } => ErrorCode::RefusedEverywhere,
            Self::Undelivered { .. } => ErrorCode::Undelivered,
        }
    }

    /// What to do, in this order. `credential`: the provider credential's variable.
    pub fn steps(&self, credential: &str) -> Vec<String> {
        let only = |step: &str| vec![step.to_owned()];
        match self {
            Self::FutureMarker { id, minted_at, .. } => vec![
                format!(
                    "Check the clocks of GitHub and of the provider. If one was wrong, run again after {minted_at}."
                ),
                format!("Otherwise the marker is forged: {}", delete(id)),
            ],
            Self::ImplausibleWindow { id, .. } => vec![format!("The marker is forged: {}", delete(id))],
            Self::ContradictedMarker { id, .. } => vec![sentence(&delete(id))],
            Self::MarkerKeyMissing { id } => vec![
                "Set `CROSSFADE_MARKER_KEY` (input `marker-key`) to the key of the earlier runs.".to_owned(),
                format!("If no run ever had a key, the marker is forged: {}", delete(id)),
            ],
            Self::MarkerKeyUnknown { .. } => vec![
                "If you replaced the key, add the earlier one on a second line of `CROSSFADE_MARKER_KEY`."
                    .to_owned(),
                "If you lost the key, do not delete the token: follow \"A lost key\" in docs/reliability.md."
                    .to_owned(),
                "If no run of yours signed the marker, it is forged.".to_owned(),
            ],
            Self::DifferentPrivileges { newest, other, marked } => vec![
                format!(
                    "If one of them was changed on purpose, add the right one to the rotation: `trusted: {newest}` or \
                     `trusted: {other}`."
                ),
                match marked {
                    None => {
                        "Otherwise the one that no run of yours created is forged: delete it at the provider."
                            .to_owned()
                    }
                    Some(marked) => format!(
                        "Otherwise look for the run that created token {marked}. If no run of yours did, it is forged: \
                         delete it at the provider."
                    ),
                },
            ],
            Self::TokenChanged { named, own, own_id, .. } => vec![
                format!("If this rotation is to go on with `{own}`, set `token: {own}`."),
                format!("To rotate `{named}` too, give it a rotation of its own, with another `name`."),
                format!(
                    "If no run of yours created token {own_id}, its marker is forged: {}",
                    delete(own_id)
                ),
            ],
            Self::SeveralMatch { .. } => only("Set `token` to the id of the token to rotate."),
            Self::BelongsToAnother { marker, rotation, repository, .. } => vec![
                format!(
                    "If {repository} is not the repository that rotates `{rotation}`, correct `--repository` or \
                     `CROSSFADE_REPOSITORY`."
                ),
                format!(
                    "If the rotation was renamed or moved, add `formerly: [{}]`, or its earlier name as \
                     `OWNER/REPO/NAME`.",
                    marker.split('.').nth(1).unwrap_or_default()
                ),
                "Otherwise give each rotation a token of its own.".to_owned(),
            ],
            Self::NoSuchToken { nearest, .. } => vec![
                match nearest {
                    Some(nearest) => format!("If you meant `{nearest}`, set `token` to that."),
                    None => "Check the spelling of `token`.".to_owned(),
                },
                format!("Check that the credential in `{credential}` sees the token."),
                "To have crossfade create a token that is missing, set `create`.".to_owned(),
            ],
            Self::Unproved { provider, .. } => prove(provider),
            Self::InFlight { until, is_delivered: true, .. } => {
                vec![format!("To rotate again, run after {until}.")]
            }
            Self::InFlight { until, .. } => vec![
                format!(
                    "Run again after {until}, or wait for the schedule: that run finishes what the other did not."
                ),
                ONE_RUN.to_owned(),
            ],
            Self::Overtaken { .. } => vec![
                "Wait for the other run to end: the next run finishes what that one did not.".to_owned(),
                ONE_RUN.to_owned(),
            ],
            Self::HeldBack { until, failing, overwritten, .. } => held_back(until, failing, overwritten),
            Self::PatternUnreadable { error, .. } => at_github(error, None),
            Self::PatternEmpty { .. } => {
                only("Check the pattern, and which repositories the GitHub credential sees.")
            }
            Self::TooManySecrets { .. } => {
                only("Split the secrets over several rotations, each with a token of its own.")
            }
            Self::Claimed { .. } => {
                only("Exclude its repository from the pattern with `!` in front of the name.")
            }
            Self::Unreadable { causes } | Self::DestinationNotRead { causes } => of_causes(causes),
            Self::NoClock => only("Have the proxy in between pass on the `Date` header, then run again."),
            Self::ClocksDiffer { .. } => only("Set the clock that is wrong, then run again."),
            Self::Stopped(_) => only(RUN_AGAIN),
            Self::NotConfirmed => only("Run crossfade again and answer `y`, or add `--yes`."),
            Self::MintRefused(error) if !is_about_the_credential(error) => {
                only("Fix what the provider reports. The next run tries again to create a token.")
            }
            Self::Observe(error) | Self::MintRefused(error) => at_provider(error.kind, credential),
            Self::MintLost { .. } => only(
                "Wait for the next scheduled run, or run again in a few minutes: that run looks for such a token first.",
            ),
            Self::Unfit { .. } => only(
                "Fix the cause first, such as a limit that the provider sets on tokens: the next run creates a token \
                 again.",
            ),
            Self::RefusedEverywhere { causes, .. } => of_causes(causes),
            Self::Undelivered { causes, of, until, .. } => {
                let fixes = causes.0.iter().filter(|cause| !passes(cause.error.kind));
                let mut steps = distinct(fixes.flat_map(|cause| fix(&cause.error, Some(&cause.secrets))));
                let all = match of {
                    1 => "once the secret can be written, that run creates a new token for it".to_owned(),
                    2 => {
                        "once both secrets can be written, that run creates one new token for them".to_owned()
                    }
                    of => format!(
                        "once all {of} secrets can be written, that run creates one new token for them"
                    ),
                };
                steps.push(format!("Run again after {until}, or wait for the schedule: {all}."));
                steps
            }
        }
    }
}

/// What to do about a provider that was not proved.
pub(super) fn prove(provider: &str) -> Vec<String> {
    vec![
        format!(
            "Run `crossfade provider prove {provider}`: it creates a token with a short life, and deletes it."
        ),
        "If it succeeds, add `proved: yes` to the rotation's `with`.".to_owned(),
    ]
}

/// A forged token is deleted, unless something uses it by mistake.
fn delete(id: &str) -> String {
    format!("make sure that no secret or job uses token {id}, then delete it at the provider.")
}

fn sentence(text: &str) -> String {
    text[..1].to_ascii_uppercase() + &text[1..]
}

fn held_back(until: &jiff::Timestamp, failing: &[String], overwritten: &[String]) -> Vec<String> {
    let failing = (!failing.is_empty()).then(|| {
        format!(
            "Find out why {} could not be written (`crossfade doctor` shows GitHub's answer), and fix that.",
            secrets(failing)
        )
    });
    let overwritten =
        (!overwritten.is_empty()).then(|| format!("Find out what overwrites {}.", secrets(overwritten)));
    let then = format!(
        "Run again after {until}, or now with `--force`: that run creates a new token for all secrets."
    );
    failing.into_iter().chain(overwritten).chain([then]).collect()
}

/// What to do about each cause, and to run again.
fn of_causes(causes: &Causes) -> Vec<String> {
    distinct(causes.0.iter().flat_map(|Cause { error, secrets }| at_github(error, Some(secrets))))
}

/// Whether an error is over by itself.
fn passes(kind: github::ErrorKind) -> bool {
    use github::ErrorKind as Kind;
    matches!(kind, Kind::RateLimited | Kind::Unavailable | Kind::Late)
}

fn at_github(error: &github::Error, secrets: Option<&[String]>) -> Vec<String> {
    match passes(error.kind) {
        true => vec![NEXT_RUN.to_owned()],
        false => fix(error, secrets).into_iter().chain([RUN_AGAIN.to_owned()]).collect(),
    }
}

/// What GitHub's reply tells to do, or else what helps with errors of its kind.
/// `names`: the secrets that it hit.
pub(super) fn fix(error: &github::Error, names: Option<&[String]>) -> Option<String> {
    use github::ErrorKind as Kind;
    let them = names.map_or_else(|| "the pattern".to_owned(), secrets);
    Some(match (&error.remedy, error.kind) {
        (Some(remedy), _) => remedy.clone(),
        (None, Kind::Unauthenticated) => {
            "Renew the GitHub credential: `CROSSFADE_GITHUB_TOKEN` (input `github-token`), \
                                          or the id and private key of the GitHub App."
                .to_owned()
        }
        (None, Kind::Forbidden) => {
            format!("Fix what GitHub reports for {them}: grant the GitHub credential what it lacks.")
        }
        (None, Kind::NotFound) => format!(
            "Check the spelling of {them}, and that the GitHub credential has access. Remove from the rotation what is \
             gone for good."
        ),
        (None, Kind::Invalid) => {
            let it = if names.is_some_and(|names| names.len() > 1) { "them" } else { "it" };
            format!("Fix what GitHub reports for {them}, or remove {it} from the rotation.")
        }
        (None, Kind::Unreadable) => GITHUB_ADDRESS.to_owned(),
        (None, Kind::RateLimited | Kind::Unavailable | Kind::Late) => return None,
    })
}

fn at_provider(kind: ErrorKind, credential: &str) -> Vec<String> {
    let input = if credential == "CROSSFADE_PROVIDER_TOKEN" { " (input `provider-token`)" } else { "" };
    let fix = match kind {
        ErrorKind::Unauthenticated => format!("Renew the provider credential in `{credential}`{input}."),
        ErrorKind::Forbidden => {
            format!("Grant the provider credential in `{credential}`{input} what it needs.")
        }
        ErrorKind::NotFound => format!(
            "Check what the address names (`provider_url`, `with`), and that the provider credential in `{credential}` may \
             see it."
        ),
        ErrorKind::RateLimited => return vec![NEXT_RUN.to_owned()],
        ErrorKind::Unavailable => {
            let first = "If no run has reached the provider yet, check `provider_url`.".to_owned();
            return vec![first, NEXT_RUN.to_owned()];
        }
        ErrorKind::Unreadable => {
            "Check `provider_url` and any proxy in between: something else may have answered.".to_owned()
        }
        ErrorKind::Conflict | ErrorKind::Invalid => "Fix what the provider reports.".to_owned(),
    };
    vec![fix, RUN_AGAIN.to_owned()]
}

/// Each step once; to run again comes last, and not where another step says when.
fn distinct(steps: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for step in steps {
        if !all.contains(&step) {
            all.push(step);
        }
    }
    let again = [RUN_AGAIN, NEXT_RUN];
    let last = again.iter().find(|again| all.iter().any(|step| step == *again));
    all.retain(|step| !again.contains(&step.as_str()));
    all.extend(last.map(|last| (*last).to_owned()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::{Error, ErrorKind as Kind};

    #[test]
    fn each_cause_has_its_step_and_the_run_comes_last() {
        let error = |kind| Error::new(kind, "x", "why");
        let failed = [Kind::Unavailable, Kind::Unauthenticated, Kind::Invalid, Kind::Invalid];
        let failed = failed.into_iter().enumerate().map(|(n, kind)| (format!("acme/{n}:T"), error(kind)));
        let causes = Causes::new(failed);
        let steps = RotationError::Unreadable { causes }.steps("X");
        assert_eq!(steps.len(), 3, "{steps:?}");
        assert!(steps[0].contains("acme/2:T and acme/3:T"), "{steps:?}");
        assert!(steps[1].contains("CROSSFADE_GITHUB_TOKEN"), "{steps:?}");
        assert_eq!(steps[2], RUN_AGAIN);
        let outage = Causes::new([("acme/a:T".to_owned(), error(Kind::Unavailable))]);
        assert_eq!(RotationError::Unreadable { causes: outage }.steps("X"), [NEXT_RUN]);
    }
}
