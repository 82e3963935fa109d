//! The integration tests: one binary.

// A test that cannot go on must stop; helpers outside test functions too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod actions;
mod client;
mod fakes;
mod kill;
mod matrix;
mod process;
mod proxy;
mod recovery;
mod rivals;
mod rotate;
mod scene;
mod walk;
