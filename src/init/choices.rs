//! What a user can choose from: the provider's tokens, and secrets whose names fit.

use jiff::Timestamp;

use crate::config::token_name;
use crate::diagnostic::{Invalid, nearest, quoted};
use crate::provider::{Kind, Token};
use crate::redact::Redactor;
use crate::report::format::Format;
use crate::rotation::marker::{Marker, strip};

/// Words of secrets' names that say nothing about which token they hold.
const COMMON: [&str; 8] = ["token", "key", "api", "secret", "admin", "read", "write", "the"];

/// A token to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    /// What the configuration calls it: its name, or its id where the name is not enough.
    pub(crate) token: String,
    pub(crate) name: String,
    /// For the terminal.
    pub(crate) label: String,
}

/// The most lines of a list that are shown, and that a number can choose from.
pub(crate) const SHOWN: usize = 40;

/// The tokens that crossfade does not rotate yet, those that end first in front.
/// `credential`: the id of the only token that can be the provider credential.
pub(crate) fn tokens(
    listed: &[Token],
    credential: Option<&str>,
    now: Option<Timestamp>,
    redactor: &Redactor,
) -> Vec<Choice> {
    let format = Format::at(now);
    let mut free: Vec<&Token> = listed.iter().filter(|token| Marker::find(&token.note).is_none()).collect();
    free.sort_by_key(|token| (token.expires_at.is_none(), token.expires_at, &token.name));
    let choice = |token: &&Token| {
        let name = token.name.trim().to_owned();
        let is_unique = listed.iter().filter(|other| strip(&other.name) == name).count() == 1;
        let is_usable = |text: &str| !text.is_empty() && token_name(text).is_ok() && !redactor.changes(text);
        let by_name = is_unique && name == token.name && is_usable(&name);
        let reference = if by_name { &name } else { &token.id };
        let end = match token.expires_at {
            Some(end) if now.is_some_and(|now| end <= now) => format!("expired {}", format.when(end)),
            Some(end) => format!("expires {}", format.when(end)),
            None => "does not expire".to_owned(),
        };
        let id = if by_name { String::new() } else { format!(" (id {})", redactor.line(&token.id)) };
        let disabled = if token.disabled { ", disabled" } else { "" };
        let own = if credential == Some(&*token.id) { ", may be the provider credential itself" } else { "" };
        is_usable(reference).then(|| Choice {
            token: reference.clone(),
            name: if name.is_empty() { token.id.clone() } else { name.clone() },
            label: format!("{}{id}, {end}{disabled}{own}", redactor.line(&name)),
        })
    };
    free.iter().filter_map(choice).collect()
}

/// The token of an answer: a number of the list, or the name or id of any listed token.
pub(crate) fn token(answer: &str, choices: &[Choice], listed: &[Token]) -> Result<Choice, Invalid> {
    if let Some(choice) = numbered(answer, choices) {
        let is_named = |token: &&Token| token.id == answer || strip(&token.name) == answer;
        let is_row = |token: &Token| choice.token == token.id || choice.token == strip(&token.name);
        return match listed.iter().find(is_named).filter(|token| !is_row(token)) {
            None => Ok(choice.clone()),
            Some(other) => Err(ambiguous(answer, choice, other, choices)),
        };
    }
    let token = token_name(answer)?;
    let known = || listed.iter().flat_map(|one| [strip(&one.name), one.id.clone()]);
    if known().any(|one| one == token) {
        return Ok(Choice { name: token.clone(), token, label: String::new() });
    }
    let names: Vec<String> = known().collect();
    // The answer may be a value of a form that is not known, so it is not repeated.
    let invalid = Invalid::new("no token has this name or id");
    Err(match nearest(answer, names.iter().map(String::as_str)) {
        Some(meant) => invalid.help(format!("did you mean {}?", quoted(meant))),
        None => invalid,
    })
}

/// An answer that is a row, and the name or id of a token in another one.
fn ambiguous(answer: &str, row: &Choice, token: &Token, choices: &[Choice]) -> Invalid {
    let name = strip(&token.name);
    let by_number = choices.iter().take(SHOWN).position(|one| one.token == token.id || one.token == name);
    let by_name = if token.id == answer { name } else { token.id.clone() };
    let other = by_number.map_or(by_name, |index| (index + 1).to_string());
    Invalid::new(format!("{} is a row, and also the name or id of another token", quoted(answer))).help(
        format!(
            "answer {} for the row, or {} for the token that is called so",
            quoted(&row.token),
            quoted(&other)
        ),
    )
}

/// One of a list that is shown with numbers from 1.
pub(crate) fn numbered<'a, T>(answer: &str, list: &'a [T]) -> Option<&'a T> {
    list.iter().take(SHOWN).nth(answer.parse::<usize>().ok()?.checked_sub(1)?)
}

/// The secrets that by their names may hold the token, those that fit best in front. `own`:
/// what the workflow itself will read.
pub(crate) fn secrets<'a>(names: &'a [String], provider: &Kind, token: &str, own: &str) -> Vec<&'a String> {
    let wanted: Vec<String> = words(provider.name()).chain(words(token)).collect();
    let fit = |name: &str| words(name).filter(|word| wanted.contains(word)).count();
    let is_own = |name: &str| name == own || name.starts_with("CROSSFADE_");
    let mut fitting: Vec<&String> = names.iter().filter(|name| !is_own(name) && fit(name) > 0).collect();
    fitting.sort_by_key(|name| (usize::MAX - fit(name), *name));
    fitting
}

fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    words.filter(|word| !word.is_empty() && !COMMON.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn listed(id: &str, name: &str, note: &str, end: Option<&str>) -> Token {
        Token {
            id: id.to_owned(),
            name: name.to_owned(),
            note: note.to_owned(),
            expires_at: end.map(|end| end.parse().unwrap()),
            created_at: None,
            changed_at: None,
            last_used_at: None,
            disabled: id == "off",
            privileges: Value::Null,
            raw: Value::Null,
        }
    }

    fn now() -> Option<Timestamp> {
        Some("2026-03-02T09:00:00Z".parse().unwrap())
    }

    #[test]
    fn tokens_are_named_so_that_each_is_meant_alone() {
        let marker = "xf1.abcdefghij.t9dkl8.xc.abcdefghijkl.1";
        let all = [
            listed("one", "ci-ingest", "", None),
            listed("two", "same", "", Some("2026-03-14T08:00:00Z")),
            listed("three", "same", "", Some("2026-03-01T08:00:00Z")),
            listed("four", "rotated", &format!("mine {marker}"), None),
            listed("off", " spaced", "", None),
            listed("six", "xaat-0123456789abcdef0123456789abcdef", "", None),
            listed("seven", "a\u{1b}[2J::error::b", "", None),
        ];
        let choices = tokens(&all, None, now(), &Redactor::new());
        let shown: Vec<(&str, &str)> =
            choices.iter().map(|one| (one.token.as_str(), one.label.as_str())).collect();
        insta::assert_debug_snapshot!(shown);
        let meant = |answer: &str| token(answer, &choices, &all).map(|choice| choice.token);
        assert_eq!(meant("1").as_deref(), Ok("three"));
        assert_eq!(meant("rotated").as_deref(), Ok("rotated"), "a token that crossfade made");
        assert_eq!(meant("four").as_deref(), Ok("four"));
        let refused = meant("ci-ingets").unwrap_err();
        assert_eq!(refused.help.as_deref(), Some("did you mean `ci-ingest`?"));
        assert!(meant("99").is_err() && meant("0").is_err());
    }

    #[test]
    fn a_number_that_is_also_a_name_is_asked_again() {
        let end = |day: u8| Some(format!("2026-03-{day:02}T08:00:00Z"));
        let all: Vec<Token> = [("a", "first"), ("b", "second"), ("2", "third"), ("d", "1"), ("e", "5")]
            .iter()
            .zip(10..)
            .map(|((id, name), day)| listed(id, name, "", end(day).as_deref()))
            .collect();
        let choices = tokens(&all, Some("b"), now(), &Redactor::new());
        assert_eq!(
            choices[1].label,
            "second, expires 2026-03-11 (in 8 days), may be the provider credential itself"
        );
        let meant = |answer: &str| token(answer, &choices, &all).map(|choice| choice.token);
        let help = |answer: &str| meant(answer).unwrap_err().help.unwrap();
        assert_eq!(help("1"), "answer `first` for the row, or `4` for the token that is called so");
        assert_eq!(help("2"), "answer `second` for the row, or `3` for the token that is called so");
        for (answer, expected) in [("4", "1"), ("5", "5"), ("3", "third"), ("first", "first")] {
            assert_eq!(meant(answer).as_deref(), Ok(expected));
        }
        let many: Vec<usize> = (1..=60).collect();
        assert_eq!((numbered("40", &many), numbered("41", &many)), (Some(&40), None), "not shown");
    }

    #[test]
    fn secrets_fit_by_the_words_of_their_names() {
        let names =
            ["AXIOM_TOKEN", "CI_INGEST", "NPM_TOKEN", "AXIOM_ADMIN_TOKEN", "CROSSFADE_AXIOM", "AXIOM_CI"];
        let names = names.map(str::to_owned);
        let axiom: Kind = "axiom".parse().unwrap();
        assert_eq!(
            secrets(&names, &axiom, "ci-ingest", "AXIOM_ADMIN_TOKEN"),
            ["AXIOM_CI", "CI_INGEST", "AXIOM_TOKEN"]
        );
    }
}
