//! Credentials of outputs: a file that only its owner can read, and the environment over it.
//!
//! The file is a JSON object of `service:descriptor`, each an object of settings. A variable
//! `STREAMALERT_SECRET_<SERVICE>_<DESCRIPTOR>_<SETTING>`, in capitals and with `_` for what is no letter or digit, counts more.

use crate::edit::{FolderLock, folder_of, replace, target};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use streamalert_pipeline::backend::{BackendError, BackendErrorKind, SecretStore};

type All = BTreeMap<String, BTreeMap<String, String>>;

pub struct SecretFile {
    path: PathBuf,
    /// Variables that begin with the prefix.
    environment: BTreeMap<String, String>,
}

const PREFIX: &str = "STREAMALERT_SECRET_";

impl SecretFile {
    /// The file need not be there yet. Of the environment, only what has the prefix is kept.
    pub fn new(path: PathBuf, environment: impl Iterator<Item = (String, String)>) -> Self {
        let environment = environment.filter(|(name, _)| name.starts_with(PREFIX)).collect();
        SecretFile { path, environment }
    }

    fn all(&self) -> Result<All, BackendError> {
        let failed = |kind, message: String| BackendError {
            kind,
            action: format!("read the secrets in {}: {message}", self.path.display()),
            source: None,
        };
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(All::new()),
            Err(error) => return Err(failed(BackendErrorKind::Denied, error.to_string())),
            #[cfg(unix)]
            Ok(metadata) if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 => {
                let message = format!("others can read the file; run chmod 600 {}", self.path.display());
                return Err(failed(BackendErrorKind::Denied, message));
            }
            Ok(_) => {}
        }
        let text =
            fs::read_to_string(&self.path).map_err(|error| failed(BackendErrorKind::Denied, error.to_string()))?;
        // serde's message might show a secret: only the place is told.
        serde_json::from_str(&text).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            let message = format!("it is no JSON object of outputs, each an object of texts: look at {place}");
            failed(BackendErrorKind::Other, message)
        })
    }

    fn change(&self, change: impl FnOnce(&mut All)) -> Result<(), BackendError> {
        let failed = |error| BackendError::other(format!("write the secrets to {}", self.path.display()), error);
        // Other processes change it, too.
        let _lock = target(&self.path).and_then(|path| FolderLock::take(folder_of(&path))).map_err(failed)?;
        let mut all = self.all()?;
        change(&mut all);
        let text = serde_json::to_string_pretty(&all).map_err(io::Error::from).map_err(failed)? + "\n";
        // What others may read is refused above: it is never so.
        replace(&self.path, text.as_bytes(), Some(0o600)).map_err(failed)
    }
}

/// `STREAMALERT_SECRET_SLACK_SECURITY_`
fn prefix(output: &str) -> String {
    format!("{PREFIX}{}_", variable(output))
}

fn variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// The variable that holds a setting.
pub fn variable_of(output: &str, setting: &str) -> String {
    format!("{}{}", prefix(output), variable(setting))
}

impl SecretStore for SecretFile {
    fn kept(&self, output: &str) -> Result<BTreeMap<String, String>, BackendError> {
        Ok(self.all()?.remove(output).unwrap_or_default())
    }

    fn get(&self, output: &str) -> Result<BTreeMap<String, String>, BackendError> {
        let mut secrets = self.kept(output)?;
        let prefix = prefix(output);
        for (name, value) in self.environment.range(prefix.clone()..) {
            let Some(setting) = name.strip_prefix(&prefix) else { break };
            // The variable's capitals stand for the setting that is there; a new one is in small letters.
            let known = secrets.keys().find(|known| variable(known) == setting).cloned();
            secrets.insert(known.unwrap_or_else(|| setting.to_ascii_lowercase()), value.clone());
        }
        Ok(secrets)
    }

    fn put(&self, output: &str, secrets: &BTreeMap<String, String>) -> Result<(), BackendError> {
        self.change(|all| {
            if secrets.is_empty() {
                all.remove(output);
            } else {
                all.insert(output.to_owned(), secrets.clone());
            }
        })
    }

    fn delete(&self, output: &str) -> Result<(), BackendError> {
        self.change(|all| {
            all.remove(output);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_put_is_there_and_the_environment_counts_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/secrets.json");
        let environment = [
            ("STREAMALERT_SECRET_SLACK_SEC_OPS_URL", "from env"),
            ("STREAMALERT_SECRET_SLACK_SEC_OPS_NEW", "new"),
            ("STREAMALERT_SECRET_SLACK_SEC", "other"),
            ("HOME", "/"),
        ];
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let store = SecretFile::new(path.clone(), environment);
        assert_eq!(store.get("pagerduty:soc").unwrap(), map(&[]));
        store.put("slack:sec-ops", &map(&[("url", "from file"), ("token", "t")])).unwrap();
        store.put("jira:a", &map(&[("key", "k")])).unwrap();
        assert_eq!(store.get("slack:sec-ops").unwrap(), map(&[("url", "from env"), ("token", "t"), ("new", "new")]));
        assert_eq!(store.kept("slack:sec-ops").unwrap(), map(&[("url", "from file"), ("token", "t")]));
        let plain = SecretFile::new(path, std::iter::empty());
        assert_eq!(plain.get("slack:sec-ops").unwrap(), map(&[("url", "from file"), ("token", "t")]));
        plain.delete("slack:sec-ops").unwrap();
        assert_eq!(plain.get("slack:sec-ops").unwrap(), map(&[]));
        assert_eq!(plain.get("jira:a").unwrap(), map(&[("key", "k")]));
        assert_eq!(variable_of("slack:sec-ops", "url"), "STREAMALERT_SECRET_SLACK_SEC_OPS_URL");
    }

    #[test]
    fn of_many_who_keep_credentials_at_once_nobodys_are_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/secrets.json");
        std::thread::scope(|scope| {
            for thread in 0..8 {
                // One each, as processes have.
                let store = SecretFile::new(path.clone(), std::iter::empty());
                scope.spawn(move || {
                    (0..5).for_each(|number| store.put(&format!("{thread}:{number}"), &map(&[("k", "v")])).unwrap());
                });
            }
        });
        assert_eq!(SecretFile::new(path, std::iter::empty()).all().unwrap().len(), 40);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_the_file_stays_one_and_whose_the_file_is_stays() {
        use std::os::unix::fs::{MetadataExt, chown};
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("vault/real.json"), folder.path().join("data/secrets.json"));
        fs::create_dir(folder.path().join("data")).unwrap();
        std::os::unix::fs::symlink("../vault/real.json", &link).unwrap();
        let store = SecretFile::new(link.clone(), std::iter::empty());
        let whose = || fs::metadata(&path).map(|about| (about.uid(), about.gid(), about.mode() & 0o777)).unwrap();
        store.put("a:b", &map(&[("k", "v")])).unwrap();
        let mut expected = whose();
        assert_eq!(expected.2, 0o600);
        if expected.0 == 0 {
            chown(&path, Some(1000), Some(1001)).unwrap();
            expected = (1000, 1001, 0o600);
        } else {
            println!("only root may give files away: that an owner stays is not seen");
        }
        store.put("c:d", &map(&[("k", "w")])).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(whose(), expected);
        let all = SecretFile::new(path.clone(), std::iter::empty()).all().unwrap();
        assert_eq!(all.len(), 2, "what was changed is what the link leads to");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused_and_ours_is_not_like_that() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        let store = SecretFile::new(path.clone(), std::iter::empty());
        store.put("a:b", &map(&[("k", "v")])).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let error = store.get("a:b").unwrap_err();
            assert_eq!(error.kind, BackendErrorKind::Denied);
            assert!(error.to_string().contains("chmod 600"), "{error}");
            assert!(store.put("a:b", &map(&[])).is_err(), "nor is it written over");
        }
    }

    #[test]
    fn a_broken_file_is_told_of_without_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        let store = SecretFile::new(path.clone(), std::iter::empty());
        store.put("a:b", &map(&[])).unwrap();
        for text in [r#"{"a:b": {"key": 12345}}"#, r#"{"a:b": "hunter2"}"#, "hunter2"] {
            fs::write(&path, text).unwrap();
            let error = store.get("a:b").unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(told.contains("line 1") && !told.contains("hunter2") && !told.contains("12345"), "{told}");
        }
    }
}
