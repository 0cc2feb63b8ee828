//! The layout of a packed record: written once by the host, read in place by guests.
//!
//! A record is one run of bytes. Every offset in it counts from its first byte, all numbers are little-endian:
//!
//! ```text
//!  0  u32  tag and length of the root value   ┐ a slot
//!  4  u32  payload of the root value          ┘
//!  8  u32  length of the whole record in bytes
//! 12  u32  shape: records with one number other than 0 have the same root keys in the same order
//! 16  …    texts and containers, in any order
//! ```
//!
//! A **slot** is 8 bytes: a `u32` whose low 4 bits are the kind and whose upper 28 bits a length, then a `u32` payload.
//!
//! | kind | length | payload |
//! |---|---|---|
//! | 0 null, 1 false, 2 true | 0 | 0 |
//! | 3 integer | 0 | the value as `i32` |
//! | 4 integer | 0 | offset of an `i64` |
//! | 5 integer above `i64::MAX` | 0 | offset of a `u64` |
//! | 6 float | 0 | offset of an `f64` |
//! | 7 text | bytes | offset of UTF-8 |
//! | 8 number that fits no 64 bits, as written | bytes | offset of ASCII |
//! | 9 array | items | offset of `items` slots |
//! | 10 object | entries | offset of `entries` entries |
//!
//! An **entry** is 16 bytes: offset and length of the key, then the value's slot. Entries stand in the order of the
//! log; keys are unique.
//!
//! A **frame** is what a guest fetches for one batch: the magic `SAP1`, a `u32` number of rows, `rows` offsets from
//! the frame's start, then the records.

mod build;
mod frame;
mod json;
mod path;
mod read;

pub use build::{Builder, Slot, Template};
pub use frame::{Frame, frame_into};
pub use path::{PathCache, Paths, segments};
pub use read::{Entries, Items, Kind, Node, Record, same};

/// Bytes before the first text or container.
pub const HEADER: usize = 16;
/// A length has 28 bits.
pub const MAX_LENGTH: usize = (1 << 28) - 1;
