//! Zip as a stream: entry after entry by their local headers, without the table at the end, so that an archive of any size
//! takes no memory and no disk.

use super::{Below, Damage, Inflate, Meter, damaged, is_readers};
use bzip2::bufread::BzDecoder;
use flate2::Crc;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use zstd::stream::read::Decoder as ZstdDecoder;

const ENTRY: [u8; 4] = *b"PK\x03\x04";
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
/// Begins an archive that was to be split over disks and was not.
const SPANNED: [u8; 4] = DESCRIPTOR;
/// What may follow the last entry: the table of contents, its end, its end in large archives, a signature record.
const AFTER_ENTRIES: [[u8; 4]; 4] = [*b"PK\x01\x02", *b"PK\x05\x06", *b"PK\x06\x06", *b"PK\x06\x08"];
const HEADER_BYTES: usize = 30;
/// Bytes of a descriptor at most: signature, checksum, two sizes of 8 bytes.
const DESCRIPTOR_BYTES: usize = 24;
const ENCRYPTED: u16 = 1;
/// Checksum and sizes follow the data.
const SIZES_FOLLOW: u16 = 1 << 3;
/// The sizes stand in a field of their own.
const LARGE: u32 = u32::MAX;
const LARGE_FIELD: u16 = 1;

pub struct Zip<R: Read> {
    data: Data<R>,
    entry: Entry,
    crc: Crc,
    /// Where the entry's data begins below.
    begin: u64,
    height: usize,
    meter: Arc<Meter>,
    /// Of the entry that is open.
    damage: Option<Damage>,
    /// Of the archive: no further entry can be found.
    broken: Option<Damage>,
    told: bool,
    any: bool,
}

#[derive(Default)]
struct Entry {
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    /// Its data has been read to its end.
    over: bool,
}

impl Entry {
    /// Nobody has said yet how long it is.
    fn is_open_ended(&self) -> bool {
        self.flags & SIZES_FOLLOW != 0 && self.packed == 0
    }
}

enum Data<R: Read> {
    /// Between entries, stored bytes, or bytes that are passed over.
    Below(Below<R>),
    Deflate(Box<Inflate<R>>),
    Bzip2(BzDecoder<Below<R>>),
    Zstd(Box<ZstdDecoder<'static, Below<R>>>),
    /// Only while one state becomes another.
    Taken,
}

impl<R: Read> Data<R> {
    fn into_below(self) -> Below<R> {
        match self {
            Data::Below(below) => below,
            Data::Deflate(decoder) => decoder.below,
            Data::Bzip2(decoder) => decoder.into_inner(),
            Data::Zstd(decoder) => decoder.finish(),
            Data::Taken => unreachable!("a state is taken only where another one is put in its place"),
        }
    }

    fn below(&self) -> Option<&Below<R>> {
        match self {
            Data::Below(below) => Some(below),
            Data::Deflate(decoder) => Some(&decoder.below),
            Data::Bzip2(decoder) => Some(decoder.get_ref()),
            Data::Zstd(decoder) => Some(decoder.get_ref()),
            Data::Taken => None,
        }
    }
}

impl<R: Read> Zip<R> {
    pub fn new(below: Below<R>, height: usize, meter: Arc<Meter>) -> Self {
        Zip {
            data: Data::Below(below),
            entry: Entry { over: true, ..Entry::default() },
            crc: Crc::new(),
            begin: 0,
            height,
            meter,
            damage: None,
            broken: None,
            told: false,
            any: false,
        }
    }

    /// Why no further entry can be found, once.
    pub fn untold_damage(&mut self) -> Option<Damage> {
        let told = std::mem::replace(&mut self.told, true);
        if told { None } else { self.broken.clone() }
    }

    /// What is wrong with the open entry.
    pub fn damage(&self) -> Option<&Damage> {
        if self.entry.over && self.damage.is_none() {
            return None;
        }
        let below = self.data.below().and_then(|below| below.damage());
        below.or(self.damage.as_ref())
    }

    pub fn into_below(self) -> Below<R> {
        self.data.into_below()
    }

    /// Bytes of the open entry.
    pub fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.entry.over || self.damage.is_some() || out.is_empty() {
            return Ok(0);
        }
        let read = match &mut self.data {
            Data::Below(below) => {
                let left = self.entry.packed.saturating_sub(below.given - self.begin);
                let most = (out.len() as u64).min(left) as usize;
                match below.read(&mut out[..most]) {
                    Ok(0) if left > 0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    read => read,
                }
            }
            Data::Deflate(decoder) => decoder.read(out),
            Data::Bzip2(decoder) => decoder.read(out),
            Data::Zstd(decoder) => decoder.read(out),
            Data::Taken => Ok(0),
        };
        match read {
            Ok(0) => self.check()?,
            Ok(count) => {
                self.crc.update(&out[..count]);
                self.damage = self.meter.out(self.height, count);
                return Ok(count);
            }
            Err(error) if is_readers(&error) => return Err(error),
            Err(error) => {
                let damage = damaged("zip", &error);
                if error.kind() == io::ErrorKind::UnexpectedEof {
                    self.broken = Some(damage.clone());
                    self.told = true;
                }
                self.damage = Some(damage);
            }
        }
        Ok(0)
    }

    /// At the end of the data: is it what the archive says it is?
    fn check(&mut self) -> io::Result<()> {
        let mut below = std::mem::replace(&mut self.data, Data::Taken).into_below();
        let packed = below.given - self.begin;
        self.entry.over = true;
        let crc = self.crc.sum();
        let right = if self.entry.is_open_ended() {
            let descriptor = below.peek(DESCRIPTOR_BYTES).map(|bytes| descriptor_length(bytes, crc, packed));
            match descriptor {
                Ok(Some(length)) => below.skip(length as u64).map(|_| true),
                Ok(None) => {
                    self.broken = Some(Damage::new("the zip entry is not closed, so the next one is not found"));
                    Ok(false)
                }
                Err(error) => Err(error),
            }
        } else if packed > self.entry.packed {
            self.broken = Some(Damage::new("the zip entry is longer than it says, so the next one is not found"));
            Ok(false)
        } else {
            // Archivers that know the sizes may still leave the checksum for later.
            let later = self.entry.flags & SIZES_FOLLOW != 0 && self.entry.crc == 0;
            Ok(later || crc == self.entry.crc)
        };
        self.data = Data::Below(below);
        if !right? {
            // Only what ends the archive is told with the entry; what is found later is not told yet.
            self.told = self.broken.is_some();
            self.damage = Some(match &self.broken {
                Some(damage) => damage.clone(),
                None => Damage::new("the zip entry does not match its checksum"),
            });
        }
        Ok(())
    }

    /// Opens the next entry that is a file and gives its name. One that cannot be read is open with damage.
    pub fn next_entry(&mut self) -> io::Result<Option<String>> {
        loop {
            let mut below = std::mem::replace(&mut self.data, Data::Taken).into_below();
            let found = self.find_entry(&mut below);
            let opened = match found {
                Ok(Some(name)) if name.ends_with('/') => {
                    self.data = Data::Below(below);
                    continue;
                }
                Ok(Some(name)) => self.open_entry(below).map(|data| (data, Some(name))),
                Ok(None) => {
                    self.entry = Entry { over: true, ..Entry::default() };
                    Ok((Data::Below(below), None))
                }
                Err(error) => {
                    self.data = Data::Below(below);
                    return Err(error);
                }
            };
            let (data, name) = opened?;
            self.data = data;
            return Ok(name);
        }
    }

    fn open_entry(&mut self, mut below: Below<R>) -> io::Result<Data<R>> {
        self.begin = below.given;
        self.crc = Crc::new();
        if self.entry.flags & ENCRYPTED != 0 {
            self.damage = Some(Damage::new("the zip entry is encrypted"));
            return Ok(Data::Below(below));
        }
        Ok(match self.entry.method {
            0 if self.entry.is_open_ended() && descriptor_length(below.peek(DESCRIPTOR_BYTES)?, 0, 0).is_none() => {
                self.damage = Some(Damage::new("the zip entry is stored without its length"));
                Data::Below(below)
            }
            0 => Data::Below(below),
            8 => Data::Deflate(Box::new(Inflate::new(below, false))),
            12 => Data::Bzip2(BzDecoder::new(below)),
            93 => Data::Zstd(Box::new(ZstdDecoder::with_buffer(below)?.single_frame())),
            method => {
                self.damage = Some(Damage::new(format!("the zip entry is packed by method {method}, unknown here")));
                Data::Below(below)
            }
        })
    }

    /// Passes over what is left of the entry before and reads the next header.
    fn find_entry(&mut self, below: &mut Below<R>) -> io::Result<Option<String>> {
        if self.broken.is_none() {
            self.leave_entry(below)?;
        }
        self.damage = None;
        if self.broken.is_some() {
            return Ok(None);
        }
        let early = || Some(Damage::new("the zip archive ends early"));
        let mut signature = below.peek(4)?.to_vec();
        if !self.any && signature == SPANNED {
            below.skip(4)?;
            signature = below.peek(4)?.to_vec();
        }
        self.any = true;
        if signature != ENTRY {
            if signature.len() < 4 {
                self.broken = early();
            } else if !AFTER_ENTRIES.iter().any(|after| signature == after) {
                self.broken = Some(Damage::new("something that is no zip entry follows, so the next one is not found"));
            }
            return Ok(None);
        }
        let header = below.peek(HEADER_BYTES)?.to_vec();
        if header.len() < HEADER_BYTES {
            self.broken = early();
            return Ok(None);
        }
        let short = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let long = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (name_bytes, extra_bytes) = (usize::from(short(26)), usize::from(short(28)));
        below.skip(HEADER_BYTES as u64)?;
        let mut name = vec![0; name_bytes];
        let mut extra = vec![0; extra_bytes];
        if !read_exact(below, &mut name)? || !read_exact(below, &mut extra)? {
            self.broken = early();
            return Ok(None);
        }
        let packed = match long(18) {
            LARGE => large_size(&extra, long(22) == LARGE).unwrap_or(u64::from(LARGE)),
            packed => u64::from(packed),
        };
        self.entry = Entry { flags: short(6), method: short(8), crc: long(14), packed, over: false };
        self.begin = below.given;
        Ok(Some(String::from_utf8_lossy(&name).into_owned()))
    }

    /// To the end of the entry's data.
    fn leave_entry(&mut self, below: &mut Below<R>) -> io::Result<()> {
        let done = below.given - self.begin;
        if self.entry.is_open_ended() {
            if !self.entry.over && !skip_past_descriptor(below, done)? {
                self.broken = Some(Damage::new("the zip entry before has no end, so the next one is not found"));
            }
        } else if self.any {
            // One that was left before its end, or whose descriptor repeats what the header said.
            if !below.skip(self.entry.packed.saturating_sub(done))? {
                self.broken = Some(Damage::new("the zip archive ends early"));
                return Ok(());
            }
            if self.entry.flags & SIZES_FOLLOW != 0 {
                let head = below.peek(DESCRIPTOR_BYTES)?;
                let length = match head {
                    [b'P', b'K', 7, 8, ..] => [16, 24].into_iter().find(|end| sizes_end(head, *end, self.entry.packed)),
                    _ => None,
                };
                below.skip(length.unwrap_or(0) as u64)?;
            }
        }
        self.entry.over = true;
        Ok(())
    }
}

/// Says whether `into` was filled.
fn read_exact<R: Read>(below: &mut Below<R>, into: &mut [u8]) -> io::Result<bool> {
    let mut have = 0;
    while have < into.len() {
        match below.read(&mut into[have..])? {
            0 => return Ok(false),
            count => have += count,
        }
    }
    Ok(true)
}

/// The packed size of a large entry: in a field of its own, behind the unpacked size if that is large too.
fn large_size(extra: &[u8], unpacked_too: bool) -> Option<u64> {
    let mut fields = extra;
    while let [a, b, c, d, rest @ ..] = fields {
        let length = usize::from(u16::from_le_bytes([*c, *d])).min(rest.len());
        if u16::from_le_bytes([*a, *b]) == LARGE_FIELD {
            let size = rest[..length].chunks_exact(8).nth(usize::from(unpacked_too))?;
            return Some(u64::from_le_bytes(size.try_into().ok()?));
        }
        fields = &rest[length..];
    }
    None
}

/// Whether a descriptor of `end` bytes with a signature says that `packed` bytes came before it.
fn sizes_end(bytes: &[u8], end: usize, packed: u64) -> bool {
    match (bytes.get(8..end), end) {
        (Some(sizes), 16) => sizes[..4] == (packed as u32).to_le_bytes() && packed <= u64::from(u32::MAX),
        (Some(sizes), _) => sizes[..8] == packed.to_le_bytes(),
        (None, _) => false,
    }
}

/// Bytes of the descriptor: with or without signature, with short or long sizes; whichever fits what we have seen.
fn descriptor_length(bytes: &[u8], crc: u32, packed: u64) -> Option<usize> {
    let mut signed = DESCRIPTOR.to_vec();
    signed.extend_from_slice(bytes);
    [(bytes, 16), (bytes, 24), (&signed[..], 16), (&signed[..], 24)].into_iter().find_map(|(candidate, end)| {
        let fits = candidate.starts_with(&DESCRIPTOR)
            && candidate.get(4..8) == Some(&crc.to_le_bytes()[..])
            && sizes_end(candidate, end, packed);
        fits.then(|| end - (candidate.len() - bytes.len()))
    })
}

/// Looks for the descriptor that says how far it is from the entry's beginning.
fn skip_past_descriptor<R: Read>(below: &mut Below<R>, mut done: u64) -> io::Result<bool> {
    loop {
        let ahead = below.peek(super::READ_BYTES / 2)?;
        if ahead.is_empty() {
            return Ok(false);
        }
        let found = memchr::memmem::find_iter(ahead, &DESCRIPTOR).find_map(|at| {
            let end = [16, 24].into_iter().find(|end| sizes_end(&ahead[at..], *end, done + at as u64))?;
            Some(at + end)
        });
        if let Some(end) = found {
            return below.skip(end as u64);
        }
        // A descriptor may begin in the last bytes.
        let last = ahead.len() < super::READ_BYTES / 2;
        let step = if last { ahead.len() } else { ahead.len() - DESCRIPTOR_BYTES + 1 };
        below.consume(step);
        done += step as u64;
    }
}
