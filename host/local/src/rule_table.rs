//! What was decided about rules, in a JSON file that is written whole.

use crate::edit::{folder_of, replace};
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use streamalert_pipeline::backend::{BackendError, RuleState, RuleTable};
use streamalert_pipeline::staging::States;

/// A decision is seen so soon.
const REFRESH: Duration = Duration::from_secs(1);

type All = States;

pub struct RuleFile {
    path: PathBuf,
}

impl RuleFile {
    /// The file need not be there yet.
    pub fn new(path: PathBuf) -> Self {
        RuleFile { path }
    }

    fn read(&self) -> io::Result<All> {
        match fs::read(&self.path) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(All::new()),
            Err(error) => Err(error),
        }
    }

    /// While no other process does.
    fn change<T>(&self, change: impl FnOnce(&mut All) -> T) -> Result<T, BackendError> {
        let run = || {
            fs::create_dir_all(folder_of(&self.path))?;
            let lock = File::create(self.path.with_extension("lock"))?;
            lock.lock()?;
            let before = self.read()?;
            let mut all = before.clone();
            let done = change(&mut all);
            if all == before && self.path.exists() {
                return Ok(done);
            }
            let text = serde_json::to_string_pretty(&all)? + "\n";
            replace(&self.path, text.as_bytes(), None)?;
            Ok(done)
        };
        run().map_err(|error: io::Error| self.failed("write", error))
    }

    fn failed(&self, doing: &str, error: io::Error) -> BackendError {
        BackendError::other(format!("{doing} the states of rules in {}", self.path.display()), error)
    }
}

impl RuleTable for RuleFile {
    fn all(&self) -> Result<All, BackendError> {
        self.read().map_err(|error| self.failed("read", error))
    }

    fn put(&self, rule: &str, state: &RuleState) -> Result<(), BackendError> {
        self.change(|all| {
            all.insert(rule.to_owned(), state.clone());
        })
    }

    fn remove(&self, rule: &str) -> Result<(), BackendError> {
        self.change(|all| {
            all.remove(rule);
        })
    }

    fn replace(&self, rule: &str, before: Option<&RuleState>, after: Option<&RuleState>) -> Result<bool, BackendError> {
        self.change(|all| {
            // Also when we were here already, and did not live to hear of it.
            let ours = all.get(rule) == before || all.get(rule) == after;
            match after.filter(|_| ours) {
                Some(after) => drop(all.insert(rule.to_owned(), after.clone())),
                None if ours => drop(all.remove(rule)),
                None => {}
            }
            ours
        })
    }
}

/// What was decided, as of a moment ago: whoever changes it need not end the run.
pub struct CurrentStates {
    file: RuleFile,
    /// When it was read last, and what was found.
    read: Mutex<(Instant, Arc<States>)>,
}

impl CurrentStates {
    pub fn open(file: RuleFile) -> Result<Self, BackendError> {
        let states = Arc::new(file.all()?);
        Ok(CurrentStates { file, read: Mutex::new((Instant::now(), states)) })
    }

    /// As of now: whoever asks from now on knows what was decided until now.
    pub fn refresh(&self) -> Result<(), BackendError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        *read = (Instant::now(), Arc::new(self.file.all()?));
        Ok(())
    }

    /// Where reading fails, what was read last goes on.
    pub fn now(&self) -> Arc<States> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.0.elapsed() >= REFRESH {
            read.0 = Instant::now();
            match self.file.all() {
                Ok(states) if states != *read.1 => read.1 = Arc::new(states),
                Ok(_) => {}
                Err(error) => {
                    let cause = error.source.as_ref().map(ToString::to_string);
                    tracing::error!(action = error.action, cause, "which rules are staged goes on as it was");
                }
            }
        }
        read.1.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn whose_the_file_is_stays_when_root_decides() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.json");
        let table = RuleFile::new(path.clone());
        table.put("one", &RuleState::default()).unwrap();
        if fs::metadata(&path).unwrap().uid() != 0 {
            println!("skipped: only root may give files away");
            return;
        }
        chown(&path, Some(1000), Some(1001)).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        table.put("two", &RuleState::default()).unwrap();
        let about = fs::metadata(&path).unwrap();
        assert_eq!((about.uid(), about.gid(), about.mode() & 0o777), (1000, 1001, 0o640));
        assert_eq!(table.all().unwrap().len(), 2);
    }

    #[test]
    fn a_broken_file_is_told_of_and_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.json");
        fs::write(&path, r#"{"rule": {"staged": true}}"#).unwrap();
        let table = RuleFile::new(path.clone());
        let error = table.all().unwrap_err();
        assert!(error.to_string().contains("rules.json"), "{error}");
        assert!(table.remove("rule").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), r#"{"rule": {"staged": true}}"#);
    }
}
