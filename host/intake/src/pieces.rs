//! An object as a stream of payloads that end where an input ends.

use crate::Limits;
use crate::rows::{Row, Rows};
use crate::text::Transcoder;
use crate::unpack::sniff::Kind;
use crate::unpack::{Damage, Part, Unpacked};
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::sync::Arc;
use streamalert_formats::csv;
use streamalert_pipeline::classifier::{Framing, complete_inputs, holds_whole_items};
use streamalert_pipeline::dead_letter::{DeadLetter, Input, Reason};
use streamalert_pipeline::limits::HEAD_BYTES_MAX;
use streamalert_pipeline::log_record::{Payload, Position, Source};
use streamalert_pipeline::skip::Skip;

/// Bytes of a part that are enough to tell what it is.
const HEAD_BYTES: usize = 4 << 10;
/// Bytes read from a pipe at once: what a pipe holds.
const EAGER_BYTES: usize = 64 << 10;
/// Bytes of room an object gets at first; it doubles. Most records of a stream are smaller, and come by the ten thousand.
const FIRST_BYTES: usize = 4 << 10;
/// Bytes that a letter keeps of something too long or cut off: enough to see what it was.
pub const SAMPLE_BYTES: usize = 64 << 10;
/// Stands between an archive and its entry in the name of an object, as in `jar:` addresses.
const ENTRY_MARK: &str = "!/";

/// What a stream holds next.
#[derive(Debug)]
pub enum Piece {
    Payload(Payload),
    Dead(Box<DeadLetter>),
    Skip(Skip),
}

/// How far an object has been read: everything before this was handed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// Entries of archives that are done.
    pub part: u64,
    /// Bytes of the part that are done, as they are counted in payloads.
    pub offset: u64,
    /// Rows of the part that became dead letters.
    pub lost_rows: u64,
    /// The header line in force.
    pub head: Input,
}

impl Default for Cursor {
    fn default() -> Self {
        Cursor { part: 0, offset: 0, lost_rows: 0, head: Input::new(b"") }
    }
}

/// Cuts an object into payloads that end where an input ends. The entries of an archive are objects of their own, named
/// `archive!/entry`, and so is what is in a container: rows of Parquet and Avro are JSON lines, and offsets count those.
/// Of text in another encoding, offsets count the UTF-8.
pub struct Pieces<R: Read> {
    source: Arc<Source>,
    framing: Framing,
    /// Says it, when the first bytes are there.
    frames: Option<Frames>,
    framed: bool,
    limits: Limits,
    unpacked: Unpacked<R>,
    content: Content,
    /// Of the part that is open.
    part_source: Arc<Source>,
    /// Bytes of the part, not handed on yet: the first `filled` of it.
    buffer: Vec<u8>,
    filled: usize,
    /// Where `buffer` begins in the part.
    offset: u64,
    stop: Option<Stop>,
    /// We are looking for the end of an input that is too long.
    too_long: Option<TooLong>,
    head: Arc<[u8]>,
    part: u64,
    lost_rows: u64,
    /// Something of this part was handed on.
    told: bool,
    /// All of this part was handed on, and its damage too.
    over: bool,
    resume: Option<Cursor>,
    /// Hands on what is there instead of waiting for more: for pipes, where more may take hours.
    eager: bool,
}

type Frames = Box<dyn FnMut(&Source, &[u8]) -> Framing + Send>;

enum Content {
    /// Between parts.
    None,
    Bytes,
    Text(Box<Transcoder>),
    Rows(Box<Rows>),
    /// It could not be opened.
    Nothing,
}

/// Why no more bytes come for now.
enum Stop {
    End,
    Damage(Damage),
    /// A row is lost, others follow.
    LostRow {
        message: String,
        reason: Reason,
        sample: Vec<u8>,
    },
}

struct TooLong {
    sample: Vec<u8>,
    offset: u64,
    /// It has line breaks inside, so the next input begins where a line begins as documents do.
    many_lines: bool,
}

impl<R: Read> Pieces<R> {
    pub fn new(source: Arc<Source>, reader: R, framing: Framing) -> Self {
        Self::with_limits(source, reader, framing, Limits::default())
    }

    pub fn with_limits(source: Arc<Source>, reader: R, framing: Framing, limits: Limits) -> Self {
        Pieces {
            part_source: source.clone(),
            source,
            framing,
            frames: None,
            framed: false,
            limits,
            unpacked: Unpacked::new(reader, limits),
            content: Content::None,
            buffer: Vec::new(),
            filled: 0,
            offset: 0,
            stop: None,
            too_long: None,
            head: Arc::default(),
            part: 0,
            lost_rows: 0,
            told: false,
            over: false,
            resume: None,
            eager: false,
        }
    }

    /// Goes on where [`Pieces::cursor`] was, with the same object from its beginning: what was handed on is read once more
    /// and dropped. If the object has changed and is shorter now, reading fails.
    pub fn resume(source: Arc<Source>, reader: R, framing: Framing, cursor: Cursor) -> Self {
        Self::new(source, reader, framing).from_cursor(cursor)
    }

    pub fn from_cursor(self, cursor: Cursor) -> Self {
        Pieces { resume: Some(cursor), ..self }
    }

    /// Lets the first bytes of each part decide how it is cut.
    pub fn framed_by(self, frames: impl FnMut(&Source, &[u8]) -> Framing + Send + 'static) -> Self {
        Pieces { frames: Some(Box::new(frames)), ..self }
    }

    pub fn eager(self) -> Self {
        Pieces { eager: true, ..self }
    }

    /// Valid after each piece.
    pub fn cursor(&self) -> Cursor {
        if let Some(cursor) = &self.resume {
            return cursor.clone();
        }
        if self.over {
            return Cursor { part: self.part + 1, ..Cursor::default() };
        }
        Cursor { part: self.part, offset: self.offset, lost_rows: self.lost_rows, head: Input::new(&self.head) }
    }

    /// `None` at the end. An error is the reader's: what came before it stands, what comes after it is unknown.
    pub fn read_piece(&mut self) -> io::Result<Option<Piece>> {
        loop {
            if matches!(self.content, Content::None) && !self.next_part()? {
                return Ok(None);
            }
            if let Some(piece) = self.piece_of_part()? {
                self.told = true;
                return Ok(Some(piece));
            }
            let told = self.told;
            let skip = if matches!(self.content, Content::Rows(_)) { Skip::Empty } else { Skip::EmptyObject };
            self.leave_part();
            if !told {
                return Ok(Some(Piece::Skip(skip)));
            }
        }
    }

    fn next_part(&mut self) -> io::Result<bool> {
        let Some(part) = self.unpacked.next_part()? else {
            return match self.resume.take() {
                Some(cursor) if cursor.part > self.part => Err(changed()),
                _ => Ok(false),
            };
        };
        self.part_source = self.source.clone();
        if !part.entries.is_empty() {
            let mut source = (*self.source).clone();
            for entry in &part.entries {
                source.object.push_str(ENTRY_MARK);
                source.object.push_str(entry);
            }
            self.part_source = Arc::new(source);
        }
        match &self.resume {
            // Done before. It is read all the same: what is wrong at its end was told, and would else be a part of its own.
            Some(cursor) if self.part < cursor.part => {
                if part.damage.is_some() {
                    self.open(part)?;
                    self.filled = 0;
                } else if let Some(bytes) = self.unpacked.part() {
                    io::copy(bytes, &mut io::sink())?;
                }
                (self.content, self.stop, self.told) = (Content::Nothing, Some(Stop::End), true);
            }
            Some(_) => {
                self.open(part)?;
                self.drop_what_was_handed_on()?;
            }
            None => self.open(part)?,
        }
        Ok(true)
    }

    fn open(&mut self, part: Part) -> io::Result<()> {
        if let Some(damage) = part.damage {
            let sample = self.unpacked.part().map(|part| part.peek(SAMPLE_BYTES)).transpose()?.unwrap_or_default();
            self.buffer = sample.to_vec();
            self.filled = self.buffer.len();
            self.content = Content::Nothing;
            self.stop = Some(Stop::Damage(damage));
            return Ok(());
        }
        self.content = match part.kind {
            Kind::Text(encoding) => Content::Text(Box::new(Transcoder::new(encoding))),
            Kind::Parquet | Kind::Avro => match self.unpacked.part().map(|part_of| Rows::open(part.kind, part_of)) {
                Some(rows) => Content::Rows(Box::new(rows?)),
                None => Content::Nothing,
            },
            _ => Content::Bytes,
        };
        Ok(())
    }

    fn leave_part(&mut self) {
        self.content = Content::None;
        self.stop = None;
        self.filled = 0;
        self.offset = 0;
        self.head = Arc::default();
        self.lost_rows = 0;
        (self.told, self.over, self.framed) = (false, false, false);
        self.part += 1;
    }

    fn drop_what_was_handed_on(&mut self) -> io::Result<()> {
        let Some(cursor) = self.resume.take() else { return Ok(()) };
        while self.offset < cursor.offset || self.lost_rows < cursor.lost_rows {
            let left = cursor.offset - self.offset;
            self.fill((self.limits.payload_bytes as u64).min(left) as usize)?;
            let step = left.min(self.filled as u64) as usize;
            self.drop_bytes(step);
            match &self.stop {
                Some(Stop::LostRow { .. }) if self.filled == 0 && self.lost_rows < cursor.lost_rows => {
                    self.stop = None;
                    self.lost_rows += 1;
                }
                None if step > 0 || self.offset == cursor.offset => {
                    // Only lost rows are left: the next one comes with the next bytes.
                    if self.offset == cursor.offset && self.lost_rows < cursor.lost_rows {
                        self.fill(self.filled + 1)?;
                        if self.filled > 0 {
                            return Err(changed());
                        }
                    }
                }
                _ if step > 0 => {}
                _ => return Err(changed()),
            }
        }
        self.head = cursor.head.bytes().into();
        self.told = self.offset > 0 || self.lost_rows > 0;
        Ok(())
    }

    /// `None` when the part is over.
    fn piece_of_part(&mut self) -> io::Result<Option<Piece>> {
        // What the last payload left may be complete by itself.
        let mut want = if self.eager { self.filled.max(1) } else { self.limits.payload_bytes };
        loop {
            if self.too_long.is_some() {
                if let Some(letter) = self.skip_to_next_line()? {
                    return Ok(Some(Piece::Dead(Box::new(letter))));
                }
                continue;
            }
            self.fill(want)?;
            if self.stop.is_some() {
                return Ok(self.last());
            }
            match self.complete() {
                0 if self.filled > self.limits.input_bytes => {
                    let bytes = &self.buffer[..self.filled];
                    self.too_long = Some(TooLong {
                        sample: bytes[..bytes.len().min(SAMPLE_BYTES)].to_vec(),
                        offset: self.offset,
                        many_lines: memchr::memchr(b'\n', bytes).is_some(),
                    });
                    self.drop_bytes(self.filled);
                }
                // Small enough to look again at every byte that comes.
                0 if self.eager && self.filled < EAGER_BYTES => want = self.filled + 1,
                // Each look starts from the beginning; by doubling, all looks together cost two.
                0 => want = (self.filled * 2).min(self.limits.input_bytes + 1),
                end => return Ok(Some(Piece::Payload(self.take(end)))),
            }
        }
    }

    /// Bytes of the buffer that are whole inputs, if more may follow.
    fn complete(&self) -> usize {
        match self.framing.whole {
            true => 0,
            false => complete_inputs(&self.buffer[..self.filled], &self.framing),
        }
    }

    /// Reads until the buffer holds `want` bytes or nothing more comes for now.
    fn fill(&mut self, want: usize) -> io::Result<()> {
        self.fill_buffer(want)?;
        if !self.framed
            && let Some(frames) = &mut self.frames
        {
            self.framed = true;
            self.framing = frames(&self.part_source, &self.buffer[..self.filled.min(HEAD_BYTES)]);
        }
        Ok(())
    }

    fn fill_buffer(&mut self, want: usize) -> io::Result<()> {
        while self.stop.is_none() && self.filled < want {
            let mut room = if self.eager { want.max(self.filled + EAGER_BYTES) } else { want };
            if self.buffer.len() < room {
                room = room.min((self.filled * 2).max(FIRST_BYTES));
                self.buffer.resize(room.max(self.buffer.len()), 0);
            }
            let Some(part) = self.unpacked.part() else {
                self.stop = Some(Stop::End);
                return Ok(());
            };
            let count = match &mut self.content {
                Content::Bytes => part.read(&mut self.buffer[self.filled..room])?,
                Content::Text(transcoder) => transcoder.read(part, &mut self.buffer[self.filled..room])?,
                Content::Rows(rows) => {
                    self.buffer.truncate(self.filled);
                    let row = rows.next(part, &mut self.buffer)?;
                    let made = self.buffer.len() - self.filled;
                    self.stop = match row {
                        Row::Made => self.unpacked.made(made).map(Stop::Damage),
                        Row::Lost { message, reason, sample } => Some(Stop::LostRow { message, reason, sample }),
                        Row::Damage(damage) => Some(Stop::Damage(part.damage().cloned().unwrap_or(damage))),
                        Row::End => Some(Stop::End),
                    };
                    self.filled = self.buffer.len();
                    continue;
                }
                Content::None | Content::Nothing => 0,
            };
            self.filled += count;
            if count == 0 {
                self.stop = Some(part.damage().cloned().map_or(Stop::End, Stop::Damage));
            }
        }
        Ok(())
    }

    fn take(&mut self, end: usize) -> Payload {
        let bytes: Arc<[u8]> = Arc::from(&self.buffer[..end]);
        let mut payload = Payload::new(self.part_source.clone(), self.offset, bytes);
        if self.framing.header {
            payload.head = self.head.clone();
            self.note_head(end);
        }
        self.drop_bytes(end);
        payload
    }

    /// The header line in force after the first `end` bytes of the buffer.
    fn note_head(&mut self, end: usize) {
        let bytes = &self.buffer[..end];
        let begins_line = |at: &usize| *at == 0 || bytes[at - 1] == b'\n';
        let fields = memchr::memmem::rfind_iter(bytes, b"#Fields:").find(begins_line);
        let from = match fields {
            Some(at) => at,
            None if self.offset == 0 => bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(end),
            None => return,
        };
        let line = first_row(&bytes[from..], &self.framing);
        self.head = if line.len() <= HEAD_BYTES_MAX { Arc::from(line) } else { Arc::default() };
    }

    /// What is left when nothing more comes for now.
    fn last(&mut self) -> Option<Piece> {
        let whole = match self.stop {
            Some(Stop::Damage(_)) if matches!(self.content, Content::Nothing) => 0,
            // What was complete before the damage is good; the rest was cut in the middle.
            Some(Stop::Damage(_)) if !matches!(self.content, Content::Rows(_)) => match self.complete() {
                // One document is all there is: the classifier takes the records in it that are whole.
                0 if self.offset == 0 && !self.framing.whole && holds_whole_items(&self.buffer[..self.filled]) => {
                    self.filled
                }
                end => end,
            },
            _ => self.filled,
        };
        if whole > 0 {
            return Some(Piece::Payload(self.take(whole)));
        }
        match self.stop.take()? {
            Stop::End => {
                self.stop = Some(Stop::End);
                None
            }
            Stop::LostRow { message, reason, sample } => {
                let letter = self.letter(&sample, self.offset, 0, reason, message);
                self.lost_rows += 1;
                Some(Piece::Dead(Box::new(letter)))
            }
            Stop::Damage(Damage { reason, message }) => {
                let (offset, cut) = (self.offset, self.filled as u64);
                let opened = !matches!(self.content, Content::Nothing);
                let message = match (reason, opened) {
                    (_, false) => message,
                    (Reason::Limit, true) => format!(
                        "{message}; everything before byte {offset} was taken, the rest was not read: send it in smaller \
                         objects"
                    ),
                    (_, true) => format!(
                        "{message}, after {} decompressed bytes; everything before byte {offset} was taken, get the \
                         object again and send it whole",
                        offset + cut
                    ),
                };
                let sample = self.buffer[..self.filled.min(SAMPLE_BYTES)].to_vec();
                self.drop_bytes(self.filled);
                self.stop = Some(Stop::End);
                self.over = true;
                Some(Piece::Dead(Box::new(self.letter(&sample, offset, cut, reason, message))))
            }
        }
    }

    fn drop_bytes(&mut self, count: usize) {
        self.buffer.copy_within(count..self.filled, 0);
        self.filled -= count;
        self.offset += count as u64;
    }

    /// Drops bytes up to the next line that can begin an input; the letter when it is found.
    fn skip_to_next_line(&mut self) -> io::Result<Option<DeadLetter>> {
        let want = if self.eager { self.filled.max(1) } else { self.limits.payload_bytes };
        self.fill(want)?;
        let many_lines = self.too_long.as_ref().is_some_and(|input| input.many_lines);
        let bytes = &self.buffer[..self.filled];
        let begins = |end: &usize| !many_lines || matches!(bytes.get(end + 1), None | Some(b'{' | b'['));
        let end = match self.framing.whole {
            true => None,
            false => memchr::memchr_iter(b'\n', bytes).find(begins),
        };
        match end {
            // Only the next byte tells whether this is it.
            Some(end) if many_lines && end + 1 == self.filled && self.stop.is_none() => {
                self.drop_bytes(end);
                self.fill(want.max(2))?;
                return Ok(None);
            }
            Some(end) => self.drop_bytes(end + 1),
            None => {
                self.drop_bytes(self.filled);
                if self.stop.is_none() {
                    return Ok(None);
                }
            }
        }
        let Some(TooLong { sample, offset, .. }) = self.too_long.take() else { return Ok(None) };
        let (max, now) = (self.limits.input_bytes, self.offset);
        let message = match self.framing.whole {
            true => {
                format!("an object of {now} bytes, which a parser must have whole; more than {max} bytes it may not be")
            }
            false => format!(
                "an input of more than {max} bytes: neither a document nor a line ended; going on at byte {now}"
            ),
        };
        Ok(Some(self.letter(&sample, offset, now - offset, Reason::Limit, message)))
    }

    /// A letter about `length` bytes of which it keeps `sample`.
    fn letter(&self, sample: &[u8], offset: u64, length: u64, reason: Reason, message: String) -> DeadLetter {
        let mut payload = Payload::new(self.part_source.clone(), offset, sample);
        if self.framing.header {
            payload.head = self.head.clone();
        }
        // Lost rows take no bytes, so their number tells them apart.
        let index = u32::try_from(self.lost_rows).unwrap_or(u32::MAX);
        let position = Position { offset, length: sample.len() as u64, index };
        let mut letter = DeadLetter::new(&payload, "", position, reason, message);
        letter.position.length = length;
        letter
    }
}

fn changed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the object is not the one that was read before: it is shorter now")
}

/// The first line, over line breaks within quotes, without its end.
fn first_row<'a>(bytes: &'a [u8], framing: &Framing) -> &'a [u8] {
    let quoted = framing.csv.as_ref().and_then(|dialect| csv::row_end(bytes, dialect));
    let end = quoted.or_else(|| memchr::memchr(b'\n', bytes)).unwrap_or(bytes.len());
    let line = &bytes[..end];
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests;
