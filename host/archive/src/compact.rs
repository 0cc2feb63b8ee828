//! Small files of an hour become one, without the copies of a row that came twice; hours that are too old are removed.

use crate::convert::{KEYS, LOG_TYPE, Writer, WriterOf};
use crate::folder::{Archive, DataFile, MERGED};
use crate::table::id_column;
use crate::{Result, failed};
use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::{DataType, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use streamalert_pipeline::archive::{ALERTS, folders};
use streamalert_pipeline::time::Millis;

/// A file that has so much is left as it is.
pub const LARGE_BYTES: u64 = 128 << 20;
/// So many small files of an hour are merged whatever they cost.
pub const FILES_MANY: usize = 16;
/// Fewer are, if they have so much together, or copies among them.
const TIDY_BYTES: u64 = 16 << 20;
/// Rows whose ids are remembered: beyond that (half a GB) copies may stay.
const IDS_MAX: usize = 16 << 20;
/// Rows that are read at a time.
const ROWS_AT_ONCE: usize = 8192;

/// What merging came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    pub files: usize,
    pub rows: u64,
    pub copies: u64,
}

/// Merges the small files of an hour if there are at least `many` and it is worth it: to write everything twice that a run keeps
/// would cost more than keeping it. Where two are many already, the hour is looked through for copies: a file that has any is
/// written anew without them, if there is but one. `stem` names the new file, and no other.
pub fn compact(archive: &Archive, table: &str, hour: &str, many: usize, stem: &str) -> Result<Merged> {
    let mut merged = Merged::default();
    let Some(_merging) = archive.merging()? else { return Ok(merged) };
    archive.sweep(table, hour)?;
    let (small, large): (Vec<DataFile>, Vec<DataFile>) =
        archive.files(table, hour)?.into_iter().partition(|file| file.bytes < LARGE_BYTES);
    if small.is_empty() || small.len() < many && many > 2 {
        return Ok(merged);
    }
    // Files that a change of the schema lies between stay apart: each has columns that the other has not.
    let mut groups: Vec<(SchemaRef, [Option<String>; 2], Vec<DataFile>)> = Vec::new();
    let (small_count, small_bytes) = (small.len(), small.iter().map(|file| file.bytes).sum::<u64>());
    for file in small {
        let opened = open(&file)?;
        let (schema, about) = (opened.schema().clone(), [LOG_TYPE, KEYS].map(|key| said(&opened, key)));
        match groups.iter_mut().find(|(known, of, _)| known.fields() == schema.fields() && *of == about) {
            Some((_, _, files)) => files.push(file),
            None => groups.push((schema, about, vec![file])),
        }
    }
    let log_types: BTreeSet<&str> = groups.iter().filter_map(|(_, [log_type, _], _)| log_type.as_deref()).collect();
    let mut seen = Ids::new(table);
    seen.elsewhere(archive, table, hour, &log_types)?;
    for file in &large {
        seen.read(file)?;
    }
    if small_count < FILES_MANY && small_bytes > TIDY_BYTES {
        let mut all = seen.clone();
        let mut copies = 0;
        for (_, _, files) in &groups {
            for file in files {
                copies += all.read(file)?.copies;
            }
        }
        if copies == 0 {
            return Ok(merged);
        }
    }
    // What stays as it is comes first: of two copies the one that is rewritten goes.
    let mut rewritten = Vec::new();
    for group in groups {
        if let [file] = group.2.as_slice() {
            let read = seen.read(file)?;
            if read.copies == 0 {
                continue;
            }
            read.fresh.iter().for_each(|id| _ = seen.seen.remove(id));
        }
        rewritten.push(group);
    }
    for (number, (schema, [log_type, keys], files)) in rewritten.into_iter().enumerate() {
        let of = WriterOf { schema: &schema, log_type: log_type.as_deref(), keys: keys.as_deref() };
        let mut writer = Writer::begin(archive, table, hour, &of)?;
        let mut rows = 0;
        for file in &files {
            let reader = open(file)?.with_batch_size(ROWS_AT_ONCE).build().map_err(failed("read", &file.path))?;
            for batch in reader {
                let batch = batch.map_err(failed("read", &file.path))?;
                let fresh = seen.fresh(batch.column_by_name(seen.column), batch.num_rows(), log_type.as_deref(), None);
                let kept = match fresh.false_count() {
                    0 => batch,
                    _ => arrow::compute::filter_record_batch(&batch, &fresh).map_err(failed("merge", &file.path))?,
                };
                merged.copies += (fresh.len() - kept.num_rows()) as u64;
                rows += kept.num_rows() as u64;
                writer.write(&kept)?;
            }
        }
        let names: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
        writer.finish(&format!("{MERGED}{stem}-{number}.parquet"), &names)?;
        merged.files += files.len();
        merged.rows += rows;
    }
    archive.sweep(table, hour)?;
    Ok(merged)
}

pub(crate) fn open(file: &DataFile) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let opened = File::open(&file.path).map_err(failed("read", &file.path))?;
    ParquetRecordBatchReaderBuilder::try_new(opened).map_err(failed("read", &file.path))
}

/// The log type that a file says it has records of.
pub(crate) fn log_type(file: &ParquetRecordBatchReaderBuilder<File>) -> Option<String> {
    said(file, LOG_TYPE)
}

fn said(file: &ParquetRecordBatchReaderBuilder<File>, key: &str) -> Option<String> {
    let said = file.metadata().file_metadata().key_value_metadata()?;
    said.iter().find(|entry| entry.key == key)?.value.clone()
}

/// Ids of rows, by half of their digits.
#[derive(Clone)]
struct Ids {
    column: &'static str,
    seen: HashSet<u128>,
    /// Those that lie in other folders, by log type.
    elsewhere: HashMap<String, HashSet<u128>>,
}

/// What reading the ids of a file came to.
#[derive(Default)]
struct Read {
    /// Rows that were met before.
    copies: usize,
    /// Ids that are remembered now and were not before.
    fresh: Vec<u128>,
}

impl Ids {
    fn new(table: &str) -> Ids {
        Ids { column: id_column(table), seen: HashSet::new(), elsewhere: HashMap::new() }
    }

    /// A log type's table may have had another name earlier in the hour: its rows that lie there are read with those here.
    fn elsewhere(&mut self, archive: &Archive, table: &str, hour: &str, log_types: &BTreeSet<&str>) -> Result<()> {
        for log_type in log_types {
            for folder in folders(log_type).into_iter().filter(|folder| folder != table && folder != ALERTS) {
                for file in archive.files(&folder, hour)? {
                    // Of what cannot be read to its end nothing has a copy: the row here may be all there is.
                    let of = |file: &DataFile| said(&open(file).ok()?, LOG_TYPE);
                    if of(&file).is_none_or(|of| of != **log_type) {
                        continue;
                    }
                    let mut ids = Ids::new(table);
                    if ids.read(&file).is_ok() {
                        self.elsewhere.entry((*log_type).to_owned()).or_default().extend(ids.seen);
                    }
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, file: &DataFile) -> Result<Read> {
        let mut read = Read::default();
        let opened = open(file)?;
        let log_type = log_type(&opened);
        let Ok(column) = opened.schema().index_of(self.column) else { return Ok(read) };
        let mask = ProjectionMask::roots(opened.parquet_schema(), [column]);
        let reader: ParquetRecordBatchReader =
            opened.with_projection(mask).with_batch_size(ROWS_AT_ONCE).build().map_err(failed("read", &file.path))?;
        for batch in reader {
            let batch = batch.map_err(failed("read", &file.path))?;
            let ids = batch.column_by_name(self.column);
            let fresh = self.fresh(ids, batch.num_rows(), log_type.as_deref(), Some(&mut read.fresh));
            read.copies += fresh.false_count();
        }
        Ok(read)
    }

    /// Which of the rows were not met before; their ids are told to `added`.
    fn fresh(
        &mut self,
        ids: Option<&ArrayLike>,
        rows: usize,
        log_type: Option<&str>,
        mut added: Option<&mut Vec<u128>>,
    ) -> BooleanArray {
        let Some(ids) = ids.filter(|ids| *ids.data_type() == DataType::Utf8) else {
            return BooleanArray::from(vec![true; rows]);
        };
        let elsewhere = log_type.and_then(|log_type| self.elsewhere.get(log_type));
        let seen = &mut self.seen;
        let mut is_fresh = |id: u128| {
            if elsewhere.is_some_and(|ids| ids.contains(&id)) {
                return false;
            }
            if seen.len() >= IDS_MAX {
                return !seen.contains(&id);
            }
            let is_new = seen.insert(id);
            if let (true, Some(added)) = (is_new, &mut added) {
                added.push(id);
            }
            is_new
        };
        let ids = ids.as_string::<i32>().iter();
        // What has no id is no copy of anything.
        let id = |id: Option<&str>| u128::from_str_radix(id?.get(..32)?, 16).ok();
        ids.map(|text| Some(id(text).is_none_or(&mut is_fresh))).collect()
    }
}

type ArrayLike = std::sync::Arc<dyn Array>;

/// Removes hours of which nothing is kept any more. Says how many.
pub fn expire(archive: &Archive, now: Millis, records_days: Option<u32>, alerts_days: Option<u32>) -> Result<usize> {
    const DAY: Millis = 24 * 60 * 60 * 1000;
    let mut removed = 0;
    for table in archive.tables()? {
        let Some(days) = (if table == ALERTS { alerts_days } else { records_days }) else { continue };
        let first = crate::folder::hour(now - Millis::from(days) * DAY);
        for hour in archive.hours(&table)?.into_iter().filter(|hour| *hour < first) {
            removed += usize::from(archive.remove(&table, &hour)?);
        }
    }
    Ok(removed)
}
