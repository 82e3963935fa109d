//! Issues, and the pull requests among them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::clock::seconds;
use super::super::reply::{Reply, origin, query};
use super::FakeGithub;
use super::routes::{Call, Outcome, failure, not_found};
use super::state::{Repository, State};

/// GitHub's limits, in characters.
const LONGEST: [(&str, usize); 2] = [("title", 256), ("body", 65_536)];

/// An issue, or a pull request.
#[derive(Debug, Clone)]
pub struct FakeIssue {
    /// Counted from 1 in each repository.
    pub number: u64,
    /// The title.
    pub title: String,
    /// The description.
    pub body: String,
    /// Whether it is open.
    pub is_open: bool,
    /// Why it was closed or opened again.
    pub state_reason: Option<String>,
    /// Its labels.
    pub labels: Vec<String>,
    /// What was commented, in order.
    pub comments: Vec<String>,
    /// The label of the credential that created it; `hand` for a person.
    pub by: String,
    /// GitHub lists pull requests among the issues.
    pub is_pull_request: bool,
    /// When it was last changed.
    pub updated_at: Timestamp,
    created_at: Timestamp,
}

impl FakeGithub {
    /// Closes a repository's issues.
    pub fn disable_issues(&self, full_name: &str) {
        self.lock().repository_mut(full_name).issues_disabled = true;
    }

    /// The issues and pull requests of a repository, by number.
    #[must_use]
    pub fn issues(&self, full_name: &str) -> Vec<FakeIssue> {
        let state = self.lock();
        let id = state.repository(full_name).expect("no such repository").id;
        state.issues.get(&id).cloned().unwrap_or_default()
    }

    /// Adds an issue as a person would; gives its number.
    pub fn add_issue(&self, full_name: &str, title: &str, body: &str) -> u64 {
        let mut state = self.lock();
        let repository = state.repository(full_name).expect("no such repository").clone();
        state.open_issue(&repository, title, body, &[], "hand")
    }

    /// Changes an issue as a person would.
    pub fn edit_issue(&self, full_name: &str, number: u64, change: impl FnOnce(&mut FakeIssue)) {
        let mut state = self.lock();
        let (id, now) = (state.repository(full_name).expect("no such repository").id, state.clock.now());
        let issues = state.issues.get_mut(&id).expect("no issues");
        let issue = issues.iter_mut().find(|issue| issue.number == number).expect("no such issue");
        change(issue);
        issue.updated_at = now;
    }
}

impl State {
    pub(super) fn issues(&mut self, call: &Call<'_>, repository: &Repository, tail: &[&str]) -> Outcome {
        let is_write = call.method != "GET";
        if !call.caller.may("issues", is_write) {
            let by = if call.caller.integration { "integration" } else { "personal access token" };
            let level = if is_write { "write" } else { "read" };
            return Err(failure(403, &format!("Resource not accessible by {by}"))
                .header("x-accepted-github-permissions", format!("issues={level}")));
        }
        if repository.issues_disabled {
            return Err(failure(410, "Issues has been disabled in this repository."));
        }
        match (call.method, tail) {
            ("GET", []) => Ok(self.list_issues(call, repository)),
            ("POST", []) => {
                let body = text(call)?;
                bounded(&body)?;
                let get = |name: &str| body[name].as_str().unwrap_or_default();
                // Without push rights the labels are dropped.
                let labels = if call.caller.lacks("push") { Vec::new() } else { labels(&body["labels"]) };
                let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
                let (title, description, by) = (get("title"), get("body"), call.caller.label.clone());
                let number = self.open_issue(repository, title, description, &labels, &by);
                Ok(Reply::json(201, self.shown_issue(call, repository, number)))
            }
            ("PATCH", [number]) => {
                let (number, body) = (self.number_of(repository, number)?, text(call)?);
                bounded(&body)?;
                let may_label = !call.caller.lacks("push");
                let issue = self.issue_mut(repository, number);
                if let Some(text) = body["body"].as_str() {
                    text.clone_into(&mut issue.body);
                }
                if let Some(state) = body["state"].as_str() {
                    let is_open = state == "open";
                    if is_open != issue.is_open {
                        let usual = if is_open { "reopened" } else { "completed" };
                        let reason = body["state_reason"].as_str().unwrap_or(usual);
                        (issue.is_open, issue.state_reason) = (is_open, Some(reason.to_owned()));
                    }
                }
                if may_label && body["labels"].is_array() {
                    issue.labels = labels(&body["labels"]);
                }
                Ok(Reply::json(200, self.shown_issue(call, repository, number)))
            }
            ("POST", [number, "comments"]) => {
                let (number, body) = (self.number_of(repository, number)?, text(call)?);
                bounded(&body)?;
                let comment = body["body"].as_str().unwrap_or_default().to_owned();
                self.issue_mut(repository, number).comments.push(comment.clone());
                let url = format!("{}{}/repos/{}", origin(call.request), self.base, repository.full_name);
                let now = seconds(self.clock.now()).to_string();
                let comment = json!({
                    "id": 1, "node_id": "MDEyOklzc3VlQ29tbWVudDE=", "url": url, "html_url": url,
                    "issue_url": url, "body": comment, "created_at": now, "updated_at": now,
                    "user": self.shown_repository(call, repository)["owner"],
                });
                Ok(Reply::json(201, comment))
            }
            _ => Err(not_found()),
        }
    }

    /// Adds an issue; gives its number.
    pub(super) fn open_issue(
        &mut self,
        repository: &Repository,
        title: &str,
        body: &str,
        labels: &[&str],
        by: &str,
    ) -> u64 {
        let now = self.clock.now();
        let issues = self.issues.entry(repository.id).or_default();
        let number = issues.len() as u64 + 1;
        issues.push(FakeIssue {
            number,
            title: title.to_owned(),
            body: body.to_owned(),
            is_open: true,
            state_reason: None,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            comments: Vec::new(),
            by: by.to_owned(),
            is_pull_request: false,
            updated_at: now,
            created_at: now,
        });
        number
    }

    fn number_of(&self, repository: &Repository, number: &str) -> Result<u64, Reply> {
        let number = number.parse().map_err(|_| not_found())?;
        let issues = self.issues.get(&repository.id);
        let exists = issues.is_some_and(|issues| issues.iter().any(|issue| issue.number == number));
        if exists { Ok(number) } else { Err(not_found()) }
    }

    fn issue_mut(&mut self, repository: &Repository, number: u64) -> &mut FakeIssue {
        let now = self.clock.now();
        let mut issues = self.issues.get_mut(&repository.id).unwrap().iter_mut();
        let issue = issues.find(|issue| issue.number == number).unwrap();
        issue.updated_at = now;
        issue
    }

    fn list_issues(&self, call: &Call<'_>, repository: &Repository) -> Reply {
        let asked = |name| query(call.request, name);
        let state = asked("state").unwrap_or_else(|| "open".to_owned());
        let wanted = asked("labels");
        let fits = |issue: &&FakeIssue| {
            let has = |label: &str| issue.labels.iter().any(|own| own.eq_ignore_ascii_case(label));
            (state == "all" || issue.is_open == (state == "open"))
                && wanted.iter().flat_map(|labels| labels.split(',')).all(has)
        };
        let mut issues: Vec<&FakeIssue> =
            self.issues.get(&repository.id).into_iter().flatten().filter(fits).collect();
        issues.sort_by_key(|issue| match asked("sort").as_deref() {
            Some("updated") => (issue.updated_at, issue.number),
            _ => (issue.created_at, issue.number),
        });
        if asked("direction").as_deref() != Some("asc") {
            issues.reverse();
        }
        let items: Vec<Value> =
            issues.into_iter().map(|issue| self.shown_issue(call, repository, issue.number)).collect();
        let (page, link) = self.slice(call, &items);
        let reply = Reply::json(200, Value::Array(page));
        link.into_iter().fold(reply, |reply, link| reply.header("link", link))
    }

    fn shown_issue(&self, call: &Call<'_>, repository: &Repository, number: u64) -> Value {
        let issues = &self.issues[&repository.id];
        let issue = issues.iter().find(|issue| issue.number == number).unwrap();
        let repository_url = format!("{}{}/repos/{}", origin(call.request), self.base, repository.full_name);
        let url = format!("{repository_url}/issues/{number}");
        let time = |time: Timestamp| seconds(time).to_string();
        let label = |name: &String| json!({ "id": 1, "name": name, "color": "ededed", "default": false });
        let mut shown = json!({
            "id": 3_000_000 + number, "node_id": format!("I_{number}"), "number": number, "url": url,
            "repository_url": repository_url, "labels_url": format!("{url}/labels{{/name}}"),
            "comments_url": format!("{url}/comments"), "events_url": format!("{url}/events"), "html_url": url,
            "state": if issue.is_open { "open" } else { "closed" }, "state_reason": issue.state_reason,
            "title": issue.title, "body": issue.body, "labels": issue.labels.iter().map(label).collect::<Vec<_>>(),
            "user": self.shown_repository(call, repository)["owner"], "assignee": null, "assignees": [],
            "milestone": null, "locked": false, "active_lock_reason": null, "comments": issue.comments.len(),
            "closed_at": (!issue.is_open).then(|| time(issue.updated_at)),
            "created_at": time(issue.created_at), "updated_at": time(issue.updated_at),
            "author_association": "NONE",
        });
        if issue.is_pull_request {
            shown["pull_request"] = json!({ "url": url, "html_url": url, "diff_url": url, "patch_url": url });
        }
        shown
    }
}

fn text(call: &Call<'_>) -> Result<Value, Reply> {
    serde_json::from_slice(&call.request.body).map_err(|_| failure(400, "Problems parsing JSON"))
}

fn bounded(body: &Value) -> Result<(), Reply> {
    for (field, longest) in LONGEST {
        if body[field].as_str().is_some_and(|text| text.chars().count() > longest) {
            let message = format!("{field} is too long (maximum is {longest} characters)");
            let error = json!({ "resource": "Issue", "code": "custom", "field": field, "message": message });
            let mut reply = failure(422, "Validation Failed");
            reply.body.as_mut().unwrap()["errors"] = json!([error]);
            return Err(reply);
        }
    }
    Ok(())
}

fn labels(of: &Value) -> Vec<String> {
    of.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
