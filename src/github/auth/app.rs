//! A GitHub App: creates one installation token for each owner from its private key.
//!
//! The App signs in with a JWT, finds its installation at the owner, checks its
//! permissions, and requests a token for the repositories of this run only. Times are
//! GitHub's, because the machine's clock may be wrong.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::cache::Cache;
use super::super::client::{BearerToken, Client, Credentials};
use super::super::error::{Error, ErrorKind, Result, SignedWith, Subject};
use super::super::permission::{ACTIONS, ADMINISTRATION, METADATA, Permission, Right};
use super::super::transport::Transport;
use super::super::{paths, settings::Mode};
use super::jwt::Signer;
use crate::config::{ConfiguredSecret, Repository, Workflow};
use crate::http::{Announce, Call, Values};

/// How long before its expiry a token is replaced.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// The most repositories that a token can be limited to. Source: GitHub's page on
/// installation access tokens.
const MOST_REPOSITORIES: usize = 500;

/// The reply to a token request describes all its repositories.
const LONGEST_ANSWER: usize = 8 * 1024 * 1024;

/// The App, and what it has found out in this run.
pub(in super::super) struct App {
    /// Sends the requests that the App itself signs.
    client: Client<AppKey>,
    mode: Mode,
    needs: Mutex<HashMap<String, Needs>>,
    installations: Cache<Arc<Installation>>,
    metadata_tokens: Cache<SecretString>,
    tokens: Cache<Granted>,
}

/// The App's private key, and the JWT that it signed last.
struct AppKey {
    signer: Signer,
    transport: Arc<Transport>,
    announce: Announce,
    jwt: tokio::sync::Mutex<Option<(SecretString, Timestamp)>>,
}

impl Credentials for AppKey {
    /// The App's JWT, valid for some minutes by GitHub's clock.
    async fn token(&self, subject: &Subject<'_>) -> Result<SecretString> {
        let mut kept = self.jwt.lock().await;
        let now = self.transport.now(subject).await?;
        if let Some((jwt, until)) = &*kept
            && now < *until
        {
            return Ok(jwt.clone());
        }
        let (jwt, until) = self.signer.sign(now)?;
        (self.announce)(&jwt);
        *kept = Some((jwt.clone(), until));
        Ok(jwt)
    }

    fn signed_with(&self) -> SignedWith {
        SignedWith::AppKey
    }
}

/// An owner's token.
#[derive(Clone)]
struct Granted {
    token: SecretString,
    expires_at: Timestamp,
}

/// What a token is used for.
#[derive(Clone, Copy)]
pub(in super::super) enum Need<'a> {
    /// Reading and writing a secret.
    Secret(&'a ConfiguredSecret),
    /// Starting a workflow.
    Start(&'a Workflow),
}

impl<'a> Need<'a> {
    fn owner(self) -> &'a str {
        match self {
            Self::Secret(target) => target.destination.scope.owner(),
            Self::Start(workflow) => &workflow.repository.owner,
        }
    }
}

/// What a run needs at one owner.
#[derive(Debug, Clone, Default)]
struct Needs {
    permissions: BTreeMap<Permission, Right>,
    repositories: BTreeSet<String>,
    /// The repositories that may read an organization secret must be read completely, so
    /// the token must see all of them.
    all_repositories: bool,
}

/// The App at an owner. Source: GitHub's pages on the installations of an App.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Installation {
    id: u64,
    /// The App's name in addresses.
    #[serde(default)]
    pub(in super::super) app_slug: Option<String>,
    /// `all` or `selected`.
    #[serde(default)]
    pub(in super::super) repository_selection: Option<String>,
    #[serde(default)]
    permissions: HashMap<String, String>,
    #[serde(default)]
    suspended_at: Option<String>,
}

impl Installation {
    fn right(&self, permission: &Permission) -> Option<Right> {
        Right::granted(self.permissions.get(permission.key)?)
    }
}

#[derive(Deserialize)]
struct Token {
    token: String,
    expires_at: Timestamp,
}

/// A repository that the installation covers.
#[derive(Deserialize)]
struct CoveredRepository {
    id: u64,
    full_name: String,
}

impl App {
    /// Reads the key; sends no request.
    pub(super) fn new(
        id: &str,
        private_key: &SecretString,
        transport: Arc<Transport>,
        mode: Mode,
        announce: Announce,
    ) -> Result<Self> {
        let credentials = AppKey {
            signer: Signer::new(id, private_key)?,
            transport: Arc::clone(&transport),
            announce,
            jwt: tokio::sync::Mutex::new(None),
        };
        Ok(Self {
            client: Client { transport, credentials },
            mode,
            needs: Mutex::default(),
            installations: Cache::new(),
            metadata_tokens: Cache::new(),
            tokens: Cache::new(),
        })
    }

    /// Records what the tokens will be used for.
    pub(super) fn expect<'a>(&self, needs: impl IntoIterator<Item = Need<'a>>) {
        let mut all = self.needs.lock().unwrap_or_else(PoisonError::into_inner);
        for need in needs {
            all.entry(need.owner().to_ascii_lowercase()).or_default().add(need, self.mode);
        }
    }

    /// Whether the installation has the permissions for something; one request for each
    /// owner.
    ///
    /// # Errors
    /// When something is missing, or the App is not installed there.
    pub(super) async fn check(&self, need: Need<'_>) -> Result<()> {
        let installation = self.installation(need.owner()).await?;
        let mut needs = Needs::default();
        needs.add(need, self.mode);
        needs.check(need.owner(), &installation)
    }

    /// The owner's token: created when first needed, and again before it expires.
    pub(super) async fn token(&self, owner: &str) -> Result<SecretString> {
        let key = owner.to_ascii_lowercase();
        let now = self.client.transport.http.clock().now();
        let is_expiring =
            |granted: &Granted| now.is_none_or(|now| granted.expires_at.duration_since(now) <= MARGIN);
        self.tokens.forget(&key, is_expiring);
        self.tokens.get(&key, || self.grant(owner)).await.map(|granted| granted.token)
    }

    /// Drops a token that GitHub no longer accepts.
    pub(super) fn forget(&self, owner: &str, token: &SecretString) {
        let is_the_one = |granted: &Granted| granted.token.expose_secret() == token.expose_secret();
        self.tokens.forget(&owner.to_ascii_lowercase(), is_the_one);
    }

    /// A token that can only list the installation's repositories (permission
    /// *metadata*).
    pub(super) async fn metadata_token(&self, owner: &str) -> Result<SecretString> {
        let fetch = async || {
            let installation = self.installation(owner).await?;
            let permissions = BTreeMap::from([(METADATA, Right::Read)]);
            let granted = self.request_token(owner, &installation, &permissions, json!({})).await;
            granted.map(|granted| granted.token)
        };
        self.metadata_tokens.get(&owner.to_ascii_lowercase(), fetch).await
    }

    async fn grant(&self, owner: &str) -> Result<Granted> {
        let needs = {
            let all = self.needs.lock().unwrap_or_else(PoisonError::into_inner);
            all.get(&owner.to_ascii_lowercase()).cloned().unwrap_or_default()
        };
        let installation = self.installation(owner).await?;
        // A missing permission affects some secrets: the others are still written.
        let permissions = needs.permissions_to_request(self.mode, &installation);
        if permissions.is_empty() {
            needs.check(owner, &installation)?;
        }
        let request = |repositories| self.request_token(owner, &installation, &permissions, repositories);
        if needs.all_repositories || needs.repositories.len() > MOST_REPOSITORIES {
            return request(json!({})).await;
        }
        match request(json!({ "repositories": needs.repositories })).await {
            // GitHub refuses the whole list if the installation does not cover one name.
            Err(error) if error.kind == ErrorKind::Invalid => {
                let ids = self.covered(owner, &needs.repositories).await?;
                if ids.is_empty() {
                    let cause =
                        format!("the GitHub App's installation at {owner} covers none of the repositories");
                    return Err(Error::new(ErrorKind::NotFound, Subject::Installation(owner), cause)
                        .with_remedy(
                            "Add the repositories in the settings of the GitHub App's installation.",
                        ));
                }
                request(json!({ "repository_ids": ids })).await
            }
            granted => granted,
        }
    }

    /// Those of the repositories that the installation covers, by their ids. A
    /// renamed one is found by its old name.
    async fn covered(&self, owner: &str, names: &BTreeSet<String>) -> Result<Vec<u64>> {
        let subject = Subject::Repositories(owner);
        let token = self.metadata_token(owner).await?;
        let credentials = BearerToken { token, signed_with: SignedWith::InstallationToken };
        let client = Client { transport: Arc::clone(&self.client.transport), credentials };
        let (covered, _) =
            client.pages::<CoveredRepository>(&subject, paths::INSTALLATION_REPOSITORIES).await?;
        let mut ids = Vec::new();
        for name in names {
            let full_name = format!("{owner}/{name}");
            let known = covered.iter().find(|found| found.full_name.eq_ignore_ascii_case(&full_name));
            let id = match known {
                Some(known) => Some(known.id),
                None => {
                    let repository = Repository { owner: owner.to_owned(), name: name.to_owned() };
                    match client.get::<CoveredRepository>(&subject, &paths::repository(&repository)).await {
                        Ok(renamed) => Some(renamed.id),
                        Err(error) if error.kind.is_refusal() => None,
                        Err(error) => return Err(error),
                    }
                }
            };
            ids.extend(id.filter(|id| covered.iter().any(|found| found.id == *id)));
        }
        Ok(ids)
    }

    /// The App's installation at an owner, looked up once.
    pub(in super::super) async fn installation(&self, owner: &str) -> Result<Arc<Installation>> {
        self.installations.get(&owner.to_ascii_lowercase(), || self.find_installation(owner)).await
    }

    async fn find_installation(&self, owner: &str) -> Result<Arc<Installation>> {
        let subject = Subject::Installation(owner);
        let find = async |path: &str| self.client.send(&subject, self.call(Method::GET, path)).await;
        let mut reply = find(&paths::organization_installation(owner)).await?;
        if reply.status == StatusCode::NOT_FOUND {
            reply = find(&paths::user_installation(owner)).await?;
        }
        let installation: Installation = self.client.read(&subject, &reply)?;
        if installation.suspended_at.is_some() {
            let cause = format!("the GitHub App's installation at {owner} is suspended");
            return Err(Error::new(ErrorKind::Forbidden, subject, cause)
                .with_remedy("Lift the suspension in the settings of the GitHub App's installation."));
        }
        Ok(Arc::new(installation))
    }

    /// A token for some repositories, or for all if the body names none.
    async fn request_token(
        &self,
        owner: &str,
        installation: &Installation,
        permissions: &BTreeMap<Permission, Right>,
        mut body: Value,
    ) -> Result<Granted> {
        let permissions: BTreeMap<&str, Right> =
            permissions.iter().map(|(permission, right)| (permission.key, *right)).collect();
        body["permissions"] = json!(permissions);
        let subject = Subject::InstallationToken(owner);
        let call = self.call(Method::POST, &paths::access_tokens(installation.id)).json(&body);
        let Token { token, expires_at } = self.client.fetch(&subject, call).await?;
        Ok(Granted { token: token.into(), expires_at })
    }

    /// A request of the App itself. Its reply may hold a token.
    fn call(&self, method: Method, path: &str) -> Call {
        let announce = Arc::clone(&self.client.credentials.announce);
        Call {
            longest_body: LONGEST_ANSWER,
            values: Some(Values { fields: Arc::from(["token".to_owned()]), announce }),
            ..self.client.call(method, path)
        }
    }
}

impl Needs {
    fn need(&mut self, permission: Permission, right: Right) {
        let known = self.permissions.entry(permission).or_insert(right);
        *known = (*known).max(right);
    }

    fn add(&mut self, need: Need<'_>, mode: Mode) {
        let is_reading = mode == Mode::ReadOnly;
        match need {
            Need::Start(workflow) => {
                self.need(ACTIONS, if is_reading { Right::Read } else { Right::Write });
                self.repositories.insert(workflow.repository.name.to_ascii_lowercase());
            }
            Need::Secret(target) => {
                let scope = &target.destination.scope;
                let permission = Permission::of(target.destination.store, scope);
                self.need(permission, if is_reading { permission.to_list() } else { Right::Write });
                match scope.repository() {
                    Some(one) => drop(self.repositories.insert(one.name.to_ascii_lowercase())),
                    None => self.all_repositories = true,
                }
                if target.create_environment && !is_reading {
                    self.need(ACTIONS, Right::Read);
                    self.need(ADMINISTRATION, Right::Write);
                }
            }
        }
    }

    /// Everything must have been granted to the installation.
    fn check(&self, owner: &str, installation: &Installation) -> Result<()> {
        let missing: Vec<String> = self
            .permissions
            .iter()
            .filter(|(permission, right)| installation.right(permission) < Some(**right))
            .map(|(permission, right)| match right {
                Right::Read => format!("the {permission}: read"),
                Right::Write => format!("the {permission}: read and write"),
            })
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let cause = format!("the GitHub App lacks {}", missing.join(" and "));
        Err(Error::new(ErrorKind::Forbidden, Subject::Installation(owner), cause).with_remedy(
            "Grant that in the settings of the GitHub App, and accept the change where it is installed.",
        ))
    }

    /// The permissions to request: those that this run uses and the installation has.
    fn permissions_to_request(&self, mode: Mode, installation: &Installation) -> BTreeMap<Permission, Right> {
        let used = |permission: &Permission, right: Right| match mode {
            Mode::Apply => right,
            Mode::ReadOnly | Mode::DryRun | Mode::Doctor => right.min(permission.to_list()),
        };
        let needed =
            self.permissions.iter().map(|(permission, right)| (*permission, used(permission, *right)));
        needed
            .filter(|(permission, right)| *permission != ADMINISTRATION || *right == Right::Write)
            .filter_map(|(permission, right)| Some((permission, right.min(installation.right(&permission)?))))
            .collect()
    }
}
