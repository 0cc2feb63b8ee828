//! A full input from a part of a record: what a schema needs and the part does not say gets its empty value.

use serde_json::{Map, Value, json};
use streamalert_pipeline::config::schema::{FieldKind, Fields, LogType, Parser, PathPlan, PathStep};

/// The input, as it would be sent, whose record is `part` laid over the defaults of `log_type`.
///
/// A type with an envelope takes the part for one of the envelope; fields of its own schema make up the one record in it.
pub fn full_input(log_type: &LogType, part: Map<String, Value>) -> Result<Value, String> {
    if log_type.parser != Parser::Json {
        let (name, parser) = (&log_type.name, log_type.parser.name());
        return Err(format!(
            "records of {name} are written as {parser} and not as JSON; give a line of the log as `data`"
        ));
    }
    if log_type.envelope.0.is_empty() {
        return place(log_type, None, overlaid(&log_type.fields, part));
    }
    let first = match log_type.options.json_path.as_ref().map(|path| &path.plan) {
        Some(PathPlan::Steps(steps)) => match steps.first() {
            Some(PathStep::Key(key)) => Some(key.as_str()),
            _ => None,
        },
        _ => log_type.options.json_regex_key.as_deref(),
    };
    // As the original has it: the records are given where the envelope keeps them.
    if first.is_some_and(|key| part.contains_key(key)) {
        return Ok(Value::Object(overlaid(&log_type.envelope, part)));
    }
    let (outer, inner): (Map<_, _>, Map<_, _>) = part
        .into_iter()
        .partition(|(key, _)| log_type.envelope.position(key).is_some() && log_type.fields.position(key).is_none());
    place(log_type, Some(overlaid(&log_type.envelope, outer)), overlaid(&log_type.fields, inner))
}

/// What a part must say so that the type's `log_patterns` take it.
pub fn wanted_by_patterns(log_type: &LogType) -> Map<String, Value> {
    let mut part = Map::new();
    for pattern in &log_type.options.log_patterns {
        // The first alternative, without what stands for anything.
        let text = pattern.text.split("` or `").next().unwrap_or_default().replace(['*', '?'], "");
        let Some((key, inner)) = pattern.path.split_first() else { continue };
        let fields = if pattern.in_envelope { &log_type.envelope } else { &log_type.fields };
        let default = || fields.position(key).map_or(Value::Null, |at| empty_of(&fields.0[at].kind));
        let steps: Vec<PathStep> = inner.iter().map(|key| PathStep::Key(key.clone())).collect();
        insert(part.entry(key.as_str()).or_insert_with(default), &steps, Value::from(text));
    }
    part
}

/// Keys of a part that neither schema nor envelope names.
pub fn unknown_keys(log_type: &LogType, part: &Map<String, Value>) -> Vec<String> {
    let first = log_type.options.json_path.as_ref().map(|path| path.text.as_str());
    let known = |key: &str| {
        log_type.fields.position(key).is_some()
            || log_type.envelope.position(key).is_some()
            || first
                .is_some_and(|path| path.strip_prefix(key).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric)))
    };
    part.keys().filter(|key| !known(key)).cloned().collect()
}

fn place(
    log_type: &LogType,
    envelope: Option<Map<String, Value>>,
    record: Map<String, Value>,
) -> Result<Value, String> {
    let record = Value::Object(record);
    let options = &log_type.options;
    let mut root = Value::Object(envelope.clone().unwrap_or_default());
    if let Some(key) = &options.json_regex_key {
        root[key] = Value::from(record.to_string());
        return Ok(root);
    }
    let record = if options.embedded_json { Value::from(record.to_string()) } else { record };
    match options.json_path.as_ref().map(|path| (&path.plan, &path.text)) {
        None => Ok(record),
        Some((PathPlan::Steps(steps), _)) => {
            insert(&mut root, steps, record);
            Ok(root)
        }
        // Records of such a type may also come one by one.
        Some((PathPlan::Expression(_), _)) if envelope.is_none() && !options.embedded_json => Ok(record),
        Some((PathPlan::Expression(_), path)) => {
            Err(format!("`override_record` cannot be put at the json_path `{path}` of {}; give `data`", log_type.name))
        }
    }
}

fn insert(at: &mut Value, steps: &[PathStep], record: Value) {
    match steps {
        [] => *at = record,
        [PathStep::Key(key), rest @ ..] => {
            if !at.is_object() {
                *at = json!({});
            }
            insert(&mut at[key.as_str()], rest, record);
        }
        [PathStep::Each, rest @ ..] => {
            let mut item = Value::Null;
            insert(&mut item, rest, record);
            *at = json!([item]);
        }
    }
}

fn overlaid(fields: &Fields, part: Map<String, Value>) -> Map<String, Value> {
    let mut all = empty(fields);
    all.extend(part);
    all
}

fn empty(fields: &Fields) -> Map<String, Value> {
    fields.0.iter().map(|field| (field.name.clone(), empty_of(&field.kind))).collect()
}

fn empty_of(kind: &FieldKind) -> Value {
    match kind {
        FieldKind::String => json!(""),
        FieldKind::Integer => json!(0),
        FieldKind::Float => json!(0.0),
        FieldKind::Boolean => json!(false),
        FieldKind::Any => json!({}),
        FieldKind::List => json!([]),
        FieldKind::Object(fields) => Value::Object(empty(fields)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamalert_pipeline::config::Schemas;

    fn check(configuration: Value, part: Value, expected: Value) {
        let schema = json!({"a": "string", "n": "integer", "o": {"in": "boolean"}, "l": []});
        let file = json!({"t": {"parser": "json", "schema": schema, "configuration": configuration}}).to_string();
        let schemas = Schemas::read(&[("t.json".into(), file)]).expect("a schema");
        let Value::Object(part) = part else { panic!("no object") };
        let log_type = schemas.get("t").expect("the type");
        assert_eq!(unknown_keys(log_type, &part), [""; 0]);
        assert_eq!(full_input(log_type, part), Ok(expected));
    }

    fn record(a: &str) -> Value {
        json!({"a": a, "n": 0, "o": {"in": false}, "l": []})
    }

    #[test]
    fn the_part_is_laid_over_the_defaults_and_put_where_records_lie() {
        let part = || json!({"a": "x"});
        check(json!({}), part(), record("x"));
        check(json!({"json_path": "Records[*]"}), part(), json!({"Records": [record("x")]}));
        check(json!({"json_path": "d.e"}), part(), json!({"d": {"e": record("x")}}));
        check(json!({"json_regex_key": "m"}), part(), json!({"m": record("x").to_string()}));
        let embedded = json!({"json_path": "logs[*].m", "embedded_json": true});
        check(embedded, part(), json!({"logs": [{"m": record("x").to_string()}]}));
    }

    #[test]
    fn an_envelope_has_defaults_too() {
        let envelope = || json!({"json_path": "rows[*]", "envelope_keys": {"who": "string", "rows": []}});
        check(envelope(), json!({"who": "me", "a": "x"}), json!({"who": "me", "rows": [record("x")]}));
        // The original's way.
        check(envelope(), json!({"rows": [{"a": "x"}]}), json!({"who": "", "rows": [{"a": "x"}]}));
    }

    #[test]
    fn what_patterns_want_is_made_from_them() {
        let schema = json!({"a": "string", "o": {"in": "string", "n": "integer"}});
        let configuration = json!({"log_patterns": {"a": ["get*", "put"], "o": {"in": "*x"}}});
        let file = json!({"t": {"parser": "json", "schema": schema, "configuration": configuration}}).to_string();
        let schemas = Schemas::read(&[("t.json".into(), file)]).expect("a schema");
        let wanted = wanted_by_patterns(schemas.get("t").expect("the type"));
        assert_eq!(Value::Object(wanted), json!({"a": "get", "o": {"in": "x", "n": 0}}));
    }
}
