//! The fake SoftwareOne Marketplace: no expiry, but tokens can be disabled.

use serde_json::{Map, Value, json};

use super::super::contracts;
use super::super::reply::{Reply, Request, query, segments};
use super::{FakeToken, Outcome, Service, State, TokenSpec};

/// Creates beside the old token, which is disabled and deleted later.
pub static SERVICE: Service = Service {
    name: "softwareone",
    by_age: true,
    marker_in: "description",
    api: &contracts::SOFTWAREONE,
    route,
    refusal,
    names: |state| {
        let secret = state.digits("value");
        let id = format!("TKN-{:04}-{:04}", state.seed % 10_000, state.made);
        let value = format!("idt:{id}:{secret}");
        (id, value)
    },
    ordinary: |name| token(name, &["MOD-9042", "MOD-1756"]).with("icon", json!("logo.png")),
    admin: |name| token(name, &[TOKENS]),
    file: None,
};

/// The module that manages API tokens.
const TOKENS: &str = "MOD-1000";
const ACCOUNT: &str = "ACC-1671-0642";

fn token(name: &str, modules: &[&str]) -> TokenSpec {
    let modules: Vec<Value> = modules.iter().map(|id| json!({ "id": id })).collect();
    TokenSpec::named(name).with("account", json!({ "id": ACCOUNT })).with("modules", json!(modules))
}

/// ProblemDetails.
fn refusal(status: u16, message: &str) -> Reply {
    let kind = format!("https://tools.ietf.org/html/rfc9110#{status}");
    Reply::json(status, json!({ "type": kind, "title": "Refused", "status": status, "detail": message }))
}

fn route(state: &mut State, request: &Request) -> Outcome {
    let header = request.headers.get("authorization").and_then(|value| value.to_str().ok());
    let value = header.and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default();
    let caller = state.authenticate(value).ok_or_else(|| refusal(401, "the token is not valid"))?;
    if !has_module(&state.tokens[caller].raw, TOKENS) {
        return Err(refusal(403, "the token has no access to this module"));
    }
    let path = segments(request.url.path());
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let Some(rest) = path.strip_prefix(&["public", "v1", "accounts", "api-tokens"]) else {
        return Err(refusal(404, "not found"));
    };
    match (request.method.as_str(), rest) {
        ("GET", []) => list(state, request),
        ("POST", []) => create(state, &request.body),
        ("GET", [id]) => Ok(Reply::json(200, shown(&state.tokens[find(state, id)?]))),
        ("DELETE", [id]) => {
            let place = find(state, id)?;
            if state.switches.refuse_delete {
                return Err(refusal(403, "the token may not do this"));
            }
            state.tokens[place].deleted = true;
            Ok(Reply::empty(204))
        }
        ("POST", [id, "disable"]) => set_disabled(state, id, true),
        ("POST", [id, "enable"]) => set_disabled(state, id, false),
        _ => Err(refusal(404, "not found")),
    }
}

fn has_module(raw: &Map<String, Value>, wanted: &str) -> bool {
    let modules = raw.get("modules").and_then(Value::as_array);
    modules.is_some_and(|modules| modules.iter().any(|module| module["id"] == wanted))
}

fn find(state: &State, id: &str) -> Result<usize, Reply> {
    state.place(id).ok_or_else(|| refusal(404, "there is no such token"))
}

/// With the value: the documentation contradicts itself, so the worse is assumed.
fn shown(token: &FakeToken) -> Value {
    let mut shown = token.raw.clone();
    shown.insert("id".into(), json!(token.id));
    shown.insert("status".into(), json!(if token.disabled { "Disabled" } else { "Active" }));
    shown.insert("token".into(), json!(token.value));
    let mut audit = json!({ "created": { "at": token.created_at.to_string() } });
    if let Some(at) = token.changed_at {
        audit["updated"] = json!({ "at": at.to_string() });
    }
    shown.insert("audit".into(), audit);
    if let Some(at) = token.last_used_at {
        shown.insert("lastAccessAt".into(), json!(at.to_string()));
    }
    Value::Object(shown)
}

/// Shows some parts only if they are asked for, and deleted tokens not at all.
fn list(state: &mut State, request: &Request) -> Outcome {
    let number = |name| query(request, name).and_then(|text| text.parse::<usize>().ok());
    let (limit, offset) = (number("limit").unwrap_or(10).min(100), number("offset").unwrap_or(0));
    let selected = query(request, "select").unwrap_or_default();
    let selected: Vec<&str> = selected.split(',').collect();
    let all = state.listed();
    let page = all.iter().skip(offset).take(limit).map(|token| {
        let mut shown = shown(token);
        let fields = shown.as_object_mut().unwrap();
        for part in ["audit", "modules", "account"].into_iter().filter(|part| !selected.contains(part)) {
            fields.shift_remove(part);
        }
        for part in &state.switches.list_omits {
            fields.shift_remove(*part);
        }
        shown
    });
    let page: Vec<Value> = page.collect();
    let pagination = json!({ "offset": offset, "limit": limit, "total": all.len() });
    Ok(Reply::json(200, json!({ "$meta": { "pagination": pagination }, "data": page })))
}

fn create(state: &mut State, body: &[u8]) -> Outcome {
    let Ok(raw) = serde_json::from_slice::<Map<String, Value>>(body) else {
        return Err(refusal(400, "the body is no object"));
    };
    if raw.get("name").and_then(Value::as_str).is_none_or(str::is_empty) {
        let errors = json!({ "name": ["The name is required."] });
        return Err(Reply::json(400, json!({ "title": "Invalid", "status": 400, "errors": errors })));
    }
    if raw.get("account").is_none_or(|account| account["id"] != ACCOUNT) {
        return Err(refusal(403, "that is another account"));
    }
    let token = state.issue_token(raw, None, None)?;
    Ok(Reply::json(201, shown(&token)))
}

fn set_disabled(state: &mut State, id: &str, disabled: bool) -> Outcome {
    let place = find(state, id)?;
    if state.switches.refuse_delete {
        return Err(refusal(403, "the token may not do this"));
    }
    let now = state.clock.now();
    let token = &mut state.tokens[place];
    if token.disabled == disabled {
        return Err(refusal(400, "the token is in that state already"));
    }
    token.disabled = disabled;
    token.changed_at = Some(now);
    Ok(Reply::json(200, shown(token)))
}
