//! What stands in an issue: its title, its description, its comments.

use super::attention::Attention;
use super::marks::Section;
use super::{IssueSettings, Links};
use crate::redact::code;
use crate::report::format::names;
use crate::report::{RedactedReport, Reporter, summary};

/// GitHub's limit for a description, in characters. Counted here in bytes, which are
/// never fewer.
const LIMIT: usize = 65_536;
/// What a title says of the run is shorter than this, in characters: GitHub's limit for
/// all of it is 256.
const ABOUT: usize = 180;
/// With less room there is no summary.
const LEAST_ROOM: usize = 8192;

pub(super) struct Texts<'a> {
    pub(super) settings: &'a IssueSettings,
    pub(super) report: &'a RedactedReport,
    pub(super) attention: &'a Attention,
    pub(super) links: &'a Links,
}

impl Texts<'_> {
    pub(super) fn title(&self) -> String {
        let what = match self.report.command {
            Reporter::Rotate => "a rotation failed",
            Reporter::Status => "a token needs attention",
        };
        match self.settings.about.as_str() {
            "" => format!("crossfade: {what}"),
            about if about.chars().count() > ABOUT => {
                let about: String = about.chars().take(ABOUT).collect();
                format!("crossfade: {what} ({about}…)")
            }
            about => format!("crossfade: {what} ({about})"),
        }
    }

    /// The current summary between the marks, and around them what users wrote.
    pub(super) fn description(&self, section: Section<'_>, announced: &str) -> String {
        let key = &self.settings.key;
        let room = section.room(key, announced, LIMIT);
        section.replaced(key, announced, &self.page(room))
    }

    fn page(&self, room: usize) -> String {
        let from = match &self.links.run {
            Some(run) => format!("From [this run]({run}). "),
            None => String::new(),
        };
        let note = format!(
            "\n{from}crossfade replaces this text with every run, and closes the issue when all is well. What you \
             write below or above it stays.\n"
        );
        let room = room.saturating_sub(note.len());
        if room < LEAST_ROOM {
            return format!("The summary does not fit in here: see the log of the run.\n{note}");
        }
        let summary = summary::page(self.report, self.links.server.as_deref(), room);
        // GitHub would link an issue by its address, and tell so there.
        let summary = summary.replace("&#58;//", "&#58;&#8203;//");
        format!("{}{note}", cut(&summary, room))
    }

    /// What changed since the set that was announced.
    pub(super) fn change(&self, announced: &str, reopened: bool) -> String {
        let listed = |title: &str, all: &[&str]| match all {
            [] => String::new(),
            all => format!("**{title}:** {}. ", names(all, code)),
        };
        let what = if reopened {
            listed("Needs attention again", &self.attention.names())
        } else {
            let change = self.attention.since(announced);
            let what = listed("New", &change.new) + &listed("Resolved", &change.resolved);
            if what.is_empty() { listed("Needs attention", &self.attention.names()) } else { what }
        };
        format!("{what}The description above shows the details{}.", self.run())
    }

    pub(super) fn recovery(&self) -> String {
        format!("All is well again{}. crossfade opens this issue again when it is not.", self.run())
    }

    /// What is left of an issue that a run created beside another run's.
    pub(super) fn duplicate(kept: u64) -> String {
        format!("Two runs reported at the same time: see #{kept}.")
    }

    fn run(&self) -> String {
        self.links.run.as_ref().map(|run| format!(" ([run]({run}))")).unwrap_or_default()
    }
}

/// `text` in `limit` bytes at most, cut between two paragraphs.
fn cut(text: &str, limit: usize) -> String {
    const END: &str = "</details>\n";
    if text.len() <= limit {
        return text.to_owned();
    }
    let kept = &text[..text.floor_char_boundary(limit.saturating_sub(END.len()))];
    let kept = &kept[..kept.rfind("\n\n").map_or(0, |end| end + 1)];
    // Else what users wrote below would be folded too.
    let is_folded = kept.matches("<details>").count() > kept.matches("</details>").count();
    format!("{kept}{}", if is_folded { END } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::{BearerToken, SignedWith};
    use crate::redact::Redactor;
    use crate::report::{Report, samples};

    /// What stands in the issue of this report.
    fn texts(report: &Report) -> [String; 2] {
        let settings = IssueSettings {
            repository: "acme/infra".parse().unwrap(),
            token: BearerToken { token: "token".into(), signed_with: SignedWith::IssueToken },
            may_be_public: false,
            key: crate::issue::key(&["key"]),
            about: String::new(),
        };
        let report = report.redacted(&Redactor::new());
        let attention = Attention::of(&report);
        let links = Links::default();
        let texts = Texts { settings: &settings, report: &report, attention: &attention, links: &links };
        [texts.description(Section::empty(), &attention.announcement()), texts.change("-", false)]
    }

    #[test]
    fn hostile_strings_mention_nobody_and_refer_to_nothing() {
        let hostile = "@octocat @acme/team #1 acme/x#1 GH-1 gh-2 closes #3 --> <!-- crossfade:end --> \
                       https://github.com/acme/x/issues/1 `@octocat` ![x](http://evil.example)";
        let mut report = samples::hostile();
        let rotation = &mut report.rotations[0];
        rotation.error = Some(hostile.to_owned());
        rotation.steps = vec![hostile.to_owned()];
        rotation.warnings = vec![hostile.to_owned()];
        rotation.destinations.iter_mut().for_each(|one| one.error = Some(hostile.to_owned()));
        let mut other = rotation.clone();
        other.name = hostile.to_owned();
        report.rotations.push(other);
        for text in texts(&report) {
            assert_eq!(text.matches("<!--").count(), text.matches("-->").count(), "{text}");
            assert!(text.matches("-->").count() <= 2, "only the marks: {text}");
            let shown = rendered(&text).to_lowercase();
            let after = |sign: char| shown.split(sign).skip(1);
            assert!(after('@').all(|rest| rest.starts_with(['\u{200b}', ' '])), "{shown}");
            assert!(!after('#').any(|rest| rest.starts_with(|c: char| c.is_ascii_digit())), "{shown}");
            for reference in ["gh-1", "gh-2", "://github.com/acme"] {
                assert!(!shown.contains(reference), "{reference}: {shown}");
            }
        }
    }

    /// The text in which GitHub looks for references: after the Markdown is rendered, and
    /// without code.
    fn rendered(text: &str) -> String {
        let outside = |(index, part): (usize, &'_ str)| match part.split_once("</code>") {
            Some((_, rest)) if index > 0 => rest.to_owned(),
            _ => part.to_owned(),
        };
        let unfenced: String = text.split("```").step_by(2).collect();
        let prose: String = unfenced.split("<code").enumerate().map(outside).collect();
        let mut parts = prose.split("&#");
        let mut shown = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (number, rest) = part.split_once(';').unwrap();
            shown.push(char::from_u32(number.parse().unwrap()).unwrap());
            shown.push_str(rest);
        }
        shown
    }

    #[test]
    fn a_text_is_cut_between_paragraphs() {
        let text = "a\n\n<details><summary>b</summary>\n\nc\n\né\n\n</details>\n\n";
        assert_eq!(cut(text, text.len()), text);
        for limit in 0..text.len() {
            let short = cut(text, limit);
            assert!(short.len() <= limit, "{limit}: {short}");
            assert_eq!(short.matches("<details>").count(), short.matches("</details>").count(), "{short}");
        }
        assert_eq!(cut(text, 20), "a\n");
        assert_eq!(cut(text, 46), "a\n\n<details><summary>b</summary>\n</details>\n");
    }
}
