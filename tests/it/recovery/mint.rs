//! From the decision to mint to a new token that may be delivered: lost replies, tokens
//! that the provider does not accept, and tokens that differ from the request.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_lost_mint_reply_is_found_by_its_marker() {
    let scene = due().await;
    scene.faults.inject(Target::on(MINT.0, MINT.1), Fault::CloseAfter);
    let ran = faulty(&scene).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let [.., original, lost, newest] = &scene.world.axiom.tokens()[..] else { panic!("three tokens") };
    assert_eq!(lost.parent.as_ref(), Some(&original.id));
    assert_eq!(newest.parent.as_ref(), Some(&lost.id), "nobody has the lost one's value: it is succeeded");
    assert!(!lost.is_live(scene.world.axiom.now()));
    assert_eq!(scene.world.held(SECRET).unwrap().id, newest.id);
    collects(&scene).await;
}

#[tokio::test]
async fn what_a_lost_mint_made_may_surface_late() {
    let scene = scene(World::builder().expires_in_days(12)).await;
    scene.world.axiom.switch(|switches| switches.new_token_hidden_lists = 9);
    scene.faults.inject(Target::on(MINT.0, MINT.1), Fault::CloseAfter);
    // More than a second passes until the next attempt.
    let ran = scene.rotate(IMPATIENT * 20).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let [.., original, lost_attempt, newest] = &scene.world.axiom.tokens()[..] else {
        panic!("three tokens")
    };
    assert_eq!(
        (&lost_attempt.parent, &newest.parent),
        (&Some(original.id.clone()), &Some(original.id.clone()))
    );
    assert!(lost_attempt.is_live(scene.world.axiom.now()), "nobody has seen it yet");
    assert_eq!(scene.world.held(SECRET).unwrap().id, newest.id, "the last attempt is the one delivered");
    for token in [lost_attempt, newest] {
        scene.world.axiom.edit(&token.id, |token| token.hidden_lists = 0);
    }
    // Nor was the end that the lost request had set put off: `broken` would tell.
    heals(&scene).await;
    assert_eq!(uncollectable(&scene).await, lost_attempt.id);
}

#[tokio::test]
async fn what_a_lost_mint_made_is_ended_as_soon_as_it_is_seen() {
    let scene = due().await;
    // Not by those who look for it, but by the list beside the probe.
    scene.world.axiom.switch(|switches| switches.new_token_hidden_lists = 3);
    scene.faults.inject(Target::on(MINT.0, MINT.1), Fault::CloseAfter);
    let ran = faulty(&scene).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let [.., lost_attempt, newest] = &scene.world.axiom.tokens()[..] else { panic!("four tokens") };
    assert!(lost_attempt.deleted, "{}", scene.world.journal.text());
    assert_eq!(scene.world.held(SECRET).unwrap().id, newest.id);
    scene.world.axiom.edit(&newest.id, |token| token.hidden_lists = 0);
    collects(&scene).await;
}

fn mints(scene: &Scene) -> usize {
    scene.faults.passed().iter().filter(|request| request.method == "POST").count()
}

#[tokio::test]
async fn a_mint_that_never_arrives_is_tried_three_times() {
    let scene = due().await;
    scene.faults.inject_times(Target::on(MINT.0, MINT.1), Fault::CloseBefore, 100);
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("did not confirm a new token after 3 attempts:"), "{}", ran.everything());
    assert_eq!((mints(&scene), minted(&scene)), (3, 0));
    let lists = scene.faults.passed().into_iter().filter(|it| it.method == "GET" && it.path == "/v2/tokens");
    assert_eq!(lists.count(), 1 + 3 * 3, "each of them is looked for three times");
    heals(&scene).await;
}

#[tokio::test]
async fn what_the_provider_refuses_of_a_living_token_is_not_created_instead() {
    for code in [404, 409, 422] {
        let scene = due().await;
        scene.faults.inject(Target::on(MINT.0, MINT.1), Fault::Status { code, processed: false });
        let ran = faulty(&scene).await;
        assert!(error(&ran).contains("refused to create the new token"), "{code}: {}", ran.everything());
        assert_eq!((mints(&scene), minted(&scene)), (1, 0), "{code}");
    }
}

#[tokio::test]
async fn without_a_list_to_look_in_a_mint_is_not_repeated() {
    let scene = due().await;
    scene.faults.inject(Target::on(MINT.0, MINT.1), Fault::CloseAfter);
    let after_the_mint = |n: usize| Target::matching(move |it| it.n > n && it.method == "GET");
    scene.faults.inject_times(after_the_mint(5), Fault::Status { code: 500, processed: false }, 100);
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("did not confirm a new token after 1 attempt:"), "{}", ran.everything());
    assert_eq!((minted(&scene), writes(&scene)), (1, 0));
    heals(&scene).await;
    collects(&scene).await;
}

#[tokio::test]
async fn a_provider_that_asks_for_a_little_patience_is_asked_again() {
    let scene = due().await;
    scene.faults.inject(Target::on(MINT.0, MINT.1), Fault::TooMany { retry_after: Some(1) });
    // Just as much as there is.
    let ran = scene.rotate(IMPATIENT).run().await;
    assert_eq!((ran.exit_code, mints(&scene)), (0, 2), "{}", ran.everything());
}

#[tokio::test]
async fn a_provider_that_asks_for_much_patience_is_not_asked_again() {
    let scene = due().await;
    scene.faults.inject_times(Target::on(MINT.0, MINT.1), Fault::TooMany { retry_after: Some(600) }, 9);
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("did not confirm a new token after 1 attempt:"), "{}", ran.everything());
    assert_eq!(
        scene.faults.passed().len(),
        6,
        "two readings, three of the preflight and the mint: {:?}",
        scene.faults.passed()
    );
    heals(&scene).await;
}

#[tokio::test]
async fn a_new_token_that_is_accepted_late_is_waited_for() {
    let scene = due().await;
    // The more often it is asked, the longer the waits, but not beyond an eighth of all.
    scene.world.axiom.switch(|switches| switches.new_token_refused_uses = 6);
    let ran = scene.rotate(IMPATIENT * 2).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(scene.broken(), Vec::<String>::new());
}

#[tokio::test]
async fn a_rejected_new_token_is_revoked_before_any_secret_is_written() {
    let scene = due().await;
    scene.world.axiom.switch(|switches| switches.new_token_refused_for = SignedDuration::from_hours(1));
    let ran = faulty(&scene).await;
    assert!(
        error(&ran).contains("does not accept its value. The new token was revoked. No secret was changed")
    );
    assert_eq!((minted(&scene), writes(&scene)), (1, 0));
    assert_eq!(scene.world.newest().unwrap().id, scene.world.original.id);
    scene.world.axiom.switch(|switches| switches.new_token_refused_for = SignedDuration::ZERO);
    heals(&scene).await;
    collects(&scene).await;
}

#[tokio::test]
async fn a_new_token_with_other_privileges_is_revoked() {
    let scene = due().await;
    scene.world.axiom.switch(|switches| {
        switches.alter_new_token = Some(Arc::new(|raw| {
            raw.insert("orgCapabilities".to_owned(), json!({ "apiTokens": ["create"] }));
        }));
    });
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("previous token (orgCapabilities). The new token was revoked"));
    assert_eq!(writes(&scene), 0);
    scene.world.axiom.switch(|switches| switches.alter_new_token = None);
    heals(&scene).await;
}

#[tokio::test]
async fn a_new_token_without_its_marker_is_revoked() {
    let scene = due().await;
    scene.world.axiom.switch(|switches| {
        switches.alter_new_token = Some(Arc::new(|raw| {
            raw.insert("description".to_owned(), json!("shortened"));
        }));
    });
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("did not keep its marker"), "{}", ran.everything());
    assert_eq!(scene.world.axiom.live_tokens().len(), 2);
}

#[tokio::test]
async fn a_lifetime_that_the_provider_caps_is_reported_or_refused() {
    let scene = due().await;
    scene.world.axiom.switch(|switches| switches.longest_life = Some(SignedDuration::from_hours(30 * 24)));
    let ran = faulty(&scene).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert!(ran.rotation()["token"]["expires_at"].as_str().unwrap().starts_with("2026-04-01T"));

    let scene = due().await;
    scene.world.axiom.switch(|switches| switches.longest_life = Some(SignedDuration::from_hours(10 * 24)));
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("it would have to be replaced at once"), "{}", ran.everything());
    assert_eq!((minted(&scene), writes(&scene)), (1, 0));
    assert_eq!(scene.world.newest().unwrap().id, scene.world.original.id);
}

#[tokio::test]
async fn a_new_token_that_cannot_be_revoked_is_reported_and_deleted_by_the_next_run() {
    let scene = due().await;
    scene.world.axiom.switch(|switches| {
        switches.new_token_refused_for = SignedDuration::from_mins(10);
        switches.refuse_delete = true;
    });
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("The new token could not be revoked"), "{}", ran.everything());
    let leftover = scene.world.newest().unwrap();
    scene.world.axiom.switch(|switches| switches.new_token_refused_for = SignedDuration::ZERO);
    heals(&scene).await;
    assert!(!scene.world.axiom.is_accepted(&leftover.value));
}

#[tokio::test]
async fn a_token_that_has_ended_is_succeeded_all_the_same() {
    for regenerates in [true, false] {
        let scene = Scene::new(World::start().await, Credential::Admin);
        scene.world.advance_days(6);
        if !regenerates {
            scene.faults.inject(Target::on(MINT.0, MINT.1), Fault::Status { code: 404, processed: false });
        }
        let ran = faulty(&scene).await;
        assert_eq!((ran.exit_code, &ran.rotation()["reason"]), (0, &json!("due")), "{}", ran.everything());
        let parent = scene.world.newest().unwrap().parent;
        assert_eq!(parent.is_some(), regenerates, "else it is made anew, with the same rights");
        assert_eq!(scene.world.changed_privileges(), Vec::<String>::new());
        assert_eq!(scene.broken(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_credential_that_rotates_itself_goes_on_with_the_new_value() {
    let world = World::builder().original(TokenSpec::admin("ci-ingest")).start().await;
    let scene = Scene::new(world, Credential::Own).watch();
    for _ in 0..3 {
        heals(&scene).await;
        scene.world.advance_days(80);
    }
    assert_eq!(minted(&scene), 3);
    assert_eq!(scene.broken(), Vec::<String>::new());
}
