//! The job summary on GitHub: the verdict, a short table, warnings, a chart of the
//! tokens, and every destination.
//!
//! Markdown is written here alone. Everything that is not ours goes through
//! [`code`] or [`markdown`], so it can neither end a cell nor be markup.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use super::model::{
    DestinationOutcome, DestinationReport, RedactedReport, Reporter, RotationOutcome, RotationReport,
};
use super::{format, gantt};
use crate::redact::{code, markdown};

/// GitHub refuses a step's summary above this many bytes.
const FILE_LIMIT: usize = 1024 * 1024;

/// More destinations than these are folded.
const OPEN: usize = 10;

/// Room for what is written around the rows.
const RESERVE: usize = 4096;

/// Appends the summary to the file that the runner named. What other programs
/// of the same step have written counts towards GitHub's limit.
///
/// # Errors
/// When the file cannot be written.
pub fn append(report: &RedactedReport, file: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    let taken = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    file.write_all(render(report, FILE_LIMIT.saturating_sub(taken)).as_bytes())
}

/// The summary, in `limit` bytes at most.
fn render(report: &RedactedReport, limit: usize) -> String {
    let Some(room) = limit.checked_sub(RESERVE) else { return String::new() };
    let mut page = format!("## crossfade: {}\n\n", format::tally(report));
    match (report.command, report.dry_run) {
        (Reporter::Status, _) => page.push_str("How things are; nothing was changed.\n\n"),
        (Reporter::Rotate, true) => page.push_str("A dry run: nothing was changed.\n\n"),
        (Reporter::Rotate, false) => {}
    }
    if let Some(warning) = format::writer_ends(report) {
        page.push_str(&format!("**Warning**: {}.\n\n", markdown(&warning)));
    }
    let rotations = format::failed_first(report);
    if rotations.is_empty() {
        return page;
    }
    // A quarter of the room for each part, so that some is left for the errors.
    let part = room / 4;
    let rows = rotations.iter().map(|rotation| row(report, rotation));
    let columns = ["Rotation", "Verdict", "Token", "Expires", "Previous token", "Destinations"];
    page.push_str(&table(&columns, rows, part, "rotations"));
    let notes = rotations.iter().flat_map(|rotation| notes(rotation)).chain(expiring(report));
    let mut notes = notes.chain(findings(report)).peekable();
    if notes.peek().is_some() {
        page.push_str("### To know\n\n");
        page.push_str(&table(&["Rotation", "", "What"], notes, part, "notes"));
    }
    page.push_str(&chart(report, &rotations, part));
    let count: usize = rotations.iter().map(|rotation| rotation.destinations.len()).sum();
    let rows = rotations.iter().flat_map(|rotation| destination_rows(report, rotation));
    let columns = ["Rotation", "Destination", "Result", "Last written"];
    let table = table(&columns, rows, part, "destinations");
    if count > OPEN {
        let what = format::counted(count as u64, "destination");
        page.push_str(&format!("<details><summary>{what}</summary>\n\n{table}</details>\n"));
    } else {
        page.push_str(&table);
    }
    page
}

/// The chart of the tokens, in `room` bytes at most, and how many rotations are not in
/// it.
fn chart(report: &RedactedReport, rotations: &[&RotationReport], room: usize) -> String {
    let drawn =
        report.now.and_then(|now| gantt::render(rotations, now)).filter(|(chart, _)| chart.len() <= room);
    let Some((mut chart, shown)) = drawn else { return String::new() };
    let left_out = rotations.iter().filter(|rotation| !rotation.tokens.is_empty()).count() - shown;
    if left_out > 0 {
        chart.push_str(&format!("{} not drawn.\n\n", format::counted(left_out as u64, "more rotation")));
    }
    chart
}

/// A table of as many rows as there is room for, and a line on what was left out.
fn table(columns: &[&str], rows: impl Iterator<Item = Vec<String>>, room: usize, what: &str) -> String {
    let mut table = format!("| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
    let mut left_out = 0;
    for row in rows {
        let row = format!("| {} |\n", row.join(" | "));
        if left_out == 0 && table.len() + row.len() <= room {
            table.push_str(&row);
        } else {
            left_out += 1;
        }
    }
    table.push('\n');
    if left_out > 0 {
        table.push_str(&format!("{left_out} more {what} are left out: GitHub takes 1 MiB of a summary.\n\n"));
    }
    table
}

/// One rotation.
fn row(report: &RedactedReport, rotation: &RotationReport) -> Vec<String> {
    let outcome = format::outcome(rotation);
    let outcome = match rotation.outcome {
        RotationOutcome::Failed => format!("**{outcome}**"),
        RotationOutcome::Rotated | RotationOutcome::Fresh | RotationOutcome::Planned => outcome.to_owned(),
    };
    let because =
        format::because(rotation).map_or_else(String::new, |because| format!(": {}", markdown(&because)));
    let (token, expiry) = match &rotation.token {
        Some(token) => (code(&token.id), format::brief(token.expires_at, report.now, "never")),
        None => Default::default(),
    };
    let previous = rotation.previous.as_ref().map_or_else(String::new, |previous| {
        let until = format::when(previous.valid_until, report.now, "a later run retires it");
        format!("{} until {until}", code(&previous.id))
    });
    vec![code(&rotation.name), format!("{outcome}{because}"), token, expiry, previous, destinations(rotation)]
}

/// `2 written, 1 failed`
fn destinations(rotation: &RotationReport) -> String {
    let words = [
        (DestinationOutcome::Failed, "**failed**"),
        (DestinationOutcome::Written, "written"),
        (DestinationOutcome::Planned, "to write"),
        (DestinationOutcome::Held, "held"),
        (DestinationOutcome::Unknown, "unknown"),
        (DestinationOutcome::NotRead, "**not read**"),
    ];
    words
        .iter()
        .map(|&(outcome, word)| (rotation.count(outcome), word))
        .filter(|&(count, _)| count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Every destination of a rotation, failed ones first.
fn destination_rows(report: &RedactedReport, rotation: &RotationReport) -> Vec<Vec<String>> {
    let mut destinations: Vec<&DestinationReport> = rotation.destinations.iter().collect();
    destinations.sort_by_key(|destination| {
        !matches!(destination.outcome, DestinationOutcome::Failed | DestinationOutcome::NotRead)
    });
    let row = |destination: &DestinationReport| {
        let (word, more) = match destination.outcome {
            DestinationOutcome::Failed => ("**failed**", destination.error.as_deref().map(markdown)),
            DestinationOutcome::Written => ("written", None),
            DestinationOutcome::Planned if destination.updated_at.is_none() => ("to create", None),
            DestinationOutcome::Planned => ("to write", None),
            DestinationOutcome::Held => ("held", None),
            DestinationOutcome::Unknown if destination.updated_at.is_none() => ("no such secret", None),
            DestinationOutcome::Unknown => ("unknown", None),
            DestinationOutcome::NotRead => ("**not read**", destination.error.as_deref().map(markdown)),
        };
        let holds = destination.holds.as_ref().map(|holds| {
            let until = format::when(holds.valid_until, report.now, "somebody ends it");
            format!("holds {}, valid until {until}", code(&holds.id))
        });
        let result: Vec<String> = [Some(word.to_owned()), more, holds].into_iter().flatten().collect();
        let written = format::when(destination.updated_at, report.now, "");
        vec![code(&rotation.name), code(&destination.destination), result.join("; "), written]
    };
    destinations.into_iter().map(row).collect()
}

/// What `status` was asked to look out for.
fn expiring(report: &RedactedReport) -> impl Iterator<Item = Vec<String>> {
    report.expiring.iter().map(|one| {
        let what = one
            .id
            .as_ref()
            .map_or_else(|| "the GitHub credential".to_owned(), |id| format!("token {}", code(id)));
        let end = format::when(one.expires_at, report.now, "");
        let rotation = one.rotation.as_deref().map(code).unwrap_or_default();
        vec![rotation, "**ends too soon**".to_owned(), format!("{what}: {end}")]
    })
}

/// What `status --fail-on` found.
fn findings(report: &RedactedReport) -> impl Iterator<Item = Vec<String>> {
    report
        .fail_on
        .iter()
        .map(|one| vec![code(&one.rotation), "**--fail-on**".to_owned(), markdown(&format::finding(one))])
}

/// What needs a reader's eye in a rotation: errors, warnings, what to do.
fn notes(rotation: &RotationReport) -> Vec<Vec<String>> {
    let note = |kind: &str, what: String| vec![code(&rotation.name), kind.to_owned(), what];
    let mut notes = Vec::new();
    if let Some(error) = &rotation.error {
        notes.push(note("**error**", markdown(error)));
    }
    notes.extend(rotation.warnings.iter().map(|warning| note("warning", markdown(warning))));
    if let Some(step) = &rotation.next_step {
        notes.push(note("what to do", markdown(step)));
    }
    notes
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::samples;
    use super::*;
    use crate::redact::Redactor;
    use crate::report::Report;

    fn redacted(report: &Report) -> RedactedReport {
        report.redacted(&Redactor::new())
    }

    fn rendered(report: &Report) -> String {
        render(&redacted(report), FILE_LIMIT)
    }

    #[test]
    fn verdict_first_and_failures_first() {
        let report = samples::report(vec![samples::fresh(), samples::rotated(), samples::failed()]);
        assert_snapshot!("summary", rendered(&report));
    }

    #[test]
    fn a_dry_run_says_so() {
        let report = Report { dry_run: true, ..samples::report(vec![samples::planned()]) };
        assert!(rendered(&report).contains("\n\nA dry run: nothing was changed.\n\n"));
    }

    #[test]
    fn hostile_strings_change_no_structure() {
        let shape = |text: &str| {
            let pipes = text.lines().map(|line| line.matches('|').count()).collect::<Vec<_>>();
            // Our own tags alone.
            let tags = text.replace("<code>", "").replace("</code>", "").replace("```", "");
            assert!(!tags.contains(['<', '>', '`', '[', '\\', '@', '\u{1b}', '\u{202e}']), "{text}");
            (pipes, text.matches("<code>").count(), text.matches('*').count())
        };
        let mut tame = samples::failed();
        for destination in &mut tame.destinations {
            // Nothing in the shape depends on the words.
            destination.destination = "acme/api:T".to_owned();
        }
        let hostile = rendered(&samples::hostile());
        assert_eq!(shape(&hostile), shape(&rendered(&samples::report(vec![tame]))));
        assert!(!hostile.lines().any(|line| line.trim_start().starts_with("::") || line.contains("##[")));
    }

    #[test]
    fn stays_under_the_limit_and_says_what_is_missing() {
        let report = samples::report(vec![[samples::failed(), samples::fresh()]; 300].into_flattened());
        let report = redacted(&report);
        let limit = 100_000;
        let text = render(&report, limit);
        assert!(text.len() > limit * 3 / 4 && text.len() <= limit, "{}", text.len());
        assert_eq!(text.matches("are left out").count(), 3);
        assert!(text.contains("\n270 more rotations not drawn.\n"));
        assert!(text.ends_with("</details>\n"));
        let shown = text.split("### To know").next().unwrap().matches("\n| <code>").count();
        assert!(text.contains(&format!("\n{} more rotations are left out", 600 - shown)), "{shown}");
        assert_eq!(render(&report, 100), "");
    }

    #[test]
    fn appends_to_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("summary.md");
        std::fs::write(&file, "before\n").unwrap();
        append(&redacted(&samples::report(vec![samples::rotated()])), &file).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("before\n## crossfade: 1 rotated\n\n| Rotation"), "{text}");
        std::fs::write(&file, "x".repeat(FILE_LIMIT - 10)).unwrap();
        append(&redacted(&samples::report(vec![samples::rotated()])), &file).unwrap();
        assert!(std::fs::metadata(&file).unwrap().len() <= FILE_LIMIT as u64);
    }
}
