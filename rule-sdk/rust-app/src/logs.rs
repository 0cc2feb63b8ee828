//! Logs in answers: each as the service wrote it, number for number, so that the same log is the same text every time.

use crate::{Response, Stop, retry};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::HashMap;

/// One log: the JSON that the service wrote, without the blanks between its parts.
#[derive(Clone, Debug)]
pub struct Log {
    json: String,
    value: Value,
}

impl PartialEq for Log {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

impl From<Value> for Log {
    fn from(value: Value) -> Self {
        Log { json: value.to_string(), value }
    }
}

impl Log {
    /// From its JSON.
    pub fn parse(json: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
        Ok(Log { json: compact(json), value })
    }

    /// What is no log though it stands where one should: its text, and what is wrong with it. No log type takes it, so that it becomes a
    /// dead letter, and the logs beside it go on.
    pub fn broken(text: &str, why: &str) -> Self {
        json!({"broken": why, "text": text}).into()
    }

    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The value below these keys; null if there is none.
    pub fn get(&self, path: &[&str]) -> &Value {
        path.iter().fold(&self.value, |value, key| &value[*key])
    }

    /// A text, or a number as a text; empty if there is neither.
    pub fn text(&self, key: &str) -> String {
        match &self.value[key] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        }
    }

    /// With another field, before the others, where the log has none of this name. For what the service says beside its logs.
    pub fn with(self, key: &str, value: impl Into<Value>) -> Self {
        let Some(object) = self.value.as_object().filter(|object| !object.contains_key(key)) else { return self };
        let value = value.into();
        let (name, glue) = (Value::from(key).to_string(), if object.is_empty() { "" } else { "," });
        let json = format!("{{{name}:{value}{glue}{}", &self.json[1..]);
        let mut fields = self.value;
        fields[key] = value;
        Log { json, value: fields }
    }

    /// Without a field that changes from request to request though the log is the same.
    pub fn without(self, key: &str) -> Self {
        match self.value {
            Value::Object(mut fields) if fields.contains_key(key) => {
                let raw: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(&self.json).unwrap_or_default();
                let kept = fields.keys().filter(|name| *name != key);
                let text = |name: &String| {
                    raw.get(name.as_str()).map(|raw| format!("{}:{}", Value::from(name.as_str()), raw.get()))
                };
                let json = format!("{{{}}}", kept.filter_map(text).collect::<Vec<_>>().join(","));
                fields.shift_remove(key);
                Log { json, value: Value::Object(fields) }
            }
            value => Log { value, ..self },
        }
    }

    pub fn json(&self) -> &str {
        &self.json
    }

    pub fn into_json(self) -> String {
        self.json
    }
}

/// The logs in the list below these keys of an answer; `&[]` if the answer itself is the list. No list there, or null, is no logs
/// if the answer is JSON. What is no object in the list, or holds half a character or a number that is none, is a
/// [broken](Log::broken) log.
pub fn logs_in(answer: &Response, path: &[&str]) -> Result<Vec<Log>, Stop> {
    let broken = |error: serde_json::Error| retry(format!("the answer is no JSON as expected: {error}"));
    // A byte that is no text would be one at each attempt.
    let text = String::from_utf8_lossy(&answer.body);
    let mut at: &RawValue = serde_json::from_str(&text).map_err(broken)?;
    for key in path {
        let fields: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(at.get()).map_err(broken)?;
        match fields.get(*key) {
            Some(below) => at = below,
            None => return Ok(Vec::new()),
        }
    }
    let list: Option<Vec<&RawValue>> = serde_json::from_str(at.get()).map_err(broken)?;
    let log = |raw: &RawValue| match raw.get().starts_with('{') {
        true => Log::parse(raw.get()).unwrap_or_else(|why| Log::broken(raw.get(), &why)),
        false => Log::broken(raw.get(), "it is no object"),
    };
    Ok(list.unwrap_or_default().into_iter().map(log).collect())
}

/// The answer as JSON.
pub fn answer_json(answer: &Response) -> Result<Value, Stop> {
    answer.json().ok_or_else(|| retry("the answer is no JSON"))
}

/// The text below these keys of an answer, a number as a text too; none if there is none, or an empty one.
pub fn answer_text(answer: &Response, path: &[&str]) -> Result<Option<String>, Stop> {
    let value = answer_json(answer)?;
    Ok(match path.iter().fold(&value, |value, key| &value[*key]) {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// Logs of a table: the first line has the names, each further one is a log of texts. A row with another number of cells is a
/// [broken](Log::broken) log; a table that ends within a quoted cell was cut off, and is to be fetched again.
pub fn csv_logs(table: &str) -> Result<Vec<Log>, Stop> {
    let all = csv_part(table, 0, usize::MAX, usize::MAX, OpenQuote::CutOff)?;
    all.logs.iter().map(|log| Log::parse(log).map_err(retry)).collect()
}

/// Some of the logs of a table, and where the others are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsvPart {
    /// As JSON: a page's `logs`.
    pub logs: Vec<String>,
    /// Byte of the table at which the next part begins; none if this is the last.
    pub next: Option<usize>,
}

/// What it means that a table ends within a quoted cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenQuote {
    /// It was cut off: fetched again, it may be whole.
    CutOff,
    /// The line at which that row begins is broken, and the next one is a row again: for a table that ends so each time.
    BrokenLine,
}

/// Logs of a table that is too large for a page: those from byte `from` on (0 at first, then `next` of the part before), no more than
/// so many, and about so many bytes of JSON. Broken rows are logs, as in [`csv_logs`].
pub fn csv_part(table: &str, from: usize, logs_max: usize, bytes_max: usize, open: OpenQuote) -> Result<CsvPart, Stop> {
    let at = if table.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut rows = CsvRows { table, at, open };
    let names = match rows.next().transpose()? {
        None => return Ok(CsvPart::default()),
        Some(CsvRow::Cells(names)) => names,
        Some(CsvRow::Open) => return Err(retry("the head of the table ends within a quoted cell")),
    };
    // Of two columns with the same name, the last one counts.
    let last = |name: &String| names.iter().rposition(|other| other == name).unwrap_or(0);
    let columns: Vec<(String, usize)> = names
        .iter()
        .enumerate()
        .filter(|(index, name)| names.iter().position(|other| other == *name) == Some(*index))
        .map(|(_, name)| (Value::from(name.as_str()).to_string(), last(name)))
        .collect();
    if from > rows.at {
        if !table.is_char_boundary(from) {
            return Err(retry("the table is another than that of which a part was read"));
        }
        rows.at = from;
    }
    let mut part = CsvPart::default();
    let mut bytes = 0;
    loop {
        let at = rows.at;
        let Some(row) = rows.next().transpose()? else { return Ok(part) };
        if part.logs.len() >= logs_max || bytes >= bytes_max {
            part.next = Some(at);
            return Ok(part);
        }
        let cells = match row {
            CsvRow::Cells(cells) if cells.len() == names.len() => cells,
            broken => {
                let why = match broken {
                    CsvRow::Cells(cells) => {
                        format!("the row has {} cells, the head of its table {}", cells.len(), names.len())
                    }
                    CsvRow::Open => "a quoted cell of the line has no end".to_owned(),
                };
                let log = Log::broken(table[at..rows.at].trim_matches(['\r', '\n']), &why).into_json();
                bytes += log.len();
                part.logs.push(log);
                continue;
            }
        };
        let mut log = String::with_capacity(64);
        for (name, index) in &columns {
            log.push(if log.is_empty() { '{' } else { ',' });
            log.push_str(name);
            log.push(':');
            log.push_str(&serde_json::to_string(&cells[*index]).map_err(|error| retry(error.to_string()))?);
        }
        log.push('}');
        bytes += log.len();
        part.logs.push(log);
    }
}

/// RFC 4180, blank lines left out.
struct CsvRows<'a> {
    table: &'a str,
    at: usize,
    open: OpenQuote,
}

enum CsvRow {
    Cells(Vec<String>),
    /// A line with a quoted cell that has no end.
    Open,
}

impl Iterator for CsvRows<'_> {
    type Item = Result<CsvRow, Stop>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut row, mut cell): (Vec<String>, String) = (Vec::new(), String::new());
        let (mut quoted, mut was_quoted) = (false, false);
        let from = self.at;
        let mut chars = self.table[from..].char_indices().peekable();
        let is_blank =
            |row: &Vec<String>, cell: &str, was_quoted: bool| row.is_empty() && cell.is_empty() && !was_quoted;
        while let Some((index, c)) = chars.next() {
            let next = chars.peek().map(|(_, next)| *next);
            match c {
                '"' if quoted && next == Some('"') => {
                    chars.next();
                    cell.push('"');
                }
                '"' if quoted => quoted = false,
                _ if quoted => cell.push(c),
                '"' if cell.is_empty() => (quoted, was_quoted) = (true, true),
                ',' => {
                    row.push(std::mem::take(&mut cell));
                    was_quoted = false;
                }
                '\r' if next == Some('\n') => {}
                '\n' if is_blank(&row, &cell, was_quoted) => {}
                '\n' => {
                    self.at = from + index + 1;
                    row.push(cell);
                    return Some(Ok(CsvRow::Cells(row)));
                }
                _ => cell.push(c),
            }
        }
        self.at = self.table.len();
        if quoted && self.open == OpenQuote::CutOff {
            return Some(Err(retry("the table ends within a quoted cell")));
        }
        if quoted {
            let line = self.table[from..].trim_start_matches(['\r', '\n']);
            self.at = line.find('\n').map_or(self.at, |end| self.table.len() - line.len() + end + 1);
            return Some(Ok(CsvRow::Open));
        }
        if is_blank(&row, &cell, was_quoted) {
            return None;
        }
        row.push(cell);
        Some(Ok(CsvRow::Cells(row)))
    }
}

/// The same JSON without blanks outside of texts.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut text, mut escaped) = (false, false);
    for c in json.chars() {
        if text {
            out.push(c);
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => text = false,
                _ => {}
            }
        } else if !matches!(c, ' ' | '\n' | '\r' | '\t') {
            text = c == '"';
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Response {
        Response { status: 200, body: body.into(), ..Response::default() }
    }

    fn texts(logs: &[Log]) -> Vec<&str> {
        logs.iter().map(Log::json).collect()
    }

    #[test]
    fn logs_keep_their_numbers_and_the_order_of_their_keys() {
        let body =
            "{\"data\": {\"items\": [ {\"b\": 1.50, \"a\" : 12345678901234567890123},\n {\"t\": \"x \\\" y\"} ]}}";
        let logs = logs_in(&answer(body), &["data", "items"]).unwrap();
        assert_eq!(texts(&logs), [r#"{"b":1.50,"a":12345678901234567890123}"#, r#"{"t":"x \" y"}"#]);
        assert_eq!(texts(&logs_in(&answer("[{}]"), &[]).unwrap()), ["{}"]);
        let logs = logs_in(&answer("[null, {\"a\": 1}, \"x\"]"), &[]).unwrap();
        let wanted = [r#"{"broken":"it is no object","text":"null"}"#, r#"{"a":1}"#];
        assert_eq!((&texts(&logs)[..2], logs[2].text("text")), (&wanted[..], "\"x\"".into()));
        for broken in
            [r#"{"ua":"cut \ud83d"}"#, r#"{"n":1e400}"#, &format!("{{\"n\":{}{}}}", "[".repeat(200), "]".repeat(200))]
        {
            let logs = logs_in(&answer(&format!("[{{\"a\":1}},{broken},{{\"a\":2}}]")), &[]).unwrap();
            let wanted = [r#"{"a":1}"#, r#"{"a":2}"#];
            assert_eq!([logs[0].json(), logs[2].json()], wanted);
            assert_eq!(logs[1].text("text"), broken);
            assert_ne!(logs[1].text("broken"), "");
        }
        let latin = Response { status: 200, body: b"[{\"a\": \"M\xfcller\"}]".to_vec(), ..Response::default() };
        assert_eq!(logs_in(&latin, &[]).unwrap()[0].text("a"), "M\u{fffd}ller");
        for nothing in ["{}", r#"{"data": {}}"#, r#"{"data": {"items": null}}"#, r#"{"data": {"items": []}}"#] {
            assert_eq!(logs_in(&answer(nothing), &["data", "items"]).unwrap(), [], "{nothing}");
        }
        for broken in ["", "<html>", "[1]", r#"{"data": 1}"#, r#"{"data": {"items": 3}}"#] {
            assert!(matches!(logs_in(&answer(broken), &["data", "items"]), Err(Stop::Retry { .. })), "{broken}");
        }
    }

    #[test]
    fn fields_are_put_before_the_others_and_taken_out() {
        let log = Log::parse(r#"{ "a": 1.0, "b": {"c": "x"} }"#).unwrap();
        let with = log.clone().with("kind", "audit");
        assert_eq!(with.json(), r#"{"kind":"audit","a":1.0,"b":{"c":"x"}}"#);
        assert_eq!((with.text("kind"), with.get(&["b", "c"])), ("audit".into(), &json!("x")));
        assert_eq!(log.clone().with("a", 2), log);
        assert_eq!(log.clone().without("b").json(), r#"{"a":1.0}"#);
        assert_eq!(log.clone().without("z"), log);
        let quoted = Log::parse(r#"{"a\"b\u00e9":1.50,"c":2,"d":3}"#).unwrap();
        assert_eq!(quoted.without("c").json(), "{\"a\\\"bé\":1.50,\"d\":3}");
        assert_eq!(Log::from(json!({})).with("a", 1).json(), r#"{"a":1}"#);
    }

    #[test]
    fn tables_become_logs() {
        let table = "\u{feff}\"A\",B,C\r\n1,\"x, \"\"y\"\"\nz\",\r\n\r\n\"\",,3";
        let logs = csv_logs(table).unwrap();
        assert_eq!(texts(&logs), [r#"{"A":"1","B":"x, \"y\"\nz","C":""}"#, r#"{"A":"","B":"","C":"3"}"#]);
        assert_eq!(csv_logs("").unwrap(), []);
        assert_eq!(
            texts(&csv_logs("A,B\n1,2\n\n1\r\n3,4,\"x\ny\"\n5,6").unwrap()),
            [
                r#"{"A":"1","B":"2"}"#,
                r#"{"broken":"the row has 1 cells, the head of its table 2","text":"1"}"#,
                r#"{"broken":"the row has 3 cells, the head of its table 2","text":"3,4,\"x\ny\""}"#,
                r#"{"A":"5","B":"6"}"#
            ]
        );
        assert_eq!(texts(&csv_logs("A,B,A\n1,2,3").unwrap()), [r#"{"A":"3","B":"2"}"#]);
        assert!(matches!(csv_logs("A\n\"1"), Err(Stop::Retry { .. })));
        // It ends so each time.
        let part = |table| csv_part(table, 0, 9, 9_000, OpenQuote::BrokenLine).map(|part| part.logs);
        let broken = r#"{"broken":"a quoted cell of the line has no end","text":"2,\"x"}"#;
        for (table, wanted) in [
            ("A,B\n1,y\n\r\n2,\"x\r\n3,z\n", &[r#"{"A":"1","B":"y"}"#, broken, r#"{"A":"3","B":"z"}"#][..]),
            ("A,B\n2,\"x", &[broken]),
        ] {
            assert_eq!(part(table).unwrap(), wanted, "{table:?}");
        }
        assert!(matches!(part("\"A,B\n1"), Err(Stop::Retry { .. })));
    }

    #[test]
    fn a_large_table_is_read_in_parts() {
        let table = "\u{feff}A,B\n1,\"ü\nx\"\r\n\n2,\"\"\"\"\n3,c\n4,\n5,e";
        let whole: Vec<String> = csv_logs(table).unwrap().into_iter().map(Log::into_json).collect();
        assert_eq!(whole.len(), 5);
        for (logs, bytes) in [(1, 1_000), (2, 1_000), (3, 1_000), (5, 1_000), (9, 1), (9, 30)] {
            let (mut read, mut at, mut parts) = (Vec::new(), 0, 0);
            loop {
                let part = csv_part(table, at, logs, bytes, OpenQuote::CutOff).unwrap();
                assert!(!part.logs.is_empty() && part.logs.len() <= logs);
                read.extend(part.logs);
                parts += 1;
                let Some(next) = part.next else { break };
                at = next;
            }
            assert_eq!(read, whole, "{logs} {bytes}");
            assert_eq!(parts, if bytes == 1_000 { 5usize.div_ceil(logs) } else { parts }, "none is empty");
        }
        assert_eq!(csv_part("", 0, 9, 9, OpenQuote::CutOff).unwrap(), CsvPart::default());
        assert!(matches!(csv_part(table, 10_000, 9, 9, OpenQuote::CutOff), Err(Stop::Retry { .. })), "it was longer");
    }

    #[test]
    fn an_answer_says_where_it_goes_on() {
        let body = answer(r#"{"meta": {"next": "x", "n": 5, "none": null, "empty": ""}}"#);
        let text = |key| answer_text(&body, &["meta", key]).unwrap();
        assert_eq!((text("next"), text("n")), (Some("x".into()), Some("5".into())));
        assert_eq!((text("none"), text("empty"), text("other")), (None, None, None));
    }
}
