//! The job summary on GitHub: verdict first, then a short table.
//!
//! Markdown is written here alone. Everything that is not ours goes through
//! [`code`] or [`markdown`], so it can neither end a cell nor be markup.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use super::model::{DestinationOutcome, Printable, RotationOutcome, RotationReport};
use super::words;
use crate::redact::{code, markdown};

/// GitHub refuses a step's summary above this many bytes.
const FILE_LIMIT: usize = 1024 * 1024;

/// Room for what is written around the rows.
const RESERVE: usize = 4096;

/// Appends the summary to the file that the runner named. What other programs
/// of the same step have written counts towards GitHub's limit.
///
/// # Errors
/// When the file cannot be written.
pub fn append(report: &Printable, file: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    let taken = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    file.write_all(render(report, FILE_LIMIT.saturating_sub(taken)).as_bytes())
}

/// The summary, in `limit` bytes at most.
fn render(report: &Printable, limit: usize) -> String {
    let Some(room) = limit.checked_sub(RESERVE) else { return String::new() };
    let mut page = format!("## crossfade: {}\n\n", words::tally(report));
    if report.dry_run {
        page.push_str("A dry run: nothing was changed.\n\n");
    }
    if let Some(warning) = words::writer_ends(report) {
        page.push_str(&format!("**Warning**: {}.\n\n", markdown(&warning)));
    }
    let rotations = words::trouble_first(report);
    // Half of the room for the rotations, so that there is some for the trouble.
    let rows = rotations.iter().map(|rotation| row(report, rotation));
    let columns = ["Rotation", "Verdict", "Token", "Expires", "Previous token", "Destinations"];
    page.push_str(&table(&columns, rows, room / 2, "rotations"));
    let mut notes = rotations.iter().flat_map(|rotation| notes(report, rotation)).peekable();
    if notes.peek().is_some() {
        page.push_str(&table(&["Rotation", "Where", "What"], notes, room / 2, "notes"));
    }
    page
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
        table.push_str(&format!(
            "{left_out} more {what} are left out: GitHub limits the size of a summary.\n\n"
        ));
    }
    table
}

/// One rotation.
fn row(report: &Printable, rotation: &RotationReport) -> Vec<String> {
    let verdict = words::verdict(rotation);
    let verdict = match rotation.outcome {
        RotationOutcome::Failed => format!("**{verdict}**"),
        RotationOutcome::Rotated | RotationOutcome::Fresh | RotationOutcome::Planned => verdict.to_owned(),
    };
    let because =
        words::because(rotation).map_or_else(String::new, |because| format!(": {}", markdown(&because)));
    let (token, expiry) = match &rotation.token {
        Some(token) => (code(&token.id), words::when(token.expires_at, report.now, "never")),
        None => Default::default(),
    };
    let previous = rotation.previous.as_ref().map_or_else(String::new, |previous| {
        let until = words::when(previous.valid_until, report.now, "a later run retires it");
        format!("{} until {until}", code(&previous.id))
    });
    vec![code(&rotation.name), format!("{verdict}{because}"), token, expiry, previous, destinations(rotation)]
}

/// `2 written, 1 failed`
fn destinations(rotation: &RotationReport) -> String {
    let words = [
        (DestinationOutcome::Failed, "**failed**"),
        (DestinationOutcome::Written, "written"),
        (DestinationOutcome::Planned, "to write"),
        (DestinationOutcome::Held, "held"),
        (DestinationOutcome::Unknown, "unknown"),
    ];
    words
        .iter()
        .map(|&(outcome, word)| (rotation.count(outcome), word))
        .filter(|&(count, _)| count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What needs a reader's eye in a rotation: errors, failed destinations, warnings.
fn notes(report: &Printable, rotation: &RotationReport) -> Vec<Vec<String>> {
    let note = |place: String, what: String| vec![code(&rotation.name), place, what];
    let mut notes = Vec::new();
    if let Some(error) = &rotation.error {
        notes.push(note(String::new(), markdown(error)));
    }
    for destination in &rotation.destinations {
        if destination.outcome == DestinationOutcome::Failed {
            let error = markdown(destination.error.as_deref().unwrap_or("failed"));
            let holds = destination.holds.as_ref().map_or_else(String::new, |holds| {
                let until = words::when(holds.valid_until, report.now, "somebody ends it");
                format!("; holds {}, valid until {until}", code(&holds.id))
            });
            notes.push(note(code(&destination.destination), error + &holds));
        }
    }
    notes.extend(rotation.warnings.iter().map(|warning| note(String::new(), markdown(warning))));
    if let Some(step) = &rotation.next_step {
        notes.push(note("what to do".to_owned(), markdown(step)));
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

    fn printable(report: &Report) -> Printable {
        report.printable(&Redactor::new())
    }

    fn rendered(report: &Report) -> String {
        render(&printable(report), FILE_LIMIT)
    }

    #[test]
    fn verdict_first_and_trouble_first() {
        let report = samples::report(vec![samples::fresh(), samples::rotated(), samples::failed()]);
        assert_snapshot!(rendered(&report), @r#"
        ## crossfade: 1 failed, 1 rotated, 1 fresh

        | Rotation | Verdict | Token | Expires | Previous token | Destinations |
        |---|---|---|---|---|---|
        | <code>ci-ingest</code> | **failed**: it is due&#58; 12 days left, rotates at 14 | <code>tok-2</code> | 2026-11-30 06:00 UTC (in 90 days) | <code>tok-1</code> until 2026-09-08 06:00 UTC (in 7 days) | 1 **failed**, 1 written |
        | <code>ci-ingest</code> | rotated: it is due&#58; 12 days left, rotates at 14 | <code>tok-2</code> | 2026-11-30 06:00 UTC (in 90 days) | <code>tok-1</code> until 2026-09-08 06:00 UTC (in 7 days) | 2 written |
        | <code>nightly</code> | fresh: nothing is due&#58; 60 days left, rotates at 14 | <code>tok-7</code> | 2026-10-31 06:00 UTC (in 60 days) |  | 1 held, 1 unknown |

        | Rotation | Where | What |
        |---|---|---|
        | <code>ci-ingest</code> |  | 1 of 2 destinations does not hold the new token |
        | <code>ci-ingest</code> | <code>acme/gone&#58;AXIOM&#95;TOKEN</code> | GitHub answers 404&#58; the repository does not exist, or is not shown to us; holds <code>tok-1</code>, valid until 2026-09-08 06:00 UTC (in 7 days) |
        | <code>ci-ingest</code> | what to do | remove the destination or grant access; the next run tries again |
        | <code>nightly</code> |  | acme/web&#58;AXIOM&#95;TOKEN was written by somebody else |
        "#);
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
            let tags = text.replace("<code>", "").replace("</code>", "");
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
        let report = printable(&report);
        let limit = 100_000;
        let text = render(&report, limit);
        assert!(text.len() > limit * 9 / 10 && text.len() <= limit, "{}", text.len());
        assert_eq!(text.matches("are left out").count(), 2);
        let shown = text.split("| Where |").next().unwrap().matches("\n| <code>").count();
        assert!(text.contains(&format!("\n{} more rotations are left out", 600 - shown)), "{shown}");
        assert_eq!(render(&report, 100), "");
    }

    #[test]
    fn appends_to_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("summary.md");
        std::fs::write(&file, "before\n").unwrap();
        append(&printable(&samples::report(vec![samples::rotated()])), &file).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("before\n## crossfade: 1 rotated\n\n| Rotation"), "{text}");
        std::fs::write(&file, "x".repeat(FILE_LIMIT - 10)).unwrap();
        append(&printable(&samples::report(vec![samples::rotated()])), &file).unwrap();
        assert!(std::fs::metadata(&file).unwrap().len() <= FILE_LIMIT as u64);
    }
}
