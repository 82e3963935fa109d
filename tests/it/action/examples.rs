//! The workflows in `examples/workflows/`, as a user would paste them, and those that
//! `crossfade init` writes.
//!
//! Each runs unchanged, but for what `act` cannot do: it knows no
//! `strategy.job-total`. The other actions in them are played by stand-ins.

use serde_json::Value;

use super::act::Act;
use super::act_or_skip;
use super::log::Log;
use super::scene::{Scene, project_file};
use crate::init::{ROTATE, by_flags};
use crate::support::World;
use crate::support::axiom::TokenSpec;
use crate::support::github::{APP_ID, Credential, Installation, KEY_PKCS1};
use crate::support::leaks::find_leaks;
use crate::support::marker::key_of;
use crate::support::provider::axiom;
use crate::support::provider::catalogue::gitlab;
use crate::support::world::TOKEN;

/// The workflow's own token.
const JOB: &str = "ghs_00000000000000000000000000000000abcd";

/// Runs an example for an event, in a repository that has these rotations.
async fn run(world: &World, scene: &Scene, example: &str, event: &str, inputs: &[(&str, &str)]) -> Log {
    let workflow = project_file(&format!("examples/workflows/{example}"));
    run_text(world, scene, &workflow, event, inputs).await
}

/// The same for the text of a workflow.
async fn run_text(world: &World, scene: &Scene, workflow: &str, event: &str, inputs: &[(&str, &str)]) -> Log {
    scene.add_workflow("pasted.yml", &workflow.replace("${{ strategy.job-total }}", "4"));
    let own = world.provider.service().name.to_uppercase().replace('-', "_");
    let mut act = Act::new(scene, world)
        .secret(&format!("{own}_ADMIN_TOKEN"), world.provider_token())
        .secret("AXIOM_READ_TOKEN", world.provider_token())
        .secret("CROSSFADE_GITHUB_TOKEN", world.github_token())
        .secret("CROSSFADE_READ_TOKEN", world.github_token())
        .secret("CROSSFADE_APP_PRIVATE_KEY", KEY_PKCS1)
        .secret("GITHUB_TOKEN", JOB)
        .variable("CROSSFADE_APP_ID", APP_ID);
    for (name, value) in inputs {
        act = act.input(name, value);
    }
    let uses = workflow.lines().filter_map(|line| line.split_once("uses: actions/"));
    for (_, action) in uses {
        act = act.stand_in(&format!("actions/{}", action.split(' ').next().unwrap()));
    }
    let log = act.run(event, "pasted.yml").await;
    let key = KEY_PKCS1.lines().filter(|line| !line.starts_with("-----"));
    let mut secrets = world.secrets();
    secrets.extend(key.map(str::to_owned));
    secrets.extend(world.github.tokens_given().into_iter().map(|given| given.value));
    assert_eq!(find_leaks(&log.text(), &secrets), Vec::<String>::new());
    log
}

/// The configuration of these rotations, each for a secret of the same name.
fn config(world: &World, names: &[&str]) -> String {
    let rotation = |name: &&str| {
        let secret = name.to_uppercase().replace('-', "_");
        format!("  - name: {name}\n    token: {name}\n    secrets: [{secret}]\n")
    };
    let defaults = format!(
        "  provider: axiom\n  provider_url: {}\n  credential: AXIOM_ADMIN_TOKEN\n",
        world.axiom.url()
    );
    format!("defaults:\n{defaults}rotations:\n{}", names.iter().map(rotation).collect::<String>())
}

/// The standard scene, its token in `acme/infra:CI_INGEST`.
async fn world_with_days(days: i64) -> (World, Scene) {
    let world = World::builder().destinations(["acme/infra:CI_INGEST"]).expires_in_days(days).start().await;
    world.github.add_credential(Credential::job_token(
        "job",
        JOB,
        &[("issues", "write"), ("metadata", "read")],
    ));
    let scene = Scene::released();
    scene.add_config(&config(&world, &[TOKEN]));
    (world, scene)
}

#[tokio::test]
async fn the_schedule_rotates_and_finds_nothing_to_do_the_next_day() {
    act_or_skip!();
    let (world, scene) = world_with_days(12).await;
    let log = run(&world, &scene, "rotate.yml", "schedule", &[]).await;
    assert!(log.succeeded, "{log}");
    assert_eq!(world.undelivered(), Vec::<String>::new(), "{log}");
    assert_eq!(log.output("rotated"), "true");
    assert_eq!(log.output("token-id"), world.newest().unwrap().id);
    assert_eq!(log.output("next-rotation-at"), "2026-05-17T09:00:00Z");
    assert!(log.summary().starts_with("## 🔄 crossfade: 1 rotation done"), "{}", log.summary());
    assert!(log.text().contains("***"), "the mask:\n{log}");

    world.advance_days(1);
    let log = run(&world, &scene, "rotate.yml", "schedule", &[]).await;
    assert!(log.succeeded, "{log}");
    assert_eq!((log.output("rotated"), world.marked_tokens().len()), ("false", 1), "{log}");
    world.assert_no_violations();
}

#[tokio::test]
async fn a_dispatch_is_a_dry_run_unless_told_otherwise() {
    act_or_skip!();
    let (world, scene) = world_with_days(60).await;
    let force = [("force", "true")];
    let log = run(&world, &scene, "rotate.yml", "workflow_dispatch", &force).await;
    assert!(log.succeeded, "{log}");
    assert_eq!(log.report()["dry_run"], true);
    assert_eq!(log.report()["rotations"][0]["outcome"], "planned");
    assert!(log.summary().contains("nothing was changed"), "{}", log.summary());
    assert_eq!((log.output("rotated"), writes(&world)), ("false", 0));
    let log = run(&world, &scene, "rotate.yml", "workflow_dispatch", &[force[0], ("dry-run", "true")]).await;
    assert_eq!((log.output("rotated"), writes(&world)), ("false", 0));

    let log = run(&world, &scene, "rotate.yml", "workflow_dispatch", &[force[0], ("dry-run", "false")]).await;
    assert!(log.succeeded, "{log}");
    assert_eq!(log.report()["rotations"][0]["reason"], "forced");
    assert_eq!(log.output("rotated"), "true");
    assert_eq!(world.undelivered(), Vec::<String>::new());
}

#[tokio::test]
async fn an_app_rotates_like_a_person() {
    act_or_skip!();
    let (world, scene) = world_with_days(12).await;
    world.github.install_app(Installation::at("acme", &["secrets"]));
    let log = run(&world, &scene, "rotate-with-app.yml", "schedule", &[]).await;
    assert!(log.succeeded, "{log}");
    assert_eq!(log.output("rotated"), "true");
    assert_eq!(world.undelivered(), Vec::<String>::new());
    let given = world.github.tokens_given();
    assert_eq!(given.len(), 1, "one owner, one token");
    assert_eq!(given[0].repositories, Some(vec!["acme/infra".to_owned()]), "and no more than is needed");
}

#[tokio::test]
async fn the_fleet_is_shared_out_and_reported_as_one() {
    act_or_skip!();
    const FLEET: [&str; 8] = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"];
    let world = World::start().await;
    world.github.install_app(Installation::at("acme", &["secrets"]));
    let scene = Scene::released();
    for name in FLEET {
        world.axiom.add_token(TokenSpec::ingest(name).expires_in_days(3));
    }
    scene.add_config(&config(&world, &FLEET));
    let log = run(&world, &scene, "fleet.yml", "schedule", &[]).await;
    assert!(log.succeeded, "{log}");
    for name in FLEET {
        let held = world.held(&format!("acme/infra:{}", name.to_uppercase())).unwrap();
        assert_eq!(held.name(), name);
        assert_eq!(held.marker().unwrap().key, key_of(&format!("acme/infra/{name}")));
    }
    let report = std::fs::read_to_string(scene.path("artifacts/crossfade-report/report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let mut names: Vec<&str> = report["rotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rotation| rotation["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    let mut all = FLEET;
    all.sort_unstable();
    assert_eq!(names, all);
    assert!(log.summary().contains("| `alpha` | rotated | due | 1 | 0 |"), "{}", log.summary());
    let shards = (1..=4).filter(|n| scene.path(&format!("artifacts/crossfade-report-{n}")).exists()).count();
    assert_eq!(shards, 4);
    let serves = |n: usize| {
        let report = scene.path(&format!("artifacts/crossfade-report-{n}/report.json"));
        let report: Value = serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
        !report["rotations"].as_array().unwrap().is_empty()
    };
    let busy = (1..=4).filter(|n| serves(*n)).count();
    assert!(busy >= 2);
    assert_eq!(world.github.tokens_given().len(), busy, "each job that has work signs in by itself, once");
}

/// The scene of a monitor in another repository than the rotations, `acme/alerts`.
async fn monitor_with_days(days: i64) -> (World, Scene) {
    let (world, scene) = world_with_days(days).await;
    world.github.add_repo("acme/alerts");
    std::fs::remove_file(scene.path("repository/.github/crossfade.yml")).unwrap();
    scene.add_config_elsewhere(&config(&world, &[TOKEN]));
    scene.set_repository("acme/alerts");
    (world, scene)
}

#[tokio::test]
async fn the_monitor_reads_and_writes_nothing() {
    act_or_skip!();
    let (world, scene) = monitor_with_days(12).await;
    let log = run(&world, &scene, "monitor.yml", "schedule", &[]).await;
    assert!(log.succeeded, "{log}");
    assert!(log.text().contains(TOKEN), "{log}");
    assert_eq!(writes(&world), 0);
}

#[tokio::test]
async fn the_monitor_knows_the_tokens_of_the_rotations() {
    act_or_skip!();
    let (world, scene) = world_with_days(12).await;
    let log = run(&world, &scene, "rotate.yml", "schedule", &[]).await;
    assert!(log.succeeded, "{log}");
    world.github.add_repo("acme/alerts");
    scene.add_config_elsewhere(&config(&world, &[TOKEN]));
    scene.set_repository("acme/alerts");
    let log = run(&world, &scene, "monitor.yml", "schedule", &[]).await;
    assert!(log.succeeded, "{log}");
    assert!(log.text().contains("current") && !log.text().contains("another rotation"), "{log}");
}

#[tokio::test]
async fn the_monitor_fails_before_a_token_ends() {
    act_or_skip!();
    let (world, scene) = monitor_with_days(6).await;
    let log = run(&world, &scene, "monitor.yml", "schedule", &[]).await;
    assert!(!log.succeeded, "{log}");
    assert_eq!(log.exit_status(), Some("1"), "{log}");
    assert!(log.text().contains(TOKEN), "{log}");
    let [issue] = world.github.issues("acme/alerts").try_into().unwrap();
    assert_eq!((issue.title.as_str(), issue.by.as_str()), ("crossfade: a token needs attention", "job"));
    assert_eq!(writes(&world), 1, "the issue");
}

#[tokio::test]
async fn what_init_writes_works() {
    act_or_skip!();
    for (service, more) in [(&axiom::SERVICE, &[][..]), (&gitlab::SERVICE, &["--with", "resource=42"])] {
        let world = World::builder().provider(service).expires_in_days(12).start().await;
        let scene = Scene::released();
        let root = scene.path("repository");
        let init = more.iter().fold(by_flags(&world, &root), |init, flag| init.flag(flag)).run().await;
        assert_eq!(init.exit_code, 0, "{}", init.everything());
        let workflow = std::fs::read_to_string(root.join(ROTATE)).unwrap();
        let dry = run_text(&world, &scene, &workflow, "workflow_dispatch", &[]).await;
        assert!(dry.succeeded, "{dry}");
        assert_eq!((dry.output("rotated"), writes(&world)), ("false", 0));
        let inputs = [("dry-run", "false"), ("force", "true")];
        let log = run_text(&world, &scene, &workflow, "workflow_dispatch", &inputs).await;
        assert!(log.succeeded, "{log}");
        assert_eq!((log.output("rotated"), world.undelivered()), ("true", Vec::new()), "{log}");
        world.assert_no_violations();
    }
}

/// The configuration in `README.md`, with the workflow that it links to.
#[tokio::test]
async fn what_the_readme_shows_works() {
    act_or_skip!();
    let readme = project_file("README.md");
    let config = readme.split_once("```yaml\n").and_then(|(_, rest)| rest.split("```").next()).unwrap();
    assert!(readme.contains("(examples/workflows/rotate.yml)"));
    let places =
        ["acme/infra:AXIOM_TOKEN", "acme/api@production:AXIOM_TOKEN", "dependabot+org:acme:AXIOM_TOKEN"];
    let world = World::builder().destinations(places).expires_in_days(12).start().await;
    let scene = Scene::released();
    let here = format!("provider: axiom\n    provider_url: {}", world.axiom.url());
    scene.add_config(&config.replacen("provider: axiom", &here, 1));
    let dry = run(&world, &scene, "rotate.yml", "workflow_dispatch", &[]).await;
    assert!(dry.succeeded, "{dry}");
    assert_eq!((dry.output("rotated"), writes(&world)), ("false", 0));
    let log = run(&world, &scene, "rotate.yml", "schedule", &[]).await;
    assert!(log.succeeded, "{log}");
    assert_eq!(world.undelivered(), Vec::<String>::new(), "{log}");
    assert_eq!(log.report()["rotations"][0]["destinations"].as_array().map(Vec::len), Some(3));
    world.assert_no_violations();
}

/// Requests that change something.
fn writes(world: &World) -> usize {
    let requests = world.github.requests().into_iter().chain(world.axiom.requests());
    requests.filter(|request| request.method != "GET").count()
}

/// Every example is run by a test in here.
#[test]
fn no_example_is_left_out() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/workflows");
    let tests = include_str!("examples.rs");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(tests.contains(&format!("\"{name}\"")), "{name}");
    }
}
