//! Times as services write them. Guests have no clock: what is now, the ask and the answers say.

use crate::Response;
pub use streamalert_output_sdk::time::{http_date, rfc3339, seconds, to_http_date};

/// Milliseconds since 1970 of an RFC 3339 time; finer fractions are cut off.
///
/// ```
/// # use streamalert_app_sdk::time::millis;
/// assert_eq!(millis("2026-01-02T03:04:05.6789Z"), Some(1767323045678));
/// assert_eq!(millis("2026-01-02T03:04:05+00:00"), Some(1767323045000));
/// assert_eq!(millis("today"), None);
/// ```
pub fn millis(text: &str) -> Option<i64> {
    let whole = seconds(text)?;
    let digits: String = match text.get(19..20) {
        Some(".") => text[20..].chars().take_while(char::is_ascii_digit).chain("000".chars()).take(3).collect(),
        _ => "0".into(),
    };
    Some(whole * 1000 + digits.parse::<i64>().ok()?)
}

/// Milliseconds since 1970 as RFC 3339 with three digits, UTC.
///
/// ```
/// # use streamalert_app_sdk::time::rfc3339_millis;
/// assert_eq!(rfc3339_millis(1767323045067), "2026-01-02T03:04:05.067Z");
/// ```
pub fn rfc3339_millis(millis: i64) -> String {
    let whole = rfc3339(millis.div_euclid(1000));
    format!("{}.{:03}Z", &whole[..whole.len() - 1], millis.rem_euclid(1000))
}

/// Seconds since 1970 by the service's clock: its answer's `Date`.
pub fn date(answer: &Response) -> Option<i64> {
    http_date(answer.header("date")?)
}

/// How many seconds the host's clock is ahead of the service's, by its answer: what the host calls a second, the service calls one that
/// much earlier. 0 if it is right within a minute, or behind.
pub fn ahead(answer: &Response, now: i64) -> i64 {
    date(answer).map_or(0, |date| now - date).max(0) / 60 * 60
}

/// Seconds to wait until the second that a header names, counted by the service's own clock or, without a `Date`, by `now`. For
/// `X-Rate-Limit-Reset` and its kind.
pub fn wait_until(answer: &Response, header: &str, now: i64) -> Option<u32> {
    let at: f64 = answer.header(header)?.trim().parse().ok()?;
    let wait = at.is_finite().then_some(at.ceil() as i64)?.saturating_sub(date(answer).unwrap_or(now));
    Some(u32::try_from(wait.max(1)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_ahead_by_whole_minutes() {
        let headers = vec![("Date".to_owned(), "Thu, 01 Jan 1970 00:16:40 GMT".to_owned())];
        let answer = Response { headers, ..Response::default() };
        let ahead = |now| ahead(&answer, now);
        assert_eq!((ahead(1000), ahead(1059), ahead(1061), ahead(4600), ahead(0)), (0, 0, 60, 3600, 0));
    }

    #[test]
    fn a_wait_is_counted_by_the_services_clock() {
        let answer = |headers: &[(&str, &str)]| {
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Response { headers, ..Response::default() }
        };
        let reset = ("X-Rate-Limit-Reset", "1000");
        let date = ("Date", "Thu, 01 Jan 1970 00:16:10 GMT");
        assert_eq!(wait_until(&answer(&[reset, date]), "x-rate-limit-reset", 0), Some(30));
        assert_eq!(wait_until(&answer(&[reset]), "x-rate-limit-reset", 900), Some(100));
        assert_eq!(wait_until(&answer(&[reset]), "x-rate-limit-reset", 5000), Some(1), "it is over by now");
        for nonsense in ["", "soon", "NaN"] {
            assert_eq!(wait_until(&answer(&[("X-Rate-Limit-Reset", nonsense)]), "x-rate-limit-reset", 0), None);
        }
    }
}
