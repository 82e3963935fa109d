//! The provider files that ship with crossfade.

use std::cell::Cell;
use std::sync::{Arc, LazyLock};

use super::Kind;
use super::file::{ProviderFile, ProviderKeys, build};
use crate::config::scalar::Read as _;
use crate::config::yaml;
use crate::diagnostic::{Origin, Problems};

/// Name and text of each, in the order in which they are listed.
const FILES: &[(&str, &str)] = &[
    ("axiom", include_str!("catalogue/axiom.yml")),
    ("softwareone", include_str!("catalogue/softwareone.yml")),
    ("deepset", include_str!("catalogue/deepset.yml")),
    ("launchdarkly", include_str!("catalogue/launchdarkly.yml")),
    ("jupyterhub", include_str!("catalogue/jupyterhub.yml")),
];

/// Every service that crossfade knows by itself.
pub(crate) fn catalogue() -> &'static [Kind] {
    static CATALOGUE: LazyLock<Vec<Kind>> = LazyLock::new(|| {
        READING.set(true);
        let read = |(name, text): &(&'static str, &'static str)| read(name, text, &mut Problems::default());
        let kinds = FILES.iter().filter_map(read).map(|file| Kind(Arc::new(file))).collect();
        READING.set(false);
        kinds
    });
    // A problem of a file would be quoted, which asks for the forms of all tokens, which
    // the files contain.
    if READING.get() { &[] } else { &CATALOGUE }
}

thread_local! {
    static READING: Cell<bool> = const { Cell::new(false) };
}

fn read(name: &'static str, text: &'static str, problems: &mut Problems) -> Option<ProviderFile> {
    let root = yaml::parse(text).map_err(|(origin, invalid)| problems.error(origin, invalid)).ok()?;
    let keys = ProviderKeys::read(&root, problems)?;
    build(name, Some(text), &keys, Origin::Missing, problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_right() {
        for (name, text) in FILES {
            let mut problems = Problems::default();
            problems.set_file(&format!("{name}.yml"), text);
            let file = read(name, text, &mut problems);
            assert!(file.is_some() && problems.is_empty(), "{problems}");
        }
        assert_eq!(catalogue().len(), FILES.len());
    }
}
