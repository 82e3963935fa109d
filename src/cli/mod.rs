//! Commands, flags and environment.
//!
//! This module is what can be typed; [`invocation()`] is what it means, together
//! with the [`crate::environment::Environment`], and refuses what cannot be run before anything is
//! contacted. No secret is ever an argument.
//!
//! Every option can be given by a variable too: see [`input`]. Values are read there
//! and not by clap, so that all problems are reported at once.

mod init;
mod input;
mod invocation;
mod issue;
mod provider;
mod repository;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, Command as Clap};
use clap_complete::Shell;

use crate::catalogue::FILES;
use crate::config::default_of;

pub(crate) use init::InitRun;
pub(crate) use invocation::{Command, EarlyExit, Invocation, Run, invocation};
pub(crate) use provider::{Action, ProviderRun};
pub(crate) use settings::Verbosity;

const ABOUT: &str =
    "Replaces an expiring API token, and writes the new one to every GitHub secret that holds it";

const SECRETS: &str = "\
Secrets come only from environment variables, never from arguments:
  CROSSFADE_PROVIDER_TOKEN            the provider credential (or the variable that a
                                      rotation's `credential` names)
  CROSSFADE_GITHUB_TOKEN              a GitHub token that may write secrets, or
  CROSSFADE_GITHUB_APP_ID and
  CROSSFADE_GITHUB_APP_PRIVATE_KEY    a GitHub App
  CROSSFADE_MARKER_KEY                signs the markers of new tokens (optional; one key a
                                      line: the first signs, all verify)
  CROSSFADE_ISSUE_TOKEN               a GitHub token that writes the issue of --report-issue
                                      (default: CROSSFADE_GITHUB_TOKEN)

Exit codes: 0 all is well, 1 a rotation failed, 2 usage or configuration,
3 something to do (only with --detailed-exitcode).";

const EXAMPLES: &str = "\
Examples:
  crossfade init                              write the configuration and a workflow
  crossfade check                             the configuration in .github/crossfade.yml
  crossfade doctor                            what would stop a rotation today; changes nothing
  crossfade rotate --dry-run                  what a run would do; changes nothing
  crossfade rotate --only ci-ingest --force   replace one token now
  crossfade status --fail-within 7d           every token; exit code 1 if one would expire";

/// Every command and flag, with variables and defaults in the help texts.
#[must_use]
pub fn command() -> Clap {
    // Tests invoke the program thousands of times.
    static COMMAND: LazyLock<Clap> = LazyLock::new(described);
    COMMAND.clone()
}

fn described() -> Clap {
    let described = |arg: Arg| {
        let (name, text) = (arg.get_id().to_string(), arg.get_help().map(ToString::to_string));
        let default = settings::default_of(&name).or_else(|| default_of(&name.replace('-', "_")));
        let default = default.map(|default| format!(" [default: {default}]")).unwrap_or_default();
        let help = format!("{}{default}", text.unwrap_or_default());
        let note = match name.as_str() {
            "verbose" | "quiet" | "shell" | "known-as" => return arg.help(help),
            "only" | "fail-on" => ", one a line or with commas",
            "secret" | "with" => ", one a line",
            _ => "",
        };
        let is_period = arg.get_value_names().is_some_and(|names| names.iter().any(|name| name == PERIOD));
        let form = if is_period { " [format: 90d, 48h, 1d12h]" } else { "" };
        arg.long_help(format!("{help}{form} [env: {}{note}]", input::variable(&name))).help(help)
    };
    commands().mut_subcommands(|command| {
        command.mut_args(described).mut_subcommands(|command| command.mut_args(described))
    })
}

fn commands() -> Clap {
    let more = "Use --help for all options, environment variables and examples.";
    let after = format!("{SECRETS}\n\n{EXAMPLES}");
    let acting = |name: &'static str, about: &'static str| {
        Clap::new(name).about(about).args(rotation()).after_help(more).after_long_help(after.clone())
    };
    let fail_within =
        option("fail-within", PERIOD, "Exit with 1 if a token would expire within this time, such as 7d");
    let fail_on = option("fail-on", "STATE", "Exit with 1 if a rotation is in this state; repeatable")
        .action(ArgAction::Append)
        .value_delimiter(',')
        .value_parser(Suggested(crate::report::Condition::ALL.map(|(name, _)| name).to_vec()));
    let shell = Arg::new("shell").value_name("SHELL").required(true).value_parser(clap::value_parser!(Shell));
    let completions = Clap::new("completions")
        .about("Print a script that completes commands and options in a shell")
        .arg(shell);
    Clap::new("crossfade")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .max_term_width(100)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help(more)
        .after_long_help(after.clone())
        .subcommand(
            acting("rotate", "Replace the tokens that are due, and write them to their secrets")
                .arg(switch("dry-run", "Show what would be done, and change nothing"))
                .arg(switch("detailed-exitcode", "With --dry-run: exit with 3 if there is something to do"))
                .arg(switch("force", "Rotate even if nothing is due"))
                .arg(switch("yes", "End tokens at once without asking, as with an overlap of 0h"))
                .args(issue())
                .args(network())
                .args(output()),
        )
        .subcommand(
            acting(
                "status",
                "Show every token, its expiry, its destinations and what a run would do; reads only",
            )
            .arg(fail_within)
            .arg(fail_on)
            .arg(switch("unmanaged", "Also list the provider's tokens that no rotation covers"))
            .args(issue())
            .args(network())
            .args(output()),
        )
        .subcommand(
            acting(
                "doctor",
                "Would a rotation work today? Checks credentials, secrets, clocks and the schedule; changes nothing",
            )
            .args(network())
            .args(output()),
        )
        .subcommand(
            Clap::new("check").about("Check the configuration, offline").args(rotation()).args(output()),
        )
        .subcommand(init::command())
        .subcommand(provider::command())
        .subcommand(Clap::new("schema").about("Print the JSON Schema of the configuration file"))
        .subcommand(completions)
}

const PERIOD: &str = "PERIOD";

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// Which rotations, and what overrides their configuration.
fn rotation() -> Vec<Arg> {
    let shard = "Only the Ith of N parts of the rotations; a rotation's name decides its part";
    let mut args = vec![
        option("config", "FILE", "The configuration file"),
        option("only", "NAME", "Only the rotation of this name; repeatable").action(ArgAction::Append),
        option("shard", "I/N", shard).hide_short_help(true),
        option("repository", "OWNER/NAME", "The repository that rotates"),
        option("lifetime", PERIOD, "Lifetime of a new token"),
        option("overlap", PERIOD, "How long the previous token stays valid"),
        option("rotate-before", PERIOD, "How long before its expiry a token is replaced"),
    ];
    let providers = FILES.iter().map(|(name, _)| *name).collect();
    let described = [
        option("provider", "PROVIDER", "The service that issues the token").value_parser(Suggested(providers)),
        option("provider-url", "URL", "Its origin, with or without the API's path").hide_short_help(true),
        option("org-id", "ID", "The Axiom organization, for personal tokens").hide_short_help(true),
        option("token", "NAME OR ID", "Name or id of the token to keep fresh, never its value"),
        option(
            "secret",
            "DESTINATION",
            "A secret that holds it: NAME, owner/repo:NAME, owner/repo@environment:NAME or org:acme:NAME, with \
             dependabot+, codespaces+ or agents+ in front for these stores; repeatable",
        )
        .action(ArgAction::Append),
        option("name", "NAME", "The rotation's name").hide_short_help(true),
    ];
    args.extend(described.map(|arg| arg.help_heading("One rotation by flags")));
    args
}

/// Where else a failure is reported.
fn issue() -> [Arg; 2] {
    let report = option(
        "report-issue",
        "OWNER/NAME",
        "Keep an issue open while something fails or would expire: in this repository, else in the one that rotates",
    );
    let public = switch(
        "public-issue",
        "Allow the issue in a public repository, where everybody reads the names in it",
    );
    [report.num_args(0..=1).default_missing_value(issue::HERE), public]
        .map(|arg| arg.help_heading("Issue").hide_short_help(true))
}

/// How GitHub and the providers are contacted.
fn network() -> [Arg; 5] {
    [
        option("concurrency", "N", "Parallel requests to GitHub"),
        option(
            "pace",
            "POINTS/PERIOD",
            "What GitHub's server allows if that is more than its default of 900/1m: points in a period, \
             1 for a read and 5 for a write",
        ),
        option("request-timeout", PERIOD, "How long a request may take"),
        option(
            "deadline",
            PERIOD,
            "How long the run may take: near its end no new token is created, and after it only new tokens \
             are still delivered",
        ),
        option("github-api-url", "URL", "GitHub's API"),
    ]
    .map(|arg| arg.help_heading("Network").hide_short_help(true))
}

/// What is shown.
fn output() -> [Arg; 3] {
    let counted = Arg::new("verbose").short('v').long("verbose").action(ArgAction::Count);
    [
        option("format", "FORMAT", "The report's format").value_parser(Suggested(vec!["text", "json"])),
        counted.help("One line per request on standard error; twice for more"),
        switch("quiet", "Only the report and errors").short('q').conflicts_with("verbose"),
    ]
    .map(|arg| arg.help_heading("Output"))
}

/// Values that help and completions list. [`input`] refuses others, with all other
/// problems.
#[derive(Clone)]
struct Suggested(Vec<&'static str>);

impl TypedValueParser for Suggested {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Clap,
        arg: Option<&Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().map(PossibleValue::new)))
    }
}
