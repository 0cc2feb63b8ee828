//! What each service takes, by its public documentation: paths, credentials, required fields, lengths. And what it answers.

use super::{Reply, Seen, Shelf, decode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A status, and what is wrong.
type Fault = (u16, String);
type Judged = Result<Reply, Fault>;

/// What tests give as credentials.
pub const TOKEN: &str = "t0ken-0123456789";
pub const ROUTING_KEY: &str = "R0123456789abcdefghijklmnopqrstu";
pub const SIGNING_KEY: &str = "s1gning-key-0123";

pub fn judge(service: &str, seen: &Seen, shelf: &mut Shelf) -> Judged {
    match service {
        "slack" => slack(seen, shelf),
        "discord" => discord(seen, shelf),
        "teams" => teams(seen, shelf),
        "pagerduty" => pagerduty(seen, shelf),
        "opsgenie" => opsgenie(seen, shelf),
        "victorops" => victorops(seen, shelf),
        "jira" => jira(seen, shelf),
        "github" => github(seen, shelf),
        "demisto" => demisto(seen, shelf),
        "phantom" => phantom(seen, shelf),
        "carbonblack" => carbonblack(seen, shelf),
        "komand" => komand(seen, shelf),
        "webhook" => webhook(seen, shelf),
        "sendgrid" => sendgrid(seen, shelf),
        "postmark" => postmark(seen, shelf),
        "mailgun" => mailgun(seen, shelf),
        "ses" => ses(seen, shelf),
        "splunk" => splunk(seen, shelf),
        "elasticsearch" => elasticsearch(seen, shelf),
        _ => Err((404, format!("there is no service {service}"))),
    }
}

fn bad<T>(fault: impl Into<String>) -> Result<T, Fault> {
    Err((400, fault.into()))
}

/// The method and path, or 404 and 405.
fn at(seen: &Seen, method: &str, path: &str) -> Result<(), Fault> {
    match (seen.path == path, seen.method == method) {
        (true, true) => Ok(()),
        (true, false) => Err((405, format!("this wants {method}"))),
        (false, _) => Err((404, format!("there is nothing at {}", seen.path))),
    }
}

fn credential(seen: &Seen, name: &str, expected: &str) -> Result<(), Fault> {
    match seen.header(name) == expected {
        true => Ok(()),
        false => Err((401, format!("the header {name} is wrong"))),
    }
}

fn body(seen: &Seen) -> Result<Value, Fault> {
    if !seen.header("content-type").starts_with("application/json") {
        return Err((415, format!("the content type is `{}`", seen.header("content-type"))));
    }
    seen.json().map_err(|fault| (400, fault))
}

/// A text at this JSON pointer, not empty, of at most so many characters as Java and JavaScript count them.
fn text<'a>(body: &'a Value, place: &str, max: usize) -> Result<&'a str, Fault> {
    match body.pointer(place).and_then(Value::as_str) {
        None => bad(format!("{place} is no text")),
        Some("") => bad(format!("{place} is empty")),
        Some(text) if text.encode_utf16().count() > max => bad(format!("{place} is longer than {max}")),
        Some(text) => Ok(text),
    }
}

/// The same, if it is there; it may be empty then.
fn may<'a>(body: &'a Value, place: &str, max: usize) -> Result<&'a str, Fault> {
    match body.pointer(place) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) if text.is_empty() => Ok(""),
        Some(_) => text(body, place, max),
    }
}

fn one_of(body: &Value, place: &str, words: &[&str]) -> Result<(), Fault> {
    let word = text(body, place, 100)?;
    if words.contains(&word) { Ok(()) } else { bad(format!("{place} is `{word}`, none of {words:?}")) }
}

fn list<'a>(body: &'a Value, place: &str, max: usize) -> Result<&'a [Value], Fault> {
    match body.pointer(place) {
        None => Ok(&[]),
        Some(Value::Array(items)) if items.len() <= max => Ok(items),
        Some(Value::Array(items)) => bad(format!("{place} has {} of at most {max}", items.len())),
        Some(_) => bad(format!("{place} is no list")),
    }
}

fn is_time(text: &str) -> bool {
    text.len() >= 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z')
}

fn slack(seen: &Seen, shelf: &mut Shelf) -> Judged {
    at(seen, "POST", "/services/T0/B0/x").map_err(|(status, _)| (status, "no_service".to_owned()))?;
    let body = body(seen)?;
    let blocks = |body: &Value| -> Result<(), Fault> {
        for block in list(body, "/blocks", 50)? {
            match block["type"].as_str() {
                Some("section") => {
                    one_of(block, "/text/type", &["mrkdwn", "plain_text"])?;
                    text(block, "/text/text", 3_000)?;
                }
                Some("divider") => {}
                _ => return bad("invalid_blocks"),
            }
        }
        Ok(())
    };
    blocks(&body)?;
    for attachment in list(&body, "/attachments", 100)? {
        blocks(attachment)?;
    }
    if may(&body, "/text", 40_000)?.is_empty() && body["blocks"].is_null() && body["attachments"].is_null() {
        return bad("no_text");
    }
    shelf.keep("message", "", body);
    Ok(Reply::text(200, "ok"))
}

fn discord(seen: &Seen, shelf: &mut Shelf) -> Judged {
    at(seen, "POST", "/webhooks/1/x")?;
    let body = body(seen)?;
    let units = |value: &Value| value.as_str().unwrap_or_default().encode_utf16().count();
    may(&body, "/content", 2_000)?;
    let embeds = list(&body, "/embeds", 10)?;
    if units(&body["content"]) == 0 && embeds.is_empty() {
        return bad("Cannot send an empty message");
    }
    let mut sum = 0;
    for embed in embeds {
        may(embed, "/title", 256)?;
        may(embed, "/description", 4_096)?;
        sum += units(&embed["title"]) + units(&embed["description"]);
        for field in list(embed, "/fields", 25)? {
            text(field, "/name", 256)?;
            text(field, "/value", 1_024)?;
            sum += units(&field["name"]) + units(&field["value"]);
        }
        if embed["color"].as_u64().is_some_and(|color| color > 0xff_ff_ff) {
            return bad("no such color");
        }
    }
    if sum > 6_000 {
        return bad("Embed size exceeds maximum size of 6000");
    }
    if body["allowed_mentions"] != json!({"parse": []}) {
        return bad("the message may mention people");
    }
    let (number, _) = shelf.keep("message", "", body);
    match seen.query("wait") {
        "true" => Ok(Reply::json(200, json!({"id": number.to_string()}))),
        _ => Ok(Reply::text(204, "")),
    }
}

fn teams(seen: &Seen, shelf: &mut Shelf) -> Judged {
    at(seen, "POST", "/workflows/1/triggers/manual/paths/invoke")?;
    if seen.query("sig") != "x" {
        return Err((401, "the signature is wrong".into()));
    }
    if seen.body.len() > 28 * 1024 {
        return Err((413, "the message is too large".into()));
    }
    let body = body(seen)?;
    one_of(&body, "/type", &["message"])?;
    let attachments = list(&body, "/attachments", 1)?;
    let Some(attachment) = attachments.first() else { return bad("there is no attachment") };
    one_of(attachment, "/contentType", &["application/vnd.microsoft.card.adaptive"])?;
    one_of(attachment, "/content/type", &["AdaptiveCard"])?;
    one_of(attachment, "/content/version", &["1.0", "1.1", "1.2", "1.3", "1.4", "1.5"])?;
    list(attachment, "/content/body", 500)?.iter().try_for_each(teams_element)?;
    for action in list(attachment, "/content/actions", 6)? {
        one_of(action, "/type", &["Action.OpenUrl"])?;
        if !text(action, "/url", 2_000)?.starts_with("http") {
            return bad("a button leads nowhere");
        }
    }
    shelf.keep("message", "", body);
    Ok(Reply::text(202, ""))
}

fn teams_element(element: &Value) -> Result<(), Fault> {
    match element["type"].as_str() {
        Some("Container") => list(element, "/items", 100)?.iter().try_for_each(teams_element),
        Some("RichTextBlock") => list(element, "/inlines", 100)?.iter().try_for_each(|run| {
            one_of(run, "/type", &["TextRun"])?;
            text(run, "/text", 28_000).map(drop)
        }),
        Some("TextBlock") => text(element, "/text", 28_000).map(drop),
        other => bad(format!("no such element: {other:?}")),
    }
}

fn pagerduty(seen: &Seen, shelf: &mut Shelf) -> Judged {
    at(seen, "POST", "/v2/enqueue")?;
    if seen.body.len() > 512 * 1024 {
        return Err((413, "the event is too large".into()));
    }
    let body = body(seen)?;
    if text(&body, "/routing_key", 32)? != ROUTING_KEY {
        return bad("invalid routing key");
    }
    one_of(&body, "/event_action", &["trigger"])?;
    text(&body, "/payload/summary", 1_024)?;
    text(&body, "/payload/source", 1_000)?;
    one_of(&body, "/payload/severity", &["critical", "error", "warning", "info"])?;
    if !is_time(may(&body, "/payload/timestamp", 50)?) && !body["payload"]["timestamp"].is_null() {
        return bad("the timestamp is none");
    }
    for link in list(&body, "/links", 100)? {
        text(link, "/href", 2_048)?;
    }
    for image in list(&body, "/images", 100)? {
        if !text(image, "/src", 2_048)?.starts_with("https://") {
            return bad("images come by https");
        }
    }
    let key = may(&body, "/dedup_key", 255)?.to_owned();
    shelf.keep("event", &key, body);
    Ok(Reply::json(202, json!({"status": "success", "message": "Event processed", "dedup_key": key})))
}

fn opsgenie(seen: &Seen, shelf: &mut Shelf) -> Judged {
    at(seen, "POST", "/v2/alerts")?;
    credential(seen, "authorization", &format!("GenieKey {TOKEN}"))?;
    let body = body(seen)?;
    let check = || {
        text(&body, "/message", 130)?;
        may(&body, "/description", 15_000)?;
        may(&body, "/entity", 512)?;
        may(&body, "/source", 100)?;
        one_of(&body, "/priority", &["P1", "P2", "P3", "P4", "P5"])?;
        for (index, _) in list(&body, "/tags", 20)?.iter().enumerate() {
            text(&body, &format!("/tags/{index}"), 50)?;
        }
        for responder in list(&body, "/responders", 50)? {
            one_of(responder, "/type", &["team", "user", "escalation", "schedule"])?;
        }
        let details = body["details"].as_object().into_iter().flatten();
        let lengths = details.map(|(name, value)| Some(name.chars().count() + value.as_str()?.chars().count()));
        match lengths.sum::<Option<usize>>() {
            Some(sum) if sum <= 8_000 => Ok(()),
            _ => bad("the details are too long, or no texts"),
        }
    };
    check().map_err(|(_, fault)| (422, fault))?;
    let alias = may(&body, "/alias", 512)?.to_owned();
    shelf.keep("alert", &alias, body);
    Ok(Reply::json(202, json!({"result": "Request will be processed", "took": 0.1, "requestId": "r-1"})))
}

fn victorops(seen: &Seen, shelf: &mut Shelf) -> Judged {
    at(seen, "POST", "/integrations/generic/20131114/alert/k/database")?;
    let body = body(seen)?;
    one_of(&body, "/message_type", &["CRITICAL", "WARNING", "INFO", "ACKNOWLEDGEMENT", "RECOVERY"])?;
    if body.get("state_start_time").is_some_and(|time| time.as_u64().is_none()) {
        return bad("state_start_time is no number");
    }
    let id = text(&body, "/entity_id", 512)?.to_owned();
    shelf.keep("incident", &id, body);
    Ok(Reply::json(200, json!({"result": "success", "entity_id": id})))
}

fn jira(seen: &Seen, shelf: &mut Shelf) -> Judged {
    credential(seen, "authorization", &basic("bot@example.com", TOKEN))?;
    let (path, is_cloud) = match (seen.path.strip_prefix("/rest/api/3/"), seen.path.strip_prefix("/rest/api/2/")) {
        (Some(path), _) => (path, true),
        (_, Some(path)) => (path, false),
        _ => return Err((404, format!("there is nothing at {}", seen.path))),
    };
    let description = |value: &Value| -> Result<(), Fault> {
        match (is_cloud, value) {
            (false, Value::String(text)) if text.chars().count() <= 32_767 => Ok(()),
            (true, Value::Object(_)) if value.to_string().chars().count() <= 32_767 => {
                one_of(value, "/type", &["doc"])?;
                if value["version"] != 1 { bad("the document has no version") } else { jira_nodes(value) }
            }
            _ => bad("the text is none, or too long"),
        }
    };
    let number = |key: &str| key.strip_prefix("SEC-").and_then(|number| number.parse::<usize>().ok());
    match (seen.method.as_str(), path.split('/').collect::<Vec<_>>().as_slice()) {
        ("POST", ["issue"]) => {
            let body = body(seen)?;
            let fields = &body["fields"];
            one_of(fields, "/project/key", &["SEC"])?;
            one_of(fields, "/issuetype/name", &["Task"])?;
            if text(fields, "/summary", 255)?.contains(['\n', '\r']) {
                return bad("the summary must not contain newline characters");
            }
            description(&fields["description"])?;
            for (index, _) in list(fields, "/labels", 100)?.iter().enumerate() {
                if text(fields, &format!("/labels/{index}"), 255)?.contains(' ') {
                    return bad("a label holds a blank");
                }
            }
            let (number, _) = shelf.keep("issue", "", fields.clone());
            Ok(Reply::json(201, json!({"id": "1", "key": format!("SEC-{number}"), "self": "x"})))
        }
        ("POST", ["issue", key, "comment"]) if number(key).is_some() => {
            let body = body(seen)?;
            description(&body["body"])?;
            shelf.keep("comment", "", json!({"issue": key, "body": body["body"]}));
            Ok(Reply::json(201, json!({"id": "1"})))
        }
        ("GET", ["issue", key, "comment"]) if number(key).is_some() => {
            let comments = shelf.kept.iter().filter(|kept| kept.kind == "comment" && kept.body["issue"] == *key);
            let comments: Vec<Value> = comments.map(|kept| json!({"body": kept.body["body"]})).collect();
            Ok(Reply::json(200, json!({"comments": comments, "total": comments.len()})))
        }
        ("POST", ["search", "jql"] | ["search"]) if is_cloud == path.ends_with("jql") => {
            let body = body(seen)?;
            let jql = text(&body, "/jql", 5_000)?;
            let label = jql.split("labels = \"").nth(1).and_then(|rest| rest.split('"').next());
            let (Some(label), true) = (label, jql.starts_with("project = \"SEC\" AND ")) else {
                return bad("the JQL is none");
            };
            let issues = shelf.kept.iter().enumerate().filter(|(_, kept)| {
                kept.kind == "issue"
                    && kept.body["labels"].as_array().is_some_and(|labels| labels.contains(&json!(label)))
            });
            let issues: Vec<Value> =
                issues.map(|(index, _)| json!({"key": format!("SEC-{}", index + 1)})).take(1).collect();
            Ok(Reply::json(200, json!({"issues": issues, "isLast": true})))
        }
        _ => Err((404, format!("there is nothing at {}", seen.path))),
    }
}

/// Text nodes hold text, and every node is one that Jira knows.
fn jira_nodes(node: &Value) -> Result<(), Fault> {
    match node["type"].as_str() {
        Some("text") => text(node, "/text", 32_767).map(drop),
        Some("doc" | "paragraph" | "bulletList" | "listItem" | "codeBlock") => {
            list(node, "/content", 10_000)?.iter().try_for_each(jira_nodes)
        }
        other => bad(format!("no such node: {other:?}")),
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn github(seen: &Seen, shelf: &mut Shelf) -> Judged {
    credential(seen, "authorization", &format!("Bearer {TOKEN}"))?;
    if seen.header("user-agent").is_empty() {
        return Err((
            403,
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header".into(),
        ));
    }
    if seen.path != "/repos/northwind/alerts/issues" {
        return Err((404, "Not Found".into()));
    }
    let shown = |number: usize, body: &Value| json!({"number": number, "html_url": format!("https://github.com/northwind/alerts/issues/{number}"), "body": body["body"]});
    if seen.method == "GET" {
        let number = |name: &str| seen.query(name).parse::<usize>().map_err(|_| (422, format!("{name} is no number")));
        let (page, size) = (number("page")?, number("per_page")?);
        let issues = shelf.kept.iter().enumerate().rev().skip((page - 1) * size).take(size);
        let issues: Vec<Value> = issues.map(|(index, kept)| shown(index + 1, &kept.body)).collect();
        return Ok(Reply::json(200, Value::Array(issues)));
    }
    let body = body(seen)?;
    text(&body, "/title", 256).and(may(&body, "/body", 65_536)).map_err(|(_, fault)| (422, fault))?;
    let (number, _) = shelf.keep("issue", "", body.clone());
    Ok(Reply::json(201, shown(number, &body)))
}

fn demisto(seen: &Seen, shelf: &mut Shelf) -> Judged {
    credential(seen, "authorization", TOKEN)?;
    let path = match seen.path.strip_prefix("/xsoar/public/v1") {
        Some(path) => {
            credential(seen, "x-xdr-auth-id", "7")?;
            path
        }
        None => &seen.path,
    };
    let body = body(seen)?;
    match (seen.method.as_str(), path) {
        ("POST", "/incident") => {
            text(&body, "/name", 600)?;
            if !body["severity"].as_f64().is_some_and(|severity| [0.0, 0.5, 1.0, 2.0, 3.0, 4.0].contains(&severity)) {
                return bad("no such severity");
            }
            for label in list(&body, "/labels", 100_000)? {
                if !(label["type"].is_string() && label["value"].is_string()) {
                    return bad("a label is none");
                }
            }
            let (number, _) = shelf.keep("incident", "", body);
            Ok(Reply::json(201, json!({"id": number.to_string()})))
        }
        ("POST", "/incidents/search") => {
            let query = text(&body, "/filter/query", 1_000)?;
            let key = query.strip_prefix("dbotMirrorId:\"").and_then(|rest| rest.strip_suffix('"'));
            let Some(key) = key else { return bad("the query is none") };
            let found = shelf.kept.iter().enumerate().filter(|(_, kept)| kept.body["dbotMirrorId"] == key);
            let found: Vec<Value> =
                found.map(|(index, _)| json!({"id": (index + 1).to_string(), "dbotMirrorId": key})).collect();
            Ok(Reply::json(200, json!({"total": found.len(), "data": found})))
        }
        _ => Err((404, format!("there is nothing at {}", seen.path))),
    }
}

fn phantom(seen: &Seen, shelf: &mut Shelf) -> Judged {
    credential(seen, "ph-auth-token", TOKEN)?;
    let kind = match seen.path.as_str() {
        "/rest/container" => "container",
        "/rest/artifact" => "artifact",
        _ => return Err((404, format!("there is nothing at {}", seen.path))),
    };
    if seen.method == "GET" {
        let key = seen.query("_filter_source_data_identifier").trim_matches('"');
        let found = shelf.kept.iter().enumerate().filter(|(_, kept)| kept.kind == kind && kept.key == key);
        let found: Vec<Value> = found.map(|(index, _)| json!({"id": index + 1})).collect();
        return Ok(Reply::json(200, json!({"count": found.len(), "data": found})));
    }
    let body = body(seen)?;
    text(&body, "/name", 255)?;
    let key = may(&body, "/source_data_identifier", 255)?.to_owned();
    if kind == "container" {
        text(&body, "/label", 100)?;
        one_of(&body, "/severity", &["low", "medium", "high"])?;
        for artifact in list(&body, "/artifacts", 1_000)? {
            text(artifact, "/name", 255)?;
            if !artifact["cef"].is_object() {
                return bad("cef is no object");
            }
        }
        let (number, is_new) = shelf.keep(kind, &key, body);
        return Ok(match is_new {
            true => Reply::json(200, json!({"success": true, "id": number})),
            false => Reply::json(
                400,
                json!({"failed": true, "message": "duplicate source_data_identifier", "existing_container_id": number}),
            ),
        });
    }
    if body["container_id"].as_u64().is_none() {
        return bad("the artifact belongs to no container");
    }
    // Artifacts may be there twice.
    let (number, _) = shelf.keep(kind, "", body);
    shelf.kept[number - 1].key = key;
    Ok(Reply::json(200, json!({"success": true, "id": number})))
}

fn carbonblack(seen: &Seen, shelf: &mut Shelf) -> Judged {
    at(seen, "POST", "/api/v1/banning/blacklist")?;
    credential(seen, "x-auth-token", TOKEN)?;
    let body = body(seen)?;
    let hash = text(&body, "/md5hash", 32)?.to_owned();
    if hash.len() != 32 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return bad("md5hash is no MD5");
    }
    match shelf.keep("hash", &hash, body) {
        (_, true) => Ok(Reply::json(200, json!({"result": "success"}))),
        (_, false) => Ok(Reply::text(409, "the hash exists")),
    }
}

fn komand(seen: &Seen, shelf: &mut Shelf) -> Judged {
    at(seen, "POST", "/connect/v1/workflows/w/events/execute")?;
    credential(seen, "authorization", TOKEN)?;
    let body = body(seen)?;
    if !body["data"].is_object() {
        return bad("data is no object");
    }
    shelf.keep("run", "", body);
    Ok(Reply::text(200, ""))
}

fn webhook(seen: &Seen, shelf: &mut Shelf) -> Judged {
    at(seen, "POST", "/hook")?;
    credential(seen, "authorization", &format!("Bearer {TOKEN}"))?;
    let signature = seen.header("x-streamalert-signature");
    let Some((time, digest)) = signature.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")) else {
        return Err((401, format!("`{signature}` is no signature")));
    };
    let mut signed = format!("{time}.").into_bytes();
    signed.extend_from_slice(&seen.body);
    if hex(&hmac(SIGNING_KEY.as_bytes(), &signed)) != digest {
        return Err((401, "the signature does not hold".into()));
    }
    let key = seen.header("idempotency-key").to_owned();
    if key.is_empty() {
        return bad("there is no idempotency key");
    }
    shelf.keep("call", &key, body(seen)?);
    Ok(Reply::text(204, ""))
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_base64(body: &Value, place: &str) -> Result<(), Fault> {
    let content = text(body, place, 20_000_000)?;
    STANDARD.decode(content).map(drop).map_err(|_| (400, format!("{place} is no base64")))
}

/// A subject, as it becomes a header.
fn subject<'a>(body: &'a Value, place: &str) -> Result<&'a str, Fault> {
    let subject = text(body, place, 998)?;
    if subject.chars().any(char::is_control) { bad("the subject holds a control character") } else { Ok(subject) }
}

fn sendgrid(seen: &Seen, shelf: &mut Shelf) -> Judged {
    at(seen, "POST", "/v3/mail/send")?;
    credential(seen, "authorization", &format!("Bearer {TOKEN}"))?;
    let body = body(seen)?;
    subject(&body, "/subject")?;
    text(&body, "/from/email", 320)?;
    text(&body, "/personalizations/0/to/0/email", 320)?;
    let kinds: Vec<_> = list(&body, "/content", 10)?.iter().map(|part| part["type"].as_str()).collect();
    if kinds.first() != Some(&Some("text/plain")) {
        return bad("text/plain must be the first content");
    }
    for (index, _) in kinds.iter().enumerate() {
        text(&body, &format!("/content/{index}/value"), 10_000_000)?;
    }
    if body["attachments"] == json!([]) {
        return bad("the attachments are empty");
    }
    for file in list(&body, "/attachments", 100)? {
        text(file, "/filename", 255)?;
        is_base64(file, "/content")?;
    }
    shelf.keep("mail", "", body);
    Ok(Reply { headers: vec![("X-Message-Id", "m-1".into())], ..Reply::text(202, "") })
}

fn postmark(seen: &Seen, shelf: &mut Shelf) -> Judged {
    at(seen, "POST", "/email")?;
    credential(seen, "x-postmark-server-token", TOKEN)?;
    credential(seen, "accept", "application/json")?;
    let body = body(seen)?;
    let check = || {
        text(&body, "/From", 320)?;
        text(&body, "/To", 10_000)?;
        subject(&body, "/Subject")?;
        text(&body, "/TextBody", 5 << 20)?;
        may(&body, "/HtmlBody", 5 << 20)?;
        list(&body, "/Attachments", 100)?.iter().try_for_each(|file| {
            text(file, "/Name", 255)?;
            text(file, "/ContentType", 255)?;
            is_base64(file, "/Content")
        })
    };
    check().map_err(|(_, fault)| (422, fault))?;
    shelf.keep("mail", "", body);
    Ok(Reply::json(200, json!({"MessageID": "m-1", "ErrorCode": 0, "Message": "OK"})))
}

fn mailgun(seen: &Seen, shelf: &mut Shelf) -> Judged {
    at(seen, "POST", "/v3/mg.example.com/messages")?;
    credential(seen, "authorization", &basic("api", TOKEN))?;
    let Some(boundary) = seen.header("content-type").strip_prefix("multipart/form-data; boundary=") else {
        return Err((415, "the body is no form".into()));
    };
    let body = String::from_utf8_lossy(&seen.body);
    let mut form = serde_json::Map::new();
    let line = format!("--{boundary}");
    let mut parts = body.split(line.as_str());
    if parts.next() != Some("") || !body.ends_with(&format!("{line}--\r\n")) {
        return bad("the form does not begin or end");
    }
    for part in parts.filter(|part| *part != "--\r\n") {
        let part = part.strip_prefix("\r\n").and_then(|part| part.strip_suffix("\r\n"));
        let Some((head, value)) = part.and_then(|part| part.split_once("\r\n\r\n")) else {
            return bad("a part is none");
        };
        let name = head.split("; name=\"").nth(1).and_then(|rest| rest.split('"').next());
        let Some(name) = name else { return bad("a part has no name") };
        form.insert(name.to_owned(), value.into());
    }
    let form = Value::Object(form);
    for name in ["/from", "/to", "/text"] {
        text(&form, name, 10_000_000)?;
    }
    subject(&form, "/subject")?;
    shelf.keep("mail", "", form);
    Ok(Reply::json(200, json!({"id": "<m-1>", "message": "Queued. Thank you."})))
}

fn ses(seen: &Seen, shelf: &mut Shelf) -> Judged {
    at(seen, "POST", "/v2/email/outbound-emails")?;
    signature_v4(seen, "/ses/v2/email/outbound-emails").map_err(|fault| (403, fault))?;
    let body = body(seen)?;
    text(&body, "/FromEmailAddress", 320)?;
    let to = list(&body, "/Destination/ToAddresses", 50)?;
    if to.is_empty() {
        return bad("nobody gets it");
    }
    subject(&body, "/Content/Simple/Subject/Data")?;
    text(&body, "/Content/Simple/Body/Text/Data", 10_000_000)?;
    for file in list(&body, "/Content/Simple/Attachments", 100)? {
        text(file, "/FileName", 255)?;
        is_base64(file, "/RawContent")?;
    }
    shelf.keep("mail", "", body);
    Ok(Reply::json(200, json!({"MessageId": "m-1"})))
}

/// As AWS checks it: over what arrived, with the path as it stood in the request.
fn signature_v4(seen: &Seen, path: &str) -> Result<(), String> {
    let authorization = seen.header("authorization").strip_prefix("AWS4-HMAC-SHA256 ").ok_or("no signature")?;
    let part = |name: &str| {
        let found = authorization.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        found.ok_or(format!("no {name}"))
    };
    let scope = part("Credential")?.strip_prefix("AKIDEXAMPLE/").ok_or("no such key")?;
    let names = part("SignedHeaders")?;
    let lines: String = names.split(';').map(|name| format!("{name}:{}\n", seen.header(name))).collect();
    if !["content-type", "host", "x-amz-date"].iter().all(|needed| names.split(';').any(|name| name == *needed)) {
        return Err(format!("too little is signed: {names}"));
    }
    let canonical = format!("{}\n{path}\n\n{lines}\n{names}\n{}", seen.method, hex(&Sha256::digest(&seen.body)));
    let stamp = seen.header("x-amz-date");
    let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let mut key = format!("AWS4{TOKEN}").into_bytes();
    for part in scope.split('/') {
        key = hmac(&key, part.as_bytes());
    }
    match hex(&hmac(&key, text.as_bytes())) == part("Signature")? && scope.starts_with(&stamp[..8]) {
        true => Ok(()),
        false => Err("the signature does not match".into()),
    }
}

fn splunk(seen: &Seen, shelf: &mut Shelf) -> Judged {
    at(seen, "POST", "/services/collector/event")?;
    if seen.header("authorization") != format!("Splunk {TOKEN}") {
        return Ok(Reply::json(403, json!({"text": "Invalid token", "code": 4})));
    }
    let body = body(seen)?;
    if body["event"].as_object().is_none_or(|event| event.is_empty()) {
        return bad("Event field cannot be blank");
    }
    if !body["time"].is_number()
        || body["fields"].as_object().is_some_and(|fields| fields.values().any(Value::is_object))
    {
        return bad("Error in handling indexed fields");
    }
    if seen.body.len() > 1_000_000 {
        return Err((413, "the event is too large".into()));
    }
    shelf.keep("event", "", body);
    Ok(Reply::json(200, json!({"text": "Success", "code": 0})))
}

fn elasticsearch(seen: &Seen, shelf: &mut Shelf) -> Judged {
    let index = seen.path.strip_prefix('/').and_then(|path| path.strip_suffix("/_bulk"));
    let Some(index) = index.map(decode) else { return Err((404, format!("there is nothing at {}", seen.path))) };
    at(seen, "POST", &seen.path)?;
    credential(seen, "authorization", &format!("ApiKey {TOKEN}"))?;
    if seen.header("content-type") != "application/x-ndjson" || !seen.body.ends_with(b"\n") {
        return bad("the bulk request must be terminated by a newline, and be of its type");
    }
    let lines = String::from_utf8_lossy(&seen.body).into_owned();
    let lines: Vec<Value> = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let [action, document] = lines.as_slice() else { return bad("these are not two lines of JSON") };
    let id = text(action, "/create/_id", 512)?.to_owned();
    if !is_time(text(document, "/@timestamp", 50)?) {
        return bad("there is no @timestamp");
    }
    let (_, is_new) = shelf.keep("document", &id, document.clone());
    let mut item = json!({"_index": index, "_id": id, "status": if is_new { 201 } else { 409 }});
    if !is_new {
        item["error"] = json!({"type": "version_conflict_engine_exception", "reason": "document already exists"});
    }
    Ok(Reply::json(200, json!({"took": 1, "errors": !is_new, "items": [{"create": item}]})))
}
