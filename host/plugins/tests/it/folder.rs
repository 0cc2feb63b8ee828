//! A folder of components: what comes, changes and goes, and what a bad upload does not do.

use crate::guest::{EVERY_ROW, Guest, NOTHING};
use crate::host;
use std::fmt::Write;
use std::fs;
use streamalert_plugins::{LoadCheck, LoadReport, PluginFolder};

struct Folder {
    at: tempfile::TempDir,
    plugins: PluginFolder,
}

impl Folder {
    fn new() -> Self {
        Folder { at: tempfile::tempdir().unwrap(), plugins: PluginFolder::new(host()) }
    }

    fn put(&self, file: &str, bytes: &[u8]) {
        fs::write(self.at.path().join(file), bytes).unwrap();
    }

    /// A component of rules that answer by `body`.
    fn rules(&self, file: &str, names: &[&str], body: &str) {
        let rules = names.iter().map(|name| (*name, body)).collect();
        self.put(file, &Guest { rules, ..Guest::default() }.build());
    }

    fn remove(&self, file: &str) {
        fs::remove_file(self.at.path().join(file)).unwrap();
    }

    fn look(&mut self) -> LoadReport {
        self.plugins.load(self.at.path(), &LoadCheck::any_log()).unwrap()
    }

    /// What a look came to: `+loaded =kept -removed !refused(serving old)`, then the live rules.
    fn tell(&mut self) -> String {
        let report = self.look();
        let mut out = String::new();
        report.loaded.iter().for_each(|file| write!(out, "+{file} ").unwrap());
        report.kept.iter().for_each(|file| write!(out, "={file} ").unwrap());
        report.removed.iter().for_each(|file| write!(out, "-{file} ").unwrap());
        for refusal in &report.refused {
            let serving = if refusal.serving.is_some() { "(old)" } else { "" };
            let new = if refusal.new { "!" } else { "~" };
            write!(out, "{new}{}{serving} ", refusal.file).unwrap();
        }
        let rules: Vec<_> = report.set.plugins.iter().flat_map(|p| p.rules()).map(|r| r.name.as_str()).collect();
        write!(out, "| {}", rules.join(" ")).unwrap();
        assert_eq!(report.changed(), out.contains('+') || out.contains('-'));
        out
    }
}

#[test]
fn components_come_change_and_go() {
    let mut folder = Folder::new();
    assert_eq!(folder.tell(), "| ");
    folder.rules("b.wasm", &["b"], EVERY_ROW);
    folder.rules("a.wasm", &["a"], EVERY_ROW);
    folder.put("README.md", b"no component");
    folder.put(".c.wasm", b"on its way");
    folder.put("c.wasm.tmp", b"on its way");
    folder.put("c.wasm.part", b"on its way");
    assert_eq!(folder.tell(), "+a.wasm +b.wasm | a b");
    assert_eq!(folder.tell(), "=a.wasm =b.wasm | a b");
    folder.rules("a.wasm", &["a", "a2"], EVERY_ROW);
    assert_eq!(folder.tell(), "+a.wasm =b.wasm | a a2 b");
    folder.remove("b.wasm");
    assert_eq!(folder.tell(), "=a.wasm -b.wasm | a a2");
}

#[test]
fn a_broken_upload_leaves_the_old_version_live_and_is_told_once() {
    let mut folder = Folder::new();
    folder.rules("a.wasm", &["a"], EVERY_ROW);
    folder.look();
    let whole = Guest { rules: vec![("a", NOTHING)], ..Guest::default() }.build();
    folder.put("a.wasm", &whole[..whole.len() / 2]);
    assert_eq!(folder.tell(), "!a.wasm(old) | a");
    assert_eq!(folder.tell(), "~a.wasm(old) | a");
    folder.put("a.wasm", &whole);
    assert_eq!(folder.tell(), "+a.wasm | a");
    folder.put("new.wasm", b"no component");
    assert_eq!(folder.tell(), "=a.wasm !new.wasm | a");
}

#[test]
fn who_was_live_first_keeps_the_rule() {
    let mut folder = Folder::new();
    folder.rules("z.wasm", &["rule"], EVERY_ROW);
    folder.look();
    folder.rules("a.wasm", &["rule", "other"], EVERY_ROW);
    let report = folder.look();
    let refusal = &report.refused[0];
    assert_eq!(
        refusal.error.to_string(),
        "a.wasm: rule rule, name: z.wasm has a rule of this name already (rename the rule, or remove it from z.wasm)"
    );
    assert_eq!(folder.tell(), "=z.wasm ~a.wasm | rule");
    // A new version of the owner still is the owner.
    folder.rules("z.wasm", &["rule"], NOTHING);
    assert_eq!(folder.tell(), "+z.wasm ~a.wasm | rule");
    // When it goes, the newcomer gets its turn, though its file did not change.
    folder.remove("z.wasm");
    assert_eq!(folder.tell(), "+a.wasm -z.wasm | rule other");
}

#[test]
fn of_two_newcomers_the_first_by_name_wins() {
    let mut folder = Folder::new();
    folder.rules("b.wasm", &["rule"], EVERY_ROW);
    folder.rules("a.wasm", &["rule"], EVERY_ROW);
    assert_eq!(folder.tell(), "+a.wasm !b.wasm | rule");
}

#[test]
fn rules_move_between_files_in_one_step() {
    let mut folder = Folder::new();
    folder.rules("a.wasm", &["x"], EVERY_ROW);
    folder.rules("b.wasm", &["y"], EVERY_ROW);
    folder.look();
    folder.rules("a.wasm", &["y"], EVERY_ROW);
    folder.rules("b.wasm", &["x"], EVERY_ROW);
    assert_eq!(folder.tell(), "+a.wasm +b.wasm | y x");
}

#[test]
fn a_refusal_that_keeps_an_old_version_can_refuse_another() {
    let mut folder = Folder::new();
    folder.rules("a.wasm", &["x"], EVERY_ROW);
    folder.look();
    // The new `a` would free `x` for `b`, but it is broken: so `x` is still taken.
    folder.put("a.wasm", b"broken");
    folder.rules("b.wasm", &["x"], EVERY_ROW);
    assert_eq!(folder.tell(), "!a.wasm(old) !b.wasm | x");
}
