//! A page of plain text for a terminal: what each part means decides its color, names are
//! never split, and drawing characters become ASCII where the terminal has no others.

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr as _;

use crate::streams::Terminal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Good,
    Change,
    Bad,
    Heading,
    Quiet,
    Plain,
}

impl Role {
    fn style(self) -> Style {
        match self {
            Self::Good => AnsiColor::Green.on_default(),
            Self::Change => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Heading => Style::new().bold(),
            Self::Quiet => Style::new().dimmed(),
            Self::Plain => Style::new(),
        }
    }
}

pub(crate) type Cell = (Role, String);

pub(crate) struct Page {
    pub(super) terminal: Terminal,
    text: String,
}

impl Page {
    pub(crate) fn new(terminal: Terminal) -> Self {
        Self { terminal, text: String::new() }
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// Adds crossfade's own characters, replaced where the terminal has no others.
    pub(super) fn draw(&mut self, role: Role, text: &str) {
        if self.terminal.ascii {
            let ascii = |c: char| match c {
                '█' => '#',
                '▓' => '%',
                '░' => '.',
                '│' => '|',
                '◆' => '>',
                '┄' => '-',
                '…' => '~',
                c => c,
            };
            self.put(role, &text.chars().map(ascii).collect::<String>());
        } else {
            self.put(role, text);
        }
    }

    pub(super) fn put(&mut self, role: Role, text: &str) {
        if self.terminal.colors && role != Role::Plain && !text.is_empty() {
            let style = role.style();
            self.text.push_str(&format!("{style}{text}{style:#}"));
        } else {
            self.text.push_str(text);
        }
    }

    /// Ends the line, without the spaces at its end.
    pub(super) fn end_line(&mut self) {
        let length = self.text.trim_end_matches(' ').len();
        self.text.truncate(length);
        self.text.push('\n');
    }

    /// A label and a text, which is wrapped beside the label.
    pub(crate) fn entry(&mut self, indent: usize, label: Cell, column: usize, text: &str) {
        let (role, label) = label;
        self.text.push_str(&" ".repeat(indent));
        let width = label.width();
        self.put(role, &label);
        let column = column.max(indent);
        let used = indent + width;
        self.text.push_str(&" ".repeat(column.saturating_sub(used)));
        self.flow(used.max(column), column, text);
    }

    /// Text from this column on, wrapped between words; further lines begin at `column`.
    pub(crate) fn flow(&mut self, begin: usize, column: usize, text: &str) {
        let limit = self.terminal.columns.unwrap_or(usize::MAX);
        let (mut at, mut is_first) = (begin, true);
        for mut word in text.split(' ').filter(|word| !word.is_empty()) {
            let width = word.width();
            if !is_first && at + 1 + width > limit {
                self.end_line();
                self.text.push_str(&" ".repeat(column));
                at = column;
                // Here a runner would obey it.
                if let Some(rest) = word.strip_prefix("::") {
                    self.text.push_str(": :");
                    word = rest;
                }
            } else if !is_first {
                self.text.push(' ');
                at += 1;
            }
            self.text.push_str(word);
            at += width;
            is_first = false;
        }
        self.end_line();
    }

    pub(crate) fn heading(&mut self, role: Role, text: &str) {
        self.put(role, text);
        self.end_line();
    }

    pub(crate) fn blank(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// A table without lines. Its last column is wrapped. `false`, and nothing is
    /// written, where the terminal is too narrow for the others.
    pub(super) fn table(&mut self, header: &[&str], rows: &[Vec<Cell>]) -> bool {
        /// The narrowest readable last column.
        const LAST: usize = 20;
        let last = header.len() - 1;
        let widths: Vec<usize> = (0..last)
            .map(|column| {
                let cells = rows.iter().map(|row| row[column].1.width());
                cells.chain([header[column].len()]).max().unwrap_or(0) + 2
            })
            .collect();
        let begin: usize = widths.iter().sum();
        let longest = rows.iter().map(|row| row[last].1.width()).max().unwrap_or(0);
        if self.terminal.columns.is_some_and(|columns| begin + longest.min(LAST) > columns) {
            return false;
        }
        let header: Vec<Cell> = header.iter().map(|name| (Role::Heading, (*name).to_owned())).collect();
        for row in [&header].into_iter().chain(rows) {
            for ((role, text), width) in row.iter().zip(&widths) {
                self.put(*role, text);
                self.text.push_str(&" ".repeat(width - text.width()));
            }
            match row[last] {
                (Role::Plain, ref text) => self.flow(begin, begin, text),
                (role, ref text) => self.heading(role, text),
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(terminal: Terminal, write: impl Fn(&mut Page)) -> String {
        let mut page = Page::new(terminal);
        write(&mut page);
        page.finish()
    }

    fn cells(row: &[&str]) -> Vec<Cell> {
        row.iter().map(|text| (Role::Plain, (*text).to_owned())).collect()
    }

    #[test]
    fn a_role_decides_the_color_and_a_text_does_not() {
        let write = |page: &mut Page| page.entry(2, (Role::Good, "fresh".to_owned()), 10, "FAILED \u{1b}");
        let colors = Terminal { colors: true, ..Terminal::default() };
        assert_eq!(page(colors, write), "  \u{1b}[32mfresh\u{1b}[0m   FAILED \u{1b}\n");
        assert_eq!(page(Terminal::default(), write), "  fresh   FAILED \u{1b}\n");
    }

    #[test]
    fn lines_break_between_words_and_never_in_a_name() {
        let terminal = Terminal { columns: Some(20), ..Terminal::default() };
        let name = "acme/service-1@production:AXIOM_TOKEN";
        let text = page(terminal, |page| {
            page.entry(2, (Role::Plain, "held".to_owned()), 8, &format!("by {name} and more"))
        });
        assert_eq!(text, format!("  held  by\n        {name}\n        and more\n"));
    }

    #[test]
    fn no_line_begins_with_a_command() {
        let terminal = Terminal { columns: Some(11), ..Terminal::default() };
        let text = page(terminal, |page| page.flow(0, 2, "a name of :: is odd"));
        assert_eq!(text, "a name of\n  : : is odd\n");
    }

    #[test]
    fn a_table_is_not_squeezed() {
        let rows = [cells(&["fresh", "a-name-of-a-secret", "one two three four five six seven"])];
        let table = |columns| {
            let terminal = Terminal { columns, ..Terminal::default() };
            page(terminal, |page| {
                page.table(&["IS", "NAME", "WHY"], &rows);
            })
        };
        assert_eq!(table(Some(40)), "");
        assert_eq!(
            table(Some(50)),
            "IS     NAME                WHY\nfresh  a-name-of-a-secret  one two three four five\n                           six seven\n"
        );
    }

    #[test]
    fn only_crossfade_s_own_characters_become_ascii() {
        let terminal = Terminal { ascii: true, ..Terminal::default() };
        let text = page(terminal, |page| {
            page.draw(Role::Plain, "█▓░│◆┄…");
            page.put(Role::Plain, " prod-ü█");
        });
        assert_eq!(text, "#%.|>-~ prod-ü█");
    }
}
