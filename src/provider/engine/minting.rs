//! A creation and its reply: the value is taken out before anything else reads it.

use std::time::Instant;

use secrecy::SecretString;
use serde_json::Value;

use super::Provider;
use super::reading::at;
use super::requests::Subject;
use crate::provider::connection::described;
use crate::provider::file::template::text_of;
use crate::provider::file::{CreateCall, NewValue};
use crate::provider::{Error, Mint, Result, Token};

impl Provider {
    /// Sends a mint, once. With `is_plain` only what the file names is sent.
    pub(super) async fn request_mint(
        &self,
        credential: &SecretString,
        mint: &Mint<'_>,
        previous: Option<&Token>,
        is_plain: bool,
    ) -> Result<(SecretString, Value)> {
        let file = self.file();
        let subject = previous.map(|token| Subject::token(token, file)).unwrap_or_default();
        let mut subject = Subject { previous, mint: Some(mint), expires_at: mint.expires_at, ..subject };
        let mut body = self.body(&file.create.body, &subject, mint.template);
        if !is_plain && let (Some(previous), Some(fields)) = (previous, body.as_object_mut()) {
            fields.extend(file.token.unknown_rights(&previous.raw));
        }
        let regenerates = previous.is_some() && !mint.by_creation && mint.previous_ends_at.is_some();
        let create = match file.regenerate.as_ref().filter(|_| regenerates) {
            None => &file.create,
            Some(regenerate) => {
                subject.create = Some(body);
                body = self.body(&regenerate.body, &subject, None);
                regenerate
            }
        };
        let request = self.request(&create.call, &subject, credential)?.json(&body);
        let what = described(&request);
        let reply = Box::pin(self.connection.mint(request, &create.call.needs, &create.call.done)).await?;
        self.take_value(create, reply).map_err(|error| error.to(&what))
    }

    /// Takes the new token's value out of the reply that minted it, and everything else
    /// that is secret. The value was announced when the reply arrived; a composed one is
    /// announced here.
    fn take_value(&self, create: &CreateCall, reply: Value) -> Result<(SecretString, Value)> {
        let value = match &create.value {
            NewValue::At(pointers) => {
                pointers.iter().find_map(|pointer| pointer.of(&reply)?.as_str().map(SecretString::from))
            }
            NewValue::Composed(template) => {
                let subject = Subject { reply: Some(&reply), ..Subject::default() };
                let text = template.text(&self.values(&subject));
                text.map(SecretString::from).inspect(|value| (self.connection.values.announce)(value))
            }
        };
        let value = value.ok_or_else(|| {
            let is_creation = std::ptr::eq(create, &self.file().create);
            let key = if is_creation { "create.value" } else { "regenerate.value" };
            let place = match &create.value {
                NewValue::At(pointers) => at(key, pointers),
                NewValue::Composed(_) => format!("`{key}`"),
            };
            Error::unreadable(&format!("no value of the new token at {place}"))
        })?;
        // A hint may stand in a field that is secret here: the item is stripped when it is read.
        let item = create.call.item.as_ref().and_then(|at| at.of(&reply).cloned()).unwrap_or_default();
        Ok((value, item))
    }

    /// The new token. Where the reply does not show it, it is looked for: the mint is
    /// never sent again.
    pub(super) async fn minted(
        &self,
        credential: &SecretString,
        mint: &Mint<'_>,
        value: &SecretString,
        item: Value,
    ) -> Result<Token> {
        let rules = &self.file().token;
        let id = rules.id.of(&item).and_then(text_of);
        if item.is_object() && rules.id.of(&item).is_some() && rules.marker.of(&item).is_some() {
            return self
                .read_token(item)?
                .ok_or_else(|| Error::unreadable("a new token that does not count as one"));
        }
        let is_new = |token: &Token| match &id {
            Some(id) => token.id == *id,
            None => token.note == mint.note && self.fits_value(token, value),
        };
        let deadline = Instant::now() + self.file().eventual;
        let mut repetitions = self.connection.http.retry_policy().repetitions();
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
    pub(super) async fn complete(&self, credential: &SecretString, token: &Token) -> Result<Option<Token>> {
        let is_whole = |token: &Token| self.file().token.shows_required_rights(&token.raw);
        if is_whole(token) {
            return Ok(None);
        }
        let whole = self.get(credential, &token.id).await?.filter(is_whole);
        let refusal = || {
            let title = &self.file().title;
            Error::invalid(&format!(
                "{title} does not show what the token may do, so no equal token can be created"
            ))
        };
        whole.map(Some).ok_or_else(refusal)
    }

    /// Makes sure that a `refused` mint created no token, before it is sent again in
    /// another form. The error is the refusal, also if the provider cannot be asked.
    pub(super) async fn made_nothing(
        &self,
        credential: &SecretString,
        note: &str,
        refused: Error,
    ) -> Result<()> {
        match self.list(credential).await {
            Ok(tokens) if tokens.iter().any(|token| token.note == note) => Err(refused.after_the_fact()),
            Ok(_) => Ok(()),
            Err(_) => Err(refused),
        }
    }
}
