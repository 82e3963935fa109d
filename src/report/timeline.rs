//! A timeline of the tokens in characters: the previous one in its overlap, the new one,
//! now, and when the next rotation is due.

use jiff::Timestamp;

use super::model::{RedactedReport, RotationReport};
use super::spans::{self, Span};

/// A valid token.
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
/// With fewer columns a timeline is unreadable.
const NARROWEST: usize = 50;
/// A drawing is no wider.
const WIDEST: usize = 120;
const LEGEND: &str = "█ lives  ▓▒░ overlap  ┄ would be minted  ◆ due  │ now\n";

/// A drawing for each rotation of which a token is known; nothing where there is
/// no room.
pub(super) fn render(report: &RedactedReport, columns: usize) -> String {
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

/// The id, in characters whose width is known.
fn label(span: &Span) -> String {
    let Some(id) = &span.id else { return "(next)".to_owned() };
    let plain = id.chars().map(|c| if matches!(c, '!'..='~') { c } else { '?' });
    let plain: Vec<char> = plain.collect();
    if plain.len() <= LABEL {
        return plain.into_iter().collect();
    }
    plain[..LABEL - 1].iter().copied().chain(['…']).collect()
}

fn draw(rotation: &RotationReport, now: Timestamp, width: usize) -> Option<String> {
    let spans = spans::of(rotation, now);
    if spans.is_empty() {
        return None;
    }
    let written = rotation.destinations.iter().filter_map(|destination| destination.updated_at);
    let (first, last) = spans::range(&spans, written, now);
    let scale = Scale { first, last, width };
    let mut text = format!("{}\n", rotation.name);
    for span in &spans {
        let bar: String = (0..width).map(|column| scale.cell(span, column, now)).collect();
        text.push_str(&format!("  {:<LABEL$}  {}\n", label(span), bar.trim_end()));
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

    fn cell(&self, span: &Span, column: usize, now: Timestamp) -> char {
        let at = i64::try_from(column).unwrap_or(i64::MAX);
        let begin = span.begin.map_or(0, |begin| self.column(begin));
        // Even the shortest span is a cell wide.
        let end = span.end.map_or(i64::MAX, |end| self.column(end)).max(begin + 1);
        let is_at = |time: Option<Timestamp>| time.is_some_and(|time| self.column(time) == at);
        if is_at(Some(now)) {
            return NOW;
        }
        if at < begin || at >= end {
            return ' ';
        }
        if is_at(span.due) {
            return DUE;
        }
        if span.id.is_none() {
            return PLANNED;
        }
        match span.replaced.map(|time| self.column(time)) {
            Some(replaced) if at >= replaced => {
                let third = (at - replaced) * 3 / end.saturating_sub(replaced).max(1);
                FADING[usize::try_from(third).unwrap_or(0).min(2)]
            }
            _ => LIVE,
        }
    }
}
