//! Lists secrets: which exist, when they were last written, and who may read those of an
//! organization.
//!
//! One list serves all secrets of a scope. It also proves that the scope can be
//! read: after it, "not found" means that the secret alone is missing.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::try_join_all;
use jiff::Timestamp;
use octocrab::models::orgs::secrets as org;
use octocrab::models::repos::secrets as repo;
use tokio::sync::OnceCell;

use super::auth::Auth;
use super::client::Client;
use super::error::{Error, ErrorKind, Subject};
use super::{cache::Cache, paths};
use crate::config::{Destination, Scope, Visibility};

/// GitHub's longest page.
const PAGE: usize = 100;
/// More pages than any scope can fill: 1000 secrets are GitHub's limit for an
/// organization.
const MOST_PAGES: usize = 100;

/// One secret as GitHub lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedSecret {
    name: String,
    pub(super) updated_at: Timestamp,
    /// Only organization secrets have one.
    pub(super) visibility: Option<Visibility>,
}

/// The secrets of a scope, as far as they were needed.
pub(super) struct Listing {
    first: HashMap<String, ListedSecret>,
    pages: usize,
    /// How many of the expected secrets the first page does not show.
    beyond: usize,
    rest: OnceCell<Result<HashMap<String, ListedSecret>, Error>>,
    /// How many secrets beyond the first page were read by name.
    by_name: AtomicUsize,
}

/// Reads secrets, each scope's list once.
pub(super) struct Secrets {
    client: Arc<Client<Auth>>,
    /// The names that will be read, by scope.
    expected: Mutex<HashMap<String, HashSet<String>>>,
    listings: Cache<Arc<Listing>>,
}

impl Secrets {
    pub(super) fn new(client: &Arc<Client<Auth>>) -> Self {
        Self { client: Arc::clone(client), expected: Mutex::default(), listings: Cache::new() }
    }

    /// Announces what will be read.
    pub(super) fn expect<'a>(&self, destinations: impl IntoIterator<Item = &'a Destination>) {
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        for Destination { store, scope, name } in destinations {
            expected.entry(paths::scope_key(*store, scope)).or_default().insert(name.to_ascii_uppercase());
        }
    }

    /// How many of a scope's expected secrets are not among these.
    fn beyond(&self, scope_key: &str, first: &HashMap<String, ListedSecret>) -> usize {
        let expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(names) = expected.get(scope_key) else { return 0 };
        names.iter().filter(|name| !first.contains_key(*name)).count()
    }

    /// One secret; `None`: the scope exists, and has no such secret.
    pub(super) async fn find(&self, destination: &Destination) -> Result<Option<ListedSecret>, Error> {
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
            return self.by_name(destination).await;
        }
        let rest =
            listing.rest.get_or_init(|| Box::pin(self.further_pages(destination, listing.pages))).await;
        match rest.as_ref().map_err(Clone::clone)?.get(&name) {
            Some(found) => Ok(Some(found.clone())),
            // Pages shift when a secret comes or goes between two of them.
            None => self.by_name(destination).await,
        }
    }

    /// The names of all secrets of a scope.
    pub(super) async fn names(&self, of: &Destination) -> Result<Vec<String>, Error> {
        let listing = self.first_page(of).await?;
        let rest = match listing.pages {
            1 => HashMap::new(),
            pages => Box::pin(self.further_pages(of, pages)).await?,
        };
        Ok(listing.first.keys().chain(rest.keys()).cloned().collect())
    }

    async fn first_page(&self, of: &Destination) -> Result<Arc<Listing>, Error> {
        let (total, first) = self.page(of, 1).await?;
        let complete = first.len() < PAGE || total <= first.len();
        let pages = if complete { 1 } else { total.div_ceil(PAGE).min(MOST_PAGES) };
        let first = by_upper_name(first);
        Ok(Arc::new(Listing {
            beyond: self.beyond(&paths::scope_key(of.store, &of.scope), &first),
            first,
            pages,
            rest: OnceCell::new(),
            by_name: AtomicUsize::new(0),
        }))
    }

    async fn further_pages(
        &self,
        of: &Destination,
        pages: usize,
    ) -> Result<HashMap<String, ListedSecret>, Error> {
        let pages = try_join_all((2..=pages).map(|number| self.page(of, number))).await?;
        Ok(by_upper_name(pages.into_iter().flat_map(|(_, secrets)| secrets)))
    }

    /// One page, and how many secrets there are on all of them.
    async fn page(&self, of: &Destination, number: usize) -> Result<(usize, Vec<ListedSecret>), Error> {
        let path = format!("{}?per_page={PAGE}&page={number}", paths::secrets(of.store, &of.scope));
        let subject = Subject::Secrets(self.client.purpose(of));
        let (total, secrets): (i32, Result<Vec<ListedSecret>, Error>) = match of.scope {
            Scope::Organization(_) => {
                let page: org::OrganizationSecrets = self.client.get(&subject, &path).await?;
                (page.total_count, page.secrets.into_iter().map(ListedSecret::try_from).collect())
            }
            Scope::Repository(_) | Scope::Environment { .. } => {
                let page: repo::RepositorySecrets = self.client.get(&subject, &path).await?;
                (page.total_count, page.secrets.into_iter().map(ListedSecret::try_from).collect())
            }
        };
        let total = usize::try_from(total).map_err(|_| Error::unreadable(&subject))?;
        Ok((total, secrets?))
    }

    /// One secret of a scope that is known to be readable.
    async fn by_name(&self, destination: &Destination) -> Result<Option<ListedSecret>, Error> {
        let path = paths::secret(destination);
        let subject = Subject::Secrets(self.client.purpose(destination));
        let found = match destination.scope {
            Scope::Organization(_) => self
                .client
                .get::<org::OrganizationSecret>(&subject, &path)
                .await
                .and_then(ListedSecret::try_from),
            Scope::Repository(_) | Scope::Environment { .. } => self
                .client
                .get::<repo::RepositorySecret>(&subject, &path)
                .await
                .and_then(ListedSecret::try_from),
        };
        match found {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }
}

impl TryFrom<repo::RepositorySecret> for ListedSecret {
    type Error = Error;

    fn try_from(secret: repo::RepositorySecret) -> Result<Self, Error> {
        let updated_at =
            timestamp(secret.updated_at.timestamp(), secret.updated_at.timestamp_subsec_nanos())?;
        Ok(Self { name: secret.name, updated_at, visibility: None })
    }
}

impl TryFrom<org::OrganizationSecret> for ListedSecret {
    type Error = Error;

    fn try_from(secret: org::OrganizationSecret) -> Result<Self, Error> {
        let updated_at =
            timestamp(secret.updated_at.timestamp(), secret.updated_at.timestamp_subsec_nanos())?;
        let visibility = match secret.visibility {
            org::Visibility::All => Visibility::All,
            org::Visibility::Private => Visibility::Private,
            org::Visibility::Selected => Visibility::Selected,
        };
        Ok(Self { name: secret.name, updated_at, visibility: Some(visibility) })
    }
}

/// octocrab's dates are chrono's, the program's are jiff's.
fn timestamp(seconds: i64, nanoseconds: u32) -> Result<Timestamp, Error> {
    i32::try_from(nanoseconds)
        .ok()
        .and_then(|nanoseconds| Timestamp::new(seconds, nanoseconds).ok())
        .ok_or_else(|| Error::new(ErrorKind::Unreadable, "", "GitHub sent a date beyond the year 9999"))
}

/// Names of secrets are the same in any case; GitHub keeps them in upper case.
fn by_upper_name(secrets: impl IntoIterator<Item = ListedSecret>) -> HashMap<String, ListedSecret> {
    secrets.into_iter().map(|secret| (secret.name.to_ascii_uppercase(), secret)).collect()
}
