//! What `status` was asked to look out for, and what it found.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    DestinationOutcome, DestinationReport, RotationReport, SecretState, Verdict, WorkflowOutcome,
    optional_time,
};

/// A state of a rotation that can make `status` fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Condition {
    /// A destination does not hold the current token.
    Undelivered,
    /// The token is to be replaced now.
    Due,
    /// It is not known which token a destination holds.
    Unknown,
    /// A workflow of `after` was not started since the token was delivered.
    After,
}

/// A rotation in a state that `status --fail-on` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub rotation: String,
    pub condition: Condition,
    /// The destinations concerned; empty if it is the token.
    pub destinations: Vec<String>,
}

/// A token at the provider that no rotation covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct UnmanagedToken {
    pub provider: String,
    pub id: String,
    /// The name as people know it.
    pub name: String,
    /// When it expires; `None`: the provider reports no expiry.
    #[serde(serialize_with = "optional_time")]
    pub expires_at: Option<Timestamp>,
    pub disabled: bool,
    /// The marker of a rotation that this configuration does not have; `None`: it
    /// carries no marker.
    pub marker: Option<String>,
}

impl Condition {
    /// Every condition, and what it is called.
    pub(crate) const ALL: [(&'static str, Self); 4] = [
        ("undelivered", Self::Undelivered),
        ("due", Self::Due),
        ("unknown", Self::Unknown),
        ("after", Self::After),
    ];

    /// Whether a rotation is in this state, and because of which destinations.
    pub(super) fn find(self, rotation: &RotationReport) -> Option<Finding> {
        let (is_so, concerned): (bool, fn(&DestinationReport) -> bool) = match self {
            Self::Undelivered => (rotation.reason == Some(Verdict::Undelivered), is_behind),
            Self::Due => (rotation.reason == Some(Verdict::Due), |_| false),
            Self::Unknown => (false, is_unknown),
            Self::After => (lacks_start(rotation), |_| false),
        };
        let destinations = rotation.destinations.iter().filter(|one| concerned(one));
        let destinations: Vec<String> = destinations.map(|one| one.destination.clone()).collect();
        (is_so || !destinations.is_empty()).then(|| Finding {
            rotation: rotation.name.clone(),
            condition: self,
            destinations,
        })
    }
}

/// Whether it holds an earlier token, or none. Asked of every rotation: one that is due,
/// too, may have a destination that an earlier run did not reach.
fn is_behind(destination: &DestinationReport) -> bool {
    destination.outcome == DestinationOutcome::Unknown
        && matches!(destination.state, SecretState::Previous | SecretState::Missing)
}

/// Whether a workflow waits to be started, or could not be. A token that is only due has
/// nothing to start yet.
fn lacks_start(rotation: &RotationReport) -> bool {
    let is_undelivered =
        rotation.reason == Some(Verdict::Undelivered) || rotation.destinations.iter().any(is_behind);
    rotation.after.iter().any(|workflow| match workflow.outcome {
        WorkflowOutcome::Failed => true,
        WorkflowOutcome::Planned => is_undelivered || rotation.planned.is_none(),
        WorkflowOutcome::Waiting => is_undelivered,
        WorkflowOutcome::Started | WorkflowOutcome::HasRun | WorkflowOutcome::NotDue => false,
    })
}

fn is_unknown(destination: &DestinationReport) -> bool {
    destination.outcome == DestinationOutcome::Unknown && destination.state == SecretState::Unknown
}
