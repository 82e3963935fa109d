//! The provider's tokens that no rotation covers. Sends no request: it goes by the lists
//! that the rotations have read.

use std::collections::HashSet;

use super::marker::{self, Marker};
use super::session::Sessions;
use crate::config::{Config, Rotation};
use crate::provider::{ProviderSettings, Token};
use crate::report::UnmanagedToken;

/// Every listed token that no rotation of the file covers, selected or not; each one
/// once, however many credentials can see it.
pub(crate) fn unmanaged(config: &Config, sessions: &Sessions) -> Vec<UnmanagedToken> {
    let rotations: Vec<&Rotation> = config.rotations.iter().chain(&config.unselected).collect();
    let listed: Vec<(&ProviderSettings, &[Token])> =
        sessions.iter().filter_map(|(settings, session)| Some((settings, session.listed()?))).collect();
    let identity = |settings: &ProviderSettings, token: &Token| {
        (settings.kind.to_string(), settings.origin(), token.id.clone())
    };
    let mut seen = HashSet::new();
    for (settings, tokens) in &listed {
        let by_name = rotations.iter().filter(|rotation| {
            let own = &rotation.provider;
            // A list that was not read may be of the same account, with another credential.
            own == *settings
                || !listed.iter().any(|(other, _)| *other == own)
                    && (&own.kind, own.origin()) == (&settings.kind, settings.origin())
        });
        let names: HashSet<&str> = by_name.map(|rotation| rotation.token.as_str()).collect();
        for token in *tokens {
            let has_name =
                names.contains(token.id.as_str()) || names.contains(marker::strip(&token.name).as_str());
            let marker = Marker::find(&token.note);
            let has_marker =
                marker.is_some_and(|m| rotations.iter().any(|rotation| rotation.has_key(&m.key)));
            if has_name || has_marker {
                seen.insert(identity(settings, token));
            }
        }
    }
    let mut unmanaged = Vec::new();
    for (settings, tokens) in &listed {
        let others = tokens.iter().filter(|token| seen.insert(identity(settings, token)));
        unmanaged.extend(others.map(|token| UnmanagedToken {
            provider: settings.kind.to_string(),
            id: token.id.clone(),
            name: marker::strip(&token.name),
            expires_at: token.expires_at,
            disabled: token.disabled,
            marker: Marker::find(&token.note).map(|marker| marker.to_string()),
        }));
    }
    unmanaged.sort_by(|a, b| (&a.provider, &a.name, &a.id).cmp(&(&b.provider, &b.name, &b.id)));
    unmanaged
}
