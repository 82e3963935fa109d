//! The page of `crossfade status`.
//!
//! Tables first; on a terminal also a timeline of the tokens ([`super::timeline`]). The
//! first column of every table has only crossfade's own words, so that no text from
//! outside is colored.

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};

use super::model::{
    DestinationOutcome, DestinationReport, RedactedReport, RotationOutcome, RotationReport, UnmanagedToken,
    Verdict,
};
use super::{Terminal, format, timeline};

/// The whole page.
pub(super) fn render(report: &RedactedReport, terminal: Terminal) -> String {
    let mut page = String::new();
    let rotations = format::failed_first(report);
    if !rotations.is_empty() {
        section(&mut page, "", &tokens(report, &rotations, terminal));
        section(&mut page, "", &destinations(report, &rotations, terminal));
    }
    if let Some(columns) = terminal.columns {
        section(&mut page, "", &timeline::render(report, columns));
    }
    section(&mut page, "Old tokens:\n", &retirements(report));
    section(&mut page, "What to do:\n", &steps(&rotations));
    section(&mut page, "Warnings:\n", &warnings(&rotations));
    section(&mut page, "Found:\n", &notes(&rotations));
    section(&mut page, "Ends too soon:\n", &expiring(report));
    section(&mut page, "Fails because of --fail-on:\n", &findings(report));
    if let Some(tokens) = &report.unmanaged {
        section(&mut page, "Tokens that no rotation covers:\n", &unmanaged(report, tokens));
    }
    if let Some(end) = report.github_credential_expires_at {
        let end = format::when(Some(end), report.now, "");
        section(&mut page, "", &format!("The GitHub credential expires {end}.\n"));
    }
    page.push_str(&conclusion(report));
    page
}

/// A block and an empty line, if there is anything in it.
fn section(page: &mut String, title: &str, block: &str) {
    if !block.is_empty() {
        page.push_str(title);
        page.push_str(block);
        page.push('\n');
    }
}

fn tokens(report: &RedactedReport, rotations: &[&RotationReport], terminal: Terminal) -> String {
    let rows = rotations.iter().map(|rotation| {
        let token = rotation.token.as_ref();
        vec![
            verdict(rotation).to_owned(),
            rotation.name.clone(),
            token.map(|token| token.name.clone()).unwrap_or_default(),
            token.map(|token| format::brief(token.expires_at, report.now, "never")).unwrap_or_default(),
            why(report, rotation),
        ]
    });
    table(["VERDICT", "ROTATION", "TOKEN", "EXPIRES", "WHY"], rows, terminal)
}

fn destinations(report: &RedactedReport, rotations: &[&RotationReport], terminal: Terminal) -> String {
    let rows = rotations.iter().flat_map(|rotation| {
        rotation.destinations.iter().map(|destination| {
            let (word, note) = held(report, destination);
            let written = format::brief(destination.updated_at, report.now, "");
            vec![word.to_owned(), destination.destination.clone(), rotation.name.clone(), written, note]
        })
    });
    table(["HOLDS", "DESTINATION", "ROTATION", "LAST WRITTEN", "NOTE"], rows, terminal)
}

/// What a destination holds, in a word, and what to know of it.
fn held(report: &RedactedReport, destination: &DestinationReport) -> (&'static str, String) {
    if let Some(holds) = &destination.holds {
        let end = format::brief(holds.valid_until, report.now, "not by itself");
        return ("older", format!("{}, ends {end}", holds.id));
    }
    match destination.outcome {
        DestinationOutcome::NotRead => ("not read", destination.error.clone().unwrap_or_default()),
        DestinationOutcome::Held | DestinationOutcome::Written => ("current", String::new()),
        DestinationOutcome::Failed => ("FAILED", destination.error.clone().unwrap_or_default()),
        _ if destination.updated_at.is_none() => ("nothing", "there is no such secret yet".to_owned()),
        _ => ("unknown", "not written by crossfade".to_owned()),
    }
}

/// The verdict in two words at most.
fn verdict(rotation: &RotationReport) -> &'static str {
    match (rotation.outcome, rotation.reason) {
        (RotationOutcome::Failed, _) => "FAILED",
        (_, Some(Verdict::Due)) => "due",
        (_, Some(Verdict::Forced)) => "forced",
        (_, Some(Verdict::Undelivered)) => "undelivered",
        (_, Some(Verdict::Missing)) => "missing",
        (_, Some(Verdict::InFlight)) => "in flight",
        (_, Some(Verdict::Fresh) | None) => "fresh",
    }
}

fn why(report: &RedactedReport, rotation: &RotationReport) -> String {
    match (rotation.outcome, rotation.next_rotation_at) {
        (RotationOutcome::Failed, _) => rotation.error.clone().unwrap_or_default(),
        (_, Some(next)) if rotation.reason == Some(Verdict::Fresh) => {
            format!("due {}", format::brief(Some(next), report.now, ""))
        }
        _ => rotation.reason_text.clone().unwrap_or_default(),
    }
}

/// Previous tokens that no destination holds, and when they end.
fn retirements(report: &RedactedReport) -> String {
    let mut block = String::new();
    for rotation in &report.rotations {
        let current = rotation.token.as_ref().map(|token| &token.id);
        for span in rotation.tokens.iter().filter(|span| span.held_by == 0 && Some(&span.id) != current) {
            let end = match (span.retire_at, span.ends_at) {
                _ if rotation.retired.contains(&span.id) => "the next run ends it".to_owned(),
                (Some(from), _) => {
                    format!("a run ends it from {} on", format::when(Some(from), report.now, ""))
                }
                (None, Some(end)) => format!("ends by itself {}", format::when(Some(end), report.now, "")),
                (None, None) => "stays: somebody may still hold it".to_owned(),
            };
            let _ = writeln!(block, "  token {} of {}: {end}", span.id, rotation.name);
        }
    }
    block
}

fn steps(rotations: &[&RotationReport]) -> String {
    let steps = rotations.iter().filter_map(|rotation| Some((&rotation.name, rotation.next_step.as_ref()?)));
    steps.map(|(name, step)| format!("  for {name}: {step}\n")).collect()
}

fn warnings(rotations: &[&RotationReport]) -> String {
    let lines = rotations.iter().flat_map(|rotation| {
        rotation.warnings.iter().map(|warning| format!("  of {}: {warning}\n", rotation.name))
    });
    lines.collect()
}

fn notes(rotations: &[&RotationReport]) -> String {
    let lines = rotations
        .iter()
        .flat_map(|rotation| rotation.notes.iter().map(|note| format!("  for {}: {note}\n", rotation.name)));
    lines.collect()
}

fn expiring(report: &RedactedReport) -> String {
    let lines = report.expiring.iter().map(|one| {
        let end = format::when(one.expires_at, report.now, "");
        format!("  {}: {end}\n", format::expiring(one))
    });
    lines.collect()
}

fn findings(report: &RedactedReport) -> String {
    let lines = report.fail_on.iter().map(|one| format!("  {} {}\n", one.rotation, format::finding(one)));
    lines.collect()
}

fn unmanaged(report: &RedactedReport, tokens: &[UnmanagedToken]) -> String {
    if tokens.is_empty() {
        return "  none\n".to_owned();
    }
    let line = |token: &UnmanagedToken| {
        let named = format::named(format::short(&token.id), &token.name);
        let state = match (token.disabled, token.expires_at) {
            (true, _) => "disabled".to_owned(),
            (false, None) => "does not expire".to_owned(),
            (false, Some(end)) => {
                let verb = if report.now.is_some_and(|now| end <= now) { "expired" } else { "expires" };
                format!("{verb} {}", format::when(Some(end), report.now, ""))
            }
        };
        let marker = if token.marker.is_some() { "; carries the marker of another rotation" } else { "" };
        format!("  {} {named}: {state}{marker}\n", token.provider)
    };
    tokens.iter().map(line).collect()
}

fn conclusion(report: &RedactedReport) -> String {
    let at = report.now.map(|now| format!(" (at {})", format::date(now))).unwrap_or_default();
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for rotation in format::failed_first(report) {
        let verdict = verdict(rotation);
        match counts.iter_mut().find(|(known, _)| *known == verdict) {
            Some((_, count)) => *count += 1,
            None => counts.push((verdict, 1)),
        }
    }
    let counts: Vec<String> =
        counts.iter().map(|(verdict, count)| format!("{count} {}", verdict.to_lowercase())).collect();
    let counts = if counts.is_empty() { "nothing to look after".to_owned() } else { counts.join(", ") };
    format!("{counts}{at}. Nothing was changed.\n")
}

/// A table without lines; wrapped where the screen has a width.
fn table<const N: usize>(
    header: [&str; N],
    rows: impl Iterator<Item = Vec<String>>,
    terminal: Terminal,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    match terminal.columns {
        Some(columns) => {
            let columns = u16::try_from(columns).unwrap_or(u16::MAX);
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns);
        }
        None => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    for row in rows {
        table.add_row(row);
    }
    // No space at either end of a line.
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    // Wrapping may bring to a line's beginning what a runner would obey there.
    let harmless = |line: &str| match line.trim_start().strip_prefix("::") {
        Some(rest) => format!("{}: :{rest}", &line[..line.len() - line.trim_start().len()]),
        None => line.to_owned(),
    };
    table.lines().map(|line| format!("{}\n", harmless(line.trim_end()))).collect()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::samples::{self, span, time};
    use super::*;
    use crate::redact::Redactor;
    use crate::report::{Expiring, Report, Reporter, TokenSpan};

    fn page(report: Report, columns: Option<usize>) -> String {
        let report = Report { command: Reporter::Status, dry_run: true, ..report };
        render(&report.redacted(&Redactor::new()), Terminal { columns, colors: false })
    }

    fn waiting(id: &str, minted: &str, retire_at: &str) -> TokenSpan {
        TokenSpan { retire_at: time(retire_at), ..span(id, minted, None, 0) }
    }

    /// Every destination in a way of its own, an old token that a run will end,
    /// and one that it ends now.
    fn varied() -> RotationReport {
        let end = "2026-09-08T06:00:00Z";
        let mut rotation = samples::fresh();
        rotation.destinations.push(DestinationReport {
            holds: Some(crate::report::TokenEnd { id: "tok-6".to_owned(), valid_until: time(end) }),
            updated_at: time("2026-06-01T06:00:00Z"),
            ..DestinationReport::new("acme/old:AXIOM_TOKEN", DestinationOutcome::Unknown)
        });
        rotation.destinations[0].updated_at = time("2026-08-31T07:00:00Z");
        rotation.tokens = vec![
            span("tok-7", "2026-08-31T07:00:00Z", Some("2026-10-31T06:00:00Z"), 1),
            span("tok-6", "2026-06-01T06:00:00Z", Some(end), 1),
            waiting("tok-5", "2026-05-01T06:00:00Z", "2026-09-07T07:00:00Z"),
            waiting("tok-4", "2026-04-01T06:00:00Z", "2026-08-07T07:00:00Z"),
            span("tok-3", "2026-03-01T06:00:00Z", None, 0),
        ];
        rotation.retired = vec!["tok-4".to_owned()];
        rotation
    }

    #[test]
    fn everything_has_its_place() {
        let expiring = Expiring {
            rotation: Some("nightly".into()),
            id: Some("tok-6".into()),
            expires_at: time("2026-09-08T06:00:00Z"),
        };
        let report = Report {
            github_credential_expires_at: time("2026-09-30T06:00:00Z"),
            expiring: vec![expiring],
            ..samples::report(vec![varied(), samples::failed()])
        };
        assert_snapshot!("status-page", page(report, Some(110)));
    }

    #[test]
    fn hostile_strings_stay_where_they_are_put() {
        for columns in [None, Some(60), Some(110)] {
            let mut report = samples::hostile();
            report.rotations[0].warnings = vec![samples::HOSTILE.to_owned()];
            report.rotations[0].tokens = vec![span(samples::HOSTILE, "2026-03-01T06:00:00Z", None, 0)];
            // A name that would make a command of the colon after it.
            report.rotations.push(RotationReport { name: ":".to_owned(), ..samples::failed() });
            for line in page(report, columns).lines() {
                assert!(!line.trim_start().starts_with("::") && !line.contains("##["), "{line}");
                assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line}");
            }
        }
    }

    #[test]
    fn a_narrow_terminal_gets_no_drawing_and_a_wide_one_is_not_overrun() {
        let report = || samples::report(vec![varied()]);
        assert!(!page(report(), None).contains(timeline::LIVE));
        assert!(!page(report(), Some(40)).contains(timeline::LIVE));
        for columns in [60, 80, 200] {
            let page = page(report(), Some(columns));
            assert!(page.contains(timeline::LIVE), "{columns}");
            assert!(
                page.lines()
                    .filter(|line| line.contains(timeline::LIVE))
                    .all(|line| line.chars().count() <= columns)
            );
        }
    }
}
