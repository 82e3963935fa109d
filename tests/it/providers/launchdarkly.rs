//! LaunchDarkly: the same token gets a new value.

use jiff::SignedDuration;
use serde_json::json;

use super::{assert_sound, rotate, rotates};
use crate::support::github::On;
use crate::support::provider::launchdarkly::SERVICE;
use crate::support::{Fault, Faults, Invariant, Invocation, Ran, Target, World};

async fn world() -> World {
    World::builder().provider(&SERVICE).destination_count(2).start().await
}

/// The lines of the requests that change something.
fn changes(world: &World) -> Vec<String> {
    let requests = world.provider.requests().into_iter().filter(|request| request.method != "GET");
    requests.map(|request| request.line()).collect()
}

/// One run whose requests of a kind meet a fault, once.
async fn struck(world: &World, method: &str, path_part: &str, fault: Fault) -> Ran {
    let faults = Faults::none();
    let front = world.behind(&faults);
    faults.inject(Target::on(method, path_part), fault);
    let invocation = Invocation::of("rotate").scene(world, front.github.url(), front.provider.url());
    invocation.arg("--request-timeout", "2s").arg("--format", "json").run().await
}

#[tokio::test]
async fn the_token_keeps_its_id_and_gets_a_marker_before_its_value() {
    let world = world().await;
    let ran = rotates(&world, "rotated").await;
    let id = &world.original.id;
    assert_eq!(
        changes(&world),
        [format!("PATCH /api/v2/tokens/{id}"), format!("POST /api/v2/tokens/{id}/reset")]
    );
    let newest = world.newest().unwrap();
    assert_eq!(newest.id, *id);
    assert_ne!(newest.value, world.original.value);
    assert!(
        newest.name().starts_with("ci-ingest [crossfade acme/infra/ci-ingest 2026-"),
        "{}",
        newest.name()
    );
    let reset =
        world.provider.requests().into_iter().find(|request| request.line().ends_with("reset")).unwrap();
    assert_eq!(reset.query, "expiry=1773046800000", "7 days from now");
    assert_eq!(reset.header("authorization").unwrap(), world.admin.value, "no scheme");
    assert_eq!(ran.rotation()["probe"], "verified", "anybody may ask who they are");
    assert_eq!(ran.rotation()["previous"], json!({"id": id, "valid_until": "2026-03-09T09:00:00Z"}));
    assert_sound(&world, &ran);
}

#[tokio::test]
async fn the_value_before_ends_with_the_overlap_and_the_token_is_never_ended() {
    let world = world().await;
    world.watch(&[Invariant::Accepted, Invariant::OneWindow]);
    rotates(&world, "rotated").await;
    world.advance(SignedDuration::from_hours(7 * 24 - 1));
    assert!(world.provider.is_accepted(&world.original.value));
    world.advance(SignedDuration::from_hours(1));
    assert!(!world.provider.is_accepted(&world.original.value));
    for _ in 0..3 {
        world.advance_days(76);
        let ran = rotates(&world, "rotated").await;
        assert_eq!(ran.rotation()["reason"], "due");
        assert_eq!(ran.rotation()["retired"], json!([]));
        assert_eq!(world.newest().unwrap().id, world.original.id, "reset again, long after");
        assert_sound(&world, &ran);
    }
    world.assert_unbroken();
}

#[tokio::test]
async fn within_an_overlap_the_successor_is_a_new_token() {
    let world = world().await;
    world.watch(&[Invariant::Accepted]);
    world.github.break_scope("acme/service-1", On::Writes, 500);
    let ran = Invocation::rotate(&world).arg("--request-timeout", "1s").arg("--format", "json").run().await;
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    let first = world.newest().unwrap();
    world.github.mend_scope("acme/service-1");
    world.advance_days(1);
    let ran = rotates(&world, "rotated").await;
    assert_eq!(ran.rotation()["reason"], "undelivered");
    let second = world.newest().unwrap();
    assert_ne!(second.id, first.id, "a reset might have ended the value that acme/service-1 held");
    assert!(world.provider.is_accepted(&world.original.value) && world.provider.is_accepted(&first.value));
    assert_eq!(ran.rotation()["previous"]["valid_until"], "2026-03-10T09:00:00Z");
    assert_sound(&world, &ran);
    world.advance_days(7);
    let ran = rotates(&world, "fresh").await;
    assert_eq!(ran.rotation()["retired"], json!([first.id]));
    world.advance_days(70);
    rotates(&world, "rotated").await;
    assert_eq!(world.newest().unwrap().id, second.id, "from now on this one is reset");
    world.assert_unbroken();
}

#[tokio::test]
async fn whatever_is_lost_no_held_value_ends() {
    let lost = [
        ("PATCH", "tokens/", Fault::CloseAfter),
        ("PATCH", "tokens/", Fault::CloseBefore),
        ("POST", "reset", Fault::CloseAfter),
        ("POST", "reset", Fault::CloseBefore),
        ("POST", "reset", Fault::WrongJson),
        ("POST", "reset", Fault::TooMany { retry_after: None }),
    ];
    for (method, path_part, fault) in lost {
        let world = world().await;
        world.watch(&[Invariant::Accepted]);
        let ran = struck(&world, method, path_part, fault.clone()).await;
        assert_eq!(ran.exit_code, 0, "{method} {path_part} {fault}: {}", ran.everything());
        assert!(world.provider.is_accepted(&world.original.value), "{method} {fault}: the overlap");
        assert_sound(&world, &ran);
        let resets = changes(&world).into_iter().filter(|line| line.ends_with("reset")).count();
        assert!(resets <= 1, "{method} {fault}: {}", world.journal.text());
        for _ in 0..16 {
            world.advance_days(1);
            rotates(&world, "fresh").await;
        }
        assert_eq!(world.uncollected(), Vec::<String>::new(), "{method} {fault}");
        world.assert_unbroken();
    }
}

#[tokio::test]
async fn a_run_that_ended_between_marker_and_value_is_finished_by_the_next() {
    let world = world().await;
    world.watch(&[Invariant::Accepted]);
    let now = world.clock.now();
    let until = now.checked_add(SignedDuration::from_mins(2)).unwrap();
    let name = format!("ci-ingest [crossfade {} {now} until {until} nonce abc.1]", world.key);
    world.provider.edit(&world.original.id, |token| drop(token.raw.insert("name".into(), json!(name))));
    let ran = rotate(&world).await;
    assert_eq!(ran.rotation()["reason"], "in_flight", "{}", ran.everything());
    world.advance(SignedDuration::from_hours(1));
    let ran = rotates(&world, "rotated").await;
    assert!(world.provider.is_accepted(&world.original.value), "it was held until now");
    assert_sound(&world, &ran);
    world.advance_days(8);
    rotates(&world, "fresh").await;
    assert_eq!(world.uncollected(), Vec::<String>::new());
    world.assert_unbroken();
}

#[tokio::test]
async fn of_two_runs_at_once_one_gets_through() {
    let world = world().await;
    world.watch(&[Invariant::Accepted]);
    let (one, other) = tokio::join!(rotate(&world), rotate(&world));
    let codes = [one.exit_code, other.exit_code];
    assert!(codes.contains(&0), "{}\n{}", one.everything(), other.everything());
    let resets = changes(&world).into_iter().filter(|line| line.ends_with("reset")).count();
    assert_eq!(resets, 1, "{}", world.journal.text());
    assert_eq!(world.undelivered(), Vec::<String>::new());
    world.assert_unbroken();
}

#[tokio::test]
async fn a_value_that_is_not_accepted_ends_nothing() {
    let world = world().await;
    world.watch(&[Invariant::Accepted]);
    world.provider.switch(|switches| switches.newborn_refused_uses = 1_000);
    let ran = Invocation::rotate(&world).arg("--request-timeout", "1s").arg("--format", "json").run().await;
    let error = ran.rotation()["error"].to_string();
    assert!(error.contains("the same token as before with a new value"), "{error}");
    assert!(!world.provider.token(&world.original.id).unwrap().deleted);
    assert!(world.provider.is_accepted(&world.original.value));
    world.provider.switch(|switches| switches.newborn_refused_uses = 0);
    world.advance(SignedDuration::from_hours(1));
    let ran = rotates(&world, "rotated").await;
    assert_sound(&world, &ran);
    world.assert_unbroken();
}

#[tokio::test]
async fn refused_everywhere_ends_nothing() {
    let world = world().await;
    world.watch(&[Invariant::Accepted]);
    for repository in ["acme/infra", "acme/service-1"] {
        world.github.break_scope(repository, On::Writes, 403);
    }
    let ran = rotate(&world).await;
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    assert!(!changes(&world).iter().any(|line| line.starts_with("DELETE")), "{}", world.journal.text());
    world.github.mend();
    world.advance_days(1);
    let ran = rotates(&world, "rotated").await;
    assert_sound(&world, &ran);
    world.assert_unbroken();
}

#[tokio::test]
async fn a_short_overlap_never_deletes_the_token_itself() {
    let world = world().await;
    let ran = Invocation::rotate(&world).arg("--overlap", "1s").arg("--format", "json").run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    world.advance_days(1);
    rotates(&world, "fresh").await;
    assert!(!world.provider.token(&world.original.id).unwrap().deleted);
    assert_eq!(world.unaccepted(), Vec::<String>::new());
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
async fn an_unreadable_destination_does_not_let_another_one_die() {
    let world = world().await;
    world.watch(&[]);
    world.github.break_secret("acme/infra:AXIOM_TOKEN", On::Writes, 404);
    assert_eq!(rotate(&world).await.exit_code, 1, "acme/infra still holds the value before");
    world.github.mend();
    world.github.break_scope("acme/service-1", On::All, 404);
    world.advance_days(1);
    let ran = rotate(&world).await;
    assert_eq!(ran.exit_code, 1, "one is unreadable: {}", ran.everything());
    assert_eq!(ran.rotation()["destinations"][0]["outcome"], "written");
    world.advance_days(8);
    assert!(world.provider.is_accepted(&world.github.secret("acme/infra:AXIOM_TOKEN").unwrap().value));
}

#[tokio::test]
async fn a_use_after_the_delivery_is_told_when_the_token_is_deleted() {
    let world = world().await;
    rotates(&world, "rotated").await;
    world.advance_days(1);
    let forced = Invocation::rotate(&world).flag("--force").run().await;
    assert_eq!(forced.exit_code, 0, "{}", forced.everything());
    let used_at = "2026-03-05T12:00:00Z".parse().unwrap();
    world.provider.edit(&world.original.id, |token| token.last_used_at = Some(used_at));
    world.advance_days(8);
    let ran = rotates(&world, "fresh").await;
    assert!(world.provider.token(&world.original.id).unwrap().deleted);
    let warnings = ran.rotation()["warnings"].to_string();
    assert!(warnings.contains("was last used at 2026-03-05T12:00:00Z"), "{warnings}");
    assert!(warnings.contains("It is deleted"), "{warnings}");
}
