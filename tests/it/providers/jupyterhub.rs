//! What JupyterHub does otherwise, at the fake: ids that are used again, 403 as the only
//! refusal, scopes as they take effect, expired tokens that vanish from the list.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::json;

use super::{assert_sound, rotate, rotates};
use crate::scene::{Credential, Scene};
use crate::support::github::On;
use crate::support::provider::catalogue::jupyterhub::{SERVICE, token};
use crate::support::{Fault, Target, World};

async fn hub() -> World {
    World::builder().provider(&SERVICE).expires_in_days(12).start().await
}

#[tokio::test]
async fn a_new_token_with_the_id_of_a_deleted_orphan_is_not_reported_as_retired() {
    let scene = Scene::new(hub().await, Credential::Admin);
    scene.run_killed_at(Target::mint(), true).await;
    let orphan = scene.world.newest().unwrap();
    scene.later();
    let ran = scene.run().await;
    let newest = scene.world.newest().unwrap();
    assert_eq!(newest.id, orphan.id, "the hub used it again");
    assert_ne!(newest.value, orphan.value);
    let rotation = ran.rotation();
    assert_eq!(rotation["retired"], json!([orphan.id]));
    let spans: Vec<_> =
        rotation["tokens"].as_array().unwrap().iter().filter(|one| one["id"] == newest.id).collect();
    assert_eq!(spans.len(), 1, "{rotation}");
    assert_eq!(spans[0]["ends_at"], rotation["token"]["expires_at"], "{rotation}");
    assert_eq!([scene.world.unaccepted(), scene.world.undelivered()].concat(), Vec::<String>::new());
}

/// The reply to a deletion is lost, and another token gets the id before it is repeated.
#[tokio::test]
async fn a_token_that_got_the_id_of_a_deleted_one_is_left_alone() {
    let scene = Scene::new(hub().await, Credential::Admin);
    scene.world.github.break_secret("acme/infra:AXIOM_TOKEN", On::Writes, 403);
    // So soon that both tokens were created in the same second.
    scene.world.clock.set_per_request(SignedDuration::ZERO);
    let provider = scene.world.provider.detached();
    let take_over = move |_: &_| drop(provider.add_token((SERVICE.ordinary)("another user's")));
    // crossfade tries the new value first, in case the previous token was the credential, and
    // that may not delete tokens.
    let refused = std::sync::atomic::AtomicBool::new(false);
    let second = move |one: &crate::support::server::Passing| {
        one.method == "DELETE" && refused.swap(true, std::sync::atomic::Ordering::Relaxed)
    };
    scene.faults.inject(Target::matching(second), Fault::after(take_over).and_close());
    let ran = scene.rotate(crate::scene::PATIENT).run().await;
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    let tokens = scene.world.provider.tokens();
    let error = ran.rotation()["error"].to_string();
    assert!(error.contains("the provider now shows a different token"), "{error}");
    let [.., minted, other] = tokens.as_slice() else { panic!("{}", tokens.len()) };
    assert!(minted.deleted && other.id == minted.id, "{}", scene.world.journal.text());
    assert!(!other.deleted, "{}", ran.everything());
}

#[tokio::test]
async fn one_403_is_not_believed_and_a_lasting_one_is() {
    let world = hub().await;
    world.provider.switch(|switches| switches.new_token_refused_uses = 1);
    let ran = rotates(&world, "rotated").await;
    assert_eq!(ran.rotation()["probe"], "verified");
    assert_sound(&world, &ran);

    let scene = Scene::new(hub().await, Credential::Admin);
    scene.world.provider.switch(|switches| switches.new_token_refused_for = SignedDuration::from_hours(9));
    let ran = scene.rotate(crate::scene::IMPATIENT).run().await;
    let error = ran.rotation()["error"].to_string();
    assert!(error.contains("does not accept its value") && error.contains("revoked"), "{error}");
    assert_eq!(scene.world.provider.live_tokens().len(), 2, "the new token was deleted");
}

#[tokio::test]
async fn a_refused_credential_is_told_what_it_needs() {
    let world = hub().await;
    let ran =
        crate::support::Invocation::rotate(&world).signed_in_with(&world, "0123456789abcdef0123456789abcdef");
    let error = ran.arg("--format", "json").run().await.rotation()["error"].to_string();
    assert!(error.contains("tokens!user=NAME") && error.contains("HTTP 403"), "{error}");
}

/// A creation without scopes may do all that its user may, so they are never left out.
#[tokio::test]
async fn scopes_that_a_list_leaves_out_are_read_and_not_left_out() {
    let world = hub().await;
    world.provider.switch(|switches| switches.list_omits = vec!["scopes"]);
    let ran = rotate(&world).await;
    let newest = world.newest().unwrap();
    assert_ne!(newest.value, world.original.value, "{}", ran.everything());
    assert_eq!(newest.privileges(), world.original.privileges());
    assert_eq!(world.unaccepted(), Vec::<String>::new());
}

/// The owner got another role, so the previous token may do more than its copy.
#[tokio::test]
async fn scopes_that_grew_after_the_creation_do_not_stop_the_rotation() {
    let world = hub().await;
    rotates(&world, "rotated").await;
    let more = token("x", &["read:users:activity!user", "access:servers!user", "servers!user"]);
    world.provider.edit(&world.original.id, |token| token.raw["scopes"] = more.raw()["scopes"].clone());
    world.advance_days(8);
    let ran = rotates(&world, "fresh").await;
    assert_eq!(ran.rotation()["retired"], json!([world.original.id]));
    // At a mint they are compared.
    let world = hub().await;
    world.provider.switch(|switches| {
        let more = more.raw()["scopes"].clone();
        switches.alter_new_token = Some(Arc::new(move |raw| raw["scopes"] = more.clone()));
    });
    let error = rotate(&world).await.rotation()["error"].to_string();
    assert!(error.contains("privileges differ"), "{error}");
}

#[tokio::test]
async fn a_previous_token_that_expired_and_vanished_is_no_problem() {
    let world = World::builder().provider(&SERVICE).expires_in_days(5).start().await;
    rotates(&world, "rotated").await;
    world.advance_days(8);
    let ran = rotates(&world, "fresh").await;
    assert!(world.provider.token(&world.original.id).unwrap().deleted, "the list dropped it");
    assert_eq!(ran.rotation()["retired"], json!([]));
    assert_eq!(ran.rotation()["warnings"], json!([]));
    assert_sound(&world, &ran);
}
