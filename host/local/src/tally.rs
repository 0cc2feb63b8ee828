//! Counts what came in and what became of it. The balance always holds: in = classified + skipped + dead.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;
use streamalert_delivery::metrics::escaped;
use streamalert_pipeline::alert::{Alert, Hit, Trial};
use streamalert_pipeline::classifier::{Ambiguity, Classified};
use streamalert_pipeline::dead_letter::{DeadLetter, Reason};
use streamalert_pipeline::rules_engine::{Detected, RuleStats};

#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Tally {
    /// Documents and lines.
    pub inputs: u64,
    /// Bytes, decompressed.
    pub bytes: u64,
    /// Records by log type.
    pub classified: BTreeMap<String, u64>,
    /// Inputs that hold no record and need none, by reason code.
    pub skipped: BTreeMap<&'static str, u64>,
    /// What no rule has seen, by reason code.
    pub dead: BTreeMap<&'static str, u64>,
    pub rules: BTreeMap<String, RuleTally>,
    /// Of versions on trial beside the live ones.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub trials: BTreeMap<String, RuleTally>,
    /// Log types that fit the same records; only the first of each kind are looked at.
    #[serde(serialize_with = "as_list")]
    pub ambiguous: BTreeMap<Ambiguity, u64>,
    /// Records with indicators of compromise.
    pub ioc_hits: u64,
    /// Records that were judged without being looked through for them, since the table could not be read.
    pub not_looked_up: u64,
    /// Inputs that came to nothing at all. Anything but 0 is a fault of streamalert.
    pub unaccounted: u64,
}

#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct RuleTally {
    /// Rows the prefilter let through.
    pub rows: u64,
    pub new_alerts: u64,
    /// Raised before, from the same input.
    pub known_alerts: u64,
    /// Records lost to this rule; each is a dead letter.
    pub faults: u64,
    pub fuel: u64,
    /// What its calls took.
    pub nanoseconds: u64,
    pub last_error: Option<String>,
    pub by_log_type: BTreeMap<String, LogTypeTally>,
}

/// What a rule did with records of one log type.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct LogTypeTally {
    pub evaluations: u64,
    pub matches: u64,
    pub faults: u64,
    pub fuel: u64,
    pub nanoseconds: u64,
}

impl RuleTally {
    fn add(&mut self, other: &RuleTally) {
        self.rows += other.rows;
        self.new_alerts += other.new_alerts;
        self.known_alerts += other.known_alerts;
        self.faults += other.faults;
        self.fuel += other.fuel;
        self.nanoseconds += other.nanoseconds;
        if other.last_error.is_some() {
            self.last_error.clone_from(&other.last_error);
        }
        for (log_type, more) in &other.by_log_type {
            let sum = match self.by_log_type.get_mut(log_type) {
                Some(sum) => sum,
                None => self.by_log_type.entry(log_type.clone()).or_default(),
            };
            sum.evaluations += more.evaluations;
            sum.matches += more.matches;
            sum.faults += more.faults;
            sum.fuel += more.fuel;
            sum.nanoseconds += more.nanoseconds;
        }
    }

    fn add_stats(&mut self, stats: &RuleStats) {
        self.rows += stats.rows;
        self.fuel += stats.fuel;
        self.faults += stats.faults;
        self.nanoseconds += stats.nanoseconds;
        if let Some(error) = &stats.last_error {
            self.last_error = Some(error.to_string());
        }
        for of in &stats.by_log_type {
            let sum = self.by_log_type.entry(of.log_type.name.clone()).or_default();
            sum.evaluations += of.rows;
            sum.matches += of.findings;
            sum.faults += of.faults;
            sum.fuel += of.fuel;
            sum.nanoseconds += of.nanoseconds;
        }
    }
}

/// Keys of JSON are texts, and these are none.
fn as_list<S: serde::Serializer>(ambiguous: &BTreeMap<Ambiguity, u64>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(serde::Serialize)]
    struct Row<'a> {
        #[serde(flatten)]
        ambiguity: &'a Ambiguity,
        inputs: u64,
    }
    serializer.collect_seq(ambiguous.iter().map(|(ambiguity, inputs)| Row { ambiguity, inputs: *inputs }))
}

impl Tally {
    pub fn of_classified(classified: &Classified) -> Self {
        let records = &classified.batch.records;
        let mut tally = Tally {
            inputs: classified.inputs,
            unaccounted: classified.unaccounted,
            skipped: classified.skipped.iter().map(|(skip, count)| (skip.code(), count)).collect(),
            bytes: classified.batch.payload.bytes.len() as u64,
            ..Tally::default()
        };
        // Types come in runs, so the map is asked once for each run.
        for run in records.chunk_by(|a, b| std::sync::Arc::ptr_eq(&a.log_type, &b.log_type)) {
            *tally.classified.entry(run[0].log_type.name.clone()).or_default() += run.len() as u64;
        }
        tally.add_dead(&classified.dead);
        for (ambiguity, count) in &classified.ambiguous {
            *tally.ambiguous.entry(ambiguity.clone()).or_default() += count;
        }
        tally
    }

    /// Letters of the classifier and of the doors. Those of rules count as the rule's faults.
    pub fn add_dead(&mut self, letters: &[DeadLetter]) {
        for letter in letters.iter().filter(|letter| letter.reason != Reason::RuleFault) {
            *self.dead.entry(letter.reason.code()).or_default() += 1;
        }
    }

    pub fn add_detected(&mut self, detected: &Detected) {
        for (rule, stats) in &detected.stats {
            self.rules.entry(rule.clone()).or_default().add_stats(stats);
        }
        for (rule, stats) in &detected.trials {
            self.trials.entry(rule.clone()).or_default().add_stats(stats);
        }
    }

    /// An alert that was stored; those of versions on trial beside live ones are counted for themselves.
    pub fn add_raised(&mut self, alert: &Alert, new: bool) {
        match &alert.trial {
            Some(Trial { hit: Hit::New | Hit::Same, .. }) => {
                let tally = self.trials.entry(alert.rule_name.clone()).or_default();
                if new { tally.new_alerts += 1 } else { tally.known_alerts += 1 }
            }
            _ => self.add_alert(&alert.rule_name, new),
        }
    }

    pub fn add_alert(&mut self, rule: &str, new: bool) {
        let tally = match self.rules.get_mut(rule) {
            Some(tally) => tally,
            None => self.rules.entry(rule.to_owned()).or_default(),
        };
        if new { tally.new_alerts += 1 } else { tally.known_alerts += 1 }
    }

    pub fn add(&mut self, other: &Tally) {
        self.inputs += other.inputs;
        self.bytes += other.bytes;
        for (reason, count) in &other.skipped {
            *self.skipped.entry(reason).or_default() += count;
        }
        self.unaccounted += other.unaccounted;
        self.ioc_hits += other.ioc_hits;
        self.not_looked_up += other.not_looked_up;
        for (log_type, count) in &other.classified {
            *self.classified.entry(log_type.clone()).or_default() += count;
        }
        for (ambiguity, count) in &other.ambiguous {
            *self.ambiguous.entry(ambiguity.clone()).or_default() += count;
        }
        for (reason, count) in &other.dead {
            *self.dead.entry(reason).or_default() += count;
        }
        for (rule, tally) in &other.rules {
            self.rules.entry(rule.clone()).or_default().add(tally);
        }
        for (rule, tally) in &other.trials {
            self.trials.entry(rule.clone()).or_default().add(tally);
        }
    }

    /// Everything that came in: records, and what became none.
    pub fn records(&self) -> u64 {
        self.classified_records() + self.skipped_inputs() + self.dead_letters() + self.unaccounted
    }

    pub fn classified_records(&self) -> u64 {
        self.classified.values().sum()
    }

    pub fn skipped_inputs(&self) -> u64 {
        self.skipped.values().sum()
    }

    /// Those that no rule has seen.
    pub fn dead_letters(&self) -> u64 {
        self.dead.values().sum()
    }

    pub fn new_alerts(&self) -> u64 {
        self.rules.values().map(|rule| rule.new_alerts).sum()
    }

    pub fn known_alerts(&self) -> u64 {
        self.rules.values().map(|rule| rule.known_alerts).sum()
    }

    pub fn faults(&self) -> u64 {
        self.rules.values().map(|rule| rule.faults).sum()
    }

    /// The closing summary, for a person.
    pub fn summary(&self, elapsed: Duration) -> String {
        let mut text = String::new();
        let mut line = |name: &str, count: u64, note: &str| {
            let note = if note.is_empty() { String::new() } else { format!("  {note}") };
            let _ = writeln!(text, "{name:<42}{:>14}{note}", grouped(count));
        };
        line("records in", self.records(), &format!("= {} inputs, {}", grouped(self.inputs), size(self.bytes)));
        line("  classified", self.classified_records(), "");
        for (log_type, count) in &self.classified {
            line(&format!("    {log_type}"), *count, "");
        }
        line("  skipped", self.skipped_inputs(), "");
        for (reason, count) in &self.skipped {
            line(&format!("    {reason}"), *count, "");
        }
        line("  dead letters", self.dead_letters(), "");
        for (reason, count) in &self.dead {
            line(&format!("    {reason}"), *count, "");
        }
        for Ambiguity { taken, also } in self.ambiguous.keys() {
            line(
                &format!("  note: {taken}"),
                self.classified.get(taken).copied().unwrap_or(0),
                &format!("also fit {}", also.join(", ")),
            );
        }
        if self.ioc_hits > 0 {
            line("  with indicators of compromise", self.ioc_hits, "");
        }
        if self.not_looked_up > 0 {
            line(
                "  NOT LOOKED UP",
                self.not_looked_up,
                "judged without threat intelligence: its table could not be read",
            );
        }
        if self.unaccounted > 0 {
            line("  UNACCOUNTED FOR", self.unaccounted, "a fault of streamalert: please report it");
        }
        let known = match self.known_alerts() {
            0 => String::new(),
            known => format!("and {} known already", grouped(known)),
        };
        line("new alerts", self.new_alerts(), &known);
        for (rule, tally) in self.rules.iter().filter(|(_, tally)| tally.new_alerts + tally.known_alerts > 0) {
            let known = match tally.known_alerts {
                0 => String::new(),
                known => format!("and {} known already", grouped(known)),
            };
            line(&format!("  {rule}"), tally.new_alerts, &known);
        }
        line("records lost to one rule", self.faults(), "");
        for (rule, tally) in self.rules.iter().filter(|(_, tally)| tally.faults > 0) {
            line(&format!("  {rule}"), tally.faults, tally.last_error.as_deref().unwrap_or_default());
        }
        let seconds = elapsed.as_secs_f64();
        let rate = if seconds > 0.0 { (self.records() as f64 / seconds) as u64 } else { 0 };
        line("records a second", rate, &format!("over {seconds:.1} s"));
        text
    }

    /// What rules did and took, for a person: the most expensive first.
    pub fn rule_statistics(&self) -> String {
        let live = self.rules.iter().map(|(rule, tally)| (rule.clone(), tally));
        let trials = self.trials.iter().map(|(rule, tally)| (format!("{rule} (on trial)"), tally));
        let mut rows: Vec<(String, &String, &LogTypeTally)> = live
            .chain(trials)
            .flat_map(|(rule, tally)| tally.by_log_type.iter().map(move |(log_type, of)| (rule.clone(), log_type, of)))
            .collect();
        rows.sort_by(|a, b| b.2.nanoseconds.cmp(&a.2.nanoseconds).then_with(|| (&a.0, a.1).cmp(&(&b.0, b.1))));
        let mut text = format!(
            "{:<34} {:<24} {:>12} {:>10} {:>8} {:>15} {:>10} {:>8}\n",
            "rule", "log type", "evaluations", "matches", "faults", "fuel", "ms", "ns each"
        );
        for (rule, log_type, of) in rows {
            let _ = writeln!(
                text,
                "{rule:<34} {log_type:<24} {:>12} {:>10} {:>8} {:>15} {:>10.1} {:>8}",
                grouped(of.evaluations),
                grouped(of.matches),
                grouped(of.faults),
                grouped(of.fuel),
                of.nanoseconds as f64 / 1e6,
                of.nanoseconds / of.evaluations.max(1)
            );
        }
        text
    }

    /// The same in Prometheus' text form.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        let mut family = |name: &str, help: &str, rows: &mut dyn Iterator<Item = (String, u64)>| {
            let _ = writeln!(text, "# HELP streamalert_{name} {help}\n# TYPE streamalert_{name} counter");
            for (labels, value) in rows {
                let _ = writeln!(text, "streamalert_{name}{labels} {value}");
            }
        };
        let mut one =
            |name: &str, help: &str, value: u64| family(name, help, &mut [(String::new(), value)].into_iter());
        one("inputs_total", "Documents and lines that came in.", self.inputs);
        one("input_bytes_total", "Decompressed bytes that came in.", self.bytes);
        one("records_total", "Records in: classified, skipped and dead.", self.records());
        one("ioc_hits_total", "Records with indicators of compromise.", self.ioc_hits);
        one(
            "not_looked_up_total",
            "Records judged without threat intelligence, whose table could not be read.",
            self.not_looked_up,
        );
        one("unaccounted_total", "Inputs that came to nothing: a fault of streamalert.", self.unaccounted);
        let label = |name: &str, value: &str| format!("{{{name}=\"{}\"}}", escaped(value));
        let types = &mut self.classified.iter().map(|(log_type, count)| (label("log_type", log_type), *count));
        family("classified_total", "Records by log type.", types);
        let skipped = &mut self.skipped.iter().map(|(reason, count)| (label("reason", reason), *count));
        family("skipped_total", "Inputs that hold no record and need none, by reason.", skipped);
        let dead = &mut self.dead.iter().map(|(reason, count)| (label("reason", reason), *count));
        family("dead_letters_total", "What no rule has seen, by reason.", dead);
        let mut by_rule = |name: &str, help: &str, count: fn(&RuleTally) -> u64| {
            family(name, help, &mut self.rules.iter().map(|(rule, tally)| (label("rule", rule), count(tally))));
        };
        by_rule("rule_rows_total", "Rows a rule was asked about.", |rule| rule.rows);
        by_rule("rule_alerts_total", "New alerts by rule.", |rule| rule.new_alerts);
        by_rule("rule_known_alerts_total", "Alerts that were stored before.", |rule| rule.known_alerts);
        by_rule("rule_faults_total", "Records lost to a rule.", |rule| rule.faults);
        by_rule("rule_fuel_total", "Instructions a rule took.", |rule| rule.fuel);
        by_rule("rule_nanoseconds_total", "What calls of a rule took.", |rule| rule.nanoseconds);
        let mut by_type = |name: &str, help: &str, count: fn(&LogTypeTally) -> u64| {
            let versions = [("live", &self.rules), ("trial", &self.trials)].into_iter();
            let rules =
                versions.flat_map(|(version, rules)| rules.iter().map(move |(rule, tally)| (version, rule, tally)));
            let mut rows = rules.flat_map(|(version, rule, tally)| {
                tally.by_log_type.iter().map(move |(log_type, of)| {
                    let (rule, log_type) = (escaped(rule), escaped(log_type));
                    (format!("{{rule=\"{rule}\",log_type=\"{log_type}\",version=\"{version}\"}}"), count(of))
                })
            });
            family(name, help, &mut rows);
        };
        by_type("rule_evaluations_total", "Records a rule was asked about.", |of| of.evaluations);
        by_type("rule_matches_total", "What a rule found.", |of| of.matches);
        by_type("rule_log_type_faults_total", "Records lost to a rule.", |of| of.faults);
        by_type("rule_log_type_fuel_total", "Instructions a rule took.", |of| of.fuel);
        by_type("rule_log_type_nanoseconds_total", "What calls of a rule took.", |of| of.nanoseconds);
        text
    }
}

/// `1,234,567`
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `3.4 MB`
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally() -> Tally {
        let mut tally = Tally { inputs: 7, bytes: 1_234_567, ..Tally::default() };
        tally.skipped.insert("empty", 1);
        tally.classified.insert("okta:system".into(), 1_200);
        tally.dead.insert("not_json", 2);
        tally.add_alert("root_login", true);
        tally.add_alert("root_login", false);
        tally.rules.insert(
            "bad \"rule\"".into(),
            RuleTally { faults: 3, last_error: Some("trap: unreachable".into()), ..RuleTally::default() },
        );
        tally
    }

    #[test]
    fn the_summary_adds_up_and_says_what_went_wrong() {
        let text = tally().summary(Duration::from_secs(2));
        let expected = [
            "records in                                         1,203  = 7 inputs, 1.2 MB",
            "  classified                                       1,200",
            "    okta:system                                    1,200",
            "  skipped                                              1",
            "    empty                                              1",
            "  dead letters                                         2",
            "    not_json                                           2",
            "new alerts                                             1  and 1 known already",
            "  root_login                                           1  and 1 known already",
            "records lost to one rule                               3",
            "  bad \"rule\"                                           3  trap: unreachable",
            "records a second                                     601  over 2.0 s",
            "",
        ];
        assert_eq!(text, expected.join("\n"));
    }

    #[test]
    fn sums_are_sums() {
        let mut sum = tally();
        sum.add(&tally());
        assert_eq!((sum.records(), sum.new_alerts(), sum.known_alerts(), sum.faults()), (2_406, 2, 2, 6));
        assert_eq!(sum.inputs, 14);
    }

    #[test]
    fn metrics_are_what_prometheus_reads() {
        let text = tally().metrics();
        assert!(text.contains("\nstreamalert_classified_total{log_type=\"okta:system\"} 1200\n"), "{text}");
        assert!(text.contains("\nstreamalert_rule_faults_total{rule=\"bad \\\"rule\\\"\"} 3\n"), "{text}");
        assert!(text.lines().all(|line| line.starts_with("# ") || line.starts_with("streamalert_")));
    }
}
