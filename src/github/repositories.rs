//! Repositories: lists them to expand patterns, and reads their records.

use std::sync::Arc;

use serde::Deserialize;

use super::error::{ErrorKind, Result, Subject};
use super::{GitHub, paths};
use crate::config::{Repository, SecretPattern};

/// A repository, as far as it matters here. octocrab's type wants all of its
/// description to be there.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ListedRepository {
    full_name: String,
    #[serde(flatten)]
    record: Record,
}

/// What a repository's own record says about writes, who sees it, and its branch.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Record {
    pub(super) archived: Option<bool>,
    pub(super) disabled: Option<bool>,
    private: Option<bool>,
    pub(super) default_branch: Option<String>,
}

/// The repositories that a pattern stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expansion {
    /// In the order of their names.
    pub repositories: Vec<Repository>,
    /// How many fit too, and were left out because nothing in them can be written.
    pub archived: usize,
}

impl GitHub {
    /// Whether everybody can see a repository; `None`: unknown.
    pub(crate) async fn is_public(&self, repository: &Repository) -> Option<bool> {
        let record = self.repository(&Subject::Repositories(&repository.owner), repository).await.ok()?;
        record.private.map(|private| !private)
    }

    /// A repository's record: from a list that was read already, or from one request.
    pub(super) async fn repository(&self, subject: &Subject<'_>, repository: &Repository) -> Result<Record> {
        let key = repository.to_string().to_ascii_lowercase();
        let path = paths::repository(repository);
        self.repositories.get(&key, || self.client.get(subject, &path)).await
    }

    /// The repositories that a pattern stands for; each owner is asked once in a run.
    ///
    /// # Errors
    /// When an owner's repositories cannot be listed completely.
    pub(crate) async fn expand(&self, pattern: &SecretPattern) -> Result<Expansion> {
        let mut owners: Vec<&str> = pattern.include.iter().map(|pattern| pattern.owner.as_str()).collect();
        owners.sort_unstable_by_key(|owner| owner.to_ascii_lowercase());
        owners.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
        let mut expansion = Expansion { repositories: Vec::new(), archived: 0 };
        for owner in owners {
            let list = || self.list_repositories(owner);
            let listed = self.repositories_of_owners.get(&owner.to_ascii_lowercase(), list).await?;
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

    async fn list_repositories(&self, owner: &str) -> Result<Arc<Vec<ListedRepository>>> {
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
        for found in listed.iter().filter(|found| found.record.archived.is_some()) {
            self.repositories.put(&found.full_name.to_ascii_lowercase(), found.record.clone());
        }
        Ok(Arc::new(listed))
    }
}
