//! Parts of secrets in what a run puts out: 11 characters in a row, in any of
//! the encodings that a program may come by.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// How many characters in a row are a leak.
const LEAK: usize = 11;

/// Where an output shows a part of a secret: which secret (by its place) and
/// how it was encoded. Case is ignored, so that a changed case does not hide it.
#[must_use]
pub fn find_leaks(output: &str, secrets: &[String]) -> Vec<String> {
    let output = output.to_ascii_lowercase();
    let unescaped = percent_encoding::percent_decode_str(&output).decode_utf8_lossy().to_ascii_lowercase();
    let mut leaks = Vec::new();
    for (place, secret) in secrets.iter().enumerate() {
        for part in secret.as_bytes().windows(LEAK) {
            let raw = String::from_utf8_lossy(part).to_ascii_lowercase();
            let mut found = |how: &str| leaks.push(format!("secret {place}, {how}"));
            if output.contains(&raw) {
                found("raw");
            }
            if unescaped.contains(&raw) {
                found("URL-encoded");
            }
            if encodings(part).iter().any(|encoded| output.contains(encoded)) {
                found("base64 or hex");
            }
        }
    }
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
            all.push(encoded[start..end].to_ascii_lowercase());
        }
    }
    let mut hex = String::new();
    for byte in part {
        write!(hex, "{byte:02x}").unwrap();
    }
    all.push(hex);
    all
}
