//! The figures of `docs/performance.md`: counts and ratios, measured on the release
//! binary against the fakes.
//!
//! `cargo bench --bench figures` prints all tables;
//! `cargo bench --bench figures -- requests pace` only some of them. It runs the
//! binary as a user would, so nothing here knows its inside. Memory and
//! instructions are measured with GNU time and valgrind, where they are.

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::axiom::TokenSpec;
use support::github::{APP_ID, Credential, Installation, KEY_PKCS8, RateLimit, SecondaryLimit};
use support::{Invocation, World};

const BINARY: &str = env!("CARGO_BIN_EXE_crossfade");
/// Requests to GitHub at once: the default.
const CONCURRENCY: usize = 8;
/// How many destinations the tables are about.
const SIZES: [usize; 4] = [1, 10, 100, 1000];

#[tokio::main]
async fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |table: &str| wanted.is_empty() || wanted.iter().any(|name| name == table);
    if is_wanted("size") {
        size();
    }
    if is_wanted("requests") {
        requests().await;
    }
    if is_wanted("fleet") {
        fleet().await;
    }
    if is_wanted("memory") {
        memory().await;
    }
    if is_wanted("pace") {
        pace().await;
    }
    if is_wanted("instructions") {
        instructions().await;
    }
    if is_wanted("latency") {
        latency().await;
    }
}

// ---- one run of the binary ----

/// How the binary is started.
#[derive(Clone, Copy, PartialEq)]
enum Under {
    Nothing,
    /// GNU time, which tells the peak of the memory.
    Time,
    /// Valgrind, which counts instructions.
    Valgrind,
}

struct Run {
    took: Duration,
    succeeded: bool,
    stdout: String,
    stderr: String,
}

async fn run(invocation: &Invocation, under: Under) -> Run {
    let mut command = match under {
        Under::Nothing => tokio::process::Command::new(BINARY),
        Under::Time => {
            let mut command = tokio::process::Command::new("time");
            command.args(["--format", "peak %M KiB", BINARY]);
            command
        }
        Under::Valgrind => {
            let mut command = tokio::process::Command::new("valgrind");
            command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", BINARY]);
            command
        }
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).envs(&invocation.environment).args(&invocation.arguments);
    let began = Instant::now();
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    let took = began.elapsed();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Run { took, succeeded: output.status.success(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A rotation that must succeed.
async fn rotate(world: &World, under: Under) -> Run {
    let ran = run(&by_variable(world), under).await;
    assert!(ran.succeeded, "{}\n{}", ran.stdout.chars().take(3000).collect::<String>(), ran.stderr);
    ran
}

/// The scene's rotation, its destinations in a variable: there are many.
fn by_variable(world: &World) -> Invocation {
    let destinations = world.destinations().join("\n");
    let mut invocation = Invocation::rotate(world).env("CROSSFADE_SECRETS", &destinations);
    while let Some(at) = invocation.arguments.iter().position(|argument| argument == "--secret") {
        invocation.arguments.drain(at..at + 2);
    }
    invocation
}

fn count(world: &World) -> usize {
    world.github.requests().len() + world.axiom.requests().len()
}

fn forget(world: &World) {
    world.github.forget_requests();
    world.axiom.forget_requests();
}

/// So many destinations, each in a repository of its own, or all in one.
async fn world(destinations: usize, apart: bool) -> World {
    let builder = World::builder();
    let builder = match apart {
        true => builder.destination_count(destinations),
        false => builder.destinations((0..destinations).map(|n| format!("acme/infra:TOKEN_{n}"))),
    };
    builder.start().await
}

fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

fn heading(title: &str, columns: &[&str]) {
    println!("\n### {title}\n\n| {} |\n|{}", columns.join(" | "), "---:|".repeat(columns.len()));
    std::io::stdout().flush().unwrap();
}

fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
    std::io::stdout().flush().unwrap();
}

// ---- the tables ----

fn size() {
    let bytes = std::fs::metadata(BINARY).unwrap().len();
    heading("Size of the binary", &["MiB"]);
    row(&[format!("{:.2}", bytes as f64 / 1024.0 / 1024.0)]);
}

/// The provider is asked for its tokens, to mint, whether it accepts the new value
/// and for its tokens once more; GitHub for the secrets of each scope, its key,
/// and to take the value in each place.
/// A kind of GitHub credential, and how the destinations are named to it.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    FineGrained,
    Classic,
    App,
    FineGrainedByPattern,
    AppByPattern,
}

impl Kind {
    const ALL: [Self; 5] =
        [Self::FineGrained, Self::Classic, Self::App, Self::FineGrainedByPattern, Self::AppByPattern];

    fn name(self) -> &'static str {
        match self {
            Self::FineGrained => "fine-grained token",
            Self::Classic => "classic token",
            Self::App => "App",
            Self::FineGrainedByPattern => "fine-grained token, by a pattern",
            Self::AppByPattern => "App, by a pattern",
        }
    }

    fn is_by_pattern(self) -> bool {
        matches!(self, Self::FineGrainedByPattern | Self::AppByPattern)
    }

    /// The scene's rotation with this credential.
    fn invocation(self, world: &World, folder: &std::path::Path) -> Invocation {
        let mut invocation = match self.is_by_pattern() {
            false => by_variable(world),
            true => {
                let file = folder.join("crossfade.yml");
                let rotation = format!(
                    "rotations: [{{ name: ci-ingest, provider: axiom, provider_url: '{}', token: ci-ingest, \
                     secrets: [{{ repositories: ['acme/*'], name: AXIOM_TOKEN }}] }}]",
                    world.axiom.url()
                );
                std::fs::write(&file, rotation).unwrap();
                Invocation::of("rotate")
                    .credentials(world)
                    .arg("--config", file.to_str().unwrap())
                    .arg("--repository", "acme/infra")
                    .arg("--github-api-url", &world.github.url())
            }
        };
        match self {
            Self::FineGrained | Self::FineGrainedByPattern => {}
            Self::Classic => {
                invocation =
                    invocation.env("CROSSFADE_GITHUB_TOKEN", "ghp_0123456789abcdefABCDEF0123456789abcd");
            }
            Self::App | Self::AppByPattern => {
                invocation.environment.remove("CROSSFADE_GITHUB_TOKEN");
                invocation = invocation
                    .env("CROSSFADE_GITHUB_APP_ID", APP_ID)
                    .env("CROSSFADE_GITHUB_APP_PRIVATE_KEY", KEY_PKCS8);
            }
        }
        invocation
    }
}

async fn requests() {
    const CLASSIC: &str = "ghp_0123456789abcdefABCDEF0123456789abcd";
    heading(
        "Requests of one rotation, one destination in each repository",
        &[
            "credential",
            "repositories",
            "a mint day",
            "of these: evidence",
            "points at GitHub",
            "a fresh day",
        ],
    );
    let folder = tempfile::tempdir().unwrap();
    for kind in Kind::ALL {
        for size in SIZES {
            let world = world(size, true).await;
            world.github.add_credential(Credential::new("writer", CLASSIC).classic("repo, admin:org"));
            world.github.install_app(Installation::at("acme", &["secrets"]));
            let invocation = kind.invocation(&world, folder.path());
            forget(&world);
            let ran = run(&invocation, Under::Nothing).await;
            assert!(ran.succeeded, "{}\n{}", ran.stdout.chars().take(3000).collect::<String>(), ran.stderr);
            let sent = world.github.requests();
            let points: u32 = sent.iter().map(|r| if r.method == "GET" { 1 } else { 5 }).sum();
            let is_repository = |path: &str| path.starts_with("/repos/") && path.matches('/').count() == 3;
            let is_evidence = |path: &str| path.ends_with("/CROSSFADE_WRITE_CHECK") || is_repository(path);
            let evidence = sent.iter().filter(|r| is_evidence(&r.path)).count();
            let mint_day = count(&world);
            world.advance_days(1);
            forget(&world);
            let fresh = run(&invocation, Under::Nothing).await;
            assert!(fresh.stdout.starts_with("fresh"), "{}", fresh.stdout);
            row(&[
                kind.name().to_owned(),
                size.to_string(),
                mint_day.to_string(),
                evidence.to_string(),
                points.to_string(),
                count(&world).to_string(),
            ]);
        }
    }
    heading("All destinations in one repository", &["destinations", "a mint day", "a fresh day"]);
    for size in SIZES {
        let world = world(size, false).await;
        forget(&world);
        rotate(&world, Under::Nothing).await;
        let mint_day = count(&world);
        world.advance_days(1);
        forget(&world);
        let fresh = rotate(&world, Under::Nothing).await;
        assert!(fresh.stdout.starts_with("fresh"), "{}", fresh.stdout);
        row(&[size.to_string(), mint_day.to_string(), count(&world).to_string()]);
    }
}

async fn fleet() {
    heading(
        "A fresh day of many rotations of one credential",
        &[
            "rotations",
            "repositories",
            "lists of tokens",
            "lists of secrets",
            "other requests",
            "shard 1/4 serves",
        ],
    );
    for (rotations, repositories) in [(100, 100), (1000, 1000), (1000, 10)] {
        let world = World::start().await;
        let mut file =
            format!("defaults: {{ provider: axiom, provider_url: '{}' }}\nrotations:\n", world.axiom.url());
        for n in 0..rotations {
            let token = world.axiom.add_token(TokenSpec::ingest(&format!("token-{n}")).expires_in_days(60));
            let destination = format!("acme/service-{}:TOKEN_{n}", n % repositories);
            world.github.add_place_of(&destination);
            world.github.put_by_hand(&destination, &token.value);
            file.push_str(&format!("  - {{ name: r{n}, token: token-{n}, secrets: ['{destination}'] }}\n"));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crossfade.yml");
        std::fs::write(&path, file).unwrap();
        let invocation = Invocation::of("rotate")
            .credentials(&world)
            .arg("--config", path.to_str().unwrap())
            .arg("--repository", "acme/infra")
            .arg("--github-api-url", &world.github.url());
        world.clock.advance(jiff::SignedDuration::from_hours(1));
        forget(&world);
        let ran = run(&invocation, Under::Nothing).await;
        assert!(ran.succeeded, "{}", ran.stderr);
        let tokens = world.axiom.requests().iter().filter(|r| r.path.ends_with("/tokens")).count();
        let secrets = world.github.requests().iter().filter(|r| r.path.ends_with("/secrets")).count();
        let others = count(&world) - tokens - secrets;
        let shard = run(&invocation.clone().arg("--shard", "1/4"), Under::Nothing).await;
        let served = shard.stdout.lines().filter(|line| line.starts_with("fresh: ")).count();
        row(&[rotations, repositories, tokens, secrets, others, served].map(|n| n.to_string()));
    }
}

async fn memory() {
    heading(
        "Peak memory and time of one rotation, without latency",
        &["destinations", "peak MiB", "time ms"],
    );
    if std::process::Command::new("time").arg("--version").output().is_err() {
        println!("GNU time is not here.");
        return;
    }
    for size in SIZES {
        let (mut peaks, mut times) = (Vec::new(), Vec::new());
        for _ in 0..if size < 1000 { 7 } else { 3 } {
            let ran = rotate(&world(size, true).await, Under::Time).await;
            let peak = ran.stderr.lines().find_map(|line| line.strip_prefix("peak ")?.strip_suffix(" KiB"));
            peaks.push(peak.unwrap().parse::<u64>().unwrap());
            times.push(ran.took);
        }
        let peak = median(peaks) as f64 / 1024.0;
        row(&[
            size.to_string(),
            format!("{peak:.1}"),
            format!("{:.0}", median(times).as_secs_f64() * 1000.0),
        ]);
    }
}

/// GitHub's limits on a clock thirty times as fast: 900 points in two seconds.
async fn pace() {
    const POINTS: u32 = 900;
    const PERIOD: Duration = Duration::from_secs(2);
    heading(
        "Under enforced limits, thirty times as fast",
        &["destinations", "points", "rejected", "time s", "least possible s", "of the permitted rate"],
    );
    for size in [300, 1000] {
        let world = world(size, true).await;
        let reset = world.clock.now() + jiff::SignedDuration::from_hours(1);
        world.github.switch(|switches| {
            switches.rate_limit = Some(RateLimit { limit: 100_000, remaining: 100_000, reset });
            switches.secondary_limit = Some(SecondaryLimit { points: POINTS, period: PERIOD });
        });
        forget(&world);
        let pace = format!("{POINTS}/{}s", PERIOD.as_secs());
        let ran = run(&by_variable(&world).arg("--pace", &pace), Under::Nothing).await;
        assert!(ran.succeeded, "{}", ran.stderr);
        let requests = world.github.requests();
        let rejected = requests.iter().filter(|r| matches!(r.status, 403 | 429)).count();
        let points: u32 = requests.iter().map(|r| if r.method == "GET" { 1 } else { 5 }).sum();
        // All but the last period's points must have had their period.
        let least = PERIOD * ((points - 1) / POINTS);
        row(&[
            size.to_string(),
            points.to_string(),
            rejected.to_string(),
            format!("{:.2}", ran.took.as_secs_f64()),
            format!("{:.2}", least.as_secs_f64()),
            format!("{:.0} %", 100.0 * least.as_secs_f64() / ran.took.as_secs_f64()),
        ]);
    }
}

async fn instructions() {
    heading("Instructions", &["run", "millions"]);
    if std::process::Command::new("valgrind").arg("--version").output().is_err() {
        println!("valgrind is not here.");
        return;
    }
    let collected = |ran: &Run| {
        let line = ran.stderr.lines().find_map(|line| Some(line.split_once("Collected : ")?.1));
        let count: u64 = line.unwrap_or("0").trim().parse().unwrap_or(0);
        format!("{:.1}", count as f64 / 1e6)
    };
    let version = Invocation::of("--version");
    row(&["--version".to_owned(), collected(&run(&version, Under::Valgrind).await)]);
    for size in [1, 10, 100] {
        let world = world(size, true).await;
        row(&[format!("rotation, {size} destinations"), collected(&rotate(&world, Under::Valgrind).await)]);
        world.advance_days(1);
        row(&[format!("a fresh day, {size}"), collected(&rotate(&world, Under::Valgrind).await)]);
    }
}

/// How long the fake lets a client wait that does nothing but ask, one request after
/// the other on one connection: its timer is late by a millisecond or two.
async fn bare_client(world: &World) -> Vec<Duration> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let address = format!("{}/repos/acme/infra/actions/secrets", world.github.url());
    let ask = || client.get(&address).header("user-agent", "bare").bearer_auth(world.github_token()).send();
    // The first one connects.
    ask().await.unwrap().bytes().await.unwrap();
    let mut times = Vec::new();
    for _ in 0..9 {
        let began = Instant::now();
        ask().await.unwrap().bytes().await.unwrap();
        times.push(began.elapsed());
    }
    times
}

/// What must follow one another: all lists, all keys, the mint, the probe, all
/// writes; of lists, keys and writes as many at once as is permitted. Without
/// latency the bound is nothing; what is left is the computing of both sides.
async fn latency() {
    heading(
        "Time against latency",
        &[
            "destinations",
            "latency ms",
            "as a bare client sees it",
            "time ms",
            "bound ms",
            "ratio",
            "ratio as seen",
        ],
    );
    for size in SIZES {
        // Lists; keys, conditions and one write check; the mint and the probe; writes.
        let rounds = 2 + 2 * size.div_ceil(CONCURRENCY) + (2 * size + 1).div_ceil(CONCURRENCY);
        for latency in [0, 20, 100] {
            let repeats = if size < 1000 {
                5
            } else if latency < 100 {
                3
            } else {
                1
            };
            let (mut times, mut seen) = (Vec::new(), Vec::new());
            for _ in 0..repeats {
                let world = world(size, true).await;
                world.clock.set_latency(Duration::from_millis(latency));
                seen.extend(bare_client(&world).await);
                times.push(rotate(&world, Under::Nothing).await.took);
            }
            let milliseconds = |times: Vec<Duration>| median(times).as_secs_f64() * 1000.0;
            let (time, seen) = (milliseconds(times), milliseconds(seen));
            let bound = (rounds as u64 * latency) as f64;
            // Without latency a bound says nothing: what is left is computing.
            let ratio = |to: f64| if latency == 0 { "-".to_owned() } else { format!("{:.2}", time / to) };
            row(&[
                size.to_string(),
                latency.to_string(),
                format!("{seen:.1}"),
                format!("{time:.0}"),
                format!("{bound:.0}"),
                ratio(bound),
                ratio(rounds as f64 * seen),
            ]);
        }
    }
}
