//! Times, distances, counts and ids as every report for users (not JSON) writes them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::model::{Condition, Expiring, Finding, Report};

/// How long before its expiry the GitHub credential is reported.
const CREDENTIAL_WARNING: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Of a long id, at least so many characters are shown.
const SHORT_ID: usize = 8;
/// Ids up to this length are shown whole.
const WHOLE_ID: usize = 16;
/// From this distance on, the date is shown without the time of day.
const FAR: SignedDuration = SignedDuration::from_hours(48);

/// How this report writes times and ids.
pub(crate) struct Format {
    pub(super) now: Option<Timestamp>,
    /// How many bytes of each id tell it from all others.
    ids: BTreeMap<String, usize>,
}

impl Format {
    pub(super) fn new(report: &Report) -> Self {
        let ids: BTreeSet<&str> = report
            .rotations
            .iter()
            .flat_map(|rotation| {
                let token = rotation.token.iter().map(|token| &token.id);
                let held = rotation.destinations.iter().filter_map(|destination| destination.holds.as_ref());
                let ends = rotation.previous.iter().chain(held).map(|end| &end.id);
                let spans = rotation.tokens.iter().map(|span| &span.id);
                token.chain(ends).chain(spans).chain(&rotation.retired)
            })
            .chain(report.unmanaged.iter().flatten().map(|token| &token.id))
            .map(String::as_str)
            .collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let common = |a: &str, b: &str| a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
        let length = |index: usize| {
            // In this order the most similar ids are neighbours.
            let id = ids[index];
            let before = index.checked_sub(1).map_or(0, |before| common(id, ids[before]));
            let after = ids.get(index + 1).map_or(0, |after| common(id, after));
            let shown = SHORT_ID.max(before.max(after) + 1);
            let is_whole = id.chars().count() <= WHOLE_ID.max(shown + 2);
            let end = if is_whole { None } else { id.char_indices().nth(shown) };
            (id.to_owned(), end.map_or(id.len(), |(end, _)| end))
        };
        Self { now: report.now, ids: (0..ids.len()).map(length).collect() }
    }

    /// For sentences without ids of a report.
    pub(crate) fn at(now: Option<Timestamp>) -> Self {
        Self { now, ids: BTreeMap::new() }
    }

    /// The beginning of an id that tells it from all others in the report.
    pub(super) fn id<'a>(&self, id: &'a str) -> &'a str {
        self.ids.get(id).map_or(id, |&length| &id[..length])
    }

    /// `2026-09-01 (in 12 days)`, with the time of day if that is near or *now* is unknown.
    pub(crate) fn when(&self, time: Timestamp) -> String {
        let Some(now) = self.now else { return date(time) };
        let ahead = time.duration_since(now);
        let date = if ahead.abs() < FAR { date(time) } else { day(time) };
        format!("{date} ({})", distance(ahead))
    }

    /// The same for the end of a token; `None` is one that has none.
    pub(super) fn end(&self, time: Option<Timestamp>) -> String {
        time.map_or_else(|| "never".to_owned(), |time| self.when(time))
    }

    /// A sentence of [`crate::rotation`] with its ids and times in this form. What stands
    /// between backticks is there to be copied, and stays.
    pub(crate) fn sentence(&self, text: &str) -> String {
        let is_delimiter = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'));
        let mut sentence = String::with_capacity(text.len());
        let (mut is_quoted, mut in_brackets) = (false, false);
        for piece in text.split_inclusive(is_delimiter) {
            let word = piece.trim_end_matches(is_delimiter).trim_end_matches(['.', ':']);
            match word.parse::<Timestamp>() {
                _ if is_quoted => sentence.push_str(word),
                Ok(time) if in_brackets => {
                    sentence.push_str(&self.when(time).replace(" (", ", ").replace(')', ""));
                }
                Ok(time) => sentence.push_str(&self.when(time)),
                Err(_) => sentence.push_str(self.id(word)),
            }
            sentence.push_str(&piece[word.len()..]);
            match piece.chars().last() {
                Some('`') => is_quoted = !is_quoted,
                Some('(') => in_brackets = true,
                Some(')') => in_brackets = false,
                _ => {}
            }
        }
        sentence
    }

    /// `token tok-1 of ci-ingest`
    pub(super) fn expiring(&self, one: &Expiring) -> String {
        match (&one.rotation, &one.id) {
            (Some(rotation), Some(id)) => format!("token {} of {rotation}", self.id(id)),
            _ => "the GitHub credential".to_owned(),
        }
    }
}

/// `ci-ingest is undelivered: acme/api:AXIOM_TOKEN and 2 more`
pub(super) fn finding(one: &Finding) -> String {
    let state = match one.condition {
        Condition::Undelivered => "is undelivered",
        Condition::Due => return format!("{} is due", one.rotation),
        Condition::Unknown => "has secrets whose token is unknown",
        Condition::After => {
            return format!("a workflow of {} has not been started since the last write", one.rotation);
        }
    };
    let destinations: Vec<&str> = one.destinations.iter().map(String::as_str).collect();
    format!("{} {state}: {}", one.rotation, names(&destinations, str::to_owned))
}

/// A warning if the GitHub credential expires soon: crossfade does not rotate it, and
/// cannot work without it.
pub(super) fn credential_warning(report: &Report, format: &Format) -> Option<String> {
    let (now, end) = report.now.zip(report.github_credential_expires_at)?;
    let (verb, when) = (if end <= now { "expired" } else { "expires" }, format.when(end));
    (end.duration_since(now) <= CREDENTIAL_WARNING)
        .then(|| format!("the GitHub credential, which writes the secrets, {verb} {when}: renew it"))
}

/// `2026-09-01`
pub(super) fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

/// `2026-09-01 08:00 UTC`
pub(super) fn date(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `in 12 days`, `3 hours ago`. Rounded down, so that no token seems valid for longer
/// than it is.
fn distance(ahead: SignedDuration) -> String {
    let minutes = usize::try_from(ahead.unsigned_abs().as_secs() / 60).unwrap_or(usize::MAX);
    let (count, unit) = match minutes {
        0 => return "now".to_owned(),
        1..60 => (minutes, "minute"),
        60..2880 => (minutes / 60, "hour"),
        _ => (minutes / 1440, "day"),
    };
    let length = counted(count, unit);
    if ahead.is_negative() { format!("{length} ago") } else { format!("in {length}") }
}

pub(super) fn named(id: &str, name: &str) -> String {
    format!("\"{name}\" ({id})")
}

/// `1 day`, `2 days`
pub(crate) fn counted(count: usize, unit: &str) -> String {
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// `1 of 2 secrets was`, `2 of 3 secrets were`
pub(super) fn share(count: usize, of: usize, verb: [&str; 2]) -> String {
    format!("{count} of {} {}", counted(of, "secret"), verb[usize::from(count != 1)])
}

/// `a`, `a and b`, `a, b, c and 297 more`; each name through `shown`.
pub(crate) fn names(names: &[&str], shown: impl Fn(&str) -> String) -> String {
    const NAMED: usize = 3;
    let named: Vec<String> = names.iter().take(NAMED).map(|name| shown(name)).collect();
    listed(&named, names.len())
}

/// `a and b`, or `a, b and 297 more` if these are the first of a longer list.
pub(crate) fn listed(first: &[String], of: usize) -> String {
    match (first, of - first.len()) {
        ([others @ .., last], 0) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        (_, 0) => first.concat(),
        (_, more) => format!("{} and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, span};
    use super::*;
    use crate::report::RotationReport;

    fn format(ids: &[&str]) -> Format {
        let tokens = ids.iter().map(|id| span(id, "2026-08-01T06:00:00Z", None, 0)).collect();
        Format::new(&samples::report(vec![RotationReport { tokens, ..RotationReport::new("ci", "axiom") }]))
    }

    #[test]
    fn distances_are_rounded_down() {
        let minute = 60;
        let (hour, day) = (60 * minute, 24 * 60 * minute);
        let cases = [
            (59, "now"),
            (-59, "now"),
            (minute, "in 1 minute"),
            (-60 * minute, "1 hour ago"),
            (2 * hour - 1, "in 1 hour"),
            (2 * hour, "in 2 hours"),
            (2 * day - 1, "in 47 hours"),
            (13 * day - 1, "in 12 days"),
            (-13 * day, "13 days ago"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(distance(SignedDuration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn the_time_of_day_is_shown_where_it_matters() {
        let format = |now: Option<&str>| Format { now: now.map(|now| now.parse().unwrap()), ..format(&[]) };
        let time: Timestamp = "2026-09-03T08:00:59Z".parse().unwrap();
        assert_eq!(format(Some("2026-09-03T06:00:00Z")).when(time), "2026-09-03 08:00 UTC (in 2 hours)");
        assert_eq!(format(Some("2026-09-01T06:00:00Z")).when(time), "2026-09-03 (in 2 days)");
        assert_eq!(format(None).when(time), "2026-09-03 08:00 UTC");
        assert_eq!(format(None).end(None), "never");
    }

    #[test]
    fn an_id_is_as_short_as_is_clear() {
        let ids = [
            "39f5b311-04de-4f44-9d3e-6d4d46c31c19",
            "39f5b311-04de-5f44-9d3e-6d4d46c31c19",
            "c69d4bd8-b3fa-4aa7-a1fa-b9d78c7e134f",
            "TKN-1671-0642",
            "ÄÖÜäöüßÄÖÜäöüßÄÖÜäöüß",
        ];
        let format = format(&ids);
        let short = ids.map(|id| format.id(id));
        assert_eq!(short, ["39f5b311-04de-4", "39f5b311-04de-5", "c69d4bd8", "TKN-1671-0642", "ÄÖÜäöüßÄ"]);
        assert_eq!(format.id("not-of-this-report-and-long"), "not-of-this-report-and-long");
    }

    #[test]
    fn sentences_have_short_ids_and_readable_times() {
        let id = "c69d4bd8-b3fa-4aa7-a1fa-b9d78c7e134f";
        let text =
            format!("token {id}: until 2026-09-08T06:00:00Z. Add `trusted: {id}` (2026-09-01T07:00:00Z).");
        assert_eq!(
            format(&[id]).sentence(&text),
            format!(
                "token c69d4bd8: until 2026-09-08 (in 7 days). Add `trusted: {id}` (2026-09-01 07:00 UTC, in 1 hour)."
            )
        );
    }

    #[test]
    fn many_names_are_counted() {
        let named = |count: usize| names(&["a", "b", "c", "d", "e"][..count], |name| format!("<{name}>"));
        let all: Vec<String> = (0..=5).map(named).collect();
        assert_eq!(
            all,
            [
                "",
                "<a>",
                "<a> and <b>",
                "<a>, <b> and <c>",
                "<a>, <b>, <c> and 1 more",
                "<a>, <b>, <c> and 2 more"
            ]
        );
    }
}
