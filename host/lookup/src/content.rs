//! Bytes become a table: whatever they are compressed by, in one of the formats.

use crate::mmdb::Mmdb;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use streamalert_pipeline::config::lookup_tables::{ContentConfig, Format};

/// A table as it was read.
pub struct Table {
    entries: Entries,
    /// Of what it was read from, unpacked.
    pub bytes: u64,
    /// Keys that came more than once; the last counts.
    pub repeated: u64,
}

enum Entries {
    /// Key → JSON text.
    Map(HashMap<Box<str>, Box<str>>),
    Mmdb(Box<Mmdb>),
}

impl Table {
    /// What stands under a key, as JSON text.
    pub fn get(&self, key: &str) -> Result<Option<String>, String> {
        match &self.entries {
            Entries::Map(map) => Ok(map.get(key).map(|value| value.to_string())),
            Entries::Mmdb(mmdb) => mmdb.get(key),
        }
    }

    /// Of an MMDB nobody knows.
    pub fn len(&self) -> Option<usize> {
        match &self.entries {
            Entries::Map(map) => Some(map.len()),
            Entries::Mmdb(_) => None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// The first keys in order; an MMDB has networks and no keys.
    pub fn keys(&self, limit: usize) -> Vec<&str> {
        let Entries::Map(map) = &self.entries else { return Vec::new() };
        let mut keys: Vec<&str> = map.keys().map(|key| &**key).collect();
        keys.sort_unstable();
        keys.truncate(limit);
        keys
    }

    /// For people.
    pub fn kind(&self) -> String {
        match &self.entries {
            Entries::Map(map) => format!("{} entries", map.len()),
            Entries::Mmdb(mmdb) => mmdb.kind(),
        }
    }

    /// Of values that are at hand.
    pub fn of(entries: impl IntoIterator<Item = (String, Value)>) -> Table {
        let map: HashMap<Box<str>, Box<str>> =
            entries.into_iter().map(|(key, value)| (key.into(), value.to_string().into())).collect();
        Table { entries: Entries::Map(map), bytes: 0, repeated: 0 }
    }
}

/// How bytes are compressed, by what they begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    None,
    Gzip,
    Zlib,
    Zstd,
    Bzip2,
}

impl Packing {
    pub fn of(bytes: &[u8]) -> Packing {
        match bytes {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', ..] => Packing::Bzip2,
            [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => Packing::Zlib,
            _ => Packing::None,
        }
    }
}

/// What the bytes are when unpacked; more than `most` of them is an error.
pub fn unpack(bytes: &[u8], most: u64) -> Result<Cow<'_, [u8]>, String> {
    let mut out = Vec::new();
    // Concatenated members are one content.
    let read = match Packing::of(bytes) {
        Packing::None => {
            return match bytes.len() as u64 > most {
                true => Err(too_large(most)),
                false => Ok(bytes.into()),
            };
        }
        Packing::Gzip => flate2::read::MultiGzDecoder::new(bytes).take(most + 1).read_to_end(&mut out),
        Packing::Zlib => flate2::read::ZlibDecoder::new(bytes).take(most + 1).read_to_end(&mut out),
        Packing::Zstd => zstd::Decoder::new(bytes).and_then(|decoder| decoder.take(most + 1).read_to_end(&mut out)),
        Packing::Bzip2 => bzip2::read::MultiBzDecoder::new(bytes).take(most + 1).read_to_end(&mut out),
    };
    read.map_err(|error| format!("it is compressed ({:?}) and damaged: {error}", Packing::of(bytes)))?;
    match out.len() as u64 > most {
        true => Err(too_large(most)),
        false => Ok(out.into()),
    }
}

/// As they were compressed before.
pub fn pack(bytes: &[u8], packing: Packing) -> std::io::Result<Vec<u8>> {
    use std::io::Write;
    let level = flate2::Compression::default();
    match packing {
        Packing::None => Ok(bytes.to_vec()),
        Packing::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes)?;
            encoder.finish()
        }
        Packing::Zlib => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(bytes)?;
            encoder.finish()
        }
        Packing::Zstd => zstd::encode_all(bytes, 0),
        Packing::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
            encoder.write_all(bytes)?;
            encoder.finish()
        }
    }
}

fn too_large(most: u64) -> String {
    format!("it has more than {most} bytes, unpacked; a table may have so many (`max_bytes`)")
}

fn too_many(most: u64) -> String {
    format!("it has more than {most} entries; a table may have so many (`max_entries`)")
}

pub fn read(bytes: &[u8], config: &ContentConfig) -> Result<Table, String> {
    let unpacked = unpack(bytes, config.bytes_max)?;
    let length = unpacked.len() as u64;
    if config.format == Format::Mmdb {
        let mmdb = Mmdb::read(unpacked.into_owned())?;
        return Ok(Table { entries: Entries::Mmdb(Box::new(mmdb)), bytes: length, repeated: 0 });
    }
    let text = std::str::from_utf8(&unpacked).map_err(|error| format!("it is no UTF-8: {error}"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rows = Rows { map: HashMap::new(), repeated: 0, most: config.entries_max };
    match config.format {
        Format::Json => json(text, &mut rows)?,
        Format::Jsonl => lines(text, config, &mut rows)?,
        Format::Csv => csv(text, config, &mut rows)?,
        Format::Mmdb => {}
    }
    Ok(Table { entries: Entries::Map(rows.map), bytes: length, repeated: rows.repeated })
}

struct Rows {
    map: HashMap<Box<str>, Box<str>>,
    repeated: u64,
    most: u64,
}

impl Rows {
    fn add(&mut self, key: &str, value: String) -> Result<(), String> {
        if self.map.insert(key.into(), value.into()).is_some() {
            self.repeated += 1;
        } else if self.map.len() as u64 > self.most {
            return Err(too_many(self.most));
        }
        Ok(())
    }
}

/// One object; its values as they are written, without the blanks around them.
fn json(text: &str, rows: &mut Rows) -> Result<(), String> {
    let mut fault = None;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let done = deserializer.deserialize_map(Object(&mut |key, value| match rows.add(&key, compact(value.get())) {
        Ok(()) => true,
        Err(error) => {
            fault = Some(error);
            false
        }
    }));
    if let Some(fault) = fault {
        return Err(fault);
    }
    let done = done.and_then(|()| deserializer.end());
    done.map_err(|error| format!("a lookup table is one JSON object, from key to any value: {error}"))
}

/// Hands over entries for as long as they are wanted.
struct Object<'a>(&'a mut dyn FnMut(String, &RawValue) -> bool);

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value::<&RawValue>()?;
            if !(self.0)(key, value) {
                return Err(serde::de::Error::custom("no more is wanted"));
            }
        }
        Ok(())
    }
}

/// Every entry of a JSON object, in order, with what stands there to the last digit.
pub fn object_entries(text: &str) -> Result<Vec<(String, Box<RawValue>)>, String> {
    let mut entries: Vec<(String, Box<RawValue>)> = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let done = deserializer.deserialize_map(Object(&mut |key, value| {
        entries.push((key, value.to_owned()));
        true
    }));
    let done = done.and_then(|()| deserializer.end());
    done.map_err(|error| format!("a lookup table is one JSON object, from key to any value: {error}"))?;
    Ok(entries)
}

/// Without blanks between its parts; JSON that was read already.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_text, mut escaped) = (false, false);
    for c in json.chars() {
        if in_text {
            in_text = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            in_text = c == '"';
        }
        out.push(c);
    }
    out
}

fn lines(text: &str, config: &ContentConfig, rows: &mut Rows) -> Result<(), String> {
    let key_column = config.key_column.as_deref().unwrap_or("key");
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let at = |message: String| format!("line {}: {message}", number + 1);
        let fields = object_entries(line).map_err(|_| at("is no JSON object; each line is one".into()))?;
        let find = |name: &str| fields.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.get());
        let key = find(key_column)
            .ok_or_else(|| at(format!("has no `{key_column}`; say with key_column what is its key")))?;
        let key = match serde_json::from_str(key) {
            Ok(Value::String(text)) => text,
            Ok(Value::Number(_)) => key.to_owned(),
            _ => return Err(at(format!("`{key_column}` is no text"))),
        };
        let value_column = match &config.value_column {
            Some(name) => Some(name.as_str()),
            None => Some("value").filter(|_| fields.len() == 2 && find("value").is_some()),
        };
        let value = match value_column {
            Some(name) => compact(find(name).ok_or_else(|| at(format!("has no `{name}`")))?),
            None => {
                let others = fields.iter().filter(|(name, _)| name != key_column);
                let parts: Vec<String> =
                    others.map(|(name, value)| format!("{}:{}", quoted(name), compact(value.get()))).collect();
                format!("{{{}}}", parts.join(","))
            }
        };
        rows.add(&key, value).map_err(at)?;
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn csv(text: &str, config: &ContentConfig, rows: &mut Rows) -> Result<(), String> {
    let mut header: Option<Vec<String>> = None;
    let (mut key_at, mut value_at) = (0, None);
    crate::csv::for_each_row(text, config.delimiter, |line, cells| {
        let at = |message: String| format!("line {line}: {message}");
        let Some(names) = &header else {
            let named = |name: &str, what: &str| {
                let found = cells.iter().position(|cell| cell.trim() == name);
                found.ok_or_else(|| {
                    at(format!("no column is called `{name}`; {what} names one of {}", cells.join(", ")))
                })
            };
            if let Some(name) = &config.key_column {
                key_at = named(name, "key_column")?;
            }
            value_at = match &config.value_column {
                Some(name) => Some(named(name, "value_column")?),
                None => {
                    cells.iter().position(|cell| cell.trim() == "value").filter(|at| cells.len() == 2 && *at != key_at)
                }
            };
            header = Some(cells.iter().map(|cell| cell.trim().to_owned()).collect());
            return Ok(());
        };
        if cells.len() != names.len() {
            return Err(at(format!("has {} cells, and the header {}", cells.len(), names.len())));
        }
        let value = match value_at {
            Some(at) => quoted(&cells[at]),
            None => {
                let others = names.iter().zip(cells).enumerate().filter(|(at, _)| *at != key_at);
                let row: Map<String, Value> =
                    others.map(|(_, (name, cell))| (name.clone(), Value::from(cell.as_str()))).collect();
                Value::Object(row).to_string()
            }
        };
        rows.add(&cells[key_at], value).map_err(at)
    })?;
    match header {
        Some(_) => Ok(()),
        None => Err("it is empty; the first line names the columns".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(format: Format) -> ContentConfig {
        ContentConfig { format, key_column: None, value_column: None, delimiter: b',', bytes_max: 1000, entries_max: 3 }
    }

    #[track_caller]
    fn check(text: &str, config: &ContentConfig, key: &str, value: Option<&str>) {
        let table = read(text.as_bytes(), config).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(table.get(key).unwrap().as_deref(), value, "{text}");
    }

    #[test]
    fn json_is_kept_to_the_last_digit() {
        let of = config(Format::Json);
        let text = "\u{feff}{\"a\": {\"x\" : [ 1.50, 123456789012345678901234567890 , \"b \\\" c\"]},\n\"n\": null, \"a b\": 1}";
        check(text, &of, "a", Some(r#"{"x":[1.50,123456789012345678901234567890,"b \" c"]}"#));
        check(text, &of, "n", Some("null"));
        check(text, &of, "a b", Some("1"));
        check(text, &of, "z", None);
        assert_eq!(read(br#"{"a": 1, "a": 2}"#, &of).unwrap().repeated, 1);
        for wrong in ["", "[1]", "{", "{} x", "{\"a\": }", "text"] {
            let error = read(wrong.as_bytes(), &of).err().unwrap();
            assert!(error.contains("one JSON object"), "{wrong}: {error}");
        }
    }

    #[test]
    fn lines_and_rows_have_a_key() {
        let mut of = config(Format::Jsonl);
        check(
            "{\"key\": \"a\", \"value\": {\"x\": 1}}\n\n{\"key\": 7, \"value\": null}\n",
            &of,
            "a",
            Some(r#"{"x":1}"#),
        );
        check("{\"key\": \"a\", \"x\": 1.0, \"y\": \"é\"}", &of, "a", Some(r#"{"x":1.0,"y":"é"}"#));
        check("{\"key\": 7, \"value\": null}", &of, "7", Some("null"));
        assert!(read(b"{\"key\": \"a\"}\n{\"k\": 1}", &of).err().unwrap().contains("line 2: has no `key`"));
        assert!(read(b"{}\n[", &of).err().unwrap().contains("line 1"));
        of.key_column = Some("id".into());
        of.value_column = Some("team".into());
        check("{\"id\": \"i-1\", \"team\": \"web\", \"x\": 2}", &of, "i-1", Some("\"web\""));

        let mut of = config(Format::Csv);
        check(
            "id,team,note\ni-1,web,\"a, \"\"b\"\"\nc\"\n",
            &of,
            "i-1",
            Some("{\"team\":\"web\",\"note\":\"a, \\\"b\\\"\\nc\"}"),
        );
        check("key,value\r\na,1\r\n", &of, "a", Some("\"1\""));
        assert!(read(b"a,b\n1,2\n1,2,3\n", &of).err().unwrap().contains("line 3: has 3 cells, and the header 2"));
        assert!(read(b"", &of).err().unwrap().contains("names the columns"));
        of.key_column = Some("host".into());
        of.delimiter = b';';
        check("team;host\nweb;h1\n", &of, "h1", Some(r#"{"team":"web"}"#));
        assert!(read(b"a;b\n", &of).err().unwrap().contains("no column is called `host`"));
    }

    #[test]
    fn compression_is_known_by_content_and_limits_are_told() {
        let of = config(Format::Json);
        let text = br#"{"a": 1}"#;
        for packing in [Packing::None, Packing::Gzip, Packing::Zlib, Packing::Zstd, Packing::Bzip2] {
            let packed = pack(text, packing).unwrap();
            assert_eq!(Packing::of(&packed), packing);
            assert_eq!(read(&packed, &of).unwrap().get("a").unwrap().as_deref(), Some("1"), "{packing:?}");
            if packing != Packing::None {
                let error = read(&packed[..packed.len() - 6], &of).err().unwrap();
                assert!(error.contains("damaged"), "{error}");
            }
            let large = pack(&vec![b' '; 1001], packing).unwrap();
            assert!(read(&large, &of).err().unwrap().contains("more than 1000 bytes"), "{packing:?}");
        }
        let many = br#"{"a": 1, "b": 2, "c": 3, "d": 4}"#;
        assert!(read(many, &of).err().unwrap().contains("more than 3 entries"));
        assert!(
            read(b"k,value\n1,1\n2,2\n3,3\n4,4\n", &config(Format::Csv))
                .err()
                .unwrap()
                .contains("line 5: it has more than 3")
        );
        assert!(read(b"no database", &config(Format::Mmdb)).err().unwrap().contains("no MMDB"));
    }
}
