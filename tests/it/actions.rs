//! As a step of a workflow: masks, outputs, summary, annotations.

use crate::support::leaks::find_leaks;
use crate::support::{Invocation, Ran, World};

struct Step {
    ran: Ran,
    output: String,
    summary: String,
}

async fn step(invocation: Invocation) -> Step {
    let folder = tempfile::tempdir().unwrap();
    let (output, summary) = (folder.path().join("output"), folder.path().join("summary"));
    let ran = invocation.on_actions(output.clone(), summary.clone()).run().await;
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    Step { ran, output: read(output), summary: read(summary) }
}

#[tokio::test]
async fn the_value_is_masked_before_anything_else_and_appears_nowhere_else() {
    let world = World::start().await;
    let Step { ran, output, summary } = step(Invocation::rotate(&world).flag("-vv")).await;
    assert_eq!(ran.exit_code, 0, "{}", ran.everything());
    let value = world.newest().unwrap().value;
    let mask = format!("::add-mask::{value}");
    let (masks, others): (Vec<&str>, Vec<&str>) = ran.stderr.lines().partition(|line| *line == mask);
    assert_eq!(masks.len(), 1);
    let rest = format!("{}\n{}\n{output}\n{summary}", ran.stdout, others.join("\n"));
    assert_eq!(find_leaks(&rest, &world.secrets()), Vec::<String>::new());
    let is_use = |line: &str| line.contains("GET /v2/tokens/") || line.contains("PUT");
    let first_use =
        ran.stderr.lines().position(|line| is_use(line) && !line.contains("/CROSSFADE_WRITE_CHECK"));
    let masked = ran.stderr.lines().position(|line| line == mask);
    assert!(first_use.is_none_or(|first| masked.unwrap() < first), "{}", others.join("\n"));
}

#[tokio::test]
async fn away_from_actions_nothing_carries_the_value() {
    let world = World::start().await;
    for format in ["text", "json"] {
        let ran = Invocation::rotate(&world).flag("-vv").arg("--format", format).run().await;
        assert_eq!(ran.exit_code, 0);
        assert_eq!(find_leaks(&ran.everything(), &world.secrets()), Vec::<String>::new());
        world.advance_days(80);
    }
}

#[tokio::test]
async fn outputs_describe_the_only_rotation() {
    let world = World::builder().expires_in_days(12).start().await;
    let Step { output, summary, .. } = step(Invocation::rotate(&world)).await;
    let outputs = outputs(&output);
    let newest = world.newest().unwrap();
    assert_eq!(outputs["rotated"], "true");
    assert_eq!(outputs["token-id"], newest.id);
    assert_eq!(outputs["expires-at"], "2026-05-31T09:00:00Z");
    assert_eq!(outputs["previous-valid-until"], "2026-03-09T09:00:00Z");
    assert_eq!(outputs["next-rotation-at"], "2026-05-17T09:00:00Z");
    let report: serde_json::Value = serde_json::from_str(&outputs["report"]).unwrap();
    assert_eq!(report["rotations"][0]["outcome"], "rotated");
    assert!(summary.contains("| ") && summary.contains("ci-ingest"), "{summary}");
}

#[tokio::test]
async fn a_failure_is_an_annotation_and_a_fresh_day_is_none() {
    let world = World::builder().expires_in_days(60).start().await;
    let Step { ran, output, .. } = step(Invocation::rotate(&world)).await;
    assert!(!ran.stderr.contains("::error"), "{}", ran.stderr);
    assert_eq!(outputs(&output)["rotated"], "false");
    world.github.break_scope("acme/infra", crate::support::github::On::All, 404);
    let Step { ran, .. } = step(Invocation::rotate(&world)).await;
    assert_eq!(ran.exit_code, 1);
    assert!(ran.stderr.lines().any(|line| line.starts_with("::error title=crossfade")), "{}", ran.stderr);
}

#[tokio::test]
async fn what_is_wrong_with_the_configuration_is_annotated_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a,b.yml");
    let text = "rotations:\n  - { name: ci, provider: axoim, token: ci, secrets: [\"::x%0A##[y\"] }\n";
    std::fs::write(&file, text).unwrap();
    for command in ["check", "rotate", "status"] {
        let invocation = Invocation::of(command).arg("--config", file.to_str().unwrap());
        let Step { ran, .. } = step(invocation.env("GITHUB_REPOSITORY", "acme/infra")).await;
        assert_eq!(ran.exit_code, 2, "{}", ran.everything());
        let annotations: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("::")).collect();
        let at = |place: &str, words: &str| {
            let path = file.display().to_string().replace(',', "%2C");
            let head = format!("::error title=crossfade%3A configuration,file={path},line=2,{place}::");
            let found = annotations.iter().any(|line| line.starts_with(&head) && line.contains(words));
            assert!(found, "{place}: {words}\n{}", annotations.join("\n"));
        };
        at("col=27,endColumn=32", "did you mean `axiom`?");
        at("col=55,endColumn=67", "invalid repository");
        assert_eq!(annotations.len(), if command == "check" { 2 } else { 3 }, "{annotations:?}");
        let hidden = ran.stderr.replace("::error title=", "").replace("::", "");
        assert!(!ran.stderr.contains("##[") && !hidden.contains("%0A##"), "{}", ran.stderr);
    }
}

/// Makes a good invocation wrong.
type Spoil = fn(Invocation) -> Invocation;

#[tokio::test]
async fn wrong_usage_is_annotated_too_and_elsewhere_it_is_not() {
    let world = World::start().await;
    let wrong: [(Spoil, &str); 4] = [
        (|it| it.flag("--no-such-flag"), "unexpected argument"),
        (|it| it.arg("--lifetime", "soon"), "given by --lifetime"),
        (|it| it.env("CROSSFADE_FORCE", "perhaps"), "given by CROSSFADE_FORCE"),
        (|it| it.arg("--token", "xaat-01234567-89ab-cdef-0123-456789abcdef"), "looks like a secret"),
    ];
    for (spoil, words) in wrong {
        let invocation = || spoil(Invocation::rotate(&world));
        let Step { ran, .. } = step(invocation()).await;
        assert_eq!(ran.exit_code, 2, "{}", ran.everything());
        let annotations: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("::")).collect();
        assert!(
            matches!(annotations.as_slice(), [one] if one.starts_with("::error title=") && one.contains(words)),
            "{}",
            ran.stderr
        );
        assert!(!ran.stderr.contains("01234567"));
        assert!(!invocation().run().await.stderr.contains("::error"));
    }
    let short = Invocation::rotate(&world).arg("--overlap", "1h").flag("--dry-run");
    let Step { ran, .. } = step(short).await;
    assert!(
        ran.exit_code == 0 && ran.stderr.contains("\n::warning title=crossfade%3A configuration"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn hostile_names_change_no_command_and_no_table() {
    let nasty =
        "x\n::set-output name=a::b\n##[error]y | `z` <img src=x onerror=alert(1)> \u{202e}\u{1b}[31m %0A";
    let original = crate::support::axiom::TokenSpec::ingest("ci-ingest").description(nasty);
    let world = World::builder().original(original).start().await;
    world.axiom.switch(|switches| switches.error_message = Some(nasty.to_owned()));
    let Step { ran, summary, .. } = step(Invocation::rotate(&world).flag("-vv").env("NO_COLOR", "1")).await;
    let commands = ran.stderr.lines().filter(|line| line.trim_start().starts_with("::"));
    for command in commands {
        assert!(is_our_own(command), "{command}");
    }
    assert_harmless(&ran, &summary);
    // The provider's refusal quotes it too.
    let refused =
        Invocation::rotate(&world).env("CROSSFADE_PROVIDER_TOKEN", "xaat-no-such-credential-at-all");
    let Step { ran, summary, .. } = step(refused.env("NO_COLOR", "1")).await;
    assert_eq!(ran.exit_code, 1);
    for line in ran.stderr.lines().filter(|line| line.trim_start().starts_with("::")) {
        assert!(line.starts_with("::error ") || is_our_own(line), "{line}");
    }
    assert_harmless(&ran, &summary);
}

/// The commands that a run gives when nothing fails, with nothing from outside in
/// them but what is escaped.
fn is_our_own(command: &str) -> bool {
    command.starts_with("::add-mask::")
        || command.starts_with("::warning ")
        || command == "::group::crossfade: what was asked and answered"
        || command == "::endgroup::"
}

fn assert_harmless(ran: &Ran, summary: &str) {
    for hostile in ["##[", "\u{202e}", "\u{1b}"] {
        assert!(!ran.everything().contains(hostile) && !summary.contains(hostile), "{hostile:?}");
    }
    assert!(!summary.contains("<img"), "{summary}");
}

/// Reads a `GITHUB_OUTPUT` file as the runner does.
pub(crate) fn outputs(file: &str) -> std::collections::BTreeMap<String, String> {
    let mut outputs = std::collections::BTreeMap::new();
    let mut lines = file.lines();
    while let Some(head) = lines.next() {
        let (name, delimiter) = head.split_once("<<").expect("a heredoc");
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != delimiter).collect();
        outputs.insert(name.to_owned(), value.join("\n"));
    }
    outputs
}
