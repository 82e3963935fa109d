//! Clocks that are wrong, signals, the deadline.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::json;
use tokio::sync::Notify;

use super::*;
use crate::support::clock::DateHeader;

#[tokio::test]
async fn with_a_clock_that_is_wrong_nothing_is_minted() {
    for (peer, minutes) in [(Peer::Github, 7), (Peer::Github, -7), (Peer::Provider, 7), (Peer::Provider, -7)]
    {
        let scene = due().await;
        let skew = SignedDuration::from_mins(minutes);
        match peer {
            Peer::Github => scene.world.github.set_clock(|clock| clock.skew = skew),
            Peer::Provider => scene.world.axiom.set_clock(|clock| clock.skew = skew),
        }
        let ran = faulty(&scene).await;
        assert!(error(&ran).contains("clock is"), "{peer} {minutes}: {}", ran.everything());
        assert!(ran.everything().contains("Set the clock that is wrong"), "{peer} {minutes}");
        assert_eq!(minted(&scene), 0, "{peer} {minutes}");
    }
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
    scene.world.github.set_clock(|clock| clock.header = DateHeader::Missing);
    let ran = faulty(&scene).await;
    assert!(error(&ran).contains("have no `Date` header"), "{}", ran.everything());
    assert!(ran.everything().contains("pass on the `Date` header"), "{}", ran.everything());
    assert_eq!(minted(&scene), 0);
    scene.world.github.set_clock(|clock| clock.header = DateHeader::Right);
    scene.world.provider.set_clock(|clock| clock.header = DateHeader::Missing);
    let ran = heals(&scene).await;
    let warnings = ran.rotation()["warnings"].to_string();
    assert!(warnings.contains("its clock could not be checked"), "{warnings}");
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
    assert!(error(&ran).contains("the run was stopped"), "{}", ran.everything());
    assert_eq!(minted(&scene), 0);
    heals(&scene).await;
}

/// GitHub kills a cancelled job seconds later: by then the run must have reported its
/// state.
#[tokio::test]
async fn a_run_that_waits_for_an_answer_is_stopped_at_once() {
    for (method, path) in [("GET", "/v2/tokens"), ("GET", "/actions/secrets"), ("GET", "/public-key")] {
        let scene = due().await;
        let asked = Arc::new(Notify::new());
        let signal = Arc::clone(&asked);
        scene.faults.inject(Target::on(method, path), Fault::before(move |_| signal.notify_one()));
        scene.faults.inject(Target::on(method, path), Fault::NoAnswer { processed: false });
        let began = std::time::Instant::now();
        let ran = scene.rotate(PATIENT).run_until(asked.notified()).await;
        assert!(began.elapsed() < PATIENT / 2, "{path}");
        assert!(error(&ran).contains("the run was stopped"), "{path}: {}", ran.everything());
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
    let signal = Arc::clone(&stop);
    scene.faults.inject(Target::on(MINT.0, MINT.1), Fault::after(move |_| signal.notify_one()).and_close());
    let ran = scene.rotate(IMPATIENT).run_until(stop.notified()).await;
    assert!(error(&ran).contains("did not confirm a new token after 1 attempt:"), "{}", ran.everything());
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
