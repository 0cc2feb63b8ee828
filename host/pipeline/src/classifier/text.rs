//! Inputs in text formats: how a text becomes the fields of a record, for all types that are read in the same way.

use super::candidates::Near;
use super::document::{Columns, Document};
use crate::config::schema::{FieldKind, Fields as Schema, LogType, Parser, TextOptions};
use hashbrown::HashMap;
use std::borrow::Cow;
use std::sync::Arc;
use streamalert_formats::{Fault, Fields, Value, cef, csv, grok, kv, leef, logfmt, space, syslog, w3c, windows_event};

/// One way to read texts.
pub(super) struct Format {
    parser: Parser,
    reader: Reader,
    /// Its first line, or `#Fields:`, names the columns.
    header: bool,
    /// Types whose fields are columns, by place.
    rows: Vec<Row>,
}

enum Reader {
    Csv(csv::Dialect),
    Kv(kv::Dialect),
    Grok(Vec<grok::Pattern>),
    /// Has no options.
    Plain,
}

/// A type whose fields are the columns of a row.
struct Row {
    /// Of `Candidates::types`.
    log_type: usize,
    names: Vec<String>,
    /// Cells a row must have at least: up to the last field that is not optional.
    required: usize,
    nested: bool,
}

/// Names of the columns of a row, and the hash of them as keys.
pub(super) struct Named {
    pub columns: Columns,
    pub hash: u64,
    pub names: Vec<String>,
}

/// What a header line says.
pub(super) enum Head {
    Columns(Arc<Named>),
    W3c(w3c::Header),
}

/// How much a text that a format cannot read looks like it all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Likeness {
    None,
    /// What many texts have: some cells, some pairs.
    Shape,
    /// As many cells as expected but for one or two; what only this format begins with.
    Mark,
}

/// The cells of a row, and scratch to find them in.
#[derive(Default)]
pub(super) struct Cells {
    csv: csv::Cells,
}

impl Format {
    /// `None`: the type is JSON.
    pub fn of(log_type: &LogType) -> Option<Format> {
        let options = &log_type.options.text;
        let reader = match log_type.parser {
            Parser::Json => return None,
            Parser::Csv => Reader::Csv(csv_dialect(options)),
            Parser::Kv => Reader::Kv(kv_dialect(options)),
            Parser::Grok => Reader::Grok(log_type.options.grok.clone()),
            _ => Reader::Plain,
        };
        Some(Format {
            parser: log_type.parser,
            reader,
            header: options.header || log_type.parser == Parser::W3c,
            rows: Vec::new(),
        })
    }

    pub fn parser(&self) -> Parser {
        self.parser
    }

    pub fn has_header(&self) -> bool {
        self.header
    }

    /// Its records are rows: cells by place.
    pub fn is_tabular(&self) -> bool {
        matches!(self.parser, Parser::Csv | Parser::Space)
    }

    pub fn csv(&self) -> Option<&csv::Dialect> {
        match &self.reader {
            Reader::Csv(dialect) => Some(dialect),
            _ => None,
        }
    }

    /// See [`Parser::offered`].
    pub fn offered(&self) -> &'static [&'static str] {
        self.parser.offered()
    }

    /// Takes note of the types whose fields are columns.
    pub fn learn(&mut self, types: &[Arc<LogType>], indexes: &[usize]) {
        if !self.is_tabular() {
            return;
        }
        for &log_type in indexes {
            let fields = &types[log_type].fields.0;
            self.rows.push(Row {
                log_type,
                names: fields.iter().map(|field| field.name.clone()).collect(),
                required: fields.iter().rposition(|field| !field.optional).map_or(1, |last| last + 1),
                nested: types[log_type].has_objects(),
            });
        }
    }

    /// The types that a row of so many cells may be: exactly, or with cells the schema has no names for.
    pub fn rows(&self, cells: usize, exact: bool) -> impl Iterator<Item = usize> + '_ {
        let fits = move |row: &&Row| {
            let known = row.names.len();
            if exact { (row.required..=known).contains(&cells) } else { cells > known && known >= cells - known }
        };
        self.rows.iter().filter(fits).map(|row| row.log_type)
    }

    /// Names for the cells of a row of type `log_type`; those beyond its fields are called by their number.
    pub fn names(&self, log_type: usize, cells: usize) -> Vec<String> {
        let names = self.rows.iter().find(|row| row.log_type == log_type).map(|row| &row.names[..]).unwrap_or_default();
        let extra = names.len()..cells.max(names.len());
        names.iter().cloned().chain(extra.map(|index| format!("column_{}", index + 1))).take(cells).collect()
    }

    pub fn is_nested(&self, log_type: usize) -> bool {
        self.rows.iter().any(|row| row.log_type == log_type && row.nested)
    }

    /// Whether the cells are the names of a type's fields: a header that nobody announced.
    pub fn is_header<'a>(&self, cells: impl Iterator<Item = &'a str> + Clone) -> bool {
        self.rows.iter().any(|row| {
            cells.clone().next().is_some_and(|first| first == row.names[0]) && cells.clone().eq(row.names.iter())
        })
    }

    /// The names that a header line gives to columns, as the types know them. `None`: it is no header of any type.
    pub fn header<'a>(&self, cells: impl Iterator<Item = &'a str>) -> Result<Vec<String>, Vec<Near>> {
        let cells: Vec<&str> = cells.map(|cell| cell.trim().trim_start_matches('\u{feff}')).collect();
        let known = |name: &str| self.rows.iter().any(|row| row.names.iter().any(|known| known == name));
        let names: Vec<String> = cells
            .iter()
            .map(|cell| {
                // `account-id` in a header is `account_id` in many a schema.
                let other = cell.replace(['-', ' '], "_");
                if !known(cell) && known(&other) { other } else { (*cell).to_owned() }
            })
            .collect();
        let lacks = |row: &Row| -> Vec<String> {
            row.names[..row.required].iter().filter(|name| !names.contains(name)).cloned().collect()
        };
        if self.rows.iter().any(|row| lacks(row).is_empty()) {
            return Ok(names);
        }
        Err(self
            .rows
            .iter()
            .map(|row| Near { log_type: row.log_type.to_string(), missing: lacks(row), unknown: Vec::new() })
            .collect())
    }

    /// How many cells rows of its types have, for messages.
    pub fn widths(&self) -> String {
        let mut widths: Vec<usize> = self.rows.iter().map(|row| row.names.len()).collect();
        widths.sort_unstable();
        widths.dedup();
        widths.iter().map(usize::to_string).collect::<Vec<_>>().join(" or ")
    }

    /// See [`Likeness`].
    pub fn likeness(&self, text: &str, head: Option<&Head>) -> Likeness {
        let marked = |mark: bool| if mark { Likeness::Mark } else { Likeness::None };
        let shaped = |shape: bool| if shape { Likeness::Shape } else { Likeness::None };
        match (self.parser, &self.reader) {
            (Parser::Csv | Parser::Space, _) => {
                let (mut scratch, mut cells) = (Cells::default(), Vec::new());
                self.cells(text, &mut scratch, &mut cells);
                let wide = |width: usize| cells.len().abs_diff(width) <= 2 && cells.len() > 2;
                let near = match head {
                    Some(Head::Columns(named)) => wide(named.names.len()),
                    _ => self.rows.iter().any(|row| wide(row.names.len())),
                };
                if near { Likeness::Mark } else { shaped(cells.len() > 1 && self.parser == Parser::Csv) }
            }
            (Parser::W3c, _) => shaped(head.is_some()),
            (Parser::Cef, _) => marked(text.contains("CEF:")),
            (Parser::Leef, _) => marked(text.contains("LEEF:")),
            (Parser::WindowsEvent, _) => marked(text.trim_start().starts_with("<Event")),
            (Parser::Syslog, _) => marked(text.starts_with('<') && text[1..].starts_with(|c: char| c.is_ascii_digit())),
            (Parser::Logfmt, _) => shaped(text.contains('=')),
            (_, Reader::Kv(dialect)) => shaped(text.contains(&dialect.separator)),
            _ => Likeness::None,
        }
    }

    /// Finds the cells of the row at the beginning of `text`, and says how long it is.
    pub fn cells<'a>(&self, text: &'a str, cells: &'a mut Cells, out: &mut Vec<Option<Cow<'a, str>>>) -> usize {
        match &self.reader {
            Reader::Csv(dialect) => {
                let length = csv::row(text, dialect, &mut cells.csv);
                let cells = &cells.csv;
                out.extend((0..cells.len()).map(|index| cells.get(text, index).map(Cow::Borrowed)));
                length
            }
            _ => {
                let line = text.split('\n').next().unwrap_or_default();
                space::split(line, out);
                (line.len() + 1).min(text.len())
            }
        }
    }

    /// Finds the fields of `text`, which is one input of a format without columns.
    pub fn fields<'a>(&'a self, text: &'a str, head: Option<&'a Head>, out: &mut Fields<'a>) -> Result<(), Fault> {
        match (&self.reader, self.parser) {
            (Reader::Kv(dialect), _) => kv::parse(text, dialect, out),
            (Reader::Grok(patterns), _) => {
                let mut first = None;
                for pattern in patterns {
                    out.clear();
                    match pattern.parse(text, out) {
                        Ok(()) => return Ok(()),
                        Err(fault) => drop(first.get_or_insert(fault)),
                    }
                }
                Err(first.unwrap_or_else(|| Fault::new("there is no pattern")))
            }
            (_, Parser::Syslog) => syslog::parse(text, out),
            (_, Parser::Cef) => cef::parse(text, out),
            (_, Parser::Leef) => leef::parse(text, out),
            (_, Parser::Logfmt) => logfmt::parse(text, out),
            (_, Parser::WindowsEvent) => windows_event::parse(text, out),
            (_, Parser::W3c) => match head {
                Some(Head::W3c(header)) => w3c::parse(header, text, out),
                _ => Err(Fault::new("no `#Fields:` line came before it")),
            },
            _ => Err(Fault::new("it has columns")),
        }
    }
}

pub(super) fn csv_dialect(options: &TextOptions) -> csv::Dialect {
    let delimiter = options.delimiter.as_ref().and_then(|text| text.chars().next()).unwrap_or(',');
    // What is no ASCII was refused when the schema was read.
    csv::Dialect::new(delimiter, Some(options.quote.unwrap_or('"')), options.escape).unwrap_or_default()
}

fn kv_dialect(options: &TextOptions) -> kv::Dialect {
    kv::Dialect {
        delimiter: options.delimiter.clone().unwrap_or_else(|| " ".to_owned()),
        separator: options.separator.clone().unwrap_or_else(|| "=".to_owned()),
        quote: Some(options.quote.unwrap_or('"')),
        escape: options.escape,
    }
}

/// Whether any key comes twice.
pub(super) fn has_repeated(fields: &Fields<'_>) -> bool {
    let mut seen = hashbrown::HashSet::with_capacity(fields.len());
    !fields.iter().all(|(key, _)| seen.insert(key.as_ref()))
}

/// A key that comes twice stands for the field at its place, if the type has as many fields as there are pairs: messages
/// in which one key occurs with two meanings.
pub(super) fn rename_repeated<'a>(fields: &mut Fields<'a>, schema: &'a Schema) -> bool {
    if fields.len() != schema.0.len() {
        return false;
    }
    let mut seen: HashMap<String, ()> = HashMap::with_capacity(fields.len());
    let mut renamed = false;
    for (index, (key, _)) in fields.iter_mut().enumerate() {
        if seen.insert(key.clone().into_owned(), ()).is_some() {
            *key = Cow::Borrowed(schema.0[index].name.as_str());
            renamed = true;
        }
    }
    renamed
}

/// A cell that holds cells, for each column that is an object with fields.
pub(super) fn fill_nested(
    document: &mut Document,
    text: &str,
    dialect: &csv::Dialect,
    schema: &Schema,
    names: &[String],
    cells: &[Option<Cow<'_, str>>],
    invalid: u32,
) {
    let mut fields: Fields<'_> = Vec::with_capacity(cells.len());
    for (name, cell) in names.iter().zip(cells) {
        let kind = schema.position(name).map(|index| &schema.0[index].kind);
        let value = match (cell, kind) {
            (None, _) => Value::Null,
            (Some(cell), Some(FieldKind::Object(inner))) if !cell.is_empty() => nested(cell, dialect, inner),
            (Some(cell), _) => Value::Text(Cow::Borrowed(cell.as_ref())),
        };
        fields.push((Cow::Borrowed(name.as_str()), value));
    }
    document.fill_fields(text, &fields, invalid);
}

fn nested<'a>(cell: &'a str, dialect: &csv::Dialect, schema: &'a Schema) -> Value<'a> {
    let mut cells = csv::Cells::default();
    csv::row(cell, dialect, &mut cells);
    if cells.len() != schema.0.len() {
        return Value::Text(Cow::Borrowed(cell));
    }
    Value::Object(
        (0..cells.len())
            .map(|index| {
                let name = Cow::Borrowed(schema.0[index].name.as_str());
                let text = cells.cow(cell, index).unwrap_or_default();
                let value = match &schema.0[index].kind {
                    FieldKind::Object(inner) if !text.is_empty() => match text {
                        Cow::Borrowed(text) => nested(text, dialect, inner),
                        // One level of quotes inside another ends here.
                        Cow::Owned(text) => Value::Text(Cow::Owned(text)),
                    },
                    _ => Value::Text(text),
                };
                (name, value)
            })
            .collect(),
    )
}

/// The same allocation for fields that live shorter.
pub(super) fn recycled<'b>(mut fields: Fields<'_>) -> Fields<'b> {
    fields.clear();
    fields.into_iter().map(|_| unreachable!("it is empty")).collect()
}

/// The same for cells.
pub(super) fn recycled_cells<'b>(mut cells: Vec<Option<Cow<'_, str>>>) -> Vec<Option<Cow<'b, str>>> {
    cells.clear();
    cells.into_iter().map(|_| unreachable!("it is empty")).collect()
}
