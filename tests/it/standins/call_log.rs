//! Which calls each function makes of AWS, for `infra/tests/wiring`, which compares them with what the function may do.
//!
//! With `STREAMALERT_CALLS`, a folder, a proxy for each function stands between it and the stand-in, and a file of this process
//! there gets a line of JSON for each call: who made it, and what names action and resource.

use crate::fault_proxy::{FaultProxy, Seen};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

struct Log {
    file: File,
    known: HashSet<String>,
    /// By stand-in, installation and function.
    proxies: BTreeMap<(String, String, String), String>,
}

static LOG: LazyLock<Option<Mutex<Log>>> = LazyLock::new(|| {
    let folder = std::env::var("STREAMALERT_CALLS").ok().filter(|folder| !folder.is_empty())?;
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    let file = Path::new(&folder).join(format!("{}.jsonl", std::process::id()));
    let file = File::create(file).expect("a file can be made there");
    Some(Mutex::new(Log { file, known: HashSet::new(), proxies: BTreeMap::new() }))
});

/// The endpoint for a function of an installation: that of the stand-in, unless calls are recorded.
pub fn endpoint(behind: &str, prefix: &str, function: &str) -> String {
    let Some(log) = LOG.as_ref() else { return behind.to_owned() };
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (behind.to_owned(), prefix.to_owned(), function.to_owned());
    let start = || {
        let who = json!({"prefix": prefix, "function": function});
        FaultProxy::watched(behind, move |seen| note(&who, seen)).endpoint
    };
    log.proxies.entry(key).or_insert_with(start).clone()
}

fn note(who: &Value, seen: &Seen<'_>) {
    let mut line = who.clone();
    line["method"] = seen.method.into();
    line["target"] = seen.target.into();
    line["headers"] = json!({
        "authorization": seen.header("authorization"), "x-amz-target": seen.header("x-amz-target"),
        "x-amz-copy-source": seen.header("x-amz-copy-source"),
    });
    line["status"] = seen.status.into();
    line["body"] = names(&serde_json::from_slice(seen.body).unwrap_or_default());
    // It is signed anew each time.
    let signature =
        line["headers"]["authorization"].as_str().and_then(|text| text.split(',').next()).map(str::to_owned);
    line["headers"]["authorization"] = signature.into();
    let Some(log) = LOG.as_ref() else { return };
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    let line = format!("{line}\n");
    if log.known.insert(line.clone()) {
        log.file.write_all(line.as_bytes()).expect("the folder of calls can be written to");
    }
}

/// Of a body, what says which resources it is about.
fn names(body: &Value) -> Value {
    const NAMES: [&str; 7] =
        ["TableName", "IndexName", "QueueUrl", "QueueName", "DeliveryStreamName", "Name", "TopicArn"];
    let mut kept: Map<String, Value> =
        NAMES.iter().filter_map(|name| Some(((*name).to_owned(), body.get(*name)?.clone()))).collect();
    if let Some(tables) = body["RequestItems"].as_object() {
        kept.insert(
            "RequestItems".into(),
            tables.keys().map(|table| (table.clone(), json!({}))).collect::<Map<_, _>>().into(),
        );
    }
    if let Some(items) = body["TransactItems"].as_array() {
        let item = |item: &Value| {
            let (kind, asked) = item.as_object().and_then(|item| item.iter().next())?;
            Some(json!({kind: {"TableName": asked["TableName"]}}))
        };
        kept.insert("TransactItems".into(), items.iter().filter_map(item).collect());
    }
    kept.into()
}
