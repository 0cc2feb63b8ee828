//! A table in a file.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
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
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            fs::create_dir_all(folder)?;
            let name = self.path.file_name().unwrap_or_default().to_string_lossy();
            let lock = File::create(folder.join(format!(".{name}.lock")))?;
            lock.lock()?;
            if self.now()?.as_deref() != known {
                return Ok(false);
            }
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(bytes)?;
            if let Ok(about) = fs::metadata(&self.path) {
                file.as_file().set_permissions(about.permissions())?;
            }
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
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
