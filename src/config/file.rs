//! The keys of the configuration file: what may stand where, and its JSON Schema.
//!
//! Each group of keys is written down once, by `keys!`; the reader and the
//! schema both come from there, so they cannot disagree. A value that is refused
//! is noted and reading goes on, so that all problems are reported at once. How
//! values combine is decided in [`mod@super::load`] and [`super::validate`].

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value as Json};
use url::Url;

use super::providers::{self, ProviderName};
use super::scalar::{Creation, Read, SignedPattern};
use super::secrets::SecretEntry;
use super::yaml::{self, Node, Value};
use super::{DEFAULT_CREDENTIAL, Period, Policy, Repository, RotationKey, Store, Visibility};
use crate::diagnostic::{Invalid, Origin, Problems, nearest, one_of, quoted};
use crate::provider::file::ProviderKeys;
use crate::provider::file::keys::Named;
use crate::redact::looks_like_a_secret;

/// A value that was given, and where.
#[derive(Debug, Clone)]
pub(crate) struct Field<T> {
    pub(crate) origin: Origin,
    /// `None`: it was refused, and that has been noted.
    pub(crate) value: Option<T>,
}

/// A list whose items have their own origins.
pub(crate) type List<T> = Vec<Field<T>>;

/// The value of a key that was given and could be read.
pub(crate) fn given<T>(field: &Option<Field<T>>) -> Option<&T> {
    field.as_ref().and_then(|field| field.value.as_ref())
}

impl<T: Read> Field<T> {
    pub(crate) fn read(node: &Node, problems: &mut Problems) -> Self {
        Self { origin: node.origin, value: T::read(node, problems) }
    }
}

impl<T: JsonSchema> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

/// A group of keys: a struct of optional fields, its reader and its schema.
macro_rules! keys {
    (
        $(#[doc = $doc:literal])*
        $name:ident, required $required:tt {
            $($(#[doc = $key_doc:literal])* $key:ident: $type:ty,)*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Default)]
        pub(crate) struct $name {
            $($(#[doc = $key_doc])* pub(crate) $key: Option<Field<$type>>,)*
        }

        impl $name {
            /// Every key, as it is written.
            pub(crate) const KEYS: &[&str] = &[$(stringify!($key)),*];

            fn read_only(known: &[&'static str], node: &Node, problems: &mut Problems) -> Option<Self> {
                let mut keys = Self::default();
                for (key, value) in entries(node, known, problems)? {
                    match key {
                        $(stringify!($key) => keys.$key = Some(Field::read(value, problems)),)*
                        _ => {}
                    }
                }
                Some(keys)
            }

            fn properties(generator: &mut SchemaGenerator) -> Map<String, serde_json::Value> {
                let mut properties = Map::new();
                $(properties.insert(
                    stringify!($key).to_owned(),
                    described::<$type>(generator, concat!($($key_doc),*)),
                );)*
                properties
            }

            /// These keys; `other` fills in the missing ones.
            #[allow(dead_code, reason = "only some groups have defaults")]
            pub(super) fn or(self, other: Self) -> Self {
                Self { $($key: self.$key.or(other.$key),)* }
            }
        }

        impl Read for $name {
            fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
                Self::read_only(Self::KEYS, node, problems)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).trim_end_matches("Keys").into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let properties = Self::properties(generator);
                json_schema!({
                    "type": "object",
                    "description": concat!($($doc),*).trim(),
                    "properties": properties,
                    "required": $required,
                    "additionalProperties": false,
                })
            }
        }
    };
}

pub(crate) use keys;

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
        formerly: FormerKeys,
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

impl JsonSchema for Defaults {
    fn schema_name() -> Cow<'static, str> {
        "Defaults".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut properties = RotationKeys::properties(generator);
        properties.retain(|key, _| DEFAULTS.contains(&key.as_str()));
        json_schema!({
            "type": "object",
            "description": "What every rotation does unless it says otherwise.",
            "properties": properties,
            "required": [],
            "additionalProperties": false,
        })
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
        repositories: List<SignedPattern>,
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

/// The earlier keys of a rotation; one may stand without a list.
#[derive(Debug, Clone)]
pub(crate) struct FormerKeys(pub(crate) List<RotationKey>);

impl Read for FormerKeys {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Scalar { .. } => Some(Self(vec![Field::read(node, problems)])),
            _ => List::read(node, problems).map(Self),
        }
    }
}

impl JsonSchema for FormerKeys {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "FormerKeys".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (one, many) =
            (generator.subschema_for::<RotationKey>(), generator.subschema_for::<List<RotationKey>>());
        json_schema!({ "anyOf": [one, many] })
    }
}

impl<T: Read> Read for List<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        if let Value::List(items) = &node.value {
            return Some(items.iter().map(|item| Field::read(item, problems)).collect());
        }
        let invalid = Invalid::new(format!("expected a list, found {}", node.kind()));
        problems.error(node.origin, invalid.help("begin each item with a dash: `- item`"));
        None
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
            refuse_secrets(&root, problems);
            let keys = FileKeys::read(&root, problems).unwrap_or_default();
            let rotations = given(&keys.rotations).into_iter().flatten().filter_map(|one| one.value.as_ref());
            let defaults = given(&keys.defaults).map(|defaults| &defaults.0);
            for field in defaults.into_iter().chain(rotations).filter_map(|one| one.provider.as_ref()) {
                providers::check_name(field, given(&keys.providers), problems);
            }
            keys
        }
        Err((origin, invalid)) => {
            problems.error(origin, invalid);
            FileKeys::default()
        }
    }
}

/// Refuses a secret at every key: one in the file must be replaced,
/// and the values of most keys are sent to a service.
fn refuse_secrets(node: &Node, problems: &mut Problems) {
    match &node.value {
        Value::Null => {}
        Value::Scalar { text, .. } => {
            if looks_like_a_secret(text) {
                problems.secret(node.origin, secret_in_file());
            }
        }
        Value::List(items) => items.iter().for_each(|item| refuse_secrets(item, problems)),
        Value::Map(entries) => entries.iter().for_each(|(key, value)| {
            refuse_secrets(key, problems);
            refuse_secrets(value, problems);
        }),
    }
}

/// The problem of a secret where a name belongs.
pub(super) fn secret_in_file() -> Invalid {
    Invalid::new("this looks like a secret itself, where a name, an id or a setting belongs").help(
        "a secret belongs in an environment variable, and `credential` names that variable; replace a secret that was written down",
    )
}

/// The published schema of the file, pretty-printed.
#[must_use]
pub fn schema_text() -> String {
    let mut schema = schemars::schema_for!(FileKeys);
    schema.insert("title".to_owned(), "crossfade.yml".into());
    for group in ["Defaults", "Rotation", "SecretMapping"] {
        let properties = schema.pointer_mut(&format!("/$defs/{group}/properties"));
        for (key, property) in properties.and_then(Json::as_object_mut).into_iter().flatten() {
            if let (Some(default), Some(Json::String(text))) =
                (default_of(key), property.get_mut("description"))
            {
                text.push_str(&format!(" Default: {default}."));
            }
        }
    }
    format!("{:#}\n", schema.as_value())
}

/// The mapping's entries with a known key and a value; the others are noted.
pub(crate) fn entries<'a>(
    node: &'a Node,
    known: &[&'static str],
    problems: &mut Problems,
) -> Option<Vec<(&'static str, &'a Node)>> {
    let Value::Map(map) = &node.value else {
        let invalid = Invalid::new(format!("expected a mapping, found {}", node.kind()));
        problems.error(node.origin, invalid.help(format!("its keys: {}", one_of(known.iter().copied()))));
        return None;
    };
    let mut found: Vec<(&'static str, &Node)> = Vec::new();
    let mut origins: Vec<(&'static str, Origin)> = Vec::new();
    for (key, value) in map {
        let Value::Scalar { text, .. } = &key.value else {
            problems.error(key.origin, Invalid::new("expected a word as the key"));
            continue;
        };
        let Some(name) = known.iter().copied().find(|k| k == text) else {
            // The nearest name costs time, and is not shown any more.
            let is_shown = !problems.is_full();
            problems.error(
                key.origin,
                if is_shown { unknown_key(text, known) } else { Invalid::new("unknown key") },
            );
            continue;
        };
        if let Some((_, Origin::File(first))) = origins.iter().find(|(k, _)| *k == name) {
            let invalid = Invalid::new(format!("`{name}` is given twice"));
            problems.error(key.origin, invalid.help(format!("it stands on line {} already", first.line)));
            continue;
        }
        origins.push((name, key.origin));
        // `key:` with nothing behind it is a key that was not given.
        if !matches!(value.value, Value::Null) {
            found.push((name, value));
        }
    }
    Some(found)
}

fn unknown_key(key: &str, known: &[&'static str]) -> Invalid {
    let unknown = Invalid::new(format!("unknown key {}", quoted(key)));
    let all = one_of(known.iter().copied());
    unknown.help(match nearest(key, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`? Allowed: {all}"),
        None if key == "<<" => {
            "merge keys are not read; what rotations share belongs under `defaults`".to_owned()
        }
        None => format!("allowed: {all}"),
    })
}

/// The schema of a key's value, with what the key is for.
pub(crate) fn described<T: JsonSchema>(generator: &mut SchemaGenerator, description: &str) -> Json {
    let mut schema = generator.subschema_for::<T>();
    schema.insert("description".to_owned(), description.trim().into());
    schema.to_value()
}

#[cfg(test)]
mod tests;
