//! Files that others have, too: one is seen whole or as it was, whose it is stays, and so do links to it.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Links that lead from one to the next before somebody must be going in circles; Linux follows as many.
const LINKS_MAX: usize = 40;

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

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_new_file_is_its_owners_alone_and_an_old_one_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (path, link) = (folder.path().join("a/b"), folder.path().join("link"));
        replace(&path, b"1", None).unwrap();
        assert_eq!(mode(&path), 0o600);
        symlink("a/b", &link).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        replace(&link, b"2", Some(0o644)).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"2".to_vec(), 0o640));
        replace(&folder.path().join("c"), b"3", Some(0o644)).unwrap();
        assert_eq!(mode(&folder.path().join("c")), 0o644);
        symlink("circle", folder.path().join("circle")).unwrap();
        assert!(replace(&folder.path().join("circle"), b"4", None).is_err());
    }
}
