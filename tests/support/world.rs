//! The standard scene: a repository, a token in a few secrets, two credentials.

use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use tempfile::NamedTempFile;

use super::clock::VirtualClock;
use super::events::{Event, Journal, Peer};
use super::github::{Credential, FakeGithub};
use super::marker::key_of;
use super::provider::{self, FakeProvider, FakeToken, Service, TokenSpec};

/// The repository that rotates.
pub const REPOSITORY: &str = "acme/infra";
/// The token's name, and the rotation's.
pub const TOKEN: &str = "ci-ingest";

/// A value that looks like a fine-grained personal access token.
const GITHUB_TOKEN: &str = "github_pat_11AAQX7Y20Zk3vT8wLr5Nq_bM4hJ9cDfS6gE1uPiOyRtWxVzKmBn";

/// What invariants look at.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    /// Destinations whose holders must be accepted: short forms.
    pub(super) destinations: Arc<Mutex<Vec<String>>>,
    /// What was found broken so far.
    pub(super) broken: Arc<Mutex<Vec<String>>>,
}

/// The scene, running.
#[derive(Clone)]
pub struct World {
    /// The time.
    pub clock: VirtualClock,
    /// GitHub.
    pub github: FakeGithub,
    /// The provider: Axiom, unless the scene has another.
    pub provider: FakeProvider,
    /// The same, as tests of Axiom call it.
    pub axiom: FakeProvider,
    /// What happened, without secrets; for printing on failure.
    pub journal: Journal,
    /// The token as it was before the first rotation.
    pub original: FakeToken,
    /// The provider credential's token.
    pub admin: FakeToken,
    /// `owner/repo/rotation`.
    pub key: String,
    /// The same as markers have it.
    pub(super) marker_key: String,
    /// The configuration that the service's page shows, where flags are not enough.
    pub(super) configuration: Option<Arc<NamedTempFile>>,
    pub(super) watch: Watch,
}

/// Sets a scene up.
#[derive(Debug, Clone)]
pub struct Builder {
    destinations: Vec<String>,
    expires_in: Option<SignedDuration>,
    service: &'static Service,
    original: Option<TokenSpec>,
    admin: Option<TokenSpec>,
    seed: u64,
    base: String,
    clock: VirtualClock,
    filled: bool,
}

impl World {
    /// A scene in which the token `ci-ingest` ends in 5 days and lies in
    /// `acme/infra:AXIOM_TOKEN`.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            destinations: vec![format!("{REPOSITORY}:AXIOM_TOKEN")],
            expires_in: Some(SignedDuration::from_hours(5 * 24)),
            service: &provider::axiom::SERVICE,
            original: None,
            admin: None,
            seed: 0,
            base: String::new(),
            clock: VirtualClock::new(),
            filled: true,
        }
    }

    /// The standard scene.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A view for hooks: see [`FakeGithub::detached`].
    #[must_use]
    pub fn detached(&self) -> Self {
        let provider = self.provider.detached();
        Self { github: self.github.detached(), axiom: provider.clone(), provider, ..self.clone() }
    }

    /// The value of the credential that may write secrets.
    #[must_use]
    pub fn github_token(&self) -> &'static str {
        GITHUB_TOKEN
    }

    /// The value of the credential that may rotate tokens.
    #[must_use]
    pub fn provider_token(&self) -> &str {
        &self.admin.value
    }

    /// The destinations: short forms.
    #[must_use]
    pub fn destinations(&self) -> Vec<String> {
        self.watch.destinations.lock().unwrap().clone()
    }

    /// Adds a destination, and its place, without a secret in it.
    pub fn add_destination(&self, destination: &str) {
        self.github.add_place_of(destination);
        self.watch.destinations.lock().unwrap().push(destination.to_owned());
    }

    /// From now on, a destination is ignored.
    pub fn forget_destination(&self, destination: &str) {
        self.watch.destinations.lock().unwrap().retain(|d| d != destination);
    }

    /// Lets time pass, and looks at the invariants afterwards as after any event.
    pub fn advance(&self, by: SignedDuration) {
        self.clock.advance(by);
        let event = Event { at: self.clock.now(), peer: Peer::Github, what: format!("{by} later") };
        self.github.observers().notify(&event);
    }

    /// Lets days pass.
    pub fn advance_days(&self, days: i64) {
        self.advance(SignedDuration::from_hours(24 * days));
    }

    /// The token that a destination holds.
    #[must_use]
    pub fn held(&self, destination: &str) -> Option<FakeToken> {
        self.provider.token_by_value(&self.github.secret(destination)?.value)
    }

    /// Every secret of this scene: what no output may show a part of.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        // Some values begin with their token's id, which is no secret.
        let secret = |value: String| value.rsplit(':').next().unwrap_or_default().to_owned();
        let tokens = self.provider.tokens().into_iter().map(|t| secret(t.value));
        tokens.chain([GITHUB_TOKEN.to_owned()]).collect()
    }

    /// Panics if a fake saw a violation of an API description.
    #[track_caller]
    pub fn assert_no_violations(&self) {
        self.github.assert_no_violations();
        self.provider.assert_no_violations();
    }
}

impl Builder {
    /// The destinations that hold the token, instead of the one.
    #[must_use]
    pub fn destinations<S: Into<String>>(mut self, destinations: impl IntoIterator<Item = S>) -> Self {
        self.destinations = destinations.into_iter().map(Into::into).collect();
        self
    }

    /// So many destinations, each in a repository of its own.
    #[must_use]
    pub fn destination_count(self, count: usize) -> Self {
        let repository = |n| if n == 0 { REPOSITORY.to_owned() } else { format!("acme/service-{n}") };
        self.destinations((0..count).map(|n| format!("{}:AXIOM_TOKEN", repository(n))))
    }

    /// The service that issues the token, instead of Axiom.
    #[must_use]
    pub fn provider(mut self, service: &'static Service) -> Self {
        self.service = service;
        self
    }

    /// When the token ends; `None`: never. Where tokens have no expiry, when it
    /// will have lived for the standard lifetime; `None`: made just now.
    #[must_use]
    pub fn expires_in(mut self, lifetime: Option<SignedDuration>) -> Self {
        self.expires_in = lifetime;
        self
    }

    /// In how many days the token ends.
    #[must_use]
    pub fn expires_in_days(self, days: i64) -> Self {
        self.expires_in(Some(SignedDuration::from_hours(24 * days)))
    }

    /// The token, without its expiry.
    #[must_use]
    pub fn original(mut self, token: TokenSpec) -> Self {
        self.original = Some(token);
        self
    }

    /// The provider credential's token.
    #[must_use]
    pub fn admin(mut self, token: TokenSpec) -> Self {
        self.admin = Some(token);
        self
    }

    /// Gives other ids and values than another seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Where GitHub's API begins, such as `/api/v3`.
    #[must_use]
    pub fn github_base(mut self, base: &str) -> Self {
        self.base = base.to_owned();
        self
    }

    /// Lives by this clock.
    #[must_use]
    pub fn clock(mut self, clock: VirtualClock) -> Self {
        self.clock = clock;
        self
    }

    /// Leaves the destinations without a secret.
    #[must_use]
    pub fn empty(mut self) -> Self {
        self.filled = false;
        self
    }

    /// Starts both fakes and sets the scene.
    pub async fn start(self) -> World {
        let clock = self.clock;
        let github = FakeGithub::start_at(&clock, &self.base);
        let provider = FakeProvider::of(self.service, &clock, self.seed);
        let journal = Journal::default();
        github.observers().add(journal.hook());
        provider.observers().add(journal.hook());
        let admin = provider.add_token(self.admin.unwrap_or_else(|| (self.service.admin)("crossfade")));
        let original = self.original.unwrap_or_else(|| (self.service.ordinary)(TOKEN));
        let original = provider.add_token(match self.expires_in {
            Some(lifetime) => original.expires_in(lifetime),
            None => original,
        });
        github.add_repo(REPOSITORY);
        github.add_credential(Credential::new("writer", GITHUB_TOKEN));
        for destination in &self.destinations {
            github.add_place_of(destination);
            if self.filled {
                github.put_by_hand(destination, &original.value);
            }
        }
        // Written long before anything that a run does.
        clock.advance(SignedDuration::from_hours(1));
        let watch = Watch { destinations: Arc::new(Mutex::new(self.destinations)), broken: Arc::default() };
        let key = format!("{REPOSITORY}/{TOKEN}");
        let marker_key = key_of(&key);
        let axiom = provider.clone();
        let configuration = self.service.configuration().map(|text| {
            let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
            std::fs::write(&file, text).unwrap();
            Arc::new(file)
        });
        World {
            clock,
            github,
            axiom,
            provider,
            journal,
            original,
            admin,
            key,
            marker_key,
            configuration,
            watch,
        }
    }
}
