//! The rules of a component. Each is made ready when the host first asks about it: the prefilter sees to it that most never are.

use crate::evaluate::Judge;
use crate::rule::Expr;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::OnceLock;
use streamalert_sdk::data::{RuleData, RuleSet};
use streamalert_sdk::{Finding, Record};

/// Rules as lines of JSON.
pub struct Rules {
    lines: &'static str,
    rules: OnceLock<Vec<Rule>>,
}

struct Rule {
    line: &'static str,
    ready: OnceLock<Ready>,
}

struct Ready {
    title: String,
    judge: Judge,
}

/// The part of a line that is for the host.
#[derive(Deserialize)]
struct Head {
    name: String,
    description: String,
    logs: Vec<String>,
    options: Map<String, Value>,
}

/// The part that is for us.
#[derive(Deserialize)]
struct Body {
    title: String,
    detect: Expr,
}

impl Rules {
    pub const fn new(lines: &'static str) -> Rules {
        Rules { lines, rules: OnceLock::new() }
    }

    fn rules(&self) -> &[Rule] {
        let rule = |line| Rule { line, ready: OnceLock::new() };
        self.rules.get_or_init(|| self.lines.lines().map(rule).collect())
    }
}

/// A line that cannot be read traps, and says why in the log: the importer wrote it for another version of this crate.
fn read<T: Deserialize<'static>>(line: &'static str) -> T {
    match serde_json::from_str(line) {
        Ok(read) => read,
        Err(error) => panic!("this rule was imported for another version of streamalert-sigma: {error}"),
    }
}

impl RuleSet for Rules {
    fn describe(&self) -> Vec<RuleData> {
        let describe = |rule: &Rule| {
            let Head { name, description, logs, options } = read(rule.line);
            RuleData { name, description, logs, options: Value::Object(options).to_string() }
        };
        self.rules().iter().map(describe).collect()
    }

    fn judge(&self, rule: usize, record: &Record) -> Option<Finding> {
        let rule = self.rules().get(rule)?;
        let ready = rule.ready.get_or_init(|| {
            let Body { title, detect } = read(rule.line);
            Ready { title, judge: Judge::new(&detect) }
        });
        ready.judge.holds(record).then(|| Finding::new(ready.title.as_str()))
    }
}
