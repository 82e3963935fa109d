//! The fake Lighthouse: an imaginary service that crossfade knows only by the file in
//! `docs/providers.md`.

use serde_json::{Value, json};

use super::super::contracts;
use super::super::reply::Reply;
use super::rest::{Rest, bearer, route};
use super::{Service, TokenSpec};

/// Creates beside the previous token, which is deleted later or expires.
pub static SERVICE: Service = Service {
    name: "lighthouse",
    by_age: false,
    marker_in: "name",
    api: &contracts::LIGHTHOUSE,
    route: |state, request| route(state, request, &REST),
    refusal: Reply::message,
    names: |state| {
        let value = format!("lh-{}", state.digits("value"));
        ((1000 + state.made).to_string(), value)
    },
    ordinary: |name| TokenSpec::named(name).with("scopes", json!(["read", "write"])),
    admin: |name| TokenSpec::named(name).with("scopes", json!(["keys:admin"])),
    file: Some(include_str!("../../../docs/providers.md")),
};

const REST: Rest = Rest {
    tokens: &["v1", "keys"],
    whoami: &["v1", "me"],
    credential: bearer,
    may_manage: |token| token.raw["scopes"].as_array().is_some_and(|all| all.contains(&json!("keys:admin"))),
    refused: (401, 403),
    shown,
    page: |all, _| json!({ "keys": all }),
    asked: |mut body| {
        let expires = body.remove("expires").and_then(|end| end.as_str()?.parse().ok());
        let label = body.remove("label").filter(Value::is_string).ok_or("label is required")?;
        body.insert("name".to_owned(), label);
        expires.map(|end| (body, Some(end))).ok_or_else(|| "expires is required".to_owned())
    },
    created: |token| {
        let mut reply = shown(token);
        reply["secret"] = json!(token.value);
        (201, reply)
    },
    deleted: |_| Reply::empty(204),
    caller: |token| json!({ "key_id": number(&token.id) }),
    refusal: Reply::message,
};

/// Ids are numbers.
fn number(id: &str) -> Value {
    json!(id.parse::<u64>().unwrap())
}

fn shown(token: &super::FakeToken) -> Value {
    json!({
        "key_id": number(&token.id),
        "label": token.raw["name"],
        "scopes": token.raw["scopes"],
        "expires": token.expires_at.map(|end| end.to_string()),
        "created": token.created_at.to_string(),
    })
}
