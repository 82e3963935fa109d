//! Turns arguments and environment into a run, checked as far as possible offline.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{ErrorKind, Read as _};
use std::path::PathBuf;
use std::str::FromStr as _;

use clap::ArgMatches;
use secrecy::{ExposeSecret as _, SecretString};

use super::init::{self, InitRun};
use super::input::Inputs;
use super::provider::{self, ProviderRun};
use super::settings::{self, RunOptions};
use super::{issue, repository};
use crate::config::address::origin;
use crate::config::providers::ProviderName;
use crate::config::selection::{Selection, Shard};
use crate::config::{
    Config, DEFAULT_CREDENTIAL, Destination, Held, Repository, Request, Rotation, RotationKeys, SecretEntry,
    check_values, github_apart, load, summary,
};
use crate::diagnostic::{Invalid, Origin, Problems, named, printable};
use crate::environment::{Environment, visible};
use crate::github::GithubSettings;
use crate::issue::IssueSettings;
use crate::period::Period;
use crate::redact::{GRAM, Redactor, looks_like_a_secret, own_shapes};
use crate::report::{Condition, Format};
use crate::yaml::{MAX_BYTES, keys::Field};

/// The default path of the configuration file.
pub(super) const DEFAULT_FILE: &str = ".github/crossfade.yml";

/// Something to do over the network; everything offline has been checked.
#[derive(Debug)]
pub(crate) struct Run {
    /// What to do.
    pub command: Command,
    /// The selected rotations.
    pub config: Config,
    /// The repository that rotates.
    pub repository: Repository,
    /// The folder of the checkout, whose workflows may run crossfade.
    pub checkout: PathBuf,
    /// How to go about it.
    pub options: RunOptions,
    /// Which GitHub, and who we are there.
    pub github: GithubSettings,
    /// Provider credentials by the variable that holds them: all that
    /// `config`'s rotations name.
    pub credentials: BTreeMap<String, SecretString>,
    /// The keys that sign markers; none: markers are not signed.
    pub marker_keys: Vec<SecretString>,
    /// The issue to keep, if that was asked for.
    pub issue: Option<IssueSettings>,
    /// What was found out and not given, and what was not read.
    pub notes: Vec<String>,
    /// Warnings, which do not stop the run.
    pub warnings: Problems,
}

/// The commands that need the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
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
    /// Would a rotation work today?
    Doctor,
}

/// The whole output of an invocation that sends no request: help, a schema, the result
/// of `check`, or errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EarlyExit {
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
    pub(super) fn good(stdout: String) -> Self {
        Self { stdout, stderr: String::new(), exit_code: 0, problems: Box::default() }
    }

    /// For invalid arguments: the first line says what is wrong.
    pub(super) fn refusal(stderr: String) -> Self {
        let first = stderr.lines().next().unwrap_or_default();
        let problems = Problems::of(Invalid::new(first.strip_prefix("error: ").unwrap_or(first)));
        Self { stdout: String::new(), stderr, exit_code: 2, problems: Box::new(problems) }
    }

    pub(crate) fn of(problems: Problems) -> Self {
        Self { stdout: String::new(), stderr: render(&problems), exit_code: 2, problems: Box::new(problems) }
    }
}

/// A command, checked.
#[derive(Debug)]
pub(crate) enum Invocation {
    /// About rotations.
    Rotations(Box<Run>),
    /// About one provider.
    Provider(Box<ProviderRun>),
    /// Sets up a first rotation.
    Init(Box<InitRun>),
}

/// What arguments (the program's name first) and environment ask for.
///
/// # Errors
/// An [`EarlyExit`] when nothing needs to be contacted, which includes everything
/// that is wrong with the arguments, the environment or the configuration file.
pub(crate) fn invocation(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
    redactor: &Redactor,
) -> Result<Invocation, EarlyExit> {
    let known = settings::SECRETS.into_iter().chain([DEFAULT_CREDENTIAL]);
    let known: Vec<SecretString> =
        known.filter_map(|name| Some(environment.get(name)?.to_owned().into())).collect();
    known.iter().for_each(|secret| redactor.register(secret));
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    refuse_secrets(&arguments, &known)?;
    let matches = super::command().try_get_matches_from(arguments).map_err(|error| {
        let text: String = error.to_string().split('\n').map(printable).collect::<Vec<_>>().join("\n");
        if error.exit_code() == 0 { EarlyExit::good(text) } else { EarlyExit::refusal(text) }
    })?;
    let Some((name, matches)) = matches.subcommand() else { return Err(EarlyExit::good(String::new())) };
    let mut problems = Problems::default();
    let inputs = Inputs { matches, environment, problems: &mut problems };
    match name {
        "schema" => Err(EarlyExit::good(crate::config::SCHEMA.to_owned())),
        "completions" => Err(EarlyExit::good(completions(matches))),
        "check" => Err(check(inputs, redactor)),
        "init" => init::run(inputs).map(|run| Invocation::Init(Box::new(run))),
        "provider" => {
            provider::run(matches, environment, redactor).map(|run| Invocation::Provider(Box::new(run)))
        }
        _ => run(name, inputs, redactor).map(|run| Invocation::Rotations(Box::new(run))),
    }
}

fn run(name: &str, mut inputs: Inputs<'_>, redactor: &Redactor) -> Result<Run, EarlyExit> {
    let mut options = settings::options(&mut inputs);
    let command = if name == "doctor" {
        Command::Doctor
    } else if name == "status" {
        let within = inputs.parsed("fail-within", Period::from_str);
        let conditions =
            inputs.list("fail-on", &[',', '\n'], |text| named("condition", &Condition::ALL, text));
        Command::Status {
            fail_within: within.and_then(|field| field.value),
            fail_on: conditions.into_iter().filter_map(|field| field.value).collect(),
            unmanaged: inputs.switch("unmanaged"),
        }
    } else {
        options.dry_run = inputs.switch("dry-run");
        options.detailed_exitcode = inputs.switch("detailed-exitcode");
        options.force = inputs.switch("force");
        options.yes = inputs.switch("yes");
        if options.detailed_exitcode && !options.dry_run {
            let invalid = Invalid::new("--detailed-exitcode is only for --dry-run");
            inputs.problems.error(Origin::Missing, invalid.help("add --dry-run, or leave it out"));
        }
        Command::Rotate
    };
    let api_url = settings::api_url(&mut inputs);
    let credential = settings::credential(&mut inputs);
    let given = repository::given(&mut inputs);
    let mut repository = given.as_ref().and_then(|field| field.value.clone());
    let mut notes: Vec<String> = unread_file(&inputs).into_iter().collect();
    if given.is_none() {
        // The markers of new tokens depend on it, so a run that writes guesses nothing.
        let only_reads = options.dry_run || command != Command::Rotate;
        let api_url = api_url.as_ref().filter(|_| only_reads);
        repository = api_url.and_then(|api_url| repository::of_remote(&inputs, api_url));
        match &repository {
            Some(found) => notes.push(repository::found(found, options.dry_run)),
            None => repository::require(&mut inputs),
        }
    }
    let github = api_url.zip(credential).map(|(api_url, credential)| GithubSettings { api_url, credential });
    let config = configuration(&mut inputs, repository.as_ref(), redactor);
    let rotations = config.iter().flat_map(|config| &config.rotations);
    let credentials = credentials(rotations, &mut inputs);
    let issue = match command {
        Command::Rotate | Command::Status { .. } => {
            let credential = github.as_ref().map(|github| &github.credential);
            issue::settings(&mut inputs, name, config.as_ref(), credential, repository.as_ref())
        }
        Command::Doctor => None,
    };
    compare_values(config.as_ref(), &mut inputs, redactor);
    let marker_keys = settings::marker_keys(&mut inputs);
    let problems = inputs.problems;
    if let (Some(config), Some(github)) = (&config, &github) {
        problems.note(Origin::Missing, github_apart(&github.api_url, &config.rotations));
    }
    match (config, github, repository.filter(|_| !problems.has_errors())) {
        (Some(config), Some(github), Some(repository)) => {
            let warnings = std::mem::take(problems);
            let checkout = inputs.environment.get("GITHUB_WORKSPACE").unwrap_or(".").into();
            Ok(Run {
                command,
                config,
                repository,
                checkout,
                options,
                github,
                credentials,
                marker_keys,
                issue,
                notes,
                warnings,
            })
        }
        _ => Err(EarlyExit::of(std::mem::take(problems))),
    }
}

fn check(mut inputs: Inputs<'_>, redactor: &Redactor) -> EarlyExit {
    let note = unread_file(&inputs).map(|note| format!("{note}\n")).unwrap_or_default();
    let format = settings::format(&mut inputs);
    let config = offline(&mut inputs, redactor);
    let problems = Box::new(std::mem::take(inputs.problems));
    let config = config.filter(|_| !problems.has_errors());
    let exit_code = if config.is_some() { 0 } else { 2 };
    match format {
        Format::Json => {
            let stdout = summary::json(config.as_ref(), &problems, redactor);
            EarlyExit { stdout, stderr: note, exit_code, problems }
        }
        Format::Text => {
            let stderr = if problems.is_empty() { note } else { note + &render(&problems) };
            let stdout = config.as_ref().map(summary::text).unwrap_or_default();
            EarlyExit { stdout, stderr, exit_code, problems }
        }
    }
}

/// The configuration for a command that asks nothing of GitHub.
pub(super) fn offline(inputs: &mut Inputs<'_>, redactor: &Redactor) -> Option<Config> {
    let repository = repository::given(inputs).and_then(|field| field.value);
    let config = configuration(inputs, repository.as_ref(), redactor);
    compare_values(config.as_ref(), inputs, redactor);
    config
}

/// Stands for the repository that rotates where none is given and none is needed.
pub(super) fn some_repository() -> Repository {
    Repository { owner: "this".to_owned(), name: "repository".to_owned() }
}

/// The script that completes commands and options in a shell.
fn completions(matches: &ArgMatches) -> String {
    let mut script = Vec::new();
    if let Some(shell) = matches.get_one::<clap_complete::Shell>("shell") {
        clap_complete::generate(*shell, &mut super::command(), "crossfade", &mut script);
    }
    String::from_utf8_lossy(&script).into_owned()
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
         = help: secrets come only from environment variables: CROSSFADE_PROVIDER_TOKEN and CROSSFADE_GITHUB_TOKEN;\n          \
         --token takes the name or id of a token; replace a token that was typed as an argument\n"
            .to_owned(),
    ))
}

/// The selected rotations, from the file or from flags.
fn configuration(
    inputs: &mut Inputs<'_>,
    repository: Option<&Repository>,
    redactor: &Redactor,
) -> Option<Config> {
    let repository = repository.cloned().unwrap_or_else(some_repository);
    let flags = flags(inputs, &repository);
    let shard = inputs.parsed("shard", Shard::from_str).and_then(|field| field.value);
    let only = inputs.list("only", &[',', '\n'], |name| Ok(name.to_owned()));
    let path = inputs.text("config").and_then(|field| Some((field.value?, field.origin)));
    // A token or a secret alone may be for the one rotation of the default file.
    let describes = flags.token.is_some() || flags.secrets.is_some();
    let by_flags = path.is_none()
        && (flags.provider.is_some() || describes && !std::path::Path::new(DEFAULT_FILE).exists());
    let file = if by_flags { None } else { Some(file(path, inputs.problems)?) };
    redactor.learn(own_shapes(file.as_deref().unwrap_or_default()));
    register_named(file.as_deref().unwrap_or_default(), inputs.environment, redactor);
    load(&Request { file, flags, selection: Selection { only, shard }, repository }, inputs.problems)
}

/// That the default file is not read, because an option describes the rotation.
pub(super) fn unread_file(inputs: &Inputs<'_>) -> Option<String> {
    let (_, Origin::Input(option)) = inputs.given("provider")? else { return None };
    let is_unread = inputs.given("config").is_none() && std::path::Path::new(DEFAULT_FILE).exists();
    is_unread.then(|| format!("using the rotation given by {option}; {DEFAULT_FILE} is not read"))
}

/// Registers what the variables hold that a file names as credentials, before
/// anything of the file is quoted: it may be wrong in any other way.
fn register_named(file: &str, environment: &Environment, redactor: &Redactor) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for line in file.lines().filter(|line| line.contains("credential") || line.contains("with")) {
        let words = line.split(|c| !is_word(c)).filter(|word| !word.is_empty());
        for value in words.filter_map(|word| environment.get(word)).filter(|value| value.trim().len() >= GRAM)
        {
            redactor.register(&value.into());
        }
    }
}

/// What flags and variables say about rotations.
fn flags(inputs: &mut Inputs<'_>, repository: &Repository) -> RotationKeys {
    let secrets =
        inputs.list("secret", &['\n'], |text| Destination::parse(text, repository).map(SecretEntry::from));
    RotationKeys {
        name: inputs.text("name"),
        provider: inputs.parsed("provider", |name| Ok(ProviderName(name.to_owned()))),
        provider_url: inputs.parsed("provider-url", origin),
        org_id: inputs.text("org-id"),
        token: inputs.text("token"),
        lifetime: inputs.parsed("lifetime", Period::from_str),
        overlap: inputs.parsed("overlap", Period::from_str),
        rotate_before: inputs.parsed("rotate-before", Period::from_str),
        secrets: secrets
            .first()
            .map(|first| first.origin)
            .map(|origin| Field { origin, value: Some(secrets) }),
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
        Err(error) if error.kind() == ErrorKind::NotFound && origin == Origin::Missing => Err(Invalid::new(
            format!("{DEFAULT_FILE} does not exist, and no flags describe a rotation"),
        )
        .help(
            "run `crossfade init`, name another file with --config, or give --provider, --token and --secret",
        )),
        Err(error) => Err(Invalid::new(format!("{} cannot be read: {}", printable(&path), error.kind()))),
    };
    let text = problems.note(origin, text)?;
    problems.set_file(&path, &text);
    Some(text)
}

/// The provider credentials that the rotations name.
pub(super) fn credentials<'a>(
    rotations: impl Iterator<Item = &'a Rotation>,
    inputs: &mut Inputs<'_>,
) -> BTreeMap<String, SecretString> {
    let mut found = BTreeMap::new();
    for variable in rotations.flat_map(|rotation| rotation.provider.credentials()) {
        if found.contains_key(variable) {
            continue;
        }
        let value = match inputs.environment.get(variable) {
            Some(value) => visible(value).map_err(|e| Invalid::new(format!("{variable}: {e}"))),
            None => {
                let invalid = Invalid::new(format!("no provider credential is given: {variable} is not set"));
                Err(invalid.help(if inputs.environment.is_on_actions() {
                    "set it in the step's `env`; CROSSFADE_PROVIDER_TOKEN is the action's input `provider-token`".to_owned()
                } else {
                    format!("run `read -rs {variable} && export {variable}` and paste it")
                }))
            }
        };
        found.extend(inputs.problems.note(Origin::Missing, value).map(|value| (variable.clone(), value)));
    }
    found
}

/// Registers what the file's rotations sign in with, selected or not, and notes
/// credentials that are another service's.
fn compare_values(config: Option<&Config>, inputs: &mut Inputs<'_>, redactor: &Redactor) {
    let of_github = [settings::GITHUB_TOKEN, settings::APP_KEY, settings::ISSUE_TOKEN];
    let of_github = of_github.into_iter().map(|variable| (None, variable));
    let rotations = config.into_iter().flat_map(|config| config.rotations.iter().chain(&config.unselected));
    let providers = rotations.map(|rotation| &rotation.provider);
    let of_providers =
        providers.flat_map(|one| one.credentials().map(move |variable| (Some(one), variable.as_str())));
    let mut held: Vec<Held<'_>> = Vec::new();
    for (provider, variable) in of_github.chain(of_providers) {
        let Some(value) = inputs.environment.get(variable).map(SecretString::from) else { continue };
        redactor.register(&value);
        if !held.iter().any(|one| one.variable == variable && one.provider == provider) {
            held.push(Held { variable, value, provider });
        }
    }
    check_values(&held, inputs.problems);
}
