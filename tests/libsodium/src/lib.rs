//! crossfade's sealing, compiled alone, so that only this package builds libsodium.

#[path = "../../../src/github/seal.rs"]
pub mod seal;
