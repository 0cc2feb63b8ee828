//! Where an answer says that it goes on.

use crate::Response;

/// The URL that a `Link` header gives for this relation, as in `<https://…>; rel="next"`.
pub fn link(answer: &Response, relation: &str) -> Option<String> {
    let headers = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("link"));
    for (_, value) in headers {
        let mut rest = value.as_str();
        while let Some((_, after)) = rest.split_once('<') {
            let (url, after) = after.split_once('>')?;
            let end = after.find('<').unwrap_or(after.len());
            let fits = after[..end].split([';', ',']).any(|parameter| {
                parameter.split_once('=').is_some_and(|(name, value)| {
                    let value = value.trim().trim_matches('"');
                    name.trim().eq_ignore_ascii_case("rel")
                        && value.split_ascii_whitespace().any(|one| one.eq_ignore_ascii_case(relation))
                })
            });
            if fits {
                return Some(url.to_owned());
            }
            rest = &after[end..];
        }
    }
    None
}

/// The value of a parameter in a URL's query, decoded.
pub fn query_of(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let query = query.split('#').next().unwrap_or_default();
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(key, value)| (decoded(key), value)).find(|(key, _)| key == name).map(|(_, value)| decoded(value))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(if first == b'+' { b' ' } else { first });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_by_their_relation() {
        let answer = |values: &[&str]| {
            let headers = values.iter().map(|value| ("Link".to_owned(), (*value).to_owned())).collect();
            Response { headers, ..Response::default() }
        };
        let next = |values: &[&str]| link(&answer(values), "next");
        let both = r#"<https://a.example/?p=1>; rel="self", <https://a.example/?p=2,3>; title="x"; rel="next""#;
        assert_eq!(next(&[both]).as_deref(), Some("https://a.example/?p=2,3"));
        assert_eq!(next(&["<https://a/1>; rel=\"self\"", "<https://a/2>;rel=next"]).as_deref(), Some("https://a/2"));
        for none in ["", "next", "<https://a/1", "<https://a/1>; rel=\"prev\"", "<https://a/1>; title=\"next\""] {
            assert_eq!(next(&[none]), None, "{none}");
        }
    }

    #[test]
    fn a_query_is_decoded() {
        let url = "https://a.example/x?a=1&after=16%3A2%2B+z&flag#after=3";
        assert_eq!(query_of(url, "after").as_deref(), Some("16:2+ z"));
        assert_eq!((query_of(url, "flag").as_deref(), query_of(url, "b")), (Some(""), None));
        assert_eq!(query_of("https://a.example/", "a"), None);
    }
}
