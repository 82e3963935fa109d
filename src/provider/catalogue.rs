//! The services that crossfade knows by itself.

use std::sync::{LazyLock, OnceLock};

use url::Url;

use super::Kind;
use super::file::{ProviderFile, ProviderKeys, build};
use crate::catalogue::FILES;
use crate::diagnostic::{Origin, Problems};
use crate::yaml::{self, keys::Read as _};

/// Every service that crossfade knows by itself.
pub(crate) fn catalogue() -> &'static [Kind] {
    static CATALOGUE: LazyLock<Vec<Kind>> =
        LazyLock::new(|| FILES.iter().filter_map(|(name, _)| built_in(name)).cloned().collect());
    &CATALOGUE
}

/// One of them. Its file is read when it is first asked for: most runs need a single one.
pub(crate) fn built_in(name: &str) -> Option<&'static Kind> {
    static KINDS: [OnceLock<Option<Kind>>; FILES.len()] = [const { OnceLock::new() }; FILES.len()];
    let place = FILES.iter().position(|(known, _)| *known == name)?;
    let (name, text) = FILES[place];
    KINDS[place].get_or_init(|| read(name, text, &mut Problems::default()).map(Kind::new)).as_ref()
}

/// Name and origin of each that is a public service. No file is read whole for this.
pub(crate) fn origins<'n>() -> impl Iterator<Item = (&'n str, String)> {
    let api = |text: &'static str| text.lines().find_map(|line| Url::parse(line.strip_prefix("api: ")?).ok());
    FILES.iter().filter_map(move |(name, text)| Some((*name, api(text)?.origin().ascii_serialization())))
}

fn read(name: &'static str, text: &'static str, problems: &mut Problems) -> Option<ProviderFile> {
    let root = yaml::parse(text).map_err(|(origin, invalid)| problems.error(origin, invalid)).ok()?;
    let keys = ProviderKeys::read(&root, problems)?;
    build(name, Some(text), &keys, Origin::Missing, problems)
}

/// `text` without the providers beside Axiom, so that a new one changes no snapshot.
#[cfg(test)]
pub(crate) fn all_but_axiom_left_out(text: &str) -> String {
    text.replace(&crate::diagnostic::one_of(catalogue().iter().map(Kind::name)), "`axiom`")
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
        let origins = catalogue().iter().filter_map(|kind| Some((kind.name(), kind.origin()?)));
        assert!(super::origins().eq(origins), "each file says `api` in a line of its own");
    }

    /// Whether a marker fits is published, or must be proved. Of the first four no limit is
    /// known, and rotations would have to be changed to ask for a proof: a new token without its
    /// marker is revoked before anything is written.
    #[test]
    fn a_marker_fits_or_must_be_proved() {
        let is_open = |kind: &&Kind| {
            let file = kind.file();
            file.token.marker_max.is_none() && file.unproved.is_none()
        };
        let open: Vec<&str> = catalogue().iter().filter(is_open).map(Kind::name).collect();
        assert_eq!(open, ["axiom", "softwareone", "deepset", "launchdarkly"]);
    }

    #[test]
    fn every_file_says_what_the_credential_needs() {
        let unsaid = |kind: &&Kind| !kind.file().source.is_some_and(|text| text.contains("\nneeds: "));
        assert_eq!(catalogue().iter().filter(unsaid).map(Kind::name).collect::<Vec<_>>(), [""; 0]);
    }
}
