use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use url::Url;
use zeroize::Zeroizing;

use super::super::Peer;
use super::super::tests::{LENIENT, STRICT};
use super::*;

const BACKOFF: Duration = Duration::from_secs(2);
const LEFT: Duration = Duration::from_secs(1000);

fn policy() -> RetryPolicy {
    RetryPolicy::for_timeout(Duration::from_secs(30))
}

fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Failed {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap()))
        .collect();
    Failed::Reply(Box::new(Reply {
        status: StatusCode::from_u16(status).unwrap(),
        date: super::super::call::date(&headers),
        headers,
        may_have_been_applied: false,
        url: Url::parse("https://api.example/").unwrap(),
        body: Zeroizing::new(body.as_bytes().to_vec()),
    }))
}

fn seconds(peer: Peer, failed: &Failed) -> Option<u64> {
    wait(&policy(), peer.policy, Retry::Idempotent, failed, BACKOFF, LEFT).map(|wait| wait.as_secs())
}

fn errors() -> Vec<HttpError> {
    let origin = || "https://api.example".to_owned();
    let cause = || "cause".to_owned();
    vec![
        HttpError::Connect { origin: origin(), cause: cause() },
        HttpError::Tls { origin: origin(), cause: cause() },
        HttpError::Setup { cause: cause() },
        HttpError::Credential,
        HttpError::Insecure { origin: origin() },
        HttpError::Late,
        HttpError::Timeout { origin: origin() },
        HttpError::Dropped { origin: origin(), cause: cause() },
        HttpError::Garbled { origin: origin(), status: StatusCode::OK, said: String::new() },
        HttpError::TooLarge { origin: origin() },
        HttpError::Redirect { from: origin(), to_origin: origin() },
        HttpError::Proxy { origin: origin(), proxy: origin(), cause: cause() },
    ]
}

#[test]
fn a_requested_wait_is_passed_on() {
    let asked = |headers: &[(&str, &str)]| match reply(429, headers, "") {
        Failed::Reply(reply) => requested_wait(&reply).map(|wait| wait.as_secs()),
        Failed::Error(error) => panic!("{error}"),
    };
    assert_eq!(asked(&[("retry-after", "7")]), Some(7));
    assert_eq!(asked(&[]), None);
}

#[test]
fn a_server_error_is_retried() {
    for status in 400..600 {
        let again = matches!(status, 429 | 500 | 502 | 503 | 504);
        let expected = again.then_some(2);
        assert_eq!(seconds(STRICT, &reply(status, &[], "")), expected, "{status}");
    }
}

#[test]
fn what_must_not_be_sent_twice_is_repeated_only_if_it_was_not_sent() {
    for status in 400..600 {
        let failed = reply(status, &[("retry-after", "1")], "");
        assert_eq!(wait(&policy(), STRICT.policy, Retry::Never, &failed, BACKOFF, LEFT), None, "{status}");
    }
    for error in errors() {
        let connect = matches!(error, HttpError::Connect { .. } | HttpError::Proxy { .. });
        let failed = Failed::Error(error);
        let again = wait(&policy(), STRICT.policy, Retry::Never, &failed, BACKOFF, LEFT).is_some();
        assert_eq!(again, connect, "{}", failed.brief(LENIENT.policy));
    }
}

#[test]
fn what_another_attempt_cannot_change_is_not_repeated() {
    for error in errors() {
        let passes = matches!(
            error,
            HttpError::Connect { .. }
                | HttpError::Proxy { .. }
                | HttpError::Timeout { .. }
                | HttpError::Dropped { .. }
                | HttpError::Garbled { .. }
        );
        let failed = Failed::Error(error);
        assert_eq!(seconds(LENIENT, &failed).is_some(), passes, "{}", failed.brief(LENIENT.policy));
    }
}

#[test]
fn what_counts_as_a_rate_limit_and_how_long_to_rest_depends_on_the_service() {
    let limit = |peer, headers: &[(&str, &str)]| seconds(peer, &reply(403, headers, ""));
    assert_eq!(limit(LENIENT, &[]), Some(60), "it names no time: half the longest wait");
    assert_eq!(limit(LENIENT, &[("retry-after", "7")]), Some(7));
    assert_eq!(limit(STRICT, &[("retry-after", "7")]), None);
    assert_eq!(seconds(LENIENT, &reply(429, &[], "")), Some(60));
    assert_eq!(seconds(STRICT, &reply(429, &[], "")), Some(2));
}

#[test]
fn a_server_says_how_long() {
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    let after = |status, value| seconds(STRICT, &reply(status, &[date, ("retry-after", value)], ""));
    assert_eq!(after(503, "9"), Some(9));
    assert_eq!(after(429, "0"), Some(2), "never sooner than the back-off");
    assert_eq!(after(429, "Sun, 06 Nov 1994 08:49:57 GMT"), Some(20));
    assert_eq!(after(429, "Sun, 06 Nov 1994 08:00:00 GMT"), Some(2));
    assert_eq!(after(429, "120"), Some(120));
    assert_eq!(after(429, "121"), None, "more than the cap: no further attempt");
    assert_eq!(after(429, "99999999999999999999"), Some(2), "no number, no date");

    // 784111777 is the date above.
    let reset = |at| {
        let headers = [date, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", at)];
        seconds(LENIENT, &reply(403, &headers, ""))
    };
    assert_eq!(reset("784111787"), Some(11));
    assert_eq!(reset("784111000"), Some(2));
    assert_eq!(reset("784115377"), None);
    assert_eq!(reset("9223372036854775807"), Some(60), "no time at all");
}

#[test]
fn nothing_is_tried_beyond_the_time_left() {
    let failed = reply(500, &[], "");
    let within = |left| wait(&policy(), LENIENT.policy, Retry::Idempotent, &failed, BACKOFF, left);
    assert_eq!(within(BACKOFF), None);
    assert_eq!(within(BACKOFF + Duration::from_millis(1)), Some(BACKOFF));
}

#[test]
fn waits_grow_to_their_cap_with_jitter() {
    use backon::BackoffBuilder as _;
    let policy = policy();
    let waits: Vec<Duration> = policy.backoff(false).build().collect();
    assert_eq!(waits.len(), 7);
    let waits: Vec<Duration> = policy.backoff(true).build().collect();
    assert_eq!(waits.len(), 11);
    assert!(waits.iter().sum::<Duration>() >= Duration::from_secs(120), "a delivery window comes first");
    for (nth, wait) in waits.iter().enumerate() {
        let base = policy.max_wait.min(policy.first_wait * 2_u32.pow(u32::try_from(nth).unwrap()));
        assert!((base..=base * 2).contains(wait), "{nth}: {wait:?}");
    }
}

proptest! {
    #[test]
    fn hostile_headers_never_panic_and_never_exceed_the_cap(
        after in "[ -~]{0,30}",
        remaining in "[ -~]{0,4}|0",
        reset in "[0-9]{0,25}|[ -~]{0,10}",
        date in "[ -~]{0,30}|Sun, 06 Nov 1994 08:49:37 GMT",
        status in prop::sample::select(vec![403_u16, 429, 500, 503]),
    ) {
        let headers = [
            ("retry-after", after.as_str()),
            ("x-ratelimit-remaining", remaining.as_str()),
            ("x-ratelimit-reset", reset.as_str()),
            ("date", date.as_str()),
        ];
        for headers in [&headers[..], &headers[1..]] {
            if let Some(wait) = seconds(LENIENT, &reply(status, headers, "")) {
                prop_assert!((2..=120).contains(&wait));
            }
        }
    }
}

#[test]
fn waits_are_in_proportion_to_the_timeout() {
    let RetryPolicy { first_wait, max_wait, budget, .. } = policy();
    assert_eq!([first_wait, max_wait, budget].map(|wait| wait.as_secs()), [1, 15, 120]);
}

#[test]
fn an_error_says_whether_the_request_may_have_been_processed() {
    for status in [400, 401, 403, 404, 409, 422, 429] {
        assert!(!reply(status, &[], "").may_have_been_processed(), "{status}");
    }
    for status in [500, 502, 503] {
        assert!(reply(status, &[], "").may_have_been_processed(), "{status}");
    }
    let may_have_been_applied: Vec<String> = errors()
        .into_iter()
        .filter(|error| Failed::Error(error.clone()).may_have_been_processed())
        .map(|error| format!("{error:?}").split([' ', '{']).next().unwrap().to_owned())
        .collect();
    assert_eq!(may_have_been_applied, ["Timeout", "Dropped", "Garbled", "TooLarge", "Redirect"]);
}

#[test]
fn a_failed_attempt_is_logged_without_its_body() {
    let brief = |failed: Failed| failed.brief(STRICT.policy);
    assert_eq!(brief(reply(503, &[], "xaat-1")), "answered 503 Service Unavailable");
    assert_eq!(brief(Failed::Error(errors().swap_remove(6))), "did not answer in time");
}

/// Shards of a fleet that fail at one moment must not come back at one moment.
#[test]
fn two_backoffs_do_not_wait_the_same() {
    let policy = RetryPolicy::for_timeout(Duration::from_secs(30));
    let waits = || policy.backoff(false).build().collect::<Vec<Duration>>();
    let here = waits();
    assert_ne!(here, waits(), "two requests of one run");
    let elsewhere = std::thread::spawn(move || policy.backoff(false).build().collect::<Vec<_>>());
    assert_ne!(here, elsewhere.join().unwrap());
}

#[test]
fn repetitions_by_hand_follow_the_same_policy() {
    let policy = RetryPolicy::for_timeout(Duration::from_secs(30));
    let mut repetitions = policy.repetitions();
    let first = repetitions.next_wait(None).unwrap();
    assert!((policy.first_wait..=2 * policy.first_wait).contains(&first), "{first:?}");
    let asked = Duration::from_secs(40);
    assert_eq!(repetitions.next_wait(Some(asked)), Some(asked), "what the server asks for");
    assert_eq!(repetitions.next_wait(Some(policy.budget * 2)), None, "too long");
    let mut repetitions = policy.repetitions();
    let waits = std::iter::from_fn(|| repetitions.next_wait(None)).count();
    assert_eq!(waits, 7);
}
