//! Speaks to the GitHub Actions runner: masks, annotations, outputs, groups.
//!
//! Workflow commands go to standard error, which the runner reads as well;
//! standard output carries the report alone.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::format;
use super::model::{RedactedReport, RotationOutcome, rfc3339};
use super::rows::{Failure, View};
use crate::diagnostic::{Origin, Position, Problem, Problems, Severity};
use crate::redact::{Redactor, is_maskable, workflow_data, workflow_property};

/// Longer reports than this, in bytes, are no output: a job's outputs may take
/// 1 MiB, counted in UTF-16.
const REPORT_LIMIT: usize = 448 * 1024;

/// Has the runner mask this value from here on in the job, unless it is one that
/// no mask is made for ([`is_maskable`]): its characters could be obeyed instead.
///
/// The only place where a value is ever written. To be called on GitHub Actions
/// alone, and before anything else could carry the value. If `output` cannot be written,
/// the value is not masked.
pub(crate) fn add_mask(value: &SecretString, output: &mut dyn Write) -> io::Result<()> {
    const ESCAPED: usize = "%25".len();
    if !is_maskable(value) {
        return Ok(());
    }
    let value = value.expose_secret();
    // One write, so that no other output comes between; of a buffer that is wiped
    // and, being large enough, was never moved.
    let mut command = Zeroizing::new(String::with_capacity("::add-mask::\n".len() + value.len() * ESCAPED));
    command.push_str("::add-mask::");
    for character in value.chars() {
        match character {
            '%' => command.push_str("%25"),
            _ => command.push(character),
        }
    }
    command.push('\n');
    output.write_all(command.as_bytes())?;
    output.flush()
}

pub(super) const OUTPUTS: [&str; 6] =
    ["rotated", "token-id", "expires-at", "previous-valid-until", "next-rotation-at", "report"];

/// A warning about the run as a whole, of one harmless line.
pub(crate) fn warn(message: &str, output: &mut dyn Write) -> io::Result<()> {
    writeln!(output, "::warning title=crossfade::{}", workflow_data(message))
}

/// Opens a group that the log folds.
pub(crate) fn group(title: &str, output: &mut dyn Write) -> io::Result<()> {
    writeln!(output, "::group::{}", workflow_data(title))
}

pub(crate) fn end_group(output: &mut dyn Write) -> io::Result<()> {
    writeln!(output, "::endgroup::")
}

/// GitHub shows so many errors of a step, and as many warnings.
const ANNOTATIONS: usize = 10;
/// GitHub cuts a longer message, counted in characters.
const MESSAGE_LIMIT: usize = 4000;

/// One error for each cause of failure, one warning for each warning: however many
/// rotations and destinations it concerns, and no more than GitHub shows.
pub(crate) fn annotate(report: &RedactedReport, output: &mut dyn Write) -> io::Result<()> {
    let view = View::new(report);
    let title = |names: &[&str]| match names {
        [name] => format!("crossfade: {name}"),
        names => format!("crossfade: {}", format::counted(names.len(), "rotation")),
    };
    let failures = view.failures().into_iter().map(|failure| {
        let names: Vec<&str> = failure.rows.iter().map(|row| row.rotation.name.as_str()).collect();
        (title(&names), message(&view, &failure))
    });
    let expiring = report.expiring.iter().map(|one| {
        let end = view.format.end(one.expires_at);
        ("crossfade".to_owned(), format!("{} ends soon: {end}", view.format.expiring(one)))
    });
    let findings = report.fail_on.iter().map(|one| ("crossfade".to_owned(), format::finding(one)));
    annotations("error", failures.chain(expiring).chain(findings).collect(), output)?;
    let credential = format::credential_warning(report, &view.format);
    let credential = credential.map(|warning| ("crossfade: GitHub credential".to_owned(), warning));
    let warnings = view.warnings().into_iter().map(|(warning, names)| {
        let of = if names.len() > 1 {
            format!("{}: ", format::names(&names, str::to_owned))
        } else {
            String::new()
        };
        (title(&names), format!("{of}{}", view.format.sentence(warning)))
    });
    annotations("warning", credential.into_iter().chain(warnings).collect(), output)
}

/// As many annotations as GitHub shows; the last one counts the rest.
fn annotations(command: &str, mut all: Vec<(String, String)>, output: &mut dyn Write) -> io::Result<()> {
    if all.len() > ANNOTATIONS {
        let rest = all.split_off(ANNOTATIONS - 1).len();
        let rest = format!("{}: see the job summary", format::counted(rest, &format!("more {command}")));
        all.push(("crossfade".to_owned(), rest));
    }
    for (title, message) in all {
        let message: String = message.chars().take(MESSAGE_LIMIT).collect();
        writeln!(output, "::{command} title={}::{}", workflow_property(&title), workflow_data(&message))?;
    }
    Ok(())
}

/// What went wrong, where, and what to do: a line each.
fn message(view: &View<'_>, failure: &Failure<'_, '_>) -> String {
    let error = failure.error.map(|error| view.format.sentence(error));
    let causes = failure.causes.iter().map(|(cause, names)| {
        format!("{}: {}", format::names(names, str::to_owned), view.format.sentence(cause))
    });
    let steps = failure.steps().iter().map(|step| view.format.sentence(step));
    error.into_iter().chain(causes).chain(steps).collect::<Vec<_>>().join("\n")
}

/// One annotation for each problem of the configuration, at its position in the file.
pub(crate) fn annotate_problems(
    problems: &Problems,
    redactor: &Redactor,
    output: &mut dyn Write,
) -> io::Result<()> {
    for Problem { severity, message, help, origin } in problems.sorted() {
        let command = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut properties = format!("title={}", workflow_property("crossfade: configuration"));
        let mut lines = vec![redactor.message(message)];
        match origin {
            Origin::File(Position { line, column, length }) => {
                let file = workflow_property(&redactor.line(problems.path()));
                let end = column + length;
                properties.push_str(&format!(",file={file},line={line},col={column},endColumn={end}"));
            }
            Origin::Input(name) => lines.push(format!("given by {name}")),
            Origin::Missing => {}
        }
        lines.extend(help.iter().map(|help| redactor.message(help)));
        writeln!(output, "::{command} {properties}::{}", workflow_data(&lines.join("\n")))?;
    }
    Ok(())
}

/// Appends the step's outputs to the file that the runner named. Those with one
/// value describe the only rotation, and are empty if there are several.
///
/// A report that is too long for an output is left out, with a warning on `warnings`.
pub(crate) fn write_outputs(
    report: &RedactedReport,
    file: &Path,
    warnings: &mut dyn Write,
) -> io::Result<()> {
    let outputs = outputs_of(report)?;
    let text: String = outputs.iter().map(|(name, value)| output(name, value)).collect();
    OpenOptions::new().append(true).create(true).open(file)?.write_all(text.as_bytes())?;
    if outputs.iter().any(|(name, value)| *name == "report" && value.is_empty()) {
        let message = "the report is too long for the output `report`, which is empty; the log has all of it";
        warn(message, warnings)?;
    }
    Ok(())
}

/// The outputs and their values; a report that is too long is left out.
pub(super) fn outputs_of(report: &RedactedReport) -> io::Result<Vec<(&'static str, String)>> {
    let document = serde_json::to_string(report)?;
    let too_long = document.len() > REPORT_LIMIT;
    let rotated = report.rotations.iter().any(|rotation| rotation.outcome == RotationOutcome::Rotated);
    let only = match report.rotations.as_slice() {
        [only] => Some(only),
        _ => None,
    };
    let token = only.and_then(|only| only.token.as_ref());
    let previous = only.and_then(|only| only.previous.as_ref());
    let time = |time: Option<_>| time.map(rfc3339).unwrap_or_default();
    let values = [
        rotated.to_string(),
        token.map(|token| token.id.clone()).unwrap_or_default(),
        time(token.and_then(|token| token.expires_at)),
        time(previous.and_then(|previous| previous.valid_until)),
        time(only.and_then(|only| only.next_rotation_at)),
        if too_long { String::new() } else { document },
    ];
    Ok(OUTPUTS.into_iter().zip(values).collect())
}

/// One output, ended by a random line that the value does not contain.
fn output(name: &str, value: &str) -> String {
    let delimiter = loop {
        let candidate = format!("crossfade_{:032x}", rand::random::<u128>());
        if !value.contains(&candidate) {
            break candidate;
        }
    };
    format!("{name}<<{delimiter}\n{value}\n{delimiter}\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use insta::assert_snapshot;

    use super::super::samples;
    use super::*;
    use crate::redact::Redactor;
    use crate::report::{Report, RotationReport};

    fn redacted(report: &Report) -> RedactedReport {
        report.redacted(&Redactor::new())
    }

    fn annotations(report: &Report) -> String {
        let mut output = Vec::new();
        annotate(&redacted(report), &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    /// Reads the file as the runner does.
    fn outputs(report: &Report) -> BTreeMap<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("output");
        std::fs::write(&file, "other=1\n").unwrap();
        write_outputs(&redacted(report), &file, &mut Vec::new()).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let mut lines = text.strip_prefix("other=1\n").unwrap().lines();
        let mut outputs = BTreeMap::new();
        while let Some(line) = lines.next() {
            let (name, delimiter) = line.split_once("<<").unwrap();
            let value: Vec<&str> = lines.by_ref().take_while(|line| *line != delimiter).collect();
            outputs.insert(name.to_owned(), value.join("\n"));
        }
        outputs
    }

    #[test]
    fn only_a_value_that_cannot_be_obeyed_is_masked() {
        let mask = |value: &str| {
            let mut output = Vec::new();
            add_mask(&SecretString::from(value), &mut output).unwrap();
            String::from_utf8(output).unwrap()
        };
        assert_eq!(mask("xaat-1%0A::b-and-more"), "::add-mask::xaat-1%250A::b-and-more\n");
        assert_eq!(mask(&"%".repeat(4096)).len(), "::add-mask::\n".len() + 3 * 4096);
        let odd = [
            "",
            "too-short-a-one",
            "two lines\n##[error]of it",
            "a-\u{1b}[2J-terminal-command",
            "a-letter-ä-beyond-ascii",
        ];
        for odd in odd.map(str::to_owned).into_iter().chain(["x".repeat(4097)]) {
            assert_eq!(mask(&odd), "", "{odd:?}");
        }
    }

    #[test]
    fn a_mask_is_written_at_once() {
        struct Flushed(Vec<String>);
        impl Write for Flushed {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.push(String::from_utf8(bytes.to_vec()).unwrap());
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                self.0.push("flush".to_owned());
                Ok(())
            }
        }
        let mut output = Flushed(Vec::new());
        add_mask(&SecretString::from("xaat-a-whole-value"), &mut output).unwrap();
        assert_eq!(output.0, ["::add-mask::xaat-a-whole-value\n", "flush"]);
    }

    #[test]
    fn failures_and_warnings_are_annotated() {
        let report = samples::report(vec![samples::rotated(), samples::fresh(), samples::failed()]);
        assert_snapshot!("annotations", annotations(&report));
    }

    #[test]
    fn there_are_no_more_and_no_longer_ones_than_github_shows() {
        let cause = |index: usize| RotationReport {
            name: format!("rotation-{index}"),
            error: Some(format!("error {index}")),
            warnings: vec![format!("warning {index}")],
            ..samples::failed()
        };
        let text = annotations(&samples::report((0..300).map(cause).collect()));
        assert_eq!((text.matches("::error ").count(), text.matches("::warning title=").count()), (1, 10));
        assert!(
            text.contains("::warning title=crossfade::291 more warnings: see the job summary\n"),
            "{text}"
        );
        assert!(text.contains("acme/gone:AXIOM_TOKEN and 297 more: could not be written"), "{text}");
        for (name, report) in samples::scenes() {
            let text = annotations(&report);
            assert!(
                text.lines().count() <= 2 && text.lines().all(|line| line.len() < 4096),
                "{name}: {text}"
            );
        }
    }

    #[test]
    fn hostile_strings_add_no_command() {
        let text = annotations(&samples::hostile());
        assert_eq!(text.lines().count(), 1);
        let (title, message) =
            text.trim_end().strip_prefix("::error title=").unwrap().split_once("::").unwrap();
        assert!(!title.contains([':', ',', '\r', '\n']), "{title}");
        assert!(message.contains("%250A"), "{message}");
        assert!(!text.contains("##[") && !text.contains('\u{1b}'), "{text}");
        let mut output = Vec::new();
        group(samples::HOSTILE, &mut output).unwrap();
        end_group(&mut output).unwrap();
        let text = String::from_utf8(output).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.ends_with("\n::endgroup::\n"));
    }

    #[test]
    fn the_only_rotation_is_described() {
        let outputs = outputs(&samples::report(vec![samples::rotated()]));
        assert_eq!(outputs["rotated"], "true");
        assert_eq!(outputs["token-id"], "tok-2");
        assert_eq!(outputs["expires-at"], "2026-11-30T06:00:00Z");
        assert_eq!(outputs["previous-valid-until"], "2026-09-08T06:00:00Z");
        assert_eq!(outputs["next-rotation-at"], "2026-11-16T06:00:00Z");
        let document: serde_json::Value = serde_json::from_str(&outputs["report"]).unwrap();
        assert_eq!(document["rotations"][0]["name"], "ci-ingest");
        assert_eq!(outputs.len(), 6);
    }

    #[test]
    fn of_several_rotations_none_is_described() {
        let outputs = outputs(&samples::report(vec![samples::rotated(), samples::fresh()]));
        assert_eq!(outputs["rotated"], "true");
        for name in ["token-id", "expires-at", "previous-valid-until", "next-rotation-at"] {
            assert_eq!(outputs[name], "", "{name}");
        }
    }

    #[test]
    fn a_failed_rotation_has_not_rotated() {
        assert_eq!(outputs(&samples::report(vec![samples::failed(), samples::fresh()]))["rotated"], "false");
        assert_eq!(outputs(&samples::report(Vec::new()))["rotated"], "false");
    }

    #[test]
    fn hostile_strings_add_no_output() {
        let outputs = outputs(&samples::hostile());
        assert_eq!(outputs.len(), 6);
        assert_eq!(outputs["rotated"], "false");
        assert_eq!(output("a", "b").lines().count(), 3);
        assert_ne!(output("a", "b"), output("a", "b"));
    }

    #[test]
    fn a_report_that_is_too_long_is_left_out_loudly() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("output");
        let report = redacted(&samples::report(vec![samples::rotated(); 1000]));
        let mut warnings = Vec::new();
        write_outputs(&report, &file, &mut warnings).unwrap();
        assert!(warnings.starts_with(b"::warning title=crossfade::the report is too long for the output"));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.len() < 1000 && text.contains("\ntrue\n"), "{text}");
    }
}
