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

    /// A tool that is a script, with the state it leaves in the folder `kept`.
    fn script(&self, text: &str) -> String {
        std::fs::create_dir_all(self.at("kept")).unwrap();
        let kept = self.at("kept").display().to_string();
        let path = self.at("script");
        std::fs::write(&path, format!("#!/bin/sh\nkept={kept}\n[ $1 = version ] && exit 0\n{text}")).unwrap();
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
    // What is to be typed next can be.
    let (code, said, _) = told(&place.run(&["init", "my conf", "--yes"]));
    assert!(code == 0 && said.contains("streamalert plan --config 'my conf' "), "{said}");
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
    assert_eq!(first_words(&calls), ["init", "output", "plan"]);
    assert!(calls[2].contains(&format!(" -var=conf={} ", place.at("acme").display())), "{calls:?}");
    assert!(calls[2].ends_with(&format!("conf={}", place.at("acme").display())), "{calls:?}");

    let (code, _, error) = with("deploy", &[]);
    assert!(code == 2 && error.contains("nobody can be asked here; --yes goes on without"), "{error}");
    assert_eq!(first_words(&place.calls()), ["output", "plan"], "nothing was applied");
    let (code, said, _) = with("deploy", &["--yes"]);
    assert_eq!(code, 0);
    assert!(said.contains("acme: 2 of 2 steps done"), "{said}");
    assert!(said.contains("rules_bucket: acme-rules") && !said.contains("secret"), "{said}");
    assert_eq!(first_words(&place.calls()), ["output", "plan", "apply", "output"]);
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
    assert_eq!(first_words(&place.calls()), ["init", "output", "plan"]);
    assert_eq!(with("deploy", &["--yes", "--lose-data"]).0, 0);
    assert!(first_words(&place.calls()).contains(&"apply"));

    let (code, _, error) = with("destroy", &["--yes", "other"]);
    assert!(code == 2 && error.contains("--yes names other, but this installation is acme"), "{error}");
    let calls = place.calls();
    assert!(first_words(&calls) == ["output", "plan"] && calls[1].contains("-destroy"), "{calls:?}");
    assert_eq!(with("destroy", &["--yes", "acme"]).0, 0);
    assert_eq!(first_words(&place.calls()), ["output", "plan", "apply"]);
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

const ONE: &str =
    r#"{"type":"planned_change","change":{"action":"create","resource":{"addr":"a.b","resource_type":"aws_x"}}}"#;

#[test]
fn a_state_of_another_installation_is_left_alone() {
    let place = Place::new();
    place.init();
    let script = |owner: &str| {
        place.script(&format!(
            "echo $1 >> $kept/calls\ncase $1 in\noutput) echo '{{\"prefix\": {{\"value\": \"{owner}\"}}}}' ;;\nplan) echo '{ONE}' ;;\nesac\n"
        ))
    };
    let other = script("other");
    for command in [&["plan"][..], &["deploy", "--yes", "--lose-data"], &["destroy", "--yes", "acme"]] {
        let arguments: Vec<&str> = command.iter().chain(&["--config", "acme", "--tool", &other]).copied().collect();
        let (code, _, error) = told(&place.run(&arguments));
        assert_eq!(code, 2, "{command:?}");
        assert!(error.contains("is of other, and the configuration is of acme"), "{error}");
        assert!(error.contains("workspace new acme` there, then TF_WORKSPACE=acme"), "{error}");
    }
    let calls = || std::fs::read_to_string(place.at("kept/calls")).unwrap();
    assert!(!calls().contains("plan") && !calls().contains("apply"), "{}", calls());
    let own = script("acme");
    let done = told(&place.run(&["destroy", "--yes", "acme", "--config", "acme", "--tool", &own]));
    assert!(done.0 == 0 && calls().ends_with("plan\napply\n"), "{done:?}");
}

#[test]
fn what_is_fetched_is_fetched_again_if_that_was_broken_off() {
    let place = Place::new();
    place.init();
    std::fs::create_dir(place.at("infra/.terraform")).unwrap();
    let fault = json!({"type": "diagnostic", "diagnostic": {"severity": "error", "summary": "Required plugins are not installed"}});
    let tool = place.script(&format!(
        "echo $1 >> $kept/calls\ncase $1 in\ninit) touch $kept/there ;;\nplan) [ -e $kept/there ] || {{ echo '{fault}'; exit 1; }} ;;\nesac\n"
    ));
    let (code, said, error) = told(&place.run(&["plan", "--config", "acme", "--tool", &tool]));
    assert!(code == 0 && said.contains("nothing to change"), "{error}");
    let calls = std::fs::read_to_string(place.at("kept/calls")).unwrap();
    assert_eq!(calls, "output\nplan\ninit\noutput\nplan\n");
    // Once only.
    let tool = place.script(&format!("echo $1 >> $kept/again\n[ $1 != plan ] || {{ echo '{fault}'; exit 1; }}\n"));
    let (code, _, error) = told(&place.run(&["plan", "--config", "acme", "--tool", &tool]));
    assert!(code == 1 && error.contains("Required plugins"), "{error}");
    let calls = std::fs::read_to_string(place.at("kept/again")).unwrap();
    assert_eq!(calls, "output\nplan\ninit\noutput\nplan\n");
}

#[test]
fn an_interrupted_tool_and_one_that_says_nonsense_write_their_state() {
    let place = Place::new();
    place.init();
    let apply = "trap 'sleep 0.5; echo {}; echo late >&2; touch $kept/state; exit 1' INT\n\
                 printf 'no text: \\377\\n'; head -c 200000 /dev/zero | tr '\\0' '\\377' >&2; touch $kept/begun\n\
                 n=0; while [ $n -lt 300 ]; do sleep 0.1; n=$((n+1)); done";
    let tool = place.script(&format!("case $1 in\nplan) echo '{ONE}' ;;\napply) {apply} ;;\nesac\n"));
    let mut command = Command::new(program());
    command.args(["deploy", "--config", "acme", "--tool", &tool, "--yes"]).current_dir(place.at("."));
    // As a terminal does: all of the group are told.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let group = format!("-{}", child.id());
    let begun = std::time::Instant::now();
    while !place.at("kept/begun").exists() {
        assert!(begun.elapsed().as_secs() < 60, "the tool was not called");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
    let (code, _, error) = told(&child.wait_with_output().unwrap());
    assert!(place.at("kept/state").exists(), "{error}");
    assert!(code == 1 && error.contains("0 of 1 steps were done") && error.contains("late"), "{code}: {error}");
}

/// Exit code of a command on a terminal, and what it shows; each answer is typed when its question is there. `None` without python3.
fn on_terminal(place: &Place, arguments: &[&str], answers: &[(&str, &str)]) -> Option<(i32, String)> {
    let answers = json!(answers).to_string();
    let output = Command::new("python3")
        .args(["-c", include_str!("deploying/terminal.py"), &answers])
        .arg(program())
        .args(arguments)
        .current_dir(place.at("."))
        .env_remove("AWS_REGION")
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        eprintln!("skipped: python3 is not here");
        return None;
    };
    let (code, said, error) = told(&output);
    assert!(error.is_empty(), "{error}");
    Some((code, said))
}

#[test]
fn somebody_who_sits_there_is_asked() {
    let place = Place::new();
    let answers = [
        ("Prefix of all names [asked-1]", "acme"),
        ("Region [us-east-1]", "eu-west-1"),
        ("[acme-streamalert-logs]", ""),
        ("[cloudtrail]", "cloudtrail, okta"),
        ("Let CloudTrail log this account into it? [y/N]", "yes"),
    ];
    let Some((code, shown)) = on_terminal(&place, &["init", "Asked 1"], &answers) else { return };
    assert_eq!(code, 0, "{shown}");
    assert_eq!(place.json("Asked 1/aws.json"), json!({"prefix": "acme", "region": "eu-west-1", "alias": "live"}));
    let cluster = place.json("Asked 1/clusters/prod.json");
    assert_eq!(cluster["data_sources"], json!({"s3": {"acme-streamalert-logs": ["cloudtrail", "okta"]}}));
    assert!(cluster["infrastructure"]["cloudtrail"].is_object());

    let deployed = |changes: &[(&str, &str)], question: &str, answer: &str| {
        let tool = place.tool(changes, None);
        let arguments = ["deploy", "--config", "Asked 1", "--tool", &tool];
        let (code, shown) = on_terminal(&place, &arguments, &[(question, answer)]).unwrap();
        assert!(shown.contains(question), "{shown}");
        assert_eq!(code == 0, place.calls().iter().any(|call| call.starts_with("apply")), "{shown}");
        (code, shown)
    };
    let made = [("aws_lambda_function", "create")];
    let lost = [("aws_dynamodb_table", "delete")];
    let (code, shown) = deployed(&made, "Go on? [y/N]", "y");
    assert!(code == 0 && shown.contains("1 of 1 steps done"), "{shown}");
    // The progress of what is under way.
    assert!(shown.contains("module.m.aws_lambda_function.one"), "{shown}");
    assert_eq!(deployed(&made, "Go on? [y/N]", "").0, 2);
    // What cannot be made again is lost only by typing whose it is.
    let question = "Stored data will be lost: module.m.aws_dynamodb_table.one.";
    assert_eq!(deployed(&lost, question, "y").0, 2);
    assert_eq!(deployed(&lost, question, "acme").0, 0);
}
