//! The keys of the configuration file: what may stand where, and its JSON Schema.
//!
//! Each group of keys is written down once, by `keys!`; the reader and the
//! schema both come from there, so they cannot disagree. A value that is refused
//! is noted and the reading goes on: every problem is told at once. What values
//! mean together is decided in [`super::validate`].

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value as Json};
use std::borrow::Cow;
use url::Url;

use super::scalar::Read;
use super::yaml::{self, Node, Value};
use super::{Period, Repository, Store, Visibility};
use crate::diagnostic::{Invalid, Origin, Problems, nearest, one_of, quoted};
use crate::provider::Kind;
use crate::redact::looks_like_a_secret;

/// A value that was given, and where.
#[derive(Debug, Clone)]
pub(crate) struct Field<T> {
    /// Where it was written.
    pub(crate) origin: Origin,
    /// `None`: it was refused, and that has been noted.
    pub(crate) value: Option<T>,
}

/// What a key was given, if it was and could be read.
pub(crate) fn given<T>(field: &Option<Field<T>>) -> Option<&T> {
    field.as_ref().and_then(|field| field.value.as_ref())
}

/// A list in which every item knows its place.
pub(crate) type List<T> = Vec<Field<T>>;

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
        }

        impl Read for $name {
            fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
                let mut keys = Self::default();
                for (key, value) in entries(node, Self::KEYS, problems)? {
                    match key {
                        $(stringify!($key) => keys.$key = Some(Field::read(value, problems)),)*
                        _ => {}
                    }
                }
                Some(keys)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).trim_end_matches("Keys").into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let mut properties = Map::new();
                $(properties.insert(
                    stringify!($key).to_owned(),
                    described::<$type>(generator, concat!($($key_doc),*)),
                );)*
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
        defaults: DefaultsKeys,
        /// The tokens to keep fresh.
        rotations: List<RotationKeys>,
    }
}

keys! {
    /// What every rotation does unless it says otherwise.
    DefaultsKeys, required [] {
        /// The service that issues the token.
        provider: Kind,
        /// The service's origin, with or without the API's path, where it is not the public one.
        provider_url: Url,
        /// The environment variable that holds the provider credential. Default: CROSSFADE_PROVIDER_TOKEN.
        credential: String,
        /// The Axiom organization, for personal tokens.
        org_id: String,
        /// How long a minted token lives. Default: 90d.
        lifetime: Period,
        /// How long the previous token stays valid after the mint. Default: 7d.
        overlap: Period,
        /// How long before its end a token is replaced. Default: 14d.
        rotate_before: Period,
        /// How long a token that was disabled, or that expired, is kept before it is deleted. Default: 7d for disabled ones; expired ones are kept.
        delete_after: Period,
    }
}

keys! {
    /// One token, its policy and the secrets that hold it.
    RotationKeys, required ["name", "token", "secrets"] {
        /// The rotation's name; part of what marks its tokens, so keep it.
        name: String,
        /// The service that issues the token.
        provider: Kind,
        /// The service's origin, with or without the API's path, where it is not the public one.
        provider_url: Url,
        /// The environment variable that holds the provider credential. Default: CROSSFADE_PROVIDER_TOKEN.
        credential: String,
        /// The Axiom organization, for personal tokens.
        org_id: String,
        /// Name or id of the token to keep fresh.
        token: String,
        /// Earlier keys of this rotation, owner/repo/rotation, from before it was renamed or moved.
        formerly: FormerKeys,
        /// Id of the token whose privileges are the right ones, where live tokens of this rotation differ.
        trusted: String,
        /// How long a minted token lives. Default: 90d.
        lifetime: Period,
        /// How long the previous token stays valid after the mint. Default: 7d.
        overlap: Period,
        /// How long before its end a token is replaced. Default: 14d.
        rotate_before: Period,
        /// How long a token that was disabled, or that expired, is kept before it is deleted. Default: 7d for disabled ones; expired ones are kept.
        delete_after: Period,
        /// What to create when the token is missing, in the provider's own terms, without name and expiry.
        create: Creation,
        /// A path on the provider's own origin that the new token must be able to GET.
        verify: String,
        /// Every GitHub secret that holds the token.
        secrets: List<SecretKeys>,
    }
}

keys! {
    /// A GitHub secret, or with `repositories` one in each of them.
    SecretMappingKeys, required ["name"] {
        /// The secret's name.
        name: String,
        /// The repository, owner/name. Default: the one that rotates.
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
        /// The store that keeps the secret. Default: actions.
        store: Store,
    }
}

pub(crate) use super::RotationKey;
pub(crate) use super::scalar::{Creation, SignedPattern};

/// A secret in its short form, or as a mapping.
#[derive(Debug, Clone)]
pub(crate) enum SecretKeys {
    /// `owner/repo@environment:NAME`
    Short(String),
    /// `{ organization: acme, name: NAME }`
    Mapping(Box<SecretMappingKeys>),
}

impl Read for SecretKeys {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Map(_) => {
                SecretMappingKeys::read(node, problems).map(|keys| Self::Mapping(Box::new(keys)))
            }
            _ => String::read(node, problems).map(Self::Short),
        }
    }
}

impl JsonSchema for SecretKeys {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            {
                "type": "string",
                "description": "NAME, owner/repo:NAME, owner/repo@environment:NAME or org:acme:NAME; with dependabot+, codespaces+ or agents+ in front for another store than that of Actions.",
            },
            generator.subschema_for::<SecretMappingKeys>(),
        ]})
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
        let invalid = Invalid::new(format!("a list is needed here, not {}", node.kind()));
        problems.error(node.origin, invalid.help("begin each item with a dash: `- item`"));
        None
    }
}

/// Reads a file's text: every problem of its keys and single values is noted.
pub(crate) fn read(text: &str, problems: &mut Problems) -> FileKeys {
    match yaml::parse(text) {
        Ok(Node { value: Value::Null, origin }) => {
            problems
                .error(origin, Invalid::new("the configuration file is empty").help("it needs `rotations:`"));
            FileKeys::default()
        }
        Ok(root) => {
            refuse_secrets(&root, problems);
            FileKeys::read(&root, problems).unwrap_or_default()
        }
        Err((origin, invalid)) => {
            problems.error(origin, invalid);
            FileKeys::default()
        }
    }
}

/// Whatever key it stands at: a secret in the file is one that must be replaced,
/// and the value of most keys is sent to somebody.
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

/// What is said of a secret where none belongs.
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
    format!("{:#}\n", schema.as_value())
}

/// The mapping's entries with a known key and a value; the others are noted.
pub(crate) fn entries<'a>(
    node: &'a Node,
    known: &[&'static str],
    problems: &mut Problems,
) -> Option<Vec<(&'static str, &'a Node)>> {
    let Value::Map(map) = &node.value else {
        let invalid = Invalid::new(format!("a mapping is needed here, not {}", node.kind()));
        problems.error(node.origin, invalid.help(format!("its keys: {}", one_of(known.iter().copied()))));
        return None;
    };
    let mut found: Vec<(&'static str, &Node)> = Vec::new();
    let mut origins: Vec<(&'static str, Origin)> = Vec::new();
    for (key, value) in map {
        let Value::Scalar { text, .. } = &key.value else {
            problems.error(key.origin, Invalid::new("a key must be a word"));
            continue;
        };
        let Some(name) = known.iter().copied().find(|k| k == text) else {
            // Beyond what is told, nobody asks for the nearest name.
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
