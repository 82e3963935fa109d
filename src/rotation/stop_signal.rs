//! Whether a mint may still be started.
//!
//! A cancelled job receives a signal and is killed seconds later; a run has a deadline.
//! Neither interrupts a mint or its delivery. Both prevent new mints and end the waits
//! before them.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::limits::delivery_window;

const STOPPED: &str = "the run was stopped";

/// Allows mints until the process is asked to stop or the deadline is near.
pub(crate) struct StopSignal {
    stopped: watch::Sender<bool>,
    last_mint: Instant,
    end: Instant,
}

impl StopSignal {
    /// For a run that begins now and may take `deadline`. The last mint leaves time to
    /// deliver to one secret, or a quarter of the whole time if that is shorter. A request
    /// under way at the end may take its whole timeout.
    pub(crate) fn new(deadline: Duration, request_timeout: Duration) -> Self {
        let margin = delivery_window(1).unsigned_abs().min(deadline / 4);
        let end = Instant::now() + deadline;
        Self { stopped: watch::Sender::new(false), last_mint: end - margin, end: end + request_timeout }
    }

    /// Stops the run: the process received a stop signal.
    pub(crate) fn stop(&self) {
        self.stopped.send_replace(true);
    }

    /// Waits for work that may be abandoned: `Err` with the reason, as in [`Self::check`],
    /// once the run is stopped or its time is over.
    pub(crate) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, String> {
        let mut stopped = self.stopped.subscribe();
        tokio::select! {
            biased;
            // An error means that the sender is gone, so no stop can arrive.
            Ok(_) = stopped.wait_for(|stopped| *stopped) => Err(STOPPED.to_owned()),
            done = work => Ok(done),
            () = tokio::time::sleep_until(self.end.into()) => Err("the run's deadline is over".to_owned()),
        }
    }

    /// Whether a mint may still be started. `Err`: why not, the end of a sentence that begins
    /// with "because".
    pub(crate) fn check(&self) -> Result<(), String> {
        if *self.stopped.borrow() {
            return Err(STOPPED.to_owned());
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
    fn no_mint_after_a_stop_or_near_the_deadline() {
        let stop_signal = StopSignal::new(Duration::from_secs(600), Duration::ZERO);
        assert_eq!(stop_signal.check(), Ok(()));
        stop_signal.stop();
        assert_eq!(stop_signal.check(), Err("the run was stopped".to_owned()));
        let late = StopSignal::new(Duration::ZERO, Duration::from_secs(30));
        assert_eq!(late.check(), Err("the run's deadline is near".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn waits_end_at_the_deadline_or_when_stopped() {
        let seconds = Duration::from_secs;
        let stop_signal = StopSignal::new(seconds(600), seconds(30));
        assert_eq!(stop_signal.unless_stopped(async { 7 }).await, Ok(7));
        assert_eq!(stop_signal.unless_stopped(tokio::time::sleep(seconds(628))).await, Ok(()));
        let endless = stop_signal.unless_stopped(std::future::pending::<()>());
        assert_eq!(endless.await, Err("the run's deadline is over".to_owned()));
        stop_signal.stop();
        assert_eq!(stop_signal.unless_stopped(async { 7 }).await, Err("the run was stopped".to_owned()));
    }

    #[tokio::test]
    async fn a_stop_ends_the_wait() {
        let stop_signal = StopSignal::new(Duration::from_secs(600), Duration::ZERO);
        let stop = async { stop_signal.stop() };
        let (held, ()) = tokio::join!(stop_signal.unless_stopped(std::future::pending::<()>()), stop);
        assert_eq!(held, Err("the run was stopped".to_owned()));
    }
}
