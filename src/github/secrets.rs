//! Lists secrets: which exist, when they were last written, and who may read those of an
//! organization.
//!
//! One list serves all secrets of a scope. It also proves that the scope can be
//! read: after it, "not found" means that the secret alone is missing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use futures_util::future::{join_all, try_join_all};
use jiff::Timestamp;
use octocrab::models::repos::secrets::RepositorySecret;
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::auth::Need;
use super::error::{Error, ErrorKind, Result, Subject};
use super::{GitHub, paths};
use crate::config::{ConfiguredSecret, Destination, Repository, Scope, Store};

/// GitHub's longest page.
const PAGE: usize = 100;
/// More pages than any scope can fill: 1000 secrets are GitHub's limit for an
/// organization.
const MOST_PAGES: usize = 100;

/// One secret as GitHub lists it, in any scope. octocrab's dates are chrono's, which
/// [`Self::updated_at`] turns into jiff's.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ListedSecret {
    #[serde(flatten)]
    secret: RepositorySecret,
    /// Only organization secrets have one.
    pub(super) visibility: Option<String>,
}

/// A page of secrets, and how many there are on all pages.
#[derive(Deserialize)]
struct Page {
    total_count: usize,
    secrets: Vec<ListedSecret>,
}

/// The secrets of a scope, as far as they were needed.
pub(super) struct Listing {
    first: HashMap<String, ListedSecret>,
    pages: usize,
    /// How many of the expected secrets the first page does not show.
    beyond: usize,
    rest: OnceCell<Result<HashMap<String, ListedSecret>>>,
    /// How many secrets beyond the first page were read by name.
    by_name: AtomicUsize,
}

impl ListedSecret {
    fn updated_at(&self) -> Result<Timestamp> {
        let updated_at = self.secret.updated_at;
        i32::try_from(updated_at.timestamp_subsec_nanos())
            .ok()
            .and_then(|nanoseconds| Timestamp::new(updated_at.timestamp(), nanoseconds).ok())
            .ok_or_else(|| Error::new(ErrorKind::Unreadable, "", "GitHub sent a date beyond the year 9999"))
    }
}

impl GitHub {
    /// When each secret was last written, in order; `None`: its scope has no such secret, or
    /// its environment is still to be created. Secrets of one scope share a list, in this
    /// call and in later ones.
    pub(crate) async fn observe(&self, targets: &[ConfiguredSecret]) -> Vec<Result<Option<Timestamp>>> {
        join_all(targets.iter().map(|target| self.observe_one(target))).await
    }

    async fn observe_one(&self, target: &ConfiguredSecret) -> Result<Option<Timestamp>> {
        let found = match self.client.credentials.has_permissions_for(Need::Secret(target)).await {
            Ok(_) => self.find_secret(&target.destination).await,
            Err(error) => Err(error),
        };
        self.progress.looked();
        match found {
            Err(error) if error.kind == ErrorKind::NotFound && target.create_environment => Ok(None),
            found => found?.map(|secret| secret.updated_at()).transpose(),
        }
    }

    /// Announces what will be read.
    pub(super) fn expect_secrets(&self, targets: &[&ConfiguredSecret]) {
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        for target in targets {
            let Destination { store, scope, name } = &target.destination;
            expected.entry(paths::scope_key(*store, scope)).or_default().insert(name.to_ascii_uppercase());
        }
    }

    /// One secret; `None`: the scope exists, and has no such secret.
    pub(super) async fn find_secret(&self, destination: &Destination) -> Result<Option<ListedSecret>> {
        let Destination { store, scope, name } = destination;
        let scope_key = paths::scope_key(*store, scope);
        let listing = self.listings.get(&scope_key, || self.first_page(destination)).await?;
        let name = name.to_ascii_uppercase();
        if let Some(found) = listing.first.get(&name) {
            return Ok(Some(found.clone()));
        }
        let further_pages = listing.pages - 1;
        if further_pages == 0 {
            return Ok(None);
        }
        // By name where that costs no more calls than all other pages would.
        let by_name = || listing.by_name.fetch_add(1, Ordering::Relaxed) < further_pages;
        if listing.beyond <= further_pages && by_name() {
            return self.secret_by_name(destination).await;
        }
        let rest =
            listing.rest.get_or_init(|| Box::pin(self.further_pages(destination, listing.pages))).await;
        match rest.as_ref().map_err(Clone::clone)?.get(&name) {
            Some(found) => Ok(Some(found.clone())),
            // Pages shift when a secret comes or goes between two of them.
            None => self.secret_by_name(destination).await,
        }
    }

    /// The names of a repository's Actions secrets.
    pub(crate) async fn secret_names(&self, repository: &Repository) -> Result<Vec<String>> {
        let scope = Scope::Repository(repository.clone());
        let destination = Destination { store: Store::Actions, scope, name: String::new() };
        let any = ConfiguredSecret { destination, create_environment: false, visibility: None };
        self.expect([&any], []);
        self.client.credentials.has_permissions_for(Need::Secret(&any)).await?;
        let listing = self.first_page(&any.destination).await?;
        let rest = Box::pin(self.further_pages(&any.destination, listing.pages)).await?;
        Ok(listing.first.keys().chain(rest.keys()).cloned().collect())
    }

    async fn first_page(&self, of: &Destination) -> Result<Arc<Listing>> {
        let Page { total_count, secrets } = self.page(of, 1).await?;
        let complete = secrets.len() < PAGE || total_count <= secrets.len();
        let pages = if complete { 1 } else { total_count.div_ceil(PAGE).min(MOST_PAGES) };
        let first = by_upper_name(secrets);
        let expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        let names = expected.get(&paths::scope_key(of.store, &of.scope)).into_iter().flatten();
        Ok(Arc::new(Listing {
            beyond: names.filter(|name| !first.contains_key(*name)).count(),
            first,
            pages,
            rest: OnceCell::new(),
            by_name: AtomicUsize::new(0),
        }))
    }

    async fn further_pages(&self, of: &Destination, pages: usize) -> Result<HashMap<String, ListedSecret>> {
        let pages = try_join_all((2..=pages).map(|number| self.page(of, number))).await?;
        Ok(by_upper_name(pages.into_iter().flat_map(|page| page.secrets)))
    }

    async fn page(&self, of: &Destination, number: usize) -> Result<Page> {
        let path = format!("{}?per_page={PAGE}&page={number}", paths::secrets(of.store, &of.scope));
        self.client.get(&Subject::Secrets(of), &path).await
    }

    /// One secret of a scope that is known to be readable.
    async fn secret_by_name(&self, destination: &Destination) -> Result<Option<ListedSecret>> {
        let subject = Subject::Secrets(destination);
        match self.client.get(&subject, &paths::secret(destination)).await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }
}

/// Names of secrets are the same in any case; GitHub keeps them in upper case.
fn by_upper_name(secrets: impl IntoIterator<Item = ListedSecret>) -> HashMap<String, ListedSecret> {
    secrets.into_iter().map(|listed| (listed.secret.name.to_ascii_uppercase(), listed)).collect()
}
