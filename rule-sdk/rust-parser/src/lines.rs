//! A payload line by line.

use std::borrow::Cow;
use std::ops::Range;

/// One line, without what ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    pub bytes: &'a [u8],
    /// Of `bytes` in the payload.
    pub place: Range<usize>,
}

impl<'a> Line<'a> {
    /// As text; what is no UTF-8 becomes `U+FFFD`.
    pub fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.bytes)
    }
}

/// The lines of a payload, ended by `\n` or `\r\n`; the last may lack its end.
pub fn lines(payload: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = payload.get(at..).filter(|rest| !rest.is_empty())?;
        let start = at;
        let length = rest.iter().position(|byte| *byte == b'\n');
        let whole = &rest[..length.unwrap_or(rest.len())];
        at += whole.len() + 1;
        let bytes = whole.strip_suffix(b"\r").unwrap_or(whole);
        Some(Line { bytes, place: start..start + bytes.len() })
    })
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[track_caller]
    fn check(payload: &str, expected: &[(&str, usize)]) {
        let found: Vec<_> =
            lines(payload.as_bytes()).map(|line| (line.text().into_owned(), line.place.start)).collect();
        let found: Vec<_> = found.iter().map(|(text, start)| (text.as_str(), *start)).collect();
        assert_eq!(found, expected, "{payload:?}");
    }

    #[test]
    fn lines_know_their_place() {
        check("", &[]);
        check("a", &[("a", 0)]);
        check("a\nbc\r\n\nd", &[("a", 0), ("bc", 2), ("", 6), ("d", 7)]);
        check("\n\r\n", &[("", 0), ("", 1)]);
    }
}
