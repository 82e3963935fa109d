//! From the keys of a provider file to a checked [`ProviderFile`].
//!
//! A file that could harm a token is refused here, before anything is sent: without a
//! marker no later run recognises a token, without its rights a copy may gain some, and
//! a value that is not declared secret would be printed.

mod requests;
mod settings;
mod token;

use std::time::Duration;

use super::keys::ProviderKeys;
use super::template::{Body, Names, Place, Placeholder, Pointer};
use super::time::TimeForm;
use super::{Condition, CreateCall, ProviderFile, Right, TokenRules, VerifyCall};
use crate::diagnostic::{Invalid, Origin, Problems, quoted};
use crate::period::Period;
use crate::provider::PROVED;
use crate::redact;
use crate::yaml::Node;
use crate::yaml::keys::{Entry, Field, List, all, given, origin_of};
use settings::{bearer, proved};

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
    let needs = given(&keys.needs).map_or("the right to manage these tokens", String::as_str).to_owned();
    let mut builder = Builder { names: names(keys), needs, origin, problems };
    let file = builder.file(name, source, keys);
    file.filter(|_| builder.problems.errors() == before)
}

/// What the file declares, so that templates can refer to it.
fn names(keys: &ProviderKeys) -> Names {
    let mut names = Names::default();
    for (name, _, variable) in all(&keys.variables) {
        let is_secret = variable.value.as_ref().is_some_and(|keys| given(&keys.secret) == Some(&true));
        if is_secret { &mut names.secret } else { &mut names.plain }.push(name.clone());
    }
    let rights = given(&keys.token).map_or(&[][..], |token| all(&token.rights));
    names.rights = rights.iter().map(|(name, ..)| name.clone()).collect();
    names
}

struct Builder<'a> {
    names: Names,
    /// What each request needs that does not say it.
    needs: String,
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
        let secrets = texts(&keys.secrets);
        if secrets.is_empty() {
            let help = "name the field that holds the new value in the reply to `create`";
            self.refuse(&keys.secrets, "this provider has no `secrets`", help);
        }
        let token = self.required(&keys.token, "token").and_then(|token| self.token(token, &secrets));
        let list = self.required(&keys.list, "list").and_then(|list| self.list(list));
        let create = self
            .required(&keys.create, "create")
            .and_then(|create| self.create(create, Place::Create, &secrets));
        let regenerate =
            given(&keys.regenerate).and_then(|keys| self.create(keys, Place::Regenerate, &secrets));
        let delete =
            self.required(&keys.delete, "delete").and_then(|keys| self.call(keys, Place::End, &[204]));
        let get = given(&keys.get).and_then(|keys| self.call(keys, Place::End, &[200]));
        let disable = given(&keys.disable).and_then(|keys| self.call(keys, Place::End, &[200]));
        let set_expiry = given(&keys.set_expiry).and_then(|keys| self.call(keys, Place::SetExpiry, &[200]));
        let verify = given(&keys.verify).and_then(|keys| self.verify(keys));
        let headers = self.headers(all(&keys.headers));
        let auth = given(&keys.auth).map_or_else(|| Some(bearer()), |node| self.auth(node))?;
        let mut variables = self.variables(all(&keys.variables));
        let unproved = given(&keys.unproved).cloned();
        // A file of the user's own may have been proved, whatever it states.
        if unproved.is_some() || source.is_none() {
            variables.insert(PROVED.to_owned(), proved(unproved.as_deref()));
        }
        let values = self.values(all(&keys.values));
        let duration = |field| given(field).map(|period: &Period| period.duration().unsigned_abs());
        let (token, create) = (token?, create?);
        self.consistent(keys, &token, &create, regenerate.as_ref());
        if source.is_none() && token.marker_max.is_none() && keys.unproved.is_none() {
            self.unknown_length(given(&keys.token), &token);
        }
        let is_told_by_value =
            values.iter().any(|value| matches!(value.shape.body, redact::Body::IdAndVisible(_)));
        let is_told = given(&keys.token).is_some_and(|keys| keys.credential.is_some());
        let is_told_by_reply = verify.as_ref().is_some_and(VerifyCall::tells_the_id);
        if !is_told && token.hint.is_none() && !is_told_by_value && !is_told_by_reply {
            let help = "crossfade never ends a token that it may sign in with. Write `credential: none` if the list never shows the \
                        credential, or what only such tokens show, like `credential: { /scopes: tokens:write }`";
            self.refuse(&keys.token, "`token` does not say which tokens can be the credential", help);
        }
        if disable.is_some() && token.disabled.is_empty() {
            let help = "say what a disabled token shows, like { /status: Disabled }";
            self.refuse(&keys.disable, "`disable` needs `token.disabled`", help);
        }
        if set_expiry.is_some() && token.expires.is_none() {
            self.refuse(
                &keys.set_expiry,
                "`set_expiry` needs `token.expires`",
                "say where the expiry stands",
            );
        }
        Some(ProviderFile {
            name: name.to_owned(),
            title: given(&keys.title).cloned().unwrap_or_else(|| name.to_owned()),
            source,
            api: match &keys.api {
                // What is wrong with it was said.
                Some(field) => Some(field.value.clone()?),
                None => None,
            },
            needs: self.needs.clone(),
            unproved,
            auth,
            headers,
            variables,
            eventual: duration(&keys.eventual).unwrap_or_default(),
            shortest: duration(&keys.shortest).unwrap_or_else(|| shortest_by_form(&token)),
            secrets: secrets.into(),
            values,
            token,
            list: list?,
            get,
            create,
            regenerate,
            verify,
            disable,
            delete: delete?,
            set_expiry,
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
        let origin = given(&keys.create).map_or(self.origin, |create| self.at(&create.body));
        let has = |wanted: &dyn Fn(&Placeholder) -> bool| create.body.has(wanted);
        let is_expiry =
            |one: &Placeholder| matches!(one, Placeholder::Expires(_) | Placeholder::ExpiresIn(_));
        let is_name = |one: &Placeholder| matches!(one, Placeholder::Name | Placeholder::UniqueName);
        if !has(&|one| *one == Placeholder::Marker) {
            let invalid = Invalid::new("the body of `create` has no <marker>");
            self.problems.error(origin, invalid.help("write <marker> at the field that `token.marker` points to: without it no later run recognises the token"));
        }
        if token.expires.is_some() && !has(&is_expiry) {
            let invalid = Invalid::new("tokens expire, and the body of `create` says nothing of when");
            self.problems.error(origin, invalid.help("write <expires:rfc3339>, <expires:date>, <expires:seconds>, <expires:milliseconds> or <expires_in:seconds>"));
        }
        if token.expires.is_none() && has(&is_expiry) {
            let invalid = Invalid::new("the body of `create` sets an expiry, and `token.expires` is missing");
            self.problems
                .error(origin, invalid.help("say where the list shows the expiry, and in which form"));
        }
        if !token.marks_the_name() && !has(&is_name) {
            let invalid = Invalid::new("the body of `create` has no <name>");
            self.problems.error(origin, invalid.help("the marker does not stand in the name, so the new token needs the name of the previous one"));
        }
        let is_left_out = |right: &&Right| {
            right.is_copied && !has(&|one| matches!(one, Placeholder::Right(name) if *name == right.name))
        };
        for Right { name, .. } in token.rights.iter().filter(is_left_out) {
            let invalid =
                Invalid::new(format!("the body of `create` does not copy the right {}", quoted(name)));
            self.problems.error(origin, invalid.help(format!(
                "write <rights.{name}>, or `copy: false` at the right: what a creation leaves out may widen the new token"
            )));
        }
        if let Some(regenerate) = regenerate {
            let origin = given(&keys.regenerate).map_or(self.origin, |keys| self.at(&keys.body));
            if !regenerate.body.has(&|one| matches!(one, Placeholder::PreviousEnds(_))) {
                let invalid =
                    Invalid::new("the body of `regenerate` does not say when the previous token ends");
                self.problems.error(origin, invalid.help("write <previous_ends:rfc3339> or another form; a service that ends it at once is not supported"));
            }
            if !regenerate.body.has(&|one| matches!(one, Placeholder::Marker | Placeholder::Create)) {
                let invalid = Invalid::new("the body of `regenerate` has no <marker>");
                self.problems
                    .error(origin, invalid.help("write <create>, the whole body of `create`, or <marker>"));
            }
        }
    }

    fn conditions(&mut self, named: &[Entry<Node>]) -> Vec<Condition> {
        named
            .iter()
            .filter_map(|(pointer, origin, field)| {
                let at = self.problems.note(*origin, Pointer::parse(pointer))?;
                let is = Body::read(field.value.as_ref()?, Place::Condition, &self.names, self.problems)?;
                Some(Condition { at, is })
            })
            .collect()
    }

    fn required<'k, T>(&mut self, field: &'k Option<Field<T>>, key: &str) -> Option<&'k T> {
        if field.is_none() {
            let message = format!("this provider has no `{key}`");
            self.refuse(field, message, "docs/providers.md says what belongs there");
        }
        given(field)
    }

    /// Notes what is wrong with a key, or that it is missing, and what to write.
    fn refuse<T>(&mut self, field: &Option<Field<T>>, message: impl Into<String>, help: impl Into<String>) {
        self.problems.error(self.at(field), Invalid::new(message).help(help));
    }

    /// Where a key was given, else where the provider stands.
    fn at<T>(&self, field: &Option<Field<T>>) -> Origin {
        origin_of(field).unwrap_or(self.origin)
    }
}

/// A date is rounded down to the beginning of its day, so one of tomorrow may be over at once.
fn shortest_by_form(token: &TokenRules) -> Duration {
    let hours = if matches!(token.expires, Some((_, TimeForm::Date))) { 48 } else { 1 };
    Duration::from_secs(hours * 3600)
}

fn texts(list: &Option<Field<List<String>>>) -> Vec<String> {
    all(list).iter().filter_map(|field| field.value.clone()).collect()
}
