//! The keys of a provider file: what may stand where.
//!
//! What the keys mean together is decided in [`super::build()`].

// The doc comments of keys are texts of the schema, which write `<credential>` bare.
#![allow(rustdoc::invalid_html_tags)]

use url::Url;

use super::template::Pointer;
use super::time::TimeForm;
use crate::diagnostic::{Invalid, Problems, quoted};
use crate::period::Period;
use crate::yaml::keys::{At, Field, List, Named, OneOrMore, OrNone, Read, by_text, keys};
use crate::yaml::{Node, Value};

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
        /// What follows it: word, dotted-word, uuid, random-word or id-and-visible. Default: word.
        body: String,
        /// The fewest characters that follow it. Default: 8.
        least: usize,
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
        name: At<TextMapping>,
        /// Where the marker stands. Default: the name.
        marker: At<TextMapping>,
        /// When the token expires. Default: tokens do not expire.
        expires: At<TimeMapping>,
        /// When it was created.
        created: At<TimeMapping>,
        /// When a user last changed it.
        changed: At<TimeMapping>,
        /// When it was last used.
        last_used: At<TimeMapping>,
        /// What a disabled token shows.
        disabled: Named<Node>,
        /// What an item shows that is not a token any longer, like one that was revoked.
        ignore: Named<Node>,
        /// What an item must show to be a token at all.
        only: Named<Node>,
        /// Where the beginning and the end of the value are shown.
        hint: Pointer,
        /// What the token may do: each is compared, and copied with <rights.NAME>.
        rights: Named<At<RightMapping>>,
        /// `owner`: what a token may do is not decided by the token.
        rights_at: String,
        /// The rights that are shown change without the token being changed.
        effective_rights: bool,
        /// `copy`: also copy fields that this file does not name and whose names end in capabilities, permissions, privileges or scopes.
        unknown_rights: String,
        /// What a token must show to be the credential that crossfade signs in with; or `none`: the list never shows the credential.
        credential: OrNone<Named<Node>>,
    }
}

keys! {
    /// Where a text stands.
    TextMapping, required ["at"] {
        /// The field.
        at: Pointer,
        /// The most characters that it holds. Of the field that carries the marker it must be said, or the file says `unproved`.
        max: usize,
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
        items: OneOrMore<PointerOrRoot>,
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
        first: usize,
        /// The parameter with the cursor.
        cursor: String,
        /// Where the cursor of the next page stands.
        at: Pointer,
        /// Where the address of the next page stands.
        next: Pointer,
        /// The parameter with the number of items on a page.
        limit: String,
        /// That number. Default: 100.
        size: usize,
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
        done: List<usize>,
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
        done: List<usize>,
        /// Where the token stands in the reply, or `none`: it is looked for in the list. Default: the whole reply.
        item: OrNone<Pointer>,
        /// Where the value stands in the reply: a pointer, several of which the first counts, or a text with <reply:/POINTER>.
        value: OneOrMore<String>,
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
        rejected: List<usize>,
        /// The statuses that tell nothing. Default: 403 and 404.
        unverified: List<usize>,
        /// What the new token must be allowed to do.
        needs: String,
    }
}

keys! {
    /// A header that only some credentials need.
    HeaderMapping, required ["value"] {
        /// The text of the header.
        value: String,
        /// How the credential begins that it is sent with.
        only: String,
    }
}

keys! {
    /// A header that signs in.
    AuthMapping, required [] {
        /// The name of the header. Default: Authorization.
        header: String,
        /// Its text, with <credential>. Default: the credential alone.
        value: String,
    }
}

by_text! {
    Pointer, Self::parse;
    TimeForm, Self::parse;
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
