//! RFC 3339 times: read with any offset, written in UTC.

use std::time::{Duration, UNIX_EPOCH};

use toml::value::{Datetime, Offset};

use crate::oauth::time::Timestamp;

/// The last millisecond of year 9999: RFC 3339 writes years with four digits.
const LAST: Timestamp = Timestamp::from_unix_millis(253_402_300_799_999);

/// Reads a date with time and offset, such as `2026-11-23T10:00:00Z`. Fractions of a millisecond are dropped.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    from_toml(&text.parse().ok()?)
}

/// The moment of a TOML date; none where it lacks date, time or offset, or lies before 1970 or, in UTC, after 9999.
pub(crate) fn from_toml(datetime: &Datetime) -> Option<Timestamp> {
    let (date, time) = (datetime.date?, datetime.time?);
    let offset_minutes = match datetime.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    let days = days_since_epoch(i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let minutes = (days * 24 + i64::from(time.hour)) * 60 + i64::from(time.minute) - offset_minutes;
    let nanoseconds = time.nanosecond.unwrap_or(0);
    let millis = (minutes * 60 + i64::from(time.second.unwrap_or(0))) * 1000 + i64::from(nanoseconds / 1_000_000);
    u64::try_from(millis).ok().map(Timestamp::from_unix_millis).filter(|moment| *moment <= LAST)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years are counted from March, so that the leap day ends one.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month_from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    year * 365 + leap_days + day_of_year - 719_468
}

/// Writes a moment, in UTC, with milliseconds only where it has some; one after 9999 as the last of that year.
pub fn format(moment: Timestamp) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(moment.min(LAST).unix_millis());
    humantime::format_rfc3339(time).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_with_any_offset_are_read() {
        let seconds = |text| parse(text).map(Timestamp::unix_seconds);
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2026-11-23T10:00:00Z"), Some(1_795_428_000));
        assert_eq!(seconds("2026-11-23T12:00:00+02:00"), Some(1_795_428_000));
        assert_eq!(seconds("2024-02-29T23:59:59-00:30"), Some(1_709_252_999));
        assert_eq!(parse("2026-11-23T10:00:00.25Z").unwrap().unix_millis() % 1000, 250);
        for text in
            ["2026-11-23", "2026-11-23T10:00:00", "10:00:00", "now", "1969-12-31T23:59:59Z", "2026-02-30T00:00:00Z"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn time_ends_with_year_9999() {
        let last = "9999-12-31T23:59:59.999Z";
        assert_eq!(parse(last), Some(LAST));
        assert_eq!(parse("9999-12-31T23:59:59-00:01"), None);
        assert_eq!(parse(&format(Timestamp::from_unix_millis(u64::MAX))), Some(LAST));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(millis in 0u64..250_000_000_000_000) {
            let moment = Timestamp::from_unix_millis(millis);
            prop_assert_eq!(parse(&format(moment)), Some(moment));
        }
    }
}
