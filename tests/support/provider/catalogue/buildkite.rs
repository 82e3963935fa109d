//! Buildkite: agent tokens, which sign in elsewhere; an expiry at least ten minutes ahead.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::super::super::contracts;
use super::super::super::reply::Reply;
use super::super::rest::{PLAIN, Rest, manager, next_link, numbered, route};
use super::super::{FakeToken, Service, TokenSpec};
use super::{date, rename};

/// Agent tokens of the cluster c-42.
pub static SERVICE: Service = Service {
    name: "buildkite",
    by_age: false,
    marker_in: "name",
    api: &contracts::BUILDKITE,
    route: |state, request| route(state, request, &REST),
    refusal: Reply::message,
    names: |state| (state.unique("id"), format!("bkct_{}", state.digits("value"))),
    ordinary: |name| TokenSpec::named(name).with("allowed_ip_addresses", json!("192.0.2.0/24 198.51.100.7")),
    admin: |name| manager(TokenSpec::named(name).with("allowed_ip_addresses", json!("203.0.113.0/24"))),
    file: Some(include_str!("../../../../docs/providers/buildkite.md")),
};

const REST: Rest = Rest {
    tokens: &["v2", "organizations", "acme", "clusters", "c-42", "tokens"],
    lists_managers: false,
    shown,
    page: |all, request| json!(numbered(all, request, 30)),
    link: |count, request| next_link(count, request, 30),
    asked: |mut body, now| {
        let end = date(&mut body, "expires_at")?;
        if end < now + SignedDuration::from_mins(10) {
            return Err("expires_at must be at least 10 minutes ahead".to_owned());
        }
        rename(&mut body, "description", "name")?;
        Ok((body, Some(end)))
    },
    created: |token| {
        let mut reply = shown(token);
        reply["token"] = json!(token.value);
        (201, reply)
    },
    ..PLAIN
};

fn shown(token: &FakeToken) -> Value {
    json!({
        "id": token.id,
        "description": token.name(),
        "allowed_ip_addresses": token.raw.get("allowed_ip_addresses"),
        "expires_at": token.expires_at,
        "created_at": token.created_at,
    })
}
