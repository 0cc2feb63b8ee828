//! Parts of a point in time.

use crate::rule::TimePart;
use streamalert_sdk::Field;

/// Above this a number counts milliseconds: as seconds it would be in the year 33658.
const SECONDS_MAX: i64 = 1_000_000_000_000;

/// Of a text as in RFC 3339, without an offset in UTC, or of a number since 1970.
pub fn part(field: Field<'_>, part: TimePart) -> Option<i64> {
    let seconds = match field.text() {
        Some(text) => parse(text)?,
        None => {
            let number = field.int().or_else(|| field.float().map(|float| float as i64))?;
            if number > SECONDS_MAX { number / 1000 } else { number }
        }
    };
    let days = seconds.div_euclid(86_400);
    let of_day = seconds.rem_euclid(86_400);
    let (year, month, day) = civil(days);
    Some(match part {
        TimePart::Minute => of_day / 60 % 60,
        TimePart::Hour => of_day / 3600,
        TimePart::Day => day,
        TimePart::Month => month,
        TimePart::Year => year,
        TimePart::Week => {
            // The week of the year to which its Thursday belongs; 1970 began with one.
            let thursday = days - (days + 3).rem_euclid(7) + 3;
            let (year, ..) = civil(thursday);
            (thursday - days_before(year, 1, 1)) / 7 + 1
        }
    })
}

/// `2026-01-31T23:59:59.123+01:00`, also with a blank for the T.
fn parse(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| {
        let digits = bytes.get(from..to).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
        Some(digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    };
    let is = |at: usize, any: &[u8]| bytes.get(at).is_some_and(|byte| any.contains(byte));
    let shaped = is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":");
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let fits = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !shaped || !fits {
        return None;
    }
    let mut rest = 19;
    if is(rest, b".") {
        let digits = bytes[rest + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        rest += 1 + digits;
    }
    let offset = match bytes.get(rest) {
        None => 0,
        Some(b'Z' | b'z') if bytes.len() == rest + 1 => 0,
        Some(sign @ (b'+' | b'-')) if bytes.len() == rest + 6 && is(rest + 3, b":") => {
            let offset = number(rest + 1, rest + 3)? * 3600 + number(rest + 4, rest + 6)? * 60;
            if *sign == b'+' { offset } else { -offset }
        }
        Some(_) => return None,
    };
    let seconds = days_before(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second.min(59);
    Some(seconds - offset)
}

/// Days from 1970 to a date; the year is counted from March, so that the day that may be missing comes last.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The other way.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamalert_sdk::Record;
    use streamalert_sdk::serde_json::{Value, json};

    #[test]
    fn parts() {
        let check = |value: Value, expected: Option<[i64; 6]>| {
            let record = Record::from_json(json!({ "t": value }));
            let parts =
                [TimePart::Minute, TimePart::Hour, TimePart::Day, TimePart::Week, TimePart::Month, TimePart::Year];
            let found = parts.map(|wanted| part(record.field("t").unwrap(), wanted));
            assert_eq!(found, expected.map_or([None; 6], |expected| expected.map(Some)), "{record:?}");
        };
        check(json!("2026-01-31T23:59:58Z"), Some([59, 23, 31, 5, 1, 2026]));
        check(json!("2026-02-01 00:30:00.25+01:00"), Some([30, 23, 31, 5, 1, 2026]));
        check(json!("2024-02-29T12:00:00-05:30"), Some([30, 17, 29, 9, 2, 2024]));
        // Weeks of the year before and after.
        check(json!("2027-01-01T00:00:00"), Some([0, 0, 1, 53, 1, 2027]));
        check(json!("2024-12-30T00:00:00Z"), Some([0, 0, 30, 1, 12, 2024]));
        check(json!(0), Some([0, 0, 1, 1, 1, 1970]));
        check(json!(-1), Some([59, 23, 31, 1, 12, 1969]));
        check(json!(1_769_903_998), Some([59, 23, 31, 5, 1, 2026]));
        check(json!(1_769_903_998_500_u64), Some([59, 23, 31, 5, 1, 2026]));
        check(json!("2026-13-01T00:00:00Z"), None);
        check(json!("2026-01-01"), None);
        check(json!("2026-01-01T00:00:00Zulu"), None);
        check(json!("yesterday, at about noon"), None);
        check(json!(true), None);
    }
}
