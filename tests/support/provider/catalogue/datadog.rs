//! Datadog: more digits of a second in the reply to a creation than in the list, a number of
//! all tokens, an expiry within a year.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::super::contracts;
use super::super::super::reply::Reply;
use super::super::rest::{PLAIN, Rest, manager, number, route, slice};
use super::super::{FakeToken, Service, TokenSpec};
use super::{attributes, date};

/// Access tokens of a service account.
pub static SERVICE: Service = Service {
    name: "datadog",
    by_age: false,
    marker_in: "name",
    api: &contracts::DATADOG,
    route: |state, request| route(state, request, &REST),
    refusal,
    names: |state| (state.unique("id"), format!("ddsat_{}", &state.digits("value")[..40])),
    ordinary: |name| TokenSpec::named(name).with("scopes", json!(["metrics_read", "dashboards_read"])),
    admin: |name| manager(TokenSpec::named(name).with("scopes", json!(["service_account_write"]))),
    file: Some(include_str!("../../../../docs/providers/datadog.md")),
};

const REST: Rest = Rest {
    tokens: &["api", "v2", "service_accounts", "9c8b7a65-4d3e-4f21-8a9b-0c1d2e3f4a5b", "access_tokens"],
    whoami: &["api", "v2", "current_user"],
    lists_managers: false,
    shown: |token| item(token, "%Y-%m-%dT%H:%M:%S.123456+00:00"),
    page: |all, request| {
        let size = number(request, "page[size]", 10).min(100);
        let (page, _) = slice(all, number(request, "page[number]", 0) * size, size);
        json!({ "data": page, "meta": { "page": { "total_filtered_count": all.len() } } })
    },
    asked: |body, now| {
        let mut asked = attributes(body, "service_access_tokens")?;
        let end = date(&mut asked, "expires_at")?;
        let (shortest, longest) = (SignedDuration::from_hours(24), SignedDuration::from_hours(365 * 24));
        if end < now + shortest || end > now + longest {
            return Err("expires_at is out of range".to_owned());
        }
        Ok((asked, Some(end)))
    },
    created: |token| {
        let mut shown = item(token, "%Y-%m-%dT%H:%M:%S.123456789Z");
        shown["attributes"]["key"] = json!(token.value);
        (201, json!({ "data": shown }))
    },
    read: |shown| json!({ "data": shown }),
    caller: |_| json!({ "data": { "type": "users", "id": "9c8b7a65-4d3e-4f21-8a9b-0c1d2e3f4a5b" } }),
    refusal,
    ..PLAIN
};

fn item(token: &FakeToken, form: &str) -> Value {
    let written = |at: Timestamp| at.strftime(form).to_string();
    json!({
        "id": token.id,
        "type": "service_access_tokens",
        "attributes": {
            "name": token.name(),
            "public_portion": &token.value[..12],
            "scopes": token.raw["scopes"],
            "created_at": written(token.created_at),
            "last_used_at": token.last_used_at,
            "expires_at": token.expires_at,
        },
    })
}

fn refusal(status: u16, message: &str) -> Reply {
    Reply::json(status, json!({ "errors": [message] }))
}
