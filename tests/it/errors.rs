//! Every error in one place, so that they speak with one voice: what failed, why,
//! and what to do. Each has a snapshot; a new kind does not compile until it has.

use std::fmt::Write as _;

use crossfade::github;
use crossfade::http::HttpError;
use crossfade::provider;
use crossfade::rotation::error::{Cleanup, RotationError};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::github::On;
use crate::support::{Invocation, World};

fn provider_error() -> provider::Error {
    provider::Error {
        kind: provider::ErrorKind::Unavailable,
        message: "the provider is in trouble (HTTP 503)".to_owned(),
        retry_after: None,
    }
}

/// One of each. The match makes sure of that.
fn errors() -> Vec<(&'static str, RotationError)> {
    let time = |text: &str| text.parse().unwrap();
    let minted_at = time("2026-03-02T09:00:00Z");
    let until = time("2026-03-02T09:04:00Z");
    let id = || "tok-2".to_owned();
    let destinations = || vec!["acme/api:AXIOM_TOKEN".to_owned(), "org:acme:AXIOM_TOKEN".to_owned()];
    let reasons = || vec!["Actions secrets of acme/api: the repository does not exist".to_owned()];
    let pattern = || "acme/service-*:AXIOM_TOKEN".to_owned();
    let github_error = github::Error {
        kind: github::ErrorKind::Unavailable,
        message: "repositories of acme: GitHub is in trouble (it answered 503)".to_owned(),
    };
    let all = vec![
        RotationError::FutureMarker { id: id(), minted_at: time("2026-04-02T09:00:00Z"), now: minted_at },
        RotationError::ImplausibleWindow { id: id(), until: time("2027-03-02T09:00:00Z") },
        RotationError::ContradictedMarker { id: id(), minted_at, created_at: time("2026-03-09T09:00:00Z") },
        RotationError::MarkerKeyMissing { id: id() },
        RotationError::MarkerKeyUnknown { id: id() },
        RotationError::DifferentPrivileges { newest: id(), other: "tok-1".to_owned() },
        RotationError::SeveralMatch { name: "ci-ingest".to_owned(), ids: vec![id(), "tok-3".to_owned()] },
        RotationError::BelongsToAnother {
            id: id(),
            marker: "xf1.4z5cgu75fe.tb9i80.3c.0a1b2c3d4e5f.1".to_owned(),
        },
        RotationError::NoSuchToken { token: "ci-ingets".to_owned(), nearest: Some("ci-ingest".to_owned()) },
        RotationError::InFlight { id: id(), minted_at, until },
        RotationError::HeldBack { live: 4, until, failing: destinations(), overwritten: vec![] },
        RotationError::PatternUnreadable { pattern: pattern(), error: github_error },
        RotationError::PatternEmpty { pattern: pattern(), archived: 2 },
        RotationError::TooManySecrets { count: 100_000 },
        RotationError::Claimed {
            destination: "acme/api:AXIOM_TOKEN".to_owned(),
            other: "nightly".to_owned(),
        },
        RotationError::Unreadable { destinations: destinations(), reasons: reasons() },
        RotationError::NoClock,
        RotationError::ClocksDiffer { minutes: 12, direction: "ahead of" },
        RotationError::Stopped("the run was told to stop".to_owned()),
        RotationError::Observe(provider_error()),
        RotationError::MintRefused(provider_error()),
        RotationError::MintLost { attempts: 3, last: provider_error() },
        RotationError::Unfit {
            id: id(),
            why: "it would be due at once".to_owned(),
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
            cleanup: Cleanup::Failed { until: Some(until), why: "HTTP 403".to_owned() },
        },
        RotationError::Undelivered { id: id(), destinations: destinations(), until },
        RotationError::DestinationNotRead { destinations: destinations(), reasons: reasons() },
    ];
    all.into_iter().map(|error| (kind(&error), error)).collect()
}

/// Words by which each error is recognised; docs/recipes.md explains them.
pub(crate) const WORDS: [(&str, &str); 27] = [
    ("FutureMarker", "a date in the future"),
    ("ImplausibleWindow", "with a delivery window until"),
    ("ContradictedMarker", "The marker was copied or forged"),
    ("MarkerKeyMissing", "CROSSFADE_MARKER_KEY is not set"),
    ("MarkerKeyUnknown", "no key in CROSSFADE_MARKER_KEY made its signature"),
    ("DifferentPrivileges", "of this rotation have different privileges"),
    ("SeveralMatch", "tokens are called"),
    ("BelongsToAnother", "carries the marker of another rotation"),
    ("NoSuchToken", "No token named"),
    ("InFlight", "another run minted token"),
    ("HeldBack", "no new one is created before"),
    ("PatternUnreadable", "it is not known what"),
    ("PatternEmpty", "no repository fits"),
    ("TooManySecrets", "the patterns stand for"),
    ("Claimed", "found by a pattern, belongs to the rotation"),
    ("Unreadable", "could not be read or prepared"),
    ("NoClock", "GitHub sent no date"),
    ("ClocksDiffer", "the provider's clock is"),
    ("Stopped", "nothing was minted, because the run was told to stop"),
    ("Observe", "the provider's tokens could not be read"),
    ("MintRefused", "the provider refused to mint the successor"),
    ("MintLost", "no successor came of"),
    ("Unfit", "is not used:"),
    ("Overtaken", "so the new token"),
    ("RefusedEverywhere", "every destination refused the new token"),
    ("Undelivered", "did not take it"),
    ("DestinationNotRead", "could not be read:"),
];

fn kind(error: &RotationError) -> &'static str {
    match error {
        RotationError::FutureMarker { .. } => "FutureMarker",
        RotationError::ImplausibleWindow { .. } => "ImplausibleWindow",
        RotationError::ContradictedMarker { .. } => "ContradictedMarker",
        RotationError::MarkerKeyMissing { .. } => "MarkerKeyMissing",
        RotationError::MarkerKeyUnknown { .. } => "MarkerKeyUnknown",
        RotationError::DifferentPrivileges { .. } => "DifferentPrivileges",
        RotationError::SeveralMatch { .. } => "SeveralMatch",
        RotationError::BelongsToAnother { .. } => "BelongsToAnother",
        RotationError::NoSuchToken { .. } => "NoSuchToken",
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

#[test]
fn what_stops_a_rotation() {
    let errors = errors();
    for ((kind, error), (documented, words)) in errors.iter().zip(WORDS) {
        assert_eq!(*kind, documented);
        assert!(error.to_string().contains(words), "{kind} is not recognised by \"{words}\"");
    }
    assert_eq!(errors.len(), WORDS.len());
    insta::assert_snapshot!(
        "rotation-errors",
        listed(errors.iter().map(|(kind, error)| (*kind, error.to_string())))
    );
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

/// What the report says of a failed rotation: the error, and what to do.
fn text(ran: &crate::support::Ran) -> String {
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    let rotation = ran.rotation();
    let text = |key: &str| rotation[key].as_str().unwrap_or("(nothing)").to_owned();
    format!("{}\n  what to do: {}", text("error"), text("next_step"))
}

#[tokio::test]
async fn what_github_refuses() {
    let world =
        World::builder().destinations(["acme/infra@prod:AXIOM_TOKEN"]).expires_in_days(60).start().await;
    let mut all = Vec::new();
    for status in [401, 403, 404, 422, 503] {
        world.github.mend();
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
