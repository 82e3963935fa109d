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
    ("gitlab", include_str!("catalogue/gitlab.yml")),
    ("grafana", include_str!("catalogue/grafana.yml")),
    ("grafana-cloud", include_str!("catalogue/grafana-cloud.yml")),
    ("cloudflare", include_str!("catalogue/cloudflare.yml")),
    ("cloudflare-user", include_str!("catalogue/cloudflare-user.yml")),
    ("hcp-terraform", include_str!("catalogue/hcp-terraform.yml")),
    ("buildkite", include_str!("catalogue/buildkite.yml")),
    ("databricks", include_str!("catalogue/databricks.yml")),
    ("pulumi", include_str!("catalogue/pulumi.yml")),
    ("pulumi-team", include_str!("catalogue/pulumi-team.yml")),
    ("snyk", include_str!("catalogue/snyk.yml")),
    ("datadog", include_str!("catalogue/datadog.yml")),
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
