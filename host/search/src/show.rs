//! Rows, tables and columns as a person or a program reads them.

use crate::Output;
use anyhow::{Context, Result};
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::csv::WriterBuilder as Csv;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::json::writer::{LineDelimited, WriterBuilder as Json};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::arrow::util::pretty::pretty_format_batches_with_options;
use datafusion::catalog::SchemaProvider;
use datafusion::execution::SendableRecordBatchStream;
use serde_json::json;
use std::future::poll_fn;
use std::io::{BufWriter, ErrorKind, StdoutLock, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use streamalert_archive::table::{Entry, Kind, hive};
use streamalert_pipeline::columns::PARTITION;
use streamalert_pipeline::printable::{printable, printable_lines};
use streamalert_search::Engine;
use streamalert_search::tables::{Columns, Folders};

/// Rows that are shown in one table of text; behind them another one follows.
const TEXT_ROWS: usize = 10_000;

/// Whoever reads has enough.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Standard output was closed by whoever read it. What writes rows wraps the error in others, some of them mere texts.
pub fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

struct Out(StdoutLock<'static>);

impl Out {
    fn lock() -> Out {
        Out(std::io::stdout().lock())
    }

    fn noted<T>(result: std::io::Result<T>) -> std::io::Result<T> {
        if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
            CLOSED.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Out::noted(self.0.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Out::noted(self.0.flush())
    }
}

async fn next(rows: &mut SendableRecordBatchStream) -> Option<datafusion::common::Result<RecordBatch>> {
    poll_fn(|context| rows.as_mut().poll_next(context)).await
}

pub async fn rows(engine: &Engine, mut rows: SendableRecordBatchStream, output: Output) -> Result<()> {
    let schema = rows.schema();
    let mut out = BufWriter::new(Out::lock());
    match output {
        Output::Text => {
            let mut gathered = Vec::new();
            let (mut count, mut total) = (0, 0);
            while let Some(batch) = next(&mut rows).await {
                let batch = batch.map_err(|error| engine.told(error))?;
                count += batch.num_rows();
                total += batch.num_rows();
                gathered.push(batch);
                if count >= TEXT_ROWS {
                    text(&mut out, &gathered)?;
                    gathered.clear();
                    count = 0;
                }
            }
            if gathered.is_empty() && total == 0 {
                gathered.push(RecordBatch::new_empty(schema));
            }
            if !gathered.is_empty() {
                text(&mut out, &gathered)?;
            }
            out.flush()?;
            eprintln!("{total} rows");
        }
        Output::Json => {
            let mut writer = Json::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut out);
            while let Some(batch) = next(&mut rows).await {
                let batch = distinct(batch.map_err(|error| engine.told(error))?)?;
                writer.write(&batch)?;
            }
            writer.finish()?;
        }
        Output::Csv => {
            let mut writer = Csv::new().with_header(true).build(&mut out);
            let mut none = true;
            while let Some(batch) = next(&mut rows).await {
                writer.write(&plain(batch.map_err(|error| engine.told(error))?)?)?;
                none = false;
            }
            if none {
                writer.write(&plain(RecordBatch::new_empty(schema))?)?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

fn text(out: &mut impl Write, batches: &[RecordBatch]) -> Result<()> {
    let options = FormatOptions::default().with_display_error(true);
    let batches = batches.iter().map(shown).collect::<Result<Vec<_>>>()?;
    writeln!(out, "{}", pretty_format_batches_with_options(&batches, &options)?)?;
    Ok(())
}

/// Texts of logs as they may be shown, also those within others.
fn shown(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    // The answer to EXPLAIN, which is ours and has many lines.
    let lines = schema.fields().first().is_some_and(|field| field.name() == "plan_type");
    let options = FormatOptions::default().with_display_error(true);
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        let name = printable(field.name());
        let is_safe = |kind: &DataType| kind.is_numeric() || matches!(kind, DataType::Boolean | DataType::Null);
        if is_safe(field.data_type()) {
            fields.push(field.as_ref().clone().with_name(name));
            columns.push(column.clone());
            continue;
        }
        let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
        let texts = (0..column.len()).map(|row| {
            Some(if lines {
                printable_lines(&formatter.value(row).to_string())
            } else {
                printable(&formatter.value(row).to_string())
            })
        });
        fields.push(Field::new(name, DataType::Utf8, true));
        columns.push(Arc::new(texts.collect::<StringArray>()) as ArrayRef);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// A query may name two columns alike, and keys of an object may not be.
fn distinct(batch: RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    let names: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
    if (1..names.len()).all(|at| !names[..at].contains(&names[at])) {
        return Ok(batch);
    }
    let mut fields: Vec<Field> = Vec::new();
    for field in schema.fields() {
        let mut name = field.name().clone();
        let mut number = 2;
        while fields.iter().any(|known| *known.name() == name) {
            name = format!("{}_{number}", field.name());
            number += 1;
        }
        fields.push(field.as_ref().clone().with_name(name));
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), batch.columns().to_vec())?)
}

/// With JSON for what is of several parts: a cell of CSV is a text.
fn plain(batch: RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        match field.data_type() {
            DataType::List(_) | DataType::Struct(_) => {
                fields.push(field.as_ref().clone().with_data_type(DataType::Utf8));
                columns.push(streamalert_search::fit::fit(column, &DataType::Utf8)?);
            }
            _ => {
                fields.push(field.as_ref().clone());
                columns.push(column.clone());
            }
        }
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// All tables, with what lies in them.
pub fn tables(folders: &Folders, output: Output) -> Result<()> {
    let mut out = Out::lock();
    if output == Output::Csv {
        writeln!(out, "table,log_type,hours,files,bytes")?;
    }
    for name in folders.table_names() {
        let (hours, files): (Vec<_>, Vec<_>) = folders.files(&name)?.into_iter().unzip();
        let files = files.concat();
        let bytes: u64 = files.iter().map(|file| file.bytes).sum();
        let log_type = folders.known(&name).and_then(|table| Some(table.log_type.as_ref()?.name.clone()));
        match output {
            Output::Json => writeln!(
                out,
                "{}",
                json!({"table": name, "log_type": log_type, "hours": hours.len(), "first": hours.first(),
                       "last": hours.last(), "files": files.len(), "bytes": bytes})
            )?,
            Output::Csv => {
                let log_type = log_type.unwrap_or_default();
                writeln!(out, "{name},{log_type},{},{},{bytes}", hours.len(), files.len())?;
            }
            Output::Text => {
                let log_type = log_type.unwrap_or_default();
                let span = match (hours.first(), hours.last()) {
                    (Some(first), Some(last)) => {
                        let (files, kb) = (files.len(), bytes.div_ceil(1024));
                        format!("{} hours from {first} to {last}, {files} files, {kb} KB", hours.len())
                    }
                    _ => "no rows".to_owned(),
                };
                let name = printable(&name);
                writeln!(out, "{name:<40}  {log_type:<40}  {span}")?;
            }
        }
    }
    Ok(())
}

/// Column, place and key of each entry within it whose key is not its name.
fn within(entries: &[Entry]) -> Vec<(String, String, String)> {
    fn add(column: &str, place: &str, entry: &Entry, found: &mut Vec<(String, String, String)>) {
        let Kind::Object(entries) = &entry.kind else { return };
        for entry in entries {
            let place = format!("{place}['{}']", entry.name);
            if entry.name != entry.key {
                found.push((column.to_owned(), place.clone(), entry.key.clone()));
            }
            add(column, &place, entry, found);
        }
    }
    let mut found = Vec::new();
    entries.iter().for_each(|entry| add(&entry.name, &entry.name, entry, &mut found));
    found
}

/// The columns of a table. Says whether there is one.
pub fn columns(folders: &Folders, table: &str, output: Output) -> Result<bool> {
    let Some(Columns { schema, entries }) = folders.columns(table).context("read the columns")? else {
        return Ok(false);
    };
    let key = |name: &str| {
        let entry = entries.iter().find(|entry| entry.name == name)?;
        (entry.key != entry.name).then(|| entry.key.clone())
    };
    let mut out = Out::lock();
    if output == Output::Csv {
        writeln!(out, "column,type,key")?;
    }
    let partition = Field::new(PARTITION, DataType::Utf8, false);
    // Names within objects, each with its key where that is another, as `who['username']`.
    let within = within(&entries);
    for field in schema.fields().iter().map(AsRef::as_ref).chain([&partition]) {
        let (name, kind, key) = (field.name(), hive(field.data_type()), key(field.name()));
        match output {
            Output::Json => {
                let mut told = json!({"column": name, "type": kind, "key": key});
                let within: serde_json::Map<String, serde_json::Value> = within
                    .iter()
                    .filter(|(column, ..)| column == name)
                    .map(|(_, place, key)| (place.clone(), key.clone().into()))
                    .collect();
                if !within.is_empty() {
                    told["within"] = within.into();
                }
                writeln!(out, "{told}")?;
            }
            Output::Csv => {
                let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
                writeln!(out, "{},{},{}", quote(name), quote(&kind), quote(&key.unwrap_or_default()))?;
            }
            Output::Text => {
                match key {
                    Some(key) => writeln!(out, "{name:<40}  {kind:<20}  for the key {key:?}")?,
                    None => writeln!(out, "{name:<40}  {kind}")?,
                }
                for (_, place, key) in within.iter().filter(|(column, ..)| column == name) {
                    writeln!(out, "    {place:<36}  {:<20}  for the key {key:?}", "")?;
                }
            }
        }
    }
    Ok(true)
}
