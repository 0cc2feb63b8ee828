//! One alert, one output: what is sent, and what becomes of the attempt.

pub mod publication;
pub mod publishers;

use crate::alert::Alert;
use crate::backend::{Lease, Outcome};
use crate::config::output::{OutputConfig, Outputs};
use crate::limits::{
    DELIVERY_ERROR_BYTES_MAX, PLUGIN_FAULTS_MAX, RETRY_AFTER_MAX_MS, RETRY_FIRST_MS, RETRY_LONGEST_MS,
};
use crate::plugin::{Blame, Disposition, Parcel, PluginError};
use crate::time::Millis;
use publication::{Publishers, Unshaped};

/// Outputs of the alert that nothing can be delivered to, with the reason.
pub fn undeliverable(alert: &Alert, outputs: &Outputs) -> Vec<(String, String)> {
    alert.outputs.iter().filter_map(|output| Some((output.clone(), outputs.unknown(output)?))).collect()
}

/// Like no other, and the same for each attempt.
pub fn idempotency_key(alert_id: &str, output: &str) -> String {
    format!("{alert_id}:{output}")
}

/// What an output gets.
pub fn parcel(
    lease: &Lease,
    config: &OutputConfig,
    publishers: &dyn Publishers,
    now: Millis,
) -> Result<Parcel, Unshaped> {
    let descriptor = lease.output.split_once(':').map_or("", |(_, descriptor)| descriptor);
    let publication = publication::shape(&lease.alert, &lease.output, publishers)?;
    let broken = |error: serde_json::Error| Unshaped { message: error.to_string() };
    Ok(Parcel {
        descriptor: descriptor.to_owned(),
        idempotency_key: idempotency_key(&lease.alert.id, &lease.output),
        attempt: lease.attempts.saturating_add(1),
        now: (now / 1000).max(0).cast_unsigned(),
        alert: serde_json::to_string(&lease.alert).map_err(broken)?,
        publication: serde_json::to_string(&publication).map_err(broken)?,
        settings: config.settings(),
        progress: lease.progress.clone(),
    })
}

/// What becomes of a delivery after an attempt. `random` is any number: it spreads attempts of many alerts over time.
pub fn settle(
    lease: &Lease,
    config: &OutputConfig,
    result: Result<Disposition, PluginError>,
    now: Millis,
    random: u64,
) -> Outcome {
    let attempt = lease.attempts.saturating_add(1);
    // What went wrong on our side says nothing about the service.
    let ours = result.as_ref().is_err_and(|error| error.kind.blame() == Blame::Host);
    let (reason, after, progress, faults) = match result {
        Ok(Disposition::Delivered(receipt)) => return Outcome::Delivered { receipt: receipt.map(cut) },
        Ok(Disposition::Reject(reason)) => return Outcome::Dead { error: cut(format!("refused: {reason}")) },
        Ok(Disposition::Retry { reason, after, progress }) => (reason, after, progress, lease.faults),
        Err(error) => {
            let guest = error.kind.blame() == Blame::Guest;
            let faults = lease.faults + u32::from(guest);
            let message = format!("the output's plugin: {error}");
            if faults >= PLUGIN_FAULTS_MAX {
                return Outcome::Dead { error: cut(format!("given up after {faults} faults of {message}")) };
            }
            (message, None, lease.progress.clone(), faults)
        }
    };
    if !ours && config.attempts.is_some_and(|most| attempt >= most) {
        return Outcome::Dead { error: cut(format!("given up after {attempt} attempts: {reason}")) };
    }
    Outcome::Again { due: now + pause(attempt, after, random), error: cut(reason), progress, faults }
}

/// Milliseconds until the next attempt after `attempt` failed: between half and all of a time that doubles, and no less
/// than the service asks for.
pub fn pause(attempt: u32, after: Option<u32>, random: u64) -> Millis {
    let longest = RETRY_FIRST_MS.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(RETRY_LONGEST_MS);
    let half = longest / 2;
    let spread = (random % (half.cast_unsigned() + 1)).cast_signed();
    let asked = after.map_or(0, |seconds| i64::from(seconds).saturating_mul(1000).min(RETRY_AFTER_MAX_MS));
    // All that were turned away together should not come back together.
    if asked > half + spread { asked + spread.min(asked / 4) } else { half + spread }
}

fn cut(mut text: String) -> String {
    if text.len() > DELIVERY_ERROR_BYTES_MAX {
        text.truncate(text.floor_char_boundary(DELIVERY_ERROR_BYTES_MAX - 3));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::samples::alert;
    use crate::plugin::PluginErrorKind;

    fn lease(attempts: u32, faults: u32) -> Lease {
        Lease { alert: alert(), output: "slack:security".into(), attempts, faults, progress: None, due: 0, until: 0 }
    }

    fn retry(reason: &str, after: Option<u32>) -> Result<Disposition, PluginError> {
        Ok(Disposition::Retry { reason: reason.into(), after, progress: Some("2".into()) })
    }

    #[test]
    fn attempts_come_ever_more_seldom_and_never_end_by_themselves() {
        let range = |attempt| (pause(attempt, None, 0), pause(attempt, None, 1000 * (1 << 40) - 1));
        assert_eq!(pause(1, None, 0), 1_000);
        assert!((1..10).all(|attempt| pause(attempt + 1, None, 0) == 2 * pause(attempt, None, 0)
            || pause(attempt + 1, None, 0) == RETRY_LONGEST_MS / 2));
        for attempt in [1, 5, 12, 1000, u32::MAX] {
            let (low, high) = range(attempt);
            assert!(low >= 1_000 && high <= RETRY_LONGEST_MS && high <= 2 * low, "{attempt}: {low} {high}");
        }
        let config = OutputConfig::default();
        assert!(matches!(settle(&lease(1_000_000, 0), &config, retry("503", None), 7, 0), Outcome::Again { .. }));
    }

    #[test]
    fn a_service_is_given_the_time_it_asks_for() {
        assert!((90_000..=120_000).contains(&pause(1, Some(90), u64::MAX)));
        assert_eq!(pause(1, Some(0), 0), 1_000);
        assert!(pause(1, Some(u32::MAX), u64::MAX) <= RETRY_AFTER_MAX_MS + RETRY_AFTER_MAX_MS / 4);
    }

    #[test]
    fn outcomes() {
        let config = OutputConfig { attempts: Some(3), ..OutputConfig::default() };
        let settle = |lease: &Lease, result| settle(lease, &config, result, 100, 0);
        assert_eq!(
            settle(&lease(0, 0), Ok(Disposition::Delivered(Some("ts 1".into())))),
            Outcome::Delivered { receipt: Some("ts 1".into()) }
        );
        assert_eq!(
            settle(&lease(0, 0), Ok(Disposition::Reject("404: channel_not_found".into()))),
            Outcome::Dead { error: "refused: 404: channel_not_found".into() }
        );
        assert_eq!(
            settle(&lease(1, 0), retry("503", None)),
            Outcome::Again { due: 2_100, error: "503".into(), progress: Some("2".into()), faults: 0 }
        );
        assert_eq!(
            settle(&lease(2, 0), retry("503", None)),
            Outcome::Dead { error: "given up after 3 attempts: 503".into() }
        );
    }

    #[test]
    fn a_plugin_that_breaks_is_asked_a_few_times_but_the_hosts_faults_count_for_nothing() {
        let config = OutputConfig::default();
        let broken = |kind| Err(PluginError::new(kind, "unreachable"));
        let Outcome::Again { faults, .. } = settle(&lease(3, 3), &config, broken(PluginErrorKind::Trap), 0, 0) else {
            panic!("tried again")
        };
        assert_eq!(faults, 4);
        assert_eq!(
            settle(&lease(4, 4), &config, broken(PluginErrorKind::Trap), 0, 0),
            Outcome::Dead { error: "given up after 5 faults of the output's plugin: trap: unreachable".into() }
        );
        let limited = OutputConfig { attempts: Some(3), ..OutputConfig::default() };
        for config in [config, limited] {
            assert!(matches!(
                settle(&lease(9, 4), &config, broken(PluginErrorKind::HostCall), 0, 0),
                Outcome::Again { faults: 4, .. }
            ));
        }
    }

    #[test]
    fn long_errors_are_cut_between_letters() {
        let config = OutputConfig::default();
        let Outcome::Dead { error } = settle(&lease(0, 0), &config, Ok(Disposition::Reject("é".repeat(2_000))), 0, 0)
        else {
            panic!("rejected")
        };
        assert!(error.len() <= DELIVERY_ERROR_BYTES_MAX && error.ends_with("é…"), "{}", error.len());
    }

    #[test]
    fn what_a_rule_misspells_is_found_and_named() {
        let outputs = Outputs::read("o", r#"{"slack": ["security"]}"#).unwrap();
        assert_eq!(undeliverable(&alert(), &outputs), []);
        let other = Alert { outputs: vec!["slack:securty".into(), "file:ok".into()], ..alert() };
        let found = undeliverable(&other, &outputs);
        assert_eq!(found.len(), 1);
        assert!(found[0].1.starts_with("`slack:securty` is not configured in outputs.json, which has slack:security;"));
    }
}
