//! Tables of DynamoDB whose items have one key, a text, and no other.

use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};

/// For `CreateTable`.
pub fn definition(table: &str, key: &str) -> CreateTableInputBuilder {
    let attribute = AttributeDefinition::builder().attribute_name(key).attribute_type(ScalarAttributeType::S).build();
    let key = KeySchemaElement::builder().attribute_name(key).key_type(KeyType::Hash).build();
    CreateTableInputBuilder::default()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(attribute.ok().map(|attribute| vec![attribute]))
        .set_key_schema(key.ok().map(|key| vec![key]))
}
