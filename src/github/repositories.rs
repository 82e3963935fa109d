//! Lists repositories, to expand patterns.

use std::sync::Arc;

use serde::Deserialize;

use super::auth::Auth;
use super::cache::Cache;
use super::client::Client;
use super::error::{Error, ErrorKind, Subject};
use super::paths;
use crate::config::{Repository, SecretPattern};

/// A repository, as far as it matters here. octocrab's type wants all of its
/// description to be there.
#[derive(Debug, Clone, Deserialize)]
struct ListedRepository {
    full_name: String,
    #[serde(flatten)]
    record: Record,
}

/// What a repository's own record says about writes, who sees it, and its branch.
#[derive(Debug, Clone, Deserialize)]
struct Record {
    archived: Option<bool>,
    disabled: Option<bool>,
    private: Option<bool>,
    default_branch: Option<String>,
}

/// Whether a repository takes writes at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Open,
    Archived,
    Disabled,
    NotKnown,
}

impl From<&Record> for Condition {
    fn from(record: &Record) -> Self {
        match (record.archived, record.disabled) {
            (Some(true), _) => Self::Archived,
            (_, Some(true)) => Self::Disabled,
            (Some(false), _) => Self::Open,
            (None, _) => Self::NotKnown,
        }
    }
}

/// The repositories that a pattern stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expansion {
    /// In the order of their names.
    pub repositories: Vec<Repository>,
    /// How many fit too, and were left out because nothing in them can be written.
    pub archived: usize,
}

/// Lists the repositories of each owner once.
pub(super) struct Repositories {
    client: Arc<Client<Auth>>,
    lists: Cache<Arc<Vec<ListedRepository>>>,
    records: Cache<Record>,
}

impl Repositories {
    pub(super) fn new(client: &Arc<Client<Auth>>) -> Self {
        Self { client: Arc::clone(client), lists: Cache::new(), records: Cache::new() }
    }

    /// Whether a repository takes writes: from a list that was read already, or from one
    /// request.
    pub(super) async fn condition(&self, subject: &Subject<'_>, repository: &Repository) -> Condition {
        self.record(subject, repository).await.map_or(Condition::NotKnown, |record| Condition::from(&record))
    }

    /// See [`super::GitHub::is_public`].
    pub(super) async fn is_public(&self, repository: &Repository) -> Option<bool> {
        let record = self.record(&Subject::Repositories(&repository.owner), repository).await.ok()?;
        record.private.map(|private| !private)
    }

    /// The branch that a repository shows first.
    pub(super) async fn default_branch(
        &self,
        subject: &Subject<'_>,
        repository: &Repository,
    ) -> Result<String, Error> {
        let record = self.record(subject, repository).await?;
        record.default_branch.ok_or_else(|| Error::unreadable(subject))
    }

    async fn record(&self, subject: &Subject<'_>, repository: &Repository) -> Result<Record, Error> {
        let key = repository.to_string().to_ascii_lowercase();
        let path = paths::repository(repository);
        self.records.get(&key, || self.client.get(subject, &path)).await
    }

    /// See [`super::GitHub::expand`].
    pub(super) async fn expand(&self, pattern: &SecretPattern) -> Result<Expansion, Error> {
        let mut owners: Vec<&str> = pattern.include.iter().map(|pattern| pattern.owner.as_str()).collect();
        owners.sort_unstable_by_key(|owner| owner.to_ascii_lowercase());
        owners.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
        let mut expansion = Expansion { repositories: Vec::new(), archived: 0 };
        for owner in owners {
            let fetch = || self.fetch(owner);
            let listed = self.lists.get(&owner.to_ascii_lowercase(), fetch).await?;
            for found in listed.iter() {
                // Skip names that GitHub would not allow: they must not become part of a
                // path.
                let Ok(repository) = found.full_name.parse::<Repository>() else { continue };
                match (pattern.takes(&repository), found.record.archived == Some(true)) {
                    (false, _) => {}
                    (true, true) => expansion.archived += 1,
                    (true, false) => expansion.repositories.push(repository),
                }
            }
        }
        expansion.repositories.sort_by_cached_key(Repository::folded);
        expansion.repositories.dedup();
        Ok(expansion)
    }

    async fn fetch(&self, owner: &str) -> Result<Arc<Vec<ListedRepository>>, Error> {
        let subject = Subject::Repositories(owner);
        let pages = async |path: &str| {
            let pages = self.client.pages::<ListedRepository>(&subject, path).await;
            pages.map(|(listed, _)| listed)
        };
        let listed = if self.client.credentials.is_installation() {
            pages(paths::INSTALLATION_REPOSITORIES).await?
        } else {
            match pages(&paths::repositories_of_organization(owner)).await {
                Err(error) if error.kind == ErrorKind::NotFound => {
                    // A user. The public list leaves private repositories out, the
                    // token's own list those of others.
                    let public = pages(&paths::repositories_of_user(owner)).await?;
                    let own = pages(paths::OWN_REPOSITORIES).await?;
                    public.into_iter().chain(own).collect()
                }
                listed => listed?,
            }
        };
        for found in &listed {
            if Condition::from(&found.record) != Condition::NotKnown {
                self.records.put(&found.full_name.to_ascii_lowercase(), found.record.clone());
            }
        }
        Ok(Arc::new(listed))
    }
}
