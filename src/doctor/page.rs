//! The page of `crossfade doctor`, and its JSON document.

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use super::{Check, Diagnosis, State, counted};
use crate::redact::Redactor;
use crate::report::Terminal;

/// The page: groups of checks, and what follows from them.
#[must_use]
pub(crate) fn text(diagnosis: &Diagnosis, terminal: Terminal, redactor: &Redactor) -> String {
    let mut page = String::new();
    let mut subject = "";
    for check in &diagnosis.checks {
        if check.subject != subject {
            subject = &check.subject;
            page.push_str(&format!("{}\n", redactor.line(subject)));
        }
        let code = check.code.map(|code| format!(" [{code}]")).unwrap_or_default();
        page.push_str(&format!(
            "  {} {}{code}\n",
            sign(check.state, terminal),
            redactor.message(&check.message)
        ));
        for step in &check.fix {
            let arrow = if terminal.ascii { "->" } else { "→" };
            page.push_str(&format!("    {arrow} {}\n", redactor.message(step)));
        }
    }
    page.push_str(&format!("\n{}\n", conclusion(diagnosis)));
    if diagnosis.checks.iter().any(|check| check.code.is_some()) {
        page.push_str("The codes in brackets are explained in docs/errors.md.\n");
    }
    page
}

fn sign(state: State, terminal: Terminal) -> String {
    let (sign, ascii, style) = match state {
        State::Ok => ("✓", "ok", AnsiColor::Green.on_default()),
        State::Unknown => ("?", "?", Style::new().dimmed()),
        State::Warning => ("!", "!", AnsiColor::Yellow.on_default()),
        State::Failed => ("✗", "x", AnsiColor::Red.on_default().bold()),
    };
    let sign = if terminal.ascii { ascii } else { sign };
    if terminal.colors { format!("{style}{sign}{style:#}") } else { sign.to_owned() }
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
#[must_use]
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
    let state = match check.state {
        State::Ok => "ok",
        State::Unknown => "unknown",
        State::Warning => "warning",
        State::Failed => "failed",
    };
    let fix = (!check.fix.is_empty()).then(|| redactor.message(&check.fix.join(" ")));
    json!({
        "subject": redactor.line(&check.subject),
        "check": check.check,
        "state": state,
        "message": redactor.message(&check.message),
        "fix": fix,
        "code": check.code.map(crate::error_code::ErrorCode::as_str),
    })
}
