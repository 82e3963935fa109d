//! Problems of the configuration, and how they are shown.
//!
//! [`Problems`] collects all of them instead of stopping at the first. Every text from
//! outside passes `quoted` or `printable` first.

use std::fmt;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;
use serde_json::json;

use crate::redact::{own_shapes, starred};

/// Why a single value was refused. The caller knows its origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Invalid {
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Invalid {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    /// A refusal of a text from outside: what it should have been, and the text itself.
    pub(crate) fn text(what: &str, text: &str) -> Self {
        Self::new(if text.is_empty() {
            format!("{what} is empty")
        } else {
            format!("invalid {what} {}", quoted(text))
        })
    }

    /// The text if it is legal, else its refusal.
    pub(crate) fn unless(is_legal: bool, what: &str, text: &str) -> Result<String, Self> {
        if is_legal { Ok(text.to_owned()) } else { Err(Self::text(what, text)) }
    }

    /// Adds a hint to the message, in brackets.
    pub(crate) fn hint(mut self, hint: &str) -> Self {
        self.message = format!("{} ({hint})", self.message);
        self
    }

    /// Adds where the same stands already.
    pub(crate) fn stands_at(self, first: Origin) -> Self {
        match first {
            Origin::File(at) => self.help(format!("it stands on line {} already", at.line)),
            Origin::Input(_) | Origin::Missing => self,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Whether a problem stops a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Nothing is run.
    Error,
    /// Reported; the run goes on.
    Warning,
}

/// Where in the configuration file something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// In characters.
    pub length: usize,
}

/// Where a setting was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In the configuration file.
    File(Position),
    /// In this flag or environment variable.
    Input(&'static str),
    /// Nowhere: it is missing.
    Missing,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub severity: Severity,
    pub message: String,
    pub help: Option<String>,
    pub origin: Origin,
}

/// Everything that is wrong, in the order in which it was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Problems {
    path: String,
    /// The file's lines, without what looks like a secret.
    lines: Vec<String>,
    list: Vec<Problem>,
    /// There are more than are kept.
    is_cut_off: bool,
    /// Origins of secrets: any other problem there would quote parts of them.
    secrets: Vec<Origin>,
}

/// The most errors, and the most warnings, that are shown.
const MOST: usize = 100;

impl Problems {
    /// One error without an origin.
    pub(crate) fn of(invalid: Invalid) -> Self {
        let mut problems = Self::default();
        problems.error(Origin::Missing, invalid);
        problems
    }

    /// Names the file that [`Origin::File`] refers to.
    pub(crate) fn set_file(&mut self, path: &str, text: &str) {
        self.path = printable(path);
        self.lines = starred(text, &own_shapes(text)).lines().map(str::to_owned).collect();
    }

    /// The file that [`Origin::File`] refers to, fit to be printed.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn error(&mut self, origin: Origin, invalid: Invalid) {
        self.add(Severity::Error, origin, invalid);
    }

    /// Adds the problem of a secret; no other problem of that origin is shown.
    pub(crate) fn secret(&mut self, origin: Origin, invalid: Invalid) {
        self.error(origin, invalid);
        if !self.secrets.contains(&origin) {
            self.secrets.push(origin);
        }
    }

    pub(crate) fn warning(&mut self, origin: Origin, invalid: Invalid) {
        self.add(Severity::Warning, origin, invalid);
    }

    /// The same problem of the same origin is shown once (defaults are shared).
    fn add(&mut self, severity: Severity, origin: Origin, Invalid { message, help }: Invalid) {
        let problem = Problem { severity, message, help, origin };
        if self.secrets.contains(&origin) || self.list.contains(&problem) {
            return;
        }
        if self.count(severity) >= MOST {
            self.is_cut_off = true;
            return;
        }
        self.list.push(problem);
    }

    /// Whether another error would not be shown any more.
    pub(crate) fn is_full(&self) -> bool {
        self.errors() >= MOST
    }

    /// The value, or its problem noted.
    pub(crate) fn note<T>(&mut self, origin: Origin, result: Result<T, Invalid>) -> Option<T> {
        result.map_err(|invalid| self.error(origin, invalid)).ok()
    }

    /// Whether any of it stops a run.
    pub(crate) fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many problems stop a run.
    pub(crate) fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|known| known.severity == severity).count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, by their position in the file.
    pub(crate) fn sorted(&self) -> Vec<&Problem> {
        let mut all: Vec<&Problem> = self.list.iter().collect();
        all.sort_by_key(|p| match p.origin {
            Origin::File(at) => (1, at.line, at.column),
            Origin::Input(_) | Origin::Missing => (0, 0, 0),
        });
        all
    }

    fn render(&self, problem: &Problem) -> String {
        let (level, name) = match problem.severity {
            Severity::Error => (Level::ERROR, "error"),
            Severity::Warning => (Level::WARNING, "warning"),
        };
        let Origin::File(at) = problem.origin else {
            let mut text = format!("{name}: {}", problem.message);
            if let Origin::Input(input) = problem.origin {
                text.push_str(&format!("\n  --> {input}"));
            }
            let help = problem.help.iter().map(|help| format!("\n  = help: {help}"));
            text.extend(help);
            return text;
        };
        let line = self.lines.get(at.line - 1).map_or("", String::as_str);
        let (line, span) = excerpt(line, at);
        let snippet = Snippet::source(line)
            .line_start(at.line)
            .path(self.path.as_str())
            .annotation(AnnotationKind::Primary.span(span));
        let mut group = Group::with_title(level.primary_title(problem.message.as_str())).element(snippet);
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        Renderer::plain().decor_style(DecorStyle::Ascii).render(&[group])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self.sorted().into_iter().map(|problem| self.render(problem)).collect();
        f.write_str(&shown.join("\n\n"))?;
        if self.is_cut_off {
            write!(f, "\n\nOnly the first {MOST} problems are shown.")?;
        }
        Ok(())
    }
}

impl Serialize for Problems {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = |Problem { severity, message, help, origin }: &Problem| {
            let (file, input, at) = match origin {
                Origin::File(at) => (Some(&self.path), None, Some(at)),
                Origin::Input(name) => (None, Some(name), None),
                Origin::Missing => (None, None, None),
            };
            json!({
                "severity": severity, "message": message, "help": help, "file": file,
                "line": at.map(|at| at.line), "column": at.map(|at| at.column), "input": input,
            })
        };
        serializer.collect_seq(self.sorted().into_iter().map(shown))
    }
}

/// The line of a position, safe to print, and the bytes of it that the problem is about.
/// The rest of the line is left out: it may contain a secret.
fn excerpt(line: &str, at: Position) -> (String, std::ops::Range<usize>) {
    let before: String = line.chars().take(at.column - 1).collect();
    let meant: String = line.chars().skip(at.column - 1).take(at.length.clamp(1, 80)).collect();
    let mut shown = printable(&before);
    let start = shown.len();
    shown.push_str(&printable(meant.trim_end()));
    let end = shown.len();
    (shown, start..end)
}

/// Whether a character can trick a terminal or a reader's eye.
pub(crate) fn suspicious(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text from outside on one line: one character for each, none of them dangerous, no
/// token in it, and no command that a GitHub runner obeys.
pub(crate) fn printable(text: &str) -> String {
    let harmless = |c: char| match c {
        '\t' => ' ',
        c if suspicious(c) => '\u{fffd}',
        c => c,
    };
    let clean: String = text.chars().map(harmless).collect();
    starred(&clean, &[]).replace("##[", "#-[").replace("::", ":\u{b7}")
}

/// A text from outside in a sentence: in backquotes, cut at 80 characters.
pub(crate) fn quoted(text: &str) -> String {
    if text.is_empty() {
        return "an empty text".to_owned();
    }
    let mut shown: String = printable(text).chars().take(80).collect();
    if text.chars().count() > 80 {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// `a`, `b` or `c`.
pub(crate) fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|n| format!("`{n}`")).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => "nothing".to_owned(),
    }
}

/// The candidate that a misspelt word probably meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase().replace('-', "_");
    candidates
        .into_iter()
        .map(|c| (strsim::damerau_levenshtein(&word, &c.to_lowercase().replace('-', "_")), c))
        .filter(|(distance, c)| *distance <= (c.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// The refusal of a word: what is allowed, and the nearest of it.
pub(crate) fn unknown<'a>(what: &str, word: &str, known: impl Iterator<Item = &'a str> + Clone) -> Invalid {
    let allowed = one_of(known.clone());
    Invalid::new(format!("unknown {what} {}", quoted(word))).help(match nearest(word, known) {
        Some(meant) => format!("did you mean `{meant}`? Allowed: {allowed}"),
        None => format!("allowed: {allowed}"),
    })
}

/// The value that a table gives to a word.
pub(crate) fn named<T: Clone>(what: &str, table: &[(&str, T)], word: &str) -> Result<T, Invalid> {
    let value = table.iter().find(|(name, _)| *name == word).map(|(_, value)| value.clone());
    value.ok_or_else(|| unknown(what, word, table.iter().map(|(name, _)| *name)))
}

/// The name that a table gives to a value.
pub(crate) fn name_of<T: PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
    table.iter().find(|(_, v)| *v == value).map_or("", |(name, _)| name)
}
