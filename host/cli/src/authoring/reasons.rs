//! Conditions in words, and what a record holds where they look.

use serde::Serialize;
use serde_json::Value;
use streamalert_packed::{Kind, Node, Record, segments};
use streamalert_pipeline::plugin::{Condition, Test};
use streamalert_pipeline::printable::printable;
use streamalert_pipeline::rules_engine::prefilter::{loose_condition_holds, test_holds};

/// Characters of a value that are shown; the record itself is at hand to whoever asks.
const VALUE_CHARS_MAX: usize = 160;
/// Keys that are named where one is missing.
const KEYS_MAX: usize = 8;
/// Values of one condition that are named.
const VALUES_MAX: usize = 8;

/// One condition, looked at for one record.
#[derive(Serialize)]
pub struct Looked {
    pub path: String,
    pub test: Test,
    pub holds: bool,
    /// What is there; `None`: nothing.
    pub value: Option<Value>,
    /// Where the path ends early.
    #[serde(skip)]
    missing: String,
}

pub fn look(condition: &Condition, record: Record<'_>) -> Looked {
    let (node, missing) = walk(&condition.path, record);
    Looked {
        path: condition.path.clone(),
        test: condition.test.clone(),
        holds: node.is_some_and(|node| test_holds(&condition.test, node)),
        value: node.map(Node::to_value),
        missing,
    }
}

/// Conditions of which one must hold, compared loosely.
#[derive(Serialize)]
pub struct LookedAny {
    pub any: Vec<Condition>,
    pub holds: bool,
}

pub fn look_any(conditions: &[Condition], record: Record<'_>) -> LookedAny {
    let holds = conditions.iter().any(|condition| loose_condition_holds(condition, record));
    LookedAny { any: conditions.to_vec(), holds }
}

impl LookedAny {
    pub fn text(&self) -> String {
        words_any(&self.any)
    }
}

/// `eventName is "ConsoleLogin", or eventType contains "SignIn" (in any case)`
pub fn words_any(conditions: &[Condition]) -> String {
    let more = conditions.len().saturating_sub(VALUES_MAX);
    let mut named: Vec<String> = conditions.iter().take(VALUES_MAX).map(words).collect();
    if more > 0 {
        named.push(format!("one of {more} others holds"));
    }
    format!("{} (in any case)", named.join(", or "))
}

impl Looked {
    /// The condition and what the record holds.
    pub fn text(&self) -> String {
        let condition = words(&Condition { path: self.path.clone(), test: self.test.clone() });
        match &self.value {
            Some(value) => format!("{condition}: the record holds {}", shown(value)),
            None => format!("{condition}: {}", self.missing),
        }
    }
}

/// `eventName is "ConsoleLogin" or "SwitchRole"`
pub fn words(condition: &Condition) -> String {
    let path = printable(&condition.path);
    let texts = |texts: &[String]| any(texts.iter().map(|text| shown(&Value::from(text.as_str()))));
    match &condition.test {
        Test::Equals(values) => format!("{path} is {}", any(values.iter().map(shown))),
        Test::Prefix(parts) => format!("{path} begins with {}", texts(parts)),
        Test::Suffix(parts) => format!("{path} ends with {}", texts(parts)),
        Test::Contains(parts) => format!("{path} contains {}", texts(parts)),
        Test::Exists => format!("{path} is there"),
    }
}

fn any(values: impl ExactSizeIterator<Item = String>) -> String {
    let more = values.len().saturating_sub(VALUES_MAX);
    let mut named: Vec<String> = values.take(VALUES_MAX).collect();
    if more > 0 {
        named.push(format!("{more} others"));
    }
    named.join(" or ")
}

/// As JSON, without control characters, cut where it is long.
pub fn shown(value: &Value) -> String {
    let text = printable(&value.to_string());
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((at, _)) => format!("{}… ({} characters)", &text[..at], text.chars().count()),
        None => text,
    }
}

fn walk<'a>(path: &str, record: Record<'a>) -> (Option<Node<'a>>, String) {
    let mut node = record.root();
    let mut walked: Vec<String> = Vec::new();
    for step in segments(path) {
        let Some(next) = node.step(&step) else { return (None, missing(&walked, &step, node)) };
        walked.push(step.into_owned());
        node = next;
    }
    (Some(node), String::new())
}

/// `userIdentity has no "type"; it has arn, principalId`
fn missing(walked: &[String], step: &str, node: Node<'_>) -> String {
    let place = if walked.is_empty() { "the record".to_owned() } else { printable(&walked.join(".")) };
    let step = shown(&Value::from(step));
    match node.kind() {
        Kind::Object if node.is_empty() => format!("{place} has no {step}; it is an empty object"),
        Kind::Object => {
            let mut keys: Vec<String> = node.entries().take(KEYS_MAX).map(|(key, _)| printable(key)).collect();
            if node.len() > KEYS_MAX {
                keys.push(format!("{} more", node.len() - KEYS_MAX));
            }
            format!("{place} has no {step}; it has {}", keys.join(", "))
        }
        Kind::Array => format!("{place} is a list of {}, and has no {step}", node.len()),
        _ => format!("{place} has no {step}; it is {}", shown(&node.to_value())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use streamalert_packed::Builder;

    fn check(path: &str, test: Test, record: Value, expected: &str) {
        let mut bytes = Vec::new();
        let range = Builder::json(&mut bytes, &record);
        // SAFETY: the builder made these bytes.
        let record = unsafe { Record::trusted(&bytes[range]) };
        assert_eq!(look(&Condition { path: path.into(), test }, record).text(), expected);
    }

    #[test]
    fn what_a_record_holds_instead() {
        let login = || Test::Equals(vec![json!("ConsoleLogin"), json!(7)]);
        let record = json!({"name": "Logout", "user": {"arn": "a", "id": 1}, "list": [1, 2], "none": {}});
        check("name", login(), record.clone(), r#"name is "ConsoleLogin" or 7: the record holds "Logout""#);
        check("user.type", Test::Exists, record.clone(), r#"user.type is there: user has no "type"; it has arn, id"#);
        check("list.5", Test::Exists, record.clone(), r#"list.5 is there: list is a list of 2, and has no "5""#);
        check(
            "name.first",
            Test::Exists,
            record.clone(),
            r#"name.first is there: name has no "first"; it is "Logout""#,
        );
        check("none.x", Test::Exists, record, r#"none.x is there: none has no "x"; it is an empty object"#);
    }

    #[test]
    fn what_is_long_is_cut_and_nothing_reaches_the_terminal_raw() {
        let long = shown(&json!("x".repeat(1000)));
        assert!(long.ends_with("… (1002 characters)") && long.chars().count() < 200, "{long}");
        assert!(!shown(&json!("\u{1b}[31m\u{202e}")).contains(['\u{1b}', '\u{202e}']));
    }
}
