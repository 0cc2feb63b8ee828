//! What dashboards hear: lines of CloudWatch's embedded metric format on stdout. No call is made for them.

use crate::environment::Environment;
use anyhow::Result;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::str::FromStr;
use streamalert_pipeline::backend::RuleCost;
use streamalert_pipeline::rules_engine::Detected;
use streamalert_pipeline::time::Millis;

/// Of all our metrics, with the installation's prefix: an account may have several.
const NAMESPACE: &str = "StreamAlert";
/// Metrics of one line; docs: "Embedded metric format specification".
const METRICS_MAX: usize = 100;

/// Counted of every rule whenever it is asked, so by far the most.
pub const EVALUATIONS: &str = "Evaluations";
pub const FUEL: &str = "Fuel";
pub const NANOSECONDS: &str = "Nanoseconds";

/// Names and their values.
type Dimensions = Vec<(&'static str, String)>;
/// Name, unit and value of each metric.
type Values = Vec<(&'static str, &'static str, f64)>;

/// What is counted by rule: each metric is paid for, for as long as it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RuleMetrics {
    /// Of every rule that is asked, and by log type, too.
    LogTypes,
    /// Of every rule that is asked.
    All,
    /// Of rules that find something, or fail.
    #[default]
    Findings,
    /// Sums of all rules only.
    None,
}

#[derive(Debug, thiserror::Error)]
#[error("rules are counted by `log_types`, `all`, by `findings`, or `none`")]
pub struct NoRuleMetrics;

impl FromStr for RuleMetrics {
    type Err = NoRuleMetrics;

    fn from_str(text: &str) -> Result<Self, NoRuleMetrics> {
        match text {
            "log_types" => Ok(RuleMetrics::LogTypes),
            "all" => Ok(RuleMetrics::All),
            "findings" => Ok(RuleMetrics::Findings),
            "none" => Ok(RuleMetrics::None),
            _ => Err(NoRuleMetrics),
        }
    }
}

/// Whose metrics they are.
#[derive(Clone, Debug)]
pub struct Meter {
    namespace: String,
    function: &'static str,
    rules: RuleMetrics,
    /// Each invocation says in the log what each rule did and took.
    statistics: bool,
}

impl Meter {
    pub fn new(prefix: &str, function: &'static str, rules: RuleMetrics) -> Self {
        Meter { namespace: format!("{NAMESPACE}/{prefix}"), function, rules, statistics: false }
    }

    pub fn of(environment: &Environment, function: &'static str) -> Result<Self> {
        let rules = environment.read("STREAMALERT_RULE_METRICS", RuleMetrics::default())?;
        let statistics = environment.read("STREAMALERT_LOG_RULE_STATISTICS", false)?;
        Ok(Meter { statistics, ..Meter::new(&environment.names.prefix, function, rules) })
    }
}

/// Counts of one invocation.
#[derive(Debug, Default)]
pub struct Metrics {
    rules: RuleMetrics,
    /// By dimensions, which are names and values.
    lines: Vec<(Dimensions, Values)>,
    /// What each rule did and took, if that is logged.
    statistics: Option<BTreeMap<(String, String, &'static str), RuleCost>>,
}

impl Metrics {
    pub fn of(meter: &Meter) -> Self {
        Metrics { rules: meter.rules, lines: Vec::new(), statistics: meter.statistics.then(BTreeMap::new) }
    }

    /// `unit` is one of CloudWatch's: `Count`, `Milliseconds`, `Bytes` …
    pub fn add(&mut self, dimensions: &[(&'static str, &str)], name: &'static str, unit: &'static str, value: f64) {
        let same = |known: &[(&'static str, String)]| {
            known.len() == dimensions.len() && known.iter().zip(dimensions).all(|(a, b)| a.0 == b.0 && a.1 == b.1)
        };
        let place = match self.lines.iter().position(|(known, values)| same(known) && values.len() < METRICS_MAX) {
            Some(place) => place,
            None => {
                let owned = dimensions.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
                self.lines.push((owned, Vec::new()));
                self.lines.len() - 1
            }
        };
        let values = &mut self.lines[place].1;
        match values.iter_mut().find(|(known, _, _)| *known == name) {
            Some((_, _, sum)) if unit == "Count" || unit == "Bytes" => *sum += value,
            Some((_, _, most)) => *most = most.max(value),
            None => values.push((name, unit, value)),
        }
    }

    pub fn count(&mut self, dimensions: &[(&'static str, &str)], name: &'static str, value: u64) {
        if value > 0 {
            self.add(dimensions, name, "Count", value as f64);
        }
    }

    /// Of one rule, as far as rules are counted, and of all together.
    pub fn count_rule(&mut self, rule: &str, name: &'static str, value: u64) {
        self.count(&[], name, value);
        let counted = match self.rules {
            RuleMetrics::All | RuleMetrics::LogTypes => true,
            RuleMetrics::Findings => ![EVALUATIONS, FUEL, NANOSECONDS].contains(&name),
            RuleMetrics::None => false,
        };
        if counted {
            self.count(&[("Rule", rule)], name, value);
        }
    }

    /// What rules made of a batch.
    pub fn rules(&mut self, detected: &Detected) {
        for (rule, stats) in &detected.stats {
            self.count_rule(rule, EVALUATIONS, stats.rows);
            self.count_rule(rule, "Findings", stats.findings);
            self.count_rule(rule, "Faults", stats.faults);
            self.count_rule(rule, FUEL, stats.fuel);
            self.count_rule(rule, NANOSECONDS, stats.nanoseconds);
            if self.rules == RuleMetrics::LogTypes {
                for of in &stats.by_log_type {
                    let dimensions = [("Rule", rule.as_str()), ("LogType", of.log_type.name.as_str())];
                    self.count(&dimensions, EVALUATIONS, of.rows);
                    self.count(&dimensions, "Findings", of.findings);
                    self.count(&dimensions, "Faults", of.faults);
                    self.count(&dimensions, FUEL, of.fuel);
                    self.count(&dimensions, NANOSECONDS, of.nanoseconds);
                }
            }
        }
        for stats in detected.trials.values() {
            self.count(&[], "TrialFaults", stats.faults);
            self.count(&[], "TrialFuel", stats.fuel);
            self.count(&[], "TrialLeftOut", stats.left_out);
        }
        let Some(statistics) = &mut self.statistics else { return };
        for (version, all) in [("live", &detected.stats), ("trial", &detected.trials)] {
            for (rule, stats) in all {
                for of in &stats.by_log_type {
                    let sum = statistics.entry((rule.clone(), of.log_type.name.clone(), version)).or_default();
                    sum.add(&RuleCost {
                        evaluations: of.rows,
                        matches: of.findings,
                        faults: of.faults,
                        fuel: of.fuel,
                        nanoseconds: of.nanoseconds,
                        ..RuleCost::default()
                    });
                }
            }
        }
    }

    /// A line for the log, if it is wanted: the slowest rules first.
    pub fn rule_statistics(&self) -> Option<String> {
        let mut rows: Vec<_> = self.statistics.as_ref()?.iter().collect();
        rows.sort_by_key(|(_, cost)| std::cmp::Reverse(cost.nanoseconds));
        let row = |((rule, log_type, version), cost): (&(String, String, &str), &RuleCost)| {
            json!({
                "rule": rule, "log_type": log_type, "version": version, "evaluations": cost.evaluations,
                "matches": cost.matches, "faults": cost.faults, "fuel": cost.fuel,
                "milliseconds": cost.nanoseconds as f64 / 1e6,
                "average_nanoseconds": cost.nanoseconds / cost.evaluations.max(1),
            })
        };
        let rows: Vec<Value> = rows.into_iter().map(row).collect();
        (!rows.is_empty()).then(|| json!({ "rule_statistics": rows }).to_string())
    }

    /// One line for each set of dimensions.
    pub fn lines(&self, meter: &Meter, now: Millis) -> Vec<String> {
        let line = |(dimensions, values): &(Dimensions, Values)| {
            let mut names = vec!["Function"];
            names.extend(dimensions.iter().map(|(name, _)| *name));
            let metrics: Vec<Value> =
                values.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect();
            let mut object = Map::new();
            object.insert(
                "_aws".into(),
                json!({
                    "Timestamp": now,
                    "CloudWatchMetrics": [{"Namespace": meter.namespace, "Dimensions": [names], "Metrics": metrics}]
                }),
            );
            object.insert("Function".into(), meter.function.into());
            object.extend(dimensions.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())));
            object.extend(values.iter().map(|(name, _, value)| ((*name).to_owned(), (*value).into())));
            Value::from(object).to_string()
        };
        self.lines.iter().map(line).collect()
    }

    pub fn print(&self, meter: &Meter, now: Millis) {
        for line in self.lines(meter, now) {
            println!("{line}");
        }
        if let Some(line) = self.rule_statistics() {
            println!("{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_dimensions_share_a_line_and_counts_add_up() {
        let mut metrics = Metrics::default();
        metrics.count(&[("LogType", "a:b")], "Records", 2);
        metrics.count(&[("LogType", "a:b")], "Records", 3);
        metrics.add(&[("LogType", "a:b")], "Late", "Milliseconds", 7.0);
        metrics.count(&[], "Inputs", 1);
        metrics.count(&[], "Nothing", 0);
        let lines = metrics.lines(&Meter::new("acme", "classifier", RuleMetrics::Findings), 1_000);
        let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["Records"], &lines[0]["Late"]), (&json!(5.0), &json!(7.0)));
        let about = &lines[0]["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(about["Namespace"], "StreamAlert/acme");
        assert_eq!(about["Dimensions"], json!([["Function", "LogType"]]));
        assert_eq!(about["Metrics"][1], json!({"Name": "Late", "Unit": "Milliseconds"}));
        assert!(lines[1].get("Nothing").is_none());
    }

    #[test]
    fn rules_are_counted_as_far_as_somebody_pays_for_it() {
        let of_rules = |wanted: &str| {
            let meter = Meter::new("acme", "rules_engine", wanted.parse().unwrap());
            let mut metrics = Metrics::of(&meter);
            for (rule, findings) in [("quiet", 0), ("loud", 2)] {
                metrics.count_rule(rule, EVALUATIONS, 5);
                metrics.count_rule(rule, "Findings", findings);
            }
            let lines: Vec<Value> =
                metrics.lines(&meter, 0).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!((&lines[0]["Evaluations"], &lines[0]["Findings"]), (&json!(10.0), &json!(2.0)), "{wanted}");
            let rule = |line: &Value| {
                let names = ["Evaluations", "Findings"].into_iter().filter(|name| line.get(*name).is_some());
                (line["Rule"].as_str().unwrap().to_owned(), names.collect::<Vec<_>>().join(","))
            };
            lines[1..].iter().map(rule).collect::<Vec<_>>()
        };
        let named = |rule: &str, names: &str| (rule.to_owned(), names.to_owned());
        assert_eq!(of_rules("all"), [named("quiet", "Evaluations"), named("loud", "Evaluations,Findings")]);
        assert_eq!(of_rules("findings"), [named("loud", "Findings")]);
        assert_eq!(of_rules("none"), []);
        assert!("some".parse::<RuleMetrics>().is_err());
    }
}
