//! The keys of the configuration file: what may stand where.
//!
//! How values combine is decided in [`mod@super::load`] and [`super::validate`].

use url::Url;

use super::providers::ProviderName;
use super::scalar::Creation;
use super::secrets::SecretEntry;
use super::workflows::Workflow;
use super::{DEFAULT_CREDENTIAL, Policy, Repository, RepositoryPattern, RotationKey, Store, Visibility};
use crate::diagnostic::{Invalid, Problems};
use crate::period::Period;
use crate::provider::file::ProviderKeys;
use crate::redact::{TokenShape, holds_one, looks_like_a_secret, own_shapes};
use crate::yaml::keys::{Field, List, Named, OneOrMore, Read, keys};
use crate::yaml::{self, Node, Value};

keys! {
    /// The configuration of crossfade.
    FileKeys, required ["rotations"] {
        /// What every rotation does unless it says otherwise.
        defaults: Defaults,
        /// Services of your own, by name: see docs/providers.md.
        providers: Named<ProviderKeys>,
        /// The tokens to keep fresh.
        rotations: List<RotationKeys>,
    }
}

keys! {
    /// One token, its policy and the secrets that hold it.
    RotationKeys, required ["name", "token", "secrets"] {
        /// The rotation's name; part of what marks its tokens, so keep it.
        name: String,
        /// The service that issues the token.
        provider: ProviderName,
        /// The service's origin, with or without the API's path, where it is not the public one.
        provider_url: Url,
        /// The environment variable that holds the provider credential.
        credential: String,
        /// The Axiom organization, for personal tokens.
        org_id: String,
        /// What the provider's variables are set to. Of a secret one: the environment variable that holds it.
        with: Named<String>,
        /// Name or id of the token to keep fresh.
        token: String,
        /// Earlier keys of this rotation, owner/repo/rotation, from before it was renamed or moved.
        formerly: OneOrMore<RotationKey>,
        /// Id of the token whose privileges are the right ones, where live tokens of this rotation differ.
        trusted: String,
        /// Lifetime of a new token.
        lifetime: Period,
        /// How long the previous token stays valid after the mint.
        overlap: Period,
        /// How long before its expiry a token is replaced.
        rotate_before: Period,
        /// How long a disabled or expired token is kept before it is deleted.
        delete_after: Period,
        /// What to create when the token is missing, in the provider's own terms, without name and expiry.
        create: Creation,
        /// A path on the provider's own origin that the new token must be able to GET.
        verify: String,
        /// Every GitHub secret that holds the token.
        secrets: List<SecretEntry>,
        /// Workflows to start once every secret holds a new token.
        after: List<Workflow>,
    }
}

/// The default of a key, as the schema and the help texts show it.
pub(crate) fn default_of(key: &str) -> Option<String> {
    let policy = Policy::default();
    Some(match key {
        "credential" => DEFAULT_CREDENTIAL.to_owned(),
        "lifetime" => policy.lifetime.to_string(),
        "overlap" => policy.overlap.to_string(),
        "rotate_before" => policy.rotate_before.to_string(),
        "delete_after" => {
            format!("{} for disabled tokens; expired tokens are kept", policy.delete_disabled_after())
        }
        "repository" => "the repository that rotates".to_owned(),
        "ref" => "the repository's default branch".to_owned(),
        "store" => Store::default().to_string(),
        _ => return None,
    })
}

/// The keys of a rotation that the defaults may set.
const DEFAULTS: &[&str] = &[
    "provider",
    "provider_url",
    "credential",
    "org_id",
    "with",
    "lifetime",
    "overlap",
    "rotate_before",
    "delete_after",
];

/// Keys for the rotations that do not set them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Defaults(pub(crate) RotationKeys);

impl Read for Defaults {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        RotationKeys::read_only(DEFAULTS, node, problems).map(Self)
    }
}

keys! {
    /// A GitHub secret, or with `repositories` one in each of them.
    SecretMappingKeys, required ["name"] {
        /// The secret's name.
        name: String,
        /// The repository, owner/name.
        repository: Repository,
        /// Patterns of repositories, like acme/* or !acme/legacy-*.
        repositories: List<RepositoryPattern>,
        /// A deployment environment of the repository.
        environment: String,
        /// Create the environment if it does not exist.
        create_environment: bool,
        /// The organization whose secret it is.
        organization: String,
        /// Who may read an organization secret that is created.
        visibility: Visibility,
        /// The store that keeps the secret.
        store: Store,
    }
}

keys! {
    /// A workflow to start.
    WorkflowKeys, required ["workflow"] {
        /// The repository of the workflow, owner/name.
        repository: Repository,
        /// The workflow's file in .github/workflows, or its numeric id.
        workflow: String,
        /// The branch or tag to start it on.
        git_ref as "ref": String,
    }
}

/// Reads a file's text; problems of its keys and of single values are noted.
pub(super) fn read(text: &str, problems: &mut Problems) -> FileKeys {
    match yaml::parse(text) {
        Ok(Node { value: Value::Null, origin, .. }) => {
            let invalid = Invalid::new("the configuration file is empty").help("it needs `rotations:`");
            problems.error(origin, invalid);
            FileKeys::default()
        }
        Ok(root) => {
            refuse_secrets(&root, &own_shapes(text), problems);
            FileKeys::read(&root, problems).unwrap_or_default()
        }
        Err((origin, invalid)) => {
            problems.error(origin, invalid);
            FileKeys::default()
        }
    }
}

/// Refuses a secret at every key: one in the file must be replaced,
/// and the values of most keys are sent to a service.
fn refuse_secrets(node: &Node, own: &[TokenShape], problems: &mut Problems) {
    match &node.value {
        Value::Null => {}
        Value::Scalar { text, .. } => {
            if looks_like_a_secret(text) || holds_one(own, text) {
                problems.secret(node.origin, secret_in_file());
            }
        }
        Value::List(items) => items.iter().for_each(|item| refuse_secrets(item, own, problems)),
        Value::Map(entries) => entries.iter().for_each(|(key, value)| {
            refuse_secrets(key, own, problems);
            refuse_secrets(value, own, problems);
        }),
    }
}

/// The problem of a secret where a name belongs.
pub(super) fn secret_in_file() -> Invalid {
    Invalid::new("this looks like a secret itself, where a name, an id or a setting belongs").help(
        "a secret belongs in an environment variable, and `credential` names that variable; replace a secret that was written down",
    )
}

/// The published JSON Schema of the file. A test writes it, so that the binary does without what makes it.
pub const SCHEMA: &str = include_str!("../../docs/crossfade.schema.json");

#[cfg(test)]
mod tests;
