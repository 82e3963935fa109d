//! The GitHub credential: accepted, whose it is, which kind, and its end.

use jiff::Timestamp;

use super::{Check, State};
use crate::github::{Error, Identity};
use crate::rotation::Failure;

const SUBJECT: &str = "GitHub credential";

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
    let renew = "Renew it before: crossfade does not rotate it, and cannot write secrets without it.";
    checks.extend(expires_at.map(|end| Check::expiry(SUBJECT, format!("expires {end}"), end, now, renew)));
    checks
}

fn described(identity: &Identity) -> String {
    let mut text = identity.description.clone();
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
