//! Addresses, pages, dates and privileges.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::clock::ClockId;
use crate::http::PeerPolicy;

fn endpoint() -> Endpoint {
    let http = Http::new(crate::http::HttpSettings::default(), Arc::default());
    Endpoint {
        http: Arc::new(http),
        peer: Peer { clock: ClockId::Provider(0), policy: &PeerPolicy::STRICT },
        announce: Arc::new(|_| {}),
        value_fields: &["token"],
    }
}

#[test]
fn equal_rights_compare_equal() {
    let one = json!({"b": {"query": ["read"], "ingest": []}, "a": ["x", "y"], "c": {}});
    let other = json!({"a": ["y", "x", "x"], "b": {"query": ["read"]}});
    assert_eq!(canonicalize(one), canonicalize(other));
    assert_ne!(canonicalize(json!({"a": ["x"]})), canonicalize(json!({"a": ["x", "y"]})));
}

#[test]
fn granting_fields_differ_from_recording_ones() {
    for field in ["orgCapabilities", "telepathyCapabilities", "dataset_permissions", "scopes"] {
        assert!(grants(field), "{field}");
    }
    for field in [
        "auditIdentity",
        "apiLastUsed",
        "ingestLastUsed",
        "lastUsedAt",
        "createdAt",
        "createdBy",
        "id",
        "samlAuthenticated",
        "usage",
        "owner",
        "colour",
    ] {
        assert!(!grants(field), "{field}");
    }
}

#[test]
fn explains_in_every_dialect() {
    let said = |body: Value| explanation(&body);
    assert_eq!(said(json!({"message": "token expired"})).as_deref(), Some("token expired"));
    assert_eq!(said(json!({"title": "Bad", "detail": "name is taken"})).as_deref(), Some("name is taken"));
    let problems = json!({"title": "Bad", "status": 400, "errors": {"name": ["is too long.", "is odd."]}});
    assert_eq!(said(problems).as_deref(), Some("name: is too long. is odd."));
    let validation = json!({"detail": [{"loc": ["body", "name"], "msg": "field required"}]});
    assert_eq!(said(validation).as_deref(), Some("body.name: field required"));
    assert_eq!(said(json!([1, 2])), None);
}

#[test]
fn never_is_the_last_moment_there_is() {
    let read = |text: &str| timestamp(text).map(|at| at.to_string());
    assert_eq!(read("9999-12-31T23:59:59Z"), Some(Timestamp::MAX.to_string()));
    assert_eq!(read("9999-12-31T23:59:59.9999999+00:00"), Some(Timestamp::MAX.to_string()));
    assert_eq!(read("2026-03-02T08:00:00+02:00").as_deref(), Some("2026-03-02T06:00:00Z"));
    assert_eq!(read("2026-03-02T08:00:00.5").as_deref(), Some("2026-03-02T08:00:00.5Z"));
    for odd in ["", "soon", "2026-02-30T00:00:00Z", "-009999-01-01T00:00:00+25:00"] {
        assert_eq!(read(odd), None, "{odd}");
    }
}

#[test]
fn a_list_may_shift_between_two_pages() {
    let items = |ids: &[u32]| -> Vec<Map<String, Value>> {
        ids.iter().map(|id| Map::from_iter([("id".to_owned(), json!(id))])).collect()
    };
    let mut pages = Pages::by("id");
    assert!(pages.add(items(&[1, 2]), true).unwrap());
    assert!(pages.add(items(&[2, 3]), true).unwrap(), "one was made in front of them");
    assert!(!pages.add(items(&[2, 3]), true).unwrap(), "the same page again");
    assert!(!pages.add(items(&[4]), false).unwrap());
    assert_eq!(pages.items, items(&[1, 2, 3, 4]));
}

#[test]
fn an_address_may_hold_the_path_already() {
    for given in
        ["http://127.0.0.1:1", "http://127.0.0.1:1/", "http://127.0.0.1:1/v2", "http://127.0.0.1:1/v2/"]
    {
        let url = Url::parse(given).unwrap();
        let connection = Connection::new(endpoint(), Some(&url), "https://x.invalid", "v2").unwrap();
        assert_eq!(connection.base.as_str(), "http://127.0.0.1:1/v2", "{given}");
    }
}

#[test]
fn an_id_with_control_characters_is_refused() {
    let connection = Connection::new(endpoint(), None, "https://x.invalid", "v2").unwrap();
    for id in ["vic\ttim", "vic\rtim", "vic\ntim", "\t..", ".\n.", "\0", "a\u{7f}", "a\u{85}"] {
        let request =
            ProviderRequest { path: &["tokens", id], query: &[], headers: HeaderMap::new(), needs: "" };
        assert!(connection.call(Method::DELETE, &request).is_err(), "{id:?}");
    }
}

/// A request that was not sent does not show that a token is gone.
#[tokio::test]
async fn a_token_that_cannot_be_asked_for_is_not_taken_for_gone() {
    for kind in ["axiom", "deepset", "launchdarkly", "softwareone"] {
        let url = Some(Url::parse("http://127.0.0.1:9").unwrap());
        let settings = crate::provider::ProviderSettings {
            kind: kind.parse().unwrap(),
            url,
            org_id: None,
            credential: "X".to_owned(),
        };
        let Endpoint { http, peer, announce, .. } = endpoint();
        let provider = crate::provider::connect(&settings, http, peer.clock, announce).unwrap();
        for id in ["vic\ttim", "TKN-0000\n-0001", "..", ""] {
            let read = provider.get(&SecretString::from("credential"), id).await;
            assert_eq!(read.unwrap_err().kind, ErrorKind::Unreadable, "{kind} {id:?}");
        }
    }
}

#[test]
fn only_json_says_that_a_token_is_gone() {
    for status in [StatusCode::NOT_FOUND, StatusCode::GONE, StatusCode::BAD_REQUEST, StatusCode::CONFLICT] {
        let mut reply = Reply::of(status, HeaderMap::new());
        assert_eq!(refusal(&reply, "").kind, ErrorKind::Unreadable, "{status} without a body");
        reply = reply.with_body(b"<html>not here</html>");
        assert_eq!(refusal(&reply, "").kind, ErrorKind::Unreadable, "{status} with a page");
        reply = reply.with_body(br#"{"message":"no"}"#);
        assert!(refusal(&reply, "").kind.is_about_the_token(), "{status}");
    }
}

proptest! {
    #[test]
    fn an_id_never_leaves_its_segment(id in r"[\x00-\x20./\\%?#a-c\u{7f}-\u{a0}é]{0,12}") {
        let connection = Connection::new(endpoint(), None, "https://x.invalid", "v2").unwrap();
        let request = ProviderRequest { path: &["tokens", &id], query: &[], headers: HeaderMap::new(), needs: "" };
        if let Ok(call) = connection.call(Method::GET, &request) {
            let segments: Vec<_> = call.url.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), 3, "{}", call.url);
            prop_assert_eq!(call.url.query(), None);
            let sent = percent_encoding::percent_decode_str(segments[2]).decode_utf8().unwrap();
            prop_assert_eq!(sent, id, "another id than the one that is meant");
        }
    }
}
