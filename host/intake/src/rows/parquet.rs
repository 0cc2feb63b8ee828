//! Parquet: its table of contents stands at the end, so the object is put aside first, and then read row by row, a page of
//! each column at a time.
//!
//! The crate's reader of rows is asked for the values as they are stored; what they mean is decided here, so that a value
//! that does not fit its meaning costs one row and no group of them.

use super::{Row, json};
use crate::unpack::{Buffered, Damage};
use bytes::Bytes;
use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::PageReader;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::record::reader::{ReaderIter, RowIter, TreeBuilder};
use parquet::record::{Field, Row as Record};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type, TypePtr};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use streamalert_pipeline::dead_letter::Reason;
use streamalert_pipeline::limits::{CONTAINER_BYTES_MAX, INPUT_BYTES_MAX};

/// Bytes that need no file: most objects of a partitioned table are that small.
const SPOOL_MEMORY_BYTES: u64 = 16 << 20;
/// Values of a column read at once. More would only hold more memory.
const BATCH_VALUES: usize = 1024;

pub struct Parquet {
    file: Box<dyn FileReader>,
    schema: TypePtr,
    /// The same without meaning.
    stored: SchemaDescPtr,
    group: usize,
    rows: Option<ReaderIter>,
    /// Rows of the group that are done.
    done: u64,
}

impl Parquet {
    pub fn open<R: Read>(part: &mut Buffered<R>) -> io::Result<Result<Self, Damage>> {
        let mut memory = Vec::new();
        part.take(SPOOL_MEMORY_BYTES).read_to_end(&mut memory)?;
        let file = if (memory.len() as u64) < SPOOL_MEMORY_BYTES {
            reader_of(|| SerializedFileReader::new(Bytes::from(memory)))
        } else {
            let mut spool = tempfile::tempfile()?;
            spool.write_all(&memory)?;
            drop(memory);
            let rest = CONTAINER_BYTES_MAX - SPOOL_MEMORY_BYTES + 1;
            if io::copy(&mut part.take(rest), &mut spool)? == rest {
                let message = format!("a Parquet object of more than {CONTAINER_BYTES_MAX} bytes");
                return Ok(Err(Damage::limit(message)));
            }
            spool.seek(SeekFrom::Start(0))?;
            reader_of(|| SerializedFileReader::new(spool))
        };
        if let Some(damage) = part.damage() {
            return Ok(Err(damage.clone()));
        }
        let opened = file.and_then(|file| {
            let schema = file.metadata().file_metadata().schema_descr().root_schema_ptr();
            let stored = Arc::new(SchemaDescriptor::new(Arc::new(without_meaning(&schema)?)));
            Ok(Parquet { file, schema, stored, group: 0, rows: None, done: 0 })
        });
        Ok(opened.map_err(|error| Damage::new(format!("the Parquet data cannot be read ({error})"))))
    }

    pub fn next(&mut self, out: &mut Vec<u8>) -> Row {
        loop {
            if self.rows.is_none() {
                if self.group == self.file.num_row_groups() {
                    return Row::End;
                }
                match unbroken(|| self.open_group()) {
                    Ok(rows) => (self.rows, self.done) = (Some(rows), 0),
                    Err(error) => return self.lose_group(&error),
                }
            }
            let Some(rows) = &mut self.rows else { continue };
            match unbroken(|| rows.next().transpose()) {
                Ok(None) => {
                    self.rows = None;
                    self.group += 1;
                }
                Ok(Some(record)) => {
                    self.done += 1;
                    return self.write(&record, out);
                }
                Err(error) => return self.lose_group(&error),
            }
        }
    }

    fn open_group(&self) -> ParquetResult<ReaderIter> {
        let group = Stored::new(self.file.get_row_group(self.group)?, &self.stored)?;
        TreeBuilder::new().with_batch_size(BATCH_VALUES).as_iter(self.stored.clone(), &group)
    }

    /// After an error its columns are out of step: what is left of the group is lost.
    fn lose_group(&mut self, error: &ParquetError) -> Row {
        let rows = u64::try_from(self.file.metadata().row_group(self.group).num_rows()).unwrap_or(0);
        let (group, left) = (self.group, rows.saturating_sub(self.done));
        self.rows = None;
        self.group += 1;
        Row::Lost {
            message: format!(
                "row group {group} of the Parquet data is damaged ({error}): {left} of its {rows} rows are lost"
            ),
            reason: Reason::Compression,
            sample: Vec::new(),
        }
    }

    fn write(&self, record: &Record, out: &mut Vec<u8>) -> Row {
        let begin = out.len();
        let written = group(out, record, self.schema.get_fields());
        out.push(b'\n');
        let (message, reason) = match written {
            Err(message) => (message, Reason::NotJson),
            Ok(()) if out.len() - begin > INPUT_BYTES_MAX => {
                (format!("a row of more than {INPUT_BYTES_MAX} bytes"), Reason::Limit)
            }
            Ok(()) => return Row::Made,
        };
        let sample = out[begin..].iter().copied().take(crate::pieces::SAMPLE_BYTES).collect();
        out.truncate(begin);
        let message = format!("row {} of row group {} of the Parquet data: {message}", self.done, self.group);
        Row::Lost { message, reason, sample }
    }
}

fn reader_of<F: parquet::file::reader::ChunkReader + 'static>(
    open: impl FnOnce() -> ParquetResult<SerializedFileReader<F>>,
) -> ParquetResult<Box<dyn FileReader>> {
    unbroken(|| Ok(Box::new(open()?) as Box<dyn FileReader>))
}

/// A damaged file may break the reader, which must not break us.
fn unbroken<T>(read: impl FnOnce() -> ParquetResult<T>) -> ParquetResult<T> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(ParquetError::General("the reader broke on it".to_owned())))
}

/// A row group whose columns mean nothing.
struct Stored<'a> {
    group: Box<dyn RowGroupReader + 'a>,
    metadata: RowGroupMetaData,
}

impl<'a> Stored<'a> {
    fn new(group: Box<dyn RowGroupReader + 'a>, schema: &SchemaDescPtr) -> ParquetResult<Self> {
        let columns = schema.columns().iter().map(|column| ColumnChunkMetaData::builder(column.clone()).build());
        let metadata = RowGroupMetaData::builder(schema.clone())
            .set_num_rows(group.metadata().num_rows())
            .set_column_metadata(columns.collect::<ParquetResult<_>>()?)
            .build()?;
        Ok(Stored { group, metadata })
    }
}

impl RowGroupReader for Stored<'_> {
    fn metadata(&self) -> &RowGroupMetaData {
        &self.metadata
    }

    fn num_columns(&self) -> usize {
        self.metadata.num_columns()
    }

    fn get_column_page_reader(&self, number: usize) -> ParquetResult<Box<dyn PageReader>> {
        self.group.get_column_page_reader(number)
    }

    fn get_column_bloom_filter(&self, number: usize) -> Option<&Sbbf> {
        self.group.get_column_bloom_filter(number)
    }

    fn get_row_iter(&self, projection: Option<Type>) -> ParquetResult<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}

/// The same schema with nothing but the types that values are stored as, and what is a list or a map.
fn without_meaning(ty: &Type) -> ParquetResult<Type> {
    let info = ty.get_basic_info();
    let repetition = info.has_repetition().then(|| info.repetition());
    match ty {
        Type::PrimitiveType { physical_type, type_length, .. } => {
            let builder = Type::primitive_type_builder(info.name(), *physical_type).with_length(*type_length);
            match repetition {
                Some(repetition) => builder.with_repetition(repetition).build(),
                None => builder.build(),
            }
        }
        Type::GroupType { fields, .. } => {
            let fields = fields.iter().map(|field| Ok(Arc::new(without_meaning(field)?)));
            let shape = match (info.logical_type_ref(), info.converted_type()) {
                (Some(LogicalType::List), _) => ConvertedType::LIST,
                (Some(LogicalType::Map), _) => ConvertedType::MAP,
                (_, shape) => shape,
            };
            let builder = Type::group_type_builder(info.name())
                .with_converted_type(shape)
                .with_fields(fields.collect::<ParquetResult<_>>()?);
            match repetition {
                Some(repetition) => builder.with_repetition(repetition).build(),
                None => builder.build(),
            }
        }
    }
}

/// Why a value cannot be written.
type Written = Result<(), String>;

fn group(out: &mut Vec<u8>, record: &Record, types: &[TypePtr]) -> Written {
    let mut written = Ok(());
    out.push(b'{');
    for (number, ((name, field), ty)) in record.get_column_iter().zip(types).enumerate() {
        if number > 0 {
            out.push(b',');
        }
        json::text(out, name);
        out.push(b':');
        let one = value(out, field, ty).map_err(|message| format!("{name}: {message}"));
        written = written.and(one);
    }
    out.push(b'}');
    written
}

fn value(out: &mut Vec<u8>, field: &Field, ty: &Type) -> Written {
    match field {
        Field::Group(record) => group(out, record, ty.get_fields()),
        Field::ListInternal(list) => {
            let mut written = Ok(());
            out.push(b'[');
            for (number, element) in list.elements().iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                written = written.and(value(out, element, element_type(ty)));
            }
            out.push(b']');
            written
        }
        Field::MapInternal(map) => {
            let pair = ty.get_fields().first().map(|pair| pair.get_fields()).unwrap_or_default();
            let [key_type, value_type] = pair else { return Err("a map without keys and values".to_owned()) };
            let mut written = Ok(());
            out.push(b'{');
            for (number, (key, field)) in map.entries().iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                let begin = out.len();
                written = written.and(value(out, key, key_type));
                // Names are text.
                if out.get(begin) != Some(&b'"') {
                    let name = String::from_utf8_lossy(&out.split_off(begin)).into_owned();
                    json::text(out, &name);
                }
                out.push(b':');
                written = written.and(value(out, field, value_type));
            }
            out.push(b'}');
            written
        }
        leaf => scalar(out, leaf, ty),
    }
}

/// Of the elements of a list, by the three ways in which lists are written.
fn element_type(ty: &Type) -> &Type {
    let list = !ty.is_primitive()
        && (ty.get_basic_info().converted_type() == ConvertedType::LIST
            || matches!(ty.get_basic_info().logical_type_ref(), Some(LogicalType::List))
            // A map of keys alone.
            || matches!(ty.get_basic_info().converted_type(), ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE));
    let Some(repeated) = list.then(|| ty.get_fields().first()).flatten() else { return ty };
    let is_element = repeated.is_primitive()
        || repeated.get_fields().len() != 1
        || repeated.name() == "array"
        || repeated.name().ends_with("_tuple")
        || repeated.get_fields()[0].get_basic_info().repetition() == Repetition::REPEATED;
    if is_element { repeated } else { &repeated.get_fields()[0] }
}

fn ticks(unit: &TimeUnit) -> i64 {
    match unit {
        TimeUnit::MILLIS => 1_000,
        TimeUnit::MICROS => 1_000_000,
        TimeUnit::NANOS => 1_000_000_000,
    }
}

fn scalar(out: &mut Vec<u8>, field: &Field, ty: &Type) -> Written {
    let info = ty.get_basic_info();
    let (logical, converted) = (info.logical_type_ref(), info.converted_type());
    let scale = match (logical, converted) {
        (Some(LogicalType::Decimal(_)), _) | (_, ConvertedType::DECIMAL) => usize::try_from(ty.get_scale()).ok(),
        _ => None,
    };
    match field {
        Field::Bool(value) => json::number(out, value),
        Field::Float(value) => json::float(out, *value),
        Field::Double(value) => json::float(out, *value),
        Field::Int(_) | Field::Long(_) => {
            let (value, narrow) = match field {
                Field::Int(value) => (i64::from(*value), true),
                Field::Long(value) => (*value, false),
                _ => return Ok(()),
            };
            match (logical, converted) {
                _ if scale.is_some() => json::decimal(out, &value.to_be_bytes(), scale.unwrap_or(0)),
                (Some(LogicalType::Date), _) | (None, ConvertedType::DATE) => json::date(out, value),
                (Some(LogicalType::Time(time)), _) => json::time(out, value, ticks(&time.unit)),
                (None, ConvertedType::TIME_MILLIS) => json::time(out, value, 1_000),
                (None, ConvertedType::TIME_MICROS) => json::time(out, value, 1_000_000),
                (Some(LogicalType::Timestamp(stamp)), _) => {
                    json::timestamp(out, value, ticks(&stamp.unit), stamp.is_adjusted_to_u_t_c);
                }
                (None, ConvertedType::TIMESTAMP_MILLIS) => json::timestamp(out, value, 1_000, true),
                (None, ConvertedType::TIMESTAMP_MICROS) => json::timestamp(out, value, 1_000_000, true),
                (
                    _,
                    ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64,
                ) => {
                    if narrow {
                        json::number(out, value as u32)
                    } else {
                        json::number(out, value as u64)
                    }
                }
                (Some(LogicalType::Integer(integer)), _) if !integer.is_signed => {
                    if narrow {
                        json::number(out, value as u32)
                    } else {
                        json::number(out, value as u64)
                    }
                }
                _ => json::number(out, value),
            }
        }
        // The old form of nanoseconds, of which the reader keeps milliseconds.
        Field::TimestampMillis(value) => json::timestamp(out, *value, 1_000, true),
        Field::Bytes(value) => {
            let bytes = value.data();
            match (logical, converted) {
                _ if scale.is_some() => json::decimal(out, bytes, scale.unwrap_or(0)),
                (Some(LogicalType::Uuid), _) => json::uuid(out, bytes),
                (Some(LogicalType::Float16), _) if bytes.len() == 2 => {
                    json::float(out, half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32());
                }
                (Some(LogicalType::String | LogicalType::Enum | LogicalType::Json), _)
                | (_, ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON) => {
                    json::bytes(out, bytes);
                    if std::str::from_utf8(bytes).is_err() {
                        return Err("text that is not UTF-8 (here in base64)".to_owned());
                    }
                }
                _ => json::bytes(out, bytes),
            }
        }
        Field::Null => out.extend_from_slice(b"null"),
        other => {
            out.extend_from_slice(b"null");
            return Err(format!("a value of a kind that is not known here: {other}"));
        }
    }
    Ok(())
}
