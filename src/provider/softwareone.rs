//! SoftwareOne Marketplace: *create*, then *disable*, then *delete*.
//!
//! Sources: SoftwareOne's published API description (accounts, API tokens) and its
//! documentation of the token's states and of the query language. A token has no
//! expiry, and its modules cannot be inherited, so a successor is created with the
//! same account and modules. The value has the token's id in front:
//! `idt:TKN-0000-0000:…`. Types and calls only; policy lives in [`crate::rotation`].

use std::sync::Arc;

use async_trait::async_trait;
use http::{Method, StatusCode};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::connection::{
    Connection, Endpoint, Pages, ProviderRequest, bearer, canonicalize, granted, made_nothing, published,
    timestamp,
};
use super::{
    Descriptor, Ending, Error, ErrorKind, Expiry, MarkerIn, Mint, Minted, Overlap, Profile, Provider,
    ProviderSettings, Token, Verification,
};
use crate::http::PeerPolicy;
use crate::redact::{Body, TokenShape};

/// Static facts about the Marketplace.
pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "softwareone",
    origin: "https://api.platform.softwareone.com",
    tokens: &[TOKEN],
    needs_org_id: &[],
    value_fields: &["token"],
    peer_policy: PeerPolicy::STRICT,
    connect,
};

/// The scheme, the token's id, a colon, and the secret part.
const TOKEN: TokenShape = TokenShape { prefix: "idt:TKN-", body: Body::IdAndVisible(11) };

/// What a list leaves out unless it is asked for.
const SELECT: (&str, &str) = ("select", "audit,modules,account");

/// Tokens on one page.
const PAGE: &str = "100";

/// What the published schema of a creation names (`CreateApiTokenDto`).
const SCHEMA: [&str; 5] = ["account", "name", "icon", "description", "modules"];

/// What every call needs.
const NEEDS: &str = "an API token of the same account with access to the module that manages API tokens";

/// The token calls of one account.
#[derive(Debug)]
struct SoftwareOne {
    connection: Connection,
}

/// Connects to the Marketplace; the URL is the origin, with or without `/public/v1`.
fn connect(settings: &ProviderSettings, endpoint: Endpoint) -> Result<Arc<dyn Provider>, Error> {
    let connection = Connection::new(endpoint, settings.url.as_ref(), DESCRIPTOR.origin, "public/v1")?;
    Ok(Arc::new(SoftwareOne { connection }))
}

/// A page of the list.
#[derive(Deserialize)]
struct TokenPage {
    #[serde(rename = "$meta", default)]
    meta: Meta,
    // Required: an answer of something else must not read as "there are no tokens".
    data: Vec<Map<String, Value>>,
}

#[derive(Deserialize, Default)]
struct Meta {
    #[serde(default)]
    pagination: Pagination,
}

#[derive(Deserialize, Default)]
struct Pagination {
    total: Option<usize>,
}

fn request<'a>(
    path: &'a [&'a str],
    query: &'a [(&'a str, &'a str)],
    credential: &SecretString,
) -> Result<ProviderRequest<'a>, Error> {
    Ok(ProviderRequest { path, query, headers: bearer(credential)?, needs: NEEDS })
}

impl SoftwareOne {
    async fn raw(&self, credential: &SecretString, id: &str) -> Result<Map<String, Value>, Error> {
        let path = ["accounts", "api-tokens", id];
        let mut raw: Map<String, Value> = self.connection.get(request(&path, &[SELECT], credential)?).await?;
        raw.remove("token");
        Ok(raw)
    }
}

#[async_trait]
impl Provider for SoftwareOne {
    fn profile(&self) -> Profile {
        Profile {
            overlap: Overlap::AcrossRuns,
            expiry: Expiry::ByAge,
            marker_in: MarkerIn::Description,
            can_disable: true,
            can_set_expiry: false,
        }
    }

    async fn list(&self, credential: &SecretString) -> Result<Vec<Token>, Error> {
        let mut all = Pages::by("id");
        loop {
            let offset = all.items.len().to_string();
            let query = [("limit", PAGE), ("offset", offset.as_str()), SELECT];
            let page = self.connection.get(request(&["accounts", "api-tokens"], &query, credential)?).await?;
            let TokenPage { meta, data } = page;
            let known = all.items.len() + data.len();
            if !all.add(data, meta.pagination.total.is_none_or(|total| known < total))? {
                break;
            }
        }
        all.items.into_iter().filter(|raw| !is_deleted(raw)).map(token).collect()
    }

    fn could_be_id(&self, text: &str) -> bool {
        text.starts_with("TKN-")
    }

    async fn get(&self, credential: &SecretString, id: &str) -> Result<Option<Token>, Error> {
        match self.raw(credential, id).await {
            Ok(raw) if is_deleted(&raw) => Ok(None),
            Ok(raw) => token(raw).map(Some),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn mint(&self, credential: &SecretString, mint: &Mint<'_>) -> Result<Minted, Error> {
        let mut successor = match mint.previous {
            Some(old) if old.raw.contains_key("modules") => successor_of(&old.raw)?,
            // If the list leaves the modules out, the new token must not lose them.
            Some(old) => successor_of(&self.raw(credential, &old.id).await?)?,
            None => mint.template.cloned().unwrap_or_default(),
        };
        successor.insert("name".to_owned(), json!(mint.name));
        successor.insert("description".to_owned(), json!(mint.note));
        let published = mint.previous.and_then(|_| published(&successor, &SCHEMA));
        let request = async |body: Map<String, Value>| {
            let request = request(&["accounts", "api-tokens"], &[], credential)?;
            self.connection.mint(request, &Value::Object(body)).await
        };
        let (value, raw) = match (request(successor).await, published) {
            (Err(error), Some(published)) if error.kind == ErrorKind::Invalid => {
                made_nothing(self, credential, mint.note, error).await?;
                request(published).await?
            }
            (result, _) => result?,
        };
        Ok(Minted { token: token(raw)?, value })
    }

    async fn verify(&self, minted: &Minted, verify: Option<&str>) -> Result<Verification, Error> {
        let path = ["accounts", "api-tokens", minted.token.id.as_str()];
        let request = request(&path, &[], &minted.value)?;
        if let Some(path) = verify {
            return self.connection.verify(path, request.headers).await;
        }
        let is_meant = |raw: &Map<String, Value>| raw.get("id").is_some_and(|id| *id == *minted.token.id);
        match self.connection.identify(request, is_meant).await {
            Ok(verification) => Ok(verification),
            Err(error) => match error.kind {
                ErrorKind::Unauthenticated => Ok(Verification::Rejected),
                // A token without the module may not see tokens, its own included.
                ErrorKind::Forbidden | ErrorKind::NotFound => Ok(Verification::Unverified),
                _ => Err(error),
            },
        }
    }

    async fn end(&self, credential: &SecretString, token: &Token, ending: Ending) -> Result<(), Error> {
        let whole = ["accounts", "api-tokens", token.id.as_str(), "disable"];
        let (method, path) = match ending {
            Ending::Disable => (Method::POST, &whole[..]),
            Ending::Delete => (Method::DELETE, &whole[..3]),
        };
        let is_documented = |status: StatusCode, body: &[u8]| match ending {
            Ending::Disable => status == StatusCode::OK && shows_disabled(body, &token.id),
            Ending::Delete => status == StatusCode::NO_CONTENT,
        };
        self.connection.end(method, request(path, &[], credential)?, is_documented).await
    }

    /// A value contains its token's id.
    fn could_be_value_of(&self, token: &Token, credential: &SecretString) -> bool {
        id_of(credential.expose_secret()).is_none_or(|id| id == token.id)
    }
}

/// `idt:TKN-0000-0000:…` to `TKN-0000-0000`.
fn id_of(value: &str) -> Option<&str> {
    TOKEN.parts(value).map(|(id, _)| id)
}

/// The body that creates an equal token.
fn successor_of(raw: &Map<String, Value>) -> Result<Map<String, Value>, Error> {
    let id_of = |value: &Value| value.get("id").and_then(Value::as_str).map(|id| json!({ "id": id }));
    let account = raw.get("account").and_then(id_of);
    let modules = match raw.get("modules") {
        Some(Value::Array(modules)) => Some(modules.iter().filter_map(id_of).collect()),
        Some(Value::Null) => Some(Value::Null),
        _ => None,
    };
    let (Some(account), Some(modules)) = (account, modules) else {
        return Err(Error::invalid(
            "the Marketplace does not show the token's account and modules, so no equal token can be created",
        ));
    };
    let mut successor = granted(raw);
    successor.extend([("account".to_owned(), account), ("modules".to_owned(), modules)]);
    if let Some(Value::String(icon)) = raw.get("icon") {
        successor.insert("icon".to_owned(), json!(icon));
    }
    Ok(successor)
}

/// Whether the answer to a disable shows the token as disabled.
fn shows_disabled(body: &[u8], id: &str) -> bool {
    let shown: Result<Value, _> = serde_json::from_slice(body);
    shown.is_ok_and(|shown| shown["id"] == *id && shown["status"] == *"Disabled")
}

/// Some lists show what was deleted.
fn is_deleted(raw: &Map<String, Value>) -> bool {
    raw.get("status").and_then(Value::as_str) == Some("Deleted")
}

/// Reads a token as the Marketplace shows it.
fn token(mut raw: Map<String, Value>) -> Result<Token, Error> {
    // A reply may carry the value, whichever call it answers.
    raw.remove("token");
    let text = |field: &str| raw.get(field).and_then(Value::as_str).map(str::to_owned);
    let id = text("id").ok_or_else(|| Error::unreadable("a token without an id"))?;
    let event = |what: &str| time(raw.get("audit")?.get(what)?.get("at"));
    let ids = |value: &Value| value.get("id").cloned().unwrap_or(Value::Null);
    let modules = raw.get("modules").and_then(Value::as_array);
    let privileges = canonicalize(json!({
        "account": raw.get("account").map(ids),
        "modules": modules.map(|modules| modules.iter().map(ids).collect::<Vec<_>>()),
        "others": granted(&raw),
    }));
    Ok(Token {
        name: text("name").unwrap_or_default(),
        note: text("description").unwrap_or_default(),
        expires_at: None,
        created_at: event("created"),
        changed_at: event("updated"),
        last_used_at: time(raw.get("lastAccessAt")),
        disabled: text("status").as_deref() == Some("Disabled"),
        id,
        privileges,
        raw,
    })
}

/// A time, if it is one: .NET writes year 1 for "never".
fn time(value: Option<&Value>) -> Option<Timestamp> {
    let text = value?.as_str().filter(|text| !text.starts_with("0001-"))?;
    timestamp(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(extra: Value) -> Map<String, Value> {
        let mut raw = json!({
            "id": "TKN-1671-0642", "name": "ci", "description": null, "icon": null, "status": "Active",
            "account": {"id": "ACC-1671-0642", "name": "Acme"},
            "modules": [{"id": "MOD-9042", "name": "Orders"}, {"id": "MOD-1756"}],
            "audit": {"created": {"at": "2026-01-02T03:04:05.123Z", "by": {"id": "USR-1"}}},
            "lastAccessAt": "0001-01-01T00:00:00Z", "token": "idt:TKN-1671-0642:very-secret-value",
        });
        let Value::Object(extra) = extra else { panic!("no object") };
        raw.as_object_mut().unwrap().extend(extra);
        serde_json::from_value(raw).unwrap()
    }

    #[test]
    fn reads_a_token_and_keeps_no_value() {
        let token = token(raw(json!({}))).unwrap();
        assert_eq!((token.id.as_str(), token.note.as_str(), token.disabled), ("TKN-1671-0642", "", false));
        assert_eq!(token.created_at, Some("2026-01-02T03:04:05.123Z".parse().unwrap()));
        assert_eq!((token.expires_at, token.last_used_at), (None, None));
        assert_eq!(
            token.privileges,
            json!({"account": "ACC-1671-0642", "modules": ["MOD-1756", "MOD-9042"]})
        );
        assert!(!Value::Object(token.raw).to_string().contains("very-secret"));
        assert!(super::token(raw(json!({"status": "Disabled"}))).unwrap().disabled);
        assert!(super::token(raw(json!({"id": 7}))).is_err());
    }

    #[test]
    fn a_successor_has_the_same_account_and_modules_by_their_ids() {
        let successor = successor_of(&raw(json!({"icon": "x.png"}))).unwrap();
        let wanted = json!({
            "account": {"id": "ACC-1671-0642"}, "modules": [{"id": "MOD-9042"}, {"id": "MOD-1756"}], "icon": "x.png",
        });
        assert_eq!(Value::Object(successor), wanted);
        let mut unknown = raw(json!({}));
        unknown.remove("modules");
        assert_eq!(successor_of(&unknown).unwrap_err().kind, ErrorKind::Invalid);
    }

    #[test]
    fn a_value_tells_its_token() {
        assert_eq!(id_of("idt:TKN-1671-0642:abc:def"), Some("TKN-1671-0642"));
        for odd in ["", "idt:", "idt:TKN-1", "TKN-1:x", "idt:USR-1:x"] {
            assert_eq!(id_of(odd), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn no_reply_panics(raw in proptest::collection::vec(("[a-zA-Z$]{1,12}", "[ -~]{0,20}"), 0..8)) {
            let raw: Map<String, Value> = raw.into_iter().map(|(k, v)| (k, json!(v))).collect();
            let is_readable = raw.contains_key("id");
            prop_assert_eq!(token(raw).is_ok(), is_readable);
        }
    }
}
