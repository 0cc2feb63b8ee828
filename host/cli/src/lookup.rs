//! The lookup tables of a configuration, wherever they lie.

use crate::{Failure, cloud};
use anyhow::{Context, anyhow};
use std::sync::Arc;
use streamalert_aws::lookup::AwsTables;
use streamalert_local::config_folder::Config;
use streamalert_lookup::Tables;
use streamalert_pipeline::config::lookup_tables::TablePlace;
use streamalert_pipeline::lookup::TableServices;

/// Ready to be asked; what lies on this machine is read, and what is wrong with it is told at once.
pub fn open(config: &Config) -> Result<Arc<Tables>, Failure> {
    let tables = unread(config)?;
    let faults = tables.load_near();
    if !faults.is_empty() {
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        return Err(Failure::Usage(anyhow!("{}", told.join("\n"))));
    }
    let tables = Arc::new(tables);
    tables.keep_fresh().context("start the thread that looks at lookup tables")?;
    Ok(tables)
}

/// The same, with nothing read yet.
pub fn unread(config: &Config) -> Result<Tables, Failure> {
    let services = services(config)?;
    let tables = Tables::of(&config.tables, Some(&config.folder), services.as_ref().map(|services| services as _));
    let mut tables = tables.map_err(|faults| Failure::Usage(anyhow!("{}", faults.join("\n"))))?;
    for name in config.lookup_tables.keys() {
        tables.insert_file(name, &config.folder.join("lookup_tables").join(format!("{name}.json")));
    }
    Ok(tables)
}

/// The way to AWS, if a table lies there.
pub fn services(config: &Config) -> Result<Option<impl TableServices + use<>>, Failure> {
    let elsewhere = config.tables.tables.values().any(|table| !matches!(table.place, TablePlace::File { .. }));
    match elsewhere {
        true => Ok(Some(AwsTables(cloud::anywhere(&config.folder)?))),
        false => Ok(None),
    }
}
