//! The end of a trial: which rules go live, which stay on trial and why, and what somebody is told of it. What is not known is not
//! taken for nothing: a rule of which the counts cannot be had stays where it is.

use crate::alert::{Alert, Severity};
use crate::backend::{AlertTable, BackendError, NewAlert, RuleState, RuleTable, TrialCounts, TrialKey, TrialTable};
use crate::config::staging::WINDOW_DAYS_MAX;
use crate::config::{Outputs, RuleStaging};
use crate::limits::{DIGEST_NAME_BYTES_MAX, DIGEST_RULES_MAX};
use crate::log_record::{Position, Source, short_id};
use crate::staging::{Fleet, States, trial, trial_key};
use crate::time::{Millis, rfc3339};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What a digest is an alert of.
pub const DIGEST_RULE: &str = "streamalert:rule_promotion";

/// A rule on trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Review {
    pub key: TrialKey,
    /// As it was when it was looked at.
    pub state: RuleState,
    /// None if they cannot be had.
    pub counts: Option<TrialCounts>,
    pub threshold: u64,
    /// End of its window, or of the trial if that was said.
    pub until: Millis,
    pub verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its time is over, and it goes live now.
    Promote,
    /// It goes live at the end of its window, if nothing else happens.
    Waits,
    /// It was said when the trial ends, whatever it raises.
    Ends,
    /// More alerts than it may raise.
    Kept,
    /// It failed on records.
    Fails,
    /// Nobody can say what it raised, and why.
    Unknown(String),
    /// Only by hand.
    Held(String),
}

impl Verdict {
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Promote => "promoted",
            Verdict::Waits => "will_be_promoted",
            Verdict::Ends => "ends",
            Verdict::Kept => "kept",
            Verdict::Fails => "fails",
            Verdict::Unknown(_) => "unknown",
            Verdict::Held(_) => "held",
        }
    }
}

impl TrialCounts {
    /// Alerts that a trial is measured by: all of a version that is on trial alone, and those that differ from the live version's.
    pub fn measured(&self) -> u64 {
        self.alone + self.new + self.lost
    }
}

impl Review {
    /// For people.
    pub fn says(&self) -> String {
        let counts = self.counts.unwrap_or_default();
        let until = rfc3339(self.until);
        match &self.verdict {
            Verdict::Promote => "promoted".into(),
            Verdict::Waits => format!("will be promoted at {until}"),
            Verdict::Ends => format!("the trial ends at {until}"),
            Verdict::Kept => format!("kept: {} alerts, and {} are allowed", counts.measured(), self.threshold),
            Verdict::Fails => format!("kept: it failed on {} records", counts.faults),
            Verdict::Unknown(why) => format!("unknown: {why}"),
            Verdict::Held(why) => format!("not promoted by itself: {why}"),
        }
    }

    /// The same for programs.
    pub fn to_json(&self) -> Value {
        let TrialKey { rule, digest, since } = &self.key;
        json!({
            "rule": rule, "digest": digest, "beside": self.state.beside,
            "since": rfc3339(*since), "until": rfc3339(self.until),
            "alerts": self.counts.map(|counts| counts.measured()), "counts": self.counts, "threshold": self.threshold,
            "verdict": self.verdict.name(), "says": self.says(),
        })
    }
}

/// The trials there are: of rules that are loaded, as they are loaded.
pub fn on_trial<'a>(states: &'a States, fleet: &Fleet, now: Millis) -> Vec<(TrialKey, &'a RuleState)> {
    let trials = fleet.iter().filter_map(|(rule, digest)| {
        // The states' own, which live longer.
        let (_, state) = states.get_key_value(rule)?;
        trial(states, rule, digest, now)?;
        Some((trial_key(rule, digest, state), state))
    });
    trials.collect()
}

/// What becomes of each trial now. `policy` is none where promotion is off.
pub fn review(
    trials: &[(TrialKey, &RuleState)],
    counts: &[Option<TrialCounts>],
    policy: Option<&RuleStaging>,
    now: Millis,
) -> Vec<Review> {
    let reviewed = trials.iter().zip(counts).map(|((key, state), counts)| {
        let default = RuleStaging::default();
        let of = policy.unwrap_or(&default);
        let until = state.until.unwrap_or_else(|| key.since.saturating_add(of.window(&key.rule)));
        let threshold = of.threshold(&key.rule);
        let verdict = verdict(key, state, *counts, threshold, until, policy, now);
        Review { key: key.clone(), state: (*state).clone(), counts: *counts, threshold, until, verdict }
    });
    reviewed.collect()
}

fn verdict(
    key: &TrialKey,
    state: &RuleState,
    counts: Option<TrialCounts>,
    threshold: u64,
    until: Millis,
    policy: Option<&RuleStaging>,
    now: Millis,
) -> Verdict {
    let held = |why: &str| Verdict::Held(why.to_owned());
    if state.until.is_some() {
        return Verdict::Ends;
    }
    if state.disabled {
        return held("it is switched off");
    }
    match policy {
        Some(policy) if !policy.enabled => return held("rule_staging.json is not enabled"),
        Some(policy) if !policy.promotes(&key.rule) => return held("rule_staging.json says so"),
        Some(_) => {}
        None => return held("there is no rule_staging.json"),
    }
    let Some(counts) = counts else { return Verdict::Unknown("its alerts could not be counted".into()) };
    if now.saturating_sub(key.since) > WINDOW_DAYS_MAX * 24 * 3_600_000 {
        return Verdict::Unknown(format!("it is on trial for more than {WINDOW_DAYS_MAX} days"));
    }
    match counts {
        counts if counts.measured() > threshold => Verdict::Kept,
        TrialCounts { left_out: 1.., .. } => {
            Verdict::Unknown(format!("it is so slow that it was not shown {} records", counts.left_out))
        }
        TrialCounts { faults: 1.., .. } => Verdict::Fails,
        _ if now >= until => Verdict::Promote,
        _ => Verdict::Waits,
    }
}

/// What one look at all trials came to.
#[derive(Debug, Default)]
pub struct Round {
    pub reviews: Vec<Review>,
    /// Rules that went live by it.
    pub promoted: Vec<String>,
    /// Rules about which somebody else has decided meanwhile.
    pub overtaken: Vec<String>,
    /// What failed: the rest is done, and the next round does this.
    pub trouble: Option<BackendError>,
}

/// Looks at all trials, and lets those go live whose time has come. Each is one write that may be done again, so whoever is stopped
/// in the midst of it has done a part, and the next round does what is left.
pub fn round(
    table: &dyn RuleTable,
    trials: &dyn TrialTable,
    fleet: &Fleet,
    policy: Option<&RuleStaging>,
    now: Millis,
) -> Result<Round, BackendError> {
    let states = table.all()?;
    let found = on_trial(&states, fleet, now);
    let mut round = Round::default();
    if found.is_empty() {
        return Ok(round);
    }
    let keys: Vec<TrialKey> = found.iter().map(|(key, _)| key.clone()).collect();
    let counts = match trials.counts(&keys) {
        Ok(counts) => counts.into_iter().map(Some).collect(),
        Err(error) => {
            round.trouble = Some(error);
            vec![None; keys.len()]
        }
    };
    round.reviews = review(&found, &counts, policy, now);
    for review in round.reviews.iter().filter(|review| review.verdict == Verdict::Promote) {
        let Review { key, state, .. } = review;
        // Only on what the counts were about: a trial that was begun anew meanwhile goes on.
        match table.replace(&key.rule, Some(state), Some(&promoted(state, &key.digest, now))) {
            Ok(true) => round.promoted.push(key.rule.clone()),
            Ok(false) => round.overtaken.push(key.rule.clone()),
            Err(error) => round.trouble = round.trouble.or(Some(error)),
        }
    }
    Ok(round)
}

/// The time that a digest is due for: the last one that lies behind the beginning of a trial. Who was not there then tells it late.
pub fn digest_due(reviews: &[Review], policy: Option<&RuleStaging>, now: Millis) -> Option<Millis> {
    let digest = policy?.digest.as_ref()?;
    let since = reviews.iter().map(|review| review.key.since).min()?;
    digest.schedule.between(since, now, 1).0.pop()
}

/// A rule that goes live in this version.
pub fn promoted(state: &RuleState, digest: &str, now: Millis) -> RuleState {
    let RuleState { disabled, lived, gone, .. } = state.clone();
    RuleState { digest: digest.to_owned(), since: now, disabled, lived, gone, ..RuleState::default() }
}

/// What somebody is told of all trials: most alerts first, and so many that it fits anywhere.
pub fn digest_record(reviews: &[Review]) -> Map<String, Value> {
    let mut sorted: Vec<&Review> = reviews.iter().collect();
    // What is not known stands first: somebody has to look.
    sorted.sort_by_key(|review| {
        (std::cmp::Reverse(review.counts.map_or(u64::MAX, |counts| counts.measured())), &review.key.rule)
    });
    let mut verdicts: BTreeMap<&str, u64> = BTreeMap::new();
    for review in reviews {
        *verdicts.entry(review.verdict.name()).or_default() += 1;
    }
    let row = |review: &&Review| {
        let mut row = review.to_json();
        if let Some(name) = row.get_mut("rule") {
            *name = cut(&review.key.rule).into();
        }
        row
    };
    let rules: Vec<Value> = sorted.iter().take(DIGEST_RULES_MAX).map(row).collect();
    let more = reviews.len() - rules.len();
    let mut record = Map::new();
    record.insert("on_trial".into(), reviews.len().into());
    record.insert("verdicts".into(), json!(verdicts));
    record.insert("rules".into(), rules.into());
    record.insert("not_shown".into(), more.into());
    record
}

fn cut(name: &str) -> String {
    match name.len() <= DIGEST_NAME_BYTES_MAX {
        true => name.to_owned(),
        false => format!("{}…", &name[..name.floor_char_boundary(DIGEST_NAME_BYTES_MAX)]),
    }
}

/// The same as a text.
pub fn digest_text(record: &Map<String, Value>) -> String {
    let mut text = String::new();
    let of = |row: &Value, key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    for row in record.get("rules").and_then(Value::as_array).into_iter().flatten() {
        let alerts = row["alerts"].as_u64().map_or("unknown".to_owned(), |alerts| alerts.to_string());
        let _ = writeln!(
            text,
            "{}: {alerts} alerts since {}, until {}: {}",
            of(row, "rule"),
            of(row, "since"),
            of(row, "until"),
            of(row, "says")
        );
    }
    if let Some(more @ 1..) = record.get("not_shown").and_then(Value::as_u64) {
        let _ = writeln!(text, "and {more} more");
    }
    text
}

/// The digest as an alert, which is owed to its output like any other. Of one time there is one, however often it is made.
pub fn digest_alert(record: Map<String, Value>, output: &str, slot: Millis, now: Millis, version: &str) -> Alert {
    let count = record.get("on_trial").and_then(Value::as_u64).unwrap_or_default();
    let description = digest_text(&record);
    let id = Sha256::new().chain_update("digest of trials").chain_update(output).chain_update(slot.to_le_bytes());
    Alert {
        id: short_id(&id.finalize()),
        rule_name: DIGEST_RULE.into(),
        title: format!("Rules on trial: {count}"),
        severity: Severity::Info,
        rule_description: description,
        created: rfc3339(now),
        event_time: Some(rfc3339(slot)),
        cluster: String::new(),
        log_source: DIGEST_RULE.into(),
        log_type: "json".into(),
        source: Source::new("streamalert", "rule_promotion", rfc3339(slot)),
        position: Position { offset: 0, length: 0, index: 0 },
        outputs: vec![output.to_owned()],
        publishers: Value::Null,
        merge: None,
        dedup_key: None,
        tags: Vec::new(),
        references: Vec::new(),
        context: Map::new(),
        record: Value::Object(record).into(),
        staged: false,
        trial: None,
        component_digest: String::new(),
        host_version: version.to_owned(),
        fuel: 0,
    }
}

/// Stores a digest, owed to its output alone: it is no alert that anybody's defaults are for. Says whether it is new.
pub fn owe_digest(table: &dyn AlertTable, outputs: &Outputs, alert: &Alert, now: Millis) -> Result<bool, BackendError> {
    let unknown = alert.outputs.iter().filter_map(|output| Some((output.clone(), outputs.unknown(output)?)));
    let new = NewAlert { alert, waiting: None, undeliverable: unknown.collect() };
    Ok(table.add(&[new], now)?.contains(&true))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;

    fn state(since: Millis) -> RuleState {
        RuleState { staged: true, digest: "dd".into(), since, ..RuleState::default() }
    }

    fn verdict_of(state: RuleState, counts: Option<TrialCounts>, policy: Option<&str>, now: Millis) -> String {
        let states = States::from([("r".into(), state)]);
        let policy = policy.map(|text| RuleStaging::read("f", text).unwrap());
        let trials = on_trial(&states, &Fleet::from([("r".into(), "dd".into())]), now);
        let reviews = review(&trials, &[counts], policy.as_ref(), now);
        reviews.first().map_or("none".into(), |review| review.verdict.name().to_owned())
    }

    #[test]
    fn no_alerts_is_none_and_unknown_is_not() {
        let none = Some(TrialCounts::default());
        assert_eq!(verdict_of(state(0), none, Some("{}"), 48 * HOUR - 1), "will_be_promoted");
        assert_eq!(verdict_of(state(0), none, Some("{}"), 48 * HOUR), "promoted");
        assert_eq!(verdict_of(state(0), None, Some("{}"), 480 * HOUR), "unknown");
        assert_eq!(verdict_of(state(0), none, Some(r#"{"window": "2s"}"#), 2_000), "promoted");
        let alone = |alone| Some(TrialCounts { alone, ..TrialCounts::default() });
        assert_eq!(verdict_of(state(0), alone(1), Some("{}"), 48 * HOUR), "kept");
        assert_eq!(verdict_of(state(0), alone(3), Some(r#"{"threshold": 3}"#), 48 * HOUR), "promoted");
        assert_eq!(verdict_of(state(0), alone(4), Some(r#"{"threshold": 3}"#), 1), "kept");
        assert_eq!(
            verdict_of(state(0), alone(4), Some(r#"{"rules": {"r": {"threshold": 4}}}"#), 48 * HOUR),
            "promoted"
        );
        assert_eq!(verdict_of(state(0), none, Some("{}"), 366 * 24 * HOUR), "unknown");
    }

    #[test]
    fn beside_a_live_version_the_difference_counts() {
        let counts = |new, same, lost| Some(TrialCounts { new, same, lost, ..TrialCounts::default() });
        assert_eq!(verdict_of(state(0), counts(0, 1_000, 0), Some("{}"), 48 * HOUR), "promoted");
        assert_eq!(verdict_of(state(0), counts(1, 0, 0), Some("{}"), 48 * HOUR), "kept");
        assert_eq!(verdict_of(state(0), counts(0, 0, 1), Some("{}"), 48 * HOUR), "kept");
        let more = |faults, left_out| Some(TrialCounts { faults, left_out, ..TrialCounts::default() });
        assert_eq!(verdict_of(state(0), more(1, 0), Some("{}"), 48 * HOUR), "fails");
        assert_eq!(verdict_of(state(0), more(0, 1), Some("{}"), 48 * HOUR), "unknown");
    }

    #[test]
    fn what_is_said_by_hand_counts_first() {
        let none = Some(TrialCounts::default());
        assert_eq!(verdict_of(state(0), none, None, 48 * HOUR), "held");
        assert_eq!(verdict_of(state(0), none, Some(r#"{"enabled": false}"#), 48 * HOUR), "held");
        assert_eq!(verdict_of(state(0), none, Some(r#"{"rules": {"r": {"promote": false}}}"#), 48 * HOUR), "held");
        assert_eq!(verdict_of(RuleState { until: Some(9), ..state(0) }, none, Some("{}"), 8), "ends");
        assert_eq!(verdict_of(RuleState { until: Some(9), ..state(0) }, none, Some("{}"), 9), "none", "it is over");
        assert_eq!(verdict_of(RuleState { digest: "xx".into(), ..state(0) }, none, Some("{}"), 48 * HOUR), "none");
        assert_eq!(verdict_of(RuleState { disabled: true, ..state(0) }, none, Some("{}"), 48 * HOUR), "held");
        let lived = vec!["cc".to_owned()];
        let before = RuleState { beside: Some("cc".into()), lived: lived.clone(), ..state(3) };
        let after = RuleState { digest: "dd".into(), since: 7, lived, ..RuleState::default() };
        assert_eq!(promoted(&before, "dd", 7), after);
    }

    #[test]
    fn a_digest_is_sorted_bounded_and_one_for_its_time() {
        let names: Vec<String> = (0..1_000).map(|number| format!("{number:04}{}", "ü".repeat(400))).collect();
        let states: States = names.iter().map(|name| (name.clone(), state(0))).collect();
        let fleet: Fleet = names.iter().map(|name| (name.clone(), "dd".to_owned())).collect();
        let trials = on_trial(&states, &fleet, 1);
        let counts = |number: usize| match number {
            7 => None,
            _ => Some(TrialCounts { alone: number as u64, ..TrialCounts::default() }),
        };
        let counts: Vec<_> = (0..names.len()).map(counts).collect();
        let reviews = review(&trials, &counts, Some(&RuleStaging::default()), 1);
        let record = digest_record(&reviews);
        let row = |at: usize| &record["rules"][at];
        assert_eq!((row(0)["verdict"].as_str(), row(0)["alerts"].as_u64()), (Some("unknown"), None));
        assert_eq!((row(1)["alerts"].as_u64(), row(2)["alerts"].as_u64()), (Some(999), Some(998)));
        assert_eq!((&record["on_trial"], &record["not_shown"]), (&1_000.into(), &800.into()));
        assert_eq!(record["verdicts"], json!({"kept": 998, "unknown": 1, "will_be_promoted": 1}));
        let alert = |slot, now| digest_alert(record.clone(), "slack:soc", slot, now, "0");
        let text = serde_json::to_string(&alert(10, 20)).unwrap();
        assert!(text.len() < 256 << 10, "{}", text.len());
        assert!(alert(10, 20).rule_description.ends_with("and 800 more\n"));
        assert_eq!(alert(10, 20).id, alert(10, 30).id);
        assert_ne!(alert(10, 20).id, alert(11, 20).id);
    }
}
