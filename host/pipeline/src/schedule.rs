//! Schedules as EventBridge writes them, `rate(5 minutes)` and `cron(0 9 ? * MON-FRI *)`, in UTC. A rate counts from 1970, so that
//! everybody who reckons it comes to the same times.

use crate::time::Millis;
use serde::{Deserialize, Deserializer};

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;
/// EventBridge knows no other years.
const YEARS: std::ops::RangeInclusive<u32> = 1970..=2199;
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    when: When,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum When {
    Every(Millis),
    Cron(Box<Cron>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Cron {
    minutes: Vec<u32>,
    hours: Vec<u32>,
    days: Days,
    months: Vec<u32>,
    years: Vec<u32>,
}

/// Which days of a month.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Days {
    All,
    OfMonth(Vec<u32>),
    Last,
    /// The day from Monday to Friday that is nearest to this one and in the same month.
    NearestWorkday(u32),
    LastWorkday,
    /// 1 is Sunday.
    OfWeek(Vec<u32>),
    LastOfWeek(u32),
    /// `6#3`: the third Friday.
    Nth(u32, u32),
}

#[derive(Debug, thiserror::Error)]
#[error(
    "`{text}` is no schedule: {why}; write `rate(5 minutes)` or `cron(0 9 ? * MON-FRI *)`, which are minute, hour, day of month, month, day of week and year, UTC"
)]
pub struct NoSchedule {
    text: String,
    why: String,
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Schedule::read(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Schedule {
    pub fn read(text: &str) -> Result<Schedule, NoSchedule> {
        let within = |name: &str| text.trim().strip_prefix(name)?.trim_start().strip_prefix('(')?.strip_suffix(')');
        let when = match (within("rate"), within("cron")) {
            (Some(rate), _) => every(rate).map(When::Every),
            (_, Some(fields)) => Cron::read(fields).map(|cron| When::Cron(Box::new(cron))),
            _ => Err("it is neither a rate(…) nor a cron(…)".into()),
        };
        let text = text.trim().to_owned();
        match when {
            Ok(when) => Ok(Schedule { text, when }),
            Err(why) => Err(NoSchedule { text, why }),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first time after `at`; none if there is no more.
    pub fn next(&self, at: Millis) -> Option<Millis> {
        match &self.when {
            When::Every(every) => Some((at.div_euclid(*every) + 1) * every),
            When::Cron(cron) => cron.next(at),
        }
    }

    /// The last `most` times after `from`, and not after `to`, in order; and how many there were before these.
    pub fn between(&self, from: Millis, to: Millis, most: usize) -> (Vec<Millis>, u64) {
        if let When::Every(every) = &self.when {
            let (first, last) = (from.div_euclid(*every) + 1, to.div_euclid(*every));
            let kept = (last - most as Millis + 1).max(first);
            return ((kept..=last).map(|number| number * every).collect(), (kept.min(last + 1) - first).max(0) as u64);
        }
        let (mut times, mut left_out, mut at) = (std::collections::VecDeque::new(), 0, from);
        while let Some(next) = self.next(at).filter(|next| *next <= to) {
            times.push_back(next);
            if times.len() > most {
                times.pop_front();
                left_out += 1;
            }
            at = next;
        }
        (times.into(), left_out)
    }
}

fn every(rate: &str) -> Result<Millis, String> {
    let words: Vec<&str> = rate.split_whitespace().collect();
    let [count, unit] = words[..] else { return Err("a rate is a number and a unit".into()) };
    let count: Millis =
        count.parse().ok().filter(|count| *count > 0).ok_or_else(|| format!("`{count}` is no number from 1 on"))?;
    let unit = match unit.strip_suffix('s').unwrap_or(unit) {
        "minute" => MINUTE,
        "hour" => HOUR,
        "day" => DAY,
        _ => return Err(format!("`{unit}` is no unit; there are minutes, hours and days")),
    };
    count.checked_mul(unit).filter(|every| *every < 100_000 * DAY).ok_or_else(|| "it is too seldom".into())
}

impl Cron {
    fn read(fields: &str) -> Result<Cron, String> {
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let [minutes, hours, of_month, months, of_week, years] = fields[..] else {
            return Err(format!("cron has six fields, and here are {}", fields.len()));
        };
        let days = match (of_month, of_week) {
            ("?", "?") | ("*", "*") => {
                return Err("of day of month and day of week, one is `?` and the other is not".into());
            }
            ("*", "?") | ("?", "*") => Days::All,
            (_, "?") => days_of_month(of_month)?,
            ("?", _) => days_of_week(of_week)?,
            _ => return Err("where days are said by month, those of the week are `?`, and the other way round".into()),
        };
        Ok(Cron {
            minutes: numbers("minute", minutes, 0..=59, &[])?,
            hours: numbers("hour", hours, 0..=23, &[])?,
            days,
            months: numbers("month", months, 1..=12, &MONTHS)?,
            years: numbers("year", years, YEARS, &[])?,
        })
    }

    fn next(&self, at: Millis) -> Option<Millis> {
        let from = (at.div_euclid(MINUTE) + 1) * MINUTE;
        let (mut day, mut minute) = (from.div_euclid(DAY), from.rem_euclid(DAY) / MINUTE);
        let last = *self.years.last()?;
        loop {
            let (year, month, date) = civil(day);
            if year > i64::from(last) {
                return None;
            }
            let holds = |list: &[u32], number: i64| list.iter().any(|known| i64::from(*known) == number);
            if holds(&self.years, year) && holds(&self.months, month) && self.days.hold(day, year, month, date) {
                for hour in &self.hours {
                    for of_hour in &self.minutes {
                        let found = i64::from(hour * 60 + of_hour);
                        if found >= minute {
                            return Some(day * DAY + found * MINUTE);
                        }
                    }
                }
            }
            day += 1;
            minute = 0;
        }
    }
}

impl Days {
    fn hold(&self, day: i64, year: i64, month: i64, date: i64) -> bool {
        // 1970 began on a Thursday.
        let weekday = |day: i64| (day + 4).rem_euclid(7) + 1;
        let length = days_in(year, month);
        let is = |number: u32| i64::from(number);
        let workday = |of: i64| {
            let of = of.min(length);
            match weekday(day - date + of) {
                7 if of == 1 => 3,
                7 => of - 1,
                1 if of == length => of - 2,
                1 => of + 1,
                _ => of,
            }
        };
        match self {
            Days::All => true,
            Days::OfMonth(dates) => dates.iter().any(|known| is(*known) == date),
            Days::Last => date == length,
            Days::NearestWorkday(of) => is(*of) <= length && date == workday(is(*of)),
            Days::LastWorkday => date == workday(length),
            Days::OfWeek(days) => days.iter().any(|known| is(*known) == weekday(day)),
            Days::LastOfWeek(of) => weekday(day) == is(*of) && date + 7 > length,
            Days::Nth(of, nth) => weekday(day) == is(*of) && (date - 1) / 7 + 1 == is(*nth),
        }
    }
}

fn days_of_month(field: &str) -> Result<Days, String> {
    match field {
        "L" => return Ok(Days::Last),
        "LW" => return Ok(Days::LastWorkday),
        _ => {}
    }
    match field.strip_suffix('W') {
        Some(date) => Ok(Days::NearestWorkday(one("day of month", date, 1..=31, &[])?)),
        None => Ok(Days::OfMonth(numbers("day of month", field, 1..=31, &[])?)),
    }
}

fn days_of_week(field: &str) -> Result<Days, String> {
    const WHAT: &str = "day of week";
    if field == "L" {
        return Ok(Days::OfWeek(vec![7]));
    }
    if let Some((day, nth)) = field.split_once('#') {
        return Ok(Days::Nth(one(WHAT, day, 1..=7, &WEEKDAYS)?, one("week of month", nth, 1..=5, &[])?));
    }
    match field.strip_suffix('L') {
        Some(day) => Ok(Days::LastOfWeek(one(WHAT, day, 1..=7, &WEEKDAYS)?)),
        None => Ok(Days::OfWeek(numbers(WHAT, field, 1..=7, &WEEKDAYS)?)),
    }
}

/// `*`, `5`, `1-5`, `0/15`, `*/15`, `10-40/5`, and lists of these; in order.
fn numbers(what: &str, field: &str, range: std::ops::RangeInclusive<u32>, names: &[&str]) -> Result<Vec<u32>, String> {
    let (least, most) = (*range.start(), *range.end());
    let mut found = Vec::new();
    for part in field.split(',') {
        let (span, step) = match part.split_once('/') {
            Some((span, step)) => {
                let read = step.parse().ok().filter(|step| *step > 0);
                (span, Some(read.ok_or_else(|| format!("`{part}`: a step is a number from 1 on"))?))
            }
            None => (part, None),
        };
        let (from, to) = match span.split_once('-') {
            _ if span == "*" => (least, most),
            Some((from, to)) => (one(what, from, range.clone(), names)?, one(what, to, range.clone(), names)?),
            None => {
                let from = one(what, span, range.clone(), names)?;
                (from, if step.is_some() { most } else { from })
            }
        };
        let step: u32 = step.unwrap_or(1);
        match from <= to {
            true => found.extend((from..=to).step_by(step as usize)),
            // FRI-MON goes over the end of the week.
            false if names.is_empty() => return Err(format!("`{part}`: {what} {from} comes after {to}")),
            false => found.extend((from..=most).chain(least..=to).step_by(step as usize)),
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn one(what: &str, text: &str, range: std::ops::RangeInclusive<u32>, names: &[&str]) -> Result<u32, String> {
    let named = names.iter().position(|name| name.eq_ignore_ascii_case(text)).map(|at| at as u32 + range.start());
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let number = named.or_else(|| text.parse().ok().filter(|_| digits));
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("`{text}` is no {what}, which are {} to {}", range.start(), range.end()))
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Year, month and date of a day since 1970.
fn civil(day: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that the leap day is the last one.
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, date)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{parse, rfc3339};

    fn at(text: &str) -> Millis {
        parse(text).unwrap()
    }

    /// The next times after one.
    #[track_caller]
    fn check(schedule: &str, from: &str, expected: &[&str]) {
        let schedule = Schedule::read(schedule).unwrap();
        let mut now = at(from);
        for expected in expected {
            now = schedule.next(now).unwrap_or_else(|| panic!("{}: no more", schedule.as_str()));
            assert_eq!(rfc3339(now), format!("{expected}:00.000Z"), "{}", schedule.as_str());
        }
    }

    #[test]
    fn rates_are_the_same_for_everybody() {
        check("rate(5 minutes)", "2026-01-01T00:00:00Z", &["2026-01-01T00:05", "2026-01-01T00:10"]);
        check("rate(1 hour)", "2026-01-01T00:00:01Z", &["2026-01-01T01:00", "2026-01-01T02:00"]);
        check(" rate( 1 day ) ", "2026-01-01T23:59:59Z", &["2026-01-02T00:00"]);
    }

    #[test]
    fn cron_is_read_as_eventbridge_does() {
        check("cron(0 10 * * ? *)", "2026-01-01T10:00:00Z", &["2026-01-02T10:00"]);
        check("cron(0 10 * * ? *)", "2026-01-01T09:59:59.999Z", &["2026-01-01T10:00"]);
        check("cron(15 12 ? * 2 *)", "2026-01-01T00:00:00Z", &["2026-01-05T12:15", "2026-01-12T12:15"]);
        check("cron(0 18 ? * MON-FRI *)", "2026-01-02T18:00:00Z", &["2026-01-05T18:00"]);
        check(
            "cron(0 0 ? * FRI-MON *)",
            "2026-01-06T00:00:00Z",
            &["2026-01-09T00:00", "2026-01-10T00:00", "2026-01-11T00:00", "2026-01-12T00:00", "2026-01-16T00:00"],
        );
        check("cron(0 8 1 * ? *)", "2026-01-01T08:00:00Z", &["2026-02-01T08:00"]);
        check("cron(0/15 * * * ? *)", "2026-01-01T00:50:00Z", &["2026-01-01T01:00", "2026-01-01T01:15"]);
        check(
            "cron(10-40/15,59 3 * * ? *)",
            "2026-01-01T00:00:00Z",
            &["2026-01-01T03:10", "2026-01-01T03:25", "2026-01-01T03:40", "2026-01-01T03:59", "2026-01-02T03:10"],
        );
        check("cron(0 0 L * ? *)", "2028-01-31T00:00:00Z", &["2028-02-29T00:00", "2028-03-31T00:00"]);
        check("cron(0 0 29 FEB ? *)", "2026-01-01T00:00:00Z", &["2028-02-29T00:00", "2032-02-29T00:00"]);
        check("cron(0 0 ? * 6#3 *)", "2026-01-01T00:00:00Z", &["2026-01-16T00:00", "2026-02-20T00:00"]);
        check("cron(0 0 ? * 6L *)", "2026-01-01T00:00:00Z", &["2026-01-30T00:00", "2026-02-27T00:00"]);
        check("cron(0 0 ? * L *)", "2026-01-01T00:00:00Z", &["2026-01-03T00:00"]);
        // The 15th of February 2026 is a Sunday, the 15th of August a Saturday, the 1st of August one, too.
        check("cron(0 0 15W 2,8 ? 2026)", "2026-01-01T00:00:00Z", &["2026-02-16T00:00", "2026-08-14T00:00"]);
        check("cron(0 0 1W 8 ? 2026)", "2026-01-01T00:00:00Z", &["2026-08-03T00:00"]);
        check("cron(0 0 LW 1,5 ? 2026)", "2026-01-01T00:00:00Z", &["2026-01-30T00:00", "2026-05-29T00:00"]);
        check("cron(0 0 1 1 ? 2026-2030/2)", "2026-06-01T00:00:00Z", &["2028-01-01T00:00", "2030-01-01T00:00"]);
        assert_eq!(Schedule::read("cron(0 0 1 1 ? 2020)").unwrap().next(at("2026-01-01T00:00:00Z")), None);
        assert_eq!(Schedule::read("cron(0 0 31 2 ? *)").unwrap().next(at("2026-01-01T00:00:00Z")), None);
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (day, expected) in [
            (0, (1970, 1, 1)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (20_454, (2026, 1, 1)),
            (-1, (1969, 12, 31)),
        ] {
            assert_eq!(civil(day), expected);
        }
    }

    #[test]
    fn what_is_no_schedule_says_why() {
        for (text, why) in [
            ("", "neither"),
            ("hourly", "neither"),
            ("rate(5)", "a number and a unit"),
            ("rate(0 minutes)", "from 1 on"),
            ("rate(1 week)", "no unit"),
            ("cron(0 9 * * *)", "six fields"),
            ("cron(0 9 * * * *)", "one is `?`"),
            ("cron(0 9 ? * ? *)", "one is `?`"),
            ("cron(0 9 1 * MON *)", "other way round"),
            ("cron(60 9 * * ? *)", "no minute"),
            ("cron(0 24 * * ? *)", "no hour"),
            ("cron(0 9 32 * ? *)", "no day of month"),
            ("cron(0 9 ? * 0 *)", "no day of week"),
            ("cron(0 9 * 13 ? *)", "no month"),
            ("cron(+5 9 * * ? *)", "no minute"),
            ("cron(9-5 9 * * ? *)", "comes after"),
            ("cron(0/0 9 * * ? *)", "a step"),
        ] {
            let error = Schedule::read(text).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("rate(5 minutes)"), "{text}: {error}");
        }
    }

    #[test]
    fn what_was_missed_is_bounded_and_the_rest_is_counted() {
        for text in ["rate(1 hour)", "cron(0 * * * ? *)"] {
            let schedule = Schedule::read(text).unwrap();
            let (from, to) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T05:30:00Z"));
            let hour = |hour: i64| from + hour * HOUR;
            assert_eq!(schedule.between(from, to, 10), ((1..=5).map(hour).collect(), 0), "{text}");
            assert_eq!(schedule.between(from, to, 2), (vec![hour(4), hour(5)], 3), "{text}");
            assert_eq!(schedule.between(from, from + HOUR - 1, 2), (vec![], 0), "{text}");
            assert_eq!(schedule.between(from, from + HOUR, 2), (vec![hour(1)], 0), "{text}");
        }
    }
}
