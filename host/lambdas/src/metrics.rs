//! What dashboards hear: lines of CloudWatch's embedded metric format on stdout. No call is made for them.

use serde_json::{Map, Value, json};
use streamalert_pipeline::time::Millis;

/// Of all our metrics.
const NAMESPACE: &str = "StreamAlert";
/// Metrics of one line; docs: "Embedded metric format specification".
const METRICS_MAX: usize = 100;

/// Names and their values.
type Dimensions = Vec<(&'static str, String)>;
/// Name, unit and value of each metric.
type Values = Vec<(&'static str, &'static str, f64)>;

/// Counts of one invocation.
#[derive(Debug, Default)]
pub struct Metrics {
    /// By dimensions, which are names and values.
    lines: Vec<(Dimensions, Values)>,
}

impl Metrics {
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

    /// One line for each set of dimensions.
    pub fn lines(&self, function: &str, now: Millis) -> Vec<String> {
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
                    "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [names], "Metrics": metrics}]
                }),
            );
            object.insert("Function".into(), function.into());
            object.extend(dimensions.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())));
            object.extend(values.iter().map(|(name, _, value)| ((*name).to_owned(), (*value).into())));
            Value::from(object).to_string()
        };
        self.lines.iter().map(line).collect()
    }

    pub fn print(&self, function: &str, now: Millis) {
        for line in self.lines(function, now) {
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
        let lines = metrics.lines("classifier", 1_000);
        let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["Records"], &lines[0]["Late"]), (&json!(5.0), &json!(7.0)));
        let about = &lines[0]["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(about["Dimensions"], json!([["Function", "LogType"]]));
        assert_eq!(about["Metrics"][1], json!({"Name": "Late", "Unit": "Milliseconds"}));
        assert!(lines[1].get("Nothing").is_none());
    }
}
