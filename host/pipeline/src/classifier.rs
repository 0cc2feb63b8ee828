//! Parses, classifies and normalizes: payloads become typed records, and what cannot becomes dead letters.

mod candidates;
mod carried;
mod document;
mod framing;
mod known_keys;
mod lines;
mod normalize;
mod packing;
mod record;
#[cfg(test)]
mod tests;
mod text;
#[cfg(test)]
mod text_tests;

pub use candidates::Near;
pub use carried::{Before, Repacker, gone, log_batch, repack};
pub use framing::{Framing, complete_inputs, holds_whole_items};
pub use packing::Packer;

use crate::config::schema::{PathPlan, PathStep};
use crate::config::{Clusters, ConfigFault, Schemas};
use crate::dead_letter::{DeadLetter, Reason};
use crate::limits::{AMBIGUITY_SAMPLES, DEPTH_MAX, INPUT_BYTES_MAX, KEYS_MAX, RECORDS_PER_INPUT_MAX, UNWRAP_DEPTH_MAX};
use crate::log_record::{LastDigest, LogBatch, LogRecord, Payload, Position, Source, part_of, short_id};
use crate::plugin::{ParsedPart, ParserPlugin, Takes};
use crate::skip::{Skip, Skips};
use candidates::{Candidates, Keyed, Place, Shape, Shapes};
use document::{Columns, Document, Item};
use framing::{Framed, depth, frame, line_end, whole_items};
use hashbrown::HashMap;
use lines::Lines;
use record::{Envelope, Refusal};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What one payload came to. Every record of it is in `batch` or in `dead`.
#[derive(Debug)]
pub struct Classified {
    pub batch: LogBatch,
    pub dead: Vec<DeadLetter>,
    /// Documents and lines that were not blank.
    pub inputs: u64,
    /// Inputs that hold no record and need none, such as `{"Records": []}`.
    pub skipped: Skips,
    /// Log types that fit the same records, and how many such inputs were met: `taken` → `also`. Only the first inputs of
    /// each sequence of keys are looked at.
    pub ambiguous: BTreeMap<Ambiguity, u64>,
    /// Inputs that came to nothing at all. Anything but 0 is a fault of ours.
    pub unaccounted: u64,
}

/// Types that would all take a record; the first by priority did.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Ambiguity {
    pub taken: String,
    pub also: Vec<String>,
}

/// The schemas of all sources, shared by all workers.
pub struct Classifier {
    schemas: Arc<Schemas>,
    clusters: Arc<Clusters>,
    parsers: Vec<Arc<dyn ParserPlugin>>,
}

impl Classifier {
    /// A source that no cluster names may send every log type and belongs to the cluster `default`.
    pub fn new(schemas: Arc<Schemas>, clusters: Arc<Clusters>) -> Self {
        Classifier { schemas, clusters, parsers: Vec::new() }
    }

    /// With components that parse. Those whose log types clash with others are left out, and why is said.
    pub fn with_parsers(
        schemas: &Arc<Schemas>,
        clusters: Arc<Clusters>,
        parsers: &[Arc<dyn ParserPlugin>],
    ) -> (Self, Vec<ConfigFault>) {
        let mut all = schemas.clone();
        let mut taken: Vec<Arc<dyn ParserPlugin>> = Vec::new();
        let mut faults = Vec::new();
        for parser in parsers {
            let info = parser.info();
            match all.with_component(&info.name, &info.schemas) {
                Ok(more) => {
                    all = Arc::new(more);
                    taken.push(parser.clone());
                }
                Err(more) => faults.extend(more.0),
            }
        }
        (Classifier { schemas: all, clusters, parsers: taken }, faults)
    }

    /// All log types, those of components too.
    pub fn schemas(&self) -> &Arc<Schemas> {
        &self.schemas
    }

    /// How what comes from a source is cut into payloads.
    /// `head` is what its object begins with, decompressed.
    pub fn framing(&self, source: &Source, head: &[u8]) -> Framing {
        let declared = self.clusters.find(source).map(|(_, declared)| declared);
        let parser = match declared.and_then(|declared| declared.parser.as_ref()) {
            Some(name) => self.parsers.iter().find(|parser| parser.info().name == *name),
            None => self.parsers.iter().find(|parser| sniffs(&***parser, head)),
        };
        if let Some(parser) = parser {
            return match parser.info().takes {
                Takes::Whole => Framing { whole: true, ..Framing::default() },
                // Its lines are known by the first of them.
                Takes::Lines => Framing { header: true, text: true, ..Framing::default() },
            };
        }
        let may = |t: &&Arc<crate::config::LogType>| {
            t.component.is_none() && declared.is_none_or(|declared| declared.may_send(t))
        };
        Framing::of(self.schemas.iter().filter(may))
    }

    /// A worker's own scratch memory and caches; one for each thread.
    pub fn worker(self: &Arc<Self>) -> Worker {
        Worker {
            shared: self.clone(),
            routes: HashMap::new(),
            last: None,
            sets: Vec::new(),
            document: Document::default(),
            lines: None,
            resent: None,
        }
    }
}

/// One thread's part of the classifier.
pub struct Worker {
    shared: Arc<Classifier>,
    routes: HashMap<Source, Route>,
    last: Option<(Arc<Source>, Route)>,
    sets: Vec<Set>,
    /// What inputs are parsed into.
    document: Document,
    /// What is kept from one text to the next.
    lines: Option<Box<Lines>>,
    /// The reason of the letter that is sent again.
    resent: Option<Reason>,
}

/// Where what comes from a source goes.
#[derive(Clone)]
struct Route {
    cluster: Arc<str>,
    /// Its place in `sets`.
    set: usize,
    /// The component that its cluster names.
    parser: Option<Arc<str>>,
}

/// The log types some sources may send, and what this worker knows of the shapes of their records.
struct Set {
    logs: Option<Vec<String>>,
    component: Option<Arc<str>>,
    candidates: Arc<Candidates>,
    shapes: Shapes,
    framing: Framing,
}

/// Sources one worker remembers; the cap stops a door that names a new source for every request.
const ROUTES_MAX: usize = 4096;

impl Worker {
    pub fn classify(&mut self, payload: Payload) -> Classified {
        let route = self.route(&payload.source);
        match self.parser(&route, &payload) {
            None => self.run(payload, route.cluster, route.set, |run, document| {
                run.take_head();
                run.inputs(document);
            }),
            Some(Ok(parser)) => {
                let set = self.set(None, Some(parser.info().name.as_str().into()));
                self.run(payload, route.cluster, set, |run, document| run.parsed(&*parser, document))
            }
            Some(Err(message)) => self.run(payload, route.cluster, route.set, |run, _| {
                let whole = 0..run.payload.bytes.len();
                run.bad_input(whole, Reason::ParserFault, message);
            }),
        }
    }

    /// The component that reads a payload, if one does.
    fn parser(&self, route: &Route, payload: &Payload) -> Option<Result<Arc<dyn ParserPlugin>, String>> {
        let parsers = &self.shared.parsers;
        if let Some(name) = &route.parser {
            let found = parsers.iter().find(|parser| *parser.info().name == **name).cloned();
            let message = || format!("no parser called {name} is loaded; put its component among the plugins");
            return Some(found.ok_or_else(message));
        }
        let head = if payload.head.is_empty() { &payload.bytes } else { &payload.head };
        parsers.iter().find(|parser| sniffs(&***parser, head)).cloned().map(Ok)
    }

    fn run(
        &mut self,
        payload: Payload,
        cluster: Arc<str>,
        set: usize,
        work: impl FnOnce(&mut Run<'_>, &mut Document),
    ) -> Classified {
        let mut run = Run {
            lines: self.lines.take(),
            resent: self.resent,
            takers: None,
            ambiguous: BTreeMap::new(),
            settled: (0, 0),
            unaccounted: 0,
            made: Vec::new(),
            set: &mut self.sets[set],
            payload: &payload,
            cluster: &cluster,
            records: Vec::new(),
            bytes: Vec::with_capacity(payload.bytes.len() + payload.bytes.len() / 2 + 1024),
            dead: Vec::new(),
            inputs: 0,
            skipped: Skips::default(),
            position: Position { offset: 0, length: 0, index: 0 },
            last_digest: LastDigest::default(),
        };
        if let Some(lines) = &mut run.lines {
            lines.next_payload();
        }
        work(&mut run, &mut self.document);
        run.settle();
        let Run { records, bytes, made, mut dead, inputs, skipped, ambiguous, lines, unaccounted, .. } = run;
        // Whoever sends one of these again must know its header.
        let head = lines.as_ref().map(|lines| lines.head_line.as_str()).unwrap_or_default();
        let mut payload = payload;
        if payload.head.is_empty() && !head.is_empty() {
            dead.iter_mut().for_each(|letter| letter.head = head.to_owned());
            payload.head = head.as_bytes().into();
        }
        self.lines = lines;
        let batch = LogBatch {
            cluster,
            records,
            bytes,
            made,
            identity: None,
            carried: Vec::new(),
            last_digest: Default::default(),
            payload,
        };
        Classified { batch, dead, inputs, skipped, ambiguous, unaccounted }
    }

    /// Classifies the input of a dead letter again, as what it was: at its old place, with its old identity.
    pub fn resend(&mut self, letter: &DeadLetter) -> Classified {
        if let Some(log_type) = &letter.classified {
            return carried::again(letter, log_type, self.shared.schemas());
        }
        let payload = Payload {
            source: Arc::new(letter.source.clone()),
            offset: letter.position.offset,
            bytes: letter.input.bytes().into(),
            head: letter.head.as_bytes().into(),
            identity: None,
        };
        self.resent = Some(letter.reason);
        let mut classified = match &letter.parser {
            // What a component made of it needs no component any more.
            Some(parser) => {
                let route = self.route(&payload.source);
                let set = self.set(None, Some(parser.as_str().into()));
                self.run(payload, route.cluster, set, |run, document| run.made_again(document))
            }
            None => self.classify(payload),
        };
        self.resent = None;
        let (records, dead) = (&mut classified.batch.records, &mut classified.dead);
        // Letters from before they said whether they are about one record.
        let single = letter.single || letter.position.index > 0 || letter.reason == Reason::RuleFault;
        // A part that was no record may be several now.
        if letter.reason == Reason::RuleFault || single && !letter.part {
            let index = if letter.part { 0 } else { letter.position.index };
            records.retain(|record| record.position.index == index);
            dead.retain(|dead| dead.position.index == index);
        }
        // Still dead: still the same letter.
        for dead in &mut *dead {
            *dead = DeadLetter { reason: dead.reason, message: std::mem::take(&mut dead.message), ..letter.clone() };
        }
        // Nothing at all came of it: the end of a document, cut off behind a record.
        if records.is_empty() && dead.is_empty() && classified.skipped.total() == 0 {
            dead.push(letter.clone());
        }
        // A whole input gives its records as it always would.
        if single || letter.part {
            records.iter_mut().for_each(|record| record.position = letter.position);
            classified.batch.identity = Some(letter.identity_bytes());
        }
        classified
    }

    /// Which types came nearest to the record or input of a letter, nearest first, and what they lacked.
    pub fn near(&mut self, letter: &DeadLetter, limit: usize) -> Vec<Near> {
        let set = match &letter.parser {
            Some(parser) => self.set(None, Some(parser.as_str().into())),
            None => {
                let source = Arc::new(letter.source.clone());
                self.route(&source).set
            }
        };
        let mut document = Document::default();
        if !document.parse(letter.input.bytes().trim_ascii()) {
            return Vec::new();
        }
        self.sets[set].candidates.near(&document.keys(0), limit)
    }

    fn route(&mut self, source: &Arc<Source>) -> Route {
        if let Some((last, route)) = &self.last
            && (Arc::ptr_eq(last, source) || last == source)
        {
            return route.clone();
        }
        let route = match self.routes.get(&**source) {
            Some(route) => route.clone(),
            None => {
                let (cluster, logs, parser) = match self.shared.clusters.find(source) {
                    Some((cluster, declared)) => {
                        (cluster.name.clone(), Some(declared.logs.clone()), declared.parser.as_deref().map(Arc::from))
                    }
                    None => ("default".into(), None, None),
                };
                let route = Route { cluster, set: self.set(logs, None), parser };
                if self.routes.len() >= ROUTES_MAX {
                    self.routes.clear();
                }
                self.routes.insert((**source).clone(), route.clone());
                route
            }
        };
        self.last = Some((source.clone(), route.clone()));
        route
    }

    /// The place in `sets` of those log types.
    fn set(&mut self, logs: Option<Vec<String>>, component: Option<Arc<str>>) -> usize {
        if let Some(set) = self.sets.iter().position(|set| set.logs == logs && set.component == component) {
            return set;
        }
        let candidates = Candidates::new(&self.shared.schemas, logs.as_deref(), component.as_deref());
        let candidates = Arc::new(candidates);
        let framing = Framing::of(candidates.types.iter());
        self.sets.push(Set { logs, component, candidates, shapes: Shapes::new(), framing });
        self.sets.len() - 1
    }
}

/// Bytes a parser is shown to tell its own payloads by.
const SNIFF_BYTES: usize = 4096;

fn sniffs(parser: &dyn ParserPlugin, head: &[u8]) -> bool {
    let head = &head[..head.len().min(SNIFF_BYTES)];
    // One that fails here claims nothing; what it would have read is told of as unclassified.
    !head.is_empty() && parser.info().sniffs && parser.sniff(head).unwrap_or(false)
}

/// The work on one payload.
struct Run<'a> {
    set: &'a mut Set,
    payload: &'a Payload,
    cluster: &'a str,
    records: Vec<LogRecord>,
    bytes: Vec<u8>,
    /// JSON that a parser component made.
    made: Vec<u8>,
    dead: Vec<DeadLetter>,
    inputs: u64,
    skipped: Skips,
    /// Of the input at hand; `index` is that of the next record.
    position: Position,
    last_digest: LastDigest,
    lines: Option<Box<Lines>>,
    resent: Option<Reason>,
    /// Nothing is made while this is there: types that would take a record are only noted.
    takers: Option<BTreeSet<String>>,
    ambiguous: BTreeMap<Ambiguity, u64>,
    /// Inputs, and what came of them, when the last one was done with.
    settled: (u64, u64),
    unaccounted: u64,
}

/// Where an object that should become a record stands, and how to show it in a dead letter.
struct Candidate<'a> {
    document: &'a Document,
    at: usize,
    envelope: Option<Envelope<'a>>,
    /// It is a part of the input's own text, not of something embedded.
    of_input: bool,
}

/// How closely a record must fit.
#[derive(Clone, Copy, PartialEq)]
enum Fit {
    Exact,
    /// With keys the schema does not know.
    Tolerant,
}

impl Run<'_> {
    fn inputs(&mut self, document: &mut Document) {
        let bytes = &self.payload.bytes.clone();
        let texts = !self.set.candidates.texts.is_empty();
        let mut at = 0;
        loop {
            let behind = at;
            at = skip_blank(bytes, at);
            if at >= bytes.len() {
                return;
            }
            if texts && !matches!(bytes[at], b'{' | b'[') {
                match self.text_input(behind, at) {
                    Ok(end) => at = end,
                    Err((range, refused)) => {
                        let end = range.end.max(at + 1);
                        if document.parse(&bytes[at..trim_end(bytes, at, range.end)]) {
                            // A JSON text or number: not what anybody logs.
                            self.input(document, at..trim_end(bytes, at, range.end));
                        } else {
                            self.bad_text(range, refused);
                        }
                        at = end;
                    }
                }
                continue;
            }
            // Nearly always an input is a line.
            let end = line_end(bytes, at);
            let line = trim_end(bytes, at, end);
            if line - at <= INPUT_BYTES_MAX && document.parse(&bytes[at..line]) {
                self.input(document, at..line);
                at = end;
                continue;
            }
            let framed = frame(&bytes[at..]);
            if texts && !matches!(framed, Framed::Value(_)) {
                // `[01/Jan/2020:00:00:00 +0000] …` is no JSON list.
                if let Ok(end) = self.text_input(behind, at) {
                    at = end;
                    continue;
                }
            }
            match framed {
                Framed::Value(length) if length > INPUT_BYTES_MAX => {
                    let message = format!("an input of {length} bytes; at most {INPUT_BYTES_MAX} are taken");
                    self.bad_input(at..at + length, Reason::Limit, message);
                    at += length;
                }
                Framed::Value(length) => {
                    if document.parse(&bytes[at..at + length]) {
                        self.input(document, at..at + length);
                    } else {
                        let depth = depth(&bytes[at..at + length]);
                        let (reason, message) = if depth > DEPTH_MAX {
                            (Reason::Limit, format!("nested {depth} levels deep; at most {DEPTH_MAX} are taken"))
                        } else {
                            (Reason::NotJson, "not JSON: a text or number in it is malformed".to_owned())
                        };
                        self.bad_input(at..at + length, reason, message);
                    }
                    at += length;
                }
                Framed::Bad { length, message } => {
                    let end = trim_end(bytes, at, at + length);
                    // The text of a value over several lines may only need repair.
                    if document.parse(&bytes[at..end]) {
                        self.input(document, at..end);
                    } else if let Framed::Cut { message } = frame(&bytes[at..end]) {
                        self.cut_input(document, at..end, message);
                    } else {
                        self.bad_input(at..end.max(at + 1), Reason::NotJson, message);
                    }
                    at += length.max(1);
                }
                Framed::Cut { message } => {
                    // What follows on lines of its own is not lost with it.
                    let mut end = line_end(bytes, at);
                    while end < bytes.len() && !matches!(bytes.get(end + 1), Some(b'{' | b'[')) {
                        end = line_end(bytes, end + 1);
                    }
                    self.cut_input(document, at..trim_end(bytes, at, end), message);
                    at = end;
                }
            }
        }
    }

    /// A document that was cut off. What is whole of a list of records in it is taken, and the letter is about the rest; if
    /// no record is found in that way, about all of it.
    #[cold]
    fn cut_input(&mut self, document: &mut Document, range: Range<usize>, message: String) {
        let bytes = &self.payload.bytes[range.clone()];
        // Of what is in such a letter nothing was a record when it came, and its lists may be lists within a record.
        let again = self.resent == Some(Reason::NotJson);
        let Some(whole) = whole_items(bytes).filter(|_| !again) else {
            return self.bad_input(range, Reason::NotJson, message);
        };
        let mut closed = bytes[..whole.length].to_vec();
        closed.push(b']');
        closed.resize(closed.len() + whole.open - 1, b'}');
        self.settle();
        let before = (self.records.len(), self.bytes.len(), self.dead.len(), self.skipped, self.inputs, self.settled);
        if document.parse_closed(&closed, whole.open) {
            self.place(&(range.start..range.start + whole.length));
            self.document(document, 0, 0);
        }
        if self.records.len() == before.0 {
            self.bytes.truncate(before.1);
            self.dead.truncate(before.2);
            (self.skipped, self.inputs, self.settled) = (before.3, before.4, before.5);
            return self.bad_input(range, Reason::NotJson, message);
        }
        let between =
            bytes[whole.length..].iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == b',').count();
        let rest = range.start + whole.length + between..range.end;
        // A record of it is sent again: the rest has a letter of its own.
        if rest.is_empty() && self.resent.is_some() {
            return;
        }
        let offset = self.payload.offset + rest.start as u64;
        let message = format!("{message}; the records before byte {offset} were taken, this is the rest");
        self.bad_input(rest, Reason::NotJson, message);
    }

    /// The payload as a component reads it.
    fn parsed(&mut self, parser: &dyn ParserPlugin, document: &mut Document) {
        let payload = self.payload;
        let parts = match parser.parse(&payload.bytes) {
            Ok(parts) => parts,
            Err(error) => {
                let message = format!("the parser {} failed on it: {error}", parser.info().name);
                self.bad_input(0..payload.bytes.len(), Reason::ParserFault, message);
                return;
            }
        };
        if parts.is_empty() {
            self.place(&(0..payload.bytes.len()));
            self.skipped.add(Skip::Empty);
        }
        let mut last = None;
        for ParsedPart { offset, length, outcome } in parts {
            let start = (offset as usize).min(payload.bytes.len());
            let range = start..(start + length as usize).min(payload.bytes.len());
            // Several records may be about the very same piece: it is one input, and they are told apart by their number.
            if last.as_ref() != Some(&range) {
                self.place(&range);
                last = Some(range);
            }
            let name = &parser.info().name;
            match outcome {
                Err(message) => self.bury_next(Reason::ParserFault, format!("{name}: {message}")),
                Ok(record) if document.parse(record.json.as_bytes()) => {
                    let before = (self.made.len(), self.records.len(), self.dead.len());
                    document.made = true;
                    self.placed(document);
                    document.made = false;
                    self.keep_made(before, record.json.as_bytes(), name, &record.log_type);
                }
                Ok(record) => {
                    let start: String = record.json.chars().take(80).collect();
                    let message = format!("the parser {name} made this, which is no JSON: {start}");
                    self.bury_next(Reason::ParserFault, message);
                }
            }
        }
    }

    /// A letter in place of the next record of the input at hand.
    fn bury_next(&mut self, reason: Reason, message: String) {
        self.bury_whole(Refused { reason, message, tried: Vec::new() });
        self.position.index += 1;
    }

    /// What a component made of something, sent again.
    fn made_again(&mut self, document: &mut Document) {
        let bytes = self.payload.bytes.clone();
        if !document.parse(&bytes) {
            self.bad_input(0..bytes.len(), Reason::NotJson, "it is no JSON any more".to_owned());
            return;
        }
        let before = (self.made.len(), self.records.len(), self.dead.len());
        document.made = true;
        self.input(document, 0..bytes.len());
        document.made = false;
        let name = self.set.component.clone().unwrap_or_default();
        self.keep_made(before, &bytes, &name, "");
    }

    /// Notes the JSON that records and letters since `before` were made of. `log_type`: what they are said to be.
    fn keep_made(&mut self, before: (usize, usize, usize), json: &[u8], parser: &str, log_type: &str) {
        let wrong = |record: &LogRecord| !log_type.is_empty() && record.log_type.name != log_type;
        if self.records[before.1..].iter().any(wrong) {
            let found = self.records[before.1].log_type.name.clone();
            self.position.index = self.records[before.1].position.index;
            self.records.truncate(before.1);
            let message = format!("the parser {parser} calls it {log_type}, and it is {found}");
            self.bury_whole(Refused { reason: Reason::ParserFault, message, tried: vec![log_type.to_owned()] });
            self.position.index += 1;
        }
        self.made.extend_from_slice(json);
        for record in &mut self.records[before.1..] {
            record.made = Some(before.0..before.0 + json.len());
        }
        for letter in &mut self.dead[before.2..] {
            letter.keep_made(json, parser);
        }
    }

    fn place(&mut self, range: &Range<usize>) {
        self.settle();
        self.inputs += 1;
        self.position =
            Position { offset: self.payload.offset + range.start as u64, length: range.len() as u64, index: 0 };
    }

    /// The input before this one is done with: something must have come of it.
    fn settle(&mut self) {
        let now = (self.inputs, self.records.len() as u64 + self.dead.len() as u64 + self.skipped.total());
        if now.0 > self.settled.0 && now.1 == self.settled.1 {
            self.unaccounted += 1;
        }
        self.settled = now;
    }

    fn bad_input(&mut self, range: Range<usize>, reason: Reason, message: String) {
        self.place(&range);
        let letter = DeadLetter::new(self.payload, self.cluster, self.position, reason, message);
        self.dead.push(letter);
    }

    /// A letter about a text that no format takes.
    fn bad_text(&mut self, range: Range<usize>, refused: Refused) {
        self.place(&range);
        let mut letter = DeadLetter::new(self.payload, self.cluster, self.position, refused.reason, refused.message);
        letter.tried = refused.tried;
        self.dead.push(letter);
    }

    /// The input that `document` holds.
    fn input(&mut self, document: &Document, range: Range<usize>) {
        self.place(&range);
        self.placed(document);
    }

    /// The same for an input whose place is known.
    fn placed(&mut self, document: &Document) {
        if let Item::Object { len } = document.item(0)
            && len > KEYS_MAX
        {
            let message = format!("an object of {len} keys; at most {KEYS_MAX} are taken");
            self.bury(
                &Candidate { document, at: 0, envelope: None, of_input: false },
                Reason::Limit,
                message,
                Vec::new(),
            );
            return;
        }
        if let Item::Object { len: 1.. } = document.item(0) {
            let keyed = self.keyed(document, 0);
            if keyed.sampled.load(Ordering::Relaxed) < AMBIGUITY_SAMPLES {
                self.sample(document, &keyed);
            }
            // The hot path: the object is itself a record.
            if let Some(shape) = &keyed.root {
                let envelope = Some(Envelope { document, at: 0 });
                let candidate = Candidate { document, at: 0, envelope, of_input: true };
                if self.record_of(shape, &candidate, Fit::Exact).is_ok() {
                    return;
                }
            }
        }
        self.document(document, 0, 0);
    }

    /// Notes the types that would all take records of this input.
    #[cold]
    fn sample(&mut self, document: &Document, keyed: &Keyed) {
        keyed.sampled.fetch_add(1, Ordering::Relaxed);
        let takers = self.takers(document, 0, keyed);
        if takers.len() > 1 {
            let mut by_rank: Vec<&Arc<crate::config::LogType>> =
                self.set.candidates.types.iter().filter(|t| takers.contains(&t.name)).collect();
            by_rank.sort_by_key(|log_type| log_type.rank);
            let mut names = by_rank.iter().map(|log_type| log_type.name.clone());
            if let Some(taken) = names.next() {
                *self.ambiguous.entry(Ambiguity { taken, also: names.collect() }).or_default() += 1;
            }
        }
    }

    /// The types that take a record of the object at `at` exactly, wherever in it.
    fn takers(&mut self, document: &Document, at: usize, keyed: &Keyed) -> BTreeSet<String> {
        let before = (self.position, self.dead.len());
        self.takers = Some(BTreeSet::new());
        for &group in &keyed.applicable {
            self.group(group, document, at, keyed, Fit::Exact);
        }
        for &group in &keyed.bare {
            let candidate = Candidate { document, at, envelope: None, of_input: false };
            let _ = self.record(group, &candidate, Some(keyed.hash), Fit::Exact);
        }
        self.position = before.0;
        self.dead.truncate(before.1);
        self.takers.take().unwrap_or_default()
    }

    /// Everything else that a document may be: records under a path, embedded ones, lists, wrapped ones.
    #[cold]
    fn document(&mut self, document: &Document, at: usize, depth: usize) {
        match document.item(at) {
            Item::Object { .. } => self.object(document, at, depth),
            Item::Array { len: 0 } => self.skipped.add(Skip::Empty),
            Item::Array { .. } => {
                for fit in [Fit::Exact, Fit::Tolerant] {
                    for group in 0..self.set.candidates.groups.len() {
                        if self.set.candidates.groups[group].takes_lists(&self.set.candidates.types)
                            && self.group(group, document, at, &Keyed::default(), fit)
                        {
                            return;
                        }
                    }
                }
                // A list of inputs.
                for item in document.items(at).collect::<Vec<_>>() {
                    match document.item(item) {
                        Item::Object { .. } | Item::Array { len: 1.. } if depth < UNWRAP_DEPTH_MAX => {
                            self.document(document, item, depth + 1)
                        }
                        _ => self.no_object(document, item),
                    }
                }
            }
            _ => self.no_object(document, at),
        }
    }

    fn no_object(&mut self, document: &Document, at: usize) {
        let message = format!("{}, where an object is expected", document.kind(at));
        let whole = at == 0;
        self.bury(
            &Candidate { document, at, envelope: None, of_input: !whole },
            Reason::NotAnObject,
            message,
            Vec::new(),
        );
    }

    fn object(&mut self, document: &Document, at: usize, depth: usize) {
        if document.item(at) == (Item::Object { len: 0 }) {
            self.skipped.add(Skip::Empty);
            return;
        }
        let keyed = self.keyed(document, at);
        for fit in [Fit::Exact, Fit::Tolerant] {
            for &group in &keyed.applicable {
                if self.group(group, document, at, &keyed, fit) {
                    return;
                }
            }
            // The records of a type that has them under a path may also come one by one.
            for &group in &keyed.bare {
                let candidate = Candidate { document, at, envelope: None, of_input: true };
                if self.record(group, &candidate, Some(keyed.hash), fit).is_ok() {
                    return;
                }
            }
        }
        if depth < UNWRAP_DEPTH_MAX && self.unwrap(document, at, depth) {
            return;
        }
        self.unclassified(document, at, &keyed);
    }

    /// What services and vendors wrap records in, when no schema asks for the wrapping itself.
    fn unwrap(&mut self, document: &Document, at: usize, depth: usize) -> bool {
        let text = |key: &str| match document.get(at, key).map(|at| document.item(at)) {
            Some(Item::Text(text)) => Some(text),
            _ => None,
        };
        // A subscription of CloudWatch Logs.
        if let (Some(kind), Some(events)) = (text("messageType"), document.get(at, "logEvents")) {
            if kind == "CONTROL_MESSAGE" {
                self.skipped.add(Skip::ControlMessage);
                return true;
            }
            if kind == "DATA_MESSAGE" && matches!(document.item(events), Item::Array { .. }) {
                let events: Vec<usize> = document.items(events).collect();
                if events.is_empty() {
                    self.skipped.add(Skip::Empty);
                }
                for event in events {
                    match document.get(event, "message").map(|at| document.item(at)) {
                        Some(Item::Text(message)) => self.embedded(document, at, event, message, depth),
                        _ => self.no_object(document, event),
                    }
                }
                return true;
            }
        }
        // A test of a notification of S3.
        if text("Event") == Some("s3:TestEvent") && text("Bucket").is_some() {
            self.skipped.add(Skip::TestEvent);
            return true;
        }
        // A message of SNS, one of SQS, an event as `LookupEvents` of CloudTrail answers it.
        for (mark, key) in [("TopicArn", "Message"), ("receiptHandle", "body"), ("EventId", "CloudTrailEvent")] {
            if let (Some(_), Some(message)) = (text(mark), text(key)) {
                self.embedded(document, at, at, message, depth);
                return true;
            }
        }
        // An event of EventBridge.
        if text("detail-type").is_some()
            && let Some(detail) = document.get(at, "detail")
            && matches!(document.item(detail), Item::Object { len: 1.. })
        {
            self.document(document, detail, depth + 1);
            return true;
        }
        // Records of any type under the names that vendors wrap theirs in.
        for key in ["Records", "records", "value", "events", "Events"] {
            let Some(list) = document.get(at, key) else { continue };
            match document.item(list) {
                Item::Array { len: 0 } => {
                    self.skipped.add(Skip::Empty);
                    return true;
                }
                Item::Array { .. } => {
                    let items: Vec<usize> = document.items(list).collect();
                    if items.iter().all(|item| matches!(document.item(*item), Item::Object { len: 1.. })) {
                        for item in items {
                            self.document(document, item, depth + 1);
                        }
                        return true;
                    }
                }
                _ => {}
            }
        }
        false
    }

    /// A text within a document: JSON, or one of the source's formats. The document at `at` is around it; `holder` is what
    /// of it a letter is about.
    fn embedded(&mut self, document: &Document, at: usize, holder: usize, message: &str, depth: usize) {
        let trimmed = message.trim();
        // Where something stands in it is not where it stands in the input.
        let mut inner = Document::default();
        inner.made = true;
        if matches!(trimmed.as_bytes().first(), Some(b'{' | b'[')) && inner.parse(trimmed.as_bytes()) {
            let before = (self.records.len(), self.dead.len());
            self.document(&inner, 0, depth + 1);
            if let (true, [letter]) = (self.records.len() == before.0, &mut self.dead[before.1..]) {
                letter.keep_part(trimmed.as_bytes());
            }
            return;
        }
        if trimmed.is_empty() {
            self.skipped.add(Skip::Empty);
            return;
        }
        let envelope = Some(Envelope { document, at });
        match self.text(message.trim_end_matches(['\r', '\n']), 0, false, None, envelope) {
            Ok(None) => {}
            Ok(Some(skip)) => self.skipped.add(skip),
            Err(refused) => {
                let candidate = Candidate { document, at: holder, envelope: None, of_input: false };
                self.bury(&candidate, refused.reason, refused.message, refused.tried);
            }
        }
    }

    /// Tries the types of one group on the document at `at`. They take it when at least one record is of one of them; the
    /// other records are then dead letters.
    fn group(&mut self, group: usize, document: &Document, at: usize, keyed: &Keyed, fit: Fit) -> bool {
        let candidates = self.set.candidates.clone();
        let chosen = &candidates.groups[group];
        match &chosen.place {
            Place::Root if chosen.format.is_some() => false,
            Place::Root => {
                let candidate = Candidate { document, at, envelope: Some(Envelope { document, at }), of_input: true };
                self.record(group, &candidate, Some(keyed.hash), fit).is_ok()
            }
            Place::Text { key } => {
                let Some(value) = document.get(at, key) else { return false };
                let Item::Text(text) = document.item(value) else { return false };
                let before = self.records.len();
                let mut refused = Vec::new();
                for inner in objects_in_text(text) {
                    let envelope = Some(Envelope { document, at });
                    let candidate = Candidate { document: &inner, at: 0, envelope, of_input: false };
                    if let Err(why) = self.record(group, &candidate, None, fit) {
                        refused.push((self.position.index, why));
                        self.position.index += 1;
                    }
                }
                if self.records.len() == before {
                    self.position.index -= refused.len() as u32;
                    return false;
                }
                // Beside an object that is a record, what is none is told of.
                let end = self.position.index;
                for (index, why) in refused {
                    self.position.index = index;
                    self.bury_whole(why);
                }
                self.position.index = end;
                true
            }
            Place::Path { embedded, .. } => {
                let (found, built);
                let (source, places): (&Document, &[usize]) = match chosen.path_plan(&candidates.types) {
                    Some(PathPlan::Steps(steps)) => {
                        found = follow(document, at, steps);
                        (document, &found)
                    }
                    // What it makes of a document that was cut off may not be whole.
                    Some(PathPlan::Expression(_)) if document.is_open(at) => return false,
                    Some(PathPlan::Expression(expression)) => match evaluate(expression, document, at) {
                        Some(document) => {
                            built = document;
                            found = match built.item(0) {
                                Item::Array { .. } => built.items(0).collect(),
                                _ => vec![0],
                            };
                            (&built, &found)
                        }
                        None => return false,
                    },
                    None => return false,
                };
                if places.is_empty() {
                    return false;
                }
                self.places(group, document, at, source, places, *embedded, fit)
            }
        }
    }

    /// The records at `places`, all or nothing: unless one is taken, everything is as before.
    #[allow(clippy::too_many_arguments)]
    fn places(
        &mut self,
        group: usize,
        document: &Document,
        at: usize,
        source: &Document,
        places: &[usize],
        embedded: bool,
        fit: Fit,
    ) -> bool {
        let before = (self.records.len(), self.bytes.len(), self.dead.len(), self.position.index);
        let with_envelope = self.set.candidates.groups[group]
            .types
            .iter()
            .any(|t| !self.set.candidates.types[*t].envelope.0.is_empty());
        let text_format = self.set.candidates.groups[group].format.is_some();
        let mut inner: Option<Document> = None;
        let mut refused: Vec<(usize, u32, Refused)> = Vec::new();
        for &place in places {
            if self.position.index >= RECORDS_PER_INPUT_MAX {
                let message = format!("more than {RECORDS_PER_INPUT_MAX} records in one input; this and what follows");
                refused.push((
                    place,
                    self.position.index,
                    Refused { reason: Reason::Limit, message, tried: Vec::new() },
                ));
                break;
            }
            if text_format {
                let outcome = match source.item(place) {
                    Item::Text(text) => {
                        let envelope = Some(Envelope { document, at });
                        let text = text.trim_end_matches(['\r', '\n']);
                        self.text(text, 0, false, Some(group), envelope).map(|_| ())
                    }
                    _ => Err(Refused::new("not a text")),
                };
                if let Err(reason) = outcome {
                    refused.push((place, self.position.index, reason));
                    self.position.index += 1;
                }
                continue;
            }
            let (record, record_at) = if embedded {
                let Item::Text(text) = source.item(place) else {
                    refused.push((place, self.position.index, Refused::new("not a text with JSON in it")));
                    self.position.index += 1;
                    continue;
                };
                let inner = inner.get_or_insert_default();
                if !inner.parse(text.as_bytes()) {
                    refused.push((place, self.position.index, Refused::new("the embedded text is not JSON")));
                    self.position.index += 1;
                    continue;
                }
                (&*inner, 0)
            } else {
                (source, place)
            };
            let candidate = Candidate {
                document: record,
                at: record_at,
                envelope: Some(Envelope { document, at }),
                of_input: !embedded && !with_envelope && std::ptr::eq(source, document),
            };
            let outcome = match self.record(group, &candidate, None, fit) {
                // Beside a record that fits, one with new fields is welcome too.
                Err(refused) if fit == Fit::Exact => {
                    self.record(group, &candidate, None, Fit::Tolerant).map_err(|_| refused)
                }
                outcome => outcome,
            };
            if let Err(reason) = outcome {
                refused.push((place, self.position.index, reason));
                self.position.index += 1;
            }
        }
        // Only what fits exactly makes the group take the input in the first round.
        let taken = self.records[before.0..].iter().any(|r| fit == Fit::Tolerant || r.exact);
        if !taken {
            self.records.truncate(before.0);
            self.bytes.truncate(before.1);
            self.dead.truncate(before.2);
            self.position.index = before.3;
            return false;
        }
        let end = self.position.index;
        for (place, index, refusal) in refused {
            self.position.index = index;
            let part = !embedded && !with_envelope && std::ptr::eq(source, document);
            let candidate = Candidate { document: source, at: place, envelope: None, of_input: part };
            self.bury(&candidate, refusal.reason, refusal.message, refusal.tried);
        }
        self.position.index = end;
        true
    }

    /// Makes a record of one object, of the first type of the group that takes it. `hash` is that of its keys, if it is known.
    fn record(&mut self, group: usize, candidate: &Candidate<'_>, hash: Option<u64>, fit: Fit) -> Result<(), Refused> {
        let document = candidate.document;
        let Item::Object { len } = document.item(candidate.at) else {
            return Err(Refused {
                reason: Reason::NotAnObject,
                message: format!("{}, where an object is expected", document.kind(candidate.at)),
                tried: Vec::new(),
            });
        };
        if len > KEYS_MAX {
            let message = format!("an object of {len} keys; at most {KEYS_MAX} are taken");
            return Err(Refused { reason: Reason::Limit, message, tried: Vec::new() });
        }
        if document.is_open(candidate.at) {
            return Err(Refused::new("it is cut off"));
        }
        let hash = hash.unwrap_or_else(|| self.hash(document, candidate.at));
        let shape = self.shape(group, document, candidate.at, hash);
        self.record_of(&shape, candidate, fit)
    }

    /// The hash of the keys of the object at `at`.
    #[inline]
    fn hash(&self, document: &Document, at: usize) -> u64 {
        let Item::Object { len } = document.item(at) else { return 0 };
        let mut hasher = self.set.shapes.hasher();
        let mut next = at + 1;
        for _ in 0..len {
            let key = document.key(next);
            hasher.write(key.as_bytes());
            hasher.write_u8(0xff);
            next = document.after(next + 1);
        }
        hasher.finish()
    }

    /// What an object with the keys of the one at `at` may be.
    #[inline]
    fn keyed(&mut self, document: &Document, at: usize) -> Arc<Keyed> {
        let hash = self.hash(document, at);
        match self.set.shapes.keyed(hash) {
            Some(keyed) => keyed.clone(),
            None => self.set.shapes.learn_keys(hash, &self.set.candidates, &document.keys(at)),
        }
    }

    /// What records with the keys of the object at `at` may be among the types of one group.
    #[inline]
    fn shape(&mut self, group: usize, document: &Document, at: usize, hash: u64) -> Arc<Shape> {
        match self.set.shapes.shape(hash, group) {
            Some(shape) => shape.clone(),
            None => self.set.shapes.learn(hash, &self.set.candidates, group, &document.keys(at)),
        }
    }

    fn record_of(&mut self, shape: &Shape, candidate: &Candidate<'_>, fit: Fit) -> Result<(), Refused> {
        let document = candidate.document;
        let plans = if fit == Fit::Exact { &shape.exact } else { &shape.tolerant };
        let mut wrong: Option<Refused> = None;
        for plan in plans {
            // An envelope is taken only whole: without it the record is of another type.
            if let Err(message) = envelope_fits(&plan.log_type.envelope, candidate.envelope.as_ref()) {
                wrong.get_or_insert_with(|| Refused::pattern(&plan.log_type.name, message));
                continue;
            }
            let (payload, position, last_digest) = (self.payload, self.position, &self.last_digest);
            let record_id = move || uuid(&short_id(&last_digest.identity(payload, position)));
            match record::build(&mut self.bytes, document, candidate.at, plan, candidate.envelope.as_ref(), &record_id)
            {
                Ok(packed) => {
                    if let Some(takers) = &mut self.takers {
                        self.bytes.truncate(packed.start);
                        takers.insert(plan.log_type.name.clone());
                        continue;
                    }
                    self.records.push(LogRecord {
                        log_type: plan.log_type.clone(),
                        position: self.position,
                        exact: fit == Fit::Exact,
                        packed,
                        part_at: (candidate.at != 0 && candidate.of_input && document.in_place())
                            .then(|| document.span(candidate.at).start as u32),
                        made: None,
                    });
                    self.position.index += 1;
                    return Ok(());
                }
                Err(refusal) => {
                    let refused = Refused::of(refusal, &plan.log_type.name);
                    // A wrong value says more than a pattern that is another type's.
                    if wrong.as_ref().is_none_or(|wrong| wrong.reason == Reason::NoSchema) {
                        wrong = Some(refused);
                    }
                }
            }
        }
        Err(wrong.unwrap_or_else(|| no_schema(shape)))
    }

    /// Nothing took the object: says what came nearest.
    fn unclassified(&mut self, document: &Document, at: usize, keyed: &Keyed) {
        let mut best: Option<Refused> = None;
        let mut tried: Vec<String> = Vec::new();
        let candidates = self.set.candidates.clone();
        let mut groups: Vec<usize> = keyed.applicable.iter().chain(&keyed.bare).copied().collect();
        groups.extend(candidates.groups.iter().position(|group| group.format.is_none()));
        groups.sort_unstable();
        groups.dedup();
        for group in groups.into_iter().filter(|group| candidates.groups[*group].format.is_none()) {
            let candidate = Candidate { document, at, envelope: Some(Envelope { document, at }), of_input: at != 0 };
            for fit in [Fit::Exact, Fit::Tolerant] {
                let before = (self.records.len(), self.bytes.len(), self.position.index);
                match self.record(group, &candidate, Some(keyed.hash), fit) {
                    Err(refused) => {
                        tried.extend(refused.tried.iter().cloned());
                        if best.as_ref().is_none_or(|best| best.weight() < refused.weight()) {
                            best = Some(refused);
                        }
                    }
                    // It fits here, but its group refused it for its envelope.
                    Ok(()) => {
                        self.records.truncate(before.0);
                        self.bytes.truncate(before.1);
                        self.position.index = before.2;
                    }
                }
            }
        }
        tried.sort();
        tried.dedup();
        let (reason, message) = match best {
            Some(refused) => (refused.reason, refused.message),
            None => (Reason::NoSchema, "the source may send no JSON log type; see conf/clusters".to_owned()),
        };
        self.bury(&Candidate { document, at, envelope: None, of_input: at != 0 }, reason, message, tried);
    }

    /// A letter about the next record of the input at hand, which keeps all of the input.
    fn bury_whole(&mut self, refused: Refused) {
        let identity = self.last_digest.identity(self.payload, self.position);
        let (payload, cluster, position) = (self.payload, self.cluster, self.position);
        let mut letter =
            DeadLetter::about(payload, cluster, position, &identity, None, refused.reason, refused.message);
        letter.tried = refused.tried;
        letter.single = true;
        self.dead.push(letter);
    }

    /// Writes the dead letter of one object and counts it as the next record.
    fn bury(&mut self, candidate: &Candidate<'_>, reason: Reason, message: String, tried: Vec<String>) {
        let part = (candidate.of_input && candidate.document.in_place())
            .then(|| part_of(self.payload.input(self.position), candidate.document.span(candidate.at).start))
            .flatten();
        let identity = self.last_digest.identity(self.payload, self.position);
        let (payload, cluster, position) = (self.payload, self.cluster, self.position);
        let mut letter = DeadLetter::about(payload, cluster, position, &identity, part, reason, message);
        letter.tried = tried;
        letter.single = candidate.at > 0 || candidate.document.made;
        self.dead.push(letter);
        self.position.index += 1;
    }
}

/// Why no type took a record.
struct Refused {
    reason: Reason,
    message: String,
    tried: Vec<String>,
}

impl Refused {
    fn new(message: &str) -> Self {
        Refused { reason: Reason::NoSchema, message: message.to_owned(), tried: Vec::new() }
    }

    /// A text that a format cannot read.
    fn not_of(parser: crate::config::schema::Parser, message: &str) -> Self {
        Refused { reason: Reason::NoSchema, message: format!("not {}: {message}", parser.name()), tried: Vec::new() }
    }

    fn pattern(name: &str, message: String) -> Self {
        Refused {
            reason: Reason::NoSchema,
            message: format!("nearest is {name}, but {message}"),
            tried: vec![name.to_owned()],
        }
    }

    fn of(refusal: Refusal, name: &str) -> Self {
        let tried = vec![name.to_owned()];
        match refusal {
            Refusal::Pattern(message) => Refused::pattern(name, message),
            Refusal::Type(message) => {
                Refused { reason: Reason::WrongType, message: format!("{name}: {message}"), tried }
            }
            Refusal::Limit(message) => Refused { reason: Reason::Limit, message, tried },
        }
    }

    /// How much it says.
    fn weight(&self) -> usize {
        match self.reason {
            Reason::Limit => 3,
            Reason::WrongType => 2,
            _ => usize::from(!self.tried.is_empty()),
        }
    }
}

fn no_schema(shape: &Shape) -> Refused {
    match &shape.nearest {
        Some(near) if near.missing.is_empty() => Refused {
            reason: Reason::NoSchema,
            message: format!(
                "nearest is {}, which does not know {}; add a schema for these records, or the keys to that one",
                near.log_type,
                near.unknown.join(", ")
            ),
            tried: vec![near.log_type.clone()],
        },
        Some(near) => Refused {
            reason: Reason::NoSchema,
            message: format!("nearest is {}, which also needs {}", near.log_type, near.missing.join(", ")),
            tried: vec![near.log_type.clone()],
        },
        None => {
            Refused::new("no schema knows any of its keys; add one to conf/schemas, or the source to conf/clusters")
        }
    }
}

fn envelope_fits(fields: &crate::config::schema::Fields, envelope: Option<&Envelope<'_>>) -> Result<(), String> {
    if fields.0.is_empty() {
        return Ok(());
    }
    let Some(envelope) = envelope else { return Err("it comes without its envelope".to_owned()) };
    // One that was cut off may have had what is optional.
    let all = envelope.document.is_open(envelope.at);
    match fields.0.iter().find(|f| (all || !f.optional) && envelope.document.get(envelope.at, &f.name).is_none()) {
        Some(field) => Err(format!("the envelope lacks `{}`", field.name)),
        None => Ok(()),
    }
}

/// What a path of keys and `[*]` leads to. Behind `[*]` every item counts, also a null and one that lacks a key (which then
/// stands for itself): JMESPath would leave them out, and nobody would know.
fn follow(document: &Document, at: usize, steps: &[PathStep]) -> Vec<usize> {
    let mut places = vec![at];
    let mut each = false;
    for step in steps {
        places = match step {
            PathStep::Key(key) if each => places.iter().map(|at| document.get(*at, key).unwrap_or(*at)).collect(),
            PathStep::Key(key) => places.iter().filter_map(|at| document.get(*at, key)).collect(),
            PathStep::Each => {
                each = true;
                places.iter().flat_map(|at| document.items(*at)).collect()
            }
        };
    }
    if let (false, &[only]) = (each, &places[..]) {
        return match document.item(only) {
            // Without a projection, a list that is found is a list of records.
            Item::Array { .. } => document.items(only).collect(),
            Item::Null => Vec::new(),
            _ => places,
        };
    }
    places
}

/// Any other JMESPath expression, evaluated on a copy.
fn evaluate(expression: &jmespath::Expression<'static>, document: &Document, at: usize) -> Option<Document> {
    let variable = jmespath::Variable::from_json(&document.to_json(at)).ok()?;
    let found = expression.search(variable).ok()?;
    let mut built = Document::default();
    (!found.is_null() && built.parse(found.to_string().as_bytes())).then_some(built)
}

/// The JSON objects within a text, such as `prog[12]: {"a": 1}`.
fn objects_in_text(text: &str) -> Vec<Document> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'{', &text.as_bytes()[from..]) {
        from += at;
        if let Framed::Value(length) = frame(&text.as_bytes()[from..]) {
            let mut document = Document::default();
            if length > 2 && document.parse(&text.as_bytes()[from..from + length]) {
                found.push(document);
            }
            from += length;
        } else {
            from += 1;
        }
        if found.len() >= OBJECTS_IN_TEXT_MAX {
            break;
        }
    }
    found
}

/// Objects looked for within one text: a message has one, seldom a handful.
const OBJECTS_IN_TEXT_MAX: usize = 64;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Past white space, byte order marks and record separators.
fn skip_blank(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        if bytes[at].is_ascii_whitespace() || bytes[at] == 0x1e {
            at += 1;
        } else if bytes[at..].starts_with(BOM) {
            at += BOM.len();
        } else {
            break;
        }
    }
    at
}

fn trim_end(bytes: &[u8], from: usize, mut end: usize) -> usize {
    while end > from && bytes[end - 1].is_ascii_whitespace() {
        end -= 1;
    }
    end
}

/// 32 hex digits the way identifiers are usually written.
fn uuid(hex: &str) -> String {
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32])
}
