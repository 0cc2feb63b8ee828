//! Components whose code is fetched when they are asked something: once, again after a failure, and never without a check.

use crate::guest::{EVERY_ROW, Guest, NOTHING};
use crate::{batch, host, limits};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use streamalert_pipeline::plugin::{PluginErrorKind as Kind, PluginSet, RulePlugin};
use streamalert_plugins::lazy::{Description, Fetch, FetchError, LazyPlugin, Loader};
use streamalert_plugins::{CodeKey, Compiler, LoadCheck, Target};

/// What lies where, and how often it was fetched.
#[derive(Default)]
struct Store {
    code: Mutex<HashMap<String, Vec<u8>>>,
    wasm: Mutex<HashMap<String, Vec<u8>>>,
    codes: AtomicU64,
    wasms: AtomicU64,
    down: Mutex<Option<&'static str>>,
    slow: Mutex<Duration>,
}

impl Store {
    fn answer(&self) -> Result<(), FetchError> {
        let slow = *self.slow.lock().unwrap();
        thread::sleep(slow);
        match *self.down.lock().unwrap() {
            Some(why) => Err(why.into()),
            None => Ok(()),
        }
    }
}

impl Fetch for Store {
    fn code(&self, target: Target, digest: &str) -> Result<Option<Vec<u8>>, FetchError> {
        self.codes.fetch_add(1, Ordering::SeqCst);
        self.answer()?;
        assert_eq!(Some(target), Target::native());
        Ok(self.code.lock().unwrap().get(digest).cloned())
    }

    fn wasm(&self, digest: &str) -> Result<Vec<u8>, FetchError> {
        self.wasms.fetch_add(1, Ordering::SeqCst);
        self.answer()?;
        self.wasm.lock().unwrap().get(digest).cloned().ok_or_else(|| "there is no such object".into())
    }
}

struct World {
    store: Arc<Store>,
    loader: Arc<Loader>,
    key: CodeKey,
}

impl World {
    fn new() -> Self {
        let key = CodeKey::read(&"7f".repeat(32)).unwrap();
        let store = Arc::new(Store::default());
        let loader = Loader::new(host(), store.clone(), Some(key.clone()));
        World { store, loader, key }
    }

    /// Puts a component into the store, and hands out what stands for it.
    fn put(&self, guest: &Guest) -> LazyPlugin {
        let wasm = guest.build();
        let compiled = Compiler::new(Target::native().unwrap(), &limits()).unwrap().compile(&wasm).unwrap();
        let plugin = host().load_compiled("guest.wasm", &compiled, &LoadCheck::any_log()).unwrap();
        let digest = compiled.digest().to_owned();
        self.store.code.lock().unwrap().insert(digest.clone(), compiled.seal(&self.key));
        self.store.wasm.lock().unwrap().insert(digest.clone(), wasm);
        let description = Description::of(&plugin);
        let described = description.digest();
        // As it comes out of an index.
        let text = serde_json::to_string(&description).unwrap();
        let read: Description = serde_json::from_str(&text).unwrap();
        assert_eq!(read, description);
        self.loader.plugin("guest.wasm", &digest, read, &described)
    }

    fn fetched(&self) -> (u64, u64) {
        (self.store.codes.load(Ordering::SeqCst), self.store.wasms.load(Ordering::SeqCst))
    }
}

fn rules(plugin: &LazyPlugin) -> Arc<dyn RulePlugin> {
    let mut set = PluginSet::default();
    plugin.join(&mut set);
    set.plugins.pop().unwrap()
}

#[test]
fn code_comes_with_the_first_row_and_once_for_many_threads() {
    let world = World::new();
    let lazy = world.put(&Guest { rules: vec![("good", EVERY_ROW), ("calm", NOTHING)], ..Guest::default() });
    let rules = rules(&lazy);
    assert_eq!(rules.rules().iter().map(|rule| &*rule.name).collect::<Vec<_>>(), ["good", "calm"]);
    assert!(!lazy.is_loaded());
    *world.store.slow.lock().unwrap() = Duration::from_millis(50);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let batch = batch(4);
                let mut session = rules.open(&batch);
                assert_eq!(session.evaluate(0, &[1, 2]).unwrap().findings.len(), 2);
                assert_eq!(session.evaluate(1, &[1, 2]).unwrap().findings.len(), 0);
            });
        }
    });
    assert!(lazy.is_loaded());
    assert_eq!(world.fetched(), (1, 0));
    let counts = world.loader.counts();
    assert_eq!((counts.loaded, counts.compiled, counts.failures, counts.distrusted), (1, 0, 0, 0));
}

#[test]
fn many_components_come_side_by_side() {
    let world = World::new();
    let names: Vec<String> = (0..12).map(|n| format!("rule-{n}")).collect();
    let all: Vec<LazyPlugin> =
        names.iter().map(|name| world.put(&Guest { rules: vec![(name, EVERY_ROW)], ..Guest::default() })).collect();
    *world.store.slow.lock().unwrap() = Duration::from_millis(200);
    let begun = Instant::now();
    let all: Vec<_> = all.iter().map(rules).collect();
    all.iter().for_each(|rules| rules.prepare());
    let batch = batch(1);
    for rules in &all {
        assert_eq!(rules.open(&batch).evaluate(0, &[0]).unwrap().findings.len(), 1);
    }
    assert!(begun.elapsed() < Duration::from_millis(12 * 200), "{:?}", begun.elapsed());
}

#[test]
fn a_store_that_is_down_fails_the_call_and_a_later_call_tries_again() {
    let world = World::new();
    let rules = rules(&world.put(&Guest::default()));
    *world.store.down.lock().unwrap() = Some("connection refused");
    let batch = batch(4);
    let mut session = rules.open(&batch);
    for failures in 1..4 {
        let error = session.evaluate(0, &[0]).unwrap_err();
        assert_eq!(error.kind, Kind::HostCall);
        assert!(error.message.contains("load guest.wasm") && error.message.contains("connection refused"), "{error}");
        assert_eq!(world.loader.failures(), failures);
    }
    assert_eq!(world.fetched().0, 1, "rows do not ask a store that was down just now");
    *world.store.down.lock().unwrap() = None;
    thread::sleep(Duration::from_millis(1100));
    assert_eq!(session.evaluate(0, &[0]).unwrap().findings.len(), 1);
    assert_eq!((world.fetched(), world.loader.failures()), ((2, 0), 3));
}

#[test]
fn a_call_waits_no_longer_than_it_may_and_what_came_late_is_there_for_the_next() {
    let world = World::new();
    let lazy = world.put(&Guest::default());
    let rules = rules(&lazy);
    *world.store.slow.lock().unwrap() = Duration::from_millis(400);
    world.loader.wait_until(Instant::now() + Duration::from_millis(20));
    let begun = Instant::now();
    let batch = batch(4);
    let error = rules.open(&batch).evaluate(0, &[0]).unwrap_err();
    assert!(begun.elapsed() < Duration::from_millis(300), "{:?}", begun.elapsed());
    assert!(error.message.contains("not loaded in time"), "{error}");
    assert_eq!(world.loader.failures(), 1);
    world.loader.wait_until(Instant::now() + Duration::from_secs(20));
    assert_eq!(rules.open(&batch).evaluate(0, &[0]).unwrap().findings.len(), 1);
    assert_eq!(world.fetched(), (1, 0));
}

#[test]
fn code_that_was_touched_is_not_run_but_compiled_anew() {
    let world = World::new();
    let lazy = world.put(&Guest::default());
    let last = |code: &mut HashMap<String, Vec<u8>>| *code.get_mut(lazy.digest()).unwrap().last_mut().unwrap() ^= 1;
    last(&mut world.store.code.lock().unwrap());
    let batch = batch(4);
    assert_eq!(rules(&lazy).open(&batch).evaluate(0, &[0, 1]).unwrap().findings.len(), 2);
    let counts = world.loader.counts();
    assert_eq!((counts.distrusted, counts.compiled, counts.failures), (1, 1, 0));
}

#[test]
fn without_compiled_code_or_a_key_the_component_is_compiled_here() {
    let world = World::new();
    let lazy = world.put(&Guest::default());
    world.store.code.lock().unwrap().clear();
    let batch = batch(4);
    assert_eq!(rules(&lazy).open(&batch).evaluate(0, &[0]).unwrap().findings.len(), 1);
    assert_eq!((world.fetched(), world.loader.counts().compiled), ((1, 1), 1));

    let mut world = World::new();
    world.loader = Loader::new(host(), world.store.clone(), None);
    let lazy = world.put(&Guest::default());
    assert_eq!(rules(&lazy).open(&batch).evaluate(0, &[0]).unwrap().findings.len(), 1);
    assert_eq!(world.fetched(), (0, 1));
}

#[test]
fn another_component_in_its_place_is_refused_and_nobody_waits_for_a_better_one() {
    let other = Guest { rules: vec![("other", EVERY_ROW)], ..Guest::default() };
    let batch = batch(4);
    let refused = |world: &World, lazy: &LazyPlugin, says: &str| {
        let error = rules(lazy).open(&batch).evaluate(0, &[0]).unwrap_err();
        assert_eq!(error.kind, Kind::HostCall);
        assert!(error.message.contains(says), "{error}");
        // The rows become dead letters: their batch would fail for ever.
        assert_eq!(world.loader.failures(), 0);
    };
    // Another file under its digest.
    let world = World::new();
    let lazy = world.put(&Guest::default());
    world.store.code.lock().unwrap().clear();
    world.store.wasm.lock().unwrap().insert(lazy.digest().to_owned(), other.build());
    refused(&world, &lazy, "what lies in its place has the digest");

    // The description of another one.
    let world = World::new();
    let (lazy, theirs) = (world.put(&Guest::default()), world.put(&other));
    let description = Description::Rules(rules(&theirs).rules().to_vec());
    let described = description.digest();
    let liar = world.loader.plugin("guest.wasm", lazy.digest(), description, &described);
    refused(&world, &liar, "describes itself otherwise");
}
