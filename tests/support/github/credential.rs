//! A credential at the fake GitHub: what it may do, and for how long.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::address::{Place, Scope, Store};

/// A credential. By default it may do everything, for ever.
#[derive(Debug, Clone)]
pub struct Credential {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) only: Option<Vec<String>>,
    pub(super) denied: Vec<String>,
    pub(super) read_only: bool,
    pub(super) integration: bool,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) tells_its_end: bool,
    pub(super) granted: Option<BTreeMap<String, String>>,
    pub(super) scopes: Option<String>,
    pub(super) refused: Option<Refused>,
}

/// How every request, or every write, of this credential is refused.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) message: String,
    pub(super) header: Option<(&'static str, String)>,
    pub(super) writes_alone: bool,
}

impl Credential {
    /// A credential with this value. The label is how journals call it.
    #[must_use]
    pub fn new(label: &str, value: &str) -> Self {
        Self {
            value: value.to_owned(),
            label: label.to_owned(),
            only: None,
            denied: Vec::new(),
            read_only: false,
            integration: false,
            expires_at: None,
            tells_its_end: true,
            granted: None,
            scopes: None,
            refused: None,
        }
    }

    /// Sees only these: `owner/repo`, `owner/*` or `org:acme`. To it, the rest
    /// does not exist (404).
    #[must_use]
    pub fn only(mut self, places: &[&str]) -> Self {
        self.only = Some(places.iter().map(|p| p.to_ascii_lowercase()).collect());
        self
    }

    /// Lacks a permission, such as `secrets` or `environments` (403).
    #[must_use]
    pub fn without(mut self, permission: &str) -> Self {
        self.denied.push(permission.to_owned());
        self
    }

    /// May read and not write (403).
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// May write again.
    #[must_use]
    pub fn read_and_write(mut self) -> Self {
        (self.read_only, self.refused) = (false, None);
        self.only = None;
        self
    }

    /// A classic token with these scopes, which every reply names. What it may not
    /// write is hidden from it (404).
    #[must_use]
    pub fn classic(mut self, scopes: &str) -> Self {
        self.scopes = Some(scopes.to_owned());
        self
    }

    /// Everything is refused with 403 and these words of GitHub's.
    #[must_use]
    pub fn refused(mut self, message: &str) -> Self {
        self.refused = Some(Refused { message: message.to_owned(), header: None, writes_alone: false });
        self
    }

    /// Every write is refused, because the token is not authorized for the
    /// organization's single sign-on.
    #[must_use]
    pub fn without_sso(mut self) -> Self {
        let url = "https://github.com/orgs/acme/sso?authorization_request=x";
        self.refused = Some(Refused {
            message:
                "Resource protected by organization SAML enforcement. You must grant your Personal Access \
                      token access to this organization."
                    .to_owned(),
            header: Some(("x-github-sso", format!("required; url={url}"))),
            writes_alone: true,
        });
        self
    }

    /// Like the `GITHUB_TOKEN` of a workflow: secrets are out of its reach (403).
    #[must_use]
    pub fn integration(mut self) -> Self {
        self.integration = true;
        self
    }

    /// Like the `GITHUB_TOKEN` of a job with these `permissions`.
    #[must_use]
    pub fn job_token(label: &str, value: &str, permissions: &[(&str, &str)]) -> Self {
        let granted = permissions.iter().map(|(name, level)| ((*name).to_owned(), (*level).to_owned()));
        Self::new(label, value).integration().may_only(&granted.collect())
    }

    /// Ends at a time that every reply names in a header.
    #[must_use]
    pub fn expires_at(mut self, end: Timestamp) -> Self {
        self.expires_at = Some(end);
        self
    }

    /// Ends at a time that no reply names.
    #[must_use]
    pub fn expires_silently_at(mut self, end: Timestamp) -> Self {
        (self.expires_at, self.tells_its_end) = (Some(end), false);
        self
    }

    /// Has these permissions alone: API name to `read` or `write`.
    #[must_use]
    pub fn may_only(mut self, permissions: &BTreeMap<String, String>) -> Self {
        self.granted = Some(permissions.clone());
        self
    }

    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }

    /// Whether a place exists for it: `owner/repo` or `org:acme`, lower case.
    pub(super) fn sees(&self, place: &str) -> bool {
        let Some(only) = &self.only else { return true };
        let owner = place.split('/').next().unwrap_or_default();
        only.iter().any(|p| p == place || p.strip_suffix("/*") == Some(owner))
    }

    /// Whether it was made without a permission that the others have.
    pub(super) fn lacks(&self, permission: &str) -> bool {
        self.denied.iter().any(|denied| denied == permission)
    }

    pub(super) fn may(&self, permission: &str, write: bool) -> bool {
        // Of an integration only what it was granted is within reach.
        let refused = (self.integration && self.granted.is_none()) || (write && self.read_only);
        let lacks = self.granted.as_ref().is_some_and(|granted| match granted.get(permission) {
            Some(level) => write && level != "write",
            None => true,
        });
        !refused && !lacks && !self.lacks(permission)
    }
}

/// The name of the permission that a scope's secrets take.
pub(super) fn permission(scope: &Scope) -> &'static str {
    match (&scope.place, scope.store) {
        (Place::Environment(..), _) => "environments",
        (Place::Repository(_), Store::Actions) => "secrets",
        (Place::Repository(_), Store::Dependabot) => "dependabot_secrets",
        (Place::Repository(_), Store::Codespaces) => "codespaces_secrets",
        (Place::Repository(_), Store::Agents) => "agent_secrets",
        (Place::Organization(_), Store::Actions) => "organization_secrets",
        (Place::Organization(_), Store::Dependabot) => "organization_dependabot_secrets",
        (Place::Organization(_), Store::Codespaces) => "organization_codespaces_secrets",
        (Place::Organization(_), Store::Agents) => "organization_agent_secrets",
    }
}
