//! Whether a mint may still be started.
//!
//! A cancelled job gets a signal and seconds later it is killed; a run has a
//! deadline. Neither interrupts anything: what was minted is delivered. They only
//! keep new mints from starting.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Lets mints start until the run is told to stop or its deadline nears.
#[derive(Debug)]
pub struct Brake {
    stopped: AtomicBool,
    last_mint: Instant,
}

impl Brake {
    /// A brake for a run that begins now and may take `deadline` in all. It closes
    /// a quarter of that before its end, but no more than `window` before.
    #[must_use]
    pub fn new(deadline: Duration, window: Duration) -> Self {
        let margin = window.min(deadline / 4);
        Self { stopped: AtomicBool::new(false), last_mint: Instant::now() + (deadline - margin) }
    }

    /// Pulls the brake for good: the process was told to stop.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Passes, or says why no mint may be started any more.
    ///
    /// # Errors
    /// The reason, as the end of a sentence that begins with "because".
    pub fn pass(&self) -> Result<(), String> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err("the run was told to stop".to_owned());
        }
        if Instant::now() >= self.last_mint {
            return Err("the run's deadline is near".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closes_when_told_to_and_near_the_deadline() {
        let window = Duration::from_secs(120);
        let brake = Brake::new(Duration::from_secs(600), window);
        assert_eq!(brake.pass(), Ok(()));
        brake.stop();
        assert_eq!(brake.pass(), Err("the run was told to stop".to_owned()));
        assert_eq!(Brake::new(Duration::ZERO, window).pass(), Err("the run's deadline is near".to_owned()));
    }
}
