//! `lookup_tables.json`: tables that lie elsewhere than in `lookup_tables/`.

use super::{ConfigFault, ConfigFaults};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Bytes of a table, unpacked, if the configuration says nothing: a GeoIP database of cities has 70 MB.
pub const TABLE_BYTES: u64 = 128 << 20;
/// Entries of a table that is no MMDB. A key and a value of usual length take some 200 bytes.
pub const TABLE_ENTRIES: u64 = 1_000_000;
/// Time after which a table of S3 is looked at again.
const S3_REFRESH: Duration = Duration::from_secs(600);
/// Files are looked at more often than this where they change under our eyes.
const FILE_REFRESH: Duration = Duration::from_secs(60);
/// Time for which a key of DynamoDB is taken for known.
const KEY_REFRESH: Duration = Duration::from_secs(180);
/// Keys of one DynamoDB table that are remembered, if the configuration does not say how many.
const KEYS_KEPT: usize = 100_000;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableConfigs {
    pub tables: BTreeMap<String, TableConfig>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TableConfig {
    pub place: TablePlace,
    /// After this, what is known is asked for anew.
    pub refresh: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TablePlace {
    /// Relative to the folder of the configuration.
    File {
        path: String,
        content: ContentConfig,
    },
    S3 {
        bucket: String,
        key: String,
        content: ContentConfig,
    },
    DynamoDb(KeyedConfig),
}

/// How bytes become a table.
#[derive(Clone, Debug, PartialEq)]
pub struct ContentConfig {
    pub format: Format,
    /// Of JSON lines and CSV. `None`: `key` of JSON lines, the first column of CSV.
    pub key_column: Option<String>,
    /// `None`: the whole row but its key; if the only other column is called `value`, that.
    pub value_column: Option<String>,
    pub delimiter: u8,
    pub bytes_max: u64,
    pub entries_max: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One object.
    Json,
    /// An object on each line.
    #[serde(alias = "ndjson", alias = "jsonlines")]
    Jsonl,
    Csv,
    /// MaxMind's, such as GeoIP: an address finds its network's entry.
    Mmdb,
}

impl Format {
    pub fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Jsonl => "jsonl",
            Format::Csv => "csv",
            Format::Mmdb => "mmdb",
        }
    }

    /// By the ending of a name, whatever it is compressed by.
    fn of(name: &str) -> Option<Format> {
        let name = name.to_ascii_lowercase();
        let name =
            [".gz", ".gzip", ".zst", ".bz2", ".zz"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "json" => Some(Format::Json),
            "jsonl" | "ndjson" => Some(Format::Jsonl),
            "csv" | "tsv" => Some(Format::Csv),
            "mmdb" => Some(Format::Mmdb),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct KeyedConfig {
    pub table: String,
    pub partition_key: String,
    pub sort_key: Option<String>,
    pub value_key: String,
    pub key_delimiter: String,
    pub consistent_read: bool,
    /// Keys that are remembered, those among them that are not there.
    pub keys_max: usize,
    /// Keys that the batch will probably ask next are read along.
    pub read_ahead: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default)]
    tables: BTreeMap<String, Value>,
}

fn yes() -> bool {
    true
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    #[serde(default)]
    driver: String,
    path: Option<String>,
    bucket: Option<String>,
    key: Option<String>,
    /// Of StreamAlert: content decides.
    compression: Option<Value>,
    format: Option<Format>,
    key_column: Option<String>,
    value_column: Option<String>,
    delimiter: Option<String>,
    refresh_seconds: Option<f64>,
    cache_refresh_minutes: Option<f64>,
    max_bytes: Option<u64>,
    max_entries: Option<u64>,
    table: Option<String>,
    partition_key: Option<String>,
    sort_key: Option<String>,
    value_key: Option<String>,
    key_delimiter: Option<String>,
    consistent_read: Option<bool>,
    cache_maximum_key_count: Option<usize>,
    read_ahead: Option<bool>,
}

impl RawTable {
    /// What is given, of all that only other drivers understand.
    fn stray(&self, driver: &str) -> Vec<&'static str> {
        let whole = driver != "dynamodb";
        let given = [
            ("path", self.path.is_some(), driver == "file"),
            ("bucket", self.bucket.is_some(), driver == "s3"),
            ("key", self.key.is_some(), driver == "s3"),
            ("compression", self.compression.is_some(), whole),
            ("format", self.format.is_some(), whole),
            ("key_column", self.key_column.is_some(), whole),
            ("value_column", self.value_column.is_some(), whole),
            ("delimiter", self.delimiter.is_some(), whole),
            ("max_bytes", self.max_bytes.is_some(), whole),
            ("max_entries", self.max_entries.is_some(), whole),
            ("table", self.table.is_some(), !whole),
            ("partition_key", self.partition_key.is_some(), !whole),
            ("sort_key", self.sort_key.is_some(), !whole),
            ("value_key", self.value_key.is_some(), !whole),
            ("key_delimiter", self.key_delimiter.is_some(), !whole),
            ("consistent_read", self.consistent_read.is_some(), !whole),
            ("cache_maximum_key_count", self.cache_maximum_key_count.is_some(), !whole),
            ("read_ahead", self.read_ahead.is_some(), !whole),
        ];
        given.into_iter().filter(|(_, given, known)| *given && !known).map(|(name, ..)| name).collect()
    }

    fn refresh(&self, default: Duration) -> Result<Duration, (String, String)> {
        let (name, seconds) = match (self.refresh_seconds, self.cache_refresh_minutes) {
            (Some(_), Some(_)) => {
                return Err(("refresh_seconds".into(), "give this or cache_refresh_minutes, not both".into()));
            }
            (Some(seconds), None) => ("refresh_seconds", seconds),
            (None, Some(minutes)) => ("cache_refresh_minutes", minutes * 60.0),
            (None, None) => return Ok(default),
        };
        if !(0.0..=366.0 * 86_400.0).contains(&seconds) {
            return Err((name.into(), "a time between 0 and a year".into()));
        }
        Ok(Duration::from_secs_f64(seconds))
    }

    fn content(&self, name: &str) -> Result<ContentConfig, (String, String)> {
        let format = self.format.or_else(|| Format::of(name)).unwrap_or(Format::Json);
        let by_column = matches!(format, Format::Jsonl | Format::Csv);
        for (key, given) in [("key_column", &self.key_column), ("value_column", &self.value_column)] {
            if given.is_some() && !by_column {
                return Err((key.into(), format!("a table of format {} has no columns", format.name())));
            }
        }
        let tabs = name.to_ascii_lowercase().contains(".tsv");
        let delimiter = match self.delimiter.as_deref() {
            None if tabs => b'\t',
            None => b',',
            Some(text) => match text.as_bytes() {
                [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => *byte,
                _ => return Err(("delimiter".into(), "one ASCII character, such as `;` or a tab".into())),
            },
        };
        if self.delimiter.is_some() && format != Format::Csv {
            return Err(("delimiter".into(), format!("a table of format {} has none", format.name())));
        }
        let above_zero = |name: &str, value: Option<u64>, default: u64| match value {
            Some(0) => Err((name.to_owned(), "at least 1".to_owned())),
            value => Ok(value.unwrap_or(default)),
        };
        Ok(ContentConfig {
            format,
            key_column: self.key_column.clone(),
            value_column: self.value_column.clone(),
            delimiter,
            bytes_max: above_zero("max_bytes", self.max_bytes, TABLE_BYTES)?,
            entries_max: above_zero("max_entries", self.max_entries, TABLE_ENTRIES)?,
        })
    }
}

impl TableConfigs {
    /// Of the file's text. `named` are tables that have files of their own in `lookup_tables/`.
    pub fn read(file: &str, text: &str, named: &[&str]) -> Result<TableConfigs, ConfigFaults> {
        let mut faults = Vec::new();
        let mut fault =
            |path: String, message: String| faults.push(ConfigFault { file: file.to_owned(), path, message });
        let value: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => {
                fault(String::new(), format!("not JSON: {error}"));
                return Err(ConfigFaults(faults));
            }
        };
        let raw: Raw = match serde_path_to_error::deserialize(value) {
            Ok(raw) => raw,
            Err(error) => {
                fault(error.path().to_string(), error.inner().to_string());
                return Err(ConfigFaults(faults));
            }
        };
        let mut configs = TableConfigs::default();
        for (name, value) in raw.tables {
            let at = format!("tables.{name}");
            if named.contains(&name.as_str()) {
                fault(at, format!("there is lookup_tables/{name}.json, too; a table has one place"));
                continue;
            }
            match table(value) {
                Ok(table) => drop(configs.tables.insert(name, table)),
                Err((path, message)) if path.is_empty() || path == "." => fault(at, message),
                Err((path, message)) => fault(format!("{at}.{path}"), message),
            }
        }
        if !faults.is_empty() {
            return Err(ConfigFaults(faults));
        }
        if !raw.enabled {
            configs.tables.clear();
        }
        Ok(configs)
    }
}

fn table(value: Value) -> Result<TableConfig, (String, String)> {
    let raw: RawTable = serde_path_to_error::deserialize(value)
        .map_err(|error| (error.path().to_string(), error.inner().to_string()))?;
    let driver = raw.driver.as_str();
    if !["file", "s3", "dynamodb"].contains(&driver) {
        let message = match driver {
            "" => "is missing: file, s3 or dynamodb".to_owned(),
            other => format!("`{other}` is none of file, s3, dynamodb"),
        };
        return Err(("driver".into(), message));
    }
    if let Some(stray) = raw.stray(driver).first() {
        return Err(((*stray).into(), format!("the driver {driver} knows no such key")));
    }
    let required = |name: &str, value: &Option<String>| match value.as_deref() {
        Some(value) if !value.is_empty() => Ok(value.to_owned()),
        _ => Err((name.to_owned(), "is missing, or empty".to_owned())),
    };
    Ok(match driver {
        "file" => {
            let path = required("path", &raw.path)?;
            let content = raw.content(&path)?;
            TableConfig { place: TablePlace::File { path, content }, refresh: raw.refresh(FILE_REFRESH)? }
        }
        "s3" => {
            let (bucket, key) = (required("bucket", &raw.bucket)?, required("key", &raw.key)?);
            let content = raw.content(&key)?;
            TableConfig { place: TablePlace::S3 { bucket, key, content }, refresh: raw.refresh(S3_REFRESH)? }
        }
        _ => {
            let key_delimiter = raw.key_delimiter.clone().unwrap_or_else(|| ":".to_owned());
            if key_delimiter.is_empty() {
                return Err(("key_delimiter".into(), "is empty".into()));
            }
            let keyed = KeyedConfig {
                table: required("table", &raw.table)?,
                partition_key: required("partition_key", &raw.partition_key)?,
                sort_key: raw.sort_key.clone().filter(|key| !key.is_empty()),
                value_key: required("value_key", &raw.value_key)?,
                key_delimiter,
                consistent_read: raw.consistent_read.unwrap_or(true),
                keys_max: raw.cache_maximum_key_count.filter(|count| *count > 0).unwrap_or(KEYS_KEPT),
                read_ahead: raw.read_ahead.unwrap_or(true),
            };
            TableConfig { place: TablePlace::DynamoDb(keyed), refresh: raw.refresh(KEY_REFRESH)? }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(tables: Value) -> Result<TableConfigs, String> {
        let text = json!({"enabled": true, "tables": tables}).to_string();
        TableConfigs::read("lookup_tables.json", &text, &["own"]).map_err(|faults| faults.to_string())
    }

    #[test]
    fn configurations_of_streamalert_are_read() {
        let configs = read(json!({
            "a": {"driver": "s3", "bucket": "b", "key": "x/names.json", "compression": "gzip", "cache_refresh_minutes": 5},
            "b": {"driver": "dynamodb", "table": "t", "partition_key": "p", "sort_key": "s", "value_key": "v",
                  "cache_maximum_key_count": 3, "consistent_read": false, "key_delimiter": "|"},
            "c": {"driver": "dynamodb", "table": "t", "partition_key": "p", "value_key": "v", "cache_maximum_key_count": 0},
            "geo": {"driver": "file", "path": "GeoLite2-City.mmdb"},
            "csv": {"driver": "file", "path": "a.csv.gz", "delimiter": ";", "key_column": "id", "max_entries": 5},
        }))
        .unwrap();
        assert_eq!(configs.tables["a"].refresh, Duration::from_secs(300));
        let TablePlace::DynamoDb(b) = &configs.tables["b"].place else { panic!() };
        assert_eq!((b.keys_max, b.consistent_read, b.key_delimiter.as_str()), (3, false, "|"));
        let TablePlace::DynamoDb(c) = &configs.tables["c"].place else { panic!() };
        assert_eq!((c.keys_max, c.consistent_read), (KEYS_KEPT, true));
        let TablePlace::File { content, .. } = &configs.tables["geo"].place else { panic!() };
        assert_eq!(content.format, Format::Mmdb);
        let TablePlace::File { content, .. } = &configs.tables["csv"].place else { panic!() };
        assert_eq!((content.format, content.delimiter, content.entries_max), (Format::Csv, b';', 5));
        let off = r#"{"enabled": false, "tables": {"geo": {"driver": "file", "path": "a"}}}"#;
        assert!(TableConfigs::read("f", off, &[]).unwrap().tables.is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (table, told) in [
            (json!({"path": "a"}), "tables.t.driver: is missing"),
            (json!({"driver": "redis"}), "`redis` is none of"),
            (json!({"driver": "s3", "bucket": "b"}), "tables.t.key: is missing"),
            (
                json!({"driver": "s3", "bucket": "b", "key": "k", "table": "x"}),
                "tables.t.table: the driver s3 knows no such key",
            ),
            (json!({"driver": "file", "path": "a", "colour": 1}), "colour"),
            (json!({"driver": "file", "path": "a.json", "key_column": "x"}), "has no columns"),
            (json!({"driver": "file", "path": "a.csv", "delimiter": "ab"}), "one ASCII character"),
            (json!({"driver": "file", "path": "a.csv", "refresh_seconds": -1}), "a time between"),
            (json!({"driver": "dynamodb", "table": "t", "partition_key": "p"}), "tables.t.value_key"),
        ] {
            let error = read(json!({"t": table})).unwrap_err();
            assert!(error.contains(told), "{told}: {error}");
        }
        assert!(read(json!({"own": {"driver": "file", "path": "a"}})).unwrap_err().contains("a table has one place"));
    }
}
