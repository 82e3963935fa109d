//! Parts of secrets in what a run puts out: 11 characters in a row, in any of
//! the encodings that a program may come by.

use std::fmt::Write as _;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// How many characters in a row are a leak.
const LEAK: usize = 11;

/// Where an output shows a part of a secret: which secret (by its place) and
/// how it was encoded. Case is ignored, so that a changed case does not hide it.
#[must_use]
pub fn find_leaks(output: &str, secrets: &[String]) -> Vec<String> {
    let mut parts = Vec::new();
    for (place, secret) in secrets.iter().enumerate() {
        for part in secret.as_bytes().windows(LEAK) {
            parts.push((format!("secret {place}, raw or URL-encoded"), part.to_vec()));
            let encoded = encodings(part).into_iter().map(String::into_bytes);
            parts.extend(encoded.map(|encoded| (format!("secret {place}, base64 or hex"), encoded)));
        }
    }
    let search =
        AhoCorasick::builder().ascii_case_insensitive(true).build(parts.iter().map(|(_, part)| part));
    let search = search.expect("few and short");
    let unescaped: Vec<u8> = percent_encoding::percent_decode_str(output).collect();
    let mut leaks: Vec<String> = [output.as_bytes(), &unescaped]
        .iter()
        .flat_map(|text| search.find_iter(text))
        .map(|found| parts[found.pattern().as_usize()].0.clone())
        .collect();
    leaks.sort();
    leaks.dedup();
    leaks
}

/// A part of a secret as base64 has it at each of three places, and as hex.
fn encodings(part: &[u8]) -> Vec<String> {
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
