//! Alerts go into an index or data stream of Elasticsearch or OpenSearch.

#[cfg(test)]
mod tests;

use brief::{accepted_or, base, told};
use streamalert_output_sdk::prelude::*;

/// Most take 100 MB for a request, and 10 MB where AWS runs them on small machines.
const RECORD_MAX: Max = Max::Bytes(4_000_000);

struct Elasticsearch;

impl Output for Elasticsearch {
    const SERVICE: &'static str = "elasticsearch";
    const DESCRIPTION: &'static str = "Creates a document in an index or data stream";
    const SETTINGS: &'static [Setting] = &[
        Setting::plain("url", "https://es.example.com:9200"),
        Setting::plain("index", "Name of the index, alias or data stream"),
        Setting::secret("api_key", "API key of Elasticsearch, as it is shown encoded").optional(),
        Setting::plain("username", "Where there is no API key").optional(),
        Setting::secret("password", "Of `username`").optional(),
    ];
    const HOSTS: &'static [&'static str] = &["{url}"];
    /// By `_id`.
    const IDEMPOTENT: bool = true;

    fn validate(settings: &Settings) -> Vec<Fault> {
        let mut faults = Vec::new();
        let index = settings.get("index").unwrap_or_default();
        let is_bad = |c: char| c.is_uppercase() || c.is_whitespace() || r#"\/*?"<>|,#:"#.contains(c);
        if index.contains(is_bad) || index.starts_with(['-', '_', '+', '.']) || index.len() > 255 {
            faults.push(Fault::new(
                "index",
                r#"begins with none of - _ + . and holds no capitals, blanks and \ / * ? " < > | , # :"#,
            ));
        }
        match (settings.get("api_key"), settings.get("username"), settings.get("password")) {
            (Some(_), Some(_), _) => faults.push(Fault::new("", "give either `api_key` or `username` and `password`")),
            (_, Some(_), None) => faults.push(Fault::new("password", "goes with `username`")),
            (_, None, Some(_)) => faults.push(Fault::new("username", "goes with `password`")),
            _ => {}
        }
        faults
    }

    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {
        let outcome = create(parcel, http, &document(parcel));
        match outcome {
            // The index has other types for fields of this record, or too many fields: the alert counts for more than that.
            Err(Refused::Document(reason)) => {
                log::info(format!("record and context go as text: {reason}"));
                create(parcel, http, &as_text(document(parcel)))
            }
            other => other,
        }
        .unwrap_or_else(|refused| match refused {
            Refused::Document(reason) => Disposition::Reject(format!("{reason}; check the mapping of `index`")),
            Refused::Otherwise(disposition) => disposition,
        })
    }
}

export_output!(Elasticsearch);

/// What is wrong.
enum Refused {
    /// With the fields of the document.
    Document(String),
    Otherwise(Disposition),
}

/// By the bulk API, which data streams and indices have alike, and whose answers say more.
fn create(parcel: &Parcel, http: &dyn Http, document: &Map<String, Value>) -> Result<Disposition, Refused> {
    let index = parcel.required("index");
    let action = json!({"create": {"_id": parcel.idempotency_key}});
    let body = format!("{action}\n{}\n", Value::Object(document.clone()));
    let url = format!("{}/{}/_bulk", base(parcel, "url", ""), percent(index));
    let mut request = Request::post(url).bytes("application/x-ndjson", body);
    if let Some(key) = parcel.setting("api_key") {
        request = request.header("Authorization", format!("ApiKey {key}"));
    } else if let Some(user) = parcel.setting("username") {
        request = request.basic(user, parcel.required("password"));
    }
    let hints = [
        (401, "`api_key`, or `username` and `password`"),
        (403, "what the user of `api_key` or `username` may do with `index`"),
        (404, "`url` and `index`"),
    ];
    let answer = accepted_or(http.send(request), &hints).map_err(Refused::Otherwise)?;
    // Whoever answers at such length may have it or not; asked again, it will say 409.
    if answer.truncated {
        return Err(Refused::Otherwise(retry("the answer is longer than can be read")));
    }
    let answer = answer.json().unwrap_or_default();
    let item = &answer["items"][0]["create"];
    let place = || Disposition::delivered(format!("{index}/{}", parcel.idempotency_key));
    let error = &item["error"];
    let kind = error["type"].as_str().unwrap_or_default();
    let reason = error["reason"].as_str().map_or_else(|| error.to_string(), str::to_owned);
    let reason = format!("{}: {}", plain(kind), shorten(&plain(&reason), Max::Utf16(300)));
    match item["status"].as_u64() {
        // 409: it is there.
        Some(200..=299 | 409) => Ok(place()),
        Some(408 | 429 | 500..=599) => Err(Refused::Otherwise(retry(reason))),
        Some(400) if kind.contains("mapper") || kind.contains("parsing") || kind == "illegal_argument_exception" => {
            Err(Refused::Document(reason))
        }
        Some(404) => Err(Refused::Otherwise(Disposition::reject(format!("{reason}; check `index`")))),
        Some(_) => Err(Refused::Otherwise(Disposition::reject(reason))),
        None => Err(Refused::Otherwise(Disposition::reject(
            "the answer is none of the bulk API of Elasticsearch; check `url`",
        ))),
    }
}

fn document(parcel: &Parcel) -> Map<String, Value> {
    let mut document = told(parcel);
    let created = document.get("created").and_then(Value::as_str).filter(|created| time::seconds(created).is_some());
    let created = created.map(str::to_owned);
    // Data streams must have it.
    let now = || time::rfc3339(i64::try_from(parcel.now).unwrap_or_default());
    document.insert("@timestamp".into(), created.unwrap_or_else(now).into());
    document
}

/// With texts for what may hold anything.
fn as_text(mut document: Map<String, Value>) -> Map<String, Value> {
    for key in ["record", "context"] {
        if let Some(value) = document.remove(key) {
            document.insert(format!("{key}_text"), shorten(&value.to_string(), RECORD_MAX).into());
        }
    }
    document
}
