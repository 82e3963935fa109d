//! Times as the document has them.

use jiff::Timestamp;
use serde::{Serialize as _, Serializer};

/// RFC 3339 in UTC, in whole seconds: what is past is not shown as yet to come.
pub(in crate::report) fn rfc3339(time: Timestamp) -> String {
    format!("{time:.0}")
}

/// The same for what may be unknown: `null`.
pub(super) fn optional_time<S: Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_seconds_in_utc() {
        let time = |text: &str| rfc3339(text.parse().unwrap());
        assert_eq!(time("2026-09-01T08:00:00.999+02:00"), "2026-09-01T06:00:00Z");
        assert_eq!(time("2026-09-01T08:00:00Z"), "2026-09-01T08:00:00Z");
    }
}
