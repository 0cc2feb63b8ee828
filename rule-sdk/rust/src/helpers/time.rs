//! Times. A rule has no clock that it could trust, and a record may come hours late or be looked at again after months:
//! "now" is something the record says.

use crate::Record;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Whether `time` lies within the last `hours` before `now`, the ends included. Both are seconds since 1970; `now` comes
/// from the record, such as the time it was logged. A `time` after `now` is not in the last hour. `None` for either: no.
///
/// ```
/// # use streamalert_sdk::prelude::*;
/// let record = Record::from_json(json!({"eventTime": "2024-05-01T12:00:00Z", "session": {"created": 1714561500}}));
/// let created = helpers::event_time(&record, "session.created");
/// assert!(helpers::last_hour(created, helpers::event_time(&record, "eventTime"), 1));
/// ```
pub fn last_hour(time: impl Into<Option<i64>>, now: impl Into<Option<i64>>, hours: u32) -> bool {
    let (Some(time), Some(now)) = (time.into(), now.into()) else { return false };
    now.checked_sub(time).is_some_and(|age| (0..=i64::from(hours) * HOUR).contains(&age))
}

/// How many seconds after the time at `from` the time at `to` lies; negative where it lies before. `None`: one of them is
/// not there or is no time, see [`event_time`].
pub fn seconds_between(record: &Record, from: &str, to: &str) -> Option<i64> {
    event_time(record, to)?.checked_sub(event_time(record, from)?)
}

/// The time at `path` in seconds since 1970: an RFC 3339 text, or a number of seconds, parts of seconds dropped. `None`:
/// nothing there or something else. Milliseconds are not guessed at: `record.int(path).map(|ms| ms / 1000)`.
pub fn event_time(record: &Record, path: &str) -> Option<i64> {
    let field = record.field(path)?;
    match field.text() {
        Some(text) => parse_time(text),
        // Doubles beyond what a time can be end at the limits of i64.
        None => field.int().or_else(|| field.float().map(|seconds| seconds.floor() as i64)),
    }
}

/// Seconds since 1970 of an RFC 3339 text, `2024-05-01T12:00:00.5+02:00`; a space for the `T` will do. Parts of seconds
/// are dropped; a leap second counts as the second after it. `None`: no such text, or no such day; a text without `Z` or
/// offset could mean any time zone and is none.
pub fn parse_time<'a>(text: impl Into<Option<&'a str>>) -> Option<i64> {
    let text = text.into()?.as_bytes();
    let number = |from: usize, len: usize| -> Option<i64> {
        text.get(from..from + len)?
            .iter()
            .try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    };
    let mark = |at: usize, marks: &[u8]| text.get(at).filter(|byte| marks.contains(byte)).map(|_| ());

    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    mark(4, b"-")?;
    mark(7, b"-")?;
    mark(10, b"Tt ")?;
    mark(13, b":")?;
    mark(16, b":")?;
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }

    let mut at = 19;
    if text.get(at) == Some(&b'.') {
        let digits = text[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        at += 1 + digits;
    }
    let (offset, end) = match text.get(at)? {
        b'Z' | b'z' => (0, at + 1),
        sign @ (b'+' | b'-') => {
            let (hours, minutes) = (number(at + 1, 2)?, number(at + 4, 2)?);
            mark(at + 3, b":")?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * HOUR + minutes * MINUTE;
            (if *sign == b'+' { offset } else { -offset }, at + 6)
        }
        _ => return None,
    };
    (end == text.len())
        .then(|| days_since_1970(year, month, day) * DAY + hour * HOUR + minute * MINUTE + second - offset)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // Years counted from March, so that the leap day comes last; 719,468 days lie between 0000-03-01 and 1970-01-01.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_are_read() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2024-05-01T12:00:00Z", 1_714_564_800),
            ("2024-02-29T23:59:60Z", 1_709_251_200),
            ("2000-03-01 00:00:00.123456+01:00", 951_865_200),
            ("1969-12-31t23:59:59.9z", -1),
            ("0000-01-01T00:00:00Z", -62_167_219_200),
            ("9999-12-31T23:59:59-00:30", 253_402_302_599),
        ] {
            assert_eq!(parse_time(text), Some(seconds), "{text}");
        }
        for text in [
            "",
            "2024-05-01",
            "2024-05-01T12:00:00",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-05-01T24:00:00Z",
            "2024-05-01T12:00:00.Z",
            "2024-05-01T12:00:00Zx",
            "2024-05-01T12:00:00+0200",
            "2024-05-01T12:00:00+02",
            "２024-05-01T12:00:00Z",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
        assert_eq!(parse_time(None), None);
    }

    #[test]
    fn the_last_hour_ends_now() {
        assert!(last_hour(6_400, 10_000, 1) && last_hour(10_000, 10_000, 1));
        assert!(!last_hour(6_399, 10_000, 1) && !last_hour(10_001, 10_000, 1) && !last_hour(None, 10_000, 1));
        assert!(!last_hour(i64::MIN, i64::MAX, u32::MAX));
    }

    #[test]
    fn times_of_a_record() {
        let record = Record::from_json(json!({"a": "2024-05-01T12:00:00Z", "b": 1714564860.9, "c": true}));
        assert_eq!(seconds_between(&record, "a", "b"), Some(60));
        assert_eq!(seconds_between(&record, "b", "a"), Some(-60));
        assert_eq!(seconds_between(&record, "a", "c"), None);
    }
}
