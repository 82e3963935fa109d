//! `after`: workflows that are not started before the overlap is over.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::file::File;
use crate::scene::{Credential, PATIENT, Scene};
use crate::support::github::On;
use crate::support::provider::deepset::SERVICE as DEEPSET;
use crate::support::{Fault, Ran, Target, World};

const APP: &str = "acme/app";
const DEPLOY: &str = "deploy.yml";

fn file(world: &World, secrets: &str) -> File {
    let after = format!("after: [{{ repository: {APP}, workflow: {DEPLOY}, ref: main }}]");
    File::of_rotations(
        world,
        &format!("  - {{ name: ci-ingest, token: ci-ingest, secrets: [{secrets}], {after} }}\n"),
    )
}

fn warnings(ran: &Ran) -> String {
    ran.rotation()["warnings"].to_string()
}

fn outcome(ran: &Ran) -> String {
    ran.rotation()["after"][0]["outcome"].as_str().unwrap().to_owned()
}

fn looks(world: &World) -> usize {
    let looks = world.github.requests().iter().filter(|it| it.path.ends_with("/runs")).count();
    world.github.forget_requests();
    looks
}

#[tokio::test]
async fn the_run_that_retires_the_previous_token_says_that_the_workflow_has_not_run() {
    for has_run in [false, true] {
        let world = World::builder().provider(&DEEPSET).expires_in_days(12).start().await;
        let scene = Scene::new(world, Credential::Admin).after(APP, DEPLOY);
        scene.world.github.change_workflow(APP, DEPLOY, |one| one.is_dispatchable = false);
        let ran = scene.run().await;
        assert_eq!((ran.exit_code, outcome(&ran).as_str()), (0, "failed"), "{}", ran.everything());
        if has_run {
            scene.world.advance_days(1);
            scene.world.github.push(APP, DEPLOY);
        }
        scene.world.advance_days(if has_run { 7 } else { 8 });
        looks(&scene.world);
        let ran = scene.run().await;
        assert_eq!(ran.rotation()["retired"], json!([scene.world.original.id]), "{}", ran.everything());
        assert_eq!(looks(&scene.world), 1);
        let expected = if has_run { "has_run" } else { "failed" };
        assert_eq!((ran.exit_code, outcome(&ran).as_str()), (0, expected), "{}", ran.everything());
        let says = warnings(&ran).contains("it has not run since the secrets were last written")
            && warnings(&ran).contains("The overlap is over, so no run tries again: start it by hand");
        assert_eq!(says, !has_run, "{}", ran.everything());

        let ran = scene.run().await;
        assert_eq!((outcome(&ran).as_str(), looks(&scene.world)), ("not_due", 0), "{}", ran.everything());
        scene.world.assert_no_violations();
    }
}

#[tokio::test]
async fn near_the_end_of_the_overlap_the_warning_asks_for_a_start_by_hand() {
    let world = World::start().await;
    world.github.add_workflow(APP, DEPLOY);
    world.github.change_workflow(APP, DEPLOY, |one| one.is_dispatchable = false);
    let file = file(&world, "AXIOM_TOKEN");
    for (days, expected) in [
        (0, "A run before 2026-03-09T09:00:00Z tries again"),
        (5, "A run before 2026-03-09T09:00:00Z tries again"),
        (1, "The overlap ends at 2026-03-09T09:00:00Z, perhaps before the next run: start it by hand"),
    ] {
        world.advance_days(days);
        let ran = file.rotate(&world).run().await;
        assert!(warnings(&ran).contains(expected), "{}", ran.everything());
    }
}

#[tokio::test]
async fn a_disabled_workflow_is_named_even_if_the_refusal_does_not_say_so() {
    let scene = Scene::new(World::start().await, Credential::Admin).after(APP, DEPLOY);
    scene.world.github.change_workflow(APP, DEPLOY, |one| one.state = "disabled_manually");
    scene.faults.inject(Target::on("POST", "/dispatches"), Fault::Status { code: 403, processed: false });
    let ran = scene.rotate(PATIENT).run().await;
    let warning = warnings(&ran);
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert!(warning.contains("403") && warning.contains("disabled_manually"), "{warning}");
    assert!(warning.contains("Enable the workflow"), "{warning}");
}

#[tokio::test]
async fn status_fails_on_a_workflow_that_was_not_started() {
    let world = World::start().await;
    world.github.add_workflow(APP, DEPLOY);
    let file = file(&world, "AXIOM_TOKEN");
    let status = async || file.run("status", &world).arg("--fail-on", "after").run().await;
    assert_eq!(status().await.exit_code, 0, "a token that is only due");
    world.github.change_workflow(APP, DEPLOY, |one| one.is_dispatchable = false);
    file.rotate(&world).run().await;
    world.advance_days(1);
    let ran = status().await;
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    let finding = json!([{ "rotation": "ci-ingest", "condition": "after", "destinations": [] }]);
    assert_eq!(ran.json()["fail_on"], finding);
    world.github.push(APP, DEPLOY);
    let ran = status().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
}

#[tokio::test]
async fn a_workflow_that_waits_for_a_secret_names_the_end_of_the_previous_token() {
    let world = World::start().await;
    world.github.add_workflow(APP, DEPLOY);
    world.add_destination("acme/web:TOKEN");
    let file = file(&world, "AXIOM_TOKEN, 'acme/web:TOKEN'");
    world.github.break_secret("acme/web:TOKEN", On::Writes, 422);
    let ran = file.rotate(&world).run().await;
    assert_eq!((ran.exit_code, outcome(&ran).as_str()), (1, "waiting"), "{}", ran.everything());
    let until = ran.rotation()["previous"]["valid_until"].as_str().unwrap().to_owned();
    let expected = format!("is valid until {until}: if a secret still cannot be written by then");
    assert!(warnings(&ran).contains(&expected), "{}", ran.everything());
    let ran = file.run("status", &world).arg("--fail-on", "after").run().await;
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
}

#[tokio::test]
async fn a_look_at_a_workflow_that_is_refused_delays_no_mint_and_no_delivery() {
    for fault in [
        Fault::Status { code: 503, processed: false },
        Fault::TooMany { retry_after: Some(1) },
        Fault::Secondary403 { retry_after: Some(1) },
    ] {
        let scene = Scene::new(World::start().await, Credential::Admin).after(APP, DEPLOY);
        let pauses = !matches!(fault, Fault::Status { .. });
        let name = fault.to_string();
        let began = Instant::now();
        let minted_after = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&minted_after);
        scene.faults.inject(Target::on("GET", "/actions/workflows/deploy.yml"), fault);
        scene.faults.inject(
            Target::on("POST", "/regenerate"),
            Fault::after(move |_| *noted.lock().unwrap() = Some(began.elapsed())),
        );
        let ran = scene.rotate(PATIENT).run().await;
        assert_eq!((ran.exit_code, outcome(&ran).as_str()), (0, "started"), "{name}: {}", ran.everything());
        let is_look = |path: &str| path.ends_with("/actions/workflows/deploy.yml");
        let looks = scene.faults.passed().iter().filter(|it| it.method == "GET" && is_look(&it.path)).count();
        assert_eq!(looks, 1, "{name}");
        let minted_after = minted_after.lock().unwrap().unwrap();
        assert_eq!(minted_after >= Duration::from_secs(1), pauses, "{name}: {minted_after:?}");
        scene.world.assert_no_violations();
    }
}
