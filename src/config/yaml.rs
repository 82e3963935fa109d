//! Parses YAML into a tree of nodes with their origins.
//!
//! The text is untrusted: size, depth and the expansion of aliases are bounded.
//! [`super::file`] interprets the tree.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_saphyr::{DuplicateKeyPolicy, Location, MergeKeyPolicy, NonFiniteFloatPolicy, Spanned};

use crate::diagnostic::{Invalid, Origin, Position, printable};

/// The largest file that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;

/// One value of the file.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Where it stands; for an alias, where the alias stands.
    pub(crate) origin: Origin,
    /// What it is.
    pub(crate) value: Value,
}

/// What a [`Node`] is.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Nothing, or `null`.
    Null,
    /// Text, a number, a truth value.
    Scalar {
        /// As the user wrote it: `12e5` may be a name.
        text: String,
        /// As YAML understands it.
        json: Json,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping, in order, repeated keys included.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// Its kind, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar { json: Json::String(_), .. } => "text",
            Value::Scalar { json: Json::Number(_), .. } => "a number",
            Value::Scalar { .. } => "a truth value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Reads a file's text.
///
/// # Errors
/// When it is no YAML, or beyond the bounds; YAML stops at its first such problem.
pub(crate) fn parse(text: &str) -> Result<Node, (Origin, Invalid)> {
    if text.len() > MAX_BYTES {
        return Err((Origin::Missing, Invalid::new("the configuration file is larger than 1 MiB")));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: 32, max_aliases: 5_000, max_anchors: 5_000 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 50_000 },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    let raw: Raw = serde_saphyr::from_str_with_options(text, options).map_err(|e| refusal(&e))?;
    Ok(raw.node(text))
}

/// A parser's error without its position, which is shown separately.
fn refusal(error: &serde_saphyr::Error) -> (Origin, Invalid) {
    let message = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    let message = message.split(" at line ").next().unwrap_or_default();
    let mut invalid = Invalid::new(format!("this is no YAML: {}", printable(message)));
    if message.contains("tag `!") {
        invalid = invalid.help("put quotes around a text that begins with !");
    } else if message.contains("unknown value") {
        invalid = invalid.help("put quotes around a text that begins with *");
    }
    (error.location().map_or(Origin::Missing, origin), invalid)
}

fn origin(at: Location) -> Origin {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    if at.line() == 0 {
        return Origin::Missing;
    }
    Origin::File(Position {
        line: number(at.line()),
        column: number(at.column()).max(1),
        length: number(at.span().len()).max(1),
    })
}

/// A node before its text has been looked up in the source.
struct Raw(Spanned<RawValue>);

enum RawValue {
    Null,
    Text(String),
    Other(Json),
    List(Vec<Raw>),
    Map(Vec<(Raw, Raw)>),
}

impl Raw {
    fn node(self, source: &str) -> Node {
        let Spanned { value, referenced, defined } = self.0;
        let value = match value {
            RawValue::Null => Value::Null,
            RawValue::Text(text) => Value::Scalar { json: Json::String(text.clone()), text },
            RawValue::Other(json) => {
                Value::Scalar { text: written(source, defined).unwrap_or_else(|| json.to_string()), json }
            }
            RawValue::List(items) => Value::List(items.into_iter().map(|n| n.node(source)).collect()),
            RawValue::Map(entries) => {
                Value::Map(entries.into_iter().map(|(k, v)| (k.node(source), v.node(source))).collect())
            }
        };
        // A mapping is shown by its first key: it says more than a brace or a dash.
        let origin = match &value {
            Value::Map(entries) if referenced == defined && !entries.is_empty() => entries[0].0.origin,
            _ => origin(referenced),
        };
        Node { origin, value }
    }
}

/// The characters that a number was written with.
fn written(source: &str, at: Location) -> Option<String> {
    let start = usize::try_from(at.span().byte_offset()?).ok()?;
    let length = usize::try_from(at.span().byte_len()?).ok()?;
    source.get(start..start.checked_add(length)?).map(str::to_owned)
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<RawValue, E> {
        Ok(RawValue::Other(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<RawValue, E> {
        Ok(RawValue::Other(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<RawValue, E> {
        Ok(RawValue::Other(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<RawValue, E> {
        Ok(RawValue::Other(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<RawValue, E> {
        Ok(RawValue::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<RawValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(RawValue::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<RawValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(RawValue::Map(entries))
    }
}
