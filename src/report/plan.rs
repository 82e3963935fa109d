//! What a dry run says of a rotation: what it would change, and what it would leave alone.

use std::collections::BTreeSet;

use super::format;
use super::model::{DestinationOutcome, PlannedMint, RotationOutcome, RotationReport, SecretState};
use super::paint::{Cell, Role};
use super::rows::{self, Row, Secret, View, folded};

/// One entry each. `+` makes, `~` changes, `-` ends, `=` leaves alone.
pub(super) fn steps(view: &View<'_>, row: &Row<'_>, few: usize) -> Vec<(Cell, String)> {
    let (rotation, format) = (row.rotation, &view.format);
    let mut steps = Vec::new();
    if let Some(mint) = &rotation.planned {
        let expiry = format.end(mint.expires_at);
        steps.push(match &rotation.token {
            Some(token) => {
                let token = format::named(format.id(&token.id), &token.name);
                add(
                    "create",
                    format!("a new token in place of {token}, with the same privileges; expires {expiry}"),
                )
            }
            None => add("create", format!("a new token, as `create` says; expires {expiry}")),
        });
        steps.extend(keeps(view, rotation, mint));
    }
    steps.extend(folded(&row.secrets, few).iter().map(|group| secrets(view, group)));
    for id in &rotation.retired {
        steps.push(end("retire", format!("{}, which no secret holds any more", format.id(id))));
    }
    let starts = row.workflows().into_iter().filter(|(role, ..)| *role == Role::Change);
    steps.extend(starts.map(|(.., workflow)| {
        let after = if rotation.planned.is_some() {
            ", once every secret holds the new token"
        } else {
            ", which has not run since the last write"
        };
        add("start", format!("{workflow}{after}"))
    }));
    let is_replaced = |id: &String| {
        rotation.planned.is_some() && rotation.token.as_ref().is_some_and(|token| token.id == *id)
    };
    let left =
        rotation.tokens.iter().filter(|span| !is_replaced(&span.id) && !rotation.retired.contains(&span.id));
    steps.extend(left.map(|span| {
        let id = format.id(&span.id);
        leave(match (span.retire_at, span.ends_at) {
            (Some(from), _) => format!("{id}, until a run after {} retires it", format.when(from)),
            (None, Some(end)) => format!("{id}, which expires {}", format.when(end)),
            (None, None) => format!("{id}, which does not expire"),
        })
    }));
    steps
}

fn add(verb: &str, what: String) -> (Cell, String) {
    ((Role::Good, format!("+ {verb}")), what)
}

fn end(verb: &str, what: String) -> (Cell, String) {
    ((Role::Bad, format!("- {verb}")), what)
}

fn leave(what: String) -> (Cell, String) {
    ((Role::Quiet, "= leave".to_owned()), what)
}

fn keeps(view: &View<'_>, rotation: &RotationReport, mint: &PlannedMint) -> Option<(Cell, String)> {
    let format = &view.format;
    let id = format.id(&rotation.token.as_ref()?.id);
    let keep = |what| ((Role::Quiet, "= keep".to_owned()), what);
    Some(match mint.previous_valid_until {
        Some(_) if ends_at_once(view, mint) => {
            end("end", format!("{id}, as soon as every secret holds the new token"))
        }
        Some(end) => keep(format!("{id} until {}: the overlap", format.when(end))),
        None => keep(format!("{id} until a later run retires it")),
    })
}

/// Whether the run itself would end the token of today.
fn ends_at_once(view: &View<'_>, mint: &PlannedMint) -> bool {
    mint.previous_valid_until.zip(view.report.now).is_some_and(|(end, now)| end <= now)
}

/// What would be done to secrets that are alike.
fn secrets(view: &View<'_>, group: &[&Secret<'_>]) -> (Cell, String) {
    let secret = group[0];
    let name = rows::name(group);
    let holds = if secret.destination.presumed.is_some() { "presumably holds" } else { "holds" };
    let holds = secret.token.map(|id| format!("; {holds} {}", view.format.id(id))).unwrap_or_default();
    let written = match secret.destination.updated_at.filter(|_| group.len() == 1) {
        Some(at) => format!(", last written {}", view.format.when(at)),
        None => String::new(),
    };
    let is_missing = secret.destination.state == SecretState::Missing;
    match secret.destination.outcome {
        DestinationOutcome::Planned if is_missing => {
            add("write", format!("{name}, which does not exist yet"))
        }
        DestinationOutcome::Planned => {
            ((Role::Change, "~ write".to_owned()), format!("{name}{written}{holds}"))
        }
        DestinationOutcome::Failed | DestinationOutcome::NotRead => {
            let cause = secret
                .cause
                .map_or_else(|| "it was not read".to_owned(), |cause| view.format.sentence(cause));
            ((Role::Bad, "! skip".to_owned()), format!("{name}: {cause}"))
        }
        _ if is_missing => leave(format!("{name}, which does not exist")),
        _ => leave(format!("{name}{written}{holds}")),
    }
}

/// `Plan: create 1 token, write 2 secrets, leave 1 rotation alone.`
pub(super) fn conclusion(view: &View<'_>) -> String {
    let rows = || view.rows.iter().filter(|row| row.rotation.outcome == RotationOutcome::Planned);
    let mints = || rows().filter_map(|row| row.rotation.planned.as_ref());
    let count = |number: usize, verb: &str, noun: &str, rest: &str| {
        (number > 0).then(|| format!("{verb}{}{rest}", format::counted(number, noun)))
    };
    // Several rotations may name one workflow.
    let starts = rows().flat_map(|row| row.workflows()).filter(|(role, ..)| *role == Role::Change);
    let starts: BTreeSet<String> = starts.map(|(.., workflow)| workflow).collect();
    let writes = rows().map(|row| row.rotation.count(DestinationOutcome::Planned)).sum();
    let parts: Vec<String> = [
        count(mints().count(), "create ", "token", ""),
        count(writes, "write ", "secret", ""),
        count(mints().filter(|mint| ends_at_once(view, mint)).count(), "end ", "token", ""),
        count(rows().map(|row| row.rotation.retired.len()).sum(), "retire ", "token", ""),
        count(starts.len(), "start ", "workflow", ""),
        count(view.count(RotationOutcome::Fresh), "leave ", "rotation", " alone"),
        count(view.count(RotationOutcome::Failed), "", "rotation", " cannot run"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let plan = if parts.is_empty() { "no rotations".to_owned() } else { parts.join(", ") };
    format!("Plan: {plan}. Nothing was changed")
}
