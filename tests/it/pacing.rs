//! How fast GitHub is written to.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::github::{RateLimit, SecondaryLimit};
use crate::support::{Invocation, World};

const SECOND: Duration = Duration::from_secs(1);

/// A fake that publishes limits and enforces so many points a second.
async fn limited(destinations: usize, points: u32) -> World {
    let world = World::builder().destination_count(destinations).start().await;
    let reset = world.clock.now() + jiff::SignedDuration::from_hours(1);
    world.github.switch(|switches| {
        switches.rate_limit = Some(RateLimit { limit: 100_000, remaining: 100_000, reset });
        switches.secondary_limit = Some(SecondaryLimit { points, period: SECOND });
    });
    world
}

fn rejected(world: &World) -> usize {
    world.github.requests().iter().filter(|request| matches!(request.status, 403 | 429)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn published_limits_are_never_exceeded_on_a_clock_sixty_times_as_fast() {
    let world = limited(300, 900).await;
    let began = Instant::now();
    let ran = Invocation::rotate(&world).arg("--pace", "900/1s").arg("--format", "json").run().await;
    assert_eq!(ran.rotation()["outcome"], "rotated", "{}", ran.rotation()["error"]);
    assert_eq!(rejected(&world), 0);
    // 300 lists, 300 keys and 300 writes are 2100 points: the third second at the earliest.
    assert!(began.elapsed() >= 2 * SECOND, "{:?}", began.elapsed());
    assert_eq!(world.undelivered(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_allows_less_than_it_says_is_served_more_slowly() {
    let world = limited(60, 150).await;
    let invocation = Invocation::rotate(&world).arg("--pace", "900/1s").arg("--request-timeout", "3s");
    let ran = invocation.arg("--format", "json").run().await;
    assert_eq!((ran.exit_code, &ran.rotation()["outcome"]), (0, &json!("rotated")), "{}", ran.everything());
    assert!((1..60).contains(&rejected(&world)), "{} complaints", rejected(&world));
    assert_eq!(world.undelivered(), Vec::<String>::new());
}

/// GitHub allows 891 of 900 points a minute; a run has 20 minutes, and must have
/// begun its mint long before they end.
#[tokio::test]
async fn a_thousand_repositories_fit_the_default_deadline() {
    let world = World::builder().destination_count(1000).start().await;
    let secrets = world.destinations().join("\n");
    let mut invocation =
        Invocation::rotate(&world).arg("--format", "json").env("CROSSFADE_SECRETS", &secrets);
    while let Some(at) = invocation.arguments.iter().position(|argument| argument == "--secret") {
        invocation.arguments.drain(at..at + 2);
    }
    let ran = invocation.run().await;
    assert_eq!(ran.rotation()["outcome"], "rotated", "{}", ran.rotation()["error"]);
    let points = |requests: &[crate::support::reply::Recorded]| -> usize {
        requests.iter().map(|request| if request.method == "GET" { 1 } else { 5 }).sum()
    };
    let requests = world.github.requests();
    let minted = requests.iter().position(|r| r.method == "PUT" && r.path.ends_with("/AXIOM_TOKEN")).unwrap();
    let (before, all) = (points(&requests[..minted]), points(&requests));
    assert_eq!((before, all), (3005, 8005), "lists, keys, conditions and one write check; then the writes");
    assert!(before.div_ceil(891) < 5 && all.div_ceil(891) < 12, "minutes, of 20");
    assert_eq!(world.github.write_checks().len(), 1);
}

#[tokio::test]
async fn a_server_without_published_limits_is_not_paced() {
    let world = World::builder().destination_count(200).start().await;
    let began = Instant::now();
    let ran = Invocation::rotate(&world).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert!(began.elapsed() < 30 * SECOND, "1400 points are more than a minute's");
}

#[tokio::test]
async fn a_rotation_that_cannot_be_delivered_in_time_is_refused_offline() {
    let secrets = (0..6000).map(|n| format!("acme/service-{n}:T")).collect::<Vec<_>>().join("\n");
    let check = |secrets: &str| {
        Invocation::of("check")
            .arg("--provider", "axiom")
            .arg("--token", "t")
            .env("CROSSFADE_SECRETS", secrets)
    };
    let ran = check(&secrets).run().await;
    assert_eq!(ran.exit_code, 2, "{}", ran.stdout);
    assert!(ran.stderr.contains("at most 5161 secrets"), "{}", ran.stderr);
    let fewer = secrets.lines().take(5161).collect::<Vec<_>>().join("\n");
    assert_eq!(check(&fewer).run().await.exit_code, 0);
}

#[tokio::test]
async fn a_pace_slower_than_windows_allow_is_refused() {
    let world = World::start().await;
    let ran = Invocation::rotate(&world).arg("--pace", "300/1m").run().await;
    assert_eq!(ran.exit_code, 2);
    assert!(ran.stderr.contains("slower than GitHub's own"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_line_for_each_request_is_folded_on_actions() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (output, summary) = (folder.path().join("output"), folder.path().join("summary"));
    let quiet = Invocation::rotate(&world).on_actions(output.clone(), summary.clone()).run().await;
    assert!(!quiet.stderr.contains("::group::"), "{}", quiet.stderr);
    world.advance_days(1);
    let ran = Invocation::rotate(&world).flag("-v").on_actions(output, summary).run().await;
    let lines: Vec<&str> = ran.stderr.lines().collect();
    let at = |start: &str| lines.iter().position(|line| line.starts_with(start)).unwrap();
    let folded = at("::group::")..at("::endgroup::");
    let requests = lines.iter().enumerate().filter(|(_, line)| line.contains("took_ms"));
    assert!(requests.clone().count() >= 2, "{}", ran.stderr);
    assert!(requests.map(|(at, _)| at).all(|at| folded.contains(&at)), "{}", ran.stderr);
}
