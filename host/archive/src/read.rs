//! Records back from files, to the last digit: what rules are asked about again.

use crate::compact::log_type as said;
use crate::folder::DataFile;
use crate::{Result, failed};
use arrow::array::{Array, AsArray, PrimitiveArray, RecordBatch as Columns, StringArray, StringViewArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use streamalert_pipeline::classifier::Before;
use streamalert_pipeline::columns::PROVENANCE;
use streamalert_pipeline::log_record::{Position, Source};
use streamalert_pipeline::record_batch::read_hex;

/// Whole records; they are looked at where the file's pages have them.
const RECORD: &str = "streamalert_record";

/// Reads a part of a file of records, many rows at once.
pub struct Records {
    path: PathBuf,
    log_type: Option<String>,
    rows: ParquetRecordBatchReader,
    /// Of the row before: mostly the next one's too.
    source: Arc<Source>,
}

/// A row that was read.
#[derive(Debug)]
pub struct Row<'a> {
    pub cluster: &'a str,
    /// When it reached the classifier, RFC 3339.
    pub arrived: &'a str,
    /// When the log says it happened, as it says it.
    pub event_time: Option<&'a str>,
    /// As it was classified.
    pub record: Before<'a>,
}

/// Parts of a file that can be read by themselves, each with its rows and bytes.
pub fn parts(file: &DataFile) -> Result<Vec<(u64, u64)>> {
    let opened = File::open(&file.path).map_err(failed("read", &file.path))?;
    let opened = ParquetRecordBatchReaderBuilder::try_new(opened).map_err(failed("read", &file.path))?;
    let groups = opened.metadata().row_groups().iter();
    Ok(groups.map(|group| (group.num_rows() as u64, group.compressed_size() as u64)).collect())
}

/// Records of a part of a file of the archive. `log_type` is theirs if the file does not say it.
pub fn records(file: &DataFile, part: usize, log_type: Option<&str>, at_once: usize) -> Result<Records> {
    let opened = File::open(&file.path).map_err(failed("read", &file.path))?;
    let read = ArrowReaderMetadata::load(&opened, ArrowReaderOptions::new()).map_err(failed("read", &file.path))?;
    let views = read.schema().fields().iter().map(|field| match field.name() == RECORD {
        true => Arc::new(Field::new(RECORD, DataType::Utf8View, field.is_nullable())),
        false => field.clone(),
    });
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(views.collect::<Vec<_>>())));
    let read = ArrowReaderMetadata::try_new(read.metadata().clone(), options).map_err(failed("read", &file.path))?;
    let opened = ParquetRecordBatchReaderBuilder::new_with_metadata(opened, read);
    let log_type = said(&opened).or_else(|| log_type.map(str::to_owned));
    let schema = opened.schema();
    let mut roots = Vec::new();
    for (name, _) in PROVENANCE {
        let missing = |_| failed("read", &file.path)(format!("it has no column {name}"));
        roots.push(schema.index_of(name).map_err(missing)?);
    }
    let mask = ProjectionMask::roots(opened.parquet_schema(), roots);
    let rows = opened
        .with_row_groups(vec![part])
        .with_projection(mask)
        .with_batch_size(at_once)
        .build()
        .map_err(failed("read", &file.path))?;
    let source = Arc::new(Source::new("", "", ""));
    Ok(Records { path: file.path.clone(), log_type, rows, source })
}

/// The columns of rows that were read at once.
struct Read<'a> {
    clusters: &'a StringArray,
    arrived: &'a StringArray,
    times: &'a StringArray,
    ids: &'a StringArray,
    services: &'a StringArray,
    resources: &'a StringArray,
    objects: &'a StringArray,
    offsets: &'a PrimitiveArray<Int64Type>,
    lengths: &'a PrimitiveArray<Int64Type>,
    indexes: &'a PrimitiveArray<Int64Type>,
    records: &'a StringViewArray,
}

impl<'a> Read<'a> {
    /// Or the column that is not what it should be.
    fn of(rows: &'a Columns) -> std::result::Result<Read<'a>, &'static str> {
        let text = |name: &'static str| rows.column_by_name(name).and_then(|column| column.as_string_opt()).ok_or(name);
        let number =
            |name: &'static str| rows.column_by_name(name).and_then(|column| column.as_primitive_opt()).ok_or(name);
        let records = rows.column_by_name(RECORD).and_then(|column| column.as_string_view_opt());
        Ok(Read {
            clusters: text("streamalert_cluster")?,
            arrived: text("streamalert_arrived")?,
            times: text("streamalert_time")?,
            ids: text("streamalert_id")?,
            services: text("streamalert_service")?,
            resources: text("streamalert_resource")?,
            objects: text("streamalert_object")?,
            offsets: number("streamalert_offset")?,
            lengths: number("streamalert_length")?,
            indexes: number("streamalert_index")?,
            records: records.ok_or(RECORD)?,
        })
    }
}

impl Records {
    /// None if neither the file nor anybody else said it.
    pub fn log_type(&self) -> Option<&str> {
        self.log_type.as_deref()
    }

    /// Shows the next rows, in their order, and says how many they were: none at the end.
    pub fn read(&mut self, mut each: impl FnMut(Row<'_>)) -> Result<usize> {
        let rows = match self.rows.next() {
            None => return Ok(0),
            Some(rows) => rows.map_err(failed("read", &self.path))?,
        };
        let wrong = |name| failed("read", &self.path)(format!("the column {name} is not what it was"));
        let read = Read::of(&rows).map_err(wrong)?;
        for row in 0..rows.num_rows() {
            let (service, resource) = (read.services.value(row), read.resources.value(row));
            let object = read.objects.value(row);
            let last = &self.source;
            if last.object != object || last.service != service || last.resource != resource {
                self.source = Arc::new(Source::new(service, resource, object));
            }
            each(Row {
                cluster: read.clusters.value(row),
                arrived: read.arrived.value(row),
                event_time: read.times.is_valid(row).then(|| read.times.value(row)),
                record: Before {
                    source: self.source.clone(),
                    position: Position {
                        offset: read.offsets.value(row) as u64,
                        length: read.lengths.value(row) as u64,
                        index: read.indexes.value(row) as u32,
                    },
                    identity: read_hex(read.ids.value(row)).ok_or_else(|| wrong("streamalert_id"))?,
                    json: read.records.value(row),
                },
            });
        }
        Ok(rows.num_rows())
    }
}
