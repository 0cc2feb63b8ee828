//! What was decided about rules, in DynamoDB: one item for each rule.

use crate::call::failed;
use crate::{Aws, Names};
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use streamalert_pipeline::backend::{BackendError, RuleState, RuleTable};

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

/// `RuleState` as JSON.
const STATE: &str = "state";

pub struct DynamoRules {
    aws: Arc<Aws>,
    table: String,
}

impl DynamoRules {
    pub fn new(aws: Arc<Aws>, names: &Names) -> Self {
        DynamoRules { aws, table: names.rules_table() }
    }

    async fn read(&self) -> Result<BTreeMap<String, RuleState>, BackendError> {
        const ACTION: &str = "read what was decided about rules";
        let mut states = BTreeMap::new();
        let mut from = None;
        loop {
            let scan = self.aws.dynamodb.scan().table_name(&self.table).consistent_read(true);
            let page = scan.set_exclusive_start_key(from).send().await.map_err(|error| failed(ACTION, error))?;
            for mut item in page.items.unwrap_or_default() {
                let (Some(AttributeValue::S(rule)), Some(AttributeValue::S(state))) =
                    (item.remove(RULE), item.remove(STATE))
                else {
                    continue;
                };
                let state = serde_json::from_str(&state)
                    .map_err(|error| BackendError::other(format!("{ACTION}: that on {rule}"), error))?;
                states.insert(rule, state);
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(states);
            }
        }
    }
}

impl RuleTable for DynamoRules {
    fn all(&self) -> Result<BTreeMap<String, RuleState>, BackendError> {
        self.aws.wait(self.read())
    }

    fn put(&self, rule: &str, state: &RuleState) -> Result<(), BackendError> {
        const ACTION: &str = "keep what was decided about a rule";
        let text = serde_json::to_string(state).map_err(|error| BackendError::other(ACTION, error))?;
        let put = self.aws.dynamodb.put_item().table_name(&self.table);
        let put = put.item(RULE, AttributeValue::S(rule.to_owned())).item(STATE, AttributeValue::S(text));
        self.aws.wait(put.send()).map(drop).map_err(|error| failed(ACTION, error))
    }

    fn remove(&self, rule: &str) -> Result<(), BackendError> {
        let delete = self.aws.dynamodb.delete_item().table_name(&self.table);
        let delete = delete.key(RULE, AttributeValue::S(rule.to_owned()));
        self.aws.wait(delete.send()).map(drop).map_err(|error| failed("forget what was decided about a rule", error))
    }
}
