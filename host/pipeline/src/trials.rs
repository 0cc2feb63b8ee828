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
    mark(&mut detected.alerts, states, at);
    // Where the version that was to stay live is not there, the other one stands in for it: rather loud than blind.
    for alert in detected.alerts.iter_mut().filter(|alert| alert.staged) {
        if live_beside(states, &alert.rule_name, &alert.component_digest, at).is_some() {
            (alert.staged, alert.trial) = (false, None);
        }
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
        alert.trial = of_trial(&alert, if same { Hit::Same } else { Hit::New });
        alert.staged = true;
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
