//! Settings of a run that belong to no rotation: options, and the GitHub credential.

use std::ops::RangeInclusive;

use secrecy::SecretString;
use url::Url;

use super::input::Inputs;
use crate::config::address::origin;
use crate::diagnostic::{Invalid, Origin, Problems, named, quoted};
use crate::environment::{Environment, visible};
use crate::github::{GithubCredential, Pace};
use crate::period::Period;
use crate::report::Format;

/// How a run goes about its work.
#[derive(Debug, Clone)]
pub(crate) struct RunOptions {
    /// Plan, and change nothing.
    pub dry_run: bool,
    /// Say by the exit code whether a dry run found something to do.
    pub detailed_exitcode: bool,
    /// Rotate even if nothing is due.
    pub force: bool,
    /// Ask nothing.
    pub yes: bool,
    /// How the report is written.
    pub format: Format,
    /// Parallel requests to GitHub; 1 to 100.
    pub concurrency: usize,
    /// What GitHub's server allows, where it publishes limits.
    pub pace: Pace,
    /// How long one request may take; never nothing.
    pub request_timeout: Period,
    /// How long the whole run may take; never nothing.
    pub deadline: Period,
    /// How much is logged on standard error.
    pub verbosity: Verbosity,
}

/// How much is logged on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Verbosity {
    /// `-q`: only errors.
    Quiet,
    /// What people need to know.
    #[default]
    Normal,
    /// `-v`: one line per request.
    Verbose,
    /// `-vv`: everything that is not secret.
    Trace,
}

pub(super) const GITHUB_TOKEN: &str = "CROSSFADE_GITHUB_TOKEN";
const APP_ID: &str = "CROSSFADE_GITHUB_APP_ID";
pub(super) const APP_KEY: &str = "CROSSFADE_GITHUB_APP_PRIVATE_KEY";

/// Variables that hold secrets in every configuration.
pub(super) const SECRETS: [&str; 4] = [GITHUB_TOKEN, APP_KEY, ISSUE_TOKEN, MARKER_KEY];
pub(super) const ISSUE_TOKEN: &str = "CROSSFADE_ISSUE_TOKEN";
const MARKER_KEY: &str = "CROSSFADE_MARKER_KEY";

/// How long a key that signs markers may be, in bytes.
const MARKER_KEY_LENGTH: RangeInclusive<usize> = 16..=4096;

const CONCURRENCY: usize = 8;
const REQUEST_TIMEOUT: Period = Period::from_secs(30);
const DEADLINE: Period = Period::from_secs(20 * 60);
const GITHUB_API_URL: &str = "https://api.github.com";

/// The default of an option, as the help shows it.
pub(super) fn default_of(name: &str) -> Option<String> {
    Some(match name {
        "repository" => "GITHUB_REPOSITORY; when only reading, the git remote origin".to_owned(),
        "name" => "the value of --token".to_owned(),
        "config" => super::invocation::DEFAULT_FILE.to_owned(),
        "concurrency" => CONCURRENCY.to_string(),
        "request-timeout" => REQUEST_TIMEOUT.to_string(),
        "deadline" => DEADLINE.to_string(),
        "github-api-url" => format!("GITHUB_API_URL, else {GITHUB_API_URL}"),
        "format" => "text".to_owned(),
        _ => return None,
    })
}

/// The format that was asked for.
pub(super) fn format(inputs: &mut Inputs<'_>) -> Format {
    inputs.or("format", format_name, Format::default())
}

/// The options that `rotate` and `status` share.
pub(super) fn options(inputs: &mut Inputs<'_>) -> RunOptions {
    RunOptions {
        dry_run: false,
        detailed_exitcode: false,
        force: false,
        yes: false,
        format: format(inputs),
        concurrency: inputs.or("concurrency", concurrency, CONCURRENCY),
        pace: inputs.or("pace", str::parse, Pace::default()),
        request_timeout: inputs.or("request-timeout", some_time, REQUEST_TIMEOUT),
        deadline: inputs.or("deadline", some_time, DEADLINE),
        verbosity: match (inputs.matches.get_flag("quiet"), inputs.matches.get_count("verbose")) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, 1) => Verbosity::Verbose,
            (false, _) => Verbosity::Trace,
        },
    }
}

/// The address of GitHub's API.
pub(super) fn api_url(inputs: &mut Inputs<'_>) -> Option<Url> {
    let api_url =
        inputs.parsed("github-api-url", origin).or_else(|| inputs.variable("GITHUB_API_URL", origin));
    api_url.map_or_else(|| origin(GITHUB_API_URL).ok(), |field| field.value)
}

/// The keys that sign markers, one a line: the first signs, all verify.
pub(super) fn marker_keys(inputs: &mut Inputs<'_>) -> Vec<SecretString> {
    let keys = inputs.environment.get(MARKER_KEY).unwrap_or_default();
    let keys: Vec<&str> = keys.lines().map(str::trim).filter(|key| !key.is_empty()).collect();
    for key in keys.iter().filter(|key| !MARKER_KEY_LENGTH.contains(&key.len())) {
        let invalid = Invalid::new(format!("a marker key has {} characters; expected 16 to 4096", key.len()));
        let help = "make one with `openssl rand -hex 32`; several keys stand on a line each";
        inputs.problems.error(Origin::Input(MARKER_KEY), invalid.help(help));
    }
    keys.into_iter().map(SecretString::from).collect()
}

/// Whether anything is given that signs in to GitHub.
pub(super) fn has_credential(environment: &Environment) -> bool {
    let variables = [GITHUB_TOKEN, APP_ID, APP_KEY];
    variables.iter().any(|name| environment.get(name).is_some_and(|value| !value.trim().is_empty()))
}

/// What signs in to GitHub.
pub(super) fn credential(inputs: &mut Inputs<'_>) -> Option<GithubCredential> {
    let given = |name| inputs.environment.get(name).is_some_and(|value| !value.trim().is_empty());
    let (origin, message, help) = match (given(GITHUB_TOKEN), given(APP_ID), given(APP_KEY)) {
        (true, false, false) => {
            return secret(inputs.environment, GITHUB_TOKEN, inputs.problems).map(GithubCredential::Token);
        }
        (false, true, true) => return app(inputs),
        (false, false, false) if inputs.environment.is_on_actions() => (
            Origin::Missing,
            "no GitHub credential is given",
            format!(
                "set {GITHUB_TOKEN} in the step's `env` (input `github-token`), or {APP_ID} and {APP_KEY} (inputs `github-app-id` and `github-app-private-key`)"
            ),
        ),
        (false, false, false) => (
            Origin::Missing,
            "no GitHub credential is given",
            format!("run `export {GITHUB_TOKEN}=$(gh auth token)`, or set {APP_ID} and {APP_KEY}"),
        ),
        (true, _, _) => (
            Origin::Input(GITHUB_TOKEN),
            "two GitHub credentials are given, a token and an App",
            "give only one of them".to_owned(),
        ),
        (false, id, _) => {
            let missing = if id { APP_KEY } else { APP_ID };
            (Origin::Input(missing), "only half of a GitHub App is given", format!("set {missing} too"))
        }
    };
    inputs.problems.error(origin, Invalid::new(message).help(help));
    None
}

/// The id and the private key of a GitHub App.
fn app(inputs: &mut Inputs<'_>) -> Option<GithubCredential> {
    let id = inputs.environment.get(APP_ID).unwrap_or_default().trim();
    let private_key = inputs.environment.get(APP_KEY).unwrap_or_default();
    let is_id = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
    let is_key = private_key.contains("-----BEGIN");
    if !is_id {
        let help = "the App's settings show its App ID, a number";
        inputs.problems.error(Origin::Input(APP_ID), Invalid::new("invalid GitHub App ID").help(help));
    }
    if !is_key {
        let help = "set it to the whole .pem file, from -----BEGIN to its last line";
        inputs.problems.error(Origin::Input(APP_KEY), Invalid::new("invalid private key").help(help));
    }
    let app = || GithubCredential::App { id: id.to_owned(), private_key: private_key.into() };
    (is_id && is_key).then(app)
}

/// A secret from its variable, without the line end that copying left. Errors do not
/// show it.
pub(super) fn secret(
    environment: &Environment,
    variable: &'static str,
    problems: &mut Problems,
) -> Option<SecretString> {
    problems.note(Origin::Input(variable), visible(environment.get(variable).unwrap_or_default()))
}

fn format_name(text: &str) -> Result<Format, Invalid> {
    named("format", &[("text", Format::Text), ("json", Format::Json)], text)
}

fn concurrency(text: &str) -> Result<usize, Invalid> {
    text.parse().ok().filter(|n| (1..=100).contains(n)).ok_or_else(|| {
        Invalid::new(format!("{} is out of range (1 to 100)", quoted(text)))
            .help("GitHub allows at most 100 parallel requests")
    })
}

fn some_time(text: &str) -> Result<Period, Invalid> {
    let period: Period = text.parse()?;
    if period.is_zero() { Err(Invalid::new("expected more than 0")) } else { Ok(period) }
}
