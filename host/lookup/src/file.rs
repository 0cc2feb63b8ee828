//! A table in a file.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use streamalert_files::{folder_of, replace};
use streamalert_pipeline::backend::{BackendError, BackendErrorKind};
use streamalert_pipeline::lookup::{Content, TableContent};

pub struct TableFile {
    path: PathBuf,
}

impl TableFile {
    pub fn new(path: PathBuf) -> Self {
        TableFile { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn failed(&self, doing: &str, error: io::Error) -> BackendError {
        let kind = match error.kind() {
            ErrorKind::PermissionDenied => BackendErrorKind::Denied,
            ErrorKind::NotFound => BackendErrorKind::NotFound,
            _ => BackendErrorKind::Other,
        };
        let action = format!("{doing} {}", self.path.display());
        BackendError { kind, action, source: Some(error.into()) }
    }

    /// Time, length and place on the disk: what is written in the place of a file is another.
    fn version(about: &fs::Metadata) -> String {
        let at = about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        #[cfg(unix)]
        let place = std::os::unix::fs::MetadataExt::ino(about);
        #[cfg(not(unix))]
        let place = 0;
        format!("{}.{}.{place}", at.as_nanos(), about.len())
    }

    fn now(&self) -> io::Result<Option<String>> {
        match fs::metadata(&self.path) {
            Ok(about) => Ok(Some(Self::version(&about))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl TableContent for TableFile {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn read(&self, known: Option<&str>, bytes_max: u64) -> Result<Content, BackendError> {
        let run = || {
            let version = match self.now()? {
                None => return Ok(Content::Gone),
                Some(version) if known == Some(&*version) => return Ok(Content::Same),
                Some(version) => version,
            };
            let mut bytes = Vec::new();
            let file = File::open(&self.path)?;
            file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
            // What was changed while it was read may be neither; it is read again.
            if self.now()?.as_ref() != Some(&version) {
                return Err(io::Error::other("it was changed while it was read"));
            }
            if bytes.len() as u64 > bytes_max {
                let message = format!("it has more than {bytes_max} bytes; a table may have so many (`max_bytes`)");
                return Err(io::Error::other(message));
            }
            Ok(Content::Now { version, bytes })
        };
        run().map_err(|error| self.failed("read", error))
    }

    fn write(&self, known: Option<&str>, bytes: &[u8]) -> Result<(), BackendError> {
        let run = || {
            let folder = folder_of(&self.path);
            fs::create_dir_all(folder)?;
            let name = self.path.file_name().unwrap_or_default().to_string_lossy();
            let lock = File::create(folder.join(format!(".{name}.lock")))?;
            lock.lock()?;
            if self.now()?.as_deref() != known {
                return Ok(false);
            }
            replace(&self.path, bytes, None)?;
            Ok(true)
        };
        match run() {
            Ok(true) => Ok(()),
            Ok(false) => Err(BackendError {
                kind: BackendErrorKind::Conflict,
                action: format!("write {}: somebody else has", self.path.display()),
                source: None,
            }),
            Err(error) => Err(self.failed("write", error)),
        }
    }

    fn is_near(&self) -> bool {
        true
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    #[test]
    fn whose_a_table_is_and_what_leads_to_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("real/t.json"), folder.path().join("t.json"));
        fs::create_dir(folder.path().join("real")).unwrap();
        fs::write(&path, "{}").unwrap();
        symlink("real/t.json", &link).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        if fs::metadata(&path).unwrap().uid() == 0 {
            chown(&path, Some(1000), Some(1001)).unwrap();
        } else {
            println!("only root may give files away: that an owner stays is not seen");
        }
        let whose = || fs::metadata(&path).map(|about| (about.uid(), about.gid(), about.mode() & 0o777)).unwrap();
        let (before, table) = (whose(), TableFile::new(link.clone()));
        table.write(table.now().unwrap().as_deref(), b"{\"a\": 1}").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), whose()), ("{\"a\": 1}", before));
    }
}
