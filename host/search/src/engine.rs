//! A query and its answer, within bounds of time and memory.

use crate::json;
use crate::tables::Folders;
use anyhow::{Context, Result, anyhow};
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
        // What reads files says what is wrong with one, and not with which.
        let reading = matches!(
            error.find_root(),
            DataFusionError::ParquetError(_) | DataFusionError::ArrowError(..) | DataFusionError::External(_)
        );
        let text = error.strip_backtrace();
        if let Some((path, why)) = reading.then(|| self.folders.damaged()).flatten() {
            let path = path.display();
            return anyhow!(
                "{path} is damaged: {why}; move it out of the archive, or leave its hour out by a condition on dt"
            );
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
