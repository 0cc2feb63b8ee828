//! A schema drafted from samples of a log.
//!
//! | file | its question |
//! |---|---|
//! | [`documents`] | where in a document do its records lie, and what stands around them |
//! | [`texts`] | which text format is it, and what are its fields |
//! | [`kinds`] | which records are of one kind, and of what type is each field |

mod documents;
mod kinds;
mod texts;

use documents::{Content, Found, Place};
use kinds::{Fields, How};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use streamalert_pipeline::classifier::Classifier;
use streamalert_pipeline::config::check::{TELLING_FIELDS, rivals};
use streamalert_pipeline::config::{Clusters, Schemas};
use streamalert_pipeline::dead_letter::DeadLetter;
use streamalert_pipeline::log_record::{Payload, Source};

/// Values that one `log_patterns` entry lists at most; a field with more does not say what kind a record is.
const PATTERN_VALUES_MAX: usize = 12;
/// Lines of text among JSON records, in percent of those, below which they are taken for noise.
const STRAY_PERCENT: usize = 5;
/// Schemas we ship for logs whose lines do not name their fields.
const KNOWN_LAYOUTS: [&str; 5] = [
    include_str!("../../../conf/schemas/vpcflow.json"),
    include_str!("../../../conf/schemas/elb.json"),
    include_str!("../../../conf/schemas/s3.json"),
    include_str!("../../../conf/schemas/cloudfront.json"),
    include_str!("../../../conf/schemas/web.json"),
];

#[derive(Default)]
pub struct Draft {
    pub types: Vec<DraftType>,
    /// What was guessed, for a person.
    pub notes: Vec<String>,
    pub records: usize,
    /// Documents without a record, which need none.
    pub empty: usize,
    /// Lines that nothing is drafted from.
    pub left_out: usize,
}

pub struct DraftType {
    pub name: String,
    pub records: usize,
    parser: &'static str,
    fields: Fields,
    envelope: Fields,
    configuration: Map<String, Value>,
    /// The records, while patterns may still have to be found.
    sample: Vec<Map<String, Value>>,
    /// A definition that is taken over as it is.
    whole: Option<Value>,
}

impl DraftType {
    fn definition(&self) -> Value {
        if let Some(whole) = &self.whole {
            return whole.clone();
        }
        let mut configuration = self.configuration.clone();
        if !self.envelope.schema.is_empty() {
            configuration.insert("envelope_keys".into(), Value::Object(self.envelope.schema.clone()));
        }
        for (option, names) in
            [("optional_envelope_keys", &self.envelope.optional), ("optional_top_level_keys", &self.fields.optional)]
        {
            if !names.is_empty() {
                configuration.insert(option.into(), json!(names));
            }
        }
        let mut definition = json!({"parser": self.parser, "schema": self.fields.schema});
        if !configuration.is_empty() {
            definition["configuration"] = Value::Object(configuration);
        }
        definition
    }
}

impl Draft {
    /// As a schema file has it.
    pub fn text(&self) -> String {
        let types: Map<String, Value> =
            self.types.iter().map(|drafted| (drafted.name.clone(), drafted.definition())).collect();
        serde_json::to_string_pretty(&types).unwrap_or_default()
    }
}

type Record = Map<String, Value>;
/// What stands around a record, shared by the records of one document.
type Envelope = Option<Rc<Map<String, Value>>>;

/// A sample, decompressed.
pub struct Sample {
    pub source: Source,
    pub bytes: Vec<u8>,
}

/// `name`: of the first type, `source:subtype`.
pub fn draft(samples: &[Sample], name: &str, nested: bool) -> Draft {
    let mut draft = Draft::default();
    let mut found: Vec<Found> = Vec::new();
    // Lines of one file are read as one text: its first may name the columns.
    let mut texts: BTreeMap<Place, Vec<(String, Envelope)>> = BTreeMap::new();
    for sample in samples {
        let text = String::from_utf8_lossy(&sample.bytes);
        documents::look(text.trim_start_matches('\u{feff}'), &mut found, &mut draft);
    }
    let mut records: BTreeMap<Place, Vec<(Record, Envelope)>> = BTreeMap::new();
    for Found { place, content, envelope } in found {
        match content {
            Content::Record(record) => records.entry(place).or_default().push((record, envelope)),
            Content::Text(text) => texts.entry(place).or_default().push((text, envelope)),
        }
    }
    for place in records.keys().chain(texts.keys()) {
        if let Some(path) = &place.json_path {
            draft.notes.push(format!("records lie under {path}; what stands around them is kept as envelope_keys"));
        }
    }
    for (place, records) in records {
        let (records, envelopes) = records.into_iter().unzip();
        draft.add(Read::json(place, records, envelopes), How { from_text: false, nested });
    }
    for (place, texts) in texts {
        let plain = place == Place::default();
        let json = draft.records;
        let (lines, envelopes): (Vec<String>, Vec<_>) = texts.into_iter().unzip();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        if lines.len() * 100 < json * STRAY_PERCENT {
            draft.left_out += lines.len();
            draft.notes.push(format!(
                "left out, since nearly all else is JSON: {} lines, such as {}",
                lines.len(),
                excerpt(lines[0])
            ));
            continue;
        }
        if plain && let Some(known) = known_layout(&lines) {
            draft.records += known.records;
            draft.notes.push(format!("every line is what {} takes; its definition is used", known.name));
            draft.types.push(known);
            continue;
        }
        match texts::read(&lines) {
            Some(mut read) => {
                draft.notes.append(&mut read.notes);
                let envelopes = read.lines.iter().map(|line| envelopes.get(*line).cloned().flatten()).collect();
                draft.add(Read::text(place, read, envelopes), How { from_text: true, nested });
            }
            None => {
                draft.notes.push(format!("{} lines are of no format that is known here: {}", lines.len(), lines[0]))
            }
        }
    }
    draft.name_types(name);
    draft.tell_apart();
    draft
}

/// Records found at one place in one format.
struct Read {
    parser: &'static str,
    configuration: Map<String, Value>,
    records: Vec<Map<String, Value>>,
    envelopes: Vec<Envelope>,
    /// Their keys say which of them are of one kind.
    by_keys: bool,
}

impl Read {
    fn json(place: Place, records: Vec<Map<String, Value>>, envelopes: Vec<Envelope>) -> Self {
        Read { parser: "json", configuration: place.options(true), records, envelopes, by_keys: true }
    }

    fn text(place: Place, read: texts::Read, envelopes: Vec<Envelope>) -> Self {
        let mut configuration = place.options(false);
        configuration.extend(read.configuration);
        Read { parser: read.parser, configuration, records: read.records, envelopes, by_keys: read.by_keys }
    }
}

impl Draft {
    /// One type for each kind of record.
    fn add(&mut self, read: Read, how: How) {
        let Read { parser, configuration, records, envelopes, by_keys } = read;
        self.records += records.len();
        let groups = match by_keys {
            true => kinds::group(&records),
            false => vec![(0..records.len()).collect()],
        };
        for group in groups {
            let sample: Vec<Map<String, Value>> = group.iter().map(|index| records[*index].clone()).collect();
            let outer: Vec<&Map<String, Value>> =
                group.iter().filter_map(|index| envelopes[*index].as_deref()).collect();
            let mut fields = Fields::of(&sample.iter().collect::<Vec<_>>(), how);
            let envelope = Fields::of(&outer, How { from_text: false, nested: false });
            self.notes.append(&mut fields.notes);
            self.types.push(DraftType {
                name: String::new(),
                records: sample.len(),
                parser,
                fields,
                envelope,
                configuration: configuration.clone(),
                sample,
                whole: None,
            });
        }
        // What there is most of comes first.
        self.types.sort_by_key(|drafted| usize::MAX - drafted.records);
    }

    /// `source:subtype`; several are told apart by a value that says what they are, or else numbered.
    fn name_types(&mut self, name: &str) {
        let (source, subtype) = name.split_once(':').unwrap_or((name, "events"));
        if let [only] = &mut self.types[..] {
            only.name = format!("{source}:{subtype}");
            return;
        }
        let telling = TELLING_FIELDS.iter().find_map(|field| {
            let names: Option<Vec<String>> = self.types.iter().map(|drafted| drafted.only_value(field)).collect();
            names.filter(|names| names.iter().collect::<BTreeSet<_>>().len() == names.len())
        });
        for (index, drafted) in self.types.iter_mut().enumerate() {
            drafted.name = match (&telling, index) {
                (Some(names), _) => format!("{source}:{}", names[index]),
                (None, 0) => format!("{source}:{subtype}"),
                (None, _) => format!("{source}:{subtype}_{}", index + 1),
            };
        }
    }

    /// Gives `log_patterns` to types that could take one another's records, if some field's values tell them apart.
    fn tell_apart(&mut self) {
        for rival in self.rivals() {
            let at = |name: &str| self.types.iter().position(|drafted| drafted.name == name);
            let (Some(one), Some(other)) = (at(&rival.taken_by), at(&rival.also_fits)) else { continue };
            let Some(field) = telling_field(&self.types[one], &self.types[other]) else { continue };
            for index in [one, other] {
                let values: Vec<String> = self.types[index].values(&field).into_iter().flatten().collect();
                let patterns = self.types[index].configuration.entry("log_patterns").or_insert_with(|| json!({}));
                patterns[&field] = json!(values);
            }
            self.notes.push(format!(
                "{} and {} have keys that fit both; `{field}` tells them apart, as far as the sample goes",
                rival.taken_by, rival.also_fits
            ));
        }
        for rival in self.rivals() {
            self.notes.push(format!(
                "{} takes what fits {} too, and no value tells them apart: {}",
                rival.taken_by, rival.also_fits, rival.remedy
            ));
        }
    }

    fn rivals(&self) -> Vec<streamalert_pipeline::config::check::Rivals> {
        Schemas::read(&[("draft".to_owned(), self.text())]).map(|schemas| rivals(&schemas)).unwrap_or_default()
    }
}

impl DraftType {
    /// The values of a field that all records have as text. `None`: some have not, or there are too many.
    fn values(&self, field: &str) -> Option<BTreeSet<String>> {
        let mut values = BTreeSet::new();
        for record in &self.sample {
            let text =
                record.get(field)?.as_str().filter(|text| !text.is_empty() && !text.contains(['*', '?', '[']))?;
            values.insert(text.to_owned());
            if values.len() > PATTERN_VALUES_MAX {
                return None;
            }
        }
        (!values.is_empty()).then_some(values)
    }

    /// As a part of a name.
    fn only_value(&self, field: &str) -> Option<String> {
        let mut values = self.values(field)?.into_iter();
        let name = slug(&values.next()?);
        (values.next().is_none() && !name.is_empty()).then_some(name)
    }
}

/// Characters of a line that a note shows.
const EXCERPT_CHARS: usize = 80;

fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Lower case letters, digits and `_`.
pub fn slug(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let slug: String = text.chars().map(plain).collect();
    slug.trim_matches('_').to_owned()
}

/// A field whose values in one type are never those in the other.
fn telling_field(one: &DraftType, other: &DraftType) -> Option<String> {
    let names = one.fields.schema.keys().filter(|name| one.fields.schema[*name] == "string");
    let (usual, others): (Vec<&String>, Vec<&String>) = names.partition(|name| TELLING_FIELDS.contains(&name.as_str()));
    usual.into_iter().chain(others).find_map(|name| {
        let apart = one.values(name)?.is_disjoint(&other.values(name)?);
        // A value that each record has for itself says nothing about its kind.
        let repeats =
            |drafted: &DraftType| drafted.values(name).is_some_and(|v| v.len() == 1 || v.len() < drafted.records);
        (apart && repeats(one) && repeats(other)).then(|| name.clone())
    })
}

/// The shipped type that takes all these lines, for formats whose lines do not say what their cells are.
fn known_layout(lines: &[&str]) -> Option<DraftType> {
    let files: Vec<(String, String)> =
        KNOWN_LAYOUTS.iter().enumerate().map(|(index, text)| (index.to_string(), (*text).to_owned())).collect();
    let schemas = Arc::new(Schemas::read(&files).ok()?);
    let sample = Sample { source: Source::new("stdin", "-", ""), bytes: (lines.join("\n") + "\n").into_bytes() };
    let taken = taken(&schemas, std::slice::from_ref(&sample));
    let mut types = taken.by_type.iter();
    let (Some((name, records)), None, true) = (types.next(), types.next(), taken.is_complete()) else { return None };
    let text = KNOWN_LAYOUTS[schemas.get(name)?.file.parse::<usize>().ok()?];
    let file: Map<String, Value> = serde_json::from_str(text).ok()?;
    Some(DraftType {
        name: name.clone(),
        records: *records as usize,
        parser: schemas.get(name)?.parser.name(),
        fields: Fields::default(),
        envelope: Fields::default(),
        configuration: Map::new(),
        sample: Vec::new(),
        whole: file.get(name).cloned(),
    })
}

/// What a schema file makes of samples.
#[derive(Default)]
pub struct TakenBy {
    pub by_type: BTreeMap<String, u64>,
    /// Records with keys that their type does not know.
    pub inexact: u64,
    pub dead: Vec<DeadLetter>,
    pub unaccounted: u64,
}

impl TakenBy {
    pub fn is_complete(&self) -> bool {
        self.inexact == 0 && self.dead.is_empty() && self.unaccounted == 0
    }

    pub fn records(&self) -> u64 {
        self.by_type.values().sum()
    }
}

pub fn taken(schemas: &Arc<Schemas>, samples: &[Sample]) -> TakenBy {
    let mut worker = Arc::new(Classifier::new(schemas.clone(), Arc::new(Clusters::default()))).worker();
    let mut taken = TakenBy::default();
    for sample in samples {
        let payload = Payload::new(Arc::new(sample.source.clone()), 0, sample.bytes.as_slice());
        let classified = worker.classify(payload);
        for record in &classified.batch.records {
            *taken.by_type.entry(record.log_type.name.clone()).or_default() += 1;
            taken.inexact += u64::from(!record.exact);
        }
        taken.dead.extend(classified.dead);
        taken.unaccounted += classified.unaccounted;
    }
    taken
}
