//! The report for users, on standard output.
//!
//! Verdict first, then why, then what changed and what did not; one fact an entry, what
//! came from outside last on it, so that no column depends on its width.

use super::model::{
    DestinationOutcome, RedactedReport, RotationOutcome, RotationReport, SecretState, VerificationOutcome,
};
use super::paint::{Page, Role};
use super::rows::{self, Failure, Row, Secret, View, because, folded};
use super::{format, plan};
use crate::streams::Terminal;

/// Where the second column begins.
const COLUMN: usize = 18;
/// The second column of a plan, whose words are shorter.
const PLAN_COLUMN: usize = 12;
/// More secrets of which the same is true are one entry, unless all are asked for.
const FEW: usize = 10;

pub(super) fn render(report: &RedactedReport, terminal: Terminal) -> String {
    let view = View::new(report);
    let mut page = Page::new(terminal);
    rotations(&mut page, &view, &view.rows.iter().collect::<Vec<_>>());
    let tally = if report.dry_run { plan::conclusion(&view) } else { view.tally() };
    finish(&mut page, &view, &tally);
    page.finish()
}

/// Everything about each rotation. Of many, unless all is asked for, those that failed for
/// one reason are one entry, and those that are fresh one line each.
pub(super) fn rotations(page: &mut Page, view: &View<'_>, rows: &[&Row<'_>]) {
    let few = few(page.terminal);
    let failures = view.failures();
    let many: Vec<_> = failures.iter().filter(|failure| failure.rows.len() > few).collect();
    for row in rows {
        let is_here = |other: &&Row<'_>| std::ptr::eq(other.rotation, row.rotation);
        match many.iter().find(|failure| failure.rows.iter().any(is_here)) {
            Some(failure) if !is_here(&failure.rows[0]) => continue,
            Some(failure) => self::failure(page, view, failure),
            None if rows.len() > few && row.is_quiet() => {
                headline(page, view, row);
                continue;
            }
            None => rotation(page, view, row),
        }
        page.blank();
    }
    page.blank();
}

/// What failed in many rotations.
fn failure(page: &mut Page, view: &View<'_>, failure: &Failure<'_, '_>) {
    let names: Vec<&str> = failure.rows.iter().map(|row| row.rotation.name.as_str()).collect();
    let names = format::names(&names, str::to_owned);
    let error = failure.error.map_or_else(|| failure.headline(), |error| view.format.sentence(error));
    title(page, Role::Bad, "FAILED", " ", &format!("{names} (-v lists them): {error}"));
    for (cause, secrets) in &failure.causes {
        entry(page, Role::Bad, "not served", &format::names(secrets, str::to_owned));
        entry(page, Role::Plain, "", &view.format.sentence(cause));
    }
    steps(page, view, failure.rows[0].rotation);
}

/// How many secrets of a kind are listed.
pub(super) fn few(terminal: Terminal) -> usize {
    if terminal.verbose { usize::MAX } else { FEW }
}

pub(super) fn rotation(page: &mut Page, view: &View<'_>, row: &Row<'_>) {
    let (rotation, format) = (row.rotation, &view.format);
    headline(page, view, row);
    if rotation.outcome == RotationOutcome::Planned && !rotation.destinations.is_empty() {
        for (label, what) in plan::steps(view, row, few(page.terminal)) {
            page.entry(2, label, PLAN_COLUMN, &what);
        }
    } else {
        tokens(page, view, rotation);
        secrets(page, view, row);
        for id in &rotation.retired {
            entry(page, Role::Plain, "retired", format.id(id));
        }
        for (role, word, what) in row.workflows() {
            entry(page, role, word, &what);
        }
    }
    // The headline of a fresh one says it; a plan is about a token that is still to be.
    let has_next = matches!(rotation.outcome, RotationOutcome::Rotated | RotationOutcome::Failed);
    if has_next && rotation.token.is_some() {
        entry(page, Role::Plain, "next rotation", &view.next(rotation));
    }
    for note in &rotation.notes {
        entry(page, Role::Plain, "note", &format.sentence(note));
    }
    for warning in &rotation.warnings {
        entry(page, Role::Change, "warning", &format.sentence(warning));
    }
    steps(page, view, rotation);
}

/// What to do, numbered if it is more than one step.
fn steps(page: &mut Page, view: &View<'_>, rotation: &RotationReport) {
    for (index, step) in rotation.steps.iter().enumerate() {
        let number = if rotation.steps.len() > 1 { format!("{}. ", index + 1) } else { String::new() };
        let label = if index == 0 { "what to do" } else { "" };
        entry(page, Role::Bad, label, &format!("{number}{}", view.format.sentence(step)));
    }
}

/// `rotated ci-ingest, because it is due: 12 days left`
fn headline(page: &mut Page, view: &View<'_>, row: &Row<'_>) {
    let rotation = row.rotation;
    let name = &rotation.name;
    let text = match (rotation.outcome, rotation.next_rotation_at) {
        (RotationOutcome::Fresh, Some(next)) => {
            format!("{name}, nothing is due before {}", view.format.when(next))
        }
        (RotationOutcome::Fresh, None) => format!("{name}, nothing is due"),
        (RotationOutcome::Failed, _) => {
            let error = rotation.error.as_deref().unwrap_or("no reason is known");
            format!("{name}: {}", view.format.sentence(error))
        }
        _ => match because(rotation, &view.format) {
            Some(because) => format!("{name}, because {because}"),
            None => name.clone(),
        },
    };
    let separator = if rotation.outcome == RotationOutcome::Fresh { ": " } else { " " };
    title(page, row.role, row.word, separator, &text);
}

fn title(page: &mut Page, role: Role, word: &str, separator: &str, text: &str) {
    page.put(role, word);
    page.put(Role::Plain, separator);
    page.flow(word.len() + separator.len(), 4, text);
}

/// What the tokens are after the run.
fn tokens(page: &mut Page, view: &View<'_>, rotation: &RotationReport) {
    let format = &view.format;
    if rotation.outcome == RotationOutcome::Failed
        && let Some(because) = because(rotation, format)
    {
        entry(page, Role::Plain, "why", &because);
    }
    if let Some(token) = &rotation.token {
        let named = format::named(format.id(&token.id), &token.name);
        entry(page, Role::Plain, "token", &format!("{named}, expires {}", format.end(token.expires_at)));
    }
    if let Some(previous) = &rotation.previous {
        let until = match previous.valid_until {
            Some(until) => format.when(until),
            None => "a later run retires it".to_owned(),
        };
        let text = format!("{}, valid until {until}", format.id(&previous.id));
        entry(page, Role::Plain, "previous token", &text);
    }
    let (label, text) = match rotation.verification {
        VerificationOutcome::Verified => ("verified", "the provider accepts the new value"),
        VerificationOutcome::Unverified => {
            ("unverified", "the provider's reply does not show whether it accepts the new value")
        }
        VerificationOutcome::Skipped => return,
    };
    entry(page, Role::Plain, label, text);
}

fn secrets(page: &mut Page, view: &View<'_>, row: &Row<'_>) {
    // Of a rotation that is as it should be, only the exceptions are news.
    let is_fresh = row.rotation.outcome == RotationOutcome::Fresh && !page.terminal.verbose;
    let held = row.rotation.count(DestinationOutcome::Held);
    let unwritten = row.secrets.iter().filter(|secret| secret.destination.presumed.is_some()).count();
    if is_fresh && held > 0 {
        entry(page, Role::Good, "current", &format::share(held, row.secrets.len(), ["holds it", "hold it"]));
    }
    if is_fresh && unwritten > 0 {
        let text = format::share(unwritten, row.secrets.len(), ["presumably holds it", "presumably hold it"]);
        entry(page, Role::Quiet, "not yet written", &text);
    }
    let is_news = |secret: &&Secret<'_>| !is_fresh || !secret.is_as_expected();
    let news: Vec<Secret<'_>> = row.secrets.iter().filter(is_news).copied().collect();
    for group in folded(&news, few(page.terminal)) {
        let secret = group[0];
        entry(page, secret.role, secret.label(), &rows::name(&group));
        let is_told = |cause: &&str| row.rotation.error.as_ref().is_some_and(|error| error.contains(*cause));
        if let Some(cause) = secret.cause.filter(|cause| !is_told(cause)) {
            entry(page, Role::Plain, "", &view.format.sentence(cause));
        }
        if let Some(note) = secret.note() {
            entry(page, Role::Plain, "", note);
        }
        let is_current = secret.destination.state == SecretState::Current;
        if let (Some(token), Some(end)) = (secret.token.filter(|_| !is_current), secret.end) {
            let holds = if secret.destination.presumed.is_some() { "presumably holds" } else { "holds" };
            let end = match end {
                Some(end) => format!("valid until {}", view.format.when(end)),
                None => "which does not expire".to_owned(),
            };
            entry(page, Role::Plain, "", &format!("{holds} {}, {end}", view.format.id(token)));
        }
    }
}

/// The last lines: what was done, what ends, and whether anything is broken.
pub(super) fn finish(page: &mut Page, view: &View<'_>, tally: &str) {
    let at = view.report.now.map(|now| format!(" (at {})", format::date(now))).unwrap_or_default();
    page.flow(0, 2, &format!("{tally}{at}."));
    if view.count(RotationOutcome::Failed) > 0 {
        page.flow(0, 2, &view.lead("", str::to_owned));
    }
    if let Some(warning) = format::credential_warning(view.report, &view.format) {
        page.entry(0, (Role::Change, "Warning:".to_owned()), "Warning: ".len(), &format!("{warning}."));
    }
}

fn entry(page: &mut Page, role: Role, label: &str, value: &str) {
    page.entry(2, (role, label.to_owned()), COLUMN, value);
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::samples;
    use super::*;
    use crate::redact::Redactor;
    use crate::report::Report;

    fn text(report: &Report) -> String {
        render(&report.redacted(&Redactor::new()), Terminal::default())
    }

    fn one(rotation: RotationReport) -> String {
        text(&samples::report(vec![rotation]))
    }

    #[test]
    fn each_kind_of_day_has_its_page() {
        for (name, report) in samples::scenes() {
            let terminal = Terminal { columns: Some(100), ..Terminal::default() };
            assert_snapshot!(format!("text-{name}"), render(&report.redacted(&Redactor::new()), terminal));
        }
    }

    #[test]
    fn what_is_alike_is_one_line_unless_all_is_asked_for() {
        let scenes = samples::scenes();
        let (_, report) = scenes.iter().find(|(name, _)| *name == "300-destinations").unwrap();
        let page =
            |verbose| render(&report.redacted(&Redactor::new()), Terminal { verbose, ..Terminal::default() });
        assert!(page(false).lines().count() < 20);
        assert!(page(true).lines().filter(|line| line.contains(":AXIOM_TOKEN")).count() >= 300);
    }

    #[test]
    fn failed_before_a_verdict() {
        let rotation = RotationReport {
            error: Some("the provider does not accept the credential in AXIOM_ADMIN_TOKEN".to_owned()),
            steps: vec!["replace it; nothing was changed".to_owned()],
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
        assert!(text(&report).contains("\n1 failed, 1 rotated, 1 fresh (at 2026-09-01 06:00 UTC).\n"));
        assert_eq!(text(&samples::report(Vec::new())), "no rotations (at 2026-09-01 06:00 UTC).\n");
    }

    #[test]
    fn hostile_strings_stay_where_they_are_put() {
        let lines = |report: &Report| text(report).lines().count();
        let hostile = text(&samples::hostile());
        // A name that would make a command of the colon after it.
        let colon = one(RotationReport { name: ":".to_owned(), ..samples::failed() });
        assert!(colon.starts_with("FAILED :: acme/gone"), "{colon}");
        // Where everything says the same, the error tells the cause.
        let mut tame = samples::failed();
        tame.error = tame.destinations[1].error.clone();
        assert_eq!(hostile.lines().count(), lines(&samples::report(vec![tame])));
        for line in hostile.lines() {
            assert!(!line.trim_start().starts_with("::") && !line.contains("##["), "{line}");
            assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line}");
        }
    }
}
