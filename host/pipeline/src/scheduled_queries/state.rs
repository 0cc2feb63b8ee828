//! What is known of one query in one pack. It is kept before each step, and each step may be done again.

use crate::config::scheduled_queries::Pack;
use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// Runs that are remembered.
const HISTORY_MAX: usize = 100;
/// Times a query is tried for one clock, if what failed may pass.
pub const ATTEMPTS_MAX: u32 = 3;
/// Pause before the second attempt, five times as long before the third.
const RETRY_FIRST: Millis = 60_000;
/// Characters of an error that are kept.
const ERROR_MAX: usize = 2_000;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Since when the query is known: nothing before that was missed.
    pub since: Option<Millis>,
    /// All times of the schedule up to this one are dealt with.
    pub last: Option<Millis>,
    /// Times that somebody asks for by hand.
    pub asked: Vec<Millis>,
    pub run: Option<Run>,
    /// The newest last.
    pub history: Vec<Past>,
}

/// What is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The time it is asked for.
    pub clock: Millis,
    pub begun: Millis,
    /// From 1.
    pub attempt: u32,
    #[serde(default)]
    pub execution: Option<Execution>,
    /// So many rows are events, and stored.
    #[serde(default)]
    pub rows: u64,
    /// Nothing is done before.
    #[serde(default)]
    pub due: Millis,
    /// Why the attempt before failed.
    #[serde(default)]
    pub error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    pub id: String,
    pub started: Millis,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    pub clock: Millis,
    pub begun: Millis,
    pub ended: Millis,
    pub attempts: u32,
    pub outcome: Outcome,
    #[serde(default)]
    pub execution: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done {
        rows: u64,
        scanned_bytes: u64,
    },
    Failed {
        error: String,
    },
    /// Nobody was there when these were due, and they were too many to be caught up; the last of them is `clock`.
    Missed {
        schedules: u64,
    },
}

impl State {
    /// Begins what is due, if anything is; says how many times were missed for good. What somebody asks for goes first, then
    /// the oldest time. All that arrived up to `settled` can be asked for; a time of the schedule waits until that is so.
    pub fn begin(&mut self, pack: &Pack, now: Millis, settled: Millis) -> u64 {
        if self.run.is_some() {
            return 0;
        }
        let since = *self.since.get_or_insert(now);
        let mut begin = |clock: Millis| {
            self.run = Some(Run { clock, begun: now, attempt: 1, execution: None, rows: 0, due: 0, error: None });
        };
        if let Some(clock) = self.asked.first().copied() {
            begin(clock);
            return 0;
        }
        let from = self.last.unwrap_or(since);
        let (due, missed) = pack.schedule.between(from, settled, pack.catch_up);
        let Some(first) = due.first().copied() else { return 0 };
        begin(first);
        if missed > 0 {
            // Those before the first one that is not.
            let last = pack.schedule.between(from, first - 1, 1).0.first().copied().unwrap_or(from);
            self.last = Some(last);
            let outcome = Outcome::Missed { schedules: missed };
            self.remember(Past { clock: last, begun: now, ended: now, attempts: 0, outcome, execution: None });
        }
        missed
    }

    /// Whether there is anything to do; `settled` as for [`State::begin`].
    pub fn is_due(&self, pack: &Pack, now: Millis, settled: Millis) -> bool {
        match (&self.run, self.since) {
            (Some(run), _) => run.due <= now,
            // It is not known yet since when.
            (None, None) => true,
            (None, Some(since)) => {
                let next = pack.schedule.next(self.last.unwrap_or(since));
                !self.asked.is_empty() || next.is_some_and(|next| next <= settled)
            }
        }
    }

    /// Something failed. Whether that was the last attempt: then it is told, and [`State::end`] comes next.
    pub fn fail(&mut self, error: &str, may_pass: bool, now: Millis) -> bool {
        let Some(run) = &mut self.run else { return false };
        run.error = Some(error.chars().take(ERROR_MAX).collect());
        if !may_pass || run.attempt >= ATTEMPTS_MAX {
            return true;
        }
        run.due = now + RETRY_FIRST * 5_i64.pow(run.attempt - 1);
        run.attempt += 1;
        run.execution = None;
        run.rows = 0;
        false
    }

    /// The run is over.
    pub fn end(&mut self, outcome: Outcome, now: Millis) {
        let Some(run) = self.run.take() else { return };
        match self.asked.first() == Some(&run.clock) {
            true => drop(self.asked.remove(0)),
            false => self.last = self.last.max(Some(run.clock)),
        }
        let Run { clock, begun, attempt, execution, .. } = run;
        let execution = execution.map(|execution| execution.id);
        self.remember(Past { clock, begun, ended: now, attempts: attempt, outcome, execution });
    }

    fn remember(&mut self, past: Past) {
        self.history.push(past);
        let much = self.history.len().saturating_sub(HISTORY_MAX);
        self.history.drain(..much);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;

    const HOUR: Millis = 3_600_000;

    fn pack(catch_up: usize) -> Pack {
        Pack { description: String::new(), schedule: Schedule::read("rate(1 hour)").unwrap(), catch_up, delay: None }
    }

    fn clock(state: &State) -> Option<Millis> {
        state.run.as_ref().map(|run| run.clock / HOUR)
    }

    fn end(state: &mut State) {
        state.end(Outcome::Done { rows: 1, scanned_bytes: 2 }, 0);
    }

    #[test]
    fn a_new_query_begins_with_the_next_time_and_what_is_missed_is_caught_up_in_order() {
        let (pack, mut state) = (pack(3), State::default());
        assert_eq!((state.begin(&pack, 10 * HOUR + 5, 10 * HOUR + 5), clock(&state)), (0, None));
        assert!(!state.is_due(&pack, 11 * HOUR - 1, 11 * HOUR - 1) && state.is_due(&pack, 11 * HOUR, 11 * HOUR));
        assert_eq!((state.begin(&pack, 11 * HOUR, 11 * HOUR), clock(&state)), (0, Some(11)));
        assert_eq!((state.begin(&pack, 13 * HOUR, 13 * HOUR), clock(&state)), (0, Some(11)), "not twice at a time");
        end(&mut state);
        for hour in [12, 13] {
            assert_eq!((state.begin(&pack, 13 * HOUR, 13 * HOUR), clock(&state)), (0, Some(hour)));
            end(&mut state);
        }
        assert_eq!((state.begin(&pack, 13 * HOUR, 13 * HOUR), clock(&state)), (0, None));
        // A long night: 14 to 20 are due, the last three of them are caught up.
        assert_eq!((state.begin(&pack, 20 * HOUR, 20 * HOUR), clock(&state)), (4, Some(18)));
        let missed = state.history.last().unwrap();
        assert_eq!((missed.clock, &missed.outcome), (17 * HOUR, &Outcome::Missed { schedules: 4 }));
        end(&mut state);
        assert_eq!((state.begin(&pack, 20 * HOUR, 20 * HOUR), clock(&state)), (0, Some(19)));
    }

    #[test]
    fn a_time_waits_until_all_that_arrived_before_it_can_be_asked_for() {
        let (pack, mut state) = (pack(3), State { since: Some(10 * HOUR + 5), ..State::default() });
        let delay = 20_000;
        for now in [11 * HOUR, 11 * HOUR + delay - 1] {
            assert!(!state.is_due(&pack, now, now - delay), "{now}");
            assert_eq!((state.begin(&pack, now, now - delay), clock(&state)), (0, None));
        }
        let now = 11 * HOUR + delay;
        assert!(state.is_due(&pack, now, now - delay));
        assert_eq!((state.begin(&pack, now, now - delay), clock(&state)), (0, Some(11)), "the clock is the schedule's");
        end(&mut state);
        // What somebody asks for is asked at once.
        state.asked = vec![12 * HOUR];
        let now = 12 * HOUR + 1;
        assert!(state.is_due(&pack, now, now - delay));
        state.begin(&pack, now, now - delay);
        assert_eq!(clock(&state), Some(12));
    }

    #[test]
    fn what_somebody_asks_for_goes_first_and_changes_nothing_about_the_schedule() {
        let (pack, mut state) = (pack(3), State { since: Some(0), last: Some(5 * HOUR), ..State::default() });
        state.asked = vec![2 * HOUR];
        assert_eq!((state.begin(&pack, 6 * HOUR, 6 * HOUR), clock(&state)), (0, Some(2)));
        end(&mut state);
        assert_eq!((state.last, state.asked.len()), (Some(5 * HOUR), 0));
        assert_eq!((state.begin(&pack, 6 * HOUR, 6 * HOUR), clock(&state)), (0, Some(6)));
    }

    #[test]
    fn what_may_pass_is_tried_again_later_and_not_for_ever() {
        let (pack, mut state) = (pack(3), State { since: Some(0), ..State::default() });
        state.begin(&pack, HOUR, HOUR);
        assert!(!state.fail("busy", true, HOUR));
        assert_eq!(state.run.as_ref().unwrap().due, HOUR + RETRY_FIRST);
        assert!(!state.fail("busy", true, HOUR));
        assert_eq!(state.run.as_ref().unwrap().due, HOUR + 5 * RETRY_FIRST);
        assert!(state.fail("busy", true, HOUR));
        let mut state = State { since: Some(0), ..State::default() };
        state.begin(&pack, HOUR, HOUR);
        assert!(state.fail("no such column", false, HOUR));
    }

    #[test]
    fn history_is_bounded_and_states_of_today_are_read_tomorrow() {
        let (pack, mut state) = (pack(1), State { since: Some(0), ..State::default() });
        for hour in 1..=150 {
            state.begin(&pack, hour * HOUR, hour * HOUR);
            end(&mut state);
        }
        assert_eq!((state.history.len(), state.history[0].clock), (HISTORY_MAX, 51 * HOUR));
        let text = r#"{"since": 1, "last": 2, "run": {"clock": 3, "begun": 4, "attempt": 1}, "of_tomorrow": 1}"#;
        let state: State = serde_json::from_str(text).unwrap();
        assert_eq!(state.run.unwrap().clock, 3);
    }
}
