//! `threat_intel.json`: which values of records are looked up, which are not, and where indicators come from.

use super::{ConfigFault, ConfigFaults, Schemas};
use crate::log_record::{ECS_KEY, NORMALIZATION_KEY, OCSF_KEY};
use crate::threat_intel::{Kind, Network};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Days for which an indicator counts whose source does not say until when.
const EXPIRES_DAYS: u32 = 90;
/// Seconds for which it is taken for known whether a value is an indicator.
const CACHE_SECONDS: u64 = 60;
/// Bytes of one answer of a source: feeds of a million indicators have some hundred megabytes.
const ANSWER_BYTES: u64 = 256 << 20;
/// Confidence is a number from 0 to this.
pub const CONFIDENCE_MAX: u8 = 100;
/// Indicators of a page of TAXII.
const PAGE_LIMIT: u32 = 1_000;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ThreatIntelConfig {
    pub enabled: bool,
    /// On AWS, if it is not the installation's own.
    pub table: Option<String>,
    /// Indicator type → names under which records have such values: normalized ones, `ecs:<field>`, `ocsf:<attribute>`.
    pub types: BTreeMap<String, Vec<String>>,
    /// Indicator type → values that are never indicators.
    pub excluded: BTreeMap<String, Vec<String>>,
    pub cache: Duration,
    pub sources: BTreeMap<String, SourceConfig>,
    /// Worth saying, but no reason to stop.
    pub warnings: Vec<ConfigFault>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    #[serde(rename = "type")]
    pub feed: Feed,
    pub url: String,
    /// `rate(1 hour)`, or `1h`.
    #[serde(default = "daily")]
    pub schedule: String,
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default)]
    pub auth: Auth,
    /// Sent along; nothing secret.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Hosts that pages may lie on, beside that of `url`.
    #[serde(default)]
    pub hosts: Vec<String>,
    #[serde(default)]
    pub private_networks: bool,
    #[serde(default = "days")]
    pub expires_days: u32,
    /// Only these types.
    #[serde(default)]
    pub types: Vec<String>,
    #[serde(default)]
    pub confidence_min: u8,
    /// Of indicators that bring none.
    pub sub_type: Option<String>,
    #[serde(default = "bytes")]
    pub max_bytes: u64,
    /// TAXII: the collection below the API root `url`; without it, `url` is the collection.
    pub collection: Option<String>,
    #[serde(default = "page")]
    pub page_limit: u32,
    pub csv: Option<CsvConfig>,
    /// MISP: only attributes that are meant for detection.
    #[serde(default = "yes")]
    pub to_ids_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Feed {
    /// A STIX 2.1 bundle.
    Stix,
    /// A collection of TAXII 2.1.
    Taxii,
    Csv,
    /// A folder with `manifest.json` and a file for each event.
    Misp,
}

/// Credentials lie in the secret store, under `threat-intel:<source>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    #[default]
    None,
    /// `username` and `password`.
    Basic,
    /// `token`.
    Bearer,
    /// `token`, in a header of this name.
    Header(String),
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvConfig {
    /// The first line names the columns.
    #[serde(default = "yes")]
    pub header: bool,
    #[serde(default = "comma")]
    pub delimiter: String,
    /// Lines that begin with it are left out.
    #[serde(default = "hash")]
    pub comment: String,
    pub value: Column,
    /// Of every row, unless `type_column` says otherwise.
    #[serde(rename = "type")]
    pub ioc_type: Option<String>,
    pub type_column: Option<Column>,
    pub sub_type: Option<Column>,
    pub confidence: Option<Column>,
    /// RFC 3339, a date, or seconds since 1970.
    pub expires: Option<Column>,
    pub description: Option<Column>,
}

/// By its name in the header, or its place, from 0.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "the name of a column, or its number from 0")]
pub enum Column {
    Place(usize),
    Name(String),
}

fn yes() -> bool {
    true
}
fn daily() -> String {
    "rate(1 day)".to_owned()
}
fn days() -> u32 {
    EXPIRES_DAYS
}
fn bytes() -> u64 {
    ANSWER_BYTES
}
fn page() -> u32 {
    PAGE_LIMIT
}
fn comma() -> String {
    ",".to_owned()
}
fn hash() -> String {
    "#".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    enabled: bool,
    dynamodb_table_name: Option<String>,
    #[serde(default)]
    normalized_ioc_types: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    excluded_iocs: BTreeMap<String, Excluded>,
    cache_seconds: Option<u64>,
    #[serde(default)]
    sources: BTreeMap<String, SourceConfig>,
}

/// Values, or an object whose keys they are.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a list of values, or an object whose keys they are")]
enum Excluded {
    List(Vec<String>),
    Keys(BTreeMap<String, Value>),
}

/// Seconds of `rate(2 hours)`, `2h`, `30 minutes`, `1d`.
pub fn schedule_seconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let inner = text.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(text).trim();
    let digits = inner.bytes().take_while(u8::is_ascii_digit).count();
    let count: u64 = inner[..digits].parse().ok().filter(|count| *count > 0)?;
    let unit = match inner[digits..].trim() {
        "s" | "second" | "seconds" => 1,
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        _ => return None,
    };
    count.checked_mul(unit).filter(|seconds| *seconds <= 366 * 86_400)
}

impl ThreatIntelConfig {
    pub fn read(file: &str, text: &str) -> Result<ThreatIntelConfig, ConfigFaults> {
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
        let mut excluded = BTreeMap::new();
        for (name, values) in raw.excluded_iocs {
            let values: Vec<String> = match values {
                Excluded::List(values) => values,
                Excluded::Keys(keys) => keys.into_keys().collect(),
            };
            if Kind::of(&name) == Kind::Ip {
                for value in
                    values.iter().filter(|value| !value.contains(['*', '?']) && Network::parse(value).is_none())
                {
                    fault(format!("excluded_iocs.{name}"), format!("`{value}` is no network, address or pattern"));
                }
            }
            excluded.insert(name, values);
        }
        for (name, names) in &raw.normalized_ioc_types {
            if names.is_empty() {
                fault(format!("normalized_ioc_types.{name}"), "names nothing; list normalized names".into());
            }
        }
        if raw.enabled && raw.normalized_ioc_types.is_empty() {
            fault(
                "normalized_ioc_types".into(),
                "is missing: for each indicator type, the names that records have such values under".into(),
            );
        }
        for (name, source) in &raw.sources {
            let at = |part: &str| format!("sources.{name}.{part}");
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            if name.is_empty() || !name.bytes().all(is_name) {
                fault(format!("sources.{name}"), "a source is called by letters, digits, `-` and `_`".into());
            }
            if name == MANUAL {
                fault(format!("sources.{name}"), "that is what is added by hand; call it something else".into());
            }
            if !["https://", "http://"].iter().any(|scheme| source.url.starts_with(scheme)) {
                fault(at("url"), "begins with https:// (or http:// within your own network)".into());
            }
            if schedule_seconds(&source.schedule).is_none() {
                fault(at("schedule"), format!("`{}` is no schedule; write rate(6 hours), or 6h", source.schedule));
            }
            if (source.feed == Feed::Csv) != source.csv.is_some() {
                let message = match source.feed {
                    Feed::Csv => "is missing: say at least which column is the `value`, and the `type`",
                    _ => "is for sources of type csv",
                };
                fault(at("csv"), message.into());
            }
            if let Some(csv) = &source.csv {
                if csv.ioc_type.is_none() && csv.type_column.is_none() {
                    fault(at("csv.type"), "is missing: give a `type`, or a `type_column`".into());
                }
                if csv.delimiter.len() != 1 {
                    fault(at("csv.delimiter"), "one ASCII character".into());
                }
                let columns = [Some(&csv.value), csv.type_column.as_ref(), csv.sub_type.as_ref(), csv.expires.as_ref()];
                let named = columns.iter().flatten().any(|column| matches!(column, Column::Name(_)));
                if named && !csv.header {
                    fault(at("csv"), "without a header, columns go by their numbers, from 0".into());
                }
            }
            if source.collection.is_some() && source.feed != Feed::Taxii {
                fault(at("collection"), "is for sources of type taxii".into());
            }
            if source.confidence_min > CONFIDENCE_MAX {
                fault(
                    at("confidence_min"),
                    format!("at most {CONFIDENCE_MAX}; {} is never reached", source.confidence_min),
                );
            }
            for (number, zero) in [
                ("expires_days", source.expires_days == 0),
                ("page_limit", source.page_limit == 0),
                ("max_bytes", source.max_bytes == 0),
            ] {
                if zero {
                    fault(at(number), "at least 1".into());
                }
            }
        }
        if !faults.is_empty() {
            return Err(ConfigFaults(faults));
        }
        Ok(ThreatIntelConfig {
            enabled: raw.enabled,
            table: raw.dynamodb_table_name.filter(|name| !name.is_empty()),
            types: raw.normalized_ioc_types,
            excluded,
            cache: Duration::from_secs(raw.cache_seconds.unwrap_or(CACHE_SECONDS)),
            sources: raw.sources,
            warnings: Vec::new(),
        })
    }
}

impl ThreatIntelConfig {
    /// With warnings of names that mean nothing: no log type gives a value under them, or no type is called so.
    pub fn checked(mut self, file: &str, schemas: &Schemas) -> Self {
        if self.enabled {
            self.warnings = self.nobodys(file, schemas);
        }
        self
    }

    fn nobodys(&self, file: &str, schemas: &Schemas) -> Vec<ConfigFault> {
        let mut found = Vec::new();
        let mut warn = |path: String, message: String| found.push(ConfigFault { file: file.to_owned(), path, message });
        // Records may come with such keys of their own, whose names nobody declares.
        let brings = |key: &str| schemas.iter().any(|log_type| log_type.fields.position(key).is_some());
        let normalizers = schemas.iter().flat_map(|log_type| &log_type.normalization);
        let names: BTreeSet<&str> = normalizers.map(|normalizer| normalizer.name.as_str()).collect();
        let ecs: BTreeSet<&str> = schemas.iter().flat_map(|log_type| &log_type.ecs.names).map(String::as_str).collect();
        let has_ocsf = schemas.iter().any(|log_type| log_type.adds(OCSF_KEY)) || brings(OCSF_KEY);
        for (ioc_type, of) in &self.types {
            for name in of {
                let path = format!("normalized_ioc_types.{ioc_type}");
                match name.split_once(':') {
                    Some(("ecs", field)) if brings(ECS_KEY) || declares(&ecs, field) => {}
                    Some(("ecs", field)) => {
                        let known = listed(ecs.iter().copied());
                        warn(path, format!("no log type has the ECS field `{field}`; there are {known}"));
                    }
                    Some(("ocsf", _)) if has_ocsf => {}
                    Some(("ocsf", _)) => warn(path, format!("`{name}`: no log type says what it is in OCSF")),
                    _ if brings(NORMALIZATION_KEY) || names.contains(name.as_str()) => {}
                    _ => {
                        let known = listed(names.iter().copied());
                        warn(path, format!("no log type normalizes anything as `{name}`; there are {known}"));
                    }
                }
            }
        }
        for name in self.excluded.keys().filter(|name| !self.types.contains_key(*name)) {
            let known = listed(self.types.keys().map(String::as_str));
            let message = format!("excludes nothing: normalized_ioc_types has no type of that name; there are {known}");
            warn(format!("excluded_iocs.{name}"), message);
        }
        for (name, source) in &self.sources {
            for wanted in &source.types {
                let is_given = GIVEN.iter().any(|given| given.eq_ignore_ascii_case(wanted));
                // Tables call their types as they like.
                let message = if !is_given && source.feed != Feed::Csv {
                    format!("`{wanted}` is no type that such a source gives; there are {}", GIVEN.join(", "))
                } else if !self.is_asked(wanted) {
                    let known = listed(self.types.keys().map(String::as_str));
                    format!("no record is looked through for `{wanted}`; normalized_ioc_types has {known}")
                } else {
                    continue;
                };
                warn(format!("sources.{name}.types"), message);
            }
        }
        found
    }

    /// Whether values of some type may be indicators of this one.
    fn is_asked(&self, ioc_type: &str) -> bool {
        self.types.keys().any(|name| Kind::of(name).fits(Kind::of(ioc_type)))
    }
}

/// `a.b` is declared by itself, by what lies below it, and by what it lies below.
fn declares(fields: &BTreeSet<&str>, field: &str) -> bool {
    let below = |whole: &str, part: &str| whole.strip_prefix(part).is_some_and(|rest| rest.starts_with('.'));
    fields.iter().any(|own| *own == field || below(own, field) || below(field, own))
}

/// Types of indicators that feeds with types of their own are read as.
const GIVEN: [&str; 11] =
    ["ip", "domain", "url", "md5", "sha1", "sha256", "sha512", "email", "filename", "mutex", "registry_key"];
/// Names that a warning shows.
const NAMES_SHOWN_MAX: usize = 20;

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    let more = names.len().saturating_sub(NAMES_SHOWN_MAX);
    names.truncate(NAMES_SHOWN_MAX);
    match (names.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

/// The source of what an operator adds.
pub const MANUAL: &str = "manual";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn configurations_of_streamalert_are_read() {
        let text = json!({
            "enabled": true, "dynamodb_table_name": "t",
            "excluded_iocs": {"ip": {"10.0.0.0/8": {"comment": "ours"}}, "domain": ["example.com", "*.example.org"]},
            "normalized_ioc_types": {"ip": ["sourceAddress"], "md5": ["fileHash"]},
        });
        let config = ThreatIntelConfig::read("threat_intel.json", &text.to_string()).unwrap();
        assert_eq!(config.excluded["ip"], ["10.0.0.0/8"]);
        assert_eq!(config.table.as_deref(), Some("t"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let source = |source: Value| json!({"sources": {"s": source}});
        for (config, told) in [
            (json!({"enabled": true}), "normalized_ioc_types: is missing"),
            (json!({"excluded_iocs": {"ip": ["10.0.0.0/99"]}}), "excluded_iocs.ip: `10.0.0.0/99`"),
            (json!({"colour": 1}), "colour"),
            (source(json!({"type": "taxii", "url": "ftp://x"})), "sources.s.url"),
            (source(json!({"type": "taxii", "url": "https://x", "schedule": "often"})), "sources.s.schedule: `often`"),
            (source(json!({"type": "csv", "url": "https://x"})), "sources.s.csv: is missing"),
            (source(json!({"type": "csv", "url": "https://x", "csv": {"value": "v"}})), "sources.s.csv.type"),
            (source(json!({"type": "xml", "url": "https://x"})), "unknown variant `xml`"),
            (json!({"sources": {"manual": {"type": "stix", "url": "https://x"}}}), "added by hand"),
            (source(json!({"type": "stix", "url": "https://x", "confidence_min": 101})), "confidence_min: at most 100"),
        ] {
            let error = ThreatIntelConfig::read("f", &config.to_string()).unwrap_err().to_string();
            assert!(error.contains(told), "{told}: {error}");
        }
    }

    #[test]
    fn names_that_mean_nothing_are_told() {
        let types = json!({
            "a": {"parser": "json", "schema": {"ip": "string"}, "configuration": {
                "normalization": {"address": ["ip"]}, "ecs": {"source.ip": ["ip"]}}},
        });
        let schemas = Schemas::read(&[("s.json".into(), types.to_string())]).unwrap();
        let config = json!({
            "enabled": true, "normalized_ioc_types": {"ip": ["address", "adress", "ecs:source.ip", "ecs:sorce.ip"]},
            "excluded_iocs": {"ip": ["10.0.0.0/8"], "ipp": ["10.0.0.1"]},
            "sources": {"s": {"type": "stix", "url": "https://x", "types": ["IP", "domian"]}},
        });
        let config = ThreatIntelConfig::read("t.json", &config.to_string()).unwrap();
        let told: Vec<String> = config.checked("t.json", &schemas).warnings.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 4, "{told:#?}");
        for (told, parts) in told.iter().zip([
            ["`adress`", "there are address"],
            ["`sorce.ip`", "there are source.ip"],
            ["excluded_iocs.ipp", "there are ip"],
            ["sources.s.types", "`domian` is no type"],
        ]) {
            assert!(parts.iter().all(|part| told.contains(part)), "{told}");
        }
    }

    #[test]
    fn schedules() {
        for (text, seconds) in [("rate(1 hour)", 3600), ("rate(2 days)", 172_800), ("90m", 5400), ("10 seconds", 10)] {
            assert_eq!(schedule_seconds(text), Some(seconds), "{text}");
        }
        for text in ["", "rate()", "0h", "1 fortnight", "rate(1 hour", "-1h", "9999d"] {
            assert_eq!(schedule_seconds(text), None, "{text}");
        }
    }
}
