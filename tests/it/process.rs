//! The built binary, run as a user would.

use std::process::{Command, Output};

use crate::support::{Invocation, World};

/// The binary with these arguments and nothing else in its environment.
fn crossfade(invocation: &Invocation) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.env_clear().envs(&invocation.environment).args(&invocation.arguments);
    command
}

pub(crate) async fn output(invocation: Invocation) -> Output {
    tokio::task::spawn_blocking(move || crossfade(&invocation).output().unwrap()).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn rotates_once_and_then_finds_nothing_to_do() {
    let world = World::start().await;
    let first = output(Invocation::rotate(&world)).await;
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    assert!(text(&first.stdout).starts_with("rotated ci-ingest"));
    assert_eq!(text(&first.stderr), "");
    assert_eq!(world.undelivered(), Vec::<String>::new());
    let second = output(Invocation::rotate(&world)).await;
    assert!(text(&second.stdout).starts_with("fresh: ci-ingest"));
}

#[tokio::test]
async fn what_only_reads_takes_the_repository_from_the_git_remote() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let ran = std::process::Command::new("git").arg("-C").arg(folder.path()).args(arguments).status();
        assert!(ran.unwrap().success(), "{arguments:?}");
    };
    git(&["init", "--quiet"]);
    let run = async |command: &str, flags: &[&str]| {
        let mut invocation =
            Invocation::of(command).scene(&world, &world.github.url(), &world.provider.url());
        let given = invocation.arguments.iter().position(|argument| argument == "--repository").unwrap();
        invocation.arguments.drain(given..given + 2);
        invocation.arguments.extend(flags.iter().map(ToString::to_string));
        let mut command = crossfade(&invocation);
        command.current_dir(folder.path()).env("PATH", std::env::var("PATH").unwrap());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };
    assert!(text(&run("status", &[]).await.stderr).contains("no repository is given"));
    git(&["remote", "add", "origin", "http://127.0.0.1/acme/infra.git"]);
    let real = "; the real run needs --repository acme/infra";
    for (command, flags, but) in [("status", &[][..], ""), ("rotate", &["--dry-run"], real)] {
        let ran = run(command, flags).await;
        assert_eq!(text(&ran.stderr), format!("repository acme/infra, from the git remote origin{but}\n"));
        assert_eq!(ran.status.code(), Some(0), "{command}");
    }
    assert_eq!(text(&run("status", &["--quiet"]).await.stderr), "");
    let refused = run("rotate", &[]).await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("give --repository owner/name"), "{}", text(&refused.stderr));
}

#[tokio::test]
async fn nothing_is_contacted_when_the_usage_is_wrong() {
    let world = World::start().await;
    let wrong: [fn(Invocation) -> Invocation; 6] = [
        |it| it.arg("--only", "no-such-rotation"),
        |it| it.arg("--overlap", "30d"),
        |it| it.arg("--secret", "GITHUB_TOKEN"),
        |it| it.arg("--provider-url", "http://provider.example"),
        |it| it.env("CROSSFADE_FORCE", "perhaps"),
        |it| it.flag("--no-such-flag"),
    ];
    for (index, spoil) in wrong.iter().enumerate() {
        let ran = output(spoil(Invocation::rotate(&world))).await;
        assert_eq!(ran.status.code(), Some(2), "case {index}: {}", text(&ran.stdout));
        assert_eq!(text(&ran.stdout), "", "case {index}");
        assert!(!text(&ran.stderr).is_empty(), "case {index}");
    }
    assert_eq!(world.github.requests().len() + world.axiom.requests().len(), 0);
}

#[test]
fn completions_know_the_commands_and_the_providers() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = text(&crossfade(&Invocation::of("completions").flag(shell)).output().unwrap().stdout);
        assert!(
            ["status", "--fail-within", "completions"]
                .iter()
                .all(|word| script.contains(word.trim_start_matches('-'))),
            "{shell}"
        );
        assert!(script.contains("launchdarkly") || matches!(shell, "elvish" | "powershell"), "{shell}");
    }
}

#[test]
fn the_version_is_one_line() {
    let stdout = text(&crossfade(&Invocation::of("--version")).output().unwrap().stdout);
    assert_eq!(stdout, format!("crossfade {}\n", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn the_report_for_people_is_as_it_was() {
    let world = World::builder().destination_count(2).start().await;
    let hide = |text: String| {
        let mut text = text;
        for (index, token) in world.axiom.tokens().into_iter().enumerate() {
            text = text.replace(&token.id, &format!("<id {index}>"));
        }
        text
    };
    let dry = output(Invocation::rotate(&world).flag("--dry-run")).await;
    insta::assert_snapshot!("report-planned", hide(text(&dry.stdout)));
    let rotated = output(Invocation::rotate(&world)).await;
    insta::assert_snapshot!("report-rotated", hide(text(&rotated.stdout)));
    let fresh = output(Invocation::rotate(&world)).await;
    insta::assert_snapshot!("report-fresh", hide(text(&fresh.stdout)));
    let flight = output(Invocation::rotate(&world).flag("--force")).await;
    insta::assert_snapshot!("report-in-flight", hide(text(&flight.stdout)));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn steps_of_init_that_cannot_be_printed_are_an_error_that_names_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut init = Invocation::of("init").flag("--yes").arg("--repository", "acme/infra");
    init = init.arg("--provider", "axiom").arg("--token", "ci-ingest").arg("--secret", "AXIOM_TOKEN");
    let mut command = crossfade(&init);
    command.current_dir(folder.path());
    command.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let ran =
        tokio::task::spawn_blocking(move || command.stderr(std::process::Stdio::piped()).output().unwrap());
    let ran = ran.await.unwrap();
    assert_eq!(ran.status.code(), Some(1));
    let stderr = text(&ran.stderr);
    assert!(stderr.contains("the next steps could not be printed"), "{stderr}");
    assert!(stderr.contains(".github/crossfade.yml, .github/workflows/rotate.yml"), "{stderr}");
    assert!(folder.path().join(".github/workflows/rotate.yml").exists());
}
