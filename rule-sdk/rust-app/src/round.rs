//! Rounds through the time that is not fetched yet, for services that are asked for all logs of a time, page by page.
//!
//! A round is a time with two ends, both of which stay what they are until its last page is there; so it does not matter whether the
//! service gives the newest first, and a poll that is repeated asks for the same. The next round begins some minutes before the
//! end of the last one: a log that the service shows late is found then. What was handed on already is known by its id, and left out.
//! The ends are of the service's clock, by the `Date` of its answers: the host's may be wrong.

use crate::{Ask, Log, Page, Response, Stop, page, retry, time};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// How long before the end of the last round the next one begins: how late a log may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap(i64);

impl Overlap {
    pub const fn seconds(seconds: u32) -> Self {
        Overlap(seconds as i64)
    }

    pub const fn minutes(minutes: u32) -> Self {
        Overlap(60 * minutes as i64)
    }

    pub const fn hours(hours: u32) -> Self {
        Overlap(3600 * hours as i64)
    }
}

/// Seconds that a host's clock may be ahead without its counting.
const AHEAD: i64 = 60;
/// Seconds until a round may begin again for the second time; after that twice as long each time, up to a quarter of an hour.
const AGAIN: u32 = 30;
const AGAIN_MAX: u32 = 900;

/// A round, as a cursor keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    from: i64,
    /// Of a round that has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
    /// Of the page that is next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// It ends before now: the next one follows at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
    /// How much the service's clock is ahead of the host's.
    #[serde(default)]
    skew: i64,
    /// How often it began again.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    again: u32,
    seen: Seen,
    /// Whatever else the app keeps.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub extra: serde_json::Value,
    #[serde(skip)]
    overlap: i64,
    #[serde(skip)]
    since: i64,
    #[serde(skip)]
    now: i64,
    #[serde(skip)]
    attempt: u32,
    /// Nothing was fetched yet: the beginning is still by the host's clock.
    #[serde(skip)]
    first: bool,
    /// The beginning was set right, so what was asked for is not what is wanted.
    #[serde(skip)]
    moved: bool,
}

fn is_none_yet(count: &u32) -> bool {
    *count == 0
}

impl Round {
    /// The round that the last page was of, or that follows it; at the very first, one from `ask.since` on.
    pub fn resume(ask: &Ask, overlap: Overlap) -> Result<Round, Stop> {
        let begun = ask.cursor()?;
        let mut round: Round = begun.unwrap_or_else(|| Round {
            from: ask.since,
            until: None,
            token: None,
            cut: false,
            skew: 0,
            again: 0,
            seen: Seen::default(),
            extra: serde_json::Value::Null,
            overlap: 0,
            since: 0,
            now: 0,
            attempt: 0,
            first: true,
            moved: false,
        });
        (round.overlap, round.since, round.now) = (overlap.0, ask.since, ask.now);
        round.attempt = ask.attempt;
        if round.until.is_none() {
            round.until = Some((ask.now + round.skew).max(round.from));
            round.cut = false;
        }
        Ok(round)
    }

    /// Of no more than so many seconds, where the service takes no longer time at once: rounds follow each other then. More than the
    /// overlap is needed to get on. Said before the first request.
    pub fn at_most(mut self, seconds: i64) -> Round {
        let end = self.from + seconds.max(self.overlap + 1);
        if self.token.is_none() && self.until() > end {
            (self.until, self.cut) = (Some(end), true);
        }
        self
    }

    /// First second of the round.
    pub fn from(&self) -> i64 {
        self.from
    }

    /// Last second of the round.
    pub fn until(&self) -> i64 {
        self.until.unwrap_or(self.from)
    }

    /// What time it is by the service's clock, as far as that was heard.
    pub fn now(&self) -> i64 {
        self.now + self.skew
    }

    /// What the service said of the page that is next; none at the first.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Sets the round right by the service's clock. For each answer, before [`Round::next`].
    pub fn heard(&mut self, answer: &Response) {
        let Some(date) = time::date(answer) else { return };
        // Of a later page the end is settled, and what the host's clock says now is not known here.
        if self.token.is_none() {
            if let Some(until) = &mut self.until
                && date < *until
            {
                *until = date.max(self.from);
                self.cut = false;
            }
            self.skew = date - self.now;
            // The host is ahead, and with it the second from which on logs are wanted.
            if self.first && self.skew < -AHEAD {
                self.from = (self.since + self.skew).max(0);
                self.until = Some(date.max(self.from));
                (self.first, self.moved) = (false, true);
            }
        }
    }

    /// Those logs that were not handed on in this round or the last, by an id that `id` makes of each. A log without an id is always
    /// handed on.
    pub fn fresh(&mut self, mut logs: Vec<Log>, id: impl Fn(&Log) -> String) -> Vec<Log> {
        logs.retain(|log| {
            let id = id(log);
            id.is_empty() || self.seen.is_new(&id, self.until.unwrap_or(self.from))
        });
        logs
    }

    /// The page. With a token the round goes on there, without one it is over.
    pub fn next(mut self, logs: Vec<Log>, token: Option<String>) -> Page {
        if self.moved {
            return page(logs).cursor(&self).more(true);
        }
        let more = token.is_some() || self.cut;
        self.token = token;
        if self.token.is_none() {
            let until = self.until();
            self.seen.forget(until - self.overlap.max(1) * 2);
            self.from = (until - self.overlap).max(self.since + self.skew.min(0)).max(self.from.min(until));
            self.until = None;
            self.again = 0;
        }
        page(logs).cursor(&self).more(more)
    }

    /// The token is none any more, the service says: the round begins again at its first page. What was handed on is known. A round
    /// that has begun again already waits first, longer each time: a service that never takes its own token is not asked on and on.
    pub fn again(mut self) -> Result<Page, Stop> {
        if self.again > 0 && self.attempt <= 1 {
            let wait = AGAIN.saturating_mul(1 << (self.again - 1).min(10)).min(AGAIN_MAX);
            let times = if self.again == 1 { "once".to_owned() } else { format!("{} times", self.again) };
            let reason = format!(
                "the service does not know its own place among the pages any more, though they were begun again {times} already"
            );
            return Err(retry(reason).after(wait));
        }
        self.token = None;
        self.again += 1;
        Ok(page([]).cursor(&self).more(true))
    }
}

/// Ids of logs that were handed on lately, as 6 bytes each with the second of each. When there are too many, the oldest are forgotten: their logs come
/// again, which is harmless.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Of each id its second, and a number that grows with each id.
    ids: BTreeMap<[u8; 6], (i64, u64)>,
    /// By age: what is forgotten first comes first.
    order: BTreeSet<(i64, u64, [u8; 6])>,
    count: u64,
}

/// Ids that are kept: 96 KB of the cursor, which may have 128.
const SEEN_MAX: usize = 12_000;
/// Bytes of them in a cursor, before they become text that is a third longer.
const SEEN_BYTES: usize = 6 * SEEN_MAX;
/// Before the text of ids by their second; a text without it is of 10 bytes for each id, as they were written before.
const BY_SECOND: &str = "s:";

impl PartialEq for Seen {
    fn eq(&self, other: &Self) -> bool {
        self.aged().eq(other.aged())
    }
}

impl Eq for Seen {}

impl Seen {
    /// Whether this is met for the first time. It is kept, as of this second.
    pub fn is_new(&mut self, id: &str, at: i64) -> bool {
        self.keep(short(id), at)
    }

    fn keep(&mut self, id: [u8; 6], at: i64) -> bool {
        if let Some((known, number)) = self.ids.get_mut(&id) {
            if at > *known {
                self.order.remove(&(*known, *number, id));
                *known = at;
                self.order.insert((at, *number, id));
            }
            return false;
        }
        self.count += 1;
        self.ids.insert(id, (at, self.count));
        self.order.insert((at, self.count, id));
        if self.ids.len() > SEEN_MAX
            && let Some((_, _, oldest)) = self.order.pop_first()
        {
            self.ids.remove(&oldest);
        }
        true
    }

    /// Whether this was met. Nothing is kept of the question.
    pub fn contains(&self, id: &str) -> bool {
        self.ids.contains_key(&short(id))
    }

    /// Forgets what was met before this second, and not since.
    pub fn forget(&mut self, before: i64) {
        let kept = self.order.split_off(&(before, 0, [0; 6]));
        for (_, _, id) in std::mem::replace(&mut self.order, kept) {
            self.ids.remove(&id);
        }
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Second and id, the oldest first.
    fn aged(&self) -> impl DoubleEndedIterator<Item = (i64, [u8; 6])> {
        self.order.iter().map(|(at, _, id)| (*at, *id))
    }
}

fn short(id: &str) -> [u8; 6] {
    let digest = Sha256::digest(id.as_bytes());
    std::array::from_fn(|index| digest[index])
}

/// For each second it, how many ids there are, and these: 4, 2 and 6 bytes each.
impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut groups: Vec<(i64, Vec<[u8; 6]>)> = Vec::new();
        let mut bytes = 0;
        // What there is no room for are the oldest.
        for (at, id) in self.aged().rev() {
            match groups.last_mut() {
                Some((same, ids)) if *same == at && ids.len() < usize::from(u16::MAX) => {
                    bytes += 6;
                    ids.push(id);
                }
                _ => {
                    bytes += 12;
                    groups.push((at, vec![id]));
                }
            }
            if bytes > SEEN_BYTES + 6 {
                break;
            }
        }
        let mut text = Vec::with_capacity(bytes);
        for (at, ids) in groups.iter().rev() {
            text.extend(u32::try_from(*at).unwrap_or(u32::MAX).to_be_bytes());
            text.extend(u16::try_from(ids.len()).unwrap_or(u16::MAX).to_be_bytes());
            text.extend(ids.iter().rev().flatten());
        }
        to.serialize_str(&format!("{BY_SECOND}{}", STANDARD_NO_PAD.encode(text)))
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let (by_second, text) = match text.strip_prefix(BY_SECOND) {
            Some(rest) => (true, rest),
            None => (false, text.as_str()),
        };
        let bytes = STANDARD_NO_PAD.decode(text).map_err(serde::de::Error::custom)?;
        let broken = || serde::de::Error::custom("ids of 6 bytes each were expected, with their seconds");
        let mut seen = Seen::default();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (at, more) = rest.split_at_checked(4).ok_or_else(broken)?;
            let (count, more) = match by_second {
                true => more.split_at_checked(2).ok_or_else(broken)?,
                false => (&[0, 1][..], more),
            };
            let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | i64::from(*byte));
            let length = 6 * usize::try_from(number(count)).unwrap_or(0);
            let (ids, more) = more.split_at_checked(length).ok_or_else(broken)?;
            for id in ids.chunks_exact(6) {
                seen.keep(std::array::from_fn(|index| id[index]), number(at));
            }
            rest = more;
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ask(now: i64, cursor: Option<String>) -> Ask {
        Ask { cursor, ..Ask::new("a", now, 1000) }
    }

    fn round(now: i64, cursor: &Option<String>) -> Round {
        Round::resume(&ask(now, cursor.clone()), Overlap::seconds(100)).unwrap()
    }

    fn dated(at: i64) -> Response {
        let headers = vec![("Date".to_owned(), time::to_http_date(at))];
        Response { headers, ..Response::default() }
    }

    fn logs(ids: &[&str]) -> Vec<Log> {
        ids.iter().map(|id| json!({"id": id}).into()).collect()
    }

    #[test]
    fn a_round_keeps_its_ends_until_its_last_page_and_the_next_one_overlaps_it() {
        let first = round(5000, &None);
        assert_eq!((first.from(), first.until(), first.token()), (1000, 5000, None));
        let page = first.next(vec![], Some("p2".into()));
        assert!(page.more);
        let second = round(6000, &Some(page.cursor));
        assert_eq!((second.from(), second.until(), second.token()), (1000, 5000, Some("p2")));
        let page = second.next(vec![], None);
        assert!(!page.more);
        let third = round(7000, &Some(page.cursor));
        assert_eq!((third.from(), third.until(), third.token()), (4900, 7000, None));
    }

    #[test]
    fn nothing_before_the_beginning_is_asked_for() {
        let page = round(1010, &None).next(vec![], None);
        assert_eq!(round(1100, &Some(page.cursor)).from(), 1000);
    }

    #[test]
    fn the_services_clock_counts() {
        // The host is an hour ahead.
        let mut ahead = round(8600, &None);
        ahead.heard(&dated(5000));
        assert_eq!(ahead.until(), 5000);
        ahead.moved = false;
        let mut ahead = round(8700, &Some(ahead.next(vec![], None).cursor));
        assert_eq!((ahead.from(), ahead.until()), (4900, 5100));
        ahead.heard(&dated(5101));
        assert_eq!(ahead.until(), 5100, "what it was asked for");
        // The beginning is by the host's clock, too: in the service's it is an hour earlier, and asked for anew.
        let late = |now: i64, cursor: Option<String>| {
            let ask = Ask { cursor, ..Ask::new("a", now, 8300) };
            Round::resume(&ask, Overlap::seconds(100)).unwrap()
        };
        let mut ahead = late(8600, None);
        ahead.heard(&dated(5000));
        let page = ahead.next(vec![], None);
        assert!(page.more);
        let mut ahead = late(8601, Some(page.cursor));
        assert_eq!((ahead.from(), ahead.until(), ahead.token()), (4700, 5000, None));
        ahead.heard(&dated(5001));
        let ahead = late(8900, Some(ahead.next(vec![], None).cursor));
        assert_eq!((ahead.from(), ahead.until()), (4900, 5300));
        // The host is an hour behind.
        let mut behind = round(5000, &None);
        behind.heard(&dated(8600));
        assert_eq!(behind.until(), 5000);
        let behind = round(5100, &Some(behind.next(vec![], None).cursor));
        assert_eq!((behind.from(), behind.until()), (4900, 8700));
        // Both ends of a round are settled with its first page.
        let mut page = round(5000, &Some(round(4000, &None).next(vec![], Some("p".into())).cursor));
        page.heard(&dated(9000));
        assert_eq!((page.until(), page.skew), (4000, 0));
    }

    #[test]
    fn what_was_handed_on_is_left_out_for_two_overlaps() {
        let mut first = round(5000, &None);
        assert_eq!(first.fresh(logs(&["a", "b", "a"]), |log| log.text("id")), logs(&["a", "b"]));
        assert_eq!(first.fresh(logs(&["", ""]), |log| log.text("id")).len(), 2, "they have no id");
        let cursor = Some(first.next(vec![], None).cursor);
        let mut second = round(5050, &cursor);
        assert_eq!(second.fresh(logs(&["b", "late"]), |log| log.text("id")), logs(&["late"]));
        let cursor = Some(second.next(vec![], None).cursor);
        let mut third = round(9000, &cursor);
        assert_eq!(third.seen.len(), 3);
        third.fresh(logs(&["c"]), |log| log.text("id"));
        let third = round(9050, &Some(third.next(vec![], None).cursor));
        assert_eq!(third.seen.len(), 1);
    }

    #[test]
    fn a_round_begins_again_with_what_it_knows() {
        let mut first = round(5000, &None);
        first.fresh(logs(&["a"]), |log| log.text("id"));
        let page = first.next(vec![], Some("gone".into()));
        let again = round(6000, &Some(page.cursor)).again().unwrap();
        assert!(again.more && again.logs.is_empty());
        let again = round(6000, &Some(again.cursor));
        assert_eq!((again.from(), again.until(), again.token(), again.seen.len()), (1000, 5000, None, 1));
    }

    #[test]
    fn a_round_that_begins_again_and_again_waits_longer_each_time() {
        let mut cursor = Some(round(5000, &None).next(vec![], Some("gone".into())).cursor);
        let at = |attempt, cursor: &Option<String>| {
            let ask = Ask { attempt, ..ask(6000, cursor.clone()) };
            Round::resume(&ask, Overlap::seconds(100)).unwrap()
        };
        let mut waits = Vec::new();
        for _ in 0..8 {
            let again = match at(1, &cursor).again() {
                Ok(page) => page,
                Err(Stop::Retry { after: Some(after), .. }) => {
                    waits.push(after);
                    // The wait is over, and the token is unknown still.
                    at(2, &cursor).again().unwrap()
                }
                other => panic!("{other:?}"),
            };
            cursor = Some(at(1, &Some(again.cursor)).next(vec![], Some("gone".into())).cursor);
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 900, 900]);
        // A round that came to its end is forgotten.
        let ended = at(1, &cursor).next(vec![], None);
        let next = at(1, &Some(ended.cursor)).next(vec![], Some("gone".into()));
        assert!(at(1, &Some(next.cursor)).again().is_ok());
    }

    #[test]
    fn a_long_time_is_fetched_in_rounds_that_follow_each_other() {
        let round = |cursor: &Option<String>| round(5000, cursor).at_most(1500);
        let first = round(&None);
        assert_eq!((first.from(), first.until()), (1000, 2500));
        let page = first.next(vec![], Some("p2".into()));
        let second = round(&Some(page.cursor));
        assert_eq!((second.from(), second.until(), second.token()), (1000, 2500, Some("p2")));
        let page = second.next(vec![], None);
        assert!(page.more);
        let third = round(&Some(page.cursor));
        assert_eq!((third.from(), third.until()), (2400, 3900));
        // The page that begins it again is of the same round.
        let third = round(&Some(third.again().unwrap().cursor));
        let page = third.next(vec![], None);
        assert!(page.more);
        let last = round(&Some(page.cursor));
        assert_eq!((last.from(), last.until()), (3800, 5000));
        assert!(!last.next(vec![], None).more);
        // No shorter than what is read again.
        assert_eq!(super::tests::round(5000, &None).at_most(1).until(), 1101);
        // By the service's clock it is not later than that.
        let mut ahead = round(&None);
        ahead.heard(&dated(2000));
        assert_eq!(ahead.until(), 2000);
        ahead.moved = false;
        assert!(!ahead.next(vec![], None).more);
    }

    #[test]
    fn ids_are_bounded_and_come_back_from_text() {
        let mut seen = Seen::default();
        assert!((0..13_000).all(|number| seen.is_new(&number.to_string(), 7)));
        assert_eq!(seen.len(), SEEN_MAX);
        assert!(!seen.is_new("12999", 1) && !seen.is_new("1000", 7) && seen.is_new("999", 7));
        let text = serde_json::to_string(&seen).unwrap();
        assert!(text.len() < 97_000, "{}", text.len());
        assert_eq!(serde_json::from_str::<Seen>(&text).unwrap(), seen);
        // Each of another second, they take twice the room: the newest have it.
        let mut seen = Seen::default();
        assert!((0..12_000).all(|number| seen.is_new(&number.to_string(), number)));
        let text = serde_json::to_string(&seen).unwrap();
        assert!(text.len() < 97_000, "{}", text.len());
        let seen = serde_json::from_str::<Seen>(&text).unwrap();
        assert!(seen.len() >= 6_000 && seen.contains("11999") && !seen.contains("0"), "{}", seen.len());
        assert!(
            serde_json::from_str::<Seen>("\"abc\"").is_err() && serde_json::from_str::<Seen>("\"s:abcd\"").is_err()
        );
    }

    #[test]
    fn ids_are_read_as_they_were_written_before() {
        let bytes = [[0, 0, 0, 9, 1, 2, 3, 4, 5, 6], [0, 0, 1, 0, 6, 5, 4, 3, 2, 1]].concat();
        let old = format!("\"{}\"", STANDARD_NO_PAD.encode(bytes));
        let seen: Seen = serde_json::from_str(&old).unwrap();
        assert_eq!(seen.aged().collect::<Vec<_>>(), [(9, [1, 2, 3, 4, 5, 6]), (256, [6, 5, 4, 3, 2, 1])]);
    }

    #[test]
    fn a_cursor_of_another_kind_is_told_of() {
        let stop = Round::resume(&ask(1, Some("[]".into())), Overlap::seconds(1)).unwrap_err();
        assert!(matches!(&stop, Stop::Reject(reason) if reason.contains("streamalert app reset a")), "{stop:?}");
        assert_ne!(stop, retry(""));
    }
}
