//! Case files: what goes in, what must come out. For rules in the format of StreamAlert's test events, for parsers in one of
//! our own.

mod parsing;

pub use parsing::{Expected, ParserBody};

use super::languages::Language;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use streamalert_local::config_folder::LookupTables;

/// The folders that hold case files.
const FOLDER: &str = "cases";
/// Seconds that `<helper:last_hour>` lies back: any moment within the last hour would do.
const LAST_HOUR_SECONDS: i64 = 60;

const KEYS: [&str; 12] = [
    "description",
    "log",
    "service",
    "source",
    "data",
    "override_record",
    "trigger_rules",
    "classify_only",
    "compress",
    "publisher_tests",
    "skip_publishers",
    "test_fixtures",
];

pub struct CaseFile {
    pub path: PathBuf,
    /// Why nothing of the file can be used, or its cases.
    pub cases: Result<Vec<Case>, String>,
}

pub struct Case {
    pub description: String,
    /// In the file, from 1.
    pub line: usize,
    /// What the case says, or why it says nothing that can be run.
    pub body: Result<Subject, String>,
    /// Worth saying, but no reason to fail.
    pub warnings: Vec<String>,
}

/// What a case is about.
pub enum Subject {
    Rules(Body),
    Parser(ParserBody),
}

impl Subject {
    /// The rules it expects.
    pub fn rules(&self) -> &[String] {
        match self {
            Subject::Rules(body) => &body.trigger_rules,
            Subject::Parser(_) => &[],
        }
    }

    /// The parser it gives its input to.
    pub fn parser(&self) -> Option<&str> {
        match self {
            Subject::Rules(_) => None,
            Subject::Parser(body) => Some(&body.parser),
        }
    }
}

pub struct Body {
    pub log: String,
    pub service: String,
    pub source: String,
    pub input: Input,
    pub trigger_rules: Vec<String>,
    pub classify_only: bool,
    pub compress: bool,
    /// Instead of all tables of the configuration.
    pub lookup_tables: Option<LookupTables>,
    /// What is known of values of its records.
    pub threat_intel: Option<Vec<KnownIoc>>,
    pub skip_publishers: bool,
    pub publisher_tests: Vec<PublicationTest>,
}

/// An indicator, as StreamAlert's test events have them.
#[derive(Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownIoc {
    pub ioc_value: String,
    pub ioc_type: String,
    #[serde(default)]
    pub sub_type: String,
    #[serde(default = "fixture")]
    pub source: String,
}

fn fixture() -> String {
    "test_fixtures".to_owned()
}

/// What a publication must hold.
#[derive(Clone)]
pub struct PublicationTest {
    /// `service:descriptor`, or a service alone.
    pub output: String,
    /// JMESPath.
    pub path: String,
    pub expression: jmespath::Expression<'static>,
    pub condition: Condition,
    pub value: Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Is,
    /// The publication's value is one of those, or a part of that text.
    In,
    /// The publication's value has that item, key or text in it.
    Contains,
}

impl Condition {
    fn named(name: &str) -> Option<Self> {
        match name {
            "is" => Some(Condition::Is),
            "in" => Some(Condition::In),
            "contains" => Some(Condition::Contains),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Condition::Is => "is",
            Condition::In => "in",
            Condition::Contains => "contains",
        }
    }

    pub fn holds(self, found: &Value, value: &Value) -> bool {
        let contains = |whole: &Value, part: &Value| match (whole, part) {
            (Value::Array(items), part) => items.contains(part),
            (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
            (Value::Object(object), Value::String(key)) => object.contains_key(key),
            _ => false,
        };
        match self {
            Condition::Is => found == value,
            Condition::In => contains(value, found),
            Condition::Contains => contains(found, value),
        }
    }
}

pub enum Input {
    /// As it is sent.
    Data(String),
    /// A part of a record; defaults stand in for the rest.
    Part(Map<String, Value>),
}

/// The case files in `cases` folders below `place`, sorted; `place` may also be such a file.
///
/// Below a folder that is a plugin, or a workspace of them, not those of others: of one rule in several languages, which lie beside
/// the languages' folders and cannot be tested by all at once; and where this folder is what is `built`, of folders that are
/// plugins of their own.
pub fn find(place: &Path, built: bool) -> std::io::Result<Vec<PathBuf>> {
    if place.is_file() {
        return Ok(vec![place.to_path_buf()]);
    }
    let inside = std::fs::canonicalize(place)?.components().any(|part| part.as_os_str() == FOLDER);
    let own = Language::of(place);
    let of_others = |folder: &Path| match (own, Language::of(folder)) {
        (None, _) => false,
        (Some(_), None) => folder.join(FOLDER).is_dir() && several_languages(folder),
        // What of a workspace's crates is its member, cargo knows.
        (Some(Language::Rust), Some(Language::Rust)) => false,
        (Some(_), Some(_)) => built,
    };
    let mut files = Vec::new();
    walk(place, inside, &of_others, &mut files)?;
    files.sort();
    Ok(files)
}

/// Whether folders right below are plugins, and not all in one language.
fn several_languages(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut languages = entries.filter_map(|entry| Language::of(&entry.path()));
    languages.next().is_some_and(|first| languages.any(|other| other != first))
}

fn walk(
    folder: &Path,
    inside: bool,
    of_others: &dyn Fn(&Path) -> bool,
    files: &mut Vec<PathBuf>,
) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        // Links are not followed: they may lead in circles.
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if name != "target" && !name.starts_with('.') && !of_others(&path) {
                walk(&path, inside || name == FOLDER, of_others, files)?;
            }
        } else if inside && name.ends_with(".json") && !name.starts_with('.') {
            files.push(path);
        }
    }
    Ok(())
}

/// Reads a file; `now` is in seconds since 1970 and becomes what `<helper:last_hour>` stands for.
pub fn read(path: &Path, now: i64) -> CaseFile {
    let cases = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"));
    let folder = path.parent().unwrap_or(Path::new("."));
    CaseFile { path: path.to_path_buf(), cases: cases.and_then(|text| parse(&text, now, folder)) }
}

/// `folder`: where files lie that a case names.
fn parse(text: &str, now: i64, folder: &Path) -> Result<Vec<Case>, String> {
    let text = text.trim_start_matches('\u{feff}');
    let raw: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| match error.is_data() {
        true => "a case file is a JSON list of cases: put [ and ] around them".to_owned(),
        false => format!("not JSON: {error}"),
    })?;
    Ok(raw.into_iter().enumerate().map(|(index, raw)| case(text, index, raw.get(), now, folder)).collect())
}

fn case(text: &str, index: usize, raw: &str, now: i64, folder: &Path) -> Case {
    let offset = raw.as_ptr() as usize - text.as_ptr() as usize;
    let mut case = Case {
        description: format!("case {}", index + 1),
        line: text[..offset].matches('\n').count() + 1,
        body: Err(String::new()),
        warnings: Vec::new(),
    };
    let fields: BTreeMap<String, &RawValue> = match serde_json::from_str(raw) {
        Ok(fields) => fields,
        Err(_) => {
            case.body = Err("a case is an object".to_owned());
            return case;
        }
    };
    if let Ok(Some(description)) = optional::<String>(&fields, "description", "text") {
        case.description = description;
    }
    if fields.contains_key("parser") {
        case.warnings.extend(parsing::unknown_keys(fields.keys().map(String::as_str)));
        case.body = parsing::body(&fields, folder).map(Subject::Parser);
        return case;
    }
    for key in fields.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        let hint = match key.as_str() {
            "validate_schema_only" => ": it is called `classify_only`",
            "threat_intel" | "lookup_tables" => ": it belongs into `test_fixtures`",
            _ => "",
        };
        case.warnings.push(format!("unknown key `{key}`{hint}"));
    }
    case.body = body(&fields, now, &mut case.warnings).map(Subject::Rules);
    case
}

fn body(fields: &BTreeMap<String, &RawValue>, now: i64, warnings: &mut Vec<String>) -> Result<Body, String> {
    let _: String = required(fields, "description", "text")?;
    let classify_only = optional(fields, "classify_only", "true or false")?.unwrap_or(false);
    let trigger_rules: Option<Vec<String>> = optional(fields, "trigger_rules", "a list of names of rules")?;
    if trigger_rules.is_none() && !classify_only {
        return Err(
            "`trigger_rules` is missing: list the rules that must fire, [] for none; or say \"classify_only\": true"
                .into(),
        );
    }
    let skip_publishers = optional(fields, "skip_publishers", "true or false")?.unwrap_or(false);
    let publisher_tests: Option<Map<String, Value>> = optional(fields, "publisher_tests", "an object by output")?;
    let publisher_tests = publisher_tests.filter(|_| !skip_publishers).unwrap_or_default();
    let publisher_tests = publisher_tests.into_iter().map(|(output, tests)| publications(output, tests));
    let publisher_tests = publisher_tests.collect::<Result<Vec<_>, _>>()?.concat();
    let (mut lookup_tables, mut threat_intel) = (None, None);
    let fixtures: Option<BTreeMap<String, &RawValue>> = optional(fields, "test_fixtures", "an object")?;
    for (name, value) in fixtures.iter().flatten() {
        match name.as_str() {
            "lookup_tables" => {
                let tables = serde_json::from_str(value.get());
                lookup_tables = Some(tables.map_err(|_| "`test_fixtures.lookup_tables` must be: table → key → value")?);
            }
            "threat_intel" => {
                let known: Result<Vec<KnownIoc>, _> = serde_json::from_str(value.get());
                threat_intel = Some(known.map_err(|error| {
                    format!("`test_fixtures.threat_intel` must be a list of {{\"ioc_value\", \"ioc_type\", \"sub_type\"}}: {error}")
                })?);
            }
            other => warnings.push(format!("unknown key `test_fixtures.{other}`")),
        }
    }
    Ok(Body {
        log: required(fields, "log", "the name of a log type")?,
        service: required(fields, "service", "text")?,
        source: required(fields, "source", "text")?,
        input: input(fields, now, warnings)?,
        trigger_rules: trigger_rules.unwrap_or_default(),
        classify_only,
        compress: optional(fields, "compress", "true or false")?.unwrap_or(false),
        lookup_tables,
        threat_intel,
        skip_publishers,
        publisher_tests,
    })
}

/// `{"slack:security": [["record.user", "is", "ann"]]}`, or objects of `jmespath_expression`, `condition`, `value`.
fn publications(output: String, tests: Value) -> Result<Vec<PublicationTest>, String> {
    let wrong =
        || format!("`publisher_tests.{output}` must be a list of [path, \"is\", \"in\" or \"contains\", value]");
    let Value::Array(tests) = tests else { return Err(wrong()) };
    let part = |test: &Value, index: usize, name: &str| match test {
        Value::Array(parts) if parts.len() == 3 => parts.get(index).cloned(),
        Value::Object(parts) => parts.get(name).cloned(),
        _ => None,
    };
    let mut all = Vec::new();
    for test in &tests {
        let path = part(test, 0, "jmespath_expression").and_then(|path| Some(path.as_str()?.to_owned()));
        let condition = part(test, 1, "condition").and_then(|condition| Condition::named(condition.as_str()?));
        let (Some(path), Some(condition), Some(value)) = (path, condition, part(test, 2, "value")) else {
            return Err(wrong());
        };
        let output = output.clone();
        let expression =
            jmespath::compile(&path).map_err(|error| format!("`publisher_tests.{output}`: `{path}`: {error}"))?;
        all.push(PublicationTest { output, path, expression, condition, value });
    }
    Ok(all)
}

fn input(fields: &BTreeMap<String, &RawValue>, now: i64, warnings: &mut Vec<String>) -> Result<Input, String> {
    let part = fields.get("override_record");
    let Some(raw) = part.or(fields.get("data")) else {
        return Err("`data` or `override_record` is missing: the input, or a part of a record".into());
    };
    if part.is_some() && fields.contains_key("data") {
        warnings.push("`override_record` counts, `data` does not: remove one".into());
    }
    // In the text as it is written, so that numbers stay as they are written too.
    let text = with_helpers(raw.get(), now)?;
    let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    match (value, part.is_some()) {
        (Value::Object(part), true) => Ok(Input::Part(part)),
        (_, true) => Err("`override_record` must be an object".into()),
        (Value::String(text), false) if !text.is_empty() => Ok(Input::Data(text)),
        (Value::Object(object), false) if !object.is_empty() => Ok(Input::Data(text)),
        _ => Err("`data` must be an object or a text, and not empty".into()),
    }
}

/// Replaces `<helper:last_hour>` wherever it stands.
fn with_helpers(text: &str, now: i64) -> Result<String, String> {
    const OPEN: &str = "<helper:";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(OPEN) {
        let after = &rest[at + OPEN.len()..];
        let end = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
        out += &rest[..at];
        match &after[..end] {
            name if !after[end..].starts_with('>') || name.is_empty() => out += OPEN,
            "last_hour" => {
                out += &(now - LAST_HOUR_SECONDS).to_string();
                rest = &after[end + 1..];
                continue;
            }
            name => return Err(format!("there is no helper `{name}`; there is <helper:last_hour>")),
        }
        rest = after;
    }
    out += rest;
    Ok(out)
}

fn optional<'a, T: serde::Deserialize<'a>>(
    fields: &BTreeMap<String, &'a RawValue>,
    key: &str,
    what: &str,
) -> Result<Option<T>, String> {
    match fields.get(key) {
        None => Ok(None),
        Some(raw) => serde_json::from_str(raw.get()).map(Some).map_err(|_| format!("`{key}` must be {what}")),
    }
}

fn required<'a, T: serde::Deserialize<'a>>(
    fields: &BTreeMap<String, &'a RawValue>,
    key: &str,
    what: &str,
) -> Result<T, String> {
    optional(fields, key, what)?.ok_or_else(|| format!("`{key}` is missing; it must be {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: i64 = 1_700_000_060;

    fn one(mut change: Value) -> Case {
        let mut case = json!({
            "description": "a login", "log": "a:b", "service": "s3", "source": "bucket",
            "data": {"x": 1}, "trigger_rules": [],
        });
        let object = case.as_object_mut().expect("an object");
        object.append(change.as_object_mut().expect("an object"));
        object.retain(|_, value| !value.is_null());
        parse(&json!([case]).to_string(), NOW, Path::new("cases")).expect("a list").remove(0)
    }

    fn fault(change: Value) -> String {
        one(change).body.err().unwrap_or_default()
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert_eq!(fault(json!({})), "");
        for key in ["log", "service", "source", "data", "trigger_rules", "description"] {
            let mut change = json!({});
            change[key] = Value::Null;
            assert!(fault(change).contains(&format!("`{key}`")), "{key}");
        }
        assert!(fault(json!({"data": []})).contains("object or a text"));
        assert!(fault(json!({"data": ""})).contains("not empty"));
        assert!(fault(json!({"trigger_rules": "x"})).contains("list of names"));
        assert_eq!(fault(json!({"trigger_rules": null, "classify_only": true})), "");
        assert!(parse("{}", NOW, Path::new("")).is_err_and(|error| error.contains("JSON list")));
        assert!(parse("[{]", NOW, Path::new("")).is_err_and(|error| error.contains("not JSON")));
    }

    #[test]
    fn what_is_unknown_is_a_warning() {
        let case = one(json!({
            "validate_schema_only": true,
            "publisher_tests": {"slack": [["a.b", "is", 1], {"jmespath_expression": "c", "condition": "contains", "value": "d"}]},
            "test_fixtures": {"threat_intel": [{"ioc_value": "1.2.3.4", "ioc_type": "ip"}], "lookup_tables": {"owners": {"a": 1}}, "x": 1},
        }));
        assert_eq!(
            case.warnings,
            ["unknown key `validate_schema_only`: it is called `classify_only`", "unknown key `test_fixtures.x`"]
        );
        let Ok(Subject::Rules(body)) = case.body else { panic!("no rules") };
        let tables = body.lookup_tables.expect("tables");
        assert_eq!(body.threat_intel.expect("indicators")[0].source, "test_fixtures");
        assert!(fault(json!({"test_fixtures": {"threat_intel": [{"value": 1}]}})).contains("ioc_value"));
        assert_eq!(tables["owners"]["a"], 1);
        let tests: Vec<_> =
            body.publisher_tests.iter().map(|test| (test.path.as_str(), test.condition.name())).collect();
        assert_eq!(tests, [("a.b", "is"), ("c", "contains")]);
        for wrong in [json!([["a", "equals", 1]]), json!([["a", "is"]]), json!({}), json!([1])] {
            assert!(fault(json!({"publisher_tests": {"slack": wrong}})).contains("publisher_tests.slack"), "{wrong}");
        }
        assert!(fault(json!({"publisher_tests": {"slack": [["a[", "is", 1]]}})).contains("`a[`"));
        assert_eq!(fault(json!({"publisher_tests": {"slack": 1}, "skip_publishers": true})), "");
    }

    #[test]
    fn conditions() {
        use Condition::{Contains, In, Is};
        for (found, condition, value, holds) in [
            (json!(1), Is, json!(1), true),
            (json!("1"), Is, json!(1), false),
            (json!("a"), In, json!(["a", "b"]), true),
            (json!("a"), In, json!("cab"), true),
            (json!(["a"]), Contains, json!("a"), true),
            (json!({"a": 1}), Contains, json!("a"), true),
            (json!("cab"), Contains, json!("a"), true),
            (json!(null), Contains, json!("a"), false),
        ] {
            assert_eq!(condition.holds(&found, &value), holds, "{found} {} {value}", condition.name());
        }
    }

    #[test]
    fn helpers_work_in_lists_and_numbers_stay_as_written() {
        let text = r#"[{"description": "d", "log": "a", "service": "s3", "source": "b", "trigger_rules": [],
            "data": {"at": ["<helper:last_hour>"], "big": 123456789012345678901234567890, "no": "<helper:"}}]"#;
        let case = parse(text, NOW, Path::new("")).expect("a list").remove(0);
        let Ok(Subject::Rules(Body { input: Input::Data(data), .. })) = case.body else { panic!("no data") };
        assert_eq!(data, r#"{"at": ["1700000000"], "big": 123456789012345678901234567890, "no": "<helper:"}"#);
        assert!(fault(json!({"data": {"x": "<helper:yesterday>"}})).contains("no helper `yesterday`"));
    }

    #[test]
    fn a_case_knows_its_line() {
        let lines: Vec<usize> =
            parse("[\n{},\n\n{}]", NOW, Path::new("")).expect("a list").iter().map(|case| case.line).collect();
        assert_eq!(lines, [2, 4]);
    }
}
