//! Keeps one issue open while something fails or would expire (`--report-issue`).
//!
//! The issue is found by hidden marks in its description (`marks`), never by its title.
//! `attention` says what a report complains about, `decision` what to do with the issues
//! that were found, `text` what stands in them. Here are the requests.

mod attention;
mod decision;
mod marks;
mod text;

use crate::config::Repository;
use crate::github::{BearerToken, Error, ErrorKind, IssueChange, IssueState, Issues, ListedIssue};
use crate::report::RedactedReport;
use attention::Attention;
use decision::{Decision, Found, decide, duplicates};
use marks::Section;
pub(crate) use marks::key;
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
    pub(crate) token: BearerToken,
    /// The repository may be public: `--public-issue`.
    pub(crate) may_be_public: bool,
    pub(crate) key: String,
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
    let error = Keeper { issues, texts }.keep().await.err()?;
    Some(warning(settings, &format!("{}. {}", error.cause, next_step(&error))))
}

/// The warning of a run that was stopped before that.
pub(crate) fn stopped(settings: &IssueSettings) -> String {
    warning(settings, "the run was stopped. The next run tries again.")
}

fn warning(settings: &IssueSettings, why: &str) -> String {
    let repository = &settings.repository;
    format!("the issue in {repository} is not up to date, which changes no exit code: {why}")
}

struct Keeper<'a> {
    issues: &'a Issues,
    texts: Texts<'a>,
}

impl Keeper<'_> {
    async fn keep(&self) -> Result<(), Error> {
        let Texts { settings, attention, .. } = self.texts;
        let is_well = attention.is_empty();
        // A closed issue matters only if it would be opened again.
        let state = if is_well { IssueState::Open } else { IssueState::Any };
        let listed = self.find(state).await?;
        let found = self.found(&listed);
        let decision = decide(is_well, &attention.announcement(), &found);
        if decision == Decision::Nothing {
            return Ok(());
        }
        if !settings.may_be_public && self.issues.is_public().await? {
            let cause = "the repository is public, and the issue would name your repositories and secrets";
            return Err(Error::new(ErrorKind::Invalid, "", cause).with_remedy(
                "Name a private repository with `--report-issue owner/repo`, or allow it with `--public-issue`.",
            ));
        }
        match decision {
            Decision::Nothing => {}
            Decision::Create => return self.create().await,
            Decision::Update { found, comment } => self.update(found, comment).await?,
            Decision::Close(found) => self.close(found).await?,
        }
        self.close_duplicates(&found).await
    }

    /// The issues with the marks of this key. The label may be missing: GitHub leaves it out
    /// where the credential may not set labels, and users can remove it. So the issues that
    /// were changed last are read first, which are all in most repositories; the label finds
    /// an older one.
    async fn find(&self, state: IssueState) -> Result<Vec<ListedIssue>, Error> {
        let mut found = self.issues.list(state, None, 1).await?;
        let has_more = found.len() >= Issues::PAGE;
        found.retain(|issue| self.found_in(issue).is_some());
        if !has_more || found.iter().any(ListedIssue::is_open) {
            return Ok(found);
        }
        for page in 1..=MOST_PAGES {
            let labelled = self.issues.list(state, Some(LABEL), page).await?;
            let is_last = labelled.len() < Issues::PAGE;
            found.extend(labelled.into_iter().filter(|issue| self.found_in(issue).is_some()));
            if is_last {
                break;
            }
        }
        found.sort_by_key(|issue| issue.number);
        found.dedup_by_key(|issue| issue.number);
        Ok(found)
    }

    fn found<'i>(&self, listed: &'i [ListedIssue]) -> Vec<Found<'i>> {
        listed.iter().filter_map(|issue| self.found_in(issue)).collect()
    }

    fn found_in<'i>(&self, issue: &'i ListedIssue) -> Option<Found<'i>> {
        let settings = self.texts.settings;
        // Everybody may write marks into an issue of a public repository, but not set labels.
        let is_trusted = !settings.may_be_public || has_label(issue);
        if issue.pull_request.is_some() || !is_trusted {
            return None;
        }
        Some(Found { issue, section: Section::find(issue.body(), &settings.key)? })
    }

    async fn create(&self) -> Result<(), Error> {
        let title = self.texts.title();
        let body = self.texts.description(Section::empty(), &self.texts.attention.announcement());
        let mut repetitions = self.issues.repetitions();
        let number = loop {
            let error = match self.issues.create(&title, &body, LABEL).await {
                Ok(number) => break number,
                Err(error) => error,
            };
            let wait = if error.may_have_been_applied() { repetitions.next_wait(None) } else { None };
            let Some(wait) = wait else { return Err(error) };
            tokio::time::sleep(wait).await;
            // The reply was lost, and the issue may be there.
            if let Some(issue) = self.find(IssueState::Open).await?.first() {
                break issue.number;
            }
        };
        tracing::info!("opened issue {number} in {}", self.texts.settings.repository);
        // Another run may have created one at the same time.
        let listed = self.find(IssueState::Open).await?;
        self.close_duplicates(&self.found(&listed)).await
    }

    async fn update(&self, Found { issue, section }: &Found<'_>, comment: bool) -> Result<(), Error> {
        let commented = match comment {
            true => {
                let text = self.texts.change(section.announced, !issue.is_open());
                self.issues.comment(issue.number, &text).await
            }
            false => Ok(()),
        };
        // Without its comment a change counts as not announced, so the next run tries again.
        let now = self.texts.attention.announcement();
        let announced = if commented.is_ok() { &now } else { section.announced };
        let body = self.texts.description(*section, announced);
        let labels = || issue.labels().chain([LABEL]).map(str::to_owned).collect();
        let change = IssueChange {
            body: (body != issue.body()).then_some(body),
            state: (!issue.is_open()).then_some("open"),
            state_reason: None,
            labels: (!has_label(issue)).then(labels),
        };
        if change != IssueChange::default() {
            self.issues.change(issue.number, &change).await?;
        }
        commented
    }

    async fn close(&self, Found { issue, section }: &Found<'_>) -> Result<(), Error> {
        let commented = self.issues.comment(issue.number, &self.texts.recovery()).await;
        let body = self.texts.description(*section, &self.texts.attention.announcement());
        let change = IssueChange { body: Some(body), state: Some("closed"), ..IssueChange::default() };
        self.issues.change(issue.number, &change).await?;
        tracing::info!("closed issue {} in {}", issue.number, self.texts.settings.repository);
        commented
    }

    /// Closes all but the first of several open issues. Without marks they are not found
    /// again, nor opened again.
    async fn close_duplicates(&self, found: &[Found<'_>]) -> Result<(), Error> {
        let Some((kept, others)) = duplicates(found) else { return Ok(()) };
        for Found { issue, section } in others {
            let change = IssueChange {
                body: Some(section.removed(&Texts::duplicate(kept))),
                state: Some("closed"),
                state_reason: Some("not_planned"),
                labels: None,
            };
            self.issues.change(issue.number, &change).await?;
        }
        Ok(())
    }
}

fn has_label(issue: &ListedIssue) -> bool {
    issue.labels().any(|label| label.eq_ignore_ascii_case(LABEL))
}
