//! What is fuzzed: for any bytes, no panic, and what is said here always holds. Used by the targets of cargo-fuzz and, over
//! the seeds and some mutations of them, by `cargo test`.
//!
//! The first byte of an input chooses, counted from `a`, so that seeds can be read: what is chosen says each target.

mod classify;
mod formats;
mod pieces;
mod unwrap;

pub use classify::{classify, convert};
pub use formats::formats;
pub use pieces::pieces;
pub use unwrap::unwrap;

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 5] =
    [("formats", formats), ("classify", classify), ("convert", convert), ("unwrap", unwrap), ("pieces", pieces)];

/// One of `count` by the first byte, and the other bytes.
fn choose(data: &[u8], count: usize) -> Option<(usize, &[u8])> {
    let (first, rest) = data.split_first()?;
    Some((usize::from(first.wrapping_sub(b'a')) % count, rest))
}
