//! Finds values by the names that many log types share: user, ip_address, and the attributes of OCSF and ECS.

use crate::config::LogType;
use crate::config::normalization::{FieldNode, FieldOrigin, FieldSource, Normalizer, ValueCondition};
use crate::log_record::{ECS_KEY, ENVELOPE_KEY, NORMALIZATION_KEY, NORMALIZED_ID_KEY, OCSF_KEY};
use serde_json::Value;
use std::borrow::Cow;
use streamalert_packed::{Builder, Kind, Node, Record, Slot};

/// Root keys that [`write`] adds to records of this type, always: what was not found is an empty object there, so that all
/// records of one shape have the same keys.
pub(super) fn keys(log_type: &LogType) -> usize {
    [NORMALIZATION_KEY, OCSF_KEY, ECS_KEY].iter().filter(|key| log_type.adds(key)).count()
}

/// What the names of its type lead to in one record.
pub(super) struct Found<'t> {
    log_type: &'t LogType,
    names: Vec<FoundName<'t>>,
    ocsf: Vec<(&'t str, Mapped<'t>)>,
    ecs: Vec<(&'t str, Mapped<'t>)>,
}

struct FoundName<'t> {
    normalizer: &'t Normalizer,
    values: Vec<Text>,
}

enum Text {
    /// A text of the record, where it stands.
    Again(Slot),
    /// Anything that is no text, written as text.
    Written(String),
}

enum Mapped<'t> {
    Object(Vec<(&'t str, Mapped<'t>)>),
    /// A value of the record, where it stands.
    Again(Slot),
    /// The path led through a list.
    Each(Vec<Slot>),
    Constant(&'t Value),
}

pub(super) fn find<'t>(record: Record<'_>, log_type: &'t LogType) -> Found<'t> {
    let view = View { record, log_type };
    let mut names = Vec::new();
    for normalizer in &log_type.normalization {
        if !view.holds(&normalizer.condition) {
            continue;
        }
        let mut values = Vec::new();
        view.texts(&normalizer.path, &mut |node| {
            values.push(match node.kind() {
                Kind::Text => Text::Again(node.into()),
                _ => Text::Written(text_of(node).into_owned()),
            });
        });
        if !values.is_empty() {
            names.push(FoundName { normalizer, values });
        }
    }
    let event = log_type.ocsf.iter().find(|event| view.holds(&event.condition));
    let ocsf = event.map(|event| view.entries(&event.fields.entries)).unwrap_or_default();
    Found { log_type, names, ocsf, ecs: view.entries(&log_type.ecs.entries) }
}

/// Writes what was found into the record's root from `entries` on, and says how many entries there are then.
pub(super) fn write(
    builder: &mut Builder<'_>,
    found: &Found<'_>,
    root: Slot,
    mut entries: usize,
    record_id: &dyn Fn() -> String,
) -> usize {
    let mut add = |builder: &mut Builder<'_>, key: &str, value: &dyn Fn(&mut Builder<'_>) -> Slot| {
        if found.log_type.adds(key) {
            let at = (builder.raw(key.as_bytes()), key.len());
            let slot = value(builder);
            builder.entry(root, entries, at, slot);
            entries += 1;
        }
    };
    add(builder, NORMALIZATION_KEY, &|builder| write_names(builder, &found.names, record_id));
    add(builder, OCSF_KEY, &|builder| write_object(builder, &found.ocsf));
    add(builder, ECS_KEY, &|builder| write_object(builder, &found.ecs));
    entries
}

/// `{name: [{function, values, …}], streamalert_record_id}`, or `{}` when nothing was found.
fn write_names(builder: &mut Builder<'_>, found: &[FoundName<'_>], record_id: &dyn Fn() -> String) -> Slot {
    if found.is_empty() {
        return builder.object(0);
    }
    // Normalizers of one name stand together.
    let of_one_name = |a: &FoundName<'_>, b: &FoundName<'_>| a.normalizer.name == b.normalizer.name;
    let names = found.chunk_by(of_one_name).count();
    let root = builder.object(names + 1);
    let words = builder.raw(b"functionvaluessend_to_artifacts");
    let (function, values, artifacts) = ((words, 8), (words + 8, 6), (words + 14, 17));
    for (index, group) in found.chunk_by(of_one_name).enumerate() {
        let name = &group[0].normalizer.name;
        let key = (builder.raw(name.as_bytes()), name.len());
        let list = builder.array(group.len());
        for (place, found) in group.iter().enumerate() {
            let normalizer = found.normalizer;
            let entry = builder.object(2 + usize::from(!normalizer.send_to_artifacts));
            let text = normalizer.function.as_ref().map_or(Slot::NULL, |text| builder.text(text));
            builder.entry(entry, 0, function, text);
            let items = builder.array(found.values.len());
            for (at, value) in found.values.iter().enumerate() {
                let slot = match value {
                    Text::Again(slot) => *slot,
                    Text::Written(text) => builder.text(text),
                };
                builder.item(items, at, slot);
            }
            builder.entry(entry, 1, values, items);
            if !normalizer.send_to_artifacts {
                builder.entry(entry, 2, artifacts, Slot::FALSE);
            }
            builder.item(list, place, entry);
        }
        builder.entry(root, index, key, list);
    }
    let key = (builder.raw(NORMALIZED_ID_KEY.as_bytes()), NORMALIZED_ID_KEY.len());
    let text = builder.text(&record_id());
    builder.entry(root, names, key, text);
    root
}

fn write_object(builder: &mut Builder<'_>, entries: &[(&str, Mapped<'_>)]) -> Slot {
    let object = builder.object(entries.len());
    for (index, (name, value)) in entries.iter().enumerate() {
        let key = (builder.raw(name.as_bytes()), name.len());
        let slot = match value {
            Mapped::Object(entries) => write_object(builder, entries),
            Mapped::Again(slot) => *slot,
            Mapped::Constant(value) => builder.value(value),
            Mapped::Each(slots) => {
                let items = builder.array(slots.len());
                for (at, slot) in slots.iter().enumerate() {
                    builder.item(items, at, *slot);
                }
                items
            }
        };
        builder.entry(object, index, key, slot);
    }
    object
}

/// A record as its type's paths see it.
struct View<'a, 't> {
    record: Record<'a>,
    log_type: &'t LogType,
}

impl<'a, 't> View<'a, 't> {
    /// Whether all tests hold. A value that is absent passes the negated tests: what is not there is not this.
    fn holds(&self, condition: &Option<ValueCondition>) -> bool {
        let Some(condition) = condition else { return true };
        let mut texts = Vec::new();
        self.texts(&condition.path, &mut |node| texts.push(text_of(node).to_lowercase()));
        condition.tests.iter().all(|test| {
            let any = texts.iter().any(|text| match test.part {
                true => test.values.iter().any(|value| text.contains(value)),
                false => test.values.contains(text),
            });
            any != test.negated
        })
    }

    /// The values at a path; a list at its end stands for its items.
    fn texts(&self, path: &[String], take: &mut dyn FnMut(Node<'a>)) {
        self.values(path, &mut |node| single_values(node, take));
    }

    /// What a path of keys leads to, through every item of the lists on its way, if something is there. Says whether there
    /// was a list on its way.
    fn values(&self, path: &[String], take: &mut dyn FnMut(Node<'a>)) -> bool {
        // Optional fields of an envelope that are absent are filled like those of the record, but stand among the others.
        let filled = match path {
            [envelope, key] if envelope == ENVELOPE_KEY => {
                let fields = &self.log_type.envelope;
                fields.position(key).is_some_and(|at| fields.0[at].optional)
            }
            _ => false,
        };
        follow(self.record.root(), path, &mut |node| {
            if is_there(node) && !(filled && is_zero(node)) {
                take(node);
            }
        })
    }

    fn entries(&self, entries: &'t [(String, FieldNode)]) -> Vec<(&'t str, Mapped<'t>)> {
        let found = |node: &'t FieldNode| match node {
            FieldNode::Value(sources) => sources.iter().find_map(|source| self.mapped(source)),
            FieldNode::Object(entries) => {
                Some(self.entries(entries)).filter(|found| !found.is_empty()).map(Mapped::Object)
            }
        };
        entries.iter().filter_map(|(name, node)| Some((name.as_str(), found(node)?))).collect()
    }

    fn mapped(&self, source: &'t FieldSource) -> Option<Mapped<'t>> {
        if !self.holds(&source.condition) {
            return None;
        }
        let path = match &source.from {
            FieldOrigin::Constant(value) => return Some(Mapped::Constant(value)),
            FieldOrigin::Path(path) => path,
        };
        let mut slots = Vec::new();
        match self.values(path, &mut |node| slots.push(Slot::from(node))) {
            _ if slots.is_empty() => None,
            false => slots.pop().map(Mapped::Again),
            true => Some(Mapped::Each(slots)),
        }
    }
}

fn follow<'a>(node: Node<'a>, path: &[String], take: &mut dyn FnMut(Node<'a>)) -> bool {
    match (path, node.kind()) {
        ([], _) => take(node),
        ([key, rest @ ..], Kind::Object) => return node.get(key).is_some_and(|next| follow(next, rest, take)),
        (_, Kind::Array) => {
            node.items().for_each(|item| {
                follow(item, path, take);
            });
            return true;
        }
        _ => {}
    }
    false
}

fn single_values<'a>(node: Node<'a>, take: &mut dyn FnMut(Node<'a>)) {
    match node.kind() {
        Kind::Array => node.items().filter(|item| is_there(*item)).for_each(|item| single_values(item, take)),
        _ => take(node),
    }
}

/// Null and what is empty is not there; 0 and false are values.
fn is_there(node: Node<'_>) -> bool {
    match node.kind() {
        Kind::Null => false,
        Kind::Text => node.as_str().is_some_and(|text| !text.is_empty()),
        Kind::Array | Kind::Object => !node.is_empty(),
        _ => true,
    }
}

fn is_zero(node: Node<'_>) -> bool {
    node.kind() == Kind::False || node.as_f64() == Some(0.0)
}

/// A text as it is, anything else as JSON.
fn text_of(node: Node<'_>) -> Cow<'_, str> {
    match node.as_str() {
        Some(text) => Cow::Borrowed(text),
        None => {
            let mut out = String::new();
            node.write_json(&mut out);
            Cow::Owned(out)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::classifier::Classifier;
    use crate::config::{Clusters, Schemas};
    use crate::log_record::{Payload, Source};
    use serde_json::{Value, json};
    use std::sync::Arc;

    /// The record that a type with this configuration makes of `input`; its fields take anything.
    fn record(configuration: &Value, input: &Value) -> Value {
        let mut configuration = configuration.clone();
        let optional = json!({"port": 0, "mfa": 0, "who": 0, "o": 0, "l": 0, "c": 0});
        configuration["optional_top_level_keys"] = optional;
        let schema =
            json!({"kind": "string", "port": "integer", "mfa": "boolean", "who": "string", "o": {}, "l": [], "c": {}});
        let log_type = json!({"parser": "json", "schema": schema, "configuration": configuration});
        let file = ("s.json".to_owned(), json!({"t": log_type}).to_string());
        let schemas = Schemas::read(&[file]).unwrap_or_else(|faults| panic!("{faults}"));
        let classifier = Arc::new(Classifier::new(Arc::new(schemas), Arc::new(Clusters::default())));
        let source = Arc::new(Source::new("file", "r", "o"));
        let classified = classifier.worker().classify(Payload::new(source, 0, input.to_string().into_bytes()));
        assert!(classified.dead.is_empty(), "{:?}", classified.dead);
        classified.batch.fields(0).to_value()
    }

    #[track_caller]
    fn check(normalizer: Value, input: Value, expected: Value) {
        let mut input = input;
        input["kind"] = "k".into();
        let record = record(&json!({"normalization": {"x": [normalizer]}}), &input);
        let found = &record["streamalert_normalization"]["x"][0]["values"];
        assert_eq!(*found, expected, "{normalizer} on {input}");
    }

    #[test]
    fn values_become_texts_through_lists_and_objects() {
        check(json!({"path": ["who"]}), json!({"who": "eve"}), json!(["eve"]));
        check(json!({"path": ["port"]}), json!({"port": 22}), json!(["22"]));
        check(json!({"path": ["o", "big"]}), json!({"o": {"big": u64::MAX}}), json!(["18446744073709551615"]));
        check(json!({"path": ["o"]}), json!({"o": {"b": [1, "x"]}}), json!(["{\"b\":[1,\"x\"]}"]));
        check(
            json!({"path": ["l"]}),
            json!({"l": ["a", 1, null, "", ["b", []], {"c": true}]}),
            json!(["a", "1", "b", "{\"c\":true}"]),
        );
        let deep = json!({"o": {"a": [{"b": [{"c": "1"}]}, {"b": {"c": "2"}}, {"z": 1}, "text", [{"b": {"c": 3}}]]}});
        check(json!({"path": ["o", "a", "b", "c"]}), deep, json!(["1", "2", "3"]));
        check(json!({"path": ["who", "name"]}), json!({"who": "eve"}), Value::Null);
    }

    #[test]
    fn zero_and_false_are_values_and_defaults_are_not() {
        check(json!({"path": ["port"]}), json!({"port": 0}), json!(["0"]));
        check(json!({"path": ["mfa"]}), json!({"mfa": false}), json!(["false"]));
        check(json!({"path": ["port"]}), json!({}), Value::Null);
        check(json!({"path": ["mfa"]}), json!({}), Value::Null);
        for empty in [json!(null), json!(""), json!([]), json!({})] {
            check(json!({"path": ["c"]}), json!({"c": empty}), Value::Null);
        }
    }

    #[test]
    fn absent_envelope_fields_are_not_found() {
        let text = r#"{"t": {"parser": "json", "schema": {"a": "string"}, "configuration": {
            "json_path": "r[*]", "envelope_keys": {"n": "integer", "must": "integer"}, "optional_envelope_keys": ["n"],
            "normalization": {"n": ["streamalert:envelope_keys", "n"], "must": ["streamalert:envelope_keys", "must"]}}}}"#;
        let schemas = Schemas::read(&[("s.json".to_owned(), text.to_owned())]).unwrap();
        assert!(schemas.warnings.is_empty(), "{:?}", schemas.warnings);
        let classifier = Arc::new(Classifier::new(Arc::new(schemas), Arc::new(Clusters::default())));
        let payload =
            Payload::new(Arc::new(Source::new("file", "r", "o")), 0, &br#"{"must": 0, "r": [{"a": ""}]}"#[..]);
        let batch = classifier.worker().classify(payload).batch;
        let found = batch.fields(0).to_value()["streamalert_normalization"].clone();
        assert!(found.get("n").is_none() && found["must"][0]["values"] == json!(["0"]), "{found}");
    }

    #[test]
    fn all_tests_of_a_condition_must_hold() {
        let with = |condition: Value| json!({"path": ["who"], "condition": condition});
        let yes = json!(["v"]);
        let holds = |condition: Value, c: Value, expected: bool| {
            let expected = if expected { yes.clone() } else { Value::Null };
            check(with(condition), json!({"who": "v", "c": c}), expected);
        };
        holds(json!({"path": ["c"], "is": "ROOT"}), json!("Root"), true);
        holds(json!({"path": ["c"], "is": 5}), json!(5), true);
        holds(json!({"path": ["c"], "is": false}), json!(false), true);
        holds(json!({"path": ["c"], "in": ["a", "Root"]}), json!("ROOT"), true);
        holds(json!({"path": ["c"], "not_in": ["a", "root"]}), json!("Root"), false);
        holds(json!({"path": ["c"], "contains": ["zz", "oo"]}), json!("ROOT"), true);
        holds(json!({"path": ["c"], "not_contains": "oo"}), json!("root"), false);
        holds(json!({"path": ["c"], "contains": "r", "is_not": "root"}), json!("root"), false);
        holds(json!({"path": ["c"], "contains": "r", "is_not": "root"}), json!("raj"), true);
        // Of a list, one item is enough, and so one too many for the opposite.
        holds(json!({"path": ["c"], "is": "b"}), json!(["a", "b"]), true);
        holds(json!({"path": ["c"], "is_not": "b"}), json!(["a", "b"]), false);
        holds(json!({"path": ["c"], "is_not": "b"}), json!(null), true);
        holds(json!({"path": ["c", "d"], "not_contains": "b"}), json!({}), true);
        holds(json!({"path": ["c"], "is": "b"}), json!(null), false);
        holds(json!({}), json!(null), true);
    }

    #[test]
    fn common_schemas_are_written_as_nested_objects_of_what_is_there() {
        let configuration = json!({
            "ocsf": [
                {"class": "Authentication", "activity_id": 1, "activity_name": "Logon",
                 "condition": {"path": ["kind"], "is": "login"},
                 "fields": {"user.name": ["who"], "dst_endpoint.port": ["port"], "user.groups": ["o", "g", "name"],
                            "is_mfa": ["mfa"], "status": {"value": "Success"}}},
                {"class": 6003, "fields": {"api.operation": ["kind"]}}
            ],
            "ecs": {"event.category": [{"value": ["authentication"], "condition": {"path": ["kind"], "is": "login"}},
                                       {"path": ["kind"]}],
                    "user.name": ["who"], "@timestamp": ["c"]}
        });
        let login = json!({"kind": "login", "who": "eve", "mfa": false, "o": {"g": [{"name": "a"}, {"name": "b"}]}});
        let found = record(&configuration, &login);
        assert_eq!(
            found["streamalert:ocsf"],
            json!({"class_uid": 3002, "class_name": "Authentication", "category_uid": 3,
                   "category_name": "Identity & Access Management", "activity_id": 1, "activity_name": "Logon",
                   "type_uid": 300201, "user": {"name": "eve", "groups": ["a", "b"]}, "is_mfa": false, "status": "Success"})
        );
        assert_eq!(
            found["streamalert:ecs"],
            json!({"event": {"category": ["authentication"]}, "user": {"name": "eve"}})
        );
        let other = record(&configuration, &json!({"kind": "list"}));
        assert_eq!(other["streamalert:ocsf"]["type_uid"], 600300);
        assert_eq!(other["streamalert:ocsf"]["api"], json!({"operation": "list"}));
        assert_eq!(other["streamalert:ecs"], json!({"event": {"category": "list"}}));
        let none = json!({"ocsf": {"class": 3002, "condition": {"path": ["kind"], "is": "login"}}});
        assert_eq!(record(&none, &json!({"kind": "list"}))["streamalert:ocsf"], json!({}));
    }

    #[test]
    fn a_log_cannot_bring_our_keys() {
        let configuration = json!({"normalization": {"user": ["who"]}, "ocsf": {"class": 3002}});
        let forged = json!({"user": [{"values": ["mallory"]}]});
        let input = json!({"kind": "k", "streamalert_normalization": forged, "streamalert:ocsf": {"class_uid": 1}, "who": "eve"});
        let found = record(&configuration, &input);
        assert_eq!(found["streamalert_normalization"]["user"][0]["values"], json!(["eve"]));
        assert_eq!(found["streamalert:ocsf"]["class_uid"], 3002);
        assert_eq!(found.as_object().unwrap().len(), 9);
        // Nor the marks, whether the record is marked or not.
        let input = json!({"kind": "k", "streamalert:duplicate_keys": [], "streamalert:invalid_text": 0, "who": "eve"});
        let found = record(&configuration, &input);
        assert!(found.get("streamalert:duplicate_keys").is_none() && found.get("streamalert:invalid_text").is_none());
    }
}
