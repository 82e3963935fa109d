//! Each token's life, drawn in characters: the old one fading, the new one
//! starting, now, and when the next rotation is due.

use jiff::{SignedDuration, Timestamp};

use super::model::{Printable, RotationReport, TokenLife};

/// A token that lives.
pub(super) const LIVE: char = '█';
/// What a run would mint.
pub(super) const PLANNED: char = '┄';
/// Now.
pub(super) const NOW: char = '│';
/// From here on the token is due.
pub(super) const DUE: char = '◆';

/// A token that has a successor, from its mint to its own end.
const FADING: [char; 3] = ['▓', '▒', '░'];
/// Of an id, so many characters are shown.
const LABEL: usize = 12;
/// With fewer columns nothing can be told from a drawing.
const NARROWEST: usize = 50;
/// A drawing is no wider.
const WIDEST: usize = 120;
/// So far back and ahead is drawn at most.
const PAST: SignedDuration = SignedDuration::from_hours(180 * 24);
const FUTURE: SignedDuration = SignedDuration::from_hours(400 * 24);
/// What is drawn where no end is known.
const SOME_TIME: SignedDuration = SignedDuration::from_hours(30 * 24);

const LEGEND: &str = "█ lives  ▓▒░ overlap  ┄ would be minted  ◆ due  │ now\n";

/// A drawing for each rotation of which a token is known; nothing where there is
/// no room.
pub(super) fn render(report: &Printable, columns: usize) -> String {
    let Some(now) = report.now.filter(|_| columns >= NARROWEST) else { return String::new() };
    let width = columns.min(WIDEST) - LABEL - 4;
    let drawn: Vec<String> =
        report.rotations.iter().filter_map(|rotation| draw(rotation, now, width)).collect();
    if drawn.is_empty() { String::new() } else { format!("{LEGEND}\n{}", drawn.join("\n")) }
}

/// Whether a line is part of a drawing.
pub(super) fn is_drawn(line: &str) -> bool {
    line.starts_with("  ") && line.contains(NOW)
}

/// A line of the drawing: one token.
struct Row {
    label: String,
    begin: Option<Timestamp>,
    /// When its successor began.
    replaced: Option<Timestamp>,
    end: Option<Timestamp>,
    due: Option<Timestamp>,
    planned: bool,
}

fn rows(rotation: &RotationReport, now: Timestamp) -> Vec<Row> {
    let planned = rotation.planned.as_ref();
    let current = rotation.token.as_ref().map(|token| &token.id);
    let mut replaced = planned.map(|_| now);
    let mut rows: Vec<Row> = Vec::new();
    for life in &rotation.tokens {
        rows.push(Row {
            label: label(life),
            begin: life.minted_at,
            replaced,
            end: match (life.disabled, planned.filter(|_| Some(&life.id) == current)) {
                (true, _) => Some(now),
                (false, Some(planned)) => planned.previous_valid_until.or(life.ends_at),
                (false, None) => life.retire_at.or(life.ends_at),
            },
            due: rotation.next_rotation_at.filter(|_| Some(&life.id) == current),
            planned: false,
        });
        replaced = life.minted_at.or(replaced);
    }
    if let Some(planned) = planned {
        rows.insert(
            0,
            Row {
                label: "(next)".to_owned(),
                begin: Some(now),
                replaced: None,
                end: planned.expires_at,
                due: None,
                planned: true,
            },
        );
    }
    // As time goes: the oldest above.
    rows.reverse();
    rows
}

/// The id, in characters whose width is known.
fn label(life: &TokenLife) -> String {
    let plain = life.id.chars().map(|c| if matches!(c, '!'..='~') { c } else { '?' });
    let plain: Vec<char> = plain.collect();
    if plain.len() <= LABEL {
        return plain.into_iter().collect();
    }
    plain[..LABEL - 1].iter().copied().chain(['…']).collect()
}

fn draw(rotation: &RotationReport, now: Timestamp, width: usize) -> Option<String> {
    let rows = rows(rotation, now);
    if rows.is_empty() {
        return None;
    }
    let written = rotation.destinations.iter().filter_map(|destination| destination.updated_at);
    let first = rows.iter().filter_map(|row| row.begin).chain(written).chain([now]).min().unwrap_or(now);
    let some_time = now.checked_add(SOME_TIME).unwrap_or(Timestamp::MAX);
    let last =
        rows.iter().map(|row| row.end.unwrap_or(some_time)).chain([some_time]).max().unwrap_or(some_time);
    let last = last.min(now.checked_add(FUTURE).unwrap_or(Timestamp::MAX));
    // Some of the past is always there, so that a beginning can be seen.
    let some_past = now.checked_sub(last.duration_since(now) / 8).unwrap_or(Timestamp::MIN);
    let first = first.min(some_past).max(now.checked_sub(PAST).unwrap_or(Timestamp::MIN));
    let scale = Scale { first, last, width };
    let mut text = format!("{}\n", rotation.name);
    for row in &rows {
        let bar: String = (0..width).map(|column| scale.cell(row, column, now)).collect();
        text.push_str(&format!("  {:<LABEL$}  {}\n", row.label, bar.trim_end()));
    }
    let days = [scale.first, scale.last].map(|time| time.strftime("%Y-%m-%d").to_string());
    let room = width.saturating_sub(days[0].len());
    text.push_str(&format!("  {:<LABEL$}  {}{:>room$}\n", "", days[0], days[1]));
    Some(text)
}

/// Columns that stand for times.
struct Scale {
    first: Timestamp,
    last: Timestamp,
    width: usize,
}

impl Scale {
    /// The column of a time; may lie outside.
    fn column(&self, time: Timestamp) -> i64 {
        let span = self.last.duration_since(self.first).as_secs().max(1);
        let width = i64::try_from(self.width).unwrap_or(1);
        time.duration_since(self.first).as_secs().saturating_mul(width).div_euclid(span)
    }

    fn cell(&self, row: &Row, column: usize, now: Timestamp) -> char {
        let at = i64::try_from(column).unwrap_or(i64::MAX);
        let begin = row.begin.map_or(0, |begin| self.column(begin));
        // Even the shortest life is a cell wide.
        let end = row.end.map_or(i64::MAX, |end| self.column(end)).max(begin + 1);
        let is_at = |time: Option<Timestamp>| time.is_some_and(|time| self.column(time) == at);
        if is_at(Some(now)) {
            return NOW;
        }
        if at < begin || at >= end {
            return ' ';
        }
        if is_at(row.due) {
            return DUE;
        }
        if row.planned {
            return PLANNED;
        }
        match row.replaced.map(|time| self.column(time)) {
            Some(replaced) if at >= replaced => {
                let third = (at - replaced) * 3 / end.saturating_sub(replaced).max(1);
                FADING[usize::try_from(third).unwrap_or(0).min(2)]
            }
            _ => LIVE,
        }
    }
}
