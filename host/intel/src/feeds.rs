//! What the pages of a source hold.

mod csv;
mod misp;
mod stix;
mod taxii;

use crate::web::{FetchError, Web, shown};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use streamalert_pipeline::config::threat_intel::{CONFIDENCE_MAX, Feed, SourceConfig};
use streamalert_pipeline::threat_intel::{Ioc, Kind, canonical, refanged};
use streamalert_pipeline::time::Millis;

/// Different reasons for leaving something out that are told of one pass, and the characters of one: the state of a source is
/// one item of a table.
const REASONS_MAX: usize = 50;
const REASON_CHARS_MAX: usize = 100;
const OTHER_REASONS: &str = "other reasons";
/// Characters of a type's name.
const TYPE_CHARS_MAX: usize = 64;
/// Characters of what a server says for us to say again: an ETag, its word for the next page.
pub(crate) const WORD_CHARS_MAX: usize = 4_096;

/// What is known of a source while it is read.
pub struct Reading<'a> {
    pub name: &'a str,
    pub config: &'a SourceConfig,
    pub now: Millis,
}

/// A part of a source.
#[derive(Debug, Default)]
pub struct Page {
    pub iocs: Vec<Ioc>,
    /// Of indicators that are others than they were: the values that they name now.
    pub revised: BTreeMap<String, BTreeSet<String>>,
    /// Values of indicators that are none any more.
    pub over: BTreeSet<String>,
    /// What could not be read: what it gave before stays.
    pub spared: BTreeSet<String>,
    /// It was too much to name: all that was there before stays.
    pub spares_all: bool,
    /// How many values could be read, wanted or not.
    understood: u64,
    pub left_out: BTreeMap<String, u64>,
    /// Where it goes on; none: that was all of it.
    pub next: Option<Value>,
    /// What the next pass begins with.
    pub since: Option<Value>,
    /// Nothing has changed since the last pass.
    pub unchanged: bool,
}

/// What is kept from one page of a pass to the next, as long as the process lives.
#[derive(Default)]
pub struct Kept {
    rows: Option<Rows>,
    manifest: Option<misp::Manifest>,
}

/// Of a document: what was not given out yet, in the order of values, each once.
struct Rows {
    left: VecDeque<Ioc>,
    left_out: BTreeMap<String, u64>,
    /// Of its text; empty if a part of the pass was read from another.
    digest: String,
    since: Value,
}

fn text(value: Option<&Value>, name: &str) -> Option<String> {
    value.and_then(|value| value[name].as_str()).map(str::to_owned)
}

impl Page {
    fn leave_out(&mut self, reason: impl AsRef<str>) {
        count(&mut self.left_out, reason.as_ref(), 1);
    }
}

/// Counts a reason among others.
pub(crate) fn count(left_out: &mut BTreeMap<String, u64>, reason: &str, times: u64) {
    let reason = cut(reason, REASON_CHARS_MAX);
    let is_one_more = !left_out.contains_key(&reason) && left_out.len() >= REASONS_MAX;
    *left_out.entry(if is_one_more { OTHER_REASONS.to_owned() } else { reason }).or_default() += times;
}

/// The beginning of a text that may be long.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

impl Reading<'_> {
    /// The part of the source at `cursor`, of its beginning if there is none. `since` is what the last pass left; without it,
    /// all is read, whether it has changed or not.
    pub fn page(
        &self,
        web: &Web<'_>,
        kept: &mut Kept,
        cursor: Option<&Value>,
        since: Option<&Value>,
    ) -> Result<Page, FetchError> {
        match self.config.feed {
            Feed::Taxii => taxii::page(self, web, cursor, since),
            Feed::Misp => misp::page(self, web, &mut kept.manifest, cursor, since),
            Feed::Stix => self.whole(web, &mut kept.rows, cursor, since, stix::bundle),
            Feed::Csv => self.whole(web, &mut kept.rows, cursor, since, csv::rows),
        }
    }

    /// Whether a pass brings all there is, so that what it did not bring is gone.
    pub fn is_whole(&self) -> bool {
        self.config.feed != Feed::Taxii
    }

    /// A source that is one document: it is fetched once, and given out part by part in the order of values. Whoever goes on where
    /// another has died fetches it again, and takes what comes after the last part, even where its text is another by then.
    fn whole(
        &self,
        web: &Web<'_>,
        kept: &mut Option<Rows>,
        cursor: Option<&Value>,
        since: Option<&Value>,
        read: fn(&Reading<'_>, &[u8]) -> Result<Page, String>,
    ) -> Result<Page, FetchError> {
        let rows = match kept {
            Some(rows) => rows,
            None => match self.fetched(web, cursor, since, read)? {
                Some(rows) => kept.insert(rows),
                None => return Ok(Page { unchanged: true, since: since.cloned(), ..Page::default() }),
            },
        };
        let after = text(cursor, "after");
        while rows.left.front().is_some_and(|ioc| after.as_ref().is_some_and(|after| ioc.value <= *after)) {
            rows.left.pop_front();
        }
        // Those that may have to be given out again stay.
        let iocs: Vec<Ioc> = rows.left.iter().take(PART).cloned().collect();
        let last = iocs.last().filter(|_| rows.left.len() > iocs.len());
        let next = last.map(|ioc| serde_json::json!({"after": ioc.value, "digest": rows.digest}));
        // They are told of with the first part.
        let left_out = if cursor.is_none() { rows.left_out.clone() } else { BTreeMap::new() };
        Ok(Page { iocs, next, left_out, since: Some(rows.since.clone()), ..Page::default() })
    }

    /// `None`: it is as it was.
    fn fetched(
        &self,
        web: &Web<'_>,
        cursor: Option<&Value>,
        since: Option<&Value>,
        read: fn(&Reading<'_>, &[u8]) -> Result<Page, String>,
    ) -> Result<Option<Rows>, FetchError> {
        let since = since.filter(|_| cursor.is_none());
        let conditions: Vec<(&str, String)> = [("If-None-Match", "etag"), ("If-Modified-Since", "modified")]
            .into_iter()
            .filter_map(|(header, name)| Some((header, text(since, name)?)))
            .collect();
        let headers: Vec<(&str, &str)> = conditions.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = web.get(&self.config.url, &headers)?;
        if answer.status == 304 {
            return Ok(None);
        }
        let digest = digest(&answer.body);
        if text(since, "digest").as_ref() == Some(&digest) {
            return Ok(None);
        }
        let page = read(self, &answer.body)
            .map_err(|why| FetchError::broken(format!("{}: {why}", shown(&self.config.url))))?;
        let by_value: BTreeMap<String, Ioc> = page.iocs.into_iter().map(|ioc| (ioc.value.clone(), ioc)).collect();
        let header = |name: &str| {
            answer.header(name).filter(|word| word.len() <= WORD_CHARS_MAX).map_or(Value::Null, Value::from)
        };
        // What lies before the cursor is of another text: the next pass reads it all.
        let is_one = cursor.is_none_or(|cursor| cursor["digest"] == *digest);
        let (digest, since) = match is_one {
            true => {
                let since =
                    serde_json::json!({"etag": header("etag"), "modified": header("last-modified"), "digest": digest});
                (digest, since)
            }
            false => (String::new(), serde_json::json!({})),
        };
        Ok(Some(Rows { left: by_value.into_values().collect(), left_out: page.left_out, digest, since }))
    }

    /// An indicator of this source, if it is one that is wanted.
    fn ioc(&self, page: &mut Page, found: Told<'_>) -> Option<Ioc> {
        let ioc_type = found.ioc_type.trim().to_ascii_lowercase();
        if ioc_type.chars().nth(TYPE_CHARS_MAX).is_some() {
            page.leave_out(format!("a type of more than {TYPE_CHARS_MAX} characters"));
            return None;
        }
        if !self.config.types.is_empty()
            && !self.config.types.iter().any(|wanted| wanted.eq_ignore_ascii_case(&ioc_type))
        {
            page.leave_out(format!("type {ioc_type} is not among `types`"));
            page.understood += 1;
            return None;
        }
        let kind = Kind::of(&ioc_type);
        let Some(value) = canonical(kind, &refanged(kind, found.value)) else {
            page.leave_out(format!("a value that is no {ioc_type}"));
            return None;
        };
        // A host may be called by one word, a domain in the Internet is not.
        if kind == Kind::Domain && !value.contains('.') && !ioc_type.contains("host") {
            page.leave_out(format!("a value that is no {ioc_type}"));
            return None;
        }
        page.understood += 1;
        if value.starts_with("streamalert:") {
            page.leave_out("a value that is a name of ours");
            return None;
        }
        let least = self.config.confidence_min;
        let confidence = match found.confidence.map(confidence) {
            None => None,
            Some(None) if least > 0 => {
                page.leave_out(format!("a confidence that is no number from 0 to {CONFIDENCE_MAX}"));
                return None;
            }
            Some(None) => None,
            Some(Some(number)) if number < f64::from(least) => {
                page.leave_out(format!("confidence below {least}"));
                return None;
            }
            Some(Some(number)) => Some(number as u8),
        };
        let days = i64::from(self.config.expires_days);
        let short = |text: Option<&str>| {
            text.map(str::trim)
                .filter(|text| !text.is_empty())
                .map(|text| text.chars().take(TEXT_MAX).collect::<String>())
        };
        Some(Ioc {
            value,
            ioc_type,
            sub_type: short(found.sub_type).or_else(|| self.config.sub_type.clone()).unwrap_or_default(),
            source: self.name.to_owned(),
            expires: found.expires.unwrap_or(self.now + days * 86_400_000),
            confidence,
            description: short(found.description),
            reference: short(found.reference),
            valid_from: found.valid_from.filter(|from| *from > self.now),
            ..Ioc::default()
        })
    }
}

/// What a source says of a value.
#[derive(Default)]
struct Told<'a> {
    value: &'a str,
    ioc_type: &'a str,
    sub_type: Option<&'a str>,
    /// As it was written.
    confidence: Option<&'a str>,
    valid_from: Option<Millis>,
    expires: Option<Millis>,
    description: Option<&'a str>,
    reference: Option<&'a str>,
}

/// Indicators that are stored before it is said how far the download has come.
const PART: usize = 5_000;
/// Characters of a description that are kept.
const TEXT_MAX: usize = 256;

pub(crate) fn digest(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// A number from 0 to 100, whole or not.
fn confidence(text: &str) -> Option<f64> {
    let number: f64 = text.trim().parse().ok()?;
    (0.0..=f64::from(CONFIDENCE_MAX)).contains(&number).then_some(number)
}

/// RFC 3339, a date with or without a time, or seconds since 1970.
fn time(text: &str) -> Option<Millis> {
    let text = text.trim();
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.as_millisecond());
    }
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(1000);
    }
    let civil = text.replace(' ', "T");
    let at: jiff::civil::DateTime = civil.trim_end_matches("TUTC").parse().ok()?;
    Some(format!("{at}Z").parse::<jiff::Timestamp>().ok()?.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_short_and_few() {
        let mut left_out = BTreeMap::new();
        count(&mut left_out, "short", 2);
        for number in 0..1_000 {
            count(&mut left_out, &format!("{number:04} {}", "ü".repeat(20_000)), 1);
        }
        count(&mut left_out, "short", 1);
        assert_eq!((left_out.len(), left_out["short"]), (REASONS_MAX + 1, 3));
        assert_eq!(left_out.values().sum::<u64>(), 1_003);
        assert_eq!(left_out[OTHER_REASONS], 1_003 - 3 - 49);
        assert!(left_out.keys().all(|reason| reason.chars().count() <= REASON_CHARS_MAX));
        assert_eq!([cut("abc", 3), cut("abcd", 3)], ["abc", "ab…"]);
    }
}
