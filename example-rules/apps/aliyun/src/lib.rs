//! Alibaba Cloud's ActionTrail: what was done in an account, in one region.
//!
//! Events are asked for oldest first. The token of a page is good for requests that are the same but for it, which those of a round
//! are.

use streamalert_app_sdk::prelude::*;

mod rpc;

pub struct ActionTrail;

/// Events of a page; docs: at most 50.
const LIMIT: usize = 50;
/// Docs: events are there within ten minutes; those of some services come later.
const OVERLAP: Overlap = Overlap::minutes(30);
/// Seconds that are asked for at once. Events are kept for 90 days, of which a request may be about 30.
const SPAN: i64 = 7 * 86_400;

impl App for ActionTrail {
    const NAME: &'static str = "aliyun_actiontrail";
    const DESCRIPTION: &'static str = "Alibaba Cloud's ActionTrail: what was done in an account, in one region";
    const SETTINGS: &'static [Setting] = &[
        Setting::plain("access_key_id", "Of a RAM user who may `actiontrail:LookupEvents`"),
        Setting::secret("access_key_secret", "Of the RAM user"),
        Setting::plain("region_id", "The region whose events are fetched: cn-hangzhou, eu-central-1, …"),
        Setting::plain("url", "If it is not that of the region: https://actiontrail-vpc.cn-hangzhou.aliyuncs.com")
            .optional(),
    ];
    const HOSTS: &'static [&'static str] = &["*.aliyuncs.com", "{url}"];
    const LOGS: &'static [&'static str] = &["aliyun:actiontrail"];
    // docs: twice a second.
    const RATE: Option<f64> = Some(2.0);

    fn validate(settings: &Settings) -> Vec<Fault> {
        let mut faults = Vec::new();
        let get = |name| settings.get(name).unwrap_or_default();
        for name in ["access_key_id", "access_key_secret"] {
            if !get(name).bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                faults.push(Fault::new(name, "is letters and digits"));
            }
        }
        let is_region = |id: &str| {
            id.contains('-')
                && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        if !is_region(get("region_id")) {
            faults.push(Fault::new("region_id", "is no id of a region: those are as `cn-hangzhou`, `ap-southeast-1`"));
        }
        faults
    }

    fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop> {
        let mut round = Round::resume(ask, OVERLAP)?.at_most(SPAN);
        let mut parameters = vec![
            ("Action", "LookupEvents".to_owned()),
            ("Direction", "FORWARD".to_owned()),
            ("EndTime", time::rfc3339(round.until() + 1)),
            ("MaxResults", LIMIT.to_string()),
            ("StartTime", time::rfc3339(round.from())),
            ("Version", "2020-07-06".to_owned()),
        ];
        if let Some(token) = round.token() {
            parameters.push(("NextToken", token.to_owned()));
        }
        let answer = match rpc::call(ask, http, round.now(), &parameters)? {
            rpc::Answer::Good(answer) => answer,
            rpc::Answer::TokenIsGone => {
                log::warn(
                    "ActionTrail does not know the place any more where its events went on; the round begins again",
                );
                return round.again();
            }
        };
        round.heard(&answer);
        let events = round.fresh(logs_in(&answer, &["Events"])?, |event| event.text("eventId"));
        let next = answer_text(&answer, &["NextToken"])?;
        Ok(round.next(events, next))
    }
}

export_apps!(ActionTrail);

#[cfg(test)]
mod tests;
