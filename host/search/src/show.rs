//! Rows, tables and columns as a person or a program reads them.

use crate::Output;
use anyhow::{Context, Result};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv::WriterBuilder as Csv;
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::arrow::json::writer::{LineDelimited, WriterBuilder as Json};
use datafusion::arrow::util::display::FormatOptions;
use datafusion::arrow::util::pretty::pretty_format_batches_with_options;
use datafusion::catalog::SchemaProvider;
use datafusion::execution::SendableRecordBatchStream;
use serde_json::json;
use std::future::poll_fn;
use std::io::{BufWriter, Write};
use std::sync::Arc;
use streamalert_archive::table::hive;
use streamalert_pipeline::columns::PARTITION;
use streamalert_search::Engine;
use streamalert_search::tables::Folders;

/// Rows that are shown in one table of text; behind them another one follows.
const TEXT_ROWS: usize = 10_000;

async fn next(rows: &mut SendableRecordBatchStream) -> Option<datafusion::common::Result<RecordBatch>> {
    poll_fn(|context| rows.as_mut().poll_next(context)).await
}

pub async fn rows(engine: &Engine, mut rows: SendableRecordBatchStream, output: Output) -> Result<()> {
    let schema = rows.schema();
    let mut out = BufWriter::new(std::io::stdout().lock());
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
    writeln!(out, "{}", pretty_format_batches_with_options(batches, &options)?)?;
    Ok(())
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
    use datafusion::arrow::datatypes::DataType;
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
    let mut out = std::io::stdout().lock();
    if output == Output::Csv {
        writeln!(out, "table,log_type,hours,files,bytes")?;
    }
    for name in folders.table_names() {
        let archive = folders.archive();
        let mut hours = archive.hours(&name)?;
        hours.retain(|hour| folders.bounds().holds(hour));
        let mut files = Vec::new();
        for hour in &hours {
            files.extend(archive.files(&name, hour)?);
        }
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
                writeln!(out, "{name:<40}  {log_type:<40}  {span}")?;
            }
        }
    }
    Ok(())
}

/// The columns of a table. Says whether there is one.
pub fn columns(folders: &Folders, table: &str, output: Output) -> Result<bool> {
    let Some(schema) = folders.schema(table).context("read the columns")? else { return Ok(false) };
    let known = folders.known(table);
    let key = |name: &str| {
        let column = known?.columns.iter().find(|column| column.name == name)?;
        column.key.clone()
    };
    let mut out = std::io::stdout().lock();
    if output == Output::Csv {
        writeln!(out, "column,type,key")?;
    }
    let partition = Field::new(PARTITION, datafusion::arrow::datatypes::DataType::Utf8, false);
    for field in schema.fields().iter().map(AsRef::as_ref).chain([&partition]) {
        let (name, kind, key) = (field.name(), hive(field.data_type()), key(field.name()));
        match output {
            Output::Json => writeln!(out, "{}", json!({"column": name, "type": kind, "key": key}))?,
            Output::Csv => {
                let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
                writeln!(out, "{},{},{}", quote(name), quote(&kind), quote(&key.unwrap_or_default()))?;
            }
            Output::Text => match key {
                Some(key) => writeln!(out, "{name:<40}  {kind:<20}  for the key {key:?}")?,
                None => writeln!(out, "{name:<40}  {kind}")?,
            },
        }
    }
    Ok(true)
}
