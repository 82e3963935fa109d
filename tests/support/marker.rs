//! The marker, read and written anew: an oracle that does not share the crate's code.

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use ring::hmac;

/// `xf1.<key>.<minted>.<window>.<run>.<attempt>[.<mac>]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The first ten characters of the digest of `owner/repo/rotation`.
    pub key: String,
    /// When its run asked for the mint.
    pub minted_at: Timestamp,
    /// When its run has stopped delivering.
    pub until: Timestamp,
    /// What all attempts of one run share.
    pub run: String,
    /// Counted from 1.
    pub attempt: u32,
    /// Its signature.
    pub mac: Option<String>,
}

impl Marker {
    /// The marker that a run of this rotation, `owner/repo/name`, would write.
    #[must_use]
    pub fn of(rotation: &str, minted_at: Timestamp, minutes: i64, run: &str) -> Self {
        Self {
            key: key_of(rotation),
            minted_at,
            until: Timestamp::from_second(minted_at.as_second() + 60 * minutes).unwrap(),
            run: run.to_owned(),
            attempt: 1,
            mac: None,
        }
    }

    /// The marker in a text, if there is one.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        let word = text.split_whitespace().rfind(|word| word.starts_with("xf1."))?;
        let parts: Vec<&str> = word.split('.').collect();
        let (["xf1", key, minted, window, run, attempt], mac) = (&parts[..6.min(parts.len())], parts.get(6))
        else {
            return None;
        };
        let seconds = |text| i64::from_str_radix(text, 36).ok();
        let minted = seconds(minted)?;
        Some(Self {
            key: (*key).to_owned(),
            minted_at: Timestamp::from_second(minted).ok()?,
            until: Timestamp::from_second(minted + seconds(window)?).ok()?,
            run: (*run).to_owned(),
            attempt: attempt.parse().ok()?,
            mac: mac.map(|mac| (*mac).to_owned()),
        })
    }

    /// As it stands in a description, without the signature.
    #[must_use]
    pub fn unsigned(&self) -> String {
        let (minted, window) =
            (self.minted_at.as_second(), self.until.as_second() - self.minted_at.as_second());
        let Self { key, run, attempt, .. } = self;
        format!("xf1.{key}.{}.{}.{run}.{attempt}", base36(minted), base36(window))
    }

    /// Whether this key signed it.
    #[must_use]
    pub fn is_signed_by(&self, key: &str) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        let mac = hmac::sign(&key, self.unsigned().as_bytes());
        self.mac.as_deref() == Some(&base32(mac.as_ref())[..13])
    }

    /// Whether its run may still be delivering.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.minted_at <= now && now <= self.until
    }
}

/// The key that stands for a rotation, `owner/repo/name`, in its markers.
#[must_use]
pub fn key_of(rotation: &str) -> String {
    let (repository, name) = rotation.rsplit_once('/').unwrap();
    let digest = digest(&SHA256, format!("{}/{name}", repository.to_lowercase()).as_bytes());
    base32(digest.as_ref())[..10].to_owned()
}

fn base36(mut number: i64) -> String {
    let mut digits = String::new();
    loop {
        digits.insert(0, char::from_digit(u32::try_from(number % 36).unwrap(), 36).unwrap());
        number /= 36;
        if number == 0 {
            return digits;
        }
    }
}

fn base32(bytes: &[u8]) -> String {
    data_encoding::BASE32_NOPAD.encode(bytes).to_lowercase()
}
