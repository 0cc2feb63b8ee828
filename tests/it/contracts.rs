//! What every backend must do, held against the one of this machine and those of AWS: on both stand-ins, and through a proxy
//! behind which calls fail.
//! What stand-ins do otherwise than AWS is listed in [`crate::standins`].

use crate::alert_table::{self, told};
use crate::fault_proxy::{Fault, FaultProxy};
use crate::standins::{self, Place, Standin};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use streamalert_aws::alert_table::DynamoAlerts;
use streamalert_aws::dead_letters::S3DeadLetters;
use streamalert_aws::rule_table::DynamoRules;
use streamalert_aws::secrets::{SecretsManagerSecrets, SsmSecrets};
use streamalert_local::dead_letters::DeadLetterFolder;
use streamalert_local::rule_table::RuleFile;
use streamalert_local::secrets::SecretFile;
use streamalert_pipeline::backend::{DeadLetters, RuleState, RuleTable, SecretStore};
use streamalert_pipeline::dead_letter::{DeadLetter, Reason};
use streamalert_pipeline::log_record::{Payload, Position, Source};

/// Alerts that are many to a stand-in.
const MANY: usize = 60;
/// The same for the one that gets a request at a time.
const MANY_FOR_MOTO: usize = 30;
/// Of a hundred calls, those that fail.
const FAILING: f64 = 0.2;
/// Calls that fail one after another at first.
const FIRST: u64 = 5;

fn alerts(place: Place, reached: impl Fn(&Place) -> Place) -> alert_table::Open {
    place.alerts_table();
    place.data_bucket();
    let place = Arc::new(reached(&place));
    Box::new(move || Arc::new(DynamoAlerts::new(place.aws.clone(), &place.names)))
}

fn directly(place: &Place) -> Place {
    Place { aws: place.aws.clone(), names: place.names.clone() }
}

#[test]
fn alert_table_of_dynamodb_on_ministack() {
    let Some(standin) = standins::ministack() else { return };
    alert_table::contract(MANY, || alerts(standin.place("contract"), directly));
}

#[test]
fn alert_table_of_dynamodb_on_moto() {
    let Some(standin) = standins::moto() else { return };
    alert_table::contract(MANY_FOR_MOTO, || alerts(standin.place("contract"), directly));
}

#[test]
fn alert_table_of_dynamodb_behind_failing_calls() {
    let Some(standin) = standins::ministack() else { return };
    let proxy = FaultProxy::start(&standin.endpoint);
    // Another one can be asked for, to look for what the usual one does not find.
    let seed = std::env::var("FAULT_SEED").ok().and_then(|seed| seed.parse().ok());
    proxy.seed(seed.unwrap_or(7));
    proxy.failing(FAILING);
    alert_table::contract(MANY, || alerts(standin.place("contract"), |place| place.through(&proxy.connection())));
    println!("{}", proxy.summary());
}

/// Runs a contract on both stand-ins, and on one behind failing calls.
fn on_aws(name: &str, contract: impl Fn(&Place)) {
    // What a contract needs is there before anything fails.
    let place = |standin: &Standin| {
        let place = standin.place(name);
        place.rules_table();
        place.data_bucket();
        place
    };
    for standin in standins::all() {
        told(&format!("{name} on {}", standin.name), || contract(&place(standin)));
    }
    let Some(standin) = standins::ministack() else { return };
    let faulty = |how: &str, fail: &dyn Fn(&FaultProxy)| {
        let proxy = FaultProxy::start(&standin.endpoint);
        let through = place(standin).through(&proxy.connection());
        fail(&proxy);
        told(&format!("{name}, {how}"), || contract(&through));
        println!("{}", proxy.summary());
    };
    faulty("of which some calls fail", &|proxy| {
        proxy.seed(3);
        proxy.failing(FAILING);
    });
    for fault in [Fault::Throttled, Fault::Unavailable, Fault::CutAfter] {
        faulty(&format!("whose first {FIRST} calls end as {fault:?}"), &|proxy| proxy.next("*", FIRST, fault));
    }
}

fn secrets(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn secret_store(store: &dyn SecretStore) {
    let none = secrets(&[]);
    assert_eq!(store.get("slack:security").unwrap(), none);
    store.delete("slack:security").unwrap();
    let first = secrets(&[("url", "https://hooks.example.com/é\u{1f511}\"\\"), ("token", ""), ("key", "a\nb\t\u{1}")]);
    store.put("slack:security", &first).unwrap();
    store.put("slack:sec", &secrets(&[("url", "other")])).unwrap();
    assert_eq!(store.get("slack:security").unwrap(), first);
    let second = secrets(&[("url", "new")]);
    store.put("slack:security", &second).unwrap();
    assert_eq!(store.get("slack:security").unwrap(), second, "all of the old ones are gone");
    // A private key of the largest usual size, and a certificate.
    let large = secrets(&[("key", &"k".repeat(3_300)), ("certificate", &"c".repeat(2_500))]);
    store.put("jira:security", &large).unwrap();
    assert_eq!(store.get("jira:security").unwrap(), large);
    store.put("jira:security", &none).unwrap();
    assert_eq!(store.get("jira:security").unwrap(), none);
    store.delete("slack:security").unwrap();
    store.delete("slack:security").unwrap();
    assert_eq!(store.get("slack:security").unwrap(), none);
    assert_eq!(store.get("slack:sec").unwrap(), secrets(&[("url", "other")]));
    store.put("slack:security", &second).unwrap();
    assert_eq!(store.get("slack:security").unwrap(), second, "what was deleted can be there again");
}

#[test]
fn secrets_of_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    secret_store(&SecretFile::new(folder.path().join("secrets.json"), std::iter::empty()));
}

#[test]
fn secrets_in_systems_manager() {
    on_aws("parameters", |place| secret_store(&SsmSecrets::new(place.aws.clone(), &place.names)));
}

#[test]
fn secrets_in_secrets_manager() {
    on_aws("secrets-manager", |place| secret_store(&SecretsManagerSecrets::new(place.aws.clone(), &place.names)));
}

fn rule_table(table: &dyn RuleTable, other: &dyn RuleTable) {
    assert_eq!(table.all().unwrap(), BTreeMap::new());
    table.remove("nobody").unwrap();
    let staged = RuleState {
        staged: true,
        digest: "00ff".into(),
        since: 1_767_323_045_678,
        until: Some(i64::MAX),
        beside: Some("ff00".into()),
        disabled: true,
        lived: vec!["ff00".into(), "0f".into()],
        gone: Some(1_767_323_045_679),
    };
    let live = RuleState::default();
    table.put("root_login", &staged).unwrap();
    table.put("'; -- #rule :rule \u{1f980}", &live).unwrap();
    let all = |pairs: &[(&str, &RuleState)]| -> BTreeMap<String, RuleState> {
        pairs.iter().map(|(name, state)| ((*name).to_owned(), (*state).clone())).collect()
    };
    assert_eq!(other.all().unwrap(), all(&[("root_login", &staged), ("'; -- #rule :rule \u{1f980}", &live)]));
    other.put("root_login", &live).unwrap();
    other.remove("'; -- #rule :rule \u{1f980}").unwrap();
    assert_eq!(table.all().unwrap(), all(&[("root_login", &live)]), "the end of a trial is gone with the trial");
    // Who decides on what was so a while ago changes nothing that somebody else has decided since.
    let later = RuleState { since: 7, ..live.clone() };
    assert!(!table.replace("root_login", Some(&staged), Some(&later)).unwrap());
    assert!(!table.replace("root_login", None, Some(&later)).unwrap());
    assert!(!table.replace("root_login", Some(&staged), None).unwrap());
    assert_eq!(other.all().unwrap(), all(&[("root_login", &live)]));
    assert!(table.replace("root_login", Some(&live), Some(&staged)).unwrap());
    assert!(other.replace("root_login", Some(&live), Some(&staged)).unwrap(), "it is so already");
    assert!(table.replace("new", None, Some(&later)).unwrap());
    assert!(table.replace("new", Some(&later), None).unwrap() && table.replace("new", Some(&later), None).unwrap());
    assert_eq!(other.all().unwrap(), all(&[("root_login", &staged)]));
    assert!(table.replace("root_login", Some(&staged), Some(&live)).unwrap());
    std::thread::scope(|scope| {
        for half in 0..2 {
            let (table, staged) = (if half == 0 { table } else { other }, &staged);
            scope.spawn(move || (0..20).for_each(|n| table.put(&format!("rule {half} {n}"), staged).unwrap()));
        }
    });
    assert_eq!(table.all().unwrap().len(), 41);
}

#[test]
fn rules_of_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/rules.json");
    rule_table(&RuleFile::new(path.clone()), &RuleFile::new(path));
}

#[test]
fn rules_in_dynamodb() {
    on_aws("rules", |place| {
        let table = || DynamoRules::new(place.aws.clone(), &place.names);
        rule_table(&table(), &table());
    });
}

fn letter(text: &str) -> DeadLetter {
    let source = Source::new("file", "/logs", "/logs/a.json");
    let payload = Payload::new(Arc::new(source), 0, text.as_bytes());
    let position = Position { offset: 0, length: text.len() as u64, index: 0 };
    DeadLetter::new(&payload, "default", position, Reason::NotJson, "not JSON".to_owned())
}

fn dead_letters(store: &dyn DeadLetters, other: &dyn DeadLetters) {
    let list = || -> Vec<(String, u64)> {
        let letters = store.list().unwrap().into_iter();
        letters.map(|letter| (String::from_utf8(letter.input.bytes()).unwrap(), letter.count)).collect()
    };
    let entry = |text: &str, count| (text.to_owned(), count);
    // Times are in milliseconds.
    let later = || std::thread::sleep(Duration::from_millis(5));
    assert_eq!(list(), []);
    store.put(&[]).unwrap();
    store.remove(&["unknown".into()]).unwrap();
    store.put(&[letter("one")]).unwrap();
    let first = store.list().unwrap().remove(0);
    assert!(!first.first_seen.is_empty());
    let rest = DeadLetter { first_seen: String::new(), ..first.clone() };
    assert_eq!(rest, letter("one"), "all of it is kept");
    later();
    other.put(&[letter("two"), letter("one")]).unwrap();
    later();
    store.put(&[letter("three\u{0}\u{1f4a9}"), letter("one")]).unwrap();
    assert_eq!(list(), [entry("one", 3), entry("two", 1), entry("three\u{0}\u{1f4a9}", 1)], "oldest first, each once");
    assert_eq!(other.list().unwrap()[0].first_seen, first.first_seen);
    other.remove(&[letter("one").id, letter("one").id, "unknown".into()]).unwrap();
    assert_eq!(list(), [entry("two", 1), entry("three\u{0}\u{1f4a9}", 1)]);
    later();
    store.put(&[letter("one")]).unwrap();
    assert_eq!(list().pop(), Some(entry("one", 1)), "what was sent again can die again, and is new then");
    let binary = {
        let source = Arc::new(Source::new("s3", "bucket", "key"));
        let payload = Payload::new(source, 0, vec![0xff, 0x00, 0xfe]);
        let position = Position { offset: 0, length: 3, index: 0 };
        DeadLetter::new(&payload, "default", position, Reason::Compression, "damaged".to_owned())
    };
    let large = letter(&"x".repeat(2 << 20));
    later();
    store.put(&[binary.clone(), large.clone()]).unwrap();
    let all = store.list().unwrap();
    assert_eq!(all.len(), 5);
    assert!([&binary, &large].iter().all(|one| all.iter().any(|kept| kept.id == one.id && kept.input == one.input)));
    // Two at once, who take out and put in.
    std::thread::scope(|scope| {
        scope.spawn(|| (0..4).for_each(|n| store.put(&[letter(&format!("a{n}")), letter(&format!("b{n}"))]).unwrap()));
        scope.spawn(|| {
            for n in 0..4 {
                let id = letter(&format!("a{n}")).id;
                while other.list().unwrap().iter().all(|kept| kept.id != id) {
                    later();
                }
                other.remove(&[id]).unwrap();
            }
        });
    });
    assert_eq!(store.list().unwrap().len(), 5 + 4);
    let ids: Vec<String> = store.list().unwrap().into_iter().map(|letter| letter.id).collect();
    store.remove(&ids).unwrap();
    assert_eq!(other.list().unwrap(), []);
}

#[test]
fn dead_letters_of_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let open = || DeadLetterFolder::open(folder.path()).unwrap();
    dead_letters(&open(), &open());
}

#[test]
fn a_letter_that_comes_again_while_it_is_sent_again_stays() {
    on_aws("dead-again", |place| {
        let store = S3DeadLetters::new(&place.aws, place.names.data_bucket());
        store.put(&[letter("one"), letter("two")]).unwrap();
        let pile = store.pile().unwrap();
        // The rules engine is faster than whoever sent it: the rule has failed on it once more.
        std::thread::sleep(Duration::from_millis(5));
        S3DeadLetters::new(&place.aws, place.names.data_bucket()).put(&[letter("one")]).unwrap();
        store.remove_from(&pile, &[letter("one").id]).unwrap();
        let left: Vec<(String, u64)> = store.list().unwrap().into_iter().map(|one| (one.id, one.count)).collect();
        assert_eq!(left, [(letter("two").id, 1), (letter("one").id, 1)]);
    });
}

#[test]
fn dead_letters_in_s3() {
    on_aws("dead", |place| {
        let open = || S3DeadLetters::new(&place.aws, place.names.data_bucket());
        dead_letters(&open(), &open());
    });
}
