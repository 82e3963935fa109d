//! Grafana: seconds in and RFC 3339 out, a creation that shows id and value alone, no GET of
//! one token. Grafana Cloud: names are unique, each writing request has an id.

use serde_json::{Value, json};

use super::super::super::contracts;
use super::super::super::reply::{Reply, query};
use super::super::rest::{PLAIN, Rest, manager, number, route, slice};
use super::super::{FakeToken, Service, TokenSpec};
use super::{date, rename, seconds_from};

/// Tokens of the service account 42.
pub static SERVICE: Service = Service {
    name: "grafana",
    by_age: false,
    marker_in: "name",
    api: &contracts::GRAFANA,
    route: |state, request| route(state, request, &REST),
    refusal: Reply::message,
    names: |state| {
        let digits = state.digits("value");
        ((1000 + state.made).to_string(), format!("glsa_{}_{}", &digits[..32], &digits[32..40]))
    },
    ordinary: TokenSpec::named,
    admin: |name| manager(TokenSpec::named(name)),
    file: Some(include_str!("../../../../docs/providers/grafana.md")),
};

const REST: Rest = Rest {
    tokens: &["api", "serviceaccounts", "42", "tokens"],
    whoami: &["api", "access-control", "user", "permissions"],
    reads_one: false,
    lists_managers: false,
    shown: |token| {
        json!({
            "id": token.id.parse::<u64>().unwrap(),
            "name": token.name(),
            "created": token.created_at,
            "expiration": token.expires_at,
            "lastUsedAt": token.last_used_at,
            "hasExpired": false,
            "isRevoked": false,
        })
    },
    asked: |mut body, now| {
        let end = seconds_from(&mut body, "secondsToLive", now)?;
        let name = body.get("name").and_then(Value::as_str).ok_or("name is required")?;
        if name.chars().count() > 190 {
            return Err("name is too long".to_owned());
        }
        Ok((body, Some(end)))
    },
    unique: Some(("name", false)),
    created: |token| {
        (200, json!({ "id": token.id.parse::<u64>().unwrap(), "name": token.name(), "key": token.value }))
    },
    deleted: |_| Reply::message(200, "Service account token deleted"),
    caller: |_| json!({ "dashboards:read": ["dashboards:*"] }),
    ..PLAIN
};

/// Tokens of one access policy.
pub static CLOUD: Service = Service {
    name: "grafana-cloud",
    by_age: false,
    marker_in: "description",
    api: &contracts::GRAFANA_CLOUD,
    route: |state, request| route(state, request, &CLOUD_REST),
    refusal: refusal_of_cloud,
    names: |state| (state.unique("id"), format!("glc_{}", state.digits("value"))),
    ordinary: |name| TokenSpec::named(name).with("accessPolicyId", json!(POLICY)),
    admin: |name| manager(TokenSpec::named(name).with("accessPolicyId", json!("another-policy"))),
    file: Some(include_str!("../../../../docs/providers/grafana-cloud.md")),
};

const POLICY: &str = "5b1d6e2c-0f5a-4c1e-9d6e-3f8a7b2c4d5e";

const CLOUD_REST: Rest = Rest {
    tokens: &["api", "v1", "tokens"],
    requires: |request| {
        let writes = request.method.as_str() != "GET";
        if writes && !request.headers.contains_key("x-request-id") {
            return Err("x-request-id is required");
        }
        query(request, "region").map(drop).ok_or("region is required")
    },
    lists_managers: false,
    shown: shown_by_cloud,
    page: |all, request| {
        let start = number(request, "pageCursor", 0);
        let (page, next) = slice(all, start, number(request, "pageSize", 20));
        let next =
            next.map(|next| format!("/api/v1/tokens?region=us&pageSize={}&pageCursor={next}", page.len()));
        json!({ "items": page, "metadata": { "pagination": { "pageSize": page.len(), "nextPage": next } } })
    },
    asked: |mut body, _| {
        let end = date(&mut body, "expiresAt")?;
        rename(&mut body, "displayName", "description")?;
        let is_legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !body.get("name").and_then(Value::as_str).is_some_and(|name| name.chars().all(is_legal)) {
            return Err("the name is invalid".to_owned());
        }
        Ok((body, Some(end)))
    },
    unique: Some(("name", false)),
    created: |token| {
        let mut reply = shown_by_cloud(token);
        reply["token"] = json!(token.value);
        (200, reply)
    },
    deleted: |_| Reply::json(200, json!({})),
    refusal: refusal_of_cloud,
    ..PLAIN
};

fn shown_by_cloud(token: &FakeToken) -> Value {
    let mut shown = json!({
        "id": token.id,
        "orgId": "1",
        "accessPolicyId": token.raw["accessPolicyId"],
        "name": token.name(),
        "displayName": token.raw.get("description").unwrap_or(&token.raw["name"]),
        "createdAt": token.created_at,
    });
    // What has not happened is left out.
    for (field, at) in [("expiresAt", token.expires_at), ("lastUsedAt", token.last_used_at)] {
        if let Some(at) = at {
            shown[field] = json!(at);
        }
    }
    shown
}

fn refusal_of_cloud(status: u16, message: &str) -> Reply {
    let code = match status {
        401 => "InvalidCredentials",
        403 => "Forbidden",
        404 => "NotFound",
        _ => "Conflict",
    };
    Reply::json(status, json!({ "code": code, "message": message }))
}
