//! The relative links of all Markdown files lead somewhere, headings included.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The text outside code, with its code spans emptied.
fn prose(markdown: &str) -> String {
    let mut fence = None;
    let mut prose = String::new();
    for line in markdown.lines() {
        let mark = ["```", "~~~"].into_iter().find(|mark| line.trim_start().starts_with(mark));
        match (fence, mark) {
            (None, Some(_)) => fence = mark,
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) => prose.extend(line.split('`').step_by(2).chain(["\n"])),
            _ => {}
        }
    }
    prose
}

/// What `[text](target)` and `[name]: target` point to in this repository.
fn links(markdown: &str) -> Vec<String> {
    let prose = prose(markdown);
    let inline = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let named =
        prose.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: ").map(|(_, target)| target));
    let targets = inline.chain(named).map(str::trim);
    targets
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .map(str::to_owned)
        .collect()
}

/// The anchors that GitHub gives the headings.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for line in markdown.lines().filter(|line| line.starts_with('#')) {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        // The second heading of a name gets the number 1.
        let same = (1..).map(|n| format!("{anchor}-{n}"));
        let free = [anchor.clone()].into_iter().chain(same).find(|anchor| !anchors.contains(anchor));
        anchors.extend(free);
    }
    anchors
}

/// Every Markdown file of the project.
fn markdown_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_apart =
            path.file_name().is_some_and(|name| [".git", "target"].iter().any(|apart| name == *apart));
        if path.is_dir() && !is_apart {
            markdown_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// What is wrong with a link, if anything.
fn problem(file: &Path, link: &str) -> Option<String> {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() { file.to_owned() } else { file.parent()?.join(path) };
    let problem = if !target.exists() {
        "no such file"
    } else if !anchor.is_empty()
        && !anchors(&fs::read_to_string(&target).unwrap_or_default()).contains(anchor)
    {
        "no such heading"
    } else {
        return None;
    };
    Some(format!("{}: {link}: {problem}", file.display()))
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut files = Vec::new();
    markdown_files(Path::new(env!("CARGO_MANIFEST_DIR")), &mut files);
    let linked: Vec<(PathBuf, Vec<String>)> =
        files.into_iter().map(|file| (file.clone(), links(&fs::read_to_string(file).unwrap()))).collect();
    assert!(
        linked.iter().map(|(_, links)| links.len()).sum::<usize>() > 10,
        "the links were not found: {linked:?}"
    );
    let problems: Vec<String> =
        linked.iter().flat_map(|(file, links)| links.iter().filter_map(|link| problem(file, link))).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn links_are_found_outside_code() {
    let text = "See [a](b.md#c) and [d](https://e.example), `[no](code.md)`.\n\
                ```sh\n[no](fence.md)\n```\n[f]: g.md\n";
    assert_eq!(links(text), ["b.md#c", "g.md"]);
}

#[test]
fn a_link_to_nowhere_is_a_problem() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md");
    assert_eq!(problem(&file, "CONTRIBUTING.md#releasing"), None);
    assert_eq!(problem(&file, "#what-is-supported"), None);
    assert!(problem(&file, "CONTRIBUTING.md#nothing").unwrap().ends_with("no such heading"));
    assert!(problem(&file, "docs/nothing.md").unwrap().ends_with("no such file"));
}

#[test]
fn headings_have_the_anchors_that_github_gives_them() {
    let text = "# Why `two` tokens, live?\n## A/B test\n## A/B test\n";
    let expected = ["ab-test", "ab-test-1", "why-two-tokens-live"].map(str::to_owned);
    assert_eq!(anchors(text), expected.into());
}
