//! Tables that the operator keeps beside the rules: allow lists, asset inventories, owners.
//!
//! Outside WebAssembly the tables are those that a test set by `fake`.

use serde_json::Value;

/// What is stored under `key`. `None` when the table has no such key or there is no such table; a stored null is
/// `Some(Value::Null)`.
pub fn get(table: &str, key: &str) -> Option<Value> {
    find(table, key)
}

/// Whether the table has this key, whatever is stored there; `false` also when there is no such table.
pub fn contains(table: &str, key: &str) -> bool {
    holds(table, key)
}

#[cfg(target_family = "wasm")]
fn find(table: &str, key: &str) -> Option<Value> {
    let text = crate::guest::host::lookup::get(table, key)?;
    serde_json::from_str(&text)
        .inspect_err(|error| crate::log::error(format!("lookup table {table}, key {key}: {error}")))
        .ok()
}

#[cfg(target_family = "wasm")]
fn holds(table: &str, key: &str) -> bool {
    crate::guest::host::lookup::get(table, key).is_some()
}

#[cfg(not(target_family = "wasm"))]
thread_local! {
    static FAKES: std::cell::RefCell<std::collections::HashMap<String, serde_json::Map<String, Value>>> =
        std::cell::RefCell::default();
}

#[cfg(not(target_family = "wasm"))]
fn find(table: &str, key: &str) -> Option<Value> {
    FAKES.with_borrow(|fakes| fakes.get(table)?.get(key).cloned())
}

#[cfg(not(target_family = "wasm"))]
fn holds(table: &str, key: &str) -> bool {
    FAKES.with_borrow(|fakes| fakes.get(table).is_some_and(|table| table.contains_key(key)))
}

/// For tests: what table `table` holds from now on in this thread, as a JSON object of keys and values.
///
/// ```
/// # use streamalert_sdk::prelude::*;
/// lookup::fake("owners", json!({"i-1": {"team": "cloud"}}));
/// assert_eq!(lookup::get("owners", "i-1"), Some(json!({"team": "cloud"})));
/// assert_eq!(lookup::get("owners", "i-2"), None);
/// ```
///
/// # Panics
/// When `entries` is no object.
#[cfg(not(target_family = "wasm"))]
pub fn fake(table: &str, entries: Value) {
    let Value::Object(entries) = entries else { panic!("lookup table {table}: not an object: {entries}") };
    FAKES.with_borrow_mut(|fakes| fakes.insert(table.to_owned(), entries));
}

/// For tests: forgets all fake tables of this thread. Needed only where tests share a thread (`--test-threads=1`).
#[cfg(not(target_family = "wasm"))]
pub fn forget_fakes() {
    FAKES.with_borrow_mut(std::collections::HashMap::clear);
}
