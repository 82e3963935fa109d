//! What the pages show works: every configuration is rotated, every command is run,
//! and the published schema is the program's own.

mod commands;
#[cfg(unix)]
mod newcomer;
mod others;
mod page;
mod stage;

use crate::support::Invocation;
use page::{Block, blocks, project_file};

#[tokio::test]
async fn the_published_schema_is_the_program_s() {
    let ran = Invocation::of("schema").run().await;
    let published = project_file("docs/crossfade.schema.json");
    assert!(published == ran.stdout, "write it anew: cargo run -- schema >docs/crossfade.schema.json");
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
