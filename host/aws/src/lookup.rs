//! Lookup tables on AWS: objects of S3 read whole, tables of DynamoDB asked key by key.

use crate::Aws;
use crate::call::failed;
use crate::objects::{Bucket, Changed};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValue};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamalert_pipeline::backend::{BackendError, BackendErrorKind};
use streamalert_pipeline::config::lookup_tables::KeyedConfig;
use streamalert_pipeline::lookup::{Content, TableContent, TableItems, TableServices};
use tokio::time::{sleep, timeout};

/// Time that reading an object may take.
const OBJECT_PATIENCE: Duration = Duration::from_secs(30);
/// Keys of one BatchGetItem; docs: "BatchGetItem".
const KEYS_AT_ONCE: usize = 100;
/// Bytes of a partition key, and of a sort key; docs: "Quotas in DynamoDB".
const PARTITION_BYTES_MAX: usize = 2048;
const SORT_BYTES_MAX: usize = 1024;
/// Before keys that were left undone are asked for again.
const UNDONE_PAUSE: Duration = Duration::from_millis(20);

/// Tables in this account.
pub struct AwsTables(pub Arc<Aws>);

impl TableServices for AwsTables {
    fn object(&self, bucket: &str, key: &str) -> Box<dyn TableContent> {
        Box::new(S3Table { bucket: Bucket::new(&self.0, bucket), key: key.to_owned() })
    }

    fn items(&self, config: &KeyedConfig) -> Box<dyn TableItems> {
        Box::new(DynamoTable { aws: self.0.clone(), config: config.clone() })
    }
}

struct S3Table {
    bucket: Bucket,
    key: String,
}

fn late(action: String) -> BackendError {
    BackendError { kind: BackendErrorKind::Throttled, action, source: Some("there was no answer in time".into()) }
}

impl TableContent for S3Table {
    fn place(&self) -> String {
        format!("s3://{}/{}", self.bucket.name(), self.key)
    }

    fn read(&self, known: Option<&str>, bytes_max: u64) -> Result<Content, BackendError> {
        let read = async {
            let head = self.bucket.aws.s3.head_object().bucket(self.bucket.name()).key(&self.key).send().await;
            match head {
                Ok(head) if known.is_some() && head.e_tag.as_deref() == known => return Ok(Content::Same),
                Ok(head) if head.content_length.is_some_and(|length| length as u64 > bytes_max) => {
                    let length = head.content_length.unwrap_or_default();
                    let message =
                        format!("it has {length} bytes, and {bytes_max} are the most a table may have (`max_bytes`)");
                    return Err(BackendError::other(format!("read {}", self.place()), message));
                }
                // What is wrong, if anything, says the answer to the next call, which has a body.
                _ => {}
            }
            Ok(match self.bucket.get_unless(&self.key, known).await? {
                Changed::Same => Content::Same,
                Changed::Gone => Content::Gone,
                Changed::Now(object) => Content::Now { version: object.etag, bytes: object.bytes.into() },
            })
        };
        let aws = &self.bucket.aws;
        // Its timer is of the runtime that waits.
        aws.wait(async { timeout(OBJECT_PATIENCE, read).await })
            .unwrap_or_else(|_| Err(late(format!("read {}", self.place()))))
    }

    fn write(&self, known: Option<&str>, bytes: &[u8]) -> Result<(), BackendError> {
        let put = self.bucket.aws.s3.put_object().bucket(self.bucket.name()).key(&self.key);
        let put = match known {
            Some(etag) => put.if_match(etag),
            None => put.if_none_match("*"),
        };
        let body = aws_sdk_s3::primitives::ByteStream::from(bytes.to_vec());
        let done = self.bucket.aws.wait(put.body(body).send());
        done.map(drop).map_err(|error| failed(&format!("write {}", self.place()), error))
    }
}

struct DynamoTable {
    aws: Arc<Aws>,
    config: KeyedConfig,
}

type Item = HashMap<String, AttributeValue>;

impl DynamoTable {
    /// The item's key, if a text can be one. With a sort key it is split at the first delimiter: there may be more in the rest.
    fn key(&self, text: &str) -> Option<(String, Option<String>)> {
        let fits = |part: &str, most: usize| !part.is_empty() && part.len() <= most;
        match &self.config.sort_key {
            None => fits(text, PARTITION_BYTES_MAX).then(|| (text.to_owned(), None)),
            Some(_) => {
                let (partition, sort) = text.split_once(&self.config.key_delimiter)?;
                let fits = fits(partition, PARTITION_BYTES_MAX) && fits(sort, SORT_BYTES_MAX);
                fits.then(|| (partition.to_owned(), Some(sort.to_owned())))
            }
        }
    }

    fn item_key(&self, (partition, sort): &(String, Option<String>)) -> Item {
        let mut key = Item::from([(self.config.partition_key.clone(), AttributeValue::S(partition.clone()))]);
        if let (Some(name), Some(sort)) = (&self.config.sort_key, sort) {
            key.insert(name.clone(), AttributeValue::S(sort.clone()));
        }
        key
    }

    fn key_of(&self, item: &Item) -> Option<(String, Option<String>)> {
        let text = |name: &str| item.get(name)?.as_s().ok().cloned();
        let sort = match &self.config.sort_key {
            None => None,
            Some(name) => Some(text(name)?),
        };
        Some((text(&self.config.partition_key)?, sort))
    }

    fn names(&self) -> HashMap<String, String> {
        let mut names = HashMap::from([
            ("#p".to_owned(), self.config.partition_key.clone()),
            ("#v".to_owned(), self.config.value_key.clone()),
        ]);
        if let Some(sort) = &self.config.sort_key {
            names.insert("#s".to_owned(), sort.clone());
        }
        names
    }

    fn projection(&self) -> &'static str {
        if self.config.sort_key.is_some() { "#p, #s, #v" } else { "#p, #v" }
    }

    async fn get(&self, keys: Vec<Item>) -> Result<Vec<Item>, BackendError> {
        let action = format!("read {} of DynamoDB", self.config.table);
        let dynamodb = &self.aws.dynamodb;
        if let [key] = &keys[..] {
            let get = dynamodb.get_item().table_name(&self.config.table).set_key(Some(key.clone()));
            let get = get.consistent_read(self.config.consistent_read);
            let get = get.projection_expression(self.projection()).set_expression_attribute_names(Some(self.names()));
            let answer = get.send().await.map_err(|error| failed(&action, error))?;
            return Ok(answer.item.into_iter().collect());
        }
        let (mut items, mut undone) = (Vec::new(), keys);
        let mut pause = UNDONE_PAUSE;
        while !undone.is_empty() {
            let now: Vec<Item> = undone.drain(..undone.len().min(KEYS_AT_ONCE)).collect();
            let of_table = KeysAndAttributes::builder()
                .set_keys(Some(now))
                .consistent_read(self.config.consistent_read)
                .projection_expression(self.projection())
                .set_expression_attribute_names(Some(self.names()))
                .build()
                .map_err(|error| BackendError::other(&action, error))?;
            let get = dynamodb.batch_get_item().request_items(&self.config.table, of_table);
            let answer = get.send().await.map_err(|error| failed(&action, error))?;
            items.extend(answer.responses.unwrap_or_default().into_values().flatten());
            let again = answer.unprocessed_keys.unwrap_or_default().into_values().flat_map(|left| left.keys);
            let before = undone.len();
            undone.extend(again);
            if undone.len() > before {
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
        Ok(items)
    }

    fn within<T>(
        &self,
        patience: Duration,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        let late = |_| Err(late(format!("read {} of DynamoDB", self.config.table)));
        self.aws.wait(async { timeout(patience, call).await }).unwrap_or_else(late)
    }
}

impl TableItems for DynamoTable {
    fn place(&self) -> String {
        format!("DynamoDB table {}", self.config.table)
    }

    fn read(&self, keys: &[String], patience: Duration) -> Result<Vec<Option<String>>, BackendError> {
        let places: Vec<_> = keys.iter().map(|key| self.key(key)).collect();
        let wanted: Vec<Item> = places.iter().flatten().map(|key| self.item_key(key)).collect();
        if wanted.is_empty() {
            return Ok(vec![None; keys.len()]);
        }
        let begun = Instant::now();
        let items = self.within(patience, self.get(wanted))?;
        tracing::debug!(
            table = self.config.table,
            keys = keys.len(),
            ms = begun.elapsed().as_millis(),
            "keys were read"
        );
        let mut values = HashMap::new();
        let mut without = 0;
        for item in &items {
            match (self.key_of(item), item.get(&self.config.value_key)) {
                (Some(key), Some(value)) => drop(values.insert(key, json_of(value))),
                _ => without += 1,
            }
        }
        if without > 0 {
            let (table, column) = (&self.config.table, &self.config.value_key);
            tracing::warn!(table, column, without, "items of a lookup table have no value");
        }
        Ok(places.into_iter().map(|key| values.get(&key?).cloned()).collect())
    }

    fn write(&self, key: &str, value: Option<&str>, known: Option<Option<&str>>) -> Result<(), BackendError> {
        let action = format!("write {} of DynamoDB", self.config.table);
        let Some(place) = self.key(key) else {
            let message = match &self.config.sort_key {
                Some(_) => {
                    format!("`{key}` is no partition key and sort key with `{}` between", self.config.key_delimiter)
                }
                None => format!("`{key}` is empty or too long"),
            };
            return Err(BackendError::other(action, message));
        };
        let conflict = || BackendError { kind: BackendErrorKind::Conflict, action: action.clone(), source: None };
        let new = value.map(serde_json::from_str::<Value>).transpose();
        let new = new.map_err(|error| BackendError::other(&action, error))?;
        self.aws.wait(async {
            let key = self.item_key(&place);
            let get = self.aws.dynamodb.get_item().table_name(&self.config.table).set_key(Some(key.clone()));
            let item = get.consistent_read(true).send().await.map_err(|error| failed(&action, error))?.item;
            let before = item.as_ref().and_then(|item| item.get(&self.config.value_key)).cloned();
            // What the caller saw is what is there, and is still there when it is written.
            if known.is_some_and(|known| known != before.as_ref().map(json_of).as_deref()) {
                return Err(conflict());
            }
            let update = self.aws.dynamodb.update_item().table_name(&self.config.table).set_key(Some(key));
            let update =
                update.expression_attribute_names("#v", &self.config.value_key).return_values(ReturnValue::None);
            let update = match before {
                Some(before) => update.condition_expression("#v = :old").expression_attribute_values(":old", before),
                None => update.condition_expression("attribute_not_exists(#v)"),
            };
            let update = match new {
                Some(new) => {
                    update.update_expression("SET #v = :new").expression_attribute_values(":new", attribute_of(&new))
                }
                // The item may hold more than our value.
                None => update.update_expression("REMOVE #v"),
            };
            update.send().await.map(drop).map_err(|error| failed(&action, error))
        })
    }

    fn keys(&self, limit: usize) -> Result<Vec<String>, BackendError> {
        let action = format!("list {} of DynamoDB", self.config.table);
        self.aws.wait(async {
            let (mut keys, mut from) = (Vec::new(), None);
            loop {
                let scan = self.aws.dynamodb.scan().table_name(&self.config.table);
                let scan = scan.projection_expression(if self.config.sort_key.is_some() { "#p, #s" } else { "#p" });
                let scan = scan.filter_expression("attribute_exists(#v)");
                let scan = scan.set_expression_attribute_names(Some(self.names())).set_exclusive_start_key(from);
                let page = scan.send().await.map_err(|error| failed(&action, error))?;
                for item in page.items.unwrap_or_default() {
                    keys.extend(self.key_of(&item).map(|(partition, sort)| match sort {
                        Some(sort) => format!("{partition}{}{sort}", self.config.key_delimiter),
                        None => partition,
                    }));
                }
                from = page.last_evaluated_key.filter(|key| !key.is_empty());
                if from.is_none() || keys.len() >= limit {
                    keys.sort();
                    keys.truncate(limit);
                    return Ok(keys);
                }
            }
        })
    }
}

/// As JSON text; numbers as DynamoDB has them, to the last digit.
pub fn json_of(value: &AttributeValue) -> String {
    let list = |items: Vec<String>| format!("[{}]", items.join(","));
    let text = |text: &str| Value::from(text).to_string();
    match value {
        AttributeValue::S(value) => text(value),
        AttributeValue::N(number) => number.clone(),
        AttributeValue::Bool(value) => value.to_string(),
        AttributeValue::B(bytes) => text(&BASE64_STANDARD.encode(bytes)),
        AttributeValue::L(items) => list(items.iter().map(json_of).collect()),
        AttributeValue::Ss(items) => list(sorted(items).iter().map(|item| text(item)).collect()),
        AttributeValue::Ns(items) => list(sorted(items)),
        AttributeValue::Bs(items) => list(items.iter().map(|bytes| text(&BASE64_STANDARD.encode(bytes))).collect()),
        AttributeValue::M(entries) => {
            // Their order is nobody's; ours is always the same.
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("{}:{}", text(key), json_of(value))).collect();
            format!("{{{}}}", entries.join(","))
        }
        _ => "null".to_owned(),
    }
}

fn sorted(items: &[String]) -> Vec<String> {
    let mut items = items.to_vec();
    items.sort();
    items
}

pub fn attribute_of(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(value) => AttributeValue::Bool(*value),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(items) => AttributeValue::L(items.iter().map(attribute_of).collect()),
        Value::Object(entries) => {
            AttributeValue::M(entries.iter().map(|(key, value)| (key.clone(), attribute_of(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_become_json_and_back() {
        let value = json!({"b": [1, "x", null, true, {"y": 1.5}], "a": {}});
        let attribute = attribute_of(&value);
        assert_eq!(json_of(&attribute), r#"{"a":{},"b":[1,"x",null,true,{"y":1.5}]}"#);
        let exact = AttributeValue::N("12345678901234567890123456789012345678".into());
        assert_eq!(json_of(&exact), "12345678901234567890123456789012345678");
        assert_eq!(json_of(&AttributeValue::Ss(vec!["b".into(), "a".into()])), r#"["a","b"]"#);
    }
}
