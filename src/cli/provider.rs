//! `crossfade provider`: its commands, and what they mean.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use clap::{Arg, ArgMatches, Command as Clap};
use secrecy::SecretString;

use super::input::Inputs;
use super::invocation::{self, EarlyExit};
use super::settings::{self, RunOptions};
use super::{network, output, rotation};
use crate::config::Rotation;
use crate::diagnostic::{Invalid, Origin, Problems, quoted};
use crate::environment::Environment;
use crate::provider::{Kind, built_in, catalogue};
use crate::redact::Redactor;

/// The commands about providers.
pub(super) fn command() -> Clap {
    let name = |help: &'static str| Arg::new("known-as").value_name("NAME").required(true).help(help);
    let reached = |command: &'static str, about: &'static str| {
        let own = name("The provider: built in, or described in the configuration file");
        Clap::new(command).about(about).arg(own).args(rotation()).args(network()).args(output())
    };
    Clap::new("provider")
        .about("The services that issue tokens: those built in, and your own")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Clap::new("list").about("The providers that are built in"))
        .subcommand(
            Clap::new("show")
                .about("Print a built-in provider as a file; your own copy goes under `providers: NAME:`")
                .arg(name("Its name")),
        )
        .subcommand(reached(
            "check",
            "Read a provider's tokens, and print each as it was understood; changes nothing",
        ))
        .subcommand(reached(
            "prove",
            "Create a short-lived token with the rights of the rotation's token, find it, verify it, and delete it; changes no other token",
        ))
}

/// What to do with a provider over the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Read.
    Check,
    /// Make a token, and delete it again.
    Prove,
}

/// A command about one provider; everything offline has been checked.
#[derive(Debug)]
pub(crate) struct ProviderRun {
    /// What to do.
    pub action: Action,
    /// The rotation that says how to reach the provider.
    pub rotation: Rotation,
    /// That the file is not read, if an option describes the rotation.
    pub note: Option<String>,
    /// How to go about it.
    pub options: RunOptions,
    /// The credentials by their variables.
    pub credentials: BTreeMap<String, SecretString>,
}

/// What the command means.
pub(super) fn run(
    matches: &ArgMatches,
    environment: &Environment,
    redactor: &Redactor,
) -> Result<ProviderRun, EarlyExit> {
    let Some((command, matches)) = matches.subcommand() else { return Err(EarlyExit::good(list())) };
    let known_as = matches.try_get_one::<String>("known-as").ok().flatten().cloned().unwrap_or_default();
    let action = match command {
        "list" => return Err(EarlyExit::good(list())),
        "show" => return Err(show(&known_as)),
        "check" => Action::Check,
        _ => Action::Prove,
    };
    let mut problems = Problems::default();
    let mut inputs = Inputs { matches, environment, problems: &mut problems };
    let note = invocation::unread_file(&inputs);
    let options = settings::options(&mut inputs);
    let config = invocation::offline(&mut inputs, redactor);
    let has_config = config.is_some();
    let mut rotations = config.into_iter().flat_map(|config| config.rotations);
    let rotation = rotations.find(|one| one.provider.kind.name() == known_as);
    if has_config && rotation.is_none() {
        let invalid = match Kind::from_str(&known_as) {
            Ok(_) => Invalid::new(format!("no rotation uses the provider {}", quoted(&known_as))),
            Err(_) => Invalid::new(format!(
                "unknown provider {}: it is not built in, and no rotation uses one of your own with this name",
                quoted(&known_as)
            )),
        };
        let help =
            "a rotation says which credential to use: write one, or give --provider, --token and --secret";
        inputs.problems.error(Origin::Missing, invalid.help(help));
    }
    let credentials = invocation::credentials(rotation.iter(), &mut inputs);
    credentials.values().for_each(|credential| redactor.register(credential));
    match rotation {
        Some(rotation) if !problems.has_errors() => {
            Ok(ProviderRun { action, rotation, note, options, credentials })
        }
        _ => Err(EarlyExit::of(problems)),
    }
}

fn list() -> String {
    let widest =
        |text: fn(&Kind) -> &str| catalogue().iter().map(|kind| text(kind).len()).max().unwrap_or_default();
    let (name, title) = (widest(Kind::name), widest(|kind| &kind.file().title));
    let line = |kind: &Kind| {
        let address = kind.origin().unwrap_or_else(|| "an address of your own".to_owned());
        format!("{:<name$}  {:<title$}  {address}\n", kind.name(), kind.file().title)
    };
    let all: String = catalogue().iter().map(line).collect();
    format!("{all}\nAny other service: describe it under `providers` in the configuration file.\n")
}

fn show(name: &str) -> EarlyExit {
    match built_in(name).and_then(|kind| kind.file().source) {
        Some(source) => EarlyExit::good(source.to_owned()),
        None => EarlyExit::refusal(format!(
            "error: no built-in provider is called {}\n  = help: `crossfade provider list` names them; your own stand in the configuration file\n",
            quoted(name)
        )),
    }
}
