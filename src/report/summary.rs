//! The job summary on GitHub: is anything broken and until when is everything valid, what
//! failed and what to do, a line for each rotation, a chart of the tokens.
//!
//! Markdown is written here alone. Everything that is not ours goes through [`code`] or
//! [`markdown`], so it can neither end a cell nor be markup.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use super::format;
use super::gantt;
use super::model::{RedactedReport, Reporter, RotationOutcome, SecretState};
use super::paint::Role;
use super::rows::{Failure, Row, Secret, View, folded};
use crate::redact::{code, markdown};

/// GitHub refuses a step's summary above this many bytes.
const FILE_LIMIT: usize = 1024 * 1024;
/// Readable pages are shorter.
const PAGE_LIMIT: usize = 256 * 1024;
/// Room for what is written around the parts, of which each gets a fifth of the rest.
const RESERVE: usize = 4096;
const PARTS: usize = 5;
/// More rows than these are folded.
const OPEN: usize = 12;
/// More secrets of which the same is true are one row.
const FEW: usize = 5;
/// Of more expiring tokens than these the rest is counted.
const EXPIRING: usize = 30;
/// Of more secrets than these the names are no links.
const LINKED: usize = 50;
/// Where the sections on errors are.
const ERRORS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/errors.md#");

/// Appends the summary to the file that the runner named. What other programs of the same
/// step have written counts towards GitHub's limit. `server` is what links begin with.
pub(crate) fn append(report: &RedactedReport, server: Option<&str>, file: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    let taken = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    file.write_all(page(report, server, FILE_LIMIT.saturating_sub(taken)).as_bytes())
}

/// The summary, in about `limit` bytes at most.
pub(crate) fn page(report: &RedactedReport, server: Option<&str>, limit: usize) -> String {
    let Some(room) = limit.min(PAGE_LIMIT).checked_sub(RESERVE) else { return String::new() };
    let is_url = |url: &&str| url.starts_with("http") && !url.contains(|c: char| !is_plain(c));
    let view = View::new(report);
    let page = Page { view: &view, server: server.filter(is_url), room: room / PARTS };
    let rows = view.by_urgency();
    let mut text = page.head();
    if rows.is_empty() {
        return text;
    }
    let (secrets, are_folded) = page.secrets(&rows);
    let rotations = page.rotations(&rows);
    text.push_str(&page.failures());
    text.push_str(&page.warnings());
    text.push_str(&if are_folded { rotations + &secrets } else { secrets + &rotations });
    text.push_str(&page.chart(&rows));
    text
}

/// Characters that mean nothing in an attribute of HTML.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':')
}

struct Page<'a> {
    view: &'a View<'a>,
    server: Option<&'a str>,
    /// For one part of the page, in bytes.
    room: usize,
}

impl Page<'_> {
    /// The title, and the answer to what everybody asks first.
    fn head(&self) -> String {
        let (view, of) = (self.view, self.view.rows.len());
        let rotations = |count: usize| match of {
            1 => "1 rotation".to_owned(),
            _ => format!("{count} of {of} rotations"),
        };
        let outcomes = [RotationOutcome::Failed, RotationOutcome::Planned, RotationOutcome::Rotated];
        let [failed, planned, rotated] = outcomes.map(|outcome| view.count(outcome));
        let expiring = view.report.expiring.len();
        let (sign, title) = match (failed, planned, rotated) {
            (0, ..) if !view.report.fail_on.is_empty() => ("❌", "--fail-on found something".to_owned()),
            (0, ..) if expiring > 0 => ("❌", format!("{} soon", verb(expiring, "token", "ends", "end"))),
            (0, 0, 0) if of == 0 => ("✅", "no rotations".to_owned()),
            (0, 0, 0) if of == 1 => ("✅", "nothing is due".to_owned()),
            (0, 0, 0) => ("✅", format!("nothing is due in {}", format::counted(of, "rotation"))),
            (0, 0, _) => ("🔄", format!("{} done", rotations(rotated))),
            (0, ..) => ("🔜", format!("{} to run", rotations(planned))),
            _ => ("❌", format!("{} failed", rotations(failed))),
        };
        let mut text = format!("## {sign} crossfade: {title}\n\n");
        match (view.report.command, view.report.dry_run) {
            (Reporter::Status, _) => text.push_str("This is the current state; nothing was changed. "),
            (Reporter::Rotate, true) => text.push_str("This is a dry run; nothing was changed. "),
            (Reporter::Rotate, false) => {}
        }
        text.push_str(&view.lead("**", code));
        text.push_str("\n\n");
        if let Some(warning) = format::credential_warning(view.report, &view.format) {
            let _ = write!(text, "⚠️ {}.\n\n", markdown(&warning));
        }
        for one in view.report.expiring.iter().take(EXPIRING) {
            let what = markdown(&view.format.expiring(one));
            let _ = write!(text, "❌ {what} ends {}.\n\n", view.format.end(one.expires_at));
        }
        let rest = expiring.saturating_sub(EXPIRING);
        if rest > 0 {
            let _ = write!(text, "❌ {} soon.\n\n", verb(rest, "more token", "ends", "end"));
        }
        text
    }

    fn failures(&self) -> String {
        let mut text = String::new();
        let failures = self.view.failures();
        let sections = failures.iter().map(|failure| (self.failure(failure), failure.rows.len()));
        let left_out = fill(&mut text, sections, self.room);
        if left_out > 0 {
            let rest = format::counted(left_out, "more rotation");
            let _ = write!(text, "{rest} failed for other reasons.\n\n");
        }
        text
    }

    fn failure(&self, failure: &Failure<'_, '_>) -> String {
        let names: Vec<&str> = failure.rows.iter().map(|row| row.rotation.name.as_str()).collect();
        let mut text = format!("### ❌ {}: {}\n\n", format::names(&names, code), failure.headline());
        if let Some(error) = failure.error {
            let _ = write!(text, "{}.\n\n", self.sentence(error));
        }
        for (cause, names) in &failure.causes {
            let _ = write!(text, "{}: {}.\n\n", format::names(names, code), self.sentence(cause));
        }
        let steps = failure.steps();
        for (index, step) in steps.iter().enumerate() {
            let _ = match steps.len() {
                1 => writeln!(text, "**Next:** {}.", self.sentence(step)),
                _ => writeln!(text, "{}. {}.", index + 1, self.sentence(step)),
            };
        }
        text.push('\n');
        let anchor = failure.rows[0].rotation.error_code.as_ref();
        if let Some(anchor) = anchor.filter(|code| code.chars().all(is_plain)) {
            let _ = write!(text, "<a href=\"{ERRORS}{anchor}\">More about this error</a>\n\n");
        }
        let secrets = failure.secrets();
        let rows = folded(&secrets, FEW).into_iter().map(|group| self.secret(&group));
        text.push_str(&table(&["", "Secret", "Holds", "Valid until"], rows, self.room / 2));
        text
    }

    /// What needs a reader's eye, without being a failure.
    fn warnings(&self) -> String {
        let mut text = String::new();
        let lines = self.view.warnings().into_iter().map(|(warning, names)| {
            (format!("- {}: {}\n", format::names(&names, code), self.sentence(warning)), 1)
        });
        let left_out = fill(&mut text, lines, self.room);
        if text.is_empty() {
            return text;
        }
        if left_out > 0 {
            let _ = writeln!(text, "- {} in the log", format::counted(left_out, "more warning"));
        }
        format!("### ⚠️ Warnings\n\n{text}\n[What each warning means]({ERRORS}warnings)\n\n")
    }

    /// A line for each rotation; of many, the rest is counted, and folded.
    fn rotations(&self, rows: &[&Row<'_>]) -> String {
        const COLUMNS: [&str; 5] = ["", "Rotation", "Secrets", "Expires", "Next"];
        let (open, rest) = rows.split_at(if rows.len() > OPEN + 3 { OPEN } else { rows.len() });
        let counted =
            rest.chunk_by(|a, b| a.rotation.outcome == b.rotation.outcome).map(|rows| self.more(rows));
        let lines = open.iter().map(|row| self.rotation(row)).chain(counted);
        let mut text = "### Rotations\n\n".to_owned();
        text.push_str(&table(&COLUMNS, lines, self.room));
        if !rest.is_empty() {
            let table = table(&COLUMNS, rest.iter().map(|row| self.rotation(row)), self.room);
            text.push_str(&fold(&format::counted(rest.len(), "more rotation"), &table));
        }
        text
    }

    fn rotation(&self, row: &Row<'_>) -> Vec<String> {
        let (rotation, format) = (row.rotation, &self.view.format);
        let mut secrets = row.tally();
        if let Some(end) = rotation.previous.as_ref().and_then(|previous| previous.valid_until)
            && rotation.outcome != RotationOutcome::Failed
        {
            let _ = write!(secrets, "; previous token<br>until&nbsp;{}", unbroken(&format.when(end)));
        }
        for (role, word, workflow) in row.workflows() {
            // What failed has a section of its own.
            if role != Role::Plain {
                let _ = write!(secrets, "<br>{word}: {}", markdown(&workflow));
            }
        }
        let expiry = rotation.token.as_ref().map(|token| format.end(token.expires_at)).unwrap_or_default();
        let (expiry, next) = (unbroken(&expiry), unbroken(&self.view.next(rotation)));
        vec![sign(row).to_owned(), code(&rotation.name), secrets, expiry, next]
    }

    fn more(&self, rows: &[&Row<'_>]) -> Vec<String> {
        let secrets: usize = rows.iter().map(|row| row.secrets.len()).sum();
        let first = |times: Vec<jiff::Timestamp>| {
            let first = times.into_iter().min().map(|first| unbroken(&format::day(first)));
            first.map(|day| format!("{day} …")).unwrap_or_default()
        };
        let tokens = rows.iter().filter_map(|row| row.rotation.token.as_ref()?.expires_at).collect();
        let next = self.view.next(rows[0].rotation);
        let next = match rows.iter().all(|row| self.view.next(row.rotation) == next) {
            true => unbroken(&next),
            false => first(rows.iter().filter_map(|row| row.rotation.next_rotation_at).collect()),
        };
        let count = format!("{} more", rows.len());
        let secrets = format::counted(secrets, "secret");
        vec![sign(rows[0]).to_owned(), count, secrets, first(tokens), next]
    }

    /// Who holds what, of the rotations that did not fail, and whether it is folded.
    fn secrets(&self, rows: &[&Row<'_>]) -> (String, bool) {
        let rows: Vec<_> =
            rows.iter().filter(|row| row.rotation.outcome != RotationOutcome::Failed).collect();
        let count: usize = rows.iter().map(|row| row.secrets.len()).sum();
        if count == 0 {
            return Default::default();
        }
        let has_names = rows.len() > 1;
        let lines = rows.iter().flat_map(|row| {
            let groups = folded(&row.secrets, FEW);
            groups.into_iter().map(|group| {
                let mut line = self.secret(&group);
                if has_names {
                    line.insert(1, code(&row.rotation.name));
                }
                line
            })
        });
        let mut columns = vec!["", "Secret", "Holds", "Valid until"];
        if has_names {
            columns.insert(1, "Rotation");
        }
        let table = table(&columns, lines, self.room);
        let title = format!("Who holds what: {}", format::counted(count, "secret"));
        let is_folded = count > OPEN;
        (if is_folded { fold(&title, &table) } else { format!("### Who holds what\n\n{table}") }, is_folded)
    }

    /// A secret, or several of which the same is true: sign, names, what it holds, until when.
    fn secret(&self, group: &[&Secret<'_>]) -> Vec<String> {
        let secret = group[0];
        let name = match group {
            [only] => self.name(only, true),
            _ => {
                let count = group.len();
                let names = group.iter().enumerate().map(|(index, secret)| {
                    let comma = if index > 0 { ", " } else { "" };
                    (format!("{comma}{}", self.name(secret, count <= LINKED)), 1)
                });
                let mut listed = String::new();
                let rest = match fill(&mut listed, names, self.room / 8) {
                    0 => String::new(),
                    left_out => format!(" and {left_out} more"),
                };
                format!("<details><summary>{count} secrets</summary>{listed}{rest}</details>")
            }
        };
        let holds = match secret.token {
            Some(id) if secret.destination.presumed.is_some() => format!("presumably {}", self.id(id)),
            Some(id) => format!("{}&nbsp;{}", secret.state(), self.id(id)),
            None => secret.note().unwrap_or(secret.state()).to_owned(),
        };
        let end = secret.end.map(|end| unbroken(&self.view.format.end(end))).unwrap_or_default();
        let end = if secret.role == Role::Bad && !end.is_empty() { format!("**{end}**") } else { end };
        vec![sign_of_secret(secret).to_owned(), name, holds, end]
    }

    /// The name of a secret, which leads to its page of settings.
    fn name(&self, secret: &Secret<'_>, is_linked: bool) -> String {
        let (name, path) = (code(&secret.destination.destination), &secret.destination.settings_path);
        match self.server.filter(|_| is_linked && path.starts_with('/') && path.chars().all(is_plain)) {
            Some(server) => format!("<a href=\"{server}{path}\">{name}</a>"),
            None => name,
        }
    }

    /// An id, short; the whole one is shown by the pointer.
    fn id(&self, id: &str) -> String {
        let short = self.view.format.id(id);
        let whole = code(id).replace("<code>", "").replace("</code>", "");
        if short == id {
            code(id)
        } else {
            code(short).replacen("<code>", &format!("<code title=\"{whole}\">"), 1)
        }
    }

    /// One of [`crate::rotation`]'s sentences; what stands between backticks is code.
    fn sentence(&self, text: &str) -> String {
        let mut text = self.view.format.sentence(text.trim_end_matches('.'));
        // A name is not a word to be capitalized.
        if text.split(' ').next().is_some_and(|word| word.chars().all(|c| c.is_ascii_lowercase())) {
            text[..1].make_ascii_uppercase();
        }
        let parts: Vec<&str> = text.split('`').collect();
        if parts.len().is_multiple_of(2) {
            return markdown(&text);
        }
        let escaped = parts.iter().enumerate().map(|(index, part)| match index % 2 {
            0 => markdown(part),
            _ => code(part),
        });
        escaped.collect()
    }

    /// The chart of the tokens, and how many rotations are not in it.
    fn chart(&self, rows: &[&Row<'_>]) -> String {
        let drawn = gantt::render(rows, &self.view.format).filter(|(chart, _)| chart.len() <= self.room);
        let Some((mut chart, left_out)) = drawn else { return String::new() };
        chart.push_str(
            "Red outline: the overlap of a previous token, or the days in which the current one is due.",
        );
        if left_out > 0 {
            let _ = write!(chart, " {} not drawn.", verb(left_out, "more rotation", "is", "are"));
        }
        chart + "\n\n"
    }
}

/// Adds the first parts, as many as there is room for. Returns how many things the rest is about;
/// each part has their number with it.
fn fill(text: &mut String, parts: impl Iterator<Item = (String, usize)>, room: usize) -> usize {
    let mut left_out = 0;
    for (part, count) in parts {
        if left_out == 0 && text.len() + part.len() <= room {
            text.push_str(&part);
        } else {
            left_out += count;
        }
    }
    left_out
}

/// A table of as many rows as there is room for, and a line on what was left out.
fn table(columns: &[&str], rows: impl Iterator<Item = Vec<String>>, room: usize) -> String {
    let mut table = format!("| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
    let rows = rows.map(|row| (format!("| {} |\n", row.join(" | ")), 1));
    let left_out = fill(&mut table, rows, room);
    table.push('\n');
    if left_out > 0 {
        let what = verb(left_out, "more row", "is", "are");
        let _ = write!(table, "{what} left out to keep this page short; `--format json` has everything.\n\n");
    }
    table
}

/// A date that stays on one line of a cell.
fn unbroken(date: &str) -> String {
    date.replace(' ', "&nbsp;").replace('-', "\u{2011}")
}

fn fold(title: &str, text: &str) -> String {
    format!("<details><summary>{title}</summary>\n\n{text}</details>\n\n")
}

/// `1 row is`, `2 rows are`
fn verb(count: usize, noun: &str, one: &str, many: &str) -> String {
    format!("{} {}", format::counted(count, noun), if count == 1 { one } else { many })
}

fn sign(row: &Row<'_>) -> &'static str {
    match row.rotation.outcome {
        RotationOutcome::Failed => "❌",
        RotationOutcome::Rotated => "🔄",
        RotationOutcome::Planned => "🔜",
        RotationOutcome::Fresh => "✅",
    }
}

fn sign_of_secret(secret: &Secret<'_>) -> &'static str {
    match (secret.role, secret.destination.state) {
        (Role::Bad, _) => "❌",
        (Role::Good, _) => "✅",
        (_, SecretState::Current) => "🔜",
        (Role::Change, _) => "⚠️",
        _ => "➖",
    }
}

#[cfg(test)]
mod tests;
