//! Wakes the alert processor for what became due, so that nobody waits for the minute.

use crate::outbox::told;
use serde_json::json;
use streamalert_aws::limits::LAMBDA_EVENT_BYTES_MAX;
use streamalert_aws::{Aws, Names, functions};

/// Bytes of an event beside its ids.
const AROUND: usize = 1 << 10;
/// Of an id in an event, with its quotes and comma: 32 hex digits.
const ID_BYTES: usize = 40;

/// Invokes it without waiting, with the outputs that something is due to; the alerts' ids are for whoever reads its log. Where that
/// fails, nothing is lost: alerts are stored, and the merger's next round finds what is due.
pub fn wake(aws: &Aws, names: &Names, outputs: &[String], alerts: &[String]) {
    let outputs_bytes: usize = outputs.iter().map(|output| output.len() + 8).sum();
    // The processor works off whatever is due, so one event is enough; of the ids, those that find room.
    let room = LAMBDA_EVENT_BYTES_MAX.saturating_sub(AROUND + outputs_bytes) / ID_BYTES;
    let event = match outputs_bytes + AROUND <= LAMBDA_EVENT_BYTES_MAX {
        true => json!({ "outputs": outputs, "alerts": &alerts[..alerts.len().min(room)] }),
        // All that is due.
        false => json!({}),
    };
    let name = names.function("alert_processor");
    if let Err(error) = functions::start(aws, &name, &event.to_string()) {
        tracing::warn!(error = told(&error), "the alert processor was not woken; the merger's next round does it");
    }
}
