//! Questions in SQL to Athena: started, waited for, stopped, and their rows page by page.

use crate::call::kind_of;
use crate::limits::{ATHENA_PAGE_ROWS, ATHENA_WAIT_FIRST, ATHENA_WAIT_LONGEST};
use crate::signed::{CallError, Operation, Service};
use crate::{Aws, Names};
use serde_json::{Map, Number, Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamalert_pipeline::backend::{BackendError, BackendErrorKind};
use streamalert_pipeline::log_record::short_id;

const SERVICE: Service = Service { name: "Athena", endpoint: "athena", signed_as: "athena" };

/// Where questions are asked, and over what.
#[derive(Clone)]
pub struct Athena {
    aws: Arc<Aws>,
    pub workgroup: String,
    pub database: String,
    /// Where results go if the workgroup does not say so itself.
    results: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for others, or runs.
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

/// A question and what has become of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Execution {
    pub id: String,
    pub state: State,
    /// Why it failed or was stopped, in Athena's words.
    pub reason: Option<String>,
    /// The same question may go through later: what failed was Athena.
    pub retryable: bool,
    pub scanned_bytes: u64,
    pub millis: u64,
    /// `s3://…csv`
    pub output: Option<String>,
    /// Its answer begins with a row of names.
    has_head: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum AthenaError {
    #[error(transparent)]
    Call(#[from] BackendError),
    #[error("Athena says of the query {id}: {reason}")]
    Failed { id: String, reason: String, retryable: bool },
    #[error("the query {id} was not done within {} s and has been stopped: ask for fewer partitions (`dt`), or allow it more time", patience.as_secs())]
    TimedOut { id: String, patience: Duration },
}

/// Some rows of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub columns: Vec<ResultColumn>,
    /// As many values as there are columns; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// More rows are there under this token.
    pub next: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultColumn {
    pub name: String,
    /// `varchar`, `bigint` …
    pub kind: String,
}

impl Page {
    /// A row with its names: numbers and booleans are such, NULL is null, all else is text as Athena writes it.
    pub fn object(&self, row: &[Option<String>]) -> Map<String, Value> {
        let cells = self.columns.iter().zip(row.iter().map(Option::as_deref).chain(std::iter::repeat(None)));
        cells.map(|(column, cell)| (column.name.clone(), column.value(cell))).collect()
    }
}

impl ResultColumn {
    pub fn value(&self, cell: Option<&str>) -> Value {
        let Some(cell) = cell else { return Value::Null };
        let read = match self.kind.as_str() {
            "tinyint" | "smallint" | "integer" | "int" | "bigint" => cell.parse::<i64>().ok().map(Value::from),
            // NaN and Infinity are no numbers of JSON.
            "real" | "float" | "double" => cell.parse().ok().and_then(Number::from_f64).map(Value::Number),
            "boolean" => cell.parse::<bool>().ok().map(Value::Bool),
            "json" => serde_json::from_str(cell).ok(),
            _ => None,
        };
        read.unwrap_or_else(|| cell.into())
    }
}

impl Athena {
    pub fn new(aws: &Arc<Aws>, names: &Names) -> Self {
        Athena {
            aws: aws.clone(),
            workgroup: names.workgroup(),
            database: names.database(),
            results: format!("s3://{}/", names.results_bucket()),
        }
    }

    /// Starts it and says its id. The same `token` starts the same question once only, whoever asks and however often.
    pub async fn start(&self, sql: &str, token: &str) -> Result<String, BackendError> {
        let request = json!({
            "QueryString": sql,
            "ClientRequestToken": request_token(token),
            "QueryExecutionContext": { "Database": self.database },
            "WorkGroup": self.workgroup,
            // A workgroup that says where results go has the last word.
            "ResultConfiguration": { "OutputLocation": self.results },
        });
        let answer = self.call("StartQueryExecution", &request, || "start a query of Athena".into()).await?;
        let id = answer["QueryExecutionId"].as_str();
        id.map(str::to_owned).ok_or_else(|| BackendError::other("start a query of Athena", "the answer has no id"))
    }

    pub async fn execution(&self, id: &str) -> Result<Execution, BackendError> {
        let what = || format!("ask Athena how the query {id} fares");
        let answer = self.call("GetQueryExecution", &json!({ "QueryExecutionId": id }), what).await?;
        Execution::read(id, &answer["QueryExecution"])
            .ok_or_else(|| BackendError::other(what(), format!("the answer is strange: {answer}")))
    }

    /// One that is over already stays as it is.
    pub async fn stop(&self, id: &str) -> Result<(), BackendError> {
        let what = || format!("stop the query {id} of Athena");
        self.call("StopQueryExecution", &json!({ "QueryExecutionId": id }), what).await.map(drop)
    }

    /// Until it is over, whatever its end; `None`: it still runs at `until`. Looks less often the longer it takes.
    pub async fn wait(&self, id: &str, until: Instant) -> Result<Option<Execution>, BackendError> {
        let mut pause = ATHENA_WAIT_FIRST;
        loop {
            let execution = self.execution(id).await?;
            if execution.state != State::Running {
                return Ok(Some(execution));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 3 / 2).min(ATHENA_WAIT_LONGEST);
        }
    }

    /// Asks, waits, and says what it came to. One that takes longer than `patience` is stopped: it costs by what it reads.
    pub async fn run(&self, sql: &str, token: &str, patience: Duration) -> Result<Execution, AthenaError> {
        let until = Instant::now() + patience;
        let id = self.start(sql, token).await?;
        match self.wait(&id, until).await? {
            Some(execution) => execution.succeeded(),
            None => {
                self.stop(&id).await?;
                Err(AthenaError::TimedOut { id, patience })
            }
        }
    }

    /// Rows from `token` on, which an earlier page has as `next`.
    pub async fn page(&self, execution: &Execution, token: Option<&str>) -> Result<Page, BackendError> {
        let what = || format!("fetch rows of the query {} from Athena", execution.id);
        let mut request = json!({ "QueryExecutionId": execution.id, "MaxResults": ATHENA_PAGE_ROWS });
        if let Some(token) = token {
            request["NextToken"] = token.into();
        }
        let answer = self.call("GetQueryResults", &request, what).await?;
        let mut page = Page::read(&answer)
            .ok_or_else(|| BackendError::other(what(), "the answer has rows and no columns, or none of either"))?;
        // The names come as a row, too; what DDL says has none.
        let names = || page.columns.iter().map(|column| Some(column.name.as_str()));
        if token.is_none()
            && execution.has_head
            && page.rows.first().is_some_and(|row| row.iter().map(Option::as_deref).eq(names()))
        {
            page.rows.remove(0);
        }
        Ok(page)
    }

    async fn call(
        &self,
        operation: &'static str,
        request: &Value,
        action: impl Fn() -> String,
    ) -> Result<Value, BackendError> {
        let target = match operation {
            "StartQueryExecution" => "AmazonAthena.StartQueryExecution",
            "GetQueryExecution" => "AmazonAthena.GetQueryExecution",
            "StopQueryExecution" => "AmazonAthena.StopQueryExecution",
            _ => "AmazonAthena.GetQueryResults",
        };
        let answer = self.aws.signed.call(&SERVICE, Operation::Target(target), None, request).await;
        answer.map_err(|error| failed(action(), error))
    }
}

/// What was asked can never succeed as it is: there is no use in asking again.
pub fn is_refused(error: &BackendError) -> bool {
    let code = error.source.as_deref().and_then(|source| source.downcast_ref::<CallError>());
    code.is_some_and(|error| error.code == "InvalidRequestException")
}

pub(crate) fn failed(action: String, error: CallError) -> BackendError {
    let kind = match error.code.as_str() {
        "EntityNotFoundException" => BackendErrorKind::NotFound,
        "AlreadyExistsException" | "ConcurrentModificationException" => BackendErrorKind::Conflict,
        "OperationTimeoutException" => BackendErrorKind::Throttled,
        code => kind_of(code),
    };
    BackendError { kind, action, source: Some(Box::new(error)) }
}

/// 32 to 128 characters, whatever it is made of.
fn request_token(of: &str) -> String {
    short_id(&Sha256::digest(of))
}

impl Execution {
    fn read(id: &str, of: &Value) -> Option<Execution> {
        let status = &of["Status"];
        let state = match status["State"].as_str()? {
            "QUEUED" | "RUNNING" => State::Running,
            "SUCCEEDED" => State::Succeeded,
            "FAILED" => State::Failed,
            "CANCELLED" => State::Cancelled,
            _ => return None,
        };
        let error = &status["AthenaError"];
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let number = |name: &str| of["Statistics"][name].as_f64().map_or(0, |number| number as u64);
        Some(Execution {
            id: id.to_owned(),
            state,
            reason: text(&status["StateChangeReason"]).or_else(|| text(&error["ErrorMessage"])),
            retryable: error["Retryable"].as_bool().unwrap_or(false),
            scanned_bytes: number("DataScannedInBytes"),
            millis: number("TotalExecutionTimeInMillis"),
            output: text(&of["ResultConfiguration"]["OutputLocation"]),
            has_head: !matches!(of["StatementType"].as_str(), Some("DDL" | "UTILITY")),
        })
    }

    pub fn succeeded(self) -> Result<Execution, AthenaError> {
        if self.state == State::Succeeded {
            return Ok(self);
        }
        let reason = self.reason.unwrap_or_else(|| match self.state {
            State::Cancelled => "it was stopped by somebody".into(),
            _ => "it failed, and it does not say why".into(),
        });
        Err(AthenaError::Failed { id: self.id, reason, retryable: self.retryable })
    }
}

impl Page {
    fn read(answer: &Value) -> Option<Page> {
        let of = &answer["ResultSet"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let column = |column: &Value| {
            let name = text(&column["Name"])?;
            Some(ResultColumn { name, kind: text(&column["Type"]).unwrap_or_default() })
        };
        let none = Vec::new();
        let columns = of["ResultSetMetadata"]["ColumnInfo"].as_array().unwrap_or(&none);
        let columns: Vec<ResultColumn> = columns.iter().map(column).collect::<Option<_>>()?;
        let rows = of["Rows"].as_array().unwrap_or(&none).iter().map(|row| {
            let cells = row["Data"].as_array().unwrap_or(&none);
            cells.iter().map(|cell| text(&cell["VarCharValue"])).collect::<Vec<_>>()
        });
        let rows: Vec<Vec<Option<String>>> = rows.collect();
        if columns.is_empty() && !rows.is_empty() {
            return None;
        }
        Some(Page { columns, rows, next: text(&answer["NextToken"]).filter(|token| !token.is_empty()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loopback::{Answer, Loopback, Request};
    use std::sync::Mutex;

    fn athena(server: &Loopback) -> (Arc<Aws>, Athena) {
        let aws = server.aws();
        let athena = Athena::new(&aws, &Names::new("acme-x"));
        (aws, athena)
    }

    fn operation(request: &Request) -> String {
        request.header("x-amz-target").trim_start_matches("AmazonAthena.").to_owned()
    }

    fn execution(state: &str, more: Value) -> Answer {
        let mut of = json!({"QueryExecutionId": "q1", "StatementType": "DML", "Status": {"State": state},
            "Statistics": {"DataScannedInBytes": 1234, "TotalExecutionTimeInMillis": 56},
            "ResultConfiguration": {"OutputLocation": "s3://r/q1.csv"}});
        of["Status"].as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        Answer::json(200, json!({ "QueryExecution": of }))
    }

    fn cell(text: impl ToString) -> Value {
        json!({ "VarCharValue": text.to_string() })
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_question_is_started_once_waited_for_and_read_to_its_last_row() {
        let looks = Mutex::new(0);
        let server = Loopback::start(move |request| match operation(request).as_str() {
            "StartQueryExecution" => Answer::json(200, json!({"QueryExecutionId": "q1"})),
            "GetQueryExecution" => {
                let mut looks = looks.lock().unwrap();
                *looks += 1;
                execution(if *looks < 3 { "RUNNING" } else { "SUCCEEDED" }, json!({}))
            }
            _ => {
                let asked = request.json();
                let from: usize = asked["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
                let max = asked["MaxResults"].as_u64().unwrap() as usize;
                // Row 0 has the names, the first one after it looks as if it did.
                let row = |at: usize| match at {
                    0 | 1 => json!({"Data": [cell("who"), cell("n")]}),
                    2 => json!({"Data": [{}, {}]}),
                    at => json!({"Data": [cell("é\n\"x\""), cell(at)]}),
                };
                let last = (from + max).min(2_500);
                let rows: Vec<Value> = (from..last).map(row).collect();
                let columns = json!([{"Name": "who", "Type": "varchar"}, {"Name": "n", "Type": "bigint"}]);
                let mut answer = json!({"ResultSet": {"Rows": rows, "ResultSetMetadata": {"ColumnInfo": columns}}});
                if last < 2_500 {
                    answer["NextToken"] = last.to_string().into();
                }
                Answer::json(200, answer)
            }
        });
        let (aws, athena) = athena(&server);
        let done = aws.wait(athena.run("SELECT who, n FROM t", "my token", 5 * SECOND)).unwrap();
        assert_eq!((done.scanned_bytes, done.millis, done.output.as_deref()), (1234, 56, Some("s3://r/q1.csv")));
        let start = server.requests()[0].json();
        assert_eq!(start["QueryExecutionContext"]["Database"], "acme_x_streamalert");
        assert_eq!(start["WorkGroup"], "acme-x-streamalert");
        assert_eq!(start["ResultConfiguration"]["OutputLocation"], "s3://acme-x-streamalert-athena-results/");
        let token = start["ClientRequestToken"].as_str().unwrap().to_owned();
        assert!((32..=128).contains(&token.len()), "{token}");
        aws.wait(athena.start("SELECT who, n FROM t", "my token")).unwrap();
        assert_eq!(server.requests().last().unwrap().json()["ClientRequestToken"], token.as_str());
        let (mut rows, mut pages, mut next) = (Vec::new(), 0, None);
        loop {
            let page = aws.wait(athena.page(&done, next.as_deref())).unwrap();
            rows.extend(page.rows.iter().map(|row| Value::Object(page.object(row))));
            pages += 1;
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!((rows.len(), pages), (2_499, 3));
        assert_eq!(rows[0], json!({"who": "who", "n": "n"}));
        assert_eq!(rows[1], json!({"who": null, "n": null}));
        assert_eq!(rows[2_498], json!({"who": "é\n\"x\"", "n": 2_499}));
    }

    #[test]
    fn what_fails_says_why_and_what_takes_too_long_is_stopped() {
        let reason = "SYNTAX_ERROR: line 1:8: Column 'x' cannot be resolved";
        let failed = json!({"StateChangeReason": reason, "AthenaError": {"ErrorCategory": 2, "Retryable": false}});
        for (state, more, expected) in [
            ("FAILED", failed, format!("Athena says of the query q1: {reason}")),
            ("FAILED", json!({}), "Athena says of the query q1: it failed, and it does not say why".into()),
            ("CANCELLED", json!({}), "Athena says of the query q1: it was stopped by somebody".into()),
        ] {
            let server = Loopback::start(move |request| match operation(request).as_str() {
                "StartQueryExecution" => Answer::json(200, json!({"QueryExecutionId": "q1"})),
                _ => execution(state, more.clone()),
            });
            let (aws, athena) = athena(&server);
            let error = aws.wait(athena.run("SELECT x", "t", SECOND)).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        let server = Loopback::start(|request| match operation(request).as_str() {
            "StartQueryExecution" => Answer::json(200, json!({"QueryExecutionId": "q1"})),
            "StopQueryExecution" => Answer::json(200, json!({})),
            _ => execution("QUEUED", json!({})),
        });
        let (aws, athena) = athena(&server);
        let error = aws.wait(athena.run("SELECT 1", "t", SECOND / 2)).unwrap_err();
        assert!(matches!(&error, AthenaError::TimedOut { id, .. } if id == "q1"), "{error}");
        assert_eq!(operation(server.requests().last().unwrap()), "StopQueryExecution");
    }

    #[test]
    fn throttling_is_waited_out_and_a_refusal_is_told() {
        let throttled = Answer::json(400, json!({"__type": "TooManyRequestsException", "Message": "slow"}));
        let server = Loopback::script([throttled, Answer::json(200, json!({"QueryExecutionId": "q7"}))]);
        let (aws, asked) = athena(&server);
        assert_eq!(aws.wait(asked.start("SELECT 1", "t")).unwrap(), "q7");
        let refused = json!({"__type": "InvalidRequestException", "Message": "line 1:1: mismatched input 'SELEC'"});
        let server = Loopback::start(move |_| Answer::json(400, refused.clone()));
        let (aws, asked) = athena(&server);
        let error = aws.wait(asked.start("SELEC 1", "t")).unwrap_err();
        assert!(is_refused(&error) && error.source.unwrap().to_string().contains("mismatched input"));
        assert_eq!(server.requests().len(), 1);
    }

    #[test]
    fn values_have_the_types_of_their_columns() {
        let of = |kind: &str, cell: &str| ResultColumn { name: "c".into(), kind: kind.into() }.value(Some(cell));
        assert_eq!(of("bigint", "-9223372036854775808"), json!(i64::MIN));
        assert_eq!(of("double", "1.5E3"), json!(1500.0));
        assert_eq!(of("double", "NaN"), json!("NaN"));
        assert_eq!(of("boolean", "true"), json!(true));
        assert_eq!(of("decimal", "12345678901234567890.10"), json!("12345678901234567890.10"));
        assert_eq!(of("varchar", "7"), json!("7"));
        assert_eq!(of("json", r#"{"a":[1]}"#), json!({"a": [1]}));
        assert_eq!(of("array", "[a, b]"), json!("[a, b]"));
    }

    #[test]
    fn what_ddl_says_has_no_row_of_names() {
        let server = Loopback::start(|_| {
            let rows = json!([{"Data": [cell("a")]}, {"Data": [cell("b")]}]);
            let columns = json!([{"Name": "a", "Type": "string"}]);
            Answer::json(200, json!({"ResultSet": {"Rows": rows, "ResultSetMetadata": {"ColumnInfo": columns}}}))
        });
        let (aws, athena) = athena(&server);
        for (statement, expected) in [("DDL", 2), ("UTILITY", 2), ("DML", 1)] {
            let of = json!({"Status": {"State": "SUCCEEDED"}, "StatementType": statement});
            let execution = Execution::read("q", &of).unwrap();
            assert_eq!(aws.wait(athena.page(&execution, None)).unwrap().rows.len(), expected, "{statement}");
        }
    }
}
