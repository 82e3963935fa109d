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
pub(crate) use load::tests::read as read_for_tests;
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

/// One token, its policy and its destinations. What a field means that has a key of the file
/// is said there, in [`mod@file`].
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    /// Its name in the file, or `--name`, or what `--token` says.
    pub name: String,
    /// The repository that rotates.
    pub repository: Repository,
    /// Of `repository` and `name`; markers carry it.
    pub key: RotationKey,
    pub formerly: Vec<RotationKey>,
    pub provider: ProviderSettings,
    pub token: String,
    pub trusted: Option<String>,
    pub policy: Policy,
    /// `None`: a missing token is an error.
    pub create: Option<Map<String, Value>>,
    pub verify: Option<String>,
    pub secrets: Vec<ConfiguredSecret>,
    /// More secrets, in all repositories that GitHub finds for a pattern.
    pub patterns: Vec<SecretPattern>,
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
    pub lifetime: Period,
    pub overlap: Period,
    pub rotate_before: Period,
    /// `None`: see [`Policy::delete_disabled_after`], and what expired stays.
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
    pub destination: Destination,
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
    pub store: Store,
    /// Upper case, as GitHub keeps it.
    pub name: String,
    /// Of each repository.
    pub environment: Option<String>,
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
        let all: Vec<String> = self.include.iter().chain(&self.exclude).map(ToString::to_string).collect();
        f.write_str(&all.join(", "))
    }
}

/// Which repositories may read an organization secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visibility {
    All,
    /// Internal ones too.
    Private,
    /// A list of repositories, kept by GitHub.
    Selected,
}
