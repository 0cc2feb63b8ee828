//! Records back from files, to the last digit: what rules are asked about again.

use crate::compact::log_type as said;
use crate::folder::DataFile;
use crate::{Result, failed};
use arrow::array::{Array, AsArray, RecordBatch as Columns};
use arrow::datatypes::Int64Type;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use streamalert_pipeline::columns::PROVENANCE;
use streamalert_pipeline::log_record::{Position, Source};
use streamalert_pipeline::record_batch::{BatchRecord, RecordBatch, read_hex};
use streamalert_pipeline::time::parse;

/// Reads a file of records, batch by batch.
pub struct Records {
    path: PathBuf,
    log_type: String,
    rows: ParquetRecordBatchReader,
    /// Of the row before: mostly the next one's too.
    source: Arc<Source>,
    /// What the rows are that were read and are not yet given out.
    ready: Vec<RecordBatch>,
}

/// Parts of a file that can be read by themselves, each with its rows and bytes.
pub fn parts(file: &DataFile) -> Result<Vec<(u64, u64)>> {
    let opened = File::open(&file.path).map_err(failed("read", &file.path))?;
    let opened = ParquetRecordBatchReaderBuilder::try_new(opened).map_err(failed("read", &file.path))?;
    let groups = opened.metadata().row_groups().iter();
    Ok(groups.map(|group| (group.num_rows() as u64, group.compressed_size() as u64)).collect())
}

/// Records of a part of a file of the archive, at most so many in a batch. `log_type` is theirs if the file does not say it.
pub fn records(file: &DataFile, part: usize, log_type: Option<&str>, at_once: usize) -> Result<Records> {
    let opened = File::open(&file.path).map_err(failed("read", &file.path))?;
    let opened = ParquetRecordBatchReaderBuilder::try_new(opened).map_err(failed("read", &file.path))?;
    let log_type = said(&opened)
        .or_else(|| log_type.map(str::to_owned))
        .ok_or_else(|| failed("read", &file.path)("it does not say of which log type its records are"))?;
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
    Ok(Records { path: file.path.clone(), log_type, rows, source, ready: Vec::new() })
}

impl Records {
    pub fn log_type(&self) -> &str {
        &self.log_type
    }

    fn batches(&mut self, rows: &Columns) -> Result<()> {
        let wrong = |name: &str| failed("read", &self.path)(format!("the column {name} is not what it was"));
        let text = |name: &'static str| {
            let column = rows.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
            column.ok_or_else(|| wrong(name))
        };
        let number = |name: &'static str| {
            let column = rows.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
            column.ok_or_else(|| wrong(name))
        };
        let (ids, clusters, times) = (text("streamalert_id")?, text("streamalert_cluster")?, text("streamalert_time")?);
        let (services, resources) = (text("streamalert_service")?, text("streamalert_resource")?);
        let (objects, records) = (text("streamalert_object")?, text("streamalert_record")?);
        let arrived = text("streamalert_arrived")?;
        let (offsets, lengths) = (number("streamalert_offset")?, number("streamalert_length")?);
        let indexes = number("streamalert_index")?;
        for row in 0..rows.num_rows() {
            let (service, resource, object) = (services.value(row), resources.value(row), objects.value(row));
            let last = &self.source;
            if last.service != service || last.resource != resource || last.object != object {
                self.source = Arc::new(Source::new(service, resource, object));
            }
            let record = BatchRecord {
                source: self.source.clone(),
                position: Position {
                    offset: offsets.value(row) as u64,
                    length: lengths.value(row) as u64,
                    index: indexes.value(row) as u32,
                },
                identity: read_hex(ids.value(row)).ok_or_else(|| wrong("streamalert_id"))?,
                event_time: times.is_valid(row).then(|| times.value(row).to_owned()),
                json: records.value(row).to_owned(),
            };
            let cluster = clusters.value(row);
            match self.ready.first_mut() {
                Some(batch) if *batch.cluster == *cluster => batch.records.push(record),
                _ => self.ready.insert(
                    0,
                    RecordBatch {
                        cluster: cluster.into(),
                        log_type: self.log_type.clone(),
                        arrived: parse(arrived.value(row)).unwrap_or_default(),
                        rule: None,
                        records: vec![record],
                    },
                ),
            }
        }
        Ok(())
    }
}

impl Iterator for Records {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.ready.pop() {
                return Some(Ok(batch));
            }
            let read = match self.rows.next()? {
                Ok(rows) => self.batches(&rows),
                Err(error) => Err(failed("read", &self.path)(error)),
            };
            if let Err(error) = read {
                return Some(Err(error));
            }
        }
    }
}
