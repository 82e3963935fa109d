//! Repositories and environments themselves: just enough to choose destinations.

use serde_json::{Map, Value, json};

use super::super::reply::{Reply, origin};
use super::routes::{Call, Outcome, failure, not_found};
use super::state::{Repository, State};

/// The URLs that the published schema wants of a repository.
const REPOSITORY_URLS: &[&str] = &[
    "archive",
    "assignees",
    "blobs",
    "branches",
    "collaborators",
    "comments",
    "commits",
    "compare",
    "contents",
    "contributors",
    "deployments",
    "downloads",
    "events",
    "forks",
    "git_commits",
    "git_refs",
    "git_tags",
    "hooks",
    "html",
    "issue_comment",
    "issue_events",
    "issues",
    "keys",
    "labels",
    "languages",
    "merges",
    "milestones",
    "notifications",
    "pulls",
    "releases",
    "stargazers",
    "statuses",
    "subscribers",
    "subscription",
    "tags",
    "teams",
    "trees",
];

/// The URLs that the published schema wants of an owner.
const OWNER_URLS: &[&str] = &[
    "avatar",
    "events",
    "followers",
    "following",
    "gists",
    "html",
    "organizations",
    "received_events",
    "repos",
    "starred",
    "subscriptions",
];

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
            repository.environments.iter().map(|name| json!({ "name": name })).collect(),
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
        Ok(Reply::json(200, json!({ "name": name })))
    }

    pub(super) fn shown_repository(&self, call: &Call<'_>, repository: &Repository) -> Value {
        let api = format!("{}{}", origin(call.request), self.base);
        let (owner, name) = repository.full_name.split_once('/').unwrap();
        let url = format!("{api}/repos/{}", repository.full_name);
        let mut person = urls(OWNER_URLS, &format!("{api}/users/{owner}"));
        person.extend(object(json!({
            "login": owner, "id": 1, "node_id": "MDQ6VXNlcjE=", "gravatar_id": "", "type": "Organization",
            "site_admin": false, "url": format!("{api}/users/{owner}"),
        })));
        let mut shown = urls(REPOSITORY_URLS, &url);
        shown.extend(object(json!({
            "id": repository.id, "node_id": format!("R_{}", repository.id), "name": name,
            "full_name": repository.full_name, "private": true, "owner": person, "description": null,
            "fork": false, "url": url, "archived": repository.archived, "disabled": false,
        })));
        Value::Object(shown)
    }
}

fn urls(names: &[&str], base: &str) -> Map<String, Value> {
    names.iter().map(|name| (format!("{name}_url"), json!(format!("{base}/{name}")))).collect()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => unreachable!("built as an object above"),
    }
}
