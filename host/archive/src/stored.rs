//! Which columns lie in the files of a table, and how much.

use crate::Result;
use crate::compact::open;
use crate::folder::Archive;
use crate::owned::{self, Owned};
use crate::table::{Tables, hive};
use std::collections::BTreeMap;
use streamalert_pipeline::archive::Column;

/// A table as it lies there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    pub hours: usize,
    pub files: usize,
    pub bytes: u64,
    /// Those of the newest file that can be read: what is written now.
    pub columns: Vec<Column>,
}

/// Looks at all tables that have files or a folder; nothing of them is changed.
pub fn stored(archive: &Archive, tables: &Tables) -> Result<BTreeMap<String, Stored>> {
    let _reading = archive.reading()?;
    let folders = archive.tables()?;
    let mut found = BTreeMap::new();
    for (name, _, owned) in owned::all(archive, tables)? {
        let table = look(archive, &owned)?;
        if table.files > 0 || folders.contains(&name) {
            found.insert(name, table);
        }
    }
    Ok(found)
}

fn look(archive: &Archive, owned: &Owned) -> Result<Stored> {
    let mut found = Stored::default();
    let mut unread = None;
    for hour in owned.hours(archive)?.iter().rev() {
        let files = owned.files(archive, hour)?;
        found.hours += usize::from(!files.is_empty());
        found.files += files.len();
        found.bytes += files.iter().map(|file| file.bytes).sum::<u64>();
        if !found.columns.is_empty() {
            continue;
        }
        // A damaged one keeps nobody from what the others say; whoever asks for its rows is told of it.
        let opened = files.iter().rev().find_map(|file| match open(file) {
            Ok(opened) => Some(opened),
            Err(error) => {
                unread = unread.take().or(Some(error));
                None
            }
        });
        let Some(opened) = opened else { continue };
        let column = |field: &arrow::datatypes::FieldRef| Column {
            name: field.name().clone(),
            kind: hive(field.data_type()),
            key: None,
        };
        found.columns = opened.schema().fields().iter().map(column).collect();
    }
    match unread.filter(|_| found.columns.is_empty()) {
        Some(error) => Err(error),
        None => Ok(found),
    }
}
