//! Databricks: the list is that of the credential's own identity, a deletion is a POST, dates
//! are milliseconds, and scopes may still be searched for.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::super::contracts;
use super::super::super::reply::Reply;
use super::super::rest::{PLAIN, Rest, manager, route};
use super::super::{FakeToken, Service, TokenSpec};
use super::{rename, seconds_from};

/// Personal access tokens of one identity.
pub static SERVICE: Service = Service {
    name: "databricks",
    by_age: false,
    marker_in: "name",
    api: &contracts::DATABRICKS,
    route: |state, request| route(state, request, &REST),
    refusal,
    names: |state| (state.digits("id"), format!("dapi{}", &state.digits("value")[..32])),
    ordinary: |name| TokenSpec::named(name).with("scopes", json!(["sql", "jobs"])),
    admin: |name| manager(TokenSpec::named(name).with("scopes", json!(["authentication"]))),
    file: Some(include_str!("../../../../docs/providers/databricks.md")),
};

const REST: Rest = Rest {
    tokens: &["api", "2.0", "token", "list"],
    creations: Some(&["api", "2.0", "token", "create"]),
    reads_one: false,
    posts_deletion: Some((&["api", "2.0", "token", "delete"], "token_id")),
    whoami: &["api", "2.0", "preview", "scim", "v2", "Me"],
    shown,
    page: |all, _| json!({ "token_infos": all }),
    asked: |mut body, now| {
        let end = seconds_from(&mut body, "lifetime_seconds", now)?;
        rename(&mut body, "comment", "name")?;
        if body.remove("autoscope_enabled") != Some(json!(false)) {
            return Err("the fake does not search for scopes".to_owned());
        }
        Ok((body, Some(end)))
    },
    created: |token| (200, json!({ "token_value": token.value, "token_info": shown(token) })),
    deleted: |_| Reply::json(200, json!({})),
    caller: |_| json!({ "id": "1", "userName": "ci@acme.example" }),
    refusal,
    ..PLAIN
};

fn shown(token: &FakeToken) -> Value {
    let mut shown = json!({
        "token_id": token.id,
        "comment": token.name(),
        "creation_time": token.created_at.as_millisecond(),
        "expiry_time": token.expires_at.map_or(-1, Timestamp::as_millisecond),
        "autoscope_state": "AUTOSCOPE_STATE_USER_SELECTED",
    });
    // Left out where nothing limits the token.
    if let Some(scopes) = token.raw.get("scopes") {
        shown["scopes"] = scopes.clone();
    }
    shown
}

fn refusal(status: u16, message: &str) -> Reply {
    Reply::json(status, json!({ "error_code": "REFUSED", "message": message }))
}
