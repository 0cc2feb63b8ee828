//! For outputs that leave the house.

use streamalert_output_sdk::prelude::*;

/// Words in the name of a key whose value nobody outside is to see.
const SECRET: [&str; 6] = ["password", "passwd", "secret", "token", "apikey", "api_key"];

/// Masks mail addresses in all texts, and all values of keys that speak of secrets, whatever publisher put them there.
pub fn masked(_: &Alert, publication: Map<String, Value>, _: &Target) -> Result<Map<String, Value>, String> {
    Ok(publication.into_iter().map(|(key, value)| entry(key, value)).collect())
}

fn entry(key: String, value: Value) -> (String, Value) {
    let lower = key.to_lowercase();
    let value = match value {
        Value::Null | Value::Bool(_) => value,
        _ if SECRET.iter().any(|word| lower.contains(word)) => "***".into(),
        value => mask(value),
    };
    (mask_text(&key), value)
}

fn mask(value: Value) -> Value {
    match value {
        Value::String(text) => mask_text(&text).into(),
        Value::Array(items) => items.into_iter().map(mask).collect(),
        Value::Object(fields) => Value::Object(fields.into_iter().map(|(key, value)| entry(key, value)).collect()),
        other => other,
    }
}

/// `ada@example.com` becomes `a***@example.com`.
fn mask_text(text: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || "._%+-".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let (before, behind) = (&rest[..at], &rest[at + 1..]);
        let name = before.char_indices().rev().take_while(|(_, c)| is_part(*c)).last().map_or(at, |(start, _)| start);
        let host = behind.find(|c| !is_part(c)).unwrap_or(behind.len());
        let is_address = name < at && behind[..host].trim_matches('.').contains('.');
        match before[name..].chars().next() {
            Some(first) if is_address => {
                out.push_str(&before[..name]);
                out.push(first);
                out.push_str("***@");
            }
            _ => out.push_str(&rest[..=at]),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(mask_text(text), expected);
    }

    #[test]
    fn addresses_lose_their_names() {
        check("ada@example.com", "a***@example.com");
        check("from <ada.l+x@mail.example.com>, to bob@b.example.", "from <a***@mail.example.com>, to b***@b.example.");
        check("älter@example.com", "ä***@example.com");
        check("a@b@example.com", "a@b***@example.com");
        check("@here, root@localhost", "@here, root@localhost");
        check("@", "@");
    }

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let publication = json!({
            "title": "Key of ada@example.com leaked",
            "record": {"requestParameters": {"masterUserPassword": "hunter2", "list": [{"sessionToken": {"a": 1}}, 7]}},
            "tokenValid": true,
        });
        let Value::Object(publication) = publication else { unreachable!() };
        let published = masked(&Alert::default(), publication, &Target::new("github:sec")).unwrap();
        assert_eq!(
            Value::Object(published),
            json!({
                "title": "Key of a***@example.com leaked",
                "record": {"requestParameters": {"masterUserPassword": "***", "list": [{"sessionToken": "***"}, 7]}},
                "tokenValid": true,
            })
        );
    }
}
