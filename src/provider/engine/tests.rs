//! What the engine makes of the files that ship with crossfade.

use std::sync::Arc;

use proptest::prelude::*;
use url::Url;

use serde_json::{Map, json};

use super::*;
use crate::clock::ClockId;
use crate::http::{Http, HttpSettings};
use crate::provider::file::template::merged;

fn engine(name: &str) -> Provider {
    let settings = ProviderSettings {
        kind: name.parse().unwrap(),
        url: Some(Url::parse("http://127.0.0.1:9").unwrap()),
        with: BTreeMap::new(),
        credential: "X".to_owned(),
    };
    let http = Arc::new(Http::new(HttpSettings::new(std::time::Duration::from_secs(30)), Arc::default()));
    Provider::new(&settings, &BTreeMap::new(), http, ClockId::Provider(0), Arc::new(|_| {})).unwrap()
}

/// What the engine reads of `raw` with other fields on top.
fn read(name: &str, raw: &Value, extra: Value) -> Result<Option<Token>, Error> {
    engine(name).read_token(merged(raw.clone(), extra))
}

fn token(name: &str, raw: &Value, extra: Value) -> Token {
    read(name, raw, extra).unwrap().unwrap()
}

/// JSON that something else sends is no evidence that a token is gone.
#[test]
fn a_reply_without_an_id_shows_no_token() {
    let engine = engine("jupyterhub");
    let call = engine.file().get.clone().unwrap();
    let read = |reply: Value| engine.read_item(&call, &reply);
    assert_eq!(read(json!({"message": "hello"})).unwrap_err().kind, ErrorKind::Unreadable);
    assert_eq!(read(json!([])).unwrap_err().kind, ErrorKind::Unreadable);
    assert!(read(json!({"id": "a7", "oauth_client": "a running server"})).unwrap().is_none());
    assert!(read(json!({"id": "a7", "oauth_client": "JupyterHub"})).unwrap().is_some());
}

/// The body that creates the next token.
fn successor(name: &str, previous: &Token) -> Value {
    let mint = Mint {
        previous: Some(previous),
        by_creation: false,
        template: None,
        name: "ci",
        note: "ci marked",
        minted_at: "2026-03-02T09:00:00Z".parse().unwrap(),
        expires_at: Some("2026-05-31T09:00:00Z".parse().unwrap()),
        previous_ends_at: None,
    };
    let engine = engine(name);
    let file = engine.file();
    let mut subject = Subject::token(previous, file);
    (subject.previous, subject.mint, subject.expires_at) = (Some(previous), Some(&mint), mint.expires_at);
    engine.body(&file.create.body, &subject, None)
}

fn marketplace() -> Value {
    json!({
        "id": "TKN-1671-0642", "name": "ci", "description": null, "icon": null, "status": "Active",
        "account": {"id": "ACC-1671-0642", "name": "Acme"},
        "modules": [{"id": "MOD-9042", "name": "Orders"}, {"id": "MOD-1756"}],
        "audit": {"created": {"at": "2026-01-02T03:04:05.123Z", "by": {"id": "USR-1"}}},
        "lastAccessAt": "0001-01-01T00:00:00Z", "token": "idt:TKN-1671-0642:very-secret-value",
    })
}

#[test]
fn softwareone_reads_a_token_and_keeps_no_value() {
    let one = token("softwareone", &marketplace(), json!({}));
    assert_eq!((one.id.as_str(), one.note.as_str(), one.disabled), ("TKN-1671-0642", "", false));
    assert_eq!(one.created_at, Some("2026-01-02T03:04:05.123Z".parse().unwrap()));
    assert_eq!((one.expires_at, one.last_used_at), (None, None));
    let rights =
        json!({"account": {"id": "ACC-1671-0642"}, "modules": [{"id": "MOD-1756"}, {"id": "MOD-9042"}]});
    assert_eq!(one.privileges, rights);
    assert!(!one.raw.to_string().contains("very-secret"));
    assert!(token("softwareone", &marketplace(), json!({"status": "Disabled"})).disabled);
    assert!(read("softwareone", &marketplace(), json!({"status": "Deleted"})).unwrap().is_none());
    assert!(read("softwareone", &marketplace(), json!({"id": null})).is_err());
}

#[test]
fn softwareone_copies_account_and_modules_by_their_ids() {
    let wanted = json!({
        "name": "ci", "description": "ci marked", "icon": "x.png",
        "account": {"id": "ACC-1671-0642"}, "modules": [{"id": "MOD-9042"}, {"id": "MOD-1756"}],
    });
    let one = token("softwareone", &marketplace(), json!({"icon": "x.png"}));
    assert_eq!(successor("softwareone", &one), wanted);
    let rules = &engine("softwareone").kind.file().token.clone();
    assert!(rules.shows_required_rights(&marketplace()));
    assert!(!rules.shows_required_rights(&json!({"account": {"id": "ACC-1"}})));
    let all = token("softwareone", &marketplace(), json!({"modules": null}));
    assert_eq!(successor("softwareone", &all)["modules"], Value::Null, "sent: left out it might mean all");
}

fn deepset() -> Value {
    json!({
        "api_token_id": "61095542-756d-4551-a10a-e21000000001", "name": "ci [crossfade x]",
        "masked_token": "api_********wxyz", "personal": false, "expires": true,
        "expires_at": "2026-06-01T00:00:00+00:00", "organization_role": "MEMBER", "role": "editor",
        "user": {"given_name": "A", "family_name": "B"}, "all_workspaces": false,
        "workspaces": [{"name": "prod"}, {"name": "dev"}],
    })
}

#[test]
fn deepset_reads_a_token_and_keeps_no_value() {
    let one = token("deepset", &deepset(), json!({"api_token": "api_very-secret"}));
    assert_eq!((one.name.as_str(), one.note.as_str()), ("ci [crossfade x]", "ci [crossfade x]"));
    assert_eq!(one.expires_at, Some("2026-06-01T00:00:00Z".parse().unwrap()));
    assert!(!one.raw.to_string().contains("very-secret"));
    let naive = token("deepset", &deepset(), json!({"expires_at": "2026-06-01T00:00:00.5"}));
    assert_eq!(naive.expires_at, Some("2026-06-01T00:00:00.5Z".parse().unwrap()), "deepset's times are UTC");
    assert_eq!(token("deepset", &deepset(), json!({"expires_at": null})).expires_at, None);
    assert!(read("deepset", &deepset(), json!({"expires_at": "soon"})).is_err());
}

#[test]
fn deepset_copies_the_workspaces_unless_it_is_for_all() {
    let of = |extra| successor("deepset", &token("deepset", &deepset(), extra));
    let mut some = json!({
        "name": "ci marked", "expires": true, "expires_at": "2026-05-31T09:00:00Z",
        "organization_role": "MEMBER", "personal": false, "workspaces": ["prod", "dev"],
    });
    assert_eq!(of(json!({})), some);
    some.as_object_mut().unwrap().shift_remove("workspaces");
    assert_eq!(of(json!({"all_workspaces": true})), some);
    assert_eq!(of(json!({"personal": true}))["personal"], true);
    let none = token("deepset", &deepset(), json!({"workspaces": []})).privileges;
    let all = token("deepset", &deepset(), json!({"all_workspaces": true})).privileges;
    assert_ne!(none, all, "none and all differ");
}

#[test]
fn deepset_asks_only_for_a_uuid() {
    assert!(engine("deepset").could_be_id("61095542-756d-4551-a10a-e21000000001"));
    for name in ["ci-ingest", "", "61095542-756d-4551-a10a-e2100000000g", "61095542-756d-4551-a10a"] {
        assert!(!engine("deepset").could_be_id(name), "{name}");
    }
}

fn flags() -> Value {
    json!({
        "_id": "61095542756dba551110ae21", "ownerId": "569f514156e003339cfd3917",
        "memberId": "569f514183f2164430000002", "name": "ci", "description": "for builds",
        "creationDate": 1_628_001_602_644_i64, "lastModified": 1_628_001_602_644_i64, "lastUsed": 0,
        "role": "reader", "customRoleIds": [], "inlineRole": [], "token": "1f2e",
        "serviceToken": true, "defaultApiVersion": 20_240_415, "_links": {},
    })
}

#[test]
fn launchdarkly_reads_a_token_in_either_form_of_time() {
    let numbers = token("launchdarkly", &flags(), json!({}));
    let quoted = token("launchdarkly", &flags(), json!({"creationDate": "1628001602644", "lastUsed": "0"}));
    for token in [numbers, quoted] {
        assert_eq!(token.created_at, Some("2021-08-03T14:40:02.644Z".parse().unwrap()));
        assert_eq!((token.last_used_at, token.expires_at), (None, None));
        assert_eq!((token.name.as_str(), token.note.as_str()), ("ci", "ci"));
    }
}

#[test]
fn launchdarkly_keeps_the_end_of_a_value_and_never_a_whole_one() {
    let shown = token("launchdarkly", &flags(), json!({}));
    assert_eq!((shown.raw.get("token"), hint_of(&shown.raw)), (None, "1f2e"));
    let whole = json!({"token": "api-11111111-2222-3333-4444-555555551f2e"});
    let whole = token("launchdarkly", &flags(), whole);
    assert!(!whole.raw.to_string().contains("1f2e"));
}

#[test]
fn launchdarkly_copies_rights_and_neither_empty_lists_nor_the_old_expiry() {
    let expiring = token("launchdarkly", &flags(), json!({"expiry": 1_628_001_602_644_i64}));
    let wanted = json!({
        "name": "ci marked", "description": "for builds", "expiry": 1_780_218_000_000_i64,
        "role": "reader", "serviceToken": true, "defaultApiVersion": 20_240_415,
    });
    assert_eq!(successor("launchdarkly", &expiring), wanted);
    let custom = token("launchdarkly", &flags(), json!({"role": null, "customRoleIds": ["r1"]}));
    let custom = successor("launchdarkly", &custom);
    assert_eq!((custom.get("role"), &custom["customRoleIds"]), (None, &json!(["r1"])));
}

#[test]
fn launchdarkly_compares_the_member_of_a_personal_token() {
    let of = |extra| token("launchdarkly", &flags(), extra).privileges;
    assert_eq!(of(json!({})), of(json!({"memberId": "other"})), "independent of their creator");
    assert_ne!(of(json!({"serviceToken": false})), of(json!({"serviceToken": false, "memberId": "other"})));
}

#[test]
fn axiom_tokens_that_may_not_rotate_are_not_the_credential() {
    let axiom = engine("axiom");
    let raw = json!({"id": "1", "name": "ci", "orgCapabilities": {"apiTokens": ["read", "update"]}});
    let may = token("axiom", &raw, json!({}));
    let may_not = token("axiom", &raw, json!({"orgCapabilities": {"apiTokens": ["read"]}}));
    let value = SecretString::from("xaat-11111111-2222-3333-4444-555555555555");
    assert!(axiom.could_be_value_of(&may, &value));
    assert!(!axiom.could_be_value_of(&may_not, &value));
    assert!(!axiom.could_be_value_of(&may, &SecretString::from("xapt-11111111-2222")), "no list shows it");
}

#[test]
fn an_expiry_that_cannot_be_read_is_never_taken_for_none() {
    let of = |end: Value| read("axiom", &json!({"id": "1", "name": "ci"}), json!({ "expiresAt": end }));
    assert_eq!(of(json!("0001-01-01T00:00:00Z")).unwrap().unwrap().expires_at, None);
    for odd in [json!("soon"), json!(7), json!({})] {
        assert!(of(odd.clone()).is_err(), "{odd}");
    }
}

proptest! {
    #[test]
    fn no_reply_panics(raw in proptest::collection::vec(("[a-zA-Z_$]{1,12}", "[ -~]{0,20}"), 0..8)) {
        for kind in crate::provider::catalogue() {
            let raw: Map<String, Value> = raw.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
            let _ = engine(kind.name()).read_token(Value::Object(raw));
        }
    }
}
