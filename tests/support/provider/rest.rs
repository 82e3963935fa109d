//! A fake of any service with the usual calls: list, create, read one, delete one, and
//! who is asking. What is particular to a service is data and a few functions.

use jiff::Timestamp;
use serde_json::{Map, Value};
use wiremock::Request;

use super::super::reply::{Reply, segments};
use super::{FakeToken, Outcome, State};

/// What a creation asks for: everything but the expiry, and the expiry.
pub type Asked = (Map<String, Value>, Option<Timestamp>);

/// What is particular to a service.
pub struct Rest {
    /// Where the tokens are.
    pub tokens: &'static [&'static str],
    /// Where any valid token learns whose it is; empty: nowhere.
    pub whoami: &'static [&'static str],
    /// The value that a request signs in with.
    pub credential: fn(&Request) -> Option<String>,
    /// Whether a token may manage tokens.
    pub may_manage: fn(&FakeToken) -> bool,
    /// The statuses for a value that is not accepted, and for one that may not do this.
    pub refused: (u16, u16),
    /// A token as the list shows it.
    pub shown: fn(&FakeToken) -> Value,
    /// A page of the list, of all tokens.
    pub page: fn(&[Value], &Request) -> Value,
    /// What the body of a creation asks for; `Err`: why it is invalid.
    pub asked: fn(Map<String, Value>) -> Result<Asked, String>,
    /// The reply to a creation.
    pub created: fn(&FakeToken) -> (u16, Value),
    /// The reply to a deletion.
    pub deleted: fn(&FakeToken) -> Reply,
    /// The reply to a question who is asking.
    pub caller: fn(&FakeToken) -> Value,
    /// An error in the service's own form.
    pub refusal: fn(u16, &str) -> Reply,
}

/// `Authorization: Bearer …`
#[must_use]
pub fn bearer(request: &Request) -> Option<String> {
    let header = request.headers.get("authorization")?.to_str().ok()?;
    header.strip_prefix("Bearer ").map(str::to_owned)
}

/// Carries a request out.
pub fn route(state: &mut State, request: &Request, rest: &Rest) -> Outcome {
    let refusal = rest.refusal;
    let (unknown, forbidden) = rest.refused;
    let value = (rest.credential)(request).unwrap_or_default();
    let caller = state.authenticate(&value).ok_or_else(|| refusal(unknown, "unknown credential"))?;
    let path = segments(request.url.path());
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let method = request.method.as_str();
    if method == "GET" && !rest.whoami.is_empty() && path == rest.whoami {
        return Ok(Reply::json(200, (rest.caller)(&state.tokens[caller])));
    }
    if !(rest.may_manage)(&state.tokens[caller]) {
        return Err(refusal(forbidden, "not permitted"));
    }
    let below = path.strip_prefix(rest.tokens).ok_or_else(|| refusal(404, "not found"))?;
    let place = |state: &State, id: &str| state.place(id).ok_or_else(|| refusal(404, "no such token"));
    match (method, below) {
        ("GET", []) => {
            let all: Vec<Value> = state.listed().iter().map(rest.shown).collect();
            Ok(Reply::json(200, (rest.page)(&all, request)))
        }
        ("POST", []) => {
            let body = serde_json::from_slice(&request.body).map_err(|_| refusal(400, "no object"))?;
            let (raw, end) = (rest.asked)(body).map_err(|why| refusal(422, &why))?;
            let token = state.issue_token(raw, end, None)?;
            let (status, reply) = (rest.created)(&token);
            Ok(Reply::json(status, reply))
        }
        ("GET", [id]) => Ok(Reply::json(200, (rest.shown)(&state.tokens[place(state, id)?]))),
        ("DELETE", [id]) => {
            let place = place(state, id)?;
            if state.switches.refuse_delete {
                return Err(refusal(forbidden, "not permitted"));
            }
            state.tokens[place].deleted = true;
            Ok((rest.deleted)(&state.tokens[place]))
        }
        _ => Err(refusal(405, "method not allowed")),
    }
}
