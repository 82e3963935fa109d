//! Repositories and environments themselves: just enough to choose destinations.

use serde_json::{Value, json};

use super::super::reply::{Reply, origin};
use super::routes::{Call, Outcome, failure, not_found};
use super::state::{Repository, State};

/// GitHub's own example of a repository, with every field that any of its
/// descriptions of one has: as long as a real one.
const EXAMPLE: &str = include_str!("repository.json");

impl State {
    pub(super) fn show_repository(&self, call: &Call<'_>, repository: &Repository) -> Reply {
        Reply::json(200, self.shown_repository(call, repository))
    }

    pub(super) fn repositories_of(&self, call: &Call<'_>, owner: &str) -> Reply {
        let owned = self.repositories.iter().filter(|r| {
            let name = r.full_name.to_ascii_lowercase();
            let is_private = self.users.contains(&owner.to_ascii_lowercase());
            name.split('/').next() == Some(&owner.to_ascii_lowercase())
                && call.caller.sees(&name)
                && !is_private
        });
        let items: Vec<Value> = owned.map(|r| self.shown_repository(call, r)).collect();
        let (page, link) = self.slice(call, &items);
        let reply = Reply::json(200, Value::Array(page));
        link.into_iter().fold(reply, |reply, link| reply.header("link", link))
    }

    /// The user whose credential asks; an installation token belongs to none.
    pub(super) fn show_user(&self, call: &Call<'_>) -> Outcome {
        if call.caller.integration {
            return Err(failure(403, "Resource not accessible by integration"));
        }
        let login = self.switches.login.as_deref().unwrap_or("octocat");
        // A repository's owner is described as every user is.
        let repository = self.repositories.first().ok_or_else(not_found)?;
        let mut user = self.shown_repository(call, repository)["owner"].take();
        let profile = json!({
            "login": login, "type": "User", "bio": null, "blog": null, "company": null, "email": null,
            "hireable": null, "location": null, "name": null, "followers": 20, "following": 0,
            "public_gists": 1, "public_repos": 2, "created_at": "2008-01-14T04:33:35Z",
            "updated_at": "2008-01-14T04:33:35Z",
        });
        for (field, value) in profile.as_object().into_iter().flatten() {
            user[field] = value.clone();
        }
        Ok(Reply::json(200, user))
    }

    /// The repositories of the user whose credential asks.
    pub(super) fn own_repositories(&self, call: &Call<'_>) -> Reply {
        let owned = self.repositories.iter().filter(|r| {
            let owner = r.full_name.split('/').next().unwrap_or_default().to_ascii_lowercase();
            self.users.contains(&owner) && call.caller.sees(&r.full_name.to_ascii_lowercase())
        });
        let items: Vec<Value> = owned.map(|r| self.shown_repository(call, r)).collect();
        let (page, _) = self.slice(call, &items);
        Reply::json(200, Value::Array(page))
    }

    pub(super) fn list_selected(&self, call: &Call<'_>, selected: &[u64]) -> Reply {
        let chosen = self.repositories.iter().filter(|r| selected.contains(&r.id));
        self.page(call, "repositories", chosen.map(|r| self.shown_repository(call, r)).collect())
    }

    pub(super) fn list_environments(&self, call: &Call<'_>, repository: &Repository) -> Reply {
        self.page(
            call,
            "environments",
            repository
                .environments
                .iter()
                .map(|name| self.shown_environment(call, repository, name))
                .collect(),
        )
    }

    pub(super) fn environment(&mut self, call: &Call<'_>, repository: &Repository, name: &str) -> Outcome {
        let exists = repository.environments.iter().any(|e| e == name);
        match call.method {
            "GET" if exists => {}
            "PUT" if !call.caller.may("administration", true) => {
                let refusal = failure(403, "Resource not accessible by personal access token");
                return Err(refusal.header("x-accepted-github-permissions", "administration=write"));
            }
            "PUT" if !exists => {
                self.repository_mut(&repository.full_name).environments.push(name.to_owned());
            }
            "PUT" => {}
            _ => return Err(not_found()),
        }
        Ok(Reply::json(200, self.shown_environment(call, repository, name)))
    }

    pub(super) fn shown_repository(&self, call: &Call<'_>, repository: &Repository) -> Value {
        self.shown_repository_at(&origin(call.request), repository)
    }

    pub(super) fn shown_repository_at(&self, origin: &str, repository: &Repository) -> Value {
        let (owner, name) = repository.full_name.split_once('/').unwrap();
        let text = EXAMPLE
            .replace("https://api.github.com", &format!("{origin}{}", self.base))
            .replace("octocat/Hello-World", &repository.full_name);
        let mut shown: Value = serde_json::from_str(&text).unwrap();
        for (field, value) in [
            ("id", json!(repository.id)),
            ("node_id", json!(format!("R_{}", repository.id))),
            ("name", json!(name)),
            ("private", json!(!repository.public)),
            ("visibility", json!(if repository.public { "public" } else { "private" })),
            ("default_branch", json!("main")),
            ("archived", json!(repository.archived)),
            ("disabled", json!(repository.disabled)),
        ] {
            shown[field] = value;
        }
        shown["owner"]["login"] = json!(owner);
        shown
    }

    fn shown_environment(&self, call: &Call<'_>, repository: &Repository, name: &str) -> Value {
        let url =
            format!("{}{}/repos/{}/environments", origin(call.request), self.base, repository.full_name);
        json!({
            "id": 161_088_068, "node_id": "MDExOkVudmlyb25tZW50MTYxMDg4MDY4", "name": name, "url": url,
            "html_url": "https://github.com/deployments/activity_log", "created_at": "2020-11-23T22:00:40Z",
            "updated_at": "2020-11-23T22:00:40Z", "protection_rules": [], "deployment_branch_policy": null,
        })
    }
}
