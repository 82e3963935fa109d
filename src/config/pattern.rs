//! Which repositories a secret is written to, by pattern: `acme/*`, `!acme/legacy-*`.
//!
//! Reading and matching only; which repositories there are is GitHub's to say, so
//! patterns are expanded in [`crate::github`].

use std::fmt;
use std::str::FromStr;

use super::destination::{Repository, owner_name, repository_name};
use crate::diagnostic::Invalid;

/// `acme/*`: `*` stands for any characters, `?` for one, both in the repository's name alone.
/// With `!` in front it leaves out what it fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepositoryPattern {
    pub leaves_out: bool,
    /// As written, like the name.
    pub owner: String,
    pub name: String,
}

impl RepositoryPattern {
    /// Whether the pattern fits this repository; without case, as GitHub compares.
    pub(crate) fn matches(&self, repository: &Repository) -> bool {
        self.owner.eq_ignore_ascii_case(&repository.owner)
            && glob(
                self.name.to_ascii_lowercase().as_bytes(),
                repository.name.to_ascii_lowercase().as_bytes(),
            )
    }
}

impl fmt::Display for RepositoryPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/{}", if self.leaves_out { "!" } else { "" }, self.owner, self.name)
    }
}

impl FromStr for RepositoryPattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let leaves_out = text.starts_with('!');
        let text = text.strip_prefix('!').unwrap_or(text);
        let (owner, name) = text
            .split_once('/')
            .ok_or_else(|| Invalid::text("pattern", text).hint("try acme/* or !acme/legacy-*"))?;
        let owner =
            owner_name(owner).map_err(|e| e.help("the owner may not contain wildcards: acme/*, not */*"))?;
        // With its wildcards filled in, the pattern must be a legal name.
        repository_name(&name.replace(['*', '?'], "x"))
            .map_err(|_| Invalid::text("pattern of repository names", name))?;
        Ok(Self { leaves_out, owner, name: name.to_owned() })
    }
}

/// Whether `text` fits `pattern`: tries again after the last `*` on a mismatch.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((after, taken)) => {
                    star = Some((after, taken + 1));
                    p = after + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_names_without_case() {
        let fits = |pattern: &str, repository: &str| {
            pattern.parse::<RepositoryPattern>().unwrap().matches(&repository.parse().unwrap())
        };
        assert!(fits("acme/*", "Acme/api"));
        assert!(fits("acme/legacy-*", "acme/Legacy-billing"));
        assert!(fits("acme/*-*i", "acme/a-b-api"));
        assert!(fits("acme/a?i", "acme/api"));
        assert!(fits("acme/api", "acme/api"));
        assert!(!fits("acme/api", "acme/apis"));
        assert!(!fits("acme/a?i", "acme/ai"));
        assert!(!fits("acme/*", "other/api"));
        assert!(!fits("acme/*-x", "acme/x-y"));
    }

    #[test]
    fn an_owner_is_never_a_wildcard() {
        for text in ["*/*", "acme", "acme/", "acme/a b", "acme/a/b", "!!acme/x", "acme/.."] {
            assert!(text.parse::<RepositoryPattern>().is_err(), "{text}");
        }
    }
}
