//! A length of time as people write it: `90d`, `48h`, `1d12h`.
//!
//! A day is 24 hours here. Parsing and printing only; what a period means is
//! decided in [`crate::config::Policy`].

use jiff::SignedDuration;

/// A length of time, never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Period(SignedDuration);

impl Period {
    /// So many days of 24 hours.
    #[must_use]
    pub const fn from_days(days: i64) -> Self {
        Self(SignedDuration::from_hours(days * 24))
    }

    /// The length, for arithmetic with timestamps.
    #[must_use]
    pub const fn duration(self) -> SignedDuration {
        self.0
    }
}
