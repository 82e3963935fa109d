//! One GitHub secret: store × scope × name, and its short form.
//!
//! The paths of the REST API that belong to a destination live in
//! [`crate::github`].

/// Which of GitHub's secret stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Store {
    /// GitHub Actions; the default.
    #[default]
    Actions,
    /// Dependabot.
    Dependabot,
    /// Codespaces.
    Codespaces,
    /// The Copilot agent.
    Agents,
}

/// `owner/name`. Compared without case, as GitHub does; printed as written.
#[derive(Debug, Clone)]
pub struct Repository {
    /// The user or organization.
    pub owner: String,
    /// The repository's name.
    pub name: String,
}

impl PartialEq for Repository {
    fn eq(&self, other: &Self) -> bool {
        self.owner.eq_ignore_ascii_case(&other.owner) && self.name.eq_ignore_ascii_case(&other.name)
    }
}

impl Eq for Repository {}

/// Where a secret lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// A repository.
    Repository(Repository),
    /// A deployment environment of a repository (Actions only).
    Environment {
        /// The repository.
        repository: Repository,
        /// The environment's name; may hold spaces and slashes.
        environment: String,
    },
    /// An organization.
    Organization(String),
}

/// One GitHub secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Which store.
    pub store: Store,
    /// Which repository, environment or organization.
    pub scope: Scope,
    /// The secret's name, upper case as GitHub keeps it.
    pub name: String,
}
