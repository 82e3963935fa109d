//! A length of time as people write it: `90d`, `48h`, `1d12h`.
//!
//! A day is 24 hours here. Parsing and printing only; what a period means is
//! decided in [`crate::config::Policy`].

use std::fmt;
use std::str::FromStr;

use jiff::fmt::friendly::{Designator, Spacing, SpanParser, SpanPrinter};
use jiff::{SignedDuration, Span, SpanRelativeTo, Unit};
use serde::{Serialize, Serializer};

use crate::diagnostic::{Invalid, quoted};
use crate::yaml::keys::by_text;

/// A length of time, never negative, in whole milliseconds, at most 100 years.
///
/// Read: `w`, `d`, `h`, `m`, `s`, `ms` and their long names, combined
/// (`1d12h`), with spaces if one likes. No months or years: they have no length.
/// Printed in one form: largest units first, nothing that is zero, days as the
/// largest unit (`48h` is printed as `2d`, nothing as `0h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Period(SignedDuration);

by_text! {
    Period, Self::from_str;
}

/// The longest period: 100 years of 365.25 days.
const MAX: SignedDuration = SignedDuration::from_hours(36_525 * 24);

impl Period {
    /// So many days of 24 hours.
    pub(crate) const fn from_days(days: i64) -> Self {
        Self(SignedDuration::from_hours(days * 24))
    }

    /// So many seconds.
    pub(crate) const fn from_secs(seconds: i64) -> Self {
        Self(SignedDuration::from_secs(seconds))
    }

    /// The length, for arithmetic with timestamps.
    pub(crate) const fn duration(self) -> SignedDuration {
        self.0
    }

    /// The length, for timers.
    pub(crate) const fn unsigned(self) -> std::time::Duration {
        self.0.unsigned_abs()
    }

    /// Whether it has no length at all.
    pub(crate) const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl FromStr for Period {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let trimmed = text.trim();
        if !trimmed.is_empty() && trimmed.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Invalid::new(format!("{} has no unit (try {trimmed}d for days)", quoted(trimmed))));
        }
        let bad = || Invalid::text("duration", trimmed).hint("try 90d, 48h or 1d12h");
        // `M` stays: some mean months by it, which must not be read as minutes.
        let lower: String =
            trimmed.chars().map(|c| if c == 'M' { c } else { c.to_ascii_lowercase() }).collect();
        let span = SpanParser::new().parse_span(&lower).map_err(|_| bad())?;
        if span.is_negative() {
            return Err(bad());
        }
        if span.get_years() != 0 || span.get_months() != 0 {
            return Err(Invalid::new(format!(
                "{} has months or years, whose length varies (try days, such as 90d)",
                quoted(trimmed)
            )));
        }
        let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| bad())?;
        if length > MAX {
            return Err(Invalid::new(format!("{} is longer than 100 years", quoted(trimmed))));
        }
        if length.subsec_nanos() % 1_000_000 != 0 {
            return Err(Invalid::new(format!("{} is more precise than a millisecond", quoted(trimmed))));
        }
        Ok(Self(length))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let span = Span::new()
            .days(seconds / 86_400)
            .hours(seconds / 3_600 % 24)
            .minutes(seconds / 60 % 60)
            .seconds(seconds % 60)
            .milliseconds(i64::from(self.0.subsec_millis()));
        let printer =
            SpanPrinter::new().designator(Designator::Compact).spacing(Spacing::None).zero_unit(Unit::Hour);
        f.write_str(&printer.span_to_string(&span))
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn printed(text: &str) -> String {
        text.parse::<Period>().map_or_else(|e| e.to_string(), |p| p.to_string())
    }

    #[test]
    fn one_canonical_form() {
        for (read, canonical) in [
            ("90d", "90d"),
            ("48h", "2d"),
            ("36h", "1d12h"),
            ("1d12h", "1d12h"),
            ("1d 12h", "1d12h"),
            (" 90 D ", "90d"),
            ("2 weeks", "14d"),
            ("90 minutes", "1h30m"),
            ("1.5h", "1h30m"),
            ("200ms", "200ms"),
            ("30s", "30s"),
            ("0h", "0h"),
            ("0d", "0h"),
            ("36525d", "36525d"),
        ] {
            assert_eq!(printed(read), canonical, "{read}");
        }
    }

    #[test]
    fn refusals_say_how_to_write_it() {
        insta::assert_snapshot!(
            ["90x", "", "90", "-3d", "3d ago", "3M", "3mo", "1y", "99999999d", "1us", "d", "P3D"].map(printed).join("\n"),
            @r#"
            invalid duration `90x` (try 90d, 48h or 1d12h)
            duration is empty (try 90d, 48h or 1d12h)
            `90` has no unit (try 90d for days)
            invalid duration `-3d` (try 90d, 48h or 1d12h)
            invalid duration `3d ago` (try 90d, 48h or 1d12h)
            invalid duration `3M` (try 90d, 48h or 1d12h)
            `3mo` has months or years, whose length varies (try days, such as 90d)
            `1y` has months or years, whose length varies (try days, such as 90d)
            invalid duration `99999999d` (try 90d, 48h or 1d12h)
            `1us` is more precise than a millisecond
            invalid duration `d` (try 90d, 48h or 1d12h)
            invalid duration `P3D` (try 90d, 48h or 1d12h)
            "#
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(milliseconds in 0..=MAX.as_millis() as i64) {
            let period = Period(SignedDuration::from_millis(milliseconds));
            prop_assert_eq!(period.to_string().parse::<Period>().unwrap(), period);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[0-9a-zA-Z .:+-]{0,12}|\\PC*") {
            let _ = text.parse::<Period>();
        }
    }
}
