//! The fake Axiom by the names that most tests use: see [`super::provider`].

pub use super::provider::{Alter, FakeProvider as FakeAxiom, FakeToken as AxiomToken, Switches, TokenSpec};
