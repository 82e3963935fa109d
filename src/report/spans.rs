//! The time spans of a rotation's tokens, drawn by [`super::timeline`] in characters and
//! by [`super::gantt`] as a Mermaid chart.

use jiff::{SignedDuration, Timestamp};

use super::model::{RotationOutcome, RotationReport};
use super::rows::Row;

/// How far back and ahead is drawn at most.
const PAST: SignedDuration = SignedDuration::from_hours(180 * 24);
const FUTURE: SignedDuration = SignedDuration::from_hours(400 * 24);
/// How much is drawn at least, so that a token without an expiry is visible.
const SOME_TIME: SignedDuration = SignedDuration::from_hours(30 * 24);

pub(super) struct Span {
    /// The provider's id; `None`: it is still to be minted.
    pub(super) id: Option<String>,
    pub(super) begin: Option<Timestamp>,
    /// When its successor began.
    pub(super) replaced: Option<Timestamp>,
    /// When it ends or is retired; `None`: unknown.
    pub(super) end: Option<Timestamp>,
    /// From when on it is due; `None`: unknown, or the next run replaces it.
    pub(super) due: Option<Timestamp>,
    pub(super) held_by: usize,
}

/// The first `most` rotations of which a token is known, and how many more there are.
pub(super) fn drawn<'b, 'a>(
    rows: &[&'b Row<'a>],
    now: Timestamp,
    most: usize,
) -> (Vec<(&'b Row<'a>, Vec<Span>)>, usize) {
    let mut drawn: Vec<_> = rows.iter().map(|row| (*row, of(row.rotation, now))).collect();
    drawn.retain(|(_, spans)| !spans.is_empty());
    let left_out = drawn.len().saturating_sub(most);
    drawn.truncate(most);
    (drawn, left_out)
}

/// All tokens, the oldest first; in a plan the one that would be minted last.
fn of(rotation: &RotationReport, now: Timestamp) -> Vec<Span> {
    let planned = rotation.planned.as_ref();
    let current = rotation.token.as_ref().map(|token| &token.id);
    let has_date = planned.is_none() && rotation.outcome != RotationOutcome::Failed;
    let mut replaced = planned.map(|_| now);
    let mut spans = Vec::new();
    if let Some(planned) = planned {
        let end = planned.expires_at;
        spans.push(Span { id: None, begin: Some(now), replaced: None, end, due: None, held_by: 0 });
    }
    for span in &rotation.tokens {
        let is_current = Some(&span.id) == current;
        spans.push(Span {
            id: Some(span.id.clone()),
            begin: span.minted_at,
            replaced,
            end: match (span.disabled, planned.filter(|_| is_current)) {
                (true, _) => Some(now),
                (false, Some(planned)) => planned.previous_valid_until.or(span.ends_at),
                (false, None) => span.retire_at.or(span.ends_at),
            },
            due: rotation.next_rotation_at.filter(|_| is_current && has_date),
            held_by: span.held_by,
        });
        replaced = span.minted_at.or(replaced);
    }
    spans.reverse();
    spans
}

/// The first and the last moment of a drawing of these rotations. Some of the past is
/// always included, so that the tokens' beginnings are visible.
pub(super) fn range(drawn: &[(&Row<'_>, Vec<Span>)], now: Timestamp) -> (Timestamp, Timestamp) {
    let (mut first, mut last) = (now, now.checked_add(SOME_TIME).unwrap_or(Timestamp::MAX));
    for (row, spans) in drawn {
        let written = row.rotation.destinations.iter().filter_map(|destination| destination.updated_at);
        first = spans.iter().filter_map(|span| span.begin).chain(written).fold(first, Timestamp::min);
        last = spans.iter().filter_map(|span| span.end).fold(last, Timestamp::max);
    }
    let last = last.min(now.checked_add(FUTURE).unwrap_or(Timestamp::MAX));
    let some_past = now.checked_sub(last.duration_since(now) / 8).unwrap_or(Timestamp::MIN);
    let first = first.min(some_past).max(now.checked_sub(PAST).unwrap_or(Timestamp::MIN));
    (first, last)
}
