//! Dead letters in a folder, as files of JSON lines that are never changed: each is named by its content, written whole,
//! and replaced by others when letters go or files become many. So two processes may use one folder.

use crate::clock::now;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use streamalert_pipeline::backend::{BackendError, DeadLetters};
use streamalert_pipeline::dead_letter::DeadLetter;
use streamalert_pipeline::log_record::short_id;

/// Files in the folder before small ones are put together: few enough to list at every write.
const FILES_MAX: usize = 64;
/// Bytes above which a file is left alone when files are put together, so that the work for one letter stays bounded.
const SMALL_FILE_BYTES: u64 = 4 << 20;

const SUFFIX: &str = ".ndjson";
const UNFINISHED: &str = ".unfinished-";

pub struct DeadLetterFolder {
    folder: PathBuf,
    known: Mutex<Known>,
}

/// What we have seen of the folder. File names stand for their content, so names are all there is to compare.
#[derive(Default)]
struct Known {
    files: BTreeMap<String, u64>,
    /// Letter → file.
    letters: HashMap<String, String>,
}

/// A line that is no letter of ours. It stays where it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub file: String,
    /// From 1.
    pub line: usize,
    pub error: String,
}

impl DeadLetterFolder {
    pub fn open(folder: &Path) -> Result<Self, BackendError> {
        let opened = DeadLetterFolder { folder: folder.to_path_buf(), known: Mutex::default() };
        opened.locked("open the dead letters", |known| {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                // Whoever wrote it died before anything was promised: we hold the lock, so nobody is writing now.
                if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                    fs::remove_file(entry.path())?;
                }
            }
            opened.look(known)
        })?;
        Ok(opened)
    }

    /// All letters, oldest first, and the lines that are none.
    pub fn read(&self) -> Result<(Vec<DeadLetter>, Vec<Unreadable>), BackendError> {
        self.locked("read the dead letters", |known| {
            self.look(known)?;
            let mut letters: HashMap<String, DeadLetter> = HashMap::new();
            let mut unreadable = Vec::new();
            let mut again: HashMap<String, u64> = HashMap::new();
            for file in known.files.keys() {
                for (number, line) in lines(&fs::read(self.folder.join(file))?).enumerate() {
                    if let Some(Again { id, again: times, .. }) = Again::read(line) {
                        *again.entry(id).or_default() += times;
                        continue;
                    }
                    match serde_json::from_slice::<DeadLetter>(line) {
                        // Twice only if we died between writing files together and removing them.
                        Ok(letter) => match letters.get_mut(&letter.id) {
                            Some(other) if other.first_seen <= letter.first_seen => {}
                            _ => drop(letters.insert(letter.id.clone(), letter)),
                        },
                        Err(error) => unreadable.push(Unreadable {
                            file: self.folder.join(file).display().to_string(),
                            line: number + 1,
                            error: error.to_string(),
                        }),
                    }
                }
            }
            let mut letters: Vec<DeadLetter> = letters.into_values().collect();
            for letter in &mut letters {
                letter.count += again.get(&letter.id).copied().unwrap_or(0);
            }
            letters.sort_by(|a, b| {
                let key = |letter: &DeadLetter| (letter.first_seen.clone(), letter.position);
                key(a).cmp(&key(b)).then_with(|| a.id.cmp(&b.id))
            });
            Ok((letters, unreadable))
        })
    }

    /// Runs `work` while no other process touches the folder.
    fn locked<T>(&self, action: &str, work: impl FnOnce(&mut Known) -> io::Result<T>) -> Result<T, BackendError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let run = || {
            fs::create_dir_all(&self.folder)?;
            let lock = File::create(self.folder.join(".lock"))?;
            lock.lock()?;
            work(&mut known)
        };
        run().map_err(|error| BackendError::other(format!("{action} in {}", self.folder.display()), error))
    }

    /// Brings `known` up to what is in the folder now.
    fn look(&self, known: &mut Known) -> io::Result<()> {
        let mut present = BTreeMap::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(SUFFIX) && !name.starts_with('.') {
                present.insert(name, entry.metadata()?.len());
            }
        }
        let gone: HashSet<String> = known.files.keys().filter(|name| !present.contains_key(*name)).cloned().collect();
        if !gone.is_empty() {
            known.letters.retain(|_, file| !gone.contains(file));
        }
        for name in present.keys().filter(|name| !known.files.contains_key(*name)) {
            for line in lines(&fs::read(self.folder.join(name))?) {
                if let Some(id) = id_of(line).filter(|_| Again::read(line).is_none()) {
                    known.letters.insert(id, name.clone());
                }
            }
        }
        known.files = present;
        Ok(())
    }

    /// Writes a file of lines, durably, and enters it into `known`.
    fn write(&self, known: &mut Known, text: &[u8], ids: impl Iterator<Item = String>) -> io::Result<String> {
        let name = format!("{}{SUFFIX}", short_id(&Sha256::digest(text)));
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.folder)?;
        file.write_all(text)?;
        file.as_file().sync_all()?;
        file.persist(self.folder.join(&name)).map_err(|error| error.error)?;
        sync_folder(&self.folder)?;
        known.files.insert(name.clone(), text.len() as u64);
        known.letters.extend(ids.map(|id| (id, name.clone())));
        Ok(name)
    }

    /// Puts small files together once there are many.
    fn compact(&self, known: &mut Known) -> io::Result<()> {
        if known.files.len() <= FILES_MAX {
            return Ok(());
        }
        let small = known.files.iter().filter(|(_, bytes)| **bytes < SMALL_FILE_BYTES);
        let small: Vec<String> = small.map(|(name, _)| name.clone()).collect();
        if small.len() < FILES_MAX / 2 {
            return Ok(());
        }
        let mut text = Vec::new();
        let mut seen = HashSet::new();
        let mut again: BTreeMap<String, Again> = BTreeMap::new();
        for name in &small {
            for line in lines(&fs::read(self.folder.join(name))?) {
                if let Some(more) = Again::read(line) {
                    let sum = again.entry(more.id.clone()).or_insert(Again { again: 0, ..more.clone() });
                    sum.again += more.again;
                    sum.last_seen = more.last_seen.max(std::mem::take(&mut sum.last_seen));
                    continue;
                }
                // What we cannot read has no id, and is kept as it is.
                if id_of(line).is_none_or(|id| seen.insert(id)) {
                    text.extend_from_slice(line);
                    text.push(b'\n');
                }
            }
        }
        for sum in again.values() {
            serde_json::to_writer(&mut text, sum)?;
            text.push(b'\n');
        }
        let name = self.write(known, &text, seen.into_iter())?;
        for old in small.iter().filter(|old| **old != name) {
            fs::remove_file(self.folder.join(old))?;
            known.files.remove(old);
        }
        sync_folder(&self.folder)
    }
}

impl DeadLetters for DeadLetterFolder {
    fn put(&self, letters: &[DeadLetter]) -> Result<(), BackendError> {
        if letters.is_empty() {
            return Ok(());
        }
        self.locked("keep dead letters", |known| {
            self.look(known)?;
            let mut text = Vec::new();
            let mut new = HashSet::new();
            let first_seen = now();
            let mut again: BTreeMap<&str, u64> = BTreeMap::new();
            for letter in letters {
                if known.letters.contains_key(&letter.id) || !new.insert(letter.id.clone()) {
                    *again.entry(&letter.id).or_default() += letter.count;
                    continue;
                }
                let mut letter = letter.clone();
                if letter.first_seen.is_empty() {
                    letter.first_seen.clone_from(&first_seen);
                }
                serde_json::to_writer(&mut text, &letter)?;
                text.push(b'\n');
            }
            for (id, again) in again {
                let line = Again { id: id.to_owned(), again, last_seen: first_seen.clone() };
                serde_json::to_writer(&mut text, &line)?;
                text.push(b'\n');
            }
            self.write(known, &text, new.into_iter())?;
            self.compact(known)
        })
    }

    fn list(&self) -> Result<Vec<DeadLetter>, BackendError> {
        let (letters, unreadable) = self.read()?;
        for line in unreadable {
            tracing::warn!(file = line.file, line = line.line, error = line.error, "a line is no dead letter");
        }
        Ok(letters)
    }

    fn remove(&self, ids: &[String]) -> Result<(), BackendError> {
        self.locked("remove dead letters", |known| {
            self.look(known)?;
            let ids: HashSet<&str> = ids.iter().map(String::as_str).collect();
            let mut touched: Vec<String> = Vec::new();
            for name in known.files.keys() {
                let text = fs::read(self.folder.join(name))?;
                if lines(&text).any(|line| id_of(line).is_some_and(|id| ids.contains(id.as_str()))) {
                    touched.push(name.clone());
                }
            }
            for name in touched {
                let text = fs::read(self.folder.join(&name))?;
                let mut rest = Vec::new();
                let mut rest_ids = Vec::new();
                for line in lines(&text) {
                    let id = id_of(line);
                    if id.as_ref().is_some_and(|id| ids.contains(id.as_str())) {
                        continue;
                    }
                    rest.extend_from_slice(line);
                    rest.push(b'\n');
                    rest_ids.extend(id);
                }
                // The rest first: dying in between leaves a letter twice, which reading sees through.
                if !rest.is_empty() {
                    self.write(known, &rest, rest_ids.into_iter())?;
                }
                fs::remove_file(self.folder.join(&name))?;
                known.files.remove(&name);
            }
            known.letters.retain(|id, _| !ids.contains(id.as_str()));
            sync_folder(&self.folder)
        })
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty())
}

/// The letter that a line is, or tells more of.
fn id_of(line: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        id: String,
        reason: Option<Value>,
        again: Option<u64>,
    }
    let Named { id, reason, again } = serde_json::from_slice(line).ok()?;
    (reason.is_some() || again.is_some()).then_some(id)
}

/// A line that says how often a letter came again: the letter itself is never written anew.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Again {
    id: String,
    again: u64,
    last_seen: String,
}

impl Again {
    fn read(line: &[u8]) -> Option<Again> {
        // Letters are long; only short lines are looked at closely.
        (line.len() < 256).then(|| serde_json::from_slice(line).ok()).flatten()
    }
}

/// A rename is durable once its folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::Arc;
    use streamalert_pipeline::dead_letter::Reason;
    use streamalert_pipeline::log_record::{Payload, Position, Source};

    pub(crate) fn letter(text: &str) -> DeadLetter {
        let source = Source::new("file", "/logs", "/logs/a.json");
        let payload = Payload::new(Arc::new(source), 0, text.as_bytes());
        let position = Position { offset: 0, length: text.len() as u64, index: 0 };
        DeadLetter::new(&payload, "default", position, Reason::NotJson, "not JSON".to_owned())
    }

    fn texts(letters: &[DeadLetter]) -> Vec<String> {
        letters.iter().map(|letter| String::from_utf8(letter.input.bytes()).unwrap()).collect()
    }

    #[test]
    fn a_letter_comes_back_once_with_the_time_it_was_first_seen() {
        let folder = tempfile::tempdir().unwrap();
        let dead = DeadLetterFolder::open(folder.path()).unwrap();
        dead.put(&[letter("one")]).unwrap();
        let first = dead.list().unwrap();
        assert!(!first[0].first_seen.is_empty());
        std::thread::sleep(std::time::Duration::from_millis(5));
        let reopened = DeadLetterFolder::open(folder.path()).unwrap();
        reopened.put(&[letter("two"), letter("one"), letter("two")]).unwrap();
        let all = dead.list().unwrap();
        assert_eq!(texts(&all), ["one", "two"]);
        assert_eq!((all[0].count, all[1].count), (2, 2), "how often each came");
        assert_eq!(DeadLetter { count: 1, ..all[0].clone() }, first[0]);
    }

    #[test]
    fn removed_letters_are_gone_for_all_and_can_die_again() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) =
            (DeadLetterFolder::open(folder.path()).unwrap(), DeadLetterFolder::open(folder.path()).unwrap());
        here.put(&[letter("one"), letter("two"), letter("three")]).unwrap();
        there.remove(&[letter("one").id, letter("three").id, "unknown".into()]).unwrap();
        assert_eq!(texts(&here.list().unwrap()), ["two"]);
        here.put(&[letter("one")]).unwrap();
        assert_eq!(texts(&there.list().unwrap()), ["two", "one"]);
        there.remove(&[letter("one").id, letter("two").id]).unwrap();
        let left = fs::read_dir(folder.path())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(SUFFIX));
        assert_eq!(left.count(), 0);
    }

    #[test]
    fn a_line_that_is_no_letter_is_told_of_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let dead = DeadLetterFolder::open(folder.path()).unwrap();
        let line = serde_json::to_string(&letter("one")).unwrap();
        fs::write(folder.path().join("by-hand.ndjson"), format!("{line}\n{{\"id\": 5\n")).unwrap();
        let (letters, unreadable) = dead.read().unwrap();
        assert_eq!(texts(&letters), ["one"]);
        assert_eq!((unreadable.len(), unreadable[0].line), (1, 2));
        dead.remove(&[letter("one").id]).unwrap();
        let (letters, unreadable) = dead.read().unwrap();
        assert_eq!((letters.len(), unreadable.len()), (0, 1));
        for number in 0..2 * FILES_MAX {
            dead.put(&[letter(&format!("n{number}"))]).unwrap();
        }
        assert_eq!(dead.read().unwrap().1.len(), 1, "putting files together keeps it too");
    }

    #[test]
    fn many_letters_one_at_a_time_become_few_files() {
        let folder = tempfile::tempdir().unwrap();
        let dead = DeadLetterFolder::open(folder.path()).unwrap();
        for number in 0..5 * FILES_MAX {
            dead.put(&[letter(&number.to_string())]).unwrap();
        }
        assert!(fs::read_dir(folder.path()).unwrap().count() <= FILES_MAX + 2);
        assert_eq!(dead.list().unwrap().len(), 5 * FILES_MAX);
        assert_eq!(DeadLetterFolder::open(folder.path()).unwrap().list().unwrap().len(), 5 * FILES_MAX);
    }

    #[test]
    fn a_hundred_thousand_letters_are_no_trouble() {
        let folder = tempfile::tempdir().unwrap();
        let dead = DeadLetterFolder::open(folder.path()).unwrap();
        let letters: Vec<DeadLetter> = (0..100_000).map(|number| letter(&number.to_string())).collect();
        for some in letters.chunks(1_000) {
            dead.put(some).unwrap();
        }
        dead.put(&letters).unwrap();
        assert_eq!(dead.list().unwrap().len(), 100_000);
        assert!(fs::read_dir(folder.path()).unwrap().count() <= FILES_MAX + 2);
    }

    #[test]
    fn what_a_dead_process_left_unfinished_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".unfinished-xyz"), "{\"id\":\"half").unwrap();
        let dead = DeadLetterFolder::open(folder.path()).unwrap();
        assert!(dead.read().unwrap().1.is_empty());
        assert!(!folder.path().join(".unfinished-xyz").exists());
    }
}
