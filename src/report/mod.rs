//! Prints what happened, for users and for programs.
//!
//! [`model`] is the document. Every form is made from a [`model::RedactedReport`], whose
//! strings passed [`crate::redact`]. [`publish`] decides which form goes where.

pub(crate) mod actions;
pub(crate) mod format;
mod gantt;
pub(crate) mod model;
pub(crate) mod paint;
mod plan;
pub(crate) mod provider;
mod rows;
#[cfg(test)]
pub(crate) mod samples;
mod spans;
mod status;
pub(crate) mod summary;
pub(crate) mod text;
mod timeline;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::redact::Redactor;
use crate::streams::Terminal;

pub(crate) use model::{
    Condition, DestinationOutcome, DestinationReport, PlannedMint, RedactedReport, Report, Reporter,
    RotationOutcome, RotationReport, SecretState, TokenEnd, TokenReport, TokenSpan, UnmanagedToken, Verdict,
    VerificationOutcome, WhyUnknown, WorkflowOutcome, WorkflowReport,
};

/// The form of the report on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

pub(crate) struct Outputs<'a> {
    pub format: Format,
    pub terminal: Terminal,
    /// Takes the report, and nothing else.
    pub stdout: &'a mut dyn Write,
    /// Takes workflow commands.
    pub stderr: &'a mut dyn Write,
    /// The runner's files; `None` away from GitHub Actions.
    pub actions: Option<ActionsFiles>,
}

/// The files that the Actions runner names in the environment of a step.
#[derive(Debug, Clone, Default)]
pub(crate) struct ActionsFiles {
    /// `GITHUB_OUTPUT`
    pub output: Option<PathBuf>,
    /// `GITHUB_STEP_SUMMARY`
    pub summary: Option<PathBuf>,
    /// `GITHUB_SERVER_URL`: what links to GitHub begin with.
    pub server_url: Option<String>,
}

/// Publishes a report to every output. One output that fails does not stop the others. A
/// closed pipe is not an error, and neither is a file of the runner that cannot be
/// written: a warning says what is missing.
pub(crate) fn publish(report: &Report, redactor: &Redactor, outputs: &mut Outputs<'_>) -> io::Result<()> {
    let report = report.redacted(redactor);
    let mut results = Vec::new();
    if let Some(files) = &outputs.actions {
        results.push(actions::annotate(&report, outputs.stderr));
        if let Some(file) = files.output.as_deref()
            && let Err(error) = actions::write_outputs(&report, file, outputs.stderr)
        {
            let missing = format!("the step's outputs {} are missing", actions::OUTPUTS.join(", "));
            let warning = not_written("GITHUB_OUTPUT", file, &error, &missing);
            results.push(actions::warn(&redactor.message(&warning), outputs.stderr));
        }
        if let Some(file) = files.summary.as_deref()
            && let Err(error) = summary::append(&report, files.server_url.as_deref(), file)
        {
            let warning = not_written("GITHUB_STEP_SUMMARY", file, &error, "the job summary is missing");
            results.push(actions::warn(&redactor.message(&warning), outputs.stderr));
        }
        results.push(outputs.stderr.flush());
    }
    let printed = match outputs.format {
        Format::Text => {
            let page = match report.command {
                Reporter::Rotate => text::render(&report, outputs.terminal),
                Reporter::Status => status::render(&report, outputs.terminal),
            };
            outputs.stdout.write_all(page.as_bytes())
        }
        Format::Json => serde_json::to_writer_pretty(&mut *outputs.stdout, &report)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(outputs.stdout)),
    };
    results.push(printed.and_then(|()| outputs.stdout.flush()));
    results.into_iter().filter(|result| !is_broken_pipe(result)).collect()
}

/// Says which of the runner's files it was, and what is missing for it.
fn not_written(variable: &str, file: &Path, error: &io::Error, missing: &str) -> String {
    format!(
        "{variable} ({}) could not be written: {error}. So {missing}; the run itself is not concerned",
        file.display()
    )
}

fn is_broken_pipe(result: &io::Result<()>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An output that fails.
    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    /// What publishing ends with, and what it leaves on standard output and error.
    fn published(
        report: &Report,
        format: Format,
        actions: Option<ActionsFiles>,
    ) -> (io::Result<()>, Vec<u8>, Vec<u8>) {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let terminal = Terminal::default();
        let mut outputs = Outputs { format, terminal, stdout: &mut stdout, stderr: &mut stderr, actions };
        let result = publish(report, &Redactor::new(), &mut outputs);
        (result, stdout, stderr)
    }

    fn sample() -> Report {
        samples::report(vec![samples::failed()])
    }

    #[test]
    fn each_form_goes_to_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let files = ActionsFiles {
            output: Some(folder.path().join("output")),
            summary: Some(folder.path().join("summary")),
            ..ActionsFiles::default()
        };
        let (result, stdout, stderr) = published(&sample(), Format::Json, Some(files.clone()));
        result.unwrap();
        serde_json::from_slice::<serde_json::Value>(&stdout).unwrap();
        assert!(stderr.starts_with(b"::error title="));
        assert!(std::fs::read(files.output.unwrap()).unwrap().starts_with(b"rotated<<"));
        assert!(std::fs::read(files.summary.unwrap()).unwrap().starts_with("## ❌ crossfade".as_bytes()));
    }

    #[test]
    fn away_from_actions_there_are_no_commands() {
        let (result, stdout, stderr) = published(&sample(), Format::Text, None);
        result.unwrap();
        assert!(stdout.starts_with(b"FAILED ci-ingest: "));
        assert!(stderr.is_empty());
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let publish_to = |kind, format| {
            let folder = tempfile::tempdir().unwrap();
            let summary = folder.path().join("summary");
            let files =
                ActionsFiles { output: None, summary: Some(summary.clone()), ..ActionsFiles::default() };
            let (mut stdout, mut stderr) = (Broken(kind), Vec::new());
            let mut outputs = Outputs {
                format,
                terminal: Terminal::default(),
                stdout: &mut stdout,
                stderr: &mut stderr,
                actions: Some(files),
            };
            let result = publish(&sample(), &Redactor::new(), &mut outputs);
            assert!(!stderr.is_empty() && summary.exists());
            result.map_err(|error| error.kind())
        };
        for format in [Format::Text, Format::Json] {
            assert_eq!(publish_to(io::ErrorKind::BrokenPipe, format), Ok(()));
            assert_eq!(publish_to(io::ErrorKind::StorageFull, format), Err(io::ErrorKind::StorageFull));
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let files =
            ActionsFiles { output: Some(folder.path().to_owned()), summary: None, ..ActionsFiles::default() };
        let (result, stdout, stderr) = published(&sample(), Format::Text, Some(files.clone()));
        result.unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        let warning =
            stderr.lines().find(|line| line.starts_with("::warning title=crossfade::GITHUB_OUTPUT ("));
        let warning = warning.unwrap_or_else(|| panic!("{stderr}"));
        for (name, _) in actions::outputs_of(&sample().redacted(&Redactor::new())).unwrap() {
            assert!(warning.contains(name), "{warning}");
        }
        assert!(!stdout.is_empty(), "the others are written all the same");
        let files = ActionsFiles { output: None, summary: files.output, ..ActionsFiles::default() };
        let (result, _, stderr) = published(&sample(), Format::Text, Some(files));
        result.unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert!(stderr.contains("::warning title=crossfade::GITHUB_STEP_SUMMARY ("), "{stderr}");
        assert!(stderr.contains("the job summary is missing"), "{stderr}");
    }

    #[test]
    fn no_outlet_carries_a_secret() {
        let folder = tempfile::tempdir().unwrap();
        let (output, summary) = (folder.path().join("output"), folder.path().join("summary"));
        let value = "s3cr3t|value*that_Markdown-would#change";
        let redactor = Redactor::new();
        redactor.register(&secrecy::SecretString::from(value));
        let mut rotation = samples::failed();
        rotation.error = Some(format!("the server says: {value}"));
        rotation.destinations[0].destination = value.to_owned();
        rotation.warnings = vec![value.replace('-', "-\u{200b}")];
        for format in [Format::Text, Format::Json] {
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            let files = ActionsFiles {
                output: Some(output.clone()),
                summary: Some(summary.clone()),
                ..ActionsFiles::default()
            };
            let mut outputs = Outputs {
                format,
                terminal: Terminal::default(),
                stdout: &mut stdout,
                stderr: &mut stderr,
                actions: Some(files),
            };
            publish(&samples::report(vec![rotation.clone()]), &redactor, &mut outputs).unwrap();
            for bytes in [stdout, stderr, std::fs::read(&output).unwrap(), std::fs::read(&summary).unwrap()] {
                let text = String::from_utf8(bytes).unwrap();
                assert!(!text.contains("s3cr3t") && !text.contains("Markdown"), "{text}");
                assert!(text.contains("***") || text.contains("&#42;&#42;&#42;"), "{text}");
            }
        }
    }
}
