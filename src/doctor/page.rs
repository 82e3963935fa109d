//! The page of `crossfade doctor`, and its JSON document.

use serde_json::{Value, json};

use super::{Check, Diagnosis, State};
use crate::redact::Redactor;
use crate::report::format::{Format, counted};
use crate::report::paint::{Cell, Page, Role};
use crate::streams::Terminal;

/// The page: groups of checks, and what follows from them.
pub(crate) fn text(diagnosis: &Diagnosis, terminal: Terminal, redactor: &Redactor) -> String {
    let format = Format::at(diagnosis.now);
    let shown = |text: &str| format.sentence(&redactor.message(text));
    let mut page = Page::new(terminal);
    let mut subject = "";
    for check in &diagnosis.checks {
        if check.subject != subject {
            subject = &check.subject;
            page.heading(Role::Heading, &redactor.line(subject));
        }
        let code = check.code.map(|code| format!(" [{code}]")).unwrap_or_default();
        let message = format!("{}{code}", shown(&check.message));
        page.entry(2, sign(check.state, terminal), 4, &message);
        for step in &check.fix {
            let (arrow, column) = if terminal.ascii { ("->", 7) } else { ("→", 6) };
            page.entry(4, (Role::Plain, arrow.to_owned()), column, &shown(step));
        }
    }
    page.blank();
    page.flow(0, 0, &conclusion(diagnosis));
    if diagnosis.checks.iter().any(|check| check.code.is_some()) {
        page.flow(0, 0, "The codes in brackets are explained in docs/errors.md.");
    }
    page.finish()
}

fn sign(state: State, terminal: Terminal) -> Cell {
    let (sign, ascii, role) = match state {
        State::Ok => ("✓", "+", Role::Good),
        State::Unknown => ("?", "?", Role::Quiet),
        State::Warning => ("!", "!", Role::Change),
        State::Failed => ("✗", "x", Role::Bad),
    };
    (role, if terminal.ascii { ascii } else { sign }.to_owned())
}

fn conclusion(diagnosis: &Diagnosis) -> String {
    let count = |state, noun| match diagnosis.count(state) {
        0 => None,
        count => Some(counted(count, noun)),
    };
    let notes: Vec<String> = [count(State::Warning, "warning"), count(State::Unknown, "open question")]
        .into_iter()
        .flatten()
        .collect();
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
    match count(State::Failed, "problem") {
        Some(problems) => format!("A rotation would fail today: {problems}{notes}. Nothing was changed."),
        None => format!("Nothing found that would stop a rotation today{notes}. Nothing was changed."),
    }
}

/// One document for programs.
pub(crate) fn json(diagnosis: &Diagnosis, redactor: &Redactor) -> String {
    let checks: Vec<Value> = diagnosis.checks.iter().map(|check| shown(check, redactor)).collect();
    let document = json!({
        "version": 1,
        "command": "doctor",
        "now": diagnosis.now.map(|now| now.to_string()),
        "checks": checks,
    });
    format!("{document:#}\n")
}

fn shown(check: &Check, redactor: &Redactor) -> Value {
    let fix = (!check.fix.is_empty()).then(|| redactor.message(&check.fix.join(" ")));
    json!({
        "subject": redactor.line(&check.subject),
        "check": check.check,
        "state": check.state,
        "message": redactor.message(&check.message),
        "fix": fix,
        "code": check.code.map(crate::error_code::ErrorCode::as_str),
    })
}
