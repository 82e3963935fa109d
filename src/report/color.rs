//! Colors for terminals.
//!
//! Plain text is colored afterwards: a line by its first word, which always comes from
//! crossfade, and a bar of the timeline by its characters.

use anstyle::{AnsiColor, Style};

use super::timeline;

const GOOD: Style = AnsiColor::Green.on_default();
const CHANGE: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const HEADING: Style = Style::new().bold();
const QUIET: Style = Style::new().dimmed();

/// The beginnings of lines and their styles; the first match counts.
const BEGINNINGS: &[(&str, Style)] = &[
    ("FAILED", BAD),
    ("rotated", GOOD),
    ("fresh", GOOD),
    ("current", GOOD),
    ("would rotate", CHANGE),
    ("would only retire", CHANGE),
    ("due", CHANGE),
    ("undelivered", CHANGE),
    ("missing", CHANGE),
    ("not read", BAD),
    ("nothing ", CHANGE),
    ("older", CHANGE),
    ("forced", CHANGE),
    ("unknown", QUIET),
    ("in flight", CHANGE),
    ("VERDICT", HEADING),
    ("HOLDS", HEADING),
    ("Old tokens:", HEADING),
    ("What to do:", BAD),
    ("Warnings:", CHANGE),
    ("Found:", HEADING),
    ("Ends too soon:", BAD),
    ("  FAILED", BAD),
    ("  not read", BAD),
    ("  warning", CHANGE),
    ("  what to do", BAD),
    ("  written", GOOD),
    ("  + ", GOOD),
    ("  ~ ", CHANGE),
    ("  - ", BAD),
    ("  = ", QUIET),
];

/// The same text with colors.
pub(super) fn colorize(text: &str) -> String {
    text.split_inclusive('\n').map(line).collect()
}

fn line(line: &str) -> String {
    if timeline::is_drawn(line) {
        return bars(line);
    }
    match BEGINNINGS.iter().find(|(beginning, _)| line.starts_with(beginning)) {
        Some((beginning, style)) => {
            let (head, rest) = line.split_at(beginning.len());
            format!("{style}{head}{style:#}{rest}")
        }
        None => line.to_owned(),
    }
}

/// A line of the timeline: characters of one style share one escape sequence.
fn bars(line: &str) -> String {
    let mut painted = String::new();
    let mut current = Style::new();
    for cell in line.chars() {
        let style = style_of(cell);
        if style != current {
            painted.push_str(&format!("{current:#}{style}"));
            current = style;
        }
        painted.push(cell);
    }
    // The line's end has no style, so nothing is left open.
    painted
}

fn style_of(cell: char) -> Style {
    match cell {
        timeline::LIVE => GOOD,
        '▓' | '▒' | '░' => CHANGE,
        timeline::NOW | timeline::DUE => HEADING,
        timeline::PLANNED => QUIET,
        _ => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_beginning_of_a_line_is_coloured() {
        assert_eq!(colorize("fresh: a FAILED b\nplain\n"), "\u{1b}[32mfresh\u{1b}[0m: a FAILED b\nplain\n");
    }

    #[test]
    fn without_the_colours_the_text_is_the_same() {
        let text = "FAILED ci: x\n  ~ write   y\n  tok-1  ██▓▒░│  ◆\n";
        let painted = colorize(text);
        assert_ne!(painted, text);
        let mut bare = String::new();
        let mut inside = false;
        for c in painted.chars() {
            match (inside, c) {
                (false, '\u{1b}') => inside = true,
                (false, c) => bare.push(c),
                (true, c) => inside = c != 'm',
            }
        }
        assert_eq!(bare, text);
    }
}
