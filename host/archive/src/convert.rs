//! A piece of the journal becomes files, one for each table and hour that it has records of.

use crate::folder::{Archive, Unfinished, hour, remove};
use crate::journal::{self, DAMAGED, FOLDER, Journal, Kind, frames};
use crate::rows::{Provenance, Rows};
use crate::table::{Table, Tables, alerts};
use crate::{ArchiveError, Result, failed};
use arrow::array::RecordBatch as Columns;
use arrow::datatypes::{DataType, Fields};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use streamalert_packed::{Node, Record};
use streamalert_pipeline::classifier::Packer;
use streamalert_pipeline::record_batch::RecordBatch;
use streamalert_pipeline::time::{parse, rfc3339};

/// Rows that are handed to a file at once: bounds the memory for one piece.
const ROWS_BYTES: usize = 8 << 20;
/// Rows in a group of a file: what a query can pass over or must read.
const GROUP_ROWS: usize = 128 << 10;
/// What a file says of itself: the log type whose records it has.
pub const LOG_TYPE: &str = "streamalert.log_type";
/// And which keys its columns are for, where these have other names: an object of keys by their columns' places, as `who.username`.
/// Names depend on what else a schema declares, and a schema changes.
pub const KEYS: &str = "streamalert.keys";

/// What became of a piece.
#[derive(Debug, Default)]
pub struct Converted {
    /// Table and hour of files that are new.
    pub touched: Vec<(String, String)>,
    pub rows: u64,
    /// What could not be made a row of, for a person.
    pub notices: Vec<String>,
    /// Why some files could not be written. The piece has their rows still, and nobody else's if others were written.
    pub unwritten: Option<ArchiveError>,
}

/// A file with rows of one table.
pub(crate) struct Writer {
    parquet: ArrowWriter<fs::File>,
    file: Unfinished,
}

impl Writer {
    pub fn begin(archive: &Archive, table: &str, hour: &str, of: &WriterOf<'_>) -> Result<Writer> {
        let file = archive.begin(table, hour)?;
        let path = file.file.path().to_path_buf();
        let handle = file.file.as_file().try_clone().map_err(failed("write", &path))?;
        let said = [(LOG_TYPE, of.log_type), (KEYS, of.keys)].into_iter();
        let said: Vec<KeyValue> =
            said.filter_map(|(key, value)| Some(KeyValue::new(key.to_owned(), value?.to_owned()))).collect();
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_created_by(concat!("streamalert ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata((!said.is_empty()).then_some(said));
        // Hardly a value of these stands twice.
        for name in ["streamalert_id", "streamalert_record", "id", "record"] {
            if of.schema.field_with_name(name).is_ok() {
                properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
            }
        }
        // Texts come in no order: their ranges hold nearly every text, and to find them costs as much as all else. Times do.
        for path in texts(of.schema.fields(), &[]) {
            if !matches!(path.as_slice(), [name] if TIMES.contains(&name.as_str())) {
                properties = properties.set_column_statistics_enabled(ColumnPath::new(path), EnabledStatistics::None);
            }
        }
        // Without the schema in Arrow's own form: other engines make nothing of it.
        let options = ArrowWriterOptions::new().with_properties(properties.build()).with_skip_arrow_metadata(true);
        let parquet =
            ArrowWriter::try_new_with_options(handle, of.schema.clone(), options).map_err(failed("write", &path))?;
        Ok(Writer { parquet, file })
    }

    pub fn write(&mut self, rows: &Columns) -> Result<()> {
        self.parquet.write(rows).map_err(failed("write", self.file.file.path()))
    }

    pub fn finish(self, name: &str, replaced: &[String]) -> Result<()> {
        let Writer { parquet, file } = self;
        parquet.close().map_err(failed("write", file.file.path()))?;
        file.finish(name, replaced)
    }
}

/// Columns of texts whose order is that of time.
const TIMES: [&str; 3] = ["streamalert_time", "streamalert_arrived", "created"];

/// Where columns of texts lie, within others too.
fn texts(fields: &Fields, within: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for field in fields {
        let path = [within, &[field.name().clone()]].concat();
        match field.data_type() {
            DataType::Utf8 => found.push(path),
            DataType::Struct(inner) => found.extend(texts(inner, &path)),
            // As Parquet names what is in a list.
            DataType::List(item) if item.data_type() == &DataType::Utf8 => {
                found.push([path, vec!["list".to_owned(), item.name().clone()]].concat());
            }
            _ => {}
        }
    }
    found
}

/// What a file is about.
pub(crate) struct WriterOf<'a> {
    pub schema: &'a arrow::datatypes::SchemaRef,
    pub log_type: Option<&'a str>,
    /// See [`KEYS`].
    pub keys: Option<&'a str>,
}

/// Rows on their way into a file.
struct Open {
    table: Arc<Table>,
    log_type: Option<String>,
    rows: Rows,
    writer: Option<Writer>,
    failed: Option<ArchiveError>,
}

impl Open {
    fn new(table: &Arc<Table>, log_type: Option<&str>) -> Open {
        let log_type = log_type.map(str::to_owned);
        Open { rows: Rows::new(table), table: table.clone(), log_type, writer: None, failed: None }
    }

    /// Where that fails, nothing more is written: the others are.
    fn flush(&mut self, archive: &Archive, hour: &str) {
        if self.failed.is_none()
            && let Err(error) = self.write(archive, hour)
        {
            self.writer = None;
            self.failed = Some(error);
        }
    }

    fn write(&mut self, archive: &Archive, hour: &str) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = self.rows.take().map_err(failed("make columns for", &archive.folder(&self.table.name, hour)))?;
        let keys = self.table.keys.as_deref();
        let of = WriterOf { schema: &self.table.schema, log_type: self.log_type.as_deref(), keys };
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(Writer::begin(archive, &self.table.name, hour, &of)?),
        };
        writer.write(&rows)
    }
}

/// What becomes of records whose log type no schema has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Files have what is known of them whatever their log type is.
    Keep,
    /// The piece waits for somebody who knows more: a parser component brings log types.
    Leave,
}

/// Makes files of a piece and removes it. If it is broken off anywhere, doing it again comes to the same files. A table that cannot
/// be written keeps no other back.
pub fn convert(archive: &Archive, tables: &Tables, piece: &Path, unknown: Unknown) -> Result<Converted> {
    let bytes = fs::read(piece).map_err(failed("read", piece))?;
    let (frames, wrong) = frames(&bytes);
    let mut done = Converted::default();
    if unknown == Unknown::Leave {
        let mut batches = frames.iter().filter(|(kind, _)| *kind == Kind::Records);
        if batches.any(|(_, content)| log_type(content).is_some_and(|log_type| !tables.knows(&log_type))) {
            return Ok(done);
        }
    }
    let mut trouble = wrong;
    let mut open: BTreeMap<Key, Open> = BTreeMap::new();
    let mut packer = Packer::default();
    // Until the end something may still be said of them.
    let mut raised: Vec<String> = Vec::new();
    for (kind, content) in frames {
        // It was a text; what the disk has made of it may be none.
        let text = std::str::from_utf8(content).map_or_else(|_| String::from_utf8_lossy(content), Cow::Borrowed);
        match kind {
            Kind::Records => match RecordBatch::read(&text) {
                Ok(batch) => add_records(archive, tables, batch, &mut packer, &mut open, &mut done),
                Err(error) => trouble = Some(error.to_string()),
            },
            Kind::Alerts => raised.extend(text.lines().map(str::to_owned)),
            Kind::Known => forget(&mut raised, text.lines().collect(), &mut packer),
        }
    }
    for alert in &raised {
        add_alert(alert, &mut packer, &mut open, &mut done);
    }
    let stem = Journal::stem(piece);
    let mut missing: BTreeSet<Key> = BTreeSet::new();
    for (key, mut rows) in open {
        let (name, hour, log_type) = &key;
        rows.flush(archive, hour);
        // Two log types without a schema may share a table.
        let file = match log_type.as_ref().filter(|_| rows.table.log_type.is_none() && rows.table.has_provenance) {
            Some(log_type) => format!("{stem}-{}.parquet", streamalert_pipeline::columns::clean(log_type)),
            None => format!("{stem}.parquet"),
        };
        let written = match (rows.failed, rows.writer) {
            (Some(error), _) => Err(error),
            (None, Some(writer)) => writer.finish(&file, &[]),
            (None, None) => continue,
        };
        match written {
            Ok(()) => done.touched.push((name.clone(), hour.clone())),
            Err(error) => {
                done.unwritten.get_or_insert(error);
                missing.insert(key);
            }
        }
    }
    if !missing.is_empty() && done.touched.is_empty() {
        return Ok(done);
    }
    let rest = rest(&bytes, tables, &raised, &missing, &mut packer);
    match trouble {
        None if missing.is_empty() => remove(piece)?,
        None => {}
        Some(why) => {
            let aside = archive.root().join(FOLDER).join(DAMAGED);
            fs::create_dir_all(&aside).map_err(failed("make the folder", &aside))?;
            let kept = aside.join(&stem);
            fs::rename(piece, &kept).map_err(failed("set aside", piece))?;
            done.notices.push(format!(
                "a piece of the archive's journal could not be read to its end and was kept as {}: {why}",
                kept.display()
            ));
        }
    }
    if !missing.is_empty() {
        // Written once more, what has become files might stand there twice.
        let rest: Vec<(Kind, &[u8])> = rest.iter().map(|(kind, content)| (*kind, content.as_bytes())).collect();
        journal::replace(archive.root(), piece, &rest)?;
    }
    Ok(done)
}

/// Table, hour and log type of a file.
type Key = (String, String, Option<String>);

/// What of a piece belongs into files that are missing.
fn rest(
    piece: &[u8],
    tables: &Tables,
    raised: &[String],
    missing: &BTreeSet<Key>,
    packer: &mut Packer,
) -> Vec<(Kind, String)> {
    if missing.is_empty() {
        return Vec::new();
    }
    let mut rest = Vec::new();
    for (kind, content) in frames(piece).0 {
        let text = String::from_utf8_lossy(content);
        let batch = (kind == Kind::Records).then(|| RecordBatch::read(&text).ok()).flatten();
        if batch.is_some_and(|batch| missing.contains(&key_of(tables, &batch))) {
            rest.push((kind, text.into_owned()));
        }
    }
    let mut lines: Vec<&str> = Vec::new();
    for line in raised {
        let hour = packer.pack(line).map(raised_in);
        if hour.is_some_and(|hour| missing.contains(&(alerts().name.clone(), hour, None))) {
            lines.push(line);
        }
    }
    if !lines.is_empty() {
        rest.push((Kind::Alerts, lines.join("\n")));
    }
    rest
}

fn key_of(tables: &Tables, batch: &RecordBatch) -> Key {
    (tables.get(&batch.log_type).name.clone(), hour(batch.arrived), Some(batch.log_type.clone()))
}

/// The hour of an alert.
fn raised_in(alert: Record<'_>) -> String {
    hour(parse(text_of(alert, "created")).unwrap_or_default())
}

/// What a batch says in its first line.
fn log_type(batch: &[u8]) -> Option<String> {
    let line = batch.split(|byte| *byte == b'\n').next()?;
    let head: serde_json::Value = serde_json::from_slice(line).ok()?;
    Some(head["log_type"].as_str()?.to_owned())
}

fn add_records(
    archive: &Archive,
    tables: &Tables,
    batch: RecordBatch,
    packer: &mut Packer,
    open: &mut BTreeMap<Key, Open>,
    done: &mut Converted,
) {
    let table = tables.get(&batch.log_type);
    let key = key_of(tables, &batch);
    let hour = key.1.clone();
    let rows = open.entry(key).or_insert_with(|| Open::new(&table, Some(&batch.log_type)));
    if rows.failed.is_some() {
        return;
    }
    let arrived = rfc3339(batch.arrived);
    for record in &batch.records {
        let from = Provenance {
            identity: &record.identity,
            cluster: &batch.cluster,
            time: record.event_time.as_deref(),
            arrived: &arrived,
            source: &record.source,
            position: record.position,
            record: &record.json,
        };
        rows.rows.push(packer.pack(&record.json), &from);
        done.rows += 1;
    }
    if rows.rows.bytes() >= ROWS_BYTES {
        rows.flush(archive, &hour);
    }
}

/// Removes the last alert of each id: one that was new earlier in the piece stays.
fn forget(alerts: &mut Vec<String>, mut known: HashSet<&str>, packer: &mut Packer) {
    let mut at = alerts.len();
    while at > 0 && !known.is_empty() {
        at -= 1;
        let alert = packer.pack(&alerts[at]);
        if alert.is_some_and(|alert| known.remove(text_of(alert, "id"))) {
            alerts.remove(at);
        }
    }
}

fn text_of<'a>(alert: Record<'a>, key: &str) -> &'a str {
    alert.root().get(key).and_then(Node::as_str).unwrap_or_default()
}

fn add_alert(line: &str, packer: &mut Packer, open: &mut BTreeMap<Key, Open>, done: &mut Converted) {
    let Some(alert) = packer.pack(line) else {
        done.notices.push(format!("an alert of {} bytes is too large for the archive", line.len()));
        return;
    };
    let table = alerts();
    let rows = open.entry((table.name.clone(), raised_in(alert), None)).or_insert_with(|| Open::new(table, None));
    rows.rows.push_alert(alert);
    done.rows += 1;
}
