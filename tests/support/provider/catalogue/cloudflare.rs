//! Cloudflare: everything in an envelope, no description, policies that get ids and names
//! from the server, and pages that may be shorter than asked for.

use serde_json::{Map, Value, json};

use super::super::super::contracts;
use super::super::super::reply::Reply;
use super::super::rest::{PLAIN, Rest, manager, number, route, slice};
use super::super::{FakeToken, Service, State, TokenSpec};
use super::date;

/// API tokens of an account.
pub static ACCOUNT: Service = Service {
    name: "cloudflare",
    api: &contracts::CLOUDFLARE,
    by_age: false,
    marker_in: "name",
    route: |state, request| route(state, request, &ACCOUNT_REST),
    refusal,
    names,
    ordinary: |name| token(name, "Zone Read"),
    admin: |name| manager(token(name, "Account API Tokens Write")),
    file: Some(include_str!("../../../../docs/providers/cloudflare.md")),
};

/// API tokens of a user.
pub static USER: Service = Service {
    name: "cloudflare-user",
    api: &contracts::CLOUDFLARE,
    by_age: false,
    marker_in: "name",
    route: |state, request| route(state, request, &USER_REST),
    refusal,
    names,
    ordinary: |name| token(name, "Zone Read"),
    admin: |name| manager(token(name, "API Tokens Write")),
    file: Some(include_str!("../../../../docs/providers/cloudflare-user.md")),
};

const ACCOUNT_REST: Rest = Rest {
    tokens: &["client", "v4", "accounts", "0123456789abcdef0123456789abcdef", "tokens"],
    whoami: &["client", "v4", "accounts", "0123456789abcdef0123456789abcdef", "tokens", "verify"],
    ..USER_REST
};

const USER_REST: Rest = Rest {
    tokens: &["client", "v4", "user", "tokens"],
    whoami: &["client", "v4", "user", "tokens", "verify"],
    shown,
    page: |all, request| {
        let size = number(request, "per_page", 20).min(25);
        let page = number(request, "page", 1);
        let (items, _) = slice(all, (page - 1) * size, size);
        let mut reply = envelope(json!(items));
        reply["result_info"] = json!({ "page": page, "per_page": size, "count": items.len() });
        reply
    },
    asked: |mut body, _| {
        let end = date(&mut body, "expires_on")?;
        let name = body.get("name").and_then(Value::as_str).ok_or("name is required")?;
        if name.chars().count() > 120 {
            return Err("name is too long".to_owned());
        }
        body.get("policies").ok_or("policies are required")?;
        Ok((body, Some(end)))
    },
    created: |token| {
        let mut token_shown = shown(token);
        token_shown["value"] = json!(token.value);
        (200, envelope(token_shown))
    },
    read: envelope,
    deleted: |token| Reply::json(200, envelope(json!({ "id": token.id }))),
    caller: |token| envelope(json!({ "id": token.id, "status": "active" })),
    refusal,
    ..PLAIN
};

fn names(state: &mut State) -> (String, String) {
    let (id, value) = (state.digits("id"), state.digits("value"));
    (id[..32].to_owned(), value[..40].to_owned())
}

fn token(name: &str, group: &str) -> TokenSpec {
    TokenSpec::named(name)
        .with(
            "policies",
            json!([{
                "effect": "allow",
                "permission_groups": [{ "id": format!("group of {group}") }, { "id": "another group" }],
                "resources": { "com.cloudflare.api.account.zone.*": "*" },
            }]),
        )
        .with("condition", json!({ "request_ip": { "in": ["192.0.2.0/24"] } }))
}

fn envelope(result: Value) -> Value {
    json!({ "success": true, "errors": [], "messages": [], "result": result })
}

fn refusal(status: u16, message: &str) -> Reply {
    let errors = json!([{ "code": 1000 + u32::from(status), "message": message }]);
    Reply::json(status, json!({ "success": false, "errors": errors, "messages": [], "result": null }))
}

fn shown(token: &FakeToken) -> Value {
    let mut shown: Map<String, Value> = token.raw.clone();
    shown.retain(|field, _| !field.starts_with('_'));
    for (number, policy) in shown["policies"].as_array_mut().unwrap().iter_mut().enumerate() {
        policy["id"] = json!(format!("{}-{number}", token.id));
        for group in policy["permission_groups"].as_array_mut().unwrap() {
            group["name"] = json!("a name that may change");
            group["meta"] = json!({ "key": "zone" });
        }
    }
    shown.insert("id".into(), json!(token.id));
    shown.insert("status".into(), json!(if token.disabled { "disabled" } else { "active" }));
    shown.insert("issued_on".into(), json!(token.created_at));
    shown.insert("modified_on".into(), json!(token.created_at));
    for (field, at) in [("expires_on", token.expires_at), ("last_used_on", token.last_used_at)] {
        if let Some(at) = at {
            shown.insert(field.into(), json!(at));
        }
    }
    Value::Object(shown)
}
