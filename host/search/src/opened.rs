//! Which files a query has open: where one cannot be read, the engine does not say which.

use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The last file that each part of each scan has opened. A part reads one after another and ends with the one that it cannot read.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    files: Arc<Mutex<BTreeMap<(usize, usize), PathBuf>>>,
    scans: Arc<AtomicUsize>,
}

impl Opened {
    /// Which of the files cannot be read to its end, and why; first of all the one that this was said of. These are so many as there
    /// are threads, whatever the archive has.
    pub fn damaged(&self, said: &str) -> Option<(PathBuf, String)> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut damaged: Vec<(PathBuf, String)> = Vec::new();
        for file in files.into_values() {
            let Err(why) = read_through(&file) else { continue };
            let why = match why {
                DataFusionError::ArrowError(error, _) => match *error {
                    ArrowError::ParquetError(why) => why,
                    error => error.to_string(),
                },
                DataFusionError::ParquetError(error) => error.to_string(),
                error => error.strip_backtrace(),
            };
            if said.contains(&why) {
                return Some((file, why));
            }
            damaged.push((file, why));
        }
        damaged.into_iter().next()
    }

    pub fn forget(&self) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Of a scan that reads these files, each with its location.
    pub fn scan(&self, factory: CachedParquetFileReaderFactory, paths: HashMap<String, PathBuf>) -> Scan {
        Scan { number: self.scans.fetch_add(1, Ordering::Relaxed), opened: self.clone(), factory, paths }
    }
}

/// Opens files and remembers them.
#[derive(Debug)]
pub struct Scan {
    number: usize,
    opened: Opened,
    factory: CachedParquetFileReaderFactory,
    paths: HashMap<String, PathBuf>,
}

impl ParquetFileReaderFactory for Scan {
    fn create_reader(
        &self,
        part: usize,
        file: PartitionedFile,
        hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        if let Some(path) = self.paths.get(file.object_meta.location.as_ref()) {
            let mut files = self.opened.files.lock().unwrap_or_else(PoisonError::into_inner);
            files.insert((self.number, part), path.clone());
        }
        self.factory.create_reader(part, file, hint, metrics)
    }
}

fn read_through(path: &Path) -> Result<()> {
    for rows in ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()? {
        rows?;
    }
    Ok(())
}
