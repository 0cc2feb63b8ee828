//! Which files hold the records of a table. A folder is named after a log type as the name was free when it was written to; a log
//! type that is added may take that name. So what a file says of itself counts more than where it lies.
//!
//! | a file says the log type | it is read as of |
//! |---|---|
//! | a schema has it | that one's table |
//! | no schema has it, and it has a folder whose name it had beside another log type | the table of that folder |
//! | no schema has it otherwise: it may have another name now | the table of the folder it lies in |
//! | none, or it cannot be read | every table it may be of, so that whoever asks is told of it |

use crate::Result;
use crate::compact::{log_type, open};
use crate::folder::{Archive, DataFile};
use crate::table::{Table, Tables};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use streamalert_pipeline::archive::{ALERTS, folders};

/// The files of a table.
#[derive(Clone, Debug)]
pub struct Owned {
    name: String,
    log_type: Option<String>,
    /// Where else its records may lie.
    elsewhere: Vec<String>,
    /// Log types with a table of their own whose records may lie in its folder.
    others: BTreeSet<String>,
}

impl Owned {
    /// `homes` are the tables of log types that have one of their own.
    fn of(name: &str, homes: &BTreeMap<String, String>) -> Owned {
        let log_type = homes.iter().find(|(_, home)| *home == name).map(|(log_type, _)| log_type.clone());
        let mut elsewhere = log_type.as_deref().map(folders).unwrap_or_default();
        elsewhere.retain(|folder| folder != name && folder != ALERTS);
        let others = homes.iter().filter(|(other, home)| *home != name && folders(other).iter().any(|of| of == name));
        let others = others.map(|(other, _)| other.clone()).collect();
        Owned { name: name.to_owned(), elsewhere, others, log_type }
    }

    /// Hours that the table may have rows of, the earliest first.
    pub fn hours(&self, archive: &Archive) -> Result<Vec<String>> {
        let mut hours = archive.hours(&self.name)?;
        for folder in &self.elsewhere {
            hours.extend(archive.hours(folder)?);
        }
        hours.sort();
        hours.dedup();
        Ok(hours)
    }

    /// Files that hold the rows of an hour, each row in one of them; those of its own folder, which are written now, come last. A
    /// file is opened only where it may be another table's. One that cannot be is all tables' that it may be of: none of them is
    /// whole without it, and whoever reads its rows is told.
    pub fn files(&self, archive: &Archive, hour: &str) -> Result<Vec<DataFile>> {
        let mut found = Vec::new();
        for folder in &self.elsewhere {
            let files = archive.files(folder, hour)?.into_iter();
            found.extend(files.filter(|file| said(file).is_none_or(|log_type| log_type == self.log_type)));
        }
        let mut own = archive.files(&self.name, hour)?;
        if !self.others.is_empty() {
            own.retain(|file| said(file).flatten().is_none_or(|log_type| !self.others.contains(&log_type)));
        }
        found.extend(own);
        Ok(found)
    }
}

/// The log type that a file says, if it says one; `None` if it cannot be read.
fn said(file: &DataFile) -> Option<Option<String>> {
    Some(log_type(&open(file).ok()?))
}

/// The tables of log types that have one of their own: those of the schemas, and those that have a folder which no other could have.
fn homes(archive: &Archive, tables: &Tables) -> Result<BTreeMap<String, String>> {
    let known = tables.iter().filter_map(|table| Some((table.log_type.as_ref()?.name.clone(), table.name.clone())));
    let mut homes: BTreeMap<String, String> = known.collect();
    for folder in archive.tables()? {
        if folder == ALERTS || tables.iter().any(|table| table.name == folder) {
            continue;
        }
        // One file says it for all.
        let mut files = archive.hours(&folder)?.into_iter().rev().map(|hour| archive.files(&folder, &hour));
        let log_type = files.find_map(|files| match files {
            Ok(files) => files.iter().find_map(|file| said(file).flatten()).map(Ok),
            Err(error) => Some(Err(error)),
        });
        let Some(log_type) = log_type.transpose()? else { continue };
        let names = folders(&log_type);
        // Its plain name it may have had for want of others. Of two others the later one counts.
        if !tables.knows(&log_type) && names.iter().skip(1).any(|name| *name == folder) {
            homes.insert(log_type, folder);
        }
    }
    Ok(homes)
}

/// A table by its name, as the schemas have it if they do, and its files.
pub type Named = (String, Option<Arc<Table>>, Owned);

/// All tables that schemas have or that have a folder, by name.
pub fn all(archive: &Archive, tables: &Tables) -> Result<Vec<Named>> {
    let mut names: BTreeSet<String> = archive.tables()?.into_iter().collect();
    names.extend(tables.iter().map(|table| table.name.clone()));
    let homes = homes(archive, tables)?;
    let table = |name: String| {
        let known = tables.iter().find(|table| table.name == name).cloned();
        let owned = Owned::of(&name, &homes);
        (name, known, owned)
    };
    Ok(names.into_iter().map(table).collect())
}
