//! What the pages of a source hold.

mod csv;
mod misp;
mod stix;
mod taxii;

use crate::web::{FetchError, Web};
use serde_json::Value;
use std::collections::BTreeMap;
use streamalert_pipeline::config::threat_intel::{Feed, SourceConfig};
use streamalert_pipeline::threat_intel::{Ioc, Kind, canonical};
use streamalert_pipeline::time::Millis;

/// Different reasons for leaving something out that are told of one pass.
const REASONS_MAX: usize = 50;

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
    /// Values that are none any more.
    pub removed: Vec<String>,
    pub left_out: BTreeMap<String, u64>,
    /// Where it goes on; none: that was all of it.
    pub next: Option<Value>,
    /// What the next pass begins with.
    pub since: Option<Value>,
    /// Nothing has changed since the last pass.
    pub unchanged: bool,
}

impl Page {
    fn leave_out(&mut self, reason: impl Into<String>) {
        let reason = reason.into();
        let reason = match self.left_out.len() < REASONS_MAX || self.left_out.contains_key(&reason) {
            true => reason,
            false => "other reasons".to_owned(),
        };
        *self.left_out.entry(reason).or_default() += 1;
    }
}

impl Reading<'_> {
    /// The part of the source at `cursor`, of its beginning if there is none. `since` is what the last pass left; `fresh`: it
    /// does not matter whether anything has changed.
    pub fn page(
        &self,
        web: &Web<'_>,
        cursor: Option<&Value>,
        since: Option<&Value>,
        fresh: bool,
    ) -> Result<Page, FetchError> {
        match self.config.feed {
            Feed::Taxii => taxii::page(self, web, cursor, since),
            Feed::Misp => misp::page(self, web, cursor, since, fresh),
            Feed::Stix => self.whole(web, cursor, since, fresh, stix::bundle),
            Feed::Csv => self.whole(web, cursor, since, fresh, csv::rows),
        }
    }

    /// Whether a pass brings all there is, so that what it did not bring is gone.
    pub fn is_whole(&self) -> bool {
        self.config.feed != Feed::Taxii
    }

    /// A source that is one document.
    fn whole(
        &self,
        web: &Web<'_>,
        cursor: Option<&Value>,
        since: Option<&Value>,
        fresh: bool,
        read: fn(&Reading<'_>, &[u8]) -> Result<Page, String>,
    ) -> Result<Page, FetchError> {
        let text = |value: Option<&Value>, name: &str| value.and_then(|value| value[name].as_str()).map(str::to_owned);
        let conditions: Vec<(&str, String)> = match cursor.is_none() && !fresh {
            true => [("If-None-Match", "etag"), ("If-Modified-Since", "modified")]
                .into_iter()
                .filter_map(|(header, name)| Some((header, text(since, name)?)))
                .collect(),
            false => Vec::new(),
        };
        let headers: Vec<(&str, &str)> = conditions.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = web.get(&self.config.url, &headers)?;
        if answer.status == 304 {
            return Ok(Page { unchanged: true, since: since.cloned(), ..Page::default() });
        }
        let digest = digest(&answer.body);
        if !fresh && cursor.is_none() && text(since, "digest").as_ref() == Some(&digest) {
            return Ok(Page { unchanged: true, since: since.cloned(), ..Page::default() });
        }
        let mut page =
            read(self, &answer.body).map_err(|why| FetchError::broken(format!("{}: {why}", self.config.url)))?;
        // The rest of it, if it is still the same.
        let place = cursor.filter(|cursor| cursor["digest"] == *digest).and_then(|cursor| cursor["at"].as_u64());
        let at = usize::try_from(place.unwrap_or(0)).unwrap_or(usize::MAX).min(page.iocs.len());
        if at > 0 {
            // They were counted with the first part.
            page.left_out.clear();
        }
        let end = page.iocs.len().min(at.saturating_add(PART));
        if end < page.iocs.len() {
            page.next = Some(serde_json::json!({"at": end, "digest": digest}));
        }
        page.iocs.truncate(end);
        page.iocs.drain(..at);
        let header = |name: &str| answer.header(name).map_or(Value::Null, Value::from);
        page.since =
            Some(serde_json::json!({"etag": header("etag"), "modified": header("last-modified"), "digest": digest}));
        Ok(page)
    }

    /// An indicator of this source, if it is one that is wanted.
    fn ioc(&self, page: &mut Page, found: Told<'_>) -> Option<Ioc> {
        let ioc_type = found.ioc_type.trim().to_ascii_lowercase();
        if !self.config.types.is_empty()
            && !self.config.types.iter().any(|wanted| wanted.eq_ignore_ascii_case(&ioc_type))
        {
            page.leave_out(format!("type {ioc_type} is not among `types`"));
            return None;
        }
        let Some(value) = canonical(Kind::of(&ioc_type), found.value) else {
            page.leave_out(format!("a value that is no {ioc_type}"));
            return None;
        };
        if value.starts_with("streamalert:") {
            page.leave_out("a value that is a name of ours");
            return None;
        }
        if found.confidence.is_some_and(|confidence| confidence < self.config.confidence_min) {
            page.leave_out(format!("confidence below {}", self.config.confidence_min));
            return None;
        }
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
            confidence: found.confidence,
            description: short(found.description),
            reference: short(found.reference),
        })
    }
}

/// What a source says of a value.
#[derive(Default)]
struct Told<'a> {
    value: &'a str,
    ioc_type: &'a str,
    sub_type: Option<&'a str>,
    confidence: Option<u8>,
    expires: Option<Millis>,
    description: Option<&'a str>,
    reference: Option<&'a str>,
}

/// Indicators that are stored before it is said how far the download has come.
const PART: usize = 5_000;
/// Characters of a description that are kept.
const TEXT_MAX: usize = 256;

fn digest(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
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
