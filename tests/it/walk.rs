//! A random walk: tokens stay valid through any events in any order.
//!
//! The preconditions of the invariants are kept by the walk itself: an undisturbed
//! run happens within each overlap (with --force where *undelivered* is held back, as the
//! message says), and what a person revokes is held against nobody.
//! A person writes secrets minutes away from any mint: within a window, nobody
//! could tell.
//!
//! A failing walk is shrunk, printed, and kept in `tests/it/walk.proptest-regressions`.
//! More of them: `PROPTEST_CASES=1000 cargo test walk`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, RngSeed};
use tokio::sync::Notify;

use crate::scene::{Credential, IMPATIENT, PATIENT, Scene};
use crate::support::events::Hook;
use crate::support::github::On;
use crate::support::marker::Marker;
use crate::support::provider::rest::MANAGES;
use crate::support::provider::{ALL, FURTHER, Service, TokenSpec};
use crate::support::server::{Gate, When};
use crate::support::{Fault, Faults, Invocation, Ran, Target, World};

/// Signs the markers of the walks that have a key.
const MARKER_KEY: &str = "a marker key for the walks";

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    /// A run that nothing disturbs.
    Run,
    /// A run whose n-th request meets a fault.
    Faulty { n: usize, fault: usize },
    /// A run whose n-th request is its last.
    Killed { n: usize, processed: bool },
    /// Two runs: the first stops at its n-th request until the second has ended.
    TwoRuns { n: usize, processed: bool },
    /// A run while a destination is unreadable.
    Dead { destination: usize, reads_too: bool },
    /// Time passes.
    Hours(i64),
    /// A person writes a secret.
    Written { destination: usize },
    /// A person adds a destination, without a secret in it.
    Added,
    /// A person takes a destination off the list.
    Removed { destination: usize },
    /// A person deletes the newest token.
    NewestDeleted,
    /// A person deletes the oldest token that no destination holds.
    OldDeleted,
    /// Somebody makes a token with this rotation's marker; it is found and
    /// deleted after the next run.
    Forged { kind: usize },
    /// Where markers are signed: somebody makes a token with any marker, privileges and
    /// date, and nobody finds it.
    Adversary { minutes: i64, window: i64, copies: bool, attempt: u32, is_admin: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let n = || 1..14_usize;
    prop_oneof![
        4 => Just(Step::Run),
        8 => (n(), 0..Fault::all().len()).prop_map(|(n, fault)| Step::Faulty { n, fault }),
        5 => (n(), any::<bool>()).prop_map(|(n, processed)| Step::Killed { n, processed }),
        3 => (n(), any::<bool>()).prop_map(|(n, processed)| Step::TwoRuns { n, processed }),
        2 => (0..3_usize, any::<bool>()).prop_map(|(destination, reads_too)| Step::Dead { destination, reads_too }),
        6 => prop_oneof![1..12_i64, 12..200_i64].prop_map(Step::Hours),
        2 => (0..3_usize).prop_map(|destination| Step::Written { destination }),
        1 => Just(Step::Added),
        1 => (0..3_usize).prop_map(|destination| Step::Removed { destination }),
        1 => Just(Step::NewestDeleted),
        1 => Just(Step::OldDeleted),
        1 => (0..3_usize).prop_map(|kind| Step::Forged { kind }),
        4 => (-9000..60_i64, 0..40_i64, any::<bool>(), 1..4_u32, any::<bool>()).prop_map(
            |(minutes, window, copies, attempt, is_admin)| Step::Adversary { minutes, window, copies, attempt, is_admin }
        ),
    ]
}

/// I1 and I5, looked at after every event.
struct Watch {
    world: World,
    /// Destinations that hold what a person revoked.
    excused: Mutex<BTreeSet<String>>,
    /// Two runs are at work, so two windows may be open for a moment.
    two: AtomicBool,
    broken: Mutex<Vec<String>>,
}

impl Watch {
    fn over(scene: &Scene) -> Arc<Self> {
        let this = Arc::new(Self {
            world: scene.world.detached(),
            excused: Mutex::default(),
            two: AtomicBool::new(false),
            broken: Mutex::default(),
        });
        let watch = Arc::clone(&this);
        let hook: Hook = Arc::new(move |event| watch.look(&event.to_string()));
        scene.world.github.observers().add(Arc::clone(&hook));
        scene.world.provider.observers().add(hook);
        this
    }

    fn look(&self, after: &str) {
        let mut excused = self.excused.lock().unwrap();
        for destination in self.world.destinations() {
            // A secret that was never written holds nothing that could be lost.
            let Some(held) = self.world.github.secret(&destination) else { continue };
            if self.world.provider.is_accepted(&held.value) {
                excused.remove(&destination);
            } else if !excused.contains(&destination) {
                self.broken.lock().unwrap().push(format!("I1: {destination}, after: {after}"));
            }
        }
        let windows = self.world.open_windows();
        if windows.len() > 1 && !self.two.load(Ordering::Relaxed) {
            self.broken.lock().unwrap().push(format!("I5: {windows:?}, after: {after}"));
        }
    }

    /// Whoever holds this token does so at a person's risk.
    fn excuse(&self, value: &str) {
        let holds = |destination: &String| {
            self.world.github.secret(destination).is_some_and(|held| held.value == value)
        };
        self.excused.lock().unwrap().extend(self.world.destinations().into_iter().filter(holds));
    }
}

struct Walk {
    scene: Scene,
    watch: Arc<Watch>,
    is_signed: bool,
    last_undisturbed: Timestamp,
    added: usize,
    two_were_at_work: bool,
    wrong: Vec<String>,
}

impl Walk {
    async fn start(service: &'static Service, destinations: usize, is_signed: bool) -> Self {
        let world = World::builder().provider(service).destination_count(destinations);
        let world = world.expires_in_days(20).start().await;
        // Short lifetimes, so that a walk sees many rotations.
        let scene = Scene::new(world, Credential::Admin).flag("--lifetime").flag("30d");
        let scene = if is_signed { scene.signing(MARKER_KEY) } else { scene };
        if is_signed {
            // Until there is a signed token, unsigned ones count.
            let ran = scene.rotate(PATIENT).flag("--force").run().await;
            assert_eq!(ran.exit_code, 0, "{}", ran.everything());
        }
        let watch = Watch::over(&scene);
        let last_undisturbed = scene.world.clock.now();
        Self {
            watch,
            is_signed,
            last_undisturbed,
            added: 0,
            two_were_at_work: false,
            wrong: Vec::new(),
            scene,
        }
    }

    /// After the last window, and away from the next.
    fn minutes_pass(&self) {
        self.scene.world.advance(SignedDuration::from_mins(10));
    }

    fn judge(&mut self, ran: &Ran) {
        self.wrong.extend(self.scene.overstated(ran));
        self.wrong.extend(self.scene.leaks(std::slice::from_ref(ran)));
    }

    /// The run that heals everything before it.
    async fn undisturbed(&mut self) {
        self.minutes_pass();
        let mut ran = self.scene.run().await;
        if ran.stdout.contains("no new one is created before") {
            // A person does what the message says.
            self.judge(&ran);
            ran = self.scene.rotate(PATIENT).flag("--force").run().await;
        }
        self.judge(&ran);
        self.wrong.extend(self.scene.world.changed_privileges());
        self.last_undisturbed = self.scene.world.clock.now();
        self.wrong.extend(self.scene.world.undelivered());
        if ran.exit_code != 0 {
            self.wrong.push(format!("an undisturbed run fails: {}", ran.everything()));
        }
    }

    /// Time passes, and the runs that the invariants ask for happen.
    async fn hours(&mut self, mut hours: i64) {
        while hours > 0 {
            let since = self.scene.world.clock.now().duration_since(self.last_undisturbed).as_hours();
            let leap = hours.min(150 - since);
            if leap <= 0 {
                self.undisturbed().await;
                continue;
            }
            self.scene.world.advance(SignedDuration::from_hours(leap));
            hours -= leap;
        }
    }

    /// I2: tokens besides the newest that live on beyond any overlap. The last run
    /// may have been one that found the newest due, so its predecessor still lives.
    fn endless(&self) -> Vec<String> {
        let now = self.scene.world.provider.now();
        let overlap = SignedDuration::from_hours(7 * 24);
        let mut marked = self.scene.world.marked_tokens();
        let newest = marked.pop();
        if newest.is_some_and(|(_, marker)| marker.minted_at > now - overlap) {
            marked.pop();
        }
        marked
            .into_iter()
            .filter(|(token, _)| token.expires_at.is_none_or(|end| end > now + overlap))
            .map(|(token, _)| format!("I2: token {} lives on", token.id))
            .collect()
    }

    fn destination(&self, index: usize) -> String {
        let all = self.scene.world.destinations();
        all[index % all.len()].clone()
    }

    async fn take(&mut self, step: &Step) {
        self.scene.world.journal.note(format!("== {step:?}"));
        self.scene.faults.clear();
        match step {
            Step::Run => {
                let ran = self.scene.run().await;
                self.judge(&ran);
            }
            Step::Faulty { n, fault } => {
                self.scene.faults.inject(Target::Nth(*n), Fault::all()[*fault].clone());
                self.disturbed(self.scene.rotate(IMPATIENT)).await;
            }
            Step::Killed { n, processed } => {
                let killed = Arc::new(Notify::new());
                let kill = Arc::clone(&killed);
                let act = move |_: &_| kill.notify_one();
                let hook = if *processed { Fault::after(act) } else { Fault::before(act) };
                self.scene.faults.inject(Target::Nth(*n), hook.and_close());
                let ran = self.scene.rotate(IMPATIENT).run_or_die(killed.notified()).await;
                self.scene.front.quiet().await;
                self.judge(&ran);
            }
            Step::TwoRuns { n, processed } => self.two_runs(*n, *processed).await,
            Step::Dead { destination, reads_too } => {
                let destination = self.destination(*destination);
                let (scope, _) = destination.rsplit_once(':').unwrap();
                let on = if *reads_too { On::All } else { On::Writes };
                self.scene.world.github.break_scope(scope, on, if *reads_too { 404 } else { 403 });
                self.disturbed(self.scene.rotate(IMPATIENT)).await;
                self.scene.world.github.repair();
            }
            Step::Hours(hours) => self.hours(*hours).await,
            Step::Written { destination } => {
                self.minutes_pass();
                let value = self.scene.world.admin.value.clone();
                self.scene.world.github.put_by_hand(&self.destination(*destination), &value);
                self.minutes_pass();
            }
            Step::Added => {
                self.added += 1;
                self.scene.world.add_destination(&format!("acme/added-{}:AXIOM_TOKEN", self.added));
            }
            Step::Removed { destination } => {
                if self.scene.world.destinations().len() > 1 {
                    self.scene.world.forget_destination(&self.destination(*destination));
                }
            }
            Step::NewestDeleted => {
                let (newest, now) = (self.scene.world.newest(), self.scene.world.provider.now());
                // Without any signed token left, unsigned ones would count.
                let others = self.scene.world.marked_tokens().len() > 1
                    || !self.is_signed
                        && self
                            .scene
                            .world
                            .provider
                            .token(&self.scene.world.original.id)
                            .unwrap()
                            .is_live(now);
                if let Some(newest) =
                    newest.filter(|newest| others && newest.id != self.scene.world.original.id)
                {
                    self.watch.excuse(&newest.value);
                    self.scene.world.provider.delete_by_hand(&newest.id);
                }
            }
            Step::OldDeleted => {
                let held: Vec<_> = self
                    .scene
                    .world
                    .destinations()
                    .iter()
                    .filter_map(|destination| Some(self.scene.world.held(destination)?.id))
                    .collect();
                let newest = self.scene.world.newest().map(|token| token.id);
                let marked = self.scene.world.marked_tokens().into_iter().map(|(token, _)| token.id);
                let old = marked.into_iter().find(|id| !held.contains(id) && Some(id) != newest.as_ref());
                if let Some(old) = old {
                    self.scene.world.provider.delete_by_hand(&old);
                }
            }
            Step::Forged { kind } => {
                if !self.is_signed {
                    self.forged(*kind).await;
                }
            }
            Step::Adversary { minutes, window, copies, attempt, is_admin } => {
                if self.is_signed {
                    self.adversary(*minutes, *window, *copies, *attempt, *is_admin);
                }
            }
        }
        // Of two runs at once, the later one cannot know what the other has asked for.
        let unknowable = |line: &String| self.two_were_at_work && line.contains("extends the old token");
        self.wrong.extend(self.scene.broken().into_iter().filter(|line| !unknowable(line)));
        self.wrong.append(&mut self.watch.broken.lock().unwrap());
    }

    async fn disturbed(&mut self, run: Invocation) {
        let ran = run.run().await;
        self.scene.front.quiet().await;
        self.judge(&ran);
    }

    async fn two_runs(&mut self, n: usize, processed: bool) {
        self.watch.two.store(true, Ordering::Relaxed);
        self.two_were_at_work = true;
        let (gate, faults) = (Gate::new(), Faults::none());
        let when = if processed { When::After } else { When::Before };
        self.scene.faults.inject(Target::Nth(n), Fault::Hold { when, gate: gate.clone() });
        let front = self.scene.world.behind(&faults);
        let second = Invocation::of("rotate")
            .scene(&self.scene.world, front.github.url(), front.provider.url())
            .arg("--lifetime", "30d")
            .arg("--format", "json");
        let first = self.scene.rotate(PATIENT);
        let mut first = Box::pin(first.run());
        let ended = tokio::select! {
            ran = &mut first => Some(ran),
            () = gate.reached() => None,
        };
        let overtaking = second.run().await;
        self.judge(&overtaking);
        gate.open();
        let first = match ended {
            Some(ran) => ran,
            None => {
                let ran = first.await;
                self.judge(&ran);
                ran
            }
        };
        self.wrong.extend(self.scene.leaks(&[first]));
        self.minutes_pass();
        self.watch.two.store(false, Ordering::Relaxed);
    }

    /// A token with this text where markers stand.
    fn marked(&self, marker: &str, is_admin: bool) -> TokenSpec {
        let service = self.scene.world.provider.service();
        // In the list, where some services do not show who manages tokens.
        let admin = |name: &str| (service.admin)(name).without(MANAGES);
        let spec = |name: &str| if is_admin { admin(name) } else { (service.ordinary)(name) };
        match service.marker_in {
            "name" => spec(&format!("ci-ingest {marker}")),
            field => spec("ci-ingest").with(field, marker.into()),
        }
    }

    /// An unsigned marker; or one with the run and the signature of an honest one.
    fn adversary(&self, minutes: i64, window: i64, copies: bool, attempt: u32, is_admin: bool) {
        let world = &self.scene.world;
        let at = world.github.now() + SignedDuration::from_mins(minutes);
        let forged = Marker::of(&world.key, at, window, &format!("{:012}", at.as_second()));
        let honest = world.marked_tokens().pop().map(|(_, marker)| marker).filter(|_| copies);
        let (run, mac) = honest.map_or((forged.run.clone(), None), |honest| (honest.run, honest.mac));
        let mut text = Marker { run, attempt, ..forged }.unsigned();
        text.extend(mac.iter().flat_map(|mac| [".", mac]));
        world.provider.add_token(self.marked(&text, is_admin).expires_in_days(25).forged());
    }

    async fn forged(&mut self, kind: usize) {
        // What differs in nothing that is compared cannot be told.
        let kind = if kind == 1 && !compares_rights(self.scene.world.provider.service()) { 2 } else { kind };
        self.minutes_pass();
        let now = self.scene.world.github.now();
        let at = now + if kind == 0 { SignedDuration::from_hours(1) } else { SignedDuration::from_mins(-5) };
        let marker = Marker::of(&self.scene.world.key, at, 2, &format!("{:012}", at.as_second()));
        let spec = self.marked(&marker.unsigned(), kind == 1);
        let forged = self.scene.world.provider.add_token(spec.expires_in_days(25));
        let before = self.scene.world.provider.tokens().len();
        let ran = self.scene.run().await;
        self.judge(&ran);
        if kind < 2 && (ran.exit_code == 0 || self.scene.world.provider.tokens().len() > before) {
            self.wrong.push(format!("a forged marker is trusted: {}", ran.everything()));
        }
        self.watch.excuse(&forged.value);
        if self.scene.world.provider.live_tokens().iter().any(|token| token.id == forged.id) {
            self.scene.world.provider.delete_by_hand(&forged.id);
        }
    }
}

/// Whether tokens have rights of their own that do not change by themselves.
fn compares_rights(service: &Service) -> bool {
    let (ordinary, admin) = ((service.ordinary)("x"), (service.admin)("x").without(MANAGES));
    ordinary.raw() != admin.raw() && service.name != "jupyterhub"
}

fn walk(
    service: &'static Service,
    destinations: usize,
    is_signed: bool,
    steps: &[Step],
) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut walk = Walk::start(service, destinations, is_signed).await;
        for step in steps {
            walk.take(step).await;
            if !walk.wrong.is_empty() {
                break;
            }
        }
        if walk.wrong.is_empty() {
            // Nothing more happens: all is delivered, then collected.
            walk.scene.faults.clear();
            walk.hours(8 * 24).await;
            walk.undisturbed().await;
            walk.wrong.extend(walk.scene.world.undelivered());
            walk.hours(8 * 24).await;
            walk.undisturbed().await;
            walk.wrong.extend(walk.endless());
            walk.wrong.append(&mut walk.watch.broken.lock().unwrap());
        }
        let journal = walk.scene.world.journal.text();
        prop_assert!(walk.wrong.is_empty(), "{}\n--- journal\n{journal}", walk.wrong.join("\n"));
        Ok(())
    })
}

/// Whether other walks than the usual ones are wanted.
pub(crate) fn explores() -> bool {
    std::env::var_os("PROPTEST_CASES").is_some()
}

proptest! {
    #![proptest_config(Config {
        cases: if explores() { Config::default().cases } else { 40 },
        // The same walks every time, unless others are asked for.
        rng_seed: if explores() { RngSeed::Random } else { RngSeed::Fixed(2026) },
        max_shrink_iters: 100,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("proptest-regressions"))),
        ..Config::default()
    })]

    #[test]
    fn whatever_happens_tokens_stay_alive(
        service in prop::sample::select(ALL.into_iter().chain(FURTHER).collect::<Vec<_>>()),
        destinations in 1..4_usize,
        is_signed in any::<bool>(),
        steps in prop::collection::vec(step(), 1..16),
    ) {
        walk(service, destinations, is_signed, &steps)?;
    }
}
