//! Times as services write them. Guests have no clock: what is now, the parcel says.

/// Seconds since 1970 of an RFC 3339 time; fractions are cut off.
///
/// ```
/// # use streamalert_output_sdk::time::seconds;
/// assert_eq!(seconds("2026-01-02T03:04:05.678Z"), Some(1767323045));
/// assert_eq!(seconds("2026-01-02T05:04:05+02:00"), Some(1767323045));
/// assert_eq!(seconds("yesterday"), None);
/// ```
pub fn seconds(rfc3339: &str) -> Option<i64> {
    let bytes = rfc3339.as_bytes();
    let stop = |at: usize, c: &[u8]| bytes.get(at).is_some_and(|byte| c.contains(byte)).then_some(());
    let two = |at: usize| number(rfc3339.get(at..at + 2)?);
    let year = number(rfc3339.get(..4)?)?;
    stop(4, b"-")?;
    stop(7, b"-")?;
    stop(10, b"Tt ")?;
    stop(13, b":")?;
    stop(16, b":")?;
    let clock = clock(two(11)?, two(14)?, two(17)?)?;
    let mut zone = rfc3339.get(19..)?;
    if let Some(fraction) = zone.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        zone = &fraction[digits..];
    }
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = zone.strip_prefix(['+', '-'])?.split_once(':')?;
            let both = hours.len() == 2 && minutes.len() == 2;
            both.then_some(sign * (number(hours)? * 3600 + number(minutes)? * 60))?
        }
    };
    Some(days(year, two(5)?, two(8)?)? * DAY + clock - offset)
}

/// Seconds since 1970 as RFC 3339, UTC.
///
/// ```
/// # use streamalert_output_sdk::time::rfc3339;
/// assert_eq!(rfc3339(1767323045), "2026-01-02T03:04:05Z");
/// ```
pub fn rfc3339(seconds: i64) -> String {
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let clock = seconds.rem_euclid(DAY);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", clock / 3600, clock / 60 % 60, clock % 60)
}

/// Seconds since 1970 as HTTP headers have it: `Wed, 21 Oct 2026 07:28:00 GMT`.
pub fn to_http_date(seconds: i64) -> String {
    let days = seconds.div_euclid(DAY);
    let (year, month, day) = date(days);
    let clock = seconds.rem_euclid(DAY);
    // The first of 1970 was a Thursday.
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][days.rem_euclid(7) as usize];
    let month = MONTHS[(month - 1) as usize];
    format!("{weekday}, {day:02} {month} {year:04} {:02}:{:02}:{:02} GMT", clock / 3600, clock / 60 % 60, clock % 60)
}

/// Seconds since 1970 of a date in an HTTP header, in the one form that is still written.
pub fn http_date(text: &str) -> Option<i64> {
    let (_, rest) = text.trim().split_once(", ")?;
    let mut words = rest.split(' ');
    let day = number(words.next()?)?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let year = number(words.next()?)?;
    let mut parts = words.next()?.split(':');
    let clock = clock(number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?)?;
    if words.next()? != "GMT" || words.next().is_some() || parts.next().is_some() {
        return None;
    }
    Some(days(year, month, day)? * DAY + clock)
}

const DAY: i64 = 86_400;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Digits only, and not so many that the number could grow too large.
fn number(digits: &str) -> Option<i64> {
    ((1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())?
}

/// Seconds of the day; a leap second counts as the one after it.
fn clock(hour: i64, minute: i64, second: i64) -> Option<i64> {
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// Days since 1970 of a date, in the calendar of today for all times.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March have their odd day at the end.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// The other way round: year, month, day.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_as_they_went() {
        for seconds_ in [0, -1, 951_782_400, 951_868_799, 1_709_164_800, 1_767_323_045, 4_102_444_799, 253_402_300_799]
        {
            assert_eq!(seconds(&rfc3339(seconds_)), Some(seconds_));
            assert_eq!(http_date(&to_http_date(seconds_)), Some(seconds_));
        }
        // Every day for four centuries and some.
        for day in -10_000..150_000 {
            let (year, month, day_of_month) = date(day);
            assert_eq!(days(year, month, day_of_month), Some(day));
        }
    }

    #[test]
    fn known_times() {
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(to_http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "2026-01-02",
            "2026-13-02T03:04:05Z",
            "2026-01-02T24:04:05Z",
            "2026-01-02T03:04:05",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05+2:00",
            "ü026-01-02T03:04:05Z",
            "2026-01-02T03:04:0üZ",
            "+026-01-02T03:04:05Z",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
        for text in
            ["", "Sun, ", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 CET"]
        {
            assert_eq!(http_date(text), None, "{text}");
        }
    }
}
