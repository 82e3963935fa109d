//! GitHub Apps: signed in by a JWT, installed at owners, given tokens for an hour.
//!
//! Signatures are checked here against the public half of the key, claims by the
//! fake's own clock.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::super::reply::{Reply, Request, origin};
use super::credential::Credential;
use super::routes::{Call, Outcome, failure, not_found};
use super::state::{Repository, State};

/// The App's private key as GitHub makes it, and converted.
pub const KEY_PKCS1: &str = include_str!("keys/app.pkcs1.pem");
/// The same key as PKCS#8.
pub const KEY_PKCS8: &str = include_str!("keys/app.pkcs8.pem");
/// Somebody else's key.
pub const KEY_OF_A_STRANGER: &str = include_str!("keys/stranger.pkcs1.pem");

/// The id of the only App that there is.
pub const APP_ID: &str = "123456";

/// The lifetime of an installation token.
const LIFE: SignedDuration = SignedDuration::from_hours(1);

/// The App at one owner.
#[derive(Debug, Clone)]
pub struct Installation {
    /// GitHub's number for it.
    pub id: u64,
    /// The owner, lower case.
    pub owner: String,
    /// The owner is a user, not an organization.
    pub is_user: bool,
    /// What was granted: API name to `read` or `write`.
    pub permissions: BTreeMap<String, String>,
    /// The repositories that it covers, lower case; `None`: all of the owner's.
    pub repositories: Option<Vec<String>>,
    /// It was suspended.
    pub suspended: bool,
}

impl Installation {
    /// At an organization, covering everything, with these permissions to write.
    #[must_use]
    pub fn at(owner: &str, permissions: &[&str]) -> Self {
        let mut granted: BTreeMap<String, String> =
            permissions.iter().map(|name| ((*name).to_owned(), "write".to_owned())).collect();
        granted.insert("metadata".to_owned(), "read".to_owned());
        Self {
            id: 0,
            owner: owner.to_ascii_lowercase(),
            is_user: false,
            permissions: granted,
            repositories: None,
            suspended: false,
        }
    }

    /// Covers these repositories alone.
    #[must_use]
    pub fn only(mut self, full_names: &[&str]) -> Self {
        self.repositories = Some(full_names.iter().map(|name| name.to_ascii_lowercase()).collect());
        self
    }

    /// Has a permission to read and not to write.
    #[must_use]
    pub fn reads(mut self, permission: &str) -> Self {
        self.permissions.insert(permission.to_owned(), "read".to_owned());
        self
    }

    /// At a user.
    #[must_use]
    pub fn of_user(mut self) -> Self {
        self.is_user = true;
        self
    }
}

/// A token that the fake has given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenToken {
    /// Its value.
    pub value: String,
    /// Whose.
    pub owner: String,
    /// What it may do.
    pub permissions: BTreeMap<String, String>,
    /// Which repositories it was narrowed to.
    pub repositories: Option<Vec<String>>,
    /// When.
    pub at: Timestamp,
}

impl State {
    /// Requests that an App makes itself; `None`: it is none of these.
    pub(super) fn as_app(&mut self, request: &Request, parts: &[&str]) -> Option<Reply> {
        let method = request.method.as_str();
        let reply = match (method, parts) {
            ("GET", ["orgs", owner, "installation"]) => self.installation_at(request, owner, false),
            ("GET", ["users", owner, "installation"]) => self.installation_at(request, owner, true),
            ("POST", ["app", "installations", id, "access_tokens"]) => self.give_token(request, id),
            _ => return None,
        };
        if let Some(message) = &self.switches.app_refusal {
            return Some(failure(403, message));
        }
        Some(reply.unwrap_or_else(|refusal| refusal))
    }

    fn installation_at(&self, request: &Request, owner: &str, is_user: bool) -> Outcome {
        self.signed_in(request)?;
        let found = self.installations.iter().find(|one| one.owner == owner.to_ascii_lowercase());
        let one = found.filter(|one| one.is_user == is_user).ok_or_else(not_found)?;
        let selection = if one.repositories.is_some() { "selected" } else { "all" };
        let suspended = one.suspended.then(|| self.clock.now().to_string());
        let api = format!("{}{}", origin(request), self.base);
        let kind = if is_user { "User" } else { "Organization" };
        let example = Repository {
            id: 1,
            full_name: format!("{}/any", one.owner),
            former: Vec::new(),
            archived: false,
            disabled: false,
            public: false,
            issues_disabled: false,
            environments: Vec::new(),
        };
        let mut account = self.shown_repository_at(&origin(request), &example)["owner"].take();
        account["type"] = json!(kind);
        let suspended_by = if one.suspended { account.clone() } else { Value::Null };
        Ok(Reply::json(
            200,
            json!({
                "id": one.id, "app_id": 123_456, "app_slug": "rotator", "client_id": "Iv1.ab1112223334445c",
                "target_id": 1, "target_type": kind, "account": account, "repository_selection": selection,
                "access_tokens_url": format!("{api}/app/installations/{}/access_tokens", one.id),
                "repositories_url": format!("{api}/installation/repositories"),
                "html_url": format!("https://github.com/settings/installations/{}", one.id),
                "permissions": one.permissions, "events": [], "created_at": "2018-02-09T20:51:14Z",
                "updated_at": "2018-02-09T20:51:14Z", "single_file_name": null,
                "has_multiple_single_files": false, "single_file_paths": [],
                "suspended_at": suspended, "suspended_by": suspended_by,
            }),
        ))
    }

    fn give_token(&mut self, request: &Request, id: &str) -> Outcome {
        self.signed_in(request)?;
        let one = self.installations.iter().find(|one| one.id.to_string() == id).cloned();
        let one = one.ok_or_else(not_found)?;
        if one.suspended {
            return Err(failure(403, "This installation has been suspended"));
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_else(|_| json!({}));
        let mut permissions = one.permissions.clone();
        if let Some(asked) = body.get("permissions").and_then(Value::as_object) {
            let asked: BTreeMap<String, String> = asked
                .iter()
                .map(|(name, level)| (name.clone(), level.as_str().unwrap_or_default().to_owned()))
                .collect();
            let is_granted = |(name, level): (&String, &String)| {
                let granted = one.permissions.get(name).map_or("", String::as_str);
                granted == "write" || granted == level
            };
            if !asked.iter().all(is_granted) {
                return Err(failure(422, "The permissions requested are not granted to this installation."));
            }
            permissions = asked;
            permissions.insert("metadata".to_owned(), "read".to_owned());
        }
        let repositories = self.chosen(&one, &body)?;
        self.tokens_given.push(GivenToken {
            // Long, and of no fixed length, as the stateless tokens are.
            value: format!(
                "ghs_{APP_ID}_{}",
                URL_SAFE_NO_PAD
                    .encode(format!("installation {id} token {} ", self.tokens_given.len()).repeat(9))
            ),
            owner: one.owner.clone(),
            permissions: permissions.clone(),
            repositories: repositories.clone(),
            at: self.clock.now(),
        });
        let value = self.tokens_given.last().unwrap().value.clone();
        let life = self.switches.installation_token_life.unwrap_or(LIFE);
        let expires_at = self.clock.now().checked_add(life).unwrap();
        let places = match (&repositories, &one.repositories) {
            (Some(names), _) | (None, Some(names)) => names.clone(),
            (None, None) => vec![format!("{}/*", one.owner)],
        };
        let places: Vec<String> = places.into_iter().chain([format!("org:{}", one.owner)]).collect();
        let places: Vec<&str> = places.iter().map(String::as_str).collect();
        self.credentials.push(
            Credential::new("app", &value)
                .only(&places)
                .may_only(&permissions)
                .expires_silently_at(expires_at),
        );
        let mut given = json!({
            "token": value, "expires_at": expires_at.to_string(), "permissions": permissions,
            "repository_selection": if repositories.is_some() { "selected" } else { "all" },
        });
        if let Some(names) = &repositories {
            // All of them, each as long as a repository is.
            let all = self.repositories.iter();
            let named = all.filter(|one| names.contains(&one.full_name.to_ascii_lowercase()));
            let at = origin(request);
            given["repositories"] = named.map(|one| self.shown_repository_at(&at, one)).collect();
        }
        Ok(Reply::json(201, given))
    }

    /// The repositories that a token is narrowed to. One that the installation
    /// does not cover spoils the request.
    fn chosen(&self, one: &Installation, body: &Value) -> Result<Option<Vec<String>>, Reply> {
        let refused = || {
            failure(
                422,
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
            )
        };
        let list = |key: &str| body.get(key).and_then(Value::as_array);
        let mut chosen = Vec::new();
        for name in list("repositories").into_iter().flatten() {
            chosen.push(format!("{}/{}", one.owner, name.as_str().unwrap_or_default().to_ascii_lowercase()));
        }
        for id in list("repository_ids").into_iter().flatten() {
            let found = self.repositories.iter().find(|r| Some(r.id) == id.as_u64()).ok_or_else(refused)?;
            chosen.push(found.full_name.to_ascii_lowercase());
        }
        let covered = |name: &String| {
            let exists = self.repositories.iter().any(|r| r.full_name.eq_ignore_ascii_case(name));
            exists && one.repositories.as_ref().is_none_or(|covered| covered.contains(name))
        };
        if chosen.len() > 500 || !chosen.iter().all(covered) {
            return Err(refused());
        }
        let is_narrowed = body.get("repositories").is_some() || body.get("repository_ids").is_some();
        Ok(is_narrowed.then_some(chosen))
    }

    /// The repositories that a token was given for.
    pub(super) fn repositories_of_installation(&self, call: &Call<'_>) -> Reply {
        let owner = self.tokens_given.iter().find(|given| given.value == call.caller.value);
        let owner = owner.map_or(String::new(), |given| format!("{}/", given.owner));
        let seen = self.repositories.iter().filter(|r| {
            let name = r.full_name.to_ascii_lowercase();
            name.starts_with(&owner) && call.caller.sees(&name)
        });
        self.page(call, "repositories", seen.map(|r| self.shown_repository(call, r)).collect())
    }

    /// Whether a request carries the App's JWT, good at this very time.
    fn signed_in(&self, request: &Request) -> Result<(), Reply> {
        let refused = |why: &str| failure(401, why);
        let header = request.headers.get("authorization").and_then(|h| h.to_str().ok()).unwrap_or_default();
        let token = header.strip_prefix("Bearer ").ok_or_else(|| refused("Requires authentication"))?;
        let undecodable = || refused("A JSON web token could not be decoded");
        let (signed, signature) = token.rsplit_once('.').ok_or_else(undecodable)?;
        let (head, claims) = signed.split_once('.').ok_or_else(undecodable)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| undecodable());
        let head: Value = serde_json::from_slice(&decode(head)?).map_err(|_| undecodable())?;
        let claims: Value = serde_json::from_slice(&decode(claims)?).map_err(|_| undecodable())?;
        let key = PrivateKeyDer::from_pem_slice(KEY_PKCS1.as_bytes()).unwrap();
        let PrivateKeyDer::Pkcs1(key) = key else { unreachable!("the file is PKCS#1") };
        let key = RsaKeyPair::from_der(key.secret_pkcs1_der()).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref());
        let is_signed = public.verify(signed.as_bytes(), &decode(signature)?).is_ok();
        if head["alg"] != "RS256" || !is_signed || claims["iss"] != APP_ID {
            return Err(undecodable());
        }
        let (issued, ends) =
            (claims["iat"].as_i64().unwrap_or(i64::MAX), claims["exp"].as_i64().unwrap_or(0));
        let now = self.clock.now().as_second();
        if issued > now {
            return Err(refused(
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
            ));
        }
        if ends <= now || ends > now + 600 {
            return Err(refused("'Expiration time' claim ('exp') is too far in the future, or in the past"));
        }
        Ok(())
    }
}
