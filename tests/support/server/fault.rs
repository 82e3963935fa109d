//! What can go wrong with one request, and the plan of what will.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use super::super::events::{Journal, Peer};

/// A request as a server saw it. Carries no header and no body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passing {
    /// Its number, counted from 1 over all servers that share the plan.
    pub n: usize,
    /// Which service it was for.
    pub peer: Peer,
    /// The method.
    pub method: String,
    /// Path and query, as sent.
    pub path: String,
}

impl fmt::Display for Passing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {} {} {}", self.n, self.peer, self.method, self.path)
    }
}

/// Before the fake has seen a request, or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The fake has not seen it.
    Before,
    /// The fake has processed it, its reply is not on the way yet.
    After,
}

/// Something that a test does at a request, on the server's thread.
pub type Act = Arc<dyn Fn(&Passing) + Send + Sync>;

/// What a test makes of a reply: its headers and its body.
pub type Rewrite = Arc<dyn Fn(&mut Vec<(String, Vec<u8>)>, &mut Vec<u8>) + Send + Sync>;

/// What goes wrong with one request.
#[derive(Clone)]
pub enum Fault {
    /// A failure with a JSON message.
    Status {
        /// The status.
        code: u16,
        /// Whether the fake has processed the request all the same.
        processed: bool,
    },
    /// 502 with a page of HTML, as a load balancer gives it.
    Html502 {
        /// Whether the fake has processed the request all the same.
        processed: bool,
    },
    /// 429; not processed.
    TooMany {
        /// `Retry-After`, in seconds.
        retry_after: Option<u64>,
    },
    /// 403 in the words of GitHub's secondary rate limit; not processed.
    Secondary403 {
        /// `Retry-After`, in seconds.
        retry_after: Option<u64>,
    },
    /// The connection is closed before the request is passed on.
    CloseBefore,
    /// Processed; then the connection is closed without a reply.
    CloseAfter,
    /// The connection stays open without a reply, until the client hangs up.
    NoAnswer {
        /// Whether the fake has processed the request.
        processed: bool,
    },
    /// Processed; half of the JSON, framed as if it were whole.
    TruncatedJson,
    /// Processed; half of the body, then the connection is closed.
    CutBody,
    /// Processed; 200 without a body.
    Empty200,
    /// Processed; 200 with JSON that means nothing.
    WrongJson,
    /// Processed; 200 with a page of HTML.
    WrongHtml,
    /// A proxy answers 200 by itself, without a body; not processed.
    Swallowed,
    /// A proxy answers 200 by itself, with JSON of its own; not processed.
    SwallowedJson,
    /// A proxy answers 404 by itself, with a page of HTML; not processed.
    Html404,
    /// Nothing goes wrong by itself: a test does something.
    Hook {
        /// When.
        when: When,
        /// What.
        act: Act,
        /// Close the connection afterwards instead of going on.
        close: bool,
    },
    /// Held until a gate opens.
    Hold {
        /// Before or after processing.
        when: When,
        /// The gate.
        gate: Gate,
    },
    /// Processed; then a test rewrites the reply.
    Rewrite(Rewrite),
    /// Passed on late, in real time.
    Delay(Duration),
}

impl Fault {
    /// Every fault that needs no test's help: the rows of a fault matrix.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![
            Self::Status { code: 500, processed: false },
            Self::Status { code: 500, processed: true },
            Self::Html502 { processed: false },
            Self::Html502 { processed: true },
            Self::TooMany { retry_after: None },
            Self::TooMany { retry_after: Some(1) },
            Self::Secondary403 { retry_after: Some(1) },
            Self::CloseBefore,
            Self::CloseAfter,
            Self::NoAnswer { processed: false },
            Self::NoAnswer { processed: true },
            Self::TruncatedJson,
            Self::CutBody,
            Self::Empty200,
            Self::WrongJson,
            Self::WrongHtml,
            Self::Swallowed,
            Self::SwallowedJson,
        ]
    }

    /// Does something before the fake sees the request.
    pub fn before(act: impl Fn(&Passing) + Send + Sync + 'static) -> Self {
        Self::Hook { when: When::Before, act: Arc::new(act), close: false }
    }

    /// Does something after the fake has processed the request.
    pub fn after(act: impl Fn(&Passing) + Send + Sync + 'static) -> Self {
        Self::Hook { when: When::After, act: Arc::new(act), close: false }
    }

    /// Closes the connection after a hook: the end of a client that it killed.
    #[must_use]
    pub fn and_close(mut self) -> Self {
        if let Self::Hook { close, .. } = &mut self {
            *close = true;
        }
        self
    }

    /// Whether the fake sees the request.
    #[must_use]
    pub fn is_processed(&self) -> bool {
        match self {
            Self::Status { processed, .. } | Self::Html502 { processed } | Self::NoAnswer { processed } => {
                *processed
            }
            Self::TooMany { .. }
            | Self::Secondary403 { .. }
            | Self::CloseBefore
            | Self::Swallowed
            | Self::SwallowedJson
            | Self::Html404 => false,
            Self::Hook { when, close, .. } => !(*close && *when == When::Before),
            _ => true,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let processed = |processed: &bool| if *processed { "processed" } else { "not processed" };
        match self {
            Self::Status { code, processed: p } => write!(f, "{code}, {}", processed(p)),
            Self::Html502 { processed: p } => write!(f, "502 with HTML, {}", processed(p)),
            Self::TooMany { retry_after: None } => f.write_str("429"),
            Self::TooMany { retry_after: Some(s) } => write!(f, "429, retry after {s} s"),
            Self::Secondary403 { retry_after: None } => f.write_str("secondary limit"),
            Self::Secondary403 { retry_after: Some(s) } => write!(f, "secondary limit, retry after {s} s"),
            Self::CloseBefore => f.write_str("closed before processing"),
            Self::CloseAfter => f.write_str("closed after processing"),
            Self::NoAnswer { processed: p } => write!(f, "no answer, {}", processed(p)),
            Self::TruncatedJson => f.write_str("truncated JSON"),
            Self::CutBody => f.write_str("body cut off"),
            Self::Empty200 => f.write_str("empty 200"),
            Self::WrongJson => f.write_str("200 with other JSON"),
            Self::WrongHtml => f.write_str("200 with HTML"),
            Self::Swallowed => f.write_str("believes any 2xx: empty 200, not processed"),
            Self::SwallowedJson => f.write_str("believes any 2xx: 200 with other JSON, not processed"),
            Self::Html404 => f.write_str("404 with HTML, not processed"),
            Self::Hook { when: When::Before, .. } => f.write_str("hook before processing"),
            Self::Hook { when: When::After, .. } => f.write_str("hook after processing"),
            Self::Hold { when: When::Before, .. } => f.write_str("held before processing"),
            Self::Hold { when: When::After, .. } => f.write_str("held after processing"),
            Self::Rewrite(_) => f.write_str("rewritten"),
            Self::Delay(delay) => write!(f, "{} ms late", delay.as_millis()),
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a held request waits. Clones share it.
#[derive(Clone)]
pub struct Gate {
    open: watch::Sender<bool>,
    reached: watch::Sender<usize>,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self { open: watch::Sender::new(false), reached: watch::Sender::new(0) }
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Whether a request has come here.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        *self.reached.borrow() > 0
    }

    /// Waits until a request has come here.
    pub async fn reached(&self) {
        self.reached.subscribe().wait_for(|count| *count > 0).await.unwrap();
    }

    pub(super) async fn pass(&self) {
        self.reached.send_modify(|count| *count += 1);
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

/// Which requests a fault is for.
#[derive(Clone)]
pub enum Target {
    /// The N-th over all servers that share the plan, counted from 1.
    Nth(usize),
    /// Those of which this is true.
    Matching(Arc<dyn Fn(&Passing) -> bool + Send + Sync>),
    /// All.
    All,
}

/// How the paths end that tokens are created at.
const MINTS: [&str; 9] = [
    "/regenerate",
    "/api-tokens",
    "/token",
    "/tokens",
    "/keys",
    "/authentication-tokens",
    "/access_tokens",
    "/service_accounts",
    "/token/create",
];

impl Target {
    /// Requests of which this is true.
    pub fn matching(test: impl Fn(&Passing) -> bool + Send + Sync + 'static) -> Self {
        Self::Matching(Arc::new(test))
    }

    /// Requests of a method whose path contains a text.
    #[must_use]
    pub fn on(method: &str, path_part: &str) -> Self {
        let (method, part) = (method.to_owned(), path_part.to_owned());
        Self::matching(move |request| request.method == method && request.path.contains(&part))
    }

    /// The request that creates a token, whichever the provider is.
    #[must_use]
    pub fn mint() -> Self {
        Self::matching(|request| {
            let path = request.path.split('?').next().unwrap_or_default();
            let is_mint = MINTS.iter().any(|end| path.ends_with(end));
            request.method == "POST" && is_mint
        })
    }

    /// Requests to one service.
    #[must_use]
    pub fn peer(peer: Peer) -> Self {
        Self::matching(move |request| request.peer == peer)
    }

    fn hits(&self, request: &Passing) -> bool {
        match self {
            Self::Nth(n) => request.n == *n,
            Self::Matching(test) => test(request),
            Self::All => true,
        }
    }
}

/// The plan that the servers of a scene share, and the count of what passed.
/// Clones share it.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    rules: Vec<(Target, Fault, u32)>,
    passed: Vec<Passing>,
    struck: Vec<String>,
    journal: Option<Journal>,
}

impl Faults {
    /// A plan without faults.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a fault for the next request that is meant.
    pub fn inject(&self, target: Target, fault: Fault) {
        self.inject_times(target, fault, 1);
    }

    /// Adds a fault for the next so many requests that are meant.
    pub fn inject_times(&self, target: Target, fault: Fault, times: u32) {
        self.0.lock().unwrap().rules.push((target, fault, times));
    }

    /// Drops what was planned, and counts from 1 again.
    pub fn clear(&self) {
        let mut plan = self.0.lock().unwrap();
        plan.rules.clear();
        plan.passed.clear();
        plan.struck.clear();
    }

    /// Every request so far.
    #[must_use]
    pub fn passed(&self) -> Vec<Passing> {
        self.0.lock().unwrap().passed.clone()
    }

    /// The faults that struck, each with its request.
    #[must_use]
    pub fn struck(&self) -> Vec<String> {
        self.0.lock().unwrap().struck.clone()
    }

    /// Writes every fault that strikes into a journal, too.
    pub fn note_in(&self, journal: &Journal) {
        self.0.lock().unwrap().journal = Some(journal.clone());
    }

    /// Counts a request, and takes what is planned for it, in the plan's order.
    pub(super) fn take(&self, peer: Peer, method: &str, path: &str) -> (Passing, Vec<Fault>) {
        let mut plan = self.0.lock().unwrap();
        let n = plan.passed.len() + 1;
        let request = Passing { n, peer, method: method.to_owned(), path: path.to_owned() };
        plan.passed.push(request.clone());
        let mut faults = Vec::new();
        for (target, fault, left) in &mut plan.rules {
            if *left > 0 && target.hits(&request) {
                *left -= 1;
                faults.push(fault.clone());
            }
        }
        for fault in &faults {
            let line = format!("fault: {fault}: {request}");
            if let Some(journal) = &plan.journal {
                journal.note(&line);
            }
            plan.struck.push(line);
        }
        (request, faults)
    }
}
