//! The integration tests: one binary.

// A test that cannot go on must stop; helpers outside test functions too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod actions;
mod app;
mod client;
mod destinations;
mod fakes;
mod file;
mod patterns;
mod process;
mod proxy;
mod rotate;
