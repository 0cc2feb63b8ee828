//! Events of functions: by the first byte, `a` as it is, then the bytes within a Kinesis record: `b` as its data, `c` with
//! the signature of the producer's library, `d` with that and the right checksum; `e` as an SQS message, `f` as an SNS
//! message in one.

use super::choose;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};
use serde_json::json;
use streamalert_intake::Arrival;

/// In front of what the Kinesis Producer Library puts together.
const SIGNATURE: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];

/// Every event comes to something, and what came in an envelope with an id has that id.
pub fn unwrap(data: &[u8]) {
    let Some((choice, bytes)) = choose(data, 6) else { return };
    let text = String::from_utf8_lossy(bytes);
    let event = match choice {
        0 => return drop(arrivals(bytes)),
        1 => kinesis(bytes),
        2 => kinesis(&[&SIGNATURE, bytes].concat()),
        3 => kinesis(&[&SIGNATURE, bytes, &Md5::digest(bytes)[..]].concat()),
        4 => sqs(&text),
        _ => sqs(&json!({"Type": "Notification", "TopicArn": "a:t", "MessageId": "m", "Message": text}).to_string()),
    };
    for arrival in arrivals(event.as_bytes()) {
        assert_eq!(&**arrival.id(), "id", "{arrival:?}");
        match arrival {
            Arrival::Bytes { bytes: found, .. } if choice == 1 => assert!(found == bytes),
            // The bytes of an aggregated record are parts of it.
            Arrival::Bytes { bytes: found, .. } if choice == 3 => assert!(found.len() <= bytes.len()),
            _ => {}
        }
    }
}

fn arrivals(event: &[u8]) -> Vec<Arrival> {
    let arrivals = streamalert_intake::unwrap(event);
    assert!(!arrivals.is_empty(), "an event came to nothing");
    for arrival in &arrivals {
        match arrival {
            Arrival::Dead(dead) => {
                let letter = dead.letter();
                assert!(!letter.message.is_empty() && letter.input.bytes() == dead.bytes);
            }
            Arrival::Object(object) => drop(object.source()),
            Arrival::Bytes { .. } | Arrival::Skip { .. } => {}
        }
    }
    arrivals
}

fn kinesis(data: &[u8]) -> String {
    let kinesis = json!({"data": BASE64_STANDARD.encode(data), "sequenceNumber": "id"});
    json!({"Records": [{"eventID": "event", "eventSourceARN": "arn:stream/s", "kinesis": kinesis}]}).to_string()
}

fn sqs(body: &str) -> String {
    json!({"Records": [{"eventSource": "aws:sqs", "eventSourceARN": "arn:q", "messageId": "id", "body": body}]})
        .to_string()
}
