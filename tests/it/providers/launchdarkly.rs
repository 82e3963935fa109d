//! LaunchDarkly: create, then delete.

use jiff::SignedDuration;
use serde_json::json;

use super::{assert_sound, rotates};
use crate::support::provider::launchdarkly::SERVICE;
use crate::support::{Invariant, Invocation, World};

async fn world() -> World {
    World::builder().provider(&SERVICE).destination_count(2).start().await
}

/// The lines of the requests that change something.
fn changes(world: &World) -> Vec<String> {
    let requests = world.provider.requests().into_iter().filter(|request| request.method != "GET");
    requests.map(|request| request.line()).collect()
}

#[tokio::test]
async fn the_next_token_is_created_with_the_marker_in_its_name() {
    let world = world().await;
    let ran = rotates(&world, "rotated").await;
    assert_eq!(changes(&world)[0], "POST /api/v2/tokens");
    let newest = world.newest().unwrap();
    assert_ne!(newest.id, world.original.id);
    assert!(newest.name().starts_with("ci-ingest "), "{}", newest.name());
    assert_eq!(newest.marker().unwrap().key, world.key);
    let created = world.provider.requests().into_iter().find(|request| request.method == "POST").unwrap();
    assert_eq!(created.header("authorization").unwrap(), world.admin.value, "no scheme");
    assert_eq!(ran.rotation()["probe"], "verified", "every token may ask who it is");
    assert_eq!(
        ran.rotation()["previous"],
        json!({"id": world.original.id, "valid_until": "2026-03-09T09:00:00Z"})
    );
    assert_sound(&world, &ran);
}

#[tokio::test]
async fn the_previous_token_is_deleted_after_the_overlap() {
    let world = world().await;
    world.watch(&[Invariant::Accepted, Invariant::OneWindow]);
    rotates(&world, "rotated").await;
    world.advance(SignedDuration::from_hours(7 * 24 - 1));
    rotates(&world, "fresh").await;
    assert!(world.provider.is_accepted(&world.original.value));
    world.advance(SignedDuration::from_hours(1));
    let ran = rotates(&world, "fresh").await;
    assert_eq!(ran.rotation()["retired"], json!([world.original.id]));
    assert!(world.provider.token(&world.original.id).unwrap().deleted);
    world.assert_unbroken();
}

#[tokio::test]
async fn a_token_rotates_itself() {
    let world = World::builder().provider(&SERVICE).original((SERVICE.admin)("ci-ingest")).start().await;
    let itself = Invocation::rotate(&world).env("CROSSFADE_PROVIDER_TOKEN", &world.original.value);
    let ran = itself.arg("--format", "json").run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_sound(&world, &ran);
}

#[tokio::test]
async fn a_use_after_the_delivery_is_reported_when_the_token_is_deleted() {
    let world = world().await;
    rotates(&world, "rotated").await;
    let used_at = "2026-03-05T12:00:00Z".parse().unwrap();
    world.provider.edit(&world.original.id, |token| token.last_used_at = Some(used_at));
    world.advance_days(8);
    let ran = rotates(&world, "fresh").await;
    assert!(world.provider.token(&world.original.id).unwrap().deleted);
    let warnings = ran.rotation()["warnings"].to_string();
    assert!(warnings.contains("was last used at 2026-03-05T12:00:00Z"), "{warnings}");
    assert!(warnings.contains("It is deleted"), "{warnings}");
}
