//! Values of a provider file that may be written in several forms.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::super::template::Pointer;
use super::super::time::TimeForm;
use super::{PageMapping, RightMapping, TextMapping, TimeMapping};
use crate::diagnostic::{Invalid, Problems, quoted};
use crate::yaml::keys::{Field, List, Named, Read, by_text, inline_schema, text};
use crate::yaml::{Node, Value};

by_text! {
    Pointer, "Pointer", Self::parse, { "type": "string", "examples": ["/data/id"] };
    TimeForm, "TimeForm", std::str::FromStr::from_str, { "enum": ["rfc3339", "date", "seconds", "milliseconds"] };
    Number, "Number", Number::parse, { "type": "integer", "minimum": 0 };
}

/// A whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number(pub(crate) u32);

impl Number {
    fn parse(text: &str) -> Result<Self, Invalid> {
        let number =
            text.parse().map_err(|_| Invalid::new(format!("{} is not a whole number", quoted(text))));
        number.map(Self)
    }
}

/// A type that is a mapping, or in its short form one text.
macro_rules! short {
    ($($(#[doc = $doc:literal])* $name:ident, $mapping:ident, $key:ident;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Default)]
        pub(crate) struct $name(pub(crate) $mapping);

        impl Read for $name {
            fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
                match &node.value {
                    Value::Scalar { .. } => {
                        Some(Self($mapping { $key: Some(Field::read(node, problems)), ..$mapping::default() }))
                    }
                    _ => $mapping::read(node, problems).map(Self),
                }
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).trim_end_matches("Keys").into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                json_schema!({ "anyOf": [{ "type": "string" }, generator.subschema_for::<$mapping>()] })
            }
        }
    )*};
}

short! {
    /// A pointer, or a pointer and a length.
    TextKeys, TextMapping, at;
    /// A pointer, or a pointer and the form of the date.
    TimeKeys, TimeMapping, at;
    /// A pointer, or a pointer and what of it is copied.
    RightKeys, RightMapping, at;
}

/// How pages are asked for: `link`, or a mapping.
#[derive(Debug, Clone)]
pub(crate) enum PageKeys {
    /// By the `Link` header.
    Link,
    /// By parameters.
    Mapping(Box<PageMapping>),
}

impl Read for PageKeys {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Scalar { text, .. } if text == "link" => Some(Self::Link),
            Value::Scalar { text, .. } => problems.note(
                node.origin,
                Err(Invalid::new(format!("unknown way of paging {}", quoted(text)))
                    .help("expected `link`, or a mapping with `offset`, `number`, `cursor` or `next`")),
            ),
            _ => PageMapping::read(node, problems).map(|keys| Self::Mapping(Box::new(keys))),
        }
    }
}

impl JsonSchema for PageKeys {
    fn schema_name() -> Cow<'static, str> {
        "Page".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "enum": ["link"] }, generator.subschema_for::<PageMapping>()] })
    }
}

/// Which listed tokens may be the credential.
#[derive(Debug, Clone)]
pub(crate) struct CredentialKeys(pub(crate) Option<Named<Node>>);

impl Read for CredentialKeys {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Scalar { text, .. } if text == "none" => Some(Self(None)),
            _ => Named::read(node, problems).map(|named| Self(Some(named))),
        }
    }
}

inline_schema!(
    CredentialKeys,
    "CredentialRule",
    |_| json_schema!({ "anyOf": [{ "enum": ["none"] }, { "type": "object" }] })
);

/// Where a reply shows the new token, if it does.
#[derive(Debug, Clone)]
pub(crate) struct ItemKeys(pub(crate) Option<Pointer>);

impl Read for ItemKeys {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Scalar { text, .. } if text == "none" => Some(Self(None)),
            _ => Pointer::read(node, problems).map(|at| Self(Some(at))),
        }
    }
}

inline_schema!(ItemKeys, "Item", |_| json_schema!({ "type": "string", "examples": ["/data", "none"] }));

/// One or several, in a type of their own because one may stand without a list.
macro_rules! one_or_several {
    ($($(#[doc = $doc:literal])* $name:ident, $type:ty;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Default)]
        pub(crate) struct $name(pub(crate) List<$type>);

        impl Read for $name {
            fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
                match &node.value {
                    Value::List(_) => List::read(node, problems).map(Self),
                    _ => Some(Self(vec![Field::read(node, problems)])),
                }
            }
        }

        inline_schema!($name, stringify!($name), |generator| { let (one, several) =
                    (generator.subschema_for::<$type>(), generator.subschema_for::<List<$type>>());
                json_schema!({ "anyOf": [one, several] }) });
    )*};
}

one_or_several! {
    /// Pointers.
    Pointers, PointerOrRoot;
    /// Texts.
    Texts, String;
}

/// A pointer that may be empty: the whole reply.
#[derive(Debug, Clone, Default)]
pub(crate) struct PointerOrRoot(pub(crate) Pointer);

impl Read for PointerOrRoot {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Scalar { text, .. } if text.is_empty() => Some(Self::default()),
            _ => Pointer::read(node, problems).map(Self),
        }
    }
}

inline_schema!(PointerOrRoot, "PointerOrRoot", |_| json_schema!({ "type": "string" }));
