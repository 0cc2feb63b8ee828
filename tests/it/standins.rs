//! Servers that stand in for AWS: ministack and moto, started once in a test run, on loopback.
//!
//! ```no_run
//! let Some(standin) = standins::ministack() else { return };
//! let place = standin.place("lost");
//! place.alerts_table();
//! let alerts = DynamoAlerts::new(place.aws.clone(), &place.names);
//! ```
//!
//! They are installed by `tests/standins.sh`. Where that is not possible, tests say so and are skipped, unless `CI=true`: there
//! a missing stand-in is a failure.
//!
//! No contract is left out on either of them. What they do otherwise than AWS, as far as it matters here:
//!
//! | stand-in | what it does | so |
//! |---|---|---|
//! | moto | its transactions copy whole tables and put the copies back, losing what others wrote meanwhile | it gets one request at a time, and less to do |
//! | moto | a transaction that comes again with its token is done again, as on AWS after ten minutes | lost answers are tried on both |
//! | both | indexes are never behind | tests write entries that say what is not so |
//! | ministack | removes what has expired, once a minute | no table says what expires: that nothing owed may is looked at in the items |
//! | both | are never busy | [`crate::fault_proxy`] is: throttling, conflicts, entries left undone |
//! | ministack | counts 4 MB of a transaction as JSON, where AWS counts items | transactions are that much smaller |
//! | ministack | refuses to delete a message that was deleted already | nothing asks what came of deleting |
//! | ministack | receives messages for functions itself | what is delivered twice to a function, a test delivers twice |

#[path = "standins/call_log.rs"]
pub mod call_log;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant};
use streamalert_aws::clients::Credentials;
use streamalert_aws::{Aws, Connection, Names, alert_table, rule_table};
use streamalert_pipeline::archive::stream_name;

/// Until a stand-in answers; a loaded machine takes some seconds.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// A port that was free may be taken before the server has it.
const STARTS_MAX: u32 = 3;
/// Of tests: a failed call on loopback need not be waited for.
const RETRY_FIRST: Duration = Duration::from_millis(2);
const REGION: &str = "us-east-1";
/// Times a message is received before it goes to the dead-letter queue.
const RECEIVES_MAX: u32 = 3;

/// What tests wait for AWS on.
pub static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("threads can be started")
});

pub struct Standin {
    pub name: &'static str,
    /// `http://127.0.0.1:1234`
    pub endpoint: String,
    /// While its standard input is open, the server runs. Nobody closes it before we die, however that comes.
    _server: Child,
}

/// The main one: it runs functions, too.
pub fn ministack() -> Option<&'static Standin> {
    static MINISTACK: OnceLock<Option<Standin>> = OnceLock::new();
    let started = MINISTACK.get_or_init(|| {
        let environment = |port: u16| {
            vec![
                ("BIND_HOST", "127.0.0.1".to_owned()),
                ("GATEWAY_PORT", port.to_string()),
                ("LAMBDA_EXECUTOR", "local".to_owned()),
                ("IOT_MTLS_ENABLED", "0".to_owned()),
                ("SFTP_ENABLED", "0".to_owned()),
                ("LOG_LEVEL", "WARNING".to_owned()),
            ]
        };
        start(
            "ministack",
            "ministack-1.5.33",
            |_| vec!["-m".into(), "ministack".into()],
            environment,
            "/_ministack/health",
        )
    });
    started.as_ref()
}

/// The second opinion.
pub fn moto() -> Option<&'static Standin> {
    static MOTO: OnceLock<Option<Standin>> = OnceLock::new();
    let started = MOTO.get_or_init(|| {
        let arguments =
            |port: u16| ["-c", include_str!("standins/moto.py"), &port.to_string()].map(str::to_owned).to_vec();
        start("moto", "moto-5.2.5", arguments, |_| vec![], "/moto-api/data.json")
    });
    started.as_ref()
}

impl Standin {
    pub fn connection(&self) -> Connection {
        connection(&self.endpoint)
    }

    /// A corner of the stand-in that is this test's own, with nothing in it yet.
    pub fn place(&self, name: &str) -> Place {
        Place::new(Arc::new(Aws::connect(&self.connection(), RUNTIME.handle().clone())), name)
    }
}

/// To whatever listens there and passes for AWS.
pub fn connection(endpoint: &str) -> Connection {
    Connection {
        region: Some(REGION.to_owned()),
        credentials: Some(Credentials::new("test", "test", None, None, "tests")),
        endpoint: Some(endpoint.to_owned()),
        path_style: true,
        retry_first: RETRY_FIRST,
        ..Connection::default()
    }
}

/// One installation under a prefix that nobody else has. What is in it is made as a test asks for it.
pub struct Place {
    pub aws: Arc<Aws>,
    pub names: Names,
}

impl Place {
    pub fn new(aws: Arc<Aws>, name: &str) -> Place {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("{name}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        Place { aws, names: Names::new(prefix) }
    }

    /// The same installation, reached another way: through a proxy, or with another patience.
    pub fn through(&self, connection: &Connection) -> Place {
        Place { aws: Arc::new(Aws::connect(connection, RUNTIME.handle().clone())), names: self.names.clone() }
    }

    /// With its indexes. Nothing expires in it: the times of tests are long past.
    pub fn alerts_table(&self) {
        let definition = alert_table::layout::definition(&self.names.alerts_table());
        self.aws.wait(definition.send_with(&self.aws.dynamodb)).expect("the table is made");
    }

    pub fn rules_table(&self) {
        let definition = rule_table::definition(&self.names.rules_table());
        self.aws.wait(definition.send_with(&self.aws.dynamodb)).expect("the table is made");
    }

    /// With its dead-letter queue, `…-dead`. Gives the URLs of both.
    pub fn records_queue(&self) -> (String, String) {
        use aws_sdk_sqs::types::QueueAttributeName::{QueueArn, RedrivePolicy};
        let name = self.names.records_queue();
        self.aws.wait(async {
            let sqs = &self.aws.sqs;
            let dead = sqs.create_queue().queue_name(format!("{name}-dead")).send().await.expect("a queue is made");
            let dead = dead.queue_url.expect("it has a URL");
            let about = sqs.get_queue_attributes().queue_url(&dead).attribute_names(QueueArn).send().await;
            let about = about.expect("it can be asked").attributes.unwrap_or_default();
            let arn = about.get(&QueueArn).expect("it has a name");
            let redrive = serde_json::json!({"deadLetterTargetArn": arn, "maxReceiveCount": RECEIVES_MAX.to_string()});
            let queue = sqs.create_queue().queue_name(&name).attributes(RedrivePolicy, redrive.to_string());
            let queue = queue.send().await.expect("a queue is made").queue_url.expect("it has a URL");
            (queue, dead)
        })
    }

    /// With versions, as rules can be rolled back.
    pub fn rules_bucket(&self) {
        use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
        let bucket = self.names.rules_bucket();
        self.bucket(&bucket);
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let put = self.aws.s3.put_bucket_versioning().bucket(&bucket).versioning_configuration(on);
        self.aws.wait(put.send()).expect("versions are kept");
    }

    pub fn data_bucket(&self) {
        self.bucket(&self.names.data_bucket());
    }

    pub fn bucket(&self, name: &str) {
        self.aws.wait(self.aws.s3.create_bucket().bucket(name).send()).expect("a bucket is made");
    }

    /// The stream of a log type's records, which lands in the data bucket below `archive/<stream>/`. The bucket must be there.
    pub fn archive_stream(&self, log_type: &str) -> String {
        use aws_sdk_firehose::types::ExtendedS3DestinationConfiguration;
        let name = stream_name(&self.names.prefix, log_type);
        let destination = ExtendedS3DestinationConfiguration::builder()
            .role_arn("arn:aws:iam:::role/firehose")
            .bucket_arn(format!("arn:aws:s3:::{}", self.names.data_bucket()))
            .prefix(format!("archive/{name}/"))
            .build()
            .expect("all is given");
        let create = self.aws.firehose.create_delivery_stream().delivery_stream_name(&name);
        self.aws.wait(create.extended_s3_destination_configuration(destination).send()).expect("a stream is made");
        name
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above").to_owned()
}

/// Starts a server, or says why not.
fn start(
    name: &'static str,
    folder: &str,
    arguments: impl Fn(u16) -> Vec<String>,
    environment: impl Fn(u16) -> Vec<(&'static str, String)>,
    health: &str,
) -> Option<Standin> {
    let started = python(folder).and_then(|python| {
        let mut last = String::new();
        for _ in 0..STARTS_MAX {
            match start_on(name, &python, free_port(), &arguments, &environment, health) {
                Ok(standin) => return Ok(standin),
                Err(error) => last = error,
            }
        }
        Err(last)
    });
    match started {
        Ok(standin) => Some(standin),
        Err(reason) if std::env::var("CI").is_ok_and(|ci| ci == "true") => panic!("{name} is missing: {reason}"),
        Err(reason) => {
            println!("skipped: {name} is missing: {reason}");
            None
        }
    }
}

/// The python that has the server; both are installed if need be.
fn python(folder: &str) -> Result<PathBuf, String> {
    let python = root().join("target/standins").join(folder).join("bin/python");
    if !python.exists() {
        let install = Command::new(root().join("tests/standins.sh")).stdin(Stdio::null()).output();
        let install = install.map_err(|error| format!("tests/standins.sh cannot be run: {error}"))?;
        if !install.status.success() {
            return Err(String::from_utf8_lossy(&install.stderr).into_owned());
        }
    }
    Ok(python)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    listener.local_addr().expect("it has an address").port()
}

/// Runs a command for as long as its standard input is open, then ends all that it started. A pipe is closed however its
/// owner dies.
const WATCHED: &str = r#""$@" </dev/null & cat >/dev/null; trap '' TERM; kill -TERM 0; sleep 0.5; kill -KILL 0"#;

fn start_on(
    name: &'static str,
    python: &Path,
    port: u16,
    arguments: &impl Fn(u16) -> Vec<String>,
    environment: &impl Fn(u16) -> Vec<(&'static str, String)>,
    health: &str,
) -> Result<Standin, String> {
    let log = root().join("target/standins").join(format!("{name}-{port}.log"));
    let output = std::fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let errors = output.try_clone().map_err(|error| error.to_string())?;
    let mut command = Command::new("sh");
    command.args(["-c", WATCHED, "sh"]).arg(python).args(arguments(port));
    // A group of its own, so that all of it can be ended.
    command.process_group(0).stdin(Stdio::piped()).stdout(output).stderr(errors);
    for (variable, value) in environment(port) {
        command.env(variable, value);
    }
    let mut server = command.spawn().map_err(|error| format!("sh cannot be run: {error}"))?;
    let begun = Instant::now();
    while begun.elapsed() < START_TIMEOUT {
        if answers(port, health) {
            // Of a server that runs, nobody needs to read; and file names would pile up.
            let _ = std::fs::remove_file(&log);
            return Ok(Standin { name, endpoint: format!("http://127.0.0.1:{port}"), _server: server });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(server.stdin.take());
    let _ = server.wait();
    let said = std::fs::read_to_string(&log).unwrap_or_default();
    Err(format!("it did not answer within {START_TIMEOUT:?}; {} says: {said}", log.display()))
}

/// Whether it is there and well.
fn answers(port: u16, path: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let patience = Some(Duration::from_secs(2));
    let _ = stream.set_read_timeout(patience);
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    let mut answer = [0; 12];
    stream.write_all(request.as_bytes()).is_ok() && stream.read_exact(&mut answer).is_ok() && answer.ends_with(b" 200")
}

/// Both, as far as they are there.
pub fn all() -> Vec<&'static Standin> {
    [ministack(), moto()].into_iter().flatten().collect()
}

#[test]
fn each_test_has_a_corner_of_its_own() {
    for standin in all() {
        let place = standin.place("corner");
        place.alerts_table();
        place.rules_table();
        place.records_queue();
        place.rules_bucket();
        place.data_bucket();
        place.archive_stream("cloudtrail:events");
        let other = standin.place("corner");
        assert_ne!(place.names.prefix, other.names.prefix);
        let tables = place.aws.wait(place.aws.dynamodb.list_tables().send()).unwrap();
        let tables = tables.table_names.unwrap_or_default();
        assert!(tables.contains(&place.names.alerts_table()) && !tables.contains(&other.names.alerts_table()));
        let about = place.aws.dynamodb.describe_table().table_name(place.names.alerts_table());
        let about = place.aws.wait(about.send()).unwrap().table.unwrap();
        assert_eq!(about.global_secondary_indexes().len(), 2);
    }
}
