//! `crossfade init`: what it asks, what it reads, and what it writes.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use tempfile::TempDir;

use crate::support::github::{APP_ID, Installation, KEY_PKCS1};
use crate::support::leaks::find_leaks;
use crate::support::provider::TokenSpec;
use crate::support::provider::catalogue::gitlab;
use crate::support::world::{REPOSITORY, TOKEN};
use crate::support::{Invocation, Ran, World};

pub(super) const CONFIG: &str = ".github/crossfade.yml";
pub(super) const ROTATE: &str = ".github/workflows/rotate.yml";
pub(super) const MONITOR: &str = ".github/workflows/monitor.yml";

/// `crossfade init` in a folder, where it finds the servers of a scene.
pub(super) fn init(world: &World, folder: &Path) -> Invocation {
    Invocation::of("init")
        .env("GITHUB_WORKSPACE", folder.to_str().unwrap())
        .arg("--repository", REPOSITORY)
        .arg("--github-api-url", &world.github.url())
        .arg("--provider-url", &world.provider.url())
}

/// By flags alone.
pub(super) fn by_flags(world: &World, folder: &Path) -> Invocation {
    let run = init(world, folder).flag("--yes").arg("--provider", world.provider.service().name);
    let run = run.arg("--token", TOKEN);
    world.destinations().iter().fold(run, |run, secret| run.arg("--secret", secret))
}

/// With a user who types these lines, and then closes the terminal.
pub(super) fn typed(run: Invocation, lines: &[&str]) -> Invocation {
    let lines: VecDeque<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let lines = Mutex::new(lines);
    run.answered(move || lines.lock().unwrap().pop_front())
}

fn written(folder: &TempDir) -> Vec<&'static str> {
    [CONFIG, ROTATE, MONITOR].into_iter().filter(|path| folder.path().join(path).exists()).collect()
}

fn text(folder: &TempDir, path: &str) -> String {
    fs::read_to_string(folder.path().join(path)).unwrap()
}

fn requests(world: &World) -> Vec<String> {
    let requests = world.github.requests().into_iter().chain(world.provider.requests());
    requests.map(|request| format!("{} {}", request.method, request.path)).collect()
}

/// The secrets of the only rotation, as `check` reads the file.
async fn checked(folder: &TempDir) -> (String, Vec<String>) {
    let path = folder.path().join(CONFIG);
    let check = Invocation::of("check").arg("--config", path.to_str().unwrap());
    let ran = check.arg("--repository", REPOSITORY).arg("--format", "json").run().await;
    assert_eq!(
        (ran.exit_code, ran.json()["problems"].as_array().map(Vec::len)),
        (0, Some(0)),
        "{}",
        ran.stdout
    );
    let rotation = ran.rotation();
    let secrets = rotation["secrets"].as_array().unwrap().iter();
    (
        rotation["token"].as_str().unwrap().to_owned(),
        secrets.map(|one| one.as_str().unwrap().to_owned()).collect(),
    )
}

/// A dialog in which a new provider changes nothing.
fn without_providers(dialog: &str) -> String {
    let (before, rest) = dialog.split_once("   2  softwareone").unwrap();
    let (_, rest) = rest.split_once("\nNumber or name:").unwrap();
    let allowed = |line: &str| line.split("Allowed: ").next().unwrap().to_owned();
    let lines: Vec<String> = format!("{before}   …\nNumber or name:{rest}").lines().map(allowed).collect();
    lines.join("\n")
}

#[track_caller]
fn assert_nothing_done(ran: &Ran, exit_code: u8, folder: &TempDir) {
    assert_eq!((ran.exit_code, ran.stdout.as_str()), (exit_code, ""), "{}", ran.everything());
    assert_eq!(written(folder), Vec::<&str>::new());
}

#[tokio::test]
async fn it_asks_and_works_without_any_credential() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let lines = [
        "gitlba",
        "gitlab",
        "",
        "acme/api",
        "",
        TOKEN,
        "",
        "1X",
        "gitlab_token",
        "GITLAB_TOKEN",
        "acme/api@eu:T",
        "",
        "",
        "maybe",
        "n",
        "y",
    ];
    let ran = typed(init(&world, folder.path()), &lines).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    insta::assert_snapshot!("dialog", without_providers(&ran.stderr));
    assert_eq!(requests(&world), Vec::<String>::new());
    assert_eq!(written(&folder), [CONFIG, ROTATE, MONITOR]);
    assert_eq!(
        checked(&folder).await,
        (TOKEN.to_owned(), vec!["acme/infra:GITLAB_TOKEN".to_owned(), "acme/api@eu:T".to_owned()])
    );
    assert!(
        text(&folder, CONFIG).contains("    with:\n      resource: acme/api\n"),
        "{}",
        text(&folder, CONFIG)
    );
    assert!(ran.stdout.contains("gh secret set GITLAB_ADMIN_TOKEN --repo acme/infra"), "{}", ran.stdout);
}

#[tokio::test]
async fn with_credentials_it_lists_what_can_be_chosen_and_only_reads() {
    let world = World::builder().expires_in_days(12).start().await;
    world.axiom.add_token(TokenSpec::ingest("a: \u{1b}[2J#\n::error::b").expires_in_days(3));
    for secret in ["acme/infra:NPM_TOKEN", "acme/infra:AXIOM_ADMIN_TOKEN"] {
        world.github.put_by_hand(secret, "written-by-somebody-else-0001");
    }
    let folder = tempfile::tempdir().unwrap();
    let run = init(&world, folder.path())
        .env("AXIOM_ADMIN_TOKEN", world.provider_token())
        .env("CROSSFADE_GITHUB_TOKEN", world.github_token());
    let ran = typed(run, &["1", "ci-ingets", "2", "1", "", "", ""]).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    insta::assert_snapshot!("dialog-with-lists", without_providers(&ran.stderr));
    assert_eq!(checked(&folder).await, (TOKEN.to_owned(), vec!["acme/infra:AXIOM_TOKEN".to_owned()]));
    let sent = requests(&world);
    assert!(!sent.is_empty() && sent.iter().all(|request| request.starts_with("GET ")), "{sent:?}");
    assert_eq!(find_leaks(&ran.everything(), &world.secrets()), Vec::<String>::new());
    // What is set already need not be set again.
    assert!(!ran.stdout.contains("export"), "{}", ran.stdout);
    world.assert_no_violations();
}

#[tokio::test]
async fn an_app_lists_secrets_too_and_becomes_the_one_that_writes_them() {
    let world = World::start().await;
    world.github.install_app(Installation::at("acme", &["secrets"]));
    for number in 0..120 {
        world.github.put_by_hand(&format!("acme/infra:AXIOM_{number:03}"), "written-by-somebody-else-0001");
    }
    let folder = tempfile::tempdir().unwrap();
    let run = init(&world, folder.path())
        .env("CROSSFADE_GITHUB_APP_ID", APP_ID)
        .env("CROSSFADE_GITHUB_APP_PRIVATE_KEY", KEY_PKCS1);
    let ran = typed(run, &["axiom", TOKEN, "41", "AXIOM_119", "", "", ""]).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert!(ran.stderr.contains("  40  AXIOM_039\n      and 81 more\n"), "{}", ran.stderr);
    assert!(ran.stderr.contains("invalid secret name `41`"), "a row that is not shown: {}", ran.stderr);
    assert_eq!(checked(&folder).await.1, ["acme/infra:AXIOM_119"]);
    assert!(
        text(&folder, ROTATE).contains("github-app-id:") && !text(&folder, ROTATE).contains("github-token:")
    );
    let given = world.github.tokens_given();
    assert_eq!(
        given.iter().map(|one| one.repositories.clone()).collect::<Vec<_>>(),
        [Some(vec![REPOSITORY.to_owned()])]
    );
    assert_eq!(find_leaks(&ran.everything(), &[given[0].value.clone()]), Vec::<String>::new());
    world.assert_no_violations();
}

#[tokio::test]
async fn a_token_without_a_name_of_its_own_is_written_by_its_id() {
    let world = World::start().await;
    let hostile = world.axiom.add_token(TokenSpec::ingest(" \"': #[\u{202e}").expires_in_days(3));
    let folder = tempfile::tempdir().unwrap();
    let run = init(&world, folder.path()).env("CROSSFADE_PROVIDER_TOKEN", world.provider_token());
    let ran = typed(run.arg("--secret", "A"), &["axiom", &hostile.id, "", "", ""]).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert_eq!(checked(&folder).await.0, hostile.id);
    let export = "  export AXIOM_ADMIN_TOKEN=\"$CROSSFADE_PROVIDER_TOKEN\"\n";
    assert!(ran.stdout.contains(export), "{}", ran.stdout);
}

#[tokio::test]
async fn what_cannot_be_listed_is_asked_for() {
    let world = World::start().await;
    world.github.break_scope("acme/infra", crate::support::github::On::Reads, 403);
    let folder = tempfile::tempdir().unwrap();
    let run = init(&world, folder.path())
        .env("AXIOM_ADMIN_TOKEN", "xaat-not-a-credential-0123456789")
        .env("CROSSFADE_GITHUB_TOKEN", world.github_token());
    let ran = typed(run, &["axiom", TOKEN, "A", "", "", ""]).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    for part in ["tokens at Axiom cannot be listed: ", "secrets of acme/infra cannot be listed: "] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    // The credential of another service is not sent at all.
    world.axiom.forget_requests();
    let folder = tempfile::tempdir().unwrap();
    let run = init(&world, folder.path()).env("AXIOM_ADMIN_TOKEN", world.github_token());
    let ran = typed(run, &["axiom", TOKEN, "A", "", "", "", ""]).run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    assert!(ran.stderr.contains("looks like a token of `github`"), "{}", ran.stderr);
    assert_eq!(world.axiom.requests().len(), 0);
}

#[tokio::test]
async fn flags_alone_ask_nothing_and_send_nothing() {
    let world = World::builder().provider(&gitlab::SERVICE).start().await;
    let folder = tempfile::tempdir().unwrap();
    let run = by_flags(&world, folder.path()).arg("--with", "resource=42").credentials(&world);
    let ran = typed(run, &[]).run().await;
    assert_eq!((ran.exit_code, ran.stderr.as_str()), (0, ""), "{}", ran.everything());
    assert_eq!(requests(&world), Vec::<String>::new());
    assert_eq!(written(&folder), [CONFIG, ROTATE]);
    assert_eq!(checked(&folder).await, (TOKEN.to_owned(), world.destinations()));
}

#[tokio::test]
async fn doctor_finds_nothing_wrong_with_what_is_written() {
    let world = World::builder().expires_in_days(60).start().await;
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(by_flags(&world, folder.path()).run().await.exit_code, 0);
    let doctor = Invocation::of("doctor")
        .arg("--config", folder.path().join(CONFIG).to_str().unwrap())
        .arg("--repository", REPOSITORY)
        .arg("--github-api-url", &world.github.url())
        .env("GITHUB_WORKSPACE", folder.path().to_str().unwrap())
        .env("AXIOM_ADMIN_TOKEN", world.provider_token())
        .env("CROSSFADE_GITHUB_TOKEN", world.github_token());
    let ran = doctor.arg("--format", "json").run().await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let checks = ran.json()["checks"].as_array().unwrap().clone();
    let is_about_workflow =
        |check: &&serde_json::Value| check["subject"].as_str().unwrap().contains("rotate.yml");
    assert!(
        checks.iter().find(is_about_workflow).is_some_and(|check| check["state"] == "ok"),
        "{}",
        ran.stdout
    );
}

#[tokio::test]
async fn what_is_missing_is_named_with_its_flag() {
    let world = World::start().await;
    for (run, is_asked) in [(Invocation::of("init"), false), (Invocation::of("init").flag("--yes"), true)] {
        let folder = tempfile::tempdir().unwrap();
        let run =
            run.arg("--repository", REPOSITORY).env("GITHUB_WORKSPACE", folder.path().to_str().unwrap());
        let run = run.arg("--provider", "gitlab");
        let ran = if is_asked { typed(run, &["yes"]).run().await } else { run.run().await };
        assert_nothing_done(&ran, 2, &folder);
        for flag in ["--token", "--secret", "--with resource=…"] {
            assert!(ran.stderr.contains(&format!("give {flag}")), "{flag}: {}", ran.stderr);
        }
        assert!(ran.stderr.ends_with("3 errors; nothing was contacted.\n"), "{}", ran.stderr);
    }
    assert_eq!(requests(&world), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_with_the_other_ending_is_noticed_too() {
    let world = World::start().await;
    for path in [".github/crossfade.yaml", ".github/workflows/rotate.yaml"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "mine\n").unwrap();
        let ran = by_flags(&world, folder.path()).run().await;
        assert_nothing_done(&ran, 2, &folder);
        assert!(ran.stderr.starts_with(&format!("error: {path} exists already")), "{}", ran.stderr);
    }
}

#[tokio::test]
async fn nothing_is_overwritten() {
    let world = World::start().await;
    for path in [CONFIG, ROTATE, MONITOR] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "mine\n").unwrap();
        for at_terminal in [false, true] {
            let run = by_flags(&world, folder.path()).flag("--monitor").credentials(&world);
            let run = if at_terminal {
                let run = init(&world, folder.path()).flag("--monitor");
                typed(run.env("AXIOM_ADMIN_TOKEN", world.provider_token()), &["axiom"])
            } else {
                run
            };
            let ran = run.run().await;
            assert_eq!((ran.exit_code, ran.stdout.as_str()), (2, ""), "{}", ran.everything());
            assert!(ran.stderr.starts_with(&format!("error: {path} exists already")), "{}", ran.stderr);
            assert_eq!(
                (written(&folder), fs::read_to_string(&file).unwrap().as_str()),
                (vec![path], "mine\n")
            );
        }
    }
    assert_eq!(requests(&world), Vec::<String>::new());
}

#[tokio::test]
async fn an_empty_answer_says_what_is_expected() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let ran = typed(init(&world, folder.path()), &["", "99", "axiom", TOKEN, "", "A", "", "n", "n", "n"])
        .run()
        .await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let number = format!("expected a number from 1 to {}, or a name", catalogue_size());
    assert_eq!(ran.stderr.matches(&number).count(), 2, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("expected at least one secret") && !ran.stderr.contains("is empty"),
        "{}",
        ran.stderr
    );
}

fn catalogue_size() -> usize {
    fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/catalogue")).unwrap().count()
}

#[tokio::test]
async fn a_secret_is_refused_wherever_a_name_belongs() {
    let world = World::start().await;
    let (token, other) = (world.provider_token(), "Plum7-Quartz-93kx-Willow-20ab");
    let answers = ["axiom", TOKEN, "A", "", "n", "n", "n"];
    for position in 0..answers.len() {
        for secret in [token, world.github_token(), other] {
            let folder = tempfile::tempdir().unwrap();
            let mut lines = answers.to_vec();
            lines.insert(position, secret);
            let run = init(&world, folder.path()).env("CROSSFADE_MARKER_KEY", other);
            let ran = typed(run, &lines).run().await;
            assert_eq!(ran.exit_code, 0, "{position}: {}", ran.everything());
            assert_eq!(ran.stderr.matches("looks like a secret itself").count(), 1, "{}", ran.stderr);
            let all = format!("{}{}{}", ran.everything(), text(&folder, CONFIG), text(&folder, ROTATE));
            assert_eq!(find_leaks(&all, &[secret.to_owned()]), Vec::<String>::new());
        }
    }
    for (flag, value) in
        [("--token", token.to_owned()), ("--secret", token.to_owned()), ("--with", format!("org_id={token}"))]
    {
        let folder = tempfile::tempdir().unwrap();
        let ran = init(&world, folder.path()).flag("--yes").arg(flag, &value).run().await;
        assert_nothing_done(&ran, 2, &folder);
        assert_eq!(find_leaks(&ran.everything(), &[token.to_owned()]), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_user_who_stops_leaves_nothing_behind() {
    let world = World::start().await;
    let answers = ["axiom", TOKEN, "A", "", "n", "n"];
    for count in 0..=answers.len() {
        let folder = tempfile::tempdir().unwrap();
        let ran = typed(init(&world, folder.path()), &answers[..count]).run().await;
        assert_nothing_done(&ran, 1, &folder);
        assert!(ran.stderr.ends_with("Stopped. Nothing was written.\n"), "{}", ran.stderr);
    }
    let folder = tempfile::tempdir().unwrap();
    let ran = typed(init(&world, folder.path()), &answers).run_until(std::future::ready(())).await;
    assert_nothing_done(&ran, 130, &folder);
}

#[cfg(unix)]
mod linters {
    use std::io::Write as _;
    use std::process::Command;

    use super::*;

    /// Whether a linter is on `PATH`. If not, the test is skipped, and says so; in `.ci/run`
    /// it fails.
    fn is_installed(linter: &str) -> bool {
        let found =
            Command::new(linter).arg("--version").output().is_ok_and(|output| output.status.success());
        let required = std::env::var("ACTION_TESTS").is_ok_and(|value| value == "required");
        assert!(found || !required, "{linter} is not on PATH; `.ci/run tests` installs it");
        if !found {
            // Written past the test harness, which would keep it to itself.
            let skipped = format!("skipped: the linters on what init writes. {linter} is not on PATH.\n");
            std::io::stderr().write_all(skipped.as_bytes()).unwrap();
        }
        found
    }

    #[track_caller]
    fn assert_good(command: &mut Command) {
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    }

    fn lint(folder: &TempDir, has_monitor: bool) {
        let files = [ROTATE, MONITOR];
        let files = &files[..if has_monitor { 2 } else { 1 }];
        assert_good(Command::new("actionlint").args(files).current_dir(folder));
        let schema = ["--builtin-schema", "vendor.github-workflows"];
        assert_good(Command::new("check-jsonschema").args(schema).args(files).current_dir(folder));
        let options = ["--offline", "--no-progress", "--persona", "pedantic", "--strict-collection"];
        assert_good(Command::new("zizmor").args(options).arg(".github").current_dir(folder));
    }

    /// The commands of a step, as they are printed.
    fn commands<'a>(steps: &'a str, heading: &str) -> Vec<&'a str> {
        let (_, step) = steps.split_once(heading).unwrap();
        let step = step.split("\n\n").next().unwrap();
        step.lines().skip(1).map(str::trim).collect()
    }

    #[tokio::test]
    async fn what_is_written_passes_the_linters_before_and_after_it_is_pinned() {
        if !["actionlint", "zizmor", "check-jsonschema"].into_iter().all(is_installed) {
            return;
        }
        for flags in [
            &["--provider", "axiom"][..],
            &["--provider", "gitlab", "--with", "resource=42", "--app", "--sign", "--monitor"],
            &["--provider", "datadog", "--with", "account=42", "--monitor"],
        ] {
            let folder = tempfile::tempdir().unwrap();
            let run = Invocation::of("init").env("GITHUB_WORKSPACE", folder.path().to_str().unwrap());
            let run =
                run.flag("--yes").arg("--repository", REPOSITORY).arg("--token", TOKEN).arg("--secret", "A");
            let ran = flags.iter().fold(run, |run, flag| run.flag(flag)).run().await;
            assert_eq!(ran.exit_code, 0, "{}", ran.everything());
            let has_monitor = flags.contains(&"--monitor");
            lint(&folder, has_monitor);

            let commit = "0123456789abcdef0123456789abcdef01234567";
            let gh = format!(
                "gh() {{ test \"$2\" = repos/crossfade-rs/crossfade/commits/v{} && echo {commit}; }}",
                env!("CARGO_PKG_VERSION")
            );
            let script =
                [&[gh.as_str()], commands(&ran.stdout, "Pin crossfade").as_slice()].concat().join("\n");
            assert_good(Command::new("sh").args(["-e", "-c", &script]).current_dir(&folder));
            let pinned = format!("crossfade@{commit} # v{}\n", env!("CARGO_PKG_VERSION"));
            let rotate = text(&folder, ROTATE);
            assert!(rotate.contains(&pinned) && !rotate.contains("Better still"), "{rotate}");
            assert!(!has_monitor || text(&folder, MONITOR).contains(&format!("ref: {commit} # v")));
            assert_eq!(
                fs::read_dir(folder.path().join(".github/workflows")).unwrap().count(),
                if has_monitor { 2 } else { 1 }
            );
            lint(&folder, has_monitor);
        }
    }
}
