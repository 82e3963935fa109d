//! The configuration: checked rotations.
//!
//! The file and the flags both become a [`Config`]: complete, with a possible policy,
//! legal names and distinct destinations. [`crate::rotation`] decides what to do with
//! it.

pub(crate) mod address;
pub(crate) mod destination;
pub(crate) mod file;
mod key;
mod load;
pub(crate) mod pattern;
pub(crate) mod providers;
mod reach;
pub(crate) mod scalar;
mod secrets;
pub(crate) mod selection;
pub(crate) mod summary;
mod validate;
mod workflows;

use std::fmt;

use serde_json::{Map, Value};

pub(crate) use destination::{Destination, Repository, Scope, Store};
pub use file::SCHEMA;
pub(crate) use file::{RotationKeys, default_of};
pub(crate) use key::{RotationKey, base32};
#[cfg(test)]
pub(crate) use load::read_for_tests;
pub(crate) use load::{Request, load, token_name};
pub(crate) use pattern::RepositoryPattern;
pub(crate) use providers::{ProviderName, value_of as variable_value};
pub(crate) use reach::{Held, github_apart, values as check_values};
pub(crate) use secrets::SecretEntry;
pub(crate) use selection::Selection;
pub(crate) use validate::rotation_name;
pub(crate) use workflows::Workflow;

use crate::period::Period;
use crate::provider::ProviderSettings;

/// The variable that holds the provider credential unless a rotation names another.
pub(crate) const DEFAULT_CREDENTIAL: &str = "CROSSFADE_PROVIDER_TOKEN";

/// Every rotation that a run is about, checked.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The selected ones, in the order in which the user wrote them.
    pub rotations: Vec<Rotation>,
    /// The file's other rotations: a run leaves them alone, and their secrets too.
    pub unselected: Vec<Rotation>,
}

/// One token, its policy and its destinations.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    /// Its name in the file, or `--name`, or what `--token` says.
    pub name: String,
    /// The repository that rotates.
    pub repository: Repository,
    /// The key that markers carry: the repository that rotates, and the name.
    pub key: RotationKey,
    /// Keys that this rotation had before it was renamed or moved.
    pub formerly: Vec<RotationKey>,
    /// Which service issues the token, and how to reach it.
    pub provider: ProviderSettings,
    /// Name or id of the token to keep fresh, at the provider.
    pub token: String,
    /// Id of the token whose privileges are the right ones, where live tokens of
    /// this rotation differ.
    pub trusted: Option<String>,
    /// When to rotate and how long both tokens are valid.
    pub policy: Policy,
    /// What to create when the token is missing, in the provider's own terms,
    /// without name and expiry. `None`: a missing token is an error.
    pub create: Option<Map<String, Value>>,
    /// A path on the provider's own origin that the new token must be able to GET.
    pub verify: Option<String>,
    /// Every secret that holds the token.
    pub secrets: Vec<ConfiguredSecret>,
    /// More secrets, in all repositories that GitHub finds for a pattern.
    pub patterns: Vec<SecretPattern>,
    /// The workflows to start once every secret holds a new token.
    pub after: Vec<Workflow>,
}

impl Rotation {
    /// Whether markers with this key are this rotation's: by its own key, or by one
    /// that it had before.
    pub(crate) fn has_key(&self, key: &RotationKey) -> bool {
        self.key == *key || self.formerly.contains(key)
    }
}

/// When to rotate, and how long both tokens are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Lifetime of a new token.
    pub lifetime: Period,
    /// How long the previous token stays valid after the mint.
    pub overlap: Period,
    /// How long before its end a token is replaced.
    pub rotate_before: Period,
    /// How long a token that was disabled, or that expired, is kept before it is
    /// deleted; `None`: see [`Policy::delete_disabled_after`], and what expired stays.
    pub delete_after: Option<Period>,
}

impl Policy {
    /// How long a disabled token is kept before it is deleted.
    pub(crate) fn delete_disabled_after(&self) -> Period {
        self.delete_after.unwrap_or(Period::from_days(7))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            lifetime: Period::from_days(90),
            overlap: Period::from_days(7),
            rotate_before: Period::from_days(14),
            delete_after: None,
        }
    }
}

/// A destination, and what may be created on the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfiguredSecret {
    /// The secret.
    pub destination: Destination,
    /// Create the environment if it does not exist.
    pub create_environment: bool,
    /// Who may read an organization secret that this run creates.
    pub visibility: Option<Visibility>,
}

/// A secret of the same name in every matching repository; GitHub is asked which those
/// are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretPattern {
    /// Repositories that fit any of these are taken in; never empty.
    pub include: Vec<RepositoryPattern>,
    /// And of them, those that fit any of these are left out.
    pub exclude: Vec<RepositoryPattern>,
    /// Which store.
    pub store: Store,
    /// The secret's name, upper case as GitHub keeps it.
    pub name: String,
    /// The environment, of each repository, that the secret belongs to.
    pub environment: Option<String>,
    /// Create the environment where it does not exist.
    pub create_environment: bool,
}

impl SecretPattern {
    /// Whether the secret belongs into this repository.
    pub(crate) fn takes(&self, repository: &Repository) -> bool {
        let fits = |patterns: &[RepositoryPattern]| patterns.iter().any(|p| p.matches(repository));
        fits(&self.include) && !fits(&self.exclude)
    }
}

impl fmt::Display for SecretPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let out = self.exclude.iter().map(|pattern| format!("!{pattern}"));
        let all: Vec<String> = self.include.iter().map(ToString::to_string).chain(out).collect();
        f.write_str(&all.join(", "))
    }
}

/// Which repositories may read an organization secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visibility {
    /// Every repository of the organization.
    All,
    /// Its private and internal repositories.
    Private,
    /// A list of repositories, kept by GitHub.
    Selected,
}
