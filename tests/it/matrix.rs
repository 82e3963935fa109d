//! The fault matrix: every fault at every request of a run, generated.
//!
//! A row is a scene. One clean run of it tells which requests there are; then
//! each of them meets each fault in a scene of its own: the faulty run, an
//! undisturbed one hours later, and one more past the overlap. Of the services whose
//! life cycle another one has too, only the requests to the service itself are struck:
//! those to GitHub are the same for all. After every event
//! at the fakes I1 and I5 are looked at; after every run I3, I4 and I6; at the
//! end I2, and that every workflow was started after the last write.
//!
//! One case alone, with its journal: `MATRIX='regenerate | 500' cargo test matrix`.

use std::collections::VecDeque;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::SignedDuration;

use crate::scene::{Credential, IMPATIENT, PATIENT, Scene};
use crate::support::axiom::TokenSpec;
use crate::support::provider::axiom::SERVICE as AXIOM;
use crate::support::provider::catalogue::{cloudflare, databricks, gitlab, grafana, jupyterhub};
use crate::support::provider::deepset::SERVICE as DEEPSET;
use crate::support::provider::launchdarkly::SERVICE as LAUNCHDARKLY;
use crate::support::provider::softwareone::SERVICE as SOFTWAREONE;
use crate::support::provider::{FURTHER, Service};
use crate::support::server::Passing;
use crate::support::{Fault, Peer, Ran, Target, World};

/// Scenes that one thread has under way: most of their time is waiting.
const AT_ONCE: usize = 24;

type Started = Pin<Box<dyn Future<Output = Scene>>>;

/// A scene to which faults are brought.
#[derive(Clone)]
struct Row {
    name: String,
    start: Arc<dyn Fn() -> Started + Send + Sync>,
    /// Whether only requests to the provider are struck.
    is_of_the_provider: bool,
}

impl Row {
    fn new<F: Future<Output = Scene> + 'static>(
        name: impl Into<String>,
        scene: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), start: Arc::new(move || Box::pin(scene())), is_of_the_provider: false }
    }

    fn of_the_provider(self) -> Self {
        Self { is_of_the_provider: true, ..self }
    }
}

/// Services that differ in what a deletion looks like: the token stays readable; 200 that
/// means nothing, and no way to read one token; 200 with a body that counts; a POST; an
/// id that is used again.
const ENDINGS: [&Service; 5] =
    [&gitlab::SERVICE, &grafana::SERVICE, &cloudflare::ACCOUNT, &databricks::SERVICE, &jupyterhub::SERVICE];

macro_rules! rows {
    ($($name:literal: $scene:expr,)*) => {
        vec![$(Row::new($name, || $scene),)*]
    };
}

fn rows() -> Vec<Row> {
    let mut rows = main_rows();
    for service in FURTHER {
        let name = format!("{}, due, 1 destination", service.name);
        rows.push(Row::new(name, move || due(service, 1)).of_the_provider());
    }
    for service in ENDINGS {
        let name = format!("{}, the overlap is over", service.name);
        rows.push(Row::new(name, move || overlap_over(service)).of_the_provider());
    }
    rows.push(
        Row::new("jupyterhub, an earlier run left an orphan", || orphan(&jupyterhub::SERVICE))
            .of_the_provider(),
    );
    rows
}

fn main_rows() -> Vec<Row> {
    rows! {
        "axiom, due, 1 destination": due(&AXIOM, 1),
        "axiom, due, 3 destinations": three_kinds(&AXIOM),
        "axiom, the reply to the mint is lost": lost_mint(&AXIOM),
        "axiom, an earlier run left an orphan": orphan(&AXIOM),
        "axiom, a destination was missed before": partial(&AXIOM),
        "axiom, the token rotates itself": itself(),
        "softwareone, due, 1 destination": due(&SOFTWAREONE, 1),
        "softwareone, due, 3 destinations": three_kinds(&SOFTWAREONE),
        "softwareone, the reply to the mint is lost": lost_mint(&SOFTWAREONE),
        "softwareone, an earlier run left an orphan": orphan(&SOFTWAREONE),
        "softwareone, the overlap is over": overlap_over(&SOFTWAREONE),
        "deepset, due, 1 destination": due(&DEEPSET, 1),
        "deepset, due, 3 destinations": three_kinds(&DEEPSET),
        "deepset, a destination was missed before": partial(&DEEPSET),
        "deepset, the overlap is over": overlap_over(&DEEPSET),
        "launchdarkly, due, 1 destination": due(&LAUNCHDARKLY, 1),
        "launchdarkly, due, 3 destinations": three_kinds(&LAUNCHDARKLY),
        "launchdarkly, the reply to the mint is lost": lost_mint(&LAUNCHDARKLY),
        "launchdarkly, an earlier run left an orphan": orphan(&LAUNCHDARKLY),
        "axiom, lists lag by seconds": lagging_list(&AXIOM, SignedDuration::from_secs(5)),
        "deepset, lists lag by minutes": lagging_list(&DEEPSET, SignedDuration::from_mins(15)),
        "axiom, lists lag beyond the next run": lagging_list(&AXIOM, SignedDuration::from_hours(4)),
        "softwareone, lists lag beyond the next run": lagging_list(&SOFTWAREONE, SignedDuration::from_hours(4)),
        "axiom, timestamps lag": lagging_timestamps(&AXIOM),
        "deepset, timestamps lag": lagging_timestamps(&DEEPSET),
        "launchdarkly, the previous token outlives the overlap": outlives_overlap(&LAUNCHDARKLY),
        "launchdarkly, the overlap is over": refused_expiry(&LAUNCHDARKLY),
        "axiom, a workflow is started": started(),
        "deepset, an earlier run did not start the workflow": not_started(),
    }
}

/// New tokens appear in lists only after a while, which may be longer than the gap
/// between two runs of a case. With a key: at Axiom nothing else would tell a token that
/// such a run made twice from a forged one.
async fn lagging_list(service: &'static Service, lag: SignedDuration) -> Scene {
    let scene = due(service, 1).await;
    // deepset's short reply names no id, so a list must show the token.
    scene
        .world
        .provider
        .switch(|switches| (switches.new_token_hidden_for, switches.whole_reply) = (lag, true));
    scene.signing("a marker key for the matrix")
}

/// GitHub shows when a secret was written only after a while.
async fn lagging_timestamps(service: &'static Service) -> Scene {
    let scene = due(service, 2).await;
    scene.world.github.switch(|switches| switches.timestamp_lag = SignedDuration::from_mins(15));
    scene
}

async fn due(service: &'static Service, destinations: usize) -> Scene {
    let world = World::builder().provider(service).destination_count(destinations).start().await;
    Scene::new(world, Credential::Admin)
}

/// A repository, an environment and an organization.
async fn three_kinds(service: &'static Service) -> Scene {
    let destinations = ["acme/infra:AXIOM_TOKEN", "acme/api@production:AXIOM_TOKEN", "org:acme:AXIOM_TOKEN"];
    let world = World::builder().provider(service).destinations(destinations).start().await;
    let selected = world.github.add_repo("acme/web");
    world.github.set_visibility(destinations[2], "selected", &[selected]);
    Scene::new(world, Credential::Admin)
}

async fn lost_mint(service: &'static Service) -> Scene {
    let scene = due(service, 1).await;
    scene.faults.inject(Target::mint(), Fault::CloseAfter);
    scene
}

/// A run was killed between mint and delivery, hours ago.
async fn orphan(service: &'static Service) -> Scene {
    let scene = due(service, 1).await;
    scene.run_killed_at(Target::mint(), true).await;
    scene.later();
    scene
}

/// A run was killed while it wrote the second of two destinations, hours ago.
async fn partial(service: &'static Service) -> Scene {
    let scene = due(service, 2).await;
    scene.run_killed_at(Target::on("PUT", "service-1/actions/secrets/AXIOM_TOKEN"), true).await;
    scene.later();
    scene
}

/// Nothing is due, and the previous token, which would live on, has had its time.
async fn overlap_over(service: &'static Service) -> Scene {
    let scene = outlives_overlap(service).await;
    let ran = scene.run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    scene.world.advance_days(8);
    scene
}

/// The token is due, and its end is later than its overlap will be.
async fn outlives_overlap(service: &'static Service) -> Scene {
    let world = World::builder().provider(service).expires_in_days(12).start().await;
    Scene::new(world, Credential::Admin)
}

/// Nothing is due, and the provider refused to end the previous token by itself.
async fn refused_expiry(service: &'static Service) -> Scene {
    let scene = outlives_overlap(service).await;
    scene.world.provider.switch(|switches| switches.refuse_expiry_change = true);
    let ran = scene.run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    scene.world.provider.switch(|switches| switches.refuse_expiry_change = false);
    scene.world.advance_days(8);
    scene
}

/// A workflow is started after two destinations were written.
async fn started() -> Scene {
    due(&AXIOM, 2).await.after("acme/app", "deploy.yml")
}

/// A run was killed between the last write and the start of the workflow, hours ago.
async fn not_started() -> Scene {
    let scene = due(&DEEPSET, 1).await.after("acme/app", "deploy.yml");
    scene.run_killed_at(Target::on("POST", "/dispatches"), false).await;
    assert!(scene.world.undelivered().is_empty() && !scene.world.not_started().is_empty());
    scene.later();
    scene
}

async fn itself() -> Scene {
    let world = World::builder().original(TokenSpec::admin("ci-ingest")).start().await;
    Scene::new(world, Credential::Own)
}

/// A column: what strikes one request.
#[derive(Clone)]
enum Column {
    Fault(Fault),
    /// Every scope has a new key from then on.
    KeyChanged,
    /// The run is killed.
    Killed {
        processed: bool,
    },
}

impl Column {
    fn all() -> Vec<Self> {
        let faults = Fault::all().into_iter().map(Self::Fault);
        faults
            .chain([Self::KeyChanged, Self::Killed { processed: false }, Self::Killed { processed: true }])
            .collect()
    }
}

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::KeyChanged => f.write_str("key changed"),
            Self::Killed { processed: false } => f.write_str("killed before processing"),
            Self::Killed { processed: true } => f.write_str("killed after processing"),
        }
    }
}

/// One request of a run: the `nth` of this method and path.
#[derive(Clone)]
struct FaultPoint {
    method: String,
    path: String,
    nth: usize,
}

impl FaultPoint {
    /// The requests of a run. By what they are and not by when they came, because
    /// requests that are made at once come in any order.
    fn of(passed: &[&Passing]) -> Vec<Self> {
        let point = |(index, request): (usize, &&Passing)| {
            let same = |other: &&&Passing| what(other) == what(request);
            let nth = passed[..index].iter().filter(same).count();
            let (method, path) = what(request);
            Self { method: method.to_owned(), path: path.to_owned(), nth }
        };
        passed.iter().enumerate().map(point).collect()
    }

    /// This request; `seen` counts those like it.
    fn target(&self, seen: &Arc<AtomicUsize>) -> Target {
        let (point, seen) = (self.clone(), Arc::clone(seen));
        Target::matching(move |request| {
            what(request) == (point.method.as_str(), point.path.as_str())
                && seen.fetch_add(1, Ordering::Relaxed) == point.nth
        })
    }
}

/// Method and path. Without the query: there may be times in it.
fn what(request: &Passing) -> (&str, &str) {
    (&request.method, request.path.split('?').next().unwrap_or_default())
}

impl std::fmt::Display for FaultPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({})", self.method, self.path, self.nth + 1)
    }
}

async fn faulty_run(scene: &Scene, point: &FaultPoint, column: &Column, seen: &Arc<AtomicUsize>) -> Ran {
    let target = point.target(seen);
    let fault = match column {
        Column::Killed { processed } => return scene.run_killed_at(target, *processed).await,
        Column::Fault(fault) => fault.clone(),
        Column::KeyChanged => {
            let world = scene.world.detached();
            Fault::before(move |_| Scene::rotate_keys(&world))
        }
    };
    scene.faults.inject(target, fault);
    let ran = scene.rotate(IMPATIENT).run().await;
    scene.front.quiet().await;
    ran
}

enum Outcome {
    Healed,
    Broken(String),
    /// The run took another way: the machine was so busy that something else
    /// was late.
    NotStruck,
}

/// One case: a fresh scene of a row, one fault, and what came of it.
async fn case(row: Row, point: FaultPoint, column: Column) -> Result<(), String> {
    for _ in 0..4 {
        match attempt(&row, &point, &column).await {
            Outcome::Healed => return Ok(()),
            Outcome::Broken(how) => return Err(how),
            Outcome::NotStruck => {}
        }
    }
    Err(format!("### {}\nthe fault never struck\n", name(&row, &point, &column)))
}

async fn attempt(row: &Row, point: &FaultPoint, column: &Column) -> Outcome {
    let scene = (row.start)().await.watch();
    let mut wrong = Vec::new();
    let mut runs = Vec::new();

    let seen = Arc::new(AtomicUsize::new(0));
    let ran = faulty_run(&scene, point, column, &seen).await;
    if seen.load(Ordering::Relaxed) <= point.nth {
        return Outcome::NotStruck;
    }
    wrong.extend(scene.overstated(&ran));
    if ran.exit_code == 0 {
        wrong.extend(scene.world.undelivered());
    }
    runs.push(ran);

    scene.later();
    let ran = scene.run().await;
    wrong.extend(scene.overstated(&ran));
    wrong.extend(scene.world.undelivered());
    wrong.extend(scene.world.not_started());
    wrong.extend(scene.world.changed_privileges());
    if ran.exit_code != 0 {
        wrong.push(format!("the next run ends with {}", ran.exit_code));
    }
    runs.push(ran);

    scene.world.advance_days(8);
    let ran = scene.run().await;
    wrong.extend(scene.overstated(&ran));
    wrong.extend(scene.world.undelivered());
    wrong.extend(scene.world.uncollected());
    wrong.extend(scene.world.not_started());
    if ran.exit_code != 0 {
        wrong.push(format!("the last run ends with {}", ran.exit_code));
    }
    runs.push(ran);

    wrong.extend(scene.broken());
    wrong.extend(scene.leaks(&runs));
    if wrong.is_empty() {
        return Outcome::Healed;
    }
    let report: String = runs
        .iter()
        .enumerate()
        .map(|(n, ran)| format!("--- run {}: {}\n{}", n + 1, ran.exit_code, ran.everything()))
        .collect();
    let journal = scene.world.journal.text();
    let name = name(row, point, column);
    Outcome::Broken(format!("### {name}\n{}\n{report}--- journal\n{journal}\n", wrong.join("\n")))
}

fn name(row: &Row, point: &FaultPoint, column: &Column) -> String {
    format!("{} | {point} | {column}", row.name)
}

/// Every case of a row.
async fn cases(row: Row) -> Vec<(Row, FaultPoint, Column)> {
    let scene = (row.start)().await;
    let before = scene.faults.passed().len();
    let ran = scene.rotate(PATIENT).run().await;
    assert_eq!(ran.exit_code, 0, "{}: {}", row.name, ran.everything());
    let passed = scene.faults.passed();
    let struck: Vec<&Passing> = passed[before..]
        .iter()
        .filter(|request| !row.is_of_the_provider || request.peer == Peer::Provider)
        .collect();
    let mut columns = Column::all();
    columns.retain(|column| !row.is_of_the_provider || !matches!(column, Column::KeyChanged));
    FaultPoint::of(&struck)
        .into_iter()
        .flat_map(|point| columns.iter().map(move |column| (point.clone(), column.clone())))
        .map(|(point, column)| (row.clone(), point, column))
        .collect()
}

/// Works a queue off, some cases at once.
async fn work(queue: &Mutex<VecDeque<(Row, FaultPoint, Column)>>, failures: &Mutex<Vec<String>>) {
    let mut under_way = FuturesUnordered::new();
    loop {
        while under_way.len() < AT_ONCE {
            let Some((row, point, column)) = queue.lock().unwrap().pop_front() else { break };
            under_way.push(case(row, point, column));
        }
        match under_way.next().await {
            Some(Ok(())) => {}
            Some(Err(failure)) => failures.lock().unwrap().push(failure),
            None => return,
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn every_fault_at_every_request_is_healed_by_the_next_run() {
    let began = Instant::now();
    let wanted = std::env::var("MATRIX").unwrap_or_default();
    let all: VecDeque<_> = block_on(async {
        let mut all = VecDeque::new();
        for row in rows() {
            all.extend(cases(row).await);
        }
        all.into_iter().filter(|(row, point, column)| name(row, point, column).contains(&wanted)).collect()
    });
    let (count, queue, failures) = (all.len(), Mutex::new(all), Mutex::new(Vec::new()));
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            threads.spawn(|| block_on(work(&queue, &failures)));
        }
    });
    // Not captured, so that the output shows how much was tried.
    let took = began.elapsed().as_secs_f32();
    writeln!(std::io::stderr(), "fault matrix: {count} cases, {} scenes, {took:.0} s", rows().len()).unwrap();
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    let names: Vec<&str> = failures.iter().filter_map(|failure| failure.lines().next()).collect();
    let first: String = failures.iter().take(2).cloned().collect();
    assert!(failures.is_empty(), "{} of {count} failed:\n{}\n\n{first}", failures.len(), names.join("\n"));
    assert!(count > 0, "no such case");
}
