//! What `crossfade provider check` and `prove` print.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::provider::Token;
use crate::redact::Redactor;

/// One step of a proof, and what came of it.
pub(crate) struct Step {
    pub what: String,
    pub outcome: Outcome,
}

/// What came of a step; with what is wrong, and what to look at.
pub(crate) enum Outcome {
    Done,
    Warning(String),
    Failed(String),
}

/// Each token as it was understood, and whose it is.
pub(crate) fn tokens(tokens: &[(&Token, Option<bool>)], warnings: &[String], redactor: &Redactor) -> String {
    let date =
        |at: Option<Timestamp>, otherwise: &str| at.map_or_else(|| otherwise.to_owned(), |at| at.to_string());
    let mut text = format!("{} tokens\n", tokens.len());
    for (token, owner) in tokens {
        let Token { id, name, note, expires_at, created_at, last_used_at, disabled, privileges, .. } = token;
        let _ = writeln!(text, "\n{}", redactor.line(id));
        let _ = writeln!(text, "  name       {}", redactor.line(name));
        if note != name {
            let _ = writeln!(text, "  marked in  {}", redactor.line(note));
        }
        let _ = writeln!(text, "  expires    {}", date(*expires_at, "never"));
        let _ = writeln!(text, "  created    {}", date(*created_at, "unknown"));
        let _ = writeln!(text, "  last used  {}", date(*last_used_at, "unknown"));
        let _ = writeln!(text, "  rights     {}", redactor.line(&privileges.to_string()));
        let owner = match owner {
            Some(true) => "this rotation",
            Some(false) => "another rotation",
            None => "not crossfade",
        };
        let disabled = if *disabled { ", disabled" } else { "" };
        let _ = writeln!(text, "  made by    {owner}{disabled}");
    }
    for warning in warnings {
        let _ = writeln!(text, "\nwarning: {}", redactor.line(warning));
    }
    text
}

/// The steps of a proof, and what they show together.
pub(crate) fn proof(steps: &[Step], redactor: &Redactor) -> String {
    let mut text = String::new();
    for Step { what, outcome } in steps {
        let what = redactor.line(what);
        let _ = match outcome {
            Outcome::Done => writeln!(text, "ok      {what}"),
            Outcome::Warning(warning) => writeln!(text, "WARNING {what}: {}", redactor.message(warning)),
            Outcome::Failed(failure) => writeln!(text, "FAILED  {what}: {}", redactor.message(failure)),
        };
    }
    let is = |wanted: fn(&Outcome) -> bool| steps.iter().any(|step| wanted(&step.outcome));
    if is(|outcome| matches!(outcome, Outcome::Failed(_))) {
        return text;
    }
    text.push_str(match is(|outcome| matches!(outcome, Outcome::Warning(_))) {
        false => "The provider works as its file says.\n",
        true => "The provider works. Look at each WARNING before you use it.\n",
    });
    text
}
