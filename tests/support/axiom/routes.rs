//! What requests do at the fake Axiom.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use wiremock::Request;

use super::super::clock::seconds;
use super::super::reply::{Reply, segments};
use super::{AxiomToken, State};

/// Who sent a request, once that is known.
enum Caller {
    /// A personal token: may do everything in its organization.
    Person,
    /// An API token, by its place in the list.
    Token(usize),
}

type Outcome = Result<Reply, Reply>;

impl State {
    pub(super) fn answer(&mut self, request: &Request) -> Reply {
        self.route(request).unwrap_or_else(|refusal| refusal)
    }

    fn route(&mut self, request: &Request) -> Outcome {
        let caller = self.authenticate(request)?;
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

    fn authenticate(&mut self, request: &Request) -> Result<Caller, Reply> {
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
        let now = self.clock.now();
        let place = self.tokens.iter().position(|t| t.value == value).ok_or_else(|| refused.clone())?;
        let token = &mut self.tokens[place];
        if token.is_live(now) && token.refused_uses > 0 {
            token.refused_uses -= 1;
            return Err(refused);
        }
        if token.is_accepted(now) { Ok(Caller::Token(place)) } else { Err(refused) }
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
        let place = self.tokens.iter().position(|t| t.id == id && !t.deleted);
        place.ok_or_else(|| Reply::message(404, "token not found"))
    }

    fn list(&mut self) -> Reply {
        let mut shown = Vec::new();
        for token in self.tokens.iter_mut().filter(|t| !t.deleted) {
            if token.hidden_lists > 0 {
                token.hidden_lists -= 1;
            } else {
                shown.push(token.shown());
            }
        }
        Reply::json(200, Value::Array(shown))
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
        let born = match body.get("newToken") {
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
        Ok(born)
    }

    fn mint(
        &mut self,
        mut raw: Map<String, Value>,
        expires_at: Option<Timestamp>,
        parent: Option<&AxiomToken>,
    ) -> Outcome {
        if raw.get("name").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(Reply::message(422, "name is required"));
        }
        for servers_own in ["id", "token", "expiresAt", "samlAuthenticated"] {
            raw.shift_remove(servers_own);
        }
        if let Some(alter) = &self.switches.alter_newborn {
            alter(&mut raw);
        }
        let now = self.clock.now();
        let cap = self.switches.longest_life.map(|life| now.checked_add(life).unwrap());
        let token = AxiomToken {
            id: self.unique("id"),
            value: format!("xaat-{}", self.unique("value")),
            raw,
            expires_at: [expires_at, cap].into_iter().flatten().min().map(seconds),
            created_at: now,
            deleted: false,
            parent: parent.map(|old| old.id.clone()),
            hidden_lists: self.switches.newborn_hidden_lists,
            refused_uses: self.switches.newborn_refused_uses,
            accepted_from: now.checked_add(self.switches.newborn_refused_for).unwrap(),
        };
        let mut shown = token.shown();
        shown["token"] = json!(token.value);
        self.tokens.push(token);
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
