//! The tokens' spans as a Mermaid Gantt chart, which GitHub draws in a summary.
//!
//! Mermaid has no way to quote: a word from outside could end a task, begin a
//! directive or be markup. So names become letters, digits, dots, dashes and
//! underscores here, and each stands behind a word of ours.

use jiff::Timestamp;

use super::model::RotationReport;
use super::spans;

/// The most bars in a readable chart.
const MOST: usize = 30;
/// Of a name, so many characters are shown: what the left margin has room for.
const NAME: usize = 24;
/// Of an id, in a bar with room for it.
const ID: usize = 12;
/// Of an id, in a shorter bar.
const SHORT_ID: usize = 8;

/// A name that is wider than its bar is drawn over the next one, where it cannot be
/// read on a dark page. In percent of the chart, as wide as its names need it.
const WIDE: i64 = 17;
const NARROW: i64 = 10;
/// An old token's bar that is smaller than this is left out.
const VISIBLE: i64 = 4;

const HEAD: &str = "\
```mermaid
---
displayMode: compact
config:
  gantt:
    leftPadding: 180
---
gantt
    dateFormat YYYY-MM-DD HH:mm
";

/// The chart, and how many rotations are in it; `None`: there is nothing to draw.
pub(super) fn render(rotations: &[&RotationReport], now: Timestamp) -> Option<(String, usize)> {
    let shown: Vec<_> = rotations
        .iter()
        .map(|rotation| (rotation, spans::of(rotation, now)))
        .filter(|(_, spans)| !spans.is_empty())
        .take(MOST)
        .collect();
    if shown.is_empty() {
        return None;
    }
    let written = shown.iter().flat_map(|(rotation, _)| &rotation.destinations);
    let written = written.filter_map(|destination| destination.updated_at);
    let (first, last) = spans::range(shown.iter().flat_map(|(_, spans)| spans), written, now);
    let mut chart = format!("{HEAD}{}", axis(first, last));
    let share = |begin: Timestamp, end: Timestamp| {
        end.duration_since(begin).as_secs() * 100 / last.duration_since(first).as_secs().max(1)
    };
    let mut names = Vec::new();
    let inside = |time: Timestamp| time.clamp(first, last);
    for (rotation, spans) in &shown {
        let name = safe(&rotation.name, NAME);
        names.push(name.clone());
        // Mermaid would draw sections of one name as one.
        match names.iter().filter(|other| **other == name).count() {
            1 => chart.push_str(&format!("    section {name}\n")),
            nth => chart.push_str(&format!("    section {name} {nth}\n")),
        }
        let mut overlap = None;
        for span in spans {
            let begin = inside(span.begin.unwrap_or(first));
            let end = inside(span.end.unwrap_or(last));
            let turn = span.replaced.or(span.due).map_or(end, inside).clamp(begin.min(end), end);
            let (share, is_old) = (share(begin, turn), span.replaced.is_some());
            let tag = match (&span.id, is_old) {
                (None, _) => "",
                (Some(_), false) => "active, ",
                (Some(_), true) => "done, ",
            };
            let name = match &span.id {
                None => "would be minted".to_owned(),
                Some(id) if share >= WIDE => format!("token {}", safe(id, ID)),
                // Never alone: some words begin a directive.
                Some(id) if share >= NARROW => format!("id {}", safe(id, SHORT_ID).trim_end_matches('.')),
                Some(_) if is_old => "old".to_owned(),
                Some(_) => "token".to_owned(),
            };
            if !is_old || share >= VISIBLE {
                bar(&mut chart, &name, tag, begin, turn);
            }
            // Bars that begin together are stacked in the order in which they are
            // named: the successor goes on in its predecessor's line.
            if let Some((from, to)) = overlap.take() {
                bar(&mut chart, "overlap", "done, crit, ", from, to);
            }
            match span.replaced {
                Some(_) => overlap = Some((turn, end)),
                None => bar(&mut chart, "due", "active, crit, ", turn, end),
            }
        }
        if let Some((from, to)) = overlap {
            bar(&mut chart, "overlap", "done, crit, ", from, to);
        }
    }
    chart.push_str("```\n\n");
    chart.push_str("Framed: an old token in its overlap, or a token in the time in which it is due.\n\n");
    Some((chart, shown.len()))
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

fn bar(chart: &mut String, name: &str, tag: &str, begin: Timestamp, end: Timestamp) {
    let time = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M").to_string();
    if begin < end {
        chart.push_str(&format!("    {name} :{tag}{}, {}\n", time(begin), time(end)));
    }
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

    use super::super::model::TokenSpan;
    use super::super::samples::{self, span, time};
    use super::*;

    fn chart(rotations: &[RotationReport]) -> String {
        let rotations: Vec<&RotationReport> = rotations.iter().collect();
        render(&rotations, time("2026-09-01T06:00:00Z").unwrap()).map(|(chart, _)| chart).unwrap_or_default()
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
        assert_eq!([40, 12, 7, 3].map(named), ["token 39f5b311-04d...", "id 39f5b311", "old", ""]);
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
