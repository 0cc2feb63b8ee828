//! One entry is changed, and no other is lost: what is written rests on what was read, or is done again.

use crate::content::{Packing, object_entries, pack, unpack};
use serde_json::Value;
use serde_json::value::RawValue;
use streamalert_pipeline::backend::{BackendError, BackendErrorKind};
use streamalert_pipeline::config::lookup_tables::{ContentConfig, Format};
use streamalert_pipeline::lookup::{Content, TableContent, TableItems};

/// Times a change is tried on what somebody else has written meanwhile.
const ATTEMPTS: u32 = 20;

#[derive(Debug, thiserror::Error)]
pub enum EditError {
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error("somebody else changed it {ATTEMPTS} times meanwhile; nothing was changed, try again")]
    Busy,
}

/// A place whose entries can be changed one by one.
pub enum Writable<'a> {
    /// A JSON object.
    Whole(&'a dyn TableContent, &'a ContentConfig),
    Items(&'a dyn TableItems),
}

/// Keys and values as they are written.
type Entries = Vec<(String, Box<RawValue>)>;

/// A value before the change, and after it; none: it is not there.
type Change<'a> = &'a dyn Fn(Option<&str>) -> Result<Option<String>, String>;

impl Writable<'_> {
    /// Changes the value under a key. Says what was there, and what is.
    pub fn change(&self, key: &str, change: Change<'_>) -> Result<(Option<String>, Option<String>), EditError> {
        match self {
            Writable::Items(items) => {
                for _ in 0..ATTEMPTS {
                    let before = items.read(&[key.to_owned()], std::time::Duration::from_secs(30))?.pop().flatten();
                    let after = change(before.as_deref()).map_err(EditError::Refused)?;
                    if before == after {
                        return Ok((before, after));
                    }
                    match items.write(key, after.as_deref(), Some(before.as_deref())) {
                        Ok(()) => return Ok((before, after)),
                        Err(error) if error.kind == BackendErrorKind::Conflict => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(EditError::Busy)
            }
            Writable::Whole(..) => {
                let mut outcome = (None, None);
                self.change_all(&mut |entries| {
                    let at = entries.iter().rposition(|(name, _)| name == key);
                    let before = at.map(|at| entries[at].1.get().to_owned());
                    let after = change(before.as_deref())?;
                    outcome = (before.clone(), after.clone());
                    if before == after {
                        return Ok(false);
                    }
                    match (at, after) {
                        (None, None) => return Ok(false),
                        (Some(_), None) => entries.retain(|(name, _)| name != key),
                        (at, Some(value)) => {
                            let value = raw(value)?;
                            match at {
                                Some(at) => entries[at].1 = value,
                                None => entries.push((key.to_owned(), value)),
                            }
                        }
                    }
                    Ok(true)
                })?;
                Ok(outcome)
            }
        }
    }

    /// Puts all of these in the place of all that is there.
    pub fn replace(&self, entries: &[(String, Value)]) -> Result<(), EditError> {
        match self {
            Writable::Whole(..) => self.change_all(&mut |now| {
                *now = entries.iter().map(|(key, value)| Ok((key.clone(), raw(value.to_string())?))).collect::<Result<
                    _,
                    String,
                >>(
                )?;
                Ok(true)
            }),
            Writable::Items(_) => Err(EditError::Refused(
                "a table of DynamoDB may be larger than what one can see; entries are set one by one".into(),
            )),
        }
    }

    fn change_all(&self, change: &mut dyn FnMut(&mut Entries) -> Result<bool, String>) -> Result<(), EditError> {
        let Writable::Whole(content, config) = self else { return Ok(()) };
        if config.format != Format::Json {
            let (place, format) = (content.place(), config.format.name());
            return Err(EditError::Refused(format!(
                "{place} is {format}: change it where it was made; only JSON is written here"
            )));
        }
        for _ in 0..ATTEMPTS {
            let (known, bytes) = match content.read(None, config.bytes_max)? {
                Content::Now { version, bytes } => (Some(version), bytes),
                Content::Gone | Content::Same => (None, b"{}".to_vec()),
            };
            let place = |message: String| EditError::Refused(format!("{}: {message}", content.place()));
            let packing = Packing::of(&bytes);
            let text = unpack(&bytes, config.bytes_max).map_err(place)?;
            let text = std::str::from_utf8(&text).map_err(|error| place(format!("it is no UTF-8: {error}")))?;
            let mut entries = object_entries(text.trim_start_matches('\u{feff}')).map_err(place)?;
            if !change(&mut entries).map_err(EditError::Refused)? {
                return Ok(());
            }
            if entries.len() as u64 > config.entries_max {
                let most = config.entries_max;
                return Err(place(format!(
                    "it would have {} entries, and {most} are the most (`max_entries`)",
                    entries.len()
                )));
            }
            let text = written(&entries);
            if text.len() as u64 > config.bytes_max {
                let most = config.bytes_max;
                return Err(place(format!(
                    "it would have {} bytes, and {most} are the most (`max_bytes`)",
                    text.len()
                )));
            }
            let bytes = pack(text.as_bytes(), packing).map_err(|error| place(error.to_string()))?;
            match content.write(known.as_deref(), &bytes) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind == BackendErrorKind::Conflict => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(EditError::Busy)
    }
}

fn raw(text: String) -> Result<Box<RawValue>, String> {
    RawValue::from_string(text).map_err(|error| format!("the value is no JSON: {error}"))
}

/// An entry on each line, as people keep such files.
fn written(entries: &[(String, Box<RawValue>)]) -> String {
    let lines: Vec<String> =
        entries.iter().map(|(key, value)| format!("  {}: {}", Value::from(key.as_str()), value.get())).collect();
    match lines.is_empty() {
        true => "{}\n".to_owned(),
        false => format!("{{\n{}\n}}\n", lines.join(",\n")),
    }
}

/// A list with more items; `unique` drops what is there already, `sort` puts them in order.
pub fn longer_list(before: Option<&str>, items: &[Value], unique: bool, sort: bool) -> Result<String, String> {
    let mut list: Vec<Value> = match before.map(serde_json::from_str) {
        None | Some(Ok(Value::Null)) => Vec::new(),
        Some(Ok(Value::Array(list))) => list,
        _ => return Err("what is there is no list".into()),
    };
    list.extend(items.iter().cloned());
    if unique {
        let mut seen = std::collections::HashSet::new();
        list.retain(|item| seen.insert(item.to_string()));
    }
    if sort {
        list.sort_by(|a, b| match (a, b) {
            (Value::Number(x), Value::Number(y)) => x.as_f64().unwrap_or(0.0).total_cmp(&y.as_f64().unwrap_or(0.0)),
            (Value::String(x), Value::String(y)) => x.cmp(y),
            _ => a.to_string().cmp(&b.to_string()),
        });
    }
    Ok(Value::Array(list).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::TableFile;
    use serde_json::json;
    use std::sync::Arc;

    fn config() -> ContentConfig {
        ContentConfig {
            format: Format::Json,
            key_column: None,
            value_column: None,
            delimiter: b',',
            bytes_max: 100_000,
            entries_max: 1000,
        }
    }

    #[test]
    fn a_change_leaves_all_else_to_the_last_digit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.json");
        std::fs::write(&path, pack(br#"{"big": 123456789012345678901234567890.10, "x": [1]}"#, Packing::Gzip).unwrap())
            .unwrap();
        let file = TableFile::new(path.clone());
        let config = config();
        let table = Writable::Whole(&file, &config);
        let set = |value: &str| Some(value.to_owned());
        assert_eq!(table.change("a \"b\"", &|_| Ok(set("{\"é\":1}"))).unwrap(), (None, set("{\"é\":1}")));
        assert_eq!(
            table.change("x", &|before| longer_list(before, &[json!(1), json!(2)], true, true).map(Some)).unwrap().1,
            set("[1,2]")
        );
        assert_eq!(table.change("none", &|_| Ok(None)).unwrap(), (None, None));
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(Packing::of(&bytes), Packing::Gzip);
        let text = String::from_utf8(unpack(&bytes, 1000).unwrap().into_owned()).unwrap();
        assert_eq!(
            text,
            "{\n  \"big\": 123456789012345678901234567890.10,\n  \"x\": [1,2],\n  \"a \\\"b\\\"\": {\"é\":1}\n}\n"
        );
        table.change("x", &|_| Ok(None)).unwrap();
        assert!(table.change("big", &|before| longer_list(before, &[], false, false).map(Some)).is_err());
        std::fs::write(&path, "[1]").unwrap();
        let error = table.change("x", &|_| Ok(set("1"))).unwrap_err().to_string();
        assert!(error.contains("t.json") && error.contains("one JSON object"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[1]", "what is broken is not written over");
    }

    #[test]
    fn of_many_who_write_at_once_nobody_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let file = Arc::new(TableFile::new(folder.path().join("t.json")));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let file = file.clone();
                std::thread::spawn(move || {
                    let config = config();
                    for number in 0..10 {
                        let table = Writable::Whole(&*file, &config);
                        let key = format!("{writer}-{number}");
                        loop {
                            match table.change(&key, &|_| Ok(Some("1".into()))) {
                                Ok(_) => break,
                                Err(EditError::Busy) => {}
                                Err(error) => panic!("{error}"),
                            }
                        }
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(object_entries(&text).unwrap().len(), 40);
    }
}
