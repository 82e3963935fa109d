//! Reads YAML into structs of keys: what may stand where.
//!
//! Each group of keys is written down once, by `keys!`; the reader and the published JSON
//! Schema both come from there, so they cannot disagree. A value that is refused is noted and
//! reading goes on, so that all problems are reported at once.

use serde_json::Value as Json;

use super::{Node, Value, words};
use crate::diagnostic::{Invalid, Origin, Problems, one_of, quoted, unknown};

/// A value that a file may hold.
pub(crate) trait Read: Sized {
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

/// Types that are read by a parser from text.
macro_rules! by_text {
    ($($type:ty, $parse:expr;)*) => {$(
        impl $crate::yaml::keys::Read for $type {
            fn read(node: &$crate::yaml::Node, problems: &mut $crate::diagnostic::Problems) -> Option<Self> {
                $crate::yaml::keys::text(node, problems, $parse)
            }
        }
    )*};
}

pub(crate) use by_text;

by_text! {
    String, |text| Ok(text.to_owned());
    usize, whole_number;
}

fn whole_number(text: &str) -> Result<usize, Invalid> {
    text.parse().map_err(|_| Invalid::new(format!("{} is not a whole number", quoted(text))))
}

impl Read for bool {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Scalar { json: Json::Bool(value), .. } => Some(*value),
            _ => problems.note(node.origin, Err(Invalid::new("expected `true` or `false`"))),
        }
    }
}

/// Anything: what it means depends on its place.
impl Read for Node {
    fn read(node: &Node, _: &mut Problems) -> Option<Self> {
        Some(node.clone())
    }
}

/// A value that was given, and where.
#[derive(Debug, Clone)]
pub(crate) struct Field<T> {
    pub(crate) origin: Origin,
    /// `None`: it was refused, and that has been noted.
    pub(crate) value: Option<T>,
}

impl<T: Read> Field<T> {
    pub(crate) fn read(node: &Node, problems: &mut Problems) -> Self {
        Self { origin: node.origin, value: T::read(node, problems) }
    }
}

/// The value of a key that was given and could be read.
pub(crate) fn given<T>(field: &Option<Field<T>>) -> Option<&T> {
    field.as_ref().and_then(|field| field.value.as_ref())
}

/// The items of a list or a mapping; none if it was not given.
pub(crate) fn all<T>(field: &Option<Field<Vec<T>>>) -> &[T] {
    given(field).map_or(&[], Vec::as_slice)
}

/// Where a key was given, if it was.
pub(crate) fn origin_of<T>(field: &Option<Field<T>>) -> Option<Origin> {
    field.as_ref().map(|field| field.origin)
}

/// The value of a key that was given and passes a check, whose problem is noted.
pub(crate) fn checked<U>(
    field: &Option<Field<String>>,
    problems: &mut Problems,
    check: impl FnOnce(&str) -> Result<U, Invalid>,
) -> Option<U> {
    let Field { origin, value: Some(value) } = field.as_ref()? else { return None };
    problems.note(*origin, check(value))
}

/// A list whose items have their own origins.
pub(crate) type List<T> = Vec<Field<T>>;

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

/// A list, or one value that stands without one.
#[derive(Debug, Clone, Default)]
pub(crate) struct OneOrMore<T>(pub(crate) List<T>);

impl<T: Read> Read for OneOrMore<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::List(_) => List::read(node, problems).map(Self),
            _ => Some(Self(vec![Field::read(node, problems)])),
        }
    }
}

/// A value, or the word `none`.
#[derive(Debug, Clone)]
pub(crate) struct OrNone<T>(pub(crate) Option<T>);

impl<T: Read> Read for OrNone<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Scalar { text, .. } if text == "none" => Some(Self(None)),
            _ => T::read(node, problems).map(|value| Self(Some(value))),
        }
    }
}

/// A group of keys, or in its short form only the value of the key `at`.
#[derive(Debug, Clone, Default)]
pub(crate) struct At<T>(pub(crate) T);

impl<T: Read> Read for At<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Scalar { .. } = &node.value else { return T::read(node, problems).map(Self) };
        let at = Node { value: Value::Scalar { text: "at".to_owned(), json: "at".into() }, ..node.clone() };
        let keys = Node { value: Value::Map(vec![(at, node.clone())]), ..node.clone() };
        T::read(&keys, problems).map(Self)
    }
}

/// A mapping whose keys the file chooses.
pub(crate) type Named<T> = Vec<Entry<T>>;

/// A key with its origin, and its value.
pub(crate) type Entry<T> = (String, Origin, Field<T>);

impl<T: Read> Read for Named<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let invalid = Invalid::new(format!("a mapping is needed here, not {}", node.kind()));
            return problems.note(node.origin, Err(invalid));
        };
        let entries = words(entries, problems).into_iter();
        Some(entries.map(|(key, at, value)| (key.to_owned(), at, Field::read(value, problems))).collect())
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

/// A group of keys: a struct of optional fields, its reader and its schema, in which some keys
/// are `required`. `as` names a key that is a word of Rust.
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
                for (key, value) in $crate::yaml::keys::entries(node, known, problems)? {
                    match key {
                        $($crate::yaml::keys::key_name!($key $($written)?) => {
                            keys.$key = Some(Field::read(value, problems));
                        })*
                        _ => {}
                    }
                }
                Some(keys)
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

        #[cfg(test)]
        $crate::yaml::schema::group! { $name, concat!($($doc),*), $required, {
            $($crate::yaml::keys::key_name!($key $($written)?), concat!($($key_doc),*), $type;)*
        }}
    };
}

pub(crate) use keys;

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
    let mut found = Vec::new();
    for (key, origin, value) in words(map, problems) {
        match known.iter().copied().find(|name| *name == key) {
            // `key:` with nothing behind it is a key that was not given.
            Some(_) if matches!(value.value, Value::Null) => {}
            Some(name) => found.push((name, value)),
            // The nearest name costs time, and is not shown any more.
            None if problems.is_full() => problems.error(origin, Invalid::new("unknown key")),
            None => {
                let invalid = unknown("key", key, known.iter().copied());
                let help = "merge keys are not read; what rotations share belongs under `defaults`";
                problems.error(origin, if key == "<<" { invalid.help(help) } else { invalid });
            }
        }
    }
    Some(found)
}
