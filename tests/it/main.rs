//! The integration tests: one binary.

// A test that cannot go on must stop; helpers outside test functions too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

// act and the action's script need a Unix shell.
#[cfg(unix)]
mod action;
mod actions;
mod app;
mod campaign;
mod cases;
mod client;
mod confirmation;
mod destinations;
mod docs;
mod docs_links;
mod doctor;
mod errors;
mod evidence;
mod fakes;
mod faults;
mod file;
mod fleet;
mod init;
mod issue;
mod jupyterhub;
mod kill;
mod layers;
mod log;
mod matrix;
mod mistakes;
mod pacing;
mod patterns;
mod process;
mod progress;
mod providers;
mod recovery;
mod replies;
mod retire;
mod rivals;
mod rotate;
mod scene;
mod simulation;
mod statements;
mod status;
mod summary;
mod tls;
mod trust;
mod unstarted;
mod walk;
mod workflows;
