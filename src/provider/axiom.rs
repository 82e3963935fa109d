//! Axiom: *regenerate* with an overlap that the provider keeps.
//!
//! Sources: Axiom's published API description (v2, `tokens`), and its own Go and
//! Terraform clients for what that leaves open: a regenerated token has a new id,
//! `newToken` replaces what would be cloned, and its `expiresAt` sets the expiry.
//! Types and calls only; policy lives in [`crate::rotation`].

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderValue;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::connection::{
    Connection, Endpoint, ProviderRequest, bearer, canonicalize, granted, grants, made_nothing, published,
    timestamp,
};
use super::{
    Descriptor, Ending, Error, ErrorKind, Expiry, MarkerIn, Mint, Minted, Overlap, Profile, Provider,
    ProviderSettings, Token, Verification,
};
use crate::http::PeerPolicy;
use crate::redact::{Body, TokenShape};

/// Static facts about Axiom. Its token API has one origin for all regions.
pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "axiom",
    origin: "https://api.axiom.co",
    tokens: &[
        TokenShape { prefix: "xaat-", body: Body::Word(8) },
        TokenShape { prefix: PERSONAL, body: Body::Word(8) },
    ],
    needs_org_id: &[PERSONAL],
    value_fields: &["token"],
    peer_policy: PeerPolicy { request_ids: &["x-axiom-trace-id", "x-request-id"], ..PeerPolicy::STRICT },
    connect,
};

/// How personal tokens begin.
const PERSONAL: &str = "xapt-";

/// What the published schema of a creation names (`CreateAPIToken`).
const SCHEMA: [&str; 6] =
    ["name", "description", "expiresAt", "datasetCapabilities", "orgCapabilities", "viewCapabilities"];

/// The token calls of one Axiom organization.
#[derive(Debug)]
struct Axiom {
    connection: Connection,
    org_id: Option<HeaderValue>,
}

/// Connects to Axiom; the URL is the origin, with or without `/v2`.
fn connect(settings: &ProviderSettings, endpoint: Endpoint) -> Result<Arc<dyn Provider>, Error> {
    let connection = Connection::new(endpoint, settings.url.as_ref(), DESCRIPTOR.origin, "v2")?;
    let org_id = settings.org_id.as_deref().map(HeaderValue::from_str).transpose();
    let org_id = org_id.map_err(|_| Error::invalid("the Axiom organization id is no header value"))?;
    Ok(Arc::new(Axiom { connection, org_id }))
}

impl Axiom {
    fn request<'a>(
        &self,
        path: &'a [&'a str],
        credential: &SecretString,
        needs: &'a str,
    ) -> Result<ProviderRequest<'a>, Error> {
        let mut headers = bearer(credential)?;
        // Personal tokens need it; API tokens carry their organization.
        if let Some(org) = self.org_id.clone().filter(|_| is_personal(credential)) {
            headers.insert("X-Axiom-Org-Id", org);
        }
        Ok(ProviderRequest { path, query: &[], headers, needs })
    }

    async fn create_or_regenerate(
        &self,
        credential: &SecretString,
        mint: &Mint<'_>,
        body: Map<String, Value>,
    ) -> Result<(SecretString, Map<String, Value>), Error> {
        let regenerated = mint.previous.filter(|_| !mint.by_creation).zip(mint.previous_ends_at);
        let Some((old, end)) = regenerated else {
            let request = self.request(&["tokens"], credential, "apiTokens: create")?;
            return self.connection.mint(request, &Value::Object(body)).await;
        };
        let path = ["tokens", &old.id, "regenerate"];
        let body = json!({ "existingTokenExpiresAt": end, "newToken": body });
        self.connection.mint(self.request(&path, credential, "apiTokens: update")?, &body).await
    }
}

#[async_trait]
impl Provider for Axiom {
    fn profile(&self) -> Profile {
        Profile {
            overlap: Overlap::Native,
            expiry: Expiry::Native,
            marker_in: MarkerIn::Description,
            can_disable: false,
            can_set_expiry: false,
        }
    }

    async fn list(&self, credential: &SecretString) -> Result<Vec<Token>, Error> {
        let request = self.request(&["tokens"], credential, "apiTokens: read")?;
        self.connection.get::<Vec<Map<String, Value>>>(request).await?.into_iter().map(token).collect()
    }

    async fn get(&self, credential: &SecretString, id: &str) -> Result<Option<Token>, Error> {
        match self.connection.get(self.request(&["tokens", id], credential, "apiTokens: read")?).await {
            Ok(raw) => token(raw).map(Some),
            // What is no id is refused as invalid.
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn mint(&self, credential: &SecretString, mint: &Mint<'_>) -> Result<Minted, Error> {
        let mut body = match mint.previous {
            Some(previous) => {
                let mut body = previous.raw.clone();
                body.retain(|field, _| SCHEMA.contains(&field.as_str()) || grants(field));
                body
            }
            None => mint.template.cloned().unwrap_or_default(),
        };
        body.insert("name".to_owned(), json!(mint.name));
        body.insert("description".to_owned(), json!(mint.note));
        match mint.expires_at {
            Some(end) => body.insert("expiresAt".to_owned(), json!(end)),
            None => body.shift_remove("expiresAt"),
        };
        let published = mint.previous.and_then(|_| published(&body, &SCHEMA));
        let (value, raw) = match (self.create_or_regenerate(credential, mint, body).await, published) {
            (Err(error), Some(published)) if error.kind == ErrorKind::Invalid => {
                made_nothing(self, credential, mint.note, error).await?;
                self.create_or_regenerate(credential, mint, published).await?
            }
            (result, _) => result?,
        };
        Ok(Minted { token: token(raw)?, value })
    }

    async fn verify(&self, minted: &Minted, verify: Option<&str>) -> Result<Verification, Error> {
        let path = ["tokens", minted.token.id.as_str()];
        let request = self.request(&path, &minted.value, "apiTokens: read")?;
        if let Some(path) = verify {
            return self.connection.verify(path, request.headers).await;
        }
        let is_meant = |raw: &Map<String, Value>| raw.get("id").is_some_and(|id| *id == *minted.token.id);
        match self.connection.identify(request, is_meant).await {
            Ok(verification) => Ok(verification),
            Err(error) => match error.kind {
                ErrorKind::Unauthenticated => Ok(Verification::Rejected),
                // 403 is said to be used for both "not accepted" and "not permitted".
                ErrorKind::Forbidden | ErrorKind::NotFound => Ok(Verification::Unverified),
                _ => Err(error),
            },
        }
    }

    async fn end(&self, credential: &SecretString, token: &Token, _: Ending) -> Result<(), Error> {
        self.connection.delete(self.request(&["tokens", &token.id], credential, "apiTokens: delete")?).await
    }

    /// The value of an API token does not contain its id. But the credential lists and
    /// regenerates tokens, so a token without these rights is certainly not the
    /// credential.
    fn could_be_value_of(&self, token: &Token, credential: &SecretString) -> bool {
        let rights = token.raw.get("orgCapabilities").and_then(|rights| rights.get("apiTokens"));
        let rights = rights.and_then(Value::as_array);
        let may = |right: &str| rights.is_some_and(|all| all.iter().any(|one| one == right));
        !is_personal(credential) && may("update")
    }
}

fn is_personal(credential: &SecretString) -> bool {
    credential.expose_secret().starts_with(PERSONAL)
}

/// Reads a token as Axiom shows it.
fn token(mut raw: Map<String, Value>) -> Result<Token, Error> {
    raw.remove("token");
    let text = |field: &str| raw.get(field).and_then(Value::as_str).map(str::to_owned);
    let id = text("id").ok_or_else(|| Error::unreadable("a token without an id"))?;
    let expires_at = match raw.get("expiresAt") {
        None | Some(Value::Null) => None,
        Some(end) => Some(expiry(end)?),
    };
    let privileges = canonicalize(Value::Object(granted(&raw)));
    Ok(Token {
        name: text("name").unwrap_or_default(),
        note: text("description").unwrap_or_default(),
        expires_at: expires_at.flatten(),
        created_at: None,
        changed_at: None,
        last_used_at: None,
        disabled: false,
        id,
        privileges,
        raw,
    })
}

/// Axiom's Go client writes the zero time for "never".
fn expiry(value: &Value) -> Result<Option<Timestamp>, Error> {
    let text = value.as_str().ok_or_else(|| Error::unreadable("an expiry that is no text"))?;
    if text.is_empty() || text.starts_with("0001-01-01T00:00:00") {
        return Ok(None);
    }
    timestamp(text).map(Some).ok_or_else(|| Error::unreadable("an expiry that is no date"))
}
