//! A fake Axiom: API tokens that live and die by the virtual clock.
//!
//! What requests do lives in [`routes`]; here is what a test can arrange and see.

mod routes;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use sodiumoxide::crypto::hash::sha256;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::clock::{ServerClock, VirtualClock, seconds};
use super::contracts;
use super::events::{Event, Observers, Side};
use super::reply::Recorded;

pub use token::{AxiomToken, TokenSpec};

/// Changes a newborn token behind the client's back.
pub type Alter = Arc<dyn Fn(&mut Map<String, Value>) + Send + Sync>;

/// How the fake behaves where the real service may.
#[derive(Clone)]
pub struct Switches {
    /// The status for a credential that is missing, unknown or expired: 401 (the
    /// default, as the Go client has it) or 403 (as the documentation has it).
    pub unauthenticated: u16,
    /// Newborns live no longer than this, whatever was asked.
    pub longest_life: Option<SignedDuration>,
    /// Newborns are refused for so many authentications.
    pub newborn_refused_uses: u32,
    /// Newborns are refused for so long.
    pub newborn_refused_for: SignedDuration,
    /// Newborns are missing from so many lists.
    pub newborn_hidden_lists: u32,
    /// Changes what a newborn may do.
    pub alter_newborn: Option<Alter>,
    /// Every deletion is refused with 403.
    pub refuse_delete: bool,
    /// Replaces the message of every error.
    pub error_message: Option<String>,
    /// Headers of every reply, such as rate limits.
    pub headers: Vec<(String, String)>,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            unauthenticated: 401,
            longest_life: None,
            newborn_refused_uses: 0,
            newborn_refused_for: SignedDuration::ZERO,
            newborn_hidden_lists: 0,
            alter_newborn: None,
            refuse_delete: false,
            error_message: None,
            headers: Vec::new(),
        }
    }
}

/// What the fake keeps. Locked for one request, or one look of a test.
struct State {
    clock: ServerClock,
    tokens: Vec<AxiomToken>,
    /// Personal tokens: value to organization id.
    personal: HashMap<String, String>,
    switches: Switches,
    requests: Vec<Recorded>,
    violations: Vec<String>,
    /// Makes ids and values unlike those of another fake.
    seed: u64,
    made: u64,
}

/// A fake Axiom. Clones share it; it stops when the last one is dropped.
#[derive(Clone)]
pub struct FakeAxiom {
    origin: String,
    /// `None` in a detached view.
    server: Option<Arc<MockServer>>,
    state: Arc<Mutex<State>>,
    observers: Observers,
}

/// Answers for [`FakeAxiom`] without keeping its server alive.
struct Desk {
    state: Arc<Mutex<State>>,
    observers: Observers,
}

impl Respond for Desk {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let (template, event) = self.state.lock().unwrap().serve(request);
        self.observers.tell(&event);
        template
    }
}

impl FakeAxiom {
    /// Starts a fake without tokens.
    pub async fn start(clock: &VirtualClock) -> Self {
        Self::start_seeded(clock, 0).await
    }

    /// Starts a fake whose ids and values differ from those of other seeds.
    pub async fn start_seeded(clock: &VirtualClock, seed: u64) -> Self {
        let state = Arc::new(Mutex::new(State::new(ServerClock::new(clock.clone()), seed)));
        let observers = Observers::default();
        let server = MockServer::builder().disable_request_recording().start().await;
        let desk = Desk { state: Arc::clone(&state), observers: observers.clone() };
        Mock::given(wiremock::matchers::any()).respond_with(desk).mount(&server).await;
        Self { origin: server.uri(), server: Some(Arc::new(server)), state, observers }
    }

    /// The origin, without the API's path.
    #[must_use]
    pub fn url(&self) -> String {
        self.origin.clone()
    }

    /// A view of the same state that neither keeps the server alive nor tells
    /// observers: for hooks, which would otherwise keep themselves alive.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self {
            origin: self.origin.clone(),
            server: None,
            state: Arc::clone(&self.state),
            observers: Observers::default(),
        }
    }

    /// Who is told of every event here.
    #[must_use]
    pub fn observers(&self) -> &Observers {
        &self.observers
    }

    /// Adds a token, as if somebody had made it in the web interface.
    pub fn add_token(&self, spec: TokenSpec) -> AxiomToken {
        let token = self.lock().add(spec);
        self.by_hand(&format!("token {} added", token.id));
        token
    }

    /// Adds a personal token of an organization; gives its value.
    pub fn add_personal_token(&self, org_id: &str) -> String {
        let mut state = self.lock();
        let value = format!("xapt-{}", state.unique("personal"));
        state.personal.insert(value.clone(), org_id.to_owned());
        value
    }

    /// Deletes a token, as if somebody had done it in the web interface.
    pub fn delete_by_hand(&self, id: &str) {
        self.edit(id, |token| token.deleted = true);
    }

    /// Changes anything of a token behind everybody's back.
    pub fn edit(&self, id: &str, change: impl FnOnce(&mut AxiomToken)) {
        change(self.lock().tokens.iter_mut().find(|t| t.id == id).expect("no such token"));
        self.by_hand(&format!("token {id} edited"));
    }

    /// Changes how the fake behaves.
    pub fn switch(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.lock().switches);
    }

    /// Changes the server's clock (skew, date header).
    pub fn set_clock(&self, change: impl FnOnce(&mut ServerClock)) {
        change(&mut self.lock().clock);
    }

    /// The time at this server.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.lock().clock.now()
    }

    /// Every token that ever was, oldest first, deleted ones included.
    #[must_use]
    pub fn tokens(&self) -> Vec<AxiomToken> {
        self.lock().tokens.clone()
    }

    /// The tokens that are neither deleted nor expired, oldest first.
    #[must_use]
    pub fn live_tokens(&self) -> Vec<AxiomToken> {
        let state = self.lock();
        let now = state.clock.now();
        state.tokens.iter().filter(|t| t.is_live(now)).cloned().collect()
    }

    /// A token by its id, deleted ones included.
    #[must_use]
    pub fn token(&self, id: &str) -> Option<AxiomToken> {
        self.lock().tokens.iter().find(|t| t.id == id).cloned()
    }

    /// The token that has this value, deleted ones included.
    #[must_use]
    pub fn token_by_value(&self, value: &str) -> Option<AxiomToken> {
        self.lock().tokens.iter().find(|t| t.value == value).cloned()
    }

    /// Whether a request with this value would be accepted now.
    #[must_use]
    pub fn is_accepted(&self, value: &str) -> bool {
        let state = self.lock();
        let now = state.clock.now();
        state.tokens.iter().any(|t| t.value == value && t.is_accepted(now))
    }

    /// What this server sends as `Date` now.
    #[must_use]
    pub fn date(&self) -> String {
        self.lock().clock.date()
    }

    /// Every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.lock().requests.clone()
    }

    /// Forgets the requests so far (violations stay).
    pub fn forget_requests(&self) {
        self.lock().requests.clear();
    }

    /// What clients, or the fake itself, did against the API description.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    /// Panics if there was a violation.
    #[track_caller]
    pub fn assert_no_violations(&self) {
        let violations = self.violations();
        assert!(violations.is_empty(), "violations at Axiom:\n{}", violations.join("\n"));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn by_hand(&self, what: &str) {
        let at = self.now();
        self.observers.tell(&Event { at, side: Side::Provider, what: format!("by hand: {what}") });
    }
}

impl State {
    fn new(clock: ServerClock, seed: u64) -> Self {
        Self {
            clock,
            tokens: Vec::new(),
            personal: HashMap::new(),
            switches: Switches::default(),
            requests: Vec::new(),
            violations: Vec::new(),
            seed,
            made: 0,
        }
    }

    /// A UUID that looks random, is never given twice, and is the same in each
    /// run of a test.
    fn unique(&mut self, what: &str) -> String {
        self.made += 1;
        let digest = sha256::hash(format!("{} {} {what}", self.seed, self.made).as_bytes());
        let hex: String = digest.0.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..30])
    }

    fn add(&mut self, spec: TokenSpec) -> AxiomToken {
        let now = self.clock.now();
        let lifetime_end = spec.lifetime.map(|l| seconds(now.checked_add(l).unwrap()));
        let token = AxiomToken {
            id: self.unique("id"),
            value: spec.value.unwrap_or_else(|| format!("xaat-{}", self.unique("value"))),
            raw: spec.raw,
            expires_at: spec.expires_at.or(lifetime_end),
            created_at: now,
            deleted: false,
            parent: None,
            hidden_lists: 0,
            refused_uses: 0,
            accepted_from: now,
        };
        self.tokens.push(token.clone());
        token
    }

    fn serve(&mut self, request: &Request) -> (ResponseTemplate, Event) {
        self.clock.tick();
        let at = self.clock.now();
        let mut record = Recorded::new(request, at);
        self.violations.extend(contracts::AXIOM.judge_request("", &record));
        let mut reply = self.answer(request);
        if let (400.., Some(message)) = (reply.status, &self.switches.error_message) {
            reply.body = Some(serde_json::json!({ "message": message }));
        }
        reply.headers.extend(self.switches.headers.clone());
        record.status = reply.status;
        let body = reply.body.as_ref().map(Value::to_string).unwrap_or_default();
        self.violations.extend(contracts::AXIOM.judge_reply("", &record, body.as_bytes()));
        let event =
            Event { at, side: Side::Provider, what: format!("{} -> {}", record.line(), reply.status) };
        self.requests.push(record);
        (reply.into_template(&self.clock.date()), event)
    }
}
