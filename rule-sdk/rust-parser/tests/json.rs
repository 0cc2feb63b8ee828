//! What the writer writes, a JSON reader reads back.

use serde_json::{Value, json};
use streamalert_parser_sdk::{Json, Object};

#[track_caller]
fn check(value: impl Json, expected: Value) {
    let text = Object::new().with("it", value).finish();
    let read: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(read["it"], expected, "{text}");
}

#[test]
fn every_letter_comes_back() {
    let all: String = (0..=0x2ff).chain([0x2028, 0x2029, 0xfffd, 0x1f600]).filter_map(char::from_u32).collect();
    check(&*all, json!(all));
    check("", json!(""));
    check(all.clone(), json!(all));
    let text = Object::new().with(&all, 1).finish();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({ all: 1 }));
}

#[test]
fn what_is_escaped_is_found_wherever_it_stands() {
    for special in ["\"", "\\", "\n", "\u{1}", "\u{1f}", "\u{7f}", "ä", "\u{80}"] {
        for (before, behind) in (0..20).flat_map(|before| [(before, 0), (before, 7), (before, 20)]) {
            let text = format!("{}{special}{}", " ~".repeat(before), "ü!".repeat(behind));
            check(&*text, json!(text));
        }
    }
}

#[test]
fn integers_are_exact() {
    for number in [0, 9, 10, 1234567890, u64::from(u32::MAX), 1 << 32, 10u64.pow(19), u64::MAX - 1, u64::MAX] {
        check(number, json!(number));
    }
    for number in [i64::MIN, -10, -1, 0, i64::MAX] {
        check(number, json!(number));
    }
    check(255u8, json!(255));
    check(-128i8, json!(-128));
    check(65535u16, json!(65535));
    check(usize::MAX, json!(u64::MAX));
}

#[test]
fn floats_come_back_as_they_were_or_as_null() {
    for number in [0.0, -0.5, 1.0, 0.1, 1e300, 1e-300, f64::MAX, f64::MIN_POSITIVE, 1e16, 123456789.125] {
        check(number, json!(number));
    }
    check(f64::NAN, Value::Null);
    check(f64::NEG_INFINITY, Value::Null);
}

#[test]
fn the_rest() {
    check(true, json!(true));
    check(None::<u8>, Value::Null);
    check(Some("x"), json!("x"));
    check(vec![Some(1), None], json!([1, null]));
    check(Vec::<u8>::new(), json!([]));
    check([["a"], ["b"]], json!([["a"], ["b"]]));
    check(Object::new(), json!({}));
    check(Object::new().with("a", Object::new().with("b", 1)), json!({"a": {"b": 1}}));
    check(std::net::Ipv4Addr::new(192, 0, 2, 1), json!("192.0.2.1"));
    check("2001:db8::1".parse::<std::net::IpAddr>().unwrap(), json!("2001:db8::1"));
    assert!(Object::new().is_empty() && !Object::new().with("a", 1).is_empty());
}
