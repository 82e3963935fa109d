//! Turns arguments and environment into a run, checked as far as possible offline.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{ErrorKind, Read as _};
use std::str::FromStr as _;

use clap::Parser as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::input::{Input, Inputs, input};
use super::settings::{self, RunOptions};
use super::{Cli, Environment, OutputArgs, RotationArgs, Subcommands};
use crate::config::address::origin;
use crate::config::selection::{Selection, Shard};
use crate::config::{
    Config, DEFAULT_CREDENTIAL, Field, Held, MAX_BYTES, Period, Repository, Request, RotationKeys,
    SecretKeys, check_values, github_apart, load, summary,
};
use crate::diagnostic::{Invalid, Origin, Problems, printable};
use crate::github::{GithubCredential, GithubSettings};
use crate::provider::Kind;
use crate::redact::{GRAM, Redactor, looks_like_a_secret};
use crate::report::{Condition, Format};

/// The default path of the configuration file.
const DEFAULT_FILE: &str = ".github/crossfade.yml";

/// The name that `check` uses for the repository that rotates if none is given.
const SOME_REPOSITORY: (&str, &str) = ("this", "repository");

/// Something to do over the network; everything offline has been checked.
#[derive(Debug)]
pub struct Run {
    /// What to do.
    pub command: Command,
    /// The selected rotations.
    pub config: Config,
    /// The repository that rotates.
    pub repository: Repository,
    /// How to go about it.
    pub options: RunOptions,
    /// Which GitHub, and who we are there.
    pub github: GithubSettings,
    /// Provider credentials by the variable that holds them: all that
    /// `config`'s rotations name.
    pub credentials: BTreeMap<String, SecretString>,
    /// The keys that sign markers; none: markers are not signed.
    pub marker_keys: Vec<SecretString>,
    /// Warnings, which do not stop the run.
    pub warnings: Problems,
}

/// The commands that need the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Rotate what is due.
    Rotate,
    /// Show how things are.
    Status {
        /// Fail if something would expire within this time.
        fail_within: Option<Period>,
        /// Fail if a rotation is in one of these states.
        fail_on: Vec<Condition>,
        /// List the provider's tokens that no rotation covers.
        unmanaged: bool,
    },
}

/// The whole output of an invocation that sends no request: help, a schema, the result
/// of `check`, or errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlyExit {
    /// For standard output.
    pub stdout: String,
    /// For standard error.
    pub stderr: String,
    /// 0, or 2 for usage and configuration.
    pub exit_code: u8,
    /// The problems in the output, with their origins, for annotations.
    pub problems: Box<Problems>,
}

impl EarlyExit {
    fn good(stdout: String) -> Self {
        Self { stdout, stderr: String::new(), exit_code: 0, problems: Box::default() }
    }

    /// Of arguments that mean nothing: what is wrong stands in the first line.
    fn refusal(stderr: String) -> Self {
        let first = stderr.lines().next().unwrap_or_default();
        let problems = Problems::of(Invalid::new(first.strip_prefix("error: ").unwrap_or(first)));
        Self { stdout: String::new(), stderr, exit_code: 2, problems: Box::new(problems) }
    }

    fn of(problems: Problems) -> Self {
        Self { stdout: String::new(), stderr: render(&problems), exit_code: 2, problems: Box::new(problems) }
    }
}

const CONFIG: Input = input("--config", "CROSSFADE_CONFIG");
const ONLY: Input = input("--only", "CROSSFADE_ONLY");
const SHARD: Input = input("--shard", "CROSSFADE_SHARD");
const REPOSITORY: Input = input("--repository", "CROSSFADE_REPOSITORY");
const GITHUB_REPOSITORY: Input = input("--repository", "GITHUB_REPOSITORY");
const LIFETIME: Input = input("--lifetime", "CROSSFADE_LIFETIME");
const OVERLAP: Input = input("--overlap", "CROSSFADE_OVERLAP");
const ROTATE_BEFORE: Input = input("--rotate-before", "CROSSFADE_ROTATE_BEFORE");
const PROVIDER: Input = input("--provider", "CROSSFADE_PROVIDER");
const PROVIDER_URL: Input = input("--provider-url", "CROSSFADE_PROVIDER_URL");
const ORG_ID: Input = input("--org-id", "CROSSFADE_ORG_ID");
const TOKEN: Input = input("--token", "CROSSFADE_TOKEN");
const SECRET: Input = input("--secret", "CROSSFADE_SECRETS");
const NAME: Input = input("--name", "CROSSFADE_NAME");
const FORCE: Input = input("--force", "CROSSFADE_FORCE");
const DRY_RUN: Input = input("--dry-run", "CROSSFADE_DRY_RUN");
const DETAILED_EXITCODE: Input = input("--detailed-exitcode", "CROSSFADE_DETAILED_EXITCODE");
const FAIL_ON: Input = input("--fail-on", "CROSSFADE_FAIL_ON");
const UNMANAGED: Input = input("--unmanaged", "CROSSFADE_UNMANAGED");
const FAIL_WITHIN: Input = input("--fail-within", "CROSSFADE_FAIL_WITHIN");

/// What arguments (the program's name first) and environment ask for.
///
/// # Errors
/// An [`EarlyExit`] when nothing needs to be contacted, which includes everything
/// that is wrong with the arguments, the environment or the configuration file.
pub fn invocation(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
    redactor: &Redactor,
) -> Result<Run, EarlyExit> {
    let known = settings::SECRETS.into_iter().chain([DEFAULT_CREDENTIAL]);
    let known: Vec<SecretString> =
        known.filter_map(|name| Some(environment.get(name)?.to_owned().into())).collect();
    known.iter().for_each(|secret| redactor.register(secret));
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    refuse_secrets(&arguments, &known)?;
    let cli = Cli::try_parse_from(arguments).map_err(|error| {
        let text: String = error.to_string().split('\n').map(printable).collect::<Vec<_>>().join("\n");
        if error.exit_code() == 0 { EarlyExit::good(text) } else { EarlyExit::refusal(text) }
    })?;
    let mut problems = Problems::default();
    match cli.command {
        Subcommands::Schema => Err(EarlyExit::good(crate::config::schema_text())),
        Subcommands::Check(args) => {
            Err(check(&args.rotations, &args.output, environment, redactor, problems))
        }
        Subcommands::Rotate(args) => {
            let inputs = &mut Inputs { environment, problems: &mut problems };
            let options = RunOptions {
                dry_run: inputs.switch(args.dry_run, DRY_RUN),
                detailed_exitcode: inputs.switch(args.detailed_exitcode, DETAILED_EXITCODE),
                force: inputs.switch(args.force, FORCE),
                ..settings::options(&args.network, &args.output, inputs)
            };
            let github = settings::github(&args.network, inputs);
            if options.detailed_exitcode && !options.dry_run {
                let invalid = Invalid::new("--detailed-exitcode is only for --dry-run");
                problems.error(Origin::Missing, invalid.help("add --dry-run, or leave it out"));
            }
            run(Command::Rotate, &args.rotations, options, github, environment, redactor, problems)
        }
        Subcommands::Status(args) => {
            let inputs = &mut Inputs { environment, problems: &mut problems };
            let fail_within = inputs.parsed(args.fail_within.as_deref(), FAIL_WITHIN, Period::from_str);
            let fail_on = inputs.list(&args.fail_on, FAIL_ON, &[',', '\n']);
            let fail_on = fail_on.into_iter().filter_map(|field| {
                inputs.problems.note(field.origin, field.value?.trim().parse::<Condition>())
            });
            let command = Command::Status {
                fail_within: fail_within.and_then(|field| field.value),
                fail_on: fail_on.collect(),
                unmanaged: inputs.switch(args.unmanaged, UNMANAGED),
            };
            let options = settings::options(&args.network, &args.output, inputs);
            let github = settings::github(&args.network, inputs);
            run(command, &args.rotations, options, github, environment, redactor, problems)
        }
    }
}

fn run(
    command: Command,
    args: &RotationArgs,
    options: RunOptions,
    github: Option<GithubSettings>,
    environment: &Environment,
    redactor: &Redactor,
    mut problems: Problems,
) -> Result<Run, EarlyExit> {
    let repository = repository(args, environment, true, &mut problems);
    let config = configuration(args, repository.clone(), environment, redactor, &mut problems);
    let credentials = credentials(config.as_ref(), environment, &mut problems);
    compare_values(config.as_ref(), github.as_ref(), environment, redactor, &mut problems);
    let marker_keys = settings::marker_keys(&mut Inputs { environment, problems: &mut problems });
    if let (Some(config), Some(github)) = (&config, &github) {
        problems.note(Origin::Missing, github_apart(&github.api_url, &config.rotations));
    }
    match (config, repository, github, problems.has_errors()) {
        (Some(config), Some(repository), Some(github), false) => Ok(Run {
            command,
            config,
            repository,
            options,
            github,
            credentials,
            marker_keys,
            warnings: problems,
        }),
        _ => Err(EarlyExit::of(problems)),
    }
}

fn check(
    args: &RotationArgs,
    output: &OutputArgs,
    environment: &Environment,
    redactor: &Redactor,
    mut problems: Problems,
) -> EarlyExit {
    let format = settings::format(output, &mut Inputs { environment, problems: &mut problems });
    let repository = repository(args, environment, false, &mut problems);
    let config = configuration(args, repository, environment, redactor, &mut problems);
    compare_values(config.as_ref(), None, environment, redactor, &mut problems);
    let config = config.filter(|_| !problems.has_errors());
    let exit_code = if config.is_some() { 0 } else { 2 };
    match format {
        Format::Json => {
            let stdout = summary::json(config.as_ref(), &problems, redactor);
            EarlyExit { stdout, stderr: String::new(), exit_code, problems: Box::new(problems) }
        }
        Format::Text => {
            let stderr = if problems.is_empty() { String::new() } else { render(&problems) };
            let stdout = config.as_ref().map(summary::text).unwrap_or_default();
            EarlyExit { stdout, stderr, exit_code, problems: Box::new(problems) }
        }
    }
}

/// All problems as text, and how many there are.
fn render(problems: &Problems) -> String {
    let ending = match problems.errors() {
        0 => return format!("{problems}\n"),
        1 => "1 error".to_owned(),
        n => format!("{n} errors"),
    };
    format!("{problems}\n\n{ending}; nothing was contacted.\n")
}

/// Refuses secrets in arguments: every process of the machine can see them, and shells
/// record them.
fn refuse_secrets(arguments: &[OsString], known: &[SecretString]) -> Result<(), EarlyExit> {
    let any = arguments.iter().any(|argument| {
        let argument = argument.to_string_lossy();
        let is_known = |secret: &SecretString| {
            let mut lines = secret.expose_secret().lines().map(str::trim);
            lines.any(|line| line.len() >= GRAM && argument.contains(line))
        };
        looks_like_a_secret(&argument)
            || argument.split_once('=').is_some_and(|(_, value)| looks_like_a_secret(value))
            || known.iter().any(is_known)
    });
    if !any {
        return Ok(());
    }
    Err(EarlyExit::refusal(
        "error: an argument looks like a secret, which would be visible to others on this machine; it is not shown here\n  \
         = help: secrets come from environment variables alone: CROSSFADE_PROVIDER_TOKEN and CROSSFADE_GITHUB_TOKEN;\n          \
         --token takes the name or id of a token; replace a token that was typed as an argument\n"
            .to_owned(),
    ))
}

/// The repository that rotates. `check` does not need one.
fn repository(
    args: &RotationArgs,
    environment: &Environment,
    required: bool,
    problems: &mut Problems,
) -> Option<Repository> {
    let mut inputs = Inputs { environment, problems };
    let given = inputs
        .parsed(args.repository.as_deref(), REPOSITORY, Repository::from_str)
        .or_else(|| inputs.parsed(None, GITHUB_REPOSITORY, Repository::from_str));
    if given.is_none() && required {
        problems.error(
            Origin::Missing,
            Invalid::new("no repository is given").help(
                "give --repository owner/name, the variable CROSSFADE_REPOSITORY or the action's input `repository`; GITHUB_REPOSITORY is not set",
            ),
        );
    }
    given?.value
}

/// The selected rotations, from the file or from flags.
fn configuration(
    args: &RotationArgs,
    repository: Option<Repository>,
    environment: &Environment,
    redactor: &Redactor,
    problems: &mut Problems,
) -> Option<Config> {
    let mut inputs = Inputs { environment, problems };
    let flags = flags(args, &mut inputs);
    let shard = inputs.parsed(args.shard.as_deref(), SHARD, Shard::from_str).and_then(|field| field.value);
    let selection = Selection { only: inputs.list(&args.only, ONLY, &[',', '\n']), shard };
    let path =
        inputs.text(args.config.as_deref(), CONFIG).and_then(|field| Some((field.value?, field.origin)));
    // A token or a secret alone may be meant for the one rotation of the usual file.
    let describes = flags.token.is_some() || flags.secrets.is_some();
    let by_flags = path.is_none()
        && (flags.provider.is_some() || describes && !std::path::Path::new(DEFAULT_FILE).exists());
    let file = if by_flags { None } else { Some(file(path, problems)?) };
    register_named(file.as_deref().unwrap_or_default(), environment, redactor);
    let repository = repository.unwrap_or_else(|| Repository {
        owner: SOME_REPOSITORY.0.to_owned(),
        name: SOME_REPOSITORY.1.to_owned(),
    });
    load(&Request { file, flags, selection, repository }, problems)
}

/// Registers what the variables hold that a file names as credentials, before
/// anything of the file is quoted: it may be wrong in any other way.
fn register_named(file: &str, environment: &Environment, redactor: &Redactor) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for line in file.lines().filter(|line| line.contains("credential")) {
        let words = line.split(|c| !is_word(c)).filter(|word| !word.is_empty());
        for value in words.filter_map(|word| environment.get(word)).filter(|value| value.trim().len() >= GRAM)
        {
            redactor.register(&value.into());
        }
    }
}

/// What flags and variables say about rotations.
fn flags(args: &RotationArgs, inputs: &mut Inputs<'_>) -> RotationKeys {
    let secrets = inputs.list(&args.secret, SECRET, &['\n']);
    let short = |field: &Field<String>| Field {
        origin: field.origin,
        value: field.value.clone().map(SecretKeys::Short),
    };
    RotationKeys {
        name: inputs.text(args.name.as_deref(), NAME),
        provider: inputs.parsed(args.provider.as_deref(), PROVIDER, Kind::from_str),
        provider_url: inputs.parsed(args.provider_url.as_deref(), PROVIDER_URL, origin),
        org_id: inputs.text(args.org_id.as_deref(), ORG_ID),
        token: inputs.text(args.token.as_deref(), TOKEN),
        lifetime: inputs.parsed(args.lifetime.as_deref(), LIFETIME, Period::from_str),
        overlap: inputs.parsed(args.overlap.as_deref(), OVERLAP, Period::from_str),
        rotate_before: inputs.parsed(args.rotate_before.as_deref(), ROTATE_BEFORE, Period::from_str),
        secrets: secrets
            .first()
            .map(|first| Field { origin: first.origin, value: Some(secrets.iter().map(short).collect()) }),
        ..RotationKeys::default()
    }
}

/// The configuration file's text.
fn file(path: Option<(String, Origin)>, problems: &mut Problems) -> Option<String> {
    let (path, origin) = path.unwrap_or_else(|| (DEFAULT_FILE.to_owned(), Origin::Missing));
    let mut bytes = Vec::new();
    // One byte too many is enough to know that there are too many.
    let bound = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let read = std::fs::File::open(&path).and_then(|file| file.take(bound).read_to_end(&mut bytes));
    let text = match read {
        Ok(_) => {
            String::from_utf8(bytes).map_err(|_| Invalid::new(format!("{} is not UTF-8", printable(&path))))
        }
        Err(error) if error.kind() == ErrorKind::NotFound && origin == Origin::Missing => {
            Err(Invalid::new(format!("there is no {DEFAULT_FILE}, and no flags describe a rotation"))
                .help("write the file, name another with --config, or give --provider, --token and --secret"))
        }
        Err(error) => Err(Invalid::new(format!("{} cannot be read: {}", printable(&path), error.kind()))),
    };
    let text = problems.note(origin, text)?;
    problems.set_file(&path, &text);
    Some(text)
}

/// The provider credentials that the rotations name.
fn credentials(
    config: Option<&Config>,
    environment: &Environment,
    problems: &mut Problems,
) -> BTreeMap<String, SecretString> {
    let mut found = BTreeMap::new();
    for rotation in config.into_iter().flat_map(|config| &config.rotations) {
        let variable = &rotation.provider.credential;
        if found.contains_key(variable) {
            continue;
        }
        let value = match environment.get(variable) {
            Some(value) => settings::visible(value).map_err(|e| Invalid::new(format!("{variable}: {e}"))),
            None => Err(Invalid::new(format!("there is no provider credential: {variable} is not set")).help(
                "set it in the step's `env`; CROSSFADE_PROVIDER_TOKEN is the action's input `provider-token`",
            )),
        };
        found.extend(problems.note(Origin::Missing, value).map(|value| (variable.clone(), value)));
    }
    found
}

/// Registers what the file's rotations sign in with, selected or not, and notes
/// credentials that are another service's.
fn compare_values(
    config: Option<&Config>,
    github: Option<&GithubSettings>,
    environment: &Environment,
    redactor: &Redactor,
    problems: &mut Problems,
) {
    let mut held: Vec<Held<'_>> = Vec::new();
    let token = github.map(|github| &github.credential);
    let of_github = match token {
        Some(GithubCredential::Token(token)) => Some((settings::GITHUB_TOKEN, token.clone())),
        Some(GithubCredential::App { private_key, .. }) => Some((settings::APP_KEY, private_key.clone())),
        None => {
            let token = environment.get(settings::GITHUB_TOKEN);
            token.map(|token| (settings::GITHUB_TOKEN, token.to_owned().into()))
        }
    };
    held.extend(of_github.map(|(variable, value)| Held { variable, value, provider: None }));
    let rotations = config.into_iter().flat_map(|config| config.rotations.iter().chain(&config.unselected));
    for provider in rotations.map(|rotation| &rotation.provider) {
        let Some(value) = environment.get(&provider.credential) else { continue };
        let value = SecretString::from(value);
        redactor.register(&value);
        let is_known = |one: &Held<'_>| one.variable == provider.credential && one.provider == Some(provider);
        if !held.iter().any(is_known) {
            held.push(Held { variable: &provider.credential, value, provider: Some(provider) });
        }
    }
    check_values(&held, problems);
}
