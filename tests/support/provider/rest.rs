//! A fake of any service with the usual calls: list, create, read one, delete one, and
//! who is asking. What is particular to a service is data and a few functions.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use url::{Position, Url};

use super::super::reply::{Reply, Request, query, segments};
use super::{FakeToken, Outcome, State};

/// What a creation asks for: everything but the expiry, and the expiry.
pub type Asked = (Map<String, Value>, Option<Timestamp>);

/// What is particular to a service. [`PLAIN`] has none of it.
pub struct Rest {
    /// Where the tokens are.
    pub tokens: &'static [&'static str],
    /// Where they are created, if elsewhere.
    pub creations: Option<&'static [&'static str]>,
    /// Where one is read and deleted, if not below the list.
    pub single: Option<&'static [&'static str]>,
    /// Whether one can be read.
    pub reads_one: bool,
    /// Where the id of a token to delete is posted to, and the field that holds it.
    pub posts_deletion: Option<(&'static [&'static str], &'static str)>,
    /// Where any valid token learns whose it is; empty: nowhere.
    pub whoami: &'static [&'static str],
    /// The value that a request signs in with.
    pub credential: fn(&Request) -> Option<String>,
    /// What every request must carry; `Err`: what is missing.
    pub requires: fn(&Request) -> Result<(), &'static str>,
    /// Whether a token may manage tokens.
    pub may_manage: fn(&FakeToken) -> bool,
    /// Whether such tokens are in the list.
    pub lists_managers: bool,
    /// The statuses for a value that is not accepted, and for one that may not do this.
    pub refused: (u16, u16),
    /// A token as the list shows it.
    pub shown: fn(&FakeToken) -> Value,
    /// A page of the list, of all tokens.
    pub page: fn(&[Value], &Request) -> Value,
    /// The `Link` header of a page of so many tokens.
    pub link: fn(usize, &Request) -> Option<String>,
    /// Deleted tokens can still be read, and listed without `state=active`.
    pub remembers: bool,
    /// A list deletes the tokens that have expired.
    pub forgets_expired: bool,
    /// What the body of a creation asks for at this time; `Err`: why it is invalid.
    pub asked: fn(Map<String, Value>, Timestamp) -> Result<Asked, String>,
    /// The field that no two tokens share, and whether those deleted count too.
    pub unique: Option<(&'static str, bool)>,
    /// The reply to a creation.
    pub created: fn(&FakeToken) -> (u16, Value),
    /// The reply to a request for one token.
    pub read: fn(Value) -> Value,
    /// The reply to a deletion.
    pub deleted: fn(&FakeToken) -> Reply,
    /// The reply to a question who is asking.
    pub caller: fn(&FakeToken) -> Value,
    /// An error in the service's own form.
    pub refusal: fn(u16, &str) -> Reply,
}

/// A service without peculiarities.
pub const PLAIN: Rest = Rest {
    tokens: &[],
    creations: None,
    single: None,
    reads_one: true,
    posts_deletion: None,
    whoami: &[],
    credential: bearer,
    requires: |_| Ok(()),
    may_manage,
    lists_managers: true,
    refused: (401, 403),
    shown: |_| Value::Null,
    page: |all, _| json!(all),
    link: |_, _| None,
    remembers: false,
    forgets_expired: false,
    asked: |_, _| Err("unexpected".to_owned()),
    unique: None,
    created: |_| (201, Value::Null),
    read: |shown| shown,
    deleted: |_| Reply::empty(204),
    caller: |_| json!({}),
    refusal: Reply::message,
};

/// The field that makes a token of [`manager`].
pub const MANAGES: &str = "_manages";

/// A token that may manage tokens.
#[must_use]
pub fn manager(token: super::TokenSpec) -> super::TokenSpec {
    token.with(MANAGES, json!(true))
}

fn may_manage(token: &FakeToken) -> bool {
    token.raw.contains_key(MANAGES)
}

/// `Authorization: Bearer …`
#[must_use]
pub fn bearer(request: &Request) -> Option<String> {
    authorization(request, "Bearer ")
}

/// `Authorization: token …`
#[must_use]
pub fn token_scheme(request: &Request) -> Option<String> {
    authorization(request, "token ")
}

fn authorization(request: &Request, scheme: &str) -> Option<String> {
    let header = request.headers.get("authorization")?.to_str().ok()?;
    header.strip_prefix(scheme).map(str::to_owned)
}

/// A number in the query.
#[must_use]
pub fn number(request: &Request, name: &str, default: usize) -> usize {
    query(request, name).and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The items from `start` on, and where the next page starts, if there is one.
#[must_use]
pub fn slice(all: &[Value], start: usize, size: usize) -> (&[Value], Option<usize>) {
    let start = start.min(all.len());
    let end = (start + size).min(all.len());
    (&all[start..end], (end < all.len()).then_some(end))
}

/// A page of a list with `page` and `per_page`, whose size the server limits to 100.
#[must_use]
pub fn numbered<'a>(all: &'a [Value], request: &Request, default: usize) -> &'a [Value] {
    let size = number(request, "per_page", default).min(100);
    slice(all, (number(request, "page", 1).max(1) - 1) * size, size).0
}

/// A request's address, with the host that it was sent to.
#[must_use]
pub fn at_host(request: &Request) -> Url {
    let host = request.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    Url::parse(&format!("http://{host}")).unwrap().join(&request.url[Position::BeforePath..]).unwrap()
}

/// The `Link` header of such a list.
#[must_use]
pub fn next_link(count: usize, request: &Request, default: usize) -> Option<String> {
    let size = number(request, "per_page", default).min(100);
    let page = number(request, "page", 1).max(1);
    let mut next = at_host(request);
    next.query_pairs_mut().clear().append_pair("page", &(page + 1).to_string());
    let others = request.url.query_pairs().filter(|(name, _)| name != "page");
    next.query_pairs_mut().extend_pairs(others);
    (page * size < count).then(|| format!("<{next}>; rel=\"next\""))
}

/// Carries a request out.
pub fn route(state: &mut State, request: &Request, rest: &Rest) -> Outcome {
    let refusal = rest.refusal;
    let (unknown, forbidden) = rest.refused;
    let value = (rest.credential)(request).unwrap_or_default();
    let caller = state.authenticate(&value).ok_or_else(|| refusal(unknown, "unknown credential"))?;
    (rest.requires)(request).map_err(|missing| refusal(400, missing))?;
    let path = segments(request.url.path());
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let method = request.method.as_str();
    if method == "GET" && !rest.whoami.is_empty() && path == rest.whoami {
        return Ok(Reply::json(200, (rest.caller)(&state.tokens[caller])));
    }
    if !(rest.may_manage)(&state.tokens[caller]) {
        return Err(refusal(forbidden, "not permitted"));
    }
    let one = path.strip_prefix(rest.single.unwrap_or(rest.tokens));
    match (method, one) {
        ("GET", _) if path == rest.tokens => Ok(list(state, request, rest)),
        ("POST", _) if path == rest.creations.unwrap_or(rest.tokens) => create(state, request, rest),
        ("POST", _) if rest.posts_deletion.is_some_and(|(at, _)| path == at) => {
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let id = rest.posts_deletion.and_then(|(_, field)| body[field].as_str()).unwrap_or_default();
            delete(state, id, rest)
        }
        ("GET", Some([id])) if rest.reads_one => {
            let can_be_read = |t: &&FakeToken| is_listed(t, rest) && (rest.remembers || !t.deleted);
            let token = state.tokens.iter().filter(can_be_read).find(|t| t.id == *id);
            let token = token.ok_or_else(|| refusal(404, "no such token"))?;
            Ok(Reply::json(200, (rest.read)((rest.shown)(token))))
        }
        ("DELETE", Some([id])) if rest.posts_deletion.is_none() => delete(state, id, rest),
        _ => Err(refusal(404, "not found")),
    }
}

fn is_listed(token: &FakeToken, rest: &Rest) -> bool {
    rest.lists_managers || !token.raw.contains_key(MANAGES)
}

fn list(state: &mut State, request: &Request, rest: &Rest) -> Reply {
    if rest.forgets_expired {
        let now = state.clock.now();
        state
            .tokens
            .iter_mut()
            .for_each(|token| token.deleted |= token.expires_at.is_some_and(|end| end <= now));
    }
    let mut all = state.listed();
    if rest.remembers && query(request, "state").is_none_or(|state| state != "active") {
        all.extend(state.tokens.iter().filter(|token| token.deleted).cloned());
    }
    let mut all: Vec<Value> = all.iter().filter(|token| is_listed(token, rest)).map(rest.shown).collect();
    for fields in all.iter_mut().filter_map(Value::as_object_mut) {
        fields.retain(|field, _| !state.switches.list_omits.contains(&field.as_str()));
    }
    let reply = Reply::json(200, (rest.page)(&all, request));
    match (rest.link)(all.len(), request) {
        Some(link) => reply.header("link", link),
        None => reply,
    }
}

fn create(state: &mut State, request: &Request, rest: &Rest) -> Outcome {
    let body = serde_json::from_slice(&request.body).map_err(|_| (rest.refusal)(400, "no object"))?;
    let (raw, end) = (rest.asked)(body, state.clock.now()).map_err(|why| (rest.refusal)(422, &why))?;
    let is_taken = |(field, counts_deleted): (&str, bool)| {
        state.tokens.iter().any(|t| (counts_deleted || !t.deleted) && t.raw.get(field) == raw.get(field))
    };
    if rest.unique.is_some_and(is_taken) {
        return Err((rest.refusal)(409, "this name is taken"));
    }
    let token = state.issue_token(raw, end, None)?;
    let (status, reply) = (rest.created)(&token);
    Ok(Reply::json(status, reply))
}

fn delete(state: &mut State, id: &str, rest: &Rest) -> Outcome {
    let place = state.place(id).ok_or_else(|| (rest.refusal)(404, "no such token"))?;
    if state.switches.refuse_delete {
        return Err((rest.refusal)(rest.refused.1, "not permitted"));
    }
    state.tokens[place].deleted = true;
    Ok((rest.deleted)(&state.tokens[place]))
}
