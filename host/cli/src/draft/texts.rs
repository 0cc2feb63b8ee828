//! Which text format lines are of, by trying all of them, and what their fields are.

use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use streamalert_formats::{Fields, cef, csv, kv, leef, logfmt, space, syslog, w3c, windows_event};

/// Lines of which so many, in percent, are of a format are taken for that format without looking at more general ones.
const FITS_PERCENT: usize = 90;
/// Cells a row must have to be one of space-separated cells: any sentence has two.
const SPACE_CELLS_MIN: usize = 4;
/// Between what pairs of key and value stand, and between key and value.
const PAIRS: [(&str, &str); 7] = [(" ", "="), (",", "="), (", ", "="), (";", "="), ("|", "="), ("\t", "="), (" ", ":")];

/// Lines as a format reads them.
pub struct Read {
    pub parser: &'static str,
    pub configuration: Map<String, Value>,
    pub records: Vec<Map<String, Value>>,
    /// The line each record is on.
    pub lines: Vec<usize>,
    pub by_keys: bool,
    pub notes: Vec<String>,
}

/// The format that most of the lines are of; of those that fit as many, the one that is least likely to fit by chance.
pub fn read(lines: &[&str]) -> Option<Read> {
    let mut best: Option<Read> = None;
    let tries: [&dyn Fn() -> Option<Read>; 9] = [
        &|| each(lines, "windows_event", false, &windows_event::parse),
        &|| each(lines, "cef", false, &cef::parse),
        &|| each(lines, "leef", false, &leef::parse),
        &|| with_fields_line(lines),
        &|| each(lines, "syslog", false, &syslog::parse),
        &|| each(lines, "logfmt", true, &pairs_only),
        &|| key_values(lines),
        &|| comma_separated(lines),
        &|| space_separated(lines),
    ];
    for attempt in tries {
        let Some(found) = attempt() else { continue };
        if best.as_ref().is_none_or(|best| best.lines.len() < found.lines.len()) {
            best = Some(found);
        }
        if best.as_ref().is_some_and(|best| best.lines.len() * 100 >= lines.len() * FITS_PERCENT) {
            break;
        }
    }
    let mut read = best.filter(|read| !read.records.is_empty())?;
    let count = read.records.len();
    read.notes.insert(0, format!("guessed the format {} from {count} of {} lines", read.parser, lines.len()));
    Some(read)
}

type Parse<'p> = &'p dyn for<'a> Fn(&'a str, &mut Fields<'a>) -> Result<(), streamalert_formats::Fault>;

fn each(lines: &[&str], parser: &'static str, by_keys: bool, parse: Parse<'_>) -> Option<Read> {
    let mut read = Read::new(parser, by_keys);
    for (index, line) in lines.iter().enumerate() {
        let mut fields = Vec::new();
        if parse(line, &mut fields).is_ok() && !fields.is_empty() {
            read.push(index, object(fields));
        }
    }
    (!read.records.is_empty()).then_some(read)
}

impl Read {
    fn new(parser: &'static str, by_keys: bool) -> Self {
        Read { parser, configuration: Map::new(), records: Vec::new(), lines: Vec::new(), by_keys, notes: Vec::new() }
    }

    fn push(&mut self, line: usize, record: Map<String, Value>) {
        self.records.push(record);
        self.lines.push(line);
    }
}

fn object(fields: Fields<'_>) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.into_owned(), plain(value))).collect()
}

fn plain(value: streamalert_formats::Value<'_>) -> Value {
    use streamalert_formats::Value as Found;
    match value {
        Found::Null => Value::Null,
        Found::Text(text) => json!(text),
        Found::Integer(number) => json!(number),
        Found::Object(fields) => Value::Object(object(fields)),
        Found::List(items) => items.into_iter().map(plain).collect(),
    }
}

/// logfmt takes words without a value too; of a sentence it would make nothing but those.
fn pairs_only<'a>(line: &'a str, out: &mut Fields<'a>) -> Result<(), streamalert_formats::Fault> {
    logfmt::parse(line, out)?;
    match line.matches('=').count() * 2 > out.len() && out.len() > 1 {
        true => Ok(()),
        false => Err(streamalert_formats::Fault::new("hardly any pairs")),
    }
}

fn key_values(lines: &[&str]) -> Option<Read> {
    let mut best: Option<Read> = None;
    for (delimiter, separator) in PAIRS {
        let dialect =
            kv::Dialect { delimiter: delimiter.into(), separator: separator.into(), ..kv::Dialect::default() };
        let parse = |line: &str| {
            let mut fields = Vec::new();
            kv::parse(line, &dialect, &mut fields).ok().filter(|()| fields.len() > 1).map(|()| object(fields))
        };
        let mut read = Read::new("kv", true);
        for (index, line) in lines.iter().enumerate() {
            if let Some(record) = parse(line) {
                read.push(index, record);
            }
        }
        if !read.records.is_empty() && best.as_ref().is_none_or(|best| best.lines.len() < read.lines.len()) {
            for (option, value, usual) in [("delimiter", delimiter, " "), ("separator", separator, "=")] {
                if value != usual {
                    read.configuration.insert(option.into(), json!(value));
                }
            }
            best = Some(read);
        }
    }
    best
}

fn with_fields_line(lines: &[&str]) -> Option<Read> {
    let mut read = Read::new("w3c", true);
    let mut header = None;
    let mut directives = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if w3c::is_directive(line) {
            header = w3c::Header::parse(line).ok().or(header);
            directives.push(index);
        } else if let Some(header) = &header {
            let mut fields = Vec::new();
            if w3c::parse(header, line, &mut fields).is_ok() {
                read.push(index, object(fields));
            }
        }
    }
    (!read.records.is_empty()).then_some(read)
}

fn comma_separated(lines: &[&str]) -> Option<Read> {
    let text = lines.join("\n");
    let tries = [',', '\t', ';', '|'].map(|delimiter| {
        let dialect = csv::Dialect::new(delimiter, Some('"'), None).ok()?;
        let mut cells = csv::Cells::default();
        let mut rows = Vec::new();
        let (mut rest, mut line) = (text.as_str(), 0);
        while !rest.is_empty() {
            // A row may go over several lines.
            let length = csv::row(rest, &dialect, &mut cells).max(1);
            let cell = |index: usize| cells.get(rest, index).map(str::to_owned);
            rows.push((line, (0..cells.len()).map(cell).collect()));
            line += rest.as_bytes()[..length].iter().filter(|byte| **byte == b'\n').count();
            rest = rest.get(length..).unwrap_or_default();
        }
        let mut read = rows_of(rows, "csv", 2)?;
        if delimiter != ',' {
            read.configuration.insert("delimiter".into(), json!(delimiter));
        }
        Some(read)
    });
    // Of as many rows, the one with more cells.
    let weight = |read: &Read| (read.records.len(), read.records.first().map_or(0, Map::len));
    tries.into_iter().flatten().max_by_key(weight)
}

fn space_separated(lines: &[&str]) -> Option<Read> {
    let rows = lines.iter().enumerate().map(|(index, line)| {
        let mut cells: Vec<Option<Cow<'_, str>>> = Vec::new();
        space::split(line, &mut cells);
        (index, cells.into_iter().map(|cell| cell.map(Cow::into_owned)).collect())
    });
    rows_of(rows.collect(), "space", SPACE_CELLS_MIN)
}

/// Rows with as many cells as most have. Their first may name them.
fn rows_of(rows: Vec<(usize, Vec<Option<String>>)>, parser: &'static str, cells_min: usize) -> Option<Read> {
    let mut widths: BTreeMap<usize, usize> = BTreeMap::new();
    rows.iter().for_each(|(_, row)| *widths.entry(row.len()).or_default() += 1);
    let (width, _) = widths.into_iter().max_by_key(|(width, count)| (*count, *width))?;
    if width < cells_min {
        return None;
    }
    let rows: Vec<(usize, Vec<Option<String>>)> = rows.into_iter().filter(|(_, row)| row.len() == width).collect();
    let mut read = Read::new(parser, false);
    let (names, rows) = match header(&rows) {
        Some(names) => {
            read.configuration.insert("header".into(), json!(true));
            read.notes.push("the first line names the columns".to_owned());
            (names, &rows[1..])
        }
        None => {
            read.notes.push("nothing names the columns: give them names in place of column_1 and so on".to_owned());
            ((1..=width).map(|column| format!("column_{column}")).collect(), &rows[..])
        }
    };
    for (line, row) in rows {
        let value = |cell: &Option<String>| cell.as_ref().map_or(Value::Null, |text| json!(text));
        read.push(*line, names.iter().cloned().zip(row.iter().map(value)).collect());
    }
    (!read.records.is_empty()).then_some(read)
}

/// The first row, if its cells are names: words that differ and that no other row has in the same column.
fn header(rows: &[(usize, Vec<Option<String>>)]) -> Option<Vec<String>> {
    let ((0, first), [_, ..]) = (rows.first()?, rows.get(1..)?) else { return None };
    let mut names: Vec<String> = Vec::new();
    for (column, cell) in first.iter().enumerate() {
        let name = cell.as_ref()?.trim();
        let word = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_alphanumeric() || "_- .:()/".contains(c));
        let again = rows[1..].iter().any(|(_, row)| row[column].as_deref() == Some(name));
        if !word || again || names.iter().any(|known| known == name) {
            return None;
        }
        names.push(name.to_owned());
    }
    Some(names)
}
