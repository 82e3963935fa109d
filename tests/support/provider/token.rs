//! A token as a fake keeps it, and how a test describes one.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::super::marker::Marker;

/// What the fake keeps of a token.
#[derive(Debug, Clone)]
pub struct FakeToken {
    /// The service's id.
    pub id: String,
    /// The value.
    pub value: String,
    /// Everything that a client may set, unknown fields included, without expiry.
    pub raw: Map<String, Value>,
    /// When it expires; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was made, by the server's clock.
    pub created_at: Timestamp,
    /// When it was disabled or enabled.
    pub changed_at: Option<Timestamp>,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
    /// Not accepted until it is enabled again.
    pub disabled: bool,
    /// Deleted tokens are kept, so that tests can check them.
    pub deleted: bool,
    /// Not made by crossfade, whatever its marker says: no invariant is about it.
    pub forged: bool,
    /// The token that it was regenerated from.
    pub parent: Option<String>,
    /// How many lists it is still missing from.
    pub hidden_lists: u32,
    /// Before this, it is missing from lists.
    pub listed_from: Timestamp,
    /// How many authentications are still refused.
    pub refused_uses: u32,
    /// Before this, it is not accepted.
    pub accepted_from: Timestamp,
}

impl FakeToken {
    pub(super) fn new(id: String, raw: Map<String, Value>, now: Timestamp) -> Self {
        Self {
            id,
            value: String::new(),
            raw,
            expires_at: None,
            created_at: now,
            changed_at: None,
            last_used_at: None,
            disabled: false,
            deleted: false,
            forged: false,
            parent: None,
            hidden_lists: 0,
            listed_from: now,
            refused_uses: 0,
            accepted_from: now,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.raw.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    /// Its description; empty if it has none.
    #[must_use]
    pub fn description(&self) -> &str {
        self.raw.get("description").and_then(Value::as_str).unwrap_or_default()
    }

    /// The marker in its description, or in its name.
    #[must_use]
    pub fn marker(&self) -> Option<Marker> {
        Marker::find(self.description()).or_else(|| Marker::find(self.name()))
    }

    /// Neither deleted nor disabled nor expired.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        !self.deleted && !self.disabled && self.expires_at.is_none_or(|end| end > now)
    }

    /// Live, and no longer too young to be accepted.
    #[must_use]
    pub fn is_accepted(&self, now: Timestamp) -> bool {
        self.is_live(now) && self.refused_uses == 0 && self.accepted_from <= now
    }

    /// Every field but those that differ from token to token: its rights, for
    /// comparing a successor with its predecessor. No rights and none named are
    /// the same.
    #[must_use]
    pub fn privileges(&self) -> Map<String, Value> {
        let own = ["name", "description"];
        self.raw
            .iter()
            .filter(|(k, v)| !own.contains(&k.as_str()) && **v != json!({}))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }
}

/// How a test describes a token.
#[derive(Debug, Clone)]
pub struct TokenSpec {
    pub(super) raw: Map<String, Value>,
    pub(super) lifetime: Option<SignedDuration>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) value: Option<String>,
    pub(super) forged: bool,
}

impl TokenSpec {
    /// A token that never ends and may nothing.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let mut raw = Map::new();
        raw.insert("name".into(), json!(name));
        Self { raw, lifetime: None, expires_at: None, value: None, forged: false }
    }

    /// Everything of it that a client may set.
    #[must_use]
    pub fn raw(&self) -> &Map<String, Value> {
        &self.raw
    }

    /// Sets any field of its JSON.
    #[must_use]
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.raw.insert(field.to_owned(), value);
        self
    }

    /// Leaves a field of its JSON out.
    #[must_use]
    pub fn without(mut self, field: &str) -> Self {
        self.raw.shift_remove(field);
        self
    }

    /// Sets the description.
    #[must_use]
    pub fn description(self, text: &str) -> Self {
        self.with("description", json!(text))
    }

    /// Ends so long after it is added.
    #[must_use]
    pub fn expires_in(mut self, lifetime: SignedDuration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Ends so many days after it is added.
    #[must_use]
    pub fn expires_in_days(self, days: i64) -> Self {
        self.expires_in(SignedDuration::from_hours(24 * days))
    }

    /// Ends at a given time.
    #[must_use]
    pub fn expires_at(mut self, end: Timestamp) -> Self {
        self.expires_at = Some(end);
        self
    }

    /// Not made by crossfade, whatever its marker says.
    #[must_use]
    pub fn forged(self) -> Self {
        Self { forged: true, ..self }
    }

    /// Has this value instead of a generated one.
    #[must_use]
    pub fn value(mut self, value: &str) -> Self {
        self.value = Some(value.to_owned());
        self
    }
}
