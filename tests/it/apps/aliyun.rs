//! ActionTrail of Alibaba Cloud; docs: "LookupEvents", "Request syntax and signature method V2 for RPC APIs".

use super::samples::sample;
use super::site::{Case, Event, Vendor, check, seconds};
use crate::vendors::{Reply, Seen};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const KEY: &str = "LTAI5tNorthwind0123456789";
const SECRET: &str = "n0rthw1ndS3cretOfRamUser012345";

#[derive(Default)]
struct ActionTrail {
    nonces: BTreeSet<String>,
}

fn refused(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, json!({"RequestId": "r", "HostId": "actiontrail", "Code": code, "Message": message}))
}

fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") }).collect()
}

impl Vendor for ActionTrail {
    fn event(&self, number: usize, at: i64) -> Value {
        let mut event = sample("aliyun:actiontrail", number);
        let time = jiff::Timestamp::from_second(at).unwrap().to_string();
        (event["eventId"], event["eventTime"]) = (format!("6F1C4A52-{number:08}").into(), time.into());
        event
    }

    fn id(&self, log: &Value) -> String {
        log["eventId"].as_str().unwrap().into()
    }

    /// A token names an event, and the time that was asked for, which has to stay what it was.
    fn answer(&mut self, seen: &Seen, visible: &[Event], now: i64) -> Reply {
        let mut pairs: Vec<String> = (seen.query.iter().filter(|(name, _)| name != "Signature"))
            .map(|(name, value)| format!("{}={}", percent(name), percent(value)))
            .collect();
        pairs.sort();
        let mut mac = Hmac::<sha1::Sha1>::new_from_slice(format!("{SECRET}&").as_bytes()).unwrap();
        mac.update(format!("{}&%2F&{}", seen.method, percent(&pairs.join("&"))).as_bytes());
        if seen.query("AccessKeyId") != KEY {
            return refused(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.");
        }
        if seen.query("Signature") != STANDARD.encode(mac.finalize().into_bytes()) {
            return refused(400, "SignatureDoesNotMatch", "Specified signature is not matched with our calculation.");
        }
        if seconds(seen.query("Timestamp")).is_none_or(|at| (at - now).abs() > 900) {
            return refused(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.");
        }
        if !self.nonces.insert(seen.query("SignatureNonce").to_owned()) {
            return refused(400, "SignatureNonceUsed", "Specified signature nonce was used already.");
        }
        let limit: usize = seen.query("MaxResults").parse().unwrap_or(20);
        let times = (seconds(seen.query("StartTime")), seconds(seen.query("EndTime")));
        let known = seen.query("Action") == "LookupEvents" && seen.query("Version") == "2020-07-06" && seen.path == "/";
        let (Some(start), Some(end), true, "FORWARD") =
            (times.0, times.1, known && limit <= 50, seen.query("Direction"))
        else {
            return refused(400, "InvalidParameter", "not as documented");
        };
        if end < start || end - start > 30 * 86_400 {
            return refused(400, "InvalidQueryParameter", "The specified query parameter is invalid.");
        }
        let place = |event: &Event| (event.at, event.log["eventId"].as_str().unwrap().to_owned());
        let mut events: Vec<&Event> = visible.iter().filter(|event| (start..=end).contains(&event.at)).collect();
        events.sort_by_key(|event| place(event));
        let token: Value = serde_json::from_str(seen.query("NextToken")).unwrap_or_default();
        if let Some(of) = token.as_array() {
            if (of[0].as_i64(), of[1].as_i64()) != (Some(start), Some(end)) {
                return refused(400, "InvalidQueryParameter", "The parameters are not those of the request before.");
            }
            let after = (of[2].as_i64().unwrap(), of[3].as_str().unwrap().to_owned());
            events.retain(|event| place(event) > after);
        }
        let more = events.len() > limit;
        events.truncate(limit);
        let logs: Vec<&Value> = events.iter().map(|event| &event.log).collect();
        let mut body = json!({"RequestId": "r", "StartTime": seen.query("StartTime"), "EndTime": seen.query("EndTime"), "Events": logs});
        if let Some(last) = events.last().filter(|_| more) {
            let (at, id) = place(last);
            body["NextToken"] = json!([start, end, at, id]).to_string().into();
        }
        Reply::json(200, body)
    }

    fn limited(&self, _: i64) -> Reply {
        refused(400, "Throttling.User", "Request was denied due to user flow control.")
    }
}

#[test]
fn the_trail() {
    let case = Case {
        kind: "aliyun_actiontrail",
        settings: &[
            ("url", "URL"),
            ("region_id", "eu-central-1"),
            ("access_key_id", KEY),
            ("access_key_secret", SECRET),
        ],
        refused: ("access_key_secret", "wr0ngS3cretOfRamUser0123456789"),
        log_type: "aliyun:actiontrail",
        late: 1_500,
        events: 1_000,
    };
    check(&case, || Box::new(ActionTrail::default()));
}
