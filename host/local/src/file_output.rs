//! The `file` output: alerts as JSON lines at the end of files. Written from the alert table by a cursor, so that dying
//! between storing an alert and writing it repeats a line at worst.

use crate::runner::Sink;
use crate::sqlite::SqliteAlerts;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::backend::BackendError;

/// Alerts read from the table at once.
const ALERTS_AT_ONCE: usize = 1_000;
/// Names that are told to be no names; a rule could make up any number.
const REFUSALS_TOLD_MAX: usize = 100;
/// Bytes of the names a rule may give to files. A rule is a guest: it may choose a name, never a place.
const NAME_BYTES_MAX: usize = 64;

/// Which alerts, and where to.
#[derive(Clone, Debug)]
pub enum Target {
    /// Every alert, into this file.
    All(PathBuf),
    /// Alerts with the output `file:NAME`, into `NAME.jsonl` of this folder.
    Named(PathBuf),
}

pub struct FileOutput {
    table: Arc<SqliteAlerts>,
    target: Target,
    cursor: String,
    reached: i64,
    refused: BTreeSet<String>,
}

impl FileOutput {
    /// Begins with what a run before this one stored and did not write.
    pub fn open(table: Arc<SqliteAlerts>, target: Target) -> Result<Self, BackendError> {
        let cursor = match &target {
            Target::All(path) => {
                // Better to hear now that it cannot be written.
                open(path)?;
                let path = std::path::absolute(path).map_err(|error| failed(path, error))?;
                format!("file output to {}", path.display())
            }
            Target::Named(_) => "file output".to_owned(),
        };
        let reached = table.cursor(&cursor)?;
        let mut output = FileOutput { table, target, cursor, reached, refused: BTreeSet::new() };
        output.catch_up()?;
        // Alerts that no file wants move no cursor while we run; the next start need not look at them again.
        output.table.set_cursor(&output.cursor, output.reached)?;
        Ok(output)
    }

    fn catch_up(&mut self) -> Result<(), BackendError> {
        loop {
            let alerts = self.table.after(self.reached, ALERTS_AT_ONCE)?;
            let Some((last, _)) = alerts.last() else { return Ok(()) };
            let last = *last;
            let mut texts: BTreeMap<PathBuf, String> = BTreeMap::new();
            for (_, alert) in &alerts {
                for path in self.paths(alert)? {
                    let text = texts.entry(path).or_default();
                    text.push_str(alert);
                    text.push('\n');
                }
            }
            let written = !texts.is_empty();
            for (path, text) in texts {
                append(&path, &text)?;
            }
            self.reached = last;
            if written {
                self.table.set_cursor(&self.cursor, last)?;
            }
        }
    }

    /// The files that want this alert, given as JSON text.
    fn paths(&mut self, text: &str) -> Result<BTreeSet<PathBuf>, BackendError> {
        #[derive(serde::Deserialize)]
        struct Addressed {
            rule_name: String,
            outputs: Vec<String>,
        }
        let folder = match &self.target {
            Target::All(path) => return Ok(BTreeSet::from([path.clone()])),
            // Most alerts have no such output, and looking is far cheaper than parsing.
            Target::Named(_) if !text.contains("\"file:") => return Ok(BTreeSet::new()),
            Target::Named(folder) => folder,
        };
        let alert: Addressed =
            serde_json::from_str(text).map_err(|error| BackendError::other("read a stored alert", error))?;
        let mut paths = BTreeSet::new();
        for name in alert.outputs.iter().filter_map(|output| output.strip_prefix("file:")) {
            if is_name(name) {
                paths.insert(folder.join(format!("{name}.jsonl")));
            } else if self.refused.len() < REFUSALS_TOLD_MAX && self.refused.insert(name.to_owned()) {
                tracing::warn!(
                    rule = alert.rule_name,
                    output = name,
                    "not written: the name after `file:` is letters, digits, `-` and `_`"
                );
            }
        }
        Ok(paths)
    }
}

impl Sink for FileOutput {
    fn alerts(&mut self, _new: &[&Alert]) -> Result<(), BackendError> {
        self.catch_up()
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn failed(path: &Path, error: std::io::Error) -> BackendError {
    BackendError::other(format!("write alerts to {}", path.display()), error)
}

fn open(path: &Path) -> Result<File, BackendError> {
    let open = || {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent)?;
        }
        OpenOptions::new().create(true).append(true).read(true).open(path)
    };
    open().map_err(|error| failed(path, error))
}

fn append(path: &Path, text: &str) -> Result<(), BackendError> {
    let mut file = open(path)?;
    let mut write = || {
        // A line that was cut off when we died must not take the next one with it.
        let mut last = [b'\n'];
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        if last != [b'\n'] {
            file.write_all(b"\n")?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_data()
    };
    // Pipes and terminals (`--alerts-file /dev/stderr`) have no end to look at and nothing to sync.
    match write() {
        Err(error) if !path.is_file() => {
            let _ = error;
            file.write_all(text.as_bytes()).map_err(|error| failed(path, error))
        }
        result => result.map_err(|error| failed(path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert_text::tests::alert;
    use streamalert_pipeline::backend::AlertTable;

    fn with_output(id: &str, output: &str) -> Alert {
        Alert { outputs: vec![output.to_owned()], ..alert(id) }
    }

    fn ids(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap_or_default();
        let id = |line: &str| serde_json::from_str::<Alert>(line).map_or("cut off".to_owned(), |alert| alert.id);
        text.lines().map(id).collect()
    }

    #[test]
    fn every_new_alert_is_one_line_also_after_dying_in_between() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let table = Arc::new(SqliteAlerts::open(&at("alerts.sqlite")).unwrap());
        table.add(&[alert("before")]).unwrap();
        let all = Target::All(at("all.jsonl"));
        let mut output = FileOutput::open(table.clone(), all.clone()).unwrap();
        let mut named = FileOutput::open(table.clone(), Target::Named(at("outputs"))).unwrap();
        table.add(&[alert("a"), with_output("b", "file:audit")]).unwrap();
        output.alerts(&[]).unwrap();
        named.alerts(&[]).unwrap();
        assert_eq!(ids(&at("all.jsonl")), ["a", "b"], "what was stored before the output existed is not sent");
        assert_eq!(ids(&at("outputs/audit.jsonl")), ["b"]);
        table.add(&[alert("c")]).unwrap();
        drop(output);
        let mut file = OpenOptions::new().append(true).open(at("all.jsonl")).unwrap();
        file.write_all(b"{\"id\": \"ha").unwrap();
        FileOutput::open(table, all).unwrap();
        assert_eq!(ids(&at("all.jsonl")), ["a", "b", "cut off", "c"]);
    }

    #[test]
    fn a_rule_chooses_a_name_and_never_a_place() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let table = Arc::new(SqliteAlerts::open(&at("alerts.sqlite")).unwrap());
        let mut output = FileOutput::open(table.clone(), Target::Named(at("outputs"))).unwrap();
        for (number, name) in ["../evil", "/etc/evil", "", "a/b", "..", "a.b", &"x".repeat(65)].iter().enumerate() {
            table.add(&[with_output(&number.to_string(), &format!("file:{name}"))]).unwrap();
        }
        table.add(&[with_output("good", "file:team-a_1")]).unwrap();
        output.alerts(&[]).unwrap();
        let files: Vec<_> = fs::read_dir(at("outputs")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(files, ["team-a_1.jsonl"]);
    }
}
