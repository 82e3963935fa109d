//! The requests that a file describes.

use http::Method;

use super::super::keys::{CallKeys, CreateKeys, ListKeys, Number, PageKeys, PageMapping, VerifyKeys};
use super::super::template::{Body, Place, Placeholder, Pointer, Template};
use super::super::{Address, Call, CreateCall, ListCall, NewValue, Page, PageBy, VerifyCall};
use super::{Builder, optional, origin_of};
use crate::diagnostic::{Invalid, Origin, one_of, quoted};
use crate::yaml::keys::{Field, given};

impl Builder<'_> {
    pub(super) fn list(&mut self, keys: &ListKeys) -> Option<ListCall> {
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

    pub(super) fn create(
        &mut self,
        keys: &CreateKeys,
        place: Place,
        secrets: &[String],
    ) -> Option<CreateCall> {
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
            if template.placeholders().next().is_none() {
                let invalid = Invalid::new(format!("invalid JSON pointer {}", quoted(text)));
                self.problems.error(*origin, invalid.help(format!("write `/{text}`")));
                return None;
            }
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

    pub(super) fn call(&mut self, keys: &CallKeys, place: Place, done: &[u16]) -> Option<Call> {
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

    pub(super) fn verify(&mut self, keys: &VerifyKeys) -> Option<VerifyCall> {
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
}

fn one_page() -> Page {
    Page { by: PageBy::Nothing, limit: None, total: None, more: None }
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
