//! `crossfade init`: its flags, and what they mean.

use std::path::PathBuf;
use std::str::FromStr as _;

use clap::{ArgAction, Command as Clap};

use super::input::Inputs;
use super::invocation::{self, EarlyExit};
use super::{network, option, repository, rotation, settings, switch};
use crate::config::Destination;
use crate::config::address::origin;
use crate::diagnostic::{Invalid, Origin, printable, quoted};
use crate::github::GithubSettings;
use crate::init::{Answers, Extras, files, write};
use crate::provider::Kind;

/// The options that it shares with the commands about rotations.
const SHARED: [&str; 6] = ["provider", "provider-url", "token", "secret", "repository", "github-api-url"];

const MORE: &str = "\
The provider's tokens are listed if its credential is in the variable that its page names, such
as AXIOM_ADMIN_TOKEN, or in CROSSFADE_PROVIDER_TOKEN. The repository's secrets are proposed if
CROSSFADE_GITHUB_TOKEN is set, or an App. Everything that is sent is a read.

Examples:
  crossfade init
  crossfade init --yes --provider axiom --token ci-ingest --secret AXIOM_TOKEN";

/// Sets up a rotation: everything that flags say has been checked.
#[derive(Debug)]
pub(crate) struct InitRun {
    /// What flags and variables answer.
    pub(crate) answers: Answers,
    /// Ask nothing.
    pub(crate) yes: bool,
    /// The root of the checkout.
    pub(crate) folder: PathBuf,
    /// GitHub, if a credential for it is given.
    pub(crate) github: Option<GithubSettings>,
    /// GitHub's pages, if its API tells where they are.
    pub(crate) site: Option<String>,
    /// What was found out and not given.
    pub(crate) note: Option<String>,
}

/// The command.
pub(super) fn command() -> Clap {
    let shared = rotation().into_iter().chain(network());
    let shared = shared.filter(|arg| SHARED.contains(&arg.get_id().as_str()));
    let with =
        option("with", "NAME=VALUE", "A variable of the provider; repeatable").action(ArgAction::Append);
    Clap::new("init")
        .about("Ask what to rotate, and write the configuration and a workflow for it; overwrites nothing")
        .args(shared.map(|arg| arg.hide_short_help(false).help_heading("Answers")))
        .arg(with.help_heading("Answers"))
        .args(
            [
                switch("app", "Sign in to GitHub as an App, not with a token"),
                switch("sign", "Sign the markers of new tokens, with a key that becomes another secret"),
                switch("monitor", "Also write a workflow that fails before a token expires"),
            ]
            .map(|arg| arg.help_heading("Answers")),
        )
        .arg(switch("yes", "Ask nothing: what is missing is an error"))
        .after_help(MORE)
}

/// What the command means.
pub(super) fn run(mut inputs: Inputs<'_>) -> Result<InitRun, EarlyExit> {
    let folder: PathBuf = inputs.environment.get("GITHUB_WORKSPACE").unwrap_or(".").into();
    let api_url = settings::api_url(&mut inputs);
    let credential =
        settings::has_credential(inputs.environment).then(|| settings::credential(&mut inputs)).flatten();
    let given = repository::given(&mut inputs);
    let (mut repository, mut note) = (given.as_ref().and_then(|field| field.value.clone()), None);
    if given.is_none() {
        repository = api_url.as_ref().and_then(|api_url| repository::of_remote(&inputs, api_url));
        note = repository.as_ref().map(|found| repository::found(found, false));
    }
    let provider = inputs.parsed("provider", Kind::from_str).and_then(|field| field.value);
    let provider_url = inputs.parsed("provider-url", origin).and_then(|field| field.value);
    let with = inputs.list("with", &['\n'], pair).into_iter().filter_map(|field| field.value).collect();
    let token = inputs.parsed("token", crate::config::token_name).and_then(|field| field.value);
    let secrets = inputs.list("secret", &['\n'], |text| {
        Destination::parse(text, &invocation::some_repository()).map(|_| text.to_owned())
    });
    let secrets = secrets.into_iter().filter_map(|field| field.value).collect();
    let extras =
        Extras { app: inputs.switch("app"), sign: inputs.switch("sign"), monitor: inputs.switch("monitor") };
    let yes = inputs.switch("yes");
    let monitor = extras.monitor.then_some(files::MONITOR);
    for path in write::existing(&folder, [files::CONFIG, files::ROTATE].into_iter().chain(monitor)) {
        let invalid = Invalid::new(format!("{path} exists already, and init overwrites nothing"));
        let help = match path.starts_with(files::CONFIG.trim_end_matches("yml")) {
            true => "add the rotation to it, or move it away",
            false => "move it away",
        };
        inputs.problems.error(Origin::Missing, invalid.help(help));
    }
    if let Some(root) = write::root_above(&folder) {
        let root = printable(&root.display().to_string());
        let invalid =
            Invalid::new("this folder is not the root of the checkout, where GitHub reads workflows");
        inputs.problems.error(Origin::Missing, invalid.help(format!("go to {root} first")));
    }
    if inputs.problems.has_errors() {
        return Err(EarlyExit::of(std::mem::take(inputs.problems)));
    }
    let github = api_url.clone().zip(credential);
    let answers = Answers { repository, provider, provider_url, with, token, name: None, secrets, extras };
    Ok(InitRun {
        answers,
        yes,
        folder,
        site: api_url.as_ref().and_then(crate::github::site_url),
        github: github.map(|(api_url, credential)| GithubSettings { api_url, credential }),
        note,
    })
}

fn pair(text: &str) -> Result<(String, String), Invalid> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(Invalid::new(format!("invalid variable {}", quoted(text))).hint("expected NAME=VALUE")),
    }
}
