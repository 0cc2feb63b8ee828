//! Compression by content, not by name. Layers stand on one another; an archive gives one part after the other. Damage
//! ends a part and is remembered, so that what came before it stands.

pub mod sniff;
mod zip;

use crate::Limits;
use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use snap::read::FrameDecoder;
use sniff::{HEAD_BYTES, Kind, is_zstd_frame, sniff};
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use streamalert_pipeline::dead_letter::Reason;
use streamalert_pipeline::limits::UNPACK_LAYERS_MAX;
use zip::Zip;
use zstd::stream::read::Decoder as ZstdDecoder;

/// Bytes each layer reads at once.
const READ_BYTES: usize = 64 << 10;
/// Bytes it reads first: most records of a stream are smaller.
const FIRST_BYTES: usize = 4 << 10;

/// Why a part ends before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub reason: Reason,
    pub message: String,
}

impl Damage {
    pub fn new(message: impl Into<String>) -> Self {
        Damage { reason: Reason::Compression, message: message.into() }
    }

    pub fn limit(message: impl Into<String>) -> Self {
        Damage { reason: Reason::Limit, message: message.into() }
    }
}

/// Counts bytes on their way through the layers of one object.
pub struct Meter {
    raw: AtomicU64,
    /// By height over the raw bytes: a layer may inflate what the next one makes small again.
    out: [AtomicU64; UNPACK_LAYERS_MAX + 2],
    limits: Limits,
}

impl Meter {
    fn new(limits: Limits) -> Self {
        Meter { raw: AtomicU64::new(0), out: Default::default(), limits }
    }

    /// `count` bytes came out at this height; says what limit that breaks.
    pub fn out(&self, height: usize, count: usize) -> Option<Damage> {
        let out = self.out[height].fetch_add(count as u64, Ordering::Relaxed) + count as u64;
        let Limits { unpacked_bytes, unpack_ratio, unpack_ratio_free_bytes, .. } = self.limits;
        if out > unpacked_bytes {
            return Some(Damage::limit(format!("unpacks to more than {unpacked_bytes} bytes")));
        }
        let raw = self.raw.load(Ordering::Relaxed);
        if out > unpack_ratio_free_bytes && out / unpack_ratio > raw {
            return Some(Damage::limit(format!("{raw} bytes unpack to more than {unpack_ratio} times as much")));
        }
        None
    }
}

/// Marks errors of the reader, so that they are not taken for damage of what it reads.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct ReadFailed(#[source] io::Error);

fn is_readers(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<ReadFailed>())
}

/// A layer with a buffer, so that it can be looked into.
pub struct Buffered<R: Read> {
    layer: Layer<R>,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    /// Bytes given so far.
    given: u64,
}

type Below<R> = Box<Buffered<R>>;

enum Layer<R: Read> {
    Raw { reader: R, meter: Arc<Meter> },
    Codec(Codec<R>),
    Zip(Box<Zip<R>>),
}

impl<R: Read> Layer<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Layer::Raw { reader, meter } => {
                let count = loop {
                    match reader.read(out) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        read => break read.map_err(|error| io::Error::new(error.kind(), ReadFailed(error)))?,
                    }
                };
                meter.raw.fetch_add(count as u64, Ordering::Relaxed);
                Ok(count)
            }
            Layer::Codec(codec) => codec.read(out),
            Layer::Zip(zip) => zip.read(out),
        }
    }

    /// What ended the stream here; the lowest layer's, since the others only see its end.
    fn damage(&self) -> Option<&Damage> {
        match self {
            Layer::Raw { .. } => None,
            Layer::Codec(codec) => codec.decoder.below().and_then(|below| below.damage()).or(codec.damage.as_ref()),
            Layer::Zip(zip) => zip.damage(),
        }
    }
}

impl<R: Read> Buffered<R> {
    fn new(layer: Layer<R>) -> Below<R> {
        Box::new(Buffered { layer, buffer: Vec::new(), at: 0, end: 0, given: 0 })
    }

    pub fn damage(&self) -> Option<&Damage> {
        self.layer.damage()
    }

    /// The next bytes without taking them: `count`, or fewer at the end.
    pub fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        self.peek_until(|head| head.len() >= count)?;
        Ok(&self.buffer[self.at..self.end.min(self.at + count)])
    }

    /// Reads until `enough` is content. Says whether the stream ended before.
    fn peek_until(&mut self, mut enough: impl FnMut(&[u8]) -> bool) -> io::Result<bool> {
        loop {
            if enough(&self.buffer[self.at..self.end]) {
                return Ok(false);
            }
            self.buffer.copy_within(self.at..self.end, 0);
            (self.at, self.end) = (0, self.end - self.at);
            if self.end == self.buffer.len() {
                self.grow();
            }
            match self.layer.read(&mut self.buffer[self.end..])? {
                0 => return Ok(true),
                count => self.end += count,
            }
        }
    }

    fn grow(&mut self) {
        let room = if self.buffer.is_empty() { FIRST_BYTES } else { READ_BYTES };
        self.buffer.resize(room, 0);
    }

    /// Passes over `count` bytes. Says whether they were all there.
    fn skip(&mut self, mut count: u64) -> io::Result<bool> {
        while count > 0 {
            let ahead = self.fill_buf()?.len();
            if ahead == 0 {
                return Ok(false);
            }
            let step = count.min(ahead as u64);
            self.consume(step as usize);
            count -= step;
        }
        Ok(true)
    }

    fn sniff(&mut self) -> io::Result<Kind> {
        let mut found = None;
        let look = |head: &[u8]| {
            found = sniff(&head[..head.len().min(HEAD_BYTES)], false);
            found.is_some()
        };
        self.peek_until(look)?;
        Ok(found.or_else(|| sniff(&self.buffer[self.at..self.end], true)).unwrap_or(Kind::Plain))
    }
}

impl<R: Read> Read for Buffered<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        // Large reads need no buffer.
        if self.at == self.end && out.len() >= READ_BYTES {
            let count = self.layer.read(out)?;
            self.given += count as u64;
            return Ok(count);
        }
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Buffered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.end {
            (self.at, self.end) = (0, 0);
            self.grow();
            self.end = self.layer.read(&mut self.buffer)?;
        }
        Ok(&self.buffer[self.at..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
        self.given += count as u64;
    }
}

/// Deflate that knows whether it came to its end.
struct Inflate<R: Read> {
    below: Below<R>,
    state: Decompress,
    done: bool,
}

impl<R: Read> Inflate<R> {
    fn new(below: Below<R>, zlib: bool) -> Self {
        Inflate { below, state: Decompress::new(zlib), done: false }
    }
}

impl<R: Read> Read for Inflate<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !self.done {
            let input = self.below.fill_buf()?;
            let ended = input.is_empty();
            let (before_in, before_out) = (self.state.total_in(), self.state.total_out());
            let flush = if ended { FlushDecompress::Finish } else { FlushDecompress::None };
            let result = self.state.decompress(input, out, flush);
            let taken = (self.state.total_in() - before_in) as usize;
            let made = (self.state.total_out() - before_out) as usize;
            self.below.consume(taken);
            self.done = result? == Status::StreamEnd;
            if made > 0 {
                return Ok(made);
            }
            if ended && !self.done {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(0)
    }
}

enum Decoder<R: Read> {
    Gzip(Box<GzDecoder<Below<R>>>),
    Inflate(Box<Inflate<R>>),
    Bzip2(BzDecoder<Below<R>>),
    Zstd(Box<ZstdDecoder<'static, Below<R>>>),
    Snappy(Box<FrameDecoder<Below<R>>>),
    /// Came to an end.
    Ended(Below<R>),
    /// Only while one state becomes another.
    Taken,
}

impl<R: Read> Decoder<R> {
    fn new(kind: Kind, below: Below<R>) -> io::Result<Self> {
        Ok(match kind {
            Kind::Gzip => Decoder::Gzip(Box::new(GzDecoder::new(below))),
            Kind::Zlib => Decoder::Inflate(Box::new(Inflate::new(below, true))),
            Kind::Bzip2 => Decoder::Bzip2(BzDecoder::new(below)),
            Kind::Zstd => Decoder::Zstd(Box::new(ZstdDecoder::with_buffer(below)?.single_frame())),
            Kind::Snappy => Decoder::Snappy(Box::new(FrameDecoder::new(below))),
            _ => Decoder::Ended(below),
        })
    }

    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Decoder::Gzip(decoder) => decoder.read(out),
            Decoder::Inflate(decoder) => decoder.read(out),
            Decoder::Bzip2(decoder) => decoder.read(out),
            Decoder::Zstd(decoder) => decoder.read(out),
            Decoder::Snappy(decoder) => decoder.read(out),
            Decoder::Ended(_) | Decoder::Taken => Ok(0),
        }
    }

    fn below(&self) -> Option<&Below<R>> {
        match self {
            Decoder::Gzip(decoder) => Some(decoder.get_ref()),
            Decoder::Inflate(decoder) => Some(&decoder.below),
            Decoder::Bzip2(decoder) => Some(decoder.get_ref()),
            Decoder::Zstd(decoder) => Some(decoder.get_ref()),
            Decoder::Snappy(decoder) => Some(decoder.get_ref()),
            Decoder::Ended(below) => Some(below),
            Decoder::Taken => None,
        }
    }

    fn into_below(self) -> Option<Below<R>> {
        match self {
            Decoder::Gzip(decoder) => Some(decoder.into_inner()),
            Decoder::Inflate(decoder) => Some(decoder.below),
            Decoder::Bzip2(decoder) => Some(decoder.into_inner()),
            Decoder::Zstd(decoder) => Some(decoder.finish()),
            Decoder::Snappy(decoder) => Some(decoder.into_inner()),
            Decoder::Ended(below) => Some(below),
            Decoder::Taken => None,
        }
    }
}

/// One compressed stream: all its members, one after the other.
struct Codec<R: Read> {
    kind: Kind,
    decoder: Decoder<R>,
    height: usize,
    meter: Arc<Meter>,
    damage: Option<Damage>,
    over: bool,
}

impl<R: Read> Codec<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !self.over {
            match self.decoder.read(out) {
                Ok(0) => self.next_member()?,
                Ok(count) => {
                    self.damage = self.meter.out(self.height, count);
                    self.over = self.damage.is_some();
                    return Ok(count);
                }
                Err(error) if is_readers(&error) => return Err(error),
                Err(error) => {
                    self.damage = Some(damaged(self.kind.name(), &error));
                    self.over = true;
                }
            }
        }
        Ok(0)
    }

    /// Goes to the next member, over padding. Whatever else follows is damage.
    fn next_member(&mut self) -> io::Result<()> {
        let Some(mut below) = std::mem::replace(&mut self.decoder, Decoder::Taken).into_below() else {
            self.over = true;
            return Ok(());
        };
        let next = next_after_padding(&mut below);
        let kind = self.kind;
        let follows = |head: &[u8]| match kind {
            Kind::Gzip => head.starts_with(&[0x1f]),
            Kind::Zstd => is_zstd_frame(head),
            Kind::Bzip2 => head.starts_with(b"BZh"),
            _ => false,
        };
        match next {
            Ok(head) if head.is_empty() => self.over = true,
            Ok(head) if follows(&head) => {
                self.decoder = Decoder::new(kind, below)?;
                return Ok(());
            }
            Ok(_) => {
                self.over = true;
                let name = kind.name();
                self.damage = Some(Damage::new(format!("something that is not {name} follows the {name} data")));
            }
            Err(error) => {
                // Asked again, it looks again.
                self.decoder = Decoder::Ended(below);
                return Err(error);
            }
        }
        self.decoder = Decoder::Ended(below);
        Ok(())
    }
}

/// What follows zeros; empty at the end. The zeros are gone.
fn next_after_padding<R: Read>(below: &mut Below<R>) -> io::Result<Vec<u8>> {
    const SIGNATURE_BYTES: usize = 4;
    loop {
        let ahead = below.fill_buf()?;
        match ahead.iter().position(|byte| *byte != 0) {
            None if ahead.is_empty() => return Ok(Vec::new()),
            None => {
                let padding = ahead.len();
                below.consume(padding);
            }
            Some(padding) => {
                below.consume(padding);
                return Ok(below.peek(SIGNATURE_BYTES)?.to_vec());
            }
        }
    }
}

fn damaged(name: &str, error: &io::Error) -> Damage {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Damage::new(format!("the {name} data ends early")),
        _ => Damage::new(format!("the {name} data is damaged ({error})")),
    }
}

/// One object as the parts it holds: itself, or the entries of an archive.
pub struct Unpacked<R: Read> {
    state: State<R>,
    /// Layers that stand now.
    height: usize,
    /// Names of the entries that are open, outermost first, with the height of their archive.
    entries: Vec<(usize, String)>,
    meter: Arc<Meter>,
}

enum State<R: Read> {
    Start(R),
    Part(Below<R>),
    /// Unpacking went wrong in the reader; nothing more is known.
    Over,
}

/// What a part is, before any of it is taken.
pub struct Part {
    pub kind: Kind,
    /// Names of the entries it is in, outermost archive first.
    pub entries: Vec<String>,
    /// It cannot be read at all.
    pub damage: Option<Damage>,
}

impl<R: Read> Unpacked<R> {
    pub fn new(reader: R, limits: Limits) -> Self {
        Unpacked { state: State::Start(reader), height: 0, entries: Vec::new(), meter: Arc::new(Meter::new(limits)) }
    }

    /// Counts bytes made of the part's bytes.
    pub fn made(&self, count: usize) -> Option<Damage> {
        self.meter.out(UNPACK_LAYERS_MAX + 1, count)
    }

    /// The bytes of the part.
    pub fn part(&mut self) -> Option<&mut Buffered<R>> {
        match &mut self.state {
            State::Part(part) => Some(part),
            State::Start(_) | State::Over => None,
        }
    }

    pub fn next_part(&mut self) -> io::Result<Option<Part>> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Over => Ok(None),
            State::Start(reader) => {
                let raw = Buffered::new(Layer::Raw { reader, meter: self.meter.clone() });
                self.open(raw).map(Some)
            }
            State::Part(part) => self.unwind(part.layer),
        }
    }

    /// Puts layers on one another until there is nothing more to unpack.
    fn open(&mut self, mut top: Below<R>) -> io::Result<Part> {
        loop {
            let kind = top.sniff()?;
            if !kind.is_layer() || self.height == UNPACK_LAYERS_MAX {
                let damage = match kind {
                    Kind::Foreign(name) => {
                        Some(Damage::new(format!("{name} cannot be read here; unpack it and send it again")))
                    }
                    kind if kind.is_layer() => Some(Damage::new(format!(
                        "{} within {UNPACK_LAYERS_MAX} other layers of compression, of which no more are unpacked; unpack it and send \
                         it again",
                        kind.name()
                    ))),
                    _ => None,
                };
                self.state = State::Part(top);
                return Ok(self.described(kind, damage));
            }
            self.height += 1;
            let (height, meter) = (self.height, self.meter.clone());
            if kind != Kind::Zip {
                let decoder = Decoder::new(kind, top)?;
                top = Buffered::new(Layer::Codec(Codec { kind, decoder, height, meter, damage: None, over: false }));
                continue;
            }
            let mut zip = Box::new(Zip::new(top, height, meter));
            match zip.next_entry()? {
                Some(entry) => {
                    self.entries.push((self.height, entry));
                    let damage = zip.damage().cloned();
                    top = Buffered::new(Layer::Zip(zip));
                    if damage.is_some() {
                        self.state = State::Part(top);
                        return Ok(self.described(Kind::Zip, damage));
                    }
                }
                // Empty, or broken from the start: a part of no bytes, with what is wrong.
                None => {
                    let damage = zip.untold_damage();
                    self.state = State::Part(Buffered::new(Layer::Zip(zip)));
                    return Ok(self.described(Kind::Zip, damage));
                }
            }
        }
    }

    fn described(&self, kind: Kind, damage: Option<Damage>) -> Part {
        Part { kind, entries: self.entries.iter().map(|(_, name)| name.clone()).collect(), damage }
    }

    /// Takes layers off down to the innermost archive that has another entry.
    fn unwind(&mut self, mut layer: Layer<R>) -> io::Result<Option<Part>> {
        loop {
            match layer {
                Layer::Raw { .. } => return Ok(None),
                Layer::Codec(codec) => {
                    self.height -= 1;
                    let Some(below) = codec.decoder.into_below() else { return Ok(None) };
                    layer = below.layer;
                }
                Layer::Zip(mut zip) => {
                    self.entries.retain(|(height, _)| *height < self.height);
                    if let Some(entry) = zip.next_entry()? {
                        self.entries.push((self.height, entry));
                        let damage = zip.damage().cloned();
                        let top = Buffered::new(Layer::Zip(zip));
                        if damage.is_some() {
                            self.state = State::Part(top);
                            return Ok(Some(self.described(Kind::Zip, damage)));
                        }
                        return self.open(top).map(Some);
                    }
                    let damage = zip.untold_damage();
                    if damage.is_some() {
                        self.state = State::Part(Buffered::new(Layer::Zip(zip)));
                        return Ok(Some(self.described(Kind::Zip, damage)));
                    }
                    self.height -= 1;
                    layer = zip.into_below().layer;
                }
            }
        }
    }
}
