//! What is done with secrets: keys, lists, writes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::clock::seconds;
use super::super::reply::{Reply, origin, query};
use super::address::{Place, Scope, Store};
use super::credential::permission;
use super::routes::{Call, Outcome, failure, not_found};
use super::state::{HeldSecret, On, State, WriteCheck};

/// GitHub's limit on one secret.
const LARGEST: usize = 48 * 1024;

impl State {
    pub(super) fn secrets(&mut self, call: &Call<'_>, scope: &Scope, tail: &[&str]) -> Outcome {
        let name = tail.first().filter(|part| **part != "public-key").map(|name| name.to_ascii_uppercase());
        self.failing(call, scope, name.as_deref())?;
        self.permit(call, scope)?;
        match (call.method, tail) {
            ("GET", []) => Ok(self.list_secrets(call, scope)),
            ("GET", ["public-key"]) => {
                let vault = self.vault(scope);
                let key = STANDARD.encode(vault.private_key.public_key().as_bytes());
                Ok(Reply::json(200, json!({ "key_id": vault.key_id, "key": key })))
            }
            ("GET", [name]) => {
                let held = self.held(scope, name)?.clone();
                Ok(Reply::json(200, self.show_secret(call, scope, &name.to_ascii_uppercase(), &held)))
            }
            ("PUT", [name]) => self.put_secret(call, scope, name),
            ("DELETE", [name]) => {
                self.held(scope, name)?;
                if self.switches.write_check == Some(WriteCheck::StoredForGood) {
                    return Err(forbidden(call, scope));
                }
                self.vault(scope).secrets.remove(&name.to_ascii_uppercase());
                Ok(Reply::empty(204))
            }
            ("GET", [name, "repositories"]) if is_organization(scope) => {
                let selected = self.held(scope, name)?.selected.clone();
                Ok(self.list_selected(call, &selected))
            }
            ("PUT", [name, "repositories"]) if is_organization(scope) => {
                self.held(scope, name)?;
                let ids = selected_ids(&body(call)?, scope, self.switches.dependabot_ids_are_strings)?
                    .ok_or_else(|| invalid("selected_repository_ids is missing"))?;
                let name = name.to_ascii_uppercase();
                self.vault(scope).secrets.get_mut(&name).unwrap().selected = ids;
                Ok(Reply::empty(204))
            }
            _ => Err(not_found()),
        }
    }

    /// The failure that a test has arranged for this request.
    fn failing(&mut self, call: &Call<'_>, scope: &Scope, name: Option<&str>) -> Result<(), Reply> {
        let write = call.method != "GET";
        let hit = self.breaks.iter_mut().find(|b| {
            let on = b.on == On::All || (b.on == On::Writes) == write;
            b.left > 0 && on && b.scope == *scope && (b.name.is_none() || b.name.as_deref() == name)
        });
        let Some(found) = hit else { return Ok(()) };
        found.left -= 1;
        Err(match found.status {
            403 => forbidden(call, scope),
            401 => failure(401, "Bad credentials"),
            404 => not_found(),
            status @ 500.. => failure(status, "Server Error"),
            status => failure(status, "Validation Failed"),
        })
    }

    fn permit(&self, call: &Call<'_>, scope: &Scope) -> Result<(), Reply> {
        let is_write = call.method != "GET";
        let needed = if is_organization(scope) { "admin:org" } else { "repo" };
        let lacks = |scopes: &String| !scopes.split(',').any(|one| one.trim() == needed);
        if is_write && call.caller.scopes.as_ref().is_some_and(lacks) {
            return Err(not_found());
        }
        // Listing Codespaces' secrets of a repository takes the right to write.
        let is_codespaces = scope.store == Store::Codespaces && matches!(scope.place, Place::Repository(_));
        let allowed = call.caller.may(permission(scope), is_write || is_codespaces);
        if allowed { Ok(()) } else { Err(forbidden(call, scope)) }
    }

    fn held(&mut self, scope: &Scope, name: &str) -> Result<&HeldSecret, Reply> {
        self.vault(scope).secrets.get(&name.to_ascii_uppercase()).ok_or_else(not_found)
    }

    fn list_secrets(&mut self, call: &Call<'_>, scope: &Scope) -> Reply {
        let held: Vec<(String, HeldSecret)> =
            self.vault(scope).secrets.iter().map(|(name, held)| (name.clone(), held.clone())).collect();
        let shown = held.iter().map(|(name, held)| self.show_secret(call, scope, name, held)).collect();
        self.page(call, "secrets", shown)
    }

    fn show_secret(&self, call: &Call<'_>, scope: &Scope, name: &str, held: &HeldSecret) -> Value {
        let visible = self.clock.now().checked_sub(self.switches.timestamp_lag).unwrap();
        let writes = held.earlier.iter().chain([&held.updated_at]);
        let updated = *writes.filter(|at| **at <= visible).max().unwrap_or(&held.created_at);
        let (created, updated) = (seconds(held.created_at).to_string(), seconds(updated).to_string());
        let mut shown = json!({ "name": name, "created_at": created, "updated_at": updated });
        if let (Place::Organization(org), Some(visibility)) = (&scope.place, &held.visibility) {
            shown["visibility"] = json!(visibility);
            if visibility == "selected" {
                let path = format!("/orgs/{org}/{}/secrets/{name}/repositories", scope.store.name());
                let url = format!("{}{}{path}", origin(call.request), self.base);
                shown["selected_repositories_url"] = json!(url);
            }
        }
        shown
    }

    fn put_secret(&mut self, call: &Call<'_>, scope: &Scope, name: &str) -> Outcome {
        let name = name.to_ascii_uppercase();
        if !legal(&name) {
            return Err(invalid(
                "Secret names can only contain [A-Z0-9_] and not start with a digit or GITHUB_",
            ));
        }
        if name == "CROSSFADE_WRITE_CHECK"
            && let Some(reply) = self.checked(call, scope, &name)
        {
            return Ok(reply);
        }
        let body = body(call)?;
        let readers = self.readers(scope, &body)?;
        let text = |field: &str| {
            body.get(field).and_then(Value::as_str).ok_or_else(|| invalid(&format!("{field} is missing")))
        };
        let (sealed, key_id) = (text("encrypted_value")?, text("key_id")?);
        let vault = self.vault(scope);
        if key_id != vault.key_id {
            return Err(invalid("The key_id is not that of the current public key"));
        }
        let sealed = STANDARD.decode(sealed).map_err(|_| invalid("encrypted_value is no base64"))?;
        let opened = vault.private_key.unseal(&sealed);
        let opened = opened.map_err(|_| invalid("encrypted_value cannot be opened"))?;
        if opened.len() > LARGEST {
            return Err(invalid("Value is too large"));
        }
        let value = String::from_utf8(opened).map_err(|_| invalid("The value is no text"))?;
        let created = self.store(scope, &name, value, &call.caller.label, readers);
        Ok(if created { Reply::json(201, json!({})) } else { Reply::empty(204) })
    }

    /// The answer to a write check where it is not the described one.
    fn checked(&mut self, call: &Call<'_>, scope: &Scope, name: &str) -> Option<Reply> {
        match self.switches.write_check.as_mut()? {
            WriteCheck::Stored | WriteCheck::StoredForGood => {
                let created = self.store(scope, name, String::new(), &call.caller.label, None);
                Some(if created { Reply::json(201, json!({})) } else { Reply::empty(204) })
            }
            WriteCheck::Fails(status) => Some(failure(*status, "Server Error")),
            WriteCheck::Limited(0) => None,
            WriteCheck::Limited(left) => {
                *left -= 1;
                let refusal = failure(403, "You have exceeded a secondary rate limit. Please wait.");
                Some(refusal.header("retry-after", "1"))
            }
            WriteCheck::Redirected(to) => {
                Some(failure(307, "Moved Permanently").header("location", to.clone()))
            }
        }
    }

    /// Who may read the secret afterwards. A `selected` one whose repositories
    /// are not sent along loses them.
    fn readers(&self, scope: &Scope, body: &Value) -> Result<Option<(String, Vec<u64>)>, Reply> {
        if !is_organization(scope) {
            return Ok(None);
        }
        let visibility = body.get("visibility").and_then(Value::as_str).unwrap_or_default();
        if !["all", "private", "selected"].contains(&visibility) {
            return Err(invalid("visibility must be all, private or selected"));
        }
        let selected =
            selected_ids(body, scope, self.switches.dependabot_ids_are_strings)?.unwrap_or_default();
        Ok(Some((visibility.to_owned(), selected)))
    }

    /// One page of a list, with links to its neighbours.
    pub(super) fn page(&self, call: &Call<'_>, field: &str, items: Vec<Value>) -> Reply {
        let (page, link) = self.slice(call, &items);
        let reply = Reply::json(200, json!({ "total_count": items.len(), field: page }));
        link.into_iter().fold(reply, |reply, link| reply.header("link", link))
    }

    /// The items that a request asks for, and the `Link` header beside them.
    pub(super) fn slice(&self, call: &Call<'_>, items: &[Value]) -> (Vec<Value>, Option<String>) {
        let number =
            |name, default| query(call.request, name).and_then(|v| v.parse().ok()).unwrap_or(default);
        let (size, page): (usize, usize) = (number("per_page", 30).clamp(1, 100), number("page", 1).max(1));
        let last = items.len().div_ceil(size).max(1);
        let shown = items.iter().skip((page - 1) * size).take(size).cloned().collect();
        let url = format!("{}{}", origin(call.request), call.request.url.path());
        let link = |to: usize, rel: &str| format!("<{url}?per_page={size}&page={to}>; rel=\"{rel}\"");
        let mut links = Vec::new();
        if page > 1 {
            links.extend([link(page - 1, "prev"), link(1, "first")]);
        }
        if page < last {
            links.extend([link(page + 1, "next"), link(last, "last")]);
        }
        (shown, (!links.is_empty()).then(|| links.join(", ")))
    }
}

fn is_organization(scope: &Scope) -> bool {
    matches!(scope.place, Place::Organization(_))
}

fn legal(name: &str) -> bool {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with("GITHUB_")
}

fn invalid(message: &str) -> Reply {
    failure(422, message)
}

pub(super) fn forbidden(call: &Call<'_>, scope: &Scope) -> Reply {
    let by = if call.caller.integration { "integration" } else { "personal access token" };
    let level = if call.method == "GET" { "read" } else { "write" };
    failure(403, &format!("Resource not accessible by {by}"))
        .header("x-accepted-github-permissions", format!("{}={level}", permission(scope)))
}

fn body(call: &Call<'_>) -> Result<Value, Reply> {
    serde_json::from_slice(&call.request.body).map_err(|_| failure(400, "Problems parsing JSON"))
}

/// Dependabot's operation takes strings too; older servers take nothing else there.
fn selected_ids(body: &Value, scope: &Scope, only_strings: bool) -> Result<Option<Vec<u64>>, Reply> {
    let Some(ids) = body.get("selected_repository_ids") else { return Ok(None) };
    let is_dependabot = scope.store == Store::Dependabot;
    let number = |id: &Value| match id {
        Value::Number(number) if !(is_dependabot && only_strings) => number.as_u64(),
        Value::String(text) if is_dependabot => text.parse().ok(),
        _ => None,
    };
    let ids = ids.as_array().and_then(|ids| ids.iter().map(number).collect());
    ids.map(Some).ok_or_else(|| invalid("Invalid request. For 'items', the type is wrong."))
}
