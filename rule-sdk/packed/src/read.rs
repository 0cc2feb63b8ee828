//! Reads packed records in place.

use crate::HEADER;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Null = 0,
    False = 1,
    True = 2,
    I32 = 3,
    I64 = 4,
    U64 = 5,
    F64 = 6,
    Text = 7,
    NumberText = 8,
    Array = 9,
    Object = 10,
}

/// A packed record: a view over bytes that [`crate::Builder`] wrote.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// # Safety
    /// `bytes` must be exactly what [`crate::Builder::finish`] delimited: texts are taken as UTF-8 unchecked.
    #[inline]
    pub unsafe fn trusted(bytes: &'a [u8]) -> Self {
        debug_assert!(bytes.len() >= HEADER);
        Record { bytes }
    }

    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Names the sequence of the root's keys: two records with one number (other than 0) have the same keys in the same
    /// order. 0 says nothing.
    #[inline]
    pub fn shape(self) -> u32 {
        (read8(self.bytes, 8) >> 32) as u32
    }

    #[inline]
    pub fn root(self) -> Node<'a> {
        Node { bytes: self.bytes, slot: read8(self.bytes, 0) }
    }

    /// What a path leads to; see [`crate::segments`] for how paths are written.
    pub fn get(self, path: &str) -> Option<Node<'a>> {
        let mut node = self.root();
        for segment in crate::segments(path) {
            node = node.step(&segment)?;
        }
        Some(node)
    }
}

/// One value within a record.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    bytes: &'a [u8],
    slot: u64,
}

impl<'a> Node<'a> {
    #[inline]
    pub fn kind(self) -> Kind {
        match self.slot & 15 {
            0 => Kind::Null,
            1 => Kind::False,
            2 => Kind::True,
            3 => Kind::I32,
            4 => Kind::I64,
            5 => Kind::U64,
            6 => Kind::F64,
            7 => Kind::Text,
            8 => Kind::NumberText,
            9 => Kind::Array,
            _ => Kind::Object,
        }
    }

    pub(crate) fn slot(self) -> crate::Slot {
        crate::Slot { tag: self.slot as u32, payload: (self.slot >> 32) as u32 }
    }

    #[inline]
    fn length(self) -> usize {
        (self.slot as u32 >> 4) as usize
    }

    #[inline]
    fn payload(self) -> usize {
        (self.slot >> 32) as usize
    }

    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    #[inline]
    pub fn as_str(self) -> Option<&'a str> {
        (self.kind() == Kind::Text).then(|| self.str_unchecked())
    }

    /// A number that fits neither 64 bits nor a double, as it was written.
    pub fn as_number_text(self) -> Option<&'a str> {
        (self.kind() == Kind::NumberText).then(|| self.str_unchecked())
    }

    #[inline]
    fn str_unchecked(self) -> &'a str {
        let bytes = &self.bytes[self.payload()..self.payload() + self.length()];
        // SAFETY: the constructor's promise.
        unsafe { std::str::from_utf8_unchecked(bytes) }
    }

    pub fn as_bool(self) -> Option<bool> {
        match self.kind() {
            Kind::False => Some(false),
            Kind::True => Some(true),
            _ => None,
        }
    }

    pub fn as_i64(self) -> Option<i64> {
        match self.kind() {
            Kind::I32 => Some(i64::from(self.payload() as u32 as i32)),
            Kind::I64 => Some(read8(self.bytes, self.payload()) as i64),
            _ => None,
        }
    }

    pub fn as_u64(self) -> Option<u64> {
        match self.kind() {
            Kind::U64 => Some(read8(self.bytes, self.payload())),
            _ => self.as_i64().and_then(|i| u64::try_from(i).ok()),
        }
    }

    /// Any number as a double, rounded where it does not fit.
    pub fn as_f64(self) -> Option<f64> {
        match self.kind() {
            Kind::F64 => Some(f64::from_bits(read8(self.bytes, self.payload()))),
            Kind::U64 => self.as_u64().map(|u| u as f64),
            Kind::NumberText => self.str_unchecked().parse().ok(),
            _ => self.as_i64().map(|i| i as f64),
        }
    }

    /// How many items or entries; 0 for anything that is no container.
    pub fn len(self) -> usize {
        match self.kind() {
            Kind::Array | Kind::Object => self.length(),
            _ => 0,
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// One step of a path: a key of an object, or the index of an item.
    pub fn step(self, segment: &str) -> Option<Node<'a>> {
        match self.kind() {
            Kind::Object => self.get(segment),
            Kind::Array => self.item(segment.parse().ok()?),
            _ => None,
        }
    }

    pub fn item(self, index: usize) -> Option<Node<'a>> {
        (self.kind() == Kind::Array && index < self.length())
            .then(|| Node { bytes: self.bytes, slot: read8(self.bytes, self.payload() + index * 8) })
    }

    pub fn get(self, key: &str) -> Option<Node<'a>> {
        self.find(key).map(|(_, node)| node)
    }

    /// The value under `key` and its place among the entries.
    #[inline]
    pub fn find(self, key: &str) -> Option<(usize, Node<'a>)> {
        if self.kind() != Kind::Object {
            return None;
        }
        let from = self.payload();
        let entries = self.bytes.get(from..from + self.length() * 16)?;
        let length = key.len() as u32;
        for (index, entry) in entries.chunks_exact(16).enumerate() {
            let head = read8(entry, 0);
            if (head >> 32) as u32 == length {
                let at = head as u32 as usize;
                if same(self.bytes.get(at..at + key.len())?, key.as_bytes()) {
                    return Some((index, Node { bytes: self.bytes, slot: read8(entry, 8) }));
                }
            }
        }
        None
    }

    /// The value of entry `index`, whatever its key.
    #[inline]
    pub fn entry(self, index: usize) -> Option<Node<'a>> {
        if self.kind() != Kind::Object || index >= self.length() {
            return None;
        }
        let at = self.payload() + index * 16;
        Some(Node { bytes: self.bytes, slot: read8(self.bytes.get(at..at + 16)?, 8) })
    }

    /// The value of entry `index` if its key is `key`: what makes a remembered place worth trying first.
    #[inline]
    pub fn entry_if(self, index: usize, key: &str) -> Option<Node<'a>> {
        if self.kind() != Kind::Object || index >= self.length() {
            return None;
        }
        let at = self.payload() + index * 16;
        let entry = self.bytes.get(at..at + 16)?;
        let head = read8(entry, 0);
        if (head >> 32) as usize != key.len() {
            return None;
        }
        let from = head as u32 as usize;
        same(self.bytes.get(from..from + key.len())?, key.as_bytes())
            .then(|| Node { bytes: self.bytes, slot: read8(entry, 8) })
    }

    pub fn items(self) -> Items<'a> {
        Items { node: self, next: 0, end: if self.kind() == Kind::Array { self.length() } else { 0 } }
    }

    pub fn entries(self) -> Entries<'a> {
        Entries { node: self, next: 0, end: if self.kind() == Kind::Object { self.length() } else { 0 } }
    }
}

/// Whether two runs of bytes are equal. WebAssembly has no instruction for it, and the function that compilers call
/// instead goes byte by byte; keys and names are short, so eight at a time is several times faster.
#[inline]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    let length = a.len();
    if length != b.len() {
        return false;
    }
    if length >= 8 {
        let mut at = 0;
        while at + 8 <= length {
            if read8(a, at) != read8(b, at) {
                return false;
            }
            at += 8;
        }
        return read8(a, length - 8) == read8(b, length - 8);
    }
    if length >= 4 {
        return read4(a, 0) == read4(b, 0) && read4(a, length - 4) == read4(b, length - 4);
    }
    match length {
        0 => true,
        1 => a[0] == b[0],
        _ => a[0] == b[0] && a[1] == b[1] && a[length - 1] == b[length - 1],
    }
}

#[inline]
fn read4(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(four)
}

#[inline]
fn read8(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}

pub struct Items<'a> {
    node: Node<'a>,
    next: usize,
    end: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        (self.next < self.end).then(|| {
            let at = self.node.payload() + self.next * 8;
            self.next += 1;
            Node { bytes: self.node.bytes, slot: read8(self.node.bytes, at) }
        })
    }
}

pub struct Entries<'a> {
    node: Node<'a>,
    next: usize,
    end: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a str, Node<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        (self.next < self.end).then(|| {
            let bytes = self.node.bytes;
            let at = self.node.payload() + self.next * 16;
            self.next += 1;
            let head = read8(bytes, at);
            let key = &bytes[head as u32 as usize..][..(head >> 32) as usize];
            // SAFETY: the constructor's promise.
            (unsafe { std::str::from_utf8_unchecked(key) }, Node { bytes, slot: read8(bytes, at + 8) })
        })
    }
}
