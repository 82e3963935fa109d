//! From a clone to a dry run and a rotation against the sandbox, by the README's own
//! lines, in a shell.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::page::{Block, blocks, words};

/// A program that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What tests are started with and terminals are not. Build scripts look at some of
/// it: to them the crates would be others, and everything would be built once more.
const NOT_IN_A_TERMINAL: [&str; 7] = [
    "CROSSFADE_",
    "GITHUB_",
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_CRATE_",
    "CARGO_BIN_",
    "CARGO_PRIMARY_",
];

/// In the project, as from a newcomer's terminal, with the crates that are here.
fn in_the_project(program: &str) -> Command {
    let mut command = Command::new(program);
    let is_ours = |name: &str| NOT_IN_A_TERMINAL.iter().any(|prefix| name.starts_with(prefix));
    for (name, _) in std::env::vars().filter(|(name, _)| is_ours(name)) {
        command.env_remove(name);
    }
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("CARGO_NET_OFFLINE", "true");
    command
}

/// With `ID` for each id of a token, which is another in every run.
fn without_ids(text: &str) -> String {
    let is_id = |word: &str| word.len() == 8 && word.chars().all(|c| c.is_ascii_hexdigit());
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()).map(|word| {
        let name = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if is_id(name) { word.replace(name, "ID") } else { word.to_owned() }
    });
    words.collect()
}

#[test]
fn the_readme_leads_to_a_dry_run_and_a_rotation() {
    if !cfg!(debug_assertions) {
        return; // Its commands would build everything once more.
    }
    let all: Vec<Block> = blocks().into_iter().filter(|block| block.page == "README.md").collect();
    let serve = all.iter().position(|block| block.text.contains("--serve")).unwrap();
    let [build, start] = all[serve].commands().try_into().unwrap();
    let follow = &all[serve + 1];
    let built = in_the_project("cargo").args(&words(&build)[1..]).status().unwrap();
    assert!(built.success(), "{build}");

    // cargo becomes the example, so that to kill the one is to kill the other.
    let mut server = in_the_project("cargo");
    server.args(&words(&start)[1..]).stdout(Stdio::piped());
    let mut server = Server(server.spawn().unwrap());
    let lines = BufReader::new(server.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let printed: Vec<String> = lines.take_while(|line| !line.starts_with("Ctrl-C")).collect();
    let exports = printed.iter().position(|line| line.starts_with("export ")).unwrap();

    let mut shell = in_the_project("sh");
    shell.args(["-e", "-c", &[&printed[exports..].join("\n"), follow.text.as_str()].join("\n")]);
    let ran = shell.output().unwrap();
    let (output, errors) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{output}\n{errors}");
    // The dry run is the one that the README shows.
    let shown = all.iter().find(|block| block.language == "console").unwrap();
    let shown = shown.text.strip_prefix("$ crossfade rotate --dry-run\n").unwrap();
    assert!(without_ids(&output).contains(&without_ids(shown)), "not as in the README:\n{output}");
    // Each command says what the line beside it promises.
    let mut rest = &*output;
    for words in [
        "VERDICT",
        "in 11 days",
        "acme/infra:AXIOM_TOKEN",
        "acme/api:AXIOM_TOKEN",
        "1 due",
        "would rotate ci-ingest",
        "Nothing was changed",
        "rotated ci-ingest",
        "1 rotated",
        "fresh",
        "Previous tokens:",
    ] {
        rest = rest.split_once(words).unwrap_or_else(|| panic!("no {words:?} in\n{rest}\nof\n{output}")).1;
    }
}
