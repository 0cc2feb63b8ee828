//! Finds values by the names that many log types share: user, ip_address, command.

use crate::config::schema::{Normalizer, NormalizerOperator};
use streamalert_packed::{Builder, Kind, Node, Record, Slot};

/// What one normalizer found: its place in the list, and the values.
pub(super) struct Found {
    normalizer: usize,
    values: Vec<Value>,
}

enum Value {
    /// A value of the record, as it stands there.
    Again(Slot),
    /// Anything that is no text, written as text.
    Text(String),
}

/// Every normalizer that finds something in the record.
pub(super) fn find(record: Record<'_>, normalizers: &[Normalizer]) -> Vec<Found> {
    let mut found = Vec::new();
    for (index, normalizer) in normalizers.iter().enumerate() {
        if !condition_holds(record, normalizer) {
            continue;
        }
        let mut values = Vec::new();
        leaves(record.root(), &normalizer.path, &mut |node| match node.kind() {
            Kind::Text => values.push(Value::Again(node.into())),
            // A list stands for its items.
            Kind::Array => values.extend(node.items().map(|item| Value::Again(item.into()))),
            _ => values.push(Value::Text(node.to_value().to_string())),
        });
        if !values.is_empty() {
            found.push(Found { normalizer: index, values });
        }
    }
    found
}

/// `{name: [{function, values, …}], streamalert_record_id}`, or `{}` when nothing was found.
pub(super) fn write(
    builder: &mut Builder<'_>,
    found: &[Found],
    normalizers: &[Normalizer],
    record_id: &dyn Fn() -> String,
) -> Slot {
    if found.is_empty() {
        return builder.object(0);
    }
    // Normalizers of one name stand together.
    let of_one_name = |a: &Found, b: &Found| normalizers[a.normalizer].name == normalizers[b.normalizer].name;
    let names = found.chunk_by(of_one_name).count();
    let root = builder.object(names + 1);
    let words = builder.raw(b"functionvaluessend_to_artifactsstreamalert_record_id");
    let (function, values, artifacts, id) = ((words, 8), (words + 8, 6), (words + 14, 17), (words + 31, 21));
    for (index, group) in found.chunk_by(of_one_name).enumerate() {
        let name = &normalizers[group[0].normalizer].name;
        let key = (builder.raw(name.as_bytes()), name.len());
        let list = builder.array(group.len());
        for (place, found) in group.iter().enumerate() {
            let normalizer = &normalizers[found.normalizer];
            let entry = builder.object(2 + usize::from(!normalizer.send_to_artifacts));
            let text = normalizer.function.as_ref().map_or(Slot::NULL, |text| builder.text(text));
            builder.entry(entry, 0, function, text);
            let items = builder.array(found.values.len());
            for (at, value) in found.values.iter().enumerate() {
                let slot = match value {
                    Value::Again(slot) => *slot,
                    Value::Text(text) => builder.text(text),
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
    let text = builder.text(&record_id());
    builder.entry(root, names, id, text);
    root
}

fn condition_holds(record: Record<'_>, normalizer: &Normalizer) -> bool {
    let Some(condition) = &normalizer.condition else { return true };
    let mut first = None;
    leaves(record.root(), &condition.path, &mut |node| {
        first.get_or_insert_with(|| match node.as_str() {
            Some(text) => text.to_lowercase(),
            None => node.to_value().to_string().to_lowercase(),
        });
    });
    // An absent value is nothing: neither equal nor different.
    first.is_some_and(|text| match condition.operator {
        NormalizerOperator::Is | NormalizerOperator::In => condition.values.contains(&text),
        NormalizerOperator::IsNot | NormalizerOperator::NotIn => !condition.values.contains(&text),
        NormalizerOperator::Contains => condition.values.iter().any(|value| text.contains(value)),
        NormalizerOperator::NotContains => !condition.values.iter().any(|value| text.contains(value)),
    })
}

/// What a path of keys leads to, through every item of the lists on its way; empty values count as not found.
fn leaves<'a>(node: Node<'a>, path: &[String], take: &mut dyn FnMut(Node<'a>)) {
    match path {
        [] if is_empty(node) => {}
        [] => take(node),
        [key, rest @ ..] => match node.kind() {
            Kind::Object => {
                if let Some(next) = node.get(key) {
                    leaves(next, rest, take);
                }
            }
            Kind::Array => node.items().for_each(|item| leaves(item, path, take)),
            _ => {}
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
