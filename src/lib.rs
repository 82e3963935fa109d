//! crossfade replaces an API token before it expires.
//!
//! A rotation goes through these steps, and the modules follow them:
//!
//! 1. [`cli`] and [`config`] check the arguments and the configuration file, and make
//!    rotations of them; no request has been sent yet.
//! 2. [`rotation`] *observes* the provider's tokens and GitHub's timestamps,
//!    *plans* (a pure function), checks in a *preflight* that the secrets can be
//!    written, *mints* the new token, *verifies* it, *delivers* it to every
//!    destination and *retires* the tokens that no destination holds any more.
//! 3. [`provider`] sends requests to the services that issue tokens, [`github`] to
//!    GitHub; both through the one client in [`http`].
//! 4. [`report`] prints what happened, for users and for programs; [`issue`] keeps an issue
//!    open on GitHub while something is wrong.
//!
//! [`doctor`] asks what a rotation would meet, and changes nothing. [`init`] writes the files
//! that a first rotation needs.
//!
//! [`run()`] connects them for one invocation. [`clock`] is the only source of time.
//! [`error_code`] has the codes of errors, which lead to their sections in the docs.
//! Every string from outside passes [`redact`] before it reaches an output.

mod catalogue;
mod cli;
mod clock;
mod config;
mod diagnostic;
mod doctor;
mod environment;
mod error_code;
mod github;
mod http;
mod init;
mod issue;
mod limits;
mod period;
mod progress;
mod provider;
mod redact;
mod report;
mod rotation;
mod run;
mod streams;
mod yaml;

mod log;
mod question;

pub use cli::command;
pub use config::SCHEMA;
pub use environment::Environment;
pub use run::run;
pub use streams::{Input, Stream, Streams};

/// The errors that reports show, for the test of their wording.
pub mod errors {
    pub use crate::error_code::ErrorCode;
    pub use crate::http::HttpError;
    pub use crate::rotation::error::{Causes, Cleanup, RotationError};

    /// Errors of GitHub.
    pub mod github {
        pub use crate::github::{Error, ErrorKind};
    }

    /// Errors of a provider.
    pub mod provider {
        pub use crate::provider::{Error, ErrorKind};
    }
}
