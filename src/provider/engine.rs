//! Runs a provider file: the one implementation of [`Provider`].
//!
//! It holds no policy: when to mint, what to retire and what a lost reply means is
//! decided in [`crate::rotation`].

mod minting;
mod pages;
mod reading;
mod requests;

use std::collections::BTreeMap;

use async_trait::async_trait;
use http::Method;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use self::pages::Pages;
use self::reading::{at, fields, fits_hint, hint_of};
use self::requests::Subject;
use super::connection::{Connection, Endpoint, explain};
use super::file::template::text_of;
use super::file::{Call, Condition, ProviderFile};
use super::{
    Error, ErrorKind, Expiry, Kind, MarkerIn, Mint, Minted, Overlap, Profile, Provider, ProviderSettings,
    RetireAction, Token, Verification,
};

/// A service, as its file and a rotation's settings describe it.
pub(super) struct Engine {
    kind: Kind,
    connection: Connection,
    /// The values of the variables that may be shown.
    variables: BTreeMap<String, String>,
    /// Those of the others.
    secrets: BTreeMap<String, SecretString>,
}

impl Engine {
    /// The engine for a rotation's provider; `secrets` are the values of its secret
    /// variables.
    pub(super) fn new(
        settings: &ProviderSettings,
        secrets: &BTreeMap<String, SecretString>,
        endpoint: Endpoint,
    ) -> Result<Self, Error> {
        let file = settings.kind.file();
        let connection = Connection::new(endpoint, settings.url.as_ref(), file.api.as_ref())?;
        let mut variables = BTreeMap::new();
        let mut own_secrets = BTreeMap::new();
        for (name, variable) in &file.variables {
            let given = settings.with.get(name).or(variable.default.as_ref());
            let Some(given) = given else { continue };
            if !variable.is_secret {
                variables.insert(name.clone(), given.clone());
            } else if let Some(secret) = secrets.get(given) {
                own_secrets.insert(name.clone(), secret.clone());
            }
        }
        Ok(Self { kind: settings.kind.clone(), connection, variables, secrets: own_secrets })
    }

    fn file(&self) -> &ProviderFile {
        self.kind.file()
    }

    /// The token that a reply shows; `None`: what it shows is no token any more.
    fn read_item(&self, call: &Call, reply: &Value) -> Result<Option<Token>, Error> {
        let item =
            call.item.of(reply).filter(|item| self.file().token.id.of(item).and_then(text_of).is_some());
        // Something else that answers must not read as "this is no token any more".
        let item = item.and_then(Value::as_object);
        let nothing = || format!("no token at {}", at("item", std::slice::from_ref(&call.item)));
        let item = item.ok_or_else(|| Error::unreadable(&nothing()))?;
        self.read_token(item.clone())
    }

    /// Whether `value` may be the value of a token, by what the token shows of it.
    fn fits_value(&self, token: &Token, value: &SecretString) -> bool {
        let value = value.expose_secret();
        let names_another =
            self.file().shapes().filter_map(|shape| shape.parts(value)).any(|(id, _)| id != token.id);
        !names_another && fits_hint(value, hint_of(&token.raw))
    }
}

#[async_trait]
impl Provider for Engine {
    fn profile(&self) -> Profile {
        let file = self.file();
        Profile {
            overlap: if file.regenerate.is_some() { Overlap::Native } else { Overlap::AcrossRuns },
            expiry: if file.token.expires.is_some() { Expiry::Native } else { Expiry::ByAge },
            marker_in: if file.token.marks_the_name() { MarkerIn::Name } else { MarkerIn::Description },
            marker_max: file.token.marker_max,
            can_disable: file.disable.is_some(),
            can_set_expiry: file.set_expiry.is_some(),
            has_effective_rights: file.token.has_effective_rights,
        }
    }

    async fn list(&self, credential: &SecretString) -> Result<Vec<Token>, Error> {
        let list = &self.file().list;
        let mut pages = Pages::new(&list.page, &self.file().token.id);
        loop {
            let request =
                self.request(&list.address, &Subject::none(), credential, self.needs(&list.needs))?;
            let what = self.connection.described(&Method::GET, &request.path);
            let reply = match pages.next_url(self.connection.base())? {
                Some(url) => self.connection.get_url(url, request).await?,
                None => self.connection.get(pages.with_parameters(request)).await?,
            };
            let shown: Value = reply.json().map_err(|_| Error::unreadable("no JSON").to(&what))?;
            // Something else that answers must not read as "there are no tokens".
            let items = list.items.iter().find_map(|pointer| pointer.of(&shown)?.as_array());
            let nothing =
                || format!("no list of tokens at {}{}", at("list.items", &list.items), fields(&shown));
            let items = items.ok_or_else(|| Error::unreadable(&nothing()).to(&what))?.clone();
            if !pages.add(items, &shown, &reply.headers)? {
                break;
            }
        }
        let read = |item| self.read_token(item).transpose();
        pages.items.into_iter().filter_map(read).collect()
    }

    fn could_be_id(&self, text: &str) -> bool {
        self.file().token.id_form.fits(text)
    }

    async fn get(&self, credential: &SecretString, id: &str) -> Result<Option<Token>, Error> {
        let Some(call) = &self.file().get else {
            return Ok(self.list(credential).await?.into_iter().find(|token| token.id == id));
        };
        match self.send(call, &Subject::id(id), credential).await {
            Ok(reply) => self.read_item(call, &reply),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn mint(&self, credential: &SecretString, mint: &Mint<'_>) -> Result<Minted, Error> {
        let whole = match mint.previous {
            Some(previous) => self.complete(credential, previous).await?,
            None => None,
        };
        let previous = whole.as_ref().or(mint.previous);
        let unknown =
            previous.map(|token| self.file().token.unknown_rights(&Value::Object(token.raw.clone())));
        let has_unknown = unknown.is_some_and(|unknown| !unknown.is_empty());
        let result = match self.request_mint(credential, mint, previous, false).await {
            Err(error) if has_unknown && error.kind == ErrorKind::Invalid => {
                self.made_nothing(credential, mint.note, error).await?;
                self.request_mint(credential, mint, previous, true).await
            }
            result => result,
        };
        let (value, item) = result?;
        let token = self.minted(credential, mint, &value, item).await?;
        Ok(Minted { token, value })
    }

    async fn verify(&self, minted: &Minted, verify: Option<&str>) -> Result<Verification, Error> {
        let file = self.file();
        let auth = file.verify.as_ref().and_then(|call| call.auth.as_ref()).unwrap_or(&file.auth);
        if let Some(path) = verify {
            return self.connection.verify(path, self.headers(&minted.value, auth)?).await;
        }
        let Some(call) = &file.verify else { return Ok(Verification::Unverified) };
        let subject = Subject::token(&minted.token, file);
        let mut request = self.request(&call.address, &subject, &minted.value, self.needs(&call.needs))?;
        request.headers = self.headers(&minted.value, auth)?;
        let needs = request.needs;
        let reply = self.connection.any(request).await?;
        let status = reply.status.as_u16();
        if !reply.status.is_success() {
            let error = explain(&reply, needs);
            return match error.kind {
                ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Unreadable => Err(error),
                _ if call.rejected.contains(&status) => Ok(Verification::Rejected),
                _ if call.unverified.contains(&status) => Ok(Verification::Unverified),
                _ => Err(error),
            };
        }
        // A reply without that token is no evidence: it may come from something else.
        let shown: Value = reply.json().map_err(|_| Error::unreadable("no JSON"))?;
        let values = self.values(&subject);
        let is_meant = call.shows.iter().all(|condition| condition.holds(&shown, &values));
        Ok(if is_meant { Verification::Verified } else { Verification::Unverified })
    }

    async fn not_shown(&self, minted: &Minted) -> Option<String> {
        let call = self.file().verify.as_ref()?;
        let subject = Subject::token(&minted.token, self.file());
        let mut request = self.request(&call.address, &subject, &minted.value, "").ok()?;
        request.headers =
            self.headers(&minted.value, call.auth.as_ref().unwrap_or(&self.file().auth)).ok()?;
        let path = request.path.join("/");
        let reply = self.connection.any(request).await.ok().filter(|reply| reply.status.is_success())?;
        let shown: Value = reply.json().ok()?;
        let values = self.values(&subject);
        let unmet = call.shows.iter().find(|condition| !condition.holds(&shown, &values))?;
        let how = if unmet.at.of(&shown).is_none() { "without" } else { "with another value at" };
        Some(format!("GET /{path} was answered {how} {}", unmet.at.text()))
    }

    async fn retire(
        &self,
        credential: &SecretString,
        token: &Token,
        action: RetireAction,
    ) -> Result<(), Error> {
        let file = self.file();
        let call = match action {
            RetireAction::Disable => {
                file.disable.as_ref().ok_or_else(|| Error::invalid("this provider cannot disable a token"))?
            }
            RetireAction::Delete => &file.delete,
        };
        let subject = Subject::token(token, file);
        let request = self.request(&call.address, &subject, credential, self.needs(&call.needs))?;
        let body = call.body.as_ref().and_then(|body| body.value(&self.values(&subject), &|_| true));
        let reply = self.connection.once(call.method.clone(), request, body.as_ref()).await?;
        // A proxy may answer 200 to anything.
        self.require(call, &subject, &reply).map(drop)
    }

    async fn set_expiry(
        &self,
        credential: &SecretString,
        token: &Token,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        let Some(call) = &self.file().set_expiry else {
            return Err(Error::invalid("this provider cannot change the expiry of a token"));
        };
        let subject = Subject { expires_at: Some(expires_at), ..Subject::token(token, self.file()) };
        let reply = match self.send(call, &subject, credential).await {
            Ok(reply) => reply,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let shown = match self.read_item(call, &reply) {
            Ok(shown) => shown,
            Err(_) => self.get(credential, &token.id).await?,
        };
        if shown.is_some_and(|shown| shown.expires_at.is_none_or(|end| end > expires_at)) {
            return Err(Error::invalid("the provider answered with success, but did not change the expiry"));
        }
        Ok(())
    }

    fn could_be_value_of(&self, token: &Token, credential: &SecretString) -> bool {
        let file = self.file();
        let value = credential.expose_secret();
        let is_unlisted = |value_shape: &super::file::ValueShape| {
            !value_shape.is_listed && value.starts_with(&*value_shape.shape.prefix)
        };
        let raw = Value::Object(token.raw.clone());
        !file.values.iter().any(is_unlisted)
            && self.fits_value(token, credential)
            && file.token.credential.as_ref().is_some_and(|conditions| {
                conditions.iter().all(|condition| condition.holds(&raw, &|one| self.variable(one)))
            })
    }

    async fn is_value_of(&self, token: &Token, credential: &SecretString) -> bool {
        if !self.could_be_value_of(token, credential) {
            return false;
        }
        let file = self.file();
        let Some(call) = file.verify.as_ref().filter(|call| call.tells_the_id()) else { return true };
        let subject = Subject::token(token, file);
        let request = self.request(&call.address, &subject, credential, self.needs(&call.needs));
        let Ok(request) = request else { return true };
        let shown: Value = match self.connection.any(request).await {
            Ok(reply) if reply.status.is_success() => reply.json().unwrap_or_default(),
            _ => return true,
        };
        // A reply without an id tells nothing: it may come from something else.
        let tells = |condition: &Condition| condition.at.of(&shown).is_some_and(|one| text_of(one).is_some());
        let values = self.values(&subject);
        !call.shows.iter().all(tells) || call.shows.iter().all(|condition| condition.holds(&shown, &values))
    }
}

#[cfg(test)]
mod tests;
