//! The GitHub credential: accepted, whose it is, which kind, and its end.

use jiff::{SignedDuration, Timestamp};

use super::{Check, State};
use crate::github::{CredentialKind, Error, Identity};
use crate::rotation::Failure;

const SUBJECT: &str = "GitHub credential";

/// How long before its expiry the credential is reported.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

pub(super) fn checks(
    identity: Result<&Identity, &Error>,
    expires_at: Option<Timestamp>,
    now: Option<Timestamp>,
) -> Vec<Check> {
    let identity = match identity {
        Ok(identity) => identity,
        Err(error) => return vec![Check::failed(SUBJECT, "credential", Failure::of_github(error))],
    };
    let mut checks = vec![Check::new(SUBJECT, "credential", State::Ok, described(identity))];
    checks.extend(expires_at.map(|end| expiry(end, now)));
    checks
}

/// Whose it is, and which kind.
fn described(identity: &Identity) -> String {
    let kind = match identity.kind {
        CredentialKind::FineGrained => "fine-grained personal access token",
        CredentialKind::Classic => "classic personal access token",
        CredentialKind::Oauth => "OAuth token",
        CredentialKind::InstallationToken => "installation token, as a workflow or a GitHub App has it",
        CredentialKind::App => "GitHub App",
        CredentialKind::Other => "token",
    };
    let name = identity.name.as_deref();
    let mut text = match (identity.kind, name) {
        (CredentialKind::App, Some(name)) => format!("{kind} {name}"),
        (_, Some(name)) => format!("accepted: {kind} of {name}"),
        (_, None) => format!("accepted: {kind}"),
    };
    if let Some(scopes) = &identity.scopes {
        text.push_str(&format!(", scopes {scopes}"));
    }
    let installed = identity.installations.iter().map(|(owner, covers_all)| {
        format!("{owner} ({})", if *covers_all { "all repositories" } else { "selected repositories" })
    });
    let installed: Vec<String> = installed.collect();
    if !installed.is_empty() {
        text.push_str(&format!(", installed at {}", installed.join(", ")));
    }
    text
}

fn expiry(end: Timestamp, now: Option<Timestamp>) -> Check {
    let is_near = now.is_some_and(|now| end.duration_since(now) <= SOON);
    let state = if is_near { State::Warning } else { State::Ok };
    let check = Check::new(SUBJECT, "expiry", state, format!("expires {}", end));
    match is_near {
        true => {
            check.fix("Renew it before: crossfade does not rotate it, and cannot write secrets without it.")
        }
        false => check,
    }
}
