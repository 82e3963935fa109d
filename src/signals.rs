//! The process's stop signals.

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask the process to stop. A cancelled job receives SIGINT, SIGTERM some
/// seconds later, and is killed after a few more.
pub(crate) struct Signals {
    #[cfg(unix)]
    terminate: Option<Signal>,
    #[cfg(unix)]
    interrupt: Option<Signal>,
    #[cfg(unix)]
    is_asked: bool,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn new() -> Self {
        Self {
            terminate: signal(SignalKind::terminate()).ok(),
            interrupt: signal(SignalKind::interrupt()).ok(),
            is_asked: false,
        }
    }

    /// Resolves at the first signal of either kind, and after that at each Ctrl-C: a
    /// SIGTERM that follows must not cut a delivery short. No signal is lost if the caller
    /// stops waiting.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            () = received(&mut self.interrupt) => {}
            () = received(&mut self.terminate), if !self.is_asked => {}
        }
        self.is_asked = true;
    }
}

/// Never resolves if the signal cannot be received.
#[cfg(unix)]
async fn received(signal: &mut Option<Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn new() -> Self {
        Self {}
    }

    pub(crate) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
