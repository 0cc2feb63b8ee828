//! Records become rows. A value that does not fit its column is null there; the whole record stands beside it.

use crate::table::{Entry, Kind, Table};
use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, RecordBatch, StringBuilder, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use std::sync::Arc;
use streamalert_packed::{Kind as NodeKind, Node, Record};
use streamalert_pipeline::log_record::{Position, Source};
use streamalert_pipeline::record_batch::push_hex;

/// Where a record comes from.
pub struct Provenance<'a> {
    pub identity: &'a [u8; 32],
    pub cluster: &'a str,
    /// When the log says it happened.
    pub time: Option<&'a str>,
    /// RFC 3339.
    pub arrived: &'a str,
    pub source: &'a Source,
    pub position: Position,
    /// As JSON.
    pub record: &'a str,
}

/// Rows of one table under construction.
pub struct Rows {
    table: Arc<Table>,
    columns: Entries,
    texts: Vec<StringBuilder>,
    places: [Int64Builder; 3],
    rows: usize,
    bytes: usize,
    hex: String,
}

/// Of the columns of provenance: texts before the numbers, the numbers, the record.
const TEXTS: usize = 7;

impl Rows {
    pub fn new(table: &Arc<Table>) -> Rows {
        let texts = if table.has_provenance { TEXTS + 1 } else { 0 };
        Rows {
            columns: Entries::new(&table.entries),
            table: table.clone(),
            texts: (0..texts).map(|_| StringBuilder::new()).collect(),
            places: Default::default(),
            rows: 0,
            bytes: 0,
            hex: String::with_capacity(64),
        }
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// About what the rows take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// `record` is what `from.record` says, if it could be read.
    pub fn push(&mut self, record: Option<Record<'_>>, from: &Provenance<'_>) {
        self.columns.append(record.map(Record::root));
        self.hex.clear();
        push_hex(from.identity, &mut self.hex);
        let source = from.source;
        let texts: [Option<&str>; TEXTS] = [
            Some(&self.hex),
            Some(from.cluster),
            from.time,
            Some(from.arrived),
            Some(&source.service),
            Some(&source.resource),
            Some(&source.object),
        ];
        for (column, text) in self.texts.iter_mut().zip(texts.into_iter().chain([Some(from.record)])) {
            column.append_option(text);
        }
        let number = |number: u64| i64::try_from(number).ok();
        let Position { offset, length, index } = from.position;
        for (column, value) in self.places.iter_mut().zip([number(offset), number(length), Some(i64::from(index))]) {
            column.append_option(value);
        }
        self.rows += 1;
        self.bytes += 2 * from.record.len() + 200;
    }

    /// A row of the table of alerts.
    pub fn push_alert(&mut self, alert: Record<'_>) {
        self.columns.append(Some(alert.root()));
        self.rows += 1;
        self.bytes += alert.bytes().len();
    }

    /// The rows so far.
    pub fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut arrays = self.columns.finish();
        let mut texts = self.texts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
        if self.table.has_provenance {
            arrays.extend(texts.by_ref().take(TEXTS));
            arrays.extend(self.places.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
            arrays.extend(texts);
        }
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new(self.table.schema.clone(), arrays)
    }
}

/// The columns for the entries of one object.
struct Entries {
    entries: Vec<Column>,
    /// JSON of a value on its way into a column.
    json: String,
}

struct Column {
    key: String,
    /// Where the key stood in the last object: mostly it stands there again.
    place: usize,
    name: String,
    values: Values,
}

enum Values {
    Text(StringBuilder),
    Integer(Int64Builder),
    Float(Float64Builder),
    Boolean(BooleanBuilder),
    Texts(ListBuilder<StringBuilder>),
    Object(Entries, Vec<bool>),
}

impl Entries {
    fn new(entries: &[Entry]) -> Entries {
        let column = |(place, entry): (usize, &Entry)| Column {
            key: entry.key.clone(),
            place,
            name: entry.name.clone(),
            values: Values::new(&entry.kind),
        };
        Entries { entries: entries.iter().enumerate().map(column).collect(), json: String::new() }
    }

    fn append(&mut self, object: Option<Node<'_>>) {
        for column in &mut self.entries {
            let value = object.and_then(|object| {
                object.entry_if(column.place, &column.key).or_else(|| {
                    let (place, value) = object.find(&column.key)?;
                    column.place = place;
                    Some(value)
                })
            });
            column.values.append(value, &mut self.json);
        }
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        self.entries.iter_mut().map(|column| column.values.finish()).collect()
    }
}

impl Values {
    fn new(kind: &Kind) -> Values {
        match kind {
            Kind::Text => Values::Text(StringBuilder::new()),
            Kind::Integer => Values::Integer(Int64Builder::new()),
            Kind::Float => Values::Float(Float64Builder::new()),
            Kind::Boolean => Values::Boolean(BooleanBuilder::new()),
            Kind::Texts => Values::Texts(ListBuilder::new(StringBuilder::new()).with_field(Field::new(
                "element",
                DataType::Utf8,
                true,
            ))),
            Kind::Object(entries) => Values::Object(Entries::new(entries), Vec::new()),
        }
    }

    fn append(&mut self, value: Option<Node<'_>>, json: &mut String) {
        match self {
            Values::Text(column) => append_text(column, value, json),
            Values::Integer(column) => column.append_option(value.and_then(Node::as_i64)),
            Values::Float(column) => {
                column.append_option(value.and_then(Node::as_f64).filter(|number| number.is_finite()));
            }
            Values::Boolean(column) => column.append_option(value.and_then(Node::as_bool)),
            Values::Texts(column) => match value.filter(|value| value.kind() == NodeKind::Array) {
                Some(list) => {
                    for item in list.items() {
                        append_text(column.values(), Some(item), json);
                    }
                    column.append(true);
                }
                None => column.append(false),
            },
            Values::Object(entries, valid) => {
                let object = value.filter(|value| value.kind() == NodeKind::Object);
                entries.append(object);
                valid.push(object.is_some());
            }
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Values::Text(column) => Arc::new(column.finish()),
            Values::Integer(column) => Arc::new(column.finish()),
            Values::Float(column) => Arc::new(column.finish()),
            Values::Boolean(column) => Arc::new(column.finish()),
            Values::Texts(column) => Arc::new(column.finish()),
            Values::Object(entries, valid) => {
                let arrays = entries.finish();
                let fields = entries.entries.iter().zip(&arrays);
                let fields = fields.map(|(column, array)| Field::new(&column.name, array.data_type().clone(), true));
                let nulls = NullBuffer::from(std::mem::take(valid));
                Arc::new(StructArray::new(fields.collect::<Vec<_>>().into(), arrays, Some(nulls)))
            }
        }
    }
}

/// A text as it is, anything else as its JSON.
fn append_text(column: &mut StringBuilder, value: Option<Node<'_>>, json: &mut String) {
    match value {
        None => column.append_null(),
        Some(value) if value.is_null() => column.append_null(),
        Some(value) => match value.as_str() {
            Some(text) => column.append_value(text),
            None => {
                json.clear();
                value.write_json(json);
                column.append_value(&*json);
            }
        },
    }
}
