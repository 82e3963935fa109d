//! Every error in one place, so that they speak with one voice: what failed, why,
//! and what to do. Each has a snapshot; a new kind does not compile until it has.

use std::fmt::Write as _;

use crossfade::errors::{Causes, Cleanup, ErrorCode, HttpError, RotationError, github, provider};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::github::On;
use crate::support::{Invocation, World};

fn provider_error(kind: provider::ErrorKind, message: &str) -> provider::Error {
    provider::Error { kind, message: message.to_owned(), retry_after: None }
}

fn server_error() -> provider::Error {
    provider_error(provider::ErrorKind::Unavailable, "provider server error (HTTP 503)")
}

fn github_error(kind: github::ErrorKind, cause: &str) -> github::Error {
    github::Error::new(kind, "Actions secrets of acme/api", cause)
}

/// So many secrets with this error.
fn hit(count: usize, kind: github::ErrorKind, cause: &str) -> Vec<(String, github::Error)> {
    (1..=count).map(|n| (format!("acme/service-{n}:AXIOM_TOKEN"), github_error(kind, cause))).collect()
}

/// One of each, and of those with a cause at GitHub one of each cause. The match makes
/// sure of that.
fn errors() -> Vec<(&'static str, RotationError)> {
    use github::ErrorKind as At;
    use provider::ErrorKind as Kind;
    let time = |text: &str| text.parse().unwrap();
    let minted_at = time("2026-03-02T09:00:00Z");
    let until = time("2026-03-02T09:04:00Z");
    let id = || "tok-2".to_owned();
    let secrets = || vec!["acme/api:AXIOM_TOKEN".to_owned(), "org:acme:AXIOM_TOKEN".to_owned()];
    let pattern = || "acme/service-*:AXIOM_TOKEN".to_owned();
    let rejected = "GitHub rejected the credential in `CROSSFADE_GITHUB_TOKEN` (401 Unauthorized: \"Bad credentials\"): \
                    it is wrong, expired or revoked";
    let gone = "the repository does not exist, or the GitHub credential cannot see it (404 Not Found: \"Not Found\")";
    let archived = "GitHub refused the request (403 Forbidden: \"Repository was archived so is read-only.\")";
    let lacking =
        "GitHub refused the request (403 Forbidden: \"Resource not accessible by personal access token\")";
    let permission = || github::Error {
        remedy: Some(
            "Grant the GitHub credential the repository permission \"Secrets\": read and write.".to_owned(),
        ),
        ..github_error(At::Forbidden, lacking)
    };
    let mixed = || {
        let mut all =
            hit(2, At::Unavailable, "GitHub server error (503 Service Unavailable, without a reason)");
        all.push(("acme/gone:AXIOM_TOKEN".to_owned(), github_error(At::NotFound, gone)));
        all.push(("acme/old:AXIOM_TOKEN".to_owned(), github_error(At::Invalid, archived)));
        Causes::new(all)
    };
    let not_read = |count, kind, cause| RotationError::DestinationNotRead {
        causes: Causes::new(hit(count, kind, cause)),
    };
    let all = vec![
        RotationError::FutureMarker { id: id(), minted_at: time("2026-04-02T09:00:00Z"), now: minted_at },
        RotationError::ImplausibleWindow { id: id(), until: time("2027-03-02T09:00:00Z") },
        RotationError::ContradictedMarker { id: id(), minted_at, created_at: time("2026-03-09T09:00:00Z") },
        RotationError::MarkerKeyMissing { id: id() },
        RotationError::MarkerKeyUnknown { id: id() },
        RotationError::DifferentPrivileges { newest: id(), other: "tok-1".to_owned(), marked: None },
        RotationError::DifferentPrivileges { newest: id(), other: "tok-1".to_owned(), marked: Some(id()) },
        RotationError::TokenChanged {
            named: "admin".to_owned(),
            id: "tok-9".to_owned(),
            own: "ci-ingest".to_owned(),
            own_id: id(),
        },
        RotationError::SeveralMatch { name: "ci-ingest".to_owned(), ids: vec![id(), "tok-3".to_owned()] },
        RotationError::BelongsToAnother {
            id: id(),
            rotation: "ci-ingest".to_owned(),
            repository: "acme/api".to_owned(),
            marker: "xf1.4z5cgu75fe.tb9i80.3c.0a1b2c3d4e5f.1".to_owned(),
        },
        RotationError::NoSuchToken {
            token: "ci-ingets".to_owned(),
            nearest: Some("ci-ingest".to_owned()),
            visible: Some(7),
        },
        RotationError::NoSuchToken { token: "nightly".to_owned(), nearest: None, visible: Some(1) },
        RotationError::Unproved { provider: "pulumi".to_owned(), what: "the longest description".to_owned() },
        RotationError::InFlight { id: id(), minted_at, until, is_delivered: false },
        RotationError::InFlight { id: id(), minted_at, until, is_delivered: true },
        RotationError::HeldBack { live: 4, until, failing: secrets(), overwritten: vec![] },
        RotationError::HeldBack { live: 4, until, failing: vec![], overwritten: secrets() },
        RotationError::PatternUnreadable {
            pattern: pattern(),
            error: github_error(
                At::Unavailable,
                "GitHub server error (503 Service Unavailable, without a reason)",
            ),
        },
        RotationError::PatternEmpty { pattern: pattern(), archived: 2 },
        RotationError::TooManySecrets { count: 100_000 },
        RotationError::Claimed {
            destination: "acme/api:AXIOM_TOKEN".to_owned(),
            other: "nightly".to_owned(),
        },
        RotationError::Unreadable {
            causes: Causes::new([("acme/api:AXIOM_TOKEN".to_owned(), permission())]),
        },
        RotationError::Unreadable { causes: mixed() },
        RotationError::NoClock,
        RotationError::ClocksDiffer { minutes: 12, direction: "ahead of" },
        RotationError::Stopped("the run was stopped".to_owned()),
        RotationError::NotConfirmed,
        RotationError::Observe(provider_error(
            Kind::Unauthenticated,
            "the provider rejected the credential (HTTP 401): token expired",
        )),
        RotationError::Observe(provider_error(
            Kind::RateLimited,
            "the provider's rate limit is used up (HTTP 429)",
        )),
        RotationError::Observe(server_error()),
        RotationError::MintRefused(provider_error(
            Kind::Invalid,
            "the provider refused the request (HTTP 422): a token may live for 30 days at most",
        )),
        RotationError::MintLost { attempts: 3, last: server_error() },
        RotationError::Unfit {
            id: id(),
            why: "it would have to be replaced at once: 12 days left, rotates at 14".to_owned(),
            cleanup: Cleanup::Revoked,
        },
        RotationError::Overtaken {
            id: id(),
            rival: "tok-3".to_owned(),
            minted_at,
            cleanup: Cleanup::Revoked,
        },
        RotationError::RefusedEverywhere {
            id: id(),
            causes: Causes::new(secrets().into_iter().map(|name| (name, permission()))),
            cleanup: Cleanup::Failed {
                until: Some(until),
                why: "the credential is not permitted to do this (HTTP 403)".to_owned(),
            },
        },
        RotationError::Undelivered {
            id: id(),
            causes: Causes::new([("acme/billing:AXIOM_TOKEN".to_owned(), permission())]),
            of: 4,
            until,
        },
        RotationError::Undelivered { id: id(), causes: mixed(), of: 300, until },
        not_read(300, At::Unauthenticated, rejected),
        not_read(1, At::NotFound, gone),
        not_read(2, At::Invalid, archived),
        not_read(
            2,
            At::RateLimited,
            "GitHub's rate limit is used up (429 Too Many Requests, without a reason)",
        ),
        not_read(1, At::Unavailable, "https://api.github.com cannot be reached: connection refused"),
        not_read(1, At::Unreadable, "GitHub's reply is not what its API documents"),
    ];
    all.into_iter().map(|error| (kind(&error), error)).collect()
}

fn kind(error: &RotationError) -> &'static str {
    match error {
        RotationError::FutureMarker { .. } => "FutureMarker",
        RotationError::ImplausibleWindow { .. } => "ImplausibleWindow",
        RotationError::ContradictedMarker { .. } => "ContradictedMarker",
        RotationError::MarkerKeyMissing { .. } => "MarkerKeyMissing",
        RotationError::MarkerKeyUnknown { .. } => "MarkerKeyUnknown",
        RotationError::DifferentPrivileges { .. } => "DifferentPrivileges",
        RotationError::TokenChanged { .. } => "TokenChanged",
        RotationError::SeveralMatch { .. } => "SeveralMatch",
        RotationError::BelongsToAnother { .. } => "BelongsToAnother",
        RotationError::NoSuchToken { .. } => "NoSuchToken",
        RotationError::Unproved { .. } => "Unproved",
        RotationError::InFlight { .. } => "InFlight",
        RotationError::HeldBack { .. } => "HeldBack",
        RotationError::PatternUnreadable { .. } => "PatternUnreadable",
        RotationError::PatternEmpty { .. } => "PatternEmpty",
        RotationError::TooManySecrets { .. } => "TooManySecrets",
        RotationError::Claimed { .. } => "Claimed",
        RotationError::Unreadable { .. } => "Unreadable",
        RotationError::NoClock => "NoClock",
        RotationError::ClocksDiffer { .. } => "ClocksDiffer",
        RotationError::Stopped(_) => "Stopped",
        RotationError::NotConfirmed => "NotConfirmed",
        RotationError::Observe(_) => "Observe",
        RotationError::MintRefused(_) => "MintRefused",
        RotationError::MintLost { .. } => "MintLost",
        RotationError::Unfit { .. } => "Unfit",
        RotationError::Overtaken { .. } => "Overtaken",
        RotationError::RefusedEverywhere { .. } => "RefusedEverywhere",
        RotationError::Undelivered { .. } => "Undelivered",
        RotationError::DestinationNotRead { .. } => "DestinationNotRead",
    }
}

fn listed<'a>(errors: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut text = String::new();
    for (kind, error) in errors {
        let _ = writeln!(text, "{kind}\n  {error}\n");
    }
    text
}

/// An error as users see it: its code, what went wrong, what to do.
fn text_of(kind: &str, error: &RotationError) -> String {
    let steps: String = error.steps("AXIOM_ADMIN_TOKEN").iter().map(|step| format!("  - {step}\n")).collect();
    format!("{kind} [{}]\n  {error}\n{steps}\n", error.code())
}

#[test]
fn what_stops_a_rotation() {
    let text: String = errors().iter().map(|(kind, error)| text_of(kind, error)).collect();
    insta::assert_snapshot!("rotation-errors", text);
}

/// Words that leave a reader to guess who, what or when.
const RIDDLES: [&str; 14] = [
    "cannot be told",
    "Besides",
    "Mend",
    "minted",
    "successor",
    "withdrawn",
    "nobody",
    "somebody",
    "told to stop",
    "take it out",
    "unintelligible",
    "in trouble",
    "is no ",
    "does not accept the token",
];

#[test]
fn errors_say_who_does_what() {
    for (kind, error) in errors() {
        let text = text_of(kind, &error);
        for riddle in RIDDLES {
            assert!(!text.contains(riddle), "{riddle}: {text}");
        }
        let steps = error.steps("AXIOM_ADMIN_TOKEN");
        assert!(!steps.is_empty(), "{kind} says not what to do");
        for sentence in steps.iter().map(String::as_str).chain([error.to_string().as_str()]) {
            assert!(sentence.ends_with(['.', '?']), "{kind}: {sentence}");
            assert!(
                !sentence.starts_with(|c: char| c.is_lowercase()) || sentence.contains("AXIOM_TOKEN"),
                "{sentence}"
            );
        }
    }
}

/// The docs have one section for each code, and each section is of a code.
#[test]
fn every_code_has_its_section() {
    let docs = include_str!("../../docs/errors.md");
    let sections: Vec<&str> = docs.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    let missing: Vec<_> = codes.iter().filter(|code| !sections.contains(code)).collect();
    let unknown: Vec<_> = sections.iter().filter(|section| !codes.contains(section)).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "without a section: {missing:?}; without a code: {unknown:?}"
    );
    assert_eq!(sections.len(), codes.len(), "one section each");
    let shown: Vec<ErrorCode> = errors().iter().map(|(_, error)| error.code()).collect();
    let missing: Vec<_> = ErrorCode::ALL.iter().filter(|code| !shown.contains(code)).collect();
    let tested_below = [ErrorCode::ProviderPermission, ErrorCode::ProviderReply];
    assert!(missing.iter().all(|code| tested_below.contains(code)), "no error has the code: {missing:?}");
}

#[test]
fn what_happens_on_the_way_to_a_server() {
    let origin = || "https://api.example".to_owned();
    let cause = || "connection refused".to_owned();
    let all = [
        HttpError::Connect { origin: origin(), cause: cause() },
        HttpError::Proxy { origin: origin(), proxy: "http://proxy.example:3128".to_owned(), cause: cause() },
        HttpError::Tls { origin: origin(), cause: "invalid peer certificate: UnknownIssuer".to_owned() },
        HttpError::Setup { cause: "no roots".to_owned() },
        HttpError::Credential,
        HttpError::Insecure { origin: "http://api.example".to_owned() },
        HttpError::Late,
        HttpError::Timeout { origin: origin() },
        HttpError::Dropped { origin: origin(), cause: "connection reset".to_owned() },
        HttpError::Garbled { origin: origin(), status: "200".parse().unwrap(), said: String::new() },
        HttpError::TooLarge { origin: origin() },
        HttpError::Redirect { from: origin(), to_origin: "https://elsewhere.example".to_owned() },
    ];
    let kind = |error: &HttpError| match error {
        HttpError::Connect { .. } => "Connect",
        HttpError::Proxy { .. } => "Proxy",
        HttpError::Tls { .. } => "Tls",
        HttpError::Setup { .. } => "Setup",
        HttpError::Credential => "Credential",
        HttpError::Insecure { .. } => "Insecure",
        HttpError::Late => "Late",
        HttpError::Timeout { .. } => "Timeout",
        HttpError::Dropped { .. } => "Dropped",
        HttpError::Garbled { .. } => "Garbled",
        HttpError::TooLarge { .. } => "TooLarge",
        HttpError::Redirect { .. } => "Redirect",
    };
    insta::assert_snapshot!("http", listed(all.iter().map(|error| (kind(error), error.to_string()))));
}

/// What the report says of a failed rotation: its code, the error, what to do.
fn text(ran: &crate::support::Ran) -> String {
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    let rotation = ran.rotation();
    let text = |key: &str| rotation[key].as_str().unwrap_or("(nothing)").to_owned();
    let steps: String = rotation["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| format!("\n  - {}", step.as_str().unwrap()))
        .collect();
    format!("[{}] {}\n  what to do: {}{steps}", text("error_code"), text("error"), text("next_step"))
}

#[tokio::test]
async fn what_github_refuses() {
    let world =
        World::builder().destinations(["acme/infra@prod:AXIOM_TOKEN"]).expires_in_days(60).start().await;
    let mut all = Vec::new();
    for status in [401, 403, 404, 422, 503] {
        world.github.repair();
        world.github.break_scope("acme/infra@prod", On::All, status);
        let ran =
            Invocation::rotate(&world).arg("--format", "json").arg("--request-timeout", "200ms").run().await;
        let text = text(&ran).replace(&world.original.id, "<id>");
        all.push((format!("HTTP {status}"), text));
    }
    insta::assert_snapshot!("github", listed(all.iter().map(|(kind, text)| (kind.as_str(), text.clone()))));
}

#[tokio::test]
async fn what_a_provider_refuses() {
    let world = World::start().await;
    let mut all = Vec::new();
    let answers: [(u16, &str); 8] = [
        (401, r#"{"message": "invalid token"}"#),
        (403, r#"{"message": "forbidden"}"#),
        (404, "{}"),
        (409, r#"{"title": "Conflict", "detail": "the name is taken"}"#),
        (422, r#"{"detail": [{"loc": ["body", "name"], "msg": "field required"}]}"#),
        (429, "{}"),
        (503, "<html>"),
        (200, "<html>"),
    ];
    for (status, body) in answers {
        let server = MockServer::start().await;
        let answer =
            ResponseTemplate::new(status).set_body_string(body).insert_header("date", world.github.date());
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let invocation = Invocation::of("rotate").scene(&world, &world.github.url(), &server.uri());
        let ran = invocation.arg("--format", "json").arg("--request-timeout", "200ms").run().await;
        let text = text(&ran).replace(&server.uri(), "<provider>");
        all.push((format!("HTTP {status}"), text));
    }
    let nobody = "http://127.0.0.1:9";
    let invocation = Invocation::of("rotate").scene(&world, &world.github.url(), nobody);
    let ran = invocation.arg("--format", "json").arg("--request-timeout", "200ms").run().await;
    // The number is the system's own.
    let text = text(&ran);
    let (before, after) = text.split_once(" (os error ").unwrap_or((&text, ") "));
    all.push(("no server".to_owned(), format!("{before}{}", after.split_once(')').unwrap().1)));
    insta::assert_snapshot!("provider", listed(all.iter().map(|(kind, text)| (kind.as_str(), text.clone()))));
}
