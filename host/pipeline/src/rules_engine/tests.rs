use super::*;
use crate::classifier::Classifier;
use crate::config::Clusters;
use crate::log_record::{Payload, Source};
use crate::plugin::{Condition, Judged, RuleOptions, Test};
use serde_json::{Value, json};
use std::sync::Mutex;

type Judge = dyn Fn(usize, Record<'_>) -> Result<bool, PluginErrorKind> + Send + Sync;

/// Rules as closures: what the pipeline sees of a component.
struct Native {
    rules: Vec<RuleInfo>,
    judge: Box<Judge>,
    calls: Mutex<Vec<(usize, usize)>>,
}

struct NativeSession<'a>(&'a Native, &'a Arc<Batch>);

impl RulePlugin for Native {
    fn name(&self) -> &str {
        "native.wasm"
    }
    fn digest(&self) -> &str {
        "d1"
    }
    fn rules(&self) -> &[RuleInfo] {
        &self.rules
    }
    fn open<'a>(&'a self, batch: &'a Arc<Batch>) -> Box<dyn RuleSession + 'a> {
        Box::new(NativeSession(self, batch))
    }
}

impl RuleSession for NativeSession<'_> {
    fn evaluate(&mut self, rule: usize, rows: &[u32]) -> Result<Judged, PluginError> {
        self.0.calls.lock().unwrap().push((rule, rows.len()));
        let mut judged = Judged { fuel: rows.len() as u64 * 10, ..Judged::default() };
        for row in rows {
            let verdict = (self.0.judge)(rule, self.1.record(*row).unwrap());
            if verdict.map_err(|kind| PluginError::new(kind, "oops"))? {
                judged.findings.push(Finding { row: *row, ..Finding::default() });
            }
        }
        Ok(judged)
    }
}

fn rule(name: &str, when: &[(&str, Test)]) -> RuleInfo {
    RuleInfo {
        name: name.to_owned(),
        description: String::new(),
        logs: vec!["t".to_owned()],
        when: when.iter().map(|(path, test)| Condition { path: (*path).to_owned(), test: test.clone() }).collect(),
        options: RuleOptions::default(),
    }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn schemas() -> Arc<Schemas> {
    let text = r#"{"t:a": {"parser": "json", "schema": {"n": "integer", "s": "string", "o": {}}},
                   "u": {"parser": "json", "schema": {"other": "string"}}}"#;
    Arc::new(Schemas::read(&[("t.json".to_owned(), text.to_owned())]).unwrap())
}

fn batch(lines: &[Value]) -> LogBatch {
    let bytes: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
    let source = Source::new("file", "r", "o");
    let classifier = Arc::new(Classifier::new(schemas(), Arc::new(Clusters::default())));
    let classified = classifier.worker().classify(Payload::new(Arc::new(source), 0, bytes));
    assert!(classified.dead.is_empty(), "{:?}", classified.dead);
    classified.batch
}

fn rows(numbers: std::ops::Range<i64>) -> Vec<Value> {
    numbers.map(|n| json!({"n": n, "s": format!("s{n}"), "o": {}})).collect()
}

fn rules(
    infos: Vec<RuleInfo>,
    judge: impl Fn(usize, Record<'_>) -> Result<bool, PluginErrorKind> + Send + Sync + 'static,
) -> (Rules, Arc<Native>) {
    let native = Arc::new(Native { rules: infos, judge: Box::new(judge), calls: Mutex::default() });
    (Rules::new(PluginSet { plugins: vec![native.clone()], ..PluginSet::default() }, &schemas()), native)
}

fn n(record: Record<'_>) -> i64 {
    record.get("n").and_then(|n| n.as_i64()).unwrap()
}

#[test]
fn only_the_poisonous_record_is_lost_and_only_to_its_rule() {
    let (rules, _) = rules(vec![rule("fragile", &[]), rule("sound", &[])], |rule, record| match (rule, n(record)) {
        (0, 7) => Err(PluginErrorKind::Trap),
        (0, n) => Ok(n % 2 == 1),
        _ => Ok(true),
    });
    let detected = rules.judge(&batch(&rows(0..10)), "now");
    let of = |name: &str| {
        detected.alerts.iter().filter(|a| a.rule_name == name).map(|a| a.record.to_value()["n"].clone()).collect()
    };
    let fragile: Vec<Value> = of("fragile");
    assert_eq!(fragile, [1, 3, 5, 9]);
    assert_eq!(Vec::<Value>::len(&of("sound")), 10);
    assert_eq!(detected.dead.len(), 1);
    let letter = &detected.dead[0];
    assert_eq!(letter.fault.as_ref().map(|f| f.rule.as_str()), Some("fragile"));
    assert_eq!(letter.reason, Reason::RuleFault);
    assert_eq!(letter.input.bytes(), br#"{"n":7,"s":"s7","o":{}}"#);
    assert_eq!(detected.stats["fragile"].faults, 1);
    assert_eq!(detected.stats["sound"].faults, 0);
}

#[test]
fn traps_in_a_row_are_all_tried_but_loops_are_given_up() {
    let (trapping, native) = rules(vec![rule("r", &[])], |_, record| match n(record) {
        0..100 => Err(PluginErrorKind::Trap),
        _ => Ok(true),
    });
    let detected = trapping.judge(&batch(&rows(0..200)), "now");
    assert_eq!((detected.alerts.len(), detected.dead.len()), (100, 100));
    assert_eq!(native.calls.lock().unwrap().len(), 201);

    let (looping, native) = rules(vec![rule("r", &[])], |_, record| match n(record) {
        0..400 => Err(PluginErrorKind::OutOfFuel),
        _ => Ok(true),
    });
    let all = batch(&rows(0..1300));
    let detected = looping.judge(&all, "now");
    // Every record is judged or a dead letter. Two of the five batches after the first are left out.
    assert_eq!(detected.alerts.len() + detected.dead.len(), 1300);
    assert_eq!(native.calls.lock().unwrap().iter().filter(|(_, rows)| *rows > 1).count(), 4);
    assert!(detected.dead.iter().any(|letter| letter.message.contains("left out")));
}

#[test]
fn the_same_record_gives_the_same_alert_whatever_the_component() {
    let judge = |_: usize, _: Record<'_>| Ok(true);
    let (first, _) = rules(vec![rule("r", &[])], judge);
    let (second, _) = rules(vec![rule("q", &[]), rule("r", &[])], judge);
    let lines = rows(0..3);
    let ids = |rules: &Rules, batch: &LogBatch| -> Vec<String> {
        rules.judge(batch, "x").alerts.into_iter().filter(|a| a.rule_name == "r").map(|a| a.id).collect()
    };
    let once = ids(&first, &batch(&lines));
    assert_eq!(once, ids(&second, &batch(&lines)));
    assert_eq!(once.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    // Another text at the same place is another record.
    let mut changed = lines.clone();
    changed[1]["s"] = "zz".into();
    let other = ids(&first, &batch(&changed));
    assert!(once[0] == other[0] && once[1] != other[1] && once[2] == other[2]);
}

#[test]
fn conditions_decide_who_is_asked() {
    let check = |test: Test, path: &str, expected: &[i64]| {
        let lines = [
            json!({"n": 0, "s": "ConsoleLogin", "o": {"a.b": 1, "list": [{"k": "x"}]}}),
            json!({"n": 1, "s": "Console", "o": {"flag": true, "f": 7.0}}),
            json!({"n": 2, "s": "", "o": {"flag": false, "f": 7, "null": null}}),
            json!({"n": 3, "s": "loginConsole", "o": {"big": 18446744073709551615u64}}),
        ];
        let (rules, _) = rules(vec![rule("r", &[(path, test.clone())])], |_, _| Ok(true));
        let found: Vec<i64> = rules
            .judge(&batch(&lines), "x")
            .alerts
            .iter()
            .map(|a| a.record.to_value()["n"].as_i64().unwrap())
            .collect();
        assert_eq!(found, expected, "{path} {test:?}");
    };
    check(Test::Equals(vec!["ConsoleLogin".into(), "".into()]), "s", &[0, 2]);
    check(Test::Equals(vec![7.into()]), "o.f", &[1, 2]);
    check(Test::Equals(vec![7.0.into()]), "o.f", &[1, 2]);
    check(Test::Equals(vec!["7".into()]), "o.f", &[]);
    check(Test::Equals(vec![true.into()]), "o.flag", &[1]);
    check(Test::Equals(vec![Value::Null]), "o.null", &[2]);
    check(Test::Equals(vec![u64::MAX.into()]), "o.big", &[3]);
    check(Test::Prefix(texts(&["Console"])), "s", &[0, 1]);
    check(Test::Prefix(texts(&[""])), "s", &[0, 1, 2, 3]);
    check(Test::Suffix(texts(&["Login", "Console"])), "s", &[0, 1, 3]);
    check(Test::Contains(texts(&["nsole"])), "s", &[0, 1, 3]);
    check(Test::Contains(texts(&["nsole"])), "o", &[]);
    check(Test::Exists, "o.null", &[2]);
    check(Test::Exists, "o.nothing", &[]);
    check(Test::Equals(vec![1.into()]), r"o.a\.b", &[0]);
    check(Test::Equals(vec!["x".into()]), "o.list.0.k", &[0]);
    check(Test::Equals(vec!["x".into()]), "o.list.1.k", &[]);
}

#[test]
fn alternatives_are_compared_loosely() {
    let lines = [
        json!({"n": 0, "s": "ConsoleLogin", "o": {"list": [{"k": "X"}, {"k": ["y", 7]}]}}),
        json!({"n": 1, "s": "CONSOLE", "o": {"flag": true, "f": 7.0}}),
        json!({"n": 2, "s": "", "o": {"flag": "False", "f": 7, "null": null}}),
        json!({"n": 3, "s": "loginConsole", "o": {"big": 18446744073709551615u64, "list": []}}),
    ];
    let check = |when_any: &[&[(&str, Test)]], expected: &[i64]| {
        let mut info = rule("r", &[]);
        let condition = |(path, test): &(&str, Test)| Condition { path: (*path).to_owned(), test: test.clone() };
        info.options.when_any = when_any.iter().map(|any| any.iter().map(condition).collect()).collect();
        // Alone it is filed under the first list, beside others under the second.
        for copies in [0, 3] {
            let others = (0..copies).map(|copy| {
                let mut other = rule(&format!("other{copy}"), &[]);
                other.options.when_any = info.options.when_any.iter().take(1).cloned().collect();
                other
            });
            let (rules, _) = rules(std::iter::once(info.clone()).chain(others).collect(), |_, _| Ok(true));
            let batch = batch(&lines);
            let detected = rules.judge(&batch, "x");
            let mine = detected.alerts.iter().filter(|alert| alert.rule_name == "r");
            let found: Vec<i64> = mine.map(|alert| alert.record.to_value()["n"].as_i64().unwrap()).collect();
            assert_eq!(found, expected, "{when_any:?}");
            let by_hand: Vec<i64> = (0..lines.len())
                .filter(|index| {
                    let any = |any: &Vec<Condition>| {
                        any.iter().any(|one| prefilter::loose_condition_holds(one, batch.fields(*index)))
                    };
                    info.options.when_any.iter().all(any)
                })
                .map(|index| index as i64)
                .collect();
            assert_eq!(by_hand, expected, "{when_any:?}");
        }
    };
    let equals = |values: &[Value]| Test::Equals(values.to_vec());
    check(&[&[("s", equals(&["consolelogin".into()]))]], &[0]);
    check(&[&[("s", equals(&["CONSOLELOGIN".into(), "".into()]))]], &[0, 2]);
    check(&[&[("s", Test::Prefix(texts(&["cONSOLE"])))]], &[0, 1]);
    check(&[&[("s", Test::Suffix(texts(&["login", "console"])))]], &[0, 1, 3]);
    check(&[&[("s", Test::Contains(texts(&["NSOLEL"])))]], &[0]);
    check(&[&[("s", Test::Contains(texts(&[""])))]], &[0, 1, 2, 3]);
    // Numbers and booleans as texts, either way.
    check(&[&[("o.f", equals(&["7".into()]))]], &[1, 2]);
    check(&[&[("o.f", equals(&[7.0.into()]))]], &[1, 2]);
    check(&[&[("o.flag", equals(&[false.into()]))]], &[2]);
    check(&[&[("o.flag", equals(&["TRUE".into()]))]], &[1]);
    check(&[&[("o.big", Test::Prefix(texts(&["1844"])))]], &[3]);
    check(&[&[("o.null", equals(&[Value::Null]))]], &[]);
    check(&[&[("o.null", Test::Exists)]], &[2]);
    // Any item of a list, also on the way, and by its number.
    check(&[&[("o.list.k", equals(&["x".into()]))]], &[0]);
    check(&[&[("o.list.k", equals(&["7".into()]))]], &[0]);
    check(&[&[("o.list.1.k", equals(&["Y".into()]))]], &[0]);
    check(&[&[("o.list.0.k", equals(&["Y".into()]))]], &[]);
    check(&[&[("o.list", Test::Exists)]], &[0, 3]);
    check(&[&[("o.list.k", Test::Exists)]], &[0]);
    // One of each list.
    check(&[&[("o.f", Test::Exists), ("o.big", Test::Exists)]], &[1, 2, 3]);
    check(&[&[("o.f", Test::Exists), ("o.big", Test::Exists)], &[("s", Test::Contains(texts(&["console"])))]], &[1, 3]);
    check(&[&[("s", Test::Contains(texts(&["console"])))], &[("nothing", Test::Exists)]], &[]);
}

#[test]
fn all_conditions_must_hold_and_many_rules_do_not_disturb_each_other() {
    let mut infos: Vec<RuleInfo> = (0..500)
        .map(|number| {
            let test = Test::Equals(vec![format!("s{number}").into()]);
            rule(&format!("r{number}"), &[("s", test), ("n", Test::Exists)])
        })
        .collect();
    infos.push(rule("both", &[("s", Test::Prefix(texts(&["s1"]))), ("n", Test::Equals(vec![11.into(), 12.into()]))]));
    infos.push(rule("contradiction", &[("s", Test::Prefix(texts(&["s1"]))), ("n", Test::Equals(vec![2.into()]))]));
    let (rules, native) = rules(infos, |_, _| Ok(true));
    let detected = rules.judge(&batch(&rows(0..20)), "x");
    let names: Vec<&str> = detected.stats.keys().map(String::as_str).collect();
    assert_eq!(names.len(), 21, "{names:?}");
    assert_eq!(detected.stats["both"].findings, 2);
    assert!(!detected.stats.contains_key("contradiction"));
    assert_eq!(native.calls.lock().unwrap().len(), 21);
}

#[test]
fn one_rule_can_be_asked_alone() {
    let (rules, native) = rules(vec![rule("a", &[]), rule("b", &[])], |_, _| Ok(true));
    let detected = rules.judge_by(&batch(&rows(0..2)), "x", &|rule| rule == "b");
    assert!(detected.alerts.iter().all(|a| a.rule_name == "b"));
    assert_eq!(detected.alerts.len(), 2);
    assert_eq!(*native.calls.lock().unwrap(), [(1, 2)]);
}

/// Three vendors' logins, and a log without.
const LOGINS: &str = r#"{
  "a": {"parser": "json", "schema": {"a": "string", "who": "string"}, "configuration": {
    "normalization": {"user.name": ["who"]},
    "ocsf": [{"class": "Authentication", "condition": {"path": ["a"], "is": "login"}, "fields": {"user.name": ["who"]}},
             {"class": "API Activity"}]}},
  "b:x": {"parser": "json", "schema": {"b": "string", "login": "string"}, "configuration": {
    "ocsf": {"class": 3002, "fields": {"user.name": ["login"]}}, "ecs": {"user.name": ["login"]}}},
  "c": {"parser": "json", "schema": {"c": "string"}, "configuration": {"normalization": {"other": ["c"]}}}
}"#;

/// Which of the inputs `rule` is asked about.
fn asked(rule: RuleInfo, inputs: &[Value]) -> Vec<String> {
    let schemas = Arc::new(Schemas::read(&[("t.json".to_owned(), LOGINS.to_owned())]).unwrap());
    let native = Arc::new(Native { rules: vec![rule], judge: Box::new(|_, _| Ok(true)), calls: Mutex::default() });
    let rules = Rules::new(PluginSet { plugins: vec![native.clone()], ..PluginSet::default() }, &schemas);
    let classifier = Arc::new(Classifier::new(schemas, Arc::new(Clusters::default())));
    let bytes: Vec<u8> = inputs.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
    let classified = classifier.worker().classify(Payload::new(Arc::new(Source::new("file", "r", "o")), 0, bytes));
    assert!(classified.dead.is_empty(), "{:?}", classified.dead);
    let detected = rules.judge(&classified.batch, "now");
    // Whoever explains must say the same as the index.
    for (index, record) in classified.batch.records.iter().enumerate() {
        let (info, fields) = (&native.rules[0], classified.batch.fields(index));
        let by_hand = info.looks_at(&record.log_type)
            && prefilter::has_datatype(info, &record.log_type, fields)
            && info.when.iter().all(|condition| {
                fields.get(&condition.path).is_some_and(|node| prefilter::test_holds(&condition.test, node))
            })
            && info
                .options
                .when_any
                .iter()
                .all(|any| any.iter().any(|condition| prefilter::loose_condition_holds(condition, fields)));
        assert_eq!(by_hand, detected.alerts.iter().any(|alert| alert.position == record.position));
    }
    detected.alerts.iter().map(|alert| alert.record.to_value()["n"].as_str().unwrap_or("-").to_owned()).collect()
}

#[test]
fn a_rule_may_ask_for_what_records_of_many_types_have() {
    let inputs = [
        json!({"a": "login", "who": "eve", "n": "a-login"}),
        json!({"a": "list", "who": "eve", "n": "a-list"}),
        json!({"a": "login", "who": "", "n": "a-nobody"}),
        json!({"b": "x", "login": "bob", "n": "b-bob"}),
        json!({"b": "x", "login": "", "n": "b-nobody"}),
        json!({"c": "eve", "n": "c"}),
    ];
    let check = |logs: &[&str], datatypes: &[&str], when: &[(&str, Test)], expected: &[&str]| {
        let mut rule = rule("r", when);
        rule.logs = texts(logs);
        rule.options.datatypes = texts(datatypes);
        assert_eq!(asked(rule, &inputs), expected, "{logs:?} {datatypes:?}");
    };
    check(&[], &["ocsf:authentication"], &[], &["a-login", "a-nobody", "b-bob", "b-nobody"]);
    check(&[], &["ocsf:3002", "ocsf:Authentication"], &[], &["a-login", "a-nobody", "b-bob", "b-nobody"]);
    check(&[], &["ocsf:api_activity"], &[], &["a-list"]);
    check(&["b"], &["ocsf:authentication"], &[], &["b-bob", "b-nobody"]);
    check(&["c"], &["ocsf:authentication"], &[], &[]);
    check(&[], &["user.name"], &[], &["a-login", "a-list"]);
    check(&[], &["ecs:user.name", "other"], &[], &["b-bob", "c"]);
    check(&[], &[], &[], &[]);
    check(&["a"], &[], &[], &["a-login", "a-list", "a-nobody"]);
    let eve = Test::Equals(vec!["eve".into()]);
    check(&[], &["ocsf:authentication"], &[("streamalert:ocsf.user.name", eve.clone())], &["a-login"]);
    check(&[], &["ocsf:authentication", "other"], &[("c", eve)], &["c"]);
}
