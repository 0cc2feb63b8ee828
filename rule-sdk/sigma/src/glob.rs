//! Patterns with wildcards.

use crate::rule::DASHES;

/// A pattern, cut at its `*`.
pub struct Glob {
    runs: Vec<Vec<Piece>>,
    /// It begins, or ends, with `*`.
    open: (bool, bool),
}

enum Piece {
    Literal(String),
    One,
    Dash,
}

impl Glob {
    pub fn new(pattern: &str) -> Glob {
        let mut runs = Vec::new();
        let mut run: Vec<Piece> = Vec::new();
        let mut literal = String::new();
        let mut open = (false, false);
        let mut chars = pattern.chars();
        let mut first = true;
        while let Some(c) = chars.next() {
            let piece = match c {
                '\\' => {
                    literal.extend(chars.next());
                    None
                }
                '?' => Some(Piece::One),
                '~' => Some(Piece::Dash),
                '*' => {
                    open.0 |= first;
                    run.extend((!literal.is_empty()).then(|| Piece::Literal(std::mem::take(&mut literal))));
                    if !run.is_empty() {
                        runs.push(std::mem::take(&mut run));
                    }
                    open.1 = true;
                    first = false;
                    continue;
                }
                c => {
                    literal.push(c);
                    None
                }
            };
            (first, open.1) = (false, false);
            if let Some(piece) = piece {
                run.extend((!literal.is_empty()).then(|| Piece::Literal(std::mem::take(&mut literal))));
                run.push(piece);
            }
        }
        run.extend((!literal.is_empty()).then_some(Piece::Literal(literal)));
        if !run.is_empty() {
            runs.push(run);
        }
        Glob { runs, open }
    }

    /// The whole of `text`. Without looking back: the first place where a run fits leaves most for the others.
    pub fn matches(&self, text: &str) -> bool {
        let Some((last, before)) = self.runs.split_last() else { return self.open.0 || text.is_empty() };
        let mut rest = text;
        for (index, run) in before.iter().enumerate() {
            let after = if index == 0 && !self.open.0 { fits(run, rest) } else { find(run, rest) };
            let Some(after) = after else { return false };
            rest = after;
        }
        let anchored = before.is_empty() && !self.open.0;
        match (anchored, self.open.1) {
            (true, true) => fits(last, rest).is_some(),
            (true, false) => fits(last, rest) == Some(""),
            (false, true) => find(last, rest).is_some(),
            // Where it can begin is known: every piece but a literal is one character.
            (false, false) => {
                let (bytes, ones) = last.iter().fold((0, 0), |(bytes, ones), piece| match piece {
                    Piece::Literal(text) => (bytes + text.len(), ones),
                    Piece::One | Piece::Dash => (bytes, ones + 1),
                });
                let starts = (bytes + ones..=bytes + 4 * ones).filter_map(|length| rest.len().checked_sub(length));
                starts.filter(|at| rest.is_char_boundary(*at)).any(|at| fits(last, &rest[at..]) == Some(""))
            }
        }
    }
}

/// What is left of a text that begins with this run.
fn fits<'a>(run: &[Piece], text: &'a str) -> Option<&'a str> {
    let mut rest = text;
    for piece in run {
        rest = match piece {
            Piece::Literal(literal) => rest.strip_prefix(literal.as_str())?,
            Piece::One => {
                let mut chars = rest.chars();
                chars.next()?;
                chars.as_str()
            }
            Piece::Dash => rest.strip_prefix(DASHES)?,
        };
    }
    Some(rest)
}

/// What is left behind the first place where the run fits.
fn find<'a>(run: &[Piece], text: &'a str) -> Option<&'a str> {
    let mut at = 0;
    loop {
        if let Some(Piece::Literal(literal)) = run.first() {
            at += text[at..].find(literal.as_str())?;
        }
        if let Some(after) = fits(run, &text[at..]) {
            return Some(after);
        }
        at += text[at..].chars().next()?.len_utf8();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let glob = Glob::new(pattern);
        yes.iter().for_each(|text| assert!(glob.matches(text), "{pattern} {text:?}"));
        no.iter().for_each(|text| assert!(!glob.matches(text), "{pattern} {text:?}"));
    }

    #[test]
    fn patterns() {
        check("", &[""], &["a"]);
        check("*", &["", "a", "a\nb"], &[]);
        check("**", &["", "ab"], &[]);
        check("?", &["a", "ü", "\n"], &["", "ab"]);
        check("a*", &["a", "ab"], &["", "ba"]);
        check("*a", &["a", "ba", "aba"], &["", "ab"]);
        check("a*b", &["ab", "axb", "abab"], &["a", "aba", "ba"]);
        check("a*a", &["aa", "aba"], &["a"]);
        check("*a*b*", &["ab", "xaxbx"], &["ba"]);
        check("a?c*e?g", &["abcefg", "abc..e.g", "aücdeüg"], &["abcef", "acceg"]);
        check("*?b", &["ab", "üb", "xyb"], &["b", "ba"]);
        check("*b?", &["ba", "bü", "xbb"], &["b", "bab"]);
        check(r"\*\?\~\\", &[r"*?~\"], &["abcd", r"\*\?\~\\"]);
        check("~x", &["-x", "/x", "–x", "—x", "―x"], &["x", "+x", "--x"]);
        check("*~e*", &["cmd -e", "cmd /exec", "–e"], &["cmd e"]);
        check("*aab*", &["aaab"], &["aaa"]);
        check("*a?b*", &["aaxb", "aab"], &["ab"]);
    }
}
