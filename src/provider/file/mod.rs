//! A provider as data: the checked form of a provider file.
//!
//! [`keys`] says what may be written where, [`mod@build`] checks what it means together,
//! [`template`] and [`time`] read and write single values. [`super::engine`] runs it.

mod build;
pub(crate) mod keys;
mod rights;
pub(crate) mod template;
pub(crate) mod time;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};
use serde_json::Value;
use url::Url;

use self::template::{Body, Placeholder, Pointer, Template, Values, text_of};
use self::time::TimeForm;
use super::Token;
use crate::redact::TokenShape;

pub(crate) use self::build::build;
pub(crate) use self::keys::ProviderKeys;

/// A service that issues tokens. What a field means is said at its key, in [`keys`].
#[derive(Debug)]
pub(crate) struct ProviderFile {
    /// What the configuration calls it.
    pub(crate) name: String,
    pub(crate) title: String,
    /// The text of the file, where it ships with crossfade.
    pub(crate) source: Option<&'static str>,
    /// `None`: each installation has its own.
    pub(crate) api: Option<Url>,
    pub(crate) needs: String,
    pub(crate) unproved: Option<String>,
    pub(crate) auth: Auth,
    pub(crate) headers: Vec<Header>,
    pub(crate) variables: BTreeMap<String, Variable>,
    pub(crate) eventual: Duration,
    pub(crate) shortest: Duration,
    pub(crate) secrets: Arc<[String]>,
    pub(crate) values: Vec<ValueShape>,
    pub(crate) token: TokenRules,
    pub(crate) list: ListCall,
    pub(crate) get: Option<Call>,
    pub(crate) create: CreateCall,
    pub(crate) regenerate: Option<CreateCall>,
    pub(crate) verify: Option<VerifyCall>,
    pub(crate) disable: Option<Call>,
    pub(crate) delete: Call,
    pub(crate) set_expiry: Option<Call>,
}

/// How a request signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Auth {
    /// `Authorization: Basic`, of a credential that is `user:password`.
    Basic,
    Header(HeaderName, Template),
}

/// A header besides the one that signs in.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) name: HeaderName,
    pub(crate) value: Template,
    pub(crate) only: Option<String>,
}

/// What a rotation sets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Variable {
    pub(crate) about: String,
    pub(crate) default: Option<String>,
    pub(crate) one_of: Vec<String>,
    pub(crate) is_optional: bool,
    pub(crate) is_secret: bool,
}

impl Variable {
    pub(crate) fn is_required(&self) -> bool {
        self.default.is_none() && !self.is_optional
    }
}

/// How some values begin.
#[derive(Debug, Clone)]
pub(crate) struct ValueShape {
    pub(crate) shape: TokenShape,
    pub(crate) is_listed: bool,
    pub(crate) needs: Vec<String>,
}

/// Where a listed token has what.
#[derive(Debug, Clone)]
pub(crate) struct TokenRules {
    pub(crate) id: Pointer,
    pub(crate) id_form: IdForm,
    pub(crate) name: Pointer,
    pub(crate) name_max: Option<usize>,
    pub(crate) marker: Pointer,
    pub(crate) marker_max: Option<usize>,
    pub(crate) expires: Option<(Pointer, TimeForm)>,
    pub(crate) created: Option<(Pointer, TimeForm)>,
    pub(crate) changed: Option<(Pointer, TimeForm)>,
    pub(crate) last_used: Option<(Pointer, TimeForm)>,
    /// All of it must hold. Empty: tokens cannot be disabled.
    pub(crate) disabled: Vec<Condition>,
    /// Any of it: not a token any more.
    pub(crate) ignore: Vec<Condition>,
    /// All of it: a token at all.
    pub(crate) only: Vec<Condition>,
    pub(crate) hint: Option<Pointer>,
    pub(crate) rights: Vec<Right>,
    pub(crate) has_effective_rights: bool,
    pub(crate) copies_unknown_rights: bool,
    /// All of it: the token may be the credential. `None`: no listed token is.
    pub(crate) credential: Option<Vec<Condition>>,
}

impl TokenRules {
    pub(crate) fn marks_the_name(&self) -> bool {
        self.marker == self.name
    }

    /// What the file expects of every token, and none of these has. Null counts as there.
    pub(crate) fn absent_from(&self, tokens: &[Token]) -> Vec<String> {
        let created = self.created.as_ref().map(|(at, _)| ("created", at));
        let expected = [("name", &self.name)].into_iter().chain(created);
        let has = |at: &Pointer, token: &Token| at.of(&token.raw).is_some();
        let absent = expected.filter(|(_, at)| !tokens.iter().any(|token| has(at, token)));
        let line = |(key, at): (&str, &Pointer)| {
            format!("`token.{key}` ({}) is absent from all {} tokens", at.text(), tokens.len())
        };
        absent.filter(|_| !tokens.is_empty()).map(line).collect()
    }
}

/// What ids look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IdForm {
    Anything,
    Uuid,
    Digits,
    Hex(usize),
    Beginning(String),
}

impl IdForm {
    /// Whether a text may be an id. `false` only if that is certain.
    pub(crate) fn fits(&self, text: &str) -> bool {
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match self {
            Self::Anything => true,
            Self::Uuid => {
                let is_part = |(part, length): (&str, usize)| part.len() == length && is_hex(part);
                text.split('-').count() == 5 && text.split('-').zip([8, 4, 4, 4, 12]).all(is_part)
            }
            Self::Digits => text.bytes().all(|byte| byte.is_ascii_digit()),
            Self::Hex(length) => text.len() == *length && is_hex(text),
            Self::Beginning(start) => text.starts_with(start),
        }
    }
}

/// That a field of a token has a value, or a list that contains it.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) at: Pointer,
    pub(crate) is: Body,
}

impl Condition {
    pub(crate) fn holds(&self, shown: &Value, values: &Values<'_>) -> bool {
        let Some(wanted) = self.is.value(values, &|_| true) else { return false };
        let is_equal =
            |one: &Value| *one == wanted || text_of(one).is_some_and(|text| Some(text) == text_of(&wanted));
        match self.at.of(shown) {
            None => wanted.is_null(),
            Some(Value::Array(all)) => all.iter().any(is_equal) || Value::Array(all.clone()) == wanted,
            Some(one) => is_equal(one),
        }
    }
}

/// One right of a token.
#[derive(Debug, Clone)]
pub(crate) struct Right {
    pub(crate) name: String,
    pub(crate) at: Pointer,
    pub(crate) projection: Projection,
    pub(crate) default: Option<Value>,
    pub(crate) is_required: bool,
    pub(crate) omits_empty: bool,
    pub(crate) unless: Vec<Condition>,
    pub(crate) is_copied: bool,
}

/// What of a right is compared and copied, by the key that says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Projection {
    Whole,
    Keep(Vec<String>),
    Drop(Vec<String>),
    Each(String),
}

/// One request about tokens.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Segments below the API's address.
    pub(crate) path: Vec<Template>,
    pub(crate) query: Vec<(String, Template)>,
    pub(crate) body: Option<Body>,
    pub(crate) done: Vec<u16>,
    pub(crate) shows: Vec<Condition>,
    /// `None`: the reply does not show the token.
    pub(crate) item: Option<Pointer>,
    pub(crate) needs: String,
}

impl Call {
    /// The placeholders of its address.
    fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        let query = self.query.iter().map(|(_, template)| template);
        self.path.iter().chain(query).flat_map(Template::placeholders)
    }
}

/// The request that creates a token.
#[derive(Debug, Clone)]
pub(crate) struct CreateCall {
    pub(crate) call: Call,
    pub(crate) body: Body,
    pub(crate) value: NewValue,
}

/// Where the new value stands in the reply.
#[derive(Debug, Clone)]
pub(crate) enum NewValue {
    /// At the first of these that is a text.
    At(Vec<Pointer>),
    /// Composed of several parts of the reply.
    Composed(Template),
}

/// The request that lists tokens.
#[derive(Debug, Clone)]
pub(crate) struct ListCall {
    pub(crate) call: Call,
    /// The first of these that is a list.
    pub(crate) items: Vec<Pointer>,
    pub(crate) page: Page,
}

/// How further pages are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) by: PageBy,
    /// The parameter with the number of items on a page, and that number.
    pub(crate) limit: Option<(String, usize)>,
    pub(crate) total: Option<Pointer>,
    pub(crate) more: Option<Pointer>,
}

/// What leads to the next page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PageBy {
    /// There is one page.
    Nothing,
    Offset(String),
    /// From the first.
    Number(String, usize),
    Cursor(String, Pointer),
    Next(Pointer),
    Link,
}

/// The request that shows whether a value is accepted.
#[derive(Debug, Clone)]
pub(crate) struct VerifyCall {
    pub(crate) call: Call,
    pub(crate) auth: Option<Auth>,
    pub(crate) rejected: Vec<u16>,
    pub(crate) unverified: Vec<u16>,
}

impl VerifyCall {
    /// Whether the request is the same for every token, and the reply names the id of the
    /// token whose value signed in.
    pub(crate) fn tells_the_id(&self) -> bool {
        let is_id = |one: &Placeholder| matches!(one, Placeholder::Id | Placeholder::Name);
        let names_the_id = |condition: &Condition| condition.is.has(&|one| *one == Placeholder::Id);
        self.auth.is_none()
            && !self.call.placeholders().any(is_id)
            && self.call.shows.iter().any(names_the_id)
    }
}
