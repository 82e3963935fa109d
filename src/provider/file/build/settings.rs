//! How a file signs in, its headers, its variables and what its values look like.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::{HeaderName, header};

use super::super::keys::{AuthMapping, HeaderMapping, ValueKeys, VariableKeys};
use super::super::template::{Names, Place, Placeholder, Template, reserved};
use super::super::{Auth, Header, ValueShape, Variable};
use super::{Builder, texts};
use crate::diagnostic::{Invalid, Origin, named, quoted};
use crate::provider::{PROVED, YES};
use crate::redact::{self, TokenShape};
use crate::yaml::keys::{Entry, Field, Read as _, checked, given, origin_of};
use crate::yaml::{Node, Value};

/// Headers that the engine or the HTTP library decides.
const ENGINE_HEADERS: &str = "host content-length transfer-encoding connection upgrade te trailer expect cookie \
                              proxy-authorization";

const HEADER: &str = "expected a text, or { value: text, only: how the credential begins }";

impl Builder<'_> {
    pub(super) fn auth(&mut self, node: &Node) -> Option<Auth> {
        let expected = "expected bearer, basic, or { header: NAME, value: text with <credential> }";
        match &node.value {
            Value::Scalar { text, .. } if text == "bearer" => Some(bearer()),
            Value::Scalar { text, .. } if text == "basic" => Some(Auth::Basic),
            Value::Map(_) => {
                let AuthMapping { header, value } = AuthMapping::read(node, self.problems)?;
                let name = given(&header).map_or("Authorization", String::as_str);
                let name = self.header_name(name, origin_of(&header).unwrap_or(node.origin));
                let text = given(&value).map_or("<credential>", String::as_str);
                let at = origin_of(&value).unwrap_or(node.origin);
                let template = self.problems.note(at, Template::parse(text, Place::Auth, &self.names))?;
                if !template.placeholders().any(|one| *one == Placeholder::Credential) {
                    self.problems
                        .error(at, Invalid::new("`auth` does not send the credential").help(expected));
                }
                Some(Auth::Header(name?, template))
            }
            _ => {
                self.problems.error(node.origin, Invalid::new("unknown way to sign in").help(expected));
                None
            }
        }
    }

    pub(super) fn headers(&mut self, named: &[Entry<Node>]) -> Vec<Header> {
        named
            .iter()
            .filter_map(|(name, origin, field)| {
                let node = field.value.as_ref()?;
                let (text, only) = match &node.value {
                    Value::Scalar { text, .. } => (text.clone(), None),
                    _ => {
                        let HeaderMapping { value, only } = HeaderMapping::read(node, self.problems)?;
                        if value.is_none() {
                            let invalid = Invalid::new(format!("the header {} has no `value`", quoted(name)));
                            self.problems.error(node.origin, invalid.help(HEADER));
                        }
                        (value?.value?, only.and_then(|only| only.value))
                    }
                };
                let name = self.header_name(name, *origin)?;
                let parsed = Template::parse(&text, Place::Header, &self.names);
                Some(Header { name, value: self.problems.note(node.origin, parsed)?, only })
            })
            .collect()
    }

    fn header_name(&mut self, name: &str, origin: Origin) -> Option<HeaderName> {
        if ENGINE_HEADERS.split(' ').any(|header| name.eq_ignore_ascii_case(header)) {
            self.problems.error(origin, Invalid::new(format!("the header {} cannot be set", quoted(name))));
            return None;
        }
        let invalid = |_| Invalid::new(format!("{} is not the name of a header", quoted(name)));
        self.problems.note(origin, HeaderName::from_bytes(name.as_bytes()).map_err(invalid))
    }

    pub(super) fn variables(&mut self, named: &[Entry<VariableKeys>]) -> BTreeMap<String, Variable> {
        let mut variables = BTreeMap::new();
        for (name, origin, field) in named {
            let is_word =
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
                    && name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
            if !is_word || reserved().any(|known| known == name) || name == PROVED {
                let help =
                    "lower-case letters, digits and _, and neither the name of a placeholder nor `proved`";
                let invalid = Invalid::new(format!("{} cannot be the name of a variable", quoted(name)));
                self.problems.error(*origin, invalid.help(help));
                continue;
            }
            let Some(keys) = &field.value else { continue };
            let is_secret = given(&keys.secret) == Some(&true);
            if is_secret && keys.default.is_some() {
                let help = "the rotation names the environment variable, in `with`";
                self.refuse(&keys.default, "a secret variable has no default", help);
            }
            variables.insert(
                name.clone(),
                Variable {
                    about: given(&keys.about).cloned().unwrap_or_default(),
                    default: given(&keys.default).cloned(),
                    one_of: texts(&keys.one_of),
                    is_optional: given(&keys.optional) == Some(&true),
                    is_secret,
                },
            );
        }
        variables
    }

    pub(super) fn values(&mut self, list: &[Field<ValueKeys>]) -> Vec<ValueShape> {
        let read = |field: &Field<ValueKeys>| {
            let keys = field.value.as_ref()?;
            let prefix = self.required(&keys.prefix, "prefix")?.clone();
            let least = given(&keys.least).copied().unwrap_or(redact::Body::LEAST);
            let form = |text: &str| named("form of a value", &redact::Body::named(least), text);
            let body = match keys.body {
                Some(_) => checked(&keys.body, self.problems, form)?,
                None => redact::Body::Word(least),
            };
            Some(ValueShape {
                shape: TokenShape { prefix: Cow::Owned(prefix), body },
                is_listed: given(&keys.listed) != Some(&false),
                needs: texts(&keys.needs),
            })
        };
        list.iter().filter_map(read).collect()
    }
}

pub(super) fn bearer() -> Auth {
    let template = Template::parse("Bearer <credential>", Place::Auth, &Names::default());
    template.map_or(Auth::Basic, |template| Auth::Header(header::AUTHORIZATION, template))
}

/// The variable by which a rotation says that its provider was proved. `what`: what is not
/// published.
pub(super) fn proved(what: Option<&str>) -> Variable {
    let shown = what.map(|what| format!(": it shows what is not published ({what})")).unwrap_or_default();
    Variable {
        about: format!("yes, once `crossfade provider prove` has ended well{shown}"),
        one_of: vec![YES.to_owned()],
        is_optional: true,
        ..Variable::default()
    }
}
