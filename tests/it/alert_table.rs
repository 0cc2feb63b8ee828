//! What every alert table must do, whatever it is made of: the SQLite one is held to it here, that of DynamoDB in
//! [`crate::contracts`].

use std::collections::BTreeSet;
use std::sync::Arc;
use streamalert_local::sqlite::SqliteAlerts;
use streamalert_pipeline::alert::{Alert, Merge, MergeFirst};
use streamalert_pipeline::alert_merger::waiting;
use streamalert_pipeline::backend::{
    AlertDesk, AlertTable, DeliveryFilter, DeliveryState, Fold, FoldInto, Group, Lease, NewAlert, Outcome, Settled,
};
use streamalert_pipeline::limits::ATTEMPTS_WARNED;
use streamalert_pipeline::log_record::{Position, Source};
use streamalert_pipeline::time::Millis;

/// What stages and operators see of one table.
pub trait Table: AlertTable + AlertDesk {}

impl<T: AlertTable + AlertDesk> Table for T {}

/// Opens a table: each time the same, as two processes do.
pub type Open = Box<dyn Fn() -> Arc<dyn Table>>;

/// An alert with these outputs, all else made up.
pub fn alert(id: &str, outputs: &[&str]) -> Alert {
    let value = serde_json::json!({
        "id": id, "rule_name": "rule", "title": "title", "severity": "high", "rule_description": "",
        "created": "2026-01-02T03:04:05.678Z", "event_time": null, "cluster": "c", "log_source": "test:row",
        "log_type": "json", "source": Source::new("file", "a", "b"), "position": Position { offset: 0, length: 1, index: 0 },
        "outputs": outputs, "publishers": null, "merge": null, "dedup_key": null, "tags": [], "references": [],
        "context": {"float": 0.5}, "record": {"user": "bob", "big": 18_446_744_073_709_551_615_u64}, "staged": false,
        "component_digest": "", "host_version": "", "fuel": 1
    });
    serde_json::from_value(value).unwrap()
}

fn add(table: &dyn Table, alerts: &[Alert], now: Millis) -> Vec<bool> {
    let new: Vec<NewAlert<'_>> =
        alerts.iter().map(|alert| NewAlert { alert, waiting: waiting(alert), undeliverable: vec![] }).collect();
    table.add(&new, now).unwrap()
}

fn ids(leases: &[Lease]) -> Vec<&str> {
    leases.iter().map(|lease| lease.alert.id.as_str()).collect()
}

fn settle(table: &dyn Table, owner: &str, id: &str, output: &str, outcome: Outcome, now: Millis) {
    table.settle(owner, &[Settled { alert_id: id.into(), output: output.into(), outcome }], now).unwrap();
}

fn delivered() -> Outcome {
    Outcome::Delivered { receipt: None }
}

fn due(table: &dyn Table) -> Vec<(String, Millis)> {
    let mut due = table.due(None).unwrap();
    due.sort();
    due
}

/// All of it. Each story has the data of its own, which `make` gives a way to open; `many` is how many alerts it takes to be
/// many, as some tables are slow.
pub fn contract(many: usize, make: impl Fn() -> Open) {
    type Story = fn(&dyn Table);
    let stories: &[(&str, Story)] = &[
        ("adding is idempotent", adding_is_idempotent),
        ("alerts of any size and text are kept", alerts_of_any_size_and_text_are_kept),
        ("an alert with many outputs owes all of them", an_alert_with_many_outputs_owes_all_of_them),
        ("what is leased is nobody else's", what_is_leased_is_nobody_else_s_until_the_lease_ends),
        ("outcomes are kept", outcomes_are_kept),
        ("a probe is the newest that was never tried", a_probe_is_the_newest_that_was_never_tried),
        ("groups are folded once", groups_are_folded_once),
        ("who comes meanwhile is not lost", who_comes_while_a_group_is_looked_at_is_not_lost),
        ("a full group is folded at once", a_full_group_is_folded_at_once_and_its_window_goes_on),
        ("the first of a group may go at once", the_first_of_a_group_may_go_at_once),
        ("one that is alone goes as it is", one_that_is_alone_goes_as_it_is),
        ("windows are about the alerts' own times", windows_are_about_the_alerts_own_times),
        ("operators see what is there", operators_see_what_is_there),
        ("operators send again and drop", operators_send_again_and_drop),
        ("the backlog is counted by output", the_backlog_is_counted_by_output),
    ];
    for (name, story) in stories {
        told(name, || story(&*make()()));
    }
    told("a merged alert may be large", || a_merged_alert_may_be_large_and_owed_to_many(many, &*make()()));
    told("leases of many do not overlap", || leases_of_many_do_not_overlap(many, &make()));
    told("three that add the same store it once", || three_that_add_the_same_store_it_once(many, &make()));
    told("those who merge at once lose nobody", || those_who_merge_at_once_lose_nobody(many, &make()));
}

/// Says which story it is, as they are many in one test.
pub fn told(name: &str, story: impl FnOnce()) {
    let begun = std::time::Instant::now();
    story();
    println!("{:>6} ms  {name}", begun.elapsed().as_millis());
}

fn adding_is_idempotent(table: &dyn Table) {
    let first = alert("1", &["a:x", "b:x"]);
    assert_eq!(add(table, std::slice::from_ref(&first), 100), [true]);
    let other = Alert { title: "changed".into(), ..first.clone() };
    assert_eq!(add(table, &[other.clone(), alert("2", &["a:x"]), alert("3", &[])], 200), [false, true, true]);
    assert_eq!(due(table), [("a:x".into(), 100), ("b:x".into(), 100)]);
    assert_eq!(table.due(Some("b:x")).unwrap(), [("b:x".into(), 100)]);
    assert_eq!(table.due(Some("c:x")).unwrap(), []);
    let leases = table.lease("a:x", "me", 300, 400, 10).unwrap();
    assert_eq!(ids(&leases), ["1", "2"], "the longest due first");
    assert_eq!(leases[0].alert, first, "as it was stored first, to the last number");
    for (id, output) in [("1", "a:x"), ("2", "a:x")] {
        settle(table, "me", id, output, delivered(), 300);
    }
    table.lease("b:x", "me", 300, 400, 10).unwrap();
    settle(table, "me", "1", "b:x", delivered(), 300);
    assert_eq!(due(table), [], "nothing is owed any more");
    assert_eq!(add(table, &[first], 500), [false], "what was delivered is not raised again");
    assert_eq!(due(table), []);
}

fn what_is_leased_is_nobody_else_s_until_the_lease_ends(table: &dyn Table) {
    add(table, &[alert("1", &["a:x"]), alert("2", &["a:x"])], 100);
    assert_eq!(ids(&table.lease("a:x", "me", 99, 200, 10).unwrap()), [""; 0], "not due yet");
    assert_eq!(ids(&table.lease("a:x", "me", 100, 200, 1).unwrap()), ["1"]);
    assert_eq!(ids(&table.lease("a:x", "you", 150, 300, 10).unwrap()), ["2"]);
    assert_eq!(ids(&table.lease("a:x", "you", 199, 300, 10).unwrap()), [""; 0]);
    assert_eq!(ids(&table.lease("a:x", "you", 200, 300, 10).unwrap()), ["1"], "its lease is over");
    // Who was too slow has no say any more, but for what is a fact.
    settle(table, "me", "1", "a:x", Outcome::Dead { error: "slow".into() }, 210);
    settle(table, "me", "1", "a:x", Outcome::Again { due: 999, error: "slow".into(), progress: None, faults: 0 }, 210);
    settle(table, "me", "1", "a:x", Outcome::Released { due: 0, reason: Some("late".into()) }, 210);
    assert_eq!(ids(&table.lease("a:x", "you", 250, 300, 10).unwrap()), [""; 0]);
    settle(table, "me", "1", "a:x", delivered(), 260);
    settle(table, "you", "1", "a:x", Outcome::Again { due: 270, error: "cut".into(), progress: None, faults: 0 }, 265);
    assert_eq!(due(table), [("a:x".into(), 300)], "only the other one is owed");
}

fn outcomes_are_kept(table: &dyn Table) {
    add(table, &[alert("1", &["a:x"]), alert("2", &["a:x"]), alert("3", &["a:x"])], 100);
    let leases = table.lease("a:x", "me", 100, 200, 10).unwrap();
    assert!(leases.iter().all(|lease| (lease.attempts, lease.faults, &lease.progress) == (0, 0, &None)));
    let again = Outcome::Again { due: 150, error: "503".into(), progress: Some("part 2".into()), faults: 1 };
    settle(table, "me", "1", "a:x", again, 110);
    settle(table, "me", "2", "a:x", Outcome::Dead { error: "404".into() }, 110);
    settle(table, "me", "3", "a:x", Outcome::Released { due: 120, reason: None }, 110);
    assert_eq!(due(table), [("a:x".into(), 120)]);
    let leases = table.lease("a:x", "you", 150, 200, 10).unwrap();
    assert_eq!(ids(&leases), ["3", "1"]);
    assert_eq!((leases[0].attempts, leases[0].faults), (0, 0), "what was given back was no attempt");
    assert_eq!((leases[0].due, leases[1].due), (120, 150));
    assert_eq!((leases[1].attempts, leases[1].faults, leases[1].progress.as_deref()), (1, 1, Some("part 2")));
    // No such thing is no error.
    settle(table, "you", "nobody", "a:x", delivered(), 160);
    let undeliverable = vec![("b:typo".to_owned(), "no such output".to_owned())];
    let four = alert("4", &["a:y", "b:typo"]);
    table.add(&[NewAlert { alert: &four, waiting: None, undeliverable }], 170).unwrap();
    assert_eq!(table.due(Some("b:typo")).unwrap(), []);
    assert_eq!(table.due(Some("a:y")).unwrap(), [("a:y".into(), 170)]);
}

fn a_probe_is_the_newest_that_was_never_tried(table: &dyn Table) {
    for (id, now) in [("1", 100), ("2", 200), ("3", 300), ("4", 400)] {
        add(table, &[alert(id, &["a:x"])], now);
    }
    table.lease("a:x", "me", 100, 1_000, 1).unwrap();
    settle(table, "me", "1", "a:x", Outcome::Again { due: 290, error: "503".into(), progress: None, faults: 0 }, 110);
    let probe = || table.probe("a:x", "me", 300, 1_000).unwrap().map(|lease| (lease.alert.id, lease.due, lease.until));
    assert_eq!(probe(), Some(("3".into(), 300, 1_000)));
    assert_eq!(probe(), Some(("2".into(), 200, 1_000)), "the other one is leased");
    assert_eq!(probe(), None, "one was tried, and one is not due");
    assert_eq!(ids(&table.lease("a:x", "me", 300, 1_000, 9).unwrap()), ["1"]);
    assert_eq!(due(table), [("a:x".into(), 400)]);
}

fn groups_are_folded_once(table: &dyn Table) {
    let waits = |id: &str, user: &str| Alert {
        merge: Some(Merge::new(["user"], 1)),
        record: serde_json::json!({"user": user, "id": id}).into(),
        ..alert(id, &["a:x"])
    };
    add(table, &[waits("1", "bob"), waits("2", "bob"), waits("3", "ann")], 100);
    assert_eq!(due(table), [], "they wait");
    let end = 100 + 60_000;
    assert_eq!(table.next_group().unwrap(), Some(end));
    assert_eq!(table.groups(end - 1, 10).unwrap(), []);
    let groups = table.groups(end, 10).unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!(table.groups(end, 1).unwrap().len(), 1);
    let members =
        |group: &Group| -> Vec<String> { table.members(group).unwrap().into_iter().map(|member| member.id).collect() };
    let folds: Vec<Fold> = groups
        .iter()
        .map(|group| {
            let members = members(group);
            let into = match members.len() {
                1 => FoldInto::Alone,
                _ => FoldInto::Merged(Box::new(alert("merged", &["a:x", "b:x"]))),
            };
            Fold { group: group.clone(), members, into, undeliverable: vec![] }
        })
        .collect();
    table.fold(&folds, end).unwrap();
    // Somebody else had the same idea.
    table.fold(&folds, end + 1).unwrap();
    assert_eq!(table.groups(end, 10).unwrap(), []);
    assert_eq!(table.next_group().unwrap(), None);
    let leases = table.lease("a:x", "me", end, end + 1, 10).unwrap();
    assert_eq!(ids(&leases).into_iter().collect::<BTreeSet<_>>(), BTreeSet::from(["3", "merged"]));
    assert_eq!(ids(&table.lease("b:x", "me", end, end + 1, 10).unwrap()), ["merged"]);
    for id in ["1", "2"] {
        assert_eq!(add(table, &[waits(id, "bob")], end), [false], "a member is not raised again");
    }
    // A group that nobody is told of.
    let quiet = Alert { merge: Some(Merge { threshold: Some(3), ..Merge::new(["user"], 1) }), ..waits("5", "eve") };
    add(table, &[quiet], end);
    let group = table.groups(end + 60_000, 10).unwrap().remove(0);
    assert!(group.below_threshold);
    let fold = Fold { members: members(&group), group, into: FoldInto::Nobody, undeliverable: vec![] };
    table.fold(&[fold], end + 60_000).unwrap();
    assert_eq!(table.next_group().unwrap(), None);
    assert_eq!(ids(&table.lease("a:x", "you", end, end + 1, 10).unwrap()), [""; 0]);
}

fn who_comes_while_a_group_is_looked_at_is_not_lost(table: &dyn Table) {
    let waits = |id: &str, threshold| Alert {
        merge: Some(Merge { threshold, ..Merge::new(["user"], 1) }),
        record: serde_json::json!({"user": id.split('-').next(), "id": id}).into(),
        ..alert(id, &["a:x"])
    };
    let fold = |group: &Group, members: &[&str], into| Fold {
        group: group.clone(),
        members: members.iter().map(|id| (*id).to_owned()).collect(),
        into,
        undeliverable: vec![],
    };
    let end = 100 + 60_000;
    add(table, &[waits("few-1", Some(3)), waits("few-2", Some(3)), waits("bob-1", None)], 100);
    let groups = table.groups(end, 10).unwrap();
    let (few, bob) = (&groups[0], &groups[1]);
    assert!(few.below_threshold && !bob.below_threshold);
    add(table, &[waits("few-3", Some(3)), waits("bob-2", None)], end - 1);
    table
        .fold(&[fold(few, &["few-1", "few-2"], FoldInto::Nobody), fold(bob, &["bob-1"], FoldInto::Alone)], end)
        .unwrap();
    assert_eq!(ids(&table.lease("a:x", "me", end, end + 1, 10).unwrap()), ["bob-1"]);
    let groups = table.groups(end, 10).unwrap();
    assert!(groups.len() == 2 && groups.iter().all(|group| !group.below_threshold), "{groups:?}");
    let mut members: Vec<Vec<String>> = groups
        .iter()
        .map(|group| table.members(group).unwrap().into_iter().map(|member| member.id).collect())
        .collect();
    members.sort();
    assert_eq!(members, [vec!["bob-2"], vec!["few-1", "few-2", "few-3"]], "with the third, they are enough");
}

/// Text that compression makes no smaller than three quarters.
fn noise(seed: u64, bytes: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::with_capacity(bytes);
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push(char::from(b'0' + (state >> 33) as u8 % 64));
    }
    text
}

fn alerts_of_any_size_and_text_are_kept(table: &dyn Table) {
    let context = |value: serde_json::Value| value.as_object().unwrap().clone();
    let plain = alert("plain", &["a:x"]);
    let all = [
        // T32
        Alert {
            context: context(
                serde_json::json!({"text": "", "list": [], "object": {}, "nothing": null, "": [[], {}, ""]}),
            ),
            tags: vec![String::new()],
            title: String::new(),
            dedup_key: Some(String::new()),
            record: serde_json::json!({}).into(),
            ..alert("empty", &["a:x"])
        },
        Alert {
            title: "\u{0}\u{1b}[2J\u{202e}<!channel> =cmd() \"\\ \u{1f980}\u{ffff}".into(),
            rule_name: "'; DROP TABLE alerts; -- #name :value".into(),
            context: context(
                serde_json::json!({"#state": ":owed", "\u{0}": "\u{2028}", "a.b": 1e300, "deep": {"$ref": -0.0}}),
            ),
            ..alert("hostile", &["a:x"])
        },
        // T26
        Alert { record: serde_json::json!({"text": noise(1, 380 << 10)}).into(), ..alert("near the limit", &["a:x"]) },
        Alert {
            record: serde_json::json!({"text": noise(2, 700 << 10)}).into(),
            ..alert("beyond it", &["a:x", "b:x"])
        },
        Alert { record: serde_json::json!({"text": noise(3, 5 << 20)}).into(), ..alert("far beyond", &["a:x"]) },
        plain.clone(),
    ];
    assert_eq!(add(table, &all, 100), [true; 6]);
    let changed = Alert { title: "changed".into(), ..all[4].clone() };
    assert_eq!(add(table, &[changed], 110), [false]);
    for one in &all {
        assert_eq!(table.get(&one.id).unwrap().as_ref(), Some(one), "{}", one.id);
    }
    let leases = table.lease("a:x", "me", 200, 300, 10).unwrap();
    let ids: Vec<&str> = ids(&leases);
    assert_eq!(ids, ["empty", "hostile", "near the limit", "beyond it", "far beyond", "plain"]);
    for (lease, one) in leases.iter().zip(&all) {
        assert_eq!(lease.alert, *one);
    }
    let listed = table.list(None, 10).unwrap();
    assert_eq!(listed.len(), 6);
    assert_eq!(listed.last(), Some(&all[0]), "the newest first");
    assert_eq!(table.list(Some("'; DROP TABLE alerts; -- #name :value"), 10).unwrap(), [all[1].clone()]);
    let hostile = "\u{0}'; --\u{1f980}";
    let outcome = Outcome::Again { due: 250, error: hostile.into(), progress: Some(String::new()), faults: 0 };
    settle(table, "me", "empty", "a:x", outcome, 210);
    let lease = table.lease("a:x", "me", 250, 300, 1).unwrap().pop().unwrap();
    assert_eq!((lease.alert.id.as_str(), lease.progress.as_deref()), ("empty", Some("")));
    settle(table, "me", "empty", "a:x", Outcome::Delivered { receipt: Some(hostile.into()) }, 260);
    let filter = DeliveryFilter { alert_id: Some("empty".into()), ..DeliveryFilter::default() };
    let delivery = table.deliveries(&filter, 10).unwrap().pop().unwrap();
    assert_eq!((delivery.receipt.as_deref(), delivery.last_error.as_deref()), (Some(hostile), Some(hostile)));
}

fn an_alert_with_many_outputs_owes_all_of_them(table: &dyn Table) {
    // As many as configuration allows, and one whose name is longer than any key may be.
    let mut outputs: Vec<String> = (0..63).map(|number| format!("a:{number:02}")).collect();
    outputs.push(format!("a:{}", "é".repeat(1_000)));
    // Twice is once.
    outputs.push("a:00".into());
    let names: Vec<&str> = outputs.iter().map(String::as_str).collect();
    assert_eq!(add(table, &[alert("1", &names), alert("2", &names)], 100), [true, true]);
    let due = due(table);
    assert_eq!(due.len(), 64);
    for (output, _) in [&due[0], &due[1], &due[62], &due[63]] {
        let output: &str = output;
        assert_eq!(ids(&table.lease(output, "me", 100, 200, 10).unwrap()), ["1", "2"], "{output}");
        settle(table, "me", "1", output, delivered(), 110);
        settle(table, "me", "2", output, Outcome::Released { due: 150, reason: None }, 110);
    }
    let owed = |id: &str| {
        let (alert_id, state) = (Some(id.to_owned()), Some(DeliveryState::Owed));
        let filter = DeliveryFilter { alert_id, state, ..DeliveryFilter::default() };
        table.deliveries(&filter, 100).unwrap().len()
    };
    assert_eq!((owed("1"), owed("2")), (60, 64));
}

fn members(table: &dyn Table, group: &Group) -> Vec<String> {
    table.members(group).unwrap().into_iter().map(|member| member.id).collect()
}

/// An alert that waits for others of this user.
fn waits(id: &str, user: &str, merge: Merge) -> Alert {
    let record = serde_json::json!({"user": user, "id": id}).into();
    Alert { merge: Some(merge), record, ..alert(id, &["a:x"]) }
}

fn fold_into(group: &Group, members: &[&str], into: FoldInto) -> Fold {
    let members = members.iter().map(|id| (*id).to_owned()).collect();
    Fold { group: group.clone(), members, into, undeliverable: vec![] }
}

fn a_full_group_is_folded_at_once_and_its_window_goes_on(table: &dyn Table) {
    let merge = || Merge { max: 3, ..Merge::new(["user"], 1) };
    let alerts: Vec<Alert> = (1..=7).map(|number| waits(&number.to_string(), "bob", merge())).collect();
    assert_eq!(add(table, &alerts, 100), [true; 7]);
    let groups = table.groups(100, 10).unwrap();
    assert_eq!(
        groups.iter().map(|group| members(table, group)).collect::<Vec<_>>(),
        [["1", "2", "3"], ["4", "5", "6"]]
    );
    assert_eq!(table.next_group().unwrap(), Some(100));
    // The members of a fold are those somebody looked at; what is no longer so is not done.
    let merged = |id: &str| FoldInto::Merged(Box::new(alert(id, &["a:x"])));
    table.fold(&[fold_into(&groups[0], &["1", "2", "7"], merged("wrong"))], 110).unwrap();
    assert_eq!(table.get("wrong").unwrap(), None);
    let folds =
        [fold_into(&groups[0], &["1", "2", "3"], merged("m1")), fold_into(&groups[1], &["4", "5", "6"], merged("m2"))];
    table.fold(&folds, 110).unwrap();
    assert_eq!(table.groups(110, 10).unwrap(), []);
    assert_eq!(table.next_group().unwrap(), Some(60_100), "the seventh waits for the end of the window");
    add(table, &[waits("8", "bob", merge())], 200);
    let groups = table.groups(60_100, 10).unwrap();
    assert_eq!(groups.iter().map(|group| members(table, group)).collect::<Vec<_>>(), [["7", "8"]]);
    assert_eq!(ids(&table.lease("a:x", "me", 200, 300, 10).unwrap()), ["m1", "m2"]);
    let waiting = DeliveryFilter { state: Some(DeliveryState::Waiting), ..DeliveryFilter::default() };
    let waiting = table.deliveries(&waiting, 10).unwrap();
    assert_eq!(waiting.iter().map(|delivery| delivery.alert_id.as_str()).collect::<Vec<_>>(), ["8", "7"]);
}

fn the_first_of_a_group_may_go_at_once(table: &dyn Table) {
    let merge = || Merge { first: MergeFirst::Send, max: 2, ..Merge::new(["user"], 1) };
    let alerts: Vec<Alert> = (1..=4).map(|number| waits(&number.to_string(), "bob", merge())).collect();
    add(table, &alerts, 100);
    assert_eq!(ids(&table.lease("a:x", "me", 100, 1_000_000, 10).unwrap()), ["1"]);
    let groups = table.groups(100, 10).unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!(members(table, &groups[0]), ["2", "3"], "the fourth is behind them, and does not go first again");
    let merged = FoldInto::Merged(Box::new(alert("m", &["a:x"])));
    table.fold(&[fold_into(&groups[0], &["2", "3"], merged)], 100).unwrap();
    assert_eq!(ids(&table.lease("a:x", "me", 100, 1_000_000, 10).unwrap()), ["m"]);
    // Within the window they still wait; the group that was folded is there for them, and the fifth is its first.
    add(table, &[waits("5", "bob", merge())], 60_099);
    let end = 60_100;
    let groups = table.groups(end, 10).unwrap();
    let mut all: Vec<String> = groups.iter().flat_map(|group| members(table, group)).collect();
    all.sort();
    assert_eq!(all, ["4", "5"]);
    for group in &groups {
        let members = members(table, group);
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        table.fold(&[fold_into(group, &members, FoldInto::Alone)], end).unwrap();
    }
    assert_eq!(table.groups(end, 10).unwrap(), []);
    assert_eq!(table.next_group().unwrap(), None, "after its end the window is forgotten");
    add(table, &[waits("6", "bob", merge())], end);
    let mut leased = table.lease("a:x", "me", end, 1_000_000, 10).unwrap();
    leased.sort_by(|a, b| a.alert.id.cmp(&b.alert.id));
    assert_eq!(ids(&leased), ["4", "5", "6"], "and the next one goes first");
    // A window in which nobody else came ends with nobody to be told of.
    let group = table.groups(end + 60_000, 10).unwrap().remove(0);
    assert_eq!(members(table, &group), [""; 0]);
    table.fold(&[fold_into(&group, &[], FoldInto::Nobody)], end + 60_000).unwrap();
    assert_eq!(table.next_group().unwrap(), None);
}

fn one_that_is_alone_goes_as_it_is(table: &dyn Table) {
    let alone = Alert { outputs: vec!["a:x".into(), "b:typo".into()], ..waits("1", "bob", Merge::new(["user"], 1)) };
    add(table, std::slice::from_ref(&alone), 100);
    let group = table.groups(60_100, 10).unwrap().remove(0);
    let undeliverable = vec![("b:typo".to_owned(), "no such output".to_owned())];
    let fold = Fold { undeliverable, ..fold_into(&group, &["1"], FoldInto::Alone) };
    table.fold(&[fold.clone(), fold], 60_100).unwrap();
    assert_eq!(table.groups(60_100, 10).unwrap(), []);
    let filter = DeliveryFilter { alert_id: Some("1".into()), ..DeliveryFilter::default() };
    let dead = &table.deliveries(&filter, 10).unwrap()[1];
    assert_eq!((dead.state, dead.last_error.as_deref()), (DeliveryState::Dead, Some("no such output")));
    let lease = table.lease("a:x", "me", 60_100, 60_200, 10).unwrap().remove(0);
    assert_eq!((lease.alert, lease.due), (alone, 60_100));
    assert_eq!(table.merged_into("1").unwrap(), None);
}

fn windows_are_about_the_alerts_own_times(table: &dyn Table) {
    let at = |id: &str, minute: u32, user: &str| Alert {
        event_time: Some(format!("2026-01-02T03:{minute:02}:00Z")),
        ..waits(id, user, Merge { on: streamalert_pipeline::alert::MergeOn::Event, ..Merge::new(["user"], 5) })
    };
    // A day of logs that comes late, out of order and all at once.
    let alerts = [
        at("a0", 0, "ann"),
        at("b30", 30, "bob"),
        at("a10", 10, "ann"),
        at("a5", 5, "ann"),
        at("b33", 33, "bob"),
        at("a16", 16, "ann"),
        at("a14", 14, "ann"),
    ];
    add(table, &alerts, 100);
    let mut groups: Vec<Vec<String>> =
        table.groups(300_100, 10).unwrap().iter().map(|group| members(table, group)).collect();
    groups.sort();
    assert_eq!(groups, [vec!["a0", "a5"], vec!["a10", "a14"], vec!["a16"], vec!["b30", "b33"]]);
}

fn a_merged_alert_may_be_large_and_owed_to_many(many: usize, table: &dyn Table) {
    // T26: fifty large ones. Together they are more than one merged alert may hold; to a table that is slow, half of that.
    let count = many.min(50);
    let bytes = if count == 50 { 120 << 10 } else { 60 << 10 };
    let alerts: Vec<Alert> = (0..count)
        .map(|number| Alert {
            record: serde_json::json!({"user": "bob", "text": noise(number as u64 + 1, bytes)}).into(),
            ..waits(&format!("{number:02}"), "bob", Merge::new(["user"], 1))
        })
        .collect();
    assert!(add(table, &alerts, 100).iter().all(|new| *new));
    let mut told = Vec::new();
    for round in 0..4 {
        for group in table.groups(60_100, 10).unwrap() {
            let found = table.members(&group).unwrap();
            let text: usize = found.iter().map(|member| member.record.as_str().len()).sum();
            assert!(text <= 5 << 20, "{text} bytes");
            let ids: Vec<String> = found.iter().map(|member| member.id.clone()).collect();
            // Each member may have outputs of its own, so a merged alert has more than any other.
            let outputs: Vec<String> = (0..150).map(|number| format!("a:{number}")).collect();
            let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
            let merged = Alert {
                record:
                    serde_json::json!({"all": found.iter().map(|member| member.record.to_value()).collect::<Vec<_>>()})
                        .into(),
                ..alert(&format!("merged {round}-{}", ids[0]), &outputs)
            };
            let fold = Fold {
                undeliverable: vec![("a:7".into(), "no such output".into()), ("a:149".into(), "nor this".into())],
                ..fold_into(
                    &group,
                    &ids.iter().map(String::as_str).collect::<Vec<_>>(),
                    FoldInto::Merged(merged.clone().into()),
                )
            };
            table.fold(std::slice::from_ref(&fold), 60_100).unwrap();
            assert_eq!(table.get(&merged.id).unwrap(), Some(merged.clone()));
            let filter = DeliveryFilter { alert_id: Some(merged.id.clone()), ..DeliveryFilter::default() };
            let deliveries = table.deliveries(&filter, 1_000).unwrap();
            let dead = deliveries.iter().filter(|delivery| delivery.state == DeliveryState::Dead).count();
            assert_eq!((deliveries.len(), dead), (150, 2));
            told.extend(ids);
        }
    }
    told.sort();
    assert_eq!(told, alerts.iter().map(|alert| alert.id.clone()).collect::<Vec<_>>(), "each is told of once");
    assert_eq!(table.lease("a:149", "me", 60_100, 60_200, 10).unwrap().len(), 0);
    let merged = table.lease("a:148", "me", 60_100, 60_200, 10).unwrap().len();
    assert!(merged >= if count == 50 { 2 } else { 1 }, "{merged}");
}

fn deliveries(table: &dyn Table, filter: &DeliveryFilter, limit: usize) -> Vec<(String, String, DeliveryState)> {
    let found = table.deliveries(filter, limit).unwrap();
    found.into_iter().map(|delivery| (delivery.alert_id, delivery.output, delivery.state)).collect()
}

fn operators_see_what_is_there(table: &dyn Table) {
    let day = 24 * 3_600_000;
    let other = Alert { rule_name: "other".into(), ..alert("3", &["b:x"]) };
    let staged = Alert { staged: true, ..alert("5", &["a:x"]) };
    add(table, &[alert("1", &["a:x", "b:y"])], 100);
    add(table, &[alert("2", &["a:x"]), other.clone()], day);
    add(table, &[waits("4", "bob", Merge::new(["user"], 1)), staged], 3 * day + 1);
    let listed =
        |rule, limit| -> Vec<String> { table.list(rule, limit).unwrap().into_iter().map(|alert| alert.id).collect() };
    assert_eq!(listed(None, 10), ["5", "4", "3", "2", "1"], "the newest first");
    assert_eq!(listed(None, 2), ["5", "4"]);
    assert_eq!(listed(Some("other"), 10), ["3"]);
    assert_eq!(listed(Some("nobody"), 10), [""; 0]);
    assert_eq!(table.get("3").unwrap(), Some(other));
    assert_eq!(table.get("nobody").unwrap(), None);

    table.lease("a:x", "me", day, day + 10, 10).unwrap();
    settle(table, "me", "1", "a:x", Outcome::Delivered { receipt: Some("ticket 7".into()) }, day + 1);
    settle(table, "me", "2", "a:x", Outcome::Dead { error: "404".into() }, day + 2);
    use DeliveryState::{Dead, Delivered, Owed, Waiting};
    let entry = |id: &str, output: &str, state| (id.to_owned(), output.to_owned(), state);
    let all = DeliveryFilter::default();
    assert_eq!(
        deliveries(table, &all, 10),
        [
            entry("4", "a:x", Waiting),
            entry("3", "b:x", Owed),
            entry("2", "a:x", Dead),
            entry("1", "a:x", Delivered),
            entry("1", "b:y", Owed)
        ]
    );
    assert_eq!(deliveries(table, &all, 2), [entry("4", "a:x", Waiting), entry("3", "b:x", Owed)]);
    let of = |change: &dyn Fn(&mut DeliveryFilter)| {
        let mut filter = DeliveryFilter::default();
        change(&mut filter);
        deliveries(table, &filter, 10)
    };
    assert_eq!(of(&|f| f.state = Some(Owed)), [entry("3", "b:x", Owed), entry("1", "b:y", Owed)]);
    assert_eq!(of(&|f| f.state = Some(Dead)), [entry("2", "a:x", Dead)]);
    assert_eq!(of(&|f| f.state = Some(Waiting)), [entry("4", "a:x", Waiting)]);
    assert_eq!(of(&|f| f.state = Some(Delivered)), [entry("1", "a:x", Delivered)]);
    assert_eq!(of(&|f| f.output = Some("b".into())), [entry("3", "b:x", Owed), entry("1", "b:y", Owed)]);
    assert_eq!(of(&|f| f.output = Some("b:y".into())), [entry("1", "b:y", Owed)]);
    assert_eq!(of(&|f| f.output = Some("b:".into())), []);
    assert_eq!(of(&|f| f.rule = Some("other".into())), [entry("3", "b:x", Owed)]);
    assert_eq!(of(&|f| f.alert_id = Some("1".into())), [entry("1", "a:x", Delivered), entry("1", "b:y", Owed)]);
    let both = DeliveryFilter { alert_id: Some("1".into()), state: Some(Owed), ..DeliveryFilter::default() };
    assert_eq!(deliveries(table, &both, 10), [entry("1", "b:y", Owed)]);
    let one =
        &table.deliveries(&DeliveryFilter { alert_id: Some("1".into()), ..DeliveryFilter::default() }, 1).unwrap()[0];
    assert_eq!(
        (one.attempts, one.delivered_at.as_deref(), one.receipt.as_deref(), one.next_try.as_deref()),
        (1, Some("1970-01-02T00:00:00.001Z"), Some("ticket 7"), None)
    );
    let dead = &table.deliveries(&DeliveryFilter { state: Some(Dead), ..DeliveryFilter::default() }, 10).unwrap()[0];
    assert_eq!((dead.rule_name.as_str(), dead.last_error.as_deref()), ("rule", Some("404")));
    let owed = &table.deliveries(&DeliveryFilter { state: Some(Owed), ..DeliveryFilter::default() }, 10).unwrap()[1];
    assert_eq!(owed.next_try.as_deref(), Some("1970-01-01T00:00:00.100Z"));
}

fn operators_send_again_and_drop(table: &dyn Table) {
    add(table, &[alert("1", &["a:x", "b:x"]), alert("2", &["a:x"]), alert("3", &["a:x"]), alert("4", &["a:x"])], 100);
    table.lease("a:x", "me", 100, 200, 3).unwrap();
    settle(table, "me", "1", "a:x", Outcome::Dead { error: "404".into() }, 110);
    let again = Outcome::Again { due: 5_000, error: "503".into(), progress: Some("half".into()), faults: 2 };
    settle(table, "me", "2", "a:x", again, 110);
    // The third is being sent.
    let to_a = DeliveryFilter { output: Some("a:x".into()), ..DeliveryFilter::default() };
    assert_eq!(table.retry(&to_a, 150).unwrap(), 4);
    let leases = table.lease("a:x", "you", 150, 300, 10).unwrap();
    assert_eq!(ids(&leases), ["1", "2", "4"], "what is being sent stays with whoever sends it");
    assert!(leases.iter().all(|lease| (lease.attempts, lease.faults) == (0, 0)));
    assert_eq!(leases[1].progress.as_deref(), Some("half"), "what is done already is not done again");
    settle(table, "me", "3", "a:x", Outcome::Again { due: 400, error: "x".into(), progress: None, faults: 0 }, 160);

    settle(table, "you", "1", "a:x", Outcome::Dead { error: "404".into() }, 160);
    assert_eq!(table.drop_deliveries(&to_a, 170).unwrap(), 4, "owed, leased and dead ones");
    assert_eq!(due(table), [("b:x".into(), 100)]);
    settle(table, "you", "2", "a:x", Outcome::Again { due: 0, error: "x".into(), progress: None, faults: 0 }, 180);
    assert_eq!(table.due(Some("a:x")).unwrap(), [], "what was dropped stays dropped");
    settle(table, "you", "4", "a:x", delivered(), 180);
    assert_eq!(table.retry(&to_a, 200).unwrap(), 0, "unless somebody asks for it");
    let dropped = DeliveryFilter { state: Some(DeliveryState::Dropped), ..DeliveryFilter::default() };
    assert_eq!(table.deliveries(&dropped, 10).unwrap().len(), 3, "one was delivered all the same, which is a fact");
    let third = DeliveryFilter { alert_id: Some("3".into()), ..dropped.clone() };
    assert_eq!(table.retry(&third, 210).unwrap(), 1);
    assert_eq!(ids(&table.lease("a:x", "me", 210, 300, 10).unwrap()), ["3"]);
    settle(table, "me", "3", "a:x", delivered(), 220);
    let delivered = DeliveryFilter { state: Some(DeliveryState::Delivered), ..DeliveryFilter::default() };
    assert_eq!((table.retry(&delivered, 230).unwrap(), table.drop_deliveries(&delivered, 230).unwrap()), (0, 0));
    let nobody = DeliveryFilter { rule: Some("nobody".into()), ..DeliveryFilter::default() };
    assert_eq!((table.retry(&nobody, 230).unwrap(), table.drop_deliveries(&nobody, 230).unwrap()), (0, 0));
}

fn the_backlog_is_counted_by_output(table: &dyn Table) {
    let alerts: Vec<Alert> = (0..30).map(|number| alert(&format!("{number:02}"), &["a:x"])).collect();
    add(table, &alerts, 1_000);
    add(table, &[alert("later", &["a:x", "b:x"])], 2_000);
    let four = alert("typo", &["c:typo"]);
    let undeliverable = vec![("c:typo".to_owned(), "no such output".to_owned())];
    table.add(&[NewAlert { alert: &four, waiting: None, undeliverable }], 3_000).unwrap();
    for attempt in 0..ATTEMPTS_WARNED {
        let now = 10_000 + Millis::from(attempt);
        table.lease("a:x", "me", now, now + 1, 2).unwrap();
        let again = || Outcome::Again { due: 0, error: "503".into(), progress: None, faults: 0 };
        settle(table, "me", "00", "a:x", again(), now);
        settle(table, "me", "01", "a:x", again(), now);
    }
    table.lease("a:x", "me", 10_000, 20_000, 1).unwrap();
    settle(table, "me", "00", "a:x", Outcome::Dead { error: "404".into() }, 10_100);
    let backlog = table.backlog().unwrap();
    assert_eq!(backlog.keys().map(String::as_str).collect::<Vec<_>>(), ["a:x", "b:x", "c:typo"]);
    let of = |output: &str| {
        let backlog = &backlog[output];
        (backlog.owed, backlog.dead, backlog.stuck, backlog.oldest)
    };
    assert_eq!(of("a:x"), (30, 1, 1, Some(1_000)));
    assert_eq!(of("b:x"), (1, 0, 0, Some(2_000)));
    assert_eq!(of("c:typo"), (0, 1, 0, None));
}

fn leases_of_many_do_not_overlap(many: usize, open: &Open) {
    let table = open();
    let alerts: Vec<Alert> = (0..many).map(|n| alert(&n.to_string(), &["a:x"])).collect();
    add(&*table, &alerts, 100);
    let workers: Vec<_> = (0..4)
        .map(|number| {
            let table = open();
            std::thread::spawn(move || {
                let owner = format!("worker {number}");
                let mut got = Vec::new();
                loop {
                    let leases = table.lease("a:x", &owner, 100, 1_000, 7).unwrap();
                    if leases.is_empty() {
                        return got;
                    }
                    let settled = |lease: &Lease| Settled {
                        alert_id: lease.alert.id.clone(),
                        output: "a:x".into(),
                        outcome: delivered(),
                    };
                    table.settle(&owner, &leases.iter().map(settled).collect::<Vec<_>>(), 100).unwrap();
                    got.extend(leases.into_iter().map(|lease| lease.alert.id));
                }
            })
        })
        .collect();
    let mut got: Vec<String> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    let count = got.len();
    got.sort();
    got.dedup();
    assert_eq!((got.len(), count), (many, many), "each once");
    assert_eq!(due(&*table), []);
}

fn three_that_add_the_same_store_it_once(many: usize, open: &Open) {
    let alerts: Vec<Alert> = (0..2 * many).map(|n| alert(&n.to_string(), &["a:x"])).collect();
    let adders: Vec<_> = (0..3)
        .map(|number| {
            // Each has half of the others' as well.
            let (table, mine) = (open(), alerts[number * many / 2..][..many].to_vec());
            std::thread::spawn(move || add(&*table, &mine, 100).into_iter().filter(|new| *new).count())
        })
        .collect();
    let new: usize = adders.into_iter().map(|adder| adder.join().unwrap()).sum();
    assert_eq!(new, 2 * many, "each is new to one of them");
    assert_eq!(open().backlog().unwrap()["a:x"].owed, 2 * many as u64);
}

/// Several processes raise alerts of the same few groups, others fold what is due, all at once.
fn those_who_merge_at_once_lose_nobody(many: usize, open: &Open) {
    let adders: Vec<_> = (0..3)
        .map(|number| {
            let table = open();
            std::thread::spawn(move || {
                for n in (0..many / 3).collect::<Vec<_>>().chunks(5) {
                    let merge = || Merge { max: 4, ..Merge::new(["user"], 1) };
                    let alerts: Vec<Alert> = n
                        .iter()
                        .map(|n| waits(&format!("{number}-{n}"), if n % 3 == 0 { "ann" } else { "bob" }, merge()))
                        .collect();
                    assert!(add(&*table, &alerts, 100).iter().all(|new| *new));
                }
            })
        })
        .collect();
    let fold_all = |table: &dyn Table, now: Millis| -> Vec<String> {
        let mut told = Vec::new();
        for group in table.groups(now, 4).unwrap() {
            let found = table.members(&group).unwrap();
            let into = streamalert_pipeline::alert_merger::fold(found.clone(), now);
            let Some(merged) = into else { continue };
            let ids: Vec<&str> = found.iter().map(|member| member.id.as_str()).collect();
            table.fold(&[fold_into(&group, &ids, FoldInto::Merged(merged.clone().into()))], now).unwrap();
            told.push(merged.id);
        }
        told
    };
    let folders: Vec<_> = (0..2)
        .map(|_| {
            let table = open();
            std::thread::spawn(move || {
                for _ in 0..8 {
                    fold_all(&*table, 100);
                }
            })
        })
        .collect();
    adders.into_iter().for_each(|adder| adder.join().unwrap());
    folders.into_iter().for_each(|folder| folder.join().unwrap());
    let table = open();
    while !fold_all(&*table, 60_100).is_empty() {}
    assert_eq!(table.next_group().unwrap(), None);
    let waiting = DeliveryFilter { state: Some(DeliveryState::Waiting), ..DeliveryFilter::default() };
    assert_eq!(table.deliveries(&waiting, 10).unwrap(), []);
    let mut told: Vec<String> = Vec::new();
    loop {
        let leases = table.lease("a:x", "me", 60_100, 100_000, 500).unwrap();
        if leases.is_empty() {
            break;
        }
        for lease in leases {
            let record = lease.alert.record.to_value();
            told.extend(record["ValueDiffs"].as_object().unwrap().keys().cloned());
        }
    }
    let count = told.len();
    told.sort();
    told.dedup();
    assert_eq!((count, told.len()), (many / 3 * 3, many / 3 * 3), "each is in one merged alert");
}

#[test]
fn sqlite_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    contract(500, || {
        count.set(count.get() + 1);
        let path = folder.path().join(format!("{}.sqlite", count.get()));
        Box::new(move || Arc::new(SqliteAlerts::open(&path).unwrap()))
    });
}

#[test]
fn a_table_of_the_first_layout_is_taken_over_and_files_get_what_they_had_not_got() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.sqlite");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(
        "CREATE TABLE alerts (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, rule TEXT NOT NULL,
            severity TEXT NOT NULL, created TEXT NOT NULL, json TEXT NOT NULL) STRICT;
         CREATE INDEX alerts_by_rule ON alerts (rule, seq);
         CREATE TABLE cursors (name TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
         INSERT INTO cursors VALUES ('file output', 1);
         PRAGMA user_version = 1;",
    )
    .unwrap();
    for (id, output) in [("written", "file:audit"), ("not written", "file:audit"), ("other", "slack:x")] {
        let json = serde_json::to_string(&alert(id, &[output])).unwrap();
        old.execute(
            "INSERT INTO alerts (id, rule, severity, created, json) VALUES (?1, 'r', 'high', '', ?2)",
            [id, &json],
        )
        .unwrap();
    }
    drop(old);
    let table = SqliteAlerts::open(&path).unwrap();
    assert_eq!(table.due(None).unwrap(), [("file:audit".into(), 0)]);
    assert_eq!(ids(&table.lease("file:audit", "me", 1, 2, 10).unwrap()), ["not written"]);
}
