//! Parses YAML into a tree of nodes with their origins.
//!
//! The text is untrusted: size, depth and the expansion of aliases are bounded.
//! [`keys`] interprets the tree.

pub(crate) mod keys;
#[cfg(test)]
#[path = "yaml/schema_tests.rs"]
pub(crate) mod schema;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_saphyr::{DuplicateKeyPolicy, Location, MergeKeyPolicy, NonFiniteFloatPolicy, Spanned};

use crate::diagnostic::{Invalid, Origin, Position, Problems, printable, quoted};

/// The largest file that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;

/// One node of the file.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Where it stands; for an alias, where the alias stands.
    pub(crate) origin: Origin,
    /// Where its text stands in the source.
    bytes: Range<usize>,
    pub(crate) value: Value,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Nothing, or `null`.
    Null,
    /// Text, a number or a boolean.
    Scalar {
        /// As the user wrote it: `12e5` may be a name.
        text: String,
        /// As YAML understands it.
        json: Json,
    },
    List(Vec<Node>),
    /// In order, repeated keys included.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// Its kind, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar { json: Json::String(_), .. } => "text",
            Value::Scalar { json: Json::Number(_), .. } => "a number",
            Value::Scalar { .. } => "a boolean",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The tree as plain JSON.
    pub(crate) fn json(&self, problems: &mut Problems) -> Option<Json> {
        match &self.value {
            Value::Null => Some(Json::Null),
            Value::Scalar { json, .. } => Some(json.clone()),
            Value::List(items) => items.iter().map(|item| item.json(problems)).collect(),
            Value::Map(entries) => {
                let fields = words(entries, problems).into_iter();
                fields.map(|(key, _, value)| Some((key.to_owned(), value.json(problems)?))).collect()
            }
        }
    }

    /// Gives numbers and booleans the text that they were written with.
    fn restore(&mut self, source: &str) {
        match &mut self.value {
            Value::Scalar { text, json } if !json.is_string() => {
                if let Some(written) = source.get(self.bytes.clone()).filter(|text| !text.is_empty()) {
                    written.clone_into(text);
                }
            }
            Value::List(items) => items.iter_mut().for_each(|item| item.restore(source)),
            Value::Map(entries) => {
                entries
                    .iter_mut()
                    .flat_map(|(key, value)| [key, value])
                    .for_each(|node| node.restore(source));
            }
            Value::Null | Value::Scalar { .. } => {}
        }
    }
}

/// A mapping's entries, each with the origin of its key. Keys that are no words or repeat
/// another one are noted, and left out.
pub(crate) fn words<'n>(
    entries: &'n [(Node, Node)],
    problems: &mut Problems,
) -> Vec<(&'n str, Origin, &'n Node)> {
    let mut origins: HashMap<&str, Origin> = HashMap::new();
    let mut found = Vec::new();
    for (key, value) in entries {
        let Value::Scalar { text, .. } = &key.value else {
            problems.error(key.origin, Invalid::new("expected a word as the key"));
            continue;
        };
        match origins.insert(text, key.origin) {
            None => found.push((text.as_str(), key.origin, value)),
            Some(first) => {
                let invalid = Invalid::new(format!("{} is given twice", quoted(text)));
                problems.error(key.origin, invalid.stands_at(first));
            }
        }
    }
    found
}

impl Value {
    fn scalar(json: impl Into<Json>) -> Self {
        let json = json.into();
        Self::Scalar { text: json.to_string(), json }
    }
}

/// Reads a file's text, up to its first problem.
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
    let mut root: Node = serde_saphyr::from_str_with_options(text, options).map_err(|e| refusal(&e))?;
    root.restore(text);
    Ok(root)
}

/// A parser's error without its position, which is shown separately.
fn refusal(error: &serde_saphyr::Error) -> (Origin, Invalid) {
    let message = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    let message = message.split(" at line ").next().unwrap_or_default();
    let mut invalid = Invalid::new(format!("invalid YAML: {}", printable(message)));
    if message.contains("tag `!") {
        invalid = invalid.help("put quotes around text that begins with !");
    } else if message.contains("unknown value") {
        invalid = invalid.help("put quotes around text that begins with *");
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

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, defined } = Spanned::deserialize(deserializer)?;
        // A mapping is shown by its first key: it says more than a brace or a dash.
        let origin = match &value {
            Value::Map(entries) if referenced == defined && !entries.is_empty() => entries[0].0.origin,
            _ => origin(referenced),
        };
        Ok(Self { origin, bytes: bytes(defined), value })
    }
}

/// The bytes of the source that define a node.
fn bytes(at: Location) -> Range<usize> {
    let number = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
    let start = number(at.span().byte_offset());
    start..start.saturating_add(number(at.span().byte_len()))
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::scalar(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::scalar(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::scalar(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::scalar(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Scalar { text: value.to_owned(), json: value.into() })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Map(entries))
    }
}
