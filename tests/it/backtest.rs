//! `streamalert backtest`: rules over archived records find what they found live.

use crate::archive::{run, told};
use crate::run_world::{World, every_row, rows};
use crate::standins;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use streamalert_aws::objects::Bucket;

#[track_caller]
fn backtest(world: &World, arguments: &[&str]) -> Value {
    let all: Vec<&str> = ["backtest", "--output", "json"].into_iter().chain(arguments.iter().copied()).collect();
    let output = world.streamalert(&all);
    assert!(output.status.success(), "{arguments:?}: {}", told(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn hits_over_the_archive_are_the_alerts_that_were_raised_live() {
    let world = World::new();
    let root = root();
    let (conf, samples) = (root.join("conf"), root.join("samples"));
    let plugins = root.join("target/guests/example-rules");
    let [conf, samples, plugins] = [&conf, &samples, &plugins].map(|path| path.to_str().unwrap());
    // What several alerts are merged to has no record of its own.
    run(&world, &["--config", conf, "--plugins", plugins, "--input", samples, "--no-flush"]);
    let live: BTreeSet<(String, String)> =
        world.alerts().into_iter().map(|alert| (alert.rule_name, alert.id)).collect();
    assert!(live.len() > 10, "the samples have an intrusion in them");
    let report = backtest(&world, &["--config", conf, "--plugins", plugins, "--examples", "100000"]);
    let mut found = BTreeSet::new();
    for (rule, told) in report["rules"].as_object().unwrap() {
        let hits = told["examples"]["new"].as_array().unwrap();
        assert_eq!(told["new"]["hits"], hits.len(), "{rule}");
        found.extend(hits.iter().map(|hit| (rule.clone(), hit["alert"].as_str().unwrap().to_owned())));
    }
    assert_eq!(found, live);

    // Against themselves nothing differs.
    let report = backtest(&world, &["--config", conf, "--plugins", plugins, "--against", plugins, "--since", "1d"]);
    let rules = report["rules"].as_object().unwrap();
    let same: u64 = rules.values().map(|rule| rule["same_hits"].as_u64().unwrap()).sum();
    assert_eq!(same, live.len() as u64);
    for (name, rule) in rules {
        assert_eq!((&rule["new_hits"], &rule["lost_hits"]), (&0.into(), &0.into()), "{name}");
        assert_eq!(rule["new"]["evaluations"], rule["current"]["evaluations"], "{name}");
        assert_eq!(rule["new"]["fuel"], rule["current"]["fuel"], "{name}");
    }
    // Of other hours there is nothing.
    let report = backtest(&world, &["--config", conf, "--plugins", plugins, "--until", "2020-01-01"]);
    assert_eq!(report["records"], 0);
    let report = backtest(&world, &["--config", conf, "--plugins", plugins, "--logs", "cloudtrail"]);
    assert!(report["records"].as_u64().unwrap() > 0);
}

#[test]
fn what_is_new_what_is_lost_and_what_it_takes_is_told() {
    let world = World::new();
    world.write("a.json", rows(0..40));
    run(&world, &["--input", "a.json"]);
    // Archived twice, it is the same record.
    run(&world, &["--input", "a.json"]);
    world.write(
        "none/other.wasm",
        crate::run_world::Guest {
            rules: vec![("other", crate::run_world::EVERY_ROW)],
            logs: "test:row",
            ..Default::default()
        }
        .build(),
    );
    let report = backtest(&world, &["--plugins", "plugins", "--against", "none", "--examples", "2"]);
    let (every, other) = (&report["rules"]["every_row"], &report["rules"]["other"]);
    assert_eq!((&every["new_hits"], &every["lost_hits"], &every["same_hits"]), (&40.into(), &0.into(), &0.into()));
    assert_eq!((&other["new_hits"], &other["lost_hits"], &other["same_hits"]), (&0.into(), &40.into(), &0.into()));
    assert!(every["new"]["fuel"].as_u64().unwrap() > 0 && other["current"]["fuel"].as_u64().unwrap() > 0);
    let example = &every["examples"]["new"][0];
    assert!(world.alert_ids().contains(example["alert"].as_str().unwrap()), "{example}");
    let record = crate::archive::search(
        &world,
        &[&format!("SELECT n FROM test_row WHERE streamalert_id = '{}'", example["record"].as_str().unwrap())],
    );
    assert!(!record.is_empty(), "the record of an example is found by its id");
    assert_eq!(other["examples"]["lost"].as_array().unwrap().len(), 2);

    // One component by itself; the same for a person.
    let text = world.streamalert(&["backtest", "--plugins", "plugins/every_row.wasm", "--against", "none/other.wasm"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("new hits") && text.contains("    lost: alert "), "{text}");

    let code = |arguments: &[&str]| {
        let output = world.streamalert(&["backtest"].into_iter().chain(arguments.iter().copied()).collect::<Vec<_>>());
        (output.status.code(), told(&output))
    };
    assert_eq!(code(&["--plugins", "plugins", "--against", "none", "--fail-on-difference"]).0, Some(1));
    assert_eq!(code(&["--plugins", "plugins", "--against", "plugins", "--fail-on-difference"]).0, Some(0));
    let (status, told) = code(&["--plugins", "nowhere"]);
    assert!(status == Some(2) && told.contains("there is no folder or component nowhere"), "{told}");
    let (status, told) = code(&["--plugins", "plugins", "--rules", "no_such"]);
    assert!(status == Some(2) && told.contains("there is no rule no_such"), "{told}");
    let (status, told) = code(&["--plugins", "plugins", "--local", "nowhere"]);
    assert!(status == Some(2) && told.contains("there is no data folder nowhere"), "{told}");
    world.write("broken/x.wasm", "not a component");
    let (status, told) = code(&["--plugins", "broken"]);
    assert!(status == Some(2) && told.contains("refused"), "{told}");
    world.write("plugins/every_row.wasm", every_row("high"));
    assert!(code(&["--plugins", "plugins", "--until", "2020-01-01"]).1.contains("no archived records"));

    // A file that cannot be read is named, and the others are read.
    let hour = std::fs::read_dir(world.at("data/archive/test_row")).unwrap().next().unwrap().unwrap();
    std::fs::write(hour.path().join("empty.parquet"), "").unwrap();
    let output = world.streamalert(&["backtest", "--output", "json", "--plugins", "plugins"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["rules"]["every_row"]["new"]["hits"]), (Some(1), &40.into()));
    assert!(self::told(&output).contains("empty.parquet cannot be read"), "{}", self::told(&output));
}

/// The file as Firehose writes it, which says nothing of log types.
fn as_firehose_writes(file: &Path) -> Vec<u8> {
    let read = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(file).unwrap()).unwrap();
    let mut write = ArrowWriter::try_new(Vec::new(), read.schema().clone(), None).unwrap();
    read.build().unwrap().for_each(|rows| write.write(&rows.unwrap()).unwrap());
    write.into_inner().unwrap()
}

#[test]
fn over_the_archive_on_aws_it_finds_what_it_finds_here() {
    let world = World::new();
    world.write("a.json", rows(0..40));
    run(&world, &["--input", "a.json"]);
    let here = backtest(&world, &["--plugins", "plugins"]);
    assert_eq!(here["rules"]["every_row"]["new"]["hits"], 40);
    for standin in standins::all() {
        let place = standin.place("backtest");
        let bucket = place.names.archive_bucket();
        place.bucket(&bucket);
        let objects = Bucket::new(&place.aws, bucket.as_str());
        let put = |key: &str, bytes: Vec<u8>| place.aws.wait(objects.put(key, bytes)).unwrap();
        let mut hours = Vec::new();
        for hour in std::fs::read_dir(world.at("data/archive/test_row")).unwrap().map(|entry| entry.unwrap()) {
            for file in std::fs::read_dir(hour.path()).unwrap().map(|entry| entry.unwrap()) {
                let name = file.file_name().into_string().unwrap();
                if name.ends_with(".parquet") {
                    let hour = hour.file_name().into_string().unwrap();
                    put(&format!("test_row/{hour}/{name}"), as_firehose_writes(&file.path()));
                    hours.push(hour);
                }
            }
        }
        assert!(!hours.is_empty());
        // What lies there beside records.
        put(&format!("alerts/{}/x.parquet", hours[0]), b"alerts".to_vec());
        put(&format!("failed/test_row/format-conversion-failed/{}/x", hours[0]), b"failed".to_vec());
        let settings = json!({"prefix": place.names.prefix, "region": "us-east-1", "endpoint": standin.endpoint, "path_style": true});
        world.write("conf/aws.json", settings.to_string());
        let there = |arguments: &[&str]| {
            let all = ["backtest", "--output", "json", "--plugins", "plugins", "--athena"].iter().chain(arguments);
            let mut command = world.command(&all.copied().collect::<Vec<_>>());
            command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").env_remove("AWS_PROFILE");
            let output = command.output().unwrap();
            (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).ok(), told(&output))
        };
        let (status, report, said) = there(&["conf"]);
        assert_eq!((status, report), (Some(0), Some(here.clone())), "{said}");
        let (status, report, _) = there(&["conf", "--until", "2020-01-01"]);
        assert_eq!((status, report.unwrap()["records"].as_u64()), (Some(0), Some(0)));
        // What is hidden, and folders, are none; keys are no paths; what has no log type is told.
        let escape = world.at("ESCAPED.parquet");
        for key in ["/dt=H/", "/dt=H/_SUCCESS", &format!("/dt=H/{}{}", "../".repeat(32), escape.display())] {
            put(&format!("test_row{}", key.replace("dt=H", &hours[0])), b"PAR1 no file PAR1".to_vec());
        }
        let one = std::fs::read_dir(world.at("data/archive/test_row").join(&hours[0])).unwrap();
        let one =
            one.map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some_and(|it| it == "parquet"));
        put(&format!("gone_row/{}/x.parquet", hours[0]), as_firehose_writes(&one.unwrap()));
        // One that cannot be read is named, and the others are read.
        put(&format!("test_row/{}/damaged.parquet", hours[0]), b"PAR1 no file PAR1".to_vec());
        put(&format!("test_row/{}/{}.parquet", hours[0], "long".repeat(100)), vec![]);
        let (status, report, said) = there(&["conf"]);
        let report = report.unwrap();
        assert_eq!(
            (status, &report["rules"], &report["records"]),
            (Some(1), &here["rules"], &here["records"]),
            "{said}"
        );
        assert!(!escape.exists());
        assert!(said.contains("no log type of the schemas has the table gone_row"), "{said}");
        let damaged: Vec<&String> = report["damaged"].as_object().unwrap().keys().collect();
        let bucket = place.names.archive_bucket();
        assert_eq!(damaged.len(), 3, "{said}");
        assert!(
            said.contains(&format!("s3://{bucket}/test_row/{}/damaged.parquet cannot be read", hours[0])),
            "{said}"
        );
        assert!(said.contains("3 files of the archive cannot be read"), "{said}");
    }
}
