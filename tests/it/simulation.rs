//! Simulates 200 days of runs under lasting and recurring disturbances.
//!
//! A scenario is a provider, an overlap, an interval between runs, and a disturbance of
//! some of the runs. Each overlap has one undisturbed run, which the invariants require.
//! After every day each destination holds a token that the provider accepts (I1); after
//! each undisturbed run that rule 11 does not hold back, each holds the newest (I2); and
//! *undelivered* alone mints no more often than the rule allows.
//!
//! Some scenarios alone, each with its duration; a failure shows its journal:
//! `SIMULATION='axiom, overlap 72h, daily' cargo test simulation`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use crate::scene::{Credential, IMPATIENT, PATIENT, Scene};
use crate::support::events::Peer;
use crate::support::github::On;
use crate::support::provider::{ALL, FURTHER, Service};
use crate::support::{Fault, Ran, Target, World};

const DAYS: i64 = 200;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What disturbs a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disturbance {
    /// Nothing.
    None,
    /// One destination refuses to be written.
    Refused,
    /// The repository of one destination is archived.
    Archived,
    /// The credential may not write secrets, and the write check shows it.
    NotWritable,
    /// One destination fails on writes.
    Failing,
    /// One destination cannot even be read.
    Unreadable,
    /// The provider refuses every request.
    ProviderRefuses,
    /// The provider refuses to make tokens.
    MintRefused,
    /// Replies to a mint are lost, after it was made.
    RepliesLost,
    /// The run is killed after the mint, before anything is written.
    KilledBeforeWrites,
    /// The run is killed after the first write.
    KilledBetweenWrites,
}

impl Disturbance {
    const ALL: [Self; 10] = [
        Self::Refused,
        Self::Archived,
        Self::NotWritable,
        Self::Failing,
        Self::Unreadable,
        Self::ProviderRefuses,
        Self::MintRefused,
        Self::RepliesLost,
        Self::KilledBeforeWrites,
        Self::KilledBetweenWrites,
    ];
}

/// Which runs are disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// All but one in each overlap.
    Lasting,
    /// Every other run.
    Intermittent,
}

#[derive(Debug, Clone, Copy)]
struct Scenario {
    service: &'static Service,
    overlap_hours: i64,
    /// Hours between two runs.
    rhythm: i64,
    disturbance: Disturbance,
    when: When,
}

#[allow(clippy::use_debug)] // The variants' names are part of what SIMULATION= selects by.
impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, overlap_hours, rhythm, disturbance, when } = self;
        let rhythm = if *rhythm == 1 { "hourly" } else { "daily" };
        write!(f, "{}, overlap {overlap_hours}h, {rhythm}, {disturbance:?} {when:?}", service.name)
    }
}

impl Scenario {
    /// Whether the n-th run is disturbed.
    fn strikes(&self, n: i64) -> bool {
        // A run within each overlap, counted from the end of the one before; and before
        // there are so many tokens that rule 11 holds it back for a whole overlap.
        let runs = (self.overlap_hours / self.rhythm - 1).min(if self.rhythm == 24 { 12 } else { i64::MAX });
        match (self.disturbance, self.when) {
            (Disturbance::None, _) => false,
            (_, When::Lasting) => n % runs != 0,
            (_, When::Intermittent) => n % 2 == 1,
        }
    }

    /// All scenarios: every disturbance at each provider of `ALL`, each overlap and interval
    /// at one of them at least, and a few at every other provider.
    fn all() -> Vec<Self> {
        let mut scenarios = Vec::new();
        for (index, service) in ALL.into_iter().enumerate() {
            let scenario = |overlap_hours, rhythm, disturbance, when| Self {
                service,
                overlap_hours,
                rhythm,
                disturbance,
                when,
            };
            for (turn, disturbance) in Disturbance::ALL.into_iter().enumerate() {
                let overlap = [3 * 24, 7 * 24, 30 * 24][(index + turn) % 3];
                scenarios.push(scenario(overlap, 24, disturbance, When::Lasting));
                scenarios.push(scenario(7 * 24, 24, disturbance, When::Intermittent));
            }
            let hourly = Disturbance::ALL[(2 * index) % Disturbance::ALL.len()];
            scenarios.push(scenario(24, 1, hourly, When::Lasting));
        }
        scenarios.extend((0..2 * Disturbance::ALL.len()).map(Self::further));
        scenarios
    }

    /// The services that are left, one or two scenarios each. `FURTHER` alternates between
    /// two kinds, and every disturbance meets both.
    fn further(turn: usize) -> Self {
        let disturbances = Disturbance::ALL.len();
        Self {
            service: FURTHER[turn % FURTHER.len()],
            overlap_hours: 7 * 24,
            rhythm: 24,
            disturbance: Disturbance::ALL[(turn + turn / disturbances) % disturbances],
            when: if turn % 4 < 2 { When::Lasting } else { When::Intermittent },
        }
    }
}

/// One scenario under simulation.
struct Simulation {
    scenario: Scenario,
    scene: Scene,
    wrong: Vec<String>,
    /// When each run that minted did so, and whether *undelivered* alone made it.
    minted: BTreeMap<String, Timestamp>,
}

impl Simulation {
    async fn start(scenario: Scenario, expires_in_days: i64) -> Self {
        let world = World::builder().provider(scenario.service).destination_count(2);
        let world = world.expires_in_days(expires_in_days).start().await;
        let overlap = format!("{}h", scenario.overlap_hours);
        let rotate_before = format!("{}h", (scenario.overlap_hours + 24).max(14 * 24));
        let scene = Scene::new(world, Credential::Admin).terse();
        let scene = scene.flag("--overlap").flag(&overlap).flag("--rotate-before").flag(&rotate_before);
        Self { scenario, scene, wrong: Vec::new(), minted: BTreeMap::new() }
    }

    async fn simulate(&mut self) {
        let runs = DAYS * 24 / self.scenario.rhythm;
        for n in 0..runs {
            if self.scenario.strikes(n) {
                self.disturbed().await;
            } else {
                self.undisturbed().await;
            }
            self.count_mints();
            if n * self.scenario.rhythm % 24 == 0 {
                self.wrong.extend(self.scene.world.unaccepted());
            }
            self.wrong.extend(self.scene.broken());
            if !self.wrong.is_empty() {
                self.wrong.push(format!("in run {n} of {runs}"));
                return;
            }
            self.scene.world.clock.advance(SignedDuration::from_hours(self.scenario.rhythm));
        }
    }

    async fn undisturbed(&mut self) {
        let before = self.held_back_until().filter(|_| !self.is_urgent());
        let ran = self.scene.run().await;
        let is_held_back = ran.stdout.contains("no new one is created before");
        if is_held_back {
            if self.held_back_until().is_none() {
                self.wrong.push(format!("held back too early: {}", ran.everything()));
            }
            return;
        }
        self.wrong.extend(self.scene.overstated(&ran));
        self.wrong.extend(self.scene.world.undelivered());
        if ran.exit_code != 0 {
            self.wrong.push(format!("an undisturbed run fails: {}", ran.everything()));
        }
        self.bounded(&ran, before);
    }

    async fn disturbed(&mut self) {
        let before = self.held_back_until().filter(|_| !self.is_urgent());
        let (world, faults) = (&self.scene.world, &self.scene.faults);
        faults.clear();
        let made = world.provider.tokens().len();
        let other = "acme/service-1:AXIOM_TOKEN";
        match self.scenario.disturbance {
            Disturbance::None => {}
            Disturbance::Refused => world.github.break_secret(other, On::Writes, 403),
            Disturbance::Archived => world.github.set_archived("acme/service-1", true),
            Disturbance::NotWritable => {
                for scope in ["acme/infra", "acme/service-1"] {
                    world.github.break_scope(scope, On::Writes, 403);
                }
            }
            Disturbance::Failing => world.github.break_secret(other, On::Writes, 422),
            Disturbance::Unreadable => world.github.break_scope("acme/service-1", On::All, 404),
            Disturbance::ProviderRefuses => {
                let refusal = Fault::Status { code: 403, processed: false };
                faults.inject_times(Target::peer(Peer::Provider), refusal, 99);
            }
            Disturbance::MintRefused => world.provider.switch(|switches| switches.refuse_mint = Some(400)),
            Disturbance::RepliesLost => faults.inject_times(Target::mint(), Fault::CloseAfter, 99),
            Disturbance::KilledBeforeWrites => {
                self.scene.run_killed_at(Target::on("PUT", "/AXIOM_TOKEN"), false).await;
                return;
            }
            Disturbance::KilledBetweenWrites => {
                self.scene.run_killed_at(Target::on("PUT", "/AXIOM_TOKEN"), true).await;
                return;
            }
        }
        let ran = self.scene.rotate(IMPATIENT).run().await;
        self.scene.front.quiet().await;
        let costs_nothing = match self.scenario.disturbance {
            Disturbance::Archived => {
                !self.ends_within(SignedDuration::from_hours(self.scenario.overlap_hours + 1))
            }
            disturbance => disturbance == Disturbance::NotWritable,
        };
        if costs_nothing && self.scene.world.provider.tokens().len() > made {
            self.wrong.push(format!("minted for what cannot be delivered: {}", ran.everything()));
        }
        self.scene.world.github.set_archived("acme/service-1", false);
        self.scene.world.github.repair();
        self.scene.world.provider.switch(|switches| switches.refuse_mint = None);
        self.wrong.extend(self.scene.overstated(&ran));
        self.bounded(&ran, before);
    }

    /// *Undelivered* alone mints nothing while rule 11 holds it back.
    fn bounded(&mut self, ran: &Ran, before: Option<Timestamp>) {
        let minted =
            self.scene.world.marked_tokens().iter().any(|(_, marker)| !self.minted.contains_key(&marker.run));
        let undelivered = ran.rotation()["reason"] == "undelivered";
        if let Some(until) = before.filter(|_| minted && undelivered) {
            self.wrong.push(format!("minted, though held back until {until}: {}", ran.everything()));
        }
    }

    /// Whether a token that a destination holds ends within a day.
    fn is_urgent(&self) -> bool {
        self.ends_within(DAY)
    }

    /// Whether a token that a destination holds ends within this time, or a little later.
    fn ends_within(&self, time: SignedDuration) -> bool {
        let world = &self.scene.world;
        let soon = world.provider.now() + time + SignedDuration::from_mins(5);
        let held = world.destinations().into_iter().filter_map(|destination| world.held(&destination));
        held.into_iter().any(|token| token.expires_at.is_some_and(|end| end <= soon))
    }

    fn count_mints(&mut self) {
        for (_, marker) in self.scene.world.marked_tokens() {
            self.minted.entry(marker.run).or_insert(marker.minted_at);
        }
    }

    /// Rule 11, computed independently: until when *undelivered* alone may not mint.
    fn held_back_until(&self) -> Option<Timestamp> {
        let world = &self.scene.world;
        let now = world.github.now();
        let mut runs: BTreeMap<String, Timestamp> = BTreeMap::new();
        for token in world.provider.tokens().into_iter().filter(|token| !token.deleted) {
            let Some(marker) = token.marker() else { continue };
            let at = runs.entry(marker.run).or_insert(marker.minted_at);
            *at = (*at).max(marker.minted_at);
        }
        let mut minted: Vec<Timestamp> = runs.into_values().collect();
        minted.sort();
        let live_tokens = world.marked_tokens().len();
        let overlap = SignedDuration::from_hours(self.scenario.overlap_hours);
        let mut until = minted.iter().rev().nth(2).map(|at| *at + DAY);
        if let Some(newest) = minted.last() {
            until = until.max(Some(*newest + DAY).filter(|_| live_tokens >= 8));
            until = until.max(Some(*newest + overlap).filter(|_| live_tokens >= 16));
        }
        until.filter(|until| *until > now)
    }
}

/// What goes wrong in a scenario, if anything.
fn simulate(scenario: Scenario) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut simulation = Simulation::start(scenario, 20).await;
        simulation.simulate().await;
        let Simulation { wrong, scene, .. } = simulation;
        let journal = scene.world.journal.text();
        let last: Vec<&str> = journal.lines().rev().take(120).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        (!wrong.is_empty())
            .then(|| format!("### {scenario}\n{}\n--- journal\n{}", wrong.join("\n"), last.join("\n")))
    })
}

#[test]
fn every_disturbance_meets_both_kinds_of_further_services() {
    let met: std::collections::BTreeSet<(usize, usize)> = (0..2 * Disturbance::ALL.len())
        .map(|turn| {
            let disturbance = Scenario::further(turn).disturbance;
            let place = Disturbance::ALL.iter().position(|one| *one == disturbance);
            (turn % FURTHER.len() % 2, place.unwrap())
        })
        .collect();
    assert_eq!(met.len(), 2 * Disturbance::ALL.len());
}

#[test]
fn every_scenario_keeps_tokens_valid() {
    let began = Instant::now();
    let wanted = std::env::var("SIMULATION").unwrap_or_default();
    let all = Scenario::all().into_iter().filter(|scenario| scenario.to_string().contains(&wanted));
    let mut all: Vec<Scenario> = all.collect();
    // The longest first, or the last would have the machine for itself.
    all.sort_by_key(|scenario| scenario.rhythm);
    let all = VecDeque::from(all);
    let (count, queue, failures) = (all.len(), Mutex::new(all), Mutex::new(Vec::new()));
    std::thread::scope(|threads| {
        // Two for each core, because a part of each run is waiting.
        for _ in 0..2 * std::thread::available_parallelism().map_or(2, usize::from) {
            threads.spawn(|| {
                loop {
                    let Some(scenario) = queue.lock().unwrap().pop_front() else { return };
                    let began = Instant::now();
                    // In a line of its own, or the lock would be held meanwhile.
                    let failure = simulate(scenario);
                    failures.lock().unwrap().extend(failure);
                    if !wanted.is_empty() {
                        let took = began.elapsed().as_secs_f32();
                        writeln!(std::io::stderr(), "{scenario}: {took:.1} s").unwrap();
                    }
                }
            });
        }
    });
    let took = began.elapsed().as_secs_f32();
    writeln!(std::io::stderr(), "simulation: {count} scenarios of {DAYS} days, {took:.0} s").unwrap();
    let failures = failures.into_inner().unwrap();
    let names: Vec<&str> = failures.iter().filter_map(|failure| failure.lines().next()).collect();
    assert!(failures.is_empty(), "{} of {count}:\n{}\n\n{}", failures.len(), names.join("\n"), failures[0]);
    assert!(count > 0, "no scenario contains {wanted:?}");
}

/// Every 76 days, after a first one 14 days before the end.
#[test]
fn two_quiet_years_mint_exactly_as_often_as_the_policy_says() {
    for service in ALL {
        let scenario = Scenario {
            service,
            overlap_hours: 7 * 24,
            rhythm: 24,
            disturbance: Disturbance::None,
            when: When::Lasting,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let simulation = Simulation::start(scenario, 20).await;
            let mut minted = Vec::new();
            for day in 0..730_i64 {
                let before = simulation.scene.world.provider.tokens().len();
                let ran = simulation.scene.rotate(PATIENT).run().await;
                assert_eq!(ran.exit_code, 0, "{}", ran.everything());
                if simulation.scene.world.provider.tokens().len() > before {
                    minted.push(day);
                }
                assert_eq!(simulation.scene.world.unaccepted(), Vec::<String>::new());
                simulation.scene.world.clock.advance(DAY);
            }
            let gaps: Vec<i64> = minted.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert_eq!(minted.first(), Some(&6), "{}: {minted:?}", service.name);
            assert!(gaps.iter().all(|gap| *gap == 76) && gaps.len() == 9, "{}: {minted:?}", service.name);
        });
    }
}
