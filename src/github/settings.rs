//! What the client is built from.

use secrecy::SecretString;
use url::Url;

use super::pace::Pace;
use crate::http::Announce;
use crate::progress::Progress;

/// The address of GitHub's API and the GitHub credential.
#[derive(Debug, Clone)]
pub(crate) struct GithubSettings {
    /// The REST API, with its path where it has one (`/api/v3`).
    pub api_url: Url,
    pub credential: GithubCredential,
}

/// The address of the site that belongs to the API; `None` if the API's does not tell.
pub(crate) fn site_url(api_url: &Url) -> Option<String> {
    match api_url.domain().and_then(|host| host.strip_prefix("api.")) {
        Some(host) => Some(format!("https://{host}")),
        None if api_url.path().trim_end_matches('/') == "/api/v3" => {
            Some(api_url.origin().ascii_serialization())
        }
        None => None,
    }
}

/// The GitHub credential.
#[derive(Debug, Clone)]
pub(crate) enum GithubCredential {
    /// A personal access token, or an installation token that the workflow created.
    Token(SecretString),
    /// A GitHub App, which makes its own tokens.
    App {
        /// The App's id or client id.
        id: String,
        /// Its private key, PEM.
        private_key: SecretString,
    },
}

/// What a run may do at GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Read only (`crossfade status`).
    ReadOnly,
    /// Read, and check whether writes would be accepted (`--dry-run`).
    DryRun,
    /// The same, and send write checks (`crossfade doctor`).
    Doctor,
    /// Read and write.
    Apply,
}

/// Options of the GitHub client.
pub(crate) struct GithubOptions {
    /// The most requests under way at a time.
    pub concurrency: usize,
    /// What the server allows, if it publishes limits.
    pub pace: Pace,
    /// Nothing is changed without [`Mode::Apply`].
    pub mode: Mode,
    /// Called with every installation token that is created.
    pub announce: Announce,
    /// Counts every secret that was read or written.
    pub progress: Progress,
}
