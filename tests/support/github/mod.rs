//! A fake GitHub: repositories, environments and organizations, each with its
//! keys and its secrets, opened.
//!
//! What requests do lives in [`routes`] and [`secrets`]; here is what a test can
//! arrange and see.

mod address;
mod apps;
mod basics;
mod credential;
mod issues;
mod routes;
mod secrets;
mod state;
mod workflows;

use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;

use super::clock::{ServerClock, VirtualClock};
use super::events::{Event, Observers, Peer};
use super::reply::{Recorded, Reply, Request};
use super::server::{Faults, Server, Upstream};
use address::{Scope, parse_destination, parse_scope};
use state::{Break, State};

pub use apps::{APP_ID, GivenToken, Installation, KEY_OF_A_STRANGER, KEY_PKCS1, KEY_PKCS8};
pub use credential::Credential;
pub use issues::FakeIssue;
pub use state::{HeldSecret, On, RateLimit, Repository, SecondaryLimit, Switches, WriteCheck};
pub use workflows::{Workflow, WorkflowRun};

/// A fake GitHub. Clones share it; it stops when the last one is dropped.
#[derive(Clone)]
pub struct FakeGithub {
    url: String,
    /// `None` in a detached view.
    server: Option<Arc<Server>>,
    state: Arc<Mutex<State>>,
    observers: Observers,
}

impl FakeGithub {
    /// Starts an empty fake, like api.github.com.
    #[must_use]
    pub fn start(clock: &VirtualClock) -> Self {
        Self::start_at(clock, "")
    }

    /// Starts an empty fake whose API begins at a path such as `/api/v3`.
    #[must_use]
    pub fn start_at(clock: &VirtualClock, base: &str) -> Self {
        let state = Arc::new(Mutex::new(State::new(ServerClock::new(clock.clone()), base)));
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
        Server::start(Peer::Github, upstream, &self.lock().base, faults)
    }

    /// The API's URL, with its path.
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

    /// Adds a repository, `owner/name`; gives its id.
    pub fn add_repo(&self, full_name: &str) -> u64 {
        let mut state = self.lock();
        assert!(state.repository(full_name).is_none(), "{full_name} exists");
        let id = 1_296_269 + state.repositories.len() as u64;
        state.repositories.push(Repository {
            id,
            full_name: full_name.to_owned(),
            former: Vec::new(),
            archived: false,
            disabled: false,
            public: false,
            issues_disabled: false,
            environments: Vec::new(),
        });
        id
    }

    /// Adds an environment to a repository.
    pub fn add_environment(&self, full_name: &str, environment: &str) {
        self.lock().repository_mut(full_name).environments.push(environment.to_owned());
    }

    /// Adds an organization. Its repositories are those whose owner it is.
    pub fn add_org(&self, org: &str) {
        self.lock().organizations.push(org.to_ascii_lowercase());
    }

    /// Makes an owner a user. The credential is theirs, and their repositories are
    /// private: only their own list shows them.
    pub fn add_user(&self, user: &str) {
        self.lock().users.push(user.to_ascii_lowercase());
    }

    /// Makes sure that the place of a destination exists.
    pub fn add_place_of(&self, destination: &str) {
        let (_, named, _) = parse_destination(destination);
        match named {
            address::Named::Organization(org) => {
                if !self.lock().organizations.contains(&org) {
                    self.add_org(&org);
                }
            }
            address::Named::Repository(name) => self.ensure_repo(&name),
            address::Named::Environment(name, environment) => {
                self.ensure_repo(&name);
                if !self.lock().repository_mut(&name).environments.contains(&environment) {
                    self.add_environment(&name, &environment);
                }
            }
        }
    }

    fn ensure_repo(&self, full_name: &str) {
        let missing = self.lock().repository(full_name).is_none();
        if missing {
            self.add_repo(full_name);
        }
    }

    /// Adds a credential.
    pub fn add_credential(&self, credential: Credential) {
        self.lock().credentials.push(credential);
    }

    /// Installs the App at an owner.
    pub fn install_app(&self, installation: Installation) {
        let mut state = self.lock();
        let id = 41_000_000 + state.installations.len() as u64;
        state.installations.push(Installation { id, ..installation });
    }

    /// Every installation token that was given out.
    #[must_use]
    pub fn tokens_given(&self) -> Vec<GivenToken> {
        self.lock().tokens_given.clone()
    }

    /// Takes every credential with this label away.
    pub fn revoke(&self, label: &str) {
        self.lock().credentials.retain(|c| c.label != label);
    }

    /// Adds a workflow to a repository, which exists from then on.
    pub fn add_workflow(&self, full_name: &str, file: &str) {
        self.ensure_repo(full_name);
        self.lock().add_workflow(full_name, file);
    }

    /// Changes a workflow: whether it can be started.
    pub fn change_workflow(&self, full_name: &str, file: &str, change: impl FnOnce(&mut Workflow)) {
        let mut state = self.lock();
        let repository = state.repository_mut(full_name).clone();
        change(state.workflow_mut(&repository, file).expect("no such workflow"));
    }

    /// Starts a run of a workflow as a push would.
    pub fn push(&self, full_name: &str, file: &str) {
        let mut state = self.lock();
        let repository = state.repository_mut(full_name).clone();
        let created_at = super::clock::seconds(state.clock.now());
        let run =
            WorkflowRun { created_at, event: "push", git_ref: "main".to_owned(), by: "hand".to_owned() };
        state.run_workflow(&repository, file, run);
    }

    /// The runs of a workflow, oldest first.
    #[must_use]
    pub fn runs(&self, full_name: &str, file: &str) -> Vec<WorkflowRun> {
        let mut state = self.lock();
        let repository = state.repository_mut(full_name).clone();
        state.workflow_mut(&repository, file).expect("no such workflow").runs.clone()
    }

    /// Every workflow.
    #[must_use]
    pub fn workflows(&self) -> Vec<Workflow> {
        self.lock().workflows.clone()
    }

    /// Gives a repository another name; the old one redirects from now on.
    pub fn rename(&self, full_name: &str, to: &str) {
        {
            let mut state = self.lock();
            let repository = state.repository_mut(full_name);
            let old = std::mem::replace(&mut repository.full_name, to.to_owned());
            repository.former.push(old.to_ascii_lowercase());
        }
        self.by_hand(&format!("{full_name} renamed to {to}"));
    }

    /// Archives a repository, or opens it again.
    pub fn set_archived(&self, full_name: &str, archived: bool) {
        self.lock().repository_mut(full_name).archived = archived;
    }

    /// Shows a repository to everybody.
    pub fn set_public(&self, full_name: &str) {
        self.lock().repository_mut(full_name).public = true;
    }

    /// Closes a repository, as GitHub does for abuse.
    pub fn set_disabled(&self, full_name: &str, disabled: bool) {
        self.lock().repository_mut(full_name).disabled = disabled;
    }

    /// Changes a credential, found by its value: what it may do, or until when.
    pub fn change_credential(&self, value: &str, change: impl FnOnce(Credential) -> Credential) {
        let mut state = self.lock();
        let found = state.credentials.iter_mut().find(|one| one.value == value).expect("no such credential");
        *found = change(found.clone());
    }

    /// Changes what the App was granted at an owner.
    pub fn change_installation(&self, owner: &str, change: impl FnOnce(&mut Installation)) {
        let mut state = self.lock();
        let found = state.installations.iter_mut().find(|one| one.owner == owner).expect("not installed");
        change(found);
    }

    /// The write checks so far: where each was sent, and the status of its answer.
    #[must_use]
    pub fn write_checks(&self) -> Vec<(String, u16)> {
        let requests = self.requests().into_iter();
        let checks = requests.filter(|r| r.method == "PUT" && r.path.ends_with("/CROSSFADE_WRITE_CHECK"));
        checks.map(|r| (r.path, r.status)).collect()
    }

    /// Replaces the key of a scope: values sealed with the old one are refused.
    pub fn rotate_key(&self, scope: &str) {
        let mut state = self.lock();
        let scope = find_scope(&state, scope);
        state.rotate_key(&scope);
    }

    /// Lets every request of a kind in a scope fail, until it is mended.
    pub fn break_scope(&self, scope: &str, on: On, status: u16) {
        self.break_times(scope, on, status, u32::MAX);
    }

    /// Lets the next requests of a kind in a scope fail.
    pub fn break_times(&self, scope: &str, on: On, status: u16, times: u32) {
        let mut state = self.lock();
        let scope = find_scope(&state, scope);
        state.breaks.push(Break { scope, name: None, on, status, left: times });
    }

    /// Lets every request of a kind about one secret fail, until its scope is
    /// mended. Lists are not about one secret.
    pub fn break_secret(&self, destination: &str, on: On, status: u16) {
        let mut state = self.lock();
        let (scope, name) = find(&state, destination);
        state.breaks.push(Break { scope, name: Some(name), on, status, left: u32::MAX });
    }

    /// Ends every failure in a scope.
    pub fn mend_scope(&self, scope: &str) {
        let mut state = self.lock();
        let scope = find_scope(&state, scope);
        state.breaks.retain(|b| b.scope != scope);
    }

    /// Ends every failure.
    pub fn repair(&self) {
        self.lock().breaks.clear();
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

    /// What a destination holds; `None` if there is no such secret or place.
    #[must_use]
    pub fn secret(&self, destination: &str) -> Option<HeldSecret> {
        let (store, named, name) = parse_destination(destination);
        let state = self.lock();
        let scope = state.scope(store, &named)?;
        state.vaults.get(&scope)?.secrets.get(&name).cloned()
    }

    /// Writes a secret as a person would, in the web interface.
    pub fn put_by_hand(&self, destination: &str, value: &str) {
        {
            let mut state = self.lock();
            let (scope, name) = find(&state, destination);
            let new_org_secret = matches!(scope.place, address::Place::Organization(_))
                && !state.vault(&scope).secrets.contains_key(&name);
            let readers = new_org_secret.then(|| ("all".to_owned(), Vec::new()));
            state.store(&scope, &name, value.to_owned(), "hand", readers);
        }
        self.by_hand(&format!("{destination} written"));
    }

    /// Sets who may read an organization secret.
    pub fn set_visibility(&self, destination: &str, visibility: &str, selected: &[u64]) {
        let mut state = self.lock();
        let (scope, name) = find(&state, destination);
        let held = state.vault(&scope).secrets.get_mut(&name).expect("no such secret");
        (held.visibility, held.selected) = (Some(visibility.to_owned()), selected.to_vec());
    }

    /// Deletes a secret as a person would.
    pub fn delete_by_hand(&self, destination: &str) {
        {
            let mut state = self.lock();
            let (scope, name) = find(&state, destination);
            state.vault(&scope).secrets.remove(&name).expect("no such secret");
        }
        self.by_hand(&format!("{destination} deleted"));
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
        assert!(violations.is_empty(), "violations at GitHub:\n{}", violations.join("\n"));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn by_hand(&self, what: &str) {
        let at = self.now();
        self.observers.notify(&Event { at, peer: Peer::Github, what: format!("by hand: {what}") });
    }
}

#[track_caller]
fn find_scope(state: &State, short: &str) -> Scope {
    let (store, named) = parse_scope(short);
    state.scope(store, &named).unwrap_or_else(|| panic!("no such place: {short:?}"))
}

#[track_caller]
fn find(state: &State, short: &str) -> (Scope, String) {
    let (store, named, name) = parse_destination(short);
    let scope = state.scope(store, &named).unwrap_or_else(|| panic!("no such place: {short:?}"));
    (scope, name)
}
