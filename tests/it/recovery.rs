//! What goes wrong in one run, and what becomes of it: in the same run where that
//! is possible, else in the next. One test for each promise.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::scene::{Credential, IMPATIENT, PATIENT, Scene};
use crate::support::axiom::TokenSpec;
use crate::support::github::On;
use crate::support::proxy::{Gate, When};
use crate::support::world::Builder;
use crate::support::{Fault, Ran, Side, Target, World};

const SECRET: &str = "acme/infra:AXIOM_TOKEN";
const OTHER: &str = "acme/service-1:AXIOM_TOKEN";

async fn scene(builder: Builder) -> Scene {
    Scene::new(builder.start().await, Credential::Admin).watch()
}

async fn due() -> Scene {
    scene(World::builder()).await
}

/// A run that meets what was injected.
async fn faulty(scene: &Scene) -> Ran {
    let ran = scene.rotate(IMPATIENT).run().await;
    scene.front.quiet().await;
    assert_eq!(scene.overstated(&ran), Vec::<String>::new());
    ran
}

/// A run of its own, hours later, that puts everything in order.
async fn heals(scene: &Scene) -> Ran {
    scene.later();
    let ran = scene.run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(scene.overstated(&ran), Vec::<String>::new());
    assert_eq!(scene.world.undelivered(), Vec::<String>::new());
    ran
}

/// A run past every overlap; afterwards the newest token is the only one.
async fn collects(scene: &Scene) {
    scene.world.advance_days(8);
    let ran = scene.run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(scene.world.uncollected(), Vec::<String>::new());
    assert_eq!(scene.broken(), Vec::<String>::new());
}

fn minted(scene: &Scene) -> usize {
    // Two were there before.
    scene.world.axiom.tokens().len() - 2
}

fn error(ran: &Ran) -> String {
    let rotation = ran.rotation();
    assert_eq!((ran.exit_code, &rotation["outcome"]), (1, &json!("failed")), "{}", ran.everything());
    rotation["error"].as_str().unwrap().to_owned()
}

/// The requests that wrote a secret.
fn writes(scene: &Scene) -> usize {
    scene.world.github.requests().iter().filter(|request| request.method == "PUT").count()
}

const MINT: (&str, &str) = ("POST", "/regenerate");

#[tokio::test]
async fn a_lost_reply_to_the_mint_is_found_by_its_nonce() {
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
    scene.world.axiom.switch(|switches| switches.newborn_hidden_lists = 9);
    scene.faults.inject(Target::on(MINT.0, MINT.1), Fault::CloseAfter);
    let ran = faulty(&scene).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let [.., original, twin, newest] = &scene.world.axiom.tokens()[..] else { panic!("three tokens") };
    assert_eq!((&twin.parent, &newest.parent), (&Some(original.id.clone()), &Some(original.id.clone())));
    assert!(twin.is_live(scene.world.axiom.now()), "nobody has seen it yet");
    assert_eq!(scene.world.held(SECRET).unwrap().id, newest.id, "the last attempt is the one delivered");
    for token in [twin, newest] {
        scene.world.axiom.edit(&token.id, |token| token.hidden_lists = 0);
    }
    // Nor was the end that the lost request had set put off: `broken` would tell.
    heals(&scene).await;
    collects(&scene).await;
}

#[tokio::test]
async fn what_a_lost_mint_made_is_ended_as_soon_as_it_is_seen() {
    let scene = due().await;
    // Not by those who look for it, but by the list beside the probe.
    scene.world.axiom.switch(|switches| switches.newborn_hidden_lists = 3);
    scene.faults.inject(Target::on(MINT.0, MINT.1), Fault::CloseAfter);
    let ran = faulty(&scene).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let [.., twin, newest] = &scene.world.axiom.tokens()[..] else { panic!("four tokens") };
    assert!(twin.deleted, "{}", scene.world.journal.text());
    assert_eq!(scene.world.held(SECRET).unwrap().id, newest.id);
    scene.world.axiom.edit(&newest.id, |token| token.hidden_lists = 0);
    collects(&scene).await;
}

#[tokio::test]
async fn where_github_cannot_be_reached_that_is_what_is_said() {
    let scene = due().await;
    scene.faults.inject_times(Target::side(Side::Github), Fault::CloseBefore, 100);
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains(&format!("{SECRET} could not be read or prepared")), "{}", ran.everything());
}

fn mints(scene: &Scene) -> usize {
    scene.faults.passed().iter().filter(|request| request.method == "POST").count()
}

#[tokio::test]
async fn a_mint_that_never_arrives_is_tried_three_times() {
    let scene = due().await;
    scene.faults.inject_times(Target::on(MINT.0, MINT.1), Fault::CloseBefore, 100);
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("no successor came of 3 requests"), "{}", ran.everything());
    assert_eq!((mints(&scene), minted(&scene)), (3, 0));
    heals(&scene).await;
}

#[tokio::test]
async fn what_the_provider_refuses_of_a_living_token_is_not_created_instead() {
    for code in [404, 409, 422] {
        let scene = due().await;
        scene.faults.inject(Target::on(MINT.0, MINT.1), Fault::Status { code, processed: false });
        let ran = faulty(&scene).await;
        assert!(error(&ran).contains("refused to mint"), "{code}: {}", ran.everything());
        assert_eq!((mints(&scene), minted(&scene)), (1, 0), "{code}");
    }
}

#[tokio::test]
async fn without_a_list_to_look_in_a_mint_is_not_repeated() {
    let scene = due().await;
    scene.faults.inject(Target::on(MINT.0, MINT.1), Fault::CloseAfter);
    let after_the_mint = |n: usize| Target::matching(move |it| it.n > n && it.method == "GET");
    scene.faults.inject_times(after_the_mint(3), Fault::Status { code: 500, processed: false }, 100);
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("no successor came of 1 request"), "{}", ran.everything());
    assert_eq!((minted(&scene), writes(&scene)), (1, 0));
    heals(&scene).await;
    collects(&scene).await;
}

#[tokio::test]
async fn a_provider_that_asks_for_much_patience_is_not_asked_again() {
    let scene = due().await;
    scene.faults.inject_times(Target::on(MINT.0, MINT.1), Fault::TooMany { retry_after: Some(600) }, 9);
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("no successor came of 1 request"), "{}", ran.everything());
    assert_eq!(
        scene.faults.passed().len(),
        4,
        "two readings, a key and the mint: {:?}",
        scene.faults.passed()
    );
    heals(&scene).await;
}

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

/// The other run may write at any moment, so what its destinations hold is not told.
#[tokio::test]
async fn while_another_run_is_at_work_nothing_is_claimed() {
    let scene = scene(World::builder().destination_count(2)).await;
    scene.run().await;
    scene.world.advance_days(80);
    killed(&scene, Target::on("PUT", "service-1"), When::Before).await;
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("may still be delivering it"), "{}", ran.everything());
    let rotation = ran.rotation();
    let behind = rotation["destinations"].as_array().unwrap().iter().find(|it| it["destination"] == OTHER);
    assert_eq!((&behind.unwrap()["outcome"], &behind.unwrap()["holds"]), (&json!("unknown"), &json!(null)));
    let advice = rotation["next_step"].as_str().unwrap();
    assert!(advice.contains(&format!("What {OTHER} holds cannot be told")), "{advice}");
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
    scene.world.github.mend();
    heals(&scene).await;
    assert!(scene.world.axiom.is_accepted(&half.value), "whoever read it before may still use it");
    collects(&scene).await;
}

#[tokio::test]
async fn a_newborn_that_needs_time_is_waited_for() {
    let scene = due().await;
    scene.world.axiom.switch(|switches| switches.newborn_refused_uses = 3);
    let ran = faulty(&scene).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(scene.broken(), Vec::<String>::new());
}

#[tokio::test]
async fn a_newborn_that_is_not_accepted_is_withdrawn_before_any_secret_is_touched() {
    let scene = due().await;
    scene.world.axiom.switch(|switches| switches.newborn_refused_for = SignedDuration::from_hours(1));
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("does not accept its value. It was withdrawn. No secret was changed"));
    assert_eq!((minted(&scene), writes(&scene)), (1, 0));
    assert_eq!(scene.world.newest().unwrap().id, scene.world.original.id);
    scene.world.axiom.switch(|switches| switches.newborn_refused_for = SignedDuration::ZERO);
    heals(&scene).await;
    collects(&scene).await;
}

#[tokio::test]
async fn what_every_destination_refuses_is_withdrawn() {
    let scene = scene(World::builder().destination_count(2)).await;
    for scope in ["acme/infra", "acme/service-1"] {
        scene.world.github.break_scope(scope, On::Writes, 403);
    }
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("every destination refused"), "{}", ran.everything());
    assert_eq!(scene.world.newest().unwrap().id, scene.world.original.id);
    scene.world.github.mend();
    heals(&scene).await;
}

/// It looks as if it held the newborn, whose window begins a little earlier.
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

/// The first attempt may have been processed: that the second is refused does not
/// mean that nobody holds the token.
#[tokio::test]
async fn what_a_destination_may_hold_is_not_withdrawn() {
    let scene = due().await;
    let world = scene.world.detached();
    scene.faults.inject(
        Target::on("PUT", "AXIOM_TOKEN"),
        Fault::after(move |_| world.github.break_scope("acme/infra", On::Writes, 403)).and_close(),
    );
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("did not take it"), "{}", ran.everything());
    assert_eq!(scene.world.held(SECRET).unwrap().id, scene.world.newest().unwrap().id);
    scene.world.github.mend();
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
async fn a_secret_that_a_person_wrote_is_written_again_and_what_it_may_hold_lives() {
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
    let forged = |times: &str| {
        TokenSpec::ingest("ci-ingest")
            .description(&format!("[crossfade acme/infra/ci-ingest {times} nonce n.1]"))
    };
    let cases = [
        ("2026-03-09T09:00:00Z until 2026-03-09T09:02:00Z", "a date in the future"),
        ("2026-03-02T08:30:00Z until 2026-03-09T09:00:00Z", "longer than any run of crossfade"),
    ];
    for (times, expected) in cases {
        let scene = due().await;
        scene.world.axiom.add_token(forged(times).expires_in_days(30));
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
    let spec = TokenSpec::admin("ci-ingest").expires_in_days(80).description(
        "[crossfade acme/infra/ci-ingest 2026-03-02T10:00:00Z until 2026-03-02T10:02:00Z nonce forged.1]",
    );
    let forged = scene.world.axiom.add_token(spec);
    let ran = scene.rotate(IMPATIENT).flag("--force").run().await;
    let said = error(&ran);
    assert!(said.contains(&forged.id) && said.contains("privileges differ"), "{said}");
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
    assert_eq!(ran.rotation()["reason"], "undelivered", "nobody knows which of the two is held");
    for token in [newest, copy] {
        assert!(scene.world.axiom.is_accepted(&token.value), "{}", token.id);
    }
    collects(&scene).await;
}

#[tokio::test]
async fn a_newborn_with_other_privileges_is_withdrawn() {
    let scene = due().await;
    scene.world.axiom.switch(|switches| {
        switches.alter_newborn = Some(Arc::new(|raw| {
            raw.insert("orgCapabilities".to_owned(), json!({ "apiTokens": ["create"] }));
        }));
    });
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("its privileges are not those of its predecessor. It was withdrawn"));
    assert_eq!(writes(&scene), 0);
    scene.world.axiom.switch(|switches| switches.alter_newborn = None);
    heals(&scene).await;
}

#[tokio::test]
async fn a_newborn_whose_marker_was_not_kept_is_withdrawn() {
    let scene = due().await;
    scene.world.axiom.switch(|switches| {
        switches.alter_newborn = Some(Arc::new(|raw| {
            raw.insert("description".to_owned(), json!("shortened"));
        }));
    });
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("did not keep its marker"), "{}", ran.everything());
    assert_eq!(scene.world.axiom.live_tokens().len(), 2);
}

#[tokio::test]
async fn a_lifetime_that_the_provider_caps_is_told_or_refused() {
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
async fn with_a_clock_that_is_wrong_nothing_is_minted() {
    for (side, minutes) in [(Side::Github, 7), (Side::Github, -7), (Side::Provider, 7), (Side::Provider, -7)]
    {
        let scene = due().await;
        let skew = SignedDuration::from_mins(minutes);
        match side {
            Side::Github => scene.world.github.set_clock(|clock| clock.skew = skew),
            Side::Provider => scene.world.axiom.set_clock(|clock| clock.skew = skew),
        }
        let ran = faulty(&scene).await;
        assert!(error(&ran).contains("clock is"), "{side} {minutes}: {}", ran.everything());
        assert!(ran.everything().contains("Set the clock that is wrong"), "{side} {minutes}");
        assert_eq!(minted(&scene), 0, "{side} {minutes}");
    }
}

#[tokio::test]
async fn another_token_without_an_end_stops_nobody() {
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
async fn clocks_may_differ_by_some_minutes() {
    for minutes in [-4, -1, 1, 3, 4] {
        let scene = due().await;
        scene.world.axiom.set_clock(|clock| clock.skew = SignedDuration::from_mins(minutes));
        let ran = faulty(&scene).await;
        assert_eq!(ran.exit_code, 0, "{minutes} minutes: {}", ran.everything());
        heals(&scene).await;
        collects(&scene).await;
    }
}

/// An overlap of nothing still outlives the delivery, by the provider's clock too.
#[tokio::test]
async fn a_short_overlap_never_ends_inside_the_delivery() {
    for minutes in [-4, 0, 4] {
        let scene = due().await.flag("--overlap").flag("0h").flag("--force");
        scene.world.axiom.set_clock(|clock| clock.skew = SignedDuration::from_mins(minutes));
        let ran = faulty(&scene).await;
        assert_eq!(ran.exit_code, 0, "{minutes} minutes: {}", ran.everything());
        assert_eq!(scene.broken(), Vec::<String>::new(), "{minutes} minutes");
    }
}

#[tokio::test]
async fn without_a_date_from_github_nothing_is_minted() {
    let scene = due().await;
    scene.front.github.strip_date(true);
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("sent no date"), "{}", ran.everything());
    assert!(ran.everything().contains("must pass on the header `Date`"), "{}", ran.everything());
    assert_eq!(minted(&scene), 0);
    scene.front.github.strip_date(false);
    scene.front.provider.strip_date(true);
    let ran = heals(&scene).await;
    let warnings = ran.rotation()["warnings"].to_string();
    assert!(warnings.contains("its clock could not be checked"), "{warnings}");
}

#[tokio::test]
async fn one_destination_that_refuses_does_not_stop_the_others() {
    let scene = scene(World::builder().destination_count(3).expires_in_days(12)).await;
    scene.world.github.break_secret(OTHER, On::Writes, 403);
    let ran = faulty(&scene).await;
    let (said, rotation) = (error(&ran), ran.rotation());
    let newest = scene.world.newest().unwrap();
    assert!(said.contains(&format!("token {} was minted, but {OTHER} did not take it", newest.id)), "{said}");
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
            "{OTHER} holds what was there before the first rotation, presumably token {} (until {end})",
            scene.world.original.id
        ),
        "A run after the window mints a successor for all destinations".to_owned(),
    ] {
        assert!(advice.contains(&expected), "{expected:?} is not in {advice:?}");
    }
    scene.world.github.mend();
    heals(&scene).await;
    collects(&scene).await;
}

#[tokio::test]
async fn a_run_that_is_told_to_stop_starts_no_mint() {
    let scene = due().await;
    let gate = Gate::new();
    scene
        .faults
        .inject(Target::on("GET", "/public-key"), Fault::Hold { when: When::Before, gate: gate.clone() });
    let run = scene.rotate(IMPATIENT * 4);
    let (ran, ()) = tokio::join!(run.run_until(gate.reached()), async {
        gate.reached().await;
        gate.open();
    });
    assert!(error(&ran).contains("the run was told to stop"), "{}", ran.everything());
    assert_eq!(minted(&scene), 0);
    heals(&scene).await;
}

/// Whoever cancelled it kills it seconds later: it must have told where it stands.
#[tokio::test]
async fn a_run_that_waits_for_an_answer_is_stopped_at_once() {
    for (method, path) in [("GET", "/v2/tokens"), ("GET", "/actions/secrets"), ("GET", "/public-key")] {
        let scene = due().await;
        let asked = Arc::new(Notify::new());
        let tell = Arc::clone(&asked);
        scene.faults.inject(Target::on(method, path), Fault::before(move |_| tell.notify_one()));
        scene.faults.inject(Target::on(method, path), Fault::NoAnswer { processed: false });
        let began = std::time::Instant::now();
        let ran = scene.rotate(PATIENT).run_until(asked.notified()).await;
        assert!(began.elapsed() < PATIENT / 2, "{path}");
        assert!(error(&ran).contains("the run was told to stop"), "{path}: {}", ran.everything());
        assert_eq!(minted(&scene), 0, "{path}");
        heals(&scene).await;
    }
}

#[tokio::test]
async fn a_mint_under_way_is_finished_and_delivered_when_told_to_stop() {
    let scene = due().await;
    let gate = Gate::new();
    scene.faults.inject(Target::on(MINT.0, MINT.1), Fault::Hold { when: When::After, gate: gate.clone() });
    let run = scene.rotate(IMPATIENT * 4);
    let (ran, ()) = tokio::join!(run.run_until(gate.reached()), async {
        gate.reached().await;
        gate.open();
    });
    assert_eq!((ran.exit_code, &ran.rotation()["outcome"]), (0, &json!("rotated")), "{}", ran.everything());
    assert_eq!(scene.world.undelivered(), Vec::<String>::new());
}

#[tokio::test]
async fn a_lost_mint_is_not_repeated_by_a_run_that_was_told_to_stop() {
    let scene = due().await;
    let stop = Arc::new(Notify::new());
    let tell = Arc::clone(&stop);
    scene.faults.inject(Target::on(MINT.0, MINT.1), Fault::after(move |_| tell.notify_one()).and_close());
    let ran = scene.rotate(IMPATIENT).run_until(stop.notified()).await;
    assert!(error(&ran).contains("no successor came of 1 request"), "{}", ran.everything());
    assert_eq!(minted(&scene), 1);
    heals(&scene).await;
    collects(&scene).await;
}

#[tokio::test]
async fn near_the_deadline_no_mint_is_started() {
    let scene = due().await;
    let ran = scene.rotate(IMPATIENT).arg("--deadline", "1ms").run().await;
    assert!(error(&ran).contains("deadline is near"), "{}", ran.everything());
    assert_eq!(minted(&scene), 0);
}

#[tokio::test]
async fn a_destination_that_keeps_failing_breeds_no_more_than_three_tokens() {
    let scene = scene(World::builder().destination_count(2).expires_in_days(13)).await;
    scene.world.github.break_secret(OTHER, On::Writes, 500);
    for _ in 0..5 {
        assert_eq!(faulty(&scene).await.exit_code, 1);
        scene.later();
    }
    assert_eq!(scene.world.marked_tokens().len(), 3);
    let ran = faulty(&scene).await;
    assert!(
        error(&ran).contains("so no more are minted") && error(&ran).contains(OTHER),
        "{}",
        ran.everything()
    );
    scene.world.github.mend();
    let ran = scene.rotate(IMPATIENT).flag("--force").run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(scene.world.undelivered(), Vec::<String>::new());
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

    let scene = due().await.flag("--overlap").flag("0h").flag("--force");
    let ran = faulty(&scene).await;
    assert_eq!((ran.exit_code, &ran.rotation()["retired"]), (0, &json!([scene.world.original.id])));
    let passed: Vec<String> = scene.faults.passed().iter().map(|request| request.method.clone()).collect();
    assert_eq!(passed[passed.len() - 2..], ["PUT", "DELETE"]);
}

#[tokio::test]
async fn an_emergency_without_the_right_to_delete_is_told() {
    let scene = due().await.flag("--overlap").flag("0h").flag("--force");
    scene.world.axiom.switch(|switches| switches.refuse_delete = true);
    let ran = faulty(&scene).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert!(ran.rotation()["warnings"].to_string().contains("could not be ended"), "{}", ran.everything());
    let end = scene.world.axiom.token(&scene.world.original.id).unwrap().expires_at.unwrap();
    assert!(end.duration_since(scene.world.axiom.now()) < SignedDuration::from_mins(10), "it ends by itself");
}

#[tokio::test]
async fn a_newborn_that_cannot_be_withdrawn_is_told_and_ended_by_the_next_run() {
    let scene = due().await;
    scene.world.axiom.switch(|switches| {
        switches.newborn_refused_for = SignedDuration::from_mins(10);
        switches.refuse_delete = true;
    });
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("It could not be withdrawn"), "{}", ran.everything());
    let leftover = scene.world.newest().unwrap();
    scene.world.axiom.switch(|switches| switches.newborn_refused_for = SignedDuration::ZERO);
    heals(&scene).await;
    assert!(!scene.world.axiom.is_accepted(&leftover.value));
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

/// A run that dies at a request.
async fn killed(scene: &Scene, target: Target, when: When) {
    let killed = Arc::new(Notify::new());
    let kill = Arc::clone(&killed);
    let act = move |_: &_| kill.notify_one();
    let hook = if when == When::Before { Fault::before(act) } else { Fault::after(act) };
    scene.faults.inject(target, hook.and_close());
    scene.rotate(IMPATIENT).run_or_die(killed.notified()).await;
    scene.front.quiet().await;
}
