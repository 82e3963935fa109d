//! Limits how many rotations are between mint and delivery at once.
//!
//! More rotations at once make each new token wait longer. So no more secrets are
//! delivered at a time than GitHub accepts in a minute, which the delivery window relies
//! on ([`crate::limits::delivery_window`]).

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::limits::WRITES_A_MINUTE;

pub(crate) struct DeliverySlots {
    writes: Semaphore,
    least: usize,
}

impl DeliverySlots {
    /// Slots for at most this many rotations.
    pub(crate) fn new(rotations: usize) -> Self {
        let least = WRITES_A_MINUTE / rotations.clamp(1, WRITES_A_MINUTE);
        Self { writes: Semaphore::new(WRITES_A_MINUTE), least }
    }

    /// Waits until a rotation with so many writes may mint. One with more writes than
    /// fit in a minute runs alone.
    pub(crate) async fn acquire(&self, writes: usize) -> Option<SemaphorePermit<'_>> {
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
