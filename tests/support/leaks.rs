//! Parts of secrets in what a run puts out: 11 characters in a row, in any of
//! the encodings that a program may come by.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// How many characters in a row are a leak.
const LEAK: usize = 11;

/// Where an output shows a part of a secret: which secret (by its place) and
/// how it was encoded. Case is ignored, so that a changed case does not hide it.
#[must_use]
pub fn find_leaks(output: &str, secrets: &[String]) -> Vec<String> {
    let unescaped: Vec<u8> = percent_encoding::percent_decode_str(output).collect();
    let mut leaks = Vec::new();
    for (place, secret) in secrets.iter().enumerate() {
        let search = Search::of(secret);
        for text in [output.as_bytes(), &unescaped] {
            leaks.extend(search.find(text).map(|how| format!("secret {place}, {how}")));
        }
    }
    leaks.sort();
    leaks.dedup();
    leaks
}

/// Finds the parts of one secret.
struct Search {
    parts: AhoCorasick,
    /// How each part was encoded.
    encodings: Vec<&'static str>,
}

impl Search {
    /// Built once for each secret: the cases of a matrix have most of theirs in common.
    fn of(secret: &str) -> Arc<Self> {
        static BUILT: Mutex<BTreeMap<String, Arc<Search>>> = Mutex::new(BTreeMap::new());
        let mut built = BUILT.lock().unwrap();
        Arc::clone(built.entry(secret.to_owned()).or_insert_with(|| Arc::new(Self::new(secret))))
    }

    fn new(secret: &str) -> Self {
        let (mut parts, mut encodings) = (Vec::new(), Vec::new());
        for part in secret.as_bytes().windows(LEAK) {
            parts.push(part.to_vec());
            encodings.push("raw or URL-encoded");
            for encoded in encoded(part) {
                parts.push(encoded.into_bytes());
                encodings.push("base64 or hex");
            }
        }
        let parts = AhoCorasick::builder().ascii_case_insensitive(true).build(parts);
        Self { parts: parts.expect("few and short"), encodings }
    }

    fn find(&self, text: &[u8]) -> impl Iterator<Item = &'static str> {
        self.parts.find_iter(text).map(|found| self.encodings[found.pattern().as_usize()])
    }
}

/// A part of a secret as base64 has it at each of three places, and as hex.
fn encoded(part: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for shift in 0..3 {
            let mut padded = vec![0; shift];
            padded.extend_from_slice(part);
            let encoded = engine.encode(&padded);
            // What depends on the neighbours is cut off on both sides.
            let (start, end) = ((shift * 8).div_ceil(6), padded.len() * 8 / 6);
            all.push(encoded[start..end].to_owned());
        }
    }
    let mut hex = String::new();
    for byte in part {
        write!(hex, "{byte:02x}").unwrap();
    }
    all.push(hex);
    all
}
