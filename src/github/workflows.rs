//! Workflows of GitHub Actions: whether one can be started, whether it has run, and
//! starting it.

use std::sync::Arc;

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Auth;
use super::cache::Cache;
use super::client::Client;
use super::error::{Error, ErrorKind, Subject, missing_scope, quoted};
use super::paths;
use super::repositories::Repositories;
use crate::config::{Scope, Workflow};
use crate::http::{Call, Retry};

/// The state of a workflow that can be started.
const ACTIVE: &str = "active";

/// Looks at workflows, and starts them.
pub(super) struct Workflows {
    client: Arc<Client<Auth>>,
    repositories: Arc<Repositories>,
    checks: Cache<()>,
}

impl Workflows {
    pub(super) fn new(client: &Arc<Client<Auth>>, repositories: &Arc<Repositories>) -> Self {
        Self { client: Arc::clone(client), repositories: Arc::clone(repositories), checks: Cache::new() }
    }

    /// See [`super::GitHub::check_workflow`].
    pub(super) async fn check(&self, workflow: &Workflow) -> Result<(), Error> {
        self.checks.get(&paths::workflow(workflow), || self.find(workflow)).await
    }

    async fn find(&self, workflow: &Workflow) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Found {
            state: String,
        }
        let subject = Subject::Workflow(workflow);
        self.client.credentials.may_start(workflow).await?;
        // Not repeated, because a mint waits for it and works without it.
        let call = self.client.call(Method::GET, &paths::workflow(workflow));
        let reply = self.client.send(&subject, Call { retry: Retry::Never, ..call }).await?;
        let Found { state } = self.client.read(&subject, &reply)?;
        // Known only after a reply.
        let scopes = self.client.credentials.scopes();
        let scope = Scope::Repository(workflow.repository.clone());
        if let Some((lack, remedy)) = scopes.and_then(|scopes| missing_scope(&scopes, &scope)) {
            return Err(Error::new(ErrorKind::Forbidden, subject, lack).with_remedy(remedy));
        }
        if state != ACTIVE {
            let cause = format!("the workflow is not active; its state is {}", quoted(&state));
            return Err(Error::new(ErrorKind::Invalid, subject, cause).with_remedy(ENABLE));
        }
        Ok(())
    }

    /// See [`super::GitHub::has_run_since`].
    pub(super) async fn has_run_since(&self, workflow: &Workflow, since: Timestamp) -> Result<bool, Error> {
        #[derive(Deserialize)]
        struct Runs {
            workflow_runs: Vec<Run>,
        }
        #[derive(Deserialize)]
        struct Run {
            created_at: Timestamp,
        }
        // GitHub's dates have whole seconds.
        let since = Timestamp::from_second(since.as_second()).unwrap_or(since);
        let path = paths::runs_since(workflow, since);
        let Runs { workflow_runs } = self.client.get(&Subject::Workflow(workflow), &path).await?;
        // A server that ignores the filter shows older ones.
        Ok(workflow_runs.iter().any(|run| run.created_at >= since))
    }

    /// See [`super::GitHub::start_workflow`].
    pub(super) async fn start(&self, workflow: &Workflow, since: Timestamp) -> Result<(), Error> {
        let git_ref = match &workflow.git_ref {
            Some(git_ref) => git_ref.clone(),
            None => self.repositories.default_branch(&Subject::Start(workflow), &workflow.repository).await?,
        };
        let mut repetitions = self.client.transport.retry_policy().repetitions();
        loop {
            let Err(error) = self.dispatch(workflow, &git_ref).await else { return Ok(()) };
            if !error.may_have_been_applied() {
                return Err(error);
            }
            let Some(wait) = repetitions.next_wait(None) else { return Err(error) };
            tokio::time::sleep(wait).await;
            // GitHub may have started it all the same.
            match self.has_run_since(workflow, since).await {
                Ok(true) => return Ok(()),
                Ok(false) => tracing::debug!("will start {workflow} again: {error}"),
                Err(_) => return Err(error),
            }
        }
    }

    async fn dispatch(&self, workflow: &Workflow, git_ref: &str) -> Result<(), Error> {
        let subject = Subject::Start(workflow);
        let call =
            self.client.call(Method::POST, &paths::dispatches(workflow)).json(&json!({ "ref": git_ref }));
        let call = Call { retry: Retry::AfterLimit, is_valid_body: acknowledges, ..call };
        let reply = self.client.send(&subject, call).await?;
        self.client.success(&subject, &reply)
    }
}

/// What to do about a workflow that is not active.
pub(super) const ENABLE: &str = "Enable the workflow, on the page \"Actions\" of its repository.";

/// By the version of GitHub's API, a run that was started is shown or not.
fn acknowledges(status: StatusCode, body: &[u8]) -> bool {
    let shows_run = || serde_json::from_slice::<Value>(body).is_ok_and(|run| run["workflow_run_id"].is_u64());
    status == StatusCode::NO_CONTENT || status == StatusCode::OK && shows_run()
}
