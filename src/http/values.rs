//! New secrets in replies: the one place where a value enters this program.
//!
//! A reply that carries a new token's value is looked through as soon as its bytes
//! are here: before it is logged, judged, parsed or dropped. So what follows may
//! quote the value, and the redactor knows it already.

use std::collections::BTreeSet;
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::redact::GRAM;

/// Called with every new secret, before anything else can carry it.
pub(crate) type Announce = Arc<dyn Fn(&SecretString) + Send + Sync>;

/// Which fields of a reply's JSON hold new secrets, and the callback that receives them.
#[derive(Clone)]
pub(crate) struct Values {
    /// Names of fields, wherever in the document they stand.
    pub fields: Arc<[String]>,
    /// Called with each value.
    pub announce: Announce,
}

impl Values {
    /// Announces every value that `body` shows, be it whole JSON or not. Short texts
    /// are not values: some services show the last characters of one.
    pub(super) fn announce_in(&self, body: &[u8]) {
        let mut found = BTreeSet::new();
        if let Ok(document) = serde_json::from_slice::<Value>(body) {
            self.collect(&document, false, &mut found);
        }
        // Also what a parser does not give: the first of two equal keys, and a body
        // that was cut off.
        let text = Zeroizing::new(String::from_utf8_lossy(body).into_owned());
        found.extend(self.fields.iter().flat_map(|field| written(&text, field)));
        for value in found.into_iter().filter(|value| value.len() >= GRAM) {
            (self.announce)(&SecretString::from(value));
        }
    }

    fn collect(&self, document: &Value, is_inside: bool, found: &mut BTreeSet<String>) {
        match document {
            Value::String(text) if is_inside => drop(found.insert(text.clone())),
            Value::Array(all) => all.iter().for_each(|one| self.collect(one, is_inside, found)),
            Value::Object(all) => all.iter().for_each(|(key, one)| {
                self.collect(one, is_inside || self.fields.contains(key), found);
            }),
            _ => {}
        }
    }
}

/// Every text that follows `"field":`, to its closing quote or the end.
fn written<'t>(text: &'t str, field: &str) -> impl Iterator<Item = String> + use<'t> {
    let key = format!("\"{field}\"");
    let starts: Vec<usize> = text.match_indices(&key).map(|(at, key)| at + key.len()).collect();
    starts.into_iter().filter_map(|start| {
        let rest = text[start..].trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
        let mut is_escaped = false;
        let end = rest.find(|c| {
            let ends = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        let written = &rest[..end.unwrap_or(rest.len())];
        Some(serde_json::from_str(&format!("\"{written}\"")).unwrap_or_else(|_| written.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use secrecy::ExposeSecret as _;

    use super::*;

    fn announced(body: &str) -> Vec<String> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        let announce =
            Arc::new(move |value: &SecretString| kept.lock().unwrap().push(value.expose_secret().to_owned()));
        Values { fields: Arc::from(["token".to_owned(), "key".to_owned()]), announce }
            .announce_in(body.as_bytes());
        Arc::try_unwrap(seen)
            .map_or_else(|seen| seen.lock().unwrap().clone(), |seen| seen.into_inner().unwrap())
    }

    #[test]
    fn every_value_is_announced_whatever_surrounds_it() {
        let cases: [(&str, &[&str]); 12] = [
            (r#"{"token": "first-secret-value", "name": "not-a-secret-value"}"#, &["first-secret-value"]),
            (r#"{"a": [{"key": "first-secret-value"}]}"#, &["first-secret-value"]),
            (r#"{"token": {"value": ["first-secret-value"]}}"#, &["first-secret-value"]),
            (r#"{"tok\u0065n": "first-secret-value"}"#, &["first-secret-value"]),
            (r#"{"token": "first-\u0073ecret\/value"}"#, &["first-secret/value"]),
            (
                r#"{"token": "first-secret-value", "token": "other-secret-value"}"#,
                &["first-secret-value", "other-secret-value"],
            ),
            (r#"{"id": 1, "token" : "first-secret-val"#, &["first-secret-val"]),
            (r#"{"token":"first-secret-value","id":"#, &["first-secret-value"]),
            (r#"{"token":"first-secret\"value", oops"#, &["first-secret\"value"]),
            (r#"<html>"token":"first-secret\q-value""#, &[r"first-secret\q-value"]),
            (r#"{"token": "1f2e", "key": null}"#, &[]),
            ("", &[]),
        ];
        for (body, expected) in cases {
            assert_eq!(announced(body), expected, "{body}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_body_panics(body in proptest::prelude::prop_oneof!["\\PC{0,40}", "[\"\\\\token: {}é]{0,60}"]) {
            announced(&body);
        }
    }
}
