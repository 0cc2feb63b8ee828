//! Texts and wildcards. Case counts everywhere.

use serde_json::Value;

/// Whether the text begins with one of these; no wildcards. An empty needle begins every text.
pub fn starts_with_any<'a, S: AsRef<str>>(text: impl Into<Option<&'a str>>, needles: &[S]) -> bool {
    text.into().is_some_and(|text| needles.iter().any(|needle| text.starts_with(needle.as_ref())))
}

/// Whether the text ends with one of these; no wildcards. An empty needle ends every text.
pub fn ends_with_any<'a, S: AsRef<str>>(text: impl Into<Option<&'a str>>, needles: &[S]) -> bool {
    text.into().is_some_and(|text| needles.iter().any(|needle| text.ends_with(needle.as_ref())))
}

/// Whether one of these occurs in the text; no wildcards. An empty needle occurs in every text.
pub fn contains_any<'a, S: AsRef<str>>(text: impl Into<Option<&'a str>>, needles: &[S]) -> bool {
    text.into().is_some_and(|text| needles.iter().any(|needle| text.contains(needle.as_ref())))
}

/// Whether the whole text matches one of the patterns: `*` any characters, `/` among them, `?` one character, `[a-z]` one
/// of these, `[!a]` any but these. There is no escape: `[*]` is a star. A `[` that is never closed is just that.
///
/// ```
/// # use streamalert_sdk::helpers::matches_any;
/// assert!(matches_any("arn:aws:iam::1:role/admin-eu", &["arn:aws:iam::*:role/admin-[a-z]?"]));
/// assert!(!matches_any("Admin", &["admin"]));
/// ```
pub fn matches_any<'a, S: AsRef<str>>(text: impl Into<Option<&'a str>>, patterns: &[S]) -> bool {
    text.into().is_some_and(|text| patterns.iter().any(|pattern| matches(text, pattern.as_ref())))
}

/// Whether the path matches one of the patterns part by part, so that `*` does not cross a `/`. A pattern that begins with
/// `/` must match the whole path; any other matches from the right, as many parts as it has. Doubled slashes, a slash at
/// the end and parts that are just `.` do not count. An empty pattern matches nothing.
///
/// ```
/// # use streamalert_sdk::helpers::path_matches_any;
/// assert!(path_matches_any("/Users/eve/Downloads/x.dmg", &["/Users/*/Downloads/*"]));
/// assert!(path_matches_any("/Users/eve/Downloads/x.dmg", &["*.dmg"]));
/// assert!(!path_matches_any("/Users/eve/Downloads/x.dmg", &["/Users/*"]));
/// ```
pub fn path_matches_any<'a, S: AsRef<str>>(path: impl Into<Option<&'a str>>, patterns: &[S]) -> bool {
    path.into().is_some_and(|path| patterns.iter().any(|pattern| path_matches(path, pattern.as_ref())))
}

fn path_matches(path: &str, pattern: &str) -> bool {
    let parts = |text| str::split(text, '/').filter(|part| !part.is_empty() && *part != ".");
    let (have, want) = (parts(path).count(), parts(pattern).count());
    let fits = match (pattern.starts_with('/'), path.starts_with('/')) {
        (true, true) => have == want,
        (true, false) => false,
        (false, _) => have >= want && want > 0,
    };
    fits && parts(path).skip(have - want).zip(parts(pattern)).all(|(part, pattern)| matches(part, pattern))
}

/// JSON text as a value, which may be a list or a number. An empty object for what is no JSON.
pub fn safe_json<'a>(text: impl Into<Option<&'a str>>) -> Value {
    let parsed = text.into().and_then(|text| serde_json::from_str(text).ok());
    parsed.unwrap_or_else(|| Value::Object(serde_json::Map::new()))
}

/// One step back at most per star: the work is bounded by text times pattern.
pub(super) fn matches(text: &str, pattern: &str) -> bool {
    let (mut text, mut pattern) = (text, pattern);
    // Where the last star left off: the pattern behind it, and the text it has not swallowed.
    let mut star: Option<(&str, &str)> = None;
    loop {
        if let Some(behind) = pattern.strip_prefix('*') {
            if behind.is_empty() {
                return true;
            }
            star = Some((behind, text));
            pattern = behind;
            continue;
        }
        let Some(c) = text.chars().next() else { return pattern.is_empty() };
        if let Some(behind) = one(c, pattern) {
            pattern = behind;
            text = &text[c.len_utf8()..];
            continue;
        }
        let Some((behind, kept)) = star else { return false };
        let Some(swallowed) = kept.chars().next() else { return false };
        text = &kept[swallowed.len_utf8()..];
        pattern = behind;
        star = Some((behind, text));
    }
}

/// What is left of the pattern when its first element stands for `c`.
fn one(c: char, pattern: &str) -> Option<&str> {
    let mut chars = pattern.chars();
    let first = chars.next()?;
    let rest = chars.as_str();
    match first {
        '?' => Some(rest),
        '[' => {
            let (negated, set) = match rest.strip_prefix('!') {
                Some(set) => (true, set),
                None => (false, rest),
            };
            // A bracket closed at once would be an empty set: there the `]` belongs to the set.
            let skip = usize::from(set.starts_with(']'));
            match set[skip..].find(']') {
                Some(end) => (in_set(c, &set[..skip + end]) != negated).then(|| &set[skip + end + 1..]),
                None => (c == '[').then_some(rest),
            }
        }
        literal => (c == literal).then_some(rest),
    }
}

fn in_set(c: char, set: &str) -> bool {
    let mut rest = set.chars();
    while let Some(low) = rest.next() {
        let mut ahead = rest.clone();
        if let (Some('-'), Some(high)) = (ahead.next(), ahead.next()) {
            if (low..=high).contains(&c) {
                return true;
            }
            rest = ahead;
        } else if c == low {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        let yes = [
            ("", ""),
            ("", "*"),
            ("abc", "a*"),
            ("abc", "*c"),
            ("abc", "a?c"),
            ("a/b", "a*b"),
            ("abcabd", "*ab?"),
            ("b", "[a-c]"),
            ("z", "[!a-c]"),
            ("]", "[]]"),
            ("a", "[!]]"),
            ("-", "[a-]"),
            ("[x", "[x"),
            ("*", "[*]"),
            ("ü", "?"),
            ("^", "[^a]"),
            ("aXbXc", "a*X*c"),
        ];
        let no = [
            ("a", ""),
            ("", "?"),
            ("abc", "ab"),
            ("ABC", "abc"),
            ("d", "[a-c]"),
            ("a", "[!a]"),
            ("b", "[c-a]"),
            ("x", "[x"),
        ];
        for (text, pattern) in yes {
            assert!(matches(text, pattern), "{text:?} {pattern:?}");
        }
        for (text, pattern) in no {
            assert!(!matches(text, pattern), "{text:?} {pattern:?}");
        }
    }

    #[test]
    fn many_stars_take_bounded_time() {
        assert!(!matches(&"a".repeat(5_000), &("*a".repeat(50) + "b")));
    }

    #[test]
    fn paths_match_part_by_part() {
        let check = |path: &str, pattern: &str| path_matches_any(path, &[pattern]);
        assert!(check("/a/b/c", "b/*") && check("/a//b/./c/", "/a/b/c") && check("a/b", "a/b") && check("/", "/"));
        assert!(!check("/a/b/c", "/a/*") && !check("a/b", "/a/b") && !check("b", "a/b") && !check("/a", ""));
    }
}
