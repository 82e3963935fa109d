//! What is left to do after `crossfade init`, with the pages and commands for it.

use std::collections::BTreeMap;

use super::{Setup, files};
use crate::github::needed_permission;
use crate::provider::Kind;

/// The documentation of this version.
pub(crate) const DOCS: &str =
    concat!("https://github.com/crossfade-rs/crossfade/blob/v", env!("CARGO_PKG_VERSION"), "/docs");

/// GitHub's own site.
pub(crate) const GITHUB: &str = "https://github.com";

/// The release that the workflows use.
const RELEASE: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// The texts about one setup. `site`: GitHub's pages.
pub(crate) struct Steps<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) site: &'a str,
    /// The variable that holds a provider credential, if one is set.
    pub(crate) credential: Option<String>,
    /// Whether a GitHub credential is in the environment.
    pub(crate) has_github: bool,
}

impl Steps<'_> {
    /// All of them, numbered.
    pub(crate) fn text(&self) -> String {
        let written: Vec<&str> = files::all(self.setup).into_iter().map(|(path, _)| path).collect();
        let mut text = format!("Wrote {}. What is left:\n", joined(&written));
        let steps = [
            Some(self.credentials()),
            Some(self.secrets()),
            Some(self.pin(&written)),
            self.setup.extras.monitor.then(|| self.monitor()),
            Some(self.check()),
            Some(self.first_run()),
        ];
        for (index, step) in steps.into_iter().flatten().enumerate() {
            text.push_str(&format!("\n{}. {}\n", index + 1, step.replace('\n', "\n   ")));
        }
        text
    }

    fn provider(&self) -> &Kind {
        &self.setup.rotation.provider.kind
    }

    fn credentials(&self) -> String {
        let file = self.provider().file();
        let app = self.setup.extras.app;
        let (what, page) = if app {
            ("a GitHub App, installed where the secrets are", "apps/new")
        } else {
            ("a fine-grained personal access token", "personal-access-tokens/new")
        };
        let mut owners: Vec<&str> = self.setup.destinations().map(|one| one.scope.owner()).collect();
        owners.sort_unstable_by_key(|owner| owner.to_ascii_lowercase());
        owners.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
        let several = match owners.as_slice() {
            [_, _, ..] if !app => format!(
                "\nSuch a token is for one owner, and the secrets belong to {}: use a GitHub App, or a classic token.",
                joined(&owners)
            ),
            _ => String::new(),
        };
        format!(
            "Create two credentials.\n\
             At {title}, one that may manage tokens. It needs {needs}.\n  {DOCS}/providers/{name}.md#the-credential\n\
             At GitHub, {what}, which may write the secrets:{permissions}\n  {site}/settings/{page}{several}",
            site = self.site,
            title = file.title,
            needs = file.needs,
            name = self.provider(),
            permissions = self.permissions(),
        )
    }

    /// Each permission, with the owners and repositories that it is for.
    fn permissions(&self) -> String {
        let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for one in self.setup.destinations() {
            let of = places.entry(needed_permission(one)).or_default();
            let place = one.scope.place();
            if !of.contains(&place) {
                of.push(place);
            }
        }
        let line = |(permission, places): (&String, &Vec<String>)| {
            format!("\n  the {permission}, read and write, for {}", joined(places))
        };
        places.iter().map(line).collect()
    }

    fn secrets(&self) -> String {
        let Setup { rotation, extras } = self.setup;
        let repository = &rotation.repository;
        let of_github = if extras.app { "CROSSFADE_APP_PRIVATE_KEY" } else { "CROSSFADE_GITHUB_TOKEN" };
        let of_provider = rotation.provider.credentials().map(String::as_str);
        let mut text = format!(
            "Store them as secrets of {repository}, at\n  {site}/{repository}/settings/secrets/actions/new\n\
             or with these commands, which ask for the value:",
            site = self.site
        );
        for name in of_provider.chain([of_github]) {
            let value = if name == "CROSSFADE_APP_PRIVATE_KEY" { " <key.pem" } else { "" };
            text.push_str(&format!("\n  {}{value}", self.set("secret", name)));
        }
        if extras.sign {
            text.push_str(&format!(
                "\n  openssl rand -hex 32 | {}",
                self.set("secret", "CROSSFADE_MARKER_KEY")
            ));
        }
        if extras.app {
            text.push_str(&format!(
                "\nThe App's id is a variable: {}/{repository}/settings/variables/actions/new, or\n  {}",
                self.site,
                self.set("variable", "CROSSFADE_APP_ID")
            ));
        }
        text.push_str(&format!(
            "\nSafer: in the environment `crossfade`, limited to the default branch (then add --env crossfade):\n  \
             {}/{repository}/settings/environments",
            self.site
        ));
        text
    }

    fn monitor(&self) -> String {
        format!(
            "Move {monitor} to a different repository, so that not both stop at once. Store two\n\
             credentials there, with its name after --repo: one that lists the tokens at {title}, and one that\n\
             reads the contents of {repository} and every repository with a secret (Contents and Secrets: read).\n  {}\n  {}",
            self.set("secret", &files::reader(self.setup)),
            self.set("secret", "CROSSFADE_READ_TOKEN"),
            monitor = files::MONITOR,
            title = self.provider().file().title,
            repository = self.setup.rotation.repository,
        )
    }

    fn check(&self) -> String {
        let credential = &self.setup.rotation.provider.credential;
        let mut text = "Check it from here. Nothing is changed:".to_owned();
        match &self.credential {
            Some(variable) if variable == credential => {}
            Some(other) => text.push_str(&format!("\n  export {credential}=\"${other}\"")),
            None => text.push_str(&format!("\n  read -rs {credential} && export {credential}")),
        }
        if !self.has_github {
            text.push_str("\n  export CROSSFADE_GITHUB_TOKEN=$(gh auth token)");
        }
        if let Some(unpublished) = &self.provider().file().unproved {
            text.push_str(&format!(
                "\n  crossfade provider prove {name}\n\
                 {title} does not publish {unpublished}.\n\
                 The proof creates a token that lives shortly, and deletes it. If it succeeds, write the line\n\
                 `proved: \"yes\"` under `with` in {config}; until then no token is replaced. Then:",
                title = self.provider().file().title,
                config = files::CONFIG,
                name = self.provider(),
            ));
        }
        text.push_str("\n  crossfade doctor\n  crossfade rotate --dry-run");
        text
    }

    fn first_run(&self) -> String {
        format!(
            "Commit and push the files, and rotate once while you watch:\n  \
             gh workflow run rotate.yml --repo {} -f dry-run=false -f force=true",
            self.repository()
        )
    }

    /// How the action is pinned to the commit of its tag.
    fn pin(&self, written: &[&str]) -> String {
        let workflows: Vec<&str> = written.iter().copied().filter(|path| *path != files::CONFIG).collect();
        let backups: Vec<String> = workflows.iter().map(|path| format!("{path}.bak")).collect();
        let host = if self.site == GITHUB { "" } else { "--hostname github.com " };
        let monitor = format!("-e \"s|ref: {RELEASE}|ref: $sha # {RELEASE}|\" ");
        format!(
            "Pin crossfade to the commit of its tag: a tag can be moved, a commit cannot change:\n  \
             sha=$(gh api {host}repos/crossfade-rs/crossfade/commits/{RELEASE} --jq .sha)\n  \
             sed -i.bak -e \"s|crossfade@{RELEASE}.*|crossfade@$sha # {RELEASE}|\" -e \"/Better still/d\" \
             {monitor}{files}\n  rm {backups}",
            monitor = if self.setup.extras.monitor { &monitor } else { "" },
            files = workflows.join(" "),
            backups = backups.join(" "),
        )
    }

    /// The repository, for `gh`.
    fn repository(&self) -> String {
        let repository = &self.setup.rotation.repository;
        match self.site.strip_prefix("https://") {
            Some(host) if self.site != GITHUB => format!("{host}/{repository}"),
            _ => repository.to_string(),
        }
    }

    fn set(&self, what: &str, name: &str) -> String {
        format!("gh {what} set {name} --repo {}", self.repository())
    }
}

/// `a`, `a and b`, `a, b and c`.
fn joined(names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}
