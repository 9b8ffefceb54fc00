//! Points in time as people write them, and as they are shown. Pure.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Reads milliseconds since 1970, a date, or a date and time; without an offset it is UTC.
pub(crate) fn parse(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let in_utc = |time: DateTime| TimeZone::UTC.to_timestamp(time);
    let timestamp =
        text.parse::<Timestamp>().or_else(|_| text.parse::<DateTime>().and_then(in_utc)).or_else(|_| {
            text.parse::<Date>().and_then(|date| in_utc(date.to_datetime(jiff::civil::Time::midnight())))
        });
    timestamp.ok().map(Timestamp::as_millisecond)
}

/// As `2026-11-23T10:00:00.123Z`; a number that is no point in time of this calendar stays a number.
pub(crate) fn format(milliseconds: i64) -> String {
    match Timestamp::from_millisecond(milliseconds) {
        Ok(timestamp) => format!("{timestamp:.3}"),
        Err(_) => milliseconds.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_an_offset() {
        let expected = Some(1_763_892_000_000);
        for text in [
            "1763892000000",
            "2025-11-23T10:00:00Z",
            "2025-11-23T11:00:00+01:00",
            "2025-11-23T10:00:00",
            "2025-11-23 10:00",
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!(parse("2025-11-23"), Some(1_763_856_000_000));
        assert_eq!(parse("2025-11-23T10:00:00.250Z"), Some(1_763_892_000_250));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "+3", "now", "2025-13-01", "25:00", "2025-11-23T10:00:00Q"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_shown_in_utc_with_milliseconds() {
        assert_eq!(format(1_763_892_000_250), "2025-11-23T10:00:00.250Z");
        assert_eq!(format(1_763_892_000_000), "2025-11-23T10:00:00.000Z");
        assert_eq!(format(i64::MAX), i64::MAX.to_string());
    }
}
