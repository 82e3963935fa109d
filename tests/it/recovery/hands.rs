//! What people do meanwhile: they rename, delete, write and forge.

use crate::support::marker::Marker;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;

/// By then its name is nothing that the configuration speaks of.
#[tokio::test]
async fn a_secret_that_was_renamed_does_not_cost_its_token_the_overlap() {
    let world = World::builder().expires_in_days(12).start().await;
    let scene = Scene::new(world, Credential::Admin);
    scene.run().await;
    let held = scene.world.newest().unwrap();
    scene.later();
    scene.world.add_destination("acme/infra:RENAMED");
    scene.world.forget_destination(SECRET);
    let ran = heals(&scene).await;
    assert_eq!(ran.rotation()["reason"], "undelivered");
    assert!(scene.world.axiom.is_accepted(&held.value), "what reads the old name goes on");
    collects(&scene).await;
}

#[tokio::test]
async fn a_token_that_was_deleted_by_hand_is_replaced() {
    let scene = Scene::new(World::start().await, Credential::Admin);
    scene.run().await;
    scene.later();
    scene.world.axiom.delete_by_hand(&scene.world.newest().unwrap().id);
    assert_ne!(scene.world.unaccepted(), Vec::<String>::new(), "the secret holds what was deleted");
    heals(&scene).await;
    assert_eq!(scene.world.unaccepted(), Vec::<String>::new());
    collects(&scene).await;
}

#[tokio::test]
async fn an_old_token_that_was_deleted_by_hand_is_not_missed() {
    let scene = due().await;
    scene.run().await;
    let newest = scene.world.newest().unwrap();
    scene.world.axiom.delete_by_hand(&scene.world.original.id);
    let ran = heals(&scene).await;
    assert_eq!(ran.rotation()["outcome"], "fresh");
    scene.world.advance_days(80);
    heals(&scene).await;
    assert_eq!(scene.world.newest().unwrap().parent, Some(newest.id));
    collects(&scene).await;
}

#[tokio::test]
async fn a_secret_written_by_a_person_is_written_again_and_its_token_stays_valid() {
    let scene = scene(World::builder().expires_in_days(12)).await;
    scene.run().await;
    let first = scene.world.newest().unwrap();
    scene.later();
    scene.world.github.put_by_hand(SECRET, &scene.world.original.value);
    let ran = heals(&scene).await;
    assert_eq!(ran.rotation()["reason"], "undelivered");
    assert_eq!(scene.world.newest().unwrap().parent, Some(first.id));
    collects(&scene).await;
}

#[tokio::test]
async fn a_marker_that_no_run_would_write_is_not_trusted() {
    let cases = [
        ("2026-03-09T09:00:00Z", 2, "a date in the future"),
        ("2026-03-02T08:30:00Z", 7 * 24 * 60, "longer than any that crossfade writes"),
    ];
    for (minted_at, minutes, expected) in cases {
        let scene = due().await;
        let marker = Marker::of(&scene.world.key, minted_at.parse().unwrap(), minutes, "forged000000");
        let forged = TokenSpec::ingest("ci-ingest").description(&marker.unsigned());
        scene.world.axiom.add_token(forged.expires_in_days(30));
        let ran = faulty(&scene).await;
        assert!(error(&ran).contains(expected), "{}", ran.everything());
        assert_eq!(scene.faults.passed().iter().filter(|request| request.method != "GET").count(), 0);
    }
}

#[tokio::test]
async fn an_undelivered_token_with_other_privileges_is_not_trusted() {
    let scene = scene(World::builder().expires_in_days(12)).await;
    scene.run().await;
    scene.later();
    let marker = Marker::of(&scene.world.key, "2026-03-02T10:00:00Z".parse().unwrap(), 2, "forged000000");
    let spec = TokenSpec::admin("ci-ingest").expires_in_days(80).description(&marker.unsigned());
    let forged = scene.world.axiom.add_token(spec);
    let ran = scene.rotate(IMPATIENT).flag("--force").run().await;
    let said = error(&ran);
    assert!(said.contains(&forged.id) && said.contains("different privileges"), "{said}");
    assert_eq!(minted(&scene), 2, "the forged one and the rotation's own");
}

/// The provider's pages copy the description with everything else.
#[tokio::test]
async fn a_token_that_a_person_regenerated_is_succeeded_and_neither_is_ended_before() {
    let scene = scene(World::builder().expires_in_days(12)).await;
    scene.run().await;
    let newest = scene.world.newest().unwrap();
    scene.later();
    let copy = TokenSpec::ingest("ci-ingest").description(newest.description()).expires_in_days(90);
    let copy = scene.world.axiom.add_token(copy);
    let ran = heals(&scene).await;
    assert_eq!(ran.rotation()["reason"], "undelivered", "which of the two is held is unknown");
    for token in [&newest, &copy] {
        assert!(scene.world.axiom.is_accepted(&token.value), "{}", token.id);
    }
    // One of them was regenerated and so ended by the mint; of the other nothing but
    // its marker says what it is, and that could be a forged one.
    let lasting = uncollectable(&scene).await;
    assert!([newest.id, copy.id].contains(&lasting), "{lasting}");
}

#[tokio::test]
async fn another_token_without_an_expiry_does_not_block() {
    let scene = due().await;
    let never = scene.world.axiom.add_token(TokenSpec::ingest("somebody's").expires_in_days(1));
    let end = "9999-12-31T23:59:59Z";
    scene.faults.inject_times(
        Target::on("GET", "/v2/tokens"),
        Fault::Rewrite(Arc::new(move |_, body| {
            let mut list: Value = serde_json::from_slice(body).unwrap();
            let tokens = list.as_array_mut().into_iter().flatten();
            tokens.filter(|token| token["id"] == never.id).for_each(|token| token["expiresAt"] = json!(end));
            *body = list.to_string().into_bytes();
        })),
        9,
    );
    let ran = faulty(&scene).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
}

#[tokio::test]
async fn an_orphan_that_a_person_ended_is_passed_over() {
    let scene = due().await;
    killed(&scene, Target::on("PUT", "AXIOM_TOKEN"), When::Before).await;
    let orphan = scene.world.newest().unwrap();
    scene.world.axiom.edit(&orphan.id, |token| token.expires_at = Some(token.created_at));
    let ran = heals(&scene).await;
    assert_eq!(ran.rotation()["reason"], "due", "the token in use still ends soon");
    let newest = scene.world.newest().unwrap();
    assert_eq!(newest.parent.as_ref(), Some(&scene.world.original.id));
    assert_eq!(ran.rotation()["token"]["id"], newest.id);
    assert_eq!(ran.rotation()["previous"]["id"], scene.world.original.id);
    collects(&scene).await;
}
