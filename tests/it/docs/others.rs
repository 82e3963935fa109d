//! The commands on the pages that are not ours to run in a test: what they name
//! exists. A new kind of command is unknown here until somebody says what is
//! to be looked at.

use std::path::Path;
use std::process::Command;

use super::page::{blocks, project_file, spans, words};

/// What is stale about a command, if anything.
fn stale(command: &str) -> Result<(), String> {
    let all = words(command);
    let is_assignment = |word: &&String| word.split_once('=').is_some_and(|(name, _)| is_variable(name));
    let assigned: Vec<&str> = all.iter().take_while(is_assignment).map(String::as_str).collect();
    let words: Vec<&str> = all.iter().skip(assigned.len()).map(String::as_str).collect();
    assigned.into_iter().try_for_each(assignment)?;
    match words.as_slice() {
        // Run by `super::commands`, or values for what follows.
        ["crossfade", ..] | ["export", ..] => Ok(()),
        ["cargo", "run", "--example", example, rest @ ..] => {
            let source = format!("examples/{example}.rs");
            let text = existing(&source)?;
            let flags = rest.iter().filter(|word| word.starts_with("--") && **word != "--");
            known(flags.copied(), &source, |flag| text.contains(&format!("\"{flag}\"")))
        }
        ["cargo", "run", "--", command, ..] => {
            let commands = crossfade::command();
            known([*command], "crossfade", |name| commands.find_subcommand(name).is_some())
        }
        // Built by `super::newcomer`.
        ["cargo", "build", "--bin", "crossfade", "--example", "sandbox"] => Ok(()),
        ["cargo", "test"] => Ok(()),
        ["cargo", "test", "--test", "it", rest @ ..] => {
            let filters = rest.iter().filter(|word| !word.starts_with('-'));
            let tests = tests();
            known(filters.copied(), "the tests", |filter| tests.contains(filter))
        }
        ["cargo", "bench", "--bench", bench, rest @ ..] => {
            let source = format!("benches/{bench}.rs");
            let text = existing(&source)?;
            let tables = rest.iter().filter(|word| !word.starts_with('-'));
            known(tables.copied(), &source, |table| text.contains(&format!("\"{table}\"")))
        }
        ["cargo", "mutants", rest @ ..] => {
            let files = rest.windows(2).filter(|pair| ["-f", "--file"].contains(&pair[0]));
            // Of a pattern, the part that is a plain path.
            let place = |pattern: &str| pattern.split('*').next().unwrap_or_default().to_owned();
            known(files.map(|pair| pair[1]), "the project", |file| exists(&place(file)))
        }
        ["cargo", "insta", "review"] => Ok(()),
        [".ci/run", steps @ ..] => {
            let script = existing(".ci/run")?;
            known(steps.iter().copied(), ".ci/run", |step| script.contains(&format!("\n{step}() {{")))
        }
        [".ci/release", "X.Y.Z"] => existing(".ci/release").map(|_| ()),
        [".ci/release", flag, ..] => {
            let script = existing(".ci/release")?;
            known([*flag], ".ci/release", |flag| script.contains(&format!("[\"{flag}\"")))
        }
        [".ci/check-action-script"] => existing(".ci/check-action-script").map(|_| ()),
        ["gh", "auth" | "secret", ..] => Ok(()),
        ["install", "-m", "755", binary, "~/.local/bin/crossfade"] => attested(&[*binary]),
        ["gh", rest @ ..] => attested(rest),
        // From a copy of the repository that its links name.
        ["cargo", "install", "--locked", "--git", url] => {
            let manifest = project_file("Cargo.toml");
            known([*url], "Cargo.toml", |url| manifest.contains(&format!("repository = \"{url}\"")))
        }
        _ => Err("nobody has said how this is checked".to_owned()),
    }
}

/// A line about a release names what the release workflow makes.
fn attested(words: &[&str]) -> Result<(), String> {
    let workflow = ".github/workflows/release.yml";
    let text = existing(workflow)?;
    known(words.iter().copied(), workflow, |word| {
        if let Some(path) = word.strip_prefix("crossfade-rs/crossfade/") {
            return exists(path);
        }
        // Each target's attestation goes by the target's name.
        let word = match word.strip_suffix(".sigstore.json") {
            Some(target) if text.contains("crossfade-$TARGET.sigstore.json") => target,
            _ => word,
        };
        let made = word.strip_prefix("crossfade-").or_else(|| word.starts_with("crossfade.").then_some(word));
        made.is_none_or(|made| made == "rs/crossfade" || text.contains(made))
    })
}

fn assignment(assigned: &str) -> Result<(), String> {
    match assigned.split_once('=') {
        Some(("RUSTUP_TOOLCHAIN", version)) => {
            let promised = format!("rust-version = \"{version}\"");
            known([version], "Cargo.toml", |_| project_file("Cargo.toml").contains(&promised))
        }
        Some(("PROPTEST_CASES", cases)) => known([cases], "numbers", |cases| cases.parse::<u32>().is_ok()),
        _ => Err(format!("nobody has said how {assigned} is checked")),
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// That everything named is there.
fn known<'a>(
    names: impl IntoIterator<Item = &'a str>,
    place: &str,
    is_there: impl Fn(&str) -> bool,
) -> Result<(), String> {
    match names.into_iter().find(|name| !is_there(name)) {
        Some(missing) => Err(format!("{place}: there is no {missing}")),
        None => Ok(()),
    }
}

fn exists(path: &str) -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists()
}

fn existing(path: &str) -> Result<String, String> {
    if exists(path) { Ok(project_file(path)) } else { Err(format!("there is no {path}")) }
}

/// The names of all tests of this binary.
fn tests() -> String {
    let listed = Command::new(std::env::current_exe().unwrap()).args(["--list"]).output().unwrap();
    String::from_utf8(listed.stdout).unwrap()
}

#[test]
fn every_other_command_names_what_exists() {
    let shown = blocks().into_iter().filter(|block| block.language == "sh");
    let shown = shown.flat_map(|block| {
        block.commands().into_iter().map(move |command| (block.page.clone(), command)).collect::<Vec<_>>()
    });
    // In sentences a name alone is no command.
    let begins = ["cargo ", ".ci/run", ".ci/release ", "gh ", "RUSTUP_TOOLCHAIN=", "PROPTEST_CASES="];
    let spans = spans().into_iter().filter(|(_, span)| begins.iter().any(|begin| span.starts_with(begin)));
    let all: Vec<(String, String)> = shown.chain(spans).collect();
    assert!(all.len() > 20, "{}", all.len());
    let problems: Vec<String> = all
        .iter()
        .filter_map(|(page, command)| Some(format!("{page}: {command}: {}", stale(command).err()?)))
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_path_that_a_page_names_exists() {
    let folders =
        ["src/", "tests/", "docs/", "examples/", "benches/", ".github/action/", ".github/release/", ".ci/"];
    let is_path = |span: &String| !span.contains([' ', '*']) && !span.contains("NAME");
    let (mut count, mut missing) = (0, Vec::new());
    for (page, span) in spans().into_iter().filter(|(_, span)| is_path(span)) {
        let is_module = ["docs/architecture.md", "docs/design.md"].contains(&page.as_str())
            && span.contains('/')
            && span.ends_with(".rs")
            && !folders.iter().any(|folder| span.starts_with(folder));
        let path = if is_module { format!("src/{span}") } else { span };
        if is_module || folders.iter().any(|folder| path.starts_with(folder)) {
            count += 1;
            missing.extend((!exists(&path)).then(|| format!("{page}: {path}")));
        }
    }
    assert!(count > 60, "{count}");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn a_stale_command_is_noticed() {
    let stale_ones = [
        "cargo run --example no-such",
        "cargo run --example sandbox -- --no-such-flag",
        "cargo run -- rotat --dry-run",
        "cargo test --test it no_such_test_at_all_or_so",
        "cargo bench --bench figures -- no-such-table",
        "cargo mutants -f src/no/such/**",
        ".ci/run fmt no_such_step",
        ".ci/release --no-such",
        "gh attestation verify crossfade-x86_64-unknown-plan9 --repo crossfade-rs/crossfade",
        "gh attestation verify --signer-workflow crossfade-rs/crossfade/.github/workflows/no.yml",
        "RUSTUP_TOOLCHAIN=1.0 .ci/run",
        "make install",
    ];
    for command in stale_ones {
        assert!(stale(command).is_err(), "{command}");
    }
    assert_eq!(stale("PROPTEST_CASES=1000 cargo test --test it walk -- --nocapture"), Ok(()));
}
