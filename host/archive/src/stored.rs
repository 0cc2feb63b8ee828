//! Which columns lie in the files of a table, and how much.

use crate::folder::Archive;
use crate::table::hive;
use crate::{Result, failed};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use streamalert_pipeline::archive::Column;

/// A table as it lies there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    pub hours: usize,
    pub files: usize,
    pub bytes: u64,
    /// Those of the newest file: what is written now.
    pub columns: Vec<Column>,
}

/// Looks at a table's folder; nothing of it is changed.
pub fn stored(archive: &Archive, table: &str) -> Result<Stored> {
    let _reading = archive.reading()?;
    let mut found = Stored::default();
    let hours = archive.hours(table)?;
    found.hours = hours.len();
    for hour in hours.iter().rev() {
        let files = archive.files(table, hour)?;
        found.files += files.len();
        found.bytes += files.iter().map(|file| file.bytes).sum::<u64>();
        let Some(newest) = files.last().filter(|_| found.columns.is_empty()) else { continue };
        let opened = File::open(&newest.path).map_err(failed("read", &newest.path))?;
        let opened = ParquetRecordBatchReaderBuilder::try_new(opened).map_err(failed("read", &newest.path))?;
        let column = |field: &arrow::datatypes::FieldRef| Column {
            name: field.name().clone(),
            kind: hive(field.data_type()),
            key: None,
        };
        found.columns = opened.schema().fields().iter().map(column).collect();
    }
    Ok(found)
}
