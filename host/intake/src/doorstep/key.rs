//! Keys of objects as S3's notifications write them: encoded like a form.

/// Decoded once. What is no encoding, or would be no UTF-8, stays as it is written.
pub fn form_decoded(key: &str) -> String {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let [first, after @ ..] = rest {
        rest = match (first, escaped(rest)) {
            (b'%', Some(byte)) if byte.is_ascii() => {
                bytes.push(byte);
                &rest[3..]
            }
            (b'%', Some(_)) => decode_run(rest, &mut bytes),
            (b'+', _) => {
                bytes.push(b' ');
                after
            }
            _ => {
                bytes.push(*first);
                after
            }
        };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| key.to_owned())
}

fn escaped(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = *text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

/// Escapes beyond ASCII that follow one another: the characters they make, and the others as they are.
fn decode_run<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let (written, mut run) = (rest, Vec::new());
    while let Some(byte) = escaped(rest).filter(|byte| !byte.is_ascii()) {
        run.push(byte);
        rest = &rest[3..];
    }
    let mut at = 0;
    for chunk in run.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        at += chunk.valid().len();
        let end = at + chunk.invalid().len();
        out.extend_from_slice(&written[3 * at..3 * end]);
        at = end;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_once() {
        let check = |key: &str, expected: &str| assert_eq!(form_decoded(key), expected);
        check("red+flower.jpg", "red flower.jpg");
        check("year%3D2025/a.json", "year=2025/a.json");
        check("2021-05-12T19%3A26%3A00%2B00%3A00/1.log", "2021-05-12T19:26:00+00:00/1.log");
        check("100%2525+%2B", "100%25 +");
        check("%E6%97%A5%E6%9C%AC/Zo%C3%AB", "日本/Zoë");
        check("日本", "日本");
        check("50%/%zz/%4", "50%/%zz/%4");
        check("a%FFb%C3", "a%FFb%C3");
        check("%C3%A4%ff%C3%e6%97%a5", "ä%ff%C3日");
    }
}
