//! Five fields of cron, in UTC, as GitHub reads them: enough to know how far apart runs are.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// How far ahead is looked.
const DAYS: i64 = 60;

/// The minutes of a day.
const DAY: i64 = 24 * 60;

/// When a schedule starts runs. Each field is a set of bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// A day must match both, unless both are restricted: then one is enough.
    needs_both_days: bool,
}

impl Cron {
    /// Reads five fields; `None`: this is no schedule that GitHub takes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        const MONTHS: &str = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC";
        const WEEKDAYS: &str = "SUNMONTUEWEDTHUFRISAT";
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else { return None };
        Some(Self {
            minutes: field(minutes, 0, 59, "")?,
            hours: field(hours, 0, 23, "")?,
            days: field(days, 1, 31, "")?,
            months: field(months, 1, 12, MONTHS)?,
            weekdays: field(weekdays, 0, 6, WEEKDAYS)?,
            needs_both_days: days.starts_with('*') || weekdays.starts_with('*'),
        })
    }

    fn runs_on(&self, date: Date) -> bool {
        let day = has(self.days, date.day().into());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset().into());
        let is_day = if self.needs_both_days { day && weekday } else { day || weekday };
        has(self.months, date.month().into()) && is_day
    }

    fn runs_at(&self, minute_of_day: i64) -> bool {
        has(self.hours, minute_of_day / 60) && has(self.minutes, minute_of_day % 60)
    }
}

fn has(set: u64, value: i64) -> bool {
    set >> value & 1 == 1
}

/// The longest time between two runs of these schedules together, in the next 60 days; 60
/// days if there are not two.
pub(crate) fn longest_gap(crons: &[Cron], from: Timestamp) -> SignedDuration {
    let from = TimeZone::UTC.to_datetime(from).date();
    let mut runs = Vec::new();
    for day in 0..DAYS {
        let Ok(date) = from.checked_add(day.days()) else { break };
        let of_day: Vec<&Cron> = crons.iter().filter(|cron| cron.runs_on(date)).collect();
        let minutes = (0..DAY).filter(|minute| of_day.iter().any(|cron| cron.runs_at(*minute)));
        runs.extend(minutes.map(|minute| day * DAY + minute));
    }
    let end = DAYS * DAY;
    let gaps = [0].iter().chain(&runs).zip(runs.iter().chain([&end])).map(|(earlier, later)| later - earlier);
    SignedDuration::from_mins(if runs.len() < 2 { end } else { gaps.max().unwrap_or(end) })
}

/// One field: `*`, `5`, `1-5`, `*/15`, `MON-FRI`, or several with commas. `names`: three
/// letters for each value from `least` on.
fn field(text: &str, least: u32, most: u32, names: &str) -> Option<u64> {
    let number = |text: &str| -> Option<u32> {
        let named = names.as_bytes().chunks(3).position(|name| name.eq_ignore_ascii_case(text.as_bytes()));
        let value = match named {
            Some(position) => least + u32::try_from(position).ok()?,
            None => text.parse().ok()?,
        };
        (least..=most).contains(&value).then_some(value)
    };
    let mut set = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((first, last)) => (number(first)?, number(last)?),
            // `5/15`: from there on.
            None if step > 1 => (number(range)?, most),
            None => (number(range)?, number(range)?),
        };
        if first > last {
            return None;
        }
        (first..=last).step_by(step).for_each(|value| set |= 1_u64 << value);
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(crons: &[&str]) -> String {
        let crons: Option<Vec<Cron>> = crons.iter().map(|cron| Cron::parse(cron)).collect();
        // A Sunday.
        let from = "2026-03-01T10:30:00Z".parse().unwrap();
        crons.map_or("none".to_owned(), |crons| {
            let gap = longest_gap(&crons, from);
            format!("{}h{}", gap.as_hours(), gap.as_mins() % 60)
        })
    }

    #[test]
    fn how_far_apart_runs_are() {
        for (cron, expected) in [
            ("* * * * *", "0h1"),
            ("*/15 * * * *", "0h15"),
            ("7 5 * * *", "24h0"),
            ("7 5,17 * * *", "12h0"),
            ("7 5,6 * * *", "23h0"),
            ("0 5 * * 1", "168h0"),
            ("0 5 * * MON", "168h0"),
            ("0 5 * * mon-fri", "72h0"),
            ("0 5 1 * *", "744h0"),
            ("0 5 1 jan *", "1440h0"),
            // In January alone, on the first and on Sundays.
            ("0 0 1 1 0", "1440h0"),
            ("0 5 1,15 * 1", "168h0"),
            ("0 5 30 2 *", "1440h0"),
        ] {
            assert_eq!(gap(&[cron]), expected, "{cron}");
        }
        assert_eq!(gap(&["0 5 * * 1", "0 5 * * 4"]), "96h0");
    }

    #[test]
    fn what_is_no_schedule() {
        for cron in [
            "",
            "@daily",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "5-1 * * * *",
            "*/0 * * * *",
            "a * * * *",
            "-1 * * * *",
            "1- * * * *",
            "* * * * MONTUE",
        ] {
            assert_eq!(Cron::parse(cron), None, "{cron}");
        }
    }
}
