//! Every command and configuration of ours that the pages show, run.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::init::{CONFIG, ROTATE};

use super::page::{Block, blocks, project_file, spans, words};
use super::stage::Stage;

/// In so many days a token of any shown configuration is due.
const DUE: i64 = 9;

/// The configuration that a reader has when they come to this block: the last one
/// of its section, else the one that the README has them write.
fn configuration_at<'a>(all: &'a [Block], block: &Block) -> &'a str {
    let here = |other: &&Block| other.page == block.page && other.section == block.section;
    let readme = |other: &&Block| other.page == "README.md";
    let mut shown = all.iter().filter(|other| other.is_configuration());
    let near = shown.clone().rfind(here);
    &near.or_else(|| shown.find(readme)).unwrap().text
}

/// Where a command reads its rotation from.
fn is_by_flags(words: &[String]) -> bool {
    words.iter().any(|word| ["--provider", "--config"].contains(&word.as_str()))
}

/// The arguments that say what is rotated.
fn selection(words: &[String]) -> Vec<String> {
    const TAKEN: [&str; 8] = [
        "--provider",
        "--provider-url",
        "--org-id",
        "--token",
        "--repository",
        "--secret",
        "--lifetime",
        "--name",
    ];
    let pairs = words.windows(2).filter(|pair| TAKEN.contains(&pair[0].as_str()));
    pairs.flatten().cloned().collect()
}

/// Runs a command, and holds what it does against what its words say.
async fn follow(stage: &Stage, words: &[String], page: &str) {
    let says = |word: &str| words.iter().any(|other| other == word);
    let context = format!("{page}: {}", words.join(" "));
    if words[1] == "init" {
        return set_up(stage, words, &context).await;
    }
    let (before, rotated_before) = (stage.held(), stage.is_rotated());
    stage.take_requests();
    let ran = stage.run(&words[1..]).await;
    let requests = stage.take_requests();
    assert_eq!(ran.exit_code, 0, "{context}\n{}", ran.everything());
    assert!(!ran.stdout.is_empty() && !ran.stderr.contains("error"), "{context}\n{}", ran.everything());
    if words[1] == "rotate" && !says("--dry-run") {
        assert!(stage.is_rotated() && !rotated_before, "{context}\n{}", ran.everything());
        for original in &stage.originals {
            let lives = stage.world.provider.is_accepted(&original.value);
            assert_eq!(lives, !says("0h"), "{context}: the old token\n{}", ran.everything());
        }
        return;
    }
    let second = words.get(2).map_or("", String::as_str);
    let is_proof = words[1] == "provider" && second == "prove";
    // The write check of a doctor is a write that GitHub refuses.
    let checks = |request: &str| says("doctor") && request.ends_with("/CROSSFADE_WRITE_CHECK");
    let looks = |request: &String| request.starts_with("GET ") || checks(request);
    assert!(is_proof || requests.iter().all(looks), "{context}: {requests:?}");
    let is_offline = ["check", "completions", "schema"].contains(&words[1].as_str())
        || words[1] == "provider" && ["list", "show"].contains(&second);
    assert_eq!(requests.is_empty(), is_offline, "{context}: {requests:?}");
    let values = |held: &Vec<Vec<crate::support::provider::FakeToken>>| {
        held.iter().flatten().map(|token| token.value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(values(&stage.held()), values(&before), "{context}");
}

/// Follows `crossfade init`, as a user who chooses from the lists.
async fn set_up(stage: &Stage, words: &[String], context: &str) {
    stage.take_requests();
    let (ran, folder) = stage.set_up(&words[1..], &["axiom", "1", "1", "", "", ""]).await;
    assert_eq!(ran.exit_code, 0, "{context}\n{}", ran.everything());
    let requests = stage.take_requests();
    assert!(!requests.is_empty() && requests.iter().all(|one| one.starts_with("GET ")), "{requests:?}");
    for (path, part) in [(CONFIG, "rotations:"), (ROTATE, "uses: crossfade-rs/crossfade@v")] {
        assert!(std::fs::read_to_string(folder.path().join(path)).unwrap().contains(part), "{context}");
    }
}

#[tokio::test]
async fn every_configuration_is_checked_planned_and_rotated() {
    let all: Vec<Block> = blocks().into_iter().filter(Block::is_configuration).collect();
    assert!(all.len() > 3, "{}", all.len());
    for Block { page, text, .. } in all {
        let stage = Stage::of_file(&text, DUE).await;
        for command in ["crossfade check", "crossfade rotate --dry-run", "crossfade rotate"] {
            follow(&stage, &words(command), &page).await;
        }
    }
}

#[tokio::test]
async fn every_command_does_what_it_says() {
    let all = blocks();
    let mut count = 0;
    for block in all.iter().filter(|block| block.language == "sh") {
        // The commands of a block follow one another.
        let mut stage = None;
        for command in block.commands() {
            let words = words(&command);
            if words[0] != "crossfade" {
                continue;
            }
            count += 1;
            if is_by_flags(&words) {
                stage = Some(Stage::of_flags(&selection(&words), BTreeMap::new(), DUE).await);
            } else if stage.is_none() {
                stage = Some(Stage::of_file(configuration_at(&all, block), DUE).await);
            }
            follow(stage.as_ref().unwrap(), &words, &block.page).await;
        }
    }
    assert!(count > 7, "{count}");
}

#[tokio::test]
async fn every_command_in_a_sentence_works() {
    let all = blocks();
    let readme = all.iter().find(|block| block.page == "README.md" && block.is_configuration()).unwrap();
    let mut count = 0;
    for (page, span) in spans() {
        let words = words(&span);
        if words.first().is_none_or(|word| word != "crossfade") || words.len() < 2 {
            continue;
        }
        count += 1;
        // The page's own configuration or step of a workflow, if it has one.
        let mut own = all.iter().filter(|block| block.page == page);
        let configuration = own.clone().find(|block| block.is_configuration());
        let stage = match own.find_map(|block| variables(&block.text)).filter(|_| configuration.is_none()) {
            Some(variables) => Stage::of_flags(&[], variables, DUE).await,
            None => Stage::of_file(&configuration.unwrap_or(readme).text, DUE).await,
        };
        follow(&stage, &words, &page).await;
    }
    assert!(count > 4, "{count}");
}

#[tokio::test]
async fn the_monitor_fails_when_something_ends_too_soon() {
    let command = words("crossfade status --fail-within 7d");
    let shown = blocks().into_iter().find(|block| block.text.contains(&command.join(" "))).unwrap();
    assert_eq!(shown.page, "docs/operations.md");
    let all = blocks();
    for (days, exit_code) in [(60, 0), (DUE, 0), (5, 1)] {
        let stage = Stage::of_file(configuration_at(&all, &shown), days).await;
        assert_eq!(stage.run(&command[1..]).await.exit_code, exit_code, "{days} days");
    }
}

#[tokio::test]
async fn after_a_leak_the_old_token_ends_last_and_at_once() {
    let all = blocks();
    let shown = all.iter().find(|block| block.page == "docs/recipes.md" && block.text.contains("--force"));
    let [look, act] = shown.unwrap().commands().try_into().unwrap();
    let (look, act) = (words(&look), words(&act));
    assert_eq!(look, [act.as_slice(), &["--dry-run".to_owned()]].concat());
    assert!(act.ends_with(&["--force", "--overlap", "0h"].map(str::to_owned)), "{act:?}");
    let stage = Stage::of_file(configuration_at(&all, shown.unwrap()), 60).await;
    let planned = stage.run(&look[1..]).await;
    stage.take_requests();
    let ran = stage.run(&act[1..]).await;
    for (ran, exit_code) in [(&planned, 0), (&ran, 0)] {
        assert_eq!(ran.exit_code, exit_code, "{}", ran.everything());
        let output = ran.everything();
        assert!(
            output.contains("jobs that")
                && output.contains("queued or running")
                && output.contains("Start them again"),
            "what will break:\n{output}"
        );
    }
    assert!(stage.is_rotated());
    assert!(!stage.world.provider.is_accepted(&stage.originals[0].value));
    let journal = stage.world.journal.text();
    let last = |what: &str| {
        let line = journal.lines().enumerate().filter(|(_, line)| line.contains(what)).last();
        line.unwrap_or_else(|| {
            panic!(
                "{what}:
{journal}"
            )
        })
        .0
    };
    assert!(last("PUT") < last("DELETE"), "{journal}");
}

/// A step of the action, as a page shows it, in the variables that `action.yml`
/// makes of its inputs.
fn variables(step: &str) -> Option<BTreeMap<String, String>> {
    let steps: Value = serde_saphyr::from_str(step).ok()?;
    let step = steps
        .as_array()?
        .iter()
        .find(|step| step["uses"].as_str().is_some_and(|uses| uses.starts_with("crossfade-rs/crossfade@")))?;
    let action: Value = serde_saphyr::from_str(&project_file("action.yml")).unwrap();
    let steps = action["runs"]["steps"].as_array().unwrap();
    let mapped = steps.iter().filter_map(|step| step["env"].as_object()).flatten();
    let mapped: BTreeMap<String, String> = mapped
        .filter_map(|(variable, value)| {
            let input = value.as_str()?.strip_prefix("${{ inputs.")?.strip_suffix(" }}")?;
            Some((input.to_owned(), variable.clone()))
        })
        .collect();
    let given = step["with"].as_object().unwrap();
    let given = given.iter().map(|(input, value)| {
        let variable = mapped.get(input).unwrap_or_else(|| panic!("the action has no input {input}"));
        (variable.clone(), value.as_str().unwrap().to_owned())
    });
    Some(given.collect())
}

#[tokio::test]
async fn every_step_of_a_workflow_rotates() {
    let mut pages = Vec::new();
    for block in blocks().into_iter().filter(|block| block.language == "yaml") {
        let Some(variables) = variables(&block.text) else { continue };
        let service = variables["CROSSFADE_PROVIDER"].clone();
        assert!(block.page.ends_with(&format!("/{service}.md")), "{}: {service}", block.page);
        let stage = Stage::of_flags(&[], variables, DUE).await;
        for command in ["crossfade rotate --dry-run", "crossfade rotate"] {
            follow(&stage, &words(command), &block.page).await;
        }
        pages.push(service);
    }
    let mut names: Vec<&str> = crate::support::provider::ALL.iter().map(|service| service.name).collect();
    names.sort_unstable();
    assert_eq!(pages, names, "each provider has its page, and its page a workflow");
}
