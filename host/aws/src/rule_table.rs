//! What was decided about rules, in DynamoDB: one item for each rule.

use crate::call::failed;
use crate::{Aws, Names};
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use std::collections::{BTreeMap, HashMap};
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

pub struct DynamoRules {
    aws: Arc<Aws>,
    table: String,
}

impl DynamoRules {
    pub fn new(aws: Arc<Aws>, names: &Names) -> Self {
        DynamoRules { aws, table: names.rules_table() }
    }
}

impl RuleTable for DynamoRules {
    fn all(&self) -> Result<BTreeMap<String, RuleState>, BackendError> {
        let action = format!("read the rules table {}", self.table);
        self.aws.wait(async {
            let (mut all, mut from) = (BTreeMap::new(), None);
            loop {
                let scan = self.aws.dynamodb.scan().table_name(&self.table).consistent_read(true);
                let page = scan.set_exclusive_start_key(from).send().await.map_err(|error| failed(&action, error))?;
                for item in page.items.unwrap_or_default() {
                    match state(&item) {
                        Some((rule, state)) => drop(all.insert(rule, state)),
                        // The rule is live then: to be told too much is better than nothing.
                        None => tracing::error!(
                            rule = item.get(RULE).and_then(|rule| rule.as_s().ok()),
                            table = self.table,
                            "a rule's state cannot be read; a newer streamalert may have written it"
                        ),
                    }
                }
                from = page.last_evaluated_key.filter(|key| !key.is_empty());
                if from.is_none() {
                    return Ok(all);
                }
            }
        })
    }

    fn put(&self, rule: &str, state: &RuleState) -> Result<(), BackendError> {
        let number = |number: i64| AttributeValue::N(number.to_string());
        let put = self
            .aws
            .dynamodb
            .put_item()
            .table_name(&self.table)
            .item(RULE, AttributeValue::S(rule.to_owned()))
            .item("staged", AttributeValue::Bool(state.staged))
            .item("digest", AttributeValue::S(state.digest.clone()))
            .item("since", number(state.since));
        let put = match state.disabled {
            true => put.item("disabled", AttributeValue::Bool(true)),
            false => put,
        };
        let put = match state.until {
            Some(until) => put.item("until", number(until)),
            None => put,
        };
        let done = self.aws.wait(put.send());
        done.map_err(|error| failed(&format!("write rule {rule} to the rules table {}", self.table), error))?;
        Ok(())
    }

    fn remove(&self, rule: &str) -> Result<(), BackendError> {
        let delete = self.aws.dynamodb.delete_item().table_name(&self.table);
        let done = self.aws.wait(delete.key(RULE, AttributeValue::S(rule.to_owned())).send());
        done.map_err(|error| failed(&format!("remove rule {rule} from the rules table {}", self.table), error))?;
        Ok(())
    }
}

fn state(item: &HashMap<String, AttributeValue>) -> Option<(String, RuleState)> {
    let number = |value: &AttributeValue| value.as_n().ok()?.parse().ok();
    let state = RuleState {
        staged: *item.get("staged")?.as_bool().ok()?,
        digest: item.get("digest")?.as_s().ok()?.clone(),
        since: number(item.get("since")?)?,
        until: match item.get("until") {
            None => None,
            Some(until) => Some(number(until)?),
        },
        disabled: match item.get("disabled") {
            None => false,
            Some(disabled) => *disabled.as_bool().ok()?,
        },
    };
    Some((item.get(RULE)?.as_s().ok()?.clone(), state))
}
