//! A provider with its credential, and the list of tokens that it can see.
//!
//! Rotations that share a credential share one list of tokens. A token may rotate
//! itself; then requests after the mint need the new value. Not every provider tells in
//! advance whether that is the case, so [`CredentialFallback`] tries one value and falls
//! back to the other.

use std::collections::HashMap;

use secrecy::SecretString;
use tokio::sync::OnceCell;

use crate::clock::ClockId;
use crate::http::RetryPolicy;
use crate::provider::{Error, ErrorKind, Provider, ProviderSettings, Token};

/// The sessions of a run, one for each provider and credential.
pub(crate) type Sessions = HashMap<ProviderSettings, ProviderSession>;

pub(crate) struct ProviderSession {
    pub provider: Provider,
    pub credential: SecretString,
    /// The clock that the provider's replies set.
    pub clock: ClockId,
    /// How often a request that ends a token is repeated, and after which waits.
    pub retry: RetryPolicy,
    /// What [`Self::tokens`] was answered.
    pub listed: OnceCell<Result<Vec<Token>, Error>>,
}

impl ProviderSession {
    /// Every token that the credential can see, asked for once per run, errors included.
    pub(crate) async fn tokens(&self) -> Result<&[Token], Error> {
        let listed =
            self.listed.get_or_init(async || Box::pin(self.provider.list(&self.credential)).await).await;
        listed.as_deref().map_err(Clone::clone)
    }

    /// The same without a request: `None` unless it has been read.
    pub(super) fn listed(&self) -> Option<&[Token]> {
        self.listed.get()?.as_deref().ok()
    }
}

/// The credentials that a rotation's calls can use.
pub(super) struct CredentialFallback<'a> {
    first: &'a SecretString,
    second: Option<&'a SecretString>,
}

impl<'a> CredentialFallback<'a> {
    /// Before a mint: the user's credential alone.
    pub(super) fn before_mint(session: &'a ProviderSession) -> Self {
        Self { first: &session.credential, second: None }
    }

    /// After a mint: the new value first if the previous token may be the credential.
    pub(super) fn after_mint(
        session: &'a ProviderSession,
        value: &'a SecretString,
        previous: Option<&Token>,
    ) -> Self {
        let old = &session.credential;
        match previous.is_some_and(|token| session.provider.could_be_value_of(token, old)) {
            true => Self { first: value, second: Some(old) },
            false => Self { first: old, second: Some(value) },
        }
    }

    /// Makes a call with one value, and with the other if the first is refused.
    pub(super) async fn call<T>(
        &self,
        call: impl AsyncFn(&SecretString) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match (call(self.first).await, self.second) {
            (Err(refusal), Some(second)) if is_about_the_credential(&refusal) => match call(second).await {
                // Report the first refusal: the second value is a guess.
                Err(error) if is_about_the_credential(&error) => Err(refusal),
                // The second value may do it, so this is what came of it.
                result => result,
            },
            (result, _) => result,
        }
    }
}

/// Whether an error is about the value that signed in.
pub(super) fn is_about_the_credential(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Unauthenticated | ErrorKind::Forbidden)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use secrecy::ExposeSecret as _;

    use super::*;

    /// The values that a call tries if each is refused in this way, and its result.
    fn tried(credentials: &CredentialFallback<'_>, refused: ErrorKind) -> (Vec<String>, Result<(), String>) {
        let tried = std::cell::RefCell::new(Vec::new());
        let call = credentials.call(async |value: &SecretString| {
            let value = value.expose_secret().to_owned();
            tried.borrow_mut().push(value.clone());
            Err::<(), _>(Error { kind: refused, message: value, retry_after: None })
        });
        let outcome = call.now_or_never().unwrap().map_err(|error| error.message);
        (tried.into_inner(), outcome)
    }

    #[test]
    fn the_other_value_is_tried_where_the_first_is_refused() {
        let (old, new) = (SecretString::from("old"), SecretString::from("new"));
        let credentials = |new_first| match new_first {
            true => CredentialFallback { first: &new, second: Some(&old) },
            false => CredentialFallback { first: &old, second: Some(&new) },
        };
        let expected = |values: [&str; 2]| (values.map(str::to_owned).to_vec(), Err(values[0].to_owned()));
        for refused in [ErrorKind::Unauthenticated, ErrorKind::Forbidden] {
            assert_eq!(tried(&credentials(false), refused), expected(["old", "new"]));
            assert_eq!(tried(&credentials(true), refused), expected(["new", "old"]));
        }
        for other in [ErrorKind::NotFound, ErrorKind::Unavailable, ErrorKind::RateLimited] {
            assert_eq!(tried(&credentials(true), other).0, ["new"]);
        }
        // The value that may do it says what happened.
        let both = credentials(true);
        let lost = both.call(async |value: &SecretString| {
            let is_new = value.expose_secret() == "new";
            let kind = if is_new { ErrorKind::Forbidden } else { ErrorKind::Unavailable };
            Err::<(), _>(Error { kind, message: String::new(), retry_after: None })
        });
        assert_eq!(lost.now_or_never().unwrap().unwrap_err().kind, ErrorKind::Unavailable);
        let alone = CredentialFallback { first: &old, second: None };
        assert_eq!(tried(&alone, ErrorKind::Forbidden).0, ["old"]);
    }
}
