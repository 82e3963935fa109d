//! The issues of one repository: lists them, creates, changes and comments on them.
//!
//! What stands in them is decided in [`crate::issue`].

use std::time::Instant;

use http::Method;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::{BearerToken, Client};
use super::error::{Result, Subject};
use super::paths;
use crate::config::Repository;
use crate::http::retry::Repetitions;
use crate::http::{Call, Retry};

/// Room for a page of the longest bodies, in bytes.
const LONGEST_PAGE: usize = 16 * 1024 * 1024;

/// Which issues to list.
#[derive(Debug, Clone, Copy)]
pub(crate) enum IssueState {
    Open,
    Any,
}

/// An issue, as far as it matters here.
#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct ListedIssue {
    pub(crate) number: u64,
    state: String,
    body: Option<String>,
    #[serde(default)]
    labels: Vec<Label>,
    /// GitHub lists pull requests among the issues.
    pub(crate) pull_request: Option<IgnoredAny>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Label {
    Name(String),
    Described { name: Option<String> },
}

impl ListedIssue {
    pub(crate) fn is_open(&self) -> bool {
        self.state == "open"
    }

    pub(crate) fn body(&self) -> &str {
        self.body.as_deref().unwrap_or_default()
    }

    pub(crate) fn labels(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().filter_map(|label| match label {
            Label::Name(name) => Some(name.as_str()),
            Label::Described { name } => name.as_deref(),
        })
    }
}

/// What to change in an issue; `None`: leave it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct IssueChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
    /// `open` or `closed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<&'static str>,
    /// Why it is closed; `None`: as completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state_reason: Option<&'static str>,
    /// All of its labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) labels: Option<Vec<String>>,
}

/// The issues of one repository.
pub(crate) struct Issues {
    pub(super) client: Client<BearerToken>,
    pub(super) repository: Repository,
    /// When to give up.
    pub(super) deadline: Instant,
}

impl Issues {
    /// Issues per page: their bodies may be long.
    pub(crate) const PAGE: usize = 50;

    fn subject(&self) -> Subject<'_> {
        Subject::Issues(&self.repository)
    }

    fn call(&self, method: Method, path: &str) -> Call {
        Call { deadline: Some(self.deadline), ..self.client.call(method, path) }
    }

    /// A request that must not be repeated blindly, because it would be seen twice.
    fn creation(&self, path: &str, body: &Value) -> Call {
        Call { retry: Retry::AfterLimit, ..self.call(Method::POST, path).json(body) }
    }

    /// The waits of a caller that repeats a creation, because something must be looked at
    /// before that.
    pub(crate) fn repetitions(&self) -> Repetitions {
        self.client.transport.http.retry_policy().repetitions()
    }

    /// Whether everybody can see the repository.
    pub(crate) async fn is_public(&self) -> Result<bool> {
        #[derive(Deserialize)]
        struct Record {
            private: bool,
        }
        let call = self.call(Method::GET, &paths::repository(&self.repository));
        let record: Record = self.client.fetch(&self.subject(), call).await?;
        Ok(!record.private)
    }

    /// One page of issues and pull requests, those that were changed last first.
    pub(crate) async fn list(
        &self,
        state: IssueState,
        label: Option<&str>,
        page: usize,
    ) -> Result<Vec<ListedIssue>> {
        let state = match state {
            IssueState::Open => "open",
            IssueState::Any => "all",
        };
        let label = label.map(|label| format!("&labels={label}")).unwrap_or_default();
        let path = format!(
            "{}?state={state}&sort=updated&direction=desc{label}&per_page={}&page={page}",
            paths::issues(&self.repository),
            Self::PAGE
        );
        let call = Call { longest_body: LONGEST_PAGE, ..self.call(Method::GET, &path) };
        self.client.fetch(&self.subject(), call).await
    }

    /// Creates an issue, and returns its number. GitHub makes the label if there is none,
    /// and leaves it out if the credential may not set labels.
    ///
    /// # Errors
    /// The issue may have been created all the same where [`super::Error::may_have_been_applied`] says so.
    pub(crate) async fn create(&self, title: &str, body: &str, label: &str) -> Result<u64> {
        #[derive(Deserialize)]
        struct Created {
            number: u64,
        }
        let issue = json!({ "title": title, "body": body, "labels": [label] });
        let call = self.creation(&paths::issues(&self.repository), &issue);
        let created: Created = self.client.fetch(&self.subject(), call).await?;
        Ok(created.number)
    }

    pub(crate) async fn change(&self, number: u64, change: &IssueChange) -> Result<()> {
        let call = self.call(Method::PATCH, &paths::issue(&self.repository, number)).json(&json!(change));
        self.client.perform(&self.subject(), call).await
    }

    pub(crate) async fn comment(&self, number: u64, text: &str) -> Result<()> {
        let path = format!("{}/comments", paths::issue(&self.repository, number));
        let call = self.creation(&path, &json!({ "body": text }));
        self.client.perform(&self.subject(), call).await
    }
}
