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
//! 4. [`report`] prints what happened, for users and for programs.
//!
//! [`run`] connects them for one invocation. [`clock`] is the only source of time.
//! [`error_code`] has the codes of errors, which lead to their sections in the docs.
//! Every string from outside passes [`redact`] before it reaches an output.

pub mod cli;
pub mod clock;
pub mod config;
pub mod diagnostic;
pub mod error_code;
pub mod github;
pub mod http;
pub mod limits;
pub mod progress;
pub mod provider;
pub mod redact;
pub mod report;
pub mod rotation;
pub mod run;
pub mod streams;

mod log;
