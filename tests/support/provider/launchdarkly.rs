//! The fake LaunchDarkly: tokens are created, expire, and can be given another expiry.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::contracts;
use super::super::reply::{Reply, Request, query, segments};
use super::{FakeToken, Outcome, Service, State, TokenSpec};

/// Creates beside the previous token, which is given an expiry or deleted later.
pub static SERVICE: Service = Service {
    name: "launchdarkly",
    by_age: false,
    marker_in: "name",
    api: &contracts::LAUNCHDARKLY,
    route,
    refusal,
    names: |state| (state.digits("id")[..24].to_owned(), format!("api-{}", state.unique("value"))),
    ordinary: |name| token(name, "reader"),
    admin: |name| token(name, "admin"),
    file: None,
};

/// The member that tokens are made by.
const MEMBER: &str = "569f514183f2164430000002";

fn token(name: &str, role: &str) -> TokenSpec {
    let spec = TokenSpec::named(name).with("role", json!(role)).with("serviceToken", json!(true));
    spec.with("defaultApiVersion", json!(20_240_415))
}

fn refusal(status: u16, message: &str) -> Reply {
    Reply::json(status, json!({ "code": "refused", "message": message }))
}

fn route(state: &mut State, request: &Request) -> Outcome {
    let value = request.headers.get("authorization").and_then(|value| value.to_str().ok());
    let caller = value.and_then(|value| state.authenticate(value));
    let caller = caller.ok_or_else(|| refusal(401, "Invalid account ID header"))?;
    let caller = state.tokens[caller].clone();
    let path = segments(request.url.path());
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let Some(rest) = path.strip_prefix(&["api", "v2"]) else {
        return Err(refusal(404, "Unknown resource"));
    };
    if (request.method.as_str(), rest) == ("GET", &["caller-identity"]) {
        return Ok(Reply::json(200, json!({ "authKind": "token", "tokenId": caller.id })));
    }
    if caller.raw["role"] != "admin" {
        return Err(refusal(403, "Access to the requested resource was denied"));
    }
    match (request.method.as_str(), rest) {
        ("GET", ["tokens"]) => list(state, request),
        ("POST", ["tokens"]) => create(state, &caller, &request.body),
        ("GET", ["tokens", id]) => Ok(Reply::json(200, shown(&state.tokens[find(state, id)?]))),
        ("PATCH", ["tokens", id]) => patch(state, id, &request.body),
        ("DELETE", ["tokens", id]) => {
            let place = find(state, id)?;
            if state.switches.refuse_delete {
                return Err(refusal(403, "Access to the requested resource was denied"));
            }
            state.tokens[place].deleted = true;
            Ok(Reply::empty(204))
        }
        _ => Err(refusal(404, "Unknown resource")),
    }
}

fn find(state: &State, id: &str) -> Result<usize, Reply> {
    state.place(id).ok_or_else(|| refusal(404, "Unknown token"))
}

fn shown(token: &FakeToken) -> Value {
    let mut shown = Map::new();
    shown.insert("_id".into(), json!(token.id));
    shown.insert("ownerId".into(), json!("569f514156e003339cfd3917"));
    shown.insert("memberId".into(), json!(MEMBER));
    shown.insert("creationDate".into(), json!(token.created_at.as_millisecond()));
    shown.insert("lastModified".into(), json!(token.created_at.as_millisecond()));
    shown.insert("lastUsed".into(), json!(token.last_used_at.map_or(0, Timestamp::as_millisecond)));
    if let Some(end) = token.expires_at {
        shown.insert("expiry".into(), json!(end.as_millisecond()));
    }
    shown.insert("token".into(), json!(token.value[token.value.len() - 4..]));
    shown.insert("_links".into(), json!({}));
    shown.insert("customRoleIds".into(), json!([]));
    shown.insert("inlineRole".into(), json!([]));
    shown.extend(token.raw.clone());
    Value::Object(shown)
}

fn whole(token: &FakeToken) -> Value {
    let mut shown = shown(token);
    shown["token"] = json!(token.value);
    shown
}

fn list(state: &mut State, request: &Request) -> Outcome {
    let number = |name, default| query(request, name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let all = state.listed();
    let page: Vec<Value> =
        all.iter().skip(number("offset", 0)).take(number("limit", 25)).map(shown).collect();
    Ok(Reply::json(200, json!({ "items": page, "totalCount": all.len(), "_links": {} })))
}

/// A token belongs to the member whose credential created it.
fn create(state: &mut State, caller: &FakeToken, body: &[u8]) -> Outcome {
    let Ok(mut raw) = serde_json::from_slice::<Map<String, Value>>(body) else {
        return Err(refusal(400, "The body is no object"));
    };
    let expiry = match raw.remove("expiry").filter(|_| !state.switches.ignore_expiry) {
        None => None,
        Some(expiry) => Some(time(&expiry)?),
    };
    if let Some(member) = caller.raw.get("memberId") {
        raw.insert("memberId".into(), member.clone());
    }
    let token = state.issue_token(raw, expiry, None)?;
    Ok(Reply::json(201, whole(&token)))
}

fn time(value: &Value) -> Result<Timestamp, Reply> {
    let time = value.as_i64().and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok());
    time.ok_or_else(|| refusal(400, "The expiry is no time"))
}

/// A JSON patch (RFC 6902) of top-level fields. Nothing is changed unless every
/// operation can be carried out.
fn patch(state: &mut State, id: &str, body: &[u8]) -> Outcome {
    let place = find(state, id)?;
    let Ok(operations) = serde_json::from_slice::<Vec<Map<String, Value>>>(body) else {
        return Err(refusal(400, "The patch is no list"));
    };
    let mut raw = state.tokens[place].raw.clone();
    let known = state.tokens[place].expires_at;
    let mut expires_at = known;
    for operation in operations {
        let field = operation["path"].as_str().unwrap_or_default().trim_start_matches('/').to_owned();
        let value = operation.get("value").cloned().unwrap_or(Value::Null);
        match operation["op"].as_str() {
            Some("test") if raw.get(&field) == Some(&value) => {}
            Some("test") => return Err(refusal(409, "The test of the patch failed")),
            Some("add" | "replace") if field == "expiry" && state.switches.refuse_expiry_change => {
                return Err(refusal(403, "Access to the requested resource was denied"));
            }
            Some("add" | "replace") if field == "expiry" && state.switches.ignore_expiry => {}
            Some("add") if field == "expiry" => expires_at = Some(time(&value)?),
            Some("replace") if field == "expiry" && known.is_some() => expires_at = Some(time(&value)?),
            Some("add") => drop(raw.insert(field, value)),
            Some("replace") if raw.contains_key(&field) => drop(raw.insert(field, value)),
            _ => return Err(refusal(422, "The patch cannot be understood")),
        }
    }
    if let (Some(known), Some(end)) = (known, expires_at)
        && end > known
    {
        state.violations.push(format!("launchdarkly: extends the old token {id} from {known} to {end}"));
    }
    state.tokens[place].raw = raw;
    state.tokens[place].expires_at = expires_at;
    Ok(Reply::json(200, shown(&state.tokens[place])))
}
