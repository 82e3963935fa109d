//! The page of `crossfade status`.
//!
//! Tables where the terminal is wide enough, else a block for each rotation; on a
//! terminal also a timeline of the tokens ([`super::timeline`]).

use super::model::{RedactedReport, RotationOutcome, RotationReport, SecretState, UnmanagedToken, Verdict};
use super::paint::{Cell, Page, Role};
use super::rows::{Row, Secret, View, folded};
use super::{format, rows, text, timeline};
use crate::streams::Terminal;

/// With fewer columns there are no tables.
const TABLES: usize = 100;
/// The column of the secrets' table that one rotation does not need.
const ROTATION: usize = 3;

pub(super) fn render(report: &RedactedReport, terminal: Terminal) -> String {
    let view = View::new(report);
    let mut page = Page::new(terminal);
    let urgent = view.by_urgency();
    let is_wide = terminal.columns.is_none_or(|columns| columns >= TABLES);
    if urgent.is_empty() || (is_wide && tables(&mut page, &view, &urgent)) {
        said(&mut page, &view, Role::Bad, "What to do:", |rotation| &rotation.steps);
        said(&mut page, &view, Role::Change, "Warnings:", |rotation| &rotation.warnings);
        said(&mut page, &view, Role::Heading, "Found:", |rotation| &rotation.notes);
    } else {
        text::rotations(&mut page, &view, &urgent);
    }
    timeline::draw(&mut page, &view);
    list(&mut page, Role::Heading, "Previous tokens:", retirements(&view));
    list(&mut page, Role::Heading, "Workflows:", workflows(&view));
    let soon = view
        .report
        .expiring
        .iter()
        .map(|one| format!("{}: {}", view.format.expiring(one), view.format.end(one.expires_at)));
    list(&mut page, Role::Bad, "Expires too soon:", soon.collect());
    let findings = view.report.fail_on.iter().map(format::finding);
    list(&mut page, Role::Bad, "Fails because of --fail-on:", findings.collect());
    if let Some(tokens) = &view.report.unmanaged {
        let lines = match tokens.as_slice() {
            [] => vec!["none".to_owned()],
            tokens => tokens.iter().map(|token| unmanaged(&view, token)).collect(),
        };
        list(&mut page, Role::Heading, "Tokens that no rotation covers:", lines);
    }
    page.blank();
    if let Some(end) = report.github_credential_expires_at {
        page.flow(0, 2, &format!("The GitHub credential expires {}.", view.format.when(end)));
    }
    text::finish(&mut page, &view, &format!("{}. Nothing was changed", view.tally()));
    page.finish()
}

/// A title and what is said of each rotation, if there is anything.
fn said(page: &mut Page, view: &View<'_>, role: Role, title: &str, of: fn(&RotationReport) -> &[String]) {
    let lines = view.by_urgency().into_iter().flat_map(|row| {
        let sentences = of(row.rotation).iter();
        sentences.map(|text| format!("for {}: {}", row.rotation.name, view.format.sentence(text)))
    });
    list(page, role, title, lines.collect());
}

/// A title and a line for each, if there is any.
fn list(page: &mut Page, role: Role, title: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    page.blank();
    page.heading(role, title);
    for line in lines {
        page.entry(2, (Role::Plain, String::new()), 2, &line);
    }
}

/// Both tables; `false`, and nothing is written, if they do not fit.
fn tables(page: &mut Page, view: &View<'_>, rows: &[&Row<'_>]) -> bool {
    let plain = |text: &str| (Role::Plain, text.to_owned());
    let tokens: Vec<Vec<Cell>> = rows
        .iter()
        .map(|row| {
            let token = row.rotation.token.as_ref();
            let expiry = token.map(|token| view.format.end(token.expires_at)).unwrap_or_default();
            vec![
                (row.role, row.word.to_owned()),
                plain(&row.rotation.name),
                plain(token.map_or("", |token| &token.name)),
                plain(&expiry),
                plain(&why(view, row.rotation)),
            ]
        })
        .collect();
    let mut secrets: Vec<Vec<Cell>> = Vec::new();
    for row in rows {
        let groups = folded(&row.secrets, text::few(page.terminal));
        secrets.extend(groups.iter().map(|group| secret(view, row, group, page.terminal.verbose)));
    }
    let mut drawn = Page::new(page.terminal);
    if !drawn.table(&["VERDICT", "ROTATION", "TOKEN", "EXPIRES", "WHY"], &tokens) {
        return false;
    }
    drawn.blank();
    let mut columns = vec!["HOLDS", "TOKEN", "SECRET", "ROTATION", "VALID UNTIL", "NOTE"];
    if rows.len() == 1 {
        columns.remove(ROTATION);
        secrets.iter_mut().for_each(|cells| drop(cells.remove(ROTATION)));
    }
    if !drawn.table(&columns, &secrets) {
        return false;
    }
    page.put(Role::Plain, &drawn.finish());
    true
}

/// What a secret holds, or several that are alike.
fn secret(view: &View<'_>, row: &Row<'_>, group: &[&Secret<'_>], is_verbose: bool) -> Vec<Cell> {
    let plain = |text: &str| (Role::Plain, text.to_owned());
    let secret = group[0];
    let holds = if secret.destination.presumed.is_some() { "presumably" } else { secret.state() };
    let is_news = is_verbose || secret.destination.state != SecretState::Current;
    let written = secret.destination.updated_at.filter(|_| group.len() == 1 && is_news);
    let written = written.map(|at| format!("last written {}", view.format.when(at)));
    let note =
        secret.cause.map(|cause| view.format.sentence(cause)).or_else(|| secret.note().map(str::to_owned));
    let note: Vec<String> = note.into_iter().chain(written).collect();
    vec![
        (secret.role, holds.to_owned()),
        plain(secret.token.map_or("", |id| view.format.id(id))),
        plain(&rows::name(group)),
        plain(&row.rotation.name),
        plain(&secret.end.map(|end| view.format.end(end)).unwrap_or_default()),
        plain(&note.join("; ")),
    ]
}

fn why(view: &View<'_>, rotation: &RotationReport) -> String {
    match (rotation.outcome, rotation.next_rotation_at) {
        (RotationOutcome::Failed, _) => view.format.sentence(rotation.error.as_deref().unwrap_or_default()),
        (_, Some(next)) if rotation.reason == Some(Verdict::Fresh) => {
            format!("due {}", view.format.when(next))
        }
        _ => view.format.sentence(rotation.reason_text.as_deref().unwrap_or_default()),
    }
}

/// Previous tokens that no destination holds, and when they end.
fn retirements(view: &View<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for row in &view.rows {
        let rotation = row.rotation;
        let current = rotation.token.as_ref().map(|token| &token.id);
        for span in rotation.tokens.iter().filter(|span| span.held_by == 0 && Some(&span.id) != current) {
            let end = match (span.retire_at, span.ends_at) {
                _ if rotation.retired.contains(&span.id) => "the next run retires it".to_owned(),
                (Some(from), _) => format!("the first run after {} retires it", view.format.when(from)),
                (None, Some(end)) => format!("expires {}", view.format.when(end)),
                (None, None) => "not retired: a secret may still hold it".to_owned(),
            };
            lines.push(format!("token {} of {}: {end}", view.format.id(&span.id), rotation.name));
        }
    }
    lines
}

/// What the next run starts, or one that delivers.
fn workflows(view: &View<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for row in &view.rows {
        let name = &row.rotation.name;
        for (role, word, what) in row.workflows() {
            lines.push(match (role, &row.rotation.planned) {
                (Role::Change, Some(_)) => format!("the next run starts {what}, after {name} was delivered"),
                (Role::Change, None) => {
                    format!("the next run starts {what}: it has not run since {name} was delivered")
                }
                _ => format!("{word}: {what} ({name})"),
            });
        }
    }
    lines
}

fn unmanaged(view: &View<'_>, token: &UnmanagedToken) -> String {
    let named = format::named(view.format.id(&token.id), &token.name);
    let state = match (token.disabled, token.expires_at) {
        (true, _) => "disabled".to_owned(),
        (false, None) => "does not expire".to_owned(),
        (false, Some(end)) => {
            let verb = if view.report.now.is_some_and(|now| end <= now) { "expired" } else { "expires" };
            format!("{verb} {}", view.format.when(end))
        }
    };
    let marker = if token.marker.is_some() { "; carries the marker of another rotation" } else { "" };
    format!("{} {named}: {state}{marker}", token.provider)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::samples::{self, span, time};
    use super::*;
    use crate::redact::Redactor;
    use crate::report::model::Expiring;
    use crate::report::{DestinationOutcome, DestinationReport, Report, Reporter, TokenSpan};

    const LIVE: char = '█';

    fn page(report: Report, columns: Option<usize>) -> String {
        let report = Report { command: Reporter::Status, dry_run: true, ..report };
        render(&report.redacted(&Redactor::new()), Terminal { columns, ..Terminal::default() })
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
            state: SecretState::Previous,
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
        assert!(!page(report(), None).contains(LIVE));
        assert!(!page(report(), Some(40)).contains(LIVE));
        for columns in [60, 80, 200] {
            let page = page(report(), Some(columns));
            assert!(page.contains(LIVE), "{columns}");
            assert!(
                page.lines().filter(|line| line.contains(LIVE)).all(|line| line.chars().count() <= columns)
            );
        }
    }
}
