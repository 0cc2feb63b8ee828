//! Records behind one another with a table of offsets: what a guest fetches once per batch.

use crate::read::Record;

const MAGIC: &[u8; 4] = b"SAP1";

/// Writes the frame of `records` into `out`, which is emptied first.
pub fn frame_into<'a>(out: &mut Vec<u8>, records: impl ExactSizeIterator<Item = &'a [u8]>) {
    out.clear();
    let rows = records.len();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&(rows as u32).to_le_bytes());
    out.resize(8 + rows * 4, 0);
    for (row, record) in records.enumerate() {
        let at = out.len() as u32;
        out[8 + row * 4..12 + row * 4].copy_from_slice(&at.to_le_bytes());
        out.extend_from_slice(record);
    }
}

/// A batch as a guest sees it.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    /// # Safety
    /// `bytes` must come from [`frame_into`]. Empty bytes are a frame without rows.
    pub unsafe fn trusted(bytes: &'a [u8]) -> Self {
        debug_assert!(bytes.is_empty() || bytes.starts_with(MAGIC));
        Frame { bytes }
    }

    pub fn rows(self) -> usize {
        if self.bytes.is_empty() { 0 } else { self.u32(4) as usize }
    }

    #[inline]
    pub fn record(self, row: usize) -> Option<Record<'a>> {
        if row >= self.rows() {
            return None;
        }
        let at = self.u32(8 + row * 4) as usize;
        let length = self.u32(at + 8) as usize;
        // SAFETY: the constructor's promise.
        Some(unsafe { Record::trusted(&self.bytes[at..at + length]) })
    }

    #[inline]
    fn u32(self, at: usize) -> u32 {
        let mut four = [0; 4];
        four.copy_from_slice(&self.bytes[at..at + 4]);
        u32::from_le_bytes(four)
    }
}
