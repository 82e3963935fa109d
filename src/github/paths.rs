//! Paths of the REST API: store × scope → path. Sends nothing.
//!
//! Every part that a user chose is percent-encoded, so that it stays one segment
//! of its path whatever it holds.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use jiff::Timestamp;

use crate::config::{Destination, Repository, Scope, Store, Workflow};

/// All but the characters that RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// All secrets of a store in a scope. Environments belong to Actions alone.
pub(super) fn secrets(store: Store, scope: &Scope) -> String {
    match scope {
        Scope::Repository(repository) => format!("{}/{store}/secrets", self::repository(repository)),
        Scope::Environment { repository, environment } => {
            format!("{}/secrets", self::environment(repository, environment))
        }
        Scope::Organization(organization) => format!("/orgs/{}/{store}/secrets", segment(organization)),
    }
}

/// Identifies a store in a scope. Owners, repositories and environments ignore case.
pub(super) fn scope_key(store: Store, scope: &Scope) -> String {
    secrets(store, scope).to_ascii_lowercase()
}

/// The key that secrets of a scope are sealed with.
pub(super) fn public_key(store: Store, scope: &Scope) -> String {
    format!("{}/public-key", secrets(store, scope))
}

pub(super) fn secret(destination: &Destination) -> String {
    format!("{}/{}", secrets(destination.store, &destination.scope), segment(&destination.name))
}

/// The repositories that may read an organization secret of visibility *selected*.
pub(super) fn selected_repositories(destination: &Destination) -> String {
    format!("{}/repositories", secret(destination))
}

pub(super) fn environment(repository: &Repository, environment: &str) -> String {
    format!("{}/environments/{}", self::repository(repository), segment(environment))
}

pub(super) fn repository(repository: &Repository) -> String {
    format!("/repos/{}/{}", segment(&repository.owner), segment(&repository.name))
}

pub(super) fn issues(repository: &Repository) -> String {
    format!("{}/issues", self::repository(repository))
}

pub(super) fn issue(repository: &Repository, number: u64) -> String {
    format!("{}/{number}", issues(repository))
}

pub(super) fn workflow(workflow: &Workflow) -> String {
    format!("{}/actions/workflows/{}", repository(&workflow.repository), segment(&workflow.file))
}

/// Where a run of a workflow is started.
pub(super) fn dispatches(workflow: &Workflow) -> String {
    format!("{}/dispatches", self::workflow(workflow))
}

/// The newest run of a workflow that was created at this second or later.
pub(super) fn runs_since(workflow: &Workflow, second: Timestamp) -> String {
    format!("{}/runs?created=%3E%3D{second:.0}&per_page=1", self::workflow(workflow))
}

/// GitHub's limits, and how much of them is left; needs no credential.
pub(super) const RATE_LIMIT: &str = "/rate_limit";

/// The repositories that an installation covers; asked by its own token.
pub(super) const INSTALLATION_REPOSITORIES: &str = "/installation/repositories";

/// The user whose token asks.
pub(super) const USER: &str = "/user";

/// The repositories that a person's token sees.
pub(super) const OWN_REPOSITORIES: &str = "/user/repos?affiliation=owner,collaborator";

/// An organization's repositories.
pub(super) fn repositories_of_organization(owner: &str) -> String {
    format!("/orgs/{}/repos", segment(owner))
}

/// A user's public repositories.
pub(super) fn repositories_of_user(owner: &str) -> String {
    format!("/users/{}/repos", segment(owner))
}

/// An App's installation at an organization.
pub(super) fn organization_installation(owner: &str) -> String {
    format!("/orgs/{}/installation", segment(owner))
}

/// An App's installation at a user.
pub(super) fn user_installation(owner: &str) -> String {
    format!("/users/{}/installation", segment(owner))
}

/// Where an App asks for a token of an installation.
pub(super) fn access_tokens(installation: u64) -> String {
    format!("/app/installations/{installation}/access_tokens")
}

/// One segment. `.` and `..` mean a direction even when they are encoded, and an
/// empty segment means none at all: they become what names nothing.
fn segment(text: &str) -> String {
    match text {
        "" => "%00".to_owned(),
        "." | ".." => text.replace('.', "%252E"),
        text => utf8_percent_encode(text, RESERVED).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    fn repo() -> Repository {
        Repository { owner: "acme".to_owned(), name: "api".to_owned() }
    }

    fn path(store: Store, scope: Scope) -> String {
        secret(&Destination { store, scope, name: "TOKEN".to_owned() })
    }

    #[test]
    fn every_store_and_scope_has_its_path() {
        let stores = [Store::Actions, Store::Dependabot, Store::Codespaces, Store::Agents];
        for (store, name) in stores.into_iter().zip(["actions", "dependabot", "codespaces", "agents"]) {
            let expected = format!("/repos/acme/api/{name}/secrets/TOKEN");
            assert_eq!(path(store, Scope::Repository(repo())), expected);
            let expected = format!("/orgs/acme/{name}/secrets/TOKEN");
            assert_eq!(path(store, Scope::Organization("acme".to_owned())), expected);
        }
        let production = Scope::Environment { repository: repo(), environment: "my env/prod".to_owned() };
        assert_eq!(
            path(Store::Actions, production.clone()),
            "/repos/acme/api/environments/my%20env%2Fprod/secrets/TOKEN"
        );
        assert_eq!(
            public_key(Store::Actions, &production),
            "/repos/acme/api/environments/my%20env%2Fprod/secrets/public-key"
        );
        assert_eq!(environment(&repo(), "é"), "/repos/acme/api/environments/%C3%A9");
    }

    #[test]
    fn the_repositories_of_an_organization_secret() {
        let scope = Scope::Organization("acme".to_owned());
        let destination = Destination { store: Store::Dependabot, scope, name: "TOKEN".to_owned() };
        assert_eq!(selected_repositories(&destination), "/orgs/acme/dependabot/secrets/TOKEN/repositories");
    }

    fn hostile() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            prop::sample::select(vec!["", ".", "..", "%2e%2e", "%2E.", "a/../b", "?x#y", "\\..\\", "a\tb"])
                .prop_map(str::to_owned),
        ]
    }

    proptest! {
        #[test]
        fn no_segment_escapes_its_place(
            owner in hostile(), name in hostile(), environment in hostile(), secret_name in hostile(),
        ) {
            let scope = Scope::Environment {
                repository: Repository { owner: owner.clone(), name: name.clone() },
                environment: environment.clone(),
            };
            let destination = Destination { store: Store::Actions, scope, name: secret_name.clone() };
            let url = Url::parse(&format!("https://host/api/v3{}", secret(&destination))).unwrap();
            prop_assert_eq!(url.query(), None);
            prop_assert_eq!(url.fragment(), None);
            let segments: Vec<&str> = url.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), 9, "{:?}", segments);
            let fixed = [segments[0], segments[1], segments[2], segments[5], segments[7]];
            prop_assert_eq!(fixed, ["api", "v3", "repos", "environments", "secrets"]);
            for (at, text) in [(3, owner), (4, name), (6, environment), (8, secret_name)] {
                if !matches!(text.as_str(), "" | "." | "..") {
                    prop_assert_eq!(percent_decode_str(segments[at]).decode_utf8().unwrap(), text);
                }
            }
        }
    }
}
