//! Rounds through the time that is not fetched yet, for services that are asked for all logs of a time, page by page.
//!
//! A round is a time with two ends, both of which stay what they are until its last page is there; so it does not matter whether the
//! service gives the newest first, and a poll that is repeated asks for the same. The next round begins some minutes before the
//! end of the last one: a log that the service shows late is found then. What was handed on already is known by its id, and left out.
//! The ends are of the service's clock, by the `Date` of its answers: the host's may be wrong.

use crate::{Ask, Log, Page, Response, Stop, page, time};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

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
    /// Nothing was fetched yet: the beginning is still by the host's clock.
    #[serde(skip)]
    first: bool,
    /// The beginning was set right, so what was asked for is not what is wanted.
    #[serde(skip)]
    moved: bool,
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
            seen: Seen::default(),
            extra: serde_json::Value::Null,
            overlap: 0,
            since: 0,
            now: 0,
            first: true,
            moved: false,
        });
        (round.overlap, round.since, round.now) = (overlap.0, ask.since, ask.now);
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
        }
        page(logs).cursor(&self).more(more)
    }

    /// The token is none any more, the service says: the round begins again at its first page. What was handed on is known.
    pub fn again(mut self) -> Page {
        self.token = None;
        page([]).cursor(&self).more(true)
    }
}

/// Ids of logs that were handed on lately, as 6 bytes each with the second of each. When there are too many, the oldest are forgotten: their logs come
/// again, which is harmless.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen(Vec<(i64, [u8; 6])>);

/// Ids that are kept: 54 KB of the cursor.
const SEEN_MAX: usize = 4_000;

impl Seen {
    /// Whether this is met for the first time. It is kept, as of this second.
    pub fn is_new(&mut self, id: &str, at: i64) -> bool {
        let short = short(id);
        if let Some(known) = self.0.iter_mut().find(|(_, known)| *known == short) {
            known.0 = known.0.max(at);
            return false;
        }
        self.0.push((at, short));
        if self.0.len() > SEEN_MAX {
            self.0.sort_by_key(|(at, _)| *at);
            self.0.drain(..self.0.len() - SEEN_MAX);
        }
        true
    }

    /// Whether this was met. Nothing is kept of the question.
    pub fn contains(&self, id: &str) -> bool {
        let short = short(id);
        self.0.iter().any(|(_, known)| *known == short)
    }

    /// Forgets what was met before this second, and not since.
    pub fn forget(&mut self, before: i64) {
        self.0.retain(|(at, _)| *at >= before);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn short(id: &str) -> [u8; 6] {
    let digest = Sha256::digest(id.as_bytes());
    std::array::from_fn(|index| digest[index])
}

impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self
            .0
            .iter()
            .flat_map(|(at, id)| {
                let at = u32::try_from(*at).unwrap_or(u32::MAX).to_be_bytes();
                at.into_iter().chain(id.iter().copied())
            })
            .collect();
        to.serialize_str(&STANDARD_NO_PAD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(serde::de::Error::custom)?;
        if bytes.len() % 10 != 0 {
            return Err(serde::de::Error::custom("ids of 10 bytes each were expected"));
        }
        let one = |piece: &[u8]| {
            let at = piece[..4].iter().fold(0, |at, byte| at << 8 | i64::from(*byte));
            (at, std::array::from_fn(|index| piece[4 + index]))
        };
        Ok(Seen(bytes.chunks_exact(10).map(one).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry;
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
        let again = round(6000, &Some(page.cursor)).again();
        assert!(again.more && again.logs.is_empty());
        let again = round(6000, &Some(again.cursor));
        assert_eq!((again.from(), again.until(), again.token(), again.seen.len()), (1000, 5000, None, 1));
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
        let third = round(&Some(third.again().cursor));
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
        assert!((0..5000).all(|number| seen.is_new(&number.to_string(), number)));
        assert_eq!(seen.len(), SEEN_MAX);
        assert!(!seen.is_new("4999", 1) && seen.is_new("0", 9000));
        let text = serde_json::to_string(&seen).unwrap();
        assert!(text.len() < 55_000);
        assert_eq!(serde_json::from_str::<Seen>(&text).unwrap(), seen);
        assert!(serde_json::from_str::<Seen>("\"abc\"").is_err());
    }

    #[test]
    fn a_cursor_of_another_kind_is_told_of() {
        let stop = Round::resume(&ask(1, Some("[]".into())), Overlap::seconds(1)).unwrap_err();
        assert!(matches!(&stop, Stop::Reject(reason) if reason.contains("streamalert app reset a")), "{stop:?}");
        assert_ne!(stop, retry(""));
    }
}
