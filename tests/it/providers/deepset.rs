//! deepset: the marker in the name, and a creation that shows only the value.

use jiff::SignedDuration;
use serde_json::json;

use super::{assert_sound, rotate, rotates};
use crate::support::provider::deepset::SERVICE;
use crate::support::{Fault, Faults, Invocation, Target, World};

async fn world() -> World {
    World::builder().provider(&SERVICE).start().await
}

#[tokio::test]
async fn the_successor_has_the_same_role_and_workspaces() {
    let world = world().await;
    let ran = rotates(&world, "rotated").await;
    let newest = world.newest().unwrap();
    assert_eq!(newest.raw["workspaces"], json!(["prod", "dev"]));
    assert_eq!(newest.raw["organization_role"], "MEMBER");
    assert_eq!(newest.raw["personal"], false);
    assert!(newest.name().starts_with("ci-ingest xf1.4z5cgu75fe."), "{}", newest.name());
    assert_eq!(ran.rotation()["token"]["id"], newest.id, "found by name and mask");
    assert_eq!(ran.rotation()["token"]["expires_at"], "2026-05-31T09:00:00Z");
    assert_sound(&world, &ran);
}

#[tokio::test]
async fn a_token_for_all_workspaces_stays_one() {
    let original = (SERVICE.admin)("ci-ingest").with("personal", json!(true));
    let world = World::builder().provider(&SERVICE).original(original).start().await;
    let ran = rotates(&world, "rotated").await;
    let newest = world.newest().unwrap();
    assert!(!newest.raw.contains_key("workspaces"));
    assert_eq!(newest.raw["personal"], true, "the old one is personal");
    assert_sound(&world, &ran);
}

#[tokio::test]
async fn a_creation_that_shows_everything_needs_no_list() {
    let world = world().await;
    world.provider.switch(|switches| switches.whole_reply = true);
    let ran = rotates(&world, "rotated").await;
    let lists = world.provider.requests().into_iter().filter(|r| r.line() == "GET /api/v1/token").count();
    assert_eq!(lists, 2, "before the mint, and for rivals");
    assert_sound(&world, &ran);
}

#[tokio::test]
async fn a_new_token_that_the_list_does_not_show_yet_is_replaced_and_ended() {
    let world = world().await;
    world.provider.switch(|switches| switches.new_token_hidden_lists = 2);
    let ran = Invocation::rotate(&world).arg("--request-timeout", "2s").arg("--format", "json").run().await;
    assert_eq!(world.unaccepted(), Vec::<String>::new());
    assert_eq!(ran.exit_code, 1, "each of three attempts: {}", ran.everything());
    world.provider.switch(|switches| switches.new_token_hidden_lists = 0);
    world.advance(SignedDuration::from_hours(1));
    let ran = rotates(&world, "rotated").await;
    assert_sound(&world, &ran);
    world.advance_days(8);
    rotates(&world, "fresh").await;
    assert_eq!(world.uncollected(), Vec::<String>::new());
}

/// It was minted, and its value with it: that the list is refused refuses nothing.
#[tokio::test]
async fn a_creation_whose_token_cannot_be_looked_up_is_no_refusal() {
    let world = world().await;
    let faults = Faults::none();
    let front = world.behind(&faults);
    let refused = Fault::Status { code: 403, processed: false };
    let lists = Target::matching(|request| request.n > 4 && request.path.starts_with("/api/v1/token?"));
    faults.inject_times(lists, refused, 100);
    let run = Invocation::of("rotate").scene(&world, front.github.url(), front.provider.url());
    let ran = run.arg("--request-timeout", "500ms").arg("--format", "json").run().await;
    let error = ran.rotation()["error"].to_string();
    assert!(error.contains("did not confirm a new token after 1 attempt:"), "{error}");
    assert_eq!(world.marked_tokens().len(), 1);
}

#[tokio::test]
async fn the_old_token_is_deleted_after_the_overlap() {
    let world = World::builder().provider(&SERVICE).expires_in_days(12).start().await;
    rotates(&world, "rotated").await;
    world.advance(SignedDuration::from_hours(7 * 24 - 1));
    let ran = rotates(&world, "fresh").await;
    assert_eq!(ran.rotation()["retired"], json!([]));
    let old = &ran.rotation()["tokens"][1];
    let dates = [&old["retire_at"], &old["ends_at"]];
    assert_eq!(dates, ["2026-03-09T09:00:00Z", "2026-03-14T08:00:00Z"], "a run comes first");
    assert!(world.provider.is_accepted(&world.original.value));
    world.advance(SignedDuration::from_hours(1));
    let ran = rotates(&world, "fresh").await;
    assert_eq!(ran.rotation()["retired"], json!([world.original.id]));
    assert!(world.provider.token(&world.original.id).unwrap().deleted);
    assert_sound(&world, &ran);
}

#[tokio::test]
async fn an_old_token_that_ends_first_needs_no_retirement() {
    let world = World::builder().provider(&SERVICE).expires_in_days(3).start().await;
    let ran = rotates(&world, "rotated").await;
    assert_eq!(ran.rotation()["previous"]["valid_until"], "2026-03-05T08:00:00Z", "its own end comes first");
    world.advance_days(8);
    let ran = rotates(&world, "fresh").await;
    assert_eq!(ran.rotation()["retired"], json!([]));
}

#[tokio::test]
async fn a_token_rotates_itself() {
    let world = World::builder().provider(&SERVICE).original((SERVICE.admin)("ci-ingest")).start().await;
    let itself = Invocation::rotate(&world).env("CROSSFADE_PROVIDER_TOKEN", &world.original.value);
    let ran = itself.arg("--format", "json").run().await;
    assert_eq!(ran.rotation()["probe"], "verified", "{}", ran.everything());
    assert_sound(&world, &ran);
}

#[tokio::test]
async fn a_missing_workspace_is_reported_with_its_field() {
    let original = (SERVICE.ordinary)("ci-ingest").with("workspaces", json!(["closed"]));
    let world = World::builder().provider(&SERVICE).original(original).start().await;
    let ran = rotate(&world).await;
    let error = ran.rotation()["error"].to_string();
    assert!(error.contains("body.workspaces: there is no such workspace"), "{error}");
}
