//! Commands, flags and environment.
