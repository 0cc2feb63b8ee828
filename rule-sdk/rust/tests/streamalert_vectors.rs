//! What StreamAlert's own helpers answered, against ours. The answers are kept outside this repository; where they are not
//! at hand there is nothing to compare.

use serde_json::Value;
use std::path::Path;
use streamalert_sdk::prelude::*;

/// Where we answer otherwise on purpose.
const DIFFERENCES: [(&str, &str); 9] = [
    ("in_network/2", "::1 is an address like any other"),
    ("in_network/9", "`10.1` is short for different things in different places"),
    ("in_network/10", "a decimal number is no address; that is \"no\", not an error"),
    ("valid_ip/10", "leading zeros are octal to some readers"),
    ("data_has_value/4", "true is not 1"),
    ("data_has_value_from_substring_list/1", "a number is passed over, not an error"),
    ("data_has_value_from_substring_list/4", "a boolean is passed over, not an error"),
    ("safe_json_loads/5", "nothing to read is an empty object, not an error"),
    ("last_hour/4", "a text that is no time is \"no\", not an error"),
];

/// Helpers we do not have, and arguments our types do not let through.
fn is_left_out(function: &str, args: &[Value]) -> Option<&'static str> {
    match function {
        "random_bool" => Some("a rule answers the same each time it is asked"),
        "starts_with_any" | "ends_with_any" | "contains_any" | "matches_any" if args[1].is_string() => {
            Some("a text is no list; the compiler refuses it")
        }
        _ => None,
    }
}

fn answer(function: &str, args: &[Value]) -> Value {
    let text = args[0].as_str();
    let list = || -> Vec<&str> { args[1].as_array().unwrap().iter().filter_map(Value::as_str).collect() };
    let record = Record::from_json(args[0].clone());
    let data = &*record;
    match function {
        "in_network" => helpers::in_network(text, &list()).into(),
        "valid_ip" => helpers::valid_ip(text).into(),
        "path_matches_any" => helpers::path_matches_any(text, &list()).into(),
        "starts_with_any" => helpers::starts_with_any(text, &list()).into(),
        "ends_with_any" => helpers::ends_with_any(text, &list()).into(),
        "contains_any" => helpers::contains_any(text, &list()).into(),
        "matches_any" => helpers::matches_any(text, &list()).into(),
        "data_has_value" => helpers::has_value(data, args[1].clone()).into(),
        "data_has_value_with_substring" => helpers::has_value_with_substring(data, args[1].as_str().unwrap()).into(),
        "data_has_value_from_list" => helpers::has_value_from_list(data, &list()).into(),
        "data_has_value_from_substring_list" => helpers::has_value_from_substring_list(data, &list()).into(),
        "safe_json_loads" => helpers::safe_json(text),
        // The old helper asked a clock; none of the kept answers depends on what it said.
        "last_hour" => {
            helpers::last_hour(args[0].as_i64().or_else(|| helpers::parse_time(text)), 1_700_000_000, 1).into()
        }
        "get_keys" => {
            let max = args.get(2).and_then(Value::as_u64).map(|max| max as usize);
            let found = helpers::get_keys(data, args[1].as_str().unwrap(), max);
            found.into_iter().map(|field| field.to_value()).collect()
        }
        "get_first_key" => {
            let default = args.get(2).cloned().unwrap_or_default();
            helpers::get_first_key(data, args[1].as_str().unwrap()).map_or(default, |field| field.to_value())
        }
        other => panic!("a helper we do not know: {other}"),
    }
}

#[test]
fn helpers_answer_as_streamalert_did() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/streamalert/vectors/helpers.jsonl");
    let Ok(vectors) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: no {}", path.display());
        return;
    };
    let mut wrong = Vec::new();
    let mut compared = 0;
    for line in vectors.lines().filter(|line| !line.trim().is_empty()) {
        let vector: Value = serde_json::from_str(line).unwrap();
        let (id, function) = (vector["id"].as_str().unwrap(), vector["fn"].as_str().unwrap());
        let args = vector["args"].as_array().unwrap();
        if is_left_out(function, args).is_some() {
            continue;
        }
        compared += 1;
        let ours = answer(function, args);
        let differs = ours != vector["result"];
        let meant = DIFFERENCES.iter().find(|(listed, _)| *listed == id).map(|(_, reason)| *reason);
        match (differs, meant) {
            (true, None) => wrong.push(format!("{id}: {args:?} gives {ours}, was {}", vector["result"])),
            (false, Some(reason)) => wrong.push(format!("{id} is the same after all, though {reason}")),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{compared} compared\n{}", wrong.join("\n"));
}
