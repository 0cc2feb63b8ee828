//! Rules as their authors write them, and what the attribute makes of them.

use streamalert_sdk::__private::{Condition, Literal, Rule, Test, rules};
use streamalert_sdk::prelude::*;

/// Somebody logged in as root.
///
///   An indented line,
/// and one "with quotes".
#[rule(
    logs = ["cloudtrail:events", "okta"],
    when(
        eventName = ["ConsoleLogin", "SwitchRole"],
        userIdentity.type = "Root",
        resources.0.1.kind = -3,
        "http.user-agent" = [1.5, true],
        prefix(userAgent = ["aws-cli", "Boto"], r#type = "t"),
        suffix(a = "z"),
        contains(b.match = ["x"]),
        exists(errorCode, "a.b\\.c"),
    ),
    outputs = ["slack:security", "aws-sqs:queue:fifo"],
    publishers = r#"{"slack": ["short"]}"#,
    merge(by = ["userIdentity.arn"], minutes = 30),
    severity = "high",
    tags = ["attack.t1078.004"],
    references = "https://example.com/a",
    context = r#"{"team": "cloud"}"#,
    tests = ["root.json"],
)]
fn everything(record: &Record) -> bool {
    record.exists("x")
}

#[rule(logs = ["b"])]
fn a_finding(record: &Record) -> Option<Finding> {
    Some(Finding::new(record.text("title")?))
}

#[rule(logs = ["b"])]
pub fn a_maybe(record: &Record) -> Option<bool> {
    Some(record.int("n")? > 3)
}

#[rule(logs = ["b"])]
#[expect(clippy::needless_lifetimes, reason = "an author may name it")]
fn always<'a>(_: &'a Record) -> Finding {
    Finding::new("always")
}

mod other {
    use super::*;

    /**
     * A block
     *   of lines.
     */
    #[rule(logs = ["b"])]
    fn a_maybe(_record: &Record) -> bool {
        false
    }
}

fn show(condition: &Condition) -> String {
    let literal = |literal: &Literal| match literal {
        Literal::Bool(bool) => bool.to_string(),
        Literal::Int(int) => int.to_string(),
        Literal::Float(float) => float.to_string(),
        Literal::Text(text) => format!("{text:?}"),
    };
    let test = match &condition.test {
        Test::Equals(values) => format!("= {}", values.iter().map(literal).collect::<Vec<_>>().join("|")),
        Test::Prefix(texts) => format!("prefix {}", texts.join("|")),
        Test::Suffix(texts) => format!("suffix {}", texts.join("|")),
        Test::Contains(texts) => format!("contains {}", texts.join("|")),
        Test::Exists => "exists".to_owned(),
    };
    format!("{} {test}", condition.path)
}

fn rule(name: &str) -> &'static Rule {
    rules().iter().find(|rule| rule.name == name).unwrap()
}

#[test]
fn rules_are_listed_by_name_and_twins_by_module() {
    let names: Vec<_> = rules().iter().map(|rule| (rule.name, rule.module)).collect();
    assert_eq!(
        names,
        [
            ("a_finding", "rules"),
            ("a_maybe", "rules"),
            ("a_maybe", "rules::other"),
            ("always", "rules"),
            ("everything", "rules"),
        ]
    );
}

#[test]
fn the_options_are_kept() {
    let rule = rule("everything");
    assert_eq!(rule.description, "Somebody logged in as root.\n\n  An indented line,\nand one \"with quotes\".");
    assert_eq!(rule.logs, ["cloudtrail:events", "okta"]);
    assert_eq!(
        rule.when.iter().map(show).collect::<Vec<_>>(),
        [
            r#"eventName = "ConsoleLogin"|"SwitchRole""#,
            r#"userIdentity.type = "Root""#,
            "resources.0.1.kind = -3",
            "http.user-agent = 1.5|true",
            "userAgent prefix aws-cli|Boto",
            "type prefix t",
            "a suffix z",
            "b.match contains x",
            "errorCode exists",
            r"a.b\.c exists",
        ]
    );
    assert_eq!(
        serde_json_value(rule.options),
        json!({
            "outputs": ["slack:security", "aws-sqs:queue:fifo"],
            "publishers": {"slack": ["short"]},
            "merge": {"by": ["userIdentity.arn"], "minutes": 30},
            "severity": "high",
            "tags": ["attack.t1078.004"],
            "references": ["https://example.com/a"],
            "context": {"team": "cloud"},
            "tests": ["root.json"],
        })
    );
}

#[test]
fn a_rule_without_options_says_nothing() {
    let rule = rule("a_finding");
    assert_eq!((rule.description, rule.options, rule.when.len()), ("", "{}", 0));
}

#[test]
fn block_comments_lose_their_stars() {
    let twin = rules().iter().find(|rule| rule.module == "rules::other").unwrap();
    assert_eq!(twin.description, "A block\n  of lines.");
}

#[test]
fn each_kind_of_answer_becomes_a_finding() {
    let judge = |name: &str, record: Value| (rule(name).judge)(&Record::from_json(record));
    assert_eq!(judge("everything", json!({"x": null})), Some(Finding::default()));
    assert_eq!(judge("everything", json!({})), None);
    assert_eq!(judge("a_finding", json!({"title": "t"})), Some(Finding::new("t")));
    assert_eq!(judge("a_finding", json!({})), None);
    assert_eq!(judge("a_maybe", json!({"n": 4})), Some(Finding::default()));
    assert_eq!(judge("a_maybe", json!({"n": 3})), None);
    assert_eq!(judge("a_maybe", json!({"n": "4"})), None);
}

#[test]
fn rules_stay_functions() {
    assert!(everything(&Record::from_json(json!({"x": 1}))));
}

fn serde_json_value(text: &str) -> Value {
    streamalert_sdk::serde_json::from_str(text).unwrap()
}
