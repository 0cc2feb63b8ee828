//! What was decided about rules, in DynamoDB: one item for each rule.

use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};

/// Partition key, and the only one.
pub const RULE: &str = "rule";

/// The table, for `CreateTable`.
pub fn definition(table: &str) -> CreateTableInputBuilder {
    let attribute = AttributeDefinition::builder().attribute_name(RULE).attribute_type(ScalarAttributeType::S).build();
    let key = KeySchemaElement::builder().attribute_name(RULE).key_type(KeyType::Hash).build();
    CreateTableInputBuilder::default()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(attribute.ok().map(|attribute| vec![attribute]))
        .set_key_schema(key.ok().map(|key| vec![key]))
}
