//! The provider files that ship with crossfade, as text. [`crate::provider`] reads them.

/// Name and text of each, in the order in which they are listed.
pub(crate) const FILES: &[(&str, &str)] = &[
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
