//! Alerts and deliveries as items.

use super::calls::{Item, Key, Table, n, number, s, text};
use super::layout::{DAY, DUE, EXPIRY, ID, PART, QUEUE, SEQ};
use crate::claim_check::hex;
use crate::limits::{ALERT_DAYS, ALERT_DELIVERIES_MAX, ALERT_INLINE_BYTES_MAX, ALERT_TEXT_BYTES_MAX, ZSTD_LEVEL};
use crate::objects::Bucket;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Read;
use streamalert_pipeline::alert::{Alert, Trial};
use streamalert_pipeline::backend::{BackendError, DeliveryState};
use streamalert_pipeline::time::{Millis, rfc3339};

/// Part of an alert itself.
pub const ALERT: &str = "alert";
/// Of parts that are deliveries.
pub const TO: &str = "to ";
/// Where alerts lie in the data bucket that are too large for an item. No life cycle removes them, as nobody knows how long
/// they are owed.
pub const LARGE: &str = "alerts/";
/// Bytes of an output's name that stand in a key. Sort keys take 1,024; real names are a tenth of that.
const OUTPUT_KEY_BYTES_MAX: usize = 512;
/// Bytes of an item beside its alert: names, numbers, the rule's name.
const ITEM_BYTES_AROUND: usize = 1 << 10;
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// Sorts as things are stored: the time, and the place within one call.
pub fn seq(now: Millis, place: usize) -> String {
    format!("{now:016}.{place:06}")
}

/// When the thing was stored that has this [`seq`].
pub fn stored(seq: &str) -> Option<Millis> {
    seq.split('.').next()?.parse().ok()
}

pub fn day(now: Millis) -> String {
    rfc3339(now).chars().take_while(|c| *c != 'T').collect()
}

/// As an attribute: seconds since 1970.
pub fn expiry(now: Millis) -> AttributeValue {
    n(now / 1_000 + ALERT_DAYS * DAY_SECONDS)
}

/// An output as it stands in keys.
pub fn output_key(output: &str) -> Cow<'_, str> {
    if output.len() <= OUTPUT_KEY_BYTES_MAX {
        return output.into();
    }
    let kept = output.floor_char_boundary(OUTPUT_KEY_BYTES_MAX);
    format!("{} {}", &output[..kept], hex(&Sha256::digest(output))).into()
}

pub fn alert_key(id: &str) -> Key {
    Key::new(id, ALERT)
}

pub fn delivery_key(id: &str, output: &str) -> Key {
    Key::new(id, format!("{TO}{}", output_key(output)))
}

/// Where deliveries of this state are found; of what was delivered, nowhere.
pub fn queue_name(state: DeliveryState, output: &str) -> String {
    format!("{} {}", state.name(), output_key(output))
}

/// An alert's text, packed.
#[derive(Clone, Debug)]
pub enum Body {
    Here(Vec<u8>),
    /// Key in the data bucket.
    There(String),
}

/// An alert that is to be stored.
#[derive(Clone, Debug)]
pub struct Draft {
    pub id: String,
    pub rule: String,
    severity: &'static str,
    created: String,
    pub staged: bool,
    /// Of its text.
    pub bytes: u64,
    body: Body,
    /// Each once; with the reason, if nothing can be delivered to it.
    pub outputs: Vec<(String, Option<String>)>,
    pub seq: String,
    /// What it is counted for.
    pub trial: Option<Trial>,
}

impl Draft {
    /// Packed, and still here whatever its size.
    pub fn new(
        alert: &Alert,
        undeliverable: &[(String, String)],
        now: Millis,
        place: usize,
    ) -> Result<Self, BackendError> {
        let text = serde_json::to_vec(alert).map_err(|error| BackendError::other("write an alert as JSON", error))?;
        let packed = zstd::bulk::compress(&text, ZSTD_LEVEL);
        let packed = packed.map_err(|error| BackendError::other("pack an alert", error))?;
        let mut known = BTreeSet::new();
        let outputs = if alert.staged { &[][..] } else { &alert.outputs[..] };
        let outputs = outputs.iter().filter(|output| known.insert(output_key(output))).map(|output| {
            let reason = undeliverable.iter().find(|(name, _)| name == output).map(|(_, reason)| reason.clone());
            (output.clone(), reason)
        });
        Ok(Draft {
            id: alert.id.clone(),
            rule: alert.rule_name.clone(),
            severity: alert.severity.name(),
            created: alert.created.clone(),
            staged: alert.staged,
            bytes: text.len() as u64,
            body: Body::Here(packed),
            outputs: outputs.collect(),
            seq: seq(now, place),
            trial: alert.trial.clone(),
        })
    }

    /// Items that storing it writes, at most.
    pub fn writes(&self) -> usize {
        self.outputs.len() + 1 + usize::from(self.trial.is_some())
    }

    pub fn is_large(&self) -> bool {
        // The outputs that it may wait with are in its item, too.
        let names: usize = self.outputs.iter().map(|(output, _)| output.len()).sum();
        matches!(&self.body, Body::Here(packed) if packed.len() + names + self.rule.len() > ALERT_INLINE_BYTES_MAX)
    }

    /// Puts the text into the bucket, where its own digest names it: an alert that is there already stays as it is.
    pub async fn check_in(&mut self, bucket: &Bucket) -> Result<(), BackendError> {
        if let Body::Here(packed) = &mut self.body {
            let packed = std::mem::take(packed);
            let key = format!("{LARGE}{}/{}", self.id, hex(&Sha256::digest(&packed)));
            bucket.put(&key, packed).await?;
            self.body = Body::There(key);
        }
        Ok(())
    }

    /// Of all its items, about.
    pub fn weight(&self) -> usize {
        let body = match &self.body {
            Body::Here(packed) => packed.len(),
            Body::There(key) => key.len(),
        };
        let outputs = self.outputs.iter();
        let outputs = outputs.map(|(output, reason)| 3 * output.len() + reason.as_ref().map_or(0, String::len));
        body + self.rule.len() + ITEM_BYTES_AROUND + outputs.map(|bytes| bytes + ITEM_BYTES_AROUND).sum::<usize>()
    }

    /// Whether anything is owed, unless it waits.
    pub fn owes(&self) -> bool {
        self.outputs.iter().any(|(_, reason)| reason.is_none())
    }

    /// `by` is whoever stores it, so that an attempt whose answer was lost is known for one's own.
    pub fn alert_item(&self, by: &str, waits: bool, now: Millis) -> Item {
        let mut item = Item::from([
            (ID.to_owned(), s(&self.id)),
            (PART.to_owned(), s(ALERT)),
            (DAY.to_owned(), s(day(now))),
            (SEQ.to_owned(), s(&self.seq)),
            ("rule".to_owned(), s(&self.rule)),
            ("severity".to_owned(), s(self.severity)),
            ("created".to_owned(), s(&self.created)),
            ("bytes".to_owned(), n(self.bytes.cast_signed())),
            ("by".to_owned(), s(by)),
        ]);
        match &self.body {
            Body::Here(packed) => item.insert("json".to_owned(), AttributeValue::B(Blob::new(packed.clone()))),
            Body::There(key) => item.insert("claim".to_owned(), s(key)),
        };
        if waits {
            let outputs = self.outputs.iter().map(|(output, _)| s(output)).collect();
            item.insert("waits".to_owned(), AttributeValue::L(outputs));
        } else if !self.owes() {
            item.insert(EXPIRY.to_owned(), expiry(now));
        }
        item
    }

    /// What is owed from the start.
    pub fn delivery_items(&self, waits: bool, now: Millis) -> impl Iterator<Item = Item> {
        let of = self.outputs.len();
        self.outputs.iter().take(ALERT_DELIVERIES_MAX).map(move |(output, reason)| {
            // Who is told is decided when the group is folded.
            let reason = reason.as_deref().filter(|_| !waits);
            delivery_item(&self.about(of), output, reason, waits, now)
        })
    }

    pub fn about(&self, of: usize) -> About<'_> {
        About { id: &self.id, rule: &self.rule, seq: &self.seq, bytes: self.bytes, of }
    }
}

/// What a delivery says of its alert.
pub struct About<'a> {
    pub id: &'a str,
    pub rule: &'a str,
    pub seq: &'a str,
    pub bytes: u64,
    /// Outputs of the alert.
    pub of: usize,
}

/// `reason` is why nothing can be delivered.
pub fn delivery_item(about: &About<'_>, output: &str, reason: Option<&str>, waits: bool, now: Millis) -> Item {
    let state = match reason {
        _ if waits => DeliveryState::Waiting,
        Some(_) => DeliveryState::Dead,
        None => DeliveryState::Owed,
    };
    let mut item = Item::from([
        (ID.to_owned(), s(about.id)),
        (PART.to_owned(), s(delivery_key(about.id, output).part)),
        (QUEUE.to_owned(), s(queue_name(state, output))),
        (DUE.to_owned(), n(now)),
        (SEQ.to_owned(), s(about.seq)),
        ("bytes".to_owned(), n(about.bytes.cast_signed())),
        ("attempts".to_owned(), n(0)),
        ("of".to_owned(), n(i64::try_from(about.of).unwrap_or(i64::MAX))),
        ("output".to_owned(), s(output)),
        ("rule".to_owned(), s(about.rule)),
        ("state".to_owned(), s(state.name())),
    ]);
    if let Some(reason) = reason.filter(|_| state == DeliveryState::Dead) {
        item.insert("error".to_owned(), s(reason));
        item.insert("settled".to_owned(), n(now));
        item.insert(EXPIRY.to_owned(), expiry(now));
    }
    item
}

pub fn state(item: &Item) -> Option<DeliveryState> {
    let name = text(item, "state")?;
    DeliveryState::ALL.into_iter().find(|state| state.name() == name)
}

/// Outputs that an alert waits with.
pub fn waits(item: &Item) -> Vec<String> {
    let list = item.get("waits").and_then(|waits| waits.as_l().ok()).map_or(&[][..], Vec::as_slice);
    list.iter().filter_map(|output| output.as_s().ok().cloned()).collect()
}

/// Why an alert could not be had.
pub enum Unread {
    /// It never will: what an operator reads of it.
    Lost(String),
    /// The bucket does not answer.
    Later(BackendError),
}

impl Unread {
    fn lost(cause: impl std::fmt::Display) -> Self {
        Unread::Lost(format!("the stored alert cannot be read: {cause}; a newer streamalert may have written it"))
    }

    pub fn error(self) -> BackendError {
        match self {
            Unread::Lost(cause) => BackendError::other("read a stored alert", cause),
            Unread::Later(error) => error,
        }
    }
}

/// The alert of an item, which may lie in the bucket.
pub async fn read_alert(bucket: &Bucket, item: Option<&Item>) -> Result<Alert, Unread> {
    let Some(item) = item else {
        return Err(Unread::Lost("the alert is gone from the table: somebody removed it".into()));
    };
    let fetched;
    let packed: &[u8] = match (item.get("json"), text(item, "claim")) {
        (Some(AttributeValue::B(packed)), _) => packed.as_ref(),
        (_, Some(claim)) if claim.starts_with(LARGE) => match bucket.get(claim).await {
            Ok(Some(stored)) => {
                fetched = stored.bytes;
                &fetched
            }
            Ok(None) => return Err(Unread::lost(format!("s3://{}/{claim} is not there any more", bucket.name))),
            Err(error) => return Err(Unread::Later(error)),
        },
        _ => return Err(Unread::lost("it has no text")),
    };
    let read = || -> std::io::Result<Alert> {
        let mut text = Vec::new();
        zstd::Decoder::new(packed)?.take(ALERT_TEXT_BYTES_MAX).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    };
    read().map_err(Unread::lost)
}

/// Which of these alerts `by` has stored.
pub async fn stored_by(table: &Table, ids: Vec<&str>, by: &str) -> Result<BTreeSet<String>, BackendError> {
    let keys: Vec<Key> = ids.into_iter().map(alert_key).collect();
    let found = table.get_all("add alerts to the table", keys, "#id, #part, #by").await?;
    Ok(found.into_iter().filter(|(_, item)| text(item, "by") == Some(by)).map(|(key, _)| key.id).collect())
}

/// When a delivery is due.
pub fn due(item: &Item) -> Millis {
    number(item, DUE).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_as_things_are_stored() {
        let mut all = [seq(1_767_323_045_678, 3), seq(100, 11), seq(100, 2), seq(1_767_323_045_678, 12)];
        all.sort();
        assert_eq!(all.map(|seq| stored(&seq).unwrap()), [100, 100, 1_767_323_045_678, 1_767_323_045_678]);
        assert!(seq(100, 2) < seq(100, 11));
        assert_eq!(day(1_767_323_045_678), "2026-01-02");
    }

    #[test]
    fn an_output_of_any_length_fits_a_key_and_stays_itself() {
        let long = "é".repeat(2_000);
        assert!(delivery_key("1", &long).part.len() < 1_024);
        assert_ne!(output_key(&long), output_key(&format!("{long}x")));
        assert_eq!(output_key("slack:security"), "slack:security");
    }
}
