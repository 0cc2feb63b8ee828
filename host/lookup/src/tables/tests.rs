use super::*;
use crate::file::TableFile;
use std::fs;
use std::sync::atomic::AtomicBool;
use streamalert_pipeline::backend::BackendErrorKind;
use streamalert_pipeline::config::TableConfigs;
use streamalert_pipeline::config::lookup_tables::TablePlace;

fn content(name: &str) -> ContentConfig {
    let text = format!(r#"{{"tables": {{"t": {{"driver": "file", "path": "{name}"}}}}}}"#);
    let configs = TableConfigs::read("f", &text, &[]).unwrap();
    let TablePlace::File { content, .. } = configs.tables["t"].place.clone() else { panic!() };
    content
}

fn get(snapshot: &Arc<dyn LookupSnapshot>, table: &str, key: &str) -> Result<Looked, LookupFailure> {
    snapshot.get(table, key, &mut Vec::new)
}

fn found(text: &str) -> Looked {
    Looked::Found(text.to_owned())
}

#[test]
fn a_batch_sees_one_state_and_a_broken_refresh_keeps_the_last_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.json");
    fs::write(&path, r#"{"a": 1, "n": null}"#).unwrap();
    let mut tables = Tables::default();
    tables.insert_whole("t", "file", Box::new(TableFile::new(path.clone())), content("t.json"), Duration::ZERO);
    let first = tables.snapshot();
    assert_eq!(get(&first, "t", "a").unwrap(), found("1"));
    assert_eq!(get(&first, "t", "n").unwrap(), found("null"));
    assert_eq!(get(&first, "t", "z").unwrap(), Looked::NoKey);
    assert_eq!(get(&first, "u", "a").unwrap(), Looked::NoTable);
    fs::write(&path, r#"{"a": 22}"#).unwrap();
    tables.refresh();
    assert_eq!(get(&first, "t", "a").unwrap(), found("1"), "this batch goes on with what it saw");
    let second = tables.snapshot();
    assert_eq!(get(&second, "t", "a").unwrap(), found("22"));
    fs::write(&path, "{broken").unwrap();
    tables.refresh();
    let third = tables.snapshot();
    assert_eq!(get(&third, "t", "a").unwrap(), found("22"));
    let status = &tables.status()[0];
    assert!(status.error.as_ref().unwrap().contains("one JSON object") && status.failures == 1, "{status:?}");
    fs::remove_file(&path).unwrap();
    tables.refresh();
    assert!(tables.status()[0].error.as_ref().unwrap().contains("there is no"));
    assert_eq!(get(&tables.snapshot(), "t", "a").unwrap(), found("22"));
    fs::write(&path, r#"{"a": 3}"#).unwrap();
    tables.refresh();
    assert_eq!(get(&tables.snapshot(), "t", "a").unwrap(), found("3"));
    let metrics = tables.metrics();
    assert!(
        metrics.contains("streamalert_lookup_failures_total{table=\"t\"} 2")
            && metrics.contains("lookup_broken{table=\"t\"} 0"),
        "{metrics}"
    );
    assert_eq!(tables.status()[0].error, None);
}

#[test]
fn a_table_that_was_never_read_fails_and_does_not_say_that_nothing_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut tables = Tables::default();
    let path = folder.path().join("t.csv");
    tables.insert_whole("t", "file", Box::new(TableFile::new(path.clone())), content("t.csv"), Duration::ZERO);
    assert_eq!(tables.load_near().len(), 1);
    let snapshot = tables.snapshot();
    let error = get(&snapshot, "t", "a").unwrap_err().to_string();
    assert!(error.contains("lookup table t: there is no") && error.contains("t.csv"), "{error}");
    fs::write(&path, "key,value\na,1\n").unwrap();
    assert!(get(&snapshot, "t", "a").is_err(), "one state for a batch");
}

/// Items of a table that counts its calls and can be away.
#[derive(Clone, Default)]
struct Items {
    calls: Arc<Mutex<Vec<Vec<String>>>>,
    away: Arc<AtomicBool>,
    value: Arc<AtomicU64>,
}

impl TableItems for Items {
    fn place(&self) -> String {
        "items".into()
    }
    fn read(&self, keys: &[String], _: Duration) -> Result<Vec<Option<String>>, BackendError> {
        lock(&self.calls).push(keys.to_vec());
        if self.away.load(Ordering::Relaxed) {
            return Err(BackendError { kind: BackendErrorKind::Throttled, action: "read items".into(), source: None });
        }
        let value = self.value.load(Ordering::Relaxed);
        Ok(keys.iter().map(|key| (!key.starts_with('-')).then(|| format!("{value}"))).collect())
    }
    fn write(&self, _: &str, _: Option<&str>, _: Option<Option<&str>>) -> Result<(), BackendError> {
        Ok(())
    }
    fn keys(&self, _: usize) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }
}

fn keyed(keys_max: usize, every: Duration) -> (Tables, Items) {
    let items = Items::default();
    let mut tables = Tables::default();
    let config = KeyedConfig {
        table: "t".into(),
        partition_key: "p".into(),
        sort_key: None,
        value_key: "v".into(),
        key_delimiter: ":".into(),
        consistent_read: true,
        keys_max,
        read_ahead: true,
    };
    tables.insert_keyed("t", Box::new(items.clone()), config, every);
    (tables, items)
}

#[test]
fn what_was_read_for_a_batch_stays_and_the_rest_of_it_is_read_along() {
    let (tables, items) = keyed(100, Duration::ZERO);
    let batch = tables.snapshot();
    let mut more = || vec!["b".to_owned(), "-c".to_owned()];
    assert_eq!(batch.get("t", "a", &mut more).unwrap(), found("0"));
    items.value.store(1, Ordering::Relaxed);
    assert_eq!(batch.get("t", "b", &mut more).unwrap(), found("0"));
    assert_eq!(batch.get("t", "-c", &mut more).unwrap(), Looked::NoKey);
    assert_eq!(batch.get("t", "a", &mut more).unwrap(), found("0"));
    assert_eq!(*lock(&items.calls), [["a", "b", "-c"]], "one call for all");
    assert_eq!(get(&tables.snapshot(), "t", "a").unwrap(), found("1"), "the next batch sees what is there then");
}

#[test]
fn answers_are_remembered_misses_among_them_and_few_keys_are_enough() {
    let (tables, items) = keyed(2, Duration::from_secs(60));
    for _ in 0..3 {
        for key in ["a", "-b"] {
            get(&tables.snapshot(), "t", key).unwrap();
        }
    }
    assert_eq!(lock(&items.calls).len(), 2);
    for key in ["c", "-d", "e", "-b", "a"] {
        get(&tables.snapshot(), "t", key).unwrap();
    }
    assert_eq!(lock(&items.calls).len(), 7);
}

#[test]
fn a_table_that_is_away_is_a_failure_once_for_a_batch() {
    let (tables, items) = keyed(10, Duration::from_secs(60));
    items.away.store(true, Ordering::Relaxed);
    let batch = tables.snapshot();
    for key in ["a", "b", "c"] {
        assert!(get(&batch, "t", key).unwrap_err().to_string().contains("read items"));
    }
    assert_eq!(lock(&items.calls).len(), 1);
    items.away.store(false, Ordering::Relaxed);
    assert_eq!(get(&tables.snapshot(), "t", "a").unwrap(), found("0"), "a failure is no answer to be remembered");
    assert_eq!(tables.status()[0].failures, 1);
}
