//! A watched folder: what is put into it is taken, and moved to its `done` folder when its results are stored. The move
//! is the acknowledgement; who dies before it finds the file again, and the ids make that harmless.

use crate::input::{DeclaredSource, file_source};
use crate::run::{Progress, feed};
use crate::runner::{Door, Receipt};
use crate::stop::Stop;
use crossbeam_channel::{Receiver, bounded};
use notify::{RecursiveMode, Watcher};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use streamalert_intake::Pieces;
use streamalert_pipeline::classifier::Framing;

/// Where files go when they are done.
pub const DONE: &str = "done";
/// A file that has not changed for this long is whole. Who writes more slowly renames into the folder.
const QUIET: Duration = Duration::from_millis(200);
/// How often to look without being told: network drives and containers give no notice.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub struct Inbox {
    folder: PathBuf,
    declared: Option<DeclaredSource>,
    door: Door,
    stop: Stop,
    progress: Arc<Progress>,
    files: Arc<Mutex<Files>>,
}

#[derive(Default)]
struct Files {
    /// Not whole yet, as far as we know.
    waiting: HashMap<PathBuf, (Look, Instant)>,
    /// Under way, or done but not to be moved.
    taken: HashMap<PathBuf, Look>,
}

/// What can be seen of a file without reading it. A changed look is a changed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Inbox {
    /// The folder is made if it is not there.
    pub fn open(
        folder: &Path,
        declared: Option<DeclaredSource>,
        door: Door,
        stop: Stop,
        progress: Arc<Progress>,
    ) -> io::Result<Self> {
        fs::create_dir_all(folder.join(DONE))?;
        let folder = fs::canonicalize(folder)?;
        Ok(Inbox { folder, declared, door, stop, progress, files: Arc::default() })
    }

    /// Takes files until somebody asks to stop.
    pub fn run(self) {
        let changes = watch(&self.folder);
        while !self.stop.is_requested() {
            let again = self.look();
            let wait = if again { QUIET / 4 } else { LOOK_EVERY };
            match &changes {
                // A woken look finds the file still young; the next one is soon.
                Some((woken, _watcher)) => drop(woken.recv_timeout(wait)),
                None => std::thread::sleep(wait),
            }
        }
    }

    /// Takes what is whole. Says whether something is still growing.
    fn look(&self) -> bool {
        let mut found = Vec::new();
        if let Err(error) = walk(&self.folder, &self.folder.join(DONE), &mut HashSet::new(), &mut found) {
            self.progress.failed(format!("look into the inbox {}: {error}", self.folder.display()));
            return false;
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        {
            let mut files = self.files();
            let there: HashSet<&PathBuf> = found.iter().map(|(path, _)| path).collect();
            files.waiting.retain(|path, _| there.contains(path));
            files.taken.retain(|path, _| there.contains(path));
        }
        for (path, look) in found {
            if self.stop.is_requested() {
                return false;
            }
            if self.is_whole(&path, look) {
                self.take(&path, look);
            }
        }
        !self.files().waiting.is_empty()
    }

    fn is_whole(&self, path: &Path, look: Look) -> bool {
        let mut files = self.files();
        if files.taken.get(path) == Some(&look) {
            return false;
        }
        // Untouched since before we looked first: nobody is writing it. A rename keeps the time of the last write.
        let old = look.modified.and_then(|modified| modified.elapsed().ok()).is_some_and(|age| age >= QUIET);
        let whole = match files.waiting.get(path) {
            Some((before, since)) if *before == look => old || since.elapsed() >= QUIET,
            _ => {
                files.waiting.insert(path.to_owned(), (look, Instant::now()));
                old
            }
        };
        if whole {
            files.waiting.remove(path);
            files.taken.insert(path.to_owned(), look);
        }
        whole
    }

    fn take(&self, path: &Path, look: Look) {
        let source = match file_source(path, self.declared.as_ref()) {
            Ok(source) => source,
            // It was taken away again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.progress.failed(format!("{}: {error}", path.display())),
        };
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.progress.failed(format!("{}: {error}", path.display())),
        };
        let receipt = {
            let (folder, path, files, progress) =
                (self.folder.clone(), path.to_owned(), self.files.clone(), self.progress.clone());
            Receipt::new(move |_| {
                let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
                // It has grown meanwhile: it is taken once more, whole.
                if look_at(&path).ok().is_none_or(|now| now != look) {
                    files.taken.remove(&path);
                    return;
                }
                match move_to_done(&folder, &path) {
                    Ok(()) => drop(files.taken.remove(&path)),
                    // It stays marked as taken, so that this process does not take it for ever.
                    Err(error) => progress.failed(format!("move {} to {DONE}: {error}", path.display())),
                }
            })
        };
        let pieces = Pieces::new(Arc::new(source), self.progress.counting(file), Framing::default());
        let pieces = pieces.framed_by(self.door.frames());
        if let Err(error) = feed(pieces, &self.door, &receipt, &self.stop) {
            self.progress.failed(format!("{}: {error}", path.display()));
        }
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn look_at(path: &Path) -> io::Result<Look> {
    let file = fs::metadata(path)?;
    Ok(Look { bytes: file.len(), modified: file.modified().ok() })
}

/// Hidden files are the unfinished uploads of most tools.
fn walk(folder: &Path, done: &Path, seen: &mut HashSet<PathBuf>, found: &mut Vec<(PathBuf, Look)>) -> io::Result<()> {
    if !seen.insert(fs::canonicalize(folder)?) {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) || path == done {
            continue;
        }
        match fs::metadata(&path) {
            Ok(kind) if kind.is_dir() => match walk(&path, done, seen, found) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            },
            Ok(kind) if kind.is_file() => {
                found.push((path, Look { bytes: kind.len(), modified: kind.modified().ok() }));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Under its own name, or with a number behind it where that name is taken: nothing is ever overwritten.
fn move_to_done(folder: &Path, path: &Path) -> io::Result<()> {
    let within = path.strip_prefix(folder).unwrap_or(path);
    let target = folder.join(DONE).join(within);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    for number in 0_u32.. {
        let mut candidate = target.clone().into_os_string();
        if number > 0 {
            candidate.push(format!(".{number}"));
        }
        // A link fails where a rename would overwrite.
        match fs::hard_link(path, &candidate) {
            Ok(()) => return fs::remove_file(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // No links here: then the check is as good as it gets.
            Err(_) if !Path::new(&candidate).exists() => return fs::rename(path, &candidate),
            Err(_) => {}
        }
    }
    Ok(())
}

fn watch(folder: &Path) -> Option<(Receiver<()>, notify::RecommendedWatcher)> {
    let (wake, woken) = bounded(1);
    let heard = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = wake.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(heard).ok()?;
    watcher.watch(folder, RecursiveMode::Recursive).ok()?;
    Some((woken, watcher))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn done_files_keep_their_names_and_never_overwrite() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        for text in ["first", "second", "third"] {
            fs::write(at("sub/a.json"), text).unwrap();
            move_to_done(folder.path(), &at("sub/a.json")).unwrap();
            assert!(!at("sub/a.json").exists());
        }
        let read = |name: &str| fs::read_to_string(at(name)).unwrap();
        assert_eq!(read("done/sub/a.json"), "first");
        assert_eq!(read("done/sub/a.json.1"), "second");
        assert_eq!(read("done/sub/a.json.2"), "third");
    }

    #[test]
    fn hidden_files_and_done_ones_are_not_found() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["done/sub", "sub/done", "sub/.tmp"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        for name in ["a.json", ".b.json", "done/sub/c.json", "sub/done/d.json", "sub/.tmp/e.json"] {
            fs::write(folder.path().join(name), "{}").unwrap();
        }
        let mut found = Vec::new();
        walk(folder.path(), &folder.path().join(DONE), &mut HashSet::new(), &mut found).unwrap();
        let mut names: Vec<_> = found.iter().map(|(path, _)| path.strip_prefix(folder.path()).unwrap()).collect();
        names.sort();
        assert_eq!(names, [Path::new("a.json"), Path::new("sub/done/d.json")]);
    }
}
