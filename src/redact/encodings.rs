//! Undoes encodings of a text, remembering where each byte came from.
//!
//! Decoding is lenient: what is not encoded is read as it stands, so a secret is
//! found wherever in a text it begins. What to look for is not known here.

use std::ops::Range;

use zeroize::Zeroizing;

/// So many layers of percent-encoding and JSON escapes are undone.
const LAYERS: usize = 2;

/// The value of a digit; `None` for what is not one.
type Digit = fn(u8) -> Option<u8>;

/// A text after an encoding was undone. Wiped when dropped.
pub(super) struct Decoding {
    bytes: Zeroizing<Vec<u8>>,
    /// For each byte, the part of the original text that it was read from.
    origins: Vec<Range<usize>>,
}

/// `text` as it stands, and with percent-encoding and JSON escapes undone where
/// it has any.
pub(super) fn decodings(text: &str) -> Vec<Decoding> {
    let plain = Decoding {
        bytes: Zeroizing::new(text.as_bytes().to_vec()),
        origins: (0..text.len()).map(|at| at..at + 1).collect(),
    };
    let mut all = vec![plain];
    let mut newest = 0..1;
    for _ in 0..LAYERS {
        let next: Vec<Decoding> = all[newest]
            .iter()
            .flat_map(|decoding| {
                [decoding.decoded(b'%', percent_escape), decoding.decoded(b'\\', json_escape)]
            })
            .flatten()
            .collect();
        newest = all.len()..all.len() + next.len();
        all.extend(next);
    }
    all
}

impl Decoding {
    /// A decoding with room for `capacity` bytes, so that growing leaves no copies.
    fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Zeroizing::new(Vec::with_capacity(capacity)), origins: Vec::with_capacity(capacity) }
    }

    /// What was read.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The part of the original text that these bytes were read from.
    pub(super) fn origin(&self, read: Range<usize>) -> Range<usize> {
        let origins = &self.origins[read];
        let start = origins.first().map_or(0, |first| first.start);
        start..origins.last().map_or(start, |last| last.end)
    }

    /// Undoes escapes, which begin with `mark`: `escape` is given the rest of the bytes and
    /// tells which byte they begin with and how long its escape is. `None` if there is none.
    fn decoded(&self, mark: u8, escape: fn(&[u8]) -> Option<(u8, usize)>) -> Option<Self> {
        if !self.bytes.contains(&mark) {
            return None;
        }
        let mut decoded = Self::with_capacity(self.bytes.len());
        let mut at = 0;
        while at < self.bytes.len() {
            let (byte, length) = escape(&self.bytes[at..]).unwrap_or((self.bytes[at], 1));
            decoded.push(byte, self.origin(at..at + length));
            at += length;
        }
        (decoded.bytes.len() < self.bytes.len()).then_some(decoded)
    }

    /// Every way to read the runs of base64 and hexadecimal digits in here that
    /// are long enough for `least` bytes. A run may begin anywhere within what was
    /// encoded, so each place is tried at which a byte may begin within the
    /// digits: four for base64, two for hexadecimal.
    pub(super) fn unpacked(&self, least: usize) -> Vec<Self> {
        let mut all = Vec::new();
        for run in self.runs(base64_digit, (least * 8).div_ceil(6)) {
            all.extend([0, 2, 4, 6].map(|first_bit| self.unpack(run.clone(), base64_digit, 6, first_bit)));
        }
        for run in self.runs(hex_digit, least * 2) {
            all.extend([0, 4].map(|first_bit| self.unpack(run.clone(), hex_digit, 4, first_bit)));
        }
        all
    }

    /// Reads digits of `width` bits each as one row of bits, and that as bytes
    /// from `first_bit` on. Each byte lies within two digits.
    fn unpack(&self, run: Range<usize>, digit: Digit, width: usize, first_bit: usize) -> Self {
        let mut read = Self::with_capacity(run.len() * width / 8);
        // The bits of the last digits, and how many of the next byte are missing.
        let (mut row, mut missing) = (0_u16, first_bit + 8);
        for at in run {
            row = row << width | u16::from(digit(self.bytes[at]).unwrap_or_default());
            if missing > width {
                missing -= width;
                continue;
            }
            let beyond = width - missing;
            let [_, byte] = (row >> beyond).to_be_bytes();
            read.push(byte, self.origin(at - 1..at + 1));
            missing = 8 - beyond;
        }
        read
    }

    /// The longest runs of digits, if they have `least` digits or more.
    fn runs(&self, digit: Digit, least: usize) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        let mut at = 0;
        for run in self.bytes.chunk_by(|&a, &b| digit(a).is_some() == digit(b).is_some()) {
            if run.len() >= least && digit(run[0]).is_some() {
                runs.push(at..at + run.len());
            }
            at += run.len();
        }
        runs
    }

    fn push(&mut self, byte: u8, origin: Range<usize>) {
        self.bytes.push(byte);
        self.origins.push(origin);
    }
}

/// The value of a digit of base64, in the standard or the URL-safe alphabet.
fn base64_digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// The value of a hexadecimal digit.
fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// `%41`
fn percent_escape(bytes: &[u8]) -> Option<(u8, usize)> {
    match bytes {
        [b'%', high, low, ..] => Some((hex_digit(*high)? << 4 | hex_digit(*low)?, 3)),
        _ => None,
    }
}

/// `\"`, `\n`, `\u0041`. Beyond ASCII there is no single byte to give; such
/// characters are left as they are.
fn json_escape(bytes: &[u8]) -> Option<(u8, usize)> {
    match bytes {
        [b'\\', b'"' | b'\\' | b'/', ..] => Some((bytes[1], 2)),
        [b'\\', b'b', ..] => Some((8, 2)),
        [b'\\', b'f', ..] => Some((12, 2)),
        [b'\\', b'n', ..] => Some((b'\n', 2)),
        [b'\\', b'r', ..] => Some((b'\r', 2)),
        [b'\\', b't', ..] => Some((b'\t', 2)),
        [b'\\', b'u', b'0', b'0', high, low, ..] => {
            let byte = hex_digit(*high)? << 4 | hex_digit(*low)?;
            byte.is_ascii().then_some((byte, 6))
        }
        _ => None,
    }
}
