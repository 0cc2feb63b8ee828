//! Files that commands change: read, changed and written by one at a time, and never seen half written.

use serde_json::{Map, Value};
use std::cell::RefCell;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};

/// Links that lead from one to the next before somebody must be going in circles; Linux follows as many.
const LINKS_MAX: usize = 40;

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

/// Where the file is that a path leads to: at the end of links, also if nothing is there yet.
pub fn target(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..LINKS_MAX {
        match fs::read_link(&path) {
            Ok(to) => path = folder_of(&path).join(to),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other(format!("links lead in circles at {}", path.display())))
}

/// Puts `bytes` in the place of what the file has that `path` leads to: all or nothing, and durable when it returns. Whose it is and
/// who may read it stays; a new one has `mode`, or is for its owner alone.
pub fn replace(path: &Path, bytes: &[u8], mode: Option<u32>) -> io::Result<()> {
    let path = target(path)?;
    let folder = folder_of(&path);
    fs::create_dir_all(folder)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(bytes)?;
    match fs::metadata(&path) {
        Ok(before) => keep(new.as_file(), &before, &path)?,
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {
            #[cfg(unix)]
            if let Some(mode) = mode {
                new.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
            }
            #[cfg(not(unix))]
            let _ = mode;
        }
    }
    new.as_file().sync_all()?;
    new.persist(&path)?;
    Ok(())
}

/// Makes a file that of the one before, as far as this user may.
#[cfg(unix)]
fn keep(new: &File, before: &Metadata, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let differ = |was: u32, is: u32| (was != is).then_some(was);
    let mine = new.metadata()?;
    let mut mode = before.mode() & 0o7777;
    // Group first: who has given a file away may not be asked about it any more.
    let group = differ(before.gid(), mine.gid()).map_or(Ok(()), |group| fchown(new, None, Some(group)));
    let owner = differ(before.uid(), mine.uid()).map_or(Ok(()), |owner| fchown(new, Some(owner), None));
    if group.is_err() {
        // Another group than the one that was meant.
        mode &= !0o070 | (mode & 0o007) << 3;
    }
    if let Err(error) = owner.and(group) {
        let (path, was) = (path.display(), format!("{}:{}", before.uid(), before.gid()));
        let is = new.metadata().map(|is| format!("{}:{}", is.uid(), is.gid())).unwrap_or_default();
        tracing::warn!(%path, was, is, %error, "the file belongs to somebody else now; have its owner change it, or give it back");
    }
    new.set_permissions(PermissionsExt::from_mode(mode))
}

#[cfg(not(unix))]
fn keep(new: &File, before: &Metadata, _: &Path) -> io::Result<()> {
    new.set_permissions(before.permissions())
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
