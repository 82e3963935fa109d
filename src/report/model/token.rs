//! Tokens: the current one, the previous one, and the time span of each.

use jiff::Timestamp;
use serde::Serialize;

use super::time::optional_time;

/// A token at the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TokenReport {
    /// The provider's id.
    pub id: String,
    /// The name as people know it.
    pub name: String,
    /// When it expires; `None`: the provider reports no expiry.
    #[serde(serialize_with = "optional_time")]
    pub expires_at: Option<Timestamp>,
}

/// A token, and until when it can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TokenEnd {
    /// The provider's id.
    pub id: String,
    /// When it ends; `None`: the provider reports no expiry.
    #[serde(serialize_with = "optional_time")]
    pub valid_until: Option<Timestamp>,
}

/// One token of a rotation, from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TokenSpan {
    /// The provider's id.
    pub id: String,
    /// When it was minted; `None`: unknown.
    #[serde(serialize_with = "optional_time")]
    pub minted_at: Option<Timestamp>,
    /// When it ends by itself, or was ended by this run; `None`: never.
    #[serde(serialize_with = "optional_time")]
    pub ends_at: Option<Timestamp>,
    /// From when on a run retires it; `None`: none will, as things are.
    #[serde(serialize_with = "optional_time")]
    pub retire_at: Option<Timestamp>,
    /// Disabled at the provider: not accepted, and not yet deleted.
    pub disabled: bool,
    /// How many destinations hold it according to their timestamps.
    pub held_by: usize,
}

/// What a dry run would mint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PlannedMint {
    /// When the new token would end; `None`: never by itself.
    #[serde(serialize_with = "optional_time")]
    pub expires_at: Option<Timestamp>,
    /// Until when the token of today would stay valid; `None`: not limited.
    #[serde(serialize_with = "optional_time")]
    pub previous_valid_until: Option<Timestamp>,
}
