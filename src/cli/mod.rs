//! Commands, flags and environment.
//!
//! This module is what can be typed; [`invocation()`] is what it means, together
//! with the [`Environment`], and refuses what cannot be run before anything is
//! contacted. No secret is ever an argument.

mod environment;
mod input;
mod invocation;
mod settings;
#[cfg(test)]
mod tests;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

pub use environment::Environment;
pub use invocation::{Command, EarlyExit, Run, invocation};
pub use settings::{RunOptions, Verbosity};

/// Every command and flag, for completions and the manual page.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Replaces an expiring API token before it dies, and writes the successor to
/// every GitHub secret that holds it.
#[derive(Debug, Parser)]
#[command(name = "crossfade", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Subcommands,
}

const AFTER_HELP: &str = "\
Secrets come from environment variables alone, never from arguments:
  CROSSFADE_PROVIDER_TOKEN            the provider credential (or the variable that a
                                      rotation's `credential` names)
  CROSSFADE_GITHUB_TOKEN              a GitHub token that may write secrets, or
  CROSSFADE_GITHUB_APP_ID and
  CROSSFADE_GITHUB_APP_PRIVATE_KEY    a GitHub App
  CROSSFADE_MARKER_KEY                signs the markers of new tokens (optional; one key a
                                      line: the first signs, all verify)

Exit codes: 0 all is well, 1 a rotation failed, 2 usage or configuration,
3 something to do (only with --detailed-exitcode).";

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Rotate what is due: mint, deliver, retire
    #[command(after_help = AFTER_HELP)]
    Rotate(RotateArgs),
    /// Show every token, its expiry, its destinations and what a run would do; reads only
    #[command(after_help = AFTER_HELP)]
    Status(StatusArgs),
    /// Check the configuration, offline
    Check(CheckArgs),
    /// Print the JSON Schema of the configuration file
    Schema,
}

#[derive(Debug, Args)]
struct RotateArgs {
    #[command(flatten)]
    rotations: RotationArgs,
    /// Show what would be done and do none of it [env: CROSSFADE_DRY_RUN]
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: exit with 3 if there is something to do [env: CROSSFADE_DETAILED_EXITCODE]
    #[arg(long)]
    detailed_exitcode: bool,
    /// Rotate even if nothing is due [env: CROSSFADE_FORCE]
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct StatusArgs {
    #[command(flatten)]
    rotations: RotationArgs,
    /// Exit with 1 if a token would expire within this time [env: CROSSFADE_FAIL_WITHIN]
    #[arg(long, value_name = "PERIOD")]
    fail_within: Option<String>,
    /// Exit with 1 if a rotation is in this state: undelivered, due, unknown (which token a secret
    /// holds); repeatable [env: CROSSFADE_FAIL_ON, one a line or with commas]
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    fail_on: Vec<String>,
    /// List the provider's tokens that no rotation covers, too [env: CROSSFADE_UNMANAGED]
    #[arg(long)]
    unmanaged: bool,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct CheckArgs {
    #[command(flatten)]
    rotations: RotationArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Which rotations, and what overrides their configuration.
#[derive(Debug, Args)]
struct RotationArgs {
    /// The configuration file; default .github/crossfade.yml [env: CROSSFADE_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    /// Only the rotation of this name; repeatable [env: CROSSFADE_ONLY, one a line or with commas]
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only the Ith of N parts of the rotations; a rotation's name decides its part [env: CROSSFADE_SHARD]
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,
    /// The repository that rotates; default GITHUB_REPOSITORY [env: CROSSFADE_REPOSITORY]
    #[arg(long, value_name = "OWNER/NAME")]
    repository: Option<String>,
    /// How long a minted token lives; default 90d [env: CROSSFADE_LIFETIME]
    #[arg(long, value_name = "PERIOD")]
    lifetime: Option<String>,
    /// How long the previous token stays valid; default 7d [env: CROSSFADE_OVERLAP]
    #[arg(long, value_name = "PERIOD")]
    overlap: Option<String>,
    /// How long before its end a token is replaced; default 14d [env: CROSSFADE_ROTATE_BEFORE]
    #[arg(long, value_name = "PERIOD")]
    rotate_before: Option<String>,
    /// The service that issues the token [env: CROSSFADE_PROVIDER]
    #[arg(long, value_name = "PROVIDER", help_heading = "One rotation by flags")]
    provider: Option<String>,
    /// Its origin, with or without the API's path [env: CROSSFADE_PROVIDER_URL]
    #[arg(long, value_name = "URL", help_heading = "One rotation by flags")]
    provider_url: Option<String>,
    /// The Axiom organization, for personal tokens [env: CROSSFADE_ORG_ID]
    #[arg(long, value_name = "ID", help_heading = "One rotation by flags")]
    org_id: Option<String>,
    /// Name or id of the token to keep fresh, never its value [env: CROSSFADE_TOKEN]
    #[arg(long, value_name = "NAME OR ID", help_heading = "One rotation by flags")]
    token: Option<String>,
    /// A secret that holds it: NAME, owner/repo:NAME, owner/repo@environment:NAME or org:acme:NAME,
    /// with dependabot+, codespaces+ or agents+ in front for these stores; repeatable
    /// [env: CROSSFADE_SECRETS, one a line]
    #[arg(long, value_name = "DESTINATION", help_heading = "One rotation by flags")]
    secret: Vec<String>,
    /// The rotation's name; default what --token says [env: CROSSFADE_NAME]
    #[arg(long, value_name = "NAME", help_heading = "One rotation by flags")]
    name: Option<String>,
}

/// How GitHub and the providers are spoken to.
#[derive(Debug, Args)]
struct NetworkArgs {
    /// Requests in flight to GitHub; default 8 [env: CROSSFADE_CONCURRENCY]
    #[arg(long, value_name = "N", help_heading = "Network")]
    concurrency: Option<String>,
    /// What GitHub's server allows if that is more than its default of 900/1m: points in a period,
    /// 1 for a read and 5 for a write [env: CROSSFADE_PACE]
    #[arg(long, value_name = "POINTS/PERIOD", help_heading = "Network")]
    pace: Option<String>,
    /// How long a request may take; default 30s [env: CROSSFADE_REQUEST_TIMEOUT]
    #[arg(long, value_name = "PERIOD", help_heading = "Network")]
    request_timeout: Option<String>,
    /// How long the run may take: near its end nothing more is minted, and after it only what was
    /// minted is waited for; default 20m [env: CROSSFADE_DEADLINE]
    #[arg(long, value_name = "PERIOD", help_heading = "Network")]
    deadline: Option<String>,
    /// GitHub's API; default GITHUB_API_URL, else https://api.github.com [env: CROSSFADE_GITHUB_API_URL]
    #[arg(long, value_name = "URL", help_heading = "Network")]
    github_api_url: Option<String>,
}

/// What is shown.
#[derive(Debug, Args)]
struct OutputArgs {
    /// text or json; default text [env: CROSSFADE_FORMAT]
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    format: Option<String>,
    /// One line per request on standard error; twice for more
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Output")]
    verbose: u8,
    /// Nothing but the report and errors
    #[arg(short, long, conflicts_with = "verbose", help_heading = "Output")]
    quiet: bool,
}
