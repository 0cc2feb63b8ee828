//! Schema files: what a log type's records look like.

use super::normalization::{self, FieldMap, Normalizer, OcsfEvent};
use super::ocsf::Class;
use super::{ConfigFault, ConfigFaults};
use crate::log_record::{DUPLICATES_KEY, ECS_KEY, ENVELOPE_KEY, INVALID_KEY, IOC_KEY, NORMALIZATION_KEY, OCSF_KEY};
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::sync::{Arc, OnceLock};
use streamalert_formats::grok;

/// One log type, ready for the classifier.
#[derive(Debug)]
pub struct LogType {
    /// `source` or `source:subtype`.
    pub name: String,
    pub parser: Parser,
    pub fields: Fields,
    /// Outer fields kept with each record.
    pub envelope: Fields,
    pub options: Options,
    pub normalization: Vec<Normalizer>,
    /// The first whose condition holds says what OCSF class a record is of.
    pub ocsf: Vec<OcsfEvent>,
    pub ecs: FieldMap,
    /// As the file says it.
    pub priority: Option<i64>,
    /// Place in the order in which types are preferred: 0 first.
    pub rank: usize,
    pub file: String,
    /// The parser component whose records these are; nothing else is classified as one.
    pub component: Option<Arc<str>>,
}

impl LogType {
    /// The part of the name that sources refer to.
    pub fn source(&self) -> &str {
        self.name.split(':').next().unwrap_or_default()
    }

    /// Whether any field is an object with fields of its own.
    pub fn has_objects(&self) -> bool {
        self.fields.0.iter().any(|field| matches!(field.kind, FieldKind::Object(_)))
    }

    /// Whether `name`, a source or a full type, stands for this type.
    pub fn is_named_by(&self, name: &str) -> bool {
        name == self.name || name == self.source()
    }

    /// Whether its records may get this key from us. If a log brings a key of that name, it is left out: only ours counts.
    pub fn adds(&self, key: &str) -> bool {
        match key {
            ENVELOPE_KEY => !self.envelope.0.is_empty(),
            NORMALIZATION_KEY => !self.normalization.is_empty(),
            OCSF_KEY => !self.ocsf.is_empty(),
            ECS_KEY => !self.ecs.entries.is_empty(),
            // Whoever sends these himself may not say what only we can know.
            DUPLICATES_KEY | INVALID_KEY | IOC_KEY => true,
            _ => false,
        }
    }

    /// What its records may have for rules that ask by datatype: normalized names, `ocsf:<class>`, `ecs:<field>`.
    pub fn datatypes(&self) -> impl Iterator<Item = Datatype<'_>> {
        let names = self.normalization.iter().map(|normalizer| Datatype::Name(&normalizer.name));
        let classes = self.ocsf.iter().map(|event| Datatype::Ocsf(event.class));
        names.chain(classes).chain(self.ecs.names.iter().map(|name| Datatype::Ecs(name)))
    }

    pub fn declares(&self, datatype: &str) -> bool {
        Datatype::parse(datatype).is_some_and(|wanted| self.datatypes().any(|own| own == wanted))
    }
}

/// A meaning that records of many log types share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datatype<'a> {
    /// A name under `normalization`.
    Name(&'a str),
    Ocsf(&'static Class),
    /// A field under `ecs`.
    Ecs(&'a str),
}

impl<'a> Datatype<'a> {
    /// As rules write it: `ip_address`, `ocsf:authentication` (or the class's number), `ecs:source.ip`. `None`: there is no
    /// such class.
    pub fn parse(text: &'a str) -> Option<Self> {
        match text.split_once(':') {
            Some(("ocsf", class)) => Class::find(class).map(Datatype::Ocsf),
            Some(("ecs", field)) => Some(Datatype::Ecs(field)),
            _ => Some(Datatype::Name(text)),
        }
    }
}

impl std::fmt::Display for Datatype<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Datatype::Name(name) => f.write_str(name),
            Datatype::Ocsf(class) => write!(f, "ocsf:{}", class.name),
            Datatype::Ecs(field) => write!(f, "ecs:{field}"),
        }
    }
}

/// What turns bytes into fields. The first four are the original's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parser {
    Json,
    Csv,
    Kv,
    Syslog,
    /// ArcSight Common Event Format.
    Cef,
    /// IBM Log Event Extended Format.
    Leef,
    Logfmt,
    /// W3C extended: `#Fields:` names the columns.
    W3c,
    /// Columns between spaces, `"…"` and `[…]` around some, `-` for nothing: access logs of AWS.
    Space,
    /// Grok patterns, or regular expressions with named groups.
    Grok,
    /// Events of Windows as XML.
    WindowsEvent,
}

impl Parser {
    pub const ALL: [Parser; 11] = [
        Parser::Json,
        Parser::Csv,
        Parser::Kv,
        Parser::Syslog,
        Parser::Cef,
        Parser::Leef,
        Parser::Logfmt,
        Parser::W3c,
        Parser::Space,
        Parser::Grok,
        Parser::WindowsEvent,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Parser::Json => "json",
            Parser::Csv => "csv",
            Parser::Kv => "kv",
            Parser::Syslog => "syslog",
            Parser::Cef => "cef",
            Parser::Leef => "leef",
            Parser::Logfmt => "logfmt",
            Parser::W3c => "w3c",
            Parser::Space => "space",
            Parser::Grok => "grok",
            Parser::WindowsEvent => "windows_event",
        }
    }

    /// Fields that every text of the format has, or may have: a schema picks of them what it wants, and those it does not
    /// name are not unknown.
    pub fn offered(self) -> &'static [&'static str] {
        match self {
            Parser::Syslog => &[
                "priority",
                "facility",
                "severity",
                "version",
                "sequence",
                "timestamp",
                "host",
                "device",
                "application",
                "process_id",
                "message_id",
                "structured_data",
                "message",
            ],
            Parser::Cef => &[
                "syslog_timestamp",
                "syslog_host",
                "cef_version",
                "device_vendor",
                "device_product",
                "device_version",
                "device_event_class_id",
                "name",
                "severity",
            ],
            Parser::Leef => {
                &["syslog_timestamp", "syslog_host", "leef_version", "vendor", "product", "product_version", "event_id"]
            }
            Parser::WindowsEvent => &["System", "EventData", "UserData", "RenderingInfo"],
            _ => &[],
        }
    }
}

/// What becomes of keys that a schema does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownKeys {
    /// They make the record one of another type, as in the original.
    Reject,
    /// They are kept, if no type fits exactly.
    #[default]
    Keep,
    /// They are left out, if no type fits exactly.
    Drop,
}

/// The fields of an object, in the order of the file.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Fields(pub Vec<Field>);

#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    pub kind: FieldKind,
    pub optional: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FieldKind {
    String,
    Integer,
    Float,
    Boolean,
    /// `{}`: any object, in fact any value.
    Any,
    /// `[]`
    List,
    /// An object with exactly these fields.
    Object(Fields),
}

impl FieldKind {
    pub fn name(&self) -> &'static str {
        match self {
            FieldKind::String => "string",
            FieldKind::Integer => "integer",
            FieldKind::Float => "float",
            FieldKind::Boolean => "boolean",
            FieldKind::Any => "{}",
            FieldKind::List => "[]",
            FieldKind::Object(_) => "object",
        }
    }
}

impl Fields {
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|field| field.name == name)
    }
}

#[derive(Debug, Default)]
pub struct Options {
    pub json_path: Option<JsonPath>,
    pub embedded_json: bool,
    pub json_regex_key: Option<String>,
    pub log_patterns: Vec<LogPattern>,
    pub unknown_keys: UnknownKeys,
    /// What parsers of text need to know.
    pub text: TextOptions,
    /// Its patterns, compiled.
    pub grok: Vec<grok::Pattern>,
}

/// How a text is divided into fields. Records whose types have the same options are parsed once for all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextOptions {
    /// csv: one character, `,` if none is given; kv: any text, a space if none is given.
    pub delimiter: Option<String>,
    /// kv: between key and value, `=` if none is given.
    pub separator: Option<String>,
    /// csv, kv: `"` if none is given.
    pub quote: Option<char>,
    pub escape: Option<char>,
    /// csv, space: the first line of an object names the columns.
    pub header: bool,
    /// grok: the first that fits counts.
    pub patterns: Vec<String>,
    /// grok: further names, with what they stand for.
    pub definitions: std::collections::BTreeMap<String, String>,
}

/// Where records lie within an input.
#[derive(Debug)]
pub struct JsonPath {
    pub text: String,
    pub plan: PathPlan,
}

#[derive(Debug)]
pub enum PathPlan {
    /// Keys and projections only, which is nearly every path: walked without building anything.
    Steps(Vec<PathStep>),
    /// Any other JMESPath expression.
    Expression(Box<jmespath::Expression<'static>>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum PathStep {
    Key(String),
    /// `[*]`: every item of a list.
    Each,
}

/// A wildcard condition on a value that a record must satisfy to be of the type.
#[derive(Debug)]
pub struct LogPattern {
    /// Keys from the record's root; from the envelope's root if `in_envelope`.
    pub path: Vec<String>,
    pub in_envelope: bool,
    pub wildcards: Vec<Wildcard>,
    /// As written, for explanations.
    pub text: String,
}

/// All log types.
#[derive(Debug, Default)]
pub struct Schemas {
    types: Vec<Arc<LogType>>,
    /// Worth saying, but no reason to stop.
    pub warnings: Vec<ConfigFault>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawType {
    parser: Parser,
    schema: Map<String, Value>,
    #[serde(default)]
    configuration: RawOptions,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawOptions {
    json_path: Option<String>,
    embedded_json: bool,
    json_regex_key: Option<String>,
    envelope_keys: Option<Map<String, Value>>,
    optional_envelope_keys: Option<Names>,
    optional_top_level_keys: Option<Names>,
    log_patterns: Option<Map<String, Value>>,
    priority: Option<Value>,
    delimiter: Option<String>,
    separator: Option<String>,
    quotechar: Option<String>,
    escapechar: Option<String>,
    header: bool,
    pattern: Option<OneOrMany>,
    pattern_definitions: Option<Map<String, Value>>,
    unknown_keys: UnknownKeys,
    normalization: Option<Map<String, Value>>,
    ocsf: Option<Value>,
    ecs: Option<Value>,
}

/// A list of names, or an object of which the keys count.
#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    List(Vec<String>),
    Object(Map<String, Value>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Names {
    fn into_names(self) -> Vec<String> {
        match self {
            Names::List(names) => names,
            Names::Object(object) => object.into_iter().map(|(name, _)| name).collect(),
        }
    }
}

impl Schemas {
    /// Reads schema files, given as (name, text) in any order: they are taken in order of their names, so that the same
    /// files mean the same thing on every machine.
    pub fn read(files: &[(String, String)]) -> Result<Schemas, ConfigFaults> {
        let mut files: Vec<&(String, String)> = files.iter().collect();
        files.sort();
        let mut faults = Vec::new();
        let mut schemas = Schemas::default();
        let mut found: Vec<LogType> = Vec::new();
        for (file, text) in files {
            let types: Map<String, Value> = match serde_json::from_str(text) {
                Ok(types) => types,
                Err(error) => {
                    faults.push(ConfigFault {
                        file: file.clone(),
                        path: String::new(),
                        message: format!("not a JSON object of log types: {error}"),
                    });
                    continue;
                }
            };
            for path in repeated_names(text) {
                schemas.warnings.push(ConfigFault {
                    file: file.clone(),
                    path,
                    message: "stands here twice, and only the last counts; remove or rename one".to_owned(),
                });
            }
            for (name, value) in types {
                let mut at = Faults { file, name: &name, list: &mut faults };
                let Some(log_type) = read_type(&mut at, &name, value) else { continue };
                if let Some(earlier) = found.iter().position(|earlier| earlier.name == name) {
                    schemas.warnings.push(ConfigFault {
                        file: file.clone(),
                        path: name.clone(),
                        message: format!("also defined in {}; this later one counts, remove one", found[earlier].file),
                    });
                    found.remove(earlier);
                }
                normalization::strange_paths(&log_type, &mut schemas.warnings);
                found.push(log_type);
            }
        }
        if !faults.is_empty() {
            return Err(ConfigFaults(faults));
        }
        // Stable: without a priority, the order of files and of types within them counts, after all that have one.
        found.sort_by_key(|log_type| log_type.priority.unwrap_or(i64::MAX));
        schemas.types =
            found.into_iter().enumerate().map(|(rank, log_type)| Arc::new(LogType { rank, ..log_type })).collect();
        Ok(schemas)
    }

    /// These and the types of a parser component, whose schema file is `text`. A type that is there already is a fault.
    pub fn with_component(&self, component: &str, text: &str) -> Result<Schemas, ConfigFaults> {
        let more = Schemas::read(&[(component.to_owned(), text.to_owned())])?;
        let clash = |log_type: &&Arc<LogType>| self.get(&log_type.name).is_some();
        let faults: Vec<ConfigFault> = more
            .iter()
            .filter(clash)
            .map(|log_type| ConfigFault {
                file: component.to_owned(),
                path: log_type.name.clone(),
                message: "a log type of this name is there already; rename one".to_owned(),
            })
            .collect();
        if !faults.is_empty() {
            return Err(ConfigFaults(faults));
        }
        let mut types = self.types.clone();
        for log_type in more.types {
            let Some(log_type) = Arc::into_inner(log_type) else { continue };
            types.push(Arc::new(LogType { rank: types.len(), component: Some(component.into()), ..log_type }));
        }
        Ok(Schemas { types, warnings: self.warnings.clone() })
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<LogType>> {
        self.types.iter()
    }

    pub fn get(&self, name: &str) -> Option<&Arc<LogType>> {
        self.types.iter().find(|log_type| log_type.name == name)
    }

    /// Every datatype that some log type declares, as rules write it.
    pub fn datatypes(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.iter().flat_map(|log_type| log_type.datatypes().map(|datatype| datatype.to_string())).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Whether any type goes by this source or full name.
    pub fn knows(&self, name: &str) -> bool {
        self.types.iter().any(|log_type| log_type.is_named_by(name))
    }

    pub fn len(&self) -> usize {
        self.types.len()
    }

    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }
}

/// Names that come twice in one object of a JSON text, as dotted paths: all but the last are lost when it is read.
pub(super) fn repeated_names(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut path = Vec::new();
    let mut reader = serde_json::Deserializer::from_str(text);
    // What is no JSON is told of by whoever reads it.
    let _ = Repeated { path: &mut path, found: &mut found }.deserialize(&mut reader);
    found
}

struct Repeated<'a> {
    path: &'a mut Vec<String>,
    found: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Repeated<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Repeated<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = std::collections::BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            self.path.push(key.clone());
            if !seen.insert(key) {
                self.found.push(self.path.join("."));
            }
            map.next_value_seed(Repeated { path: &mut *self.path, found: &mut *self.found })?;
            self.path.pop();
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Repeated { path: &mut *self.path, found: &mut *self.found })?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

pub(super) struct Faults<'a> {
    file: &'a str,
    name: &'a str,
    list: &'a mut Vec<ConfigFault>,
}

impl Faults<'_> {
    pub fn add(&mut self, path: &str, message: impl Into<String>) {
        let path = if path.is_empty() { self.name.to_owned() } else { format!("{}.{path}", self.name) };
        self.list.push(ConfigFault { file: self.file.to_owned(), path, message: message.into() });
    }
}

fn read_type(faults: &mut Faults<'_>, name: &str, value: Value) -> Option<LogType> {
    let before = faults.list.len();
    if name.is_empty() || name.starts_with(':') {
        faults.add("", "a log type is named source or source:subtype");
    }
    let raw: RawType = match serde_path_to_error::deserialize(value) {
        Ok(raw) => raw,
        Err(error) => {
            let path = error.path().to_string();
            faults.add(if path == "." { "" } else { &path }, error.inner().to_string());
            return None;
        }
    };
    let options = raw.configuration;
    let mut fields = read_fields(faults, "schema", &raw.schema);
    let mut envelope = options
        .envelope_keys
        .as_ref()
        .map(|keys| read_fields(faults, "configuration.envelope_keys", keys))
        .unwrap_or_default();
    mark_optional(faults, "optional_top_level_keys", "schema", &mut fields, options.optional_top_level_keys);
    mark_optional(
        faults,
        "optional_envelope_keys",
        "configuration.envelope_keys",
        &mut envelope,
        options.optional_envelope_keys,
    );
    let json_path = options.json_path.and_then(|text| match read_json_path(&text) {
        Ok(path) => Some(path),
        Err(message) => {
            faults.add("configuration.json_path", message);
            None
        }
    });
    let mut log_patterns = Vec::new();
    for (key, value) in options.log_patterns.iter().flatten() {
        let mut path = vec![key.clone()];
        read_patterns(faults, &mut path, value, &mut log_patterns);
    }
    let priority = options.priority.as_ref().and_then(|value| {
        let priority = value.as_i64().or_else(|| value.as_str()?.trim().parse().ok());
        if priority.is_none() {
            faults.add("configuration.priority", format!("{value} is no whole number; 0 is tried first"));
        }
        priority
    });
    let names = options.normalization.unwrap_or_default();
    let normalization = normalization::read_normalizers(faults, &names);
    let ocsf = options.ocsf.map(|value| normalization::read_ocsf(faults, &value)).unwrap_or_default();
    let ecs = options.ecs.map(|value| normalization::read_ecs(faults, &value)).unwrap_or_default();
    if raw.parser != Parser::Json {
        for (option, set) in
            [("embedded_json", options.embedded_json), ("json_regex_key", options.json_regex_key.is_some())]
        {
            if set {
                faults.add(&format!("configuration.{option}"), "is for the parser json; remove it");
            }
        }
    }
    let text = TextOptions {
        quote: one_character(faults, "quotechar", &options.quotechar),
        escape: one_character(faults, "escapechar", &options.escapechar),
        delimiter: options.delimiter,
        separator: options.separator,
        header: options.header,
        patterns: match options.pattern {
            None => Vec::new(),
            Some(OneOrMany::One(pattern)) => vec![pattern],
            Some(OneOrMany::Many(patterns)) => patterns,
        },
        definitions: read_definitions(faults, options.pattern_definitions),
    };
    let grok = check_text_options(faults, raw.parser, &text, &fields);
    (faults.list.len() == before).then(|| {
        let options = Options {
            json_path,
            embedded_json: options.embedded_json,
            json_regex_key: options.json_regex_key,
            log_patterns,
            unknown_keys: options.unknown_keys,
            text,
            grok,
        };
        LogType {
            name: name.to_owned(),
            parser: raw.parser,
            fields,
            envelope,
            options,
            normalization,
            ocsf,
            ecs,
            priority,
            rank: 0,
            file: faults.file.to_owned(),
            component: None,
        }
    })
}

fn one_character(faults: &mut Faults<'_>, option: &str, text: &Option<String>) -> Option<char> {
    let text = text.as_ref()?;
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(only), None) => Some(only),
        _ => {
            faults.add(&format!("configuration.{option}"), format!("is {text:?}, and must be one character"));
            None
        }
    }
}

fn read_definitions(
    faults: &mut Faults<'_>,
    definitions: Option<Map<String, Value>>,
) -> std::collections::BTreeMap<String, String> {
    let mut found = std::collections::BTreeMap::new();
    for (name, value) in definitions.into_iter().flatten() {
        match value {
            Value::String(text) => drop(found.insert(name, text)),
            other => faults.add(
                &format!("configuration.pattern_definitions.{name}"),
                format!("is {other}, and must be a pattern as text"),
            ),
        }
    }
    found
}

/// Options that the parser does not know, and values it cannot work with.
/// Gives what the patterns were compiled to.
fn check_text_options(
    faults: &mut Faults<'_>,
    parser: Parser,
    text: &TextOptions,
    fields: &Fields,
) -> Vec<grok::Pattern> {
    let mut compiled = Vec::new();
    use Parser::{Csv, Grok, Kv, Space};
    let mut foreign = |option: &str, set: bool, of: &[Parser]| {
        if set && !of.contains(&parser) {
            let names: Vec<&str> = of.iter().map(|parser| parser.name()).collect();
            faults.add(
                &format!("configuration.{option}"),
                format!("means nothing to the parser {}; it is for {}; remove it", parser.name(), names.join(" and ")),
            );
        }
    };
    foreign("delimiter", text.delimiter.is_some(), &[Csv, Kv]);
    foreign("separator", text.separator.is_some(), &[Kv]);
    foreign("quotechar", text.quote.is_some(), &[Csv, Kv]);
    foreign("escapechar", text.escape.is_some(), &[Csv, Kv]);
    foreign("header", text.header, &[Csv, Space]);
    foreign("pattern", !text.patterns.is_empty(), &[Grok]);
    foreign("pattern_definitions", !text.definitions.is_empty(), &[Grok]);
    for (option, value) in [("delimiter", &text.delimiter), ("separator", &text.separator)] {
        if value.as_ref().is_some_and(String::is_empty) {
            faults.add(&format!("configuration.{option}"), "must not be empty");
        }
    }
    match parser {
        Csv => {
            let delimiter = text.delimiter.as_deref().unwrap_or(",");
            if delimiter.len() > 1 {
                let message = format!("is {delimiter:?}, and must be one ASCII character for csv");
                faults.add("configuration.delimiter", message);
            }
            for (option, value) in [("quotechar", text.quote), ("escapechar", text.escape)] {
                if value.is_some_and(|value| !value.is_ascii()) {
                    faults.add(&format!("configuration.{option}"), "must be an ASCII character for csv");
                }
            }
            if text.quote.is_some_and(|quote| delimiter.starts_with(quote)) {
                faults.add("configuration.quotechar", "is the delimiter too; choose another");
            }
            if fields.0.is_empty() {
                faults.add("schema", "needs a field for each column");
            }
        }
        Space if fields.0.is_empty() => faults.add("schema", "needs a field for each column"),
        Grok => {
            if text.patterns.is_empty() {
                faults.add("configuration.pattern", "is missing; write a grok pattern, or a list of them");
            }
            for (index, pattern) in text.patterns.iter().enumerate() {
                match grok::Pattern::compile(pattern, &text.definitions) {
                    Ok(pattern) => compiled.push(pattern),
                    Err(fault) => faults.add(&format!("configuration.pattern[{index}]"), fault.to_string()),
                }
            }
        }
        _ => {}
    }
    compiled
}

fn read_fields(faults: &mut Faults<'_>, path: &str, object: &Map<String, Value>) -> Fields {
    Fields(
        object
            .iter()
            .map(|(name, value)| Field {
                name: name.clone(),
                kind: read_kind(faults, &format!("{path}.{name}"), value),
                optional: false,
            })
            .collect(),
    )
}

fn read_kind(faults: &mut Faults<'_>, path: &str, value: &Value) -> FieldKind {
    match value {
        Value::String(name) => match name.as_str() {
            "string" => FieldKind::String,
            "integer" => FieldKind::Integer,
            "float" => FieldKind::Float,
            "boolean" => FieldKind::Boolean,
            other => {
                faults.add(path, format!("`{other}` is no type; use string, integer, float, boolean, {{}} or []"));
                FieldKind::Any
            }
        },
        Value::Object(object) if object.is_empty() => FieldKind::Any,
        Value::Object(object) => FieldKind::Object(read_fields(faults, path, object)),
        Value::Array(_) => FieldKind::List,
        other => {
            faults.add(path, format!("`{other}` is no type; use string, integer, float, boolean, {{}} or []"));
            FieldKind::Any
        }
    }
}

fn mark_optional(faults: &mut Faults<'_>, option: &str, of: &str, fields: &mut Fields, names: Option<Names>) {
    for name in names.map(Names::into_names).unwrap_or_default() {
        match fields.position(&name) {
            Some(index) => fields.0[index].optional = true,
            None => faults.add(
                &format!("configuration.{option}"),
                format!("`{name}` is not in {of}; add it there or remove it here"),
            ),
        }
    }
}

/// Reads a JMESPath expression, and recognises the ones that are only keys and `[*]`.
pub fn read_json_path(text: &str) -> Result<JsonPath, String> {
    let steps = simple_steps(text);
    let plan = match steps {
        Some(steps) => PathPlan::Steps(steps),
        None => PathPlan::Expression(Box::new(
            jmespath::compile(text).map_err(|error| format!("`{text}` is no JMESPath expression: {error}"))?,
        )),
    };
    Ok(JsonPath { text: text.to_owned(), plan })
}

fn simple_steps(text: &str) -> Option<Vec<PathStep>> {
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("[*]") {
            steps.push(PathStep::Each);
            rest = after;
            continue;
        }
        if !steps.is_empty() {
            rest = rest.strip_prefix('.')?;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let key = &rest[..end];
        if key.is_empty() || key.as_bytes()[0].is_ascii_digit() {
            return None;
        }
        steps.push(PathStep::Key(key.to_owned()));
        rest = &rest[end..];
    }
    // One projection at most: what nested ones flatten to is left to the full evaluator.
    (!steps.is_empty() && steps.iter().filter(|step| **step == PathStep::Each).count() <= 1).then_some(steps)
}

fn read_patterns(faults: &mut Faults<'_>, path: &mut Vec<String>, value: &Value, out: &mut Vec<LogPattern>) {
    let texts: Vec<&str> = match value {
        Value::Object(object) => {
            for (key, value) in object {
                path.push(key.clone());
                read_patterns(faults, path, value, out);
                path.pop();
            }
            return;
        }
        Value::String(text) => vec![text],
        Value::Array(items) if items.iter().all(Value::is_string) => items.iter().filter_map(Value::as_str).collect(),
        _ => {
            faults.add(
                &format!("configuration.log_patterns.{}", path.join(".")),
                "must be a pattern, a list of patterns or an object of them",
            );
            return;
        }
    };
    let in_envelope = path[0] == ENVELOPE_KEY;
    out.push(LogPattern {
        path: path[usize::from(in_envelope)..].to_vec(),
        in_envelope,
        wildcards: texts.iter().map(|text| Wildcard::new(text)).collect(),
        text: texts.join("` or `"),
    });
}

/// Shell wildcards over the whole text: `*`, `?`, `[a-z]`, `[!a-z]`. What is no wildcard stands for itself.
#[derive(Debug)]
pub struct Wildcard {
    text: String,
    /// Made when it is asked for the first time: a function that starts for a single batch asks few of hundreds.
    regex: OnceLock<regex::Regex>,
}

impl Wildcard {
    pub fn new(text: &str) -> Self {
        Wildcard { text: text.to_owned(), regex: OnceLock::new() }
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn is_match(&self, text: &str) -> bool {
        self.regex.get_or_init(|| regex_of(&self.text)).is_match(text)
    }
}

fn regex_of(pattern: &str) -> regex::Regex {
    let mut out = String::from("(?s)^");
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => {
                let negated = rest.starts_with('!');
                let body = &rest[usize::from(negated)..];
                // A bracket right at the beginning belongs to the set.
                match body.char_indices().skip(1).find(|(_, c)| *c == ']').map(|(at, _)| at) {
                    Some(end) => {
                        out.push_str(if negated { "[^" } else { "[" });
                        for c in body[..end].chars() {
                            if c != '-' && !c.is_alphanumeric() {
                                out.push('\\');
                            }
                            out.push(c);
                        }
                        out.push(']');
                        rest = &body[end + 1..];
                    }
                    None => out.push_str("\\["),
                }
            }
            other => out.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push('$');
    regex::Regex::new(&out).unwrap_or_else(|_| {
        // A set such as [z-a] means nothing: it matches nothing but itself.
        regex::Regex::new(&format!("^{}$", regex::escape(pattern))).expect("an escaped text is a pattern")
    })
}
