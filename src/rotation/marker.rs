//! What crossfade writes into a minted token to recognise it.
//!
//! A marker reads
//! `[crossfade acme/infra/ci-ingest 2026-03-02T08:00:00Z until 2026-03-02T08:02:00Z nonce 5kq0…p7.1]`
//! and stands in the token's description, or in its name where the provider has
//! no description. Printing and parsing only: what a marker is trusted for is
//! decided in [`super::lineage`].

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp, Unit};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rand::distr::{Alphanumeric, SampleString as _};
use sha2::{Digest as _, Sha256};

use crate::config::{Repository, RotationKey};

const OPEN: &str = "[crossfade ";
const CLOSE: char = ']';

/// What stays readable in a rotation's name; the rest would end a field early.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The mark of one minted token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The rotation that minted it.
    pub key: RotationKey,
    /// When it was minted, by GitHub's clock, in whole seconds.
    pub minted_at: Timestamp,
    /// By when its run has stopped writing it to destinations.
    pub until: Timestamp,
    /// Which attempt of which run.
    pub nonce: Nonce,
}

impl Marker {
    /// The mark of a token that is minted now and delivered within `window`.
    #[must_use]
    pub fn new(key: RotationKey, now: Timestamp, window: SignedDuration, nonce: Nonce) -> Self {
        let minted_at = now.round(Unit::Second).map_or(now, |rounded| {
            // Never later than it is: a marker from the future is not trusted.
            if rounded > now {
                rounded.saturating_sub(SignedDuration::from_secs(1)).unwrap_or(now)
            } else {
                rounded
            }
        });
        let until = minted_at.saturating_add(window).unwrap_or(minted_at);
        Self { key, minted_at, until, nonce }
    }

    /// The last marker in a note, of whichever rotation.
    #[must_use]
    pub fn find(note: &str) -> Option<Self> {
        let start = note.rfind(OPEN)? + OPEN.len();
        let inner = note[start..].split(CLOSE).next()?;
        inner.parse().ok()
    }
}

/// A note without any marker: what people wrote there.
#[must_use]
pub fn strip(note: &str) -> String {
    let mut kept = String::with_capacity(note.len());
    let mut rest = note;
    while let Some(start) = rest.find(OPEN) {
        let Some(length) = rest[start..].find(CLOSE) else { break };
        kept.push_str(&rest[..start]);
        rest = &rest[start + length + CLOSE.len_utf8()..];
    }
    kept.push_str(rest);
    kept.trim().to_owned()
}

/// A note that carries this marker and keeps what people wrote there.
#[must_use]
pub fn annotate(note: &str, marker: &Marker) -> String {
    format!("{} {marker}", strip(note)).trim_start().to_owned()
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, minted_at, until, nonce } = self;
        let name = utf8_percent_encode(&key.name, NAME);
        write!(f, "{OPEN}{}/{name} {minted_at} until {until} nonce {nonce}{CLOSE}", key.repository)
    }
}

/// Not a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a crossfade marker")]
pub struct NotAMarker;

impl FromStr for Marker {
    type Err = NotAMarker;

    /// Reads what stands between the brackets, after the word `crossfade`.
    fn from_str(inner: &str) -> Result<Self, NotAMarker> {
        let words: Vec<&str> = inner.split_whitespace().collect();
        let &[key, minted_at, "until", until, "nonce", nonce] = words.as_slice() else {
            return Err(NotAMarker);
        };
        let (repository, name) = key.rsplit_once('/').ok_or(NotAMarker)?;
        let name = percent_decode_str(name).decode_utf8().map_err(|_| NotAMarker)?;
        let key = RotationKey {
            repository: repository.parse::<Repository>().map_err(|_| NotAMarker)?,
            name: name.into_owned(),
        };
        Ok(Self {
            key,
            minted_at: minted_at.parse().map_err(|_| NotAMarker)?,
            until: until.parse().map_err(|_| NotAMarker)?,
            nonce: nonce.parse()?,
        })
    }
}

/// Names one attempt to mint: the stem is the run's, the number the attempt's.
///
/// Of several attempts of one run the last is the one that was delivered. While
/// the provider still shows the original token, the one without a marker, the
/// stem ends in a digest of its id: so a later run can tell the original from
/// any other token that somebody gave the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nonce {
    /// Random, the same for all attempts of one run.
    pub stem: String,
    /// Counted from 1.
    pub attempt: u32,
}

impl Nonce {
    /// The first attempt of a run, of a rotation whose original has this id.
    #[must_use]
    pub fn random(original: Option<&str>) -> Self {
        let mut stem = Alphanumeric.sample_string(&mut rand::rng(), 12).to_lowercase();
        if let Some(id) = original {
            stem.push('-');
            stem.push_str(&digest(id));
        }
        Self { stem, attempt: 1 }
    }

    /// Whether this nonce says that the rotation's original has this id.
    #[must_use]
    pub fn is_of_original(&self, id: &str) -> bool {
        self.stem.rsplit_once('-').is_some_and(|(_, named)| named == digest(id))
    }

    /// The next attempt of the same run.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { stem: self.stem.clone(), attempt: self.attempt + 1 }
    }
}

/// Eight hexadecimal digits: enough to tell a handful of tokens apart.
fn digest(id: &str) -> String {
    let hash = Sha256::digest(id.as_bytes());
    hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.stem, self.attempt)
    }
}

impl FromStr for Nonce {
    type Err = NotAMarker;

    /// A nonce without an attempt's number is a first attempt.
    fn from_str(text: &str) -> Result<Self, NotAMarker> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
            return Err(NotAMarker);
        }
        let numbered = text.rsplit_once('.').and_then(|(stem, n)| Some((stem, n.parse().ok()?)));
        let (stem, attempt) = numbered.unwrap_or((text, 1));
        Ok(Self { stem: stem.to_owned(), attempt })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(name: &str) -> RotationKey {
        RotationKey {
            repository: Repository { owner: "acme".into(), name: "infra".into() },
            name: name.into(),
        }
    }

    fn marker(name: &str) -> Marker {
        Marker::new(
            key(name),
            "2026-03-02T08:00:00.9Z".parse().unwrap(),
            SignedDuration::from_mins(2),
            Nonce { stem: "a1b2".into(), attempt: 1 },
        )
    }

    #[test]
    fn reads_as_the_design_says() {
        assert_eq!(
            marker("ci-ingest").to_string(),
            "[crossfade acme/infra/ci-ingest 2026-03-02T08:00:00Z until 2026-03-02T08:02:00Z nonce a1b2.1]"
        );
    }

    #[test]
    fn a_note_keeps_what_people_wrote() {
        let note = annotate("Used by CI", &marker("ci-ingest"));
        let again = annotate(&note, &marker("other"));
        assert_eq!(strip(&again), "Used by CI");
        assert_eq!(Marker::find(&again), Some(marker("other")));
        assert_eq!(annotate("", &marker("x")), marker("x").to_string());
    }

    #[test]
    fn a_foreign_nonce_is_one_first_attempt() {
        let nonce: Nonce = "550e8400-e29b".parse().unwrap();
        assert_eq!((nonce.stem.as_str(), nonce.attempt), ("550e8400-e29b", 1));
        assert_eq!(Nonce::random(None).next().attempt, 2);
        for odd in ["", "a b", "a/b", "ä"] {
            assert_eq!(odd.parse::<Nonce>(), Err(NotAMarker), "{odd}");
        }
    }

    #[test]
    fn a_nonce_remembers_the_original() {
        let nonce: Nonce = Nonce::random(Some("tok_1")).next().to_string().parse().unwrap();
        assert!(nonce.is_of_original("tok_1") && !nonce.is_of_original("tok_2"));
        assert!(!Nonce::random(None).is_of_original("tok_1"));
    }

    #[test]
    fn an_unclosed_bracket_is_kept_as_text() {
        assert_eq!(strip("see [crossfade docs"), "see [crossfade docs");
        assert_eq!(Marker::find("[crossfade acme/infra/x 2026-03-02T08:00:00Z until"), None);
    }

    proptest! {
        #[test]
        fn round_trips_whatever_the_rotation_is_called(name in ".{1,40}", text in "[^\\[]{0,30}") {
            let marker = marker(&name);
            prop_assert_eq!(Marker::find(&annotate(&text, &marker)), Some(marker));
        }

        #[test]
        fn never_panics_on_any_note(note in "(\\[crossfade |acme/|until |nonce |\\]|.){0,20}") {
            prop_assert!(strip(&note).len() <= note.len());
            if let Some(marker) = Marker::find(&note) {
                prop_assert!(note.contains("nonce"), "{marker} out of nothing");
            }
        }
    }
}
