//! The command line, by the cases in `tests/cases`.
//!
//! A case is a file `NAME.yml`: the arguments, and the environment and the files, if any.
//! Beside it, `NAME.snap` holds what the built binary prints and its exit code. To add one,
//! write the first, run `INSTA_UPDATE=always cargo test --test it cases`, and read the
//! second.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// By their paths in the working directory.
    #[serde(default)]
    files: BTreeMap<String, String>,
}

impl Case {
    fn run(&self) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in &self.files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command.current_dir(&folder).env_clear().envs(&self.env).args(&self.args);
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| without_providers(std::str::from_utf8(bytes).unwrap());
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        format!("exit code {}\n--- stdout\n{stdout}--- stderr\n{stderr}", output.status.code().unwrap())
    }
}

/// A new provider changes no page and no error.
fn without_providers(text: &str) -> String {
    let line = |line: &str| match line.split_once("Allowed: `axiom`") {
        Some((before, _)) => format!("{before}Allowed: <the providers>\n"),
        None => format!("{line}\n"),
    };
    let text: String = text.lines().map(line).collect();
    let Some((before, after)) = text.split_once("[possible values: axiom,") else { return text };
    let (_, after) = after.split_once(']').unwrap();
    format!("{before}[possible values: axiom…]{after}")
}

#[test]
fn the_binary_prints_what_it_printed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(&folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut count = 0;
    for file in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_none_or(|extension| extension != "yml") {
            continue;
        }
        let name = file.file_stem().unwrap().to_str().unwrap();
        let case: Case = serde_saphyr::from_str(&std::fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        settings.bind(|| insta::assert_snapshot!(name, case.run()));
        count += 1;
    }
    assert!(count > 0, "no cases in {}", folder.display());
}
