//! Finds values by the names that many log types share: user, ip_address, command.

use crate::config::schema::{Normalizer, NormalizerOperator};
use serde_json::{Map, Value, json};
use streamalert_packed::{Kind, Node, Record};

/// `{name: [{function, values, …}], streamalert_record_id}`, or `{}` when nothing was found.
pub(super) fn find(record: Record<'_>, normalizers: &[Normalizer], record_id: &dyn Fn() -> String) -> Value {
    let mut found: Map<String, Value> = Map::new();
    for normalizer in normalizers {
        let holds = normalizer.condition.as_ref().is_none_or(|condition| {
            let text = leaves(record.root(), &condition.path).first().map(|node| text(*node).to_lowercase());
            // An absent value is nothing: neither equal nor different.
            text.is_some_and(|text| match condition.operator {
                NormalizerOperator::Is => condition.values.contains(&text),
                NormalizerOperator::IsNot => !condition.values.contains(&text),
                NormalizerOperator::In => condition.values.contains(&text),
                NormalizerOperator::NotIn => !condition.values.contains(&text),
                NormalizerOperator::Contains => condition.values.iter().any(|value| text.contains(value)),
                NormalizerOperator::NotContains => !condition.values.iter().any(|value| text.contains(value)),
            })
        });
        if !holds {
            continue;
        }
        let mut values: Vec<Value> = Vec::new();
        for node in leaves(record.root(), &normalizer.path) {
            match node.kind() {
                Kind::Array => values.extend(node.items().map(Node::to_value)),
                _ => values.push(Value::String(text(node))),
            }
        }
        if values.is_empty() {
            continue;
        }
        let mut entry = Map::new();
        entry.insert("function".to_owned(), normalizer.function.clone().map_or(Value::Null, Value::String));
        entry.insert("values".to_owned(), Value::Array(values));
        if !normalizer.send_to_artifacts {
            entry.insert("send_to_artifacts".to_owned(), false.into());
        }
        match found.entry(normalizer.name.clone()).or_insert_with(|| json!([])) {
            Value::Array(list) => list.push(Value::Object(entry)),
            _ => unreachable!("every entry is made a list above"),
        }
    }
    if !found.is_empty() {
        found.insert("streamalert_record_id".to_owned(), record_id().into());
    }
    Value::Object(found)
}

/// What a path of keys leads to, through every item of the lists on its way; empty values count as not found.
fn leaves<'a>(node: Node<'a>, path: &[String]) -> Vec<Node<'a>> {
    match path {
        [] if is_empty(node) => Vec::new(),
        [] => vec![node],
        [key, rest @ ..] => match node.kind() {
            Kind::Object => node.get(key).map(|node| leaves(node, rest)).unwrap_or_default(),
            Kind::Array => node.items().flat_map(|item| leaves(item, path)).collect(),
            _ => Vec::new(),
        },
    }
}

fn is_empty(node: Node<'_>) -> bool {
    match node.kind() {
        Kind::Null | Kind::False => true,
        Kind::Text => node.as_str().is_some_and(str::is_empty),
        Kind::Array | Kind::Object => node.is_empty(),
        Kind::I32 | Kind::F64 => node.as_f64() == Some(0.0),
        _ => false,
    }
}

fn text(node: Node<'_>) -> String {
    match node.as_str() {
        Some(text) => text.to_owned(),
        None => node.to_value().to_string(),
    }
}
