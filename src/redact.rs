//! Makes strings from outside safe to print. Every one of them passes here.
//!
//! A string may contain a secret: [`Redactor::scrub`] removes it. A string may contain
//! commands for a terminal, the Actions runner or a Markdown renderer:
//! [`Redactor::line`] and [`Redactor::message`] make it one harmless line, [`markdown`],
//! [`code`], [`workflow_data`] and [`workflow_property`] escape such a line for one
//! output.
//!
//! The one value that is printed on purpose, to have the runner mask it, is
//! written by [`crate::report::actions::add_mask`], not here.
//!
//! # How a secret is recognised
//! Of each registered secret only keyed 64-bit hashes of its *grams* are kept:
//! all runs of [`GRAM`] bytes, or the whole where it is shorter. A text is
//! scanned by hashing each of its windows. So the cost does not grow with the
//! number of secrets, and the redactor itself holds nothing that could be
//! printed. A hash that collides only hides a few harmless characters.
//! Encodings are undone in the text rather than applied to the secret: there are
//! many ways to encode a secret, and one way to decode each.

mod encodings;
mod escape;
mod shapes;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::{Zeroize as _, Zeroizing};

use encodings::Decoding;

pub(crate) use escape::{code, markdown, workflow_data, workflow_property};
pub(crate) use shapes::{
    Body, GITHUB, TokenShape, holds_one, issuer, looks_like_a_secret, own_shapes, secret_part,
};

/// So many characters of a secret in a row are a leak.
pub(crate) const GRAM: usize = 11;

/// Shorter values are no secrets: hiding every `a` would only make reports
/// unreadable, and show that the value is `a`.
const SHORTEST: usize = 4;

/// What stands where a secret stood.
const MASK: &str = "***";

/// Length of [`Redactor::line`], in characters.
const LINE_LIMIT: usize = 300;

/// Length of [`Redactor::message`], in characters.
const MESSAGE_LIMIT: usize = 2000;

/// So much of a string is looked at to make one line of it, in characters.
const INPUT_LIMIT: usize = 16 * 1024;

/// Whether a value can be kept out of a job's log: 16 to 4096 visible ASCII
/// characters. The runner masks line by line, and a short mask would hide what
/// is no secret. A minted value of any other form is not used.
pub(crate) fn is_maskable(value: &SecretString) -> bool {
    let value = value.expose_secret();
    (16..=4096).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Knows every secret of this run, and takes them out of texts.
///
/// Clones share what they know. Values that are not registered are still hidden
/// if they look like a token of a service that crossfade speaks to.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    grams: Arc<RwLock<Grams>>,
}

/// The hashes of what must not be printed, by the length of what was hashed.
#[derive(Default)]
struct Grams {
    hasher: RandomState,
    by_length: BTreeMap<usize, HashSet<u64>>,
    /// A bit for each two bytes that follow each other in one of them: most of a sentence
    /// can be passed over without being hashed.
    pairs: Vec<u64>,
    /// Of users' own providers.
    shapes: Vec<TokenShape>,
}

impl Redactor {
    /// A redactor that knows no secret yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Hides this value from now on, in every clone.
    ///
    /// Values of fewer than four characters are not hidden.
    pub(crate) fn register(&self, secret: &SecretString) {
        let mut grams = self.grams.write().unwrap_or_else(PoisonError::into_inner);
        let value = secret_part(secret.expose_secret());
        // A private key begins and ends with words that everybody knows, and that
        // crossfade's own sentences quote.
        for part in without_armour(value) {
            grams.learn(part.as_bytes());
            // A value read from a file ends with a newline that no output repeats: if it is
            // short, it has no gram without it.
            if part.trim().len() < GRAM {
                grams.learn(part.trim().as_bytes());
            }
            if part.len() < value.len() {
                // Of a key also without line ends, however these are written.
                let lines = part.split_whitespace().flat_map(|line| line.split("\\n"));
                grams.learn(Zeroizing::new(lines.collect::<String>()).as_bytes());
            }
        }
    }

    /// Hides what looks like these tokens from now on, in every clone.
    pub(crate) fn learn(&self, shapes: Vec<TokenShape>) {
        self.grams.write().unwrap_or_else(PoisonError::into_inner).shapes.extend(shapes);
    }

    /// `text` without secrets: each run in which [`GRAM`] or more characters of
    /// a registered secret appear becomes `***`, and so does what looks like a
    /// secret. Runs are found as they stand, in base64 (both alphabets), in
    /// hexadecimal, percent-encoded and JSON-escaped.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let grams = self.grams.read().unwrap_or_else(PoisonError::into_inner);
        let mut text = text.to_owned();
        // Masking may bring the parts of another secret together. This ends: what
        // is masked is longer than the mask, or it is not found again.
        loop {
            let marks = marks(&grams, &text);
            if marks.is_empty() {
                return text;
            }
            let clean = masked(&text, marks);
            text.zeroize();
            text = clean;
        }
    }

    /// Whether a text contains a secret.
    pub(crate) fn changes(&self, text: &str) -> bool {
        self.scrub(text) != text
    }

    /// One printable line of up to 300 characters, for a name, an id or a
    /// server's message: scrubbed, without anything that a terminal or the
    /// Actions runner would obey. Applying it twice changes nothing.
    pub(crate) fn line(&self, text: &str) -> String {
        self.one_line(text, LINE_LIMIT)
    }

    /// Like [`Redactor::line`], of up to 2000 characters, for our own sentences
    /// that quote strings from outside.
    pub(crate) fn message(&self, text: &str) -> String {
        self.one_line(text, MESSAGE_LIMIT)
    }

    fn one_line(&self, text: &str, limit: usize) -> String {
        let text: Zeroizing<String> = Zeroizing::new(text.chars().take(INPUT_LIMIT).collect());
        // Scrubbed before it is stripped, while a key still has its lines, and
        // after, because what was stripped may have stood inside a secret.
        let scrubbed = self.scrub(&text);
        let line = escape::one_line(&scrubbed);
        let line = if line == scrubbed { line } else { self.scrub(&line) };
        escape::capped(&line, limit)
    }
}

impl Grams {
    fn learn(&mut self, value: &[u8]) {
        if value.len() < SHORTEST {
            return;
        }
        let length = value.len().min(GRAM);
        let hashes = value.windows(length).map(|gram| self.hasher.hash_one(gram));
        self.by_length.entry(length).or_default().extend(hashes);
        self.pairs.resize(PAIRS / 64, 0);
        for pair in value.windows(2) {
            let (word, bit) = place(pair);
            self.pairs[word] |= bit;
        }
    }

    /// Whether the pairs at both ends of a gram occur in a secret.
    fn may_know(&self, gram: &[u8]) -> bool {
        let knows = |pair: &[u8]| {
            let (word, bit) = place(pair);
            self.pairs[word] & bit != 0
        };
        knows(&gram[..2]) && knows(&gram[gram.len() - 2..])
    }

    /// Where the original text of `decoding` shows a gram.
    fn find(&self, decoding: &Decoding) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for (&length, known) in &self.by_length {
            for (start, window) in decoding.bytes().windows(length).enumerate() {
                if self.may_know(window) && known.contains(&self.hasher.hash_one(window)) {
                    found.push(decoding.origin(start..start + length));
                }
            }
        }
        found
    }
}

/// So many pairs of bytes there are.
const PAIRS: usize = 1 << 16;

/// The word and the bit that stand for a pair of bytes.
fn place(pair: &[u8]) -> (usize, u64) {
    let place = usize::from(pair[0]) << 8 | usize::from(pair[1]);
    (place / 64, 1 << (place % 64))
}

/// What of a value is secret: of a PEM file the lines between `-----BEGIN …-----`
/// and `-----END …-----`, wherever these stand; of anything else, all.
fn without_armour(value: &str) -> Vec<&str> {
    const EDGE: &str = "-----";
    if !value.contains("-----BEGIN") {
        return vec![value];
    }
    let is_label = |part: &str| {
        let part = part.trim_start();
        (part.starts_with("BEGIN") || part.starts_with("END")) && part.len() < 80
    };
    value.split(EDGE).filter(|part| !is_label(part) && part.len() >= GRAM).collect()
}

/// `text` with a star for every character that is, or may belong to, a secret by
/// its shape (also by these), from there to the next white space. Nothing is moved: what stood in
/// a column stands there still.
pub(crate) fn starred(text: &str, own: &[TokenShape]) -> String {
    let mut marks = shapes::find(text.as_bytes());
    marks.extend(shapes::find_own(own, text.as_bytes()));
    if marks.is_empty() {
        return text.to_owned();
    }
    marks.sort_unstable_by_key(|mark| mark.start);
    let mut output = String::with_capacity(text.len());
    let mut marks = marks.into_iter().peekable();
    let mut hidden = 0;
    for (at, character) in text.char_indices() {
        while let Some(mark) = marks.next_if(|mark| mark.start <= at) {
            let rest = &text[text.ceil_char_boundary(mark.end)..];
            let tail = rest.find(char::is_whitespace).unwrap_or(rest.len());
            hidden = hidden.max(text.len() - rest.len() + tail);
        }
        let is_hidden = at < hidden && !matches!(character, '\n' | '\r');
        output.push(if is_hidden { '*' } else { character });
    }
    output
}

/// Every part of `text` to be hidden, in no order; parts may overlap.
fn marks(grams: &Grams, text: &str) -> Vec<Range<usize>> {
    let mut marks = Vec::new();
    for decoding in encodings::decodings(text) {
        let own = shapes::find_own(&grams.shapes, decoding.bytes());
        let shapes = shapes::find(decoding.bytes()).into_iter().chain(own);
        marks.extend(shapes.map(|found| decoding.origin(found)));
        let Some(&shortest) = grams.by_length.keys().next() else { continue };
        marks.extend(grams.find(&decoding));
        for unpacked in decoding.unpacked(shortest) {
            marks.extend(grams.find(&unpacked));
        }
    }
    marks
}

/// `text` with [`MASK`] in place of each marked part.
fn masked(text: &str, mut marks: Vec<Range<usize>>) -> String {
    marks.sort_unstable_by_key(|mark| mark.start);
    let mut output = String::with_capacity(text.len());
    let mut position = 0;
    let mut marks = marks.into_iter().peekable();
    while let Some(mut mark) = marks.next() {
        while let Some(next) = marks.next_if(|next| next.start <= mark.end) {
            mark.end = mark.end.max(next.end);
        }
        // A gram may begin or end inside a character of several bytes.
        let start = text.floor_char_boundary(mark.start).max(position);
        output.push_str(&text[position..start]);
        output.push_str(MASK);
        position = text.ceil_char_boundary(mark.end);
    }
    output.push_str(&text[position..]);
    output
}
