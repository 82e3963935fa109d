//! The JSON Schema of everything that a file may hold. Only a test writes it: the binary has the
//! published text.

use serde_json::{Map, Value as Json, json};
use url::Url;

use super::Node;
use super::keys::{At, List, Named, OneOrMore, OrNone};
use crate::config::file::{SecretMappingKeys, WorkflowKeys};
use crate::config::scalar::Creation;
use crate::config::{
    ProviderName, Repository, RepositoryPattern, RotationKey, SecretEntry, Store, Visibility, Workflow,
};
use crate::period::Period;
use crate::provider::file::keys::{PageKeys, PageMapping, PointerOrRoot};
use crate::provider::file::template::Pointer;
use crate::provider::file::time::TimeForm;
use crate::provider::{Kind, catalogue};

/// A value that a file may hold.
pub(crate) trait Schema {
    /// Its schema; that of a group of keys is put into `groups`, and referred to.
    fn schema(groups: &mut Map<String, Json>) -> Json;
}

/// The schema of a group of keys: what `keys!` knows of it.
macro_rules! group {
    ($name:ident, $doc:expr, $required:tt, { $($key:expr, $key_doc:expr, $type:ty;)* }) => {
        impl $name {
            /// The group, with these of its keys.
            pub(crate) fn group(
                known: &[&str],
                groups: &mut ::serde_json::Map<String, ::serde_json::Value>,
            ) -> ::serde_json::Value {
                let mut properties = ::serde_json::Map::new();
                $(
                    if known.contains(&$key) {
                        let mut schema = <$type as $crate::yaml::schema::Schema>::schema(groups);
                        schema["description"] = $key_doc.trim().into();
                        properties.insert($key.to_owned(), schema);
                    }
                )*
                let required: &[&str] = &$required;
                ::serde_json::json!({
                    "type": "object",
                    "description": $doc.trim(),
                    "properties": properties,
                    "required": required,
                    "additionalProperties": false,
                })
            }
        }

        impl $crate::yaml::schema::Schema for $name {
            fn schema(groups: &mut ::serde_json::Map<String, ::serde_json::Value>) -> ::serde_json::Value {
                let name = stringify!($name).trim_end_matches("Keys");
                if !groups.contains_key(name) {
                    // Its place, in the order in which groups are found.
                    groups.insert(name.to_owned(), ::serde_json::Value::Null);
                    let group = Self::group(Self::KEYS, groups);
                    groups.insert(name.to_owned(), group);
                }
                ::serde_json::json!({ "$ref": format!("#/$defs/{name}") })
            }
        }
    };
}

pub(crate) use group;

macro_rules! values {
    ($($type:ty => $schema:tt;)*) => {$(
        impl Schema for $type {
            fn schema(_: &mut Map<String, Json>) -> Json {
                json!($schema)
            }
        }
    )*};
}

values! {
    String => { "type": "string" };
    usize => { "type": "integer", "minimum": 0 };
    bool => { "type": "boolean" };
    Node => {};
    Period => { "type": "string", "examples": ["90d", "48h", "1d12h"] };
    Url => { "type": "string", "format": "uri" };
    Repository => { "type": "string", "examples": ["acme/api"] };
    RepositoryPattern => { "type": "string", "examples": ["acme/*", "!acme/legacy-*"] };
    RotationKey => { "type": "string", "examples": ["acme/api/ci-ingest"] };
    Store => { "enum": (Self::NAMES.map(|(name, _)| name)) };
    Visibility => { "enum": (Self::NAMES.map(|(name, _)| name)) };
    ProviderName => { "anyOf": [
        { "enum": (catalogue().iter().map(Kind::name).collect::<Vec<_>>()) },
        { "type": "string", "description": "One of the file's own `providers`." },
    ] };
    Creation => { "type": "object" };
    Pointer => { "type": "string", "examples": ["/data/id"] };
    PointerOrRoot => { "type": "string" };
    TimeForm => { "enum": (Self::NAMES.map(|(name, _)| name)) };
}

impl<T: Schema> Schema for List<T> {
    fn schema(groups: &mut Map<String, Json>) -> Json {
        json!({ "type": "array", "items": T::schema(groups) })
    }
}

impl<T: Schema> Schema for OneOrMore<T> {
    fn schema(groups: &mut Map<String, Json>) -> Json {
        json!({ "anyOf": [T::schema(groups), List::<T>::schema(groups)] })
    }
}

impl<T: Schema> Schema for OrNone<T> {
    fn schema(groups: &mut Map<String, Json>) -> Json {
        json!({ "anyOf": [{ "enum": ["none"] }, T::schema(groups)] })
    }
}

impl<T: Schema> Schema for At<T> {
    fn schema(groups: &mut Map<String, Json>) -> Json {
        json!({ "anyOf": [{ "type": "string" }, T::schema(groups)] })
    }
}

impl<T: Schema> Schema for Named<T> {
    fn schema(groups: &mut Map<String, Json>) -> Json {
        json!({ "type": "object", "additionalProperties": T::schema(groups) })
    }
}

impl Schema for PageKeys {
    fn schema(groups: &mut Map<String, Json>) -> Json {
        json!({ "anyOf": [{ "enum": ["link"] }, PageMapping::schema(groups)] })
    }
}

impl Schema for Workflow {
    fn schema(groups: &mut Map<String, Json>) -> Json {
        WorkflowKeys::schema(groups)
    }
}

impl Schema for SecretEntry {
    fn schema(groups: &mut Map<String, Json>) -> Json {
        json!({ "anyOf": [
            {
                "type": "string",
                "description": "NAME, owner/repo:NAME, owner/repo@environment:NAME or org:acme:NAME; with dependabot+, codespaces+ or agents+ in front for another store than that of Actions.",
            },
            SecretMappingKeys::schema(groups),
        ]})
    }
}
