//! `crossfade doctor`: what would stop a rotation is found, and nothing is changed.

use std::path::Path;

use jiff::SignedDuration;
use serde_json::Value;

use crate::file::File;
use crate::support::clock::DateHeader;
use crate::support::github::{
    APP_ID, Credential, HeldSecret, Installation, KEY_OF_A_STRANGER, KEY_PKCS8, On, WriteCheck,
};
use crate::support::leaks::find_leaks;
use crate::support::provider::{TokenSpec, axiom, deepset};
use crate::support::{Invocation, Ran, World};

const CLASSIC: &str = "ghp_0123456789abcdefABCDEF0123456789abcd";
const KEY: &str = "a key that signs markers, for these tests";

/// A checkout with this workflow; it lives as long as this.
struct Checkout(tempfile::TempDir);

impl Checkout {
    fn with(workflow: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let workflows = folder.path().join(".github/workflows");
        std::fs::create_dir_all(&workflows).unwrap();
        std::fs::write(workflows.join("rotate.yml"), workflow).unwrap();
        Self(folder)
    }

    /// Runs at these times.
    fn scheduled(cron: &str) -> Self {
        Self::with(&format!(
            "on: {{ schedule: [{{ cron: '{cron}' }}] }}\nconcurrency: crossfade\n\
             jobs: {{ rotate: {{ steps: [{{ uses: crossfade-rs/crossfade@v0.1.0 }}] }} }}\n"
        ))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

fn here(invocation: Invocation, checkout: &Checkout) -> Invocation {
    invocation.env("GITHUB_WORKSPACE", checkout.path().to_str().unwrap())
}

/// `crossfade doctor` in a checkout that runs crossfade daily.
async fn doctor(world: &World) -> Ran {
    let checkout = Checkout::scheduled("23 5 * * *");
    by_flags(world, &checkout).run().await
}

fn by_flags(world: &World, checkout: &Checkout) -> Invocation {
    let invocation = Invocation::of("doctor").scene(world, &world.github.url(), &world.provider.url());
    let invocation = invocation.arg("--request-timeout", "500ms").arg("--format", "json");
    here(invocation.env("LANG", "C.UTF-8"), checkout)
}

async fn of_file(world: &World, file: &File) -> Ran {
    let checkout = Checkout::scheduled("23 5 * * *");
    here(file.run("doctor", world), &checkout).run().await
}

fn as_app(mut invocation: Invocation, key: &str) -> Invocation {
    invocation.environment.remove("CROSSFADE_GITHUB_TOKEN");
    invocation.env("CROSSFADE_GITHUB_APP_ID", APP_ID).env("CROSSFADE_GITHUB_APP_PRIVATE_KEY", key)
}

/// The checks that ended so: message, and what to do.
fn of_state(ran: &Ran, state: &str) -> Vec<(String, String)> {
    let document = ran.json();
    let checks = document["checks"].as_array().unwrap().iter().filter(|check| check["state"] == state);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    checks.map(|check| (text(&check["message"]), text(&check["fix"]))).collect()
}

/// The only failed check: message, what to do, and code.
#[track_caller]
fn failure(ran: &Ran) -> (String, String, String) {
    assert_eq!(ran.exit_code, 1, "{}", ran.everything());
    let document = ran.json();
    let failed: Vec<&Value> =
        document["checks"].as_array().unwrap().iter().filter(|check| check["state"] == "failed").collect();
    let [only] = failed.as_slice() else { panic!("{failed:#?}") };
    let text = |field: &str| only[field].as_str().unwrap_or_default().to_owned();
    (text("message"), text("fix"), text("code"))
}

#[track_caller]
fn assert_says(ran: &Ran, code: &str, parts: &[&str]) {
    let (message, fix, of) = failure(ran);
    assert_eq!(of, code, "{message}");
    for part in parts {
        assert!(format!("{message} {fix}").contains(part), "{part} in {message} {fix}");
    }
}

/// Everything that a change would change.
fn state(world: &World) -> (Vec<Option<HeldSecret>>, Vec<String>) {
    let held = world.destinations().iter().map(|one| world.github.secret(one)).collect();
    let tokens = world.provider.tokens().into_iter();
    (held, tokens.map(|token| format!("{} {:?} {:?}", token.id, token.expires_at, token.raw)).collect())
}

#[tokio::test]
async fn all_is_well() {
    let world = World::builder().destination_count(2).expires_in_days(60).start().await;
    let checkout = Checkout::scheduled("23 5 * * *");
    let ran = by_flags(&world, &checkout).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    insta::assert_snapshot!("doctor-json", ran.stdout);
    let mut text = by_flags(&world, &checkout);
    text.arguments.retain(|argument| argument != "--format" && argument != "json");
    let ran = text.run().await;
    assert_eq!((ran.exit_code, ran.stderr.as_str()), (0, ""));
    insta::assert_snapshot!("doctor", ran.stdout);
    world.assert_no_violations();
}

#[tokio::test]
async fn nothing_is_changed() {
    // One day the token is fresh, one day it is due.
    for days in [60, 5] {
        let world = World::builder().destination_count(2).expires_in_days(days).start().await;
        let before = state(&world);
        world.github.forget_requests();
        world.provider.forget_requests();
        let ran = doctor(&world).await;
        assert_eq!(ran.exit_code, 0, "{}", ran.everything());
        assert_eq!(state(&world), before);
        assert!(world.provider.requests().iter().all(|request| request.method == "GET"));
        assert_eq!(world.provider.requests().len(), 1, "one list of tokens");
        let mut sent: Vec<String> =
            world.github.requests().iter().map(|one| format!("{} {}", one.method, one.path)).collect();
        sent.sort();
        assert_eq!(
            sent,
            [
                "GET /repos/acme/infra",
                "GET /repos/acme/infra/actions/secrets",
                "GET /repos/acme/infra/actions/secrets/public-key",
                "GET /repos/acme/service-1",
                "GET /repos/acme/service-1/actions/secrets",
                "GET /repos/acme/service-1/actions/secrets/public-key",
                "GET /user",
                "PUT /repos/acme/infra/actions/secrets/CROSSFADE_WRITE_CHECK",
            ]
        );
    }
}

#[tokio::test]
async fn everything_wrong_at_once_in_one_page() {
    let world = World::builder().destinations(["acme/infra:T", "acme/old:T", "acme/gone:T"]).start().await;
    world.github.set_archived("acme/old", true);
    world.github.set_public("acme/infra");
    world.github.change_credential(world.github_token(), |one| {
        one.only(&["acme/infra", "acme/old"]).expires_at("2026-03-09T08:00:00Z".parse().unwrap())
    });
    let checkout = Checkout::with(
        "on: { schedule: [{ cron: '0 5 * * 1' }] }\njobs: { rotate: { steps: [{ run: crossfade rotate }] } }\n",
    );
    let mut run = by_flags(&world, &checkout).arg("--token", "ci-ingets");
    let position = run.arguments.iter().position(|one| one == "--token").unwrap();
    run.arguments.drain(position..position + 2);
    run.arguments.retain(|argument| argument != "--format" && argument != "json");
    let ran = run.run().await;
    assert_eq!(ran.exit_code, 1);
    insta::assert_snapshot!("doctor-problems", ran.stdout);
    let ascii = run.env("TERM", "dumb").on_terminal(100).run().await;
    assert!(ascii.stdout.is_ascii(), "{}", ascii.stdout);
}

#[tokio::test]
async fn a_rejected_provider_credential() {
    let world = World::start().await;
    let checkout = Checkout::scheduled("23 5 * * *");
    let ran = by_flags(&world, &checkout).env("CROSSFADE_PROVIDER_TOKEN", "xaat-dead-0123-4567").run().await;
    assert_says(
        &ran,
        "provider-credential",
        &["Renew the provider credential in `CROSSFADE_PROVIDER_TOKEN`"],
    );
    // The secrets are checked all the same.
    assert!(of_state(&ran, "ok").iter().any(|(message, _)| message == "1 secret can be read and written"));
}

#[tokio::test]
async fn a_rejected_github_credential_is_told_once() {
    let world = World::builder().destination_count(3).start().await;
    world.github.change_credential(world.github_token(), |one| {
        one.expires_at("2026-03-02T08:00:00Z".parse().unwrap())
    });
    assert_says(&doctor(&world).await, "github-credential", &["401", "Renew the GitHub credential in"]);
    let world = World::start().await;
    world.github.install_app(Installation::at("acme", &["secrets"]));
    let checkout = Checkout::scheduled("23 5 * * *");
    let ran = as_app(by_flags(&world, &checkout), KEY_OF_A_STRANGER).run().await;
    assert_says(&ran, "github-credential", &["do not belong together"]);
}

#[tokio::test]
async fn a_github_credential_that_ends_soon() {
    let world = World::start().await;
    world.github.change_credential(world.github_token(), |one| {
        one.expires_at("2026-03-09T08:00:00Z".parse().unwrap())
    });
    let ran = doctor(&world).await;
    assert_eq!(ran.exit_code, 0);
    let warnings = of_state(&ran, "warning");
    assert_eq!(warnings[0].0, "expires 2026-03-09T08:00:00Z", "{warnings:?}");
}

#[tokio::test]
async fn a_fine_grained_token_without_the_right_to_write_at_one_owner() {
    let world = World::builder().destinations(["acme/infra:T", "widgets/shop:T"]).start().await;
    world.github.switch(|switches| switches.write_check = None);
    world.github.change_credential(world.github_token(), |one| one.read_only());
    let ran = doctor(&world).await;
    assert_says(
        &ran,
        "github-permission",
        &[
            "acme/infra:T and widgets/shop:T",
            "repository permission \"Secrets\": read and write",
            "secrets=write",
        ],
    );
    assert_eq!(world.github.write_checks().len(), 2, "one for each owner");
    // At one owner alone.
    let world = World::builder().destinations(["acme/infra:T", "widgets/shop:T"]).start().await;
    world.github.break_scope("widgets/shop", On::Writes, 403);
    let ran = doctor(&world).await;
    assert_says(&ran, "github-permission", &["widgets/shop:T: GitHub refused to write (403"]);
    assert!(of_state(&ran, "ok").iter().any(|(message, _)| message == "1 secret can be read and written"));
    // Seen at one owner alone.
    world.github.change_credential(world.github_token(), |one| one.read_and_write().only(&["acme/*"]));
    assert_says(
        &doctor(&world).await,
        "secret-not-found",
        &["widgets/shop:T: ", "the GitHub credential cannot see it"],
    );
}

#[tokio::test]
async fn a_token_without_single_sign_on() {
    let world = World::start().await;
    world.github.change_credential(world.github_token(), Credential::without_sso);
    assert_says(&doctor(&world).await, "github-permission", &["single sign-on", "Configure SSO"]);
}

#[tokio::test]
async fn a_classic_token_without_the_scope() {
    let world = World::builder().destinations(["acme/infra:T", "org:acme:T"]).start().await;
    world.github.add_credential(Credential::new("writer", CLASSIC).classic("gist, repo"));
    let checkout = Checkout::scheduled("23 5 * * *");
    let ran = by_flags(&world, &checkout).env("CROSSFADE_GITHUB_TOKEN", CLASSIC).run().await;
    assert_says(&ran, "github-permission", &["org:acme:T: ", "admin:org"]);
    let ok = of_state(&ran, "ok");
    let message = "accepted: classic personal access token of octocat, scopes gist, repo";
    assert!(ok.iter().any(|(found, _)| found == message), "{ok:?}");
    assert_eq!(world.github.write_checks(), []);
}

#[tokio::test]
async fn an_app_that_lacks_a_permission() {
    let world = World::builder().destinations(["acme/infra:T", "org:acme:T"]).start().await;
    world.github.install_app(Installation::at("acme", &["secrets"]).reads("organization_secrets"));
    let checkout = Checkout::scheduled("23 5 * * *");
    let ran = as_app(by_flags(&world, &checkout), KEY_PKCS8).run().await;
    assert_says(&ran, "github-permission", &["org:acme:T: ", "the organization permission \"Secrets\""]);
    let ok = of_state(&ran, "ok");
    let message = "GitHub App rotator, installed at acme (all repositories)";
    assert!(ok.iter().any(|(found, _)| found == message), "{ok:?}");
    let only_reads = |permissions: &std::collections::BTreeMap<String, String>| {
        permissions.values().all(|level| level == "read")
    };
    assert!(
        world.github.tokens_given().iter().all(|given| only_reads(&given.permissions)),
        "no token may write"
    );
    assert_eq!(world.github.write_checks(), []);
    // Not installed at all.
    let world = World::builder().destinations(["widgets/shop:T"]).start().await;
    let ran = as_app(by_flags(&world, &checkout), KEY_PKCS8).run().await;
    assert_says(&ran, "secret-not-found", &["not installed at widgets"]);
}

#[tokio::test]
async fn an_archived_repository() {
    let world = World::builder().destinations(["acme/infra:T", "acme/old:T"]).start().await;
    world.github.set_archived("acme/old", true);
    assert_says(&doctor(&world).await, "secret-refused", &["acme/old:T: ", "archived"]);
}

#[tokio::test]
async fn a_missing_environment() {
    let world = World::start().await;
    let file = File::of_secrets(&world, &["'acme/infra@live:T'"]);
    assert_says(
        &of_file(&world, &file).await,
        "secret-not-found",
        &["acme/infra@live:T", "create_environment"],
    );
    // One that the first run creates is not created now.
    let secrets = [
        "{ repository: acme/infra, environment: live, create_environment: true, name: T }",
        "'acme/infra:T'",
    ];
    let file = File::of_secrets(&world, &secrets);
    let ran = of_file(&world, &file).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let open = of_state(&ran, "unknown");
    assert!(open[0].0.contains("environment of acme/infra@live:T does not exist"), "{open:?}");
    let sent = world.github.requests();
    assert!(sent.iter().all(|one| one.method == "GET" || one.path.ends_with("/CROSSFADE_WRITE_CHECK")));
    assert!(!sent.iter().any(|one| one.method != "GET" && one.path.contains("environments")));
}

#[tokio::test]
async fn secrets_that_do_not_exist_yet() {
    let world = World::builder().destination_count(2).empty().start().await;
    let ran = doctor(&world).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let ok = of_state(&ran, "ok");
    assert!(ok.iter().any(|(found, _)| found == "2 secrets can be read and written"), "{ok:?}");
    let missing = &of_state(&ran, "warning")[0].0;
    assert!(
        missing.contains("acme/infra:AXIOM_TOKEN and acme/service-1:AXIOM_TOKEN do not exist"),
        "{missing}"
    );
    // One of an organization needs to name who may read it.
    let world = World::builder().destinations(["org:acme:T"]).empty().start().await;
    assert_says(&doctor(&world).await, "secret-refused", &["org:acme:T: ", "visibility"]);
}

#[tokio::test]
async fn patterns_are_counted() {
    let world = World::builder().destinations(["acme/infra:T", "acme/web:T", "acme/old:T"]).start().await;
    world.github.set_archived("acme/old", true);
    let file = File::of_secrets(&world, &["{ repositories: ['acme/*'], name: T }"]);
    let ran = of_file(&world, &file).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let ok = of_state(&ran, "ok");
    assert!(ok.iter().any(|(found, _)| found == "acme/*: 2 repositories; 1 archived left out"), "{ok:?}");
    let file = File::of_secrets(&world, &["{ repositories: ['acme/no-*'], name: T }"]);
    assert_says(&of_file(&world, &file).await, "pattern", &["acme/no-*"]);
}

#[tokio::test]
async fn clocks_that_differ() {
    let world = World::start().await;
    world.provider.set_clock(|clock| clock.skew = SignedDuration::from_mins(9));
    assert_says(&doctor(&world).await, "clocks", &["minutes ahead of GitHub's"]);
    let world = World::start().await;
    world.github.set_clock(|clock| clock.header = DateHeader::Garbled);
    assert_says(&doctor(&world).await, "clocks", &["GitHub sent no date"]);
}

#[tokio::test]
async fn a_misspelt_token() {
    let world = World::start().await;
    let file = File::of_rotations(
        &world,
        "  - { name: ci, token: ci-ingets, secrets: ['acme/infra:AXIOM_TOKEN'] }\n",
    );
    assert_says(&of_file(&world, &file).await, "token-not-found", &["`ci-ingets`", "`ci-ingest`"]);
}

#[tokio::test]
async fn an_answer_that_does_not_tell() {
    let world = World::start().await;
    world.github.switch(|switches| switches.write_check = Some(WriteCheck::Fails(500)));
    let ran = doctor(&world).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let open = of_state(&ran, "unknown");
    assert!(open[0].0.contains("does not tell whether it can be written"), "{open:?}");
}

#[tokio::test]
async fn the_schedule_against_the_policy() {
    let world = World::builder().expires_in_days(60).start().await;
    let warned = async |checkout: &Checkout, overlap: &str| {
        let ran = by_flags(&world, checkout).arg("--overlap", overlap).run().await;
        assert_eq!(ran.exit_code, 0, "{}", ran.everything());
        of_state(&ran, "warning").into_iter().map(|(message, _)| message).collect::<Vec<_>>()
    };
    let weekly = Checkout::scheduled("0 5 * * 1");
    let warnings = warned(&weekly, "24h").await;
    assert!(
        warnings.iter().any(|one| one.starts_with("runs every 7 days and an overlap is 1d")),
        "{warnings:?}"
    );
    assert_eq!(warned(&Checkout::scheduled("23 5 * * *"), "48h").await, Vec::<String>::new());
    let warnings = warned(&Checkout::scheduled("@daily"), "7d").await;
    assert_eq!(warnings, ["`@daily` is not a schedule of five fields"]);
    let by_hand = "on: workflow_dispatch\njobs: { a: { steps: [{ run: crossfade rotate }] } }\n";
    let warnings = warned(&Checkout::with(by_hand), "7d").await;
    assert!(warnings[0].starts_with("rotate.yml has no schedule"), "{warnings:?}");
    assert!(warnings[1].starts_with("has no `concurrency`"), "{warnings:?}");
    let none = Checkout::with("on: push\njobs: {}\n");
    let ran = by_flags(&world, &none).run().await;
    assert!(of_state(&ran, "unknown")[0].0.starts_with("no workflow of this folder runs crossfade"));
}

#[tokio::test]
async fn a_public_repository_loses_its_schedule() {
    let world = World::start().await;
    world.github.set_public("acme/infra");
    let ran = doctor(&world).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let warnings = of_state(&ran, "warning");
    assert!(
        warnings[0].0.contains("60 days without a commit, and a new token is due after 76 days"),
        "{warnings:?}"
    );
    assert!(warnings[0].1.contains("at least every 60 days"), "{warnings:?}");
}

#[tokio::test]
async fn a_signing_key_is_recommended_once_where_nothing_else_helps() {
    let world = World::builder().provider(&deepset::SERVICE).start().await;
    let keys = |ran: &Ran| {
        let warnings = of_state(ran, "warning");
        warnings.iter().filter(|(_, fix)| fix.contains("CROSSFADE_MARKER_KEY")).count()
    };
    let checkout = Checkout::scheduled("23 5 * * *");
    assert_eq!(keys(&by_flags(&world, &checkout).run().await), 1);
    assert_eq!(keys(&by_flags(&world, &checkout).env("CROSSFADE_MARKER_KEY", KEY).run().await), 0);
    assert_eq!(keys(&doctor(&World::builder().provider(&axiom::SERVICE).start().await).await), 0);
}

#[tokio::test]
async fn hostile_names_cannot_write_into_the_page() {
    let hostile = "x\n::error::y\u{1b}[31m ##[error]z\u{202e}";
    let world = World::start().await;
    world.github.switch(|switches| switches.login = Some(hostile.to_owned()));
    world.github.switch(|switches| switches.error_message = Some(hostile.to_owned()));
    world.axiom.add_token(TokenSpec::ingest(&format!("ci-ingets{hostile}")));
    let folder = tempfile::tempdir().unwrap();
    let workflows = folder.path().join(".github/workflows");
    std::fs::create_dir_all(&workflows).unwrap();
    let text = "on: { schedule: [{ cron: \"x\\n::error::y\\e[31m\" }] }\njobs: { a: { steps: [{ run: crossfade rotate }] } }";
    std::fs::write(workflows.join("a::b\u{202e}.yml"), text).unwrap();
    for format in ["text", "json"] {
        let run = Invocation::of("doctor").scene(&world, &world.github.url(), &world.provider.url());
        let run = run.arg("--format", format).arg("--secret", "acme/gone:T");
        let ran = run.env("GITHUB_WORKSPACE", folder.path().to_str().unwrap()).run().await;
        assert!(ran.stdout.contains("acme/gone:T"), "{}", ran.stdout);
        for line in ran.stdout.lines() {
            assert!(!line.trim_start().starts_with("::") && !line.contains("##["), "{line}");
            assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line}");
        }
        assert_eq!(find_leaks(&ran.everything(), &world.secrets()), Vec::<String>::new());
    }
}

#[tokio::test]
async fn one_that_is_stopped_says_so() {
    let world = World::start().await;
    let checkout = Checkout::scheduled("23 5 * * *");
    let ran = by_flags(&world, &checkout).run_until(async {}).await;
    assert_says(&ran, "stopped", &["not finished: the run was stopped"]);
}

#[tokio::test]
async fn a_narrow_terminal_wraps_the_page() {
    let world = World::start().await;
    world.github.change_credential(world.github_token(), Credential::read_only);
    let checkout = Checkout::scheduled("23 5 * * *");
    let mut run = by_flags(&world, &checkout).on_terminal(60);
    run.arguments.retain(|argument| argument != "--format" && argument != "json");
    let page = run.clone().env("NO_COLOR", "1").run().await.stdout;
    assert!(page.lines().all(|line| line.chars().count() <= 60), "{page}");
    let colored = run.run().await.stdout;
    assert!(colored.contains("\u{1b}[1m\u{1b}[31m✗\u{1b}[0m"), "{colored:?}");
}

#[tokio::test]
async fn usage_that_is_wrong_contacts_nobody() {
    let world = World::start().await;
    let checkout = Checkout::scheduled("23 5 * * *");
    let ran = by_flags(&world, &checkout).arg("--overlap", "80d").run().await;
    assert_eq!(ran.exit_code, 2, "{}", ran.everything());
    assert_eq!(world.github.requests().len() + world.provider.requests().len(), 0);
}
