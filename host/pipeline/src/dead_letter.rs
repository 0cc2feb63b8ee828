//! What could not be processed, kept so that it can be looked at and sent again.

use crate::log_record::{Payload, Position, Source, short_id};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Why something ended here. The text form is a promise: filters and dashboards use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Not JSON, or cut off.
    NotJson,
    /// JSON, but neither an object nor a list of objects.
    NotAnObject,
    /// No schema that the source may send fits.
    NoSchema,
    /// A schema fits by its keys, but a value cannot be what the schema says.
    WrongType,
    /// Deeper, longer or wider than a limit allows.
    Limit,
    /// Compressed bytes that end early or are damaged, or a container (Parquet, Avro, zip) that cannot be read.
    Compression,
    /// An envelope (notification, queue message, stream record) that is not what it says it is.
    Envelope,
    /// An object that was announced is gone, or cannot be read as it is. The letter keeps the announcement.
    NoObject,
    /// The component that parses this source failed on it.
    ParserFault,
    /// A rule failed on this record; all other rules have judged it.
    RuleFault,
}

impl Reason {
    pub const ALL: [Reason; 10] = [
        Reason::NotJson,
        Reason::NotAnObject,
        Reason::NoSchema,
        Reason::WrongType,
        Reason::Limit,
        Reason::Compression,
        Reason::Envelope,
        Reason::NoObject,
        Reason::ParserFault,
        Reason::RuleFault,
    ];

    pub fn code(self) -> &'static str {
        match self {
            Reason::NotJson => "not_json",
            Reason::NotAnObject => "not_an_object",
            Reason::NoSchema => "no_schema",
            Reason::WrongType => "wrong_type",
            Reason::Limit => "limit",
            Reason::Compression => "compression",
            Reason::Envelope => "envelope",
            Reason::NoObject => "no_object",
            Reason::ParserFault => "parser_fault",
            Reason::RuleFault => "rule_fault",
        }
    }
}

/// Which rule failed on the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFault {
    pub rule: String,
    /// File name of the component.
    pub plugin: String,
    pub digest: String,
    /// `timeout`, `out_of_fuel`, `out_of_memory`, `trap`, `host_call`, `bad_answer`.
    pub kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Derived from source, position, content, reason and rule: the same loss twice is one letter.
    pub id: String,
    pub reason: Reason,
    /// For a person: what was wrong and what to do.
    pub message: String,
    pub cluster: String,
    pub source: Source,
    pub position: Position,
    /// Log types that were tried.
    pub tried: Vec<String>,
    pub fault: Option<RuleFault>,
    /// What makes the record this record, hex: kept, since a part of an input does not tell.
    pub identity: String,
    /// `input` is only the record's own part of the input at `position`.
    #[serde(default)]
    pub part: bool,
    /// Of what is in `input`, only the record that `position` numbers is meant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub single: bool,
    /// The header line that says what stands where in `input`, if it needs one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub head: String,
    /// `input` is not what arrived, but the JSON that this parser component made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parser: Option<String>,
    /// `input` is not what arrived, but the record as it was classified, of this log type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classified: Option<String>,
    /// The input as it arrived: text, or hex digits when it is not UTF-8.
    #[serde(flatten)]
    pub input: Input,
    /// RFC 3339, UTC; set by whoever stores it.
    #[serde(default)]
    pub first_seen: String,
    /// Times it came, the first one included; kept by whoever stores it.
    #[serde(default = "one")]
    pub count: u64,
}

fn one() -> u64 {
    1
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    Text(String),
    /// Hex digits, two a byte: for input that is not UTF-8.
    Hex(String),
}

impl Input {
    pub fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Input::Text(text.to_owned()),
            Err(_) => Input::Hex(hex(bytes)),
        }
    }

    /// Of the text that it is kept as.
    pub fn len(&self) -> usize {
        match self {
            Input::Text(text) | Input::Hex(text) => text.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Input::Text(text) => text.clone().into_bytes(),
            Input::Hex(hex) => unhex(hex),
        }
    }
}

impl DeadLetter {
    /// A letter about the whole input at `position`.
    pub fn new(payload: &Payload, cluster: &str, position: Position, reason: Reason, message: String) -> Self {
        let identity = payload.identity(position);
        DeadLetter::about(payload, cluster, position, &identity, None, reason, message)
    }

    /// A letter about one record of the input at `position`, of this identity; `part` is the record's own text, if it is
    /// a part of the input that can be sent again by itself.
    pub fn about(
        payload: &Payload,
        cluster: &str,
        position: Position,
        identity: &[u8; 32],
        part: Option<&[u8]>,
        reason: Reason,
        message: String,
    ) -> Self {
        let mut letter = DeadLetter {
            id: String::new(),
            reason,
            message,
            cluster: cluster.to_owned(),
            source: (*payload.source).clone(),
            position,
            tried: Vec::new(),
            fault: None,
            identity: hex(identity),
            part: part.is_some(),
            single: false,
            input: Input::new(part.unwrap_or_else(|| payload.input(position))),
            head: String::from_utf8_lossy(&payload.head).into_owned(),
            parser: None,
            classified: None,
            first_seen: String::new(),
            count: 1,
        };
        letter.id = letter.derive_id(identity);
        letter
    }

    /// Keeps what a parser component made, in place of what arrived.
    pub fn keep_made(&mut self, json: &[u8], parser: &str) {
        self.parser = Some(parser.to_owned());
        self.keep_part(json);
    }

    /// Keeps the record itself, of this log type, in place of what arrived.
    pub fn keep_classified(&mut self, json: &[u8], log_type: &str) {
        self.classified = Some(log_type.to_owned());
        self.keep_part(json);
    }

    /// Keeps what the record was found in, in place of all that arrived.
    pub fn keep_part(&mut self, bytes: &[u8]) {
        self.input = Input::new(bytes);
        self.part = true;
    }

    pub fn with_fault(mut self, fault: RuleFault, identity: &[u8; 32]) -> Self {
        self.fault = Some(fault);
        self.id = self.derive_id(identity);
        self
    }

    /// Whether there is enough of it to be sent again; else why not.
    pub fn resendable(&self) -> Result<(), &'static str> {
        if !self.part && (self.input.bytes().len() as u64) < self.position.length {
            return Err("it keeps only the beginning of its input; send the object itself again");
        }
        if self.reason == Reason::Compression {
            return Err("its input was cut off by the damage; send the object itself again");
        }
        Ok(())
    }

    /// A letter whose identity is damaged gets one of its own, so that it cannot be taken for another.
    pub fn identity_bytes(&self) -> [u8; 32] {
        let bytes = unhex(&self.identity);
        bytes.try_into().unwrap_or_else(|_| Sha256::digest(&self.id).into())
    }

    fn derive_id(&self, identity: &[u8; 32]) -> String {
        let mut hash = Sha256::new();
        hash.update(identity);
        hash.update(self.reason.code());
        hash.update(self.fault.as_ref().map_or("", |fault| &fault.rule));
        short_id(&hash.finalize())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks_exact(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
