//! Which records are of one kind, and of what type each of their fields is.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use streamalert_pipeline::config::check::TELLING_FIELDS;

/// Records of one kind share at least this part of their keys, in percent of the keys that either has. Below it, more of a
/// schema would be optional than not.
const SAME_KIND_PERCENT: usize = 50;
/// Values of a field that may say of what kind a record is. One with more names things, not kinds.
const KINDS_MAX: usize = 16;
/// Digits of a number that a text is taken for; longer ones are identifiers, and a float would lose some of them.
const DIGITS_MAX: usize = 15;
/// Names that a note lists.
const NAMES_MAX: usize = 8;
/// Parts of a name whose values may be written with digits and are no numbers.
const IDENTIFIERS: [&str; 9] = ["id", "account", "phone", "serial", "severity", "version", "code", "zip", "hash"];

/// How values are to be read.
#[derive(Clone, Copy)]
pub struct How {
    /// They came as text, so a text may stand for a number.
    pub from_text: bool,
    /// Objects with always the same keys are spelt out.
    pub nested: bool,
}

/// The fields of one type.
#[derive(Default)]
pub struct Fields {
    pub schema: Map<String, Value>,
    /// Not in every record.
    pub optional: Vec<String>,
    pub notes: Vec<String>,
}

impl Fields {
    pub fn of(records: &[&Map<String, Value>], how: How) -> Fields {
        let mut names: Vec<&str> = Vec::new();
        let mut known = BTreeSet::new();
        for record in records {
            names.extend(record.keys().map(String::as_str).filter(|key| known.insert(*key)));
        }
        let mut fields = Fields::default();
        let (mut nothing, mut mixed) = (Vec::new(), Vec::new());
        for name in names {
            let values: Vec<&Value> = records.iter().filter_map(|record| record.get(name)).collect();
            let seen = Seen::of(&values);
            if seen.nothing() {
                nothing.push(name);
            }
            if seen.mixed() {
                mixed.push(name);
            }
            fields.schema.insert(name.to_owned(), seen.kind(name, how));
            if values.len() < records.len() {
                fields.optional.push(name.to_owned());
            }
        }
        for (names, what) in [
            (nothing, "without any value in the sample, so string"),
            (mixed, "of several types, objects or lists among them, so {}"),
        ] {
            if !names.is_empty() {
                let more = names.len().saturating_sub(NAMES_MAX);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                let shown = names[..names.len().min(NAMES_MAX)].join(", ");
                fields.notes.push(format!("{what}: {shown}{more}"));
            }
        }
        fields
    }
}

/// The values of one field.
#[derive(Default)]
struct Seen<'a> {
    objects: Vec<&'a Map<String, Value>>,
    lists: usize,
    booleans: usize,
    integers: usize,
    floats: usize,
    /// Without empty ones, which are nothing in every type.
    texts: Vec<&'a str>,
}

impl<'a> Seen<'a> {
    fn of(values: &[&'a Value]) -> Self {
        let mut seen = Seen::default();
        for value in values {
            match value {
                Value::Null => {}
                Value::Bool(_) => seen.booleans += 1,
                Value::Number(number) if number.is_f64() => seen.floats += 1,
                Value::Number(_) => seen.integers += 1,
                Value::String(text) if text.is_empty() => {}
                Value::String(text) => seen.texts.push(text),
                Value::Array(_) => seen.lists += 1,
                Value::Object(object) => seen.objects.push(object),
            }
        }
        seen
    }

    fn scalars(&self) -> usize {
        self.booleans + self.integers + self.floats + self.texts.len()
    }

    fn nothing(&self) -> bool {
        self.scalars() + self.lists + self.objects.len() == 0
    }

    fn mixed(&self) -> bool {
        [self.scalars(), self.lists, self.objects.len()].iter().filter(|count| **count > 0).count() > 1
    }

    fn kind(&self, name: &str, how: How) -> Value {
        if self.mixed() {
            return json!({});
        }
        if self.lists > 0 {
            return json!([]);
        }
        if !self.objects.is_empty() {
            return if how.nested { self.nested(how) } else { json!({}) };
        }
        json!(self.scalar(name, how))
    }

    fn scalar(&self, name: &str, how: How) -> &'static str {
        let numbers = self.integers + self.floats;
        if !self.texts.is_empty() {
            if !how.from_text || self.booleans + self.floats > 0 || is_identifier(name) {
                return "string";
            }
            return match self.texts.iter().map(|text| number(text)).max() {
                Some(Number::Integer) => "integer",
                Some(Number::Float) => "float",
                _ if self.integers == 0 && self.texts.iter().all(|text| matches!(*text, "true" | "false")) => "boolean",
                _ => "string",
            };
        }
        match (self.booleans, numbers) {
            (0, 0) => "string",
            (_, 0) => "boolean",
            (0, _) if self.floats > 0 => "float",
            (0, _) => "integer",
            _ => "string",
        }
    }

    /// Spelt out if all that are not empty have the same keys, since within an object no key can be optional.
    fn nested(&self, how: How) -> Value {
        let full: Vec<&Map<String, Value>> = self.objects.iter().copied().filter(|object| !object.is_empty()).collect();
        let Some(first) = full.first() else { return json!({}) };
        let keys: BTreeSet<&String> = first.keys().collect();
        let stable = self.objects.len() == full.len()
            && full.iter().all(|object| object.keys().collect::<BTreeSet<_>>() == keys);
        if stable { Value::Object(Fields::of(&full, how).schema) } else { json!({}) }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Number {
    Integer,
    Float,
    None,
}

/// What number a text is, if it is one and nothing is lost when it is read as one.
fn number(text: &str) -> Number {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    if whole.is_empty() || leading_zero || !plain(whole) || !plain(part) || digits.len() > DIGITS_MAX {
        return Number::None;
    }
    match (digits.contains('.'), part.is_empty()) {
        (false, _) => Number::Integer,
        (true, false) => Number::Float,
        (true, true) => Number::None,
    }
}

fn is_identifier(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    IDENTIFIERS.iter().any(|part| name.ends_with(part) || (part.len() > 3 && name.contains(part)))
}

/// Puts records of one kind together, the most frequent kind first.
pub fn group(records: &[Map<String, Value>]) -> Vec<Vec<usize>> {
    // Records with the same keys, whatever their order.
    let mut shapes: Vec<(BTreeSet<&str>, Vec<usize>)> = Vec::new();
    let mut places: std::collections::BTreeMap<Vec<&str>, usize> = std::collections::BTreeMap::new();
    for (index, record) in records.iter().enumerate() {
        let keys: BTreeSet<&str> = record.keys().map(String::as_str).collect();
        let place = *places.entry(keys.iter().copied().collect()).or_insert_with(|| {
            shapes.push((keys, Vec::new()));
            shapes.len() - 1
        });
        shapes[place].1.push(index);
    }
    shapes.sort_by_key(|(_, records)| usize::MAX - records.len());
    let joined = join(shapes.iter().map(|(keys, _)| keys.clone()).collect());
    let mut groups: Vec<Vec<usize>> = joined
        .into_iter()
        .map(|members| members.into_iter().flat_map(|shape| shapes[shape].1.iter().copied()).collect::<Vec<usize>>())
        .flat_map(|group| by_telling_value(records, group))
        .collect();
    groups.iter_mut().for_each(|group| group.sort_unstable());
    groups.sort_by_key(|group| usize::MAX - group.len());
    groups
}

/// Which of these sets of keys go together, directly or by way of others.
fn join(sets: Vec<BTreeSet<&str>>) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, set) in sets.iter().enumerate() {
        let (mut near, far): (Vec<Vec<usize>>, Vec<Vec<usize>>) =
            groups.into_iter().partition(|group| group.iter().any(|other| alike(set, &sets[*other])));
        near.push(vec![index]);
        groups = far;
        groups.push(near.into_iter().flatten().collect());
    }
    groups
}

fn alike(a: &BTreeSet<&str>, b: &BTreeSet<&str>) -> bool {
    let both = a.intersection(b).count();
    both * 100 >= (a.len() + b.len() - both) * SAME_KIND_PERCENT
}

/// Divides a group further if some field says of what kind its records are, and the keys that all of a kind have differ:
/// records in between can have joined what does not belong together.
fn by_telling_value(records: &[Map<String, Value>], group: Vec<usize>) -> Vec<Vec<usize>> {
    for field in TELLING_FIELDS {
        let mut kinds: Vec<(&str, BTreeSet<&str>, Vec<usize>)> = Vec::new();
        let complete = group.iter().all(|index| {
            let record = &records[*index];
            let Some(value) = record.get(field).and_then(Value::as_str) else { return false };
            let keys: BTreeSet<&str> = record.keys().map(String::as_str).collect();
            match kinds.iter_mut().find(|(known, ..)| *known == value) {
                Some((_, always, members)) => {
                    always.retain(|key| keys.contains(key));
                    members.push(*index);
                }
                None => kinds.push((value, keys, vec![*index])),
            }
            kinds.len() <= KINDS_MAX
        });
        if !complete || kinds.len() < 2 {
            continue;
        }
        let joined = join(kinds.iter().map(|(_, always, _)| always.clone()).collect());
        if joined.len() > 1 {
            let members =
                |group: Vec<usize>| group.into_iter().flat_map(|kind| kinds[kind].2.iter().copied()).collect();
            return joined.into_iter().map(members).collect();
        }
    }
    vec![group]
}
