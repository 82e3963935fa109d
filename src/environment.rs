//! The environment variables of one invocation, as a value.
//!
//! Nothing else in the crate reads the process's own variables, so that many
//! invocations can run beside each other in one process.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;

use crate::diagnostic::Invalid;

/// Variables and their values; some are secret, so none is ever shown.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

/// Stands for a value that is not UTF-8: no input takes a control character.
const NOT_UTF8: &str = "\u{0}";

impl Environment {
    /// The variables of this process. A value that is not UTF-8 is kept as one that every
    /// input refuses: to ignore a secret that was given would be worse.
    #[must_use]
    pub fn from_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.into_string().unwrap_or_else(|_| NOT_UTF8.to_owned())))
            })
            .collect()
    }

    /// A variable's value; an empty one counts as not set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether this is a step of a GitHub Actions workflow.
    pub(crate) fn is_on_actions(&self) -> bool {
        self.get("GITHUB_ACTIONS") == Some("true")
    }
}

/// A secret that can be sent in a header.
pub(crate) fn visible(value: &str) -> Result<SecretString, Invalid> {
    let value = value.trim();
    if value.is_empty() {
        return Err(Invalid::new("this variable contains only whitespace"));
    }
    if value.len() > 8192 || !value.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Invalid::new(
            "the value of this variable is not a token: it contains spaces, line breaks or other characters that tokens never have",
        ));
    }
    Ok(value.to_owned().into())
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}
