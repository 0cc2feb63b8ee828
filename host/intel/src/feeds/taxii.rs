//! Collections of TAXII 2.1: page by page, and next time only what was added since.

use super::{Page, Reading, WORD_CHARS_MAX, stix};
use crate::web::{FetchError, Web, shown};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

const MEDIA: &str = "application/taxii+json;version=2.1";

/// Where a pass goes on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Cursor {
    /// The server's own word for the next page.
    next: Option<String>,
    /// What was added up to this was known before.
    added_after: Option<String>,
    /// When the last object of the pages so far was added.
    seen: Option<String>,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    more: bool,
    next: Option<String>,
    #[serde(default)]
    objects: Vec<Value>,
}

/// `<root>/collections/<id>/objects/`
fn objects_url(reading: &Reading<'_>) -> Result<Url, FetchError> {
    let wrong = |why: String| {
        FetchError::broken(format!("`{}` is no API root or collection: {why}", shown(&reading.config.url)))
    };
    let mut base = Url::parse(&reading.config.url).map_err(|error| wrong(error.to_string()))?;
    // Parameters go along.
    let query = base.query().map(str::to_owned);
    base.set_query(None);
    base.set_fragment(None);
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    let path = match &reading.config.collection {
        Some(id) => format!("collections/{id}/objects/"),
        None if base.path().ends_with("/objects/") => String::new(),
        None if base.path().contains("/collections/") => "objects/".to_owned(),
        None => return Err(wrong("name the collection with `collection`".into())),
    };
    let mut url = base.join(&path).map_err(|error| wrong(error.to_string()))?;
    url.set_query(query.as_deref());
    Ok(url)
}

fn envelope(text: &[u8]) -> Result<Envelope, String> {
    let value: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    match &value {
        // Without objects it is empty, or says so.
        Value::Object(keys) if keys.is_empty() || ["objects", "more"].iter().any(|key| keys.contains_key(*key)) => {
            serde_json::from_value(value).map_err(|error| error.to_string())
        }
        _ => Err("it has no `objects`".into()),
    }
}

pub fn page(
    reading: &Reading<'_>,
    web: &Web<'_>,
    cursor: Option<&Value>,
    since: Option<&Value>,
) -> Result<Page, FetchError> {
    let known = since.and_then(|since| since["added_after"].as_str()).map(str::to_owned);
    let mut cursor = match cursor {
        Some(cursor) => serde_json::from_value(cursor.clone()).unwrap_or_default(),
        None => Cursor { next: None, added_after: known, seen: None },
    };
    let url = |cursor: &Cursor| -> Result<String, FetchError> {
        let mut url = objects_url(reading)?;
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("limit", &reading.config.page_limit.to_string());
            query.append_pair("match[type]", "indicator");
            if let Some(after) = &cursor.added_after {
                query.append_pair("added_after", after);
            }
            if let Some(next) = &cursor.next {
                query.append_pair("next", next);
            }
        }
        Ok(url.into())
    };
    let headers = [("Accept", MEDIA)];
    let answer = match web.get(&url(&cursor)?, &headers) {
        // The server has forgotten its word for the page: what was added after the last one is the same.
        Err(error) if cursor.next.is_some() && matches!(error.status, Some(400 | 404 | 410 | 416)) => {
            cursor.next = None;
            cursor.added_after = cursor.seen.clone().or(cursor.added_after);
            web.get(&url(&cursor)?, &headers)?
        }
        answer => answer?,
    };
    // No news may be an empty text; that a collection has nothing at all is said by an envelope.
    let is_news = cursor.added_after.is_some() || cursor.next.is_some();
    let envelope: Envelope = match answer.body.trim_ascii().is_empty() && is_news {
        true => Envelope { more: false, next: None, objects: Vec::new() },
        false => envelope(&answer.body).map_err(|why| {
            FetchError::broken(format!("{}: it is no TAXII envelope: {why}", shown(&reading.config.url)))
        })?,
    };
    let seen = answer.header("x-taxii-date-added-last").map(str::to_owned).or_else(|| cursor.seen.clone());
    if [&envelope.next, &seen].into_iter().flatten().any(|word| word.len() > WORD_CHARS_MAX) {
        return Err(FetchError::broken(format!(
            "{}: what it calls its next page has more than {WORD_CHARS_MAX} characters",
            shown(&reading.config.url)
        )));
    }
    let mut page = stix::indicators(reading, &envelope.objects);
    let after = Cursor {
        next: envelope.next.clone().filter(|_| envelope.more),
        // While the server counts by its own word, the time is that of the whole pass.
        added_after: match envelope.more && envelope.next.is_some() {
            true => cursor.added_after.clone(),
            false => seen.clone().or_else(|| cursor.added_after.clone()),
        },
        seen: seen.clone(),
    };
    let moved = after.next != cursor.next || after.added_after != cursor.added_after;
    if envelope.more {
        if !moved {
            return Err(FetchError::broken(format!(
                "{}: it says that there is more, and neither how to ask for it nor when its last object was added",
                shown(&reading.config.url)
            )));
        }
        page.next = serde_json::to_value(&after).ok();
    }
    page.since = Some(serde_json::json!({"added_after": seen.or(cursor.added_after)}));
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_no_envelope_is_an_error() {
        for text in ["", "<html>", "[]", r#"{"error": "denied"}"#, r#"{"title": "x", "http_status": "403"}"#] {
            assert!(envelope(text.as_bytes()).is_err(), "{text}");
        }
        for text in ["{}", r#"{"more": false}"#, r#"{"objects": []}"#] {
            assert!(envelope(text.as_bytes()).is_ok(), "{text}");
        }
    }
}
