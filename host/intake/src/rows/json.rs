//! Values as JSON text.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::io::Write;

const SECONDS_A_DAY: i64 = 86_400;
/// Bytes of a decimal: some 600 digits, where databases stop at 76. Writing it takes time by the square of its length.
const DECIMAL_BYTES_MAX: usize = 256;

pub fn text(out: &mut Vec<u8>, text: &str) {
    // A Vec takes everything.
    let _ = serde_json::to_writer(out, text);
}

pub fn number(out: &mut Vec<u8>, number: impl std::fmt::Display) {
    let _ = write!(out, "{number}");
}

/// The shortest digits that give the same float; what is no number as text.
pub fn float(out: &mut Vec<u8>, float: impl Into<f64> + std::fmt::Debug + Copy) {
    match float.into() {
        value if value.is_nan() => text(out, "NaN"),
        f64::INFINITY => text(out, "Infinity"),
        f64::NEG_INFINITY => text(out, "-Infinity"),
        _ => drop(write!(out, "{float:?}")),
    }
}

pub fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(utf_8) => text(out, utf_8),
        Err(_) => text(out, &BASE64_STANDARD.encode(bytes)),
    }
}

pub fn uuid(out: &mut Vec<u8>, bytes: &[u8]) {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    match bytes.len() {
        16 => text(out, &format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])),
        _ => text(out, &hex),
    }
}

/// A whole number of two's complement, first byte highest, with its point moved `scale` digits to the left. One of too many
/// bytes is bytes.
pub fn decimal(out: &mut Vec<u8>, whole: &[u8], scale: usize) {
    const STEP: u64 = 1_000_000_000;
    if whole.len() > DECIMAL_BYTES_MAX {
        return bytes(out, whole);
    }
    let negative = whole.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut whole = whole.to_vec();
    if negative {
        let mut carry = true;
        for byte in whole.iter_mut().rev() {
            let (value, over) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (value, over);
        }
    }
    // Nine digits at a time, lowest first.
    let mut groups = Vec::new();
    while whole.iter().any(|byte| *byte != 0) {
        let mut rest = 0;
        for byte in &mut whole {
            let value = rest * 256 + u64::from(*byte);
            *byte = (value / STEP) as u8;
            rest = value % STEP;
        }
        groups.push(rest);
    }
    let digits: String = groups.iter().rev().map(|group| format!("{group:09}")).collect();
    let digits = format!("{:0>1$}", digits.trim_start_matches('0'), scale + 1);
    let (before, after) = digits.split_at(digits.len() - scale);
    let sign = if negative { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    let _ = write!(out, "{sign}{before}{point}{after}");
}

/// Year, month and day of the Gregorian calendar, so many days after 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    // Counted from 1 March of the year 0, so that a leap day is the last of its year.
    const TO_1970: i64 = 719_468;
    const ERA_DAYS: i64 = 146_097;
    let days = days + TO_1970;
    let era = days.div_euclid(ERA_DAYS);
    let day_of_era = days.rem_euclid(ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year_of_era + 400 * era + next, month, day)
}

fn year_text(year: i64) -> String {
    if (0..=9999).contains(&year) { format!("{year:04}") } else { format!("{year:+05}") }
}

pub fn date(out: &mut Vec<u8>, days: i64) {
    let (year, month, day) = civil(days);
    text(out, &format!("{}-{month:02}-{day:02}", year_text(year)));
}

fn clock(ticks: i64, a_second: i64) -> String {
    let (seconds, fraction) = (ticks.div_euclid(a_second), ticks.rem_euclid(a_second));
    let width = a_second.ilog10() as usize;
    format!("{:02}:{:02}:{:02}.{fraction:0width$}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

pub fn time(out: &mut Vec<u8>, ticks: i64, a_second: i64) {
    text(out, &clock(ticks, a_second));
}

/// `2024-01-31T12:00:00.000Z`; a local time has no `Z`.
pub fn timestamp(out: &mut Vec<u8>, ticks: i64, a_second: i64, utc: bool) {
    let a_day = a_second * SECONDS_A_DAY;
    let (year, month, day) = civil(ticks.div_euclid(a_day));
    let zone = if utc { "Z" } else { "" };
    let clock = clock(ticks.rem_euclid(a_day), a_second);
    text(out, &format!("{}-{month:02}-{day:02}T{clock}{zone}", year_text(year)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimals_keep_every_digit() {
        let check = |bytes: &[u8], scale, expected: &str| assert_eq!(made(|out| decimal(out, bytes, scale)), expected);
        check(&[], 0, "0");
        check(&[0], 2, "0.00");
        check(&[0x30, 0x39], 0, "12345");
        check(&[0x30, 0x39], 2, "123.45");
        check(&[0xff], 3, "-0.001");
        check(&[0x80], 0, "-128");
        check(&i128::MAX.to_be_bytes(), 10, "17014118346046923173168730371.5884105727");
        check(&i128::MIN.to_be_bytes(), 0, "-170141183460469231731687303715884105728");
        check(&1_000_000_000_000_u64.to_be_bytes(), 0, "1000000000000");
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(made(|out| timestamp(out, 0, 1_000, true)), "\"1970-01-01T00:00:00.000Z\"");
        assert_eq!(made(|out| timestamp(out, -1, 1_000_000, false)), "\"1969-12-31T23:59:59.999999\"");
        let nanos = 1_709_208_000_123_456_789;
        assert_eq!(made(|out| timestamp(out, nanos, 1_000_000_000, true)), "\"2024-02-29T12:00:00.123456789Z\"");
        assert_eq!(made(|out| date(out, 11_016)), "\"2000-02-29\"");
        assert_eq!(made(|out| date(out, -719_528)), "\"0000-01-01\"");
        assert_eq!(made(|out| date(out, 2_932_897)), "\"+10000-01-01\"");
        assert_eq!(made(|out| time(out, 86_399_999, 1_000)), "\"23:59:59.999\"");
        made(|out| timestamp(out, i64::MIN, 1_000, true));
    }

    #[test]
    fn floats_are_numbers_where_they_can_be() {
        assert_eq!(made(|out| float(out, 0.1_f32)), "0.1");
        assert_eq!(made(|out| float(out, 1e300)), "1e300");
        assert_eq!(made(|out| float(out, f64::NAN)), "\"NaN\"");
        assert_eq!(made(|out| float(out, f32::NEG_INFINITY)), "\"-Infinity\"");
        assert_eq!(made(|out| bytes(out, b"\xff\xfe")), "\"//4=\"");
        assert_eq!(made(|out| uuid(out, &[0x12; 16])), "\"12121212-1212-1212-1212-121212121212\"");
    }
}
