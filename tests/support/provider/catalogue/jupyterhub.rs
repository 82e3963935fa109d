//! JupyterHub: ids that are used again, 403 as the only refusal, scopes as they take effect in
//! an order of each token's own, a creation without scopes that may do everything, and a list
//! that drops what has expired.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::super::contracts;
use super::super::super::reply::{Reply, Request};
use super::super::rest::{Asked, PLAIN, Rest, manager, route};
use super::super::{FakeToken, Service, State, TokenSpec};
use super::{rename, seconds_from};

/// API tokens of the user ci-bot.
pub static SERVICE: Service = Service {
    name: "jupyterhub",
    by_age: false,
    marker_in: "name",
    api: &contracts::JUPYTERHUB,
    route: |state, request| route(state, request, &REST),
    refusal,
    names,
    ordinary: |name| token(name, &["read:users:activity!user", "access:servers!user"]),
    // A token of a service, which the list of a user does not show.
    admin: |name| manager(token(name, &["tokens!user"])),
    file: Some(include_str!("../../../../docs/providers/jupyterhub.md")),
};

const REST: Rest = Rest {
    // At the address that a rotation names: `/hub/api` of a hub.
    tokens: &["users", "ci-bot", "tokens"],
    whoami: &["user"],
    // A user's own token may manage the user's tokens, too.
    may_manage: |token| {
        let scopes = token.raw["scopes"].as_array();
        scopes.is_some_and(|all| all.contains(&json!("tokens!user=ci-bot")))
    },
    lists_managers: false,
    forgets_expired: true,
    refused: (403, 403),
    shown,
    page,
    asked,
    created: |token| {
        let mut reply = shown(token);
        reply["token"] = json!(token.value);
        (201, reply)
    },
    caller: |token| {
        json!({
            "kind": "user", "name": "ci-bot", "admin": false, "token_id": token.id, "session_id": null,
            "scopes": shown(token)["scopes"],
        })
    },
    refusal,
    ..PLAIN
};

/// Everything that the user may do.
const ALL: [&str; 6] = [
    "access:servers!user",
    "read:users:activity!user",
    "read:users:groups!user",
    "read:users:name!user",
    "servers!user",
    "tokens!user",
];

/// A token of the user with these scopes.
#[must_use]
pub fn token(name: &str, scopes: &[&str]) -> TokenSpec {
    TokenSpec::named(name).with("scopes", effective(scopes.iter().copied()))
}

/// Scopes as they take effect, sorted.
fn effective<'a>(scopes: impl Iterator<Item = &'a str>) -> Value {
    let mut all: Vec<String> =
        ["read:users:name!user=ci-bot", "read:users:groups!user=ci-bot"].map(str::to_owned).to_vec();
    for scope in scopes {
        let own =
            scope.strip_suffix("!user").map_or(scope.to_owned(), |scope| format!("{scope}!user=ci-bot"));
        if own.starts_with("tokens!") {
            all.push(format!("read:{own}"));
        }
        all.push(own);
    }
    all.sort();
    all.dedup();
    json!(all)
}

/// `INTEGER PRIMARY KEY` of SQLite: one more than the greatest that there is.
fn names(state: &mut State) -> (String, String) {
    let number = |token: &FakeToken| token.id.strip_prefix('a').and_then(|digits| digits.parse::<u64>().ok());
    let greatest = state.tokens.iter().filter(|token| !token.deleted).filter_map(number).max();
    (format!("a{}", greatest.unwrap_or_default() + 1), state.digits("value")[..32].to_owned())
}

fn asked(mut body: Map<String, Value>, now: Timestamp) -> Result<Asked, String> {
    let end = seconds_from(&mut body, "expires_in", now)?;
    rename(&mut body, "note", "name")?;
    let scopes = match body.get("scopes") {
        None => effective(ALL.into_iter()),
        Some(scopes) => effective(scopes.as_array().into_iter().flatten().filter_map(Value::as_str)),
    };
    let owned = effective(ALL.into_iter());
    let is_owned = |scope: &Value| owned.as_array().is_some_and(|all| all.contains(scope));
    if !scopes.as_array().is_some_and(|all| all.iter().all(is_owned)) {
        return Err("Not assigning requested scopes not held by User ci-bot".to_owned());
    }
    body.insert("scopes".to_owned(), scopes);
    Ok((body, Some(end)))
}

fn shown(token: &FakeToken) -> Value {
    let written = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
    let mut scopes = token.raw["scopes"].as_array().cloned().unwrap_or_default();
    // A set: in another order for each token.
    let turn = token.value.bytes().map(usize::from).sum::<usize>() % scopes.len().max(1);
    scopes.rotate_left(turn);
    json!({
        "user": "ci-bot",
        "id": token.id,
        "kind": "api_token",
        "roles": [],
        "scopes": scopes,
        "created": written(token.created_at),
        "last_activity": token.last_used_at.map(written),
        "expires_at": token.expires_at.map(written),
        "note": token.name(),
        "session_id": null,
        "oauth_client": "JupyterHub",
    })
}

/// By when each was last used, with the token of a running server among them.
fn page(all: &[Value], _: &Request) -> Value {
    let mut all = all.to_vec();
    all.push(json!({
        "user": "ci-bot", "id": "a9001", "kind": "api_token", "roles": [], "scopes": [], "note": "ci-ingest",
        "created": "2026-01-01T00:00:00.000000Z", "last_activity": null, "expires_at": null, "session_id": null,
        "oauth_client": "Server at /user/ci-bot/",
    }));
    let used =
        |token: &Value| token["last_activity"].as_str().or(token["created"].as_str()).map(str::to_owned);
    all.sort_by_key(used);
    json!({ "api_tokens": all })
}

fn refusal(status: u16, message: &str) -> Reply {
    Reply::json(status, json!({ "status": status, "message": message }))
}
