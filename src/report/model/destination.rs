//! A destination and its outcome.

use jiff::Timestamp;
use serde::Serialize;

use super::{TokenEnd, optional_time};

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(crate) struct DestinationReport {
    pub destination: String,
    pub outcome: DestinationOutcome,
    /// What it holds after the run, as far as its timestamp shows.
    pub state: SecretState,
    pub error: Option<String>,
    /// The token that it holds after the run, if its timestamp shows that, and if it is
    /// another than `token` or would be overwritten.
    pub holds: Option<TokenEnd>,
    /// The token that it presumably holds: crossfade never wrote it, and the user's
    /// configuration says that it holds the original.
    pub presumed: Option<TokenEnd>,
    /// `None`: there is no such secret yet, or it was not read.
    #[serde(serialize_with = "optional_time")]
    pub updated_at: Option<Timestamp>,
    /// Why it is not known what it holds, where that is not known.
    #[serde(skip)]
    pub why_unknown: WhyUnknown,
    /// The path of its page of settings on GitHub; empty: unknown.
    #[serde(skip)]
    pub settings_path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DestinationOutcome {
    Written,
    /// Could not be prepared, or did not acknowledge the new value.
    Failed,
    /// A dry run: would be written.
    Planned,
    /// Holds the token according to its timestamp; not written now.
    Held,
    /// It is unknown what it holds, or that is another token; not written now.
    #[default]
    Unknown,
    /// Was never read, or its read failed; not written now.
    NotRead,
}

/// What a secret holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SecretState {
    /// The token that it should hold.
    Current,
    /// An earlier token of the rotation.
    Previous,
    /// Something other than crossfade wrote it, or a write was not acknowledged.
    #[default]
    Unknown,
    Missing,
    /// It was never read, or its read failed.
    NotRead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum WhyUnknown {
    /// It was written outside the delivery windows of all tokens, or in several.
    #[default]
    Overwritten,
    /// The provider's tokens could not be read, or this rotation's could not be identified.
    NotCompared,
    AnotherRun,
}
