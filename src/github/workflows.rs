//! Workflows of GitHub Actions: whether one can be started, whether it has run, and
//! starting it.

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Need;
use super::error::{Error, ErrorKind, Result, Subject, missing_scope, quoted};
use super::{GitHub, paths};
use crate::config::{Scope, Workflow};
use crate::http::{Call, Retry};

/// The state of a workflow that can be started.
const ACTIVE: &str = "active";

impl GitHub {
    /// Whether a workflow can be started, as far as GitHub tells without starting it; asked
    /// once in a run. That it has a `workflow_dispatch` trigger, and which permissions a
    /// token has, shows only at the start.
    ///
    /// # Errors
    /// Why it cannot be started, or why that is not known.
    pub(crate) async fn check_workflow(&self, workflow: &Workflow) -> Result<()> {
        self.workflow_checks.get(&paths::workflow(workflow), || self.find_workflow(workflow)).await
    }

    async fn find_workflow(&self, workflow: &Workflow) -> Result<()> {
        #[derive(Deserialize)]
        struct Found {
            state: String,
        }
        let subject = Subject::Workflow(workflow);
        self.client.credentials.has_permissions_for(Need::Start(workflow)).await?;
        // Not repeated, because a mint waits for it and works without it.
        let call = self.client.call(Method::GET, &paths::workflow(workflow));
        let Found { state } = self.client.fetch(&subject, Call { retry: Retry::Never, ..call }).await?;
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

    /// Whether a run of a workflow was created at this second or later.
    pub(crate) async fn has_run_since(&self, workflow: &Workflow, since: Timestamp) -> Result<bool> {
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

    /// Starts a workflow. If the reply is lost, starts it again only if no run of it was
    /// created since `since`.
    ///
    /// # Errors
    /// Unless it certainly runs. It may still run where
    /// [`Error::may_have_been_applied`] says so.
    pub(crate) async fn start_workflow(&self, workflow: &Workflow, since: Timestamp) -> Result<()> {
        let subject = Subject::Start(workflow);
        let git_ref = match &workflow.git_ref {
            Some(git_ref) => git_ref.clone(),
            None => {
                let record = self.repository(&subject, &workflow.repository).await?;
                record.default_branch.ok_or_else(|| Error::unreadable(&subject))?
            }
        };
        let call = self.client.call(Method::POST, &paths::dispatches(workflow));
        let call = call.json(&json!({ "ref": git_ref }));
        let call = Call { retry: Retry::AfterLimit, is_valid_body: acknowledges, ..call };
        let mut repetitions = self.client.transport.http.retry_policy().repetitions();
        loop {
            let Err(error) = self.client.perform(&subject, call.clone()).await else { return Ok(()) };
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
}

/// What to do about a workflow that is not active.
pub(super) const ENABLE: &str = "Enable the workflow, on the page \"Actions\" of its repository.";

/// By the version of GitHub's API, a run that was started is shown or not.
fn acknowledges(status: StatusCode, body: &[u8]) -> bool {
    let shows_run = || serde_json::from_slice::<Value>(body).is_ok_and(|run| run["workflow_run_id"].is_u64());
    status == StatusCode::NO_CONTENT || status == StatusCode::OK && shows_run()
}
