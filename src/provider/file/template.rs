//! Texts and bodies with placeholders, which come from a closed list.
//!
//! There is no expression language: a placeholder stands for one value, and each place
//! in a file allows only those that belong there. So a file can neither print a
//! credential nor put it into an address.

use serde_json::{Map, Value};

use super::time::{TimeForm, Unit};
use crate::diagnostic::{Invalid, Problems, nearest, quoted};
use crate::yaml::{self, Node};

/// A JSON pointer (RFC 6901) that was checked when the file was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Pointer(String);

impl Pointer {
    /// Reads `/a/b`; an empty text points to the whole document.
    pub(crate) fn parse(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() || text.starts_with('/') && text.len() > 1 {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(format!("invalid JSON pointer {}", quoted(text)))
            .help("expected a path into the JSON like /data/id, or \"\" for the whole of it"))
    }

    pub(crate) fn of<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        value.pointer(&self.0)
    }

    /// The name of the field that it points to.
    pub(crate) fn last(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// One value that a request takes from elsewhere. `docs/providers.md` says what each stands
/// for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Placeholder {
    Credential,
    Id,
    /// Without a marker.
    Name,
    UniqueName,
    /// The whole text that carries the new token's marker.
    Marker,
    Expires(TimeForm),
    ExpiresIn(Unit),
    PreviousEnds(TimeForm),
    /// The whole body of `create`.
    Create,
    Uuid,
    /// One of the token's rights, as the previous token has it.
    Right(String),
    Previous(Pointer),
    Reply(Pointer),
    Variable(String),
}

/// Where a template stands; it decides which placeholders are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Auth,
    /// Another header.
    Header,
    /// The address of a list or of a creation.
    Path,
    /// The address of a request about one token.
    TokenPath,
    /// A body, like the three that follow.
    Create,
    Regenerate,
    /// Of a request that disables, deletes or reads a token.
    End,
    SetExpiry,
    /// The text that a secret is composed of.
    Value,
    /// What a field of a token is compared with.
    Condition,
}

/// What a file declares that placeholders can refer to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    /// The variables whose values may be shown.
    pub(crate) plain: Vec<String>,
    /// The other variables.
    pub(crate) secret: Vec<String>,
    pub(crate) rights: Vec<String>,
}

/// The placeholders that are one word.
const SIMPLE: [(&str, Placeholder); 7] = [
    ("credential", Placeholder::Credential),
    ("id", Placeholder::Id),
    ("name", Placeholder::Name),
    ("unique_name", Placeholder::UniqueName),
    ("marker", Placeholder::Marker),
    ("create", Placeholder::Create),
    ("uuid", Placeholder::Uuid),
];

/// How the others begin.
const PREFIXES: [&str; 6] = ["expires", "expires_in", "previous_ends", "rights", "previous", "reply"];

/// Names that no variable may have.
pub(crate) fn reserved<'n>() -> impl Iterator<Item = &'n str> {
    SIMPLE.iter().map(|(name, _)| *name).chain(PREFIXES)
}

impl Placeholder {
    fn parse(text: &str, place: Place, names: &Names) -> Result<Self, Invalid> {
        let placeholder = Self::read(text, names)?;
        if placeholder.fits(place, names) {
            return Ok(placeholder);
        }
        let invalid =
            Invalid::new(format!("the placeholder {} is not allowed here", quoted(&format!("<{text}>"))));
        Err(invalid.help(match placeholder {
            Self::Credential => "the credential stands in `auth` alone",
            Self::Variable(_) => "a secret variable stands in a header alone, because addresses and bodies are logged",
            Self::Id => "the id is known only in requests about one token: `get`, `verify`, `disable`, `delete`, `set_expiry`, `regenerate`",
            _ => "docs/providers.md lists the placeholders of each place",
        }))
    }

    fn read(text: &str, names: &Names) -> Result<Self, Invalid> {
        let unknown = || {
            let known: Vec<&str> = reserved().chain(names.all()).collect();
            let invalid = Invalid::new(format!("unknown placeholder {}", quoted(&format!("<{text}>"))));
            let word = text.split([':', '.']).next().unwrap_or_default();
            invalid.help(match nearest(word, known.iter().copied()) {
                Some("rights") if !text.contains('.') => match names.rights.first() {
                    Some(right) => format!("did you mean `<rights.{right}>`?"),
                    None => "`token.rights` must declare what `<rights.NAME>` copies".to_owned(),
                },
                Some(meant) if meant != word => format!("did you mean `<{}>`?", text.replacen(word, meant, 1)),
                _ => "a variable must be declared under `variables`; docs/providers.md lists the other placeholders".to_owned(),
            })
        };
        if names.all().any(|name| name == text) {
            return Ok(Self::Variable(text.to_owned()));
        }
        if let Some(right) = text.strip_prefix("rights.") {
            return if names.rights.iter().any(|known| known == right) {
                Ok(Self::Right(right.to_owned()))
            } else {
                Err(Invalid::new(format!("unknown right {}", quoted(right)))
                    .help("`token.rights` must declare it"))
            };
        }
        if let Some((_, placeholder)) = SIMPLE.into_iter().find(|(name, _)| *name == text) {
            return Ok(placeholder);
        }
        let (name, form) = text.split_once(':').map_or((text, None), |(name, form)| (name, Some(form)));
        Ok(match (name, form) {
            ("expires", Some(form)) => Self::Expires(TimeForm::parse(form)?),
            ("expires_in", Some(unit)) => Self::ExpiresIn(Unit::parse(unit)?),
            ("previous_ends", Some(form)) => Self::PreviousEnds(TimeForm::parse(form)?),
            ("previous", Some(pointer)) => Self::Previous(Pointer::parse(pointer)?),
            ("reply", Some(pointer)) => Self::Reply(Pointer::parse(pointer)?),
            ("expires" | "expires_in" | "previous_ends", None) => {
                return Err(Invalid::new(format!("`<{name}>` does not say in which form")).help(if name == "expires_in" {
                    "expected <expires_in:seconds>, <expires_in:hours> or <expires_in:days>".to_owned()
                } else {
                    format!("expected <{name}:rfc3339>, <{name}:date>, <{name}:seconds> or <{name}:milliseconds>")
                }));
            }
            _ => return Err(unknown()),
        })
    }

    fn fits(&self, place: Place, names: &Names) -> bool {
        use Place::{Auth, Condition, Create, End, Header, Path, Regenerate, SetExpiry, TokenPath, Value};
        match self {
            Self::Credential => place == Auth,
            Self::Id => matches!(place, TokenPath | Regenerate | End | SetExpiry | Condition),
            Self::Name => matches!(place, Create | Regenerate | Condition),
            Self::UniqueName | Self::Marker | Self::ExpiresIn(_) | Self::Right(_) | Self::Previous(_) => {
                matches!(place, Create | Regenerate)
            }
            Self::Expires(_) => matches!(place, Create | Regenerate | SetExpiry),
            Self::PreviousEnds(_) | Self::Create => place == Regenerate,
            Self::Uuid => matches!(place, Header | Create | Regenerate),
            Self::Reply(_) => place == Value,
            Self::Variable(name) if names.secret.contains(name) => place == Header,
            Self::Variable(_) => {
                matches!(place, Header | Path | TokenPath | Create | Regenerate | End | SetExpiry | Condition)
            }
        }
    }
}

impl Names {
    fn all(&self) -> impl Iterator<Item = &str> {
        self.plain.iter().chain(&self.secret).map(String::as_str)
    }
}

/// What a placeholder stands for; `None`: nothing.
pub(crate) type Values<'v> = dyn Fn(&Placeholder) -> Option<Value> + 'v;

/// A text in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(Placeholder),
}

impl Template {
    /// Reads a text in which everything between `<` and `>` is a placeholder.
    pub(crate) fn parse(text: &str, place: Place, names: &Names) -> Result<Self, Invalid> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find('<') {
            let Some(end) = rest[start..].find('>') else {
                return Err(Invalid::new("a placeholder is not closed").help("write it like <id>"));
            };
            if start > 0 {
                parts.push(Part::Text(rest[..start].to_owned()));
            }
            parts.push(Part::Value(Placeholder::parse(&rest[start + 1..start + end], place, names)?));
            rest = &rest[start + end + 1..];
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    pub(crate) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.0.iter().filter_map(|part| match part {
            Part::Value(placeholder) => Some(placeholder),
            Part::Text(_) => None,
        })
    }

    /// The value; a text that is one placeholder keeps the type of its value. `None` if
    /// any of its values is missing.
    pub(crate) fn value(&self, values: &Values<'_>) -> Option<Value> {
        if let [Part::Value(placeholder)] = self.0.as_slice() {
            return values(placeholder);
        }
        self.text(values).map(Value::String)
    }

    /// The text; `None` if any of its values is missing.
    pub(crate) fn text(&self, values: &Values<'_>) -> Option<String> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Value(placeholder) => text.push_str(&text_of(&values(placeholder)?)?),
            }
        }
        Some(text)
    }
}

/// A single value as text; `None` for lists, mappings and null.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A JSON body with templates for its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// A number, a truth value, null.
    Constant(Value),
    Text(Template),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Body {
    /// Reads a body; every problem is noted with its position.
    pub(crate) fn read(node: &Node, place: Place, names: &Names, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            yaml::Value::Null => Some(Self::Constant(Value::Null)),
            yaml::Value::Scalar { json: Value::String(text), .. } => {
                problems.note(node.origin, Template::parse(text, place, names)).map(Self::Text)
            }
            yaml::Value::Scalar { json, .. } => Some(Self::Constant(json.clone())),
            yaml::Value::List(items) => {
                let items: Vec<_> =
                    items.iter().map(|item| Self::read(item, place, names, problems)).collect();
                items.into_iter().collect::<Option<_>>().map(Self::List)
            }
            yaml::Value::Map(entries) => {
                let fields = yaml::words(entries, problems).into_iter().map(|(key, _, value)| {
                    Some((key.to_owned(), Self::read(value, place, names, problems)?))
                });
                let fields: Vec<_> = fields.collect();
                fields.into_iter().collect::<Option<_>>().map(Self::Map)
            }
        }
    }

    /// Whether there is such a placeholder in it.
    pub(crate) fn has(&self, wanted: &dyn Fn(&Placeholder) -> bool) -> bool {
        match self {
            Self::Constant(_) => false,
            Self::Text(template) => template.placeholders().any(wanted),
            Self::List(items) => items.iter().any(|item| item.has(wanted)),
            Self::Map(fields) => fields.iter().any(|(_, value)| value.has(wanted)),
        }
    }

    /// The body with its values. A field whose value is missing is left out, and so is a
    /// field that `is_taken` does not want.
    pub(crate) fn value(&self, values: &Values<'_>, is_taken: &dyn Fn(&Self) -> bool) -> Option<Value> {
        match self {
            Self::Constant(value) => is_taken(self).then(|| value.clone()),
            Self::Text(template) => is_taken(self).then(|| template.value(values)).flatten(),
            Self::List(items) => {
                let items: Vec<Value> =
                    items.iter().filter_map(|item| item.value(values, is_taken)).collect();
                Some(Value::Array(items))
            }
            Self::Map(fields) => {
                let fields = fields
                    .iter()
                    .filter_map(|(name, value)| Some((name.clone(), value.value(values, is_taken)?)));
                Some(Value::Object(fields.collect::<Map<_, _>>()))
            }
        }
    }

    /// Whether the engine decides its value, and not the rotation's `create`.
    pub(crate) fn is_decided(&self) -> bool {
        self.has(&|_| true)
            && !self.has(&|one| matches!(one, Placeholder::Right(_) | Placeholder::Previous(_)))
    }
}

/// `base` with the fields of `over` on top.
pub(crate) fn merged(base: Value, over: Value) -> Value {
    match (base, over) {
        (Value::Object(mut base), Value::Object(over)) => {
            for (name, value) in over {
                let value = match base.shift_remove(&name) {
                    Some(known) => merged(known, value),
                    None => value,
                };
                base.insert(name, value);
            }
            Value::Object(base)
        }
        (_, over) => over,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names() -> Names {
        Names { plain: vec!["team".into()], secret: vec!["second".into()], rights: vec!["scopes".into()] }
    }

    #[test]
    fn a_text_keeps_the_type_of_its_only_placeholder() {
        let values = |placeholder: &Placeholder| match placeholder {
            Placeholder::Id => Some(json!(7)),
            Placeholder::Variable(_) => Some(json!("a-team")),
            _ => None,
        };
        let value = |text: &str| Template::parse(text, Place::End, &names()).unwrap().value(&values);
        assert_eq!(value("<id>"), Some(json!(7)));
        assert_eq!(value("no <id> of <team>"), Some(json!("no 7 of a-team")));
        assert_eq!(value("plain"), Some(json!("plain")));
        assert_eq!(value(""), Some(json!("")));
    }

    #[test]
    fn a_placeholder_is_refused_where_it_does_not_belong() {
        let parse = |text: &str, place| Template::parse(text, place, &names());
        for (text, place) in [
            ("<credential>", Place::Path),
            ("<credential>", Place::Header),
            ("<credential>", Place::Create),
            ("<credential>", Place::Value),
            ("<second>", Place::Path),
            ("<second>", Place::Create),
            ("<id>", Place::Create),
            ("<marker>", Place::End),
            ("<reply:/x>", Place::Create),
            ("<previous_ends:date>", Place::Create),
            ("<expires>", Place::Create),
            ("<expires:soon>", Place::Create),
            ("<expires:unix>", Place::Create),
            ("<rights.other>", Place::Create),
            ("<env:HOME>", Place::Header),
            ("<HOME>", Place::Header),
            ("<id", Place::End),
            ("<>", Place::End),
            ("<previous:x>", Place::Create),
        ] {
            assert!(parse(text, place).is_err(), "{text} in {place:?}");
        }
        assert!(parse("<second>", Place::Header).is_ok());
        let error = parse("<markr>", Place::Create).unwrap_err();
        assert_eq!(error.help.as_deref(), Some("did you mean `<marker>`?"));
    }

    #[test]
    fn what_a_rotation_says_goes_between_defaults_and_decisions() {
        assert_eq!(
            merged(json!({"a": {"b": 1, "c": 2}, "d": [1]}), json!({"a": {"c": 3}, "d": [2], "e": 4})),
            json!({"a": {"b": 1, "c": 3}, "d": [2], "e": 4})
        );
    }
}
