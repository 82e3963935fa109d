//! The action itself: `action.yml`, its script and the built binary, run as a
//! workflow runs them.
//!
//! `act` plays the runner, in host mode: no container, no network. Where it is
//! not installed these tests are skipped, and say so; with
//! `ACTION_TESTS=required`, as in `.ci/run`, they fail.
//!
//! `act` gives a composite action `INPUT_*` variables, which GitHub's runner does
//! not. So that no test passes by what users will not have, every shell in here
//! finds nonsense in them; and [`runner`] runs the action's step with none at all.

mod act;
mod examples;
mod log;
mod runner;
mod scene;

use std::fs;

use act::Act;
use scene::Scene;
use serde_json::{Value, json};

use crate::support::github::{Credential, On};
use crate::support::leaks::find_leaks;
use crate::support::world::TOKEN;
use crate::support::{Invocation, World};

/// Skips a test where there is no `act`.
macro_rules! act_or_skip {
    () => {
        if !$crate::action::act::is_installed() {
            return;
        }
    };
}
use act_or_skip;

/// One rotation by inputs alone. A step before and one after it print a value;
/// the later one also keeps what the action's outputs are to a user.
fn workflow(world: &World, more_inputs: &str) -> String {
    let (provider_url, secrets) = (world.axiom.url(), world.destinations().join("\n            "));
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "on: workflow_dispatch
jobs:
  rotate:
    runs-on: ubuntu-latest
    steps:
      - run: echo \"before $FORESEEN\"
      - id: crossfade
        uses: crossfade-rs/crossfade@v{version}
        with:
          provider: axiom
          provider-url: {provider_url}
          provider-token: ${{{{ secrets.PROVIDER_TOKEN }}}}
          github-token: ${{{{ secrets.WRITER }}}}
          token: {TOKEN}
          secrets: |
            {secrets}
          {more_inputs}
      - run: echo \"after $FORESEEN\" && printf %s \"$OUTPUTS\" >\"$ARTIFACTS/outputs.json\"
        if: always()
        env:
          OUTPUTS: ${{{{ toJSON(steps.crossfade.outputs) }}}}
"
    )
}

/// That workflow, ready to be run.
fn by_inputs<'s>(scene: &'s Scene, world: &World, more_inputs: &str) -> Act<'s> {
    scene.add_workflow("inputs.yml", &workflow(world, more_inputs));
    Act::new(scene, world)
        .secret("PROVIDER_TOKEN", world.provider_token())
        .secret("WRITER", world.github_token())
}

#[tokio::test]
async fn it_rotates_by_inputs_alone_and_the_log_hides_the_value() {
    act_or_skip!();
    // The same seed gives the same values: so this one is known in advance.
    let reference = World::start().await;
    Invocation::rotate(&reference).run().await;
    let value = reference.newest().unwrap().value;

    let world = World::start().await;
    let scene = Scene::released();
    let log = by_inputs(&scene, &world, "lifetime: 60d\n          overlap: 2d\n          rotate-before: 10d")
        .env("FORESEEN", &value)
        .run("workflow_dispatch", "inputs.yml")
        .await;
    assert!(log.succeeded, "{log}");
    assert_eq!(world.held("acme/infra:AXIOM_TOKEN").unwrap().value, value, "{log}");
    let outputs = outputs(&scene);
    let report: Value = serde_json::from_str(outputs["report"].as_str().unwrap()).unwrap();
    assert_eq!(report["rotations"][0]["outcome"], "rotated");
    assert_eq!(
        outputs,
        json!({
            "rotated": "true",
            "token-id": world.newest().unwrap().id,
            "expires-at": "2026-05-01T09:00:00Z",           // after 60 days
            "previous-valid-until": "2026-03-04T09:00:00Z", // for 2 days
            "next-rotation-at": "2026-04-21T09:00:00Z",     // 10 days before the end
            "report": outputs["report"],
        })
    );
    assert!(log.summary().contains(TOKEN), "{log}");
    // Before the run the value is unknown; from then on the runner hides it.
    let shown = log.text();
    assert!(shown.contains(&format!("before {value}")), "{log}");
    assert!(shown.contains("after ***"), "{log}");
    let shown = shown.replace(&format!("before {value}"), "");
    assert_eq!(find_leaks(&shown, &world.secrets()), Vec::<String>::new());
    world.assert_no_violations();
}

#[tokio::test]
async fn a_failing_destination_fails_the_step_and_is_named() {
    act_or_skip!();
    let world = World::builder().destination_count(2).start().await;
    world.github.break_secret("acme/service-1:AXIOM_TOKEN", On::Writes, 403);
    let scene = Scene::released();
    let log = by_inputs(&scene, &world, "").run("workflow_dispatch", "inputs.yml").await;
    assert!(!log.succeeded, "{log}");
    assert_eq!(log.exit_status(), Some("1"), "{log}");
    let errors = log.errors();
    assert!(errors.iter().any(|error| error.contains("acme/service-1:AXIOM_TOKEN")), "{errors:?}");
    assert_eq!(outputs(&scene)["rotated"], "false");
    assert_eq!(log.report()["rotations"][0]["destinations"][0]["outcome"], "written");
    assert_eq!(log.report()["rotations"][0]["destinations"][1]["outcome"], "failed");
    assert!(log.summary().contains("failed"), "{log}");
    assert_eq!(world.held("acme/infra:AXIOM_TOKEN").unwrap().id, world.newest().unwrap().id);
    assert_eq!(find_leaks(&log.text(), &world.secrets()), Vec::<String>::new());
}

#[tokio::test]
async fn the_workflow_s_own_token_opens_and_closes_the_issue() {
    act_or_skip!();
    let world = World::start().await;
    let job = "ghs_00000000000000000000000000000000abcd";
    let permissions = [("issues", "write"), ("metadata", "read")];
    world.github.add_credential(Credential::job_token("job", job, &permissions));
    world.github.break_scope("acme/infra", On::Writes, 403);
    let scene = Scene::released();
    let run = async || {
        let act = by_inputs(&scene, &world, "report-issue: true").secret("GITHUB_TOKEN", job);
        act.run("workflow_dispatch", "inputs.yml").await
    };
    let log = run().await;
    assert_eq!(log.exit_status(), Some("1"), "{log}");
    let [issue] = world.github.issues("acme/infra").try_into().unwrap();
    assert!(issue.is_open && issue.by == "job" && issue.labels == ["crossfade"], "{issue:?}");
    assert!(issue.body.contains("](https://github.com/acme/infra/actions/runs/"), "{}", issue.body);
    world.github.repair();
    let log = run().await;
    assert!(log.succeeded, "{log}");
    let [issue] = world.github.issues("acme/infra").try_into().unwrap();
    assert!(!issue.is_open && issue.comments.len() == 1, "{issue:?}");
    world.assert_no_violations();
}

#[tokio::test]
async fn a_binary_of_the_users_own_goes_first() {
    act_or_skip!();
    let world = World::builder().expires_in_days(60).start().await;
    let scene = Scene::unreleased();
    let own = format!("force: true\n          binary: {}", env!("CARGO_BIN_EXE_crossfade"));
    let log = by_inputs(&scene, &world, &own).run("workflow_dispatch", "inputs.yml").await;
    assert!(log.succeeded, "{log}");
    assert_eq!(log.report()["rotations"][0]["reason"], "forced");
    assert_eq!(world.undelivered(), Vec::<String>::new());
}

#[tokio::test]
async fn a_tree_without_a_binary_says_what_to_do() {
    act_or_skip!();
    let world = World::start().await;
    let scene = Scene::unreleased();
    let log = by_inputs(&scene, &world, "").run("workflow_dispatch", "inputs.yml").await;
    assert_refused(&log, &world, "Use a release tag");
}

#[tokio::test]
async fn a_changed_binary_is_not_run() {
    act_or_skip!();
    let world = World::start().await;
    let scene = Scene::released();
    let mut bytes = fs::read(scene.binary()).unwrap();
    bytes.push(b'\n');
    fs::write(scene.binary(), bytes).unwrap();
    let log = by_inputs(&scene, &world, "").run("workflow_dispatch", "inputs.yml").await;
    assert_refused(&log, &world, "differs from dist/SHA256SUMS");
}

#[tokio::test]
async fn a_mistake_in_the_inputs_is_found_before_anybody_is_contacted() {
    act_or_skip!();
    let world = World::start().await;
    let scene = Scene::released();
    let log = by_inputs(&scene, &world, "overlap: 30d").run("workflow_dispatch", "inputs.yml").await;
    assert!(!log.succeeded, "{log}");
    assert_eq!(log.exit_status(), Some("2"), "{log}");
    assert!(log.text().contains("overlap"), "{log}");
    assert_eq!(requests(&world), 0);
}

/// The step failed with an annotation that says this, and sent no request.
#[track_caller]
fn assert_refused(log: &log::Log, world: &World, why: &str) {
    assert!(!log.succeeded, "{log}");
    assert_eq!(log.exit_status(), Some("2"), "{log}");
    let errors = log.errors();
    assert!(errors.iter().any(|error| error.contains(why)), "{errors:?}\n{log}");
    assert_eq!(log.output("rotated"), "");
    assert_eq!(requests(world), 0);
}

/// The action's outputs, as that workflow's last step found them.
fn outputs(scene: &Scene) -> Value {
    let file = fs::read_to_string(scene.path("artifacts/outputs.json")).unwrap();
    serde_json::from_str(&file).unwrap()
}

fn requests(world: &World) -> usize {
    world.github.requests().len() + world.axiom.requests().len()
}
