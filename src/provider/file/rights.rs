//! What a token may do, read from the JSON that the service shows.

use serde_json::{Map, Value};

use super::template::Values;
use super::{Projection, Right, TokenRules};

impl TokenRules {
    /// What a token may do, in canonical form: equal rights compare equal.
    pub(crate) fn privileges(&self, raw: &Value, values: &Values<'_>) -> Value {
        let known = self.rights.iter().filter_map(|right| Some((right.name.clone(), right.of(raw, values)?)));
        let unknown = self.unknown_rights(raw);
        canonicalize(Value::Object(known.chain(unknown).collect()))
    }

    /// The right of this name, as a creation takes it.
    pub(crate) fn copied(&self, name: &str, raw: &Value, values: &Values<'_>) -> Option<Value> {
        let right = self.rights.iter().find(|right| right.name == name)?;
        let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
        right.of(raw, values).filter(|value| !(right.omits_empty && is_empty(value)))
    }

    /// Fields that grant something and that the file does not name.
    pub(crate) fn unknown_rights(&self, raw: &Value) -> Map<String, Value> {
        let is_named = |field: &str| self.rights.iter().any(|right| right.at.text() == format!("/{field}"));
        let all = raw.as_object().filter(|_| self.copies_unknown_rights).into_iter().flatten();
        all.filter(|(field, _)| grants(field) && !is_named(field))
            .map(|(field, value)| (field.clone(), value.clone()))
            .collect()
    }

    /// Whether everything is there without which a token cannot be copied.
    pub(crate) fn shows_required_rights(&self, raw: &Value) -> bool {
        self.rights.iter().all(|right| !right.is_required || right.at.of(raw).is_some())
    }
}

impl Right {
    fn of(&self, raw: &Value, values: &Values<'_>) -> Option<Value> {
        if !self.unless.is_empty() && self.unless.iter().all(|condition| condition.holds(raw, values)) {
            return None;
        }
        match self.at.of(raw) {
            // Left out, it might get a value that the previous token did not have.
            Some(Value::Null) if self.is_required => Some(Value::Null),
            None | Some(Value::Null) => self.default.clone(),
            Some(shown) => Some(self.projection.of(shown)),
        }
    }
}

impl Projection {
    fn of(&self, shown: &Value) -> Value {
        match (self, shown) {
            (Self::Keep(paths), _) => kept(shown, &paths.iter().map(String::as_str).collect::<Vec<_>>()),
            (_, Value::Array(all)) => Value::Array(all.iter().map(|one| self.of_one(one)).collect()),
            (_, one) => self.of_one(one),
        }
    }

    fn of_one(&self, one: &Value) -> Value {
        let Some(fields) = one.as_object() else { return one.clone() };
        match self {
            Self::Whole | Self::Keep(_) => one.clone(),
            Self::Drop(names) => {
                let kept = fields.iter().filter(|(field, _)| !names.contains(field));
                kept.map(|(field, value)| (field.clone(), value.clone())).collect()
            }
            Self::Each(name) => fields.get(name).unwrap_or(one).clone(),
        }
    }
}

/// Of an object, or of each in a list, these fields; `a/b` is `b` of `a`.
fn kept(shown: &Value, paths: &[&str]) -> Value {
    let fields = match shown {
        Value::Array(all) => return all.iter().map(|one| kept(one, paths)).collect(),
        Value::Object(fields) => fields,
        other => return other.clone(),
    };
    let of = |(field, value): (&String, &Value)| {
        let is_whole = paths.contains(&field.as_str());
        let inside: Vec<&str> = paths
            .iter()
            .filter_map(|path| path.split_once('/').filter(|(first, _)| first == field).map(|(_, rest)| rest))
            .collect();
        match (is_whole, inside.is_empty()) {
            (true, _) => Some((field.clone(), value.clone())),
            (false, false) => Some((field.clone(), kept(value, &inside))),
            (false, true) => None,
        }
    };
    Value::Object(fields.iter().filter_map(of).collect())
}

/// Whether a field of a token grants something, also one that this version has never
/// heard of. A field that records something (who made the token, when it was used) has
/// another ending.
pub(crate) fn grants(field: &str) -> bool {
    let field = field.to_ascii_lowercase();
    ["capabilities", "permissions", "privileges", "scopes"].iter().any(|ending| field.ends_with(ending))
}

/// Canonical form of privileges: sets sorted, empty parts removed.
pub(crate) fn canonicalize(value: Value) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        _ => false,
    };
    match value {
        Value::Array(all) => {
            let mut all: Vec<Value> = all.into_iter().map(canonicalize).collect();
            all.sort_by_cached_key(Value::to_string);
            all.dedup();
            Value::Array(all)
        }
        Value::Object(all) => {
            let all = all.into_iter().map(|(key, value)| (key, canonicalize(value)));
            let mut all: Map<_, _> = all.filter(|(_, value)| !is_empty(value)).collect();
            all.sort_keys();
            Value::Object(all)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_rights_compare_equal() {
        let one = json!({"b": {"query": ["read"], "ingest": []}, "a": ["x", "y"], "c": {}});
        let other = json!({"a": ["y", "x", "x"], "b": {"query": ["read"]}});
        assert_eq!(canonicalize(one), canonicalize(other));
        assert_ne!(canonicalize(json!({"a": ["x"]})), canonicalize(json!({"a": ["x", "y"]})));
    }

    #[test]
    fn granting_fields_differ_from_recording_ones() {
        for field in ["orgCapabilities", "telepathyCapabilities", "dataset_permissions", "scopes"] {
            assert!(grants(field), "{field}");
        }
        for field in [
            "auditIdentity",
            "apiLastUsed",
            "ingestLastUsed",
            "lastUsedAt",
            "createdAt",
            "createdBy",
            "id",
            "samlAuthenticated",
            "usage",
            "owner",
            "colour",
        ] {
            assert!(!grants(field), "{field}");
        }
    }

    #[test]
    fn a_projection_applies_to_an_object_and_to_each_in_a_list() {
        let shown = json!([{"id": 1, "name": "a"}, {"id": 2}, "plain"]);
        let of = |projection: Projection| projection.of(&shown);
        assert_eq!(of(Projection::Keep(vec!["id".into()])), json!([{"id": 1}, {"id": 2}, "plain"]));
        assert_eq!(of(Projection::Drop(vec!["id".into()])), json!([{"name": "a"}, {}, "plain"]));
        assert_eq!(of(Projection::Each("name".into())), json!(["a", {"id": 2}, "plain"]));
        assert_eq!(of(Projection::Whole), shown);
        let policies = json!([{"id": 1, "effect": "allow", "groups": [{"id": 2, "name": "Read"}]}]);
        assert_eq!(
            Projection::Keep(vec!["effect".into(), "groups/id".into()]).of(&policies),
            json!([{"effect": "allow", "groups": [{"id": 2}]}])
        );
    }
}
