//! deepset (Haystack Enterprise Platform): *create*, then *delete*.
//!
//! Sources: the published description of `GET /api/v1/token/{id}`, the
//! documentation pages of the list and of the creation, and, for what those leave
//! out, an older generated client: creation answers with the value alone. So a new
//! token's id is found by its name and by the mask of its value. A token has no
//! description: the marker stands in its name.
//! Types and calls only; policy lives in [`crate::rotation`].

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::connection::{
    Connection, Endpoint, Pages, ProviderRequest, bearer, canonicalize, granted, grants, made_nothing,
    published, timestamp,
};
use super::{
    Descriptor, Ending, Error, ErrorKind, Expiry, MarkerIn, Mint, Minted, Overlap, Profile, Provider,
    ProviderSettings, Token, Verification,
};
use crate::http::PeerPolicy;
use crate::redact::{Body, TokenShape};

/// Static facts about deepset. Its API in the United States is
/// `https://api.us.deepset.ai`.
pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "deepset",
    origin: "https://api.cloud.deepset.ai",
    tokens: &[TokenShape { prefix: "api_", body: Body::RandomWord(20) }],
    needs_org_id: &[],
    value_fields: &VALUE_FIELDS,
    peer_policy: PeerPolicy::STRICT,
    connect,
};

/// Tokens on one page.
const PAGE: &str = "100";

/// What the documentation of a creation names.
const SCHEMA: [&str; 7] =
    ["name", "expires", "expires_at", "organization_role", "personal", "role_id", "workspaces"];

/// What every call needs.
const NEEDS: &str = "an API key of a user with the organization role ADMIN";

/// Under which names a creation may show the value.
const VALUE_FIELDS: [&str; 3] = ["api_token", "token", "key"];

/// The token calls of one organization.
#[derive(Debug)]
struct Deepset {
    connection: Connection,
}

/// Connects to deepset; the URL is the origin, with or without `/api/v1`.
fn connect(settings: &ProviderSettings, endpoint: Endpoint) -> Result<Arc<dyn Provider>, Error> {
    let connection = Connection::new(endpoint, settings.url.as_ref(), DESCRIPTOR.origin, "api/v1")?;
    Ok(Arc::new(Deepset { connection }))
}

/// The list, in its present form and in its older one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listed {
    Page {
        data: Vec<Map<String, Value>>,
        #[serde(default)]
        has_more: bool,
    },
    Whole(Vec<Map<String, Value>>),
}

fn request<'a>(
    path: &'a [&'a str],
    query: &'a [(&'a str, &'a str)],
    credential: &SecretString,
) -> Result<ProviderRequest<'a>, Error> {
    Ok(ProviderRequest { path, query, headers: bearer(credential)?, needs: NEEDS })
}

#[async_trait]
impl Provider for Deepset {
    fn profile(&self) -> Profile {
        Profile {
            overlap: Overlap::AcrossRuns,
            expiry: Expiry::Native,
            marker_in: MarkerIn::Name,
            can_disable: false,
            can_set_expiry: false,
        }
    }

    async fn list(&self, credential: &SecretString) -> Result<Vec<Token>, Error> {
        let mut all = Pages::by("api_token_id");
        loop {
            let number = (all.count + 1).to_string();
            let query = [("limit", PAGE), ("page_number", number.as_str())];
            let more = match self.connection.get(request(&["token"], &query, credential)?).await? {
                Listed::Page { data, has_more } => all.add(data, has_more)?,
                Listed::Whole(data) => all.add(data, false)?,
            };
            if !more {
                break;
            }
        }
        all.items.into_iter().map(token).collect()
    }

    fn could_be_id(&self, text: &str) -> bool {
        is_uuid(text)
    }

    async fn get(&self, credential: &SecretString, id: &str) -> Result<Option<Token>, Error> {
        match self.connection.get(request(&["token", id], &[], credential)?).await {
            Ok(raw) => token(raw).map(Some),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn mint(&self, credential: &SecretString, mint: &Mint<'_>) -> Result<Minted, Error> {
        let mut successor = match mint.previous {
            Some(previous) => successor_of(&previous.raw),
            None => mint.template.cloned().unwrap_or_default(),
        };
        // A personal token ends with its user's account.
        successor.entry("personal").or_insert(json!(false));
        successor.insert("name".to_owned(), json!(mint.note));
        successor.insert("expires".to_owned(), json!(mint.expires_at.is_some()));
        successor.insert("expires_at".to_owned(), json!(mint.expires_at));
        let published = mint.previous.and_then(|_| published(&successor, &SCHEMA));
        let request = async |body: Map<String, Value>| {
            self.connection.mint(request(&["token"], &[], credential)?, &Value::Object(body)).await
        };
        let (value, raw) = match (request(successor).await, published) {
            (Err(error), Some(published)) if error.kind == ErrorKind::Invalid => {
                made_nothing(self, credential, mint.note, error).await?;
                request(published).await?
            }
            (result, _) => result?,
        };
        if raw.contains_key("api_token_id") && raw.contains_key("workspaces") {
            return Ok(Minted { token: token(raw)?, value });
        }
        let listed = self.list(credential).await.map_err(Error::after_the_fact)?;
        let is_new = |token: &Token| token.note == mint.note && self.could_be_value_of(token, &value);
        match listed.into_iter().find(is_new) {
            Some(token) => Ok(Minted { token, value }),
            // Treated as a lost reply: the caller looks for the token, and starts again.
            None => Err(Error::unreadable("a new token that the list does not show")),
        }
    }

    async fn verify(&self, minted: &Minted, verify: Option<&str>) -> Result<Verification, Error> {
        let path = ["token", minted.token.id.as_str()];
        let request = request(&path, &[], &minted.value)?;
        if let Some(path) = verify {
            return self.connection.verify(path, request.headers).await;
        }
        let is_meant =
            |raw: &Map<String, Value>| raw.get("api_token_id").is_some_and(|id| *id == *minted.token.id);
        match self.connection.identify(request, is_meant).await {
            Ok(verification) => Ok(verification),
            Err(error) => match error.kind {
                ErrorKind::Unauthenticated => Ok(Verification::Rejected),
                // A token that may not list tokens gets 403 or 404.
                ErrorKind::Forbidden | ErrorKind::NotFound | ErrorKind::Invalid => {
                    Ok(Verification::Unverified)
                }
                _ => Err(error),
            },
        }
    }

    async fn end(&self, credential: &SecretString, token: &Token, _: Ending) -> Result<(), Error> {
        // 200 is documented too, but without a body of its own: a proxy's looks the
        // same, so the caller reads the token again.
        self.connection.delete(request(&["token", &token.id], &[], credential)?).await
    }

    /// A token shows a mask: the first and last characters of its value.
    fn could_be_value_of(&self, token: &Token, credential: &SecretString) -> bool {
        let mask = token.raw.get("masked_token").and_then(Value::as_str).unwrap_or_default();
        fits_mask(credential.expose_secret(), mask)
    }
}

/// Whether a value begins and ends as its mask does. What the mask hides is a run
/// of anything that no value consists of.
fn fits_mask(value: &str, mask: &str) -> bool {
    let is_shown = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let first = mask.find(|c| !is_shown(c)).unwrap_or(0);
    let last = mask.rfind(|c| !is_shown(c)).map_or(0, |at| mask.ceil_char_boundary(at + 1));
    value.starts_with(&mask[..first]) && value.ends_with(&mask[last..])
}

/// The body that creates an equal token.
fn successor_of(raw: &Map<String, Value>) -> Map<String, Value> {
    let kept = ["organization_role", "personal", "role_id"];
    let mut successor: Map<String, Value> = raw
        .iter()
        .filter(|(field, value)| (kept.contains(&field.as_str()) || grants(field)) && !value.is_null())
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect();
    // Without a list it is for all workspaces, those to come included.
    if !is_for_all(raw) {
        successor.insert("workspaces".to_owned(), json!(workspaces(raw)));
    }
    successor
}

fn is_for_all(raw: &Map<String, Value>) -> bool {
    raw.get("all_workspaces") == Some(&json!(true))
}

/// The names of a token's workspaces.
fn workspaces(raw: &Map<String, Value>) -> Vec<&str> {
    let all = raw.get("workspaces").and_then(Value::as_array).into_iter().flatten();
    all.filter_map(|workspace| workspace.get("name").unwrap_or(workspace).as_str()).collect()
}

fn is_uuid(text: &str) -> bool {
    let is_part = |(part, length): (&str, usize)| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    text.split('-').count() == 5 && text.split('-').zip([8, 4, 4, 4, 12]).all(is_part)
}

/// Reads a token as deepset shows it.
fn token(mut raw: Map<String, Value>) -> Result<Token, Error> {
    VALUE_FIELDS.iter().for_each(|field| drop(raw.remove(*field)));
    let text = |field: &str| raw.get(field).and_then(Value::as_str).map(str::to_owned);
    let id = text("api_token_id").ok_or_else(|| Error::unreadable("a token without an id"))?;
    let name = text("name").unwrap_or_default();
    let expires_at = match raw.get("expires_at") {
        None | Some(Value::Null) => None,
        Some(end) => {
            let end = end.as_str().and_then(timestamp);
            Some(end.ok_or_else(|| Error::unreadable("an expiry that is no date"))?)
        }
    };
    let workspaces = if is_for_all(&raw) { json!("all") } else { json!(workspaces(&raw)) };
    let privileges = canonicalize(json!({
        "organization_role": raw.get("organization_role"),
        "role": raw.get("role"),
        "personal": raw.get("personal"),
        "workspaces": workspaces,
        "others": granted(&raw),
    }));
    Ok(Token {
        note: name.clone(),
        name,
        expires_at,
        created_at: None,
        changed_at: None,
        last_used_at: None,
        disabled: false,
        id,
        privileges,
        raw,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(extra: Value) -> Map<String, Value> {
        let mut raw = json!({
            "api_token_id": "61095542-756d-4551-a10a-e21000000001", "name": "ci [crossfade x]",
            "masked_token": "api_********wxyz", "personal": false, "expires": true,
            "expires_at": "2026-06-01T00:00:00+00:00", "organization_role": "MEMBER", "role": "editor",
            "user": {"given_name": "A", "family_name": "B"}, "all_workspaces": false,
            "workspaces": [{"name": "prod"}, {"name": "dev"}],
        });
        let Value::Object(extra) = extra else { panic!("no object") };
        raw.as_object_mut().unwrap().extend(extra);
        serde_json::from_value(raw).unwrap()
    }

    #[test]
    fn reads_a_token_and_keeps_no_value() {
        let token = token(raw(json!({"api_token": "api_very-secret"}))).unwrap();
        assert_eq!((token.name.as_str(), token.note.as_str()), ("ci [crossfade x]", "ci [crossfade x]"));
        assert_eq!(token.expires_at, Some("2026-06-01T00:00:00Z".parse().unwrap()));
        assert!(!Value::Object(token.raw).to_string().contains("very-secret"));
        let naive = super::token(raw(json!({"expires_at": "2026-06-01T00:00:00.5"}))).unwrap();
        assert_eq!(
            naive.expires_at,
            Some("2026-06-01T00:00:00.5Z".parse().unwrap()),
            "deepset's times are UTC"
        );
        assert_eq!(super::token(raw(json!({"expires_at": null}))).unwrap().expires_at, None);
        assert!(super::token(raw(json!({"expires_at": "soon"}))).is_err());
    }

    #[test]
    fn a_successor_is_for_the_same_workspaces() {
        let successor = |extra| Value::Object(successor_of(&raw(extra)));
        let common = json!({"organization_role": "MEMBER", "personal": false});
        let mut some = common.clone();
        some["workspaces"] = json!(["prod", "dev"]);
        assert_eq!(successor(json!({})), some);
        assert_eq!(successor(json!({"all_workspaces": true})), common);
        assert_eq!(successor(json!({"personal": true}))["personal"], true);
    }

    #[test]
    fn a_mask_tells_what_a_value_is_not() {
        for mask in ["api_****wxyz", "api_…wxyz", "api_...wxyz", "", "****", "api_abcdwxyz"] {
            assert!(fits_mask("api_abcdwxyz", mask), "{mask}");
        }
        for mask in ["api_****wxy", "apa_****wxyz", "****z-"] {
            assert!(!fits_mask("api_abcdwxyz", mask), "{mask}");
        }
    }

    #[test]
    fn only_a_uuid_is_asked_for() {
        assert!(is_uuid("61095542-756d-4551-a10a-e21000000001"));
        for name in ["ci-ingest", "", "61095542-756d-4551-a10a-e2100000000g", "61095542-756d-4551-a10a"] {
            assert!(!is_uuid(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_mask_panics(value in ".{0,20}", mask in ".{0,20}") {
            prop_assert!(!fits_mask(&value, &mask) || value.len() < 100);
        }
    }
}
