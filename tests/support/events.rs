//! What happened at the fakes, in order: hooks for tests, and a journal to print.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

/// Which service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Peer {
    /// The GitHub API.
    Github,
    /// The service that issues tokens.
    Provider,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Github => "github",
            Self::Provider => "provider",
        })
    }
}

/// Something that happened at a fake. Carries no secret.
#[derive(Debug, Clone)]
pub struct Event {
    /// When, by that server's clock.
    pub at: Timestamp,
    /// Where.
    pub peer: Peer,
    /// `GET /v2/tokens -> 200`, or what a test did by hand.
    pub what: String,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:<8} {}", self.at, self.peer, self.what)
    }
}

/// Called after each event, while no fake is locked: it may look at all of them.
pub type Hook = Arc<dyn Fn(&Event) + Send + Sync>;

/// The observers of a fake.
#[derive(Clone, Default)]
pub struct Observers(Arc<Mutex<Vec<Hook>>>);

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observers")
    }
}

impl Observers {
    /// Adds a hook.
    pub fn add(&self, hook: Hook) {
        self.0.lock().unwrap().push(hook);
    }

    /// Tells everybody.
    pub fn notify(&self, event: &Event) {
        let hooks = self.0.lock().unwrap().clone();
        for hook in hooks {
            hook(event);
        }
    }
}

/// The last events, to print when a test fails. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Journal(Arc<Mutex<VecDeque<String>>>);

/// How many lines a journal keeps.
const KEPT: usize = 400;

impl Journal {
    /// Adds a line.
    pub fn note(&self, line: impl fmt::Display) {
        let mut lines = self.0.lock().unwrap();
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(line.to_string());
    }

    /// A hook that writes every event down.
    #[must_use]
    pub fn hook(&self) -> Hook {
        let journal = self.clone();
        Arc::new(move |event| journal.note(event))
    }

    /// All lines, oldest first.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.lock().unwrap().iter().cloned().collect::<Vec<_>>().join("\n")
    }

    /// Starts anew.
    pub fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}
