//! The component's side of the contract: exports `detection` for all rules that are linked into the component.

mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "rule" });
}

pub use bindings::streamalert::plugin as host;

use crate::rule::{Literal, Rule, Test, rules};
use crate::{Finding, Record, Severity, data, record};
use bindings::exports::streamalert::plugin::detection as wit;
use std::cell::RefCell;
use std::sync::Once;
use streamalert_packed::Frame;

struct Component;

bindings::export!(Component with_types_in bindings);

/// The rows of the last call: the host asks one rule after the other about the same rows.
struct Batch {
    id: Option<u64>,
    frame: Vec<u8>,
}

thread_local! {
    static BATCH: RefCell<Batch> = const { RefCell::new(Batch { id: None, frame: Vec::new() }) };
}

impl wit::Guest for Component {
    fn describe() -> Vec<wit::RuleInfo> {
        report_panics();
        let data = data::sets().flat_map(|set| set.describe()).map(data_info);
        rules().iter().map(|rule| rule_info(rule)).chain(data).collect()
    }

    fn evaluate(rule: u32, batch: wit::BatchInfo) -> Vec<wit::Finding> {
        report_panics();
        let rule = rule as usize;
        let function = rules().get(rule);
        let set = function.is_none().then(|| data::find(rule - rules().len()));
        let judge = |record: &Record| match (function, set) {
            (Some(rule), _) => (rule.judge)(record),
            (None, Some((set, rule))) => set.judge(rule, record),
            (None, None) => None,
        };
        BATCH.with_borrow_mut(|last| {
            if last.id != Some(batch.id) {
                last.frame = host::records::packed();
                last.id = Some(batch.id);
            }
            // SAFETY: the host made it by the same code.
            let frame = unsafe { Frame::trusted(&last.frame) };
            let mut findings = Vec::new();
            for row in batch.rows {
                let Some(record) = frame.record(row as usize) else { continue };
                if batch.explain {
                    record::watch::set(Some(row));
                }
                if let Some(finding) = judge(Record::packed(record)) {
                    findings.push(wit_finding(row, finding));
                }
            }
            record::watch::set(None);
            findings
        })
    }
}

/// A panic ends in a trap that carries no text; this puts the text into the log first.
fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|info| crate::log::error(info.to_string()))));
}

fn rule_info(rule: &Rule) -> wit::RuleInfo {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let when = rule.when.iter().map(|condition| wit::Condition {
        path: condition.path.to_owned(),
        test: match &condition.test {
            Test::Equals(values) => wit::Test::Equals(values.iter().map(wit_value).collect()),
            Test::Prefix(needles) => wit::Test::Prefix(texts(needles)),
            Test::Suffix(needles) => wit::Test::Suffix(texts(needles)),
            Test::Contains(needles) => wit::Test::Contains(texts(needles)),
            Test::Exists => wit::Test::Exists,
        },
    });
    wit::RuleInfo {
        name: rule.name.to_owned(),
        description: rule.description.to_owned(),
        logs: texts(rule.logs),
        when: when.collect(),
        options: rule.options.to_owned(),
    }
}

fn data_info(data::RuleData { name, description, logs, options }: data::RuleData) -> wit::RuleInfo {
    wit::RuleInfo { name, description, logs, when: Vec::new(), options }
}

fn wit_value(literal: &Literal) -> wit::Value {
    match *literal {
        Literal::Bool(value) => wit::Value::Boolean(value),
        Literal::Int(value) => wit::Value::Integer(value),
        Literal::Float(value) => wit::Value::Float(value),
        Literal::Text(value) => wit::Value::Text(value.to_owned()),
    }
}

fn wit_finding(row: u32, finding: Finding) -> wit::Finding {
    wit::Finding {
        row,
        title: finding.title,
        severity: finding.severity.map(|severity| match severity {
            Severity::Info => wit::Severity::Info,
            Severity::Low => wit::Severity::Low,
            Severity::Medium => wit::Severity::Medium,
            Severity::High => wit::Severity::High,
            Severity::Critical => wit::Severity::Critical,
        }),
        dedup_key: finding.dedup_key,
        context: (!finding.context.is_empty()).then(|| serde_json::Value::Object(finding.context).to_string()),
        outputs: finding.outputs,
    }
}
