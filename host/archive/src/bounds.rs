//! From when to when: hours of an archive that are looked at.

use crate::folder::hour;
use streamalert_pipeline::time::{Millis, duration, parse};

/// Hours from the first to the last, both with it; where there is none, there is no bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    pub first: Option<String>,
    pub last: Option<String>,
}

impl Bounds {
    /// Of `--since` and `--until` as a person writes them; see [`instant`].
    pub fn read(since: Option<&str>, until: Option<&str>, now: Millis) -> Result<Bounds, String> {
        let read = |name: &str, text: Option<&str>| {
            let instant = text.map(|text| instant(text, now).map_err(|why| format!("{name}: {why}")));
            instant.transpose().map(|at| at.map(hour))
        };
        let bounds = Bounds { first: read("--since", since)?, last: read("--until", until)? };
        match (&bounds.first, &bounds.last) {
            (Some(first), Some(last)) if first > last => {
                Err(format!("--since is {first}, which is after --until {last}"))
            }
            _ => Ok(bounds),
        }
    }

    pub fn holds(&self, hour: &str) -> bool {
        self.first.as_deref().is_none_or(|first| hour >= first) && self.last.as_deref().is_none_or(|last| hour <= last)
    }
}

/// `24h` or `7d` ago, a date or instant as RFC 3339 has it (UTC if it says nothing), or an hour as partitions are named.
pub fn instant(text: &str, now: Millis) -> Result<Millis, String> {
    let text = text.trim();
    if let Ok(ago) = duration(text) {
        return Ok(now - ago);
    }
    let hour_of = |text: &str| {
        let (date, hour) = text.split_at_checked(10)?;
        let hour = hour.strip_prefix('-').filter(|hour| hour.len() == 2)?;
        parse(&format!("{date}T{hour}:00:00Z"))
    };
    let date = |text: &str| (text.len() == 10).then(|| parse(&format!("{text}T00:00:00Z")))?;
    let plain = text.contains('-').then(|| parse(text)).flatten();
    plain.or_else(|| hour_of(text)).or_else(|| date(text)).ok_or_else(|| {
        format!(
            "`{text}` is no time; write how long ago, as 24h or 7d, or a date, as 2026-01-31 or 2026-01-31T08:00:00Z"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_write_them() {
        let now = 1_767_323_045_678; // 2026-01-02T03:04:05
        let at = |text: &str| hour(instant(text, now).unwrap());
        for (text, expected) in [
            ("24h", "2026-01-01-03"),
            ("90m", "2026-01-02-01"),
            ("2d", "2025-12-31-03"),
            ("2026-01-01", "2026-01-01-00"),
            ("2026-01-01T05:30:00+01:00", "2026-01-01-04"),
            ("2026-01-01 05:30:00", "2026-01-01-05"),
            ("2026-01-01-07", "2026-01-01-07"),
        ] {
            assert_eq!(at(text), expected, "{text}");
        }
        for text in ["", "yesterday", "-1h", "2026-13-01", "2026", "2026-01-01-7"] {
            assert!(instant(text, now).is_err(), "{text}");
        }
        let bounds = Bounds::read(Some("24h"), None, now).unwrap();
        assert!(bounds.holds("2026-01-01-03") && !bounds.holds("2026-01-01-02") && bounds.holds("2030-01-01-00"));
        assert!(Bounds::read(Some("1h"), Some("24h"), now).unwrap_err().contains("after --until"));
    }
}
