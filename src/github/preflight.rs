//! Fetches what a write needs: the key of the scope, who may read an organization
//! secret, and the environment.

use futures_util::future::join3;
use http::Method;
use octocrab::models::PublicKey;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{Error, ErrorKind, Result, Subject};
use super::{Evidence, GitHub, Mode, paths, seal};
use crate::config::{ConfiguredSecret, Destination, Scope, Visibility};

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

impl GitHub {
    /// Fetches what a write will need, and finds out whether it would be accepted. With
    /// [`Mode::Apply`], creates a missing environment if the configuration asks for
    /// that: the only change that this makes.
    ///
    /// # Errors
    /// When the secret could not be written either.
    pub(crate) async fn preflight(&self, target: &ConfiguredSecret) -> Result<Evidence> {
        let (key, readers, evidence) =
            join3(self.public_key(target), self.readers(target), self.evidence(target)).await;
        readers?;
        let key = key?;
        if let Some(key) = &key {
            seal::key(&key.key).map_err(|error| {
                let subject = Subject::Secrets(&target.destination);
                Error::new(ErrorKind::Unreadable, subject, error.to_string())
            })?;
        }
        Ok(Evidence { lacks_environment: key.is_none(), ..evidence? })
    }

    /// The public key of a destination's scope. Creates the environment if the
    /// configuration asks for that; `None`: it could be created, but this run changes
    /// nothing.
    pub(super) async fn public_key(&self, target: &ConfiguredSecret) -> Result<Option<PublicKey>> {
        let Destination { store, scope, .. } = &target.destination;
        self.public_keys.get(&paths::scope_key(*store, scope), || self.fetch_key(target)).await
    }

    /// Drops a key that GitHub no longer accepts.
    pub(super) fn forget_key(&self, target: &ConfiguredSecret, key: &PublicKey) {
        let Destination { store, scope, .. } = &target.destination;
        self.public_keys.forget(&paths::scope_key(*store, scope), |known| known.as_ref() == Some(key));
    }

    async fn fetch_key(&self, target: &ConfiguredSecret) -> Result<Option<PublicKey>> {
        let Destination { store, scope, .. } = &target.destination;
        let subject = Subject::Secrets(&target.destination);
        let path = paths::public_key(*store, scope);
        match (self.client.get(&subject, &path).await, scope) {
            (Err(error), Scope::Environment { repository, environment })
                if error.kind == ErrorKind::NotFound && target.create_environment =>
            {
                let at = paths::environment(repository, environment);
                // Creating an environment that exists would reset its rules.
                match self.client.get::<Value>(&subject, &at).await {
                    Ok(_) => return Err(error),
                    Err(error) if error.kind == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
                if self.mode != Mode::Apply {
                    let repository = paths::repository(repository);
                    return self.client.get::<Value>(&subject, &repository).await.map(|_| None);
                }
                let creation = self.client.call(Method::PUT, &at).json(&json!({}));
                self.client.perform(&Subject::Environment(&target.destination), creation).await?;
                self.client.get(&subject, &path).await.map(Some)
            }
            (key, _) => key.map(Some),
        }
    }

    /// Who may read an organization secret; `None` for other scopes.
    pub(super) async fn readers(&self, target: &ConfiguredSecret) -> Result<Option<Readers>> {
        let destination = &target.destination;
        if !matches!(destination.scope, Scope::Organization(_)) {
            return Ok(None);
        }
        let key = paths::secret(destination).to_ascii_lowercase();
        self.readers.get(&key, || self.fetch_readers(target)).await.map(Some)
    }

    async fn fetch_readers(&self, target: &ConfiguredSecret) -> Result<Readers> {
        let destination = &target.destination;
        let subject = Subject::Secrets(destination);
        let Some(existing) = self.find_secret(destination).await? else {
            let visibility = target.visibility.ok_or_else(|| {
                let name = &destination.name;
                Error::new(ErrorKind::Invalid, subject, format!("{name} does not exist yet"))
                    .with_remedy("To have crossfade create it, set `visibility`: who may read it.")
            })?;
            let selected = (visibility == Visibility::Selected).then(Vec::new);
            return Ok(Readers { visibility, selected });
        };
        let visibility = existing.visibility.and_then(|visibility| Visibility::parse(&visibility).ok());
        let visibility = visibility.ok_or_else(|| Error::unreadable(&subject))?;
        let selected = match visibility {
            Visibility::Selected => Some(self.selected(&subject, destination).await?),
            Visibility::All | Visibility::Private => None,
        };
        Ok(Readers { visibility, selected })
    }

    /// Every selected repository. A list that changes while it is read is read once
    /// more, because writing back an incomplete one would revoke access.
    async fn selected(&self, subject: &Subject<'_>, destination: &Destination) -> Result<Vec<u64>> {
        let path = paths::selected_repositories(destination);
        for _ in 0..2 {
            let (listed, total) = self.client.pages::<SelectedRepository>(subject, &path).await?;
            let listed_count = listed.len();
            let mut ids: Vec<u64> = listed.into_iter().map(|repository| repository.id).collect();
            ids.sort_unstable();
            ids.dedup();
            if ids.len() == listed_count && total == Some(listed_count) {
                return Ok(ids);
            }
        }
        let name = &destination.name;
        let cause = format!(
            "the list of repositories that may read {name} is not complete, and a write would replace the list"
        );
        Err(Error::new(ErrorKind::Unreadable, subject, cause))
    }
}
