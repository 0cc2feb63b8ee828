//! `rollback` of the functions' code, by aliases of a stand-in's functions.

use crate::run_world::World;
use crate::standins::{Place, Standin, ministack};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, Runtime};
use serde_json::json;
use std::io::{Cursor, Write};

fn zip(code: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("bootstrap", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(code.as_bytes()).unwrap();
    zip.finish().unwrap().into_inner()
}

struct Functions {
    place: Place,
    world: World,
}

impl Functions {
    fn new(standin: &Standin) -> Self {
        let place = standin.place("rolling-back");
        let world = World::new();
        let settings =
            json!({"prefix": place.names.prefix, "region": "us-east-1", "endpoint": standin.endpoint, "alias": "live"});
        world.write("conf/aws.json", settings.to_string());
        Functions { place, world }
    }

    fn name(&self, short: &str) -> String {
        format!("{}-streamalert-{short}", self.place.names.prefix)
    }

    /// A function with a version for each code, the last of which is live.
    fn make(&self, short: &str, codes: &[&str]) {
        let (aws, name) = (&self.place.aws, self.name(short));
        let create =
            aws.lambda.create_function().function_name(&name).runtime(Runtime::Providedal2023).handler("bootstrap");
        let code = FunctionCode::builder().zip_file(Blob::new(zip(codes[0]))).build();
        let create = create.role("arn:aws:iam::000000000000:role/functions").code(code).publish(true);
        aws.wait(create.send()).unwrap();
        for code in &codes[1..] {
            let update =
                aws.lambda.update_function_code().function_name(&name).zip_file(Blob::new(zip(code))).publish(true);
            aws.wait(update.send()).unwrap();
        }
        let version = codes.len().to_string();
        let alias = aws.lambda.create_alias().function_name(&name).name("live").function_version(version);
        aws.wait(alias.send()).unwrap();
    }

    fn live(&self, short: &str) -> String {
        let get = self.place.aws.lambda.get_alias().function_name(self.name(short)).name("live");
        self.place.aws.wait(get.send()).unwrap().function_version.unwrap()
    }

    #[track_caller]
    fn rollback(&self, arguments: &[&str], code: i32) -> String {
        let mut command = self.world.command(&[&["rollback"], arguments].concat());
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").env_remove("AWS_PROFILE");
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let told = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
        told
    }
}

#[test]
fn code_goes_back_by_alias_and_forth_again() {
    let Some(standin) = ministack() else { return };
    let functions = Functions::new(standin);
    functions.make("rules-engine", &["one", "two", "three"]);
    functions.make("alert-merger", &["one", "two"]);
    // Of a cluster that came later.
    functions.make("classifier-new", &["two"]);
    functions.world.write("conf/clusters/new.json", r#"{"data_sources": {"s3": {"new-logs": ["test"]}}}"#);

    let listed = functions.rollback(&["--list", "--output", "json"], 0);
    assert_eq!(listed.lines().filter(|line| line.contains(r#""live":true"#)).count(), 3, "{listed}");
    let told = functions.rollback(&[], 0);
    assert!(told.contains("rules-engine: 3 → 2") && told.contains("alert-merger: 2 → 1"), "{told}");
    assert!(told.contains("classifier-new has no version before 1 with other code; it stays"), "{told}");
    let live = || ["rules-engine", "alert-merger", "classifier-new"].map(|short| functions.live(short));
    assert_eq!(live(), ["2", "1", "1"]);

    // First all that is to be done: one that cannot go back keeps those that are named with it.
    let told = functions.rollback(&["rules-engine", "alert-merger"], 2);
    assert!(told.contains("alert-merger has no version before 1"), "{told}");
    let told = functions.rollback(&["rules-engine", "nonsense"], 2);
    assert!(told.contains("there is no function"), "{told}");
    assert_eq!(live(), ["2", "1", "1"]);
    // Forth again; named twice is once.
    functions.rollback(&["rules-engine", "rules_engine", "--to", "3"], 0);
    assert_eq!(live(), ["3", "1", "1"]);
}
