//! What a secret looks like that nobody registered.
//!
//! A safety net for values that reach crossfade where none is expected: in an
//! error message, in a header, in somebody else's token. The recognisable prefix
//! stays, so that a reader knows what was hidden.

use std::ops::Range;

/// A prefix that tells a token, and what follows it.
struct Shape {
    prefix: &'static str,
    /// Fewer bytes than this after the prefix are no token.
    least: usize,
    body: fn(u8) -> bool,
}

const SHAPES: &[Shape] = &[
    // Axiom: API tokens and personal tokens.
    Shape { prefix: "xaat-", least: 8, body: is_word },
    Shape { prefix: "xapt-", least: 8, body: is_word },
    // SoftwareOne: the id, a colon, and the value.
    Shape { prefix: "idt:TKN-", least: 11, body: is_visible },
    // deepset; `api_` also begins many an innocent name, which has no digit.
    Shape { prefix: "api_", least: 20, body: is_word },
    // GitHub: personal, OAuth, server, user and refresh tokens. Newer ones hold a
    // JSON Web Token after the prefix.
    Shape { prefix: "ghp_", least: 16, body: is_dotted_word },
    Shape { prefix: "gho_", least: 16, body: is_dotted_word },
    Shape { prefix: "ghs_", least: 16, body: is_dotted_word },
    Shape { prefix: "ghu_", least: 16, body: is_dotted_word },
    Shape { prefix: "ghr_", least: 16, body: is_dotted_word },
    Shape { prefix: "github_pat_", least: 16, body: is_dotted_word },
    // A JSON Web Token by itself, such as a GitHub App signs.
    Shape { prefix: "eyJ", least: 32, body: is_dotted_word },
    // An Authorization header; also `Proxy-Authorization`.
    Shape { prefix: "bearer ", least: 16, body: is_visible },
    Shape { prefix: "basic ", least: 16, body: is_visible },
];

/// The parts of `text` that look like the secret part of a token.
pub(super) fn find(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for at in 0..text.len() {
        let rest = &text[at..];
        found.extend(SHAPES.iter().filter_map(|shape| shape.find(rest)).map(|body| shifted(body, at)));
        found.extend([userinfo(rest), private_key(rest)].into_iter().flatten().map(|part| shifted(part, at)));
    }
    found
}

impl Shape {
    /// The body of the token that `text` begins with.
    fn find(&self, text: &[u8]) -> Option<Range<usize>> {
        let prefix = self.prefix.len();
        // Most places are ruled out by their first letter.
        let first_matches = text.first()?.eq_ignore_ascii_case(self.prefix.as_bytes().first()?);
        if !first_matches || !text.get(..prefix)?.eq_ignore_ascii_case(self.prefix.as_bytes()) {
            return None;
        }
        let body = text[prefix..].iter().take_while(|&&byte| (self.body)(byte)).count();
        let body = prefix..prefix + body;
        let is_token = body.len() >= self.least
            && (self.prefix != "api_" || text[body.clone()].iter().any(u8::is_ascii_digit));
        is_token.then_some(body)
    }
}

/// The `user:password` of a URL, as in the address of a proxy.
fn userinfo(text: &[u8]) -> Option<Range<usize>> {
    let authority = text.strip_prefix(b"://")?;
    let authority = authority
        .split(|&byte| matches!(byte, b'/' | b'?' | b'#' | b'"' | b'<' | b'>') || byte.is_ascii_whitespace());
    let at = authority.into_iter().next()?.iter().rposition(|&byte| byte == b'@')?;
    let userinfo = 3..3 + at;
    (!userinfo.is_empty() && &text[userinfo.clone()] != b"***").then_some(userinfo)
}

/// A private key in PEM, to its end or, if that is missing, to the end of the text.
fn private_key(text: &[u8]) -> Option<Range<usize>> {
    const END_OF_LABEL: &[u8] = b"PRIVATE KEY-----";
    /// No label of a private key is longer than this.
    const LABEL: usize = 64;
    let label = text.strip_prefix(b"-----BEGIN ")?;
    let label = &label[..label.len().min(LABEL)];
    position(label, END_OF_LABEL)?;
    let end = position(text, b"-----END ").and_then(|end| {
        let close = position(&text[end..], END_OF_LABEL)?;
        Some(end + close + END_OF_LABEL.len())
    });
    Some(0..end.unwrap_or(text.len()))
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn shifted(part: Range<usize>, by: usize) -> Range<usize> {
    part.start + by..part.end + by
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn is_dotted_word(byte: u8) -> bool {
    is_word(byte) || byte == b'.'
}

/// What a value in a header is made of, up to the punctuation that ends it in prose.
fn is_visible(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`' | b',' | b';' | b'(' | b')' | b'<' | b'>')
}
