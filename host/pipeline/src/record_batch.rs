//! Records of one log type on their way from the classifier to the rules engine and into the archive.
//!
//! As text a batch is lines of JSON: one about all of its records, then one for each. The text is what queues carry, so a
//! later version reads every earlier one.

use crate::event_time::event_time;
use crate::log_record::{LogBatch, Position, Source};
use crate::time::Millis;
use memchr::memmem;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// Of the text. A reader that finds a higher one leaves the batch to a newer reader.
const VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq)]
pub struct RecordBatch {
    pub cluster: Arc<str>,
    pub log_type: String,
    /// When the first of them reached the classifier.
    pub arrived: Millis,
    /// Only this rule is asked: the others have judged them.
    pub rule: Option<String>,
    pub records: Vec<BatchRecord>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct BatchRecord {
    pub source: Arc<Source>,
    pub position: Position,
    /// What makes this record this record; see [`LogBatch::identity`].
    pub identity: [u8; 32],
    /// When the log says it happened, as it says it.
    pub event_time: Option<String>,
    /// An object.
    pub json: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("a batch of records in version {0}; this streamalert reads up to {VERSION}: update the rules engine first")]
    Newer(u32),
    #[error("line {line} of a batch of records: {error}")]
    Json { line: usize, error: serde_json::Error },
    #[error("line {line} of a batch of records: {message}")]
    Wrong { line: usize, message: String },
}

#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    cluster: String,
    log_type: String,
    arrived: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    sources: Vec<Source>,
    /// How many lines follow: a text that was cut off is known for one.
    records: usize,
}

/// A line, or what it says before the record.
#[derive(Deserialize)]
struct Line<'a> {
    /// Place in `sources`.
    source: usize,
    offset: u64,
    length: u64,
    index: u32,
    /// Hex.
    identity: String,
    #[serde(default)]
    event_time: Option<String>,
    #[serde(borrow, default)]
    record: Option<&'a RawValue>,
}

/// Before the record, which is the last thing in a line. Within a text it cannot stand: its quotes would be escaped.
const MARK: &str = ",\"record\":";

/// A line and its record. Whether the record is one, whoever reads it sees: to look twice costs as much as to read it.
fn read_line(line: &str) -> Result<(Line<'_>, &str), serde_json::Error> {
    if let Some(at) = memmem::find(line.as_bytes(), MARK.as_bytes())
        && let Some(record) = line[at + MARK.len()..].strip_suffix('}')
        && let Ok(Line { source, offset, length, index, identity, event_time, record: None }) =
            serde_json::from_str(&[&line[..at], "}"].concat())
    {
        return Ok((Line { source, offset, length, index, identity, event_time, record: None }, record));
    }
    // Written by somebody else.
    let line: Line<'_> = serde_json::from_str(line)?;
    let record = line.record.ok_or_else(|| serde::de::Error::missing_field("record"))?.get();
    Ok((line, record))
}

impl RecordBatch {
    /// The records of a classified batch, one batch for each log type.
    pub fn of(batch: &LogBatch, arrived: Millis) -> Vec<RecordBatch> {
        RecordBatch::kept(batch, arrived, &|_| true)
    }

    /// The same of log types that are kept.
    pub fn kept(batch: &LogBatch, arrived: Millis, keeps: &dyn Fn(&str) -> bool) -> Vec<RecordBatch> {
        let mut batches: BTreeMap<&str, RecordBatch> = BTreeMap::new();
        for (index, record) in batch.records.iter().enumerate() {
            let name = record.log_type.name.as_str();
            if !batches.contains_key(name) && !keeps(name) {
                continue;
            }
            let fields = batch.fields(index);
            let new = || RecordBatch {
                cluster: batch.cluster.clone(),
                log_type: name.to_owned(),
                arrived,
                rule: None,
                records: Vec::new(),
            };
            batches.entry(name).or_insert_with(new).records.push(BatchRecord {
                source: batch.source(index).clone(),
                position: record.position,
                identity: batch.identity(index),
                event_time: event_time(fields),
                json: fields.to_json(),
            });
        }
        batches.into_values().collect()
    }

    /// Bytes of its text, about.
    pub fn bytes(&self) -> usize {
        self.records.iter().map(BatchRecord::bytes).sum()
    }

    pub fn to_text(&self) -> String {
        let mut sources: Vec<&Arc<Source>> = Vec::new();
        let mut places = Vec::with_capacity(self.records.len());
        for record in &self.records {
            // Records of one source stand together.
            let known = match sources.last() {
                Some(last) if Arc::ptr_eq(last, &record.source) || **last == record.source => Some(sources.len() - 1),
                _ => None,
            };
            places.push(known.unwrap_or_else(|| {
                sources.push(&record.source);
                sources.len() - 1
            }));
        }
        let head = Head {
            version: VERSION,
            cluster: self.cluster.to_string(),
            log_type: self.log_type.clone(),
            arrived: self.arrived,
            rule: self.rule.clone(),
            sources: sources.into_iter().map(|source| (**source).clone()).collect(),
            records: self.records.len(),
        };
        let mut text = String::with_capacity(self.bytes());
        // Nothing here can fail to be written as JSON.
        text.push_str(&serde_json::to_string(&head).unwrap_or_default());
        text.push('\n');
        for (record, source) in self.records.iter().zip(places) {
            let Position { offset, length, index } = record.position;
            // As `Line` has it: the record is JSON already.
            let _ = write!(
                text,
                "{{\"source\":{source},\"offset\":{offset},\"length\":{length},\"index\":{index},\"identity\":\""
            );
            push_hex(&record.identity, &mut text);
            text.push('"');
            if let Some(time) = &record.event_time {
                text.push_str(",\"event_time\":");
                text.push_str(&serde_json::to_string(time).unwrap_or_default());
            }
            text.push_str(",\"record\":");
            text.push_str(&record.json);
            text.push_str("}\n");
        }
        text
    }

    pub fn read(text: &str) -> Result<RecordBatch, ReadError> {
        let mut lines = text.lines().enumerate();
        let (_, first) = lines.next().unwrap_or((0, ""));
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let json = |line: usize| move |error| ReadError::Json { line: line + 1, error };
        let Version { version } = serde_json::from_str(first).map_err(json(0))?;
        if version > VERSION {
            return Err(ReadError::Newer(version));
        }
        let head: Head = serde_json::from_str(first).map_err(json(0))?;
        let sources: Vec<Arc<Source>> = head.sources.into_iter().map(Arc::new).collect();
        let mut records = Vec::with_capacity(head.records.min(1 << 20));
        for (number, line) in lines {
            let (line, record) = read_line(line).map_err(json(number))?;
            let wrong = |message: &str| ReadError::Wrong { line: number + 1, message: message.to_owned() };
            records.push(BatchRecord {
                source: sources.get(line.source).ok_or_else(|| wrong("a source that is not there"))?.clone(),
                position: Position { offset: line.offset, length: line.length, index: line.index },
                identity: read_hex(&line.identity).ok_or_else(|| wrong("an identity is 64 hex digits"))?,
                event_time: line.event_time,
                json: record.to_owned(),
            });
        }
        if records.len() != head.records {
            let message = format!("it announces {} records and has {}", head.records, records.len());
            return Err(ReadError::Wrong { line: 1, message });
        }
        let Head { cluster, log_type, arrived, rule, .. } = head;
        Ok(RecordBatch { cluster: cluster.into(), log_type, arrived, rule, records })
    }

    /// Two halves, of a batch of at least two records.
    pub fn halves(mut self) -> (RecordBatch, RecordBatch) {
        let second = self.records.split_off(self.records.len() / 2);
        let rest = RecordBatch {
            cluster: self.cluster.clone(),
            log_type: self.log_type.clone(),
            arrived: self.arrived,
            rule: self.rule.clone(),
            records: second,
        };
        (self, rest)
    }
}

/// Appends lower-case hex digits; of every record, so not by way of a format.
pub fn push_hex(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// The bytes of as many hexadecimal digits.
pub fn read_hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    const NONE: u8 = 0xff;
    static VALUES: [u8; 256] = {
        let mut values = [NONE; 256];
        let mut digit = 0;
        while digit < 16 {
            let lower = b"0123456789abcdef"[digit];
            values[lower as usize] = digit as u8;
            values[lower.to_ascii_uppercase() as usize] = digit as u8;
            digit += 1;
        }
        values
    };
    let mut bytes = [0; N];
    let digits = digits.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    // Looked at once behind the loop, as of every record.
    let mut wrong = 0;
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
        wrong |= high | low;
        *byte = high << 4 | low & 15;
    }
    (wrong < 16).then_some(bytes)
}

impl BatchRecord {
    /// Bytes of its line, about.
    pub fn bytes(&self) -> usize {
        self.json.len() + 180
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> RecordBatch {
        let source = Arc::new(Source::new("s3", "bucket", "a\nb.json"));
        let other = Arc::new(Source::new("kinesis", "stream", "1"));
        let record = |source: &Arc<Source>, index, json: &str| BatchRecord {
            source: source.clone(),
            position: Position { offset: 7, length: 90, index },
            identity: [index as u8; 32],
            event_time: (index == 1).then(|| "2026-01-02T03:04:05Z".to_owned()),
            json: json.to_owned(),
        };
        RecordBatch {
            cluster: "prod".into(),
            log_type: "test:row".into(),
            arrived: 1_767_323_045_678,
            rule: Some("root_login".into()),
            records: vec![
                record(&source, 0, r#"{"big":123456789012345678901234567890,"text":"a\nb é \u0000"}"#),
                record(&source, 1, r#"{"n":-0.0,"deep":{"list":[1,null,true]}}"#),
                record(&other, 2, "{}"),
            ],
        }
    }

    #[test]
    fn what_is_written_is_read_to_the_last_digit() {
        let text = batch().to_text();
        assert_eq!(text.lines().count(), 4);
        assert_eq!(RecordBatch::read(&text).unwrap(), batch());
    }

    #[test]
    fn what_is_cut_off_or_newer_or_nonsense_is_no_batch() {
        let text = batch().to_text();
        let cut = &text[..text.trim_end().rfind('\n').unwrap() + 1];
        assert!(RecordBatch::read(cut).unwrap_err().to_string().contains("announces 3 records and has 2"));
        let newer = text.replacen("\"version\":1", "\"version\":2", 1);
        assert!(matches!(RecordBatch::read(&newer), Err(ReadError::Newer(2))));
        for nonsense in ["", "{}", "hello", "[1]", "{\"version\":1}"] {
            assert!(matches!(RecordBatch::read(nonsense), Err(ReadError::Json { line: 1, .. })), "{nonsense}");
        }
        // Written with other spaces or in another order, it is the same.
        let spaced = text.replace(",\"record\":", " , \"record\" : ");
        assert_eq!(RecordBatch::read(&spaced).unwrap(), batch());
        let without = text.replacen(",\"record\":{}", "", 1);
        assert!(RecordBatch::read(&without).unwrap_err().to_string().contains("record"));
        let stray = text.replacen("\"source\":1", "\"source\":9", 1);
        assert!(RecordBatch::read(&stray).unwrap_err().to_string().contains("line 4"));
    }

    #[test]
    fn halves_are_all_of_it() {
        let (a, b) = batch().halves();
        assert_eq!((a.records.len(), b.records.len()), (1, 2));
        assert_eq!([a.records, b.records].concat(), batch().records);
    }
}
