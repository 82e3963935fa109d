//! The codes of errors. Each has a section in `docs/errors.md`.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $word:literal,)+) => {
        /// What kind of failure an error is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $code,)+
        }

        impl ErrorCode {
            /// Every code, in the order of the docs.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// The code as users see it: the heading of its section.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $word,)+
                }
            }
        }
    };
}

codes! {
    /// GitHub rejected the GitHub credential.
    GithubCredential = "github-credential",
    /// The GitHub credential lacks a permission.
    GithubPermission = "github-permission",
    /// The provider rejected its credential.
    ProviderCredential = "provider-credential",
    /// The provider credential lacks a permission.
    ProviderPermission = "provider-permission",
    /// GitHub did not answer, or answered with a server error.
    GithubUnreachable = "github-unreachable",
    /// GitHub's rate limit is used up.
    GithubLimit = "github-limit",
    /// A reply that GitHub's API does not document.
    GithubReply = "github-reply",
    /// The provider did not answer, or answered with a server error.
    ProviderUnreachable = "provider-unreachable",
    /// The provider's rate limit is used up.
    ProviderLimit = "provider-limit",
    /// A reply that the provider's API does not document.
    ProviderReply = "provider-reply",
    /// GitHub's time is unknown, or the provider's differs from it.
    Clocks = "clocks",
    /// The repository, environment or organization of a secret does not exist.
    SecretNotFound = "secret-not-found",
    /// GitHub refused a request for one secret.
    SecretRefused = "secret-refused",
    /// Some secrets were not written with the new token.
    Undelivered = "undelivered",
    /// GitHub refused the new token for every secret.
    RefusedEverywhere = "refused-everywhere",
    /// Too many tokens were created for secrets that keep failing.
    HeldBack = "held-back",
    /// There is no token with the name or id of the rotation.
    TokenNotFound = "token-not-found",
    /// Several tokens have the name of the rotation's token.
    TokenAmbiguous = "token-ambiguous",
    /// The token carries the marker of another rotation.
    TokenOfAnotherRotation = "token-of-another-rotation",
    /// The provider refused to create the token.
    TokenRefused = "token-refused",
    /// The provider did not confirm that it created a token.
    TokenLost = "token-lost",
    /// The new token cannot be used.
    TokenUnfit = "token-unfit",
    /// A marker that no run of crossfade wrote.
    MarkerForged = "marker-forged",
    /// Signed markers that no key of this run verifies.
    MarkerKey = "marker-key",
    /// Tokens of one rotation with different privileges.
    PrivilegesDiffer = "privileges-differ",
    /// Another run is at work.
    AnotherRun = "another-run",
    /// The run was stopped, or its deadline was near.
    Stopped = "stopped",
    /// The user did not confirm that tokens may be ended at once.
    NotConfirmed = "not-confirmed",
    /// A pattern of repositories that cannot be used.
    Pattern = "pattern",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
