//! Writes packed records to the end of a buffer.

use crate::HEADER;
use crate::read::Kind;

/// What eight bytes say of one value; meaningful only within the record it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub(crate) tag: u32,
    pub(crate) payload: u32,
}

/// The slot of a value, for another place in the same record.
impl From<crate::Node<'_>> for Slot {
    fn from(node: crate::Node<'_>) -> Slot {
        node.slot()
    }
}

impl Slot {
    pub const NULL: Slot = Slot { tag: Kind::Null as u32, payload: 0 };
    pub const FALSE: Slot = Slot { tag: Kind::False as u32, payload: 0 };
    pub const TRUE: Slot = Slot { tag: Kind::True as u32, payload: 0 };

    pub(crate) fn new(kind: Kind, length: usize, payload: u32) -> Self {
        debug_assert!(length <= crate::MAX_LENGTH);
        Slot { tag: (length as u32) << 4 | kind as u32, payload }
    }

    pub fn bool(value: bool) -> Self {
        if value { Self::TRUE } else { Self::FALSE }
    }

    /// A text that already lies at `offset` of the record.
    #[inline]
    pub fn text(offset: u32, length: usize) -> Self {
        Self::new(Kind::Text, length, offset)
    }

    fn bytes(self) -> [u8; 8] {
        (u64::from(self.payload) << 32 | u64::from(self.tag)).to_le_bytes()
    }
}

/// An entry that many records share, with offsets relative to bytes that are put into each.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    pub key: u32,
    pub length: u32,
    pub value: Slot,
    /// 1: the value's payload is an offset too and moves with the bytes. 0: it stands by itself.
    pub moves: u32,
}

impl Template {
    /// Eight zero bytes that must stand at offset 0 of the shared bytes serve all of these.
    pub fn float_zero(key: u32, length: u32) -> Self {
        Template { key, length, value: Slot::new(Kind::F64, 0, 0), moves: 1 }
    }

    pub fn integer_zero(key: u32, length: u32) -> Self {
        Template { key, length, value: Slot::new(Kind::I32, 0, 0), moves: 0 }
    }

    pub fn is_false(key: u32, length: u32) -> Self {
        Template { key, length, value: Slot::FALSE, moves: 0 }
    }

    pub fn empty_text(key: u32, length: u32) -> Self {
        Template { key, length, value: Slot::text(0, 0), moves: 0 }
    }

    pub fn empty_object(key: u32, length: u32) -> Self {
        Template { key, length, value: Slot::new(Kind::Object, 0, 0), moves: 0 }
    }

    pub fn empty_list(key: u32, length: u32) -> Self {
        Template { key, length, value: Slot::new(Kind::Array, 0, 0), moves: 0 }
    }
}

/// One record being written at the end of `out`. Records of a batch lie behind one another in one buffer.
pub struct Builder<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Builder<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER]);
        Builder { out, start }
    }

    /// Goes on with a record that was finished, the last thing in `out`; it began at `start`.
    pub fn resume(out: &'a mut Vec<u8>, start: usize) -> Self {
        Builder { out, start }
    }

    /// The same builder for a shorter time.
    pub fn reborrow(&mut self) -> Builder<'_> {
        Builder { out: self.out, start: self.start }
    }

    /// Appends raw bytes and says where they lie, for [`Slot::text`].
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) -> u32 {
        let at = self.out.len() - self.start;
        self.out.extend_from_slice(bytes);
        at as u32
    }

    pub fn text(&mut self, text: &str) -> Slot {
        let at = self.raw(text.as_bytes());
        Slot::text(at, text.len())
    }

    /// A number that fits neither 64 bits nor a double, as it was written.
    pub fn number_text(&mut self, text: &str) -> Slot {
        let at = self.raw(text.as_bytes());
        Slot::new(Kind::NumberText, text.len(), at)
    }

    #[inline]
    pub fn i64(&mut self, value: i64) -> Slot {
        match i32::try_from(value) {
            Ok(small) => Slot::new(Kind::I32, 0, small as u32),
            Err(_) => Slot::new(Kind::I64, 0, self.raw(&value.to_le_bytes())),
        }
    }

    pub fn u64(&mut self, value: u64) -> Slot {
        match i64::try_from(value) {
            Ok(value) => self.i64(value),
            Err(_) => Slot::new(Kind::U64, 0, self.raw(&value.to_le_bytes())),
        }
    }

    pub fn f64(&mut self, value: f64) -> Slot {
        Slot::new(Kind::F64, 0, self.raw(&value.to_le_bytes()))
    }

    /// Room for `len` entries; fill each with [`Builder::entry`].
    #[inline]
    pub fn object(&mut self, len: usize) -> Slot {
        let at = self.out.len();
        self.out.resize(at + len * 16, 0);
        Slot::new(Kind::Object, len, (at - self.start) as u32)
    }

    /// Room for `len` items; fill each with [`Builder::item`].
    #[inline]
    pub fn array(&mut self, len: usize) -> Slot {
        let at = self.out.len();
        self.out.resize(at + len * 8, 0);
        Slot::new(Kind::Array, len, (at - self.start) as u32)
    }

    /// Entry `index` of `object`; the key lies at `key` already.
    #[inline]
    pub fn entry(&mut self, object: Slot, index: usize, key: (u32, usize), value: Slot) {
        let at = self.start + object.payload as usize + index * 16;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(u64::from(key.0) | (key.1 as u64) << 32).to_le_bytes());
        bytes[8..].copy_from_slice(&value.bytes());
        self.out[at..at + 16].copy_from_slice(&bytes);
    }

    #[inline]
    pub fn item(&mut self, array: Slot, index: usize, value: Slot) {
        let at = self.start + array.payload as usize + index * 8;
        self.out[at..at + 8].copy_from_slice(&value.bytes());
    }

    /// Shortens an object whose last entries were not needed.
    pub fn shrink(&self, object: Slot, len: usize) -> Slot {
        Slot::new(Kind::Object, len, object.payload)
    }

    /// Entries behind one another, as [`Builder::entry`] writes them; their offsets count from `base`, which is added.
    #[inline]
    pub fn entries(&mut self, object: Slot, first: usize, entries: &[Template], base: u32) {
        let at = self.start + object.payload as usize + first * 16;
        let room = &mut self.out[at..at + entries.len() * 16];
        for (entry, template) in room.chunks_exact_mut(16).zip(entries) {
            entry[..8]
                .copy_from_slice(&(u64::from(template.key + base) | u64::from(template.length) << 32).to_le_bytes());
            let slot = Slot { tag: template.value.tag, payload: template.value.payload + template.moves * base };
            entry[8..].copy_from_slice(&slot.bytes());
        }
    }

    /// Writes the header; the record is `start..end` of the buffer.
    pub fn finish(self, root: Slot) -> std::ops::Range<usize> {
        self.finish_as(root, 0)
    }

    /// The same for a record of a known shape, see [`crate::Record::shape`].
    pub fn finish_as(self, root: Slot, shape: u32) -> std::ops::Range<usize> {
        let end = self.out.len();
        let header = &mut self.out[self.start..self.start + HEADER];
        header[..8].copy_from_slice(&root.bytes());
        header[8..12].copy_from_slice(&((end - self.start) as u32).to_le_bytes());
        header[12..].copy_from_slice(&shape.to_le_bytes());
        self.start..end
    }

    /// Takes back everything written for this record.
    pub fn abandon(self) {
        self.out.truncate(self.start);
    }
}
