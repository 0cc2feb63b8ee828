//! Escaped text that has to fit: what counts is how long it is after escaping, and no escape may be cut.

use streamalert_output_sdk::prelude::*;

/// The same unit, with another number.
fn with(max: Max, units: usize) -> Max {
    match max {
        Max::Chars(_) => Max::Chars(units),
        Max::Bytes(_) => Max::Bytes(units),
        Max::Utf16(_) => Max::Utf16(units),
    }
}

fn units(max: Max) -> usize {
    let (Max::Chars(units) | Max::Bytes(units) | Max::Utf16(units)) = max;
    units
}

/// The escaped text, its end left out if it is too long.
///
/// ```
/// # use streamalert_output_sdk::{Max, escape_html};
/// assert_eq!(brief::shortened("a < b", Max::Chars(8), escape_html), "a &lt; b");
/// assert_eq!(brief::shortened("a < b", Max::Chars(7), escape_html), "a &lt;…");
/// ```
pub fn shortened(text: &str, max: Max, escape: impl Fn(&str) -> String) -> String {
    let mut room = units(max);
    loop {
        let escaped = escape(&shorten(text, with(max, room)));
        let length = max.length(&escaped);
        if length <= units(max) || room == 0 {
            return escaped;
        }
        // In the same proportion, which is close; and shorter in any case. If little is over, letter by letter.
        room = (room - 1).min((room * units(max) / length).max(room.saturating_sub(16)));
    }
}

/// The escaped text in pieces that fit, cut as [`split`] does.
///
/// ```
/// # use streamalert_output_sdk::{Max, escape_html};
/// assert_eq!(brief::pieces("<<<<", Max::Chars(9), escape_html), ["&lt;&lt;", "&lt;&lt;"]);
/// ```
pub fn pieces(text: &str, max: Max, escape: impl Fn(&str) -> String) -> Vec<String> {
    let mut pieces = Vec::new();
    cut(text, max, units(max), &escape, &mut pieces);
    pieces
}

fn cut(text: &str, max: Max, size: usize, escape: &impl Fn(&str) -> String, pieces: &mut Vec<String>) {
    for part in split(text, with(max, size)) {
        let escaped = escape(&part);
        let length = max.length(&part);
        if max.length(&escaped) <= units(max) || length <= 1 || part.chars().count() == 1 {
            pieces.push(escaped);
        } else {
            cut(&part, max, length / 2, escape, pieces);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::HOSTILE;

    fn unescape(text: &str) -> String {
        text.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&amp;", "&")
    }

    #[test]
    fn nothing_is_too_long_and_no_escape_is_cut() {
        let text = plain(HOSTILE).repeat(7);
        for max in (1..200).map(Max::Chars).chain((4..400).map(Max::Bytes)).chain((2..200).map(Max::Utf16)) {
            let short = shortened(&text, max, escape_html);
            assert!(max.length(&short) <= units(max), "{max:?} {short}");
            assert!(text.starts_with(unescape(&short).trim_end_matches('…')), "{max:?} {short}");
            if units(max) >= 12 {
                let parts = pieces(&text, max, escape_html);
                assert_eq!(unescape(&parts.concat()), text);
                assert!(parts.iter().all(|part| max.length(part) <= units(max)), "{max:?}");
            }
        }
        assert_eq!(shortened(&text, Max::Chars(10_000), escape_html), escape_html(&text));
    }
}
