//! Which repository rotates: by option, by GitHub's variable, or by the git remote.

use std::process::{Command, Stdio};
use std::str::FromStr as _;

use url::Url;

use super::input::Inputs;
use crate::config::Repository;
use crate::diagnostic::{Invalid, Origin};
use crate::yaml::keys::Field;

/// The repository that rotates, if it is given.
pub(super) fn given(inputs: &mut Inputs<'_>) -> Option<Field<Repository>> {
    inputs
        .parsed("repository", Repository::from_str)
        .or_else(|| inputs.variable("GITHUB_REPOSITORY", Repository::from_str))
}

/// Notes that the repository is missing.
pub(super) fn require(inputs: &mut Inputs<'_>) {
    let help = match inputs.environment.is_on_actions() {
        true => {
            "set the action's input `repository`, or CROSSFADE_REPOSITORY in the step's `env`, to owner/name; GITHUB_REPOSITORY is not set"
        }
        false => {
            "give --repository owner/name; it is the repository whose workflow rotates, and part of what marks the tokens"
        }
    };
    inputs.problems.error(Origin::Missing, Invalid::new("no repository is given").help(help));
}

/// That the repository was found, and where. `dry_run`: a run that writes needs the flag.
pub(super) fn found(repository: &Repository, dry_run: bool) -> String {
    let note = format!("repository {repository}, from the git remote origin");
    if dry_run { format!("{note}; the real run needs --repository {repository}") } else { note }
}

/// The repository of the git remote `origin`, if it is one of this GitHub.
pub(super) fn of_remote(inputs: &Inputs<'_>, api_url: &Url) -> Option<Repository> {
    let mut git = Command::new("git");
    // Only where to find git: it needs no credential.
    git.env_clear().env("PATH", inputs.environment.get("PATH")?);
    git.args(["config", "--local", "--get", "remote.origin.url"]).stdin(Stdio::null()).stderr(Stdio::null());
    let output = git.output().ok().filter(|output| output.status.success())?;
    of_url(std::str::from_utf8(&output.stdout).ok()?.trim(), api_url)
}

/// The repository that a remote's URL names.
fn of_url(remote: &str, api_url: &Url) -> Option<Repository> {
    let (host, path) = match Url::parse(remote) {
        Ok(url) if url.has_host() => (url.host_str()?.to_owned(), url.path().to_owned()),
        // The short form of SSH: git@github.com:owner/name.git
        _ => {
            let (user_and_host, path) = remote.split_once(':')?;
            (user_and_host.rsplit('@').next()?.to_owned(), path.to_owned())
        }
    };
    // GitHub's SSH server for networks that block port 22.
    let host = if host.eq_ignore_ascii_case("ssh.github.com") { "github.com" } else { &host };
    let path = path.trim_matches('/');
    let repository = path.strip_suffix(".git").unwrap_or(path).parse().ok();
    repository.filter(|_| web_host(api_url).is_some_and(|expected| host.eq_ignore_ascii_case(expected)))
}

/// The host of GitHub's repositories: `api.github.com` and `api.NAME.ghe.com` have their
/// own for the API, a server of one's own has not.
fn web_host(api_url: &Url) -> Option<&str> {
    let host = api_url.host_str()?;
    let web = host.strip_prefix("api.").filter(|web| *web == "github.com" || web.ends_with(".ghe.com"));
    Some(web.unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes_of_this_github_name_the_repository() {
        let of = |remote: &str, api: &str| {
            of_url(remote, &api.parse().unwrap()).map(|repository| repository.to_string())
        };
        for remote in [
            "https://github.com/acme/api",
            "https://github.com/acme/api.git",
            "https://someone@GitHub.com/acme/api.git/",
            "git@github.com:acme/api.git",
            "github.com:acme/api",
            "ssh://git@github.com/acme/api.git",
            "ssh://git@ssh.github.com:443/acme/api.git",
            "git://github.com/acme/api.git",
        ] {
            assert_eq!(of(remote, "https://api.github.com").as_deref(), Some("acme/api"), "{remote}");
            assert_eq!(of(remote, "https://ghe.example/api/v3"), None, "{remote}");
        }
        assert_eq!(
            of("git@ghe.example:acme/api.git", "https://ghe.example/api/v3").as_deref(),
            Some("acme/api")
        );
        assert_eq!(
            of("https://acme.ghe.com/acme/api", "https://api.acme.ghe.com").as_deref(),
            Some("acme/api")
        );
        for other in [
            "",
            "/srv/git/api.git",
            "../api",
            "C:\\api",
            "file:///srv/acme/api",
            "https://gitlab.com/acme/api.git",
            "https://github.com/acme",
            "https://github.com/acme/api/extra",
            "https://github.com.evil.example/acme/api",
            "git@github.com:acme/a pi.git",
            "git@github.com:acme/\u{1b}[2J",
        ] {
            assert_eq!(of(other, "https://api.github.com"), None, "{other}");
        }
    }
}
