//! Where classified records are kept for searching: the name of each log type's stream and table.

pub mod evolve;
pub mod line;
pub mod partition;

use crate::columns::{PROVENANCE, all_fields, clean, distinct_names, possible_names};
use crate::config::schema::{FieldKind, Fields};
use crate::config::{LogType, Schemas};
use md5::{Digest, Md5};
use std::sync::Arc;

/// Characters of a stream's name; the service's limit.
const STREAM_NAME_MAX: usize = 64;
/// Of a name that is too long, the characters that stay before its digest of eight.
const STREAM_NAME_KEPT: usize = STREAM_NAME_MAX - 8;

/// The name of a log type's delivery stream: what StreamAlert calls it, so that streams which exist go on.
pub fn stream_name(prefix: &str, log_type: &str) -> String {
    let name = match prefix {
        "" => clean(&format!("streamalert_{log_type}")),
        prefix => clean(&format!("{prefix}_streamalert_{log_type}")),
    };
    if name.chars().count() <= STREAM_NAME_MAX {
        return name;
    }
    let mut kept: String = name.chars().take(STREAM_NAME_KEPT - 1).collect();
    kept.push('_');
    for byte in &Md5::digest(&name)[..4] {
        kept.push_str(&format!("{byte:02x}"));
    }
    kept
}

/// The table of alerts, which is no log type's.
pub const ALERTS: &str = "alerts";

/// The table of a log type that would have the name of that.
const NOT_ALERTS: &str = "_x61_lerts";

/// The log types that are kept, each with its table.
#[derive(Debug, Default)]
pub struct Tables {
    pub tables: Vec<(String, Arc<LogType>)>,
    /// Names that no log type goes by.
    pub unknown: Vec<String>,
}

/// The log types that `enabled` names, by source or in full. A table is named after its log type; of two types with one
/// name, such as `a:b` and `a_b`, the one that needs no cleaning has it. Catalogs have names in lower case.
pub fn tables(enabled: &[&str], schemas: &Schemas) -> Tables {
    let names: Vec<&str> = schemas.iter().map(|log_type| log_type.name.as_str()).collect();
    let tables = schemas
        .iter()
        .zip(distinct_names(&names))
        .filter(|(log_type, _)| enabled.iter().any(|name| log_type.is_named_by(name)))
        .map(|(log_type, table)| match table.eq_ignore_ascii_case(ALERTS) {
            true => (NOT_ALERTS.to_owned(), log_type.clone()),
            false => (table, log_type.clone()),
        })
        .collect();
    let unknown = enabled.iter().filter(|name| !schemas.knows(name)).map(|name| (*name).to_owned()).collect();
    Tables { tables, unknown }
}

/// All names that the table of a log type may have beside other log types, in lower case: where its records may lie.
pub fn folders(log_type: &str) -> Vec<String> {
    let mut names = possible_names(log_type);
    if names.iter().any(|name| name == ALERTS) {
        names.push(NOT_ALERTS.to_owned());
    }
    names
}

/// A column of a table in the catalog that Athena and Firehose use.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Column {
    /// Lower case, as the catalog has all names.
    pub name: String,
    /// As Hive writes it.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the log calls it, if that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Columns of a log type's table. Numbers and booleans have their types; objects whose keys a schema declares are structs. What may
/// be anything (`{}`) is a text, which has the value's JSON unless it is a text itself, so that no record is refused for what
/// its vendor changed; a list has such texts. Behind them what we say of every record ([`PROVENANCE`]).
pub fn columns(log_type: &LogType) -> Vec<Column> {
    let fields = all_fields(log_type);
    let kinds = fields.0.iter().map(|field| hive(&field.kind));
    let keys = fields.0.iter().map(|field| field.name.clone());
    let names = names(&fields).into_iter();
    let declared =
        names.zip(kinds).zip(keys).map(|((name, kind), key)| Column { key: (key != name).then_some(key), name, kind });
    let ours = PROVENANCE.iter().map(|(name, kind)| Column { name: (*name).into(), kind: (*kind).into(), key: None });
    declared.chain(ours).collect()
}

/// Names of the columns for the keys of one object, in lower case.
pub fn names(fields: &Fields) -> Vec<String> {
    let keys: Vec<&str> = fields.0.iter().map(|field| field.name.as_str()).collect();
    distinct_names(&keys).into_iter().map(|name| name.to_lowercase()).collect()
}

fn hive(kind: &FieldKind) -> String {
    match kind {
        FieldKind::String | FieldKind::Any => "string".into(),
        FieldKind::Integer => "bigint".into(),
        FieldKind::Float => "double".into(),
        FieldKind::Boolean => "boolean".into(),
        FieldKind::List => "array<string>".into(),
        FieldKind::Object(fields) if fields.0.is_empty() => "string".into(),
        FieldKind::Object(fields) => {
            let kinds = fields.0.iter().map(|field| hive(&field.kind));
            let entries: Vec<String> =
                names(fields).into_iter().zip(kinds).map(|(name, kind)| format!("{name}:{kind}")).collect();
            format!("struct<{}>", entries.join(","))
        }
    }
}

/// Keys of what outputs get, unless publishers say otherwise.
const PUBLISHED: [&str; 20] = [
    "id",
    "rule_name",
    "title",
    "severity",
    "rule_description",
    "created",
    "event_time",
    "cluster",
    "log_source",
    "log_type",
    "source_service",
    "source_entity",
    "source_object",
    "dedup_key",
    "context",
    "tags",
    "references",
    "outputs",
    "publishers",
    "staged",
];

/// Columns of the table of alerts, in the order of what outputs get ([`crate::alert_processor::publication`]).
pub fn alert_columns() -> Vec<Column> {
    const LISTS: [&str; 3] = ["tags", "references", "outputs"];
    let kind = |name: &str| match name {
        "staged" => "boolean",
        name if LISTS.contains(&name) => "array<string>",
        _ => "string",
    };
    let column = |name: &&str| Column { name: (*name).to_owned(), kind: kind(name).to_owned(), key: None };
    PUBLISHED.iter().chain(&["record"]).map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_name_fits_and_says_what_it_can() {
        assert_eq!(stream_name("", "a:b.c"), "streamalert_a_b_c");
        let long = stream_name("a-prefix", &format!("source:{}", "x".repeat(60)));
        assert_eq!(long.len(), STREAM_NAME_MAX);
        assert!(long.starts_with("a_prefix_streamalert_source_xxx"), "{long}");
        assert_ne!(long, stream_name("a-prefix", &format!("source:{}", "x".repeat(61))));
    }

    #[test]
    fn columns_have_the_types_of_what_is_archived() {
        let schema = r#"{"a:b": {"parser": "json", "schema": {
            "eventName": "string", "n": "integer", "x.y": "float", "ok": "boolean", "any": {}, "list": [],
            "who": {"userName": "string", "mfa": {"used": "boolean", "more": {}}}
        }}}"#;
        let schemas = Schemas::read(&[("s.json".to_owned(), schema.to_owned())]).unwrap();
        let columns = columns(schemas.get("a:b").unwrap());
        let told: Vec<String> = columns
            .iter()
            .map(|column| format!("{} {} {}", column.name, column.kind, column.key.as_deref().unwrap_or("-")))
            .collect();
        assert_eq!(
            told,
            [
                "eventname string eventName",
                "n bigint -",
                "x_y double x.y",
                "ok boolean -",
                "any string -",
                "list array<string> -",
                "who struct<username:string,mfa:struct<used:boolean,more:string>> -",
                "streamalert_duplicate_keys string streamalert:duplicate_keys",
                "streamalert_invalid_text string streamalert:invalid_text",
                "streamalert_id string -",
                "streamalert_cluster string -",
                "streamalert_time string -",
                "streamalert_arrived string -",
                "streamalert_service string -",
                "streamalert_resource string -",
                "streamalert_object string -",
                "streamalert_offset bigint -",
                "streamalert_length bigint -",
                "streamalert_index bigint -",
                "streamalert_record string -",
            ]
        );
    }

    #[test]
    fn alerts_have_a_column_for_each_key_of_what_outputs_get() {
        let alert = crate::alert::samples::alert();
        let publication = crate::alert_processor::publication::default_publication(&alert);
        let keys: Vec<&str> = publication.keys().map(String::as_str).collect();
        let columns = alert_columns();
        assert_eq!(columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), keys);
        for column in columns {
            let value = &publication[&column.name];
            let fits = match column.kind.as_str() {
                "boolean" => value.is_boolean(),
                "array<string>" => value.is_array(),
                // Objects are kept as their JSON.
                _ => value.is_string() || value.is_object(),
            };
            assert!(fits, "{}: {value}", column.name);
        }
    }

    #[test]
    fn no_log_type_has_the_table_of_alerts() {
        let text = r#"{"alerts": {"parser": "json", "schema": {"x": "string"}}}"#;
        let schemas = Schemas::read(&[("s.json".to_owned(), text.to_owned())]).unwrap();
        assert_eq!(tables(&["alerts"], &schemas).tables[0].0, "_x61_lerts");
    }

    #[test]
    fn types_that_are_cleaned_to_one_name_have_tables_of_their_own() {
        let text = r#"{"a:b": {"parser": "json", "schema": {"x": "string"}}, "a_b": {"parser": "json", "schema": {"y": "string"}}}"#;
        let schemas = Schemas::read(&[("s.json".to_owned(), text.to_owned())]).unwrap();
        let found = tables(&["a", "a_b", "zz"], &schemas);
        let names: Vec<(&str, &str)> =
            found.tables.iter().map(|(table, t)| (table.as_str(), t.name.as_str())).collect();
        assert_eq!(names, [("a_x3a_b", "a:b"), ("a_b", "a_b")]);
        for (table, log_type) in &found.tables {
            assert!(folders(&log_type.name).contains(table), "{table}");
        }
        assert!(folders("a:b").contains(&"a_b".to_owned()), "where it lies when it is alone");
        assert_eq!(found.unknown, ["zz"]);
    }
}
