//! Runs a provider file: the one implementation of [`Provider`].
//!
//! It holds no policy: when to mint, what to retire and what a lost reply means is
//! decided in [`crate::rotation`].

mod pages;
mod reading;

use std::collections::BTreeMap;
use std::time::Instant;

use async_trait::async_trait;
use data_encoding::BASE64;
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use self::pages::Pages;
use self::reading::{fits_hint, hint_of};
use super::connection::{Connection, Endpoint, ProviderRequest, explain};
use super::file::template::{Body, Placeholder, Template, merged, text_of};
use super::file::{Address, Auth, Call, Condition, CreateCall, NewValue, ProviderFile};
use super::{
    Ending, Error, ErrorKind, Expiry, Kind, MarkerIn, Mint, Minted, Overlap, Profile, Provider,
    ProviderSettings, Token, Verification,
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

/// What a request is about, for its placeholders.
#[derive(Default)]
struct Subject<'a> {
    id: Option<Value>,
    name: Option<&'a str>,
    /// The token that the new one is made from.
    previous: Option<&'a Token>,
    mint: Option<&'a Mint<'a>>,
    expires_at: Option<Timestamp>,
    /// The body of `create`.
    create: Option<Value>,
    /// The reply to a creation.
    reply: Option<&'a Value>,
}

impl<'a> Subject<'a> {
    fn none() -> Self {
        Self::default()
    }

    fn id(id: &str) -> Self {
        Self { id: Some(json!(id)), ..Self::default() }
    }

    /// The id as the service writes it: a number stays one.
    fn token(token: &'a Token, file: &ProviderFile) -> Self {
        let raw = Value::Object(token.raw.clone());
        let id = file.token.id.of(&raw).cloned();
        Self { id: Some(id.unwrap_or_else(|| json!(token.id))), name: Some(&token.name), ..Self::default() }
    }
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

    /// What placeholders stand for. Never a secret: those are written by [`Self::header`].
    fn values<'s>(&'s self, subject: &'s Subject<'s>) -> impl Fn(&Placeholder) -> Option<Value> + 's {
        move |placeholder| match placeholder {
            Placeholder::Credential => None,
            Placeholder::Id => subject.id.clone(),
            Placeholder::Name => match (subject.mint, subject.name) {
                (Some(mint), _) => Some(json!(mint.name)),
                (None, name) => name.map(|name| json!(name)),
            },
            Placeholder::UniqueName => {
                subject.mint.map(|mint| json!(unique_name(mint.name, mint.note, self.file().token.name_max)))
            }
            Placeholder::Marker => subject.mint.map(|mint| json!(mint.note)),
            Placeholder::Expires(form) => Some(form.write(subject.expires_at?)),
            Placeholder::ExpiresIn(unit) => {
                Some(unit.write(subject.expires_at?.duration_since(subject.mint?.minted_at)))
            }
            Placeholder::PreviousEnds(form) => Some(form.write(subject.mint?.previous_ends_at?)),
            Placeholder::Create => subject.create.clone(),
            Placeholder::Uuid => Some(json!(random_uuid())),
            Placeholder::Right(name) => {
                let raw = subject.previous.map(|token| Value::Object(token.raw.clone())).unwrap_or_default();
                self.file().token.copied(name, &raw, &|one| self.variable(one))
            }
            Placeholder::Previous(pointer) => {
                let raw = Value::Object(subject.previous?.raw.clone());
                pointer.of(&raw).filter(|value| !value.is_null()).cloned()
            }
            Placeholder::Reply(pointer) => pointer.of(subject.reply?).cloned(),
            Placeholder::Variable(_) => self.variable(placeholder),
        }
    }

    fn variable(&self, placeholder: &Placeholder) -> Option<Value> {
        let Placeholder::Variable(name) = placeholder else { return None };
        self.variables.get(name).map(|value| json!(value))
    }

    /// A header's value, perhaps with secrets in it. `None`: a variable is not set.
    fn header(&self, template: &Template, credential: &SecretString) -> Result<Option<HeaderValue>, Error> {
        let values = |placeholder: &Placeholder| match placeholder {
            Placeholder::Credential => Some(json!(credential.expose_secret())),
            Placeholder::Uuid => Some(json!(random_uuid())),
            Placeholder::Variable(name) => {
                self.variable(placeholder).or_else(|| Some(json!(self.secrets.get(name)?.expose_secret())))
            }
            _ => None,
        };
        let Some(text) = template.text(&values).map(Zeroizing::new) else { return Ok(None) };
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| Error::invalid("the credential holds characters that no header can carry"))?;
        value.set_sensitive(template.placeholders().next().is_some());
        Ok(Some(value))
    }

    /// The headers of a request that signs in with this value.
    fn headers(&self, credential: &SecretString, auth: &Auth) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        for one in &self.file().headers {
            let is_sent =
                one.only.as_ref().is_none_or(|start| credential.expose_secret().starts_with(start.as_str()));
            if let Some(value) = self.header(&one.value, credential)?.filter(|_| is_sent) {
                headers.insert(one.name.clone(), value);
            }
        }
        let (name, value) = match auth {
            Auth::Header(name, template) => (name.clone(), self.header(template, credential)?),
            Auth::Basic => (header::AUTHORIZATION, Some(basic(credential)?)),
        };
        let value = value.ok_or_else(|| Error::invalid("the credential cannot be sent"))?;
        headers.insert(name, value);
        Ok(headers)
    }

    fn request<'r>(
        &self,
        address: &Address,
        subject: &Subject<'_>,
        credential: &SecretString,
        needs: &'r str,
    ) -> Result<ProviderRequest<'r>, Error>
    where
        Self: 'r,
    {
        let values = self.values(subject);
        let text = |template: &Template| {
            template.text(&values).ok_or_else(|| Error::invalid("a variable of the provider is not set"))
        };
        let path = address.path.iter().map(text).collect::<Result<_, _>>()?;
        let query = address.query.iter().map(|(name, value)| Ok((name.clone(), text(value)?)));
        Ok(ProviderRequest {
            path,
            query: query.collect::<Result<_, Error>>()?,
            headers: self.headers(credential, &self.file().auth)?,
            needs,
        })
    }

    fn needs<'r>(&'r self, own: &'r str) -> &'r str {
        if own.is_empty() { &self.file().needs } else { own }
    }

    async fn send(
        &self,
        call: &Call,
        subject: &Subject<'_>,
        credential: &SecretString,
    ) -> Result<Value, Error> {
        let request = self.request(&call.address, subject, credential, self.needs(&call.needs))?;
        let body = call.body.as_ref().and_then(|body| body.value(&self.values(subject), &|_| true));
        let reply = self.connection.repeatable(call.method.clone(), request, body.as_ref()).await?;
        self.require(call, subject, &reply)
    }

    /// The reply's JSON, if it is the one that means that the request was carried out.
    fn require(
        &self,
        call: &Call,
        subject: &Subject<'_>,
        reply: &crate::http::Reply,
    ) -> Result<Value, Error> {
        let shown: Value = reply.json().unwrap_or_default();
        let values = self.values(subject);
        let is_done = call.done.contains(&reply.status.as_u16())
            && call.shows.iter().all(|condition| condition.holds(&shown, &values));
        if is_done { Ok(shown) } else { Err(Error::unexpected(reply.status.as_u16())) }
    }

    /// The token that a reply shows; `None`: what it shows is no token any more.
    fn read_item(&self, call: &Call, reply: &Value) -> Result<Option<Token>, Error> {
        let item =
            call.item.of(reply).filter(|item| self.file().token.id.of(item).and_then(text_of).is_some());
        // Something else that answers must not read as "this is no token any more".
        let item = item.and_then(Value::as_object);
        let item = item.ok_or_else(|| Error::unreadable("no token where one was expected"))?;
        self.read_token(item.clone())
    }

    /// The body of a mint. What the rotation's `create` says goes on top of what the file
    /// sets by itself, and what is decided elsewhere on top of both.
    fn body(&self, body: &Body, subject: &Subject<'_>, template: Option<&Map<String, Value>>) -> Value {
        let values = self.values(subject);
        match (subject.previous, template) {
            (None, Some(template)) => {
                let usual = body.value(&values, &|one| !one.is_decided()).unwrap_or_default();
                let decided = body.value(&values, &Body::is_decided).unwrap_or_default();
                merged(merged(usual, Value::Object(template.clone())), decided)
            }
            _ => body.value(&values, &|_| true).unwrap_or_default(),
        }
    }

    /// Sends a mint, once. With `is_plain` only what the file names is sent.
    async fn request_mint(
        &self,
        credential: &SecretString,
        mint: &Mint<'_>,
        previous: Option<&Token>,
        is_plain: bool,
    ) -> Result<(SecretString, Value), Error> {
        let file = self.file();
        let mut subject = match previous {
            Some(token) => Subject::token(token, file),
            None => Subject::none(),
        };
        (subject.previous, subject.mint, subject.expires_at) = (previous, Some(mint), mint.expires_at);
        let mut body = self.body(&file.create.body, &subject, mint.template);
        if !is_plain && let (Some(previous), Some(fields)) = (previous, body.as_object_mut()) {
            fields.extend(file.token.unknown_rights(&Value::Object(previous.raw.clone())));
        }
        let regenerates = previous.is_some() && !mint.by_creation && mint.previous_ends_at.is_some();
        let call = match file.regenerate.as_ref().filter(|_| regenerates) {
            None => &file.create,
            Some(regenerate) => {
                subject.create = Some(body);
                body = self.body(&regenerate.body, &subject, None);
                regenerate
            }
        };
        let request = self.request(&call.address, &subject, credential, self.needs(&call.needs))?;
        let reply = self.connection.mint(call.method.clone(), request, &body, &call.done).await?;
        self.take_value(call, reply)
    }

    /// Takes the new token's value out of the reply that minted it, and everything else
    /// that is secret. The value was announced when the reply arrived; a composed one is
    /// announced here.
    fn take_value(&self, call: &CreateCall, reply: Value) -> Result<(SecretString, Value), Error> {
        let value = match &call.value {
            NewValue::At(pointers) => {
                pointers.iter().find_map(|pointer| pointer.of(&reply)?.as_str().map(SecretString::from))
            }
            NewValue::Composed(template) => {
                let subject = Subject { reply: Some(&reply), ..Subject::none() };
                let text = template.text(&self.values(&subject));
                text.map(SecretString::from).inspect(|value| self.connection.announce(value))
            }
        };
        let value = value.ok_or_else(|| Error::unreadable("a mint without the new token's value"))?;
        // A hint may stand in a field that is secret here: the item is stripped when it is read.
        let item = call.item.as_ref().and_then(|at| at.of(&reply).cloned()).unwrap_or_default();
        Ok((value, item))
    }

    /// The new token. Where the reply does not show it, it is looked for: the mint is
    /// never sent again.
    async fn minted(
        &self,
        credential: &SecretString,
        mint: &Mint<'_>,
        value: &SecretString,
        item: Value,
    ) -> Result<Token, Error> {
        let rules = &self.file().token;
        let is_whole = rules.id.of(&item).is_some() && rules.marker.of(&item).is_some();
        let id = rules.id.of(&item).and_then(text_of);
        if let (true, Value::Object(item)) = (is_whole, item) {
            return self
                .read_token(item)?
                .ok_or_else(|| Error::unreadable("a new token that does not count as one"));
        }
        let is_new = |token: &Token| match &id {
            Some(id) => token.id == *id,
            None => token.note == mint.note && self.fits_value(token, value),
        };
        let deadline = Instant::now() + self.file().eventual;
        let mut repetitions = self.connection.repetitions();
        loop {
            let found = match &id {
                Some(id) if self.file().get.is_some() => {
                    self.get(credential, id).await.map(|one| one.into_iter().collect())
                }
                _ => self.list(credential).await,
            };
            let found: Vec<Token> = found.map_err(Error::after_the_fact)?;
            if let Some(token) = found.into_iter().find(is_new) {
                return Ok(token);
            }
            match repetitions.next_wait(None) {
                Some(wait) if Instant::now() + wait < deadline => tokio::time::sleep(wait).await,
                // Treated as a lost reply: the caller looks for the token, and starts again.
                _ => return Err(Error::unreadable("a new token that the list does not show")),
            }
        }
    }

    /// The previous token with everything that a copy needs: some lists leave parts out.
    async fn complete(&self, credential: &SecretString, token: &Token) -> Result<Option<Token>, Error> {
        let rules = &self.file().token;
        if rules.shows_required_rights(&Value::Object(token.raw.clone())) {
            return Ok(None);
        }
        let whole = self.get(credential, &token.id).await?;
        let whole = whole.filter(|token| rules.shows_required_rights(&Value::Object(token.raw.clone())));
        let refusal = || {
            let title = &self.file().title;
            Error::invalid(&format!(
                "{title} does not show what the token may do, so no equal token can be created"
            ))
        };
        whole.map(Some).ok_or_else(refusal)
    }

    /// Makes sure that a `refused` mint created no token, before it is sent again in
    /// another form.
    ///
    /// # Errors
    /// The refusal, if the provider shows such a token or cannot be asked.
    async fn made_nothing(&self, credential: &SecretString, note: &str, refused: Error) -> Result<(), Error> {
        match self.list(credential).await {
            Ok(tokens) if tokens.iter().any(|token| token.note == note) => Err(refused.after_the_fact()),
            Ok(_) => Ok(()),
            Err(_) => Err(refused),
        }
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
            let reply = match pages.next_url(self.connection.base())? {
                Some(url) => self.connection.get_url(url, request).await?,
                None => self.connection.get(pages.with_parameters(request)).await?,
            };
            let shown: Value = reply.json().map_err(|_| Error::unreadable("no JSON"))?;
            // Something else that answers must not read as "there are no tokens".
            let items = list.items.iter().find_map(|pointer| pointer.of(&shown)?.as_array());
            let items = items.ok_or_else(|| Error::unreadable("no list of tokens"))?.clone();
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

    async fn end(&self, credential: &SecretString, token: &Token, ending: Ending) -> Result<(), Error> {
        let file = self.file();
        let call = match ending {
            Ending::Disable => {
                file.disable.as_ref().ok_or_else(|| Error::invalid("this provider cannot disable a token"))?
            }
            Ending::Delete => &file.delete,
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

fn basic(credential: &SecretString) -> Result<HeaderValue, Error> {
    let text = Zeroizing::new(format!("Basic {}", BASE64.encode(credential.expose_secret().as_bytes())));
    let mut value =
        HeaderValue::from_str(&text).map_err(|_| Error::invalid("the credential cannot be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// How the unique part of a name begins: a dash and a letter.
const UNIQUE: &str = "-x";

/// Digits of it.
const UNIQUE_DIGITS: usize = 7;

/// A name with a part that no other token has, in place of an earlier one. It follows
/// from the marker, so an attempt that is repeated has the same name.
fn unique_name(name: &str, marker: &str, max: Option<usize>) -> String {
    let is_unique =
        |part: &str| part.len() == UNIQUE_DIGITS && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let base = name.rsplit_once(UNIQUE).filter(|(_, part)| is_unique(part)).map_or(name, |(base, _)| base);
    let room = max.map_or(usize::MAX, |max| max.saturating_sub(UNIQUE.len() + UNIQUE_DIGITS));
    let base: String = base.chars().take(room).collect();
    let digest = digest(&SHA256, marker.as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{base}{UNIQUE}{}", &hex[..UNIQUE_DIGITS])
}

fn random_uuid() -> String {
    let random: u128 = rand::random();
    let hex = format!("{random:032x}");
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

#[cfg(test)]
mod tests;
