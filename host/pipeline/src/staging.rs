//! Rules on trial and rules that are switched off: what was decided about a rule, and what that means for a record and an alert.

use crate::alert::Alert;
use crate::backend::RuleState;
use crate::time::Millis;
use std::collections::BTreeMap;

/// What was decided, by rule. A rule that is not in it is live.
pub type States = BTreeMap<String, RuleState>;

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
            // What is said of another version says nothing of this one.
            Some(state)
                if state.staged
                    && state.until.is_none_or(|until| until > now)
                    && (state.digest.is_empty() || state.digest == digest) =>
            {
                Standing::Staged
            }
            _ => Standing::Live,
        }
    }
}

/// Whether records are shown to the rule.
pub fn is_asked(states: &States, rule: &str) -> bool {
    states.get(rule).is_none_or(|state| !state.disabled)
}

/// Marks the alerts of rules that are on trial.
pub fn mark(alerts: &mut [Alert], states: &States, now: Millis) {
    if states.is_empty() {
        return;
    }
    for alert in alerts {
        alert.staged = Standing::of(states, &alert.rule_name, &alert.component_digest, now) == Standing::Staged;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::samples;

    #[test]
    fn a_trial_is_about_one_version_and_ends_when_it_is_said() {
        let state = |staged, digest: &str, until, disabled| RuleState {
            staged,
            digest: digest.into(),
            since: 5,
            until,
            disabled,
        };
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
        assert_eq!(alerts.map(|alert| alert.staged), [true, false]);
    }
}
