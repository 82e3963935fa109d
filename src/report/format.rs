//! Phrases that all reports for users share: verdicts, times, counts.
//!
//! [`super::text`] and [`super::summary`] decide the layout.

use jiff::{SignedDuration, Timestamp};

use super::model::{Condition, Expiring, Finding, Report, RotationOutcome, RotationReport, Verdict};

/// How long before its expiry the GitHub credential is reported.
const WRITER_WARNING: SignedDuration = SignedDuration::from_hours(14 * 24);

/// In the order of importance: failures first.
const OUTCOMES: [RotationOutcome; 4] =
    [RotationOutcome::Failed, RotationOutcome::Rotated, RotationOutcome::Planned, RotationOutcome::Fresh];

/// The outcome in two words at most.
pub(super) fn outcome(rotation: &RotationReport) -> &'static str {
    match rotation.outcome {
        RotationOutcome::Rotated => "rotated",
        RotationOutcome::Fresh => "fresh",
        RotationOutcome::Planned if mints(rotation) => "would rotate",
        RotationOutcome::Planned => "would retire",
        RotationOutcome::Failed => "failed",
    }
}

/// Whether the verdict is to mint.
pub(super) fn mints(rotation: &RotationReport) -> bool {
    match rotation.reason {
        Some(Verdict::Due | Verdict::Forced | Verdict::Undelivered | Verdict::Missing) => true,
        Some(Verdict::Fresh | Verdict::InFlight) | None => false,
    }
}

/// Why the verdict is what it is; reads on from "because". `None` where the run
/// did not get so far.
pub(super) fn because(rotation: &RotationReport) -> Option<String> {
    let reason = match rotation.reason? {
        Verdict::Fresh => return Some(rotation.reason_text.clone().unwrap_or("nothing is due".to_owned())),
        Verdict::Due => "it is due",
        Verdict::Forced => return Some("it is forced".to_owned()),
        Verdict::Undelivered => "the current token is not everywhere",
        Verdict::InFlight => "another run is at work, or ended a moment ago",
        Verdict::Missing => "there is no such token",
    };
    Some(match &rotation.reason_text {
        Some(text) => format!("{reason}: {text}"),
        None => reason.to_owned(),
    })
}

/// `1 failed, 2 rotated`: how many rotations have which verdict.
pub(super) fn tally(report: &Report) -> String {
    let counts: Vec<String> = OUTCOMES
        .iter()
        .filter_map(|&outcome| {
            let count = report.rotations.iter().filter(|rotation| rotation.outcome == outcome).count();
            let word = match outcome {
                RotationOutcome::Rotated => "rotated",
                RotationOutcome::Fresh => "fresh",
                RotationOutcome::Planned => "with something to do",
                RotationOutcome::Failed => "failed",
            };
            (count > 0).then(|| format!("{count} {word}"))
        })
        .collect();
    if counts.is_empty() { "nothing to look after".to_owned() } else { counts.join(", ") }
}

/// The rotations, failed ones first.
pub(super) fn failed_first(report: &Report) -> Vec<&RotationReport> {
    OUTCOMES
        .iter()
        .flat_map(|&outcome| report.rotations.iter().filter(move |rotation| rotation.outcome == outcome))
        .collect()
}

/// `2026-09-01 08:00 UTC (in 12 days)`; without the distance where *now* is not
/// known. `None` becomes `otherwise`.
pub(super) fn when(time: Option<Timestamp>, now: Option<Timestamp>, otherwise: &str) -> String {
    match (time, now) {
        (None, _) => otherwise.to_owned(),
        (Some(time), None) => date(time),
        (Some(time), Some(now)) => format!("{} ({})", date(time), distance(time.duration_since(now))),
    }
}

/// A warning if the GitHub credential expires soon: crossfade does not rotate it, and
/// cannot work without it.
pub(super) fn writer_ends(report: &Report) -> Option<String> {
    let (now, end) = report.now.zip(report.github_credential_expires_at)?;
    let when = when(Some(end), Some(now), "");
    (end.duration_since(now) <= WRITER_WARNING)
        .then(|| format!("the GitHub token that writes secrets ends {when}; replace it before"))
}

/// `in 12 days, 2026-09-01`: as precise as a table needs it.
pub(super) fn brief(time: Option<Timestamp>, now: Option<Timestamp>, otherwise: &str) -> String {
    match (time, now) {
        (None, _) => otherwise.to_owned(),
        (Some(time), None) => date(time),
        (Some(time), Some(now)) => {
            let ahead = time.duration_since(now);
            let is_near = ahead.unsigned_abs().as_secs() < 2 * 86_400;
            let date = time.strftime(if is_near { "%Y-%m-%d %H:%M UTC" } else { "%Y-%m-%d" });
            format!("{}, {date}", distance(ahead))
        }
    }
}

/// `token tok-1 of ci-ingest`
pub(super) fn expiring(one: &Expiring) -> String {
    match (&one.rotation, &one.id) {
        (Some(rotation), Some(id)) => format!("token {id} of {rotation}"),
        _ => "the GitHub credential".to_owned(),
    }
}

/// How many destinations a sentence names.
const NAMED: usize = 3;

/// `is undelivered: acme/api:AXIOM_TOKEN and 2 more`; reads on from a rotation's name.
pub(super) fn finding(one: &Finding) -> String {
    let state = match one.condition {
        Condition::Undelivered => "is undelivered",
        Condition::Due => return "is due".to_owned(),
        Condition::Unknown => "has secrets whose token is unknown",
    };
    let (named, rest) = one.destinations.split_at(one.destinations.len().min(NAMED));
    let rest = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    format!("{state}: {}{rest}", named.join(", "))
}

/// `2026-09-01 08:00 UTC`
pub(super) fn date(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `in 12 days`, `3 hours ago`. Rounded down, so that no token seems valid for longer
/// than it is.
fn distance(ahead: SignedDuration) -> String {
    let minutes = ahead.unsigned_abs().as_secs() / 60;
    let (count, unit) = match minutes {
        0 => return "now".to_owned(),
        1..120 => (minutes, "minute"),
        120..2880 => (minutes / 60, "hour"),
        _ => (minutes / 1440, "day"),
    };
    let length = counted(count, unit);
    if ahead.is_negative() { format!("{length} ago") } else { format!("in {length}") }
}

/// Enough of an id for users; programs get the whole one.
pub(super) fn short(id: &str) -> &str {
    id.char_indices().nth(8).map_or(id, |(end, _)| &id[..end])
}

/// `"ci-ingest" (id)`
pub(super) fn named(id: &str, name: &str) -> String {
    format!("\"{name}\" ({id})")
}

/// `1 day`, `2 days`
pub(super) fn counted(count: u64, unit: &str) -> String {
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_rounded_down() {
        let minute = 60;
        let (hour, day) = (60 * minute, 24 * 60 * minute);
        let cases = [
            (59, "now"),
            (-59, "now"),
            (minute, "in 1 minute"),
            (2 * hour - 1, "in 119 minutes"),
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
    fn a_time_is_as_precise_as_it_is_known() {
        let time = "2026-09-01T08:00:59Z".parse().ok();
        let now = "2026-09-01T06:00:00Z".parse().ok();
        assert_eq!(when(time, now, "never"), "2026-09-01 08:00 UTC (in 2 hours)");
        assert_eq!(when(time, None, "never"), "2026-09-01 08:00 UTC");
        assert_eq!(when(None, now, "never"), "never");
    }
}
