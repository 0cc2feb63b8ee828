//! A query and its answer, within bounds of time and memory.

use crate::json;
use crate::tables::Folders;
use anyhow::{Context, Result, anyhow};
use datafusion::arrow::error::ArrowError;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider};
use datafusion::common::DataFusionError;
use datafusion::common::config::Dialect;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use std::num::NonZeroUsize;
use std::sync::Arc;
use streamalert_archive::folder::Reading;
use streamalert_archive::table::Tables;
use streamalert_archive::{Archive, Bounds};

/// What a query may look at and use.
pub struct Settings {
    pub archive: Archive,
    /// Tables that are there whether they have files or not.
    pub tables: Tables,
    pub bounds: Bounds,
    /// Bytes; what sorts or groups more than that goes by way of files, or is refused.
    pub memory: usize,
    pub threads: usize,
}

pub struct Engine {
    context: SessionContext,
    folders: Arc<Folders>,
    memory: usize,
    /// Files that were listed stay.
    _reading: Reading,
}

/// Advice of the engine that nobody here can follow gives way to what is so here.
fn lower_case(text: String) -> String {
    const ADVICE: &str = "Column names are case sensitive. You can use double quotes to refer to the ";
    let Some((before, rest)) = text.split_once(ADVICE) else { return text };
    let (Some((name, _)), after) = (rest.split_once(" column "), rest.split_once('\n')) else { return text };
    let after = after.map(|(_, after)| format!("\n{after}")).unwrap_or_default();
    format!("{before}Names of columns are in lower case: write {name}.{after}")
}

/// A file could not be read. What was made of its values, as a text that is no number, is the query's own affair: to look for a
/// damaged file then would take long, and blame one for what it did not do.
fn is_of_reading(root: &DataFusionError) -> bool {
    use DataFusionError::{External, IoError, ObjectStore, ParquetError};
    match root {
        ParquetError(_) | ObjectStore(_) | IoError(_) | External(_) => true,
        DataFusionError::ArrowError(error, _) => {
            matches!(**error, ArrowError::ParquetError(_) | ArrowError::IoError(..))
        }
        _ => false,
    }
}

/// Operators that are named when there is not enough memory.
const CONSUMERS_NAMED: usize = 3;
const CATALOG: &str = "streamalert";
const SCHEMA: &str = "archive";

impl Engine {
    pub fn open(settings: Settings) -> Result<Engine> {
        let reading = settings.archive.reading().context("open the archive")?;
        let mut config = SessionConfig::new()
            .with_target_partitions(settings.threads)
            .with_information_schema(true)
            .with_default_catalog_and_schema(CATALOG, SCHEMA)
            // Footers are read when files are; counting all rows of a table is not what people wait for.
            .with_collect_statistics(false);
        // `cluster` is the name of a column, where other dialects have a keyword.
        config.options_mut().sql_parser.dialect = Dialect::PostgreSQL;
        // Conditions are looked at where rows are read only to pass over whole groups of them. Given to the reader for good, one on a
        // column that has another type in a file than in the table is left out there, and rows come that do not fit.
        config.options_mut().execution.parquet.pushdown_filters = false;
        let memory = TrackConsumersPool::new(
            FairSpillPool::new(settings.memory),
            NonZeroUsize::new(CONSUMERS_NAMED).unwrap_or(NonZeroUsize::MIN),
        );
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(memory)).build_arc()?;
        let context = SessionContext::new_with_config_rt(config, runtime);
        let folders = Arc::new(Folders::new(settings.archive, &settings.tables, settings.bounds)?);
        let catalog = Arc::new(MemoryCatalogProvider::new());
        catalog.register_schema(SCHEMA, folders.clone())?;
        context.register_catalog(CATALOG, catalog);
        json::functions().into_iter().for_each(|function| context.register_udf(function));
        Ok(Engine { context, folders, memory: settings.memory, _reading: reading })
    }

    pub fn folders(&self) -> &Folders {
        &self.folders
    }

    /// The answer to a query, batch by batch. What would change something is refused.
    pub async fn query(&self, sql: &str) -> Result<SendableRecordBatchStream, DataFusionError> {
        self.folders.forget_opened();
        let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        self.context.sql_with_options(sql, options).await?.execute_stream().await
    }

    /// It is the query that is wrong, and not what it reads.
    pub fn is_wrong(error: &DataFusionError) -> bool {
        use DataFusionError::{Configuration, NotImplemented, Plan, SQL, SchemaError};
        matches!(error.find_root(), Plan(_) | SQL(..) | SchemaError(..) | NotImplemented(_) | Configuration(_))
    }

    /// What to do about it, where that can be said.
    pub fn told(&self, error: DataFusionError) -> anyhow::Error {
        let exhausted = matches!(error.find_root(), DataFusionError::ResourcesExhausted(_));
        let text = error.strip_backtrace();
        // What reads files says what is wrong with one, and not with which.
        if is_of_reading(error.find_root())
            && let Some((path, why)) = self.folders.damaged(&text)
        {
            let path = path.display();
            let what_to_do = "move it out of the archive, or leave its hour out by a condition on dt";
            return match text.contains(&why) {
                true => anyhow!("{path} is damaged: {text}; {what_to_do}"),
                false => anyhow!("{text}; besides, {path} is damaged: {why}; {what_to_do}"),
            };
        }
        let text = lower_case(text);
        if exhausted {
            let memory = self.memory >> 20;
            return anyhow!(
                "the query needs more than {memory} MB: name fewer columns, add a condition on dt or --since, or allow it more by --memory-mb: {text}"
            );
        }
        if text.contains("not found") && text.contains("table ") {
            return anyhow!("{text}; `streamalert search --tables` lists the tables");
        }
        anyhow!("{text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::file::reader::{FileReader, SerializedFileReader};
    use datafusion::physical_plan::common::collect;
    use std::fs::{self, File};
    use std::path::Path;

    /// A file with two columns of texts, one of them damaged.
    fn write(root: &Path, hour: &str, name: &str, damaged: &str) {
        let folder = root.join(format!("test_row/dt={hour}"));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        let column = |name| -> (&str, ArrayRef) { (name, Arc::new(StringArray::from(vec!["HeadObject"; 100]))) };
        let rows = RecordBatch::try_from_iter([column("eventname"), column("streamalert_record")]).unwrap();
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), rows.schema(), None).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        let read = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        let columns = read.metadata().row_group(0).columns();
        let (at, length) = columns.iter().find(|of| of.column_path().string() == damaged).unwrap().byte_range();
        let mut bytes = fs::read(&path).unwrap();
        bytes[at as usize..(at + length) as usize].fill(0x5a);
        fs::write(&path, bytes).unwrap();
    }

    #[tokio::test]
    async fn errors_name_the_file_that_they_are_of_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "2026-01-01-00", "not-asked-for.parquet", "streamalert_record");
        write(folder.path(), "2026-01-01-01", "asked-for.parquet", "eventname");
        let settings = Settings {
            archive: Archive::at(folder.path()),
            tables: Tables::default(),
            bounds: Bounds::default(),
            memory: 64 << 20,
            threads: 1,
        };
        let engine = Engine::open(settings).unwrap();
        let told = async |sql: &str| {
            let rows = match engine.query(sql).await {
                Ok(rows) => collect(rows).await,
                Err(error) => Err(error),
            };
            let error = rows.unwrap_err();
            let said = error.strip_backtrace();
            let told = engine.told(error).to_string();
            assert!(told.contains(&said), "{told} for {said}");
            told
        };
        // One that was read to its end is not read again, though it has its faults.
        let error = told("SELECT max(eventname) FROM test_row").await;
        assert!(error.contains("/asked-for.parquet is damaged: "), "{error}");
        assert!(!error.contains("not-asked-for"), "{error}");
        let error = told("SELECT max(streamalert_record) FROM test_row").await;
        assert!(error.contains("/not-asked-for.parquet is damaged: "), "{error}");
        // What is wrong with the query is no fault of a file.
        for (query, wrong) in [
            ("SELECT CAST(eventname AS int) FROM test_row WHERE dt = '2026-01-01-00'", "Cannot cast"),
            ("SELECT count(eventname) / 0 FROM test_row WHERE dt = '2026-01-01-00'", "Divide by zero"),
        ] {
            let error = told(query).await;
            assert!(error.contains(wrong) && !error.contains("damaged"), "{error}");
        }
    }
}
