//! The tokens' spans as a Mermaid Gantt chart, which GitHub draws in a summary.
//!
//! Mermaid has no way to quote: a word from outside could end a task, begin a
//! directive or be markup. So names become letters, digits, dots, dashes and
//! underscores here, and each stands behind a word of ours.

use jiff::Timestamp;

use super::format::Format;
use super::rows::Row;
use super::spans::{self, Span};

/// The most rotations in a readable chart.
const MOST: usize = 30;
/// Of a name, so many characters are shown: what the left margin has room for.
const NAME: usize = 24;
/// A bar with less than these percent of the chart is invisible under its frame.
const VISIBLE: i64 = 2;

const HEAD: &str = "\
```mermaid
---
displayMode: compact
config:
  gantt:
    leftPadding: 180
  themeVariables:
    sectionBkgColor: '#8080801a'
    altSectionBkgColor: '#80808000'
    sectionBkgColor2: '#8080801a'
---
gantt
    dateFormat YYYY-MM-DD HH:mm
";

/// The chart, and how many rotations are not in it; `None`: there is nothing to draw.
pub(super) fn render(rows: &[&Row<'_>], format: &Format) -> Option<(String, usize)> {
    let now = format.now?;
    let (drawn, left_out) = spans::drawn(rows, now, MOST);
    if drawn.is_empty() {
        return None;
    }
    let (first, last) = spans::range(&drawn, now);
    let mut chart = Chart { text: format!("{HEAD}{}", axis(first, last)), first, last, format };
    let mut names: Vec<String> = Vec::new();
    for (row, spans) in &drawn {
        let name = safe(&row.rotation.name, NAME);
        // Mermaid would draw sections of one name as one.
        let nth = names.iter().filter(|other| **other == name).count() + 1;
        let suffix = if nth > 1 { format!(" {nth}") } else { String::new() };
        chart.text.push_str(&format!("    section {name}{suffix}\n"));
        names.push(name);
        chart.section(spans, row.secrets.len());
    }
    Some((chart.text + "```\n\n", left_out))
}

struct Chart<'a> {
    text: String,
    first: Timestamp,
    last: Timestamp,
    format: &'a Format,
}

impl Chart<'_> {
    /// One bar for each fact: a token until its successor began, its overlap, the current
    /// token, and the days in which that is due.
    fn section(&mut self, spans: &[Span], secrets: usize) {
        let inside = |time: Timestamp| time.clamp(self.first, self.last);
        let mut bars: Vec<(Vec<String>, &str, Timestamp, Timestamp)> = Vec::new();
        let mut overlap = None;
        for span in spans {
            let begin = inside(span.begin.unwrap_or(self.first));
            let end = inside(span.end.unwrap_or(self.last));
            let turn = span.replaced.or(span.due).map_or(end, inside).clamp(begin.min(end), end);
            let Some(id) = &span.id else {
                bars.push((vec!["would be created".to_owned(), "new".to_owned()], "", begin, end));
                bars.extend(overlap.take());
                continue;
            };
            // Never alone: some words begin a directive.
            let id = safe(self.format.id(id), NAME);
            let token = format!("token {id}");
            let held = match span.held_by {
                0 => Vec::new(),
                count => vec![format!("{token} in {count} of {secrets}")],
            };
            let names = |held: &[String], others: &[&str]| {
                held.iter().cloned().chain(others.iter().map(|&other| other.to_owned())).collect()
            };
            match span.replaced {
                None => bars.push((names(&held, &[&token, "token"]), "active, ", begin, turn)),
                Some(_) => bars.push((names(&[], &[&token, "old"]), "done, ", begin, turn)),
            }
            // Bars that begin together are stacked in the order in which they are named:
            // the successor goes on in its predecessor's line.
            bars.extend(overlap.take());
            match span.replaced {
                Some(_) => overlap = Some((names(&held, &["overlap"]), "done, crit, ", turn, end)),
                None => bars.push((vec!["due".to_owned()], "active, crit, ", turn, end)),
            }
        }
        bars.extend(overlap);
        for (names, tags, begin, end) in bars {
            self.bar(&names, tags, begin, end);
        }
    }

    /// A bar with the first of the names that fits into it. A longer one would be drawn
    /// over the next bar, unless that is an overlap, which has a line to itself.
    fn bar(&mut self, names: &[String], tags: &str, begin: Timestamp, end: Timestamp) {
        let length = self.last.duration_since(self.first).as_secs().max(1);
        let share = end.duration_since(begin).as_secs() * 100 / length;
        let is_overlap = tags == "done, crit, ";
        if begin >= end || (share < VISIBLE && tags == "done, ") {
            return;
        }
        let fits =
            |name: &&String| is_overlap || i64::try_from(name.len()).is_ok_and(|length| length <= share);
        let Some(name) = names.iter().find(fits).or(names.last()) else { return };
        let time = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M").to_string();
        self.text.push_str(&format!("    {name} :{tags}{}, {}\n", time(begin), time(end)));
    }
}

/// Ticks and dates, so that they do not run into each other.
fn axis(first: Timestamp, last: Timestamp) -> String {
    let days = last.duration_since(first).as_hours() / 24;
    let (format, tick) = match days {
        ..20 => ("%b %d", "2day"),
        20..110 => ("%b %d", "1week"),
        110..220 => ("%b %d", "2week"),
        _ => ("%b %Y", "2month"),
    };
    format!("    axisFormat {format}\n    tickInterval {tick}\n")
}

/// A name in characters that mean nothing to Mermaid.
fn safe(name: &str, length: usize) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    let mut short: String = name.chars().take(length).map(safe).collect();
    if name.chars().count() > length {
        short.push_str("...");
    }
    if short.is_empty() { "_".to_owned() } else { short }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::super::model::{RotationReport, TokenSpan};
    use super::super::rows::View;
    use super::super::samples::{self, span, time};
    use super::*;
    use crate::redact::Redactor;

    fn chart(rotations: &[RotationReport]) -> String {
        let report = samples::report(rotations.to_vec()).redacted(&Redactor::new());
        let view = View::new(&report);
        let rows: Vec<_> = view.rows.iter().collect();
        render(&rows, &view.format).map(|(chart, _)| chart).unwrap_or_default()
    }

    #[test]
    fn the_successor_goes_on_where_its_predecessor_was_replaced() {
        assert_snapshot!("gantt", chart(&[samples::rotated(), samples::planned()]));
    }

    #[test]
    fn nothing_known_is_nothing_drawn() {
        assert_eq!(chart(&[RotationReport::new("ci", "axiom")]), "");
    }

    #[test]
    fn a_short_bar_has_a_short_name() {
        let id = "39f5b311-04de-4f44";
        let named = |days: i64| {
            let now = time("2026-09-01T06:00:00Z").unwrap();
            let minted = now - SignedDuration::from_hours(days * 24);
            let old = span(id, "2026-03-15T06:00:00Z", Some("2026-09-08T06:00:00Z"), 0);
            let new = TokenSpan {
                ends_at: Some(minted + SignedDuration::from_hours(100 * 24)),
                ..span("new", &minted.to_string(), None, 1)
            };
            let tokens = vec![
                new,
                TokenSpan { minted_at: Some(minted - SignedDuration::from_hours(days * 24)), ..old },
            ];
            let chart = chart(&[RotationReport { tokens, ..RotationReport::new("ci", "axiom") }]);
            let line =
                chart.lines().find(|line| line.contains(":done, 2")).unwrap_or_default().trim().to_owned();
            line.split(" :").next().unwrap_or_default().to_owned()
        };
        assert_eq!([40, 12, 7, 2].map(named), ["token 39f5b311", "old", "old", ""]);
    }

    #[test]
    fn dates_do_not_run_into_each_other() {
        let now = time("2026-09-01T06:00:00Z").unwrap();
        for days in [1, 19, 20, 109, 110, 219, 220, 580] {
            let axis = axis(now, now + SignedDuration::from_hours(days * 24));
            let tick = axis.trim_end().rsplit(' ').next().unwrap();
            let digits = tick.trim_end_matches(char::is_alphabetic);
            let unit = match &tick[digits.len()..] {
                "day" => 1,
                "week" => 7,
                _ => 30,
            };
            // Each date needs a sixteenth of the chart.
            assert!(days / (unit * digits.parse::<i64>().unwrap()) <= 16, "{days} days: {axis}");
        }
    }

    /// What begins a directive of Mermaid's Gantt charts.
    const DIRECTIVES: [&str; 14] = [
        "section",
        "click",
        "call",
        "href",
        "title",
        "gantt",
        "dateFormat",
        "axisFormat",
        "tickInterval",
        "todayMarker",
        "excludes",
        "includes",
        "weekday",
        "accTitle",
    ];

    #[test]
    fn no_line_begins_with_an_id() {
        for id in DIRECTIVES {
            for (days, share) in [(40, "wide"), (12, "narrow"), (7, "small")] {
                let now = time("2026-09-01T06:00:00Z").unwrap();
                let minted = now - SignedDuration::from_hours(days * 24);
                let old = span(
                    id,
                    &(minted - SignedDuration::from_hours(days * 24)).to_string(),
                    Some("2026-09-08T06:00:00Z"),
                    0,
                );
                let tokens = vec![span(id, &minted.to_string(), Some("2026-12-10T06:00:00Z"), 1), old];
                let chart = chart(&[RotationReport { tokens, ..RotationReport::new(id, "axiom") }]);
                let body = chart.strip_prefix(HEAD).unwrap().lines().skip(2).map(str::trim);
                for line in body.filter(|line| !line.starts_with("section ")) {
                    let first = line.split([' ', ':']).next().unwrap();
                    assert!(!DIRECTIVES.contains(&first), "{share}: {line}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_name_can_be_anything_but_a_name(name in ".{0,60}", id in ".{0,60}") {
            let tokens = vec![span(&id, "2026-08-01T06:00:00Z", None, 1)];
            let chart = chart(&[RotationReport { tokens, ..RotationReport::new(name, "axiom") }]);
            let lines: Vec<&str> = chart.strip_prefix(HEAD).unwrap().lines().skip(2).collect();
            prop_assert_eq!(lines[2], "```");
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-');
            prop_assert!(lines[0].strip_prefix("    section ").unwrap().chars().all(plain));
            let (task, times) = lines[1].split_once(" :").unwrap();
            prop_assert!(task.strip_prefix("    token ").unwrap().chars().all(plain));
            prop_assert_eq!(times, "active, 2026-08-01 06:00, 2026-10-01 06:00");
        }
    }
}
