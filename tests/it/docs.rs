//! What the pages show works: every configuration passes `check`, every command
//! is understood, and the published schema is the program's own.

use std::fs;
use std::path::{Path, PathBuf};

use crossfade::cli::{Environment, invocation};

use crate::support::Invocation;

/// `README.md` and every page of `docs/`.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages =
        docs.chain([root.join("README.md")]).filter(|path| path.extension().is_some_and(|e| e == "md"));
    pages.map(|path| (path.clone(), fs::read_to_string(&path).unwrap())).collect()
}

/// The fenced blocks of one language, with the page that they stand on.
fn blocks(language: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (path, text) in pages() {
        let mut block: Option<String> = None;
        for line in text.lines() {
            match &mut block {
                Some(lines) if line.trim() == "```" => {
                    found.push((
                        path.file_name().unwrap().to_string_lossy().into_owned(),
                        std::mem::take(lines),
                    ));
                    block = None;
                }
                Some(lines) => {
                    lines.push_str(line);
                    lines.push('\n');
                }
                None if line.trim() == format!("```{language}") => block = Some(String::new()),
                None => {}
            }
        }
    }
    found
}

/// The configurations among the blocks of YAML.
fn configurations() -> Vec<(String, String)> {
    let is_configuration = |text: &str| text.lines().any(|line| line.trim_start().starts_with("rotations:"));
    blocks("yaml").into_iter().filter(|(_, text)| is_configuration(text)).collect()
}

#[tokio::test]
async fn every_configuration_passes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crossfade.yml");
    let all = configurations();
    assert!(all.len() > 3, "{}", all.len());
    for (page, text) in all {
        fs::write(&file, &text).unwrap();
        let ran = Invocation::of("check").arg("--config", file.to_str().unwrap()).run().await;
        assert_eq!(ran.exit_code, 0, "{page}:\n{text}\n{}", ran.stderr);
    }
}

/// The commands in a block: lines that begin with `crossfade`, continued lines
/// put together, comments and what comes after a pipe left out.
fn commands(block: &str) -> Vec<Vec<String>> {
    let joined = block.replace("\\\n", " ");
    let lines = joined.lines().map(|line| line.trim().trim_start_matches("$ "));
    let lines = lines.filter(|line| line.starts_with("crossfade "));
    lines
        .map(|line| line.split_whitespace().take_while(|word| !["#", "|", "&&", ">"].contains(word)))
        .map(|words| words.map(|word| word.trim_matches(['\'', '"']).to_owned()).collect())
        .collect()
}

#[test]
fn every_command_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crossfade.yml");
    // The file that the README has one write; commands name its rotations.
    let (_, shown) = configurations().into_iter().find(|(page, _)| page == "README.md").unwrap();
    fs::write(&file, shown).unwrap();
    let environment: Environment = [
        ("CROSSFADE_PROVIDER_TOKEN", "some-credential-0001"),
        ("AXIOM_ADMIN_TOKEN", "some-credential-0002"),
        ("CROSSFADE_GITHUB_TOKEN", "some-credential-0003"),
        ("GITHUB_REPOSITORY", "acme/infra"),
    ]
    .into_iter()
    .collect();
    let mut count = 0;
    for (page, block) in blocks("sh") {
        for mut command in commands(&block) {
            count += 1;
            let takes_a_file = ["rotate", "status", "check"].contains(&command[1].as_str());
            let is_by_flags = command.iter().any(|word| ["--provider", "--config"].contains(&word.as_str()));
            if takes_a_file && !is_by_flags {
                command.extend(["--config".to_owned(), file.to_str().unwrap().to_owned()]);
            }
            if let Err(answer) = invocation(command.iter().map(Into::into), &environment) {
                assert_eq!(answer.exit_code, 0, "{page}: {}\n{}", command.join(" "), answer.stderr);
            }
        }
    }
    assert!(count > 5, "{count}");
}

#[tokio::test]
async fn the_published_schema_is_the_program_s() {
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/crossfade.schema.json");
    let ran = Invocation::of("schema").run().await;
    let published = fs::read_to_string(published).unwrap();
    assert!(published == ran.stdout, "write it anew: cargo run -- schema >docs/crossfade.schema.json");
}

#[test]
fn the_published_schema_takes_every_shown_configuration() {
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/crossfade.schema.json");
    let schema: serde_json::Value = serde_json::from_str(&fs::read_to_string(published).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for (page, text) in configurations() {
        let configuration: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let problems: Vec<String> =
            schema.iter_errors(&configuration).map(|error| error.to_string()).collect();
        assert_eq!(problems, Vec::<String>::new(), "{page}:\n{text}");
    }
    let misspelt = serde_json::json!({"rotations": [{"name": "ci", "providr": "axiom"}]});
    assert!(!schema.is_valid(&misspelt));
}

#[test]
fn every_error_of_a_rotation_has_its_recipe() {
    let recipes = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes.md")).unwrap();
    for (kind, words) in crate::errors::WORDS {
        assert!(recipes.contains(words), "docs/recipes.md does not explain {kind}: {words}");
    }
}
