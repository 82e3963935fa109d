//! The files that `crossfade init` writes, as texts. The workflows are those of `examples/workflows`.

use super::Setup;
use crate::config::{Destination, Scope};
use crate::diagnostic::suspicious;

pub(crate) const CONFIG: &str = ".github/crossfade.yml";
pub(crate) const ROTATE: &str = ".github/workflows/rotate.yml";
pub(crate) const MONITOR: &str = ".github/workflows/monitor.yml";

const ROTATE_EXAMPLE: &str = include_str!("../../examples/workflows/rotate.yml");
const MONITOR_EXAMPLE: &str = include_str!("../../examples/workflows/monitor.yml");

/// The variable with the provider credential in the examples, and the secret of the
/// credential that only reads.
const EXAMPLE_CREDENTIAL: &str = "AXIOM_ADMIN_TOKEN";
const EXAMPLE_READER: &str = "AXIOM_READ_TOKEN";

/// The repository that rotates in the examples.
const EXAMPLE_REPOSITORY: &str = "acme/infra";

/// How the examples begin, for those who copy them.
const COPY: &str = "Copy it to .github/workflows/, and put\n# your rotations into .github/crossfade.yml.";

/// How the example signs in to GitHub, and how an App does.
const TOKEN: &str = "          # May write secrets; the workflow's own token may not.
          github-token: ${{ secrets.CROSSFADE_GITHUB_TOKEN }}
";
const APP: &str = "          github-app-id: ${{ vars.CROSSFADE_APP_ID }}
          github-app-private-key: ${{ secrets.CROSSFADE_APP_PRIVATE_KEY }}
";

/// What only runs that sign markers have.
const SIGNED_ROTATION: &str = "          # Optional; once a run has signed a marker, every run needs the key.
          marker-key: ${{ secrets.CROSSFADE_MARKER_KEY }}
";
const SIGNED_MONITOR: &str = "          # Only if your runs sign markers; then here first.
          CROSSFADE_MARKER_KEY: ${{ secrets.CROSSFADE_MARKER_KEY }}
";

/// Every file, with its path from the root of the checkout.
pub(crate) fn all(setup: &Setup) -> Vec<(&'static str, String)> {
    let mut files = vec![(CONFIG, configuration(setup)), (ROTATE, rotate(setup))];
    files.extend(setup.extras.monitor.then(|| (MONITOR, monitor(setup))));
    files
}

/// The secret with a provider credential that only reads.
pub(super) fn reader(setup: &Setup) -> String {
    setup.rotation.provider.credential.replace("_ADMIN_TOKEN", "_READ_TOKEN")
}

fn configuration(setup: &Setup) -> String {
    let rotation = &setup.rotation;
    let (provider, policy) = (&rotation.provider, &rotation.policy);
    let url = provider.url.as_ref().map(|url| format!("    provider_url: {}\n", scalar(url.as_str())));
    let with = provider.with.iter().map(|(name, value)| format!("      {name}: {}\n", scalar(value)));
    let with: String = with.collect();
    let with = if with.is_empty() { with } else { format!("    with:\n{with}") };
    let secrets = setup.destinations().map(|one| format!("      - {}\n", scalar(&short(one, setup))));
    format!(
        "# yaml-language-server: $schema=https://raw.githubusercontent.com/crossfade-rs/crossfade/v{version}/docs/crossfade.schema.json
# All keys: {docs}/configuration.md
rotations:
  - name: {name}
    provider: {kind}
{url}{with}    credential: {credential} # the variable that holds the provider credential
    token: {token} # name or id of the token to keep fresh
    lifetime: {lifetime} # these three are the defaults
    overlap: {overlap}
    rotate_before: {rotate_before}
    secrets: # every secret that holds the token
{secrets}",
        version = env!("CARGO_PKG_VERSION"),
        docs = super::steps::DOCS,
        name = scalar(&rotation.name),
        kind = provider.kind,
        url = url.unwrap_or_default(),
        credential = provider.credential,
        token = scalar(&rotation.token),
        lifetime = policy.lifetime,
        overlap = policy.overlap,
        rotate_before = policy.rotate_before,
        secrets = secrets.collect::<String>(),
    )
}

/// A destination as a user writes it: without the repository that the file is in.
fn short(destination: &Destination, setup: &Setup) -> String {
    let text = destination.to_string();
    let is_here = matches!(&destination.scope, Scope::Repository(one) if *one == setup.rotation.repository);
    let own = format!("{}:", destination.scope);
    if is_here { text.replacen(&own, "", 1) } else { text }
}

fn rotate(setup: &Setup) -> String {
    let text = ROTATE_EXAMPLE.replacen(COPY, "Which: .github/crossfade.yml.", 1);
    let text = if setup.extras.sign { text } else { text.replacen(SIGNED_ROTATION, "", 1) };
    let text = if setup.extras.app { text.replacen(TOKEN, APP, 1) } else { text };
    with_credential(&text, setup)
}

fn monitor(setup: &Setup) -> String {
    let text = if setup.extras.sign {
        MONITOR_EXAMPLE.to_owned()
    } else {
        MONITOR_EXAMPLE.replacen(SIGNED_MONITOR, "", 1)
    };
    let text = text.replace(EXAMPLE_REPOSITORY, &setup.rotation.repository.to_string());
    with_credential(&text, setup).replace(EXAMPLE_READER, &reader(setup))
}

fn with_credential(text: &str, setup: &Setup) -> String {
    text.replace(EXAMPLE_CREDENTIAL, &setup.rotation.provider.credential)
}

/// A text as YAML: as it stands if nothing in it means anything to YAML, else quoted, with
/// escapes for what a reader would not see.
fn scalar(text: &str) -> String {
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '@' | ':' | '+');
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(is_plain)
        && !text.ends_with(':')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if is_word {
        return text.to_owned();
    }
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if suspicious(c) => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::yaml::{self, Value};

    proptest! {
        #[test]
        fn a_scalar_is_read_as_what_was_written(text in prop_oneof![any::<String>(), "\\PC*", "[-:#&*!|>'\"%@`{}\\[\\], a0.~?\\\\]{0,12}"]) {
            let root = yaml::parse(&format!("key: {} # comment\n", scalar(&text))).unwrap();
            let Value::Map(entries) = &root.value else { panic!("no mapping") };
            let Value::Scalar { text: read, json } = &entries[0].1.value else { panic!("no scalar") };
            prop_assert!(json.is_string(), "{:?}", json);
            prop_assert_eq!(read, &text);
        }
    }

    #[test]
    fn what_reads_as_something_else_is_quoted() {
        for text in
            ["", "true", "No", "42", "1e3", ".inf", "~", "a: b", "a:", "a #b", "-", "0x1f", "2026-01-01"]
        {
            assert_eq!(scalar(text), format!("\"{text}\""));
        }
        for text in
            ["ci-ingest", "acme/api@production:AXIOM_TOKEN", "dependabot+org:acme:A", "https://a.example/x"]
        {
            assert_eq!(scalar(text), text);
        }
        assert_eq!(scalar("a\u{202e}\n\"\\"), r#""a\U0000202e\U0000000a\"\\""#);
    }
}
