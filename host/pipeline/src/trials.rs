//! Versions on trial beside the live ones. Both judge the same records; the live version's alerts are alerts as ever, and those
//! of the version on trial are kept beside them, with what is new, the same, or lost. Whatever a version on trial does, the live
//! ones have judged before it, and wait for it within limits only.

use crate::alert::{Alert, Hit, Trial, trial_id};
use crate::backend::{RuleState, TrialCounts, TrialKey};
use crate::limits::{TRIAL_NANOSECONDS_FREE, TRIAL_TIMES_MAX};
use crate::live::Live;
use crate::log_record::LogBatch;
use crate::rules_engine::{Detected, RuleStats};
use crate::staging::{States, is_asked, live_beside, mark, trial, trial_key};
use crate::time::Millis;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

/// What versions on trial may take of the time.
#[derive(Debug, Default)]
pub struct Allowance {
    live: AtomicU64,
    trials: AtomicU64,
}

impl Allowance {
    /// A version that is much slower than all that is live sees some of the batches only.
    fn is_left(&self) -> bool {
        let live = self.live.load(Ordering::Relaxed);
        self.trials.load(Ordering::Relaxed)
            <= live.saturating_mul(TRIAL_TIMES_MAX).saturating_add(TRIAL_NANOSECONDS_FREE)
    }
}

/// What the live rules make of a batch, and those that are on trial alone; see [`on_trial`] for the rest. `only` is about one rule,
/// switched off or not.
pub fn judge(live: &Live, batch: &LogBatch, now: &str, at: Millis, states: &States, only: Option<&str>) -> Detected {
    let begun = live.rules.now();
    let is_meant = |rule: &str| match only {
        Some(only) => rule == only,
        None => is_asked(states, rule),
    };
    let mut detected = live.rules.judge_versions(batch, now, &|rule, digest| {
        is_meant(rule)
            && (live.older.is_none()
                || live_beside(states, rule, digest, at).is_none_or(|older| !has(live, rule, older)))
    });
    if let Some(older) = &live.older {
        let asked: BTreeMap<&str, &str> = beside(live, states, at).map(|(rule, _, state)| (rule, state.1)).collect();
        let mut more = older.judge_versions(batch, now, &|rule, digest| {
            is_meant(rule) && asked.get(rule).is_some_and(|older| *older == digest)
        });
        detected.alerts.append(&mut more.alerts);
        detected.dead.append(&mut more.dead);
        detected.unknown.append(&mut more.unknown);
        for (rule, stats) in more.stats {
            detected.stats.entry(rule).or_default().add(&stats);
        }
    }
    if !states.is_empty() {
        // Where the version that was to stay live is not there, the other one stands in for it: rather loud than blind.
        let stands_in = |alert: &Alert| live_beside(states, &alert.rule_name, &alert.component_digest, at).is_some();
        let (mut alone, mut live_ones): (Vec<Alert>, Vec<Alert>) =
            std::mem::take(&mut detected.alerts).into_iter().partition(|alert| !stands_in(alert));
        mark(&mut alone, states, at);
        alone.append(&mut live_ones);
        detected.alerts = alone;
    }
    live.allowance.live.fetch_add(live.rules.now().saturating_sub(begun), Ordering::Relaxed);
    detected
}

/// Whether any version is on trial beside a live one.
pub fn is_any(live: &Live, states: &States, at: Millis) -> bool {
    live.older.is_some() && beside(live, states, at).next().is_some()
}

/// Adds what versions on trial beside the live ones make of the batch to what [`judge`] has made of it. `is_time`: there is time
/// for it. Its letters are nobody's: the records were judged.
pub fn on_trial(
    live: &Live,
    batch: &LogBatch,
    now: &str,
    at: Millis,
    states: &States,
    detected: &mut Detected,
    is_time: bool,
) {
    let trials: BTreeMap<&str, (&str, &RuleState)> = beside(live, states, at)
        .filter(|(_, _, (state, _))| !state.disabled)
        .map(|(rule, digest, (state, _))| (rule, (digest, state)))
        .collect();
    if trials.is_empty() || batch.records.is_empty() {
        return;
    }
    if !is_time || !live.allowance.is_left() {
        let records = batch.records.len() as u64;
        for (rule, (digest, _)) in trials {
            let left = RuleStats { digest: digest.to_owned(), left_out: records, ..RuleStats::default() };
            detected.trials.entry(rule.to_owned()).or_default().add(&left);
        }
        return;
    }
    let begun = live.rules.now();
    let found = live.rules.judge_versions(batch, now, &|rule, _| trials.contains_key(rule));
    live.allowance.trials.fetch_add(live.rules.now().saturating_sub(begun), Ordering::Relaxed);

    let of_trial = |alert: &Alert, hit| {
        let (digest, state) = trials.get(alert.rule_name.as_str())?;
        Some(Trial { digest: (*digest).to_owned(), since: state.since, hit })
    };
    let unknown = |detected: &Detected| -> HashSet<String> { detected.unknown.iter().cloned().collect() };
    let (not_judged, not_tried) = (unknown(detected), unknown(&found));
    let theirs: HashSet<String> = found.alerts.iter().map(|alert| alert.id.clone()).collect();
    let ours: HashSet<String> = detected.alerts.iter().map(|alert| alert.id.clone()).collect();
    for alert in &mut detected.alerts {
        if trials.contains_key(alert.rule_name.as_str())
            && !theirs.contains(&alert.id)
            && !not_tried.contains(&alert.id)
        {
            alert.trial = of_trial(alert, Hit::Lost);
        }
    }
    let mut seen = HashSet::new();
    for mut alert in found.alerts {
        // Two findings about one record are one alert.
        if !seen.insert(alert.id.clone()) {
            continue;
        }
        // What the live version failed on, nobody can compare: it counts as found by both.
        let same = ours.contains(&alert.id) || not_judged.contains(&alert.id);
        if let Some(trial) = of_trial(&alert, if same { Hit::Same } else { Hit::New }) {
            alert.put_on_trial(trial);
        }
        alert.id = trial_id(&alert.id, &alert.component_digest);
        detected.alerts.push(alert);
    }
    for (rule, stats) in found.stats {
        detected.trials.entry(rule).or_default().add(&stats);
    }
}

/// What is to be noted of trials beside their hits: faults, and what was left out.
pub fn notes(detected: &Detected, states: &States, at: Millis) -> Vec<(TrialKey, TrialCounts)> {
    let mut notes = Vec::new();
    for (rule, stats) in detected.stats.iter().chain(&detected.trials) {
        if stats.faults + stats.left_out > 0
            && let Some(state) = trial(states, rule, &stats.digest, at)
        {
            let counts = TrialCounts { faults: stats.faults, left_out: stats.left_out, ..TrialCounts::default() };
            notes.push((trial_key(rule, &stats.digest, state), counts));
        }
    }
    notes
}

/// Rules with a version on trial beside a live one that is there: name, digest, and the trial with the live version's digest.
fn beside<'a>(
    live: &'a Live,
    states: &'a States,
    at: Millis,
) -> impl Iterator<Item = (&'a str, &'a str, (&'a RuleState, &'a str))> + 'a {
    let all = live.older.is_some().then(|| live.rules.iter()).into_iter().flatten();
    all.filter_map(move |(plugin, rule)| {
        let state = trial(states, &rule.name, plugin.digest(), at)?;
        let older = state.beside.as_deref().filter(|older| has(live, &rule.name, older))?;
        Some((rule.name.as_str(), plugin.digest(), (state, older)))
    })
}

/// Whether this version of the rule is among the older ones.
fn has(live: &Live, rule: &str, digest: &str) -> bool {
    let older = live.older.iter().flat_map(|older| &older.plugins.plugins);
    older.filter(|plugin| plugin.digest() == digest).any(|plugin| plugin.rules().iter().any(|own| own.name == rule))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Schemas;
    use crate::live::Base;
    use crate::log_record::{Payload, Source};
    use crate::plugin::{
        Batch, Finding, Judged, PluginError, PluginErrorKind, PluginSet, RuleInfo, RuleOptions, RulePlugin, RuleSession,
    };
    use std::cell::Cell;
    use std::sync::Arc;

    type Judge = fn(i64) -> Result<bool, PluginErrorKind>;

    /// A component of rules that are functions of `n`.
    struct Version {
        digest: &'static str,
        rules: Vec<RuleInfo>,
        judges: Vec<Judge>,
    }

    impl RulePlugin for Version {
        fn name(&self) -> &str {
            "a.wasm"
        }
        fn digest(&self) -> &str {
            self.digest
        }
        fn rules(&self) -> &[RuleInfo] {
            &self.rules
        }
        fn open<'a>(&'a self, batch: &'a Arc<Batch>) -> Box<dyn RuleSession + 'a> {
            Box::new(Asked(self, batch))
        }
    }

    struct Asked<'a>(&'a Version, &'a Arc<Batch>);

    impl RuleSession for Asked<'_> {
        fn evaluate(&mut self, rule: usize, rows: &[u32]) -> Result<Judged, PluginError> {
            TIME.with(|time| time.set(time.get() + 1_000));
            let mut judged = Judged { fuel: 7 * rows.len() as u64, ..Judged::default() };
            for row in rows {
                let n = self.1.record(*row).and_then(|record| record.get("n")?.as_i64()).unwrap();
                if (self.0.judges[rule])(n).map_err(|kind| PluginError::new(kind, "oops"))? {
                    judged.findings.push(Finding { row: *row, ..Finding::default() });
                }
            }
            Ok(judged)
        }
    }

    thread_local! {
        static TIME: Cell<u64> = const { Cell::new(0) };
    }

    fn version(digest: &'static str, rules: &[(&str, Judge)]) -> PluginSet {
        let info = |name: &str| RuleInfo {
            name: name.to_owned(),
            description: String::new(),
            logs: vec!["t".into()],
            when: Vec::new(),
            options: RuleOptions::default(),
        };
        let plugin = Version {
            digest,
            rules: rules.iter().map(|(name, _)| info(name)).collect(),
            judges: rules.iter().map(|(_, judge)| *judge).collect(),
        };
        PluginSet { plugins: vec![Arc::new(plugin)], ..PluginSet::default() }
    }

    fn live(now: PluginSet, older: PluginSet) -> Live {
        let text = r#"{"t:a": {"parser": "json", "schema": {"n": "integer"}},
                       "t:b": {"parser": "json", "schema": {"n": "integer", "b": "integer"}}}"#;
        let schemas = Schemas::read(&[("t.json".to_owned(), text.to_owned())]).unwrap();
        let base = Base { schemas: Arc::new(schemas), ..Base::default() };
        Live::new(now, &base, None).0.beside(older, || TIME.with(Cell::get))
    }

    fn batch(live: &Live, lines: &str) -> LogBatch {
        let source = Arc::new(Source::new("file", "r", "o"));
        let classified = live.classifier.worker().classify(Payload::new(source, 0, lines.as_bytes()));
        assert!(classified.dead.is_empty(), "{:?}", classified.dead);
        classified.batch
    }

    fn rows(numbers: std::ops::Range<i64>) -> String {
        numbers.map(|n| format!("{{\"n\": {n}}}\n")).collect()
    }

    fn state(beside: &str) -> RuleState {
        let beside = (!beside.is_empty()).then(|| beside.to_owned());
        RuleState { staged: true, digest: "new".into(), since: 3, beside, ..RuleState::default() }
    }

    /// What is said of each record, by its number, of each rule: `live`, and of versions on trial what kind of hit.
    fn said(live: &Live, states: &States, lines: &str) -> (BTreeMap<String, Vec<String>>, Detected) {
        let batch = batch(live, lines);
        let mut detected = judge(live, &batch, "now", 5, states, None);
        on_trial(live, &batch, "now", 5, states, &mut detected, true);
        let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut ids = HashSet::new();
        for alert in &detected.alerts {
            assert!(ids.insert(&alert.id), "no two alerts have one id");
            let n = alert.record.to_value()["n"].to_string();
            let of = match &alert.trial {
                None => "live",
                Some(trial) => trial.hit.name(),
            };
            assert_eq!(alert.staged, !["live", "lost"].contains(&of));
            said.entry(alert.rule_name.clone()).or_default().push(format!("{n} {of} {}", alert.component_digest));
        }
        (said, detected)
    }

    fn list(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn the_live_version_tells_and_the_one_on_trial_is_compared() {
        let older = version("old", &[("r", |n| Ok(n < 2)), ("gone", |_| Ok(true))]);
        let live = live(version("new", &[("r", |n| Ok((1..3).contains(&n))), ("alone", |n| Ok(n == 0))]), older);
        let states = States::from([("r".into(), state("old")), ("alone".into(), state(""))]);
        let (said, detected) = said(&live, &states, &rows(0..4));
        assert_eq!(said["r"], list(&["0 lost old", "1 live old", "1 same new", "2 new new"]));
        assert_eq!(said["alone"], list(&["0 alone new"]));
        assert!(!said.contains_key("gone"), "what a newer version lacks ends at once");
        assert_eq!((detected.stats["r"].digest.as_str(), detected.trials["r"].digest.as_str()), ("old", "new"));
        assert_eq!((detected.stats["r"].rows, detected.trials["r"].fuel), (4, 28));
        // A live alert has the id it has without any trial.
        let plain = judge(&live, &batch(&live, &rows(0..4)), "now", 5, &States::new(), None);
        let ids = |detected: &Detected, staged: bool| -> HashSet<String> {
            let of = detected.alerts.iter().filter(|alert| alert.rule_name == "r" && alert.staged == staged);
            of.map(|alert| alert.id.clone()).collect()
        };
        assert_eq!(ids(&plain, false).intersection(&ids(&detected, false)).count(), 1, "of record 1");
        assert_eq!(ids(&plain, false).intersection(&ids(&detected, true)).count(), 0);
    }

    #[test]
    fn promotion_changes_who_is_asked_at_once() {
        let older = version("old", &[("r", |_| Ok(true)), ("s", |_| Ok(true))]);
        let live = live(version("new", &[("r", |_| Ok(false)), ("s", |_| Ok(false))]), older);
        let promoted = RuleState { digest: "new".into(), since: 4, ..RuleState::default() };
        let mut states = States::from([("r".into(), state("old")), ("s".into(), promoted)]);
        let (told, _) = said(&live, &states, &rows(0..1));
        assert_eq!(told, BTreeMap::from([("r".to_owned(), list(&["0 lost old"]))]), "s is live in its new version");
        states.get_mut("r").unwrap().disabled = true;
        assert_eq!(said(&live, &states, &rows(0..1)).0, BTreeMap::new());
        // Over by itself.
        states.insert("r".into(), RuleState { until: Some(5), ..state("old") });
        assert_eq!(said(&live, &states, &rows(0..1)).0, BTreeMap::new());
    }

    #[test]
    fn where_the_older_version_is_not_there_the_new_one_is_heard() {
        let live = live(version("new", &[("r", |_| Ok(true))]), PluginSet::default());
        let states = States::from([("r".into(), state("old"))]);
        assert_eq!(said(&live, &states, &rows(0..1)).0["r"], list(&["0 live new"]));
    }

    #[test]
    fn what_a_version_on_trial_fails_on_is_neither_lost_nor_found_and_no_letter() {
        let older = version("old", &[("r", |n| if n == 3 { Err(PluginErrorKind::Trap) } else { Ok(true) })]);
        let new = version("new", &[("r", |n| if n == 1 { Err(PluginErrorKind::Trap) } else { Ok(n > 1) })]);
        let live = live(new, older);
        let states = States::from([("r".into(), state("old"))]);
        let (said, detected) = said(&live, &states, &rows(0..4));
        let expected = ["0 lost old", "1 live old", "2 live old", "2 same new", "3 same new"];
        assert_eq!(said["r"], list(&expected));
        assert_eq!(detected.dead.len(), 1, "the live version's");
        let notes = notes(&detected, &states, 5);
        let key = TrialKey { rule: "r".into(), digest: "new".into(), since: 3 };
        assert_eq!(notes, [(key, TrialCounts { faults: 1, ..TrialCounts::default() })]);
    }

    #[test]
    fn what_is_too_slow_is_not_shown_everything_and_that_is_counted() {
        let older = version("old", &[("r", |_| Ok(true))]);
        let new = version(
            "new",
            &[("r", |_| {
                TIME.with(|time| time.set(time.get() + TRIAL_NANOSECONDS_FREE / 2));
                Ok(true)
            })],
        );
        let live = live(new, older);
        let states = States::from([("r".into(), state("old"))]);
        let left_out = |lines: &str| said(&live, &states, lines).1.trials["r"].left_out;
        assert_eq!((left_out(&rows(0..2)), left_out(&rows(2..3)), left_out(&rows(3..5))), (0, 0, 2));
        let (told, detected) = said(&live, &states, &rows(5..6));
        assert_eq!(told["r"], list(&["5 live old"]), "what was not shown is not lost");
        assert_eq!(notes(&detected, &states, 5)[0].1.left_out, 1);
    }

    #[test]
    fn one_rule_that_is_asked_again_is_asked_in_its_live_version() {
        let older = version("old", &[("r", |_| Ok(true)), ("s", |_| Ok(true))]);
        let live = live(version("new", &[("r", |_| Ok(false)), ("s", |_| Ok(true))]), older);
        let states = States::from([("r".into(), RuleState { disabled: true, ..state("old") })]);
        let batch = batch(&live, &rows(0..1));
        let detected = judge(&live, &batch, "now", 5, &states, Some("r"));
        assert_eq!(detected.alerts.len(), 1);
        assert_eq!((detected.alerts[0].component_digest.as_str(), detected.alerts[0].staged), ("old", false));
    }

    #[test]
    fn fuel_and_time_are_shared_out_by_log_type_and_nothing_is_lost() {
        let live = live(version("new", &[("r", |n| Ok(n % 2 == 0))]), PluginSet::default());
        let lines = rows(0..2) + "{\"n\": 2, \"b\": 1}\n" + &rows(3..4) + "{\"n\": 4, \"b\": 1}\n";
        let (_, detected) = said(&live, &States::new(), &lines);
        let stats = &detected.stats["r"];
        let of: BTreeMap<&str, (u64, u64, u64)> =
            stats.by_log_type.iter().map(|of| (of.log_type.name.as_str(), (of.rows, of.findings, of.fuel))).collect();
        assert_eq!(of, BTreeMap::from([("t:a", (3, 1, 21)), ("t:b", (2, 2, 14))]));
        assert_eq!(stats.by_log_type.iter().map(|of| of.nanoseconds).sum::<u64>(), stats.nanoseconds);
        assert_eq!(stats.nanoseconds, 1_000, "one call");
    }
}
