//! What a dry run says of a rotation that it would change: what, why, and what
//! it would leave alone.
//!
//! Made from the same fields that machines get: `planned`, the destinations, `retired`
//! and `tokens`.

use jiff::Timestamp;

use super::format;
use super::model::{
    DestinationOutcome, DestinationReport, PlannedMint, RedactedReport, RotationOutcome, RotationReport,
};

/// One line each: a sign, what is done, and to what. `+` makes, `~` changes, `-`
/// ends, `=` leaves alone.
pub(super) fn steps(rotation: &RotationReport, now: Option<Timestamp>) -> Vec<String> {
    let mut steps = Vec::new();
    if let Some(mint) = &rotation.planned {
        steps.push(mints(rotation, mint, now));
        steps.extend(keeps(rotation, mint, now));
    }
    let destinations = rotation.destinations.iter();
    steps.extend(destinations.map(|destination| writes(destination, now)));
    steps.extend(rotation.retired.iter().map(|id| format!("- retire  {id}, which nothing holds any more")));
    steps.extend(leaves(rotation, now));
    steps
}

fn mints(rotation: &RotationReport, mint: &PlannedMint, now: Option<Timestamp>) -> String {
    let expiry = format::when(mint.expires_at, now, "never");
    match &rotation.token {
        Some(token) => format!(
            "+ mint    the successor of {}, with the same privileges; expires {expiry}",
            format::named(&token.id, &token.name)
        ),
        None => format!("+ mint    a new token, as `create` says; expires {expiry}"),
    }
}

fn keeps(rotation: &RotationReport, mint: &PlannedMint, now: Option<Timestamp>) -> Option<String> {
    let id = &rotation.token.as_ref()?.id;
    Some(match mint.previous_valid_until {
        Some(end) if now.is_some_and(|now| end <= now) => {
            format!("- end     {id}, as soon as every destination has confirmed its successor")
        }
        Some(end) => format!("= keep    {id} until {}: the overlap", format::when(Some(end), now, "")),
        None => format!("= keep    {id} until a later run retires it"),
    })
}

fn writes(destination: &DestinationReport, now: Option<Timestamp>) -> String {
    let name = &destination.destination;
    let written = format::when(destination.updated_at, now, "");
    let holds = destination.holds.as_ref().map(|holds| format!("; holds {}", holds.id)).unwrap_or_default();
    match destination.outcome {
        DestinationOutcome::Planned if destination.updated_at.is_none() => {
            format!("+ write   {name}, which does not exist yet")
        }
        DestinationOutcome::Planned => format!("~ write   {name}, last written {written}{holds}"),
        DestinationOutcome::Failed | DestinationOutcome::NotRead => {
            format!("! skip    {name}: {}", destination.error.as_deref().unwrap_or("it cannot be read"))
        }
        _ if destination.updated_at.is_none() => format!("= leave   {name}, which does not exist"),
        _ => format!("= leave   {name}, last written {written}{holds}"),
    }
}

/// The tokens of this rotation that nothing is done to.
fn leaves(rotation: &RotationReport, now: Option<Timestamp>) -> Vec<String> {
    let is_replaced = |id: &String| {
        rotation.planned.is_some() && rotation.token.as_ref().is_some_and(|token| token.id == *id)
    };
    rotation
        .tokens
        .iter()
        .filter(|span| !is_replaced(&span.id) && !rotation.retired.contains(&span.id))
        .map(|span| match (span.retire_at, span.ends_at) {
            (Some(from), _) => {
                format!(
                    "= leave   {}, until a run after {} retires it",
                    span.id,
                    format::when(Some(from), now, "")
                )
            }
            (None, Some(end)) => {
                format!("= leave   {}, which ends {}", span.id, format::when(Some(end), now, ""))
            }
            (None, None) => format!("= leave   {}, which does not end by itself", span.id),
        })
        .collect()
}

/// `Plan: mint 1 token, write 2 secrets; leave 1 rotation alone.`
pub(super) fn conclusion(report: &RedactedReport) -> String {
    let count = |number: usize, verb: &str, noun: &str| {
        let number = number as u64;
        (number > 0).then(|| format!("{verb} {}", format::counted(number, noun)))
    };
    let rotations =
        || report.rotations.iter().filter(|rotation| rotation.outcome == RotationOutcome::Planned);
    let of = |outcome| report.rotations.iter().filter(|rotation| rotation.outcome == outcome).count();
    let parts: Vec<String> = [
        count(rotations().filter(|rotation| rotation.planned.is_some()).count(), "mint", "token"),
        count(
            rotations().map(|rotation| rotation.count(DestinationOutcome::Planned)).sum(),
            "write",
            "secret",
        ),
        count(rotations().map(|rotation| rotation.retired.len()).sum(), "retire", "token"),
        count(of(RotationOutcome::Fresh), "leave", "rotation").map(|part| format!("{part} alone")),
        count(of(RotationOutcome::Failed), "fail at", "rotation"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let plan = if parts.is_empty() { "nothing to look after".to_owned() } else { parts.join(", ") };
    format!("Plan: {plan}. Nothing was changed")
}
