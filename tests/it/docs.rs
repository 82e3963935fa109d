//! What the pages show works: every configuration is rotated, every command is run,
//! and the published schema is the program's own.

mod commands;
#[cfg(unix)]
mod newcomer;
mod others;
mod page;
mod reference;
mod services;
mod stage;

use crate::support::Invocation;
use page::{Block, blocks, project_file};

#[tokio::test]
async fn the_published_schema_is_printed() {
    let ran = Invocation::of("schema").run().await;
    assert_eq!(ran.stdout, project_file("docs/crossfade.schema.json"));
}

#[test]
fn the_published_schema_takes_every_shown_configuration() {
    let schema: serde_json::Value =
        serde_json::from_str(&project_file("docs/crossfade.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for Block { page, text, .. } in blocks().into_iter().filter(Block::is_configuration) {
        let configuration: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let problems: Vec<String> =
            schema.iter_errors(&configuration).map(|error| error.to_string()).collect();
        assert_eq!(problems, Vec::<String>::new(), "{page}:\n{text}");
    }
    let misspelt = serde_json::json!({"rotations": [{"name": "ci", "providr": "axiom"}]});
    assert!(!schema.is_valid(&misspelt));
}

#[tokio::test]
async fn every_shown_provider_is_accepted() {
    let is_shown = |block: &Block| block.language == "yaml" && block.text.starts_with("providers:");
    let is_whole = |block: &Block| !block.is_configuration() && !block.text.contains("# …");
    let mut count = 0;
    for Block { page, text, .. } in blocks().into_iter().filter(is_shown).filter(is_whole) {
        let (name, _) = text.lines().nth(1).unwrap().trim().split_once(':').unwrap();
        let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
        let rotation = format!(
            "rotations:\n- {{ name: ci, provider: {name}, provider_url: \"https://hub.example.org/hub/api\", token: ci, with: {{ user: ci-bot }}, secrets: [A] }}\n"
        );
        std::fs::write(&file, format!("{text}{rotation}")).unwrap();
        let ran = Invocation::of("check").arg("--config", file.path().to_str().unwrap()).run().await;
        assert_eq!((ran.exit_code, ran.stderr.as_str()), (0, ""), "{page}: {name}");
        count += 1;
    }
    assert!(count > 0);
}
