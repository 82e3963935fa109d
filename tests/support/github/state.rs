//! What the fake GitHub keeps.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crypto_box::SecretKey;
use crypto_box::aead::OsRng;
use jiff::{SignedDuration, Timestamp};

use super::super::clock::{ServerClock, seconds};
use super::super::reply::Recorded;
use super::address::{Named, Place, Scope, Store};
use super::apps::{GivenToken, Installation};
use super::credential::Credential;
use super::issues::FakeIssue;
use super::workflows::Workflow;

/// A secret, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSecret {
    /// The plaintext.
    pub value: String,
    /// When it was first written, in whole seconds.
    pub created_at: Timestamp,
    /// When it was last written, in whole seconds.
    pub updated_at: Timestamp,
    /// When it was written before that.
    pub earlier: Vec<Timestamp>,
    /// Who may read an organization secret.
    pub visibility: Option<String>,
    /// The repositories of a `selected` organization secret.
    pub selected: Vec<u64>,
    /// How often it was written.
    pub writes: u32,
    /// The label of the credential that wrote it last; `hand` for a person.
    pub by: String,
}

/// A repository.
#[derive(Debug, Clone)]
pub struct Repository {
    /// Never changes.
    pub id: u64,
    /// `owner/name`, as written.
    pub full_name: String,
    /// Names it had before, lower case.
    pub former: Vec<String>,
    /// Nothing in it can be written.
    pub archived: bool,
    /// GitHub has closed it.
    pub disabled: bool,
    /// Everybody can see it.
    pub public: bool,
    /// It has no issues.
    pub issues_disabled: bool,
    /// Its environments.
    pub environments: Vec<String>,
}

/// One store in one place.
pub(super) struct Vault {
    pub(super) private_key: SecretKey,
    pub(super) key_id: String,
    pub(super) secrets: BTreeMap<String, HeldSecret>,
}

/// Which requests a break is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// GET.
    Reads,
    /// PUT and DELETE.
    Writes,
    /// Everything.
    All,
}

/// A scope, or one secret in it, that answers with a failure.
#[derive(Debug, Clone)]
pub(super) struct Break {
    pub(super) scope: Scope,
    pub(super) name: Option<String>,
    pub(super) on: On,
    pub(super) status: u16,
    pub(super) left: u32,
}

/// A primary rate limit.
#[derive(Debug, Clone, Copy)]
pub struct RateLimit {
    /// Requests in an hour.
    pub limit: u32,
    /// Requests left; at 0 the answer is 403.
    pub remaining: u32,
    /// When `remaining` is `limit` again.
    pub reset: Timestamp,
}

/// A secondary rate limit, enforced by this machine's stopwatch: the virtual clock
/// stands still while requests come.
#[derive(Debug, Clone, Copy)]
pub struct SecondaryLimit {
    /// Points in every period: 1 for a read, 5 for a write.
    pub points: u32,
    /// GitHub's is a minute.
    pub period: Duration,
}

/// How the server answers a write that no server can store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteCheck {
    /// It stores it: 201, or 204 if the secret is there.
    Stored,
    /// It stores it, and does not delete it again (403).
    StoredForGood,
    /// It fails so.
    Fails(u16),
    /// A secondary rate limit so many times; then as usual.
    Limited(u32),
    /// It redirects there.
    Redirected(String),
}

/// How the fake behaves where the real service may.
#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// A primary rate limit; `None`: no such headers, as on a GitHub server of one's own.
    pub rate_limit: Option<RateLimit>,
    /// A secondary rate limit; `None`: it is not enforced.
    pub secondary_limit: Option<SecondaryLimit>,
    /// Where redirects of renamed repositories lead; `None`: the same origin.
    pub redirect_origin: Option<String>,
    /// Redirects name the new repository instead of its id.
    pub redirect_by_name: bool,
    /// Replaces the message of every error.
    pub error_message: Option<String>,
    /// Headers of every reply.
    pub headers: Vec<(String, String)>,
    /// The lifetime of an installation token; `None`: an hour.
    pub installation_token_life: Option<SignedDuration>,
    /// `updated_at` shows a write only after so long.
    pub timestamp_lag: SignedDuration,
    /// The ids of selected repositories must be strings in Dependabot's store, as
    /// older servers want them.
    pub dependabot_ids_are_strings: bool,
    /// With what words the App itself is refused (403).
    pub app_refusal: Option<String>,
    /// How a write check is answered; `None`: as GitHub's description has it (422).
    pub write_check: Option<WriteCheck>,
    /// The user whose credentials these are; `None`: octocat.
    pub login: Option<String>,
    /// A workflow that is started is answered with its run, as later versions of the API do.
    pub shows_started_runs: bool,
    /// Lists of workflow runs show a run only after so long.
    pub run_lag: SignedDuration,
    /// Stores that this server does not have, as paths name them.
    pub missing_stores: Vec<&'static str>,
}

/// What the fake keeps. Locked for one request, or one look of a test.
pub(super) struct State {
    pub(super) clock: ServerClock,
    pub(super) base: String,
    pub(super) repositories: Vec<Repository>,
    pub(super) organizations: Vec<String>,
    /// Owners that are users, lower case; what they own is private.
    pub(super) users: Vec<String>,
    pub(super) vaults: BTreeMap<Scope, Vault>,
    /// Issues and pull requests, by the repository's id.
    pub(super) issues: BTreeMap<u64, Vec<FakeIssue>>,
    pub(super) credentials: Vec<Credential>,
    pub(super) installations: Vec<Installation>,
    pub(super) tokens_given: Vec<GivenToken>,
    pub(super) workflows: Vec<Workflow>,
    pub(super) breaks: Vec<Break>,
    pub(super) switches: Switches,
    pub(super) requests: Vec<Recorded>,
    pub(super) violations: Vec<String>,
    /// When requests came, and their points.
    pub(super) spent: VecDeque<(Instant, u32)>,
    keys_made: u64,
}

impl State {
    pub(super) fn new(clock: ServerClock, base: &str) -> Self {
        Self {
            clock,
            base: base.trim_end_matches('/').to_owned(),
            repositories: Vec::new(),
            organizations: Vec::new(),
            users: Vec::new(),
            vaults: BTreeMap::new(),
            issues: BTreeMap::new(),
            credentials: Vec::new(),
            installations: Vec::new(),
            tokens_given: Vec::new(),
            workflows: Vec::new(),
            breaks: Vec::new(),
            switches: Switches::default(),
            requests: Vec::new(),
            violations: Vec::new(),
            spent: VecDeque::new(),
            keys_made: 0,
        }
    }

    pub(super) fn repository(&self, full_name: &str) -> Option<&Repository> {
        let current = self.repositories.iter().find(|r| r.full_name.eq_ignore_ascii_case(full_name));
        current.or_else(|| self.former(full_name))
    }

    pub(super) fn former(&self, full_name: &str) -> Option<&Repository> {
        self.repositories.iter().find(|r| r.former.iter().any(|name| name.eq_ignore_ascii_case(full_name)))
    }

    pub(super) fn repository_mut(&mut self, full_name: &str) -> &mut Repository {
        let found = self.repositories.iter_mut().find(|r| r.full_name.eq_ignore_ascii_case(full_name));
        found.unwrap_or_else(|| panic!("no repository {full_name:?}"))
    }

    /// The scope of a short form; `None` if there is no such place.
    pub(super) fn scope(&self, store: Store, named: &Named) -> Option<Scope> {
        let place = match named {
            Named::Repository(name) => Place::Repository(self.repository(name)?.id),
            Named::Environment(name, environment) => {
                let repository = self.repository(name)?;
                let exists = repository.environments.contains(environment);
                exists.then(|| Place::Environment(repository.id, environment.clone()))?
            }
            Named::Organization(org) => {
                self.organizations.iter().any(|o| o == org).then(|| Place::Organization(org.clone()))?
            }
        };
        Some(Scope { store, place })
    }

    /// The keys and secrets of a scope, made at the first look.
    pub(super) fn vault(&mut self, scope: &Scope) -> &mut Vault {
        if !self.vaults.contains_key(scope) {
            let vault = self.new_vault();
            self.vaults.insert(scope.clone(), vault);
        }
        self.vaults.get_mut(scope).unwrap()
    }

    fn new_vault(&mut self) -> Vault {
        let private_key = SecretKey::generate(&mut OsRng);
        Vault { private_key, key_id: self.new_key_id(), secrets: BTreeMap::new() }
    }

    fn new_key_id(&mut self) -> String {
        self.keys_made += 1;
        (568_250_167_242_549_743 + self.keys_made).to_string()
    }

    pub(super) fn rotate_key(&mut self, scope: &Scope) {
        let fresh = self.new_vault();
        let vault = self.vault(scope);
        (vault.private_key, vault.key_id) = (fresh.private_key, fresh.key_id);
    }

    /// Writes an opened secret; returns whether it is new.
    pub(super) fn store(
        &mut self,
        scope: &Scope,
        name: &str,
        value: String,
        by: &str,
        readers: Option<(String, Vec<u64>)>,
    ) -> bool {
        let now = seconds(self.clock.now());
        let (visibility, selected) = readers.unzip();
        let secrets = &mut self.vault(scope).secrets;
        let known = secrets.get(name);
        let held = HeldSecret {
            value,
            created_at: known.map_or(now, |old| old.created_at),
            updated_at: now,
            earlier: known.map_or_else(Vec::new, |old| [old.earlier.as_slice(), &[old.updated_at]].concat()),
            visibility: visibility.or_else(|| known.and_then(|old| old.visibility.clone())),
            selected: selected.or_else(|| known.map(|old| old.selected.clone())).unwrap_or_default(),
            writes: known.map_or(0, |old| old.writes) + 1,
            by: by.to_owned(),
        };
        secrets.insert(name.to_owned(), held).is_none()
    }
}
