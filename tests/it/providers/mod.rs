//! Every provider at its fake: what all have in common, and one file each.

mod catalogue;
mod common;
mod deepset;
mod jupyterhub;
mod launchdarkly;
mod own;
mod softwareone;
mod unproved;

use crate::support::{Invocation, Ran, World};

/// One run with a report as JSON.
async fn rotate(world: &World) -> Ran {
    Invocation::rotate(world).arg("--format", "json").run().await
}

/// One run that must end well, and as `outcome` says.
async fn rotates(world: &World, outcome: &str) -> Ran {
    let ran = rotate(world).await;
    assert_eq!(ran.rotation()["outcome"], outcome, "{}", ran.everything());
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    ran
}

/// Nothing is wrong: values accepted and newest, privileges equal, contracts kept,
/// no secret printed.
#[track_caller]
fn assert_sound(world: &World, ran: &Ran) {
    let mut wrong = world.unaccepted();
    wrong.extend(world.undelivered());
    wrong.extend(world.changed_privileges());
    wrong.extend(crate::support::leaks::find_leaks(&ran.everything(), &world.secrets()));
    assert!(wrong.is_empty(), "{}\n{}\n{}", wrong.join("\n"), ran.everything(), world.journal.text());
    world.assert_no_violations();
}
