//! What is acknowledged and not yet in a file of the archive: pieces that are appended to, each synced before anybody is answered.
//!
//! A piece is frames behind one another: length, checksum, kind, content. What a crash cut off was acknowledged to nobody.

use crate::folder::{list, sync_folder};
use crate::{Result, failed};
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Below the archive, for those who read it hidden.
pub const FOLDER: &str = ".journal";
/// Below that: pieces that could not be made files of.
pub const DAMAGED: &str = "damaged";
const LOCK: &str = "lock";
const UNLOCKED: &str = "lock.new";
/// A piece that has so much is closed and becomes files: large enough for long columns, small enough for memory.
pub const PIECE_BYTES: u64 = 64 << 20;
const HEAD: usize = 9;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text of a batch of records.
    Records,
    /// Alerts as they go into their table, one on a line, that the alerts' database may know already.
    Alerts,
    /// Ids of those among the alerts before that it did know, one on a line; each is about the last alert of this id.
    Known,
}

impl Kind {
    fn of(code: u8) -> Option<Kind> {
        Some(match code {
            1 => Kind::Records,
            2 => Kind::Alerts,
            3 => Kind::Known,
            _ => return None,
        })
    }

    fn code(self) -> u8 {
        match self {
            Kind::Records => 1,
            Kind::Alerts => 2,
            Kind::Known => 3,
        }
    }
}

/// The journal of one process.
pub struct Journal {
    folder: PathBuf,
    state: Mutex<State>,
    /// For as long as the process lives: others leave the folder alone.
    _lock: File,
}

#[derive(Default)]
struct State {
    piece: Option<Piece>,
    next: u64,
    /// Groups that were written and of whose alerts something may still be said.
    open: u32,
    /// Somebody wanted to close the piece while groups were open: the last of these does.
    close: bool,
}

/// A piece that nobody writes to any more.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed {
    pub path: PathBuf,
    /// When something was first written into it.
    pub opened: Instant,
}

struct Piece {
    file: File,
    path: PathBuf,
    bytes: u64,
    opened: Instant,
}

impl Journal {
    /// `name` is unlike that of any other process, now and before.
    pub fn open(root: &Path, name: &str) -> Result<Journal> {
        let folder = root.join(FOLDER).join(name);
        fs::create_dir_all(&folder).map_err(failed("make the folder", &folder))?;
        // Under another name until it is locked: nobody is to think that its process is gone.
        let (path, unlocked) = (folder.join(LOCK), folder.join(UNLOCKED));
        let lock = File::create(&unlocked).map_err(failed("write", &unlocked))?;
        lock.lock().map_err(failed("lock", &unlocked))?;
        fs::rename(&unlocked, &path).map_err(failed("write", &path))?;
        sync_folder(&folder)?;
        sync_folder(&root.join(FOLDER))?;
        Ok(Journal { folder, state: Mutex::default(), _lock: lock })
    }

    /// Writes frames and syncs them. Every group, an empty one too, is ended by [`Journal::end`]. On an error nothing of it is
    /// there.
    pub fn begin(&self, frames: &[(Kind, &[u8])]) -> Result<()> {
        let mut state = self.lock();
        if frames.is_empty() {
            state.open += 1;
            return Ok(());
        }
        if state.piece.is_none() {
            let path = self.folder.join(format!("{:08}", state.next));
            let file = File::options().create_new(true).write(true).open(&path).map_err(failed("write", &path))?;
            sync_folder(&self.folder)?;
            state.next += 1;
            state.piece = Some(Piece { file, path, bytes: 0, opened: Instant::now() });
        }
        if let Some(piece) = &mut state.piece {
            piece.append(frames, true)?;
        }
        state.open += 1;
        Ok(())
    }

    /// Says which of the group's alerts were known before. Gives the piece back if it is full, or was to be closed.
    pub fn end(&self, known: &[&str]) -> Result<Option<Closed>> {
        let mut state = self.lock();
        if let Some(piece) = &mut state.piece
            && !known.is_empty()
        {
            // Not synced: if it is lost with the power, alerts stand in the archive twice, which nobody is told of.
            piece.append(&[(Kind::Known, known.join("\n").as_bytes())], false)?;
        }
        state.open = state.open.saturating_sub(1);
        let full = state.close || state.piece.as_ref().is_some_and(|piece| piece.bytes >= PIECE_BYTES);
        Ok(if full && state.open == 0 { state.take() } else { None })
    }

    /// Closes the piece if it has been open for `age`; while groups are open, with the last of these.
    pub fn close(&self, age: Duration) -> Option<Closed> {
        let mut state = self.lock();
        let due = state.piece.as_ref().is_some_and(|piece| piece.opened.elapsed() >= age);
        state.close |= due;
        if due && state.open == 0 { state.take() } else { None }
    }

    /// Nothing more is written. Gives back what was open.
    pub fn close_all(&self) -> Option<Closed> {
        self.lock().take()
    }

    /// When something was first written into the open piece, if one is open.
    pub fn opened(&self) -> Option<Instant> {
        self.lock().piece.as_ref().map(|piece| piece.opened)
    }

    /// What files are named after that a piece becomes: the same whenever it is done, so that doing it again changes nothing.
    pub fn stem(piece: &Path) -> String {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        format!("{}-{}", piece.parent().map(name).unwrap_or_default(), name(piece))
    }

    /// Removes the folder if nothing is left in it.
    pub fn leave(self) {
        leave(&self.folder);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn leave(folder: &Path) {
    if list(folder).is_ok_and(|names| names.iter().all(|name| name == LOCK)) {
        let _ = fs::remove_dir_all(folder);
    }
}

impl State {
    fn take(&mut self) -> Option<Closed> {
        self.close = false;
        self.piece.take().map(|piece| Closed { path: piece.path, opened: piece.opened })
    }
}

impl Piece {
    fn append(&mut self, frames: &[(Kind, &[u8])], sync: bool) -> Result<()> {
        let before = self.bytes;
        let mut write = || {
            for (kind, content) in frames {
                self.file.write_all(&head(*kind, content)?)?;
                self.file.write_all(content)?;
                self.bytes += (HEAD + content.len()) as u64;
            }
            if sync { self.file.sync_data() } else { Ok(()) }
        };
        write().map_err(|error| {
            // What is half written would be taken for the end of the piece.
            self.bytes = before;
            let _ = self.file.set_len(before).and_then(|()| self.file.seek(SeekFrom::Start(before)));
            failed("write", &self.path)(error)
        })
    }
}

fn head(kind: Kind, content: &[u8]) -> std::io::Result<[u8; HEAD]> {
    let length = u32::try_from(content.len()).map_err(std::io::Error::other)?;
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[8] = kind.code();
    let mut sum = crc32fast::Hasher::new();
    sum.update(&head[8..]);
    sum.update(content);
    head[4..8].copy_from_slice(&sum.finalize().to_le_bytes());
    Ok(head)
}

/// Puts frames in the place of a closed piece: those of before or these are there, whatever happens.
pub fn replace(root: &Path, piece: &Path, frames: &[(Kind, &[u8])]) -> Result<()> {
    let folder = root.join(FOLDER);
    // Not beside the pieces, where it would be taken for one.
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        for (kind, content) in frames {
            file.write_all(&head(*kind, content)?)?;
            file.write_all(content)?;
        }
        file.as_file().sync_all()?;
        file.persist(piece)?;
        Ok(())
    };
    write().map_err(failed("write", piece))?;
    piece.parent().map_or(Ok(()), sync_folder)
}

/// A journal that its process left behind; nobody else takes it while this is held.
pub struct Left {
    pub folder: PathBuf,
    pub pieces: Vec<PathBuf>,
    _lock: File,
}

impl Left {
    pub fn leave(self) {
        leave(&self.folder);
    }
}

/// Journals of processes that are gone.
pub fn left(root: &Path) -> Result<Vec<Left>> {
    let all = root.join(FOLDER);
    let mut found = Vec::new();
    for name in list(&all)?.into_iter().filter(|name| name != DAMAGED) {
        let folder = all.join(name);
        let path = folder.join(LOCK);
        let lock = match File::options().write(true).open(&path) {
            Ok(lock) => lock,
            // Somebody is about to make it, or has cleared it away.
            Err(_) => continue,
        };
        if lock.try_lock().is_err() || !path.exists() {
            continue;
        }
        let mut pieces: Vec<PathBuf> =
            list(&folder)?.iter().filter(|name| *name != LOCK).map(|n| folder.join(n)).collect();
        pieces.sort();
        found.push(Left { folder, pieces, _lock: lock });
    }
    Ok(found)
}

/// The frames of a piece, up to where it is cut off. Says also what is wrong, if it is more than that.
pub fn frames(bytes: &[u8]) -> (Vec<(Kind, &[u8])>, Option<String>) {
    let mut frames = Vec::new();
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + HEAD) {
        let number = |from: usize| u32::from_le_bytes([head[from], head[from + 1], head[from + 2], head[from + 3]]);
        let Some(content) = bytes.get(at + HEAD..at + HEAD + number(0) as usize) else { break };
        let mut sum = crc32fast::Hasher::new();
        sum.update(&head[8..]);
        sum.update(content);
        if sum.finalize() != number(4) {
            return (frames, Some(format!("the frame at byte {at} is not what was written")));
        }
        let Some(kind) = Kind::of(head[8]) else {
            return (frames, Some(format!("the frame at byte {at} is of a kind that a newer streamalert wrote")));
        };
        frames.push((kind, content));
        at += HEAD + content.len();
    }
    (frames, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_up_to_where_it_is_cut() {
        let root = tempfile::tempdir().unwrap();
        let journal = Journal::open(root.path(), "one").unwrap();
        journal.begin(&[(Kind::Records, b"first"), (Kind::Alerts, b"")]).unwrap();
        assert_eq!(journal.close(Duration::from_secs(3600)), None, "it is not old enough");
        assert_eq!(journal.close(Duration::ZERO), None, "the group has no end yet");
        assert!(left(root.path()).unwrap().is_empty(), "its process lives");
        // Where groups follow close upon one another, one of them closes it.
        let piece = journal.end(&["x", "y"]).unwrap().unwrap();
        journal.begin(&[]).unwrap();
        assert_eq!(journal.end(&[]).unwrap(), None);
        let piece = piece.path;
        assert_eq!(Journal::stem(&piece), "one-00000000");
        let bytes = fs::read(&piece).unwrap();
        let all: Vec<(Kind, &[u8])> = vec![(Kind::Records, b"first"), (Kind::Alerts, b""), (Kind::Known, b"x\ny")];
        for cut in 0..=bytes.len() {
            let (found, wrong) = frames(&bytes[..cut]);
            assert!(wrong.is_none() && all.starts_with(&found), "{cut}");
        }
        assert_eq!(frames(&bytes).0, all);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_ne!(frames(&changed).0, all, "{at}");
        }
        drop(journal);
        let left = left(root.path()).unwrap();
        assert_eq!(left[0].pieces, [piece]);
    }

    #[test]
    fn nobody_takes_a_journal_that_is_being_opened() {
        let root = tempfile::tempdir().unwrap();
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !over.load(std::sync::atomic::Ordering::Relaxed) {
                        // As a search does.
                        left(root.path()).unwrap().into_iter().for_each(Left::leave);
                    }
                });
            }
            for number in 0..300 {
                let journal = Journal::open(root.path(), &format!("j{number}")).and_then(|journal| {
                    journal.begin(&[(Kind::Records, b"x")])?;
                    journal.end(&[])?;
                    Ok(journal)
                });
                let written = journal
                    .as_ref()
                    .is_ok_and(|_| root.path().join(FOLDER).join(format!("j{number}/00000000")).exists());
                if !written {
                    over.store(true, std::sync::atomic::Ordering::Relaxed);
                    panic!("{number}: {:?}", journal.err());
                }
                journal.unwrap().leave();
            }
            over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}
