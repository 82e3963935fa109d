//! The issue of `--report-issue`: where it is, who writes it, which runs share it.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use super::input::Inputs;
use super::settings::{self, ISSUE_TOKEN};
use crate::config::{Config, Repository};
use crate::diagnostic::{Invalid, Origin};
use crate::github::{BearerToken, GithubCredential, SignedWith};
use crate::issue::{self, IssueSettings};

/// Stands for the repository that rotates.
pub(super) const HERE: &str = "true";
/// The action's way to leave the option out.
const NOWHERE: &str = "false";

/// What was asked for, if it was.
pub(super) fn settings(
    inputs: &mut Inputs<'_>,
    command: &str,
    config: Option<&Config>,
    credential: Option<&GithubCredential>,
    repository: Option<&Repository>,
) -> Option<IssueSettings> {
    let may_be_public = inputs.switch("public-issue");
    let asked = inputs.parsed("report-issue", |text| match text.to_ascii_lowercase().as_str() {
        HERE => Ok(Some(None)),
        NOWHERE => Ok(None),
        _ => match Repository::from_str(text) {
            Ok(repository) => Ok(Some(Some(repository))),
            Err(invalid) => Err(invalid.help(format!("`{HERE}` stands for the repository that rotates"))),
        },
    });
    let named = asked?.value??;
    let token = token(inputs, credential)?;
    let (config, repository) = (config?, repository?);
    let about = about(inputs, config);
    let about: Vec<&str> = about.iter().map(String::as_str).collect();
    let of_repository = repository.to_string().to_lowercase();
    let key = [&[command, &of_repository], about.as_slice()].concat();
    let said = about.into_iter().filter(|part| *part != super::invocation::DEFAULT_FILE);
    Some(IssueSettings {
        repository: named.unwrap_or_else(|| repository.clone()),
        token,
        may_be_public,
        key: issue::key(&key),
        about: Vec::from_iter(said).join(", "),
    })
}

/// What tells this run from others of the same repository: the file, or the rotation that
/// flags describe; and the part of it.
fn about(inputs: &mut Inputs<'_>, config: &Config) -> Vec<String> {
    let path = inputs.problems.path();
    let source = match path.strip_prefix("./").unwrap_or(path) {
        "" => config.rotations.iter().map(|rotation| rotation.name.clone()).collect(),
        path => path.to_owned(),
    };
    let only = inputs.list("only", &[',', '\n'], |name| Ok(name.to_owned()));
    let only: BTreeSet<String> = only.into_iter().filter_map(|field| field.value).collect();
    let only = (!only.is_empty()).then(|| format!("only {}", Vec::from_iter(only).join(", ")));
    let shard = inputs.given("shard").map(|(shard, _)| format!("shard {}", shard.trim()));
    [source].into_iter().chain(only).chain(shard).collect()
}

/// `CROSSFADE_ISSUE_TOKEN`, else the token that writes the secrets.
fn token(inputs: &mut Inputs<'_>, credential: Option<&GithubCredential>) -> Option<BearerToken> {
    if inputs.environment.get(ISSUE_TOKEN).is_some() {
        let token = settings::secret(inputs.environment, ISSUE_TOKEN, inputs.problems)?;
        return Some(BearerToken { token, signed_with: SignedWith::IssueToken });
    }
    match credential? {
        GithubCredential::Token(token) => {
            Some(BearerToken { token: token.clone(), signed_with: SignedWith::Token })
        }
        GithubCredential::App { .. } => {
            let invalid = Invalid::new(format!("--report-issue needs a token, and {ISSUE_TOKEN} is not set"));
            let help = format!(
                "a GitHub App writes the secrets, not the issue: set {ISSUE_TOKEN} to a token with the permission \
                 Issues, read and write; in a workflow `${{{{ github.token }}}}` with `issues: write` (input \
                 `issue-token`)"
            );
            inputs.problems.error(Origin::Missing, invalid.help(help));
            None
        }
    }
}
