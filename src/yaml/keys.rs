//! Reads YAML into structs of keys: what may stand where, and its JSON Schema.
//!
//! Each group of keys is written down once, by `keys!`; the reader and the schema both
//! come from there, so they cannot disagree. A value that is refused is noted and
//! reading goes on, so that all problems are reported at once.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value as Json;

use super::{Node, Value};
use crate::diagnostic::{Invalid, Origin, Problems, nearest, one_of, quoted};

/// A value that a file may hold.
pub(crate) trait Read: JsonSchema + Sized {
    /// The value, or `None` with its problems noted.
    fn read(node: &Node, problems: &mut Problems) -> Option<Self>;
}

/// Reads a text with a parser; numbers count as the text that they were written as.
pub(crate) fn text<T>(
    node: &Node,
    problems: &mut Problems,
    parse: impl FnOnce(&str) -> Result<T, Invalid>,
) -> Option<T> {
    match &node.value {
        Value::Scalar { text, json: Json::String(_) | Json::Number(_) } => {
            let result =
                if text.trim().is_empty() { Err(Invalid::new("the text is empty")) } else { parse(text) };
            problems.note(node.origin, result)
        }
        _ => problems.note(node.origin, Err(Invalid::new(format!("expected text, found {}", node.kind())))),
    }
}

/// The schema of a type, written out wherever the type stands.
macro_rules! inline_schema {
    ($type:ty, $name:expr, |$generator:pat_param| $schema:expr) => {
        impl ::schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema($generator: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                $schema
            }
        }
    };
}

pub(crate) use inline_schema;

/// A type that is read by a parser from text, with its schema.
macro_rules! by_text {
    ($($type:ty, $name:literal, $parse:expr, $schema:tt;)*) => {$(
        impl Read for $type {
            fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
                text(node, problems, $parse)
            }
        }

        $crate::yaml::keys::inline_schema!($type, $name, |_| ::schemars::json_schema!($schema));
    )*};
}

pub(crate) use by_text;

impl Read for String {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        text(node, problems, |text| Ok(text.to_owned()))
    }
}

impl Read for bool {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Scalar { json: Json::Bool(value), .. } => Some(*value),
            _ => problems.note(node.origin, Err(Invalid::new("expected `true` or `false`"))),
        }
    }
}

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

/// A key as it is written in the file.
macro_rules! key_name {
    ($key:ident) => {
        stringify!($key)
    };
    ($key:ident $name:literal) => {
        $name
    };
}

pub(crate) use key_name;

/// A group of keys: a struct of optional fields, its reader and its schema. `as` names a key
/// that is a word of Rust.
macro_rules! keys {
    (
        $(#[doc = $doc:literal])*
        $name:ident, required $required:tt {
            $($(#[doc = $key_doc:literal])* $key:ident $(as $written:literal)?: $type:ty,)*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Default)]
        pub(crate) struct $name {
            $($(#[doc = $key_doc])* pub(crate) $key: Option<Field<$type>>,)*
        }

        impl $name {
            /// Every key, as it is written.
            pub(crate) const KEYS: &[&str] = &[$($crate::yaml::keys::key_name!($key $($written)?)),*];

            fn read_only(known: &[&'static str], node: &Node, problems: &mut Problems) -> Option<Self> {
                let mut keys = Self::default();
                for (key, value) in entries(node, known, problems)? {
                    match key {
                        $($crate::yaml::keys::key_name!($key $($written)?) => {
                            keys.$key = Some(Field::read(value, problems));
                        })*
                        _ => {}
                    }
                }
                Some(keys)
            }

            fn properties(generator: &mut SchemaGenerator) -> Map<String, serde_json::Value> {
                let mut properties = Map::new();
                $(properties.insert(
                    $crate::yaml::keys::key_name!($key $($written)?).to_owned(),
                    described::<$type>(generator, concat!($($key_doc),*)),
                );)*
                properties
            }

            /// These keys; `other` fills in the missing ones.
            #[allow(dead_code, reason = "only some groups have defaults")]
            pub(crate) fn or(self, other: Self) -> Self {
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

/// Anything: what it means depends on its place.
impl Read for Node {
    fn read(node: &Node, _: &mut Problems) -> Option<Self> {
        Some(node.clone())
    }
}

inline_schema!(Node, "Anything", |_| json_schema!(true));

/// A mapping whose keys the file chooses.
#[derive(Debug, Clone)]
pub(crate) struct Named<T>(pub(crate) Vec<(String, Origin, Field<T>)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Read> Read for Named<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let invalid = Invalid::new(format!("a mapping is needed here, not {}", node.kind()));
            return problems.note(node.origin, Err(invalid));
        };
        let mut named: Vec<(String, Origin, Field<T>)> = Vec::new();
        for (key, value) in entries {
            let Value::Scalar { text, .. } = &key.value else {
                problems.error(key.origin, Invalid::new("a key must be a word"));
                continue;
            };
            if named.iter().any(|(known, ..)| known == text) {
                problems.error(key.origin, Invalid::new(format!("{} is given twice", quoted(text))));
                continue;
            }
            named.push((text.clone(), key.origin, Field::read(value, problems)));
        }
        Some(Self(named))
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}ByName", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let values = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": values })
    }
}
