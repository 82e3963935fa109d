//! One input: its flag, its variable, and which of them was given.

use std::str::FromStr as _;

use super::Environment;
use crate::config::Field;
use crate::diagnostic::{Invalid, Origin, Problems, quoted};
use crate::redact::looks_like_a_secret;

/// The two names of an input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input {
    pub(super) flag: &'static str,
    pub(super) variable: &'static str,
}

/// Shorthand for the tables of inputs.
pub(super) const fn input(flag: &'static str, variable: &'static str) -> Input {
    Input { flag, variable }
}

/// Reads inputs: the flag, else the variable. What is refused is noted.
pub(super) struct Inputs<'a> {
    pub(super) environment: &'a Environment,
    pub(super) problems: &'a mut Problems,
}

impl Inputs<'_> {
    /// What was given, and by which of the two names.
    fn given(&self, flag: Option<&str>, input: Input) -> Option<(String, Origin)> {
        let flag = flag.filter(|text| !text.is_empty()).map(|text| (text, input.flag));
        let variable = || self.environment.get(input.variable).map(|text| (text, input.variable));
        flag.or_else(variable).map(|(text, name)| (text.to_owned(), Origin::Input(name)))
    }

    /// An input as it was written.
    pub(super) fn text(&mut self, flag: Option<&str>, input: Input) -> Option<Field<String>> {
        let (text, origin) = self.given(flag, input)?;
        Some(Field { origin, value: self.problems.note(origin, no_secret(text)) })
    }

    /// An input read by a parser.
    pub(super) fn parsed<T>(
        &mut self,
        flag: Option<&str>,
        input: Input,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<Field<T>> {
        let (text, origin) = self.given(flag, input)?;
        let result = no_secret(text).and_then(|text| parse(text.trim()));
        Some(Field { origin, value: self.problems.note(origin, result) })
    }

    /// An input read by a parser, or its default.
    pub(super) fn or<T>(
        &mut self,
        flag: Option<&str>,
        input: Input,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
        default: T,
    ) -> T {
        self.parsed(flag, input, parse).and_then(|field| field.value).unwrap_or(default)
    }

    /// Several values: a repeated flag, else the variable cut at these characters.
    pub(super) fn list(&mut self, flags: &[String], input: Input, separators: &[char]) -> Vec<Field<String>> {
        let problems = &mut *self.problems;
        let mut field = |text: &str, name| {
            let origin = Origin::Input(name);
            Field { origin, value: problems.note(origin, no_secret(text.to_owned())) }
        };
        let flags: Vec<_> = flags.iter().filter(|f| !f.is_empty()).map(|f| field(f, input.flag)).collect();
        if !flags.is_empty() {
            return flags;
        }
        let all = self.environment.get(input.variable).unwrap_or_default();
        if looks_like_a_secret(all) {
            // A part of it may not look like one.
            return vec![field(all, input.variable)];
        }
        let items = all.split(separators).map(str::trim).filter(|item| !item.is_empty());
        items.map(|item| field(item, input.variable)).collect()
    }

    /// A switch: the flag, or the variable when it says so.
    pub(super) fn switch(&mut self, flag: bool, input: Input) -> bool {
        flag || self.or(None, input, truth, false)
    }
}

/// Only the variables of credentials may hold a secret.
fn no_secret(text: String) -> Result<String, Invalid> {
    if looks_like_a_secret(&text) {
        return Err(Invalid::new("this looks like a secret itself, where a name, an id or a setting belongs").help(
            "secrets come from CROSSFADE_PROVIDER_TOKEN (or the variable that `credential` names) and CROSSFADE_GITHUB_TOKEN alone; replace one that was written elsewhere",
        ));
    }
    Ok(text)
}

fn truth(text: &str) -> Result<bool, Invalid> {
    bool::from_str(&text.to_ascii_lowercase())
        .map_err(|_| Invalid::new(format!("{} is neither true nor false", quoted(text))))
}
