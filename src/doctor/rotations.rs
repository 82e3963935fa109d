//! The token of each rotation, and its secrets.

use super::{Check, State};
use crate::error_code::ErrorCode;
use crate::report::Verdict;
use crate::report::format::counted;
use crate::rotation::error::RotationError;
use crate::rotation::{Examination, Failure, names};

pub(super) fn checks(one: &Examination<'_>, is_accepted: bool) -> Vec<Check> {
    let subject = format!("rotation {}", one.rotation.name);
    let mut checks: Vec<Check> =
        one.report.notes.iter().map(|note| Check::new(&subject, "pattern", State::Ok, note)).collect();
    checks.push(token(one, &subject));
    checks.extend(secrets(one, &subject, is_accepted));
    checks
        .extend(one.report.warnings.iter().map(|text| Check::new(&subject, "warning", State::Warning, text)));
    checks
}

/// Its token, and what a run would decide.
fn token(one: &Examination<'_>, subject: &str) -> Check {
    let error = one.error.as_ref().filter(|error| !is_told_elsewhere(error));
    if let Some(error) = error {
        let check = Check::failed(subject, "token", Failure::of(error, &one.rotation.provider.credential));
        let state = match error {
            // It is over by itself.
            RotationError::InFlight { .. } => State::Warning,
            RotationError::Stopped(_) => State::Unknown,
            _ => State::Failed,
        };
        let is_pattern = one.report.reason.is_none() && check.code == Some(ErrorCode::Pattern);
        return Check { state, check: if is_pattern { "pattern" } else { "token" }, ..check };
    }
    let Some((verdict, why)) = one.report.reason.zip(one.report.reason_text.as_ref()) else {
        let message = format!("token `{}`: not looked up, see above", one.rotation.token);
        return Check::new(subject, "token", State::Unknown, message);
    };
    let name = one.report.token.as_ref().map_or(&one.rotation.token, |token| &token.name);
    let end = one.report.token.as_ref().and_then(|token| token.expires_at);
    let end = end.map_or("does not expire".to_owned(), |end| format!("expires {end}"));
    let message = match (verdict, one.report.next_rotation_at) {
        (Verdict::Fresh, Some(next)) => format!("token `{name}` {end}; next rotation {next}"),
        (Verdict::Fresh, None) => format!("token `{name}` {end}; nothing is due"),
        (Verdict::Missing, _) => format!("token `{name}` does not exist; the next run creates it"),
        (Verdict::Undelivered | Verdict::Due | Verdict::Forced | Verdict::InFlight, _) => {
            format!("token `{name}`; the next run replaces it: {why}")
        }
    };
    Check::new(subject, "token", State::Ok, message)
}

/// Whether a check of its own reports the error.
fn is_told_elsewhere(error: &RotationError) -> bool {
    matches!(
        error,
        RotationError::Observe(_)
            | RotationError::NoClock
            | RotationError::ClocksDiffer { .. }
            | RotationError::Unreadable { .. }
            | RotationError::DestinationNotRead { .. }
    )
}

fn secrets(one: &Examination<'_>, subject: &str, is_accepted: bool) -> Vec<Check> {
    let check = |state, message| Check::new(subject, "secrets", state, message);
    let mut checks = Vec::new();
    if one.writable > 0 {
        let message = format!("{} can be read and written", counted(one.writable, "secret"));
        checks.push(check(State::Ok, message));
    }
    if !one.missing.is_empty() {
        let (verb, it) = if one.missing.len() == 1 { ("does", "it") } else { ("do", "them") };
        let message =
            format!("{} {verb} not exist; the next rotation creates {it}", names::secrets(&one.missing));
        checks.push(check(State::Warning, message).fix("Check the names of secrets that should exist."));
    }
    if let [first, ..] = one.lacking_environment.as_slice() {
        let message = format!(
            "the environment of {first}{} does not exist: the first run creates it",
            more(one.lacking_environment.len() - 1)
        );
        checks.push(check(State::Unknown, message).fix(
            "Check that the GitHub credential has the repository permissions \"Administration\" and \"Environments\": \
             read and write. This cannot be tried without creating the environment.",
        ));
    }
    if let [first, ..] = one.unproven.as_slice() {
        let message = format!(
            "{first}{}: readable; GitHub's answer does not tell whether it can be written",
            more(one.unproven.len() - 1)
        );
        checks.push(check(State::Unknown, message).fix(
            "Run `doctor` again later. A run creates the token all the same, and keeps the previous one until every \
             secret was written.",
        ));
    }
    for failure in &one.blocked {
        checks.push(if failure.code == ErrorCode::GithubCredential && !is_accepted {
            check(State::Unknown, "not looked at: GitHub rejected the credential".to_owned())
        } else {
            Check::failed(subject, "secrets", failure.clone())
        });
    }
    checks
}

fn more(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" (and {count} more)") }
}
