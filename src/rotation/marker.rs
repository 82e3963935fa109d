//! The text that crossfade writes into a token it mints, to recognise it later:
//! `xf1.<key>.<minted>.<window>.<run>.<attempt>[.<mac>]`, at most 64 characters.
//!
//! It stands in the token's description, or in its name where the provider has no
//! description. Printing, parsing and signing only: what a marker is trusted for
//! is decided in [`super::trust`].

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use rand::Rng as _;
use ring::digest::{SHA256, digest};
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::{RotationKey, base32};
use crate::provider::LONGEST_MARKER;

const VERSION: &str = "xf1";

/// The random part of a run's name.
const RUN_LENGTH: usize = 12;

/// Characters of the signature: 65 bits.
const MAC_LENGTH: usize = 13;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marker {
    pub key: RotationKey,
    /// When it was minted, by GitHub's clock, in whole seconds.
    pub minted_at: Timestamp,
    /// By when its run has stopped writing it to destinations.
    pub until: Timestamp,
    /// Random, the same for all attempts of one run. While the provider still shows
    /// the original token, the one without a marker, it ends in a digest of its id.
    pub run: String,
    /// Counted from 1; of several attempts of one run the last is delivered.
    pub attempt: u32,
    /// Proves that the writer of the marker has the signing key.
    pub mac: Option<String>,
}

impl Marker {
    /// The unsigned marker of a run's first attempt, which mints now and delivers in `window`.
    pub(crate) fn new(key: RotationKey, now: Timestamp, window: SignedDuration, run: String) -> Self {
        // Rounded down: a marker from the future is not trusted.
        let minted_at = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let until = minted_at.saturating_add(window).unwrap_or(minted_at);
        Self { key, minted_at, until, run, attempt: 1, mac: None }
    }

    /// The same with a signature by the first of these keys, if there is one.
    pub(crate) fn signed(self, keys: &MarkerKeys) -> Self {
        let unsigned = Self { mac: None, ..self };
        let mac = keys.sign(&unsigned.to_string());
        Self { mac, ..unsigned }
    }

    /// The last word of a text that is a marker, of any rotation.
    pub(crate) fn find(text: &str) -> Option<Self> {
        text.split_whitespace().rev().find_map(Self::parse)
    }

    /// How long its run may take to deliver.
    pub(crate) fn window(&self) -> SignedDuration {
        self.until.duration_since(self.minted_at)
    }

    /// Whether it names the token with this id as the rotation's original.
    pub(crate) fn names_original(&self, id: &str) -> bool {
        self.run.split_once('-').is_some_and(|(_, named)| named == digest_of(id))
    }

    fn parse(word: &str) -> Option<Self> {
        let parts: Vec<&str> = word.split('.').take(8).collect();
        let (parts, mac) = match parts.as_slice() {
            [parts @ .., mac] if parts.len() == 6 => (parts, Some(*mac)),
            parts => (parts, None),
        };
        let &[VERSION, key, minted, window, run, attempt] = parts else { return None };
        if word.len() > LONGEST_MARKER || !is_run(run) || !mac.is_none_or(is_mac) {
            return None;
        }
        let seconds = |text| i64::from_str_radix(text, 36).ok();
        let minted_at = Timestamp::from_second(seconds(minted)?).ok()?;
        let marker = Self {
            key: RotationKey::parse(key)?,
            minted_at,
            until: minted_at.checked_add(SignedDuration::from_secs(seconds(window)?)).ok()?,
            run: run.to_owned(),
            attempt: attempt.parse().ok()?,
            mac: mac.map(str::to_owned),
        };
        // One marker, one text: no signs, no leading zeros, no capital letters.
        (marker.attempt > 0 && marker.to_string() == word).then_some(marker)
    }
}

/// Names a run, of a rotation whose original token has this id.
pub(crate) fn new_run(original: Option<&str>) -> String {
    const CHARACTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut random = rand::rng();
    let name: String =
        (0..RUN_LENGTH).map(|_| char::from(CHARACTERS[random.random_range(0..CHARACTERS.len())])).collect();
    original.map_or(name.clone(), |id| format!("{name}-{}", digest_of(id)))
}

/// The text without its marker.
pub(crate) fn strip(text: &str) -> String {
    let is_text = |word: &&str| Marker::parse(word.trim_end()).is_none();
    text.split_inclusive(char::is_whitespace).filter(is_text).collect::<String>().trim().to_owned()
}

/// The text without its marker, short enough for a field that also holds a new one.
pub(crate) fn cut(text: &str, max: Option<usize>) -> String {
    let room = max.map_or(usize::MAX, |max| max.saturating_sub(LONGEST_MARKER + 1));
    strip(text).chars().take(room).collect::<String>().trim_end().to_owned()
}

/// The text with this marker in place of an earlier one.
pub(crate) fn annotate(text: &str, marker: &Marker) -> String {
    format!("{} {marker}", strip(text)).trim_start().to_owned()
}

/// Eight hexadecimal digits: enough to tell a handful of tokens apart.
fn digest_of(id: &str) -> String {
    let digest = digest(&SHA256, id.as_bytes());
    digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, minted_at, run, attempt, mac, .. } = self;
        let (minted, window) = (base36(minted_at.as_second()), base36(self.window().as_secs()));
        write!(f, "{VERSION}.{key}.{minted}.{window}.{run}.{attempt}")?;
        mac.iter().try_for_each(|mac| write!(f, ".{mac}"))
    }
}

fn is_run(text: &str) -> bool {
    let (name, original) = text.split_once('-').map_or((text, None), |(name, id)| (name, Some(id)));
    let is_hex = |text: &str| text.len() == 8 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_name =
        name.len() == RUN_LENGTH && name.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
    is_name && original.is_none_or(is_hex)
}

fn is_mac(text: &str) -> bool {
    text.len() == MAC_LENGTH && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
}

/// A number that is not negative, in lower-case base 36.
fn base36(number: i64) -> String {
    let Ok(mut rest) = u64::try_from(number) else { return "-".to_owned() };
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(rest % 36).unwrap_or_default();
        digits.extend(char::from_digit(digit, 36));
        rest /= 36;
        if rest == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

/// The keys that sign markers: the first signs, all verify. None: nothing is signed.
#[derive(Debug, Clone, Default)]
pub(crate) struct MarkerKeys(pub(crate) Vec<SecretString>);

impl MarkerKeys {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn sign(&self, unsigned: &str) -> Option<String> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.first()?.expose_secret().as_bytes());
        Some(base32(hmac::sign(&key, unsigned.as_bytes()).as_ref(), MAC_LENGTH))
    }

    /// Whether one of these keys signed the marker. `false` where it is not signed.
    pub(crate) fn verify(&self, marker: &Marker) -> bool {
        let Some(mac) = &marker.mac else { return false };
        let unsigned = Marker { mac: None, ..marker.clone() }.to_string();
        // The comparison takes the same time for every wrong signature.
        let is_equal = |own: &str| own.bytes().zip(mac.bytes()).fold(0, |all, (a, b)| all | (a ^ b)) == 0;
        let one = |key: &SecretString| Self(vec![key.clone()]).sign(&unsigned);
        mac.len() == MAC_LENGTH && self.0.iter().filter_map(one).any(|own| is_equal(&own))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Repository;

    fn key(name: &str) -> RotationKey {
        RotationKey::new(&Repository { owner: "acme".into(), name: "infra".into() }, name)
    }

    fn keys(all: &[&str]) -> MarkerKeys {
        MarkerKeys(all.iter().map(|key| SecretString::from(*key)).collect())
    }

    fn marker(name: &str, keys: &MarkerKeys) -> Marker {
        let now = "2026-03-02T08:00:00.9Z".parse().unwrap();
        Marker::new(key(name), now, SignedDuration::from_mins(2), "0a1b2c3d4e5f-1f0a77c2".into()).signed(keys)
    }

    #[test]
    fn reads_as_the_design_says() {
        let unsigned = "xf1.4z5cgu75fe.tb9i80.3c.0a1b2c3d4e5f-1f0a77c2.1";
        assert_eq!(marker("ci-ingest", &keys(&[])).to_string(), unsigned);
        // printf '%s' "$unsigned" | openssl dgst -sha256 -hmac "$key" -binary | base32 | tr A-Z a-z | cut -c1-13
        let signed = marker("ci-ingest", &keys(&["a key of 16 and more characters"])).to_string();
        assert_eq!(signed, format!("{unsigned}.f3qzulvim2fd2"));
    }

    #[test]
    fn the_longest_marker_has_64_characters() {
        let run = new_run(Some("tok_1"));
        let late = "2200-01-01T00:00:00Z".parse().unwrap();
        let window = crate::limits::LONGEST_WINDOW;
        let longest = Marker::new(key("ci"), late, window, run).signed(&keys(&["0123456789abcdef"]));
        assert_eq!(longest.to_string().len(), LONGEST_MARKER);
        assert_eq!(Marker::parse(&longest.to_string()), Some(longest));
    }

    #[test]
    fn a_text_keeps_what_people_wrote() {
        let [one, other] = ["one", "other"].map(|name| marker(name, &keys(&[])));
        let text = annotate("Used by CI", &one);
        assert_eq!(text, format!("Used by CI {one}"));
        let again = annotate(&text, &other);
        assert_eq!((strip(&again), Marker::find(&again)), ("Used by CI".to_owned(), Some(other.clone())));
        assert_eq!(annotate("", &other), other.to_string());
        assert_eq!(
            Marker::find(&format!("{one} {other} (see the wiki)")),
            Some(other),
            "the last one counts"
        );
        assert_eq!(Marker::find(&format!("({one})")), None, "a marker is a whole word");
    }

    #[test]
    fn a_marker_has_one_form() {
        let text = marker("ci", &keys(&["0123456789abcdef"])).to_string();
        assert!(Marker::parse(&text).is_some());
        for (from, to) in [
            ("xf1.", "xf2."),
            (".tb9i80.", ".TB9EYO."),
            (".tb9i80.", ".+tb9i80."),
            (".tb9i80.", ".0tb9i80."),
            (".3c.", ".-3c."),
            (".3c.", ".1y2p0ij32e8e7."),
            ("-1f0a77c2.1", "-1f0a77c.1"),
            ("-1f0a77c2.1", "-1F0A77C2.1"),
            ("-1f0a77c2.1", "-1f0a77c2.0"),
            ("-1f0a77c2.1", "-1f0a77c2.01"),
            ("-1f0a77c2.1.", "-1f0a77c2.1.a."),
        ] {
            assert!(text.contains(from), "{from}");
            assert_eq!(Marker::parse(&text.replace(from, to)), None, "{from} to {to}");
        }
    }

    #[test]
    fn a_text_is_cut_to_leave_room_for_the_longest_marker() {
        let marker = marker("one", &keys(&[]));
        assert_eq!(cut("Used by CI", None), "Used by CI");
        assert_eq!(cut(&annotate("Used by CI", &marker), Some(120)), "Used by CI");
        assert_eq!(cut("Used by CI", Some(LONGEST_MARKER + 1 + 5)), "Used");
        assert_eq!(cut("Used by CI", Some(LONGEST_MARKER)), "");
    }

    #[test]
    fn a_run_names_the_original() {
        let named = Marker { run: new_run(Some("tok_1")), ..marker("ci", &keys(&[])) };
        assert!(named.names_original("tok_1") && !named.names_original("tok_2"));
        let unnamed = Marker { run: new_run(None), ..marker("ci", &keys(&[])) };
        assert!(!unnamed.names_original("tok_1"));
        assert!(is_run(&named.run) && is_run(&unnamed.run));
    }

    #[test]
    fn the_first_key_signs_and_all_verify() {
        let [first, second] = ["first key of 16+ characters", "second key of 16+ characters"];
        let by_first = marker("ci", &keys(&[first, second]));
        assert!(keys(&[first]).verify(&by_first) && keys(&[second, first]).verify(&by_first));
        assert!(!keys(&[second]).verify(&by_first) && !keys(&[]).verify(&by_first));
        assert!(!keys(&[first]).verify(&Marker { attempt: 2, ..by_first.clone() }), "signed for one attempt");
        assert!(!keys(&[first]).verify(&marker("ci", &keys(&[]))));
        let resigned = by_first.signed(&keys(&[second]));
        assert!(keys(&[second]).verify(&resigned));
    }

    proptest! {
        #[test]
        fn round_trips(at in 0_i64..99_999_999_999, window in 0_i64..1800, attempt in 1..100_u32, text in ".{0,30}") {
            let at = Timestamp::from_second(at).unwrap();
            let new = Marker::new(key(&text), at, SignedDuration::from_secs(window), new_run(None));
            let marker = Marker { attempt, ..new };
            prop_assert_eq!(Marker::find(&annotate(&text, &marker)), Some(marker));
        }

        #[test]
        fn no_text_panics(text in "(xf1\\.|4z5cgu75fe|\\.tb9i80|\\.3c|\\.0a1b2c3d4e5f|\\.1| |\\.|.){0,12}") {
            prop_assert!(strip(&text).len() <= text.len());
            if let Some(marker) = Marker::find(&text) {
                prop_assert!(text.contains(&marker.to_string()));
            }
        }
    }
}
