//! What goes wrong in one run, and what becomes of it: in the same run where that
//! is possible, else in the next. One test for each promise.

mod delivery;
mod hands;
mod mint;
mod time;

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Notify;

use crate::scene::{Credential, IMPATIENT, PATIENT, Scene};
use crate::support::axiom::TokenSpec;
use crate::support::github::On;
use crate::support::server::{Gate, When};
use crate::support::world::Builder;
use crate::support::{Fault, Peer, Ran, Target, World};

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

/// A run past every overlap that leaves one token alone, because nothing but an
/// unsigned marker says that it was replaced; says so, and how a key would help.
async fn uncollectable(scene: &Scene) -> String {
    scene.world.advance_days(8);
    let ran = scene.run().await;
    assert_eq!((ran.exit_code, scene.broken()), (0, Vec::<String>::new()), "{}", ran.everything());
    let newest = scene.world.newest().unwrap();
    let others: Vec<_> = scene
        .world
        .marked_tokens()
        .into_iter()
        .map(|(token, _)| token.id)
        .filter(|id| *id != newest.id)
        .collect();
    let [other] = others.as_slice() else { panic!("{others:?}") };
    let said = format!("token {other} is not retired: only an unsigned marker says that it was replaced");
    assert!(ran.everything().contains(&said), "{}", ran.everything());
    assert!(ran.everything().contains("Set CROSSFADE_MARKER_KEY"), "{}", ran.everything());
    other.clone()
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
    let requests = scene.world.github.requests();
    let puts = requests.iter().filter(|request| request.method == "PUT");
    puts.filter(|request| !request.path.ends_with("/CROSSFADE_WRITE_CHECK")).count()
}

const MINT: (&str, &str) = ("POST", "/regenerate");

/// A run that is killed at a request.
async fn killed(scene: &Scene, target: Target, when: When) {
    let killed = Arc::new(Notify::new());
    let kill = Arc::clone(&killed);
    let act = move |_: &_| kill.notify_one();
    let hook = if when == When::Before { Fault::before(act) } else { Fault::after(act) };
    scene.faults.inject(target, hook.and_close());
    scene.rotate(IMPATIENT).run_or_die(killed.notified()).await;
    scene.front.quiet().await;
}
