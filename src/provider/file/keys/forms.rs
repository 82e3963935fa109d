//! Values of a provider file that are read in ways of their own.

use std::str::FromStr as _;

use serde_json::{Map, Value as Json, json};

use super::super::template::Pointer;
use super::super::time::TimeForm;
use super::PageMapping;
use crate::diagnostic::{Invalid, Problems, quoted};
use crate::yaml::keys::{Read, by_text};
use crate::yaml::{Node, Value};

by_text! {
    Pointer, Self::parse, { "type": "string", "examples": ["/data/id"] };
    TimeForm, Self::from_str, { "enum": ["rfc3339", "date", "seconds", "milliseconds"] };
    Number, Self::parse, { "type": "integer", "minimum": 0 };
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

/// How pages are asked for: by the `Link` header, or by parameters.
#[derive(Debug, Clone)]
pub(crate) enum PageKeys {
    Link,
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

    fn schema(groups: &mut Map<String, Json>) -> Json {
        json!({ "anyOf": [{ "enum": ["link"] }, PageMapping::schema(groups)] })
    }
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

    fn schema(_: &mut Map<String, Json>) -> Json {
        json!({ "type": "string" })
    }
}
