//! The keys of a provider file: what may stand where, and its JSON Schema.
//!
//! What the keys mean together is decided in [`super::build()`].

// The doc comments of keys are texts of the schema, which write `<credential>` bare.
#![allow(rustdoc::invalid_html_tags)]

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Map;
use url::Url;

use super::template::Pointer;
use super::time::TimeForm;
use crate::config::Period;
use crate::config::file::{Field, List, described, entries, keys};
use crate::config::scalar::{Read, by_text, text};
use crate::config::yaml::{Node, Value};
use crate::diagnostic::{Invalid, Origin, Problems, quoted};

keys! {
    /// A service that issues tokens, as data.
    ProviderKeys, required ["token", "list", "create", "delete"] {
        /// What people call the service. Default: the name of the file.
        title: String,
        /// The address that every path is joined to, like https://api.example.com/v1. Without it, a rotation must say `provider_url`.
        api: Url,
        /// What the credential must be allowed to do, for the error that says it is not.
        needs: String,
        /// What no source states about the service, like the longest description. No token is created until a rotation's `with` says `proved: yes`, which is for after `crossfade provider prove`.
        unproved: String,
        /// How a request signs in: bearer, basic, or { header: NAME, value: text with <credential> }. Default: bearer.
        auth: Node,
        /// Further headers of every request.
        headers: Named<Node>,
        /// What a rotation sets with `with`.
        variables: Named<VariableKeys>,
        /// How long a new token may be missing from the list. Default: 0s.
        eventual: Period,
        /// The shortest life of a token, for `crossfade provider prove`. Default: 1h, and two days where the expiry is a date.
        shortest: Period,
        /// Names of the fields that hold a token's value, wherever they stand in a reply.
        secrets: List<String>,
        /// How the values of tokens begin.
        values: List<ValueKeys>,
        /// Where a listed token has what.
        token: TokenKeys,
        /// The request that lists tokens.
        list: ListKeys,
        /// The request that reads one token. Default: the list is read.
        get: CallKeys,
        /// The request that creates a token.
        create: CreateKeys,
        /// The request that makes the next token and keeps the previous one valid until a given time.
        regenerate: CreateKeys,
        /// The request that shows whether a new value is accepted. Default: none, and the report says unverified.
        verify: VerifyKeys,
        /// The request that disables a token so that it can be enabled again.
        disable: CallKeys,
        /// The request that deletes a token.
        delete: CallKeys,
        /// The request that gives a token another expiry.
        set_expiry: CallKeys,
    }
}

keys! {
    /// A variable of a provider file.
    VariableKeys, required [] {
        /// What to write there.
        about: String,
        /// Its value where a rotation says nothing.
        default: String,
        /// The values that it may have.
        one_of: List<String>,
        /// May be left out; a header without it is not sent.
        optional: bool,
        /// A rotation names the environment variable that holds the value.
        secret: bool,
    }
}

keys! {
    /// How some values begin.
    ValueKeys, required ["prefix"] {
        /// The public part in front, like xaat-.
        prefix: String,
        /// What follows it: word, uuid, random-word or id-and-visible. Default: word.
        body: String,
        /// The fewest characters that follow it. Default: 8.
        least: Number,
        /// Whether the list shows such tokens. Default: true.
        listed: bool,
        /// Variables that a credential of this form needs.
        needs: List<String>,
    }
}

keys! {
    /// Where a listed token has what, as JSON pointers into one item.
    TokenKeys, required ["id", "name"] {
        /// The id, a text or a number.
        id: Pointer,
        /// What ids look like: uuid, digits, `hex 24`, or a beginning like TKN-*. Default: anything.
        id_form: String,
        /// The name.
        name: TextKeys,
        /// Where the marker stands. Default: the name.
        marker: TextKeys,
        /// When the token expires. Default: tokens do not expire.
        expires: TimeKeys,
        /// When it was created.
        created: TimeKeys,
        /// When a user last changed it.
        changed: TimeKeys,
        /// When it was last used.
        last_used: TimeKeys,
        /// What a disabled token shows.
        disabled: Named<Node>,
        /// What an item shows that is no token any more.
        ignore: Named<Node>,
        /// What an item must show to be a token at all.
        only: Named<Node>,
        /// Where the beginning and the end of the value are shown.
        hint: Pointer,
        /// What the token may do: each is compared, and copied with <rights.NAME>.
        rights: Named<RightKeys>,
        /// `owner`: what a token may do is not decided by the token.
        rights_at: String,
        /// The rights that are shown change without the token being changed.
        effective_rights: bool,
        /// `copy`: also copy fields that this file does not name and whose names end in capabilities, permissions, privileges or scopes.
        unknown_rights: String,
        /// What a token must show to be the credential that crossfade signs in with; or `none`: the list never shows the credential.
        credential: CredentialKeys,
    }
}

keys! {
    /// Where a text stands.
    TextMapping, required ["at"] {
        /// The field.
        at: Pointer,
        /// The most characters that it holds. Of the field that carries the marker it must be said, or the file says `unproved`.
        max: Number,
    }
}

keys! {
    /// Where a date stands, and how it is written.
    TimeMapping, required ["at", "form"] {
        /// The field.
        at: Pointer,
        /// rfc3339, date, seconds or milliseconds.
        form: TimeForm,
    }
}

keys! {
    /// One right, and what of it is copied.
    RightMapping, required ["at"] {
        /// The field.
        at: Pointer,
        /// Of an object, or of each in a list, only these fields; one inside another is written groups/id.
        keep: List<String>,
        /// Of an object, or of each in a list, not these fields.
        drop: List<String>,
        /// Of each object in a list, this field in its place.
        each: String,
        /// Its value where the token does not show it.
        default: Node,
        /// A token that does not show it is read once more, and not rotated without it.
        required: bool,
        /// An empty list is left out of the body.
        omit_empty: bool,
        /// Not read where the token shows this.
        unless: Named<Node>,
        /// `false`: compared only, because a creation does not take it.
        copy: bool,
    }
}

keys! {
    /// The request that lists tokens.
    ListKeys, required ["get"] {
        /// The path, perhaps with a query.
        get: String,
        /// Where the list stands, or several places of which the first that has one counts. Default: the whole reply.
        items: Pointers,
        /// How further pages are asked for. Default: there are none.
        page: PageKeys,
        /// What the credential must be allowed to do.
        needs: String,
    }
}

keys! {
    /// How further pages are asked for.
    PageMapping, required [] {
        /// The parameter with the number of items to leave out.
        offset: String,
        /// The parameter with the number of the page.
        number: String,
        /// The number of the first page. Default: 1.
        first: Number,
        /// The parameter with the cursor.
        cursor: String,
        /// Where the cursor of the next page stands.
        at: Pointer,
        /// Where the address of the next page stands.
        next: Pointer,
        /// The parameter with the number of items on a page.
        limit: String,
        /// That number. Default: 100.
        size: Number,
        /// Where the number of all items stands.
        total: Pointer,
        /// Where it stands whether there are more.
        more: Pointer,
    }
}

keys! {
    /// One request.
    CallKeys, required [] {
        /// The path of a GET.
        get: String,
        /// The path of a POST.
        post: String,
        /// The path of a PUT.
        put: String,
        /// The path of a PATCH.
        patch: String,
        /// The path of a DELETE.
        delete: String,
        /// The JSON body.
        body: Node,
        /// The statuses that mean that it was done.
        done: List<Number>,
        /// What the reply must show besides.
        shows: Named<Node>,
        /// Where the token stands in the reply. Default: the whole reply.
        item: Pointer,
        /// What the credential must be allowed to do.
        needs: String,
    }
}

keys! {
    /// The request that creates a token.
    CreateKeys, required ["value", "body"] {
        /// The path of a POST.
        post: String,
        /// The path of a PUT.
        put: String,
        /// The JSON body.
        body: Node,
        /// The statuses that mean that it was done. Default: 200 and 201.
        done: List<Number>,
        /// Where the token stands in the reply, or `none`: it is looked for in the list. Default: the whole reply.
        item: ItemKeys,
        /// Where the value stands in the reply: a pointer, several of which the first counts, or a text with <reply:/POINTER>.
        value: Texts,
        /// What the credential must be allowed to do.
        needs: String,
    }
}

keys! {
    /// The request that shows whether a value is accepted.
    VerifyKeys, required ["get"] {
        /// The path.
        get: String,
        /// How the new value signs in, if not as the credential does.
        auth: Node,
        /// What the reply must show of the token whose value it is, with <id> or <name>; anything else is unverified.
        shows: Named<Node>,
        /// The statuses that mean: not accepted. Default: 401.
        rejected: List<Number>,
        /// The statuses that tell nothing. Default: 403 and 404.
        unverified: List<Number>,
        /// What the new token must be allowed to do.
        needs: String,
    }
}

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

/// Anything: what it means depends on its place.
impl Read for Node {
    fn read(node: &Node, _: &mut Problems) -> Option<Self> {
        Some(node.clone())
    }
}

impl JsonSchema for Node {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Anything".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}

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

impl JsonSchema for CredentialKeys {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "CredentialRule".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "enum": ["none"] }, { "type": "object" }] })
    }
}

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

impl JsonSchema for ItemKeys {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Item".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["/data", "none"] })
    }
}

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

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let (one, several) =
                    (generator.subschema_for::<$type>(), generator.subschema_for::<List<$type>>());
                json_schema!({ "anyOf": [one, several] })
            }
        }
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

impl JsonSchema for PointerOrRoot {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PointerOrRoot".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}
