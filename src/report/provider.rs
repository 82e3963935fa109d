//! What `crossfade provider check` and `prove` print.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::provider::Token;
use crate::redact::Redactor;

/// One step of a proof, and what came of it.
#[derive(Debug)]
pub(crate) struct Step {
    /// What was tried.
    pub what: String,
    /// What is wrong, and what to look at.
    pub failure: Option<String>,
}

/// Each token as it was understood, and whose it is.
pub(crate) fn tokens(tokens: &[(&Token, Option<bool>)], redactor: &Redactor) -> String {
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
    text
}

/// The steps of a proof.
pub(crate) fn proof(steps: &[Step], redactor: &Redactor) -> String {
    let mut text = String::new();
    for Step { what, failure } in steps {
        let what = redactor.line(what);
        let _ = match failure {
            None => writeln!(text, "ok      {what}"),
            Some(failure) => writeln!(text, "FAILED  {what}: {}", redactor.message(failure)),
        };
    }
    text
}
