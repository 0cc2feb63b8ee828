//! Paths: `userIdentity.arn`, `\.` for a dot inside a key (`\\` for a backslash), a number for an item of a list.

use crate::read::{Kind, Node, Record, same};
use std::borrow::Cow;

/// The steps of a path. A path without a backslash costs no allocation.
pub fn segments(path: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = Some(path);
    std::iter::from_fn(move || {
        let text = rest?;
        let bytes = text.as_bytes();
        let mut at = 0;
        let mut escaped = false;
        while at < bytes.len() && bytes[at] != b'.' {
            if bytes[at] == b'\\' && at + 1 < bytes.len() {
                escaped = true;
                at += 1;
            }
            at += 1;
        }
        rest = (at < bytes.len()).then(|| &text[at + 1..]);
        let segment = &text[..at.min(bytes.len())];
        Some(if escaped { Cow::Owned(unescape(segment)) } else { Cow::Borrowed(segment) })
    })
}

fn unescape(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    let mut chars = segment.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    out
}

/// A path taken apart once, which remembers for each shape of records where its steps were found: one comparison
/// confirms a place, and that a key is not there needs no search at all.
pub struct PathCache {
    /// Where the path's text was when it was taken apart.
    address: usize,
    path: Box<str>,
    steps: Box<[Box<str>]>,
    shapes: [Places; SHAPES],
}

/// Shapes remembered per path: those of one log type that are frequent at a time.
const SHAPES: usize = 16;
/// Steps of a path whose places are remembered; longer paths search for the rest.
const STEPS: usize = 3;
const ABSENT: u16 = u16::MAX;
const UNKNOWN: u16 = u16::MAX - 1;

#[derive(Clone, Copy)]
struct Places {
    shape: u32,
    at: [u16; STEPS],
}

impl Places {
    const fn of(shape: u32) -> Self {
        Places { shape, at: [UNKNOWN; STEPS] }
    }
}

impl PathCache {
    pub fn new(path: &str) -> Self {
        PathCache {
            address: path.as_ptr() as usize,
            path: path.into(),
            steps: segments(path).map(|segment| segment.into_owned().into_boxed_str()).collect(),
            shapes: [Places::of(0); SHAPES],
        }
    }

    /// Whether this is `path`. A text in the program's own constants is the same as long as it is in the same place.
    #[inline]
    fn is(&self, path: &str) -> bool {
        (self.address == path.as_ptr() as usize && self.path.len() == path.len() && is_constant(path))
            || same(self.path.as_bytes(), path.as_bytes())
    }

    #[inline]
    pub fn get<'a>(&mut self, record: Record<'a>) -> Option<Node<'a>> {
        let shape = record.shape();
        let places = &mut self.shapes[shape as usize % SHAPES];
        if places.shape != shape {
            *places = Places::of(shape);
        }
        let mut node = record.root();
        let mut from = 0;
        // The root's keys are what a shape vouches for: where the first was found once, there it is.
        if shape != 0 && places.at[0] != UNKNOWN {
            if places.at[0] == ABSENT {
                return None;
            }
            node = node.entry(usize::from(places.at[0]))?;
            from = 1;
        }
        for (step, key) in self.steps.iter().enumerate().skip(from) {
            let Some(place) = places.at.get_mut(step) else {
                node = node.step(key)?;
                continue;
            };
            node = match node.entry_if(usize::from(*place), key) {
                Some(found) => found,
                None => match node.find(key) {
                    Some((index, found)) => {
                        *place = u16::try_from(index).ok().filter(|place| *place < UNKNOWN).unwrap_or(UNKNOWN);
                        found
                    }
                    None => {
                        if step == 0 && matches!(node.kind(), Kind::Object) {
                            *place = ABSENT;
                        }
                        node.step(key)?
                    }
                },
            };
        }
        Some(node)
    }
}

#[cfg(target_family = "wasm")]
#[inline]
fn is_constant(text: &str) -> bool {
    // The linker's own marks: what lies between them is put there when the component is built.
    unsafe extern "C" {
        static __global_base: u8;
        static __data_end: u8;
    }
    let (from, to) = (&raw const __global_base as usize, &raw const __data_end as usize);
    (from..to).contains(&(text.as_ptr() as usize))
}

#[cfg(not(target_family = "wasm"))]
#[inline]
fn is_constant(_: &str) -> bool {
    false
}

/// How many paths are remembered at a time: more than a component of fifty rules reads, and a few KB.
const PATHS: usize = 256;

/// The paths a guest reads, found by the address of their text first and compared before use.
pub struct Paths {
    slots: Vec<Option<PathCache>>,
}

impl Paths {
    pub const fn new() -> Self {
        Paths { slots: Vec::new() }
    }

    #[inline]
    pub fn get<'a>(&mut self, record: Record<'a>, path: &str) -> Option<Node<'a>> {
        if self.slots.is_empty() {
            self.slots.resize_with(PATHS, || None);
        }
        let address = path.as_ptr() as usize;
        let hash = (address ^ address >> 8 ^ path.len().wrapping_mul(31)) % PATHS;
        let slot = &mut self.slots[hash];
        match slot {
            Some(cache) if cache.is(path) => cache.get(record),
            _ => slot.insert(PathCache::new(path)).get(record),
        }
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_apart_at_bare_dots_only() {
        let parts = |path: &str| segments(path).map(|s| s.into_owned()).collect::<Vec<_>>();
        assert_eq!(parts("a.b.0"), ["a", "b", "0"]);
        assert_eq!(parts(r"a\.b.c"), ["a.b", "c"]);
        assert_eq!(parts(r"a\\.b"), ["a\\", "b"]);
        assert_eq!(parts(r"end\"), ["end\\"]);
        assert_eq!(parts(""), [""]);
        assert_eq!(parts("é.ü"), ["é", "ü"]);
    }
}
