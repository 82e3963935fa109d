//! Fake providers: API tokens with expiries by the virtual clock.
//!
//! This module has what all of them share: what a test can arrange and see, and how a
//! token is created, accepted and found. Requests and token formats are in one file for
//! each [`Service`].

pub mod axiom;
pub mod catalogue;
pub mod deepset;
pub mod launchdarkly;
pub mod lighthouse;
pub mod rest;
pub mod softwareone;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};

use super::clock::{ServerClock, VirtualClock, seconds};
use super::contracts::Api;
use super::events::{Event, Observers, Peer};
use super::reply::{Recorded, Reply, Request};
use super::server::{Fake, Faults, Server, Upstream};

pub use token::{FakeToken, TokenSpec};

/// One service for each way in which a token is replaced and ended. Every scene is played with
/// each of them.
pub static ALL: [&Service; 4] =
    [&axiom::SERVICE, &softwareone::SERVICE, &deepset::SERVICE, &launchdarkly::SERVICE];

/// Every other service that a file describes, the user's own included. Those whose tokens can
/// be read one by one alternate with those that only a list shows.
pub static FURTHER: [&Service; 14] = [
    &catalogue::gitlab::SERVICE,
    &catalogue::grafana::SERVICE,
    &catalogue::cloudflare::ACCOUNT,
    &catalogue::grafana::CLOUD,
    &catalogue::jupyterhub::SERVICE,
    &catalogue::hcp_terraform::SERVICE,
    &catalogue::buildkite::SERVICE,
    &catalogue::databricks::SERVICE,
    &catalogue::cloudflare::USER,
    &catalogue::pulumi::ORGANIZATION,
    &catalogue::snyk::SERVICE,
    &catalogue::pulumi::TEAM,
    &catalogue::datadog::SERVICE,
    &lighthouse::SERVICE,
];

/// What a request leads to; `Err` is a refusal.
pub type Outcome = Result<Reply, Reply>;

/// One service: what its tokens look like, and what requests do.
#[derive(Debug)]
pub struct Service {
    /// What `--provider` calls it.
    pub name: &'static str,
    /// Its tokens have no expiry: they are replaced by their age.
    pub by_age: bool,
    /// The field that carries a marker.
    pub marker_in: &'static str,
    /// Its published API description.
    pub api: &'static LazyLock<Api>,
    /// What a request does.
    pub route: fn(&mut State, &Request) -> Outcome,
    /// A refusal in its own form: status and message.
    pub refusal: fn(u16, &str) -> Reply,
    /// The next token's id and value.
    pub names: fn(&mut State) -> (String, String),
    /// A token as people use them in continuous integration.
    pub ordinary: fn(&str) -> TokenSpec,
    /// A token that may do everything with tokens.
    pub admin: fn(&str) -> TokenSpec,
    /// Where flags alone do not describe a rotation: the page whose first configuration
    /// does.
    pub file: Option<&'static str>,
}

impl Service {
    /// The configuration file that a run needs to know the service, without the address. The
    /// service counts as proved.
    #[must_use]
    pub fn configuration(&self) -> Option<String> {
        let (_, rest) = self.file?.split_once("```yaml\n")?;
        let (text, _) = rest.split_once("```")?;
        let lines = text.lines().filter(|line| !line.trim().starts_with("provider_url:"));
        Some(proved(&lines.map(|line| format!("{line}\n")).collect::<String>()))
    }
}

/// A configuration of a provider's page, as it is after the proof that the page asks for.
#[must_use]
pub fn proved(configuration: &str) -> String {
    configuration.replace(" } # then: proved: \"yes\"", ", proved: \"yes\" }")
}

/// How long crossfade lets a token live where its rotation says nothing.
const LIFETIME: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Changes a new token without the client's knowledge.
pub type Alter = Arc<dyn Fn(&mut Map<String, Value>) + Send + Sync>;

/// How the fake behaves where the real service may.
#[derive(Clone)]
pub struct Switches {
    /// The status for a credential that is missing, unknown or expired: 401 (the
    /// default, as the Go client has it) or 403 (as the documentation has it).
    pub unauthenticated: u16,
    /// New tokens expire after this time at the latest, whatever was requested.
    pub longest_life: Option<SignedDuration>,
    /// New tokens are refused for so many authentications.
    pub new_token_refused_uses: u32,
    /// New tokens are refused for so long.
    pub new_token_refused_for: SignedDuration,
    /// New tokens are missing from so many lists.
    pub new_token_hidden_lists: u32,
    /// New tokens are missing from lists for so long.
    pub new_token_hidden_for: SignedDuration,
    /// Changes the privileges of new tokens.
    pub alter_new_token: Option<Alter>,
    /// Every deletion is refused with 403.
    pub refuse_delete: bool,
    /// Every change of an expiry is refused with 403.
    pub refuse_expiry_change: bool,
    /// Expiries in requests are ignored without an error, as by a server that does
    /// not know the field.
    pub ignore_expiry: bool,
    /// Every mint is refused with this status, after it was found well-formed.
    pub refuse_mint: Option<u16>,
    /// A field that the service sets by itself, and refuses in a body with 422.
    pub own_field: Option<(&'static str, Value)>,
    /// A creation shows the whole token, where it need not.
    pub whole_reply: bool,
    /// Lists leave these fields out, whatever was asked for.
    pub list_omits: Vec<&'static str>,
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
            new_token_refused_uses: 0,
            new_token_refused_for: SignedDuration::ZERO,
            new_token_hidden_lists: 0,
            new_token_hidden_for: SignedDuration::ZERO,
            alter_new_token: None,
            refuse_delete: false,
            refuse_expiry_change: false,
            ignore_expiry: false,
            refuse_mint: None,
            own_field: None,
            whole_reply: false,
            list_omits: Vec::new(),
            error_message: None,
            headers: Vec::new(),
        }
    }
}

/// What the fake keeps. Locked for one request, or one look of a test.
pub struct State {
    service: &'static Service,
    clock: ServerClock,
    tokens: Vec<FakeToken>,
    /// Personal tokens: value to organization id.
    personal: HashMap<String, String>,
    switches: Switches,
    requests: Vec<Recorded>,
    violations: Vec<String>,
    /// Makes ids and values unlike those of another fake.
    seed: u64,
    made: u64,
}

/// A fake provider. Clones share it; it stops when the last one is dropped.
#[derive(Clone)]
pub struct FakeProvider {
    url: String,
    /// `None` in a detached view.
    server: Option<Arc<Server>>,
    state: Arc<Mutex<State>>,
    observers: Observers,
}

impl FakeProvider {
    /// Starts a fake Axiom without tokens.
    #[must_use]
    pub fn start(clock: &VirtualClock) -> Self {
        Self::of(&axiom::SERVICE, clock, 0)
    }

    /// Starts a fake without tokens. Its ids and values differ from those of
    /// other seeds.
    #[must_use]
    pub fn of(service: &'static Service, clock: &VirtualClock, seed: u64) -> Self {
        let state = Arc::new(Mutex::new(State::new(service, ServerClock::new(clock.clone()), seed)));
        let observers = Observers::default();
        let mut fake = Self { url: String::new(), server: None, state, observers };
        let server = fake.behind(&Faults::none());
        fake.url = server.url().to_owned();
        fake.server = Some(Arc::new(server));
        fake
    }

    /// A further server of this fake, with faults.
    #[must_use]
    pub fn behind(&self, faults: &Faults) -> Server {
        // Without the server, or it would keep itself alive.
        let state = Arc::clone(&self.state);
        let upstream = Upstream::Fake(state, self.observers.clone());
        Server::start(Peer::Provider, upstream, "", faults)
    }

    /// Which service this plays.
    #[must_use]
    pub fn service(&self) -> &'static Service {
        self.lock().service
    }

    /// The origin, without the API's path.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// A view of the same state that neither keeps the server alive nor tells
    /// observers: for hooks, which would otherwise keep themselves alive.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self {
            url: self.url.clone(),
            server: None,
            state: Arc::clone(&self.state),
            observers: Observers::default(),
        }
    }

    /// The observers of every event here.
    #[must_use]
    pub fn observers(&self) -> &Observers {
        &self.observers
    }

    /// Adds a token, as if a user had created it in the web interface.
    pub fn add_token(&self, spec: TokenSpec) -> FakeToken {
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

    /// Deletes a token, as if a user had done it in the web interface.
    pub fn delete_by_hand(&self, id: &str) {
        self.edit(id, |token| token.deleted = true);
    }

    /// Deletes a token and gives its id to another one, as a provider may that uses
    /// ids again.
    pub fn take_over(&self, id: &str, by: TokenSpec) -> FakeToken {
        let mut state = self.lock();
        let place = state.place(id).expect("no such token");
        state.tokens[place].deleted = true;
        let value = state.add(by).value;
        let other = state.tokens.last_mut().expect("added above");
        other.id = id.to_owned();
        assert_eq!(other.value, value);
        other.clone()
    }

    /// Changes anything of a token behind everybody's back.
    pub fn edit(&self, id: &str, change: impl FnOnce(&mut FakeToken)) {
        let mut state = self.lock();
        let place = state.latest(id).expect("no such token");
        change(&mut state.tokens[place]);
        drop(state);
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
    pub fn tokens(&self) -> Vec<FakeToken> {
        self.lock().tokens.clone()
    }

    /// The tokens that are neither deleted nor disabled nor expired, oldest first.
    #[must_use]
    pub fn live_tokens(&self) -> Vec<FakeToken> {
        self.of_live_tokens(|token| Some(token.clone()))
    }

    /// What is wanted of them. Cheaper than to copy them all.
    pub fn of_live_tokens<T>(&self, wanted: impl FnMut(&FakeToken) -> Option<T>) -> Vec<T> {
        let state = self.lock();
        let now = state.clock.now();
        state.tokens.iter().filter(|t| t.is_live(now)).filter_map(wanted).collect()
    }

    /// A token by its id, deleted ones included; of several the one that got it last.
    #[must_use]
    pub fn token(&self, id: &str) -> Option<FakeToken> {
        let state = self.lock();
        state.latest(id).map(|place| state.tokens[place].clone())
    }

    /// The token that has this value, deleted ones included.
    #[must_use]
    pub fn token_by_value(&self, value: &str) -> Option<FakeToken> {
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
        self.lock().clock.date().unwrap_or_default()
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
        let name = self.service().name;
        assert!(violations.is_empty(), "violations at {name}:\n{}", violations.join("\n"));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn by_hand(&self, what: &str) {
        let at = self.now();
        self.observers.notify(&Event { at, peer: Peer::Provider, what: format!("by hand: {what}") });
    }
}

impl State {
    fn new(service: &'static Service, clock: ServerClock, seed: u64) -> Self {
        Self {
            service,
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

    /// Hexadecimal digits that look random, are never given twice, and are the
    /// same in each run of a test.
    fn digits(&mut self, what: &str) -> String {
        self.made += 1;
        let digest = digest(&SHA256, format!("{} {} {what}", self.seed, self.made).as_bytes());
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The same as a UUID.
    fn unique(&mut self, what: &str) -> String {
        let hex = self.digits(what);
        format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..30])
    }

    fn add(&mut self, spec: TokenSpec) -> FakeToken {
        let now = self.clock.now();
        let (id, value) = (self.service.names)(self);
        let lifetime_end = spec.lifetime.map(|l| seconds(now.checked_add(l).unwrap()));
        let mut token = FakeToken {
            expires_at: spec.expires_at.or(lifetime_end),
            value: spec.value.unwrap_or(value),
            forged: spec.forged,
            ..FakeToken::new(id, spec.raw, now)
        };
        // What would end now has lived for the standard lifetime.
        if let Some(end) = token.expires_at.filter(|_| self.service.by_age) {
            token.created_at = end.checked_sub(LIFETIME).unwrap();
            token.expires_at = None;
        }
        self.tokens.push(token.clone());
        token
    }

    /// The token that a value authenticates as, by its place.
    fn authenticate(&mut self, value: &str) -> Option<usize> {
        let now = self.clock.now();
        let place = self.tokens.iter().position(|t| t.value == value)?;
        let token = &mut self.tokens[place];
        if token.is_live(now) && token.refused_uses > 0 {
            token.refused_uses -= 1;
            return None;
        }
        if !token.is_accepted(now) {
            return None;
        }
        token.last_used_at = Some(now);
        Some(place)
    }

    /// The token that got this id last, by its place.
    fn latest(&self, id: &str) -> Option<usize> {
        self.tokens.iter().rposition(|t| t.id == id)
    }

    /// A token that can be named in a path, by its place.
    fn place(&self, id: &str) -> Option<usize> {
        self.tokens.iter().position(|t| t.id == id && !t.deleted)
    }

    /// What a list shows: neither deleted tokens nor those that still hide.
    fn listed(&mut self) -> Vec<FakeToken> {
        let mut shown = Vec::new();
        let now = self.clock.now();
        for token in self.tokens.iter_mut().filter(|t| !t.deleted && t.listed_from <= now) {
            if token.hidden_lists > 0 {
                token.hidden_lists -= 1;
            } else {
                shown.push(token.clone());
            }
        }
        shown
    }

    /// A token that a client asked for, as the switches have it.
    fn issue_token(
        &mut self,
        mut raw: Map<String, Value>,
        expires_at: Option<Timestamp>,
        parent: Option<&str>,
    ) -> Result<FakeToken, Reply> {
        if let Some(status) = self.switches.refuse_mint {
            return Err((self.service.refusal)(status, "this cannot be made"));
        }
        if let Some((field, value)) = self.switches.own_field.clone()
            && raw.insert(field.to_owned(), value).is_some()
        {
            return Err((self.service.refusal)(422, &format!("{field} cannot be set")));
        }
        if let Some(alter) = &self.switches.alter_new_token {
            alter(&mut raw);
        }
        let now = self.clock.now();
        let cap = self.switches.longest_life.map(|life| now.checked_add(life).unwrap());
        let (id, value) = (self.service.names)(self);
        let token = FakeToken {
            value,
            expires_at: [expires_at, cap].into_iter().flatten().min().map(seconds),
            parent: parent.map(str::to_owned),
            hidden_lists: self.switches.new_token_hidden_lists,
            listed_from: now.checked_add(self.switches.new_token_hidden_for).unwrap(),
            refused_uses: self.switches.new_token_refused_uses,
            accepted_from: now.checked_add(self.switches.new_token_refused_for).unwrap(),
            ..FakeToken::new(id, raw, now)
        };
        self.tokens.push(token.clone());
        Ok(token)
    }

    fn answer(&mut self, request: &Request) -> Reply {
        (self.service.route)(self, request).unwrap_or_else(|refusal| refusal)
    }
}

impl Fake for State {
    fn serve(&mut self, request: &Request) -> (Reply, Event) {
        self.clock.tick();
        let at = self.clock.now();
        let mut record = Recorded::new(request, at);
        self.violations.extend(self.service.api.judge_request("", &record));
        let mut reply = self.answer(request);
        if let (400.., Some(message)) = (reply.status, &self.switches.error_message) {
            reply.body = (self.service.refusal)(reply.status, message).body;
        }
        reply.headers.extend(self.switches.headers.clone());
        record.status = reply.status;
        self.violations.extend(self.service.api.judge_reply("", &record, reply.body.as_ref()));
        let event =
            Event { at, peer: Peer::Provider, what: format!("{} -> {}", record.line(), reply.status) };
        self.requests.push(record);
        (reply.sent_at(&self.clock), event)
    }

    fn date(&self) -> Option<String> {
        self.clock.date()
    }
}
