//! A timeline of the tokens in characters: one axis for all rotations, a line for each.

use jiff::Timestamp;
use unicode_width::UnicodeWidthStr as _;

use super::format;
use super::paint::{Page, Role};
use super::rows::View;
use super::spans::{self, Span};

/// With fewer columns a timeline is unreadable.
const NARROWEST: usize = 50;
const WIDEST: usize = 120;
/// Rotations that are drawn, unless all are asked for.
const MOST: usize = 40;
const LEGEND: [&str; 6] =
    ["░ previous", "▓ overlap", "█ current", "◆ due from here on", "┄ would be created", "│ now"];

/// What a cell shows, the least important first: a later one hides an earlier one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    Empty,
    Previous,
    Planned,
    Current,
    Overlap,
    Due,
    Now,
}

impl Cell {
    fn drawn(self) -> (char, Role) {
        match self {
            Self::Empty => (' ', Role::Plain),
            Self::Previous => ('░', Role::Quiet),
            Self::Planned => ('┄', Role::Quiet),
            Self::Current => ('█', Role::Good),
            Self::Overlap => ('▓', Role::Change),
            Self::Due => ('◆', Role::Heading),
            Self::Now => ('│', Role::Heading),
        }
    }
}

/// A line for each rotation of which a token is known; nothing where there is no room.
pub(super) fn draw(page: &mut Page, view: &View<'_>) {
    let (Some(columns), Some(now)) = (page.terminal.columns, view.report.now) else { return };
    let most = if page.terminal.verbose { usize::MAX } else { MOST };
    let (drawn, left_out) = spans::drawn(&view.by_urgency(), now, most);
    let label = drawn.iter().map(|(row, _)| row.rotation.name.width()).max().unwrap_or(0) + 2;
    if drawn.is_empty() || columns < NARROWEST || columns < label + NARROWEST / 2 {
        return;
    }
    let (first, last) = spans::range(&drawn, now);
    let scale = Scale { first, last, width: columns.min(WIDEST) - label };
    page.blank();
    let days = [first, last].map(format::day);
    let room = scale.width.saturating_sub(days[0].len());
    page.draw(Role::Quiet, &format!("{:label$}{}{:>room$}", "", days[0], days[1]));
    page.end_line();
    for (row, spans) in &drawn {
        let name = &row.rotation.name;
        page.put(Role::Plain, &format!("{name}{}", " ".repeat(label - name.width())));
        let cells: Vec<Cell> = (0..scale.width).map(|column| scale.cell(spans, column, now)).collect();
        for run in cells.chunk_by(|a, b| a == b) {
            let (character, role) = run[0].drawn();
            page.draw(role, &character.to_string().repeat(run.len()));
        }
        page.end_line();
    }
    if left_out > 0 {
        page.heading(Role::Quiet, &format!("{left_out} more: -v draws them"));
    }
    let mut used = 0;
    for item in LEGEND {
        if used + item.width() > columns {
            page.end_line();
            used = 0;
        }
        page.draw(Role::Quiet, &format!("{item}  "));
        used += item.width() + 2;
    }
    page.end_line();
}

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

    fn cell(&self, spans: &[Span], column: usize, now: Timestamp) -> Cell {
        let at = i64::try_from(column).unwrap_or(i64::MAX);
        let is_at = |time: Option<Timestamp>| time.is_some_and(|time| self.column(time) == at);
        if is_at(Some(now)) {
            return Cell::Now;
        }
        let of = |span: &Span| {
            let begin = span.begin.map_or(0, |begin| self.column(begin));
            // Even the shortest span is a cell wide.
            let end = span.end.map_or(i64::MAX, |end| self.column(end)).max(begin + 1);
            let is_replaced = span.replaced.is_some_and(|time| self.column(time) <= at);
            match span.id {
                _ if at < begin || at >= end => Cell::Empty,
                _ if is_at(span.due) => Cell::Due,
                None => Cell::Planned,
                Some(_) if is_replaced => Cell::Overlap,
                Some(_) if span.replaced.is_some() => Cell::Previous,
                Some(_) => Cell::Current,
            }
        };
        spans.iter().map(of).max().unwrap_or(Cell::Empty)
    }
}
