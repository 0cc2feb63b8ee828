//! One mistake, one message, at its place. Lines and columns count within the options or within the function.

use super::*;
use std::str::FromStr;

const FUNCTION: &str = "fn a(record: &Record) -> bool { true }";

/// What is reported, as `line:column message`, sorted by place.
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
    assert_eq!(mistakes(r#"logs = ["a"]"#, function), expected);
}

#[test]
fn nothing_wrong() {
    check(r#"logs = ["a"], when(x = 1), merge(by = "k", minutes = 1),"#, "none");
    check(r#"logs = "a", publishers = "p""#, "none");
    check(r#"datatypes = ["ocsf:authentication", "ip_address"]"#, "none");
}

#[test]
fn unknown_option() {
    check(
        "logs = [\"a\"],\n  otputs = [\"slack:x\"]",
        "2:2 there is no option `otputs`; the options are logs, datatypes, when, outputs, publishers, merge, context, severity, tags, \
         references, tests",
    );
}

#[test]
fn no_logs() {
    let message =
        "a rule needs `logs`, the log types it looks at, as in logs = [\"cloudtrail:events\"], or `datatypes`";
    check(r#"tags = ["t"]"#, &format!("1:0 {message}"));
    assert!(mistakes("", FUNCTION).ends_with(message));
}

#[test]
fn empty_logs() {
    check("logs = []", "1:7 `logs` needs at least one text");
    check(r#"logs = ["a", " "]"#, "1:13 a log type is not empty");
    check("datatypes = []", "1:12 `datatypes` needs at least one text");
    check(r#"datatypes = [" "]"#, "1:13 a datatype is not empty");
}

#[test]
fn wrong_type() {
    check("logs = 3", "1:7 `logs` takes a list of texts");
    check(r#"logs = ["a", 3, "b", true]"#, "1:13 `logs` takes a list of texts\n1:21 `logs` takes a list of texts");
    check(r#"logs = "a", severity = 3"#, "1:23 `severity` takes a text");
    check(r#"logs = "a", severity = ["high"]"#, "1:23 `severity` takes a text");
    check(r#"logs = "a", publishers = 1"#, "1:25 `publishers` takes a text or a list of texts");
    check(r#"logs = "a", tags = x"#, "1:19 expected a text, a number, true or false, or a list of them");
    check(r#"logs = "a", tags = [["x"]]"#, "1:20 expected a text, a number, true or false, or a list of them");
}

#[test]
fn merge_incomplete() {
    check(
        r#"logs = "a", merge(by = ["x"])"#,
        r#"1:12 `merge` needs `minutes`, as in merge(by = ["userIdentity.arn"], minutes = 30)"#,
    );
    check(r#"logs = "a", merge(by = [], minutes = 3)"#, "1:23 `by` needs at least one text");
    check(r#"logs = "a", merge(by = "x", minutes = 0)"#, "1:38 `minutes` takes a whole number of minutes from 1 on");
    check(r#"logs = "a", merge(by = "x", minutes = "5")"#, "1:38 `minutes` takes a whole number of minutes from 1 on");
    check(
        r#"logs = "a", merge(by = "x", minutes = 1, min = 2)"#,
        "1:41 `merge` has no `min`; it takes by, minutes, on, first, max, threshold",
    );
    check(
        r#"logs = "a", merge(by = "x", minutes = 1, max = 1)"#,
        "1:47 `max` takes a whole number of alerts from 2 to 1000",
    );
    check(
        r#"logs = "a", merge(minutes = 1, threshold = "a")"#,
        "1:43 `threshold` takes a whole number of alerts from 2 to 1000",
    );
    check(r#"logs = "a", merge(minutes = 1, on = "now")"#, "1:36 `on` is one of arrival, event");
    check(r#"logs = "a", merge(minutes = 1, first = 1)"#, "1:39 `first` is one of wait, send");
    check(r#"logs = "a", merge(by = "x", by = "y", minutes = 1)"#, "1:28 `by` is given twice");
    check(r#"logs = "a", merge = 3"#, r#"1:12 `merge` is written merge(by = ["path"], minutes = 30)"#);
}

#[test]
fn unknown_severity() {
    check(
        r#"logs = "a", severity = "urgent""#,
        r#"1:23 there is no severity "urgent"; it is one of info, low, medium, high, critical"#,
    );
}

#[test]
fn output_without_descriptor() {
    check(
        r#"logs = "a", outputs = ["slack:x", "slack", ":y"]"#,
        "1:34 an output is written service:descriptor, as in \"slack:security\", not \"slack\"\n\
         1:43 an output is written service:descriptor, as in \"slack:security\", not \":y\"",
    );
}

#[test]
fn option_given_twice() {
    check(r#"logs = "a", tags = "x", logs = "b""#, "1:24 `logs` is given twice");
    check(r#"logs = "a", when(x = 1), when(y = 1)"#, "1:25 `when` is given twice");
}

#[test]
fn option_without_value() {
    check(r#"logs = "a", tags("x")"#, "1:12 `tags` is written tags = …");
    check(r#"logs = "a", when = 1"#, "1:12 `when` is written when(path = value, …)");
    check(r#"logs = "a" tags = "x""#, "1:11 expected `,`");
}

#[test]
fn unknown_test_in_when() {
    check(
        r#"logs = "a", when(regex(x = "y"))"#,
        "1:17 there is no test `regex`; write path = value, or one of prefix, suffix, contains, exists with parentheses",
    );
}

#[test]
fn condition_without_sense() {
    check(r#"logs = "a", when(x.y)"#, "1:20 expected `=` and what \"x.y\" must equal, or exists(x.y)");
    check(r#"logs = "a", when(x = [])"#, "1:21 an empty list never matches");
    check(r#"logs = "a", when(prefix(x = []))"#, "1:28 `prefix` needs at least one text");
    check(r#"logs = "a", when(prefix(x = 1))"#, "1:28 `prefix` takes a list of texts");
    check(r#"logs = "a", when(prefix())"#, "1:17 `prefix` needs a path");
    check(r#"logs = "a", when("" = 1)"#, "1:17 a path is not empty");
    check(r#"logs = "a", when(1 = 1)"#, "1:17 expected a path: dotted names, or a text such as \"user-agent\"");
    check(r#"logs = "a", when(x.0x1 = 1)"#, "1:19 expected a path: dotted names, or a text such as \"user-agent\"");
    check(r#"logs = "a", when(x = 9223372036854775808)"#, "1:21 this integer does not fit 64 bits with a sign");
    check(r#"logs = "a", when(x = 1u8)"#, "1:21 expected a text, a number, true or false, or a list of them");
}

#[test]
fn context_is_no_object() {
    check(r#"logs = "a", context = "[1]""#, "1:22 `context` must be a JSON object, as in r#\"{\"team\": \"cloud\"}\"#");
    check(
        r#"logs = "a", context = "{team}""#,
        "1:22 `context` must be a JSON object: key must be a string at line 1 column 2",
    );
}

#[test]
fn several_mistakes_at_once() {
    check(
        r#"logs = [], severity = "x", nope = 1, outputs = ["y"]"#,
        "1:7 `logs` needs at least one text\n\
         1:22 there is no severity \"x\"; it is one of info, low, medium, high, critical\n\
         1:27 there is no option `nope`; the options are logs, datatypes, when, outputs, publishers, merge, context, severity, tags, \
         references, tests\n\
         1:48 an output is written service:descriptor, as in \"slack:security\", not \"y\"",
    );
}

#[test]
fn functions_that_are_no_rules() {
    check_function(
        "async fn a(record: &Record) -> bool { true }",
        "1:0 a rule cannot be async: it looks at a record and has nothing to wait for",
    );
    check_function("unsafe fn a(record: &Record) -> bool { true }", "1:0 a rule cannot be unsafe");
    check_function("extern \"C\" fn a(record: &Record) -> bool { true }", "1:0 a rule cannot be extern");
    check_function("fn a<T>(record: &Record) -> bool { true }", "1:5 a rule cannot be generic");
    check_function("fn a(record: &impl Sized) -> bool { true }", "1:13 a rule cannot be generic");
    check_function("fn a<'a>(record: &'a Record) -> bool { true }", "none");
}

#[test]
fn wrong_parameters() {
    check_function(
        "fn a() -> bool { true }",
        "1:4 a rule takes the record: a rule is written fn name(record: &Record) -> bool",
    );
    check_function(
        "fn a(record: &Record, context: &str) -> bool { true }",
        "1:22 a rule takes the record and nothing else: a rule is written fn name(record: &Record) -> bool",
    );
    check_function(
        "fn a(record: Record) -> bool { true }",
        "1:13 a rule borrows the record: a rule is written fn name(record: &Record) -> bool",
    );
    check_function(
        "fn a(record: &mut Record) -> bool { true }",
        "1:13 a rule borrows the record: a rule is written fn name(record: &Record) -> bool",
    );
    check_function(
        "fn a(&self) -> bool { true }",
        "1:5 a rule is no method: a rule is written fn name(record: &Record) -> bool",
    );
}

#[test]
fn nothing_returned() {
    check_function("fn a(record: &Record) {}", "1:3 a rule returns `bool`, `Finding`, or an `Option` of either");
}

#[test]
fn not_a_function() {
    assert!(mistakes(r#"logs = "a""#, "struct A;").starts_with("1:0 #[rule] belongs above a function"));
}

#[test]
fn description_from_elsewhere() {
    check_function(
        "#[doc = include_str!(\"a.md\")] fn a(record: &Record) -> bool { true }",
        "1:8 the description of a rule must be a plain doc comment",
    );
}

#[test]
fn the_function_survives_a_mistake() {
    let tokens = |text| TokenStream::from_str(text).unwrap();
    let text = rule(tokens("nope"), tokens(FUNCTION)).to_string();
    assert!(text.starts_with("fn a") && text.contains("compile_error"), "{text}");
}
