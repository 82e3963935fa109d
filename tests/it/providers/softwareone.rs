//! SoftwareOne Marketplace: create, disable, delete.

use jiff::SignedDuration;
use serde_json::json;

use super::{assert_sound, rotate, rotates};
use crate::support::provider::softwareone::SERVICE;
use crate::support::{Invocation, World};

async fn world() -> World {
    World::builder().provider(&SERVICE).start().await
}

#[tokio::test]
async fn the_successor_has_the_same_account_modules_and_icon() {
    let world = world().await;
    let ran = rotates(&world, "rotated").await;
    let newest = world.newest().unwrap();
    assert_eq!(newest.raw["account"], world.original.raw["account"]);
    assert_eq!(newest.raw["modules"], world.original.raw["modules"]);
    assert_eq!(newest.raw["icon"], "logo.png");
    assert!(newest.description().starts_with("xf1.4z5cgu75fe."));
    assert_eq!(ran.rotation()["token"]["expires_at"], json!(null));
    assert_eq!(ran.rotation()["probe"], "unverified", "the token may not see tokens");
    assert_eq!(ran.rotation()["previous"]["valid_until"], "2026-03-09T09:00:00Z", "when it can be retired");
    assert_sound(&world, &ran);
}

#[tokio::test]
async fn age_decides_when_a_token_is_due() {
    let young = World::builder().provider(&SERVICE).expires_in_days(15).start().await;
    let ran = rotates(&young, "fresh").await;
    assert_eq!(ran.rotation()["next_rotation_at"], "2026-03-03T08:00:00Z", "14 days before 90 are over");
    young.advance_days(1);
    rotates(&young, "rotated").await;
    young.advance_days(75);
    rotates(&young, "fresh").await;
    young.advance_days(1);
    let ran = rotates(&young, "rotated").await;
    assert_eq!(ran.rotation()["reason"], "due");
}

#[tokio::test]
async fn the_old_token_is_disabled_after_the_overlap_and_deleted_a_week_later() {
    let world = world().await;
    let old = |world: &World| world.provider.token(&world.original.id).unwrap();
    rotates(&world, "rotated").await;
    world.advance(SignedDuration::from_hours(7 * 24 - 1));
    let ran = rotates(&world, "fresh").await;
    assert_eq!(ran.rotation()["retired"], json!([]));
    assert_eq!(ran.rotation()["previous"]["valid_until"], "2026-03-09T09:00:00Z");
    assert!(!old(&world).disabled);
    world.advance(SignedDuration::from_hours(1));
    let ran = rotates(&world, "fresh").await;
    assert_eq!(ran.rotation()["retired"], json!([world.original.id]));
    assert!(old(&world).disabled && !old(&world).deleted);
    world.advance_days(6);
    rotates(&world, "fresh").await;
    assert!(!old(&world).deleted);
    world.advance_days(1);
    let ran = rotates(&world, "fresh").await;
    assert!(old(&world).deleted);
    assert_sound(&world, &ran);
}

#[tokio::test]
async fn status_shows_what_waits_for_retirement() {
    let world = world().await;
    rotates(&world, "rotated").await;
    world.advance_days(1);
    let ran = Invocation::of("status").scene(&world, &world.github.url(), &world.provider.url()).run().await;
    assert!(ran.stdout.contains(&world.original.id), "{}", ran.everything());
    assert!(
        ran.stdout.contains("the first run after 2026-03-09 (in 6 days) retires it"),
        "{}",
        ran.everything()
    );
}

#[tokio::test]
async fn a_use_after_the_delivery_is_reported_with_its_date() {
    let world = world().await;
    rotates(&world, "rotated").await;
    let used_at = "2026-03-05T12:00:00Z".parse().unwrap();
    world.provider.edit(&world.original.id, |token| token.last_used_at = Some(used_at));
    world.advance_days(8);
    let planned = Invocation::rotate(&world).flag("--dry-run").run().await;
    let ran = Invocation::rotate(&world).run().await;
    for ran in [planned, ran] {
        assert!(ran.everything().contains("was last used at 2026-03-05 ("), "{}", ran.everything());
        assert_eq!(ran.exit_code, 0);
    }
    assert!(world.provider.token(&world.original.id).unwrap().disabled);
    world.advance_days(7);
    let ran = Invocation::rotate(&world).run().await;
    assert!(world.provider.token(&world.original.id).unwrap().deleted);
    assert!(!ran.everything().contains("was last used"), "that was said a week ago: {}", ran.everything());
}

#[tokio::test]
async fn a_use_before_the_delivery_is_no_news() {
    let world = world().await;
    let used_at = "2026-03-02T08:30:00Z".parse().unwrap();
    world.provider.edit(&world.original.id, |token| token.last_used_at = Some(used_at));
    rotates(&world, "rotated").await;
    world.advance_days(8);
    let ran = Invocation::rotate(&world).run().await;
    assert!(!ran.everything().contains("last used"), "{}", ran.everything());
}

#[tokio::test]
async fn modules_that_a_list_leaves_out_are_asked_for() {
    let world = world().await;
    world.provider.switch(|switches| switches.list_omits = vec!["modules"]);
    let ran = rotates(&world, "rotated").await;
    assert_sound(&world, &ran);
}

#[tokio::test]
async fn a_token_of_unknown_age_is_replaced_once() {
    let world = World::builder().provider(&SERVICE).expires_in_days(60).start().await;
    world.provider.switch(|switches| switches.list_omits = vec!["audit"]);
    rotates(&world, "rotated").await;
    world.advance_days(1);
    rotates(&world, "fresh").await;
}

#[tokio::test]
async fn a_token_rotates_itself_and_is_not_ended_while_it_is_the_credential() {
    let own = (SERVICE.admin)("ci-ingest");
    let world = World::builder().provider(&SERVICE).original(own).start().await;
    let itself = |value: &str| {
        Invocation::rotate(&world).arg("--format", "json").env("CROSSFADE_PROVIDER_TOKEN", value)
    };
    let ran = itself(&world.original.value).run().await;
    assert_eq!(ran.rotation()["probe"], "verified", "{}", ran.everything());
    assert_sound(&world, &ran);
    world.advance_days(8);
    let ran = itself(&world.original.value).run().await;
    assert!(ran.everything().contains("may be the credential in use"), "{}", ran.everything());
    assert!(world.provider.is_accepted(&world.original.value));
    let ran = itself(&world.newest().unwrap().value).run().await;
    assert_eq!(ran.rotation()["retired"], json!([world.original.id]), "{}", ran.everything());
    assert!(!world.provider.is_accepted(&world.original.value));
}

#[tokio::test]
async fn what_cannot_be_disabled_is_said_and_tried_again() {
    let world = world().await;
    rotates(&world, "rotated").await;
    world.advance_days(8);
    world.provider.switch(|switches| switches.refuse_delete = true);
    let ran = rotate(&world).await;
    assert!(ran.everything().contains("could not be ended"), "{}", ran.everything());
    assert!(ran.everything().contains("it needs"), "{}", ran.everything());
    assert_eq!(ran.rotation()["retired"], json!([]));
    world.provider.switch(|switches| switches.refuse_delete = false);
    let ran = rotates(&world, "fresh").await;
    assert_eq!(ran.rotation()["retired"], json!([world.original.id]));
}

#[tokio::test]
async fn a_disabled_token_is_replaced() {
    let world = World::builder().provider(&SERVICE).expires_in_days(60).start().await;
    world.provider.edit(&world.original.id, |token| token.disabled = true);
    let ran = rotates(&world, "rotated").await;
    assert_sound(&world, &ran);
}

#[tokio::test]
async fn what_was_disabled_late_is_kept_as_long_as_was_said() {
    let world = world().await;
    rotates(&world, "rotated").await;
    world.advance_days(30);
    rotates(&world, "fresh").await;
    assert!(world.provider.token(&world.original.id).unwrap().disabled);
    world.advance_days(6);
    let ran = rotates(&world, "fresh").await;
    assert_eq!(ran.rotation()["retired"], json!([]), "7 days from when it was disabled");
    world.advance_days(1);
    let ran = rotates(&world, "fresh").await;
    assert_eq!(ran.rotation()["retired"], json!([world.original.id]));
}

#[tokio::test]
async fn what_a_run_would_retire_has_not_ended() {
    let world = world().await;
    rotates(&world, "rotated").await;
    world.advance_days(8);
    let ran = Invocation::rotate(&world).flag("--dry-run").arg("--format", "json").run().await;
    let rotation = ran.rotation();
    assert_eq!(rotation["retired"], json!([world.original.id]), "{}", ran.everything());
    assert_eq!(rotation["previous"]["valid_until"], "2026-03-09T09:00:00Z", "from then on");
    let old = &rotation["tokens"][1];
    assert_eq!((&old["ends_at"], &old["retire_at"]), (&json!(null), &json!("2026-03-09T09:00:00Z")));
}
