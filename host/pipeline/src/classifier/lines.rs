//! Inputs that are no JSON: where they end, which formats of the source take them, and what is wrong with those that
//! none takes.

use super::candidates::Shape;
use super::document::{Document, text_of};
use super::record::Envelope;
use super::text::{self, Cells, Head, Likeness, Named};
use super::{Candidate, Columns, Fit, Refused, Run, line_end, trim_end};
use crate::config::schema::Parser;
use crate::dead_letter::Reason;
use crate::limits::{DEPTH_MAX, KEYS_MAX, TEXT_INPUT_BYTES_MAX};
use crate::skip::Skip;
use hashbrown::HashMap;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use streamalert_formats::{Fields, Value, csv, syslog, w3c, windows_event};

/// Services of which a payload is one message, and no file of lines.
const MESSAGES: [&str; 5] = ["kinesis", "sns", "sqs", "streamalert_app", "eventbridge"];

/// What a worker keeps from line to line.
#[derive(Default)]
pub(super) struct Lines {
    document: Document,
    fields: Fields<'static>,
    cells: Vec<Option<Cow<'static, str>>>,
    scratch: Cells,
    /// Type and number of cells → the names of its columns.
    named: HashMap<(usize, usize), Arc<Named>>,
    /// Group → header in force, of the payload at hand.
    heads: HashMap<usize, Head>,
    /// The line that says so.
    pub head_line: String,
}

impl Lines {
    /// Forgets what belongs to one payload.
    pub fn next_payload(&mut self) {
        self.heads.clear();
        self.head_line.clear();
    }
}

/// What became of a text.
enum Outcome {
    Taken,
    /// It says what stands in the lines behind it.
    Header,
    Refused(Refused),
}

impl Run<'_> {
    /// Reads what the payload says of the bytes before it.
    pub(super) fn take_head(&mut self) {
        let head = self.payload.head.clone();
        if head.is_empty() {
            return;
        }
        let (text, _) = text_of(&head);
        let text = text.trim_end_matches(['\r', '\n']).trim_start_matches('\u{feff}');
        let candidates = self.set.candidates.clone();
        for (group, _) in candidates.groups.iter().enumerate().filter(|(_, group)| group.format.is_some()) {
            // That it is no header of this group shows at the lines behind it.
            let _ = self.header(group, text);
        }
    }

    /// Takes the input at `at`, which begins with no white space; the line it is on begins at or behind `behind`.
    /// Says where it ends, or why no format takes it and how far that reaches.
    pub(super) fn text_input(&mut self, behind: usize, at: usize) -> Result<usize, (Range<usize>, Refused)> {
        let bytes = self.payload.bytes.clone();
        let candidates = self.set.candidates.clone();
        let framing = self.set.framing;
        if framing.xml && bytes[at] == b'<' {
            let rest = &bytes[at..];
            if let Some(found) = windows_event::frame(rest) {
                let range = at + found.start..at + found.end;
                // What stands between events is the document around them.
                return self.one_text(range.clone(), range.clone()).map(|()| range.end);
            }
            if let Some(end) = around_events(rest) {
                return Ok(at + end);
            }
        }
        if framing.syslog
            && bytes[at].is_ascii_digit()
            && let Some((start, length)) = syslog::frame(&bytes[at..])
        {
            let range = at + start..at + start + length;
            let message = range.start..trim_end(&bytes, range.start, range.end);
            return self.one_text(at..range.end, message).map(|()| range.end);
        }
        let end = line_end(&bytes, at);
        // A message of a queue or stream is one text, over however many lines, unless each line is a message of its own.
        if framing.syslog && self.payload.offset == 0 && MESSAGES.contains(&self.payload.source.service.as_str()) {
            let whole = at..trim_end(&bytes, at, bytes.len());
            let mut fields = Vec::new();
            if whole.end > end
                && !text_of(&bytes[whole.clone()])
                    .0
                    .lines()
                    .skip(1)
                    .any(|line| syslog::parse(line, &mut fields).is_ok())
                && self.one_text(whole.clone(), whole.clone()).is_ok()
            {
                return Ok(whole.end);
            }
        }
        let begin = bytes[behind..at].iter().rposition(|b| *b == b'\n').map_or(behind, |newline| behind + newline + 1);
        let begin = begin + if bytes[begin..at].starts_with(super::BOM) { super::BOM.len() } else { 0 };
        // A row may go over several lines.
        if framing.csv.is_some() && memchr::memchr(framing.quote, &bytes[begin..end]).is_some() {
            for group in &candidates.texts {
                let Some(dialect) = candidates.groups[*group].format.as_ref().and_then(|format| format.csv()) else {
                    continue;
                };
                let rest = &bytes[begin..bytes.len().min(begin + TEXT_INPUT_BYTES_MAX)];
                // A quote that nobody closes must not take the lines behind it along.
                let Some(row) = csv::row_end(rest, dialect).or_else(|| last_row(rest, dialect)) else { continue };
                let row = begin + row;
                if row > end + 1 && self.one_text(begin..row, begin..trim_newline(&bytes, begin, row)).is_ok() {
                    return Ok(row);
                }
            }
        }
        let raw = begin..trim_newline(&bytes, begin, end);
        self.one_text(raw.clone(), raw).map(|()| end)
    }

    /// One input that is the bytes of `range`, of which those of `text` are looked at.
    fn one_text(&mut self, range: Range<usize>, text: Range<usize>) -> Result<(), (Range<usize>, Refused)> {
        let bytes = self.payload.bytes.clone();
        let shown = range.start..trim_end(&bytes, range.start, range.end);
        if text.len() > TEXT_INPUT_BYTES_MAX {
            let message = format!("a text of {} bytes; at most {TEXT_INPUT_BYTES_MAX} are taken", text.len());
            return Err((shown, Refused { reason: Reason::Limit, message, tried: Vec::new() }));
        }
        let at_start = self.payload.offset == 0 && text.start <= super::BOM.len() && self.payload.head.is_empty();
        let (text, invalid) = text_of(&bytes[text]);
        let before = (self.inputs, self.position);
        self.place(&range);
        match self.text(&text, invalid, at_start, None, None) {
            Ok(None) => Ok(()),
            Ok(Some(skip)) => {
                self.skipped.add(skip);
                Ok(())
            }
            Err(refused) => {
                (self.inputs, self.position) = before;
                Err((shown, refused))
            }
        }
    }

    /// A text as records of the source's formats, or of those of `only` one group. Several rows may stand in it where it
    /// came within something else.
    pub(super) fn text(
        &mut self,
        text: &str,
        invalid: u32,
        at_start: bool,
        only: Option<usize>,
        envelope: Option<Envelope<'_>>,
    ) -> Result<Option<Skip>, Refused> {
        let candidates = self.set.candidates.clone();
        let groups: &[usize] = match &only {
            Some(group) => std::slice::from_ref(group),
            None => &candidates.texts,
        };
        let mut best: Option<Refused> = None;
        let mut tried: Vec<String> = Vec::new();
        // Groups that could not read it at all, and why.
        let mut strangers: Vec<(usize, Refused)> = Vec::new();
        for fit in [Fit::Exact, Fit::Tolerant] {
            for &group in groups {
                match self.text_of_group(group, text, invalid, at_start, fit, &envelope) {
                    Outcome::Taken => return Ok(None),
                    Outcome::Header => return Ok(Some(Skip::Header)),
                    Outcome::Refused(refused) if refused.weight() == 0 => {
                        if strangers.iter().all(|(known, _)| *known != group) {
                            strangers.push((group, refused));
                        }
                    }
                    Outcome::Refused(refused) => {
                        tried.extend(refused.tried.iter().cloned());
                        if best.as_ref().is_none_or(|best| best.weight() < refused.weight()) {
                            best = Some(refused);
                        }
                    }
                }
            }
        }
        let mut refused = best.unwrap_or_else(|| self.in_no_format(text, strangers));
        tried.sort();
        tried.dedup();
        refused.tried = tried;
        Err(refused)
    }

    /// What to say of a text that no format could read: the fault of the format that it looks most like, or that it looks
    /// like none.
    #[cold]
    fn in_no_format(&self, text: &str, mut strangers: Vec<(usize, Refused)>) -> Refused {
        let likeness = |group: usize| {
            let format = self.set.candidates.groups[group].format.as_ref();
            let head = self.lines.as_ref().and_then(|lines| lines.heads.get(&group));
            format.map_or(Likeness::None, |format| format.likeness(text, head))
        };
        let mut nearest: Option<(Likeness, usize)> = None;
        for (index, (group, _)) in strangers.iter().enumerate() {
            let likeness = likeness(*group);
            if nearest.is_none_or(|(best, _)| best < likeness) {
                nearest = Some((likeness, index));
            }
        }
        match nearest {
            None => Refused::new("the source may send no log type in a text format"),
            Some((Likeness::None, _)) if strangers.len() > 1 => {
                let mut names: Vec<&str> = Vec::new();
                for (group, _) in &strangers {
                    let name = self.set.candidates.groups[*group].format.as_ref().map_or("", |f| f.parser().name());
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                let names = names.join(", ");
                Refused::new(&format!(
                    "it looks like none of the formats its source may send ({names}); add a log type for such texts"
                ))
            }
            Some((_, index)) => strangers.swap_remove(index).1,
        }
    }

    fn text_of_group(
        &mut self,
        group: usize,
        text: &str,
        invalid: u32,
        at_start: bool,
        fit: Fit,
        envelope: &Option<Envelope<'_>>,
    ) -> Outcome {
        let candidates = self.set.candidates.clone();
        let Some(format) = &candidates.groups[group].format else {
            return Outcome::Refused(Refused::new("it is JSON"));
        };
        if format.parser() == Parser::W3c && w3c::is_directive(text) {
            // A comment, or a header.
            let _ = self.header(group, text);
            return Outcome::Header;
        }
        if format.is_tabular() {
            return self.row(group, text, invalid, at_start, fit, envelope);
        }
        let mut lines = self.lines.take().unwrap_or_default();
        let outcome = {
            let head = lines.heads.get(&group);
            let mut fields = text::recycled(std::mem::take(&mut lines.fields));
            let outcome = match format.fields(text, head, &mut fields) {
                Err(fault) => Outcome::Refused(Refused::not_of(format.parser(), &fault.to_string())),
                Ok(()) if fields.is_empty() => {
                    Outcome::Refused(Refused::not_of(format.parser(), "there is nothing in it"))
                }
                Ok(()) => match check_size(&fields) {
                    Err(refused) => Outcome::Refused(refused),
                    Ok(()) => {
                        let twice = format.parser() == Parser::Kv && text::has_repeated(&fields);
                        let document = &mut lines.document;
                        if twice && self.repeated(group, text, &fields, invalid, document, fit, envelope) {
                            Outcome::Taken
                        } else {
                            document.fill_fields(text, &fields, invalid);
                            outcome(self.filled(group, document, fit, envelope))
                        }
                    }
                },
            };
            lines.fields = text::recycled(fields);
            outcome
        };
        self.lines = Some(lines);
        outcome
    }

    /// A message in which one key occurs with two meanings, told apart by their place.
    #[allow(clippy::too_many_arguments)]
    fn repeated(
        &mut self,
        group: usize,
        text: &str,
        fields: &Fields<'_>,
        invalid: u32,
        document: &mut Document,
        fit: Fit,
        envelope: &Option<Envelope<'_>>,
    ) -> bool {
        let candidates = self.set.candidates.clone();
        candidates.groups[group].types.iter().any(|log_type| {
            let mut fields = fields.clone();
            if !text::rename_repeated(&mut fields, &candidates.types[*log_type].fields) {
                return false;
            }
            document.fill_fields(text, &fields, invalid);
            self.filled(group, document, fit, envelope).is_ok()
        })
    }

    /// A record of what a format found.
    fn filled(
        &mut self,
        group: usize,
        document: &Document,
        fit: Fit,
        envelope: &Option<Envelope<'_>>,
    ) -> Result<(), Refused> {
        let hash = self.hash(document, 0);
        let shape = self.shape(group, document, 0, hash);
        self.of_shape(&shape, document, fit, envelope)
    }

    fn of_shape(
        &mut self,
        shape: &Shape,
        document: &Document,
        fit: Fit,
        envelope: &Option<Envelope<'_>>,
    ) -> Result<(), Refused> {
        let envelope = match envelope {
            Some(envelope) => Envelope { document: envelope.document, at: envelope.at },
            None => Envelope { document, at: 0 },
        };
        let candidate = Candidate { document, at: 0, envelope: Some(envelope), of_input: false };
        self.record_of(shape, &candidate, fit)
    }

    /// The rows of `text`.
    fn row(
        &mut self,
        group: usize,
        text: &str,
        invalid: u32,
        at_start: bool,
        fit: Fit,
        envelope: &Option<Envelope<'_>>,
    ) -> Outcome {
        let candidates = self.set.candidates.clone();
        let Some(format) = &candidates.groups[group].format else {
            return Outcome::Refused(Refused::new("it is JSON"));
        };
        let before = (self.records.len(), self.bytes.len(), self.position.index);
        let mut lines = self.lines.take().unwrap_or_default();
        let mut rest = text;
        let mut outcome = Outcome::Refused(Refused::not_of(format.parser(), "there is nothing in it"));
        let mut refused: Vec<(u32, Refused)> = Vec::new();
        let mut first = true;
        while !rest.is_empty() {
            let Lines { document, cells, scratch, named, heads, .. } = &mut *lines;
            let mut found = text::recycled_cells(std::mem::take(cells));
            let length = format.cells(rest, scratch, &mut found);
            let row = &rest[..length];
            if !found.is_empty() {
                let read =
                    Read { group, text: row, cells: &found, invalid, at_start: at_start && first, fit, envelope };
                let one = self.one_row(read, document, named, heads);
                match one {
                    Outcome::Refused(why) => {
                        refused.push((self.position.index, why));
                        self.position.index += 1;
                    }
                    Outcome::Header if first && length == rest.len() => outcome = Outcome::Header,
                    Outcome::Header => {}
                    Outcome::Taken => outcome = Outcome::Taken,
                }
                first = false;
            }
            rest = &rest[length..];
            lines.cells = text::recycled_cells(found);
        }
        self.lines = Some(lines);
        if matches!(outcome, Outcome::Header)
            && at_start
            && let Some(lines) = &mut self.lines
        {
            lines.head_line = text.to_owned();
        }
        if self.records.len() == before.0 && !matches!(outcome, Outcome::Header) {
            self.position.index = before.2;
            self.bytes.truncate(before.1);
            return match refused.into_iter().next() {
                Some((_, why)) => Outcome::Refused(why),
                None => outcome,
            };
        }
        // Beside a row that is one, what is none is told by itself.
        let end = self.position.index;
        for (index, why) in refused {
            self.position.index = index;
            self.bury_whole(why);
        }
        self.position.index = end;
        outcome
    }

    fn one_row(
        &mut self,
        read: Read<'_>,
        document: &mut Document,
        named: &mut HashMap<(usize, usize), Arc<Named>>,
        heads: &mut HashMap<usize, Head>,
    ) -> Outcome {
        let Read { group, text, cells, invalid, at_start, fit, envelope } = read;
        let candidates = self.set.candidates.clone();
        let Some(format) = &candidates.groups[group].format else {
            return Outcome::Refused(Refused::new("it is JSON"));
        };
        let texts = || cells.iter().map(|cell| cell.as_deref().unwrap_or_default());
        if format.has_header() {
            if at_start && !heads.contains_key(&group) {
                match format.header(texts()) {
                    Ok(names) => {
                        heads.insert(group, Head::Columns(Arc::new(self.named(names))));
                        return Outcome::Header;
                    }
                    Err(near) => {
                        let missing = near.first().map(|near| near.missing.join(", ")).unwrap_or_default();
                        let message = format!("the first line is no header: it lacks {missing}");
                        return Outcome::Refused(Refused::not_of(format.parser(), &message));
                    }
                }
            }
            let Some(Head::Columns(columns)) = heads.get(&group) else {
                return Outcome::Refused(Refused::not_of(format.parser(), "no header line came before it"));
            };
            if texts().eq(columns.names.iter().map(String::as_str)) {
                return Outcome::Header;
            }
            if columns.names.len() != cells.len() {
                let message = format!("{} cells, and the header has {}", cells.len(), columns.names.len());
                return Outcome::Refused(Refused::not_of(format.parser(), &message));
            }
            let columns = columns.clone();
            let shape = self.shape_of(group, &columns);
            if shape.exact.iter().chain(&shape.tolerant).any(|plan| plan.log_type.has_objects()) {
                let mut names = columns.names.clone();
                names.truncate(cells.len());
                let schema = shape.exact.iter().chain(&shape.tolerant).next().map(|plan| plan.log_type.clone());
                if let (Some(log_type), Some(dialect)) = (schema, format.csv()) {
                    text::fill_nested(document, text, dialect, &log_type.fields, &names, cells, invalid);
                    return outcome(self.of_shape(&shape, document, fit, envelope));
                }
            }
            document.fill_row(text, &columns.columns, cells.iter().map(|cell| cell.as_deref()), invalid);
            return outcome(self.of_shape(&shape, document, fit, envelope));
        }
        if format.is_header(texts()) {
            return Outcome::Header;
        }
        if fit == Fit::Tolerant && self.set.logs.is_none() {
            let message = format!("{} cells, where {} are expected", cells.len(), format.widths());
            return Outcome::Refused(Refused::not_of(format.parser(), &message));
        }
        let mut best: Option<Refused> = None;
        for log_type in format.rows(cells.len(), fit == Fit::Exact) {
            let columns = match named.get(&(log_type, cells.len())) {
                Some(columns) => columns.clone(),
                None => {
                    let columns = Arc::new(self.named(format.names(log_type, cells.len())));
                    named.insert((log_type, cells.len()), columns.clone());
                    columns
                }
            };
            match format.csv() {
                Some(dialect) if format.is_nested(log_type) => {
                    let schema = &candidates.types[log_type].fields;
                    text::fill_nested(document, text, dialect, schema, &columns.names, cells, invalid);
                }
                _ => document.fill_row(text, &columns.columns, cells.iter().map(|cell| cell.as_deref()), invalid),
            }
            let shape = self.shape_of(group, &columns);
            match self.of_shape(&shape, document, fit, envelope) {
                Ok(()) => return Outcome::Taken,
                Err(refused) => {
                    if best.as_ref().is_none_or(|best| best.weight() < refused.weight()) {
                        best = Some(refused);
                    }
                }
            }
        }
        Outcome::Refused(best.unwrap_or_else(|| {
            let message = format!("{} cells, where {} are expected", cells.len(), format.widths());
            Refused::not_of(format.parser(), &message)
        }))
    }

    /// Takes `text` as a header of the group, if it is one.
    fn header(&mut self, group: usize, text: &str) -> bool {
        let candidates = self.set.candidates.clone();
        let Some(format) = candidates.groups[group].format.as_ref().filter(|format| format.has_header()) else {
            return false;
        };
        let head = if format.parser() == Parser::W3c {
            w3c::Header::parse(text).ok().map(Head::W3c)
        } else {
            let mut scratch = Cells::default();
            let mut cells = Vec::new();
            format.cells(text, &mut scratch, &mut cells);
            let names = format.header(cells.iter().map(|cell| cell.as_deref().unwrap_or_default())).ok();
            names.map(|names| Head::Columns(Arc::new(self.named(names))))
        };
        let Some(head) = head else { return false };
        let lines = self.lines.get_or_insert_default();
        lines.heads.insert(group, head);
        lines.head_line = text.to_owned();
        true
    }

    fn named(&self, names: Vec<String>) -> Named {
        let hash = self.set.shapes.hash_of(names.iter().map(String::as_str));
        Named { columns: Columns::new(names.iter().map(String::as_str)), hash, names }
    }

    fn shape_of(&mut self, group: usize, named: &Named) -> Arc<Shape> {
        if let Some(shape) = self.set.shapes.shape(named.hash, group) {
            return shape.clone();
        }
        let keys: Vec<&str> = named.names.iter().map(String::as_str).collect();
        self.set.shapes.learn(named.hash, &self.set.candidates, group, &keys)
    }
}

/// One row and what must be known to read it.
struct Read<'a> {
    group: usize,
    text: &'a str,
    cells: &'a [Option<Cow<'a, str>>],
    invalid: u32,
    at_start: bool,
    fit: Fit,
    envelope: &'a Option<Envelope<'a>>,
}

fn outcome(result: Result<(), Refused>) -> Outcome {
    match result {
        Ok(()) => Outcome::Taken,
        Err(refused) => Outcome::Refused(refused),
    }
}

/// The end of a tag that stands around events and is none.
fn around_events(bytes: &[u8]) -> Option<usize> {
    let around = ["<?xml", "<Events>", "<Events ", "</Events"].iter().any(|tag| bytes.starts_with(tag.as_bytes()));
    around.then(|| memchr::memchr(b'>', bytes).map(|end| end + 1)).flatten()
}

/// The end of a row that no line break ends, if all its quotes are closed.
fn last_row(rest: &[u8], dialect: &csv::Dialect) -> Option<usize> {
    let mut cells = csv::Cells::default();
    csv::row(&text_of(rest).0, dialect, &mut cells);
    (!cells.unterminated).then_some(rest.len())
}

fn trim_newline(bytes: &[u8], from: usize, mut end: usize) -> usize {
    while end > from && matches!(bytes[end - 1], b'\n' | b'\r') {
        end -= 1;
    }
    end
}

/// The limits that JSON has, for what a format found.
fn check_size(fields: &Fields<'_>) -> Result<(), Refused> {
    fn walk(fields: &Fields<'_>, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("nested more than {DEPTH_MAX} levels deep"));
        }
        if fields.len() > KEYS_MAX {
            return Err(format!("an object of {} keys; at most {KEYS_MAX} are taken", fields.len()));
        }
        fields.iter().try_for_each(|(_, value)| value_walk(value, depth))
    }
    fn value_walk(value: &Value<'_>, depth: usize) -> Result<(), String> {
        match value {
            Value::Object(fields) => walk(fields, depth + 1),
            Value::List(_) if depth >= DEPTH_MAX => Err(format!("nested more than {DEPTH_MAX} levels deep")),
            Value::List(items) => items.iter().try_for_each(|item| value_walk(item, depth + 1)),
            _ => Ok(()),
        }
    }
    walk(fields, 0).map_err(|message| Refused { reason: Reason::Limit, message, tried: Vec::new() })
}
