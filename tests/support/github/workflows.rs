//! Workflows and their runs: shown, listed, started.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::clock::seconds;
use super::super::reply::{Reply, origin, query};
use super::routes::{Call, Outcome, failure, not_found};
use super::state::{Repository, State};

/// A workflow of a repository, with its runs.
#[derive(Debug, Clone)]
pub struct Workflow {
    /// GitHub's number for it.
    pub id: u64,
    /// Its file's name.
    pub file: String,
    /// `active`, or why it is not.
    pub state: &'static str,
    /// It has a `workflow_dispatch` trigger.
    pub is_dispatchable: bool,
    /// An input without a default.
    pub required_input: Option<&'static str>,
    /// Oldest first.
    pub runs: Vec<WorkflowRun>,
    repository: u64,
}

/// One run of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowRun {
    /// In whole seconds.
    pub created_at: Timestamp,
    /// `workflow_dispatch`, `push`, …
    pub event: &'static str,
    /// The branch or tag.
    pub git_ref: String,
    /// The label of the credential that started it; `hand` for a person.
    pub by: String,
}

/// The branch that every repository has.
const BRANCH: &str = "main";

impl State {
    pub(super) fn add_workflow(&mut self, full_name: &str, file: &str) {
        let repository = self.repository_mut(full_name).id;
        self.workflows.push(Workflow {
            id: 161_335 + self.workflows.len() as u64,
            file: file.to_owned(),
            state: "active",
            is_dispatchable: true,
            required_input: None,
            runs: Vec::new(),
            repository,
        });
    }

    /// A workflow by its file or id.
    pub(super) fn workflow_mut(&mut self, repository: &Repository, name: &str) -> Option<&mut Workflow> {
        let is_it = |one: &Workflow| {
            one.repository == repository.id && (one.file == name || one.id.to_string() == name)
        };
        self.workflows.iter_mut().find(|one| is_it(one))
    }

    pub(super) fn run_workflow(&mut self, repository: &Repository, name: &str, run: WorkflowRun) {
        self.workflow_mut(repository, name).expect("no such workflow").runs.push(run);
    }

    pub(super) fn workflows(&mut self, call: &Call<'_>, repository: &Repository, tail: &[&str]) -> Outcome {
        let writes = call.method != "GET";
        if !call.caller.may("actions", writes) {
            let kind = if call.caller.integration { "integration" } else { "personal access token" };
            let needed = if writes { "actions=write" } else { "actions=read" };
            let refusal = failure(403, &format!("Resource not accessible by {kind}"));
            return Err(refusal.header("x-accepted-github-permissions", needed));
        }
        let name = tail.first().ok_or_else(not_found)?;
        let workflow = self.workflow_mut(repository, name).ok_or_else(not_found)?.clone();
        match (call.method, &tail[1..]) {
            ("GET", []) => Ok(Reply::json(200, self.shown_workflow(call, repository, &workflow))),
            ("GET", ["runs"]) => Ok(self.list_runs(call, repository, &workflow)),
            ("POST", ["dispatches"]) => self.dispatch(call, repository, &workflow),
            _ => Err(not_found()),
        }
    }

    /// GitHub's words, as its own tools quote them.
    fn dispatch(&mut self, call: &Call<'_>, repository: &Repository, workflow: &Workflow) -> Outcome {
        let body: Value = serde_json::from_slice(&call.request.body).unwrap_or_default();
        let Some(git_ref) = body["ref"].as_str() else { return Err(failure(422, "Invalid request.")) };
        let branch = git_ref.strip_prefix("refs/heads/").unwrap_or(git_ref);
        if workflow.state != "active" {
            return Err(failure(422, "Cannot trigger a 'workflow_dispatch' on a disabled workflow"));
        }
        if branch != BRANCH {
            return Err(failure(422, &format!("No ref found for: {git_ref}")));
        }
        if !workflow.is_dispatchable {
            return Err(failure(422, "Workflow does not have 'workflow_dispatch' trigger"));
        }
        if let Some(input) = workflow.required_input.filter(|input| body["inputs"].get(input).is_none()) {
            return Err(failure(422, &format!("Required input '{input}' not provided")));
        }
        let run = WorkflowRun {
            created_at: seconds(self.clock.now()),
            event: "workflow_dispatch",
            git_ref: branch.to_owned(),
            by: call.caller.label.clone(),
        };
        self.run_workflow(repository, &workflow.file, run);
        Ok(match self.switches.shows_started_runs {
            true => Reply::json(
                200,
                json!({
                    "workflow_run_id": 30_433_642_u64,
                    "run_url": "https://api.github.com/repos/acme/api/actions/runs/30433642",
                    "html_url": "https://github.com/acme/api/actions/runs/30433642",
                }),
            ),
            false => Reply::empty(204),
        })
    }

    fn list_runs(&self, call: &Call<'_>, repository: &Repository, workflow: &Workflow) -> Reply {
        let since = query(call.request, "created").and_then(|filter| filter.strip_prefix(">=")?.parse().ok());
        let since: Timestamp = since.unwrap_or(Timestamp::MIN);
        let most = query(call.request, "per_page").and_then(|n| n.parse().ok()).unwrap_or(30);
        let now = self.clock.now();
        let is_shown = |run: &&WorkflowRun| {
            let lag = self.switches.run_lag;
            run.created_at >= since
                && run.created_at.checked_add(lag).is_ok_and(|at| at <= now || lag == SignedDuration::ZERO)
        };
        let found: Vec<&WorkflowRun> = workflow.runs.iter().rev().filter(is_shown).collect();
        let shown: Vec<Value> =
            found.iter().take(most).map(|run| self.shown_run(call, repository, workflow, run)).collect();
        Reply::json(200, json!({ "total_count": found.len(), "workflow_runs": shown }))
    }

    fn shown_workflow(&self, call: &Call<'_>, repository: &Repository, workflow: &Workflow) -> Value {
        let Workflow { id, file, state, .. } = workflow;
        let name = &repository.full_name;
        json!({
            "id": id, "node_id": "MDg6V29ya2Zsb3cxNjEzMzU=", "name": "CI", "path": format!(".github/workflows/{file}"),
            "state": state, "created_at": "2020-01-08T23:48:37.000-08:00",
            "updated_at": "2020-01-08T23:50:21.000-08:00",
            "url": format!("{}{}/repos/{name}/actions/workflows/{id}", origin(call.request), self.base),
            "html_url": format!("https://github.com/{name}/blob/main/.github/workflows/{file}"),
            "badge_url": format!("https://github.com/{name}/workflows/CI/badge.svg"),
        })
    }

    fn shown_run(
        &self,
        call: &Call<'_>,
        repository: &Repository,
        workflow: &Workflow,
        run: &WorkflowRun,
    ) -> Value {
        let of_repository = self.shown_repository(call, repository);
        let url =
            format!("{}{}/repos/{}/actions/runs/1", origin(call.request), self.base, repository.full_name);
        let html_url = format!("https://github.com/{}/actions/runs/1", repository.full_name);
        json!({
            "id": 1, "name": "Build", "node_id": "MDEyOldvcmtmbG93IFJ1bjI2OTI4OQ==", "check_suite_id": 42,
            "check_suite_node_id": "MDEwOkNoZWNrU3VpdGU0Mg==", "head_branch": run.git_ref,
            "head_sha": "acb5820ced9479c074f688cc328bf03f341a511d",
            "path": format!(".github/workflows/{}@{}", workflow.file, run.git_ref), "run_number": 562,
            "event": run.event, "display_title": "Deploy", "status": "queued", "conclusion": null,
            "workflow_id": workflow.id, "url": url, "html_url": html_url, "pull_requests": [],
            "created_at": run.created_at.to_string(), "updated_at": run.created_at.to_string(),
            "actor": of_repository["owner"], "run_attempt": 1, "run_started_at": run.created_at.to_string(),
            "triggering_actor": of_repository["owner"], "jobs_url": format!("{url}/jobs"),
            "logs_url": format!("{url}/logs"), "check_suite_url": url, "artifacts_url": format!("{url}/artifacts"),
            "cancel_url": format!("{url}/cancel"), "rerun_url": format!("{url}/rerun"), "previous_attempt_url": null,
            "workflow_url": url, "head_commit": null, "repository": of_repository,
            "head_repository": of_repository,
        })
    }
}
