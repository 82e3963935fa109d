//! The report for users, on standard output.
//!
//! Verdict first, then why, then what changed and what did not; one fact an entry, what
//! came from outside last on it, so that no column depends on its width.

use super::model::{
    DestinationOutcome, RedactedReport, RotationOutcome, RotationReport, SecretState, VerificationOutcome,
};
use super::paint::{Page, Role};
use super::rows::{Lead, Row, Secret, View, because, folded};
use super::{Terminal, format, plan, rows};

/// Where the second column begins.
const COLUMN: usize = 18;
/// The second column of a plan, whose words are shorter.
const PLAN_COLUMN: usize = 12;
/// More secrets of which the same is true are one entry, unless all are asked for.
const FEW: usize = 10;

/// The whole report.
pub(super) fn render(report: &RedactedReport, terminal: Terminal) -> String {
    let view = View::new(report);
    let mut page = Page::new(terminal);
    for row in &view.rows {
        rotation(&mut page, &view, row);
        page.blank();
    }
    conclusion(&mut page, &view);
    page.finish()
}

/// How many secrets of a kind are listed.
pub(super) fn few(terminal: Terminal) -> usize {
    if terminal.verbose { usize::MAX } else { FEW }
}

/// Everything about one rotation.
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
    let steps = rows::steps(rotation);
    for (index, step) in steps.iter().enumerate() {
        let number = if steps.len() > 1 { format!("{}. ", index + 1) } else { String::new() };
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
            format!(": {name}, nothing is due before {}", view.format.when(next))
        }
        (RotationOutcome::Fresh, None) => format!(": {name}, nothing is due"),
        (RotationOutcome::Failed, _) => {
            let error = rotation.error.as_deref().unwrap_or("no reason is known");
            format!(" {name}: {}", view.format.sentence(error))
        }
        _ => match because(rotation, &view.format) {
            Some(because) => format!(" {name}, because {because}"),
            None => format!(" {name}"),
        },
    };
    page.put(row.role, row.word);
    if text.starts_with(' ') {
        page.put(Role::Plain, " ");
    }
    let space = usize::from(text.starts_with(' '));
    page.flow(row.word.len() + space, 4, &text);
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
    match rotation.verification {
        VerificationOutcome::Verified => {
            entry(page, Role::Plain, "probe", "the provider accepts the new value");
        }
        VerificationOutcome::Unverified => {
            entry(page, Role::Plain, "probe", "unverified: the provider's answer could not tell");
        }
        VerificationOutcome::Skipped => {}
    }
}

fn secrets(page: &mut Page, view: &View<'_>, row: &Row<'_>) {
    // Of a rotation that is as it should be, only the exceptions are news.
    let is_quiet = row.rotation.outcome == RotationOutcome::Fresh && !page.terminal.verbose;
    let held = row.rotation.count(DestinationOutcome::Held);
    if is_quiet && held > 0 {
        let text = format!("by {}", format::share(held, row.secrets.len(), ["", ""]));
        entry(page, Role::Good, "current", text.trim_end());
    }
    let is_news = |secret: &&Secret<'_>| !is_quiet || secret.destination.outcome != DestinationOutcome::Held;
    let news: Vec<Secret<'_>> = row.secrets.iter().filter(is_news).copied().collect();
    for group in folded(&news, few(page.terminal)) {
        let secret = group[0];
        let name = secret.destination.destination.as_str();
        match group.len() {
            1 => entry(page, secret.role, secret.label(), name),
            count => entry(page, secret.role, secret.label(), &format!("{count} secrets; -v lists them")),
        }
        if let Some(cause) = secret.cause {
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

fn conclusion(page: &mut Page, view: &View<'_>) {
    let tally = if view.report.dry_run { plan::conclusion(view) } else { view.tally() };
    finish(page, view, &tally);
}

/// The last lines: what was done, what ends, and whether anything is broken.
pub(super) fn finish(page: &mut Page, view: &View<'_>, tally: &str) {
    let at = view.report.now.map(|now| format!(" (at {})", format::date(now))).unwrap_or_default();
    page.flow(0, 2, &format!("{tally}{at}."));
    if view.count(RotationOutcome::Failed) > 0 {
        page.flow(0, 2, &lead(&view.lead()));
    }
    if let Some(warning) = format::credential_warning(view.report, &view.format) {
        page.entry(0, (Role::Change, "Warning:".to_owned()), "Warning: ".len(), &format!("{warning}."));
    }
}

fn lead(lead: &Lead<'_>) -> String {
    let names = |names: &[&str]| format::names(names, str::to_owned);
    let broken = match lead.broken.as_slice() {
        [] => String::new(),
        broken => format!(" {}.", names(broken)),
    };
    let first = match &lead.first {
        Some((first, when)) => format!(" The first to expire: {}, {when}.", names(first)),
        None => String::new(),
    };
    format!("{}{broken} {}{first}", lead.verdict, lead.detail)
}

/// A line of two columns.
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
        assert!(text(&report).contains("\n1 failed, 1 rotated, 1 fresh (at 2026-09-01 06:00 UTC).\n"));
        assert_eq!(text(&samples::report(Vec::new())), "no rotations (at 2026-09-01 06:00 UTC).\n");
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
