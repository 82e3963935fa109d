//! A workflow that a rotation starts.

use std::fmt;

use serde::Serialize;

/// What became of one workflow of `after`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WorkflowReport {
    pub repository: String,
    /// Its file, or its id.
    pub workflow: String,
    /// The branch or tag; `None`: the repository's default branch.
    #[serde(rename = "ref")]
    pub git_ref: Option<String>,
    pub outcome: WorkflowOutcome,
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WorkflowOutcome {
    Started,
    Planned,
    /// It has run since the last secret was written.
    HasRun,
    /// It starts once every secret holds the new token.
    Waiting,
    /// No overlap is open, so nothing is to be started.
    NotDue,
    /// It was not started, or that is not known.
    Failed,
}

impl fmt::Display for WorkflowReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.workflow, self.repository)
    }
}
