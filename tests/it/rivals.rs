//! Two runs at once, runs that are late, and writes that land late.
//!
//! Interleaved at the granularity of requests: one run up to its k-th request,
//! the other up to its j-th, and on in either order.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::SignedDuration;
use serde_json::json;

use crate::scene::{Credential, IMPATIENT, PATIENT, Scene};
use crate::support::server::{Front, Gate, When};
use crate::support::{Fault, Faults, Invariant, Invocation, Ran, Target, World};

const SECRET: &str = "acme/infra:AXIOM_TOKEN";

/// The requests of a clean run of the standard scene.
const REQUESTS: usize = 7;

/// A second way to the same fakes, with faults of its own.
struct Other {
    faults: Faults,
    front: Front,
}

impl Other {
    fn of(scene: &Scene) -> Self {
        let faults = Faults::none();
        Self { front: scene.world.behind(&faults), faults }
    }

    fn rotate(&self, scene: &Scene, timeout: Duration) -> Invocation {
        Invocation::of("rotate")
            .scene(&scene.world, self.front.github.url(), self.front.provider.url())
            .arg("--format", "json")
            .arg("--request-timeout", &format!("{}ms", timeout.as_millis()))
    }
}

/// One interleaving.
#[derive(Debug, Clone, Copy)]
struct Order {
    /// Where the first run stops, and on which side of the fake; beyond its last
    /// request: nowhere.
    first: (usize, When),
    /// Where the second stops.
    second: (usize, When),
    /// Which goes on first.
    first_goes_on: bool,
}

/// What is broken by it.
async fn interleave(order: Order) -> Vec<String> {
    let scene = Scene::new(World::start().await, Credential::Admin);
    // Two windows are open for a moment: I5 is not for two runs.
    scene.world.watch(&[Invariant::Accepted]);
    let other = Other::of(&scene);
    let gates = [Gate::new(), Gate::new()];
    let hold = |faults: &Faults, (n, when), gate: &Gate| {
        faults.inject(Target::Nth(n), Fault::Hold { when, gate: gate.clone() });
    };
    hold(&scene.faults, order.first, &gates[0]);
    hold(&other.faults, order.second, &gates[1]);

    let (first, second) = (scene.rotate(PATIENT), other.rotate(&scene, PATIENT));
    let mut first = Box::pin(first.run());
    // Each goes on until it is held or ends.
    let mut ended = [None, None];
    tokio::select! {
        ran = &mut first => ended[0] = Some(ran),
        () = gates[0].reached() => {}
    }
    let mut second = Box::pin(second.run());
    tokio::select! {
        ran = &mut second => ended[1] = Some(ran),
        () = gates[1].reached() => {}
    }
    let mut wrong = Vec::new();
    let turns = if order.first_goes_on { [0, 1] } else { [1, 0] };
    for turn in turns {
        gates[turn].open();
        if ended[turn].is_none() {
            ended[turn] = Some(if turn == 0 { (&mut first).await } else { (&mut second).await });
        }
        // The other one may have changed what the first to end speaks of.
        if turn == turns[1] {
            wrong.extend(ended[turn].iter().flat_map(|ran| scene.overstated(ran)));
        }
    }
    let ran: Vec<Ran> = ended.into_iter().flatten().collect();
    if ran.iter().all(|ran| ran.exit_code == 0) && !scene.world.undelivered().is_empty() {
        wrong.push("both are content, and a destination is not served".to_owned());
    }
    let live = scene.world.marked_tokens().len();
    if live > 1 {
        wrong.push(format!("{live} tokens live on"));
    }
    scene.later();
    let next = scene.run().await;
    if next.exit_code != 0 {
        wrong.push(format!("the next run ends with {}", next.exit_code));
    }
    wrong.extend(scene.overstated(&next));
    wrong.extend(scene.world.undelivered());
    scene.world.advance_days(8);
    scene.run().await;
    wrong.extend(scene.world.uncollected());
    wrong.extend(scene.world.changed_privileges());
    wrong.extend(scene.broken());
    if !wrong.is_empty() {
        let codes: Vec<u8> = ran.iter().map(|ran| ran.exit_code).collect();
        let said: Vec<_> = ran.iter().map(|ran| ran.rotation()["error"].clone()).collect();
        wrong.push(format!("{order:?}: {codes:?} {said:?}\n{}", scene.world.journal.text()));
    }
    wrong
}

#[tokio::test]
async fn two_runs_in_any_order_do_no_harm() {
    let mut orders = Vec::new();
    for first in (1..=REQUESTS).flat_map(|n| [(n, When::Before), (n, When::After)]) {
        // Beyond the last request: a second run that overtakes.
        for second in (1..=REQUESTS + 1).map(|n| (n, When::Before)) {
            for first_goes_on in [true, false] {
                orders.push(Order { first, second, first_goes_on });
            }
        }
    }
    let count = orders.len();
    let broken: Vec<Vec<String>> = stream::iter(orders)
        .map(interleave)
        .buffer_unordered(8)
        .filter(|wrong| std::future::ready(!wrong.is_empty()))
        .collect()
        .await;
    assert_eq!(broken.len(), 0, "of {count}: {}", broken[0].join("\n"));
}

/// The verification and the list after the mint show a delayed run how late it is.
fn hold_after_the_mint(faults: &Faults) -> Gate {
    let gate = Gate::new();
    let hold = Fault::Hold { when: When::Before, gate: gate.clone() };
    faults.inject_times(Target::matching(|request| request.n > 6 && request.method == "GET"), hold, 2);
    gate
}

fn writes(scene: &Scene) -> usize {
    let requests = scene.world.github.requests();
    let puts = requests.iter().filter(|request| request.method == "PUT");
    puts.filter(|request| !request.path.ends_with("/CROSSFADE_WRITE_CHECK")).count()
}

#[tokio::test]
async fn a_run_that_lost_its_window_starts_no_write() {
    let scene = Scene::new(World::start().await, Credential::Admin).watch();
    let gate = hold_after_the_mint(&scene.faults);
    let run = scene.rotate(PATIENT);
    let (ran, ()) = tokio::join!(run.run(), async {
        gate.reached().await;
        scene.world.advance(SignedDuration::from_hours(1));
        gate.open();
    });
    assert_eq!((ran.exit_code, writes(&scene)), (1, 0), "{}", ran.everything());
    assert_eq!(scene.overstated(&ran), Vec::<String>::new());
    let ran = scene.run().await;
    assert_eq!(
        (ran.exit_code, &ran.rotation()["reason"]),
        (0, &json!("undelivered")),
        "{}",
        ran.everything()
    );
    scene.world.advance_days(8);
    scene.run().await;
    assert_eq!(scene.world.uncollected(), Vec::<String>::new());
    assert_eq!(scene.broken(), Vec::<String>::new());
}

#[tokio::test]
async fn an_overtaken_run_revokes_its_own_token() {
    let scene = Scene::new(World::start().await, Credential::Admin).watch();
    let (gate, other) = (hold_after_the_mint(&scene.faults), Other::of(&scene));
    let run = scene.rotate(PATIENT);
    let (ran, overtaking) = tokio::join!(run.run(), async {
        gate.reached().await;
        scene.world.advance(SignedDuration::from_hours(1));
        let ran = other.rotate(&scene, PATIENT).run().await;
        gate.open();
        ran
    });
    assert_eq!(overtaking.exit_code, 0, "{}", overtaking.everything());
    assert!(
        ran.rotation()["error"].as_str().unwrap().contains("Another run created"),
        "{}",
        ran.everything()
    );
    assert_eq!(writes(&scene), 1);
    assert_eq!(scene.world.undelivered(), Vec::<String>::new());
    assert_eq!(scene.broken(), Vec::<String>::new());
}

/// Where a run stalls between what it saw and its mint, the other one's token is
/// not in its picture, and may be long delivered.
#[tokio::test]
async fn a_run_with_an_outdated_list_revokes_its_own_token() {
    let scene = Scene::new(World::start().await, Credential::Admin).watch();
    let (gate, other) = (Gate::new(), Other::of(&scene));
    let hold = Fault::Hold { when: When::Before, gate: gate.clone() };
    scene.faults.inject(Target::on("GET", "/public-key"), hold);
    let run = scene.rotate(PATIENT);
    let (ran, _) = tokio::join!(run.run(), async {
        gate.reached().await;
        let ran = other.rotate(&scene, PATIENT).run().await;
        scene.world.advance_days(1);
        gate.open();
        ran
    });
    assert!(
        ran.rotation()["error"].as_str().unwrap().contains("Another run created"),
        "{}",
        ran.everything()
    );
    assert_eq!((writes(&scene), scene.world.undelivered()), (1, Vec::<String>::new()));
    assert_eq!(scene.broken(), Vec::<String>::new());
}

/// A write that is under way when its run is killed may arrive hours later. Its token is
/// still valid, because a token that a destination may hold is not ended.
#[tokio::test]
async fn a_write_that_arrives_late_brings_a_valid_token() {
    let scene = Scene::new(World::start().await, Credential::Admin).watch();
    let gate = Gate::new();
    let hold = Fault::Hold { when: When::Before, gate: gate.clone() };
    scene.faults.inject_times(Target::on("PUT", "AXIOM_TOKEN"), hold, 9);
    scene.rotate(PATIENT).run_or_die(gate.reached()).await;
    scene.later();
    gate.open();
    scene.front.quiet().await;
    assert_eq!(writes(&scene), 1);
    assert_eq!(scene.world.held(SECRET).unwrap().id, scene.world.newest().unwrap().id);
    let ran = scene.run().await;
    assert_eq!(ran.rotation()["reason"], "undelivered", "nobody can tell who wrote it: {}", ran.everything());
    scene.world.advance_days(8);
    scene.run().await;
    assert_eq!(scene.world.uncollected(), Vec::<String>::new());
    assert_eq!(scene.broken(), Vec::<String>::new());
}

/// The acknowledgement shows that the write arrived after the window.
#[tokio::test]
async fn an_acknowledgement_after_the_window_is_no_success() {
    let scene = Scene::new(World::start().await, Credential::Admin).watch();
    let world = scene.world.detached();
    let jump = Fault::before(move |_| world.clock.advance(SignedDuration::from_mins(30)));
    scene.faults.inject(Target::on("PUT", "AXIOM_TOKEN"), jump);
    let ran = scene.rotate(IMPATIENT).run().await;
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    assert!(ran.stdout.contains("after the end of the delivery window"), "{}", ran.everything());
    assert_eq!(scene.overstated(&ran), Vec::<String>::new());
    let ran = scene.run().await;
    assert_eq!(
        (ran.exit_code, &ran.rotation()["reason"]),
        (0, &json!("undelivered")),
        "{}",
        ran.everything()
    );
    assert_eq!(scene.broken(), Vec::<String>::new());
}

/// The limit of what can be promised: a write that a network keeps for hours and
/// delivers after its token was replaced brings back a token that has ended. The
/// next run sees a secret that somebody else wrote, and writes it again.
#[tokio::test]
async fn a_write_that_lands_after_its_token_was_replaced_is_healed() {
    let scene = Scene::new(World::start().await, Credential::Admin);
    let (gate, other) = (Gate::new(), Other::of(&scene));
    let hold = Fault::Hold { when: When::Before, gate: gate.clone() };
    scene.faults.inject_times(Target::on("PUT", "AXIOM_TOKEN"), hold, 9);
    scene.rotate(PATIENT).run_or_die(gate.reached()).await;
    scene.later();
    assert_eq!(other.rotate(&scene, PATIENT).run().await.exit_code, 0);
    scene.later();
    gate.open();
    scene.front.quiet().await;
    assert_eq!(scene.world.unaccepted().len(), 1, "the limit");
    let ran = scene.run().await;
    assert_eq!(
        (ran.exit_code, &ran.rotation()["reason"]),
        (0, &json!("undelivered")),
        "{}",
        ran.everything()
    );
    assert_eq!(scene.world.unaccepted(), Vec::<String>::new());
    assert_eq!(scene.world.undelivered(), Vec::<String>::new());
}
