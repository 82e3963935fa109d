//! The fake deepset: the marker stands in the name, and creation shows no id.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::contracts;
use super::super::reply::{Reply, Request, query, segments};
use super::{FakeToken, Outcome, Service, State, TokenSpec};

/// Creates beside the old token, which is deleted later or ends by itself.
pub static SERVICE: Service = Service {
    name: "deepset",
    by_age: false,
    marker_in: "name",
    api: &contracts::DEEPSET,
    route,
    refusal: |status, message| Reply::json(status, json!({ "detail": message })),
    names: |state| (state.unique("id"), format!("api_{}", &state.digits("value")[..40])),
    ordinary: |name| token(name, "MEMBER").with("workspaces", json!(["prod", "dev"])),
    admin: |name| token(name, "ADMIN"),
    file: None,
};

/// The workspaces that there are.
const WORKSPACES: [&str; 3] = ["dev", "prod", "test"];

/// What a creation takes.
const KNOWN: [&str; 7] =
    ["name", "expires", "expires_at", "organization_role", "personal", "role_id", "workspaces"];

fn token(name: &str, role: &str) -> TokenSpec {
    TokenSpec::named(name).with("organization_role", json!(role)).with("personal", json!(false))
}

/// A list of validation errors.
fn invalid(field: &str, message: &str) -> Reply {
    let problem = json!({ "loc": ["body", field], "msg": message, "type": "value_error" });
    Reply::json(422, json!({ "detail": [problem] }))
}

fn refusal(status: u16, message: &str) -> Reply {
    (SERVICE.refusal)(status, message)
}

fn route(state: &mut State, request: &Request) -> Outcome {
    let header = request.headers.get("authorization").and_then(|value| value.to_str().ok());
    let value = header.and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default();
    let caller = state.authenticate(value).ok_or_else(|| refusal(401, "Could not validate credentials"))?;
    if state.tokens[caller].raw["organization_role"] != "ADMIN" {
        return Err(refusal(403, "Not enough permissions"));
    }
    let path = segments(request.url.path());
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let Some(rest) = path.strip_prefix(&["api", "v1", "token"]) else {
        return Err(refusal(404, "Not Found"));
    };
    match (request.method.as_str(), rest) {
        ("GET", []) => list(state, request),
        ("POST", []) => create(state, &request.body),
        ("GET", [id]) => Ok(Reply::json(200, shown(&state.tokens[find(state, id)?]))),
        ("DELETE", [id]) => {
            let place = find(state, id)?;
            if state.switches.refuse_delete {
                return Err(refusal(403, "Not enough permissions"));
            }
            state.tokens[place].deleted = true;
            Ok(Reply::empty(200))
        }
        _ => Err(refusal(405, "Method Not Allowed")),
    }
}

fn find(state: &State, id: &str) -> Result<usize, Reply> {
    state.place(id).ok_or_else(|| refusal(404, "API token not found"))
}

fn shown(token: &FakeToken) -> Value {
    let named = |names: Vec<Value>| names.into_iter().map(|name| json!({ "name": name })).collect::<Vec<_>>();
    let own = token.raw.get("workspaces").and_then(Value::as_array).cloned();
    let all = WORKSPACES.iter().map(|name| json!(name)).collect();
    let (start, end) = (&token.value[..4], &token.value[token.value.len() - 4..]);
    let mut shown = json!({
        "api_token_id": token.id,
        "name": token.raw["name"],
        "masked_token": format!("{start}********{end}"),
        "personal": token.raw["personal"],
        "expires": token.expires_at.is_some(),
        "expires_at": token.expires_at.map(|at| at.to_string().replace('Z', "+00:00")),
        "organization_role": token.raw["organization_role"],
        "role": "editor",
        "user": { "given_name": "Ann", "family_name": "Lee" },
        "all_workspaces": own.is_none(),
        "workspaces": named(own.unwrap_or(all)),
    });
    for (field, value) in token.raw.iter().filter(|(field, _)| !KNOWN.contains(&field.as_str())) {
        shown[field] = value.clone();
    }
    shown
}

fn list(state: &mut State, request: &Request) -> Outcome {
    let number = |name, default| query(request, name).map_or(Some(default), |text| text.parse().ok());
    let (Some(limit @ 1..=100), Some(page @ 1..)) = (number("limit", 10), number("page_number", 1_usize))
    else {
        return Err(invalid("limit", "ensure this value is less than or equal to 100"));
    };
    let all: Vec<Value> = state.listed().iter().map(shown).collect();
    let start = (page - 1) * limit;
    let data: Vec<&Value> = all.iter().skip(start).take(limit).collect();
    let more = start + data.len() < all.len();
    Ok(Reply::json(200, json!({ "data": data, "has_more": more, "total": all.len() })))
}

fn create(state: &mut State, body: &[u8]) -> Outcome {
    let Ok(mut raw) = serde_json::from_slice::<Map<String, Value>>(body) else {
        return Err(invalid("__root__", "value is not a valid dict"));
    };
    for field in raw.keys().filter(|field| !KNOWN.contains(&field.as_str())) {
        state.violations.push(format!("deepset: POST /api/v1/token has an unknown field {field:?}"));
    }
    let expires = raw.shift_remove("expires") != Some(json!(false));
    let end = raw.shift_remove("expires_at");
    let end = end.as_ref().and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    if expires != end.is_some() {
        return Err(invalid("expires_at", "none is not an allowed value"));
    }
    raw.entry("organization_role").or_insert(json!("MEMBER"));
    raw.entry("personal").or_insert(json!(true));
    let known = |workspace: &Value| WORKSPACES.iter().any(|name| workspace == name);
    if let Some(workspaces) = raw.get("workspaces")
        && !workspaces.as_array().is_some_and(|all| all.iter().all(known))
    {
        return Err(invalid("workspaces", "there is no such workspace"));
    }
    let token = state.issue_token(raw, end, None)?;
    let mut reply = if state.switches.whole_reply { shown(&token) } else { json!({}) };
    reply["api_token"] = json!(token.value);
    Ok(Reply::json(200, reply))
}
