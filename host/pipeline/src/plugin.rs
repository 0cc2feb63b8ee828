//! What a plugin is to the pipeline, and whose fault a failure is.

use crate::alert::{Merge, Severity};
use crate::config::LogType;
use crate::config::output::OutputConfig;
use crate::lookup::LookupSnapshot;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use streamalert_packed::{Frame, Record, frame_into};

/// Who should be told about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The rule's author.
    Guest,
    /// Whoever runs the pipeline.
    Host,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PluginErrorKind {
    /// Ran longer than the wall-clock guard allows.
    Timeout,
    OutOfFuel,
    OutOfMemory,
    Trap,
    /// Something the host does for guests failed.
    HostCall,
    /// It answered, but with something that means nothing: a row that was not asked about, a context that is no object.
    BadAnswer,
}

impl PluginErrorKind {
    pub fn blame(self) -> Blame {
        match self {
            PluginErrorKind::HostCall => Blame::Host,
            _ => Blame::Guest,
        }
    }

    pub fn code(self) -> &'static str {
        match self {
            PluginErrorKind::Timeout => "timeout",
            PluginErrorKind::OutOfFuel => "out_of_fuel",
            PluginErrorKind::OutOfMemory => "out_of_memory",
            PluginErrorKind::Trap => "trap",
            PluginErrorKind::HostCall => "host_call",
            PluginErrorKind::BadAnswer => "bad_answer",
        }
    }
}

#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {message}", kind.code())]
pub struct PluginError {
    pub kind: PluginErrorKind,
    pub message: String,
}

impl PluginError {
    pub fn new(kind: PluginErrorKind, message: impl Into<String>) -> Self {
        PluginError { kind, message: message.into() }
    }
}

/// A test of the value at a path; all values of one test are alternatives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Test {
    Equals(Vec<Value>),
    Prefix(Vec<String>),
    Suffix(Vec<String>),
    Contains(Vec<String>),
    Exists,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    pub path: String,
    pub test: Test,
}

/// The options of a rule: what its component declares as JSON beside name, logs and conditions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleOptions {
    /// Only records with a value of at least one of these: normalized names, `ocsf:<class>`, `ecs:<field>`.
    pub datatypes: Vec<String>,
    /// `service:descriptor` each.
    pub outputs: Vec<String>,
    pub severity: Severity,
    pub merge: Option<Merge>,
    /// Name, list of names, or object by output; kept as declared for the alert processor.
    pub publishers: Value,
    /// Goes with every alert of the rule; a finding's own context is laid over it.
    pub context: Map<String, Value>,
    pub tags: Vec<String>,
    pub references: Vec<String>,
    /// Of each of these lists at least one condition must hold too, or the guest is not asked about the record. They are compared
    /// loosely: without regard to the case of ASCII letters, numbers and booleans as their texts, and of a list, also one on the
    /// way of a path, any item will do.
    pub when_any: Vec<Vec<Condition>>,
    /// Names of test files, for the author's tools.
    pub tests: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleInfo {
    pub name: String,
    pub description: String,
    pub logs: Vec<String>,
    pub when: Vec<Condition>,
    pub options: RuleOptions,
}

impl RuleInfo {
    /// Whether records of this type can be any of its business. Without `logs`, every type that declares one of its
    /// datatypes; with both, both must fit.
    pub fn looks_at(&self, log_type: &LogType) -> bool {
        let datatypes = &self.options.datatypes;
        match (self.logs.is_empty(), datatypes.is_empty()) {
            (true, true) => false,
            (false, true) => self.logs.iter().any(|log| log_type.is_named_by(log)),
            (no_logs, false) => {
                (no_logs || self.logs.iter().any(|log| log_type.is_named_by(log)))
                    && datatypes.iter().any(|name| log_type.declares(name))
            }
        }
    }

    /// `looks_at`, for people.
    pub fn scope(&self) -> String {
        let datatypes = self.options.datatypes.join(", ");
        match (self.logs.is_empty(), datatypes.is_empty()) {
            (false, true) => self.logs.join(", "),
            (true, _) => format!("any log with {datatypes}"),
            (false, false) => format!("{} with {datatypes}", self.logs.join(", ")),
        }
    }
}

/// What a rule reports of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finding {
    pub row: u32,
    pub title: Option<String>,
    pub severity: Option<Severity>,
    pub dedup_key: Option<String>,
    pub context: Map<String, Value>,
    pub outputs: Vec<String>,
}

/// The rows that one component is asked about: packed, numbered from 0.
#[derive(Default)]
pub struct Batch {
    /// Unlike that of any other batch in this process.
    pub id: u64,
    frame: Vec<u8>,
    longest: usize,
    tables: SeenTables,
}

/// The lookup tables as a batch sees them, from the first time that one of its rules asks any; all components that judge the
/// batch share it.
pub type SeenTables = Arc<OnceLock<Arc<dyn LookupSnapshot>>>;

thread_local! {
    /// Buffers of batches that are done with: fresh memory of this size costs more than filling it.
    static SPARE: std::cell::RefCell<Vec<Vec<u8>>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Spare buffers a thread keeps, and the largest it keeps, in bytes.
const SPARES_MAX: usize = 4;
const SPARE_BYTES_MAX: usize = 8 << 20;

impl Drop for Batch {
    fn drop(&mut self) {
        let frame = std::mem::take(&mut self.frame);
        if (1..=SPARE_BYTES_MAX).contains(&frame.capacity()) {
            // A thread that is ending has no spares any more, and needs none.
            let _ = SPARE.try_with(|spare| {
                let mut spare = spare.borrow_mut();
                if spare.len() < SPARES_MAX {
                    spare.push(frame);
                }
            });
        }
    }
}

impl Batch {
    pub fn new<'a>(id: u64, records: impl ExactSizeIterator<Item = Record<'a>>) -> Self {
        let mut frame = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
        let mut longest = 0;
        frame_into(
            &mut frame,
            records.map(|record| {
                longest = longest.max(record.bytes().len());
                record.bytes()
            }),
        );
        Batch { id, frame, longest, tables: SeenTables::default() }
    }

    /// Beside other components, which see the same tables.
    pub fn seeing(self, tables: SeenTables) -> Self {
        let mut batch = self;
        batch.tables = tables;
        batch
    }

    pub fn tables(&self) -> &SeenTables {
        &self.tables
    }

    /// Bytes of the longest row.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The buffer guests read; see `wit/packed.md`.
    pub fn packed(&self) -> &[u8] {
        &self.frame
    }

    pub fn rows(&self) -> usize {
        self.frame().rows()
    }

    pub fn record(&self, row: u32) -> Option<Record<'_>> {
        self.frame().record(row as usize)
    }

    fn frame(&self) -> Frame<'_> {
        // SAFETY: made by `frame_into` above, or empty.
        unsafe { Frame::trusted(&self.frame) }
    }
}

/// One read of a record that a rule did while it was watched.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Read {
    pub row: u32,
    pub path: String,
    pub value: Option<Value>,
}

/// What one call of a rule came to.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    pub findings: Vec<Finding>,
    /// Deterministic: the same component and rows cost the same.
    pub fuel: u64,
}

/// One loaded component of rules.
pub trait RulePlugin: Send + Sync {
    /// File name, for messages.
    fn name(&self) -> &str;
    /// SHA-256 of the component, hex.
    fn digest(&self) -> &str;
    fn rules(&self) -> &[RuleInfo];
    /// Begins what takes time before rows can be judged, and returns at once. Called for all components that a batch needs
    /// before the first of them is opened.
    fn prepare(&self) {}
    /// A sandbox that judges one batch. Cheap: a stage takes one per component and batch.
    fn open<'a>(&'a self, batch: &'a Arc<Batch>) -> Box<dyn RuleSession + 'a>;
}

/// A sandbox at work on one batch. After an error it goes on with a fresh instance at the next call.
pub trait RuleSession {
    /// Asks rule number `rule` (its place in [`RulePlugin::rules`]) about `rows`, which rise.
    fn evaluate(&mut self, rule: usize, rows: &[u32]) -> Result<Judged, PluginError>;
}

/// How much of an object a parser must see at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Takes {
    /// Any number of whole lines.
    #[default]
    Lines,
    /// The whole object.
    Whole,
}

/// What the host must know of a parser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParserInfo {
    /// What clusters call it.
    pub name: String,
    pub description: String,
    /// A schema file of the log types it makes records of, as text; the records' `parser` there is `json`.
    pub schemas: String,
    pub takes: Takes,
    /// It can tell its own payloads by their first bytes.
    pub sniffs: bool,
}

/// What a parser made of a piece of its payload.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedPart {
    /// First byte of the piece, counted in the payload, and its length.
    pub offset: u32,
    pub length: u32,
    pub outcome: Result<ParsedRecord, String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ParsedRecord {
    /// One of the parser's log types; empty: whichever fits.
    pub log_type: String,
    /// A JSON object.
    pub json: String,
}

/// One loaded component that parses.
pub trait ParserPlugin: Send + Sync {
    /// File name, for messages.
    fn name(&self) -> &str;
    /// SHA-256 of the component, hex.
    fn digest(&self) -> &str;
    fn info(&self) -> &ParserInfo;
    /// Whether a payload that begins with `head` is one of its own.
    fn sniff(&self, head: &[u8]) -> Result<bool, PluginError>;
    /// Every byte of the payload that means something is in one of the parts.
    fn parse(&self, payload: &[u8]) -> Result<Vec<ParsedPart>, PluginError>;
}

/// What the host must know of a publisher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublisherInfo {
    /// What rules call it.
    pub name: String,
    pub description: String,
}

/// One loaded component of publishers.
pub trait PublisherPlugin: Send + Sync {
    /// File name, for messages.
    fn name(&self) -> &str;
    /// SHA-256 of the component, hex.
    fn digest(&self) -> &str;
    fn publishers(&self) -> &[PublisherInfo];
    /// The publication after publisher number `publisher` of this component; the inner error is the publisher's own.
    /// `alert` and `publication` are JSON objects, `output` is `service:descriptor`.
    fn publish(
        &self,
        publisher: usize,
        alert: &str,
        publication: &str,
        output: &str,
    ) -> Result<Result<Map<String, Value>, String>, PluginError>;
}

/// What the operator says of each descriptor of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    pub name: String,
    pub description: String,
    /// Lies in the secret store, not in the configuration.
    pub secret: bool,
    pub required: bool,
}

/// What the host must know of an output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutputInfo {
    /// The first half of `service:descriptor`.
    pub service: String,
    pub description: String,
    pub settings: Vec<Setting>,
    /// Hosts it calls: a name, `*.` and a name for all below, `{setting}` for the host of the URL in that setting.
    pub hosts: Vec<String>,
    pub options: OutputOptions,
}

/// The options of an output: what its component declares as JSON beside service, settings and hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputOptions {
    /// Deliveries a second that the service takes.
    pub rate: Option<f64>,
    /// The service takes a parcel once, however often it is sent.
    pub idempotent: bool,
}

/// What is wrong with a setting; without a name if it is about several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingFault {
    pub setting: String,
    pub message: String,
}

/// One alert for one descriptor.
#[derive(Clone, Debug)]
pub struct Parcel {
    pub descriptor: String,
    /// The same for each attempt, and like no other.
    pub idempotency_key: String,
    /// 1 at first.
    pub attempt: u32,
    /// Seconds since 1970.
    pub now: u64,
    /// The alert as JSON.
    pub alert: String,
    /// A JSON object: the alert as the publishers left it.
    pub publication: String,
    /// Those that are not secret.
    pub settings: Vec<(String, String)>,
    /// What the last attempt left.
    pub progress: Option<String>,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The service has it; where, for people.
    Delivered(Option<String>),
    /// Not now.
    Retry {
        reason: String,
        /// Seconds the service asks to wait.
        after: Option<u32>,
        /// What the next attempt goes on from.
        progress: Option<String>,
    },
    /// Never: trying again is no use.
    Reject(String),
}

/// What an output may do in the world while it delivers, and an app while it polls. Made by the host for one descriptor or app.
pub trait Outside: Send + Sync {
    fn http(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure>;
    /// A secret setting of the descriptor at hand.
    fn secret(&self, name: &str) -> Option<String>;
    /// What is left of the time that the delivery may take, if somebody has said so.
    fn time_left(&self) -> Option<Duration> {
        None
    }
    /// So long somebody waited before a request, and not for an answer: it is not of the time that the delivery may take.
    fn waited(&self, _time: Duration) {}
}

/// Makes what outputs may do in the world.
pub trait World: Send + Sync {
    /// For one descriptor: what it may reach, and its own secrets.
    fn outside(&self, info: &OutputInfo, config: &OutputConfig, secrets: &BTreeMap<String, String>)
    -> Arc<dyn Outside>;
}

/// Where nothing can be reached and nothing is secret: for outputs that need no world, and for tests.
pub struct Nowhere;

impl Outside for Nowhere {
    fn http(&self, _: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let message = "there is no network here".to_owned();
        Err(HttpFailure { kind: HttpFailureKind::Forbidden, message, sent: false })
    }

    fn secret(&self, _: &str) -> Option<String> {
        None
    }
}

impl World for Nowhere {
    fn outside(&self, _: &OutputInfo, _: &OutputConfig, _: &BTreeMap<String, String>) -> Arc<dyn Outside> {
        Arc::new(Nowhere)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The body was longer than the limit.
    pub truncated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpFailureKind {
    /// Not permitted, or no request.
    Forbidden,
    /// No such host, no route, refused connection.
    Unreachable,
    Tls,
    Timeout,
    /// The connection broke before the answer was complete.
    Broken,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HttpFailure {
    pub kind: HttpFailureKind,
    /// Holds no secret.
    pub message: String,
    /// The service may have seen the request.
    pub sent: bool,
}

/// What delivers alerts to one service: a loaded component or one of the host's own.
pub trait OutputPlugin: Send + Sync {
    /// File name, for messages.
    fn name(&self) -> &str;
    /// SHA-256 of the component, hex; empty for the host's own.
    fn digest(&self) -> &str;
    fn info(&self) -> &OutputInfo;
    /// What is wrong with these settings, secret ones among them; calls nobody.
    fn validate(&self, settings: &[(String, String)]) -> Result<Vec<SettingFault>, PluginError>;
    /// Blocks until the attempt is over.
    fn deliver(&self, parcel: &Parcel, outside: &Arc<dyn Outside>) -> Result<Disposition, PluginError>;
    /// Parcels of one descriptor, for outputs that do many at the cost of one. An answer for each, in their order.
    fn deliver_all(&self, parcels: &[Parcel], outside: &Arc<dyn Outside>) -> Vec<Result<Disposition, PluginError>> {
        parcels.iter().map(|parcel| self.deliver(parcel, outside)).collect()
    }
    /// `deliver_all` does many at the cost of one.
    fn in_bulk(&self) -> bool {
        false
    }
}

/// What the host must know of a type of app.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AppInfo {
    /// What `apps.json` calls it as `type`.
    pub name: String,
    pub description: String,
    pub settings: Vec<Setting>,
    /// As of [`OutputInfo`].
    pub hosts: Vec<String>,
    pub options: AppOptions,
}

/// The options of a type of app: what its component declares as JSON beside name, settings and hosts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AppOptions {
    /// Requests a second that the service takes.
    pub rate: Option<f64>,
    /// Log types that its logs are.
    pub logs: Vec<String>,
}

impl AppInfo {
    /// As whoever makes its [`Outside`] sees it.
    pub fn caller(&self) -> OutputInfo {
        OutputInfo {
            service: self.name.clone(),
            description: self.description.clone(),
            settings: self.settings.clone(),
            hosts: self.hosts.clone(),
            options: OutputOptions::default(),
        }
    }
}

/// The next page of an app is wanted.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// The operator's name for it.
    pub app: String,
    /// Seconds since 1970.
    pub now: u64,
    /// Logs are wanted from this second on.
    pub since: u64,
    /// 1 at first and after each page.
    pub attempt: u32,
    pub cursor: Option<String>,
    /// Those that are not secret.
    pub settings: Vec<(String, String)>,
}

/// What a poll came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    Page(AppPage),
    /// Not now.
    Retry {
        reason: String,
        after: Option<u32>,
    },
    /// Not as it is.
    Reject(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppPage {
    /// A JSON object each, on one line.
    pub logs: Vec<String>,
    pub cursor: String,
    /// There is more right now.
    pub more: bool,
    /// Seconds until the next request may be made.
    pub wait: Option<u32>,
}

/// One loaded component of apps.
pub trait AppPlugin: Send + Sync {
    /// File name, for messages.
    fn name(&self) -> &str;
    /// SHA-256 of the component, hex.
    fn digest(&self) -> &str;
    fn apps(&self) -> &[AppInfo];
    /// What is wrong with these settings of type number `kind`, secret ones among them; calls nobody.
    fn validate(&self, kind: usize, settings: &[(String, String)]) -> Result<Vec<SettingFault>, PluginError>;
    /// Blocks until the page is there or is known not to come.
    fn poll(&self, kind: usize, ask: &Ask, outside: &Arc<dyn Outside>) -> Result<Polled, PluginError>;
}

/// The components that are live together. A batch sees one set from start to end.
#[derive(Default, Clone)]
pub struct PluginSet {
    pub plugins: Vec<Arc<dyn RulePlugin>>,
    pub parsers: Vec<Arc<dyn ParserPlugin>>,
    pub publishers: Vec<Arc<dyn PublisherPlugin>>,
    pub outputs: Vec<Arc<dyn OutputPlugin>>,
    pub apps: Vec<Arc<dyn AppPlugin>>,
}

impl PluginSet {
    /// The component of a type of app, and its number there.
    pub fn app(&self, name: &str) -> Option<(&Arc<dyn AppPlugin>, usize)> {
        let place = |plugin: &Arc<dyn AppPlugin>| plugin.apps().iter().position(|app| app.name == name);
        self.apps.iter().find_map(|plugin| Some((plugin, place(plugin)?)))
    }
}
