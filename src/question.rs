//! The question at a terminal before tokens are ended at once.

use std::io::Write as _;
use std::sync::Arc;

use crate::progress::Progress;
use crate::redact::Redactor;
use crate::streams::{Input, Stream};

/// Asks on standard error, and reads the answer from standard input.
pub(crate) struct Question {
    pub(crate) stderr: Stream,
    pub(crate) stdin: Input,
    pub(crate) redactor: Arc<Redactor>,
    pub(crate) progress: Progress,
}

impl Question {
    /// Whether these tokens may be ended.
    pub(crate) async fn may_end(&self, tokens: &[String]) -> bool {
        let _paused = self.progress.pause();
        let mut text = "This run ends tokens at once:\n".to_owned();
        for token in tokens {
            text.push_str(&format!("  {}\n", self.redactor.line(token)));
        }
        text.push_str("Continue? With no, nothing is changed. [y/N] ");
        let mut stderr = self.stderr.clone();
        if stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()).is_err() {
            return false;
        }
        let answer = self.stdin.line().await.unwrap_or_default();
        matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
    }
}
