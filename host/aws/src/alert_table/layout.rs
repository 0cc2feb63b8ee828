//! What the alert table looks like: keys, indexes, expiry.
//!
//! | `id` | `part` | what it is |
//! |---|---|---|
//! | an alert's id | `alert` | the alert |
//! | an alert's id | `to slack:security` | what is owed to that output, or came of it |
//! | `trial …` | digest, beginning and a number | what came of the trial of a rule, in several parts that add up |
//! | `group …` | `head`, and a number for each | groups of alerts that wait for one another |
//! | `outputs`, `days` | a name, a day | outputs that anything was ever owed to, days on which alerts were stored |
//!
//! Both indexes are sparse, and hints only: what they say is looked up in the table before anything is done about it.

use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::types::ScalarAttributeType::{N, S};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType,
};

/// Partition key.
pub const ID: &str = "id";
/// Sort key.
pub const PART: &str = "part";
/// Seconds since 1970 after which DynamoDB may remove an item. Nothing that is owed or waits ever has it.
pub const EXPIRY: &str = "exp";

/// What is owed, dead, dropped or waiting by output and the time it is due, and groups by the time they are to be folded.
pub const DUE_INDEX: &str = "due";
/// `owed slack:security`, `dead slack:security` …, `groups`.
pub const QUEUE: &str = "queue";
/// Milliseconds since 1970.
pub const DUE: &str = "due";

/// Alerts of a day by when they were stored.
pub const NEWEST_INDEX: &str = "newest";
/// `2026-01-31`
pub const DAY: &str = "day";
/// Sorts as things were stored; milliseconds since 1970, then a number.
pub const SEQ: &str = "seq";

/// The table, for `CreateTable`.
pub fn definition(table: &str) -> CreateTableInputBuilder {
    let attributes = [(ID, S), (PART, S), (QUEUE, S), (DUE, N), (DAY, S), (SEQ, S)];
    CreateTableInputBuilder::default()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(attributes.into_iter().map(|(name, kind)| attribute(name, kind)).collect()))
        .set_key_schema(Some(keys(ID, PART)))
        .global_secondary_indexes(index(DUE_INDEX, QUEUE, DUE, &["attempts", "bytes", SEQ]))
        .global_secondary_indexes(index(NEWEST_INDEX, DAY, SEQ, &["rule"]))
}

const GIVEN: &str = "all that must be given is given";

fn attribute(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build();
    attribute.unwrap_or_else(|error| unreachable!("{GIVEN}: {error}"))
}

fn keys(partition: &str, sort: &str) -> Vec<KeySchemaElement> {
    let key = |name: &str, kind| {
        let key = KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
        key.unwrap_or_else(|error| unreachable!("{GIVEN}: {error}"))
    };
    vec![key(partition, KeyType::Hash), key(sort, KeyType::Range)]
}

fn index(name: &str, partition: &str, sort: &str, with: &[&str]) -> GlobalSecondaryIndex {
    let projection = Projection::builder()
        .projection_type(ProjectionType::Include)
        .set_non_key_attributes(Some(with.iter().map(|name| (*name).to_owned()).collect()))
        .build();
    let index = GlobalSecondaryIndex::builder().index_name(name).set_key_schema(Some(keys(partition, sort)));
    index.projection(projection).build().unwrap_or_else(|error| unreachable!("{GIVEN}: {error}"))
}
