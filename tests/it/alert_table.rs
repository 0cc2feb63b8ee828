//! What every alert table must do, whatever it is made of. The SQLite one is held to it here; others call [`contract`] too.

use std::collections::BTreeSet;
use std::sync::Arc;
use streamalert_local::sqlite::SqliteAlerts;
use streamalert_pipeline::alert::{Alert, Merge};
use streamalert_pipeline::alert_merger::waiting;
use streamalert_pipeline::backend::{AlertTable, Fold, FoldInto, Group, Lease, NewAlert, Outcome, Settled};
use streamalert_pipeline::log_record::{Position, Source};
use streamalert_pipeline::time::Millis;

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

fn add(table: &dyn AlertTable, alerts: &[Alert], now: Millis) -> Vec<bool> {
    let new: Vec<NewAlert<'_>> =
        alerts.iter().map(|alert| NewAlert { alert, waiting: waiting(alert), undeliverable: vec![] }).collect();
    table.add(&new, now).unwrap()
}

fn ids(leases: &[Lease]) -> Vec<&str> {
    leases.iter().map(|lease| lease.alert.id.as_str()).collect()
}

fn settle(table: &dyn AlertTable, owner: &str, id: &str, output: &str, outcome: Outcome, now: Millis) {
    table.settle(owner, &[Settled { alert_id: id.into(), output: output.into(), outcome }], now).unwrap();
}

fn delivered() -> Outcome {
    Outcome::Delivered { receipt: None }
}

fn due(table: &dyn AlertTable) -> Vec<(String, Millis)> {
    let mut due = table.due(None).unwrap();
    due.sort();
    due
}

/// All of it, each story with a table of its own.
pub fn contract(make: impl Fn() -> Arc<dyn AlertTable>) {
    adding_is_idempotent(&*make());
    what_is_leased_is_nobody_else_s_until_the_lease_ends(&*make());
    outcomes_are_kept(&*make());
    a_probe_is_the_newest_that_was_never_tried(&*make());
    groups_are_folded_once(&*make());
    who_comes_while_a_group_is_looked_at_is_not_lost(&*make());
    leases_of_many_do_not_overlap(make());
}

fn adding_is_idempotent(table: &dyn AlertTable) {
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

fn what_is_leased_is_nobody_else_s_until_the_lease_ends(table: &dyn AlertTable) {
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

fn outcomes_are_kept(table: &dyn AlertTable) {
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

fn a_probe_is_the_newest_that_was_never_tried(table: &dyn AlertTable) {
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

fn groups_are_folded_once(table: &dyn AlertTable) {
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

fn who_comes_while_a_group_is_looked_at_is_not_lost(table: &dyn AlertTable) {
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

fn leases_of_many_do_not_overlap(table: Arc<dyn AlertTable>) {
    let alerts: Vec<Alert> = (0..500).map(|n| alert(&n.to_string(), &["a:x"])).collect();
    add(&*table, &alerts, 100);
    let workers: Vec<_> = (0..4)
        .map(|number| {
            let table = table.clone();
            std::thread::spawn(move || {
                let owner = format!("worker {number}");
                let mut got = Vec::new();
                loop {
                    let leases = table.lease("a:x", &owner, 100, 1_000, 7).unwrap();
                    if leases.is_empty() {
                        return got;
                    }
                    for lease in leases {
                        settle(&*table, &owner, &lease.alert.id, "a:x", delivered(), 100);
                        got.push(lease.alert.id);
                    }
                }
            })
        })
        .collect();
    let mut got: Vec<String> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    let count = got.len();
    got.sort();
    got.dedup();
    assert_eq!((got.len(), count), (500, 500), "each once");
    assert_eq!(due(&*table), []);
}

#[test]
fn sqlite_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    contract(|| {
        count.set(count.get() + 1);
        Arc::new(SqliteAlerts::open(&folder.path().join(format!("{}.sqlite", count.get()))).unwrap())
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
