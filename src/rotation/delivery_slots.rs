//! How many rotations may be between mint and delivery at once.
//!
//! The more there are, the longer each new token waits for its turn. So no more
//! than GitHub takes in a minute are to be written at a time, which is what a
//! delivery window counts on ([`super::window::delivery_window`]).

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::github::WRITES_A_MINUTE;

/// The berths of a run.
#[derive(Debug)]
pub struct DeliverySlots {
    writes: Semaphore,
    least: usize,
}

impl DeliverySlots {
    /// Berths for `rotations` at most.
    #[must_use]
    pub fn new(rotations: usize) -> Self {
        let least = WRITES_A_MINUTE / rotations.clamp(1, WRITES_A_MINUTE);
        Self { writes: Semaphore::new(WRITES_A_MINUTE), least }
    }

    /// Waits until a rotation with so many writes may mint. One with more than a
    /// minute's goes alone.
    pub async fn acquire(&self, writes: usize) -> Option<SemaphorePermit<'_>> {
        let share = writes.clamp(self.least, WRITES_A_MINUTE);
        // `None` only when the semaphore is closed, which never happens.
        self.writes.acquire_many(u32::try_from(share).unwrap_or(u32::MAX)).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_minute_s_writes_at_once_and_no_more_rotations_than_asked_for() {
        let enter = |delivery_slots: &DeliverySlots, writes: &[usize]| {
            let held: Vec<_> =
                writes.iter().map_while(|n| delivery_slots.acquire(*n).now_or_never()).collect();
            held.len()
        };
        assert_eq!(enter(&DeliverySlots::new(3), &[1; 10]), 3);
        assert_eq!(enter(&DeliverySlots::new(100), &[60, 60, 60, 60]), 2);
        assert_eq!(enter(&DeliverySlots::new(8), &[5000, 1]), 1, "alone");
        assert_eq!(enter(&DeliverySlots::new(8), &[1, 5000]), 1, "and not before it is alone");
        assert_eq!(enter(&DeliverySlots::new(0), &[1, 1]), 1);
    }
}
