//! Addresses, and what an answer means.

use proptest::prelude::*;
use serde_json::json;

use secrecy::SecretString;

use super::*;
use crate::clock::ClockId;

fn api() -> Url {
    Url::parse("https://x.invalid/v2").unwrap()
}

fn to(id: &str) -> [String; 2] {
    ["tokens".to_owned(), id.to_owned()]
}

fn http() -> Arc<Http> {
    Arc::new(Http::new(crate::http::HttpSettings::new(std::time::Duration::from_secs(30)), Arc::default()))
}

fn connection(url: Option<&Url>) -> Connection {
    let values = Values { fields: Arc::from(["token".to_owned()]), announce: Arc::new(|_| {}) };
    Connection::new(http(), ClockId::Provider(0), values, url, Some(&api())).unwrap()
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
    let listed =
        json!({"errors": [{"code": 7, "message": "name is taken"}, {"detail": "no role"}, "too long"]});
    assert_eq!(said(listed).as_deref(), Some("name is taken; no role; too long"));
    assert_eq!(said(json!([1, 2])), None);
}

#[test]
fn an_address_may_hold_the_path_already() {
    for given in
        ["http://127.0.0.1:1", "http://127.0.0.1:1/", "http://127.0.0.1:1/v2", "http://127.0.0.1:1/v2/"]
    {
        let url = Url::parse(given).unwrap();
        let connection = connection(Some(&url));
        assert_eq!(connection.base.as_str(), "http://127.0.0.1:1/v2", "{given}");
    }
}

#[test]
fn an_id_with_control_characters_is_refused() {
    let connection = connection(None);
    for id in ["vic\ttim", "vic\rtim", "vic\ntim", "\t..", ".\n.", "\0", "a\u{7f}", "a\u{85}"] {
        assert!(connection.url(&to(id), &[]).is_err(), "{id:?}");
    }
}

/// A request that was not sent does not show that a token is gone.
#[tokio::test]
async fn a_token_that_cannot_be_asked_for_is_not_taken_for_gone() {
    for kind in crate::provider::catalogue().iter().filter(|kind| kind.file().get.is_some()) {
        let variables = kind.file().variables.keys().map(|name| (name.clone(), "x".to_owned()));
        let url = Some(Url::parse("http://127.0.0.1:9").unwrap());
        let settings = crate::provider::ProviderSettings {
            kind: kind.clone(),
            url,
            with: variables.collect(),
            credential: "X".to_owned(),
        };
        let (secrets, clock) = (std::collections::BTreeMap::new(), ClockId::Provider(0));
        let provider =
            crate::provider::Provider::new(&settings, &secrets, http(), clock, Arc::new(|_| {})).unwrap();
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
        assert_eq!(explain(&reply, "").kind, ErrorKind::Unreadable, "{status} without a body");
        reply = reply.with_body(b"<html>not here</html>");
        assert_eq!(explain(&reply, "").kind, ErrorKind::Unreadable, "{status} with a page");
        reply = reply.with_body(br#"{"message":"no"}"#);
        assert!(explain(&reply, "").kind.is_about_the_token(), "{status}");
    }
}

proptest! {
    #[test]
    fn an_id_never_leaves_its_segment(id in r"[\x00-\x20./\\%?#a-c\u{7f}-\u{a0}é]{0,12}") {
        let connection = connection(None);
        if let Ok(url) = connection.url(&to(&id), &[]) {
            let segments: Vec<_> = url.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), 3, "{}", url);
            prop_assert_eq!(url.query(), None);
            let sent = percent_encoding::percent_decode_str(segments[2]).decode_utf8().unwrap();
            prop_assert_eq!(sent, id, "another id than the one that is meant");
        }
    }
}
