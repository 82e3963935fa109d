//! Keeps one issue open while something fails or would expire (`--report-issue`).
//!
//! The issue is found by hidden marks in its description (`marks`), never by its title.
//! `attention` says what a report complains about, `decision` what to do with the issues
//! that were found, `text` what stands in them. Here are the requests.

mod attention;
mod decision;
mod marks;
mod text;

use std::fmt;

use crate::config::Repository;
use crate::github::{Error, ErrorKind, IssueChange, IssueState, IssueToken, Issues, ListedIssue, NewState};
use crate::report::RedactedReport;
use attention::Attention;
use decision::{Decision, Found, decide, duplicates};
pub(crate) use marks::IssueKey;
use marks::Section;
use text::Texts;

/// The label of every issue.
const LABEL: &str = "crossfade";
/// More pages of labelled issues than any repository has.
const MOST_PAGES: usize = 20;

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct IssueSettings {
    /// Whose issue it is.
    pub(crate) repository: Repository,
    pub(crate) token: IssueToken,
    /// The repository may be public: `--public-issue`.
    pub(crate) may_be_public: bool,
    pub(crate) key: IssueKey,
    /// What the run is about, if that is not the usual file: the end of the title.
    pub(crate) about: String,
}

/// Where links lead.
#[derive(Debug, Clone, Default)]
pub(crate) struct Links {
    /// What links to GitHub begin with.
    pub(crate) server: Option<String>,
    /// The page of this workflow run.
    pub(crate) run: Option<String>,
}

/// Why the issue is not up to date.
#[derive(Debug)]
pub(crate) enum NotKept {
    /// The repository is public, and the user did not allow that.
    Public,
    Github(Error),
}

impl From<Error> for NotKept {
    fn from(error: Error) -> Self {
        Self::Github(error)
    }
}

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str(
                "the repository is public, and the issue would name your repositories and secrets. Name a private \
                 repository with `--report-issue owner/repo`, or allow it with `--public-issue`.",
            ),
            Self::Github(error) => write!(f, "{}. {}", error.cause, next_step(error)),
        }
    }
}

/// What GitHub's reply tells to do, or else what helps with errors of its kind.
fn next_step(error: &Error) -> &str {
    match (&error.remedy, error.kind) {
        (Some(remedy), _) => remedy,
        (None, ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Late) => {
            "The next run tries again."
        }
        (None, ErrorKind::Unreadable) => "Check the address of GitHub's API, and any proxy in between.",
        (None, _) => "Fix what GitHub reports, or name another repository with `--report-issue`.",
    }
}

/// Creates, updates or closes the issue, as the report requires. Returns a warning where
/// that failed: it concerns no rotation.
pub(crate) async fn keep(
    issues: &Issues,
    settings: &IssueSettings,
    report: &RedactedReport,
    links: &Links,
) -> Option<String> {
    let attention = Attention::of(report);
    let texts = Texts { settings, report, attention: &attention, links };
    let keeper = Keeper { issues, settings, attention: &attention, texts };
    keeper.keep().await.err().map(|failed| warning(settings, &failed))
}

/// The warning of a run that was stopped before that.
pub(crate) fn stopped(settings: &IssueSettings) -> String {
    warning(settings, &"the run was stopped. The next run tries again.")
}

fn warning(settings: &IssueSettings, why: &dyn fmt::Display) -> String {
    let repository = &settings.repository;
    format!("the issue in {repository} is not up to date, which changes no exit code: {why}")
}

struct Keeper<'a> {
    issues: &'a Issues,
    settings: &'a IssueSettings,
    attention: &'a Attention,
    texts: Texts<'a>,
}

impl Keeper<'_> {
    async fn keep(&self) -> Result<(), NotKept> {
        let is_well = self.attention.is_empty();
        // A closed issue matters only if it would be opened again.
        let state = if is_well { IssueState::Open } else { IssueState::Any };
        let listed = self.find(state).await?;
        let found = self.found(&listed);
        let decision = decide(is_well, &self.attention.announcement(), &found);
        if decision == Decision::Nothing {
            return Ok(());
        }
        if !self.settings.may_be_public && self.issues.is_public().await? {
            return Err(NotKept::Public);
        }
        match decision {
            Decision::Nothing => {}
            Decision::Create => return self.create().await,
            Decision::Update { issue, comment } => self.update(issue, comment).await?,
            Decision::Close { issue } => self.close(issue).await?,
        }
        self.close_duplicates(&found).await
    }

    /// The issues with the marks of this key. The label may be missing: GitHub leaves it out
    /// where the credential may not set labels, and users can remove it. So the issues that
    /// were changed last are read first, which are all in most repositories; the label finds
    /// an older one.
    async fn find(&self, state: IssueState) -> Result<Vec<ListedIssue>, Error> {
        let latest = self.issues.list(state, None, 1).await?;
        let has_more = latest.len() >= Issues::PAGE;
        let mut found = self.ours(latest);
        if !has_more || found.iter().any(ListedIssue::is_open) {
            return Ok(found);
        }
        for page in 1..=MOST_PAGES {
            let labelled = self.issues.list(state, Some(LABEL), page).await?;
            let is_last = labelled.len() < Issues::PAGE;
            found.extend(self.ours(labelled));
            if is_last {
                break;
            }
        }
        found.sort_by_key(|issue| issue.number);
        found.dedup_by_key(|issue| issue.number);
        Ok(found)
    }

    fn ours(&self, listed: Vec<ListedIssue>) -> Vec<ListedIssue> {
        listed.into_iter().filter(|issue| self.found_in(issue).is_some()).collect()
    }

    fn found<'i>(&self, listed: &'i [ListedIssue]) -> Vec<Found<'i>> {
        listed.iter().filter_map(|issue| self.found_in(issue)).collect()
    }

    /// Everybody may write marks into an issue of a public repository, but not set labels.
    fn is_trusted(&self, issue: &ListedIssue) -> bool {
        !self.settings.may_be_public || issue.labels().any(|label| label.eq_ignore_ascii_case(LABEL))
    }

    fn found_in<'i>(&self, issue: &'i ListedIssue) -> Option<Found<'i>> {
        if issue.is_pull_request() || !self.is_trusted(issue) {
            return None;
        }
        let section = Section::find(issue.body(), &self.settings.key)?;
        Some(Found {
            number: issue.number,
            is_open: issue.is_open(),
            labels: issue.labels().collect(),
            description: issue.body(),
            section,
        })
    }

    async fn create(&self) -> Result<(), NotKept> {
        let title = self.texts.title();
        let body = self.texts.description(Section::empty(), &self.attention.announcement());
        let mut repetitions = self.issues.repetitions();
        let number = loop {
            let error = match self.issues.create(&title, &body, LABEL).await {
                Ok(number) => break number,
                Err(error) => error,
            };
            let wait = if error.may_have_been_applied() { repetitions.next_wait(None) } else { None };
            let Some(wait) = wait else { return Err(error.into()) };
            tokio::time::sleep(wait).await;
            // The reply was lost, and the issue may be there.
            if let Some(issue) = self.find(IssueState::Open).await?.first() {
                break issue.number;
            }
        };
        let repository = &self.settings.repository;
        tracing::info!("opened issue {number} in {repository}");
        // Another run may have created one at the same time.
        let listed = self.find(IssueState::Open).await?;
        self.close_duplicates(&self.found(&listed)).await
    }

    async fn update(&self, issue: &Found<'_>, comment: bool) -> Result<(), NotKept> {
        let announced = issue.section.announced;
        let commented = match comment {
            true => {
                let text = self.texts.change(announced, !issue.is_open);
                self.issues.comment(issue.number, &text).await
            }
            false => Ok(()),
        };
        // Without its comment a change counts as not announced, so the next run tries again.
        let now = self.attention.announcement();
        let announced = if commented.is_ok() { &now } else { announced };
        let body = self.texts.description(issue.section, announced);
        let lacks_label = issue.labels.iter().all(|label| !label.eq_ignore_ascii_case(LABEL));
        let labels = || issue.labels.iter().chain([&LABEL]).map(|label| (*label).to_owned()).collect();
        let change = IssueChange {
            body: (body != issue.description).then_some(body),
            state: (!issue.is_open).then_some(NewState::Open),
            labels: lacks_label.then(labels),
        };
        if !change.is_empty() {
            self.issues.change(issue.number, &change).await?;
        }
        Ok(commented?)
    }

    async fn close(&self, issue: &Found<'_>) -> Result<(), NotKept> {
        let commented = self.issues.comment(issue.number, &self.texts.recovery()).await;
        let body = self.texts.description(issue.section, &self.attention.announcement());
        self.change(issue, body, NewState::Completed).await?;
        let repository = &self.settings.repository;
        tracing::info!("closed issue {} in {repository}", issue.number);
        Ok(commented?)
    }

    /// Closes all but the first of several open issues. Without marks they are not found
    /// again, nor opened again.
    async fn close_duplicates(&self, found: &[Found<'_>]) -> Result<(), NotKept> {
        let Some((kept, others)) = duplicates(found) else { return Ok(()) };
        for issue in others {
            let body = issue.section.removed(&Texts::duplicate(kept));
            self.change(issue, body, NewState::NotPlanned).await?;
        }
        Ok(())
    }

    async fn change(&self, issue: &Found<'_>, body: String, state: NewState) -> Result<(), Error> {
        let change = IssueChange { body: Some(body), state: Some(state), labels: None };
        self.issues.change(issue.number, &change).await
    }
}
