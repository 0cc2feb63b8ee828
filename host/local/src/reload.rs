//! Changed components become the live rules, whole sets at a time. Broken ones are told of, and what was there goes on.

use crate::clock::nanoseconds;
use crate::staging::Staging;
use crate::stop::Stop;
use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use notify::{RecursiveMode, Watcher};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};
use streamalert_pipeline::live::{Base, Live};
use streamalert_pipeline::plugin::{PluginSet, RulePlugin};

/// How long the folder must be quiet: a build writes several files, a copy writes one in pieces.
const QUIET: Duration = Duration::from_millis(50);
/// However busy the folder is, changes are live within a second.
const QUIET_MAX: Duration = Duration::from_millis(500);
/// Network drives and containers give no notice; looking costs one `readdir`.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A folder of components.
pub trait PluginSource: Send {
    /// Reads the folder. A component that is refused stays what it was.
    fn load(&mut self) -> Loaded;
    /// An older version of a component of rules, from its bytes.
    fn load_version(&mut self, name: &str, bytes: &[u8]) -> Result<Arc<dyn RulePlugin>, String> {
        let _ = bytes;
        Err(format!("older versions of {name} cannot be loaded here"))
    }
}

pub struct Loaded {
    pub set: PluginSet,
    /// For a person: what came, went, changed or was refused.
    pub notices: Vec<String>,
}

/// Loads the folder whenever it changes, until `stop`.
pub fn start(
    folder: &Path,
    mut source: Box<dyn PluginSource>,
    live: Arc<ArcSwap<Live>>,
    base: Base,
    staging: Staging,
    stop: Stop,
    mut tell: impl FnMut(&str) + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let folder = folder.to_path_buf();
    let mut seen = look(&folder);
    thread::Builder::new().name("reload".into()).spawn(move || {
        let changes = watch(&folder);
        // Something may have changed between the first load and our looking.
        let mut first = true;
        while !stop.is_requested() {
            let noticed = !first && wait_for_change(&changes);
            let now = look(&folder);
            if !noticed && now == seen && !first {
                continue;
            }
            first = false;
            seen = now;
            let loaded = source.load();
            let before = live.load_full();
            loaded.notices.iter().for_each(|notice| tell(notice));
            if digests(&loaded.set) == digests(&before.rules.plugins) {
                continue;
            }
            // What is new goes on trial before it is live, and not after.
            match staging.settle(&loaded.set, Some(&before), source.as_mut(), &mut tell) {
                Ok(older) => {
                    let (now, faults) = Live::new(loaded.set, &base, Some(&before));
                    live.store(Arc::new(now.beside(older, nanoseconds)));
                    faults.iter().for_each(|fault| tell(&fault.to_string()));
                }
                Err(error) => {
                    let cause = error.source.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
                    tell(&format!("error: {error}{cause}; what was live stays, and it is tried again"));
                    first = true;
                    thread::sleep(LOOK_EVERY);
                }
            }
        }
    })
}

/// Waits for the next look. Says whether there was a change, and then until it is over.
fn wait_for_change(changes: &Option<Watch>) -> bool {
    let Some(changes) = changes else {
        thread::sleep(LOOK_EVERY);
        return false;
    };
    match changes.woken.recv_timeout(LOOK_EVERY) {
        Ok(()) => {}
        Err(RecvTimeoutError::Timeout) => return false,
        Err(RecvTimeoutError::Disconnected) => {
            thread::sleep(LOOK_EVERY);
            return false;
        }
    }
    let begun = std::time::Instant::now();
    while begun.elapsed() < QUIET_MAX && changes.woken.recv_timeout(QUIET).is_ok() {}
    true
}

struct Watch {
    woken: Receiver<()>,
    _watcher: notify::RecommendedWatcher,
}

fn watch(folder: &Path) -> Option<Watch> {
    // One place: a wish to look needs no number.
    let (wake, woken) = bounded(1);
    let heard = move |event: notify::Result<notify::Event>| {
        // Our own reading is no change.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = wake.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(heard).ok()?;
    watcher.watch(folder, RecursiveMode::NonRecursive).ok()?;
    Some(Watch { woken, _watcher: watcher })
}

/// What can be seen of components without reading them.
fn look(folder: &Path) -> BTreeMap<PathBuf, (u64, Option<SystemTime>)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let components = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "wasm"));
    components
        .filter_map(|path| {
            let file = std::fs::metadata(&path).ok()?;
            Some((path, (file.len(), file.modified().ok())))
        })
        .collect()
}

fn digests(set: &PluginSet) -> Vec<(String, String)> {
    let rules = set.plugins.iter().map(|plugin| (plugin.name(), plugin.digest()));
    let parsers = set.parsers.iter().map(|parser| (parser.name(), parser.digest()));
    rules.chain(parsers).map(|(name, digest)| (name.to_owned(), digest.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule_table::RuleFile;
    use std::fs;
    use std::time::Instant;
    use streamalert_pipeline::plugin::{Batch, RuleInfo, RuleSession};

    /// A component that is only its text.
    struct Text(String, String);

    impl RulePlugin for Text {
        fn name(&self) -> &str {
            &self.0
        }
        fn digest(&self) -> &str {
            &self.1
        }
        fn rules(&self) -> &[RuleInfo] {
            &[]
        }
        fn open<'a>(&'a self, _batch: &'a Arc<Batch>) -> Box<dyn RuleSession + 'a> {
            unreachable!("it has no rules")
        }
    }

    /// Keeps the last good text of each file, as the real folder does; `broken` is refused.
    struct Texts(PathBuf, BTreeMap<String, String>);

    impl PluginSource for Texts {
        fn load(&mut self) -> Loaded {
            let mut notices = Vec::new();
            for path in look(&self.0).into_keys() {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                match fs::read_to_string(&path).unwrap() {
                    text if text == "broken" => notices.push(format!("{name} is refused")),
                    text => drop(self.1.insert(name, text)),
                }
            }
            self.1.retain(|name, _| self.0.join(name).exists());
            let plugin =
                |(name, text): (&String, &String)| Arc::new(Text(name.clone(), text.clone())) as Arc<dyn RulePlugin>;
            Loaded { set: PluginSet { plugins: self.1.iter().map(plugin).collect(), ..PluginSet::default() }, notices }
        }
    }

    #[test]
    fn changes_are_live_within_a_second_and_broken_ones_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let base = Base::default();
        let rules = Arc::new(ArcSwap::from_pointee(Live::new(PluginSet::default(), &base, None).0));
        let (stop, told) = (Stop::default(), Arc::new(std::sync::Mutex::new(Vec::new())));
        let tell = {
            let told = told.clone();
            move |notice: &str| told.lock().unwrap().push(notice.to_owned())
        };
        let source = Box::new(Texts(folder.path().to_path_buf(), BTreeMap::new()));
        let data = tempfile::tempdir().unwrap();
        let table = RuleFile::new(data.path().join("rules.json"));
        let staging = Staging::new(None, table, folder.path(), data.path(), false);
        let thread = start(folder.path(), source, rules.clone(), base, staging, stop.clone(), tell).unwrap();
        let live = |expected: &[(&str, &str)]| {
            let expected: Vec<_> =
                expected.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
            let begun = Instant::now();
            while digests(&rules.load().rules.plugins) != expected {
                assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", digests(&rules.load().rules.plugins));
                thread::sleep(Duration::from_millis(5));
            }
        };
        fs::write(at("a.wasm"), "one").unwrap();
        live(&[("a.wasm", "one")]);
        fs::write(at("b.wasm"), "two").unwrap();
        fs::write(at("README.md"), "not a component").unwrap();
        live(&[("a.wasm", "one"), ("b.wasm", "two")]);
        fs::write(at("a.wasm"), "broken").unwrap();
        let begun = Instant::now();
        while told.lock().unwrap().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(1));
            thread::sleep(Duration::from_millis(5));
        }
        live(&[("a.wasm", "one"), ("b.wasm", "two")]);
        fs::write(at("new"), "three").unwrap();
        fs::rename(at("new"), at("a.wasm")).unwrap();
        live(&[("a.wasm", "three"), ("b.wasm", "two")]);
        fs::remove_file(at("b.wasm")).unwrap();
        live(&[("a.wasm", "three")]);
        stop.request();
        thread.join().unwrap();
    }
}
