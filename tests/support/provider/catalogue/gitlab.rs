//! GitLab: an expiry is a date, the role defaults to Maintainer, and revoked tokens stay in
//! the list.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::super::super::contracts;
use super::super::rest::{PLAIN, Rest, manager, next_link, numbered, route};
use super::super::{FakeToken, Service, TokenSpec};
use super::text;

/// Access tokens of the project 42.
pub static SERVICE: Service = Service {
    name: "gitlab",
    by_age: false,
    marker_in: "description",
    api: &contracts::GITLAB,
    route: |state, request| route(state, request, &REST),
    refusal: super::super::super::reply::Reply::message,
    names: |state| {
        let value = format!("glpat-{}", &state.digits("value")[..20]);
        ((1000 + state.made).to_string(), value)
    },
    ordinary: |name| token(name, "read_api", 20),
    admin: |name| manager(token(name, "api", 40)),
    file: Some(include_str!("../../../../docs/providers/gitlab.md")),
};

const REST: Rest = Rest {
    tokens: &["api", "v4", "projects", "42", "access_tokens"],
    whoami: &["api", "v4", "personal_access_tokens", "self"],
    credential: |request| Some(request.headers.get("private-token")?.to_str().ok()?.to_owned()),
    lists_managers: false,
    shown,
    page: |all, request| json!(numbered(all, request, 20)),
    link: |count, request| next_link(count, request, 20),
    remembers: true,
    asked: |mut body, now| {
        let end: Date = text(&mut body, "expires_at")?.parse().map_err(|_| "expires_at is invalid")?;
        let end = end.to_zoned(TimeZone::UTC).map_err(|_| "expires_at is invalid")?.timestamp();
        if end <= now || end > now + jiff::SignedDuration::from_hours(365 * 24) {
            return Err("expires_at must be within a year".to_owned());
        }
        if body.get("description").and_then(Value::as_str).is_some_and(|text| text.chars().count() > 255) {
            return Err("description is too long".to_owned());
        }
        if !body.contains_key("name") || !body.contains_key("scopes") {
            return Err("name and scopes are required".to_owned());
        }
        body.entry("access_level").or_insert(json!(40));
        Ok((body, Some(end)))
    },
    created: |token| {
        let mut reply = shown(token);
        reply["token"] = json!(token.value);
        (201, reply)
    },
    caller: |token| {
        let mut reply = shown(token);
        let fields = reply.as_object_mut().unwrap();
        fields.retain(|field, _| !matches!(field.as_str(), "access_level" | "resource_type" | "resource_id"));
        reply
    },
    ..PLAIN
};

fn token(name: &str, scope: &str, level: u32) -> TokenSpec {
    TokenSpec::named(name).with("scopes", json!([scope])).with("access_level", json!(level))
}

fn shown(token: &FakeToken) -> Value {
    let id: u64 = token.id.parse().unwrap();
    let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date().to_string();
    json!({
        "id": id,
        "name": token.name(),
        "description": token.raw.get("description"),
        "revoked": token.deleted,
        "active": !token.deleted,
        "created_at": token.created_at,
        "last_used_at": token.last_used_at,
        "expires_at": token.expires_at.map(day),
        "scopes": token.raw["scopes"],
        // A bot of its own for each token.
        "user_id": id + 5000,
        "access_level": token.raw["access_level"],
        "resource_type": "project",
        "resource_id": 42,
    })
}
