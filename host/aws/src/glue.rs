//! The catalog that Athena, Firehose and others look tables up in: tables, their columns, and which partitions they have.

use crate::athena::failed;
use crate::limits::{GLUE_PARTITIONS_BATCH, GLUE_PARTITIONS_PAGE};
use crate::signed::{CallError, Operation, Service};
use crate::{Aws, Names};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use streamalert_pipeline::archive::Column;
use streamalert_pipeline::backend::{BackendError, BackendErrorKind};
use streamalert_pipeline::columns::PARTITION;

const SERVICE: Service = Service { name: "Glue", endpoint: "glue", signed_as: "glue" };

/// What `TableInput` takes of what `GetTable` says.
const INPUT: [&str; 11] = [
    "Name",
    "Description",
    "Owner",
    "Retention",
    "StorageDescriptor",
    "PartitionKeys",
    "ViewOriginalText",
    "ViewExpandedText",
    "TableType",
    "Parameters",
    "TargetTable",
];

/// Tables of one database.
#[derive(Clone)]
pub struct Glue {
    aws: Arc<Aws>,
    pub database: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub name: String,
    /// `s3://bucket/folder`, without a slash at its end.
    pub location: String,
    /// `dt`, for ours.
    pub partition_keys: Vec<String>,
    /// Name and type of each, in order.
    pub columns: Vec<Column>,
    /// All there is about it, as `GetTable` says it.
    pub raw: Value,
}

impl Table {
    fn read(raw: Value) -> Option<Table> {
        let storage = &raw["StorageDescriptor"];
        let columns = storage["Columns"].as_array().cloned().unwrap_or_default();
        let column = |column: &Value| {
            let text = |name: &str| column[name].as_str().map(str::to_owned);
            Some(Column { name: text("Name")?, kind: text("Type").unwrap_or_default(), key: None })
        };
        let keys = raw["PartitionKeys"].as_array().cloned().unwrap_or_default();
        Some(Table {
            name: raw["Name"].as_str()?.to_owned(),
            location: storage["Location"].as_str().unwrap_or_default().trim_end_matches('/').to_owned(),
            partition_keys: keys.iter().filter_map(|key| Some(key["Name"].as_str()?.to_owned())).collect(),
            columns: columns.iter().map(column).collect::<Option<_>>()?,
            raw,
        })
    }

    /// Athena reckons the partitions itself and does not look at those that are entered.
    pub fn is_projected(&self) -> bool {
        self.raw["Parameters"]["projection.enabled"].as_str().is_some_and(|on| on.eq_ignore_ascii_case("true"))
    }

    /// A partition with data at `location`, in the table's format.
    pub fn partition(&self, partition: &Partition) -> Value {
        let mut storage = self.raw["StorageDescriptor"].clone();
        if !storage.is_object() {
            storage = json!({});
        }
        storage["Location"] = partition.location.as_str().into();
        json!({ "Values": partition.values, "StorageDescriptor": storage })
    }
}

/// What lies at one place of a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// For each of the table's partition keys.
    pub values: Vec<String>,
    pub location: String,
}

/// What came of entering partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entered {
    pub new: usize,
    pub refused: Vec<Refused>,
}

/// A partition that was not entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub values: Vec<String>,
    pub error: CallError,
}

impl Glue {
    pub fn new(aws: &Arc<Aws>, names: &Names) -> Self {
        Glue { aws: aws.clone(), database: names.database() }
    }

    pub async fn table(&self, name: &str) -> Result<Option<Table>, BackendError> {
        let what = || format!("read the table {name} of the catalog's database {}", self.database);
        let request = json!({ "DatabaseName": self.database, "Name": name });
        match self.call("AWSGlue.GetTable", &request, what).await {
            Ok(mut answer) => Table::read(answer["Table"].take())
                .map(Some)
                .ok_or_else(|| BackendError::other(what(), "the answer has no table with a name")),
            Err(error) if error.kind == BackendErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All tables, by name; none if there is no database.
    pub async fn tables(&self) -> Result<BTreeMap<String, Table>, BackendError> {
        let what = || format!("list the tables of the catalog's database {}", self.database);
        let (mut tables, mut next) = (BTreeMap::new(), None::<String>);
        loop {
            let mut request = json!({ "DatabaseName": self.database });
            if let Some(token) = next {
                request["NextToken"] = token.into();
            }
            let mut answer = match self.call("AWSGlue.GetTables", &request, what).await {
                Ok(answer) => answer,
                Err(error) if error.kind == BackendErrorKind::NotFound => return Ok(tables),
                Err(error) => return Err(error),
            };
            if let Value::Array(list) = answer["TableList"].take() {
                tables.extend(list.into_iter().filter_map(Table::read).map(|table| (table.name.clone(), table)));
            }
            next = token(&answer);
            if next.is_none() {
                return Ok(tables);
            }
        }
    }

    /// It may be there already.
    pub async fn create_database(&self, description: &str) -> Result<(), BackendError> {
        let request = json!({ "DatabaseInput": { "Name": self.database, "Description": description } });
        let what = || format!("make the database {} of the catalog", self.database);
        fine_if_there(self.call("AWSGlue.CreateDatabase", &request, what).await)
    }

    /// `false`: somebody else has made one of this name meanwhile, which stays as it is.
    pub async fn create_table(&self, input: &Value) -> Result<bool, BackendError> {
        let request = json!({ "DatabaseName": self.database, "TableInput": input });
        let what = || format!("make the table {} in {}", input["Name"], self.database);
        match self.call("AWSGlue.CreateTable", &request, what).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind == BackendErrorKind::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives a table other columns and leaves the rest of it; a conflict if somebody has changed it since it was read.
    pub async fn set_columns(&self, table: &Table, columns: &[Column]) -> Result<(), BackendError> {
        let mut input = Map::new();
        for name in INPUT {
            if let Some(value) = table.raw.get(name).filter(|value| !value.is_null()) {
                input.insert(name.to_owned(), value.clone());
            }
        }
        let mut input = Value::Object(input);
        input["StorageDescriptor"]["Columns"] = columns.iter().map(hive_column).collect();
        let mut request = json!({ "DatabaseName": self.database, "TableInput": input });
        if let Some(version) = table.raw["VersionId"].as_str() {
            request["VersionId"] = version.into();
        }
        let what = || format!("change the columns of the table {} in {}", table.name, self.database);
        self.call("AWSGlue.UpdateTable", &request, what).await.map(drop)
    }

    /// All partitions that are entered.
    pub async fn partitions(&self, table: &str) -> Result<Vec<Partition>, BackendError> {
        let what = || format!("list the partitions of the table {table} in {}", self.database);
        let (mut partitions, mut next) = (Vec::new(), None::<String>);
        loop {
            let mut request = json!({
                "DatabaseName": self.database, "TableName": table, "MaxResults": GLUE_PARTITIONS_PAGE,
                "ExcludeColumnSchema": true,
            });
            if let Some(token) = next {
                request["NextToken"] = token.into();
            }
            let answer = self.call("AWSGlue.GetPartitions", &request, what).await?;
            for partition in answer["Partitions"].as_array().into_iter().flatten() {
                partitions.push(Partition {
                    values: texts(&partition["Values"]),
                    location: partition["StorageDescriptor"]["Location"].as_str().unwrap_or_default().to_owned(),
                });
            }
            next = token(&answer);
            if next.is_none() {
                return Ok(partitions);
            }
        }
    }

    /// Enters partitions, a hundred to a call. Those that were there are fine; which were not entered is told, with the reason.
    pub async fn enter(&self, table: &Table, partitions: &[Partition]) -> Result<Entered, BackendError> {
        let what = || format!("enter partitions of the table {} in {}", table.name, self.database);
        let mut entered = Entered::default();
        let mut waiting: Vec<&[Partition]> = partitions.chunks(GLUE_PARTITIONS_BATCH).rev().collect();
        while let Some(some) = waiting.pop() {
            let inputs: Vec<Value> = some.iter().map(|partition| table.partition(partition)).collect();
            let request =
                json!({ "DatabaseName": self.database, "TableName": table.name, "PartitionInputList": inputs });
            match self.call("AWSGlue.BatchCreatePartition", &request, what).await {
                Ok(answer) => {
                    let refused = refusals(&answer, "PartitionValues");
                    entered.new += some.len().saturating_sub(refused.len());
                    entered.refused.extend(refused);
                }
                // One of them is in the way of all.
                Err(error) if error.kind == BackendErrorKind::Conflict => {
                    if some.len() > 1 {
                        let (first, second) = some.split_at(some.len() / 2);
                        waiting.extend([second, first]);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        entered.refused.retain(|refused| refused.error.code != "AlreadyExistsException");
        Ok(entered)
    }

    /// Lets partitions that are entered lie elsewhere.
    pub async fn relocate(&self, table: &Table, partitions: &[Partition]) -> Result<Vec<Refused>, BackendError> {
        let what = || format!("change partitions of the table {} in {}", table.name, self.database);
        let mut refused = Vec::new();
        for some in partitions.chunks(GLUE_PARTITIONS_BATCH) {
            let entry = |partition: &Partition| {
                json!({
                    "PartitionValueList": partition.values, "PartitionInput": table.partition(partition),
                })
            };
            let entries: Vec<Value> = some.iter().map(entry).collect();
            let request = json!({ "DatabaseName": self.database, "TableName": table.name, "Entries": entries });
            let answer = self.call("AWSGlue.BatchUpdatePartition", &request, what).await?;
            refused.extend(refusals(&answer, "PartitionValueList"));
        }
        Ok(refused)
    }

    async fn call(
        &self,
        target: &'static str,
        request: &Value,
        action: impl Fn() -> String,
    ) -> Result<Value, BackendError> {
        let answer = self.aws.signed.call(&SERVICE, Operation::Target(target), None, request).await;
        answer.map_err(|error| failed(action(), error))
    }
}

/// A table of Parquet at `location`, which ends with a slash, as infra/ makes it. Athena reckons the partitions of one that is
/// projected; of others they have to be entered.
pub fn parquet_table(name: &str, location: &str, columns: &[Column], projected: bool) -> Value {
    let mut parameters = json!({ "EXTERNAL": "TRUE", "classification": "parquet" });
    if projected {
        for (key, value) in [
            ("enabled", "true"),
            ("dt.type", "date"),
            ("dt.format", "yyyy-MM-dd-HH"),
            ("dt.range", "2024-01-01-00,NOW"),
            ("dt.interval", "1"),
            ("dt.interval.unit", "HOURS"),
        ] {
            parameters[format!("projection.{key}")] = value.into();
        }
        parameters["storage.location.template"] = format!("{location}dt=${{dt}}").into();
    }
    const FORMAT: &str = "org.apache.hadoop.hive.ql.io.parquet";
    json!({
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": parameters,
        "PartitionKeys": [{ "Name": PARTITION, "Type": "string", "Comment": "Hour of arrival, UTC: 2026-01-31-23" }],
        "StorageDescriptor": {
            "Columns": columns.iter().map(hive_column).collect::<Vec<_>>(),
            "Location": location,
            "InputFormat": format!("{FORMAT}.MapredParquetInputFormat"),
            "OutputFormat": format!("{FORMAT}.MapredParquetOutputFormat"),
            "SerdeInfo": { "SerializationLibrary": format!("{FORMAT}.serde.ParquetHiveSerDe") },
        },
    })
}

/// As the catalog has them.
pub fn hive_column(column: &Column) -> Value {
    json!({ "Name": column.name, "Type": column.kind })
}

fn fine_if_there(done: Result<Value, BackendError>) -> Result<(), BackendError> {
    match done {
        Err(error) if error.kind == BackendErrorKind::Conflict => Ok(()),
        done => done.map(drop),
    }
}

fn token(answer: &Value) -> Option<String> {
    answer["NextToken"].as_str().filter(|token| !token.is_empty()).map(str::to_owned)
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
}

fn refusals(answer: &Value, values: &str) -> Vec<Refused> {
    let refused = |entry: &Value| {
        let detail = &entry["ErrorDetail"];
        let text = |name: &str| detail[name].as_str().unwrap_or_default();
        Refused {
            values: texts(&entry[values]),
            error: CallError::new(text("ErrorCode"), Some(400), text("ErrorMessage")),
        }
    };
    answer["Errors"].as_array().into_iter().flatten().map(refused).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loopback::{Answer, Loopback};

    fn table() -> Table {
        Table::read(json!({
            "Name": "a_b", "DatabaseName": "d", "CreateTime": 1.5, "VersionId": "4", "TableType": "EXTERNAL_TABLE",
            "Parameters": {"classification": "parquet"}, "PartitionKeys": [{"Name": "dt", "Type": "string"}],
            "StorageDescriptor": {"Location": "s3://b/a_b/", "Columns": [{"Name": "x", "Type": "string"}],
                "InputFormat": "f"},
        }))
        .unwrap()
    }

    fn partitions(count: usize) -> Vec<Partition> {
        let one = |at: usize| Partition { values: vec![format!("v{at}")], location: format!("s3://b/a_b/dt=v{at}/") };
        (0..count).map(one).collect()
    }

    #[test]
    fn partitions_go_by_hundreds_and_only_what_is_refused_is_told() {
        let server = Loopback::start(|request| {
            let list = request.json()["PartitionInputList"].as_array().unwrap().clone();
            let error = |value: &str, code: &str| json!({"PartitionValues": [value], "ErrorDetail": {"ErrorCode": code, "ErrorMessage": "m"}});
            let errors = list.iter().filter_map(|input| match input["Values"][0].as_str().unwrap() {
                "v3" => Some(error("v3", "AlreadyExistsException")),
                "v120" => Some(error("v120", "ResourceNumberLimitExceededException")),
                _ => None,
            });
            Answer::json(200, json!({ "Errors": errors.collect::<Vec<_>>() }))
        });
        let aws = server.aws();
        let glue = Glue::new(&aws, &Names::new("acme"));
        let Entered { new, refused } = aws.wait(glue.enter(&table(), &partitions(250))).unwrap();
        assert_eq!(new, 248);
        assert_eq!(refused.iter().map(|refused| refused.values[0].as_str()).collect::<Vec<_>>(), ["v120"]);
        let calls = server.requests();
        let sizes = calls.iter().map(|call| call.json()["PartitionInputList"].as_array().unwrap().len());
        assert_eq!(sizes.collect::<Vec<_>>(), [100, 100, 50]);
        let first = &calls[0].json()["PartitionInputList"][0];
        assert_eq!(first["StorageDescriptor"]["Location"], "s3://b/a_b/dt=v0/");
        assert_eq!((&first["StorageDescriptor"]["InputFormat"], &first["Values"]), (&json!("f"), &json!(["v0"])));
    }

    #[test]
    fn columns_are_set_and_all_else_stays() {
        let server = Loopback::script([Answer::json(200, json!({}))]);
        let aws = server.aws();
        let glue = Glue::new(&aws, &Names::new("acme"));
        let column = |name: &str| Column { name: name.into(), kind: "string".into(), key: Some("K".into()) };
        aws.wait(glue.set_columns(&table(), &[column("x"), column("y")])).unwrap();
        let asked = server.requests()[0].json();
        assert_eq!((&asked["DatabaseName"], &asked["VersionId"]), (&json!("acme_streamalert"), &json!("4")));
        let input = &asked["TableInput"];
        assert_eq!(input["StorageDescriptor"]["Columns"][1], json!({"Name": "y", "Type": "string"}));
        assert_eq!(input["StorageDescriptor"]["Location"], "s3://b/a_b/");
        assert_eq!((&input["PartitionKeys"][0]["Name"], input.get("CreateTime")), (&json!("dt"), None));
    }

    #[test]
    fn lists_are_read_to_their_end_and_what_is_not_there_is_none() {
        let server = Loopback::start(|request| {
            let next = request.json()["NextToken"].as_str().unwrap_or("0").parse::<u64>().unwrap();
            let target = request.header("x-amz-target");
            let mut answer = match target {
                "AWSGlue.GetTables" => json!({"TableList": [{"Name": format!("t{next}")}]}),
                "AWSGlue.GetPartitions" => json!({"Partitions": [
                    {"Values": [next.to_string()], "StorageDescriptor": {"Location": "l"}}]}),
                _ => return Answer::json(400, json!({"__type": "EntityNotFoundException", "Message": "no"})),
            };
            if next < 2 {
                answer["NextToken"] = (next + 1).to_string().into();
            }
            Answer::json(200, answer)
        });
        let aws = server.aws();
        let glue = Glue::new(&aws, &Names::new("acme"));
        assert_eq!(aws.wait(glue.tables()).unwrap().into_keys().collect::<Vec<_>>(), ["t0", "t1", "t2"]);
        assert_eq!(aws.wait(glue.partitions("t")).unwrap().len(), 3);
        assert_eq!(aws.wait(glue.table("t")).unwrap(), None);
    }
}
