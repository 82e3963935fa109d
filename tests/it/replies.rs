//! Whatever a server answers, a run ends with a report: every reader of what comes
//! from outside, fed with true replies of which one place was changed.
//!
//! More of them: `PROPTEST_CASES=5000 cargo test replies`.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed};
use serde_json::{Value, json};

use crate::scene::{Credential, IMPATIENT, Scene};
use crate::support::provider::{ALL, FURTHER, Service};
use crate::support::{Fault, Target, World};

/// What is done to a reply.
#[derive(Debug, Clone)]
enum Change {
    /// A value somewhere in the JSON becomes another.
    Value { at: Index, to: Value },
    /// A member of an object, or an element of an array, goes.
    Dropped { at: Index },
    /// An array has this many times what it had.
    Repeated { at: Index, times: usize },
    /// Bytes that are no JSON.
    Bytes(Vec<u8>),
    /// A header says something else.
    Header { name: &'static str, value: Vec<u8> },
}

const HEADERS: [&str; 9] = [
    "date",
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "content-type",
    "location",
    "x-request-id",
    "github-authentication-token-expiration",
];

fn odd_value() -> impl Strategy<Value = Value> {
    let nested = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let text = [
        "",
        "9999-12-31T23:59:59Z",
        "-009999-01-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9223372036854775807",
        "..",
        "a/b?c#d%",
        "\n::error::\u{202e}\u{1b}[2J##[error]`|<b>",
        // This rotation's, in the year 9999 and in 1970.
        "xf1.4z5cgu75fe.3ed1mz3z.0.0a1b2c3d4e5f.4294967295",
        "xf1.4z5cgu75fe.0.1y2p0ij32e8e7.0a1b2c3d4e5f.1",
    ];
    prop_oneof![
        3 => prop::sample::select(text.to_vec()).prop_map(Value::from),
        1 => ".{0,40}".prop_map(Value::from),
        1 => Just(Value::from("ä".repeat(5000))),
        2 => prop_oneof![Just(i64::MIN), Just(i64::MAX), -2..3_i64, any::<i64>()].prop_map(Value::from),
        1 => prop_oneof![Just(1e308), Just(-0.5)].prop_map(Value::from),
        2 => prop_oneof![Just(json!(null)), Just(json!(true)), Just(json!([])), Just(json!({})), Just(nested)],
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    let header_value = prop_oneof![
        prop::sample::select(vec![
            "",
            "0",
            "-1",
            "99999999999999999999",
            "18446744073709551615",
            "9223372036854775807",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "https://elsewhere.invalid/",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(prop_oneof![32..127_u8, 128..=255_u8], 0..40),
    ];
    prop_oneof![
        8 => (at(), odd_value()).prop_map(|(at, to)| Change::Value { at, to }),
        3 => at().prop_map(|at| Change::Dropped { at }),
        1 => (at(), 2..40_usize).prop_map(|(at, times)| Change::Repeated { at, times }),
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Change::Bytes),
        3 => (prop::sample::select(HEADERS.to_vec()), header_value)
            .prop_map(|(name, value)| Change::Header { name, value }),
    ]
}

/// Every place in a JSON document, as a pointer; the whole first.
fn places(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    match value {
        Value::Array(all) => {
            all.iter().enumerate().for_each(|(n, one)| places(one, &format!("{here}/{n}"), found));
        }
        Value::Object(all) => {
            for (key, one) in all {
                let key = key.replace('~', "~0").replace('/', "~1");
                places(one, &format!("{here}/{key}"), found);
            }
        }
        _ => {}
    }
}

fn drop_place(document: &mut Value, place: &str) {
    let Some((parent, last)) = place.rsplit_once('/') else { return };
    match document.pointer_mut(parent) {
        Some(Value::Array(all)) => drop(all.remove(last.parse().unwrap())),
        Some(Value::Object(all)) => drop(all.remove(&last.replace("~1", "/").replace("~0", "~"))),
        _ => {}
    }
}

impl Change {
    fn apply(&self, headers: &mut Vec<(String, Vec<u8>)>, body: &mut Vec<u8>) {
        match self {
            Self::Bytes(bytes) => body.clone_from(bytes),
            Self::Header { name, value } => {
                headers.retain(|(known, _)| known != name);
                headers.push(((*name).to_owned(), value.clone()));
            }
            Self::Value { at, .. } | Self::Dropped { at } | Self::Repeated { at, .. } => {
                let Ok(mut document) = serde_json::from_slice::<Value>(body) else { return };
                let mut all = Vec::new();
                places(&document, "", &mut all);
                let place = &all[at.index(all.len())];
                match self {
                    Self::Value { to, .. } => *document.pointer_mut(place).unwrap() = to.clone(),
                    Self::Dropped { .. } => drop_place(&mut document, place),
                    Self::Repeated { times, .. } => {
                        if let Some(Value::Array(all)) = document.pointer_mut(place) {
                            let len = all.len() * times;
                            *all = all.iter().cloned().cycle().take(len).collect();
                        }
                    }
                    Self::Bytes(_) | Self::Header { .. } => {}
                }
                *body = document.to_string().into_bytes();
            }
        }
    }
}

/// Runs in a fresh scene, and says what is wrong with how it ends.
async fn run(service: &'static Service, destination: &str, n: usize, change: Change) -> Vec<String> {
    let world = World::builder().provider(service).destinations([destination]).start().await;
    let scene = Scene::new(world, Credential::Admin);
    let rewrite = move |headers: &mut _, body: &mut _| change.apply(headers, body);
    scene.faults.inject(Target::Nth(n), Fault::Rewrite(Arc::new(rewrite)));
    let ran = scene.rotate(IMPATIENT).run().await;
    scene.front.quiet().await;
    let mut wrong = scene.leaks(std::slice::from_ref(&ran));
    let report = serde_json::from_str::<Value>(&ran.stdout);
    if ran.exit_code > 1 || !report.is_ok_and(|report| report["rotations"][0]["name"] == "ci-ingest") {
        wrong.push(format!("no report: exit code {}, {}", ran.exit_code, ran.everything()));
    }
    for line in ran.stderr.lines() {
        if line.contains("##[") || line.contains(['\u{1b}', '\u{202e}']) {
            wrong.push(format!("not disarmed: {line:?}"));
        }
    }
    wrong
}

proptest! {
    #![proptest_config(Config {
        cases: if crate::walk::explores() { Config::default().cases } else { 200 },
        rng_seed: if crate::walk::explores() { RngSeed::Random } else { RngSeed::Fixed(2026) },
        max_shrink_iters: 50,
        ..Config::default()
    })]

    #[test]
    fn whatever_is_answered_a_run_ends_with_a_report(
        service in prop::sample::select(ALL.into_iter().chain(FURTHER).collect::<Vec<_>>()),
        destination in prop::sample::select(vec![
            "acme/infra:AXIOM_TOKEN", "acme/api@production:AXIOM_TOKEN", "org:acme:AXIOM_TOKEN",
        ]),
        n in 1..10_usize,
        change in change(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let wrong = runtime.block_on(run(service, destination, n, change));
        prop_assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
