//! Lives: 200 days of runs each, whatever lasts or comes back.
//!
//! A life is a provider, an overlap, a rhythm of runs, and a trouble that strikes
//! some of them. The trouble leaves one undisturbed run within each overlap, which is
//! what the invariants ask for. After every day each destination holds a token that
//! the provider accepts (I1); after each undisturbed run that rule 11 does not hold
//! back, each holds the newest (I2); and *undelivered* alone mints no oftener than
//! the rule allows.
//!
//! One life alone, with its journal: `LIVES='axiom, 7d, daily, killed' cargo test lives`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use crate::scene::{Credential, IMPATIENT, PATIENT, Scene};
use crate::support::events::Peer;
use crate::support::github::On;
use crate::support::provider::{ALL, Service};
use crate::support::{Fault, Ran, Target, World};

const DAYS: i64 = 200;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What strikes a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// Nothing.
    None,
    /// One destination refuses to be written.
    Refused,
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

impl Trouble {
    const ALL: [Self; 8] = [
        Self::Refused,
        Self::Failing,
        Self::Unreadable,
        Self::ProviderRefuses,
        Self::MintRefused,
        Self::RepliesLost,
        Self::KilledBeforeWrites,
        Self::KilledBetweenWrites,
    ];
}

/// Which runs the trouble strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// All but one in each overlap.
    Lasting,
    /// Every other run.
    Intermittent,
}

#[derive(Debug, Clone, Copy)]
struct Life {
    service: &'static Service,
    overlap_hours: i64,
    /// Hours between two runs.
    rhythm: i64,
    trouble: Trouble,
    when: When,
}

#[allow(clippy::use_debug)] // The variants' names are what a person types after LIVES=.
impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, overlap_hours, rhythm, trouble, when } = self;
        let rhythm = if *rhythm == 1 { "hourly" } else { "daily" };
        write!(f, "{}, overlap {overlap_hours}h, {rhythm}, {trouble:?} {when:?}", service.name)
    }
}

impl Life {
    /// Whether the trouble strikes the n-th run.
    fn strikes(&self, n: i64) -> bool {
        // A run within each overlap, counted from the end of the one before; and before
        // there are so many tokens that rule 11 holds it back for a whole overlap.
        let runs = (self.overlap_hours / self.rhythm - 1).min(if self.rhythm == 24 { 12 } else { i64::MAX });
        match (self.trouble, self.when) {
            (Trouble::None, _) => false,
            (_, When::Lasting) => n % runs != 0,
            (_, When::Intermittent) => n % 2 == 1,
        }
    }

    /// All lives: every trouble at every provider, with each overlap and rhythm at one
    /// of them at least.
    fn all() -> Vec<Self> {
        let mut lives = Vec::new();
        for (index, service) in ALL.into_iter().enumerate() {
            let life =
                |overlap_hours, rhythm, trouble, when| Self { service, overlap_hours, rhythm, trouble, when };
            for (turn, trouble) in Trouble::ALL.into_iter().enumerate() {
                let overlap = [3 * 24, 7 * 24, 30 * 24][(index + turn) % 3];
                lives.push(life(overlap, 24, trouble, When::Lasting));
                lives.push(life(7 * 24, 24, trouble, When::Intermittent));
            }
            let hourly = Trouble::ALL[(2 * index) % Trouble::ALL.len()];
            lives.push(life(24, 1, hourly, When::Lasting));
        }
        lives
    }
}

/// A life as it is lived.
struct Lived {
    life: Life,
    scene: Scene,
    wrong: Vec<String>,
    /// When each run that minted did so, and whether *undelivered* alone made it.
    minted: BTreeMap<String, Timestamp>,
}

impl Lived {
    async fn start(life: Life, expires_in_days: i64) -> Self {
        let world = World::builder().provider(life.service).destination_count(2);
        let world = world.expires_in_days(expires_in_days).start().await;
        let overlap = format!("{}h", life.overlap_hours);
        let rotate_before = format!("{}h", (life.overlap_hours + 24).max(14 * 24));
        let scene = Scene::new(world, Credential::Admin);
        let scene = scene.flag("--overlap").flag(&overlap).flag("--rotate-before").flag(&rotate_before);
        Self { life, scene, wrong: Vec::new(), minted: BTreeMap::new() }
    }

    async fn live(&mut self) {
        let runs = DAYS * 24 / self.life.rhythm;
        for n in 0..runs {
            if self.life.strikes(n) {
                self.disturbed().await;
            } else {
                self.undisturbed().await;
            }
            self.count_mints();
            if n * self.life.rhythm % 24 == 0 {
                self.wrong.extend(self.scene.world.unaccepted());
            }
            self.wrong.extend(self.scene.broken());
            if !self.wrong.is_empty() {
                self.wrong.push(format!("in run {n} of {runs}"));
                return;
            }
            self.scene.world.clock.advance(SignedDuration::from_hours(self.life.rhythm));
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
        let other = "acme/service-1:AXIOM_TOKEN";
        match self.life.trouble {
            Trouble::None => {}
            Trouble::Refused => world.github.break_secret(other, On::Writes, 403),
            Trouble::Failing => world.github.break_secret(other, On::Writes, 422),
            Trouble::Unreadable => world.github.break_scope("acme/service-1", On::All, 404),
            Trouble::ProviderRefuses => {
                let refusal = Fault::Status { code: 403, processed: false };
                faults.inject_times(Target::peer(Peer::Provider), refusal, 99);
            }
            Trouble::MintRefused => world.provider.switch(|switches| switches.refuse_mint = Some(400)),
            Trouble::RepliesLost => faults.inject_times(Target::mint(), Fault::CloseAfter, 99),
            Trouble::KilledBeforeWrites => {
                self.scene.run_killed_at(Target::on("PUT", "/secrets/"), false).await;
                return;
            }
            Trouble::KilledBetweenWrites => {
                self.scene.run_killed_at(Target::on("PUT", "/secrets/"), true).await;
                return;
            }
        }
        let ran = self.scene.rotate(IMPATIENT).run().await;
        self.scene.front.quiet().await;
        self.scene.world.github.mend();
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
        let world = &self.scene.world;
        let soon = world.provider.now() + DAY + SignedDuration::from_mins(5);
        let held = world.destinations().into_iter().filter_map(|destination| world.held(&destination));
        held.into_iter().any(|token| token.expires_at.is_some_and(|end| end <= soon))
    }

    fn count_mints(&mut self) {
        for (_, marker) in self.scene.world.marked_tokens() {
            self.minted.entry(marker.run).or_insert(marker.minted_at);
        }
    }

    /// Rule 11, told anew: until when *undelivered* alone may not mint.
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
        let live = world.marked_tokens().len();
        let overlap = SignedDuration::from_hours(self.life.overlap_hours);
        let mut until = minted.iter().rev().nth(2).map(|at| *at + DAY);
        if let Some(newest) = minted.last() {
            until = until.max(Some(*newest + DAY).filter(|_| live >= 8));
            until = until.max(Some(*newest + overlap).filter(|_| live >= 16));
        }
        until.filter(|until| *until > now)
    }
}

/// What is wrong with a life, if anything.
fn live(life: Life) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut lived = Lived::start(life, 20).await;
        lived.live().await;
        let Lived { wrong, scene, .. } = lived;
        let journal = scene.world.journal.text();
        let last: Vec<&str> = journal.lines().rev().take(120).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        (!wrong.is_empty())
            .then(|| format!("### {life}\n{}\n--- journal\n{}", wrong.join("\n"), last.join("\n")))
    })
}

#[test]
fn no_life_ends_in_a_dead_token() {
    let began = Instant::now();
    let wanted = std::env::var("LIVES").unwrap_or_default();
    let all: VecDeque<Life> =
        Life::all().into_iter().filter(|life| life.to_string().contains(&wanted)).collect();
    let (count, queue, failures) = (all.len(), Mutex::new(all), Mutex::new(Vec::new()));
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            threads.spawn(|| {
                loop {
                    let Some(life) = queue.lock().unwrap().pop_front() else { return };
                    let began = Instant::now();
                    failures.lock().unwrap().extend(live(life));
                    if !wanted.is_empty() {
                        let took = began.elapsed().as_secs_f32();
                        writeln!(std::io::stderr(), "{life}: {took:.1} s").unwrap();
                    }
                }
            });
        }
    });
    let took = began.elapsed().as_secs_f32();
    writeln!(std::io::stderr(), "lives: {count} of {DAYS} days, {took:.0} s").unwrap();
    let failures = failures.into_inner().unwrap();
    let names: Vec<&str> = failures.iter().filter_map(|failure| failure.lines().next()).collect();
    assert!(failures.is_empty(), "{} of {count}:\n{}\n\n{}", failures.len(), names.join("\n"), failures[0]);
    assert!(count > 0, "no such life");
}

/// Every 76 days, after a first one 14 days before the end.
#[test]
fn two_quiet_years_mint_exactly_as_often_as_the_policy_says() {
    for service in ALL {
        let life =
            Life { service, overlap_hours: 7 * 24, rhythm: 24, trouble: Trouble::None, when: When::Lasting };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let lived = Lived::start(life, 20).await;
            let mut minted = Vec::new();
            for day in 0..730_i64 {
                let before = lived.scene.world.provider.tokens().len();
                let ran = lived.scene.rotate(PATIENT).run().await;
                assert_eq!(ran.exit_code, 0, "{}", ran.everything());
                if lived.scene.world.provider.tokens().len() > before {
                    minted.push(day);
                }
                assert_eq!(lived.scene.world.unaccepted(), Vec::<String>::new());
                lived.scene.world.clock.advance(DAY);
            }
            let gaps: Vec<i64> = minted.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert_eq!(minted.first(), Some(&6), "{}: {minted:?}", service.name);
            assert!(gaps.iter().all(|gap| *gap == 76) && gaps.len() == 9, "{}: {minted:?}", service.name);
        });
    }
}
