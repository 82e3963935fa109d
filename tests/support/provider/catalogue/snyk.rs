//! Snyk: JSON:API with a version in each query; the account is the unit; accounts that sign in
//! otherwise stand in the same list.

use serde_json::{Value, json};

use super::super::super::contracts;
use super::super::super::reply::{Reply, query};
use super::super::rest::{PLAIN, Rest, manager, number, route, slice, token_scheme};
use super::super::{FakeToken, Service, TokenSpec};
use super::{attributes, date, is_json_api};

/// Service accounts of an organization.
pub static SERVICE: Service = Service {
    name: "snyk",
    by_age: false,
    marker_in: "name",
    api: &contracts::SNYK,
    route: |state, request| route(state, request, &REST),
    refusal,
    names: |state| (state.unique("id"), snyk_value(&state.digits("value"))),
    ordinary: |name| account(name, "11111111-2222-4333-a444-555555555555"),
    admin: |name| manager(account(name, "99999999-2222-4333-a444-555555555555")),
    file: Some(include_str!("../../../../docs/providers/snyk.md")),
};

/// A key id, a payload and a signature.
fn snyk_value(digits: &str) -> String {
    format!("snyk_sat.{}.{}.{}", &digits[..8], &digits[8..30], &digits[30..48])
}

const REST: Rest = Rest {
    tokens: &["rest", "orgs", "0f1e2d3c-4b5a-4697-8879-6a5b4c3d2e1f", "service_accounts"],
    whoami: &["rest", "self"],
    credential: token_scheme,
    requires: |request| {
        query(request, "version").ok_or("a version is required")?;
        is_json_api(request)
    },
    shown,
    page: |all, request| {
        let start = number(request, "starting_after", 0);
        let size = number(request, "limit", 10).min(100);
        let (page, next) = slice(all, start, size);
        let mut page = page.to_vec();
        if start == 0 {
            let mut other =
                json!({ "id": "00000000-0000-4000-a000-000000000000", "type": "service_account" });
            other["attributes"] = json!({ "name": "ci-ingest", "auth_type": "api_key", "role_id": "11111111-2222-4333-a444-555555555555" });
            page.push(other);
        }
        let mut links = json!({});
        if let Some(next) = next {
            // Without the path of the API.
            let path = request.url.path().trim_start_matches("/rest");
            let href = format!("{path}?version=2024-10-15&limit={size}&starting_after={next}");
            links["next"] = if start == 0 { json!(href) } else { json!({ "href": href }) };
        }
        json!({ "jsonapi": { "version": "1.0" }, "data": page, "links": links })
    },
    asked: |body, _| {
        let mut asked = attributes(body, "service_account")?;
        let end = date(&mut asked, "access_token_expires_at")?;
        if asked.remove("auth_type") != Some(json!("access_token")) {
            return Err("auth_type must be access_token".to_owned());
        }
        Ok((asked, Some(end)))
    },
    unique: Some(("name", false)),
    created: |token| {
        let mut shown = shown(token);
        shown["attributes"]["access_token"] = json!(token.value);
        (201, one(shown))
    },
    read: one,
    caller: |token| one(json!({ "id": token.id, "type": "service_account", "attributes": {} })),
    refusal,
    ..PLAIN
};

fn account(name: &str, role: &str) -> TokenSpec {
    TokenSpec::named(name).with("role_id", json!(role))
}

fn one(data: Value) -> Value {
    json!({ "jsonapi": { "version": "1.0" }, "data": data, "links": {} })
}

fn shown(token: &FakeToken) -> Value {
    let mut shown = json!({
        "id": token.id,
        "type": "service_account",
        "attributes": {
            "name": token.name(),
            "auth_type": "access_token",
            "role_id": token.raw["role_id"],
            "created_at": token.created_at,
            "level": "Org",
        },
    });
    if let Some(end) = token.expires_at {
        shown["attributes"]["access_token_expires_at"] = json!(end);
    }
    shown
}

fn refusal(status: u16, message: &str) -> Reply {
    let error = json!({ "status": status.to_string(), "detail": message });
    Reply::json(status, json!({ "jsonapi": { "version": "1.0" }, "errors": [error] }))
}
