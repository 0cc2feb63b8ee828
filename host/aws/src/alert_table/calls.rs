//! DynamoDB as the table calls it: what may be repeated is repeated here.

use super::layout::{DUE_INDEX, ID, PART};
use crate::Aws;
use crate::call::{at_once, failed};
use crate::limits::{
    CALLS_AT_ONCE, CONFLICT_PAUSE_FIRST, CONFLICT_PAUSE_LONGEST, CONFLICTS_MAX, DYNAMODB_GET_BATCH_MAX,
    DYNAMODB_WRITE_BATCH_MAX,
};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, KeysAndAttributes, Put, PutRequest, ReturnValue, ReturnValuesOnConditionCheckFailure,
    Select, TransactWriteItem, WriteRequest,
};
use aws_smithy_types::error::operation::BuildError;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use streamalert_pipeline::backend::{BackendError, BackendErrorKind};

pub type Item = HashMap<String, AttributeValue>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub id: String,
    pub part: String,
}

impl Key {
    pub fn new(id: impl Into<String>, part: impl Into<String>) -> Self {
        Key { id: id.into(), part: part.into() }
    }

    pub fn of(item: &Item) -> Option<Key> {
        Some(Key::new(text(item, ID)?, text(item, PART)?))
    }

    fn attributes(&self) -> Item {
        HashMap::from([(ID.to_owned(), s(&self.id)), (PART.to_owned(), s(&self.part))])
    }
}

pub fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub fn n(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

pub fn number(item: &Item, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// A number that counts something; 0 if there is none.
pub fn count(item: &Item, name: &str) -> u32 {
    number(item, name).and_then(|count| u32::try_from(count).ok()).unwrap_or_default()
}

/// A text that nobody else has.
pub fn token() -> String {
    let random = || RandomState::new().hash_one(0);
    format!("{:016x}{:016x}", random(), random())
}

/// Waits until whoever was in the way is through: longer each time, and by chance.
pub async fn pause(time: u32) {
    let longest = CONFLICT_PAUSE_FIRST.saturating_mul(1 << time.min(16)).min(CONFLICT_PAUSE_LONGEST);
    let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX).max(2);
    let chance = RandomState::new().hash_one(0) % (micros / 2);
    tokio::time::sleep(Duration::from_micros(micros / 2 + chance)).await;
}

/// What is done to one item, if the condition holds. `#name` is the attribute `name`, so that no word is reserved.
#[derive(Clone, Debug)]
pub struct Change {
    pub key: Key,
    pub update: String,
    pub condition: String,
    pub values: Vec<(&'static str, AttributeValue)>,
}

/// `#name` in expressions.
fn names(expressions: &[&str]) -> Option<HashMap<String, String>> {
    let word = |text: &str| -> String { text.chars().take_while(|c| c.is_ascii_alphanumeric()).collect() };
    let found = expressions.iter().flat_map(|expression| expression.split('#').skip(1)).map(word);
    let names: HashMap<String, String> = found.map(|name| (format!("#{name}"), name)).collect();
    (!names.is_empty()).then_some(names)
}

fn values(values: Vec<(&'static str, AttributeValue)>) -> Option<Item> {
    (!values.is_empty()).then(|| values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// One write of a transaction.
#[derive(Clone, Debug)]
pub enum Write {
    /// In the place of what was there.
    Put {
        item: Item,
        condition: &'static str,
        values: Vec<(&'static str, AttributeValue)>,
    },
    Change(Change),
    Delete {
        key: Key,
        condition: &'static str,
        values: Vec<(&'static str, AttributeValue)>,
    },
}

/// Of a put: nothing was there.
pub const NEW: &str = "attribute_not_exists(#id)";

impl Write {
    /// What is new, or written over whatever it was.
    pub fn put(item: Item, condition: &'static str) -> Self {
        Write::Put { item, condition, values: Vec::new() }
    }

    pub fn delete(key: Key) -> Self {
        Write::Delete { key, condition: "", values: Vec::new() }
    }

    fn build(self, table: &str) -> Result<TransactWriteItem, BuildError> {
        let given = |condition: &str| (!condition.is_empty()).then(|| condition.to_owned());
        let write = TransactWriteItem::builder();
        Ok(match self {
            Write::Put { item, condition, values: all } => write.put(
                Put::builder()
                    .table_name(table)
                    .set_item(Some(item))
                    .set_condition_expression(given(condition))
                    .set_expression_attribute_names(names(&[condition]))
                    .set_expression_attribute_values(values(all))
                    .build()?,
            ),
            Write::Delete { key, condition, values: all } => write.delete(
                Delete::builder()
                    .table_name(table)
                    .set_key(Some(key.attributes()))
                    .set_condition_expression(given(condition))
                    .set_expression_attribute_names(names(&[condition]))
                    .set_expression_attribute_values(values(all))
                    .build()?,
            ),
            Write::Change(change) => write.update(
                UpdateBuilder::default()
                    .table_name(table)
                    .set_key(Some(change.key.attributes()))
                    .set_expression_attribute_names(names(&[&change.update, &change.condition]))
                    .update_expression(change.update)
                    .set_condition_expression(given(&change.condition))
                    .set_expression_attribute_values(values(change.values))
                    .build()?,
            ),
        }
        .build())
    }
}

/// What became of a conditional write.
pub enum Changed {
    /// The item as it was asked for.
    Done(Item),
    /// The condition did not hold: the item as it is, if there is one.
    Refused(Option<Item>),
}

/// What is looked for.
#[derive(Clone, Default)]
pub struct Query {
    pub index: Option<&'static str>,
    pub condition: &'static str,
    /// Of what is found, only this.
    pub filter: &'static str,
    pub values: Vec<(&'static str, AttributeValue)>,
    /// Attributes, all if empty.
    pub only: &'static str,
    pub backwards: bool,
    /// Items of one page, before the filter.
    pub limit: Option<usize>,
    /// Only how many there are.
    pub counted: bool,
}

pub struct Page {
    pub items: Vec<Item>,
    pub count: u64,
    /// Where the next one begins.
    pub next: Option<Item>,
}

#[derive(Clone)]
pub struct Table {
    pub aws: Arc<Aws>,
    pub name: Arc<str>,
}

impl Table {
    /// All of it or nothing. If nothing, because conditions did not hold: which ones.
    pub async fn transact(
        &self,
        action: &str,
        writes: impl IntoIterator<Item = Write>,
    ) -> Result<Option<Vec<bool>>, BackendError> {
        let built: Result<Vec<_>, _> = writes.into_iter().map(|write| write.build(&self.name)).collect();
        let built = built.map_err(|error| BackendError::other(action, error))?;
        let mut time = 0;
        loop {
            let call = self.aws.dynamodb.transact_write_items().set_transact_items(Some(built.clone()));
            let Err(error) = call.send().await else { return Ok(None) };
            let busy = match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    let reasons = cancelled.cancellation_reasons();
                    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code().unwrap_or("None")).collect();
                    let refused: Vec<bool> = codes.iter().map(|code| *code == "ConditionalCheckFailed").collect();
                    if refused.contains(&true) {
                        return Ok(Some(refused));
                    }
                    let passing = ["None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
                    codes.iter().all(|code| passing.contains(code))
                }
                Some(TransactWriteItemsError::TransactionInProgressException(_)) => true,
                _ => false,
            };
            if !busy || time >= CONFLICTS_MAX {
                let mut error = failed(action, error);
                if busy {
                    error.kind = BackendErrorKind::Throttled;
                }
                return Err(error);
            }
            pause(time).await;
            time += 1;
        }
    }

    /// `returned` is the item before or after.
    pub async fn change(&self, action: &str, change: Change, returned: ReturnValue) -> Result<Changed, BackendError> {
        let mut time = 0;
        loop {
            let Change { key, update, condition, values: all } = change.clone();
            let call = self.aws.dynamodb.update_item().table_name(&*self.name).set_key(Some(key.attributes()));
            let call = call
                .set_expression_attribute_names(names(&[&update, &condition]))
                .set_expression_attribute_values(values(all))
                .update_expression(update)
                .set_condition_expression((!condition.is_empty()).then_some(condition))
                .return_values(returned.clone())
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            let error = match call.send().await {
                Ok(done) => return Ok(Changed::Done(done.attributes.unwrap_or_default())),
                Err(error) => error,
            };
            match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    return Ok(Changed::Refused(refused.item().cloned()));
                }
                // A transaction has the item in hand.
                Some(UpdateItemError::TransactionConflictException(_)) if time < CONFLICTS_MAX => pause(time).await,
                _ => return Err(failed(action, error)),
            }
            time += 1;
        }
    }

    /// Unless there is one.
    pub async fn put_new(&self, action: &str, item: Item) -> Result<(), BackendError> {
        let mut time = 0;
        loop {
            let call = self.aws.dynamodb.put_item().table_name(&*self.name).set_item(Some(item.clone()));
            let call = call.condition_expression(NEW).set_expression_attribute_names(names(&[NEW]));
            let Err(error) = call.send().await else { return Ok(()) };
            match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => return Ok(()),
                Some(PutItemError::TransactionConflictException(_)) if time < CONFLICTS_MAX => pause(time).await,
                _ => return Err(failed(action, error)),
            }
            time += 1;
        }
    }

    /// As it is now.
    pub async fn get(&self, action: &str, key: &Key) -> Result<Option<Item>, BackendError> {
        let call = self.aws.dynamodb.get_item().table_name(&*self.name).set_key(Some(key.attributes()));
        let got = call.consistent_read(true).send().await.map_err(|error| failed(action, error))?;
        Ok(got.item)
    }

    /// Those that are there, as they are now; of each `only` these attributes, all if empty.
    pub async fn get_all(
        &self,
        action: &'static str,
        keys: impl IntoIterator<Item = Key>,
        only: &'static str,
    ) -> Result<HashMap<Key, Item>, BackendError> {
        let keys: Vec<Key> = keys.into_iter().collect();
        let chunks: Vec<Vec<Key>> = keys.chunks(DYNAMODB_GET_BATCH_MAX).map(<[Key]>::to_vec).collect();
        let table = self.clone();
        let got = at_once(CALLS_AT_ONCE, chunks, move |keys| {
            let table = table.clone();
            async move { table.get_batch(action, keys, only).await }
        });
        let mut found = HashMap::with_capacity(keys.len());
        for items in got.await {
            found.extend(items?.into_iter().filter_map(|item| Some((Key::of(&item)?, item))));
        }
        Ok(found)
    }

    async fn get_batch(&self, action: &str, keys: Vec<Key>, only: &str) -> Result<Vec<Item>, BackendError> {
        let mut keys: Vec<Item> = keys.iter().map(Key::attributes).collect();
        let mut found = Vec::with_capacity(keys.len());
        let mut time = 0;
        loop {
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .set_expression_attribute_names(names(&[only]))
                .set_projection_expression((!only.is_empty()).then(|| only.to_owned()))
                .build()
                .map_err(|error| BackendError::other(action, error))?;
            let call = self.aws.dynamodb.batch_get_item().request_items(&*self.name, wanted);
            let got = call.send().await.map_err(|error| failed(action, error))?;
            let items: Vec<Item> = got.responses.unwrap_or_default().into_values().flatten().collect();
            // It gives 16 MB at a time, and less when it is busy.
            if items.is_empty() {
                time += 1;
            }
            found.extend(items);
            keys = got.unprocessed_keys.unwrap_or_default().into_values().flat_map(|keys| keys.keys).collect();
            if keys.is_empty() {
                return Ok(found);
            }
            if time > 0 {
                if time > CONFLICTS_MAX {
                    return Err(busy(action));
                }
                pause(time).await;
            }
        }
    }

    /// Writes items over whatever was there.
    pub async fn put_all(&self, action: &str, items: Vec<Item>) -> Result<(), BackendError> {
        let put = |item| {
            let put = PutRequest::builder().set_item(Some(item)).build();
            put.map(|put| WriteRequest::builder().put_request(put).build())
        };
        let requests: Result<Vec<WriteRequest>, _> = items.into_iter().map(put).collect();
        let requests = requests.map_err(|error| BackendError::other(action, error))?;
        for some in requests.chunks(DYNAMODB_WRITE_BATCH_MAX) {
            let (mut left, mut time) = (some.to_vec(), 0);
            while !left.is_empty() {
                if time > 0 {
                    if time > CONFLICTS_MAX {
                        return Err(busy(action));
                    }
                    pause(time).await;
                }
                let call = self.aws.dynamodb.batch_write_item().request_items(&*self.name, left);
                let done = call.send().await.map_err(|error| failed(action, error))?;
                left = done.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
                time += 1;
            }
        }
        Ok(())
    }

    pub async fn page(&self, action: &str, query: &Query, from: Option<Item>) -> Result<Page, BackendError> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let call = self
            .aws
            .dynamodb
            .query()
            .table_name(&*self.name)
            .set_index_name(query.index.map(str::to_owned))
            // An index knows only what was.
            .consistent_read(query.index.is_none())
            .key_condition_expression(query.condition)
            .set_filter_expression(given(query.filter))
            .set_projection_expression(given(query.only))
            .set_expression_attribute_names(names(&[query.condition, query.filter, query.only]))
            .set_expression_attribute_values(values(query.values.clone()))
            .scan_index_forward(!query.backwards)
            .set_limit(query.limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX).max(1)))
            .set_select(query.counted.then_some(Select::Count))
            .set_exclusive_start_key(from);
        let page = call.send().await.map_err(|error| failed(action, error))?;
        Ok(Page {
            count: u64::try_from(page.count).unwrap_or_default(),
            items: page.items.unwrap_or_default(),
            next: page.last_evaluated_key.filter(|key| !key.is_empty()),
        })
    }

    pub async fn all(&self, action: &str, query: &Query) -> Result<Vec<Item>, BackendError> {
        let (mut items, mut from) = (Vec::new(), None);
        loop {
            let page = self.page(action, query, from).await?;
            items.extend(page.items);
            from = page.next;
            if from.is_none() {
                return Ok(items);
            }
        }
    }

    pub async fn counted(&self, action: &str, query: &Query) -> Result<u64, BackendError> {
        let query = Query { counted: true, ..query.clone() };
        let (mut count, mut from) = (0, None);
        loop {
            let page = self.page(action, &query, from).await?;
            count += page.count;
            from = page.next;
            if from.is_none() {
                return Ok(count);
            }
        }
    }
}

/// A queue of [`DUE_INDEX`], the longest due first.
pub fn queue(name: String) -> Query {
    Query {
        index: Some(DUE_INDEX),
        condition: "#queue = :queue",
        values: vec![(":queue", s(name))],
        ..Query::default()
    }
}

fn busy(action: &str) -> BackendError {
    BackendError { kind: BackendErrorKind::Throttled, action: action.to_owned(), source: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_stands_behind_a_hash() {
        let found =
            names(&["SET #state = :s, #due=:d REMOVE #owner", "attribute_exists(#id) AND #state <> :s"]).unwrap();
        let mut found: Vec<&str> = found.values().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, ["due", "id", "owner", "state"]);
        assert_eq!(names(&[""]), None);
    }

    #[test]
    fn no_two_tokens_are_equal() {
        let tokens: std::collections::HashSet<String> = (0..1_000).map(|_| token()).collect();
        assert_eq!(tokens.len(), 1_000);
    }
}
