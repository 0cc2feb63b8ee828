//! Repositories made for StreamAlert 3, brought over by `streamalert import streamalert`: their rules run as they are.
//!
//! It takes Python and componentize-py; where they are not, these tests say so and do nothing.

use crate::python::{checkout, exits, has_toolchain};
use crate::reference;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use streamalert_plugins::{Host, HostConfig, LoadCheck};

/// The program in a folder of its own; compiled code lies there, too, since no two components of Python are the same.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(crate::run_world::program());
        command.args(arguments).current_dir(self.0.path()).env("NO_COLOR", "1").env("XDG_CACHE_HOME", self.at("cache"));
        command.output().unwrap()
    }

    fn import(&self, repository: &Path) -> Output {
        self.run(&["import", "streamalert", &repository.display().to_string(), "--output", "json"])
    }

    /// All cases that came along, against all that was made.
    fn cases(&self) -> Output {
        self.run(&["test", "imported/cases", "--plugins", "imported/plugins", "--config", "imported/conf"])
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            // The content alone: the original may be read-only.
            false => std::fs::write(&target, std::fs::read(&path).unwrap()).unwrap(),
        }
    }
}

fn rule<'a>(report: &'a Value, name: &str) -> &'a Value {
    let rules = report["rules"].as_array().unwrap();
    rules.iter().find(|rule| rule["rule"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

#[test]
fn a_repository_with_one_of_everything() {
    if !has_toolchain() {
        return;
    }
    let place = Place::new();
    // A file is broken, and a rule has no logs.
    let report = exits(place.import(&checkout().join("tests/import/acme")), 1);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["broken"][0]["file"], "rules/odd/broken.py");
    let left: Vec<_> =
        report["left_out"].as_array().unwrap().iter().map(|left| left["rule"].as_str().unwrap()).collect();
    assert_eq!(left, ["too_noisy", "window_open"]);
    assert_eq!(
        report["publishers"],
        json!(["publishers.acme.layout.Signed", "publishers.acme.layout.breaks", "publishers.acme.layout.shout"])
    );
    assert_eq!(report["hosts_own_publishers"], json!(["publishers.community.generic.add_record"]));

    // What rules compare is asked by the prefilter.
    assert_eq!(
        rule(&report, "failed_for_a_reason")["when"],
        json!([
            "equals('name', ['failed'])",
            "equals('detail.reason', ['expired', 'locked'])",
            r"exists('detail.client\\.name')"
        ])
    );
    assert_eq!(
        rule(&report, "staff_without_second_factor")["when"],
        json!(["equals('user.role', ['guard', 'porter'])"])
    );
    // But not where one rule writes what another reads.
    assert_eq!(rule(&report, "marked")["when"], json!([]));
    let notes = rule(&report, "marked")["notes"].to_string();
    assert!(notes.contains("marks_the_record writes into the same records"), "{notes}");

    // What decorators said.
    let inspected = exits(place.run(&["inspect", "imported/plugins/rules.wasm", "--output", "json"]), 0);
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    let options = |name: &str| {
        let rules = inspected["rules"].as_array().unwrap();
        rules.iter().find(|rule| rule["name"] == name).unwrap()["options"].clone()
    };
    let staff = options("staff_without_second_factor");
    assert_eq!(staff["merge"], json!({"by": ["name", "role"], "minutes": 10080}));
    assert_eq!(staff["context"], json!({"team": "unknown", "spare": 1}));
    let chain = ["blank", "publishers.community.generic.add_record", "publishers.acme.layout.shout"];
    assert_eq!(staff["publishers"], json!(chain));
    let root = options("root_at_night");
    assert_eq!(root["outputs"], json!(["slack:security"]));
    let slack = json!({"slack": ["default", "publishers.acme.layout.Signed"], "slack:security": ["publishers.acme.layout.shout"]});
    assert_eq!(root["publishers"], slack);
    assert_eq!(options("evil_address")["datatypes"], json!(["sourceAddress"]));

    // Its own test events, publications among them.
    let tested = exits(place.cases(), 0);
    assert!(tested.contains("15 passed"), "{tested}");

    // What a rule made of its context, and where its alert goes besides.
    std::fs::create_dir_all(place.at("imported/conf/lookup_tables")).unwrap();
    std::fs::write(place.at("imported/conf/lookup_tables/teams.json"), r#"{"gus": "team_south"}"#).unwrap();
    let login = json!({"time": 1, "name": "ok", "user": {"name": "gus", "role": "guard"}, "source_ip": "192.0.2.1"});
    std::fs::write(place.at("login.json"), login.to_string()).unwrap();
    let explained = place.run(&[
        "explain",
        "--rule=staff_without_second_factor",
        "--record=login.json",
        "--plugins=imported/plugins",
        "--config=imported/conf",
        "--output=json",
    ]);
    let explained: Value = serde_json::from_str(&exits(explained, 0)).unwrap();
    let asked = &explained["asked"];
    assert_eq!(asked["context"], json!({"team": "guard", "spare": null, "asked": true}), "{explained:#}");
    assert_eq!(asked["outputs"], json!(["pagerduty-v2:oncall", "slack:team_south"]));
    assert!(
        asked["logs"].to_string().contains("dynamic output fails of staff_without_second_factor failed"),
        "{asked}"
    );

    // The configuration, and what is said of it.
    let outputs: Value =
        serde_json::from_slice(&std::fs::read(place.at("imported/conf/outputs.json")).unwrap()).unwrap();
    assert_eq!(outputs["aws-sns"]["guards"]["settings"]["topic"], "arn:aws:sns:eu-central-1:111122223333:acme-guards");
    assert_eq!(outputs["pagerduty-v2"]["oncall"]["hosts"], json!(["events.pagerduty.com"]));
    let schemas = "conf/schemas/acme.json";
    let same = |path: PathBuf| std::fs::read(path).unwrap();
    assert_eq!(same(place.at("imported").join(schemas)), same(checkout().join("tests/import/acme").join(schemas)));
    let text = std::fs::read_to_string(place.at("imported/REPORT.md")).unwrap();
    for part in [
        "`rules/odd/broken.py`: ModuleNotFoundError: No module named 'acme_secret_library' (rules/odd/broken.py, line 4)",
        "make conf/lookup_tables/teams.json of the object s3://acme-tables/teams.json",
        "modules.kinesis is not brought over",
        "expects too_noisy, which is not there, and no longer does",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }

    publishers_run_and_fail_by_themselves(&place);
    what_is_no_import_is_left_alone(&place);
}

fn publishers_run_and_fail_by_themselves(place: &Place) {
    let bytes = std::fs::read(place.at("imported/plugins/publishers.wasm")).unwrap();
    let cache_dir = Some(place.at("cache/streamalert/compiled"));
    let host = Host::new(HostConfig { cache_dir, ..HostConfig::default() }).unwrap();
    let component = host.load_publishers("publishers.wasm", &bytes, &LoadCheck::any_log()).unwrap();
    use streamalert_pipeline::plugin::PublisherPlugin;
    let number = |name: &str| component.publishers().iter().position(|found| found.name.ends_with(name)).unwrap();
    assert_eq!(component.publishers()[number("shout")].description, "The rule's name in capitals.");
    let alert = json!({
        "id": "1", "rule_name": "root_at_night", "rule_description": "author: north\ndescription: Root.", "created": "2026-01-02T03:04:05Z",
        "cluster": "office", "log_source": "acme:login", "log_type": "json", "outputs": ["slack:security"], "publishers": null,
        "source": {"service": "kinesis", "resource": "s", "object": ""}, "context": {}, "record": {"a": 1}, "staged": false,
    });
    let publish =
        |name: &str| component.publish(number(name), &alert.to_string(), r#"{"a": 1}"#, "slack:security").unwrap();
    assert_eq!(Value::Object(publish("shout").unwrap()), json!({"a": 1, "@slack.text": "ROOT_AT_NIGHT"}));
    assert_eq!(
        Value::Object(publish("Signed").unwrap()),
        json!({"a": 1, "signed": "north, 2026", "keys": ["a", "signed"]})
    );
    let failed = publish("breaks").unwrap_err();
    assert!(failed.starts_with("KeyError: 'what is not there' in breaks (layout.py, line "), "{failed}");
    // The next is published as ever.
    assert!(publish("shout").is_ok());
}

fn what_is_no_import_is_left_alone(place: &Place) {
    let other = place.at("other");
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(other.join("mine.txt"), "mine").unwrap();
    let acme = checkout().join("tests/import/acme").display().to_string();
    let refused = place.run(&["import", "streamalert", &acme, "--out", "other"]);
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("other holds something else than an import"), "{told}");
    assert_eq!(std::fs::read_dir(&other).unwrap().count(), 1);
    let refused = place.run(&["import", "streamalert", "other"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("other has no conf/"));
}

/// The events that came with StreamAlert, against rules of our own under the names that these events expect.
#[test]
fn rules_trigger_on_the_reference_events_as_they_did() {
    let Some(original) = reference::folder("streamalert") else { return };
    if !has_toolchain() {
        return;
    }
    let place = Place::new();
    let repository = place.at("repository");
    copy(&checkout().join("tests/import/reference"), &repository);
    copy(&original.join("conf"), &repository.join("conf"));
    copy(&original.join("schemas"), &repository.join("conf/schemas"));
    copy(&original.join("events/rules"), &repository.join("rules"));
    // Packages that these rules do not need.
    let global = repository.join("conf/global.json");
    let mut value: Value = serde_json::from_slice(&std::fs::read(&global).unwrap()).unwrap();
    value["general"]["third_party_libraries"] = json!([]);
    std::fs::write(&global, value.to_string()).unwrap();

    let report: Value = serde_json::from_str(&exits(place.import(&repository), 0)).unwrap();
    let expected = reference::lines(original.join("actual-rules.jsonl"));
    let triggered: std::collections::BTreeSet<&str> = expected
        .iter()
        .flat_map(|row| row["triggered_rules"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(
        report["rules"].as_array().unwrap().len(),
        triggered.len(),
        "each rule that triggers is there: {triggered:?}"
    );
    assert_eq!(report["cases"]["events"], expected.len());
    let tested = place.cases();
    let tested = exits(tested, 0);
    assert!(tested.contains(&format!("{} passed", expected.len())), "{tested}");
}
