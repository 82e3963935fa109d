//! Reads options: from the flag, else from the environment variable.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::LazyLock;

use clap::ArgMatches;

use crate::diagnostic::{Invalid, Origin, Problems, quoted};
use crate::environment::Environment;
use crate::redact::looks_like_a_secret;
use crate::yaml::keys::Field;

/// An option's flag and variable, by its name.
static NAMES: LazyLock<HashMap<String, (String, String)>> = LazyLock::new(|| {
    let command = super::commands();
    let all = command.get_subcommands().flat_map(clap::Command::get_arguments);
    all.map(|arg| arg.get_id().as_str())
        .map(|name| (name.to_owned(), (format!("--{name}"), variable(name))))
        .collect()
});

/// The variable of an option: `CROSSFADE_` and its name.
pub(super) fn variable(name: &str) -> String {
    match name {
        "secret" => "CROSSFADE_SECRETS".to_owned(),
        _ => format!("CROSSFADE_{}", name.to_uppercase().replace('-', "_")),
    }
}

/// The options of one invocation. Problems are noted, so that all are reported at once.
pub(super) struct Inputs<'a> {
    pub(super) matches: &'a ArgMatches,
    pub(super) environment: &'a Environment,
    pub(super) problems: &'a mut Problems,
}

impl Inputs<'_> {
    /// What was given, and by which of the two names.
    pub(super) fn given(&self, name: &str) -> Option<(String, Origin)> {
        let (flag, variable) = NAMES.get(name)?;
        let given = self.matches.get_one::<String>(name).filter(|text| !text.is_empty());
        let of_flag = given.map(|text| (text.clone(), Origin::Input(flag)));
        of_flag.or_else(|| Some((self.environment.get(variable)?.to_owned(), Origin::Input(variable))))
    }

    /// An option's text as it was written.
    pub(super) fn text(&mut self, name: &str) -> Option<Field<String>> {
        let (text, origin) = self.given(name)?;
        Some(Field { origin, value: self.problems.note(origin, no_secret(text)) })
    }

    /// An option read by a parser.
    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<Field<T>> {
        let given = self.given(name)?;
        Some(self.field(given, parse))
    }

    /// A variable of GitHub's own, read by a parser.
    pub(super) fn variable<T>(
        &mut self,
        variable: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<Field<T>> {
        let given = (self.environment.get(variable)?.to_owned(), Origin::Input(variable));
        Some(self.field(given, parse))
    }

    fn field<T>(
        &mut self,
        (text, origin): (String, Origin),
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Field<T> {
        let result = no_secret(text).and_then(|text| parse(text.trim()));
        Field { origin, value: self.problems.note(origin, result) }
    }

    /// An option read by a parser, or its default.
    pub(super) fn or<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
        default: T,
    ) -> T {
        self.parsed(name, parse).and_then(|field| field.value).unwrap_or(default)
    }

    /// Several values: a repeated flag, else the variable split at these characters.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        separators: &[char],
        parse: impl Fn(&str) -> Result<T, Invalid>,
    ) -> Vec<Field<T>> {
        let Some((flag, variable)) = NAMES.get(name) else { return Vec::new() };
        let flags = self.matches.get_many::<String>(name).into_iter().flatten();
        let mut given: Vec<(&str, Origin)> =
            flags.filter(|text| !text.is_empty()).map(|text| (text.as_str(), Origin::Input(flag))).collect();
        if given.is_empty() {
            let all = self.environment.get(variable).unwrap_or_default();
            // A part of a secret may not look like one.
            let separators = if looks_like_a_secret(all) { &[] } else { separators };
            let items = all.split(separators).map(str::trim).filter(|item| !item.is_empty());
            given = items.map(|item| (item, Origin::Input(variable))).collect();
        }
        given.into_iter().map(|(text, origin)| self.field((text.to_owned(), origin), &parse)).collect()
    }

    /// A switch: the flag, or the variable when it is `true`.
    pub(super) fn switch(&mut self, name: &str) -> bool {
        if self.matches.get_flag(name) {
            return true;
        }
        let given = NAMES.get(name).and_then(|(_, variable)| self.variable(variable, boolean));
        given.and_then(|field| field.value).unwrap_or_default()
    }
}

/// Refuses a secret: only the variables of credentials may hold one.
fn no_secret(text: String) -> Result<String, Invalid> {
    if looks_like_a_secret(&text) {
        return Err(Invalid::new("this looks like a secret itself, where a name, an id or a setting belongs").help(
            "secrets come only from CROSSFADE_PROVIDER_TOKEN (or the variable that `credential` names) and CROSSFADE_GITHUB_TOKEN; replace one that was written elsewhere",
        ));
    }
    Ok(text)
}

fn boolean(text: &str) -> Result<bool, Invalid> {
    bool::from_str(&text.to_ascii_lowercase())
        .map_err(|_| Invalid::new(format!("expected true or false, found {}", quoted(text))))
}
