//! LaunchDarkly: create the next token, then give the previous one an expiry.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{assert_sound, rotate, rotates};
use crate::support::github::On;
use crate::support::marker::key_of;
use crate::support::provider::launchdarkly::SERVICE;
use crate::support::provider::{FakeToken, TokenSpec};
use crate::support::{Fault, Faults, Invariant, Invocation, Target, World};

/// Seven days after the run at 09:00.
const OVERLAP_ENDS: &str = "2026-03-09T09:00:00Z";

/// A token that is due, and would outlive the overlap.
async fn world() -> World {
    World::builder().provider(&SERVICE).destination_count(2).expires_in_days(12).start().await
}

/// The requests that change something: their lines, and their bodies.
fn changes(world: &World) -> Vec<(String, Value)> {
    let requests = world.provider.requests().into_iter().filter(|request| request.method != "GET");
    requests.map(|one| (one.line(), serde_json::from_slice(&one.body).unwrap_or_default())).collect()
}

fn lines(world: &World) -> Vec<String> {
    changes(world).into_iter().map(|(line, _)| line).collect()
}

fn original(world: &World) -> FakeToken {
    world.provider.token(&world.original.id).unwrap()
}

fn at(text: &str) -> Option<Timestamp> {
    Some(text.parse().unwrap())
}

#[tokio::test]
async fn the_next_token_is_created_with_its_expiry() {
    let world = world().await;
    let ran = rotates(&world, "rotated").await;
    let (line, body) = changes(&world).swap_remove(0);
    assert_eq!(line, "POST /api/v2/tokens");
    assert_eq!(body["expiry"], json!(at("2026-05-31T09:00:00Z").unwrap().as_millisecond()), "in 90 days");
    let newest = world.newest().unwrap();
    assert_ne!(newest.id, world.original.id);
    assert_eq!(newest.expires_at, at("2026-05-31T09:00:00Z"));
    assert!(newest.name().starts_with("ci-ingest "), "{}", newest.name());
    assert_eq!(newest.marker().unwrap().key, key_of(&world.key));
    assert_eq!(ran.rotation()["token"]["expires_at"], "2026-05-31T09:00:00Z");
    assert_eq!(ran.rotation()["probe"], "verified", "every token may ask who it is");
    for request in world.provider.requests() {
        assert_eq!(request.header("ld-api-version"), Some("20240415"), "{}", request.line());
        let value = request.header("authorization").unwrap();
        assert!([&world.admin.value, &newest.value].iter().any(|known| *known == value), "no scheme");
    }
    assert_sound(&world, &ran);
}

#[tokio::test]
async fn a_token_that_ends_tomorrow_is_due_whatever_its_age() {
    let world = World::builder().provider(&SERVICE).expires_in(Some(SignedDuration::from_hours(25)));
    let world = world.start().await;
    let ran = Invocation::rotate(&world).arg("--lifetime", "365d").arg("--format", "json").run().await;
    assert_eq!(ran.rotation()["reason"], "due", "{}", ran.everything());
    assert_eq!(world.newest().unwrap().expires_at, at("2027-03-02T09:00:00Z"));
    assert_sound(&world, &ran);
}

#[tokio::test]
async fn after_the_delivery_the_previous_token_is_given_an_expiry() {
    for lifetime in [Some(SignedDuration::from_hours(12 * 24)), None] {
        let world = World::builder().provider(&SERVICE).destination_count(2).expires_in(lifetime);
        let world = world.start().await;
        world.watch(&[Invariant::Accepted, Invariant::OneWindow]);
        let ran = rotates(&world, "rotated").await;
        let patch = format!("PATCH /api/v2/tokens/{}", world.original.id);
        let end = at(OVERLAP_ENDS).unwrap().as_millisecond();
        assert_eq!(changes(&world)[1..], [(patch, json!([{"op": "add", "path": "/expiry", "value": end}]))]);
        assert_eq!(original(&world).expires_at, at(OVERLAP_ENDS));
        assert_eq!(ran.rotation()["previous"], json!({"id": world.original.id, "valid_until": OVERLAP_ENDS}));
        assert_eq!(ran.rotation()["retired"], json!([]), "it still works");
        assert_sound(&world, &ran);
        for _ in 0..6 {
            world.advance_days(1);
            world.provider.forget_requests();
            let ran = rotates(&world, "fresh").await;
            assert_eq!(world.provider.requests().len(), 1, "a fresh day costs one list");
            assert_eq!(ran.rotation()["previous"]["valid_until"], OVERLAP_ENDS);
        }
        assert!(world.provider.is_accepted(&world.original.value));
        world.advance_days(1);
        assert!(!world.provider.is_accepted(&world.original.value));
        let ran = rotates(&world, "fresh").await;
        assert_eq!((lines(&world), &ran.rotation()["retired"]), (Vec::new(), &json!([])));
        assert_eq!(world.uncollected(), Vec::<String>::new());
        world.assert_unbroken();
    }
}

#[tokio::test]
async fn an_earlier_end_of_the_previous_token_is_left_alone() {
    let world = World::builder().provider(&SERVICE).expires_in_days(5).start().await;
    let ran = rotates(&world, "rotated").await;
    assert_eq!(lines(&world), ["POST /api/v2/tokens"]);
    assert_eq!(ran.rotation()["previous"]["valid_until"], "2026-03-07T08:00:00Z");
    assert_sound(&world, &ran);
}

#[tokio::test]
async fn a_later_run_sets_the_expiry_once_the_last_destination_was_served() {
    let world = world().await;
    world.watch(&[Invariant::Accepted]);
    world.github.break_scope("acme/service-1", On::Writes, 404);
    let ran = rotate(&world).await;
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    let first = world.newest().unwrap();
    assert_eq!(lines(&world), ["POST /api/v2/tokens"], "a destination still holds the previous token");
    world.github.mend_scope("acme/service-1");
    world.advance_days(1);
    let ran = rotates(&world, "rotated").await;
    assert_eq!(original(&world).expires_at, at("2026-03-10T09:00:00Z"));
    assert_eq!(world.provider.token(&first.id).unwrap().expires_at, at("2026-03-10T09:00:00Z"));
    assert_sound(&world, &ran);
    world.assert_unbroken();
}

#[tokio::test]
async fn a_previous_token_whose_expiry_cannot_be_set_is_deleted_after_the_overlap() {
    let world = world().await;
    world.watch(&[Invariant::Accepted, Invariant::OneWindow]);
    world.provider.switch(|switches| switches.refuse_expiry_change = true);
    let ran = rotates(&world, "rotated").await;
    let warning = format!("the expiry of token {} could not be set", world.original.id);
    let warnings = ran.rotation()["warnings"].to_string();
    assert!(warnings.contains(&warning) && warnings.contains("2026-03-09"), "{warnings}");
    assert_eq!(ran.rotation()["previous"]["valid_until"], OVERLAP_ENDS);
    // A server that does not know the field says 200 and changes nothing.
    world.provider.switch(|switches| switches.refuse_expiry_change = false);
    world.provider.switch(|switches| switches.ignore_expiry = true);
    world.advance(SignedDuration::from_hours(7 * 24 - 1));
    let ran = rotates(&world, "fresh").await;
    assert!(ran.rotation()["warnings"].to_string().contains(&warning), "{}", ran.everything());
    assert!(world.provider.is_accepted(&world.original.value));
    world.advance(SignedDuration::from_hours(1));
    let ran = rotates(&world, "fresh").await;
    assert_eq!(ran.rotation()["retired"], json!([world.original.id]));
    assert!(original(&world).deleted);
    world.assert_unbroken();
}

#[tokio::test]
async fn a_server_that_ignores_the_expiry_of_a_new_token_is_named_as_the_cause() {
    let world = world().await;
    world.watch(&[Invariant::Accepted, Invariant::OneWindow]);
    world.provider.switch(|switches| switches.ignore_expiry = true);
    let live = world.provider.live_tokens().len();
    for _ in 0..2 {
        let ran = rotate(&world).await;
        assert_eq!(ran.exit_code, 1, "{}", ran.everything());
        let error = ran.rotation()["error"].to_string();
        assert!(error.contains("it does not show the requested expiry"), "{error}");
        assert!(error.contains("The new token was revoked"), "{error}");
        assert_eq!(world.provider.live_tokens().len(), live, "the new token was revoked");
        assert_eq!(original(&world).expires_at, world.original.expires_at);
        assert_eq!(world.held("acme/infra:AXIOM_TOKEN").unwrap().id, world.original.id);
        world.advance_days(1);
    }
    world.assert_unbroken();
}

#[tokio::test]
async fn an_overlap_of_nothing_ends_the_previous_token_and_advises_to_end_none() {
    let world = world().await;
    let run = || Invocation::rotate(&world).arg("--overlap", "0h").arg("--format", "json");
    let ran = run().run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(ran.rotation()["retired"], json!([world.original.id]));
    assert!(original(&world).deleted);
    assert!(!ran.everything().contains("by hand"), "{}", ran.everything());
    assert_sound(&world, &ran);
}

fn personal(spec: TokenSpec, member: &str) -> TokenSpec {
    spec.with("serviceToken", json!(false)).with("memberId", json!(member))
}

#[tokio::test]
async fn a_personal_token_of_another_member_is_not_used() {
    for member in ["member-1", "member-2"] {
        let world = World::builder().provider(&SERVICE).expires_in_days(12);
        let world = world.original(personal((SERVICE.ordinary)("ci-ingest"), "member-1"));
        let world = world.admin(personal((SERVICE.admin)("crossfade"), member)).start().await;
        let ran = rotate(&world).await;
        if member == "member-1" {
            assert_eq!(ran.exit_code, 0, "{}", ran.everything());
            assert_sound(&world, &ran);
            continue;
        }
        assert_eq!(ran.exit_code, 1, "{}", ran.everything());
        let error = ran.rotation()["error"].to_string();
        assert!(error.contains("privileges differ from those of the previous token (memberId)"), "{error}");
        assert_eq!(world.provider.live_tokens().len(), 2, "the new token was revoked");
        assert_eq!(original(&world).expires_at, world.original.expires_at);
        assert_eq!(world.unaccepted(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_service_token_is_rotated_by_a_credential_of_any_member() {
    let admin = (SERVICE.admin)("crossfade").with("memberId", json!("member-2"));
    let world = World::builder().provider(&SERVICE).expires_in_days(12).admin(admin).start().await;
    rotates(&world, "rotated").await;
    assert_eq!(world.newest().unwrap().raw["memberId"], "member-2");
}

#[tokio::test]
async fn a_previous_token_that_is_gone_needs_no_expiry() {
    let world = world().await;
    let faults = Faults::none();
    let front = world.behind(&faults);
    let (view, id) = (world.detached(), world.original.id.clone());
    faults.inject(
        Target::on("PATCH", &world.original.id),
        Fault::before(move |_| view.provider.delete_by_hand(&id)),
    );
    let run = Invocation::of("rotate").scene(&world, front.github.url(), front.provider.url());
    let ran = run.arg("--format", "json").run().await;
    assert_eq!((ran.exit_code, &ran.rotation()["warnings"]), (0, &json!([])), "{}", ran.everything());
    assert!(original(&world).deleted);
}

#[tokio::test]
async fn a_token_that_rotates_itself_is_given_its_expiry_by_the_next_run() {
    let world = World::builder().provider(&SERVICE).expires_in_days(12);
    let world = world.original((SERVICE.admin)("ci-ingest")).start().await;
    let run = async |value: &str| {
        let run = Invocation::rotate(&world).env("CROSSFADE_PROVIDER_TOKEN", value);
        let ran = run.arg("--format", "json").run().await;
        assert_eq!((ran.exit_code, &ran.rotation()["warnings"]), (0, &json!([])), "{}", ran.everything());
        ran
    };
    let ran = run(&world.original.value).await;
    assert_eq!(original(&world).expires_at, world.original.expires_at, "it is the credential in use");
    assert_sound(&world, &ran);
    world.advance_days(1);
    run(&world.held("acme/infra:AXIOM_TOKEN").unwrap().value).await;
    assert_eq!(original(&world).expires_at, at(OVERLAP_ENDS));
}

#[tokio::test]
async fn a_use_after_the_delivery_is_reported_when_the_token_is_deleted() {
    let world = world().await;
    world.provider.switch(|switches| switches.refuse_expiry_change = true);
    rotates(&world, "rotated").await;
    let used_at = "2026-03-05T12:00:00Z".parse().unwrap();
    world.provider.edit(&world.original.id, |token| token.last_used_at = Some(used_at));
    world.advance_days(8);
    let ran = rotates(&world, "fresh").await;
    assert!(original(&world).deleted);
    let warnings = ran.rotation()["warnings"].to_string();
    assert!(warnings.contains("was last used at 2026-03-05T12:00:00Z"), "{warnings}");
    assert!(warnings.contains("It is deleted"), "{warnings}");
}
