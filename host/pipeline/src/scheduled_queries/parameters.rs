//! What stands in a query for the time it is asked for: taken from the schedule's clock and from nothing else, so that the same
//! question can be asked again.

use crate::time::{Millis, rfc3339};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// A form of the clock, so many milliseconds before (or, if negative, after) it.
    Clock(Form, Millis),
    Literal(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `2026-01-31-23`, as partitions are called.
    DateHour,
    /// `2026-01-31`
    Date,
    /// Seconds since 1970.
    Seconds,
    /// `2026-01-31T23:05:00.000Z`
    Rfc3339,
}

impl Parameter {
    /// For messages.
    pub const KNOWN: &str = "utcdatehour, utcdate, utctimestamp, utcisotime and utcrfc3339, each also as utcdatehour_minus1hour or \
                             …_plus2day, in minutes, hours, days and weeks; and in an object numbers, true and false";

    /// By its name.
    pub fn read(name: &str) -> Option<Parameter> {
        let (form, offset) = match name.split_once('_') {
            None => (name, 0),
            Some((form, offset)) => (form, before(offset)?),
        };
        let form = match form {
            "utcdatehour" => Form::DateHour,
            "utcdate" => Form::Date,
            // The second is no time of ISO 8601, and in StreamAlert never was: queries are written for seconds.
            "utctimestamp" | "utcisotime" => Form::Seconds,
            "utcrfc3339" => Form::Rfc3339,
            _ => return None,
        };
        Some(Parameter::Clock(form, offset))
    }

    pub fn value(&self, clock: Millis) -> String {
        let Parameter::Clock(form, before) = self else {
            let Parameter::Literal(text) = self else { unreachable!("there are two kinds") };
            return text.clone();
        };
        let at = clock.saturating_sub(*before);
        let text = rfc3339(at);
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        match form {
            Form::DateHour => format!("{}-{}", part(0, 10), part(11, 13)),
            Form::Date => part(0, 10).to_owned(),
            Form::Seconds => at.div_euclid(1000).to_string(),
            Form::Rfc3339 => text,
        }
    }
}

/// `minus2hour`, `plus1days`
fn before(offset: &str) -> Option<Millis> {
    let (sign, rest) = match offset.strip_prefix("minus") {
        Some(rest) => (1, rest),
        None => (-1, offset.strip_prefix("plus")?),
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let count: Millis = rest[..digits].parse().ok()?;
    let unit = match rest[digits..].trim_end_matches('s') {
        "minute" => 60_000,
        "hour" => 3_600_000,
        "day" => 24 * 3_600_000,
        "week" => 7 * 24 * 3_600_000,
        _ => return None,
    };
    // Ten thousand years are enough.
    count.checked_mul(unit).filter(|offset| *offset < 10_000 * 366 * 24 * 3_600_000).map(|offset| sign * offset)
}

/// SQL with `{names}` of parameters in it; `{{` and `}}` stand for braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Parameter(String, Parameter),
}

impl Template {
    /// Names that are not declared are what they are called.
    pub fn read(text: &str, declared: BTreeMap<String, Parameter>) -> Result<Template, String> {
        let (mut pieces, mut plain) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..at + 1];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let end = rest.find(['{', '}']).filter(|end| brace == "{" && rest[*end..].starts_with('}'));
            let Some(end) = end else {
                return Err(format!("has a `{brace}` by itself; write `{brace}{brace}` where one is meant"));
            };
            let name = &rest[..end];
            let parameter = declared.get(name).cloned().or_else(|| Parameter::read(name));
            let Some(parameter) = parameter else {
                return Err(format!("{{{name}}} is no parameter; there are {}", Parameter::KNOWN));
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Parameter(name.to_owned(), parameter));
            rest = &rest[end + 1..];
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Template { text: text.to_owned(), pieces })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The question for one time, and what stood in it.
    pub fn at(&self, clock: Millis) -> (String, BTreeMap<String, String>) {
        let (mut sql, mut values) = (String::new(), BTreeMap::new());
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => sql.push_str(text),
                Piece::Parameter(name, parameter) => {
                    let value = parameter.value(clock);
                    sql.push_str(&value);
                    values.insert(name.clone(), value);
                }
            }
        }
        (sql, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse;

    #[test]
    fn parameters_are_forms_of_the_clock() {
        let clock = parse("2026-03-01T00:05:06.789Z").unwrap();
        for (name, expected) in [
            ("utcdatehour", "2026-03-01-00"),
            ("utcdatehour_minus1hour", "2026-02-28-23"),
            ("utcdatehour_minus2hour", "2026-02-28-22"),
            ("utcdatehour_minus1day", "2026-02-28-00"),
            ("utcdatehour_minus2day", "2026-02-27-00"),
            ("utcdatehour_minus7day", "2026-02-22-00"),
            ("utcdatehour_minus1week", "2026-02-22-00"),
            ("utcdatehour_plus90minutes", "2026-03-01-01"),
            ("utcdate_minus1days", "2026-02-28"),
            ("utctimestamp", "1772323506"),
            ("utctimestamp_minus1hour", "1772319906"),
            ("utcisotime", "1772323506"),
            ("utcrfc3339", "2026-03-01T00:05:06.789Z"),
        ] {
            assert_eq!(Parameter::read(name).unwrap().value(clock), expected, "{name}");
        }
        for name in [
            "",
            "utc",
            "utcdatehour_",
            "utcdatehour_minus",
            "utcdatehour_minusxhour",
            "utcdatehour_minus1fortnight",
            "utcdatehour_1hour",
            "utcdatehour_minus99999999999999999999day",
        ] {
            assert_eq!(Parameter::read(name), None, "{name}");
        }
    }

    #[test]
    fn a_question_has_its_parameters_filled_in() {
        let declared = BTreeMap::from([
            ("from".to_owned(), Parameter::read("utcdatehour_minus1hour").unwrap()),
            ("n".to_owned(), Parameter::Literal("5".into())),
        ]);
        let text = "SELECT '{{x}}' FROM t WHERE dt >= '{from}' AND dt < '{utcdatehour}' LIMIT {n}";
        let template = Template::read(text, declared).unwrap();
        let (sql, values) = template.at(0);
        assert_eq!(sql, "SELECT '{x}' FROM t WHERE dt >= '1969-12-31-23' AND dt < '1970-01-01-00' LIMIT 5");
        assert_eq!(values.keys().collect::<Vec<_>>(), ["from", "n", "utcdatehour"]);
        for wrong in ["{", "}", "a}b", "{a{b}", "{nobody}"] {
            assert!(Template::read(wrong, BTreeMap::new()).is_err(), "{wrong}");
        }
    }
}
