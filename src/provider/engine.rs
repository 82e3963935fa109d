//! Runs a provider file.
//!
//! It holds no policy: when to mint, what to retire and what a lost reply means is
//! decided in [`crate::rotation`].

mod minting;
mod pages;
mod reading;
mod requests;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use self::pages::Pages;
use self::reading::{at, fields, fits_hint, hint_of};
use self::requests::Subject;
use super::connection::{Connection, described, explain};
use super::file::template::text_of;
use super::file::{Call, Condition, ProviderFile, ValueShape};
use super::{
    Error, ErrorKind, Kind, Mint, Minted, Profile, ProviderSettings, Result, RetireAction, Token,
    Verification,
};
use crate::clock::ClockId;
use crate::http::{Announce, Http, Values};

/// A service that issues tokens, as its file and a rotation's settings describe it.
pub(crate) struct Provider {
    kind: Kind,
    connection: Connection,
    /// The values of the variables that may be shown.
    variables: BTreeMap<String, String>,
    /// Those of the others.
    secrets: BTreeMap<String, SecretString>,
}

impl Provider {
    /// Sends nothing yet. The service's replies set `clock`, and `announce` is called with
    /// every value that they contain. `secrets` are the values of environment variables.
    pub(crate) fn new(
        settings: &ProviderSettings,
        secrets: &BTreeMap<String, SecretString>,
        http: Arc<Http>,
        clock: ClockId,
        announce: Announce,
    ) -> Result<Self> {
        let file = settings.kind.file();
        let values = Values { fields: Arc::clone(&file.secrets), announce };
        let connection = Connection::new(http, clock, values, settings.url.as_ref(), file.api.as_ref())?;
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

    /// What its tokens can do.
    pub(crate) fn profile(&self) -> Profile {
        let file = self.file();
        Profile {
            has_native_overlap: file.regenerate.is_some(),
            expires: file.token.expires.is_some(),
            marks_the_name: file.token.marks_the_name(),
            marker_max: file.token.marker_max,
            can_disable: file.disable.is_some(),
            can_set_expiry: file.set_expiry.is_some(),
            has_effective_rights: file.token.has_effective_rights,
        }
    }

    /// Every token that the credential can see.
    pub(crate) async fn list(&self, credential: &SecretString) -> Result<Vec<Token>> {
        let list = &self.file().list;
        let mut pages = Pages::new(&list.page, &self.file().token.id);
        loop {
            let request = self.request(&list.call, &Subject::default(), credential)?;
            let what = described(&request);
            let request = pages.next(request, &self.connection.base)?;
            let reply = Box::pin(self.connection.repeatable(request, &list.call.needs)).await?;
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
        pages.items.into_iter().filter_map(|item| self.read_token(item).transpose()).collect()
    }

    /// Whether a text that a user wrote may be the id of a token. `false` only when it is
    /// certainly a name.
    pub(crate) fn could_be_id(&self, text: &str) -> bool {
        self.file().token.id_form.fits(text)
    }

    /// One token by its id; `None` if the service answers that it does not exist.
    pub(crate) async fn get(&self, credential: &SecretString, id: &str) -> Result<Option<Token>> {
        let Some(call) = &self.file().get else {
            return Ok(Box::pin(self.list(credential)).await?.into_iter().find(|token| token.id == id));
        };
        let subject = Subject { id: Some(id.into()), ..Subject::default() };
        match self.send(call, &subject, credential).await {
            Ok(reply) => self.read_item(call, &reply),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The token that a reply shows; `None` if the reply shows that it has ended.
    fn read_item(&self, call: &Call, reply: &Value) -> Result<Option<Token>> {
        let item = call.item.as_ref().and_then(|at| at.of(reply));
        // A reply from something else must not be taken for an ended token.
        let item = item.filter(|item| self.file().token.id.of(item).and_then(text_of).is_some());
        let nothing = || format!("no token at {}", at("item", call.item.as_slice()));
        self.read_token(item.ok_or_else(|| Error::unreadable(&nothing()))?.clone())
    }

    /// Creates the new token. Sent once: the caller decides what a lost reply means.
    pub(crate) async fn mint(&self, credential: &SecretString, mint: &Mint<'_>) -> Result<Minted> {
        let whole = match mint.previous {
            Some(previous) => self.complete(credential, previous).await?,
            None => None,
        };
        let previous = whole.as_ref().or(mint.previous);
        let has_unknown =
            previous.is_some_and(|token| !self.file().token.unknown_rights(&token.raw).is_empty());
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

    /// Verifies that the provider accepts a new value, at the path `verify` if there is one.
    pub(crate) async fn verify(&self, minted: &Minted, verify: Option<&str>) -> Result<Verification> {
        let file = self.file();
        if let Some(path) = verify {
            let auth = file.verify.as_ref().and_then(|verify| verify.auth.as_ref()).unwrap_or(&file.auth);
            return Box::pin(self.connection.verify(path, self.headers(&minted.value, auth)?)).await;
        }
        let Some(verify) = &file.verify else { return Ok(Verification::Unverified) };
        let subject = Subject::token(&minted.token, file);
        let reply =
            Box::pin(self.connection.any(self.verification(verify, &subject, &minted.value)?)).await?;
        let status = reply.status.as_u16();
        if !reply.status.is_success() {
            let error = explain(&reply, &verify.call.needs);
            return match error.kind {
                ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Unreadable => Err(error),
                _ if verify.rejected.contains(&status) => Ok(Verification::Rejected),
                _ if verify.unverified.contains(&status) => Ok(Verification::Unverified),
                _ => Err(error),
            };
        }
        // A reply without that token is no evidence: it may come from something else.
        let shown: Value = reply.json().map_err(|_| Error::unreadable("no JSON"))?;
        let values = self.values(&subject);
        let is_meant = verify.call.shows.iter().all(|condition| condition.holds(&shown, &values));
        Ok(if is_meant { Verification::Verified } else { Verification::Unverified })
    }

    /// Why a success reply to [`Self::verify`] without a path does not show the new token.
    pub(crate) async fn not_shown(&self, minted: &Minted) -> Option<String> {
        let verify = self.file().verify.as_ref()?;
        let subject = Subject::token(&minted.token, self.file());
        let request = self.verification(verify, &subject, &minted.value).ok()?;
        let what = described(&request);
        let reply =
            Box::pin(self.connection.any(request)).await.ok().filter(|reply| reply.status.is_success())?;
        let shown: Value = reply.json().ok()?;
        let values = self.values(&subject);
        let unmet = verify.call.shows.iter().find(|condition| !condition.holds(&shown, &values))?;
        let how = if unmet.at.of(&shown).is_none() { "without" } else { "with another value at" };
        Some(format!("{what} was answered {how} {}", unmet.at.text()))
    }

    /// Disables or deletes a token with one request. `Ok` only for the documented reply.
    /// Call it through [`crate::rotation`]'s `retire`, which reads the token before each
    /// request.
    pub(crate) async fn retire(
        &self,
        credential: &SecretString,
        token: &Token,
        action: RetireAction,
    ) -> Result<()> {
        let file = self.file();
        let call = match action {
            RetireAction::Disable => file.disable.as_ref(),
            RetireAction::Delete => Some(&file.delete),
        };
        let call = call.ok_or_else(|| Error::invalid("this provider cannot disable a token"))?;
        let subject = Subject::token(token, file);
        let request = self.request(call, &subject, credential)?;
        let reply = Box::pin(self.connection.once(request, &call.needs)).await?;
        // A proxy may answer 200 to anything.
        self.require(call, &subject, &reply).map(drop)
    }

    /// Gives a token another expiry, where the profile says that this is possible. A token
    /// that no longer exists counts as success.
    pub(crate) async fn set_expiry(
        &self,
        credential: &SecretString,
        token: &Token,
        expires_at: Timestamp,
    ) -> Result<()> {
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

    /// Whether `credential` may be the value of `token`. `false` only when that is certain.
    pub(crate) fn could_be_value_of(&self, token: &Token, credential: &SecretString) -> bool {
        let file = self.file();
        let value = credential.expose_secret();
        let is_unlisted = |of: &ValueShape| !of.is_listed && value.starts_with(&*of.shape.prefix);
        !file.values.iter().any(is_unlisted)
            && self.fits_value(token, credential)
            && file.token.credential.as_ref().is_some_and(|conditions| {
                conditions.iter().all(|condition| condition.holds(&token.raw, &|one| self.variable(one)))
            })
    }

    /// The same, after asking the provider where it can tell: before a token is ended.
    pub(crate) async fn is_value_of(&self, token: &Token, credential: &SecretString) -> bool {
        if !self.could_be_value_of(token, credential) {
            return false;
        }
        let file = self.file();
        let Some(verify) = file.verify.as_ref().filter(|verify| verify.tells_the_id()) else { return true };
        let subject = Subject::token(token, file);
        let Ok(request) = self.verification(verify, &subject, credential) else { return true };
        let shown: Value = match Box::pin(self.connection.any(request)).await {
            Ok(reply) if reply.status.is_success() => reply.json().unwrap_or_default(),
            _ => return true,
        };
        // A reply without an id tells nothing: it may come from something else.
        let shows = &verify.call.shows;
        let tells = |condition: &Condition| condition.at.of(&shown).is_some_and(|one| text_of(one).is_some());
        let values = self.values(&subject);
        !shows.iter().all(tells) || shows.iter().all(|condition| condition.holds(&shown, &values))
    }

    /// Whether `value` may be the value of a token, by what the token shows of it.
    fn fits_value(&self, token: &Token, value: &SecretString) -> bool {
        let value = value.expose_secret();
        let mut named = self.file().values.iter().filter_map(|form| form.shape.parts(value));
        !named.any(|(id, _)| id != token.id) && fits_hint(value, hint_of(&token.raw))
    }
}

#[cfg(test)]
mod tests;
