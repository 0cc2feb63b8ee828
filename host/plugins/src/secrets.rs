//! Takes the secrets of a descriptor out of what a guest says.

use std::borrow::Cow;

/// What stands where a secret was.
const HIDDEN: &str = "***";
/// Bytes of the shortest text that is taken out; of a shorter one, half of all words would go.
const SECRET_BYTES_MIN: usize = 4;
/// Bytes of the shortest part of a secret URL that is taken out by itself: what is in webhooks' paths and queries is longer,
/// and words like `services` are shorter.
const URL_PART_BYTES_MIN: usize = 16;
/// Bytes of a text that are looked at; what comes after is cut off.
pub const TEXT_BYTES_MAX: usize = 64 << 10;

/// Texts that nobody is to see, the longest first.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hidden = Vec::new();
        for value in values {
            hidden.push(value.to_owned());
            hidden.push(value.trim().to_owned());
            hidden.push(percent(value.trim()));
            // As it stands in JSON, without the quotes.
            let json = serde_json::Value::from(value).to_string();
            hidden.push(json[1..json.len() - 1].to_owned());
            if let Some((_, rest)) = value.split_once("://") {
                let rest = rest.split_once(['/', '?', '#']).map_or("", |(_, rest)| rest).trim();
                let parts = rest.split(['/', '?', '#', '&', '=']).chain([rest]);
                hidden.extend(parts.filter(|part| part.len() >= URL_PART_BYTES_MIN).map(str::to_owned));
            }
        }
        hidden.retain(|value| value.len() >= SECRET_BYTES_MIN);
        hidden.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        hidden.dedup();
        Secrets(hidden)
    }

    /// The text without them.
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some(longest) = self.0.first() else { return Cow::Borrowed(text) };
        let seen = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
        let mut shown = Cow::Borrowed(seen);
        for secret in &self.0 {
            if shown.contains(secret.as_str()) {
                shown = Cow::Owned(shown.replace(secret.as_str(), HIDDEN));
            }
        }
        if seen.len() < text.len() {
            // The cut may have left a part of a secret.
            let end = shown.floor_char_boundary(shown.len().saturating_sub(longest.len()));
            shown = Cow::Owned(shown[..end].to_owned());
        }
        shown
    }
}

/// As it stands in a query or form.
fn percent(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => drop(write!(out, "%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(secrets: &[&str], text: &str, expected: &str) {
        assert_eq!(Secrets::new(secrets.iter().copied()).hide(text), expected);
    }

    #[test]
    fn secrets_do_not_show_in_any_of_their_usual_forms() {
        check(&[], "hunter2", "hunter2");
        check(&["hunter2"], "password hunter2, hunter2!", "password ***, ***!");
        check(&["abc", ""], "abc stays", "abc stays");
        check(&["hunter", "hunter2"], "hunter2 hunter", "*** ***");
        check(&[" hunter2\n"], "hunter2", "***");
        check(&["p&ss wörd"], "q=p%26ss%20w%C3%B6rd", "q=***");
        check(&["a\"b\\c"], r#"{"x": "a\"b\\c"}"#, r#"{"x": "***"}"#);
    }

    #[test]
    fn what_is_secret_in_a_url_is_hidden_alone_too() {
        let url = "https://hooks.example.com/services/T0/B0/0123456789abcdefABCDEF?sig=zzzzzzzzzzzzzzzzzzzz";
        check(&[url], url, "***");
        check(&[url], "no route /services/T0/B0/0123456789abcdefABCDEF", "no route /services/T0/B0/***");
        check(&[url], "hooks.example.com refused sig zzzzzzzzzzzzzzzzzzzz", "hooks.example.com refused sig ***");
    }

    #[test]
    fn a_cut_leaves_no_half_of_a_secret() {
        let secret = "0123456789abcdef";
        let text = format!("{}{secret}", "x".repeat(TEXT_BYTES_MAX - 5));
        let shown = Secrets::new([secret]).hide(&text).into_owned();
        assert!(!shown.contains("01") && shown.starts_with("xxx") && shown.len() <= TEXT_BYTES_MAX);
    }
}
