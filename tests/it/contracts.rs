//! What every backend must do, held against the one of this machine and those of AWS on both stand-ins.

use crate::alert_table;
use crate::standins::{self, Place, Standin};
use std::sync::Arc;
use streamalert_aws::alert_table::DynamoAlerts;

/// Alerts that are many to a stand-in.
const MANY: usize = 90;

fn alerts(standin: &Standin) -> alert_table::Open {
    let place: Arc<Place> = standin.place("contract").into();
    place.alerts_table();
    place.data_bucket();
    Box::new(move || Arc::new(DynamoAlerts::new(place.aws.clone(), &place.names)))
}

#[test]
fn dynamodb_keeps_the_contract_on_ministack() {
    let Some(standin) = standins::ministack() else { return };
    alert_table::contract(MANY, || alerts(standin));
}

#[test]
fn dynamodb_keeps_the_contract_on_moto() {
    let Some(standin) = standins::moto() else { return };
    alert_table::contract(MANY, || alerts(standin));
}
