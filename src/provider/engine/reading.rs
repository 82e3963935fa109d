//! From the JSON of a reply to a [`Token`] without secrets.

use std::slice::from_ref;

use serde_json::{Map, Value, json};

use super::Provider;
use crate::provider::file::template::{Placeholder, Pointer, text_of};
use crate::provider::file::time::TimeForm;
use crate::provider::{Error, Result, Token};

/// Where the beginning and the end of a value are kept in a token's JSON: a name that no
/// service uses, so that they are never taken for a value.
const HINT: &str = "crossfade hint";

/// The most characters of a field's name that is quoted.
const LONGEST_NAME: usize = 24;

/// The most characters of a value that a hint may show.
const LONGEST_HINT: usize = 8;

impl Provider {
    /// Reads one item of a list; `None`: it is no token, or not any more.
    pub(super) fn read_token(&self, mut shown: Value) -> Result<Option<Token>> {
        let rules = &self.file().token;
        let values = |placeholder: &Placeholder| self.variable(placeholder);
        let hint = rules.hint.as_ref().and_then(|at| at.of(&shown)?.as_str().map(str::to_owned));
        strip(&mut shown, &self.file().secrets);
        let is_short = |hint: &String| hint.chars().filter(|c| is_shown(*c)).count() <= LONGEST_HINT;
        if let (Some(hint), Some(fields)) = (hint.filter(is_short), shown.as_object_mut()) {
            fields.insert(HINT.to_owned(), json!(hint));
        }
        if rules.ignore.iter().any(|condition| condition.holds(&shown, &values))
            || !rules.only.iter().all(|condition| condition.holds(&shown, &values))
        {
            return Ok(None);
        }
        let text = |at: &Pointer| at.of(&shown).and_then(text_of);
        let id = text(&rules.id).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| {
            Error::unreadable(&format!("a token without an id at {}", at("token.id", from_ref(&rules.id))))
        })?;
        let expires_at = match &rules.expires {
            None => None,
            Some((place, form)) => form.read(place.of(&shown)).map_err(|_| {
                Error::unreadable(&format!("no date in its form at {}", at("token.expires", from_ref(place))))
            })?,
        };
        // A date that only supports the picture may be missing.
        let date = |rule: &Option<(Pointer, TimeForm)>| {
            let (at, form) = rule.as_ref()?;
            form.read(at.of(&shown)).ok().flatten()
        };
        let disabled = !rules.disabled.is_empty()
            && rules.disabled.iter().all(|condition| condition.holds(&shown, &values));
        let token = Token {
            name: text(&rules.name).unwrap_or_default(),
            note: text(&rules.marker).unwrap_or_default(),
            expires_at,
            created_at: date(&rules.created),
            changed_at: date(&rules.changed),
            last_used_at: date(&rules.last_used),
            disabled,
            privileges: rules.privileges(&shown, &values),
            id,
            raw: shown,
        };
        Ok(Some(token))
    }
}

/// A key of the file, and where that points to: `list.items` (/data).
pub(super) fn at(key: &str, pointers: &[Pointer]) -> String {
    let places: Vec<&str> = pointers.iter().map(Pointer::text).collect();
    match places.as_slice() {
        [] | [""] => format!("`{key}`"),
        places => format!("`{key}` ({})", places.join(", ")),
    }
}

/// The names of a reply's fields, for the end of a sentence; only what is certainly a name.
pub(super) fn fields(reply: &Value) -> String {
    let is_name = |name: &&String| {
        name.len() <= LONGEST_NAME && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let names: Vec<String> =
        reply.as_object().into_iter().flat_map(Map::keys).filter(is_name).cloned().collect();
    if names.is_empty() { String::new() } else { format!("; it has {}", names.join(", ")) }
}

/// Removes the fields of these names, wherever they stand.
fn strip(value: &mut Value, secrets: &[String]) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(|one| strip(one, secrets)),
        Value::Object(fields) => {
            fields.retain(|field, _| !secrets.contains(field));
            fields.values_mut().for_each(|one| strip(one, secrets));
        }
        _ => {}
    }
}

/// What a token shows of its value.
pub(super) fn hint_of(raw: &Value) -> &str {
    raw.get(HINT).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a value begins and ends as its hint does. What the hint hides is a run of
/// anything that no value consists of; without such a run it is the end alone.
pub(super) fn fits_hint(value: &str, hint: &str) -> bool {
    let first = hint.find(|c| !is_shown(c)).unwrap_or(0);
    let last = hint.rfind(|c| !is_shown(c)).map_or(0, |at| hint.ceil_char_boundary(at + 1));
    value.starts_with(&hint[..first]) && value.ends_with(&hint[last..])
}

fn is_shown(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hint_tells_what_a_value_is_not() {
        for hint in ["api_****wxyz", "api_…wxyz", "api_...wxyz", "", "****", "api_abcdwxyz", "wxyz"] {
            assert!(fits_hint("api_abcdwxyz", hint), "{hint}");
        }
        for hint in ["api_****wxy", "apa_****wxyz", "****z-"] {
            assert!(!fits_hint("api_abcdwxyz", hint), "{hint}");
        }
    }

    proptest! {
        #[test]
        fn no_hint_panics(value in ".{0,20}", hint in ".{0,20}") {
            prop_assert!(!fits_hint(&value, &hint) || value.len() < 100);
        }
    }
}
