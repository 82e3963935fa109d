//! Requests: what placeholders stand for, headers, and sending.

use data_encoding::{BASE64, HEXLOWER};
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::Provider;
use crate::http::{Call as Request, Reply};
use crate::provider::file::template::{Body, Placeholder, Template, merged};
use crate::provider::file::{Auth, Call, ProviderFile, VerifyCall};
use crate::provider::{Error, Mint, Result, Token};

/// How the unique part of a name begins: a dash and a letter.
const UNIQUE: &str = "-x";
/// Digits of it.
const UNIQUE_DIGITS: usize = 7;

/// What a request is about, for its placeholders.
#[derive(Default)]
pub(super) struct Subject<'a> {
    pub(super) id: Option<Value>,
    pub(super) name: Option<&'a str>,
    /// The token that the new one is made from.
    pub(super) previous: Option<&'a Token>,
    pub(super) mint: Option<&'a Mint<'a>>,
    pub(super) expires_at: Option<Timestamp>,
    /// The body of `create`.
    pub(super) create: Option<Value>,
    /// The reply to a creation.
    pub(super) reply: Option<&'a Value>,
}

impl<'a> Subject<'a> {
    /// The id as the service writes it: a number stays one.
    pub(super) fn token(token: &'a Token, file: &ProviderFile) -> Self {
        let id = file.token.id.of(&token.raw).cloned();
        Self { id: Some(id.unwrap_or_else(|| json!(token.id))), name: Some(&token.name), ..Self::default() }
    }
}

impl Provider {
    /// What placeholders stand for. Never a secret: those are written by [`Self::header`].
    pub(super) fn values<'s>(
        &'s self,
        subject: &'s Subject<'s>,
    ) -> impl Fn(&Placeholder) -> Option<Value> + 's {
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
                let raw = subject.previous.map_or(&Value::Null, |token| &token.raw);
                self.file().token.copied(name, raw, &|one| self.variable(one))
            }
            Placeholder::Previous(pointer) => {
                pointer.of(&subject.previous?.raw).filter(|value| !value.is_null()).cloned()
            }
            Placeholder::Reply(pointer) => pointer.of(subject.reply?).cloned(),
            Placeholder::Variable(_) => self.variable(placeholder),
        }
    }

    pub(super) fn variable(&self, placeholder: &Placeholder) -> Option<Value> {
        let Placeholder::Variable(name) = placeholder else { return None };
        self.variables.get(name).map(|value| json!(value))
    }

    /// A header's value, perhaps with secrets in it. `None`: a variable is not set.
    pub(super) fn header(
        &self,
        template: &Template,
        credential: &SecretString,
    ) -> Result<Option<HeaderValue>> {
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
    pub(super) fn headers(&self, credential: &SecretString, auth: &Auth) -> Result<HeaderMap> {
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
            Auth::Basic => {
                let encoded = Zeroizing::new(BASE64.encode(credential.expose_secret().as_bytes()));
                let mut value = HeaderValue::from_str(&Zeroizing::new(format!("Basic {}", *encoded)))
                    .map_err(|_| Error::invalid("the credential cannot be sent"))?;
                value.set_sensitive(true);
                (header::AUTHORIZATION, Some(value))
            }
        };
        let value = value.ok_or_else(|| Error::invalid("the credential cannot be sent"))?;
        headers.insert(name, value);
        Ok(headers)
    }

    pub(super) fn request(
        &self,
        call: &Call,
        subject: &Subject<'_>,
        credential: &SecretString,
    ) -> Result<Request> {
        let values = self.values(subject);
        let text = |template: &Template| {
            template.text(&values).ok_or_else(|| Error::invalid("a variable of the provider is not set"))
        };
        let path: Vec<String> = call.path.iter().map(text).collect::<Result<_, _>>()?;
        let query = call.query.iter().map(|(name, value)| Ok((name.clone(), text(value)?)));
        let url = self.connection.url(&path, &query.collect::<Result<Vec<_>>>()?)?;
        let headers = self.headers(credential, &self.file().auth)?;
        let request = self.connection.call(call.method.clone(), url, headers);
        let body = call.body.as_ref().and_then(|body| body.value(&values, &|_| true));
        Ok(match body {
            Some(body) => request.json(&body),
            None => request,
        })
    }

    /// The request of the file's `verify`, signed in with `value`.
    pub(super) fn verification(
        &self,
        verify: &VerifyCall,
        subject: &Subject<'_>,
        value: &SecretString,
    ) -> Result<Request> {
        let mut request = self.request(&verify.call, subject, value)?;
        if let Some(auth) = &verify.auth {
            request.headers = self.headers(value, auth)?;
        }
        Ok(request)
    }

    pub(super) async fn send(
        &self,
        call: &Call,
        subject: &Subject<'_>,
        credential: &SecretString,
    ) -> Result<Value> {
        let request = self.request(call, subject, credential)?;
        let reply = Box::pin(self.connection.repeatable(request, &call.needs)).await?;
        self.require(call, subject, &reply)
    }

    /// The reply's JSON, if it is the one that means that the request was carried out.
    pub(super) fn require(&self, call: &Call, subject: &Subject<'_>, reply: &Reply) -> Result<Value> {
        let shown: Value = reply.json().unwrap_or_default();
        let values = self.values(subject);
        let is_done = call.done.contains(&reply.status.as_u16())
            && call.shows.iter().all(|condition| condition.holds(&shown, &values));
        if is_done { Ok(shown) } else { Err(Error::unexpected(reply.status.as_u16())) }
    }

    /// The body of a mint. What the rotation's `create` says goes on top of what the file
    /// sets by itself, and what is decided elsewhere on top of both.
    pub(super) fn body(
        &self,
        body: &Body,
        subject: &Subject<'_>,
        template: Option<&Map<String, Value>>,
    ) -> Value {
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
}

/// A name with a part that no other token has, in place of an earlier one. It follows
/// from the marker, so an attempt that is repeated has the same name.
fn unique_name(name: &str, marker: &str, max: Option<usize>) -> String {
    let is_unique =
        |part: &str| part.len() == UNIQUE_DIGITS && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let base = name.rsplit_once(UNIQUE).filter(|(_, part)| is_unique(part)).map_or(name, |(base, _)| base);
    let room = max.map_or(usize::MAX, |max| max.saturating_sub(UNIQUE.len() + UNIQUE_DIGITS));
    let base: String = base.chars().take(room).collect();
    let hex = HEXLOWER.encode(digest(&SHA256, marker.as_bytes()).as_ref());
    format!("{base}{UNIQUE}{}", &hex[..UNIQUE_DIGITS])
}

fn random_uuid() -> String {
    let random: u128 = rand::random();
    let hex = format!("{random:032x}");
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}
