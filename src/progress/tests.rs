use std::io;

use super::*;
use crate::cli::Verbosity;
use crate::redact::Redactor;
use crate::streams::Stream;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Progress {
    pub(crate) fn line(&self) -> String {
        self.state().line(Instant::now())
    }
}

impl Log {
    fn take(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }
}

/// Progress whose log is a file, and what is in it.
fn logged(is_terminal: bool) -> (Progress, Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let progress = Progress::with_line(ProgressBar::hidden(), is_terminal);
    let subscriber = crate::log::subscriber(
        Verbosity::Normal,
        Arc::new(Redactor::new()),
        Stream::new(log.clone()),
        progress.clone(),
    );
    (progress, log, tracing::subscriber::set_default(subscriber))
}

fn refused(progress: &Progress, seconds: u64) -> Waiting {
    let failure = "GitHub could not be reached (connection refused)".to_owned();
    progress.wait_to_retry("api.github.com", failure, 4, 8, Duration::from_secs(seconds))
}

#[tokio::test(start_paused = true)]
async fn a_log_gets_a_line_when_a_long_wait_begins_and_then_now_and_then() {
    let (progress, log, _guard) = logged(false);
    let writes = &mut progress.announce_writes(300);
    writes.enter(Stage::Delivering);
    let pass = async |seconds| {
        tokio::time::timeout(Duration::from_secs(seconds), progress.watch()).await.unwrap_err();
    };
    let until = Instant::now() + Duration::from_secs(9);
    let short = progress.wait_for_limit(until, 178, Duration::from_secs(60));
    pass(9).await;
    assert_eq!(log.take(), Vec::<String>::new(), "a short wait is no news");
    drop(short);
    let until = Instant::now() + Duration::from_secs(95);
    let _long = progress.wait_for_limit(until, 178, Duration::from_secs(60));
    let waiting = |seconds: &str| {
        format!("INFO 0 of 300 written · waiting {seconds} s for GitHub's limit · about 3 min left")
    };
    pass(2).await;
    assert_eq!(log.take(), [waiting("94")]);
    pass(1).await;
    let watched = log.take();
    assert_eq!(watched.len(), 1, "each call of `watch` begins anew: {watched:?}");
}

#[tokio::test(start_paused = true)]
async fn a_log_is_not_flooded() {
    let (progress, log, _guard) = logged(false);
    let run = async {
        // Eight requests that fail and wait again and again.
        for _ in 0..8 {
            let waits: Vec<Waiting> = (0..8).map(|_| refused(&progress, 15)).collect();
            tokio::time::sleep(Duration::from_secs(15)).await;
            drop(waits);
        }
    };
    tokio::select! {
        never = progress.watch() => match never {},
        () = run => {}
    }
    let lines = log.take();
    assert_eq!(
        lines[0],
        "WARN GitHub could not be reached (connection refused); try 4 of 8 in 15 s host=\"api.github.com\""
    );
    let news = lines.iter().filter(|line| line.starts_with("INFO")).count();
    assert!((4..=8).contains(&news) && lines.len() == news + 1, "{lines:#?}");
    progress.end();
    assert_eq!(
        log.take(),
        [
            "WARN GitHub could not be reached (connection refused): requests were repeated 64 times host=\"api.github.com\""
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_terminal_s_line_counts_the_seconds() {
    let (progress, log, _guard) = logged(true);
    progress.expect(2);
    let _waiting = refused(&progress, 12);
    let shown = || progress.0.line.message();
    assert_eq!(
        shown(),
        "0 of 2 read · GitHub could not be reached (connection refused) · try 4 of 8 in 12 s"
    );
    tokio::time::timeout(Duration::from_secs(3), progress.watch()).await.unwrap_err();
    assert!(shown().ends_with("in 9 s"), "{}", shown());
    assert_eq!(log.take().len(), 1, "the warning alone");
}

#[test]
fn writes_that_will_not_be_tried_are_forgotten() {
    let progress = Progress::default();
    let given_up = progress.announce_writes(5);
    let mut done = progress.announce_writes(2);
    done.enter(Stage::Creating);
    assert!(progress.stopping().contains("A new token is being created"));
    done.enter(Stage::Delivering);
    progress.wrote(true);
    drop(given_up);
    assert!(progress.stopping().contains("(1 of 2)"), "{}", progress.stopping());
    drop(done);
    assert_eq!(progress.stopping(), "Stopping. Nothing else is started.");
    assert_eq!(progress.aside(|| 7), 7);
}

#[test]
fn a_terminal_is_told_what_the_next_ctrl_c_does() {
    let progress = Progress::with_line(ProgressBar::hidden(), true);
    assert!(!progress.stopping().contains("Ctrl-C"), "it ends by itself");
    let mut writes = progress.announce_writes(300);
    writes.enter(Stage::Delivering);
    assert!(progress.stopping().contains("Press Ctrl-C again to stop at once:"));
}
