//! Compiled code on disk, so that a start takes microseconds for each component and not seconds.
//!
//! What is read here is run as machine code. So: only from a folder that only we can write, only from files that are ours,
//! and only if every byte is as we wrote it. The first two keep others out; the checksum finds what a disk, a crash or a
//! careless hand did. It is no cryptographic hash: whoever could forge one could replace the host as well, and at 1.6 GB/s
//! SHA-256 was a third of the time it takes to load a component.

use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Files kept; those go first that were not used for longest. A hundred components under three builds of the host.
const FILES_MAX: usize = 300;
/// Bytes kept: twenty components with Python in them at 45 MB each, and all the small ones. Where each build has a digest of its own, as
/// Python's and JavaScript's have, the files alone would be a limit of 13 GB.
const BYTES_MAX: u64 = 1 << 30;
/// A file that is used is marked so at most this often.
const MARK_EVERY: Duration = Duration::from_secs(3600);
/// Magic, key, checksum of the code, then the code.
const MAGIC: &[u8; 8] = b"SACWASM2";
const HEADER: usize = 8 + 32 + 32;
/// Bytes of reading buffer that are kept from one component to the next: fresh memory costs more than the reading.
const BUFFER_MAX: usize = 8 << 20;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Loaded from the cache.
    pub hits: u64,
    /// Compiled, for want of a cached file or of a cache.
    pub compiled: u64,
    /// Files that were not as we wrote them; compiled again and replaced.
    pub corrupt: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error("{}: {source}", folder.display())]
    Io { folder: PathBuf, source: io::Error },
    #[error("{} is no folder", .0.display())]
    NoFolder(PathBuf),
    #[error("{} belongs to user {owner}, not to {us}: code from it would run as ours; choose a folder of your own", folder.display())]
    Foreign { folder: PathBuf, owner: u32, us: u32 },
    #[error("others can write to {} (mode {mode:o}): code from it would run as ours; `chmod go-w` it", folder.display())]
    Open { folder: PathBuf, mode: u32 },
}

pub(crate) struct Cache {
    folder: PathBuf,
    /// Our user id, as files of ours carry it.
    us: u32,
    buffer: Mutex<Vec<u8>>,
    hits: AtomicU64,
    corrupt: AtomicU64,
}

impl Cache {
    /// Makes the folder if need be, and refuses one that others could put code into.
    pub fn open(folder: &Path) -> Result<Self, CacheError> {
        let io = |source| CacheError::Io { folder: folder.into(), source };
        make_folder(folder).map_err(io)?;
        let folder = folder.canonicalize().map_err(io)?;
        let meta = fs::metadata(&folder).map_err(io)?;
        if !meta.is_dir() {
            return Err(CacheError::NoFolder(folder));
        }
        // Whose files the system makes for us is who we are.
        let probe = tempfile::Builder::new().prefix(".probe-").tempfile_in(&folder).map_err(io)?;
        let (us, _) = owner_and_mode(&probe.as_file().metadata().map_err(io)?);
        let (owner, mode) = owner_and_mode(&meta);
        if owner != us {
            return Err(CacheError::Foreign { folder, owner, us });
        }
        if mode & 0o022 != 0 {
            return Err(CacheError::Open { folder, mode: mode & 0o7777 });
        }
        Ok(Cache { folder, us, buffer: Mutex::default(), hits: AtomicU64::new(0), corrupt: AtomicU64::new(0) })
    }

    pub fn counts(&self) -> CacheCounts {
        CacheCounts {
            hits: self.hits.load(Ordering::Relaxed),
            corrupt: self.corrupt.load(Ordering::Relaxed),
            compiled: 0,
        }
    }

    /// The compiled component of this digest, if we have it whole.
    pub fn load(&self, engine: &Engine, digest: &[u8; 32]) -> Option<Component> {
        let mut bytes = std::mem::take(&mut *self.buffer.lock().unwrap_or_else(PoisonError::into_inner));
        bytes.clear();
        let component = self.load_by(&mut bytes, engine, digest);
        if bytes.capacity() <= BUFFER_MAX {
            *self.buffer.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
        }
        component
    }

    fn load_by(&self, bytes: &mut Vec<u8>, engine: &Engine, digest: &[u8; 32]) -> Option<Component> {
        let key = key(engine, digest);
        let path = self.path(&key);
        let read = (|| {
            let mut file = File::open(&path)?;
            let meta = file.metadata()?;
            let (owner, mode) = owner_and_mode(&meta);
            if owner != self.us || mode & 0o022 != 0 {
                return Ok(false);
            }
            bytes.reserve_exact(meta.len() as usize + 1);
            file.read_to_end(bytes)?;
            mark_used(&file, &meta);
            Ok(true)
        })();
        match read {
            Ok(ours) if ours && whole(bytes, &key) => {}
            Ok(_) => return self.discard(&path, "it is not as it was written"),
            Err(error) if io::Error::kind(&error) == io::ErrorKind::NotFound => return None,
            Err(error) => return self.discard(&path, &error.to_string()),
        }
        // SAFETY: the bytes are what `store` serialized: they lie in a file of ours, in a folder nobody else can write, and
        // have the checksum `store` gave them. The key holds what the compiler depends on, and wasmtime checks its own
        // header against this engine besides.
        match unsafe { Component::deserialize(engine, &bytes[HEADER..]) } {
            Ok(component) => {
                self.hits.fetch_add(1, Ordering::Relaxed);
                Some(component)
            }
            Err(error) => self.discard(&path, &format!("{error:#}")),
        }
    }

    fn discard(&self, path: &Path, reason: &str) -> Option<Component> {
        self.corrupt.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(file = %path.display(), reason, "cached code is unusable, compiling again");
        None
    }

    /// Best effort: without it the next start compiles again.
    pub fn store(&self, engine: &Engine, digest: &[u8; 32], component: &Component) {
        if let Err(error) = self.try_store(engine, digest, component) {
            tracing::warn!(folder = %self.folder.display(), error = format!("{error:#}"), "compiled code was not cached");
        }
    }

    fn try_store(&self, engine: &Engine, digest: &[u8; 32], component: &Component) -> wasmtime::Result<()> {
        let key = key(engine, digest);
        let code = component.serialize()?;
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.folder)?;
        file.write_all(MAGIC)?;
        file.write_all(&key)?;
        file.write_all(&checksum(&code))?;
        file.write_all(&code)?;
        // A crash may leave a file shorter than its checksum covers; it is then found out, so no sync is needed.
        file.persist(self.path(&key)).map_err(|error| error.error)?;
        self.prune()?;
        Ok(())
    }

    fn prune(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "cwasm") {
                let meta = entry.metadata()?;
                files.push((meta.modified()?, meta.len(), entry.path()));
            }
        }
        surplus(files, FILES_MAX, BYTES_MAX).iter().try_for_each(fs::remove_file)
    }

    fn path(&self, key: &[u8; 32]) -> PathBuf {
        self.folder.join(format!("{}.cwasm", crate::component::hex(&key[..20])))
    }
}

/// Files beyond the limits, of which the one used last always stays: it was just written.
fn surplus(mut files: Vec<(SystemTime, u64, PathBuf)>, files_max: usize, bytes_max: u64) -> Vec<PathBuf> {
    files.sort_by(|a, b| b.cmp(a));
    let mut bytes = 0;
    let kept = files.iter().enumerate().take_while(|(index, (_, size, _))| {
        bytes += size;
        *index == 0 || (*index < files_max && bytes <= bytes_max)
    });
    let kept = kept.count();
    files.drain(kept..).map(|(_, _, path)| path).collect()
}

/// Best effort: what cannot be marked goes earlier.
fn mark_used(file: &File, meta: &fs::Metadata) {
    let now = SystemTime::now();
    if meta.modified().is_ok_and(|then| now.duration_since(then).is_ok_and(|age| age > MARK_EVERY)) {
        let _ = file.set_modified(now);
    }
}

/// Component, wasmtime, processor and every setting that changes the code.
fn key(engine: &Engine, digest: &[u8; 32]) -> [u8; 32] {
    let mut settings = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut settings);
    let mut hash = Sha256::new();
    hash.update(digest);
    hash.update(crate::WASMTIME_VERSION);
    hash.update(std::env::consts::ARCH);
    hash.update(std::env::consts::OS);
    hash.update(settings.finish().to_le_bytes());
    hash.finalize().into()
}

fn whole(bytes: &[u8], key: &[u8; 32]) -> bool {
    bytes.len() > HEADER
        && bytes[..8] == *MAGIC
        && bytes[8..40] == *key
        && bytes[40..HEADER] == checksum(&bytes[HEADER..])
}

/// Four lanes, each a chain of steps that lose nothing: damage within one word always shows, other damage all but surely.
fn checksum(bytes: &[u8]) -> [u8; 32] {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut lanes = [bytes.len() as u64, 1, 2, 3];
    let mut step = |block: &[u8; 32]| {
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
            *lane = (*lane ^ u64::from_le_bytes(*word)).wrapping_mul(ODD).rotate_left(29);
        }
    };
    let (blocks, rest) = bytes.as_chunks::<32>();
    blocks.iter().for_each(&mut step);
    let mut last = [0; 32];
    last[..rest.len()].copy_from_slice(rest);
    step(&last);
    let mut sum = [0; 32];
    sum.as_chunks_mut::<8>().0.iter_mut().zip(lanes).for_each(|(out, lane)| *out = lane.to_le_bytes());
    sum
}

#[cfg(unix)]
fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(unix)]
fn owner_and_mode(meta: &fs::Metadata) -> (u32, u32) {
    use std::os::unix::fs::MetadataExt;
    (meta.uid(), meta.mode())
}

#[cfg(not(unix))]
fn make_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(not(unix))]
fn owner_and_mode(_: &fs::Metadata) -> (u32, u32) {
    (0, 0o700)
}

#[cfg(test)]
mod tests {
    use super::{checksum, surplus};
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        // Age in seconds, size.
        let check = |files: &[(u64, u64)], files_max, bytes_max, gone: &[&str]| {
            let file = |&(age, size): &(u64, u64)| {
                (SystemTime::UNIX_EPOCH + Duration::from_secs(1000 - age), size, PathBuf::from(age.to_string()))
            };
            let found = surplus(files.iter().map(file).collect(), files_max, bytes_max);
            assert_eq!(found, gone.iter().map(PathBuf::from).collect::<Vec<_>>(), "{files:?}");
        };
        check(&[], 3, 10, &[]);
        check(&[(5, 3), (1, 3), (9, 4)], 3, 10, &[]);
        check(&[(5, 3), (1, 3), (9, 4)], 2, 10, &["9"]);
        check(&[(5, 3), (1, 3), (9, 4)], 3, 9, &["9"]);
        check(&[(5, 8), (1, 3), (9, 1)], 3, 10, &["5", "9"]);
        check(&[(5, 1), (1, 30)], 3, 10, &["5"]);
    }

    #[test]
    fn any_changed_byte_changes_the_checksum() {
        let good: Vec<u8> = (0..203u32).map(|n| (n * 7) as u8).collect();
        let sum = checksum(&good);
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                assert_ne!(checksum(&bad), sum, "bit {bit} of byte {at}");
            }
            assert_ne!(checksum(&good[..at]), sum, "cut to {at}");
        }
        assert_ne!(checksum(&[&good[..], &[0]].concat()), sum);
        let mut swapped = good.clone();
        swapped[..64].rotate_left(32);
        assert_ne!(checksum(&swapped), sum);
    }
}
