//! What the columns of a table are, as Parquet has them. Names and types are those of [`streamalert_pipeline::archive`], so that
//! a catalog and the files agree.

use arrow::datatypes::{DataType, Field, Fields as ArrowFields, Schema, SchemaRef};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};
use streamalert_pipeline::archive::{self, ALERTS, Column, alert_columns, columns, names};
use streamalert_pipeline::columns::{PROVENANCE, all_fields, clean};
use streamalert_pipeline::config::schema::{FieldKind, Fields};
use streamalert_pipeline::config::{LogType, Schemas};

/// The type of a column's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Integer,
    Float,
    Boolean,
    Texts,
    Object(Vec<Entry>),
}

/// A column, or an entry of an object in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    /// What the log calls it.
    pub key: String,
    pub kind: Kind,
}

impl Entry {
    fn field(&self) -> Field {
        Field::new(&self.name, self.kind.data_type(), true)
    }
}

impl Kind {
    fn of(kind: &FieldKind) -> Kind {
        match kind {
            FieldKind::String | FieldKind::Any => Kind::Text,
            FieldKind::Integer => Kind::Integer,
            FieldKind::Float => Kind::Float,
            FieldKind::Boolean => Kind::Boolean,
            FieldKind::List => Kind::Texts,
            FieldKind::Object(fields) if fields.0.is_empty() => Kind::Text,
            FieldKind::Object(fields) => Kind::Object(entries(fields)),
        }
    }

    pub fn data_type(&self) -> DataType {
        match self {
            Kind::Text => DataType::Utf8,
            Kind::Integer => DataType::Int64,
            Kind::Float => DataType::Float64,
            Kind::Boolean => DataType::Boolean,
            Kind::Texts => DataType::List(Arc::new(Field::new("element", DataType::Utf8, true))),
            Kind::Object(entries) => DataType::Struct(entries.iter().map(Entry::field).collect::<ArrowFields>()),
        }
    }
}

fn entries(fields: &Fields) -> Vec<Entry> {
    let kinds = fields.0.iter().map(|field| (field.name.clone(), Kind::of(&field.kind)));
    names(fields).into_iter().zip(kinds).map(|(name, (key, kind))| Entry { name, key, kind }).collect()
}

/// Which key each column is for, by the column's place, as `who.username`; those that are named as their keys are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(BTreeMap<String, String>);

impl Keys {
    pub fn of(entries: &[Entry]) -> Keys {
        fn add(within: &str, entries: &[Entry], keys: &mut BTreeMap<String, String>) {
            for Entry { name, key, kind } in entries {
                // No name has a dot.
                let place = if within.is_empty() { name.clone() } else { format!("{within}.{name}") };
                if let Kind::Object(entries) = kind {
                    add(&place, entries, keys);
                }
                if name != key {
                    keys.insert(place, key.clone());
                }
            }
        }
        let mut keys = BTreeMap::new();
        add("", entries, &mut keys);
        Keys(keys)
    }

    /// From what a file says.
    pub fn read(text: &str) -> Option<Keys> {
        serde_json::from_str(text).ok().map(Keys)
    }

    pub fn to_text(&self) -> String {
        serde_json::json!(self.0).to_string()
    }

    /// The key that a column is for, which is named so and lies there.
    pub fn key<'a>(&'a self, within: &str, name: &'a str) -> &'a str {
        let key = match within {
            "" => self.0.get(name),
            within => self.0.get(&format!("{within}.{name}")),
        };
        key.map_or(name, String::as_str)
    }
}

/// A table of the archive.
#[derive(Debug)]
pub struct Table {
    /// In lower case, as its folder.
    pub name: String,
    /// The log type; of the table of alerts, and of a type that no schema has any more, there is none.
    pub log_type: Option<Arc<LogType>>,
    /// As catalogs have them.
    pub columns: Vec<Column>,
    /// Those that hold a log's own keys.
    pub entries: Vec<Entry>,
    /// [`PROVENANCE`] follows.
    pub has_provenance: bool,
    pub schema: SchemaRef,
    /// What files say of the keys that their columns are for; of a table without a schema, nothing.
    pub keys: Option<String>,
}

impl Table {
    fn new(name: String, log_type: Option<Arc<LogType>>, columns: Vec<Column>, entries: Vec<Entry>) -> Table {
        let has_provenance = name != ALERTS;
        let mut fields: Vec<Field> = entries.iter().map(Entry::field).collect();
        if has_provenance {
            let kind = |kind: &str| if kind == "bigint" { DataType::Int64 } else { DataType::Utf8 };
            fields.extend(PROVENANCE.iter().map(|(name, hive)| Field::new(*name, kind(hive), true)));
        }
        let keys = log_type.is_some().then(|| Keys::of(&entries).to_text());
        Table { name, log_type, columns, entries, has_provenance, schema: Arc::new(Schema::new(fields)), keys }
    }

    fn of(name: &str, log_type: &Arc<LogType>) -> Table {
        let entries = entries(&all_fields(log_type));
        Table::new(name.to_lowercase(), Some(log_type.clone()), columns(log_type), entries)
    }

    /// Of records whose log type no schema has: what we say of them is all that is known.
    fn unknown(log_type: &str) -> Table {
        let columns = PROVENANCE.iter().map(|(name, kind)| Column {
            name: (*name).to_owned(),
            kind: (*kind).to_owned(),
            key: None,
        });
        Table::new(clean(log_type).to_lowercase(), None, columns.collect(), Vec::new())
    }

    /// The column by which rows are known for copies.
    pub fn id_column(&self) -> &'static str {
        id_column(&self.name)
    }
}

/// The column by which rows of a table are known for copies.
pub fn id_column(table: &str) -> &'static str {
    if table == ALERTS { "id" } else { PROVENANCE[0].0 }
}

/// The table of alerts.
pub fn alerts() -> &'static Arc<Table> {
    static TABLE: LazyLock<Arc<Table>> = LazyLock::new(|| {
        let columns = alert_columns();
        let entry = |column: &Column| Entry {
            name: column.name.clone(),
            key: column.name.clone(),
            kind: match column.kind.as_str() {
                "boolean" => Kind::Boolean,
                "array<string>" => Kind::Texts,
                _ => Kind::Text,
            },
        };
        let entries = columns.iter().map(entry).collect();
        Arc::new(Table::new(ALERTS.to_owned(), None, columns, entries))
    });
    &TABLE
}

/// The tables of all log types, and that of alerts.
#[derive(Debug, Default)]
pub struct Tables {
    by_log_type: HashMap<String, Arc<Table>>,
}

impl Tables {
    pub fn of(schemas: &Schemas) -> Tables {
        let all: Vec<&str> = schemas.iter().map(|log_type| log_type.name.as_str()).collect();
        let tables = archive::tables(&all, schemas).tables;
        let by_log_type = tables
            .into_iter()
            .map(|(name, log_type)| (log_type.name.clone(), Arc::new(Table::of(&name, &log_type))))
            .collect();
        Tables { by_log_type }
    }

    /// The table for records of a log type, whether a schema has it or not.
    pub fn get(&self, log_type: &str) -> Arc<Table> {
        match self.by_log_type.get(log_type) {
            Some(table) => table.clone(),
            None => Arc::new(Table::unknown(log_type)),
        }
    }

    /// Whether a schema has the log type.
    pub fn knows(&self, log_type: &str) -> bool {
        self.by_log_type.contains_key(log_type)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Table>> {
        let mut tables: Vec<&Arc<Table>> = self.by_log_type.values().chain([alerts()]).collect();
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        tables.into_iter()
    }
}

/// A type as Hive writes it.
pub fn hive(kind: &DataType) -> String {
    match kind {
        DataType::Int64 | DataType::Int32 | DataType::UInt64 => "bigint".into(),
        DataType::Float64 | DataType::Float32 => "double".into(),
        DataType::Boolean => "boolean".into(),
        DataType::List(inner) => format!("array<{}>", hive(inner.data_type())),
        DataType::Struct(fields) => {
            let entries: Vec<String> =
                fields.iter().map(|field| format!("{}:{}", field.name(), hive(field.data_type()))).collect();
            format!("struct<{}>", entries.join(","))
        }
        _ => "string".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_the_columns_that_catalogs_are_told_of() {
        let text = r#"{"a:B": {"parser": "json", "schema": {
            "eventName": "string", "n": "integer", "x.y": "float", "ok": "boolean", "any": {}, "list": [], "streamalert_id": "string",
            "who": {"userName": "string", "mfa": {"used": "boolean", "more": {}}}
        }}}"#;
        let schemas = Schemas::read(&[("s.json".to_owned(), text.to_owned())]).unwrap();
        let tables = Tables::of(&schemas);
        assert_eq!(tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["a_b", "alerts"]);
        for table in tables.iter().chain([&tables.get("gone:type")]) {
            let files: Vec<(String, String)> =
                table.schema.fields().iter().map(|field| (field.name().clone(), hive(field.data_type()))).collect();
            let catalog: Vec<(String, String)> =
                table.columns.iter().map(|column| (column.name.clone(), column.kind.clone())).collect();
            assert_eq!(files, catalog, "{}", table.name);
        }
        assert_eq!(tables.get("gone:type").name, "gone_type");
    }
}
