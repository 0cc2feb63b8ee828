//! Rules on trial and rules that are switched off: what was decided about a rule, what that means for a record and an alert, and
//! what becomes of rules that are new or changed.

use crate::alert::{Alert, Hit, Trial};
use crate::backend::{RuleState, TrialKey};
use crate::config::RuleStaging;
use crate::config::staging::{Changed, New};
use crate::time::Millis;
use std::collections::{BTreeMap, BTreeSet};

/// What was decided, by rule. A rule that is not in it is live.
pub type States = BTreeMap<String, RuleState>;

/// Digest of the component that each rule is in.
pub type Fleet = BTreeMap<String, String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its alerts are delivered.
    Live,
    /// On trial: its alerts are kept for searching, and nobody is told.
    Staged,
    /// It is not asked about records.
    Disabled,
}

impl Standing {
    pub fn name(self) -> &'static str {
        match self {
            Standing::Live => "live",
            Standing::Staged => "staged",
            Standing::Disabled => "disabled",
        }
    }

    /// Of a rule as the component of this digest has it.
    pub fn of(states: &States, rule: &str, digest: &str, now: Millis) -> Standing {
        match states.get(rule) {
            Some(state) if state.disabled => Standing::Disabled,
            Some(state) if is_trial(state, digest, now) => Standing::Staged,
            _ => Standing::Live,
        }
    }
}

/// Whether it is a trial of this version that is not over. What is said of another version says nothing of this one.
fn is_trial(state: &RuleState, digest: &str, now: Millis) -> bool {
    state.staged && state.until.is_none_or(|until| until > now) && (state.digest.is_empty() || state.digest == digest)
}

/// The trial of this version of a rule, if it is on trial.
pub fn trial<'a>(states: &'a States, rule: &str, digest: &str, now: Millis) -> Option<&'a RuleState> {
    states.get(rule).filter(|state| is_trial(state, digest, now))
}

/// By which a trial of this version is counted.
pub fn trial_key(rule: &str, digest: &str, state: &RuleState) -> TrialKey {
    TrialKey { rule: rule.to_owned(), digest: digest.to_owned(), since: state.since }
}

/// Digest of the version that stays live while this one is on trial beside it.
pub fn live_beside<'a>(states: &'a States, rule: &str, digest: &str, now: Millis) -> Option<&'a str> {
    trial(states, rule, digest, now)?.beside.as_deref()
}

/// Whether records are shown to the rule.
pub fn is_asked(states: &States, rule: &str) -> bool {
    states.get(rule).is_none_or(|state| !state.disabled)
}

/// Marks the alerts of rules that are on trial alone.
pub fn mark(alerts: &mut [Alert], states: &States, now: Millis) {
    if states.is_empty() {
        return;
    }
    for alert in alerts.iter_mut().filter(|alert| alert.trial.is_none()) {
        if Standing::of(states, &alert.rule_name, &alert.component_digest, now) == Standing::Staged
            && let Some(state) = states.get(&alert.rule_name)
        {
            let digest = alert.component_digest.clone();
            alert.put_on_trial(Trial { digest, since: state.since, hit: Hit::Alone });
        }
    }
}

/// What is to be decided because components have come, changed or gone: the states that differ from `states`, `None` being none
/// at all. `before` is what was live until now, and nothing if that is not known: then all begin live. What was decided about
/// this very version stays, so it may be asked again and again. `skip` says of a component, by its digest, that its rules are to
/// begin live.
pub fn settle(
    before: Option<&Fleet>,
    after: &Fleet,
    states: &States,
    policy: &RuleStaging,
    skip: &dyn Fn(&str) -> bool,
    now: Millis,
) -> Vec<(String, Option<RuleState>)> {
    // A folder that is not there for a moment has no rules, and that is no news about any.
    let Some(before) = before.filter(|before| policy.enabled && !before.is_empty() && !after.is_empty()) else {
        return Vec::new();
    };
    let mut decided = Vec::new();
    for (rule, digest) in after {
        let (old, state) = (before.get(rule), states.get(rule));
        let said = state.is_some_and(|state| {
            state.digest == *digest
                || state.staged && state.digest.is_empty() && state.until.is_none_or(|end| end > now)
        });
        if old == Some(digest) || said || skip(digest) {
            continue;
        }
        // Who is live until now: of a rule that is on trial itself, the version that it is beside.
        let live = old.and_then(|old| match state.filter(|state| is_trial(state, old, now)) {
            Some(state) => state.beside.as_deref(),
            None => Some(old.as_str()),
        });
        let disabled = state.is_some_and(|state| state.disabled);
        let decision = RuleState { digest: digest.clone(), since: now, disabled, ..RuleState::default() };
        let decision = match (old, policy.changed(rule), policy.new_rule(rule)) {
            (None, _, New::Live) | (Some(_), Changed::Live, _) => continue,
            // It is what is live, once more.
            (Some(_), ..) if live == Some(digest) => decision,
            (None, _, New::Stage) | (Some(_), Changed::Stage, _) => RuleState { staged: true, ..decision },
            (Some(_), Changed::Shadow, _) => RuleState { staged: true, beside: live.map(str::to_owned), ..decision },
        };
        decided.push((rule.clone(), Some(decision)));
    }
    for (rule, state) in states.iter().filter(|(rule, _)| !after.contains_key(*rule)) {
        // That an operator has switched it off counts when it comes back.
        let off = RuleState { disabled: true, since: state.since, ..RuleState::default() };
        match state.disabled {
            true if *state == off => {}
            true => decided.push((rule.clone(), Some(off))),
            false => decided.push((rule.clone(), None)),
        }
    }
    decided
}

/// Digests of older components that stay live while newer ones are on trial beside them.
pub fn kept(after: &Fleet, states: &States, now: Millis) -> BTreeSet<String> {
    let beside = after.iter().filter_map(|(rule, digest)| live_beside(states, rule, digest, now));
    let current: BTreeSet<&str> = after.values().map(String::as_str).collect();
    beside.filter(|digest| !current.contains(digest)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::samples;

    fn state(staged: bool, digest: &str, until: Option<Millis>, disabled: bool) -> RuleState {
        RuleState { staged, digest: digest.into(), since: 5, until, beside: None, disabled }
    }

    #[test]
    fn a_trial_is_about_one_version_and_ends_when_it_is_said() {
        let states = States::from([
            ("trial".into(), state(true, "aa", None, false)),
            ("any".into(), state(true, "", None, false)),
            ("timed".into(), state(true, "aa", Some(100), false)),
            ("promoted".into(), state(false, "aa", None, false)),
            ("off".into(), state(true, "aa", None, true)),
        ]);
        let standing = |rule: &str, digest: &str, now| Standing::of(&states, rule, digest, now).name();
        assert_eq!(standing("trial", "aa", 7), "staged");
        assert_eq!(standing("trial", "bb", 7), "live", "another version");
        assert_eq!(standing("any", "bb", 7), "staged");
        assert_eq!((standing("timed", "aa", 99), standing("timed", "aa", 100)), ("staged", "live"));
        assert_eq!((standing("promoted", "aa", 7), standing("unknown", "aa", 7)), ("live", "live"));
        assert_eq!(
            (standing("off", "zz", 7), is_asked(&states, "off"), is_asked(&states, "any")),
            ("disabled", false, true)
        );

        let alert = |rule: &str| Alert { rule_name: rule.into(), component_digest: "aa".into(), ..samples::alert() };
        let mut alerts = [alert("trial"), alert("promoted")];
        mark(&mut alerts, &states, 7);
        assert_eq!(alerts.each_ref().map(|alert| alert.staged), [true, false]);
        assert_eq!(alerts[0].trial, Some(Trial { digest: "aa".into(), since: 5, hit: Hit::Alone }));
    }

    fn fleet(rules: &[(&str, &str)]) -> Fleet {
        rules.iter().map(|(rule, digest)| ((*rule).to_owned(), (*digest).to_owned())).collect()
    }

    /// What is decided about one rule that was in `before` and is in `after`, as `digest` or `digest beside digest`.
    fn decided(before: &str, after: &str, state: Option<RuleState>, policy: &str) -> Option<String> {
        let policy = RuleStaging::read("f", policy).unwrap();
        // There are others.
        let with = |digest: &str| match digest {
            "" => fleet(&[("other", "oo")]),
            digest => fleet(&[("other", "oo"), ("r", digest)]),
        };
        let states: States = state.map(|state| ("r".to_owned(), state)).into_iter().collect();
        let all = settle(Some(&with(before)), &with(after), &states, &policy, &|_| false, 77);
        assert!(all.len() <= 1, "{all:?}");
        let (rule, state) = all.into_iter().next()?;
        assert_eq!(rule, "r");
        Some(match state {
            None => "removed".into(),
            Some(state) => {
                let beside = state.beside.map(|beside| format!(" beside {beside}")).unwrap_or_default();
                let word = if state.staged { "trial" } else { "live" };
                let off = if state.disabled { " off" } else { "" };
                format!("{word} {}{beside}{off}", state.digest)
            }
        })
    }

    #[test]
    fn what_is_new_or_changed_begins_on_trial() {
        let on_trial = |beside: Option<&str>| {
            Some(RuleState { beside: beside.map(str::to_owned), ..state(true, "bb", None, false) })
        };
        let told = |text: &str| Some(text.to_owned());
        assert_eq!(decided("", "aa", None, "{}"), told("trial aa"), "new");
        assert_eq!(decided("", "aa", None, r#"{"new": "live"}"#), None);
        assert_eq!(decided("aa", "aa", None, "{}"), None, "the same");
        assert_eq!(decided("aa", "bb", None, "{}"), told("trial bb beside aa"));
        assert_eq!(decided("aa", "bb", None, r#"{"changed": "stage"}"#), told("trial bb"));
        assert_eq!(decided("aa", "bb", None, r#"{"changed": "live"}"#), None);
        assert_eq!(decided("aa", "bb", None, r#"{"rules": {"r": {"changed": "live"}}}"#), None);
        assert_eq!(decided("aa", "bb", None, r#"{"enabled": false}"#), None);
        // It was decided before, and something stopped us then.
        assert_eq!(decided("aa", "bb", on_trial(Some("aa")), "{}"), None);
        assert_eq!(decided("aa", "bb", Some(state(false, "bb", None, false)), "{}"), None, "promoted already");
        // Of a trial, what is live goes on.
        assert_eq!(decided("bb", "cc", on_trial(Some("aa")), "{}"), told("trial cc beside aa"));
        assert_eq!(decided("bb", "aa", on_trial(Some("aa")), "{}"), told("live aa"), "back again");
        assert_eq!(decided("bb", "cc", on_trial(None), "{}"), told("trial cc"), "it was never live");
        assert_eq!(decided("bb", "cc", Some(state(false, "bb", None, false)), "{}"), told("trial cc beside bb"));
        // Over by itself since.
        assert_eq!(decided("bb", "cc", Some(state(true, "bb", Some(50), false)), "{}"), told("trial cc beside bb"));
        assert_eq!(decided("aa", "bb", Some(state(false, "aa", None, true)), "{}"), told("trial bb beside aa off"));
        assert_eq!(decided("aa", "bb", Some(state(true, "", None, false)), "{}"), None, "any version is on trial");
        // Gone.
        assert_eq!(decided("bb", "", on_trial(Some("aa")), "{}"), told("removed"));
        assert_eq!(decided("bb", "", Some(state(true, "bb", None, true)), "{}"), told("live  off"));
        assert_eq!(decided("bb", "", Some(RuleState { since: 5, disabled: true, ..RuleState::default() }), "{}"), None);
    }

    #[test]
    fn the_first_fill_and_what_is_told_otherwise_begin_live() {
        let (after, policy) = (fleet(&[("r", "bb")]), RuleStaging::default());
        let settled =
            |before: Option<&Fleet>, skip: bool| settle(before, &after, &States::new(), &policy, &|_| skip, 1).len();
        assert_eq!(settled(None, false), 0);
        assert_eq!(settled(Some(&Fleet::new()), false), 0);
        assert_eq!(settled(Some(&fleet(&[("q", "aa")])), true), 0);
        assert_eq!(settled(Some(&fleet(&[("q", "aa")])), false), 1);
    }

    #[test]
    fn older_versions_are_kept_while_somebody_is_on_trial_beside_them() {
        let beside = |digest: &str, beside: &str, until| {
            let state = state(true, digest, until, false);
            RuleState { beside: Some(beside.into()), ..state }
        };
        let states = States::from([
            ("a".into(), beside("new", "old", None)),
            ("b".into(), beside("new", "older", Some(10))),
            ("c".into(), beside("another", "unneeded", None)),
        ]);
        let after = fleet(&[("a", "new"), ("b", "new"), ("c", "new")]);
        let kept = |now| kept(&after, &states, now).into_iter().collect::<Vec<_>>();
        assert_eq!(kept(9), ["old", "older"]);
        assert_eq!(kept(10), ["old"]);
    }
}
