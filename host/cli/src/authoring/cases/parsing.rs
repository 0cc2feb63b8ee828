//! A case of a parser: bytes in, records and refused pieces out.

use super::{optional, required};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

const KEYS: [&str; 9] = ["description", "parser", "text", "hex", "base64", "file", "records", "errors", "sniffed"];
/// The four ways to give the input.
const INPUTS: [&str; 4] = ["text", "hex", "base64", "file"];

pub struct ParserBody {
    /// Its name.
    pub parser: String,
    pub input: Vec<u8>,
    /// What it must make of the input, in order of places: exactly these.
    pub records: Vec<Expected>,
    /// In what the reasons must contain, of each piece that is no record, in order.
    pub errors: Vec<String>,
    /// Whether the parser must take the input for its own.
    pub sniffed: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Log type.
    pub log: String,
    /// Fields the record must have; others may be there.
    #[serde(default)]
    pub record: Map<String, Value>,
}

pub fn unknown_keys<'a>(keys: impl Iterator<Item = &'a str>) -> Vec<String> {
    let unknown = keys.filter(|key| !KEYS.contains(key));
    unknown.map(|key| format!("unknown key `{key}`; a case of a parser has {}", KEYS.join(", "))).collect()
}

pub fn body(fields: &BTreeMap<String, &RawValue>, folder: &Path) -> Result<ParserBody, String> {
    let _: String = required(fields, "description", "text")?;
    let given: Vec<&str> = INPUTS.into_iter().filter(|key| fields.contains_key(*key)).collect();
    let [kind] = given[..] else {
        return Err(format!("give the input as one of {}", INPUTS.map(|key| format!("`{key}`")).join(", ")));
    };
    let text: String = required(fields, kind, "text")?;
    let input = match kind {
        "text" => text.into_bytes(),
        "hex" => from_hex(&text)?,
        "base64" => from_base64(&text)?,
        _ => std::fs::read(folder.join(&text)).map_err(|error| format!("`file`: read {text}: {error}"))?,
    };
    const RECORDS: &str = "a list of {\"log\": log type, \"record\": fields it must have}";
    Ok(ParserBody {
        parser: required(fields, "parser", "the name of a parser")?,
        input,
        records: required(fields, "records", RECORDS)?,
        errors: optional(fields, "errors", "a list of texts")?.unwrap_or_default(),
        sniffed: optional(fields, "sniffed", "true or false")?,
    })
}

/// Digits in pairs; blanks between them are for the reader.
fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Option<Vec<u32>> = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect();
    match digits {
        Some(digits) if digits.len().is_multiple_of(2) => {
            Ok(digits.chunks_exact(2).map(|two| (two[0] << 4 | two[1]) as u8).collect())
        }
        _ => Err("`hex` must be pairs of hexadecimal digits".to_owned()),
    }
}

fn from_base64(text: &str) -> Result<Vec<u8>, String> {
    let letters: String = text.split_whitespace().collect();
    STANDARD.decode(letters).map_err(|error| format!("`base64` must be base64: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(case: &Value) -> Result<ParserBody, String> {
        let text = case.to_string();
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(&text).expect("an object");
        body(&fields, Path::new("."))
    }

    #[track_caller]
    fn input(key: &str, text: &str, expected: Result<&[u8], &str>) {
        let mut case = json!({"description": "d", "parser": "p", "records": []});
        case[key] = json!(text);
        match (one(&case), expected) {
            (Ok(body), Ok(bytes)) => assert_eq!(body.input, bytes, "{text}"),
            (Err(message), Err(words)) => assert!(message.contains(words), "{text}: {message}"),
            (Ok(body), Err(_)) => panic!("{text}: {:?}", body.input),
            (Err(message), Ok(_)) => panic!("{text}: {message}"),
        }
    }

    #[test]
    fn bytes_may_be_given_in_four_ways() {
        input("text", "a\n", Ok(b"a\n"));
        input("hex", "00 05\nfF", Ok(&[0, 5, 255]));
        input("hex", "0", Err("pairs"));
        input("hex", "0x", Err("pairs"));
        for (text, bytes) in
            [("", &b""[..]), ("YQ==", b"a"), ("YWI=", b"ab"), ("YWJj", b"abc"), ("AP/+\nYQ==", &[0, 255, 254, 97])]
        {
            input("base64", text, Ok(bytes));
        }
        input("base64", "Y", Err("base64"));
        input("base64", "Y-Q=", Err("base64"));
        input("file", "no such file", Err("read no such file"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let good =
            json!({"description": "d", "parser": "p", "text": "", "records": [{"log": "a:b", "record": {"x": 1}}]});
        let fault = |key: &str, value: Value| {
            let mut case = good.clone();
            case[key] = value;
            case.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
            one(&case).err().unwrap_or_default()
        };
        assert_eq!(fault("sniffed", json!(true)), "");
        assert!(fault("text", Value::Null).contains("one of `text`, `hex`"));
        assert!(fault("hex", json!("00")).contains("one of"));
        assert!(fault("records", Value::Null).contains("`records` is missing"));
        assert!(fault("records", json!([{"log": "a", "x": 1}])).contains("`records` must be"));
        assert!(fault("errors", json!("x")).contains("`errors` must be"));
        assert!(unknown_keys(["text", "log"].into_iter())[0].contains("unknown key `log`"));
    }
}
