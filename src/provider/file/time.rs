//! Dates as services write them.

use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::diagnostic::{Invalid, named};

/// How a service writes a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeForm {
    /// `2026-03-02T08:00:00Z`, with or without a fraction and an offset.
    Rfc3339,
    /// `2026-03-02`: the beginning of that day in UTC.
    Date,
    /// Since 1970, like the milliseconds.
    Seconds,
    Milliseconds,
}

/// The unit of a duration, which is rounded down to whole ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Hours,
    Days,
}

impl Unit {
    pub(crate) fn parse(text: &str) -> Result<Self, Invalid> {
        let all = [("seconds", Self::Seconds), ("hours", Self::Hours), ("days", Self::Days)];
        named("unit of time", &all, text)
    }

    pub(crate) fn write(self, duration: SignedDuration) -> Value {
        let seconds = duration.as_secs().max(0);
        json!(match self {
            Self::Seconds => seconds,
            Self::Hours => seconds / 3600,
            Self::Days => seconds / 86_400,
        })
    }
}

/// A number is not a moment in the form that was declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotATime;

/// 2001-09-09: no token of today expired before, so a smaller number has another unit.
const EARLIEST_SECOND: i64 = 1_000_000_000;

impl TimeForm {
    pub(crate) const NAMES: [(&'static str, Self); 4] = [
        ("rfc3339", Self::Rfc3339),
        ("date", Self::Date),
        ("seconds", Self::Seconds),
        ("milliseconds", Self::Milliseconds),
    ];

    pub(crate) fn parse(text: &str) -> Result<Self, Invalid> {
        named("form of a date", &Self::NAMES, text)
    }

    /// The moment that a service wrote; `None`: never. Never is written as nothing, null,
    /// an empty text, the year 1, zero or a negative number.
    pub(crate) fn read(self, value: Option<&Value>) -> Result<Option<Timestamp>, NotATime> {
        let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
        match self {
            Self::Rfc3339 | Self::Date => {
                let text = value.as_str().ok_or(NotATime)?;
                if text.is_empty() || text.starts_with("0001-01-01") {
                    return Ok(None);
                }
                timestamp(text).map(Some).ok_or(NotATime)
            }
            Self::Seconds | Self::Milliseconds => {
                let is_second = self == Self::Seconds;
                let earliest = if is_second { EARLIEST_SECOND } else { EARLIEST_SECOND * 1000 };
                let at = if is_second { Timestamp::from_second } else { Timestamp::from_millisecond };
                match number(value).ok_or(NotATime)? {
                    never if never <= 0 => Ok(None),
                    small if small < earliest => Err(NotATime),
                    number => Ok(Some(at(number).unwrap_or(Timestamp::MAX))),
                }
            }
        }
    }

    /// A moment as the service takes it.
    pub(crate) fn write(self, at: Timestamp) -> Value {
        match self {
            Self::Rfc3339 => json!(at),
            Self::Date => json!(at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()),
            Self::Seconds => json!(at.as_second()),
            Self::Milliseconds => json!(at.as_millisecond()),
        }
    }
}

/// A whole number, also in quotes or with a fraction.
fn number(value: &Value) -> Option<i64> {
    if let Some(number) = value.as_i64().or_else(|| value.as_str()?.parse().ok()) {
        return Some(number);
    }
    let number = value.as_f64().filter(|number| number.abs() < 9e15)?;
    // In range: cut off to whole units.
    format!("{:.0}", number.trunc()).parse().ok()
}

/// A time as services write it: RFC 3339, and UTC where there is no offset. The end
/// of the year 9999, which some write for "never", is the last moment that there is.
fn timestamp(text: &str) -> Option<Timestamp> {
    let pieces = Pieces::parse(text).ok()?;
    let at = pieces.date().to_datetime(pieces.time().unwrap_or_default());
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
    let end = if at.year() == 9999 { Some(Timestamp::MAX) } else { None };
    offset.to_timestamp(at).ok().or(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn never_is_the_last_moment_there_is() {
        let read = |text: &str| timestamp(text).map(|at| at.to_string());
        assert_eq!(read("9999-12-31T23:59:59Z"), Some(Timestamp::MAX.to_string()));
        assert_eq!(read("9999-12-31T23:59:59.9999999+00:00"), Some(Timestamp::MAX.to_string()));
        assert_eq!(read("2026-03-02T08:00:00+02:00").as_deref(), Some("2026-03-02T06:00:00Z"));
        assert_eq!(read("2026-03-02T08:00:00.5").as_deref(), Some("2026-03-02T08:00:00.5Z"));
        for odd in ["", "soon", "2026-02-30T00:00:00Z", "-009999-01-01T00:00:00+25:00"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    #[test]
    fn reads_an_expiry_and_never_takes_an_odd_one_for_none() {
        let at = Some("2021-08-03T14:40:02Z".parse().unwrap());
        let read = |form: TimeForm, value: Value| form.read(Some(&value));
        use TimeForm::{Date, Milliseconds, Rfc3339, Seconds};
        assert_eq!(read(Seconds, json!(1_628_001_602)), Ok(at));
        assert_eq!(read(Seconds, json!(1_628_001_602.9)), Ok(at));
        assert_eq!(read(Milliseconds, json!("1628001602000")), Ok(at));
        assert_eq!(read(Rfc3339, json!("2021-08-03T14:40:02+00:00")), Ok(at));
        assert_eq!(read(Date, json!("2021-08-03")), Ok(Some("2021-08-03T00:00:00Z".parse().unwrap())));
        for never in [json!(0), json!("0"), json!(null), json!(-1), json!(-62_135_596_800_000_i64)] {
            assert_eq!(read(Milliseconds, never.clone()), Ok(None), "{never}");
        }
        for never in [json!(""), json!(null), json!("0001-01-01T00:00:00Z")] {
            assert_eq!(read(Rfc3339, never.clone()), Ok(None), "{never}");
        }
        assert_eq!(read(Milliseconds, json!(i64::MAX)), Ok(Some(Timestamp::MAX)));
        for odd in
            [json!("soon"), json!(""), json!({}), json!(true), json!("2026-03-02"), json!(1_628_001_602)]
        {
            assert_eq!(read(Milliseconds, odd.clone()), Err(NotATime), "{odd}: it may have another unit");
        }
        for odd in [json!(1_628_001_602), json!("soon"), json!({}), json!(true)] {
            assert_eq!(read(Rfc3339, odd.clone()), Err(NotATime), "{odd}");
        }
    }

    #[test]
    fn writes_each_form() {
        let at: Timestamp = "2026-05-31T09:00:00.25Z".parse().unwrap();
        assert_eq!(TimeForm::Rfc3339.write(at), json!("2026-05-31T09:00:00.25Z"));
        assert_eq!(TimeForm::Date.write(at), json!("2026-05-31"));
        assert_eq!(TimeForm::Seconds.write(at), json!(1_780_218_000));
        assert_eq!(TimeForm::Milliseconds.write(at), json!(1_780_218_000_250_i64));
        let duration = SignedDuration::from_millis(90_061_999);
        let written = [Unit::Seconds, Unit::Hours, Unit::Days].map(|unit| unit.write(duration));
        assert_eq!(written, [json!(90_061), json!(25), json!(1)]);
    }

    proptest! {
        #[test]
        fn no_time_panics(number in any::<i64>(), float in any::<f64>(), text in ".{0,20}") {
            for (_, form) in TimeForm::NAMES {
                for value in [json!(number), json!(float), json!(text)] {
                    let _ = form.read(Some(&value));
                }
            }
        }
    }
}
