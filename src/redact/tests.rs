//! What must never pass the redactor.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use super::*;

const SECRET: &str = "Zq7/x+W\"k\\m%pT4:vN9&s<R2";

fn knowing(secret: &str) -> Redactor {
    let redactor = Redactor::new();
    redactor.register(&SecretString::from(secret));
    redactor
}

/// Whether any 11 bytes of `secret` in a row appear in `text`.
fn leaks(text: &[u8], secret: &str) -> bool {
    secret.as_bytes().windows(GRAM).any(|gram| text.windows(GRAM).any(|window| window == gram))
}

/// Undoes an encoding.
type Decoder = fn(&str) -> Vec<u8>;

/// Every way in which `text` may be encoded in what a server sends, each with
/// its inverse, written without the code under test.
fn encodings(text: &str) -> Vec<(String, Decoder)> {
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let unhex = |text: &str| -> Vec<u8> {
        let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).unwrap_or(0) as u8).collect();
        digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    };
    // A masked text is no valid base64: each piece is decoded at every offset.
    fn unbase64(text: &str) -> Vec<u8> {
        let mut all = Vec::new();
        for piece in text.split(|c: char| !(c.is_ascii_alphanumeric() || "+/-_".contains(c))) {
            let piece = piece.replace('-', "+").replace('_', "/");
            for skip in 0..4 {
                let mut rest = piece.chars().skip(skip).collect::<String>();
                while !rest.is_empty() && rest.len() % 4 != 0 {
                    rest.pop();
                }
                all.extend(STANDARD.decode(rest).unwrap_or_default());
                all.push(b'\n');
            }
        }
        all
    }
    let unpercent = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    let unjson = |text: &str| serde_json::from_str::<String>(text).unwrap_or_default().into_bytes();
    vec![
        (text.to_owned(), |text| text.as_bytes().to_vec()),
        (STANDARD.encode(text), unbase64),
        (STANDARD_NO_PAD.encode(text), unbase64),
        (URL_SAFE.encode(text), unbase64),
        (URL_SAFE_NO_PAD.encode(text), unbase64),
        (utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(), unpercent),
        (text.bytes().map(|byte| format!("%{byte:02x}")).collect(), unpercent),
        (hex(text), unhex),
        (hex(text).to_uppercase(), unhex),
        (serde_json::to_string(text).unwrap(), unjson),
        (
            format!("\"{}\"", text.chars().map(|c| format!("\\u{:04X}", u32::from(c))).collect::<String>()),
            unjson,
        ),
    ]
}

#[test]
fn a_registered_secret_is_hidden_in_every_encoding() {
    let redactor = knowing(SECRET);
    for before in ["", "a", "ab", "abc"] {
        for (encoded, _) in encodings(&format!("{before}{SECRET}")) {
            let scrubbed = redactor.scrub(&format!("value={encoded}; end"));
            assert!(scrubbed.contains(MASK), "{encoded} came out as {scrubbed}");
            assert!(scrubbed.len() < "value=; end".len() + 2 * MASK.len() + 20, "{encoded}: {scrubbed}");
            assert!(scrubbed.starts_with("value=") && scrubbed.ends_with("; end"), "{scrubbed}");
        }
    }
    assert_eq!(redactor.scrub("%5a%71%37%2f%78%2b%57%22%6b%5c%6d"), "***");
    assert_eq!(redactor.scrub(&format!("\"{}\"", STANDARD.encode(SECRET).replace('/', "\\/"))), "\"***\"");
}

#[test]
fn an_encoded_secret_may_begin_anywhere_among_digits() {
    let redactor = knowing(SECRET);
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    for digits in ["", "a", "ab", "abc", "abcd"] {
        assert_eq!(redactor.scrub(&format!("{digits}{}", STANDARD.encode(SECRET))), format!("{digits}***"));
        assert_eq!(redactor.scrub(&format!("{digits}{hex}")), format!("{digits}***"));
    }
}

#[test]
fn eleven_characters_are_hidden_and_ten_are_not() {
    let redactor = knowing(SECRET);
    assert_eq!(redactor.scrub(&SECRET[3..14]), "***");
    assert_eq!(redactor.scrub(&SECRET[3..13]), &SECRET[3..13]);
    assert_eq!(redactor.scrub(&format!("({})({})", &SECRET[..11], &SECRET[11..])), "(***)(***)");
}

#[test]
fn short_values_are_hidden_whole_and_tiny_ones_are_left() {
    assert_eq!(
        knowing("hunter2\n").scrub("password hunter2, hunter, aHVudGVyMg=="),
        "password ***, hunter, ***=="
    );
    assert_eq!(knowing("abc").scrub("abc"), "abc");
    assert_eq!(knowing("").scrub("abc"), "abc");
}

#[test]
fn clones_share_what_they_know() {
    let first = Redactor::new();
    let second = first.clone();
    first.register(&SecretString::from(SECRET));
    assert_eq!(second.scrub(SECRET), "***");
}

#[test]
fn the_armour_of_a_private_key_is_no_secret() {
    let body = "MIIEpAIBAAKCAQEAs3cr3tL1neNumberOne\nAnotherL1neOfTheSameKeyWithPadding==";
    for (newline, key) in [
        ("\n", format!("-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\n")),
        (
            "\\n",
            format!(
                "-----BEGIN RSA PRIVATE KEY-----\\n{}\\n-----END RSA PRIVATE KEY-----",
                body.replace('\n', "\\n")
            ),
        ),
        (" ", format!("-----BEGIN PRIVATE KEY----- {} -----END PRIVATE KEY-----", body.replace('\n', " "))),
    ] {
        let redactor = knowing(&key);
        let sentence = "no whole PEM file, from -----BEGIN PRIVATE KEY to the last line";
        assert_eq!(redactor.scrub(sentence), sentence, "{newline}");
        for part in ["AIBAAKCAQEAs3cr3tL1neNu", "L1neOfTheSameKeyWith", &body.replace('\n', "")[25..55]] {
            assert_eq!(redactor.scrub(part), "***", "{newline}: {part}");
        }
    }
}

#[test]
fn stars_stand_where_a_secret_stood() {
    let cases = [
        ("token: xaat-0a1b2c3d4e, x", "token: xaat-************"),
        ("a: 'idt:TKN-1-2:Zq7x.W+k!m~' # b", "a: 'idt:TKN-***************** # b"),
        ("https://u:p@h/ ä https://ü:p@h/", "https://******* ä https://*******"),
    ];
    for (text, expected) in cases {
        let stars = starred(text, &[]);
        assert_eq!(stars.chars().count(), text.chars().count());
        assert!(stars.chars().filter(|c| *c == '*').count() > 6, "{stars}");
        assert_eq!(stars.split('*').next(), expected.split('*').next(), "{stars}");
    }
    let key = "a: |\n  -----BEGIN PRIVATE KEY-----\n  MIIE\n  -----END PRIVATE KEY-----\nb: c\n";
    assert!(
        !starred(key, &[]).contains("MIIE") && starred(key, &[]).ends_with("\nb: c\n"),
        "{}",
        starred(key, &[])
    );
    assert_eq!(starred(key, &[]).lines().count(), key.lines().count());
}

#[test]
fn what_masking_brings_together_is_hidden_too() {
    let redactor = knowing("first-secret-value");
    redactor.register(&SecretString::from("left-***-right"));
    assert_eq!(redactor.scrub("left-first-secret-value-right"), "***");
}

#[test]
fn characters_of_several_bytes_stay_whole() {
    let redactor = knowing("žluťoučký kůň");
    assert_eq!(redactor.scrub("→ žluťoučký kůň ←"), "→ *** ←");
    assert_eq!(redactor.scrub("→ luťoučký, ←"), "→ ***, ←");
}

#[test]
fn unknown_secrets_are_known_by_their_shape() {
    let cases = [
        ("xaat-0a1b2c3d-0000", "xaat-***"),
        ("got XAPT-0a1b2c3d!", "got XAPT-***!"),
        ("idt:TKN-1234-5678:s3cr3t", "idt:TKN-***"),
        ("idt%3ATKN-1234-5678%3As3cr3t", "idt%3ATKN-***"),
        ("idt:TKN-1671-0642:Zq7x.W+k!m~(a),b;c is it", "idt:TKN-*** is it"),
        ("api-0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9 here", "api-*** here"),
        ("http://a:b@x.example https://c:d@y.example", "http://***@x.example https://***@y.example"),
        ("ghp_0123456789abcdefghij", "ghp_***"),
        ("ghs_1234_eyJhbGciOi.JIUz-I1.NiIs", "ghs_***"),
        ("github_pat_11ABCDEFG_0123456789", "github_pat***"),
        ("api_0123456789abcdefghijklmn", "api_***"),
        ("api_tokens_are_described_here", "api_tokens_are_described_here"),
        ("Authorization: Bearer abcdefghijklmnop", "Authorization: Bearer ***"),
        ("the bearer of this ring", "the bearer of this ring"),
        ("proxy http://joe:pass@proxy.example:3128 failed", "proxy http://***@proxy.example:3128 failed"),
        ("https://example.com/a@b", "https://example.com/a@b"),
        (
            "TKN-1234-5678 and acme/api@production:AXIOM_TOKEN",
            "TKN-1234-5678 and acme/api@production:AXIOM_TOKEN",
        ),
        ("a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b", "a *** b"),
        ("a -----BEGIN PRIVATE KEY-----\\nMII", "a ***"),
        ("-----BEGIN PUBLIC KEY-----", "-----BEGIN PUBLIC KEY-----"),
    ];
    for (text, expected) in cases {
        assert_eq!(Redactor::new().scrub(text), expected);
    }
}

#[test]
fn a_line_is_harmless() {
    let redactor = Redactor::new();
    let cases = [
        ("  plain\r\n\ttext ", "plain text"),
        ("\u{1b}[31mred\u{1b}[0m", "red"),
        ("\u{9b}31mred", "red"),
        ("a\u{1b}]0;title\u{7}b\u{1b}]8;;http://x\u{1b}\\c", "abc"),
        ("a\u{1b}]0;never closed", "a0;never closed"),
        ("a\u{1b}", "a"),
        ("a\u{1b}[\u{e9}", "aé"),
        ("user\u{202e}txt.exe\u{2066}\u{200f}\u{61c}", "usertxt.exe"),
        ("zero\u{200b}width\u{feff}", "zerowidth"),
        ("one\u{2028}two\u{2029}three\u{85}four", "one two three four"),
        ("::set-output name=a::b", ": :set-output name=a::b"),
        ("\n\u{a0} ::error::x", ": :error::x"),
        (":::::error::x", ": : : : :error::x"),
        (":\u{200b}:error::x", ": :error::x"),
        ("fine ::error::x", "fine : :error::x"),
        ("std::io: a:b 1::2", "std::io: a:b 1::2"),
        ("fine ##[error]x", "fine ## [error]x"),
        ("####\u{200d}[error]x", "#### [error]x"),
        ("%0A::error::x", "%0A::error::x"),
    ];
    for (text, expected) in cases {
        assert_eq!(redactor.line(text), expected, "{}", text.escape_debug());
    }
}

#[test]
fn a_line_is_short_and_says_so() {
    let line = Redactor::new().line(&"é".repeat(301));
    assert_eq!(line.chars().count(), 300);
    assert!(line.ends_with("é…"));
    assert_eq!(Redactor::new().line(&"é".repeat(300)), "é".repeat(300));
    assert_eq!(Redactor::new().message(&"é".repeat(3000)).chars().count(), 2000);
}

#[test]
fn a_secret_taken_apart_is_hidden_once_it_is_together() {
    let redactor = knowing("0123456789abcdef");
    assert_eq!(redactor.line("01234567\u{200b}89ab\u{1b}[1mcdef"), "***");
    let key = "-----BEGIN PRIVATE KEY-----\nMIIE\nvQIB\n-----END PRIVATE KEY-----\nrest";
    assert_eq!(redactor.line(key), "*** rest");
}

#[test]
fn commands_carry_text_as_data() {
    assert_eq!(workflow_data("100%\r\n::error::a:b,c"), "100%25%0D%0A::error::a:b,c");
    assert_eq!(workflow_property("a:b,c%\n"), "a%3Ab%2Cc%25%0A");
}

#[test]
fn markdown_has_no_markup() {
    assert_eq!(markdown("a|b"), "a&#124;b");
    assert_eq!(markdown("@octocat #1"), "&#64;&#8203;octocat &#35;&#8203;1");
    assert_eq!(markdown("<img src=x>"), "&#60;img src&#61;x&#62;");
    assert_eq!(markdown("a\nb"), "a b");
    assert_eq!(code("a`b|c@d"), "<code>a&#96;b&#124;c&#64;d</code>");
}

/// A text of dangerous and ordinary pieces.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        proptest::sample::select(vec![
            "::",
            ":",
            "##[",
            "#",
            "[",
            "]",
            "error",
            "\u{1b}",
            "\u{1b}[",
            "\u{1b}]",
            "\u{7}",
            "\n",
            "\r",
            " ",
            "%0A",
            "\u{202e}",
            "\u{200b}",
            "\u{2028}",
            "\u{a0}",
            "***",
            "|",
            "`",
            "\\",
            "<b>",
            "&",
            "@a",
            "%",
            "://",
            "@",
            "-----BEGIN PRIVATE KEY-----",
            "Bearer ",
            "xaat-",
        ])
        .prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// A value as providers mint them.
fn secret() -> impl Strategy<Value = String> {
    "[!-~]{16,40}"
}

proptest! {
    // Each case scans its text in some forty encodings.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_encoding_leaves_a_run(secret in secret(), before in hostile(), after in hostile(), from in 0_usize..5) {
        let redactor = knowing(&secret);
        let text = format!("{before}{}{after}", &secret[from..]);
        for (encoded, decode) in encodings(&text) {
            let scrubbed = redactor.scrub(&encoded);
            prop_assert!(!leaks(scrubbed.as_bytes(), &secret), "{scrubbed}");
            prop_assert!(!leaks(&decode(&scrubbed), &secret), "{scrubbed}");
            let line = redactor.line(&encoded);
            prop_assert!(!leaks(line.as_bytes(), &secret), "{line}");
            prop_assert!(!leaks(&decode(&line), &secret), "{line}");
        }
    }

    #[test]
    fn an_encoded_secret_between_others_leaves_no_run(
        secret in secret(), before in hostile(), after in hostile(), from in 0_usize..5,
    ) {
        let redactor = knowing(&secret);
        for (encoded, decode) in encodings(&secret[from..]) {
            let line = redactor.line(&format!("{before} {encoded} {after}"));
            prop_assert!(!leaks(line.as_bytes(), &secret), "{line}");
            prop_assert!(!leaks(&decode(&line), &secret), "{line}");
        }
    }

}

proptest! {
    #[test]
    fn what_is_no_secret_stays(secret in secret(), text in "[a-z ]{0,60}") {
        prop_assert_eq!(knowing(&secret).scrub(&text), text);
    }

    #[test]
    fn a_line_carries_no_control_sequence(text in hostile()) {
        let line = Redactor::new().line(&text);
        prop_assert!(!line.chars().any(char::is_control));
        prop_assert!(!line.contains(misleads));
        prop_assert!(!line.contains("##["));
        prop_assert!(line.split(char::is_whitespace).all(|word| !word.starts_with("::")));
        prop_assert!(line.chars().count() <= LINE_LIMIT);
        prop_assert_eq!(Redactor::new().line(&line), line);
    }

    #[test]
    fn a_cell_is_one_cell(text in hostile()) {
        for cell in [markdown(&text), code(&text)] {
            prop_assert!(!cell.contains(MARKUP));
            let tags = cell.strip_prefix("<code>").and_then(|cell| cell.strip_suffix("</code>"));
            prop_assert!(!tags.unwrap_or(&cell).contains(['<', '>']));
        }
        let shown = html_text(&code(&text));
        let visible: String = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c })
            .filter(|c| !c.is_control()).collect();
        prop_assert_eq!(shown, visible);
    }

    #[test]
    fn a_command_stays_one_line(text in hostile()) {
        prop_assert!(!workflow_data(&text).contains(['\r', '\n']));
        prop_assert!(!workflow_property(&text).contains(['\r', '\n', ':', ',']));
        let back = workflow_data(&text).replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%");
        prop_assert_eq!(back, text);
    }
}

/// What would end a cell, or be markup in it.
const MARKUP: [char; 11] = ['|', '\n', '\r', '`', '\\', '[', '@', '*', '_', '"', '\u{1b}'];

/// Characters that are not seen, or that turn others around.
fn misleads(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{61c}' | '\u{feff}')
}

/// What a browser shows for `<code>…</code>`.
fn html_text(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html.strip_prefix("<code>").unwrap().strip_suffix("</code>").unwrap();
    while let Some((before, entity)) = rest.split_once("&#") {
        let (number, after) = entity.split_once(';').unwrap();
        text.push_str(before);
        text.push(char::from_u32(number.parse().unwrap()).unwrap());
        rest = after;
    }
    text + rest
}
