//! Fetches what a write needs: the key of the scope, who may read an organization
//! secret, and the environment.

use http::Method;
use octocrab::models::PublicKey;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::Purpose;
use super::octocrab_service::Rules;
use super::{Error, ErrorKind, GitHub, Mode, paths};
use crate::config::{ConfiguredSecret, Destination, Repository, Scope, Visibility};

/// Repositories per page: their descriptions are long, and a page must stay below the
/// limit for a body.
const PAGE: usize = 50;
/// More pages than an organization of 100 000 repositories has.
const MOST_PAGES: usize = 2000;

/// Who may read an organization secret. Sent with every write, because a write replaces
/// it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Readers {
    pub(super) visibility: Visibility,
    /// The repositories' ids; of visibility *selected* alone.
    pub(super) selected: Option<Vec<u64>>,
}

/// A page of the repositories that may read a secret. octocrab's type requires every
/// field of a repository, and its ids are too short.
#[derive(Deserialize)]
struct SelectedPage {
    total_count: usize,
    repositories: Vec<SelectedRepository>,
}

#[derive(Deserialize)]
struct SelectedRepository {
    id: u64,
}

impl GitHub {
    /// The public key of a destination's scope. Creates the environment if the
    /// configuration asks for that; `None`: it could be created, but this run changes
    /// nothing.
    pub(super) async fn key(&self, target: &ConfiguredSecret) -> Result<Option<PublicKey>, Error> {
        let Destination { store, scope, .. } = &target.destination;
        self.keys.get(&super::scope_key(*store, scope), || self.fetch_key(target)).await
    }

    async fn fetch_key(&self, target: &ConfiguredSecret) -> Result<Option<PublicKey>, Error> {
        let Destination { store, scope, .. } = &target.destination;
        let purpose = self.purpose(*store, scope);
        let path = paths::public_key(*store, scope);
        match (self.read(&purpose, &path).await, scope) {
            (Err(error), Scope::Environment { repository, environment })
                if error.kind == ErrorKind::NotFound && target.create_environment =>
            {
                self.must_lack_environment(&purpose, repository, environment, error).await?;
                if self.mode != Mode::Apply {
                    let repository = paths::repository(repository);
                    return self.read::<Value>(&purpose, &repository).await.map(|_| None);
                }
                self.create_environment(&purpose, repository, environment).await?;
                self.read(&purpose, &path).await.map(Some)
            }
            (key, _) => key.map(Some),
        }
    }

    /// Creating an environment that exists would reset its rules.
    async fn must_lack_environment(
        &self,
        purpose: &Purpose<'_>,
        repository: &Repository,
        environment: &str,
        unreadable: Error,
    ) -> Result<(), Error> {
        match self.read::<Value>(purpose, &paths::environment(repository, environment)).await {
            Ok(_) => Err(unreadable),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn create_environment(
        &self,
        purpose: &Purpose<'_>,
        repository: &Repository,
        environment: &str,
    ) -> Result<(), Error> {
        let path = paths::environment(repository, environment);
        let purpose = Purpose { creates_environment: true, ..*purpose };
        self.request(&purpose, Method::PUT, &path, Some(&json!({})), Rules::default())
            .await?
            .success(&purpose)
    }

    /// Who may read an organization secret; `None` for other scopes.
    pub(super) async fn readers(&self, target: &ConfiguredSecret) -> Result<Option<Readers>, Error> {
        let destination = &target.destination;
        if !matches!(destination.scope, Scope::Organization(_)) {
            return Ok(None);
        }
        let key = paths::secret(destination).to_ascii_lowercase();
        self.readers.get(&key, || self.fetch_readers(target)).await.map(Some)
    }

    async fn fetch_readers(&self, target: &ConfiguredSecret) -> Result<Readers, Error> {
        let destination = &target.destination;
        let purpose = self.purpose(destination.store, &destination.scope);
        let Some(existing) = self.find(destination).await? else {
            let visibility = target.visibility.ok_or_else(|| {
                let name = &destination.name;
                let message = format!(
                    "{purpose}: {name} does not exist yet; to have it made, say with `visibility` who may read it"
                );
                Error::new(ErrorKind::Invalid, message)
            })?;
            let selected = (visibility == Visibility::Selected).then(Vec::new);
            return Ok(Readers { visibility, selected });
        };
        let visibility = existing.visibility.ok_or_else(|| Error::unreadable(&purpose))?;
        let selected = match visibility {
            Visibility::Selected => Some(self.selected(&purpose, destination).await?),
            Visibility::All | Visibility::Private => None,
        };
        Ok(Readers { visibility, selected })
    }

    /// Every selected repository. A list that changes while it is read is read once
    /// more, because writing back an incomplete one would revoke access.
    async fn selected(&self, purpose: &Purpose<'_>, destination: &Destination) -> Result<Vec<u64>, Error> {
        for _ in 0..2 {
            if let Some(complete) = self.selected_once(purpose, destination).await? {
                return Ok(complete);
            }
        }
        let name = &destination.name;
        let message = format!(
            "{purpose}: the repositories that may read {name} cannot be read completely, and a write would replace them"
        );
        Err(Error::new(ErrorKind::Unreadable, message))
    }

    async fn selected_once(
        &self,
        purpose: &Purpose<'_>,
        destination: &Destination,
    ) -> Result<Option<Vec<u64>>, Error> {
        let path = paths::selected_repositories(destination);
        let mut ids = Vec::new();
        for number in 1..=MOST_PAGES {
            let page: SelectedPage =
                self.read(purpose, &format!("{path}?per_page={PAGE}&page={number}")).await?;
            let last = page.repositories.len() < PAGE;
            ids.extend(page.repositories.into_iter().map(|repository| repository.id));
            if last || ids.len() >= page.total_count {
                let listed = ids.len();
                ids.sort_unstable();
                ids.dedup();
                return Ok((ids.len() == listed && listed == page.total_count).then_some(ids));
            }
        }
        Ok(None)
    }
}
