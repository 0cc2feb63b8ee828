//! The parts of a schema that say where a log keeps what many logs have: `normalization`, `ocsf`, `ecs`.

use super::ConfigFault;
use super::ocsf::{CLASSES, Class};
use super::schema::{Faults, FieldKind, Fields, LogType};
use crate::log_record::{ENVELOPE_KEY, NORMALIZED_ID_KEY};
use serde_json::{Map, Value};

/// One way to find values of a normalized name.
#[derive(Debug, Clone)]
pub struct Normalizer {
    pub name: String,
    pub path: Vec<String>,
    pub function: Option<String>,
    pub condition: Option<ValueCondition>,
    pub send_to_artifacts: bool,
}

/// When a normalizer or a mapping counts: all tests of the value at the path must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueCondition {
    pub path: Vec<String>,
    pub tests: Vec<ValueTest>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ValueTest {
    /// Lower case.
    pub values: Vec<String>,
    /// One of the values is a part of the text; otherwise it is the text.
    pub part: bool,
    /// The opposite, also where there is no value.
    pub negated: bool,
}

/// When a record is of an OCSF class, and where that class's attributes are.
#[derive(Debug, Clone)]
pub struct OcsfEvent {
    pub class: &'static Class,
    pub condition: Option<ValueCondition>,
    /// With the class's own attributes.
    pub fields: FieldMap,
}

/// The fields of a common schema, as a tree by the steps of their dotted names.
#[derive(Debug, Clone, Default)]
pub struct FieldMap {
    pub entries: Vec<(String, FieldNode)>,
    /// Those that are mapped, dotted.
    pub names: Vec<String>,
}

#[derive(Debug, Clone)]
pub enum FieldNode {
    Object(Vec<(String, FieldNode)>),
    /// The first that applies and finds something counts.
    Value(Vec<FieldSource>),
}

#[derive(Debug, Clone)]
pub struct FieldSource {
    pub from: FieldOrigin,
    pub condition: Option<ValueCondition>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FieldOrigin {
    Path(Vec<String>),
    Constant(Value),
}

const OPERATORS: &str = "is, is_not, in, not_in, contains, not_contains";
/// What `ocsf` writes itself.
const OCSF_OWN: [&str; 7] =
    ["class_uid", "class_name", "category_uid", "category_name", "activity_id", "activity_name", "type_uid"];
/// OCSF numbers the activities of a class below a hundred: `type_uid` is class times hundred plus activity.
const ACTIVITY_ID_MAX: u64 = 99;

pub(super) fn read_normalizers(faults: &mut Faults<'_>, normalization: &Map<String, Value>) -> Vec<Normalizer> {
    let mut out = Vec::new();
    for (name, value) in normalization {
        let at = format!("configuration.normalization.{name}");
        if name.is_empty() || name.contains(':') || name == NORMALIZED_ID_KEY {
            faults.add(&at, "is no normalized name; use lower-case letters, digits and `_`, as in `ip_address`");
        }
        match value {
            Value::Array(items) if items.is_empty() => {
                faults.add(&at, "is empty and finds nothing; give a path, or remove it");
            }
            Value::Array(items) if items.iter().all(Value::is_object) => {
                for (index, item) in items.iter().filter_map(Value::as_object).enumerate() {
                    out.extend(read_normalizer(faults, &format!("{at}[{index}]"), name, item));
                }
            }
            Value::Array(items) if items.iter().all(Value::is_string) => {
                let path = read_path(faults, &at, value);
                out.extend(path.map(|path| Normalizer {
                    name: name.clone(),
                    path,
                    function: None,
                    condition: None,
                    send_to_artifacts: true,
                }));
            }
            _ => faults.add(&at, "must be a path (list of keys) or a list of objects with `path`"),
        }
    }
    out
}

fn read_normalizer(faults: &mut Faults<'_>, at: &str, name: &str, item: &Map<String, Value>) -> Option<Normalizer> {
    known_keys(faults, at, item, &["path", "function", "condition", "send_to_artifacts"]);
    let function = match item.get("function") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => {
            faults.add(&format!("{at}.function"), "must be a text that says what the value means in this log");
            None
        }
    };
    let send_to_artifacts = match item.get("send_to_artifacts") {
        None => true,
        Some(Value::Bool(send)) => *send,
        Some(_) => {
            faults.add(&format!("{at}.send_to_artifacts"), "must be true or false");
            true
        }
    };
    let condition = read_condition(faults, at, item);
    let Some(path) = item.get("path") else {
        faults.add(at, "`path` is missing; give the list of keys that lead to the value");
        return None;
    };
    let path = read_path(faults, &format!("{at}.path"), path)?;
    Some(Normalizer { name: name.to_owned(), path, function, condition, send_to_artifacts })
}

fn known_keys(faults: &mut Faults<'_>, at: &str, item: &Map<String, Value>, known: &[&str]) {
    for key in item.keys().filter(|key| !known.contains(&key.as_str())) {
        faults.add(at, format!("`{key}` is unknown; use {}", known.join(", ")));
    }
}

fn read_path(faults: &mut Faults<'_>, at: &str, value: &Value) -> Option<Vec<String>> {
    let message = match value {
        Value::Array(keys) if keys.is_empty() => "is empty; give the list of keys that lead to the value".to_owned(),
        Value::Array(keys) => match keys.iter().map(|key| key.as_str().map(str::to_owned)).collect() {
            Some(keys) => return Some(keys),
            None => "is no list of keys, each of them a text".to_owned(),
        },
        Value::String(text) => {
            let keys: Vec<&str> = text.split('.').collect();
            format!("is a text; a path is a list of keys: {}", Value::from(keys))
        }
        _ => "is no list of keys".to_owned(),
    };
    faults.add(at, message);
    None
}

/// The condition of `item`. An empty one is none.
fn read_condition(faults: &mut Faults<'_>, at: &str, item: &Map<String, Value>) -> Option<ValueCondition> {
    let at = format!("{at}.condition");
    let condition = match item.get("condition")? {
        Value::Object(condition) if condition.is_empty() => return None,
        Value::Object(condition) => condition,
        _ => {
            faults.add(&at, format!("must be an object with `path` and at least one of {OPERATORS}"));
            return None;
        }
    };
    let path = match condition.get("path") {
        Some(path) => read_path(faults, &format!("{at}.path"), path),
        None => {
            faults.add(&at, "needs `path`, the list of keys that lead to the value to test");
            None
        }
    };
    let mut tests = Vec::new();
    for (operator, operand) in condition.iter().filter(|(key, _)| *key != "path") {
        let (plain, negated) = match operator.as_str() {
            "is" | "in" | "contains" => (operator.as_str(), false),
            "is_not" => ("is", true),
            "not_in" => ("in", true),
            "not_contains" => ("contains", true),
            _ => {
                faults.add(&at, format!("`{operator}` is no test; use {OPERATORS}"));
                continue;
            }
        };
        let values = match (plain, operand) {
            ("is" | "contains", one) if scalar(one).is_some() => scalar(one).map(|text| vec![text]),
            ("in" | "contains", Value::Array(items)) => items.iter().map(scalar).collect(),
            _ => None,
        };
        let values = values.filter(|values: &Vec<String>| !values.is_empty() && !values.iter().any(String::is_empty));
        let Some(values) = values else {
            let form = match plain {
                "is" => "takes one text, number or boolean that is not empty; for several there is `in` or `not_in`",
                "in" => "takes a list of texts; for a part of a text there is `contains` or `not_contains`",
                _ => "takes a text or a list of texts that are not empty",
            };
            faults.add(&format!("{at}.{operator}"), form);
            continue;
        };
        tests.push(ValueTest { values, part: plain == "contains", negated });
    }
    if condition.keys().all(|key| key == "path") {
        faults.add(&at, format!("has nothing to test; give at least one of {OPERATORS}"));
    }
    Some(ValueCondition { path: path?, tests })
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_lowercase()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// One object, or a list of them of which the first whose condition holds counts.
pub(super) fn read_ocsf(faults: &mut Faults<'_>, value: &Value) -> Vec<OcsfEvent> {
    const AT: &str = "configuration.ocsf";
    let mut events = Vec::new();
    match value {
        Value::Object(item) => events.extend(read_ocsf_event(faults, AT, item)),
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_object) => {
            for (index, item) in items.iter().filter_map(Value::as_object).enumerate() {
                let at = format!("{AT}[{index}]");
                if index + 1 < items.len() && !item.contains_key("condition") {
                    faults.add(&at, "has no `condition`, so those after it never count; move it to the end");
                }
                events.extend(read_ocsf_event(faults, &at, item));
            }
        }
        _ => faults.add(AT, "must be an object with `class`, or a list of them"),
    }
    events
}

fn read_ocsf_event(faults: &mut Faults<'_>, at: &str, item: &Map<String, Value>) -> Option<OcsfEvent> {
    known_keys(faults, at, item, &["class", "activity_id", "activity_name", "condition", "fields"]);
    let condition = read_condition(faults, at, item);
    let text = match item.get("class") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => {
            faults.add(at, "needs `class`, an OCSF class by name or number, as in \"Authentication\" or 3002");
            return None;
        }
    };
    let Some(class) = Class::find(&text) else {
        let known: Vec<String> = CLASSES.iter().map(|class| format!("{} ({})", class.name, class.uid)).collect();
        faults.add(&format!("{at}.class"), format!("`{text}` is no OCSF class; it is one of {}", known.join(", ")));
        return None;
    };
    let activity = match item.get("activity_id") {
        None => None,
        Some(id) => match id.as_u64().filter(|id| *id <= ACTIVITY_ID_MAX) {
            Some(id) => Some(id),
            None => {
                let form = format!("must be a number from 0 to {ACTIVITY_ID_MAX}, as OCSF gives it for {}", class.name);
                faults.add(&format!("{at}.activity_id"), form);
                None
            }
        },
    };
    let name = match item.get("activity_name") {
        None => None,
        Some(Value::String(name)) if item.contains_key("activity_id") => Some(name.clone()),
        Some(_) => {
            faults.add(&format!("{at}.activity_name"), "must be a text, beside the `activity_id` that it names");
            None
        }
    };
    let activity_id = activity.unwrap_or_default();
    let own = [
        ("class_uid", Some(class.uid.into())),
        ("class_name", Some(class.caption.into())),
        ("category_uid", Some(class.category_uid().into())),
        ("category_name", Some(class.category_name().into())),
        ("activity_id", Some(activity_id.into())),
        ("activity_name", name.map(Value::from)),
        ("type_uid", Some((u64::from(class.uid) * 100 + activity_id).into())),
    ];
    let mut fields = FieldMap::default();
    for (name, value) in own {
        let source = value.map(|value| FieldSource { from: FieldOrigin::Constant(value), condition: None });
        fields.entries.extend(source.map(|source| (name.to_owned(), FieldNode::Value(vec![source]))));
    }
    if let Some(value) = item.get("fields") {
        read_fields(faults, &format!("{at}.fields"), value, &mut fields);
    }
    Some(OcsfEvent { class, condition, fields })
}

pub(super) fn read_ecs(faults: &mut Faults<'_>, value: &Value) -> FieldMap {
    let mut fields = FieldMap::default();
    read_fields(faults, "configuration.ecs", value, &mut fields);
    fields
}

/// Dotted name → path, or `{"path"}` or `{"value"}` with a condition, or a list of these.
fn read_fields(faults: &mut Faults<'_>, at: &str, value: &Value, map: &mut FieldMap) {
    let Value::Object(fields) = value else {
        faults.add(at, "must be an object: field → path (list of keys) of the value in the record");
        return;
    };
    for (name, value) in fields {
        let at = format!("{at}.{name}");
        if !is_field_name(name) {
            faults.add(&at, "is no field name; write dotted lower-case names, as in `source.ip`");
            continue;
        }
        if at.starts_with("configuration.ocsf") && OCSF_OWN.contains(&name.as_str()) {
            faults.add(&at, "follows from `class`, `activity_id` and `activity_name`; remove it from `fields`");
            continue;
        }
        let sources = read_sources(faults, &at, value);
        let steps: Vec<&str> = name.split('.').collect();
        match place(&mut map.entries, &steps, sources) {
            true => map.names.push(name.clone()),
            false => faults.add(&at, "is a value and also an object of other fields; remove one of the two"),
        }
    }
}

/// `@timestamp` is the one name in ECS with a sign in it.
fn is_field_name(name: &str) -> bool {
    let plain = |step: &str| {
        step.starts_with(|c: char| c.is_ascii_lowercase())
            && step.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    name == "@timestamp" || name.split('.').all(plain)
}

fn read_sources(faults: &mut Faults<'_>, at: &str, value: &Value) -> Vec<FieldSource> {
    let is_source = |item: &Value| item.is_object() || item.is_array();
    let is_list = value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(is_source));
    let items: Vec<(String, &Value)> = match value {
        Value::Array(items) if is_list => {
            items.iter().enumerate().map(|(index, item)| (format!("{at}[{index}]"), item)).collect()
        }
        one => vec![(at.to_owned(), one)],
    };
    items.into_iter().filter_map(|(at, item)| read_source(faults, &at, item)).collect()
}

fn read_source(faults: &mut Faults<'_>, at: &str, value: &Value) -> Option<FieldSource> {
    let item = match value {
        Value::Object(item) => item,
        Value::Array(_) => {
            let path = read_path(faults, at, value)?;
            return Some(FieldSource { from: FieldOrigin::Path(path), condition: None });
        }
        other => {
            let text = other.as_str().map_or_else(|| other.to_string(), str::to_owned);
            let keys = Value::from(text.split('.').collect::<Vec<_>>());
            let form = format!("write where it is, {keys}, or what it always is, {{\"value\": {other}}}");
            faults.add(at, form);
            return None;
        }
    };
    known_keys(faults, at, item, &["path", "value", "condition"]);
    let condition = read_condition(faults, at, item);
    let from = match (item.get("path"), item.get("value")) {
        (Some(path), None) => FieldOrigin::Path(read_path(faults, &format!("{at}.path"), path)?),
        (None, Some(value)) => FieldOrigin::Constant(value.clone()),
        _ => {
            faults.add(at, "needs either `path` or `value`");
            return None;
        }
    };
    Some(FieldSource { from, condition })
}

/// Puts the sources at their place in the tree; false if something else is there.
fn place(entries: &mut Vec<(String, FieldNode)>, steps: &[&str], sources: Vec<FieldSource>) -> bool {
    let Some((step, rest)) = steps.split_first() else { return false };
    let at = match entries.iter().position(|(name, _)| name == step) {
        Some(_) if rest.is_empty() => return false,
        Some(at) => at,
        None if rest.is_empty() => {
            entries.push(((*step).to_owned(), FieldNode::Value(sources)));
            return true;
        }
        None => {
            entries.push(((*step).to_owned(), FieldNode::Object(Vec::new())));
            entries.len() - 1
        }
    };
    match &mut entries[at].1 {
        FieldNode::Object(entries) => place(entries, rest, sources),
        FieldNode::Value(_) => false,
    }
}

/// Paths of this type that can lead nowhere as its schema stands: seldom meant, but a vendor may send what no schema says.
pub(super) fn strange_paths(log_type: &LogType, warnings: &mut Vec<ConfigFault>) {
    let mut check = |at: String, path: &[String]| {
        let message = match path.split_first() {
            Some((first, rest)) if first == ENVELOPE_KEY => leads_nowhere(&log_type.envelope, rest),
            // A schema without fields takes anything.
            _ if log_type.fields.0.is_empty() => None,
            _ => leads_nowhere(&log_type.fields, path),
        };
        if let Some(message) = message {
            let path = format!("{}.configuration.{at}", log_type.name);
            warnings.push(ConfigFault { file: log_type.file.clone(), path, message });
        }
    };
    let mut both = |at: String, path: Option<&[String]>, condition: &Option<ValueCondition>| {
        if let Some(path) = path {
            check(at.clone(), path);
        }
        if let Some(condition) = condition {
            check(format!("{at}.condition"), &condition.path);
        }
    };
    for normalizer in &log_type.normalization {
        both(format!("normalization.{}", normalizer.name), Some(&normalizer.path), &normalizer.condition);
    }
    for event in &log_type.ocsf {
        both("ocsf".to_owned(), None, &event.condition);
    }
    let maps = log_type.ocsf.iter().map(|event| ("ocsf.fields", &event.fields)).chain([("ecs", &log_type.ecs)]);
    for (at, map) in maps {
        each_source(&map.entries, &mut Vec::new(), &mut |name, source| {
            let path = match &source.from {
                FieldOrigin::Path(path) => Some(&path[..]),
                FieldOrigin::Constant(_) => None,
            };
            both(format!("{at}.{}", name.join(".")), path, &source.condition);
        });
    }
}

fn each_source<'a>(
    entries: &'a [(String, FieldNode)],
    name: &mut Vec<&'a str>,
    take: &mut dyn FnMut(&[&str], &FieldSource),
) {
    for (step, node) in entries {
        name.push(step);
        match node {
            FieldNode::Object(entries) => each_source(entries, name, take),
            FieldNode::Value(sources) => sources.iter().for_each(|source| take(name, source)),
        }
        name.pop();
    }
}

fn leads_nowhere(fields: &Fields, path: &[String]) -> Option<String> {
    let (key, rest) = path.split_first()?;
    let Some(at) = fields.position(key) else {
        return Some(format!("`{key}` is no field of the schema; is it spelt as there?"));
    };
    match &fields.0[at].kind {
        FieldKind::Object(fields) => leads_nowhere(fields, rest),
        FieldKind::Any | FieldKind::List => None,
        _ if rest.is_empty() => None,
        plain => Some(format!("`{key}` is of type {} in the schema, so there is no `{}` in it", plain.name(), rest[0])),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Schemas;
    use serde_json::{Value, json};

    /// What is said of a type with this configuration: faults, or else warnings.
    fn said(configuration: Value) -> Vec<String> {
        let schema = json!({"a": "string", "o": {"x": "string"}, "any": {}, "l": []});
        let log_type = json!({"parser": "json", "schema": schema, "configuration": configuration});
        match Schemas::read(&[("s.json".to_owned(), json!({"t": log_type}).to_string())]) {
            Ok(schemas) => schemas.warnings.iter().map(ToString::to_string).collect(),
            Err(faults) => faults.0.iter().map(ToString::to_string).collect(),
        }
    }

    #[track_caller]
    fn check(configuration: Value, expected: &[&str]) {
        let found = said(configuration);
        let as_expected = found.iter().zip(expected).all(|(found, expected)| {
            found.strip_prefix("s.json: t.configuration.").is_some_and(|found| found.starts_with(expected))
        });
        assert!(found.len() == expected.len() && as_expected, "expected {expected:#?}, found {found:#?}");
    }

    #[test]
    fn what_is_right_is_taken_in_silence() {
        check(
            json!({
                "normalization": {"user": ["a"], "ip": [{"path": ["o", "x"], "function": "f", "send_to_artifacts": false,
                    "condition": {"path": ["l", "b"], "is": 1, "not_in": ["x"], "contains": ["y"]}}, {"path": ["any", "z"]}]},
                "ocsf": {"class": "authentication", "activity_id": 99, "fields": {"user.name": ["a"], "user.uid": ["o", "x"]}},
                "ecs": {"@timestamp": ["a"], "event.kind": {"value": "event"}, "labels.x_1": [["a"], {"path": ["l"]}, {"value": 1}]}
            }),
            &[],
        );
    }

    #[test]
    fn every_fault_of_normalization_is_named_with_its_place_and_remedy() {
        let x = |value: Value| json!({"normalization": {"x": value}});
        check(x(json!([])), &["normalization.x: is empty and finds nothing; give a path, or remove it"]);
        check(x(json!("a.b")), &["normalization.x: must be a path"]);
        check(x(json!(["a", {"path": ["a"]}])), &["normalization.x: must be a path"]);
        check(x(json!([{"function": "f"}])), &["normalization.x[0]: `path` is missing"]);
        check(
            x(json!([{"path": "o.x"}])),
            &["normalization.x[0].path: is a text; a path is a list of keys: [\"o\",\"x\"]"],
        );
        check(
            x(json!([{"path": []}, {"path": [1]}])),
            &["normalization.x[0].path: is empty", "normalization.x[1].path: is no list"],
        );
        check(
            x(json!([{"path": ["a"], "function": 7, "send_to_artifacts": "no", "paht": 1}])),
            &[
                "normalization.x[0]: `paht` is unknown; use path, function, condition, send_to_artifacts",
                "normalization.x[0].function: must be a text",
                "normalization.x[0].send_to_artifacts: must be true or false",
            ],
        );
        check(
            json!({"normalization": {"ocsf:x": ["a"], "streamalert_record_id": ["a"], "": ["a"]}}),
            &[
                "normalization.ocsf:x: is no normalized name",
                "normalization.streamalert_record_id: is no normalized name",
                "normalization.: is no normalized name",
            ],
        );
        let with = |condition: Value| x(json!([{"path": ["a"], "condition": condition}]));
        check(with(json!("is x")), &["normalization.x[0].condition: must be an object"]);
        check(with(json!({"is": "x"})), &["normalization.x[0].condition: needs `path`"]);
        check(with(json!({"path": ["a"]})), &["normalization.x[0].condition: has nothing to test"]);
        check(
            with(json!({"path": ["a"], "regex": "x"})),
            &["normalization.x[0].condition: `regex` is no test; use is, is_not"],
        );
        check(
            with(json!({"path": ["a"], "is": ["x"], "in": "x", "contains": [], "not_in": [""], "is_not": null})),
            &[
                "normalization.x[0].condition.is: takes one text",
                "normalization.x[0].condition.in: takes a list of texts",
                "normalization.x[0].condition.contains: takes a text or a list",
                "normalization.x[0].condition.not_in: takes a list of texts",
                "normalization.x[0].condition.is_not: takes one text",
            ],
        );
    }

    #[test]
    fn every_fault_of_a_mapping_is_named_with_its_place_and_remedy() {
        check(json!({"ocsf": "Authentication"}), &["ocsf: must be an object with `class`"]);
        check(json!({"ocsf": []}), &["ocsf: must be an object with `class`"]);
        check(json!({"ocsf": {"fields": {}}}), &["ocsf: needs `class`"]);
        check(
            json!({"ocsf": {"class": "Login"}}),
            &["ocsf.class: `Login` is no OCSF class; it is one of base_event (0), file_activity (1001)"],
        );
        check(
            json!({"ocsf": {"class": 3002, "activity_id": 100, "activity_name": 1, "activity": 1}}),
            &[
                "ocsf: `activity` is unknown; use class, activity_id",
                "ocsf.activity_id: must be a number from 0 to 99, as OCSF gives it for authentication",
                "ocsf.activity_name: must be a text, beside the `activity_id`",
            ],
        );
        check(
            json!({"ocsf": {"class": 3002, "activity_name": "Logon"}}),
            &["ocsf.activity_name: must be a text, beside"],
        );
        check(
            json!({"ocsf": [{"class": 3002}, {"class": 6003}]}),
            &["ocsf[0]: has no `condition`, so those after it never count"],
        );
        check(
            json!({"ocsf": {"class": 3002, "fields": {"class_uid": ["a"], "user": ["a"], "user.name": ["a"], "User.x": ["a"]}}}),
            &[
                "ocsf.fields.class_uid: follows from `class`",
                "ocsf.fields.user.name: is a value and also an object",
                "ocsf.fields.User.x: is no field name; write dotted lower-case names",
            ],
        );
        check(json!({"ecs": ["a"]}), &["ecs: must be an object"]);
        check(
            json!({"ecs": {"source.ip": "o.x", "a..b": ["a"], "a.b": {"path": ["a"], "value": 1}, "a.c": {}, "a.d": []}}),
            &[
                "ecs.source.ip: write where it is, [\"o\",\"x\"], or what it always is, {\"value\": \"o.x\"}",
                "ecs.a..b: is no field name",
                "ecs.a.b: needs either `path` or `value`",
                "ecs.a.c: needs either `path` or `value`",
                "ecs.a.d: is empty",
            ],
        );
    }

    #[test]
    fn a_path_that_leads_nowhere_is_worth_a_warning() {
        check(
            json!({"normalization": {"x": [{"path": ["aa"], "condition": {"path": ["o", "y"], "is": "1"}}], "y": ["a", "b"]},
                   "ocsf": {"class": 3002, "fields": {"user.name": ["streamalert:envelope_keys", "h"]}}}),
            &[
                "normalization.x: `aa` is no field of the schema; is it spelt as there?",
                "normalization.x.condition: `y` is no field",
                "normalization.y: `a` is of type string in the schema, so there is no `b` in it",
                "ocsf.fields.user.name: `h` is no field",
            ],
        );
    }
}
