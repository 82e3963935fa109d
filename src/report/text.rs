//! The report for users, on standard output.
//!
//! Verdict first, then why, then what changed and what did not; one fact a line,
//! what came from outside last on it, so that no column depends on its width.

use std::io::{self, Write};

use jiff::Timestamp;

use super::model::{
    DestinationOutcome, DestinationReport, RedactedReport, RotationOutcome, RotationReport,
    VerificationOutcome,
};
use super::{format, plan};

/// Where the second column begins.
const COLUMN: usize = 18;

/// The whole report.
pub(super) fn render(report: &RedactedReport) -> String {
    let mut output = Vec::new();
    // Writing to a vector cannot fail.
    let _ = write(report, &mut output);
    String::from_utf8(output).unwrap_or_default()
}

fn write(report: &RedactedReport, output: &mut dyn Write) -> io::Result<()> {
    let mut page = Page { output, now: report.now };
    for rotation in &report.rotations {
        page.rotation(rotation)?;
        writeln!(page.output)?;
    }
    page.conclusion(report)
}

/// Where the report goes, and the time that it speaks from.
struct Page<'a> {
    output: &'a mut dyn Write,
    now: Option<Timestamp>,
}

impl Page<'_> {
    fn rotation(&mut self, rotation: &RotationReport) -> io::Result<()> {
        self.headline(rotation)?;
        if rotation.outcome == RotationOutcome::Planned {
            for step in plan::steps(rotation, self.now) {
                writeln!(self.output, "  {step}")?;
            }
        } else {
            self.tokens(rotation)?;
            self.destinations(rotation)?;
            for id in &rotation.retired {
                self.row("retired", format_args!("{id}"))?;
            }
        }
        self.aftermath(rotation)
    }

    /// `rotated ci-ingest, because it is due: 12 days left`
    fn headline(&mut self, rotation: &RotationReport) -> io::Result<()> {
        let name = &rotation.name;
        let opening = match rotation.outcome {
            RotationOutcome::Rotated => "rotated ",
            RotationOutcome::Fresh => {
                return match rotation.next_rotation_at {
                    Some(next) => {
                        let next = format::when(Some(next), self.now, "");
                        writeln!(self.output, "fresh: {name}, nothing is due before {next}")
                    }
                    None => writeln!(self.output, "fresh: {name}, nothing is due"),
                };
            }
            RotationOutcome::Planned if format::mints(rotation) => "would rotate ",
            RotationOutcome::Planned => "would only retire old tokens of ",
            RotationOutcome::Failed => {
                let error = rotation.error.as_deref().unwrap_or("no reason is known");
                return writeln!(self.output, "FAILED {name}: {error}");
            }
        };
        match format::because(rotation) {
            Some(because) => writeln!(self.output, "{opening}{name}, because {because}"),
            None => writeln!(self.output, "{opening}{name}"),
        }
    }

    /// What the tokens are after the run.
    fn tokens(&mut self, rotation: &RotationReport) -> io::Result<()> {
        if rotation.outcome == RotationOutcome::Failed
            && let Some(because) = format::because(rotation)
        {
            self.row("why", format_args!("{because}"))?;
        }
        if let Some(token) = &rotation.token {
            let expiry = format::when(token.expires_at, self.now, "never");
            self.row("token", format_args!("{}, expires {expiry}", format::named(&token.id, &token.name)))?;
        }
        if let Some(previous) = &rotation.previous {
            let until = format::when(previous.valid_until, self.now, "a later run retires it");
            self.row("previous token", format_args!("{}, valid until {until}", previous.id))?;
        }
        match rotation.verification {
            VerificationOutcome::Verified => {
                self.row("probe", format_args!("the provider accepts the new value"))
            }
            VerificationOutcome::Unverified => {
                self.row("probe", format_args!("unverified: the provider's answer could not tell"))
            }
            VerificationOutcome::Skipped => Ok(()),
        }
    }

    fn destinations(&mut self, rotation: &RotationReport) -> io::Result<()> {
        // Of a rotation that is as it should be, only the exceptions are news.
        let quiet = rotation.outcome == RotationOutcome::Fresh;
        let held = rotation.count(DestinationOutcome::Held);
        if quiet && held > 0 {
            let of = rotation.destinations.len() as u64;
            self.row("held", format_args!("by {held} of {}", format::counted(of, "destination")))?;
        }
        rotation
            .destinations
            .iter()
            .filter(|destination| !(quiet && destination.outcome == DestinationOutcome::Held))
            .try_for_each(|destination| self.destination(destination))
    }

    fn destination(&mut self, destination: &DestinationReport) -> io::Result<()> {
        let label = match destination.outcome {
            DestinationOutcome::Written => "written",
            DestinationOutcome::Failed => "FAILED",
            DestinationOutcome::Planned => "would write",
            DestinationOutcome::Held => "held",
            DestinationOutcome::Unknown => "unknown",
            DestinationOutcome::NotRead => "not read",
        };
        self.row(label, format_args!("{}", destination.destination))?;
        if let Some(error) = &destination.error {
            self.row("", format_args!("{error}"))?;
        }
        if let Some(holds) = &destination.holds {
            let until = format::when(holds.valid_until, self.now, "somebody ends it");
            self.row("", format_args!("holds {}, valid until {until}", holds.id))?;
        }
        Ok(())
    }

    /// What comes next, what to know and what to do.
    fn aftermath(&mut self, rotation: &RotationReport) -> io::Result<()> {
        // The headline of a fresh one says it; a plan is about a token that is still to be.
        let is_known = rotation.planned.is_some() || rotation.outcome == RotationOutcome::Fresh;
        if let Some(next) = rotation
            .next_rotation_at
            .filter(|_| !is_known)
            .filter(|next| self.now.is_none_or(|now| now < *next))
        {
            self.row("next rotation", format_args!("{}", format::when(Some(next), self.now, "")))?;
        }
        if rotation.outcome == RotationOutcome::Failed
            && rotation.token.is_some()
            && rotation.next_rotation_at.is_none()
        {
            self.row("next rotation", format_args!("with the next run"))?;
        }
        for note in &rotation.notes {
            self.row("note", format_args!("{note}"))?;
        }
        for warning in &rotation.warnings {
            self.row("warning", format_args!("{warning}"))?;
        }
        if let Some(step) = &rotation.next_step {
            self.row("what to do", format_args!("{step}"))?;
        }
        Ok(())
    }

    fn conclusion(&mut self, report: &RedactedReport) -> io::Result<()> {
        let tally = if report.dry_run { plan::conclusion(report) } else { format::tally(report) };
        match report.now {
            Some(now) => writeln!(self.output, "{tally} (at {}).", format::date(now))?,
            None => writeln!(self.output, "{tally}.")?,
        }
        match format::writer_ends(report) {
            Some(warning) => writeln!(self.output, "Warning: {warning}."),
            None => Ok(()),
        }
    }

    /// A line of two columns.
    fn row(&mut self, label: &str, value: std::fmt::Arguments<'_>) -> io::Result<()> {
        writeln!(self.output, "  {label:<width$}{value}", width = COLUMN - 2)
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::samples;
    use super::*;
    use crate::redact::Redactor;
    use crate::report::Report;

    fn text(report: &Report) -> String {
        let mut output = Vec::new();
        write(&report.redacted(&Redactor::new()), &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    fn one(rotation: RotationReport) -> String {
        text(&samples::report(vec![rotation]))
    }

    #[test]
    fn rotated() {
        assert_snapshot!(one(samples::rotated()), @r#"
        rotated ci-ingest, because it is due: 12 days left, rotates at 14
          token           "ci-ingest" (tok-2), expires 2026-11-30 06:00 UTC (in 90 days)
          previous token  tok-1, valid until 2026-09-08 06:00 UTC (in 7 days)
          probe           the provider accepts the new value
          written         acme/api@production:AXIOM_TOKEN
          written         dependabot+org:acme:AXIOM_TOKEN
          retired         tok-0
          next rotation   2026-11-16 06:00 UTC (in 76 days)

        1 rotated (at 2026-09-01 06:00 UTC).
        "#);
    }

    #[test]
    fn fresh() {
        assert_snapshot!(one(samples::fresh()), @r#"
        fresh: nightly, nothing is due before 2026-10-17 06:00 UTC (in 46 days)
          token           "ci-ingest" (tok-7), expires 2026-10-31 06:00 UTC (in 60 days)
          held            by 1 of 2 destinations
          unknown         acme/web:AXIOM_TOKEN
          warning         acme/web:AXIOM_TOKEN was written by somebody else

        1 fresh (at 2026-09-01 06:00 UTC).
        "#);
    }

    #[test]
    fn planned() {
        let report = Report { dry_run: true, ..samples::report(vec![samples::planned(), samples::fresh()]) };
        assert_snapshot!(text(&report), @r#"
        would rotate ci-ingest, because it is due: 12 days left, rotates at 14
          + mint    the successor of "ci-ingest" (tok-1), with the same privileges; expires 2026-11-30 06:00 UTC (in 90 days)
          = keep    tok-1 until 2026-09-08 06:00 UTC (in 7 days): the overlap
          ~ write   acme/api@production:AXIOM_TOKEN, last written 2026-06-15 06:00 UTC (78 days ago); holds tok-1
          + write   dependabot+org:acme:AXIOM_TOKEN, which does not exist yet
          - retire  tok-0, which nothing holds any more

        fresh: nightly, nothing is due before 2026-10-17 06:00 UTC (in 46 days)
          token           "ci-ingest" (tok-7), expires 2026-10-31 06:00 UTC (in 60 days)
          held            by 1 of 2 destinations
          unknown         acme/web:AXIOM_TOKEN
          warning         acme/web:AXIOM_TOKEN was written by somebody else

        Plan: mint 1 token, write 2 secrets, retire 1 token, leave 1 rotation alone. Nothing was changed (at 2026-09-01 06:00 UTC).
        "#);
    }

    #[test]
    fn one_unreadable_destination() {
        assert_snapshot!(one(samples::failed()), @r#"
        FAILED ci-ingest: 1 of 2 destinations does not hold the new token
          why             it is due: 12 days left, rotates at 14
          token           "ci-ingest" (tok-2), expires 2026-11-30 06:00 UTC (in 90 days)
          previous token  tok-1, valid until 2026-09-08 06:00 UTC (in 7 days)
          probe           the provider accepts the new value
          written         acme/api:AXIOM_TOKEN
          FAILED          acme/gone:AXIOM_TOKEN
                          GitHub answers 404: the repository does not exist, or is not shown to us
                          holds tok-1, valid until 2026-09-08 06:00 UTC (in 7 days)
          next rotation   2026-11-16 06:00 UTC (in 76 days)
          what to do      remove the destination or grant access; the next run tries again

        1 failed (at 2026-09-01 06:00 UTC).
        "#);
    }

    #[test]
    fn failed_before_a_verdict() {
        let rotation = RotationReport {
            error: Some("the provider does not accept the credential in AXIOM_ADMIN_TOKEN".to_owned()),
            next_step: Some("replace it; nothing was changed".to_owned()),
            ..RotationReport::new("ci-ingest", "axiom")
        };
        let report = Report { now: None, ..samples::report(vec![rotation]) };
        assert_snapshot!(text(&report), @r#"
        FAILED ci-ingest: the provider does not accept the credential in AXIOM_ADMIN_TOKEN
          what to do      replace it; nothing was changed

        1 failed.
        "#);
    }

    #[test]
    fn several() {
        let report = samples::report(vec![samples::rotated(), samples::fresh(), samples::failed()]);
        assert_eq!(
            text(&report).lines().last(),
            Some("1 failed, 1 rotated, 1 fresh (at 2026-09-01 06:00 UTC).")
        );
        assert_eq!(text(&samples::report(Vec::new())), "nothing to look after (at 2026-09-01 06:00 UTC).\n");
    }

    #[test]
    fn hostile_strings_stay_where_they_are_put() {
        let lines = |report: &Report| text(report).lines().count();
        let hostile = text(&samples::hostile());
        // A name that would make a command of the colon after it.
        let colon = one(RotationReport { name: ":".to_owned(), ..samples::failed() });
        assert!(colon.starts_with("FAILED :: 1 of 2"), "{colon}");
        assert_eq!(hostile.lines().count(), lines(&samples::report(vec![samples::failed()])));
        for line in hostile.lines() {
            assert!(!line.trim_start().starts_with("::") && !line.contains("##["), "{line}");
            assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line}");
        }
    }
}
