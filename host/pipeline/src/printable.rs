//! Texts of logs and of others as a terminal may have them.

/// Control characters, and those that reorder or hide text, become visible escapes.
pub fn printable(text: &str) -> String {
    escaped(text, false)
}

/// The same of a text that may have several lines.
pub fn printable_lines(text: &str) -> String {
    escaped(text, true)
}

fn escaped(text: &str, lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        let hidden = matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
        match character {
            '\n' if lines => out.push('\n'),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if character.is_control() || hidden => out.extend(character.escape_unicode()),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_or_hide_is_seen() {
        let text = "é\u{1b}[31m\n\t\u{202e}x\r";
        assert_eq!(printable(text), "é\\u{1b}[31m\\n\\t\\u{202e}x\\r");
        assert_eq!(printable_lines(text), "é\\u{1b}[31m\n\\t\\u{202e}x\\r");
    }
}
