//! A scene behind servers with faults, the runs in it, and what a run's words are measured by.
//!
//! The fault matrix and the random walk are written against this alone, whoever the
//! provider is; how a scene begins is theirs.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::support::invocation::KILLED;
use crate::support::leaks::find_leaks;
use crate::support::server::{Front, Passing};
use crate::support::world::TOKEN;
use crate::support::{Fault, Faults, Invariant, Invocation, Ran, Target, World};

/// For a run that meets a fault: what waits for an answer waits no longer.
pub(crate) const IMPATIENT: Duration = Duration::from_millis(500);
/// For a run that meets none: a busy machine must not look like a fault.
pub(crate) const PATIENT: Duration = Duration::from_secs(20);

/// Whose value the provider credential is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential {
    /// Another token's.
    Admin,
    /// That of the token that is rotated, as the first destination holds it.
    Own,
}

/// A world behind servers with faults.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) faults: Faults,
    pub(crate) front: Front,
    credential: Credential,
    flags: Vec<String>,
    marker_key: Option<&'static str>,
    is_terse: bool,
    files: TempDir,
}

impl Scene {
    pub(crate) fn new(world: World, credential: Credential) -> Self {
        let faults = Faults::none();
        let front = world.behind(&faults);
        // Time passes while runs are at work.
        world.clock.set_per_request(SignedDuration::from_secs(1));
        Self {
            world,
            faults,
            front,
            credential,
            flags: Vec::new(),
            marker_key: None,
            is_terse: false,
            files: TempDir::new().unwrap(),
        }
    }

    /// Adds an argument to every run.
    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Starts a workflow of this repository after the rotation.
    pub(crate) fn after(self, repository: &str, workflow: &str) -> Self {
        self.world.github.add_workflow(repository, workflow);
        let file = self.files.path().join("crossfade.yml");
        let text = format!(
            "rotations: [{{ name: {TOKEN}, token: {TOKEN}, secrets: [AXIOM_TOKEN], \
             after: [{{ repository: {repository}, workflow: {workflow}, ref: main }}] }}]"
        );
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap().to_owned();
        self.flag("--config").flag(&file)
    }

    /// Signs the markers of every run.
    pub(crate) fn signing(self, key: &'static str) -> Self {
        Self { marker_key: Some(key), ..self }
    }

    /// Runs as no step of a workflow and without a log: a short run spends most of its
    /// time on what only people read.
    pub(crate) fn terse(self) -> Self {
        Self { is_terse: true, ..self }
    }

    /// Looks at I1 and I5 after every event from now on.
    pub(crate) fn watch(self) -> Self {
        self.world.watch(&[Invariant::Accepted, Invariant::OneWindow]);
        self
    }

    /// A run as a step of a workflow. It reads its credential now, as a job does
    /// when it starts.
    pub(crate) fn rotate(&self, timeout: Duration) -> Invocation {
        let world = &self.world;
        let mut run = Invocation::of("rotate")
            .scene(world, self.front.github.url(), self.front.provider.url())
            .arg("--format", "json")
            .arg("--request-timeout", &format!("{}ms", timeout.as_millis()))
            // After a limit without a time, nothing is sent for one period.
            .arg("--pace", "900/1s");
        if !self.is_terse {
            let (output, summary) = (self.files.path().join("output"), self.files.path().join("summary"));
            run = run.on_actions(output, summary).flag("-v");
        }
        if self.credential == Credential::Own {
            let held = world.github.secret(&world.destinations()[0]).unwrap();
            run = run.env("CROSSFADE_PROVIDER_TOKEN", &held.value);
        }
        if let Some(key) = self.marker_key {
            run = run.env("CROSSFADE_MARKER_KEY", key);
        }
        self.flags.iter().fold(run, |run, flag| run.flag(flag))
    }

    /// A run that nothing disturbs.
    pub(crate) async fn run(&self) -> Ran {
        self.faults.clear();
        let ran = self.rotate(PATIENT).run().await;
        self.front.quiet().await;
        ran
    }

    /// A run that is killed at a request, before or after the fake has processed it.
    pub(crate) async fn run_killed_at(&self, target: Target, processed: bool) -> Ran {
        let killed = Arc::new(Notify::new());
        let kill = Arc::clone(&killed);
        let act = move |_: &Passing| kill.notify_one();
        let hook = if processed { Fault::after(act) } else { Fault::before(act) };
        self.faults.inject(target, hook.and_close());
        let ran = self.rotate(IMPATIENT).run_or_die(killed.notified()).await;
        self.front.quiet().await;
        ran
    }

    /// Hours later, when every window is closed.
    pub(crate) fn later(&self) {
        self.world.advance(SignedDuration::from_hours(3));
    }

    /// I3: where a run claims more than the fakes hold. To be asked before anything
    /// else happens.
    pub(crate) fn overstated(&self, ran: &Ran) -> Vec<String> {
        let mut wrong = Vec::new();
        if ran.exit_code == KILLED {
            return wrong;
        }
        match serde_json::from_str::<Value>(&ran.stdout) {
            Ok(report) => {
                let rotations = report["rotations"].as_array().cloned().unwrap_or_default();
                let failed = rotations.iter().any(|rotation| rotation["outcome"] == "failed");
                if rotations.len() != 1 || ran.exit_code != u8::from(failed) {
                    wrong.push(format!("I3: exit code {} for {report}", ran.exit_code));
                }
                rotations.iter().for_each(|rotation| self.check(rotation, &mut wrong));
            }
            Err(error) => wrong.push(format!("I3: no report ({error}), exit code {}", ran.exit_code)),
        }
        wrong
    }

    /// I4: parts of secrets in what these runs printed or wrote to files, but for
    /// the one line that may hold one.
    pub(crate) fn leaks(&self, runs: &[Ran]) -> Vec<String> {
        let file = |name: &str| std::fs::read_to_string(self.files.path().join(name)).unwrap_or_default();
        let mut outputs = [file("output"), file("summary")].join("\n");
        for ran in runs {
            outputs.push_str(&ran.stdout);
            let lines = ran.stderr.lines().filter(|line| !line.starts_with("::add-mask::"));
            lines.for_each(|line| outputs.extend([line, "\n"]));
        }
        let leaks = find_leaks(&outputs, &self.world.secrets());
        leaks.into_iter().map(|leak| format!("I4: {leak}")).collect()
    }

    fn check(&self, rotation: &Value, wrong: &mut Vec<String>) {
        let outcome = rotation["outcome"].as_str().unwrap_or_default();
        let mut claim = |holds: bool, what: String| {
            if !holds {
                wrong.push(format!("I3: {what}, says {rotation}"));
            }
        };
        let token = rotation["token"]["id"].as_str();
        let newest = self.world.newest().map(|token| token.id);
        if outcome == "rotated" {
            claim(token == newest.as_deref() && token.is_some(), "the token is not the newest".into());
            claim(self.world.undelivered().is_empty(), "not every destination holds it".into());
        }
        if outcome == "failed" {
            claim(rotation["error"].is_string(), "failed without a reason".into());
        }
        for destination in rotation["destinations"].as_array().into_iter().flatten() {
            let name = destination["destination"].as_str().unwrap_or_default();
            let held = self.world.held(name).map(|token| token.id);
            match destination["outcome"].as_str().unwrap_or_default() {
                "written" | "held" => {
                    claim(held.as_deref() == token, format!("{name} holds {held:?}"));
                }
                "failed" => claim(outcome == "failed", format!("{name} failed and nobody minds")),
                _ => {}
            }
            if let Some(other) = destination["holds"]["id"].as_str() {
                claim(held.as_deref() == Some(other), format!("{name} holds {held:?}"));
            }
        }
        for one in rotation["after"].as_array().into_iter().flatten() {
            if ["started", "has_run"].contains(&one["outcome"].as_str().unwrap_or_default()) {
                let behind = self.world.not_started();
                claim(behind.is_empty(), format!("{behind:?}"));
            }
        }
        for end in ["token", "previous"] {
            let (Some(id), field) =
                (rotation[end]["id"].as_str(), if end == "token" { "expires_at" } else { "valid_until" })
            else {
                continue;
            };
            let Some(kept) = self.world.provider.token(id) else {
                claim(false, format!("there is no token {id}"));
                continue;
            };
            // To claim less is allowed: a reply was lost.
            let claimed: Option<Timestamp> = rotation[end][field].as_str().map(|at| at.parse().unwrap());
            let longer = match (claimed, kept.expires_at) {
                (None, Some(_)) => true,
                (Some(claimed), Some(actual)) => claimed > actual,
                (_, None) => false,
            };
            claim(!longer, format!("token {id} lives until {:?}", kept.expires_at));
        }
        for id in rotation["retired"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            // The next token may have got its id.
            let now = self.world.provider.now();
            let ended =
                self.world.provider.tokens().iter().any(|token| token.id == id && !token.is_live(now));
            claim(ended, format!("token {id} lives"));
        }
    }

    /// Everything that is wrong by now: broken invariants, violations of the API
    /// descriptions.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut broken = self.world.take_broken();
        broken.extend(self.world.github.violations());
        broken.extend(self.world.provider.violations());
        broken
    }

    /// A new key for every destination's scope.
    pub(crate) fn rotate_keys(world: &World) {
        for destination in world.destinations() {
            let (scope, _) = destination.rsplit_once(':').unwrap();
            world.github.rotate_key(scope);
        }
    }
}
