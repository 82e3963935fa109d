//! Stateful fakes of GitHub and of each provider, and what proves runs right.
//!
//! A fake keeps what the real service would keep, lives by a virtual clock and
//! judges every request by the published API description. Tests assert on what
//! the fakes hold afterwards. Used by the integration tests and by the sandbox
//! example, so nothing in here knows of a test harness.
//!
//! - [`clock`]: the virtual time that all fakes share.
//! - [`github`], [`provider`]: the fakes; [`axiom`]: the one most tests use.
//! - [`contracts`]: the API descriptions as judges.
//! - [`events`]: what happened at the fakes, in order.
//! - [`world`]: the standard scene; [`invariants`]: what must hold in it;
//!   [`marker`]: the marker, read independently of the crate.
//! - [`invocation`]: one run of crossfade.
//! - [`leaks`]: parts of secrets in what a run puts out.
//! - [`server`]: the HTTP server of a fake, with the faults inside.

// Each user of this module uses another part of it.
#![allow(dead_code, unused_imports, unreachable_pub)]
// A fake that cannot go on must stop the test that uses it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::use_debug, clippy::print_stderr)]

pub mod axiom;
pub mod clock;
pub mod contracts;
pub mod events;
pub mod github;
pub mod invariants;
pub mod invocation;
pub mod leaks;
pub mod marker;
pub mod provider;
pub mod reply;
pub mod server;
pub mod world;

pub use axiom::FakeAxiom;
pub use clock::VirtualClock;
pub use events::{Event, Journal, Peer};
pub use github::FakeGithub;
pub use invariants::Invariant;
pub use invocation::{Invocation, Ran};
pub use provider::{FakeProvider, Service};
pub use server::{Fault, Faults, Target};
pub use world::World;
