//! What is known of apps, in DynamoDB: one item for each, written only in the place of the one that was read.

use crate::call::failed;
use crate::{Aws, Names, keyed_table};
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use streamalert_pipeline::apps::AppState;
use streamalert_pipeline::backend::{AppTable, BackendError, BackendErrorKind};

/// Partition key, and the only one.
pub const APP: &str = "app";
const REVISION: &str = "revision";
const STATE: &str = "state";

/// The table, for `CreateTable`.
pub fn definition(table: &str) -> CreateTableInputBuilder {
    keyed_table::definition(table, APP)
}

pub struct DynamoApps {
    aws: Arc<Aws>,
    table: String,
}

impl DynamoApps {
    pub fn new(aws: Arc<Aws>, names: &Names) -> Self {
        DynamoApps { aws, table: names.apps_table() }
    }

    fn read(&self, item: &HashMap<String, AttributeValue>) -> Result<AppState, BackendError> {
        let read = || {
            let revision = item.get(REVISION)?.as_n().ok()?.parse().ok()?;
            let text = item.get(STATE)?.as_s().ok()?;
            Some(AppState { revision, ..serde_json::from_str(text).ok()? })
        };
        // To begin anew would fetch what was fetched, or lose what was not.
        read().ok_or_else(|| BackendError {
            kind: BackendErrorKind::Other,
            action: format!("read the state of an app in {}: a newer streamalert may have written it", self.table),
            source: None,
        })
    }
}

impl AppTable for DynamoApps {
    fn all(&self) -> Result<BTreeMap<String, AppState>, BackendError> {
        let action = format!("read the table of apps {}", self.table);
        self.aws.wait(async {
            let (mut all, mut from) = (BTreeMap::new(), None);
            loop {
                let scan = self.aws.dynamodb.scan().table_name(&self.table).consistent_read(true);
                let page = scan.set_exclusive_start_key(from).send().await.map_err(|error| failed(&action, error))?;
                for item in page.items.unwrap_or_default() {
                    if let Some(app) = item.get(APP).and_then(|app| app.as_s().ok()) {
                        all.insert(app.clone(), self.read(&item)?);
                    }
                }
                from = page.last_evaluated_key.filter(|key| !key.is_empty());
                if from.is_none() {
                    return Ok(all);
                }
            }
        })
    }

    fn get(&self, app: &str) -> Result<Option<AppState>, BackendError> {
        let get = self.aws.dynamodb.get_item().table_name(&self.table).consistent_read(true);
        let got = self.aws.wait(get.key(APP, AttributeValue::S(app.to_owned())).send());
        let got = got.map_err(|error| failed(&format!("read app {app} in the table {}", self.table), error))?;
        got.item.filter(|item| !item.is_empty()).map(|item| self.read(&item)).transpose()
    }

    fn put(&self, app: &str, state: &AppState, expected: Option<u64>) -> Result<u64, BackendError> {
        let action = format!("write app {app} to the table {}", self.table);
        let text = serde_json::to_string(state).map_err(|error| BackendError::other(action.clone(), error))?;
        // One that is new begins at the time: further than any that was there before it has come by counting.
        let time = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let revision = expected.map_or_else(|| u64::try_from(time()).unwrap_or_default(), |revision| revision + 1);
        let number = |number: u64| AttributeValue::N(number.to_string());
        let put = self
            .aws
            .dynamodb
            .put_item()
            .table_name(&self.table)
            .item(APP, AttributeValue::S(app.to_owned()))
            .item(REVISION, number(revision))
            .item(STATE, AttributeValue::S(text.clone()));
        let put = match expected {
            None => put.condition_expression("attribute_not_exists(#app)").expression_attribute_names("#app", APP),
            Some(expected) => put
                .condition_expression("#revision = :expected")
                .expression_attribute_names("#revision", REVISION)
                .expression_attribute_values(":expected", number(expected)),
        };
        match self.aws.wait(put.send()) {
            Ok(_) => Ok(revision),
            Err(error) => {
                let refused =
                    error.as_service_error().is_some_and(|error| error.is_conditional_check_failed_exception());
                if !refused {
                    return Err(failed(&action, error));
                }
                // The client may have tried twice, and only the first answer was lost.
                let there = self.get(app)?;
                let ours = there.is_some_and(|there| {
                    there.revision == revision && AppState { revision: state.revision, ..there } == *state
                });
                match ours {
                    true => Ok(revision),
                    false => Err(BackendError { kind: BackendErrorKind::Conflict, action, source: None }),
                }
            }
        }
    }

    fn remove(&self, app: &str) -> Result<(), BackendError> {
        let delete = self.aws.dynamodb.delete_item().table_name(&self.table);
        let done = self.aws.wait(delete.key(APP, AttributeValue::S(app.to_owned())).send());
        done.map(drop).map_err(|error| failed(&format!("remove app {app} from the table {}", self.table), error))
    }
}
