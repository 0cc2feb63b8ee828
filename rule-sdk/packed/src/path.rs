//! Paths: `userIdentity.arn`, `\.` for a dot inside a key (`\\` for a backslash), a number for an item of a list.

use crate::read::{Node, Record};
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

/// A path taken apart once, which remembers where each step was found last: logs of one kind have their keys in one
/// order, so the remembered place is nearly always right and one comparison confirms it.
pub struct PathCache {
    path: Box<str>,
    steps: Box<[(Box<str>, usize)]>,
}

impl PathCache {
    pub fn new(path: &str) -> Self {
        PathCache {
            path: path.into(),
            steps: segments(path).map(|segment| (segment.into_owned().into_boxed_str(), 0)).collect(),
        }
    }

    #[inline]
    pub fn get<'a>(&mut self, record: Record<'a>) -> Option<Node<'a>> {
        let mut node = record.root();
        for (key, place) in &mut self.steps {
            node = match node.entry_if(*place, key) {
                Some(found) => found,
                None => match node.find(key) {
                    Some((index, found)) => {
                        *place = index;
                        found
                    }
                    None => node.step(key)?,
                },
            };
        }
        Some(node)
    }
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
            Some(cache) if *cache.path == *path => cache.get(record),
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
