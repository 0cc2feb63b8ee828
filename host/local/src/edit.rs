//! Files that commands change: read, changed and written by one at a time, and never seen half written.

use serde_json::{Map, Value};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Held while files of a folder are read, changed and written; others who want it wait. It ends with the process.
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// The folder is made if it is not there.
    pub fn take(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        // The folder itself: nothing is left lying beside the files that people keep under version control.
        #[cfg(unix)]
        let file = File::open(folder)?;
        #[cfg(not(unix))]
        let file = File::create(folder.join(".lock"))?;
        file.lock()?;
        Ok(FolderLock { _file: file })
    }
}

/// The folder that a file is in.
pub fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file with a JSON object, whose folder is locked.
pub struct JsonFile {
    path: PathBuf,
    pub all: Map<String, Value>,
    _lock: FolderLock,
}

impl JsonFile {
    /// No file is an empty object.
    pub fn open(path: &Path) -> io::Result<Self> {
        // What a link leads to is changed, and the link stays.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let lock = FolderLock::take(folder_of(&path))?;
        let all = match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Map::new(),
            Err(error) => return Err(error),
        };
        Ok(JsonFile { path, all, _lock: lock })
    }

    /// All or nothing.
    pub fn save(self) -> io::Result<()> {
        let mut new = tempfile::NamedTempFile::new_in(folder_of(&self.path))?;
        new.write_all(serde_json::to_string_pretty(&self.all)?.as_bytes())?;
        new.write_all(b"\n")?;
        match fs::metadata(&self.path) {
            Ok(before) => new.as_file().set_permissions(before.permissions())?,
            Err(_) => {
                #[cfg(unix)]
                new.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
            }
        }
        new.as_file().sync_all()?;
        new.persist(&self.path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_who_change_a_file_at_once_nobodys_change_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("conf/apps.json");
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    for number in 0..10 {
                        let mut file = JsonFile::open(path).unwrap();
                        file.all.insert(format!("{thread}-{number}"), Value::from(number));
                        file.save().unwrap();
                    }
                });
            }
        });
        assert_eq!(JsonFile::open(&path).unwrap().all.len(), 80);
        assert_eq!(fs::read_dir(folder.path().join("conf")).unwrap().count(), 1, "nothing is left beside it");
    }

    #[cfg(unix)]
    #[test]
    fn who_may_read_a_file_and_what_leads_to_it_stays() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("real/apps.json"), folder.path().join("apps.json"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        JsonFile::open(&path).unwrap().save().unwrap();
        assert_eq!(mode(&path), 0o644);
        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut file = JsonFile::open(&link).unwrap();
        file.all.insert("a".into(), Value::Null);
        file.save().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("{\n  \"a\": null\n}\n", 0o640));
    }
}
