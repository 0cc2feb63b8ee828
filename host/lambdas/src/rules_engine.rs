//! The rules engine: batches of records from the queue are judged, and what rules find is stored as alerts.

use crate::classifier::millis;
use crate::environment::Environment;
use crate::function::{Function, failures};
use crate::live::{LiveSet, Now};
use crate::metrics::{Meter, Metrics};
use crate::outbox::told;
use crate::wake::wake;
use anyhow::{Result, bail};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use streamalert_aws::alert_table::DynamoAlerts;
use streamalert_aws::archive::put_alerts;
use streamalert_aws::call::at_once;
use streamalert_aws::dead_letters::S3DeadLetters;
use streamalert_aws::limits::CALLS_AT_ONCE;
use streamalert_aws::objects::Bucket;
use streamalert_aws::queue::{self, MessageError};
use streamalert_aws::rule_costs::S3RuleCosts;
use streamalert_aws::rule_table::DynamoRules;
use streamalert_delivery::{Components, store};
use streamalert_pipeline::alert::{Alert, Hit};
use streamalert_pipeline::alert_merger::waiting;
use streamalert_pipeline::alert_processor::publication::shape;
use streamalert_pipeline::backend::{
    BackendError, DeadLetters, RuleCost, RuleLedger, RuleTable, TrialCounts, TrialKey, TrialTable,
};
use streamalert_pipeline::classifier::log_batch;
use streamalert_pipeline::dead_letter::{DeadLetter, Reason, RuleFault};
use streamalert_pipeline::log_record::{Payload, Position, Source};
use streamalert_pipeline::record_batch::{ReadError, RecordBatch};
use streamalert_pipeline::staging::States as Known;
use streamalert_pipeline::time::{Millis, parse, rfc3339};
use streamalert_pipeline::trials;

/// Time kept for storing, before the function is ended: at least so much, or a tenth of all there is.
const STOP_BEFORE: Duration = Duration::from_secs(2);
/// Messages that are unpacked at a time.
const MESSAGES_AT_ONCE: usize = 8;
/// Times a message came, after which it may be what ended the function each time: it is handled alone, so that no other message
/// is lost with it. Its queue gives it up later.
const OFTEN: u32 = 3;
/// Bytes of dead letters that are gathered before they are stored.
const LETTER_BYTES: usize = 8 << 20;
/// How long it is taken for known which rules are staged, unless something says otherwise.
const STATES_SECONDS: u64 = 30;
/// Milliseconds that clocks of two functions may differ.
const CLOCKS_APART: Millis = 60_000;
/// How often a process writes what rules cost: a call a minute, however many rules there are.
const COSTS_EVERY: Duration = Duration::from_secs(60);

pub struct RulesEngine {
    environment: Environment,
    meter: Meter,
    live: LiveSet,
    table: DynamoAlerts,
    states: Arc<States>,
    dead: S3DeadLetters,
    claims: Bucket,
    costs: S3RuleCosts,
}

/// Which rules are staged, as of a while ago.
struct States {
    table: DynamoRules,
    every: Duration,
    read: Mutex<Option<AsRead>>,
}

/// What was read of them, when, and beside which index.
struct AsRead {
    since: Instant,
    at: Millis,
    serial: u64,
    states: Arc<Known>,
}

impl AsRead {
    /// What is decided about rules is written before the index that makes them live: what was read after it was seen, or well after
    /// it was made, knows of that.
    fn knows(&self, serial: u64) -> bool {
        let made = Millis::try_from(serial).unwrap_or(Millis::MAX);
        self.serial == serial || self.at > made.saturating_add(CLOCKS_APART)
    }
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Records", default)]
    records: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "messageId")]
    id: String,
    #[serde(default)]
    body: String,
    #[serde(rename = "eventSourceARN", default)]
    queue: String,
    #[serde(rename = "receiptHandle", default)]
    handle: String,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Default, Deserialize)]
struct Attributes {
    /// A number, as text.
    #[serde(rename = "ApproximateReceiveCount", default)]
    received: String,
}

impl Message {
    fn came_often(&self) -> bool {
        self.attributes.received.parse().is_ok_and(|received: u32| received >= OFTEN)
    }

    fn ticket(&self) -> Ticket {
        Ticket { id: self.id.clone(), queue: self.queue.clone(), handle: self.handle.clone() }
    }
}

/// By which a message is taken out of its queue.
struct Ticket {
    id: String,
    queue: String,
    handle: String,
}

impl RulesEngine {
    pub fn new(environment: &Environment) -> Result<Self> {
        let Environment { aws, names, .. } = environment;
        let states = Arc::new(States {
            table: DynamoRules::new(aws.clone(), names),
            every: Duration::from_secs(environment.read("STREAMALERT_STATES_SECONDS", STATES_SECONDS)?),
            read: Mutex::default(),
        });
        // Beside what else the start waits for. The first event waits for what is still missing then.
        let first = states.clone();
        if let Err(error) = thread::Builder::new().name("states".into()).spawn(move || first.current(0)) {
            tracing::warn!(%error, "no thread to read the rules table with; the first event reads it");
        }
        Ok(RulesEngine {
            meter: Meter::of(environment, "rules_engine")?,
            live: LiveSet::open(environment)?,
            table: DynamoAlerts::new(aws.clone(), names),
            states,
            dead: S3DeadLetters::new(aws, names.data_bucket()),
            claims: Bucket::new(aws, names.data_bucket()),
            costs: S3RuleCosts::new(aws, names, COSTS_EVERY, millis),
            environment: environment.clone(),
        })
    }
}

impl Function for RulesEngine {
    fn handle(&self, event: &[u8], deadline: Instant) -> Result<Value> {
        let begun = Instant::now();
        let now = self.live.current(deadline)?;
        let failed_lookups = now.failed_lookups();
        let left = deadline.saturating_duration_since(begun);
        let stop = deadline.checked_sub(STOP_BEFORE.max(left / 10)).unwrap_or(begun);
        let mut metrics = Metrics::of(&self.meter);
        let Event { records: messages } = serde_json::from_slice(event)?;
        if messages.is_empty() {
            bail!("an event without messages: this function is for the records queue");
        }
        let states = self.states.current(now.serial);
        let mut round = Round::default();
        let count = messages.len();
        let (mut usual, mut often) = (Vec::new(), Vec::new());
        for raw in &messages {
            match serde_json::from_str::<Message>(raw.get()) {
                Ok(message) if message.came_often() && count > 1 => often.push(message),
                Ok(message) => usual.push(message),
                Err(error) => round.no_message(raw.get(), &error.to_string()),
            }
        }
        let judgement = Judgement { now: &now, states: states.as_deref(), stop };
        let mut done: Vec<Ticket> = usual.iter().map(Message::ticket).collect();
        self.work(usual, &judgement, &mut round, &mut metrics);
        for message in often {
            // What was done so far is over, whatever comes of this one.
            self.settle(&mut done, &round);
            done.push(message.ticket());
            self.work(vec![message], &judgement, &mut round, &mut metrics);
        }
        metrics.count(&[], "Messages", count as u64);
        // Records that need what could not be read are dead letters of their rule, and can be sent again.
        let lookups = now.failed_lookups() - failed_lookups;
        if lookups > 0 {
            metrics.count(&[], "LookupFailures", lookups);
        }
        for table in self.live.tables().iter().filter(|table| table.error.is_some()) {
            metrics.count(&[("Table", &table.table)], "LookupTablesNotRead", 1);
        }
        metrics.count(&[], "FailedItems", round.failed.len() as u64);
        metrics.add(&[], "Duration", "Milliseconds", begun.elapsed().as_secs_f64() * 1e3);
        metrics.print(&self.meter, millis());
        if round.failed.contains("") {
            bail!("the event has to come again: what is no message of it could not be stored");
        }
        Ok(failures(round.failed.iter().map(String::as_str)))
    }
}

/// What messages are judged by, and until when.
struct Judgement<'a> {
    now: &'a Now,
    states: Option<&'a Known>,
    stop: Instant,
}

impl RulesEngine {
    /// Judges messages and stores what comes of them.
    fn work(&self, messages: Vec<Message>, by: &Judgement<'_>, round: &mut Round, metrics: &mut Metrics) {
        let mut messages = messages.into_iter().peekable();
        // A few at a time: each may be some MB unpacked, and one by claim-check much more.
        while messages.peek().is_some() {
            let mut readable = Vec::new();
            for message in messages.by_ref().take(MESSAGES_AT_ONCE) {
                match Instant::now() >= by.stop {
                    true => round.fail(&message.id, "there was no time left"),
                    false => readable.push(message),
                }
            }
            let claims = self.claims.clone();
            let read = at_once(CALLS_AT_ONCE, readable, move |message| {
                let claims = claims.clone();
                async move { (queue::read(&message.body, &claims).await, message) }
            });
            for (batch, message) in self.environment.aws.wait(read) {
                match batch {
                    Ok(_) if Instant::now() >= by.stop => round.fail(&message.id, "there was no time left"),
                    Ok(batch) => round.judge(batch, &message.id, by, metrics),
                    Err(error) => round.unreadable(&error, &message),
                }
            }
            if round.letter_bytes >= LETTER_BYTES {
                self.store_letters(round, metrics);
            }
        }
        self.store(round, by.now, metrics);
    }

    /// Takes messages that are done out of their queue at once. Where that fails they come again, and their ids make it harmless.
    fn settle(&self, done: &mut Vec<Ticket>, round: &Round) {
        let mut handles: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for ticket in done.drain(..).filter(|ticket| !round.failed.contains(&ticket.id) && !ticket.handle.is_empty()) {
            handles.entry(ticket.queue).or_default().push(ticket.handle);
        }
        for (queue, handles) in handles {
            if let Err(error) = self.environment.aws.wait(queue::delete(&self.environment.aws, &queue, &handles)) {
                tracing::warn!(queue, error = told(&error), "messages that are done were not taken out of the queue");
            }
        }
    }
}

impl States {
    /// What was read last goes on where reading fails: a rule on trial does not become loud by an outage.
    /// But of a new index only what was read since: what it makes live may be on trial.
    fn current(&self, serial: u64) -> Option<Arc<Known>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = &*read
            && read.since.elapsed() < self.every
            && read.knows(serial)
        {
            return Some(read.states.clone());
        }
        let (since, at) = (Instant::now(), millis());
        match self.table.all() {
            Ok(states) => *read = Some(AsRead { since, at, serial, states: Arc::new(states) }),
            Err(error) => tracing::warn!(error = told(&error), "which rules are staged is not known for now"),
        }
        read.as_ref().filter(|read| read.knows(serial)).map(|read| read.states.clone())
    }
}

/// What the messages of one event came to.
#[derive(Default)]
struct Round {
    alerts: Vec<Alert>,
    /// The message that each of them is of.
    raised: Vec<String>,
    /// With the message each is of.
    letters: Vec<(String, DeadLetter)>,
    letter_bytes: usize,
    failed: BTreeSet<String>,
    /// Faults of versions on trial, with the message each is of.
    notes: Vec<(String, (TrialKey, TrialCounts))>,
    costs: Vec<RuleCost>,
}

impl Round {
    fn fail(&mut self, id: &str, reason: &str) {
        tracing::warn!(message = id, reason, "a message comes again");
        self.failed.insert(id.to_owned());
    }

    fn judge(&mut self, batch: RecordBatch, id: &str, by: &Judgement<'_>, metrics: &mut Metrics) {
        let now = by.now;
        let Some(states) = by.states else {
            return self.fail(id, "which rules are staged is not known");
        };
        let at = millis();
        metrics.add(&[], "QueueAge", "Milliseconds", (at - batch.arrived).max(0) as f64);
        let log_type = batch.log_type.clone();
        metrics.count(&[("LogType", &log_type)], "Records", batch.records.len() as u64);
        let latest = batch.records.iter().filter_map(|record| parse(record.event_time.as_deref()?)).max();
        if let Some(latest) = latest {
            metrics.add(&[("LogType", &log_type)], "EventAge", "Milliseconds", (at - latest).max(0) as f64);
        }
        let only = batch.rule.clone();
        let failures = now.failures();
        let (records, mut dead) = log_batch(batch, now.live.classifier.schemas());
        let created = rfc3339(at);
        let mut detected = trials::judge(&now.live, &records, &created, at, states, only.as_deref());
        if now.failures() != failures {
            // Code that could not be fetched says nothing about the records.
            return self.fail(id, "the code of a component could not be fetched");
        }
        if let Some(only) = &only
            && !now.live.rules.iter().any(|(_, rule)| rule.name == *only)
        {
            let lost = (0..records.records.len()).map(|row| {
                let message = format!("the rule {only} is not among the plugins");
                // Still that rule's alone, when it is sent again.
                let fault = RuleFault {
                    rule: only.clone(),
                    plugin: String::new(),
                    digest: String::new(),
                    kind: "missing".into(),
                };
                records.letter(row, Reason::RuleFault, message).with_fault(fault, &records.identity(row))
            });
            dead.extend(lost);
        }
        // Versions on trial beside live ones see what comes, and not what comes again.
        if only.is_none() && trials::is_any(&now.live, states, at) {
            let failures = now.failures();
            let is_time = Instant::now() < by.stop;
            trials::on_trial(&now.live, &records, &created, at, states, &mut detected, is_time);
            if now.failures() != failures {
                // Without its code, a version on trial has not seen the records; it has not failed on them.
                for stats in detected.trials.values_mut() {
                    stats.left_out += std::mem::take(&mut stats.faults);
                }
            }
        }
        metrics.rules(&detected);
        self.costs.extend(RuleCost::of(&detected));
        self.notes.extend(trials::notes(&detected, states, at).into_iter().map(|note| (id.to_owned(), note)));
        self.raised.extend(detected.alerts.iter().map(|_| id.to_owned()));
        self.alerts.append(&mut detected.alerts);
        dead.into_iter().chain(detected.dead).for_each(|letter| self.keep(id, letter));
    }

    fn keep(&mut self, id: &str, letter: DeadLetter) {
        self.letter_bytes += letter.input.len();
        self.letters.push((id.to_owned(), letter));
    }

    /// Of an event that is otherwise good, something that is not even a message.
    fn no_message(&mut self, raw: &str, error: &str) {
        #[derive(Deserialize)]
        struct Named {
            #[serde(rename = "messageId")]
            id: String,
        }
        let id = serde_json::from_str::<Named>(raw).map(|named| named.id).unwrap_or_default();
        self.letter(&id, "", raw, format!("no message of a queue: {error}"));
    }

    fn letter(&mut self, id: &str, queue: &str, body: &str, message: String) {
        let source = Arc::new(Source::new("sqs", queue.rsplit(':').next().unwrap_or_default(), id));
        let payload = Payload::new(source, 0, body.as_bytes());
        let position = Position { offset: 0, length: body.len() as u64, index: 0 };
        self.keep(id, DeadLetter::new(&payload, "", position, Reason::Envelope, message));
    }

    /// What is no message of ours is kept as a letter; what may be readable later comes again.
    fn unreadable(&mut self, error: &MessageError, message: &Message) {
        match error {
            MessageError::Newer(_) | MessageError::Backend(_) | MessageError::Batch(ReadError::Newer(_)) => {
                self.fail(&message.id, &error.to_string());
            }
            MessageError::NotOurs(_) | MessageError::Gone(_) | MessageError::Batch(_) => {
                self.letter(&message.id, &message.queue, &message.body, error.to_string());
            }
        }
    }
}

/// Each trial once.
fn sums(notes: Vec<(TrialKey, TrialCounts)>) -> Vec<(TrialKey, TrialCounts)> {
    let mut sums: BTreeMap<TrialKey, TrialCounts> = BTreeMap::new();
    for (key, counts) in notes {
        let sum = sums.entry(key).or_default();
        sum.faults += counts.faults;
        sum.left_out += counts.left_out;
    }
    sums.into_iter().collect()
}

/// Alerts of which no output hears by itself: those on trial, and those that wait for others.
fn is_quiet(alert: &Alert) -> bool {
    alert.staged || waiting(alert).is_some()
}

impl RulesEngine {
    /// Every alert goes to the archive, if there is one: these by our hand, all others as one of their outputs.
    fn archive_quiet(&self, alerts: &[Alert], now: &Now) -> Result<(), BackendError> {
        let Some(archive) = &now.outputs.archive else { return Ok(()) };
        let config = now.outputs.get(archive);
        let Some((_, stream)) = config.settings().into_iter().find(|(name, _)| name == "stream") else {
            return Ok(());
        };
        let publishers = Components(now.live.rules.plugins.clone());
        let mut lines = Vec::new();
        for alert in alerts.iter().filter(|alert| is_quiet(alert)) {
            // The alert itself is kept all the same; what a publisher would take out must not be kept elsewhere.
            match shape(alert, archive, &publishers) {
                Ok(publication) => lines.push(publication),
                Err(error) => tracing::error!(alert = alert.id, error = error.message, "an alert was not archived"),
            }
        }
        if lines.is_empty() {
            return Ok(());
        }
        let aws = &self.environment.aws;
        aws.wait(put_alerts(aws, &stream, lines.into_iter(), &self.claims))
    }

    /// Alerts first, then letters; a message is done when both are stored.
    fn store(&self, round: &mut Round, now: &Now, metrics: &mut Metrics) {
        let at = millis();
        let undeliverable = |output: &str, reason: &str| {
            tracing::warn!(output, reason, "an alert names an output that nothing can be delivered to");
        };
        // Before they are stored: who comes twice is no news to the table.
        if let Err(error) = self.archive_quiet(&round.alerts, now) {
            tracing::error!(error = told(&error), "alerts were not archived; their messages come again");
            let quiet = round.alerts.iter().zip(&round.raised).filter(|(alert, _)| is_quiet(alert));
            round.failed.extend(quiet.map(|(_, id)| id.clone()));
        }
        let put = |alerts: &mut [Alert]| store(&self.table, &now.outputs, alerts, at, undeliverable);
        let mut new: Vec<Option<bool>> = Vec::new();
        match put(&mut round.alerts) {
            Ok(all) => new.extend(all.into_iter().map(Some)),
            // One alert that cannot be stored must not hold up those of other messages for ever.
            Err(_) => {
                let mut start = 0;
                for of_one in round.raised.chunk_by(|a, b| a == b) {
                    let alerts = &mut round.alerts[start..start + of_one.len()];
                    start += of_one.len();
                    match put(alerts) {
                        Ok(all) => new.extend(all.into_iter().map(Some)),
                        Err(error) => {
                            let error = told(&error);
                            tracing::error!(
                                message = of_one[0],
                                error,
                                "alerts were not stored; the message comes again"
                            );
                            metrics.count(&[], "FailedWrites", of_one.len() as u64);
                            new.extend(of_one.iter().map(|_| None));
                            round.failed.insert(of_one[0].clone());
                        }
                    }
                }
            }
        }
        // Before the messages are done: of what a version on trial has not seen, nobody may say that it raised nothing.
        let (of, notes): (Vec<String>, Vec<_>) = std::mem::take(&mut round.notes).into_iter().unzip();
        if let Err(error) = self.table.note(&sums(notes)) {
            tracing::error!(error = told(&error), "faults of trials were not noted; their messages come again");
            round.failed.extend(of);
        }
        // Nothing is owed on it: a write that fails is done with the next one.
        if let Err(error) = self.costs.add(&std::mem::take(&mut round.costs)) {
            tracing::warn!(error = told(&error), "what rules cost was not written; the next write does it");
        }
        let mut outputs = BTreeSet::new();
        let mut ids = Vec::new();
        for (alert, new) in round.alerts.iter().zip(new).filter_map(|(alert, new)| Some((alert, new?))) {
            match alert.trial.as_ref().map(|trial| trial.hit).filter(|_| new) {
                Some(Hit::Alone | Hit::New) => metrics.count_rule(&alert.rule_name, "TrialAlerts", 1),
                Some(Hit::Lost) => metrics.count_rule(&alert.rule_name, "TrialMisses", 1),
                Some(Hit::Same) | None => {}
            }
            // What a version on trial says beside the live one is no alert of the rule.
            if alert.trial.as_ref().is_none_or(|trial| matches!(trial.hit, Hit::Alone | Hit::Lost)) {
                metrics.count_rule(&alert.rule_name, if new { "Alerts" } else { "KnownAlerts" }, 1);
            }
            // Who waits for others, or is on trial, owes nothing yet.
            if new && !alert.staged && waiting(alert).is_none_or(|waiting| waiting.first_goes) {
                outputs.extend(alert.outputs.iter().cloned());
                ids.push(alert.id.clone());
            }
        }
        if !outputs.is_empty() {
            let outputs: Vec<String> = outputs.into_iter().collect();
            wake(&self.environment.aws, &self.environment.names, &outputs, &ids);
        }
        round.alerts.clear();
        round.raised.clear();
        self.store_letters(round, metrics);
    }

    fn store_letters(&self, round: &mut Round, metrics: &mut Metrics) {
        round.letter_bytes = 0;
        let (ids, letters): (Vec<String>, Vec<DeadLetter>) = std::mem::take(&mut round.letters).into_iter().unzip();
        for letter in &letters {
            metrics.count(&[("Reason", letter.reason.code())], "DeadLetters", 1);
        }
        if let Err(error) = self.dead.put(&letters) {
            tracing::error!(error = told(&error), "dead letters were not stored; their messages come again");
            round.failed.extend(ids);
        }
    }
}
