//! GitHub's published rate limits, and what follows from them: how long a delivery may
//! take, and so how many secrets one rotation can have.
//!
//! Pure arithmetic. `github::pace` keeps within these limits.

use jiff::SignedDuration;

/// Points of a read.
pub(crate) const READ_POINTS: u32 = 1;
/// Points of a write.
pub(crate) const WRITE_POINTS: u32 = 5;
/// GitHub's limit: points in a minute.
pub(crate) const POINTS_A_MINUTE: u32 = 900;
/// The percentage of the allowed points that is used.
pub(crate) const USED_OF_100: u32 = 99;

/// The writes that are certainly possible in a minute. Delivery windows are sized by it.
pub(crate) const WRITES_A_MINUTE: usize = (POINTS_A_MINUTE * USED_OF_100 / 100 / WRITE_POINTS) as usize;

/// The longest delivery window: half an hour of writing is what GitHub's limit of 5000
/// requests an hour allows.
pub(crate) const LONGEST_WINDOW: SignedDuration = SignedDuration::from_mins(30);

/// The most writes that fit into the longest window.
pub(crate) const MOST_WRITES: usize = 29 * WRITES_A_MINUTE - 1;

/// Whether so many secrets can be written in time.
#[must_use]
pub(crate) fn fits(writes: usize) -> bool {
    writes <= MOST_WRITES
}

/// The most time from a mint to its last write: a minute for the verification, one for
/// the requests sent right before, and one for each further minute over which GitHub's
/// limits spread the writes.
#[must_use]
pub(crate) fn delivery_window(writes: usize) -> SignedDuration {
    let stretched = u32::try_from(writes / WRITES_A_MINUTE).unwrap_or(u32::MAX);
    SignedDuration::from_mins(2 + i64::from(stretched))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_grow_with_the_number_of_writes() {
        assert_eq!(delivery_window(1), SignedDuration::from_mins(2));
        assert!(delivery_window(1000) >= SignedDuration::from_secs(60 + 1000 * 60 / 180));
        assert_eq!(delivery_window(MOST_WRITES), LONGEST_WINDOW);
        assert!(delivery_window(MOST_WRITES + 1) > LONGEST_WINDOW);
        assert!(fits(0) && fits(MOST_WRITES) && !fits(MOST_WRITES + 1));
    }
}
