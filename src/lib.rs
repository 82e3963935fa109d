//! crossfade replaces an expiring API token before it dies.
//!
//! A rotation is a story in eight steps, and the modules follow it:
//!
//! 1. [`cli`] and [`config`] turn what the user wrote into checked rotations;
//!    nothing has been contacted yet.
//! 2. [`rotation`] *observes* the provider's tokens and GitHub's timestamps,
//!    *plans* (a pure function), checks by a *preflight* that what it will write
//!    can be written, *mints* the successor, *probes* it, *delivers* it to every
//!    destination, *retires* what is no longer held, and hands over an outcome.
//! 3. [`provider`] speaks to the services that issue tokens, [`github`] to the
//!    service that keeps secrets; both through the one client in [`http`].
//! 4. [`report`] tells people and machines what happened, and no more than that.
//!
//! [`run`] puts them together for one invocation.
//! [`clock`] is the only source of time, [`redact`] the only gate through which
//! strings from outside reach an output.

pub mod cli;
pub mod clock;
pub mod config;
pub mod github;
pub mod http;
pub mod progress;
pub mod provider;
pub mod redact;
pub mod report;
pub mod rotation;
pub mod run;
pub mod streams;

mod log;
