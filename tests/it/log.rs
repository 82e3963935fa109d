//! What `-v`, `-vv` and `-q` put on standard error.

use crate::support::leaks::find_leaks;
use crate::support::{Invocation, Ran, World};

/// The lines about a request.
fn requests(ran: &Ran) -> Vec<&str> {
    ran.stderr.lines().filter(|line| line.contains(" request ")).collect()
}

fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split(' ')
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        .map(|value| value.trim_matches('"'))
}

#[tokio::test]
async fn one_line_for_each_request_and_nothing_that_was_in_it() {
    for verbosity in ["-v", "-vv"] {
        let world = World::builder().destination_count(2).start().await;
        let ran = Invocation::rotate(&world).flag(verbosity).run().await;
        let lines = requests(&ran);
        let sent = || world.github.requests().into_iter().chain(world.axiom.requests());
        assert_eq!(lines.len(), sent().count(), "{}", ran.stderr);
        for line in &lines {
            let status: u16 = field(line, "status").unwrap().parse().unwrap();
            // The probe of a token that may do nothing but ingest; the write check.
            let is_check = line.contains("/CROSSFADE_WRITE_CHECK") && status == 422;
            assert!((200..300).contains(&status) || status == 403 || is_check, "{line}");
            assert!(field(line, "took_ms").unwrap().parse::<u64>().is_ok(), "{line}");
            assert_eq!(field(line, "attempt"), Some("1"), "{line}");
            assert!(!field(line, "path").unwrap().contains('?'), "{line}");
            assert!(field(line, "id").is_some(), "{line}");
        }
        for request in sent() {
            let path = request.path.split('?').next().unwrap();
            let tells = |line: &&str| {
                field(line, "method") == Some(request.method.as_str()) && field(line, "path") == Some(path)
            };
            assert!(lines.iter().any(tells), "{} {path} in\n{}", request.method, ran.stderr);
        }
        // Neither headers nor bodies: no value, no capability, no key.
        assert_eq!(find_leaks(&ran.everything(), &world.secrets()), Vec::<String>::new());
        for word in
            ["authorization", "Bearer", "datasetCapabilities", "encrypted_value", "user-agent", "key_id"]
        {
            assert!(!ran.stderr.to_lowercase().contains(&word.to_lowercase()), "{word} in\n{}", ran.stderr);
        }
    }
}

#[tokio::test]
async fn attempts_are_counted() {
    let world = World::start().await;
    world.github.break_times("acme/infra", crate::support::github::On::Reads, 503, 1);
    let ran = Invocation::rotate(&world).flag("-v").arg("--request-timeout", "2s").run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let attempts: Vec<_> =
        requests(&ran).into_iter().map(|line| (field(line, "status"), field(line, "attempt"))).collect();
    assert!(attempts.contains(&(Some("503"), Some("1"))), "{}", ran.stderr);
    assert!(attempts.contains(&(Some("200"), Some("2"))), "{}", ran.stderr);
}

#[tokio::test]
async fn quiet_means_the_report_and_errors_alone() {
    // An overlap under a day causes a warning, and a run without errors logs nothing
    // else.
    let world = World::start().await;
    let usual = Invocation::rotate(&world).arg("--overlap", "2h").flag("--dry-run").run().await;
    assert!(usual.stderr.contains("warning: an overlap of 2h"), "{}", usual.stderr);
    let quiet = Invocation::rotate(&world).arg("--overlap", "2h").flag("--dry-run").flag("-q").run().await;
    assert_eq!(quiet.stderr, "");
    assert_eq!(quiet.stdout, usual.stdout);
    let wrong = Invocation::rotate(&world).arg("--overlap", "30d").flag("-q").run().await;
    assert!(wrong.exit_code == 2 && wrong.stderr.contains("error: the overlap"), "{}", wrong.stderr);
}
