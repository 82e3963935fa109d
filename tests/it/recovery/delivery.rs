//! From a new token to the secrets: crashes, refusals, keys that change, emergencies.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::support::Invocation;
use crate::support::provider::softwareone::SERVICE as SOFTWAREONE;

#[tokio::test]
async fn a_crash_between_mint_and_delivery_is_healed_and_leaves_no_orphan() {
    let scene = due().await;
    killed(&scene, Target::on("PUT", "AXIOM_TOKEN"), When::Before).await;
    let orphan = scene.world.newest().unwrap();
    assert_eq!(scene.world.held(SECRET).unwrap().id, scene.world.original.id);
    let ran = heals(&scene).await;
    assert_eq!(ran.rotation()["reason"], "undelivered");
    let newest = scene.world.newest().unwrap();
    assert_eq!(newest.parent, Some(orphan.id.clone()));
    assert!(!scene.world.axiom.is_accepted(&orphan.value), "ended by the mint that healed it");
    assert_eq!(ran.rotation()["previous"]["id"], scene.world.original.id, "what jobs at work carry");
    let deleted = scene.world.axiom.requests().iter().filter(|it| it.method == "DELETE").count();
    assert_eq!(deleted, 0, "there was nothing left to end");
    collects(&scene).await;
}

#[tokio::test]
async fn where_old_tokens_are_retired_by_later_runs_an_orphan_is_ended_at_once() {
    let scene = scene(World::builder().provider(&SOFTWAREONE)).await;
    killed(&scene, Target::on("PUT", "AXIOM_TOKEN"), When::Before).await;
    let orphan = scene.world.newest().unwrap();
    let ran = heals(&scene).await;
    assert_eq!(ran.rotation()["retired"], json!([orphan.id]), "{}", ran.everything());
    assert!(!scene.world.provider.is_accepted(&orphan.value));
    assert!(scene.world.provider.is_accepted(&scene.world.original.value), "it has its overlap");
}

/// The other run may write at any moment, so the report does not say what its
/// destinations hold.
#[tokio::test]
async fn while_another_run_is_at_work_nothing_is_claimed() {
    let scene = scene(World::builder().destination_count(2)).await;
    scene.run().await;
    scene.world.advance_days(80);
    killed(&scene, Target::on("PUT", "service-1/actions/secrets/AXIOM_TOKEN"), When::Before).await;
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("may still be writing it"), "{}", ran.everything());
    let rotation = ran.rotation();
    let behind = rotation["destinations"].as_array().unwrap().iter().find(|it| it["destination"] == OTHER);
    assert_eq!((&behind.unwrap()["outcome"], &behind.unwrap()["holds"]), (&json!("unknown"), &json!(null)));
    let advice = rotation["next_step"].as_str().unwrap();
    assert!(advice.contains(&format!("It is not known which token {OTHER} holds")), "{advice}");
}

#[tokio::test]
async fn a_partial_delivery_keeps_both_tokens_alive_until_all_hold_the_next() {
    let scene = scene(World::builder().destination_count(2)).await;
    scene.world.github.break_secret(OTHER, On::Writes, 500);
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains(OTHER));
    let half = scene.world.newest().unwrap();
    assert_eq!(scene.world.held(SECRET).unwrap().id, half.id);
    assert_eq!(scene.world.held(OTHER).unwrap().id, scene.world.original.id);
    scene.world.github.repair();
    heals(&scene).await;
    assert!(scene.world.axiom.is_accepted(&half.value), "whoever read it before may still use it");
    collects(&scene).await;
}

#[tokio::test]
async fn who_holds_an_earlier_token_is_not_said_to_hold_the_newest() {
    let scene = scene(World::builder().destination_count(2)).await;
    scene.run().await;
    let earlier = scene.world.newest().unwrap();
    scene.world.advance_days(80);
    scene.world.github.break_secret(OTHER, On::Writes, 403);
    faulty(&scene).await;
    scene.later();
    let (world, front) = (&scene.world, &scene.front);
    let status = Invocation::of("status").scene(world, front.github.url(), front.provider.url());
    let ran = status.arg("--format", "json").run().await;
    let behind = ran.rotation()["destinations"][1].clone();
    assert_eq!((&behind["destination"], &behind["outcome"]), (&json!(OTHER), &json!("unknown")));
    assert_eq!(behind["holds"]["id"], earlier.id, "{}", ran.everything());
}

#[tokio::test]
async fn a_new_token_that_every_destination_refuses_is_revoked() {
    let scene = scene(World::builder().destination_count(2)).await;
    for secret in [SECRET, OTHER] {
        scene.world.github.break_secret(secret, On::Writes, 403);
    }
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("was not written to any secret"), "{}", ran.everything());
    assert_eq!(scene.world.newest().unwrap().id, scene.world.original.id);
    scene.world.github.repair();
    heals(&scene).await;
}

/// It looks as if it held the new token, whose window begins a little earlier.
#[tokio::test]
async fn what_a_person_wrote_just_before_a_refused_write_is_not_taken_for_delivered() {
    let scene =
        scene(World::builder().destination_count(2)).await.flag("--overlap").flag("0h").flag("--force");
    scene.world.github.put_by_hand(OTHER, &scene.world.original.value);
    scene.world.github.break_secret(OTHER, On::Writes, 403);
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains(OTHER), "{}", ran.everything());
    assert_eq!(ran.rotation()["retired"], json!([]));
    assert!(scene.world.axiom.is_accepted(&scene.world.original.value), "it still holds that");
}

/// The first attempt may have been processed: that the second is refused does not
/// mean that nobody holds the token.
#[tokio::test]
async fn a_new_token_that_a_destination_may_hold_is_not_revoked() {
    let scene = due().await;
    let world = scene.world.detached();
    scene.faults.inject(
        Target::on("PUT", "AXIOM_TOKEN"),
        Fault::after(move |_| world.github.break_scope("acme/infra", On::Writes, 403)).and_close(),
    );
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("was not written to 1 of 1 secret"), "{}", ran.everything());
    assert_eq!(scene.world.held(SECRET).unwrap().id, scene.world.newest().unwrap().id);
    scene.world.github.repair();
    heals(&scene).await;
    collects(&scene).await;
}

#[tokio::test]
async fn a_key_that_changes_between_read_and_write_is_fetched_anew() {
    let scene = due().await;
    let world = scene.world.detached();
    scene.faults.inject(Target::on("PUT", "AXIOM_TOKEN"), Fault::before(move |_| Scene::rotate_keys(&world)));
    let ran = faulty(&scene).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(writes(&scene), 2);
}

#[tokio::test]
async fn one_destination_that_refuses_does_not_stop_the_others() {
    let scene = scene(World::builder().destination_count(3).expires_in_days(12)).await;
    scene.world.github.break_secret(OTHER, On::Writes, 403);
    let ran = faulty(&scene).await;
    let (said, rotation) = (error(&ran), ran.rotation());
    let newest = scene.world.newest().unwrap();
    assert!(
        said.contains(&format!("The new token {} was not written to 1 of 3 secrets. {OTHER}: ", newest.id)),
        "{said}"
    );
    let outcomes: Vec<&Value> = (0..3).map(|n| &rotation["destinations"][n]["outcome"]).collect();
    assert_eq!(outcomes, ["written", "failed", "written"]);
    let advice = rotation["next_step"].as_str().unwrap();
    let end = scene.world.axiom.token(&scene.world.original.id).unwrap().expires_at.unwrap();
    for expected in [
        format!(
            "acme/infra:AXIOM_TOKEN and acme/service-2:AXIOM_TOKEN hold token {} (until 2026-05-31T",
            newest.id
        ),
        format!(
            "{OTHER} was never written by crossfade, and presumably holds token {} (until {end})",
            scene.world.original.id
        ),
        "once all 3 secrets can be written, that run creates one new token for them".to_owned(),
    ] {
        assert!(advice.contains(&expected), "{expected:?} is not in {advice:?}");
    }
    scene.world.github.repair();
    heals(&scene).await;
    collects(&scene).await;
}

#[tokio::test]
async fn a_destination_that_keeps_failing_holds_mints_back_and_is_healed_without_force() {
    let scene = scene(World::builder().destination_count(2).expires_in_days(13)).await;
    scene.world.github.break_secret(OTHER, On::Writes, 500);
    for _ in 0..5 {
        assert_eq!(faulty(&scene).await.exit_code, 1);
        scene.later();
    }
    assert_eq!(scene.world.marked_tokens().len(), 3);
    let ran = faulty(&scene).await;
    let said = error(&ran);
    assert!(said.contains("no new one is created before 2026-03-03T") && said.contains(OTHER), "{said}");
    scene.world.github.repair();
    let ran = faulty(&scene).await;
    assert_eq!((ran.exit_code, scene.world.marked_tokens().len()), (1, 3), "{}", ran.everything());
    scene.world.advance_days(1);
    heals(&scene).await;
    collects(&scene).await;
}

#[tokio::test]
async fn in_an_emergency_the_old_token_is_ended_as_soon_as_its_successor_is_delivered() {
    let scene =
        scene(World::builder().destination_count(2)).await.flag("--overlap").flag("0h").flag("--force");
    scene.world.github.break_secret(OTHER, On::Writes, 500);
    let ran = faulty(&scene).await;
    assert_eq!((ran.exit_code, &ran.rotation()["retired"]), (1, &json!([])), "one may still hold it");
    assert!(scene.world.axiom.is_accepted(&scene.world.original.value));
    let warnings = ran.rotation()["warnings"].to_string();
    let held = format!("token {} was NOT ended", scene.world.original.id);
    assert!(warnings.contains(&held) && warnings.contains(OTHER), "{warnings}");
    let text = format!("{warnings} {}", ran.rotation()["next_step"]);
    assert!(!text.contains("by hand"), "to end what {OTHER} may hold would break it: {text}");

    let scene = due().await.flag("--overlap").flag("0h").flag("--force");
    let ran = faulty(&scene).await;
    assert_eq!((ran.exit_code, &ran.rotation()["retired"]), (0, &json!([scene.world.original.id])));
    let passed: Vec<String> = scene.faults.passed().iter().map(|request| request.method.clone()).collect();
    assert_eq!(passed[passed.len() - 3..], ["PUT", "GET", "DELETE"], "it is read right before");
    let (rotation, now) = (ran.rotation(), ran.json()["now"].as_str().unwrap().to_owned());
    let dates = [&rotation["previous"]["valid_until"], &rotation["tokens"][1]["ends_at"]];
    assert!(dates.iter().all(|end| end.as_str().unwrap() <= now.as_str()), "it has ended: {dates:?}");
}

#[tokio::test]
async fn an_emergency_without_the_right_to_delete_is_reported() {
    let scene = due().await.flag("--overlap").flag("0h").flag("--force");
    scene.world.axiom.switch(|switches| switches.refuse_delete = true);
    let ran = faulty(&scene).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let warnings = ran.rotation()["warnings"].to_string();
    assert!(warnings.contains("could not be ended"), "{}", ran.everything());
    assert!(warnings.contains("by hand"), "no secret can hold it: {warnings}");
    let end = scene.world.axiom.token(&scene.world.original.id).unwrap().expires_at.unwrap();
    assert!(end.duration_since(scene.world.axiom.now()) < SignedDuration::from_mins(10), "it ends by itself");
}

#[tokio::test]
async fn a_dry_run_makes_no_environment() {
    let scene = due().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "rotations:\n  - name: ci-ingest\n    provider: axiom\n    provider_url: {}\n    token: ci-ingest\n    secrets:\n\
         \x20     - {{ repository: acme/infra, environment: new, name: AXIOM_TOKEN, create_environment: true }}\n",
        scene.front.provider.url()
    );
    std::fs::write(file.path(), text).unwrap();
    let run = crate::support::Invocation::of("rotate")
        .credentials(&scene.world)
        .arg("--config", file.path().to_str().unwrap())
        .arg("--repository", "acme/infra")
        .arg("--github-api-url", scene.front.github.url())
        .arg("--format", "json");
    let dry = run.clone().flag("--dry-run").run().await;
    assert_eq!((dry.exit_code, &dry.rotation()["outcome"]), (0, &json!("planned")), "{}", dry.everything());
    assert_eq!(scene.faults.passed().iter().filter(|request| request.method != "GET").count(), 0);
    let ran = run.run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert!(scene.world.github.secret("acme/infra@new:AXIOM_TOKEN").is_some());
}

#[tokio::test]
async fn where_github_cannot_be_reached_that_is_what_is_said() {
    let scene = due().await;
    scene.faults.inject_times(Target::peer(Peer::Github), Fault::CloseBefore, 100);
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains(&format!("{SECRET} cannot be read or written")), "{}", ran.everything());
}
