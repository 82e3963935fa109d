//! Retires a token: the only place where one is disabled or deleted.
//!
//! A provider may reuse an id, and a proxy may answer 200 to anything. So the token is
//! read right before each request that ends it, and only the documented reply, or a
//! token that is gone on the next read, counts as success.

use jiff::{SignedDuration, Timestamp};

use super::marker::Marker;
use super::session::{CredentialFallback, ProviderSession};
use crate::provider::{ErrorKind, RetireAction, Token};

/// Two replies may show one date with different precision.
const PRECISION: SignedDuration = SignedDuration::from_secs(1);

/// Disables or deletes a token, and returns once it has certainly ended. Repeats the
/// request as the retry policy allows. The error says why it was not ended, or may not
/// have been.
pub(super) async fn retire(
    session: &ProviderSession,
    credentials: &CredentialFallback<'_>,
    token: &Token,
    action: RetireAction,
) -> Result<(), String> {
    // Boxed: few of a thousand rotations retire a token on the same day.
    Box::pin(async {
        let mut repetitions = session.retry.repetitions();
        loop {
            if has_ended(session, credentials, token, action).await? {
                return Ok(());
            }
            let sent = credentials
                .call(async |credential| session.provider.retire(credential, token, action).await)
                .await;
            let Err(error) = sent else { return Ok(()) };
            match error.kind {
                ErrorKind::Unauthenticated | ErrorKind::Forbidden => return Err(error.to_string()),
                // It may have ended without the documented reply: read it again.
                ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Invalid | ErrorKind::Unreadable => {
                    if has_ended(session, credentials, token, action).await? {
                        return Ok(());
                    }
                    if error.kind.is_about_the_token() {
                        return Err(error.to_string());
                    }
                }
                ErrorKind::RateLimited | ErrorKind::Unavailable => {}
            }
            let Some(wait) = repetitions.next_wait(error.retry_after) else {
                return Err(error.to_string());
            };
            tracing::debug!(
                wait_ms = wait.as_millis(),
                "will read token {} and end it again: {error}",
                token.id
            );
            tokio::time::sleep(wait).await;
        }
    })
    .await
}

/// Reads the token: whether it has ended. An error if its id now belongs to another token.
async fn has_ended(
    session: &ProviderSession,
    credentials: &CredentialFallback<'_>,
    token: &Token,
    action: RetireAction,
) -> Result<bool, String> {
    let read = credentials.call(async |credential| session.provider.get(credential, &token.id).await).await;
    match read
        .map_err(|error| format!("it could not be read again, which is necessary right before: {error}"))?
    {
        None => Ok(true),
        Some(shown) if !is_same(token, &shown) => Err(format!(
            "the provider now shows a different token, \"{}\", under this id, so nothing was sent. Check at the \
             provider which token this is",
            shown.name
        )),
        Some(shown) => Ok(action == RetireAction::Disable && shown.disabled),
    }
}

/// Whether the provider still shows the same token under an id: by creation date and marker,
/// else by name and expiry. A date alone does not tell: the id of a new token that is deleted
/// at once may belong to another one within the same second.
fn is_same(meant: &Token, shown: &Token) -> bool {
    let markers = (Marker::find(&meant.note), Marker::find(&shown.note));
    if meant.id != shown.id || markers.0 != markers.1 {
        return false;
    }
    if let (Some(meant), Some(shown)) = (meant.created_at, shown.created_at) {
        return is_same_time(meant, shown);
    }
    if markers.0.is_some() {
        return true;
    }
    let is_same_end = match (meant.expires_at, shown.expires_at) {
        (Some(meant), Some(shown)) => is_same_time(meant, shown),
        (meant, shown) => meant == shown,
    };
    meant.name == shown.name && is_same_end
}

fn is_same_time(a: Timestamp, b: Timestamp) -> bool {
    a.duration_since(b).abs() <= PRECISION
}

#[cfg(test)]
mod tests {
    use super::super::marker;
    use super::super::samples::{day, minted};
    use super::*;

    #[test]
    fn a_token_is_recognised_by_date_and_marker_or_by_name_and_expiry() {
        let note = |day_of_mint| {
            let member = minted("tok", day(day_of_mint), None);
            marker::annotate("", &member.marker.unwrap())
        };
        let marked = Token { note: note(0), ..minted("tok", day(0), Some(day(90))).token };
        let other = note(1);
        let with = |change: fn(&mut Token)| {
            let mut token = marked.clone();
            change(&mut token);
            token
        };
        let plain = |change: fn(&mut Token)| {
            let mut token = with(|token| token.note.clear());
            change(&mut token);
            token
        };
        let dated = |change: fn(&mut Token)| {
            let mut token = with(|token| token.created_at = Some(day(0)));
            change(&mut token);
            token
        };
        let earlier = |token: &mut Token| token.expires_at = Some(day(80));

        assert!(is_same(&dated(|_| {}), &dated(earlier)));
        assert!(
            !is_same(&dated(|_| {}), &dated(|token| token.created_at = Some(day(1)))),
            "the date differs"
        );
        assert!(!is_same(&dated(|_| {}), &dated(|token| token.note.clear())), "made within the same second");
        let unmarked = |change: fn(&mut Token)| {
            let mut token = dated(|token| token.note.clear());
            change(&mut token);
            token
        };
        assert!(is_same(&unmarked(|_| {}), &unmarked(|token| token.name = "renamed".to_owned())));

        assert!(is_same(&with(|_| {}), &with(earlier)), "the marker decides");
        assert!(!is_same(&with(|_| {}), &Token { note: other, ..marked.clone() }));
        assert!(!is_same(&with(|_| {}), &plain(|_| {})), "the marker is gone");
        assert!(!is_same(&plain(|_| {}), &with(|_| {})));

        assert!(is_same(&plain(|_| {}), &plain(|_| {})));
        assert!(!is_same(&plain(|_| {}), &plain(earlier)));
        assert!(!is_same(&plain(|_| {}), &plain(|token| token.expires_at = None)));
        assert!(!is_same(&plain(|_| {}), &plain(|token| token.name = "other".to_owned())));

        assert!(!is_same(&dated(|_| {}), &dated(|token| token.id = "other".to_owned())));
    }
}
