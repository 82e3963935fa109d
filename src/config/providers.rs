//! The providers that a file's rotations can name: those that ship with crossfade, and
//! the file's own. And what a rotation sets of their variables.

use std::collections::BTreeMap;

use super::file::RotationKeys;
use super::validate;
use crate::catalogue::FILES;
use crate::diagnostic::{Invalid, Origin, Problems, named, nearest, one_of, quoted};
use crate::provider::file::{ProviderKeys, Variable, build};
use crate::provider::{Kind, built_in};
use crate::yaml::keys::{Entry, Field, all, by_text, given};

/// What a rotation calls its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProviderName(pub(crate) String);

by_text! {
    ProviderName, |text| Ok(Self(text.to_owned()));
}

/// Every provider that a rotation can name: a file's own, and those that ship with crossfade.
#[derive(Debug)]
pub(crate) struct Providers(Vec<Kind>);

impl Providers {
    /// With a file's own, each checked.
    pub(crate) fn read(own: &[Entry<ProviderKeys>], problems: &mut Problems) -> Self {
        let mut all = Vec::new();
        for (name, origin, field) in own {
            let legal = problems.note(*origin, provider_name(name)).is_some();
            let Some(keys) = field.value.as_ref() else { continue };
            let file = build(name, None, keys, *origin, problems);
            all.extend(file.filter(|_| legal).map(Kind::new));
        }
        Self(all)
    }

    /// The provider of this name, if its file is right.
    pub(crate) fn find(&self, name: &ProviderName) -> Option<&Kind> {
        self.0.iter().find(|kind| kind.name() == name.0).or_else(|| built_in(&name.0))
    }
}

/// Notes a name that no provider has. `own`: those of the file, right or not.
pub(super) fn check_name(field: &Field<ProviderName>, own: &[Entry<ProviderKeys>], problems: &mut Problems) {
    let Some(name) = &field.value else { return };
    let mut known: Vec<(&str, ())> = FILES.iter().map(|(name, _)| (*name, ())).collect();
    known.extend(own.iter().map(|(name, ..)| (name.as_str(), ())));
    problems.note(field.origin, named("provider", &known, &name.0));
}

fn provider_name(name: &str) -> Result<(), Invalid> {
    if FILES.iter().any(|(known, _)| *known == name) {
        return Err(Invalid::new(format!("the provider {} is built in", quoted(name))).help(
            "choose another name for your own; `crossfade provider show` prints the one that is built in",
        ));
    }
    let is_legal =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    if name.is_empty() || name.len() > 40 || !name.bytes().all(is_legal) {
        return Err(Invalid::new(format!("{} cannot be the name of a provider", quoted(name)))
            .help("lower-case letters, digits, - and _, at most 40"));
    }
    Ok(())
}

/// What a rotation sets of its provider's variables, right or not.
pub(super) fn with(kind: &Kind, keys: &RotationKeys) -> BTreeMap<String, String> {
    let variables = &kind.file().variables;
    let own = all(&keys.with).iter().filter_map(|(name, _, field)| Some((name, field.value.as_ref()?)));
    let org_id = given(&keys.org_id).map(|id| (ORG_ID, id));
    let all = org_id.into_iter().chain(own.map(|(name, value)| (name.as_str(), value)));
    all.filter(|(name, _)| variables.contains_key(*name))
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect()
}

/// The variable that has a key of its own in a rotation.
const ORG_ID: &str = "org_id";

/// Notes what is wrong with the variables that a rotation sets, and which are missing.
pub(super) fn check_variables(kind: &Kind, keys: &RotationKeys, rotation: Origin, problems: &mut Problems) {
    let file = kind.file();
    let named = all(&keys.with);
    for (name, origin, field) in named {
        let Some(variable) = file.variables.get(name) else {
            let known = || file.variables.keys().map(String::as_str);
            let invalid = Invalid::new(format!("the provider `{kind}` has no variable {}", quoted(name)));
            let help = match nearest(name, known()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if file.variables.is_empty() => "it has none".to_owned(),
                None => format!("its variables: {}", one_of(known())),
            };
            problems.error(*origin, invalid.help(help));
            continue;
        };
        if let Some(value) = &field.value {
            problems.note(field.origin, value_of(variable, value));
        }
    }
    let is_set =
        |name: &str| named.iter().any(|(known, ..)| known == name) || name == ORG_ID && keys.org_id.is_some();
    for (name, variable) in &file.variables {
        if variable.is_required() && !is_set(name) {
            let about =
                if variable.about.is_empty() { String::new() } else { format!(": {}", variable.about) };
            let invalid = Invalid::new(format!("the provider `{kind}` needs the variable `{name}`"));
            problems.error(rotation, invalid.help(format!("write `with: {{ {name}: … }}`{about}")));
        }
    }
    if file.api.is_none() && keys.provider_url.is_none() {
        let invalid = Invalid::new(format!("the provider `{kind}` has no public address"));
        let help = "say at `provider_url` where your installation is, with the API's path";
        problems.error(rotation, invalid.help(help));
    }
}

/// Checks what a rotation sets a variable to.
pub(crate) fn value_of(variable: &Variable, value: &str) -> Result<(), Invalid> {
    if variable.is_secret {
        return validate::credential(value).map(drop);
    }
    if !variable.one_of.is_empty() && !variable.one_of.iter().any(|known| known == value) {
        let known = variable.one_of.iter().map(String::as_str);
        return Err(Invalid::new(format!("{} is not allowed here", quoted(value)))
            .help(format!("expected {}", one_of(known))));
    }
    if value.chars().any(char::is_control) || value.chars().count() > 200 || matches!(value, "." | "..") {
        return Err(Invalid::new(format!("{} cannot be the value of a variable", quoted(value))));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
