//! What the tokens of each service look like: the one table of it.
//!
//! The files of the catalogue and the list of GitHub's below feed it. Three things read it:
//! the redactor, which hides what looks like a token although it was not registered;
//! the refusal of secrets where their names belong (arguments, variables, the
//! configuration file); and the check that a credential is not another service's.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use serde_json::Value;

use crate::catalogue;

/// The form of one kind of token.
#[derive(Debug, Clone)]
pub(crate) struct TokenShape {
    /// How a token begins. Public.
    pub prefix: Cow<'static, str>,
    /// What follows.
    pub body: Body,
}

/// What follows a token's prefix.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Body {
    /// At least so many letters, digits, `-` and `_`.
    Word(usize),
    /// The same, and dots: newer tokens of GitHub hold a JSON Web Token.
    DottedWord(usize),
    /// A UUID. The prefix also begins ordinary words.
    Uuid,
    /// At least so many letters, digits, `-` and `_`, with a digit and a long run
    /// without a separator. The prefix also begins ordinary words.
    RandomWord(usize),
    /// The token's id, a colon, and at least so many visible characters.
    IdAndVisible(usize),
}

impl Body {
    /// The fewest characters of a body, unless a provider file says otherwise.
    pub(crate) const LEAST: usize = 8;

    /// Each form that a provider file can name, with so many characters at least.
    pub(crate) fn named(least: usize) -> [(&'static str, Self); 5] {
        [
            ("word", Self::Word(least)),
            ("dotted-word", Self::DottedWord(least)),
            ("uuid", Self::Uuid),
            ("random-word", Self::RandomWord(least)),
            ("id-and-visible", Self::IdAndVisible(least)),
        ]
    }
}

/// What the table calls GitHub.
pub(crate) const GITHUB: &str = "github";

/// GitHub's personal, OAuth, user, server and refresh tokens.
const GITHUB_PREFIXES: [&str; 6] = ["ghp_", "github_pat_", "gho_", "ghu_", "ghs_", "ghr_"];

/// So much of a word is looked at to tell whether it is random.
const LONGEST_HEAD: usize = 256;

/// In a random value, so many characters without a separator stand somewhere.
const LONG_RUN: usize = 12;

/// A run of fewer bytes is no secret by itself.
const SHORTEST_HEADER: usize = 16;
const SHORTEST_JWT: usize = 32;

/// The most of a prefix that is shown: one character more would be a leak.
const SHOWN: usize = super::GRAM - 1;

/// Every known kind of token, with the service that issues it.
pub(super) fn known() -> impl Iterator<Item = (&'static str, &'static TokenShape)> {
    static KNOWN: LazyLock<Vec<(&str, TokenShape)>> = LazyLock::new(|| {
        let of_file = |(name, text): &(&'static str, &str)| {
            let name = *name;
            described(&read(paragraph_of_values(text))).into_iter().map(move |shape| (name, shape))
        };
        let github = GITHUB_PREFIXES
            .map(|prefix| (GITHUB, TokenShape { prefix: Cow::Borrowed(prefix), body: Body::DottedWord(16) }));
        catalogue::FILES.iter().flat_map(of_file).chain(github).collect()
    });
    KNOWN.iter().map(|(issuer, shape)| (*issuer, shape))
}

/// The kinds of tokens that a configuration describes under `providers`.
pub(crate) fn own_shapes(configuration: &str) -> Vec<TokenShape> {
    let file = read(configuration);
    let providers = file["providers"].as_object().into_iter().flat_map(|providers| providers.values());
    providers.flat_map(described).collect()
}

/// The paragraph of a file of the catalogue that says what values look like. Every run needs
/// it, and to read all files whole would take longer than the rest of a short run.
fn paragraph_of_values(text: &str) -> &str {
    let says = |paragraph: &&str| paragraph.lines().any(|line| line.starts_with("values:"));
    text.split("\n\n").find(says).unwrap_or_default()
}

/// A file as JSON. What cannot be read is refused elsewhere, with its line.
fn read(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_default()
}

/// What a provider file says of values.
fn described(provider: &Value) -> Vec<TokenShape> {
    let shape = |value: &Value| {
        let least = value["least"].as_u64().and_then(|least| usize::try_from(least).ok());
        let least = least.unwrap_or(Body::LEAST);
        let body = match value["body"].as_str() {
            Some(name) => Body::named(least).into_iter().find(|(known, _)| *known == name)?.1,
            None => Body::Word(least),
        };
        Some(TokenShape { prefix: Cow::Owned(value["prefix"].as_str()?.to_owned()), body })
    };
    provider["values"].as_array().into_iter().flatten().filter_map(shape).collect()
}

/// How something begins, its shortest length, and what it is made of.
type Form = (&'static str, usize, Class);

/// A header, or a JSON Web Token.
const HEADERS: [Form; 3] = [
    ("bearer ", SHORTEST_HEADER, Class::HeaderValue),
    ("basic ", SHORTEST_HEADER, Class::HeaderValue),
    ("eyJ", SHORTEST_JWT, Class::DottedWord),
];

const PRIVATE_KEY: &str = "-----BEGIN ";

/// In front of the `user:password` of a URL.
const AUTHORITY: &str = "://";

/// What may begin with a byte, whatever its case.
struct Start {
    shapes: Vec<&'static TokenShape>,
    /// A header, a private key or the user of a URL.
    other: bool,
}

/// By first byte. Every text is scanned, and most of its bytes begin nothing.
static STARTS: LazyLock<Vec<Start>> = LazyLock::new(|| {
    let headers = HEADERS.map(|(prefix, ..)| prefix);
    let start = |first: u8| {
        let begins =
            |prefix: &str| prefix.bytes().next().is_none_or(|byte| byte.eq_ignore_ascii_case(&first));
        let shapes = known().map(|(_, shape)| shape).filter(|shape| begins(&shape.prefix));
        let mut others = headers.into_iter().chain([PRIVATE_KEY, AUTHORITY]);
        Start { shapes: shapes.collect(), other: others.any(begins) }
    };
    (0..=u8::MAX).map(start).collect()
});

/// The parts of `text` that look like one of these tokens.
pub(super) fn find_own(shapes: &[TokenShape], text: &[u8]) -> Vec<Range<usize>> {
    if shapes.is_empty() {
        return Vec::new();
    }
    let mut runs = Runs::new(text);
    let mut found = Vec::new();
    for at in 0..text.len() {
        found.extend(
            shapes.iter().filter_map(|shape| shape.find(&mut runs, at)).map(|part| shifted(part, at)),
        );
    }
    found
}

/// Whether a text holds one of these tokens.
pub(crate) fn holds_one(shapes: &[TokenShape], text: &str) -> bool {
    !find_own(shapes, text.as_bytes()).is_empty()
}

/// The parts of `text` that look like the secret part of a token.
pub(super) fn find(text: &[u8]) -> Vec<Range<usize>> {
    let starts = &*STARTS;
    let mut runs = Runs::new(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (rest, start) = (&text[at..], &starts[usize::from(text[at])]);
        if start.shapes.is_empty() && !start.other {
            at += 1;
            continue;
        }
        let tokens = start.shapes.iter().filter_map(|shape| shape.find(&mut runs, at));
        found.extend(tokens.map(|body| shifted(body, at)));
        if start.other {
            if let Some(key) = private_key(rest) {
                found.push(shifted(key.clone(), at));
                at += key.end;
                continue;
            }
            found.extend(
                [header(&mut runs, at), userinfo(rest)].into_iter().flatten().map(|part| shifted(part, at)),
            );
        }
        at += 1;
    }
    found
}

/// Whether a text holds what looks like a secret, where only a name belongs.
pub(crate) fn looks_like_a_secret(text: &str) -> bool {
    let text = text.trim();
    let begins = |prefix: &str| begins_with(text.as_bytes(), prefix);
    begins("-----BEGIN")
        || known().any(|(_, shape)| {
            shape.is_distinctive() && begins(&shape.prefix) && text.len() > shape.prefix.len()
        })
        || find(text.as_bytes()).into_iter().any(|part| is_no_word(&text.as_bytes()[part]))
}

/// The service whose token a value is, quotes or a name in front of it included.
pub(crate) fn issuer(value: &str) -> Option<(&'static str, &'static TokenShape)> {
    let bytes = value.as_bytes();
    let begins_a_word = |at: usize| at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
    let mut places = (0..bytes.len()).filter(|at| begins_a_word(*at));
    places.find_map(|at| known().find(|(_, shape)| shape.begins(&bytes[at..])))
}

/// The part of a value that must not be seen: some begin with their token's id,
/// which reports name.
pub(crate) fn secret_part(value: &str) -> &str {
    let parts = known().filter_map(|(_, shape)| Some(shape.parts(value)?.1));
    parts.into_iter().next().unwrap_or(value)
}

impl TokenShape {
    /// Whether only tokens begin like this.
    fn is_distinctive(&self) -> bool {
        !matches!(self.body, Body::Uuid | Body::RandomWord(_))
    }

    /// Whether `text` begins with such a token, be it cut short.
    fn begins(&self, text: &[u8]) -> bool {
        begins_with(text, &self.prefix)
            && (self.is_distinctive() || self.body(&mut Runs::new(text), 0).is_some())
    }

    /// What is to be hidden of the token that begins at `at`.
    fn find(&self, runs: &mut Runs<'_>, at: usize) -> Option<Range<usize>> {
        let body = self.body(runs, at)?;
        Some(body.start.min(SHOWN)..body.end)
    }

    /// The body of the token that begins at `at`, counted from there.
    fn body(&self, runs: &mut Runs<'_>, at: usize) -> Option<Range<usize>> {
        let text = &runs.text[at..];
        if !begins_with(text, &self.prefix) {
            return None;
        }
        let rest = &text[self.prefix.len()..];
        let mut run = |class| runs.length(class, at + self.prefix.len());
        let length = match self.body {
            Body::Word(least) => Some(run(Class::Word)).filter(|length| *length >= least),
            Body::DottedWord(least) => Some(run(Class::DottedWord)).filter(|length| *length >= least),
            Body::Uuid => rest.get(..36).filter(|uuid| is_uuid(uuid)).map(<[u8]>::len),
            Body::RandomWord(least) => {
                let length = run(Class::Word);
                let head = &rest[..length.min(LONGEST_HEAD)];
                let is_random = text.starts_with(self.prefix.as_bytes()) && is_random(head);
                Some(length).filter(|length| *length >= least && is_random)
            }
            Body::IdAndVisible(least) => Some(run(Class::Visible)).filter(|length| *length >= least),
        };
        length.map(|length| self.prefix.len()..self.prefix.len() + length)
    }

    /// The id that a value begins with, and what follows it; `None`: it has none.
    pub(crate) fn parts<'v>(&self, value: &'v str) -> Option<(&'v str, &'v str)> {
        let Body::IdAndVisible(_) = self.body else { return None };
        let (scheme, _) = self.prefix.split_once(':')?;
        if !value.starts_with(&*self.prefix) {
            return None;
        }
        value[scheme.len() + 1..].split_once(':')
    }
}

/// What a run of bytes is made of.
#[derive(Debug, Clone, Copy)]
enum Class {
    Word,
    DottedWord,
    /// Up to a quote around a value, and without the punctuation that ends a sentence.
    Visible,
    /// Up to the punctuation that ends it in prose.
    HeaderValue,
}

impl Class {
    fn holds(self, byte: u8) -> bool {
        match self {
            Self::Word => byte.is_ascii_alphanumeric() || b"-_".contains(&byte),
            Self::DottedWord => Self::Word.holds(byte) || byte == b'.',
            Self::Visible => byte.is_ascii_graphic() && !b"\"`".contains(&byte),
            Self::HeaderValue => byte.is_ascii_graphic() && !b"\"'`,;()<>".contains(&byte),
        }
    }

    /// Whether a byte at the end of a run does not belong to it.
    fn trims(self, byte: u8) -> bool {
        matches!(self, Self::Visible) && b"'.,;:)>]}".contains(&byte)
    }
}

/// How far runs reach. The end of each is looked for once, however many tokens could begin
/// in it: a hostile text consists of nothing else.
struct Runs<'t> {
    text: &'t [u8],
    /// The run of each class that was looked at last, and where its trailing punctuation begins.
    known: [(Range<usize>, usize); 4],
}

impl<'t> Runs<'t> {
    fn new(text: &'t [u8]) -> Self {
        Self { text, known: Default::default() }
    }

    /// The length of the run from `at` on.
    fn length(&mut self, class: Class, at: usize) -> usize {
        let (run, trimmed) = &mut self.known[class as usize];
        if !run.contains(&at) {
            // Prefixes differ in length, so a place may be a little in front of the known run.
            let until = if at < run.start { run.start } else { self.text.len() };
            let length = self.text[at..until].iter().take_while(|byte| class.holds(**byte)).count();
            let joins = length > 0 && at + length == run.start;
            let end = if joins { run.end } else { at + length };
            if !joins || *trimmed <= run.start {
                let last = self.text[at..at + length].iter().rposition(|byte| !class.trims(*byte));
                *trimmed = last.map_or(at, |last| at + last + 1);
            }
            *run = at..end;
        }
        trimmed.saturating_sub(at)
    }
}

fn begins_with(text: &[u8], prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// An `Authorization` header, also `Proxy-Authorization`; or a JSON Web Token by
/// itself, such as a GitHub App signs.
fn header(runs: &mut Runs<'_>, at: usize) -> Option<Range<usize>> {
    HEADERS.into_iter().find_map(|(prefix, least, class)| {
        if !begins_with(&runs.text[at..], prefix) {
            return None;
        }
        let length = runs.length(class, at + prefix.len());
        (length >= least).then_some(prefix.len()..prefix.len() + length)
    })
}

/// The `user:password` of a URL, as in the address of a proxy.
fn userinfo(text: &[u8]) -> Option<Range<usize>> {
    let authority = text.strip_prefix(AUTHORITY.as_bytes())?;
    let authority = authority
        .split(|&byte| matches!(byte, b'/' | b'?' | b'#' | b'"' | b'<' | b'>') || byte.is_ascii_whitespace());
    let at = authority.into_iter().next()?.iter().rposition(|&byte| byte == b'@')?;
    let userinfo = 3..3 + at;
    let is_hidden = |part: &[u8]| part == b"***" || part.iter().all(|byte| *byte == b'*');
    (!userinfo.is_empty() && !is_hidden(&text[userinfo.clone()])).then_some(userinfo)
}

/// A private key in PEM, to its end or, if that is missing, to the end of the text.
fn private_key(text: &[u8]) -> Option<Range<usize>> {
    const END_OF_LABEL: &[u8] = b"PRIVATE KEY-----";
    /// No label of a private key is longer than this.
    const LABEL: usize = 64;
    let label = text.strip_prefix(PRIVATE_KEY.as_bytes())?;
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

fn is_uuid(text: &[u8]) -> bool {
    let mut parts = text.split(|byte| *byte == b'-');
    let is_part = |length: usize, part: &[u8]| part.len() == length && part.iter().all(u8::is_ascii_hexdigit);
    [8, 4, 4, 4, 12].into_iter().all(|length| parts.next().is_some_and(|part| is_part(length, part)))
        && parts.next().is_none()
}

fn is_random(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_digit)
        && text.split(|byte| matches!(byte, b'-' | b'_')).any(|run| run.len() >= LONG_RUN)
}

/// "basic infrastructure-as-code" has the form of a header, and describes something.
fn is_no_word(text: &[u8]) -> bool {
    !text.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'-')
}

#[cfg(test)]
mod tests;
