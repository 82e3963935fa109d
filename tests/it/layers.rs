//! The modules depend on each other in one direction, as docs/architecture.md draws them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Every source file below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// What each top-level module imports from others. Tests may import what they like.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files(&source) {
        let path = file.strip_prefix(&source).unwrap().to_str().unwrap();
        let name = path.split('/').next().unwrap().trim_end_matches(".rs");
        if path.contains("tests") || path.contains("samples") || ["lib", "main", "signals"].contains(&name) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let words = code.flat_map(|line| line.split("crate::").skip(1));
        let modules =
            words.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap());
        let others = modules.filter(|module| *module != name).map(str::to_owned);
        imports.entry(name.to_owned()).or_default().extend(others);
    }
    imports
}

#[test]
fn no_module_imports_one_that_imports_it() {
    let mut left = imports();
    loop {
        let known: BTreeSet<String> = left.keys().cloned().collect();
        let before = left.len();
        left.retain(|_, imported| imported.iter().any(|module| known.contains(module)));
        if left.is_empty() {
            return;
        }
        assert!(left.len() < before, "these import each other: {left:#?}");
    }
}
