//! What tables there are, and which files a query reads.

use crate::fit::{FitFactory, is_ours};
use crate::opened::Opened;
use anyhow::Result as Anyhow;
use async_trait::async_trait;
use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue, config::TableParquetOptions};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::{ListingTableUrl, PartitionedFile};
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::parquet::arrow::arrow_reader::ArrowReaderMetadata;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use streamalert_archive::convert::KEYS;
use streamalert_archive::folder::DataFile;
use streamalert_archive::owned::{self, Owned};
use streamalert_archive::table::{Entry, Keys, Kind, Table, Tables};
use streamalert_archive::{Archive, Bounds};
use streamalert_pipeline::columns::{PARTITION, possible_names};

/// Hours whose files are asked which columns they have; schemas seldom change.
const HOURS_ASKED: usize = 16;
/// And of each hour so many files: one for each time the schema changed within it.
const FILES_ASKED: usize = 8;

/// The tables of an archive.
#[derive(Debug)]
pub struct Folders {
    archive: Archive,
    known: BTreeMap<String, Arc<Table>>,
    owned: BTreeMap<String, Owned>,
    /// Folders that are there.
    found: Vec<String>,
    bounds: Bounds,
    opened: Opened,
}

/// The columns of a table without its partition: what the schema says, and what files have besides.
#[derive(Clone, Debug)]
pub struct Columns {
    pub schema: SchemaRef,
    /// Those of which it is known what they are for.
    pub entries: Arc<[Entry]>,
}

impl Folders {
    pub fn new(archive: Archive, tables: &Tables, bounds: Bounds) -> Anyhow<Folders> {
        let known = tables.iter().map(|table| (table.name.clone(), table.clone())).collect();
        let owned = owned::all(&archive, tables)?.into_iter().map(|(name, _, owned)| (name, owned)).collect();
        let found = archive.tables()?;
        Ok(Folders { archive, known, owned, found, bounds, opened: Opened::default() })
    }

    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Hours of a table within the bounds, each with its files.
    pub fn files(&self, name: &str) -> Anyhow<Vec<(String, Vec<DataFile>)>> {
        let Some(owned) = self.owned.get(name) else { return Ok(Vec::new()) };
        let mut hours = owned.hours(&self.archive)?;
        hours.retain(|hour| self.bounds.holds(hour));
        let mut found = Vec::with_capacity(hours.len());
        for hour in hours {
            let files = owned.files(&self.archive, &hour)?;
            if !files.is_empty() {
                found.push((hour, files));
            }
        }
        Ok(found)
    }

    /// Which of the files that queries have open cannot be read to its end, and why; see [`Opened::damaged`].
    pub fn damaged(&self, said: &str) -> Option<(PathBuf, String)> {
        self.opened.damaged(said)
    }

    /// Another query begins.
    pub fn forget_opened(&self) {
        self.opened.forget();
    }

    /// The table as the schemas have it.
    pub fn known(&self, name: &str) -> Option<&Arc<Table>> {
        self.known.get(name)
    }

    /// Of a table that is there.
    pub fn columns(&self, name: &str) -> Anyhow<Option<Columns>> {
        let known = self.known.get(name);
        if known.is_none() && !self.found.iter().any(|found| found == name) {
            return Ok(None);
        }
        let mut fields: Vec<Field> = known
            .map(|table| table.schema.fields().iter().map(|field| (**field).clone()).collect())
            .unwrap_or_default();
        let mut entries = known.map(|table| table.entries.clone()).unwrap_or_default();
        for file in self.sample(name)? {
            let opened = File::open(&file.path).map_err(DataFusionError::from);
            // What cannot be read is told of by who reads its rows.
            let Ok(metadata) = opened.and_then(|file| Ok(ArrowReaderMetadata::load(&file, Default::default())?)) else {
                continue;
            };
            let keys = metadata.schema().metadata().get(KEYS).and_then(|text| Keys::read(text));
            for field in metadata.schema().fields() {
                let field = field.as_ref().clone().with_nullable(true);
                let is_free = |name: &String| fields.iter().all(|known| known.name() != name);
                let Some(keys) = keys.as_ref().filter(|_| !is_ours(field.name())) else {
                    if is_free(field.name()) {
                        fields.push(field);
                    }
                    continue;
                };
                let key = keys.key("", field.name());
                // It may have another name now.
                if entries.iter().any(|entry| entry.key == key) {
                    continue;
                }
                // Its name may be that of another key's column.
                let mut names = [field.name().clone()].into_iter().chain(possible_names(key));
                if let Some(name) = names.find(is_free) {
                    let kind = kind(field.name(), field.data_type(), keys);
                    entries.push(Entry { name: name.clone(), key: key.to_owned(), kind });
                    fields.push(field.with_name(name));
                }
            }
        }
        // As the engine reads texts fastest.
        let fields = fields.into_iter().map(|field| match field.data_type() {
            DataType::Utf8 => field.with_data_type(DataType::Utf8View),
            _ => field,
        });
        Ok(Some(Columns { schema: Arc::new(Schema::new(fields.collect::<Fields>())), entries: entries.into() }))
    }

    /// The newest files first, so that of two types the later one counts.
    fn sample(&self, name: &str) -> Anyhow<Vec<DataFile>> {
        let Some(owned) = self.owned.get(name) else { return Ok(Vec::new()) };
        let mut hours = owned.hours(&self.archive)?;
        hours.retain(|hour| self.bounds.holds(hour));
        let step = hours.len().div_ceil(HOURS_ASKED).max(1);
        let mut files = Vec::new();
        for hour in hours.iter().rev().step_by(step).chain(hours.first()) {
            let mut there = owned.files(&self.archive, hour)?;
            let newest = there.len().saturating_sub(FILES_ASKED - 1);
            files.extend(there.drain(newest..).rev());
            files.extend(there.into_iter().next());
        }
        Ok(files)
    }
}

/// What a column of a file is, which lies there, with the keys of what is in it.
fn kind(place: &str, written: &DataType, keys: &Keys) -> Kind {
    match written {
        DataType::Int64 => Kind::Integer,
        DataType::Float64 => Kind::Float,
        DataType::Boolean => Kind::Boolean,
        DataType::List(_) => Kind::Texts,
        DataType::Struct(fields) => {
            let entry = |field: &Arc<Field>| Entry {
                name: field.name().clone(),
                key: keys.key(place, field.name()).to_owned(),
                kind: kind(&format!("{place}.{}", field.name()), field.data_type(), keys),
            };
            Kind::Object(fields.iter().map(entry).collect())
        }
        _ => Kind::Text,
    }
}

fn failed(error: anyhow::Error) -> DataFusionError {
    DataFusionError::Execution(format!("{error:#}"))
}

#[async_trait]
impl SchemaProvider for Folders {
    fn table_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.known.keys().chain(&self.found).cloned().collect();
        names.sort();
        names.dedup();
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let (Some(columns), Some(owned)) = (self.columns(name).map_err(failed)?, self.owned.get(name)) else {
            return Ok(None);
        };
        let partition = Arc::new(Field::new(PARTITION, DataType::Utf8, false));
        let schema = TableSchema::builder(columns.schema).with_table_partition_cols(vec![partition]).build();
        Ok(Some(Arc::new(Hours {
            archive: self.archive.clone(),
            owned: owned.clone(),
            entries: columns.entries,
            bounds: self.bounds.clone(),
            opened: self.opened.clone(),
            schema,
        })))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.known.contains_key(name) || self.found.iter().any(|found| found == name)
    }
}

/// A table whose rows lie in folders, one for each hour.
#[derive(Debug)]
struct Hours {
    archive: Archive,
    owned: Owned,
    entries: Arc<[Entry]>,
    bounds: Bounds,
    opened: Opened,
    schema: TableSchema,
}

impl Hours {
    /// Hours that the bounds and the conditions on the partition leave.
    fn hours(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<String>> {
        let mut hours = self.owned.hours(&self.archive).map_err(|error| failed(error.into()))?;
        hours.retain(|hour| self.bounds.holds(hour));
        let filters: Vec<&Expr> = filters.iter().filter(|filter| is_about_hours(filter)).collect();
        if filters.is_empty() || hours.is_empty() {
            return Ok(hours);
        }
        let schema = Arc::new(Schema::new(vec![Field::new(PARTITION, DataType::Utf8, false)]));
        let names = RecordBatch::try_new(schema.clone(), vec![Arc::new(StringArray::from(hours.clone()))])?;
        let named = DFSchema::try_from(schema)?;
        for filter in filters {
            let fits = state.create_physical_expr(filter.clone(), &named)?.evaluate(&names)?;
            let fits = fits.into_array(names.num_rows())?;
            let fits: &BooleanArray = fits.as_boolean();
            // Of an hour that an earlier condition took the name is empty.
            for (at, hour) in hours.iter_mut().enumerate() {
                if fits.is_null(at) || !fits.value(at) {
                    hour.clear();
                }
            }
        }
        hours.retain(|hour| !hour.is_empty());
        Ok(hours)
    }
}

/// It can be decided by the name of the hour alone.
fn is_about_hours(filter: &Expr) -> bool {
    let columns = filter.column_refs();
    !columns.is_empty()
        && columns.iter().all(|column| column.name == PARTITION)
        && !filter.is_volatile()
        && !matches!(filter, Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_))
}

#[async_trait]
impl TableProvider for Hours {
    fn schema(&self) -> SchemaRef {
        self.schema.table_schema().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| match is_about_hours(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(answer).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut files = Vec::new();
        let mut paths = HashMap::new();
        for hour in self.hours(state, filters)? {
            for file in self.owned.files(&self.archive, &hour).map_err(|error| failed(error.into()))? {
                check(&file)?;
                let mut scanned = PartitionedFile::new("", file.bytes);
                scanned.object_meta.location = ListingTableUrl::parse(url(&file.path)?)?.prefix().clone();
                paths.insert(scanned.object_meta.location.to_string(), file.path);
                files.push(scanned.with_partition_values(vec![ScalarValue::Utf8(Some(hour.clone()))]));
            }
        }
        if files.is_empty() {
            let schema = self.schema();
            let schema = match projection {
                Some(columns) => Arc::new(schema.project(columns)?),
                None => schema,
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let options =
            TableParquetOptions { global: state.config_options().execution.parquet.clone(), ..Default::default() };
        let place = ObjectStoreUrl::local_filesystem();
        let runtime = state.runtime_env();
        let cache = runtime.cache_manager.get_file_metadata_cache();
        let factory = CachedParquetFileReaderFactory::new(runtime.object_store(&place)?, cache);
        let source = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(self.opened.scan(factory, paths)));
        let groups = FileGroup::new(files).split_files(state.config().target_partitions());
        // A limit counts only where every row that is read is one of the answer.
        let limit = limit.filter(|_| filters.iter().all(is_about_hours));
        let config = FileScanConfigBuilder::new(place, Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_expr_adapter(Some(Arc::new(FitFactory { entries: self.entries.clone() })))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// Says which file it is that is not whole, which the engine does not.
fn check(file: &DataFile) -> Result<()> {
    let mut end = [0; 4];
    let read = File::open(&file.path).and_then(|mut opened| {
        opened.seek(SeekFrom::End(-4))?;
        opened.read_exact(&mut end)
    });
    let shown = file.path.display();
    match read {
        Ok(()) if end == *b"PAR1" => Ok(()),
        Ok(()) => Err(DataFusionError::Execution(format!("{shown} is no Parquet file; move it out of the archive"))),
        Err(error) => Err(DataFusionError::Execution(format!("{shown} cannot be read: {error}"))),
    }
}

fn url(path: &Path) -> Result<String> {
    let path = std::path::absolute(path)?;
    let url = url::Url::from_file_path(&path);
    let told = || DataFusionError::Execution(format!("{} is no path that can be read", path.display()));
    Ok(url.map_err(|()| told())?.into())
}
