//! What arguments, variables and file mean together.

use std::io::Write as _;

use secrecy::ExposeSecret as _;

use super::*;
use crate::environment::Environment;
use crate::period::Period;
use crate::provider::all_but_axiom_left_out;
use crate::redact::Redactor;

const FILE: &str = "\
rotations:
  - { name: one, provider: axiom, token: t1, overlap: 3d, secrets: [A] }
  - { name: two, provider: axiom, token: t2, credential: SECOND, secrets: [B] }
";

/// What a run on GitHub Actions always has.
const BASE: &[(&str, &str)] = &[
    ("GITHUB_REPOSITORY", "acme/home"),
    ("CROSSFADE_GITHUB_TOKEN", "writer-value"),
    ("CROSSFADE_PROVIDER_TOKEN", "provider-value\n"),
    ("SECOND", "second-value"),
];

fn invoke(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Run, EarlyExit> {
    let environment: Environment = variables.iter().copied().collect();
    let arguments = std::iter::once("crossfade").chain(arguments.iter().copied()).map(Into::into);
    match invocation(arguments, &environment, &Redactor::new())? {
        Invocation::Rotations(run) => Ok(*run),
        other => panic!("not about rotations: {other:?}"),
    }
}

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [BASE, more].concat()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn refusal(result: Result<Run, EarlyExit>) -> String {
    let early_exit = result.expect_err("must be refused");
    assert_eq!((early_exit.exit_code, early_exit.stdout.as_str()), (2, ""));
    early_exit.stderr
}

#[test]
fn the_command_line_is_sound() {
    command().debug_assert();
    let rotate = command().find_subcommand("rotate").unwrap().clone();
    for argument in
        rotate.get_arguments().filter(|a| !["help", "verbose", "quiet"].contains(&a.get_id().as_str()))
    {
        let help = argument.get_long_help().unwrap().to_string();
        assert!(help.contains("[env: CROSSFADE_"), "{} does not name its variable", argument.get_id());
    }
}

#[test]
fn one_rotation_by_flags() {
    let arguments = [
        "rotate",
        "--provider",
        "axiom",
        "--token",
        "ci",
        "--secret",
        "A",
        "--secret",
        "acme/b:C",
        "--force",
    ];
    let run = invoke(&arguments, BASE).unwrap();
    let rotation = &run.config.rotations[0];
    assert_eq!((rotation.name.as_str(), rotation.token.as_str()), ("ci", "ci"));
    assert_eq!(rotation.key, "acme/home/ci".parse().unwrap());
    assert_eq!(rotation.secrets.len(), 2);
    assert!(run.options.force && !run.options.dry_run);
    assert_eq!(run.options.concurrency, 8);
    assert_eq!(run.github.api_url.as_str(), "https://api.github.com/");
    assert_eq!(run.credentials["CROSSFADE_PROVIDER_TOKEN"].expose_secret(), "provider-value");
    let shown = format!("{run:?}");
    assert!(!shown.contains("provider-value") && !shown.contains("writer-value"));
}

#[test]
fn one_rotation_by_variables() {
    let variables = with(&[
        ("CROSSFADE_PROVIDER", "axiom"),
        ("CROSSFADE_PROVIDER_URL", "http://127.0.0.1:9"),
        ("CROSSFADE_TOKEN", "ci"),
        ("CROSSFADE_NAME", "ingest"),
        ("CROSSFADE_SECRETS", "A\n\n  acme/b@eu, west:C \n"),
        ("CROSSFADE_LIFETIME", "60d"),
        ("CROSSFADE_OVERLAP", ""),
        ("CROSSFADE_ROTATE_BEFORE", "10d"),
        ("CROSSFADE_REPOSITORY", "acme/other"),
        ("CROSSFADE_FORCE", "false"),
        ("CROSSFADE_DRY_RUN", "true"),
        ("CROSSFADE_ORG_ID", "acme-1"),
        ("CROSSFADE_FORMAT", "json"),
        ("CROSSFADE_CONCURRENCY", "3"),
        ("CROSSFADE_REQUEST_TIMEOUT", "200ms"),
        ("CROSSFADE_DEADLINE", "1h"),
        ("GITHUB_API_URL", "https://ghe.example/api/v3"),
    ]);
    let run = invoke(&["rotate", "--rotate-before", "12d"], &variables).unwrap();
    let rotation = &run.config.rotations[0];
    let secrets: Vec<String> = rotation.secrets.iter().map(|s| s.destination.to_string()).collect();
    assert_eq!(secrets, ["acme/other:A", "acme/b@eu, west:C"]);
    assert_eq!(rotation.name, "ingest");
    assert_eq!(rotation.provider.with.get("org_id").map(String::as_str), Some("acme-1"));
    assert_eq!(rotation.policy.lifetime, Period::from_days(60));
    assert_eq!(rotation.policy.overlap, Period::from_days(7));
    assert_eq!(rotation.policy.rotate_before, Period::from_days(12), "the flag wins");
    assert!(run.options.dry_run && !run.options.force);
    assert_eq!((run.options.format, run.options.concurrency), (crate::report::Format::Json, 3));
    assert_eq!(run.options.request_timeout.to_string(), "200ms");
    assert_eq!(run.github.api_url.as_str(), "https://ghe.example/api/v3");
}

#[test]
fn flags_override_the_selected_rotations_of_a_file() {
    let file = file(FILE);
    let path = file.path().to_str().unwrap();
    let run =
        invoke(&["rotate", "--config", path, "--only", "two", "--overlap", "0h", "--token", "t3"], BASE)
            .unwrap();
    let rotation = &run.config.rotations[0];
    assert_eq!(
        (run.config.rotations.len(), rotation.name.as_str(), rotation.token.as_str()),
        (1, "two", "t3")
    );
    assert!(rotation.policy.overlap.is_zero());
    assert_eq!(run.credentials.keys().collect::<Vec<_>>(), ["SECOND"]);
    let all = ["rotate", "--config", path, "--provider", "deepset"];
    let text = refusal(invoke(&all, BASE));
    assert!(text.contains("is a rotation of the provider `axiom`, not `deepset`"), "{text}");
    assert!(invoke(&["rotate", "--config", path, "--provider", "axiom"], BASE).is_ok());
    assert!(refusal(invoke(&[&all[..], &["--only", "one"]].concat(), BASE)).contains("not `deepset`"));

    let both = invoke(&["rotate", "--config", path], &with(&[("CROSSFADE_ONLY", "one, two\n")])).unwrap();
    assert_eq!(both.config.rotations.len(), 2);
    assert!(refusal(invoke(&["rotate", "--config", path, "--token", "t3"], BASE)).contains("--only"));
    assert!(
        refusal(invoke(&["rotate", "--config", path, "--only", "tow"], BASE)).contains("did you mean `two`?")
    );

    let shards = ["1/3", "2/3", "3/3"].map(|shard| {
        invoke(&["rotate", "--config", path, "--shard", shard], BASE).unwrap().config.rotations.len()
    });
    assert_eq!(shards.iter().sum::<usize>(), 2);
}

#[test]
fn everything_missing_is_reported_at_once() {
    insta::assert_snapshot!(refusal(invoke(&["rotate", "--token", "ci"], &[])), @r#"
    error: no GitHub credential is given
      = help: run `export CROSSFADE_GITHUB_TOKEN=$(gh auth token)`, or set CROSSFADE_GITHUB_APP_ID and CROSSFADE_GITHUB_APP_PRIVATE_KEY

    error: no repository is given
      = help: give --repository owner/name; it is the repository whose workflow rotates, and part of what marks the tokens

    error: no provider is given
      = help: give --provider, the variable CROSSFADE_PROVIDER or the action's input `provider`

    error: no secret is given
      = help: give --secret, the variable CROSSFADE_SECRETS or the action's input `secrets`

    4 errors; nothing was contacted.
    "#);
}

#[test]
fn a_missing_credential_is_explained_where_it_is_missing() {
    let arguments =
        ["rotate", "--provider", "axiom", "--token", "ci", "--secret", "A", "--repository", "a/b"];
    insta::assert_snapshot!(refusal(invoke(&arguments, &[])), @r"
    error: no GitHub credential is given
      = help: run `export CROSSFADE_GITHUB_TOKEN=$(gh auth token)`, or set CROSSFADE_GITHUB_APP_ID and CROSSFADE_GITHUB_APP_PRIVATE_KEY

    error: no provider credential is given: CROSSFADE_PROVIDER_TOKEN is not set
      = help: run `read -rs CROSSFADE_PROVIDER_TOKEN && export CROSSFADE_PROVIDER_TOKEN` and paste it

    2 errors; nothing was contacted.
    ");
    insta::assert_snapshot!(refusal(invoke(&arguments, &[("GITHUB_ACTIONS", "true")])), @r"
    error: no GitHub credential is given
      = help: set CROSSFADE_GITHUB_TOKEN in the step's `env` (input `github-token`), or CROSSFADE_GITHUB_APP_ID and CROSSFADE_GITHUB_APP_PRIVATE_KEY (inputs `github-app-id` and `github-app-private-key`)

    error: no provider credential is given: CROSSFADE_PROVIDER_TOKEN is not set
      = help: set it in the step's `env`; CROSSFADE_PROVIDER_TOKEN is the action's input `provider-token`

    2 errors; nothing was contacted.
    ");
}

#[test]
fn everything_unreadable_is_reported_at_once() {
    let variables =
        with(&[("CROSSFADE_FORCE", "yes"), ("CROSSFADE_OVERLAP", "9x"), ("CROSSFADE_SHARD", "3/2")]);
    let arguments = [
        "rotate",
        "--provider",
        "axoim",
        "--token",
        "ci",
        "--secret",
        "acme/api:GITHUB_X",
        "--concurrency",
        "0",
        "--github-api-url",
        "http://localhost",
    ];
    insta::assert_snapshot!(all_but_axiom_left_out(&refusal(invoke(&arguments, &variables))), @r#"
    error: `0` is out of range (1 to 100)
      --> --concurrency
      = help: GitHub allows at most 100 parallel requests

    error: expected true or false, found `yes`
      --> CROSSFADE_FORCE

    error: an address must begin with https://
      --> --github-api-url
      = help: http:// is allowed only for literal loopback addresses: 127.0.0.1 or [::1]

    error: GitHub refuses the secret name `GITHUB_X`
      --> --secret
      = help: names may not start with GITHUB_

    error: invalid duration `9x` (try 90d, 48h or 1d12h)
      --> CROSSFADE_OVERLAP

    error: invalid shard `3/2` (expected I/N with I from 1 to N, such as 2/4)
      --> CROSSFADE_SHARD

    error: unknown provider `axoim`
      --> --provider
      = help: did you mean `axiom`? Allowed: `axiom`

    7 errors; nothing was contacted.
    "#);
}

#[test]
fn credentials_are_checked_without_being_shown() {
    let arguments = ["rotate", "--provider", "axiom", "--token", "ci", "--secret", "A"];
    let with_values = |provider, token, app, key| {
        let variables = [
            ("GITHUB_REPOSITORY", "acme/home"),
            ("CROSSFADE_PROVIDER_TOKEN", provider),
            ("CROSSFADE_GITHUB_TOKEN", token),
            ("CROSSFADE_GITHUB_APP_ID", app),
            ("CROSSFADE_GITHUB_APP_PRIVATE_KEY", key),
        ];
        invoke(&arguments, &variables)
    };
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nhunter2hunter2\n-----END RSA PRIVATE KEY-----\n";
    let run = with_values("value", "", "12345", pem).unwrap();
    assert!(
        matches!(&run.github.credential, crate::github::GithubCredential::App { id, .. } if id == "12345")
    );
    for refused in [
        with_values("", "value", "", ""),
        with_values("ghp_hunter2hunter2", "value", "", ""),
        with_values("github_pat_hunter2hunter2", "value", "", ""),
        with_values("hunter2 hunter2", "value", "", ""),
        with_values("value", "hunter2\nhunter2", "", ""),
        with_values("value", "value", "12345", pem),
        with_values("value", "", "12345", ""),
        with_values("value", "", "", pem),
        with_values("value", "", "12345", "hunter2hunter2"),
    ] {
        assert!(!refusal(refused).contains("hunter2"));
    }
}

#[test]
fn secrets_are_no_arguments() {
    for secret in
        ["xaat-1", "xapt-12345678", "ghp_0123456789", "github_pat_0123456789", "idt:TKN-1234-5678:abc"]
    {
        for arguments in [vec!["rotate", "--token", secret], vec!["rotate", secret]] {
            let text = refusal(invoke(&arguments, BASE));
            assert!(!text.contains(secret) && text.contains("CROSSFADE_PROVIDER_TOKEN"), "{text}");
        }
        let joined = format!("--token={secret}");
        assert!(!refusal(invoke(&["rotate", &joined], BASE)).contains(secret));
        let variables =
            with(&[("CROSSFADE_TOKEN", secret), ("CROSSFADE_PROVIDER", "axiom"), ("CROSSFADE_SECRETS", "A")]);
        assert!(!refusal(invoke(&["rotate"], &variables)).contains(secret));
    }
}

#[test]
fn check_needs_no_credentials_and_answers_in_both_formats() {
    let good = file(FILE);
    let path = good.path().to_str().unwrap();
    let early_exit = invoke(&["check", "--config", path], &[]).unwrap_err();
    assert_eq!((early_exit.exit_code, early_exit.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(early_exit.stdout, @r#"
    The configuration is good: 2 rotations, 2 secrets.
      one: axiom token t1, lifetime 90d, overlap 3d, rotated 14d before its end, into 1 secret
      two: axiom token t2, lifetime 90d, overlap 7d, rotated 14d before its end, into 1 secret
    "#);

    let bad = file("rotations: [{ name: a, provider: axiom, token: a, secrets: [1] }]");
    let path = bad.path().to_str().unwrap();
    let early_exit = invoke(&["check", "--config", path, "--format", "json"], &[]).unwrap_err();
    assert_eq!(early_exit.exit_code, 2);
    let document: serde_json::Value = serde_json::from_str(&early_exit.stdout).unwrap();
    assert_eq!(document["ok"], false);
    assert_eq!(
        (&document["problems"][0]["line"], &document["problems"][0]["column"]),
        (&1.into(), &61.into())
    );
}

#[test]
fn help_and_schema_exit_early() {
    for arguments in [&["--help"][..], &["schema"], &["rotate", "--help"], &["--version"]] {
        let early_exit = invoke(arguments, &[]).unwrap_err();
        assert_eq!((early_exit.exit_code, early_exit.stderr.as_str()), (0, ""), "{arguments:?}");
        assert!(!early_exit.stdout.is_empty());
    }
    assert_eq!(invoke(&["status", "--fail-within", "x"], BASE).unwrap_err().exit_code, 2);
    assert_eq!(invoke(&["nonsense"], &[]).unwrap_err().exit_code, 2);
}

#[test]
fn github_s_api_and_a_provider_have_different_origins() {
    let refused = |url: &str, provider_url: &[&str]| {
        let arguments =
            ["rotate", "--provider", "deepset", "--token", "ci", "--secret", "A", "--github-api-url", url];
        invoke(&[&arguments[..], provider_url].concat(), BASE).is_err()
    };
    assert!(!refused("https://ghe.example/api/v3", &[]));
    assert!(refused("https://api.axiom.co", &[]), "a provider that no rotation uses");
    assert!(refused("https://ghe.example/api/v3", &["--provider-url", "https://ghe.example"]));
    assert!(!refused("http://127.0.0.1:9", &["--provider-url", "http://127.0.0.1:9"]), "a server for tests");
}

#[test]
fn the_issue_is_in_the_repository_that_rotates_or_in_another() {
    let config = file(FILE);
    let path = config.path().to_str().unwrap();
    let issue = |arguments: &[&str], variables: &[(&str, &str)]| {
        let arguments = [&["rotate", "--config", path], arguments].concat();
        let issue = invoke(&arguments, &with(variables)).unwrap().issue;
        issue.map(|issue| (issue.repository.to_string(), issue.key))
    };
    let (here, key) = issue(&["--report-issue"], &[]).unwrap();
    assert_eq!(here, "acme/home");
    assert_eq!(issue(&[], &[("CROSSFADE_REPORT_ISSUE", "true")]), Some((here.clone(), key.clone())));
    assert_eq!(issue(&["--report-issue", "acme/alerts"], &[]), Some(("acme/alerts".to_owned(), key.clone())));
    assert_eq!(issue(&[], &[]), None);
    assert_eq!(issue(&[], &[("CROSSFADE_REPORT_ISSUE", "false")]), None);
    for other in [&["--only", "one"][..], &["--shard", "1/2"], &["--repository", "acme/other"]] {
        assert_ne!(issue(&[&["--report-issue"], other].concat(), &[]).unwrap().1, key, "{other:?}");
    }
    let several = issue(&["--report-issue", "--only", "one", "--only", "two"], &[]);
    assert_eq!(issue(&["--report-issue"], &[("CROSSFADE_ONLY", "two, one")]), several);
    for wrong in ["yes", "acme", "acme/a b"] {
        let refused = refusal(invoke(&["rotate", "--config", path, "--report-issue", wrong], BASE));
        assert!(refused.contains("--> --report-issue"), "{refused}");
    }
}

#[test]
fn the_issue_s_token_is_a_credential_of_github() {
    let issue = ["rotate", "--provider", "axiom", "--token", "t", "--secret", "A", "--report-issue"];
    let swapped = refusal(invoke(&issue, &with(&[("CROSSFADE_ISSUE_TOKEN", "provider-value")])));
    assert!(swapped.contains("hold the same value"), "{swapped}");
    let broken = refusal(invoke(&issue, &with(&[("CROSSFADE_ISSUE_TOKEN", "two words")])));
    assert!(broken.contains("--> CROSSFADE_ISSUE_TOKEN"), "{broken}");
    let text = FILE.replace("SECOND", "CROSSFADE_ISSUE_TOKEN");
    let config = file(&text);
    let named = refusal(invoke(&["rotate", "--config", config.path().to_str().unwrap()], BASE));
    assert!(named.contains("is one of GitHub's own variables"), "{named}");
}
