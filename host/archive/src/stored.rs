//! Which columns lie in the files of a table, and how much.

use crate::folder::Archive;
use crate::owned::{self, Owned};
use crate::table::{Tables, hive};
use crate::{Result, failed};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeMap;
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

/// Looks at all tables that have files or a folder; nothing of them is changed.
pub fn stored(archive: &Archive, tables: &Tables) -> Result<BTreeMap<String, Stored>> {
    let _reading = archive.reading()?;
    let folders = archive.tables()?;
    let mut found = BTreeMap::new();
    for (name, _, owned) in owned::all(archive, tables)? {
        let table = look(archive, &owned)?;
        if table.files > 0 || folders.contains(&name) {
            found.insert(name, table);
        }
    }
    Ok(found)
}

fn look(archive: &Archive, owned: &Owned) -> Result<Stored> {
    let mut found = Stored::default();
    for hour in owned.hours(archive)?.iter().rev() {
        let files = owned.files(archive, hour)?;
        found.hours += usize::from(!files.is_empty());
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
