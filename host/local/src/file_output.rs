//! `--alerts-file`: every alert as a JSON line at the end of a file. Written from the alert table by a cursor, so that dying
//! between storing an alert and writing it repeats a line at worst.

use crate::runner::Sink;
use crate::sqlite::SqliteAlerts;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::backend::BackendError;

/// Alerts read from the table at once.
const ALERTS_AT_ONCE: usize = 1_000;

pub struct FileOutput {
    table: Arc<SqliteAlerts>,
    path: PathBuf,
    cursor: String,
    reached: i64,
}

impl FileOutput {
    /// Begins with what a run before this one stored and did not write.
    pub fn open(table: Arc<SqliteAlerts>, path: PathBuf) -> Result<Self, BackendError> {
        // Better to hear now that it cannot be written.
        open(&path)?;
        let shown = std::path::absolute(&path).map_err(|error| failed(&path, error))?;
        let cursor = format!("file output to {}", shown.display());
        let reached = table.cursor(&cursor)?;
        let mut output = FileOutput { table, path, cursor, reached };
        output.catch_up()?;
        Ok(output)
    }

    fn catch_up(&mut self) -> Result<(), BackendError> {
        loop {
            let alerts = self.table.after(self.reached, ALERTS_AT_ONCE)?;
            let Some((last, _)) = alerts.last() else { return Ok(()) };
            let last = *last;
            let text: String = alerts.iter().flat_map(|(_, alert)| [alert.as_str(), "\n"]).collect();
            append(&self.path, &text)?;
            self.reached = last;
            self.table.set_cursor(&self.cursor, last)?;
        }
    }
}

impl Sink for FileOutput {
    fn alerts(&mut self, _new: &[&Alert]) -> Result<(), BackendError> {
        self.catch_up()
    }
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

pub(crate) fn append(path: &Path, text: &str) -> Result<(), BackendError> {
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
    use streamalert_pipeline::backend::{AlertTable, NewAlert};

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
        let add = |id: &str| {
            table.add(&[NewAlert { alert: &alert(id), waiting: None, undeliverable: vec![] }], 0).unwrap();
        };
        add("before");
        let mut output = FileOutput::open(table.clone(), at("all.jsonl")).unwrap();
        add("a");
        add("b");
        output.alerts(&[]).unwrap();
        assert_eq!(ids(&at("all.jsonl")), ["a", "b"], "what was stored before the output existed is not sent");
        add("c");
        drop(output);
        let mut file = OpenOptions::new().append(true).open(at("all.jsonl")).unwrap();
        file.write_all(b"{\"id\": \"ha").unwrap();
        FileOutput::open(table.clone(), at("all.jsonl")).unwrap();
        assert_eq!(ids(&at("all.jsonl")), ["a", "b", "cut off", "c"]);
    }
}
