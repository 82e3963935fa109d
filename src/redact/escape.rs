//! Makes strings harmless for the place where they are printed.
//!
//! Nothing here knows a secret; see [`super::Redactor`].

/// `text` as one line that neither a terminal nor the Actions runner obeys:
/// without control characters, escape sequences, direction marks and invisible
/// characters, white space collapsed, workflow commands broken.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let mut rest = text;
    let mut space = false;
    // Whether a colon at the end of `line` could begin a workflow command.
    let mut command = false;
    while let Some(character) = rest.chars().next() {
        rest = &rest[escape_sequence(rest).max(character.len_utf8())..];
        if is_space(character) {
            space = true;
            continue;
        }
        if character.is_control() || is_invisible(character) {
            continue;
        }
        let first_of_word = line.is_empty() || space;
        if first_of_word && !line.is_empty() {
            line.push(' ');
        }
        // The runner obeys `::` at the start of a line, and a line may be broken
        // at any space; it obeys `##[` everywhere.
        let colon = character == ':';
        if (colon && command && !first_of_word) || (character == '[' && line.ends_with("##")) {
            line.push(' ');
        }
        command = colon && (first_of_word || command);
        line.push(character);
        space = false;
    }
    line
}

/// `text`, cut to `limit` characters of which the last then is `…`.
pub(super) fn capped(text: &str, limit: usize) -> String {
    if text.chars().nth(limit).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Text for a cell of a Markdown table, without effect on the table or on
/// anything else: no markup, no HTML, no links, no mentions.
///
/// Expects one line; takes more than one as one.
pub(crate) fn markdown(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        // GitHub looks for `@name`, `#1` and `GH-1` after the Markdown is rendered, where
        // an entity is a character again. An invisible one in between stops it.
        let around = at.checked_sub(2).and_then(|start| text.get(start..at + 2));
        if around.is_some_and(|text| is_reference(text.as_bytes())) {
            cell.push_str("&#8203;");
        }
        push_entity(&mut cell, character);
        if matches!(character, '@' | '#') {
            cell.push_str("&#8203;");
        }
    }
    cell
}

/// `GH-1`
fn is_reference(text: &[u8]) -> bool {
    matches!(text, [b'g' | b'G', b'h' | b'H', b'-', b'0'..=b'9'])
}

/// Like [`markdown`], set in a fixed-width font; can be copied as it is.
/// GitHub makes no mentions or links in there.
pub(crate) fn code(text: &str) -> String {
    let mut cell = String::from("<code>");
    text.chars().for_each(|character| push_entity(&mut cell, character));
    cell.push_str("</code>");
    cell
}

/// Adds a character in a form that neither Markdown nor HTML takes for markup.
/// What is known to be harmless stays; all other ASCII becomes an entity, so
/// there is no list of dangerous characters to keep complete.
fn push_entity(cell: &mut String, character: char) {
    match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | '-' | ',' | ';' | '/' | '(' | ')' => cell.push(character),
        _ if is_space(character) => cell.push(' '),
        _ if character.is_control() => {}
        _ if character.is_ascii() => cell.push_str(&format!("&#{};", u32::from(character))),
        _ => cell.push(character),
    }
}

/// Text for the message of a workflow command.
pub(crate) fn workflow_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Text for a property of a workflow command, such as its title.
pub(crate) fn workflow_property(text: &str) -> String {
    workflow_data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The length of the terminal escape sequence that `text` begins with, or 0.
///
/// Only the look of what is left depends on this: the characters that make a
/// terminal act are control characters, and go wherever they stand.
fn escape_sequence(text: &str) -> usize {
    let Some((kind, rest)) = introducer(text) else { return 0 };
    let body = match kind {
        // Control sequence: parameters up to a final byte.
        '[' => {
            let parameters = rest.find(|c| !matches!(c, ' '..='?')).unwrap_or(rest.len());
            parameters + usize::from(rest[parameters..].starts_with(|c: char| c.is_ascii_graphic()))
        }
        // String of the system or a device: up to its terminator, which has to
        // come; else a lone introducer would hide the rest of the text.
        ']' | 'P' | 'X' | '^' | '_' => string_length(rest),
        // Anything else: one more character, or none.
        _ => 0,
    };
    text.len() - rest.len() + body
}

/// What kind of escape sequence `text` begins with, and what follows.
fn introducer(text: &str) -> Option<(char, &str)> {
    let mut characters = text.chars();
    let kind = match characters.next()? {
        '\u{1b}' => characters.next().filter(|kind| kind.is_ascii_graphic())?,
        // One character for the escape character and the one that is 64 lower.
        single @ '\u{80}'..='\u{9f}' => char::from_u32(u32::from(single) - 64)?,
        _ => return None,
    };
    Some((kind, characters.as_str()))
}

/// The length of a control string with its terminator; 0 without one.
fn string_length(text: &str) -> usize {
    ["\u{7}", "\u{1b}\\", "\u{9c}"]
        .iter()
        .filter_map(|terminator| Some(text.find(terminator)? + terminator.len()))
        .min()
        .unwrap_or(0)
}

/// White space of any kind, line breaks included.
fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{2028}' | '\u{2029}')
}

/// Characters that show nothing, or change the direction of others: with them, a
/// text can read differently from what it is.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}
