//! What was decided about rules, in DynamoDB: one item for each rule.

use crate::call::failed;
use crate::{Aws, Names, keyed_table};
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use streamalert_pipeline::backend::{BackendError, BackendErrorKind, RuleState, RuleTable};

type Item = HashMap<String, AttributeValue>;

/// Partition key, and the only one.
pub const RULE: &str = "rule";

/// The table, for `CreateTable`.
pub fn definition(table: &str) -> CreateTableInputBuilder {
    keyed_table::definition(table, RULE)
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
        let put = self.aws.dynamodb.put_item().table_name(&self.table).set_item(Some(item(rule, state)));
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

    fn replace(&self, rule: &str, before: Option<&RuleState>, after: Option<&RuleState>) -> Result<bool, BackendError> {
        let action = format!("decide about rule {rule} in the rules table {}", self.table);
        let (condition, names, values) = as_it_was(before);
        let refused = |error: BackendError| match error.kind {
            BackendErrorKind::Conflict => Ok(()),
            _ => Err(error),
        };
        let dynamodb = &self.aws.dynamodb;
        match after {
            Some(after) => {
                let put = dynamodb.put_item().table_name(&self.table).set_item(Some(item(rule, after)));
                let put = put.condition_expression(condition).set_expression_attribute_names(Some(names));
                match self.aws.wait(put.set_expression_attribute_values(values).send()) {
                    Ok(_) => return Ok(true),
                    Err(error) => refused(failed(&action, error))?,
                }
            }
            None => {
                let delete =
                    dynamodb.delete_item().table_name(&self.table).key(RULE, AttributeValue::S(rule.to_owned()));
                let delete = delete.condition_expression(condition).set_expression_attribute_names(Some(names));
                match self.aws.wait(delete.set_expression_attribute_values(values).send()) {
                    Ok(_) => return Ok(true),
                    Err(error) => refused(failed(&action, error))?,
                }
            }
        }
        // It may be so because an earlier attempt, whose answer was lost, has done it.
        let get = dynamodb.get_item().table_name(&self.table).key(RULE, AttributeValue::S(rule.to_owned()));
        let got = self.aws.wait(get.consistent_read(true).send()).map_err(|error| failed(&action, error))?;
        Ok(got.item.as_ref().and_then(state).map(|(_, now)| now).as_ref() == after)
    }
}

fn item(rule: &str, state: &RuleState) -> Item {
    let mut item = Item::from([(RULE.to_owned(), AttributeValue::S(rule.to_owned()))]);
    item.extend(attributes(state));
    item
}

fn attributes(state: &RuleState) -> Item {
    let number = |number: i64| AttributeValue::N(number.to_string());
    let mut item = Item::from([
        ("staged".to_owned(), AttributeValue::Bool(state.staged)),
        ("digest".to_owned(), AttributeValue::S(state.digest.clone())),
        ("since".to_owned(), number(state.since)),
    ]);
    if state.disabled {
        item.insert("disabled".to_owned(), AttributeValue::Bool(true));
    }
    if let Some(until) = state.until {
        item.insert("until".to_owned(), number(until));
    }
    if let Some(beside) = &state.beside {
        item.insert("beside".to_owned(), AttributeValue::S(beside.clone()));
    }
    if !state.lived.is_empty() {
        let lived = state.lived.iter().cloned().map(AttributeValue::S).collect();
        item.insert("lived".to_owned(), AttributeValue::L(lived));
    }
    if let Some(gone) = state.gone {
        item.insert("gone".to_owned(), number(gone));
    }
    item
}

/// The condition that nobody has decided anything else, with its names and values.
fn as_it_was(before: Option<&RuleState>) -> (String, HashMap<String, String>, Option<Item>) {
    let Some(before) = before else {
        return ("attribute_not_exists(#rule)".into(), HashMap::from([("#rule".into(), RULE.into())]), None);
    };
    let was = attributes(before);
    let mut names = HashMap::new();
    let mut values = Item::new();
    let mut parts = Vec::new();
    for name in ["staged", "digest", "since", "disabled", "until", "beside", "lived", "gone"] {
        names.insert(format!("#{name}"), name.to_owned());
        match was.get(name) {
            Some(value) => {
                parts.push(format!("#{name} = :{name}"));
                values.insert(format!(":{name}"), value.clone());
            }
            None => parts.push(format!("attribute_not_exists(#{name})")),
        }
    }
    (parts.join(" AND "), names, Some(values))
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
        beside: match item.get("beside") {
            None => None,
            Some(beside) => Some(beside.as_s().ok()?.clone()),
        },
        disabled: match item.get("disabled") {
            None => false,
            Some(disabled) => *disabled.as_bool().ok()?,
        },
        lived: match item.get("lived") {
            None => Vec::new(),
            Some(lived) => lived.as_l().ok()?.iter().map(|one| one.as_s().ok().cloned()).collect::<Option<_>>()?,
        },
        gone: match item.get("gone") {
            None => None,
            Some(gone) => Some(number(gone)?),
        },
    };
    Some((item.get(RULE)?.as_s().ok()?.clone(), state))
}
