//! One mistake, one message, at its place. Lines and columns count within the options or within the function.

use super::*;
use std::str::FromStr;

const FUNCTION: &str = "fn a(payload: &[u8]) -> Result<Vec<Part>, String> { Ok(vec![]) }";

fn mistakes(options: &str, function: &str) -> String {
    let tokens = |text| TokenStream::from_str(text).unwrap();
    let Err(error) = expand(&tokens(options), tokens(function)) else { return "none".to_owned() };
    let mut lines: Vec<_> = error
        .into_iter()
        .map(|error| {
            let start = error.span().start();
            (start.line, start.column, format!("{}:{} {error}", start.line, start.column))
        })
        .collect();
    lines.sort();
    lines.into_iter().map(|(_, _, line)| line).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(options: &str, expected: &str) {
    assert_eq!(mistakes(options, FUNCTION), expected);
}

#[track_caller]
fn check_function(function: &str, expected: &str) {
    assert_eq!(mistakes(r#"schemas = "s.json""#, function), expected);
}

#[test]
fn nothing_wrong() {
    check(r#"schemas = "s.json", takes = "whole", sniff = looks::like_it, name = "a-b.c","#, "none");
    check("schemas = SCHEMAS", "none");
    check(r#"schemas = include_str!("s.json")"#, "none");
}

#[test]
fn options_that_cannot_be() {
    let needed = "a parser needs `schemas`, the log types it makes records of, as in schemas = \"schemas.json\"";
    check(r#"takes = "lines""#, &format!("1:0 {needed}"));
    check(
        r#"schemas = "s", logs = "a""#,
        "1:15 there is no option `logs`; the options are name, schemas, takes, sniff",
    );
    check(r#"schemas = "s", takes = "all""#, "1:23 `takes` is \"lines\" or \"whole\", not \"all\"");
    check(r#"schemas = "s", takes = 3"#, "1:23 `takes` takes a text");
    check(r#"schemas = "s", name = "a b""#, "1:22 a name is made of letters, digits, `_`, `-` and `.`");
    check(r#"schemas = "s", sniff = true"#, "1:23 `sniff` takes a function, fn name(head: &[u8]) -> bool");
    check(r#"schemas = "s", schemas = "t""#, "1:15 `schemas` is given twice");
    check(r#"schemas("s")"#, "1:0 `schemas` is written schemas = …");
}

#[test]
fn functions_that_are_no_parsers() {
    check_function(
        "fn a() -> Result<Vec<Part>, String> { }",
        "1:4 a parser takes the payload: a parser is written fn name(payload: &[u8]) -> Result<Vec<Part>, String>",
    );
    check_function("fn a(payload: &[u8]) {}", "1:3 a parser returns `Result<Vec<Part>, String>`");
    check_function(
        "async fn a(payload: &[u8]) -> Result<Vec<Part>, String> { }",
        "1:0 a parser cannot be async: it looks at bytes and has nothing to wait for",
    );
    assert!(mistakes(r#"schemas = "s""#, "struct A;").starts_with("1:0 #[parser] belongs above a function"));
}

#[test]
fn a_file_is_found_from_the_root_of_the_crate_and_a_text_is_taken_as_it_is() {
    let expanded = |options: &str| {
        let tokens = |text| TokenStream::from_str(text).unwrap();
        parser(tokens(options), tokens(FUNCTION)).to_string()
    };
    assert!(expanded(r#"schemas = "a/s.json""#).contains("CARGO_MANIFEST_DIR"));
    assert!(!expanded(r##"schemas = r#"{"a": {}}"#"##).contains("include_str"));
}
