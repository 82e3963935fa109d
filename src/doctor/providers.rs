//! Each provider credential: accepted, what it sees, its own end; and the clocks.

use futures_util::future::join_all;
use jiff::Timestamp;

use super::{Check, State};
use crate::clock::Clock;
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::provider::{Error, ErrorKind, ProviderSettings, Token};
use crate::report::format::counted;
use crate::rotation::session::{ProviderSession, Sessions};
use crate::rotation::{Unproved, clock_failure, provider_failure};

/// A provider credential, and the tokens that it sees.
pub(super) struct Listed<'a> {
    settings: &'a ProviderSettings,
    session: &'a ProviderSession,
    tokens: Result<&'a [Token], Error>,
}

/// Lists the tokens of every provider credential, in the order of the rotations.
pub(super) async fn listed<'a>(config: &'a Config, sessions: &'a Sessions) -> Vec<Listed<'a>> {
    let mut known: Vec<&ProviderSettings> = Vec::new();
    for rotation in &config.rotations {
        if !known.contains(&&rotation.provider) {
            known.push(&rotation.provider);
        }
    }
    let listing = known.into_iter().filter_map(|settings| {
        let session = sessions.get(settings)?;
        Some(async move { Listed { settings, session, tokens: session.tokens().await } })
    });
    join_all(listing).await
}

fn subject(settings: &ProviderSettings) -> String {
    format!("provider credential {} ({})", settings.credential, settings.kind)
}

pub(super) fn checks(listed: &Listed<'_>, now: Option<Timestamp>) -> Vec<Check> {
    let Listed { settings, session, tokens } = listed;
    let needs = &settings.kind.file().needs;
    let tokens = match tokens {
        Ok(tokens) => tokens,
        Err(error) => {
            let mut failure = provider_failure(error, &settings.credential);
            if is_about_rights(error.kind) && !error.message.contains(needs.as_str()) {
                failure.steps.insert(0, format!("The credential needs {needs}."));
            }
            return vec![Check::failed(subject(settings), "credential", failure)];
        }
    };
    // Only a mint shows whether it may create tokens.
    let message =
        format!("accepted: sees {}; to rotate one it needs {needs}", counted(tokens.len(), "token"));
    let mut checks = vec![Check::new(subject(settings), "credential", State::Ok, message)];
    // Only if a single token can be the credential, its end is the credential's.
    let is_live = |token: &&Token| {
        !token.disabled && token.expires_at.is_none_or(|end| now.is_none_or(|now| end > now))
    };
    let mut own = tokens
        .iter()
        .filter(is_live)
        .filter(|token| session.provider.could_be_value_of(token, &session.credential));
    if let (Some(Token { name, expires_at: Some(end), .. }), None) = (own.next(), own.next()) {
        let name = crate::rotation::marker::strip(name);
        let message = format!("only the listed token `{name}` can be this credential; it expires {end}");
        let variable = &settings.credential;
        let renew = format!("Renew it before, unless a rotation replaces it, and store it in `{variable}`.");
        checks.push(Check::expiry(subject(settings), message, *end, now, renew));
    }
    checks
}

/// Whether an error may mean that the credential is the wrong one.
fn is_about_rights(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unauthenticated | ErrorKind::Forbidden | ErrorKind::NotFound)
}

/// That a provider was not proved.
pub(super) fn proof(Unproved { kind, message, steps }: Unproved) -> Check {
    let check = Check::new(format!("provider {kind}"), "proof", State::Warning, message);
    Check { fix: steps, ..check }
}

/// Whether the clocks of GitHub and of the providers agree.
pub(super) fn clocks(clock: &Clock, listed: &[Listed<'_>], has_github_answered: bool) -> Check {
    let check = |state, message: &str| Check::new("clocks", "clocks", state, message);
    let answered: Vec<&Listed<'_>> = listed.iter().filter(|one| one.tokens.is_ok()).collect();
    if clock.now().is_none() {
        let state = if has_github_answered { State::Failed } else { State::Unknown };
        let silent =
            check(state, "GitHub sent no date").fix("Have the proxy in between pass on the `Date` header.");
        return Check { code: Some(ErrorCode::Clocks), ..silent };
    }
    let differs = |one: &&Listed<'_>| clock.skew(one.session.clock).and_then(clock_failure);
    if let Some(failure) = answered.iter().find_map(differs) {
        return Check::failed("clocks", "clocks", failure);
    }
    let silent: Vec<String> = answered
        .iter()
        .filter(|one| clock.skew(one.session.clock).is_none())
        .map(|one| one.settings.kind.to_string())
        .collect();
    if !silent.is_empty() {
        let message = format!("{} sends no date, so its clock could not be checked", silent.join(", "));
        return check(State::Unknown, &message);
    }
    if answered.is_empty() {
        return check(State::Unknown, "the provider's time was not read");
    }
    check(State::Ok, "GitHub and the providers agree within 5 minutes")
}

/// Recommends a signing key once, where nothing else supports that a token was replaced.
pub(super) fn signing_key(config: &Config, has_no_key: bool) -> Option<Check> {
    const SUBJECT: &str = "signing key";
    if !has_no_key {
        return Some(Check::new(SUBJECT, "marker_key", State::Ok, "CROSSFADE_MARKER_KEY is set"));
    }
    let settings = config.rotations.iter().map(|rotation| &rotation.provider);
    let unsupported = settings.map(|settings| &settings.kind).find(|kind| !kind.shows_replacement())?;
    let message = format!(
        "not set: {unsupported} shows neither a token's creation date nor that it was replaced, so crossfade goes by \
         equal privileges before it ends a previous token"
    );
    let fix = "Set CROSSFADE_MARKER_KEY (input `marker-key`), made with `openssl rand -hex 32`.";
    Some(Check::new(SUBJECT, "marker_key", State::Warning, message).fix(fix))
}
