//! `streamalert tables` and `search --athena`: what the schemas say of tables, and what a catalog has.

use crate::run_world::{World, rows};
use crate::scripted::{self, Answer, Request};
use crate::standins::{self, Place, Standin};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use streamalert_aws::glue::{Glue, Partition};
use streamalert_aws::objects::Bucket;

struct There {
    place: Place,
    world: World,
}

impl There {
    fn new(standin: &Standin) -> There {
        let place = standin.place("tables");
        let there = There { place, world: World::new() };
        there.settings(&standin.endpoint);
        there.schema(json!({"n": "integer", "who": {"name": "string"}}));
        there
    }

    fn settings(&self, endpoint: &str) {
        let settings =
            json!({"prefix": self.place.names.prefix, "region": "us-east-1", "endpoint": endpoint, "path_style": true});
        self.world.write("conf/aws.json", settings.to_string());
    }

    fn schema(&self, fields: Value) {
        let schema = json!({"test:row": {"parser": "json", "schema": fields}});
        self.world.write("conf/schemas/test.json", schema.to_string());
    }

    #[track_caller]
    fn said(&self, arguments: &[&str], code: i32) -> String {
        let mut command = self.world.command(arguments);
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").env_remove("AWS_PROFILE");
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let told = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
        told
    }

    fn glue(&self) -> Glue {
        Glue::new(&self.place.aws, &self.place.names)
    }

    fn columns(&self, table: &str) -> Vec<(String, String)> {
        let table = self.place.aws.wait(self.glue().table(table)).unwrap().unwrap();
        table.columns.into_iter().map(|column| (column.name, column.kind)).collect()
    }

    fn partitions(&self, table: &str) -> BTreeMap<String, String> {
        let known = self.place.aws.wait(self.glue().partitions(table)).unwrap();
        known.into_iter().map(|partition| (partition.values.join("/"), partition.location)).collect()
    }
}

#[test]
fn tables_are_made_grow_and_never_change_a_type() {
    for standin in standins::all() {
        let there = There::new(standin);
        let told = there.said(&["tables", "diff", "--aws"], 1);
        assert!(told.contains("+ test_row: the table is missing") && told.contains("+ alerts:"), "{told}");
        let told = there.said(&["tables", "create", "--aws"], 0);
        assert!(told.contains("test_row: made") && told.contains("alerts: made"), "{told}");
        assert_eq!(there.said(&["tables", "diff", "--aws"], 0), "");
        assert_eq!(there.said(&["tables", "create", "--aws"], 0), "", "a second time changes nothing");
        let list = there.said(&["tables", "list", "--aws", "--output", "json"], 0);
        let lines: Vec<Value> = list.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines.len(), &lines[1]["table"], &lines[1]["standing"]), (2, &json!("test_row"), &json!("there")));
        assert_eq!(lines[1]["partitions"], "reckoned");

        // More fields: more columns, and those that were there stay where they are.
        let before = there.columns("test_row");
        there.schema(json!({"n": "integer", "who": {"name": "string", "age": "integer"}, "new": "float"}));
        let told = there.said(&["tables", "diff", "--aws"], 1);
        assert!(told.contains("+ test_row.new double") && told.contains("~ test_row.who is"), "{told}");
        there.said(&["tables", "create", "--aws"], 0);
        let after = there.columns("test_row");
        assert_eq!(after.len(), before.len() + 1);
        assert!(after.contains(&("who".into(), "struct<name:string,age:bigint>".into())), "{after:?}");
        assert_eq!(after[0], before[0]);
        let table = there.place.aws.wait(there.glue().table("test_row")).unwrap().unwrap();
        assert!(table.is_projected() && table.partition_keys == ["dt"], "all else is as it was");

        // A field that goes takes no column with it, and is told.
        there.schema(json!({"n": "integer", "who": {"name": "string"}}));
        let told = there.said(&["tables", "diff", "--aws"], 0);
        assert!(told.contains("- test_row.new double: no schema has it"), "{told}");

        // Another type is refused, and what is to be done is said; other tables are done all the same.
        there.schema(json!({"n": "string", "who": {"name": "string"}}));
        let told = there.said(&["tables", "diff", "--aws"], 1);
        assert!(told.contains("~ test_row.n is bigint, and the schema says string"), "{told}");
        let told = there.said(&["tables", "create", "--aws"], 1);
        assert!(told.contains("column n is bigint") && told.contains("another name"), "{told}");
        assert_eq!(there.columns("test_row"), after);
        assert!(there.said(&["tables", "diff", "--aws", "--logs", "nope"], 2).contains("no schema defines nope"));
    }
}

#[test]
fn partitions_are_entered_as_they_lie_there_and_none_goes() {
    for standin in standins::all() {
        let there = There::new(standin);
        let bucket = there.place.names.archive_bucket();
        there.place.bucket(&bucket);
        let objects = Bucket::new(&there.place.aws, bucket.as_str());
        let put = |key: &str| there.place.aws.wait(objects.put(key, &b"x"[..])).unwrap();
        for hour in 0..150 {
            put(&format!("test_row/dt=2026-01-{:02}-{:02}/a.parquet", 1 + hour / 24, hour % 24));
        }
        // As older installations lay JSON; of an hour that lies in both ways, one counts.
        put("test_row/2025/12/31/23/a.gz");
        put("test_row/2026/01/01/00/a.gz");
        for stray in ["test_row/dt=nonsense/a", "test_row/notes/a", "test_row/a", "other/dt=2026-01-01-00/a"] {
            put(stray);
        }
        let told = there.said(&["tables", "create", "--enter-partitions", "--aws"], 0);
        assert!(told.contains("test_row: partitions entered (151)"), "{told}");
        let known = there.partitions("test_row");
        assert_eq!(known.len(), 151);
        assert_eq!(known["2026-01-01-00"], format!("s3://{bucket}/test_row/dt=2026-01-01-00/"));
        assert_eq!(known["2025-12-31-23"], format!("s3://{bucket}/test_row/2025/12/31/23/"));

        // One that lies nowhere any more stays, one that was moved is found again, and what is new is entered.
        let table = there.place.aws.wait(there.glue().table("test_row")).unwrap().unwrap();
        let gone = Partition { values: vec!["2020-01-01-00".into()], location: "s3://nowhere/".into() };
        there.place.aws.wait(there.glue().enter(&table, &[gone])).unwrap();
        let moved = Partition { values: vec!["2026-01-02-00".into()], location: "s3://elsewhere/x/".into() };
        assert!(there.place.aws.wait(there.glue().relocate(&table, &[moved])).unwrap().is_empty());
        put("test_row/dt=2026-02-01-00/a.parquet");
        let told = there.said(&["tables", "rebuild", "--aws"], 0);
        assert!(told.contains("partitions entered (1)") && told.contains("lie elsewhere now (1)"), "{told}");
        let known = there.partitions("test_row");
        assert_eq!(known.len(), 153);
        assert_eq!(known["2026-01-02-00"], format!("s3://{bucket}/test_row/dt=2026-01-02-00/"));
        let told = there.said(&["tables", "rebuild", "test_row", "--aws"], 0);
        assert!(told.contains("partitions entered (0)"), "{told}");
        assert!(there.said(&["tables", "rebuild", "nope", "--aws"], 2).contains("there is no table nope"));
    }
}

#[test]
fn on_one_machine_a_table_is_a_folder() {
    let world = World::new();
    world.write("a.json", rows(0..5));
    assert!(world.streamalert(&["run", "--input", "a.json"]).status.success());
    let said = |arguments: &[&str], code: i32| {
        let output = world.streamalert(arguments);
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
        told
    };
    let list = said(&["tables", "list", "--output", "json"], 0);
    let row =
        list.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).find(|line| line["table"] == "test_row");
    let row = row.unwrap();
    assert_eq!((&row["standing"], &row["hours"]), (&json!("there"), &json!(1)), "{list}");
    assert_eq!(said(&["tables", "diff"], 0), "");
    assert!(list.contains("\"alerts\""), "{list}");
    let one = said(&["tables", "list", "--logs", "test:row", "--output", "json"], 0);
    assert_eq!(one.lines().count(), 1, "only what is named: {one}");
    assert!(one.contains("\"test_row\"") && one.contains("\"there\""), "{one}");
    world.write(
        "conf/schemas/test.json",
        r#"{"test:row": {"parser": "json", "schema": {"n": "string", "m": "float"}}}"#,
    );
    let told = said(&["tables", "diff"], 1);
    assert!(told.contains("~ test_row.n is bigint, and the schema says string"), "{told}");
    assert!(told.contains("+ test_row.m double: the column is missing"), "{told}");
    assert!(said(&["tables", "create"], 0).contains("nothing is to be made here"));
}

/// An Athena that has 2,500 rows.
fn athena(state: &'static str, reason: &'static str) -> String {
    scripted::start(move |request: &Request| {
        let asked = request.json();
        Answer::json(
            200,
            &match request.header("x-amz-target") {
                "AmazonAthena.StartQueryExecution" => json!({"QueryExecutionId": "q"}),
                "AmazonAthena.GetQueryExecution" => json!({"QueryExecution": {"StatementType": "DML",
                    "Status": {"State": state, "StateChangeReason": reason},
                    "Statistics": {"DataScannedInBytes": 4321, "TotalExecutionTimeInMillis": 1500}}}),
                "AmazonAthena.GetQueryResults" => {
                    let from: u64 = asked["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
                    let row =
                        |n: u64| json!({"Data": [{"VarCharValue": if n == 0 { "n".into() } else { n.to_string() }}]});
                    let to = (from + 1000).min(2501);
                    let mut answer = json!({"ResultSet": {"Rows": (from..to).map(row).collect::<Vec<_>>(),
                        "ResultSetMetadata": {"ColumnInfo": [{"Name": "n", "Type": "bigint"}]}}});
                    if to < 2501 {
                        answer["NextToken"] = to.to_string().into();
                    }
                    answer
                }
                other => panic!("{other} is never called"),
            },
        )
    })
}

#[test]
fn athena_is_asked_and_all_rows_are_shown() {
    let Some(standin) = standins::moto() else { return };
    let there = There::new(standin);
    there.settings(&athena("SUCCEEDED", ""));
    let told = there.said(&["search", "--athena", "--output", "json", "SELECT n FROM test_row"], 0);
    let numbers: Vec<u64> = told
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["n"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=2500).collect::<Vec<_>>());
    assert!(told.contains("2500 rows; 4321 bytes scanned"), "{}", &told[told.len() - 100..]);
    there.settings(&athena("FAILED", "SYNTAX_ERROR: line 1:8: Column 'x' cannot be resolved"));
    let told = there.said(&["search", "--athena", "conf", "SELECT x"], 2);
    assert!(told.contains("Column 'x' cannot be resolved"), "{told}");
    there.settings(&athena("FAILED", "Query exhausted resources at this scale factor"));
    assert!(there.said(&["search", "--athena", "conf", "SELECT 1"], 1).contains("exhausted"));
    let told = there.said(&["search", "--athena", "conf", "--since", "1h", "SELECT 1"], 2);
    assert!(told.contains("dt >="), "{told}");
}
