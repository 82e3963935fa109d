//! LaunchDarkly: *create* with an expiry, then give the previous token one.
//!
//! Sources: LaunchDarkly's Python client 25.0.1, generated from its API description
//! (access tokens, caller identity, JSON patch, versions), and its documentation of
//! personal and service tokens. Tokens have an `expiry` since 25.0.0, which also
//! discourages the older way, a reset of the value. A server ignores unknown fields
//! without an error, so every reply is checked for what was requested. Types and calls
//! only; the policy is in [`crate::rotation`].

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::connection::{Connection, Endpoint, Pages, ProviderRequest, authorization, canonicalize};
use super::{
    Descriptor, Ending, Error, ErrorKind, Expiry, MarkerIn, Mint, Minted, Overlap, Profile, Provider,
    ProviderSettings, Token, Verification,
};
use crate::http::PeerPolicy;
use crate::redact::{Body, TokenShape};

/// Static facts about LaunchDarkly. The federal and the European instance have hosts of
/// their own.
pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "launchdarkly",
    origin: "https://app.launchdarkly.com",
    tokens: &[TokenShape { prefix: "api-", body: Body::Uuid }],
    needs_org_id: &[],
    value_fields: &["token"],
    peer_policy: PeerPolicy::STRICT,
    connect,
};

/// Tokens on one page.
const PAGE: &str = "100";

/// What every call needs.
const NEEDS: &str = "a service token with the role Admin, or a role that may manage access tokens";

/// What a client may set, besides the name.
const SETTABLE: [&str; 6] =
    ["description", "role", "customRoleIds", "inlineRole", "serviceToken", "defaultApiVersion"];

/// The version of the API that this file was written for. Without the header it would
/// be the one that the credential was created with.
const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("ld-api-version"), HeaderValue::from_static("20240415"));

/// The token calls of one account.
#[derive(Debug)]
struct LaunchDarkly {
    connection: Connection,
}

/// Connects to LaunchDarkly; the URL is the origin, with or without `/api/v2`.
fn connect(settings: &ProviderSettings, endpoint: Endpoint) -> Result<Arc<dyn Provider>, Error> {
    let connection = Connection::new(endpoint, settings.url.as_ref(), DESCRIPTOR.origin, "api/v2")?;
    Ok(Arc::new(LaunchDarkly { connection }))
}

/// A page of the list.
#[derive(Deserialize)]
struct TokenPage {
    // Required: an answer of something else must not read as "there are no tokens".
    items: Vec<Map<String, Value>>,
    #[serde(rename = "totalCount")]
    total: Option<usize>,
}

/// The token stands in the header as it is, without a scheme.
fn request<'a>(
    path: &'a [&'a str],
    query: &'a [(&'a str, &'a str)],
    credential: &SecretString,
) -> Result<ProviderRequest<'a>, Error> {
    let mut headers = authorization(credential.expose_secret())?;
    headers.extend([VERSION]);
    Ok(ProviderRequest { path, query, headers, needs: NEEDS })
}

#[async_trait]
impl Provider for LaunchDarkly {
    fn profile(&self) -> Profile {
        Profile {
            overlap: Overlap::AcrossRuns,
            expiry: Expiry::Native,
            marker_in: MarkerIn::Name,
            can_disable: false,
            can_set_expiry: true,
        }
    }

    async fn list(&self, credential: &SecretString) -> Result<Vec<Token>, Error> {
        let mut all = Pages::by("_id");
        loop {
            let offset = all.items.len().to_string();
            let query = [("showAll", "true"), ("limit", PAGE), ("offset", offset.as_str())];
            let TokenPage { items, total } =
                self.connection.get(request(&["tokens"], &query, credential)?).await?;
            let known = all.items.len() + items.len();
            if !all.add(items, total.is_none_or(|total| known < total))? {
                break;
            }
        }
        all.items.into_iter().map(token).collect()
    }

    fn could_be_id(&self, text: &str) -> bool {
        text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    async fn get(&self, credential: &SecretString, id: &str) -> Result<Option<Token>, Error> {
        match self.connection.get(request(&["tokens", id], &[], credential)?).await {
            Ok(raw) => token(raw).map(Some),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn mint(&self, credential: &SecretString, mint: &Mint<'_>) -> Result<Minted, Error> {
        let mut successor = match mint.previous {
            Some(old) => equal_of(&old.raw),
            None => mint.template.cloned().unwrap_or_default(),
        };
        successor.insert("name".to_owned(), json!(mint.note));
        if let Some(end) = mint.expires_at {
            successor.insert("expiry".to_owned(), json!(end.as_millisecond()));
        }
        let request = request(&["tokens"], &[], credential)?;
        let (value, raw) = self.connection.mint(request, &Value::Object(successor)).await?;
        Ok(Minted { token: token(raw)?, value })
    }

    async fn verify(&self, minted: &Minted, verify: Option<&str>) -> Result<Verification, Error> {
        let request = request(&["caller-identity"], &[], &minted.value)?;
        if let Some(path) = verify {
            return self.connection.verify(path, request.headers).await;
        }
        match self.connection.get::<IgnoredAny>(request).await {
            Ok(_) => Ok(Verification::Verified),
            Err(error) => match error.kind {
                ErrorKind::Unauthenticated => Ok(Verification::Rejected),
                ErrorKind::Forbidden | ErrorKind::NotFound => Ok(Verification::Unverified),
                _ => Err(error),
            },
        }
    }

    async fn end(&self, credential: &SecretString, token: &Token, _: Ending) -> Result<(), Error> {
        self.connection.delete(request(&["tokens", &token.id], &[], credential)?).await
    }

    async fn set_expiry(
        &self,
        credential: &SecretString,
        token: &Token,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        // `add` also replaces an expiry that is there (RFC 6902).
        let change = json!({ "op": "add", "path": "/expiry", "value": expires_at.as_millisecond() });
        let path = ["tokens", token.id.as_str()];
        match self.connection.patch(request(&path, &[], credential)?, &json!([change])).await? {
            Some(shown) if expiry(&shown)?.is_none_or(|end| end > expires_at) => {
                Err(Error::invalid("the provider answered with success, but did not change the expiry"))
            }
            _ => Ok(()),
        }
    }

    /// A token shows the last characters of its present value.
    fn could_be_value_of(&self, token: &Token, credential: &SecretString) -> bool {
        let shown = token.raw.get(SHOWN).and_then(Value::as_str).unwrap_or_default();
        credential.expose_secret().ends_with(shown)
    }
}

/// Where the end of a value is kept, so that it is never taken for a value.
const SHOWN: &str = "endOfValue";

/// The body that creates an equal token.
fn equal_of(raw: &Map<String, Value>) -> Map<String, Value> {
    let is_set = |value: &Value| !value.is_null() && value.as_array().is_none_or(|all| !all.is_empty());
    let kept = raw.iter().filter(|(field, value)| SETTABLE.contains(&field.as_str()) && is_set(value));
    kept.map(|(field, value)| (field.clone(), value.clone())).collect()
}

/// Reads a token as LaunchDarkly shows it.
fn token(mut raw: Map<String, Value>) -> Result<Token, Error> {
    // The end of the value, unless the token was just created.
    if let Some(Value::String(shown)) = raw.remove("token")
        && shown.len() <= 8
    {
        raw.insert(SHOWN.to_owned(), json!(shown));
    }
    let text = |field: &str| raw.get(field).and_then(Value::as_str).map(str::to_owned);
    let id = text("_id").ok_or_else(|| Error::unreadable("a token without an id"))?;
    let name = text("name").unwrap_or_default();
    let is_service = raw.get("serviceToken") == Some(&json!(true));
    let privileges = canonicalize(json!({
        "role": raw.get("role"),
        "customRoleIds": raw.get("customRoleIds"),
        "inlineRole": raw.get("inlineRole"),
        "serviceToken": is_service,
        "defaultApiVersion": raw.get("defaultApiVersion"),
        // A personal token can do no more than its member. A service token is
        // independent of the member who created it, so that one is not compared.
        "memberId": raw.get("memberId").filter(|_| !is_service),
    }));
    Ok(Token {
        note: name.clone(),
        name,
        expires_at: expiry(&raw)?,
        created_at: time(raw.get("creationDate")),
        changed_at: None,
        last_used_at: time(raw.get("lastUsed")),
        disabled: false,
        id,
        privileges,
        raw,
    })
}

/// When a token expires; `None`: never.
fn expiry(raw: &Map<String, Value>) -> Result<Option<Timestamp>, Error> {
    let Some(value) = raw.get("expiry").filter(|value| !value.is_null()) else { return Ok(None) };
    match milliseconds(value) {
        Some(never) if never <= 0 => Ok(None),
        Some(later) => Ok(Some(Timestamp::from_millisecond(later).unwrap_or(Timestamp::MAX))),
        None => Err(Error::unreadable("an expiry that is no time")),
    }
}

/// Milliseconds since the epoch, as a number or in quotes; 0 is "never".
fn time(value: Option<&Value>) -> Option<Timestamp> {
    let milliseconds = milliseconds(value?)?;
    Timestamp::from_millisecond(milliseconds).ok().filter(|_| milliseconds > 0)
}

fn milliseconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(extra: Value) -> Map<String, Value> {
        let mut raw = json!({
            "_id": "61095542756dba551110ae21", "ownerId": "569f514156e003339cfd3917",
            "memberId": "569f514183f2164430000002", "name": "ci", "description": "for builds",
            "creationDate": 1_628_001_602_644_i64, "lastModified": 1_628_001_602_644_i64, "lastUsed": 0,
            "role": "reader", "customRoleIds": [], "inlineRole": [], "token": "1f2e",
            "serviceToken": true, "defaultApiVersion": 20_240_415, "_links": {},
        });
        let Value::Object(extra) = extra else { panic!("no object") };
        raw.as_object_mut().unwrap().extend(extra);
        serde_json::from_value(raw).unwrap()
    }

    #[test]
    fn reads_a_token_in_either_form_of_time() {
        let numbers = token(raw(json!({}))).unwrap();
        let quoted = token(raw(json!({"creationDate": "1628001602644", "lastUsed": "0"}))).unwrap();
        for token in [numbers, quoted] {
            assert_eq!(token.created_at, Some("2021-08-03T14:40:02.644Z".parse().unwrap()));
            assert_eq!((token.last_used_at, token.expires_at), (None, None));
            assert_eq!((token.name.as_str(), token.note.as_str()), ("ci", "ci"));
        }
    }

    #[test]
    fn reads_an_expiry_and_never_takes_an_odd_one_for_none() {
        let read = |expiry: Value| token(raw(json!({ "expiry": expiry }))).map(|token| token.expires_at);
        let end = Some("2021-08-03T14:40:02.644Z".parse().unwrap());
        assert_eq!(read(json!(1_628_001_602_644_i64)).unwrap(), end);
        assert_eq!(read(json!("1628001602644")).unwrap(), end);
        for never in [json!(0), json!("0"), json!(null), json!(-62_135_596_800_000_i64)] {
            assert_eq!(read(never.clone()).unwrap(), None, "{never}");
        }
        assert_eq!(token(raw(json!({}))).unwrap().expires_at, None);
        assert_eq!(read(json!(i64::MAX)).unwrap(), Some(Timestamp::MAX));
        for odd in [json!("soon"), json!(""), json!({}), json!(true), json!("2026-03-02")] {
            assert!(read(odd.clone()).is_err(), "{odd}");
        }
    }

    #[test]
    fn keeps_the_end_of_a_value_and_never_a_whole_one() {
        let shown = token(raw(json!({}))).unwrap();
        assert_eq!((shown.raw.get("token"), &shown.raw[SHOWN]), (None, &json!("1f2e")));
        let whole = token(raw(json!({"token": "api-11111111-2222-3333-4444-555555551f2e"}))).unwrap();
        assert!(!Value::Object(whole.raw).to_string().contains("1f2e"));
    }

    #[test]
    fn an_equal_token_has_the_same_rights_and_neither_empty_lists_nor_an_expiry() {
        let wanted = json!({
            "description": "for builds", "role": "reader", "serviceToken": true, "defaultApiVersion": 20_240_415,
        });
        let expiring = raw(json!({"expiry": 1_628_001_602_644_i64}));
        assert_eq!(Value::Object(equal_of(&expiring)), wanted);
        let custom = equal_of(&raw(json!({"role": null, "customRoleIds": ["r1"]})));
        assert_eq!((custom.get("role"), &custom["customRoleIds"]), (None, &json!(["r1"])));
    }

    #[test]
    fn a_personal_token_of_somebody_else_is_no_equal() {
        let of = |extra| token(raw(extra)).unwrap().privileges;
        assert_eq!(of(json!({})), of(json!({"memberId": "other"})), "independent of their creator");
        assert_ne!(
            of(json!({"serviceToken": false})),
            of(json!({"serviceToken": false, "memberId": "other"}))
        );
    }

    proptest! {
        #[test]
        fn no_time_panics(number in any::<i64>(), text in ".{0,20}") {
            prop_assert!(time(Some(&json!(number))).is_none_or(|at| at.as_millisecond() == number));
            prop_assert!(time(Some(&json!(text))).is_none() || text.parse::<i64>().is_ok());
        }
    }
}
