//! The files of an hour. A file appears whole or not at all. Where one file takes the place of others, a note beside it says of
//! which, and is there before it: whoever lists the folder sees each row once, whenever that is.

use crate::{ArchiveError, Result, failed};
use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use streamalert_pipeline::columns::PARTITION;
use streamalert_pipeline::time::{Millis, rfc3339};

/// What files and folders begin with that are no tables and no data: readers of such folders pass over them.
const HIDDEN: char = '.';
/// Of files that are not written to their end.
const UNFINISHED: &str = ".tmp-";
const PARQUET: &str = ".parquet";
/// Behind the name of a file: the note which files it replaces.
const REPLACES: &str = ".replaces";
/// Files that were left unfinished for so long are nobody's.
const UNFINISHED_SECONDS: u64 = 24 * 3600;

/// A folder of tables.
#[derive(Clone, Debug)]
pub struct Archive {
    root: PathBuf,
}

/// A file with rows of one table and hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFile {
    pub path: PathBuf,
    pub name: String,
    pub bytes: u64,
}

/// While one of these is held, no file that could be listed is removed.
pub struct Reading(#[allow(dead_code)] Option<File>);

/// The hour of an instant, as folders name it.
pub fn hour(at: Millis) -> String {
    let text = rfc3339(at);
    match text.get(..13) {
        Some(hour) if hour.as_bytes()[10] == b'T' => hour.replace('T', "-"),
        // Beyond the year 9999; somebody's clock is wrong, and it is kept all the same.
        _ => "9999-12-31-23".to_owned(),
    }
}

impl Archive {
    /// One that need not be there.
    pub fn at(root: impl Into<PathBuf>) -> Archive {
        Archive { root: root.into() }
    }

    /// Makes the folder if it is not there.
    pub fn open(root: &Path) -> Result<Archive> {
        fs::create_dir_all(root).map_err(failed("make the folder", root))?;
        Ok(Archive::at(root))
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Names of the tables that have a folder.
    pub fn tables(&self) -> Result<Vec<String>> {
        let mut names = list(&self.root)?;
        names.retain(|name| !name.starts_with(HIDDEN) && self.root.join(name).is_dir());
        names.sort();
        Ok(names)
    }

    /// Hours of a table, the earliest first.
    pub fn hours(&self, table: &str) -> Result<Vec<String>> {
        let names = list(&self.root.join(table))?.into_iter();
        let mut hours: Vec<String> =
            names.filter_map(|name| Some(name.strip_prefix(PARTITION)?.strip_prefix('=')?.to_owned())).collect();
        hours.sort();
        Ok(hours)
    }

    pub fn folder(&self, table: &str, hour: &str) -> PathBuf {
        self.root.join(table).join(format!("{PARTITION}={hour}"))
    }

    /// Files that hold the rows of an hour, each row in one of them.
    pub fn files(&self, table: &str, hour: &str) -> Result<Vec<DataFile>> {
        Ok(self.look(table, hour)?.0)
    }

    /// The same, and names of files whose rows others have now.
    fn look(&self, table: &str, hour: &str) -> Result<(Vec<DataFile>, Vec<String>)> {
        let folder = self.folder(table, hour);
        let mut names = list(&folder)?;
        names.retain(|name| name.ends_with(PARQUET) && !name.starts_with(HIDDEN));
        names.sort();
        let mut replaced = HashSet::new();
        for name in names.iter().filter(|name| name.starts_with(MERGED)) {
            // Asked for by name: a listing may have passed the place where it stands before it was there.
            match fs::read_to_string(folder.join(note(name))) {
                Ok(text) => replaced.extend(text.lines().map(str::to_owned)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(failed("read", &folder.join(note(name)))(error)),
            }
        }
        let (gone, names): (Vec<String>, Vec<String>) = names.into_iter().partition(|name| replaced.contains(name));
        let mut files = Vec::with_capacity(names.len());
        for name in names {
            let path = folder.join(&name);
            match fs::metadata(&path) {
                Ok(file) => files.push(DataFile { bytes: file.len(), path, name }),
                // Removed between the listing and now, by whoever had to wait for no reader.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(failed("read", &path)(error)),
            }
        }
        Ok((files, gone))
    }

    /// Whoever reads files that it has listed holds this from before the listing to the end.
    pub fn reading(&self) -> Result<Reading> {
        if !self.root.is_dir() {
            return Ok(Reading(None));
        }
        let path = self.root.join(".lock");
        let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path);
        // Somebody who may only read the archive can lock it too, if the file is there.
        let file = open().or_else(|_| File::open(&path)).map_err(failed("open", &path))?;
        file.lock_shared().map_err(failed("lock", &path))?;
        Ok(Reading(Some(file)))
    }

    /// Nobody reads while this is held; `None` if somebody does now.
    pub(crate) fn alone(&self) -> Result<Option<File>> {
        self.lock(".lock")
    }

    /// One process at a time merges files.
    pub(crate) fn merging(&self) -> Result<Option<File>> {
        self.lock(".merging")
    }

    fn lock(&self, name: &str) -> Result<Option<File>> {
        let path = self.root.join(name);
        let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(failed("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed("lock", &path)(error)),
        }
    }

    /// A file of the hour's folder that nobody sees yet.
    pub(crate) fn begin(&self, table: &str, hour: &str) -> Result<Unfinished> {
        let folder = self.folder(table, hour);
        fs::create_dir_all(&folder).map_err(failed("make the folder", &folder))?;
        let new = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&folder);
        Ok(Unfinished { file: new.map_err(failed("write into", &folder))?, folder })
    }

    /// Removes files whose rows others have now, unless somebody reads.
    pub(crate) fn sweep(&self, table: &str, hour: &str) -> Result<()> {
        let (files, gone) = self.look(table, hour)?;
        let folder = self.folder(table, hour);
        let unfinished: Vec<String> = list(&folder)?.into_iter().filter(|name| is_left(&folder, name)).collect();
        if gone.is_empty() && unfinished.is_empty() {
            return Ok(());
        }
        let Some(_alone) = self.alone()? else { return Ok(()) };
        for name in gone.iter().chain(&unfinished) {
            remove(&folder.join(name))?;
        }
        sync_folder(&folder)?;
        // Only when they are gone for good: a note that is missing brings them back.
        for file in files.iter().filter(|file| file.name.starts_with(MERGED)) {
            remove(&folder.join(note(&file.name)))?;
        }
        Ok(())
    }

    /// Removes an hour with all its files, unless somebody reads. Says whether it did.
    pub(crate) fn remove(&self, table: &str, hour: &str) -> Result<bool> {
        let Some(_alone) = self.alone()? else { return Ok(false) };
        let folder = self.folder(table, hour);
        fs::remove_dir_all(&folder).map_err(failed("remove", &folder))?;
        Ok(true)
    }
}

/// What names of merged files begin with.
pub(crate) const MERGED: &str = "merged-";

fn note(name: &str) -> String {
    format!("{HIDDEN}{name}{REPLACES}")
}

fn is_left(folder: &Path, name: &str) -> bool {
    name.starts_with(UNFINISHED)
        && fs::metadata(folder.join(name))
            .and_then(|file| file.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() > UNFINISHED_SECONDS))
}

/// A file under way.
pub(crate) struct Unfinished {
    pub file: tempfile::NamedTempFile,
    folder: PathBuf,
}

impl Unfinished {
    /// Lets it be seen under this name, in the place of a file that has it. `replaced` are files whose rows are in it.
    pub fn finish(self, name: &str, replaced: &[String]) -> Result<()> {
        let path = self.folder.join(name);
        self.file.as_file().sync_all().map_err(failed("write", &path))?;
        if !replaced.is_empty() {
            let note_path = self.folder.join(note(name));
            let mut new = tempfile::Builder::new()
                .prefix(UNFINISHED)
                .tempfile_in(&self.folder)
                .map_err(failed("write into", &self.folder))?;
            new.write_all(replaced.join("\n").as_bytes()).map_err(failed("write", &note_path))?;
            new.as_file().sync_all().map_err(failed("write", &note_path))?;
            new.persist(&note_path).map_err(failed("write", &note_path))?;
            sync_folder(&self.folder)?;
        }
        self.file.persist(&path).map_err(failed("write", &path))?;
        sync_folder(&self.folder)
    }
}

/// Names in a folder; of one that is not there, none.
pub(crate) fn list(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("list", folder)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("list", folder))?;
        // A name that is no text is none of ours.
        names.extend(entry.file_name().into_string().ok());
    }
    Ok(names)
}

/// So that names survive a loss of power.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    // Not every system can do that; where it cannot, renaming is durable by itself.
    #[cfg(unix)]
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("write", folder))?;
    Ok(())
}

pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err::<(), ArchiveError>(failed("remove", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_named_as_partitions_are() {
        assert_eq!(hour(1_767_323_045_678), "2026-01-02-03");
        assert_eq!(hour(i64::MAX), "9999-12-31-23");
    }

    #[test]
    fn a_file_hides_those_it_replaces_and_they_go_when_nobody_reads() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::open(folder.path()).unwrap();
        let put = |name: &str, replaced: &[&str]| {
            let replaced: Vec<String> = replaced.iter().map(|name| (*name).to_owned()).collect();
            archive.begin("t", "h").unwrap().finish(name, &replaced).unwrap();
        };
        let seen = || archive.files("t", "h").unwrap().into_iter().map(|file| file.name).collect::<Vec<_>>();
        put("a.parquet", &[]);
        put("b.parquet", &[]);
        put("c.parquet", &[]);
        // A note without its file says nothing: the merging was broken off.
        fs::write(archive.folder("t", "h").join(".merged-0.parquet.replaces"), "a.parquet").unwrap();
        assert_eq!(seen(), ["a.parquet", "b.parquet", "c.parquet"]);
        let reading = archive.reading().unwrap();
        put("merged-1.parquet", &["a.parquet", "b.parquet"]);
        assert_eq!(seen(), ["c.parquet", "merged-1.parquet"]);
        archive.sweep("t", "h").unwrap();
        assert!(archive.folder("t", "h").join("a.parquet").exists(), "somebody may have listed it");
        assert!(!archive.remove("t", "h").unwrap());
        drop(reading);
        archive.sweep("t", "h").unwrap();
        assert!(!archive.folder("t", "h").join("a.parquet").exists());
        assert_eq!(seen(), ["c.parquet", "merged-1.parquet"]);
        assert!(archive.remove("t", "h").unwrap());
        assert!(seen().is_empty() && archive.hours("t").unwrap().is_empty());
    }
}
