//! What the pages show: fenced blocks and code spans, with where they stand.

use std::fs;
use std::path::{Path, PathBuf};

/// A fenced block.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// The page's path, from the project's root.
    pub(super) page: String,
    /// Counts the page's second-level headings, so that blocks know their neighbours.
    pub(super) section: usize,
    /// What stands behind the fence.
    pub(super) language: String,
    /// What it holds, without the indentation of the fence.
    pub(super) text: String,
}

impl Block {
    /// A configuration, and not one of many other things that are YAML.
    pub(super) fn is_configuration(&self) -> bool {
        self.language == "yaml" && self.text.lines().any(|line| line.starts_with("rotations:"))
    }

    /// Its lines as a shell reads them: continued ones put together.
    pub(super) fn commands(&self) -> Vec<String> {
        let joined = self.text.replace("\\\n", " ");
        let lines = joined.lines().map(|line| line.trim().trim_start_matches("$ "));
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
    }
}

/// The words of a command: comments and what comes after a pipe left out.
pub(super) fn words(command: &str) -> Vec<String> {
    let words = command.split_whitespace().take_while(|word| !["#", "|", "&&", ">", "&"].contains(word));
    words.map(|word| word.trim_matches(['\'', '"']).to_owned()).collect()
}

/// A file of the project.
pub(super) fn project_file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Every page that people read, as path and text: those at the root and all of `docs/`.
fn pages() -> Vec<(String, String)> {
    fn markdown(folder: &Path, deep: bool, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && deep {
                markdown(&path, deep, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    markdown(root, false, &mut found);
    markdown(&root.join("docs"), true, &mut found);
    found.sort();
    let name = |path: &Path| path.strip_prefix(root).unwrap().display().to_string().replace('\\', "/");
    found.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// Every fenced block of every page, in the order of reading.
pub(super) fn blocks() -> Vec<Block> {
    pages().iter().flat_map(|(page, text)| blocks_of(page, text)).collect()
}

fn blocks_of(page: &str, text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let (mut section, mut indentation) = (0, None);
    for line in text.lines() {
        let content = line.trim_start();
        match (indentation, content.strip_prefix("```")) {
            (None, Some(language)) => {
                indentation = Some(line.len() - content.len());
                let language = language.trim().to_owned();
                found.push(Block { page: page.to_owned(), section, language, text: String::new() });
            }
            (Some(_), Some(_)) => indentation = None,
            (Some(depth), None) => {
                let block = &mut found.last_mut().unwrap().text;
                block.push_str(line.get(depth.min(line.len() - content.len())..).unwrap_or_default());
                block.push('\n');
            }
            (None, None) if line.starts_with("## ") => section += 1,
            (None, None) => {}
        }
    }
    found
}

/// Every code span of every page, with the page that it stands on.
pub(super) fn spans() -> Vec<(String, String)> {
    let spans_of = |(page, text): (String, String)| {
        let (mut prose, mut fenced) = (String::new(), false);
        for line in text.lines() {
            let is_fence = line.trim_start().starts_with("```");
            fenced ^= is_fence;
            if !fenced && !is_fence {
                // A span may go on in the next line.
                prose.extend([line, " "]);
            }
        }
        let spans: Vec<String> = prose.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        spans.into_iter().map(move |span| (page.clone(), span))
    };
    pages().into_iter().flat_map(spans_of).collect()
}

#[test]
fn blocks_and_their_places_are_found() {
    let text = "## One\n\n   ```sh\n   a \\\n     b\n   ```\n## Two\n```yaml\nrotations:\n  - x\n```\n";
    let blocks = blocks_of("p.md", text);
    assert_eq!(blocks.iter().map(|block| block.section).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(blocks[0].commands(), ["a    b"]);
    assert!(blocks[1].is_configuration() && !blocks[0].is_configuration());
    assert_eq!(
        words("crossfade status --format json | jq . # x"),
        ["crossfade", "status", "--format", "json"]
    );
}
