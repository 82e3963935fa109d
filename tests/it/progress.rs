//! What a run says while it waits: retries, hosts that do not answer, `-vv`.

use tokio::net::TcpSocket;

use crate::support::github::On;
use crate::support::leaks::find_leaks;
use crate::support::{Invocation, Ran, World};

/// The lines of the log with this level.
fn lines<'a>(ran: &'a Ran, level: &str) -> Vec<&'a str> {
    ran.stderr.lines().filter(|line| line.trim_start().starts_with(level)).collect()
}

#[tokio::test]
async fn a_retry_is_told_once_for_each_host_and_cause_with_their_number() {
    let world = World::builder().destination_count(30).start().await;
    for destination in world.destinations() {
        let (scope, _) = destination.rsplit_once(':').unwrap();
        world.github.break_times(scope, On::Reads, 503, 1);
    }
    let run = || Invocation::rotate(&world).arg("--request-timeout", "1s");
    let ran = run().run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let warnings = lines(&ran, "WARN");
    assert_eq!(warnings.len(), 2, "{}", ran.stderr);
    assert!(
        warnings[0].contains("GitHub answered 503 Service Unavailable; try 2 of 8 in 1 s host=\"127.0.0.1\""),
        "{}",
        warnings[0]
    );
    assert!(
        warnings[1].contains("GitHub answered 503 Service Unavailable: requests were repeated 30 times"),
        "{}",
        warnings[1]
    );
    assert_eq!(run().flag("-q").flag("--force").run().await.stderr, "", "-q");
}

#[tokio::test]
async fn a_host_that_was_never_reached_is_given_up_sooner_at_a_terminal() {
    let world = World::start().await;
    let at = |github: &str, provider: &str| {
        Invocation::of("status").scene(&world, github, provider).arg("--request-timeout", "1s").flag("-v")
    };
    // Taken, so that no other test listens there, and not listening.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = format!("http://{}", taken.local_addr().unwrap());
    for (github, provider) in [(closed.clone(), world.axiom.url()), (world.github.url(), closed)] {
        let run = at(&github, &provider);
        let tries =
            |ran: &Ran| lines(ran, "DEBUG").iter().filter(|line| line.contains("request failed")).count();
        let at_terminal = run.clone().on_stderr_terminal();
        let on_actions = at_terminal.clone().env("GITHUB_ACTIONS", "true");
        let (ran, patient, on_actions) = tokio::join!(at_terminal.run(), run.run(), on_actions.run());
        assert_eq!((ran.exit_code, tries(&ran)), (1, 3), "{}", ran.stderr);
        let warning = lines(&ran, "WARN")[0];
        assert!(warning.contains("could not be reached (connection refused); try 2 of 3"), "{warning}");
        for ran in [patient, on_actions] {
            assert_eq!((ran.exit_code, tries(&ran)), (1, 8), "{}", ran.stderr);
        }
    }
}

#[tokio::test]
async fn a_host_that_has_answered_once_is_waited_for_at_a_terminal_too() {
    let world = World::start().await;
    world.github.break_times("acme/infra", On::Reads, 503, 5);
    let ran = Invocation::of("status")
        .scene(&world, &world.github.url(), &world.axiom.url())
        .arg("--request-timeout", "1s")
        .on_stderr_terminal()
        .run()
        .await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
}

#[tokio::test]
async fn twice_verbose_says_more_and_every_line_of_a_request_names_the_host() {
    let world = World::builder().destination_count(2).start().await;
    let run = async |flag: &str| {
        world.github.break_times("acme/infra", On::Reads, 503, 1);
        let ran = Invocation::rotate(&world).arg("--request-timeout", "1s").flag(flag).run().await;
        assert_eq!(ran.exit_code, 0, "{}", ran.everything());
        world.advance_days(1);
        ran
    };
    let (verbose, more) = (run("-v").await, run("-vv").await);
    for line in lines(&verbose, "DEBUG").into_iter().chain(lines(&more, "TRACE")) {
        assert!(line.contains("host=\"127.0.0.1\""), "{line}");
    }
    assert_eq!(lines(&verbose, "TRACE"), Vec::<&str>::new());
    for line in [
        "sending method=GET",
        "within_ms=1000",
        "HTTP/1.1 to 127.0.0.1:",
        "over a new connection",
        "over a known connection",
        "headers: ",
        "; date: ",
        "may be sent",
    ] {
        assert!(more.stderr.contains(line), "{line} in\n{}", more.stderr);
        assert!(!verbose.stderr.contains(line), "{line}");
    }
    assert_eq!(find_leaks(&more.everything(), &world.secrets()), Vec::<String>::new());
}
