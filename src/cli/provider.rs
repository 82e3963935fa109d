//! `crossfade provider`: what the arguments mean.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use secrecy::SecretString;

use super::input::Inputs;
use super::invocation::{self, EarlyExit};
use super::settings::{self, RunOptions};
use super::{Environment, NetworkArgs, OutputArgs, RotationArgs};
use crate::config::{Repository, Rotation};
use crate::diagnostic::{Invalid, Origin, Problems, quoted};
use crate::provider::{Kind, catalogue};
use crate::redact::Redactor;

/// The commands about providers.
#[derive(Debug, Subcommand)]
pub(super) enum ProviderCommands {
    /// The providers that are built in
    List,
    /// Print a built-in provider as a file
    Show {
        /// Its name
        name: String,
    },
    /// Read a provider's tokens, and print each as it was understood; changes nothing
    Check(ProviderArgs),
    /// Create a short-lived token, find it, verify it, and delete it again; touches nothing else
    Prove(ProviderArgs),
}

#[derive(Debug, Args)]
pub(super) struct ProviderArgs {
    /// The provider: built in, or described in the configuration file
    #[arg(value_name = "NAME")]
    known_as: String,
    #[command(flatten)]
    rotations: RotationArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What to do with a provider over the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Read.
    Check,
    /// Make a token, and delete it again.
    Prove,
}

/// A command about one provider; everything offline has been checked.
#[derive(Debug)]
pub struct ProviderRun {
    /// What to do.
    pub action: Action,
    /// The rotation that says how to reach the provider.
    pub rotation: Rotation,
    /// The repository that rotates.
    pub repository: Repository,
    /// How to go about it.
    pub options: RunOptions,
    /// The credentials by their variables.
    pub credentials: BTreeMap<String, SecretString>,
}

impl ProviderCommands {
    /// What the command means.
    pub(super) fn run(
        self,
        environment: &Environment,
        redactor: &Redactor,
        mut problems: Problems,
    ) -> Result<ProviderRun, EarlyExit> {
        let (action, args) = match self {
            Self::List => return Err(EarlyExit::good(list())),
            Self::Show { name } => return Err(show(&name)),
            Self::Check(args) => (Action::Check, args),
            Self::Prove(args) => (Action::Prove, args),
        };
        let options = settings::options(
            &args.network,
            &args.output,
            &mut Inputs { environment, problems: &mut problems },
        );
        let (config, repository) = invocation::offline(&args.rotations, environment, redactor, &mut problems);
        let mut config = config;
        let rotation = config.as_mut().and_then(|config| {
            let place = config.rotations.iter().position(|one| one.provider.kind.name() == args.known_as);
            place.map(|place| config.rotations.swap_remove(place))
        });
        if config.is_some() && rotation.is_none() {
            let invalid = Invalid::new(format!("no rotation uses the provider {}", quoted(&args.known_as)));
            problems.error(Origin::Missing, invalid.help("a rotation says which credential to use: write one, or give --provider, --token and --secret"));
        }
        let credentials = invocation::credentials(rotation.iter(), environment, &mut problems);
        credentials.values().for_each(|credential| redactor.register(credential));
        match rotation {
            Some(rotation) if !problems.has_errors() => {
                Ok(ProviderRun { action, rotation, repository, options, credentials })
            }
            _ => Err(EarlyExit::of(problems)),
        }
    }
}

fn list() -> String {
    let line = |kind: &Kind| {
        let file = kind.file();
        let address = kind.origin().unwrap_or_else(|| "an address of your own".to_owned());
        format!("{:<16}{:<26}{address}\n", kind.name(), file.title)
    };
    let all: String = catalogue().iter().map(line).collect();
    format!("{all}\nAny other service: describe it under `providers` in the configuration file.\n")
}

fn show(name: &str) -> EarlyExit {
    match catalogue().iter().find(|kind| kind.name() == name).and_then(|kind| kind.file().source) {
        Some(source) => EarlyExit::good(source.to_owned()),
        None => EarlyExit::refusal(format!(
            "error: no built-in provider is called {}\n  = help: `crossfade provider list` names them; your own stand in the configuration file\n",
            quoted(name)
        )),
    }
}
