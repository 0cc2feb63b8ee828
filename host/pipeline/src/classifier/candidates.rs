//! Which log types an input can be, found by the set of its keys. The answer for a sequence of keys is worked out once and
//! remembered, so that what a record costs does not depend on how many schemas there are.

use crate::config::Schemas;
use crate::config::schema::{FieldKind, Fields, LogPattern, LogType, Options, Parser, PathPlan, PathStep};
use crate::limits::SHAPES_MAX;
use hashbrown::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use streamalert_packed::Template;

/// The log types a source may send.
pub(super) struct Candidates {
    /// By rank.
    pub types: Vec<Arc<LogType>>,
    /// Types whose records lie at the same place of an input.
    pub groups: Vec<Group>,
    /// The group whose records are the inputs themselves.
    pub root: Option<usize>,
    /// key → which types have it among their fields, one bit each; for inputs of the root group and all others alike.
    by_key: HashMap<String, Vec<u64>>,
}

/// Where the records of some types are found in an input.
pub(super) struct Group {
    pub place: Place,
    /// Indexes into `types`, rising.
    pub types: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Place {
    /// The input itself.
    Root,
    /// What a `json_path` leads to; embedded: each is JSON text. The path is that of the first type of the group.
    Path { text: String, embedded: bool },
    /// JSON within the text under a key.
    Text { key: String },
}

/// What one type makes of records with one sequence of keys.
pub(super) struct Plan {
    pub log_type: Arc<LogType>,
    /// For each key of the record, in its order.
    pub fields: Vec<PlannedField>,
    /// Optional keys that are not there, with their defaults.
    pub absent: Vec<Template>,
    /// The texts of their keys, and the zero that floats begin with.
    pub absent_bytes: Vec<u8>,
    /// Unlike that of any other plan: its records have the same keys in the same order.
    pub shape: u32,
    /// How many of the schema's keys the record has.
    pub known: usize,
    /// How many keys the schema does not know.
    pub unknown: usize,
}

pub(super) enum PlannedField {
    /// Of the type's fields, this one.
    Known(usize),
    /// Not in the schema; kept as it is.
    Unknown,
    /// The same key comes again later, and that one counts.
    Repeated,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Default {
    Text,
    Integer,
    Float,
    False,
    Object,
    List,
}

impl Default {
    pub fn of(kind: &FieldKind) -> Self {
        match kind {
            FieldKind::String => Default::Text,
            FieldKind::Integer => Default::Integer,
            FieldKind::Float => Default::Float,
            FieldKind::Boolean => Default::False,
            FieldKind::Any | FieldKind::Object(_) => Default::Object,
            FieldKind::List => Default::List,
        }
    }
}

/// The types a record of one shape may be, best first.
#[derive(std::default::Default)]
pub(super) struct Shape {
    /// All keys the schema requires are there and no other.
    pub exact: Vec<Plan>,
    /// All required keys are there, and some the schema does not know; the one that explains most comes first.
    pub tolerant: Vec<Plan>,
    /// Types of a group that comes before this one look for their records within an input with these keys.
    pub elsewhere: bool,
    /// The type that came nearest and what it lacked, for the explanation of a dead letter.
    pub nearest: Option<(String, Vec<String>)>,
}

impl Candidates {
    pub fn new(schemas: &Schemas, logs: Option<&[String]>) -> Self {
        let types: Vec<Arc<LogType>> = schemas
            .iter()
            .filter(|t| t.parser == Parser::Json)
            .filter(|t| logs.is_none_or(|logs| logs.iter().any(|log| t.is_named_by(log))))
            .cloned()
            .collect();
        let mut groups: Vec<Group> = Vec::new();
        let words = types.len().div_ceil(64);
        let mut by_key: HashMap<String, Vec<u64>> = HashMap::new();
        for (index, log_type) in types.iter().enumerate() {
            let place = Place::of(&log_type.options);
            match groups.iter_mut().find(|group| group.place == place) {
                Some(group) => group.types.push(index),
                None => groups.push(Group { place, types: vec![index] }),
            }
            for field in &log_type.fields.0 {
                by_key.entry(field.name.clone()).or_insert_with(|| vec![0; words])[index / 64] |= 1 << (index % 64);
            }
        }
        let root = groups.iter().position(|group| group.place == Place::Root);
        Candidates { types, groups, root, by_key }
    }

    /// Works out what records with these keys may be, among the types of group `group`.
    fn shape(&self, group: usize, keys: &[&str]) -> Shape {
        let mut known = vec![0usize; self.types.len()];
        let mut distinct = 0;
        for (index, key) in keys.iter().enumerate() {
            if keys[index + 1..].contains(key) {
                continue;
            }
            distinct += 1;
            for (word, bits) in self.by_key.get(*key).into_iter().flatten().enumerate() {
                let mut bits = *bits;
                while bits != 0 {
                    known[word * 64 + bits.trailing_zeros() as usize] += 1;
                    bits &= bits - 1;
                }
            }
        }
        let mut shape = Shape::default();
        let mut nearest: Option<(usize, usize)> = None;
        for &index in &self.groups[group].types {
            let log_type = &self.types[index];
            let fields = &log_type.fields.0;
            let missing = || fields.iter().filter(|f| !f.optional && !keys.contains(&f.name.as_str()));
            // `{}` as a whole schema takes anything.
            let anything = fields.is_empty();
            if missing().next().is_none() {
                let unknown = distinct - known[index];
                let plan = Plan::new(log_type, keys, known[index], unknown);
                if unknown == 0 || anything {
                    shape.exact.push(plan);
                } else if known[index] >= unknown {
                    // A vendor added fields. What the schema knows must outweigh what it does not.
                    shape.tolerant.push(plan);
                }
            }
            let count = missing().count() + (distinct - known[index]);
            if known[index] > 0 && nearest.is_none_or(|(_, best)| count < best) {
                nearest = Some((index, count));
            }
        }
        shape.elsewhere = self.groups[..group].iter().any(|earlier| earlier.may_apply(&self.types, keys));
        shape.tolerant.sort_by_key(|plan| (plan.unknown, usize::MAX - plan.known, plan.log_type.rank));
        shape.nearest = nearest.map(|(index, _)| {
            let log_type = &self.types[index];
            let missing = log_type.fields.0.iter().filter(|f| !f.optional && !keys.contains(&f.name.as_str()));
            (log_type.name.clone(), missing.map(|f| f.name.clone()).take(8).collect())
        });
        shape
    }
}

impl Place {
    fn of(options: &Options) -> Place {
        match (&options.json_path, &options.json_regex_key) {
            (Some(path), _) => Place::Path { text: path.text.clone(), embedded: options.embedded_json },
            (None, Some(key)) => Place::Text { key: key.clone() },
            (None, None) => Place::Root,
        }
    }
}

impl Plan {
    fn new(log_type: &Arc<LogType>, keys: &[&str], known: usize, unknown: usize) -> Self {
        let fields = &log_type.fields;
        let by_name: HashMap<&str, usize> = fields.0.iter().enumerate().map(|(i, f)| (f.name.as_str(), i)).collect();
        let planned = keys.iter().enumerate().map(|(index, key)| {
            // What we add ourselves comes again later too.
            if keys[index + 1..].contains(key) || log_type.adds(key) {
                PlannedField::Repeated
            } else {
                by_name.get(key).map_or(PlannedField::Unknown, |at| PlannedField::Known(*at))
            }
        });
        let mut absent_bytes = 0f64.to_le_bytes().to_vec();
        let mut absent = Vec::new();
        let is_absent = |name: &str| !keys.contains(&name) && !log_type.adds(name);
        for field in fields.0.iter().filter(|f| f.optional && is_absent(&f.name)) {
            let (key, length) = (absent_bytes.len() as u32, field.name.len() as u32);
            absent_bytes.extend_from_slice(field.name.as_bytes());
            absent.push(match Default::of(&field.kind) {
                Default::Text => Template::empty_text(key, length),
                Default::Integer => Template::integer_zero(key, length),
                Default::Float => Template::float_zero(key, length),
                Default::False => Template::is_false(key, length),
                Default::Object => Template::empty_object(key, length),
                Default::List => Template::empty_list(key, length),
            });
        }
        static SHAPES: AtomicU32 = AtomicU32::new(1);
        Plan {
            shape: SHAPES.fetch_add(1, Ordering::Relaxed),
            absent,
            absent_bytes,
            log_type: log_type.clone(),
            fields: planned.collect(),
            known,
            unknown,
        }
    }

    pub fn schema(&self) -> &Fields {
        &self.log_type.fields
    }

    pub fn patterns(&self) -> &[LogPattern] {
        &self.log_type.options.log_patterns
    }
}

impl Group {
    /// Whether an object with these keys has what the records of the group are looked for in.
    fn may_apply(&self, types: &[Arc<LogType>], keys: &[&str]) -> bool {
        match (&self.place, self.path_plan(types)) {
            (Place::Root, _) => false,
            (Place::Text { key }, _) => keys.contains(&key.as_str()),
            (Place::Path { .. }, Some(PathPlan::Steps(steps))) => match &steps[0] {
                PathStep::Key(key) => keys.contains(&key.as_str()),
                PathStep::Each => false,
            },
            (Place::Path { .. }, _) => true,
        }
    }

    pub fn path_plan<'a>(&self, types: &'a [Arc<LogType>]) -> Option<&'a PathPlan> {
        types[self.types[0]].options.json_path.as_ref().map(|path| &path.plan)
    }
}

/// The shapes one worker has met for one set of candidates.
pub(super) struct Shapes {
    hasher: hashbrown::DefaultHashBuilder,
    /// By group and hash of the keys. The hash is seeded at random: two sequences that meet are one in 2^64, and what
    /// would follow is a wrong type for a record, nothing worse.
    known: HashMap<u64, Arc<Shape>, Identity>,
}

impl Shapes {
    pub fn new() -> Self {
        Shapes { hasher: Default_::default(), known: HashMap::with_hasher(Identity) }
    }

    pub fn hasher(&self, group: usize) -> impl Hasher + use<> {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_usize(group);
        hasher
    }

    #[inline]
    pub fn find(&self, hash: u64) -> Option<&Arc<Shape>> {
        self.known.get(&hash)
    }

    #[cold]
    pub fn learn(&mut self, hash: u64, candidates: &Candidates, group: usize, keys: &[&str]) -> Arc<Shape> {
        if self.known.len() >= SHAPES_MAX {
            self.known.clear();
        }
        let shape = Arc::new(candidates.shape(group, keys));
        self.known.insert(hash, shape.clone());
        shape
    }
}

use std::default::Default as Default_;

/// The key is a hash already.
#[derive(Clone, Copy)]
pub(super) struct Identity;

impl BuildHasher for Identity {
    type Hasher = IdentityHasher;
    fn build_hasher(&self) -> IdentityHasher {
        IdentityHasher(0)
    }
}

pub(super) struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 keys are hashed")
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}
