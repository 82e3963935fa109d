//! The main job on embedded fakes: nothing to sign up for, nothing leaves this machine.
//!
//! `cargo run --example sandbox` walks through a rotation and explains each step.
//! `cargo run --example sandbox -- --serve` only starts the fakes and prints how to
//! reach them, for trying crossfade by hand.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use support::world::{REPOSITORY, TOKEN};
use support::{Invocation, Ran, World};

const DESTINATIONS: [&str; 2] = ["acme/infra:AXIOM_TOKEN", "acme/api:AXIOM_TOKEN"];

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let world = World::builder().destinations(DESTINATIONS).expires_in_days(12).start().await;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => tour(&world).await,
        ["--serve"] => serve(&world).await,
        _ => {
            println!("usage: sandbox [--serve]");
            return std::process::ExitCode::from(2);
        }
    }
    std::process::ExitCode::SUCCESS
}

/// Prints how to reach the fakes, and keeps them running.
async fn serve(world: &World) {
    println!("github={}", world.github.url());
    println!("axiom={}", world.axiom.url());
    println!("provider-token={}", world.provider_token());
    println!("github-token={}", world.github_token());
    println!("repository={REPOSITORY}");
    println!("token={TOKEN}");
    println!("ready=true");
    println!("\nIn another terminal, and then as README.md says:\n");
    for (variable, value) in [
        ("CROSSFADE_GITHUB_API_URL", world.github.url().as_str()),
        ("CROSSFADE_GITHUB_TOKEN", world.github_token()),
        ("CROSSFADE_PROVIDER", world.provider.service().name),
        ("CROSSFADE_PROVIDER_URL", &world.provider.url()),
        ("CROSSFADE_PROVIDER_TOKEN", world.provider_token()),
        ("CROSSFADE_REPOSITORY", REPOSITORY),
        ("CROSSFADE_TOKEN", TOKEN),
        ("CROSSFADE_SECRETS", &world.destinations().join("\n")),
    ] {
        println!("export {variable}='{value}'");
    }
    // Built together with this program, the command lies one folder up.
    let here = std::env::current_exe().unwrap();
    let built = here.ancestors().nth(2).filter(|folder| folder.join("crossfade").exists());
    if let Some(folder) = built {
        println!("export PATH='{}':\"$PATH\"", folder.display());
    }
    println!("\nCtrl-C ends the servers, and forgets everything.");
    std::future::pending().await
}

async fn tour(world: &World) {
    let old = world.original.value.clone();

    say(
        1,
        "What is there",
        "Two servers run in this process: one plays GitHub, one plays Axiom, a service that issues API\n\
         tokens. Axiom has a token `ci-ingest` that ends in 12 days. Two repositories keep it in a secret,\n\
         acme/infra and acme/api. Nobody can read a secret back from GitHub, crossfade neither.",
    );

    say(2, "What would happen", "A dry run looks at everything and changes nothing.");
    let planned = show(&Invocation::rotate(world).flag("--dry-run")).await;
    check("the dry run planned a rotation", planned.stdout.starts_with("would rotate"));
    check("GitHub still holds the old token", holds(world, &old));

    say(
        3,
        "The rotation",
        "Without --dry-run, crossfade asks Axiom for the successor, sees that Axiom accepts it, seals it\n\
         with each repository's public key and writes it. The old token lives on for 7 days: a job that was\n\
         queued a minute ago still carries it.",
    );
    let rotated = show(&Invocation::rotate(world)).await;
    check("every destination acknowledged the new token", rotated.exit_code == 0);
    check("GitHub holds a new token, opened with its private key", !holds(world, &old));
    check("Axiom accepts what each secret holds", world.unaccepted().is_empty());
    check("Axiom still accepts the old token", world.axiom.is_accepted(&old));
    check("the new token may do what the old one could", world.changed_privileges().is_empty());

    say(
        4,
        "The next day",
        "The schedule runs again. Nothing is due, so it costs one look at Axiom and one at each repository.",
    );
    world.advance_days(1);
    world.github.forget_requests();
    world.axiom.forget_requests();
    let fresh = show(&Invocation::rotate(world)).await;
    check("nothing was minted", fresh.stdout.starts_with("fresh"));
    let requests = world.axiom.requests().len();
    check("one request to Axiom: its list of tokens", requests == 1);

    say(5, "A week later", "The overlap is over: the old token has ended, and nothing uses it any more.");
    world.advance_days(7);
    check("Axiom no longer accepts the old token", !world.axiom.is_accepted(&old));
    check("Axiom accepts what each secret holds", world.unaccepted().is_empty());

    let printed = [planned, rotated, fresh].map(|ran| ran.everything()).join("\n");
    check(
        "no part of any secret was printed",
        support::leaks::find_leaks(&printed, &world.secrets()).is_empty(),
    );
    world.assert_no_violations();
    println!("\nThat is the whole job. README.md shows the same as a scheduled workflow.");
}

/// Whether every secret holds this value.
fn holds(world: &World, value: &str) -> bool {
    DESTINATIONS
        .iter()
        .all(|destination| world.github.secret(destination).is_some_and(|held| held.value == value))
}

fn say(step: usize, title: &str, text: &str) {
    println!("\n── {step}. {title} {}\n{text}\n", "─".repeat(70_usize.saturating_sub(title.len())));
}

/// Runs crossfade and shows the command and what it printed.
async fn show(invocation: &Invocation) -> Ran {
    println!("  $ crossfade {}\n", invocation.arguments.join(" "));
    let ran = invocation.run().await;
    for line in ran.stdout.lines().chain(ran.stderr.lines()) {
        println!("  │ {line}");
    }
    println!();
    ran
}

fn check(what: &str, holds: bool) {
    assert!(holds, "not true: {what}");
    println!("  ✓ {what}");
}
