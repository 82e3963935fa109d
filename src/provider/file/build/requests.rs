//! The requests that a file describes.

use http::Method;

use super::super::keys::{CallKeys, CreateKeys, ListKeys, PageKeys, PageMapping, VerifyKeys};
use super::super::template::{Body, Place, Placeholder, Pointer, Template};
use super::super::{Call, CreateCall, ListCall, NewValue, Page, PageBy, VerifyCall};
use super::Builder;
use crate::diagnostic::{Invalid, Origin, one_of, quoted};
use crate::yaml::keys::{Field, List, OneOrMore, all, given, origin_of};

impl Builder<'_> {
    pub(super) fn list(&mut self, keys: &ListKeys) -> Option<ListCall> {
        self.required(&keys.get, "get")?;
        let call = self.request(Method::GET, &keys.get, Place::Path, &keys.needs);
        let items = match given(&keys.items) {
            Some(OneOrMore(all)) => {
                all.iter().filter_map(|one| Some(one.value.as_ref()?.0.clone())).collect()
            }
            None => vec![Pointer::default()],
        };
        let unlimited = |by| Page { by, limit: None, total: None, more: None };
        let page = match given(&keys.page) {
            None => Some(unlimited(PageBy::Nothing)),
            Some(PageKeys::Link) => Some(unlimited(PageBy::Link)),
            Some(PageKeys::Mapping(keys)) => self.page(keys),
        };
        Some(ListCall { call: call?, items, page: page? })
    }

    fn page(&mut self, keys: &PageMapping) -> Option<Page> {
        let by = [
            given(&keys.offset).map(|name| PageBy::Offset(name.clone())),
            given(&keys.number)
                .map(|name| PageBy::Number(name.clone(), given(&keys.first).copied().unwrap_or(1))),
            given(&keys.cursor)
                .zip(given(&keys.at))
                .map(|(name, at)| PageBy::Cursor(name.clone(), at.clone())),
            given(&keys.next).map(|at| PageBy::Next(at.clone())),
        ];
        let mut by = by.into_iter().flatten();
        let ways = [&keys.offset, &keys.number, &keys.cursor].into_iter().find_map(origin_of);
        let origin = ways.or(origin_of(&keys.next));
        let (Some(one), None) = (by.next(), by.next()) else {
            let help = "expected `offset`, `number`, `cursor` with `at`, or `next`; or `page: link`";
            let invalid = Invalid::new("`page` must name exactly one way to the next page").help(help);
            self.problems.error(origin.unwrap_or(self.origin), invalid);
            return None;
        };
        let limit = given(&keys.limit).map(|name| (name.clone(), given(&keys.size).copied().unwrap_or(100)));
        Some(Page { by: one, limit, total: given(&keys.total).cloned(), more: given(&keys.more).cloned() })
    }

    pub(super) fn create(
        &mut self,
        keys: &CreateKeys,
        place: Place,
        secrets: &[String],
    ) -> Option<CreateCall> {
        let methods = [(Method::POST, &keys.post), (Method::PUT, &keys.put)];
        let path_place = if place == Place::Regenerate { Place::TokenPath } else { Place::Path };
        let call = self.any_request(&methods, path_place, &keys.needs);
        let body = self
            .required(&keys.body, "body")
            .and_then(|node| Body::read(node, place, &self.names, self.problems));
        let value = self.required(&keys.value, "value").and_then(|texts| {
            let all: Vec<(&String, Origin)> =
                texts.0.iter().filter_map(|field| Some((field.value.as_ref()?, field.origin))).collect();
            self.new_value(&all, secrets)
        });
        let call = call?;
        let call = Call {
            done: statuses(&keys.done, &[200, 201]),
            item: given(&keys.item).map_or(call.item, |item| item.0.clone()),
            ..call
        };
        Some(CreateCall { call, body: body?, value: value? })
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
            let pointer = |one: &Placeholder| match one {
                Placeholder::Reply(pointer) => Some(pointer.clone()),
                _ => None,
            };
            let parts: Vec<Pointer> = template.placeholders().filter_map(pointer).collect();
            if parts.iter().any(is_secret) {
                return Some(NewValue::Composed(template));
            }
            let invalid = Invalid::new(format!("invalid JSON pointer {}", quoted(text)));
            let invalid = parts.first().map_or(invalid.help(format!("write `/{text}`")), undeclared);
            self.problems.error(*origin, invalid);
            return None;
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

    pub(super) fn call(&mut self, keys: &CallKeys, place: Place, done: &[u16]) -> Option<Call> {
        let methods = [
            (Method::GET, &keys.get),
            (Method::POST, &keys.post),
            (Method::PUT, &keys.put),
            (Method::PATCH, &keys.patch),
            (Method::DELETE, &keys.delete),
        ];
        let call = self.any_request(&methods, Place::TokenPath, &keys.needs);
        let body = given(&keys.body).and_then(|node| Body::read(node, place, &self.names, self.problems));
        if keys.body.is_some() && body.is_none() {
            return None;
        }
        let call = Call {
            body,
            done: statuses(&keys.done, done),
            shows: self.conditions(all(&keys.shows)),
            item: Some(given(&keys.item).cloned().unwrap_or_default()),
            ..call?
        };
        let names_the_token = |one: &Placeholder| *one == Placeholder::Id;
        let is_in_body = call.body.as_ref().is_some_and(|body| body.has(&names_the_token));
        if !is_in_body && !call.placeholders().any(names_the_token) {
            let path = methods.iter().find_map(|(_, path)| origin_of(path));
            let invalid = Invalid::new("this request does not say which token it is about");
            self.problems
                .error(path.unwrap_or(self.origin), invalid.help("write <id> in the path or in the body"));
        }
        Some(call)
    }

    pub(super) fn verify(&mut self, keys: &VerifyKeys) -> Option<VerifyCall> {
        self.required(&keys.get, "get")?;
        let call = self.request(Method::GET, &keys.get, Place::TokenPath, &keys.needs);
        Some(VerifyCall {
            call: Call { shows: self.conditions(all(&keys.shows)), ..call? },
            auth: given(&keys.auth).and_then(|node| self.auth(node)),
            rejected: statuses(&keys.rejected, &[401]),
            unverified: statuses(&keys.unverified, &[403, 404]),
        })
    }

    /// A request with exactly one method and its path.
    fn any_request(
        &mut self,
        methods: &[(Method, &Option<Field<String>>)],
        place: Place,
        needs: &Option<Field<String>>,
    ) -> Option<Call> {
        let mut all = methods.iter().filter(|(_, field)| field.is_some());
        let Some((method, path)) = all.next() else {
            let known = methods.iter().map(|(method, _)| method.as_str().to_lowercase()).collect::<Vec<_>>();
            let help = format!("expected a path at {}", one_of(known.iter().map(String::as_str)));
            self.problems.error(self.origin, Invalid::new("a request has no path").help(help));
            return None;
        };
        if let Some((_, other)) = all.next() {
            self.problems.error(self.at(other), Invalid::new("a request has one method"));
        }
        self.request(method.clone(), path, place, needs)
    }

    /// A request to a path below the API's address. It cannot lead elsewhere: each segment is
    /// encoded, and a placeholder never holds more than one.
    fn request(
        &mut self,
        method: Method,
        path: &Option<Field<String>>,
        place: Place,
        needs: &Option<Field<String>>,
    ) -> Option<Call> {
        let (text, origin) = (given(path)?, self.at(path));
        let (path, query) = text.split_once('?').map_or((&**text, None), |(path, query)| (path, Some(query)));
        let is_legal = path.starts_with('/')
            && path.split('/').skip(1).all(|segment| !matches!(segment, "" | "." | ".."))
            && !text.contains(['\\', '#', '%'])
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_legal {
            self.problems.error(origin, Invalid::new(format!("{} is not a path below the API's address", quoted(text)))
                .help("expected a path like /v1/tokens/<id>?limit=10: no scheme, no host, no spaces, no //, no .., and nothing encoded"));
            return None;
        }
        let template = |text: &str| Template::parse(text, place, &self.names);
        let path: Result<Vec<_>, _> = path.split('/').skip(1).map(template).collect();
        let query = query.into_iter().flat_map(|query| query.split('&')).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((name.to_owned(), template(value)?))
        });
        let query: Result<Vec<_>, Invalid> = query.collect();
        Some(Call {
            method,
            path: self.problems.note(origin, path)?,
            query: self.problems.note(origin, query)?,
            body: None,
            done: Vec::new(),
            shows: Vec::new(),
            item: Some(Pointer::default()),
            needs: given(needs).unwrap_or(&self.needs).clone(),
        })
    }
}

fn statuses(list: &Option<Field<List<usize>>>, usual: &[u16]) -> Vec<u16> {
    match given(list) {
        Some(list) => list.iter().filter_map(|field| u16::try_from(field.value?).ok()).collect(),
        None => usual.to_vec(),
    }
}
