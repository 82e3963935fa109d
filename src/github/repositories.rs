//! Lists repositories, to expand patterns.

use http::Method;
use secrecy::SecretString;
use serde::Deserialize;

use super::api::Api;
use super::auth::Auth;
use super::error::{Refusal, SignedWith, Subject};
use super::evidence::{Condition, Record};
use super::{Error, ErrorKind, GitHub, paths};
use crate::config::{Repository, SecretPattern};
use crate::http::HttpError;

/// Repositories a page. Their descriptions are long, and a page must stay under
/// the limit for a body.
const PAGE: usize = 50;
/// More pages than an organization of 100 000 repositories has.
const MOST_PAGES: usize = 2000;

/// A repository, as far as it matters here. octocrab's type wants all of its
/// description to be there.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ListedRepository {
    pub(super) id: u64,
    pub(super) full_name: String,
    #[serde(flatten)]
    record: Record,
}

/// A page is a bare list, or one with a count beside it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Page {
    Bare(Vec<ListedRepository>),
    Counted { repositories: Vec<ListedRepository> },
}

/// The repositories that a pattern stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expansion {
    /// In the order of their names.
    pub repositories: Vec<Repository>,
    /// How many fit too, and were left out because nothing in them can be written.
    pub archived: usize,
}

impl GitHub {
    /// Asks which repositories fit a pattern; each owner is asked once in a run.
    ///
    /// # Errors
    /// When an owner's repositories cannot be listed completely.
    pub async fn expand(&self, pattern: &SecretPattern) -> Result<Expansion, Error> {
        let mut owners: Vec<&str> = pattern.include.iter().map(|pattern| pattern.owner.as_str()).collect();
        owners.sort_unstable_by_key(|owner| owner.to_ascii_lowercase());
        owners.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
        let mut expansion = Expansion { repositories: Vec::new(), archived: 0 };
        for owner in owners {
            let fetch = || self.fetch_repositories(owner);
            let listed = self.repositories.get(&owner.to_ascii_lowercase(), fetch).await?;
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
        expansion.repositories.sort_unstable();
        expansion.repositories.dedup();
        Ok(expansion)
    }

    async fn fetch_repositories(&self, owner: &str) -> Result<std::sync::Arc<Vec<ListedRepository>>, Error> {
        let signed_with = self.auth.signed_with();
        let token = match &*self.auth {
            Auth::Token(token) => token.clone(),
            Auth::App(app) => app.metadata_token(owner).await?,
        };
        let listed = if self.auth.is_installation() {
            of_installation(&self.api, &token, owner, signed_with).await?
        } else {
            let pages = async |path: &str| pages(&self.api, &token, path, owner, signed_with).await;
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
            match Condition::of(found.record) {
                Condition::NotKnown => {}
                known => self.conditions.put(&found.full_name.to_ascii_lowercase(), known),
            }
        }
        Ok(std::sync::Arc::new(listed))
    }
}

/// Every repository that an installation covers.
pub(super) async fn of_installation(
    api: &Api,
    token: &SecretString,
    owner: &str,
    signed_with: SignedWith,
) -> Result<Vec<ListedRepository>, Error> {
    pages(api, token, paths::INSTALLATION_REPOSITORIES, owner, signed_with).await
}

/// All pages of a list of an owner's repositories.
async fn pages(
    api: &Api,
    token: &SecretString,
    path: &str,
    owner: &str,
    signed_with: SignedWith,
) -> Result<Vec<ListedRepository>, Error> {
    let subject = Subject::Repositories(owner);
    let failed = |error: HttpError| Error::of_http(&subject, &error);
    let mut listed = Vec::new();
    for number in 1..=MOST_PAGES {
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{separator}per_page={PAGE}&page={number}");
        let call = api.call(Method::GET, &path).and_then(|call| call.bearer(token)).map_err(failed)?;
        let reply = api.send(call).await.map_err(failed)?;
        if !reply.status.is_success() {
            return Err(Error::refused(&subject, &Refusal::of(&reply, signed_with)));
        }
        let (Page::Bare(page) | Page::Counted { repositories: page }) = reply.json().map_err(failed)?;
        let is_last = page.len() < PAGE;
        listed.extend(page);
        if is_last {
            return Ok(listed);
        }
    }
    Err(Error::new(ErrorKind::Unreadable, format!("{subject}: the list does not end")))
}
