//! What `check` says about a configuration that is good, or not.

use serde_json::{Value, json};

use super::{Config, Rotation};
use crate::diagnostic::{Problems, printable};
use crate::redact::Redactor;

/// For people.
pub(crate) fn text(config: &Config) -> String {
    let many = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let secrets = config.rotations.iter().map(|r| r.secrets.len()).sum();
    let mut text = format!(
        "The configuration is good: {}, {}.\n",
        many(config.rotations.len(), "rotation"),
        many(secrets, "secret")
    );
    for Rotation { name, provider, token, policy, secrets, patterns, .. } in &config.rotations {
        let more = if patterns.is_empty() {
            String::new()
        } else {
            format!(" and {}", many(patterns.len(), "pattern"))
        };
        text.push_str(&format!(
            "  {}: {} token {}, lifetime {}, overlap {}, rotated {} before its end, into {}{more}\n",
            printable(name),
            provider.kind,
            printable(token),
            policy.lifetime,
            policy.overlap,
            policy.rotate_before,
            many(secrets.len(), "secret"),
        ));
    }
    text
}

/// For programs: `ok`, the selected rotations, and all problems with their origins.
pub(crate) fn json(config: Option<&Config>, problems: &Problems, redactor: &Redactor) -> String {
    let rotations: Vec<_> = config
        .iter()
        .flat_map(|config| &config.rotations)
        .map(|rotation| {
            json!({
                "name": rotation.name,
                "provider": rotation.provider.kind.to_string(),
                "token": rotation.token,
                "lifetime": rotation.policy.lifetime,
                "overlap": rotation.policy.overlap,
                "rotate_before": rotation.policy.rotate_before,
                "secrets": rotation.secrets.iter().map(|s| s.destination.to_string()).collect::<Vec<_>>(),
                "patterns": rotation.patterns.len(),
            })
        })
        .collect();
    let mut document = json!({ "ok": config.is_some(), "rotations": rotations, "problems": problems });
    scrub(&mut document, redactor);
    format!("{document:#}\n")
}

/// Makes every text safe to print before it is quoted.
fn scrub(document: &mut Value, redactor: &Redactor) {
    match document {
        Value::String(text) => *text = redactor.scrub(text),
        Value::Array(all) => all.iter_mut().for_each(|one| scrub(one, redactor)),
        Value::Object(all) => all.values_mut().for_each(|one| scrub(one, redactor)),
        _ => {}
    }
}
