//! Rules on trial and rules that are switched off: what was decided about a rule, what that means for a record and an alert, and
//! what becomes of rules that are new or changed.

use crate::alert::{Alert, Hit, Trial};
use crate::backend::{RuleState, TrialKey};
use crate::config::RuleStaging;
use crate::config::staging::{Changed, New};
use crate::time::Millis;
use std::collections::{BTreeMap, BTreeSet};

/// Versions of a rule that are remembered as having been live: who goes back goes back by a few.
const LIVED_MAX: usize = 8;
/// For so long it is remembered what was live of rules that no component has: as long as their code is kept.
const FORGOTTEN: Millis = 30 * 24 * 60 * 60 * 1000;
/// A rule on trial that is gone for less goes on with its trial: a deployment, a folder that is copied anew.
const AWAY: Millis = 60 * 60 * 1000;

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
    let Some(before) = before.filter(|_| policy.enabled) else { return Vec::new() };
    // Where all have gone, some may come back: that is no first fill.
    if before.is_empty() && states.values().all(|state| state.gone.is_none()) {
        return Vec::new();
    }
    let mut decided = Vec::new();
    for (rule, digest) in after {
        let (old, state) = (before.get(rule).map(String::as_str), states.get(rule));
        if let Some(decision) = come(rule, digest, old, state, policy, skip, now)
            && Some(&decision) != state
        {
            decided.push((rule.clone(), Some(decision)));
        }
    }
    let names: BTreeSet<&String> =
        before.keys().chain(states.keys()).filter(|rule| !after.contains_key(*rule)).collect();
    for rule in names {
        let state = states.get(rule);
        let decision = left(before.get(rule).map(String::as_str), state, now);
        if decision.as_ref() != state {
            decided.push((rule.clone(), decision));
        }
    }
    decided
}

/// Whether something is decided about this very version.
pub fn is_decided(state: &RuleState, digest: &str, now: Millis) -> bool {
    state.digest == digest || is_trial(state, digest, now)
}

/// What is decided about a rule that a component has, if anything: `old` is the version until now.
fn come(
    rule: &str,
    digest: &str,
    old: Option<&str>,
    state: Option<&RuleState>,
    policy: &RuleStaging,
    skip: &dyn Fn(&str) -> bool,
    now: Millis,
) -> Option<RuleState> {
    let back = state.filter(|state| state.gone.is_some());
    // A version that was there is no news, also after it was gone for a while.
    if let Some(state) = state.filter(|state| is_decided(state, digest, now)) {
        let away = state.gone.map_or(0, |gone| now.saturating_sub(gone));
        // Time in which nobody saw what it raises is no trial.
        let anew = away >= AWAY && is_trial(state, digest, now);
        return Some(RuleState { gone: None, since: if anew { now } else { state.since }, ..state.clone() });
    }
    if old == Some(digest) {
        return state.map(|state| RuleState { gone: None, ..state.clone() });
    }
    let live = live_until_now(old, state, now);
    let was_live = live == Some(digest) || state.is_some_and(|state| state.lived.iter().any(|was| was == digest));
    let lived = lived(digest, live, state);
    let disabled = state.is_some_and(|state| state.disabled);
    let begins = RuleState { digest: digest.to_owned(), since: now, disabled, lived, ..RuleState::default() };
    let known = old.is_some() || back.is_some_and(|state| !state.digest.is_empty());
    match (known, policy.changed(rule), policy.new_rule(rule)) {
        // Somebody goes back to it, and wants that now.
        (true, ..) if was_live => Some(begins),
        (true, Changed::Live, _) => Some(begins),
        (true, ..) if skip(digest) => Some(begins),
        (true, Changed::Stage, _) => Some(RuleState { staged: true, ..begins }),
        (true, Changed::Shadow, _) => Some(RuleState { staged: true, beside: live.map(str::to_owned), ..begins }),
        (false, _, New::Stage) if !skip(digest) => Some(RuleState { staged: true, ..begins }),
        // There is nothing to say of it.
        (false, ..) => state.map(|state| RuleState { gone: None, ..state.clone() }),
    }
}

/// Digest of the version that is live until another one comes; `old` is the one that is loaded until then.
fn live_until_now<'a>(old: Option<&'a str>, state: Option<&'a RuleState>, now: Millis) -> Option<&'a str> {
    match old {
        Some(old) => lives(old, state, now),
        None => state.filter(|state| state.gone.is_some()).and_then(|state| lives(&state.digest, Some(state), now)),
    }
}

/// Versions that were live before this one, when `live` is so until now.
fn lived(digest: &str, live: Option<&str>, state: Option<&RuleState>) -> Vec<String> {
    let mut lived = state.map(|state| state.lived.clone()).unwrap_or_default();
    lived.retain(|was| was != digest && Some(was.as_str()) != live);
    lived.extend(live.filter(|live| *live != digest).map(str::to_owned));
    lived.drain(..lived.len().saturating_sub(LIVED_MAX));
    lived
}

/// An operator puts this version on trial. `old` is the one that is loaded until now, where that is known: what is live of it stays so
/// beside one that is new, unless the new one is to be on trial `alone`. Of a version that is loaded already, that it was live is no
/// reason to have it live again: somebody doubts it.
pub fn stage(
    digest: &str,
    old: Option<&str>,
    state: Option<&RuleState>,
    until: Option<Millis>,
    alone: bool,
    now: Millis,
) -> RuleState {
    let live = live_beside_decision(digest, old, state, now);
    let goes_on = state.is_some_and(|state| is_trial(state, digest, now));
    let beside = live.filter(|live| *live != digest && (goes_on || !alone)).map(str::to_owned);
    RuleState { staged: true, until, beside, gone: None, ..decided_by_hand(digest, live, state, now) }
}

/// An operator has this version live; `old` as of [`stage`].
pub fn promote(digest: &str, old: Option<&str>, state: Option<&RuleState>, now: Millis) -> RuleState {
    decided_by_hand(digest, live_beside_decision(digest, old, state, now), state, now)
}

fn decided_by_hand(digest: &str, live: Option<&str>, state: Option<&RuleState>, now: Millis) -> RuleState {
    RuleState {
        digest: digest.to_owned(),
        since: now,
        disabled: state.is_some_and(|state| state.disabled),
        lived: lived(digest, live, state),
        gone: state.and_then(|state| state.gone),
        ..RuleState::default()
    }
}

/// Digest of the version that is live until now, where something may be decided already about the one that comes.
fn live_beside_decision<'a>(
    digest: &str,
    old: Option<&'a str>,
    state: Option<&'a RuleState>,
    now: Millis,
) -> Option<&'a str> {
    match state.filter(|state| is_decided(state, digest, now)) {
        None => live_until_now(old, state, now),
        Some(state) if is_trial(state, digest, now) => state.beside.as_deref(),
        // It was promoted before it came, and the state says no more of the one that is loaded than that it is live.
        Some(state) => old.filter(|old| *old != digest && state.lived.iter().any(|was| was == old)),
    }
}

/// An operator switches a rule on again, whether a component has it now or not: all that is known of its versions stays. None: nothing
/// is.
pub fn enable(state: &RuleState) -> Option<RuleState> {
    let known = state.staged || !state.digest.is_empty() || !state.lived.is_empty();
    known.then(|| RuleState { disabled: false, ..state.clone() })
}

/// Digest of the version that is live while this one is loaded: of one that is on trial, the one that it is beside.
fn lives<'a>(digest: &'a str, state: Option<&'a RuleState>, now: Millis) -> Option<&'a str> {
    match state.filter(|state| is_trial(state, digest, now)) {
        Some(state) => state.beside.as_deref(),
        None => Some(digest).filter(|digest| !digest.is_empty()),
    }
}

/// What is kept of a rule that no component has, if anything; `old` is the version until now.
fn left(old: Option<&str>, state: Option<&RuleState>, now: Millis) -> Option<RuleState> {
    // That an operator has switched it off counts when it comes back, whenever that is.
    let off = |state: &RuleState| {
        state.disabled.then(|| RuleState { disabled: true, since: state.since, ..RuleState::default() })
    };
    match (state, old) {
        (Some(state), _) if state.gone.is_some_and(|gone| now.saturating_sub(gone) >= FORGOTTEN) => off(state),
        (Some(state), _) if state.gone.is_some() => Some(state.clone()),
        (Some(state), None) if state.staged || !state.digest.is_empty() => {
            Some(RuleState { gone: Some(now), ..state.clone() })
        }
        (Some(state), None) => off(state),
        (Some(state), Some(old)) if is_decided(state, old, now) => Some(RuleState { gone: Some(now), ..state.clone() }),
        // It was live, and nothing was said of that.
        (state, Some(old)) => Some(RuleState {
            digest: old.to_owned(),
            since: state.map_or(now, |state| state.since),
            disabled: state.is_some_and(|state| state.disabled),
            lived: state.map(|state| state.lived.clone()).unwrap_or_default(),
            gone: Some(now),
            ..RuleState::default()
        }),
        (None, None) => None,
    }
}

/// Digests of components that are gone and would stay live if newer ones came.
pub fn remembered(states: &States, now: Millis) -> BTreeSet<String> {
    let gone = states.values().filter(|state| state.gone.is_some());
    gone.filter_map(|state| lives(&state.digest, Some(state), now)).map(str::to_owned).collect()
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
        RuleState { staged, digest: digest.into(), since: 5, until, disabled, ..RuleState::default() }
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
                let gone = if state.gone.is_some() { " gone" } else { "" };
                let lived = match state.lived.as_slice() {
                    [] => String::new(),
                    lived => format!(", after {}", lived.join(" ")),
                };
                format!("{word} {}{beside}{off}{gone}{lived}", state.digest)
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
        assert_eq!(decided("aa", "bb", None, "{}"), told("trial bb beside aa, after aa"));
        assert_eq!(decided("aa", "bb", None, r#"{"changed": "stage"}"#), told("trial bb, after aa"));
        assert_eq!(decided("aa", "bb", None, r#"{"changed": "live"}"#), told("live bb, after aa"));
        let own = r#"{"rules": {"r": {"changed": "live"}}}"#;
        assert_eq!(decided("aa", "bb", None, own), told("live bb, after aa"));
        assert_eq!(decided("aa", "bb", None, r#"{"enabled": false}"#), None);
        // It was decided before, and something stopped us then.
        assert_eq!(decided("aa", "bb", on_trial(Some("aa")), "{}"), None);
        assert_eq!(decided("aa", "bb", Some(state(false, "bb", None, false)), "{}"), None, "promoted already");
        // Of a trial, what is live goes on.
        assert_eq!(decided("bb", "cc", on_trial(Some("aa")), "{}"), told("trial cc beside aa, after aa"));
        assert_eq!(decided("bb", "aa", on_trial(Some("aa")), "{}"), told("live aa"), "back again");
        assert_eq!(decided("bb", "cc", on_trial(None), "{}"), told("trial cc"), "it was never live");
        let promoted = Some(state(false, "bb", None, false));
        assert_eq!(decided("bb", "cc", promoted, "{}"), told("trial cc beside bb, after bb"));
        // Over by itself since.
        let over = Some(state(true, "bb", Some(50), false));
        assert_eq!(decided("bb", "cc", over, "{}"), told("trial cc beside bb, after bb"));
        let off = Some(state(false, "aa", None, true));
        assert_eq!(decided("aa", "bb", off, "{}"), told("trial bb beside aa off, after aa"));
        assert_eq!(decided("aa", "bb", Some(state(true, "", None, false)), "{}"), None, "any version is on trial");
    }

    #[test]
    fn what_was_live_is_no_news_when_it_comes_back() {
        let told = |text: &str| Some(text.to_owned());
        let gone = |state: RuleState, at: Millis| Some(RuleState { gone: Some(at), ..state });
        let trial = RuleState { beside: Some("aa".into()), ..state(true, "bb", None, false) };
        // It goes, and what is known of it stays.
        assert_eq!(decided("aa", "", None, "{}"), told("live aa gone"));
        assert_eq!(decided("bb", "", Some(trial.clone()), "{}"), told("trial bb beside aa gone"));
        assert_eq!(decided("bb", "", Some(state(true, "bb", None, true)), "{}"), told("trial bb off gone"));
        let off = RuleState { since: 5, disabled: true, ..RuleState::default() };
        assert_eq!(decided("bb", "", Some(off.clone()), "{}"), told("live bb off gone"));
        assert_eq!(decided("", "", Some(off), "{}"), None);
        let live = state(false, "aa", None, false);
        assert_eq!(decided("", "", gone(live.clone(), 70), "{}"), None, "it is known already");
        assert_eq!(decided("aa", "", gone(live.clone(), 70), "{}"), None, "we did not live to note it");
        // It comes back: the same, another one, or one that was live before.
        for old in ["", "aa"] {
            assert_eq!(decided(old, "aa", gone(live.clone(), 70), "{}"), told("live aa"));
            assert_eq!(decided(old, "bb", gone(live.clone(), 70), "{}"), told("trial bb beside aa, after aa"));
        }
        assert_eq!(decided("", "bb", gone(trial.clone(), 70), "{}"), told("trial bb beside aa"));
        assert_eq!(decided("", "aa", gone(trial.clone(), 70), "{}"), told("live aa"));
        assert_eq!(decided("", "cc", gone(trial, 70), "{}"), told("trial cc beside aa, after aa"));
        assert_eq!(decided("", "cc", gone(state(true, "bb", None, false), 70), "{}"), told("trial cc"));
        assert_eq!(decided("", "bb", gone(live.clone(), 70), r#"{"changed": "live"}"#), told("live bb, after aa"));
        // Who goes back to a version that was live has it live at once; one that was only on trial is tried again.
        let second = RuleState { lived: vec!["aa".into()], ..state(false, "bb", None, false) };
        assert_eq!(decided("bb", "aa", Some(second.clone()), "{}"), told("live aa, after bb"));
        assert_eq!(decided("bb", "aa", Some(second.clone()), r#"{"changed": "stage"}"#), told("live aa, after bb"));
        assert_eq!(decided("bb", "cc", Some(second), "{}"), told("trial cc beside bb, after aa bb"));
        let many = RuleState { lived: (0..9).map(|n| n.to_string()).collect(), ..live };
        assert_eq!(decided("aa", "bb", Some(many), "{}"), told("trial bb beside aa, after 2 3 4 5 6 7 8 aa"));
    }

    /// As [`decided`] has it.
    fn says(state: &RuleState) -> String {
        let beside = state.beside.as_ref().map(|beside| format!(" beside {beside}")).unwrap_or_default();
        let lived = if state.lived.is_empty() { String::new() } else { format!(", after {}", state.lived.join(" ")) };
        format!("{} {}{beside}{lived}", if state.staged { "trial" } else { "live" }, state.digest)
    }

    #[test]
    fn what_an_operator_decides_of_a_version_that_no_run_has_had_keeps_what_is_live() {
        let by_hand = |old: &str, digest: &str, state: Option<&RuleState>| {
            let old = Some(old).filter(|old| !old.is_empty());
            let (staged, promoted) = (stage(digest, old, state, None, false, 9), promote(digest, old, state, 9));
            assert_eq!(staged.beside.as_ref().filter(|beside| **beside == digest), None);
            [says(&staged), says(&promoted)]
        };
        assert_eq!(by_hand("aa", "bb", None), ["trial bb beside aa, after aa", "live bb, after aa"]);
        assert_eq!(says(&stage("bb", Some("aa"), None, None, true, 9)), "trial bb, after aa", "the policy says so");
        assert_eq!(by_hand("aa", "aa", None), ["trial aa", "live aa"], "it is the one that is live");
        assert_eq!(by_hand("", "bb", None), ["trial bb", "live bb"], "nothing is known");
        let trial = |beside: Option<&str>| RuleState {
            beside: beside.map(str::to_owned),
            lived: beside.map(str::to_owned).into_iter().collect(),
            ..state(true, "bb", None, false)
        };
        // One is on trial already: of that, what is live beside it.
        assert_eq!(
            by_hand("bb", "cc", Some(&trial(Some("aa")))),
            ["trial cc beside aa, after aa", "live cc, after aa"]
        );
        assert_eq!(by_hand("bb", "cc", Some(&trial(None))), ["trial cc", "live cc"]);
        assert_eq!(by_hand("bb", "aa", Some(&trial(Some("aa")))), ["trial aa", "live aa"]);
        // Anew, also before it has come.
        for old in ["bb", "aa", ""] {
            let decided = by_hand(old, "bb", Some(&trial(Some("aa"))));
            assert_eq!(decided, ["trial bb beside aa, after aa", "live bb, after aa"], "{old}");
        }
        assert_eq!(by_hand("aa", "bb", Some(&trial(None))), ["trial bb", "live bb"]);
        // Promoted, and doubted before and after it has come.
        let promoted = promote("bb", Some("aa"), None, 9);
        assert_eq!(by_hand("aa", "bb", Some(&promoted)), ["trial bb beside aa, after aa", "live bb, after aa"]);
        assert_eq!(by_hand("bb", "bb", Some(&promoted)), ["trial bb, after aa", "live bb, after aa"]);
        // Gone, and come back as another one.
        let gone = RuleState { gone: Some(7), ..state(false, "aa", None, false) };
        assert_eq!(by_hand("", "bb", Some(&gone)), ["trial bb beside aa, after aa", "live bb, after aa"]);
        assert_eq!(stage("bb", None, Some(&gone), None, false, 9).gone, None);
        assert!(stage("bb", Some("aa"), Some(&state(false, "aa", None, true)), Some(70), false, 9).disabled);

        // Back to what was live: it is so again, and nothing else is.
        for state in [stage("bb", Some("aa"), None, None, false, 9), stage("bb", Some("aa"), None, None, true, 9)] {
            assert_eq!(decided("bb", "aa", Some(state), "{}").unwrap(), "live aa");
        }
        assert_eq!(decided("bb", "aa", Some(promoted), "{}").unwrap(), "live aa, after bb");
    }

    #[test]
    fn what_is_switched_on_again_is_what_it_was_also_while_nobody_has_it() {
        let policy = RuleStaging::default();
        let (with, without) = (fleet(&[("other", "oo"), ("r", "aa")]), fleet(&[("other", "oo")]));
        let off = |state: RuleState| Some(RuleState { disabled: true, ..state });
        let lives = RuleState { since: 5, ..RuleState::default() };
        for (before, expected) in [
            (off(lives), "live aa"),
            (off(state(false, "aa", None, false)), "live aa"),
            (off(RuleState { beside: Some("zz".into()), ..state(true, "aa", None, false) }), "trial aa beside zz"),
        ] {
            let mut states: States = before.map(|state| ("r".to_owned(), state)).into_iter().collect();
            let look = |before: &Fleet, after: &Fleet, states: &mut States| {
                for (rule, state) in settle(Some(before), after, states, &policy, &|_| false, 77) {
                    match state {
                        Some(state) => drop(states.insert(rule, state)),
                        None => drop(states.remove(&rule)),
                    }
                }
            };
            look(&with, &without, &mut states);
            let enabled = enable(&states["r"]).unwrap();
            assert!(enabled.gone.is_some() && !enabled.disabled);
            states.insert("r".to_owned(), enabled);
            look(&without, &with, &mut states);
            assert_eq!(says(&states["r"]), expected);
        }
        // That it was switched off was all.
        assert_eq!(enable(&RuleState { since: 5, disabled: true, ..RuleState::default() }), None);
    }

    #[test]
    fn a_trial_of_what_was_long_gone_begins_anew_and_at_last_all_is_forgotten() {
        let policy = RuleStaging::default();
        let settled = |state: RuleState, after: &str, now: Millis| {
            let (before, after) = (fleet(&[("other", "oo")]), fleet(&[("other", "oo"), (after, "bb")]));
            let states = States::from([("r".to_owned(), state)]);
            settle(Some(&before), &after, &states, &policy, &|_| false, now).into_iter().find(|(rule, _)| rule == "r")
        };
        let trial = RuleState { gone: Some(100), ..state(true, "bb", None, false) };
        let since = |now| settled(trial.clone(), "r", now).unwrap().1.unwrap().since;
        assert_eq!((since(100 + AWAY - 1), since(100 + AWAY)), (5, 100 + AWAY));
        let live = RuleState { gone: Some(100), ..state(false, "bb", None, false) };
        assert_eq!(settled(live.clone(), "r", 100 + AWAY).unwrap().1.unwrap().since, 5);
        assert_eq!(settled(live.clone(), "q", 100 + FORGOTTEN - 1), None);
        assert_eq!(settled(live.clone(), "q", 100 + FORGOTTEN), Some(("r".into(), None)));
        let off = RuleState { disabled: true, ..live.clone() };
        let kept = RuleState { disabled: true, since: 5, ..RuleState::default() };
        assert_eq!(settled(off, "q", 100 + FORGOTTEN), Some(("r".into(), Some(kept))));
        // Their components are kept until then.
        let beside = RuleState { beside: Some("aa".into()), ..trial.clone() };
        let states = |state: RuleState| States::from([("r".to_owned(), state)]);
        let kept = |state: RuleState| remembered(&states(state), 200).into_iter().collect::<Vec<_>>();
        assert_eq!((kept(live.clone()), kept(beside)), (vec!["bb".to_owned()], vec!["aa".to_owned()]));
        assert_eq!(kept(trial), [] as [&str; 0]);
        assert_eq!(kept(RuleState { gone: None, ..live }), [] as [&str; 0]);
    }

    #[test]
    fn the_first_fill_and_what_is_told_otherwise_begin_live() {
        let (after, policy) = (fleet(&[("r", "bb")]), RuleStaging::default());
        let settled = |before: Option<&Fleet>, states: &States, skip: bool| {
            let all = settle(before, &after, states, &policy, &|_| skip, 1);
            all.iter().filter(|(rule, _)| rule == "r").count()
        };
        let none = States::new();
        assert_eq!(settled(None, &none, false), 0);
        assert_eq!(settled(Some(&Fleet::new()), &none, false), 0);
        assert_eq!(settled(Some(&fleet(&[("q", "aa")])), &none, true), 0);
        assert_eq!(settled(Some(&fleet(&[("q", "aa")])), &none, false), 1);
        // All were gone for a moment.
        let gone = States::from([("q".into(), RuleState { gone: Some(1), ..state(false, "aa", None, false) })]);
        assert_eq!(settled(Some(&Fleet::new()), &gone, false), 1);
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
