//! What the backends on AWS do beyond what every backend must: calls are counted, items looked at, indexes lie, processes die.

use crate::alert_table::alert;
use crate::fault_proxy::{self, Fault, FaultProxy};
use crate::standins::{self, Place};
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};
use streamalert_aws::Connection;
use streamalert_aws::alert_table::DynamoAlerts;
use streamalert_pipeline::alert::{Alert, Merge};
use streamalert_pipeline::alert_merger::waiting;
use streamalert_pipeline::backend::{
    AlertDesk, AlertTable, BackendErrorKind, DeliveryFilter, DeliveryState, Fold, FoldInto, Group, NewAlert, Outcome,
    Settled,
};
use streamalert_pipeline::time::Millis;

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn place(standin: &standins::Standin) -> Place {
    let place = standin.place("backends");
    place.alerts_table();
    place.data_bucket();
    place
}

fn table(place: &Place) -> DynamoAlerts {
    DynamoAlerts::new(place.aws.clone(), &place.names)
}

fn add(table: &DynamoAlerts, alerts: &[Alert], now: Millis) -> Vec<bool> {
    let new: Vec<NewAlert<'_>> =
        alerts.iter().map(|alert| NewAlert { alert, waiting: waiting(alert), undeliverable: vec![] }).collect();
    table.add(&new, now).unwrap()
}

fn waits(id: &str) -> Alert {
    Alert { merge: Some(Merge::new(["user"], 1)), ..alert(id, &["a:x", "b:x"]) }
}

fn settle(table: &DynamoAlerts, id: &str, output: &str, outcome: Outcome, now: Millis) {
    table.settle("me", &[Settled { alert_id: id.into(), output: output.into(), outcome }], now).unwrap();
}

/// Calls that `work` makes, by operation.
fn counted(place: &Place, work: impl FnOnce()) -> BTreeMap<String, u64> {
    let before = place.aws.calls.counts();
    work();
    let mut calls = place.aws.calls.counts();
    for (operation, count) in before {
        if let Some(calls) = calls.get_mut(&operation) {
            *calls -= count;
        }
    }
    calls.retain(|_, count| *count > 0);
    calls
}

fn calls(list: &[(&str, u64)]) -> BTreeMap<String, u64> {
    list.iter().map(|(operation, count)| (format!("DynamoDB.{operation}"), *count)).collect()
}

fn item(place: &Place, id: &str, part: &str) -> Option<HashMap<String, AttributeValue>> {
    let get = place.aws.dynamodb.get_item().table_name(place.names.alerts_table()).consistent_read(true);
    place.aws.wait(get.key("id", s(id)).key("part", s(part)).send()).unwrap().item
}

/// Every item of the table.
fn items(place: &Place) -> Vec<HashMap<String, AttributeValue>> {
    let scan = place.aws.dynamodb.scan().table_name(place.names.alerts_table()).consistent_read(true);
    let mut pages = scan.into_paginator().items().send();
    place.aws.wait(async {
        let mut all = Vec::new();
        while let Some(item) = pages.next().await {
            all.push(item.unwrap());
        }
        all
    })
}

fn text<'a>(item: &'a HashMap<String, AttributeValue>, name: &str) -> &'a str {
    item.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}

#[test]
fn a_thousand_alerts_take_as_few_calls_as_the_limits_allow() {
    let Some(standin) = standins::ministack() else { return };
    let place = place(standin);
    let table = table(&place);
    let alerts: Vec<Alert> = (0..1_000).map(|number| alert(&format!("{number:04}"), &["a:x"])).collect();
    // Outputs and days are entered once by each process.
    let first = counted(&place, || assert_eq!(add(&table, &[alert("first", &["a:x"])], 100), [true]));
    assert_eq!(first, calls(&[("BatchWriteItem", 1), ("TransactWriteItems", 1)]));
    let begun = Instant::now();
    let thousand = counted(&place, || assert!(add(&table, &alerts, 100).iter().all(|new| *new)));
    println!("1,000 alerts stored in {} ms", begun.elapsed().as_millis());
    assert_eq!(thousand, calls(&[("TransactWriteItems", 20)]), "2,000 items, 100 to a transaction");
    // The same again, as after a lost answer: each transaction is refused, and it is looked up whose they are.
    let again = counted(&place, || assert!(add(&table, &alerts, 100).iter().all(|new| !new)));
    assert_eq!(again, calls(&[("BatchGetItem", 20), ("TransactWriteItems", 20)]));
    // Half of them are new.
    let more: Vec<Alert> = (500..1_500).map(|number| alert(&format!("{number:04}"), &["a:x"])).collect();
    let new = add(&table, &more, 200).into_iter().filter(|new| *new).count();
    assert_eq!(new, 500);
    let leases = counted(&place, || assert_eq!(table.lease("a:x", "me", 300, 400, 16).unwrap().len(), 16));
    assert_eq!(leases, calls(&[("BatchGetItem", 1), ("Query", 1), ("UpdateItem", 16)]));
    let settled: Vec<Settled> = (0..15)
        .map(|number| Settled {
            alert_id: format!("{number:04}"),
            output: "a:x".into(),
            outcome: Outcome::Delivered { receipt: None },
        })
        .collect();
    // One for the delivery, one so that the alert may expire.
    let settles = counted(&place, || table.settle("me", &settled, 310).unwrap());
    assert_eq!(settles, calls(&[("UpdateItem", 30)]));
    // Fifty that wait for one another.
    let group: Vec<Alert> =
        (0..40).map(|number| Alert { outputs: vec!["a:x".into()], ..waits(&format!("group {number:02}")) }).collect();
    let joined = counted(&place, || assert!(add(&table, &group, 100).iter().all(|new| *new)));
    assert_eq!(joined, calls(&[("Query", 1), ("TransactWriteItems", 1)]));
    let folded = counted(&place, || {
        let group = table.groups(60_100, 10).unwrap().remove(0);
        let members: Vec<String> = table.members(&group).unwrap().into_iter().map(|member| member.id).collect();
        assert_eq!(members.len(), 40);
        let into = FoldInto::Merged(Box::new(alert("merged", &["a:x"])));
        table.fold(&[Fold { group, members, into, undeliverable: vec![] }], 60_100).unwrap();
    });
    assert_eq!(folded, calls(&[("BatchGetItem", 3), ("GetItem", 3), ("Query", 1), ("TransactWriteItems", 2)]));
}

#[test]
fn nothing_that_is_owed_or_waits_may_expire_and_all_else_does() {
    let Some(standin) = standins::ministack() else { return };
    let place = place(standin);
    let table = table(&place);
    let expiries = |id: &str| -> BTreeMap<String, bool> {
        let of = items(&place).into_iter().filter(|item| text(item, "id") == id);
        of.map(|item| (text(&item, "part").to_owned(), item.contains_key("exp"))).collect()
    };
    let parts = |list: &[(&str, bool)]| list.iter().map(|(part, exp)| ((*part).to_owned(), *exp)).collect();
    let staged = Alert { staged: true, ..alert("staged", &["a:x"]) };
    add(&table, &[alert("1", &["a:x", "b:x"]), alert("2", &["a:x"]), staged, alert("nobody", &[])], 100);
    assert_eq!(expiries("1"), parts(&[("alert", false), ("to a:x", false), ("to b:x", false)]));
    assert_eq!(expiries("staged"), parts(&[("alert", true)]));
    assert_eq!(expiries("nobody"), parts(&[("alert", true)]));
    for output in ["a:x", "b:x"] {
        table.lease(output, "me", 100, 200, 10).unwrap();
    }
    settle(&table, "1", "a:x", Outcome::Delivered { receipt: None }, 110);
    assert_eq!(expiries("1"), parts(&[("alert", false), ("to a:x", true), ("to b:x", false)]));
    settle(&table, "1", "b:x", Outcome::Dead { error: "404".into() }, 110);
    assert_eq!(expiries("1"), parts(&[("alert", true), ("to a:x", true), ("to b:x", true)]));
    let exp = item(&place, "1", "alert").unwrap()["exp"].as_n().unwrap().clone();
    assert_eq!(exp, (90 * 24 * 3_600).to_string(), "seconds, 90 days on");
    settle(&table, "2", "a:x", Outcome::Dead { error: "404".into() }, 110);
    assert_eq!(expiries("2"), parts(&[("alert", true), ("to a:x", true)]));
    // Somebody sends it again.
    for id in ["1", "2"] {
        let filter = DeliveryFilter { alert_id: Some(id.into()), ..DeliveryFilter::default() };
        assert_eq!(table.retry(&filter, 120).unwrap(), 1);
    }
    assert_eq!(expiries("1"), parts(&[("alert", false), ("to a:x", true), ("to b:x", false)]));
    assert_eq!(expiries("2"), parts(&[("alert", false), ("to a:x", false)]));
    table.lease("b:x", "me", 120, 200, 10).unwrap();
    settle(&table, "1", "b:x", Outcome::Delivered { receipt: None }, 130);
    assert_eq!(expiries("1"), parts(&[("alert", true), ("to a:x", true), ("to b:x", true)]));
    let filter = DeliveryFilter { alert_id: Some("2".into()), ..DeliveryFilter::default() };
    table.drop_deliveries(&filter, 140).unwrap();
    assert_eq!(expiries("2"), parts(&[("alert", true), ("to a:x", true)]));

    add(&table, &[waits("3"), waits("4")], 100);
    assert_eq!(expiries("3"), parts(&[("alert", false), ("to a:x", false), ("to b:x", false)]));
    let group = table.groups(60_100, 10).unwrap().remove(0);
    let into = FoldInto::Merged(Box::new(alert("merged", &["a:x"])));
    let fold = Fold { group, members: vec!["3".into(), "4".into()], into, undeliverable: vec![] };
    table.fold(&[fold], 60_100).unwrap();
    assert_eq!(expiries("3"), parts(&[("alert", true)]));
    assert_eq!(table.merged_into("3").unwrap().as_deref(), Some("merged"));
    assert_eq!(expiries("merged"), parts(&[("alert", false), ("to a:x", false)]));
    // What has expired and is not removed yet is there: nothing depends on when that happens.
    assert_eq!(add(&table, &[alert("1", &["a:x"])], 1 << 50), [false]);
}

#[test]
fn an_alert_that_cannot_be_read_is_dead_and_holds_up_no_other() {
    for standin in standins::all() {
        let place = place(standin);
        let table = table(&place);
        let large =
            Alert { record: serde_json::json!({ "text": noise(600 << 10) }).into(), ..alert("large", &["a:x"]) };
        add(&table, &[alert("newer", &["a:x", "b:x"]), alert("gone", &["a:x"]), large, alert("fine", &["a:x"])], 100);
        let put = |id: &str, json: Vec<u8>| {
            let mut item = item(&place, id, "alert").unwrap();
            item.insert("json".into(), AttributeValue::B(json.into()));
            let put = place.aws.dynamodb.put_item().table_name(place.names.alerts_table());
            place.aws.wait(put.set_item(Some(item)).send()).unwrap();
        };
        put("newer", zstd::bulk::compress(b"{\"version\": 2}", 3).unwrap());
        let delete = place.aws.dynamodb.delete_item().table_name(place.names.alerts_table());
        place.aws.wait(delete.key("id", s("gone")).key("part", s("alert")).send()).unwrap();
        let bucket = place.names.data_bucket();
        let list = place.aws.wait(place.aws.s3.list_objects_v2().bucket(&bucket).send()).unwrap();
        let keys: Vec<String> = list.contents().iter().filter_map(|object| object.key.clone()).collect();
        assert!(keys.len() == 1 && keys[0].starts_with("alerts/large/"), "{keys:?}");
        place.aws.wait(place.aws.s3.delete_object().bucket(&bucket).key(&keys[0]).send()).unwrap();

        let leases = table.lease("a:x", "me", 100, 200, 10).unwrap();
        assert_eq!(leases.iter().map(|lease| lease.alert.id.as_str()).collect::<Vec<_>>(), ["fine"]);
        let dead = DeliveryFilter { state: Some(DeliveryState::Dead), ..DeliveryFilter::default() };
        let dead = table.deliveries(&dead, 10).unwrap();
        let told: BTreeMap<&str, &str> =
            dead.iter().map(|one| (one.alert_id.as_str(), one.last_error.as_deref().unwrap())).collect();
        assert_eq!(told.keys().copied().collect::<Vec<_>>(), ["gone", "large", "newer"]);
        assert!(told["newer"].contains("missing field"), "{told:?}");
        assert!(told["gone"].contains("gone from the table"), "{told:?}");
        assert!(told["large"].contains("is not there any more"), "{told:?}");
        assert_eq!(table.due(Some("b:x")).unwrap(), [("b:x".into(), 100)], "the other output finds out for itself");
        let listed: Vec<String> = table.list(None, 10).unwrap().into_iter().map(|alert| alert.id).collect();
        assert_eq!(listed, ["fine"]);
        assert!(table.get("newer").is_err());
        // What is gone cannot be sent again.
        let gone = DeliveryFilter { alert_id: Some("gone".into()), ..DeliveryFilter::default() };
        assert_eq!(table.retry(&gone, 300).unwrap(), 0);
        // A member of a group that cannot be read holds up nobody.
        add(&table, &[waits("w1"), waits("w2")], 100);
        put("w1", b"no zstd".to_vec());
        let group = table.groups(60_100, 10).unwrap().remove(0);
        let members: Vec<String> = table.members(&group).unwrap().into_iter().map(|member| member.id).collect();
        assert_eq!(members, ["w2"]);
        let fold = Fold { group, members, into: FoldInto::Alone, undeliverable: vec![] };
        table.fold(&[fold], 60_100).unwrap();
        assert_eq!(table.next_group().unwrap(), None);
        let filter = DeliveryFilter { alert_id: Some("w1".into()), ..DeliveryFilter::default() };
        assert!(table.deliveries(&filter, 10).unwrap().iter().all(|one| one.state == DeliveryState::Dead));
    }
}

fn noise(bytes: usize) -> String {
    let mut state = 7u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'0' + (state >> 40) as u8 % 64)
    };
    (0..bytes).map(|_| next()).collect()
}

/// An index of AWS is behind its table. Here it says what is not so.
#[test]
fn what_an_index_says_is_a_hint() {
    let Some(standin) = standins::ministack() else { return };
    let place = place(standin);
    let table = table(&place);
    let alerts: Vec<Alert> = (0..60).map(|number| alert(&format!("{number:02}"), &["a:x"])).collect();
    add(&table, &alerts, 100);
    // The attributes that make the index, without what they are about: leased, delivered.
    for number in 0..55 {
        let update = place.aws.dynamodb.update_item().table_name(place.names.alerts_table());
        let update = update.key("id", s(&format!("{number:02}"))).key("part", s("to a:x"));
        let update = update.update_expression("SET #s = :s").expression_attribute_names("#s", "state");
        place.aws.wait(update.expression_attribute_values(":s", s("delivered")).send()).unwrap();
    }
    let leases = table.lease("a:x", "me", 100, 200, 3).unwrap();
    assert_eq!(
        leases.iter().map(|lease| lease.alert.id.as_str()).collect::<Vec<_>>(),
        ["55", "56", "57"],
        "it goes on until there are enough"
    );
    assert_eq!(table.probe("a:x", "me", 100, 200).unwrap().map(|lease| lease.alert.id).as_deref(), Some("59"));
    assert_eq!(table.probe("a:x", "me", 100, 200).unwrap().map(|lease| lease.alert.id).as_deref(), Some("58"));
    assert_eq!(table.probe("a:x", "me", 100, 200).unwrap().map(|lease| lease.alert.id), None);
    let owed = DeliveryFilter { state: Some(DeliveryState::Owed), ..DeliveryFilter::default() };
    assert_eq!(table.deliveries(&owed, 100).unwrap().len(), 5);
    assert_eq!(table.retry(&DeliveryFilter::default(), 150).unwrap(), 5);
}

/// What is leased at once is held in memory.
#[test]
fn a_lease_is_bounded_by_bytes_and_goes_on_where_it_ended() {
    let Some(standin) = standins::ministack() else { return };
    let place = place(standin);
    let table = table(&place);
    // They compress well, so they are small in the table.
    let large = |number: usize| Alert {
        record: serde_json::json!({ "text": "x".repeat(6 << 20) }).into(),
        ..alert(&format!("{number:02}"), &["a:x"])
    };
    add(&table, &(0..5).map(large).collect::<Vec<_>>(), 100);
    let lease = || table.lease("a:x", "me", 100, 200, 10).unwrap().len();
    assert_eq!([lease(), lease(), lease(), lease()], [2, 2, 1, 0]);
}

/// The answer is lost, and the effect is there: nothing is done twice, and nothing is said wrongly.
#[test]
fn a_lost_answer_is_no_second_time() {
    // One of them knows a transaction by its token, the other does it again, as AWS does after ten minutes.
    for standin in standins::all() {
        what_is_lost_is_done_once(standin);
    }
}

fn what_is_lost_is_done_once(standin: &standins::Standin) {
    let (proxy, direct, _) = fault_proxy::before(standin, "lost");
    let through = direct.through(&Connection { silence: Duration::from_secs(10), ..proxy.connection() });
    direct.alerts_table();
    direct.data_bucket();
    let table = table(&through);
    let lose = |operation: &str| proxy.next(&format!("DynamoDB.{operation}"), 1, Fault::CutAfter);
    lose("TransactWriteItems");
    assert_eq!(add(&table, &[alert("1", &["a:x"]), alert("2", &["a:x"])], 100), [true, true], "they are new");
    lose("TransactWriteItems");
    assert_eq!(add(&table, &[waits("3"), waits("4")], 100), [true, true]);
    let group = table.groups(60_100, 10).unwrap().remove(0);
    assert_eq!(table.members(&group).unwrap().len(), 2, "each is in it once");
    lose("UpdateItem");
    let leases = table.lease("a:x", "me", 100, 200, 1).unwrap();
    assert_eq!(leases.iter().map(|lease| (lease.alert.id.as_str(), lease.due)).collect::<Vec<_>>(), [("1", 100)]);
    lose("UpdateItem");
    let again = Outcome::Again { due: 150, error: "503".into(), progress: None, faults: 1 };
    settle(&table, "1", "a:x", again, 110);
    let lease = table.lease("a:x", "me", 150, 200, 10).unwrap();
    assert_eq!(lease.iter().map(|lease| lease.attempts).collect::<Vec<_>>(), [0, 1], "one attempt is one");
    lose("UpdateItem");
    settle(&table, "1", "a:x", Outcome::Delivered { receipt: None }, 160);
    assert!(item(&direct, "1", "alert").unwrap().contains_key("exp"));
    let filter = DeliveryFilter { alert_id: Some("1".into()), ..DeliveryFilter::default() };
    assert_eq!(table.deliveries(&filter, 10).unwrap()[0].attempts, 2);
    settle(&table, "2", "a:x", Outcome::Dead { error: "404".into() }, 160);
    lose("TransactWriteItems");
    let filter = DeliveryFilter { alert_id: Some("2".into()), ..DeliveryFilter::default() };
    assert_eq!(table.retry(&filter, 170).unwrap(), 1);
    // Each of the two steps of a fold.
    for (lost, id) in [1, 2].into_iter().zip(["m1", "m2"]) {
        let alerts = [waits(&format!("{id}-a")), waits(&format!("{id}-b"))];
        if lost == 2 {
            add(&table, &alerts, 200_000);
        }
        let group = table.groups(1_000_000, 10).unwrap().remove(0);
        let members: Vec<String> = table.members(&group).unwrap().into_iter().map(|member| member.id).collect();
        (0..lost).for_each(|_| lose("TransactWriteItems"));
        let into = FoldInto::Merged(Box::new(alert(id, &["m:x"])));
        table.fold(&[Fold { group, members: members.clone(), into, undeliverable: vec![] }], 1_000_000).unwrap();
        for member in &members {
            assert_eq!(table.merged_into(member).unwrap().as_deref(), Some(id));
        }
        assert_eq!(table.next_group().unwrap(), None);
    }
    assert_eq!(table.lease("m:x", "me", 1_000_000, 1_000_001, 10).unwrap().len(), 2);
    let waiting = DeliveryFilter { state: Some(DeliveryState::Waiting), ..DeliveryFilter::default() };
    assert_eq!(table.deliveries(&waiting, 10).unwrap(), []);
}

/// A busy service does some of what it is asked to, or asks to come again.
#[test]
fn what_is_left_undone_is_asked_for_again() {
    let Some(standin) = standins::ministack() else { return };
    let (proxy, direct, through) = fault_proxy::before(standin, "partly");
    direct.alerts_table();
    direct.data_bucket();
    let table = table(&through);
    let outputs: Vec<String> = (0..30).map(|number| format!("a:{number}")).collect();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    proxy.next("DynamoDB.BatchWriteItem", 3, Fault::Partly);
    proxy.next("DynamoDB.TransactWriteItems", 3, Fault::Conflict);
    assert_eq!(add(&table, &[alert("1", &outputs)], 100), [true]);
    assert_eq!(table.due(None).unwrap().len(), 30, "every output is known");
    let alerts: Vec<Alert> = (0..40).map(|number| alert(&format!("b{number:02}"), &["b:x"])).collect();
    add(&table, &alerts, 100);
    proxy.next("DynamoDB.BatchGetItem", 3, Fault::Partly);
    proxy.next("DynamoDB.UpdateItem", 10, Fault::Conflict);
    assert_eq!(table.lease("b:x", "me", 100, 200, 100).unwrap().len(), 40);
    add(&table, &[waits("3"), waits("4")], 100);
    let group = table.groups(60_100, 10).unwrap().remove(0);
    proxy.next("DynamoDB.TransactWriteItems", 2, Fault::Conflict);
    let into = FoldInto::Merged(Box::new(alert("merged", &["m:x"])));
    let members = vec!["3".to_owned(), "4".to_owned()];
    table.fold(&[Fold { group, members, into, undeliverable: vec![] }], 60_100).unwrap();
    assert_eq!(table.merged_into("4").unwrap().as_deref(), Some("merged"));
    let failed = proxy.failed();
    let partly: u64 = failed.iter().filter(|((fault, _), _)| *fault == Fault::Partly).map(|(_, count)| count).sum();
    let conflicts: u64 =
        failed.iter().filter(|((fault, _), _)| *fault == Fault::Conflict).map(|(_, count)| count).sum();
    assert_eq!((partly, conflicts), (6, 15));
}

/// Whoever folds a group dies between the two steps, and somebody else finishes.
#[test]
fn a_fold_that_was_begun_is_finished_by_whoever_comes() {
    let Some(standin) = standins::ministack() else { return };
    let (proxy, direct, _) = fault_proxy::before(standin, "begun");
    direct.alerts_table();
    direct.data_bucket();
    let dying = table(&direct.through(&Connection { attempts: 1, ..proxy.connection() }));
    let table = table(&direct);
    add(&table, &[waits("1"), waits("2"), waits("3")], 100);
    let group = table.groups(60_100, 10).unwrap().remove(0);
    let fold = |group: Group, id: &str, members: &[&str]| Fold {
        group,
        members: members.iter().map(|id| (*id).to_owned()).collect(),
        into: FoldInto::Merged(Box::new(alert(id, &["a:x"]))),
        undeliverable: vec![],
    };
    // The answer to the first step is lost, and with it whoever waited for it.
    proxy.next("DynamoDB.TransactWriteItems", 1, Fault::CutAfter);
    assert!(dying.fold(&[fold(group.clone(), "merged", &["1", "2"])], 60_100).is_err());
    assert!(table.get("merged").unwrap().is_some(), "the merged alert is there, and owed");
    assert_eq!(table.lease("a:x", "me", 60_100, 60_200, 10).unwrap().len(), 1);
    assert_eq!(table.merged_into("1").unwrap(), None, "its members do not know yet");
    assert!(table.next_group().unwrap().is_some_and(|due| due <= 60_100), "somebody is called for");
    // Another one has an old look at it.
    table.fold(&[fold(group.clone(), "other", &["1", "2", "3"])], 60_100).unwrap();
    assert_eq!(table.get("other").unwrap(), None);
    let groups = table.groups(60_100, 10).unwrap();
    assert_eq!(groups, std::slice::from_ref(&group));
    for id in ["1", "2"] {
        assert_eq!(table.merged_into(id).unwrap().as_deref(), Some("merged"));
    }
    let members: Vec<String> = table.members(&group).unwrap().into_iter().map(|member| member.id).collect();
    assert_eq!(members, ["3"], "who was not told of is still there");
    let waiting = DeliveryFilter { state: Some(DeliveryState::Waiting), ..DeliveryFilter::default() };
    assert!(table.deliveries(&waiting, 10).unwrap().iter().all(|one| one.alert_id == "3"));
}

#[test]
fn what_cannot_be_done_says_so() {
    let Some(standin) = standins::ministack() else { return };
    // There is no table.
    let place = standin.place("nothing");
    let table = table(&place);
    let new = alert("1", &["a:x"]);
    let error = table.add(&[NewAlert { alert: &new, waiting: None, undeliverable: vec![] }], 1).unwrap_err();
    assert_eq!((error.kind, error.to_string().as_str()), (BackendErrorKind::NotFound, "add alerts to the table"));
    // Nobody is there at all.
    let nobody =
        standin.place("nobody").through(&Connection { attempts: 2, ..standins::connection("http://127.0.0.1:9") });
    let error = self::table(&nobody).due(None).unwrap_err();
    assert!(error.source.is_some_and(|source| source.to_string().contains("onnect")));
    // Everything is too much.
    let proxy = FaultProxy::start(&standin.endpoint);
    let throttled = place.through(&Connection { attempts: 3, ..proxy.connection() });
    proxy.next("*", 100, Fault::Throttled);
    let error = self::table(&throttled).next_group().unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Throttled);
    assert_eq!(proxy.calls()["DynamoDB.Query"], 3, "as often as it was allowed to");
}
