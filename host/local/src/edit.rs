//! Files that commands change: read, changed and written by one at a time, and never seen half written.

use serde_json::{Map, Value};
use std::cell::RefCell;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
pub use streamalert_files::{folder_of, replace, target};

/// Held while files of a folder are read, changed and written; others who want it wait. It ends with the process. Whoever has it
/// gets it again: several files of one folder may be changed together.
pub struct FolderLock {
    _file: Rc<File>,
}

thread_local! {
    /// Folders that this thread has locked.
    static HELD: RefCell<Vec<(FolderId, Weak<File>)>> = const { RefCell::new(Vec::new()) };
}

/// Tells folders apart, whatever paths lead to them.
#[cfg(unix)]
type FolderId = (u64, u64);
#[cfg(not(unix))]
type FolderId = PathBuf;

#[cfg(unix)]
fn id_of(folder: &Path) -> io::Result<FolderId> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(folder).map(|about| (about.dev(), about.ino()))
}

#[cfg(not(unix))]
fn id_of(folder: &Path) -> io::Result<FolderId> {
    fs::canonicalize(folder)
}

impl FolderLock {
    /// The folder is made if it is not there.
    pub fn take(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let id = id_of(folder)?;
        let held = HELD.with_borrow(|held| held.iter().find(|(of, _)| *of == id).and_then(|(_, file)| file.upgrade()));
        if let Some(file) = held {
            return Ok(FolderLock { _file: file });
        }
        // The folder itself: nothing is left lying beside the files that people keep under version control.
        #[cfg(unix)]
        let file = File::open(folder)?;
        #[cfg(not(unix))]
        let file = File::create(folder.join(".lock"))?;
        file.lock()?;
        let file = Rc::new(file);
        HELD.with_borrow_mut(|held| {
            held.retain(|(_, file)| file.strong_count() > 0);
            held.push((id, Rc::downgrade(&file)));
        });
        Ok(FolderLock { _file: file })
    }
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
        let path = target(path)?;
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
        let text = serde_json::to_string_pretty(&self.all)? + "\n";
        replace(&self.path, text.as_bytes(), Some(0o644))
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
        // A link by way of another folder, to what is not there yet.
        let (early, late) = (folder.path().join("early.json"), folder.path().join("real/late.json"));
        std::os::unix::fs::symlink("real/late.json", &early).unwrap();
        JsonFile::open(&early).unwrap().save().unwrap();
        assert!(fs::symlink_metadata(&early).unwrap().is_symlink() && late.is_file());
        std::os::unix::fs::symlink("circle", folder.path().join("circle")).unwrap();
        assert!(JsonFile::open(&folder.path().join("circle")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn whose_a_file_is_stays() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("apps.json");
        JsonFile::open(&path).unwrap().save().unwrap();
        let whose =
            |path: &Path| fs::metadata(path).map(|about| (about.uid(), about.gid(), about.mode() & 0o777)).unwrap();
        if whose(&path).0 != 0 {
            println!("skipped: only root may give files away");
            return;
        }
        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        chown(&path, Some(1000), Some(1001)).unwrap();
        JsonFile::open(&path).unwrap().save().unwrap();
        assert_eq!(whose(&path), (1000, 1001, 0o640));
    }

    #[test]
    fn who_has_locked_a_folder_may_change_another_file_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("apps.json");
        let (done, wait) = std::sync::mpsc::channel();
        std::thread::spawn({
            let path = path.clone();
            move || {
                let mut file = JsonFile::open(&path).unwrap();
                // Another path to the same folder.
                let other = folder_of(&path).join("../").join(folder_of(&path).file_name().unwrap());
                drop(FolderLock::take(&other).unwrap());
                file.all.insert("a".into(), Value::Null);
                // It is still locked, and others wait.
                let others = File::open(folder_of(&path)).unwrap();
                assert!(others.try_lock().is_err());
                file.save().unwrap();
                others.try_lock().unwrap();
                done.send(()).unwrap();
            }
        });
        wait.recv_timeout(std::time::Duration::from_secs(30)).expect("it waits for itself");
        assert_eq!(JsonFile::open(&path).unwrap().all.len(), 1);
    }
}
