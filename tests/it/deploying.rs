//! `init`, `generate`, `plan`, `deploy`, `destroy`: what is written, what is asked before anything is lost, and what is told. A script
//! stands for Terraform; infra/ itself is checked by tests/infra.sh.

use crate::run_world::program;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Place { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(place.at("infra")).unwrap();
        std::fs::write(place.at("infra/main.tf"), "").unwrap();
        place
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(program())
            .args(arguments)
            .current_dir(self.dir.path())
            .env_remove("AWS_REGION")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn init(&self) {
        let output = self.run(&["init", "acme", "--yes", "--region", "eu-west-1"]);
        assert_eq!(told(&output).0, 0, "{:?}", told(&output));
    }

    /// A tool that notes what it is called with, plans `changes`, and fails to apply if `error` is said.
    fn tool(&self, changes: &[(&str, &str)], error: Option<&str>) -> String {
        let line = |(kind, action): &(&str, &str)| {
            let resource = json!({"addr": format!("module.m.{kind}.one"), "resource_type": kind});
            json!({"type": "planned_change", "change": {"resource": resource, "action": action}}).to_string()
        };
        let planned: Vec<String> = changes.iter().map(line).collect();
        let done = |(kind, _): &(&str, &str)| {
            let resource = json!({"addr": format!("module.m.{kind}.one")});
            let event = |what: &str| json!({"type": what, "hook": {"resource": resource}}).to_string();
            format!("{}\n{}", event("apply_start"), event("apply_complete"))
        };
        let mut applied: Vec<String> = changes.iter().map(done).collect();
        let mut code = 0;
        if let Some(error) = error {
            applied.truncate(1);
            let diagnostic = json!({"severity": "error", "summary": error, "address": "module.m.x"});
            applied.push(json!({"type": "diagnostic", "diagnostic": diagnostic}).to_string());
            code = 1;
        }
        std::fs::write(self.at("planned"), planned.join("\n") + "\n").unwrap();
        std::fs::write(self.at("applied"), applied.join("\n") + "\n").unwrap();
        let calls = self.at("calls").display().to_string();
        let script = format!(
            "#!/bin/sh\necho \"$* conf=$TF_VAR_conf\" >> {calls}\ncase $1 in\n\
             init) mkdir -p .terraform ;;\n\
             plan) cat {planned} ;;\n\
             apply) cat {applied}; exit {code} ;;\n\
             output) echo '{{\"rules_bucket\": {{\"value\": \"acme-rules\", \"sensitive\": false}}, \"key\": {{\"value\": \"secret\", \"sensitive\": true}}}}' ;;\n\
             esac\n",
            planned = self.at("planned").display(),
            applied = self.at("applied").display(),
        );
        let path = self.at("tool");
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    /// Subcommands that the tool was called with, but for questions about its version.
    fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.at("calls")).unwrap_or_default();
        let _ = std::fs::remove_file(self.at("calls"));
        text.lines().filter(|line| !line.starts_with("version")).map(str::to_owned).collect()
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.at(path)).unwrap()).unwrap()
    }
}

/// Exit code, stdout, stderr.
fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

fn first_words(calls: &[String]) -> Vec<&str> {
    calls.iter().map(|call| call.split(' ').next().unwrap()).collect()
}

#[test]
fn a_first_configuration_is_written_and_can_be_read() {
    let place = Place::new();
    place.init();
    assert_eq!(place.json("acme/aws.json"), json!({"prefix": "acme", "region": "eu-west-1", "alias": "live"}));
    let cluster = place.json("acme/clusters/prod.json");
    assert_eq!(cluster["data_sources"], json!({"s3": {"acme-streamalert-logs": ["cloudtrail"]}}));
    assert_eq!(cluster["infrastructure"], json!({"s3": {"acme-streamalert-logs": {"create": true}}}));
    let check = place.run(&["schema", "check", "--config", "acme"]);
    assert_eq!(told(&check).0, 0, "{:?}", told(&check));

    // Nothing that is there is written over.
    let (code, _, error) = told(&place.run(&["init", "acme", "--yes"]));
    assert_eq!(code, 2);
    assert!(error.contains("acme is there already"), "{error}");
    // Of a bucket that is there nothing is made.
    let arguments = ["init", "b", "--yes", "--prefix", "two", "--bucket", "their-logs", "--logs", "okta,github:audit"];
    assert_eq!(told(&place.run(&arguments)).0, 0);
    let cluster = place.json("b/clusters/prod.json");
    assert_eq!(cluster["data_sources"], json!({"s3": {"their-logs": ["okta", "github:audit"]}}));
    assert_eq!(cluster["infrastructure"], json!({"s3": {"their-logs": {"create": false}}}));
    assert_eq!(place.json("b/aws.json")["region"], "us-east-1");
    // With a trail.
    assert_eq!(told(&place.run(&["init", "c", "--yes", "--trail"])).0, 0);
    let cluster = place.json("c/clusters/prod.json");
    assert_eq!(cluster["infrastructure"]["cloudtrail"], json!({"c-streamalert": {"bucket": "c-streamalert-logs"}}));
    for (arguments, why) in [
        (&["--prefix", "Acme"][..], "`Acme` is no prefix"),
        (&["--region", "mars"], "`mars` is no region"),
        (&["--bucket", "s3://x"], "`s3://x` is no name of a bucket"),
        (&["--logs", "nonsense"], "no schema defines nonsense; there are"),
        (&["--bucket", "their-logs", "--trail"], "--trail is for a bucket that is made"),
        (&["--logs", "okta", "--trail"], "--trail brings cloudtrail"),
    ] {
        let arguments: Vec<&str> = ["init", "d", "--yes"].iter().chain(arguments).copied().collect();
        let (code, _, error) = told(&place.run(&arguments));
        assert_eq!(code, 2, "{arguments:?}");
        assert!(error.contains(why), "{error}");
        assert!(!place.at("d").exists());
    }
}

#[test]
fn tables_follow_the_schemas() {
    let place = Place::new();
    place.init();
    let missing = told(&place.run(&["generate", "--config", "acme", "--check"]));
    assert_eq!(missing.0, 1);
    assert!(missing.2.contains("acme/generated/tables.json is not there"), "{}", missing.2);
    let (code, said, _) = told(&place.run(&["generate", "--config", "acme"]));
    assert!(code == 0 && said.contains("tables"), "{said}");
    let tables = place.json("acme/generated/tables.json");
    let columns = tables["tables"]["cloudtrail_events"]["columns"].as_array().unwrap();
    assert!(columns.contains(&json!({"name": "eventname", "type": "string", "key": "eventName"})), "{columns:?}");
    assert_eq!(told(&place.run(&["generate", "--config", "acme", "--check"])).0, 0);

    let schema = json!({"new:type": {"parser": "json", "schema": {"n": "integer"}}});
    std::fs::write(place.at("acme/schemas/new.json"), schema.to_string()).unwrap();
    let older = told(&place.run(&["generate", "--config", "acme", "--check"]));
    assert!(older.0 == 1 && older.2.contains("is older than the schemas"), "{}", older.2);
    // Whoever plans or deploys has them written anew.
    let tool = place.tool(&[], None);
    let planned = told(&place.run(&["plan", "--config", "acme", "--tool", &tool]));
    assert!(planned.0 == 0 && planned.1.contains("acme: nothing to change"), "{planned:?}");
    assert_eq!(place.json("acme/generated/tables.json")["tables"]["new_type"]["columns"][0]["type"], "bigint");
}

#[test]
fn what_is_planned_is_told_and_done_only_if_somebody_agrees() {
    let place = Place::new();
    place.init();
    let tool = place.tool(&[("aws_sqs_queue", "create"), ("aws_lambda_function", "update")], None);
    let here = ["--config", "acme", "--tool", &tool];
    let with = |command: &str, more: &[&str]| {
        let arguments: Vec<&str> = [command].iter().chain(&here).chain(more).copied().collect();
        told(&place.run(&arguments))
    };
    let (code, said, _) = with("plan", &[]);
    assert_eq!(code, 0);
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    let told_of =
        ["+ module.m.aws_sqs_queue.one", "~ module.m.aws_lambda_function.one", "acme: 1 to make, 1 to change"];
    assert_eq!(lines, told_of);
    let calls = place.calls();
    assert_eq!(first_words(&calls), ["init", "plan"]);
    assert!(calls[1].ends_with(&format!("conf={}", place.at("acme").display())), "{calls:?}");

    let (code, _, error) = with("deploy", &[]);
    assert!(code == 2 && error.contains("nobody can be asked here; --yes goes on without"), "{error}");
    assert_eq!(first_words(&place.calls()), ["plan"], "nothing was applied");
    let (code, said, _) = with("deploy", &["--yes"]);
    assert_eq!(code, 0);
    assert!(said.contains("acme: 2 of 2 steps done"), "{said}");
    assert!(said.contains("rules_bucket: acme-rules") && !said.contains("secret"), "{said}");
    assert_eq!(first_words(&place.calls()), ["plan", "apply", "output"]);
}

#[test]
fn stored_data_is_lost_only_by_name() {
    let place = Place::new();
    place.init();
    let tool = place.tool(&[("aws_dynamodb_table", "replace"), ("aws_sqs_queue", "create")], None);
    let here = ["--config", "acme", "--tool", &tool];
    let with = |command: &str, more: &[&str]| {
        let arguments: Vec<&str> = [command].iter().chain(&here).chain(more).copied().collect();
        told(&place.run(&arguments))
    };
    let (code, _, error) = with("deploy", &["--yes"]);
    assert!(code == 2 && error.contains("--lose-data"), "{error}");
    assert_eq!(first_words(&place.calls()), ["init", "plan"]);
    assert_eq!(with("deploy", &["--yes", "--lose-data"]).0, 0);
    assert!(first_words(&place.calls()).contains(&"apply"));

    let (code, _, error) = with("destroy", &["--yes", "other"]);
    assert!(code == 2 && error.contains("--yes names other, but this installation is acme"), "{error}");
    let calls = place.calls();
    assert!(first_words(&calls) == ["plan"] && calls[0].contains("-destroy"), "{calls:?}");
    assert_eq!(with("destroy", &["--yes", "acme"]).0, 0);
    assert_eq!(first_words(&place.calls()), ["plan", "apply"]);
}

#[test]
fn a_deploy_that_fails_says_what_and_how_far_it_came() {
    let place = Place::new();
    place.init();
    let tool = place.tool(&[("aws_sqs_queue", "create"), ("aws_iam_role", "create")], Some("AccessDenied: not you"));
    let (code, _, error) = told(&place.run(&["deploy", "--config", "acme", "--tool", &tool, "--yes"]));
    assert_eq!(code, 1);
    assert!(error.contains("1 of 2 steps were done: module.m.x: AccessDenied: not you"), "{error}");

    for (arguments, why) in [
        (&["--config", "acme", "--tool", "/does/not/exist"][..], "/does/not/exist does not run"),
        (&["--config", "nowhere", "--tool", &tool], "`streamalert init DIR` writes a first configuration"),
        (&["--config", "acme", "--tool", &tool, "--infra", "acme"], "acme is not the infrastructure's code"),
    ] {
        let arguments: Vec<&str> = ["plan"].iter().chain(arguments).copied().collect();
        let (code, _, error) = told(&place.run(&arguments));
        assert!(code == 2 && error.contains(why), "{error}");
    }
    // A tool that only prints nonsense is no plan.
    let broken = place.at("broken");
    std::fs::write(&broken, "#!/bin/sh\n[ $1 = version ] || { echo its own fault >&2; exit 3; }\n").unwrap();
    std::fs::set_permissions(&broken, std::fs::Permissions::from_mode(0o755)).unwrap();
    let arguments = ["plan", "--config", "acme", "--tool", &broken.display().to_string()];
    let (code, _, error) = told(&place.run(&arguments));
    assert!(code == 1 && error.contains("its own fault"), "{error}");
    assert!(Path::new(&broken).exists());
}
