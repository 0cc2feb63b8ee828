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
    /// Where each line ends, without what ends it: to look for that in megabytes would cost each new instance what some
    /// thousand records do.
    ends: &'static [u32],
    ready: OnceLock<Vec<OnceLock<Box<Ready>>>>,
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
    pub const fn new(lines: &'static str, ends: &'static [u32]) -> Rules {
        Rules { lines, ends, ready: OnceLock::new() }
    }

    fn line(&self, rule: usize) -> &'static str {
        let start = rule.checked_sub(1).map_or(0, |before| self.ends[before] as usize + 1);
        &self.lines[start..self.ends[rule] as usize]
    }

    fn ready(&self, rule: usize) -> &Ready {
        let all = self.ready.get_or_init(|| self.ends.iter().map(|_| OnceLock::new()).collect());
        all[rule].get_or_init(|| {
            let Body { title, detect } = read(self.line(rule));
            Box::new(Ready { title, judge: Judge::new(&detect) })
        })
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
        let describe = |rule| {
            let Head { name, description, logs, options } = read(self.line(rule));
            RuleData { name, description, logs, options: Value::Object(options).to_string() }
        };
        (0..self.count()).map(describe).collect()
    }

    fn count(&self) -> usize {
        self.ends.len()
    }

    fn judge(&self, rule: usize, record: &Record) -> Option<Finding> {
        let Ready { title, judge } = self.ready(rule);
        judge.holds(record).then(|| Finding::new(title.as_str()))
    }
}
