//! Instants as plain numbers.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Milliseconds since 1970, UTC.
pub type Millis = i64;

/// RFC 3339, UTC, to the millisecond.
pub fn rfc3339(at: Millis) -> String {
    match Timestamp::from_millisecond(at) {
        Ok(at) => format!("{at:.3}"),
        // Beyond the year 9999.
        Err(_) => at.to_string(),
    }
}

/// The instant that a log or an alert names: RFC 3339 with or without zone (then UTC), or a number of seconds,
/// milliseconds, microseconds or nanoseconds since 1970.
pub fn parse(text: &str) -> Option<Millis> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.as_millisecond());
    }
    if let Ok(number) = text.parse::<f64>() {
        return number.is_finite().then(|| scale(number)).flatten();
    }
    let civil: DateTime = text.parse().ok()?;
    Some(TimeZone::UTC.to_timestamp(civil).ok()?.as_millisecond())
}

/// Seconds of today have 10 digits, milliseconds 13, microseconds 16, nanoseconds 19.
fn scale(number: f64) -> Option<Millis> {
    let millis = match number.abs() {
        0.0..1e11 => number * 1e3,
        1e11..1e14 => number,
        1e14..1e17 => number / 1e3,
        1e17..1e20 => number / 1e6,
        _ => return None,
    };
    Some(millis as Millis)
}

/// How long `48h`, `2d`, `1h 30m` or another text of jiff's is; more than nothing.
pub fn duration(text: &str) -> Result<Millis, String> {
    let wrong = || format!("`{text}` is no time; write it as 36h or 2d");
    let days = text.trim().strip_suffix('d').and_then(|days| days.trim().parse::<i64>().ok());
    let time = match days {
        Some(days) => SignedDuration::from_hours(days.checked_mul(24).ok_or_else(wrong)?),
        None => text.parse::<SignedDuration>().map_err(|_| wrong())?,
    };
    let millis = Millis::try_from(time.as_millis()).map_err(|_| wrong())?;
    // Somebody adds it to the time of today.
    match millis > 0 && millis < i64::MAX / 4 {
        true => Ok(millis),
        false => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_as_logs_write_them() {
        let second = Some(1_767_323_045_000);
        for text in [
            "2026-01-02T03:04:05Z",
            "2026-01-02T04:04:05+01:00",
            "2026-01-02T03:04:05",
            "2026-01-02 03:04:05",
            " 1767323045 ",
            "1767323045.0",
            "1767323045000",
            "1767323045000000",
            "1767323045000000000",
        ] {
            assert_eq!(parse(text), second, "{text}");
        }
        assert_eq!(parse("2026-01-02T03:04:05.678901Z"), Some(1_767_323_045_678));
        for text in ["", "yesterday", "NaN", "inf", "1e300", "Jan  2 03:04:05"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(rfc3339(1_767_323_045_678), "2026-01-02T03:04:05.678Z");
        assert_eq!(rfc3339(i64::MAX), i64::MAX.to_string());
    }

    #[test]
    fn times_are_written_as_people_write_them() {
        for (text, minutes) in [("36h", 2_160), ("2d", 2_880), ("1h 30m", 90), ("90m", 90), ("PT1H", 60)] {
            assert_eq!(duration(text), Ok(minutes * 60_000), "{text}");
        }
        assert_eq!(duration("2s"), Ok(2_000));
        for text in ["", "2", "-1h", "0d", "0s", "soon", "99999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
