//! From a request to the operation it means: origin, credential, place.

use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::super::contracts;
use super::super::events::{Event, Peer};
use super::super::reply::{Recorded, Reply, Request, origin, segments};
use super::super::server::Fake;
use super::address::{Place, Scope, Store};
use super::credential::Credential;
use super::state::{Repository, State};

pub(super) type Outcome = Result<Reply, Reply>;

/// A request on its way to an operation.
pub(super) struct Call<'a> {
    pub(super) request: &'a Request,
    pub(super) method: &'a str,
    pub(super) caller: Credential,
}

/// A failure as GitHub words it.
pub(super) fn failure(status: u16, message: &str) -> Reply {
    let documentation = "https://docs.github.com/rest";
    Reply::json(
        status,
        json!({ "message": message, "documentation_url": documentation, "status": status.to_string() }),
    )
}

/// The answer for what does not exist, or may not be known to exist.
pub(super) fn not_found() -> Reply {
    failure(404, "Not Found")
}

impl Fake for State {
    fn serve(&mut self, request: &Request) -> (Reply, Event) {
        self.clock.tick();
        let at = self.clock.now();
        let mut record = Recorded::new(request, at);
        self.violations.extend(contracts::GITHUB.judge_request(&self.base, &record));
        let mut reply = self.answer(request);
        if let (400.., Some(message)) = (reply.status, &self.switches.error_message) {
            reply.body =
                Some(json!({ "message": message, "documentation_url": "https://docs.github.com/rest" }));
        }
        record.status = reply.status;
        self.violations.extend(contracts::GITHUB.judge_reply(&self.base, &record, reply.body.as_ref()));
        let id = format!("C0DE:{:04X}:1A2B3C:4D5E6F:{:08X}", self.requests.len(), at.as_second());
        reply =
            reply.header("x-github-request-id", id).header("x-github-media-type", "github.v3; format=json");
        if let Some(rate) = self.switches.rate_limit {
            reply = reply
                .header("x-ratelimit-limit", rate.limit.to_string())
                .header("x-ratelimit-remaining", rate.remaining.to_string())
                .header("x-ratelimit-used", rate.limit.saturating_sub(rate.remaining).to_string())
                .header("x-ratelimit-reset", rate.reset.as_second().to_string())
                .header("x-ratelimit-resource", "core");
        }
        reply.headers.extend(self.switches.headers.clone());
        let event = Event { at, peer: Peer::Github, what: format!("{} -> {}", record.line(), reply.status) };
        self.requests.push(record);
        (reply.sent_at(&self.clock), event)
    }

    fn date(&self) -> Option<String> {
        self.clock.date()
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Reply {
        if !request.headers.contains_key("user-agent") {
            return failure(403, "Request forbidden by administrative rules. Please name a User-Agent.");
        }
        let path = request.url.path();
        let parts = path.strip_prefix(self.base.as_str()).map(segments).unwrap_or_default();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        if parts == ["rate_limit"] {
            let limit = json!({ "limit": 60, "used": 0, "remaining": 60, "reset": 1_691_591_363 });
            return Reply::json(
                200,
                json!({ "rate": limit, "resources": { "core": limit, "search": limit } }),
            );
        }
        if let Some(reply) = self.as_app(request, &parts) {
            return reply;
        }
        let caller = match self.authenticate(request) {
            Ok(caller) => caller,
            Err(refusal) => return refusal,
        };
        if let Some(refusal) = self.over_the_secondary_limit(request) {
            return refusal;
        }
        if !self.within_rate() {
            return failure(403, "API rate limit exceeded for user ID 1.");
        }
        let expires_at = caller.expires_at.filter(|_| caller.tells_its_end);
        let scopes = caller.scopes.clone();
        let call = Call { request, method: request.method.as_str(), caller };
        let reply =
            self.refusal(&call).map_or_else(|| self.route(&call), Err).unwrap_or_else(|refusal| refusal);
        let reply = scopes.into_iter().fold(reply, |reply, scopes| reply.header("x-oauth-scopes", scopes));
        match expires_at {
            Some(end) => reply.header("github-authentication-token-expiration", expiration(end)),
            None => reply,
        }
    }

    /// What a credential is refused wherever it goes.
    fn refusal(&self, call: &Call<'_>) -> Option<Reply> {
        let refused = call.caller.refused.as_ref()?;
        if refused.writes_alone && call.method == "GET" {
            return None;
        }
        let reply = failure(403, &refused.message);
        Some(refused.header.iter().fold(reply, |reply, (name, value)| reply.header(name, value.as_str())))
    }

    fn authenticate(&self, request: &Request) -> Result<Credential, Reply> {
        let header = request.headers.get("authorization").and_then(|h| h.to_str().ok()).unwrap_or_default();
        let value = match header.split_once(' ') {
            Some((scheme, value)) if ["bearer", "token"].contains(&scheme.to_ascii_lowercase().as_str()) => {
                value
            }
            _ => return Err(failure(401, "Requires authentication")),
        };
        let now = self.clock.now();
        let known = self.credentials.iter().find(|c| c.value == value && c.is_live(now));
        known.cloned().ok_or_else(|| failure(401, "Bad credentials"))
    }

    /// What was refused counts too.
    fn over_the_secondary_limit(&mut self, request: &Request) -> Option<Reply> {
        let limit = self.switches.secondary_limit?;
        let now = Instant::now();
        let points = if request.method.as_str() == "GET" { 1 } else { 5 };
        self.spent.push_back((now, points));
        while self.spent.front().is_some_and(|(at, _)| now.duration_since(*at) >= limit.period) {
            self.spent.pop_front();
        }
        let spent: u32 = self.spent.iter().map(|(_, points)| points).sum();
        let wait = limit.period.as_secs_f64().ceil().to_string();
        (spent > limit.points).then(|| {
            failure(403, "You have exceeded a secondary rate limit. Please wait.").header("retry-after", wait)
        })
    }

    fn within_rate(&mut self) -> bool {
        let now = self.clock.now();
        let Some(rate) = &mut self.switches.rate_limit else { return true };
        if now >= rate.reset {
            rate.remaining = rate.limit;
            rate.reset = now.checked_add(jiff::SignedDuration::from_hours(1)).unwrap();
        }
        let within = rate.remaining > 0;
        rate.remaining = rate.remaining.saturating_sub(1);
        within
    }

    fn route(&mut self, call: &Call<'_>) -> Outcome {
        let path = call.request.url.path();
        let path = path.strip_prefix(self.base.as_str()).ok_or_else(not_found)?;
        let parts = segments(path);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["repos", owner, name, rest @ ..] => {
                let full_name = format!("{owner}/{name}");
                if let Some(repository) = self.current(&full_name) {
                    return self.in_repository(call, &repository, rest);
                }
                let moved = self.former(&full_name).cloned().ok_or_else(not_found)?;
                self.sees_repository(call, &moved)?;
                Err(self.redirect(call, &moved, path))
            }
            ["repositories", id, rest @ ..] => {
                let found = self.repositories.iter().find(|r| r.id.to_string() == *id).cloned();
                self.in_repository(call, &found.ok_or_else(not_found)?, rest)
            }
            ["orgs", org, rest @ ..] => self.in_organization(call, &org.to_ascii_lowercase(), rest),
            ["installation", "repositories"] if call.method == "GET" => {
                Ok(self.repositories_of_installation(call))
            }
            ["user"] if call.method == "GET" => self.show_user(call),
            ["user", "repos"] if call.method == "GET" => Ok(self.own_repositories(call)),
            ["users", user, "repos"] if call.method == "GET" => {
                let owner = format!("{}/", user.to_ascii_lowercase());
                let owns = |r: &Repository| r.full_name.to_ascii_lowercase().starts_with(&owner);
                if !self.repositories.iter().any(owns) {
                    return Err(not_found());
                }
                Ok(self.repositories_of(call, user))
            }
            _ => Err(not_found()),
        }
    }

    fn store_named(&self, name: &str) -> Result<Store, Reply> {
        let missing = self.switches.missing_stores.contains(&name);
        Store::named(name).filter(|_| !missing).ok_or_else(not_found)
    }

    fn current(&self, full_name: &str) -> Option<Repository> {
        self.repositories.iter().find(|r| r.full_name.eq_ignore_ascii_case(full_name)).cloned()
    }

    fn sees_repository(&self, call: &Call<'_>, repository: &Repository) -> Result<(), Reply> {
        let seen = call.caller.sees(&repository.full_name.to_ascii_lowercase());
        if seen { Ok(()) } else { Err(not_found()) }
    }

    /// 301 for reads, 307 for writes, as GitHub answers for a renamed repository.
    fn redirect(&self, call: &Call<'_>, to: &Repository, path: &str) -> Reply {
        // `/repos/{owner}/{name}` is three parts; the rest stays as it was sent.
        let rest: String = path.split('/').skip(4).map(|part| format!("/{part}")).collect();
        let origin = self.switches.redirect_origin.clone().unwrap_or_else(|| origin(call.request));
        let target = if self.switches.redirect_by_name {
            format!("repos/{}", to.full_name)
        } else {
            format!("repositories/{}", to.id)
        };
        let query = call.request.url.query().map(|q| format!("?{q}")).unwrap_or_default();
        let location = format!("{origin}{}/{target}{rest}{query}", self.base);
        // Both with these words, as GitHub's recordings have it.
        let (status, message) = (if call.method == "GET" { 301 } else { 307 }, "Moved Permanently");
        let documentation =
            "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects";
        let body = json!({ "message": message, "url": location, "documentation_url": documentation });
        Reply::json(status, body).header("location", location)
    }

    fn in_repository(&mut self, call: &Call<'_>, repository: &Repository, rest: &[&str]) -> Outcome {
        self.sees_repository(call, repository)?;
        if repository.disabled && call.method != "GET" {
            return Err(failure(403, "Repository access blocked"));
        }
        if repository.archived && call.method != "GET" {
            return Err(failure(403, "Repository was archived so is read-only."));
        }
        match rest {
            [] if call.method == "GET" => Ok(self.show_repository(call, repository)),
            ["environments"] if call.method == "GET" => Ok(self.list_environments(call, repository)),
            ["environments", name] => self.environment(call, repository, name),
            ["environments", name, "secrets", tail @ ..] => {
                if !repository.environments.iter().any(|e| e == name) {
                    return Err(not_found());
                }
                let place = Place::Environment(repository.id, (*name).to_owned());
                self.secrets(call, &Scope { store: Store::Actions, place }, tail)
            }
            ["issues", tail @ ..] => self.issues(call, repository, tail),
            ["actions", "workflows", tail @ ..] => self.workflows(call, repository, tail),
            [store, "secrets", tail @ ..] => {
                let store = self.store_named(store)?;
                self.secrets(call, &Scope { store, place: Place::Repository(repository.id) }, tail)
            }
            _ => Err(not_found()),
        }
    }

    fn in_organization(&mut self, call: &Call<'_>, org: &str, rest: &[&str]) -> Outcome {
        let exists = self.organizations.iter().any(|o| o == org);
        let has_repositories = self
            .repositories
            .iter()
            .any(|r| r.full_name.split('/').next().is_some_and(|owner| owner.eq_ignore_ascii_case(org)));
        if rest == ["repos"]
            && call.method == "GET"
            && has_repositories
            && !self.users.iter().any(|u| u == org)
        {
            return Ok(self.repositories_of(call, org));
        }
        if !exists || !call.caller.sees(&format!("org:{org}")) {
            return Err(not_found());
        }
        match rest {
            [store, "secrets", tail @ ..] => {
                let store = self.store_named(store)?;
                self.secrets(call, &Scope { store, place: Place::Organization(org.to_owned()) }, tail)
            }
            _ => Err(not_found()),
        }
    }
}

/// `2026-03-10 08:00:00 UTC`, as that one header has it.
fn expiration(end: Timestamp) -> String {
    let end = end.to_zoned(TimeZone::UTC).datetime();
    format!("{} {} UTC", end.date(), end.time())
}
