//! Fetches what a write needs: the key of the scope, who may read an organization
//! secret, and the environment.

use std::sync::Arc;

use http::Method;
use octocrab::models::PublicKey;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Auth;
use super::cache::Cache;
use super::client::Client;
use super::error::{Error, ErrorKind, Purpose, Subject};
use super::secrets::Secrets;
use super::{paths, settings::Mode};
use crate::config::{ConfiguredSecret, Destination, Repository, Scope, Visibility};

/// Who may read an organization secret. Sent with every write, because a write replaces
/// it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Readers {
    pub(super) visibility: Visibility,
    /// The repositories' ids; of visibility *selected* alone.
    pub(super) selected: Option<Vec<u64>>,
}

/// A repository that may read a secret. octocrab's type requires every field of a
/// repository, and its ids are too short.
#[derive(Deserialize)]
struct SelectedRepository {
    id: u64,
}

/// Fetches keys, and who may read secrets; each once.
pub(super) struct Preflight {
    client: Arc<Client<Auth>>,
    secrets: Arc<Secrets>,
    mode: Mode,
    keys: Cache<Option<PublicKey>>,
    readers: Cache<Readers>,
}

impl Preflight {
    pub(super) fn new(client: &Arc<Client<Auth>>, secrets: &Arc<Secrets>, mode: Mode) -> Self {
        let (client, secrets) = (Arc::clone(client), Arc::clone(secrets));
        Self { client, secrets, mode, keys: Cache::new(), readers: Cache::new() }
    }

    /// The public key of a destination's scope. Creates the environment if the
    /// configuration asks for that; `None`: it could be created, but this run changes
    /// nothing.
    pub(super) async fn key(&self, target: &ConfiguredSecret) -> Result<Option<PublicKey>, Error> {
        let Destination { store, scope, .. } = &target.destination;
        self.keys.get(&paths::scope_key(*store, scope), || self.fetch_key(target)).await
    }

    /// Drops a key that GitHub no longer accepts.
    pub(super) fn forget_key(&self, target: &ConfiguredSecret, key: &PublicKey) {
        let Destination { store, scope, .. } = &target.destination;
        self.keys.forget(&paths::scope_key(*store, scope), |known| known.as_ref() == Some(key));
    }

    async fn fetch_key(&self, target: &ConfiguredSecret) -> Result<Option<PublicKey>, Error> {
        let Destination { store, scope, .. } = &target.destination;
        let purpose = self.client.purpose(&target.destination);
        let subject = Subject::Secrets(purpose);
        let path = paths::public_key(*store, scope);
        match (self.client.get(&subject, &path).await, scope) {
            (Err(error), Scope::Environment { repository, environment })
                if error.kind == ErrorKind::NotFound && target.create_environment =>
            {
                self.must_lack_environment(&subject, repository, environment, error).await?;
                if self.mode != Mode::Apply {
                    let repository = paths::repository(repository);
                    return self.client.get::<Value>(&subject, &repository).await.map(|_| None);
                }
                self.create_environment(purpose, repository, environment).await?;
                self.client.get(&subject, &path).await.map(Some)
            }
            (key, _) => key.map(Some),
        }
    }

    /// Creating an environment that exists would reset its rules.
    async fn must_lack_environment(
        &self,
        subject: &Subject<'_>,
        repository: &Repository,
        environment: &str,
        unreadable: Error,
    ) -> Result<(), Error> {
        match self.client.get::<Value>(subject, &paths::environment(repository, environment)).await {
            Ok(_) => Err(unreadable),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn create_environment(
        &self,
        purpose: Purpose<'_>,
        repository: &Repository,
        environment: &str,
    ) -> Result<(), Error> {
        let subject = Subject::Environment(purpose);
        let call = self.client.call(Method::PUT, &paths::environment(repository, environment));
        let reply = self.client.send(&subject, call.json(&json!({}))).await?;
        self.client.success(&subject, &reply)
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
        let subject = Subject::Secrets(self.client.purpose(destination));
        let Some(existing) = self.secrets.find(destination).await? else {
            let visibility = target.visibility.ok_or_else(|| {
                let name = &destination.name;
                Error::new(ErrorKind::Invalid, subject, format!("{name} does not exist yet"))
                    .with_remedy("To have crossfade create it, set `visibility`: who may read it.")
            })?;
            let selected = (visibility == Visibility::Selected).then(Vec::new);
            return Ok(Readers { visibility, selected });
        };
        let visibility = existing.visibility.ok_or_else(|| Error::unreadable(&subject))?;
        let selected = match visibility {
            Visibility::Selected => Some(self.selected(&subject, destination).await?),
            Visibility::All | Visibility::Private => None,
        };
        Ok(Readers { visibility, selected })
    }

    /// Every selected repository. A list that changes while it is read is read once
    /// more, because writing back an incomplete one would revoke access.
    async fn selected(&self, subject: &Subject<'_>, destination: &Destination) -> Result<Vec<u64>, Error> {
        for _ in 0..2 {
            if let Some(complete) = self.selected_once(subject, destination).await? {
                return Ok(complete);
            }
        }
        let name = &destination.name;
        let cause = format!(
            "the list of repositories that may read {name} is not complete, and a write would replace the list"
        );
        Err(Error::new(ErrorKind::Unreadable, subject, cause))
    }

    async fn selected_once(
        &self,
        subject: &Subject<'_>,
        destination: &Destination,
    ) -> Result<Option<Vec<u64>>, Error> {
        let path = paths::selected_repositories(destination);
        let (listed, total) = self.client.pages::<SelectedRepository>(subject, &path).await?;
        let mut ids: Vec<u64> = listed.into_iter().map(|repository| repository.id).collect();
        let listed = ids.len();
        ids.sort_unstable();
        ids.dedup();
        Ok((ids.len() == listed && total == Some(listed)).then_some(ids))
    }
}
