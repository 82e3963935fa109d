//! From the keys of a provider file to a checked [`ProviderFile`].
//!
//! A file that could harm a token is refused here, before anything is sent: without a
//! marker no later run recognises a token, without its rights a copy may gain some, and
//! a value that is not declared secret would be printed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, Method, header};
use serde_json::Value as Json;

use super::keys::{
    CallKeys, CreateKeys, ListKeys, Named, Number, PageKeys, PageMapping, ProviderKeys, RightKeys, TimeKeys,
    TokenKeys, ValueKeys, VariableKeys, VerifyKeys,
};
use super::template::{Body, Names, Place, Placeholder, Pointer, RESERVED, Template};
use super::time::TimeForm;
use super::{
    Address, Auth, Call, Condition, CreateCall, Header, IdForm, ListCall, NewValue, Page, PageBy, Projection,
    ProviderFile, Right, TokenRules, ValueShape, Variable, VerifyCall,
};
use crate::config::file::{Field, given};
use crate::config::yaml::{Node, Value};
use crate::diagnostic::{Invalid, Origin, Problems, named, one_of, quoted};
use crate::provider::{LONGEST_MARKER, PROVED, YES};
use crate::redact::{self, TokenShape};

/// Headers that the engine or the HTTP library decides.
const ENGINE_HEADERS: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "cookie",
    "proxy-authorization",
];

/// A checked file; `None` if anything of it was refused. `origin` is where the file
/// stands.
pub(crate) fn build(
    name: &str,
    source: Option<&'static str>,
    keys: &ProviderKeys,
    origin: Origin,
    problems: &mut Problems,
) -> Option<ProviderFile> {
    let before = problems.errors();
    let names = names(keys);
    let mut builder = Builder { names, origin, problems };
    let file = builder.file(name, source, keys);
    file.filter(|_| builder.problems.errors() == before)
}

/// What the file declares, so that templates can refer to it.
fn names(keys: &ProviderKeys) -> Names {
    let mut names = Names::default();
    for (name, _, variable) in given(&keys.variables).into_iter().flat_map(|named| &named.0) {
        let is_secret = variable.value.as_ref().is_some_and(|keys| given(&keys.secret) == Some(&true));
        if is_secret { &mut names.secret } else { &mut names.plain }.push(name.clone());
    }
    let token = given(&keys.token);
    let rights = token.and_then(|token| given(&token.rights)).into_iter().flat_map(|named| &named.0);
    names.rights = rights.map(|(name, ..)| name.clone()).collect();
    names
}

struct Builder<'a> {
    names: Names,
    origin: Origin,
    problems: &'a mut Problems,
}

impl Builder<'_> {
    fn file(
        &mut self,
        name: &str,
        source: Option<&'static str>,
        keys: &ProviderKeys,
    ) -> Option<ProviderFile> {
        let secrets: Vec<String> = texts(given(&keys.secrets));
        if secrets.is_empty() {
            self.missing(
                "secrets",
                keys.secrets.as_ref().map(|field| field.origin),
                "name the field that holds the new value in the reply to `create`",
            );
        }
        let token = match given(&keys.token) {
            Some(token) => self.token(token, &secrets),
            None => {
                self.required(&keys.token, "token");
                None
            }
        };
        let list = self.required(&keys.list, "list").and_then(|list| self.list(list));
        let create = self
            .required(&keys.create, "create")
            .and_then(|create| self.create(create, Place::Create, &secrets));
        let regenerate = given(&keys.regenerate).map(|keys| self.create(keys, Place::Regenerate, &secrets));
        let delete =
            self.required(&keys.delete, "delete").and_then(|keys| self.call(keys, Place::End, &[204]));
        let get = given(&keys.get).map(|keys| self.call(keys, Place::End, &[200]));
        let disable = given(&keys.disable).map(|keys| self.call(keys, Place::End, &[200]));
        let set_expiry = given(&keys.set_expiry).map(|keys| self.call(keys, Place::SetExpiry, &[200]));
        let verify = given(&keys.verify).map(|keys| self.verify(keys));
        let headers = self.headers(given(&keys.headers));
        let auth = match given(&keys.auth) {
            Some(node) => self.auth(node)?,
            None => bearer(),
        };
        let mut variables = self.variables(given(&keys.variables));
        let unproved = given(&keys.unproved).cloned();
        // A file of the user's own may have been proved, whatever it states.
        if unproved.is_some() || source.is_none() {
            variables.insert(PROVED.to_owned(), proved(unproved.as_deref()));
        }
        let values = self.values(given(&keys.values));
        let eventual =
            given(&keys.eventual).map_or(Duration::ZERO, |period| period.duration().unsigned_abs());
        let shortest = given(&keys.shortest).map(|period| period.duration().unsigned_abs());
        let (token, create) = (token?, create?);
        let regenerate = optional(regenerate)?;
        self.consistent(keys, &token, &create, regenerate.as_ref());
        if source.is_none() && token.marker_max.is_none() && keys.unproved.is_none() {
            let keys = given(&keys.token);
            let marker = keys.map(|keys| origin_of(&keys.marker)).filter(|at| *at != Origin::Missing);
            let name = keys.map_or(self.origin, |keys| origin_of(&keys.name));
            let invalid = Invalid::new("how long the field may be that carries the marker is not said");
            self.problems.error(
                marker.unwrap_or(name),
                invalid.help(format!(
                    "write {{ at: {}, max: LENGTH }}; if the service does not publish it, write `unproved: the longest \
                     …`: then no token is created until `crossfade provider prove` has shown that a marker fits",
                    token.marker.text()
                )),
            );
        }
        let is_told_by_value =
            values.iter().any(|value| matches!(value.shape.body, redact::Body::IdAndVisible(_)));
        let is_told = given(&keys.token).is_some_and(|keys| keys.credential.is_some());
        let is_told_by_reply = verify.iter().flatten().any(VerifyCall::tells_the_id);
        if !is_told && token.hint.is_none() && !is_told_by_value && !is_told_by_reply {
            let invalid = Invalid::new("`token` does not say which tokens can be the credential");
            self.problems.error(
                origin_of(&keys.token),
                invalid.help(
                    "crossfade never ends a token that it may sign in with. Write `credential: none` if the list never shows the \
                     credential, or what only such tokens show, like `credential: { /scopes: tokens:write }`",
                ),
            );
        }
        if disable.is_some() && token.disabled.is_empty() {
            let invalid = Invalid::new("`disable` needs `token.disabled`");
            self.problems.error(
                origin_of(&keys.disable),
                invalid.help("say what a disabled token shows, like { /status: Disabled }"),
            );
        }
        if set_expiry.is_some() && token.expires.is_none() {
            let invalid = Invalid::new("`set_expiry` needs `token.expires`");
            self.problems.error(origin_of(&keys.set_expiry), invalid.help("say where the expiry stands"));
        }
        Some(ProviderFile {
            name: name.to_owned(),
            title: given(&keys.title).cloned().unwrap_or_else(|| name.to_owned()),
            source,
            api: given(&keys.api).cloned(),
            needs: given(&keys.needs)
                .cloned()
                .unwrap_or_else(|| "the right to manage these tokens".to_owned()),
            unproved,
            auth,
            headers,
            variables,
            eventual,
            shortest: shortest.unwrap_or_else(|| shortest_by_form(&token)),
            secrets: secrets.into(),
            values,
            token,
            list: list?,
            get: optional(get)?,
            create,
            regenerate,
            verify: optional(verify)?,
            disable: optional(disable)?,
            delete: delete?,
            set_expiry: optional(set_expiry)?,
        })
    }

    /// What must hold between the token and the requests that make one.
    fn consistent(
        &mut self,
        keys: &ProviderKeys,
        token: &TokenRules,
        create: &CreateCall,
        regenerate: Option<&CreateCall>,
    ) {
        let origin = given(&keys.create).map_or(self.origin, |create| origin_of(&create.body));
        let placeholders = create.body.placeholders();
        let has = |wanted: fn(&Placeholder) -> bool| placeholders.iter().any(|one| wanted(one));
        let is_expiry =
            |one: &Placeholder| matches!(one, Placeholder::Expires(_) | Placeholder::ExpiresIn(_));
        if !has(|one| *one == Placeholder::Marker) {
            let invalid = Invalid::new("the body of `create` has no <marker>");
            self.problems.error(origin, invalid.help("write <marker> at the field that `token.marker` points to: without it no later run recognises the token"));
        }
        if token.expires.is_some() && !has(is_expiry) {
            let invalid = Invalid::new("tokens expire, and the body of `create` says nothing of when");
            self.problems.error(origin, invalid.help("write <expires:rfc3339>, <expires:date>, <expires:seconds>, <expires:milliseconds> or <expires_in:seconds>"));
        }
        if token.expires.is_none() && has(is_expiry) {
            let invalid = Invalid::new("the body of `create` sets an expiry, and `token.expires` is missing");
            self.problems
                .error(origin, invalid.help("say where the list shows the expiry, and in which form"));
        }
        if !token.marks_the_name() && !has(|one| matches!(one, Placeholder::Name | Placeholder::UniqueName)) {
            let invalid = Invalid::new("the body of `create` has no <name>");
            self.problems.error(origin, invalid.help("the marker does not stand in the name, so the new token needs the name of the previous one"));
        }
        for right in token.rights.iter().filter(|right| right.is_copied) {
            let is_there =
                placeholders.iter().any(|one| matches!(one, Placeholder::Right(name) if *name == right.name));
            if !is_there {
                let invalid = Invalid::new(format!(
                    "the body of `create` does not copy the right {}",
                    quoted(&right.name)
                ));
                self.problems.error(origin, invalid.help(format!(
                    "write <rights.{}>, or `copy: false` at the right: what a creation leaves out may widen the new token",
                    right.name
                )));
            }
        }
        if let Some(regenerate) = regenerate {
            let placeholders = regenerate.body.placeholders();
            let origin = given(&keys.regenerate).map_or(self.origin, |keys| origin_of(&keys.body));
            if !placeholders.iter().any(|one| matches!(one, Placeholder::PreviousEnds(_))) {
                let invalid =
                    Invalid::new("the body of `regenerate` does not say when the previous token ends");
                self.problems.error(origin, invalid.help("write <previous_ends:rfc3339> or another form; a service that ends it at once is not supported"));
            }
            if !placeholders.iter().any(|one| matches!(one, Placeholder::Marker | Placeholder::Create)) {
                let invalid = Invalid::new("the body of `regenerate` has no <marker>");
                self.problems
                    .error(origin, invalid.help("write <create>, the whole body of `create`, or <marker>"));
            }
        }
    }

    fn token(&mut self, keys: &TokenKeys, secrets: &[String]) -> Option<TokenRules> {
        let id = self.required(&keys.id, "id").cloned();
        let name_keys = self.required(&keys.name, "name").map(|keys| &keys.0);
        let name = match name_keys {
            Some(keys) => self.required(&keys.at, "at").cloned(),
            None => None,
        };
        if let Some(id) = id.as_ref().filter(|id| secrets.iter().any(|secret| secret == id.last())) {
            let invalid = Invalid::new(format!("the id at {} is a secret", quoted(id.text())));
            self.problems.error(
                origin_of(&keys.id),
                invalid.help("ids are printed and stand in addresses; such a service cannot be described"),
            );
        }
        let id_form = match given(&keys.id_form) {
            Some(text) => self.problems.note(origin_of(&keys.id_form), id_form(text)),
            None => Some(IdForm::Anything),
        };
        let marker_keys = given(&keys.marker).map(|keys| &keys.0);
        let marker = match marker_keys {
            Some(keys) => self.required(&keys.at, "at").cloned(),
            None => name.clone(),
        };
        let carrier = marker_keys.or(name_keys);
        let marker_max = carrier.and_then(|keys| given(&keys.max)).map(|max| size(*max));
        if let Some(max) = marker_max.filter(|max| *max < LONGEST_MARKER) {
            let origin = carrier.map_or(self.origin, |keys| origin_of(&keys.max));
            let longest = LONGEST_MARKER;
            let invalid = Invalid::new(format!(
                "a marker does not fit: the field holds {max} characters, and a marker has up to {longest}"
            ));
            self.problems
                .error(origin, invalid.help("choose another field of the token, if it has a longer one"));
        }
        let expires = given(&keys.expires).map(|expires| self.time(expires, None));
        let form = expires.as_ref().and_then(|expires| Some(expires.as_ref()?.1));
        let mut time = |keys: &Option<Field<TimeKeys>>| match given(keys) {
            Some(keys) => self.time(keys, Some(form.unwrap_or(TimeForm::Rfc3339))),
            None => None,
        };
        let (created, changed, last_used) = (time(&keys.created), time(&keys.changed), time(&keys.last_used));
        let rights = self.rights(keys);
        if !rights.is_empty() && keys.rights_at.is_some() {
            let invalid = Invalid::new("`rights` and `rights_at` exclude each other");
            self.problems.error(
                origin_of(&keys.rights_at),
                invalid.help("either the token has rights of its own, or its owner has them"),
            );
        }
        if rights.is_empty() && keys.rights_at.is_none() && keys.unknown_rights.is_none() {
            self.problems.error(keys.rights.as_ref().map_or(self.origin, |field| field.origin), Invalid::new("`token` says nothing of the rights of a token")
                .help("list under `rights` what a token may do, so that it is copied and compared; or write `rights_at: owner` if nothing of it is decided by the token"));
        }
        let word = |problems: &mut Problems, field: &Option<Field<String>>, wanted: &'static str| {
            if let Some(text) = given(field) {
                problems.note(origin_of(field), named("value of this key", &[(wanted, ())], text));
            }
        };
        word(self.problems, &keys.rights_at, "owner");
        word(self.problems, &keys.unknown_rights, "copy");
        Some(TokenRules {
            id: id?,
            id_form: id_form?,
            name: name?,
            name_max: name_keys.and_then(|keys| given(&keys.max)).map(|max| size(*max)),
            marker: marker?,
            marker_max,
            expires: optional(expires)?,
            created,
            changed,
            last_used,
            disabled: self.conditions(given(&keys.disabled)),
            ignore: self.conditions(given(&keys.ignore)),
            only: self.conditions(given(&keys.only)),
            hint: given(&keys.hint).cloned(),
            rights,
            has_effective_rights: given(&keys.effective_rights) == Some(&true),
            copies_unknown_rights: keys.unknown_rights.is_some(),
            credential: match given(&keys.credential) {
                Some(rule) => rule.0.as_ref().map(|named| self.conditions(Some(named))),
                None => Some(Vec::new()),
            },
        })
    }

    /// A date. Without a form it is written like the expiry, which must say it.
    fn time(&mut self, keys: &TimeKeys, form: Option<TimeForm>) -> Option<(Pointer, TimeForm)> {
        let at = self.required(&keys.0.at, "at").cloned();
        let form = given(&keys.0.form).copied().or(form);
        if form.is_none() && keys.0.form.is_none() {
            let origin = origin_of(&keys.0.at);
            self.problems.error(
                origin,
                Invalid::new("this date does not say in which form it is written")
                    .help("expected { at: POINTER, form: FORM } with rfc3339, date, seconds or milliseconds"),
            );
        }
        at.zip(form)
    }

    fn rights(&mut self, keys: &TokenKeys) -> Vec<Right> {
        let named = given(&keys.rights).map(|named| named.0.as_slice()).unwrap_or_default();
        named
            .iter()
            .filter_map(|(name, origin, field)| self.right(name, *origin, field.value.as_ref()?))
            .collect()
    }

    fn right(&mut self, name: &str, origin: Origin, keys: &RightKeys) -> Option<Right> {
        let keys = &keys.0;
        let at = given(&keys.at).cloned();
        if keys.at.is_none() {
            self.problems
                .error(origin, Invalid::new("this right has no `at`").help("say where the token shows it"));
        }
        let (keep, drop, each) = (given(&keys.keep), given(&keys.drop), given(&keys.each));
        let projection = match (keep, drop, each) {
            (None, None, None) => Projection::Whole,
            (Some(keep), None, None) => Projection::Keep(texts(Some(keep))),
            (None, Some(drop), None) => Projection::Drop(texts(Some(drop))),
            (None, None, Some(each)) => Projection::Each(each.clone()),
            _ => {
                self.problems.error(origin, Invalid::new("`keep`, `drop` and `each` exclude each other"));
                Projection::Whole
            }
        };
        Some(Right {
            name: name.to_owned(),
            at: at?,
            projection,
            default: given(&keys.default).map(json),
            is_required: given(&keys.required) == Some(&true),
            omits_empty: given(&keys.omit_empty) == Some(&true),
            unless: self.conditions(given(&keys.unless)),
            is_copied: given(&keys.copy) != Some(&false),
        })
    }

    fn list(&mut self, keys: &ListKeys) -> Option<ListCall> {
        let path = self.required(&keys.get, "get")?;
        let address = self.address(path, origin_of(&keys.get), Place::Path);
        let items = match given(&keys.items) {
            Some(pointers) => {
                pointers.0.iter().filter_map(|field| Some(field.value.as_ref()?.0.clone())).collect()
            }
            None => vec![Pointer::default()],
        };
        let page = match given(&keys.page) {
            None => Some(one_page()),
            Some(PageKeys::Link) => Some(Page { by: PageBy::Link, ..one_page() }),
            Some(PageKeys::Mapping(keys)) => self.page(keys),
        };
        Some(ListCall { address: address?, items, page: page?, needs: needs(&keys.needs) })
    }

    fn page(&mut self, keys: &PageMapping) -> Option<Page> {
        let by = [
            given(&keys.offset).map(|name| PageBy::Offset(name.clone())),
            given(&keys.number)
                .map(|name| PageBy::Number(name.clone(), given(&keys.first).map_or(1, |number| number.0))),
            given(&keys.cursor)
                .zip(given(&keys.at))
                .map(|(name, at)| PageBy::Cursor(name.clone(), at.clone())),
            given(&keys.next).map(|at| PageBy::Next(at.clone())),
        ];
        let mut by = by.into_iter().flatten();
        let origin = [
            origin_of(&keys.offset),
            origin_of(&keys.number),
            origin_of(&keys.cursor),
            origin_of(&keys.next),
        ]
        .into_iter()
        .find(|origin| *origin != Origin::Missing);
        let (Some(one), None) = (by.next(), by.next()) else {
            let invalid = Invalid::new("`page` must name exactly one way to the next page");
            self.problems.error(
                origin.unwrap_or(self.origin),
                invalid.help("expected `offset`, `number`, `cursor` with `at`, or `next`; or `page: link`"),
            );
            return None;
        };
        let limit =
            given(&keys.limit).map(|name| (name.clone(), given(&keys.size).map_or(100, |size| size.0)));
        Some(Page { by: one, limit, total: given(&keys.total).cloned(), more: given(&keys.more).cloned() })
    }

    fn create(&mut self, keys: &CreateKeys, place: Place, secrets: &[String]) -> Option<CreateCall> {
        let methods = [(Method::POST, &keys.post), (Method::PUT, &keys.put)];
        let path_place = if place == Place::Regenerate { Place::TokenPath } else { Place::Path };
        let request = self.method(&methods, path_place);
        let body = self
            .required(&keys.body, "body")
            .and_then(|node| Body::read(node, place, &self.names, self.problems));
        let value = self.required(&keys.value, "value").and_then(|texts| {
            let all: Vec<(&String, Origin)> =
                texts.0.iter().filter_map(|field| Some((field.value.as_ref()?, field.origin))).collect();
            self.new_value(&all, secrets)
        });
        let (method, address) = request?;
        Some(CreateCall {
            method,
            address,
            body: body?,
            done: statuses(given(&keys.done), &[200, 201]),
            item: given(&keys.item).map_or_else(|| Some(Pointer::default()), |item| item.0.clone()),
            value: value?,
            needs: needs(&keys.needs),
        })
    }

    /// Where the new value stands: a text that begins with `/` is a pointer.
    fn new_value(&mut self, texts: &[(&String, Origin)], secrets: &[String]) -> Option<NewValue> {
        let is_secret = |pointer: &Pointer| secrets.iter().any(|secret| secret == pointer.last());
        let undeclared = |pointer: &Pointer| {
            Invalid::new(format!("the value at {} is not among the `secrets`", quoted(pointer.text())))
                .help(format!("add {} to `secrets`, so that it is never printed", quoted(pointer.last())))
        };
        if let [(text, origin)] = texts
            && !text.starts_with('/')
        {
            let template = self.problems.note(*origin, Template::parse(text, Place::Value, &self.names))?;
            let parts: Vec<&Pointer> = template
                .placeholders()
                .filter_map(|one| match one {
                    Placeholder::Reply(pointer) => Some(pointer),
                    _ => None,
                })
                .collect();
            match parts.iter().find(|pointer| is_secret(pointer)) {
                Some(_) => return Some(NewValue::Composed(template)),
                None => {
                    let first = parts.first().copied().cloned().unwrap_or_default();
                    self.problems.error(*origin, undeclared(&first));
                    return None;
                }
            }
        }
        let mut pointers = Vec::new();
        for (text, origin) in texts {
            let pointer = self.problems.note(*origin, Pointer::parse(text))?;
            if !is_secret(&pointer) {
                self.problems.error(*origin, undeclared(&pointer));
            }
            pointers.push(pointer);
        }
        Some(NewValue::At(pointers))
    }

    fn call(&mut self, keys: &CallKeys, place: Place, done: &[u16]) -> Option<Call> {
        let methods = [
            (Method::GET, &keys.get),
            (Method::POST, &keys.post),
            (Method::PUT, &keys.put),
            (Method::PATCH, &keys.patch),
            (Method::DELETE, &keys.delete),
        ];
        let request = self.method(&methods, Place::TokenPath);
        let body = given(&keys.body).map(|node| Body::read(node, place, &self.names, self.problems));
        let (method, address) = request?;
        let body = optional(body)?;
        let names_the_token = address.placeholders().chain(body.iter().flat_map(Body::placeholders));
        if !names_the_token.into_iter().any(|one| *one == Placeholder::Id) {
            let origin = methods
                .iter()
                .find_map(|(_, field)| field.as_ref())
                .map_or(self.origin, |field| field.origin);
            self.problems.error(
                origin,
                Invalid::new("this request does not say which token it is about")
                    .help("write <id> in the path or in the body"),
            );
        }
        Some(Call {
            method,
            address,
            body,
            done: statuses(given(&keys.done), done),
            shows: self.conditions(given(&keys.shows)),
            item: given(&keys.item).cloned().unwrap_or_default(),
            needs: needs(&keys.needs),
        })
    }

    fn verify(&mut self, keys: &VerifyKeys) -> Option<VerifyCall> {
        let path = self.required(&keys.get, "get")?;
        let address = self.address(path, origin_of(&keys.get), Place::TokenPath);
        let auth = given(&keys.auth).map(|node| self.auth(node));
        Some(VerifyCall {
            address: address?,
            auth: optional(auth)?,
            shows: self.conditions(given(&keys.shows)),
            rejected: statuses(given(&keys.rejected), &[401]),
            unverified: statuses(given(&keys.unverified), &[403, 404]),
            needs: needs(&keys.needs),
        })
    }

    /// Exactly one method with its path.
    fn method(
        &mut self,
        methods: &[(Method, &Option<Field<String>>)],
        place: Place,
    ) -> Option<(Method, Address)> {
        let mut all = methods.iter().filter(|(_, field)| field.is_some());
        let Some((method, field)) = all.next() else {
            let known = methods.iter().map(|(method, _)| method.as_str().to_lowercase()).collect::<Vec<_>>();
            let help = format!("expected a path at {}", one_of(known.iter().map(String::as_str)));
            self.problems.error(self.origin, Invalid::new("a request has no path").help(help));
            return None;
        };
        if let Some((_, other)) = all.next() {
            self.problems.error(origin_of(other), Invalid::new("a request has one method"));
        }
        let address = self.address(given(field)?, origin_of(field), place)?;
        Some((method.clone(), address))
    }

    /// A path below the API's address. It cannot lead elsewhere: each segment is encoded,
    /// and a placeholder never holds more than one.
    fn address(&mut self, text: &str, origin: Origin, place: Place) -> Option<Address> {
        let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
        let is_legal = path.starts_with('/')
            && path.split('/').skip(1).all(|segment| !matches!(segment, "" | "." | ".."))
            && !text.contains(['\\', '#', '%'])
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_legal {
            self.problems.error(origin, Invalid::new(format!("{} is not a path below the API's address", quoted(text)))
                .help("expected a path like /v1/tokens/<id>?limit=10: no scheme, no host, no spaces, no //, no .., and nothing encoded"));
            return None;
        }
        let names = self.names.clone();
        let template = |text: &str| Template::parse(text, place, &names);
        let path: Result<Vec<_>, _> = path.split('/').skip(1).map(template).collect();
        let query = query.into_iter().flat_map(|query| query.split('&')).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((name.to_owned(), template(value)?))
        });
        let query: Result<Vec<_>, Invalid> = query.collect();
        let path = self.problems.note(origin, path)?;
        let query = self.problems.note(origin, query)?;
        Some(Address { path, query })
    }

    fn auth(&mut self, node: &Node) -> Option<Auth> {
        let expected = "expected bearer, basic, or { header: NAME, value: text with <credential> }";
        match &node.value {
            Value::Scalar { text, .. } if text == "bearer" => Some(bearer()),
            Value::Scalar { text, .. } if text == "basic" => Some(Auth::Basic),
            Value::Map(entries) => {
                let text = |wanted: &str| {
                    entries.iter().find_map(|(key, value)| match (&key.value, &value.value) {
                        (Value::Scalar { text: key, .. }, Value::Scalar { text, .. }) if key == wanted => {
                            Some((text.clone(), value.origin))
                        }
                        _ => None,
                    })
                };
                let is_known = |key: &Node| matches!(&key.value, Value::Scalar { text, .. } if text == "header" || text == "value");
                if let Some((key, _)) = entries.iter().find(|(key, _)| !is_known(key)) {
                    self.problems.error(key.origin, Invalid::new("unknown key of `auth`").help(expected));
                    return None;
                }
                let (name, at) = text("header").unwrap_or_else(|| ("Authorization".to_owned(), node.origin));
                let (value, value_at) =
                    text("value").unwrap_or_else(|| ("<credential>".to_owned(), node.origin));
                let name = self.header_name(&name, at);
                let template =
                    self.problems.note(value_at, Template::parse(&value, Place::Auth, &self.names))?;
                if !template.placeholders().any(|one| *one == Placeholder::Credential) {
                    self.problems
                        .error(value_at, Invalid::new("`auth` does not send the credential").help(expected));
                }
                Some(Auth::Header(name?, template))
            }
            _ => {
                self.problems.error(node.origin, Invalid::new("unknown way to sign in").help(expected));
                None
            }
        }
    }

    fn headers(&mut self, named: Option<&Named<Node>>) -> Vec<Header> {
        let all = named.map(|named| named.0.as_slice()).unwrap_or_default();
        all.iter()
            .filter_map(|(name, origin, field)| {
                let node = field.value.as_ref()?;
                let (text, at, only) = match &node.value {
                    Value::Scalar { text, .. } => (text.clone(), node.origin, None),
                    Value::Map(entries) => {
                        let text = |wanted: &str| {
                            entries.iter().find_map(|(key, value)| match (&key.value, &value.value) {
                                (Value::Scalar { text: key, .. }, Value::Scalar { text, .. })
                                    if key == wanted =>
                                {
                                    Some(text.clone())
                                }
                                _ => None,
                            })
                        };
                        (text("value").unwrap_or_default(), node.origin, text("only"))
                    }
                    _ => {
                        self.problems.error(
                            node.origin,
                            Invalid::new("a header is a text")
                                .help("or { value: text, only: how the credential begins }"),
                        );
                        return None;
                    }
                };
                let name = self.header_name(name, *origin)?;
                let value = self.problems.note(at, Template::parse(&text, Place::Header, &self.names))?;
                Some(Header { name, value, only })
            })
            .collect()
    }

    fn header_name(&mut self, name: &str, origin: Origin) -> Option<HeaderName> {
        let lower = name.to_ascii_lowercase();
        if ENGINE_HEADERS.contains(&lower.as_str()) {
            self.problems.error(origin, Invalid::new(format!("the header {} cannot be set", quoted(name))));
            return None;
        }
        let read = HeaderName::from_bytes(name.as_bytes());
        self.problems.note(
            origin,
            read.map_err(|_| Invalid::new(format!("{} is not the name of a header", quoted(name)))),
        )
    }

    fn variables(&mut self, named: Option<&Named<VariableKeys>>) -> BTreeMap<String, Variable> {
        let all = named.map(|named| named.0.as_slice()).unwrap_or_default();
        let mut variables = BTreeMap::new();
        for (name, origin, field) in all {
            let is_word =
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
                    && name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
            if !is_word || RESERVED.contains(&name.as_str()) || name == PROVED {
                let invalid = Invalid::new(format!("{} cannot be the name of a variable", quoted(name)));
                self.problems.error(
                    *origin,
                    invalid.help(
                        "lower-case letters, digits and _, and neither the name of a placeholder nor `proved`",
                    ),
                );
                continue;
            }
            let Some(keys) = &field.value else { continue };
            let is_secret = given(&keys.secret) == Some(&true);
            if is_secret && keys.default.is_some() {
                let invalid = Invalid::new("a secret variable has no default");
                self.problems.error(
                    origin_of(&keys.default),
                    invalid.help("the rotation names the environment variable, in `with`"),
                );
            }
            variables.insert(
                name.clone(),
                Variable {
                    about: given(&keys.about).cloned().unwrap_or_default(),
                    default: given(&keys.default).cloned(),
                    one_of: texts(given(&keys.one_of)),
                    is_optional: given(&keys.optional) == Some(&true),
                    is_secret,
                },
            );
        }
        variables
    }

    fn values(&mut self, list: Option<&Vec<Field<ValueKeys>>>) -> Vec<ValueShape> {
        let all = list.map(Vec::as_slice).unwrap_or_default();
        let read = |field: &Field<ValueKeys>| {
            let keys = field.value.as_ref()?;
            let prefix = self.required(&keys.prefix, "prefix")?.clone();
            let least = given(&keys.least).map_or(8, |least| size(*least));
            let bodies = [
                ("word", redact::Body::Word(least)),
                ("uuid", redact::Body::Uuid),
                ("random-word", redact::Body::RandomWord(least)),
                ("id-and-visible", redact::Body::IdAndVisible(least)),
            ];
            let body = match given(&keys.body) {
                Some(text) => {
                    self.problems.note(origin_of(&keys.body), named("form of a value", &bodies, text))?
                }
                None => redact::Body::Word(least),
            };
            Some(ValueShape {
                shape: TokenShape { prefix: Cow::Owned(prefix), body },
                is_listed: given(&keys.listed) != Some(&false),
                needs: texts(given(&keys.needs)),
            })
        };
        all.iter().filter_map(read).collect()
    }

    fn conditions(&mut self, named: Option<&Named<Node>>) -> Vec<Condition> {
        let all = named.map(|named| named.0.as_slice()).unwrap_or_default();
        all.iter()
            .filter_map(|(pointer, origin, field)| {
                let at = self.problems.note(*origin, Pointer::parse(pointer))?;
                let is = Body::read(field.value.as_ref()?, Place::Condition, &self.names, self.problems)?;
                Some(Condition { at, is })
            })
            .collect()
    }

    fn required<'k, T>(&mut self, field: &'k Option<Field<T>>, key: &str) -> Option<&'k T> {
        if field.is_none() {
            self.missing(key, None, "docs/providers.md says what belongs there");
        }
        given(field)
    }

    fn missing(&mut self, key: &str, origin: Option<Origin>, help: &str) {
        let invalid = Invalid::new(format!("this provider has no `{key}`"));
        self.problems.error(origin.unwrap_or(self.origin), invalid.help(help));
    }
}

/// A date is rounded down to the beginning of its day, so one of tomorrow may be over at once.
fn shortest_by_form(token: &TokenRules) -> Duration {
    let hours = if matches!(token.expires, Some((_, TimeForm::Date))) { 48 } else { 1 };
    Duration::from_secs(hours * 3600)
}

/// `None`: refused. `Some(None)`: not given.
fn optional<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(Some(value)) => Some(Some(value)),
        Some(None) => None,
    }
}

fn origin_of<T>(field: &Option<Field<T>>) -> Origin {
    field.as_ref().map_or(Origin::Missing, |field| field.origin)
}

fn bearer() -> Auth {
    let template = Template::parse("Bearer <credential>", Place::Auth, &Names::default());
    template.map_or(Auth::Basic, |template| Auth::Header(header::AUTHORIZATION, template))
}

fn one_page() -> Page {
    Page { by: PageBy::Nothing, limit: None, total: None, more: None }
}

/// The variable by which a rotation says that its provider was proved. `what`: what is not
/// published.
fn proved(what: Option<&str>) -> Variable {
    let shown = what.map(|what| format!(": it shows what is not published ({what})")).unwrap_or_default();
    Variable {
        about: format!("yes, once `crossfade provider prove` has ended well{shown}"),
        one_of: vec![YES.to_owned()],
        is_optional: true,
        ..Variable::default()
    }
}

fn texts(list: Option<&Vec<Field<String>>>) -> Vec<String> {
    list.into_iter().flatten().filter_map(|field| field.value.clone()).collect()
}

fn statuses(list: Option<&Vec<Field<Number>>>, usual: &[u16]) -> Vec<u16> {
    match list {
        Some(list) => list.iter().filter_map(|field| u16::try_from(field.value?.0).ok()).collect(),
        None => usual.to_vec(),
    }
}

fn needs(field: &Option<Field<String>>) -> String {
    given(field).cloned().unwrap_or_default()
}

fn size(number: Number) -> usize {
    usize::try_from(number.0).unwrap_or(usize::MAX)
}

fn id_form(text: &str) -> Result<IdForm, Invalid> {
    let beginning = text.strip_suffix('*').filter(|start| !start.is_empty());
    let hex = text.strip_prefix("hex ").and_then(|length| length.parse().ok());
    match (text, beginning, hex) {
        ("uuid", ..) => Ok(IdForm::Uuid),
        ("digits", ..) => Ok(IdForm::Digits),
        (_, Some(start), _) => Ok(IdForm::Beginning(start.to_owned())),
        (_, _, Some(length)) => Ok(IdForm::Hex(length)),
        _ => Err(Invalid::new(format!("unknown form of an id {}", quoted(text))).help(
            "expected uuid, digits, a number of hexadecimal digits like `hex 24`, or a beginning like TKN-*",
        )),
    }
}

/// A tree as JSON, without placeholders.
fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar { json, .. } => json.clone(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => entries
            .iter()
            .filter_map(|(key, value)| match &key.value {
                Value::Scalar { text, .. } => Some((text.clone(), json(value))),
                _ => None,
            })
            .collect(),
    }
}

impl Address {
    /// Its placeholders.
    pub(super) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        let query = self.query.iter().map(|(_, template)| template);
        self.path.iter().chain(query).flat_map(Template::placeholders)
    }
}
