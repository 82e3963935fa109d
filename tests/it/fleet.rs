//! Many rotations in one configuration: one list of tokens, shards, and what a run
//! that is cut off leaves for the next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::SignedDuration;
use tokio::sync::Notify;

use crate::file::File;
use crate::support::axiom::TokenSpec;
use crate::support::{Fault, Faults, Ran, Target, World};

const SIZE: usize = 12;

/// So many rotations that are due, `r0`, `r1`, …, each with a secret of its own.
async fn due() -> World {
    let world = World::start().await;
    for n in 0..SIZE {
        world.axiom.add_token(TokenSpec::ingest(&format!("token-{n}")).expires_in_days(5));
        world.github.add_place_of(&secret(n));
    }
    world
}

fn secret(n: usize) -> String {
    format!("acme/service-{n}:TOKEN")
}

fn file(world: &World, provider: &str) -> File {
    let rotation = |n| {
        format!(
            "  - {{ name: r{n}, token: token-{n}, provider_url: '{provider}', secrets: ['{}'] }}\n",
            secret(n)
        )
    };
    File::of_rotations(world, &(0..SIZE).map(rotation).collect::<String>())
}

/// The names of the rotations with this outcome.
fn names(ran: &Ran, outcome: &str) -> BTreeSet<String> {
    let report = ran.json();
    let rotations = report["rotations"].as_array().unwrap().iter();
    let found = rotations.filter(|rotation| rotation["outcome"] == outcome);
    found.map(|rotation| rotation["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn one_list_of_tokens_serves_all_rotations_of_a_credential() {
    let world = due().await;
    let ran = file(&world, &world.axiom.url()).run("status", &world).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let lists = world.axiom.requests().into_iter().filter(|request| request.path.ends_with("/tokens"));
    assert_eq!((lists.count(), world.github.requests().len()), (1, SIZE));
}

#[tokio::test]
async fn shards_serve_every_rotation_once() {
    let world = due().await;
    let file = file(&world, &world.axiom.url());
    let mut served = Vec::new();
    for n in 1..=4 {
        let ran = file.rotate(&world).arg("--shard", &format!("{n}/4")).run().await;
        assert_eq!(ran.exit_code, 0, "{}", ran.everything());
        served.extend(names(&ran, "rotated"));
    }
    assert_eq!((served.len(), served.into_iter().collect::<BTreeSet<_>>().len()), (SIZE, SIZE));
    world.assert_no_violations();
}

#[tokio::test]
async fn a_fleet_that_is_cut_off_is_continued_and_not_begun_again() {
    let world = due().await;
    let faults = Faults::none();
    let front = world.behind(&faults);
    let file = file(&world, front.provider.url());
    let (minted, killed) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let kill = Arc::clone(&killed);
    let act = move |_: &_| {
        if minted.fetch_add(1, Ordering::SeqCst) == SIZE / 2 {
            kill.notify_one();
        }
    };
    faults.inject_times(Target::on("POST", "/regenerate"), Fault::before(act), u32::MAX);
    // One after the other, so that half of them have come to their end.
    let cut_off = file.rotate(&world).arg("--concurrency", "1");
    cut_off.run_or_die(killed.notified()).await;
    front.quiet().await;
    faults.clear();

    let delivered: BTreeSet<String> =
        (0..SIZE).filter(|n| world.github.secret(&secret(*n)).is_some()).map(|n| format!("r{n}")).collect();
    assert_eq!(delivered.len(), SIZE / 2);
    world.advance_days(1);
    let ran = file.rotate(&world).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(names(&ran, "fresh"), delivered, "what was done is not done again");
    assert_eq!(names(&ran, "rotated").len(), SIZE - delivered.len());
    world.assert_no_violations();
}

#[tokio::test]
async fn a_provider_whose_clock_is_wrong_stops_its_own_rotations_alone() {
    let world = World::start().await;
    let other = World::builder().clock(world.clock.clone()).seed(1).start().await;
    other.axiom.set_clock(|clock| clock.skew = SignedDuration::from_mins(7));
    world.github.add_place_of("acme/other:TOKEN");
    let rotations = format!(
        "  - {{ name: sound, token: ci-ingest, provider_url: '{}', secrets: ['acme/infra:AXIOM_TOKEN'] }}\n\
         \x20 - {{ name: skewed, token: ci-ingest, provider_url: '{}', credential: OTHER, secrets: ['acme/other:TOKEN'] }}\n",
        world.axiom.url(),
        other.axiom.url()
    );
    let file = File::of_rotations(&world, &rotations);
    let ran = file.run("rotate", &world).env("OTHER", other.provider_token()).run().await;
    assert_eq!(names(&ran, "rotated"), BTreeSet::from(["sound".to_owned()]), "{}", ran.everything());
    assert!(ran.everything().contains("minutes ahead of GitHub's"), "{}", ran.everything());
}
