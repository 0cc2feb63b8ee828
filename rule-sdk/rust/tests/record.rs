//! Reading records: what is there, what is not, and what is something else.

use streamalert_sdk::prelude::*;

fn record() -> Box<Record> {
    Record::parse(
        r#"{
            "who": {"type": "Root", "a.b": "dotted", "groups": ["a", 1, "b"]},
            "n": -7, "one": 1.0, "big": 18446744073709551615, "exact": 9007199254740993, "f": 0.5,
            "yes": true, "no": false, "null": null, "empty": "", "list": [], "object": {},
            "items": [{"port": 22}, {"port": 80}]
        }"#,
    )
    .unwrap()
}

#[test]
fn texts() {
    let record = record();
    assert_eq!(record.text("who.type"), Some("Root"));
    assert_eq!(record.text(r"who.a\.b"), Some("dotted"));
    assert_eq!(record.text("empty"), Some(""));
    for path in ["nope", "who", "n", "null", "yes", "who.type.x", "", "who.groups.1", "who.groups.-1"] {
        assert_eq!(record.text(path), None, "{path}");
    }
    assert_eq!((record.text_or("nope", "-"), record.text_or("who.type", "-")), ("-", "Root"));
    assert!(record.is("who.type", "Root") && !record.is("who.type", "root") && !record.is("nope", ""));
    assert!(record.is_any("who.type", &["x", "Root"]) && !record.is_any("n", &["-7"]));
}

#[test]
fn numbers_and_booleans() {
    let record = record();
    assert_eq!((record.int("n"), record.uint("n"), record.float("n")), (Some(-7), None, Some(-7.0)));
    assert_eq!((record.int("one"), record.uint("one"), record.float("one")), (None, None, Some(1.0)));
    assert_eq!((record.int("big"), record.uint("big")), (None, Some(u64::MAX)));
    assert_eq!((record.int("exact"), record.float("f")), (Some(9007199254740993), Some(0.5)));
    assert_eq!((record.bool("yes"), record.bool("no"), record.bool("n")), (Some(true), Some(false), None));
    assert_eq!((record.int("empty"), record.float("null")), (None, None));
}

#[test]
fn presence() {
    let record = record();
    assert!(record.exists("null") && record.is_null("null"));
    assert!(!record.exists("nope") && !record.is_null("nope") && !record.is_null("empty"));
    assert_eq!((record.len("who.groups"), record.len("who"), record.len("list")), (Some(3), Some(3), Some(0)));
    assert_eq!((record.len("empty"), record.len("nope")), (None, None));
}

#[test]
fn lists() {
    let record = record();
    assert_eq!(record.texts("who.groups").collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(record.texts("who.type").collect::<Vec<_>>(), ["Root"]);
    assert_eq!(record.texts("nope").chain(record.texts("who")).count(), 0);
    assert_eq!(record.items("items").filter_map(|item| item.get("port")?.int()).collect::<Vec<_>>(), [22, 80]);
    assert_eq!(record.items("who").chain(record.items("who.type")).count(), 0);
}

#[test]
fn walking() {
    let record = record();
    let who = record.field("who").unwrap();
    assert_eq!(who.entries().map(|(key, _)| key).collect::<Vec<_>>(), ["type", "a.b", "groups"]);
    assert_eq!(who.get("a.b").and_then(Field::text), Some("dotted"));
    assert_eq!(who.at("groups.2").and_then(Field::text), Some("b"));
    assert_eq!(record.root().at("items.1.port").and_then(Field::int), Some(80));
    assert!(who.item(0).is_none() && who.at("groups.3").is_none());
}

#[test]
fn values_come_out_as_they_went_in() {
    let record = record();
    assert_eq!(record.value("who.groups"), Some(json!(["a", 1, "b"])));
    assert_eq!((record.value("null"), record.value("nope")), (Some(Value::Null), None));
    assert_eq!(Record::parse(&record.json()).unwrap().to_value(), record.to_value());
    assert_eq!(format!("{:?}", record.field("items.0").unwrap()), r#"{"port":22}"#);
}

#[test]
fn one_record_after_another_with_other_key_orders() {
    let a = Record::from_json(json!({"x": {"y": "1"}, "z": 0}));
    let b = Record::from_json(json!({"z": 0, "x": {"w": 0, "y": "2"}}));
    for _ in 0..3 {
        assert_eq!((a.text("x.y"), b.text("x.y")), (Some("1"), Some("2")));
    }
}

#[test]
fn lookup_tables_are_fakes_here() {
    lookup::fake("owners", json!({"i-1": "cloud", "i-2": null}));
    assert_eq!(lookup::get("owners", "i-1"), Some(json!("cloud")));
    assert_eq!(lookup::get("owners", "i-2"), Some(Value::Null));
    assert!(lookup::contains("owners", "i-2") && !lookup::contains("owners", "i-3") && !lookup::contains("x", "i-1"));
    lookup::forget_fakes();
    assert_eq!(lookup::get("owners", "i-1"), None);
}
