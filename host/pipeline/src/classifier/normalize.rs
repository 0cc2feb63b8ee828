//! Finds values by the names that many log types share: user, ip_address, and the attributes of OCSF and ECS.

use crate::config::LogType;
use crate::config::normalization::{FieldMap, FieldNode, FieldOrigin, FieldSource, Normalizer, ValueCondition};
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
    let ocsf = event.map(|event| view.mapped_all(&event.fields)).unwrap_or_default();
    Found { log_type, names, ocsf, ecs: view.mapped_all(&log_type.ecs) }
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

    fn mapped_all(&self, map: &'t FieldMap) -> Vec<(&'t str, Mapped<'t>)> {
        self.mapped_entries(&map.entries)
    }

    fn mapped_entries(&self, entries: &'t [(String, FieldNode)]) -> Vec<(&'t str, Mapped<'t>)> {
        let found = |node: &'t FieldNode| match node {
            FieldNode::Value(sources) => sources.iter().find_map(|source| self.mapped(source)),
            FieldNode::Object(entries) => {
                Some(self.mapped_entries(entries)).filter(|found| !found.is_empty()).map(Mapped::Object)
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
