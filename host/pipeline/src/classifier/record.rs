//! Makes a typed, packed record of one object: each value by the type its schema gives it.

use super::candidates::{Default, Plan, PlannedField};
use super::document::{Document, Item, MINUS_ZERO};
use super::known_keys::KnownKeys;
use super::normalize;
use crate::config::schema::{Field, FieldKind, Fields, LogPattern, UnknownKeys};
use crate::limits::{DUPLICATES_MAX, KEYS_MAX, RECORD_BYTES_MAX};
use crate::log_record::{DUPLICATES_KEY, ENVELOPE_KEY, INVALID_KEY};
use hashbrown::{HashMap, HashTable};
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;
use streamalert_packed::{Builder, Record, Slot};

/// Why an object is no record of a type, though its keys fit.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Refusal {
    /// A pattern does not match, or a key is there that the schema does not know: simply another type.
    Pattern(String),
    /// A value cannot be what the schema says.
    Type(String),
    Limit(String),
}

/// The envelope of a record: where its outer fields stand.
pub(super) struct Envelope<'a> {
    pub document: &'a Document,
    pub at: usize,
}

/// Writes the object at `at` as a record of `plan`'s type to the end of `out`.
pub(super) fn build(
    out: &mut Vec<u8>,
    document: &Document,
    at: usize,
    plan: &Plan,
    envelope: Option<&Envelope<'_>>,
    record_id: &dyn Fn() -> String,
) -> Result<Range<usize>, Refusal> {
    let start = out.len();
    match write(out, document, at, plan, envelope, record_id) {
        Ok(range) if range.len() <= RECORD_BYTES_MAX => Ok(range),
        Ok(range) => {
            let length = range.len();
            out.truncate(start);
            Err(Refusal::Limit(format!("a record of {length} bytes; at most {RECORD_BYTES_MAX} are taken")))
        }
        Err(refusal) => {
            out.truncate(start);
            Err(refusal)
        }
    }
}

/// Writes the whole document, an object, as a record to the end of `out`, every value as it is.
pub(super) fn build_plain(
    out: &mut Vec<u8>,
    document: &Document,
    keys: &mut KnownKeys,
) -> Result<Range<usize>, Refusal> {
    let start = out.len();
    let span = document.span(0);
    if span.len() > RECORD_BYTES_MAX {
        return Err(Refusal::Limit(format!("a record of {} bytes; at most {RECORD_BYTES_MAX} are taken", span.len())));
    }
    let mut builder = Builder::new(out);
    let base = builder.raw(&document.text()[span.clone()]);
    let duplicates = Vec::new();
    let mut writer = Writer { builder, document, span, base, unknown: UnknownKeys::Keep, duplicates };
    let known = keys.shape(document);
    let root = match (document.item(0), known) {
        (Item::Object { len }, Some(_)) => writer.distinct(document, 0, len),
        _ => writer.plain(0),
    };
    let packed = match root {
        Ok(root) => writer.builder.finish_as(root, known.unwrap_or(0)),
        Err(refusal) => {
            out.truncate(start);
            return Err(refusal);
        }
    };
    if known.is_none()
        && let Item::Object { len } = document.item(0)
    {
        // SAFETY: just finished.
        let record = unsafe { Record::trusted(&out[packed.clone()]) };
        if record.root().len() == len {
            keys.learn(document);
        }
    }
    Ok(packed)
}

fn write(
    out: &mut Vec<u8>,
    document: &Document,
    at: usize,
    plan: &Plan,
    envelope: Option<&Envelope<'_>>,
    record_id: &dyn Fn() -> String,
) -> Result<Range<usize>, Refusal> {
    let start = out.len();
    let span = document.span(at);
    if span.len() > RECORD_BYTES_MAX {
        return Err(Refusal::Limit(format!("a record of {} bytes; at most {RECORD_BYTES_MAX} are taken", span.len())));
    }
    let mut builder = Builder::new(out);
    let base = builder.raw(&document.text()[span.clone()]);
    let mut writer =
        Writer { builder, document, span, base, unknown: plan.unknown_keys, duplicates: plan.duplicates.clone() };
    let with_envelope = envelope.is_some() && !plan.log_type.envelope.0.is_empty();
    let names = normalize::keys(&plan.log_type);
    // Two for the marks.
    let room = plan.fields.len() + plan.absent.len() + usize::from(with_envelope) + names + 2;
    let root = writer.builder.object(room);
    let mut entries = 0;
    let mut next = at + 1;
    let schema = plan.schema();
    for planned in &plan.fields {
        let key = document.key(next);
        let value = next + 1;
        next = document.after(value);
        let slot = match planned {
            PlannedField::Known(field) => writer.typed(value, &schema.0[*field])?,
            PlannedField::Unknown => writer.plain(value)?,
            PlannedField::Repeated | PlannedField::Dropped => continue,
        };
        let key = writer.key(key);
        writer.builder.entry(root, entries, key, slot);
        entries += 1;
    }
    for pattern in plan.patterns().iter().filter(|p| !p.in_envelope) {
        check_pattern(pattern, document, at)?;
    }
    if let Some(envelope) = envelope {
        for pattern in plan.patterns().iter().filter(|p| p.in_envelope) {
            check_pattern(pattern, envelope.document, envelope.at)?;
        }
        if with_envelope {
            let slot = writer.envelope(envelope, &plan.log_type.envelope)?;
            let key = writer.key(ENVELOPE_KEY);
            writer.builder.entry(root, entries, key, slot);
            entries += 1;
        }
    }
    let present = entries;
    if !plan.absent.is_empty() {
        let base = writer.builder.raw(&plan.absent_bytes);
        writer.builder.entries(root, entries, &plan.absent, base);
        entries += plan.absent.len();
    }
    let marks = entries;
    if !writer.duplicates.is_empty() {
        let names = std::mem::take(&mut writer.duplicates);
        let list = writer.builder.array(names.len());
        for (index, name) in names.iter().enumerate() {
            let slot = writer.builder.text(name);
            writer.builder.item(list, index, slot);
        }
        let key = writer.key(DUPLICATES_KEY);
        writer.builder.entry(root, entries, key, list);
        entries += 1;
    }
    if document.invalid() > 0 {
        let count = writer.builder.i64(document.invalid().into());
        let key = writer.key(INVALID_KEY);
        writer.builder.entry(root, entries, key, count);
        entries += 1;
    }
    // What a plan leaves out or adds depends on the plan alone, except marks and an envelope that is not there.
    let same = entries == marks && with_envelope != plan.log_type.envelope.0.is_empty();
    let shape = if same { plan.shape } else { 0 };
    if names == 0 {
        let root = writer.builder.shrink(root, entries);
        return Ok(writer.builder.finish_as(root, shape));
    }
    // Looked for in what the log holds: a default is not there to be found.
    let shrunk = writer.builder.shrink(root, present);
    let so_far = writer.builder.finish(shrunk);
    debug_assert_eq!(so_far.start, start);
    // SAFETY: just finished.
    let found = normalize::find(unsafe { Record::trusted(&out[so_far]) }, &plan.log_type);
    let mut builder = Builder::resume(out, start);
    let entries = normalize::write(&mut builder, &found, root, entries, record_id);
    let root = builder.shrink(root, entries);
    Ok(builder.finish_as(root, shape))
}

/// A pattern looks at the value as text, whatever its kind. An absent value matches nothing.
fn check_pattern(pattern: &LogPattern, document: &Document, at: usize) -> Result<(), Refusal> {
    let mut found = Some(at);
    for key in &pattern.path {
        found = found.and_then(|at| document.get(at, key));
    }
    let matches = found.is_some_and(|at| match document.item(at) {
        Item::Text(text) | Item::Wide(text) => pattern.wildcards.iter().any(|p| p.is_match(text)),
        Item::Null => false,
        _ => {
            let text = document.to_json(at);
            pattern.wildcards.iter().any(|p| p.is_match(&text))
        }
    });
    if matches {
        Ok(())
    } else {
        Err(Refusal::Pattern(format!("`{}` does not match `{}`", pattern.path.join("."), pattern.text)))
    }
}

struct Writer<'a, 'o> {
    builder: Builder<'o>,
    document: &'a Document,
    /// What part of the document's text the record carries, and where in the record it lies.
    span: Range<usize>,
    base: u32,
    /// What becomes of keys of nested objects that the schema does not know.
    unknown: UnknownKeys,
    /// Names of keys that came more than once.
    duplicates: Vec<String>,
}

impl Writer<'_, '_> {
    #[inline]
    fn text(&mut self, text: &str) -> Slot {
        let at = self.place(text);
        Slot::text(at, text.len())
    }

    #[inline]
    fn key(&mut self, key: &str) -> (u32, usize) {
        (self.place(key), key.len())
    }

    /// Where `text` lies in the record: with the rest of the document if it comes from there.
    #[inline]
    fn place(&mut self, text: &str) -> u32 {
        match self.document.offset(text) {
            Some(at) if at >= self.span.start && at + text.len() <= self.span.end => {
                self.base + (at - self.span.start) as u32
            }
            _ => self.builder.raw(text.as_bytes()),
        }
    }

    #[inline]
    fn plain(&mut self, at: usize) -> Result<Slot, Refusal> {
        self.plain_of(self.document, at)
    }

    /// A value as it is. Most are no lists or objects: a call for each would cost more than what it does.
    #[inline(always)]
    fn plain_of(&mut self, document: &Document, at: usize) -> Result<Slot, Refusal> {
        Ok(match document.item(at) {
            Item::Null => Slot::NULL,
            Item::Bool(b) => Slot::bool(b),
            Item::I64(i) => self.builder.i64(i),
            Item::U64(u) => self.builder.u64(u),
            Item::F64(f) => self.builder.f64(f),
            Item::Text(text) => self.text(text),
            Item::Wide(text) => self.builder.number_text(text),
            Item::Array { .. } | Item::Object { .. } => return self.plain_values(document, at),
        })
    }

    /// A list or an object as it is.
    #[inline(never)]
    fn plain_values(&mut self, document: &Document, at: usize) -> Result<Slot, Refusal> {
        Ok(match document.item(at) {
            Item::Array { len } => {
                let array = self.builder.array(len);
                let mut next = at + 1;
                for index in 0..len {
                    let slot = self.plain_of(document, next)?;
                    self.builder.item(array, index, slot);
                    next = document.after(next);
                }
                array
            }
            Item::Object { len } => {
                if len > KEYS_MAX {
                    return Err(Refusal::Limit(format!("an object of {len} keys; at most {KEYS_MAX} are taken")));
                }
                let object = self.builder.object(len);
                let mut entries = 0;
                let mut next = at + 1;
                let mut seen = Seen::default();
                for index in 0..len {
                    let key = document.key(next);
                    let slot = self.plain_of(document, next + 1)?;
                    let earlier = match seen.meet(document, at, index, key, entries) {
                        Met::New => None,
                        Met::OtherCase => {
                            self.duplicate(key);
                            None
                        }
                        Met::Same(place) => {
                            self.duplicate(key);
                            Some(place)
                        }
                    };
                    let place = self.key(key);
                    match earlier {
                        // The last of equal keys counts, at the place of the first.
                        Some(first) => self.builder.entry(object, first, place, slot),
                        None => {
                            self.builder.entry(object, entries, place, slot);
                            entries += 1;
                        }
                    }
                    next = document.after(next + 1);
                }
                if entries < len { self.builder.shrink(object, entries) } else { object }
            }
            _ => Slot::NULL,
        })
    }

    /// An object as it is, of whose keys no two are the same.
    fn distinct(&mut self, document: &Document, at: usize, len: usize) -> Result<Slot, Refusal> {
        let object = self.builder.object(len);
        let mut next = at + 1;
        for index in 0..len {
            let slot = self.plain_of(document, next + 1)?;
            let key = self.key(document.key(next));
            self.builder.entry(object, index, key, slot);
            next = document.after(next + 1);
        }
        Ok(object)
    }

    /// A value by the type its schema gives it. Empty values (null, "", 0, false, [], {}) pass as they are.
    #[inline]
    fn typed(&mut self, at: usize, field: &Field) -> Result<Slot, Refusal> {
        match (&field.kind, self.document.item(at)) {
            (FieldKind::String, Item::Text(text)) => Ok(self.text(text)),
            (FieldKind::Any, _) => self.plain(at),
            (FieldKind::List, Item::Array { .. }) => self.plain(at),
            (kind, item) => self.convert(at, kind, item, &field.name),
        }
    }

    fn convert(&mut self, at: usize, kind: &FieldKind, item: Item<'_>, name: &str) -> Result<Slot, Refusal> {
        let wrong = |what: &str| Refusal::Type(format!("`{name}` is {what}, the schema says {}", kind.name()));
        if is_empty(item) {
            return match (kind, item) {
                (FieldKind::Integer, Item::Wide(_)) => Ok(self.builder.i64(0)),
                (FieldKind::Float, Item::Wide(_)) => Ok(self.builder.f64(-0.0)),
                _ => self.plain(at),
            };
        }
        Ok(match kind {
            FieldKind::Any => self.plain(at)?,
            FieldKind::String => match item {
                Item::Text(text) | Item::Wide(text) => self.text(text),
                // The text of a value is its JSON.
                _ => {
                    let text = self.document.to_json(at);
                    self.builder.text(&text)
                }
            },
            FieldKind::Integer => match item {
                Item::I64(i) => self.builder.i64(i),
                Item::U64(u) => self.builder.u64(u),
                Item::Bool(_) => self.builder.i64(1),
                Item::Wide(text) if !text.contains(['.', 'e', 'E']) => self.builder.number_text(text),
                Item::F64(f) if f.abs() < 9.2e18 => self.builder.i64(f.trunc() as i64),
                Item::Text(text) => self.integer(text.trim()).ok_or_else(|| wrong(&format!("the text {text:?}")))?,
                _ => return Err(wrong(&self.document.kind(at))),
            },
            FieldKind::Float => match item {
                Item::F64(f) => self.builder.f64(f),
                Item::I64(i) => self.builder.f64(i as f64),
                Item::U64(u) => self.builder.f64(u as f64),
                Item::Bool(_) => self.builder.f64(1.0),
                Item::Wide(text) => self.builder.number_text(text),
                Item::Text(text) => match text.trim().parse::<f64>() {
                    Ok(f) if f.is_finite() => self.builder.f64(f),
                    _ => return Err(wrong(&format!("the text {text:?}"))),
                },
                _ => return Err(wrong(&self.document.kind(at))),
            },
            FieldKind::Boolean => match item {
                Item::Bool(b) => Slot::bool(b),
                Item::I64(1) => Slot::TRUE,
                Item::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                    "true" | "yes" | "on" | "1" => Slot::TRUE,
                    "false" | "no" | "off" | "0" => Slot::FALSE,
                    _ => return Err(wrong(&format!("the text {text:?}"))),
                },
                _ => return Err(wrong(&self.document.kind(at))),
            },
            FieldKind::List => return Err(wrong(&self.document.kind(at))),
            FieldKind::Object(fields) => match item {
                Item::Object { .. } => self.nested(self.document, at, fields, name, self.unknown)?,
                _ => return Err(wrong(&self.document.kind(at))),
            },
        })
    }

    fn integer(&mut self, text: &str) -> Option<Slot> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let text = text.strip_prefix('+').unwrap_or(text);
        Some(match (text.parse::<i64>(), text.parse::<u64>()) {
            (Ok(i), _) => self.builder.i64(i),
            (_, Ok(u)) => self.builder.u64(u),
            _ => self.builder.number_text(text),
        })
    }

    /// An object with the keys of `fields`. What becomes of others, `unknown` says.
    fn nested(
        &mut self,
        document: &Document,
        at: usize,
        fields: &Fields,
        name: &str,
        unknown: UnknownKeys,
    ) -> Result<Slot, Refusal> {
        let mut strangers = Vec::new();
        if unknown != UnknownKeys::Drop {
            let Item::Object { len } = document.item(at) else { return self.plain_of(document, at) };
            let mut next = at + 1;
            for _ in 0..len {
                let key = document.key(next);
                if len > KEYS_MAX {
                    return Err(Refusal::Limit(format!("an object of {len} keys; at most {KEYS_MAX} are taken")));
                }
                if fields.position(key).is_none() {
                    if unknown == UnknownKeys::Reject {
                        let message = format!("`{name}` has the key `{key}`, which its schema does not know");
                        return Err(Refusal::Pattern(message));
                    }
                    strangers.push(next);
                }
                next = document.after(next + 1);
            }
        }
        let object = self.builder.object(fields.0.len() + strangers.len());
        for (index, field) in fields.0.iter().enumerate() {
            let slot = match document.get(at, &field.name) {
                Some(value) if std::ptr::eq(document, self.document) => self.typed(value, field)?,
                Some(value) => self.typed_elsewhere(document, value, field)?,
                None if field.optional => self.default(Default::of(&field.kind)),
                None => return Err(Refusal::Type(format!("`{name}` lacks the key `{}`", field.name))),
            };
            let key = (self.builder.raw(field.name.as_bytes()), field.name.len());
            self.builder.entry(object, index, key, slot);
        }
        let mut entries = fields.0.len();
        let last: HashMap<&str, usize> = strangers.iter().map(|key_at| (document.key(*key_at), *key_at)).collect();
        for key_at in strangers {
            let key = document.key(key_at);
            // The last of equal keys counts.
            if last[key] != key_at {
                self.duplicate(key);
                continue;
            }
            let slot = self.plain_of(document, key_at + 1)?;
            let key = self.key(key);
            self.builder.entry(object, entries, key, slot);
            entries += 1;
        }
        Ok(if entries < fields.0.len() { object } else { self.builder.shrink(object, entries) })
    }

    #[cold]
    fn duplicate(&mut self, key: &str) {
        if self.duplicates.len() < DUPLICATES_MAX && !self.duplicates.iter().any(|known| known == key) {
            self.duplicates.push(key.to_owned());
        }
    }

    /// Converts a value of another document, by making it a document of its own: envelopes around embedded JSON only.
    fn typed_elsewhere(&mut self, document: &Document, at: usize, field: &Field) -> Result<Slot, Refusal> {
        let item = document.item(at);
        match (&field.kind, item) {
            (FieldKind::String, Item::Text(text)) => Ok(self.builder.text(text)),
            (FieldKind::Any, _) | (FieldKind::List, Item::Array { .. }) => self.plain_of(document, at),
            _ if is_empty(item) => self.plain_of(document, at),
            (FieldKind::Integer, Item::I64(i)) => Ok(self.builder.i64(i)),
            _ => {
                let mut own = Document::default();
                if !own.parse(document.to_json(at).as_bytes()) {
                    return self.plain_of(document, at);
                }
                let item = own.item(0);
                let mut writer = Writer {
                    builder: self.builder.reborrow(),
                    document: &own,
                    span: 0..0,
                    base: 0,
                    unknown: self.unknown,
                    duplicates: Vec::new(),
                };
                writer.convert(0, &field.kind, item, &field.name)
            }
        }
    }

    fn envelope(&mut self, envelope: &Envelope<'_>, fields: &Fields) -> Result<Slot, Refusal> {
        self.nested(envelope.document, envelope.at, fields, ENVELOPE_KEY, UnknownKeys::Drop)
    }

    fn default(&mut self, default: Default) -> Slot {
        match default {
            Default::Text => Slot::text(0, 0),
            Default::Integer => self.builder.i64(0),
            Default::Float => self.builder.f64(0.0),
            Default::False => Slot::FALSE,
            Default::Object => self.builder.object(0),
            Default::List => self.builder.array(0),
        }
    }
}

#[inline]
fn is_empty(item: Item<'_>) -> bool {
    match item {
        Item::Null | Item::Bool(false) | Item::I64(0) => true,
        Item::F64(f) => f == 0.0,
        Item::Text(text) => text.is_empty(),
        Item::Wide(text) => text == MINUS_ZERO,
        Item::Array { len } | Item::Object { len } => len == 0,
        _ => false,
    }
}

/// The keys of an object that were met so far: few are looked through, many are filed.
#[derive(Default)]
struct Seen<'a> {
    marks: u64,
    filed: Option<Filed<'a>>,
    hasher: hashbrown::DefaultHashBuilder,
}

enum Met {
    New,
    OtherCase,
    /// At this place among the distinct keys.
    Same(usize),
}

/// Keys of an object up to which they are looked through one by one.
const FEW_KEYS: usize = 24;

impl<'a> Seen<'a> {
    /// `key` comes as number `index` of the object at `at`, and is number `entries` of the distinct ones if it is new.
    #[inline]
    fn meet(&mut self, document: &'a Document, at: usize, index: usize, key: &'a str, entries: usize) -> Met {
        if index >= FEW_KEYS {
            return self.meet_filed(document, at, index, key, entries);
        }
        let mark = 1 << fingerprint(key);
        let known = self.marks & mark != 0;
        self.marks |= mark;
        if known { Self::meet_few(document, at, index, key) } else { Met::New }
    }

    /// Two keys share a mark: mostly they are no more alike than that.
    fn meet_few(document: &'a Document, at: usize, index: usize, key: &str) -> Met {
        let mut next = at + 1;
        for _ in 0..index {
            if document.key(next).eq_ignore_ascii_case(key) {
                return Self::meet_alike(document, at, index, key);
            }
            next = document.after(next + 1);
        }
        Met::New
    }

    #[cold]
    fn meet_alike(document: &'a Document, at: usize, index: usize, key: &str) -> Met {
        let mut distinct: Vec<&str> = Vec::with_capacity(index);
        let mut next = at + 1;
        for _ in 0..index {
            let earlier = document.key(next);
            if !distinct.contains(&earlier) {
                distinct.push(earlier);
            }
            next = document.after(next + 1);
        }
        match distinct.iter().position(|earlier| *earlier == key) {
            Some(place) => Met::Same(place),
            None => Met::OtherCase,
        }
    }

    fn meet_filed(&mut self, document: &'a Document, at: usize, index: usize, key: &'a str, entries: usize) -> Met {
        let hasher = &self.hasher;
        let filed = self.filed.get_or_insert_with(|| {
            let len = match document.item(at) {
                Item::Object { len } => len,
                _ => index,
            };
            let mut filed = Filed(HashTable::with_capacity(len));
            let (mut next, mut place) = (at + 1, 0);
            for _ in 0..index {
                let earlier = document.key(next);
                if !matches!(filed.meet(hash_without_case(hasher, earlier), earlier, place), Met::Same(_)) {
                    place += 1;
                }
                next = document.after(next + 1);
            }
            filed
        });
        filed.meet(hash_without_case(hasher, key), key, entries)
    }
}

/// Distinct keys with their hashes and places.
struct Filed<'a>(HashTable<(u64, &'a str, usize)>);

impl<'a> Filed<'a> {
    fn meet(&mut self, hash: u64, key: &'a str, place: usize) -> Met {
        if let Some((_, _, place)) = self.0.find(hash, |(_, known, _)| *known == key) {
            return Met::Same(*place);
        }
        let other_case = self.0.find(hash, |(_, known, _)| known.eq_ignore_ascii_case(key)).is_some();
        self.0.insert_unique(hash, (hash, key, place), |(hash, ..)| *hash);
        if other_case { Met::OtherCase } else { Met::New }
    }
}

/// Keyed, as nobody shall choose keys that share one.
fn hash_without_case(builder: &impl BuildHasher, key: &str) -> u64 {
    let mut hasher = builder.build_hasher();
    let mut lower = [0; 32];
    for part in key.as_bytes().chunks(lower.len()) {
        let lower = &mut lower[..part.len()];
        lower.copy_from_slice(part);
        lower.make_ascii_lowercase();
        hasher.write(lower);
    }
    hasher.finish()
}

/// Six bits that two different keys seldom share, and two that differ only in case always do.
#[inline]
fn fingerprint(key: &str) -> u32 {
    let bytes = key.as_bytes();
    match bytes {
        [] => 0,
        [first, .., last] => {
            let middle = bytes[bytes.len() / 2];
            (u32::from(*first | 0x20)
                ^ u32::from(*last | 0x20).wrapping_mul(7)
                ^ u32::from(middle | 0x20).wrapping_mul(19)
                ^ (bytes.len() as u32 * 5))
                & 63
        }
        [only] => u32::from(*only | 0x20) & 63,
    }
}
