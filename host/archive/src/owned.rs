//! Which files hold the records of a table. A folder is named after a log type as the name was free when it was written to; a log
//! type that is added may take that name. So what a file says of itself counts more than where it lies.

use crate::Result;
use crate::compact::{log_type, open};
use crate::folder::{Archive, DataFile};
use crate::table::{Table, Tables};
use std::collections::BTreeSet;
use std::sync::Arc;
use streamalert_pipeline::archive::{ALERTS, folders};

/// The files of a table. Each file is one table's: that of the log type it says, if a schema has that; else that of its folder.
#[derive(Clone, Debug)]
pub struct Owned {
    name: String,
    log_type: Option<String>,
    /// Where else its records may lie.
    elsewhere: Vec<String>,
    /// Log types of schemas whose records may lie in its folder.
    others: BTreeSet<String>,
}

impl Owned {
    /// `known` is the table as the schemas have it, if they do.
    pub fn of(name: &str, known: Option<&Table>, tables: &Tables) -> Owned {
        let log_type = known.and_then(|table| Some(table.log_type.as_ref()?.name.clone()));
        let mut elsewhere = log_type.as_deref().map(folders).unwrap_or_default();
        elsewhere.retain(|folder| folder != name && folder != ALERTS);
        let others = tables.iter().filter_map(|table| Some(table.log_type.as_ref()?.name.clone()));
        let others =
            others.filter(|other| Some(other) != log_type.as_ref() && folders(other).iter().any(|of| of == name));
        Owned { name: name.to_owned(), elsewhere, others: others.collect(), log_type }
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

    /// Files that hold the rows of an hour, each row in one of them. A file is opened only where it may be another table's.
    pub fn files(&self, archive: &Archive, hour: &str) -> Result<Vec<DataFile>> {
        let mut found = archive.files(&self.name, hour)?;
        if !self.others.is_empty() {
            // What cannot be read is told of by who reads its rows.
            found.retain(|file| said(file).is_none_or(|log_type| !self.others.contains(&log_type)));
        }
        for folder in &self.elsewhere {
            let files = archive.files(folder, hour)?.into_iter();
            found.extend(files.filter(|file| self.log_type.is_some() && said(file) == self.log_type));
        }
        Ok(found)
    }
}

fn said(file: &DataFile) -> Option<String> {
    log_type(&open(file).ok()?)
}

/// A table by its name, as the schemas have it if they do, and its files.
pub type Named = (String, Option<Arc<Table>>, Owned);

/// All tables that schemas have or that have a folder, by name.
pub fn all(archive: &Archive, tables: &Tables) -> Result<Vec<Named>> {
    let mut names: BTreeSet<String> = archive.tables()?.into_iter().collect();
    names.extend(tables.iter().map(|table| table.name.clone()));
    let table = |name: String| {
        let known = tables.iter().find(|table| table.name == name).cloned();
        let owned = Owned::of(&name, known.as_deref(), tables);
        (name, known, owned)
    };
    Ok(names.into_iter().map(table).collect())
}
