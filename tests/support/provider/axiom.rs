//! The fake Axiom.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::contracts;
use super::super::reply::{Reply, Request, segments};
use super::{FakeToken, Outcome, Service, State, TokenSpec};

/// Regenerates under a new id, and keeps the overlap itself.
pub static SERVICE: Service = Service {
    name: "axiom",
    by_age: false,
    marker_in: "description",
    api: &contracts::AXIOM,
    route: State::axiom,
    refusal: Reply::message,
    names: |state| (state.unique("id"), format!("xaat-{}", state.unique("value"))),
    ordinary: TokenSpec::ingest,
    admin: TokenSpec::admin,
    file: None,
};

impl TokenSpec {
    /// A token for continuous integration: ingests into one dataset.
    #[must_use]
    pub fn ingest(name: &str) -> Self {
        Self::named(name)
            .with("datasetCapabilities", json!({ "ci-logs": { "ingest": ["create"], "query": ["read"] } }))
            .with("orgCapabilities", json!({ "annotations": ["create", "read"] }))
            .with("viewCapabilities", json!({ "overview": { "query": ["read"] } }))
    }

    /// A token that may do everything with API tokens.
    #[must_use]
    pub fn admin(name: &str) -> Self {
        let org = json!({ "apiTokens": ["create", "read", "update", "delete"], "datasets": ["read"] });
        Self::named(name).with("orgCapabilities", org)
    }
}

impl FakeToken {
    /// Whether `orgCapabilities` grants `action` on `resource`.
    #[must_use]
    pub fn may(&self, resource: &str, action: &str) -> bool {
        let granted =
            self.raw.get("orgCapabilities").and_then(|org| org.get(resource)).and_then(Value::as_array);
        granted.is_some_and(|actions| actions.iter().any(|a| a == action))
    }

    /// As the API shows it: never with the value.
    #[must_use]
    pub fn shown(&self) -> Value {
        let mut shown = Map::new();
        shown.insert("id".into(), json!(self.id));
        shown.extend(self.raw.clone());
        for capabilities in ["datasetCapabilities", "orgCapabilities"] {
            shown.entry(capabilities).or_insert_with(|| json!({}));
        }
        shown.insert("expiresAt".into(), json!(self.expires_at.map(|t| t.to_string())));
        shown.insert("samlAuthenticated".into(), json!(false));
        Value::Object(shown)
    }
}

/// Who sent a request, once that is known.
enum Caller {
    /// A personal token: may do everything in its organization.
    Person,
    /// An API token, by its place in the list.
    Token(usize),
}

impl State {
    fn axiom(&mut self, request: &Request) -> Outcome {
        let caller = self.caller(request)?;
        let parts = segments(request.url.path());
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["v2", "tokens"]) => {
                self.permit(&caller, "apiTokens", "read")?;
                Ok(self.list())
            }
            ("POST", ["v2", "tokens"]) => {
                self.permit(&caller, "apiTokens", "create")?;
                self.create(&request.body)
            }
            ("GET", ["v2", "tokens", id]) => {
                self.permit(&caller, "apiTokens", "read")?;
                Ok(Reply::json(200, self.tokens[self.find(id)?].shown()))
            }
            ("DELETE", ["v2", "tokens", id]) => {
                self.permit(&caller, "apiTokens", "delete")?;
                self.delete(id)
            }
            ("POST", ["v2", "tokens", id, "regenerate"]) => {
                self.permit(&caller, "apiTokens", "update")?;
                self.regenerate(id, &request.body)
            }
            ("GET", ["v2", "datasets"]) => {
                self.permit(&caller, "datasets", "read")?;
                Ok(Reply::json(200, json!([])))
            }
            _ => Err(Reply::message(404, "not found")),
        }
    }

    fn caller(&mut self, request: &Request) -> Result<Caller, Reply> {
        let refused = Reply::message(self.switches.unauthenticated, "forbidden");
        let header = |name| request.headers.get(name).and_then(|value| value.to_str().ok());
        let value =
            header("authorization").and_then(|h| h.strip_prefix("Bearer ")).ok_or_else(|| refused.clone())?;
        if let Some(organization) = self.personal.get(value) {
            return match header("x-axiom-org-id") {
                None => Err(Reply::message(400, "organization id required")),
                Some(org) if org == organization => Ok(Caller::Person),
                Some(_) => Err(Reply::message(403, "forbidden")),
            };
        }
        self.authenticate(value).map(Caller::Token).ok_or(refused)
    }

    fn permit(&self, caller: &Caller, resource: &str, action: &str) -> Result<(), Reply> {
        match caller {
            Caller::Token(place) if !self.tokens[*place].may(resource, action) => {
                Err(Reply::message(403, "forbidden"))
            }
            Caller::Person | Caller::Token(_) => Ok(()),
        }
    }

    fn find(&self, id: &str) -> Result<usize, Reply> {
        self.place(id).ok_or_else(|| Reply::message(404, "token not found"))
    }

    fn list(&mut self) -> Reply {
        Reply::json(200, self.listed().iter().map(FakeToken::shown).collect())
    }

    fn create(&mut self, body: &[u8]) -> Outcome {
        let body = object(body)?;
        let expires_at = optional_time(&body, "expiresAt")?;
        self.mint(body, expires_at, None)
    }

    fn delete(&mut self, id: &str) -> Outcome {
        let place = self.find(id)?;
        if self.switches.refuse_delete {
            return Err(Reply::message(403, "forbidden"));
        }
        self.tokens[place].deleted = true;
        Ok(Reply::empty(204))
    }

    /// A new token with a new id; the old one's end is moved to what was asked,
    /// but never beyond its own.
    fn regenerate(&mut self, id: &str, body: &[u8]) -> Outcome {
        let place = self.find(id)?;
        let body = object(body)?;
        let Some(end) = optional_time(&body, "existingTokenExpiresAt")? else {
            return Err(Reply::message(422, "existingTokenExpiresAt is required"));
        };
        let asked = optional_time(&body, "newTokenExpiresAt")?;
        let old = self.tokens[place].clone();
        let issued = match body.get("newToken") {
            Some(Value::Object(new)) => {
                let own = optional_time(new, "expiresAt")?;
                if own.is_some() && asked.is_some() && own != asked {
                    self.violations.push(format!("axiom: regenerate {id} names two different expiries"));
                }
                self.mint(new.clone(), own.or(asked), Some(&old))
            }
            Some(_) => Err(Reply::message(422, "newToken must be an object")),
            None => self.mint(old.raw.clone(), asked, Some(&old)),
        }?;
        if let Some(known) = old.expires_at.filter(|known| *known < end) {
            self.violations
                .push(format!("axiom: regenerate {id} extends the old token from {known} to {end}"));
        }
        self.tokens[place].expires_at = Some(old.expires_at.map_or(end, |known| known.min(end)));
        Ok(issued)
    }

    fn mint(
        &mut self,
        mut raw: Map<String, Value>,
        expires_at: Option<Timestamp>,
        parent: Option<&FakeToken>,
    ) -> Outcome {
        if raw.get("name").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(Reply::message(422, "name is required"));
        }
        for servers_own in ["id", "token", "expiresAt", "samlAuthenticated"] {
            raw.shift_remove(servers_own);
        }
        let token = self.issue_token(raw, expires_at, parent.map(|old| old.id.as_str()))?;
        let mut shown = token.shown();
        shown["token"] = json!(token.value);
        Ok(Reply::json(200, shown))
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Reply> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Reply::message(422, "the body must be an object")),
        Err(_) => Err(Reply::message(400, "invalid character in body")),
    }
}

/// A time that may be missing or null. Anything else must be RFC 3339.
fn optional_time(fields: &Map<String, Value>, field: &str) -> Result<Option<Timestamp>, Reply> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let time = value.as_str().and_then(|text| text.parse().ok());
            let complaint =
                || Reply::message(400, &format!("parsing time {value} as \"2006-01-02T15:04:05Z07:00\""));
            time.map(Some).ok_or_else(complaint)
        }
    }
}
