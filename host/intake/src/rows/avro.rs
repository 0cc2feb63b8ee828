//! Avro object container files, block by block. A datum is written as JSON while it is read, without a tree in between.

use super::{Row, json};
use crate::pieces::SAMPLE_BYTES;
use crate::unpack::{Buffered, Damage};
use bzip2::read::BzDecoder;
use flate2::Crc;
use flate2::read::DeflateDecoder;
use serde_json::Value;
use std::collections::HashMap;
use std::io::{self, Read};
use streamalert_pipeline::dead_letter::Reason;
use streamalert_pipeline::limits::{CONTAINER_BLOCK_BYTES_MAX, DEPTH_MAX, INPUT_BYTES_MAX};

const SIGNATURE: &[u8] = b"Obj\x01";
const SYNC_BYTES: usize = 16;
/// Bytes of the header: a schema and a few names. The largest schemas in use have some hundred KB.
const HEADER_BYTES_MAX: usize = 16 << 20;
/// Digits behind the point of a decimal. Databases stop at 76.
const SCALE_MAX: u64 = 1_000;
/// Values in one datum. What fits into one input has fewer; values that take no bytes (`null`) could be without end.
const VALUES_MAX: u64 = 16 << 20;

pub struct Avro {
    schema: Schema,
    codec: Codec,
    sync: [u8; SYNC_BYTES],
    block: Vec<u8>,
    at: usize,
    /// Data of the block that are not read yet.
    left: u64,
    number: u64,
}

#[derive(Clone, Copy)]
enum Codec {
    Null,
    Deflate,
    Snappy,
    Bzip2,
    Zstandard,
}

/// Why a file or a block cannot be read on.
enum Broken {
    Reader(io::Error),
    Damage(Damage),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Broken::Reader(error)
    }
}

fn early() -> Broken {
    Broken::Damage(Damage::new("the Avro data ends early"))
}

fn wrong(message: impl std::fmt::Display) -> Broken {
    Broken::Damage(Damage::new(format!("the Avro data is damaged ({message})")))
}

impl Avro {
    pub fn open<R: Read>(part: &mut Buffered<R>) -> io::Result<Result<Self, Damage>> {
        match Self::header(part) {
            Ok(avro) => Ok(Ok(avro)),
            Err(Broken::Reader(error)) => Err(error),
            Err(Broken::Damage(damage)) => Ok(Err(part.damage().cloned().unwrap_or(damage))),
        }
    }

    fn header<R: Read>(part: &mut Buffered<R>) -> Result<Self, Broken> {
        read(part, SIGNATURE.len())?;
        let (mut schema, mut codec, mut room) = (None, Codec::Null, HEADER_BYTES_MAX);
        loop {
            let mut count = long(part)?;
            if count == 0 {
                break;
            }
            if count < 0 {
                // The bytes of the entries follow, which only who skips them needs.
                long(part)?;
                count = count.saturating_neg();
            }
            for _ in 0..count {
                let mut entry = || -> Result<Vec<u8>, Broken> {
                    let length = usize::try_from(long(part)?).ok().filter(|length| *length < room);
                    let length = length.ok_or_else(|| wrong("a header too large"))?;
                    room -= length + 1;
                    read(part, length)
                };
                let (name, value) = (entry()?, entry()?);
                match &name[..] {
                    b"avro.schema" => schema = Some(value),
                    b"avro.codec" => {
                        codec = match &value[..] {
                            b"null" | b"" => Codec::Null,
                            b"deflate" => Codec::Deflate,
                            b"snappy" => Codec::Snappy,
                            b"bzip2" => Codec::Bzip2,
                            b"zstandard" => Codec::Zstandard,
                            other => {
                                let name = String::from_utf8_lossy(other);
                                let message = format!("Avro packed by {name}, which cannot be read here");
                                return Err(Broken::Damage(Damage::new(message)));
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        let schema = schema.ok_or_else(|| wrong("no schema"))?;
        let schema: Value = serde_json::from_slice(&schema).map_err(|error| wrong(format!("its schema: {error}")))?;
        let schema = Schema::new(&schema).map_err(|error| wrong(format!("its schema: {error}")))?;
        let sync = read(part, SYNC_BYTES)?.try_into().map_err(|_| early())?;
        Ok(Avro { schema, codec, sync, block: Vec::new(), at: 0, left: 0, number: 0 })
    }

    pub fn next<R: Read>(&mut self, part: &mut Buffered<R>, out: &mut Vec<u8>) -> io::Result<Row> {
        loop {
            if self.left > 0 {
                self.left -= 1;
                return Ok(self.row(out));
            }
            if part.peek(1)?.is_empty() {
                return Ok(match part.damage() {
                    Some(damage) => Row::Damage(damage.clone()),
                    None => Row::End,
                });
            }
            match self.next_block(part) {
                Ok(None) => {}
                Ok(Some(lost)) => return Ok(lost),
                Err(Broken::Reader(error)) => return Err(error),
                Err(Broken::Damage(damage)) => return Ok(Row::Damage(damage)),
            }
        }
    }

    /// A block that cannot be unpacked is lost by itself: where the next one begins is known.
    fn next_block<R: Read>(&mut self, part: &mut Buffered<R>) -> Result<Option<Row>, Broken> {
        let count = u64::try_from(long(part)?).map_err(|_| wrong("a block of less than no rows"))?;
        let length = usize::try_from(long(part)?).map_err(|_| wrong("a block of less than no bytes"))?;
        if length > CONTAINER_BLOCK_BYTES_MAX {
            let message =
                format!("an Avro block of {length} bytes; more than {CONTAINER_BLOCK_BYTES_MAX} are not read");
            return Err(Broken::Damage(Damage::limit(message)));
        }
        let packed = read(part, length)?;
        if read(part, SYNC_BYTES)? != self.sync {
            return Err(wrong("a block does not end where it says"));
        }
        self.number += 1;
        self.at = 0;
        match self.codec.unpack(packed) {
            Ok(block) => {
                (self.block, self.left) = (block, count);
                Ok(None)
            }
            Err((reason, message)) => Ok(Some(Row::Lost {
                message: format!("block {} of the Avro data {message}: its {count} rows are lost", self.number),
                reason,
                sample: Vec::new(),
            })),
        }
    }

    fn row(&mut self, out: &mut Vec<u8>) -> Row {
        let begin = out.len();
        let mut datum = Datum { bytes: &self.block[self.at..], out, begin, fault: None, values: 0 };
        let read = datum.value(&self.schema, self.schema.root, 0);
        let fault = datum.fault.take();
        self.at = self.block.len() - datum.bytes.len();
        let number = self.number;
        let (reason, message) = match (read, fault) {
            (Ok(()), None) => {
                out.push(b'\n');
                return Row::Made;
            }
            (Ok(()), Some((reason, message))) => {
                (reason, format!("a row of block {number} of the Avro data: {message}"))
            }
            // Where the next datum begins is not known.
            (Err((reason, message)), _) => {
                let lost = std::mem::take(&mut self.left) + 1;
                let message = format!("block {number} of the Avro data: {message}: {lost} of its rows are lost");
                (reason, message)
            }
        };
        let sample = out[begin..].iter().copied().take(SAMPLE_BYTES).collect();
        out.truncate(begin);
        Row::Lost { message, reason, sample }
    }
}

fn read<R: Read>(part: &mut Buffered<R>, length: usize) -> Result<Vec<u8>, Broken> {
    let mut bytes = Vec::new();
    part.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() == length { Ok(bytes) } else { Err(early()) }
}

fn long<R: Read>(part: &mut Buffered<R>) -> Result<i64, Broken> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = read(part, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(zigzag(value));
        }
    }
    Err(wrong("a number of more than 64 bits"))
}

fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

impl Codec {
    fn unpack(self, packed: Vec<u8>) -> Result<Vec<u8>, (Reason, String)> {
        const MAX: usize = CONTAINER_BLOCK_BYTES_MAX;
        let damaged = |error: &dyn std::fmt::Display| (Reason::Compression, format!("is damaged ({error})"));
        let too_large = || (Reason::Limit, format!("unpacks to more than {MAX} bytes"));
        let mut block = Vec::new();
        let mut all = |reader: &mut dyn Read| reader.take(MAX as u64 + 1).read_to_end(&mut block);
        match self {
            Codec::Null => return Ok(packed),
            Codec::Deflate => all(&mut DeflateDecoder::new(&packed[..])),
            Codec::Bzip2 => all(&mut BzDecoder::new(&packed[..])),
            Codec::Zstandard => zstd::stream::read::Decoder::new(&packed[..]).and_then(|mut decoder| all(&mut decoder)),
            Codec::Snappy => {
                let (data, checksum) =
                    packed.split_last_chunk::<4>().ok_or_else(|| damaged(&"shorter than its checksum"))?;
                if snap::raw::decompress_len(data).map_err(|error| damaged(&error))? > MAX {
                    return Err(too_large());
                }
                let block = snap::raw::Decoder::new().decompress_vec(data).map_err(|error| damaged(&error))?;
                let mut crc = Crc::new();
                crc.update(&block);
                return match crc.sum() == u32::from_be_bytes(*checksum) {
                    true => Ok(block),
                    false => Err(damaged(&"not what its checksum says")),
                };
            }
        }
        .map_err(|error| damaged(&error))?;
        if block.len() > MAX { Err(too_large()) } else { Ok(block) }
    }
}

/// All types of a file; they name one another by their place.
struct Schema {
    types: Vec<Type>,
    root: usize,
}

enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Record(Vec<(String, usize)>),
    Enum(Vec<String>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Fixed(usize),
    /// Of bytes, or of this many.
    Decimal(Option<usize>, usize),
    /// Months, days and milliseconds.
    Duration,
    UuidBytes,
    Date,
    /// By ticks a second.
    Time(i64),
    /// By ticks a second, and whether it is UTC.
    Timestamp(i64, bool),
}

/// A schema while it is read.
struct Reading {
    types: Vec<Type>,
    names: HashMap<String, usize>,
}

impl Schema {
    fn new(json: &Value) -> Result<Schema, String> {
        let mut reading = Reading { types: Vec::new(), names: HashMap::new() };
        let root = reading.read(json, "", 0)?;
        Ok(Schema { types: reading.types, root })
    }
}

impl Reading {
    fn add(&mut self, ty: Type) -> usize {
        self.types.push(ty);
        self.types.len() - 1
    }

    fn read(&mut self, json: &Value, space: &str, depth: usize) -> Result<usize, String> {
        if depth > DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} types within one another"));
        }
        match json {
            Value::String(name) => self.named(name, space),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.read(branch, space, depth + 1));
                let branches = branches.collect::<Result<_, _>>()?;
                Ok(self.add(Type::Union(branches)))
            }
            Value::Object(object) => {
                let text = |key: &str| object.get(key).and_then(Value::as_str);
                match object.get("type") {
                    Some(Value::String(ty)) if matches!(ty.as_str(), "record" | "error" | "enum" | "fixed") => {
                        let name = text("name").ok_or("a type without a name")?;
                        let (full, space) = full_name(name, text("namespace").unwrap_or(space));
                        // Its place is known before its fields, which may name it.
                        let place = self.add(Type::Null);
                        self.names.insert(full, place);
                        self.types[place] = match ty.as_str() {
                            "enum" => {
                                let symbols = object.get("symbols").and_then(Value::as_array).ok_or("no symbols")?;
                                let symbols =
                                    symbols.iter().map(|symbol| symbol.as_str().unwrap_or_default().to_owned());
                                Type::Enum(symbols.collect())
                            }
                            "fixed" => {
                                let size = object.get("size").and_then(Value::as_u64).ok_or("fixed without a size")?;
                                let size = usize::try_from(size).map_err(|error| error.to_string())?;
                                match (text("logicalType"), size) {
                                    (Some("decimal"), _) => Type::Decimal(Some(size), scale(object)),
                                    (Some("duration"), 12) => Type::Duration,
                                    (Some("uuid"), 16) => Type::UuidBytes,
                                    _ => Type::Fixed(size),
                                }
                            }
                            _ => {
                                let list = object.get("fields").and_then(Value::as_array).ok_or("no fields")?;
                                let mut fields = Vec::new();
                                for field in list {
                                    let name = field["name"].as_str().ok_or("a field without a name")?;
                                    fields.push((name.to_owned(), self.read(&field["type"], &space, depth + 1)?));
                                }
                                Type::Record(fields)
                            }
                        };
                        Ok(place)
                    }
                    Some(Value::String(ty)) if ty == "array" => {
                        let items = self.read(object.get("items").ok_or("no items")?, space, depth + 1)?;
                        Ok(self.add(Type::Array(items)))
                    }
                    Some(Value::String(ty)) if ty == "map" => {
                        let values = self.read(object.get("values").ok_or("no values")?, space, depth + 1)?;
                        Ok(self.add(Type::Map(values)))
                    }
                    Some(Value::String(ty)) => {
                        let logical = match (ty.as_str(), text("logicalType").unwrap_or_default()) {
                            ("bytes", "decimal") => Type::Decimal(None, scale(object)),
                            ("int", "date") => Type::Date,
                            ("int", "time-millis") => Type::Time(1_000),
                            ("long", "time-micros") => Type::Time(1_000_000),
                            ("long", "timestamp-millis") => Type::Timestamp(1_000, true),
                            ("long", "timestamp-micros") => Type::Timestamp(1_000_000, true),
                            ("long", "timestamp-nanos") => Type::Timestamp(1_000_000_000, true),
                            ("long", "local-timestamp-millis") => Type::Timestamp(1_000, false),
                            ("long", "local-timestamp-micros") => Type::Timestamp(1_000_000, false),
                            ("long", "local-timestamp-nanos") => Type::Timestamp(1_000_000_000, false),
                            _ => return self.named(ty, space),
                        };
                        Ok(self.add(logical))
                    }
                    Some(inner) => self.read(inner, space, depth + 1),
                    None => Err("something without a type".to_owned()),
                }
            }
            other => Err(format!("{other} is no type")),
        }
    }

    fn named(&mut self, name: &str, space: &str) -> Result<usize, String> {
        let primitive = match name {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "int" => Type::Int,
            "long" => Type::Long,
            "float" => Type::Float,
            "double" => Type::Double,
            "bytes" => Type::Bytes,
            "string" => Type::String,
            _ => {
                let known = self.names.get(&full_name(name, space).0).or_else(|| self.names.get(name));
                return known.copied().ok_or_else(|| format!("nothing is called {name}"));
            }
        };
        Ok(self.add(primitive))
    }
}

/// The full name, and the name space that what is within it inherits.
fn full_name(name: &str, space: &str) -> (String, String) {
    match name.rsplit_once('.') {
        Some((space, _)) => (name.to_owned(), space.to_owned()),
        None if space.is_empty() => (name.to_owned(), String::new()),
        None => (format!("{space}.{name}"), space.to_owned()),
    }
}

fn scale(object: &serde_json::Map<String, Value>) -> usize {
    // A larger one must not make us write zeros for ever.
    object.get("scale").and_then(Value::as_u64).unwrap_or(0).min(SCALE_MAX) as usize
}

/// One datum on its way to JSON.
struct Datum<'a> {
    bytes: &'a [u8],
    out: &'a mut Vec<u8>,
    begin: usize,
    /// The first thing that could be read and not be said.
    fault: Option<(Reason, String)>,
    values: u64,
}

/// Why the bytes cannot be followed any further.
type Followed<T> = Result<T, (Reason, String)>;

impl<'a> Datum<'a> {
    fn take(&mut self, count: usize) -> Followed<&'a [u8]> {
        let ends = || (Reason::Compression, "a value ends beyond its block".to_owned());
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or_else(ends)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn long(&mut self) -> Followed<i64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(zigzag(value));
            }
        }
        Err((Reason::Compression, "a number of more than 64 bits".to_owned()))
    }

    fn counted(&mut self) -> Followed<&'a [u8]> {
        let length = self.long()?;
        let length = usize::try_from(length).map_err(|_| (Reason::Compression, format!("{length} bytes")))?;
        self.take(length)
    }

    fn text(&mut self) -> Followed<()> {
        let bytes = self.counted()?;
        json::bytes(self.out, bytes);
        if std::str::from_utf8(bytes).is_err() {
            self.note(Reason::NotJson, "text that is not UTF-8 (here in base64)".to_owned());
        }
        Ok(())
    }

    fn note(&mut self, reason: Reason, message: String) {
        self.fault.get_or_insert((reason, message));
    }

    fn value(&mut self, schema: &Schema, ty: usize, depth: usize) -> Followed<()> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err((Reason::Limit, format!("a row of more than {VALUES_MAX} values")));
        }
        if depth > DEPTH_MAX {
            return Err((Reason::Limit, format!("more than {DEPTH_MAX} values within one another")));
        }
        // It is still followed to its end, so that the next one is found.
        if self.out.len() - self.begin > INPUT_BYTES_MAX {
            self.note(Reason::Limit, format!("a row of more than {INPUT_BYTES_MAX} bytes"));
            self.out.truncate(self.begin + SAMPLE_BYTES);
        }
        match &schema.types[ty] {
            Type::Null => self.out.extend_from_slice(b"null"),
            Type::Boolean => {
                let value: &[u8] = if self.take(1)?[0] == 0 { b"false" } else { b"true" };
                self.out.extend_from_slice(value);
            }
            Type::Int | Type::Long => {
                let value = self.long()?;
                json::number(self.out, value);
            }
            Type::Float => {
                let bytes = self.take(4)?;
                json::float(self.out, f32::from_le_bytes(bytes.try_into().unwrap_or_default()));
            }
            Type::Double => {
                let bytes = self.take(8)?;
                json::float(self.out, f64::from_le_bytes(bytes.try_into().unwrap_or_default()));
            }
            Type::Bytes => {
                let bytes = self.counted()?;
                json::bytes(self.out, bytes);
            }
            Type::String => self.text()?,
            Type::Record(fields) => {
                self.out.push(b'{');
                for (number, (name, field)) in fields.iter().enumerate() {
                    if number > 0 {
                        self.out.push(b',');
                    }
                    json::text(self.out, name);
                    self.out.push(b':');
                    self.value(schema, *field, depth + 1)?;
                }
                self.out.push(b'}');
            }
            Type::Enum(symbols) => {
                let number = self.long()?;
                let symbol = usize::try_from(number).ok().and_then(|number| symbols.get(number));
                let symbol = symbol.ok_or_else(|| (Reason::Compression, format!("symbol {number} of an enum")))?;
                json::text(self.out, symbol);
            }
            Type::Array(items) => {
                self.out.push(b'[');
                self.blocks(|datum| datum.value(schema, *items, depth + 1))?;
                self.out.push(b']');
            }
            Type::Map(values) => {
                self.out.push(b'{');
                self.blocks(|datum| {
                    datum.text()?;
                    datum.out.push(b':');
                    datum.value(schema, *values, depth + 1)
                })?;
                self.out.push(b'}');
            }
            Type::Union(branches) => {
                let number = self.long()?;
                let branch = usize::try_from(number).ok().and_then(|number| branches.get(number));
                let branch = *branch.ok_or_else(|| (Reason::Compression, format!("branch {number} of a union")))?;
                self.value(schema, branch, depth + 1)?;
            }
            Type::Fixed(size) => {
                let bytes = self.take(*size)?;
                json::bytes(self.out, bytes);
            }
            Type::Decimal(size, scale) => {
                let bytes = match size {
                    Some(size) => self.take(*size)?,
                    None => self.counted()?,
                };
                json::decimal(self.out, bytes, *scale);
            }
            Type::UuidBytes => {
                let bytes = self.take(16)?;
                json::uuid(self.out, bytes);
            }
            Type::Duration => {
                let bytes = self.take(12)?;
                let part = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
                let (months, days, millis) = (part(0), part(4), part(8));
                json::text(self.out, &format!("P{months}M{days}DT{}.{:03}S", millis / 1_000, millis % 1_000));
            }
            Type::Date => {
                let days = self.long()?;
                // An int by its schema; beyond it there is no calendar.
                json::date(self.out, i64::from(days as i32));
            }
            Type::Time(a_second) => {
                let ticks = self.long()?;
                json::time(self.out, ticks, *a_second);
            }
            Type::Timestamp(a_second, utc) => {
                let ticks = self.long()?;
                json::timestamp(self.out, ticks, *a_second, *utc);
            }
        }
        Ok(())
    }

    /// Items of an array or map: blocks of a count and so many items, until a count of 0.
    fn blocks(&mut self, mut item: impl FnMut(&mut Self) -> Followed<()>) -> Followed<()> {
        let mut first = true;
        loop {
            let mut count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                self.long()?;
                count = count.saturating_neg();
            }
            for _ in 0..count {
                if !std::mem::take(&mut first) {
                    self.out.push(b',');
                }
                item(self)?;
            }
        }
    }
}
