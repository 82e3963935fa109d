//! The issues of one repository: lists them, creates, changes and comments on them.
//!
//! What stands in them is decided in [`crate::issue`].

use std::time::Instant;

use http::Method;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::client::{Client, Credentials};
use super::error::{Error, SignedWith, Subject};
use super::paths;
use crate::config::Repository;
use crate::http::retry::Repetitions;
use crate::http::{Call, Retry};

/// Room for a page of the longest bodies, in bytes.
const LONGEST_PAGE: usize = 16 * 1024 * 1024;

/// The credential that writes issues.
#[derive(Debug, Clone)]
pub(crate) enum IssueToken {
    /// `CROSSFADE_ISSUE_TOKEN`.
    Own(SecretString),
    /// `CROSSFADE_GITHUB_TOKEN`, which writes the secrets too.
    Shared(SecretString),
}

impl Credentials for IssueToken {
    async fn token(&self, _: &Subject<'_>) -> Result<SecretString, Error> {
        let (Self::Own(token) | Self::Shared(token)) = self;
        Ok(token.clone())
    }

    fn signed_with(&self) -> SignedWith {
        match self {
            Self::Own(_) => SignedWith::IssueToken,
            Self::Shared(_) => SignedWith::Token,
        }
    }
}

/// Which issues to list.
#[derive(Debug, Clone, Copy)]
pub(crate) enum IssueState {
    Open,
    Any,
}

/// An issue, as far as it matters here.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ListedIssue {
    pub(crate) number: u64,
    state: String,
    body: Option<String>,
    #[serde(default)]
    labels: Vec<Label>,
    /// GitHub lists pull requests among the issues.
    pull_request: Option<IgnoredAny>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Label {
    Name(String),
    Described { name: Option<String> },
}

impl ListedIssue {
    pub(crate) fn is_open(&self) -> bool {
        self.state == "open"
    }

    pub(crate) fn is_pull_request(&self) -> bool {
        self.pull_request.is_some()
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
#[derive(Debug, Clone, Default)]
pub(crate) struct IssueChange {
    pub(crate) body: Option<String>,
    pub(crate) state: Option<NewState>,
    /// All of its labels.
    pub(crate) labels: Option<Vec<String>>,
}

impl IssueChange {
    pub(crate) fn is_empty(&self) -> bool {
        self.body.is_none() && self.state.is_none() && self.labels.is_none()
    }
}

/// What becomes of an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewState {
    Open,
    Completed,
    NotPlanned,
}

/// The issues of one repository.
pub(crate) struct Issues {
    pub(super) client: Client<IssueToken>,
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
        self.client.transport.retry_policy().repetitions()
    }

    /// Whether everybody can see the repository.
    pub(crate) async fn is_public(&self) -> Result<bool, Error> {
        #[derive(Deserialize)]
        struct Record {
            private: bool,
        }
        let call = self.call(Method::GET, &paths::repository(&self.repository));
        let reply = self.client.send(&self.subject(), call).await?;
        let record: Record = self.client.read(&self.subject(), &reply)?;
        Ok(!record.private)
    }

    /// One page of issues and pull requests, those that were changed last first.
    pub(crate) async fn list(
        &self,
        state: IssueState,
        label: Option<&str>,
        page: usize,
    ) -> Result<Vec<ListedIssue>, Error> {
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
        let reply = self.client.send(&self.subject(), call).await?;
        self.client.read(&self.subject(), &reply)
    }

    /// Creates an issue, and returns its number. GitHub makes the label if there is none,
    /// and leaves it out if the credential may not set labels.
    ///
    /// # Errors
    /// The issue may have been created all the same where [`Error::may_have_been_applied`] says so.
    pub(crate) async fn create(&self, title: &str, body: &str, label: &str) -> Result<u64, Error> {
        #[derive(Deserialize)]
        struct Created {
            number: u64,
        }
        let issue = json!({ "title": title, "body": body, "labels": [label] });
        let call = self.creation(&paths::issues(&self.repository), &issue);
        let reply = self.client.send(&self.subject(), call).await?;
        let created: Created = self.client.read(&self.subject(), &reply)?;
        Ok(created.number)
    }

    /// Changes an issue.
    pub(crate) async fn change(&self, number: u64, change: &IssueChange) -> Result<(), Error> {
        let mut body = json!({});
        if let Some(text) = &change.body {
            body["body"] = json!(text);
        }
        if let Some(labels) = &change.labels {
            body["labels"] = json!(labels);
        }
        match change.state {
            None => {}
            Some(NewState::Open) => body["state"] = json!("open"),
            Some(NewState::Completed) => body["state"] = json!("closed"),
            Some(NewState::NotPlanned) => {
                body["state"] = json!("closed");
                body["state_reason"] = json!("not_planned");
            }
        }
        let call = self.call(Method::PATCH, &paths::issue(&self.repository, number)).json(&body);
        let reply = self.client.send(&self.subject(), call).await?;
        self.client.success(&self.subject(), &reply)
    }

    /// Adds a comment to an issue.
    pub(crate) async fn comment(&self, number: u64, text: &str) -> Result<(), Error> {
        let path = format!("{}/comments", paths::issue(&self.repository, number));
        let call = self.creation(&path, &json!({ "body": text }));
        let reply = self.client.send(&self.subject(), call).await?;
        self.client.success(&self.subject(), &reply)
    }
}
