//! What identifies a rotation in the markers of its tokens.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use ring::digest::{SHA256, digest};

use super::Repository;
use crate::diagnostic::{Invalid, quoted};

/// How many characters of the digest a key has.
const LENGTH: usize = 10;

/// A rotation, as its markers name it: the first ten characters of the lower-case
/// base32 of SHA-256 over `owner/repo/rotation`, owner and repository in lower case
/// because GitHub compares them without case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RotationKey(String);

impl RotationKey {
    pub(crate) fn new(repository: &Repository, rotation: &str) -> Self {
        let repository = repository.to_string().to_lowercase();
        let digest = digest(&SHA256, format!("{repository}/{rotation}").as_bytes());
        Self(base32(digest.as_ref(), LENGTH))
    }

    /// Reads the ten characters as they stand in a marker.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_legal = text.len() == LENGTH && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
        is_legal.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for RotationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RotationKey {
    type Err = Invalid;

    /// Reads an entry of `formerly`: `owner/repo/rotation`, or a key from a marker.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut parts = text.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(owner), Some(repository), Some(name)) if !name.is_empty() => {
                Ok(Self::new(&format!("{owner}/{repository}").parse()?, name))
            }
            _ => Self::parse(text).ok_or_else(|| {
                Invalid::new(format!("invalid earlier key {}", quoted(text)))
                    .help("expected owner/repo/rotation, or the ten characters after `xf1.` in a marker")
            }),
        }
    }
}

/// The first characters of the lower-case base32 (RFC 4648) of these bytes.
pub(crate) fn base32(bytes: &[u8], length: usize) -> String {
    BASE32_NOPAD.encode(bytes).chars().take(length).collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(repository: &str, rotation: &str) -> String {
        RotationKey::new(&repository.parse().unwrap(), rotation).to_string()
    }

    #[test]
    fn a_key_ignores_the_case_of_owner_and_repository() {
        // printf 'acme/infra/ci-ingest' | sha256sum | xxd -r -p | base32 | tr A-Z a-z | cut -c1-10
        assert_eq!(key("acme/infra", "ci-ingest"), "4z5cgu75fe");
        assert_eq!(key("Acme/INFRA", "ci-ingest"), key("acme/infra", "ci-ingest"));
        assert_ne!(key("acme/infra", "CI-ingest"), key("acme/infra", "ci-ingest"));
    }

    #[test]
    fn an_earlier_key_is_a_path_or_the_ten_characters() {
        let path: RotationKey = "acme/infra/ci-ingest".parse().unwrap();
        assert_eq!(path.to_string().parse::<RotationKey>().unwrap(), path);
        for invalid in ["", "acme/infra", "acme/infra/", "abcdefghi1", "abcdefghij2", "ABCDEFGHIJ"] {
            assert!(invalid.parse::<RotationKey>().is_err(), "{invalid}");
        }
    }
}
