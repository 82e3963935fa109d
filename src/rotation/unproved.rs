//! Providers that were not shown to work as their files say: reported once for each in a run, and
//! by `crossfade doctor`.

use super::marker::Marker;
use super::session::Sessions;
use super::steps;
use crate::config::Config;
use crate::provider::{Kind, ProviderSettings, Token};
use crate::report::{RotationOutcome, RotationReport};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unproved {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    pub(crate) steps: Vec<String>,
}

/// Each provider of these rotations that was not proved, once. A provider whose tokens could not
/// be listed is left out.
pub(crate) fn unproved(config: &Config, sessions: &Sessions) -> Vec<Unproved> {
    let mut found: Vec<Unproved> = Vec::new();
    for settings in config.rotations.iter().map(|rotation| &rotation.provider) {
        let tokens = sessions.get(settings).and_then(|session| session.listed());
        let Some(message) = tokens.and_then(|tokens| doubt(settings, tokens)) else { continue };
        if found.iter().all(|one| one.kind != settings.kind) {
            let steps = steps::prove(settings.kind.name());
            found.push(Unproved { kind: settings.kind.clone(), message, steps });
        }
    }
    found
}

/// What is not known of a provider that sees these tokens. A token with a marker shows that a
/// file of the user's own works.
fn doubt(settings: &ProviderSettings, tokens: &[Token]) -> Option<String> {
    let kind = &settings.kind;
    if let Some(what) = settings.unproved() {
        return Some(format!(
            "the provider `{kind}` was not proved: something is not published ({what}), so no token is created with it"
        ));
    }
    let is_used = tokens.iter().any(|token| Marker::find(&token.note).is_some());
    (kind.is_own() && !settings.is_proved() && !is_used).then(|| {
        format!(
            "the provider `{kind}`, which your configuration describes, was not proved, and crossfade has made no token \
             with it yet"
        )
    })
}

/// Adds each warning to the first rotation of its provider, unless an error says the same, or
/// this run rotated a token of it, which shows that the file works.
pub(super) fn warn(reports: &mut [RotationReport], unproved: Vec<Unproved>) {
    for Unproved { kind, message, steps } in unproved {
        let of_kind = |report: &&mut RotationReport| report.provider == kind.name();
        let code = crate::error_code::ErrorCode::Unproved.to_string();
        let is_told = reports.iter().any(|report| report.error_code.as_ref() == Some(&code));
        let is_shown = reports
            .iter()
            .any(|report| report.provider == kind.name() && report.outcome == RotationOutcome::Rotated);
        if let Some(report) = reports.iter_mut().find(of_kind).filter(|_| !is_told && !is_shown) {
            report.warnings.push(format!("{message}. {}", steps.join(" ")));
        }
    }
}
