//! The hidden marks in an issue's description, and what stands between them.
//!
//! The text between the marks is crossfade's and is replaced; all other text belongs to
//! users and stays as it is.

use ring::digest::{SHA256, digest};

use crate::config::base32;

/// How many characters of a digest a key has.
const KEY_LENGTH: usize = 16;

/// Which issue belongs to a run that these parts tell from every other: their digest.
pub(crate) fn key(parts: &[&str]) -> String {
    short_digest(&parts.join("\n"), KEY_LENGTH)
}

/// The first characters of the base32 of a text's SHA-256.
pub(super) fn short_digest(text: &str, length: usize) -> String {
    base32(digest(&SHA256, text.as_bytes()).as_ref(), length)
}

/// A description with marks, in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section<'a> {
    /// What users wrote above the marks.
    pub(super) before: &'a str,
    /// The set that the first mark carries: see [`super::attention`].
    pub(super) announced: &'a str,
    /// What users wrote below.
    pub(super) after: &'a str,
}

impl<'a> Section<'a> {
    /// Finds the marks with this key. Without the last mark it is unknown whose the text
    /// is, so all of it stays.
    pub(super) fn find(description: &'a str, key: &str) -> Option<Self> {
        let (before, rest) = description.split_once(&format!("<!-- crossfade:issue {key} "))?;
        let (announced, rest) = rest.split_once("-->")?;
        let after = rest.split_once(&last_mark(key)).map_or(rest, |(_, after)| after);
        Some(Self { before, announced: announced.trim(), after })
    }

    /// The same description with another text between the marks.
    pub(super) fn replaced(self, key: &str, announced: &str, text: &str) -> String {
        let Self { before, after, .. } = self;
        format!("{before}<!-- crossfade:issue {key} {announced} -->\n{text}\n{}{after}", last_mark(key))
    }

    /// The same description with this text in the place of both marks and all between.
    pub(super) fn removed(self, text: &str) -> String {
        format!("{}{text}{}", self.before, self.after)
    }

    /// An empty description.
    pub(super) fn empty() -> Self {
        Self { before: "", announced: "", after: "" }
    }

    /// How much room is left for the text between the marks, in bytes.
    pub(super) fn room(self, key: &str, announced: &str, limit: usize) -> usize {
        limit.saturating_sub(self.replaced(key, announced, "").len())
    }
}

fn last_mark(key: &str) -> String {
    format!("<!-- crossfade:end {key} -->")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Section, last_mark};

    fn key() -> String {
        super::key(&["rotate", "acme/infra", ".github/crossfade.yml"])
    }

    #[test]
    fn a_key_tells_runs_apart() {
        // printf 'rotate\nacme/infra\n.github/crossfade.yml' | sha256sum | xxd -r -p | base32 | tr A-Z a-z | cut -c1-16
        assert_eq!(key(), "xdtry2gm4dcyolh2");
        assert_ne!(key(), super::key(&["status", "acme/infra", ".github/crossfade.yml"]));
        assert_ne!(super::key(&["a", "b"]), super::key(&["ab", ""]));
    }

    #[test]
    fn a_damaged_description_loses_no_text_of_a_user() {
        let whole = Section::empty().replaced(&key(), "-", "ours");
        let damaged = whole.replace(&last_mark(&key()), "") + "mine";
        let section = Section::find(&damaged, &key()).unwrap();
        assert!(section.replaced(&key(), "-", "new").contains("mine"));
        for other in ["", "ours", "<!-- crossfade:issue -->", &whole.replace(&key(), "other")] {
            assert_eq!(Section::find(other, &key()), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn only_the_text_between_the_marks_changes(before in "\\PC*", after in "\\PC*", old in "[a-z\n]*") {
            let section = Section { before: &before, announced: "", after: &after };
            let written = section.replaced(&key(), "aaaaaaaa", &old);
            let found = Section::find(&written, &key()).unwrap();
            prop_assert_eq!(found, Section { before: &before, announced: "aaaaaaaa", after: &after });
            prop_assert_eq!(&found.replaced(&key(), "aaaaaaaa", &old), &written);
            prop_assert_eq!(found.removed(""), format!("{before}{after}"));
        }
    }
}
