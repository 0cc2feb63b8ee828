//! An index over the conditions of all rules: which rules can fire on a record, without asking each.
//!
//! Every rule is filed under one of its conditions, the one that fewest others share. What a record holds leads to the
//! rules filed under it; only their other conditions are then looked at.

use crate::config::schema::Datatype;
use crate::config::{LogType, Schemas};
use crate::log_record::{ECS_KEY, LogBatch, NORMALIZATION_KEY, OCSF_KEY};
use crate::plugin::{Condition, RuleInfo, Test};
use aho_corasick::AhoCorasick;
use hashbrown::HashMap;
use serde_json::Value;
use std::borrow::Cow;
use std::ops::Range;
use streamalert_packed::{Kind, Node, Record, segments};

pub struct Prefilter {
    /// By log type.
    types: HashMap<String, TypeIndex>,
    rules: usize,
}

/// The rules of one log type.
#[derive(Default)]
struct TypeIndex {
    /// Rules without conditions.
    always: Vec<u32>,
    root: PathNode,
    /// Rules filed under conditions that are compared loosely.
    loose: PathNode,
    /// How many path nodes there are.
    nodes: usize,
    /// What to look at once a rule is found by what it is filed under, by rule.
    checks: HashMap<u32, Checks>,
}

#[derive(Default)]
struct Checks {
    /// All of these must hold.
    when: Vec<Compiled>,
    /// Of each of these one must hold, loosely.
    when_any: Vec<Vec<Compiled>>,
    /// One of these must hold, if there are any: the datatypes of the rule that this log type declares.
    datatypes: Vec<Compiled>,
}

impl Checks {
    fn hold(&self, record: Record<'_>) -> bool {
        let any = |conditions: &[Compiled]| conditions.iter().any(|condition| condition.holds_loosely(record.root()));
        self.when.iter().all(|condition| condition.holds(record))
            && self.when_any.iter().all(|conditions| any(conditions))
            && (self.datatypes.is_empty() || self.datatypes.iter().any(|condition| condition.holds(record)))
    }
}

struct Compiled {
    steps: Vec<String>,
    test: Test,
}

impl Compiled {
    fn of(condition: &Condition) -> Self {
        let steps = segments(&condition.path).map(|s| s.into_owned()).collect();
        Compiled { steps, test: condition.test.clone() }
    }

    fn holds(&self, record: Record<'_>) -> bool {
        let mut node = Some(record.root());
        for step in &self.steps {
            node = node.and_then(|node| node.step(step));
        }
        node.is_some_and(|node| test_holds(&self.test, node))
    }

    /// With a test as [`folded`] makes it.
    fn of_loose(condition: &Condition) -> Self {
        Compiled { test: folded(&condition.test), ..Compiled::of(condition) }
    }

    fn holds_loosely(&self, node: Node<'_>) -> bool {
        steps_lead(&self.steps, node, &|node| holds_loosely(&self.test, node))
    }
}

/// One step of the paths that rules are filed under.
#[derive(Default)]
struct PathNode {
    /// Place in the memory of where keys were found last.
    id: usize,
    children: Vec<(String, PathNode)>,
    by_key: HashMap<String, usize>,
    leaf: Option<Leaf>,
}

/// The rules filed under one path.
#[derive(Default)]
struct Leaf {
    texts: HashMap<String, Vec<u32>>,
    /// Numbers, booleans, null: by their canonical text.
    others: HashMap<String, Vec<u32>>,
    /// Prefixes, suffixes and parts of texts, found in one pass.
    patterns: Vec<(String, Part, Vec<u32>)>,
    /// Where a pattern lies in them.
    places: HashMap<(Part, String), usize>,
    automaton: Option<AhoCorasick>,
    exists: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Prefix,
    Suffix,
    Anywhere,
}

/// Which rows each rule is to be asked about; kept from batch to batch for its memory.
#[derive(Default)]
pub struct Picked {
    rows: Vec<Vec<u32>>,
    touched: Vec<usize>,
    /// The last row a rule was found for, plus one: a rule found twice is asked once.
    seen: Vec<u32>,
    found: Vec<u32>,
    places: HashMap<String, Vec<usize>>,
}

impl Picked {
    /// Numbers of the rules that have rows.
    pub fn rules(&self) -> impl Iterator<Item = usize> + '_ {
        self.touched.iter().copied()
    }

    pub fn rows(&self, rule: usize) -> &[u32] {
        &self.rows[rule]
    }

    fn clear(&mut self, rules: usize) {
        for rule in self.touched.drain(..) {
            self.rows[rule].clear();
        }
        self.rows.resize_with(rules, Vec::new);
        self.seen.clear();
        self.seen.resize(rules, 0);
    }
}

impl Prefilter {
    pub fn new(rules: &[&RuleInfo], schemas: &Schemas) -> Self {
        let mut types = HashMap::new();
        for log_type in schemas.iter() {
            let mine: Vec<(u32, &RuleInfo)> = rules
                .iter()
                .enumerate()
                .filter(|(_, rule)| rule.looks_at(log_type))
                .map(|(number, rule)| (number as u32, *rule))
                .collect();
            if !mine.is_empty() {
                types.insert(log_type.name.clone(), TypeIndex::new(log_type, &mine));
            }
        }
        Prefilter { types, rules: rules.len() }
    }

    /// Finds for each of `rows` the rules that can fire on it. Rows are counted from `rows.start`.
    pub fn pick(&self, batch: &LogBatch, rows: Range<usize>, picked: &mut Picked) {
        picked.clear(self.rules);
        let mut last: Option<(&str, Option<&TypeIndex>, Vec<usize>)> = None;
        for (row, index) in rows.enumerate() {
            let name = batch.records[index].log_type.name.as_str();
            if last.as_ref().is_none_or(|(last, ..)| *last != name) {
                if let Some((name, _, places)) = last.take() {
                    picked.places.insert(name.to_owned(), places);
                }
                let found = self.types.get(name);
                let mut places = picked.places.remove(name).unwrap_or_default();
                places.resize(found.map_or(0, |index| index.nodes), 0);
                last = Some((name, found, places));
            }
            let Some((_, Some(type_index), places)) = &mut last else { continue };
            type_index.pick(batch.fields(index), row as u32, places, picked);
        }
    }
}

impl TypeIndex {
    fn new(log_type: &LogType, rules: &[(u32, &RuleInfo)]) -> Self {
        let mut index = TypeIndex::default();
        // How many rules share a value under a path: the fewer, the better to be filed under.
        let mut shared: HashMap<(String, String), usize> = HashMap::new();
        let mut paths: HashMap<&str, usize> = HashMap::new();
        for (_, rule) in rules {
            for condition in rule.when.iter().chain(rule.options.when_any.iter().flatten()) {
                for key in file_keys(condition) {
                    *shared.entry(key).or_default() += 1;
                }
                *paths.entry(&condition.path).or_default() += 1;
            }
        }
        let rank = |condition: &Condition| {
            let kind = match condition.test {
                Test::Equals(_) => 0,
                Test::Prefix(_) | Test::Suffix(_) => 1,
                Test::Contains(_) => 2,
                Test::Exists => 3,
            };
            let crowd = file_keys(condition).map(|key| shared[&key]).max().unwrap_or(usize::MAX);
            (kind == 3, crowd, kind, usize::MAX - paths[condition.path.as_str()])
        };
        for (number, rule) in rules {
            let best = rule.when.iter().min_by_key(|condition| rank(condition));
            let loose = rule.options.when_any.iter().enumerate();
            // One of many is as good as the worst of them.
            let loose = loose.min_by_key(|(_, conditions)| conditions.iter().map(rank).max());
            let loose = loose
                .filter(|(_, conditions)| best.is_none_or(|best| conditions.iter().map(rank).max() < Some(rank(best))));
            let datatypes = found_datatypes(log_type, &rule.options.datatypes);
            match (loose, best) {
                (Some((_, conditions)), _) => conditions.iter().for_each(|condition| {
                    let condition = Condition { path: condition.path.clone(), test: folded(&condition.test) };
                    file(&mut index.loose, *number, &condition);
                }),
                (None, Some(condition)) => file(&mut index.root, *number, condition),
                (None, None) if datatypes.is_empty() => index.always.push(*number),
                (None, None) => datatypes.iter().for_each(|condition| file(&mut index.root, *number, condition)),
            }
            // What it is filed under holds when it is found.
            let filed = loose.map(|(place, _)| place);
            let others = rule.options.when_any.iter().enumerate().filter(|(place, _)| Some(*place) != filed);
            let checks = Checks {
                when: rule.when.iter().map(Compiled::of).collect(),
                when_any: others.map(|(_, any)| any.iter().map(Compiled::of_loose).collect()).collect(),
                datatypes: datatypes.iter().map(Compiled::of).collect(),
            };
            index.checks.insert(*number, checks);
        }
        let mut nodes = 0;
        finish(&mut index.root, false, &mut nodes);
        index.nodes = nodes;
        finish(&mut index.loose, true, &mut 0);
        index
    }

    fn pick(&self, record: Record<'_>, row: u32, places: &mut [usize], picked: &mut Picked) {
        picked.found.clear();
        picked.found.extend_from_slice(&self.always);
        walk(&self.root, record.root(), places, &mut picked.found);
        walk_loosely(&self.loose, record.root(), &mut picked.found);
        for rule in picked.found.drain(..) {
            let rule = rule as usize;
            if picked.seen[rule] == row + 1 {
                continue;
            }
            picked.seen[rule] = row + 1;
            if self.checks[&(rule as u32)].hold(record) {
                if picked.rows[rule].is_empty() {
                    picked.touched.push(rule);
                }
                picked.rows[rule].push(row);
            }
        }
    }
}

/// Files a rule under a condition.
fn file(mut node: &mut PathNode, rule: u32, condition: &Condition) {
    for step in segments(&condition.path) {
        let at = match node.by_key.get(&*step) {
            Some(at) => *at,
            None => {
                node.children.push((step.to_string(), PathNode::default()));
                node.by_key.insert(step.into_owned(), node.children.len() - 1);
                node.children.len() - 1
            }
        };
        node = &mut node.children[at].1;
    }
    let leaf = node.leaf.get_or_insert_default();
    let mut part = |texts: &[String], part: Part| {
        for text in texts {
            // Every text has an empty part.
            if text.is_empty() {
                leaf.exists.push(rule);
                continue;
            }
            let place = *leaf.places.entry((part, text.clone())).or_insert_with(|| {
                leaf.patterns.push((text.clone(), part, Vec::new()));
                leaf.patterns.len() - 1
            });
            leaf.patterns[place].2.push(rule);
        }
    };
    match &condition.test {
        Test::Equals(values) => {
            for value in values {
                match value {
                    Value::String(text) => leaf.texts.entry_ref(text.as_str()).or_default().push(rule),
                    other => leaf.others.entry(canonical(other)).or_default().push(rule),
                }
            }
        }
        Test::Prefix(texts) => part(texts, Part::Prefix),
        Test::Suffix(texts) => part(texts, Part::Suffix),
        Test::Contains(texts) => part(texts, Part::Anywhere),
        Test::Exists => leaf.exists.push(rule),
    }
}

/// Gives every node its place and builds the automata.
fn finish(node: &mut PathNode, loose: bool, next: &mut usize) {
    node.id = *next;
    *next += 1;
    if let Some(leaf) = &mut node.leaf
        && !leaf.patterns.is_empty()
    {
        // Only a set of patterns too large for memory fails; the rules are then found by looking at each.
        let patterns = leaf.patterns.iter().map(|(pattern, ..)| pattern);
        match AhoCorasick::builder().ascii_case_insensitive(loose).build(patterns) {
            Ok(automaton) => leaf.automaton = Some(automaton),
            Err(_) => leaf.exists.extend(leaf.patterns.iter().flat_map(|(.., rules)| rules)),
        }
    }
    for (_, child) in &mut node.children {
        finish(child, loose, next);
    }
}

fn walk(node: &PathNode, value: Node<'_>, places: &mut [usize], found: &mut Vec<u32>) {
    if let Some(leaf) = &node.leaf {
        leaf.find(value, found);
    }
    match value.kind() {
        // Many paths, few keys: what grows is the record, not the number of rules.
        Kind::Object if node.children.len() > 2 * value.len() => {
            for (key, value) in value.entries() {
                if let Some(at) = node.by_key.get(key) {
                    walk(&node.children[*at].1, value, places, found);
                }
            }
        }
        Kind::Object => {
            for (key, child) in &node.children {
                let next = match value.entry_if(places[child.id], key) {
                    Some(next) => Some(next),
                    None => value.find(key).map(|(place, next)| {
                        places[child.id] = place;
                        next
                    }),
                };
                if let Some(next) = next {
                    walk(child, next, places, found);
                }
            }
        }
        Kind::Array => {
            for (key, child) in &node.children {
                if let Some(next) = value.step(key) {
                    walk(child, next, places, found);
                }
            }
        }
        _ => {}
    }
}

fn walk_loosely(node: &PathNode, value: Node<'_>, found: &mut Vec<u32>) {
    match value.kind() {
        Kind::Array => {
            for (key, child) in &node.children {
                if let Some(next) = value.step(key) {
                    walk_loosely(child, next, found);
                }
            }
            if let Some(leaf) = &node.leaf {
                found.extend_from_slice(&leaf.exists);
            }
            value.items().for_each(|item| walk_loosely(node, item, found));
            return;
        }
        Kind::Object if node.children.len() > 2 * value.len() => {
            for (key, value) in value.entries() {
                if let Some(at) = node.by_key.get(key) {
                    walk_loosely(&node.children[*at].1, value, found);
                }
            }
        }
        Kind::Object => {
            for (key, child) in &node.children {
                if let Some((_, next)) = value.find(key) {
                    walk_loosely(child, next, found);
                }
            }
        }
        _ => {}
    }
    if let Some(leaf) = &node.leaf {
        leaf.find_loosely(value, found);
    }
}

impl Leaf {
    fn find_loosely(&self, value: Node<'_>, found: &mut Vec<u32>) {
        found.extend_from_slice(&self.exists);
        let Some(text) = loose_text(value) else { return };
        if !self.texts.is_empty()
            && let Some(rules) = self.texts.get(&*folded_text(&text))
        {
            found.extend_from_slice(rules);
        }
        self.find_parts(&text, found);
    }

    fn find(&self, value: Node<'_>, found: &mut Vec<u32>) {
        found.extend_from_slice(&self.exists);
        match value.as_str() {
            Some(text) => {
                if let Some(rules) = self.texts.get(text) {
                    found.extend_from_slice(rules);
                }
                self.find_parts(text, found);
            }
            None if self.others.is_empty() || matches!(value.kind(), Kind::Array | Kind::Object) => {}
            None => {
                if let Some(rules) = self.others.get(&canonical(&value.to_value())) {
                    found.extend_from_slice(rules);
                }
            }
        }
    }

    fn find_parts(&self, text: &str, found: &mut Vec<u32>) {
        let Some(automaton) = &self.automaton else { return };
        for hit in automaton.find_overlapping_iter(text) {
            let (_, part, rules) = &self.patterns[hit.pattern().as_usize()];
            let fits = match part {
                Part::Prefix => hit.start() == 0,
                Part::Suffix => hit.end() == text.len(),
                Part::Anywhere => true,
            };
            if fits {
                found.extend_from_slice(rules);
            }
        }
    }
}

/// Whether a record of this type has a value of one of the datatypes that the rule asks for, if it asks for any.
pub fn has_datatype(rule: &RuleInfo, log_type: &LogType, record: Record<'_>) -> bool {
    let datatypes = &rule.options.datatypes;
    datatypes.is_empty()
        || found_datatypes(log_type, datatypes).iter().any(|condition| Compiled::of(condition).holds(record))
}

/// How records of this type show that they have a value of one of these datatypes: one condition for each it declares.
fn found_datatypes(log_type: &LogType, datatypes: &[String]) -> Vec<Condition> {
    let wanted: Vec<Datatype<'_>> = datatypes.iter().filter_map(|text| Datatype::parse(text)).collect();
    let mut conditions = Vec::new();
    for datatype in log_type.datatypes().filter(|own| wanted.contains(own)) {
        let condition = match datatype {
            Datatype::Name(name) => {
                let step = name.replace('\\', r"\\").replace('.', r"\.");
                Condition { path: format!("{NORMALIZATION_KEY}.{step}"), test: Test::Exists }
            }
            Datatype::Ocsf(class) => {
                Condition { path: format!("{OCSF_KEY}.class_uid"), test: Test::Equals(vec![class.uid.into()]) }
            }
            Datatype::Ecs(field) => Condition { path: format!("{ECS_KEY}.{field}"), test: Test::Exists },
        };
        // Several normalizers have one name, several events one class.
        if !conditions.contains(&condition) {
            conditions.push(condition);
        }
    }
    conditions
}

/// What a condition is filed under; a value shared by many rules is a poor place.
fn file_keys(condition: &Condition) -> impl Iterator<Item = (String, String)> + '_ {
    let values: Vec<String> = match &condition.test {
        Test::Equals(values) => values.iter().map(|value| format!("={}", canonical(value))).collect(),
        Test::Prefix(texts) => texts.iter().map(|text| format!("^{text}")).collect(),
        Test::Suffix(texts) => texts.iter().map(|text| format!("${text}")).collect(),
        Test::Contains(texts) => texts.iter().map(|text| format!("~{text}")).collect(),
        Test::Exists => vec!["?".to_owned()],
    };
    values.into_iter().map(|value| (condition.path.clone(), value))
}

/// Equal values have equal texts: 7 and 7.0 are one number.
fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (None, Some(float)) if float.fract() == 0.0 && float.abs() < 9e15 => (float as i64).to_string(),
            _ => number.to_string(),
        },
        Value::String(text) => format!("\"{text}"),
        other => other.to_string(),
    }
}

/// Whether one condition holds for the value its path leads to.
pub fn test_holds(test: &Test, node: Node<'_>) -> bool {
    match test {
        Test::Exists => true,
        Test::Equals(values) => match node.as_str() {
            Some(text) => values.iter().any(|value| value.as_str() == Some(text)),
            None if matches!(node.kind(), Kind::Array | Kind::Object) => false,
            None => {
                let own = canonical(&node.to_value());
                values.iter().any(|value| !value.is_string() && canonical(value) == own)
            }
        },
        Test::Prefix(texts) => {
            node.as_str().is_some_and(|text| texts.iter().any(|part| text.starts_with(part.as_str())))
        }
        Test::Suffix(texts) => node.as_str().is_some_and(|text| texts.iter().any(|part| text.ends_with(part.as_str()))),
        Test::Contains(texts) => {
            node.as_str().is_some_and(|text| texts.iter().any(|part| text.contains(part.as_str())))
        }
    }
}

/// A test in the form in which it is compared loosely: all its values are texts with small ASCII letters.
fn folded(test: &Test) -> Test {
    let texts = |texts: &[String]| texts.iter().map(|text| text.to_ascii_lowercase()).collect();
    match test {
        Test::Equals(values) => {
            let text = |value: &Value| match value {
                Value::String(text) => text.to_ascii_lowercase(),
                Value::Number(number) => match number.as_f64() {
                    Some(float) if !number.is_i64() && !number.is_u64() => float.to_string(),
                    _ => number.to_string(),
                },
                other => other.to_string(),
            };
            Test::Equals(values.iter().map(|value| Value::String(text(value))).collect())
        }
        Test::Prefix(parts) => Test::Prefix(texts(parts)),
        Test::Suffix(parts) => Test::Suffix(texts(parts)),
        Test::Contains(parts) => Test::Contains(texts(parts)),
        Test::Exists => Test::Exists,
    }
}

/// Any text, or the text of a number or boolean.
fn loose_text(node: Node<'_>) -> Option<Cow<'_, str>> {
    match node.kind() {
        Kind::Text => node.as_str().map(Cow::Borrowed),
        Kind::NumberText => node.as_number_text().map(Cow::Borrowed),
        Kind::True => Some(Cow::Borrowed("true")),
        Kind::False => Some(Cow::Borrowed("false")),
        Kind::I32 | Kind::I64 => node.as_i64().map(|number| Cow::Owned(number.to_string())),
        Kind::U64 => node.as_u64().map(|number| Cow::Owned(number.to_string())),
        Kind::F64 => node.as_f64().map(|number| Cow::Owned(number.to_string())),
        Kind::Null | Kind::Array | Kind::Object => None,
    }
}

fn folded_text(text: &str) -> Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => Cow::Borrowed(text),
    }
}

/// Whether a condition from a rule's `when_any` holds for a record.
pub fn loose_condition_holds(condition: &Condition, record: Record<'_>) -> bool {
    Compiled::of_loose(condition).holds_loosely(record.root())
}

/// Whether the steps lead to a value that `holds`; through a list, by any of its items.
fn steps_lead(steps: &[String], node: Node<'_>, holds: &impl Fn(Node<'_>) -> bool) -> bool {
    if node.kind() == Kind::Array {
        let by_number = steps.split_first().and_then(|(step, rest)| Some((rest, node.step(step)?)));
        return (steps.is_empty() && holds(node))
            || by_number.is_some_and(|(rest, next)| steps_lead(rest, next, holds))
            || node.items().any(|item| steps_lead(steps, item, holds));
    }
    match steps.split_first() {
        None => holds(node),
        Some((step, rest)) => node.step(step).is_some_and(|next| steps_lead(rest, next, holds)),
    }
}

/// Whether a [`folded`] test holds for one value.
fn holds_loosely(test: &Test, node: Node<'_>) -> bool {
    if matches!(test, Test::Exists) {
        return true;
    }
    let Some(text) = loose_text(node) else { return false };
    let text = folded_text(&text);
    match test {
        Test::Exists => true,
        Test::Equals(values) => values.iter().any(|value| value.as_str() == Some(&text)),
        Test::Prefix(parts) => parts.iter().any(|part| text.starts_with(part.as_str())),
        Test::Suffix(parts) => parts.iter().any(|part| text.ends_with(part.as_str())),
        Test::Contains(parts) => parts.iter().any(|part| text.contains(part.as_str())),
    }
}
